//! All integration tests in one binary: each would link polars anew.

mod allocations;
mod checkpoints;
mod arrow;
mod cases;
mod cli;
mod csv;
mod draws;
mod dtypes;
mod errors;
mod examples;
mod imputers;
mod layering;
mod missingness;
mod neighbours;
mod numbers;
mod properties;
mod store;
#[cfg(feature = "lazy")]
mod lazy;
mod uses;
mod vae;
