//! The field's own cases: 32 taken from the tests and issue threads of mice, scikit-learn, miceforest, missRanger and
//! HyperImpute, by their ids. docs/cases.md names them all, and where our rule is another.

use std::path::Path;

use lacuna::arrow::array::{AsArray, RecordBatch};
use lacuna::arrow::datatypes::{Int32Type, Int64Type};
use lacuna::data::arrow::to_frame;
use lacuna::evaluate::{AmputeOptions, Mechanism, Pattern, ampute, ampute_with};
use lacuna::polars::prelude::*;
use lacuna::{
    ColumnKind, ColumnSpec, CsvOptions, CsvTable, ErrorKind, Fit, Form, Imputations, Imputer, KnnConfig, MeanConfig, Schema,
    SchemaOptions, Strategy, Term, VaeConfig, VaeImputer, Warning, Weights,
};
use ndarray_rand::rand::{Rng, SeedableRng};
use ndarray_rand::rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A fit that takes no time.
fn quick() -> VaeConfig {
    VaeConfig::default().epochs(2).members(1).hidden(16).latent_dim(2)
}

fn csv(text: &str) -> (CsvTable, DataFrame) {
    csv_with(text, CsvOptions::default())
}

fn csv_with(text: &str, options: CsvOptions) -> (CsvTable, DataFrame) {
    let table = CsvTable::read(text.as_bytes(), Path::new("t.csv"), &options, &SchemaOptions::default()).unwrap();
    let frame = table.to_frame().unwrap();
    (table, frame)
}

/// nhanes of mice: 25 rows of age (in three groups), body mass index, hypertension and cholesterol, 27 cells missing.
const NHANES: &str = include_str!("../../fixtures/nhanes.csv");

fn nhanes() -> DataFrame {
    csv(NHANES).1
}

/// nhanes2 of mice: the same with groups of age and hypertension as levels.
fn nhanes2() -> DataFrame {
    let lines = NHANES.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let age = ["20-39", "40-59", "60-99"][fields[0].parse::<usize>().unwrap() - 1];
        let hyp = ["no", "yes"].get(fields[2].parse::<usize>().unwrap_or(9) - 1).unwrap_or(&"NA");
        format!("{age},{},{hyp},{}\n", fields[1], fields[3])
    });
    csv(&format!("age,bmi,hyp,chl\n{}", lines.collect::<String>())).1
}

type Named = (&'static str, Box<dyn Imputer>);

fn fitted_with(df: &DataFrame, schema: &Schema) -> Vec<Named> {
    vec![
        ("mean", Box::new(MeanConfig::default().fit_with(df, schema).unwrap())),
        ("median", Box::new(MeanConfig::default().strategy(Strategy::Median).fit_with(df, schema).unwrap())),
        ("knn", Box::new(KnnConfig::default().fit_with(df, schema).unwrap())),
        ("vae", Box::new(quick().fit_with(df, schema).unwrap())),
        ("donors", Box::new(quick().donors(5).fit_with(df, schema).unwrap())),
    ]
}

fn fitted(df: &DataFrame) -> Vec<Named> {
    fitted_with(df, &Schema::infer(df).unwrap())
}

fn gaps(df: &DataFrame) -> usize {
    df.columns().iter().map(|c| c.null_count()).sum()
}

/// Whether every observed cell of `before` is the same in `after`.
fn observed_stay(before: &DataFrame, after: &DataFrame) -> bool {
    before.columns().iter().zip(after.columns()).all(|(was, is)| {
        let seen = was.is_not_null();
        was.name() == is.name() && was.dtype() == is.dtype() && was.filter(&seen).unwrap().equals(&is.filter(&seen).unwrap())
    })
}

fn floats(df: &DataFrame, column: &str) -> Vec<Option<f64>> {
    df.column(column).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().collect()
}

fn cell(df: &DataFrame, column: &str, row: usize) -> Option<f64> {
    floats(df, column)[row]
}

/// A frame of the columns c0, c1, … of a matrix given by its cells, with gaps where `shown` is false.
fn matrix(n: usize, d: usize, value: impl Fn(usize, usize) -> f64, shown: impl Fn(usize, usize) -> bool) -> DataFrame {
    let column = |j: usize| {
        let cells: Vec<Option<f64>> = (0..n).map(|i| shown(i, j).then(|| value(i, j))).collect();
        Series::new(format!("c{j}").into(), cells).into_column()
    };
    DataFrame::new(n, (0..d).map(column).collect()).unwrap()
}

pub(crate) fn numbers(seed: u64, n: usize, normal: bool) -> Vec<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| if normal { rng.sample(StandardNormal) } else { rng.random() }).collect()
}

/// The largest and the root mean square error of the fills of a matrix's gaps.
fn errors(before: &DataFrame, after: &DataFrame, value: impl Fn(usize, usize) -> f64) -> (f64, f64) {
    let mut all = Vec::new();
    for (j, column) in before.columns().iter().enumerate() {
        let fills = floats(after, column.name());
        let gaps = column.is_null();
        let missing = gaps.iter().enumerate().filter(|(_, gap)| *gap == Some(true));
        all.extend(missing.map(|(i, _)| (fills[i].unwrap() - value(i, j)).abs()));
    }
    assert!(!all.is_empty());
    let square: f64 = all.iter().map(|e| e * e).sum();
    (all.iter().copied().fold(0.0, f64::max), (square / all.len() as f64).sqrt())
}

#[test]
fn b01_no_gap_is_left_and_observed_cells_stay() {
    for df in [nhanes(), nhanes2()] {
        assert_eq!((df.shape(), gaps(&df)), ((25, 4), 27));
        let before = df.clone();
        for (name, imputer) in fitted(&df) {
            let filled = imputer.fill(&df).unwrap();
            let drawn = imputer.draw(&df, 3, 1).unwrap();
            for out in [&filled.frame, &drawn.completed(0).unwrap(), &drawn.completed(2).unwrap()] {
                assert_eq!(gaps(out), 0, "{name}");
                assert!(observed_stay(&df, out), "{name}");
            }
            assert!(df.equals_missing(&before), "{name} changed its input");
        }
    }
}

#[test]
fn b02_one_seed_one_answer_for_new_data_too() {
    let df = nhanes2();
    let new = df.slice(3, 15);
    for ((name, a), (_, b)) in fitted(&df).into_iter().zip(fitted(&df)) {
        for frame in [&df, &new] {
            assert!(a.fill(frame).unwrap().frame.equals(&b.fill(frame).unwrap().frame), "{name}");
            let draw = |imputer: &dyn Imputer, seed| imputer.draw(frame, 2, seed).unwrap().completed(1).unwrap();
            assert!(draw(&*a, 7).equals(&draw(&*b, 7)), "{name}");
            assert!(!draw(&*a, 7).equals(&draw(&*a, 8)), "{name}");
        }
    }
}

#[test]
fn b03_ignored_rows_do_not_leak() {
    let text = format!("{NHANES}1,NA,1,200\n1,40,1,200\n");
    let marked: Vec<bool> = (0..27).map(|i| i >= 25).collect();
    let mut df = csv(&text).1;
    df.with_column(Series::new("out".into(), marked).into_column()).unwrap();
    let schema = |options: SchemaOptions| Schema::infer_with(&df, &options).unwrap();
    let kept_out = schema(SchemaOptions::default().ignore("out"));
    let nearest = KnnConfig::default().k(1);
    let mut all = fitted_with(&df, &kept_out);
    all.push(("nearest", Box::new(nearest.fit_with(&df, &kept_out).unwrap())));
    for (name, imputer) in all {
        let draws = imputer.draw(&df, 20, 1).unwrap();
        let mut bmi: Vec<f64> = (0..20).map(|i| cell(&draws.completed(i).unwrap(), "bmi", 25).unwrap()).collect();
        bmi.push(cell(&imputer.fill(&df).unwrap().frame, "bmi", 25).unwrap());
        assert!(bmi.iter().all(|x| *x != 40.0), "{name}: {bmi:?}");
    }
    // Without the mark the nearest row is the second of the two, where no other is as near.
    let known = df.filter(&df.column("chl").unwrap().is_not_null()).unwrap();
    let all = nearest.fit_with(&known, &schema(SchemaOptions::default().exclude("out"))).unwrap();
    assert_eq!(cell(&all.fill(&df).unwrap().frame, "bmi", 25), Some(40.0));
}

#[test]
fn b04_as_many_rows_back_in_the_same_order() {
    let df = nhanes();
    for (name, imputer) in fitted(&df) {
        for k in [0, 1, 7, 25] {
            let new = df.tail(Some(k));
            let out = imputer.fill(&new).unwrap().frame;
            assert_eq!((out.height(), out.schema()), (k, df.schema()), "{name}");
            assert!(observed_stay(&new, &out), "{name}");
        }
    }
}

#[test]
fn b05_the_long_form_is_the_completed_tables() {
    let df = nhanes();
    let draws = quick().fit(&df).unwrap().draw(&df, 3, 1).unwrap();
    let long: RecordBatch = draws.to_record_batch(Form::Long).unwrap();
    assert_eq!(long.schema().field(0).name(), ".imp");
    assert_eq!(long.schema().field(1).name(), ".id");
    let imp: Vec<i32> = long.column(0).as_primitive::<Int32Type>().values().to_vec();
    let id: Vec<i64> = long.column(1).as_primitive::<Int64Type>().values().to_vec();
    assert!(imp.iter().zip(&id).enumerate().all(|(i, (imp, id))| (*imp as usize, *id as usize) == (i / 25 + 1, i % 25 + 1)));
    let long = to_frame(&long).unwrap();
    for i in 0..3 {
        let part = long.slice(25 * i as i64, 25).select(df.get_column_names_owned()).unwrap();
        assert!(part.equals(&draws.completed(i).unwrap()));
    }
    let with = to_frame(&draws.clone().with_original().to_record_batch(Form::Long).unwrap()).unwrap();
    let back = Imputations::from_long(&with).unwrap();
    assert_eq!(back.m(), 3);
    assert!((0..3).all(|i| back.completed(i).unwrap().equals(&draws.completed(i).unwrap())));
}

#[test]
fn b06_constant_and_empty_columns_have_a_stated_rule() {
    let df = df!(
        "same" => [Some(7.0), None, Some(7.0), Some(7.0)],
        "none" => [None::<f64>, None, None, None],
        "x" => [Some(1.0), Some(2.0), None, Some(3.5)]
    )
    .unwrap();
    for (name, imputer) in fitted(&df) {
        let filled = imputer.fill(&df).unwrap();
        // A constant fills its gaps; an empty column stays empty, null and not NaN, and the report says both.
        assert_eq!(floats(&filled.frame, "same"), [Some(7.0); 4], "{name}");
        assert_eq!(floats(&filled.frame, "none"), [None; 4], "{name}");
        let warnings = &filled.report.warnings;
        assert!(warnings.contains(&Warning::ConstantColumn { column: "same".into() }), "{name}");
        assert!(warnings.contains(&Warning::EmptyColumn { column: "none".into() }), "{name}");
    }
}

#[test]
fn b07_none_all_or_the_missing_cells_are_imputed() {
    let df = nhanes();
    let all = ["age", "bmi", "hyp", "chl"];
    let none = all.iter().fold(SchemaOptions::default(), |options, column| options.exclude(column));
    let nothing = MeanConfig::default().fit_with(&df, &Schema::infer_with(&df, &none).unwrap()).unwrap().fill(&df).unwrap();
    assert_eq!(nothing.report.filled(), 0);
    assert!(nothing.frame.equals_missing(&df));
    let imputer = quick().fit(&df).unwrap();
    let mut filled = imputer.fill(&df).unwrap();
    assert_eq!(filled.report.filled(), 27);
    for column in all {
        filled = filled.with_overimputed(&imputer, column).unwrap();
    }
    // Where the mask is everything, the observed cells are imputed too, beside themselves.
    let also: usize = filled.report.overimputed.iter().map(|o| o.cells).sum();
    let told: usize = all.iter().map(|c| 25 - filled.frame.column(&format!("{c}_overimputed")).unwrap().null_count()).sum();
    assert_eq!((also, told), (73, 73));
    assert!(observed_stay(&df, &filled.frame.select(all).unwrap()));
}

/// Least squares of y on columns and a constant: coefficients and their standard errors.
pub(crate) fn regression(y: &[f64], columns: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let n = y.len();
    let x: Vec<Vec<f64>> = std::iter::once(vec![1.0; n]).chain(columns.iter().cloned()).collect();
    let p = x.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Gauss-Jordan on [X'X | X'y | I].
    let mut a: Vec<Vec<f64>> = (0..p)
        .map(|i| {
            let mut row: Vec<f64> = x.iter().map(|other| dot(&x[i], other)).collect();
            row.push(dot(&x[i], y));
            row.extend((0..p).map(|j| f64::from(u8::from(i == j))));
            row
        })
        .collect();
    for i in 0..p {
        let pivot = (i..p).max_by(|&r, &s| a[r][i].abs().total_cmp(&a[s][i].abs())).unwrap();
        a.swap(i, pivot);
        let by = a[i][i];
        a[i].iter_mut().for_each(|v| *v /= by);
        let row = a[i].clone();
        for other in (0..p).filter(|&o| o != i) {
            let factor = a[other][i];
            a[other].iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
        }
    }
    let beta: Vec<f64> = a.iter().map(|row| row[p]).collect();
    let residual = (0..n).map(|i| (y[i] - (0..p).map(|j| beta[j] * x[j][i]).sum::<f64>()).powi(2)).sum::<f64>();
    let variance = residual / (n - p) as f64;
    (0..p).map(|j| (beta[j], (variance * a[j][p + 1 + j]).sqrt())).collect()
}

#[test]
fn b08_pooled_estimates_are_those_of_rubin_and_barnard() {
    let df = nhanes2();
    let (m, n, p) = (5, 25.0, 5.0);
    let draws = quick().fit(&df).unwrap().draw(&df, m, 1).unwrap();
    // lm(bmi ~ chl + age + hyp), age and hyp by indicators of all groups but the first.
    let analysis = |df: &DataFrame| -> Vec<(f64, f64)> {
        let is = |column: &str, level: &str| -> Vec<f64> {
            let cells = df.column(column).unwrap().str().unwrap();
            cells.iter().map(|c| f64::from(u8::from(c == Some(level)))).collect()
        };
        let plain = |column: &str| floats(df, column).into_iter().map(|x| x.unwrap()).collect::<Vec<f64>>();
        let columns = [plain("chl"), is("age", "40-59"), is("age", "60-99"), is("hyp", "yes")];
        regression(&plain("bmi"), &columns)
    };
    let names = ["(Intercept)", "chl", "age40-59", "age60-99", "hypyes"];
    let terms = |df: &DataFrame| {
        Ok(names.iter().zip(analysis(df)).map(|(name, (estimate, error))| Term::new(*name, estimate, error)).collect())
    };
    let pooled = draws.pool(terms, n - p).unwrap();
    let all: Vec<Vec<(f64, f64)>> = (0..m).map(|i| analysis(&draws.completed(i).unwrap())).collect();
    for (j, term) in pooled.iter().enumerate() {
        let mean = |f: &dyn Fn((f64, f64)) -> f64| all.iter().map(|a| f(a[j])).sum::<f64>() / m as f64;
        let (estimate, within) = (mean(&|t| t.0), mean(&|t| t.1 * t.1));
        let between = mean(&|t| (t.0 - estimate).powi(2)) * m as f64 / (m - 1) as f64;
        let total = within + (1.0 + 1.0 / m as f64) * between;
        let lambda = (1.0 + 1.0 / m as f64) * between / total;
        let (old, complete) = ((m - 1) as f64 / (lambda * lambda), n - p);
        let seen = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - lambda);
        let df = 1.0 / (1.0 / old + 1.0 / seen);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{}: {a} {b}", names[j]);
        close(term.pooled.estimate, estimate);
        close(term.pooled.std_error(), total.sqrt());
        close(term.pooled.df, df);
        // Without a limit of degrees of freedom, (m − 1)/λ².
        let infinite = draws.pool(terms, f64::INFINITY).unwrap();
        close(infinite[j].pooled.df / old, 1.0);
    }
}

#[test]
fn b09_other_orders_of_columns_and_rows_give_the_same_fills() {
    let df = nhanes2();
    let turned = df.select(["chl", "hyp", "age", "bmi"]).unwrap();
    let order: Vec<IdxSize> = (0..25).map(|i| (i * 7 + 3) % 25).collect();
    let order = IdxCa::from_vec("".into(), order);
    for ((name, a), (_, b)) in fitted(&df).into_iter().zip(fitted(&turned)) {
        let fills = a.fill(&df).unwrap().frame;
        assert!(fills.equals(&b.fill(&turned).unwrap().frame.select(df.get_column_names_owned()).unwrap()), "{name}");
        let moved = a.fill(&df.take(&order).unwrap()).unwrap().frame;
        assert!(moved.equals(&fills.take(&order).unwrap()), "{name}");
    }
}

#[test]
fn b10_a_gap_that_the_fit_had_not_is_filled() {
    let (train, test) = (df!("x" => [1.0, 2.0]).unwrap(), df!("x" => [Some(3.0), None]).unwrap());
    for (name, imputer) in fitted(&train) {
        let out = imputer.fill(&test).unwrap().with_indicator().unwrap().frame;
        assert!(floats(&out, "x").iter().all(|x| x.is_some_and(f64::is_finite)), "{name}");
        assert_eq!(out.column("x_missing").unwrap().bool().unwrap().iter().collect::<Vec<_>>(), [Some(false), Some(true)]);
    }
}

#[test]
fn b11_indicators_are_exact_whatever_marks_a_gap() {
    let rows = [["m", "1", "5", "m", "1"], ["2", "m", "1", "m", "2"], ["6", "3", "m", "m", "3"], ["1", "2", "9", "m", "4"]];
    for marker in ["NaN", "-1", "0"] {
        let text: String = rows.iter().map(|r| r.join(",").replace('m', marker) + "\n").collect();
        let options = CsvOptions { na: vec![marker.into()], ..CsvOptions::default() };
        let (_, df) = csv_with(&format!("a,b,c,d,e\n{text}"), options);
        for (name, imputer) in fitted(&df) {
            let plain = imputer.fill(&df).unwrap();
            let out = plain.clone().with_indicator().unwrap().frame;
            assert!(out.select(["a", "b", "c", "d", "e"]).unwrap().equals_missing(&plain.frame), "{name}");
            let due = [("a", [1, 0, 0, 0]), ("b", [0, 1, 0, 0]), ("c", [0, 0, 1, 0]), ("d", [1, 1, 1, 1])];
            for (column, flags) in due {
                let column = out.column(&format!("{column}_missing")).unwrap().bool().unwrap();
                assert!(column.iter().zip(flags).all(|(is, due)| is == Some(due == 1)), "{name}, {marker}");
            }
            assert_eq!(out.width(), 9, "{name}: e has no gap and no indicator");
        }
    }
}

/// A documented difference: the indicators are of the table at hand, not of the fitted one.
#[test]
fn b12_indicators_are_those_of_the_table_at_hand() {
    let train = df!("a" => [0.0, 1.0], "b" => [None, Some(2.0)]).unwrap();
    for (name, imputer) in fitted(&train) {
        let out = |x: Option<f64>| {
            let df = df!("a" => [0.0, 1.0], "b" => [x, Some(2.0)]).unwrap();
            imputer.fill(&df).unwrap().with_indicator().unwrap().frame
        };
        let gap = out(None);
        assert_eq!(gap.get_column_names(), ["a", "b", "b_missing"], "{name}");
        assert_eq!(gap.column("b_missing").unwrap().bool().unwrap().iter().collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert_eq!(out(Some(1.0)).get_column_names(), ["a", "b"], "{name}");
    }
}

#[test]
fn b13_rank_one_is_recovered() {
    let (a, b, hide) = (numbers(1, 50, false), numbers(2, 50, false), numbers(3, 2500, false));
    let value = |i: usize, j: usize| a[i] * b[j];
    let df = matrix(50, 50, value, |i, j| hide[50 * i + j] > 0.5);
    let filled = VaeConfig::default().epochs(3).members(1).seed(1).fit(&df).unwrap().fill(&df).unwrap().frame;
    let (largest, rmse) = errors(&df, &filled, value);
    // Our bounds; the cells have a standard deviation of 0.22.
    assert!(rmse < 0.02 && largest < 0.2, "{rmse} {largest}");
}

#[test]
fn b14_low_rank_is_recovered_in_new_rows() {
    for rank in [3, 5] {
        let (a, b, hide) = (numbers(4, 70 * rank, false), numbers(5, 70 * rank, false), numbers(6, 4900, false));
        let value = |i: usize, j: usize| (0..rank).map(|r| a[rank * i + r] * b[rank * j + r]).sum::<f64>();
        let df = matrix(70, 70, value, |i, j| hide[70 * i + j] > 0.5);
        let (train, test) = (df.head(Some(35)), df.tail(Some(35)));
        let filled = VaeConfig::default().epochs(3).members(1).seed(1).fit(&train).unwrap().fill(&test).unwrap().frame;
        let (largest, rmse) = errors(&test, &filled, |i, j| value(i + 35, j));
        assert!(rmse < 0.1, "rank {rank}: {rmse} {largest}");
    }
}

#[test]
fn b15_an_additive_matrix_is_recovered() {
    let (n, d) = (100, 10);
    let (a, b, hide) = (numbers(7, n * d, true), numbers(8, n * d, true), numbers(9, n * d, false));
    let value = |i: usize, k: usize| {
        (0..d)
            .flat_map(|p| (0..d).map(move |q| (p, q)))
            .filter(|(p, q)| (p + q) % d == k)
            .map(|(p, q)| (a[d * i + p] + b[d * i + q]) / 2.0)
            .sum()
    };
    let df = matrix(n, d, value, |i, k| hide[d * i + k] > 0.25);
    let filled = VaeConfig::default().epochs(3).members(1).seed(1).fit(&df).unwrap().fill(&df).unwrap().frame;
    let (largest, rmse) = errors(&df, &filled, value);
    // Our bounds; the cells have a standard deviation of 2.2.
    assert!(rmse < 0.1 && largest < 0.5, "{rmse} {largest}");
}

/// Bounds on every column of a frame.
fn bounded(df: &DataFrame, low: f64, high: f64) -> Schema {
    let spec = |name: &PlSmallStr| ColumnSpec {
        name: name.to_string(),
        kind: Some(ColumnKind::Continuous),
        bounds: Some((Some(low.into()), Some(high.into()))),
        ..ColumnSpec::default()
    };
    let columns = df.get_column_names().into_iter().map(spec).collect();
    Schema::infer_with(df, &SchemaOptions { columns, ..SchemaOptions::default() }).unwrap()
}

#[test]
fn b16_bounds_hold_for_fills_and_draws() {
    let (x, hide) = (numbers(10, 1000, false), numbers(11, 1000, false));
    let df = matrix(100, 10, |i, j| x[10 * i + j], |i, j| hide[10 * i + j] < 0.1);
    for (name, imputer) in fitted_with(&df, &bounded(&df, 0.1, 0.2)) {
        let draws = imputer.draw(&df, 3, 1).unwrap();
        for out in [imputer.fill(&df).unwrap().frame, draws.completed(0).unwrap(), draws.completed(2).unwrap()] {
            assert!(observed_stay(&df, &out), "{name}");
            for column in df.columns() {
                let gaps = column.is_null();
                let cells = floats(&out, column.name()).into_iter().zip(gaps.iter());
                assert!(cells.filter(|(_, gap)| *gap == Some(true)).all(|(x, _)| (0.1..=0.2).contains(&x.unwrap())), "{name}");
            }
        }
    }
}

#[test]
fn b17_a_hundred_draws_within_bounds_have_a_shape() {
    let x = numbers(12, 25, true);
    let df = matrix(5, 5, |i, j| x[5 * i + j], |i, j| (i, j) != (0, 0));
    let imputer = quick().fit_with(&df, &bounded(&df, 0.0, 0.5)).unwrap();
    let draws = imputer.draw(&df, 100, 1).unwrap();
    let mut drawn: Vec<f64> = draws.cells("c0").unwrap().1.iter().map(|d| d[0]).collect();
    assert!(drawn.iter().all(|x| (0.0..=0.5).contains(x)));
    let n = drawn.len() as f64;
    let mean = drawn.iter().sum::<f64>() / n;
    let sd = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    drawn.sort_by(f64::total_cmp);
    // Kolmogorov and Smirnov's distance from a normal law, its distribution function by Simpson's rule.
    let phi = |z: f64| {
        let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let h = z / 200.0;
        let inner = |k: i32| f64::from(2 + 2 * (k % 2)) * density(h * f64::from(k));
        0.5 + h / 3.0 * (density(0.0) + density(z) + (1..200).map(inner).sum::<f64>())
    };
    let distance = drawn.iter().enumerate().map(|(i, x)| {
        let p = phi((x - mean) / sd);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    assert!(sd > 0.05 && distance < 0.2, "sd {sd}, distance {distance}");
}

#[test]
fn b18_draws_differ_between_seeds_and_fills_do_not_between_calls() {
    let df = nhanes();
    for (name, imputer) in fitted(&df) {
        let draw = |seed| imputer.draw(&df, 1, seed).unwrap().completed(0).unwrap();
        assert!(!draw(1).equals(&draw(2)) && draw(1).equals(&draw(1)), "{name}");
        assert!(imputer.fill(&df).unwrap().frame.equals(&imputer.fill(&df).unwrap().frame), "{name}");
    }
}

#[test]
fn b19_a_whole_table_comes_back_unchanged() {
    let df = MeanConfig::default().fit(&nhanes2()).unwrap().fill(&nhanes2()).unwrap().frame;
    for (name, imputer) in fitted(&df) {
        assert!(imputer.fill(&df).unwrap().frame.equals(&df), "{name}");
        assert!(imputer.draw(&df, 2, 1).unwrap().completed(1).unwrap().equals(&df), "{name}");
    }
}

#[test]
fn b20_odd_tables_have_a_result_or_a_named_error() {
    let one_column = df!("x" => [Some(1.0), None, Some(4.0)]).unwrap();
    let one_row = df!("x" => [Some(1.0)], "y" => [None::<f64>]).unwrap();
    let empty = df!("x" => [None::<f64>, None], "y" => [1.0, 2.0]).unwrap();
    let nan = df!("x" => [f64::NAN, f64::NAN], "y" => [1.0, 2.0]).unwrap();
    for (df, left) in [(&one_column, 0), (&one_row, 1), (&empty, 2), (&nan, 2)] {
        for (name, imputer) in fitted(df) {
            assert_eq!(imputer.fill(df).unwrap().report.left(), left, "{name}: {df}");
        }
    }
    let infinite = df!("x" => [1.0, f64::INFINITY]).unwrap();
    let e = quick().fit(&infinite).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::Value { row: 2, .. }), "{e}");
    let text = df!("x" => ["1", "many"]).unwrap();
    let e = Schema::infer_with(&text, &SchemaOptions::default().kind("x", ColumnKind::Continuous)).unwrap_err();
    assert!(e.to_string().contains("column `x` cannot be continuous") && e.to_string().contains("'many'"), "{e}");
    let e = MeanConfig::default().fit(&one_column).unwrap().fill(&df!("x" => ["a"]).unwrap()).unwrap_err();
    assert!(e.to_string().contains("`x` is of type str, due f64"), "{e}");
}

#[test]
fn b21_nearest_neighbours_are_those_of_scikit_learn() {
    let na = f64::NAN;
    let table = |rows: &[&[f64]]| matrix(rows.len(), rows[0].len(), |i, j| rows[i][j], |i, j| !rows[i][j].is_nan());
    let plain = KnnConfig::default().standardise(false);
    let uniform = plain.clone().weights(Weights::Uniform);
    let check = |config: &KnnConfig, fit: &[&[f64]], ask: &[&[f64]], due: &[&[f64]]| {
        let schema = Schema::infer_with(&table(fit), &continuous(fit[0].len())).unwrap();
        let out = config.fit_with(&table(fit), &schema).unwrap().fill(&table(ask)).unwrap().frame;
        for (i, row) in due.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                let found = cell(&out, &format!("c{j}"), i).unwrap();
                assert!((found - x).abs() < 1e-6, "row {i}, column {j}: {found}, due {x}");
            }
        }
    };
    fn continuous(d: usize) -> SchemaOptions {
        (0..d).fold(SchemaOptions::default(), |o, j| o.kind(&format!("c{j}"), ColumnKind::Continuous))
    }
    // verify, 7 × 4.
    let x: &[&[f64]] = &[
        &[1.0, 0.0, 0.0, 1.0],
        &[2.0, 1.0, 2.0, na],
        &[3.0, 2.0, 3.0, na],
        &[na, 4.0, 5.0, 5.0],
        &[6.0, na, 6.0, 7.0],
        &[8.0, 8.0, 8.0, 8.0],
        &[16.0, 15.0, 18.0, 19.0],
    ];
    let due: &[&[f64]] = &[
        &[1.0, 0.0, 0.0, 1.0],
        &[2.0, 1.0, 2.0, 8.0],
        &[3.0, 2.0, 3.0, 8.0],
        &[4.0, 4.0, 5.0, 5.0],
        &[6.0, 3.0, 6.0, 7.0],
        &[8.0, 8.0, 8.0, 8.0],
        &[16.0, 15.0, 18.0, 19.0],
    ];
    check(&uniform, x, x, due);
    // verify, 8 × 4: fewer neighbours than asked for.
    let x: &[&[f64]] = &[
        &[1.0, 0.0, 0.0, na],
        &[2.0, 1.0, 2.0, na],
        &[3.0, 2.0, 3.0, na],
        &[4.0, 4.0, 5.0, na],
        &[6.0, 7.0, 6.0, na],
        &[8.0, 8.0, 8.0, na],
        &[20.0, 20.0, 20.0, 20.0],
        &[22.0, 22.0, 22.0, 22.0],
    ];
    let due: Vec<Vec<f64>> = x.iter().map(|r| [&r[..3], &[if r[3].is_nan() { 21.0 } else { r[3] }]].concat()).collect();
    let due: Vec<&[f64]> = due.iter().map(Vec::as_slice).collect();
    check(&uniform, x, x, &due);
    // verify, 7 × 2: other rows than the fit's.
    let x: &[&[f64]] = &[&[0.0, 0.0], &[na, 2.0], &[4.0, 3.0], &[5.0, 6.0], &[7.0, 7.0], &[9.0, 8.0], &[11.0, 16.0]];
    check(&uniform, x, &[&[1.0, 0.0], &[3.0, 2.0], &[4.0, na]], &[&[1.0, 0.0], &[3.0, 2.0], &[4.0, 4.8]]);
    // one_n_neighbors.
    let x: &[&[f64]] = &[&[0.0, 0.0], &[na, 2.0], &[4.0, 3.0], &[5.0, na], &[7.0, 7.0], &[na, 8.0], &[14.0, 13.0]];
    let due: &[&[f64]] = &[&[0.0, 0.0], &[4.0, 2.0], &[4.0, 3.0], &[5.0, 3.0], &[7.0, 7.0], &[7.0, 8.0], &[14.0, 13.0]];
    check(&uniform.clone().k(1), x, x, due);
    // weight_uniform and weight_distance.
    let x: &[&[f64]] = &[&[0.0, 0.0], &[na, 2.0], &[4.0, 3.0], &[5.0, 6.0], &[7.0, 7.0], &[9.0, 8.0], &[11.0, 10.0]];
    let due = |fill: f64| -> Vec<Vec<f64>> {
        x.iter().map(|r| r.iter().map(|v| if v.is_nan() { fill } else { *v }).collect()).collect()
    };
    for (config, fill) in [(&uniform, 5.0), (&plain, 3.850394)] {
        let due = due(fill);
        check(config, x, x, &due.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

/// The area under the receiver's curve: how often a true case scores above a false one.
fn auc(cases: &[(f64, bool)]) -> f64 {
    let scores = |of: bool| cases.iter().filter(move |c| c.1 == of).map(|c| c.0).collect::<Vec<f64>>();
    let (yes, no) = (scores(true), scores(false));
    let win = |y: f64, n: f64| if y > n { 1.0 } else { 0.5 * f64::from(u8::from(y == n)) };
    let wins = yes.iter().map(|&y| no.iter().map(|&n| win(y, n)).sum::<f64>());
    wins.sum::<f64>() / (yes.len() * no.len()) as f64
}

#[test]
fn b22_iris_is_filled_better_than_by_means_and_chance() {
    let iris = csv(include_str!("../../fixtures/iris.csv")).1;
    let species: Vec<&str> = iris.column("species").unwrap().str().unwrap().iter().flatten().collect();
    for seed in 0..10 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let half: Vec<&str> =
            species.iter().map(|s| if rng.random_bool(if *s == "setosa" { 0.9 } else { 0.1 }) { "bar" } else { "foo" }).collect();
        let mut df = iris.clone();
        df.with_column(Series::new("half".into(), half).into_column()).unwrap();
        let schema = Schema::infer(&df).unwrap();
        let amputed = ampute(&df, &schema, Mechanism::Mcar, 0.2, seed).unwrap();
        let imputer = VaeConfig::default().epochs(3).members(1).hidden(32).seed(seed).fit_with(&amputed.frame, &schema).unwrap();
        let filled = imputer.fill(&amputed.frame).unwrap();
        let means = MeanConfig::default().fit_with(&amputed.frame, &schema).unwrap().fill(&amputed.frame).unwrap();
        for column in ["sepal_length", "petal_length", "petal_width"] {
            let truth = floats(&df, column);
            let square = |filled: &lacuna::Filled| {
                let (rows, cells) = filled.cells(column).unwrap();
                rows.iter().zip(cells).map(|(&r, x)| (x - truth[r].unwrap()).powi(2)).sum::<f64>()
            };
            assert!(square(&filled) < square(&means), "{seed}: {column}");
        }
        let draws = imputer.draw(&amputed.frame, 40, 1).unwrap();
        for column in ["species", "half"] {
            let levels = schema.column(column).unwrap().levels();
            let truth = df.column(column).unwrap().str().unwrap();
            let (rows, fills) = filled.cells(column).unwrap();
            let code = |row: usize| levels.iter().position(|l| Some(l.as_str()) == truth.get(row)).unwrap();
            let right = rows.iter().zip(fills).filter(|(r, x)| code(**r) as f64 == **x).count() as f64 / rows.len() as f64;
            assert!(right > 1.0 / levels.len() as f64, "{seed}: {column} {right}");
            let drawn = draws.cells(column).unwrap().1;
            for (level, name) in levels.iter().enumerate() {
                let score = |gap: usize| drawn.iter().filter(|d| d[gap] == level as f64).count() as f64;
                let cases: Vec<(f64, bool)> = rows.iter().enumerate().map(|(gap, &r)| (score(gap), code(r) == level)).collect();
                if cases.iter().any(|c| c.1) && cases.iter().any(|c| !c.1) {
                    assert!(auc(&cases) > 0.6, "{seed}: {column} {name}: {}", auc(&cases));
                }
            }
        }
    }
}

/// A documented difference: a draw depends on the row's place, not on a seed of the row's own.
#[test]
fn b23_a_row_is_filled_alike_anywhere_and_drawn_alike_in_its_place() {
    let df = nhanes();
    let order: Vec<IdxSize> = (0..25).rev().collect();
    let order = IdxCa::from_vec("".into(), order);
    for (name, imputer) in fitted(&df) {
        let fills = imputer.fill(&df).unwrap().frame;
        assert!(imputer.fill(&df.take(&order).unwrap()).unwrap().frame.equals(&fills.take(&order).unwrap()), "{name}");
        assert!(imputer.fill(&df.slice(5, 9)).unwrap().frame.equals(&fills.slice(5, 9)), "{name}");
        let drawn = |df: &DataFrame| imputer.draw(df, 2, 3).unwrap().completed(1).unwrap();
        // Rows added behind change no draw before them.
        assert!(drawn(&df.head(Some(9))).equals(&drawn(&df).head(Some(9))), "{name}");
    }
}

#[test]
fn b24_correlated_normals_beat_the_most_frequent_value() {
    let (n, p) = (50, 4);
    for (share, seed) in [(0.3, 1), (0.5, 2)] {
        let (z, e) = (numbers(seed, n, true), numbers(seed + 10, n * p, true));
        // Covariance 0.5 (11ᵀ + I).
        let value = |i: usize, j: usize| 0.5_f64.sqrt() * (z[i] + e[p * i + j]);
        let whole = matrix(n, p, value, |_, _| true);
        let schema = Schema::infer(&whole).unwrap();
        let mut amputed = ampute(&whole, &schema, Mechanism::Mar, share, seed).unwrap().frame;
        // And a row of which nothing is known.
        let nothing: Vec<Option<IdxSize>> = (0..n as IdxSize).map(|i| (i != 7).then_some(i)).collect();
        amputed = amputed.take(&IdxCa::new("".into(), nothing)).unwrap();
        let rmse = |imputer: &dyn Imputer| errors(&amputed, &imputer.fill(&amputed).unwrap().frame, value).1;
        let ours = rmse(&VaeConfig::default().epochs(6).members(1).fit(&amputed).unwrap());
        let mode = rmse(&MeanConfig::default().strategy(Strategy::Mode).fit(&amputed).unwrap());
        assert!(ours < mode, "{share}: {ours} {mode}");
    }
}

#[test]
fn b25_a_saved_model_answers_alike_and_another_version_is_refused() {
    let df = nhanes2();
    let imputer = quick().fit(&df).unwrap();
    let mut file = Vec::new();
    imputer.save_to(&mut file).unwrap();
    let loaded = VaeImputer::load_from(file.as_slice(), "m").unwrap();
    assert!(loaded.fill(&df).unwrap().frame.equals(&imputer.fill(&df).unwrap().frame));
    let draw = |imputer: &VaeImputer| imputer.draw(&df, 2, 5).unwrap().completed(1).unwrap();
    assert!(draw(&loaded).equals(&draw(&imputer)));
    let from = br#"{\"format\":1,"#;
    let at = file.windows(from.len()).position(|w| w == from).unwrap();
    file[at + from.len() - 2] = b'9';
    let e = VaeImputer::load_from(file.as_slice(), "m").unwrap_err();
    assert!(e.to_string().contains("the model has format 9"), "{e}");
}

#[test]
fn b26_rows_one_by_one_fits_twice_and_inputs_untouched() {
    let df = nhanes2();
    let before = df.clone();
    let (once, schema) = (quick(), Schema::infer(&df).unwrap());
    let settings = once.clone();
    for ((name, imputer), (_, again)) in fitted(&df).into_iter().zip(fitted(&df)) {
        let whole = imputer.fill(&df).unwrap().frame;
        for i in 0..25 {
            assert!(imputer.fill(&df.slice(i, 1)).unwrap().frame.equals(&whole.slice(i, 1)), "{name}: row {i}");
        }
        assert!(again.fill(&df).unwrap().frame.equals(&whole), "{name}");
        // What is filled stays as it is.
        assert!(imputer.fill(&whole).unwrap().frame.equals(&whole), "{name}");
    }
    once.fit_with(&df, &schema).unwrap();
    assert!(df.equals_missing(&before) && once == settings);
}

#[test]
fn b27_collinear_columns_are_both_filled() {
    let (x, e) = (numbers(20, 100, true), numbers(21, 100, true));
    let filled = |y: &dyn Fn(usize) -> f64, seed| {
        let df = df!("x" => &x, "y" => (0..100).map(y).collect::<Vec<f64>>(), "z" => &e).unwrap();
        let schema = Schema::infer(&df).unwrap();
        // The defaults of mice's ampute: half of the rows lose one of their columns, by the others.
        let options = AmputeOptions {
            mechanism: Mechanism::Mar,
            share: 0.5,
            seed,
            patterns: vec![Pattern::new(["x"]), Pattern::new(["y"]), Pattern::new(["z"])],
            ..AmputeOptions::default()
        };
        let amputed = ampute_with(&df, &schema, &options).unwrap();
        assert!(["x", "y", "z"].iter().all(|c| !amputed.hidden(c).unwrap().is_empty()));
        for (name, imputer) in fitted(&amputed.frame) {
            let out = imputer.fill(&amputed.frame).unwrap();
            assert_eq!((out.report.left(), gaps(&out.frame)), (0, 0), "{name}");
            assert!(["x", "y", "z"].iter().all(|c| floats(&out.frame, c).iter().all(|x| x.unwrap().is_finite())), "{name}");
        }
    };
    filled(&|i| 2.0 * x[i] + 0.1 * e[i], 1);
    for slope in [1.2, 1.3] {
        filled(&|i| slope * x[i], 2);
    }
}

/// A part of the thread's 6 000 rows and 750 columns, so that the test is quick; `LACUNA_WIDE=750` takes all columns.
#[test]
fn b28_dates_texts_and_hundreds_of_columns() {
    let (n, d) = (60, std::env::var("LACUNA_WIDE").ok().and_then(|d| d.parse().ok()).unwrap_or(200));
    let (z, e) = (numbers(30, n, true), numbers(31, n * d, true));
    let mut df = matrix(n, d, |i, j| z[i] + e[d * i + j], |i, j| (i * 7 + j * 3) % 11 != 0);
    let when: Vec<Option<i64>> = (0..n as i64).map(|i| (i % 5 != 1).then_some(1_700_000_000_000_000 + i * 60_000_000)).collect();
    let when = Series::new("when".into(), when).into_datetime(TimeUnit::Microseconds, None);
    let who: Vec<Option<String>> = (0..n).map(|i| (i % 6 != 2).then(|| format!("person {i}"))).collect();
    df.with_column(when.into_column()).unwrap();
    df.with_column(Series::new("who".into(), who).into_column()).unwrap();
    let schema = Schema::infer(&df).unwrap();
    let all: [Named; 2] = [
        ("mean", Box::new(MeanConfig::default().fit_with(&df, &schema).unwrap())),
        ("vae", Box::new(quick().epochs(1).fit_with(&df, &schema).unwrap())),
    ];
    for (name, imputer) in all {
        let out = imputer.fill(&df).unwrap();
        assert_eq!(out.frame.schema(), df.schema(), "{name}");
        // Names are an identifier and pass through, named; all else is filled with its own type.
        assert_eq!(out.report.left(), df.column("who").unwrap().null_count(), "{name}");
        assert!(out.report.warnings.iter().any(|w| matches!(w, Warning::TooManyLevels { column, .. } if column == "who")));
        assert_eq!(out.frame.column("when").unwrap().null_count(), 0, "{name}");
    }
}

#[test]
fn b29_types_stay_and_values_are_allowed_ones() {
    let n = 60;
    let gap = |i: usize, by: usize| i % by == 1;
    let stage: Vec<Option<i32>> = (0..n).map(|i| (!gap(i, 4)).then_some((i * 7 % 5) as i32)).collect();
    let byte: Vec<Option<u8>> = (0..n).map(|i| (!gap(i, 5)).then_some((i * 11 % 256) as u8)).collect();
    let flag: Vec<Option<bool>> = (0..n).map(|i| (!gap(i, 6)).then_some(i % 3 == 0)).collect();
    let word: Vec<Option<&str>> = (0..n).map(|i| (!gap(i, 7)).then_some(["low", "mid", "high"][i % 3])).collect();
    let mut df = df!("stage" => stage, "byte" => byte, "flag" => flag).unwrap();
    let word = Series::new("word".into(), word).cast(&DataType::from_categories(Categories::global())).unwrap();
    df.with_column(word.into_column()).unwrap();
    // An order of stages, which is what is allowed; as counts they would be whole numbers from zero.
    let schema = Schema::infer_with(&df, &SchemaOptions::default().kind("stage", ColumnKind::Ordinal)).unwrap();
    for (name, imputer) in fitted_with(&df, &schema) {
        let draws = imputer.draw(&df, 2, 1).unwrap();
        for out in [imputer.fill(&df).unwrap().frame, draws.completed(1).unwrap()] {
            assert_eq!((out.schema(), gaps(&out)), (df.schema(), 0), "{name}");
            assert!(floats(&out, "stage").iter().all(|x| (0.0..=4.0).contains(&x.unwrap())), "{name}");
            let words = out.column("word").unwrap().cast(&DataType::String).unwrap();
            assert!(words.str().unwrap().iter().all(|w| ["low", "mid", "high"].contains(&w.unwrap())), "{name}");
        }
    }
}

#[test]
fn b30_unseen_and_fewer_levels_are_no_crash() {
    let train = df!("c" => ["a", "b", "a", "c"], "x" => [1.0, 2.0, 1.1, 3.0]).unwrap();
    let new = df!("c" => [Some("z"), Some("a"), None], "x" => [None, Some(2.0), Some(1.0)]).unwrap();
    let fewer = df!("c" => [Some("a"), None], "x" => [Some(1.0), Some(1.0)]).unwrap();
    for (name, imputer) in fitted(&train) {
        let filled = imputer.fill(&new).unwrap();
        // Kept as it is, unobserved for the model, and said.
        assert_eq!(filled.frame.column("c").unwrap().str().unwrap().get(0), Some("z"), "{name}");
        assert_eq!(filled.report.filled(), 2, "{name}");
        let unseen = Warning::UnseenLevels { column: "c".into(), cells: 1, example: "z".into() };
        assert!(filled.report.warnings.contains(&unseen), "{name}");
        assert_eq!(imputer.fill(&fewer).unwrap().report.filled(), 1, "{name}");
    }
}

#[test]
fn b31_threads_change_nothing() {
    let df = nhanes2();
    let drawn = |threads| {
        let imputer = quick().members(2).threads(threads).fit(&df).unwrap();
        (imputer.draw(&df, 3, 1).unwrap().completed(2).unwrap(), imputer.fill(&df).unwrap().frame)
    };
    let (one, eight) = (drawn(1), drawn(8));
    assert!(one.0.equals(&eight.0) && one.1.equals(&eight.1));
}

#[test]
fn b32_amputed_shares_patterns_and_weights() {
    let n = 2000;
    let x = numbers(40, 4 * n, true);
    let df = matrix(n, 4, |i, j| x[4 * i + j], |_, _| true);
    let schema = Schema::infer(&df).unwrap();
    let one = vec![Pattern::new(["c0", "c1"])];
    let several =
        vec![Pattern::new(["c0"]).frequency(0.5), Pattern::new(["c1", "c2"]).frequency(0.3), Pattern::new(["c2"]).frequency(0.2)];
    let weighted: Vec<Pattern> = several.iter().map(|p| p.clone().weight("c3", 2.0)).collect();
    for mechanism in [Mechanism::Mcar, Mechanism::Mar, Mechanism::Mnar] {
        for share in [0.1, 0.5, 0.9] {
            for patterns in [&one, &several, &weighted] {
                if mechanism == Mechanism::Mcar && !patterns[0].weights.is_empty() {
                    continue;
                }
                let options = AmputeOptions { mechanism, share, seed: 3, patterns: patterns.clone(), ..AmputeOptions::default() };
                let amputed = ampute_with(&df, &schema, &options).unwrap();
                let lost = |c: &str| amputed.hidden(c).unwrap();
                let rows: std::collections::BTreeSet<usize> = ["c0", "c1", "c2"].iter().flat_map(|c| lost(c)).copied().collect();
                let met = rows.len() as f64 / n as f64;
                assert!((met - share).abs() < 0.04, "{mechanism} {share}: {met}");
                assert!(lost("c3").is_empty());
                if patterns.len() == 1 {
                    assert_eq!(lost("c0"), lost("c1"));
                }
                assert_eq!(gaps(&amputed.frame), amputed.cells());
                // Who loses has a higher score, unless nothing is looked at.
                if std::ptr::eq(patterns, &weighted) && share == 0.5 {
                    let mean: f64 = rows.iter().map(|&i| x[4 * i + 3]).sum::<f64>() / rows.len() as f64;
                    assert!(mean > 0.2, "{mechanism}: {mean}");
                }
            }
        }
    }
    let gaps = ampute(&df, &schema, Mechanism::Mcar, 0.1, 1).unwrap().frame;
    let e = ampute_with(&gaps, &schema, &AmputeOptions::default()).unwrap_err();
    assert!(e.to_string().contains("missing cells already"), "{e}");
    let allowed = AmputeOptions { allow_gaps: true, ..AmputeOptions::default() };
    assert!(ampute_with(&gaps, &schema, &allowed).unwrap().cells() > 0);
}

/// The page of the cases and the tests name each other.
#[test]
fn the_page_names_every_case_and_its_test() {
    let (page, tests) = (include_str!("../../docs/cases.md"), include_str!("cases.rs"));
    for id in 1..=32 {
        let line = page.lines().find(|l| l.starts_with(&format!("| B{id} |"))).unwrap_or_else(|| panic!("B{id}"));
        let test = line.rsplit('`').nth(1).unwrap();
        assert!(test.starts_with(&format!("b{id:02}_")) && tests.contains(&format!("fn {test}()")), "{line}");
    }
}
