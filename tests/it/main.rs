//! All integration tests in one binary: each would link polars anew.

mod examples;
mod imputers;
mod layering;
