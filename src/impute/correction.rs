//! Which rows of the fit correct fills and draws, and by which kernels: what held-out cells gain.

use std::iter::once;

use ndarray::{Array2, s};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::index::sample;
use rayon::prelude::*;

use crate::data::scaling::Rows;
use crate::impute::Gap;
use crate::impute::neighbours::{BANDWIDTHS, Distances, Kernel, Kernels, NEAREST, Neighbours, PICKED, ROWS_MOST, SHARES, WIDER};
use crate::impute::vae::VaeImputer;
use crate::likelihood::{Head, Law, Likelihood};
use crate::model::linear::start::View;
use crate::model::posterior::{AT_ONCE, BLOCK, Block};
use crate::rng::{Purpose, normals, pair, stream};
use crate::train::{HeldOut, Member, by_fold, show_block, weighted_mean_and_error};

/// Completed cells of the rows that are kept, at most, and observed numbers that networks are asked for.
const CELLS_MOST: usize = 2_000_000;
const ASKED_MOST: usize = 400_000;
/// Held-out cells of a sort that a choice is made by, at least.
const HELD_LEAST: usize = 30;
/// A fill that is farther off, in standard deviations, counts as if it were not: a few wild cells do not choose alone.
const OFF_MOST: f32 = 5.0;
/// Draws of the networks that stand for their distribution when the kernel of draws is chosen: of those that are judged together, and of
/// each that holds out its own cells, which are fewer.
const DRAWS: (usize, usize) = (8, 24);

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
        let losses: Vec<Losses> = (0..judged.len()).flat_map(|fold| self.losses(of_fit, &judged, fold, &of, &near)).collect();
        near.kernels = choose_kernels(&losses, judged.len() == 1);
        let Kernels { numbers, drawn, levels, .. } = near.kernels;
        [numbers, drawn, levels].iter().any(Option::is_some).then_some((near, of))
    }

    /// What the held-out cells of a fold lose without a correction, and with each kernel.
    fn losses(
        &self,
        of_fit: (&View<'_>, &Rows<f32>),
        folds: &[(Vec<&[f32]>, &HeldOut)],
        fold: usize,
        of: &[usize],
        near: &Neighbours,
    ) -> Vec<Losses> {
        let (d, latent) = (self.vae.heads.len(), self.vae.latent);
        let (networks, held) = &folds[fold];
        // Only numbers have a kernel of draws.
        let numbers = (0..d).any(|j| near.is_number(j));
        let own_draws = match folds.len() {
            _ if !numbers => 0,
            1 => DRAWS.0,
            _ => DRAWS.1,
        };
        let others = folds.iter().enumerate().filter(|(f, _)| numbers && *f != fold);
        let others: Vec<&[f32]> = others.flat_map(|(_, (networks, _))| networks.iter().copied()).collect();
        let choices = choices();
        let gaps_of = |&i: &usize| -> Vec<Gap> { (0..d).filter(|&j| held.cells[(i, j)]).map(|j| (i, j)).collect() };
        let gaps: Vec<Vec<Gap>> = held.rows.iter().map(gaps_of).collect();
        let losses = |(block, one, buffers): &mut (Block<f32>, Block<f32>, Distances), gaps: &[Vec<Gap>]| -> Vec<Losses> {
            let rows: Vec<usize> = gaps.iter().map(|gaps| gaps[0].0).collect();
            let show = |i, j| !held.cells[(i, j)];
            let told = |w: &&[f32]| -> Array2<f32> {
                self.expect(once(*w), self.noise.view(), of_fit, &rows, show, block);
                Array2::from_shape_fn((rows.len(), d), |(r, j)| block.outcomes(r, j)[0])
            };
            let others = Others { told: others.iter().map(told).collect(), networks: self.members.len() };
            self.expect(networks.iter().copied(), self.noise.view(), of_fit, &rows, show, block);
            let gaps: Vec<&[Gap]> = gaps.iter().map(Vec::as_slice).collect();
            let nearest = near.near_gaps(of_fit.1, &gaps, block, buffers, |i| of.binary_search(&i).ok());
            show_block(of_fit.0, of_fit.1, &rows, show, one);
            let mut rng = stream(self.seed, Purpose::Neighbours, rows[0] as u64);
            let mut ties = stream(self.seed, Purpose::Neighbours, pair(rows[0] as u64, 1));
            let noises: Vec<Array2<f32>> = (0..own_draws).map(|_| normals((BLOCK, latent), &mut rng) * self.spread()).collect();
            // Per draw, the outputs of every row.
            let draws = one.draws(&self.vae, networks, noises.iter().map(|noise| noise.view()));
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
                    let tie = ties.random::<f64>();
                    let (mut fill, mut picked) = (vec![loss(expected)], Vec::new());
                    let mut corrected = expected.to_vec();
                    for choices in choices.chunks(SHARES.len()) {
                        near.weights(j, nearest, expected, choices[0], &mut weights);
                        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                        for kernel in choices {
                            corrected.copy_from_slice(expected);
                            near.correct(j, &weights, kernel.share, &mut corrected);
                            fill.push(loss(&corrected));
                        }
                        if number {
                            let nearest = weights.iter().take(PICKED);
                            let value = |wider, k| near.value(k, j, law, expected, wider);
                            picked.push(WIDER.map(|wider| nearest.clone().map(|&(k, w)| (value(wider, k), w)).collect()));
                        }
                    }
                    let draw = match number {
                        true => {
                            let values = draws.iter().map(|draw| law.sample(&of_row(draw), &mut rng)).collect();
                            OwnDraws { values, law, truth, tie, others: &others, at: (r, j) }.scores(&picked)
                        }
                        false => Vec::new(),
                    };
                    out.push(Losses { number, count: held.count(i, j), fill, draw });
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
/// are somewhat too narrow or too wide. Where these cells have chosen all networks `together`, a gain has to be beyond chance, and residuals in
/// draws are as wide as does not score worse beyond chance; networks that hold out their own cells say how often draws of all of them cover:
/// see [`calibrated`].
fn choose_kernels(losses: &[Losses], together: bool) -> Kernels {
    let (numbers, levels): (Vec<&Losses>, Vec<&Losses>) = losses.iter().partition(|l| l.number);
    let choices = choices();
    let enough = |of_sort: &[&Losses]| of_sort.len() >= HELD_LEAST;
    let fills = |of_sort: &[&Losses]| match enough(of_sort) {
        true => best_beyond_chance(of_sort, choices.len(), |l, c| l.fill[c]).map(|c| choices[c]),
        false => None,
    };
    let drawn = match together {
        _ if !enough(&numbers) => None,
        true => widest(&numbers),
        false => calibrated(&numbers),
    };
    Kernels {
        numbers: fills(&numbers),
        drawn: drawn.map(|c| choices[c / WIDER.len()]),
        levels: fills(&levels),
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
    draw: Vec<Drawn>,
}

/// How draws do on a held-out cell.
struct Drawn {
    /// Their ranked score.
    score: f64,
    /// The probability below the truth in draws of all networks.
    place: f64,
}

/// Draws of a held-out number by the networks that hold it out.
struct OwnDraws<'a> {
    values: Vec<f32>,
    law: &'a Law,
    truth: f32,
    /// What of a value that is the truth lies below it, at random.
    tie: f64,
    others: &'a Others,
    /// The row of its block, and its column.
    at: (usize, usize),
}

impl OwnDraws<'_> {
    /// How much of a value lies below the truth where draws are `by` farther off. A point mass stays one.
    fn below(&self, x: f32, by: f32) -> f64 {
        match if self.law.is_mass(x) { x } else { x + by } {
            x if x < self.truth => 1.0,
            x if x > self.truth => 0.0,
            _ => self.tie,
        }
    }

    /// Without a correction, and then with values picked, which have weights: for each bandwidth's, of all [`WIDER`], by each of [`SHARES`].
    fn scores(&self, picked: &[[Vec<(f32, f32)>; WIDER.len()]]) -> Vec<Drawn> {
        let draws = self.values.len();
        // The rank of the truth among the draws.
        let own_below = self.values.iter().enumerate().map(|(i, &x)| self.below(x, self.others.of_draw(i, self.at)));
        let own_place = (own_below.sum::<f64>() + self.tie) / (draws + 1) as f64;
        let mut own = self.values.clone();
        own.sort_by(f32::total_cmp);
        // The networks' draws stand for more of them, whose pairs are farther apart than a few with themselves.
        let (away, apart) = ranked_parts(own.iter().map(|&x| (x, 1.0)), self.truth);
        let farther = apart / (draws - 1) as f64;
        let mut out = vec![Drawn { score: away - apart - farther, place: own_place }];
        // All values in order, a picked one with its weight; and the weight of picked ones below the truth.
        let ordered = |picked: &Vec<(f32, f32)>| -> Vec<(f32, Option<f32>)> {
            let own = self.values.iter().map(|&x| (x, None));
            let mut all: Vec<(f32, Option<f32>)> = own.chain(picked.iter().map(|&(x, w)| (x, Some(w)))).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all
        };
        let below = |picked: &Vec<(f32, f32)>| -> f64 {
            let below = |(i, &(x, w)): (usize, &(f32, f32))| f64::from(w) * self.below(x, self.others.of_fill(i, self.at));
            picked.iter().enumerate().map(below).sum()
        };
        for picked in picked {
            let total: f32 = picked[0].iter().map(|(_, w)| w).sum();
            let picked = picked.each_ref().map(|picked| (ordered(picked), below(picked)));
            for share in SHARES {
                let own_share = share / (share + total);
                let of_own = share / draws as f32;
                out.extend(picked.iter().map(|(values, below)| {
                    let (away, apart) = ranked_parts(values.iter().map(|&(x, w)| (x, w.unwrap_or(of_own))), self.truth);
                    let place = (f64::from(share) * own_place + below) / f64::from(share + total);
                    Drawn { score: away - apart - f64::from(own_share * own_share) * farther, place }
                }));
            }
        }
        out
    }
}

/// What the networks that hold out other cells expect of the numbers of a block, (rows, columns) each. A cell is missed by the network that holds it
/// out; at a gap, which none has seen, draws come from all of them, and a fill is their mean. With b the variance of what networks expect,
/// b (1 − 1/M) of what that network misses the truth by is its own, and draws of all are farther apart by b.
struct Others {
    told: Vec<Array2<f32>>,
    /// M.
    networks: usize,
}

impl Others {
    /// A difference of two of them, whose variance is 2 b; a pair a draw.
    fn differ(&self, draw: usize, at: (usize, usize)) -> f32 {
        match self.told.len() {
            0 | 1 => 0.0,
            n => {
                let (first, step) = (draw % n, 1 + (draw / n) % (n - 1));
                self.told[first][at] - self.told[(first + step) % n][at]
            }
        }
    }

    /// What the own draw of the network that holds out the cell lacks: of variance b + b (1 − 1/M).
    fn of_draw(&self, draw: usize, at: (usize, usize)) -> f32 {
        (1.0 - 0.5 / self.networks as f32).sqrt() * self.differ(draw, at)
    }

    /// What a residual about its fill lacks: of variance b (1 − 1/M).
    fn of_fill(&self, draw: usize, at: (usize, usize)) -> f32 {
        (0.5 - 0.5 / self.networks as f32).sqrt() * self.differ(draw, at)
    }
}

/// The best of so many choices, where it gains beyond chance over no correction, which stands before them in what each cell loses.
fn best_beyond_chance(losses: &[&Losses], choices: usize, of: fn(&Losses, usize) -> f64) -> Option<usize> {
    let gain = |c: usize| weighted_mean_and_error(losses.iter().map(|l| (of(l, 0) - of(l, c + 1), l.count)));
    let (best, (mean, error)) = (0..choices).map(gain).enumerate().max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0))?;
    (mean > error).then_some(best)
}

/// Whether draws score as well as others within chance.
fn as_good(numbers: &[&Losses], draw: usize, other: usize) -> bool {
    let losses = numbers.iter().map(|l| (l.draw[draw].score - l.draw[other].score, l.count));
    let (worse, error) = weighted_mean_and_error(losses);
    worse <= error
}

/// The widest of the choices with the kernel of the best that gains beyond chance whose draws score as well within chance.
fn widest(numbers: &[&Losses]) -> Option<usize> {
    let best = best_beyond_chance(numbers, numbers[0].draw.len() - 1, |l, c| l.draw[c].score)?;
    let last = best - best % WIDER.len() + WIDER.len() - 1;
    (best..=last).rev().find(|c| as_good(numbers, c + 1, best + 1))
}

/// Of the choices, and no correction, whose draws score as well as the best within chance, the one whose intervals cover best.
fn calibrated(numbers: &[&Losses]) -> Option<usize> {
    let all = 0..numbers[0].draw.len();
    let score = |c: usize| (c, numbers.iter().map(|l| l.count * l.draw[c].score).sum::<f64>());
    let (best, _) = all.clone().map(score).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let off = |c: usize| (c, miscalibration(numbers.iter().map(|l| (l.draw[c].place, l.count))));
    let (chosen, _) = all.filter(|&c| as_good(numbers, c, best)).map(off).min_by(|a, b| a.1.total_cmp(&b.1))?;
    chosen.checked_sub(1)
}

/// How far the central intervals of draws are from covering as often as they say: the mean square over all levels, of the places of truths with
/// what each counts for.
fn miscalibration(places: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut reached: Vec<(f64, f64)> = places.map(|(place, count)| ((2.0 * place - 1.0).abs(), count)).collect();
    reached.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = reached.iter().map(|(_, count)| count).sum();
    let (mut before, mut off) = (0.0, 0.0);
    for (level, count) in reached {
        off += count * ((before + 0.5 * count) / total - level).powi(2);
        before += count;
    }
    off / total
}

/// Of values in order, with weights, the two parts of the continuous ranked probability score: E|X − truth| and E|X − X'| / 2, whose
/// difference it is.
fn ranked_parts(values: impl Iterator<Item = (f32, f32)>, truth: f32) -> (f64, f64) {
    let (mut total, mut first, mut away, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for (x, w) in values {
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

    fn losses(scores: Vec<f64>, places: impl Fn(usize) -> f64) -> Losses {
        let draw = scores.into_iter().enumerate().map(|(c, score)| Drawn { score, place: places(c) }).collect();
        Losses { number: true, count: 1.0, fill: Vec::new(), draw }
    }

    #[test]
    fn residuals_in_draws_are_as_wide_as_does_no_harm() {
        // The best is the second of the first kernel; the third is worse by less than a standard error, the fourth is not.
        let of = |i: usize| {
            let noise = if i.is_multiple_of(2) { 0.1 } else { -0.1 };
            let mut scores = vec![0.3; 1 + 2 * WIDER.len()];
            scores[0] = 1.0;
            scores[1..5].copy_from_slice(&[0.25, 0.2, 0.204 + noise, 0.22 + noise]);
            losses(scores, |_| 0.5)
        };
        let all: Vec<Losses> = (0..400).map(of).collect();
        assert_eq!(widest(&all.iter().collect::<Vec<_>>()), Some(2));
        // Nor is that of another kernel; and none where nothing gains.
        let last = WIDER.len() - 1;
        let best_of_first = |i: usize| {
            let noise = if i.is_multiple_of(2) { 0.1 } else { -0.1 };
            let mut scores = vec![0.21 + noise; 1 + 2 * WIDER.len()];
            (scores[0], scores[1 + last]) = (1.0, 0.2);
            losses(scores, |_| 0.5)
        };
        let all: Vec<Losses> = (0..400).map(best_of_first).collect();
        assert_eq!(widest(&all.iter().collect::<Vec<_>>()), Some(last));
        let all: Vec<Losses> = (0..400).map(|_| losses(vec![0.2; 1 + WIDER.len()], |_| 0.5)).collect();
        assert_eq!(widest(&all.iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn of_draws_that_score_alike_those_are_taken_that_cover() {
        let n = 400;
        // Truths of all places are covered as said; near the middle too often, and near both ends too seldom.
        let even = |i: usize| (i as f64 + 0.5) / n as f64;
        let places = |choice: usize, i: usize| match choice {
            0 => 0.25 + 0.5 * even(i),
            1 => even(i),
            _ => (even(i) - 0.5).signum() * (even(i) - 0.5).abs().sqrt() / 0.5f64.sqrt() * 0.5 + 0.5,
        };
        let off: Vec<f64> = (0..3).map(|c| miscalibration((0..n).map(|i| (places(c, i), 1.0)))).collect();
        assert!(off[1] < 1e-5 && off[0] > 0.01 && off[2] > 0.01, "{off:?}");
        // A cell that counts for two is two cells.
        let twice = miscalibration([(0.3, 2.0), (0.9, 1.0)].into_iter());
        assert!((twice - ((1.0 / 3.0 - 0.4f64).powi(2) * 2.0 + (5.0 / 6.0 - 0.8f64).powi(2)) / 3.0).abs() < 1e-12, "{twice}");
        let choose = |scores: [f64; 3]| {
            let noise = |i: usize| if i.is_multiple_of(2) { 0.1 } else { -0.1 };
            // The first scores without noise, so that differences have some.
            let of = |i: usize| losses(vec![scores[0], scores[1] + noise(i), scores[2]], |c| places(c, i));
            let all: Vec<Losses> = (0..n).map(of).collect();
            calibrated(&all.iter().collect::<Vec<_>>())
        };
        // A standard error is 0.005.
        assert_eq!(choose([0.2, 0.204, 0.25]), Some(0));
        assert_eq!(choose([0.2, 0.206, 0.25]), None);
        assert_eq!(choose([0.21, 0.25, 0.2]), Some(1));
    }

    #[test]
    fn what_networks_differ_by_is_made_up_for() {
        // Networks that expect a number with variance 1, of which one holds out the cell.
        let m = 5;
        let mut rng = stream(1, Purpose::Neighbours, 0);
        let of = |rng: &mut _| Others { told: (1..m).map(|_| normals((1, 1), rng)).collect(), networks: m };
        let (mut draws, mut fills, mut pairs) = (0.0, 0.0, 0);
        for _ in 0..4000 {
            let others = of(&mut rng);
            for i in 0..12 {
                let (draw, fill) = (others.of_draw(i, (0, 0)), others.of_fill(i, (0, 0)));
                (draws, fills, pairs) = (draws + draw * draw, fills + fill * fill, pairs + usize::from(draw != 0.0));
            }
        }
        assert_eq!(pairs, 48_000, "no network is compared with itself");
        assert!((draws / 48_000.0 - 1.8).abs() < 0.05 && (fills / 48_000.0 - 0.8).abs() < 0.03, "{draws} {fills}");
        let alone = Others { told: vec![Array2::ones((1, 1))], networks: 2 };
        assert_eq!((alone.of_draw(0, (0, 0)), alone.of_fill(7, (0, 0))), (0.0, 0.0));
    }

    #[test]
    fn the_ranked_score_is_that_of_its_definition() {
        let atoms = [(-1.0f32, 2.0f32), (0.5, 1.0), (0.5, 1.5), (3.0, 0.5)];
        let total: f32 = atoms.iter().map(|a| a.1).sum();
        for truth in [-2.0f32, 0.5, 1.7] {
            let away: f32 = atoms.iter().map(|(x, w)| w * (x - truth).abs()).sum();
            let apart: f32 = atoms.iter().flat_map(|(x, w)| atoms.map(|(y, v)| w * v * (x - y).abs())).sum();
            let want = [away / total, apart / (2.0 * total * total)].map(f64::from);
            let (away, apart) = ranked_parts(atoms.into_iter(), truth);
            assert!((away - want[0]).abs() < 1e-6 && (apart - want[1]).abs() < 1e-6, "{want:?}");
            assert!((away - apart - (want[0] - want[1])).abs() < 1e-6, "{want:?}");
        }
    }
}
