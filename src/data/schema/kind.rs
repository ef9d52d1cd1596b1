//! What a column is, and how it is modelled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
    pub(super) const NAMES: [(&'static str, Family); 11] = [
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
    pub(super) fn default_for(kind: ColumnKind) -> Family {
        match kind {
            ColumnKind::Binary => Family::Bernoulli,
            ColumnKind::Categorical => Family::Categorical,
            ColumnKind::Ordinal => Family::Ordinal,
            _ => Family::Gaussian,
        }
    }

    pub(super) fn fits(self, kind: ColumnKind) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_the_name_that_files_use() {
        for (name, family) in Family::NAMES {
            assert_eq!(serde_json::to_string(&family).unwrap(), format!("\"{name}\""));
            assert_eq!(family.to_string(), name);
        }
    }
}
