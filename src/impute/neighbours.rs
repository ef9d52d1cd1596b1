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

use ndarray::{Array2, ArrayView1, s};
use ndarray_rand::rand::seq::index::sample;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::impute::vae::VaeImputer;
use crate::kernel::{Real, vectorised};
use crate::likelihood::{Head, Law, Likelihood};
use crate::model::linear::View;
use crate::model::posterior::{AT_ONCE, BLOCK, Block};
use crate::rng::{Purpose, normals, pair, stream, uniform};
use crate::train::{HeldOut, mean_and_error, show_block};

/// Fitted rows that are kept, at most; and their completed cells, and the observed numbers that networks are asked for.
const ROWS_MOST: usize = 20_000;
const CELLS_MOST: usize = 2_000_000;
const ASKED_MOST: usize = 400_000;
/// Held-out cells of a sort that a choice is made by, at least.
const HELD_LEAST: usize = 30;
/// Nearest rows that have a weight, about.
const NEAREST: usize = 256;
/// Of these, those that a draw chooses from.
const PICKED: usize = 32;
/// What a column counts for that is completed in one of two rows; of both, its square.
const COMPLETED: f32 = 0.2;
/// In distances numbers count as no farther out than this, in standard deviations; and no row corrects by more than the second.
const CLIP: f32 = 6.0;
const MOST: f32 = 30.0;
/// A fill that is farther off, in standard deviations, counts as if it were not, when kernels are chosen: a few wild cells do not
/// choose alone.
const OFF_MOST: f32 = 5.0;
/// What residuals are multiplied by in draws: the networks know the fitted cells, and miss others by more.
const WIDER: [f32; 5] = [1.0, 1.1, 1.2, 1.35, 1.5];
/// Draws of the networks that stand for their distribution when that of draws is chosen.
const DRAWS: usize = 8;
/// The choices of h and λ.
const BANDWIDTHS: [f32; 5] = [0.1, 0.2, 0.3, 0.45, 0.7];
const SHARES: [f32; 6] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

/// h and λ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kernel {
    bandwidth: f32,
    share: f32,
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
    kernels: Kernels,
    /// Where each column's outcomes stand.
    starts: Vec<usize>,
    /// (2 columns + outcomes, rows): a product with a row's [`Neighbours::query`] gives distances.
    right: Array2<f32>,
}

/// None where there is no correction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kernels {
    /// Of fills of numbers.
    numbers: Option<Kernel>,
    /// Of draws of numbers.
    drawn: Option<Kernel>,
    /// Of levels.
    levels: Option<Kernel>,
    /// What residuals are multiplied by in draws.
    wider: f32,
}

/// Fitted rows by their distance from a row: index and D.
type Near = Vec<(u32, f32)>;

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
    pub fn pick(&self, seed: u64, draw: usize, row: usize) -> Option<f32> {
        let of_row = pair(draw as u64, row as u64);
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

    pub fn kernels(&self) -> Kernels {
        self.kernels
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

    fn is_number(&self, column: usize) -> bool {
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
    fn weights(&self, column: usize, near: &Near, expected: &[f32], kernel: Kernel, out: &mut Vec<(u32, f32)>) {
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
    fn value(&self, k: u32, column: usize, law: &Law, expected: &[f32], wider: f32) -> f32 {
        match self.target[(k as usize, column)] {
            // A point mass stays one.
            x if self.is_number(column) && !law.is_mass(x) => expected[0] + wider * self.residual(k, column),
            x => x,
        }
    }

    /// Corrects what is expected of a gap: (outcomes of the column,).
    fn correct(&self, column: usize, weights: &[(u32, f32)], share: f32, expected: &mut [f32]) {
        let total = share + weights.iter().map(|(_, w)| w).sum::<f32>();
        match expected {
            [number] => *number += weights.iter().map(|&(k, w)| w * self.residual(k, column)).sum::<f32>() / total,
            levels => {
                levels.iter_mut().for_each(|p| *p *= share / total);
                weights.iter().for_each(|&(k, w)| levels[self.target[(k as usize, column)] as usize] += w / total);
            }
        }
    }

    /// Corrects what a block expects of the gaps of its rows, of which it shows the observed cells but those that are gaps here.
    /// `without` names a fitted row that is left out of a row's.
    pub fn correct_block(
        &self,
        rows: &Rows<f32>,
        gaps: &[&[Gap]],
        block: &mut Block<f32>,
        buffers: &mut Distances,
        without: impl Fn(usize) -> Option<usize>,
    ) {
        let mut weights = Vec::new();
        let near = self.near_gaps(rows, gaps, block, buffers, without);
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

    fn near_gaps(
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
    pub fn picks(
        &self,
        heads: &[Head],
        rows: &Rows<f32>,
        gaps: &[&[Gap]],
        block: &Block<f32>,
        buffers: &mut Distances,
    ) -> Vec<Picks> {
        let (mut out, mut weights) = (Vec::new(), Vec::new());
        let near = self.near_gaps(rows, gaps, block, buffers, |_| None);
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
                let near = near.map(|&(k, w)| (k, w.ln(), self.value(k, j, &heads[j].law, expected, self.kernels.wider)));
                out.push(Picks { near: near.collect(), own: kernel.share.ln() });
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

impl VaeImputer {
    /// The rows of the fit that correct fills, and which they are, if held-out cells gain by it.
    pub(super) fn find_neighbours(&self, of_fit: (&View<'_>, &Rows<f32>), held: &HeldOut) -> Option<(Neighbours, Vec<usize>)> {
        let (n, d) = of_fit.1.target.dim();
        let heads = &self.vae.heads;
        let numbers: Vec<usize> = (0..d).filter(|&j| Likelihood::<f32>::outcomes(&heads[j].law) == 1).collect();
        let outcomes: usize = heads.iter().map(|h| Likelihood::<f32>::outcomes(&h.law)).sum();
        let kept = n.min(ROWS_MOST).min(CELLS_MOST / outcomes.max(1)).min(ASKED_MOST / numbers.len().max(1));
        if kept < NEAREST || held.len < HELD_LEAST {
            return None;
        }
        let mut of = match kept < n {
            true => sample(&mut stream(self.seed, Purpose::Neighbours, u64::MAX), n, kept).into_vec(),
            false => (0..n).collect(),
        };
        of.sort_unstable();
        let target = Array2::from_shape_fn((kept, d), |(k, j)| of_fit.1.target[(of[k], j)]);
        let members = || self.members.iter().map(Vec::as_slice);
        let complete = |block: &mut Block<f32>, of: &[usize]| -> Vec<f32> {
            self.expect(members(), self.noise.view(), of_fit, of, |_, _| true, block);
            block.expected.slice(s![..of.len(), ..]).iter().copied().collect()
        };
        let completed: Vec<Vec<f32>> = of.par_chunks(BLOCK).map_init(|| Block::new(&self.vae, AT_ONCE), complete).collect();
        let completed = Array2::from_shape_vec((kept, outcomes), completed.concat()).expect("a row each");
        let mut expected = Array2::zeros((kept, d));
        let no_noise = Array2::zeros((1, self.vae.latent));
        for &j in &numbers {
            let cells: Vec<usize> = (0..kept).filter(|&k| !target[(k, j)].is_nan()).collect();
            let ask = |block: &mut Block<f32>, cells: &[usize]| -> Vec<f32> {
                let rows: Vec<usize> = cells.iter().map(|&k| of[k]).collect();
                self.expect(members(), no_noise.view(), of_fit, &rows, |_, shown| shown != j, block);
                (0..cells.len()).map(|r| block.outcomes(r, j)[0]).collect()
            };
            let asked: Vec<Vec<f32>> = cells.par_chunks(BLOCK).map_init(|| Block::new(&self.vae, 1), ask).collect();
            cells.iter().zip(asked.iter().flatten()).for_each(|(&k, &m)| expected[(k, j)] = m);
        }
        let blank = Kernels { numbers: None, drawn: None, levels: None, wider: 1.0 };
        let mut near = Neighbours::new(heads, [target, completed, expected], blank)?;
        near.kernels = self.choose_kernels(of_fit, held, &of, &near);
        let Kernels { numbers, drawn, levels, .. } = near.kernels;
        [numbers, drawn, levels].iter().any(Option::is_some).then_some((near, of))
    }

    /// The kernels that do best on held-out cells: by the squared error of fills of numbers, by the continuous ranked probability score of
    /// draws of numbers (Gneiting & Raftery 2007, eq. 21), by the log score of levels.
    fn choose_kernels(&self, of_fit: (&View<'_>, &Rows<f32>), held: &HeldOut, of: &[usize], near: &Neighbours) -> Kernels {
        let (d, latent) = (self.vae.heads.len(), self.vae.latent);
        let choices: Vec<Kernel> =
            BANDWIDTHS.iter().flat_map(|&bandwidth| SHARES.iter().map(move |&share| Kernel { bandwidth, share })).collect();
        let gaps_of = |&i: &usize| -> Vec<Gap> { (0..d).filter(|&j| held.cells[(i, j)]).map(|j| (i, j)).collect() };
        let gaps: Vec<Vec<Gap>> = held.rows.iter().map(gaps_of).collect();
        let losses = |(block, one, buffers): &mut (Block<f32>, Block<f32>, Distances), gaps: &[Vec<Gap>]| -> Vec<Losses> {
            let rows: Vec<usize> = gaps.iter().map(|gaps| gaps[0].0).collect();
            let show = |i, j| !held.cells[(i, j)];
            self.expect(self.members.iter().map(Vec::as_slice), self.noise.view(), of_fit, &rows, show, block);
            let gaps: Vec<&[Gap]> = gaps.iter().map(Vec::as_slice).collect();
            let nearest = near.near_gaps(of_fit.1, &gaps, block, buffers, |i| of.binary_search(&i).ok());
            show_block(of_fit.0, of_fit.1, &rows, show, one);
            let mut rng = stream(self.seed, Purpose::Neighbours, rows[0] as u64);
            // Per draw, the outputs of every row.
            let draws: Vec<Array2<f32>> = (0..DRAWS)
                .map(|i| {
                    let noise = normals((BLOCK, latent), &mut rng) * self.spread();
                    one.draw(&self.vae, &self.members[i % self.members.len()], noise.view()).clone()
                })
                .collect();
            let (mut out, mut weights) = (Vec::new(), Vec::new());
            for (r, (nearest, gaps)) in nearest.iter().zip(gaps).enumerate() {
                for &(i, j) in gaps {
                    let expected = block.outcomes(r, j);
                    let (truth, Head { law, eta, .. }) = (of_fit.1.target[(i, j)], &self.vae.heads[j]);
                    let loss = |expected: &[f32]| match expected {
                        [number] => f64::from((number - truth).abs().min(OFF_MOST)).powi(2),
                        levels => -f64::from(levels[truth as usize]).max(1e-6).ln(),
                    };
                    let of_row = |draw: &Array2<f32>| draw.row(r).to_slice().expect("standard layout")[eta.clone()].to_vec();
                    let number = near.is_number(j);
                    let own: Vec<f32> = match number {
                        true => draws.iter().map(|draw| law.sample(&of_row(draw), &mut rng)).collect(),
                        false => Vec::new(),
                    };
                    let mut losses = Losses { number, fill: vec![loss(expected)], draw: Vec::new() };
                    let mut atoms: Vec<(f32, f32)> = own.iter().map(|&x| (x, 1.0)).collect();
                    // The networks' draws stand for more of them, whose pairs are farther apart than a few with themselves.
                    let (away, apart) = ranked_parts(&mut atoms, truth);
                    let farther = apart / (DRAWS - 1) as f64;
                    losses.draw.push(away - apart - farther);
                    let mut corrected = expected.to_vec();
                    for choices in choices.chunks(SHARES.len()) {
                        near.weights(j, nearest, expected, choices[0], &mut weights);
                        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                        for kernel in choices {
                            corrected.copy_from_slice(expected);
                            near.correct(j, &weights, kernel.share, &mut corrected);
                            losses.fill.push(loss(&corrected));
                            if number {
                                let picked = &weights[..weights.len().min(PICKED)];
                                let share = kernel.share / (kernel.share + picked.iter().map(|(_, w)| w).sum::<f32>());
                                let farther = f64::from(share * share) * farther;
                                for wider in WIDER {
                                    atoms.clear();
                                    atoms.extend(own.iter().map(|&x| (x, kernel.share / DRAWS as f32)));
                                    atoms.extend(picked.iter().map(|&(k, w)| (near.value(k, j, law, expected, wider), w)));
                                    let (away, apart) = ranked_parts(&mut atoms, truth);
                                    losses.draw.push(away - apart - farther);
                                }
                            }
                        }
                    }
                    out.push(losses);
                }
            }
            out
        };
        let buffers = || (Block::new(&self.vae, AT_ONCE), Block::new(&self.vae, 1), Distances::new(near));
        let losses: Vec<Losses> = gaps.par_chunks(BLOCK).map_init(buffers, losses).flatten().collect();
        let choose = |number: bool, of: fn(&Losses) -> &Vec<f64>| {
            let of_sort: Vec<&Vec<f64>> = losses.iter().filter(|l| l.number == number).map(of).collect();
            if of_sort.len() < HELD_LEAST {
                return None;
            }
            let gain = |c: usize| mean_and_error(&of_sort.iter().map(|l| l[0] - l[c + 1]).collect::<Vec<_>>());
            let gains = (0..of_sort[0].len() - 1).map(gain).enumerate();
            let (best, (mean, error)) = gains.max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0))?;
            (mean > error).then_some(best)
        };
        let drawn = choose(true, |l| &l.draw);
        Kernels {
            numbers: choose(true, |l| &l.fill).map(|c| choices[c]),
            drawn: drawn.map(|c| choices[c / WIDER.len()]),
            levels: choose(false, |l| &l.fill).map(|c| choices[c]),
            wider: drawn.map_or(1.0, |c| WIDER[c % WIDER.len()]),
        }
    }
}

/// What a held-out cell loses without a correction, and then with each choice of a kernel (and in draws, for each, of what makes
/// residuals wider).
struct Losses {
    number: bool,
    fill: Vec<f64>,
    draw: Vec<f64>,
}

/// Of values with weights, the two parts of the continuous ranked probability score: E|X − truth| and E|X − X'| / 2, whose
/// difference it is.
fn ranked_parts(atoms: &mut [(f32, f32)], truth: f32) -> (f64, f64) {
    atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut total, mut first, mut away, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for &mut (x, w) in atoms {
        let (x, w) = (f64::from(x), f64::from(w));
        away += w * (x - f64::from(truth)).abs();
        apart += w * (x * total - first);
        total += w;
        first += w * x;
    }
    if total > 0.0 { (away / total, apart / (total * total)) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranked_score_is_that_of_its_definition() {
        let atoms = [(0.5f32, 1.0f32), (-1.0, 2.0), (3.0, 0.5), (0.5, 1.5)];
        let total: f32 = atoms.iter().map(|a| a.1).sum();
        for truth in [-2.0f32, 0.5, 1.7] {
            let away: f32 = atoms.iter().map(|(x, w)| w * (x - truth).abs()).sum();
            let apart: f32 = atoms.iter().flat_map(|(x, w)| atoms.map(|(y, v)| w * v * (x - y).abs())).sum();
            let want = [away / total, apart / (2.0 * total * total)].map(f64::from);
            let (away, apart) = ranked_parts(&mut atoms.clone(), truth);
            assert!((away - want[0]).abs() < 1e-6 && (apart - want[1]).abs() < 1e-6, "{want:?}");
            assert!((away - apart - (want[0] - want[1])).abs() < 1e-6, "{want:?}");
        }
    }

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
