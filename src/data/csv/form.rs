//! How a CSV file is written, kept apart from its cells: for tables that are made, not filled.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::column::{CellForm, TextColumn};
use super::source::{BLOCK, Source, Trouble};
use super::{CsvOptions, CsvTable, KEPT, quote};
use crate::data::schema::SchemaOptions;
use crate::error::{Error, Result};

/// How a CSV file is written: its header, and of every column the form of its cells. It holds no cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CsvForm {
    delimiter: u8,
    newline: Newline,
    /// In file order.
    columns: Vec<ColumnForm>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ColumnForm {
    name: String,
    form: CellForm,
    quoted: bool,
}

/// The end of a line, one of those that a file can have.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Newline(&'static str);

impl Serialize for Newline {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Newline {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Newline, D::Error> {
        let text = String::deserialize(from)?;
        let known = ["\r\n", "\n", "\r"].into_iter().find(|end| *end == text);
        known.map(Newline).ok_or_else(|| serde::de::Error::custom("no end of a line"))
    }
}

impl CsvForm {
    /// The form of a file.
    pub fn of(csv: &CsvTable) -> CsvForm {
        let column =
            |(name, c): (&String, &TextColumn)| ColumnForm { name: name.clone(), form: c.form.clone(), quoted: c.quoted };
        let columns = csv.header.iter().zip(&csv.columns).map(column).collect();
        CsvForm { delimiter: csv.delimiter, newline: Newline(csv.newline), columns }
    }

    /// Whether this is the form of a file with these columns; a file of a model may say anything.
    pub fn is_sound(&self, names: &[&str]) -> bool {
        let delimiter = self.delimiter.is_ascii() && !matches!(self.delimiter, b'"' | b'\r' | b'\n');
        delimiter
            && self.columns.iter().map(|c| c.name.as_str()).eq(names.iter().copied())
            && self.columns.iter().all(|c| c.form.is_sound())
    }

    /// A file of this form of so many rows that are alike: empty but for the given texts, by column. `options` and `schema`
    /// say how cells are read.
    ///
    /// # Errors
    /// What is stated of a column contradicts itself.
    pub fn rows_of(
        &self,
        given: &[(String, String)],
        rows: usize,
        options: &CsvOptions,
        schema: &SchemaOptions,
    ) -> Result<CsvTable> {
        let between = char::from(self.delimiter).to_string();
        let line = |field: &dyn Fn(&ColumnForm) -> String| {
            self.columns.iter().map(field).collect::<Vec<_>>().join(&between) + self.newline.0
        };
        let head = line(&|c| quote(&c.name, self.delimiter, false).into_owned());
        let row = line(&|c| {
            let text = given.iter().find(|(name, _)| *name == c.name);
            text.map_or_else(String::new, |(_, text)| quote(text, self.delimiter, c.quoted).into_owned())
        });
        let text = head.clone() + &row.repeat(rows);
        // Text that is at hand can only fail on its way to a temporary file.
        let source = Source::new(text.as_bytes(), KEPT).map_err(|trouble| match trouble {
            Trouble::Io(e) | Trouble::Damaged(e) => Error::io(None, "write", e),
            Trouble::Changed | Trouble::Endless => Error::io(None, "write", std::io::ErrorKind::InvalidData.into()),
        })?;
        let column = |c: &ColumnForm| TextColumn::of(&c.name, options, schema, c.form.clone(), c.quoted);
        Ok(CsvTable {
            path: "the rows".into(),
            source: Arc::new(source),
            head,
            block: BLOCK,
            delimiter: self.delimiter,
            newline: self.newline.0,
            header: self.columns.iter().map(|c| c.name.clone()).collect(),
            rows,
            columns: self.columns.iter().map(column).collect::<Result<_>>()?,
            warnings: Vec::new(),
        })
    }

    /// Whether a column of the file can hold a cell of this text.
    pub fn reads(&self, name: &str, text: &str) -> bool {
        let column = self.columns.iter().find(|c| c.name == name);
        column.is_some_and(|c| match &c.form {
            CellForm::Truth(pair) => pair.contains(&text),
            CellForm::Integer(format) => format.integer(text).is_some(),
            CellForm::Float(format) => format.float(text).is_some_and(f64::is_finite),
            CellForm::Moment(form) => form.value(text).is_some(),
            CellForm::Text(_) => true,
        })
    }
}
