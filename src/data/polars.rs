//! DataFrame to [`Table`] and back. Observed cells are copied from the input column, never rebuilt from floats.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::Array2;
use polars::prelude::{
    BooleanChunked, BooleanType, ChunkedArray, Column as PlColumn, DataFrame, DataType, Float32Type, Float64Type, IdxCa, IdxSize,
    Int8Type, Int16Type, Int32Type, Int64Type, IntoColumn, NamedFrom, NewChunkedArray, NumericNative, PlSmallStr,
    PolarsNumericType, Series, StringChunked, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::data::schema::{Column, LEVEL_CAP, Profile, Role, Schema, SchemaOptions, Values};
use crate::data::table::{Cells, Gaps, Table};
use crate::error::{Error, ErrorKind, Result, Warning};

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
        let profile = |c: &PlColumn| {
            let left_out = options.exclude.iter().any(|e| e == c.name().as_str());
            profile(c, left_out)
        };
        let profiles = df.columns().iter().map(profile).collect::<Result<Vec<_>>>()?;
        Schema::from_profiles(profiles, options)
    }
}

/// A column's cells: numbers with NaN for missing, or places in a list of distinct texts.
enum Observed {
    Numbers(Vec<f64>),
    Texts { codes: Vec<Option<u32>>, distinct: Vec<String> },
}

fn is_integer(dtype: &DataType) -> bool {
    use DataType::*;
    matches!(dtype, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64)
}

fn is_supported(dtype: &DataType) -> bool {
    use DataType::*;
    is_integer(dtype) || matches!(dtype, Float32 | Float64 | Boolean | String | Categorical(..) | Enum(..))
}

/// The cells of a column of a supported dtype; ±inf is an error with its row.
fn observe(column: &PlColumn) -> Result<Observed> {
    let series = column.as_materialized_series();
    if series.dtype().is_primitive_numeric() {
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
        return Ok(Observed::Numbers(numbers));
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

/// One pass over a column for the inference rules.
fn profile(column: &PlColumn, left_out: bool) -> Result<Profile> {
    let name = column.name().to_string();
    let dtype = column.dtype().clone();
    if dtype == DataType::Null {
        // Nothing observed, and nothing a fill could be.
        return Ok(Profile { name, dtype, observed: 0, values: Values::Levels { levels: Vec::new(), declared: false } });
    }
    if left_out || !is_supported(&dtype) {
        return Ok(Profile { name, observed: column.len() - column.null_count(), dtype, values: Values::Unsupported });
    }
    let (observed, values) = match observe(column)? {
        Observed::Numbers(x) => {
            let seen: Vec<f64> = x.into_iter().filter(|x| !x.is_nan()).collect();
            (seen.len(), number_values(&seen, is_integer(&dtype)))
        }
        Observed::Texts { codes, distinct } => {
            let mut counts = vec![0; distinct.len()];
            codes.iter().flatten().for_each(|&c| counts[c as usize] += 1);
            let mut levels: Vec<(String, usize)> = distinct.into_iter().zip(counts).collect();
            let declared = match &dtype {
                DataType::Enum(categories, _) => {
                    let counts: HashMap<String, usize> = levels.into_iter().collect();
                    let all = categories.categories().values_iter();
                    levels = all.map(|l| (l.to_string(), counts.get(l).copied().unwrap_or(0))).collect();
                    true
                }
                DataType::Boolean => true,
                _ => {
                    sort_levels(&mut levels);
                    false
                }
            };
            (codes.iter().flatten().count(), Values::Levels { levels, declared })
        }
    };
    Ok(Profile { name, dtype, observed, values })
}

/// By number where every level is one, else by text: an order that does not depend on the rows'.
fn sort_levels(levels: &mut [(String, usize)]) {
    let numbers: Option<Vec<f64>> = levels.iter().map(|l| l.0.trim().parse().ok().filter(|x: &f64| !x.is_nan())).collect();
    match numbers {
        Some(_) => levels.sort_by(|a, b| {
            let x: f64 = a.0.trim().parse().unwrap_or(0.0);
            let y: f64 = b.0.trim().parse().unwrap_or(0.0);
            x.total_cmp(&y).then_with(|| a.0.cmp(&b.0))
        }),
        None => levels.sort(),
    }
}

fn number_values(seen: &[f64], integer_dtype: bool) -> Values {
    let min = seen.iter().copied().fold(f64::INFINITY, f64::min);
    let max = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sorted = std::collections::BTreeSet::new();
    for x in seen {
        // Total order on the bits of a finite number: negative zero counts as zero.
        let bits = (x + 0.0).to_bits() as i64;
        sorted.insert(if bits < 0 { bits ^ i64::MAX } else { bits });
        if sorted.len() > LEVEL_CAP {
            break;
        }
    }
    let back = |b: &i64| f64::from_bits(if *b < 0 { *b ^ i64::MAX } else { *b } as u64);
    Values::Numbers {
        integer_dtype,
        min,
        max,
        whole: seen.iter().all(|x| x.fract() == 0.0),
        distinct: (sorted.len() <= LEVEL_CAP).then(|| sorted.iter().map(|b| number_level(back(b))).collect()),
        skew: skewness(seen.iter().copied()),
        log_skew: (min > 0.0).then(|| skewness(seen.iter().map(|x| x.ln()))),
    }
}

/// A number as the text of a level; parses back to the same number.
fn number_level(x: f64) -> String {
    format!("{x}")
}

/// Third standardised moment; zero where there is no spread.
fn skewness(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / n;
    let (m2, m3) = x.fold((0.0, 0.0), |(a, b), v| {
        let e = v - mean;
        (a + e * e, b + e * e * e)
    });
    let sd = (m2 / n).sqrt();
    let skew = m3 / n / sd.powi(3);
    if skew.is_finite() { skew } else { 0.0 }
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
        let mut absent = Vec::new();
        let place: HashMap<usize, usize> = schema.modelled().iter().enumerate().map(|(k, &j)| (j, k)).collect();
        for (j, column) in schema.columns().iter().enumerate() {
            let Ok(input) = df.column(&column.name) else {
                absent.push(column.name.as_str());
                continue;
            };
            if matches!(column.role, Role::Left(_)) {
                gaps.missing[j] = match input.dtype() {
                    DataType::Float32 | DataType::Float64 => {
                        let x = input.as_materialized_series().cast(&DataType::Float64)?;
                        x.f64()?.iter().filter(|x| x.is_none_or(f64::is_nan)).count()
                    }
                    _ => input.null_count(),
                };
                continue;
            }
            if !agrees(&column.dtype, input.dtype()) {
                return Err(Error::schema(format!(
                    "column `{}` is of type {} here and of type {} in the fit",
                    column.name,
                    input.dtype(),
                    column.dtype
                )));
            }
            let codes = codes_of(input, column, &mut warnings)?;
            for (row, cell) in codes.into_iter().enumerate() {
                match cell {
                    Cell::Missing => {
                        gaps.missing[j] += 1;
                        if column.asked {
                            gaps.rows[j].push(row);
                        }
                    }
                    Cell::Unseen => {}
                    Cell::Observed(x) => {
                        if let Some(&k) = place.get(&j) {
                            values[(row, k)] = x;
                        }
                    }
                }
            }
        }
        let constant = |j: &usize| matches!(schema.columns()[*j].role, Role::Constant(_)) && !gaps.rows[*j].is_empty();
        let column = |j: usize| schema.columns()[j].name.clone();
        warnings.extend((0..gaps.rows.len()).filter(constant).map(|j| Warning::ConstantColumn { column: column(j) }));
        if !absent.is_empty() {
            return Err(Error::schema(format!("the table lacks columns that the fit had: {}", absent.join(", "))));
        }
        Ok(Table { schema: schema.clone(), values, gaps, warnings })
    }
}

/// Whether a column of `found` can be read where the fit had `fitted`: the same dtype, or both integers, floats or text.
fn agrees(fitted: &DataType, found: &DataType) -> bool {
    let text = |t: &DataType| matches!(t, DataType::String | DataType::Categorical(..) | DataType::Enum(..));
    fitted == found || (fitted.is_primitive_numeric() && found.is_primitive_numeric()) || (text(fitted) && text(found))
}

enum Cell {
    Missing,
    Unseen,
    Observed(f64),
}

fn codes_of(input: &PlColumn, column: &Column, warnings: &mut Vec<Warning>) -> Result<Vec<Cell>> {
    let number = |x: f64| if x.is_nan() { Cell::Missing } else { Cell::Observed(x) };
    let code: HashMap<&str, usize> = column.levels.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
    let mut unseen: Option<(usize, String)> = None;
    let mut level = |text: &str| match code.get(text) {
        Some(&i) => Cell::Observed(i as f64),
        None => {
            unseen.get_or_insert_with(|| (0, text.to_string())).0 += 1;
            Cell::Unseen
        }
    };
    let cells = match observe(input)? {
        Observed::Numbers(x) if column.kind.is_numeric() => x.into_iter().map(number).collect(),
        Observed::Numbers(x) => {
            let one = |x: f64| if x.is_nan() { Cell::Missing } else { level(&number_level(x + 0.0)) };
            x.into_iter().map(one).collect()
        }
        Observed::Texts { codes, distinct } => {
            codes.into_iter().map(|c| c.map_or(Cell::Missing, |c| level(&distinct[c as usize]))).collect()
        }
    };
    if let Some((cells, example)) = unseen {
        warnings.push(Warning::UnseenLevels { column: column.name.clone(), cells, example });
    }
    Ok(cells)
}

/// The frame with the given cells in its gaps; every other cell is copied, the schema of the frame stays.
pub(crate) fn write_cells(df: &DataFrame, schema: &Schema, gaps: &Gaps, cells: &Cells) -> Result<DataFrame> {
    let mut out = df.clone();
    for (column, (rows, cells)) in schema.columns().iter().zip(gaps.rows.iter().zip(cells)) {
        if rows.is_empty() {
            continue;
        }
        let input = df.column(&column.name)?;
        let filled = write_column(input.as_materialized_series(), column, rows, cells)?;
        out.with_column(filled.into_column())?;
    }
    Ok(out)
}

/// The frame with the given cells missing, one list of rows a column of the schema; every other cell and the frame's schema stay.
pub(crate) fn clear_cells(df: &DataFrame, schema: &Schema, rows: &[Vec<usize>]) -> Result<DataFrame> {
    let mut out = df.clone();
    for (column, rows) in schema.columns().iter().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
        let input = df.column(&column.name)?;
        // A row taken from nowhere is null in a column of any dtype.
        let mut from: Vec<Option<IdxSize>> = (0..df.height() as IdxSize).map(Some).collect();
        rows.iter().for_each(|&row| from[row] = None);
        out.with_column(input.take(&IdxCa::new(PlSmallStr::EMPTY, from))?)?;
    }
    Ok(out)
}

pub(crate) fn write_column(input: &Series, column: &Column, rows: &[usize], cells: &[f64]) -> Result<Series> {
    macro_rules! numeric {
        ($type:ty, $native:ty) => {{
            let one = |x: f64| -> $native {
                if column.kind.has_levels() {
                    column.levels.get(x as usize).and_then(|l| l.parse().ok()).unwrap_or_default()
                } else {
                    column.admit(x) as $native
                }
            };
            let ca: &ChunkedArray<$type> = input.as_ref().as_ref();
            Ok(scatter(ca, rows, cells.iter().map(|&x| one(x))))
        }};
    }
    let name: PlSmallStr = input.name().clone();
    match input.dtype() {
        DataType::Float64 => numeric!(Float64Type, f64),
        DataType::Float32 => numeric!(Float32Type, f32),
        DataType::Int8 => numeric!(Int8Type, i8),
        DataType::Int16 => numeric!(Int16Type, i16),
        DataType::Int32 => numeric!(Int32Type, i32),
        DataType::Int64 => numeric!(Int64Type, i64),
        DataType::UInt8 => numeric!(UInt8Type, u8),
        DataType::UInt16 => numeric!(UInt16Type, u16),
        DataType::UInt32 => numeric!(UInt32Type, u32),
        DataType::UInt64 => numeric!(UInt64Type, u64),
        DataType::Boolean => {
            let mut all: Vec<Option<bool>> = input.bool()?.iter().collect();
            let truth = |x: f64| column.levels.get(x as usize).is_some_and(|l| l == "true");
            rows.iter().zip(cells).for_each(|(&r, &x)| all[r] = Some(truth(x)));
            let ca: ChunkedArray<BooleanType> = BooleanChunked::from_iter_options(name, all.into_iter());
            Ok(Series::from(ca))
        }
        dtype => {
            let text = input.cast(&DataType::String)?;
            let mut all: Vec<Option<&str>> = text.str()?.iter().collect();
            for (&r, &x) in rows.iter().zip(cells) {
                all[r] = column.levels.get(x as usize).map(String::as_str);
            }
            let ca = StringChunked::from_iter_options(name, all.into_iter());
            Ok(Series::from(ca).cast(dtype)?)
        }
    }
}

/// The column with the given values at the given rows.
fn scatter<T: PolarsNumericType>(input: &ChunkedArray<T>, rows: &[usize], values: impl Iterator<Item = T::Native>) -> Series
where
    T::Native: NumericNative,
    ChunkedArray<T>: NewChunkedArray<T, T::Native>,
    Series: From<ChunkedArray<T>>,
{
    let mut all: Vec<Option<T::Native>> = input.iter().collect();
    rows.iter().zip(values).for_each(|(&r, v)| all[r] = Some(v));
    Series::from(ChunkedArray::<T>::from_iter_options(input.name().clone(), all.into_iter()))
}
