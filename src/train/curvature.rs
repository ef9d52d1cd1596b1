//! Whether a straight line is all there is: the curvature in what the linear start leaves unexplained.
//!
//! ```text
//! e = a + b x               x: the other cells of a row, the missing ones as the start completes them
//! e = a + b x + c x xᵀ      the same with their squares and products
//! ```
//! Over the rows that have a number, e is its residual from the linear start, which has not seen the row. The second regression leaves
//! less of it than the first; beyond chance only where the relation bends (RESET, Ramsey 1969). A dozen held-out cells seldom
//! show a bend, all residuals do.

use crate::data::scaling::{ColumnScaling, Features};
use crate::model::linear::{Conditional, dot, factor, solve_lower, triangle};
use crate::train::{Trainer, asked};

/// Rows that are looked at, at most: every so many-th.
const ROWS_MOST: usize = 5000;

/// Whether a number that fills are asked of bends with the other columns.
pub(crate) fn bends(trainer: &Trainer<'_>) -> bool {
    let number = |j: &usize| matches!(trainer.scaling.columns[*j], ColumnScaling::Number { sd, .. } if sd > 0.0);
    let asked = asked(trainer);
    (0..trainer.vae.columns).filter(|&j| asked[j]).filter(number).any(|j| bends_in(trainer, j))
}

fn bends_in(trainer: &Trainer<'_>, column: usize) -> bool {
    let Trainer { vae, scaling, view, rows, .. } = *trainer;
    let (n, d) = rows.target.dim();
    // The others: what stands for a missing cell of two levels, and whether it has a square of its own.
    let others: Vec<(usize, Option<f64>)> = (0..d)
        .filter(|&j| j != column)
        .filter_map(|j| match &scaling.columns[j] {
            ColumnScaling::Number { sd, .. } => (*sd > 0.0).then_some((j, None)),
            ColumnScaling::Levels { classes } => (classes.share.len() == 2).then_some((j, Some(classes.share[1]))),
        })
        .collect();
    let observed: Vec<usize> = (0..n).filter(|&i| !rows.target[(i, column)].is_nan()).collect();
    let (mut out, mut given) = (Features::new(vae.features, 1), Conditional::default());
    let mut table = Vec::new();
    for &i in observed.iter().step_by(observed.len().div_ceil(ROWS_MOST).max(1)) {
        let target = rows.target.row(i);
        let visible: Vec<bool> = target.iter().enumerate().map(|(j, x)| !x.is_nan() && j != column).collect();
        view.show(rows, i, &visible, &mut out, 0, &mut given);
        let value = |&(j, share): &(usize, Option<f64>)| match target[j] {
            x if !x.is_nan() => f64::from(x),
            _ => share.unwrap_or(f64::from(out.start[(0, 2 * j)])),
        };
        let of: Vec<f64> = others.iter().map(value).collect();
        let mut row = vec![1.0];
        row.extend(&of);
        for (a, x) in of.iter().enumerate() {
            row.extend(of[..a].iter().map(|y| x * y));
            row.extend(others[a].1.is_none().then_some(x * x));
        }
        row.push(f64::from(target[column] - out.start[(0, 2 * column)]));
        table.push(row);
    }
    improves(&table, 1 + others.len())
}

/// Whether the last entry of some rows, all of one length, is better told by all before it than by the `few` first: by more
/// than once in a hundred tables where it is not.
fn improves(table: &[Vec<f64>], few: usize) -> bool {
    let Some(first) = table.first() else { return false };
    let (m, all) = (table.len(), first.len() - 1);
    if m < 2 * all || all == few {
        return false;
    }
    let mut squares = vec![0.0; triangle(all)];
    let (mut with, mut left) = (vec![0.0; all], 0.0);
    for row in table {
        for a in 0..all {
            squares[triangle(a)..triangle(a + 1)].iter_mut().zip(row).for_each(|(s, x)| *s += row[a] * x);
            with[a] += row[a] * row[all];
        }
        left += row[all] * row[all];
    }
    (0..all).for_each(|a| squares[triangle(a) + a] *= 1.0 + 1e-9);
    factor(&mut squares, all);
    solve_lower(&squares, &mut with);
    let by_few = left - dot(&with[..few], &with[..few]);
    let by_all = (by_few - dot(&with[few..], &with[few..])).max(1e-12 * left);
    // Twice the gain of the log likelihood is about χ² of as many degrees of freedom as there are further terms.
    let (gain, terms) = ((m - all) as f64 * (by_few / by_all).ln(), (all - few) as f64);
    gain > 2.0 * terms + 5.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use ndarray_rand::rand_distr::{Distribution, StandardNormal};

    /// How many of 400 tables improve by a square of x, with so much of it.
    fn found(n: usize, bend: f64) -> usize {
        let mut rng = stream(1, Purpose::HeldOut, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut row = || {
            let x = normal();
            vec![1.0, x, x * x, x + bend * x * x + normal()]
        };
        (0..400).filter(|_| improves(&(0..n).map(|_| row()).collect::<Vec<_>>(), 2)).count()
    }

    #[test]
    fn a_bend_is_found_and_a_straight_line_is_not_one() {
        for n in [30, 100, 1000] {
            assert!(found(n, 0.0) <= 12, "{n}: {}", found(n, 0.0));
        }
        assert!(found(100, 0.5) >= 390 && found(1000, 0.2) == 400);
        assert!(!improves(&[], 2));
    }
}
