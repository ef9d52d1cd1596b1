//! The choice of families: a short fit in which every column has the heads of all its candidates side by side on one
//! network, and the held-out cells say which of them to keep.

use rayon::prelude::*;

use crate::data::schema::Family;
use crate::likelihood::{Likelihood, log_sum_exp};
use crate::model::SHARD;
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, normals, stream};
use crate::train::{HeldOut, Member, Plan, Trainer, fill_loss, mean_and_error, show_block};

use ndarray::{Array2, Axis};
use serde::Serialize;

/// How a family did on the held-out cells of a column, when the fit chose among several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FamilyScore {
    /// The family.
    pub family: Family,
    /// Mean log score, nats a cell: ln of the probability given to an interval about the held-out value, as wide as the
    /// smallest difference between two of the column's values. Higher is better.
    pub log_score: f64,
    /// Mean loss of the fills: √(1 + e²) − 1 for a number (e its error in standard deviations), one minus the probability
    /// of the true level. Lower is better.
    pub fill_loss: f64,
    /// Held-out cells.
    pub cells: usize,
    /// The fit took this family.
    pub chosen: bool,
}

impl FamilyScore {
    /// A family without a rival.
    pub(crate) fn untried(family: Family) -> FamilyScore {
        FamilyScore { family, log_score: f64::NAN, fill_loss: f64::NAN, cells: 0, chosen: true }
    }
}

/// A cell's log score under one head, the loss of its fill, and the fill's risk: the squared error of a number, by which its
/// mean is judged; the loss again for levels.
type CellScore = (f64, f64, f64);

/// Latent points a held-out cell's score averages over.
const DRAWS: usize = 8;
/// No cell counts for more nats than this when two families are compared: a wild one does not choose alone.
const NATS_MOST: f64 = 5.0;
/// How much larger than the first family's the risk of fills may be within chance: a few wild cells show no more.
const SLACK: f64 = 0.1;
/// A family that is better by so many nats a cell need not show that: it is enough that its fills are not worse beyond chance (two standard errors).
const DECISIVE: f64 = 2.0;
/// One that is better by so many, as one with a point mass is where most cells are one value, may be worse beyond chance by as much as [`SLACK`]:
/// without it draws lack that value.
const OVERWHELMING: f64 = 4.0;
/// Share of the fit's steps, summed over its members (so many of them at most), that the pilot takes; and at least how many steps.
const SHARE: f64 = 0.1;
const MEMBERS_MOST: usize = 4;
const STEPS_LEAST: f64 = 300.0;
/// Below the first width, and where tables are large, its network is no wider than the second.
const WIDE: usize = 256;
const NARROW: usize = 64;

impl Plan {
    /// The plan of the pilot: one network, few epochs, more cells held out.
    pub fn pilot(&self) -> Plan {
        let steps = (self.epochs * self.members.min(MEMBERS_MOST) * self.steps_per_epoch) as f64 * SHARE;
        let steps = steps.max(STEPS_LEAST.min((self.epochs * self.steps_per_epoch) as f64));
        let epochs = (steps / self.steps_per_epoch as f64).ceil() as usize;
        let width = if self.width < WIDE || self.batch > SHARD { self.width.min(NARROW) } else { self.width };
        Plan { epochs, width, patience: epochs, members: 1, held_share: 0.15, held_most: 3 * self.held_most, ..self.clone() }
    }
}

/// One entry a column, in the model's order: its candidates' scores on the cells that `pilot`, a member of `trainer`, did
/// not see. `candidates` has the families of the trainer's heads.
pub(crate) fn choose(trainer: &Trainer<'_>, candidates: &[Vec<Family>], pilot: &Member) -> Vec<Vec<FamilyScore>> {
    let scores = score(trainer, pilot);
    let mut heads = scores.iter();
    candidates
        .iter()
        .map(|families| {
            let scores: Vec<&Vec<CellScore>> = heads.by_ref().take(families.len()).collect();
            let chosen = best(&scores);
            let summary = |(i, (&family, cells)): (usize, (&Family, &&Vec<CellScore>))| {
                let mean = |f: fn(&CellScore) -> f64| cells.iter().map(f).sum::<f64>() / cells.len() as f64;
                let (log_score, fill_loss) = (mean(|c| c.0), mean(|c| c.1));
                FamilyScore { family, log_score, fill_loss, cells: cells.len(), chosen: i == chosen }
            };
            families.iter().zip(&scores).enumerate().map(summary).collect()
        })
        .collect()
}

/// The place of the best log score among families that fill no worse than the first (by how much they have to show that, see [`SLACK`],
/// [`DECISIVE`] and [`OVERWHELMING`]), which stays unless beaten beyond chance (two standard errors).
fn best(scores: &[&Vec<CellScore>]) -> usize {
    let gain = |i: usize| {
        let over = |f: fn(&CellScore, &CellScore) -> f64| {
            mean_and_error(&scores[i].iter().zip(scores[0]).map(|(a, b)| f(a, b)).collect::<Vec<_>>())
        };
        let (log, log_error) = over(|a, b| (a.0 - b.0).clamp(-NATS_MOST, NATS_MOST));
        let (worse, error) = over(|a, b| a.2 - b.2);
        let slack = SLACK * over(|_, b| b.2).0;
        let no_worse = match log {
            log if log > OVERWHELMING => worse - 2.0 * error <= slack,
            log if log > DECISIVE => worse <= 2.0 * error,
            _ => worse <= error && worse + error <= slack,
        };
        if log > 2.0 * log_error && no_worse { log } else { 0.0 }
    };
    let gains = (0..scores.len()).map(|i| if i == 0 { 0.0 } else { gain(i) });
    gains.enumerate().fold((0, 0.0), |best, (i, gain)| if gain > best.1 { (i, gain) } else { best }).0
}

/// Per head, the scores of its column's held-out cells in row order.
fn score(trainer: &Trainer<'_>, Member { weights, held, .. }: &Member) -> Vec<Vec<CellScore>> {
    let noise = normals((DRAWS, trainer.vae.latent), &mut stream(trainer.seed, Purpose::HeldOut, u64::MAX));
    let buffers = || Block::new(trainer.vae, 1);
    let one = |block: &mut Block<f32>, rows: &[usize]| score_block(trainer, held, weights, rows, &noise, block);
    let blocks: Vec<Vec<Vec<CellScore>>> = held.rows.par_chunks(BLOCK).map_init(buffers, one).collect();
    let mut heads = vec![Vec::new(); trainer.vae.heads.len()];
    for block in blocks {
        heads.iter_mut().zip(block).for_each(|(all, cells)| all.extend(cells));
    }
    heads
}

fn score_block(
    trainer: &Trainer<'_>,
    held: &HeldOut,
    weights: &[f32],
    rows: &[usize],
    noise: &Array2<f32>,
    block: &mut Block<f32>,
) -> Vec<Vec<CellScore>> {
    let Trainer { vae, scaling, view, rows: table, .. } = *trainer;
    show_block(&view, table, rows, |i, j| !held.cells[(i, j)], block);
    let decoded = block.draws(vae, &[weights], noise.axis_chunks_iter(Axis(0), 1));
    let head_scores = |head: &crate::likelihood::Head| {
        let unit = scaling.columns[head.column].unit();
        let mut mean = vec![0f32; Likelihood::<f32>::outcomes(&head.law)];
        let mut one = mean.clone();
        let mut cells = Vec::new();
        for (r, &i) in rows.iter().enumerate().filter(|(_, i)| held.cells[(**i, head.column)]) {
            let x = table.target[(i, head.column)];
            mean.fill(0.0);
            let mut logs = [0f64; DRAWS];
            for (log, eta) in logs.iter_mut().zip(&decoded) {
                let eta = eta.row(r);
                let eta = &eta.to_slice().expect("standard layout")[head.eta.clone()];
                *log = f64::from(head.law.log_mass(eta, x, unit));
                head.law.expected(eta, &mut one);
                mean.iter_mut().zip(&one).for_each(|(m, o)| *m += o / DRAWS as f32);
            }
            let loss = fill_loss(&mean, x);
            let risk = if let [mean] = mean[..] { f64::from(mean - x).powi(2) } else { loss };
            cells.push((log_sum_exp(&logs) - (DRAWS as f64).ln(), loss, risk));
        }
        cells
    };
    vae.heads.iter().map(head_scores).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_taken_for_a_better_score_beyond_chance_and_no_worse_fills() {
        let cells = |log: f64, loss: f64| (0..100).map(|i| (log + f64::from(i % 7) / 10.0, loss, loss)).collect::<Vec<_>>();
        let wild = |log: f64| {
            let mut cells = cells(log, 0.5);
            cells[0].0 = -1e6;
            cells
        };
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(1.0, 0.5), &cells(0.5, 0.5)]), 1);
        // Worse fills, no gain, no cells.
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(1.0, 0.6), &cells(0.5, 0.5)]), 2);
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(-1.0, 0.1)]), 0);
        assert_eq!(best(&[&Vec::new(), &Vec::new()]), 0);
        // One wild cell neither makes nor breaks a choice.
        assert_eq!(best(&[&cells(0.0, 0.5), &wild(1.0)]), 1);
        assert_eq!(best(&[&wild(0.0), &cells(-0.3, 0.5)]), 0);
        // Better fills but for a few wild cells, of which it is not known.
        let mut risky = cells(1.0, 0.4);
        risky[0].2 = 10.0;
        assert_eq!(best(&[&cells(0.0, 0.5), &risky]), 0);
        // Unless the law is a very different one, and then not with fills that are worse beyond chance.
        let mut decisive = cells(4.0, 0.4);
        decisive[0].2 = 10.0;
        assert_eq!(best(&[&cells(0.0, 0.5), &decisive]), 1);
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(4.0, 0.6)]), 0);
        // Nor with any that are, unless the law is all that matters.
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(4.5, 0.54)]), 1);
        assert_eq!(best(&[&cells(0.0, 0.5), &cells(3.0, 0.54)]), 0);
        // Within chance.
        let noisy: Vec<CellScore> = (0..100).map(|i| (if i % 2 == 0 { 1.1 } else { -1.0 }, 0.5, 0.5)).collect();
        assert_eq!(best(&[&(0..100).map(|_| (0.0, 0.5, 0.5)).collect(), &noisy]), 0);
    }
}
