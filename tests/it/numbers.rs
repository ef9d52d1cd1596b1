//! Numbers at the ends of what f64 holds, and tables at the ends of what is a table: finite fills within range, from every imputer.

use lacuna::polars::prelude::*;
use lacuna::{Fit, Imputer, KnnConfig, MeanConfig, Schema, VaeConfig};
use ndarray_rand::rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const N: usize = 80;

fn imputers(df: &DataFrame, vae: &VaeConfig) -> Vec<(&'static str, Box<dyn Imputer>)> {
    let schema = Schema::infer(df).unwrap();
    vec![
        ("mean", Box::new(MeanConfig::default().fit_with(df, &schema).unwrap())),
        ("knn", Box::new(KnnConfig::default().fit_with(df, &schema).unwrap())),
        ("vae", Box::new(vae.fit_with(df, &schema).unwrap())),
        ("donors", Box::new(vae.clone().donors(5).fit_with(df, &schema).unwrap())),
    ]
}

fn quick() -> VaeConfig {
    VaeConfig::default().epochs(2).members(1).hidden(8).latent_dim(2)
}

/// Fits, fills and draws; every number is finite and within the observed range or half its width beyond, and the report too.
fn holds(df: &DataFrame, vae: &VaeConfig) {
    let range = |column: &Column| {
        let seen: Vec<f64> = column.f64().unwrap().iter().flatten().filter(|x| !x.is_nan()).collect();
        let ends = [f64::min, f64::max].map(|end| seen.iter().copied().reduce(end).unwrap_or(0.0));
        // In halves: the width of the widest range is beyond f64.
        let half = ends[1] / 2.0 - ends[0] / 2.0;
        (ends[0] - half, ends[1] + half)
    };
    let ranges: Vec<(f64, f64)> = df.columns().iter().map(range).collect();
    for (name, imputer) in imputers(df, vae) {
        let (filled, draws) = (imputer.fill(df).unwrap(), imputer.draw(df, 3, 1).unwrap());
        assert_eq!(filled.report.left(), 0, "{name}");
        for out in [&filled.frame, &draws.completed(0).unwrap(), &draws.completed(2).unwrap()] {
            for (column, (low, high)) in out.columns().iter().zip(&ranges) {
                for x in column.f64().unwrap().iter() {
                    let x = x.unwrap_or(f64::NAN);
                    assert!(x.is_finite() && (*low..=*high).contains(&x), "{name}: `{}` {x} in {low}..{high}", column.name());
                }
            }
        }
        for error in filled.report.columns.iter().filter_map(|c| c.expected_error.as_ref()) {
            assert!(error.error.is_finite() && error.standard_error.is_finite() && error.unit > 0.0, "{name}: {error:?}");
        }
        let spreads = imputer.draw(df, 19, 1).unwrap().uncertainty(0.9).unwrap();
        for spread in spreads {
            let lacuna::Spread::Number { sd, low, high } = spread.spread else { panic!("numbers only") };
            assert!(sd.iter().chain(&low).chain(&high).all(|x| x.is_finite()), "{name}: {}", spread.column);
        }
    }
}

fn normal(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A column beside one that goes with it; every fourth cell of the first and every fifth of the second is missing.
fn pair(value: impl Fn(usize, f64) -> f64) -> DataFrame {
    let z = normal(1, N);
    let x: Vec<Option<f64>> = (0..N).map(|i| (i % 4 != 1).then(|| value(i, z[i]))).collect();
    let y: Vec<Option<f64>> = (0..N).map(|i| (i % 5 != 2).then_some(z[i])).collect();
    df!("x" => x, "y" => y).unwrap()
}

#[test]
fn scales_from_one_end_of_f64_to_the_other() {
    for scale in [1e300, -1e300, 1e308, 1e-300, 1e-307, 1e-310, 5e-324] {
        holds(&pair(|_, z| scale * (z + 0.25)), &quick());
    }
}

#[test]
fn a_billion_and_a_little() {
    for noise in [1.0, 1e-3, 1e-6, 1.2e-7] {
        holds(&pair(|_, z| 1e9 + noise * z), &quick());
    }
    holds(&pair(|_, z| 1e15 + z), &quick());
}

#[test]
fn an_outlier_of_1e30() {
    for outlier in [1e30, -1e30, f64::MAX] {
        holds(&pair(|i, z| if i == 20 { outlier } else { z }), &quick());
    }
}

#[test]
fn two_values_and_heavy_ties() {
    holds(&pair(|_, z| if z < 0.0 { -3.25 } else { 8.5 }), &quick());
    holds(&pair(|_, z| if z < 0.0 { 1.0 } else { 1.0_f64.next_up() }), &quick());
    holds(&pair(|i, z| if i % 10 == 0 { z } else { 0.0 }), &quick());
    holds(&pair(|i, _| if i == 0 { 1.0 } else { 2.5 }), &quick());
}

#[test]
fn columns_on_a_line() {
    let z = normal(2, N);
    let on = |slope: f64, at: f64, by: usize| -> Vec<Option<f64>> {
        (0..N).map(|i| (i % by != 1).then(|| slope * z[i] + at)).collect()
    };
    let df = df!("a" => on(1.0, 0.0, 4), "b" => on(2.0, 0.0, 5), "c" => on(-1.0, 1.0, 6), "same" => on(1.0, 0.0, 7)).unwrap();
    holds(&df, &quick());
}

#[test]
fn one_observed_cell_and_hardly_any() {
    let one: Vec<Option<f64>> = (0..N).map(|i| (i == 7).then_some(2.5)).collect();
    let df = df!("one" => one, "x" => normal(3, N)).unwrap();
    holds(&df, &quick());
    // 99.9 % of a table's cells: 2 000 × 5, ten of them observed, two a column.
    let column = |j: usize| -> Vec<Option<f64>> {
        (0..2000).map(|i| (i == 150 * j || i == 150 * j + 75).then_some((i % 97) as f64 / 7.0)).collect()
    };
    let df = df!("a" => column(0), "b" => column(1), "c" => column(2), "d" => column(3), "e" => column(4)).unwrap();
    holds(&df, &quick());
}

#[test]
fn two_rows() {
    holds(&df!("x" => [Some(1.0), None], "y" => [Some(2.0), Some(3.0)]).unwrap(), &quick());
    holds(&df!("x" => [Some(1.0), Some(4.0)], "y" => [None, Some(3.0)], "z" => [Some(0.5), Some(1.5)]).unwrap(), &quick());
}

/// Settings at the ends of their types are an answer or an error with one line.
#[test]
fn settings_at_the_ends_of_their_types() {
    use std::time::Duration;
    let df = df!("x" => [Some(1.0), None, Some(4.0)], "y" => [Some(2.0), Some(3.0), None]).unwrap();
    let far = KnnConfig::default().k(usize::MAX).fit(&df).unwrap();
    assert_eq!(far.fill(&df).unwrap().report.left(), 0);
    for limit in [Duration::MAX, Duration::from_nanos(1)] {
        assert_eq!(quick().time_limit(limit).fit(&df).unwrap().fill(&df).unwrap().report.left(), 0);
    }
    for (config, setting) in [
        (quick().epochs(usize::MAX), "epochs"),
        (quick().latent_dim(usize::MAX), "latent_dim"),
        (quick().hidden(usize::MAX), "hidden"),
        (quick().members(usize::MAX), "members"),
        (quick().importance_samples(usize::MAX), "importance_samples"),
        (quick().donors(usize::MAX), "donors"),
        (quick().threads(usize::MAX), "threads"),
        (quick().time_limit(Duration::ZERO), "time_limit"),
    ] {
        let e = config.fit(&df).unwrap_err();
        assert!(e.is_usage() && e.to_string().starts_with(&format!("{setting} is ")), "{e}");
    }
    for m in [0, 1_000_001, usize::MAX] {
        assert!(far.draw(&df, m, u64::MAX).unwrap_err().is_usage());
    }
    let draws = far.draw(&df, 3, u64::MAX).unwrap();
    for interval in [f64::NAN, -0.0, 1.0, f64::INFINITY, 1.0_f64.next_down()] {
        assert!(draws.uncertainty(interval).unwrap_err().is_usage(), "{interval}");
    }
}

/// A wide table: 5 000 columns for the mean, and for the autoencoder `LACUNA_WIDE=5000`, else a number that takes no time.
#[test]
fn thousands_of_columns() {
    let table = |d: usize| {
        let n = 12;
        let z = normal(4, n * d);
        let column = |j: usize| {
            let cells: Vec<Option<f64>> = (0..n).map(|i| ((i + j) % 9 != 4).then(|| z[d * i + j])).collect();
            Series::new(format!("c{j}").into(), cells).into_column()
        };
        DataFrame::new(n, (0..d).map(column).collect()).unwrap()
    };
    let check = |imputer: &dyn Imputer, df: &DataFrame| {
        let filled = imputer.fill(df).unwrap();
        assert_eq!(filled.report.left(), 0);
        let finite = |c: &Column| c.f64().unwrap().iter().all(|x| x.is_some_and(f64::is_finite));
        assert!(filled.frame.columns().iter().all(finite));
    };
    let wide = table(5000);
    check(&MeanConfig::default().fit(&wide).unwrap(), &wide);
    let df = table(std::env::var("LACUNA_WIDE").ok().and_then(|d| d.parse().ok()).unwrap_or(150));
    check(&quick().epochs(1).fit(&df).unwrap(), &df);
}
