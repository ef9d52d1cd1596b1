//! The variational autoencoder as an imputer.

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use ::polars::prelude::DataFrame;
use ndarray::{Array2, ArrayView2, Axis};
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::data::csv::{CsvForm, CsvOptions, CsvTable};
use crate::data::scaling::{ColumnScaling, Rows, Scaling};
use crate::data::schema::{Column, ColumnKind, ColumnSpec, Family, LevelCounts, Role, Schema, SchemaOptions};
use crate::data::table::{Cells, Table};
use crate::error::{Error, ErrorKind, Result, Warning};
use crate::impute::donors::{Donor, Donors};
use crate::impute::generate::Likeness;
use crate::impute::latent::{LatentUse, latent_use};
use crate::impute::neighbours::{Distances, Neighbours, Picks};
use crate::impute::{
    ExpectedError, Filled, Fit, FittedInfo, Gap, Imputations, Imputer, cell_stream, check_m, check_threads, gaps_by_row, in_pool,
    scatter, table_to_fit,
};
use crate::likelihood::{Likelihood, candidates, heads};
use crate::model::Vae;
use crate::model::bound::{Batch, Workspace, bound};
use crate::model::linear::{Conditional, Linear, Start, View};
use crate::model::posterior::{AT_ONCE, BLOCK, Block};
use crate::rng::{Purpose, Stream, normals, pair, stream};
use crate::train::checkpoint::Checkpoint;
use crate::train::pilot::{FamilyScore, choose};
use crate::train::settle::{departures, settle};
use crate::train::{Clock, HeldOut, Member, Plan, Trainer, show_block};

/// Configuration of the variational autoencoder; what is `None` follows from the table's shape.
///
/// ```
/// use lacuna::{Fit, Imputer, VaeConfig};
/// use polars::prelude::*;
/// let x: Vec<f64> = (0..60).map(f64::from).collect();
/// let y: Vec<Option<f64>> = x.iter().map(|&x| (x as i32 % 7 != 0).then_some(2.0 * x)).collect();
/// let df = df!("x" => x, "y" => y)?;
/// let imputer = VaeConfig::default().epochs(4).seed(1).fit(&df)?;
/// let filled = imputer.fill(&df)?;
/// assert_eq!(filled.frame.null_count().column("y")?.u32()?.get(0), Some(0));
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Passes over the table, of fifty steps at least.
    pub epochs: Option<usize>,
    /// Dimension of the latent space.
    pub latent_dim: Option<usize>,
    /// Width of the hidden layers.
    pub hidden: Option<usize>,
    /// Networks whose answers are averaged.
    pub members: Option<usize>,
    /// Latent points K a row in the bound of the training: more make it tighter and cost K decoder passes.
    pub importance_samples: Option<usize>,
    /// Share of the training over which the divergence of the encoder from the prior grows to its full weight, 0 to 1; 0.2 unless
    /// stated. A longer warm-up keeps a latent space alive that would collapse (Sønderby et al. 2016).
    pub warm_up: Option<f64>,
    /// Free bits: nats a latent unit that its divergence may reach before it costs anything, for rows with nothing visible (Kingma
    /// et al. 2016); 0 unless stated. 0.1 to 0.5 keeps units alive.
    pub free_bits: Option<f64>,
    /// What the divergence counts for, β: 1 unless stated. Above it the latent space is simpler and says less (Higgins et al. 2017).
    pub kl_weight: Option<f64>,
    /// A plain autoencoder in place of the variational one: z is the encoder's (or the conditional prior's) mean, no sampling and no
    /// divergence. Nothing makes its latent points look like N(0, I), so that rows generated from there mean little.
    pub plain_autoencoder: bool,
    /// No correction by rows alike: the model then holds no row of the table that it was fitted to. By default fills and draws are
    /// corrected by what up to 20 000 rows say that the networks do not, where held-out cells gain by it; those rows are kept in
    /// the model, and in its file.
    pub without_neighbours: bool,
    /// Seed of every random number.
    pub seed: u64,
    /// Threads; all cores when `None`. The answer does not depend on it.
    pub threads: Option<usize>,
    /// Training stops here and the best weights so far are used. A fit that goes on from a checkpoint counts the time that it took
    /// before, as the checkpoint has it.
    pub time_limit: Option<Duration>,
    /// Predictive mean matching: numbers are filled by values seen in their column. A draw takes that of one of so many
    /// observed cells (five is usual) at random: those whose expected values, as if they were missing and the rest of their row
    /// shown, are nearest to what the draw's network expects of the gap (type 1 of van Buuren 2018, section 3.4.2); a fill
    /// takes the nearest one's. Gaps of one row find their donors independently. The fit takes as long as a fill of every
    /// observed number more, a draw as long as a fill.
    pub donors: Option<usize>,
    /// A file that keeps the training as it goes: a fit that was interrupted goes on from there, to the same bits, given the same
    /// table and settings. It takes 20 bytes a weight, and a twentieth of the time at most. It stays when the fit is
    /// done, which then is one step away: remove it when the model is where it belongs.
    #[serde(skip)]
    pub checkpoint: Option<PathBuf>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        $($(#[$doc])* pub fn $name(mut self, $name: $type) -> Self { self.$name = Some($name); self })*
    };
}

impl VaeConfig {
    setters! {
        /// Sets the number of epochs.
        epochs: usize,
        /// Sets the dimension of the latent space.
        latent_dim: usize,
        /// Sets the width of the hidden layers.
        hidden: usize,
        /// Sets the number of networks.
        members: usize,
        /// Sets the latent points a row in the bound of the training.
        importance_samples: usize,
        /// Sets the share of the training over which the divergence grows to its full weight.
        warm_up: f64,
        /// Sets the nats of a latent unit that cost nothing.
        free_bits: f64,
        /// Sets what the divergence counts for.
        kl_weight: f64,
        /// Sets the number of threads.
        threads: usize,
        /// Sets the time limit of the training.
        time_limit: Duration,
        /// Sets the observed cells from which a drawn number takes its value.
        donors: usize,
        /// Sets the file that keeps the training.
        checkpoint: PathBuf,
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Leaves out the correction by rows alike.
    pub fn without_neighbours(mut self) -> Self {
        self.without_neighbours = true;
        self
    }

    /// Makes it a plain autoencoder.
    pub fn plain_autoencoder(mut self) -> Self {
        self.plain_autoencoder = true;
        self
    }

    /// The plan for a table, with what is stated here going first.
    fn plan(&self, table: &Table) -> Result<Plan> {
        let observed = table.values.iter().filter(|x| !x.is_nan()).count();
        let mut plan = Plan::for_table(table.n(), table.d(), observed);
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
        let linear = in_pool(self.threads, || Start::fit(&scaling, &rows, weights.as_deref(), self.seed))?;
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
            noise: antithetic(self.seed, FILL_DRAWS, plan.latent) * if plan.plain { 0.0 } else { 1.0 },
            info: FittedInfo { method: "vae".into(), errors: Vec::new(), warnings: Vec::new() },
            schema: Arc::new(schema.clone().with_families(&chosen(&scores))),
            vae,
            scaling,
            linear: linear.kept.clone(),
            members: Vec::new(),
            donors: None,
            neighbours: None,
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
        let corrected = !self.without_neighbours && plan.held_alike && !plan.prove;
        if let (true, Some(member)) = (corrected, members.first()) {
            let found = in_pool(self.threads, || imputer.find_neighbours((&view, &rows), &member.held))?;
            if let Some((near, of)) = found {
                (imputer.neighbours, kept) = (Some(near), of);
            }
        }
        imputer.info.errors = in_pool(self.threads, || imputer.expected_errors((&view, &rows), &members, &kept))?;
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
        let linear = in_pool(self.threads, || Start::fit(&scaling, &rows, None, self.seed))?;
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
            // Where held-out cells gain nothing by the pilot's network, the model stays the linear one.
            let (scores, departs, timed_out) = match (kept, &pilot) {
                (Some((scores, departs)), _) => (scores, departs, false),
                (None, Some(plan)) => {
                    let vae = data.network(&candidates, plan)?;
                    let trainer = self.trainer(data, &vae, plan, PILOT_TIME, &stop);
                    // The pilot's held-out cells and noise are its own: it comes after the last member.
                    let pilot = trainer.run(data.plan.members, news.clone())?;
                    let scores = choose(&trainer, &candidates, &pilot);
                    let gains = || {
                        let departures = departures(&trainer, std::slice::from_ref(&pilot));
                        scores.iter().flatten().zip(departures).any(|(score, by)| score.chosen && by > 0.0)
                    };
                    let departs = !plan.prove || gains();
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
            let members = (0..data.plan.members).into_par_iter();
            let mut members = members.map_with(news, |news, m| trainer.run(m, news.clone())).collect::<Result<Vec<_>>>()?;
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
            if stop.load(Ordering::Relaxed) { Err(ErrorKind::Interrupted.into()) } else { result }
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

/// The most that `latent_dim` and `hidden` may say, and that a file of a model may claim.
pub(super) const LATENT_MOST: usize = 1024;
pub(super) const WIDTH_MOST: usize = 4096;

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
    /// Held-out loss of the member that just finished an epoch: mean over held-out cells of √(1 + e²) − 1 for a number (e
    /// its error in standard deviations) or one minus the probability of the true level. Infinite where nothing is held out.
    pub held_out_loss: f64,
    /// Time since the fit began.
    pub elapsed: Duration,
}

/// Latent points a fill averages over, in antithetic pairs. More cost as much again each and change the fill's error in
/// the fifth digit only: `cargo bench --bench limit` prints the curve.
const FILL_DRAWS: usize = 4;

/// The one set of latent noise all fills share: (draws, latent), the mirror images under the points.
fn antithetic(seed: u64, draws: usize, latent: usize) -> Array2<f32> {
    let half = normals((draws / 2, latent), &mut stream(seed, Purpose::Fill, 0));
    ndarray::concatenate(Axis(0), &[half.view(), (-&half).view()]).expect("both halves have `latent` columns")
}

/// The fitted variational autoencoder.
#[derive(Clone, Debug)]
pub struct VaeImputer {
    pub(super) schema: Arc<Schema>,
    pub(super) scaling: Scaling,
    pub(super) linear: Linear,
    pub(super) vae: Vae,
    /// One weight vector a member; none where no column is modelled.
    pub(super) members: Vec<Vec<f32>>,
    /// Latent points that the fills of all rows share, (draws, latent).
    pub(super) noise: Array2<f32>,
    pub(super) donors: Option<Donors>,
    pub(super) neighbours: Option<Neighbours>,
    /// One entry a modelled column: the families tried.
    pub(super) scores: Vec<Vec<FamilyScore>>,
    pub(super) info: FittedInfo,
    pub(super) likeness: Likeness,
    pub(super) training: Training,
    /// How CSV files are read for it: missing tokens, decimal mark, and what is stated of columns.
    pub(super) csv: (CsvOptions, Vec<ColumnSpec>),
    pub(super) seed: u64,
    pub(super) threads: Option<usize>,
}

/// How a fit went: the summary of a training.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Training {
    /// The version of this crate that fitted.
    pub version: String,
    /// What was asked for, but for the number of threads, which the answer does not depend on.
    pub config: VaeConfig,
    /// Rows of the fitted table.
    pub rows: usize,
    /// Width and depth of the networks' hidden layers.
    pub width: usize,
    /// See `width`.
    pub depth: usize,
    /// Epochs of each network.
    pub epochs: Vec<usize>,
    /// Cells held out of each network's training.
    pub held_out: Vec<usize>,
    /// What the latent units of each network carry.
    #[serde(default)]
    pub latent: Vec<LatentUse>,
}

impl Fit for VaeConfig {
    type Fitted = VaeImputer;

    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<VaeImputer> {
        self.fit_with_progress(df, schema, &mut |_| ControlFlow::Continue(()))
    }
}

impl VaeImputer {
    /// The same networks with fills averaged over so many latent points, a multiple of four. For the benches.
    #[doc(hidden)]
    pub fn with_fill_draws(mut self, draws: usize) -> VaeImputer {
        self.noise = antithetic(self.seed, draws.next_multiple_of(AT_ONCE), self.vae.latent);
        self
    }

    /// The families the fit chose from for a column, with their scores on held-out cells in a short fit of all of them side by
    /// side. One that was named or has no rival stands alone; where no column has any, nothing was tried and `cells` is
    /// zero. Empty for a column that is not modelled.
    ///
    /// ```
    /// # use lacuna::{Family, Fit, Imputer, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..300).map(|i| if i % 3 == 0 { 0.0 } else { f64::from(i % 50) + 0.5 }).collect();
    /// let imputer = VaeConfig::default().epochs(4).members(1).fit(&df!("y" => x.clone(), "x" => x)?)?;
    /// let scores = imputer.family_scores("x");
    /// assert!(scores.iter().any(|s| s.family == Family::ZeroInflatedGaussian && s.cells > 0));
    /// let chosen = scores.iter().find(|s| s.chosen).map(|s| s.family);
    /// assert_eq!(imputer.schema().column("x").unwrap().family(), chosen);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn family_scores(&self, column: &str) -> &[FamilyScore] {
        let place = self.schema.modelled_columns().position(|c| c.name() == column);
        place.and_then(|k| self.scores.get(k)).map_or(&[], Vec::as_slice)
    }

    /// The importance-weighted bound on ln p(x_o) of each row's observed cells with nothing visible (Mattei & Frellsen 2019,
    /// eq. 4): the plain VAE's log-likelihood, approached from below as `k` grows. One entry a row, the mean over members, in
    /// nats and data units: a probability for levels, counts and point masses, a density for other numbers. A row without an
    /// observed cell has zero. Cost: `k` decoder passes a row and member.
    ///
    /// ```
    /// # use lacuna::{Fit, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(|i| f64::from(i % 10)).collect();
    /// let y: Vec<f64> = x.iter().map(|x| 10.0 - x).collect();
    /// let imputer = VaeConfig::default().epochs(4).fit(&df!("x" => x, "y" => y)?)?;
    /// let odd = df!("x" => [5.0, 500.0], "y" => [5.0, 5.0])?;
    /// let bound = imputer.bound(&odd, 20)?;
    /// assert!(bound[1] < bound[0]);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Imputer::fill`]; `k` of zero.
    pub fn bound(&self, df: &DataFrame, k: usize) -> Result<Vec<f64>> {
        if k == 0 {
            return Err(Error::config("k", 0, "at least 1"));
        }
        let table = Table::from_frame(df, &self.schema)?;
        let rows: Rows<f32> = self.scaling.rows(&table);
        let all: Vec<usize> = (0..table.n()).collect();
        let latent = self.vae.latent;
        let common = normals((k, latent), &mut stream(self.seed, Purpose::Fill, 1));
        let d = self.vae.columns;
        let buffers = || {
            let mut batch = Batch::new(&self.vae, BLOCK, k);
            batch.noise = Array2::from_shape_fn((BLOCK * k, latent), |(r, u)| common[(r % k, u)]);
            (batch, Workspace::new(&self.vae, BLOCK, k))
        };
        let block_bound = |(batch, work): &mut (Batch<f32>, Workspace<f32>), block: &[usize]| {
            batch.scored.fill(false);
            let (view, mut given) = (self.view(), Conditional::default());
            let mut observed = vec![false; d];
            let mut out = vec![0.0; block.len()];
            for (r, &i) in block.iter().enumerate() {
                for (c, &x) in rows.target.row(i).iter().enumerate() {
                    observed[c] = !x.is_nan();
                    if observed[c] {
                        (batch.target[(r, c)], batch.scored[(r, c)]) = (x, true);
                    }
                    if let (true, ColumnScaling::Levels { classes }) = (observed[c], &self.scaling.columns[c]) {
                        out[r] += classes.ln_within(rows.place[(i, c)] as usize);
                    } else if observed[c] && !self.vae.heads[c].law.is_mass(x) {
                        out[r] -= self.scaling.columns[c].ln_unit();
                    }
                }
                view.show(&rows, i, &observed, &mut batch.observed, r, &mut given);
            }
            for w in &self.members {
                let bounds = bound(work.log_weights(&self.vae, w, batch));
                out.iter_mut().zip(bounds).for_each(|(o, b)| *o += f64::from(b) / self.members.len() as f64);
            }
            for (out, scored) in out.iter_mut().zip(batch.scored.rows()) {
                if !scored.iter().any(|s| *s) {
                    *out = 0.0;
                }
            }
            out
        };
        in_pool(self.threads, || {
            let blocks = all.par_chunks(BLOCK).map_init(buffers, block_bound);
            blocks.collect::<Vec<Vec<f64>>>().concat()
        })
    }

    /// The same without the correction by rows alike, and without those rows: fills and draws are the networks' alone.
    ///
    /// ```
    /// # use lacuna::{Fit, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?.without_neighbours();
    /// assert_eq!(imputer.neighbours(), 0);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn without_neighbours(mut self) -> VaeImputer {
        self.neighbours = None;
        self
    }

    /// Rows of the fitted table by which fills and draws are corrected; 0 where they are not.
    pub fn neighbours(&self) -> usize {
        self.neighbours.as_ref().map_or(0, Neighbours::rows)
    }

    /// Sets the number of threads; all cores when `None`. The answer does not depend on it.
    pub fn with_threads(mut self, threads: Option<usize>) -> VaeImputer {
        self.threads = threads;
        self
    }

    /// Keeps how the CSV file of the fit was read, so that others are read likewise ([`VaeImputer::csv_columns`]): the missing
    /// tokens and the decimal mark, and columns' own tokens and formats; and how it is written, so that [`Generated`](crate::Generated)
    /// rows are written likewise.
    pub fn with_csv(mut self, csv: &CsvTable, options: &CsvOptions, columns: &SchemaOptions) -> VaeImputer {
        self.likeness.csv = Some(CsvForm::of(csv));
        let stated = |c: &Column| {
            let ColumnSpec { name, na, format, .. } = columns.spec(c.name());
            (na.is_some() || format.is_some()).then_some(ColumnSpec { name, na, format, ..ColumnSpec::default() })
        };
        self.csv = (options.clone(), self.schema.columns().iter().filter_map(stated).collect());
        self
    }

    /// How the CSV file of the fit was read; the defaults if it was none.
    pub fn csv_options(&self) -> &CsvOptions {
        &self.csv.0
    }

    /// What the model says of the columns of a CSV file, for [`CsvTable::read_fitted`](crate::CsvTable::read_fitted): numbers stay
    /// numbers and levels levels, whatever this file's cells look like.
    ///
    /// ```
    /// use lacuna::{CsvTable, Fit, Imputer, SchemaOptions, VaeConfig};
    /// use polars::prelude::*;
    /// let code: Vec<&str> = (0..60).map(|i| if i % 3 == 0 { "A1" } else { "7" }).collect();
    /// let x: Vec<f64> = (0..60).map(|i| f64::from(i % 3)).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("code" => code, "x" => x)?)?;
    /// let csv = CsvTable::read_fitted("x,code\n,7\n2,\n".as_bytes(), "t.csv".as_ref(), imputer.csv_options(), &imputer.csv_columns())?;
    /// assert_eq!(csv.to_frame()?.dtypes(), [DataType::Int64, DataType::String]);
    /// assert_eq!(imputer.fill(&csv.to_frame()?)?.report.filled(), 2);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn csv_columns(&self) -> SchemaOptions {
        let mut options = SchemaOptions::default();
        for c in self.schema.columns() {
            let spec = self.csv.1.iter().find(|s| s.name == c.name);
            let mut spec = spec.cloned().unwrap_or_else(|| ColumnSpec { name: c.name.clone(), ..ColumnSpec::default() });
            let is_number = c.dtype.is_primitive_numeric() || c.dtype.is_decimal();
            if matches!(c.role, Role::Left(_)) {
                options.exclude.push(c.name.clone());
            } else if is_number {
                spec.kind = Some(if c.kind.is_numeric() { c.kind } else { ColumnKind::Continuous });
            } else if !c.dtype.is_temporal() {
                spec.levels = Some(c.levels.clone());
            }
            options.columns.push(spec);
        }
        options
    }

    /// Takes columns that a table lacks as wholly missing, with a warning each, where it would be an error. The output has the
    /// columns of the table given.
    ///
    /// ```
    /// # use lacuna::{Fit, Imputer, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?;
    /// let half = df!("x" => [Some(3.0), None])?;
    /// assert!(imputer.fill(&half).is_err());
    /// let filled = imputer.allow_missing_columns().fill(&half)?;
    /// assert_eq!(filled.frame.get_column_names(), ["x"]);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn allow_missing_columns(mut self) -> VaeImputer {
        Arc::make_mut(&mut self.schema).lenient = true;
        self
    }

    /// The frame's cells, with a warning for each column that has some far outside the range of the fit.
    pub(super) fn table(&self, df: &DataFrame) -> Result<Table> {
        let mut table = Table::from_frame(df, &self.schema)?;
        for (k, scaling) in self.scaling.columns.iter().enumerate() {
            let mut outside = table.values.column(k).into_iter().copied().filter(|&x| scaling.is_outside(x));
            if let Some(first) = outside.next() {
                let (column, cells) = (self.column(k), 1 + outside.count());
                table.warnings.push(Warning::OutsideRange { column: column.name.clone(), cells, example: column.text(first) });
            }
        }
        Ok(table)
    }

    /// Expected values of every outcome of some rows, in model units, averaged over the given members and latent points: left in
    /// the block.
    pub(super) fn expect<'a>(
        &self,
        members: impl ExactSizeIterator<Item = &'a [f32]>,
        noise: ArrayView2<'_, f32>,
        (view, rows): (&View<'_>, &Rows<f32>),
        of: &[usize],
        show: impl Fn(usize, usize) -> bool,
        block: &mut Block<f32>,
    ) {
        show_block(view, rows, of, show, block);
        block.expected.fill(0.0);
        let share = 1.0 / members.len() as f32;
        members.for_each(|w| block.add_expected(&self.vae, w, noise, share));
    }

    /// What some networks expect of numbers, in model units; `gaps` in order of their rows. A level's has no meaning.
    fn expected_numbers(
        &self,
        members: &[Vec<f32>],
        of_fit: (&View<'_>, &Rows<f32>),
        gaps: &[Gap],
        show: impl Fn(usize) -> bool + Sync,
    ) -> Vec<f64> {
        self.answer_blocks(
            gaps,
            || Block::new(&self.vae, AT_ONCE),
            |block, of, gaps| {
                self.expect(members.iter().map(Vec::as_slice), self.noise.view(), of_fit, of, |_, k| show(k), block);
                let at = |(r, gaps): (usize, &&[Gap])| -> Vec<f64> {
                    gaps.iter().map(|&(_, k)| f64::from(block.outcomes(r, k)[0])).collect()
                };
                gaps.iter().enumerate().flat_map(at).collect()
            },
        )
    }

    /// Every observed number inside its column's bounds, with what the networks expect of it.
    fn find_donors(&self, k: usize, of_fit: (&View<'_>, &Rows<f32>), values: &Array2<f64>) -> Donors {
        let of_column = |(j, scaling): (usize, &ColumnScaling)| {
            if let ColumnScaling::Levels { .. } = scaling {
                return Vec::new();
            }
            let (low, high) = self.column(j).bounds;
            // No observed cell is NaN, and NaN is inside no bounds.
            let inside = values.column(j).into_iter().enumerate().filter(|(_, x)| (low..=high).contains(*x));
            let cells: Vec<Gap> = inside.map(|(i, _)| (i, j)).collect();
            let expected = self.expected_numbers(&self.members, of_fit, &cells, |shown| shown != j);
            cells.iter().zip(expected).map(|(&(i, _), expected)| Donor { expected, value: values[(i, j)] }).collect()
        };
        Donors::new(k, self.scaling.columns.iter().enumerate().map(of_column).collect())
    }

    /// One value a gap, in order: `answer` gives those of a block of rows.
    fn answer_blocks<B, T: Send>(
        &self,
        gaps: &[Gap],
        buffers: impl Fn() -> B + Sync + Send,
        answer: impl Fn(&mut B, &[usize], &[&[Gap]]) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let rows: Vec<&[Gap]> = gaps.chunk_by(|a, b| a.0 == b.0).collect();
        let of = |buffers: &mut B, rows: &[&[Gap]]| {
            let places: Vec<usize> = rows.iter().map(|gaps| gaps[0].0).collect();
            answer(buffers, &places, rows)
        };
        rows.par_chunks(BLOCK).map_init(buffers, of).collect::<Vec<Vec<T>>>().into_iter().flatten().collect()
    }

    /// One filled value: the mean in data units, or the most probable level (the first of equals).
    pub(super) fn point(&self, k: usize, outcomes: &[f32]) -> f64 {
        match &self.scaling.columns[k] {
            number @ ColumnScaling::Number { .. } => number.to_data(f64::from(outcomes[0])),
            ColumnScaling::Levels { classes } => classes.most_probable(outcomes.iter().map(|&p| f64::from(p))) as f64,
        }
    }

    /// One draw of a cell from its head's outputs, in data units (levels as codes) and inside the column's bounds; of the given
    /// standard normal number where there is one.
    pub(super) fn draw_cell(&self, k: usize, eta: &[f32], mut first: Option<f64>, rng: &mut Stream) -> f64 {
        let (law, scaling) = (&self.vae.heads[k].law, &self.scaling.columns[k]);
        let mut draw = || {
            let e = first.take().unwrap_or_else(|| StandardNormal.sample(rng));
            let x = law.sample_with(eta, e, rng);
            match scaling {
                ColumnScaling::Number { .. } => law.in_data(x, scaling),
                ColumnScaling::Levels { classes } => classes.draw(x as usize, rng) as f64,
            }
        };
        let (low, high) = self.column(k).bounds;
        let inside = |x: &f64| low <= *x && *x <= high;
        let found = std::iter::repeat_with(&mut draw).take(TRIES).find(inside);
        found.unwrap_or_else(|| {
            // Within what `to_data` lets a number be.
            let [low_end, high_end] = [low, high].map(|x| scaling.to_model(scaling.to_data(scaling.to_model(x))));
            scaling.to_data(law.sample_inside(eta, low_end, high_end, rng)).clamp(low, high)
        })
    }

    /// A value in model units as a cell in data units, if it is inside the column's bounds.
    fn picked(&self, k: usize, x: f32, rng: &mut Stream) -> Option<f64> {
        let (low, high) = self.column(k).bounds;
        let x = match &self.scaling.columns[k] {
            number @ ColumnScaling::Number { .. } => self.vae.heads[k].law.in_data(x, number),
            ColumnScaling::Levels { classes } => return Some(classes.draw(x as usize, rng) as f64),
        };
        (low <= x && x <= high).then_some(x)
    }

    /// What the conditional prior's standard deviations count for: nothing in a plain autoencoder.
    pub(super) fn spread(&self) -> f32 {
        if self.training.config.plain_autoencoder { 0.0 } else { 1.0 }
    }

    /// How the rows of any table become features.
    pub(super) fn view(&self) -> View<'_> {
        View::of(&self.scaling, &self.linear.whole)
    }

    pub(super) fn column(&self, k: usize) -> &Column {
        &self.schema.columns()[self.schema.modelled()[k]]
    }

    /// Buffers of fills: of a block, and of distances where fills are corrected.
    fn fill_buffers(&self) -> (Block<f32>, Option<Distances>) {
        (Block::new(&self.vae, AT_ONCE), self.neighbours.as_ref().map(Distances::new))
    }

    /// What all networks expect of the gaps of a block's rows, corrected: left in the block.
    fn expect_gaps(
        &self,
        of_table: (&View<'_>, &Rows<f32>),
        of: &[usize],
        gaps: &[&[Gap]],
        (block, distances): &mut (Block<f32>, Option<Distances>),
    ) {
        self.expect(self.members.iter().map(Vec::as_slice), self.noise.view(), of_table, of, |_, _| true, block);
        if let (Some(near), Some(distances)) = (&self.neighbours, distances) {
            near.correct_block(of_table.1, gaps, block, distances, |_| None);
        }
    }

    /// One entry a column of the schema: the error of fills on the cells that no network saw, where all hold out the same; else of
    /// each network's fills on the cells that it did not see. `kept`: the rows by which fills are corrected.
    fn expected_errors(&self, of_fit: (&View<'_>, &Rows<f32>), members: &[Member], kept: &[usize]) -> Vec<Option<ExpectedError>> {
        let d = self.vae.heads.len();
        let rows = of_fit.1;
        // Per column: squared errors (or wrong levels) of the fills and of the mean fill.
        let mut errors: Vec<Vec<(f64, f64)>> = vec![Vec::new(); d];
        let alike = members.iter().all(|m| m.held.cells == members[0].held.cells);
        let judged = if alike { &members[..members.len().min(1)] } else { members };
        for Member { weights, held: HeldOut { cells, rows: held_rows, .. }, .. } in judged {
            let networks =
                || -> Vec<&[f32]> { if alike { self.members.iter().map(Vec::as_slice).collect() } else { vec![weights] } };
            let gaps: Vec<Gap> =
                held_rows.iter().flat_map(|&i| (0..d).filter(move |&k| cells[(i, k)]).map(move |k| (i, k))).collect();
            let blocks = self.answer_blocks(
                &gaps,
                || self.fill_buffers(),
                |(block, distances), of, gaps| {
                    self.expect(networks().into_iter(), self.noise.view(), of_fit, of, |i, j| !cells[(i, j)], block);
                    if let (Some(near), Some(distances)) = (&self.neighbours, distances) {
                        near.correct_block(rows, gaps, block, distances, |i| kept.binary_search(&i).ok());
                    }
                    let error = |(r, &(i, k)): (usize, &Gap)| {
                        let fill = self.point(k, block.outcomes(r, k));
                        match &self.scaling.columns[k] {
                            number @ ColumnScaling::Number { .. } => {
                                let truth = f64::from(rows.target[(i, k)]);
                                (k, (number.to_model(fill) - truth).powi(2), truth * truth)
                            }
                            ColumnScaling::Levels { classes } => {
                                let truth = f64::from(rows.place[(i, k)]);
                                (k, f64::from(fill != truth), f64::from(classes.mode() as f64 != truth))
                            }
                        }
                    };
                    gaps.iter().enumerate().flat_map(|(r, gaps)| gaps.iter().map(move |gap| (r, gap))).map(error).collect()
                },
            );
            blocks.into_iter().for_each(|(k, ours, mean)| errors[k].push((ours, mean)));
        }
        let mut out = vec![None; self.schema.columns().len()];
        for (k, errors) in errors.iter().enumerate() {
            let j = self.schema.modelled()[k];
            out[j] = summary(&self.scaling.columns[k], errors);
        }
        out
    }
}

/// Mean and standard error of the held-out cells' errors; on the root scale for numbers, by the delta method.
fn summary(scaling: &ColumnScaling, errors: &[(f64, f64)]) -> Option<ExpectedError> {
    let n = errors.len();
    if n < 2 {
        return None;
    }
    let mean = |f: fn(&(f64, f64)) -> f64| errors.iter().map(f).sum::<f64>() / n as f64;
    let (ours, mean_fill) = (mean(|e| e.0), mean(|e| e.1));
    let variance = errors.iter().map(|e| (e.0 - ours).powi(2)).sum::<f64>() / (n - 1) as f64;
    let se = (variance / n as f64).sqrt();
    Some(match scaling {
        ColumnScaling::Number { sd, .. } => {
            let rmse = ours.sqrt();
            ExpectedError {
                error: rmse,
                standard_error: se / (2.0 * rmse.max(1e-12)),
                mean_fill: mean_fill.sqrt(),
                cells: n,
                unit: *sd,
            }
        }
        ColumnScaling::Levels { .. } => ExpectedError { error: ours, standard_error: se, mean_fill, cells: n, unit: 1.0 },
    })
}

/// Draws tried before a value inside the bounds is drawn from what the law has there.
const TRIES: usize = 100;

impl Imputer for VaeImputer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn fill(&self, df: &DataFrame) -> Result<Filled> {
        let table = self.table(df)?;
        let rows: Rows<f32> = self.scaling.rows(&table);
        let gaps = gaps_by_row(&table);
        let mut values = in_pool(self.threads, || {
            self.answer_blocks(
                &gaps,
                || self.fill_buffers(),
                |buffers, of, gaps| {
                    self.expect_gaps((&self.view(), &rows), of, gaps, buffers);
                    let row = |(r, gaps): (usize, &&[Gap])| -> Vec<f64> {
                        gaps.iter().map(|&(_, k)| self.point(k, buffers.0.outcomes(r, k))).collect()
                    };
                    gaps.iter().enumerate().flat_map(row).collect()
                },
            )
        })?;
        if let Some(donors) = &self.donors {
            for (value, &(_, k)) in values.iter_mut().zip(&gaps).filter(|(_, gap)| donors.has(gap.1)) {
                *value = donors.nearest(k, self.scaling.columns[k].to_model(*value));
            }
        }
        let cells = scatter(&table, &gaps, values.into_iter());
        Filled::new(df, table, cells, &self.info)
    }

    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
        check_m(m)?;
        let table = self.table(df)?;
        let draws = self.draw_rows(&table, 0..m, seed, 0)?;
        Ok(Imputations::new(df, table, draws, &self.info))
    }

    fn without_rows(&self) -> Option<Box<dyn Imputer>> {
        self.neighbours.as_ref().map(|_| Box::new(self.clone().without_neighbours()) as Box<dyn Imputer>)
    }
}

impl VaeImputer {
    /// Some of the draws of rows that begin at row `first` of their file.
    pub(super) fn draw_rows(&self, table: &Table, draws: Range<usize>, seed: u64, first: usize) -> Result<Vec<Cells>> {
        let rows: Rows<f32> = self.scaling.rows(table);
        let latent = self.vae.latent;
        let gaps = gaps_by_row(table);
        // The same for all draws.
        let picks: Option<Vec<Picks>> = self
            .neighbours
            .as_ref()
            .map(|near| {
                let of_block = |buffers: &mut (Block<f32>, Distances), of: &[usize], gaps: &[&[Gap]]| {
                    let (block, distances) = buffers;
                    let members = self.members.iter().map(Vec::as_slice);
                    self.expect(members, self.noise.view(), (&self.view(), &rows), of, |_, _| true, block);
                    near.picks(&self.vae.heads, &rows, gaps, block, distances)
                };
                let buffers = || (Block::new(&self.vae, AT_ONCE), Distances::new(near));
                in_pool(self.threads, || self.answer_blocks(&gaps, buffers, of_block))
            })
            .transpose()?;
        let one_draw = |i: usize| {
            let Some(w) = self.members.get(i % self.members.len().max(1)) else { return table.constant_cells() };
            // Its own network, its own draw of the linear model's parameters.
            let linear = &self.linear.draws[i % self.linear.draws.len()];
            let view = View::of(&self.scaling, linear);
            let mut values = self.answer_blocks(
                &gaps,
                || Block::new(&self.vae, 1),
                |block, of, gaps| {
                    show_block(&view, &rows, of, |_, _| true, block);
                    // A row's stream gives its latent point first, then the noise of its cells, then what more they take in the
                    // model's column order.
                    let mut streams: Vec<_> =
                        of.iter().map(|&row| stream(seed, Purpose::Draw, pair(i as u64, (first + row) as u64))).collect();
                    let mut latents = Array2::zeros((BLOCK, latent));
                    for (rng, mut e) in streams.iter_mut().zip(latents.rows_mut()) {
                        e.assign(&normals((1, latent), rng).row(0));
                    }
                    latents *= self.spread();
                    let eta = block.draw(&self.vae, w, latents.view());
                    let mut values = Vec::new();
                    let (mut noise, mut given) = (vec![0.0; self.vae.columns], Conditional::default());
                    for ((r, gaps), rng) in gaps.iter().enumerate().zip(&mut streams) {
                        let eta = eta.row(r);
                        let eta = eta.to_slice().expect("standard layout");
                        linear.noise(rows.target.row(of[r]), &mut given, rng, &mut noise);
                        for &(_, k) in *gaps {
                            values.push(self.draw_cell(k, &eta[self.vae.heads[k].eta.clone()], Some(noise[k]), rng));
                        }
                    }
                    values
                },
            );
            for ((value, picks), &(row, k)) in values.iter_mut().zip(picks.iter().flatten()).zip(&gaps) {
                if let Some(x) = picks.pick(seed, i, first + row) {
                    *value = self.picked(k, x, &mut cell_stream(seed, i, first + row, k)).unwrap_or(*value);
                }
            }
            if let Some(donors) = &self.donors {
                let expected = self.expected_numbers(std::slice::from_ref(w), (&view, &rows), &gaps, |_| true);
                let matched = values.iter_mut().zip(&gaps).zip(expected).filter(|((_, gap), _)| donors.has(gap.1));
                matched.for_each(|((value, &(row, k)), x)| *value = donors.draw(k, x, &mut cell_stream(seed, i, first + row, k)));
            }
            scatter(table, &gaps, values.into_iter())
        };
        in_pool(self.threads, || draws.into_par_iter().map(one_draw).collect())
    }
}
