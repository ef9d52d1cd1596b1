//! What is observed: kinds of columns, tables with gaps, scaling, and the borders to polars, Arrow, CSV and Parquet.

pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod scaling;
pub(crate) mod polars;
pub mod arrow;
pub mod csv;
pub mod ipc;
#[cfg(feature = "parquet")]
pub mod parquet;

pub use schema::{Column, ColumnKind, ColumnSpec, Family, Left, Schema, SchemaOptions};
