//! Every dtype of polars, gaps in each, through every imputer and back.

use std::collections::BTreeMap;

use lacuna::evaluate::{CompareOptions, Mechanism, ampute, compare};
use lacuna::{
    Bound, ColumnKind, ColumnSpec, Fit, Imputer, KnnConfig, Left, MeanConfig, Report, Schema, SchemaOptions, Strategy, VaeConfig,
    VaeImputer, Warning,
};
use polars::prelude::*;

const N: usize = 48;

/// Cell `i` is missing in a fifth of the rows, others in each column.
fn shown(column: usize, i: usize) -> bool {
    !(7 * i + 3 * column).is_multiple_of(5)
}

/// The column with null at every gap, whatever its dtype.
pub fn with_gaps(column: &Series, shown: impl Fn(usize) -> bool) -> Series {
    let from: Vec<Option<IdxSize>> = (0..column.len()).map(|i| shown(i).then_some(i as IdxSize)).collect();
    column.take(&IdxCa::new("".into(), from)).unwrap()
}

pub fn zone(name: &str) -> TimeZone {
    TimeZone::opt_try_new(Some(name)).unwrap().unwrap()
}

/// A table with a column of every dtype, named by what it holds, with gaps in each.
pub fn every_dtype() -> DataFrame {
    let z = |i: usize| ((i * 37) % N) as i64;
    let of = |value: &dyn Fn(i64) -> i64| (0..N).map(|i| value(z(i))).collect::<Vec<i64>>();
    let whole = |name: &str, value: &dyn Fn(i64) -> i64, dtype: &DataType| {
        Series::new(name.into(), of(value)).strict_cast(dtype).unwrap()
    };
    let moments = |name: &str, value: &dyn Fn(i64) -> i64, unit, zone: Option<TimeZone>| {
        Series::new(name.into(), of(value)).into_datetime(unit, zone)
    };
    let decimals = |name: &str, value: &dyn Fn(i64) -> i128, precision, scale| {
        let cells: Vec<i128> = of(&|z| z).into_iter().map(value).collect();
        Int128Chunked::from_vec(name.into(), cells).into_decimal(precision, scale).unwrap().into_series()
    };
    let words = |name: &str, levels: &[&'static str], dtype: &DataType| {
        let cells: Vec<&str> = (0..N).map(|i| levels[z(i) as usize * levels.len() / N]).collect();
        Series::new(name.into(), cells).strict_cast(dtype).unwrap()
    };
    let (ms, us, ns) = (TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds);
    let hour = 3_600_000_000_i64;
    let levels = FrozenCategories::new(["low", "mid", "never", "high"]).unwrap();
    let named = Categories::new("sizes".into(), "shop".into(), CategoricalPhysical::U8);
    let (low_to_high, sizes) = (["low", "mid", "high"], ["XL", "M", "S"]);
    let numbers = whole("numbers", &|z| z, &DataType::Int64);
    let columns = vec![
        whole("i8", &|z| z - 30, &DataType::Int8),
        whole("i16", &|z| 600 * z - 10_000, &DataType::Int16),
        whole("i32", &|z| 1_000_000 * z - 7, &DataType::Int32),
        // Beyond what f64 holds exactly.
        whole("i64", &|z| i64::MAX - 1_000_003 * z, &DataType::Int64),
        Int128Chunked::from_vec("i128".into(), of(&|z| z).iter().map(|&z| i128::MIN + (i128::from(z) << 80)).collect())
            .into_series(),
        whole("u8", &|z| 5 * z, &DataType::UInt8),
        whole("u16", &|z| 1000 * z, &DataType::UInt16),
        whole("u32", &|z| 80_000_000 * z, &DataType::UInt32),
        UInt64Chunked::from_vec("u64".into(), of(&|z| z).iter().map(|&z| u64::MAX - 1_000_003 * z as u64).collect())
            .into_series(),
        Series::new(
            "f32".into(),
            of(&|z| z).iter().map(|&z| if z % 9 == 4 { f32::NAN } else { z as f32 / 3.0 }).collect::<Vec<_>>(),
        ),
        Series::new("f64".into(), of(&|z| z).iter().map(|&z| if z == 0 { -0.0 } else { z as f64 / 7.0 }).collect::<Vec<_>>()),
        Series::new("bool".into(), of(&|z| z).iter().map(|&z| z > 20).collect::<Vec<_>>()),
        words("string", &low_to_high, &DataType::String),
        words("categorical", &sizes, &DataType::from_categories(Categories::global())),
        words("categorical of its own", &sizes, &DataType::from_categories(named)),
        words("enum", &low_to_high, &DataType::from_frozen_categories(levels)),
        whole("date", &|z| 19_000 + 7 * z, &DataType::Int32).into_date(),
        moments("midnights", &|z| (19_000 + z) * 24 * hour / 1000, ms, None),
        moments("whole hours", &|z| (400_000 + z) * hour, us, Some(zone("Europe/Berlin"))),
        moments("whole µs", &|z| 1_700_000_000_000_000_000 + 1_001_000 * z, ns, Some(TimeZone::UTC)),
        whole("whole minutes", &|z| 60_000_000_000 * (z + 60), &DataType::Int64).into_time(),
        whole("whole seconds", &|z| 1000 * (z - 20), &DataType::Int64).into_duration(ms),
        whole("µs", &|z| (1 << (z / 2)) + z, &DataType::Int64).into_duration(us),
        whole("ns", &|z| 1001 * z, &DataType::Int64).into_duration(ns),
        decimals("money", &|z| i128::from(z) * 137 - 500, 10, 2),
        decimals("whole decimals", &i128::from, 5, 0),
        // Digits beyond those of f64.
        decimals("long decimals", &|z| 10_i128.pow(36) + i128::from(z) * 10_i128.pow(33) + 1, 38, 30),
        // One value beyond those of f64.
        whole("constant", &|_| (1 << 53) + 1, &DataType::Int64),
        Series::new("binary".into(), of(&|z| z).iter().map(|z| z.to_be_bytes().to_vec()).collect::<Vec<_>>()),
        Series::new("list".into(), (0..N).map(|i| Some(numbers.head(Some(i % 3)))).collect::<Vec<_>>()),
        Series::new("array".into(), (0..N).map(|i| Some(numbers.slice(i as i64 % 9, 2))).collect::<Vec<_>>())
            .cast(&DataType::Array(Box::new(DataType::Int64), 2))
            .unwrap(),
        StructChunked::from_series("struct".into(), N, [numbers.clone(), numbers.clone().with_name("x".into())].iter())
            .unwrap()
            .into_series(),
        Series::new_null("null".into(), N),
    ];
    let columns = columns.iter().enumerate().map(|(j, c)| with_gaps(c, |i| shown(j, i)).into_column()).collect();
    DataFrame::new(N, columns).unwrap()
}

/// The columns of [`every_dtype`] that stay as they are.
const LEFT: [(&str, Left); 5] = [
    ("binary", Left::UnsupportedType),
    ("list", Left::UnsupportedType),
    ("array", Left::UnsupportedType),
    ("struct", Left::UnsupportedType),
    ("null", Left::Empty),
];

/// A cell as it is stored, bit by bit; `None` where it is missing.
pub fn stored(column: &Column) -> Vec<Option<String>> {
    let physical = column.as_materialized_series().to_physical_repr();
    let cell = |i| match physical.get(i).unwrap() {
        AnyValue::Null => None,
        AnyValue::Float64(x) => (!x.is_nan()).then(|| x.to_bits().to_string()),
        AnyValue::Float32(x) => (!x.is_nan()).then(|| x.to_bits().to_string()),
        other => Some(format!("{other:?}")),
    };
    (0..column.len()).map(cell).collect()
}

/// Whether two frames hold the same columns, cell by cell as they are stored.
pub fn same(a: &DataFrame, b: &DataFrame) -> bool {
    a.schema() == b.schema() && a.columns().iter().zip(b.columns()).all(|(a, b)| stored(a) == stored(b))
}

/// A cell of a column of numbers, in the units that bounds are stated in.
fn number(cell: &AnyValue) -> f64 {
    match *cell {
        AnyValue::Decimal(x, _, scale) => x as f64 / 10_f64.powi(scale as i32),
        AnyValue::Date(x) => f64::from(x),
        AnyValue::Datetime(x, ..) | AnyValue::Duration(x, _) | AnyValue::Time(x) => x as f64,
        ref other => other.extract().unwrap(),
    }
}

/// The spans of time, in ns, that fills keep to where every observed cell does.
const SPANS: [i64; 6] = [86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1000];

/// Nanoseconds of a unit.
fn in_unit(unit: &TimeUnit) -> i128 {
    match unit {
        TimeUnit::Nanoseconds => 1,
        TimeUnit::Microseconds => 1000,
        TimeUnit::Milliseconds => 1_000_000,
    }
}

fn in_ns(cell: &AnyValue) -> Option<i128> {
    match cell {
        AnyValue::Datetime(x, u, _) | AnyValue::Duration(x, u) => Some(i128::from(*x) * in_unit(u)),
        AnyValue::Time(x) => Some(i128::from(*x)),
        _ => None,
    }
}

/// What an imputation owes its frame: the schema and the observed cells as they were, no gap but in the columns that the
/// report names, and every filled cell inside its column's support.
pub fn check(before: &DataFrame, after: &DataFrame, schema: &Schema, report: &Report) -> Result<(), String> {
    if before.schema() != after.schema() {
        return Err(format!("schema {:?} became {:?}", before.schema(), after.schema()));
    }
    for ((input, output), report) in before.columns().iter().zip(after.columns()).zip(&report.columns) {
        let name = input.name();
        let (old, new) = (stored(input), stored(output));
        if let Some(row) = (0..old.len()).find(|&i| old[i].is_some() && old[i] != new[i]) {
            return Err(format!("`{name}` row {row}: {:?} became {:?}", old[row], new[row]));
        }
        let gaps: Vec<usize> = (0..old.len()).filter(|&i| old[i].is_none()).collect();
        let column = schema.column(name).unwrap();
        let filled = if column.left().is_none() { gaps.len() } else { 0 };
        let why = column.left().filter(|_| !gaps.is_empty());
        if (report.missing, report.filled, report.left, report.why) != (gaps.len(), filled, gaps.len() - filled, why) {
            return Err(format!("`{name}`: {} gaps, {filled} filled, but the report says {report:?}", gaps.len()));
        }
        if let Some(row) = gaps.iter().find(|&&i| new[i].is_none() != column.left().is_some()) {
            return Err(format!("`{name}` row {row}: left is {:?}, and the cell {:?}", column.left(), new[*row]));
        }
        if filled > 0 {
            check_support(input, output, column, &gaps).map_err(|e| format!("`{name}` {e}"))?;
        }
    }
    Ok(())
}

fn check_support(input: &Column, output: &Column, column: &lacuna::Column, gaps: &[usize]) -> Result<(), String> {
    let (old, new) = (stored(input), stored(output));
    let seen: Vec<usize> = (0..old.len()).filter(|&i| old[i].is_some()).collect();
    let one_value = seen.iter().all(|&i| old[i] == old[seen[0]]);
    // To a level, negative zero is zero.
    let float = |of: &Column, i: usize| of.dtype().is_float().then(|| number(&of.get(i).unwrap()));
    let exactly =
        |i: usize| seen.iter().any(|&s| old[s] == new[i] || float(input, s).is_some_and(|x| Some(x) == float(output, i)));
    let declared = |i: usize| match output.get(i).unwrap() {
        AnyValue::Boolean(_) => true,
        text => text.get_str().is_some_and(|t| column.levels().iter().any(|l| l == t)),
    };
    let cells = |of: &Column, rows: &[usize]| rows.iter().map(|&i| of.get(i).unwrap().into_static()).collect::<Vec<_>>();
    let observed = cells(input, &seen);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    if column.kind().is_numeric() {
        observed.iter().for_each(|x| (min, max) = (min.min(number(x)), max.max(number(x))));
    }
    let kept: Vec<i64> =
        SPANS.into_iter().filter(|&s| observed.iter().all(|x| in_ns(x).is_some_and(|x| x % i128::from(s) == 0))).collect();
    // A fill lies about the observed range; on a coarse grid the next point may be a step beyond.
    let step = match (kept.first(), input.dtype()) {
        (Some(&span), DataType::Datetime(unit, _) | DataType::Duration(unit)) => span as f64 / in_unit(unit) as f64,
        (Some(&span), _) => span as f64,
        (None, _) => 1.0,
    };
    let slack = (max / 2.0 - min / 2.0) + 1e-6 * min.abs().max(max.abs()) + step;
    for (&i, cell) in gaps.iter().zip(cells(output, gaps)) {
        let wrong = |what: &str| Err(format!("row {i} = {cell:?}: {what}"));
        if one_value && !exactly(i) && column.bounds().0 <= min && max <= column.bounds().1 && column.levels().is_empty() {
            return wrong("not the column's only value");
        }
        if column.kind().has_levels() {
            if !exactly(i) && !declared(i) {
                return wrong("no level");
            }
            continue;
        }
        let x = number(&cell);
        let (low, high) = column.bounds();
        // On the grid of a narrow type, or beyond 2^53, the bound itself may not exist.
        let near = 1e-6 * x.abs() + f64::from(u8::from(input.dtype().is_decimal()));
        if !x.is_finite() || x + near < low || x - near > high {
            return wrong(&format!("outside of {low} to {high}"));
        }
        if low == f64::NEG_INFINITY && high == f64::INFINITY && (x < min - slack || x > max + slack) {
            return wrong(&format!("far from {min} to {max}"));
        }
        if column.kind() == ColumnKind::Count && x.fract() != 0.0 {
            return wrong("a count with decimals");
        }
        // Narrow bounds may hold no multiple.
        let wide = low == f64::NEG_INFINITY || high == f64::INFINITY || *input.dtype() == DataType::Time;
        if let Some(span) = kept.iter().filter(|_| wide).find(|&&s| in_ns(&cell).is_some_and(|x| x % i128::from(s) != 0)) {
            return wrong(&format!("not a multiple of {span} ns, as every observed cell is"));
        }
    }
    Ok(())
}

/// Every imputer, fitted under a schema.
pub fn imputers(
    df: &DataFrame,
    schema: &Schema,
    vae: Option<VaeConfig>,
) -> lacuna::Result<Vec<(&'static str, Box<dyn Imputer>)>> {
    let mean = |strategy| MeanConfig::default().strategy(strategy).fit_with(df, schema);
    let mut all: Vec<(&'static str, Box<dyn Imputer>)> = vec![
        ("mean", Box::new(mean(Strategy::Mean)?)),
        ("median", Box::new(mean(Strategy::Median)?)),
        ("mode", Box::new(mean(Strategy::Mode)?)),
        ("knn", Box::new(KnnConfig::default().threads(1).fit_with(df, schema)?)),
    ];
    if let Some(vae) = vae {
        let fitted = vae.fit_with(df, schema)?;
        let mut file = Vec::new();
        fitted.save_to(&mut file)?;
        let loaded = VaeImputer::load_from(file.as_slice(), "model.safetensors")?;
        all.push(("vae", Box::new(fitted)));
        all.push(("vae from a file", Box::new(loaded.with_threads(Some(1)))));
    }
    Ok(all)
}

fn small_vae() -> Option<VaeConfig> {
    Some(VaeConfig::default().epochs(3).members(1).hidden(8).latent_dim(2).seed(1).threads(1))
}

#[test]
fn every_dtype_comes_back_as_it_was_and_without_its_gaps() {
    let df = every_dtype();
    let schema = Schema::infer(&df).unwrap();
    for (name, imputer) in imputers(&df, &schema, small_vae()).unwrap() {
        let filled = imputer.fill(&df).unwrap();
        let draws = imputer.draw(&df, 2, 7).unwrap();
        for frame in [&filled.frame, &draws.completed(0).unwrap(), &draws.completed(1).unwrap()] {
            check(&df, frame, &schema, &filled.report).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let left: Vec<_> = filled.report.columns.iter().filter_map(|c| c.why.map(|why| (c.column.as_str(), why))).collect();
        assert_eq!(left, LEFT, "{name}");
        // Each of them is named in a warning, by its dtype where that is the reason.
        for (column, why) in LEFT {
            let dtype = df.column(column).unwrap().dtype().to_string();
            let named = filled.report.warnings.iter().any(|w| match w {
                Warning::UnsupportedType { column: c, dtype: d } => c == column && *d == dtype && why == Left::UnsupportedType,
                Warning::EmptyColumn { column: c } => c == column && why == Left::Empty,
                _ => false,
            });
            assert!(named, "{name}: {column}");
        }
    }
}

#[test]
fn the_kind_of_each_dtype_is_the_documented_one() {
    let schema = Schema::infer(&every_dtype()).unwrap();
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    schema.columns().iter().for_each(|c| kinds.entry(c.kind().to_string()).or_default().push(c.name()));
    let ignored = LEFT.map(|l| l.0).to_vec();
    assert_eq!(kinds["ignored"], ignored);
    assert_eq!(kinds["binary"], ["bool"]);
    assert_eq!(kinds["categorical"], ["string", "categorical", "categorical of its own", "enum"]);
    assert_eq!(kinds["count"], ["i64", "u8", "u16", "u32", "u64", "whole decimals", "constant"]);
    assert_eq!(kinds["positive"], ["µs"]);
    assert_eq!(schema.column("enum").unwrap().levels(), ["low", "mid", "never", "high"]);
    assert_eq!(schema.column("whole minutes").unwrap().bounds(), (0.0, 86_399_999_999_999.0));
}

#[test]
fn the_mean_of_dates_is_a_date_and_of_hours_an_hour() {
    let days = [Some(0), Some(1), Some(3), None];
    let hours = days.map(|d| d.map(|d| i64::from(d) * 3_600_000));
    let date = Series::new("date".into(), days).cast(&DataType::Date).unwrap().into_column();
    let hour = Series::new("hour".into(), hours).into_datetime(TimeUnit::Milliseconds, Some(zone("Asia/Tokyo"))).into_column();
    let cents: Vec<Option<i128>> = days.map(|d| d.map(i128::from)).to_vec();
    let money = Int128Chunked::from_iter_options("money".into(), cents.into_iter()).into_decimal(9, 2).unwrap().into_column();
    let df = DataFrame::new(4, vec![date, hour, money]).unwrap();
    let filled = MeanConfig::default().fit(&df).unwrap().fill(&df).unwrap();
    assert_eq!(filled.cells("date").unwrap().1, [4.0 / 3.0]);
    assert_eq!(filled.frame.column("date").unwrap().get(3).unwrap(), AnyValue::Date(1));
    assert!(matches!(filled.frame.column("hour").unwrap().get(3).unwrap(), AnyValue::Datetime(3_600_000, ..)));
    assert_eq!(filled.frame.column("money").unwrap().get(3).unwrap(), AnyValue::Decimal(1, 9, 2));
}

#[test]
fn stated_kinds_levels_and_bounds_hold_for_every_dtype() {
    let df = every_dtype().drop_many(LEFT.map(|l| l.0));
    // Every column as levels, those of numbers too.
    let levels = df.get_column_names().iter().fold(SchemaOptions::default(), |o, c| o.kind(c, ColumnKind::Categorical));
    let schema = Schema::infer_with(&df, &levels).unwrap();
    assert_eq!(schema.column("date").unwrap().levels()[0], "2022-01-08");
    assert_eq!(schema.column("i128").unwrap().levels()[0], i128::MIN.to_string());
    for (name, imputer) in imputers(&df, &schema, small_vae()).unwrap() {
        let filled = imputer.fill(&df).unwrap();
        check(&df, &filled.frame, &schema, &filled.report).unwrap_or_else(|e| panic!("{name}: {e}"));
        let drawn = imputer.draw(&df, 1, 3).unwrap().completed(0).unwrap();
        check(&df, &drawn, &schema, &filled.report).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    let bounds = |column: &str, low: Bound, high: Option<Bound>| ColumnSpec {
        name: column.into(),
        bounds: Some((Some(low), high)),
        ..ColumnSpec::default()
    };
    let stated = SchemaOptions {
        columns: vec![
            bounds("date", "2023-01-01".into(), Some(19_370.0.into())),
            bounds("whole hours", "2015-08-20T12:00:00+02:00".into(), Some("2015-08-20 11:00:00".into())),
            bounds("whole minutes", "01:30:00".into(), Some("01:31:00".into())),
            bounds("money", "10.07".into(), Some(10.08.into())),
            bounds("whole seconds", 500.0.into(), None),
            bounds("f64", "2.5".into(), None),
        ],
        ..SchemaOptions::default()
    };
    let schema = Schema::infer_with(&df, &stated).unwrap();
    for (name, imputer) in imputers(&df, &schema, small_vae()).unwrap() {
        let filled = imputer.fill(&df).unwrap().frame;
        for (column, low, high) in [
            ("date", 19_358.0, 19_370.0),
            ("whole hours", 1_440_064_800e6, 1_440_068_400e6),
            ("whole minutes", 5400e9, 5460e9),
            ("money", 10.07, 10.08),
            ("whole seconds", 1000.0, f64::MAX),
            ("f64", 2.5, f64::MAX),
        ] {
            let (input, output) = (df.column(column).unwrap(), filled.column(column).unwrap());
            for i in (0..N).filter(|&i| input.get(i).unwrap().is_null()) {
                let x = number(&output.get(i).unwrap());
                assert!(low <= x && x <= high, "{name}: {column} = {x}");
            }
        }
    }
    // The schema file says the same again.
    let json = schema.to_json();
    assert!(json.contains("\"2023-01-01\"") && json.contains("\"2015-08-20T10:00:00Z\""), "{json}");
    let again = Schema::infer_with(&df, &serde_json::from_str(&json).unwrap()).unwrap();
    for (a, b) in schema.columns().iter().zip(again.columns()) {
        assert_eq!((a.kind(), a.bounds(), a.levels()), (b.kind(), b.bounds(), b.levels()), "{}", a.name());
    }
}

#[test]
fn what_a_dtype_cannot_hold_is_refused_with_the_column() {
    let df = every_dtype();
    let message = |spec: &str| {
        let options: SchemaOptions = serde_json::from_str(&format!(r#"{{"columns": [{spec}]}}"#)).unwrap();
        Schema::infer_with(&df, &options).unwrap_err().to_string()
    };
    assert_eq!(
        message(r#"{"name": "date", "bounds": ["2023-13-01", null]}"#),
        "bounds of column `date` is '2023-13-01'; it must be numbers, or cells of type date written as in ISO 8601"
    );
    assert_eq!(
        message(r#"{"name": "u8", "bounds": [300, null]}"#),
        "bounds of column `u8` is 300 to inf; it must be a lower and a higher number that its type can hold"
    );
    let between = message(r#"{"name": "f32", "bounds": [1e-300, 1e-100]}"#);
    assert!(between.ends_with("; it must be a lower and a higher number that its type can hold"), "{between}");
    assert_eq!(
        message(r#"{"name": "money", "bounds": [0.001, 0.009]}"#),
        "bounds of column `money` is 0.001 to 0.009; it must be wide enough for a multiple of 0.01, as the column's cells are"
    );
    assert_eq!(
        message(r#"{"name": "bool", "kind": "count"}"#),
        "column `bool` cannot be count, its cells are not numbers: it holds 'false'; pass it to --na, or choose another kind"
    );
    let levels: Vec<String> = (0..N).map(|z| format!("\"{}\"", 5 * z)).collect();
    assert_eq!(
        message(&format!(r#"{{"name": "u8", "kind": "ordinal", "levels": [{}, "many"]}}"#, levels.join(", "))),
        "column `u8` states the level 'many', which is no cell of type u8; remove it, or make the column text"
    );
    assert_eq!(
        message(r#"{"name": "list", "kind": "categorical"}"#),
        "kind of column `list` is categorical; it must be ignored: the type list[i64] has no model"
    );
}

#[test]
fn other_units_zones_and_levels_than_the_fits_are_errors() {
    let df = every_dtype();
    let imputer = MeanConfig::default().fit(&df).unwrap();
    let error = |column: &str, dtype: &DataType| {
        let mut other = df.clone();
        let cast = df.column(column).unwrap().cast(dtype).unwrap();
        other.with_column(cast).unwrap();
        imputer.fill(&other).unwrap_err().to_string()
    };
    let seconds = DataType::Datetime(TimeUnit::Microseconds, None);
    assert_eq!(
        error("midnights", &seconds),
        "the table does not agree with the fit in 1 column: `midnights` is of type datetime[μs], due datetime[ms]"
    );
    assert!(error("date", &DataType::Int32).contains("`date` is of type i32, due date"));
    let few = FrozenCategories::new(["mid", "low"]).unwrap();
    let e = error("string", &DataType::from_frozen_categories(few));
    assert!(e.starts_with("column `string`: the fit's level 'high' is none of the type enum"), "{e}");
}

#[test]
fn cells_of_every_dtype_can_be_hidden_and_compared() {
    let df = every_dtype();
    let schema = Schema::infer(&df).unwrap();
    for mechanism in [Mechanism::Mcar, Mechanism::Mar, Mechanism::Mnar] {
        let hidden = ampute(&df, &schema, mechanism, 0.3, 5).unwrap();
        assert_eq!(hidden.frame.schema(), df.schema());
        for (before, after) in df.columns().iter().zip(hidden.frame.columns()) {
            let rows = hidden.hidden(before.name()).unwrap();
            let (old, new) = (stored(before), stored(after));
            for i in 0..N {
                assert_eq!(new[i], if rows.contains(&i) { None } else { old[i].clone() }, "{}", before.name());
            }
        }
    }
    let options = CompareOptions { vae: small_vae().unwrap(), ..CompareOptions::default() };
    let comparison = compare(&df, &schema, &options, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(
        ["date", "midnights", "whole minutes", "ns", "money"].iter().all(|c| comparison.columns.iter().any(|x| x.column == *c))
    );
    assert!(comparison.columns.iter().all(|c| c.unit.is_finite() && c.unit > 0.0));
}
