//! Which cells a row loses together: missing-data patterns, and the curve of their chances.

use std::fmt;
use std::str::FromStr;

use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::SliceRandom;

use crate::data::schema::Role;
use crate::data::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::ampute::{Mechanism, intercept, scores, sigmoid, standardise};
use crate::rng::Stream;

/// How the chance of a loss follows a score x (standardised): σ(c(x) + b), c by the curve. The names are those of mice's `ampute`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// High scores: c(x) = x.
    #[default]
    Right,
    /// Low scores: c(x) = −x.
    Left,
    /// Scores near the middle: c(x) = 0.75 − |x|.
    Mid,
    /// Scores far from it: c(x) = |x| − 0.75.
    Tail,
}

impl Curve {
    const NAMES: [(&str, Curve); 4] =
        [("right", Curve::Right), ("left", Curve::Left), ("mid", Curve::Mid), ("tail", Curve::Tail)];

    pub(super) fn of(self, x: f64) -> f64 {
        match self {
            Curve::Right => x,
            Curve::Left => -x,
            Curve::Mid => 0.75 - x.abs(),
            Curve::Tail => x.abs() - 0.75,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Curve::NAMES.iter().find(|(_, curve)| curve == self).map_or("", |(name, _)| name))
    }
}

impl FromStr for Curve {
    type Err = Error;

    fn from_str(s: &str) -> Result<Curve> {
        let found = Curve::NAMES.iter().find(|(name, _)| *name == s);
        found.map(|(_, curve)| *curve).ok_or_else(|| Error::config("curve", format!("'{s}'"), "one of right, left, mid, tail"))
    }
}

/// The columns that a row loses together, how often, and by what.
///
/// ```
/// use lacuna::evaluate::Pattern;
/// let pattern = Pattern::new(["income", "rent"]).frequency(0.7).weight("age", 1.0);
/// assert_eq!(pattern.columns, ["income", "rent"]);
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The columns that are emptied.
    pub columns: Vec<String>,
    /// How many rows are up for this pattern, relative to the others.
    #[serde(default = "one")]
    pub frequency: f64,
    /// What each column's score counts in the score of a row; columns not named count nothing. When empty, one for each column that
    /// stays (`mar`) or is emptied (`mnar`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<(String, f64)>,
}

fn one() -> f64 {
    1.0
}

impl Pattern {
    /// Empties these columns, as often as any other pattern.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Pattern {
        Pattern { columns: columns.into_iter().map(Into::into).collect(), frequency: 1.0, weights: Vec::new() }
    }

    /// Sets how many rows are up for this pattern, relative to the others.
    pub fn frequency(mut self, frequency: f64) -> Pattern {
        self.frequency = frequency;
        self
    }

    /// Sets what a column's score counts.
    pub fn weight(mut self, column: &str, weight: f64) -> Pattern {
        self.weights.push((column.into(), weight));
        self
    }

    /// The model's places of the emptied columns, and the weights of all.
    fn resolve(&self, table: &Table, mechanism: Mechanism) -> Result<(Vec<usize>, Vec<f64>)> {
        let schema = &table.schema;
        let place = |name: &str, empties: bool| -> Result<usize> {
            let Some(j) = schema.columns().iter().position(|c| c.name() == name) else {
                let known = schema.columns().iter().map(|c| c.name().to_string()).collect();
                return Err(ErrorKind::UnknownColumn { column: name.into(), known }.into());
            };
            let column = &schema.columns()[j];
            let modelled = schema.modelled().iter().position(|&m| m == j);
            let fits = column.role == Role::Modelled && (column.asked || !empties);
            modelled.filter(|_| fits).ok_or_else(|| {
                let expected = "a column that an imputer fills; this one is left out, constant or without a cell";
                Error::config("a pattern's column", format!("`{name}`"), expected)
            })
        };
        let emptied = self.columns.iter().map(|name| place(name, true)).collect::<Result<Vec<_>>>()?;
        if emptied.is_empty() {
            return Err(Error::config("a pattern", "without columns", "a list of columns to empty"));
        }
        if !(self.frequency > 0.0 && self.frequency.is_finite()) {
            return Err(Error::config("frequency", self.frequency, "above zero"));
        }
        let mut weights = vec![0.0; table.d()];
        for (name, weight) in &self.weights {
            let k = place(name, false)?;
            if !weight.is_finite() {
                return Err(Error::config(format!("weight of `{name}`"), weight, "a number"));
            }
            weights[k] = *weight;
        }
        let plain = self.weights.is_empty();
        match mechanism {
            Mechanism::Mcar if !plain => {
                return Err(Error::config("weights", "given", "absent under mcar, which looks at no cell"));
            }
            Mechanism::Mcar => return Ok((emptied, weights)),
            Mechanism::Mar if plain => (0..table.d()).filter(|k| !emptied.contains(k)).for_each(|k| weights[k] = 1.0),
            Mechanism::Mar if emptied.iter().any(|&k| weights[k] != 0.0) => {
                return Err(Error::config("mechanism", "mar", "mnar: a pattern's weights name a column that it empties"));
            }
            Mechanism::Mnar if plain => emptied.iter().for_each(|&k| weights[k] = 1.0),
            _ => {}
        }
        if weights.iter().all(|w| *w == 0.0) {
            let found = if plain { "mar" } else { "without a weight other than zero" };
            let expected = "by some column: a pattern empties every modelled column, or its weights are all zero";
            return Err(Error::config("mechanism", found, expected));
        }
        Ok((emptied, weights))
    }
}

/// Rows to hide by column of the model: each row is up for one pattern, and a share of them loses it.
pub(super) fn choose(
    table: &Table,
    mechanism: Mechanism,
    share: f64,
    (patterns, curve): (&[Pattern], Curve),
    streams: &mut [Stream],
    across: &mut Stream,
) -> Result<Vec<Vec<usize>>> {
    let (n, d) = (table.n(), table.d());
    let resolved = patterns.iter().map(|p| p.resolve(table, mechanism)).collect::<Result<Vec<_>>>()?;
    let scores: Vec<Vec<f64>> = match mechanism {
        Mechanism::Mcar => Vec::new(),
        _ => {
            let columns = table.schema.modelled_columns().zip(table.values.columns());
            columns.zip(streams).map(|((column, cells), stream)| scores(column, cells, stream)).collect()
        }
    };
    let total: f64 = patterns.iter().map(|p| p.frequency).sum();
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(across);
    let mut hidden = vec![Vec::new(); d];
    let (mut first, mut passed) = (0, 0.0);
    for (pattern, (emptied, weights)) in patterns.iter().zip(&resolved) {
        passed += pattern.frequency;
        let last = ((passed / total * n as f64).round() as usize).clamp(first, n);
        let rows = &order[first..last];
        first = last;
        let sum = |row: &usize| weights.iter().zip(&scores).map(|(w, scores)| w * scores[*row]).sum::<f64>();
        let mut slope: Vec<f64> = rows.iter().map(sum).collect();
        standardise(&mut slope);
        slope.iter_mut().for_each(|x| *x = if mechanism == Mechanism::Mcar { 0.0 } else { curve.of(*x) });
        let b = intercept(slope.iter().copied(), share);
        for (&row, x) in rows.iter().zip(&slope) {
            if across.random::<f64>() < sigmoid(x + b) {
                emptied.iter().filter(|&&k| !table.values[(row, k)].is_nan()).for_each(|&k| hidden[k].push(row));
            }
        }
    }
    hidden.iter_mut().for_each(|rows| {
        rows.sort_unstable();
        // A pattern may name a column twice.
        rows.dedup();
    });
    Ok(hidden)
}
