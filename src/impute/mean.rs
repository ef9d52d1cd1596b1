//! Mean, median and mode: one value a column.

use std::sync::Arc;

use ::polars::prelude::DataFrame;
use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use crate::data::schema::Schema;
use crate::data::table::{Cells, Table};
use crate::error::Result;
use crate::impute::{Filled, Fit, FittedInfo, Imputations, Imputer, cell_stream, check_m, table_to_fit};
use crate::rng::Stream;

/// Which one value fills a column of numbers; levels always get the most frequent one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The mean.
    #[default]
    Mean,
    /// The median; the mean of the middle two where their number is even.
    Median,
    /// The most frequent value; the smallest of several.
    Mode,
}

/// Configuration of the one-value-a-column baseline.
///
/// ```
/// use lacuna::{Fit, Imputer, MeanConfig, Strategy};
/// use polars::prelude::*;
/// let df = df!("x" => [Some(1.0), Some(2.0), None, Some(9.0)], "c" => [Some("b"), Some("a"), Some("b"), None])?;
/// let filled = MeanConfig::default().strategy(Strategy::Median).fit(&df)?.fill(&df)?.frame;
/// assert_eq!(filled.column("x")?.f64()?.get(2), Some(2.0));
/// assert_eq!(filled.column("c")?.str()?.get(3), Some("b"));
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct MeanConfig {
    /// The value for numbers.
    pub strategy: Strategy,
}

impl MeanConfig {
    /// Sets the value for numbers.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }
}

/// The fitted baseline: one value a column, and the observed values to draw from.
///
/// A draw is an observed value of the column at random (hot deck): it keeps each column's distribution and knows nothing
/// of the other columns.
#[derive(Clone, Debug)]
pub struct MeanImputer {
    schema: Arc<Schema>,
    /// One a modelled column, in the model's order.
    columns: Vec<Centre>,
    info: FittedInfo,
}

/// The one value of a column, and those it stands for.
#[derive(Clone, Debug)]
struct Centre {
    value: f64,
    /// Ascending, so that nothing depends on the order of the fitted rows.
    observed: Vec<f64>,
}

impl MeanImputer {
    /// Fits to a table, of which every modelled column has an observed cell.
    pub(crate) fn new(table: &Table, strategy: Strategy) -> MeanImputer {
        let columns: Vec<_> = table.schema.modelled_columns().zip(table.values.columns()).collect();
        let columns = columns
            .into_par_iter()
            .map(|(column, cells)| {
                let mut observed: Vec<f64> = cells.iter().copied().filter(|x| !x.is_nan()).collect();
                observed.sort_unstable_by(f64::total_cmp);
                let value = match strategy {
                    _ if column.kind.has_levels() => mode(&observed),
                    Strategy::Mean => weighted_mean(observed.iter().map(|&x| (x, 1.0))),
                    Strategy::Median => median(&observed),
                    Strategy::Mode => mode(&observed),
                };
                Centre { value, observed }
            })
            .collect();
        let method = match strategy {
            Strategy::Mean => "mean",
            Strategy::Median => "median",
            Strategy::Mode => "mode",
        };
        let info = FittedInfo { method: method.into(), ..FittedInfo::default() };
        MeanImputer { schema: table.schema.clone(), columns, info }
    }

    /// The value of the model's column `k`.
    pub(crate) fn value(&self, k: usize) -> f64 {
        self.columns[k].value
    }

    /// An observed value of the model's column `k` at random.
    pub(crate) fn any_observed(&self, k: usize, stream: &mut Stream) -> f64 {
        let observed = &self.columns[k].observed;
        observed[stream.random_range(..observed.len())]
    }

    /// Every gap of a modelled column by `value(k, row)`, k the model's column.
    fn cells(&self, table: &Table, mut value: impl FnMut(usize, usize) -> f64) -> Cells {
        let mut cells = table.constant_cells();
        for (k, &j) in table.schema.modelled().iter().enumerate() {
            let gaps = cells[j].iter_mut().zip(&table.gaps.rows[j]);
            gaps.for_each(|(cell, &row)| *cell = value(k, row));
        }
        cells
    }
}

/// Weighted mean of (value, weight), between the least and the greatest value; the weights sum to something above zero.
pub(crate) fn weighted_mean(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let total: f64 = values.clone().map(|(_, w)| w).sum();
    let (low, high) = values.clone().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, _)| (a.min(x), b.max(x)));
    let mean = values.clone().map(|(x, w)| w * x).sum::<f64>() / total;
    // A sum beyond the range of f64: shares first.
    let mean = if mean.is_finite() { mean } else { values.map(|(x, w)| w / total * x).sum::<f64>() };
    // Rounded shares may come to more than one.
    mean.max(low).min(high)
}

/// Population standard deviation of at least one value; the order of the values does not overflow it.
pub(crate) fn standard_deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let mean = weighted_mean(values.clone().map(|x| (x, 1.0)));
    let largest = values.clone().fold(0.0, |m, x| f64::max(m, (x - mean).abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * weighted_mean(values.map(|x| (((x - mean) / largest).powi(2), 1.0))).sqrt()
}

fn median(sorted: &[f64]) -> f64 {
    let middle = [sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]];
    weighted_mean(middle.into_iter().map(|x| (x, 1.0)))
}

/// The most frequent value, the smallest of several.
fn mode(sorted: &[f64]) -> f64 {
    // `rev`, because of several largest counts `max_by_key` takes the last.
    let runs = sorted.chunk_by(|a, b| a == b).rev();
    runs.max_by_key(|run| run.len()).map_or(f64::NAN, |run| run[0])
}

impl Fit for MeanConfig {
    type Fitted = MeanImputer;

    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<MeanImputer> {
        let table = table_to_fit(df, &Arc::new(schema.clone()))?;
        Ok(MeanImputer::new(&table, self.strategy))
    }
}

impl Imputer for MeanImputer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn fill(&self, df: &DataFrame) -> Result<Filled> {
        let table = Table::from_frame(df, &self.schema)?;
        let cells = self.cells(&table, |k, _| self.value(k));
        Filled::new(df, table, cells, &self.info)
    }

    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
        check_m(m)?;
        let table = Table::from_frame(df, &self.schema)?;
        let draw = |i| self.cells(&table, |k, row| self.any_observed(k, &mut cell_stream(seed, i, row, k)));
        let draws = (0..m).map(draw).collect();
        Ok(Imputations::new(df, table, draws, &self.info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres() {
        assert_eq!(median(&[1.0, 2.0, 4.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(mode(&[1.0, 2.0, 2.0, 3.0, 3.0]), 2.0);
        assert_eq!(mode(&[5.0]), 5.0);
        assert_eq!(weighted_mean([(1.0, 1.0), (4.0, 2.0)].into_iter()), 3.0);
        assert_eq!(standard_deviation([1.0, 3.0].into_iter()), 1.0);
        assert_eq!(standard_deviation([7.0, 7.0].into_iter()), 0.0);
    }

    #[test]
    fn values_near_the_end_of_the_range_do_not_overflow() {
        let x = [1.5e308, 1.6e308, 1.7e308];
        assert!((median(&x[..2]) / 1.55e308 - 1.0).abs() < 1e-15);
        assert!((weighted_mean(x.iter().map(|&x| (x, 1.0))) / 1.6e308 - 1.0).abs() < 1e-15);
        // 1/5 + 2/5 + 2/5 of it comes to more than the whole.
        assert_eq!(weighted_mean([1.0, 2.0, 2.0].into_iter().map(|w| (f64::MAX, w))), f64::MAX);
        assert!((standard_deviation(x.into_iter()) / 0.0816496580927726e308 - 1.0).abs() < 1e-9);
    }
}
