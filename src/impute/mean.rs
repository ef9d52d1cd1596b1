//! Mean, median and mode: one value a column.

use std::io::Write;
use std::sync::Arc;

use ::polars::prelude::{DataFrame, DataType};
use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use crate::data::csv::CsvTable;
use crate::data::numbers::{Summary, mean};
use crate::data::polars::{RowKeys, profiles};
use crate::data::schema::{Column, ColumnKind, Profile, Role, Schema, SchemaOptions, Values};
use crate::data::table::{Cells, Table};
use crate::error::{Result, Warning};
use crate::impute::{ColumnReport, Filled, Fit, FittedInfo, Imputations, Imputer, Report, cell_stream, check_m, table_to_fit};
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

    /// Fits to a CSV file, fills it and writes it: the bytes and the report of [`Filled::write_csv`] after a fit and a fill of the
    /// whole frame. Means are taken as the file is read the first time, so that of columns of numbers no frame is made.
    ///
    /// ```
    /// use lacuna::{CsvOptions, CsvTable, MeanConfig, SchemaOptions};
    /// let (csv, options) = ("x,y\n1.0,a\n,a\n2.5,\n".as_bytes(), SchemaOptions::default());
    /// let csv = CsvTable::read(csv, "t.csv".as_ref(), &CsvOptions::default(), &options)?;
    /// let mut out = Vec::new();
    /// let report = MeanConfig::default().fill_csv(&csv, &options, true, &mut out)?;
    /// assert_eq!((report.filled(), out.as_slice()), (2, &b"x,y\n1.0,a\n1.8,a\n2.5,a\n"[..]));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// An option that names no column or contradicts the data; reading or writing fails; the file is on disk and changed. Rows may
    /// have been written by then.
    pub fn fill_csv(&self, csv: &CsvTable, options: &SchemaOptions, round: bool, out: impl Write) -> Result<Report> {
        if self.strategy != Strategy::Mean || options.ignore.is_some() || options.weights.is_some() {
            let frame = csv.to_frame()?;
            let filled = self.fit_with(&frame, &Schema::infer_with(&frame, options)?)?.fill(&frame)?;
            let filled = filled.with_not_applicable(&csv.not_applicable()?)?;
            filled.write_csv(csv, round, out)?;
            return Ok(filled.report);
        }
        let (schema, fills) = self.fills(csv, options)?;
        let counts = csv.write_same(&schema, &fills, round, out)?;
        Ok(report(&schema, csv.rows(), &counts))
    }

    /// The schema of a file, and the one fill of each of its columns whose gaps are filled.
    fn fills(&self, csv: &CsvTable, options: &SchemaOptions) -> Result<(Schema, Vec<Option<f64>>)> {
        // What a sum cannot hold takes more care, and so do levels that are stated only now.
        let has_levels = |name: &str| options.spec(name).kind.is_some_and(|kind| kind.has_levels());
        let is_known = |(profile, numbers): &(Profile, &Summary)| numbers.mean.is_some() && !has_levels(&profile.name);
        let known: Vec<Option<(Profile, &Summary)>> = csv.numbers().into_iter().map(|known| known.filter(is_known)).collect();
        let left_out = |name: &str| options.leaves_out(name) || options.spec(name).kind == Some(ColumnKind::Ignored);
        let is_read = |at: usize| known[at].is_none() && !left_out(&csv.header()[at]);
        let frame = csv.columns_frame(is_read)?;
        let mut read = profiles(&frame, options)?.into_iter();
        let profile = |(at, name): (usize, &String)| match &known[at] {
            Some((profile, _)) => Some(profile.clone()),
            None if is_read(at) => read.next(),
            None => Some(Profile { name: name.clone(), dtype: DataType::String, observed: 0, values: Values::Unsupported }),
        };
        let schema = Schema::from_profiles(csv.header().iter().enumerate().filter_map(profile).collect(), options)?;
        let others = schema.columns().iter().enumerate().filter(|(at, _)| is_read(*at)).map(|(_, column)| column.clone());
        let others = Arc::new(Schema::new(others.collect(), Vec::new()));
        let others = MeanImputer::new(&Table::from_frame(&frame, &others)?, self.strategy);
        let fill = |(column, known): (&Column, &Option<(Profile, &Summary)>)| {
            let value = match (column.role, known) {
                _ if column.left().is_some() => None,
                (Role::Constant(x), _) => Some(x),
                (_, Some((_, numbers))) if column.kind.has_levels() => numbers.mode().map(|level| level as f64),
                (_, Some((_, numbers))) => numbers.mean,
                (_, None) => others.schema.modelled_columns().position(|c| c.name == column.name).map(|k| others.value(k)),
            };
            value.map(|x| if column.kind.is_numeric() { column.clamp(x) } else { x })
        };
        let fills = schema.columns().iter().zip(&known).map(fill).collect();
        Ok((schema, fills))
    }
}

/// The report of a file with one fill a column; of each column, how many cells were missing or not applicable, and how many the
/// latter.
fn report(schema: &Schema, rows: usize, counts: &[[usize; 2]]) -> Report {
    let constant =
        |(column, [empty, _]): &(&Column, &[usize; 2])| matches!(column.role, Role::Constant(_)) && column.asked && *empty > 0;
    let constant = schema.columns().iter().zip(counts).filter(constant);
    let constant = constant.map(|(column, _)| Warning::ConstantColumn { column: column.name.clone() });
    let warnings = schema.warnings().iter().cloned().chain(constant).collect();
    let columns = schema.columns().iter().zip(counts).map(|(column, &[empty, not_applicable])| {
        let missing = empty - not_applicable;
        let left = if column.left().is_some() { missing } else { 0 };
        ColumnReport {
            column: column.name.clone(),
            kind: column.kind,
            missing,
            filled: missing - left,
            left,
            not_applicable,
            why: column.left().filter(|_| left > 0),
            expected_error: None,
        }
    });
    let columns = columns.collect();
    Report { method: "mean".into(), rows, columns, warnings, guidance: None, overimputed: Vec::new() }
}

/// The fitted baseline: one value a column, and the observed values to draw from.
///
/// A draw is an observed value of the column at random (hot deck), of those inside its bounds if there are any: it keeps each column's
/// distribution and knows nothing of the other columns.
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
    /// Those that draws are of, ascending, so that nothing depends on the order of the fitted rows.
    drawn: Vec<f64>,
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
                    Strategy::Mean => mean(&observed).unwrap_or_else(|| weighted_mean(observed.iter().map(|&x| (x, 1.0)))),
                    Strategy::Median => median(&observed),
                    Strategy::Mode => mode(&observed),
                };
                let (low, high) = column.bounds();
                let inside = observed.partition_point(|x| *x < low)..observed.partition_point(|x| *x <= high);
                let drawn = if inside.is_empty() { observed } else { observed[inside].to_vec() };
                Centre { value, drawn }
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

    /// An observed value of the model's column `k` at random, inside its bounds if there is one.
    pub(crate) fn any_observed(&self, k: usize, stream: &mut Stream) -> f64 {
        let drawn = &self.columns[k].drawn;
        drawn[stream.random_range(..drawn.len())]
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
        let keys = RowKeys::default().of(df, self.schema.id.as_deref(), 0)?;
        let draw = |i| self.cells(&table, |k, row| self.any_observed(k, &mut cell_stream(seed, i, keys[row], k)));
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
    fn a_file_has_the_bytes_and_the_report_of_the_frame() {
        let row = |i: usize| {
            let x = if i.is_multiple_of(7) { String::new() } else { format!("{:.2}", (i * 37 % 101) as f64 / 4.0) };
            let level = ["\"a, b\"", "\"c\nd\"", "", "e"][i * 5 % 4];
            let day = if i.is_multiple_of(5) { String::new() } else { format!("2024-03-{:02}", i % 31 + 1) };
            let (flag, mixed) = (["1", "0", "1", "NA"][i % 4], ["1", "x", "", "7"][i * 3 % 4]);
            let (one, large) = (["5", "", "n/a"][i % 3], ["1e300", "-2e300", ""][i % 3]);
            format!("{x},{level},{day},{},{flag},{mixed},{one},{large},n{i},,{}\r\n", i % 12, [".5", ""][i % 2])
        };
        let rows: String = (0..700).map(row).collect();
        let text = format!("x,level,day,n,flag,mixed,one,large,id,none,half\r\n{rows}");
        let csv_options = crate::data::csv::CsvOptions { not_applicable: vec!["n/a".into()], ..Default::default() };
        let plain = SchemaOptions::default();
        let only = SchemaOptions::default().only("level").kind("n", ColumnKind::Categorical).exclude("day");
        let bounds = Some((None, Some(crate::data::schema::Bound::Number(0.25))));
        let mut stated = SchemaOptions::default().kind("x", ColumnKind::Ignored);
        stated.columns.push(crate::data::schema::ColumnSpec { name: "half".into(), bounds, ..Default::default() });
        // What is stated of a column may be stated when the file has been read.
        let later = SchemaOptions::default().kind("n", ColumnKind::Categorical);
        for (read, options) in [(&plain, &plain), (&only, &only), (&stated, &stated), (&plain, &later)] {
            let csv = CsvTable::read(text.as_bytes(), "t.csv".as_ref(), &csv_options, read).unwrap();
            let frame = csv.to_frame().unwrap();
            let config = MeanConfig::default();
            let fitted = config.fit_with(&frame, &Schema::infer_with(&frame, options).unwrap()).unwrap();
            let filled = fitted.fill(&frame).unwrap().with_not_applicable(&csv.not_applicable().unwrap()).unwrap();
            let (mut due, mut out) = (Vec::new(), Vec::new());
            filled.write_csv(&csv, true, &mut due).unwrap();
            for block in [333, 1 << 18] {
                out.clear();
                let report = config.fill_csv(&csv.clone().with_block(block), options, true, &mut out).unwrap();
                assert!(out == due, "{}", String::from_utf8_lossy(&out));
                let json = |report: &Report| serde_json::to_string(report).unwrap();
                assert_eq!(json(&report), json(&filled.report));
            }
        }
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
