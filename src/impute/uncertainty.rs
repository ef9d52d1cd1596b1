//! How sure the draws are of each filled cell, and the columns that say so beside the filled ones.

use std::collections::{HashMap, HashSet};

use ::polars::prelude::{
    BooleanChunked, DataFrame, DataType, Float64Chunked, IntoColumn, IntoSeries, NewChunkedArray, PlSmallStr, Series, TimeUnit,
};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::data::arrow::to_batch;
use crate::data::csv::{Appended, CsvTable};
use crate::data::polars::write_column;
use crate::data::schema::Schema;
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, Result};
use crate::impute::Imputations;

/// How sure the draws are of the filled cells of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnUncertainty {
    /// Its name.
    pub column: String,
    /// The rows of its filled cells, 0-based, ascending.
    pub rows: Vec<usize>,
    /// What the draws of these cells say, in the same order.
    pub spread: Spread,
}

/// The spread of drawn cells.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// Of numbers, in the units of [`Imputations::cells`].
    Number {
        /// Standard deviation of the draws.
        sd: Vec<f64>,
        /// Lower end of the interval: a drawn value.
        low: Vec<f64>,
        /// Upper end of the interval: a drawn value.
        high: Vec<f64>,
    },
    /// Of levels: the share of the draws that have each, in the order of [`Column::levels`](crate::Column::levels).
    Level {
        /// One list a cell, summing to 1.
        probability: Vec<Vec<f64>>,
    },
}

impl Imputations {
    /// What the draws say of each filled cell: standard deviation and interval of a number, probability of every level.
    ///
    /// The interval goes from the k-th smallest draw to the k-th largest, k = ⌊(1 − `interval`)/2 · (m + 1)⌋, so that one more
    /// draw falls inside with a probability of `interval` or a little more, whatever its distribution (Wilks 1941).
    ///
    /// These are Monte Carlo figures. With m draws, an sd of about normal cells is off by a share of 1/√(2(m − 1)) (one
    /// standard error; 7 % at m = 100), a probability p by √(p(1 − p)/m) (0.05 at most).
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig, Spread};
    /// use polars::prelude::*;
    /// let df = df!("smoker" => [Some("no"), None, Some("no"), Some("yes"), Some("no")])?;
    /// let draws = MeanConfig::default().fit(&df)?.draw(&df, 1000, 0)?;
    /// let Spread::Level { probability } = &draws.uncertainty(0.9)?[0].spread else { panic!() };
    /// assert!((probability[0][0] - 0.75).abs() < 0.05); // "no"
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// `interval` not between 0 and 1; fewer draws than [`Imputations::least_draws`], 19 at 0.9.
    pub fn uncertainty(&self, interval: f64) -> Result<Vec<ColumnUncertainty>> {
        let m = self.m();
        let least = Imputations::least_draws(interval)?;
        if m < least {
            return Err(Error::config("m", m, format!("at least {least} for an interval of {interval}")));
        }
        let k = tail(interval, m);
        let of_column = |(j, rows): (usize, &Vec<usize>)| {
            let column = &self.schema.columns()[j];
            let drawn = |gap: usize| self.draws.iter().map(move |cells| cells[j][gap]);
            let spread = if column.kind().has_levels() {
                let shares = |gap| {
                    let mut counts = vec![0.0; column.levels().len()];
                    drawn(gap).for_each(|code| counts[code as usize] += 1.0 / m as f64);
                    counts
                };
                Spread::Level { probability: (0..rows.len()).map(shares).collect() }
            } else {
                let (mut sd, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
                for gap in 0..rows.len() {
                    let mut sorted: Vec<f64> = drawn(gap).collect();
                    sorted.sort_by(f64::total_cmp);
                    sd.push(standard_deviation(&sorted));
                    low.push(sorted[k - 1]);
                    high.push(sorted[m - k]);
                }
                Spread::Number { sd, low, high }
            };
            ColumnUncertainty { column: column.name().to_string(), rows: rows.clone(), spread }
        };
        Ok(self.gaps.rows.iter().enumerate().filter(|(_, rows)| !rows.is_empty()).map(of_column).collect())
    }

    /// The fewest draws from which [`Imputations::uncertainty`] gives this interval: 2/(1 − `interval`) − 1, at least 2.
    ///
    /// # Errors
    /// `interval` not between 0 and 1.
    pub fn least_draws(interval: f64) -> Result<usize> {
        if !(interval > 0.0 && interval < 1.0) {
            return Err(Error::config("interval", interval, "between 0 and 1"));
        }
        Ok(((2.0 / (1.0 - interval) - 1.0 - 1e-6).ceil() as usize).max(2))
    }
}

/// Draws beyond each end of the interval, and the one at it.
fn tail(interval: f64, m: usize) -> usize {
    // 0.1 / 2 · 20 is a little less than 1 in binary.
    ((1.0 - interval) / 2.0 * (m + 1) as f64 + 1e-9).floor() as usize
}

/// Of two values or more. They are scaled first, so that the squares of the largest numbers stay finite.
fn standard_deviation(x: &[f64]) -> f64 {
    let scale = x.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    if scale == 0.0 {
        return 0.0;
    }
    let n = x.len() as f64;
    let mean = x.iter().map(|x| x / scale / n).sum::<f64>();
    scale * (x.iter().map(|x| (x / scale - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

/// A column beside those of the table: of which it tells, and what.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    name: String,
    /// The column's place in the schema.
    of: usize,
    what: What,
}

/// Missing has an entry a row, the others one a filled cell.
#[derive(Clone, Debug)]
enum What {
    Missing(Vec<bool>),
    Sd(Vec<f64>),
    Low(Vec<f64>, f64),
    High(Vec<f64>, f64),
    Probability(Vec<f64>),
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            What::Missing(_) => "missing",
            What::Sd(_) => "sd",
            What::Low(..) => "low",
            What::High(..) => "high",
            What::Probability(_) => "probability",
        }
    }
}

impl Added {
    fn new(schema: &Schema, of: usize, what: What) -> Added {
        Added { name: format!("{}_{}", schema.columns()[of].name(), what.name()), of, what }
    }

    fn series(&self, frame: &DataFrame, schema: &Schema, gaps: &Gaps) -> Result<Series> {
        let (rows, name): (_, PlSmallStr) = (&gaps.rows[self.of], self.name.as_str().into());
        let column = &schema.columns()[self.of];
        let dtype = frame.column(column.name())?.dtype();
        let numbers = |values: &[f64]| {
            let mut all = vec![None; frame.height()];
            rows.iter().zip(values).for_each(|(&row, x)| all[row] = Some(*x));
            Float64Chunked::from_iter_options(name.clone(), all.into_iter()).into_series()
        };
        Ok(match &self.what {
            What::Missing(missing) => BooleanChunked::from_iter_options(name, missing.iter().map(|x| Some(*x))).into_series(),
            What::Sd(values) | What::Probability(values) => numbers(values),
            What::Low(values, _) | What::High(values, _) => {
                write_column(&Series::full_null(name, frame.height(), dtype), column, rows, values)?
            }
        })
    }
}

/// What the standard deviation is told in: days for dates, seconds for times, the column's own unit for numbers.
fn sd_unit(dtype: &DataType) -> f64 {
    match dtype {
        DataType::Time | DataType::Datetime(TimeUnit::Nanoseconds, _) | DataType::Duration(TimeUnit::Nanoseconds) => 1e-9,
        DataType::Datetime(TimeUnit::Microseconds, _) | DataType::Duration(TimeUnit::Microseconds) => 1e-6,
        DataType::Datetime(TimeUnit::Milliseconds, _) | DataType::Duration(TimeUnit::Milliseconds) => 1e-3,
        _ => 1.0,
    }
}

/// `COLUMN_missing` of every column of the schema with a missing cell in the frame, which may be filled or not.
pub(crate) fn indicator(frame: &DataFrame, schema: &Schema, gaps: &Gaps) -> Result<Vec<Added>> {
    let mut added = Vec::new();
    for (of, column) in schema.columns().iter().enumerate().filter(|(j, _)| gaps.missing[*j] > 0) {
        let cells = frame.column(column.name())?.as_materialized_series();
        let mut missing: Vec<bool> = match cells.dtype() {
            DataType::Float32 | DataType::Float64 => {
                cells.cast(&DataType::Float64)?.f64()?.iter().map(|x| x.is_none_or(f64::is_nan)).collect()
            }
            _ => cells.is_null().iter().map(|x| x == Some(true)).collect(),
        };
        gaps.rows[of].iter().for_each(|&row| missing[row] = true);
        added.push(Added::new(schema, of, What::Missing(missing)));
    }
    Ok(added)
}

/// The columns of a frame's uncertainty; `cells` are its fills.
pub(crate) fn spreads(
    columns: &[ColumnUncertainty],
    interval: f64,
    frame: &DataFrame,
    schema: &Schema,
    cells: &Cells,
) -> Result<Vec<Added>> {
    let mut added = Vec::new();
    for (of, column) in schema.columns().iter().enumerate() {
        let Some(found) = columns.iter().find(|u| u.column == column.name()) else { continue };
        match &found.spread {
            Spread::Number { sd, low, high } => {
                let unit = sd_unit(frame.column(column.name())?.dtype());
                added.extend([
                    Added::new(schema, of, What::Sd(sd.iter().map(|x| x * unit).collect())),
                    Added::new(schema, of, What::Low(low.clone(), interval)),
                    Added::new(schema, of, What::High(high.clone(), interval)),
                ]);
            }
            Spread::Level { probability } => {
                let of_fill = probability.iter().zip(&cells[of]).map(|(p, code)| p.get(*code as usize).copied().unwrap_or(0.0));
                added.push(Added::new(schema, of, What::Probability(of_fill.collect())));
            }
        }
    }
    Ok(added)
}

/// The frame with further columns at its end.
pub(crate) fn appended(frame: &DataFrame, added: &[Added], schema: &Schema, gaps: &Gaps) -> Result<DataFrame> {
    let mut names: HashSet<&str> = frame.get_column_names().into_iter().map(|n| n.as_str()).collect();
    if let Some(taken) = added.iter().find(|a| !names.insert(&a.name)) {
        return Err(Error::schema(format!("column `{}` has the name of one to be added; rename it", taken.name)));
    }
    let columns = added.iter().map(|a| Ok(a.series(frame, schema, gaps)?.into_column())).collect::<Result<Vec<_>>>()?;
    Ok(frame.hstack(&columns)?)
}

/// The batch with the frame's added columns at its end. Their fields say `lacuna.of`, the column that they tell of,
/// `lacuna.what`, and of an interval's ends `lacuna.interval`.
pub(crate) fn beside(batch: RecordBatch, frame: &DataFrame, added: &[Added], schema: &Schema) -> Result<RecordBatch> {
    if added.is_empty() {
        return Ok(batch);
    }
    let extra = to_batch(&frame.select(added.iter().map(|a| a.name.as_str()))?)?;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    for (field, a) in extra.schema().fields().iter().zip(added) {
        let mut metadata = HashMap::from([
            ("lacuna.of".to_string(), schema.columns()[a.of].name().to_string()),
            ("lacuna.what".to_string(), a.what.name().to_string()),
        ]);
        if let What::Low(_, interval) | What::High(_, interval) = a.what {
            metadata.insert("lacuna.interval".into(), interval.to_string());
        }
        fields.push(Field::clone(field).with_metadata(metadata).into());
    }
    let schema = ArrowSchema::new_with_metadata(fields, batch.schema().metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let arrays = [batch.columns(), extra.columns()].concat();
    Ok(RecordBatch::try_new_with_options(schema.into(), arrays, &options)?)
}

/// The added columns as texts of a CSV file: an interval's ends as their column writes its own, the figures with four
/// significant digits if rounded.
pub(crate) fn csv_columns(added: &[Added], csv: &CsvTable, schema: &Schema, gaps: &Gaps, round: bool) -> Vec<Appended> {
    let figure = |x: &f64| if round { significant(*x) } else { x.to_string() };
    let column = |a: &Added| {
        let texts: Vec<String> = match &a.what {
            What::Missing(missing) => {
                return Appended { name: a.name.clone(), cells: missing.iter().map(bool::to_string).collect() };
            }
            What::Sd(values) | What::Probability(values) => values.iter().map(figure).collect(),
            What::Low(values, _) | What::High(values, _) => csv.texts(&schema.columns()[a.of], values, round),
        };
        let mut cells = vec![String::new(); csv.rows()];
        gaps.rows[a.of].iter().zip(texts).for_each(|(&row, text)| cells[row] = text);
        Appended { name: a.name.clone(), cells }
    };
    added.iter().map(column).collect()
}

/// A number to four significant digits, in its shortest form.
fn significant(x: f64) -> String {
    format!("{x:.3e}").parse().unwrap_or(x).to_string()
}
