//! Does it work: hide cells, fill them, score.

mod ampute;
mod metrics;
mod patterns;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use ::polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};

use crate::data::schema::{ColumnKind, Schema};
use crate::data::table::Table;
use crate::error::{Error, Result};
use crate::impute::config::VaeConfig;
use crate::impute::fit::Progress;
use crate::impute::knn::KnnConfig;
use crate::impute::mean::{MeanConfig, standard_deviation};
use crate::impute::{Filled, Fit, Imputer};

pub use ampute::{AmputeOptions, Amputed, Mechanism, ampute, ampute_with};
pub use patterns::{Curve, Pattern};

/// What [`compare`] hides, and how the methods are set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareOptions {
    /// Which cells are hidden.
    pub mechanism: Mechanism,
    /// Which share of the observed cells is.
    pub share: f64,
    /// Seed of the hidden cells.
    pub seed: u64,
    /// The nearest-neighbour baseline.
    pub knn: KnnConfig,
    /// The variational autoencoder.
    pub vae: VaeConfig,
}

impl Default for CompareOptions {
    fn default() -> Self {
        let (knn, vae) = (KnnConfig::default(), VaeConfig::default());
        CompareOptions { mechanism: Mechanism::Mcar, share: 0.2, seed: 0, knn, vae }
    }
}

/// The scores of several methods on the same hidden cells; its `Display` is a table for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// How the cells were hidden.
    pub mechanism: Mechanism,
    /// The share of observed cells that was asked for.
    pub share: f64,
    /// The seed.
    pub seed: u64,
    /// Rows of the table.
    pub rows: usize,
    /// Cells hidden.
    pub hidden: usize,
    /// The columns that lost cells, in table order.
    pub columns: Vec<ComparedColumn>,
    /// The methods.
    pub methods: Vec<MethodScores>,
}

/// A column of a [`Comparison`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedColumn {
    /// Its name.
    pub column: String,
    /// Its kind.
    pub kind: ColumnKind,
    /// Cells hidden.
    pub hidden: usize,
    /// What errors are divided by: the population standard deviation of the observed cells before any was hidden; 1 for
    /// levels.
    pub unit: f64,
}

/// The scores of one method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodScores {
    /// The method, as in [`Report::method`](crate::Report::method).
    pub method: String,
    /// Time of fit and fill.
    pub seconds: f64,
    /// Over the cells of all columns of numbers; `None` without any.
    pub numbers: Option<Score>,
    /// Over the cells of all columns of levels; `None` without any.
    pub levels: Option<Score>,
    /// One a column of [`Comparison::columns`].
    pub columns: Vec<Score>,
}

/// How far the fills of hidden cells are from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Score {
    /// Numbers before they are rounded, in standard deviations of their column; lower is better.
    Numbers {
        /// Root mean square error.
        rmse: f64,
        /// Mean absolute error.
        mae: f64,
    },
    /// Levels; higher is better.
    Levels {
        /// The share that is right.
        accuracy: f64,
    },
}

impl Score {
    fn of_numbers(errors: &[f64]) -> Score {
        Score::Numbers { rmse: metrics::rmse(errors), mae: metrics::mae(errors) }
    }

    fn of_levels(errors: &[f64]) -> Score {
        Score::Levels { accuracy: metrics::accuracy(errors) }
    }

    /// The figure a table shows.
    fn figure(self) -> f64 {
        match self {
            Score::Numbers { rmse, .. } => rmse,
            Score::Levels { accuracy } => accuracy,
        }
    }

    /// A number that is lower for a better score.
    fn loss(self) -> f64 {
        match self {
            Score::Numbers { rmse, .. } => rmse,
            Score::Levels { accuracy } => -accuracy,
        }
    }
}

/// Hides a share of the observed cells, fits and fills by the variational autoencoder, the mean and nearest neighbours,
/// and scores each on the same hidden cells.
///
/// The schema must be that of the full frame. The callback gets the autoencoder's progress.
///
/// # Errors
/// As [`ampute`] and each method's fit; too few observed cells to hide any;
/// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) if the callback breaks.
pub fn compare(
    df: &DataFrame,
    schema: &Schema,
    options: &CompareOptions,
    on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send),
) -> Result<Comparison> {
    let amputed = ampute(df, schema, options.mechanism, options.share, options.seed)?;
    if amputed.cells() == 0 {
        return Err(Error::schema("the table has too few observed cells to hide any: every row and column would be left empty"));
    }
    let truth = Truth::new(df, schema, &amputed)?;
    let frame = &amputed.frame;
    let methods = vec![
        truth.time_and_score(frame, || options.vae.fit_with_progress(frame, schema, on_progress))?,
        truth.time_and_score(frame, || MeanConfig::default().fit_with(frame, schema))?,
        truth.time_and_score(frame, || options.knn.fit_with(frame, schema))?,
    ];
    Ok(Comparison {
        mechanism: options.mechanism,
        share: options.share,
        seed: options.seed,
        rows: df.height(),
        hidden: amputed.cells(),
        columns: truth.columns.into_iter().map(|c| c.shown).collect(),
        methods,
    })
}

/// The hidden cells, column by column.
struct Truth {
    columns: Vec<TrueColumn>,
}

struct TrueColumn {
    shown: ComparedColumn,
    /// Hidden rows with their values, ascending.
    cells: Vec<(usize, f64)>,
}

impl Truth {
    fn new(df: &DataFrame, schema: &Schema, amputed: &Amputed) -> Result<Truth> {
        let table = Table::from_frame(df, &Arc::new(schema.clone()))?;
        let mut columns = Vec::new();
        // Table order, not the model's.
        for (j, column) in schema.columns().iter().enumerate() {
            let rows = amputed.hidden(column.name()).unwrap_or_default();
            let (false, Some(k)) = (rows.is_empty(), schema.modelled().iter().position(|&m| m == j)) else {
                continue;
            };
            let values = table.values.column(k);
            let unit = match column.kind().is_numeric() {
                true => standard_deviation(values.iter().copied().filter(|x| !x.is_nan())),
                false => 1.0,
            };
            let shown = ComparedColumn { column: column.name().into(), kind: column.kind(), hidden: rows.len(), unit };
            columns.push(TrueColumn { shown, cells: rows.iter().map(|&i| (i, values[i])).collect() });
        }
        Ok(Truth { columns })
    }

    fn time_and_score<I: Imputer>(&self, frame: &DataFrame, fit: impl FnOnce() -> Result<I>) -> Result<MethodScores> {
        let start = Instant::now();
        let filled = fit()?.fill(frame)?;
        let seconds = start.elapsed().as_secs_f64();
        let (mut numbers, mut levels) = (Vec::new(), Vec::new());
        let columns = self.columns.iter().map(|column| {
            let errors = column.errors(&filled);
            if column.shown.kind.is_numeric() {
                numbers.extend_from_slice(&errors);
                Score::of_numbers(&errors)
            } else {
                levels.extend_from_slice(&errors);
                Score::of_levels(&errors)
            }
        });
        let columns = columns.collect();
        Ok(MethodScores {
            method: filled.report.method,
            seconds,
            numbers: (!numbers.is_empty()).then(|| Score::of_numbers(&numbers)),
            levels: (!levels.is_empty()).then(|| Score::of_levels(&levels)),
            columns,
        })
    }
}

impl TrueColumn {
    /// Fill minus truth, in units of the column, for every hidden cell.
    fn errors(&self, filled: &Filled) -> Vec<f64> {
        let (rows, values) = filled.cells(&self.shown.column).unwrap_or_default();
        // The gaps are the hidden cells and those missing before; both lists ascend.
        let mut fills = rows.iter().zip(values);
        let errors = self.cells.iter().filter_map(|(row, truth)| {
            let (_, fill) = fills.find(|(filled, _)| *filled == row)?;
            Some((fill - truth) / self.shown.unit)
        });
        errors.collect()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.columns.iter().map(|c| c.column.chars().count()).max().unwrap_or(0).clamp(11, 32);
        let head = |f: &mut fmt::Formatter<'_>, a: &str, b: &str, c: &str| write!(f, "{a:width$}  {b:11} {c:>7}");
        head(f, "column", "kind", "hidden")?;
        self.methods.iter().try_for_each(|m| write!(f, " {:>9} ", m.method))?;
        writeln!(f)?;
        let line = |f: &mut fmt::Formatter<'_>, scores: &[Score]| {
            let best = scores.iter().map(|s| s.loss()).fold(f64::INFINITY, f64::min);
            let mark = |s: &Score| if s.loss() == best { '*' } else { ' ' };
            scores.iter().try_for_each(|s| write!(f, " {:>9.3}{}", s.figure(), mark(s)))?;
            writeln!(f)
        };
        for (i, c) in self.columns.iter().enumerate() {
            let name: String = c.column.chars().take(width).collect();
            head(f, &name, &c.kind.to_string(), &c.hidden.to_string())?;
            line(f, &self.methods.iter().map(|m| m.columns[i]).collect::<Vec<_>>())?;
        }
        let hidden = |numeric| self.columns.iter().filter(|c| c.kind.is_numeric() == numeric).map(|c| c.hidden).sum::<usize>();
        let numbers: Option<Vec<Score>> = self.methods.iter().map(|m| m.numbers).collect();
        if let Some(scores) = numbers {
            head(f, "all numbers", "RMSE in sd", &hidden(true).to_string())?;
            line(f, &scores)?;
        }
        let levels: Option<Vec<Score>> = self.methods.iter().map(|m| m.levels).collect();
        if let Some(scores) = levels {
            head(f, "all levels", "accuracy", &hidden(false).to_string())?;
            line(f, &scores)?;
        }
        head(f, "time", "seconds", "")?;
        self.methods.iter().try_for_each(|m| write!(f, " {:>9.2} ", m.seconds))?;
        writeln!(f)?;
        writeln!(
            f,
            "{} cells hidden in {} rows ({}, share {}, seed {}); * is the best of its line",
            self.hidden, self.rows, self.mechanism, self.share, self.seed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impute::mean::Strategy;

    /// x: mean 3 and sd sqrt(2) of 1..5.
    fn frame() -> DataFrame {
        ::polars::df!(
            "x" => [Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(5.0), None],
            "level" => [Some("a"), Some("a"), Some("a"), Some("a"), Some("b"), Some("b")],
        )
        .unwrap()
    }

    /// The last rows of both columns hidden, scored by hand.
    #[test]
    fn scores_by_hand() {
        let df = frame();
        let schema = Schema::infer(&df).unwrap();
        let truth = Truth {
            columns: vec![
                TrueColumn {
                    shown: ComparedColumn { column: "x".into(), kind: ColumnKind::Continuous, hidden: 2, unit: 2.0_f64.sqrt() },
                    cells: vec![(0, 1.0), (4, 5.0)],
                },
                TrueColumn {
                    shown: ComparedColumn { column: "level".into(), kind: ColumnKind::Binary, hidden: 2, unit: 1.0 },
                    cells: vec![(0, 0.0), (5, 1.0)],
                },
            ],
        };
        let hidden = ::polars::df!(
            "x" => [None, Some(2.0), Some(3.0), Some(4.0), None, None],
            "level" => [None, Some("a"), Some("a"), Some("a"), Some("b"), None],
        )
        .unwrap();
        let fit = || MeanConfig::default().strategy(Strategy::Median).fit_with(&hidden, &schema);
        let scores = truth.time_and_score(&hidden, fit).unwrap();
        assert_eq!(scores.method, "median");
        let Some(Score::Numbers { rmse, mae }) = scores.numbers else { panic!("{scores:?}") };
        assert!((rmse - 2.0_f64.sqrt()).abs() < 1e-15 && (mae - 2.0_f64.sqrt()).abs() < 1e-15);
        assert_eq!(scores.levels, Some(Score::Levels { accuracy: 0.5 }));
        assert_eq!(scores.columns, [scores.numbers.unwrap(), scores.levels.unwrap()]);
    }

    #[test]
    fn the_truth_is_the_hidden_cells_in_units_of_the_full_column() {
        let df = frame();
        let schema = Schema::infer(&df).unwrap();
        let amputed = ampute(&df, &schema, Mechanism::Mcar, 0.5, 1).unwrap();
        let truth = Truth::new(&df, &schema, &amputed).unwrap();
        assert!(!truth.columns.is_empty());
        for column in &truth.columns {
            let rows: Vec<usize> = column.cells.iter().map(|c| c.0).collect();
            assert_eq!(rows, amputed.hidden(&column.shown.column).unwrap());
            let (unit, value): (f64, fn(usize) -> f64) = match column.shown.column.as_str() {
                "x" => (2.0_f64.sqrt(), |row| row as f64 + 1.0),
                _ => (1.0, |row| if row < 4 { 0.0 } else { 1.0 }),
            };
            assert!((column.shown.unit - unit).abs() < 1e-15);
            assert!(column.cells.iter().all(|&(row, x)| x == value(row)));
        }
    }

    #[test]
    fn too_few_cells_to_hide_are_an_error() {
        let df = ::polars::df!("x" => [1.0, 2.0]).unwrap();
        let schema = Schema::infer(&df).unwrap();
        let e = compare(&df, &schema, &CompareOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(e.to_string().contains("too few observed cells"), "{e}");
    }

    #[test]
    fn every_method_is_scored_on_the_same_cells() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60)).collect();
        let df = ::polars::df!("x" => &x, "y" => &x, "c" => x.iter().map(|x| *x > 20.0).collect::<Vec<_>>()).unwrap();
        let schema = Schema::infer(&df).unwrap();
        let options = CompareOptions { vae: VaeConfig::default().epochs(1), seed: 4, ..CompareOptions::default() };
        let mut epochs = 0;
        let comparison = compare(&df, &schema, &options, &mut |_| {
            epochs += 1;
            ControlFlow::Continue(())
        });
        let comparison = comparison.unwrap();
        assert!(epochs > 0);
        let names: Vec<&str> = comparison.columns.iter().map(|c| c.column.as_str()).collect();
        assert_eq!(names, ["x", "y", "c"]);
        assert_eq!(comparison.columns.iter().map(|c| c.hidden).sum::<usize>(), comparison.hidden);
        let [_, mean, knn] = comparison.methods.as_slice() else { panic!("{comparison}") };
        assert_eq!((mean.method.as_str(), knn.method.as_str()), ("mean", "knn"));
        // y = x: a neighbour knows, a mean does not.
        assert!(knn.numbers.unwrap().loss() < 0.6 * mean.numbers.unwrap().loss(), "{comparison}");
        assert!((mean.numbers.unwrap().loss() - 1.0).abs() < 0.2, "{comparison}");
        let stopped = compare(&df, &schema, &options, &mut |_| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(stopped.kind(), crate::error::ErrorKind::Interrupted));
    }

    #[test]
    fn the_table_marks_the_best_of_each_line() {
        let number = |rmse| Score::Numbers { rmse, mae: rmse };
        let level = |accuracy| Score::Levels { accuracy };
        let method = |name: &str, rmse, accuracy| MethodScores {
            method: name.into(),
            seconds: 1.5,
            numbers: Some(number(rmse)),
            levels: Some(level(accuracy)),
            columns: vec![number(rmse), level(accuracy)],
        };
        let column = |name: &str, kind, hidden| ComparedColumn { column: name.into(), kind, hidden, unit: 1.0 };
        let comparison = Comparison {
            mechanism: Mechanism::Mar,
            share: 0.2,
            seed: 1,
            rows: 100,
            hidden: 30,
            columns: vec![column("height", ColumnKind::Continuous, 20), column("sex", ColumnKind::Binary, 10)],
            methods: vec![method("vae", 0.5, 0.75), method("mean", 1.0, 0.75)],
        };
        let expected = "\
column       kind         hidden       vae       mean 
height       continuous       20     0.500*     1.000 
sex          binary           10     0.750*     0.750*
all numbers  RMSE in sd       20     0.500*     1.000 
all levels   accuracy         10     0.750*     0.750*
time         seconds                  1.50       1.50 
30 cells hidden in 100 rows (mar, share 0.2, seed 1); * is the best of its line
";
        assert_eq!(comparison.to_string(), expected);
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["methods"][0]["columns"][1]["accuracy"], 0.75);
        assert_eq!(json["mechanism"], "mar");
    }
}
