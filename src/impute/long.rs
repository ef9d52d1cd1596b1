//! The long form back to the imputations it was written from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::polars::prelude::{DataFrame, DataType, IdxCa, IdxSize};

use crate::data::arrow::fill::{ID, IMP};
use crate::data::schema::{Schema, SchemaOptions};
use crate::data::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::impute::{FittedInfo, Imputations};

impl Imputations {
    /// The imputations of which this is the long form with the original ([`Imputations::with_original`]): `.imp` 0 is the
    /// table with its gaps, `.imp` 1 to m the completed ones, `.id` the row. The rows may come in any order and from any
    /// software; `mice::complete(imp, "long", include = TRUE)` writes this form. A column whose gaps stay in every table is
    /// taken as left out.
    ///
    /// ```
    /// use lacuna::Imputations;
    /// use polars::prelude::*;
    /// let long = df!(
    ///     ".imp" => [0, 0, 0, 1, 1, 1, 2, 2, 2],
    ///     ".id" => [1, 2, 3, 1, 2, 3, 1, 2, 3],
    ///     "x" => [Some(1.0), None, Some(3.0), Some(1.0), Some(2.5), Some(3.0), Some(1.0), Some(1.5), Some(3.0)],
    /// )?;
    /// let draws = Imputations::from_long(&long)?;
    /// assert_eq!((draws.m(), draws.cells("x").unwrap().1), (2, vec![&[2.5][..], &[1.5][..]]));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// `.imp` or `.id` is absent or not whole numbers; there is no `.imp` 0 or no other; a table lacks a row or has one twice; a
    /// completed table has a gap or another observed cell than `.imp` 0; ±inf in a float column.
    pub fn from_long(df: &DataFrame) -> Result<Imputations> {
        Imputations::from_long_with(df, &SchemaOptions::default())
    }

    /// As [`Imputations::from_long`]; what the options say of the columns goes before what is inferred.
    ///
    /// # Errors
    /// As [`Imputations::from_long`]; an option that names no column or contradicts the data.
    pub fn from_long_with(df: &DataFrame, options: &SchemaOptions) -> Result<Imputations> {
        let tables = tables(df)?;
        let mut tables = tables.iter().map(|(imp, rows)| Ok((*imp, part(df, rows)?))).collect::<Result<Vec<_>>>()?.into_iter();
        let original = match tables.next() {
            Some((0, original)) => original,
            _ => {
                return Err(Error::schema(format!(
                    "there is no `{IMP}` 0, the table with its gaps; write the long form with it"
                )));
            }
        };
        let completed: Vec<(i64, DataFrame)> = tables.collect();
        if completed.is_empty() {
            return Err(Error::schema(format!("there is no `{IMP}` but 0; the long form has completed tables too")));
        }
        let mut options = options.clone();
        for column in original.columns().iter().filter(|c| c.null_count() > 0) {
            let stays = |(_, table): &(i64, DataFrame)| table.column(column.name()).is_ok_and(|c| c.equals_missing(column));
            if completed.iter().all(stays) {
                options.exclude.push(column.name().to_string());
            }
        }
        let table = Table::from_frame(&original, &Arc::new(Schema::infer_with(&original, &options)?))?;
        let draw = |(_, completed): &(i64, DataFrame)| {
            let values = Table::from_frame(completed, &table.schema)?.values;
            let mut cells = table.constant_cells();
            for (k, &j) in table.schema.modelled().iter().enumerate() {
                cells[j].iter_mut().zip(&table.gaps.rows[j]).for_each(|(cell, &row)| *cell = values[(row, k)]);
            }
            Ok(cells)
        };
        let draws = completed.iter().map(draw).collect::<Result<Vec<_>>>()?;
        for ((imp, completed), cells) in completed.iter().zip(&draws) {
            for (j, column) in table.schema.columns().iter().enumerate() {
                let theirs = completed.column(column.name())?;
                let ours = original.column(column.name())?;
                let gaps = &table.gaps.rows[j];
                let other =
                    (0..ours.len()).find(|row| gaps.binary_search(row).is_err() && ours.get(*row).ok() != theirs.get(*row).ok());
                if let Some(row) = other {
                    return Err(differs(column.name(), *imp, row, "another cell than in `.imp` 0"));
                }
                // A column of one value allows no other: its draws are not read.
                let constant = !table.schema.modelled().contains(&j);
                let only = (0..ours.len()).find(|row| gaps.binary_search(row).is_err());
                let wrong = |(gap, &row): (usize, &usize)| match constant {
                    true => only.is_some_and(|only| theirs.get(row).ok() != ours.get(only).ok()),
                    false => cells[j][gap].is_nan(),
                };
                if let Some((_, &row)) = gaps.iter().enumerate().find(|&gap| wrong(gap)) {
                    return Err(differs(column.name(), *imp, row, "no value that the column allows"));
                }
            }
        }
        let info = FittedInfo { method: "long form".into(), ..FittedInfo::default() };
        Ok(Imputations::of_cells(&original, table, draws, &info))
    }
}

fn differs(column: &str, imp: i64, row: usize, found: &str) -> Error {
    let expected = format!("fill the gaps of `{IMP}` 0 in every table and change nothing else");
    ErrorKind::Value { column: column.into(), row: row + 1, found: format!("{found} in `{IMP}` {imp}"), expected }.into()
}

/// The whole numbers of a column.
fn whole(df: &DataFrame, name: &str) -> Result<Vec<i64>> {
    let due = || Error::schema(format!("there is no column `{name}` of whole numbers; the long form has it"));
    let column = df.column(name).map_err(|_| due())?.as_materialized_series();
    if !column.dtype().is_primitive_numeric() {
        return Err(due());
    }
    let cells = column.strict_cast(&DataType::Int64).map_err(|_| due())?;
    cells.i64()?.iter().collect::<Option<Vec<i64>>>().ok_or_else(due)
}

/// The rows of each table, in the order of the first one's `.id`.
fn tables(df: &DataFrame) -> Result<BTreeMap<i64, Vec<usize>>> {
    let (imp, id) = (whole(df, IMP)?, whole(df, ID)?);
    let mut ids: BTreeMap<i64, Vec<(i64, usize)>> = BTreeMap::new();
    for (row, (&imp, &id)) in imp.iter().zip(&id).enumerate() {
        ids.entry(imp).or_default().push((id, row));
    }
    let order: Vec<i64> = ids.values().next().map_or_else(Vec::new, |first| first.iter().map(|(id, _)| *id).collect());
    let rows = |(imp, rows): (i64, Vec<(i64, usize)>)| {
        let place: HashMap<i64, usize> = rows.iter().copied().collect();
        if place.len() < rows.len() || place.len() != order.len() {
            return Err(rows_differ(imp));
        }
        let rows: Option<Vec<usize>> = order.iter().map(|id| place.get(id).copied()).collect();
        Ok((imp, rows.ok_or_else(|| rows_differ(imp))?))
    };
    ids.into_iter().map(rows).collect()
}

fn rows_differ(imp: i64) -> Error {
    Error::schema(format!("`{IMP}` {imp} does not have every `{ID}` once; each table of the long form has the same rows"))
}

/// Some rows without the columns of the long form.
fn part(df: &DataFrame, rows: &[usize]) -> Result<DataFrame> {
    let rows = IdxCa::from_vec("".into(), rows.iter().map(|&row| row as IdxSize).collect());
    Ok(df.take(&rows)?.drop_many([IMP, ID]))
}
