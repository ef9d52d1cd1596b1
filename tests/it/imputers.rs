//! What every imputer promises, on one table with every type a model knows.

use lacuna::{
    ColumnKind, Error, ErrorKind, Fit, Imputer, KnnConfig, Left, MeanConfig, Result, Schema, SchemaOptions, Strategy, VaeConfig,
    Warning, Weights,
};
use ndarray_rand::rand::{Rng, SeedableRng};
use polars::prelude::*;
use rand_xoshiro::Xoshiro256PlusPlus;

type FitFn = fn(&DataFrame, &Schema, usize) -> Result<Box<dyn Imputer>>;

fn boxed<C: Fit>(config: &C, df: &DataFrame, schema: &Schema) -> Result<Box<dyn Imputer>> {
    Ok(Box::new(config.fit_with(df, schema)?))
}

fn vae(threads: usize) -> VaeConfig {
    VaeConfig::default().epochs(2).hidden(8).latent_dim(2).seed(1).threads(threads)
}

/// Every imputer: its name, and how it is fitted on a number of threads.
const IMPUTERS: &[(&str, FitFn)] = &[
    ("mean", |df, schema, _| boxed(&MeanConfig::default(), df, schema)),
    ("median", |df, schema, _| boxed(&MeanConfig::default().strategy(Strategy::Median), df, schema)),
    ("mode", |df, schema, _| boxed(&MeanConfig::default().strategy(Strategy::Mode), df, schema)),
    ("knn", |df, schema, threads| boxed(&KnnConfig::default().threads(threads), df, schema)),
    ("knn", |df, schema, threads| {
        boxed(&KnnConfig::default().k(500).weights(Weights::Uniform).standardise(false).threads(threads), df, schema)
    }),
    ("vae", |df, schema, threads| boxed(&vae(threads), df, schema)),
    // Fewer networks than threads: these share the work on one.
    ("vae of one", |df, schema, threads| boxed(&vae(threads).members(1), df, schema)),
];

/// Every imputer, fitted to a frame by its inferred schema.
fn fitted(df: &DataFrame) -> Vec<(&'static str, Box<dyn Imputer>)> {
    let schema = Schema::infer(df).unwrap();
    IMPUTERS.iter().map(|(name, fit)| (*name, fit(df, &schema, 2).unwrap_or_else(|e| panic!("{name}: {e}")))).collect()
}

/// Rows of the table; row `EMPTY` has no observed cell.
const N: usize = 90;
const EMPTY: usize = 7;

/// Columns of every type with a model, the cells of a row about one hidden number; then columns without one.
fn table() -> DataFrame {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let z: Vec<f64> = (0..N).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut cells = |value: &dyn Fn(f64, f64) -> f64| -> Vec<Option<f64>> {
        let cell = |(i, z): (usize, &f64)| {
            let (noise, shown): (f64, f64) = (rng.random(), rng.random());
            (i != EMPTY && shown < 0.8).then(|| value(*z, noise))
        };
        z.iter().enumerate().map(cell).collect()
    };
    macro_rules! whole {
        ($name:literal, $type:ty, $value:expr) => {{
            let cells = cells(&$value);
            Series::new($name.into(), cells.iter().map(|x| x.map(|x| x.round() as $type)).collect::<Vec<Option<$type>>>())
                .into_column()
        }};
    }
    let pick = |cells: Vec<Option<f64>>, levels: &[&'static str]| -> Vec<Option<&'static str>> {
        cells.iter().map(|x| x.map(|x| levels[(x * levels.len() as f64) as usize])).collect()
    };
    let mut columns = vec![
        Series::new("f64".into(), cells(&|z, e| 3.0 * z + e)).into_column(),
        Series::new("f32".into(), cells(&|z, e| (z + e).exp()).iter().map(|x| x.map(|x| x as f32)).collect::<Vec<_>>())
            .into_column(),
        whole!("i8", i8, |z, e| 100.0 * z * e),
        whole!("i16", i16, |z, e| 900.0 * z - 90.0 * e),
        whole!("i32", i32, |z, e| 1e6 * z + e),
        // Beyond what f64 holds exactly.
        whole!("i64", i64, |z, e| 9e18 * z + e),
        whole!("u8", u8, |z, e| 120.0 * (1.0 + z) * e),
        whole!("u16", u16, |z, e| 3e4 * (1.0 + z) * e),
        whole!("u32", u32, |z, e| 2e9 * (1.0 + z) * e),
        whole!("u64", u64, |z, e| 9e18 * (1.0 + z) * e),
        whole!("flag", i32, |z, _| f64::from(u8::from(z > 0.2))),
    ];
    // NaN is missing too.
    let nan = cells(&|z, e| z - e).iter().map(|x| x.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
    columns.push(Series::new("nan".into(), nan).into_column());
    let truth: Vec<Option<bool>> = cells(&|z, _| z).iter().map(|x| x.map(|x| x > 0.0)).collect();
    columns.push(Series::new("bool".into(), truth).into_column());
    let levels = |name: &str, cells: Vec<Option<f64>>, dtype: &DataType| {
        Series::new(name.into(), pick(cells, &["low", "middle", "high"])).cast(dtype).unwrap().into_column()
    };
    let share = |z: f64, e: f64| (0.25 * (1.0 + z) + 0.5 * e).min(0.999);
    let frozen = FrozenCategories::new(["high", "low", "middle", "never"]).unwrap();
    columns.push(levels("string", cells(&share), &DataType::String));
    columns.push(levels("categorical", cells(&share), &DataType::from_categories(Categories::global())));
    columns.push(levels("enum", cells(&share), &DataType::from_frozen_categories(frozen)));
    columns.push(Series::new("constant".into(), cells(&|_, _| 4.25)).into_column());
    let word: Vec<Option<&str>> = cells(&|_, _| 0.0).iter().map(|x| x.map(|_| "only")).collect();
    columns.push(Series::new("word".into(), word).into_column());
    columns.push(Series::new("empty".into(), vec![None::<f64>; N]).into_column());
    let id: Vec<Option<String>> = cells(&|_, e| e).iter().map(|x| x.map(|x| x.to_string())).collect();
    columns.push(Series::new("id".into(), id).into_column());
    let bytes: Vec<Option<Vec<u8>>> = cells(&|_, e| e).iter().map(|x| x.map(|x| x.to_be_bytes().to_vec())).collect();
    columns.push(Series::new("bytes".into(), bytes).into_column());
    DataFrame::new(N, columns).unwrap()
}

/// The columns that stay as they are.
const LEFT: [(&str, Left); 3] = [("empty", Left::Empty), ("id", Left::TooManyLevels), ("bytes", Left::UnsupportedType)];

/// The observed cells of a column, bit by bit.
fn cells(column: &Column) -> Vec<Option<AnyValue<'static>>> {
    let cell = |i| match column.get(i).unwrap().into_static() {
        AnyValue::Null => None,
        AnyValue::Float64(x) if x.is_nan() => None,
        AnyValue::Float32(x) if x.is_nan() => None,
        value => Some(value),
    };
    (0..column.len()).map(cell).collect()
}

/// The bits of every filled cell, by column name.
fn bits(filled: &lacuna::Filled) -> Vec<(String, Vec<u64>)> {
    let mut names: Vec<String> = filled.frame.get_column_names().iter().map(|n| n.to_string()).collect();
    names.sort();
    let of = |name: &String| filled.cells(name).unwrap().1.iter().map(|x| x.to_bits()).collect();
    names.iter().map(|name| (name.clone(), of(name))).collect()
}

/// The bits of every drawn cell, by column, draw and gap.
fn drawn_bits(imputer: &dyn Imputer, df: &DataFrame, seed: u64) -> Vec<Vec<Vec<u64>>> {
    let drawn = imputer.draw(df, 3, seed).unwrap();
    let columns = df.get_column_names();
    let column =
        |name: &&PlSmallStr| drawn.cells(name).unwrap().1.iter().map(|c| c.iter().map(|x| x.to_bits()).collect()).collect();
    columns.iter().map(column).collect()
}

fn rows(df: &DataFrame, rows: &[usize]) -> DataFrame {
    df.take(&IdxCa::from_vec("".into(), rows.iter().map(|&r| r as IdxSize).collect())).unwrap()
}

#[test]
fn observed_cells_stay_and_gaps_are_filled() {
    let df = table();
    let before = df.clone();
    for (name, imputer) in fitted(&df) {
        let filled = imputer.fill(&df).unwrap();
        let draws = imputer.draw(&df, 2, 9).unwrap();
        for out in [&filled.frame, &draws.completed(0).unwrap(), &draws.completed(1).unwrap()] {
            assert_eq!(out.schema(), df.schema(), "{name}");
            for (input, output) in df.columns().iter().zip(out.columns()) {
                let left = LEFT.iter().any(|(l, _)| *l == input.name().as_str());
                for (row, (was, is)) in cells(input).iter().zip(cells(output)).enumerate() {
                    match was {
                        Some(_) => assert_eq!(was, &is, "{name}: `{}` row {row} changed", input.name()),
                        None => assert_eq!(is.is_none(), left, "{name}: `{}` row {row}", input.name()),
                    }
                }
            }
        }
        for report in [&filled.report, draws.report()] {
            assert_eq!(report.rows, N);
            for (column, input) in report.columns.iter().zip(df.columns()) {
                let missing = cells(input).iter().filter(|c| c.is_none()).count();
                let why = LEFT.iter().find(|(l, _)| *l == column.column).map(|l| l.1);
                assert_eq!((column.missing, column.why), (missing, why), "{name}: {}", column.column);
                assert_eq!((column.filled, column.left), if why.is_some() { (0, missing) } else { (missing, 0) });
            }
        }
        assert!(df.equals_missing(&before), "{name} changed its input");
    }
}

#[test]
fn constants_fill_their_gaps_and_warnings_say_so() {
    let df = table();
    let constant = Warning::ConstantColumn { column: "constant".into() };
    for (name, imputer) in fitted(&df) {
        let filled = imputer.fill(&df).unwrap();
        let report = &filled.report;
        for expected in [constant.clone(), Warning::EmptyColumn { column: "empty".into() }] {
            assert_eq!(report.warnings.iter().filter(|w| **w == expected).count(), 1, "{name}: {expected}");
        }
        // Without a gap there is nothing to say of it.
        let seen = imputer.fill(&filled.frame).unwrap().report.warnings;
        assert!(!seen.contains(&constant), "{name}: {seen:?}");
        for frame in [&filled.frame, &imputer.draw(&df, 1, 0).unwrap().completed(0).unwrap()] {
            assert!(frame.column("constant").unwrap().f64().unwrap().iter().all(|x| x == Some(4.25)), "{name}");
            assert!(frame.column("word").unwrap().str().unwrap().iter().all(|x| x == Some("only")), "{name}");
        }
    }
}

#[test]
fn fills_and_draws_are_inside_the_support() {
    let df = table();
    let mut options = SchemaOptions::default().kind("f64", ColumnKind::Continuous).kind("string", ColumnKind::Ordinal);
    // Bounds narrower than the observed values.
    options.columns[0].bounds = Some((Some((-0.5).into()), Some(0.25.into())));
    options.columns[1].levels = Some(["low", "middle", "high"].map(String::from).to_vec());
    let schema = Schema::infer_with(&df, &options).unwrap();
    for (name, fit) in IMPUTERS {
        let imputer = fit(&df, &schema, 2).unwrap();
        let filled = imputer.fill(&df).unwrap();
        let draws = imputer.draw(&df, 5, 3).unwrap();
        for column in schema.columns().iter().filter(|c| c.left().is_none()) {
            let (gaps, fills) = filled.cells(column.name()).unwrap();
            let (drawn_gaps, drawn) = draws.cells(column.name()).unwrap();
            assert_eq!(gaps, drawn_gaps);
            assert!(gaps.contains(&EMPTY), "{name}: {}", column.name());
            let (low, high) = column.bounds();
            for &x in fills.iter().chain(drawn.iter().copied().flatten()) {
                if column.kind().is_numeric() {
                    assert!(low <= x && x <= high, "{name}: {} = {x}", column.name());
                } else {
                    assert!(x.fract() == 0.0 && (x as usize) < column.levels().len(), "{name}: {} = {x}", column.name());
                }
            }
            if column.kind() == ColumnKind::Count {
                assert!(drawn.iter().copied().flatten().all(|x| x.fract() == 0.0), "{name}: {}", column.name());
            }
        }
        // A level that is declared but never seen is never given.
        let codes = |cells: &[f64]| cells.iter().any(|&x| schema.column("enum").unwrap().levels()[x as usize] == "never");
        if *name != "vae" {
            assert!(!codes(filled.cells("enum").unwrap().1), "{name}");
            assert!(!draws.cells("enum").unwrap().1.into_iter().any(codes), "{name}");
        }
    }
}

#[test]
fn the_same_seed_draws_the_same_and_another_draws_anew() {
    let df = table();
    for ((name, a), (_, b)) in fitted(&df).into_iter().zip(fitted(&df)) {
        assert_eq!(bits(&a.fill(&df).unwrap()), bits(&b.fill(&df).unwrap()), "{name}");
        let first = drawn_bits(&*a, &df, 11);
        assert_eq!(first, drawn_bits(&*b, &df, 11), "{name}");
        assert_ne!(first, drawn_bits(&*a, &df, 12), "{name}");
        // The draws of one call differ from each other.
        assert!(first.iter().any(|column| column[0] != column[1] && column[1] != column[2]), "{name}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let df = table();
    let schema = Schema::infer(&df).unwrap();
    for (name, fit) in IMPUTERS {
        let [one, four] = [1, 4].map(|threads| fit(&df, &schema, threads).unwrap());
        assert_eq!(bits(&one.fill(&df).unwrap()), bits(&four.fill(&df).unwrap()), "{name}");
        assert_eq!(drawn_bits(&*one, &df, 4), drawn_bits(&*four, &df, 4), "{name}");
    }
}

#[test]
fn a_row_is_filled_the_same_alone_in_any_batch_and_in_any_order() {
    let df = table();
    let order: Vec<usize> = (0..N).map(|i| (i * 37 + 11) % N).collect();
    for (name, imputer) in fitted(&df) {
        let whole = imputer.fill(&df).unwrap().frame;
        let check = |chosen: &[usize]| {
            let part = imputer.fill(&rows(&df, chosen)).unwrap().frame;
            assert!(part.equals_missing(&rows(&whole, chosen)), "{name}: rows {chosen:?}");
        };
        (0..N).for_each(|i| check(&[i]));
        check(&order);
        check(&order[..33]);
        check(&[5; 40]);
    }
}

#[test]
fn draws_of_the_first_rows_do_not_depend_on_those_after() {
    let df = table();
    for (name, imputer) in fitted(&df) {
        let whole = imputer.draw(&df, 2, 1).unwrap();
        let part = imputer.draw(&df.head(Some(30)), 2, 1).unwrap();
        for i in 0..2 {
            assert!(part.completed(i).unwrap().equals_missing(&whole.completed(i).unwrap().head(Some(30))), "{name}");
        }
    }
}

#[test]
fn the_order_of_columns_does_not_matter() {
    let df = table();
    let names: Vec<PlSmallStr> = df.get_column_names().into_iter().rev().cloned().collect();
    let turned = df.select(names).unwrap();
    for ((name, one), (_, other)) in fitted(&df).into_iter().zip(fitted(&turned)) {
        let expected = bits(&one.fill(&df).unwrap());
        assert_eq!(expected, bits(&one.fill(&turned).unwrap()), "{name}: fill");
        assert_eq!(expected, bits(&other.fill(&df).unwrap()), "{name}: fit");
        let drawn = drawn_bits(&*one, &df, 2);
        let mut back = drawn_bits(&*other, &turned, 2);
        back.reverse();
        assert_eq!(drawn, back, "{name}: draw");
    }
}

#[test]
fn rows_without_any_observed_cell_are_filled() {
    let df = table();
    let empty = rows(&df, &[EMPTY; 5]);
    for (name, imputer) in fitted(&df) {
        let filled = imputer.fill(&empty).unwrap();
        assert_eq!(filled.report.left(), 5 * LEFT.len(), "{name}");
        assert_eq!(filled.report.filled(), 5 * (df.width() - LEFT.len()), "{name}");
        assert!(filled.frame.equals_missing(&rows(&imputer.fill(&df).unwrap().frame, &[EMPTY; 5])), "{name}");
    }
}

#[test]
fn a_frame_without_gaps_comes_back_as_it_is() {
    let df = table();
    let complete = fitted(&df)[0].1.fill(&df).unwrap().frame;
    let complete = complete.drop_many(LEFT.map(|l| l.0));
    for (name, imputer) in fitted(&complete) {
        assert!(imputer.fill(&complete).unwrap().frame.equals_missing(&complete), "{name}");
        let draws = imputer.draw(&complete, 2, 1).unwrap();
        assert!(draws.completed(1).unwrap().equals_missing(&complete), "{name}");
        assert_eq!(draws.report().filled(), 0, "{name}");
        // The fit serves rows with gaps all the same.
        let gaps = df.drop_many(LEFT.map(|l| l.0));
        assert_eq!(imputer.fill(&gaps).unwrap().report.left(), 0, "{name}");
    }
}

#[test]
fn small_tables() {
    let df = table();
    // Zero rows: no column has a value, so none is modelled.
    for (name, imputer) in fitted(&df.clear()) {
        let none = imputer.fill(&df.clear()).unwrap();
        assert_eq!((none.frame.height(), none.frame.schema()), (0, df.schema()), "{name}");
        assert_eq!(imputer.draw(&df.clear(), 1, 0).unwrap().completed(0).unwrap().schema(), df.schema());
    }
    // A fit to rows fills zero rows.
    for (name, imputer) in fitted(&df) {
        let none = imputer.fill(&df.clear()).unwrap();
        assert_eq!((none.frame.height(), none.frame.schema()), (0, df.schema()), "{name}");
    }
    // One row: its columns are constant or empty.
    for (name, imputer) in fitted(&df.head(Some(1))) {
        assert!(imputer.fill(&df.head(Some(1))).unwrap().frame.equals_missing(&df.head(Some(1))), "{name}");
    }
    // Two rows with one value more or less; one column, of numbers and of levels.
    let two = df!("x" => [Some(1.0), None], "y" => [Some(2.0), Some(3.0)]).unwrap();
    let number = df!("x" => [Some(1.0), None, Some(4.0)]).unwrap();
    let level = df!("c" => [Some("a"), None, Some("b"), Some("a")]).unwrap();
    for small in [two, number, level] {
        for (name, imputer) in fitted(&small) {
            let filled = imputer.fill(&small).unwrap();
            assert_eq!((filled.report.filled(), filled.report.left()), (1, 0), "{name}");
            assert_eq!(
                imputer.draw(&small, 2, 0).unwrap().completed(1).unwrap().column(small.columns()[0].name()).unwrap().null_count(),
                0
            );
        }
    }
}

/// Numbers over the whole range of f64, far from zero, with outliers, of two values, on a line: finite fills and draws.
#[test]
fn extreme_numbers_stay_finite() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let z: Vec<f64> = (0..N).map(|_| rng.random_range(-1.0..1.0)).collect();
    let outlier = |i: usize| if i == 20 { f64::MAX } else { z[i] };
    let column = |(name, value): (&str, &dyn Fn(usize) -> f64)| {
        let cells: Vec<Option<f64>> = (0..N).map(|i| (i % 5 != name.len() % 5).then(|| value(i))).collect();
        Series::new(name.into(), cells).into_column()
    };
    let columns: [(&str, &dyn Fn(usize) -> f64); 9] = [
        ("a", &|i| z[i]),
        ("bb", &|i| z[i] * 1.7e308),
        ("ccc", &|i| z[i] * 1e-310),
        ("dddd", &|i| 1e9 + 1e-6 * z[i]),
        ("eeeee", &|i| if z[i] < 0.0 { -1e300 } else { 1e300 }),
        ("ffffff", &|i| if z[i] < 0.0 { 1.0 } else { 1.0_f64.next_up() }),
        ("ggggggg", &outlier),
        ("hhhhhhhh", &|i| 2.0 * z[i] + 1.0),
        ("iiiiiiiii", &|i| if i < 2 { 5e-324 * i as f64 } else { f64::NAN }),
    ];
    let df = DataFrame::new(N, columns.into_iter().map(column).collect()).unwrap();
    let wild = df!("a" => [1e300, -1e300]).unwrap();
    let mut others = df.head(Some(2));
    others.with_column(wild.columns()[0].clone()).unwrap();
    for (name, imputer) in fitted(&df) {
        for frame in [&df, &others] {
            let filled = imputer.fill(frame).unwrap();
            assert_eq!(filled.report.left(), 0, "{name}");
            let draws = imputer.draw(frame, 2, 1).unwrap();
            for out in [&filled.frame, &draws.completed(0).unwrap(), &draws.completed(1).unwrap()] {
                for column in out.columns() {
                    let cells = column.f64().unwrap();
                    assert!(cells.iter().all(|x| x.is_some_and(f64::is_finite)), "{name}: {column:?}");
                }
            }
            for error in filled.report.columns.iter().filter_map(|c| c.expected_error.as_ref()) {
                assert!(error.error.is_finite() && error.standard_error.is_finite() && error.unit > 0.0, "{name}: {error:?}");
            }
        }
    }
}

#[test]
fn a_modelled_column_without_a_cell_to_fit_on_is_an_error_not_a_panic() {
    let df = table();
    let schema = Schema::infer(&df).unwrap();
    for few in [df.clear(), rows(&df, &[EMPTY, EMPTY])] {
        for (name, fit) in IMPUTERS {
            let e = fit(&few, &schema, 1).map(|_| ()).unwrap_err();
            assert!(e.to_string().contains("has no observed value"), "{name}: {e}");
        }
    }
}

#[test]
fn a_fit_to_one_row_over_and_over_fills_other_rows() {
    let df = table().drop_many(LEFT.map(|l| l.0));
    let complete = fitted(&df)[0].1.fill(&df).unwrap().frame;
    let schema = Schema::infer(&complete).unwrap();
    for (name, fit) in IMPUTERS {
        let imputer = fit(&rows(&complete, &[3; 6]), &schema, 1).unwrap();
        let filled = imputer.fill(&df).unwrap();
        assert_eq!(filled.report.left(), 0, "{name}");
        assert!(filled.cells("f64").unwrap().1.iter().all(|x| x.is_finite()), "{name}");
    }
}

#[test]
fn an_unseen_level_is_kept_and_named() {
    let df = table();
    let mut new = rows(&df, &[0, 1, 2]);
    new.with_column(Series::new("string".into(), [Some("unheard"), None, Some("low")]).into_column()).unwrap();
    for (name, imputer) in fitted(&df) {
        let filled = imputer.fill(&new).unwrap();
        let out = filled.frame.column("string").unwrap().str().unwrap();
        assert_eq!((out.get(0), out.get(2)), (Some("unheard"), Some("low")), "{name}");
        assert!(["low", "middle", "high"].contains(&out.get(1).unwrap()), "{name}");
        let warning = Warning::UnseenLevels { column: "string".into(), cells: 1, example: "unheard".into() };
        assert!(filled.report.warnings.contains(&warning), "{name}");
    }
}

#[test]
fn a_column_beside_those_of_the_fit_is_told_of_with_its_gaps() {
    let df = table();
    let new = rows(&df, &[0, 1, 2, 3]);
    for (name, imputer) in fitted(&df) {
        for (cells, missing) in [
            ([Some(1.0), Some(f64::NAN), None, Some(2.0)], 2),
            ([Some(f64::NAN), Some(0.5), Some(1.0), Some(2.0)], 1),
            ([Some(0.0), Some(0.5), Some(1.0), Some(2.0)], 0),
        ] {
            let mut new = new.clone();
            new.with_column(Series::new("extra".into(), cells).into_column()).unwrap();
            let filled = imputer.fill(&new).unwrap();
            let told: Vec<&Warning> =
                filled.report.warnings.iter().filter(|w| matches!(w, Warning::ExtraColumn { .. })).collect();
            match missing {
                0 => assert!(told.is_empty(), "{name}: {told:?}"),
                _ => assert_eq!(told, [&Warning::ExtraColumn { column: "extra".into(), missing }], "{name}"),
            }
            assert!(filled.frame.column("extra").unwrap().equals_missing(new.column("extra").unwrap()), "{name}");
        }
    }
}

#[test]
fn infinities_are_errors_with_their_place() {
    let df = table();
    let schema = Schema::infer(&df).unwrap();
    let mut bad = df.clone();
    let infinite: Vec<f64> = (0..N).map(|i| if i == 41 { f64::NEG_INFINITY } else { i as f64 }).collect();
    bad.with_column(Series::new("f64".into(), infinite).into_column()).unwrap();
    let placed = |e: &Error| match e.kind() {
        ErrorKind::Value { column, row, .. } => column == "f64" && *row == 42,
        _ => false,
    };
    for (name, fit) in IMPUTERS {
        let e = fit(&bad, &schema, 1).map(|_| ()).unwrap_err();
        assert!(placed(&e), "{name}: {e}");
        let e = fit(&df, &schema, 1).unwrap().fill(&bad).unwrap_err();
        assert!(placed(&e), "{name}: {e}");
    }
}

#[test]
fn other_columns_than_the_fits_are_errors() {
    let df = table();
    let mut text = df.clone();
    text.with_column(Series::new("f64".into(), vec!["1.0"; N]).into_column()).unwrap();
    for (name, imputer) in fitted(&df) {
        for (bad, named) in [(&df.drop("u16").unwrap(), "u16"), (&text, "`f64`")] {
            for e in [imputer.fill(bad).map(|_| ()).unwrap_err(), imputer.draw(bad, 1, 0).map(|_| ()).unwrap_err()] {
                assert!(e.to_string().contains(named), "{name}: {e}");
                assert!(matches!(e.kind(), ErrorKind::Schema { .. }), "{name}: {e:?}");
            }
        }
        assert!(imputer.draw(&df, 0, 0).unwrap_err().is_usage(), "{name}");
        assert!(imputer.draw(&df, 2, 0).unwrap().completed(2).unwrap_err().is_usage(), "{name}");
    }
}
