//! How sure the draws are of each filled cell, and the columns that say so beside the filled ones.

use std::collections::{HashMap, HashSet};

use ::polars::prelude::{
    BooleanChunked, DataFrame, DataType, Float64Chunked, IntoColumn, IntoSeries, NewChunkedArray, PlSmallStr, Series, TimeUnit,
};
use arrow::datatypes::{Field, Schema as ArrowSchema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::data::arrow::to_batch;
use crate::data::csv::{Appended, CsvTable};
use crate::data::polars::{missing, write_column};
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
    /// The rows told of; the column's filled cells when `None`.
    rows: Option<Vec<usize>>,
}

/// Missing has an entry a row, the others one a row told of.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Missing(Vec<bool>),
    /// Fills of observed cells: numbers or codes.
    Overimputed(Vec<f64>),
    Sd(Vec<f64>),
    Low(Vec<f64>, f64),
    High(Vec<f64>, f64),
    Probability(Vec<f64>),
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            What::Missing(_) => "missing",
            What::Overimputed(_) => "overimputed",
            What::Sd(_) => "sd",
            What::Low(..) => "low",
            What::High(..) => "high",
            What::Probability(_) => "probability",
        }
    }
}

impl Added {
    fn new(schema: &Schema, of: usize, what: What) -> Added {
        Added { name: format!("{}_{}", schema.columns()[of].name(), what.name()), of, what, rows: None }
    }

    /// What is told of fills of observed cells.
    pub(crate) fn of_observed(schema: &Schema, of: usize, what: What, rows: Vec<usize>) -> Added {
        let end = match &what {
            What::Overimputed(_) => String::new(),
            of_them => format!("_{}", of_them.name()),
        };
        Added { name: format!("{}_overimputed{end}", schema.columns()[of].name()), of, what, rows: Some(rows) }
    }

    fn rows<'a>(&'a self, gaps: &'a Gaps) -> &'a [usize] {
        self.rows.as_deref().unwrap_or(&gaps.rows[self.of])
    }

    fn series(&self, frame: &DataFrame, schema: &Schema, gaps: &Gaps) -> Result<Series> {
        let (rows, name): (_, PlSmallStr) = (self.rows(gaps), self.name.as_str().into());
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
            What::Low(values, _) | What::High(values, _) | What::Overimputed(values) => {
                write_column(&Series::full_null(name, frame.height(), dtype), column, rows, values)?
            }
        })
    }
}

/// What the standard deviation is told in: days for dates, seconds for times, the column's own unit for numbers.
pub(crate) fn sd_unit(dtype: &DataType) -> f64 {
    match dtype {
        DataType::Time | DataType::Datetime(TimeUnit::Nanoseconds, _) | DataType::Duration(TimeUnit::Nanoseconds) => 1e-9,
        DataType::Datetime(TimeUnit::Microseconds, _) | DataType::Duration(TimeUnit::Microseconds) => 1e-6,
        DataType::Datetime(TimeUnit::Milliseconds, _) | DataType::Duration(TimeUnit::Milliseconds) => 1e-3,
        _ => 1.0,
    }
}

/// `COLUMN_missing` of every column of the schema with a missing cell in the frame, which may be filled or not; cells that are
/// not applicable are not missing.
pub(crate) fn indicator(
    frame: &DataFrame,
    schema: &Schema,
    gaps: &Gaps,
    not_applicable: &[(String, Vec<usize>)],
) -> Result<Vec<Added>> {
    let mut added = Vec::new();
    for (of, column) in schema.columns().iter().enumerate().filter(|(j, _)| gaps.missing[*j] > 0) {
        let mut missing = missing(frame.column(column.name())?)?;
        let declared = not_applicable.iter().filter(|(name, _)| name == column.name()).flat_map(|(_, rows)| rows);
        declared.for_each(|&row| missing[row] = false);
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
            What::Low(values, _) | What::High(values, _) | What::Overimputed(values) => {
                csv.texts(&schema.columns()[a.of], values, round)
            }
        };
        let mut cells = vec![String::new(); csv.rows()];
        a.rows(gaps).iter().zip(texts).for_each(|(&row, text)| cells[row] = text);
        Appended { name: a.name.clone(), cells }
    };
    added.iter().map(column).collect()
}

/// A number to four significant digits, in its shortest form.
fn significant(x: f64) -> String {
    format!("{x:.3e}").parse().unwrap_or(x).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::schema::{ColumnKind, SchemaOptions};
    use crate::impute::mean::MeanConfig;
    use crate::impute::{Fit, Imputer};
    use ::polars::prelude::df;

    #[test]
    fn the_interval_is_the_narrowest_that_covers_one_more_draw() {
        for (interval, m, k) in
            [(0.9, 19, 1), (0.9, 100, 5), (0.9, 99, 5), (0.5, 3, 1), (0.95, 39, 1), (0.99, 199, 1), (0.8, 100, 10)]
        {
            assert_eq!(tail(interval, m), k, "{interval}, {m}");
            let covers = |k: usize| (m + 1 - 2 * k) as f64 / (m + 1) as f64;
            assert!(covers(k) >= interval - 1e-9 && covers(k + 1) < interval, "{interval}, {m}");
        }
        for (interval, least) in [(0.9, 19), (0.5, 3), (0.95, 39), (0.99, 199), (0.01, 2)] {
            assert_eq!(Imputations::least_draws(interval).unwrap(), least);
            assert!(tail(interval, least) >= 1, "{interval}");
            assert!(least == 2 || tail(interval, least - 1) == 0, "{interval}");
        }
        for interval in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Imputations::least_draws(interval).unwrap_err().is_usage());
        }
    }

    #[test]
    fn spread_of_known_numbers() {
        assert_eq!(standard_deviation(&[1.0, 2.0, 3.0, 4.0]), (5.0f64 / 3.0).sqrt());
        assert_eq!(standard_deviation(&[7.0, 7.0]), 0.0);
        assert_eq!(standard_deviation(&[0.0, 0.0]), 0.0);
        let wide = standard_deviation(&[-1e308, 1e308]);
        assert!((wide / 1e308 - 2f64.sqrt()).abs() < 1e-12, "{wide}");
        assert_eq!([0.123456, 1234.56, 1e-9, 0.0, 2e300].map(significant)[..4], ["0.1235", "1235", "0.000000001", "0"]);
    }

    fn frame() -> DataFrame {
        df!(
            "x" => [Some(1.5), None, Some(3.0), None, Some(8.0), Some(9.0)],
            "n" => [Some(4i32), Some(-5), None, Some(6), Some(7), Some(8)],
            "city" => [Some("b"), Some("a"), Some("b"), Some("b"), None, Some("b")],
            "id" => [Some("k"), None, Some("l"), Some("m"), Some("n"), Some("o")],
            "nan" => [Some(1.0), Some(f64::NAN), Some(2.0), Some(3.0), None, Some(0.5)],
            "full" => [1, 2, 3, 4, 5, 6]
        )
        .unwrap()
    }

    #[test]
    fn figures_are_those_of_the_draws() {
        let df = frame();
        let draws = MeanConfig::default().fit(&df).unwrap().draw(&df, 200, 1).unwrap();
        let all = draws.uncertainty(0.9).unwrap();
        let of = |name: &str| all.iter().find(|u| u.column == name).unwrap();
        assert!(all.iter().all(|u| u.column != "full"));
        let Spread::Number { sd, low, high } = &of("x").spread else { panic!() };
        let (rows, values) = draws.cells("x").unwrap();
        assert_eq!((of("x").rows.as_slice(), sd.len()), (rows, 2));
        for gap in 0..2 {
            let drawn: Vec<f64> = values.iter().map(|v| v[gap]).collect();
            let mean = drawn.iter().sum::<f64>() / 200.0;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 199.0;
            assert!((sd[gap] - variance.sqrt()).abs() < 1e-12);
            // Ten draws lie at or beyond each end at least.
            assert!(drawn.iter().filter(|x| **x <= low[gap]).count() >= 10 && drawn.contains(&low[gap]));
            assert!(drawn.iter().filter(|x| **x >= high[gap]).count() >= 10 && drawn.contains(&high[gap]));
        }
        let Spread::Level { probability } = &of("city").spread else { panic!() };
        let b = draws.cells("city").unwrap().1.iter().filter(|v| v[0] == 1.0).count();
        assert!((probability[0][1] - b as f64 / 200.0).abs() < 1e-9 && (probability[0].iter().sum::<f64>() - 1.0).abs() < 1e-9);

        let few = MeanConfig::default().fit(&df).unwrap().draw(&df, 18, 1).unwrap();
        let e = few.uncertainty(0.9).unwrap_err();
        assert_eq!(e.to_string(), "m is 18; it must be at least 19 for an interval of 0.9");
    }

    #[test]
    fn columns_stand_at_the_end_and_only_where_there_were_gaps() {
        let df = frame();
        let schema = Schema::infer_with(&df, &SchemaOptions::default().exclude("id").kind("n", ColumnKind::Continuous)).unwrap();
        let imputer = MeanConfig::default().fit_with(&df, &schema).unwrap();
        let (filled, draws) = (imputer.fill(&df).unwrap(), imputer.draw(&df, 30, 1).unwrap());
        let plain = filled.frame.clone();
        let both = filled.with_uncertainty(&draws, 0.9).unwrap().with_indicator().unwrap();
        let frame = &both.frame;
        let added = ["x_sd", "x_low", "x_high", "n_sd", "n_low", "n_high", "city_probability", "nan_sd", "nan_low", "nan_high"];
        let missing = ["x_missing", "n_missing", "city_missing", "id_missing", "nan_missing"];
        let own = ["x", "n", "city", "id", "nan", "full"];
        assert_eq!(frame.get_column_names(), [&own[..], &added, &missing].concat());
        assert!(frame.select(own).unwrap().equals_missing(&plain));
        assert_eq!(frame.column("n_low").unwrap().dtype(), &DataType::Int32);
        for name in added {
            let of = name.rsplit_once('_').unwrap().0;
            let gaps = frame.column(&format!("{of}_missing")).unwrap().bool().unwrap().clone();
            let cells = frame.column(name).unwrap().as_materialized_series();
            assert!(cells.is_not_null().iter().eq(gaps.iter()), "{name}");
        }
        let truth = |name: &str| frame.column(name).unwrap().bool().unwrap().iter().map(|x| x.unwrap()).collect::<Vec<_>>();
        assert_eq!(truth("id_missing"), [false, true, false, false, false, false], "left, and still told of");
        assert_eq!(truth("nan_missing"), [false, true, false, false, true, false], "NaN is missing too");
        let completed = draws.with_indicator().unwrap().completed(3).unwrap();
        assert_eq!(completed.get_column_names(), [&own[..], &missing].concat());
        assert!(completed.select(missing).unwrap().equals(&frame.select(missing).unwrap()));
    }

    #[test]
    fn names_that_are_taken_and_draws_of_other_gaps_are_clear_errors() {
        let df = df!("x" => [Some(1.0), None, Some(2.0)], "x_low" => [1, 2, 3], "x_missing" => [1, 2, 3]).unwrap();
        let imputer = MeanConfig::default().fit(&df).unwrap();
        let (filled, draws) = (imputer.fill(&df).unwrap(), imputer.draw(&df, 20, 0).unwrap());
        let e = filled.clone().with_uncertainty(&draws, 0.9).unwrap_err();
        assert_eq!(e.to_string(), "column `x_low` has the name of one to be added; rename it");
        let e = draws.clone().with_indicator().unwrap_err();
        assert_eq!(e.to_string(), "column `x_missing` has the name of one to be added; rename it");
        let other = imputer.draw(&df.slice(0, 1), 20, 0).unwrap();
        let e = filled.with_uncertainty(&other, 0.9).unwrap_err();
        assert_eq!(e.to_string(), "the draws have other gaps than the filled frame; draw and fill the same frame");
    }

    #[test]
    fn the_deviation_of_times_is_in_days_and_seconds() {
        use TimeUnit::{Microseconds, Milliseconds, Nanoseconds};
        let of = |dtype: &DataType| sd_unit(dtype);
        assert_eq!([of(&DataType::Date), of(&DataType::Int64)], [1.0, 1.0]);
        assert_eq!([of(&DataType::Time), of(&DataType::Datetime(Nanoseconds, None))], [1e-9, 1e-9]);
        assert_eq!([of(&DataType::Duration(Microseconds)), of(&DataType::Datetime(Milliseconds, None))], [1e-6, 1e-3]);
    }
}
