//! Gaps that follow what their cells would have said.

use lacuna::{Fit, Imputer, VaeConfig, VaeImputer, Warning};
use polars::prelude::*;

use crate::cases::numbers;

const ROWS: usize = 900;
const NUMBERS: usize = 7;

/// Three numbers, four sums and differences of theirs with noise, and a level by one of them, whole; and which cells are missing: by themselves
/// where `own`, else by the first two numbers, which then have no gaps.
fn table(own: bool, seed: u64) -> (DataFrame, DataFrame) {
    let noise = |j: u64| numbers(20 * seed + j, ROWS, true);
    let mut columns: Vec<Vec<f64>> = (0..3).map(noise).collect();
    for (j, signs) in [[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]].iter().enumerate() {
        let sum = |i: usize| signs.iter().zip(&columns).map(|(sign, x)| sign * x[i]).sum::<f64>() / 3f64.sqrt();
        let sums: Vec<f64> = noise(4 + j as u64).iter().enumerate().map(|(i, e)| sum(i) + 0.4 * e).collect();
        columns.push(sums);
    }
    let level: Vec<usize> = columns[3].iter().zip(noise(9)).map(|(x, e)| usize::from(x + 0.5 * e > 0.0)).collect();
    let uniform: Vec<Vec<f64>> = (0..=NUMBERS as u64).map(|j| numbers(1000 * seed + j, ROWS, false)).collect();
    let chance = |x: f64| 1.0 / (1.0 + (-(x - 0.9)).exp());
    let missing = |j: usize, i: usize, x: f64| match own {
        true => uniform[j][i] < chance(1.2 * if j.is_multiple_of(2) { x } else { -x }),
        false => j > 1 && uniform[j][i] < chance(columns[0][i] - 0.8 * columns[1][i]),
    };
    let (mut whole, mut gaps) = (Vec::new(), Vec::new());
    for (j, x) in columns.iter().enumerate() {
        whole.push(Column::new(format!("x{j}").into(), x));
        let seen: Vec<Option<f64>> = x.iter().enumerate().map(|(i, &x)| (!missing(j, i, x)).then_some(x)).collect();
        gaps.push(Column::new(format!("x{j}").into(), seen));
    }
    let names = ["low", "high"];
    whole.push(Column::new("level".into(), level.iter().map(|&l| names[l]).collect::<Vec<_>>()));
    let seen = |(i, &l): (usize, &usize)| (!missing(NUMBERS, i, 2.0 * l as f64 - 1.0)).then_some(names[l]);
    gaps.push(Column::new("level".into(), level.iter().enumerate().map(seen).collect::<Vec<_>>()));
    (DataFrame::new(ROWS, whole).unwrap(), DataFrame::new(ROWS, gaps).unwrap())
}

fn config() -> VaeConfig {
    VaeConfig::default().epochs(10).members(2).hidden(32).seed(4)
}

/// What the gaps of numbers are filled with less what they were: the mean, signed as the column's gaps are, and the root mean square.
fn off(filled: &DataFrame, whole: &DataFrame, gaps: &DataFrame) -> (f64, f64) {
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for j in 0..NUMBERS {
        let name = format!("x{j}");
        let of = |df: &DataFrame| df.column(&name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
        let (filled, whole, gaps) = (of(filled), of(whole), of(gaps));
        for i in (0..ROWS).filter(|&i| gaps[i].is_none()) {
            let e = filled[i].unwrap() - whole[i].unwrap();
            sum += if j.is_multiple_of(2) { e } else { -e };
            squares += e * e;
            n += 1.0;
        }
    }
    (sum / n, (squares / n).sqrt())
}

fn tilted(imputer: &VaeImputer) -> Vec<String> {
    let found = imputer.warnings().into_iter().find_map(|w| match w {
        Warning::NotAtRandom { columns } => Some(columns),
        _ => None,
    });
    found.unwrap_or_default()
}

#[test]
fn fills_and_draws_allow_for_gaps_by_the_cells_themselves() {
    let (whole, gaps) = table(true, 11);
    let imputer = config().fit(&gaps).unwrap();
    let columns = tilted(&imputer);
    assert!(columns.len() >= 4, "{columns:?}");
    for name in &columns {
        let odds = imputer.gap_log_odds(name).unwrap();
        // The slope is 1.2 a unit, which is nearly a standard deviation; of the level 2.4 between the two.
        match odds[..] {
            [slope] => {
                let j: usize = name[1..].parse().unwrap();
                let slope = if j.is_multiple_of(2) { slope } else { -slope };
                assert!((0.5..2.0).contains(&slope), "{name} {slope}");
            }
            [high, low] => assert!((-4.0..-1.0).contains(&(high - low)), "{name} {odds:?}"),
            _ => panic!("{odds:?}"),
        }
    }
    let filled = imputer.fill(&gaps).unwrap();
    assert!(filled.report.warnings.iter().any(|w| matches!(w, Warning::NotAtRandom { .. })));
    let at_random = config().at_random().fit(&gaps).unwrap();
    assert!(tilted(&at_random).is_empty() && at_random.gap_log_odds("x0").is_none());
    let (bias, error) = off(&filled.frame, &whole, &gaps);
    let (bias_at_random, error_at_random) = off(&at_random.fill(&gaps).unwrap().frame, &whole, &gaps);
    assert!(bias_at_random < -0.2 && bias.abs() < 0.5 * bias_at_random.abs(), "{bias} {bias_at_random}");
    assert!(error < 0.95 * error_at_random, "{error} {error_at_random}");
    // Draws are not off either, and as far from each other as before.
    let mean_bias = |imputer: &VaeImputer| {
        let draws = imputer.draw(&gaps, 4, 2).unwrap();
        (0..4).map(|i| off(&draws.completed(i).unwrap(), &whole, &gaps).0).sum::<f64>() / 4.0
    };
    let (drawn, drawn_at_random) = (mean_bias(&imputer), mean_bias(&at_random));
    assert!(drawn.abs() < 0.5 * drawn_at_random.abs(), "{drawn} {drawn_at_random}");
    // Donors are looked for where the cell would have been.
    let donors = config().donors(5).fit(&gaps).unwrap().draw(&gaps, 1, 2).unwrap();
    let matched = off(&donors.completed(0).unwrap(), &whole, &gaps).0;
    assert!(matched.abs() < 0.6 * drawn_at_random.abs(), "{matched} {drawn_at_random}");
    // The expected error is that of the gaps, and not of the observed cells.
    let mean_fill = |imputer: &VaeImputer| -> f64 {
        (0..NUMBERS).map(|j| imputer.expected_error(&format!("x{j}")).unwrap().mean_fill).sum::<f64>() / NUMBERS as f64
    };
    assert!(mean_fill(&imputer) > 1.05 * mean_fill(&at_random), "{} {}", mean_fill(&imputer), mean_fill(&at_random));
}

#[test]
fn gaps_by_other_columns_are_at_random() {
    for seed in [21, 22, 23] {
        let imputer = config().fit(&table(false, seed).1).unwrap();
        assert!(tilted(&imputer).is_empty(), "{:?}", tilted(&imputer));
    }
}

#[test]
fn a_tilted_model_is_the_same_after_save_and_load_and_on_any_threads() {
    let (_, gaps) = table(true, 11);
    let imputer = config().threads(1).fit(&gaps).unwrap();
    assert!(!tilted(&imputer).is_empty());
    let same = |a: &VaeImputer, b: &VaeImputer| {
        let drawn = |imputer: &VaeImputer| imputer.draw(&gaps, 2, 5).unwrap().completed(1).unwrap();
        a.fill(&gaps).unwrap().frame.equals(&b.fill(&gaps).unwrap().frame) && drawn(a).equals(&drawn(b))
    };
    assert!(same(&imputer, &config().threads(3).fit(&gaps).unwrap()));
    let mut file = Vec::new();
    imputer.save_to(&mut file).unwrap();
    let loaded = VaeImputer::load_from(file.as_slice(), "model").unwrap();
    assert!(same(&imputer, &loaded.clone().with_threads(Some(2))));
    assert_eq!(loaded.gap_log_odds("x1"), imputer.gap_log_odds("x1"));
    // A row alone is filled as in its table.
    let one = gaps.slice(17, 1);
    assert!(imputer.fill(&one).unwrap().frame.equals(&imputer.fill(&gaps).unwrap().frame.slice(17, 1)));
}

#[test]
fn observed_cells_are_overimputed_as_observed() {
    let (_, gaps) = table(true, 11);
    let told = |config: VaeConfig| {
        let imputer = config.fit(&gaps).unwrap();
        let filled = imputer.fill(&gaps).unwrap().with_overimputed(&imputer, "x0").unwrap();
        (!tilted(&imputer).is_empty(), filled.frame.column("x0_overimputed").unwrap().clone())
    };
    let ((is_tilted, told_by_tilted), (_, at_random)) = (told(config()), told(config().at_random()));
    assert!(is_tilted && told_by_tilted.equals_missing(&at_random));
}
