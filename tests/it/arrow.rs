//! Record batches and IPC files through the public API: what comes out is what went in, its gaps filled.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use lacuna::arrow::array::*;
use lacuna::arrow::compute::{concat, concat_batches, take};
use lacuna::arrow::datatypes::*;
use lacuna::data::arrow::{to_batch, to_frame, write_csv};
use lacuna::data::ipc;
use lacuna::polars::prelude::{DataType as PlType, TimeUnit as PlUnit};
use lacuna::{Filled, Fit, Form, ImputeExt, Imputer, KnnConfig, MeanConfig, Report, Schema as LacunaSchema, VaeConfig};

const ROWS: usize = 48;

fn field(name: &str, data_type: &DataType) -> Field {
    Field::new(name, data_type.clone(), true).with_metadata(HashMap::from([("unit".to_string(), name.to_string())]))
}

/// A column of every Arrow type that has whole numbers for its physical values, or is made from them, with a gap in every
/// fifth cell; then text, dictionaries, and types that no model or not even polars knows.
fn every_type() -> RecordBatch {
    use DataType::*;
    let gap = |i: usize, j: usize| (i * 7 + j * 3).is_multiple_of(5);
    let wide: Int64Array = (0..ROWS as i64).map(Some).collect();
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![
        Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64, Boolean, Utf8, LargeUtf8, Utf8View,
        Date32, Date64,
    ];
    types.extend(units.map(|u| Timestamp(u, None)));
    types.extend(units.map(|u| Timestamp(u, Some("Europe/Berlin".into()))));
    types.extend([Timestamp(TimeUnit::Second, Some("+02:00".into())), Timestamp(TimeUnit::Millisecond, Some("nowhere".into()))]);
    types.extend(units.map(Duration));
    types.extend([Time32(units[0]), Time32(units[1]), Time64(units[2]), Time64(units[3])]);
    types.extend([Decimal32(9, 2), Decimal64(18, 0), Decimal128(38, 3), Decimal256(38, 2), Decimal256(60, 2), Decimal128(9, -2)]);
    for (j, t) in types.iter().enumerate() {
        let cells: Int64Array = wide.iter().enumerate().map(|(i, x)| x.filter(|_| !gap(i, j))).collect();
        let cells: ArrayRef = match t {
            // Text and truth of few values; money with its digits.
            Utf8 | LargeUtf8 | Utf8View => {
                Arc::new(cells.iter().map(|x| x.map(|x| ["b", "", "a"][x as usize % 3])).collect::<StringArray>())
            }
            Boolean => Arc::new(cells.unary::<_, Int64Type>(|x| x % 2)),
            Int64 => Arc::new(cells.unary::<_, Int64Type>(|x| (1 << 53) + 2 * x + 1)),
            UInt64 => Arc::new(cells.iter().map(|x| x.map(|x| u64::MAX - x as u64)).collect::<UInt64Array>()),
            Float16 | Float32 | Float64 => Arc::new(cells.unary::<_, Float64Type>(|x| x as f64 / 8.0)),
            Date64 => lacuna::arrow::compute::cast(&cells.unary::<_, Int32Type>(|x| x as i32), &Date32).unwrap(),
            Date32 | Time32(_) => Arc::new(cells.unary::<_, Int32Type>(|x| x as i32 * 600)),
            _ => Arc::new(cells),
        };
        columns.push((field(&format!("{j} {t}"), t), lacuna::arrow::compute::cast(&cells, t).unwrap()));
    }
    let key = |i: usize| (!i.is_multiple_of(4)).then_some(i as i8 % 3);
    let values: ArrayRef = Arc::new(StringViewArray::from(vec![Some("mid"), Some("low"), None, Some("unused")]));
    let codes = DictionaryArray::new((0..ROWS).map(key).collect::<Int8Array>(), values);
    columns.push((field("dictionary with a null", codes.data_type()), Arc::new(codes)));
    let values: ArrayRef = Arc::new(LargeStringArray::from(vec!["mid", "low", "high", "unused"]));
    let ordered = DictionaryArray::new((0..ROWS).map(|i| key(i).map(|k| k as u64)).collect::<UInt64Array>(), values);
    columns.push((field("ordered", ordered.data_type()).with_dict_is_ordered(true), Arc::new(ordered)));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.5, 2.5, 4.0]));
    let numbers = DictionaryArray::new((0..ROWS).map(|i| key(i).map(i32::from)).collect::<Int32Array>(), values);
    columns.push((field("dictionary of numbers", numbers.data_type()), Arc::new(numbers)));

    let bytes: BinaryArray = (0..ROWS).map(|i| (!gap(i, 0)).then_some([i as u8])).collect();
    for t in [Binary, LargeBinary, BinaryView] {
        columns.push((field(&t.to_string(), &t), lacuna::arrow::compute::cast(&bytes, &t).unwrap()));
    }
    let list = |i: usize| (!gap(i, 1)).then(|| (0..i as i32 % 3).map(Some).collect::<Vec<_>>());
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(list));
    let item = Arc::new(Field::new_list_field(Int32, true));
    for t in [List(item.clone()), LargeList(item.clone())] {
        columns.push((field(&t.to_string(), &t), lacuna::arrow::compute::cast(&lists, &t).unwrap()));
    }
    let pair = |i: usize| (!gap(i, 2)).then(|| vec![Some(i as i32), None]);
    let pairs = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>((0..ROWS).map(pair), 2);
    columns.push((field("pairs", pairs.data_type()), Arc::new(pairs)));
    let inside: Vec<(Arc<Field>, ArrayRef)> =
        vec![(Arc::new(field("a", &Int64)), Arc::new(wide.clone())), (Arc::new(field("a", &Int64)), Arc::new(wide.clone()))];
    let twice = StructArray::from(inside);
    columns.push((field("struct of two fields of one name", twice.data_type()), Arc::new(twice)));
    let nulls: lacuna::arrow::buffer::NullBuffer = (0..ROWS).map(|i| !gap(i, 3)).collect();
    let once = StructArray::new(vec![field("a", &Int64)].into(), vec![Arc::new(wide.clone())], Some(nulls));
    columns.push((field("struct", once.data_type()), Arc::new(once)));
    let spans: IntervalYearMonthArray = (0..ROWS).map(|i| (!gap(i, 4)).then_some(i as i32)).collect();
    columns.push((field("interval", spans.data_type()), Arc::new(spans)));
    let runs =
        RunArray::<Int32Type>::try_new(&Int32Array::from(vec![20, 30, 48]), &Int32Array::from(vec![Some(1), None, Some(2)]));
    let runs = runs.unwrap();
    columns.push((field("runs", runs.data_type()), Arc::new(runs)));
    columns.push((field("null", &Null), Arc::new(NullArray::new(ROWS))));
    columns.push((field("full", &Float64).with_nullable(false), Arc::new(wide.unary::<_, Float64Type>(|x| x as f64))));
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let schema = Schema::new_with_metadata(fields, HashMap::from([("made".to_string(), "here".to_string())]));
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

/// The rows of the batch that are not null in a column, as logical nulls go.
fn observed(array: &dyn Array) -> Vec<usize> {
    let nulls = array.logical_nulls();
    (0..array.len()).filter(|&i| nulls.as_ref().is_none_or(|n| n.is_valid(i))).collect()
}

fn rows(array: &dyn Array, rows: &[usize]) -> ArrayRef {
    take(array, &UInt64Array::from_iter_values(rows.iter().map(|&i| i as u64)), None).unwrap()
}

/// The same schema and observed cells; no gap but in columns that the report names.
fn check(before: &RecordBatch, after: &RecordBatch, report: &Report) {
    assert_eq!(before.schema(), after.schema());
    assert_eq!(before.num_rows(), after.num_rows());
    for (j, field) in before.schema().fields().iter().enumerate() {
        let (a, b) = (before.column(j), after.column(j));
        let seen = observed(a);
        assert_eq!(&rows(a, &seen), &rows(b, &seen), "{}", field.name());
        let told = report.columns.iter().find(|c| c.column == *field.name()).unwrap();
        assert_eq!(told.missing, a.len() - seen.len(), "{}", field.name());
        match told.why {
            Some(_) => assert_eq!(&a, &b, "{} is left", field.name()),
            None => assert_eq!(observed(b.as_ref()).len(), b.len(), "{}", field.name()),
        }
    }
}

fn filled(batch: &RecordBatch, config: &impl Fit) -> (Filled, RecordBatch) {
    let df = to_frame(batch).unwrap();
    let filled = config.fit(&df).unwrap().fill(&df).unwrap();
    let after = filled.to_record_batch(batch).unwrap();
    (filled, after)
}

#[test]
fn every_type_with_nulls_comes_back_as_it_went_in() {
    let batch = every_type();
    let (result, after) = filled(&batch, &MeanConfig::default());
    check(&batch, &after, &result.report);
    let whole = result.report.columns.iter().filter(|c| c.filled > 0).count();
    assert!(whole >= 27, "only {whole} columns are filled");
    let named = |name: &str| result.report.columns.iter().find(|c| c.column == name).unwrap();
    for name in ["dictionary with a null", "ordered", "dictionary of numbers", "0 Int8", "8 Float16", "14 Utf8View"] {
        assert_eq!((named(name).left, named(name).filled > 0), (0, true), "{name}");
    }
    for name in ["interval", "runs", "struct", "pairs", "Binary"] {
        assert!(named(name).why.is_some(), "{name}");
    }
    let (result, after) = filled(&batch, &KnnConfig::default());
    check(&batch, &after, &result.report);
    let (result, after) = filled(&batch, &VaeConfig::default().epochs(1).hidden(8).latent_dim(2).seed(1));
    check(&batch, &after, &result.report);
    assert_eq!(batch.impute_mean().unwrap(), filled(&batch, &MeanConfig::default()).1);
}

#[test]
fn a_slice_is_filled_as_a_batch_of_its_own() {
    let batch = every_type().slice(11, 30);
    let (result, after) = filled(&batch, &MeanConfig::default());
    check(&batch, &after, &result.report);
    let own = |a: &ArrayRef| rows(a, &(0..a.len()).collect::<Vec<_>>());
    let copy = RecordBatch::try_new(batch.schema(), batch.columns().iter().map(own).collect()).unwrap();
    assert_eq!(copy.impute_mean().unwrap(), after);
    // In two batches, then joined.
    let joined = concat_batches(&batch.schema(), &[copy.slice(0, 7), copy.slice(7, 23)]).unwrap();
    check(&joined, &joined.impute_mean().unwrap(), &result.report);
}

#[test]
fn types_become_those_of_polars() {
    let frame = to_frame(&every_type()).unwrap();
    let is = |name: &str, dtype: PlType| assert_eq!(*frame.column(name).unwrap().dtype(), dtype, "{name}");
    is("8 Float16", PlType::Float32);
    is("15 Date32", PlType::Date);
    is("16 Date64", PlType::Date);
    is("17 Timestamp(s)", PlType::Datetime(PlUnit::Milliseconds, None));
    is("20 Timestamp(ns)", PlType::Datetime(PlUnit::Nanoseconds, None));
    is("pairs", PlType::Array(Box::new(PlType::Int32), 2));
    is("List(Int32)", PlType::List(Box::new(PlType::Int32)));
    is("runs", PlType::Binary);
    is("struct of two fields of one name", PlType::Binary);
    is("dictionary of numbers", PlType::Float64);
    is("null", PlType::Null);
    let PlType::Enum(levels, _) = frame.column("ordered").unwrap().dtype() else { panic!() };
    assert_eq!(levels.categories().values_iter().collect::<Vec<_>>(), ["mid", "low", "high", "unused"]);
    let seconds = frame.column("17 Timestamp(s)").unwrap().as_materialized_series().to_physical_repr().into_owned();
    assert_eq!(seconds.i64().unwrap().get(4), Some(4000));
    // What a frame can be made of comes back from it, nested columns and Enums too.
    let again = to_frame(&to_batch(&frame).unwrap()).unwrap();
    assert_eq!(again.schema(), frame.schema());
    assert!(again.equals_missing(&frame));
}

#[test]
fn tables_without_rows_or_columns_keep_their_schema() {
    let empty = every_type().slice(0, 0);
    let after = empty.impute_mean().unwrap();
    assert_eq!((after.schema(), after.num_rows()), (empty.schema(), 0));
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    assert_eq!(bare.impute_mean().unwrap().num_rows(), 3);
    assert_eq!(bare.impute_vae().unwrap().num_rows(), 3);
}

#[test]
fn wrong_batches_are_clear_errors() {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None]));
    let twice = Schema::new(vec![field("x", x.data_type()), field("x", x.data_type())]);
    let twice = RecordBatch::try_new(Arc::new(twice), vec![x.clone(), x.clone()]).unwrap();
    assert_eq!(twice.impute_mean().unwrap_err().to_string(), "two columns are called `x`; rename one");

    let batch = RecordBatch::try_from_iter([("x", x.clone())]).unwrap();
    let (result, _) = filled(&batch, &MeanConfig::default());
    let due = "the frame of 2 rows and 1 columns is not that of the batch of 1 rows and 1 columns; give the batch that the frame \
               was made from";
    assert_eq!(result.to_record_batch(&batch.slice(0, 1)).unwrap_err().to_string(), due);
    let other = RecordBatch::try_from_iter([("y", x)]).unwrap();
    assert!(result.to_record_batch(&other).unwrap_err().to_string().contains("give the batch that"));

    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX / 10]));
    let far = to_frame(&RecordBatch::try_from_iter([("t", far)]).unwrap()).unwrap_err();
    assert!(far.to_string().contains("verflow"), "{far}");
}

#[test]
fn draws_have_the_types_of_the_batch_in_both_forms() {
    let batch = every_type();
    let df = to_frame(&batch).unwrap();
    let draws = MeanConfig::default().fit(&df).unwrap().draw(&df, 2, 3).unwrap();
    let long = draws.to_record_batch_from(&batch, Form::Long).unwrap();
    let list = draws.to_record_batch_from(&batch, Form::List).unwrap();
    assert_eq!((long.num_rows(), list.num_rows()), (2 * ROWS, ROWS));
    for (j, field) in batch.schema().fields().iter().enumerate() {
        let (input, values) = (batch.column(j), long.column(j + 2));
        let seen = observed(input);
        let both: Vec<usize> = seen.iter().copied().chain(seen.iter().map(|i| i + ROWS)).collect();
        let due = concat(&[&rows(input, &seen), &rows(input, &seen)]).unwrap();
        assert_eq!(&rows(values, &both), &due, "{}", field.name());
        let cells = list.column(j).as_fixed_size_list();
        assert_eq!(&rows(cells.values(), &[2 * 9, 2 * 9 + 1]), &rows(values, &[9, 9 + ROWS]), "{}", field.name());
        let schemas = (long.schema(), list.schema());
        assert_eq!(schemas.0.field(j + 2).data_type(), field.data_type());
        assert_eq!(schemas.0.field(j + 2).metadata()["unit"], field.metadata()["unit"]);
        assert_eq!(schemas.0.field(j + 2).dict_is_ordered(), field.dict_is_ordered());
        let DataType::FixedSizeList(item, 2) = schemas.1.field(j).data_type() else { panic!("{}", field.name()) };
        assert_eq!((item.data_type(), &item.metadata()["unit"]), (field.data_type(), &field.metadata()["unit"]));
        let kind = df_kind(&df, field.name());
        assert_eq!(
            (&schemas.0.field(j + 2).metadata()["lacuna.kind"], &schemas.1.field(j).metadata()["lacuna.kind"]),
            (&kind, &kind)
        );
    }
    let about = long.schema().metadata().clone();
    assert_eq!((&*about["lacuna.form"], &*about["lacuna.m"], &*about["made"]), ("long", "2", "here"));
}

fn df_kind(df: &lacuna::polars::prelude::DataFrame, column: &str) -> String {
    LacunaSchema::infer(df).unwrap().column(column).unwrap().kind().to_string()
}

#[test]
fn what_is_added_says_what_it_is() {
    let batch = every_type();
    let df = to_frame(&batch).unwrap();
    let imputer = MeanConfig::default().fit(&df).unwrap();
    let draws = imputer.draw(&df, 40, 0).unwrap();
    let result = imputer.fill(&df).unwrap().with_uncertainty(&draws, 0.9).unwrap().with_indicator().unwrap();
    let after = result.to_record_batch(&batch).unwrap();
    let d = batch.num_columns();
    let first = RecordBatch::try_new(batch.schema(), after.columns()[..d].to_vec()).unwrap();
    check(&batch, &first, &result.report);
    let schema = after.schema();
    let about = |name: &str, key: &str| schema.field_with_name(name).unwrap().metadata().get(key).cloned();
    assert_eq!(about("0 Int8_low", "lacuna.of").as_deref(), Some("0 Int8"));
    assert_eq!(about("0 Int8_low", "lacuna.what").as_deref(), Some("low"));
    assert_eq!(about("0 Int8_low", "lacuna.interval").as_deref(), Some("0.9"));
    assert_eq!(about("ordered_probability", "lacuna.what").as_deref(), Some("probability"));
    assert_eq!(after.column_by_name("0 Int8_low").unwrap().data_type(), &DataType::Int8);
    let missing = after.column_by_name("runs_missing").unwrap().as_boolean();
    assert_eq!((missing.true_count(), missing.null_count()), (10, 0));
    assert_eq!(after.column_by_name("0 Int8_missing").unwrap().as_boolean().true_count(), 10);
    assert_eq!(after.column_by_name("0 Int8_sd").unwrap().null_count(), ROWS - 10);
    assert!(after.column_by_name("full_missing").is_none());
    // The same in draws.
    let long = draws.with_indicator().unwrap().to_record_batch_from(&batch, Form::Long).unwrap();
    assert_eq!(long.column_by_name("runs_missing").unwrap().as_boolean().true_count(), 40 * 10);
    assert_eq!(long.schema().field_with_name("runs_missing").unwrap().metadata()["lacuna.what"], "missing");
}

fn fixture() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/every_type.arrow"))
}

#[test]
fn a_file_of_pyarrow_is_read_filled_and_written() {
    let batch = ipc::read(fixture()).unwrap();
    assert_eq!((batch.num_rows(), batch.schema().metadata()["made by"].as_str()), (48, "check_arrow.py"));
    let (result, after) = filled(&batch, &MeanConfig::default());
    check(&batch, &after, &result.report);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filled.arrow");
    ipc::write(&after, &path).unwrap();
    assert_eq!(ipc::read(&path).unwrap(), after);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no temporary file stays");
    // What Arrow has and pyarrow did not write.
    let batch = every_type();
    ipc::write(&batch, &path).unwrap();
    assert_eq!(ipc::read(&path).unwrap(), batch);
}

#[test]
fn files_that_are_not_arrow_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.arrow");
    let whole = std::fs::read(fixture()).unwrap();
    for (bytes, due) in [
        (&b"a,b\n1,2\n"[..], "neither an Arrow IPC file nor an Arrow IPC stream"),
        (b"", "neither an Arrow IPC file nor an Arrow IPC stream"),
        (b"FEA1....", "a Feather file of version 1; write it anew as version 2"),
        (&whole[..whole.len() / 2], "not a whole Arrow IPC file: "),
        (&whole[..7], "not a whole Arrow IPC file: "),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let e = ipc::read(&path).unwrap_err().to_string();
        assert!(e.starts_with("cannot read `") && e.contains("x.arrow") && e.contains(due), "{e}");
    }
    let e = ipc::read(folder.path().join("none.arrow")).unwrap_err().to_string();
    assert!(e.starts_with("cannot read `") && e.contains("none.arrow"), "{e}");
    let e = ipc::write(&every_type(), folder.path().join("no/x.arrow")).unwrap_err().to_string();
    assert!(e.starts_with("cannot write `"), "{e}");
}

#[test]
fn a_batch_as_csv() {
    let berlin = TimestampMillisecondArray::from(vec![Some(1_700_000_000_500), None]).with_timezone("Europe/Berlin");
    let money = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(9, 2).unwrap();
    let level: DictionaryArray<Int8Type> = vec![Some("a,b"), None].into_iter().collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("at \"x\"", Arc::new(berlin)),
        ("money", Arc::new(money)),
        ("level", Arc::new(level)),
        ("text", Arc::new(StringViewArray::from(vec!["", "z"]))),
        ("day", Arc::new(Date64Array::from(vec![Some(86_400_000), None]))),
        ("x", Arc::new(Float64Array::from(vec![Some(0.1), Some(1e300)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut out = Vec::new();
    write_csv(&batch, &mut out).unwrap();
    let due =
        "\"at \"\"x\"\"\",money,level,text,day,x\n2023-11-14T22:13:20.500Z,12.50,\"a,b\",\"\",1970-01-02,0.1\n,,,z,,1e300\n";
    assert_eq!(String::from_utf8(out).unwrap(), due);
    let e = write_csv(&every_type(), Vec::new()).unwrap_err().to_string();
    assert!(e.contains("has no CSV form; write an Arrow file, or drop the column"), "{e}");
}
