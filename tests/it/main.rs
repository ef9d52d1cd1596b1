//! All integration tests in one binary: each would link polars anew.

mod allocations;
mod cli;
mod csv;
mod dtypes;
mod examples;
mod imputers;
mod layering;
mod properties;
mod vae;
