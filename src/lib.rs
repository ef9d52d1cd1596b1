#![doc = include_str!("../README.md")]
#![deny(missing_docs, missing_debug_implementations, unsafe_code)]

// In reading order; each imports only from those above it.
pub mod error;
mod rng;
mod kernel;
pub mod data;
mod likelihood;
mod model;
mod train;
pub mod pool;
pub mod impute;
pub mod evaluate;
mod frame;

pub use arrow;
pub use polars;

pub use data::csv::{CsvOptions, CsvTable};
pub use data::{Bound, Column, ColumnKind, ColumnSpec, Family, Left, Schema, SchemaOptions};
pub use error::{Error, ErrorKind, Result, Warning};
pub use frame::ImputeExt;
pub use impute::config::{Effort, Training, VaeConfig};
pub use impute::fit::Progress;
pub use impute::knn::{KnnConfig, KnnImputer, Weights};
pub use impute::mean::{MeanConfig, MeanImputer, Strategy};
pub use impute::vae::VaeImputer;
pub use impute::{
    ColumnReport, ColumnUncertainty, ExpectedError, Filled, Fit, Form, Generate, Generated, Guidance, Imputations, Imputer,
    LatentUse, MissingInformation, Report, Scores, Spread,
};
pub use pool::{Pooled, PooledTerm, Term, pool_scalar};
pub use train::pilot::FamilyScore;
