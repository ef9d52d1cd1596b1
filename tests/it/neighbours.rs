//! Fills and draws corrected by rows alike.

use lacuna::{Fit, Imputer, VaeConfig, VaeImputer};
use polars::prelude::*;

/// A number between 0 and 1 of a place.
fn hash(i: usize, j: usize) -> f64 {
    let mut z = (i as u64 * 31 + j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

const PAIRS: usize = 500;
const COLUMNS: usize = 8;
const GAPS: f64 = 0.12;

/// Rows of noise, each twice, an eighth of the cells missing; and the whole cells. Only its twin tells of a gap.
fn twins() -> (DataFrame, Vec<Vec<f64>>, Vec<Vec<bool>>) {
    let cells: Vec<Vec<f64>> = (0..COLUMNS).map(|j| (0..2 * PAIRS).map(|i| hash(i % PAIRS, j)).collect()).collect();
    let missing: Vec<Vec<bool>> = (0..COLUMNS).map(|j| (0..2 * PAIRS).map(|i| hash(i, 100 + j) < GAPS).collect()).collect();
    let numbers = cells.iter().zip(&missing).enumerate().map(|(j, (cells, missing))| {
        let cells: Vec<Option<f64>> = cells.iter().zip(missing).map(|(x, m)| (!m).then_some(*x)).collect();
        Column::new(format!("x{j}").into(), cells)
    });
    let level = |i: usize| (hash(i, 200) > GAPS).then(|| ["a", "b", "c"][(hash(i % PAIRS, 300) * 3.0) as usize]);
    let levels = Column::new("level".into(), (0..2 * PAIRS).map(level).collect::<Vec<_>>());
    (DataFrame::new(2 * PAIRS, numbers.chain([levels]).collect()).unwrap(), cells, missing)
}

fn config() -> VaeConfig {
    VaeConfig::default().epochs(2).members(2).hidden(16).seed(3)
}

/// Root mean square error of the gaps whose twin has the cell, in standard deviations of a uniform number.
fn error(filled: &DataFrame, cells: &[Vec<f64>], missing: &[Vec<bool>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for j in 0..COLUMNS {
        let x = filled.column(&format!("x{j}")).unwrap().f64().unwrap();
        for i in (0..2 * PAIRS).filter(|&i| missing[j][i] && !missing[j][(i + PAIRS) % (2 * PAIRS)]) {
            sum += 12.0 * (x.get(i).unwrap() - cells[j][i]).powi(2);
            count += 1.0;
        }
    }
    (sum / count).sqrt()
}

#[test]
fn twins_fill_each_others_gaps() {
    let (df, cells, missing) = twins();
    let imputer = config().fit(&df).unwrap();
    assert_eq!(imputer.neighbours(), 2 * PAIRS);
    let with = error(&imputer.fill(&df).unwrap().frame, &cells, &missing);
    let without = error(&imputer.clone().without_neighbours().fill(&df).unwrap().frame, &cells, &missing);
    assert!(with < 0.6 && without > 0.9, "{with} {without}");
    let drawn = imputer.draw(&df, 2, 1).unwrap();
    let drawn = error(&drawn.completed(1).unwrap(), &cells, &missing);
    // Those of the networks alone are off by √2.
    assert!(drawn < 1.1, "{drawn} {with}");
    // The report says so: the error is that of held-out cells, corrected as fills are.
    let expected = imputer.expected_error("x1").unwrap();
    assert!(expected.error < 0.85 && expected.mean_fill > 0.9, "{expected:?}");
}

#[test]
fn levels_are_corrected_too() {
    let (df, ..) = twins();
    let imputer = config().fit(&df).unwrap();
    let right = |imputer: &VaeImputer| {
        let filled = imputer.fill(&df).unwrap().frame;
        let (before, after) = (df.column("level").unwrap().str().unwrap(), filled.column("level").unwrap().str().unwrap());
        let gaps = (0..2 * PAIRS).filter(|&i| before.get(i).is_none() && before.get((i + PAIRS) % (2 * PAIRS)).is_some());
        let right: Vec<bool> = gaps.map(|i| after.get(i) == before.get((i + PAIRS) % (2 * PAIRS))).collect();
        right.iter().filter(|r| **r).count() as f64 / right.len() as f64
    };
    let (with, without) = (right(&imputer), right(&imputer.clone().without_neighbours()));
    assert!(with > 0.75 && without < 0.5, "{with} {without}");
}

#[test]
fn corrections_do_not_depend_on_company_threads_or_a_file() {
    let (df, ..) = twins();
    let imputer = config().threads(2).fit(&df).unwrap();
    let one = config().threads(1).fit(&df).unwrap();
    let (fill, draws) = (imputer.fill(&df).unwrap().frame, imputer.draw(&df, 3, 5).unwrap());
    assert!(fill.equals_missing(&one.fill(&df).unwrap().frame));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    imputer.save(&path).unwrap();
    let loaded = VaeImputer::load(&path).unwrap().with_threads(Some(1));
    assert_eq!(loaded.neighbours(), imputer.neighbours());
    assert!(fill.equals_missing(&loaded.fill(&df).unwrap().frame));
    let again = loaded.draw(&df, 3, 5).unwrap();
    (0..3).for_each(|i| assert!(draws.completed(i).unwrap().equals_missing(&again.completed(i).unwrap())));
    // Row by row, and in another order.
    let part = imputer.fill(&df.slice(37, 5)).unwrap().frame;
    assert!(fill.slice(37, 5).equals_missing(&part));
    let turned = imputer.fill(&df.reverse()).unwrap().frame;
    assert!(fill.equals_missing(&turned.reverse()));
}

#[test]
fn rows_can_be_left_out_and_do_not_answer_for_themselves() {
    let (df, ..) = twins();
    let without = config().without_neighbours().fit(&df).unwrap();
    assert_eq!(without.neighbours(), 0);
    let imputer = config().fit(&df).unwrap();
    assert!(without.fill(&df).unwrap().frame.equals_missing(&imputer.clone().without_neighbours().fill(&df).unwrap().frame));
    // Overimputed cells are in the kept rows: the networks alone answer.
    let filled = imputer.fill(&df).unwrap().with_overimputed(&imputer, "x0").unwrap();
    assert!(filled.report.overimputed[0].error > 0.8, "{:?}", filled.report.overimputed);
}
