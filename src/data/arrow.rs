//! Draws as Arrow record batches.

use ::polars::prelude::DataFrame;
use arrow::record_batch::RecordBatch;

use crate::data::schema::Schema;
use crate::data::table::{Cells, Gaps};
use crate::error::Result;

/// The two shapes of draws in Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `m` completed tables under each other, with columns `.imp` (1 to m) and `.id` (1 to n) first.
    Long,
    /// One `FixedSizeList` of `m` values a column and row; an observed cell repeats its value.
    List,
}

pub(crate) fn imputations_to_batch(frame: &DataFrame, schema: &Schema, gaps: &Gaps, draws: &[Cells], form: Form) -> Result<RecordBatch> {
    let _ = (frame, schema, gaps, draws, form);
    todo!()
}
