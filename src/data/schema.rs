//! What the data is: a kind for each column, inferred by written rules or stated by the user.

use std::fmt;
use std::str::FromStr;

use ::polars::prelude::DataType;
use serde::{Deserialize, Serialize};

use crate::data::physical;
use crate::error::{Error, ErrorKind, Result, Warning};

/// What a column is: its support. How it is modelled is its [`Family`].
///
/// | kind | cells | inferred for |
/// |---|---|---|
/// | `continuous` | any real number | floats; integers that can be negative; dates, moments, times of the day and durations |
/// | `positive` | numbers above zero | floats and durations above zero that are less skewed on the log scale |
/// | `count` | whole numbers from zero | integers from zero; floats that are whole in 20 cells or more |
/// | `binary` | one of two levels | booleans; two distinct texts; 0/1; two distinct integers in 20 cells or more |
/// | `categorical` | one of several levels | other text, Categorical and Enum columns |
/// | `ordinal` | one of several levels in order | never inferred: state it |
/// | `ignored` | anything | dtypes without a model, text whose levels are mostly seen once or are over 100 000, columns without a value |
///
/// Of a categorical column with more than 256 levels the 224 most frequent ones are told apart by the model; the others share 32
/// classes, spread by a hash of their text, and a shared class is filled and drawn as one of its levels by their shares.
///
/// To the model a cell of each dtype is a number, or a level:
///
/// | dtype | number | filled numbers |
/// |---|---|---|
/// | Float32, Float64 | itself; null and NaN are missing, ±inf is an error | any |
/// | Int8 to Int128, UInt8 to UInt64 | itself | whole, within the dtype |
/// | Decimal | its value, read as a float is (scale 0: as an integer is) | multiples of its last decimal, within its precision |
/// | Date | days since 1970-01-01 | whole days |
/// | Datetime | its unit since 1970-01-01 UTC, whatever the zone | as for durations |
/// | Duration | its unit | multiples of the largest of day, hour, minute, second, ms, µs, ns that divides all observed cells |
/// | Time | nanoseconds since midnight | as for durations, within the day |
/// | Boolean, String, Categorical, Enum | a level; an Enum's and a Categorical's codes stay | a level |
/// | Null | none | none: the column stays empty and is named |
/// | List, Array, Struct, Binary, Object, Float16, UInt128 | none | none: the column stays as it is and is named |
///
/// Observed cells are never rebuilt from these numbers, so that integers beyond 2⁵³ and nanoseconds stay exact; a fill there
/// is as near as f64 can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ColumnKind {
    Continuous,
    Positive,
    Count,
    Binary,
    Categorical,
    Ordinal,
    Ignored,
}

impl ColumnKind {
    /// Every kind with its name, in the order of the first table above.
    const NAMES: [(&'static str, ColumnKind); 7] = [
        ("continuous", ColumnKind::Continuous),
        ("positive", ColumnKind::Positive),
        ("count", ColumnKind::Count),
        ("binary", ColumnKind::Binary),
        ("categorical", ColumnKind::Categorical),
        ("ordinal", ColumnKind::Ordinal),
        ("ignored", ColumnKind::Ignored),
    ];

    /// Whether cells are numbers rather than levels.
    pub fn is_numeric(self) -> bool {
        matches!(self, ColumnKind::Continuous | ColumnKind::Positive | ColumnKind::Count)
    }

    /// Whether cells are one of finitely many levels.
    pub fn has_levels(self) -> bool {
        matches!(self, ColumnKind::Binary | ColumnKind::Categorical | ColumnKind::Ordinal)
    }
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ColumnKind::NAMES.iter().find(|(_, k)| k == self);
        f.pad(name.map_or("", |(n, _)| n))
    }
}

impl FromStr for ColumnKind {
    type Err = Error;

    fn from_str(s: &str) -> Result<ColumnKind> {
        let names = ColumnKind::NAMES;
        let hit = names.iter().find(|(n, _)| *n == s).map(|(_, k)| *k);
        hit.ok_or_else(|| {
            let all: Vec<&str> = names.iter().map(|(n, _)| *n).collect();
            Error::config("kind", format!("'{s}'"), format!("one of {}", all.join(", ")))
        })
    }
}

/// How a column is modelled: the distribution of a cell given the decoder's output.
///
/// The kind says which families fit; among those the fit chooses by held-out score, unless one is named.
///
/// | kind | families |
/// |---|---|
/// | `continuous` | `gaussian`, `student_t`, `zero_inflated_gaussian`, `zero_inflated_log_normal`, `discretised` |
/// | `positive` | the same, `log_normal` |
/// | `count` | the same as `continuous`, `poisson`, `negative_binomial` |
/// | `binary` | `bernoulli`, `categorical` |
/// | `categorical` | `categorical` |
/// | `ordinal` | `ordinal`, `categorical` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Normal with mean and standard deviation from the decoder.
    Gaussian,
    /// Student's t with location, scale and degrees of freedom (above two) from the decoder: heavy tails.
    StudentT,
    /// A number above zero whose logarithm is normal.
    LogNormal,
    /// A count that varies as its mean.
    Poisson,
    /// A count that varies more than its mean.
    NegativeBinomial,
    /// The most frequent value with a probability of its own, elsewhere a normal density.
    ZeroInflatedGaussian,
    /// The most frequent value with a probability of its own, elsewhere a number above zero whose logarithm is normal.
    ZeroInflatedLogNormal,
    /// One of the observed numbers, where they are few (256 at most): each has its own probability.
    Discretised,
    /// Two levels.
    Bernoulli,
    /// Several levels.
    Categorical,
    /// Several levels in order: cumulative logits, with an offset a level for codes that are not one scale.
    Ordinal,
}

impl Family {
    /// Every family with its name.
    const NAMES: [(&'static str, Family); 11] = [
        ("gaussian", Family::Gaussian),
        ("student_t", Family::StudentT),
        ("log_normal", Family::LogNormal),
        ("poisson", Family::Poisson),
        ("negative_binomial", Family::NegativeBinomial),
        ("zero_inflated_gaussian", Family::ZeroInflatedGaussian),
        ("zero_inflated_log_normal", Family::ZeroInflatedLogNormal),
        ("discretised", Family::Discretised),
        ("bernoulli", Family::Bernoulli),
        ("categorical", Family::Categorical),
        ("ordinal", Family::Ordinal),
    ];

    /// The family that a kind has unless another is named or chosen.
    fn default_for(kind: ColumnKind) -> Family {
        match kind {
            ColumnKind::Binary => Family::Bernoulli,
            ColumnKind::Categorical => Family::Categorical,
            ColumnKind::Ordinal => Family::Ordinal,
            _ => Family::Gaussian,
        }
    }

    fn fits(self, kind: ColumnKind) -> bool {
        match self {
            Family::Gaussian | Family::StudentT | Family::Discretised => kind.is_numeric(),
            Family::ZeroInflatedGaussian | Family::ZeroInflatedLogNormal => kind.is_numeric(),
            Family::LogNormal => kind == ColumnKind::Positive,
            Family::Poisson | Family::NegativeBinomial => kind == ColumnKind::Count,
            Family::Bernoulli => kind == ColumnKind::Binary,
            Family::Categorical => kind.has_levels(),
            Family::Ordinal => kind == ColumnKind::Ordinal,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Family::NAMES.iter().find(|(_, family)| family == self);
        f.pad(name.map_or("", |(n, _)| n))
    }
}

/// One end of [`ColumnSpec::bounds`]: a number in the units of [`ColumnKind`]'s table, or the text of a cell.
///
/// ```
/// let spec: lacuna::ColumnSpec = serde_json::from_str(r#"{"name": "joined", "bounds": ["2020-01-01", null]}"#).unwrap();
/// assert_eq!(spec.bounds, Some((Some("2020-01-01".into()), None)));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// A number.
    Number(f64),
    /// A date `2024-01-31`; a moment `2024-01-31T12:30:00.5`, in a column with a zone UTC or with an offset (`+01:00`); a time
    /// `12:30:00`; or the digits of a number.
    Text(String),
}

impl Bound {
    /// Its number in a column of this dtype.
    fn number(&self, dtype: &DataType) -> Option<f64> {
        match self {
            Bound::Number(x) => Some(*x),
            Bound::Text(text) if physical::range(dtype).is_some() => {
                physical::parse(dtype, text).map(|x| physical::number(dtype, x))
            }
            Bound::Text(text) => text.trim().parse().ok().filter(|x: &f64| !x.is_nan()),
        }
    }

    /// A number of a column of this dtype: as text where a number says little.
    fn of(x: f64, dtype: &DataType) -> Bound {
        match dtype {
            DataType::Date | DataType::Datetime(..) | DataType::Time => {
                Bound::Text(physical::text(dtype, physical::stored(dtype, None, x)))
            }
            _ => Bound::Number(x),
        }
    }
}

impl From<f64> for Bound {
    fn from(x: f64) -> Bound {
        Bound::Number(x)
    }
}

impl From<&str> for Bound {
    fn from(text: &str) -> Bound {
        Bound::Text(text.into())
    }
}

/// What a user says of one column, as in a schema file; everything but the name is optional.
///
/// ```
/// let spec: lacuna::ColumnSpec = serde_json::from_str(
///     r#"{"name": "quality", "kind": "ordinal", "levels": ["low", "high"], "note": "ignored"}"#).unwrap();
/// assert_eq!(spec.levels.unwrap().len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// The column's name.
    pub name: String,
    /// Its kind; inferred when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ColumnKind>,
    /// Its family; chosen by the fit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Its levels in order; those observed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<String>>,
    /// Lowest and highest value a filled cell may take, numbers or the text of a cell ([`Bound`]); `null` leaves a side open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<(Option<Bound>, Option<Bound>)>,
    /// Texts that mean "missing" in this column, beside the general ones (CSV only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub na: Option<Vec<String>>,
    /// The format of its dates or times, as strftime has it: `%d/%m/%Y`; found when absent (CSV only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// What a user says of the columns: specifications, and which columns to leave out or fill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchemaOptions {
    /// Specifications by column; a later one of the same name replaces the fields it states.
    pub columns: Vec<ColumnSpec>,
    /// Columns kept in the output but not used by the model and not filled.
    pub exclude: Vec<String>,
    /// Fill these columns only; every column when empty.
    pub only: Vec<String>,
    /// A column of booleans, or of 0 and 1: rows where it is true are filled and not learned from, neither by the schema nor
    /// by a fit. The column itself is kept and not modelled.
    pub ignore: Option<String>,
    /// A column of row weights, numbers from zero: the autoencoder's training draws each row, and stops by the loss of its
    /// held-out cells, in proportion to its weight. A row of weight zero is not learned from at all; other than that, scales,
    /// levels, families, expected errors and the other methods count every row once. The column itself is kept and not modelled.
    pub weights: Option<String>,
}

impl SchemaOptions {
    /// States the kind of one column.
    ///
    /// ```
    /// use lacuna::{ColumnKind, SchemaOptions};
    /// let o = SchemaOptions::default().kind("age", ColumnKind::Count).exclude("id");
    /// assert_eq!(o.spec("age").kind, Some(ColumnKind::Count));
    /// ```
    pub fn kind(mut self, column: &str, kind: ColumnKind) -> Self {
        self.columns.push(ColumnSpec { name: column.into(), kind: Some(kind), ..ColumnSpec::default() });
        self
    }

    /// States the format of the dates or times of one column of a CSV file, as strftime has it.
    ///
    /// ```
    /// let o = lacuna::SchemaOptions::default().format("born", "%d/%m/%Y");
    /// assert_eq!(o.spec("born").format.as_deref(), Some("%d/%m/%Y"));
    /// ```
    pub fn format(mut self, column: &str, format: &str) -> Self {
        self.columns.push(ColumnSpec { name: column.into(), format: Some(format.into()), ..ColumnSpec::default() });
        self
    }

    /// Keeps a column out of the model.
    pub fn exclude(mut self, column: &str) -> Self {
        self.exclude.push(column.into());
        self
    }

    /// Names the column that says which rows are filled but not learned from.
    pub fn ignore(mut self, column: &str) -> Self {
        self.ignore = Some(column.into());
        self
    }

    /// Names the column of row weights.
    pub fn weights(mut self, column: &str) -> Self {
        self.weights = Some(column.into());
        self
    }

    /// Whether a column is kept and not modelled because the options say so.
    pub(crate) fn leaves_out(&self, column: &str) -> bool {
        self.exclude.iter().chain(&self.ignore).chain(&self.weights).any(|c| c == column)
    }

    /// Fills this column (and others so named) only.
    pub fn only(mut self, column: &str) -> Self {
        self.only.push(column.into());
        self
    }

    /// What is said of one column, all specifications of that name merged.
    pub fn spec(&self, column: &str) -> ColumnSpec {
        let mut merged = ColumnSpec { name: column.into(), ..ColumnSpec::default() };
        for s in self.columns.iter().filter(|s| s.name == column) {
            merged.kind = s.kind.or(merged.kind);
            merged.family = s.family.or(merged.family);
            merged.levels = s.levels.clone().or(merged.levels);
            merged.bounds = s.bounds.clone().or(merged.bounds);
            merged.na = s.na.clone().or(merged.na);
            merged.format = s.format.clone().or(merged.format);
        }
        merged
    }

    /// Checks that every column named exists.
    pub(crate) fn check_names(&self, known: &[String]) -> Result<()> {
        let named = self.columns.iter().map(|s| &s.name);
        for column in named.chain(&self.exclude).chain(&self.only).chain(&self.ignore).chain(&self.weights) {
            if !known.contains(column) {
                return Err(ErrorKind::UnknownColumn { column: column.clone(), known: known.to_vec() }.into());
            }
        }
        if let Some(both) = self.only.iter().find(|c| self.exclude.contains(c)) {
            return Err(Error::config("only", format!("`{both}`"), "a column that is not excluded"));
        }
        Ok(())
    }
}

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
    /// A table may lack columns of the fit.
    pub(crate) lenient: bool,
}

impl Schema {
    /// `columns` in table order.
    pub(crate) fn new(columns: Vec<Column>, warnings: Vec<Warning>) -> Schema {
        let mut modelled: Vec<usize> = (0..columns.len()).filter(|&j| columns[j].role == Role::Modelled).collect();
        modelled.sort_by(|&a, &b| columns[a].name.cmp(&columns[b].name));
        Schema { columns, modelled, warnings, ignore: None, weights: None, lenient: false }
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

    /// The modelled columns, in the model's order.
    pub(crate) fn modelled_columns(&self) -> impl Iterator<Item = &Column> {
        self.modelled.iter().map(|&j| &self.columns[j])
    }

    /// The schema as a file that [`SchemaOptions`] reads back: pretty JSON with `name`, `kind`, `levels` and
    /// `bounds` where they apply, and `family` where it was named or a fit has chosen it.
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

/// What one pass over a column says of its values; the input of the inference rules.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub name: String,
    pub dtype: DataType,
    /// Observed cells.
    pub observed: usize,
    pub values: Values,
}

/// The observed values of a column, summarised.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Numbers {
        integer_dtype: bool,
        min: f64,
        max: f64,
        /// Every value is a whole number.
        whole: bool,
        /// What filled numbers are multiples of by the dtype ([`physical::step`]), and the smallest cell as it is stored; `None`
        /// for floats.
        stored: Option<(f64, i128)>,
        /// Distinct values as text, ascending; `None` above [`LEVEL_CAP`].
        distinct: Option<Vec<String>>,
        /// Skewness of the values, and of their logarithms where all are above zero.
        skew: f64,
        log_skew: Option<f64>,
    },
    /// Distinct values with their counts, in level order (Enum: declared; else by number or text).
    Levels {
        levels: Vec<(String, usize)>,
        declared: bool,
    },
    Unsupported,
}

/// More distinct numbers than this are never levels.
pub(crate) const LEVEL_CAP: usize = 1000;
/// More distinct texts than this are never levels on their own account.
const TEXT_CAP: usize = 100_000;

impl Schema {
    /// The written rules: one profile a column to a schema, with what the user says going first.
    pub(crate) fn from_profiles(profiles: Vec<Profile>, options: &SchemaOptions) -> Result<Schema> {
        let names: Vec<String> = profiles.iter().map(|p| p.name.clone()).collect();
        options.check_names(&names)?;
        let mut warnings = Vec::new();
        let columns = profiles.into_iter().map(|p| column_of(p, options, &mut warnings)).collect::<Result<Vec<_>>>()?;
        let (ignore, weights) = (options.ignore.clone(), options.weights.clone());
        Ok(Schema { ignore, weights, ..Schema::new(columns, warnings) })
    }
}

fn column_of(p: Profile, options: &SchemaOptions, warnings: &mut Vec<Warning>) -> Result<Column> {
    let spec = options.spec(&p.name);
    let column = p.name.clone();
    let mut out = Column {
        name: p.name.clone(),
        dtype: p.dtype.clone(),
        kind: ColumnKind::Ignored,
        family: Family::Gaussian,
        named: false,
        levels: Vec::new(),
        bounds: (f64::NEG_INFINITY, f64::INFINITY),
        step: None,
        constant: None,
        role: Role::Left(Left::Excluded),
        asked: options.only.is_empty() || options.only.contains(&p.name),
    };
    if options.leaves_out(&p.name) || spec.kind == Some(ColumnKind::Ignored) {
        return Ok(out);
    }
    if let Values::Unsupported = p.values {
        if spec.kind.is_some() {
            return Err(Error::config(
                format!("kind of column `{column}`"),
                spec.kind.map_or(String::new(), |k| k.to_string()),
                format!("ignored: the type {} has no model", p.dtype),
            ));
        }
        out.role = Role::Left(Left::UnsupportedType);
        warnings.push(Warning::UnsupportedType { column, dtype: p.dtype.to_string() });
        return Ok(out);
    }
    if p.observed == 0 {
        out.role = Role::Left(Left::Empty);
        warnings.push(Warning::EmptyColumn { column });
        return Ok(out);
    }
    out.kind = match spec.kind {
        Some(kind) => kind,
        None => infer_kind(&p),
    };
    if out.kind == ColumnKind::Ignored {
        let levels = match &p.values {
            Values::Levels { levels, .. } => levels.len(),
            _ => 0,
        };
        out.role = Role::Left(Left::TooManyLevels);
        warnings.push(Warning::TooManyLevels { column, levels, observed: p.observed });
        return Ok(out);
    }
    if out.kind.has_levels() {
        levels_of(&p, &spec, &mut out)?;
    } else {
        numbers_of(&p, &spec, &mut out)?;
    }
    out.family = spec.family.unwrap_or(Family::default_for(out.kind));
    out.named = spec.family.is_some();
    if !out.family.fits(out.kind) {
        let fitting: Vec<&str> = Family::NAMES.iter().filter(|(_, f)| f.fits(out.kind)).map(|(n, _)| *n).collect();
        return Err(Error::config(
            format!("family of column `{column}`"),
            out.family,
            format!("one that fits the kind {}: {}", out.kind, fitting.join(", ")),
        ));
    }
    Ok(out)
}

/// The rules of the first table at [`ColumnKind`].
fn infer_kind(p: &Profile) -> ColumnKind {
    match &p.values {
        Values::Unsupported => ColumnKind::Ignored,
        Values::Levels { levels, declared } => match levels.len() {
            0..=2 => ColumnKind::Binary,
            k if *declared && k <= TEXT_CAP => ColumnKind::Categorical,
            k if k <= 20 && 5 * k <= 4 * p.observed.max(25) => ColumnKind::Categorical,
            k if k <= TEXT_CAP && 2 * k <= p.observed => ColumnKind::Categorical,
            _ => ColumnKind::Ignored,
        },
        Values::Numbers { integer_dtype, min, max, whole, distinct, skew, log_skew, .. } => {
            let two = distinct.as_ref().is_some_and(|d| d.len() == 2);
            let skewed = log_skew.is_some_and(|l| l.abs() < 0.5 * skew.abs() && skew.abs() > 1.0);
            if p.dtype.is_temporal() {
                if skewed && p.dtype.is_duration() { ColumnKind::Positive } else { ColumnKind::Continuous }
            } else if two && *whole && ((*min == 0.0 && *max == 1.0) || (*integer_dtype && p.observed >= 20)) {
                ColumnKind::Binary
            } else if *min >= 0.0 && (*integer_dtype || (*whole && p.observed >= 20)) {
                ColumnKind::Count
            } else if !integer_dtype && skewed {
                ColumnKind::Positive
            } else {
                ColumnKind::Continuous
            }
        }
    }
}

fn levels_of(p: &Profile, spec: &ColumnSpec, out: &mut Column) -> Result<()> {
    let column = &p.name;
    let seen: Vec<String> = match &p.values {
        Values::Levels { levels, .. } => levels.iter().map(|l| l.0.clone()).collect(),
        Values::Numbers { distinct: Some(d), .. } => d.clone(),
        _ => {
            return Err(Error::config(
                format!("kind of column `{column}`"),
                out.kind,
                format!("a numeric kind: the column has more than {LEVEL_CAP} distinct numbers"),
            ));
        }
    };
    out.levels = match &spec.levels {
        None => seen.clone(),
        Some(stated) => {
            if let Some(new) = seen.iter().find(|l| !stated.contains(l)) {
                return Err(Error::schema(format!(
                    "column `{column}` holds '{new}', which is not among its stated levels: add it, or pass it to --na"
                )));
            }
            if let Some(twice) = stated.iter().enumerate().find(|(i, l)| stated[..*i].contains(l)) {
                return Err(Error::schema(format!("column `{column}` states the level '{}' twice", twice.1)));
            }
            let cell = |l: &String| match (&p.values, physical::range(&p.dtype)) {
                (Values::Levels { .. }, _) => true,
                (_, Some(_)) => physical::parse(&p.dtype, l).is_some(),
                (_, None) => l.parse::<f64>().is_ok(),
            };
            if let Some(odd) = stated.iter().find(|l| !cell(l)) {
                return Err(Error::schema(format!(
                    "column `{column}` states the level '{odd}', which is no cell of type {}; remove it, or make the column text",
                    p.dtype
                )));
            }
            stated.clone()
        }
    };
    if out.kind == ColumnKind::Binary && out.levels.len() > 2 {
        return Err(Error::config(
            format!("kind of column `{column}`"),
            "binary",
            format!("categorical: the column has {} levels", out.levels.len()),
        ));
    }
    let declared_enum = matches!(&p.values, Values::Levels { declared: true, .. });
    let used: Vec<&String> = match &p.values {
        Values::Levels { levels, .. } => levels.iter().filter(|l| l.1 > 0).map(|l| &l.0).collect(),
        _ => seen.iter().collect(),
    };
    debug_assert!(declared_enum || used.len() == seen.len());
    out.role = match used.as_slice() {
        [only] => Role::Constant(out.levels.iter().position(|l| l == *only).unwrap_or(0) as f64),
        _ => Role::Modelled,
    };
    Ok(())
}

fn numbers_of(p: &Profile, spec: &ColumnSpec, out: &mut Column) -> Result<()> {
    let column = &p.name;
    let Values::Numbers { min, max, whole, stored, .. } = &p.values else {
        let example = match &p.values {
            Values::Levels { levels, .. } => levels.iter().find(|l| l.1 > 0 && l.0.trim().parse::<f64>().is_err()),
            _ => None,
        };
        let example = example.map_or(String::new(), |l| format!(": it holds '{}'", l.0));
        return Err(Error::schema(format!(
            "column `{column}` cannot be {}, its cells are not numbers{example}; pass it to --na, or choose another kind",
            out.kind
        )));
    };
    if spec.levels.is_some() {
        let field = format!("kind of column `{column}`");
        return Err(Error::config(field, out.kind, "binary, categorical or ordinal, as levels are stated"));
    }
    let floor = match out.kind {
        ColumnKind::Count => 0.0,
        // Half the smallest value seen: inside the support, and no fill at zero itself.
        ColumnKind::Positive => min / 2.0,
        _ => f64::NEG_INFINITY,
    };
    let wrong = match out.kind {
        ColumnKind::Count => *min < 0.0 || !whole,
        ColumnKind::Positive => *min <= 0.0,
        _ => false,
    };
    if wrong {
        let expected = if out.kind == ColumnKind::Count { "whole numbers from zero" } else { "numbers above zero" };
        return Err(Error::schema(format!(
            "column `{column}` is stated to be {}, {expected}, but its cells range from {min} to {max}{}; choose continuous",
            out.kind,
            if *whole { "" } else { " with decimals" }
        )));
    }
    let step = stored.map(|(step, _)| step);
    out.step = if out.kind == ColumnKind::Count { Some(step.unwrap_or(1.0).max(1.0)) } else { step };
    let (least, most) = spec.bounds.clone().unwrap_or((None, None));
    let end = |bound: Option<Bound>, open: f64| match bound {
        None => Ok(open),
        Some(bound) => bound.number(&p.dtype).ok_or_else(|| {
            let text = if let Bound::Text(text) = &bound { text } else { "" };
            let expected = format!("numbers, or cells of type {} written as in ISO 8601", p.dtype);
            Error::config(format!("bounds of column `{column}`"), format!("'{text}'"), expected)
        }),
    };
    let (low, high) = (end(least, f64::NEG_INFINITY)?.max(floor), end(most, f64::INFINITY)?);
    let limits = physical::limits(&p.dtype);
    if low > high || low > limits.1 || high < limits.0 || high.is_nan() {
        return Err(Error::config(
            format!("bounds of column `{column}`"),
            format!("{low} to {high}"),
            "a lower and a higher number that its type can hold",
        ));
    }
    out.bounds = if p.dtype == DataType::Time { (low.max(limits.0), high.min(limits.1)) } else { (low, high) };
    if let Some(finest) = out.step.map(|step| step.min(1.0)).filter(|&step| out.multiple(0.0, step).is_none()) {
        return Err(Error::config(
            format!("bounds of column `{column}`"),
            format!("{low} to {high}"),
            format!("wide enough for a multiple of {finest}, as the column's cells are"),
        ));
    }
    out.role = if min == max { Role::Constant(*min) } else { Role::Modelled };
    out.constant = stored.map(|(_, least)| least).filter(|_| min == max && low <= *min && *max <= high);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(min: f64, max: f64, whole: bool, integer_dtype: bool, observed: usize) -> Profile {
        Profile {
            name: "x".into(),
            dtype: if integer_dtype { DataType::Int64 } else { DataType::Float64 },
            observed,
            values: Values::Numbers {
                integer_dtype,
                min,
                max,
                whole,
                stored: integer_dtype.then_some((1.0, min as i128)),
                distinct: None,
                skew: 0.0,
                log_skew: None,
            },
        }
    }

    fn kind(p: Profile) -> ColumnKind {
        let s = Schema::from_profiles(vec![p], &SchemaOptions::default()).unwrap();
        s.columns()[0].kind()
    }

    #[test]
    fn kinds_follow_the_written_rules() {
        assert_eq!(kind(numbers(0.0, 9.0, true, true, 5)), ColumnKind::Count);
        assert_eq!(kind(numbers(-1.0, 9.0, true, true, 5)), ColumnKind::Continuous);
        assert_eq!(kind(numbers(0.0, 9.0, true, false, 5)), ColumnKind::Continuous);
        assert_eq!(kind(numbers(0.0, 9.0, true, false, 20)), ColumnKind::Count);
        let texts = |k: usize, observed| Profile {
            name: "x".into(),
            dtype: DataType::String,
            observed,
            values: Values::Levels { levels: (0..k).map(|i| (format!("l{i}"), observed / k)).collect(), declared: false },
        };
        assert_eq!(kind(texts(2, 10)), ColumnKind::Binary);
        assert_eq!(kind(texts(5, 10)), ColumnKind::Categorical);
        assert_eq!(kind(texts(90, 100)), ColumnKind::Ignored);
        assert_eq!(kind(texts(90, 1000)), ColumnKind::Categorical);
        assert_eq!(kind(texts(2000, 100_000)), ColumnKind::Categorical);
        assert_eq!(kind(texts(100_001, 1_000_000)), ColumnKind::Ignored);
    }

    #[test]
    fn what_the_user_says_goes_first_and_is_checked() {
        let say = |k| SchemaOptions::default().kind("x", k);
        let p = numbers(-1.0, 2.5, false, false, 30);
        assert!(Schema::from_profiles(vec![p.clone()], &say(ColumnKind::Count)).is_err());
        assert!(Schema::from_profiles(vec![p.clone()], &say(ColumnKind::Positive)).is_err());
        let s = Schema::from_profiles(vec![p.clone()], &say(ColumnKind::Ignored)).unwrap();
        assert_eq!(s.columns()[0].left(), Some(Left::Excluded));
        assert!(s.warnings().is_empty());
        let unknown = SchemaOptions::default().kind("y", ColumnKind::Count);
        let e = Schema::from_profiles(vec![p], &unknown).unwrap_err();
        assert!(e.is_usage(), "{e}");
    }

    #[test]
    fn admit_keeps_the_support() {
        let of = |p: Profile, spec: &str| {
            let mut spec: ColumnSpec = serde_json::from_str(&format!(r#"{{"name": "x", {spec}}}"#)).unwrap();
            spec.name = p.name.clone();
            let options = SchemaOptions { columns: vec![spec], ..SchemaOptions::default() };
            Schema::from_profiles(vec![p], &options).unwrap().columns()[0].clone()
        };
        let count = of(numbers(0.0, 9.0, true, true, 5), r#""bounds": null"#);
        assert_eq!([-0.7, 2.6, 1e30].map(|x| count.admit(x)), [0.0, 3.0, 9_223_372_036_854_775_808.0]);
        let stated = of(numbers(0.0, 9.0, true, true, 5), r#""bounds": [0.5, 3.5]"#);
        assert_eq!([0.1, 2.4, 9.0].map(|x| stated.admit(x)), [1.0, 2.0, 3.0]);
        let typed = |dtype: DataType, step, spec: &str| {
            let mut p = numbers(0.0, 9.0, false, false, 5);
            p.dtype = dtype;
            if let Values::Numbers { stored, .. } = &mut p.values {
                *stored = Some((step, 0));
            }
            of(p, spec)
        };
        let cents = typed(DataType::Decimal(4, 2), 0.01, r#""bounds": [0.07, 1e3]"#);
        assert_eq!([0.0, 0.0749, 5e5].map(|x| cents.admit(x)), [0.07, 0.07, 99.99]);
        let minutes = typed(DataType::Time, 6e10, r#""bounds": [null, "00:02:30"]"#);
        assert_eq!([-1.0, 1.4e11, 9e13].map(|x| minutes.admit(x)), [0.0, 1.2e11, 1.2e11]);
        assert_eq!(minutes.bounds(), (0.0, 1.5e11));
        let narrow = typed(DataType::Time, 6e10, r#""bounds": ["00:02:30", "00:02:31"]"#);
        assert_eq!([-1.0, 1.505e11, 9e13].map(|x| narrow.admit(x)), [1.5e11, 1.505e11, 1.51e11]);
    }

    #[test]
    fn a_named_family_is_kept_checked_and_written() {
        let name = |family| SchemaOptions {
            columns: vec![ColumnSpec { name: "x".into(), family: Some(family), ..ColumnSpec::default() }],
            ..SchemaOptions::default()
        };
        let counts = || vec![numbers(0.0, 9.0, true, true, 50)];
        let named = Schema::from_profiles(counts(), &name(Family::NegativeBinomial)).unwrap();
        assert!(named.to_json().contains(r#""family": "negative_binomial""#));
        // A family that is still open is not written: read back, it would count as named.
        let open = Schema::from_profiles(counts(), &SchemaOptions::default()).unwrap();
        assert!(!open.to_json().contains("family"));
        assert!(open.with_families(&[Family::Poisson]).to_json().contains(r#""family": "poisson""#));
        let e = Schema::from_profiles(counts(), &name(Family::LogNormal)).unwrap_err();
        assert!(e.is_usage());
        assert_eq!(
            e.to_string(),
            "family of column `x` is log_normal; it must be one that fits the kind count: gaussian, student_t, poisson, \
             negative_binomial, zero_inflated_gaussian, zero_inflated_log_normal, discretised"
        );
    }

    #[test]
    fn every_family_has_the_name_that_files_use() {
        for (name, family) in Family::NAMES {
            assert_eq!(serde_json::to_string(&family).unwrap(), format!("\"{name}\""));
            assert_eq!(family.to_string(), name);
        }
    }
}
