//! What a user says of the columns.

use ::polars::prelude::DataType;
use serde::{Deserialize, Serialize};

use crate::data::physical;
use crate::data::schema::{ColumnKind, Family};
use crate::error::{Error, ErrorKind, Result};

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
    pub(super) fn number(&self, dtype: &DataType) -> Option<f64> {
        match self {
            Bound::Number(x) => Some(*x),
            Bound::Text(text) if physical::range(dtype).is_some() => {
                physical::parse(dtype, text).map(|x| physical::number(dtype, x))
            }
            Bound::Text(text) => text.trim().parse().ok().filter(|x: &f64| !x.is_nan()),
        }
    }

    /// A number of a column of this dtype: as text where a number says little.
    pub(super) fn of(x: f64, dtype: &DataType) -> Bound {
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
    /// A column whose values tell the rows apart, such as a customer's number: the draws of a row depend on its value instead of the row's
    /// place, so that they stay the same where rows come, go or change places. No two rows have the same value: to see to that takes some 30 bytes
    /// a row. The column itself is kept and not modelled.
    pub id: Option<String>,
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

    /// Names the column that tells the rows apart.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, MeanConfig, Schema, SchemaOptions};
    /// use polars::prelude::*;
    /// let df = df!("customer" => ["b", "a", "c", "d"], "x" => [Some(1.5), None, None, Some(2.0)])?;
    /// let schema = Schema::infer_with(&df, &SchemaOptions::default().id("customer"))?;
    /// let imputer = MeanConfig::default().fit_with(&df, &schema)?;
    /// let (all, last) = (imputer.draw(&df, 5, 1)?, imputer.draw(&df.tail(Some(2)), 5, 1)?);
    /// assert!((0..5).all(|i| all.cells("x").unwrap().1[i][1] == last.cells("x").unwrap().1[i][0]));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn id(mut self, column: &str) -> Self {
        self.id = Some(column.into());
        self
    }

    /// Whether a column is kept and not modelled because the options say so.
    pub(crate) fn leaves_out(&self, column: &str) -> bool {
        self.exclude.iter().chain(&self.ignore).chain(&self.weights).chain(&self.id).any(|c| c == column)
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
        for column in named.chain(&self.exclude).chain(&self.only).chain(&self.ignore).chain(&self.weights).chain(&self.id) {
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
