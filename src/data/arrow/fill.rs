//! A batch with its gaps filled, once or `m` times. Every other cell is taken from the batch's own arrays.

use std::collections::HashMap;
use std::sync::Arc;

use ::polars::prelude::{self as pl, DataFrame, PlSmallStr, Series};
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Int32Array, Int64Array, UInt64Array, make_array,
};
use arrow::compute::{concat, interleave, nullif, take};
use arrow::datatypes::{self as at, DataType, Field};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::data::arrow::{array_of, strict};
use crate::data::polars::write_column;
use crate::data::schema::{Column, Schema};
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, Result};

/// The two shapes of draws in Arrow.
///
/// Every column keeps its own type: that of the batch, or for a frame the one of
/// [`to_batch`](crate::data::arrow::to_batch). Cells are null only where they were left missing. A field's metadata says
/// its `lacuna.kind`, the schema's the `lacuna.form` (`long` or `list`) and `lacuna.m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `m` completed tables under each other, with columns `.imp` (1 to m) and `.id` (1 to n) first; with the original, that
    /// table with its gaps before them as `.imp` 0.
    Long,
    /// One `FixedSizeList` of `m` values a column and row; an observed cell repeats its value.
    List,
}

/// The first columns of the long form: number of the draw and number of the row, as `mice::complete` names them.
pub(crate) const IMP: &str = ".imp";
pub(crate) const ID: &str = ".id";

/// The batch with the given cells in its gaps and its schema as it is; `frame` is the same table in polars.
pub(crate) fn fill_batch(
    batch: &RecordBatch,
    frame: &DataFrame,
    schema: &Schema,
    gaps: &Gaps,
    cells: &Cells,
) -> Result<RecordBatch> {
    check(batch, frame)?;
    let mut arrays = batch.columns().to_vec();
    for (field, array) in batch.schema().fields().iter().zip(&mut arrays) {
        let Some((j, column)) = known(schema, field.name()) else { continue };
        if gaps.rows[j].is_empty() {
            continue;
        }
        let mut places: Vec<(usize, usize)> = (0..array.len()).map(|row| (0, row)).collect();
        gaps.rows[j].iter().enumerate().for_each(|(gap, &row)| places[row] = (1, gap));
        *array = filled(array, frame.column(field.name())?.dtype(), column, &cells[j], &places)?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), arrays, &options)?)
}

/// The batch with the given rows of each column null; a column that loses a cell is nullable from then on.
pub(crate) fn clear_batch<'a>(
    batch: &RecordBatch,
    frame: &DataFrame,
    hidden: impl Fn(&str) -> &'a [usize],
) -> Result<RecordBatch> {
    check(batch, frame)?;
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut arrays = batch.columns().to_vec();
    for (field, array) in fields.iter_mut().zip(&mut arrays) {
        let rows = hidden(field.name());
        if !rows.is_empty() {
            let mut gone = vec![false; array.len()];
            rows.iter().for_each(|&row| gone[row] = true);
            *array = nullif(array, &BooleanArray::from(gone))?;
            *field = Field::clone(field).with_nullable(true).into();
        }
    }
    let schema = at::Schema::new_with_metadata(fields, batch.schema().metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.into(), arrays, &options)?)
}

/// All draws as one batch, in the long form after the batch itself if `original`. Cost: O(m · n) a column; only the missing
/// cells are built `m` times.
pub(crate) fn draw_batch(
    batch: &RecordBatch,
    frame: &DataFrame,
    schema: &Schema,
    gaps: &Gaps,
    draws: &[Cells],
    form: Form,
    original: bool,
) -> Result<RecordBatch> {
    check(batch, frame)?;
    let (n, m) = (batch.num_rows(), draws.len());
    let size = i32::try_from(m).map_err(|_| Error::config("m", m, format!("at most {}", i32::MAX)))?;
    // Tables under each other, and those of them that are no draw.
    let before = usize::from(original && form == Form::Long);
    let tables = before + m;
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    if form == Form::Long {
        for name in [IMP, ID] {
            if batch.column_by_name(name).is_some() {
                return Err(Error::schema(format!(
                    "the table has a column `{name}`, which is the long form's own name; rename it or ask for the list form"
                )));
            }
        }
        fields.push(Field::new(IMP, DataType::Int32, false));
        arrays.push(Arc::new(Int32Array::from_iter_values((1 - before as i32..=size).flat_map(|k| std::iter::repeat_n(k, n)))));
        fields.push(Field::new(ID, DataType::Int64, false));
        arrays.push(Arc::new(Int64Array::from_iter_values((0..tables).flat_map(|_| 1..=n as i64))));
    }
    // The cell of each place, its table and row: table by table (long) or row by row (list).
    let cell = |i: usize| match form {
        Form::Long => (i / n, i % n),
        Form::List => (i % m, i / m),
    };
    for (field, input) in batch.schema().fields().iter().zip(batch.columns()) {
        let known = known(schema, field.name());
        let values = match known {
            Some((j, column)) if !gaps.rows[j].is_empty() => {
                let rows = &gaps.rows[j];
                let mut gap_of = vec![None; n];
                rows.iter().enumerate().for_each(|(gap, &row)| gap_of[row] = Some(gap));
                let drawn: Vec<f64> = draws.iter().flat_map(|cells| cells[j].iter().copied()).collect();
                let place = |(table, row): (usize, usize)| match (table.checked_sub(before), gap_of[row]) {
                    (Some(draw), Some(gap)) => (1, draw * rows.len() + gap),
                    _ => (0, row),
                };
                let places: Vec<(usize, usize)> = (0..tables * n).map(|i| place(cell(i))).collect();
                filled(input, frame.column(field.name())?.dtype(), column, &drawn, &places)?
            }
            _ => take(input, &UInt64Array::from_iter_values((0..tables * n).map(|i| cell(i).1 as u64)), None)?,
        };
        let mut metadata = field.metadata().clone();
        let (field, array): (Field, ArrayRef) = match form {
            Form::Long => (field.as_ref().clone(), values),
            Form::List => {
                let item = Arc::new(field.as_ref().clone().with_name(Field::LIST_FIELD_DEFAULT_NAME));
                let list = FixedSizeListArray::try_new_with_length(item, size, values, None, n)?;
                // What is said of the values stands with them, inside.
                metadata.retain(|key, _| key.starts_with("lacuna."));
                (Field::new(field.name(), list.data_type().clone(), false), Arc::new(list))
            }
        };
        metadata.extend(known.map(|(_, column)| ("lacuna.kind".to_string(), column.kind().to_string())));
        fields.push(field.with_metadata(metadata));
        arrays.push(array);
    }
    let (form, rows) = match form {
        Form::Long => ("long", tables * n),
        Form::List => ("list", n),
    };
    let mut metadata = batch.schema().metadata().clone();
    metadata.extend([("lacuna.form".to_string(), form.to_string()), ("lacuna.m".to_string(), m.to_string())]);
    let schema = Arc::new(at::Schema::new_with_metadata(fields, metadata));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))?)
}

/// Checks that the batch can be the one the frame came from.
fn check(batch: &RecordBatch, frame: &DataFrame) -> Result<()> {
    let same = |(field, column): (&Arc<Field>, &pl::Column)| field.name() == column.name().as_str();
    let fields = batch.schema_ref().fields();
    if batch.num_rows() == frame.height() && fields.len() <= frame.width() && fields.iter().zip(frame.columns()).all(same) {
        return Ok(());
    }
    let (rows, columns) = (batch.num_rows(), batch.num_columns());
    Err(Error::schema(format!(
        "the frame of {} rows and {} columns is not that of the batch of {rows} rows and {columns} columns; \
         give the batch that the frame was made from",
        frame.height(),
        frame.width()
    )))
}

fn known<'a>(schema: &'a Schema, name: &str) -> Option<(usize, &'a Column)> {
    schema.columns().iter().enumerate().find(|(_, c)| c.name() == name)
}

/// The cells at the given places, in the type of the array: `(0, row)` is a row of it, `(1, i)` the fill `cells[i]`.
fn filled(array: &ArrayRef, dtype: &pl::DataType, column: &Column, cells: &[f64], places: &[(usize, usize)]) -> Result<ArrayRef> {
    let DataType::Dictionary(key, values) = array.data_type() else {
        return Ok(interleave(&[array, &fills(array.data_type(), dtype, column, cells)?], places)?);
    };
    // The dictionary stays as it is; levels that it lacks follow, the lowest first.
    let dictionary = array.as_any_dictionary();
    let mut distinct = cells.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup_by(|a, b| a.to_bits() == b.to_bits());
    let levels = fills(values, dtype, column, &distinct)?;
    let texts = |array: &dyn Array| -> Result<Vec<Option<String>>> {
        let text = ArrayFormatter::try_new(array, &FormatOptions::default())?;
        Ok((0..array.len()).map(|i| array.is_valid(i).then(|| text.value(i).to_string())).collect())
    };
    let mut place: HashMap<String, i64> = HashMap::new();
    for (i, level) in texts(dictionary.values())?.into_iter().enumerate() {
        if let Some(level) = level {
            place.entry(level).or_insert(i as i64);
        }
    }
    let (mut absent, mut key_of) = (Vec::new(), Vec::new());
    for (i, level) in texts(&levels)?.into_iter().enumerate() {
        let next = (dictionary.values().len() + absent.len()) as i64;
        key_of.push(*place.entry(level.unwrap_or_default()).or_insert_with(|| {
            absent.push(i as u64);
            next
        }));
    }
    let values = match absent.is_empty() {
        true => dictionary.values().clone(),
        false => concat(&[dictionary.values(), &take(&levels, &UInt64Array::from(absent), None)?])?,
    };
    let code = |x: &f64| distinct.binary_search_by(|d| d.total_cmp(x)).map_or(0, |i| key_of[i]);
    let drawn: ArrayRef = Arc::new(Int64Array::from_iter_values(cells.iter().map(code)));
    let drawn = strict(&drawn, key).map_err(|_| {
        let known = dictionary.values().len();
        Error::schema(format!(
            "column `{}`: its dictionary of {known} values has no room for the level of a fill in {key} keys; cast it to wider keys",
            column.name()
        ))
    })?;
    let keys = interleave(&[dictionary.keys(), &drawn], places)?.to_data();
    let data = ArrayData::builder(array.data_type().clone())
        .len(keys.len())
        .offset(keys.offset())
        .nulls(keys.nulls().cloned())
        .buffers(keys.buffers().to_vec())
        .child_data(vec![values.to_data()]);
    Ok(make_array(data.build()?))
}

/// Cells as an array of the given type; `dtype` is the type of their column in polars.
fn fills(to: &DataType, dtype: &pl::DataType, column: &Column, cells: &[f64]) -> Result<ArrayRef> {
    let empty = Series::full_null(PlSmallStr::EMPTY, cells.len(), dtype);
    let rows: Vec<usize> = (0..cells.len()).collect();
    let array = array_of(&write_column(&empty, column, &rows, cells)?)?;
    let array = match (array.data_type(), to) {
        // A dictionary of its own, if there is one, is only the way that polars keeps levels.
        (DataType::Dictionary(_, values), _) => strict(&array, values)?,
        // The same instant in a zone that may go by another name.
        (DataType::Timestamp(unit, _), DataType::Timestamp(_, zone)) => {
            strict(&strict(&array, &DataType::Int64)?, &DataType::Timestamp(*unit, zone.clone()))?
        }
        _ => array,
    };
    strict(&array, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::arrow::to_batch;
    use crate::data::polars::write_cells;
    use crate::data::schema::{ColumnKind, SchemaOptions};
    use crate::data::table::Table;
    use ::polars::prelude::{AnyValue, Categories, FrozenCategories, IntoColumn, TimeZone, df};
    use arrow::datatypes::TimeUnit;

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
        draw_batch(&to_batch(df)?, df, &table.schema, &table.gaps, draws, form, false)
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

    /// A column of text in a dictionary of `a`, `b` and a null, with a gap, and fills that its schema has levels for.
    fn coded(levels: &[&str], cells: &[f64]) -> Result<RecordBatch> {
        let keys = arrow::array::Int8Array::from(vec![Some(1), Some(0), Some(2), None]);
        let values = arrow::array::StringViewArray::from(vec![Some("b"), Some("a"), None]);
        let x = arrow::array::DictionaryArray::new(keys, Arc::new(values));
        let batch = RecordBatch::try_from_iter([("x", Arc::new(x) as ArrayRef)]).unwrap();
        let frame = crate::data::arrow::to_frame(&batch).unwrap();
        assert_eq!(frame.column("x").unwrap().null_count(), 2);
        let fitted = df!("x" => levels).unwrap();
        let schema = Schema::infer_with(&fitted, &SchemaOptions::default().kind("x", ColumnKind::Categorical)).unwrap();
        let gaps = Gaps { rows: vec![vec![2, 3]], missing: vec![2] };
        fill_batch(&batch, &frame, &schema, &gaps, &vec![cells.to_vec()])
    }

    #[test]
    fn a_dictionary_keeps_its_values_and_new_levels_follow() {
        let batch = coded(&["a", "b", "c", "d"], &[3.0, 0.0]).unwrap();
        let x = batch.column(0).as_dictionary::<at::Int8Type>();
        let values: Vec<_> = x.values().as_string_view().iter().collect();
        assert_eq!(values, [Some("b"), Some("a"), None, Some("d")]);
        assert_eq!(x.keys().values(), &[1, 0, 3, 1]);
    }

    #[test]
    fn a_dictionary_without_room_is_a_clear_error() {
        let levels: Vec<String> = (0..200).map(|i| format!("{i:03}")).collect();
        let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
        assert!(coded(&levels, &[0.0, 199.0]).is_ok());
        let keys = arrow::array::Int8Array::from(vec![Some(0), None]);
        let values: Vec<String> = (0..128).map(|i| i.to_string()).collect();
        let x = arrow::array::DictionaryArray::new(keys, Arc::new(arrow::array::StringArray::from(values)));
        let options = SchemaOptions::default().kind("x", ColumnKind::Categorical);
        let (column, x) = (Schema::infer_with(&df!("x" => levels).unwrap(), &options).unwrap(), Arc::new(x) as ArrayRef);
        let e = filled(&x, &pl::DataType::String, &column.columns()[0], &[7.0], &[(0, 0), (1, 0)]).unwrap_err();
        let due =
            "column `x`: its dictionary of 128 values has no room for the level of a fill in Int8 keys; cast it to wider keys";
        assert_eq!(e.to_string(), due);
    }

    #[test]
    fn names_without_a_place_are_clear_errors() {
        let df = df!(".id" => [1, 2], "x" => [Some(1.0), None]).unwrap();
        let (table, draws) = drawn(&df, &SchemaOptions::default());
        let e = batch(&df, &table, &draws, Form::Long).unwrap_err();
        assert!(e.to_string().contains("`.id`"), "{e}");
        assert_eq!(batch(&df, &table, &draws, Form::List).unwrap().num_columns(), 2);
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
