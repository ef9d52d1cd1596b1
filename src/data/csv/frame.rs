//! Records to a frame.

use ::polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, DataFrame, Float64Type, Int64Type, IntoColumn, IntoSeries, PlSmallStr,
    PrimitiveChunkedBuilder, Series, StringChunkedBuilder,
};

use super::column::{CellForm, TextColumn};
use super::{Chunk, CsvTable, Split, of_columns};
use crate::error::Result;

impl CsvTable {
    /// The rows as a frame.
    pub(crate) fn chunk_frame(&self, chunk: &Chunk<'_>) -> Result<DataFrame> {
        let mut builders = self.builders(chunk.rows);
        self.push(&mut builders, &chunk.splits);
        self.frame(builders, chunk.rows)
    }

    pub(super) fn builders(&self, rows: usize) -> Vec<Builder> {
        self.header.iter().zip(&self.columns).map(|(name, c)| Builder::new(name, &c.form, rows)).collect()
    }

    /// Takes in the rows of some blocks.
    pub(super) fn push(&self, builders: &mut [Builder], splits: &[Split<'_>]) {
        of_columns(builders, |c, builders| {
            for split in splits {
                for fields in split.records() {
                    for (builder, (column, field)) in builders.iter_mut().zip(self.columns.iter().zip(fields).skip(c)) {
                        let text = field.text(&split.text);
                        let missing = column.missing.is(field.raw(&split.text), &text);
                        builder.push((!missing).then_some(&text), column);
                    }
                }
            }
        });
    }

    pub(super) fn frame(&self, builders: Vec<Builder>, rows: usize) -> Result<DataFrame> {
        let columns = builders.into_iter().zip(&self.columns).map(|(b, column)| {
            let series = b.finish();
            match &column.form {
                // Counts of days, micro- or nanoseconds so far.
                CellForm::Moment(form) => Ok(series.cast(&form.dtype())?.into_column()),
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
