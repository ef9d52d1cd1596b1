//! What the variational autoencoder does beyond the battery of all imputers.

use std::ops::ControlFlow;
use std::time::Duration;

use lacuna::polars::prelude::*;
use lacuna::{ColumnKind, ColumnSpec, Effort, ErrorKind, Family, Fit, Imputer, Schema, SchemaOptions, VaeConfig, Warning};

/// y = 2 x + 1 and a level that x decides; every third y and every fourth level is missing.
pub fn frame(n: usize) -> DataFrame {
    let x: Vec<f64> = (0..n).map(|i| (i * 37 % 101) as f64 / 25.0 - 2.0).collect();
    let y: Vec<Option<f64>> = x.iter().enumerate().map(|(i, x)| (i % 3 != 0).then_some(2.0 * x + 1.0)).collect();
    let side: Vec<Option<&str>> =
        x.iter().enumerate().map(|(i, x)| (i % 4 != 1).then_some(if *x > 0.0 { "right" } else { "left" })).collect();
    df!("x" => x, "y" => y, "side" => side).unwrap()
}

#[test]
fn it_learns_a_line_and_a_threshold() {
    let df = frame(300);
    let filled = VaeConfig::default().epochs(12).members(2).importance_samples(3).fit(&df).unwrap().fill(&df).unwrap();
    let x = df.column("x").unwrap().f64().unwrap();
    let (rows, y) = filled.cells("y").unwrap();
    let square: f64 = rows.iter().zip(y).map(|(&r, y)| (y - 2.0 * x.get(r).unwrap() - 1.0).powi(2)).sum();
    // The mean fill's root mean square error is about 2.3.
    let rmse = (square / rows.len() as f64).sqrt();
    assert!(rmse < 0.35, "{rmse}");
    let (rows, side) = filled.cells("side").unwrap();
    let right = rows.iter().zip(side).filter(|&(&r, code)| (*code == 1.0) == (x.get(r).unwrap() > 0.0)).count();
    assert!(right as f64 > 0.93 * rows.len() as f64, "{right} of {}", rows.len());
    let expected = filled.report.columns.iter().find(|c| c.column == "y").unwrap().expected_error.clone().unwrap();
    assert!(expected.error < 0.3 && expected.mean_fill > 0.7, "{expected:?}");
}

#[test]
fn a_callback_can_stop_the_fit() {
    let df = frame(60);
    let schema = lacuna::Schema::infer(&df).unwrap();
    let mut calls = 0;
    let result = VaeConfig::default().epochs(200).fit_with_progress(&df, &schema, &mut |p| {
        calls += 1;
        assert!(p.epoch >= 1 && p.epoch <= p.epochs && p.held_out_loss >= 0.0);
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::Interrupted));
}

#[test]
fn a_time_limit_ends_the_fit_and_is_said() {
    let df = frame(300);
    let imputer = VaeConfig::default().epochs(100_000).time_limit(Duration::from_millis(300)).fit(&df).unwrap();
    let filled = imputer.fill(&df).unwrap();
    assert_eq!(filled.frame.column("y").unwrap().null_count(), 0);
    let said = filled.report.warnings.iter().any(|w| matches!(w, Warning::TimeLimit { planned: 100_000, .. }));
    assert!(said, "{:?}", filled.report.warnings);
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing() {
    let df = frame(100);
    let config = VaeConfig::default().epochs(2).members(1);
    let free = config.fit(&df).unwrap().fill(&df).unwrap();
    let limited = config.time_limit(Duration::from_secs(3600)).fit(&df).unwrap().fill(&df).unwrap();
    assert!(free.frame.equals(&limited.frame));
}

#[test]
fn the_bound_of_a_row_is_its_own_and_lower_for_an_odd_row() {
    let df = frame(120);
    let imputer = VaeConfig::default().epochs(4).members(1).fit(&df).unwrap();
    let all = imputer.bound(&df, 8).unwrap();
    let alone = imputer.bound(&df.slice(70, 1), 8).unwrap();
    assert_eq!(all[70], alone[0]);
    let pair = df!("x" => [1.0, 1.0], "y" => [3.0, -30.0], "side" => ["right", "left"]).unwrap();
    let bound = imputer.bound(&pair, 20).unwrap();
    assert!(bound[1] < bound[0] - 3.0, "{bound:?}");
    let nothing = df!("x" => [None::<f64>], "y" => [None::<f64>], "side" => [None::<&str>]).unwrap();
    assert_eq!(imputer.bound(&nothing, 4).unwrap(), [0.0]);
    assert!(imputer.bound(&df, 0).unwrap_err().is_usage());
}

#[test]
fn settings_are_checked_once_at_the_fit() {
    let df = frame(30);
    for (config, field) in [
        (VaeConfig::default().epochs(0), "epochs"),
        (VaeConfig::default().latent_dim(0), "latent_dim"),
        (VaeConfig::default().hidden(100_000), "hidden"),
        (VaeConfig::default().members(0), "members"),
        (VaeConfig::default().importance_samples(0), "importance_samples"),
        (VaeConfig::default().threads(0), "threads"),
        (VaeConfig::default().time_limit(Duration::ZERO), "time_limit"),
    ] {
        let e = config.fit(&df).unwrap_err();
        assert!(e.is_usage() && e.to_string().starts_with(field), "{e}");
    }
}

#[test]
fn a_column_of_thousands_of_levels_helps_and_is_filled_with_its_own() {
    // Two hundred frequent places and 1 400 rare ones; each place has its own height and region.
    let n = 6000;
    let mixed = |i: usize| (i * 2_654_435_761) >> 12;
    let place = |i: usize| if i.is_multiple_of(4) { 200 + mixed(i) % 1400 } else { mixed(i) % 200 };
    let height = |p: usize| (p * 2_654_435_761 % 1000) as f64 / 100.0;
    let places: Vec<Option<String>> = (0..n).map(|i| (i % 9 != 4).then(|| format!("place {}", place(i)))).collect();
    let heights: Vec<Option<f64>> = (0..n).map(|i| (i % 5 != 2).then(|| height(place(i)) + (i % 7) as f64 * 0.01)).collect();
    let df = df!("place" => places, "height" => heights).unwrap();
    let imputer = VaeConfig::default().epochs(8).members(1).fit(&df).unwrap();
    let filled = imputer.fill(&df).unwrap();
    assert_eq!((filled.frame.column("place").unwrap().null_count(), filled.report.left()), (0, 0));
    let (rows, x) = filled.cells("height").unwrap();
    let known = |&(&row, _): &(&usize, &f64)| row % 9 != 4 && row % 4 != 0;
    let errors: Vec<f64> = rows.iter().zip(x).filter(known).map(|(&row, x)| (x - height(place(row))).powi(2)).collect();
    let rmse = (errors.iter().sum::<f64>() / errors.len() as f64).sqrt();
    // The standard deviation of a height is 2.9.
    assert!(rmse < 0.5, "{rmse}");
    let levels = imputer.schema().column("place").unwrap().levels();
    let draws = imputer.draw(&df, 2, 1).unwrap();
    let (_, drawn) = draws.cells("place").unwrap();
    assert!(drawn.concat().iter().all(|&code| levels[code as usize].starts_with("place ")));
}

/// A family that is named is used, and not on cells outside its support.
#[test]
fn named_families() {
    let x: Vec<f64> = (0..80).map(|i| if i % 4 == 0 { -1.0 } else { f64::from(i % 9) }).collect();
    let df = df!("x" => x, "y" => (0..80).map(|i| f64::from(i % 7)).collect::<Vec<_>>()).unwrap();
    let fit = |family| {
        let x =
            ColumnSpec { name: "x".into(), kind: Some(ColumnKind::Continuous), family: Some(family), ..ColumnSpec::default() };
        let options = SchemaOptions { columns: vec![x], ..SchemaOptions::default() };
        VaeConfig::default().epochs(2).members(1).hidden(8).fit_with(&df, &Schema::infer_with(&df, &options).unwrap())
    };
    let imputer = fit(Family::StudentT).unwrap();
    assert_eq!(imputer.schema().column("x").unwrap().family(), Some(Family::StudentT));
    let scores = imputer.family_scores("x");
    assert!(scores.len() == 1 && scores[0].chosen);
    assert!(imputer.family_scores("y").len() > 1 && imputer.family_scores("none").is_empty());
    assert_eq!(
        fit(Family::ZeroInflatedLogNormal).unwrap_err().to_string(),
        "column `x` is stated to be zero_inflated_log_normal, but has cells below zero, or zeros beside a more frequent value; \
         choose zero_inflated_gaussian, or state no family"
    );
}

fn saved(imputer: &lacuna::VaeImputer) -> Vec<u8> {
    let mut out = Vec::new();
    imputer.save_to(&mut out).unwrap();
    out
}

#[test]
fn ignored_rows_do_not_leak() {
    let config = VaeConfig::default().epochs(3).members(1).hidden(8);
    let mut df = frame(120);
    // Every fifth row is wild, with a level of its own, and not to be learned from.
    let out: Vec<bool> = (0..120).map(|i| i % 5 == 2).collect();
    let wild = |x: Option<f64>, out: bool| if out { Some(1e6) } else { x };
    let x: Vec<Option<f64>> = df.column("x").unwrap().f64().unwrap().iter().zip(&out).map(|(x, &o)| wild(x, o)).collect();
    let side: Vec<Option<String>> = df
        .column("side")
        .unwrap()
        .str()
        .unwrap()
        .iter()
        .zip(&out)
        .map(|(s, &o)| if o { Some("up".into()) } else { s.map(String::from) })
        .collect();
    df.with_column(Series::new("x".into(), x).into_column()).unwrap();
    df.with_column(Series::new("side".into(), side).into_column()).unwrap();
    df.with_column(Series::new("out".into(), &out).into_column()).unwrap();
    let options = SchemaOptions::default().ignore("out");
    let schema = Schema::infer_with(&df, &options).unwrap();
    assert_eq!(schema.column("side").unwrap().levels(), ["left", "right"]);
    let kept = df.filter(&out.iter().map(|o| Some(!o)).collect::<BooleanChunked>()).unwrap();
    let without = Schema::infer_with(&kept, &SchemaOptions::default().exclude("out")).unwrap();
    let imputer = config.fit_with(&df, &schema).unwrap();
    assert_eq!(saved(&imputer), saved(&config.fit_with(&kept, &without).unwrap()));
    // A weight of zero is the same.
    let weights: Vec<f64> = out.iter().map(|&o| if o { 0.0 } else { 1.0 }).collect();
    let mut weighted = df.clone();
    weighted.with_column(Series::new("out".into(), weights).into_column()).unwrap();
    let zero = Schema::infer_with(&weighted, &SchemaOptions::default().weights("out")).unwrap();
    assert_eq!(zero.column("side").unwrap().levels(), ["left", "right"]);
    assert_eq!(config.fit_with(&weighted, &zero).unwrap().training().rows, 96);
    // Ignored rows are filled all the same.
    let filled = imputer.fill(&df).unwrap();
    assert_eq!(filled.frame.column("y").unwrap().null_count(), 0);
}

#[test]
fn rows_of_weight_are_learned_from_more() {
    // Two halves that contradict each other: y = x and y = −x.
    let n = 400;
    let x: Vec<f64> = (0..n).map(|i| f64::from(i * 37 % 101) / 25.0 - 2.0).collect();
    let y: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { x[i as usize] } else { -x[i as usize] }).collect();
    let slope = |even: f64, odd: f64| {
        let w: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { even } else { odd }).collect();
        let df = df!("x" => &x, "y" => &y, "w" => w).unwrap();
        let schema = Schema::infer_with(&df, &SchemaOptions::default().weights("w")).unwrap();
        let imputer = VaeConfig::default().epochs(12).members(1).fit_with(&df, &schema).unwrap();
        let ask = df!("x" => [1.0, -1.0], "y" => [None::<f64>, None], "w" => [1.0, 1.0]).unwrap();
        let filled = imputer.fill(&ask).unwrap().cells("y").unwrap().1.to_vec();
        (filled[0] - filled[1]) / 2.0
    };
    let (even, odd) = (slope(20.0, 1.0), slope(1.0, 20.0));
    assert!(even > 0.5 && odd < -0.5, "{even} {odd}");
}

#[test]
fn an_effort_says_how_many_networks_and_steps() {
    let x: Vec<f64> = (0..80).map(|i| f64::from(i * 37 % 101)).collect();
    let df = df!("a" => &x, "b" => &x, "c" => &x, "d" => &x, "e" => &x).unwrap();
    let fitted = |effort| VaeConfig::default().effort(effort).hidden(4).fit(&df).unwrap().training().clone();
    let [fast, default, best] = [Effort::Fast, Effort::Default, Effort::Best].map(fitted);
    assert_eq!([fast.epochs.len(), default.epochs.len(), best.epochs.len()], [8, 16, 32]);
    // Early stopping may end any of them; a fast one has no more than two fifths of the default's fourteen.
    assert!(fast.epochs.iter().all(|&e| e <= 6), "{:?}", fast.epochs);
    // What is stated goes first.
    let stated = VaeConfig::default().effort(Effort::Best).members(1).epochs(1).hidden(4).fit(&df).unwrap();
    assert_eq!(stated.training().epochs, [1]);
}
