//! Gaps that follow what their cells would have said: which columns have them, and what that makes of fills and draws.

use ndarray::{Array2, ArrayView1, Axis, concatenate, s};
use ndarray_rand::rand::seq::index::sample;
use rayon::prelude::*;

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::impute::neighbours::{Near, Neighbours};
use crate::impute::support::place;
use crate::impute::vae::VaeImputer;
use crate::likelihood::Likelihood;
use crate::model::linear::start::View;
use crate::model::missingness::{CELLS_LEAST, FAR, Gaps, Own, ROWS_LEAST, Terms, Tilt, Verdict, rows_to_judge, terms};
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, Stream, normals, pair, stream};

/// Rows that are looked at: so many at most, fewer of wide tables, none where not that many are left.
const ROWS_MOST: usize = 2000;
/// A table loses its cells by what they say where that explains the gaps of several columns better, by so many nats together. Five in one
/// column are very strong evidence (Kass & Raftery 1995); but a cause that is a sum of columns may look like what they say of another, and a
/// single column may have a cause of its own. In such a table every column is tilted whose gaps are explained better so, the share of
/// such columns being its prior.
const EVIDENCE: f64 = 20.0;
const COLUMNS_LEAST: usize = 3;
/// Latent points by which a number's distribution is told, in antithetic pairs; and the normal noise there, four of it at each: the
/// medians of the upper eight sixteenths of a normal distribution, to a variance of one.
const POINTS: usize = 4;
const NOISE: [f64; 2 * POINTS] = [0.0816, 0.2468, 0.4186, 0.6025, 0.8078, 1.0509, 1.3714, 1.9381];
/// Candidates of a drawn number.
const CANDIDATES: usize = 16;

impl VaeImputer {
    /// Per column, how its gaps follow its own values; `None` where they do not, or where nothing tells. Cost: eight decoder passes or less
    /// of [`ROWS_MOST`] rows a column, and as much again to search what explains its gaps.
    pub(super) fn find_tilts(&self, of_fit: (&View<'_>, &Rows<f32>)) -> Vec<Option<Tilt>> {
        let rows = of_fit.1;
        let (n, d) = rows.target.dim();
        let none = || vec![None; d];
        let gaps: Vec<bool> = rows.target.columns().into_iter().map(|cells| cells.iter().any(|x| x.is_nan())).collect();
        if gaps.iter().filter(|g| **g).count() < COLUMNS_LEAST || self.members.is_empty() {
            return none();
        }
        let outcomes: usize = self.vae.heads.iter().map(|h| Likelihood::<f32>::outcomes(&h.law)).sum();
        let kept = rows_to_judge(n, ROWS_MOST, d, outcomes);
        if kept < ROWS_LEAST {
            return none();
        }
        let mut of = sample(&mut stream(self.seed, Purpose::Missingness, 0), n, kept).into_vec();
        of.sort_unstable();
        let verdict = |j: usize| -> Option<Verdict> {
            let missing: Vec<bool> = of.iter().map(|&i| rows.target[(i, j)].is_nan()).collect();
            let cells = missing.iter().filter(|m| **m).count();
            if cells.min(kept - cells) < CELLS_LEAST {
                return None;
            }
            let (own, terms) = self.told_by_others(of_fit, &of, j);
            Some(Gaps { missing, terms, own: Some(own) }.judge())
        };
        let verdicts: Vec<Option<Verdict>> = (0..d).into_par_iter().map(|j| gaps[j].then(|| verdict(j)).flatten()).collect();
        let (by_own, by_others): (Vec<f64>, Vec<f64>) =
            verdicts.iter().flatten().map(|v| v.evidence).partition(|evidence| *evidence > 0.0);
        if by_own.len() < COLUMNS_LEAST || by_own.iter().sum::<f64>() < EVIDENCE {
            return none();
        }
        // What the other columns are like is evidence, too.
        let prior = ((by_own.len() as f64 + 0.5) / (by_others.len() as f64 + 0.5)).ln();
        verdicts.into_iter().map(|v| v.filter(|v| v.evidence + prior > 0.0).map(|v| v.tilt)).collect()
    }

    /// Of some rows what a column's cells are like given the others, and what of the others may explain its gaps at random, completed without
    /// the column itself.
    fn told_by_others(&self, (view, rows): (&View<'_>, &Rows<f32>), of: &[usize], j: usize) -> (Own, Terms) {
        let no_noise = Array2::zeros((1, self.vae.latent));
        let ask = |block: &mut Block<f32>, of: &[usize]| -> Vec<[Vec<f64>; 4]> {
            self.expect(self.networks(), no_noise.view(), (view, rows), of, |_, shown| shown != j, block);
            let mut out: Vec<_> = of.iter().enumerate().map(|(r, &i)| self.completed(rows.target.row(i), j, r, block)).collect();
            if self.is_number(j) {
                let places: Vec<(usize, usize)> = (0..of.len()).map(|r| (r, j)).collect();
                let all = self.may_be(&places, block);
                out.iter_mut().zip(all).for_each(|(out, all)| out[0] = all.map(f64::from).to_vec());
            }
            out
        };
        let all: Vec<_> = of.par_chunks(BLOCK).map_init(|| Block::new(&self.vae, 1), ask).flatten_iter().collect();
        let [own, numbers, levels, flags] = [0, 1, 2, 3].map(|part| {
            let each = all[0][part].len();
            let cells = all.iter().flat_map(|row| row[part].iter().copied()).collect();
            Array2::from_shape_vec((all.len(), each), cells).expect("as many a row")
        });
        (if self.is_number(j) { Own::Number(own) } else { Own::Levels(own) }, terms(&numbers, &levels, &flags))
    }

    /// Of a row of a block the probabilities of a column of levels; and of the other columns completed numbers, which level it is, and which
    /// cells are missing.
    fn completed(&self, cells: ArrayView1<f32>, but: usize, r: usize, block: &Block<f32>) -> [Vec<f64>; 4] {
        let [mut own, mut numbers, mut levels, mut flags] = [const { Vec::new() }; 4];
        for (j, &x) in cells.iter().enumerate() {
            let outcomes = block.outcomes(r, j).iter().map(|&p| f64::from(p));
            if j == but {
                own = outcomes.collect();
                continue;
            }
            match (self.is_number(j), x.is_nan()) {
                (true, true) => numbers.extend(outcomes.map(|x| x.clamp(-FAR, FAR))),
                (true, false) => numbers.push(f64::from(x).clamp(-FAR, FAR)),
                (false, true) => levels.extend(outcomes),
                (false, false) => levels.extend((0..outcomes.len()).map(|l| f64::from(u8::from(l == x as usize)))),
            }
            flags.push(f64::from(u8::from(x.is_nan())));
        }
        [own, numbers, levels, flags]
    }

    /// Numbers that stand for the distribution of some gaps of a block that has been shown, (row of the block, column): in model units, the
    /// same for a row whatever its company.
    fn may_be(&self, gaps: &[(usize, usize)], block: &mut Block<f32>) -> Vec<[f32; 4 * POINTS]> {
        let latents = normals((POINTS / 2, self.vae.latent), &mut stream(self.seed, Purpose::Missingness, 1)) * self.spread();
        let points = concatenate![Axis(0), latents, -&latents];
        let decoded = block.draws(&self.vae, &self.members, points.axis_chunks_iter(Axis(0), 1));
        let mut out = vec![[0.0; 4 * POINTS]; gaps.len()];
        for (i, eta) in decoded.iter().enumerate() {
            let noise = [NOISE[i], -NOISE[i], NOISE[2 * POINTS - 1 - i], -NOISE[2 * POINTS - 1 - i]];
            for (out, &(r, j)) in out.iter_mut().zip(gaps) {
                let head = &self.vae.heads[j];
                let eta = eta.slice(s![r, head.eta.clone()]);
                let rng = &mut stream(self.seed, Purpose::Missingness, 2 + i as u64);
                let eta = eta.to_slice().expect("standard layout");
                out[4 * i..][..4].iter_mut().zip(noise).for_each(|(x, e)| *x = head.law.sample_with(eta, e, rng));
            }
        }
        out
    }

    /// By how much the expected number of each gap of a block is larger for the column's tilt, where it has one; and the logarithm of what
    /// the tilt makes of the probability of the networks' own draws. `near`: what draws may take instead; `one`: a block of one latent point.
    pub(super) fn shifts(
        &self,
        near: Option<(&Neighbours, &[Near])>,
        gaps: &[&[Gap]],
        block: &Block<f32>,
        one: &mut Block<f32>,
    ) -> Vec<Shift> {
        one.see(block);
        let asked: Vec<(usize, usize)> = places(gaps).filter(|&(_, j)| self.tilts[j].is_some() && self.is_number(j)).collect();
        let may_be = self.may_be(&asked, one);
        let (mut next, mut weights) = (may_be.iter(), Vec::new());
        let of = |(r, j): (usize, usize)| {
            let Some(tilt) = &self.tilts[j] else { return Shift::default() };
            let expected = block.outcomes(r, j);
            if !self.is_number(j) {
                let own: f64 = expected.iter().enumerate().map(|(l, &p)| f64::from(p) * tilt.of(l as f32, false).exp()).sum();
                return Shift { by: 0.0, own: own.ln() };
            }
            let numbers = next.next().expect("one each");
            let mut sums = Sums::default();
            let mut own_share = 1.0;
            if let Some((near, lists)) = near
                && let Some(kernel) = near.kernels.drawn
            {
                near.weights(j, &lists[r], expected, kernel, &mut weights);
                own_share = f64::from(kernel.share);
                for &(k, w) in &weights {
                    sums.add(near.value(k, j, &self.vae.heads[j].law, expected, near.kernels.wider), f64::from(w), tilt);
                }
            }
            let mut own = Sums::default();
            numbers.iter().for_each(|&x| own.add(x, own_share / numbers.len() as f64, tilt));
            let ln_own = (own.tilted / own.plain).ln();
            sums.join(&own);
            Shift { by: sums.shift() as f32, own: ln_own }
        };
        places(gaps).map(of).collect()
    }

    pub(super) fn is_number(&self, j: usize) -> bool {
        Likelihood::<f32>::outcomes(&self.vae.heads[j].law) == 1
    }

    /// The tilts of a draw.
    pub(super) fn drawn_tilts(&self, draw: usize) -> Vec<Option<Tilt>> {
        let mut rng = stream(self.seed, Purpose::Missingness, pair(draw as u64, 3));
        self.tilts.iter().map(|tilt| tilt.as_ref().map(|tilt| tilt.drawn(&mut rng))).collect()
    }

    /// Tilts what a block expects of gaps, by their shifts.
    pub(super) fn tilt_block(&self, shifts: &[Shift], gaps: &[&[Gap]], block: &mut Block<f32>) {
        for ((r, j), shift) in places(gaps).zip(shifts) {
            let Some(tilt) = &self.tilts[j] else { continue };
            let outcomes = block.outcomes_mut(r, j);
            if let [number] = outcomes {
                *number += shift.by;
                continue;
            }
            outcomes.iter_mut().zip(&tilt.log_odds).for_each(|(p, t)| *p *= t.exp() as f32);
            let total: f32 = outcomes.iter().sum();
            outcomes.iter_mut().for_each(|p| *p /= total);
        }
    }

    /// One draw of a gap from its head's outputs, as [`VaeImputer::draw_cell`], by the column's tilt.
    pub(super) fn draw_gap(&self, tilt: Option<&Tilt>, k: usize, eta: &[f32], first: f64, rng: &mut Stream) -> f64 {
        let Some(tilt) = tilt else { return self.draw_cell(k, eta, Some(first), rng) };
        let mut eta = eta.to_vec();
        let log_odds: Vec<f32> = tilt.log_odds.iter().map(|&t| t as f32).collect();
        if self.vae.heads[k].law.tilt(&log_odds, &mut eta) {
            return self.draw_cell(k, &eta, Some(first), rng);
        }
        let candidates: [f64; CANDIDATES] = std::array::from_fn(|i| self.draw_cell(k, &eta, (i == 0).then_some(first), rng));
        let scaling = &self.scaling.columns[k];
        let weights = candidates.map(|x| tilt.of(scaling.to_model(x) as f32, true).exp());
        candidates[place(&weights, rng)]
    }
}

/// The gaps of a block's rows, in order: row of the block and column.
fn places<'a>(gaps: &'a [&'a [Gap]]) -> impl Iterator<Item = (usize, usize)> + 'a {
    gaps.iter().enumerate().flat_map(|(r, gaps)| gaps.iter().map(move |&(_, j)| (r, j)))
}

/// What a tilt makes of a gap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shift {
    /// Of the expected number, in model units.
    pub by: f32,
    /// Of the logarithm of what the networks' own draws count for.
    pub own: f64,
}

/// Sums over values with weights, as they are and tilted.
#[derive(Default)]
struct Sums {
    plain: f64,
    plain_first: f64,
    tilted: f64,
    tilted_first: f64,
}

impl Sums {
    fn add(&mut self, x: f32, weight: f64, tilt: &Tilt) {
        let tilted = weight * tilt.of(x, true).exp();
        self.plain += weight;
        self.plain_first += weight * f64::from(x);
        self.tilted += tilted;
        self.tilted_first += tilted * f64::from(x);
    }

    fn join(&mut self, other: &Sums) {
        self.plain += other.plain;
        self.plain_first += other.plain_first;
        self.tilted += other.tilted;
        self.tilted_first += other.tilted_first;
    }

    fn shift(&self) -> f64 {
        self.tilted_first / self.tilted - self.plain_first / self.plain
    }
}
