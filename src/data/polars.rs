//! DataFrame to [`Table`] and back. Observed cells are copied from the input column, never rebuilt from floats.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ndarray::Array2;
use polars::prelude::{
    BooleanChunked, BooleanType, ChunkedArray, Column as PlColumn, DataFrame, DataType, IdxCa, IdxSize, IntoColumn, NamedFrom,
    NewChunkedArray, PlSmallStr, Series, StringChunked,
};
use rayon::prelude::*;

use crate::data::profile::Profiler;
use crate::data::schema::{Column, Profile, Role, Schema, SchemaOptions, float_level};
use crate::data::table::{Cells, Gaps, Table};
use crate::data::{cells, physical};
use crate::error::{Error, ErrorKind, Result, Warning, count};
use crate::rng::pair;

impl Schema {
    /// Infers the schema of a frame by the rules at [`ColumnKind`](crate::ColumnKind). Cost: one pass over the table.
    ///
    /// # Errors
    /// ±inf in a float column.
    pub fn infer(df: &DataFrame) -> Result<Schema> {
        Schema::infer_with(df, &SchemaOptions::default())
    }

    /// Infers the schema of a frame; what the options say goes first.
    ///
    /// # Errors
    /// An option that names no column or contradicts the data; ±inf in a float column.
    pub fn infer_with(df: &DataFrame, options: &SchemaOptions) -> Result<Schema> {
        let names: Vec<String> = df.columns().iter().map(|c| c.name().to_string()).collect();
        options.check_names(&names)?;
        let (df, _) = learned(df, options.ignore.as_deref(), options.weights.as_deref())?;
        Schema::from_profiles(profiles(&df, options)?, options)
    }
}

/// What the inference rules have to know of each column.
pub(crate) fn profiles(df: &DataFrame, options: &SchemaOptions) -> Result<Vec<Profile>> {
    let profile = |c: &PlColumn| {
        let mut profiler = Profiler::new(c.name(), c.dtype(), options.leaves_out(c.name()), usize::MAX);
        profiler.add(c, |row| row).map(|()| profiler.finish())
    };
    // All of them, so that the first of several errors is told.
    let profiles: Vec<Result<Profile>> = df.columns().par_iter().map(profile).collect();
    profiles.into_iter().collect()
}

/// What each row counts for in a fit, zero where it is ignored; `None` where all count alike. `first` is the place of the first
/// row in its file, for messages.
pub(crate) fn row_weights(df: &DataFrame, ignore: Option<&str>, weights: Option<&str>, first: usize) -> Result<Option<Vec<f64>>> {
    let numbers = |name: &str, due: &str, fits: fn(f64) -> bool| -> Result<Vec<f64>> {
        let numbers = df.column(name)?.as_materialized_series().cast(&DataType::Float64)?;
        let numbers: Vec<f64> = numbers.f64()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        match numbers.iter().position(|&x| !fits(x)) {
            None => Ok(numbers),
            Some(row) => {
                let found = df.column(name)?.get(row)?.to_string();
                Err(ErrorKind::Value { column: name.into(), row: first + row + 1, found, expected: due.into() }.into())
            }
        }
    };
    let ignored =
        ignore.map(|name| numbers(name, "true or false, or 0 or 1, is due in the column of --ignore", |x| x == 0.0 || x == 1.0));
    let weights = weights.map(|name| numbers(name, "a weight from zero is due", |x| (0.0..f64::INFINITY).contains(&x)));
    Ok(match (ignored.transpose()?, weights.transpose()?) {
        (None, weights) => weights,
        (Some(ignored), None) => Some(ignored.into_iter().map(|x| 1.0 - x).collect()),
        (Some(ignored), Some(weights)) => Some(weights.into_iter().zip(ignored).map(|(w, x)| w * (1.0 - x)).collect()),
    })
}

/// The rows that count.
pub(crate) fn counting(df: &DataFrame, weights: &[f64]) -> Result<DataFrame> {
    let mask = BooleanChunked::from_iter_values(PlSmallStr::EMPTY, weights.iter().map(|w| *w > 0.0));
    Ok(df.filter(&mask)?)
}

/// The rows that a fit learns from, and what each of them counts for, one on average.
pub(crate) fn learned(df: &DataFrame, ignore: Option<&str>, weights: Option<&str>) -> Result<(DataFrame, Option<Vec<f64>>)> {
    let Some(all) = row_weights(df, ignore, weights, 0)? else { return Ok((df.clone(), None)) };
    let kept: Vec<f64> = all.iter().copied().filter(|w| *w > 0.0).collect();
    if kept.is_empty() && df.height() > 0 {
        return Err(Error::schema("no row is left to learn from: all are ignored or of weight zero"));
    }
    // One on average; by the largest first, because they may be anywhere in the range of f64.
    let largest = kept.iter().copied().fold(0.0, f64::max);
    let mean = kept.iter().map(|w| w / largest).sum::<f64>() / kept.len() as f64;
    let kept = weights.map(|_| kept.iter().map(|w| w / largest / mean).collect());
    Ok((counting(df, &all)?, kept))
}

/// A column's cells.
pub(super) enum Observed {
    /// Floats, NaN for missing.
    Floats(Vec<f64>),
    /// The integers of a dtype that stores such.
    Stored(Vec<Option<i128>>),
    /// Places in a list of distinct texts.
    Texts { codes: Vec<Option<u32>>, distinct: Vec<String> },
}

pub(super) fn is_supported(dtype: &DataType) -> bool {
    use DataType::*;
    physical::range(dtype).is_some() || matches!(dtype, Float32 | Float64 | Boolean | String | Categorical(..) | Enum(..))
}

/// The cells of a column of a supported dtype; ±inf is an error with its row.
pub(super) fn observe(column: &PlColumn) -> Result<Observed> {
    let series = column.as_materialized_series();
    if physical::range(series.dtype()).is_some() {
        return Ok(Observed::Stored(cells::stored(series)?));
    }
    if series.dtype().is_float() {
        let cast = series.cast(&DataType::Float64)?;
        let numbers: Vec<f64> = cast.f64()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        if let Some(row) = numbers.iter().position(|x| x.is_infinite()) {
            return Err(ErrorKind::Value {
                column: column.name().to_string(),
                row: row + 1,
                found: numbers[row].to_string(),
                expected: "a finite number is due; replace it by a number or by a missing cell".into(),
            }
            .into());
        }
        return Ok(Observed::Floats(numbers));
    }
    if let Ok(b) = series.bool() {
        let codes = b.iter().map(|x| x.map(u32::from)).collect();
        return Ok(Observed::Texts { codes, distinct: vec!["false".into(), "true".into()] });
    }
    let text = series.cast(&DataType::String)?;
    let text = text.str()?;
    let mut place: HashMap<&str, u32> = HashMap::new();
    let mut distinct = Vec::new();
    let codes = text
        .iter()
        .map(|cell| {
            cell.map(|t| {
                *place.entry(t).or_insert_with(|| {
                    distinct.push(t.to_string());
                    distinct.len() as u32 - 1
                })
            })
        })
        .collect();
    Ok(Observed::Texts { codes, distinct })
}

impl Table {
    /// The frame's cells as the schema reads them; columns are found by name.
    ///
    /// A level that the schema lacks is unobserved for the model and named in the warnings.
    pub fn from_frame(df: &DataFrame, schema: &Arc<Schema>) -> Result<Table> {
        let n = df.height();
        let d = schema.modelled().len();
        let mut values = Array2::from_elem((n, d), f64::NAN);
        let mut gaps = Gaps { rows: vec![Vec::new(); schema.columns().len()], missing: vec![0; schema.columns().len()] };
        let mut warnings = Vec::new();
        let mut mismatches = Vec::new();
        let mut place = vec![None; schema.columns().len()];
        schema.modelled().iter().enumerate().for_each(|(k, &j)| place[j] = Some(k));
        let mut found = Vec::new();
        for (j, column) in schema.columns().iter().enumerate() {
            let Ok(input) = df.column(&column.name) else {
                // What is not modelled is not missed.
                if !matches!(column.role, Role::Left(_)) {
                    match schema.lenient {
                        true => warnings.push((j, Warning::AbsentColumn { column: column.name.clone() })),
                        false => mismatches.push(format!("`{}` is absent, due {}", column.name, column.dtype)),
                    }
                }
                continue;
            };
            if matches!(column.role, Role::Left(_)) {
                gaps.missing[j] = missing_cells(input)?;
            } else if agrees(&column.dtype, input.dtype()) {
                found.push((j, column, input));
            } else {
                mismatches.push(format!("`{}` is of type {}, due {}", column.name, input.dtype(), column.dtype));
            }
        }
        // Some columns at a time: the codes of all of them would take as much as the table.
        for some in found.chunks(rayon::current_num_threads()) {
            let codes: Vec<_> = some.par_iter().map(|(_, column, input)| codes_of(input, column)).collect();
            for (&(j, column, _), codes) in some.iter().zip(codes) {
                let Codes { values: codes, missing, unseen } = codes?;
                warnings.extend(unseen.map(|w| (j, w)));
                gaps.missing[j] = missing.len();
                if column.asked {
                    gaps.rows[j] = missing;
                }
                if let Some(k) = place[j] {
                    values.column_mut(k).iter_mut().zip(codes).for_each(|(cell, x)| *cell = x);
                }
            }
        }
        warnings.sort_by_key(|(j, _)| *j);
        let mut warnings: Vec<Warning> = warnings.into_iter().map(|(_, w)| w).collect();
        let constant = |j: &usize| matches!(schema.columns()[*j].role, Role::Constant(_)) && !gaps.rows[*j].is_empty();
        let column = |j: usize| schema.columns()[j].name.clone();
        warnings.extend((0..gaps.rows.len()).filter(constant).map(|j| Warning::ConstantColumn { column: column(j) }));
        if !mismatches.is_empty() {
            let columns = count(mismatches.len(), "column");
            let message = format!("the table does not agree with the fit in {columns}: {}", mismatches.join("; "));
            return Err(Error::schema(message));
        }
        let known: HashSet<&str> = schema.columns().iter().map(|c| c.name()).collect();
        for extra in df.columns().iter().filter(|c| !known.contains(c.name().as_str())) {
            let missing = missing_cells(extra)?;
            if missing > 0 {
                warnings.push(Warning::ExtraColumn { column: extra.name().to_string(), missing });
            }
        }
        Ok(Table { schema: schema.clone(), values, gaps, warnings, weights: None })
    }
}

/// What the draws of each row depend on beside its observed cells: its place in its file, or, where a column tells the rows apart, its
/// value there.
#[derive(Debug, Default)]
pub(crate) struct RowKeys {
    /// The keys met so far, and the places of their rows.
    met: HashMap<u64, usize>,
}

impl RowKeys {
    /// The keys of rows, (n,), the first of which is at place `first`. Rows of the same value are an error, if they are not at the
    /// same place: their draws would be the same.
    pub fn of(&mut self, df: &DataFrame, id: Option<&str>, first: usize) -> Result<Vec<u64>> {
        let Some(id) = id else { return Ok((first..first + df.height()).map(|row| row as u64).collect()) };
        let Ok(column) = df.column(id) else {
            return Err(Error::schema(format!("the column of --id, `{id}`, is absent; the draws of a row depend on its value")));
        };
        let text = column.as_materialized_series().cast(&DataType::String)?;
        let key = |(row, text): (usize, Option<&str>)| {
            let wrong = |found: String, expected: String| ErrorKind::Value { column: id.into(), row: row + 1, found, expected };
            let Some(text) = text else {
                return Err(wrong("nothing".into(), "a value is due in the column of --id".into()).into());
            };
            let key = text.bytes().fold(text.len() as u64, |key, byte| pair(key, u64::from(byte)));
            match self.met.insert(key, row) {
                Some(before) if before != row => Err(wrong(
                    format!("`{text}`"),
                    format!("as row {} has it, and values that tell the rows apart are due in the column of --id", before + 1),
                )
                .into()),
                _ => Ok(key),
            }
        };
        (first..).zip(text.str()?.iter()).map(key).collect()
    }
}

/// Which cells of a column are missing: null, or NaN among floats.
pub(crate) fn missing(column: &PlColumn) -> Result<Vec<bool>> {
    let series = column.as_materialized_series();
    Ok(match series.dtype() {
        DataType::Float32 | DataType::Float64 => {
            series.cast(&DataType::Float64)?.f64()?.iter().map(|x| x.is_none_or(f64::is_nan)).collect()
        }
        _ => series.is_null().iter().map(|x| x == Some(true)).collect(),
    })
}

fn missing_cells(column: &PlColumn) -> Result<usize> {
    Ok(missing(column)?.into_iter().filter(|&missing| missing).count())
}

/// Whether a column of `found` can be read where the fit had `fitted`: the same dtype, both integers, floats or decimals, or both
/// text; booleans may be text too.
fn agrees(fitted: &DataType, found: &DataType) -> bool {
    let number = |t: &DataType| is_supported(t) && (t.is_primitive_numeric() || t.is_decimal());
    let text = |t: &DataType| matches!(t, DataType::String | DataType::Categorical(..) | DataType::Enum(..));
    fitted == found
        || (number(fitted) && number(found))
        || (text(fitted) && text(found))
        || (*fitted == DataType::Boolean && text(found))
}

/// The cells of a column as the schema reads them.
struct Codes {
    /// Numbers or codes of levels; NaN where unobserved.
    values: Vec<f64>,
    /// Rows of missing cells; a level that the schema lacks is not missing.
    missing: Vec<usize>,
    unseen: Option<Warning>,
}

fn codes_of(input: &PlColumn, column: &Column) -> Result<Codes> {
    let code: HashMap<&str, usize> = column.levels.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
    let mut unseen: Option<(usize, String)> = None;
    let mut level = |text: &str| match code.get(text) {
        Some(&i) => i as f64,
        None => {
            unseen.get_or_insert_with(|| (0, text.to_string())).0 += 1;
            f64::NAN
        }
    };
    let numeric = column.kind.is_numeric();
    let rows = |missing: &mut dyn Iterator<Item = bool>| missing.enumerate().filter(|(_, m)| *m).map(|(row, _)| row).collect();
    let (values, missing): (Vec<f64>, Vec<usize>) = match observe(input)? {
        Observed::Floats(mut cells) => {
            let missing = rows(&mut cells.iter().map(|x| x.is_nan()));
            if !numeric {
                cells.iter_mut().filter(|x| !x.is_nan()).for_each(|x| *x = level(&float_level(*x + 0.0)));
            }
            (cells, missing)
        }
        Observed::Stored(cells) => {
            let mut seen = |x: i128| match numeric {
                true => physical::number(input.dtype(), x),
                false => level(&physical::text(input.dtype(), x)),
            };
            let missing = rows(&mut cells.iter().map(Option::is_none));
            (cells.into_iter().map(|x| x.map_or(f64::NAN, &mut seen)).collect(), missing)
        }
        Observed::Texts { codes, distinct } => {
            let missing = rows(&mut codes.iter().map(Option::is_none));
            // One look-up a distinct text, not one a cell.
            let known: Vec<f64> = distinct.iter().map(|t| code.get(t.as_str()).map_or(f64::NAN, |&i| i as f64)).collect();
            let mut seen = |c: u32| match known[c as usize] {
                x if x.is_nan() => level(&distinct[c as usize]),
                x => x,
            };
            (codes.into_iter().map(|c| c.map_or(f64::NAN, &mut seen)).collect(), missing)
        }
    };
    let unseen = unseen.map(|(cells, example)| Warning::UnseenLevels { column: column.name.clone(), cells, example });
    Ok(Codes { values, missing, unseen })
}

/// The frame with the given cells in its gaps; every other cell is copied, the schema of the frame stays.
pub(crate) fn write_cells(df: &DataFrame, schema: &Schema, gaps: &Gaps, cells: &Cells) -> Result<DataFrame> {
    let filled = schema.columns().iter().zip(gaps.rows.iter().zip(cells)).filter(|(_, (rows, _))| !rows.is_empty());
    let filled = filled.map(|(column, (rows, cells))| {
        let input = df.column(&column.name)?;
        Ok(write_column(input.as_materialized_series(), column, rows, cells)?.into_column())
    });
    replaced(df, filled)
}

/// The frame with the given cells missing, one list of rows a column of the schema; every other cell and the frame's schema stay.
pub(crate) fn clear_cells(df: &DataFrame, schema: &Schema, rows: &[Vec<usize>]) -> Result<DataFrame> {
    let cleared = schema.columns().iter().zip(rows).filter(|(_, rows)| !rows.is_empty());
    let cleared = cleared.map(|(column, rows)| {
        // A row taken from nowhere is null in a column of any dtype.
        let mut from: Vec<Option<IdxSize>> = (0..df.height() as IdxSize).map(Some).collect();
        rows.iter().for_each(|&row| from[row] = None);
        Ok(df.column(&column.name)?.take(&IdxCa::new(PlSmallStr::EMPTY, from))?)
    });
    replaced(df, cleared)
}

/// The frame with the given columns in place of its own of these names, made once: polars' `with_column` looks at the names of all
/// columns each time.
fn replaced(df: &DataFrame, columns: impl Iterator<Item = Result<PlColumn>>) -> Result<DataFrame> {
    let mut all = df.columns().to_vec();
    for column in columns {
        let column = column?;
        let at = df.try_get_column_index(column.name())?;
        all[at] = column;
    }
    Ok(DataFrame::new(df.height(), all)?)
}

/// The column with the given cells, numbers or codes, at the given rows; every other cell and the dtype stay.
pub(crate) fn write_column(input: &Series, column: &Column, rows: &[usize], cells: &[f64]) -> Result<Series> {
    let name: PlSmallStr = input.name().clone();
    let dtype = input.dtype();
    let level = |x: f64| column.levels.get(x as usize).map(String::as_str);
    // A level of the fit that a column of another dtype cannot hold.
    let homeless = |x: f64| {
        let level = level(x).unwrap_or_default();
        Error::schema(format!(
            "column `{name}`: the fit's level '{level}' is none of the type {dtype} here; give the column the type of the fit, {}",
            column.dtype
        ))
    };
    let float = |x: f64| match column.kind.has_levels() {
        true => level(x).and_then(|l| l.parse().ok()).ok_or_else(|| homeless(x)),
        false => Ok(column.admit(x)),
    };
    match dtype {
        DataType::Float64 => {
            let values = cells.iter().map(|&x| float(x)).collect::<Result<Vec<f64>>>()?;
            Ok(cells::scatter(input.f64()?, rows, values.into_iter()))
        }
        DataType::Float32 => {
            let (low, high) = physical::limits(dtype);
            // Rounding does not carry a fill out of the column's bounds.
            let one = |&x: &f64| float(x).map(|x| physical::inward(x.clamp(low, high) as f32, column.bounds));
            let values = cells.iter().map(one).collect::<Result<Vec<f32>>>()?;
            Ok(cells::scatter(input.f32()?, rows, values.into_iter()))
        }
        _ if physical::range(dtype).is_some() => {
            let constant = column.constant.filter(|_| *dtype == column.dtype);
            let one = |&x: &f64| match (constant, column.kind.has_levels()) {
                (Some(stored), _) => Ok(stored),
                (None, true) => level(x).and_then(|l| physical::parse(dtype, l)).ok_or_else(|| homeless(x)),
                (None, false) => Ok(physical::stored(dtype, column.step, column.admit(x))),
            };
            cells::with_cells(input, rows, &cells.iter().map(one).collect::<Result<Vec<i128>>>()?)
        }
        DataType::Boolean => {
            let mut all: Vec<Option<bool>> = input.bool()?.iter().collect();
            rows.iter().zip(cells).for_each(|(&r, &x)| all[r] = level(x).map(|l| l == "true"));
            let ca: ChunkedArray<BooleanType> = BooleanChunked::from_iter_options(name, all.into_iter());
            Ok(Series::from(ca))
        }
        _ => {
            let text = input.cast(&DataType::String)?;
            let mut all: Vec<Option<&str>> = text.str()?.iter().collect();
            rows.iter().zip(cells).for_each(|(&r, &x)| all[r] = level(x));
            let ca = StringChunked::from_iter_options(name.clone(), all.into_iter());
            let filled = Series::from(ca).cast(dtype)?;
            let null = filled.is_null();
            match rows.iter().zip(cells).find(|(row, _)| null.get(**row) == Some(true)) {
                Some((_, &x)) => Err(homeless(x)),
                None => Ok(filled),
            }
        }
    }
}
