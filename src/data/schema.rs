//! What the data is: a kind for each column, inferred by written rules or stated by the user.

mod infer;
mod kind;
mod options;

use std::fmt;

use ::polars::prelude::DataType;
use serde::{Deserialize, Serialize};

use crate::data::physical;
use crate::error::Warning;

pub(crate) use infer::{Distinct, LEVEL_CAP, LEVELS_BY_THEMSELVES, LevelCounts, Profile, TEXT_CAP, Values, float_level};
pub use kind::{ColumnKind, Family};
pub use options::{Bound, ColumnSpec, SchemaOptions};

/// Why the gaps of a column are left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// The user excluded the column, or stated its kind as ignored.
    Excluded,
    /// The user asked for other columns only.
    NotAsked,
    /// No cell is observed; every column of dtype Null.
    Empty,
    /// Text with too many levels: identifiers or free text.
    TooManyLevels,
    /// The dtype has no model: lists, arrays, structs, binary and object cells, and the others of the table at [`ColumnKind`].
    UnsupportedType,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Left::Excluded => "excluded",
            Left::NotAsked => "not asked for",
            Left::Empty => "no observed value",
            Left::TooManyLevels => "too many levels",
            Left::UnsupportedType => "type without a model",
        })
    }
}

/// What happens to a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// It is one of the model's columns.
    Modelled,
    /// It has one observed value (a number, or the code of its only level), which fills its gaps.
    Constant(f64),
    /// It passes through.
    Left(Left),
}

/// One column of a [`Schema`].
#[derive(Clone, Debug)]
pub struct Column {
    pub(crate) name: String,
    pub(crate) dtype: DataType,
    pub(crate) kind: ColumnKind,
    pub(crate) family: Family,
    /// The family is settled: named by the user, or chosen by a fit.
    pub(crate) named: bool,
    pub(crate) levels: Vec<String>,
    pub(crate) bounds: (f64, f64),
    /// Filled numbers are multiples of this: one for integers and counts, 0.01 for two decimals, 3600 000 000 for a µs column of
    /// whole hours.
    pub(crate) step: Option<f64>,
    /// What a constant column stores, where its dtype stores integers and the bounds admit it: f64 may not hold it.
    pub(crate) constant: Option<i128>,
    pub(crate) role: Role,
    /// Gaps are to be filled (`only` did not leave the column out).
    pub(crate) asked: bool,
}

impl Column {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> ColumnKind {
        self.kind
    }

    /// Its type in the table that the schema was inferred from.
    pub fn dtype(&self) -> &DataType {
        &self.dtype
    }

    /// How it is modelled, if it is: in a fitted imputer's schema the family that was chosen, before a fit the family that
    /// is named or, failing that, the first to be tried.
    pub fn family(&self) -> Option<Family> {
        (self.role == Role::Modelled).then_some(self.family)
    }

    /// Its levels in order; empty for numbers. A cell's code is its level's place here.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// Lowest and highest value of a filled cell; infinite where open.
    pub fn bounds(&self) -> (f64, f64) {
        self.bounds
    }

    /// Why its gaps are left, if they are.
    pub fn left(&self) -> Option<Left> {
        match self.role {
            Role::Left(why) => Some(why),
            _ if !self.asked => Some(Left::NotAsked),
            _ => None,
        }
    }

    /// Whether role, kind, family, levels, bounds and step go together, as those that a fit gives do; a file may say anything.
    pub(crate) fn is_sound(&self) -> bool {
        let is_level = |x: f64| x.fract() == 0.0 && x >= 0.0 && x < self.levels.len() as f64;
        let cells = match (&self.role, self.kind.is_numeric()) {
            (Role::Left(_), _) => return true,
            (Role::Constant(x), true) => x.is_finite(),
            (Role::Constant(x), false) => is_level(*x),
            (Role::Modelled, _) => self.family.fits(self.kind),
        };
        let (low, high) = self.range();
        // From the last decimal of a decimal to a day in nanoseconds.
        let step = self.step.is_none_or(|step| (1e-38..=1e15).contains(&step));
        let kind = if self.kind.is_numeric() { self.levels.is_empty() } else { self.kind.has_levels() };
        cells && kind && step && low <= high && self.bounds.0 < f64::INFINITY && self.bounds.1 > f64::NEG_INFINITY
    }

    /// A number of the column for people: a date where it is one.
    pub(crate) fn text(&self, x: f64) -> String {
        match Bound::of(x, &self.dtype) {
            Bound::Text(text) => text,
            Bound::Number(x) => x.to_string(),
        }
    }

    /// A number brought inside the column's bounds and what its dtype can hold.
    pub(crate) fn clamp(&self, x: f64) -> f64 {
        let (low, high) = self.range();
        x.clamp(low, high)
    }

    /// A number brought inside the column's support: as [`Column::clamp`], and a multiple of its step.
    pub(crate) fn admit(&self, x: f64) -> f64 {
        let Some(step) = self.step else { return self.clamp(x) };
        // Bounds may be narrower than an hour, but not than what the dtype can tell apart.
        let inside = self.multiple(x, step).or_else(|| self.multiple(x, step.min(1.0)));
        inside.unwrap_or_else(|| self.clamp(x))
    }

    /// The nearest multiple of a step inside the bounds, if there is one.
    fn multiple(&self, x: f64, step: f64) -> Option<f64> {
        // Dividing by the steps of a unit keeps 7 steps of 0.01 at 0.07.
        let per = (1.0 / step).round();
        let steps = |x: f64| if step < 1.0 { x * per } else { x / step };
        let multiple = |k: f64| if step < 1.0 { k / per } else { k * step };
        let (low, high) = self.range();
        let (first, last) = (steps(low).round(), steps(high).round());
        let first = if multiple(first) < low { first + 1.0 } else { first };
        let last = if multiple(last) > high { last - 1.0 } else { last };
        (first <= last).then(|| multiple(steps(x).round().clamp(first, last)))
    }

    /// The bounds within the dtype's limits.
    fn range(&self) -> (f64, f64) {
        let (low, high) = physical::limits(&self.dtype);
        (self.bounds.0.max(low), self.bounds.1.min(high))
    }
}

/// The columns of a table: names, kinds, levels, what is modelled and why the rest is not.
///
/// ```
/// use lacuna::{ColumnKind, Schema};
/// use polars::prelude::*;
/// let df = df!("x" => [Some(1.5), None, Some(-3.0)], "ok" => [true, false, true])?;
/// let schema = Schema::infer(&df)?;
/// assert_eq!(schema.column("x").unwrap().kind(), ColumnKind::Continuous);
/// assert_eq!(schema.column("ok").unwrap().kind(), ColumnKind::Binary);
/// assert!(schema.warnings().is_empty());
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schema {
    columns: Vec<Column>,
    /// Places of the modelled columns, in the model's order: by name, so that a fit does not depend on column order.
    modelled: Vec<usize>,
    warnings: Vec<Warning>,
    /// The columns that say which rows a fit learns from, and how much: [`SchemaOptions::ignore`], [`SchemaOptions::weights`].
    pub(crate) ignore: Option<String>,
    pub(crate) weights: Option<String>,
    /// The column that tells the rows apart: [`SchemaOptions::id`].
    pub(crate) id: Option<String>,
    /// A table may lack columns of the fit.
    pub(crate) lenient: bool,
}

impl Schema {
    /// `columns` in table order.
    pub(crate) fn new(columns: Vec<Column>, warnings: Vec<Warning>) -> Schema {
        let mut modelled: Vec<usize> = (0..columns.len()).filter(|&j| columns[j].role == Role::Modelled).collect();
        modelled.sort_by(|&a, &b| columns[a].name.cmp(&columns[b].name));
        Schema { columns, modelled, warnings, ignore: None, weights: None, id: None, lenient: false }
    }

    /// What the inference decided alone.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// All columns, in table order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Places in [`Schema::columns`] of the modelled columns, in the model's order.
    pub(crate) fn modelled(&self) -> &[usize] {
        &self.modelled
    }

    /// The same schema with the families of the modelled columns settled; `families` in the model's order.
    pub(crate) fn with_families(mut self, families: &[Family]) -> Schema {
        for (&j, &family) in self.modelled.iter().zip(families) {
            self.columns[j].family = family;
            self.columns[j].named = true;
        }
        self
    }

    /// Makes the schema one of tables that are made: every column is asked for, and modelled ones without a step have these, in
    /// the model's order.
    pub(crate) fn for_rows(&mut self, steps: &[Option<f64>]) {
        self.columns.iter_mut().for_each(|c| c.asked = true);
        for (&j, &step) in self.modelled.iter().zip(steps) {
            self.columns[j].step = self.columns[j].step.or(step);
        }
    }

    /// The modelled columns, in the model's order.
    pub(crate) fn modelled_columns(&self) -> impl Iterator<Item = &Column> {
        self.modelled.iter().map(|&j| &self.columns[j])
    }

    /// The schema as a file that [`SchemaOptions`] reads back: pretty JSON with `name`, `kind`, `levels` and
    /// `bounds` where they apply, and `family` where it was named or a fit has chosen it.
    ///
    /// # Panics
    /// Never, but for a bug of ours: names and numbers are valid JSON.
    #[expect(clippy::expect_used, reason = "there is nothing in it that JSON lacks")]
    pub fn to_json(&self) -> String {
        let columns: Vec<ColumnSpec> = self
            .columns
            .iter()
            .map(|c| ColumnSpec {
                name: c.name.clone(),
                kind: Some(c.kind),
                family: c.named.then_some(c.family),
                levels: (!c.levels.is_empty() && c.kind.has_levels()).then(|| c.levels.clone()),
                bounds: match (c.bounds.0, c.bounds.1) {
                    (f64::NEG_INFINITY, f64::INFINITY) => None,
                    // A count's floor of zero goes without saying, and so does a day.
                    (0.0, f64::INFINITY) if c.kind != ColumnKind::Continuous => None,
                    day if c.dtype == DataType::Time && day == physical::limits(&c.dtype) => None,
                    (low, high) => Some([low, high].map(|x| x.is_finite().then(|| Bound::of(x, &c.dtype))).into()),
                },
                na: None,
                format: None,
            })
            .collect();
        #[derive(Serialize)]
        struct File {
            columns: Vec<ColumnSpec>,
        }
        serde_json::to_string_pretty(&File { columns }).expect("names and numbers are valid JSON")
    }
}
