//! CSV in and out: bytes to a frame, and bytes with fills to bytes.
//!
//! The file is read three times: to learn how each column is written, to build the frame, and to find the gaps again. What is
//! not a gap is copied byte for byte; a filled cell is written as its column writes its own. Each reading goes block by block:
//! a block's records are split on any thread, a column's cells are taken in on one. Where one value fills each column, the first
//! reading also learns what columns of numbers come to, and no frame is made of them.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod cell;
mod column;
#[expect(clippy::indexing_slicing, reason = "a field's place in the text that it was found in")]
mod emptied;
mod form;
mod frame;
#[expect(clippy::indexing_slicing, reason = "places in two tables of formats, from sets of bits made over the same tables")]
mod moment;
#[expect(clippy::indexing_slicing, reason = "places that were found in the same bytes a line before")]
mod records;
#[expect(clippy::indexing_slicing, reason = "lengths that the same bytes were read to")]
mod source;
#[expect(clippy::indexing_slicing, reason = "a field's place in the text that it was found in, a column's in the schema")]
mod write;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;
use std::sync::Arc;

use ::polars::prelude::DataFrame;
use ndarray_rand::rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::schema::SchemaOptions;
use crate::error::{Error, ErrorKind, Result, Warning};
use crate::rng::Stream;
use column::{CellForm, Scan, TextColumn};
use records::{Field, Records};
use source::{BLOCK, Block, Blocks, Source, Trouble};

pub(crate) use form::CsvForm;
pub(crate) use records::quote;
pub(crate) use write::{Appended, CsvWriter, Filling};

/// How a CSV file is to be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// The byte between fields.
    pub delimiter: u8,
    /// The decimal mark: a point or a comma.
    pub decimal: u8,
    /// Texts that mean "missing"; case matters, spaces around a cell do not. A text among a column's stated levels is a level.
    ///
    /// An empty field is missing with quotes or without. In a column of text that has both, `""` is an empty text, as databases
    /// write it, unless `""`, quotes included, is among these texts.
    pub na: Vec<String>,
    /// Texts that mean "not applicable": such a cell stays as it is and is unobserved for the model, neither a value nor a gap
    /// ([`CsvTable::not_applicable`]). As in `na`, a text among a column's stated levels is a level.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_applicable: Vec<String>,
}

impl Default for CsvOptions {
    /// A comma between fields; a decimal point; the empty cell, `NA`, `N/A`, `NaN`, `null` and `None`.
    fn default() -> CsvOptions {
        let na = ["", "NA", "N/A", "NaN", "null", "None"];
        CsvOptions { delimiter: b',', decimal: b'.', na: na.map(String::from).to_vec(), not_applicable: Vec::new() }
    }
}

/// A CSV file: its text, and how each column is written.
///
/// | cells, all of them | type of the column |
/// |---|---|
/// | `true`/`false`, `True`/`False`, `TRUE`/`FALSE`, `T`/`F` or `t`/`f` | Boolean |
/// | whole numbers within i64, also as `1,234`, `1 234`, `$12` or `12 %` | Int64 |
/// | numbers, also as `1e3`, `1,234.5` or, with a decimal comma, `1.234,5` | Float64 |
/// | dates in one format: `2024-03-01`, `01.03.2024`, `3/31/2024`, `1-Mar-2024`, `March 1, 2024`, … | Date |
/// | the same with a time, and `Z` or an offset that is the same in all: `2024-03-01T10:30:00Z`, … | Datetime |
/// | times of day: `10:30`, `9:30:15.25` | Time |
/// | anything else; codes such as `007`; columns stated to have levels | String |
///
/// Separators, currency and percent signs must be the same in all cells. Where every date could have day and month either way
/// round, the column is text, with a warning, until its format is stated ([`ColumnSpec::format`](crate::ColumnSpec)). Flags such
/// as yes and no are text of two levels and come back in their own spelling.
///
/// A filled number has as many decimals as 99 in 100 of its column's cells make do with; a filled date has its column's format.
///
/// ```
/// use lacuna::{CsvOptions, CsvTable, Fit, Imputer, MeanConfig, SchemaOptions};
/// let csv = "name,x\r\n\"Ann, B.\",1.50\r\nBob,\r\n";
/// let table = CsvTable::read(csv.as_bytes(), "people.csv".as_ref(), &CsvOptions::default(), &SchemaOptions::default())?;
/// let df = table.to_frame()?;
/// let filled = MeanConfig::default().fit(&df)?.fill(&df)?;
/// let mut out = Vec::new();
/// filled.write_csv(&table, true, &mut out)?;
/// assert_eq!(out, b"name,x\r\n\"Ann, B.\",1.50\r\nBob,1.50\r\n");
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CsvTable {
    path: PathBuf,
    source: Arc<Source>,
    delimiter: u8,
    newline: &'static str,
    /// What stands before the first row: perhaps a byte order mark, and the header.
    head: String,
    header: Vec<String>,
    rows: usize,
    columns: Vec<TextColumn>,
    warnings: Vec<Warning>,
    /// Bytes of the blocks that it is read in.
    block: usize,
}

const BOM: char = '\u{feff}';
/// A file of more bytes is not kept in memory.
const KEPT: usize = 1 << 26;

impl CsvTable {
    /// Reads a CSV file with a header; `path` names it in messages. A gzip file (by its first bytes) is unpacked, all members
    /// of it. Memory: the text, or a few megabytes where that is longer than 64 MiB: then it goes to a temporary file.
    ///
    /// # Errors
    /// Reading or unpacking fails; an empty file, bad UTF-8, two columns of one name, a row with more or fewer fields than the
    /// header; text in a column that is stated to hold numbers or dates; infinities; an option that names no column.
    pub fn read(input: impl Read, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(Source::new(input, KEPT), path, options, schema, true)
    }

    /// Reads a CSV file as [`CsvTable::read`] does; one longer than 64 MiB stays where it is and is read again for each use.
    ///
    /// # Errors
    /// As [`CsvTable::read`]; each use, where the file changed in between.
    pub fn open(file: File, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(Source::of_file(file, KEPT), path, options, schema, true)
    }

    /// Reads a CSV file for a model that was fitted before; `schema` is what the model says of its columns
    /// ([`VaeImputer::csv_columns`](crate::VaeImputer::csv_columns)). The file may lack some of them: filling says which.
    ///
    /// # Errors
    /// As [`CsvTable::read`], but for options that name no column.
    pub fn read_fitted(input: impl Read, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(Source::new(input, KEPT), path, options, schema, false)
    }

    /// Opens a CSV file for a model that was fitted before: as [`CsvTable::open`] and [`CsvTable::read_fitted`].
    ///
    /// # Errors
    /// As those.
    pub fn open_fitted(file: File, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(Source::of_file(file, KEPT), path, options, schema, false)
    }

    fn read_known(
        source: std::result::Result<Source, Trouble>,
        path: &Path,
        options: &CsvOptions,
        schema: &SchemaOptions,
        all_known: bool,
    ) -> Result<CsvTable> {
        let delimiter = char::from(options.delimiter);
        if !delimiter.is_ascii() || matches!(delimiter, '"' | '\r' | '\n') {
            return Err(Error::config("delimiter", format!("{delimiter:?}"), "ASCII, and neither a quote nor a line end"));
        }
        if !matches!(options.decimal, b'.' | b',') {
            return Err(Error::config("decimal", format!("{:?}", char::from(options.decimal)), "'.' or ','"));
        }
        if let Some(both) = options.not_applicable.iter().find(|t| options.na.contains(t)) {
            let expected = "a text that is not missing: such a cell is either a gap or not applicable";
            return Err(Error::config("not_applicable", format!("'{both}'"), expected));
        }
        let mut table = CsvTable {
            path: path.to_owned(),
            source: Arc::new(Source::Memory(Vec::new())),
            delimiter: options.delimiter,
            newline: "\n",
            head: String::new(),
            header: Vec::new(),
            rows: 0,
            columns: Vec::new(),
            warnings: Vec::new(),
            block: BLOCK,
        };
        table.source = Arc::new(source.map_err(|e| table.trouble(e, 0))?);
        table.read_header()?;
        if all_known {
            schema.check_names(&table.header)?;
        }
        let mut scans =
            table.header.iter().map(|name| Scan::new(name, options, schema, all_known)).collect::<Result<Vec<_>>>()?;
        let mut rows = 0;
        let mut pass = table.pass()?;
        while let Some(splits) = pass.next(AT_ONCE)? {
            of_columns(&mut scans, |c, scans| {
                let mut row = rows;
                for split in &splits {
                    scans.iter_mut().enumerate().for_each(|(i, scan)| scan.see_all(&split.text, split.column(c + i), row));
                    row += split.rows();
                }
            });
            rows += splits.iter().map(Split::rows).sum::<usize>();
            pass.give_back(splits);
        }
        drop(pass);
        let (columns, warnings): (Vec<_>, Vec<_>) =
            scans.into_iter().map(Scan::finish).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        table.rows = rows;
        table.columns = columns;
        table.warnings.extend(warnings.into_iter().flatten());
        Ok(table)
    }

    /// Rows, the header not counted.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Column names in file order.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The formats of its columns of dates and times, as strftime has them, by column; without those that a format alone does not
    /// say, with fractions of seconds or an offset.
    pub fn formats(&self) -> Vec<(String, String)> {
        let columns = self.header.iter().zip(&self.columns);
        let format = |(name, column): (&String, &TextColumn)| match &column.form {
            CellForm::Moment(form) => Some((name.clone(), form.plain()?.to_string())),
            _ => None,
        };
        columns.filter_map(format).collect()
    }

    /// What looks wrong though it can be read, or can be read in two ways: [`Warning::NearlyNumeric`],
    /// [`Warning::NearlyDates`], [`Warning::AmbiguousDates`], [`Warning::DecimalComma`], [`Warning::EmptyText`],
    /// [`Warning::OneField`].
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The table as a frame; a missing cell is null.
    ///
    /// # Errors
    /// polars refuses the columns; the file is on disk and changed.
    pub fn to_frame(&self) -> Result<DataFrame> {
        self.columns_frame(|_| true)
    }

    /// So many rows, all where there are no more, in file order: those of `always`, which ascend, and others drawn at random, each
    /// set of them as likely as any other.
    ///
    /// # Errors
    /// As [`CsvTable::to_frame`].
    pub(crate) fn sample(&self, rows: usize, always: &[usize], rng: &mut Stream) -> Result<DataFrame> {
        let rows = rows.clamp(always.len().min(self.rows), self.rows);
        let mut builders = self.builders(rows, |_| true);
        let mut pass = self.pass()?;
        let (mut due, mut left) = (rows - always.len().min(rows), self.rows.saturating_sub(always.len()));
        let (mut always, mut row) = (always.iter().copied().peekable(), 0);
        while let Some(mut splits) = pass.next(AT_ONCE)? {
            for split in &mut splits {
                // One after the other, by the share of the rows to come that are still due (Knuth, TAOCP 2, 3.4.2, algorithm S).
                let mut chosen = Vec::with_capacity(split.fields.len());
                for fields in split.records() {
                    if always.next_if_eq(&row).is_some() {
                        chosen.extend_from_slice(fields);
                    } else {
                        if rng.random_range(0..left.max(1)) < due {
                            chosen.extend_from_slice(fields);
                            due -= 1;
                        }
                        left = left.saturating_sub(1);
                    }
                    row += 1;
                }
                split.fields = chosen;
            }
            self.push(&mut builders, &splits);
        }
        self.frame(builders, rows)
    }

    /// Bytes of the file that are kept in memory, and bytes that a row of it takes as a frame, about.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let (kept, bytes) = match &*self.source {
            Source::Memory(bytes) => (bytes.len(), bytes.len() as u64),
            Source::Disk { state, packed, .. } => (0, if *packed { 4 * state.0 } else { state.0 }),
        };
        let texts = self.columns.iter().filter(|c| matches!(c.form, CellForm::Text(_))).count();
        // A text has a place of two words, and its letters.
        let letters = if texts > 0 { bytes as usize / self.rows.max(1) } else { 0 };
        (kept, 8 * self.header.len() + 8 * texts + letters)
    }

    /// The rows in pieces of so many blocks, in order: one at least, if without rows.
    pub(crate) fn chunks(&self, blocks: usize) -> Result<Chunks<'_>> {
        Ok(Chunks { pass: self.pass()?, blocks, row: 0, first: true })
    }

    /// The same file, read in blocks of another size.
    #[cfg(test)]
    pub(crate) fn with_block(mut self, bytes: usize) -> CsvTable {
        self.block = bytes;
        self
    }

    fn bad(&self, line: Option<u64>, message: String) -> Error {
        ErrorKind::Csv { path: self.path.clone(), line, message }.into()
    }

    /// What is wrong with the record at a place of the file.
    fn bad_at(&self, at: u64, message: String) -> Error {
        self.source.line(at).map_or_else(|e| self.trouble(e, at), |line| self.bad(Some(line), message))
    }

    fn trouble(&self, trouble: Trouble, at: u64) -> Error {
        match trouble {
            Trouble::Io(e) => Error::io(Some(&self.path), "read", e),
            Trouble::Damaged(e) => self.bad(None, format!("the gzip file is damaged ({e}); fetch or pack it again")),
            Trouble::Changed => {
                self.bad(None, "the file changed while it was read; run again on a file that stays as it is".into())
            }
            Trouble::Endless => self.bad_at(at, "a record has no end within 1 GiB; close its quotes, or split the row".into()),
        }
    }

    /// Says in which column of which line the first byte of a block stands that is not UTF-8.
    fn not_utf8(&self, valid: &str, start: u64) -> Error {
        // The character stands in for the bad byte, so that it belongs to the field of that.
        let text = format!("{valid}{}", char::REPLACEMENT_CHARACTER);
        let text = if start == 0 { text.strip_prefix(BOM).unwrap_or(&text) } else { &text };
        let mut records = Records::new(text, self.delimiter, false);
        let (mut at, mut field) = (0, 0);
        while records.next() {
            (at, field) = (records.line.start, records.fields.len() - 1);
        }
        let place = self.header.get(field).map_or_else(|| format!("field {}", field + 1), |name| format!("column `{name}`"));
        let message = format!("{place} is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8");
        self.bad_at(start + at as u64, message)
    }

    fn read_header(&mut self) -> Result<()> {
        let blocks = self.source.blocks(0, self.delimiter, self.block).and_then(|mut blocks| blocks.next());
        let block = blocks.map_err(|e| self.trouble(e, 0))?;
        let empty = || self.bad(None, "the file is empty; a header line with the column names is due".into());
        let Some(block) = block else { return Err(empty()) };
        if block.bytes.starts_with(b"\xff\xfe") || block.bytes.starts_with(b"\xfe\xff") {
            return Err(self.bad(None, "the file is UTF-16; save it as UTF-8".into()));
        }
        let (text, valid) = match utf8(block.bytes) {
            Ok(text) => (text, true),
            Err(valid) => (Cow::Owned(valid), false),
        };
        let text = text.as_ref();
        let body = text.strip_prefix(BOM).unwrap_or(text);
        let mark = text.len() - body.len();
        let mut records = Records::new(body, self.delimiter, false);
        if !records.next() || (!valid && records.line.end == body.len()) {
            return Err(if valid { empty() } else { self.not_utf8(text, 0) });
        }
        let place = (mark + records.line.start) as u64;
        if records.open_quote {
            return Err(self.bad_at(place, NEVER_CLOSED.into()));
        }
        let header: Vec<String> = records.texts();
        let line = &body[records.line.clone()];
        let newline = ["\r\n", "\n", "\r"].into_iter().find(|end| line.ends_with(end)).unwrap_or("\n");
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (i, name) in header.iter().enumerate() {
            if let Some(first) = places.insert(name, i) {
                let message = format!("fields {} and {} are both called `{name}`; rename one", first + 1, i + 1);
                return Err(self.bad_at(place, message));
            }
        }
        let mut warnings = Vec::new();
        if let [only] = header.as_slice() {
            let other = [';', '\t', '|', ','].into_iter().find(|&c| c as u32 != u32::from(self.delimiter) && only.contains(c));
            warnings.extend(other.map(|delimiter| Warning::OneField { header: only.clone(), delimiter }));
        }
        let head = text[..mark + records.line.end].to_string();
        (self.head, self.newline, self.header, self.warnings) = (head, newline, header, warnings);
        Ok(())
    }

    /// One reading of the rows.
    fn pass(&self) -> Result<Pass<'_>> {
        let blocks = self.source.blocks(self.head.len() as u64, self.delimiter, self.block).map_err(|e| self.trouble(e, 0))?;
        Ok(Pass { table: self, blocks, at: self.head.len() as u64, spare: Vec::new() })
    }

    /// Splits a block into its records, each of which has a field a column if all is well; `fields` is room for them.
    fn split<'a>(&self, block: Block<'a>, mut fields: Vec<Field>) -> Result<Split<'a>> {
        let due = self.header.len();
        fields.clear();
        let Block { bytes, start } = block;
        let text = utf8(bytes).map_err(|valid| self.not_utf8(&valid, start))?;
        {
            let mut records = Records::new(&text, self.delimiter, due == 1);
            std::mem::swap(&mut fields, &mut records.fields);
            let mut before = 0;
            while records.append() {
                let found = records.fields.len() - before;
                before += found;
                if records.open_quote || found != due {
                    let message = match records.open_quote {
                        true => NEVER_CLOSED.to_string(),
                        false => format!(
                            "found {found} {} where the header has {due}; \
                             quote a field that holds the delimiter, or remove the row",
                            if found == 1 { "field" } else { "fields" }
                        ),
                    };
                    return Err(self.bad_at(start + records.line.start as u64, message));
                }
            }
            std::mem::swap(&mut fields, &mut records.fields);
        }
        Ok(Split { text, fields, columns: due })
    }

    /// Checks that a frame of `n` rows can be this file's.
    pub(crate) fn check_rows(&self, n: usize) -> Result<()> {
        if n == self.rows {
            return Ok(());
        }
        Err(Error::schema(format!("the frame has {n} rows and `{}` has {}", self.path.display(), self.rows)))
    }
}

const NEVER_CLOSED: &str = "a quoted field that starts in this row is never closed";
/// Blocks that are split and taken in together.
const AT_ONCE: usize = 8;

/// Hands each thread some of the columns, with the place of the first.
fn of_columns<T: Send>(columns: &mut [T], work: impl Fn(usize, &mut [T]) + Sync) {
    let each = columns.len().div_ceil(rayon::current_num_threads()).max(1);
    columns.par_chunks_mut(each).enumerate().for_each(|(i, some)| work(i * each, some));
}

/// One reading of the rows of a file.
struct Pass<'a> {
    table: &'a CsvTable,
    blocks: Blocks<'a>,
    at: u64,
    /// Room that fields had before.
    spare: Vec<Vec<Field>>,
}

impl<'a> Pass<'a> {
    /// At most so many blocks, split; `None` at the end.
    fn next(&mut self, blocks: usize) -> Result<Option<Vec<Split<'a>>>> {
        let mut some = Vec::with_capacity(blocks);
        while some.len() < blocks {
            let Some(block) = self.blocks.next().map_err(|e| self.table.trouble(e, self.at))? else { break };
            self.at = block.start + block.bytes.len() as u64;
            some.push(block);
        }
        if some.is_empty() {
            return Ok(None);
        }
        // All of them, so that the first of several errors is told.
        self.spare.resize(self.spare.len().max(some.len()), Vec::new());
        let room = self.spare.drain(..some.len());
        let some: Vec<_> = some.into_iter().zip(room).collect();
        let splits: Vec<Result<Split>> = some.into_par_iter().map(|(block, room)| self.table.split(block, room)).collect();
        splits.into_iter().collect::<Result<Vec<_>>>().map(Some)
    }

    /// Takes blocks back that have been worked on: their room serves the next.
    fn give_back(&mut self, splits: Vec<Split>) {
        self.spare.extend(splits.into_iter().map(|split| split.fields));
    }
}

/// Some bytes as text; of others the part that is.
fn utf8(bytes: Cow<'_, [u8]>) -> std::result::Result<Cow<'_, str>, String> {
    let valid =
        |bytes: &[u8], e: Utf8Error| String::from_utf8_lossy(bytes.get(..e.valid_up_to()).unwrap_or_default()).into_owned();
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|e| valid(bytes, e)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|e| valid(e.as_bytes(), e.utf8_error())),
    }
}

/// A block and its fields.
struct Split<'a> {
    text: Cow<'a, str>,
    fields: Vec<Field>,
    columns: usize,
}

impl Split<'_> {
    fn rows(&self) -> usize {
        self.fields.len() / self.columns
    }

    fn records(&self) -> impl Iterator<Item = &[Field]> {
        self.fields.chunks_exact(self.columns)
    }

    /// The fields of one column.
    fn column(&self, c: usize) -> impl Iterator<Item = Field> {
        self.fields.iter().skip(c).step_by(self.columns).copied()
    }
}

/// Some rows of a file.
pub(crate) struct Chunk<'a> {
    splits: Vec<Split<'a>>,
    /// The place of the first row in the file, 0-based.
    pub first: usize,
    pub rows: usize,
}

/// A file's rows in pieces.
pub(crate) struct Chunks<'a> {
    pass: Pass<'a>,
    blocks: usize,
    row: usize,
    first: bool,
}

impl<'a> Chunks<'a> {
    pub fn next(&mut self) -> Result<Option<Chunk<'a>>> {
        let splits = match self.pass.next(self.blocks)? {
            None if !std::mem::take(&mut self.first) => return Ok(None),
            splits => splits.unwrap_or_default(),
        };
        self.first = false;
        let (first, rows) = (self.row, splits.iter().map(Split::rows).sum());
        self.row += rows;
        Ok(Some(Chunk { splits, first, rows }))
    }

    /// Takes a piece back that has been worked on.
    pub fn give_back(&mut self, chunk: Chunk) {
        self.pass.give_back(chunk.splits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::{ColumnKind, ColumnSpec, Schema};
    use crate::data::table::Gaps;
    use crate::rng::{Purpose, stream};
    use ::polars::prelude::{DataType, TimeUnit, TimeZone, df};

    fn read_with(csv: &str, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &CsvOptions::default(), schema)
    }

    fn types(csv: &str) -> Vec<DataType> {
        let table = read_with(csv, &SchemaOptions::default()).unwrap();
        table.to_frame().unwrap().dtypes()
    }

    fn error(csv: &str) -> String {
        read_with(csv, &SchemaOptions::default()).unwrap_err().to_string()
    }

    #[test]
    fn columns_get_the_type_their_cells_have() {
        use DataType::*;
        let columns = [
            (["true", "false"], Boolean),
            (["TRUE", "T"], String),
            (["yes", "no"], String),
            (["1", "-2"], Int64),
            (["+1", "0"], Int64),
            (["1", "2.5"], Float64),
            (["1e3", ".5"], Float64),
            (["007", "120"], String),
            (["1", "12345678901234567890"], String),
            (["1", "x"], String),
            (["inf", "high"], String),
            (["2020-01-01", "2020-01-02"], Date),
            (["2020-01-01 10:30", "2020-01-02 09:00"], Datetime(TimeUnit::Microseconds, None)),
            (["2020-01-01T10:30Z", "2020-01-02T09:00Z"], Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))),
            (["10:30", "23:59"], Time),
            (["2020-01-01", "01.02.2020"], String),
            (["20200101", "20200102"], Int64),
            (["01/02/2020", "03/04/2020"], String),
            (["1 000", "-999"], Int64),
            (["$5", "$1 000.50"], Float64),
            (["$5", "€5"], String),
            (["$5", "5"], String),
            (["12 %", "7.5 %"], Float64),
            (["1'000", "1 000"], String),
            (["5 kg", "6 kg"], String),
            (["NA", ""], String),
        ];
        for ([a, b], due) in columns {
            assert_eq!(types(&format!("x,y\n{a},1\n{b},1\n"))[0], due, "{a} {b}");
        }
    }

    #[test]
    fn missing_tokens_count_case_and_give_way_to_levels() {
        let table = read_with("x,y\nNA,1\nna,2\n ,3\n N/A ,4\n", &SchemaOptions::default()).unwrap();
        assert_eq!(table.to_frame().unwrap().column("x").unwrap().null_count(), 3);
        let spec = ColumnSpec { name: "x".into(), levels: Some(vec!["None".into(), "Brick".into()]), ..ColumnSpec::default() };
        let options = SchemaOptions { columns: vec![spec], ..SchemaOptions::default() };
        let table = read_with("x\nNone\nBrick\nNA\n", &options).unwrap();
        assert_eq!(table.to_frame().unwrap().column("x").unwrap().null_count(), 1);
        let spec = ColumnSpec { name: "x".into(), na: Some(vec!["-9".into()]), ..ColumnSpec::default() };
        let options = SchemaOptions { columns: vec![spec], ..SchemaOptions::default() };
        let df = read_with("x,y\n-9,-9\n4,4\n", &options).unwrap().to_frame().unwrap();
        assert_eq!((df.column("x").unwrap().null_count(), df.column("y").unwrap().null_count()), (1, 0));
    }

    #[test]
    fn errors_name_the_place() {
        assert!(error("").contains("the file is empty"));
        assert!(error("\u{feff}\n\n").contains("the file is empty"));
        assert!(error("a,b\r\n1,2\r\n\r\n1,2,3\r\n").starts_with("`t.csv` line 4: found 3 fields where the header has 2"));
        assert!(error("a,b\r1,2\r1\r").starts_with("`t.csv` line 3: found 1 field where the header has 2"));
        assert!(error("a,b\n1,\"x\ny\n").starts_with("`t.csv` line 2: a quoted field"));
        assert!(error("a,\"b\n1,2\n").starts_with("`t.csv` line 1: a quoted field"));
        assert!(error("a,b,a\n").starts_with("`t.csv` line 1: fields 1 and 3 are both called `a`"));
        assert!(error("a,b\n1,2\n-inf,3\n").starts_with("column `a`, row 2: found '-inf'; a finite number"));
        let bytes = b"a,b\n1,2\n\"x\ny\",\xe9\n";
        let bad = CsvTable::read(&bytes[..], Path::new("t.csv"), &CsvOptions::default(), &SchemaOptions::default());
        assert!(bad.unwrap_err().to_string().starts_with("`t.csv` line 3: column `b` is not UTF-8"));
        let utf16 = CsvTable::read(&b"\xff\xfea\0"[..], Path::new("t.csv"), &CsvOptions::default(), &SchemaOptions::default());
        assert!(utf16.unwrap_err().to_string().contains("UTF-16"));
        let stated = SchemaOptions::default().kind("a", ColumnKind::Continuous);
        let e = read_with("a,b\n1,2\n?,3\n", &stated).unwrap_err();
        assert!(e.to_string().starts_with("column `a`, row 2: found '?'"), "{e}");
        assert!(read_with("a,b\n?,2\n", &stated.clone().exclude("a")).is_ok());
    }

    #[test]
    fn a_sample_has_so_many_rows_and_those_that_always_belong() {
        let text = format!("x\n{}", (0..1000).map(|i| format!("{i}\n")).collect::<String>());
        let table = read_with(&text, &SchemaOptions::default()).unwrap().with_block(100);
        let sample = |rows, always: &[usize], seed| {
            let df = table.sample(rows, always, &mut stream(seed, Purpose::Sample, 0)).unwrap();
            df.column("x").unwrap().i64().unwrap().iter().flatten().collect::<Vec<i64>>()
        };
        let samples: Vec<Vec<i64>> = (0..20).map(|seed| sample(50, &[3, 999], seed)).collect();
        for rows in &samples {
            assert!(rows.len() == 50 && rows.windows(2).all(|w| w[0] < w[1]), "{rows:?}");
            assert!(rows.contains(&3) && rows.contains(&999), "{rows:?}");
        }
        let mean = samples.iter().flatten().filter(|x| **x < 999 && **x != 3).sum::<i64>() as f64 / (20.0 * 48.0);
        assert!((mean - 500.0).abs() < 40.0, "{mean}");
        assert_eq!(sample(1, &[3, 999], 0), [3, 999]);
        assert_eq!(sample(5000, &[3], 0).len(), 1000);
    }

    #[test]
    fn quotes_that_are_closed_or_part_of_a_field_are_fine() {
        for csv in ["a,b\n1,\"x\"", "a,b\n1,\"x\"\n", "a,b\n1,5\" pipe\n", "a,b\n1,5\"", "a,b\n1,\"say \"\"x\"\"\"\n\n", "\"a\""]
        {
            assert!(read_with(csv, &SchemaOptions::default()).is_ok(), "{csv:?}");
        }
    }

    #[test]
    fn numbers_with_a_few_words_are_noticed() {
        let csv = |words: &[&str]| {
            let numbers = (0..57).map(|i| i.to_string());
            let cells = numbers.chain(words.iter().map(|w| w.to_string()));
            format!("x\n{}\n", cells.collect::<Vec<_>>().join("\n"))
        };
        let warnings = |csv: &str| read_with(csv, &SchemaOptions::default()).unwrap().warnings().to_vec();
        let due = Warning::NearlyNumeric { column: "x".into(), words: vec![("?".into(), 2), ("-".into(), 1)] };
        assert_eq!(warnings(&csv(&["-", "?", "?"])), [due]);
        assert_eq!(warnings(&csv(&["a", "b", "c", "d", "e", "f"])), []);
        assert_eq!(warnings(&csv(&["?", "?", "?", "?", "?", "?", "?"])), []);
        assert_eq!(warnings(&csv(&["?", "007"])), []);
        let stated = SchemaOptions::default().kind("x", ColumnKind::Categorical);
        assert_eq!(read_with(&csv(&["?"]), &stated).unwrap().warnings(), []);
        let semicolons = read_with("a;b\n1;2\n", &SchemaOptions::default()).unwrap();
        assert!(matches!(semicolons.warnings(), [Warning::OneField { delimiter: ';', .. }]));
    }

    #[test]
    fn a_filled_date_has_the_format_of_its_column() {
        let csv = "d;t\n31.12.2024 10:30;9:30\n;\n01.01.2025 08:00;NA\n";
        let options = CsvOptions { delimiter: b';', ..CsvOptions::default() };
        let table = CsvTable::read(csv.as_bytes(), Path::new("t.csv"), &options, &SchemaOptions::default()).unwrap();
        let frame = table.to_frame().unwrap();
        let physical = frame.column("d").unwrap().cast(&DataType::Int64).unwrap();
        assert_eq!(physical.i64().unwrap().get(0), Some(1_735_641_000_000_000));
        // The columns as the numbers that a model has of them.
        let numbers = df!("d" => [1.7e15, 1.8e15, 1.7e15], "t" => [0.5, 4.3e13, 8.6e13]).unwrap();
        let schema = Schema::infer(&numbers).unwrap();
        let gaps = Gaps { rows: vec![vec![1], vec![1, 2]], missing: vec![1, 2] };
        let cells = vec![vec![1_735_675_231e6], vec![3.66e12, 86_399e9]];
        for round in [true, false] {
            let mut out = Vec::new();
            table.write(&schema, &gaps, &cells, &[], round, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), csv.replace("\n;\n", "\n31.12.2024 20:01;1:01\n").replace("NA", "23:59"));
        }
    }
}
