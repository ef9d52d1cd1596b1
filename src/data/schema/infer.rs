//! Profiles of columns to a schema, by the rules at [`ColumnKind`].

use std::collections::BTreeMap;

use ::polars::prelude::DataType;

use crate::data::physical;
use crate::data::schema::{Bound, Column, ColumnKind, ColumnSpec, Family, Left, Role, Schema, SchemaOptions};
use crate::error::{Error, Result, Warning};

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
        /// `None` above [`LEVEL_CAP`].
        distinct: Option<Distinct>,
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

/// The distinct values of a column of numbers, ascending.
#[derive(Clone, Debug)]
pub(crate) enum Distinct {
    Floats(Vec<f64>),
    /// As the dtype stores them.
    Stored(Vec<i128>),
}

impl Distinct {
    fn len(&self) -> usize {
        match self {
            Distinct::Floats(all) => all.len(),
            Distinct::Stored(all) => all.len(),
        }
    }

    /// As levels.
    fn texts(&self, dtype: &DataType) -> Vec<String> {
        match self {
            Distinct::Floats(all) => all.iter().map(|x| float_level(*x)).collect(),
            Distinct::Stored(all) => all.iter().map(|x| physical::text(dtype, *x)).collect(),
        }
    }
}

/// A float as the text of a level; parses back to the same number.
pub(crate) fn float_level(x: f64) -> String {
    format!("{x}")
}

/// How often each level of a column is observed, in the schema's order; by column.
pub(crate) type LevelCounts = BTreeMap<String, Vec<usize>>;

/// More distinct numbers than this are never levels.
pub(crate) const LEVEL_CAP: usize = 1000;
/// More distinct numbers than this are no levels unless that is stated.
pub(crate) const LEVELS_BY_THEMSELVES: usize = 2;
/// More distinct texts than this are never levels on their own account.
pub(crate) const TEXT_CAP: usize = 100_000;

impl Schema {
    /// The written rules: one profile a column to a schema, with what the user says going first.
    pub(crate) fn from_profiles(profiles: Vec<Profile>, options: &SchemaOptions) -> Result<Schema> {
        let names: Vec<String> = profiles.iter().map(|p| p.name.clone()).collect();
        options.check_names(&names)?;
        let mut warnings = Vec::new();
        let columns = profiles.into_iter().map(|p| column_of(p, options, &mut warnings)).collect::<Result<Vec<_>>>()?;
        let (ignore, weights, id) = (options.ignore.clone(), options.weights.clone(), options.id.clone());
        Ok(Schema { ignore, weights, id, ..Schema::new(columns, warnings) })
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
            let two = distinct.as_ref().is_some_and(|d| d.len() == LEVELS_BY_THEMSELVES);
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
        Values::Numbers { distinct: Some(d), .. } => d.texts(&p.dtype),
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
    // 32-bit floats are some way apart.
    let lowest = f64::from(physical::inward(low.max(limits.0) as f32, (low, high)));
    let none_between = p.dtype == DataType::Float32 && !(low..=high).contains(&lowest);
    if none_between || low > high || low > limits.1 || high < limits.0 || high.is_nan() {
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
}
