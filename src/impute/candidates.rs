//! Draws of what an outcome rests on: candidates without it, of which one is chosen by how likely they make it.
//!
//! ```text
//! p(x_m | x_v, y) ∝ p(x_m | x_v) p(y | x_m, x_v)        y: outcomes, which bend with some of x, or differ between its levels
//! ```
//! Where y bends with x, x given y is neither normal nor about a straight line, may even have two modes. But y given x is about normal, and
//! what is missing of x comes from the other cells as ever (Bartlett et al. 2015 for imputations that an analysis with products is
//! compatible with; sampling importance resampling, Rubin 1987). Outcomes that are missing, too, come last, given all of x.

use std::ops::Range;

use ndarray::Array2;
use rayon::prelude::*;

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::impute::support::place;
use crate::impute::vae::VaeImputer;
use crate::likelihood::{Likelihood, log_sum_exp};
use crate::model::linear::FactorAnalysis;
use crate::model::linear::start::View;
use crate::model::missingness::Tilt;
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, Stream, pair, stream};
use crate::train::show_block;

/// Candidates of a row, and rows that are worked out together.
const CANDIDATES: usize = 32;
const ROWS: usize = BLOCK / CANDIDATES;

/// A row with a gap that an outcome rests on.
struct Task<'a> {
    row: usize,
    gaps: &'a [Gap],
    /// Where its gaps stand among all.
    at: Range<usize>,
    /// Per column, whether it is an outcome that rests on one of the gaps.
    outcome: Vec<bool>,
}

impl VaeImputer {
    /// Draws anew, the `index`-th, what outcomes rest on and the outcomes of such rows, by a network and a draw of the linear model's
    /// parameters. `values`: one a gap, in data units; `keys`: what each row's draws depend on.
    pub(super) fn draw_candidates(
        &self,
        (w, linear): (&[f32], &FactorAnalysis),
        tilts: &[Option<Tilt>],
        (rows, gaps): (&Rows<f32>, &[Gap]),
        (seed, index): (u64, usize),
        keys: &[u64],
        values: &mut [f64],
    ) {
        let mut tasks = Vec::new();
        let mut at = 0;
        for gaps in gaps.chunk_by(|a, b| a.0 == b.0) {
            let (from, row) = (at, gaps[0].0);
            at += gaps.len();
            let mut outcome = vec![false; self.vae.columns];
            for o in &self.linear.outcomes {
                outcome[o.column] = o.factors.iter().any(|&factor| rows.target[(row, factor)].is_nan());
            }
            if outcome.contains(&true) {
                tasks.push(Task { row, gaps, at: from..at, outcome });
            }
        }
        let draw = |block: &mut Block<f32>, tasks: &[Task<'_>]| -> Vec<Vec<f64>> {
            let streams = tasks.iter().map(|task| stream(seed, Purpose::Candidates, pair(index as u64, keys[task.row])));
            self.choose_candidates((w, linear), tilts, rows, tasks, &mut streams.collect::<Vec<_>>(), block)
        };
        let drawn: Vec<Vec<f64>> = tasks.par_chunks(ROWS).map_init(|| Block::new(&self.vae, 1), draw).flatten().collect();
        for (task, drawn) in tasks.into_iter().zip(drawn) {
            values[task.at].copy_from_slice(&drawn);
        }
    }

    /// Per task the values of its gaps.
    fn choose_candidates(
        &self,
        (w, linear): (&[f32], &FactorAnalysis),
        tilts: &[Option<Tilt>],
        rows: &Rows<f32>,
        tasks: &[Task<'_>],
        streams: &mut [Stream],
        block: &mut Block<f32>,
    ) -> Vec<Vec<f64>> {
        let view = View::of(&self.scaling, linear);
        let all: Vec<usize> = (0..tasks.len() * CANDIDATES).collect();
        let task = |r: usize| &tasks[r / CANDIDATES];
        let of = |cells: &Array2<f32>| Array2::from_shape_fn((all.len(), self.vae.columns), |(r, k)| cells[(task(r).row, k)]);
        let mut candidates = Rows { target: of(&rows.target), place: of(&rows.place) };
        let mut values: Vec<Vec<f64>> = all.iter().map(|&r| vec![0.0; task(r).gaps.len()]).collect();
        let mut log_weights = vec![0.0; all.len()];
        let mut noise = vec![0.0; all.len() * self.vae.columns];
        // First all but the outcomes, then these.
        for outcomes in [false, true] {
            show_block(&view, &candidates, &all, |r, k| !task(r).outcome[k], block);
            let eta = self.draw_outputs((w, linear), (streams, CANDIDATES), block, &mut noise);
            for (&r, noise) in all.iter().zip(noise.chunks_exact(self.vae.columns)) {
                let (Task { row, gaps, outcome, .. }, rng) = (task(r), &mut streams[r / CANDIDATES]);
                let eta = |k: usize| &eta.row(r).to_slice().expect("standard layout")[self.vae.heads[k].eta.clone()];
                for (value, &(_, k)) in values[r].iter_mut().zip(*gaps).filter(|(_, gap)| outcome[gap.1] == outcomes) {
                    *value = self.draw_gap(tilts[k].as_ref(), k, eta(k), noise[k], rng);
                    let scaling = &self.scaling.columns[k];
                    candidates.target[(r, k)] = scaling.target(*value) as f32;
                    candidates.place[(r, k)] = scaling.place(*value) as f32;
                }
                let told = |k: &usize| outcomes && outcome[*k] && !rows.target[(*row, *k)].is_nan();
                for k in (0..self.vae.columns).filter(told) {
                    let (eta, x) = (eta(k), rows.target[(*row, k)]);
                    log_weights[r] += f64::from(self.vae.heads[k].law.log_prob_grad(eta, x, &mut vec![0.0; eta.len()]));
                }
            }
        }
        let chosen = log_weights.chunks_exact(CANDIDATES).zip(streams).enumerate().map(|(t, (log_weights, rng))| {
            let total = log_sum_exp(log_weights);
            let weights: Vec<f64> = log_weights.iter().map(|log_weight| (log_weight - total).exp()).collect();
            t * CANDIDATES + place(&weights, rng)
        });
        chosen.map(|r| std::mem::take(&mut values[r])).collect()
    }
}
