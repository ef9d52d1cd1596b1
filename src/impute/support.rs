//! The values that the numbers of a column take in the fitted table, and how often: what drawn numbers keep to.

use ndarray_rand::rand::Rng;
use serde::{Deserialize, Serialize};

use crate::data::scaling::ColumnScaling;
use crate::likelihood::{Law, Likelihood, log_sum_exp};
use crate::rng::Stream;

/// A column's values, or the range that they fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Support {
    /// Few values, each with its share of the cells; ascending.
    Values(Vec<(f64, f64)>),
    /// Many: bins between these edges, and the share of the cells in each.
    Range { edges: Vec<f64>, share: Vec<f64> },
}

/// Distinct values of a column that are kept, and cells a value, at least.
const VALUES_MOST: usize = 256;
const CELLS_A_VALUE: usize = 10;
/// Bins of a column, at most, and cells in each, at least.
const BINS_MOST: usize = 32;
const CELLS_A_BIN: usize = 20;
/// Candidates of a number, of which one is taken.
const CANDIDATES: usize = 16;
/// No value becomes more or less frequent by a larger factor.
const TILT_MOST: f64 = 100.0;

impl Support {
    /// Of the observed cells of a column, two distinct ones at least.
    pub fn of(mut cells: Vec<f64>) -> Support {
        let n = cells.len();
        cells.sort_by(f64::total_cmp);
        let distinct: Vec<(f64, f64)> = cells.chunk_by(|a, b| a == b).map(|c| (c[0], c.len() as f64 / n as f64)).collect();
        if distinct.len() <= VALUES_MOST && n >= CELLS_A_VALUE * distinct.len() {
            return Support::Values(distinct);
        }
        let bins = (n / CELLS_A_BIN).clamp(1, BINS_MOST);
        let mut edges: Vec<f64> = (0..=bins).map(|i| cells[i * (n - 1) / bins]).collect();
        edges.dedup();
        let last = edges.len() - 1;
        let below = |e: usize| if e == last { n } else { cells.partition_point(|&x| x < edges[e]) };
        let share = (0..last).map(|b| (below(b + 1) - below(b)) as f64 / n as f64).collect();
        Support::Range { edges, share }
    }

    /// Whether a fit can give it; a file may say anything.
    pub fn is_sound(&self) -> bool {
        let share = |s: &f64| (0.0..=1.0).contains(s);
        match self {
            Support::Values(values) => {
                !values.is_empty()
                    && values.iter().all(|(x, s)| x.is_finite() && share(s))
                    && values.windows(2).all(|v| v[0].0 < v[1].0)
            }
            Support::Range { edges, share: shares } => {
                edges.len() == shares.len() + 1
                    && edges.len() > 1
                    && edges.iter().all(|x| x.is_finite())
                    && edges.windows(2).all(|e| e[0] < e[1])
                    && shares.iter().all(share)
            }
        }
    }

    /// Values or bins.
    pub fn len(&self) -> usize {
        match self {
            Support::Values(values) => values.len(),
            Support::Range { share, .. } => share.len(),
        }
    }

    /// The factors by which values become more frequent so that the mean probabilities of rows become the shares in the table.
    pub fn tilt(&self, before: &[f64], mean: &[f64]) -> Vec<f64> {
        let share = |g: usize| match self {
            Support::Values(values) => values[g].1,
            Support::Range { share, .. } => share[g],
        };
        let tilt = |(g, (t, m)): (usize, (&f64, &f64))| (t * share(g) / m).clamp(1.0 / TILT_MOST, TILT_MOST);
        before.iter().zip(mean).enumerate().map(tilt).collect()
    }

    /// One draw of a number from a law, with outputs `eta`, that is tilted, `lone` drawing from it as it is; data units. Adds to
    /// `seen` the probability of each value or bin.
    pub fn draw(
        &self,
        (law, eta): (&Law, &[f32]),
        scaling: &ColumnScaling,
        tilt: &[f64],
        rng: &mut Stream,
        seen: &mut [f64],
        mut lone: impl FnMut(&mut Stream) -> f64,
    ) -> f64 {
        match self {
            Support::Values(values) => {
                let mut unused = vec![0.0; eta.len()];
                let at = |(x, _): &(f64, f64)| f64::from(law.log_prob_grad(eta, scaling.to_model(*x) as f32, &mut unused));
                let mut logs: Vec<f64> = values.iter().map(at).collect();
                logs.iter_mut().zip(tilt).for_each(|(l, t)| *l += t.ln());
                let total = log_sum_exp(&logs);
                logs.iter_mut().for_each(|l| *l = (*l - total).exp());
                seen.iter_mut().zip(&logs).for_each(|(s, p)| *s += p);
                values[place(&logs, rng)].0
            }
            Support::Range { edges, share } => {
                let (low, high) = (edges[0], edges[edges.len() - 1]);
                let bin = |x: f64| edges.partition_point(|&e| e <= x).clamp(1, share.len()) - 1;
                let candidates: [f64; CANDIDATES] = std::array::from_fn(|_| lone(rng).clamp(low, high));
                let weights = candidates.map(|x| tilt[bin(x)]);
                let total: f64 = weights.iter().sum();
                candidates.iter().zip(weights).for_each(|(&x, w)| seen[bin(x)] += w / total);
                candidates[place(&weights, rng)]
            }
        }
    }
}

/// A place at random, by its weight.
pub(super) fn place(weights: &[f64], rng: &mut Stream) -> usize {
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    let found = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    found.unwrap_or(weights.len() - 1)
}
