//! Lacuna's border modules by their paths, with stand-ins for what is behind them, and one function a fuzz target.

#![allow(dead_code, unused_imports, missing_docs)]

#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/rng.rs"]
mod rng;
#[path = "../../src/kernel.rs"]
mod kernel;
/// `lacuna::data` without its borders to polars and Arrow.
#[path = "../../src/data"]
pub mod data {
    pub(crate) mod file;
    pub(crate) mod physical;
    pub(crate) mod schema;
    pub(crate) mod table;
    pub(crate) mod numbers;
    pub(crate) mod marginal;
    pub(crate) mod classes;
    pub(crate) mod scaling;
    pub mod csv;
}
#[path = "../../src/likelihood/mod.rs"]
mod likelihood;
#[path = "../../src/model/mod.rs"]
mod model;
mod stand_in;
/// The scores of families, which a model's file holds.
mod train {
    pub use crate::stand_in::pilot;
}
/// A fitted imputer as its file has it; it fills nothing here.
#[path = "../../src/impute"]
pub mod impute {
    pub(crate) mod config;
    pub(crate) mod donors;
    pub(crate) mod likeness;
    pub(crate) mod neighbours;
    mod store;
    pub(crate) mod support;
    pub use crate::stand_in::{ExpectedError, FittedInfo, vae};
    /// Row and modelled column.
    pub(crate) type Gap = (usize, usize);
}
pub mod targets;

pub use data::csv::{CsvOptions, CsvTable};
pub use data::schema::{Bound, Column, ColumnKind, ColumnSpec, Family, Left, Schema, SchemaOptions};
pub use error::{Error, ErrorKind, Result, Warning};
pub use impute::config::{Effort, VaeConfig};
pub use impute::vae::VaeImputer;
