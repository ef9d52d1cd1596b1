//! What rows alike say of a gap: a local correction of what the networks expect.
//!
//! ```text
//! number   m + Σ_k w_k (x_k − m_k) / (λ + Σ_k w_k)          w_k = exp(−√D_k / h)
//! level    (λ p + Σ_k w_k 1[x_k]) / (λ + Σ_k w_k)
//! ```
//! m and p are what the networks expect of the gap, m_k what they expect of the observed cell x_k of a fitted row, shown the rest of
//! that row: kernel regression (Nadaraya 1964, Watson 1964) of what the networks leave unexplained. A draw takes the value of
//! one k, or the networks' own, with these weights as probabilities, so that the fill is the mean of the draws.
//!
//! D compares completed rows, numbers in standard deviations and levels one-hot. A column that was completed on either side counts
//! less; the gap's own column counts by what the networks expect of it. The bandwidth h and the networks' share λ are those that do
//! best on held-out cells, for numbers and for levels; where no gain is beyond chance, there is no correction.

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::kernel::{Real, vectorised};
use crate::likelihood::{Head, Law, Likelihood};
use crate::model::missingness::Tilt;
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, pair, uniform};

/// Fitted rows that are kept, at most.
pub(super) const ROWS_MOST: usize = 20_000;
/// Nearest rows that have a weight, about.
pub(super) const NEAREST: usize = 256;
/// Of these, those that a draw chooses from.
pub(super) const PICKED: usize = 32;
/// What a column counts for that is completed in one of two rows; of both, its square.
const COMPLETED: f32 = 0.2;
/// In distances numbers count as no farther out than this, in standard deviations; and no row corrects by more than the second.
const CLIP: f32 = 6.0;
const MOST: f32 = 30.0;
/// What residuals are multiplied by in draws: the networks know the fitted cells, and miss others by more.
pub(super) const WIDER: [f32; 5] = [1.0, 1.1, 1.2, 1.35, 1.5];
/// The choices of h and λ.
pub(super) const BANDWIDTHS: [f32; 5] = [0.1, 0.2, 0.3, 0.45, 0.7];
pub(super) const SHARES: [f32; 6] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

/// h and λ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kernel {
    pub bandwidth: f32,
    pub share: f32,
}

impl Kernel {
    fn is_sound(&self) -> bool {
        BANDWIDTHS.contains(&self.bandwidth) && SHARES.contains(&self.share)
    }
}

/// Rows of the fitted table, and how near ones correct a fill.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// (rows, columns), model units: NaN where missing.
    target: Array2<f32>,
    /// (rows, outcomes): the cells, or what the networks expect of them; levels take a place each.
    completed: Array2<f32>,
    /// (rows, columns): what the networks expect of an observed number, shown the rest of its row; zero elsewhere.
    expected: Array2<f32>,
    pub kernels: Kernels,
    /// Where each column's outcomes stand.
    starts: Vec<usize>,
    /// (2 columns + outcomes, rows): a product with a row's [`Neighbours::query`] gives distances.
    right: Array2<f32>,
}

/// None where there is no correction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kernels {
    /// Of fills of numbers.
    pub numbers: Option<Kernel>,
    /// Of draws of numbers.
    pub drawn: Option<Kernel>,
    /// Of levels.
    pub levels: Option<Kernel>,
    /// What residuals are multiplied by in draws.
    pub wider: f32,
}

/// Fitted rows by their distance from a row: index and D.
pub(super) type Near = Vec<(u32, f32)>;

/// What a gap may take besides the networks' own draw: fitted rows with the logarithm of their weight, and a value in model units.
#[derive(Debug)]
pub(crate) struct Picks {
    near: Vec<(u32, f32, f32)>,
    /// ln λ.
    own: f32,
}

impl Picks {
    /// Bytes that it takes.
    pub fn memory(&self) -> usize {
        size_of::<Picks>() + self.near.capacity() * size_of::<(u32, f32, f32)>()
    }

    /// The value of one of them by their weights, or `None` for the networks' own. The same row tends to be chosen for all gaps of a
    /// row, whose values go together (the largest of the logarithms of weights plus Gumbel noise, which rows share); and in
    /// every draw the fitted rows have weights of their own (the Bayesian bootstrap, Rubin 1981).
    pub fn pick(&self, seed: u64, draw: usize, row: u64) -> Option<f32> {
        let of_row = pair(draw as u64, row);
        let ln_exponential = |index| (-uniform(seed, Purpose::Neighbours, index).ln()).ln();
        let gumbel = |k: u64| -ln_exponential(pair(of_row, k));
        let bootstrap = |k: u64| ln_exponential(pair(draw as u64, k));
        if self.near.is_empty() {
            return None;
        }
        let mut best = (f64::from(self.own) + gumbel(u64::MAX), None);
        for &(k, weight, value) in &self.near {
            let k = u64::from(k);
            let at = f64::from(weight) + bootstrap(k) + gumbel(k);
            if at > best.0 {
                best = (at, Some(value));
            }
        }
        best.1
    }
}

impl Neighbours {
    /// From what a fit or a file has; `None` where these do not go together.
    pub fn new(heads: &[Head], [target, completed, expected]: [Array2<f32>; 3], kernels: Kernels) -> Option<Neighbours> {
        let (n, d) = target.dim();
        let mut starts = vec![0];
        heads.iter().for_each(|h| starts.push(starts[starts.len() - 1] + Likelihood::<f32>::outcomes(&h.law)));
        let fits = d == heads.len() && completed.dim() == (n, starts[d]) && expected.dim() == (n, d) && n <= ROWS_MOST;
        let finite = || completed.iter().chain(&expected).chain(target.iter().filter(|x| !x.is_nan())).all(|x| x.is_finite());
        let sound = WIDER.contains(&kernels.wider);
        if !fits
            || !sound
            || !finite()
            || ![kernels.numbers, kernels.drawn, kernels.levels].iter().flatten().all(Kernel::is_sound)
        {
            return None;
        }
        let mut near = Neighbours { target, completed, expected, kernels, starts, right: Array2::zeros((0, n)) };
        let is_class = |j: usize, x: f32| x.is_nan() || x.fract() == 0.0 && x >= 0.0 && (x as usize) < near.width(j);
        if !near.target.indexed_iter().all(|((_, j), &x)| near.is_number(j) || is_class(j, x)) {
            return None;
        }
        let mut right = Array2::zeros((2 * d + near.starts[d], n));
        for k in 0..n {
            let (g, cells) = near.side(near.target.row(k), |_| true, near.completed.row(k).to_slice()?);
            for (j, &g) in g.iter().enumerate() {
                let at = near.starts[j]..near.starts[j + 1];
                right[(j, k)] = g;
                right[(d + j, k)] = g * cells[at.clone()].iter().map(|a| a * a).sum::<f32>();
                at.for_each(|f| right[(2 * d + f, k)] = g * cells[f]);
            }
        }
        near.right = right;
        Some(near)
    }

    /// The tensors of a file: target, completed and expected.
    pub fn tensors(&self) -> [&Array2<f32>; 3] {
        [&self.target, &self.completed, &self.expected]
    }

    /// Fitted rows that are kept.
    pub fn rows(&self) -> usize {
        self.target.nrows()
    }

    /// Bytes that it takes, twice what a file has of it as that is read, with buffers of so many threads.
    pub fn memory(&self, threads: usize) -> usize {
        let stored = self.target.len() + self.completed.len() + self.expected.len();
        4 * (2 * stored + self.right.len() + threads * BLOCK * self.rows())
    }

    fn width(&self, column: usize) -> usize {
        self.starts[column + 1] - self.starts[column]
    }

    pub fn is_number(&self, column: usize) -> bool {
        self.width(column) == 1
    }

    fn kernel(&self, column: usize) -> Option<Kernel> {
        if self.is_number(column) { self.kernels.numbers } else { self.kernels.levels }
    }

    /// What each column of a row counts for, and its completed cells, clipped: observed where `shown`, else expected.
    fn side(&self, target: ArrayView1<f32>, shown: impl Fn(usize) -> bool, expected: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut cells: Vec<f32> = expected.iter().map(|x| x.clamp(-CLIP, CLIP)).collect();
        let counts = target.iter().enumerate().map(|(j, &x)| {
            if x.is_nan() || !shown(j) {
                return COMPLETED;
            }
            let cells = &mut cells[self.starts[j]..self.starts[j + 1]];
            match cells {
                [number] => *number = x.clamp(-CLIP, CLIP),
                levels => levels.iter_mut().enumerate().for_each(|(l, p)| *p = f32::from(u8::from(l == x as usize))),
            }
            1.0
        });
        (counts.collect(), cells)
    }

    /// The nearest fitted rows of each of some rows: their targets, which cells are shown, and what is expected of the others.
    /// `without` is left out of a row's.
    fn nearest<'a>(
        &self,
        rows: impl ExactSizeIterator<Item = (ArrayView1<'a, f32>, Vec<bool>, &'a [f32], Option<usize>)>,
        buffers: &mut Distances,
    ) -> Vec<Near> {
        let d = self.target.ncols();
        let count = rows.len();
        buffers.left.fill(0.0);
        let mut without = Vec::with_capacity(count);
        for ((target, shown, expected, left_out), mut left) in rows.zip(buffers.left.rows_mut()) {
            without.push(left_out);
            let (g, cells) = self.side(target, |j| shown[j], expected);
            for (j, &g) in g.iter().enumerate() {
                let at = self.starts[j]..self.starts[j + 1];
                left[j] = g * cells[at.clone()].iter().map(|a| a * a).sum::<f32>();
                left[d + j] = g;
                at.for_each(|f| left[2 * d + f] = -2.0 * g * cells[f]);
            }
        }
        f32::product(1.0, buffers.left.view(), self.right.view(), 0.0, buffers.squares.view_mut());
        let squares = buffers.squares.rows().into_iter().take(count);
        squares.zip(without).map(|(d, without)| nearest(d.to_slice().expect("standard layout"), without)).collect()
    }

    /// Of the fitted rows near a row that have a column, the weight w. `expected`: what is expected of the row's own cell.
    pub fn weights(&self, column: usize, near: &Near, expected: &[f32], kernel: Kernel, out: &mut Vec<(u32, f32)>) {
        out.clear();
        self.distances(column, near, expected, out);
        vectorised(
            #[inline(always)]
            || out.iter_mut().for_each(|(_, d)| *d = (-*d / kernel.bandwidth).fast_exp()),
        );
    }

    /// Of the fitted rows near a row that have a column, √D for a gap there.
    fn distances(&self, column: usize, near: &Near, expected: &[f32], out: &mut Vec<(u32, f32)>) {
        let number = self.is_number(column);
        for &(k, square) in near {
            let x = self.target[(k as usize, column)];
            if x.is_nan() {
                continue;
            }
            let own = if number {
                let m = expected[0].clamp(-CLIP, CLIP);
                let by_cell = m - x.clamp(-CLIP, CLIP);
                let by_expected = m - self.expected[(k as usize, column)].clamp(-CLIP, CLIP);
                by_expected * by_expected - COMPLETED * by_cell * by_cell
            } else {
                // Σ p² − 2 p_x + 1, less what stands in D.
                -COMPLETED * (expected.iter().map(|p| p * p).sum::<f32>() - 2.0 * expected[x as usize] + 1.0)
            };
            out.push((k, (square + own).max(0.0).sqrt()));
        }
    }

    /// What a number's near cell says that the networks do not.
    fn residual(&self, k: u32, column: usize) -> f32 {
        let at = (k as usize, column);
        (self.target[at] - self.expected[at]).clamp(-MOST, MOST)
    }

    /// What a gap takes from a near cell, in model units.
    pub fn value(&self, k: u32, column: usize, law: &Law, expected: &[f32], wider: f32) -> f32 {
        match self.target[(k as usize, column)] {
            // A point mass stays one.
            x if self.is_number(column) && !law.is_mass(x) => expected[0] + wider * self.residual(k, column),
            x => x,
        }
    }

    /// Corrects what is expected of a gap: (outcomes of the column,).
    pub fn correct(&self, column: usize, weights: &[(u32, f32)], share: f32, expected: &mut [f32]) {
        let total = share + weights.iter().map(|(_, w)| w).sum::<f32>();
        match expected {
            [number] => *number += weights.iter().map(|&(k, w)| w * self.residual(k, column)).sum::<f32>() / total,
            levels => {
                levels.iter_mut().for_each(|p| *p *= share / total);
                weights.iter().for_each(|&(k, w)| levels[self.target[(k as usize, column)] as usize] += w / total);
            }
        }
    }

    /// Corrects what a block expects of the gaps of its rows, by the fitted rows near each.
    pub fn correct_block(&self, near: &[Near], gaps: &[&[Gap]], block: &mut Block<f32>) {
        let mut weights = Vec::new();
        for (r, (near, gaps)) in near.iter().zip(gaps).enumerate() {
            for &(_, j) in *gaps {
                if let Some(kernel) = self.kernel(j) {
                    let expected = block.outcomes_mut(r, j);
                    self.weights(j, near, expected, kernel, &mut weights);
                    self.correct(j, &weights, kernel.share, expected);
                }
            }
        }
    }

    /// The fitted rows near each row of a block, which shows the observed cells but those that are gaps here. `without` names a fitted row
    /// that is left out of a row's.
    pub fn near_gaps(
        &self,
        rows: &Rows<f32>,
        gaps: &[&[Gap]],
        block: &Block<f32>,
        buffers: &mut Distances,
        without: impl Fn(usize) -> Option<usize>,
    ) -> Vec<Near> {
        let of = gaps.iter().enumerate().map(|(r, gaps)| {
            let mut shown = vec![true; self.target.ncols()];
            gaps.iter().for_each(|&(_, j)| shown[j] = false);
            let i = gaps[0].0;
            (rows.target.row(i), shown, block.expected.row(r).to_slice().expect("standard layout"), without(i))
        });
        self.nearest(of, buffers)
    }

    /// What the gaps of a block's rows may take in draws, in order.
    /// `tilts`, one a gap: what a value's logarithm of its weight gains, and the networks' own.
    pub fn picks(
        &self,
        heads: &[Head],
        near: &[Near],
        gaps: &[&[Gap]],
        block: &Block<f32>,
        tilts: &[(Option<&Tilt>, f64)],
    ) -> Vec<Picks> {
        let (mut out, mut weights) = (Vec::new(), Vec::new());
        for (r, (near, gaps)) in near.iter().zip(gaps).enumerate() {
            for &(_, j) in *gaps {
                let kernel = if self.is_number(j) { self.kernels.drawn } else { self.kernels.levels };
                let Some(kernel) = kernel else {
                    out.push(Picks { near: Vec::new(), own: 0.0 });
                    continue;
                };
                let expected = block.outcomes(r, j);
                self.weights(j, near, expected, kernel, &mut weights);
                weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                let near = weights.iter().take(PICKED).filter(|(_, w)| *w > 0.0);
                let (tilt, own) = tilts.get(out.len()).copied().unwrap_or_default();
                let near = near.map(|&(k, w)| {
                    let value = self.value(k, j, &heads[j].law, expected, self.kernels.wider);
                    (k, w.ln() + tilt.map_or(0.0, |tilt| tilt.of(value, self.is_number(j))) as f32, value)
                });
                out.push(Picks { near: near.collect(), own: kernel.share.ln() + own as f32 });
            }
        }
        out
    }
}

/// Buffers of distances from rows to the fitted ones.
#[derive(Debug)]
pub(crate) struct Distances {
    left: Array2<f32>,
    /// (BLOCK, rows).
    squares: Array2<f32>,
}

impl Distances {
    pub fn new(near: &Neighbours) -> Distances {
        let (features, rows) = near.right.dim();
        Distances { left: Array2::zeros((BLOCK, features)), squares: Array2::zeros((BLOCK, rows)) }
    }
}

/// About [`NEAREST`] of the nearest: those nearer than a quantile of a part of the distances.
fn nearest(squares: &[f32], without: Option<usize>) -> Near {
    let stride = squares.len().div_ceil(1024).max(1);
    let mut some: Vec<f32> = squares.iter().copied().step_by(stride).collect();
    let rank = NEAREST / stride;
    let limit = match rank < some.len() {
        true => *some.select_nth_unstable_by(rank, f32::total_cmp).1,
        false => f32::INFINITY,
    };
    let near = squares.iter().enumerate().filter(|&(k, &d)| d <= limit && Some(k) != without);
    near.take(4 * NEAREST).map(|(k, &d)| (k as u32, d)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_about_as_many_as_asked_for_and_leave_one_out() {
        let squares: Vec<f32> = (0..20_000u32).map(|k| (k.wrapping_mul(2_654_435_761) >> 12) as f32).collect();
        let near = nearest(&squares, None);
        assert!((NEAREST / 2..2 * NEAREST).contains(&near.len()), "{}", near.len());
        let most = near.iter().map(|n| n.1).fold(0.0, f32::max);
        assert_eq!(near.len(), squares.iter().filter(|d| **d <= most).count());
        let left_out = near[3].0;
        let without = nearest(&squares, Some(left_out as usize));
        assert_eq!(without.len() + 1, near.len());
        assert!(without.iter().all(|n| n.0 != left_out));
        assert_eq!(nearest(&squares[..100], Some(0)).len(), 99);
    }
}
