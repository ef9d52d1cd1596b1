//! Minibatches to weights: the hiding law, held-out cells, early stopping, the members of an ensemble.

pub(crate) mod adam;
pub(crate) mod checkpoint;
pub(crate) mod pilot;
pub(crate) mod settle;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, KV, State};
use ndarray::{Array2, ArrayViewMut1, Axis, s};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::SliceRandom;
use ndarray_rand::rand::seq::index::sample;
use rayon::prelude::*;

use crate::data::scaling::{Rows, Scaling};
use crate::error::{Error, ErrorKind, Result};
use crate::likelihood::Likelihood;
use crate::model::bound::{Batch, Divergence, Estimator, Gradient, Proposal, Workspace};
use crate::model::linear::Given;
use crate::model::linear::start::View;
use crate::model::missingness::{ROWS_LEAST, odds_of_gaps, rows_to_judge};
use crate::model::net::flat;
use crate::model::posterior::{BLOCK, Block};
use crate::model::{SHARD, Vae, marginal_bias};
use crate::rng::{Purpose, Stream, antithetic, fill_normals, pair, stream};
use adam::{Adam, AdamState, Objective};
use checkpoint::{Checkpoint, OfMember};

/// The time of a fit, that of the runs before it went on included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// When this run began.
    pub start: Instant,
    pub before: Duration,
}

impl Clock {
    /// Begins now.
    pub fn after(before: Duration) -> Clock {
        Clock { start: Instant::now(), before }
    }

    pub fn elapsed(&self) -> Duration {
        // What a file says may be anything.
        self.before.saturating_add(self.start.elapsed())
    }
}

/// Sizes and lengths of a fit, from the table's shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub latent: usize,
    pub width: usize,
    pub depth: usize,
    pub batch: usize,
    /// Importance samples of a row.
    pub k: usize,
    pub steps_per_epoch: usize,
    pub epochs: usize,
    pub patience: usize,
    pub members: usize,
    pub step_size: f64,
    pub decay: f64,
    /// The hidden share of a row's observed cells is uniform up to this. Fills see all that is observed, which training comes near to
    /// where little is hidden; where cells are few, hiding more keeps networks from learning them by heart.
    pub hidden_most: f64,
    /// One step in so many takes the encoder's path, the others the prior's, the path of fills.
    pub encoder_turn: usize,
    /// Share of the observed cells held out, and at most how many.
    pub held_share: f64,
    pub held_most: usize,
    /// Whether all members hold out the same cells, by which their mean is judged. Those of a small table take turns in folds, so that more cells
    /// judge them.
    pub held_alike: bool,
    /// Whether a network has to prove by held-out cells that it is better than the linear model it starts from. Several networks
    /// may gain together where each by itself does not, so that this is asked of tables of few columns only, where a
    /// straight line is often all there is.
    pub prove: bool,
    /// Share of the training over which the divergence grows to its weight.
    pub warm_up: f64,
    pub kl_weight: f64,
    pub free_bits: f64,
    /// A plain autoencoder: z is the mean, and its divergence costs nothing.
    pub plain: bool,
}

/// Tables of so many columns at most are taken for linear until held-out cells say otherwise.
const COLUMNS_TO_PROVE: usize = 4;

/// Networks of so many weights are large.
const LARGE: usize = 2_000_000;

/// Share of all rows that see nothing: the plain VAE. They are on the encoder's path.
const NOTHING_VISIBLE: f64 = 0.1;
/// Draws of z when held-out cells are scored: a pair of opposite ones.
const SCORE_DRAWS: usize = 2;

impl Plan {
    /// Defaults for a table of `n` rows, `d` modelled columns and `observed` cells.
    pub fn for_table(n: usize, d: usize, observed: usize) -> Plan {
        let thousands = observed as f64 / 1000.0;
        let batch = if thousands < 100.0 { SHARD } else { 2 * SHARD };
        let prove = d <= COLUMNS_TO_PROVE;
        // Steps grow with the root of the cells: a small table cannot use more, a large one is seen several times.
        let steps = (700.0 * thousands.sqrt()).clamp(700.0, 6000.0);
        let steps_per_epoch = (n / batch).clamp(50, 500);
        Plan {
            latent: (d / 2).clamp(2, 16),
            width: match thousands {
                t if t < 1.0 => 48,
                t if t < 4.0 => 96,
                t if t < 100.0 => 256,
                // Two networks of larger steps do as well with less, until there are cells enough to fill more.
                t if t < 200.0 => 192,
                _ => 256,
            },
            depth: 2,
            batch,
            k: 1,
            steps_per_epoch,
            epochs: (steps / steps_per_epoch as f64).ceil() as usize,
            patience: 20,
            // More networks where each is cheap and has much to say.
            members: match thousands {
                t if t >= 100.0 => 2,
                t if t >= 5.0 || prove => 4,
                t if t >= 2.0 => 6,
                _ => 16,
            },
            step_size: 2e-3,
            decay: 0.2,
            hidden_most: if thousands < 100.0 { 0.7 } else { 0.4 },
            encoder_turn: if thousands < 100.0 { 4 } else { 8 },
            held_share: if thousands < 5.0 { 0.1 } else { 0.04 },
            held_most: 5000,
            held_alike: thousands >= 20.0,
            prove,
            warm_up: 0.2,
            kl_weight: 1.0,
            free_bits: 0.0,
            plain: false,
        }
    }

    /// Sets of held-out cells, which have none in common: the members take turns in them.
    pub fn folds(&self) -> usize {
        let most = if self.held_alike { 1.0 } else { (1.0 / self.held_share).floor().min(self.members as f64) };
        most.max(1.0) as usize
    }

    /// Floating-point operations of a whole fit of one member as if every product were dense.
    pub fn operations(&self, vae: &Vae) -> f64 {
        let row = |encoder| vae.operations(encoder, self.k) as f64;
        let steps = self.epochs * self.steps_per_epoch;
        let encoder = steps.div_ceil(self.encoder_turn);
        self.batch as f64 * (encoder as f64 * row(true) + (steps - encoder) as f64 * row(false))
    }
}

/// Cells held out for early stopping: known, never shown, never trained on.
#[derive(Clone, Debug)]
pub(crate) struct HeldOut {
    /// (n, d).
    pub cells: Array2<bool>,
    /// Rows with such a cell, ascending.
    pub rows: Vec<usize>,
    pub len: usize,
    /// (rows, columns): see [`HeldOut::count`]; without rows before they are weighed.
    counts: Array2<f64>,
}

impl HeldOut {
    /// A share of the observed cells at random, at most one in two of a row and never a row's only one. Folds have
    /// none in common; a member beyond the plan's, the pilot, chooses by itself.
    fn choose(rows: &Rows<f32>, plan: &Plan, seed: u64, member: usize) -> HeldOut {
        let (index, fold) = if member < plan.members { (0, member % plan.folds()) } else { (member, 0) };
        let mut rng = stream(seed, Purpose::HeldOut, index as u64);
        let total = rows.target.iter().filter(|x| !x.is_nan()).count();
        let share = plan.held_share.min(plan.held_most as f64 / total.max(1) as f64);
        let own = fold as f64 * share..(fold + 1) as f64 * share;
        let mut held = HeldOut {
            cells: Array2::from_elem(rows.target.dim(), false),
            rows: Vec::new(),
            len: 0,
            counts: Array2::zeros((0, 0)),
        };
        for (i, row) in rows.target.rows().into_iter().enumerate() {
            let most = held.len + row.iter().filter(|x| !x.is_nan()).count() / 2;
            let before = held.len;
            for (j, x) in row.iter().enumerate() {
                // One number a cell whether used or not: the choice in one row does not shift the next row's.
                let chosen = own.contains(&rng.random::<f64>());
                if chosen && held.len < most && !x.is_nan() {
                    held.cells[(i, j)] = true;
                    held.len += 1;
                }
            }
            if held.len > before {
                held.rows.push(i);
            }
        }
        held
    }

    /// Weighs the cells by how likely cells like them are gaps. `outcomes` as of [`odds_of_gaps`].
    fn weigh(&mut self, rows: &Rows<f32>, outcomes: &[usize], seed: u64) {
        let target = &rows.target;
        let (n, d) = target.dim();
        let kept = rows_to_judge(n, ROWS_TO_WEIGH, d, outcomes.iter().sum());
        if kept < n.min(ROWS_LEAST) {
            return;
        }
        let some = sample(&mut stream(seed, Purpose::Missingness, u64::MAX), n, kept).into_vec();
        self.counts = odds_of_gaps(target.select(Axis(0), &some).view(), target.select(Axis(0), &self.rows).view(), outcomes);
        for (j, mut counts) in self.counts.columns_mut().into_iter().enumerate() {
            let held = |(r, _): &(usize, &mut f64)| self.cells[(self.rows[*r], j)];
            let sums = |counts: &mut ArrayViewMut1<f64>| {
                let held = counts.iter_mut().enumerate().filter(held);
                held.fold((0.0, 0.0, 0.0), |(n, total, squares), (_, c)| (n + 1.0, total + *c, squares + *c * *c))
            };
            let (n, total, _) = sums(&mut counts);
            counts.mapv_inplace(|odds| (odds * n / total).min(COUNT_MOST));
            let (_, total, squares) = sums(&mut counts);
            counts.mapv_inplace(|count| count * total / squares);
        }
    }

    /// What a held-out cell counts for where what is found by such cells is to hold of gaps: one each where all are as likely gaps, and
    /// together as many as they are worth (Kish 1965).
    pub fn count(&self, i: usize, j: usize) -> f64 {
        if self.counts.is_empty() {
            return 1.0;
        }
        self.rows.binary_search(&i).map_or(1.0, |r| self.counts[(r, j)])
    }
}

/// Rows that tell which cells are likely gaps, at most; fewer of wide tables, and none where not that many are left.
const ROWS_TO_WEIGH: usize = 3000;
/// No held-out cell counts for more than so many.
const COUNT_MOST: f64 = 10.0;

/// A fitted network and how it came about.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub weights: Vec<f32>,
    pub held: HeldOut,
    pub epochs: usize,
    pub timed_out: bool,
    /// The column of the network whose loss was no longer finite, which ended the training.
    pub lost: Option<usize>,
}

/// The networks that hold out the same cells, which judge them together.
pub(crate) fn by_fold(members: &[Member]) -> Vec<(Vec<&[f32]>, &HeldOut)> {
    let mut folds: Vec<(Vec<&[f32]>, &HeldOut)> = Vec::new();
    for Member { weights, held, .. } in members {
        match folds.iter_mut().find(|(_, of_fold)| of_fold.cells == held.cells) {
            Some((networks, _)) => networks.push(weights),
            None => folds.push((vec![weights], held)),
        }
    }
    folds
}

/// News of one epoch of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    pub loss: f64,
}

/// Everything the members share.
#[derive(Clone, Debug)]
pub(crate) struct Trainer<'a> {
    pub vae: &'a Vae,
    pub scaling: &'a Scaling,
    pub view: View<'a>,
    pub rows: &'a Rows<f32>,
    /// Names of the columns, in the network's order.
    pub names: &'a [String],
    /// What each row counts for, above zero, one on average; all alike when `None`.
    pub weights: Option<&'a [f64]>,
    pub plan: &'a Plan,
    pub seed: u64,
    pub time_limit: Option<Duration>,
    pub clock: Clock,
    pub stop: &'a AtomicBool,
    /// Keeps where each network stands.
    pub checkpoint: Option<Arc<Checkpoint>>,
}

impl Trainer<'_> {
    /// A member with its first weights: the model as it begins.
    pub fn untrained(&self, member: usize) -> Member {
        let held = HeldOut::choose(self.rows, self.plan, self.seed, member);
        let mut rng = stream(self.seed, Purpose::Init, member as u64);
        let weights = self.vae.init(&marginal_bias(&self.vae.heads, self.scaling), &mut rng);
        Member { weights, held, epochs: 0, timed_out: false, lost: None }
    }

    /// Weighs the members' held-out cells: see [`HeldOut::count`].
    pub fn weigh(&self, members: &mut [Member]) {
        let outcomes: Vec<usize> = self.vae.heads.iter().map(|h| Likelihood::<f32>::outcomes(&h.law)).collect();
        let (first, others) = members.split_at_mut(self.plan.folds());
        first.par_iter_mut().for_each(|m| m.held.weigh(self.rows, &outcomes, self.seed));
        let again = first.iter().cycle();
        others.iter_mut().zip(again).for_each(|(m, of_fold)| m.held = of_fold.held.clone());
    }

    /// Trains the members on the calling thread's pool; the news go to `epochs`.
    pub fn run_all(&self, epochs: Sender<Epoch>) -> Result<Vec<Member>> {
        let mut members = Vec::with_capacity(self.plan.members);
        while members.len() < self.plan.members {
            let some = members.len()..self.plan.members.min(members.len() + self.at_once());
            let some = some.into_par_iter().map_with(epochs.clone(), |epochs, m| self.run(m, epochs.clone()));
            members.extend(some.collect::<Result<Vec<_>>>()?);
        }
        Ok(members)
    }

    /// Members that are in training at a time: any, but of large networks no more than leave each of a batch's shards a thread, since a
    /// training takes six times the memory of its weights.
    fn at_once(&self) -> usize {
        let trainings =
            if self.vae.weights < LARGE { usize::MAX } else { rayon::current_num_threads() * SHARD / self.plan.batch };
        trainings.clamp(1, self.plan.members)
    }

    /// Trains one member on the calling thread's pool; the news go to `epochs`.
    pub fn run(&self, member: usize, epochs: Sender<Epoch>) -> Result<Member> {
        let plan = self.plan;
        let Member { weights: first, held, .. } = self.untrained(member);
        let noise = antithetic((SCORE_DRAWS, self.vae.latent), &mut stream(self.seed, Purpose::Score, member as u64));
        let noise = noise * if plan.plain { 0.0 } else { 1.0 };
        let (at_once, threads) = (self.at_once(), rayon::current_num_threads());
        // A member's share of the time, by its own clock.
        let share = at_once.min(threads) as f64 / plan.members as f64;
        let clock = Clock::after(self.checkpoint.as_ref().map_or(Duration::ZERO, |c| c.time_of(member)));
        let left = |t: Duration| clock.before.saturating_add(t.saturating_sub(self.clock.elapsed()));
        let time_limit = self.time_limit.map(|t| t.mul_f64(share).min(left(t)));
        let lost = OnceLock::new();
        let parallel = at_once < threads;
        let objective = Fit::new(self, parallel, member, &held, noise, &lost);
        let mut solver =
            Adam::new(plan.step_size as f32, plan.decay as f32, plan.epochs as u64, plan.patience as u64, time_limit, clock)
                .counting_first(plan.prove)
                .parallel(parallel);
        let mut state = AdamState::new().param(first).max_iters(plan.epochs as u64);
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.resume(member, plan, &mut solver, &mut state)?;
        }
        let mut run =
            Executor::new(objective, solver).configure(|_| state).add_observer(Reporter { epochs }, ObserverMode::Always);
        if let Some(checkpoint) = self.checkpoint.clone() {
            run = run.checkpointing(OfMember { checkpoint, member });
        }
        let run = run.run().map_err(own_error)?;
        let mut state = run.state;
        let done = state.get_iter() as usize;
        let best = state.take_best_param();
        let lost = lost.into_inner();
        if let (None, Some(column)) = (&best, lost) {
            return Err(not_finite(Some(self.column(column))));
        }
        let weights = best.or_else(|| state.take_param()).unwrap_or_default();
        if !weights.iter().all(|w| w.is_finite()) {
            return Err(not_finite(lost.map(|column| self.column(column))));
        }
        let timed_out = done < plan.epochs && time_limit.is_some_and(|t| clock.elapsed() >= t);
        Ok(Member { weights, held, epochs: done, timed_out, lost })
    }

    /// The name of a column of the network.
    fn column(&self, k: usize) -> &str {
        self.names.get(k).map_or("", String::as_str)
    }

    /// Σ of the losses of the held-out cells of some rows, [`BLOCK`] at most; `of` one column where one is given.
    fn held_out_loss(
        &self,
        held: &HeldOut,
        rows: &[usize],
        of: Option<usize>,
        w: &[f32],
        noise: &Array2<f32>,
        block: &mut Block<f32>,
    ) -> f64 {
        show_block(&self.view, self.rows, rows, |i, j| !held.cells[(i, j)], block);
        block.expected.fill(0.0);
        block.add_expected(self.vae, w, noise.view(), 1.0);
        let mut total = 0.0;
        for (r, &i) in rows.iter().enumerate() {
            let asked = |column: usize| held.cells[(i, column)] && of.is_none_or(|of| of == column);
            for (h, head) in self.vae.heads.iter().enumerate().filter(|(_, head)| asked(head.column)) {
                let weight = self.weights.map_or(1.0, |w| w[i]);
                total += weight * fill_loss(block.outcomes(r, h), self.rows.target[(i, head.column)]);
            }
        }
        total
    }
}

/// Our error rides inside argmin's; anything else is a failed training.
fn own_error(e: argmin::core::Error) -> Error {
    e.downcast::<Error>().unwrap_or_else(|e| ErrorKind::Training { message: format!("training failed: {e}") }.into())
}

fn not_finite(column: Option<&str>) -> Error {
    let message = match column {
        Some(column) => format!("training did not stay finite, in column `{column}` first; exclude or rescale it"),
        None => "training did not stay finite; exclude or rescale columns with extreme values".into(),
    };
    ErrorKind::Training { message }.into()
}

/// Sends each epoch's cost on.
struct Reporter {
    epochs: Sender<Epoch>,
}

impl Observe<AdamState> for Reporter {
    fn observe_iter(&mut self, state: &AdamState, _: &KV) -> std::result::Result<(), argmin::core::Error> {
        // Nobody listening is no reason to stop.
        let _ = self.epochs.send(Epoch { loss: f64::from(state.get_cost()) });
        Ok(())
    }
}

/// The problem argmin solves: one member on one table.
struct Fit<'a> {
    trainer: &'a Trainer<'a>,
    /// Whether a step's shards are spread over threads: not where the members already keep all of them busy.
    parallel: bool,
    member: usize,
    held: &'a HeldOut,
    noise: Array2<f32>,
    /// argmin hands out shared references only, so what a step changes sits in cells.
    order: RefCell<Order>,
    /// One a shard where shards run in parallel, else one of them all.
    shards: RefCell<Vec<Shard>>,
    blocks: RefCell<Vec<Block<f32>>>,
    /// The first column whose loss was not finite.
    lost: &'a OnceLock<usize>,
}

/// Rows in the order of the current pass over the table.
struct Order {
    rows: Vec<usize>,
    passes: usize,
    /// The rows of the current step.
    step: Vec<usize>,
}

/// What the gradient of a shard takes, or of several that are passed together: buffers made once.
struct Shard {
    batch: Batch<f32>,
    work: Workspace<f32>,
    gradient: Gradient<f32>,
    /// (rows, columns), of as many rows as are hidden from at once.
    observed: Vec<bool>,
    visible: Vec<bool>,
    given: Given,
}

impl<'a> Fit<'a> {
    fn new(
        trainer: &'a Trainer<'a>,
        parallel: bool,
        member: usize,
        held: &'a HeldOut,
        noise: Array2<f32>,
        lost: &'a OnceLock<usize>,
    ) -> Fit<'a> {
        let Trainer { vae, plan, .. } = *trainer;
        let n = trainer.rows.target.nrows();
        let d = vae.columns;
        // Products of more rows are faster; threads want shards of their own.
        let (shards, rows, blocks) = match parallel {
            true => (plan.batch / SHARD, SHARD, rayon::current_num_threads()),
            false => (1, plan.batch, 1),
        };
        let shard = |_| Shard {
            batch: Batch::new(vae, rows, plan.k),
            work: Workspace::new(vae, rows, plan.k),
            gradient: Gradient::new(vae),
            observed: vec![false; SHARD * d],
            visible: vec![false; SHARD * d],
            given: Given::default(),
        };
        Fit {
            trainer,
            parallel,
            member,
            held,
            noise,
            order: RefCell::new(Order { rows: (0..n).collect(), passes: 0, step: vec![0; plan.batch] }),
            shards: RefCell::new((0..shards).map(shard).collect()),
            blocks: RefCell::new((0..blocks).map(|_| Block::new(vae, SCORE_DRAWS)).collect()),
            lost,
        }
    }

    /// Puts the rows of a step in `order.step`: the passes' shuffled orders, one after the other.
    fn choose_rows(&self, step: usize, order: &mut Order) {
        let n = order.rows.len();
        let batch = order.step.len();
        for b in 0..batch {
            let p = step * batch + b;
            // More than one only where a training goes on.
            while p / n >= order.passes {
                let index = pair(self.member as u64, order.passes as u64);
                let mut rng = stream(self.trainer.seed, Purpose::Shuffle, index);
                if let Some(weights) = self.trainer.weights {
                    choose_by_weight(weights, &mut rng, &mut order.rows);
                }
                order.rows.shuffle(&mut rng);
                order.passes += 1;
            }
            order.step[b] = order.rows[p % n];
        }
    }
}

/// As many rows as there are, each about as often as its weight says: points at equal distances along the weights laid
/// end to end (systematic sampling).
fn choose_by_weight(weights: &[f64], rng: &mut Stream, rows: &mut [usize]) {
    let first = rng.random::<f64>();
    let (mut row, mut end) = (0, weights[0]);
    for (i, chosen) in rows.iter_mut().enumerate() {
        while end <= first + i as f64 && row + 1 < weights.len() {
            row += 1;
            end += weights[row];
        }
        *chosen = row;
    }
}

impl Shard {
    /// Adds the gradient of some rows; `index` numbers the member, the step, which says what path they take, and the first shard.
    fn add_gradient(
        &mut self,
        of: (&Trainer, &HeldOut),
        index: (usize, usize, usize),
        divergence: Divergence<f32>,
        rows: &[usize],
        w: &[f32],
    ) {
        let (trainer, held) = of;
        let (member, step, first) = index;
        let encoder = step.is_multiple_of(trainer.plan.encoder_turn);
        self.batch.proposal = if encoder { Proposal::Encoder } else { Proposal::Prior };
        // The encoder's path keeps the bound's own gradient.
        self.batch.by_scale = !encoder;
        for (s, rows) in rows.chunks(SHARD).enumerate() {
            let mut rng = stream(trainer.seed, Purpose::Train, pair(member as u64, pair(step as u64, (first + s) as u64)));
            hide(trainer, held, (rows, s * SHARD), &mut rng, self);
            if !trainer.plan.plain {
                let draws = s * SHARD * trainer.plan.k..(s + 1) * SHARD * trainer.plan.k;
                fill_normals(self.batch.noise.slice_mut(s![draws, ..]), &mut rng);
            }
        }
        let Shard { batch, work, gradient, .. } = self;
        work.bound_and_grad(trainer.vae, w, batch, divergence, Estimator::DoublyReparameterised, gradient);
    }
}

impl Objective for Fit<'_> {
    fn steps(&self) -> usize {
        self.trainer.plan.steps_per_epoch
    }

    fn with_gradient(
        &self,
        step: usize,
        progress: f64,
        w: &mut [f32],
        update: impl FnOnce(&mut [f32], &[f32], f32),
    ) -> Result<()> {
        if self.trainer.stop.load(Ordering::Relaxed) {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut order = self.order.borrow_mut();
        self.choose_rows(step, &mut order);
        let rows = &order.step;
        let plan = self.trainer.plan;
        let warm = if plan.warm_up > 0.0 { (progress / plan.warm_up).min(1.0) } else { 1.0 };
        let weight = if plan.plain { 0.0 } else { plan.kl_weight * warm } as f32;
        let divergence = Divergence { weight, free: plan.free_bits as f32 };
        let mut shards = self.shards.borrow_mut();
        for shard in shards.iter_mut() {
            shard.gradient.clear();
            shard.work.forget_weights();
        }
        let (of, member) = ((self.trainer, self.held), self.member);
        if self.parallel {
            let (work, w) = (shards.par_iter_mut().zip(rows.par_chunks(SHARD)).enumerate(), &*w);
            work.for_each(|(s, (shard, rows))| shard.add_gradient(of, (member, step, s), divergence, rows, w));
        } else {
            shards[0].add_gradient(of, (member, step, 0), divergence, rows, w);
        }
        let (first, others) = shards.split_first_mut().expect("a batch has a shard");
        others.iter_mut().for_each(|other| first.gradient.add(&mut other.gradient));
        update(w, first.gradient.values(), 1.0 / rows.len() as f32);
        Ok(())
    }

    fn cost(&self, w: &[f32]) -> Result<f32> {
        if self.held.len == 0 {
            // Nothing to choose by: each epoch counts as better than the last.
            return Ok(f32::INFINITY);
        }
        let (trainer, held, noise) = (self.trainer, self.held, &self.noise);
        let loss = |rows: &[usize], block: &mut Block<f32>| trainer.held_out_loss(held, rows, None, w, noise, block);
        let mut blocks = self.blocks.borrow_mut();
        // Every thread takes each so many-th block of rows.
        let threads = blocks.len();
        let some = |(t, block): (usize, &mut Block<f32>)| -> Vec<f64> {
            held.rows.chunks(BLOCK).skip(t).step_by(threads).map(|rows| loss(rows, block)).collect()
        };
        let losses: Vec<Vec<f64>> = match self.parallel {
            true => blocks.par_iter_mut().enumerate().map(some).collect(),
            false => blocks.iter_mut().enumerate().map(some).collect(),
        };
        let losses: Vec<f64> = (0..held.rows.len().div_ceil(BLOCK)).map(|b| losses[b % threads][b / threads]).collect();
        let total: f64 = losses.iter().sum();
        let mean = total / self.held.len as f64;
        if !mean.is_finite() {
            // The solver stops at a cost that is no number; the best weights so far stay.
            let of = |k: &usize| {
                let losses =
                    held.rows.chunks(BLOCK).map(|rows| trainer.held_out_loss(held, rows, Some(*k), w, noise, &mut blocks[0]));
                !losses.sum::<f64>().is_finite()
            };
            let column = (0..trainer.vae.columns).find(of).unwrap_or_default();
            self.lost.get_or_init(|| column);
            return Ok(f32::NAN);
        }
        Ok(mean as f32)
    }
}

/// The loss of a fill, by which epochs are compared: for a number √(1 + e²) − 1 with e its error in standard deviations
/// (squared where small, absolute where large, so that a few wild cells do not choose the epoch); for levels one minus
/// the probability given to the true one. The log density would stop too early: its variances overfit long before its
/// means do.
pub(crate) fn fill_loss(expected: &[f32], truth: f32) -> f64 {
    match expected {
        [mean] => (1.0 + f64::from(mean - truth).powi(2)).sqrt() - 1.0,
        levels => 1.0 - f64::from(levels[truth as usize]),
    }
}

/// The mean and its standard error; an infinite one for fewer than two numbers.
pub(crate) fn mean_and_error(x: &[f64]) -> (f64, f64) {
    weighted_mean_and_error(x.iter().map(|&x| (x, 1.0)))
}

/// The mean of numbers with weights, and its standard error (the sandwich's); an infinite one for fewer than two.
pub(crate) fn weighted_mean_and_error(x: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let (n, total) = x.clone().fold((0, 0.0), |(n, total), (_, w)| (n + 1, total + w));
    if n < 2 {
        return (0.0, f64::INFINITY);
    }
    let mean = x.clone().map(|(x, w)| w * x).sum::<f64>() / total;
    let n = f64::from(n);
    let variance = x.map(|(x, w)| (w * (x - mean)).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / (total * total / n)).sqrt())
}

/// Puts the visible cells of some rows into a block; its further rows are empty. A cell is visible where it is observed and
/// `show` says so.
pub(crate) fn show_block(
    view: &View<'_>,
    rows: &Rows<f32>,
    block: &[usize],
    show: impl Fn(usize, usize) -> bool,
    into: &mut Block<f32>,
) {
    let mut visible = Vec::with_capacity(block.len() * rows.target.ncols());
    for (r, &i) in block.iter().enumerate() {
        let first = visible.len();
        visible.extend(rows.target.row(i).iter().enumerate().map(|(j, x)| !x.is_nan() && show(i, j)));
        into.count[r] = visible[first..].iter().filter(|v| **v).count();
    }
    view.show(rows, (block, &visible), &mut into.visible, 0, &mut into.given);
    for r in block.len()..BLOCK {
        into.count[r] = 0;
        into.visible.clear(r);
    }
}

/// Shows the encoder what is observed of some rows, and scores all of it.
pub(crate) fn show_observed(view: &View<'_>, rows: &Rows<f32>, of: &[usize], batch: &mut Batch<f32>) {
    batch.scored.fill(false);
    for (r, &i) in of.iter().enumerate() {
        for (c, &x) in rows.target.row(i).iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            (batch.target[(r, c)], batch.scored[(r, c)]) = (x, true);
        }
    }
    let observed = &flat(&batch.scored)[..of.len() * rows.target.ncols()];
    view.show(rows, (of, observed), &mut batch.observed, 0, &mut Given::default());
    (of.len()..batch.scored.nrows()).for_each(|r| batch.observed.clear(r));
}

/// The hiding law: per row a hidden share of its observed cells uniform up to the plan's most, one cell at least; on the encoder's
/// path so many rows see nothing that they are a tenth of all.
/// The rows go where `at` says.
fn hide(trainer: &Trainer<'_>, held: &HeldOut, (block, at): (&[usize], usize), rng: &mut Stream, shard: &mut Shard) {
    let (view, rows) = (&trainer.view, trainer.rows);
    let Shard { batch, observed, visible, given, .. } = shard;
    let encoder = batch.proposal == Proposal::Encoder;
    let d = rows.target.ncols();
    let shown = observed.chunks_exact_mut(d).zip(visible.chunks_exact_mut(d));
    for ((r, &i), (observed, visible)) in (at..).zip(block).zip(shown) {
        let target = rows.target.row(i);
        let mut total = 0;
        for (j, observed) in observed.iter_mut().enumerate() {
            *observed = !target[j].is_nan() && !held.cells[(i, j)];
            total += usize::from(*observed);
        }
        let nothing = encoder && rng.random::<f64>() < NOTHING_VISIBLE * trainer.plan.encoder_turn as f64;
        let share = if nothing { 1.0 } else { rng.random::<f64>() * trainer.plan.hidden_most };
        let one = rng.random_range(0..total.max(1));
        let mut seen = 0;
        for (j, &observed) in observed.iter().enumerate() {
            let hide = rng.random::<f64>() < share || (observed && seen == one);
            seen += usize::from(observed);
            visible[j] = observed && !hide;
            batch.scored[(r, j)] = observed && hide;
            if observed {
                batch.target[(r, j)] = target[j];
            }
        }
        batch.count[r] = visible.iter().filter(|v| **v).count();
    }
    view.show(rows, (block, visible), &mut batch.visible, at, given);
    if encoder {
        view.show(rows, (block, observed), &mut batch.observed, at, given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::normals;

    #[test]
    fn held_out_cells_count_as_likely_as_they_are_gaps() {
        let mut rng = stream(2, Purpose::Ampute, 11);
        let n = 8000;
        let mut target = normals((n, 3), &mut rng);
        for mut row in target.rows_mut() {
            if rng.random::<f32>() < 1.0 / (1.0 + (-1.2 * row[0]).exp()) {
                row[1] = f32::NAN;
            }
            if rng.random::<f32>() < 0.3 {
                row[2] = f32::NAN;
            }
        }
        let rows = Rows { place: target.clone(), target };
        let plan = Plan { held_share: 0.2, ..Plan::for_table(n, 3, 2 * n) };
        let mut held = HeldOut::choose(&rows, &plan, 3, 0);
        let mean = |of: &dyn Fn(usize) -> f64| {
            let (total, sum) = (0..n).fold((0.0, 0.0), |(t, s), i| (t + of(i), s + of(i) * f64::from(rows.target[(i, 0)])));
            sum / total
        };
        let of_gaps = mean(&|i| f64::from(u8::from(rows.target[(i, 1)].is_nan())));
        let counted = |held: &HeldOut, j: usize| mean(&|i| if held.cells[(i, j)] { held.count(i, j) } else { 0.0 });
        // Before, as the observed cells are, on the other side of zero.
        assert!(counted(&held, 1) < -0.3 && of_gaps > 0.3);
        held.weigh(&rows, &[1, 1, 1], 0);
        assert!((counted(&held, 1) - of_gaps).abs() < 0.15, "{} {of_gaps}", counted(&held, 1));
        let all = |j: usize| held.rows.iter().filter(|&&i| held.cells[(i, j)]).map(|&i| held.count(i, j)).collect::<Vec<_>>();
        assert!(all(1).iter().sum::<f64>() < 0.7 * all(1).len() as f64);
        assert!(all(2).iter().all(|count| (count - 1.0).abs() < 1e-9));
    }

    #[test]
    fn folds_have_no_cell_in_common_and_members_take_turns() {
        let n = 200;
        let rows = Rows { target: Array2::zeros((n, 8)), place: Array2::zeros((n, 8)) };
        let held = |plan: &Plan| (0..plan.members + 1).map(|m| HeldOut::choose(&rows, plan, 3, m).cells).collect::<Vec<_>>();
        let plan = Plan::for_table(n, 8, 8 * n);
        assert_eq!((plan.members, plan.folds()), (16, 10));
        let small = held(&plan);
        let count = |i: usize, j: usize| (0..10).filter(|&m| small[m][(i, j)]).count();
        let counts: Vec<usize> = (0..n).flat_map(|i| (0..8).map(move |j| (i, j))).map(|(i, j)| count(i, j)).collect();
        assert!(counts.iter().all(|&c| c <= 1) && counts.iter().sum::<usize>() > 1500);
        assert!((10..16).all(|m| small[m] == small[m - 10]));
        // As a table of many cells has it; the pilot's are its own.
        let large = held(&Plan::for_table(5000, 8, 40_000));
        assert!(large[0] == large[3] && large[0] != large[4]);
    }

    #[test]
    fn small_tables_have_more_networks_that_hold_out_their_own_cells() {
        let plan = |n: usize, d: usize| Plan::for_table(n, d, n * d);
        let of = |n: usize, d: usize| (plan(n, d).members, plan(n, d).held_alike);
        assert_eq!([of(100, 8), of(500, 8)], [(16, false), (6, false)]);
        assert_eq!([of(2000, 8), of(5000, 8), of(20_000, 8)], [(4, false), (4, true), (2, true)]);
        // Tables that are taken for linear until a pilot says otherwise have no more of them, and no pilot is longer for its networks.
        assert_eq!([plan(300, 3).members, plan(1000, 3).members], [4, 4]);
        assert_eq!(plan(200, 8).pilot().epochs, Plan { members: 4, ..plan(200, 8) }.pilot().epochs);
    }

    #[test]
    fn a_weighted_mean_is_that_of_cells_repeated() {
        let x = [1.0, 4.0, -2.0, 0.5];
        let (mean, error) = weighted_mean_and_error(x.iter().map(|x| (*x, 0.7)));
        let want = mean_and_error(&x);
        assert!((want.0 - 0.875).abs() < 1e-12 && (want.1 - 1.515625f64.sqrt()).abs() < 1e-12);
        assert!((mean - want.0).abs() < 1e-12 && (error - want.1).abs() < 1e-12);
        let twice = weighted_mean_and_error(x.iter().zip([1.0, 2.0, 1.0, 0.0]).map(|(x, w)| (*x, w)));
        assert!((twice.0 - 7.0 / 4.0).abs() < 1e-12);
        assert_eq!(weighted_mean_and_error([(1.0, 1.0)].into_iter()).1, f64::INFINITY);
    }

    #[test]
    fn rows_are_chosen_as_often_as_they_weigh() {
        let weights = [0.5, 2.5, 0.25, 0.75];
        let mut counts = [0; 4];
        let mut rows = [0; 4];
        for i in 0..1000 {
            choose_by_weight(&weights, &mut stream(3, Purpose::Shuffle, i), &mut rows);
            assert!(rows.is_sorted());
            rows.iter().for_each(|&r| counts[r] += 1);
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            assert!((f64::from(count) / 1000.0 - weight).abs() < 0.06, "{counts:?}");
        }
    }
}
