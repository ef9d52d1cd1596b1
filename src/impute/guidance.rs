//! How much the missing cells matter, and how many draws that takes.

use std::fmt;

use ndarray::ArrayView2;
use serde::Serialize;

use crate::data::schema::{Column, ColumnKind, Schema};
use crate::data::table::{Cells, Table};
use crate::pool::{pool_scalar, suggested_m};

/// What the draws say of the fraction of missing information, and how many of them an analysis should have.
///
/// The fraction is that of a mean, and of m draws it is a rough figure for small m. Other estimates have their own: pool a few
/// draws ([`pool`](crate::pool)), take the largest `fmi` of the analysis and see
/// [`suggested_m`](crate::pool::suggested_m).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guidance {
    /// Draws there are.
    pub m: usize,
    /// Draws that keep the standard errors of these means within 5 % of what any other set of as many draws would give (von
    /// Hippel 2020, in two stages: these draws are the first).
    pub suggested_m: usize,
    /// Every column with filled cells that has a mean: numbers, and the share of the second level of two.
    pub means: Vec<MissingInformation>,
}

/// The fraction of missing information of one column's mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissingInformation {
    /// The column.
    pub column: String,
    /// The fraction, between 0 and 1.
    pub fmi: f64,
}

impl fmt::Display for Guidance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.means.iter().max_by(|a, b| a.fmi.total_cmp(&b.fmi));
        let Some(MissingInformation { column, fmi }) = largest else { return Ok(()) };
        write!(f, "fraction of missing information of a mean: {fmi:.2} at most (`{column}`); ")?;
        let asked = format!("-m {} or more keep its standard error within 5 %", self.suggested_m);
        match self.suggested_m > self.m {
            true => write!(f, "{asked}"),
            false => write!(f, "-m {} is enough", self.m),
        }?;
        f.write_str("; analyse each table, then pool")
    }
}

/// The mean and variance of every column that has a mean, completed by each of several draws; rows come in any pieces.
pub(crate) struct Means {
    /// One list a modelled column, an entry a draw; `None` where a column has no mean.
    columns: Vec<Option<Vec<Moments>>>,
    gaps: Vec<usize>,
}

/// Running mean and sum of squares about it (Welford 1962).
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.n += 1.0;
        let from = x - self.mean;
        self.mean += from / self.n;
        self.squares += from * (x - self.mean);
    }
}

impl Means {
    /// Of `m` draws.
    pub fn new(schema: &Schema, m: usize) -> Means {
        let has_mean = |c: &Column| c.kind().is_numeric() || c.kind() == ColumnKind::Binary;
        let columns = schema.modelled_columns().map(|c| has_mean(c).then(|| vec![Moments::default(); m])).collect();
        Means { columns, gaps: vec![0; schema.modelled().len()] }
    }

    /// Takes in some rows as draw `i` completes them.
    pub fn add(&mut self, schema: &Schema, values: ArrayView2<'_, f64>, i: usize, cells: &Cells) {
        let columns = self.columns.iter_mut().zip(schema.modelled()).zip(values.columns());
        for (k, ((moments, &j), values)) in columns.enumerate() {
            if let Some(moments) = moments {
                let observed = values.iter().copied().filter(|x| !x.is_nan());
                observed.chain(cells[j].iter().copied()).for_each(|x| moments[i].add(x));
                self.gaps[k] += cells[j].len();
            }
        }
    }

    /// `None` for a single draw, or where no column has a mean that varies.
    pub fn guidance(&self, schema: &Schema) -> Option<Guidance> {
        let of_column = |(k, column): (usize, &Column)| {
            let moments = self.columns[k].as_ref().filter(|moments| self.gaps[k] > 0 && moments.len() > 1)?;
            // The mean, and the variance of that mean.
            let means = moments.iter().map(|x| (x.mean, x.squares / (x.n - 1.0) / x.n));
            let (means, variances): (Vec<f64>, Vec<f64>) = means.unzip();
            // Without variance, or beyond the range of f64, there is no fraction.
            let fmi = pool_scalar(&means, &variances, moments[0].n - 1.0).ok()?.fmi;
            (0.0..=1.0).contains(&fmi).then(|| MissingInformation { column: column.name().to_string(), fmi })
        };
        let means: Vec<MissingInformation> = schema.modelled_columns().enumerate().filter_map(of_column).collect();
        let largest = means.iter().map(|m| m.fmi).max_by(f64::total_cmp)?;
        let m = self.columns.iter().flatten().map(Vec::len).next()?;
        Some(Guidance { m, suggested_m: suggested_m(largest, m).ok()?, means })
    }
}

/// What the draws of a whole table say.
pub(crate) fn guide(table: &Table, draws: &[Cells]) -> Option<Guidance> {
    let mut means = Means::new(&table.schema, draws.len());
    draws.iter().enumerate().for_each(|(i, cells)| means.add(&table.schema, table.values.view(), i, cells));
    means.guidance(&table.schema)
}
