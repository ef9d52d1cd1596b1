//! Records to a frame.

use ::polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, DataFrame, DataType, Float64Type, Int64Type, IntoColumn, IntoSeries, PlSmallStr,
    PrimitiveChunkedBuilder, Series, StringChunkedBuilder,
};

use super::column::{CellForm, TextColumn};
use super::{AT_ONCE, Chunk, CsvTable, Split, of_columns};
use crate::data::numbers::{Summary, float_values, integer_values};
use crate::data::schema::Profile;
use crate::error::Result;

impl CsvTable {
    /// The rows as a frame.
    pub(crate) fn chunk_frame(&self, chunk: &Chunk<'_>) -> Result<DataFrame> {
        let mut builders = self.builders(chunk.rows, |_| true);
        self.push(&mut builders, &chunk.splits);
        self.frame(builders, chunk.rows)
    }

    /// Some columns as a frame, by their places in the file.
    pub(crate) fn columns_frame(&self, wanted: impl Fn(usize) -> bool) -> Result<DataFrame> {
        let mut builders = self.builders(self.rows, wanted);
        if !builders.is_empty() {
            let mut pass = self.pass()?;
            while let Some(splits) = pass.next(AT_ONCE)? {
                self.push(&mut builders, &splits);
                pass.give_back(splits);
            }
        }
        self.frame(builders, self.rows)
    }

    /// Of each column of numbers what a schema has to know of it, and what the numbers come to, as the file has been read before;
    /// `None` of the others.
    pub(crate) fn numbers(&self) -> Vec<Option<(Profile, &Summary)>> {
        let columns = self.header.iter().zip(&self.columns);
        let numbers = columns.map(|(name, column)| {
            let summary = column.numbers.as_ref()?;
            let (dtype, values) = match column.form {
                CellForm::Integer(_) => (DataType::Int64, integer_values(summary)),
                _ => (DataType::Float64, float_values(summary)),
            };
            Some((Profile { name: name.clone(), dtype, observed: summary.n, values }, summary))
        });
        numbers.collect()
    }

    pub(super) fn builders(&self, rows: usize, wanted: impl Fn(usize) -> bool) -> Vec<(usize, Builder)> {
        let columns = self.header.iter().zip(&self.columns).enumerate().filter(|(at, _)| wanted(*at));
        columns.map(|(at, (name, c))| (at, Builder::new(name, &c.form, rows))).collect()
    }

    /// Takes in the rows of some blocks.
    pub(super) fn push(&self, builders: &mut [(usize, Builder)], splits: &[Split<'_>]) {
        of_columns(builders, |_, builders| {
            for split in splits {
                for (at, builder) in &mut *builders {
                    let Some(column) = self.columns.get(*at) else { continue };
                    for field in split.column(*at) {
                        let (raw, text) = (field.raw(&split.text), field.text(&split.text));
                        let missing = column.missing.may_be(raw.as_bytes()) && column.missing.is(raw, &text);
                        builder.push((!missing).then_some(&text), column);
                    }
                }
            }
        });
    }

    pub(super) fn frame(&self, builders: Vec<(usize, Builder)>, rows: usize) -> Result<DataFrame> {
        let columns = builders.into_iter().map(|(at, builder)| {
            let series = builder.finish();
            match self.columns.get(at).map(|c| &c.form) {
                // Counts of days, micro- or nanoseconds so far.
                Some(CellForm::Moment(form)) => Ok(series.cast(&form.dtype())?.into_column()),
                _ => Ok(series.into_column()),
            }
        });
        Ok(DataFrame::new(rows, columns.collect::<Result<_>>()?)?)
    }
}

/// A column of the frame under construction.
pub(super) enum Builder {
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
