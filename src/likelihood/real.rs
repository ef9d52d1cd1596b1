//! Real numbers: Gaussian, Student-t and log-normal.

use ndarray_rand::rand_distr::{ChiSquared, Distribution};

use super::special::{digamma, ln_gamma, softplus};
use super::{LN_SCALE_LIMIT, Likelihood, Units};
use crate::data::marginal::Moments;
use crate::kernel::{Real, bounded, sigmoid};
use crate::rng::Stream;

/// ln N(x; mean, exp(2 ln_sd)) with its derivatives by mean and ln_sd.
fn gaussian<F: Real>(x: F, mean: F, ln_sd: F) -> (F, F, F) {
    let half_ln_2pi = F::of(0.918_938_533_204_672_8);
    let precision = (-ln_sd).fast_exp();
    let t = (x - mean) * precision;
    (-half_ln_2pi - ln_sd - F::of(0.5) * t * t, t * precision, t * t - F::one())
}

/// ln of Student's t density with location, scale and degrees of freedom, and its derivatives by location, ln scale and
/// degrees of freedom.
fn student_t<F: Real>(x: F, location: F, ln_scale: F, df: F) -> (F, F, F, F) {
    let (half, one) = (F::of(0.5), F::one());
    let precision = (-ln_scale).fast_exp();
    let t = (x - location) * precision;
    let nu = df.f64();
    let norm = ln_gamma((nu + 1.0) / 2.0) - ln_gamma(nu / 2.0) - 0.5 * (nu * std::f64::consts::PI).ln();
    let q = t * t / df;
    let tail = q.ln_1p();
    let share = (df + one) * q / (one + q);
    let by_df = F::of(0.5 * (digamma((nu + 1.0) / 2.0) - digamma(nu / 2.0) - 1.0 / nu)) + half * (share / df - tail);
    let by_location = (df + one) * t * precision / (df * (one + q));
    (F::of(norm) - ln_scale - half * (df + one) * tail, by_location, share - one, by_df)
}

/// Normal with mean and standard deviation from the decoder; eta = (μ, ρ).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaussian;

impl<F: Real> Likelihood<F> for Gaussian {
    fn width(&self) -> usize {
        2
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let (ln_sd, slope) = bounded(eta[1], LN_SCALE_LIMIT);
        let (value, by_mean, by_ln_sd) = gaussian(x, eta[0], ln_sd);
        d_eta[0] = by_mean;
        d_eta[1] = by_ln_sd * slope;
        value
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        out[0] = eta[0];
    }

    fn sample_with(&self, eta: &[F], normal: f64, _: &mut Stream) -> F {
        eta[0] + bounded(eta[1], LN_SCALE_LIMIT).0.fast_exp() * F::of(normal)
    }
}

/// Student's t with location, scale and degrees of freedom from the decoder; eta = (μ, ρ, κ).
#[derive(Clone, Copy, Debug)]
pub(crate) struct StudentT;

impl StudentT {
    /// ν = 2.1 + softplus(κ + 3), and dν/dκ: above two, five at κ = 0.
    fn df<F: Real>(kappa: F) -> (F, F) {
        let k = kappa + F::of(3.0);
        (F::of(2.1) + softplus(k), sigmoid(k))
    }

    /// ln of the standard deviation, in scales, at κ = 0: √(ν / (ν − 2)).
    pub fn ln_sd_at_zero() -> f64 {
        let df: f64 = StudentT::df(0.0).0;
        0.5 * (df / (df - 2.0)).ln()
    }
}

impl<F: Real> Likelihood<F> for StudentT {
    fn width(&self) -> usize {
        3
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let (ln_scale, slope) = bounded(eta[1], LN_SCALE_LIMIT);
        let (df, df_slope) = StudentT::df(eta[2]);
        let (value, by_location, by_ln_scale, by_df) = student_t(x, eta[0], ln_scale, df);
        d_eta[0] = by_location;
        d_eta[1] = by_ln_scale * slope;
        d_eta[2] = by_df * df_slope;
        value
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        out[0] = eta[0];
    }

    fn sample_with(&self, eta: &[F], normal: f64, rng: &mut Stream) -> F {
        let df = StudentT::df(eta[2]).0.f64();
        let t = normal * ChiSquared::new(df).map_or(1.0, |d| (df / d.sample(rng)).sqrt());
        eta[0] + bounded(eta[1], LN_SCALE_LIMIT).0.fast_exp() * F::of(t)
    }
}

/// Logarithms this many standard deviations below their mean, and rounding to zero and below, count as that far down.
const LN_LEAST: f64 = 8.0;

/// Log-normal: a number above zero whose logarithm is normal; eta = (μ, ρ) of the logarithm, standardised by the
/// moments of the column's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogNormal {
    pub units: Units,
    /// Moments of the logarithms.
    pub log: Moments,
}

impl LogNormal {
    /// ln σ in units of the logarithm.
    fn ln_sd<F: Real>(&self, rho: F) -> f64 {
        bounded(rho.f64(), LN_SCALE_LIMIT).0 + self.log.sd.ln()
    }

    /// Mean of the logarithm.
    fn mean<F: Real>(&self, mu: F) -> f64 {
        self.log.mean + self.log.sd * mu.f64()
    }
}

impl<F: Real> Likelihood<F> for LogNormal {
    fn width(&self) -> usize {
        2
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        // The number itself is a difference in `f32`: what is small beside the column's mean keeps few digits.
        let ln_x = self.units.number(x).ln().max(self.log.mean - LN_LEAST * self.log.sd);
        let (value, by_mean, by_ln_sd) = gaussian(ln_x, self.mean(eta[0]), self.ln_sd(eta[1]));
        d_eta[0] = F::of(by_mean * self.log.sd);
        d_eta[1] = F::of(by_ln_sd) * bounded(eta[1], LN_SCALE_LIMIT).1;
        F::of(value - ln_x + self.units.sd.ln())
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        let half_variance = 0.5 * (2.0 * self.ln_sd(eta[1])).exp();
        out[0] = self.units.expected((self.mean(eta[0]) + half_variance).exp());
    }

    fn sample_with(&self, eta: &[F], normal: f64, _: &mut Stream) -> F {
        self.units.model((self.mean(eta[0]) + self.ln_sd(eta[1]).exp() * normal).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::golden::{self, number};

    #[test]
    fn densities_meet_scipy() {
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{got} {want}");
        let cases = golden::cases("gaussian");
        for c in &cases {
            close(gaussian(number(&c["x"]), number(&c["mean"]), number(&c["log_sd"])).0, number(&c["log_prob"]));
        }
        let cases_t = golden::cases("student_t");
        for c in &cases_t {
            let got = student_t(number(&c["x"]), number(&c["location"]), number(&c["log_scale"]), number(&c["df"])).0;
            close(got, number(&c["log_prob"]));
        }
        // ln p of the number is that of its logarithm less the logarithm.
        let cases_l = golden::cases("log_normal");
        for c in &cases_l {
            let ln_x = number(&c["x"]).ln();
            close(gaussian(ln_x, number(&c["mean"]), number(&c["log_sd"])).0 - ln_x, number(&c["log_prob"]));
        }
        assert!(cases.len() >= 20 && cases_t.len() >= 20 && cases_l.len() >= 20);
    }

    #[test]
    fn a_scale_stays_within_four_nepers() {
        for rho in [-1e6, -10.0, 0.0, 10.0, 1e6] {
            assert!(bounded::<f64>(rho, LN_SCALE_LIMIT).0.abs() <= 4.0);
        }
        assert!((bounded::<f64>(0.5, LN_SCALE_LIMIT).0 - 0.5).abs() < 0.01);
    }
}
