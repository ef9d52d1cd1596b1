//! A table as the model sees it: numbers, NaN where a cell is not observed.

use std::sync::Arc;

use ndarray::Array2;

use crate::data::schema::{Role, Schema};
use crate::error::Warning;

/// The modelled columns of a frame as numbers, and which cells of the frame are to be filled.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub schema: Arc<Schema>,
    /// (n, d) in the model's column order: numbers in data units, or codes of levels; NaN where unobserved,
    /// so that a forgotten check is loud.
    pub values: Array2<f64>,
    /// Which cells to fill.
    pub gaps: Gaps,
    /// What was met that the schema did not know: unseen levels, gaps of constant columns.
    pub warnings: Vec<Warning>,
    /// What each row counts for in a training, (n,), above zero and one on average; `None` where all are alike.
    pub weights: Option<Vec<f64>>,
}

/// Cells to fill, and how many are missing at all; one entry a column of the schema, in table order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gaps {
    /// Rows to fill, ascending, 0-based; empty for columns that are left.
    pub rows: Vec<Vec<usize>>,
    /// Missing cells, whether to be filled or not.
    pub missing: Vec<usize>,
}

impl Gaps {
    /// Cells to fill.
    pub fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}

/// Values for every cell of a [`Gaps`], in its order: `cells[column][gap]`, numbers or codes.
pub(crate) type Cells = Vec<Vec<f64>>;

impl Table {
    /// Rows.
    pub fn n(&self) -> usize {
        self.values.nrows()
    }

    /// Modelled columns.
    pub fn d(&self) -> usize {
        self.values.ncols()
    }

    /// Cells with every constant column's gaps filled and room for the rest.
    pub fn constant_cells(&self) -> Cells {
        let columns = self.schema.columns().iter().zip(&self.gaps.rows);
        columns
            .map(|(c, rows)| match c.role {
                Role::Constant(x) => vec![x; rows.len()],
                _ => vec![f64::NAN; rows.len()],
            })
            .collect()
    }
}
