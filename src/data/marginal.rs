//! The marginal distribution of a column of numbers: what the likelihoods start from, and what says which of them may suit.

use serde::{Deserialize, Serialize};

/// Summary of the observed cells, in data units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marginal {
    /// Observed cells.
    pub cells: usize,
    /// Distinct values, ascending, each with its share of the cells; empty where there are more than [`VALUES_MOST`].
    pub values: Vec<(f64, f64)>,
    /// The most frequent value (the smallest of equals) and its share.
    pub atom: (f64, f64),
    /// The cells elsewhere than at the atom; `None` where all are there.
    pub rest: Option<Moments>,
    /// The logarithms of all cells; `None` unless all are above zero.
    pub log: Option<Moments>,
    /// The logarithms of the cells elsewhere than at the atom; `None` unless all of those are above zero.
    pub rest_log: Option<Moments>,
    /// The width of a cell: the smallest difference between two values. A density times this is a probability.
    pub unit: f64,
}

/// More distinct values than this are no levels.
pub(crate) const VALUES_MOST: usize = 256;

/// Mean and population standard deviation, the latter above zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    pub mean: f64,
    pub sd: f64,
}

impl Moments {
    /// Two passes in halves, because the values may be anywhere in the range of f64. Equal values are given a spread of
    /// one; none at all have no moments.
    fn of(x: &[f64]) -> Option<Moments> {
        let n = x.len() as f64;
        let half_mean = x.iter().map(|x| 0.5 * x / n).sum::<f64>();
        let largest = x.iter().map(|x| (0.5 * x - half_mean).abs()).fold(0.0, f64::max);
        let share = x.iter().map(|x| ((0.5 * x - half_mean) / largest).powi(2)).sum::<f64>() / n;
        let sd = 2.0 * largest * share.sqrt();
        let sd = if sd > 0.0 && sd.is_finite() { sd } else { 1.0 };
        // Rounding does not carry a mean out of the values, nor out of f64 where they are the largest there are.
        let (least, most) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        (!x.is_empty()).then_some(Moments { mean: (2.0 * half_mean).max(least).min(most), sd })
    }

    fn of_logs(x: &[f64]) -> Option<Moments> {
        let logs: Vec<f64> = x.iter().map(|x| x.ln()).collect();
        if x.iter().all(|&x| x > 0.0) { Moments::of(&logs) } else { None }
    }
}

impl Marginal {
    /// From the observed cells in ascending order, two distinct ones at least.
    pub fn of(sorted: &[f64]) -> Marginal {
        let n = sorted.len() as f64;
        let runs: Vec<(f64, usize)> = sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        let (atom, most) = runs.iter().rev().copied().max_by_key(|run| run.1).unwrap_or((0.0, 0));
        let rest: Vec<f64> = sorted.iter().copied().filter(|&x| x != atom).collect();
        let values = match runs.len() {
            0..=VALUES_MOST => runs.iter().map(|&(x, count)| (x, count as f64 / n)).collect(),
            _ => Vec::new(),
        };
        let unit = runs.windows(2).map(|w| w[1].0 - w[0].0).fold(f64::MAX, f64::min);
        Marginal {
            cells: sorted.len(),
            values,
            atom: (atom, most as f64 / n),
            rest: Moments::of(&rest),
            log: Moments::of_logs(sorted),
            rest_log: Moments::of_logs(&rest),
            unit,
        }
    }

    /// Whether these are numbers that [`Marginal::of`] can give; a file may say anything.
    pub fn is_sound(&self) -> bool {
        let share = |s: f64| s > 0.0 && s <= 1.0;
        let moments = |m: &Moments| m.mean.is_finite() && m.sd.is_finite() && m.sd > 0.0;
        self.values.len() <= VALUES_MOST
            && self.values.iter().all(|v| v.0.is_finite() && share(v.1))
            && self.values.windows(2).all(|v| v[0].0 < v[1].0)
            && self.atom.0.is_finite()
            && share(self.atom.1)
            && [&self.rest, &self.log, &self.rest_log].into_iter().flatten().all(moments)
            && self.unit > 0.0
            && self.unit.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_at_zero_and_logs_of_the_rest() {
        let m = Marginal::of(&[0.0, 0.0, 0.0, 1.0, 4.0, 4.0]);
        assert_eq!(m.atom, (0.0, 0.5));
        assert_eq!(m.values, [(0.0, 0.5), (1.0, 1.0 / 6.0), (4.0, 1.0 / 3.0)]);
        assert_eq!((m.unit, m.cells), (1.0, 6));
        assert!(m.log.is_none());
        let Moments { mean, sd } = m.rest.unwrap();
        assert!((mean - 3.0).abs() < 1e-12 && (sd - 2f64.sqrt()).abs() < 1e-12);
        // ln 1, ln 4, ln 4.
        let log = m.rest_log.unwrap();
        assert!((log.mean - 4f64.ln() * 2.0 / 3.0).abs() < 1e-12 && (log.sd - 4f64.ln() * 2f64.sqrt() / 3.0).abs() < 1e-12);
    }

    #[test]
    fn numbers_at_the_ends_of_their_range_and_many_values() {
        let m = Marginal::of(&[-1.7e308, 0.0, 1.7e308]);
        assert!(m.rest.unwrap().sd.is_finite() && m.unit.is_finite());
        let many: Vec<f64> = (0..=VALUES_MOST).map(|i| i as f64).collect();
        assert!(Marginal::of(&many).values.is_empty());
        assert_eq!(Marginal::of(&many).atom.0, 0.0);
        assert_eq!(Moments::of(&[]), None);
        for n in 1..50 {
            assert_eq!(Moments::of(&vec![f64::MAX; n]).unwrap().mean, f64::MAX, "{n}");
        }
        assert_eq!(Moments::of(&[3.0, 3.0]).unwrap(), Moments { mean: 3.0, sd: 1.0 });
    }
}
