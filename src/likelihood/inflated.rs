//! A point mass at the column's most frequent value, and a density for the rest (the two parts of Aitchison 1955).

use ndarray_rand::rand::Rng;

use super::Likelihood;
use super::real::{Gaussian, LogNormal};
use super::special::softplus;
use crate::data::marginal::Moments;
use crate::kernel::{Real, bounded, sigmoid};
use crate::rng::Stream;

/// The atom with a probability from the decoder, elsewhere a normal or log-normal density; eta = (logit of the atom's
/// probability from that of its share, μ, ρ of the rest).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZeroInflated {
    /// In model units.
    pub atom: f64,
    /// Logit of the atom's share among the observed cells.
    pub logit: f64,
    pub rest: Rest,
}

/// The mean of a normal rest may lie so many of its standard deviations from its own, or as far as any cell that was seen.
const MEAN_LEAST: f64 = 6.0;

/// The distribution of the cells that are not at the atom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// Normal, standardised by the rest's own moments (in the column's model units); and how far its mean may go, standardised.
    Gaussian(Moments, f64),
    LogNormal(LogNormal),
}

impl Rest {
    /// A normal rest by its moments and the column's range, all in the column's model units.
    pub fn gaussian(rest: Moments, (min, max): (f64, f64)) -> Rest {
        let farthest = ((max - rest.mean) / rest.sd).max((rest.mean - min) / rest.sd);
        Rest::Gaussian(rest, farthest.max(MEAN_LEAST))
    }

    fn log_prob_grad<F: Real>(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        match self {
            Rest::Gaussian(m, most) => {
                let y = (x - F::of(m.mean)) / F::of(m.sd);
                let (mean, slope) = bounded(eta[0], *most);
                let value = Gaussian.log_prob_grad(&[mean, eta[1]], y, d_eta) - F::of(m.sd.ln());
                d_eta[0] *= slope;
                value
            }
            Rest::LogNormal(law) => law.log_prob_grad(eta, x, d_eta),
        }
    }

    fn expected<F: Real>(&self, eta: &[F], out: &mut [F]) {
        match self {
            Rest::Gaussian(m, most) => out[0] = F::of(m.mean) + F::of(m.sd) * bounded(eta[0], *most).0,
            Rest::LogNormal(law) => law.expected(eta, out),
        }
    }

    fn sample_with<F: Real>(&self, eta: &[F], normal: f64, rng: &mut Stream) -> F {
        match self {
            Rest::Gaussian(m, most) => {
                F::of(m.mean) + F::of(m.sd) * Gaussian.sample_with(&[bounded(eta[0], *most).0, eta[1]], normal, rng)
            }
            Rest::LogNormal(law) => law.sample_with(eta, normal, rng),
        }
    }
}

impl ZeroInflated {
    /// Whether a cell is at the atom.
    pub fn at_atom<F: Real>(&self, x: F) -> bool {
        x == F::of(self.atom)
    }

    fn logit<F: Real>(&self, eta: F) -> F {
        F::of(self.logit) + eta
    }
}

impl<F: Real> Likelihood<F> for ZeroInflated {
    fn width(&self) -> usize {
        3
    }

    fn outcomes(&self) -> usize {
        1
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let a = self.logit(eta[0]);
        if self.at_atom(x) {
            d_eta.copy_from_slice(&[sigmoid(-a), F::zero(), F::zero()]);
            return -softplus(-a);
        }
        d_eta[0] = -sigmoid(a);
        self.rest.log_prob_grad(&eta[1..], x, &mut d_eta[1..]) - softplus(a)
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        let p = sigmoid(self.logit(eta[0]));
        self.rest.expected(&eta[1..], out);
        out[0] = p * F::of(self.atom) + (F::one() - p) * out[0];
    }

    fn sample_with(&self, eta: &[F], normal: f64, rng: &mut Stream) -> F {
        let u: f64 = rng.random();
        if u < sigmoid(self.logit(eta[0])).f64() { F::of(self.atom) } else { self.rest.sample_with(&eta[1..], normal, rng) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::Units;
    use crate::likelihood::golden::{self, number};

    #[test]
    fn densities_meet_scipy() {
        let cases = golden::cases("zero_inflated");
        for c in &cases {
            // The law's own constants stand in for the golden parameters: η is (logit, 0, 0).
            let units = Units { mean: 0.0, sd: 1.0, low: 0.0, high: f64::MAX, most_expected: f64::MAX };
            let log = Moments { mean: number(&c["mean"]), sd: number(&c["log_sd"]).exp() };
            let law = ZeroInflated { atom: 0.0, logit: 0.0, rest: Rest::LogNormal(LogNormal { units, log }) };
            let (got, want) = (law.log_prob(&[number(&c["logit"]), 0.0, 0.0], number(&c["x"])), number(&c["log_prob"]));
            assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{c}: {got}");
        }
        assert!(cases.len() >= 30);
    }
}
