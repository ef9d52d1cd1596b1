//! All integration tests in one binary: each would link polars anew.

mod cli;
mod csv;
mod errors;
mod examples;
mod imputers;
mod layering;
mod vae;
