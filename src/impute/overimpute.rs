//! Observed cells filled as if they were missing, to see how far the fills are from them.

use std::fmt;

use ::polars::prelude::DataFrame;
use serde::Serialize;

use crate::data::polars::clear_cells;
use crate::data::schema::{Role, Schema};
use crate::data::table::Table;
use crate::error::{Error, ErrorKind, Result, count};
use crate::impute::mean::standard_deviation;
use crate::impute::uncertainty::{Added, What, appended, sd_unit};
use crate::impute::{Filled, Imputer, Spread};

/// How far the fills of a column's observed cells are from them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overimputed {
    /// The column.
    pub column: String,
    /// Its observed cells.
    pub cells: usize,
    /// Root mean square error in standard deviations of the column for numbers, share of wrong levels for levels.
    pub error: f64,
    /// The interval asked for and the share of the cells inside theirs; of numbers, with draws only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered: Option<(f64, f64)>,
    #[serde(skip)]
    numeric: bool,
}

impl fmt::Display for Overimputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.numeric { "sd" } else { "wrong" };
        write!(f, "overimputed `{}`: {}, error {:.3} {unit}", self.column, count(self.cells, "observed cell"), self.error)?;
        match self.covered {
            Some((interval, share)) => write!(f, ", {:.1} % inside their {} % intervals", 100.0 * share, 100.0 * interval),
            None => Ok(()),
        }
    }
}

/// Draws for the intervals of overimputed cells.
#[derive(Clone, Copy, Debug)]
struct Draws {
    m: usize,
    seed: u64,
    interval: f64,
}

impl Filled {
    /// Adds at the end a column `COLUMN_overimputed`, in the column's own type: what the imputer makes of every observed cell if it is
    /// hidden and the rest of its row shown, each row by itself; null where the cell was missing. The report gets the error. Fills far
    /// from their cells name odd cells, or a model that does not fit (Blackwell, Honaker & King 2017; `overimpute` of R's Amelia).
    ///
    /// The fit has seen these cells, as it has in Amelia, so that the error is lower than that of new cells: that one is
    /// [`ColumnReport::expected_error`](crate::ColumnReport). Of nearest neighbours, and of an autoencoder with donors, the row itself
    /// is the nearest: they say nothing here. An autoencoder that corrects its fills by rows alike does without them here.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig};
    /// use polars::prelude::*;
    /// let df = df!("x" => [Some(1.0), None, Some(3.0)])?;
    /// let imputer = MeanConfig::default().fit(&df)?;
    /// let filled = imputer.fill(&df)?.with_overimputed(&imputer, "x")?;
    /// let told: Vec<Option<f64>> = filled.frame.column("x_overimputed")?.f64()?.iter().collect();
    /// assert_eq!(told, [Some(2.0), None, Some(2.0)]);
    /// assert_eq!(filled.report.overimputed[0].cells, 2);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such column, or it is not filled by the imputer; the frame has a column of such a name.
    pub fn with_overimputed(self, imputer: &dyn Imputer, column: &str) -> Result<Filled> {
        self.overimputed(imputer, column, None)
    }

    /// As [`Filled::with_overimputed`], with columns that say how sure each of these fills is, from `m` draws, as
    /// [`Filled::with_uncertainty`] adds for gaps: `COLUMN_overimputed_sd`, `_low` and `_high`, or `_probability` (of the filled level).
    /// The report says which share of the cells lies inside the interval.
    ///
    /// # Errors
    /// As [`Filled::with_overimputed`] and [`Imputations::uncertainty`](crate::Imputations::uncertainty).
    pub fn with_overimputed_draws(
        self,
        imputer: &dyn Imputer,
        column: &str,
        m: usize,
        seed: u64,
        interval: f64,
    ) -> Result<Filled> {
        self.overimputed(imputer, column, Some(Draws { m, seed, interval }))
    }

    fn overimputed(mut self, imputer: &dyn Imputer, name: &str, draws: Option<Draws>) -> Result<Filled> {
        let without = imputer.without_rows();
        let imputer = without.as_deref().unwrap_or(imputer);
        let j = place(&self.schema, name)?;
        let column = self.schema.columns()[j].clone();
        // The table as it came, and the same with the whole column hidden.
        let mut hidden = self.gaps.rows.clone();
        let before = clear_cells(&self.frame, &self.schema, &hidden)?;
        hidden[j] = (0..before.height()).collect();
        let before_values = self.observed(&before, j)?;
        let base = clear_cells(&before, &self.schema, &hidden)?;
        let rows: Vec<usize> = (0..before.height()).filter(|&i| !before_values[i].is_nan()).collect();
        let filled = imputer.fill(&base)?;
        let all = filled.cells(name).map(|(_, cells)| cells).unwrap_or_default();
        let of_rows = |all: &[f64]| -> Vec<f64> { rows.iter().map(|&row| all.get(row).copied().unwrap_or(f64::NAN)).collect() };
        let fills = of_rows(all);
        let truth: Vec<f64> = rows.iter().map(|&row| before_values[row]).collect();
        let mut report = Overimputed {
            column: name.into(),
            cells: rows.len(),
            error: error(column.kind().is_numeric(), &fills, &truth),
            covered: None,
            numeric: column.kind().is_numeric(),
        };
        let mut added = vec![What::Overimputed(fills.clone())];
        if let Some(Draws { m, seed, interval }) = draws {
            let spreads = imputer.draw(&base, m, seed)?.uncertainty(interval)?;
            match spreads.into_iter().find(|u| u.column == name).map(|u| u.spread) {
                Some(Spread::Number { sd, low, high }) => {
                    let (low, high) = (of_rows(&low), of_rows(&high));
                    let inside = truth.iter().zip(low.iter().zip(&high)).filter(|(x, (l, h))| *l <= x && x <= h).count();
                    report.covered = Some((interval, inside as f64 / rows.len().max(1) as f64));
                    let unit = sd_unit(self.frame.column(name)?.dtype());
                    added.push(What::Sd(of_rows(&sd).iter().map(|x| x * unit).collect()));
                    added.extend([What::Low(low, interval), What::High(high, interval)]);
                }
                Some(Spread::Level { probability }) => {
                    let of_fill = rows
                        .iter()
                        .zip(&fills)
                        .map(|(&row, code)| probability.get(row).and_then(|p| p.get(*code as usize)).copied().unwrap_or(0.0));
                    added.push(What::Probability(of_fill.collect()));
                }
                None => {}
            }
        }
        let added: Vec<Added> = added.into_iter().map(|what| Added::of_observed(&self.schema, j, what, rows.clone())).collect();
        self.frame = appended(&self.frame, &added, &self.schema, &self.gaps)?;
        self.added.extend(added);
        self.report.overimputed.push(report);
        Ok(self)
    }

    /// The cells of a modelled column: numbers or codes, NaN where there is none.
    fn observed(&self, frame: &DataFrame, j: usize) -> Result<Vec<f64>> {
        let table = Table::from_frame(frame, &self.schema)?;
        let k = self.schema.modelled().iter().position(|&m| m == j);
        Ok(k.map_or_else(Vec::new, |k| table.values.column(k).to_vec()))
    }
}

/// The place of a column that can be overimputed.
fn place(schema: &Schema, name: &str) -> Result<usize> {
    let columns = schema.columns();
    let Some(j) = columns.iter().position(|c| c.name() == name) else {
        let known = columns.iter().map(|c| c.name().to_string()).collect();
        return Err(ErrorKind::UnknownColumn { column: name.into(), known }.into());
    };
    match columns[j].role == Role::Modelled && columns[j].asked {
        true => Ok(j),
        false => {
            Err(Error::config("overimpute", format!("`{name}`"), "a column that is filled; this one is left out or constant"))
        }
    }
}

/// Root mean square error in standard deviations, or the share of wrong levels.
fn error(numeric: bool, fills: &[f64], truth: &[f64]) -> f64 {
    let n = truth.len().max(1) as f64;
    if !numeric {
        return fills.iter().zip(truth).filter(|(a, b)| a != b).count() as f64 / n;
    }
    let sd = standard_deviation(truth.iter().copied());
    let unit = if sd > 0.0 && sd.is_finite() { sd } else { 1.0 };
    (fills.iter().zip(truth).map(|(a, b)| ((a - b) / unit).powi(2)).sum::<f64>() / n).sqrt()
}
