//! Draws as Arrow record batches.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ::polars::prelude::{self as pl, DataFrame, Series};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array,
    LargeStringArray, NullArray, PrimitiveArray, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{self as at, ArrowPrimitiveType, DataType, Field, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::data::polars::write_column;
use crate::data::schema::{Column, Schema};
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, Result};

/// The two shapes of draws in Arrow.
///
/// Every column keeps its own type: numbers, `Boolean`, `Date32`, `Timestamp`, `Duration`, `Time64` and `Decimal128` as
/// in the frame, text as `LargeUtf8` (`m` tables of text outgrow 32-bit offsets), Categorical and Enum as
/// `Dictionary(UInt32, Utf8)` with their levels in order, an Enum's whole declared list. Cells are null only where they
/// were left missing. A field's metadata says its `lacuna.kind`, the schema's the `lacuna.form` (`long` or `list`) and
/// `lacuna.m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `m` completed tables under each other, with columns `.imp` (1 to m) and `.id` (1 to n) first.
    Long,
    /// One `FixedSizeList` of `m` values a column and row; an observed cell repeats its value.
    List,
}

/// The first columns of the long form: number of the draw and number of the row, as `mice::complete` names them.
const IMP: &str = ".imp";
const ID: &str = ".id";

/// All draws as one batch. Cost: O(m · n) a column; only the missing cells are built `m` times.
pub(crate) fn imputations_to_batch(
    frame: &DataFrame,
    schema: &Schema,
    gaps: &Gaps,
    draws: &[Cells],
    form: Form,
) -> Result<RecordBatch> {
    let (n, m) = (frame.height(), draws.len());
    let size = i32::try_from(m).map_err(|_| Error::config("m", m, format!("at most {}", i32::MAX)))?;
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    if form == Form::Long {
        for name in [IMP, ID] {
            if frame.column(name).is_ok() {
                return Err(Error::schema(format!(
                    "the table has a column `{name}`, which is the long form's own name; rename it or ask for the list form"
                )));
            }
        }
        fields.push(Field::new(IMP, DataType::Int32, false));
        arrays.push(Arc::new(Int32Array::from_iter_values((1..=size).flat_map(|k| std::iter::repeat_n(k, n)))));
        fields.push(Field::new(ID, DataType::Int64, false));
        arrays.push(Arc::new(Int64Array::from_iter_values((0..m).flat_map(|_| 1..=n as i64))));
    }
    for input in frame.columns() {
        let series = input.as_materialized_series();
        let name = series.name().as_str();
        let known = schema.columns().iter().position(|c| c.name() == name).map(|j| Known {
            column: &schema.columns()[j],
            gaps: &gaps.rows[j],
            draws: draws.iter().map(|cells| cells[j].as_slice()).collect(),
        });
        let values = values_of(series, known.as_ref(), m, form)?;
        let ordered = matches!(series.dtype(), pl::DataType::Enum(..));
        let field = |name: &str| Field::new(name, values.data_type().clone(), true).with_dict_is_ordered(ordered);
        let (field, array): (Field, ArrayRef) = match form {
            Form::Long => (field(name), values.clone()),
            Form::List => {
                let item = Arc::new(field(Field::LIST_FIELD_DEFAULT_NAME));
                let list = FixedSizeListArray::try_new(item, size, values.clone(), None)?;
                (Field::new(name, list.data_type().clone(), false), Arc::new(list))
            }
        };
        fields.push(match known {
            Some(k) => field.with_metadata(HashMap::from([("lacuna.kind".into(), k.column.kind().to_string())])),
            None => field,
        });
        arrays.push(array);
    }
    let (form, rows) = match form {
        Form::Long => ("long", m * n),
        Form::List => ("list", n),
    };
    let metadata = HashMap::from([("lacuna.form".into(), form.into()), ("lacuna.m".into(), m.to_string())]);
    let schema = Arc::new(at::Schema::new_with_metadata(fields, metadata));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))?)
}

/// What the schema and the draws say of one column of the frame.
struct Known<'a> {
    column: &'a Column,
    /// Rows to fill.
    gaps: &'a [usize],
    /// Their values, one slice a draw.
    draws: Vec<&'a [f64]>,
}

/// The `m · n` cells of a column in the form's order: draw by draw (long) or row by row (list).
fn values_of(series: &Series, known: Option<&Known>, m: usize, form: Form) -> Result<ArrayRef> {
    let n = series.len();
    // The input's cells and under them the gaps of draw 0, 1, …: every cell of the batch is taken from there.
    let mut cells = series.clone();
    let mut gap_of = vec![None; n];
    let mut g = 0;
    if let Some(known) = known.filter(|k| !k.gaps.is_empty()) {
        g = known.gaps.len();
        known.gaps.iter().enumerate().for_each(|(gap, &row)| gap_of[row] = Some(gap));
        let drawn = known.draws.concat();
        let empty = Series::full_null(series.name().clone(), drawn.len(), series.dtype());
        let all: Vec<usize> = (0..drawn.len()).collect();
        cells.append(&write_column(&empty, known.column, &all, &drawn)?)?;
    }
    let place = |draw: usize, row: usize| gap_of[row].map_or(row, |gap| n + draw * g + gap) as u64;
    let places: Vec<u64> = match form {
        Form::Long => (0..m * n).map(|i| place(i / n, i % n)).collect(),
        Form::List => (0..m * n).map(|i| place(i % m, i / m)).collect(),
    };
    Ok(take(&array_of(&cells, known.map(|k| k.column))?, &UInt64Array::from(places), None)?)
}

/// A polars column as an Arrow array, built cell by cell.
fn array_of(series: &Series, column: Option<&Column>) -> Result<ArrayRef> {
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
        P::Categorical(..) => dictionary(series, column.iter().flat_map(|c| c.levels()).map(String::as_str))?,
        P::Enum(categories, _) => dictionary(series, categories.categories().values_iter())?,
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

/// Levels in the given order; those of cells that it lacks follow by text.
fn dictionary<'a>(series: &Series, levels: impl Iterator<Item = &'a str>) -> Result<ArrayRef> {
    let text = series.cast(&pl::DataType::String)?;
    let text = text.str()?;
    let mut levels: Vec<&str> = levels.collect();
    let mut code: HashMap<&str, u32> = levels.iter().copied().zip(0..).collect();
    let others: BTreeSet<&str> = text.iter().flatten().filter(|t| !code.contains_key(t)).collect();
    code.extend(others.iter().copied().zip(levels.len() as u32..));
    levels.extend(others);
    let keys: UInt32Array = text.iter().map(|cell| cell.map(|t| code[t])).collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(levels)))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::polars::write_cells;
    use crate::data::schema::{ColumnKind, SchemaOptions};
    use crate::data::table::Table;
    use ::polars::prelude::{AnyValue, Categories, FrozenCategories, IntoColumn, NamedFrom, TimeZone, df};
    use arrow::array::AsArray;

    /// One column of every type that has an Arrow form, each with a gap, then those that pass through.
    fn frame() -> DataFrame {
        let mut df = df!(
            "f64" => [Some(1.5), None, Some(f64::NAN), Some(-2.25)],
            "f32" => [Some(0.5f32), None, Some(2.5), Some(1.0)],
            "i8" => [Some(-1i8), None, Some(2), Some(3)],
            "i16" => [Some(-1i16), None, Some(2), Some(3)],
            "i32" => [Some(-1i32), None, Some(2), Some(3)],
            "i64" => [Some((1i64 << 53) + 1), Some(-7), None, Some(3)],
            "u8" => [Some(1u8), None, Some(2), Some(3)],
            "u16" => [Some(1u16), None, Some(2), Some(3)],
            "u32" => [Some(1u32), None, Some(2), Some(3)],
            "u64" => [Some(u64::MAX), None, Some(2), Some(3)],
            "bool" => [Some(true), None, Some(false), None],
            "text" => [Some("b"), None, Some("a"), Some("b")],
            "cat" => [Some("b"), None, Some("a"), Some("b")],
            "enum" => [Some("mid"), None, Some("low"), Some("mid")],
            "full" => [1.0, 2.0, 3.0, 4.0],
            "date" => [Some(19_000i32), None, Some(-1), Some(0)],
            "ms" => [Some(1_700_000_000_123i64), None, Some(-1), Some(0)],
            "utc" => [Some(1_700_000_000_123_456_789i64), None, Some(-1), Some(0)],
            "span" => [Some(1i64), None, Some(-1), Some(0)],
            "time" => [Some(1i64), None, Some(86_399_999_999_999), Some(0)],
            "money" => [Some(12.5), None, Some(-0.25), Some(0.0)]
        )
        .unwrap();
        let levels = FrozenCategories::new(["low", "mid", "high"]).unwrap();
        let mapping = levels.mapping().clone();
        for (name, dtype) in [
            ("cat", pl::DataType::from_categories(Categories::global())),
            ("enum", pl::DataType::Enum(levels, mapping)),
            ("date", pl::DataType::Date),
            ("ms", pl::DataType::Datetime(pl::TimeUnit::Milliseconds, None)),
            ("span", pl::DataType::Duration(pl::TimeUnit::Microseconds)),
            ("time", pl::DataType::Time),
            ("money", pl::DataType::Decimal(10, 2)),
        ] {
            let cast = df.column(name).unwrap().cast(&dtype).unwrap();
            df.with_column(cast).unwrap();
        }
        let utc = df.column("utc").unwrap().as_materialized_series().clone();
        df.with_column(utc.into_datetime(pl::TimeUnit::Nanoseconds, Some(TimeZone::UTC)).into_column()).unwrap();
        df.with_column(Series::new_null("null".into(), 4).into_column()).unwrap();
        df
    }

    /// The frame's table with three draws, every one with other values.
    fn drawn(df: &DataFrame, options: &SchemaOptions) -> (Table, Vec<Cells>) {
        let schema = Arc::new(Schema::infer_with(df, options).unwrap());
        let table = Table::from_frame(df, &schema).unwrap();
        let value = |k: usize, j: usize, gap: usize| match schema.columns()[j].levels().len() {
            0 => (k + gap) as f64 + 0.5 * f64::from(schema.columns()[j].kind() == ColumnKind::Continuous),
            levels => ((k + gap) % levels) as f64,
        };
        let draw =
            |k| table.gaps.rows.iter().enumerate().map(|(j, r)| (0..r.len()).map(|gap| value(k, j, gap)).collect()).collect();
        let draws = (0..3).map(draw).collect();
        (table, draws)
    }

    fn batch(df: &DataFrame, table: &Table, draws: &[Cells], form: Form) -> Result<RecordBatch> {
        imputations_to_batch(df, &table.schema, &table.gaps, draws, form)
    }

    /// An Arrow cell as text of its own making, to hold against the polars cell's.
    fn arrow_cell(array: &dyn Array, i: usize) -> String {
        macro_rules! number {
            ($t:ty) => {
                format!("{:?}", array.as_primitive::<$t>().value(i))
            };
        }
        if array.is_null(i) || *array.data_type() == DataType::Null {
            return "null".into();
        }
        match array.data_type() {
            DataType::Float64 => number!(at::Float64Type),
            DataType::Float32 => number!(at::Float32Type),
            DataType::Int8 => number!(at::Int8Type),
            DataType::Int16 => number!(at::Int16Type),
            DataType::Int32 => number!(at::Int32Type),
            DataType::Int64 => number!(at::Int64Type),
            DataType::UInt8 => number!(at::UInt8Type),
            DataType::UInt16 => number!(at::UInt16Type),
            DataType::UInt32 => number!(at::UInt32Type),
            DataType::UInt64 => number!(at::UInt64Type),
            DataType::Date32 => number!(at::Date32Type),
            DataType::Timestamp(TimeUnit::Millisecond, None) => number!(at::TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => number!(at::TimestampNanosecondType),
            DataType::Duration(TimeUnit::Microsecond) => number!(at::DurationMicrosecondType),
            DataType::Time64(TimeUnit::Nanosecond) => number!(at::Time64NanosecondType),
            DataType::Decimal128(10, 2) => number!(at::Decimal128Type),
            DataType::Boolean => array.as_boolean().value(i).to_string(),
            DataType::LargeUtf8 => array.as_string::<i64>().value(i).to_string(),
            DataType::Dictionary(..) => {
                let array = array.as_dictionary::<at::UInt32Type>();
                array.values().as_string::<i32>().value(array.keys().value(i) as usize).to_string()
            }
            other => panic!("{other}"),
        }
    }

    fn polars_cell(df: &DataFrame, column: &str, i: usize) -> String {
        match df.column(column).unwrap().get(i).unwrap() {
            AnyValue::Null => "null".into(),
            AnyValue::Float64(x) => format!("{x:?}"),
            AnyValue::Float32(x) => format!("{x:?}"),
            AnyValue::Date(x) => x.to_string(),
            AnyValue::Datetime(x, ..) | AnyValue::Duration(x, _) | AnyValue::Time(x) => x.to_string(),
            AnyValue::Decimal(x, ..) => x.to_string(),
            text @ (AnyValue::String(_) | AnyValue::Categorical(..) | AnyValue::Enum(..)) => text.get_str().unwrap().into(),
            other => other.to_string(),
        }
    }

    #[test]
    fn both_forms_hold_the_completed_frames_cell_by_cell() {
        let df = frame();
        let (table, draws) = drawn(&df, &SchemaOptions::default());
        let long = batch(&df, &table, &draws, Form::Long).unwrap();
        let list = batch(&df, &table, &draws, Form::List).unwrap();
        let (n, m, d) = (df.height(), draws.len(), df.width());
        assert_eq!((long.num_rows(), long.num_columns()), (m * n, d + 2));
        assert_eq!((list.num_rows(), list.num_columns()), (n, d));
        let mut compared = 0;
        for (k, draw) in draws.iter().enumerate() {
            let completed = write_cells(&df, &table.schema, &table.gaps, draw).unwrap();
            for row in 0..n {
                assert_eq!(arrow_cell(long.column(0), k * n + row), (k + 1).to_string());
                assert_eq!(arrow_cell(long.column(1), k * n + row), (row + 1).to_string());
                for name in df.get_column_names() {
                    let expected = polars_cell(&completed, name, row);
                    assert_eq!(arrow_cell(long.column_by_name(name).unwrap(), k * n + row), expected, "long, {name}, row {row}");
                    let cell = list.column_by_name(name).unwrap().as_fixed_size_list().value(row);
                    assert_eq!(arrow_cell(&cell, k), expected, "list, {name}, row {row}");
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, n * m * d);
        // Distinct draws, or the comparison would say little.
        let i8s = long.column_by_name("i8").unwrap();
        assert_eq!([1, 5, 9].map(|i| arrow_cell(i8s, i)), ["1", "2", "3"]);
    }

    #[test]
    fn nulls_are_only_where_cells_were_left() {
        let df = frame();
        let (table, draws) = drawn(&df, &SchemaOptions::default().exclude("f32"));
        let long = batch(&df, &table, &draws, Form::Long).unwrap();
        for (field, column) in long.schema().fields().iter().zip(long.columns()) {
            let nulls = (0..column.len()).filter(|&i| arrow_cell(column, i) == "null").count();
            let expected = match field.name().as_str() {
                "null" => 12,
                "f32" => 3,
                _ => 0,
            };
            assert_eq!(nulls, expected, "{}", field.name());
        }
    }

    #[test]
    fn levels_keep_their_order_and_fields_say_what_they_are() {
        let df = frame();
        let (table, draws) = drawn(&df, &SchemaOptions::default().kind("i32", ColumnKind::Categorical));
        let long = batch(&df, &table, &draws, Form::Long).unwrap();
        let list = batch(&df, &table, &draws, Form::List).unwrap();
        let levels = |array: &dyn Array| {
            let values = array.as_dictionary::<at::UInt32Type>().values().clone();
            values.as_string::<i32>().iter().flatten().map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(levels(long.column_by_name("enum").unwrap()), ["low", "mid", "high"]);
        assert_eq!(levels(list.column_by_name("enum").unwrap().as_fixed_size_list().values()), ["low", "mid", "high"]);
        assert_eq!(levels(long.column_by_name("cat").unwrap()), ["a", "b"]);
        let schema = long.schema();
        assert_eq!(schema.field_with_name("enum").unwrap().dict_is_ordered(), Some(true));
        assert_eq!(schema.field_with_name("cat").unwrap().dict_is_ordered(), Some(false));
        let kind = |name: &str| schema.field_with_name(name).unwrap().metadata().get("lacuna.kind").cloned();
        assert_eq!(kind("f64").as_deref(), Some("continuous"));
        assert_eq!(kind("i32").as_deref(), Some("categorical"));
        assert_eq!(kind("date").as_deref(), Some("continuous"));
        assert_eq!(kind(IMP), None);
        for (batch, form) in [(&long, "long"), (&list, "list")] {
            assert_eq!(batch.schema().metadata()["lacuna.form"], form);
            assert_eq!(batch.schema().metadata()["lacuna.m"], "3");
        }
    }

    #[test]
    fn a_level_without_a_place_follows_the_known_ones() {
        let mut df = df!("x" => ["b", "d", "a", "d"]).unwrap();
        let categorical = df.column("x").unwrap().cast(&pl::DataType::from_categories(Categories::global())).unwrap();
        df.with_column(categorical).unwrap();
        let (table, _) = drawn(&df.slice(0, 2), &SchemaOptions::default());
        let gaps = Gaps { rows: vec![Vec::new()], missing: vec![0] };
        let batch = imputations_to_batch(&df, &table.schema, &gaps, &[vec![Vec::new()]], Form::Long).unwrap();
        let x = batch.column(2).as_dictionary::<at::UInt32Type>();
        assert_eq!(x.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["b", "d", "a"]);
        assert_eq!(x.keys().values(), &[0, 1, 2, 1]);
    }

    #[test]
    fn names_and_types_without_a_place_are_clear_errors() {
        let df = df!(".id" => [1, 2], "x" => [Some(1.0), None]).unwrap();
        let (table, draws) = drawn(&df, &SchemaOptions::default());
        let e = batch(&df, &table, &draws, Form::Long).unwrap_err();
        assert!(e.to_string().contains("`.id`"), "{e}");
        assert_eq!(batch(&df, &table, &draws, Form::List).unwrap().num_columns(), 2);

        let mut df = df!("x" => [Some(1.0), None]).unwrap();
        let bytes = Series::new("blob".into(), [&b"a"[..], &b"b"[..]]);
        df.with_column(bytes.into_column()).unwrap();
        let (table, draws) = drawn(&df, &SchemaOptions::default());
        let e = batch(&df, &table, &draws, Form::List).unwrap_err();
        assert_eq!(e.to_string(), "column `blob` of type binary has no Arrow form here; drop it from the table first");
    }

    #[test]
    fn empty_tables_keep_their_shape() {
        let df = frame().slice(0, 0);
        let (table, draws) = drawn(&df, &SchemaOptions::default());
        let list = batch(&df, &table, &draws, Form::List).unwrap();
        assert_eq!((list.num_rows(), list.num_columns()), (0, df.width()));
        let (table, draws) = drawn(&DataFrame::empty_with_height(2), &SchemaOptions::default());
        let df = DataFrame::empty_with_height(2);
        assert_eq!(batch(&df, &table, &draws, Form::Long).unwrap().num_rows(), 6);
        assert_eq!(batch(&df, &table, &draws, Form::List).unwrap().num_rows(), 2);
    }
}
