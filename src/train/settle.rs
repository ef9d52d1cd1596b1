//! After the training: how far each head departs from where it starts, and how wide its draws are, as the held-out cells of
//! all members say.
//!
//! ```text
//! η ← start + a (η − start)      a from 0, the linear model (of levels: a linear discriminant), to 1, the network as trained
//! η_s ← η_s + b                  s: the output that is about the logarithm of the law's scale
//! ```
//! A network that is free to bend overfits a table of few columns, and its variances are too small on any: both are settled
//! here, by cells that it was not trained on. Both are changes of the last layer's weights.

use ndarray::{Array2, Axis};

use crate::likelihood::{Head, Law, Likelihood, log_sum_exp};
use crate::model::marginal_bias;
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, normals, stream};
use crate::train::{Member, Trainer, by_fold, fill_loss, show_block, weighted_mean_and_error};

/// Latent points of a member that a held-out cell's score averages over.
const DRAWS: usize = 4;
/// The departures tried, and the changes of the logarithm of a scale.
const DEPARTURES: [f32; 4] = [1.0, 0.75, 0.5, 0.25];
const WIDER: [f32; 13] = [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Standard errors by which held-out cells have to gain before a head departs: several departures of several heads are tried.
const PROOF: f64 = 2.0;
/// The same before any network is trained: these cells have chosen the pilot's epoch, so that it gains a standard error or two by chance.
const PROOF_OF_PILOT: f64 = 3.5;
/// Cells that the gain of all columns of a sort counts for in each of them.
const OTHERS: f64 = 50.0;
/// Where held-out cells count alike, and where by the odds of a gap. The few that then count most are like cells that are seldom observed, which
/// networks miss by most: they are what is asked for, and less is held against them. In large tables, whose members hold out the same cells, they
/// are many, and a standard error is added that is larger where cells count by the odds.
const ALIKE: Doubts = Doubts { elsewhere: 0.1, prior: 5.0 };
const BY_ODDS: Doubts = Doubts { elsewhere: 0.01, prior: 2.0 };
/// The standard deviation of cells from elsewhere (model units).
const ELSEWHERE_SD: f64 = 3.0;

/// What a change of scale has against it.
#[derive(Clone, Copy)]
struct Doubts {
    /// The probability that a cell has come from elsewhere, a wide normal: a scale fits most of the cells, not a few wild ones.
    elsewhere: f64,
    /// The prior: normal, worth so many cells.
    prior: f64,
}

/// A held-out cell of a head: its value, the head's outputs at the start and those of each latent point of the members that hold it out,
/// [`DRAWS`] a member, one member after the other.
struct Cell {
    x: f32,
    /// See [`HeldOut::count`](crate::train::HeldOut::count).
    count: f64,
    start: Vec<f32>,
    etas: Vec<Vec<f32>>,
}

impl Cell {
    /// The outputs of a latent point, which says `eta`, after a change.
    fn changed(&self, eta: &[f32], departure: f32, wider: Option<(usize, f32)>, out: &mut Vec<f32>) {
        out.clear();
        out.extend(self.start.iter().zip(eta).map(|(s, e)| s + departure * (e - s)));
        if let Some((at, by)) = wider {
            out[at] += by;
        }
    }

    /// ln p of the cell by some of its latent points.
    fn log_score(&self, law: &Law, etas: &[Vec<f32>], departure: f32, wider: Option<(usize, f32)>) -> f64 {
        let (mut changed, mut unused) = (Vec::new(), vec![0f32; self.start.len()]);
        let logs: Vec<f64> = etas
            .iter()
            .map(|eta| {
                self.changed(eta, departure, wider, &mut changed);
                f64::from(law.log_prob_grad(&changed, self.x, &mut unused))
            })
            .collect();
        log_sum_exp(&logs) - (logs.len() as f64).ln()
    }

    /// What a fill loses: for a number the loss of its mean, for levels minus the log score.
    fn loss(&self, law: &Law, departure: f32) -> f64 {
        if is_levels(law) {
            return -self.log_score(law, &self.etas, departure, None);
        }
        let (mut changed, mut mean, mut one) = (Vec::new(), 0f32, [0f32]);
        for eta in &self.etas {
            self.changed(eta, departure, None, &mut changed);
            law.expected(&changed, &mut one);
            mean += one[0] / self.etas.len() as f32;
        }
        fill_loss(&[mean], self.x)
    }

    /// ln p of the cell when the scale grows, the mean over its members: each one's draws are to be as wide as it misses cells by, and what
    /// the members differ by comes on top. The cell may have come from elsewhere, with probability `share`.
    fn log_score_of_scale(&self, law: &Law, departure: f32, wider: (usize, f32), share: f64) -> f64 {
        let sd = ELSEWHERE_SD;
        let elsewhere = -0.5 * (f64::from(self.x) / sd).powi(2) - (sd * (2.0 * std::f64::consts::PI).sqrt()).ln();
        let members = self.etas.chunks(DRAWS);
        let count = members.len() as f64;
        let own = members.map(|etas| self.log_score(law, etas, departure, Some(wider)));
        own.map(|own| log_sum_exp(&[own + (1.0 - share).ln(), elsewhere + share.ln()])).sum::<f64>() / count
    }
}

/// Whether any of the `chosen` heads that fills are asked of departs: held-out cells gain by it beyond chance.
pub(crate) fn departs(trainer: &Trainer<'_>, members: &[Member], chosen: &[bool]) -> bool {
    let (heads, asked) = (&trainer.vae.heads, asked_of(trainer));
    let departures = heads_depart(heads, &asked, &cells(trainer, members), PROOF_OF_PILOT);
    (0..heads.len()).any(|h| asked[h] && chosen[h] && departures[h] > 0.0)
}

/// Per head, whether fills are asked of its column.
fn asked_of(trainer: &Trainer<'_>) -> Vec<bool> {
    let asked = trainer.rows.asked();
    trainer.vae.heads.iter().map(|head| asked[head.column]).collect()
}

/// Settles the members' heads, each by the held-out cells of all.
pub(crate) fn settle(trainer: &Trainer<'_>, members: &mut [Member]) {
    let cells = cells(trainer, members);
    let heads = &trainer.vae.heads;
    let bias = marginal_bias(heads, trainer.scaling);
    let departures =
        if trainer.plan.prove { heads_depart(heads, &asked_of(trainer), &cells, PROOF) } else { vec![1.0; heads.len()] };
    for ((head, cells), departure) in heads.iter().zip(&cells).zip(departures) {
        let wider = |at| wider(&head.law, cells, departure, at, trainer.plan.held_alike);
        let wider = head.law.scale_output().filter(|_| departure > 0.0).map(|at| (at, wider(at)));
        members.iter_mut().for_each(|m| trainer.vae.settle(&mut m.weights, head, &bias, departure, wider));
    }
}

/// Whether a head's departure is settled: for a number that starts from the linear model, and for levels. The others start from
/// their marginal.
fn is_settled(law: &Law) -> bool {
    law.starts_linear() || is_levels(law)
}

fn is_levels(law: &Law) -> bool {
    Likelihood::<f32>::outcomes(law) > 1
}

/// A column's few cells are judged together with what the other columns of its sort gain that fills are `asked` of: those count as
/// [`OTHERS`] cells.
fn heads_depart(heads: &[Head], asked: &[bool], cells: &[Vec<Cell>], proof: f64) -> Vec<f32> {
    // Per head and departure: what each cell gains by it.
    let gains = |(head, cells): (&Head, &Vec<Cell>)| -> Vec<Vec<f64>> {
        let law = &head.law;
        let starts: Vec<f64> = cells.iter().map(|c| c.loss(law, 0.0)).collect();
        let gain = |&by: &f32| cells.iter().zip(&starts).map(|(c, start)| start - c.loss(law, by)).collect();
        if is_settled(law) { DEPARTURES.iter().map(gain).collect() } else { Vec::new() }
    };
    let gains: Vec<Vec<Vec<f64>>> = heads.iter().zip(cells).map(gains).collect();
    let depart = |h: usize| -> f32 {
        if !is_settled(&heads[h].law) {
            return 1.0;
        }
        let of_sort = |g: &usize| is_settled(&heads[*g].law) && is_levels(&heads[*g].law) == is_levels(&heads[h].law);
        let alike = || (0..heads.len()).filter(of_sort);
        let share = OTHERS / alike().filter(|&g| asked[g]).map(|g| cells[g].len()).sum::<usize>().max(1) as f64;
        let beyond_chance = |i: &usize| {
            // A cell of this column counts by itself, and for its part in all that are asked.
            let counts = |g: usize| f64::from(u8::from(g == h)) + if asked[g] { share } else { 0.0 };
            let counted = alike().filter(|&g| g == h || asked[g]);
            let (gain, error) = weighted_mean_and_error(counted.flat_map(|g| gains[g][*i].iter().map(move |&x| (x, counts(g)))));
            gain > proof * error
        };
        (0..DEPARTURES.len()).find(beyond_chance).map_or(0.0, |i| DEPARTURES[i])
    };
    (0..heads.len()).map(depart).collect()
}

/// By how much the logarithm of a scale grows: as held-out cells say. Those of all members `together` say a standard error more, as they have
/// chosen the epoch of each, too, and are missed by less than others; a member's own are missed by more than by the mean of all.
fn wider(law: &Law, cells: &[Cell], departure: f32, at: usize, together: bool) -> f32 {
    let Some(first) = cells.first() else { return 0.0 };
    let alike = together || cells.iter().all(|c| c.count == first.count);
    let Doubts { elsewhere, prior } = if alike { ALIKE } else { BY_ODDS };
    let score = |by: f32| {
        let scores = cells.iter().map(|c| c.count * c.log_score_of_scale(law, departure, (at, by), elsewhere));
        scores.sum::<f64>() - prior * f64::from(by).powi(2)
    };
    let scores = WIDER.map(score);
    let best = (0..WIDER.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
    // The top of the parabola through the best and its neighbours.
    let (Some(before), Some(after)) = (best.checked_sub(1).map(|i| scores[i]), scores.get(best + 1)) else { return WIDER[best] };
    let bend = before - 2.0 * scores[best] + after;
    // The curvature of a log likelihood is minus the precision of what is found at its top.
    if bend < 0.0 {
        let error = if together { (-1.0 / bend).sqrt().min(1.0) } else { 0.0 };
        WIDER[best] + 0.1 * (0.5 * (before - after) / bend + error) as f32
    } else {
        WIDER[best]
    }
}

/// Per head, its held-out cells in all members.
fn cells(trainer: &Trainer<'_>, members: &[Member]) -> Vec<Vec<Cell>> {
    let Trainer { vae, view, rows, .. } = *trainer;
    let noise: Array2<f32> = normals((DRAWS, vae.latent), &mut stream(trainer.seed, Purpose::HeldOut, u64::MAX - 1));
    let bias: Vec<f32> = marginal_bias(&vae.heads, trainer.scaling);
    let mut out: Vec<Vec<Cell>> = vae.heads.iter().map(|_| Vec::new()).collect();
    let mut block = Block::new(vae, 1);
    // A cell that several members hold out is one cell, of which they speak together.
    for (members, held) in by_fold(members) {
        for some in held.rows.chunks(BLOCK) {
            show_block(&view, rows, some, |i, j| !held.cells[(i, j)], &mut block);
            let starts = block.visible.start.clone();
            let of_network = |w: &&[f32]| block.draws(vae, std::slice::from_ref(w), noise.axis_chunks_iter(Axis(0), 1));
            let decoded: Vec<Array2<f32>> = members.iter().flat_map(of_network).collect();
            for (r, &i) in some.iter().enumerate() {
                let of_row = |(Head { column, .. }, _): &(&Head, &mut Vec<Cell>)| held.cells[(i, *column)];
                for (head, cells) in vae.heads.iter().zip(&mut out).filter(of_row) {
                    let mut start = bias[head.eta.clone()].to_vec();
                    head.law.start(&starts.row(r).to_slice().expect("standard layout")[head.start.clone()], &mut start);
                    let eta = |d: &Array2<f32>| d.row(r).to_slice().expect("standard layout")[head.eta.clone()].to_vec();
                    cells.push(Cell {
                        x: rows.target[(i, head.column)],
                        count: held.count(i, head.column),
                        start,
                        etas: decoded.iter().map(eta).collect(),
                    });
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::number_scaling;
    use crate::data::schema::Family;
    use crate::rng::Stream;
    use crate::train::mean_and_error;
    use ndarray_rand::rand_distr::{Distribution, StandardNormal};

    fn gaussian() -> Law {
        let numbers = number_scaling(vec![-1.0, 1.0], 4);
        Law::of(Family::Gaussian, &numbers).expect("numbers may be normal")
    }

    /// Cells whose start is nought and whose network says what `told` makes of the truth, normal about it with the given sd.
    fn cells(n: usize, sd: f64, ln_sd: f32, told: impl Fn(f64, &mut Stream) -> f64) -> Vec<Cell> {
        let mut rng = stream(1, Purpose::HeldOut, 0);
        (0..n)
            .map(|_| {
                let mean: f64 = StandardNormal.sample(&mut rng);
                let noise: f64 = StandardNormal.sample(&mut rng);
                let eta = vec![told(mean, &mut rng) as f32, ln_sd];
                Cell { x: (mean + sd * noise) as f32, count: 1.0, start: vec![0.0, 0.0], etas: vec![eta] }
            })
            .collect()
    }

    #[test]
    fn a_scale_is_that_of_cells_that_count() {
        // Cells that miss by half a standard deviation and do not count, and others that miss by one and a half.
        let law = gaussian();
        let near = cells(500, 0.5, 0.0, |mean, _| mean).into_iter().map(|c| Cell { count: 0.0, ..c });
        let far = cells(500, 1.5, 0.0, |mean, _| mean);
        let want = wider(&law, &far, 1.0, 1, true);
        assert!((want - 1.5f32.ln()).abs() < 0.1);
        assert_eq!(wider(&law, &near.chain(far).collect::<Vec<_>>(), 1.0, 1, true), want);
    }

    #[test]
    fn the_few_that_count_most_are_not_taken_for_wild() {
        let law = gaussian();
        let of = |counts: [f64; 2], together: bool| {
            let sort = |n, sd, count| cells(n, sd, 0.3f32.ln(), |mean, _| mean).into_iter().map(move |c| Cell { count, ..c });
            let all: Vec<Cell> = sort(200, 0.3, counts[0]).chain(sort(20, 1.2, counts[1])).collect();
            wider(&law, &all, 1.0, 1, together)
        };
        // A tenth of the cells misses by four times as much; by the odds it counts for a half.
        let (alike, by_odds) = (of([1.0, 1.0], false), of([0.5, 5.0], false));
        assert!(alike < 0.25 && by_odds > 0.75, "{alike} {by_odds}");
        assert!(of([0.5, 5.0], true) < by_odds);
    }

    #[test]
    fn a_head_departs_as_far_as_held_out_cells_gain() {
        let head = |column| Head { law: gaussian(), eta: 2 * column..2 * column + 2, start: 2 * column..2 * column + 2, column };
        let departure = |cells: Vec<Cell>| heads_depart(&[head(0)], &[true], &[cells], PROOF)[0];
        let noise = |_: f64, rng: &mut Stream| -> f64 { StandardNormal.sample(rng) };
        assert_eq!(departure(cells(200, 0.5, 0.0, |mean, _| mean)), 1.0);
        assert_eq!(departure(cells(200, 0.5, 0.0, noise)), 0.0);
        // One that says too much of what is right.
        let over = departure(cells(200, 0.5, 0.0, |mean, _| 3.0 * mean));
        assert!(over > 0.0 && over < 1.0, "{over}");
        assert_eq!(departure(Vec::new()), 0.0);
        // A column of three cells goes with the others, one of many cells its own way.
        let others = || cells(200, 0.5, 0.0, |mean, _| mean);
        assert_eq!(
            heads_depart(&[head(0), head(1)], &[true; 2], &[others(), cells(3, 0.5, 0.0, |mean, _| mean)], PROOF),
            [1.0, 1.0]
        );
        assert_eq!(heads_depart(&[head(0), head(1)], &[true; 2], &[others(), cells(600, 0.5, 0.0, noise)], PROOF), [1.0, 0.0]);
        // One that has no gaps does not speak for others.
        let of = |asked| heads_depart(&[head(0), head(1)], &[asked, true], &[others(), cells(3, 0.5, 0.0, noise)], PROOF)[1];
        assert_eq!([of(true), of(false)], [1.0, 0.0]);
    }

    #[test]
    fn a_column_by_itself_has_no_more_proof_than_its_cells() {
        let head = Head { law: gaussian(), eta: 0..2, start: 0..2, column: 0 };
        let mut departed = 0;
        for n in (10..400).step_by(10) {
            let noise = |rng: &mut Stream| -> f64 { StandardNormal.sample(rng) };
            let cells = cells(n, 1.0, 0.0, |mean, rng| 0.3 * mean + 0.6 * noise(rng));
            let gains = |by: f32| cells.iter().map(|c| c.loss(&head.law, 0.0) - c.loss(&head.law, by)).collect::<Vec<_>>();
            let proven = |by: f32| mean_and_error(&gains(by)).0 > PROOF * mean_and_error(&gains(by)).1;
            let want = DEPARTURES.into_iter().find(|by| proven(*by)).unwrap_or(0.0);
            departed += usize::from(want > 0.0);
            assert_eq!(heads_depart(std::slice::from_ref(&head), &[true], &[cells], PROOF)[0], want, "{n} cells");
        }
        assert!((1..39).contains(&departed), "{departed}");
    }

    #[test]
    fn a_cell_that_members_share_is_one_cell() {
        let law = gaussian();
        let of_one = cells(30, 0.7, 0.25f32.ln(), |mean, _| mean);
        let of_four = of_one.iter().map(|c| Cell { etas: vec![c.etas[0].clone(); 4 * DRAWS], start: c.start.clone(), ..*c });
        let (one, four) = (wider(&law, &of_one, 1.0, 1, true), wider(&law, &of_four.collect::<Vec<_>>(), 1.0, 1, true));
        assert!((one - four).abs() < 1e-4, "{one} {four}");
    }

    #[test]
    fn a_scale_becomes_that_of_the_errors_and_wild_cells_do_not_set_it() {
        let law = gaussian();
        let mut some = cells(1000, 0.5, 0.25f32.ln(), |mean, _| mean);
        let by = wider(&law, &some, 1.0, 1, true);
        assert!((by - 2f32.ln()).abs() < 0.1, "{by}");
        some.iter_mut().step_by(50).for_each(|c| c.x += 6.0);
        let with_wild = wider(&law, &some, 1.0, 1, true);
        assert!((with_wild - by).abs() < 0.12, "{with_wild} {by}");
        assert_eq!(wider(&law, &[], 1.0, 1, true), 0.0);
    }
}
