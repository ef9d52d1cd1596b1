//! The product: fitted imputers that fill a frame, or draw it several times.

mod applicable;
mod candidates;
pub(crate) mod config;
mod correction;
mod donors;
pub(crate) mod fit;
pub(crate) mod generate;
mod guidance;
pub(crate) mod knn;
pub(crate) mod latent;
mod likeness;
mod long;
mod memory;
mod missingness;
mod neighbours;
pub(crate) mod mean;
mod overimpute;
pub(crate) mod vae;
mod score;
mod store;
mod support;
mod stream;
mod uncertainty;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use ::polars::prelude::DataFrame;
use arrow::record_batch::RecordBatch;
use serde::Serialize;

use crate::data::arrow::fill::{draw_batch, fill_batch};
use crate::data::arrow::to_batch;
use crate::data::csv::CsvTable;
use crate::data::polars::{learned, write_cells};
use crate::data::schema::{ColumnKind, Left, Schema};
use crate::data::table::{Cells, Gaps, Table};
use crate::error::{Error, Result, Warning, count};
use crate::pool::{PooledTerm, Term, pool_terms};
use crate::rng::{self, Purpose, Stream};
use uncertainty::{Added, appended, beside, csv_columns, indicator, spreads};

pub use crate::data::arrow::fill::Form;
pub use config::LatentUse;
pub use generate::{Generate, Generated};
pub use guidance::{Guidance, MissingInformation};
pub use overimpute::Overimputed;
pub use score::Scores;
pub use uncertainty::{ColumnUncertainty, Spread};

/// A configuration that becomes an [`Imputer`] by seeing a table.
///
/// ```
/// use lacuna::{Fit, Imputer, MeanConfig};
/// use polars::prelude::*;
/// let df = df!("x" => [Some(1.0), None, Some(3.0)])?;
/// let filled = MeanConfig::default().fit(&df)?.fill(&df)?;
/// assert_eq!(filled.frame.column("x")?.f64()?.get(1), Some(2.0));
/// # Ok::<(), lacuna::Error>(())
/// ```
pub trait Fit {
    /// What a fit gives.
    type Fitted: Imputer + 'static;

    /// Fits to a frame under a given schema.
    ///
    /// # Errors
    /// A setting out of its range; a cell that contradicts the schema.
    ///
    /// # Panics
    /// Never, but for a bug of ours: buffers that do not have the shape they were made with.
    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<Self::Fitted>;

    /// Fits to a frame whose schema is inferred ([`Schema::infer`]).
    ///
    /// # Errors
    /// As [`Fit::fit_with`]; ±inf in a float column.
    fn fit(&self, df: &DataFrame) -> Result<Self::Fitted> {
        self.fit_with(df, &Schema::infer(df)?)
    }
}

/// A fitted imputer. Object-safe; the frame given may be the fitted one or new rows of the same columns in any order.
pub trait Imputer: fmt::Debug + Send + Sync {
    /// The columns it was fitted on.
    fn schema(&self) -> &Schema;

    /// The frame with every gap of a modelled column filled by one value: the posterior mean of a number, the most
    /// probable level. Observed cells and the frame's schema stay as they are. A row's fill depends on that row alone.
    ///
    /// # Errors
    /// A column of the fit is absent or of another type; ±inf in a float column.
    ///
    /// # Panics
    /// Never, but for a bug of ours, as [`Fit::fit_with`].
    fn fill(&self, df: &DataFrame) -> Result<Filled>;

    /// `m` completed versions of the frame, each with its gaps drawn from the distribution of the missing cells given
    /// the observed ones. A draw depends on the seed, its number, the row's observed cells and the row's place.
    ///
    /// # Errors
    /// As [`Imputer::fill`]; `m` of zero, or above a million.
    ///
    /// # Panics
    /// Never, but for a bug of ours, as [`Fit::fit_with`].
    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations>;

    /// The same without what it keeps of single rows, by which their own cells are known to it; `None` where that is nothing. It is
    /// what overimputation asks.
    #[doc(hidden)]
    fn without_rows(&self) -> Option<Box<dyn Imputer>> {
        None
    }

    /// The query with every gap filled as by [`Imputer::fill`], batch by batch where the engine streams: a row's fill depends
    /// on that row alone, whatever the batches. There is no report. Fits see the whole table and draws depend on a row's place
    /// in it, so both take collected frames.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig};
    /// use polars::prelude::*;
    /// let df = df!("x" => [Some(1.0), None, Some(3.0)])?;
    /// let imputer = MeanConfig::default().fit(&df)?;
    /// let filled = imputer.fill_lazy(df.lazy()).collect()?;
    /// assert_eq!(filled.column("x")?.f64()?.get(1), Some(2.0));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// To keep the imputer, give an `Arc` of it: that is an imputer too.
    ///
    /// # Errors
    /// On collecting, as [`Imputer::fill`].
    #[cfg(feature = "lazy")]
    fn fill_lazy(self, query: ::polars::prelude::LazyFrame) -> ::polars::prelude::LazyFrame
    where
        Self: Sized + 'static,
    {
        use ::polars::prelude::AllowedOptimizations;
        // No pushdown: every column helps to fill the others, and a filter may ask for filled cells.
        let fill = move |df: DataFrame| Ok(self.fill(&df)?.frame);
        query.map(fill, AllowedOptimizations::STREAMING, None, Some("lacuna fill"))
    }
}

impl<T: Imputer + ?Sized> Imputer for Arc<T> {
    fn schema(&self) -> &Schema {
        self.as_ref().schema()
    }

    fn fill(&self, df: &DataFrame) -> Result<Filled> {
        self.as_ref().fill(df)
    }

    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
        self.as_ref().draw(df, m, seed)
    }
}

/// A filled frame and the truth about it.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The frame without its gaps: same columns, same types, same order.
    pub frame: DataFrame,
    /// What was filled, what was left and why, and the error to expect.
    pub report: Report,
    schema: Arc<Schema>,
    gaps: Gaps,
    cells: Cells,
    added: Vec<Added>,
    not_applicable: Vec<(String, Vec<usize>)>,
}

impl Filled {
    /// The filled cells of a column before they were made to fit its type: rows (0-based, ascending) and values, the
    /// posterior mean inside the bounds for numbers (an integer column's with decimals), the level's code for levels.
    pub fn cells(&self, column: &str) -> Option<(&[usize], &[f64])> {
        let j = self.schema.columns().iter().position(|c| c.name() == column)?;
        Some((&self.gaps.rows[j], &self.cells[j]))
    }

    /// Writes the CSV file the frame came from with its gaps filled: every other cell keeps its text. A filled cell is
    /// written as its column writes its own; without `round`, numbers keep all their digits.
    ///
    /// # Errors
    /// The frame did not come from this file; writing fails.
    pub fn write_csv(&self, csv: &CsvTable, round: bool, out: impl Write) -> Result<()> {
        csv.check_rows(self.frame.height())?;
        let added = csv_columns(&self.added, csv, &self.schema, &self.gaps, round);
        csv.write(&self.schema, &self.gaps, &self.cells, &added, round, out)
    }

    /// The batch that the frame was made from, by [`to_frame`](crate::data::arrow::to_frame), with its gaps filled: the same
    /// schema, and every other cell from the batch itself. What `with_indicator` and `with_uncertainty` added follows.
    ///
    /// # Errors
    /// The frame did not come from this batch; a dictionary's keys are too narrow for one more level.
    pub fn to_record_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let filled = fill_batch(batch, &self.frame, &self.schema, &self.gaps, &self.cells)?;
        beside(filled, &self.frame, &self.added, &self.schema)
    }

    /// Adds a column `COLUMN_missing` at the end for every column with a missing cell, filled or left: true where it was
    /// missing.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig};
    /// use polars::prelude::*;
    /// let df = df!("x" => [Some(1.0), None, Some(3.0)], "y" => [1, 2, 3])?;
    /// let filled = MeanConfig::default().fit(&df)?.fill(&df)?.with_indicator()?;
    /// assert_eq!(filled.frame.get_column_names(), ["x", "y", "x_missing"]);
    /// assert_eq!(filled.frame.column("x_missing")?.bool()?.get(1), Some(true));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// The frame has a column of such a name.
    pub fn with_indicator(mut self) -> Result<Filled> {
        let added = indicator(&self.frame, &self.schema, &self.gaps, &self.not_applicable)?;
        self.frame = appended(&self.frame, &added, &self.schema, &self.gaps)?;
        self.added.extend(added);
        Ok(self)
    }

    /// Adds at the end what the draws say of each filled cell, null in every other: for a column of numbers `COLUMN_sd` and
    /// the ends of an interval, `COLUMN_low` and `COLUMN_high`, in the column's own type; for one of levels
    /// `COLUMN_probability`, the share of the draws that have the filled level. The sd is in the column's unit, of dates in
    /// days, of times, datetimes and durations in seconds. See [`Imputations::uncertainty`].
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig};
    /// use polars::prelude::*;
    /// let df = df!("x" => [Some(1.0), None, Some(3.0)])?;
    /// let imputer = MeanConfig::default().fit(&df)?;
    /// let filled = imputer.fill(&df)?.with_uncertainty(&imputer.draw(&df, 100, 0)?, 0.9)?;
    /// assert_eq!(filled.frame.get_column_names(), ["x", "x_sd", "x_low", "x_high"]);
    /// assert_eq!(filled.frame.column("x_low")?.f64()?.get(1), Some(1.0));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// The draws are of another frame; the frame has a column of such a name; as [`Imputations::uncertainty`].
    pub fn with_uncertainty(mut self, draws: &Imputations, interval: f64) -> Result<Filled> {
        if draws.gaps != self.gaps || draws.frame.height() != self.frame.height() {
            return Err(Error::schema("the draws have other gaps than the filled frame; draw and fill the same frame"));
        }
        let added = spreads(&draws.uncertainty(interval)?, interval, &self.frame, &self.schema, &self.cells)?;
        self.frame = appended(&self.frame, &added, &self.schema, &self.gaps)?;
        self.added.extend(added);
        Ok(self)
    }

    pub(crate) fn new(df: &DataFrame, table: Table, mut cells: Cells, fitted: &FittedInfo) -> Result<Filled> {
        let report = Report::new(&table, fitted);
        let schema = table.schema;
        for (column, cells) in schema.columns().iter().zip(&mut cells) {
            if column.kind.is_numeric() {
                cells.iter_mut().for_each(|x| *x = column.clamp(*x));
            }
        }
        let frame = write_cells(df, &schema, &table.gaps, &cells)?;
        Ok(Filled { frame, report, schema, gaps: table.gaps, cells, added: Vec::new(), not_applicable: Vec::new() })
    }
}

/// What a fit knows beside its parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct FittedInfo {
    pub method: String,
    /// One entry a column of the schema, in table order; `None` where nothing was held out.
    pub errors: Vec<Option<ExpectedError>>,
    pub warnings: Vec<Warning>,
}

fn column_reports(schema: &Schema, gaps: &Gaps, errors: &[Option<ExpectedError>]) -> Vec<ColumnReport> {
    let columns = schema.columns().iter().enumerate();
    columns
        .map(|(j, c)| {
            let filled = gaps.rows[j].len();
            ColumnReport {
                column: c.name().to_string(),
                kind: c.kind(),
                missing: gaps.missing[j],
                filled,
                left: gaps.missing[j] - filled,
                not_applicable: 0,
                why: if gaps.missing[j] > filled { c.left() } else { None },
                expected_error: errors.get(j).cloned().flatten(),
            }
        })
        .collect()
}

/// What an imputation did, column by column.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The method, in words.
    pub method: String,
    /// Rows of the frame.
    pub rows: usize,
    /// One entry a column, in table order.
    pub columns: Vec<ColumnReport>,
    /// What was decided alone.
    pub warnings: Vec<Warning>,
    /// Of two draws or more: how much the missing cells matter, and how many draws that takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<Guidance>,
    /// How far off the imputer is on observed cells that it was asked for ([`Filled::with_overimputed`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overimputed: Vec<Overimputed>,
}

impl Report {
    fn new(table: &Table, fitted: &FittedInfo) -> Report {
        let warnings = [table.schema.warnings(), &fitted.warnings, &table.warnings].concat();
        let columns = column_reports(&table.schema, &table.gaps, &fitted.errors);
        Report { method: fitted.method.clone(), rows: table.n(), columns, warnings, guidance: None, overimputed: Vec::new() }
    }

    /// Takes in the report of further rows; the warnings before `own` are the fit's.
    fn absorb(&mut self, other: Report, own: usize) {
        self.rows += other.rows;
        for (column, more) in self.columns.iter_mut().zip(other.columns) {
            column.missing += more.missing;
            column.filled += more.filled;
            column.left += more.left;
            column.not_applicable += more.not_applicable;
            column.why = column.why.or(more.why);
        }
        for more in other.warnings.into_iter().skip(own) {
            if !self.warnings[own..].iter_mut().any(|w| w.absorb(&more)) {
                self.warnings.push(more);
            }
        }
    }

    /// Cells left missing, over all columns.
    pub fn left(&self) -> usize {
        self.columns.iter().map(|c| c.left).sum()
    }

    /// Cells filled, over all columns.
    pub fn filled(&self) -> usize {
        self.columns.iter().map(|c| c.filled).sum()
    }

    /// Cells declared not applicable, over all columns.
    pub fn not_applicable(&self) -> usize {
        self.columns.iter().map(|c| c.not_applicable).sum()
    }
}

/// What happened to one column.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub column: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// Missing cells before.
    pub missing: usize,
    /// Cells filled.
    pub filled: usize,
    /// Cells still missing.
    pub left: usize,
    /// Cells declared not applicable: kept, and counted nowhere else.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_applicable: usize,
    /// Why cells are left.
    pub why: Option<Left>,
    /// The error to expect of a filled cell, measured on observed cells that were held out.
    pub expected_error: Option<ExpectedError>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The error of fills on held-out cells: root mean square error in units of the column's standard deviation for
/// numbers, the share of wrong levels for levels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectedError {
    /// The imputer's error.
    pub error: f64,
    /// The standard error of that figure.
    pub standard_error: f64,
    /// The error of filling with the mean (numbers) or the most frequent level, on the same cells.
    pub mean_fill: f64,
    /// Cells held out.
    pub cells: usize,
    /// The column's standard deviation in data units; 1 for levels.
    pub unit: f64,
}

/// Characters of a column's name in the table.
const LONGEST_NAME: usize = 32;

/// A name with its middle left out where it is too long: names that begin alike tend to differ at the end.
fn short(name: &str) -> String {
    let n = name.chars().count();
    if n <= LONGEST_NAME {
        return name.to_string();
    }
    let (head, tail) = (LONGEST_NAME / 2, LONGEST_NAME - LONGEST_NAME / 2 - 1);
    name.chars().take(head).chain(['…']).chain(name.chars().skip(n - tail)).collect()
}

impl fmt::Display for Report {
    /// A table for people: per column missing, filled, left and why, expected error beside the mean fill's; then the warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<&ColumnReport> = self.columns.iter().filter(|c| c.missing > 0).collect();
        if shown.is_empty() {
            writeln!(f, "{}: no missing cells in {}", self.method, count(self.rows, "row"))?;
        } else {
            let width = shown.iter().map(|c| c.column.chars().count()).max().unwrap_or(0).clamp(6, LONGEST_NAME);
            writeln!(
                f,
                "{:width$}  {:11} {:>8} {:>8} {:>6}  {:>16} {:>10}",
                "column", "kind", "missing", "filled", "left", "expected error", "mean fill"
            )?;
            for c in &shown {
                write!(f, "{:width$}  {:11} {:>8} {:>8} {:>6}", short(&c.column), c.kind, c.missing, c.filled, c.left)?;
                match (&c.why, &c.expected_error) {
                    (Some(why), _) => writeln!(f, "  {why}")?,
                    (None, Some(e)) => {
                        let unit = if c.kind.is_numeric() { "sd" } else { "wrong" };
                        writeln!(f, "  {:>7.3} ± {:.3} {:>9.3} {unit}", e.error, e.standard_error, e.mean_fill)?;
                    }
                    (None, None) => writeln!(f)?,
                }
            }
            let (filled, rows) = (count(self.filled(), "cell"), count(self.rows, "row"));
            writeln!(f, "{}: {filled} filled, {} left, {rows}", self.method, self.left())?;
        }
        for c in self.columns.iter().filter(|c| c.not_applicable > 0) {
            writeln!(f, "column `{}`: {} not applicable, kept", c.column, count(c.not_applicable, "cell"))?;
        }
        self.overimputed.iter().try_for_each(|o| writeln!(f, "{o}"))?;
        self.guidance.iter().try_for_each(|g| writeln!(f, "{g}"))?;
        self.warnings.iter().try_for_each(|w| writeln!(f, "warning: {w}"))
    }
}

/// `m` draws of the missing cells of one frame: only those cells are stored.
///
/// Analyse each completed frame by itself and pool the estimates ([`Imputations::pool`]). To average the frames and analyse
/// the average is an error: every standard error comes out too small, and variances and correlations are wrong themselves.
#[derive(Clone, Debug)]
pub struct Imputations {
    pub(crate) frame: DataFrame,
    pub(crate) schema: Arc<Schema>,
    pub(crate) gaps: Gaps,
    pub(crate) draws: Vec<Cells>,
    report: Report,
    added: Vec<Added>,
    /// The long forms begin with the table as it is.
    original: bool,
    not_applicable: Vec<(String, Vec<usize>)>,
}

impl Imputations {
    pub(crate) fn new(df: &DataFrame, table: Table, mut draws: Vec<Cells>, fitted: &FittedInfo) -> Imputations {
        admit(&table.schema, &mut draws);
        Imputations::of_cells(df, table, draws, fitted)
    }

    /// Draws that are what their columns can hold.
    fn of_cells(df: &DataFrame, table: Table, draws: Vec<Cells>, fitted: &FittedInfo) -> Imputations {
        let mut report = Report::new(&table, fitted);
        report.guidance = guidance::guide(&table, &draws);
        let (frame, schema, gaps) = (df.clone(), table.schema, table.gaps);
        Imputations { frame, schema, gaps, draws, report, added: Vec::new(), original: false, not_applicable: Vec::new() }
    }

    /// Number of draws.
    pub fn m(&self) -> usize {
        self.draws.len()
    }

    /// What was filled and what was left; the same for every draw. The expected error is the single fill's.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Completed frame `i`, 0-based.
    ///
    /// # Errors
    /// `i` of `m` or more.
    pub fn completed(&self, i: usize) -> Result<DataFrame> {
        write_cells(&self.frame, &self.schema, &self.gaps, self.draw(i)?)
    }

    /// Completed frame `i`, 0-based, to write as a file of its own by [`Filled::write_csv`] or [`Filled::to_record_batch`].
    ///
    /// # Errors
    /// `i` of `m` or more.
    pub fn filled(&self, i: usize) -> Result<Filled> {
        let (schema, gaps, added) = (self.schema.clone(), self.gaps.clone(), self.added.clone());
        let (frame, report, not_applicable) = (self.completed(i)?, self.report.clone(), self.not_applicable.clone());
        Ok(Filled { frame, report, schema, gaps, cells: self.draw(i)?.clone(), added, not_applicable })
    }

    fn draw(&self, i: usize) -> Result<&Cells> {
        self.draws.get(i).ok_or_else(|| Error::config("draw", i, format!("below m = {}", self.m())))
    }

    /// Analyses each completed frame by itself and pools the estimates by Rubin's rules ([`pool`](crate::pool)). The analysis
    /// gives the same terms for every frame; `df_complete` are the degrees of freedom it has in a complete frame, such as rows
    /// less coefficients, or infinite.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig, Result, Term};
    /// use polars::prelude::*;
    /// let df = df!("x" => [Some(1.0), None, Some(3.0), Some(4.0), None, Some(6.0)])?;
    /// let draws = MeanConfig::default().fit(&df)?.draw(&df, 20, 1)?;
    /// let mean = |df: &DataFrame| -> Result<Vec<Term>> {
    ///     let x = df.column("x")?.f64()?;
    ///     let (mean, sd) = (x.mean().unwrap_or(0.0), x.std(1).unwrap_or(0.0));
    ///     Ok(vec![Term::new("mean of x", mean, sd / (x.len() as f64).sqrt())])
    /// };
    /// let pooled = &draws.pool(mean, 5.0)?[0].pooled;
    /// assert!(pooled.fmi > 0.1 && pooled.df < 5.0);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// The analysis fails; a single draw; as [`pool_terms`].
    pub fn pool(&self, mut analysis: impl FnMut(&DataFrame) -> Result<Vec<Term>>, df_complete: f64) -> Result<Vec<PooledTerm>> {
        let analyses = (0..self.m()).map(|i| analysis(&self.completed(i)?)).collect::<Result<Vec<_>>>()?;
        pool_terms(&analyses, df_complete)
    }

    /// The drawn values of one column: rows (0-based, ascending), and `m` lists of values in that order (numbers, or
    /// codes of levels).
    pub fn cells(&self, column: &str) -> Option<(&[usize], Vec<&[f64]>)> {
        let j = self.schema.columns().iter().position(|c| c.name() == column)?;
        Some((&self.gaps.rows[j], self.draws.iter().map(|d| d[j].as_slice()).collect()))
    }

    /// Writes the CSV file the frame came from `m` times over, completed, with columns `.imp` (1 to m) and `.id` (1 to n)
    /// first; cells as in [`Filled::write_csv`]. See [`Imputations::with_original`].
    ///
    /// # Errors
    /// The frame did not come from this file; it has a column `.imp` or `.id`; writing fails.
    pub fn write_csv(&self, csv: &CsvTable, round: bool, out: impl Write) -> Result<()> {
        csv.check_rows(self.frame.height())?;
        let added = csv_columns(&self.added, csv, &self.schema, &self.gaps, round);
        let original = self.original.then_some((0, None));
        let tables: Vec<_> = original.into_iter().chain((1..).zip(self.draws.iter().map(Some))).collect();
        csv.write_long(&self.schema, &self.gaps, &tables, &added, round, out)
    }

    /// All draws as one Arrow batch: see [`Form`].
    ///
    /// # Errors
    /// The list form with the original table; a column of a type that has no Arrow form here; the long form of a table with a
    /// column `.imp` or `.id`.
    pub fn to_record_batch(&self, form: Form) -> Result<RecordBatch> {
        let own = self.frame.width() - self.added.len();
        let names = self.frame.columns()[..own].iter().map(|c| c.name().clone());
        self.to_record_batch_from(&to_batch(&self.frame.select(names)?)?, form)
    }

    /// All draws as one Arrow batch, in the types and with the metadata of the batch that the frame was made from by
    /// [`to_frame`](crate::data::arrow::to_frame).
    ///
    /// # Errors
    /// The frame did not come from this batch; the long form of a table with a column `.imp` or `.id`; the list form with the
    /// original table; a dictionary's keys are too narrow for one more level.
    pub fn to_record_batch_from(&self, batch: &RecordBatch, form: Form) -> Result<RecordBatch> {
        if self.original && form == Form::List {
            return Err(Error::config("form", "list", "long where the original table is included"));
        }
        let batch = beside(batch.clone(), &self.frame, &self.added, &self.schema)?;
        draw_batch(&batch, &self.frame, &self.schema, &self.gaps, &self.draws, form, self.original)
    }

    /// Lets the long forms begin with the table as it is, with its gaps, as `.imp` 0. From such a file
    /// [`Imputations::from_long`] gives the imputations back, as `as.mids` does in R's mice.
    pub fn with_original(mut self) -> Imputations {
        self.original = true;
        self
    }

    /// Adds a column `COLUMN_missing` at the end for every column with a missing cell, as [`Filled::with_indicator`] does.
    ///
    /// # Errors
    /// The frame has a column of such a name.
    pub fn with_indicator(mut self) -> Result<Imputations> {
        let added = indicator(&self.frame, &self.schema, &self.gaps, &self.not_applicable)?;
        self.frame = appended(&self.frame, &added, &self.schema, &self.gaps)?;
        self.added.extend(added);
        Ok(self)
    }
}

/// Makes drawn numbers what their columns can hold.
fn admit(schema: &Schema, draws: &mut [Cells]) {
    for draw in draws {
        for (column, cells) in schema.columns().iter().zip(draw).filter(|(c, _)| c.kind.is_numeric()) {
            cells.iter_mut().for_each(|x| *x = column.admit(*x));
        }
    }
}

/// Checks the number of draws.
pub(crate) fn check_m(m: usize) -> Result<()> {
    if (1..=1_000_000).contains(&m) { Ok(()) } else { Err(Error::config("m", m, "from 1 to 1000000")) }
}

/// The cells a fit sees: every modelled column has one at least.
///
/// A schema inferred from the same frame sees to that; one of another frame may not.
pub(crate) fn table_to_fit(df: &DataFrame, schema: &Arc<Schema>) -> Result<Table> {
    let (df, weights) = learned(df, schema.ignore.as_deref(), schema.weights.as_deref())?;
    let table = Table { weights, ..Table::from_frame(&df, schema)? };
    let mut columns = schema.modelled_columns().zip(table.values.columns());
    match columns.find(|(_, cells)| cells.iter().all(|x| x.is_nan())) {
        None => Ok(table),
        Some((column, _)) => Err(Error::schema(format!(
            "column `{}` has no observed value to fit on; infer the schema from this table, or exclude the column",
            column.name
        ))),
    }
}

/// Checks a number of threads.
pub(crate) fn check_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        Some(n) if n == 0 || n > 1024 => Err(Error::config("threads", n, "from 1 to 1024")),
        _ => Ok(()),
    }
}

/// Runs `f` in a thread pool of its own: all cores when `threads` is `None`; the caller's rayon pool is left alone.
pub(crate) fn in_pool<R: Send>(threads: Option<usize>, f: impl FnOnce() -> R + Send) -> Result<R> {
    check_threads(threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|e| match threads {
        Some(n) => Error::config("threads", n, format!("fewer: {e}")),
        None => Error::config("threads", "not given", format!("a small number: {e}")),
    })?;
    Ok(pool.install(f))
}

/// The random numbers of one drawn cell: they depend on the seed, the draw, the row's key and the model's column only.
pub(crate) fn cell_stream(seed: u64, draw: usize, row: u64, column: usize) -> Stream {
    rng::stream(seed, Purpose::Draw, rng::pair(rng::pair(draw as u64, row), column as u64))
}

/// A gap: row of the table to fill, and the model's column.
pub(crate) type Gap = (usize, usize);

/// The gaps of the modelled columns, row by row.
pub(crate) fn gaps_by_row(table: &Table) -> Vec<Gap> {
    let modelled = table.schema.modelled().iter().enumerate();
    let mut gaps: Vec<Gap> = modelled.flat_map(|(k, &j)| table.gaps.rows[j].iter().map(move |&row| (row, k))).collect();
    gaps.sort_unstable();
    gaps
}

/// One value a gap to cells in the table's order.
pub(crate) fn scatter(table: &Table, gaps: &[Gap], values: impl Iterator<Item = f64>) -> Cells {
    let mut cells = table.constant_cells();
    let mut next = vec![0; table.d()];
    for (&(_, k), value) in gaps.iter().zip(values) {
        cells[table.schema.modelled()[k]][next[k]] = value;
        next[k] += 1;
    }
    cells
}

/// The place of the first of the largest values.
pub(crate) fn first_largest<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}
