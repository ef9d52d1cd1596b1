//! The one quantity with four uses, `log w`, and the bound made of it with its gradient.
//!
//! ```text
//! log w_k = Σ_{j ∈ h} log p(x_j | z_k, x_v) + β [ log p(z_k | x_v) − log q(z_k | x_o) ]      z_k ~ q(z | x_o)
//! log w_k = Σ_{j ∈ h} log p(x_j | z_k, x_v)                                                 z_k ~ p(z | x_v)
//! bound   = log Σ_k w_k − log K
//! ```
//! The first is the ELBO for K = 1 (Kingma & Welling 2014) and IWAE for K > 1 (Burda et al. 2016), over observed cells
//! only (Mattei & Frellsen 2019), conditional on what is visible (Ivanov et al. 2019); the second trains the path that
//! fills take (Sohn et al. 2015, section 4.2). β warms the divergence up.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use crate::kernel::Real;
use crate::likelihood::{Head, Likelihood, log_sum_exp};
use crate::model::net::Tape;
use crate::model::{Context, Decoded, Gaussians, Vae};

/// Rows of a minibatch shard.
#[derive(Debug)]
pub(crate) struct Batch<F> {
    /// Features of the visible cells, (n, features), and how many are visible, (n,).
    pub visible: Array2<F>,
    pub count: Array1<usize>,
    /// Where z comes from.
    pub proposal: Proposal<F>,
    /// (n, d) in model units.
    pub target: Array2<F>,
    /// (n, d): the hidden cells, which are scored.
    pub scored: Array2<bool>,
}

/// Where the latent points come from.
#[derive(Debug)]
pub(crate) enum Proposal<F> {
    /// q(z | x_o), from the features of all observed cells, (n, features).
    Encoder(Array2<F>),
    /// p(z | x_v): the path of fills.
    Prior,
}

/// The gradient's estimator for the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Estimator {
    /// The derivative of the bound itself.
    #[cfg(test)]
    Pathwise,
    /// Doubly reparameterised (Tucker et al. 2019, eq. 8): same mean, less noise as K grows.
    DoublyReparameterised,
}

/// A forward pass up to the weights.
struct Pass<F> {
    context: Context<F>,
    encoder: Option<(Tape<F>, Gaussians<F>)>,
    decoded: Decoded<F>,
    /// ∂ Σ_j log p(x_j | z) / ∂ η, (n K, outputs).
    d_eta: Array2<F>,
    /// (n, K).
    log_w: Array2<F>,
}

fn forward<F: Real>(vae: &Vae, w: &[F], batch: &Batch<F>, noise: ArrayView2<F>, beta: F) -> Pass<F> {
    let n = batch.target.nrows();
    let k = noise.nrows() / n.max(1);
    let context = vae.condition(w, batch.visible.view(), batch.count.view());
    let encoder = match &batch.proposal {
        Proposal::Encoder(observed) => Some(vae.encode(w, observed.view())),
        Proposal::Prior => None,
    };
    let proposal = encoder.as_ref().map_or(&context.prior, |(_, q)| q);
    let z = proposal.sample(noise, k);
    let decoded = vae.decode(w, &context, z, k);
    let mut d_eta = Array2::zeros(decoded.eta.raw_dim());
    let mut log_w = Array2::zeros((n, k));
    for i in 0..n {
        let target = batch.target.row(i);
        let scored = batch.scored.row(i);
        for l in 0..k {
            let r = i * k + l;
            let eta = decoded.eta.row(r);
            let mut d_eta = d_eta.row_mut(r);
            let (eta, d_eta) = (eta.to_slice().expect("standard layout"), d_eta.as_slice_mut().expect("standard layout"));
            let mut total = log_prob(
                &vae.heads,
                eta,
                target.to_slice().expect("standard layout"),
                scored.to_slice().expect("standard layout"),
                d_eta,
            );
            if let Some((_, q)) = &encoder {
                total += beta
                    * log_prior_over_proposal(
                        &context.prior,
                        q,
                        i,
                        decoded.z.row(r).to_slice().expect("standard layout"),
                        noise.row(r).to_slice().expect("standard layout"),
                    );
            }
            log_w[(i, l)] = total;
        }
    }
    Pass { context, encoder, decoded, d_eta, log_w }
}

/// Σ over the scored cells of ln p(x_j | η_j), nats; ∂/∂η is written for those cells' heads.
pub(crate) fn log_prob<F: Real>(heads: &[Head], eta: &[F], target: &[F], scored: &[bool], d_eta: &mut [F]) -> F {
    let mut total = F::zero();
    for head in heads {
        if scored[head.column] {
            total += head.law.log_prob_grad(&eta[head.eta.clone()], target[head.column], &mut d_eta[head.eta.clone()]);
        }
    }
    total
}

/// log p(z | x_v) − log q(z | x_o) of row `i`; the normal constants cancel.
fn log_prior_over_proposal<F: Real>(prior: &Gaussians<F>, q: &Gaussians<F>, i: usize, z: &[F], noise: &[F]) -> F {
    let half = F::of(0.5);
    let mut total = F::zero();
    for (u, (&z, &e)) in z.iter().zip(noise).enumerate() {
        let t = (z - prior.mean[(i, u)]) * (-prior.ln_sd[(i, u)]).fast_exp();
        total += half * (e * e - t * t) + q.ln_sd[(i, u)] - prior.ln_sd[(i, u)];
    }
    total
}

/// log w, (n, K): `noise` is (n K, latent) standard normal, the draws of a row next to each other.
pub(crate) fn log_weights<F: Real>(vae: &Vae, w: &[F], batch: &Batch<F>, noise: ArrayView2<F>) -> Array2<F> {
    forward(vae, w, batch, noise, F::one()).log_w
}

/// The bound of each row, (n,), nats in model units.
pub(crate) fn bound<F: Real>(log_w: &Array2<F>) -> Array1<F> {
    let ln_k = F::of(log_w.ncols() as f64).ln();
    log_w.map_axis(Axis(1), |row| log_sum_exp(row.to_slice().expect("standard layout")) - ln_k)
}

/// The sum of the rows' bounds; its gradient is added to `grad`.
pub(crate) fn bound_and_grad<F: Real>(
    vae: &Vae,
    w: &[F],
    batch: &Batch<F>,
    noise: ArrayView2<F>,
    beta: F,
    estimator: Estimator,
    grad: &mut [F],
) -> F {
    let Pass { context, encoder, decoded, mut d_eta, log_w } = forward(vae, w, batch, noise, beta);
    let (n, k) = log_w.dim();
    let bounds = bound(&log_w);
    let mut share = log_w;
    for mut row in share.rows_mut() {
        let total = log_sum_exp(row.as_slice().expect("standard layout"));
        row.mapv_inplace(|l| (l - total).fast_exp());
    }
    for (r, mut d_eta) in d_eta.rows_mut().into_iter().enumerate() {
        let share = share[(r / k, r % k)];
        d_eta.mapv_inplace(|d| d * share);
    }
    let (dz, d_context) = vae.decode_backward(w, batch.visible.view(), &context, &decoded, &d_eta, grad);
    let latent = vae.latent;
    let prior = &context.prior;
    let mut d_prior = (Array2::<F>::zeros((n, latent)), Array2::<F>::zeros((n, latent)));
    let mut d_encoder = (Array2::<F>::zeros((n, latent)), Array2::<F>::zeros((n, latent)));
    for r in 0..n * k {
        let i = r / k;
        let share = share[(i, r % k)];
        for u in 0..latent {
            let (at, e, g) = ((i, u), noise[(r, u)], dz[(r, u)]);
            let Some((_, q)) = &encoder else {
                d_prior.0[at] += g;
                d_prior.1[at] += g * prior.ln_sd[at].fast_exp() * e;
                continue;
            };
            let precision = (-prior.ln_sd[at]).fast_exp();
            let t = (decoded.z[(r, u)] - prior.mean[at]) * precision;
            d_prior.0[at] += share * beta * t * precision;
            d_prior.1[at] += share * beta * (t * t - F::one());
            let sd = q.ln_sd[at].fast_exp();
            // ∂ log w / ∂ z along the path, weighted by w̃ (or w̃² for the doubly reparameterised estimator).
            let (through, direct) = match estimator {
                #[cfg(test)]
                Estimator::Pathwise => (g - share * beta * t * precision, share * beta),
                Estimator::DoublyReparameterised => (share * (g + share * beta * (e / sd - t * precision)), F::zero()),
            };
            d_encoder.0[at] += through;
            d_encoder.1[at] += through * sd * e + direct;
        }
    }
    let joined = |d: (Array2<F>, Array2<F>), slope: &Array2<F>| {
        concatenate(Axis(1), &[d.0.view(), (d.1 * slope).view()]).expect("both halves have n rows")
    };
    if let (Some((tape, q)), Proposal::Encoder(observed)) = (&encoder, &batch.proposal) {
        vae.encode_backward(w, observed.view(), tape, joined(d_encoder, &q.slope).view(), grad);
    }
    vae.condition_backward(w, batch.visible.view(), &context, joined(d_prior, &prior.slope), d_context, grad);
    bounds.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::Scaling;
    use crate::data::schema::{ColumnKind, Schema, SchemaOptions};
    use crate::data::table::Table;
    use crate::likelihood::heads;
    use crate::rng::{Purpose, stream};
    use ::polars::prelude::{DataFrame, IntoColumn, NamedFrom, Series};
    use ndarray::s;
    use ndarray_rand::RandomExt;
    use ndarray_rand::rand_distr::StandardNormal;
    use std::sync::Arc;

    /// The heads of a frame's columns, each of its first family.
    fn heads_of(df: &DataFrame, options: &SchemaOptions) -> Vec<Head> {
        let schema = Arc::new(Schema::infer_with(df, options).unwrap());
        let scaling = Scaling::fit(&Table::from_frame(df, &schema).unwrap());
        let families: Vec<_> = schema.modelled_columns().map(|c| vec![c.family().unwrap()]).collect();
        heads(schema.modelled_columns().zip(&families), &scaling).unwrap()
    }

    /// A model over columns of four families, features of random numbers, three rows with different gaps.
    fn small() -> (Vae, Vec<f64>, Batch<f64>) {
        let text = |v: [&str; 3]| Series::new("c".into(), v.to_vec()).into_column();
        let columns = vec![
            Series::new("a".into(), vec![0.5, 1.0, 2.5]).into_column(),
            Series::new("b".into(), vec![true, false, true]).into_column(),
            text(["x", "y", "z"]),
            Series::new("d".into(), vec![0.5, 1.0, 2.5]).into_column(),
        ];
        let df = DataFrame::new(3, columns).unwrap();
        let mut options = SchemaOptions::default().kind("d", ColumnKind::Continuous);
        options.columns[0].family = Some(crate::data::schema::Family::StudentT);
        let vae = Vae::new(6, heads_of(&df, &options), 2, 5, 1);
        let mut rng = stream(3, Purpose::Init, 0);
        let mut normal = |shape: (usize, usize)| Array2::<f64>::random_using(shape, StandardNormal, &mut rng);
        let w = (normal((1, vae.weights)) * 0.4).into_raw_vec_and_offset().0;
        let mut visible = normal((3, 6));
        visible.row_mut(2).fill(0.0);
        let batch = Batch {
            visible,
            count: Array1::from(vec![2, 1, 0]),
            proposal: Proposal::Encoder(normal((3, 6))),
            target: ndarray::arr2(&[[0.3, 1.0, 2.0, -0.4], [1.1, 0.0, 0.0, 0.2], [-0.5, 0.0, 1.0, 2.0]]),
            scored: ndarray::arr2(&[[true, false, true, false], [false, true, true, true], [true, true, true, true]]),
        };
        (vae, w, batch)
    }

    fn noise(k: usize, seed: u64) -> Array2<f64> {
        Array2::random_using((3 * k, 2), StandardNormal, &mut stream(seed, Purpose::Train, 0))
    }

    fn check(w: &mut [f64], grad: &[f64], range: std::ops::Range<usize>, value: impl Fn(&[f64]) -> f64) {
        let h = 1e-5;
        for i in range {
            let at = w[i];
            w[i] = at + h;
            let up = value(w);
            w[i] = at - h;
            let down = value(w);
            w[i] = at;
            let want = (up - down) / (2.0 * h);
            assert!((grad[i] - want).abs() < 2e-7 * (1.0 + want.abs()), "weight {i}: {} {want}", grad[i]);
        }
    }

    #[test]
    fn the_whole_bound_meets_central_differences() {
        for prior_path in [false, true] {
            let (vae, mut w, mut batch) = small();
            if prior_path {
                batch.proposal = Proposal::Prior;
            }
            let e = noise(3, 1);
            let mut grad = vec![0.0; vae.weights];
            let beta = if prior_path { 1.0 } else { 0.7 };
            bound_and_grad(&vae, &w, &batch, e.view(), beta, Estimator::Pathwise, &mut grad);
            check(&mut w, &grad, 0..vae.weights, |w| bound(&forward(&vae, w, &batch, e.view(), beta).log_w).sum());
        }
    }

    #[test]
    fn the_doubly_reparameterised_gradient_is_that_of_its_surrogate() {
        // Tucker et al. (2019), eq. 8: Σ_k w̃_k² ∂ log w_k/∂z_k ∂z_k/∂φ, the density of q itself held fixed. Moving φ
        // moves z; the same z is reached under the fixed q by other noise.
        let (vae, mut w, batch) = small();
        let e = noise(3, 2);
        let mut grad = vec![0.0; vae.weights];
        bound_and_grad(&vae, &w, &batch, e.view(), 1.0, Estimator::DoublyReparameterised, &mut grad);
        let fixed = w.clone();
        let Proposal::Encoder(observed) = &batch.proposal else { unreachable!() };
        let (_, q) = vae.encode(&fixed, observed.view());
        let mut share = log_weights(&vae, &fixed, &batch, e.view());
        for mut row in share.rows_mut() {
            let total = log_sum_exp(row.as_slice().unwrap());
            row.mapv_inplace(|l| (2.0 * (l - total)).exp());
        }
        check(&mut w, &grad, vae.encoder_weights(), |w| {
            let (_, moved) = vae.encode(w, observed.view());
            let z = moved.sample(e.view(), 3);
            let equal = Array2::from_shape_fn(z.raw_dim(), |(r, u)| (z[(r, u)] - q.mean[(r / 3, u)]) / q.ln_sd[(r / 3, u)].exp());
            (&share * &log_weights(&vae, &fixed, &batch, equal.view())).sum()
        });
    }

    #[test]
    fn with_nothing_visible_the_prior_is_standard_normal_whatever_the_weights() {
        let (vae, w, batch) = small();
        let context = vae.condition(&w, batch.visible.view(), batch.count.view());
        assert!(context.prior.mean.row(2).iter().chain(context.prior.ln_sd.row(2)).all(|&x| x == 0.0));
        assert!(context.prior.mean.row(0).iter().all(|&x| x != 0.0));
    }

    #[test]
    fn the_divergence_meets_its_closed_form() {
        // With nothing scored and nothing visible E[log w] = −KL(q ‖ N(0, I)) = ½ Σ (1 + ln σ² − μ² − σ²).
        let (vae, w, mut batch) = small();
        batch.scored.fill(false);
        let k = 40_000;
        let log_w = log_weights(&vae, &w, &batch, noise(k, 4).view());
        let Proposal::Encoder(observed) = &batch.proposal else { unreachable!() };
        let (_, q) = vae.encode(&w, observed.view());
        let terms = q.mean.mapv(|m| -m * m) + q.ln_sd.mapv(|l| 1.0 + 2.0 * l - (2.0 * l).exp());
        let want = 0.5 * terms.row(2).sum();
        let row = log_w.row(2);
        let mean = row.mean().unwrap();
        let error = row.std(1.0) / (k as f64).sqrt();
        assert!((mean - want).abs() < 4.0 * error, "{mean} ± {error}, {want}");
    }

    /// Factor analysis inside the model: x = Λ z + ε, ε ~ N(0, diag ψ²), everything else at zero. Closed forms with the
    /// 2 × 2 precision P = I + Λ_oᵀ ψ_o⁻² Λ_o (matrix determinant and inversion lemmas).
    #[test]
    fn the_linear_gaussian_oracle() {
        let columns = ["a", "b", "c", "d"].map(|c| Series::new(c.into(), vec![0.5, 1.0, 2.5]).into_column());
        let df = DataFrame::new(3, columns.to_vec()).unwrap();
        let vae = Vae::new(3, heads_of(&df, &SchemaOptions::default()), 2, 4, 1);
        let loading = [[1.0, 0.2], [-0.7, 0.9], [0.3, 1.1], [0.8, -0.5]];
        let ln_psi = [-0.4, -0.1, -0.3, -0.6];
        let mut w = vec![0.0; vae.weights];
        let (linear, bias) = vae.linear_decoder();
        for j in 0..4 {
            for u in 0..2 {
                w[linear.start + u * 8 + 2 * j] = loading[j][u];
            }
            // bounded(ρ) = ln ψ, inverted: ρ = l / √(1 − (l/4)²).
            let l: f64 = ln_psi[j];
            w[bias.start + 2 * j + 1] = l / (1.0 - (l / 4.0).powi(2)).sqrt();
        }
        let x = [0.9, -0.4, 1.3, 0.2];
        let observed = [true, true, false, true];
        let (mut p, mut h) = ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]);
        let (mut ln_det, mut quadratic, mut count) = (0.0, 0.0, 0.0);
        for j in (0..4).filter(|&j| observed[j]) {
            let precision = (-2.0 * ln_psi[j]).exp();
            for u in 0..2 {
                h[u] += loading[j][u] * x[j] * precision;
                (0..2).for_each(|v| p[u][v] += loading[j][u] * loading[j][v] * precision);
            }
            ln_det += 2.0 * ln_psi[j];
            quadratic += x[j] * x[j] * precision;
            count += 1.0;
        }
        let det: f64 = p[0][0] * p[1][1] - p[0][1] * p[1][0];
        let z = [(p[1][1] * h[0] - p[0][1] * h[1]) / det, (p[0][0] * h[1] - p[1][0] * h[0]) / det];
        let ln_likelihood =
            -0.5 * (count * (2.0 * std::f64::consts::PI).ln() + ln_det + det.ln() + quadratic - h[0] * z[0] - h[1] * z[1]);
        let conditional_mean = loading[2][0] * z[0] + loading[2][1] * z[1];

        let batch = Batch {
            visible: Array2::zeros((1, 3)),
            count: Array1::zeros(1),
            proposal: Proposal::Encoder(Array2::zeros((1, 3))),
            target: ndarray::aview1(&x).insert_axis(Axis(0)).to_owned(),
            scored: ndarray::aview1(&observed).insert_axis(Axis(0)).to_owned(),
        };
        let mut before = f64::NEG_INFINITY;
        for (k, gap) in [(1, f64::INFINITY), (10, 0.5), (100, 0.06), (1000, 0.006)] {
            let repeats = 40_000 / k;
            let bounds: Array1<f64> = (0..repeats)
                .map(|r| {
                    let e =
                        Array2::random_using((k, 2), StandardNormal, &mut stream(9, Purpose::Train, (k * 100_000 + r) as u64));
                    bound(&log_weights(&vae, &w, &batch, e.view()))[0]
                })
                .collect();
            let mean = bounds.mean().unwrap();
            let error = bounds.std(1.0) / (repeats as f64).sqrt();
            assert!(mean < ln_likelihood + 3.0 * error, "K = {k}: {mean} ± {error} is above {ln_likelihood}");
            assert!(mean > before, "K = {k}: {mean} is not above {before}");
            assert!(ln_likelihood - mean < gap, "K = {k}: {mean} is far below {ln_likelihood}");
            before = mean;
        }
        // The fill: with q = N(0, I) the noise is z, and softmax(log w) weighs the draws.
        let k = 60_000;
        let e = Array2::random_using((k, 2), StandardNormal, &mut stream(10, Purpose::Train, 0));
        let log_w = log_weights(&vae, &w, &batch, e.view());
        let total = log_sum_exp(log_w.row(0).to_slice().unwrap());
        let context = vae.condition(&w, batch.visible.view(), batch.count.view());
        let eta = vae.decode(&w, &context, e.clone(), k).eta;
        let fill: f64 = eta.slice(s![.., 4]).iter().zip(log_w.row(0)).map(|(m, l)| m * (l - total).exp()).sum();
        assert!((fill - conditional_mean).abs() < 0.01, "{fill} {conditional_mean}");
    }
}
