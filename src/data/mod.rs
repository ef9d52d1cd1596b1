//! What is observed: kinds of columns, tables with gaps, scaling, and the borders to CSV, polars and arrow.

pub(crate) mod arrow;
pub mod csv;
#[cfg(feature = "parquet")]
pub mod parquet;
pub(crate) mod polars;
pub(crate) mod scaling;
pub(crate) mod schema;
pub(crate) mod table;

pub use schema::{Column, ColumnKind, ColumnSpec, Family, Left, Schema, SchemaOptions};
