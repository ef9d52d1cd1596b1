//! Draws: the long form and back, bounds, donors, pooling and guidance.

use std::path::Path;

use crate::cases::regression;
use lacuna::data::arrow::to_frame;
use lacuna::{
    Bound, ColumnKind, ColumnSpec, CsvOptions, CsvTable, Family, Fit, Form, Imputations, Imputer, KnnConfig, MeanConfig, Schema,
    SchemaOptions, Term, VaeConfig, VaeImputer,
};
use ndarray_rand::rand::{Rng, SeedableRng};
use ndarray_rand::rand_distr::StandardNormal;
use polars::prelude::*;
use rand_xoshiro::Xoshiro256PlusPlus;

const PENGUINS: &str = include_str!("../../fixtures/penguins.csv");
const ORDERS: &str = include_str!("../../fixtures/orders.csv");

fn read(text: &str) -> (CsvTable, DataFrame) {
    let csv = CsvTable::read(text.as_bytes(), Path::new("t.csv"), &CsvOptions::default(), &SchemaOptions::default()).unwrap();
    let frame = csv.to_frame().unwrap();
    (csv, frame)
}

fn same(a: &Imputations, b: &Imputations) {
    assert_eq!(a.m(), b.m());
    for i in 0..a.m() {
        assert!(a.completed(i).unwrap().equals_missing(&b.completed(i).unwrap()), "table {i}");
    }
    for column in a.report().columns.iter() {
        let (left, right) = (a.cells(&column.column), b.cells(&column.column));
        assert_eq!(left, right, "{}", column.column);
        assert!(left.is_some());
    }
    assert_eq!(a.report().guidance, b.report().guidance);
    assert_eq!((a.report().filled(), a.report().left()), (b.report().filled(), b.report().left()));
}

#[test]
fn the_long_form_reads_back_as_the_same_imputations() {
    for (text, filled) in [(PENGUINS, 19), (ORDERS, 1)] {
        let (csv, frame) = read(text);
        let draws = KnnConfig::default().fit(&frame).unwrap().draw(&frame, 3, 7).unwrap().with_original();
        assert!(draws.report().filled() >= filled);
        // By Arrow.
        let long = to_frame(&draws.to_record_batch(Form::Long).unwrap()).unwrap();
        assert_eq!(long.height(), 4 * frame.height());
        same(&draws, &Imputations::from_long(&long).unwrap());
        // With its rows in another order, the original's in theirs.
        let (head, tail) = (long.head(Some(frame.height())), long.tail(Some(3 * frame.height())));
        let turned = head.vstack(&tail.reverse()).unwrap();
        same(&draws, &Imputations::from_long(&turned).unwrap());
        // By CSV, which rounds as the columns do: what it says, read back and written again, is the same text.
        let mut out = Vec::new();
        draws.write_csv(&csv, true, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let back = Imputations::from_long(&read(&out).1).unwrap();
        assert_eq!(back.m(), 3);
        let mut again = Vec::new();
        back.with_original().write_csv(&csv, true, &mut again).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), out);
        // The original stands first, its gaps as they were.
        let first: String =
            out.lines().skip(1).take(csv.rows()).map(|l| format!("{}\n", l.splitn(3, ',').nth(2).unwrap())).collect();
        let body = text.split_once('\n').unwrap().1.replace("\r\n", "\n");
        assert_eq!(first.trim_end(), body.trim_end());
    }
}

#[test]
fn a_draw_is_a_table_of_its_own() {
    let (csv, frame) = read(PENGUINS);
    let draws = MeanConfig::default().fit(&frame).unwrap().draw(&frame, 2, 0).unwrap();
    let one = draws.filled(1).unwrap();
    assert!(one.frame.equals_missing(&draws.completed(1).unwrap()));
    let mut out = Vec::new();
    one.write_csv(&csv, true, &mut out).unwrap();
    assert!(read(std::str::from_utf8(&out).unwrap()).1.equals_missing(&one.frame));
    assert!(draws.filled(2).is_err());
}

/// y follows x with noise; a third of y is missing.
fn line(n: i32) -> DataFrame {
    let x: Vec<f64> = (0..n).map(|i| f64::from(i * 37 % 101) / 10.0).collect();
    let noise = |i: i32| f64::from(i * 53 % 97) / 97.0 - 0.5;
    let y: Vec<Option<f64>> = x.iter().zip(0..).map(|(x, i)| (i % 3 != 1).then(|| 10.0 + x + noise(i))).collect();
    df!("x" => x, "y" => y).unwrap()
}

#[test]
fn bounds_that_leave_a_hundredth_of_the_draws_do_not_heap_them_on_the_bound() {
    let frame = line(150);
    // Almost every plain draw of y is below 20.
    let bounds = Some((Some(Bound::Number(20.0)), Some(Bound::Number(22.0))));
    let spec = ColumnSpec { name: "y".into(), bounds, ..ColumnSpec::default() };
    let kind = |family| (family == Family::LogNormal).then_some(ColumnKind::Positive);
    let family = |family| ColumnSpec { name: "y".into(), family: Some(family), kind: kind(family), ..ColumnSpec::default() };
    for name in [Family::Gaussian, Family::StudentT, Family::LogNormal] {
        let options = SchemaOptions { columns: vec![spec.clone(), family(name)], ..SchemaOptions::default() };
        let schema = Schema::infer_with(&frame, &options).unwrap();
        let imputer = VaeConfig::default().epochs(6).members(1).fit_with(&frame, &schema).unwrap();
        let draws = imputer.draw(&frame, 10, 1).unwrap();
        let mut all = draws.cells("y").unwrap().1.concat();
        all.sort_by(f64::total_cmp);
        let n = all.len();
        assert!(20.0 < all[0] && all[n - 1] < 22.0, "{name}: {} {}", all[0], all[n - 1]);
        all.dedup();
        assert_eq!(all.len(), n, "{name}: values stand twice");
    }
}

/// Draws of the other imputers are observed values: inside the bounds, where there are any.
#[test]
fn observed_values_outside_the_bounds_are_not_drawn() {
    let frame = line(150);
    let bounds = Some((Some(Bound::Number(14.0)), Some(Bound::Number(16.0))));
    let spec = ColumnSpec { name: "y".into(), bounds, ..ColumnSpec::default() };
    let schema = Schema::infer_with(&frame, &SchemaOptions { columns: vec![spec], ..SchemaOptions::default() }).unwrap();
    let seen: Vec<f64> = frame.column("y").unwrap().f64().unwrap().iter().flatten().collect();
    let mean: Box<dyn Imputer> = Box::new(MeanConfig::default().fit_with(&frame, &schema).unwrap());
    let knn: Box<dyn Imputer> = Box::new(KnnConfig::default().fit_with(&frame, &schema).unwrap());
    for imputer in [mean, knn] {
        let drawn = imputer.draw(&frame, 10, 1).unwrap().cells("y").unwrap().1.concat();
        assert!(drawn.iter().all(|x| seen.contains(x) && (14.0..=16.0).contains(x)), "{drawn:?}");
    }
}

#[test]
fn donors_give_values_seen_in_the_column() {
    let frame = line(150);
    let config = VaeConfig::default().epochs(10).members(1).donors(5).seed(3);
    let draws = config.fit(&frame).unwrap().draw(&frame, 8, 1).unwrap();
    let seen: Vec<f64> = frame.column("y").unwrap().f64().unwrap().iter().flatten().collect();
    let x: Vec<f64> = frame.column("x").unwrap().f64().unwrap().iter().flatten().collect();
    let (rows, cells) = draws.cells("y").unwrap();
    assert!(cells.concat().iter().all(|y| seen.contains(y)));
    // They follow x, and differ.
    let error = |cells: &[f64]| rows.iter().zip(cells).map(|(&r, y)| (y - 10.0 - x[r]).abs()).sum::<f64>() / rows.len() as f64;
    assert!(cells.iter().all(|c| error(c) < 1.5), "{}", error(cells[0]));
    assert!(cells[0] != cells[1]);
    let filled = config.fit(&frame).unwrap().fill(&frame).unwrap();
    assert!(filled.cells("y").unwrap().1.iter().all(|y| seen.contains(y)));
    // The same on one thread, and for a row whatever its company.
    let one = config.clone().threads(1).fit(&frame).unwrap();
    same(&draws, &one.draw(&frame, 8, 1).unwrap());
    let head = one.draw(&frame.head(Some(70)), 8, 1).unwrap();
    let (few, there) = head.cells("y").unwrap();
    assert!(there.iter().zip(&cells).all(|(a, b)| a[..] == b[..few.len()]));
    assert!(VaeConfig::default().donors(0).fit(&frame).unwrap_err().is_usage());
}

#[test]
fn draws_of_every_imputer_go_with_the_id() {
    let customers: Vec<String> = (0..90).map(|i| format!("c{i}")).collect();
    let mut frame = line(90);
    frame.with_column(Column::new("customer".into(), customers)).unwrap();
    let schema = Schema::infer_with(&frame, &SchemaOptions::default().id("customer")).unwrap();
    let imputers: [Box<dyn Imputer>; 3] = [
        Box::new(MeanConfig::default().fit_with(&frame, &schema).unwrap()),
        Box::new(KnnConfig::default().fit_with(&frame, &schema).unwrap()),
        Box::new(VaeConfig::default().epochs(2).members(1).donors(3).fit_with(&frame, &schema).unwrap()),
    ];
    for imputer in imputers {
        let y = |frame: &DataFrame| -> Vec<Vec<f64>> {
            imputer.draw(frame, 4, 7).unwrap().cells("y").unwrap().1.iter().map(|cells| cells.to_vec()).collect()
        };
        let (all, last) = (y(&frame), y(&frame.tail(Some(45))));
        assert!(all.iter().zip(&last).all(|(all, last)| all.len() == 30 && all.ends_with(last) && last.len() == 15));
        let turned = y(&frame.reverse());
        assert!(all.iter().zip(turned).all(|(all, turned)| all.iter().rev().eq(turned.iter())));
    }
}

/// g is "a" or "b", the more often "b" the larger x; a third of it is missing. The shares alone would draw it without regard to x.
#[test]
fn levels_of_few_rows_are_drawn_in_their_relation_to_others() {
    let n = 200;
    let x: Vec<f64> = (0..n).map(|i| (i * 37 % 101) as f64 / 25.0 - 2.0).collect();
    let is_b = |i: usize| x[i] + 3.0 * (((i * 53) % 97) as f64 / 97.0 - 0.5) > 0.0;
    let g: Vec<Option<&str>> = (0..n).map(|i| (i % 3 != 1).then(|| if is_b(i) { "b" } else { "a" })).collect();
    let frame = df!("x" => &x, "g" => g).unwrap();
    let draws = VaeConfig::default().fit(&frame).unwrap().draw(&frame, 20, 1).unwrap();
    let (rows, cells) = draws.cells("g").unwrap();
    // The mean of x where it is b less that where it is a.
    let apart = |cells: &mut dyn Iterator<Item = (usize, bool)>| {
        let mut sums = [(0.0, 0.0); 2];
        cells.for_each(|(row, b)| sums[usize::from(b)] = (sums[usize::from(b)].0 + x[row], sums[usize::from(b)].1 + 1.0));
        sums[1].0 / sums[1].1 - sums[0].0 / sums[0].1
    };
    let truth = apart(&mut rows.iter().map(|&row| (row, is_b(row))));
    let drawn = apart(&mut cells.iter().flat_map(|draw| rows.iter().zip(draw.iter()).map(|(&row, &level)| (row, level == 1.0))));
    assert!(truth > 1.0 && (drawn / truth - 1.0).abs() < 0.04, "{truth} {drawn}");
}

/// y = x + x² / 2 + e, x missing in three rows of ten: x given y has two modes, which a straight line between them is not, and draws that
/// are normal about what is expected of x take a fifth off the bend.
#[test]
fn what_an_outcome_bends_with_is_drawn_so_that_it_bends_as_much() {
    let n = 300;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normals = || -> Vec<f64> { (0..n).map(|_| rng.sample(StandardNormal)).collect() };
    let (x, e) = (normals(), normals());
    let y: Vec<f64> = x.iter().zip(e).map(|(x, e)| x + 0.5 * x * x + e).collect();
    let gap = |i: usize| i % 10 < 3;
    let seen: Vec<Option<f64>> = (0..n).map(|i| (!gap(i)).then_some(x[i])).collect();
    let frame = df!("x" => seen, "y" => &y).unwrap();
    let model = VaeConfig::default().fit(&frame).unwrap();
    let draws = model.draw(&frame, 20, 1).unwrap();
    let complete: Vec<usize> = (0..n).filter(|&i| !gap(i)).collect();
    let of = |v: &[f64]| complete.iter().map(|&i| v[i]).collect::<Vec<_>>();
    let bend = |x: Vec<f64>, y: &[f64]| regression(y, &[x.iter().map(|x| x * x).collect(), x])[1].0;
    let known = bend(of(&x), &of(&y));
    let (rows, cells) = draws.cells("x").unwrap();
    let of_draw = |draw: &[f64]| {
        let mut x = x.clone();
        rows.iter().zip(draw).for_each(|(&row, &drawn)| x[row] = drawn);
        bend(x, &y)
    };
    let mean = cells.iter().map(|draw| of_draw(draw)).sum::<f64>() / 20.0;
    assert!((mean / known - 1.0).abs() < 0.1, "{mean} {known}");

    // From a file and of some rows the same.
    let mut file = Vec::new();
    model.save_to(&mut file).unwrap();
    let loaded = VaeImputer::load_from(file.as_slice(), "m.safetensors").unwrap();
    same(&draws, &loaded.draw(&frame, 20, 1).unwrap());
    let head = loaded.with_threads(Some(1)).draw(&frame.head(Some(99)), 20, 1).unwrap();
    assert!(cells.iter().zip(head.cells("x").unwrap().1).all(|(all, head)| all.starts_with(head)));
    // Damage is found before the model answers.
    let text = String::from_utf8_lossy(&file).into_owned();
    let at = text.find("\\\"outcomes\\\":[{\\\"column\\\":1,").expect("y is an outcome");
    file[at + 26] = b'9';
    assert!(VaeImputer::load_from(file.as_slice(), "m.safetensors").unwrap_err().to_string().contains("linear model"));
}

#[test]
fn guidance_is_the_pooled_mean_of_each_column() {
    let frame = line(90);
    let draws = MeanConfig::default().fit(&frame).unwrap().draw(&frame, 20, 5).unwrap();
    let mean = |df: &DataFrame| {
        let y = df.column("y")?.f64()?;
        Ok(vec![Term::new("y", y.mean().unwrap(), y.std(1).unwrap() / (y.len() as f64).sqrt())])
    };
    let pooled = draws.pool(mean, 89.0).unwrap();
    let guidance = draws.report().guidance.as_ref().unwrap();
    assert_eq!((guidance.m, guidance.means.len(), guidance.means[0].column.as_str()), (20, 1, "y"));
    assert!((guidance.means[0].fmi / pooled[0].pooled.fmi - 1.0).abs() < 1e-9);
    // A third missing, and nothing known of them but the column: about a third of the information.
    assert!((0.15..0.6).contains(&guidance.means[0].fmi), "{guidance:?}");
    assert_eq!(guidance.suggested_m, lacuna::pool::suggested_m(guidance.means[0].fmi, 20).unwrap());
    assert!(draws.report().to_string().contains("fraction of missing information of a mean: 0."), "{}", draws.report());
    assert!(MeanConfig::default().fit(&frame).unwrap().draw(&frame, 1, 5).unwrap().report().guidance.is_none());
    assert!(MeanConfig::default().fit(&frame).unwrap().fill(&frame).unwrap().report.guidance.is_none());
}

#[test]
fn a_model_with_donors_answers_alike_from_a_file() {
    let (_, df) = read(PENGUINS);
    let model = VaeConfig { donors: Some(5), ..VaeConfig::default().epochs(2).members(1).hidden(8) }.fit(&df).unwrap();
    let mut file = Vec::new();
    model.save_to(&mut file).unwrap();
    let loaded = VaeImputer::load_from(file.as_slice(), "m.safetensors").unwrap();
    let filled = |m: &VaeImputer| m.fill(&df).unwrap().frame;
    assert!(filled(&model).equals_missing(&filled(&loaded)));
    same(&model.draw(&df, 3, 1).unwrap(), &loaded.draw(&df, 3, 1).unwrap());
    // Damage is found before the model answers.
    let text = String::from_utf8_lossy(&file).into_owned();
    let at = text.find("\\\"donors\\\":{\\\"k\\\":5").expect("the donors are in the metadata");
    let broken = [&file[..at], &file[at..].iter().map(|&b| if b == b'5' { b'0' } else { b }).collect::<Vec<_>>()].concat();
    assert!(VaeImputer::load_from(broken.as_slice(), "m.safetensors").is_err());
}
