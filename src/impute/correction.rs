//! Which rows of the fit correct fills and draws, and by which kernels: what held-out cells gain.

use ndarray::{Array2, s};
use ndarray_rand::rand::seq::index::sample;
use rayon::prelude::*;

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::impute::neighbours::{BANDWIDTHS, Distances, Kernel, Kernels, NEAREST, Neighbours, PICKED, ROWS_MOST, SHARES, WIDER};
use crate::impute::vae::VaeImputer;
use crate::likelihood::{Head, Likelihood};
use crate::model::linear::start::View;
use crate::model::posterior::{AT_ONCE, BLOCK, Block};
use crate::rng::{Purpose, normals, stream};
use crate::train::{HeldOut, Member, by_fold, show_block, weighted_mean_and_error};

/// Completed cells of the rows that are kept, at most, and observed numbers that networks are asked for.
const CELLS_MOST: usize = 2_000_000;
const ASKED_MOST: usize = 400_000;
/// Held-out cells of a sort that a choice is made by, at least.
const HELD_LEAST: usize = 30;
/// A fill that is farther off, in standard deviations, counts as if it were not: a few wild cells do not choose alone.
const OFF_MOST: f32 = 5.0;
/// Draws of the networks that stand for their distribution when the kernel of draws is chosen.
const DRAWS: usize = 8;

impl VaeImputer {
    /// The rows of the fit that correct fills, and which they are, if held-out cells gain by it.
    pub(super) fn find_neighbours(
        &self,
        of_fit: (&View<'_>, &Rows<f32>),
        members: &[Member],
    ) -> Option<(Neighbours, Vec<usize>)> {
        let (n, d) = of_fit.1.target.dim();
        let heads = &self.vae.heads;
        let numbers: Vec<usize> = (0..d).filter(|&j| self.is_number(j)).collect();
        let outcomes: usize = heads.iter().map(|h| Likelihood::<f32>::outcomes(&h.law)).sum();
        let kept = n.min(ROWS_MOST).min(CELLS_MOST / outcomes.max(1)).min(ASKED_MOST / numbers.len().max(1));
        let judged = by_fold(members);
        if kept < NEAREST || judged.iter().map(|(_, held)| held.len).sum::<usize>() < HELD_LEAST {
            return None;
        }
        let mut of = match kept < n {
            true => sample(&mut stream(self.seed, Purpose::Neighbours, u64::MAX), n, kept).into_vec(),
            false => (0..n).collect(),
        };
        of.sort_unstable();
        let target = Array2::from_shape_fn((kept, d), |(k, j)| of_fit.1.target[(of[k], j)]);
        let complete = |block: &mut Block<f32>, of: &[usize]| -> Vec<f32> {
            self.expect(self.networks(), self.noise.view(), of_fit, of, |_, _| true, block);
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
                self.expect(self.networks(), no_noise.view(), of_fit, &rows, |_, shown| shown != j, block);
                (0..cells.len()).map(|r| block.outcomes(r, j)[0]).collect()
            };
            let asked: Vec<Vec<f32>> = cells.par_chunks(BLOCK).map_init(|| Block::new(&self.vae, 1), ask).collect();
            cells.iter().zip(asked.iter().flatten()).for_each(|(&k, &m)| expected[(k, j)] = m);
        }
        let blank = Kernels { numbers: None, drawn: None, levels: None, wider: 1.0 };
        let mut near = Neighbours::new(heads, [target, completed, expected], blank)?;
        let losses: Vec<Losses> = judged.iter().flat_map(|judged| self.losses(of_fit, judged, &of, &near)).collect();
        near.kernels = choose_kernels(&losses, judged.len() == 1);
        let Kernels { numbers, drawn, levels, .. } = near.kernels;
        [numbers, drawn, levels].iter().any(Option::is_some).then_some((near, of))
    }

    /// What the held-out cells of some networks lose without a correction, and with each kernel.
    fn losses(
        &self,
        of_fit: (&View<'_>, &Rows<f32>),
        (networks, held): &(Vec<&[f32]>, &HeldOut),
        of: &[usize],
        near: &Neighbours,
    ) -> Vec<Losses> {
        let (d, latent) = (self.vae.heads.len(), self.vae.latent);
        let choices = choices();
        let gaps_of = |&i: &usize| -> Vec<Gap> { (0..d).filter(|&j| held.cells[(i, j)]).map(|j| (i, j)).collect() };
        let gaps: Vec<Vec<Gap>> = held.rows.iter().map(gaps_of).collect();
        let losses = |(block, one, buffers): &mut (Block<f32>, Block<f32>, Distances), gaps: &[Vec<Gap>]| -> Vec<Losses> {
            let rows: Vec<usize> = gaps.iter().map(|gaps| gaps[0].0).collect();
            let show = |i, j| !held.cells[(i, j)];
            self.expect(networks.iter().copied(), self.noise.view(), of_fit, &rows, show, block);
            let gaps: Vec<&[Gap]> = gaps.iter().map(Vec::as_slice).collect();
            let nearest = near.near_gaps(of_fit.1, &gaps, block, buffers, |i| of.binary_search(&i).ok());
            show_block(of_fit.0, of_fit.1, &rows, show, one);
            let mut rng = stream(self.seed, Purpose::Neighbours, rows[0] as u64);
            // Per draw, the outputs of every row.
            let draws: Vec<Array2<f32>> = (0..DRAWS)
                .map(|i| {
                    let noise = normals((BLOCK, latent), &mut rng) * self.spread();
                    one.draw(&self.vae, networks[i % networks.len()], noise.view()).clone()
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
                    let mut losses = Losses { number, count: held.count(i, j), fill: vec![loss(expected)], draw: Vec::new() };
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
        gaps.par_chunks(BLOCK).map_init(buffers, losses).flatten().collect()
    }
}

/// The kernels that are tried.
fn choices() -> Vec<Kernel> {
    BANDWIDTHS.iter().flat_map(|&bandwidth| SHARES.iter().map(move |&share| Kernel { bandwidth, share })).collect()
}

/// The kernels that do best on held-out cells: by the squared error of fills of numbers, by the continuous ranked probability score of
/// draws of numbers (Gneiting & Raftery 2007, eq. 21), by the log score of levels. The score of draws is nearly the same for draws that
/// are somewhat too narrow, and these cells have chosen the networks: where those are judged `together`, a gain has to be beyond chance, and
/// residuals in draws are as wide as does not score worse beyond chance. Networks that hold out their own cells miss by more than all together,
/// so that their draws are too wide without a correction: any gain is taken there.
fn choose_kernels(losses: &[Losses], together: bool) -> Kernels {
    let (numbers, levels): (Vec<&Losses>, Vec<&Losses>) = losses.iter().partition(|l| l.number);
    // The best choice, where it gains by more than so many standard errors.
    let choose = |of_sort: &[&Losses], errors: f64, of: fn(&Losses) -> &Vec<f64>| {
        if of_sort.len() < HELD_LEAST {
            return None;
        }
        let gain = |c: usize| weighted_mean_and_error(of_sort.iter().map(|l| (of(l)[0] - of(l)[c + 1], l.count)));
        let gains = (0..of(of_sort[0]).len() - 1).map(gain).enumerate();
        let (best, (mean, error)) = gains.max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0))?;
        (mean > errors * error).then_some(best)
    };
    let choices = choices();
    let drawn = choose(&numbers, if together { 1.0 } else { 0.0 }, |l| &l.draw).map(|best| match together {
        true => widest(&numbers.iter().map(|l| (&l.draw, l.count)).collect::<Vec<_>>(), best),
        false => best,
    });
    Kernels {
        numbers: choose(&numbers, 1.0, |l| &l.fill).map(|c| choices[c]),
        drawn: drawn.map(|c| choices[c / WIDER.len()]),
        levels: choose(&levels, 1.0, |l| &l.fill).map(|c| choices[c]),
        wider: drawn.map_or(1.0, |c| WIDER[c % WIDER.len()]),
    }
}

/// What a held-out cell loses without a correction, and then with each choice of a kernel (and in draws, for each, of what makes
/// residuals wider).
struct Losses {
    number: bool,
    /// See [`HeldOut::count`].
    count: f64,
    fill: Vec<f64>,
    draw: Vec<f64>,
}

/// The widest of the choices with the kernel of the best whose losses are as low within chance. Per cell, the loss without a correction,
/// then of each choice.
fn widest(losses: &[(&Vec<f64>, f64)], best: usize) -> usize {
    let as_good = |c: &usize| {
        let (worse, error) = weighted_mean_and_error(losses.iter().map(|(l, count)| (l[c + 1] - l[best + 1], *count)));
        worse <= error
    };
    let last = best - best % WIDER.len() + WIDER.len() - 1;
    (best..=last).rev().find(as_good).unwrap_or(best)
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
    fn residuals_in_draws_are_as_wide_as_does_no_harm() {
        // The best is the second of the first kernel; the third is worse by less than a standard error, the fourth is not.
        let of = |i: usize| {
            let noise = if i.is_multiple_of(2) { 0.1 } else { -0.1 };
            let mut losses = vec![0.3; 1 + 2 * WIDER.len()];
            losses[0] = 1.0;
            losses[1..5].copy_from_slice(&[0.25, 0.2, 0.204 + noise, 0.22 + noise]);
            losses
        };
        let losses: Vec<Vec<f64>> = (0..400).map(of).collect();
        let losses: Vec<(&Vec<f64>, f64)> = losses.iter().map(|l| (l, 1.0)).collect();
        assert_eq!(widest(&losses, 1), 2);
        // Nor is that of another kernel.
        let last = WIDER.len() - 1;
        assert_eq!(widest(&losses, last), last);
    }

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
}
