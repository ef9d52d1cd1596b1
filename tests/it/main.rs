//! All integration tests in one binary: each would link polars anew.

mod arrow;
mod cli;
mod csv;
mod examples;
mod imputers;
mod layering;
#[cfg(feature = "lazy")]
mod lazy;
mod vae;
