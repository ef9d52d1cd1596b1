//! p(x_j | η_j), one column at a time, in nats and model units (standardised numbers, codes of levels).
//!
//! | family | η | density |
//! |---|---|---|
//! | Gaussian | μ, ρ | N(x; μ, σ²), ln σ = bounded(ρ) |
//! | Student-t | μ, ρ, κ | t_ν((x − μ)/σ)/σ, ln σ = bounded(ρ), ν = 2.1 + softplus(κ + 3) |
//! | Bernoulli | a | σ(a)ˣ (1 − σ(a))¹⁻ˣ |
//! | categorical | a_1 … a_L | softmax(a)_x |
//!
//! `bounded(ρ) = ρ / √(1 + (ρ/4)²)` keeps a scale within e^±4 column standard deviations, so that a spike of equal
//! values cannot make a density infinite. ν above two keeps the variance finite.

mod discrete;
mod real;
mod special;

use std::ops::Range;

use crate::data::schema::{Column, Family};
use crate::kernel::Real;
use crate::rng::Stream;

use discrete::{Bernoulli, Categorical};
use real::{Gaussian, StudentT};

pub(crate) use special::log_sum_exp;

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
    fn sample(&self, eta: &[F], rng: &mut Stream) -> F;
}

/// The likelihood of one column and where its outputs stand among the decoder's.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub law: Law,
    pub eta: Range<usize>,
}

/// One of the families.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    Gaussian(Gaussian),
    StudentT(StudentT),
    Bernoulli(Bernoulli),
    Categorical(Categorical),
}

impl Law {
    fn of(column: &Column) -> Law {
        match column.family {
            Family::Gaussian => Law::Gaussian(Gaussian),
            Family::StudentT => Law::StudentT(StudentT),
            Family::Bernoulli => Law::Bernoulli(Bernoulli),
            Family::Categorical => Law::Categorical(Categorical { levels: column.levels.len() }),
        }
    }
}

/// The heads of the given columns, side by side.
pub(crate) fn heads<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<Head> {
    let mut start = 0;
    columns
        .map(|c| {
            let law = Law::of(c);
            let end = start + Likelihood::<f64>::width(&law);
            let eta = start..end;
            start = end;
            Head { law, eta }
        })
        .collect()
}

macro_rules! each {
    ($law:expr, $l:ident => $call:expr) => {
        match $law {
            Law::Gaussian($l) => $call,
            Law::StudentT($l) => $call,
            Law::Bernoulli($l) => $call,
            Law::Categorical($l) => $call,
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
    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        each!(self, l => l.log_prob_grad(eta, x, d_eta))
    }
    fn expected(&self, eta: &[F], out: &mut [F]) {
        each!(self, l => l.expected(eta, out))
    }
    fn sample(&self, eta: &[F], rng: &mut Stream) -> F {
        each!(self, l => l.sample(eta, rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn laws() -> Vec<(Law, Vec<Vec<f64>>, Vec<f64>)> {
        // Each law with decoder outputs from ordinary to extreme, and cells.
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
}
