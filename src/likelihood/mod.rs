//! p(x_j | η_j), one column at a time, in nats and model units (standardised numbers, codes of levels).
//!
//! | family | η | density |
//! |---|---|---|
//! | Gaussian | μ, ρ | N(x; μ, σ²), ln σ = bounded(ρ, 4) |
//! | Student-t | μ, ρ, κ | t_ν((x − μ)/σ)/σ, ln σ = bounded(ρ, 4), ν = 2.1 + softplus(κ + 3) |
//! | log-normal | μ, ρ | N(ln x; m + s μ, s² σ²)/x, m and s the moments of the column's logarithms |
//! | Poisson | η | λˣ e^−λ / x!, ln λ = ln x̄ + bounded(η, 8) |
//! | negative binomial | η, κ | Γ(x + r)/(Γ(r) x!) (r/(r + λ))ʳ (λ/(r + λ))ˣ, ln r = ln r̂ + bounded(κ, 8) |
//! | zero-inflated | a, μ, ρ | σ(a + â) at the most frequent value, (1 − σ(a + â)) times a normal or log-normal density elsewhere |
//! | discretised | μ, ρ, o_1 … o_m | ∝ share_x N(x; μ, σ²)/N(x; 0, 1) e^{o_x} over the distinct values, o_x = 0 but for the m frequent ones |
//! | Bernoulli | a | σ(a)ˣ (1 − σ(a))¹⁻ˣ |
//! | categorical | a_1 … a_L | softmax(a)_x |
//! | ordinal | μ, ρ, o_1 … o_L | ∝ (σ((θ_x − μ)/σ) − σ((θ_{x−1} − μ)/σ)) e^{o_x}, θ the logits of the cumulative shares |
//!
//! `bounded(ρ, c) = ρ / √(1 + (ρ/c)²)` keeps a scale within e^±c of where it starts, so that a spike of equal values cannot make
//! a density infinite. ν above two keeps the variance finite. Since exp(μ + σ²/2) would explode, expected values of the
//! log-normal and the counts stay within six standard deviations of the column's mean, and zero-inflated normal means within six
//! of the rest's. Wherever a column's constants allow it, η = 0 is its marginal.
//!
//! Densities of one column compare as probabilities of a *cell*, an interval as wide as the smallest difference between two
//! observed values ([`Law::log_mass`]): a point mass keeps its probability, a density is integrated over the cell.

mod count;
mod discrete;
#[cfg(test)]
mod golden;
mod inflated;
mod real;
mod special;

use std::ops::Range;

use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::{Distribution, StandardNormal};

use crate::data::marginal::{Marginal, Moments};
use crate::data::scaling::{ColumnScaling, Scaling};
use crate::data::schema::{Column, ColumnKind, Family};
use crate::error::{Error, Result};
use crate::kernel::{Real, bounded, unbounded};
use crate::rng::Stream;

use count::{NegativeBinomial, Poisson};
use discrete::{Bernoulli, Categorical, Discretised, Ordinal};
use inflated::{Rest, ZeroInflated};
use real::{Gaussian, LogNormal, StudentT};

pub(crate) use special::{log_sum_exp, softplus};

/// ln of the scale of real, ordinal and discretised laws stays within ± this.
const LN_SCALE_LIMIT: f64 = 4.0;

/// The distribution of one cell given the decoder's outputs `eta` of its column, `eta.len() == width()`.
pub(crate) trait Likelihood<F: Real> {
    /// Decoder outputs.
    fn width(&self) -> usize;
    /// Length of [`Likelihood::expected`]: one number, or one probability a level.
    fn outcomes(&self) -> usize;
    /// ln p(x | eta), nats.
    #[cfg(test)]
    fn log_prob(&self, eta: &[F], x: F) -> F {
        let mut unused = vec![F::zero(); self.width()];
        self.log_prob_grad(eta, x, &mut unused)
    }
    /// Writes ∂ ln p / ∂ eta and returns ln p.
    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F;
    /// E[x | eta], or the probability of each level.
    fn expected(&self, eta: &[F], out: &mut [F]);
    /// One draw: a number or a code.
    fn sample(&self, eta: &[F], rng: &mut Stream) -> F {
        self.sample_with(eta, StandardNormal.sample(rng), rng)
    }
    /// One draw made of standard normal noise, in which it does not fall, and of `rng` for what more it takes: cells of one row
    /// whose noise is correlated are. Nominal levels and counts take all from `rng`.
    fn sample_with(&self, eta: &[F], normal: f64, rng: &mut Stream) -> F;
}

/// The likelihood of one column and where its outputs stand among the decoder's.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub law: Law,
    pub eta: Range<usize>,
    /// Where what it starts from stands in [`crate::data::scaling::Features::start`].
    pub start: Range<usize>,
    /// The column it scores, in the model's order.
    pub column: usize,
}

/// How the numbers of a column from zero stand in model units, x = (number − mean) / sd, and how far expected ones go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units {
    pub mean: f64,
    pub sd: f64,
    low: f64,
    high: f64,
    /// The largest expected number.
    most_expected: f64,
}

/// The least and the most that a scale counts for in the gradients of fills.
const SIGMA: (f64, f64) = (0.02, 5.0);

/// An expected number lies within so many standard deviations of the column's mean where the law could say any: data have
/// heavy tails more often than the other columns can tell which of their cells these are.
const EXPECTED_MOST: f64 = 6.0;

impl Units {
    fn number<F: Real>(&self, x: F) -> f64 {
        self.mean + self.sd * x.f64()
    }

    /// The whole number of a cell.
    fn count<F: Real>(&self, x: F) -> f64 {
        self.number(x).round().max(0.0)
    }

    /// An expected number in model units.
    fn expected<F: Real>(&self, number: f64) -> F {
        self.model(number.min(self.most_expected))
    }

    /// A number in model units, held within the observed range and half its width beyond.
    fn model<F: Real>(&self, number: f64) -> F {
        F::of((number.clamp(self.low, self.high) - self.mean) / self.sd)
    }
}

/// One of the families.
#[derive(Clone, Debug)]
pub(crate) enum Law {
    Gaussian(Gaussian),
    StudentT(StudentT),
    LogNormal(LogNormal),
    Poisson(Poisson),
    NegativeBinomial(NegativeBinomial),
    ZeroInflated(ZeroInflated),
    Discretised(Discretised),
    Bernoulli(Bernoulli),
    Categorical(Categorical),
    Ordinal(Ordinal),
}

impl Law {
    /// The law of a family on a column; `None` where the column's cells lie outside its support.
    pub fn of(family: Family, scaling: &ColumnScaling) -> Option<Law> {
        match scaling {
            ColumnScaling::Number { marginal, mean, sd, min, max, .. } => {
                let (low, high) = scaling.reach();
                let most_expected = mean + EXPECTED_MOST * sd;
                let units = Units { mean: *mean, sd: *sd, low: low.max(0.0), high: high.max(0.0), most_expected };
                let range = (scaling.to_model(*min), scaling.to_model(*max));
                Law::of_numbers(family, scaling, (marginal, range), units)
            }
            ColumnScaling::Levels { classes } => match family {
                Family::Bernoulli => Some(Law::Bernoulli(Bernoulli)),
                Family::Categorical => Some(Law::Categorical(Categorical { levels: classes.len() })),
                Family::Ordinal => Some(Law::Ordinal(Ordinal::new(&classes.share))),
                _ => None,
            },
        }
    }

    fn of_numbers(
        family: Family,
        scaling: &ColumnScaling,
        (marginal, range): (&Marginal, (f64, f64)),
        units: Units,
    ) -> Option<Law> {
        let (atom, share) = marginal.atom;
        let inflated =
            |rest| Law::ZeroInflated(ZeroInflated { atom: scaling.to_model(atom), logit: share.ln() - (1.0 - share).ln(), rest });
        match family {
            Family::Gaussian => Some(Law::Gaussian(Gaussian)),
            Family::StudentT => Some(Law::StudentT(StudentT)),
            Family::LogNormal => marginal.log.map(|log| Law::LogNormal(LogNormal { units, log })),
            Family::Poisson => Some(Law::Poisson(Poisson::new(units))),
            Family::NegativeBinomial => Some(Law::NegativeBinomial(NegativeBinomial::new(units))),
            Family::ZeroInflatedGaussian => marginal.rest.map(|rest| {
                let sd = (rest.sd / units.sd).clamp(1e-6, 1e6);
                inflated(Rest::gaussian(Moments { mean: scaling.to_model(rest.mean), sd }, range))
            }),
            Family::ZeroInflatedLogNormal => marginal.rest_log.map(|log| inflated(Rest::LogNormal(LogNormal { units, log }))),
            Family::Discretised => {
                let values = marginal.values.iter().map(|&(x, share)| (scaling.to_model(x), share));
                (!marginal.values.is_empty()).then(|| Law::Discretised(Discretised::new(values)))
            }
            Family::Bernoulli | Family::Categorical | Family::Ordinal => None,
        }
    }

    /// Whether no cell at all has a probability of its own.
    fn is_density(&self) -> bool {
        matches!(self, Law::Gaussian(_) | Law::StudentT(_) | Law::LogNormal(_))
    }

    /// Whether `x` has a probability of its own, not a density, among the numbers.
    pub fn is_mass<F: Real>(&self, x: F) -> bool {
        match self {
            Law::ZeroInflated(law) => law.at_atom(x),
            _ => !self.is_density(),
        }
    }

    /// Adds to the decoder's outputs what the linear model says. Of a number, a mean and ln sd (model units): its distribution, at zero
    /// elsewhere, becomes the normal of these; a discretised law is tilted towards it; the others start from their marginal. Of
    /// levels, what each class adds to the logarithm of its probability.
    #[inline(always)]
    pub fn start<F: Real>(&self, start: &[F], eta: &mut [F]) {
        match self {
            Law::Gaussian(_) => {
                eta[0] += start[0];
                eta[1] += unbounded(start[1], LN_SCALE_LIMIT);
            }
            Law::StudentT(_) => {
                eta[0] += start[0];
                eta[1] += unbounded(start[1] - F::of(StudentT::ln_sd_at_zero()), LN_SCALE_LIMIT);
            }
            Law::Discretised(_) => {
                eta[0] += discrete::place(start[0]);
                eta[1] += unbounded(start[1], LN_SCALE_LIMIT);
            }
            Law::ZeroInflated(ZeroInflated { rest: Rest::Gaussian(rest, _), .. }) => {
                eta[1] += (start[0] - F::of(rest.mean)) / F::of(rest.sd);
            }
            Law::Bernoulli(_) => eta[0] += start[1] - start[0],
            Law::Categorical(_) => eta.iter_mut().zip(start).for_each(|(eta, &s)| *eta += s),
            Law::Ordinal(_) => eta[2..].iter_mut().zip(start).for_each(|(eta, &s)| *eta += s),
            _ => {}
        }
    }

    /// Makes of p(x) one in proportion to p(x) e^(t x), or of levels p(x) e^(t_x), where the outputs can say that; whether they can. A
    /// normal distribution keeps its variance, and its mean moves by three standard deviations at most.
    pub fn tilt<F: Real>(&self, t: &[F], eta: &mut [F]) -> bool {
        match self {
            Law::Gaussian(_) => {
                let sd = bounded(eta[1], LN_SCALE_LIMIT).0.exp();
                let most = F::of(3.0) * sd;
                eta[0] += (t[0] * sd * sd).max(-most).min(most);
                true
            }
            Law::Bernoulli(_) | Law::Categorical(_) | Law::Ordinal(_) => {
                self.start(t, eta);
                true
            }
            _ => false,
        }
    }

    /// A drawn number in data units; one with a probability of its own is the very number that has it, not what is left of it after
    /// the way through model units.
    pub fn in_data<F: Real>(&self, x: F, scaling: &ColumnScaling) -> f64 {
        match (self, scaling) {
            (Law::ZeroInflated(law), ColumnScaling::Number { marginal, .. }) if law.at_atom(x) => marginal.atom.0,
            (Law::Discretised(law), ColumnScaling::Number { marginal, .. }) => marginal.values[law.nearest(x).0].0,
            (Law::Poisson(_) | Law::NegativeBinomial(_), _) => scaling.to_data(x.f64()).round(),
            _ => scaling.to_data(x.f64()),
        }
    }

    /// Whether [`Law::start`] says all of where it starts.
    pub fn starts_linear(&self) -> bool {
        matches!(self, Law::Gaussian(_) | Law::StudentT(_))
    }

    /// Which of its outputs is about the logarithm of its scale.
    pub fn scale_output(&self) -> Option<usize> {
        match self {
            Law::Gaussian(_) | Law::StudentT(_) | Law::LogNormal(_) | Law::Discretised(_) => Some(1),
            Law::ZeroInflated(_) => Some(2),
            _ => None,
        }
    }

    /// Outputs and what their gradients count for in the training of fills. Those that say where a density lies and how wide it is: σ, held
    /// within [`SIGMA`]; σ² beside a point mass, where the rest has the heaviest tails. Those of levels: the logarithm of how many there
    /// are, for the more they are the longer a network takes to tell them apart.
    #[inline(always)]
    pub fn counts_for<F: Real>(&self, eta: &[F]) -> Option<(std::ops::Range<usize>, F)> {
        if let Law::Categorical(_) | Law::Ordinal(_) = self {
            let levels = Likelihood::<F>::outcomes(self) as f64;
            return Some((0..eta.len(), F::of(levels.ln().max(1.0))));
        }
        let at = self.scale_output()?;
        let sd = bounded(eta[at], LN_SCALE_LIMIT).0.fast_exp();
        let sd = sd.max(F::of(SIGMA.0)).min(F::of(SIGMA.1));
        Some((at - 1..at + 1, if let Law::ZeroInflated(_) = self { sd * sd } else { sd }))
    }

    /// ln of the probability of the cell `unit` wide about `x`: ln p where `x` has a probability of its own, else the
    /// density integrated by the midpoint rule.
    pub fn log_mass<F: Real>(&self, eta: &[F], x: F, unit: f64) -> F {
        const POINTS: usize = 32;
        let mut unused = vec![F::zero(); eta.len()];
        if self.is_mass(x) {
            return self.log_prob_grad(eta, x, &mut unused);
        }
        let at = |i: usize| x + F::of(unit * ((i as f64 + 0.5) / POINTS as f64 - 0.5));
        let densities: [F; POINTS] = std::array::from_fn(|i| self.log_prob_grad(eta, at(i), &mut unused));
        // Rounding apart, a probability is one at most.
        (log_sum_exp(&densities) + F::of((unit / POINTS as f64).ln())).min(F::zero())
    }
}

/// Cells of the grid by which a density is drawn from inside bounds.
const GRID: usize = 240;
/// Draws of a law of masses before it is taken to have none inside the bounds.
const MASS_TRIES: usize = 10_000;

impl Law {
    /// One draw of a number, given that it lies between two ends (model units, both finite): for bounds that leave so little of
    /// the law that plain draws hardly meet it.
    ///
    /// A density is drawn from by its cumulative sums over a grid that starts fine, at 1e-13 of the width, at the end where the
    /// density is higher: that holds tails, however steep, and narrow intervals. A law that has no mass between the
    /// ends gives the nearer one.
    pub fn sample_inside<F: Real>(&self, eta: &[F], low: f64, high: f64, rng: &mut Stream) -> f64 {
        let width = high - low;
        if width.is_nan() || width <= 0.0 {
            return low;
        }
        let draw = |rng: &mut Stream| self.sample(eta, rng).f64();
        if !self.is_density() {
            let found = (0..MASS_TRIES).map(|_| draw(rng)).find(|x| (low..=high).contains(x));
            match self {
                Law::ZeroInflated(_) if found.is_none() => {}
                _ => return found.unwrap_or_else(|| draw(rng).clamp(low, high)),
            }
        }
        let eta: Vec<f64> = eta.iter().map(|x| x.f64()).collect();
        let mut unused = vec![0.0; eta.len()];
        let mut density = |x: f64| self.log_prob_grad(&eta, x, &mut unused);
        let from_low = density(low) >= density(high);
        let edge = |i: usize| if i == 0 { 0.0 } else { width * (30.0 * (i as f64 / GRID as f64 - 1.0)).exp() };
        let at = |distance: f64| if from_low { low + distance } else { high - distance };
        let logs: Vec<f64> =
            (0..GRID).map(|i| density(at(0.5 * (edge(i) + edge(i + 1)))) + (edge(i + 1) - edge(i)).ln()).collect();
        let total = log_sum_exp(&logs);
        let mut left: f64 = rng.random();
        for (i, log) in logs.iter().enumerate() {
            let share = (log - total).exp();
            if left < share {
                return at(edge(i) + left / share * (edge(i + 1) - edge(i)));
            }
            left -= share;
        }
        // Nothing is left but rounding, or the density is zero throughout.
        low + width * rng.random::<f64>()
    }
}

/// Columns with a larger count than this are not tried as counts unless named.
const COUNT_MOST: f64 = 1000.0;
/// Share of its most frequent value from which a column may have a point mass.
const ATOM_LEAST: f64 = 0.05;
/// Distinct values of a column that may be discretised, and cells a value. With more values its own fills gain a little
/// and those of the other columns lose more.
const VALUES: std::ops::RangeInclusive<usize> = 3..=32;
const CELLS_A_VALUE: usize = 10;

/// The families that may suit a column, the one to beat first; a named one is alone.
pub(crate) fn candidates(column: &Column, scaling: &ColumnScaling) -> Vec<Family> {
    if column.named {
        return vec![column.family];
    }
    let mut out = vec![column.family];
    match scaling {
        ColumnScaling::Number { marginal: m, mean, sd, max, .. } => {
            out.push(Family::StudentT);
            if column.kind == ColumnKind::Positive {
                out.push(Family::LogNormal);
            }
            // Neither can be narrower than its mean, and a Poisson variable is no wider; what the other columns say may
            // narrow the spread, but not twentyfold. Counts in the thousands are numbers like others, and there a mean that is
            // exponential in the decoder's output overshoots where the largest ones are missing.
            let dispersion = sd * sd / mean;
            if column.kind == ColumnKind::Count && dispersion > 0.8 && *max < COUNT_MOST {
                out.push(Family::NegativeBinomial);
                if dispersion < 20.0 {
                    out.push(Family::Poisson);
                }
            }
            if VALUES.contains(&m.values.len()) && m.cells >= CELLS_A_VALUE * m.values.len() {
                out.push(Family::Discretised);
            }
            if m.atom.1 >= ATOM_LEAST && (1.0 - m.atom.1) * m.cells as f64 >= 20.0 {
                out.push(Family::ZeroInflatedGaussian);
                out.push(Family::ZeroInflatedLogNormal);
            }
            out.retain(|&family| Law::of(family, scaling).is_some());
        }
        ColumnScaling::Levels { .. } if column.kind == ColumnKind::Ordinal => out.push(Family::Categorical),
        ColumnScaling::Levels { .. } => {}
    }
    out
}

/// A head for every family of every column, side by side, in the model's column order.
///
/// # Errors
/// A column's cells lie outside the support of its family.
pub(crate) fn heads<'a>(columns: impl Iterator<Item = (&'a Column, &'a Vec<Family>)>, scaling: &Scaling) -> Result<Vec<Head>> {
    let mut heads = Vec::new();
    let (mut at, mut first) = (0, 0);
    for (j, ((column, families), scaling)) in columns.zip(&scaling.columns).enumerate() {
        let start = first..first + scaling.starts();
        first = start.end;
        for &family in families {
            let law = Law::of(family, scaling).ok_or_else(|| outside_support(column, family))?;
            let eta = at..at + Likelihood::<f64>::width(&law);
            at = eta.end;
            heads.push(Head { law, eta, start: start.clone(), column: j });
        }
    }
    Ok(heads)
}

fn outside_support(column: &Column, family: Family) -> Error {
    let (cells, instead) = match family {
        Family::Discretised => ("has more than 256 distinct values", "gaussian"),
        Family::LogNormal => ("has cells that are not above zero", "gaussian"),
        _ => ("has cells below zero, or zeros beside a more frequent value", "zero_inflated_gaussian"),
    };
    Error::schema(format!("column `{}` is stated to be {family}, but {cells}; choose {instead}, or state no family", column.name))
}

macro_rules! each {
    ($law:expr, $l:ident => $call:expr) => {
        match $law {
            Law::Gaussian($l) => $call,
            Law::StudentT($l) => $call,
            Law::LogNormal($l) => $call,
            Law::Poisson($l) => $call,
            Law::NegativeBinomial($l) => $call,
            Law::ZeroInflated($l) => $call,
            Law::Discretised($l) => $call,
            Law::Bernoulli($l) => $call,
            Law::Categorical($l) => $call,
            Law::Ordinal($l) => $call,
        }
    };
}

impl<F: Real> Likelihood<F> for Law {
    fn width(&self) -> usize {
        each!(self, l => Likelihood::<F>::width(l))
    }
    fn outcomes(&self) -> usize {
        each!(self, l => Likelihood::<F>::outcomes(l))
    }
    #[inline(always)]
    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        each!(self, l => l.log_prob_grad(eta, x, d_eta))
    }
    fn expected(&self, eta: &[F], out: &mut [F]) {
        each!(self, l => l.expected(eta, out))
    }
    fn sample_with(&self, eta: &[F], normal: f64, rng: &mut Stream) -> F {
        each!(self, l => l.sample_with(eta, normal, rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::number_scaling;
    use crate::likelihood::golden::{list, number};
    use crate::rng::{Purpose, stream};

    #[test]
    fn a_tilted_law_is_in_proportion() {
        let t = [0.7, -0.4, 0.2];
        let levels = [
            Law::Bernoulli(Bernoulli),
            Law::Categorical(Categorical { levels: 3 }),
            Law::Ordinal(Ordinal::new(&[0.2, 0.5, 0.3])),
        ];
        let normal = (Law::Gaussian(Gaussian), vec![0.0, 0.5, -1.3]);
        let levels = levels.map(|law| {
            let codes = (0..Likelihood::<f64>::outcomes(&law)).map(|l| l as f64).collect();
            (law, codes)
        });
        for (law, cells) in levels.into_iter().chain([normal]) {
            let eta: Vec<f64> = (0..Likelihood::<f64>::width(&law)).map(|k| 0.3 - 0.2 * k as f64).collect();
            let mut tilted = eta.clone();
            assert!(law.tilt(&t, &mut tilted));
            let gain = |x: f64| {
                let due = if law.is_density() { t[0] * x } else { t[x as usize] };
                law.log_prob(&tilted, x) - law.log_prob(&eta, x) - due
            };
            assert!(cells.iter().all(|&x| (gain(x) - gain(cells[0])).abs() < 1e-9), "{law:?}");
        }
        assert!(!Law::StudentT(StudentT).tilt(&t, &mut [0.0, 0.0, 0.0]));
    }

    fn laws() -> Vec<(Law, Vec<Vec<f64>>, Vec<f64>)> {
        // Each law with decoder outputs from ordinary to extreme, and cells.
        let two = vec![vec![0.0, 0.0], vec![0.4, -1.0], vec![-3.0, 6.0], vec![40.0, -40.0]];
        let three = vec![vec![0.0, 0.0, 0.0], vec![0.5, 0.4, -1.0], vec![-60.0, 3.0, 6.0], vec![60.0, -40.0, -40.0]];
        let scaling = |numbers: &[f64]| number_scaling(numbers.to_vec(), 16);
        let positive = scaling(&[0.01, 0.5, 1.0, 2.0, 3.0, 90.0]);
        let positive_cells = [0.01, 1.0, 20.0, 200.0].map(|x| positive.to_model(x)).to_vec();
        let counts = scaling(&[0.0, 0.0, 1.0, 2.0, 2.0, 5.0, 7.0, 31.0]);
        let count_cells = [0.0, 1.0, 5.0, 300.0].map(|x| counts.to_model(x)).to_vec();
        let spiky = scaling(&[0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 8.0]);
        let spiky_cells = [0.0, 0.5, 4.0, 20.0].map(|x| spiky.to_model(x)).to_vec();
        let few = scaling(&[1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 7.0]);
        vec![
            (
                Law::Gaussian(Gaussian),
                vec![vec![0.0, 0.0], vec![1.5, -1.0], vec![-3.0, 6.0], vec![40.0, -40.0]],
                vec![0.0, 1.4, -30.0, 1000.0],
            ),
            (
                Law::StudentT(StudentT),
                vec![vec![0.0, 0.0, 0.0], vec![1.5, -1.0, 3.0], vec![-3.0, 6.0, -9.0], vec![4.0, -4.0, 90.0]],
                vec![0.0, 1.4, -30.0, 1000.0],
            ),
            (Law::Bernoulli(Bernoulli), vec![vec![0.0], vec![2.5], vec![-60.0], vec![60.0]], vec![0.0, 1.0]),
            (
                Law::Categorical(Categorical { levels: 4 }),
                vec![vec![0.0; 4], vec![1.0, -2.0, 0.5, 3.0], vec![80.0, -80.0, 0.0, 5.0]],
                vec![0.0, 1.0, 3.0],
            ),
            (Law::of(Family::LogNormal, &positive).unwrap(), two.clone(), positive_cells.clone()),
            (
                Law::of(Family::Poisson, &counts).unwrap(),
                vec![vec![0.0], vec![0.7], vec![-40.0], vec![40.0]],
                count_cells.clone(),
            ),
            (
                Law::of(Family::NegativeBinomial, &counts).unwrap(),
                vec![vec![0.0, 0.0], vec![0.2, 1.5], vec![-30.0, 30.0], vec![40.0, -40.0]],
                count_cells,
            ),
            (Law::of(Family::ZeroInflatedGaussian, &spiky).unwrap(), three.clone(), spiky_cells.clone()),
            (Law::of(Family::ZeroInflatedLogNormal, &spiky).unwrap(), three, spiky_cells),
            (
                Law::of(Family::Discretised, &few).unwrap(),
                vec![vec![0.0; 6], vec![0.8, -1.0, 0.3, -0.7, 1.0, 0.2], vec![-40.0, 30.0, 0.0, 9.0, -9.0, 0.0]],
                [1.0, 2.0, 3.0, 7.0].map(|x| few.to_model(x)).to_vec(),
            ),
            (
                Law::Ordinal(Ordinal::new(&[0.2, 0.3, 0.1, 0.4])),
                vec![vec![0.0; 6], vec![0.8, -1.0, 0.3, -0.7, 1.0, 0.2], vec![-40.0, 30.0, 0.0, 9.0, -9.0, 0.0]],
                vec![0.0, 1.0, 3.0],
            ),
        ]
    }

    #[test]
    fn gradients_meet_central_differences_and_stay_finite() {
        for (law, etas, cells) in laws() {
            for eta in &etas {
                for &x in &cells {
                    let mut grad = vec![0.0; eta.len()];
                    let value = law.log_prob_grad(eta, x, &mut grad);
                    assert!(value.is_finite() && grad.iter().all(|g| g.is_finite()), "{law:?} {eta:?} {x}");
                    for i in 0..eta.len() {
                        let h = 1e-5;
                        let mut e = eta.clone();
                        e[i] += h;
                        let up = law.log_prob(&e, x);
                        e[i] -= 2.0 * h;
                        let want = (up - law.log_prob(&e, x)) / (2.0 * h);
                        // The difference itself loses digits where the density is huge.
                        let slack = 1e-6 * (1.0 + want.abs()) + 1e-10 * value.abs();
                        assert!((grad[i] - want).abs() < slack, "{law:?} {eta:?} {x} {i}: {} {want}", grad[i]);
                    }
                    // The same code in f32 stays finite too.
                    let eta32: Vec<f32> = eta.iter().map(|&e| e as f32).collect();
                    let mut grad32 = vec![0f32; eta.len()];
                    let value32 = law.log_prob_grad(&eta32, x as f32, &mut grad32);
                    assert!(value32.is_finite() && grad32.iter().all(|g| g.is_finite()), "{law:?} {eta:?} {x}");
                }
            }
        }
    }

    #[test]
    fn samples_have_the_expected_mean_and_levels_their_probabilities() {
        for (law, etas, _) in laws() {
            let eta = &etas[1];
            let mut rng = stream(5, Purpose::Draw, 0);
            let n = 40_000;
            let draws: Vec<f64> = (0..n).map(|_| law.sample(eta, &mut rng)).collect();
            let mut expected = vec![0.0; Likelihood::<f64>::outcomes(&law)];
            law.expected(eta, &mut expected);
            if expected.len() == 1 {
                let mean = draws.iter().sum::<f64>() / n as f64;
                assert!((mean - expected[0]).abs() < 0.02, "{law:?}: {mean} {expected:?}");
            } else {
                let mass: f64 = expected.iter().sum();
                assert!((mass - 1.0).abs() < 1e-12);
                for (code, p) in expected.iter().enumerate() {
                    let share = draws.iter().filter(|&&x| x == code as f64).count() as f64 / n as f64;
                    assert!((share - p).abs() < 0.01, "{law:?} level {code}: {share} {p}");
                    assert!((law.log_prob(eta, code as f64).exp() - p).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn means_and_draws_meet_scipy() {
        // Model units are the numbers themselves, so that the parameters are those of the law.
        let units = Units { mean: 1.0, sd: 1.0, low: 0.0, high: 1e9, most_expected: 1e9 };
        let rho = |l: f64| l / (1.0 - (l / 4.0).powi(2)).sqrt();
        let shift = |l: f64| l / (1.0 - (l / 8.0).powi(2)).sqrt();
        let cases = golden::cases("moments");
        for c in &cases {
            let p = list(&c["parameters"]);
            let (law, eta, offset) = match c["family"].as_str().unwrap() {
                "gaussian" => (Law::Gaussian(Gaussian), vec![p[0], rho(p[1].ln())], 0.0),
                // ν = 2.1 + softplus(κ + 3), inverted.
                "student_t" => (Law::StudentT(StudentT), vec![p[0], rho(p[1].ln()), (p[2] - 2.1).exp_m1().ln() - 3.0], 0.0),
                "log_normal" => {
                    let law = LogNormal { units, log: Moments { mean: p[0], sd: p[1] } };
                    (Law::LogNormal(law), vec![0.0, 0.0], 1.0)
                }
                "poisson" => (Law::Poisson(Poisson::new(units)), vec![shift(p[0].ln())], 1.0),
                _ => {
                    // With variance and mean of one the size starts at its cap, a thousand.
                    let law = NegativeBinomial::new(units);
                    (Law::NegativeBinomial(law), vec![shift(p[0].ln()), shift(p[1].ln() - 1e3f64.ln())], 1.0)
                }
            };
            let mut mean = [0.0];
            law.expected(&eta, &mut mean);
            let want = number(&c["mean"]);
            assert!((mean[0] + offset - want).abs() < 1e-9 * (1.0 + want.abs()), "{c}: {mean:?}");
            let mut rng = stream(8, Purpose::Draw, 0);
            let n = 40_000;
            let draws: Vec<f64> = (0..n).map(|_| law.sample(&eta, &mut rng) + offset).collect();
            for (point, cdf) in list(&c["points"]).iter().zip(list(&c["cdf"])) {
                let share = draws.iter().filter(|&&x| x <= point + 1e-9).count() as f64 / f64::from(n);
                // Four standard errors of a share.
                assert!((share - cdf).abs() < 4.0 * (cdf * (1.0 - cdf) / f64::from(n)).sqrt(), "{c} {point}: {share}");
            }
        }
        assert!(cases.len() >= 10);
    }

    #[test]
    fn draws_and_means_stay_in_the_support() {
        for (law, etas, _) in laws() {
            for eta in etas {
                let eta: Vec<f32> = eta.iter().map(|&e| e as f32).collect();
                let mut mean = vec![0f32; Likelihood::<f32>::outcomes(&law)];
                law.expected(&eta, &mut mean);
                assert!(mean.iter().all(|m| m.is_finite()), "{law:?} {eta:?}: {mean:?}");
                let mut rng = stream(6, Purpose::Draw, 0);
                for _ in 0..200 {
                    let x = law.sample(&eta, &mut rng);
                    let number = |units: &Units| units.number(x);
                    let inside = match &law {
                        Law::Gaussian(_) | Law::StudentT(_) => x.is_finite(),
                        // A number in model units is rounded to `f32`: zero is one ten-millionth of the mean.
                        Law::LogNormal(law) => number(&law.units) > -1e-5,
                        Law::Poisson(law) => whole(number(&law.units)),
                        Law::NegativeBinomial(law) => whole(number(&law.mean.units)),
                        Law::ZeroInflated(law) => law.at_atom(x) || x.is_finite(),
                        Law::Discretised(law) => law.nearest(x).1 == 0.0,
                        _ => x >= 0.0 && x < mean.len().max(2) as f32 && x.fract() == 0.0,
                    };
                    assert!(inside, "{law:?} {eta:?}: {x}");
                }
            }
        }
        fn whole(x: f64) -> bool {
            // Beyond half the range above the largest it is cut, there to a half.
            x > -1e-4 && ((2.0 * x).round() - 2.0 * x).abs() < 1e-4
        }
    }

    #[test]
    fn a_cell_has_the_probability_of_its_interval() {
        // Φ(0.5) − Φ(−0.5), and the mass of an atom.
        let mass = Law::Gaussian(Gaussian).log_mass(&[0.0f64, 0.0], 0.0, 1.0).exp();
        assert!((mass - 0.382_924_922_548_026).abs() < 1e-4, "{mass}");
        // A density cannot make a cell more than certain.
        assert!(Law::Gaussian(Gaussian).log_mass(&[0.0f64, -40.0], 0.0, 0.4) <= 0.0);
        let spiky = number_scaling(vec![0.0, 0.0, 0.0, 1.0, 2.0, 4.0], 16);
        let law = Law::of(Family::ZeroInflatedLogNormal, &spiky).unwrap();
        assert!((law.log_mass(&[0.0f64; 3], spiky.to_model(0.0), 1.0).exp() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_family_needs_cells_in_its_support() {
        let spiky = number_scaling(vec![0.0, 0.0, 0.0, 1.0, 2.0, 4.0], 16);
        let modal = number_scaling(vec![0.0, 4.0, 4.0, 4.0, 5.0], 16);
        assert!(Law::of(Family::LogNormal, &spiky).is_none());
        assert!(Law::of(Family::ZeroInflatedLogNormal, &spiky).is_some());
        assert!(Law::of(Family::ZeroInflatedLogNormal, &modal).is_none());
        let many = number_scaling((0..300).map(f64::from).collect(), 16);
        assert!(Law::of(Family::Discretised, &many).is_none());
        assert!(Law::of(Family::Categorical, &many).is_none());
    }

    /// The decoder's outputs that make the observed cells most likely, by gradient ascent in f64 with a falling step.
    fn most_likely(law: &Law, cells: &[f64]) -> Vec<f64> {
        let width = Likelihood::<f64>::width(law);
        let (mut eta, mut m, mut v) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
        let (mut one, steps) = (vec![0.0; width], 400);
        for step in 0..steps {
            let mut grad = vec![0.0; width];
            for &x in cells {
                law.log_prob_grad(&eta, x, &mut one);
                grad.iter_mut().zip(&one).for_each(|(g, o)| *g += o / cells.len() as f64);
            }
            let t = step + 1;
            for i in 0..width {
                m[i] = 0.9 * m[i] + 0.1 * grad[i];
                v[i] = 0.99 * v[i] + 0.01 * grad[i] * grad[i];
                let rate = 0.1 * (1.0 - f64::from(step) / f64::from(steps));
                eta[i] += rate * (m[i] / (1.0 - 0.9f64.powi(t))) / ((v[i] / (1.0 - 0.99f64.powi(t))).sqrt() + 1e-9);
            }
        }
        eta
    }

    #[test]
    fn each_family_recovers_its_own_parameters_from_data_with_gaps() {
        for (law, etas, _) in laws() {
            let truth = &etas[1];
            let mut rng = stream(7, Purpose::Draw, 0);
            // A third of the cells is missing.
            let cells: Vec<f64> =
                (0..6000).map(|_| law.sample(truth, &mut rng)).enumerate().filter(|(i, _)| i % 3 != 0).map(|c| c.1).collect();
            let found = most_likely(&law, &cells);
            // What is identified: the distribution, not offsets that cancel.
            let outcomes = Likelihood::<f64>::outcomes(&law);
            let (mut want, mut got) = (vec![0.0; outcomes], vec![0.0; outcomes]);
            law.expected(truth, &mut want);
            law.expected(&found, &mut got);
            for (want, got) in want.iter().zip(&got) {
                assert!((want - got).abs() < 0.05, "{law:?}: {found:?} for {truth:?}");
            }
            let score = |eta: &[f64]| cells.iter().map(|&x| law.log_prob(eta, x)).sum::<f64>();
            let gain = score(&found) - score(truth);
            // Twice the gain is χ² with as many degrees of freedom as parameters: mean six at most.
            assert!((-0.5..10.0).contains(&gain), "{law:?}: {gain}");
            if truth.len() <= 3 {
                let slack = |i: usize| if i == 2 && matches!(law, Law::StudentT(_)) { 1.5 } else { 0.12 };
                assert!((0..truth.len()).all(|i| (truth[i] - found[i]).abs() < slack(i)), "{law:?}: {found:?} for {truth:?}");
            }
        }
    }

    #[test]
    fn what_bounds_leave_of_a_law_is_drawn_as_it_is() {
        let n = 4000;
        let mut rng = stream(5, Purpose::Draw, 0);
        let mut inside = |law: &Law, eta: &[f64], low: f64, high: f64| -> Vec<f64> {
            let mut x: Vec<f64> = (0..n).map(|_| law.sample_inside(eta, low, high, &mut rng)).collect();
            x.sort_by(f64::total_cmp);
            assert!(low < x[0] && x[n - 1] < high, "{:?} {:?}", x[0], x[n - 1]);
            x
        };
        let gaussian = Law::Gaussian(Gaussian);
        // The normal's tails beyond 2.326 (1 %) and 6: their means are φ(a)/(1 − Φ(a)).
        for (low, mean) in [(2.326_347_9, 2.665_21), (6.0, 6.158_26)] {
            let x = inside(&gaussian, &[0.0, 0.0], low, 60.0);
            assert!((x.iter().sum::<f64>() / n as f64 - mean).abs() < 0.02, "{low}");
            let y = inside(&gaussian, &[0.0, 0.0], -60.0, -low);
            assert!((y.iter().sum::<f64>() / n as f64 + mean).abs() < 0.02, "{low}");
        }
        // Far out the tail is exponential with rate a: its median is ln 2 / a beyond.
        let x = inside(&gaussian, &[0.0, 0.0], 100.0, 200.0);
        assert!(((x[n / 2] - 100.0) * 100.0 / 2f64.ln() - 1.0).abs() < 0.1, "{}", x[n / 2]);
        // A sliver is uniform.
        let x = inside(&gaussian, &[0.0, 0.0], 0.5, 0.501);
        assert!((x[n / 2] - 0.5005).abs() < 3e-5, "{}", x[n / 2]);
        // Student's t with heavy tails, ν = 2.1.
        let x = inside(&Law::StudentT(StudentT), &[0.0, 0.0, -50.0], 10.0, 1e6);
        assert!((x[n / 2] / 10.0 / 2f64.powf(1.0 / 2.1) - 1.0).abs() < 0.05, "{}", x[n / 2]);
    }
}
