//! The fit of the variational autoencoder: a table becomes an imputer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use ::polars::prelude::DataFrame;

use crate::data::csv::CsvOptions;
use crate::data::scaling::{Rows, Scaling};
use crate::data::schema::{Family, LevelCounts, Schema};
use crate::data::table::Table;
use crate::error::{Error, ErrorKind, Result, Warning};
use crate::impute::config::{LATENT_MOST, Training, VaeConfig, WIDTH_MOST};
use crate::impute::latent::latent_use;
use crate::impute::likeness::Likeness;
use crate::impute::vae::{FILL_DRAWS, VaeImputer, fill_noise};
use crate::impute::{Fit, FittedInfo, check_threads, in_pool, table_to_fit};
use crate::likelihood::{candidates, heads};
use crate::model::Vae;
use crate::model::curvature::{bends, start};
use crate::model::linear::Source;
use crate::model::linear::start::{Start, View};
use crate::rng::pair;
use crate::train::checkpoint::Checkpoint;
use crate::train::pilot::{FamilyScore, choose};
use crate::train::settle::{departs, settle};
use crate::train::{Clock, Member, Plan, Trainer};

impl VaeConfig {
    /// Fits with a callback once an epoch, on the calling thread; `Break` stops the fit with
    /// [`ErrorKind::Interrupted`].
    ///
    /// # Errors
    /// As [`Fit::fit_with`].
    pub fn fit_with_progress(
        &self,
        df: &DataFrame,
        schema: &Schema,
        on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send),
    ) -> Result<VaeImputer> {
        self.fit_counted(df, schema, &LevelCounts::default(), on_progress)
    }

    /// Fits with levels that are as frequent as `counts` says, where it says so, and not as in the frame.
    pub(super) fn fit_counted(
        &self,
        df: &DataFrame,
        schema: &Schema,
        counts: &LevelCounts,
        on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send),
    ) -> Result<VaeImputer> {
        let clock = Clock::after(Duration::ZERO);
        let table = table_to_fit(df, &Arc::new(schema.clone()))?;
        let plan = self.plan(&table)?;
        let checkpoint =
            self.checkpoint.as_deref().map(|path| Checkpoint::open(path, self.fingerprint(&table, counts, &plan))).transpose()?;
        let clock = Clock { before: checkpoint.as_ref().map_or(Duration::ZERO, |c| c.clock.before), ..clock };
        let scaling = Scaling::fit(&table).with_counts(schema, counts);
        let rows: Rows<f32> = scaling.rows(&table);
        let likeness = Likeness::of(&table);
        let Table { values, weights, .. } = table;
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: weights.as_deref(), seed: self.seed };
        let linear = in_pool(self.threads, || start(&source, plan.prove))?;
        // From here on the cells in data units serve donors only.
        let values = self.donors.is_some().then_some(values);
        let weights = weights.as_deref();
        let names: Vec<String> = schema.modelled_columns().map(|c| c.name.clone()).collect();
        let data = Data {
            schema,
            scaling: &scaling,
            linear: &linear,
            rows: &rows,
            names: &names,
            weights,
            plan: &plan,
            clock,
            checkpoint,
        };
        let fitted = match schema.modelled().is_empty() || rows.target.nrows() == 0 {
            true => Trained { vae: data.network(&data.candidates(), &plan)?, members: Vec::new(), scores: Vec::new() },
            false => self.train(&data, on_progress)?,
        };
        let Trained { vae, members, scores } = fitted;
        let mut imputer = VaeImputer {
            noise: fill_noise(self.seed, FILL_DRAWS, plan.latent) * if plan.plain { 0.0 } else { 1.0 },
            info: FittedInfo { method: "vae".into(), errors: Vec::new(), warnings: Vec::new() },
            schema: Arc::new(schema.clone().with_families(&chosen(&scores))),
            vae,
            scaling,
            linear: linear.kept.clone(),
            members: Vec::new(),
            donors: None,
            neighbours: None,
            tilts: vec![None; names.len()],
            likeness,
            scores,
            csv: (CsvOptions::default(), Vec::new()),
            training: Training {
                version: env!("CARGO_PKG_VERSION").into(),
                config: VaeConfig { threads: None, checkpoint: None, ..self.clone() },
                rows: rows.target.nrows(),
                width: plan.width,
                depth: plan.depth,
                epochs: members.iter().map(|m| m.epochs).collect(),
                held_out: members.iter().map(|m| m.held.len).collect(),
                latent: Vec::new(),
            },
            seed: self.seed,
            threads: self.threads,
        };
        // Held-out cells and donors are seen as in training.
        let view = View::in_training(&imputer.scaling, &linear);
        imputer.members = members.iter().map(|m| m.weights.clone()).collect();
        let mut kept = Vec::new();
        // Of tables of few columns rows alike are too many to say more than a straight line.
        if !self.without_neighbours && !plan.prove {
            let found = in_pool(self.threads, || imputer.find_neighbours((&view, &rows), &members))?;
            if let Some((near, of)) = found {
                (imputer.neighbours, kept) = (Some(near), of);
            }
        }
        if !self.at_random {
            imputer.tilts = in_pool(self.threads, || imputer.find_tilts((&view, &rows)))?;
        }
        imputer.info.errors = in_pool(self.threads, || imputer.expected_errors((&view, &rows), &members, &kept))?;
        if imputer.is_tilted() {
            let tilted = names.iter().zip(&imputer.tilts).filter(|(_, tilt)| tilt.is_some()).map(|(name, _)| name.clone());
            imputer.info.warnings.push(Warning::NotAtRandom { columns: tilted.collect() });
        }
        if members.iter().any(|m| m.held.len == 0) {
            imputer.info.warnings.push(Warning::NothingHeldOut);
        }
        if let Some(m) = members.iter().find(|m| m.timed_out) {
            imputer.info.warnings.push(Warning::TimeLimit { epochs: m.epochs, planned: plan.epochs });
        }
        if let Some((m, k)) = members.iter().find_map(|m| Some((m, m.lost?))) {
            let column = names.get(k).cloned().unwrap_or_default();
            imputer.info.warnings.push(Warning::NotFinite { column, epochs: m.epochs, planned: plan.epochs });
        }
        imputer.training.latent = in_pool(self.threads, || {
            imputer.members.iter().map(|w| latent_use(&imputer.vae, w, &view, &rows, self.seed)).collect()
        })?;
        if let (Some(k), Some(values), false) = (self.donors, &values, imputer.members.is_empty()) {
            imputer.donors = Some(in_pool(self.threads, || imputer.find_donors(k, (&view, &rows), values))?);
        }
        Ok(imputer)
    }

    /// The plan for a table, with what is stated here going first.
    pub(super) fn plan(&self, table: &Table) -> Result<Plan> {
        let observed = table.values.iter().filter(|x| !x.is_nan()).count();
        let mut plan = Plan::for_table(table.n(), table.d(), observed);
        let (members, steps) = self.effort.times();
        plan.members = (plan.members as f64 * members) as usize;
        plan.epochs = (plan.epochs as f64 * steps).ceil() as usize;
        let in_range = |field: &str, value: Option<usize>, most: usize| match value {
            Some(v) if v == 0 || v > most => Err(Error::config(field, v, format!("from 1 to {most}"))),
            v => Ok(v),
        };
        plan.epochs = in_range("epochs", self.epochs, 1_000_000)?.unwrap_or(plan.epochs);
        plan.patience = plan.patience.min(plan.epochs);
        plan.latent = in_range("latent_dim", self.latent_dim, LATENT_MOST)?.unwrap_or(plan.latent);
        plan.width = in_range("hidden", self.hidden, WIDTH_MOST)?.unwrap_or(plan.width);
        plan.members = in_range("members", self.members, 1000)?.unwrap_or(plan.members);
        plan.k = in_range("importance_samples", self.importance_samples, 1000)?.unwrap_or(plan.k);
        let within = |field: &str, value: Option<f64>, most: f64| match value {
            Some(x) if !(0.0..=most).contains(&x) => Err(Error::config(field, x, format!("from 0 to {most}"))),
            x => Ok(x),
        };
        plan.warm_up = within("warm_up", self.warm_up, 1.0)?.unwrap_or(plan.warm_up);
        plan.free_bits = within("free_bits", self.free_bits, 100.0)?.unwrap_or(plan.free_bits);
        plan.kl_weight = within("kl_weight", self.kl_weight, 1000.0)?.unwrap_or(plan.kl_weight);
        plan.plain = self.plain_autoencoder;
        let of_vae = [("warm_up", self.warm_up), ("free_bits", self.free_bits), ("kl_weight", self.kl_weight)];
        if let (true, Some((field, Some(x)))) = (plan.plain, of_vae.into_iter().find(|(_, x)| x.is_some())) {
            return Err(Error::config(field, x, "left out of a plain autoencoder, which has no divergence"));
        }
        in_range("donors", self.donors, 1_000_000)?;
        check_threads(self.threads)?;
        if self.time_limit.is_some_and(|t| t.is_zero()) {
            return Err(Error::config("time_limit", "0 s", "above zero"));
        }
        Ok(plan)
    }

    /// A number that another table, other settings or another plan have not, but for a chance of 2⁻⁶⁴.
    fn fingerprint(&self, table: &Table, counts: &LevelCounts, plan: &Plan) -> u64 {
        let config = VaeConfig { threads: None, time_limit: None, checkpoint: None, ..self.clone() };
        let types: Vec<_> = table.schema.columns().iter().map(|c| (c.dtype.clone(), c.role, c.step)).collect();
        let text = format!("{config:?} {plan:?} {types:?} {counts:?} {}", table.schema.to_json());
        let cells = table.values.iter().chain(table.weights.iter().flatten()).map(|x| x.to_bits());
        text.bytes().map(u64::from).chain([table.n() as u64]).chain(cells).fold(0, pair)
    }

    /// Trains without stopping early and says how fast: seconds, and floating-point operations as if every product were
    /// dense. For the benches.
    ///
    /// # Errors
    /// As [`Fit::fit`].
    #[doc(hidden)]
    pub fn training_rate(&self, df: &DataFrame, batch: usize, steps: usize) -> Result<(f64, f64)> {
        let schema = Schema::infer(df)?;
        let table = table_to_fit(df, &Arc::new(schema.clone()))?;
        let plan = self.plan(&table)?;
        let plan = Plan { batch, steps_per_epoch: steps, epochs: 1, held_share: 0.0, ..plan };
        let scaling = Scaling::fit(&table);
        let rows: Rows<f32> = scaling.rows(&table);
        // Without a choice of families.
        let families: Vec<Family> = schema.modelled_columns().map(|c| c.family).collect();
        let schema = &schema.with_families(&families);
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: self.seed };
        let linear = in_pool(self.threads, || start(&source, plan.prove))?;
        let clock = Clock::after(Duration::ZERO);
        let names: Vec<String> = schema.modelled_columns().map(|c| c.name.clone()).collect();
        let (linear, rows, names, checkpoint) = (&linear, &rows, &names, None);
        let data = Data { schema, scaling: &scaling, linear, rows, names, weights: None, plan: &plan, clock, checkpoint };
        let trained = self.train(&data, &mut |_| ControlFlow::Continue(()))?;
        let seconds = data.clock.elapsed().as_secs_f64();
        Ok((seconds, plan.members as f64 * plan.operations(&trained.vae)))
    }

    /// Chooses the families and trains the members on a pool of their own while this thread hands on the news.
    fn train(&self, data: &Data<'_>, on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send)) -> Result<Trained> {
        let stop = AtomicBool::new(false);
        let candidates = data.candidates();
        let pilot = candidates.iter().any(|families| families.len() > 1).then(|| data.plan.pilot());
        let epochs = data.plan.epochs * data.plan.members + pilot.as_ref().map_or(0, |plan| plan.epochs);
        let (news, inbox) = channel();
        let work = || {
            let kept = data.checkpoint.as_ref().map_or(Ok(None), |c| c.choice(&candidates))?;
            // Where nothing bends and held-out cells gain nothing by the pilot's network, the model stays the linear one.
            let (scores, departs, timed_out) = match (kept, &pilot) {
                (Some((scores, departs)), _) => (scores, departs, false),
                (None, Some(plan)) => {
                    let vae = data.network(&candidates, plan)?;
                    let trainer = self.trainer(data, &vae, plan, PILOT_TIME, &stop);
                    // The pilot's held-out cells and noise are its own: it comes after the last member.
                    let pilot = trainer.run(data.plan.members, news.clone())?;
                    let scores = choose(&trainer, &candidates, &pilot);
                    let chosen: Vec<bool> = scores.iter().flatten().map(|score| score.chosen).collect();
                    let gains = || departs(&trainer, std::slice::from_ref(&pilot), &chosen);
                    let bends = || bends(data.scaling, data.rows, data.linear);
                    let departs = !plan.prove || bends() || gains();
                    (scores, departs, pilot.timed_out)
                }
                (None, None) => {
                    (candidates.iter().map(|families| vec![FamilyScore::untried(families[0])]).collect(), true, false)
                }
            };
            if let Some(checkpoint) = &data.checkpoint {
                checkpoint.choose(&scores, departs)?;
            }
            let families: Vec<Vec<Family>> = chosen(&scores).into_iter().map(|family| vec![family]).collect();
            let vae = data.network(&families, data.plan)?;
            let checkpoint = data.checkpoint.clone();
            let trainer = Trainer { checkpoint, ..self.trainer(data, &vae, data.plan, 1.0, &stop) };
            if !departs {
                let linear = Member { timed_out, ..trainer.untrained(0) };
                return Ok(Trained { members: vec![linear], vae, scores });
            }
            let mut members = trainer.run_all(news)?;
            trainer.weigh(&mut members);
            settle(&trainer, &mut members);
            Ok(Trained { vae, members, scores })
        };
        std::thread::scope(|scope| {
            let work = scope.spawn(|| in_pool(self.threads, work));
            for (before, epoch) in inbox.into_iter().enumerate() {
                let elapsed = data.clock.start.elapsed();
                let progress = Progress { epoch: before + 1, epochs, held_out_loss: epoch.loss, elapsed };
                if on_progress(&progress).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let result = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            if stop.load(Ordering::Relaxed) {
                data.checkpoint.iter().try_for_each(|checkpoint| checkpoint.flush())?;
                return Err(ErrorKind::Interrupted.into());
            }
            result
        })
    }

    /// A training of `vae` that may take a share of the time limit.
    fn trainer<'a>(&self, data: &Data<'a>, vae: &'a Vae, plan: &'a Plan, share: f64, stop: &'a AtomicBool) -> Trainer<'a> {
        let Data { scaling, linear, rows, names, weights, clock, .. } = *data;
        let view = View::in_training(scaling, linear);
        let time_limit = self.time_limit.map(|t| t.min(CENTURY).mul_f64(share));
        Trainer { vae, scaling, view, rows, names, weights, plan, seed: self.seed, time_limit, clock, stop, checkpoint: None }
    }
}

/// As good as no time limit; beyond it durations cannot be multiplied.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Share of a time limit that the choice of families may take.
const PILOT_TIME: f64 = 0.15;

/// What a fit works on.
struct Data<'a> {
    schema: &'a Schema,
    scaling: &'a Scaling,
    linear: &'a Start,
    rows: &'a Rows<f32>,
    names: &'a [String],
    weights: Option<&'a [f64]>,
    plan: &'a Plan,
    clock: Clock,
    checkpoint: Option<Arc<Checkpoint>>,
}

impl Data<'_> {
    /// The families that may suit each column, in the model's order.
    fn candidates(&self) -> Vec<Vec<Family>> {
        self.schema.modelled_columns().zip(&self.scaling.columns).map(|(c, s)| candidates(c, s)).collect()
    }

    fn network(&self, families: &[Vec<Family>], plan: &Plan) -> Result<Vae> {
        let heads = heads(self.schema.modelled_columns().zip(families), self.scaling)?;
        let shape = self.scaling.shape().with_completed(self.linear.kept.whole.len());
        Ok(Vae::new(shape, heads, plan.latent, plan.width, plan.depth))
    }
}

/// What comes out of the training.
struct Trained {
    vae: Vae,
    members: Vec<Member>,
    /// One entry a modelled column.
    scores: Vec<Vec<FamilyScore>>,
}

/// The family taken for each column.
fn chosen(scores: &[Vec<FamilyScore>]) -> Vec<Family> {
    scores.iter().flatten().filter(|s| s.chosen).map(|s| s.family).collect()
}

/// How a fit is going, once an epoch of one network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Epochs done, summed over members.
    pub epoch: usize,
    /// Epochs at most, summed over members.
    pub epochs: usize,
    /// Held-out loss of the member that just finished an epoch, in the last of its epochs that was scored, which is every second: mean
    /// over held-out cells of √(1 + e²) − 1 for a number (e its error in standard deviations) or one minus the probability of the
    /// true level. Infinite where nothing is held out.
    pub held_out_loss: f64,
    /// Time since the fit began.
    pub elapsed: Duration,
}

impl Fit for VaeConfig {
    type Fitted = VaeImputer;

    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<VaeImputer> {
        self.fit_with_progress(df, schema, &mut |_| ControlFlow::Continue(()))
    }
}
