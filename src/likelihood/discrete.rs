//! Levels: Bernoulli and categorical. A cell is the code of its level.

use ndarray_rand::rand::Rng;

use super::Likelihood;
use super::special::{log_sum_exp, softplus};
use crate::kernel::{Real, sigmoid};
use crate::rng::Stream;

/// Two levels; eta = (logit of level 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bernoulli;

impl<F: Real> Likelihood<F> for Bernoulli {
    fn width(&self) -> usize {
        1
    }

    fn outcomes(&self) -> usize {
        2
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let a = eta[0];
        d_eta[0] = x - sigmoid(a);
        // ln σ(±a) = −softplus(∓a)
        if x > F::of(0.5) { -softplus(-a) } else { -softplus(a) }
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        out[1] = sigmoid(eta[0]);
        out[0] = F::one() - out[1];
    }

    fn sample(&self, eta: &[F], rng: &mut Stream) -> F {
        let u: f64 = rng.random();
        if u < sigmoid(eta[0]).f64() { F::one() } else { F::zero() }
    }
}

/// Several levels; eta = one logit a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Categorical {
    pub levels: usize,
}

impl<F: Real> Likelihood<F> for Categorical {
    fn width(&self) -> usize {
        self.levels
    }

    fn outcomes(&self) -> usize {
        self.levels
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let code = x.f64() as usize;
        self.expected(eta, d_eta);
        let value = eta[code] - log_sum_exp(eta);
        d_eta.iter_mut().for_each(|d| *d = -*d);
        d_eta[code] += F::one();
        value
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        let top = eta.iter().copied().fold(F::neg_infinity(), F::max);
        let mut total = F::zero();
        for (o, &e) in out.iter_mut().zip(eta) {
            *o = (e - top).fast_exp();
            total += *o;
        }
        out.iter_mut().for_each(|o| *o /= total);
    }

    fn sample(&self, eta: &[F], rng: &mut Stream) -> F {
        let mut p = vec![F::zero(); self.levels];
        self.expected(eta, &mut p);
        let mut u = rng.random::<f64>();
        for (code, p) in p.iter().enumerate() {
            u -= p.f64();
            if u < 0.0 {
                return F::of(code as f64);
            }
        }
        // Rounding left a sliver beyond the last level: the most probable one takes it.
        let best = (0..self.levels).max_by(|&a, &b| p[a].f64().total_cmp(&p[b].f64()));
        F::of(best.unwrap_or(0) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_meet_scipy() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../../fixtures/scipy_densities.json")).unwrap();
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{got} {want}");
        let cases = golden["bernoulli"].as_array().unwrap();
        for c in cases {
            close(Bernoulli.log_prob(&[number(&c["logit"])], number(&c["x"])), number(&c["log_prob"]));
        }
        let cases_c = golden["categorical"].as_array().unwrap();
        for c in cases_c {
            let logits: Vec<f64> = c["logits"].as_array().unwrap().iter().map(number).collect();
            let law = Categorical { levels: logits.len() };
            close(law.log_prob(&logits, number(&c["code"])), number(&c["log_prob"]));
        }
        assert!(cases.len() >= 10 && cases_c.len() >= 10);
    }
}
