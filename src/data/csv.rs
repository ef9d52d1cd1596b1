//! CSV in and out: bytes to a frame, and bytes with fills to bytes.
//!
//! The file is kept as its text and read three times: to learn how each column is written, to build the frame, and to find
//! the gaps again. What is not a gap is copied byte for byte; a filled cell is written as its column writes its own.

mod cell;
mod column;
mod emptied;
mod form;
mod moment;
mod records;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ::polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, DataFrame, Float64Type, Int64Type, IntoColumn, IntoSeries, PlSmallStr,
    PrimitiveChunkedBuilder, Series, StringChunkedBuilder,
};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::data::schema::{Column, Schema, SchemaOptions};
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, ErrorKind, Result, Warning};
use cell::TWO_63;
use column::{CellForm, Scan, TextColumn};
use records::Records;

pub(crate) use form::CsvForm;
pub(crate) use records::quote;

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
    /// The file, its byte order mark included.
    text: String,
    delimiter: u8,
    newline: &'static str,
    header: Vec<String>,
    rows: usize,
    columns: Vec<TextColumn>,
    warnings: Vec<Warning>,
}

const BOM: char = '\u{feff}';
const GZIP: &[u8] = b"\x1f\x8b";

impl CsvTable {
    /// Reads a CSV file with a header; `path` names it in messages. A gzip file (by its first bytes) is unpacked, all members
    /// of it. Memory: the text, whatever its number of cells.
    ///
    /// # Errors
    /// Reading or unpacking fails; an empty file, bad UTF-8, two columns of one name, a row with more or fewer fields than the
    /// header; text in a column that is stated to hold numbers or dates; infinities; an option that names no column.
    pub fn read(input: impl Read, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(input, path, options, schema, true)
    }

    /// Reads a CSV file for a model that was fitted before; `schema` is what the model says of its columns
    /// ([`VaeImputer::csv_columns`](crate::VaeImputer::csv_columns)). The file may lack some of them: filling says which.
    ///
    /// # Errors
    /// As [`CsvTable::read`], but for options that name no column.
    pub fn read_fitted(input: impl Read, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        CsvTable::read_known(input, path, options, schema, false)
    }

    fn read_known(
        mut input: impl Read,
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
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|e| Error::io(Some(path), "read", e))?;
        let mut table = CsvTable {
            path: path.to_owned(),
            text: String::new(),
            delimiter: options.delimiter,
            newline: "\n",
            header: Vec::new(),
            rows: 0,
            columns: Vec::new(),
            warnings: Vec::new(),
        };
        if bytes.starts_with(GZIP) {
            let mut unpacked = Vec::new();
            let done = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked);
            done.map_err(|e| table.bad(None, format!("the gzip file is damaged ({e}); fetch or pack it again")))?;
            bytes = unpacked;
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(table.bad(None, "the file is UTF-16; save it as UTF-8".into()));
        }
        table.text = String::from_utf8(bytes).map_err(|e| table.not_utf8(&e))?;
        table.read_header()?;
        if all_known {
            schema.check_names(&table.header)?;
        }
        let mut scans = table.header.iter().map(|name| Scan::new(name, options, schema)).collect::<Result<Vec<_>>>()?;
        let mut rows = 0;
        let mut records = table.records();
        records.next();
        while records.next() {
            table.check(&records, scans.len())?;
            for (scan, (raw, text)) in scans.iter_mut().zip(records.both()) {
                scan.see(raw, text, rows);
            }
            rows += 1;
        }
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
    /// polars refuses the columns.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let columns = self.header.iter().zip(&self.columns);
        let mut builders: Vec<Builder> = columns.map(|(name, c)| Builder::new(name, &c.form, self.rows)).collect();
        let mut records = self.records();
        records.next();
        while records.next() {
            for ((builder, column), (raw, text)) in builders.iter_mut().zip(&self.columns).zip(records.both()) {
                builder.push((!column.missing.is(raw, text)).then_some(text), column);
            }
        }
        let columns = builders.into_iter().zip(&self.columns).map(|(b, column)| {
            let series = b.finish();
            match &column.form {
                // Counts of days, micro- or nanoseconds so far.
                CellForm::Moment(form) => Ok(series.cast(&form.dtype())?.into_column()),
                _ => Ok(series.into_column()),
            }
        });
        Ok(DataFrame::new(self.rows, columns.collect::<Result<_>>()?)?)
    }

    fn bad(&self, line: Option<usize>, message: String) -> Error {
        ErrorKind::Csv { path: self.path.clone(), line: line.map(|l| l as u64), message }.into()
    }

    /// Says in which column of which line the first byte stands that is not UTF-8.
    fn not_utf8(&self, e: &std::string::FromUtf8Error) -> Error {
        let valid = String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]);
        // The character stands in for the bad byte, so that it belongs to the field of that.
        let text = format!("{}{}", valid.strip_prefix(BOM).unwrap_or(&valid), char::REPLACEMENT_CHARACTER);
        let mut records = Records::new(&text, self.delimiter, false);
        let (mut header, mut line, mut field) = (Vec::new(), 1, 0);
        while records.next() {
            if line == 1 && header.is_empty() && records.line.end < text.len() {
                header = records.texts();
            }
            (line, field) = (records.line_number(), records.fields.len() - 1);
        }
        let place = header.get(field).map_or_else(|| format!("field {}", field + 1), |name| format!("column `{name}`"));
        self.bad(Some(line), format!("{place} is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8"))
    }

    /// The text behind the byte order mark.
    fn body(&self) -> &str {
        self.text.strip_prefix(BOM).unwrap_or(&self.text)
    }

    fn records(&self) -> Records<'_> {
        Records::new(self.body(), self.delimiter, self.header.len() == 1)
    }

    fn read_header(&mut self) -> Result<()> {
        let mut records = self.records();
        if !records.next() {
            return Err(self.bad(None, "the file is empty; a header line with the column names is due".into()));
        }
        self.check(&records, records.fields.len())?;
        let header: Vec<String> = records.texts();
        let line = &self.body()[records.line.clone()];
        let newline = ["\r\n", "\n", "\r"].into_iter().find(|end| line.ends_with(end)).unwrap_or("\n");
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (i, name) in header.iter().enumerate() {
            if let Some(first) = places.insert(name, i) {
                let message = format!("fields {} and {} are both called `{name}`; rename one", first + 1, i + 1);
                return Err(self.bad(Some(records.line_number()), message));
            }
        }
        let mut warnings = Vec::new();
        if let [only] = header.as_slice() {
            let other = [';', '\t', '|', ','].into_iter().find(|&c| c as u32 != u32::from(self.delimiter) && only.contains(c));
            warnings.extend(other.map(|delimiter| Warning::OneField { header: only.clone(), delimiter }));
        }
        self.newline = newline;
        self.header = header;
        self.warnings = warnings;
        Ok(())
    }

    /// Checks the record just read, which has `due` fields if all is well.
    fn check(&self, records: &Records, due: usize) -> Result<()> {
        let found = records.fields.len();
        let message = if records.open_quote {
            "a quoted field that starts in this row is never closed".to_string()
        } else if found != due {
            let fields = if found == 1 { "field" } else { "fields" };
            format!(
                "found {found} {fields} where the header has {due}; quote a field that holds the delimiter, or remove the row"
            )
        } else {
            return Ok(());
        };
        Err(self.bad(Some(records.line_number()), message))
    }

    /// Checks that a frame of `n` rows can be this file's.
    pub(crate) fn check_rows(&self, n: usize) -> Result<()> {
        if n == self.rows {
            return Ok(());
        }
        Err(Error::schema(format!("the frame has {n} rows and `{}` has {}", self.path.display(), self.rows)))
    }

    /// Copies the text with the cells in its gaps, and columns at its end.
    pub(crate) fn write(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        cells: &Cells,
        added: &[Appended],
        round: bool,
        mut out: impl Write,
    ) -> Result<()> {
        if gaps.len() == 0 && added.is_empty() {
            return out.write_all(self.text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io(None, "write", e));
        }
        let mut fills = self.fills(schema, gaps, cells, round)?;
        let mut out = BufWriter::new(out);
        let mut copy = || -> std::io::Result<()> {
            let body = self.body();
            out.write_all(&self.text.as_bytes()[..self.text.len() - body.len()])?;
            let mut records = self.records();
            let mut copied = 0;
            records.next();
            copied = self.append(&mut out, copied, &records, added, |a| &a.name)?;
            for row in 0..self.rows {
                records.next();
                copied = copy_row(&mut out, body, copied, &records, row, &mut fills)?;
                copied = self.append(&mut out, copied, &records, added, |a| &a.cells[row])?;
            }
            out.write_all(&body.as_bytes()[copied..])?;
            out.flush()
        };
        copy().map_err(|e| Error::io(None, "write", e))
    }

    /// Writes tables under each other, with their number as `.imp` and that of the row as `.id` (1 to n) first; without cells,
    /// the table as it is.
    pub(crate) fn write_long(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        tables: &[(usize, Option<&Cells>)],
        added: &[Appended],
        round: bool,
        out: impl Write,
    ) -> Result<()> {
        if let Some(taken) = self.header.iter().find(|n| *n == ".imp" || *n == ".id") {
            return Err(self.bad(None, format!("column `{taken}` has the name of one that the long form adds; rename it")));
        }
        let mut filled = Vec::new();
        for &(imp, cells) in tables {
            filled.push((imp, cells.map_or(Ok(Vec::new()), |cells| self.fills(schema, gaps, cells, round))?));
        }
        let mut out = BufWriter::new(out);
        let copy = || -> std::io::Result<()> {
            let (body, between) = (self.body(), char::from(self.delimiter));
            out.write_all(&self.text.as_bytes()[..self.text.len() - body.len()])?;
            let mut records = self.records();
            records.next();
            write!(out, ".imp{between}.id{between}")?;
            let copied = self.append(&mut out, records.line.start, &records, added, |a| &a.name)?;
            self.end_line(&mut out, &body[copied..records.line.end])?;
            for (imp, mut fills) in filled {
                let mut records = self.records();
                records.next();
                for row in 0..self.rows {
                    records.next();
                    write!(out, "{imp}{between}{}{between}", row + 1)?;
                    let copied = copy_row(&mut out, body, records.line.start, &records, row, &mut fills)?;
                    let copied = self.append(&mut out, copied, &records, added, |a| &a.cells[row])?;
                    self.end_line(&mut out, &body[copied..records.line.end])?;
                }
            }
            out.flush()
        };
        copy().map_err(|e| Error::io(None, "write", e))
    }

    /// Copies the text from `copied` on up to the end of a record's last field and adds fields there; gives the place behind.
    fn append<'a>(
        &self,
        out: &mut impl Write,
        copied: usize,
        records: &Records,
        added: &'a [Appended],
        text: impl Fn(&'a Appended) -> &'a str,
    ) -> std::io::Result<usize> {
        if added.is_empty() {
            return Ok(copied);
        }
        let end = records.fields.last().map_or(copied, |field| field.end);
        out.write_all(&self.body().as_bytes()[copied..end])?;
        for a in added {
            let text = text(a);
            // An empty field stands for a missing cell.
            let field = if text.is_empty() { Cow::Borrowed("") } else { quote(text, self.delimiter, false) };
            write!(out, "{}{field}", char::from(self.delimiter))?;
        }
        Ok(end)
    }

    /// Writes what is left of a line, which ends even where the text does not.
    fn end_line(&self, out: &mut impl Write, rest: &str) -> std::io::Result<()> {
        out.write_all(rest.as_bytes())?;
        if rest.ends_with(['\n', '\r']) { Ok(()) } else { out.write_all(self.newline.as_bytes()) }
    }

    /// Numbers or codes of levels of one column as it writes its own, without quotes.
    pub(crate) fn texts(&self, column: &Column, cells: &[f64], round: bool) -> Vec<String> {
        let at = self.header.iter().position(|name| name == column.name());
        at.map_or_else(Vec::new, |at| {
            let (text, delimiter) = (&self.columns[at], self.delimiter);
            let levels = column.levels().iter().map(|l| text.form.level(l)).collect();
            let fills = Fills { rows: &[], cells: &[], next: 0, column, text, levels, round, delimiter };
            cells.iter().map(|&x| fills.text(x).map_or_else(String::new, Cow::into_owned)).collect()
        })
    }

    /// The fills of each CSV column of the schema.
    fn fills<'a>(&'a self, schema: &'a Schema, gaps: &'a Gaps, cells: &'a Cells, round: bool) -> Result<Vec<Option<Fills<'a>>>> {
        let filled = schema.columns().iter().zip(&gaps.rows).filter(|(_, rows)| !rows.is_empty());
        if let Some((column, _)) = filled.into_iter().find(|(c, _)| !self.header.iter().any(|name| name == c.name())) {
            let (name, path) = (column.name(), self.path.display());
            return Err(Error::schema(format!("column `{name}` of the filled table is not in `{path}`")));
        }
        let columns = self.header.iter().zip(&self.columns);
        // A column that the fit did not have passes through.
        let one = |(name, text): (&String, &'a TextColumn)| {
            let j = schema.columns().iter().position(|c| c.name() == name)?;
            let column = &schema.columns()[j];
            let levels = column.levels().iter().map(|l| text.form.level(l)).collect();
            let delimiter = self.delimiter;
            Some(Fills { rows: &gaps.rows[j], cells: &cells[j], next: 0, column, text, levels, round, delimiter })
        };
        Ok(columns.map(one).collect())
    }
}

/// A column that the output has beside those of the file: one text a row, at its end.
pub(crate) struct Appended {
    pub name: String,
    pub cells: Vec<String>,
}

/// Copies the text from `copied` on up to the last gap of a row, with the fills in its gaps; gives the place behind that.
fn copy_row(
    out: &mut impl Write,
    text: &str,
    mut copied: usize,
    records: &Records,
    row: usize,
    fills: &mut [Option<Fills>],
) -> std::io::Result<usize> {
    for (field, fills) in records.fields.iter().zip(fills) {
        if let Some(fill) = fills.as_mut().and_then(|fills| fills.at(row)) {
            out.write_all(&text.as_bytes()[copied..field.start])?;
            out.write_all(fill.as_bytes())?;
            copied = field.end;
        }
    }
    Ok(copied)
}

/// The filled cells of one column as fields, row by row.
struct Fills<'a> {
    rows: &'a [usize],
    cells: &'a [f64],
    next: usize,
    column: &'a Column,
    text: &'a TextColumn,
    /// Each level as this file writes it.
    levels: Vec<String>,
    round: bool,
    delimiter: u8,
}

impl Fills<'_> {
    /// The fill of a row, if it has one; rows are asked for in ascending order.
    fn at(&mut self, row: usize) -> Option<String> {
        if self.rows.get(self.next) != Some(&row) {
            return None;
        }
        let x = self.cells[self.next];
        self.next += 1;
        let text = self.text(x)?;
        Some(quote(&text, self.delimiter, self.text.quoted).into_owned())
    }

    /// The text of a number or a level.
    fn text(&self, x: f64) -> Option<Cow<'_, str>> {
        if self.column.kind().has_levels() {
            return self.levels.get(x as usize).map(|l| Cow::Borrowed(l.as_str()));
        }
        let bounds = self.column.bounds();
        let number = match &self.text.form {
            // What the column is read as has to hold its fills too.
            CellForm::Integer(format) => (format, x.clamp(-TWO_63, TWO_63.next_down())),
            CellForm::Float(format) => (format, x),
            CellForm::Moment(form) => return Some(Cow::Owned(form.write(self.column.admit(x), bounds))),
            CellForm::Truth(_) | CellForm::Text(_) => return None,
        };
        Some(Cow::Owned(match (self.round, number) {
            (true, (format, x)) => format.rounded(self.column.admit(x), bounds),
            (false, (format, x)) => format.exact(x.clamp(bounds.0, bounds.1)),
        }))
    }
}

/// A column of the frame under construction.
enum Builder {
    Truth(BooleanChunkedBuilder),
    Integer(PrimitiveChunkedBuilder<Int64Type>),
    Float(PrimitiveChunkedBuilder<Float64Type>),
    Text(StringChunkedBuilder),
}

impl Builder {
    fn new(name: &str, form: &CellForm, rows: usize) -> Builder {
        let name = PlSmallStr::from_str(name);
        match form {
            CellForm::Truth(_) => Builder::Truth(BooleanChunkedBuilder::new(name, rows)),
            CellForm::Integer(_) | CellForm::Moment(_) => Builder::Integer(PrimitiveChunkedBuilder::new(name, rows)),
            CellForm::Float(_) => Builder::Float(PrimitiveChunkedBuilder::new(name, rows)),
            CellForm::Text(_) => Builder::Text(StringChunkedBuilder::new(name, rows)),
        }
    }

    fn push(&mut self, cell: Option<&str>, column: &TextColumn) {
        match (self, &column.form) {
            (Builder::Truth(b), CellForm::Truth(pair)) => b.append_option(cell.map(|t| t == pair[1])),
            (Builder::Integer(b), CellForm::Integer(format)) => b.append_option(cell.and_then(|t| format.integer(t))),
            (Builder::Integer(b), CellForm::Moment(form)) => b.append_option(cell.and_then(|t| form.value(t))),
            (Builder::Float(b), CellForm::Float(format)) => b.append_option(cell.and_then(|t| format.float(t))),
            (Builder::Text(b), CellForm::Text(spelling)) => {
                b.append_option(cell.map(|t| spelling.level_of.get(t).map_or(t, String::as_str)));
            }
            // A builder is of its column's form.
            (Builder::Truth(b), _) => b.append_null(),
            (Builder::Integer(b), _) => b.append_null(),
            (Builder::Float(b), _) => b.append_null(),
            (Builder::Text(b), _) => b.append_null(),
        }
    }

    fn finish(self) -> Series {
        match self {
            Builder::Truth(b) => b.finish().into_series(),
            Builder::Integer(b) => b.finish().into_series(),
            Builder::Float(b) => b.finish().into_series(),
            Builder::Text(b) => b.finish().into_series(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::{ColumnKind, ColumnSpec};
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
