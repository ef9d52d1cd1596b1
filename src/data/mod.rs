//! What is observed: kinds of columns, dtypes that store integers, tables with gaps, scaling, and the borders to polars,
//! Arrow, CSV and Parquet.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub(crate) mod file;
pub(crate) mod physical;
pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod numbers;
pub(crate) mod marginal;
pub(crate) mod classes;
pub(crate) mod scaling;
pub(crate) mod cells;
pub(crate) mod polars;
pub(crate) mod profile;
pub mod arrow;
pub mod csv;
pub mod ipc;
#[cfg(feature = "parquet")]
pub mod parquet;

pub use schema::{Bound, Column, ColumnKind, ColumnSpec, Family, Left, Schema, SchemaOptions};
