//! CSV in and out: bytes to a frame, and bytes with fills to bytes.
//!
//! The file is kept as its bytes and read three times: to learn how each column is written, to build the frame, and to
//! copy every observed field to the output. Only filled cells are formatted, each as its column writes its own.

mod cell;
mod column;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ::csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, Writer, WriterBuilder};
use ::polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, DataFrame, Float64Type, Int64Type, IntoColumn, IntoSeries, PlSmallStr,
    PrimitiveChunkedBuilder, Series, StringChunkedBuilder,
};

use crate::data::schema::{Column, Schema, SchemaOptions};
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, ErrorKind, Result, Warning};
use cell::TWO_63;
use column::{CellForm, Scan, TextColumn};

/// How a CSV file is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvOptions {
    /// The byte between fields.
    pub delimiter: u8,
    /// Texts that mean "missing"; case matters, spaces around a cell do not. A text among a column's stated levels is a level.
    pub na: Vec<String>,
}

impl Default for CsvOptions {
    /// A comma; the empty cell, `NA`, `N/A`, `NaN`, `null` and `None`.
    fn default() -> CsvOptions {
        let na = ["", "NA", "N/A", "NaN", "null", "None"];
        CsvOptions { delimiter: b',', na: na.map(String::from).to_vec() }
    }
}

/// A CSV file: its bytes, and how each column is written.
///
/// | cells | type of the column |
/// |---|---|
/// | all `true`/`false`, `True`/`False`, `TRUE`/`FALSE`, `T`/`F` or `t`/`f` | Boolean |
/// | all whole numbers within i64 | Int64 |
/// | all numbers | Float64 |
/// | anything else; codes such as `007`; columns stated to have levels | String |
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
    bytes: Vec<u8>,
    delimiter: u8,
    newline: Terminator,
    header: Vec<String>,
    rows: usize,
    columns: Vec<TextColumn>,
    warnings: Vec<Warning>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl CsvTable {
    /// Reads a CSV file with a header; `path` names it in messages. Memory: the file's bytes, whatever its number of cells.
    ///
    /// # Errors
    /// Reading fails; an empty file, bad UTF-8, two columns of one name, a row with more or fewer fields than the header;
    /// text in a column that is stated to hold numbers; infinities; an option that names no column.
    pub fn read(mut input: impl Read, path: &Path, options: &CsvOptions, schema: &SchemaOptions) -> Result<CsvTable> {
        if matches!(options.delimiter, b'"' | b'\r' | b'\n') {
            return Err(Error::config("delimiter", format!("{:?}", options.delimiter as char), "neither a quote nor a line end"));
        }
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|e| Error::io(Some(path), "read", e))?;
        let mut table = CsvTable {
            path: path.to_owned(),
            bytes,
            delimiter: options.delimiter,
            newline: Terminator::Any(b'\n'),
            header: Vec::new(),
            rows: 0,
            columns: Vec::new(),
            warnings: Vec::new(),
        };
        if table.bytes.starts_with(b"\xff\xfe") || table.bytes.starts_with(b"\xfe\xff") {
            return Err(table.bad(None, "the file is UTF-16; save it as UTF-8".into()));
        }
        table.read_header()?;
        schema.check_names(&table.header)?;
        let mut scans: Vec<Scan> = table.header.iter().map(|name| Scan::new(name, options, schema)).collect();
        let mut rows = 0;
        let mut records = table.records();
        records.read()?;
        while records.read()? {
            table.check(&records, scans.len())?;
            for (scan, text) in scans.iter_mut().zip(&records.record) {
                scan.see(text, rows);
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

    /// What looks wrong though it can be read: [`Warning::NearlyNumeric`], [`Warning::OneField`].
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
        records.read()?;
        while records.read()? {
            for ((builder, column), text) in builders.iter_mut().zip(&self.columns).zip(&records.record) {
                builder.push(text, column);
            }
        }
        let columns = builders.into_iter().map(|b| b.finish().into_column()).collect();
        Ok(DataFrame::new(self.rows, columns)?)
    }

    fn bad(&self, line: Option<u64>, message: String) -> Error {
        ErrorKind::Csv { path: self.path.clone(), line, message }.into()
    }

    /// The bytes behind the byte order mark.
    fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(BOM).unwrap_or(&self.bytes)
    }

    fn reader<R: Read>(&self, input: R) -> ::csv::Reader<R> {
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(self.delimiter).from_reader(input)
    }

    fn records(&self) -> Records<'_> {
        Records { table: self, reader: self.reader(self.text()), record: StringRecord::new(), start: 0, empty_lines: None }
    }

    fn read_header(&mut self) -> Result<()> {
        let mut records = self.records();
        if !records.read()? {
            return Err(self.bad(None, "the file is empty; a header line with the column names is due".into()));
        }
        self.check(&records, records.record.len())?;
        let header: Vec<String> = records.record.iter().map(String::from).collect();
        let text = self.text();
        let newline = match records.byte() {
            end if text[..end].ends_with(b"\n") => Terminator::Any(b'\n'),
            end if text[..end].ends_with(b"\r") && text[end..].starts_with(b"\n") => Terminator::CRLF,
            end if text[..end].ends_with(b"\r") => Terminator::Any(b'\r'),
            _ => Terminator::Any(b'\n'),
        };
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (i, name) in header.iter().enumerate() {
            if let Some(first) = places.insert(name, i) {
                let message = format!("fields {} and {} are both called `{name}`; rename one", first + 1, i + 1);
                return Err(self.bad(Some(records.line()), message));
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
        let found = records.record.len();
        let message = if records.ends_inside_quotes() {
            "a quoted field that starts in this row is never closed".to_string()
        } else if found != due {
            let fields = if found == 1 { "field" } else { "fields" };
            format!(
                "found {found} {fields} where the header has {due}; quote a field that holds the delimiter, or remove the row"
            )
        } else {
            return Ok(());
        };
        Err(self.bad(Some(records.line()), message))
    }

    /// Checks that a frame of `n` rows can be this file's.
    pub(crate) fn check_rows(&self, n: usize) -> Result<()> {
        if n == self.rows {
            return Ok(());
        }
        Err(Error::schema(format!("the frame has {n} rows and `{}` has {}", self.path.display(), self.rows)))
    }

    /// Copies the table with the cells in its gaps; without gaps, the bytes as they are.
    pub(crate) fn write(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        cells: &Cells,
        added: &[Appended],
        round: bool,
        mut out: impl Write,
    ) -> Result<()> {
        let written = |e| Error::io(None, "write", e);
        if gaps.len() == 0 && added.is_empty() {
            return out.write_all(&self.bytes).and_then(|()| out.flush()).map_err(written);
        }
        if self.bytes.starts_with(BOM) {
            out.write_all(BOM).map_err(written)?;
        }
        let mut fills = self.fills(schema, gaps, cells, round)?;
        let mut records = self.records();
        records.read()?;
        let mut writer = self.writer(&mut out);
        let names = records.record.iter().chain(added.iter().map(|a| a.name.as_str()));
        writer.write_record(names).map_err(|e| csv_error("write", e))?;
        for row in 0..self.rows - 1 {
            records.read()?;
            write_row(&mut writer, &records.record, row, &mut fills, added)?;
        }
        writer.flush().map_err(written)?;
        drop(writer);
        // The last line ends as it did in the input.
        records.read()?;
        let mut last = self.writer(Vec::new());
        write_row(&mut last, &records.record, self.rows - 1, &mut fills, added)?;
        let mut line = last.into_inner().map_err(|e| written(e.into_error()))?;
        if !matches!(self.bytes.last(), Some(b'\n' | b'\r')) {
            let end = line.iter().rposition(|b| !matches!(b, b'\n' | b'\r'));
            line.truncate(end.map_or(0, |i| i + 1));
        }
        out.write_all(&line).and_then(|()| out.flush()).map_err(written)
    }

    /// Writes the completed tables under each other, with columns `.imp` (1 to m) and `.id` (1 to n) first.
    pub(crate) fn write_long(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        draws: &[Cells],
        added: &[Appended],
        round: bool,
        mut out: impl Write,
    ) -> Result<()> {
        if let Some(taken) = self.header.iter().find(|n| *n == ".imp" || *n == ".id") {
            return Err(self.bad(None, format!("column `{taken}` has the name of one that the long form adds; rename it")));
        }
        let written = |e| Error::io(None, "write", e);
        if self.bytes.starts_with(BOM) {
            out.write_all(BOM).map_err(written)?;
        }
        let mut writer = self.writer(out);
        let names = [".imp", ".id"].into_iter().chain(self.header.iter().map(String::as_str));
        let names = names.chain(added.iter().map(|a| a.name.as_str()));
        writer.write_record(names).map_err(|e| csv_error("write", e))?;
        for (i, cells) in draws.iter().enumerate() {
            let mut fills = self.fills(schema, gaps, cells, round)?;
            let mut records = self.records();
            records.read()?;
            for row in 0..self.rows {
                records.read()?;
                writer.write_field((i + 1).to_string()).map_err(|e| csv_error("write", e))?;
                writer.write_field((row + 1).to_string()).map_err(|e| csv_error("write", e))?;
                write_row(&mut writer, &records.record, row, &mut fills, added)?;
            }
        }
        writer.flush().map_err(written)
    }

    /// Numbers of one column as it writes its own.
    pub(crate) fn texts(&self, column: &Column, cells: &[f64], round: bool) -> Vec<String> {
        let rows: Vec<usize> = (0..cells.len()).collect();
        let at = self.header.iter().position(|name| name == column.name());
        at.map_or_else(Vec::new, |at| {
            let form = &self.columns[at].form;
            let mut fills = Fills { rows: &rows, cells, next: 0, column, form, levels: Vec::new(), round };
            rows.iter().map(|&row| fills.at(row).map_or_else(String::new, Cow::into_owned)).collect()
        })
    }

    fn writer<W: Write>(&self, out: W) -> Writer<W> {
        let mut builder = WriterBuilder::new();
        builder.delimiter(self.delimiter).terminator(self.newline).quote_style(QuoteStyle::Necessary).from_writer(out)
    }

    /// The fills of each CSV column.
    fn fills<'a>(&'a self, schema: &'a Schema, gaps: &'a Gaps, cells: &'a Cells, round: bool) -> Result<Vec<Fills<'a>>> {
        let columns = self.header.iter().zip(&self.columns);
        let one = |(name, text): (&String, &'a TextColumn)| match schema.columns().iter().position(|c| c.name() == name) {
            None => Err(Error::schema(format!("column `{name}` of `{}` is not in the filled table", self.path.display()))),
            Some(j) => {
                let column = &schema.columns()[j];
                let levels = column.levels().iter().map(|l| text.form.level(l)).collect();
                Ok(Fills { rows: &gaps.rows[j], cells: &cells[j], next: 0, column, form: &text.form, levels, round })
            }
        };
        columns.map(one).collect()
    }
}

fn csv_error(action: &'static str, e: ::csv::Error) -> Error {
    let source = match e.into_kind() {
        ::csv::ErrorKind::Io(e) => e,
        other => std::io::Error::other(format!("{other:?}")),
    };
    Error::io(None, action, source)
}

/// A column that the output has beside those of the file: one text a row, at its end.
pub(crate) struct Appended {
    pub name: String,
    pub cells: Vec<String>,
}

/// Writes one row: filled cells by their column's format, the others as they are.
fn write_row<W: Write>(
    writer: &mut Writer<W>,
    record: &StringRecord,
    row: usize,
    fills: &mut [Fills],
    added: &[Appended],
) -> Result<()> {
    for (text, fills) in record.iter().zip(fills) {
        let text = fills.at(row).unwrap_or(Cow::Borrowed(text));
        writer.write_field(text.as_bytes()).map_err(|e| csv_error("write", e))?;
    }
    for column in added {
        writer.write_field(column.cells[row].as_bytes()).map_err(|e| csv_error("write", e))?;
    }
    writer.write_record(None::<&[u8]>).map_err(|e| csv_error("write", e))
}

/// The filled cells of one column as text, row by row.
struct Fills<'a> {
    rows: &'a [usize],
    cells: &'a [f64],
    next: usize,
    column: &'a Column,
    form: &'a CellForm,
    /// Each level as this file writes it.
    levels: Vec<String>,
    round: bool,
}

impl Fills<'_> {
    /// The fill of a row, if it has one; rows are asked for in ascending order.
    fn at(&mut self, row: usize) -> Option<Cow<'_, str>> {
        if self.rows.get(self.next) != Some(&row) {
            return None;
        }
        let x = self.cells[self.next];
        self.next += 1;
        if self.column.kind().has_levels() {
            return self.levels.get(x as usize).map(|l| Cow::Borrowed(l.as_str()));
        }
        let (CellForm::Integer(format) | CellForm::Float(format)) = self.form else { return None };
        let bounds = self.column.bounds();
        // What the column is read as has to hold its fills too.
        let x = if let CellForm::Integer(_) = self.form { x.clamp(-TWO_63, TWO_63.next_down()) } else { x };
        Some(Cow::Owned(match self.round {
            true => format.rounded(self.column.admit(x), bounds),
            false => format.exact(x.clamp(bounds.0, bounds.1)),
        }))
    }
}

/// The records of a file, the header first. In a file of one column an empty line is a missing cell.
struct Records<'a> {
    table: &'a CsvTable,
    reader: ::csv::Reader<&'a [u8]>,
    record: StringRecord,
    /// Where the record starts.
    start: usize,
    /// Empty lines still to be given as records; `None` until those before the next record are counted.
    empty_lines: Option<usize>,
}

impl Records<'_> {
    /// Reads the next record into `record`; false at the end.
    fn read(&mut self) -> Result<bool> {
        let empty_lines = self.empty_lines.take().unwrap_or_else(|| self.skip_empty_lines());
        if empty_lines > 0 && self.table.header.len() == 1 {
            self.empty_lines = Some(empty_lines - 1);
            self.record.clear();
            self.record.push_field("");
            return Ok(true);
        }
        self.reader.read_record(&mut self.record).map_err(|e| {
            let place = match e.kind() {
                ::csv::ErrorKind::Utf8 { err, .. } => match self.table.header.get(err.field()) {
                    Some(name) => format!("column `{name}`"),
                    None => format!("field {}", err.field() + 1),
                },
                _ => return csv_error("read", e),
            };
            let advice = "convert the file, for example with iconv -f latin1 -t utf-8";
            self.table.bad(Some(self.line()), format!("{place} is not UTF-8; {advice}"))
        })
    }

    /// Moves `start` to the next record; the number of empty lines before it (none before the header).
    fn skip_empty_lines(&mut self) -> usize {
        let text = self.table.text();
        let end_of_last = self.byte();
        // The reader stops between the two bytes of a CRLF.
        let split = text[..end_of_last].ends_with(b"\r") && text[end_of_last..].starts_with(b"\n");
        self.start = end_of_last + usize::from(split);
        let mut count = 0;
        loop {
            self.start += match &text[self.start..] {
                [b'\r', b'\n', ..] => 2,
                [b'\r' | b'\n', ..] => 1,
                _ => return if end_of_last > 0 { count } else { 0 },
            };
            count += 1;
        }
    }

    /// Whether the file ended before the record's last quote was closed: then a delimiter behind it is part of the field.
    fn ends_inside_quotes(&self) -> bool {
        let rest = &self.table.text()[self.start..];
        if self.byte() < self.table.text().len() || !rest.contains(&b'"') {
            return false;
        }
        let length_of_last = |record: &StringRecord| record.iter().next_back().map_or(0, str::len);
        let delimiter = [self.table.delimiter];
        let mut again = StringRecord::new();
        let longer = rest.chain(&delimiter[..]);
        let mut reader = self.table.reader(longer);
        let read = reader.read_record(&mut again).unwrap_or(false);
        read && again.len() == self.record.len() && length_of_last(&again) > length_of_last(&self.record)
    }

    /// Bytes read.
    fn byte(&self) -> usize {
        self.reader.position().byte() as usize
    }

    /// The line on which the record starts, 1-based.
    fn line(&self) -> u64 {
        let before = &self.table.text()[..self.start];
        let lone_cr = |i: usize| before[i] == b'\r' && self.table.text().get(i + 1) != Some(&b'\n');
        1 + (0..before.len()).filter(|&i| before[i] == b'\n' || lone_cr(i)).count() as u64
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
            CellForm::Integer(_) => Builder::Integer(PrimitiveChunkedBuilder::new(name, rows)),
            CellForm::Float(_) => Builder::Float(PrimitiveChunkedBuilder::new(name, rows)),
            CellForm::Text(_) => Builder::Text(StringChunkedBuilder::new(name, rows)),
        }
    }

    fn push(&mut self, text: &str, column: &TextColumn) {
        let cell = (!column.missing.is(text)).then_some(text);
        match (self, &column.form) {
            (Builder::Truth(b), CellForm::Truth(pair)) => b.append_option(cell.map(|t| t == pair[1])),
            (Builder::Integer(b), _) => b.append_option(cell.and_then(|t| t.trim().parse().ok())),
            (Builder::Float(b), _) => b.append_option(cell.and_then(|t| t.trim().parse().ok())),
            (Builder::Text(b), CellForm::Text(spelling)) => {
                b.append_option(cell.map(|t| spelling.level_of.get(t).map_or(t, String::as_str)));
            }
            (Builder::Truth(b), _) => b.append_null(),
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
    use ::polars::prelude::DataType;

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
            (["2020-01-01", "2020-01-02"], String),
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
}
