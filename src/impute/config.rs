//! What is stated of a fit of the variational autoencoder, and how a fit went.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// How much work the fit is worth.
    pub effort: Effort,
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
    /// Free bits: nats a latent unit that its divergence may reach before it costs anything, on the average of rows with nothing
    /// visible, and of the others (Kingma et al. 2016); 0 unless stated. 0.1 to 0.5 keeps units alive.
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
    /// Takes all gaps for missing at random. By default, where the gaps of several columns follow what their cells would have said beyond
    /// what the other columns explain, fills and draws allow for it ([`VaeImputer::gap_log_odds`](crate::VaeImputer::gap_log_odds)).
    pub at_random: bool,
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

    /// Sets how much work the fit is worth.
    pub fn effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
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

    /// Takes all gaps for missing at random.
    pub fn at_random(mut self) -> Self {
        self.at_random = true;
        self
    }

    /// Makes it a plain autoencoder.
    pub fn plain_autoencoder(mut self) -> Self {
        self.plain_autoencoder = true;
        self
    }
}

/// How much work a fit is worth: how many networks are trained, and for how long.
///
/// ```
/// use lacuna::{Effort, Fit, VaeConfig};
/// use polars::prelude::*;
/// let x: Vec<f64> = (0..60).map(f64::from).collect();
/// let imputer = VaeConfig::default().effort(Effort::Fast).fit(&df!("x" => &x, "y" => &x, "z" => &x, "u" => &x, "v" => &x)?)?;
/// assert_eq!(imputer.training().epochs.len(), 8);
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Half the networks, each by two fifths of the steps: a fifth of the training.
    Fast,
    /// Four networks; two where the table has 100 000 observed cells; of more than four columns six below 5 000 and sixteen below 2 000,
    /// where each is cheap.
    #[default]
    Default,
    /// Twice the networks, each by twice the steps: four times the training.
    Best,
}

impl Effort {
    /// What the default's number of networks, and of steps of each, are multiplied by.
    pub(super) fn times(self) -> (f64, f64) {
        match self {
            Effort::Fast => (0.5, 0.4),
            Effort::Default => (1.0, 1.0),
            Effort::Best => (2.0, 2.0),
        }
    }
}

/// The most that `latent_dim` and `hidden` may say, and that a file of a model may claim.
pub(super) const LATENT_MOST: usize = 1024;
pub(super) const WIDTH_MOST: usize = 4096;

/// How a fit went: the summary of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What a network's latent units carry, measured on rows of its fit: all of it zero in a latent space that has collapsed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LatentUse {
    /// Mean over rows of KL(q(z_u | x_o) ‖ N(0, 1)) a unit, nats: what a row's observed cells say about z with nothing visible to
    /// the decoder, as in the plain autoencoder.
    pub kl: Vec<f64>,
    /// Units whose encoder mean varies over the rows by more than 0.01 (Burda et al. 2016, section 5.2).
    pub active: usize,
    /// Mean over rows of KL(q(z_u | x_o) ‖ p(z_u | x_o)) a unit, nats, with every observed cell visible: near zero where the
    /// conditional prior knows all that the encoder does.
    pub kl_visible: Vec<f64>,
    /// Units whose conditional prior's mean varies by more than 0.01 over the rows, with every observed cell visible.
    pub active_visible: usize,
    /// What z is worth, nats a row: the mean of ln p(x_o) less Σ_j ln p(x_j), the same model's columns each by itself, with
    /// nothing visible. The first is bounded from below with [`LatentUse::POINTS`] latent points, so that the gain is too.
    pub gain: f64,
}

impl LatentUse {
    /// Latent points of a row in the bound of the gain.
    pub const POINTS: usize = 64;

    /// Whether z is worth nothing: no unit says anything, or the decoder does not listen.
    pub fn has_collapsed(&self) -> bool {
        self.active == 0 || self.gain < USEFUL
    }
}

impl fmt::Display for LatentUse {
    /// One line: active units, KL and gain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.kl.len();
        let (total, visible): (f64, f64) = (self.kl.iter().sum(), self.kl_visible.iter().sum());
        write!(
            f,
            "nothing visible: {} of {units} units active, KL {total:.2} nats, gain {:.2} nats; everything visible: {} active, KL \
             {visible:.2} nats",
            self.active, self.gain, self.active_visible
        )
    }
}

/// A z worth fewer nats a row than this is of no use.
const USEFUL: f64 = 0.05;
