//! The integration tests, as one binary: polars is linked once.

mod cli;
