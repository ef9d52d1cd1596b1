//! How much the missing cells matter, and how many draws that takes.

use std::fmt;

use serde::Serialize;

use crate::data::schema::ColumnKind;
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

/// `None` for a single draw, or where no column has a mean that varies.
pub(crate) fn guide(table: &Table, draws: &[Cells]) -> Option<Guidance> {
    let m = draws.len();
    if m < 2 {
        return None;
    }
    let modelled = table.schema.modelled().iter().zip(table.values.columns());
    let of_column = |(&j, values): (&usize, ndarray::ArrayView1<f64>)| {
        let column = &table.schema.columns()[j];
        let has_mean = column.kind().is_numeric() || column.kind() == ColumnKind::Binary;
        if !has_mean || table.gaps.rows[j].is_empty() {
            return None;
        }
        let observed = values.iter().copied().filter(|x| !x.is_nan());
        let means = draws.iter().map(|cells| mean_and_variance(observed.clone().chain(cells[j].iter().copied())));
        let (means, variances): (Vec<f64>, Vec<f64>) = means.unzip();
        let df = table.n() as f64 - 1.0;
        // Without variance, or beyond the range of f64, there is no fraction.
        let fmi = pool_scalar(&means, &variances, df).ok().map(|p| p.fmi).filter(|fmi| (0.0..=1.0).contains(fmi))?;
        Some(MissingInformation { column: column.name().to_string(), fmi })
    };
    let means: Vec<MissingInformation> = modelled.filter_map(of_column).collect();
    let largest = means.iter().map(|m| m.fmi).max_by(f64::total_cmp)?;
    Some(Guidance { m, suggested_m: suggested_m(largest, m).ok()?, means })
}

/// Mean of a column and the variance of that mean.
fn mean_and_variance(x: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / n;
    (mean, x.map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
}
