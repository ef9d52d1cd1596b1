//! Cells hidden on purpose: MCAR, MAR, MNAR.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use ::polars::prelude::DataFrame;
use arrow::record_batch::RecordBatch;
use ndarray::{Array2, ArrayView1, Zip};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::{IndexedRandom, SliceRandom};
use ndarray_rand::rand_distr::StandardNormal;

use crate::data::arrow::fill::clear_batch;
use crate::data::csv::CsvTable;
use crate::data::polars::clear_cells;
use crate::data::schema::{Column, ColumnKind, Schema};
use crate::data::table::Table;
use crate::error::{Error, Result, count};
use crate::evaluate::patterns::{self, Curve, Pattern};
use crate::impute::mean::{standard_deviation, weighted_mean};
use crate::rng::{Purpose, Stream, stream};

/// What the chance of a cell being missing depends on (Rubin 1976).
///
/// The scores of a column's cells are its standardised values, clipped to ±3 so that one outlier does not dominate (binary
/// and categorical columns: one standard normal number a level, standardised); a missing cell scores 0.
///
/// - `mcar`, completely at random: on nothing. Every cell is hidden with the same probability.
/// - `mar`, at random: on cells that stay. 30 % of the columns (at least one) are drawn and lose nothing; in each other
///   column a cell is hidden with probability σ(w·s + b), s the row's scores in the columns that stay, w normal.
/// - `mnar`, not at random: on the cell itself. It is hidden with probability σ(±s + b), s its own score, one sign a column.
///
/// The intercept b of each column meets the share asked for, by bisection; under `mar` the columns that lose cells lose so
/// many more that the table as a whole meets it, 95 % of their cells at most. These are the masks of Muzellec et al. (2020),
/// "Missing data imputation using optimal transport", section 5; van Buuren's `ampute` (Schouten, Lugtig & Vink 2018) hides
/// by weighted sums of scores in the same manner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// Missing completely at random.
    #[default]
    Mcar,
    /// Missing at random, given the observed cells.
    Mar,
    /// Missing not at random.
    Mnar,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mechanism::Mcar => "mcar",
            Mechanism::Mar => "mar",
            Mechanism::Mnar => "mnar",
        })
    }
}

impl FromStr for Mechanism {
    type Err = Error;

    fn from_str(s: &str) -> Result<Mechanism> {
        match s {
            "mcar" => Ok(Mechanism::Mcar),
            "mar" => Ok(Mechanism::Mar),
            "mnar" => Ok(Mechanism::Mnar),
            _ => Err(Error::config("mechanism", format!("'{s}'"), "one of mcar, mar, mnar")),
        }
    }
}

/// A frame with cells hidden on purpose.
#[derive(Clone, Debug)]
pub struct Amputed {
    /// The frame with the hidden cells empty; its schema and every other cell are the input's.
    pub frame: DataFrame,
    schema: Arc<Schema>,
    /// Hidden rows, one entry a column of the schema.
    rows: Vec<Vec<usize>>,
}

impl Amputed {
    /// The rows whose cell of this column was hidden: 0-based, ascending.
    pub fn hidden(&self, column: &str) -> Option<&[usize]> {
        let j = self.schema.columns().iter().position(|c| c.name() == column)?;
        Some(&self.rows[j])
    }

    /// Cells hidden, over all columns.
    pub fn cells(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Writes the CSV file that the frame came from with `gap` (empty, or a text that is read as missing) in the hidden cells; every
    /// other byte stays.
    ///
    /// # Errors
    /// The frame did not come from this file; writing fails.
    pub fn write_csv(&self, csv: &CsvTable, gap: &str, out: impl Write) -> Result<()> {
        csv.check_rows(self.frame.height())?;
        let rows: Vec<&[usize]> = csv.header().iter().map(|name| self.hidden(name).unwrap_or_default()).collect();
        csv.write_emptied(&rows, gap, out)
    }

    /// The batch that the frame was made from, by [`to_frame`](crate::data::arrow::to_frame), with the hidden cells null. Columns
    /// that lost cells become nullable; every other cell and the rest of the schema stay.
    ///
    /// # Errors
    /// The frame did not come from this batch.
    pub fn to_record_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let hidden = |name: &str| self.hidden(name).unwrap_or_default();
        clear_batch(batch, &self.frame, hidden)
    }
}

/// What [`ampute_with`] hides.
///
/// ```
/// use lacuna::evaluate::{AmputeOptions, Mechanism, Pattern, ampute_with};
/// use lacuna::Schema;
/// use polars::prelude::*;
/// let x: Vec<f64> = (0..1000).map(f64::from).collect();
/// let df = df!("age" => &x, "income" => &x, "rent" => &x)?;
/// let options = AmputeOptions {
///     mechanism: Mechanism::Mar,
///     share: 0.4,
///     patterns: vec![Pattern::new(["income"]), Pattern::new(["income", "rent"]).weight("age", 1.0)],
///     ..AmputeOptions::default()
/// };
/// let amputed = ampute_with(&df, &Schema::infer(&df)?, &options)?;
/// let income = amputed.hidden("income").unwrap().len();
/// assert!((income as f64 / 1000.0 - 0.4).abs() < 0.05);
/// assert_eq!(amputed.hidden("age"), Some(&[][..]));
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct AmputeOptions {
    /// What a loss depends on.
    pub mechanism: Mechanism,
    /// Without patterns the share of the observed cells that is hidden, by [`Mechanism`]'s law; with patterns the share of the
    /// rows that lose their pattern.
    pub share: f64,
    /// The seed.
    pub seed: u64,
    /// The columns that a row loses together. Each row is up for one pattern, drawn by frequency; its score is the weighted sum of
    /// its columns' scores, standardised over the pattern's rows, and it loses the pattern with probability σ(c(score) + b), b such
    /// that the share is met (Schouten, Lugtig & Vink 2018, mice's `ampute`). Nothing is shown again: a pattern may empty a row.
    pub patterns: Vec<Pattern>,
    /// How the chance follows the score. When `None`: [`Curve::Right`], and without patterns under `mnar` right or left at random,
    /// column by column.
    pub curve: Option<Curve>,
    /// A table that has gaps already is amputed too; else it is an error, because the gaps of the result would have two origins.
    pub allow_gaps: bool,
}

impl Default for AmputeOptions {
    fn default() -> AmputeOptions {
        let (mechanism, patterns) = (Mechanism::Mcar, Vec::new());
        AmputeOptions { mechanism, share: 0.2, seed: 0, patterns, curve: None, allow_gaps: false }
    }
}

/// Hides a share of the observed cells, in the columns that an imputer under this schema fills; gaps that the table has stay.
///
/// A row keeps one observed cell at least and a column two distinct values, if they had so many; hence a table of few
/// rows or columns can lose less than its share. The same seed hides the same cells.
///
/// ```
/// use lacuna::evaluate::{Mechanism, ampute};
/// use lacuna::Schema;
/// use polars::prelude::*;
/// let x: Vec<f64> = (0..1000).map(f64::from).collect();
/// let df = df!("x" => &x, "y" => &x)?;
/// let amputed = ampute(&df, &Schema::infer(&df)?, Mechanism::Mnar, 0.1, 1)?;
/// assert_eq!(amputed.frame.column("x")?.null_count(), amputed.hidden("x").unwrap().len());
/// assert!((amputed.cells() as f64 / 2000.0 - 0.1).abs() < 0.03);
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// A share outside (0, 1); `mar` on fewer than two modelled columns; a frame that does not fit the schema.
pub fn ampute(df: &DataFrame, schema: &Schema, mechanism: Mechanism, share: f64, seed: u64) -> Result<Amputed> {
    ampute_with(df, schema, &AmputeOptions { mechanism, share, seed, allow_gaps: true, ..AmputeOptions::default() })
}

/// Hides cells as [`ampute`] does, or whole patterns of them: see [`AmputeOptions`].
///
/// # Errors
/// As [`ampute`]; a table with gaps, unless they are allowed; a pattern that names no column, a column that no imputer fills, or
/// weights that contradict the mechanism.
pub fn ampute_with(df: &DataFrame, schema: &Schema, options: &AmputeOptions) -> Result<Amputed> {
    let AmputeOptions { mechanism, share, .. } = *options;
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::config("share", share, "above 0 and below 1"));
    }
    let schema = Arc::new(schema.clone());
    let table = Table::from_frame(df, &schema)?;
    if !options.allow_gaps {
        let missing = &table.gaps.missing;
        if let Some((column, cells)) = schema.columns().iter().zip(missing).find(|(_, cells)| **cells > 0) {
            let of_all = count(missing.iter().sum(), "missing cell");
            return Err(Error::schema(format!(
                "the table has {of_all} already, {cells} of them in column `{}`; fill it first, or pass --allow-gaps",
                column.name()
            )));
        }
    }
    // One stream a column, and one more for what concerns no single column.
    let mut streams: Vec<Stream> = (0..table.d() as u64).map(|k| stream(options.seed, Purpose::Ampute, k)).collect();
    let mut across = stream(options.seed, Purpose::Ampute, table.d() as u64);
    let mut rows = vec![Vec::new(); schema.columns().len()];
    if options.patterns.is_empty() {
        let hidden = choose(&table, mechanism, (share, options.curve), &mut streams, &mut across)?;
        for (&j, column) in schema.modelled().iter().zip(hidden.columns()) {
            rows[j] = (0..table.n()).filter(|&i| column[i]).collect();
        }
    } else {
        let by = (options.patterns.as_slice(), options.curve.unwrap_or_default());
        let hidden = patterns::choose(&table, mechanism, share, by, &mut streams, &mut across)?;
        schema.modelled().iter().zip(hidden).for_each(|(&j, hidden)| rows[j] = hidden);
    }
    let frame = clear_cells(df, &schema, &rows)?;
    Ok(Amputed { frame, schema, rows })
}

/// (n, d): the cells to hide.
fn choose(
    table: &Table,
    mechanism: Mechanism,
    (share, curve): (f64, Option<Curve>),
    streams: &mut [Stream],
    across: &mut Stream,
) -> Result<Array2<bool>> {
    let (n, d) = (table.n(), table.d());
    let columns: Vec<&Column> = table.schema.modelled_columns().collect();
    let observed = table.values.mapv(|x| !x.is_nan());

    let mut losing: Vec<usize> = (0..d).filter(|&k| columns[k].asked).collect();
    let mut staying = Vec::new();
    let cells_in = |ks: &[usize]| ks.iter().map(|&k| observed.column(k).iter().filter(|o| **o).count()).sum::<usize>();
    let mut share = share;
    if mechanism == Mechanism::Mar && d > 0 {
        let all = cells_in(&losing) as f64;
        let mut order: Vec<usize> = (0..d).collect();
        order.shuffle(across);
        staying = order[..((0.3 * d as f64).round() as usize).max(1)].to_vec();
        staying.sort_unstable();
        losing.retain(|k| !staying.contains(k));
        if losing.is_empty() {
            return Err(Error::config("mechanism", "mar", "mcar or mnar: mar needs two modelled columns"));
        }
        share = (share * all / cells_in(&losing).max(1) as f64).min(0.95);
    }
    let scores: Vec<Vec<f64>> = match mechanism {
        Mechanism::Mcar => Vec::new(),
        _ => (0..d).map(|k| scores(columns[k], table.values.column(k), &mut streams[k])).collect(),
    };

    let mut hidden = Array2::from_elem((n, d), false);
    for &k in &losing {
        let stream = &mut streams[k];
        let mut slope: Vec<f64> = match mechanism {
            Mechanism::Mcar => vec![0.0; n],
            Mechanism::Mar => {
                let mut sum = vec![0.0; n];
                for &s in &staying {
                    let weight: f64 = stream.sample(StandardNormal);
                    sum.iter_mut().zip(&scores[s]).for_each(|(sum, score)| *sum += weight * score);
                }
                standardise(&mut sum);
                sum
            }
            Mechanism::Mnar => {
                let sign = if stream.random() || curve.is_some() { 1.0 } else { -1.0 };
                scores[k].iter().map(|score| sign * score).collect()
            }
        };
        if let (Some(curve), false) = (curve, mechanism == Mechanism::Mcar) {
            slope.iter_mut().for_each(|x| *x = curve.of(*x));
        }
        let b = intercept(slope.iter().zip(observed.column(k)).filter(|(_, o)| **o).map(|(x, _)| *x), share);
        for i in 0..n {
            let u: f64 = stream.random();
            hidden[(i, k)] = observed[(i, k)] && u < sigmoid(slope[i] + b);
        }
    }
    give_back(&table.values, &mut hidden, across);
    Ok(hidden)
}

/// A column's standardised scores; 0 where missing.
pub(super) fn scores(column: &Column, cells: ArrayView1<f64>, stream: &mut Stream) -> Vec<f64> {
    let mut scores = cells.to_vec();
    if matches!(column.kind, ColumnKind::Binary | ColumnKind::Categorical) {
        let levels: Vec<f64> = column.levels.iter().map(|_| stream.sample(StandardNormal)).collect();
        scores.iter_mut().filter(|x| !x.is_nan()).for_each(|x| *x = levels[*x as usize]);
    }
    standardise(&mut scores);
    scores.iter_mut().for_each(|x| *x = x.clamp(-3.0, 3.0));
    scores
}

/// Location 0 and scale 1 over the cells that are not NaN; these become 0, and so do all where there is no spread.
pub(super) fn standardise(x: &mut [f64]) {
    let seen = || x.iter().copied().filter(|x| !x.is_nan());
    let (mean, sd) =
        if seen().next().is_none() { (0.0, 0.0) } else { (weighted_mean(seen().map(|x| (x, 1.0))), standard_deviation(seen())) };
    x.iter_mut().for_each(|x| *x = if sd > 0.0 && !x.is_nan() { (*x - mean) / sd } else { 0.0 });
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// b such that the mean of σ(x + b) is `share`.
pub(super) fn intercept(slope: impl Iterator<Item = f64> + Clone, share: f64) -> f64 {
    let n = slope.clone().count() as f64;
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        let mean = slope.clone().map(|x| sigmoid(x + middle)).sum::<f64>() / n;
        if mean < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Shows hidden cells again, at random, until every row keeps an observed cell and every column two distinct values.
fn give_back(values: &Array2<f64>, hidden: &mut Array2<bool>, stream: &mut Stream) {
    Zip::from(values.rows()).and(hidden.rows_mut()).for_each(|values, mut hidden| {
        let lost: Vec<usize> = (0..hidden.len()).filter(|&k| hidden[k]).collect();
        let kept = values.iter().zip(&hidden).any(|(x, h)| !x.is_nan() && !h);
        if let (false, Some(&k)) = (kept, lost.choose(stream)) {
            hidden[k] = false;
        }
    });
    Zip::from(values.columns()).and(hidden.columns_mut()).for_each(|values, mut hidden| {
        let mut lost: Vec<usize> = (0..hidden.len()).filter(|&i| hidden[i]).collect();
        lost.shuffle(stream);
        let shown = values.iter().zip(&hidden).filter(|(x, h)| !x.is_nan() && !**h).map(|(x, _)| *x);
        let mut kept: Vec<f64> = shown.collect();
        kept.dedup();
        kept.truncate(2);
        for i in lost {
            match kept.as_slice() {
                [_, _, ..] => break,
                [only] if *only == values[i] => {}
                _ => {
                    kept.push(values[i]);
                    hidden[i] = false;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::SchemaOptions;
    use ::polars::prelude::{DataType, IntoColumn, NamedFrom, Series};

    const N: usize = 4000;

    /// Four columns of numbers and one of levels, 10 % missing, the last standing for its row alone.
    fn frame() -> DataFrame {
        let mut stream = stream(7, Purpose::Ampute, 99);
        let mut columns: Vec<_> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|name| {
                let cell = |_| (stream.random::<f64>() < 0.9).then(|| stream.sample::<f64, _>(StandardNormal));
                Series::new(name.into(), (0..N).map(cell).collect::<Vec<Option<f64>>>()).into_column()
            })
            .collect();
        let level = |_| (stream.random::<f64>() < 0.9).then(|| ["u", "v", "w"][stream.random_range(0..3)]);
        columns.push(Series::new("e".into(), (0..N).map(level).collect::<Vec<Option<&str>>>()).into_column());
        DataFrame::new(N, columns).unwrap()
    }

    fn run(df: &DataFrame, mechanism: Mechanism, share: f64, seed: u64) -> Amputed {
        ampute(df, &Schema::infer(df).unwrap(), mechanism, share, seed).unwrap()
    }

    fn nulls(df: &DataFrame) -> usize {
        df.columns().iter().map(|c| c.null_count()).sum()
    }

    #[test]
    fn the_share_of_observed_cells_is_met() {
        let df = frame();
        let observed = (5 * N - nulls(&df)) as f64;
        for mechanism in [Mechanism::Mcar, Mechanism::Mar, Mechanism::Mnar] {
            for share in [0.1, 0.3, 0.5] {
                let amputed = run(&df, mechanism, share, 1);
                let met = amputed.cells() as f64 / observed;
                // Standard error of a share of 18 000 cells: 0.004 at most.
                assert!((met - share).abs() < 0.02, "{mechanism} {share}: {met}");
                assert_eq!(nulls(&amputed.frame), nulls(&df) + amputed.cells());
                assert_eq!(amputed.frame.schema(), df.schema());
            }
        }
    }

    #[test]
    fn mar_hides_by_cells_that_stay() {
        let df = frame();
        let amputed = run(&df, Mechanism::Mar, 0.3, 2);
        let lost = |name: &str| !amputed.hidden(name).unwrap().is_empty();
        assert_eq!(["a", "b", "c", "d", "e"].iter().filter(|name| lost(name)).count(), 3);
        let mean_over = |column: &str, rows: &[usize]| {
            let x = df.column(column).unwrap().f64().unwrap();
            let seen: Vec<f64> = rows.iter().filter_map(|&i| x.get(i)).collect();
            seen.iter().sum::<f64>() / seen.len() as f64
        };
        // The hidden rows of some column stand out in a column that stays, and in no column itself.
        let (losing, staying): (Vec<&str>, Vec<&str>) = ["a", "b", "c", "d"].iter().partition(|name| lost(name));
        let mut largest: f64 = 0.0;
        for column in losing {
            let rows = amputed.hidden(column).unwrap();
            assert!(mean_over(column, rows).abs() < 0.12, "{column}");
            largest = staying.iter().fold(largest, |m, stays| m.max(mean_over(stays, rows).abs()));
        }
        assert!(largest > 0.3, "{largest}");
    }

    #[test]
    fn mnar_hides_by_the_cell_itself() {
        let df = frame();
        let (mcar, mnar) = (run(&df, Mechanism::Mcar, 0.3, 3), run(&df, Mechanism::Mnar, 0.3, 3));
        for column in ["a", "b", "c", "d"] {
            let mean = |amputed: &Amputed| {
                let x = df.column(column).unwrap().f64().unwrap();
                let rows = amputed.hidden(column).unwrap();
                rows.iter().map(|&i| x.get(i).unwrap()).sum::<f64>() / rows.len() as f64
            };
            assert!(mean(&mcar).abs() < 0.15, "{column}");
            assert!(mean(&mnar).abs() > 0.4, "{column}");
        }
    }

    #[test]
    fn rows_keep_a_cell_and_columns_two_values() {
        let df = ::polars::df!(
            "x" => [Some(1.0), Some(1.0), Some(2.0), None, None],
            "y" => [None, Some(5.0), None, Some(6.0), None],
        )
        .unwrap();
        for seed in 0..50 {
            let amputed = run(&df, Mechanism::Mcar, 0.99, seed);
            let [x, y] = ["x", "y"].map(|c| amputed.frame.column(c).unwrap().f64().unwrap().clone());
            // Rows 0, 2, 3 have one cell, which stays; row 1 loses one of two where y keeps its two values: x's.
            assert_eq!(x.iter().collect::<Vec<_>>()[2..], [Some(2.0), None, None]);
            assert_eq!((x.get(0), y.get(1), y.get(3)), (Some(1.0), Some(5.0), Some(6.0)));
            assert!(amputed.cells() <= 1);
        }
        assert!((0..50).any(|seed| run(&df, Mechanism::Mcar, 0.99, seed).cells() == 1));
    }

    #[test]
    fn cells_follow_the_seed_and_the_columns_names() {
        let df = frame();
        let turned = df.select(["e", "c", "a", "d", "b"]).unwrap();
        for mechanism in [Mechanism::Mcar, Mechanism::Mar, Mechanism::Mnar] {
            let hidden = |df: &DataFrame, seed| {
                let amputed = run(df, mechanism, 0.2, seed);
                ["a", "b", "c", "d", "e"].map(|c| amputed.hidden(c).unwrap().to_vec())
            };
            assert_eq!(hidden(&df, 1), hidden(&df, 1));
            assert_eq!(hidden(&df, 1), hidden(&turned, 1));
            assert_ne!(hidden(&df, 1), hidden(&df, 2));
        }
    }

    #[test]
    fn only_columns_to_be_filled_lose_cells() {
        let df = frame();
        let schema = Schema::infer_with(&df, &SchemaOptions::default().only("a").only("e").exclude("b")).unwrap();
        let amputed = ampute(&df, &schema, Mechanism::Mcar, 0.2, 1).unwrap();
        let lost: Vec<bool> = ["a", "b", "c", "d", "e"].map(|c| !amputed.hidden(c).unwrap().is_empty()).to_vec();
        assert_eq!(lost, [true, false, false, false, true]);
        assert_eq!(amputed.hidden("f"), None);
    }

    #[test]
    fn a_categorical_column_stays_categorical() {
        let mut df = frame();
        let categories = ::polars::prelude::Categories::global();
        let e = df.column("e").unwrap().cast(&DataType::from_categories(categories)).unwrap();
        df.with_column(e).unwrap();
        let amputed = run(&df, Mechanism::Mcar, 0.2, 1);
        assert_eq!(amputed.frame.schema(), df.schema());
        assert_eq!(
            amputed.frame.column("e").unwrap().null_count(),
            df.column("e").unwrap().null_count() + amputed.hidden("e").unwrap().len()
        );
    }

    #[test]
    fn bad_settings_are_named() {
        let df = frame();
        let schema = Schema::infer(&df).unwrap();
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(ampute(&df, &schema, Mechanism::Mcar, share, 0).unwrap_err().is_usage());
        }
        let one = df.select(["a"]).unwrap();
        let e = ampute(&one, &Schema::infer(&one).unwrap(), Mechanism::Mar, 0.2, 0).unwrap_err();
        assert!(e.is_usage(), "{e}");
        assert!("rubin".parse::<Mechanism>().unwrap_err().is_usage());
        for mechanism in [Mechanism::Mcar, Mechanism::Mar, Mechanism::Mnar] {
            assert_eq!(mechanism.to_string().parse::<Mechanism>().unwrap(), mechanism);
        }
    }
}
