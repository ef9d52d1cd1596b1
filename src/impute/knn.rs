//! k nearest neighbours on mixed columns.
//!
//! The distance of two rows over the columns that both have observed (scikit-learn's nan-euclidean distance):
//!
//! ```text
//! dist(a, b) = sqrt( d / |O| · Σ_{j in O} diff_j(a, b)² ),   O = columns observed in a and in b
//! diff_j² = (a_j − b_j)² / sd_j²   for numbers (sd_j = 1 unless standardised) and codes of ordinal levels
//! diff_j² = 2 · [a_j ≠ b_j]        for other levels
//! ```
//!
//! Two is the squared distance of two levels coded one-hot, and what two random rows differ by on a standardised number
//! in expectation, so that a column of levels counts about as much as a column of numbers.

mod search;

use std::sync::Arc;

use ::polars::prelude::DataFrame;
use ndarray::{Array2, ArrayView1};
use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use crate::data::polars::RowKeys;
use crate::data::schema::{Column, ColumnKind, Schema};
use crate::data::table::Table;
use crate::error::{Error, Result};
use crate::impute::mean::{MeanImputer, Strategy, standard_deviation, weighted_mean};
use crate::impute::{
    Filled, Fit, FittedInfo, Gap, Imputations, Imputer, cell_stream, check_m, check_threads, first_largest, gaps_by_row, in_pool,
    scatter, table_to_fit,
};
use search::{Donor, Search, TILES};

/// How much a neighbour counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// All alike.
    Uniform,
    /// By the inverse of its distance; those at distance zero count alone.
    #[default]
    Distance,
}

/// Configuration of the nearest-neighbour baseline.
///
/// ```
/// use lacuna::{Fit, Imputer, KnnConfig, Weights};
/// use polars::prelude::*;
/// // The example of scikit-learn's KNNImputer.
/// let df = df!(
///     "a" => [Some(1.0), Some(3.0), None, Some(8.0)],
///     "b" => [2.0, 4.0, 6.0, 8.0],
///     "c" => [None, Some(3.0), Some(5.0), Some(7.0)])?;
/// let config = KnnConfig::default().k(2).weights(Weights::Uniform).standardise(false);
/// let filled = config.fit(&df)?.fill(&df)?.frame;
/// assert_eq!(filled.column("a")?.f64()?.get(2), Some(5.5));
/// assert_eq!(filled.column("c")?.f64()?.get(0), Some(4.0));
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KnnConfig {
    /// Neighbours; at least 1. A column with fewer observed cells uses those it has.
    pub k: usize,
    /// Their weights.
    pub weights: Weights,
    /// Divide numbers by their standard deviation first.
    pub standardise: bool,
    /// Threads; all cores when `None`. The answer does not depend on it.
    pub threads: Option<usize>,
}

impl Default for KnnConfig {
    fn default() -> Self {
        KnnConfig { k: 5, weights: Weights::Distance, standardise: true, threads: None }
    }
}

impl KnnConfig {
    /// Sets the number of neighbours.
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Sets the neighbours' weights.
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// Sets whether numbers are divided by their standard deviation first.
    pub fn standardise(mut self, standardise: bool) -> Self {
        self.standardise = standardise;
        self
    }

    /// Sets the number of threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }
}

/// The fitted baseline: it keeps the fitted table.
///
/// A gap of column j is filled from its donors: the k nearest fitted rows among those with j observed that share an
/// observed column with the row; of equally near ones the earlier. Numbers get the donors' weighted mean, levels their
/// weighted vote (of equal votes the lowest code). Without a donor the column's mean or most frequent level is taken.
/// A draw takes one of the k donors at random, by its weight, for each cell by itself; without a donor, any observed value.
///
/// Only rows with gaps are compared. Cost: O(q · n · d) for q such rows, n fitted rows and d columns; memory beyond the
/// fitted table does not grow with n.
#[derive(Clone, Debug)]
pub struct KnnImputer {
    schema: Arc<Schema>,
    config: KnnConfig,
    /// (n, d) as in [`Table`].
    values: Array2<f64>,
    /// One a modelled column.
    differences: Vec<Difference>,
    /// For gaps without a donor.
    fallback: MeanImputer,
    info: FittedInfo,
}

/// How two cells of a column differ.
#[derive(Clone, Copy, Debug)]
enum Difference {
    /// Distance after division by this.
    Scaled(f64),
    /// Same or not.
    Levels,
}

impl Fit for KnnConfig {
    type Fitted = KnnImputer;

    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<KnnImputer> {
        if self.k == 0 {
            return Err(Error::config("k", 0, "at least 1"));
        }
        check_threads(self.threads)?;
        let table = table_to_fit(df, &Arc::new(schema.clone()))?;
        let fallback = MeanImputer::new(&table, Strategy::Mean);
        let columns = table.schema.modelled_columns().zip(table.values.columns());
        let difference = |(column, cells): (&Column, ArrayView1<f64>)| match column.kind {
            ColumnKind::Binary | ColumnKind::Categorical => Difference::Levels,
            _ if !self.standardise => Difference::Scaled(1.0),
            _ => {
                let sd = standard_deviation(cells.iter().copied().filter(|x| !x.is_nan()));
                Difference::Scaled(if sd > 0.0 && sd.is_finite() { sd } else { 1.0 })
            }
        };
        let differences = columns.map(difference).collect();
        let info = FittedInfo { method: "knn".into(), ..FittedInfo::default() };
        Ok(KnnImputer { schema: table.schema, config: self.clone(), values: table.values, differences, fallback, info })
    }
}

impl Imputer for KnnImputer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn fill(&self, df: &DataFrame) -> Result<Filled> {
        let table = Table::from_frame(df, &self.schema)?;
        let columns: Vec<&Column> = self.schema.modelled_columns().collect();
        let gaps = gaps_by_row(&table);
        let values = self.each_gap(&table, &gaps, |(_, k), donors| match donors {
            [] => self.fallback.value(k),
            _ if columns[k].kind.is_numeric() => weighted_mean(self.weighted(k, donors)),
            _ => {
                let mut votes = vec![0.0; columns[k].levels.len()];
                self.weighted(k, donors).for_each(|(code, weight)| votes[code as usize] += weight);
                first_largest(&votes) as f64
            }
        })?;
        let cells = scatter(&table, &gaps, values.into_iter());
        Filled::new(df, table, cells, &self.info)
    }

    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
        check_m(m)?;
        let table = Table::from_frame(df, &self.schema)?;
        let gaps = gaps_by_row(&table);
        let keys = RowKeys::default().of(df, self.schema.id.as_deref(), 0)?;
        let columns: Vec<&Column> = self.schema.modelled_columns().collect();
        let values = self.each_gap(&table, &gaps, |(row, k), donors| -> Vec<f64> {
            let one = |i| {
                let mut stream = cell_stream(seed, i, keys[row], k);
                let (low, high) = columns[k].bounds();
                let inside = self.weighted(k, donors).filter(|(x, weight)| low <= *x && *x <= high && *weight > 0.0);
                match inside.clone().next() {
                    None => self.fallback.any_observed(k, &mut stream),
                    Some(_) => one_of(inside, stream.random()),
                }
            };
            (0..m).map(one).collect()
        })?;
        let draws = (0..m).map(|i| scatter(&table, &gaps, values.iter().map(|v| v[i]))).collect();
        Ok(Imputations::new(df, table, draws, &self.info))
    }
}

/// The value at share `u` of the weights.
fn one_of(values: impl Iterator<Item = (f64, f64)> + Clone, u: f64) -> f64 {
    let mut left = u * values.clone().map(|(_, weight)| weight).sum::<f64>();
    let mut last = f64::NAN;
    for (value, weight) in values.filter(|(_, weight)| *weight > 0.0) {
        last = value;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

impl KnnImputer {
    /// `answer` for every gap, in order, given its donors, nearest first.
    fn each_gap<R: Send>(&self, table: &Table, gaps: &[Gap], answer: impl Fn(Gap, &[Donor]) -> R + Sync) -> Result<Vec<R>> {
        let rows: Vec<&[Gap]> = gaps.chunk_by(|a, b| a.0 == b.0).collect();
        let answers: Vec<Vec<R>> = in_pool(self.config.threads, || {
            let search = Search::new(&self.values, &self.differences, self.config.k);
            // A row's answer does not depend on its tile, so tiles may follow the number of threads.
            let tile = rows.len().div_ceil(4 * rayon::current_num_threads()).clamp(1, TILES);
            let answers = |rows: &[&[Gap]]| -> Vec<R> {
                let donors = search.donors(&table.values, rows);
                rows.iter().copied().flatten().zip(donors).map(|(&gap, donors)| answer(gap, &donors)).collect()
            };
            rows.par_chunks(tile).map(answers).collect()
        })?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// The donors' cells of column `k` with their weights.
    fn weighted<'a>(&'a self, k: usize, donors: &'a [Donor]) -> impl Iterator<Item = (f64, f64)> + Clone + 'a {
        // Nearest first: if any distance is zero, the first is.
        let zero = donors.first().is_some_and(|d| d.0 == 0.0);
        donors.iter().map(move |&(squared, row)| {
            let weight = match self.config.weights {
                Weights::Uniform => 1.0,
                Weights::Distance if zero => f64::from(u8::from(squared == 0.0)),
                Weights::Distance => squared.sqrt().recip(),
            };
            (self.values[(row, k)], weight)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::search::BLOCK;
    use super::*;
    use crate::data::schema::SchemaOptions;
    use ::polars::prelude::{Column as PlColumn, IntoColumn, NamedFrom, Series};

    /// Rows parted by `/`, cells by blanks, `.` for a missing one; columns named 0, 1, ….
    fn frame(text: &str) -> DataFrame {
        let rows: Vec<Vec<Option<f64>>> =
            text.split('/').map(|row| row.split_whitespace().map(|cell| cell.parse().ok()).collect()).collect();
        let column = |j: usize| -> PlColumn {
            let cells: Vec<Option<f64>> = rows.iter().map(|r| r[j]).collect();
            Series::new(j.to_string().into(), cells).into_column()
        };
        DataFrame::new(rows.len(), (0..rows[0].len()).map(column).collect()).unwrap()
    }

    /// Every column continuous, distances in data units: what scikit-learn does.
    fn plain(df: &DataFrame, config: KnnConfig) -> KnnImputer {
        let names = df.get_column_names();
        let options = names.iter().fold(SchemaOptions::default(), |o, c| o.kind(c, ColumnKind::Continuous));
        config.standardise(false).fit_with(df, &Schema::infer_with(df, &options).unwrap()).unwrap()
    }

    /// The filled cells of the rows in reading order.
    fn fills(before: &DataFrame, after: &DataFrame) -> Vec<f64> {
        let cell = |df: &DataFrame, j: usize, i: usize| df.columns()[j].f64().unwrap().get(i);
        let places = (0..before.height()).flat_map(|i| (0..before.width()).map(move |j| (j, i)));
        places.filter(|&(j, i)| cell(before, j, i).is_none()).map(|(j, i)| cell(after, j, i).unwrap()).collect()
    }

    const RANDOM: &str = "2.04 -0.51 . . / -0.45 -0.67 -2.69 -2.92 / . 2.46 . 2.33 / -0.28 -0.95 -2 -2.4 / 0.48 . 1.2 . / . . . . / \
        -0.24 . -0.13 -0.42 / -0.24 -0.5 -0.13 -0.42 / . 1.46 1.55 2.22 / -2.83 -1.81 -2.77 -4.44 / . 0.98 . -0.54 / \
        0.03 -0.03 1.38 . / 0.19 . 1.1 0.17 / 0.58 1.17 0.95 0.17";

    /// The documented example and the tables of scikit-learn's own tests, then a table with a row without any observed
    /// cell and two rows at distance zero; fills by scikit-learn 1.9.1 (`fit_transform`), where zero distances come out
    /// of rounding as 1e-8 and -0.5 as -0.49999994.
    const SCIKIT_LEARN: &[(usize, Weights, &str, &[f64])] = &[
        // documented example
        (2, Weights::Uniform, "1 2 . / 3 4 3 / . 6 5 / 8 8 7", &[4.0, 5.5]),
        // zero_nan_imputes_the_same
        (2, Weights::Uniform, "1 . 1 1 1 / 2 2 2 2 2 / 3 3 3 3 . / 6 6 . 6 6", &[2.5, 1.5, 2.5]),
        // verify
        (5, Weights::Uniform, "1 0 0 1 / 2 1 2 . / 3 2 3 . / . 4 5 5 / 6 . 6 7 / 8 8 8 8 / 16 15 18 19", &[8.0, 8.0, 4.0, 3.0]),
        // verify, too few donors
        (
            5,
            Weights::Uniform,
            "1 0 0 . / 2 1 2 . / 3 2 3 . / 4 4 5 . / 6 7 6 . / 8 8 8 . / 20 20 20 20 / 22 22 22 22",
            &[21.0, 21.0, 21.0, 21.0, 21.0, 21.0],
        ),
        // one_n_neighbors
        (1, Weights::Uniform, "0 0 / . 2 / 4 3 / 5 . / 7 7 / . 8 / 14 13", &[4.0, 3.0, 7.0]),
        // all_samples_are_neighbors
        (7, Weights::Uniform, "0 0 / . 2 / 4 3 / 5 . / 7 7 / . 8 / 14 13", &[6.25, 5.75, 6.25]),
        // weight_uniform
        (5, Weights::Uniform, "0 0 / . 2 / 4 3 / 5 6 / 7 7 / 9 8 / 11 10", &[5.0]),
        // weight_distance
        (5, Weights::Distance, "0 0 / . 2 / 4 3 / 5 6 / 7 7 / 9 8 / 11 10", &[3.850393700787402]),
        // weight_distance, two
        (2, Weights::Distance, ". 0 0 / 2 1 2 / 3 2 3 / 4 5 5", &[2.382782218537319]),
        // weight_distance, patterns
        (
            5,
            Weights::Distance,
            "1 0 0 1 / 0 . 1 . / 1 1 1 . / 0 1 0 0 / 0 0 0 0 / 1 0 1 1 / 10 10 10 10",
            &[0.42488944758883257, 0.6480080055689023, 0.7685952241464904],
        ),
        // weight_distance, more patterns
        (
            5,
            Weights::Distance,
            "0 0 0 . / 1 1 1 . / 2 2 . 2 / 3 3 3 3 / 4 4 4 4 / 5 5 5 5 / 6 6 6 6 / . 7 7 7",
            &[3.4482758620689657, 3.18978102189781, 2.3, 4.81021897810219],
        ),
        // random, distance
        (
            3,
            Weights::Distance,
            RANDOM,
            &[
                1.1818110962115564,
                -0.2672379436224223,
                0.29862051156042996,
                1.325547678404892,
                0.9276080834589495,
                0.6304815187934661,
                -0.07200000000000001,
                0.15999999999999998,
                -0.1539999999999999,
                -0.625,
                -0.5,
                0.40527554718724523,
                -0.05283681332061975,
                0.19663242318842591,
                0.07510726552645142,
                0.6136036054594759,
            ],
        ),
        // random, uniform
        (
            4,
            Weights::Uniform,
            RANDOM,
            &[
                0.8500000000000001,
                -0.7975,
                0.14,
                1.245,
                0.525,
                0.535,
                -0.07200000000000001,
                0.15999999999999998,
                -0.1539999999999999,
                -0.625,
                0.40499999999999997,
                0.31999999999999995,
                0.14,
                0.825,
                -0.155,
                0.405,
            ],
        ),
    ];

    #[test]
    fn fills_are_scikit_learns() {
        for &(k, weights, table, expected) in SCIKIT_LEARN {
            let df = frame(table);
            let filled = plain(&df, KnnConfig::default().k(k).weights(weights)).fill(&df).unwrap().frame;
            let found = fills(&df, &filled);
            assert_eq!(found.len(), expected.len(), "{table}");
            for (x, y) in found.iter().zip(expected) {
                assert!((x - y).abs() < 1e-12, "{table}: {found:?}");
            }
        }
    }

    #[test]
    fn new_rows_have_the_fitted_rows_as_donors() {
        // From scikit-learn's test_knn_imputer_verify.
        let fitted = frame("0 0 / . 2 / 4 3 / 5 6 / 7 7 / 9 8 / 11 16");
        let df = frame("1 0 / 3 2 / 4 .");
        let filled = plain(&fitted, KnnConfig::default().weights(Weights::Uniform)).fill(&df).unwrap().frame;
        assert_eq!(fills(&df, &filled), [(0.0 + 3.0 + 6.0 + 7.0 + 8.0) / 5.0]);
    }

    #[test]
    fn of_equally_near_rows_the_earlier_are_donors() {
        let df = frame("0 . / 1 5 / -1 7 / 1 9 / 3 11");
        let fill = |k| {
            let knn = plain(&df, KnnConfig::default().k(k).weights(Weights::Uniform));
            fills(&df, &knn.fill(&df).unwrap().frame)[0]
        };
        assert_eq!([fill(1), fill(2), fill(3), fill(4), fill(usize::MAX)], [5.0, 6.0, 7.0, 8.0, 8.0]);
    }

    #[test]
    fn standardised_numbers_and_levels_count_alike() {
        let df = ::polars::df!(
            "number" => [0.0, 1000.0, 3000.0, 0.0],
            "level" => ["a", "b", "a", "b"],
            "gap" => [None, Some("near"), Some("far"), Some("nearest")],
        )
        .unwrap();
        let schema = Schema::infer_with(&df, &SchemaOptions::default().kind("gap", ColumnKind::Categorical)).unwrap();
        let order = |standardise| {
            let knn = KnnConfig::default().standardise(standardise).fit_with(&df, &schema).unwrap();
            let table = Table::from_frame(&df, &knn.schema).unwrap();
            let donors = knn.each_gap(&table, &gaps_by_row(&table), |_, donors| donors.to_vec()).unwrap();
            donors[0].clone()
        };
        // Population variance of the number: 1 500 000. Two common columns.
        let squared: Vec<(usize, f64)> = order(true).iter().map(|d| (d.1, 2.0 * d.0)).collect();
        let expected = [(3, 2.0), (1, 2.0 + 1e6 / 1.5e6), (2, 9e6 / 1.5e6)];
        for (found, expected) in squared.iter().zip(expected) {
            assert_eq!(found.0, expected.0);
            assert!((found.1 - expected.1).abs() < 1e-12, "{squared:?}");
        }
        assert_eq!(order(false)[1], (0.5 * (1e6 + 2.0), 1));
    }

    #[test]
    fn levels_are_voted_for_by_weight_and_ties_go_to_the_lowest_code() {
        let df = ::polars::df!(
            "x" => [0.0, 1.0, -1.0, 4.0, 5.0],
            "level" => [None, Some("b"), Some("a"), Some("c"), Some("c")],
        )
        .unwrap();
        let fill = |k, weights| {
            let filled = KnnConfig::default().k(k).weights(weights).fit(&df).unwrap().fill(&df).unwrap();
            filled.frame.column("level").unwrap().str().unwrap().get(0).unwrap().to_string()
        };
        assert_eq!(fill(2, Weights::Uniform), "a");
        assert_eq!(fill(4, Weights::Uniform), "c");
        assert_eq!(fill(4, Weights::Distance), "a");
    }

    #[test]
    fn draws_take_donors_by_their_weight() {
        let df = frame("0 . / 1 10 / 3 20 / -300 30");
        let knn = plain(&df, KnnConfig::default().k(2));
        let drawn = knn.draw(&df, 4000, 1).unwrap();
        let first: Vec<f64> = drawn.cells("1").unwrap().1.iter().map(|cells| cells[0]).collect();
        assert!(first.iter().all(|x| [10.0, 20.0].contains(x)));
        // Weights 1 and 1/3: a share of 0.75, standard error 0.007.
        let share = first.iter().filter(|x| **x == 10.0).count() as f64 / 4000.0;
        assert!((share - 0.75).abs() < 0.03, "{share}");
        // Without a donor, any observed value.
        let empty = frame(". . / 0 .");
        let lonely = knn.draw(&empty, 400, 1).unwrap();
        let any: Vec<f64> = lonely.cells("1").unwrap().1.iter().map(|cells| cells[0]).collect();
        assert!([10.0, 20.0, 30.0].iter().all(|x| any.contains(x)));
    }

    #[test]
    fn many_rows_go_through_blocks_and_tiles_as_one_by_one() {
        // Several blocks and tiles, the last of each incomplete.
        let n = 3 * BLOCK + 13;
        let mut stream = cell_stream(0, 0, 0, 0);
        let columns = ["a", "b", "c"].map(|name| {
            let cells: Vec<Option<f64>> = (0..n).map(|_| (stream.random::<f64>() < 0.8).then(|| stream.random())).collect();
            Series::new(name.into(), cells).into_column()
        });
        let df = DataFrame::new(n, columns.into()).unwrap();
        let knn = KnnConfig::default().threads(2).fit(&df).unwrap();
        let table = Table::from_frame(&df, &knn.schema).unwrap();
        let gaps = gaps_by_row(&table);
        let found = knn.each_gap(&table, &gaps, |_, donors| donors.to_vec()).unwrap();
        let squared = |a: usize, b: usize| {
            let cells = (0..3).map(|k| (knn.values[(a, k)], knn.values[(b, k)], &knn.differences[k]));
            let terms = cells.filter(|(x, y, _)| !x.is_nan() && !y.is_nan());
            let (sum, common) = terms.fold((0.0, 0.0), |(sum, common), (x, y, difference)| match difference {
                Difference::Scaled(unit) => (sum + (x / unit - y / unit).powi(2), common + 1.0),
                Difference::Levels => unreachable!("numbers only"),
            });
            sum / common
        };
        for (&(row, k), found) in gaps.iter().zip(&found) {
            let donors = (0..n).filter(|&b| !knn.values[(b, k)].is_nan()).map(|b| (squared(row, b), b));
            let mut donors: Vec<Donor> = donors.filter(|d| !d.0.is_nan()).collect();
            donors.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            donors.truncate(5);
            assert_eq!(found, &donors, "row {row}");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let df = frame("0 . / 1 10 / 3 20");
        let wrong = [
            (KnnConfig::default().k(0), "k is 0; it must be at least 1"),
            (KnnConfig::default().threads(0), "threads is 0; it must be from 1 to 1024"),
            (KnnConfig::default().threads(1025), "threads is 1025; it must be from 1 to 1024"),
        ];
        for (config, message) in wrong {
            let e = config.fit(&df).unwrap_err();
            assert_eq!(e.to_string(), message);
            assert!(e.is_usage());
        }
    }
}
