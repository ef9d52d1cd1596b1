//! What a fitted model does beside filling: generate, score, embed, interpolate, decode; and whether its latent space is alive.

use std::sync::OnceLock;

use lacuna::polars::prelude::*;
use lacuna::{Fit, Generate, Imputer, Schema, SchemaOptions, VaeConfig, VaeImputer, Warning};

use crate::dtypes::every_dtype;

/// A length in two decimals, its double with noise, a whole number, a colour that goes with the length, an identifier.
pub(crate) fn plants() -> DataFrame {
    let n = 240;
    let length = |i: i64| (i * 37 % 101) as f64 / 20.0 + 1.0;
    let column = |k: i64, f: &dyn Fn(i64) -> f64| (0..n).map(|i| (i % 8 != k).then(|| f(i))).collect::<Vec<Option<f64>>>();
    let colour = |i: i64| if length(i) > 3.5 { "red" } else { "blue" };
    df!(
        "length" => column(1, &length),
        "double" => column(2, &|i| ((200.0 * length(i)).round() + (i % 7) as f64) / 100.0),
        "leaves" => (0..n).map(|i| (i % 8 != 3).then_some((2.0 * length(i)) as i64 + 3)).collect::<Vec<_>>(),
        "colour" => (0..n).map(|i| (i % 8 != 4).then(|| colour(i))).collect::<Vec<_>>(),
        "id" => (0..n).map(|i| format!("p{i}")).collect::<Vec<_>>(),
    )
    .unwrap()
}

pub(crate) fn model() -> &'static VaeImputer {
    static MODEL: OnceLock<VaeImputer> = OnceLock::new();
    MODEL.get_or_init(|| VaeConfig::default().epochs(12).members(2).hidden(48).latent_dim(2).seed(1).fit(&plants()).unwrap())
}

fn numbers(df: &DataFrame, name: &str) -> Vec<f64> {
    df.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().iter().map(|x| x.unwrap_or(f64::NAN)).collect()
}

fn texts(df: &DataFrame, name: &str) -> Vec<String> {
    df.column(name).unwrap().str().unwrap().iter().map(|x| x.unwrap_or("").to_string()).collect()
}

#[test]
fn made_rows_are_like_those_of_the_table() {
    let (plants, made) = (plants(), model().generate(&Generate::rows(400)).unwrap());
    assert_eq!(made.frame.schema(), plants.schema());
    assert_eq!(made.warnings, [Warning::NotGenerated { column: "id".into(), why: "too many levels".into() }]);
    assert_eq!(made.frame.column("id").unwrap().null_count(), 400);
    for name in ["length", "double", "leaves"] {
        let (ours, table) = (numbers(&made.frame, name), numbers(&plants, name));
        let (low, high) = table.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        assert!(ours.iter().all(|x| (low..=high).contains(x)), "{name} stays in its range");
        assert!(ours.iter().all(|x| (x * 100.0 - (x * 100.0).round()).abs() < 1e-9), "{name} has two decimals");
        let mean = |x: &[f64]| x.iter().filter(|x| !x.is_nan()).sum::<f64>() / x.iter().filter(|x| !x.is_nan()).count() as f64;
        assert!((mean(&ours) - mean(&table)).abs() < 0.1 * (high - low), "{name}: {} {}", mean(&ours), mean(&table));
    }
    // Cells of a row agree with each other.
    let (length, double, colour) = (numbers(&made.frame, "length"), numbers(&made.frame, "double"), texts(&made.frame, "colour"));
    let off: Vec<f64> = length.iter().zip(&double).map(|(x, y)| (y - 2.0 * x).abs()).collect();
    assert!(off.iter().filter(|x| **x < 1.0).count() > 300, "{off:?}");
    assert!(length.iter().zip(&colour).filter(|(x, c)| (**x > 3.5) == (*c == "red")).count() > 320);
}

#[test]
fn more_rows_begin_with_the_same_ones_and_threads_do_not_matter() {
    let [few, many] = [70, 150].map(|n| model().generate(&Generate::rows(n).seed(3)).unwrap().frame);
    assert!(few.equals_missing(&many.head(Some(70))));
    let one = model().clone().with_threads(Some(1)).generate(&Generate::rows(70).seed(3)).unwrap().frame;
    assert!(few.equals_missing(&one));
    assert!(!few.equals_missing(&model().generate(&Generate::rows(70).seed(4)).unwrap().frame));
    assert_eq!(model().generate(&Generate::rows(0)).unwrap().frame.schema(), few.schema());
}

#[test]
fn given_cells_stay_and_the_others_follow_them() {
    let red = model().generate(&Generate::rows(200).given("colour", "red")).unwrap().frame;
    assert!(texts(&red, "colour").iter().all(|c| c == "red"));
    let above = numbers(&red, "length").iter().filter(|x| **x > 3.5).count();
    assert!(above > 150, "{above}");
    // A number that the table does not have, with more decimals than it has.
    let odd = model().generate(&Generate::rows(5).given("length", "2").given("length", "2.345")).unwrap().frame;
    assert_eq!(numbers(&odd, "length"), [2.345; 5]);
}

#[test]
fn wrong_wishes_are_named() {
    let message = |options: Generate| {
        let e = model().generate(&options).unwrap_err();
        assert!(e.is_usage(), "{e}");
        e.to_string()
    };
    assert_eq!(message(Generate::rows(1).given("color", "red")), "there is no column `color`; did you mean `colour`?");
    assert_eq!(message(Generate::rows(1).given("colour", "pink")), "the given colour is 'pink'; it must be one of 'blue', 'red'");
    assert_eq!(
        message(Generate::rows(1).given("length", "long")),
        "the given length is 'long'; it must be a cell of a column of type f64, written as in the table"
    );
    assert_eq!(
        message(Generate::rows(1).given("id", "p1")),
        "the given id is 'p1'; it must be left out: too many levels, no model of the column"
    );
    let whole =
        df!("x" => (0..60).map(f64::from).collect::<Vec<_>>(), "y" => (0..60).map(f64::from).collect::<Vec<_>>()).unwrap();
    let whole = VaeConfig::default().epochs(1).hidden(8).members(1).fit(&whole).unwrap();
    assert_eq!(
        whole.generate(&Generate::rows(1).with_gaps()).unwrap_err().to_string(),
        "with_gaps is true; it must be false: the fitted table had no gaps"
    );
}

#[test]
fn gaps_come_as_often_and_together_as_in_the_table() {
    let made = model().generate(&Generate::rows(800).with_gaps().given("leaves", "9")).unwrap().frame;
    for name in ["length", "double", "colour"] {
        let share = made.column(name).unwrap().null_count() as f64 / 800.0;
        assert!((share - 0.125).abs() < 0.04, "{name}: {share}");
    }
    assert_eq!(made.column("leaves").unwrap().null_count(), 0, "given cells are no gaps");
    // In the table no row misses two cells.
    let missing = ["length", "double", "colour"].map(|name| made.column(name).unwrap().is_null());
    assert!((0..800).all(|i| missing.iter().filter(|m| m.get(i) == Some(true)).count() <= 1));
    let whole = model().generate(&Generate::rows(800).given("leaves", "9")).unwrap().frame;
    let same = |name: &str| numbers(&made, name).iter().zip(numbers(&whole, name)).all(|(a, b)| a.is_nan() || *a == b);
    assert!(same("length") && same("double"), "gaps change no other cell");
}

#[test]
fn every_dtype_is_generated_as_it_is() {
    let df = every_dtype();
    let model = VaeConfig::default().epochs(1).hidden(8).members(1).fit(&df).unwrap();
    let made = model.generate(&Generate::rows(7)).unwrap();
    assert_eq!(made.frame.schema(), df.schema());
    for column in model.schema().columns() {
        let nulls = made.frame.column(column.name()).unwrap().null_count();
        assert_eq!(
            nulls,
            if made.warnings.iter().any(|w| w.to_string().contains(&format!("`{}`", column.name()))) { 7 } else { 0 }
        );
    }
    let decoded = model.decode(&model.embed(&df, false).unwrap()).unwrap();
    assert_eq!(decoded.frame.schema(), df.schema());
}

#[test]
fn the_path_between_two_rows_is_smooth() {
    let plants = plants();
    let length = numbers(&plants, "length");
    let row = |best: fn(f64, f64) -> bool| {
        let seen = (0..length.len()).filter(|&i| !length[i].is_nan());
        seen.reduce(|a, b| if best(length[b], length[a]) { b } else { a }).unwrap()
    };
    let (short, long) = (row(|a, b| a < b), row(|a, b| a > b));
    let path = model().interpolate(&plants, short, long, 41).unwrap().frame;
    let at = numbers(&path, "length");
    let steps: Vec<f64> = at.windows(2).map(|w| w[1] - w[0]).collect();
    let (low, high) = (length[short], length[long]);
    assert!(steps.iter().all(|s| s.abs() < 0.12 * (high - low)), "no step is a jump: {steps:?}");
    // One change of colour, not several.
    let colour = texts(&path, "colour");
    assert!(colour.windows(2).filter(|w| w[0] != w[1]).count() <= 1, "{colour:?}");
    // The ends are the decoded ends.
    let ends = model().decode(&model().embed(&plants, false).unwrap()).unwrap().frame;
    assert_eq!((at[0], at[40]), (numbers(&ends, "length")[short], numbers(&ends, "length")[long]));
}

#[test]
fn points_of_rows_depend_on_those_rows_and_decode_to_what_they_are_near() {
    let plants = plants();
    let points = model().embed(&plants, true).unwrap();
    assert_eq!(points.get_column_names(), ["z1", "z2", "z1_sd", "z2_sd"]);
    let part = model().embed(&plants.slice(100, 30), true).unwrap();
    assert!(points.slice(100, 30).equals(&part));
    assert!(numbers(&points, "z1_sd").iter().all(|s| *s > 0.0));
    let empty =
        df!("length" => [f64::NAN], "double" => [None::<f64>], "leaves" => [None::<i64>], "colour" => [None::<&str>]).unwrap();
    let nowhere = model().embed(&empty, true).unwrap();
    assert_eq!(["z1", "z2", "z1_sd", "z2_sd"].map(|c| numbers(&nowhere, c)[0]), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(model().decode(&points).unwrap().frame.schema(), plants.schema());
}

#[test]
fn wrong_points_and_steps_are_named() {
    let message = |df: DataFrame| model().decode(&df).unwrap_err().to_string();
    assert_eq!(
        message(df!("z1" => [0.0]).unwrap()),
        "the latent points have no column `z2`; `z1` to `z2` are due, as lacuna embed writes them"
    );
    assert_eq!(
        message(df!("z1" => [0.0, 1.0], "z2" => [Some(0.0), None]).unwrap()),
        "column `z2`, row 2: found a missing cell; a finite number is due"
    );
    assert_eq!(
        message(df!("z1" => [f64::INFINITY], "z2" => [0.0]).unwrap()),
        "column `z1`, row 1: found inf; a finite number is due"
    );
    let plants = plants();
    let message = |from, to, steps| model().interpolate(&plants, from, to, steps).unwrap_err().to_string();
    assert_eq!(message(0, 240, 3), "to is 240; it must be below 240, the number of rows");
    assert_eq!(message(0, 1, 1), "steps is 1; it must be from 2 to 1000000");
}

/// A number, its square and its sine.
fn curves() -> DataFrame {
    let t = |i: i64| ((i * 37 % 101) as f64 - 50.0) / 25.0;
    let noise = |i: i64, k: i64| ((i * k % 89) as f64 - 44.0) / 150.0;
    df!(
        "a" => (0..300).map(|i| t(i) + noise(i, 53)).collect::<Vec<_>>(),
        "b" => (0..300).map(|i| t(i).powi(2) + noise(i, 71)).collect::<Vec<_>>(),
        "c" => (0..300).map(|i| (2.0 * t(i)).sin() + noise(i, 31)).collect::<Vec<_>>(),
    )
    .unwrap()
}

#[test]
fn a_latent_space_that_is_made_to_collapse_is_seen_to_have() {
    let short = VaeConfig::default().epochs(8).members(1).hidden(32).latent_dim(2).seed(2);
    // A divergence that costs fifty times as much as it should, and from the first step on: z does not pay.
    let collapsed = short.kl_weight(50.0).warm_up(0.0).fit(&curves()).unwrap();
    let used = &collapsed.latent_use()[0];
    assert!(used.has_collapsed() && used.kl.iter().sum::<f64>() < 1.0, "{used}");
    // The figures are the model's own: they come back from a file.
    let mut file = Vec::new();
    collapsed.save_to(&mut file).unwrap();
    assert_eq!(VaeImputer::load_from(&file[..], "m").unwrap().latent_use(), collapsed.latent_use());
}

#[test]
fn free_bits_keep_a_latent_space_alive_that_would_collapse() {
    // Six functions of one hidden number, and a divergence that costs three times as much as it should from the first step on.
    let t = |i: i64| ((i * 37 % 101) as f64 - 50.0) / 25.0;
    let column =
        |k: i64, f: fn(f64) -> f64| -> Vec<f64> { (0..400).map(|i| f(t(i)) + ((i * k % 89) as f64 - 44.0) / 250.0).collect() };
    let df = df!(
        "a" => column(53, |t| (2.0 * t).sin()),
        "b" => column(71, |t| t * t),
        "c" => column(31, |t| (3.0 * t).cos()),
        "d" => column(43, f64::tanh),
        "e" => column(61, |t| t),
        "f" => column(67, f64::abs),
    )
    .unwrap();
    let costly = VaeConfig::default().epochs(15).members(1).hidden(32).kl_weight(3.0).warm_up(0.0).seed(1);
    let collapsed = costly.clone().fit(&df).unwrap().latent_use()[0].clone();
    assert!(collapsed.has_collapsed(), "{collapsed}");
    let alive = costly.free_bits(0.5).fit(&df).unwrap().latent_use()[0].clone();
    assert!(!alive.has_collapsed() && alive.active == 3 && alive.gain > 0.2, "{alive}");
    // Every unit takes the nats that it has for nothing, and few more.
    assert!(alive.kl.iter().all(|&kl| (0.25..1.0).contains(&kl)), "{:?}", alive.kl);
}

#[test]
fn a_plain_autoencoder_has_no_divergence() {
    let short = VaeConfig::default().epochs(8).members(1).hidden(32).latent_dim(2).seed(2);
    let plain = short.clone().plain_autoencoder().fit(&curves()).unwrap();
    assert!(plain.warnings().is_empty());
    let used = &plain.latent_use()[0];
    assert!(used.kl.iter().sum::<f64>() > 5.0, "nothing holds its points near N(0, I): {used}");
    let e = short.plain_autoencoder().free_bits(0.1).fit(&curves()).unwrap_err();
    assert_eq!(e.to_string(), "free_bits is 0.1; it must be left out of a plain autoencoder, which has no divergence");
    let e = VaeConfig::default().warm_up(1.5).fit(&curves()).unwrap_err();
    assert_eq!(e.to_string(), "warm_up is 1.5; it must be from 0 to 1");
}

#[test]
fn scores_name_the_odd_row_and_its_odd_cell() {
    let plants = plants();
    // A row whose length and double disagree, each of which is usual by itself.
    let odd = df!(
        "length" => [2.0, 2.0, 2.0], "double" => [Some(4.02), Some(9.5), None], "leaves" => [7_i64, 7, 7],
        "colour" => ["blue", "blue", "blue"], "id" => ["a", "b", "c"],
    )
    .unwrap();
    let scores = model().score(&odd).unwrap();
    assert_eq!(scores.rank[1], 1);
    assert!(scores.score[1] > scores.score[0] + 2.0, "{:?}", scores.score);
    assert!(scores.percentile[1] > 95.0 && scores.percentile[0] < 95.0, "{:?}", scores.percentile);
    let oddest = scores.oddest(1).unwrap();
    // The three that go together no longer do; the colour still goes with the length.
    assert!(["length", "double", "leaves"].contains(&oddest), "{oddest}");
    let frame = scores.to_frame().unwrap();
    let double = numbers(&frame, "double_score");
    assert!(double[1] > double[0] + 1.0, "{double:?}");
    assert_eq!(frame.column("double_score").unwrap().null_count(), 1, "a missing cell has no part");
    // The rows of the fit are as odd as the model's own, on average, with their gaps.
    let all = model().score(&plants).unwrap();
    let mean = all.percentile.iter().sum::<f64>() / 240.0;
    assert!((30.0..70.0).contains(&mean), "{mean}");
    // A row's score is its own: not the company's.
    let part = model().score(&plants.slice(60, 20)).unwrap();
    assert_eq!(part.score, all.score[60..80]);
    assert_eq!(part.percentile, all.percentile[60..80]);
}

#[test]
fn kept_forms_of_csv_files_are_used_again() {
    let rows = |i: usize| {
        let price = format!("\"${},{:03}.50\"", i % 9 + 1, i * 37 % 1000);
        format!(
            "{};{price};{};{:02}.{:02}.2024\r\n",
            if i.is_multiple_of(2) { "yes" } else { "no" },
            ["T", "F"][i / 3 % 2],
            i % 28 + 1,
            i % 12 + 1
        )
    };
    let text = format!("open;price;flag;day\r\n{}", (0..90).map(rows).collect::<String>());
    let options = lacuna::CsvOptions { delimiter: b';', ..Default::default() };
    let columns = SchemaOptions::default();
    let csv = lacuna::CsvTable::read(text.as_bytes(), "t.csv".as_ref(), &options, &columns).unwrap();
    let df = csv.to_frame().unwrap();
    let schema = Schema::infer_with(&df, &columns).unwrap();
    let fitted = VaeConfig::default().epochs(1).hidden(8).members(1).fit_with(&df, &schema).unwrap();
    let fitted = fitted.with_csv(&csv, &options, &columns);
    let mut file = Vec::new();
    fitted.save_to(&mut file).unwrap();
    let loaded = VaeImputer::load_from(&file[..], "m").unwrap();
    let made = loaded.generate(&Generate::rows(20).given("day", "03.02.2024")).unwrap();
    let mut out = Vec::new();
    made.write_csv(&mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let mut lines = out.split("\r\n");
    assert_eq!(lines.next(), Some("open;price;flag;day"));
    for line in lines.by_ref().take(20) {
        let cells: Vec<&str> = line.split(';').collect();
        assert!(["yes", "no"].contains(&cells[0]) && ["T", "F"].contains(&cells[2]) && cells[3] == "03.02.2024", "{line}");
        assert!(cells[1].starts_with("\"$") && cells[1].ends_with('"') && cells[1].len() == 11, "{line}");
    }
    assert_eq!(lines.collect::<Vec<_>>(), [""]);
    let e = loaded.generate(&Generate::rows(1).given("day", "2024-02-03")).unwrap_err();
    assert_eq!(
        e.to_string(),
        "the given day is '2024-02-03'; it must be a cell of a column of type date, written as in the table"
    );
}
