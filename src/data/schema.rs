//! What the data is: a kind for each column, inferred by written rules or stated by the user.

use std::fmt;
use std::str::FromStr;

use ::polars::prelude::DataType;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, Warning};

/// What a column is: its support. How it is modelled is its [`Family`].
///
/// | kind | cells | inferred for |
/// |---|---|---|
/// | `continuous` | any real number | floats; integers that can be negative |
/// | `positive` | numbers above zero | floats above zero that are less skewed on the log scale |
/// | `count` | whole numbers from zero | integers from zero; floats that are whole in 20 cells or more |
/// | `binary` | one of two levels | booleans; two distinct texts; 0/1; two distinct integers in 20 cells or more |
/// | `categorical` | one of several levels | other text, Categorical and Enum columns |
/// | `ordinal` | one of several levels in order | never inferred: state it |
/// | `ignored` | anything | dtypes without a model, text with very many levels, columns without a value |
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
    /// Every kind with its name, in the order of the table above.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Normal with mean and standard deviation from the decoder.
    Gaussian,
    /// Student's t with location, scale and degrees of freedom (above two) from the decoder.
    StudentT,
    /// Two levels.
    Bernoulli,
    /// Several levels.
    Categorical,
}

impl Family {
    /// The family a kind gets when none is named.
    fn default_for(kind: ColumnKind) -> Family {
        match kind {
            ColumnKind::Binary => Family::Bernoulli,
            ColumnKind::Categorical | ColumnKind::Ordinal => Family::Categorical,
            _ => Family::Gaussian,
        }
    }

    fn fits(self, kind: ColumnKind) -> bool {
        match self {
            Family::Gaussian | Family::StudentT => kind.is_numeric(),
            Family::Bernoulli => kind == ColumnKind::Binary,
            Family::Categorical => kind.has_levels(),
        }
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
    /// Its family; the kind's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Its levels in order; those observed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Vec<String>>,
    /// Lowest and highest value a filled cell may take; `null` leaves a side open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<(Option<f64>, Option<f64>)>,
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
            merged.bounds = s.bounds.or(merged.bounds);
            merged.na = s.na.clone().or(merged.na);
            merged.format = s.format.clone().or(merged.format);
        }
        merged
    }

    /// Checks that every column named exists.
    pub(crate) fn check_names(&self, known: &[String]) -> Result<()> {
        let named = self.columns.iter().map(|s| &s.name);
        for column in named.chain(&self.exclude).chain(&self.only) {
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
    /// No cell is observed.
    Empty,
    /// Text with too many levels: identifiers or free text.
    TooManyLevels,
    /// The dtype has no model.
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
    pub(crate) levels: Vec<String>,
    pub(crate) bounds: (f64, f64),
    /// Filled numbers are whole.
    pub(crate) whole: bool,
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

    /// How it is modelled, if it is.
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

    /// A number brought inside the column's support: bounds, whole numbers.
    pub(crate) fn admit(&self, x: f64) -> f64 {
        let (low, high) = self.bounds;
        if !self.whole {
            return x.clamp(low, high);
        }
        // The whole numbers inside the bounds, if there are any.
        let (low, high) = (low.ceil(), high.floor());
        if low <= high { x.round().clamp(low, high) } else { x.clamp(self.bounds.0, self.bounds.1) }
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
}

impl Schema {
    fn new(columns: Vec<Column>, warnings: Vec<Warning>) -> Schema {
        let mut modelled: Vec<usize> = (0..columns.len()).filter(|&j| columns[j].role == Role::Modelled).collect();
        modelled.sort_by(|&a, &b| columns[a].name.cmp(&columns[b].name));
        Schema { columns, modelled, warnings }
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

    /// The modelled columns, in the model's order.
    pub(crate) fn modelled_columns(&self) -> impl Iterator<Item = &Column> {
        self.modelled.iter().map(|&j| &self.columns[j])
    }

    /// The schema as a file that [`SchemaOptions`] reads back: pretty JSON with `name`, `kind`, `levels` and `bounds` where they apply.
    pub fn to_json(&self) -> String {
        let open = |x: f64| x.is_finite().then_some(x);
        let columns: Vec<ColumnSpec> = self
            .columns
            .iter()
            .map(|c| ColumnSpec {
                name: c.name.clone(),
                kind: Some(c.kind),
                family: None,
                levels: (!c.levels.is_empty() && c.kind.has_levels()).then(|| c.levels.clone()),
                bounds: match (open(c.bounds.0), open(c.bounds.1)) {
                    (None, None) => None,
                    // A count's floor of zero goes without saying.
                    (Some(0.0), None) if c.kind != ColumnKind::Continuous => None,
                    b => Some(b),
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

/// More distinct values than this are never levels on their own account.
pub(crate) const LEVEL_CAP: usize = 1000;

impl Schema {
    /// The written rules: one profile a column to a schema, with what the user says going first.
    pub(crate) fn from_profiles(profiles: Vec<Profile>, options: &SchemaOptions) -> Result<Schema> {
        let names: Vec<String> = profiles.iter().map(|p| p.name.clone()).collect();
        options.check_names(&names)?;
        let mut warnings = Vec::new();
        let columns = profiles.into_iter().map(|p| column_of(p, options, &mut warnings)).collect::<Result<Vec<_>>>()?;
        Ok(Schema::new(columns, warnings))
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
        levels: Vec::new(),
        bounds: (f64::NEG_INFINITY, f64::INFINITY),
        whole: false,
        role: Role::Left(Left::Excluded),
        asked: options.only.is_empty() || options.only.contains(&p.name),
    };
    if options.exclude.contains(&p.name) || spec.kind == Some(ColumnKind::Ignored) {
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
    if !out.family.fits(out.kind) {
        return Err(Error::config(
            format!("family of column `{column}`"),
            format!("{:?}", out.family),
            format!("one that fits the kind {}", out.kind),
        ));
    }
    Ok(out)
}

/// The rules of the table at [`ColumnKind`].
fn infer_kind(p: &Profile) -> ColumnKind {
    match &p.values {
        Values::Unsupported => ColumnKind::Ignored,
        Values::Levels { levels, declared } => match levels.len() {
            0..=2 => ColumnKind::Binary,
            k if *declared && k <= LEVEL_CAP => ColumnKind::Categorical,
            k if k <= 20 && 5 * k <= 4 * p.observed.max(25) => ColumnKind::Categorical,
            k if k <= LEVEL_CAP && 2 * k <= p.observed => ColumnKind::Categorical,
            _ => ColumnKind::Ignored,
        },
        Values::Numbers { integer_dtype, min, max, whole, distinct, skew, log_skew } => {
            let two = distinct.as_ref().is_some_and(|d| d.len() == 2);
            if two && *whole && ((*min == 0.0 && *max == 1.0) || (*integer_dtype && p.observed >= 20)) {
                ColumnKind::Binary
            } else if *min >= 0.0 && (*integer_dtype || (*whole && p.observed >= 20)) {
                ColumnKind::Count
            } else if !integer_dtype && log_skew.is_some_and(|l| l.abs() < 0.5 * skew.abs() && skew.abs() > 1.0) {
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
    let Values::Numbers { integer_dtype, min, max, whole, .. } = &p.values else {
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
    out.whole = *integer_dtype || out.kind == ColumnKind::Count;
    let (low, high) = spec.bounds.unwrap_or((None, None));
    let (low, high) = (low.unwrap_or(f64::NEG_INFINITY).max(floor), high.unwrap_or(f64::INFINITY));
    if low > high || high.is_nan() {
        return Err(Error::config(
            format!("bounds of column `{column}`"),
            format!("{low} to {high}"),
            "a lower and a higher number",
        ));
    }
    out.bounds = (low, high);
    out.role = if min == max { Role::Constant(*min) } else { Role::Modelled };
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
            values: Values::Numbers { integer_dtype, min, max, whole, distinct: None, skew: 0.0, log_skew: None },
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
        assert_eq!(kind(texts(2000, 100_000)), ColumnKind::Ignored);
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
        let s = Schema::from_profiles(vec![numbers(0.0, 9.0, true, true, 5)], &SchemaOptions::default()).unwrap();
        let c = &s.columns()[0];
        assert_eq!(c.admit(-0.7), 0.0);
        assert_eq!(c.admit(2.6), 3.0);
    }
}
