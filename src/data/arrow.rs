//! Arrow record batches: to frames and back, filled, and drawn.
//!
//! A batch goes in as it is and comes out with its own schema, only the cells of its gaps replaced:
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{AsArray, Float64Array, RecordBatch, StringArray};
//! use lacuna::{Fit, ImputeExt, Imputer, MeanConfig, data::arrow::to_frame};
//!
//! let x = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0)])) as _;
//! let city = Arc::new(StringArray::from(vec![Some("Bern"), Some("Bern"), None])) as _;
//! let batch = RecordBatch::try_from_iter_with_nullable([("x", x, true), ("city", city, true)])?;
//!
//! let filled: RecordBatch = batch.impute_mean()?; // or batch.impute_vae()?
//! assert_eq!(filled.schema(), batch.schema());
//! assert_eq!(filled.column(1).as_string::<i32>().value(2), "Bern");
//!
//! // In steps, with the report, and for other batches of the same columns.
//! let df = to_frame(&batch)?;
//! let imputer = MeanConfig::default().fit(&df)?;
//! let result = imputer.fill(&df)?;
//! assert_eq!(result.report.filled(), 2);
//! assert_eq!(result.to_record_batch(&batch)?, filled);
//! # Ok::<(), lacuna::Error>(())
//! ```
//!
//! A table of several batches is joined first, by `arrow::compute::concat_batches`.

pub(crate) mod fill;
mod text;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ::polars::prelude::{
    self as pl, BinaryChunked, BooleanChunked, Categories, ChunkedArray, DataFrame, FrozenCategories, IdxCa, IdxSize, IntoColumn,
    IntoSeries, ListChunked, NamedFrom, NewChunkedArray, PlSmallStr, Series, StringChunked, StructChunked,
};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeListArray, LargeBinaryArray,
    LargeListArray, LargeStringArray, NullArray, PrimitiveArray, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{self as at, ArrowPrimitiveType, DataType, Field, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};

pub use text::write_csv;

/// The key under which polars keeps an Enum's levels in a field's metadata.
const ENUM_LEVELS: &str = "_PL_ENUM_VALUES2";

/// A batch as a frame, to fit on and to fill.
///
/// | Arrow | polars |
/// |---|---|
/// | integers, `Float32`, `Float64`, `Boolean` | the same |
/// | `Float16` | `Float32` |
/// | `Utf8`, `LargeUtf8`, `Utf8View` | `String` |
/// | `Dictionary` of text | `Enum` where its values are ordered or the metadata of polars say so, else `Categorical` |
/// | other `Dictionary` | as its values |
/// | `Date32`, `Date64` | `Date` |
/// | `Timestamp`, `Duration` | `Datetime`, `Duration`; seconds as milliseconds |
/// | `Time32`, `Time64` | `Time` |
/// | decimals of up to 38 digits, none of them before the point | `Decimal` |
/// | `List`, `LargeList`, `Map`, `FixedSizeList`, `Struct`, binary | `List`, `Array`, `Struct`, `Binary` |
/// | any other | `Binary`, each cell the bytes of its text: it stands for the column, which keeps its type in a filled batch |
///
/// Cost: a copy of every column.
///
/// # Errors
/// Two columns of one name; a time too far from 1970 for its new unit.
pub fn to_frame(batch: &RecordBatch) -> Result<DataFrame> {
    let schema = batch.schema();
    let mut names = HashSet::new();
    if let Some(twice) = schema.fields().iter().find(|f| !names.insert(f.name())) {
        return Err(Error::schema(format!("two columns are called `{}`; rename one", twice.name())));
    }
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| Ok(series_of(field, array)?.into_column())).collect::<Result<_>>()?;
    Ok(DataFrame::new(batch.num_rows(), columns)?)
}

/// A frame as a batch: every column in its own type, text as `LargeUtf8`, Categorical and Enum as
/// `Dictionary(UInt32, Utf8)`, an Enum with its whole declared list in order and the metadata by which polars knows it again.
///
/// ```
/// use lacuna::data::arrow::{to_batch, to_frame};
/// use polars::prelude::*;
/// let df = df!("x" => [Some(1i64 << 60), None], "t" => [Some("ä"), None])?;
/// assert!(to_frame(&to_batch(&df)?)?.equals_missing(&df));
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// # Errors
/// A column of a type that has no Arrow form, such as Object.
pub fn to_batch(df: &DataFrame) -> Result<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for column in df.columns() {
        let series = column.as_materialized_series();
        let array = array_of(series)?;
        fields.push(field_of(series.name(), series.dtype(), &array));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(df.height()));
    Ok(RecordBatch::try_new_with_options(Arc::new(at::Schema::new(fields)), arrays, &options)?)
}

/// A cast in which a value that does not fit is an error, not a null.
fn strict(array: &dyn Array, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// An Arrow array as a polars column, built cell by cell.
fn series_of(field: &Field, array: &ArrayRef) -> Result<Series> {
    use DataType as A;
    let name: PlSmallStr = field.name().into();
    let unit = |u: &TimeUnit| match u {
        TimeUnit::Nanosecond => pl::TimeUnit::Nanoseconds,
        TimeUnit::Microsecond => pl::TimeUnit::Microseconds,
        TimeUnit::Millisecond | TimeUnit::Second => pl::TimeUnit::Milliseconds,
    };
    // polars has no seconds.
    let kept = |u: &TimeUnit| if *u == TimeUnit::Second { TimeUnit::Millisecond } else { *u };
    Ok(match array.data_type() {
        A::Null => Series::new_null(name, array.len()),
        A::Boolean => BooleanChunked::from_iter_options(name, array.as_boolean().iter()).into_series(),
        A::Int8 => cells::<at::Int8Type, pl::Int8Type>(name, array),
        A::Int16 => cells::<at::Int16Type, pl::Int16Type>(name, array),
        A::Int32 => cells::<at::Int32Type, pl::Int32Type>(name, array),
        A::Int64 => cells::<at::Int64Type, pl::Int64Type>(name, array),
        A::UInt8 => cells::<at::UInt8Type, pl::UInt8Type>(name, array),
        A::UInt16 => cells::<at::UInt16Type, pl::UInt16Type>(name, array),
        A::UInt32 => cells::<at::UInt32Type, pl::UInt32Type>(name, array),
        A::UInt64 => cells::<at::UInt64Type, pl::UInt64Type>(name, array),
        A::Float16 => cells::<at::Float32Type, pl::Float32Type>(name, &strict(array, &A::Float32)?),
        A::Float32 => cells::<at::Float32Type, pl::Float32Type>(name, array),
        A::Float64 => cells::<at::Float64Type, pl::Float64Type>(name, array),
        A::Utf8 | A::LargeUtf8 | A::Utf8View => {
            let text = strict(array, &A::LargeUtf8)?;
            StringChunked::from_iter_options(name, text.as_string::<i64>().iter()).into_series()
        }
        A::Dictionary(_, values) => {
            let plain = strict(array, values)?;
            let series = series_of(&Field::new(field.name(), values.as_ref().clone(), true), &plain)?;
            match series.dtype() {
                pl::DataType::String => series.cast(&levels_type(field, array))?,
                _ => series,
            }
        }
        A::Date32 | A::Date64 => {
            let days = strict(&strict(array, &A::Date32)?, &A::Int32)?;
            cells::<at::Int32Type, pl::Int32Type>(name, &days).into_date()
        }
        A::Timestamp(u, zone) => {
            let count = strict(&strict(array, &A::Timestamp(kept(u), zone.clone()))?, &A::Int64)?;
            // A zone that polars does not know is still counted in UTC.
            let zone = zone.as_ref().map(|z| pl::TimeZone::opt_try_new(Some(&**z)).ok().flatten().unwrap_or(pl::TimeZone::UTC));
            cells::<at::Int64Type, pl::Int64Type>(name, &count).into_datetime(unit(u), zone)
        }
        A::Duration(u) => {
            let count = strict(&strict(array, &A::Duration(kept(u)))?, &A::Int64)?;
            cells::<at::Int64Type, pl::Int64Type>(name, &count).into_duration(unit(u))
        }
        A::Time32(_) | A::Time64(_) => {
            let count = strict(&strict(array, &A::Time64(TimeUnit::Nanosecond))?, &A::Int64)?;
            cells::<at::Int64Type, pl::Int64Type>(name, &count).into_time()
        }
        A::Decimal32(p, s) | A::Decimal64(p, s) | A::Decimal128(p, s) | A::Decimal256(p, s)
            if (0..=*p as i8).contains(s) && *p <= 38 =>
        {
            let wide = strict(array, &A::Decimal128(*p, *s))?;
            let cells = wide.as_primitive::<at::Decimal128Type>().iter();
            ChunkedArray::<pl::Int128Type>::from_iter_options(name, cells).into_decimal(*p as usize, *s as usize)?.into_series()
        }
        A::Binary | A::LargeBinary | A::BinaryView => {
            let bytes = strict(array, &A::LargeBinary)?;
            BinaryChunked::from_iter_options(name, bytes.as_binary::<i64>().iter()).into_series()
        }
        A::FixedSizeBinary(_) => BinaryChunked::from_iter_options(name, array.as_fixed_size_binary().iter()).into_series(),
        // What polars cannot hold, such as a struct with two fields of one name, has a stand-in too.
        _ => nested(field, array).or_else(|_| stand_in(name, array))?,
    })
}

fn cells<A, P>(name: PlSmallStr, array: &ArrayRef) -> Series
where
    A: ArrowPrimitiveType,
    P: pl::PolarsNumericType<Native = A::Native>,
    ChunkedArray<P>: NewChunkedArray<P, A::Native> + IntoSeries,
{
    ChunkedArray::<P>::from_iter_options(name, array.as_primitive::<A>().iter()).into_series()
}

/// The dtype of a column of text with a dictionary.
fn levels_type(field: &Field, array: &ArrayRef) -> pl::DataType {
    let declared = match field.metadata().get(ENUM_LEVELS) {
        Some(encoded) => decoded_levels(encoded),
        None if field.dict_is_ordered() == Some(true) => {
            let values = cast(array.as_any_dictionary().values(), &DataType::LargeUtf8).ok();
            values.and_then(|v| v.as_string::<i64>().iter().map(|t| t.map(String::from)).collect())
        }
        None => None,
    };
    let declared = declared.and_then(|levels| FrozenCategories::new(levels.iter().map(String::as_str)).ok());
    declared.map_or_else(|| pl::DataType::from_categories(Categories::global()), pl::DataType::from_frozen_categories)
}

/// Levels in one text, each as `length;level` with its length in bytes: the form of polars.
fn encoded_levels<'a>(levels: impl Iterator<Item = &'a str>) -> String {
    levels.map(|l| format!("{};{l}", l.len())).collect()
}

fn decoded_levels(mut encoded: &str) -> Option<Vec<String>> {
    let mut levels = Vec::new();
    while !encoded.is_empty() {
        let (length, rest) = encoded.split_once(';')?;
        let (level, rest) = rest.split_at_checked(length.parse().ok()?)?;
        levels.push(level.to_string());
        encoded = rest;
    }
    Some(levels)
}

/// Lists, maps, fixed-size lists and structs.
fn nested(field: &Field, array: &ArrayRef) -> Result<Series> {
    let name: PlSmallStr = field.name().into();
    let all = |offsets: &[usize]| offsets.windows(2).map(|w| (w[0], w[1] - w[0])).collect::<Vec<_>>();
    match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let offsets: Vec<usize> = list.value_offsets().iter().map(|&o| o as usize).collect();
            lists(name, &series_of(item, list.values())?, &all(&offsets), array)
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            let offsets: Vec<usize> = list.value_offsets().iter().map(|&o| o as usize).collect();
            lists(name, &series_of(item, list.values())?, &all(&offsets), array)
        }
        DataType::Map(entries, _) => {
            let map = array.as_map();
            let offsets: Vec<usize> = map.value_offsets().iter().map(|&o| o as usize).collect();
            lists(name, &series_of(entries, &(Arc::new(map.entries().clone()) as ArrayRef))?, &all(&offsets), array)
        }
        DataType::FixedSizeList(item, width) if *width > 0 => {
            let list = array.as_fixed_size_list();
            let width = *width as usize;
            let spans: Vec<(usize, usize)> = (0..array.len()).map(|i| (i * width, width)).collect();
            let items = series_of(item, list.values())?;
            let dtype = pl::DataType::Array(Box::new(items.dtype().clone()), width);
            Ok(lists(name, &items, &spans, array)?.cast(&dtype)?)
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let columns = columns.map(|(f, a)| series_of(f, a)).collect::<Result<Vec<_>>>()?;
            let all = StructChunked::from_series(name, array.len(), columns.iter())?.into_series();
            if array.null_count() == 0 {
                return Ok(all);
            }
            // A row taken from nowhere is null as a whole.
            let rows = (0..array.len()).map(|i| array.is_valid(i).then_some(i as IdxSize)).collect::<Vec<_>>();
            Ok(all.take(&IdxCa::new(PlSmallStr::EMPTY, rows))?)
        }
        other => Err(Error::schema(format!("{other} has no polars form"))),
    }
}

/// A list column: each row a span (start, length) of the items, or null.
fn lists(name: PlSmallStr, items: &Series, spans: &[(usize, usize)], array: &ArrayRef) -> Result<Series> {
    let rows = spans.iter().enumerate().map(|(i, &(start, n))| array.is_valid(i).then(|| items.slice(start as i64, n)));
    let list: ListChunked = rows.collect();
    let dtype = pl::DataType::List(Box::new(items.dtype().clone()));
    Ok(list.into_series().with_name(name).cast(&dtype)?)
}

/// The column that stands for one of a type that polars lacks.
fn stand_in(name: PlSmallStr, array: &ArrayRef) -> Result<Series> {
    let text = ArrayFormatter::try_new(array, &FormatOptions::default())?;
    let nulls = array.logical_nulls();
    let cell = |i: usize| nulls.as_ref().is_none_or(|n| n.is_valid(i)).then(|| text.value(i).to_string().into_bytes());
    Ok(BinaryChunked::from_iter_options(name, (0..array.len()).map(cell)).into_series())
}

/// The field of a column: an Enum's says that its dictionary is in order, and what polars wants to know of it.
fn field_of(name: &str, dtype: &pl::DataType, array: &ArrayRef) -> Field {
    let field = Field::new(name, array.data_type().clone(), true);
    match dtype {
        pl::DataType::Enum(categories, _) => {
            let levels = encoded_levels(categories.categories().values_iter());
            field.with_dict_is_ordered(true).with_metadata(HashMap::from([(ENUM_LEVELS.into(), levels)]))
        }
        _ => field,
    }
}

/// A polars column as an Arrow array, built cell by cell.
fn array_of(series: &Series) -> Result<ArrayRef> {
    use pl::DataType as P;
    let physical = series.to_physical_repr();
    let unit = |u: &pl::TimeUnit| match u {
        pl::TimeUnit::Nanoseconds => TimeUnit::Nanosecond,
        pl::TimeUnit::Microseconds => TimeUnit::Microsecond,
        pl::TimeUnit::Milliseconds => TimeUnit::Millisecond,
    };
    Ok(match series.dtype() {
        P::Int8 => numbers::<pl::Int8Type, at::Int8Type>(series)?,
        P::Int16 => numbers::<pl::Int16Type, at::Int16Type>(series)?,
        P::Int32 => numbers::<pl::Int32Type, at::Int32Type>(series)?,
        P::Int64 => numbers::<pl::Int64Type, at::Int64Type>(series)?,
        P::UInt8 => numbers::<pl::UInt8Type, at::UInt8Type>(series)?,
        P::UInt16 => numbers::<pl::UInt16Type, at::UInt16Type>(series)?,
        P::UInt32 => numbers::<pl::UInt32Type, at::UInt32Type>(series)?,
        P::UInt64 => numbers::<pl::UInt64Type, at::UInt64Type>(series)?,
        P::Float32 => numbers::<pl::Float32Type, at::Float32Type>(series)?,
        P::Float64 => numbers::<pl::Float64Type, at::Float64Type>(series)?,
        P::Boolean => Arc::new(series.bool()?.iter().collect::<BooleanArray>()),
        P::String => Arc::new(series.str()?.iter().collect::<LargeStringArray>()),
        P::Binary => Arc::new(series.binary()?.iter().collect::<LargeBinaryArray>()),
        P::Categorical(..) => dictionary(series, None)?,
        P::Enum(categories, _) => dictionary(series, Some(categories.categories().values_iter().collect()))?,
        P::Date => cast(&numbers::<pl::Int32Type, at::Int32Type>(&physical)?, &DataType::Date32)?,
        P::Datetime(u, zone) => {
            let zone = zone.as_ref().map(|z| z.as_str().into());
            cast(&numbers::<pl::Int64Type, at::Int64Type>(&physical)?, &DataType::Timestamp(unit(u), zone))?
        }
        P::Duration(u) => cast(&numbers::<pl::Int64Type, at::Int64Type>(&physical)?, &DataType::Duration(unit(u)))?,
        P::Time => cast(&numbers::<pl::Int64Type, at::Int64Type>(&physical)?, &DataType::Time64(TimeUnit::Nanosecond))?,
        P::Decimal(precision, scale) => {
            let cells: Decimal128Array = series.decimal()?.physical().iter().collect();
            // polars keeps both at 38 or below.
            Arc::new(cells.with_precision_and_scale(*precision as u8, *scale as i8)?)
        }
        P::List(inner) => {
            let rows: Vec<Option<Series>> = series.list()?.series_iter().collect();
            let lengths = rows.iter().map(|r| r.as_ref().map_or(0, |r| r.len()));
            let (field, items) = items(inner, rows.iter().flatten())?;
            Arc::new(LargeListArray::try_new(field, OffsetBuffer::from_lengths(lengths), items, nulls(series))?)
        }
        P::Array(inner, width) => {
            let empty = Series::full_null(PlSmallStr::EMPTY, *width, inner);
            let rows: Vec<Series> = series.array()?.series_iter().map(|r| r.unwrap_or_else(|| empty.clone())).collect();
            let (field, items) = items(inner, rows.iter())?;
            Arc::new(FixedSizeListArray::try_new_with_length(field, *width as i32, items, nulls(series), series.len())?)
        }
        P::Struct(_) => {
            let columns = series.struct_()?.fields_as_series();
            let arrays = columns.iter().map(array_of).collect::<Result<Vec<_>>>()?;
            let fields = columns.iter().zip(&arrays).map(|(c, a)| field_of(c.name(), c.dtype(), a)).collect();
            Arc::new(StructArray::try_new_with_length(fields, arrays, nulls(series), series.len())?)
        }
        P::Null => Arc::new(NullArray::new(series.len())),
        other => {
            return Err(Error::schema(format!(
                "column `{}` of type {other} has no Arrow form here; drop it from the table first",
                series.name()
            )));
        }
    })
}

fn numbers<P, A>(series: &Series) -> Result<ArrayRef>
where
    P: pl::PolarsNumericType,
    A: ArrowPrimitiveType<Native = P::Native>,
{
    Ok(Arc::new(series.unpack::<P>()?.iter().collect::<PrimitiveArray<A>>()))
}

fn nulls(series: &Series) -> Option<NullBuffer> {
    (series.null_count() > 0).then(|| series.is_not_null().iter().map(|valid| valid == Some(true)).collect())
}

/// The items of lists under each other, and their field.
fn items<'a>(dtype: &pl::DataType, rows: impl Iterator<Item = &'a Series>) -> Result<(Arc<Field>, ArrayRef)> {
    let mut all = Series::new_empty(PlSmallStr::EMPTY, dtype);
    for row in rows {
        all.append(row)?;
    }
    let array = array_of(&all)?;
    Ok((Arc::new(field_of(Field::LIST_FIELD_DEFAULT_NAME, dtype, &array)), array))
}

/// The declared levels in their order, or those of the cells by text.
fn dictionary(series: &Series, declared: Option<Vec<&str>>) -> Result<ArrayRef> {
    let text = series.cast(&pl::DataType::String)?;
    let text = text.str()?;
    let levels = declared.unwrap_or_else(|| text.iter().flatten().collect::<BTreeSet<&str>>().into_iter().collect());
    let code: HashMap<&str, u32> = levels.iter().copied().zip(0..).collect();
    let keys: UInt32Array = text.iter().map(|cell| cell.map(|t| code[t])).collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(levels)))?))
}
