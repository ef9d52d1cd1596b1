//! Tables for the benches: the same for the same shape.

use lacuna::polars::prelude::*;

/// Columns of numbers that depend on two latent ones, a fifth of the cells missing.
pub fn numbers(n: usize, d: usize) -> Vec<Column> {
    let cell = |i: usize, j: usize| {
        let (a, b) = ((i * 7919 % 1000) as f64 / 500.0 - 1.0, (i * 104_729 % 1000) as f64 / 500.0 - 1.0);
        (a * (j as f64 + 1.0)).sin() + b * (j as f64).cos() + (i * 31 + j * 17) as f64 % 7.0 / 20.0
    };
    let column = |j: usize| {
        let cells = (0..n).map(|i| ((i * 13 + j * 5) % 10 > 1).then(|| cell(i, j)));
        Series::new(format!("x{j}").into(), cells.collect::<Vec<_>>()).into_column()
    };
    (0..d).map(column).collect()
}

/// The table of them.
pub fn table(n: usize, d: usize) -> DataFrame {
    DataFrame::new(n, numbers(n, d)).expect("columns of one length")
}
