//! Whole numbers from zero: Poisson and negative binomial. A cell is standardised like any number; the density is that
//! of the number itself, a probability.

use ndarray_rand::rand_distr::{Distribution, Gamma, Poisson as PoissonDistribution};

use super::special::{digamma, ln_gamma};
use super::{Likelihood, Units};
use crate::kernel::{Real, bounded};
use crate::rng::Stream;

/// ln of the mean stays within this of that of the column's mean, and ln of the dispersion of the column's.
const LN_LIMIT: f64 = 8.0;

/// ln of the Poisson probability of `count`, and its derivative by ln λ.
fn poisson(count: f64, ln_mean: f64) -> (f64, f64) {
    let mean = ln_mean.exp();
    (count * ln_mean - mean - ln_gamma(count + 1.0), count - mean)
}

/// ln of the negative binomial probability of `count` with mean λ and size r (variance λ + λ²/r), and its derivatives by
/// ln λ and ln r.
fn negative_binomial(count: f64, ln_mean: f64, ln_size: f64) -> (f64, f64, f64) {
    let (mean, size) = (ln_mean.exp(), ln_size.exp());
    let total = mean + size;
    // ln (r / (r + λ)) and ln (λ / (r + λ)), the small distance kept.
    let (ln_stop, ln_go) = (-(mean / size).ln_1p(), -(size / mean).ln_1p());
    let value = ln_gamma(count + size) - ln_gamma(size) - ln_gamma(count + 1.0) + size * ln_stop + count * ln_go;
    let by_size = digamma(count + size) - digamma(size) + ln_stop + (mean - count) / total;
    (value, size * (count - mean) / total, size * by_size)
}

/// A draw of a Poisson variable; its mean where that is too large for one.
fn sample_poisson(mean: f64, rng: &mut Stream) -> f64 {
    PoissonDistribution::new(mean).map_or(mean, |d| d.sample(rng))
}

/// Poisson with its mean from the decoder; eta = (ln λ, from that of the column's mean).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poisson {
    pub units: Units,
    ln_mean: f64,
}

impl Poisson {
    /// `units` of a column of counts.
    pub fn new(units: Units) -> Poisson {
        Poisson { units, ln_mean: units.mean.max(1e-3).ln() }
    }

    /// ln λ and its derivative by η.
    fn rate<F: Real>(&self, eta: F) -> (f64, f64) {
        let (shift, slope) = bounded(eta.f64(), LN_LIMIT);
        (self.ln_mean + shift, slope)
    }
}

impl<F: Real> Likelihood<F> for Poisson {
    fn width(&self) -> usize {
        1
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let (ln_mean, slope) = self.rate(eta[0]);
        let (value, by_ln_mean) = poisson(self.units.count(x), ln_mean);
        d_eta[0] = F::of(by_ln_mean * slope);
        F::of(value)
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        out[0] = self.units.expected(self.rate(eta[0]).0.exp());
    }

    fn sample_with(&self, eta: &[F], _: f64, rng: &mut Stream) -> F {
        self.units.model(sample_poisson(self.rate(eta[0]).0.exp(), rng))
    }
}

/// Negative binomial with mean and size from the decoder; eta = (ln λ, ln r), from those of the column's marginal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NegativeBinomial {
    pub mean: Poisson,
    ln_size: f64,
}

impl NegativeBinomial {
    /// `units` of a column of counts; the size starts from the column's variance.
    pub fn new(units: Units) -> NegativeBinomial {
        let excess = (units.sd * units.sd - units.mean).max(1e-6 * units.mean);
        let ln_size = (units.mean * units.mean / excess).clamp(1e-2, 1e3).ln();
        NegativeBinomial { mean: Poisson::new(units), ln_size }
    }

    /// ln r and its derivative by η.
    fn size<F: Real>(&self, eta: F) -> (f64, f64) {
        let (shift, slope) = bounded(eta.f64(), LN_LIMIT);
        (self.ln_size + shift, slope)
    }
}

impl<F: Real> Likelihood<F> for NegativeBinomial {
    fn width(&self) -> usize {
        2
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let ((ln_mean, slope), (ln_size, size_slope)) = (self.mean.rate(eta[0]), self.size(eta[1]));
        let (value, by_ln_mean, by_ln_size) = negative_binomial(self.mean.units.count(x), ln_mean, ln_size);
        d_eta[0] = F::of(by_ln_mean * slope);
        d_eta[1] = F::of(by_ln_size * size_slope);
        F::of(value)
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        self.mean.expected(&eta[..1], out);
    }

    fn sample_with(&self, eta: &[F], _: f64, rng: &mut Stream) -> F {
        let (mean, size) = (self.mean.rate(eta[0]).0.exp(), self.size(eta[1]).0.exp());
        let rate = Gamma::new(size, mean / size).map_or(mean, |d| d.sample(rng));
        self.mean.units.model(if rate > 0.0 { sample_poisson(rate, rng) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::golden::{self, number};

    #[test]
    fn densities_meet_scipy() {
        let cases = golden::cases("poisson");
        for c in &cases {
            let (got, want) = (poisson(number(&c["count"]), number(&c["log_mean"])).0, number(&c["log_prob"]));
            assert!((got - want).abs() <= 1e-11 * (1.0 + want.abs()), "{c}: {got}");
        }
        let cases_n = golden::cases("negative_binomial");
        for c in &cases_n {
            let (got, _, _) = negative_binomial(number(&c["count"]), number(&c["log_mean"]), number(&c["log_size"]));
            let want = number(&c["log_prob"]);
            // Differences of ln Γ of thousands lose digits, here as in SciPy.
            assert!((got - want).abs() <= 1e-10 * (1.0 + want.abs()), "{c}: {got}");
        }
        assert!(cases.len() >= 30 && cases_n.len() >= 30);
    }

    #[test]
    fn probabilities_of_all_counts_sum_to_one() {
        let total = |p: &dyn Fn(f64) -> f64| (0..4000).map(|k| p(f64::from(k)).exp()).sum::<f64>();
        assert!((total(&|k| poisson(k, 3.0).0) - 1.0).abs() < 1e-10);
        assert!((total(&|k| negative_binomial(k, 3.0, -0.5).0) - 1.0).abs() < 1e-10);
        // A large size is the Poisson limit.
        assert!((negative_binomial(25.0, 3.0, 18.0).0 - poisson(25.0, 3.0).0).abs() < 1e-5);
    }
}
