//! Levels: Bernoulli, categorical and ordinal, a cell being the code of its level; and numbers of few distinct values.

use std::sync::Arc;

use ndarray_rand::rand::Rng;

use super::special::{normal_upper, softplus};
use super::{LN_SCALE_LIMIT, Likelihood};
use crate::data::classes::UNSEEN;
use crate::data::marginal::VALUES_MOST;
use crate::kernel::{Real, bounded, sigmoid};
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

    fn sample_with(&self, eta: &[F], normal: f64, _: &mut Stream) -> F {
        // The second level where the noise is high.
        if normal_upper(normal) < sigmoid(eta[0]).f64() { F::one() } else { F::zero() }
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

    #[inline(always)]
    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let code = x.f64() as usize;
        d_eta.copy_from_slice(eta);
        let value = eta[code] - softmax(d_eta);
        d_eta.iter_mut().for_each(|d| *d = -*d);
        d_eta[code] += F::one();
        value
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        out.copy_from_slice(eta);
        softmax(out);
    }

    fn sample_with(&self, eta: &[F], _: f64, rng: &mut Stream) -> F {
        let mut p = vec![F::zero(); self.levels];
        self.expected(eta, &mut p);
        F::of(pick(&p, rng.random()) as f64)
    }
}

/// The code at `u`, from 0 to 1, along probabilities laid end to end.
fn pick<F: Real>(p: &[F], mut u: f64) -> usize {
    for (code, p) in p.iter().enumerate() {
        u -= p.f64();
        if u < 0.0 {
            return code;
        }
    }
    // Rounding left a sliver beyond the last level: the most probable one takes it.
    (0..p.len()).max_by(|&a, &b| p[a].f64().total_cmp(&p[b].f64())).unwrap_or(0)
}

/// Logits to probabilities in place; returns ln Σ e^{logit}.
#[inline(always)]
fn softmax<F: Real>(logits: &mut [F]) -> F {
    // A NaN among them makes the total one.
    let top = lanes(logits, F::neg_infinity(), |a, b| if b > a { b } else { a });
    logits.iter_mut().for_each(|l| *l = (*l - top).fast_exp());
    let total = lanes(logits, F::zero(), |a, b| a + b);
    let share = F::one() / total;
    logits.iter_mut().for_each(|l| *l *= share);
    top + total.ln()
}

/// Folds in an order that vectorises: every so many-th number by itself, then these.
#[inline(always)]
fn lanes<F: Real>(x: &[F], first: F, fold: impl Fn(F, F) -> F) -> F {
    const LANES: usize = 8;
    let mut lanes = [first; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut take = |chunk: &[F]| lanes.iter_mut().zip(chunk).for_each(|(l, &x)| *l = fold(*l, x));
    chunks.for_each(&mut take);
    take(rest);
    lanes.into_iter().fold(first, fold)
}

/// Levels in order: cumulative logits (McCullagh 1980) and an offset a level, so that codes that are not one scale fit too;
/// eta = (μ, ρ, o_1 … o_L). With all at zero each level has its share.
#[derive(Clone, Debug)]
pub(crate) struct Ordinal {
    /// Logits of the cumulative shares, ascending: one fewer than levels.
    thresholds: Arc<[f64]>,
}

impl Ordinal {
    /// From the share of each level, and [`UNSEEN`].
    pub fn new(share: &[f64]) -> Ordinal {
        let total = 1.0 + UNSEEN * share.len() as f64;
        let mut below = 0.0;
        let cumulative = share[..share.len() - 1].iter().map(|s| {
            below += (s + UNSEEN) / total;
            (below / (1.0 - below)).ln()
        });
        Ordinal { thresholds: cumulative.collect() }
    }

    fn levels(&self) -> usize {
        self.thresholds.len() + 1
    }

    /// The cumulative logits just below and just above a level, None beyond the ends.
    fn edges<F: Real>(&self, code: usize, mean: F, precision: F) -> (Option<F>, Option<F>) {
        let edge = |i: usize| self.thresholds.get(i).map(|&t| (F::of(t) - mean) * precision);
        (code.checked_sub(1).and_then(edge), edge(code))
    }

    /// Writes the logits: ln of the cumulative model's probability, plus the offset.
    fn logits<F: Real>(&self, eta: &[F], out: &mut [F]) {
        let precision = (-bounded(eta[1], LN_SCALE_LIMIT).0).fast_exp();
        for (code, out) in out.iter_mut().enumerate() {
            *out = eta[2 + code] + ln_between(self.edges(code, eta[0], precision));
        }
    }
}

/// ln(σ(b) − σ(a)) = ln σ(b) + ln σ(−a) + ln(1 − e^{a − b}).
fn ln_between<F: Real>((a, b): (Option<F>, Option<F>)) -> F {
    let below = b.map_or(F::zero(), |b| -softplus(-b));
    let above = a.map_or(F::zero(), |a| -softplus(a));
    match (a, b) {
        (Some(a), Some(b)) => below + above + (-(a - b).exp_m1()).ln(),
        _ => below + above,
    }
}

/// Its derivatives by μ and ln scale, where a = (t − μ) / scale.
fn ln_between_slopes<F: Real>((a, b): (Option<F>, Option<F>), precision: F) -> (F, F) {
    let (down, up) = (a.map_or(F::zero(), sigmoid), b.map_or(F::zero(), |b| sigmoid(-b)));
    let mut by_scale = a.map_or(F::zero(), |a| a * down) - b.map_or(F::zero(), |b| b * up);
    if let (Some(a), Some(b)) = (a, b) {
        by_scale -= (b - a) / (b - a).exp_m1();
    }
    (precision * (down - up), by_scale)
}

impl<F: Real> Likelihood<F> for Ordinal {
    fn width(&self) -> usize {
        2 + self.levels()
    }

    fn outcomes(&self) -> usize {
        self.levels()
    }

    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let code = x.f64() as usize;
        let (slopes, offsets) = d_eta.split_at_mut(2);
        self.logits(eta, offsets);
        let logit = offsets[code];
        let value = logit - softmax(offsets);
        let (ln_scale, slope) = bounded(eta[1], LN_SCALE_LIMIT);
        let precision = (-ln_scale).fast_exp();
        slopes.fill(F::zero());
        for (level, d) in offsets.iter_mut().enumerate() {
            *d = if level == code { F::one() - *d } else { -*d };
            let (by_mean, by_scale) = ln_between_slopes(self.edges(level, eta[0], precision), precision);
            slopes[0] += *d * by_mean;
            slopes[1] += *d * by_scale * slope;
        }
        value
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        self.logits(eta, out);
        softmax(out);
    }

    fn sample_with(&self, eta: &[F], normal: f64, _: &mut Stream) -> F {
        let mut p = vec![F::zero(); self.levels()];
        self.expected(eta, &mut p);
        F::of(pick(&p, normal_upper(-normal)) as f64)
    }
}

/// Values with this share of the cells at least have an offset of their own in a discretised law.
const OFFSET_LEAST: f64 = 0.02;

/// Numbers of few distinct values: the shares of the values, tilted towards a normal density, and by an offset for each of
/// the m frequent values; eta = (μ, ρ, o_1 … o_m). With all at zero each value has its share. It can be narrower than any
/// count distribution, and have several modes.
///
/// A number that is none of the values scores as the nearest of them, less its distance.
#[derive(Clone, Debug)]
pub(crate) struct Discretised {
    /// In model units; ascending.
    values: Arc<[f64]>,
    /// The values held within ± 3, in order: far ones do not rule the tilt.
    places: Arc<[f64]>,
    /// ln share + place²/2, which makes the tilt nothing at μ = 0, σ = 1.
    bases: Arc<[f64]>,
    /// Which of the values are frequent.
    frequent: Arc<[usize]>,
}

/// Where a number in model units stands for the tilt.
#[inline(always)]
pub(super) fn place<F: Real>(x: F) -> F {
    bounded(x, 3.0).0
}

impl Discretised {
    /// From the distinct values in model units, ascending, with their shares; [`VALUES_MOST`] at most.
    pub fn new(values: impl Iterator<Item = (f64, f64)> + Clone) -> Discretised {
        let frequent = values.clone().enumerate().filter(|(_, (_, share))| *share >= OFFSET_LEAST).map(|(i, _)| i);
        Discretised {
            frequent: frequent.collect(),
            values: values.clone().map(|(value, _)| value).collect(),
            places: values.clone().map(|(value, _)| place(value)).collect(),
            bases: values.map(|(value, share)| share.ln() + 0.5 * place(value) * place(value)).collect(),
        }
    }

    /// Writes the probabilities of the values and returns the logit of value `code` less ln Σ e^{logit}.
    #[inline(always)]
    fn probabilities<F: Real>(&self, eta: &[F], code: usize, p: &mut [F]) -> F {
        let precision = (-bounded(eta[1], LN_SCALE_LIMIT).0).fast_exp();
        for ((p, &place), &base) in p.iter_mut().zip(self.places.iter()).zip(self.bases.iter()) {
            let t = (F::of(place) - eta[0]) * precision;
            *p = F::of(base) - F::of(0.5) * t * t;
        }
        self.frequent.iter().zip(&eta[2..]).for_each(|(&i, &offset)| p[i] += offset);
        let logit = p[code];
        logit - softmax(p)
    }

    /// The place of the value nearest to `x`, and how far that is.
    pub fn nearest<F: Real>(&self, x: F) -> (usize, F) {
        let above = self.values.partition_point(|&v| F::of(v) < x);
        let distance = |i: usize| (x - F::of(self.values[i])).abs();
        let last = self.values.len() - 1;
        let (below, above) = (above.saturating_sub(1), above.min(last));
        if distance(below) < distance(above) { (below, distance(below)) } else { (above, distance(above)) }
    }
}

impl<F: Real> Likelihood<F> for Discretised {
    fn width(&self) -> usize {
        2 + self.frequent.len()
    }

    fn outcomes(&self) -> usize {
        1
    }

    #[inline(always)]
    fn log_prob_grad(&self, eta: &[F], x: F, d_eta: &mut [F]) -> F {
        let (code, distance) = self.nearest(x);
        let mut room = [F::zero(); VALUES_MOST];
        let d = &mut room[..self.values.len()];
        let value = self.probabilities(eta, code, d);
        let (ln_scale, slope) = bounded(eta[1], LN_SCALE_LIMIT);
        let precision = (-ln_scale).fast_exp();
        d.iter_mut().for_each(|d| *d = -*d);
        d[code] += F::one();
        self.frequent.iter().zip(&mut d_eta[2..]).for_each(|(&i, d_offset)| *d_offset = d[i]);
        // Σ d t and Σ d t².
        let mut by = [F::zero(); 2];
        for by in &mut by {
            d.iter_mut().zip(self.places.iter()).for_each(|(d, &place)| *d *= (F::of(place) - eta[0]) * precision);
            *by = lanes(d, F::zero(), |a, b| a + b);
        }
        d_eta[0] = by[0] * precision;
        d_eta[1] = by[1] * slope;
        value - distance
    }

    fn expected(&self, eta: &[F], out: &mut [F]) {
        let mut room = [F::zero(); VALUES_MOST];
        let p = &mut room[..self.values.len()];
        self.probabilities(eta, 0, p);
        out[0] = p.iter().zip(self.values.iter()).fold(F::zero(), |sum, (&p, &v)| sum + p * F::of(v));
    }

    fn sample_with(&self, eta: &[F], normal: f64, _: &mut Stream) -> F {
        let mut room = [F::zero(); VALUES_MOST];
        let p = &mut room[..self.values.len()];
        self.probabilities(eta, 0, p);
        F::of(self.values[pick(p, normal_upper(-normal))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::golden::{self, list, number};

    #[test]
    fn densities_meet_scipy() {
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{got} {want}");
        let cases = golden::cases("bernoulli");
        for c in &cases {
            close(Bernoulli.log_prob(&[number(&c["logit"])], number(&c["x"])), number(&c["log_prob"]));
        }
        let cases_c = golden::cases("categorical");
        for c in &cases_c {
            let logits = list(&c["logits"]);
            let law = Categorical { levels: logits.len() };
            close(law.log_prob(&logits, number(&c["code"])), number(&c["log_prob"]));
        }
        assert!(cases.len() >= 10 && cases_c.len() >= 10);
    }

    /// The ρ whose scale is e^l: bounded(ρ) = l, inverted.
    fn rho(ln_scale: f64) -> f64 {
        ln_scale / (1.0 - (ln_scale / LN_SCALE_LIMIT).powi(2)).sqrt()
    }

    #[test]
    fn ordered_levels_meet_scipy() {
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-11 * (1.0 + want.abs()), "{got} {want}");
        let cases = golden::cases("ordinal");
        for c in &cases {
            let shares = list(&c["shares"]);
            let mut eta = vec![0.0; 2 + shares.len()];
            (eta[0], eta[1]) = (number(&c["mean"]), rho(number(&c["log_scale"])));
            close(Ordinal::new(&shares).log_prob(&eta, number(&c["code"])), number(&c["log_prob"]));
        }
        let cases_d = golden::cases("discretised");
        for c in &cases_d {
            let (values, shares) = (list(&c["values"]), list(&c["shares"]));
            let mut law = Discretised::new(values.iter().copied().zip(shares.iter().copied()));
            // The golden normal is in the values themselves, not in places within ± 3.
            law.places = law.values.clone();
            law.bases = values.iter().zip(&shares).map(|(v, s)| s.ln() + 0.5 * v * v).collect();
            let mut eta = vec![0.0; 2 + values.len()];
            (eta[0], eta[1]) = (number(&c["mean"]), rho(number(&c["log_sd"])));
            close(law.log_prob(&eta, number(&c["x"])), number(&c["log_prob"]));
        }
        assert!(cases.len() >= 100 && cases_d.len() >= 40);
    }

    #[test]
    fn at_zero_every_level_has_its_share_and_offsets_part_neighbours() {
        let shares = [0.1, 0.5, 0.01, 0.39];
        let mut p = [0.0; 4];
        Ordinal::new(&shares).expected(&[0.0; 6], &mut p);
        assert!(p.iter().zip(shares).all(|(p, s)| (p - (s + 0.005) / 1.02).abs() < 1e-12), "{p:?}");
        // Codes that are not one scale: levels 0 and 3, not those between.
        Ordinal::new(&shares).expected(&[0.0, 0.0, 5.0, -5.0, -5.0, 5.0], &mut p);
        assert!(p[0] > 0.15 && p[3] > 0.75, "{p:?}");

        let law = Discretised::new([-1.0, 0.0, 2.0, 9.0].into_iter().zip(shares));
        assert_eq!(Likelihood::<f64>::width(&law), 2 + 3);
        for (x, share) in [-1.0, 0.0, 2.0, 9.0].into_iter().zip(shares) {
            assert!((law.log_prob(&[0.0f64; 5], x).exp() - share).abs() < 1e-12);
        }
        // A number never seen is its nearest neighbour, less likely the farther it is.
        assert!((law.log_prob(&[0.0; 5], 12.0f64) - law.log_prob(&[0.0; 5], 9.0) + 3.0).abs() < 1e-12);
    }
}
