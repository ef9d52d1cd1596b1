//! The one quantity with four uses, `log w`, and the bound made of it with its gradient.
//!
//! ```text
//! log w_k = Σ_{j ∈ h} log p(x_j | z_k, x_v) + β [ log p(z_k | x_v) − log q(z_k | x_o) ]      z_k ~ q(z | x_o)
//! log w_k = Σ_{j ∈ h} log p(x_j | z_k, x_v)                                                 z_k ~ p(z | x_v)
//! bound   = log Σ_k w_k − log K
//! ```
//! The first is the ELBO for K = 1 (Kingma & Welling 2014) and IWAE for K > 1 (Burda et al. 2016), over observed cells
//! only (Mattei & Frellsen 2019), conditional on what is visible (Ivanov et al. 2019); the second trains the path that
//! fills take (Sohn et al. 2015, section 4.2). β weighs the divergence ([`Divergence`]).

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::data::scaling::Features;
use crate::kernel::{PIECE, Real, vectorised};
use crate::likelihood::{Head, Likelihood, log_sum_exp};
use crate::model::net::{flat, flat_mut};
use crate::model::{Context, Decoded, Encoded, Gaussians, SHARD, Vae};

/// Rows of a minibatch shard.
#[derive(Debug)]
pub(crate) struct Batch<F> {
    /// Features of the visible cells, and how many are visible, (n,).
    pub visible: Features<F>,
    pub count: Array1<usize>,
    /// Where z comes from.
    pub proposal: Proposal,
    /// Features of all observed cells, for the encoder.
    pub observed: Features<F>,
    /// (n, d) in model units.
    pub target: Array2<F>,
    /// (n, d): the hidden cells, which are scored.
    pub scored: Array2<bool>,
    /// Whether the gradient by where a density lies and how wide it is counts for its σ: the likelihood alone gives it 1/σ², so that a
    /// network that has once taken cells for noise learns little more of them (β-NLL, Seitzer et al. 2022, eq. 4, β = 1/2; 1 beside a
    /// point mass). Levels count by the logarithm of their number. The bound's value stays as it is.
    pub by_scale: bool,
    /// Standard normal, (n K, latent), the draws of a row next to each other.
    pub noise: Array2<F>,
}

/// Where the latent points come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// q(z | x_o).
    Encoder,
    /// p(z | x_v): the path of fills.
    Prior,
}

impl<F: Real> Batch<F> {
    /// `n` rows with nothing visible and nothing scored, `k` draws each.
    pub fn new(vae: &Vae, n: usize, k: usize) -> Batch<F> {
        let d = vae.columns;
        Batch {
            visible: Features::new(vae.features, n),
            count: Array1::zeros(n),
            proposal: Proposal::Encoder,
            observed: Features::new(vae.features, n),
            target: Array2::zeros((n, d)),
            scored: Array2::from_elem((n, d), false),
            by_scale: false,
            noise: Array2::zeros((n * k, vae.latent)),
        }
    }

    /// The same with noise that all rows have in common, (k, latent).
    pub fn with_noise(vae: &Vae, n: usize, noise: ArrayView2<F>) -> Batch<F> {
        let k = noise.nrows();
        let each = Array2::from_shape_fn((n * k, vae.latent), |(r, u)| noise[(r % k, u)]);
        Batch { noise: each, ..Batch::new(vae, n, 0) }
    }
}

/// What the divergence of the encoder from the prior counts for in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Divergence<F> {
    /// β: grows to one, or stays below or above it.
    pub weight: F,
    /// Free bits λ (Kingma et al. 2016, appendix C.8): a unit costs nothing while its mean divergence is below so many nats, over those
    /// rows of a shard of which nothing is visible, and over the others.
    pub free: F,
}

impl<F: Real> Divergence<F> {
    /// The bound itself.
    pub const fn whole(one: F, zero: F) -> Divergence<F> {
        Divergence { weight: one, free: zero }
    }
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

/// A gradient of all weights that the first pass after [`Gradient::clear`] overwrites and the others add to.
#[derive(Clone, Debug)]
pub(crate) struct Gradient<F> {
    values: Vec<F>,
    /// How many of the weights are the encoder's, which not every pass uses.
    encoder: usize,
    written: bool,
    encoder_written: bool,
}

impl<F: Real> Gradient<F> {
    pub fn new(vae: &Vae) -> Gradient<F> {
        let values = vec![F::zero(); vae.weights];
        Gradient { values, encoder: vae.encoder_weights, written: false, encoder_written: false }
    }

    /// Forgets what was added up.
    pub fn clear(&mut self) {
        (self.written, self.encoder_written) = (false, false);
    }

    /// The sum of the passes since [`Gradient::clear`].
    pub fn values(&mut self) -> &[F] {
        if !self.encoder_written {
            self.values[..self.encoder].fill(F::zero());
            self.encoder_written = true;
        }
        if !self.written {
            self.values[self.encoder..].fill(F::zero());
            self.written = true;
        }
        &self.values
    }

    /// Adds another's sum, on all threads of the pool.
    pub fn add(&mut self, other: &mut Gradient<F>) {
        let other = other.values();
        self.values();
        let pieces = self.values.par_chunks_mut(PIECE).zip(other.par_chunks(PIECE));
        pieces.for_each(|(into, from)| crate::kernel::add(into, from));
    }
}

/// The buffers of a pass over a [`Batch`] of `n` rows with `k` draws each: made once, used for every step.
#[derive(Debug)]
pub(crate) struct Workspace<F> {
    context: Context<F>,
    encoded: Encoded<F>,
    decoded: Decoded<F>,
    /// (n, K): log w, and w̃ in the backward pass.
    log_w: Array2<F>,
    /// β of each unit, (latent,): of a shard's rows with nothing visible, and of its others.
    beta: Vec<[Vec<F>; 2]>,
    /// (n, width).
    dh: Array2<F>,
    d_eta: Array2<F>,
}

impl<F: Real> Workspace<F> {
    pub fn new(vae: &Vae, n: usize, k: usize) -> Workspace<F> {
        let decoded: Decoded<F> = vae.decoded(n, k);
        Workspace {
            context: vae.context(n),
            encoded: vae.encoded(n),
            log_w: Array2::zeros((n, k)),
            beta: (0..n.div_ceil(SHARD)).map(|_| [0, 1].map(|_| vec![F::one(); vae.latent])).collect(),
            dh: Array2::zeros((n, vae.prior.width)),
            d_eta: Array2::zeros(decoded.eta.raw_dim()),
            decoded,
        }
    }

    /// Says that the weights of the next backward pass are others than those of the last.
    pub fn forget_weights(&mut self) {
        for tape in [&mut self.context.tape, &mut self.encoded.tape, &mut self.decoded.tape] {
            tape.transposed.forget();
        }
        self.context.transposed.forget();
    }

    /// log w of the batch, (n, K).
    pub fn log_weights(&mut self, vae: &Vae, w: &[F], batch: &Batch<F>) -> &Array2<F> {
        self.forward(vae, w, batch, Divergence::whole(F::one(), F::zero()));
        &self.log_w
    }

    /// log w, and ∂ Σ_j log p(x_j | z) / ∂η in `d_eta`.
    fn forward(&mut self, vae: &Vae, w: &[F], batch: &Batch<F>, divergence: Divergence<F>) {
        let Workspace { context, encoded, decoded, log_w, d_eta, beta, .. } = self;
        vae.condition(w, &batch.visible, &batch.count, context);
        let proposal = match batch.proposal {
            Proposal::Encoder => {
                vae.encode(w, &batch.observed, encoded);
                beta.iter_mut().flatten().for_each(|b| b.fill(divergence.weight));
                if divergence.free > F::zero() {
                    for (shard, beta) in beta.iter_mut().enumerate() {
                        let of_shard = shard * SHARD..batch.count.len().min((shard + 1) * SHARD);
                        for (visible, beta) in beta.iter_mut().enumerate() {
                            let rows = of_shard.clone().filter(|&i| usize::from(batch.count[i] > 0) == visible);
                            open_units(&encoded.posterior, &context.prior, rows, divergence.free, beta);
                        }
                    }
                }
                &encoded.posterior
            }
            Proposal::Prior => &context.prior,
        };
        proposal.sample(batch.noise.view(), &mut decoded.z);
        vae.decode(w, context, decoded);
        let k = log_w.ncols();
        let (d, outputs, latent) = (vae.columns, vae.outputs, vae.latent);
        let (target, scored) = (flat(&batch.target), flat(&batch.scored));
        let (eta, d_eta) = (flat(&decoded.eta), flat_mut(d_eta));
        let (z, noise) = (flat(&decoded.z), flat(&batch.noise));
        let log_w = flat_mut(log_w);
        vectorised(
            #[inline(always)]
            || {
                d_eta.fill(F::zero());
                for (r, log_w) in log_w.iter_mut().enumerate() {
                    let i = r / k;
                    let cells = i * d..(i + 1) * d;
                    let at = r * outputs..(r + 1) * outputs;
                    *log_w = log_prob(&vae.heads, &eta[at.clone()], &target[cells.clone()], &scored[cells], &mut d_eta[at]);
                    if batch.proposal == Proposal::Encoder {
                        let at = r * latent..(r + 1) * latent;
                        let (z, noise) = (&z[at.clone()], &noise[at]);
                        let beta = &beta[i / SHARD][usize::from(batch.count[i] > 0)];
                        *log_w += log_prior_over_proposal(&context.prior, &encoded.posterior, i, z, noise, beta);
                    }
                }
            },
        );
    }

    /// The sum of the rows' bounds; its gradient is added to `grad`.
    pub fn bound_and_grad(
        &mut self,
        vae: &Vae,
        w: &[F],
        batch: &Batch<F>,
        divergence: Divergence<F>,
        estimator: Estimator,
        grad: &mut Gradient<F>,
    ) -> F {
        self.forward(vae, w, batch, divergence);
        let Workspace { context, encoded, decoded, log_w, dh, d_eta, beta } = self;
        let k = log_w.ncols();
        let ln_k = F::of(k as f64).ln();
        let mut bound = F::zero();
        for mut row in log_w.rows_mut() {
            let row = row.as_slice_mut().expect("buffers are in standard layout");
            let total = log_sum_exp(row);
            bound += total - ln_k;
            row.iter_mut().for_each(|l| *l = (*l - total).fast_exp());
        }
        let share = flat(log_w);
        std::mem::swap(&mut decoded.eta, d_eta);
        if batch.by_scale {
            count_by_scale(&vae.heads, vae.outputs, flat(d_eta), flat_mut(&mut decoded.eta));
        }
        if k > 1 {
            for (mut d_eta, &share) in decoded.eta.rows_mut().into_iter().zip(share) {
                d_eta.mapv_inplace(|d| d * share);
            }
        }
        let add_to = if grad.written { F::one() } else { F::zero() };
        vae.decode_backward(w, &batch.visible, context, decoded, add_to, &mut grad.values);
        let latent = vae.latent;
        context.prior.raw.fill(F::zero());
        encoded.posterior.raw.fill(F::zero());
        let prior = &mut context.prior;
        let q = &mut encoded.posterior;
        for (r, &share) in share.iter().enumerate() {
            let i = r / k;
            let beta = &beta[i / SHARD][usize::from(batch.count[i] > 0)];
            for u in 0..latent {
                let beta = beta[u];
                let (e, g) = (batch.noise[(r, u)], decoded.dz[(r, u)]);
                if batch.proposal == Proposal::Prior {
                    prior.raw[(i, u)] += g;
                    prior.raw[(i, latent + u)] += g * prior.sd[(i, u)] * e;
                    continue;
                }
                let precision = F::one() / prior.sd[(i, u)];
                let t = (decoded.z[(r, u)] - prior.mean[(i, u)]) * precision;
                prior.raw[(i, u)] += share * beta * t * precision;
                prior.raw[(i, latent + u)] += share * beta * (t * t - F::one());
                let sd = q.sd[(i, u)];
                // ∂ log w / ∂ z along the path, weighted by w̃ (or w̃² for the doubly reparameterised estimator).
                let (through, direct) = match estimator {
                    #[cfg(test)]
                    Estimator::Pathwise => (g - share * beta * t * precision, share * beta),
                    Estimator::DoublyReparameterised => (share * (g + share * beta * (e / sd - t * precision)), F::zero()),
                };
                q.raw[(i, u)] += through;
                q.raw[(i, latent + u)] += through * sd * e + direct;
            }
        }
        if batch.proposal == Proposal::Encoder {
            let add_to = if grad.encoder_written { F::one() } else { F::zero() };
            vae.encode_backward(w, &batch.observed, encoded, dh, add_to, &mut grad.values);
            grad.encoder_written = true;
        }
        vae.condition_backward(w, &batch.visible, context, add_to, &mut grad.values);
        grad.written = true;
        bound
    }
}

/// Σ over the scored cells of ln p(x_j | η_j), nats; ∂/∂η is written for those cells' heads.
#[inline(always)]
pub(crate) fn log_prob<F: Real>(heads: &[Head], eta: &[F], target: &[F], scored: &[bool], d_eta: &mut [F]) -> F {
    let mut total = F::zero();
    for head in heads {
        if scored[head.column] {
            total += head.law.log_prob_grad(&eta[head.eta.clone()], target[head.column], &mut d_eta[head.eta.clone()]);
        }
    }
    total
}

/// Multiplies gradients by what they count for, where a head has a scale or levels: see [`Batch::by_scale`].
fn count_by_scale<F: Real>(heads: &[Head], outputs: usize, eta: &[F], d_eta: &mut [F]) {
    vectorised(
        #[inline(always)]
        || {
            for (eta, d_eta) in eta.chunks_exact(outputs.max(1)).zip(d_eta.chunks_exact_mut(outputs.max(1))) {
                for head in heads {
                    if let Some((places, counts)) = head.law.counts_for(&eta[head.eta.clone()]) {
                        d_eta[head.eta.clone()][places].iter_mut().for_each(|d| *d *= counts);
                    }
                }
            }
        },
    );
}

/// Sets β to zero for units whose mean divergence of q(z | x_o) from p(z | x_v), over some rows, is below `free` nats. With nothing
/// visible p is N(0, 1).
fn open_units<F: Real>(q: &Gaussians<F>, p: &Gaussians<F>, rows: impl Iterator<Item = usize> + Clone, free: F, beta: &mut [F]) {
    let n = F::of(rows.clone().count().max(1) as f64);
    for (u, beta) in beta.iter_mut().enumerate() {
        let kl = |i: usize| {
            let precision = F::one() / p.sd[(i, u)];
            let (off, ratio) = ((q.mean[(i, u)] - p.mean[(i, u)]) * precision, q.sd[(i, u)] * precision);
            F::of(0.5) * (off * off + ratio * ratio - F::one()) + p.ln_sd[(i, u)] - q.ln_sd[(i, u)]
        };
        if rows.clone().map(kl).fold(F::zero(), |a, b| a + b) < free * n {
            *beta = F::zero();
        }
    }
}

/// Σ_u β_u [log p(z_u | x_v) − log q(z_u | x_o)] of row `i`; the normal constants cancel.
#[inline(always)]
fn log_prior_over_proposal<F: Real>(prior: &Gaussians<F>, q: &Gaussians<F>, i: usize, z: &[F], noise: &[F], beta: &[F]) -> F {
    let half = F::of(0.5);
    let mut total = F::zero();
    for (u, (&z, &e)) in z.iter().zip(noise).enumerate() {
        let t = (z - prior.mean[(i, u)]) / prior.sd[(i, u)];
        total += beta[u] * (half * (e * e - t * t) + q.ln_sd[(i, u)] - prior.ln_sd[(i, u)]);
    }
    total
}

/// The bound of each row, (n,), nats in model units.
pub(crate) fn bound<F: Real>(log_w: &Array2<F>) -> Array1<F> {
    let ln_k = F::of(log_w.ncols() as f64).ln();
    log_w.map_axis(Axis(1), |row| log_sum_exp(row.to_slice().expect("standard layout")) - ln_k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::{FeatureShape, Scaling};
    use crate::data::schema::{ColumnKind, Schema, SchemaOptions};
    use crate::data::table::Table;
    use crate::kernel::NOWHERE;
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
        let shape = FeatureShape { dense: 4, columns: 1, classes: 3, starts: 9 };
        let vae = Vae::new(shape, heads_of(&df, &options), 2, 5, 1);
        let mut rng = stream(3, Purpose::Init, 0);
        let mut normal = |shape: (usize, usize)| Array2::<f64>::random_using(shape, StandardNormal, &mut rng);
        let w = (normal((1, vae.weights)) * 0.4).into_raw_vec_and_offset().0;
        let mut visible = normal((3, 4));
        visible.row_mut(2).fill(0.0);
        let batch = Batch {
            visible: Features { dense: visible, places: ndarray::arr2(&[[2], [NOWHERE], [NOWHERE]]), start: normal((3, 9)) },
            count: Array1::from(vec![2, 1, 0]),
            proposal: Proposal::Encoder,
            observed: Features { dense: normal((3, 4)), places: ndarray::arr2(&[[2], [0], [NOWHERE]]), start: normal((3, 9)) },
            target: ndarray::arr2(&[[0.3, 1.0, 2.0, -0.4], [1.1, 0.0, 0.0, 0.2], [-0.5, 0.0, 1.0, 2.0]]),
            scored: ndarray::arr2(&[[true, false, true, false], [false, true, true, true], [true, true, true, true]]),
            by_scale: false,
            noise: Array2::zeros((0, 2)),
        };
        (vae, w, batch)
    }

    fn noise(k: usize, seed: u64) -> Array2<f64> {
        Array2::random_using((3 * k, 2), StandardNormal, &mut stream(seed, Purpose::Train, 0))
    }

    fn check(w: &mut [f64], grad: &[f64], range: std::ops::Range<usize>, mut value: impl FnMut(&[f64]) -> f64) {
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
    fn gradients_count_by_scale_where_asked_and_the_bound_stays() {
        let (vae, w, mut batch) = small();
        (batch.proposal, batch.noise) = (Proposal::Prior, noise(1, 1));
        let whole = Divergence::whole(1.0, 0.0);
        let mut work = Workspace::new(&vae, 3, 1);
        let mut biases = |by_scale| {
            batch.by_scale = by_scale;
            // Of one row, so that a head has one σ.
            batch.scored.rows_mut().into_iter().skip(1).for_each(|mut row| row.fill(false));
            let mut grad = Gradient::new(&vae);
            let value = work.bound_and_grad(&vae, &w, &batch, whole, Estimator::Pathwise, &mut grad);
            let eta = work.d_eta.row(0).to_vec();
            (value, grad.values()[vae.linear_decoder().1].to_vec(), eta)
        };
        let (plain, by_scale) = (biases(false), biases(true));
        assert_eq!(plain.0, by_scale.0);
        for head in &vae.heads {
            let eta = &plain.2[head.eta.clone()];
            let (places, counts) = head.law.counts_for(eta).unwrap_or((0..0, 1.0));
            for (o, at) in head.eta.clone().enumerate() {
                let want = plain.1[at] * if places.contains(&o) { counts } else { 1.0 };
                assert!((by_scale.1[at] - want).abs() < 1e-12 * (1.0 + want.abs()), "output {at}");
            }
        }
        assert!(vae.heads.iter().any(|h| h.law.counts_for(&plain.2[h.eta.clone()]).is_some()));
    }

    #[test]
    fn the_whole_bound_meets_central_differences() {
        // Without free bits, with all units free, and with some.
        let cases = [(3, 0.0), (3, 1e9), (3, 0.4), (1, 0.0)].map(|(k, free)| (Proposal::Encoder, k, free));
        for (proposal, k, free) in cases.into_iter().chain([(Proposal::Prior, 3, 0.0), (Proposal::Prior, 1, 0.0)]) {
            let (vae, mut w, mut batch) = small();
            (batch.proposal, batch.noise) = (proposal, noise(k, 1));
            let mut work = Workspace::new(&vae, 3, k);
            let mut grad = Gradient::new(&vae);
            let weight = if proposal == Proposal::Prior { 1.0 } else { 0.7 };
            let divergence = Divergence { weight, free };
            let total = work.bound_and_grad(&vae, &w, &batch, divergence, Estimator::Pathwise, &mut grad);
            let grad = grad.values().to_vec();
            let mut value = |w: &[f64]| {
                work.forward(&vae, w, &batch, divergence);
                bound(&work.log_w).sum()
            };
            assert!((total - value(&w)).abs() < 1e-12);
            check(&mut w, &grad, 0..vae.weights, value);
        }
    }

    #[test]
    fn passes_overwrite_the_gradient_first_and_add_to_it_then() {
        let (vae, w, mut batch) = small();
        batch.noise = noise(1, 1);
        let mut work = Workspace::new(&vae, 3, 1);
        let mut one = |proposal, grad: &mut Gradient<f64>| {
            batch.proposal = proposal;
            work.bound_and_grad(&vae, &w, &batch, Divergence::whole(1.0, 0.0), Estimator::DoublyReparameterised, grad);
        };
        let (mut encoder, mut prior, mut both) = (Gradient::new(&vae), Gradient::new(&vae), Gradient::new(&vae));
        both.values.fill(f64::NAN);
        for turn in 0..2 {
            encoder.clear();
            one(Proposal::Encoder, &mut encoder);
            prior.clear();
            one(Proposal::Prior, &mut prior);
            both.clear();
            let order = [Proposal::Encoder, Proposal::Prior];
            one(order[turn], &mut both);
            one(order[1 - turn], &mut both);
            encoder.add(&mut prior);
            let close = |a: &f64, b: &f64| (a - b).abs() <= 1e-12 * (1.0 + a.abs());
            assert!(both.values().iter().zip(encoder.values()).all(|(a, b)| close(a, b)));
        }
        assert!(prior.values()[..vae.encoder_weights].iter().all(|&g| g == 0.0));
    }

    #[test]
    fn the_doubly_reparameterised_gradient_is_that_of_its_surrogate() {
        // Tucker et al. (2019), eq. 8: Σ_k w̃_k² ∂ log w_k/∂z_k ∂z_k/∂φ, the density of q itself held fixed. Moving φ
        // moves z; the same z is reached under the fixed q by other noise.
        let (vae, mut w, mut batch) = small();
        let e = noise(3, 2);
        batch.noise = e.clone();
        let mut work = Workspace::new(&vae, 3, 3);
        let mut grad = Gradient::new(&vae);
        work.bound_and_grad(&vae, &w, &batch, Divergence::whole(1.0, 0.0), Estimator::DoublyReparameterised, &mut grad);
        let grad = grad.values().to_vec();
        let fixed = w.clone();
        let (mut q, mut moved) = (vae.encoded(3), vae.encoded(3));
        vae.encode(&fixed, &batch.observed, &mut q);
        let q = q.posterior;
        let mut share = work.log_weights(&vae, &fixed, &batch).clone();
        for mut row in share.rows_mut() {
            let total = log_sum_exp(row.as_slice().unwrap());
            row.mapv_inplace(|l| (2.0 * (l - total)).exp());
        }
        let mut z = Array2::zeros((9, 2));
        check(&mut w, &grad, 0..vae.encoder_weights, |w| {
            vae.encode(w, &batch.observed, &mut moved);
            moved.posterior.sample(e.view(), &mut z);
            batch.noise = Array2::from_shape_fn(z.raw_dim(), |(r, u)| (z[(r, u)] - q.mean[(r / 3, u)]) / q.sd[(r / 3, u)]);
            (&share * work.log_weights(&vae, &fixed, &batch)).sum()
        });
    }

    #[test]
    fn with_nothing_visible_the_prior_is_standard_normal_whatever_the_weights() {
        let (vae, w, batch) = small();
        let mut context = vae.context(3);
        vae.condition(&w, &batch.visible, &batch.count, &mut context);
        assert!(context.prior.mean.row(2).iter().chain(context.prior.ln_sd.row(2)).all(|&x| x == 0.0));
        assert!(context.prior.mean.row(0).iter().all(|&x| x != 0.0));
    }

    #[test]
    fn the_divergence_meets_its_closed_form() {
        // With nothing scored and nothing visible E[log w] = −KL(q ‖ N(0, I)) = ½ Σ (1 + ln σ² − μ² − σ²).
        let (vae, w, mut batch) = small();
        batch.scored.fill(false);
        let k = 40_000;
        batch.noise = noise(k, 4);
        let mut work = Workspace::new(&vae, 3, k);
        let log_w = work.log_weights(&vae, &w, &batch);
        let mut q = vae.encoded(3);
        vae.encode(&w, &batch.observed, &mut q);
        let q = q.posterior;
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
        let shape = FeatureShape { dense: 3, columns: 0, classes: 0, starts: 8 };
        let vae = Vae::new(shape, heads_of(&df, &SchemaOptions::default()), 2, 4, 1);
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

        let mut batch = Batch::new(&vae, 1, 0);
        batch.target = ndarray::aview1(&x).insert_axis(Axis(0)).to_owned();
        batch.scored = ndarray::aview1(&observed).insert_axis(Axis(0)).to_owned();
        let mut before = f64::NEG_INFINITY;
        for (k, gap) in [(1, f64::INFINITY), (10, 0.5), (100, 0.06), (1000, 0.006)] {
            let repeats = 40_000 / k;
            let mut work = Workspace::new(&vae, 1, k);
            let bounds: Array1<f64> = (0..repeats)
                .map(|r| {
                    let rng = &mut stream(9, Purpose::Train, (k * 100_000 + r) as u64);
                    batch.noise = Array2::random_using((k, 2), StandardNormal, rng);
                    bound(work.log_weights(&vae, &w, &batch))[0]
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
        batch.noise = Array2::random_using((k, 2), StandardNormal, &mut stream(10, Purpose::Train, 0));
        let mut work = Workspace::new(&vae, 1, k);
        let log_w = work.log_weights(&vae, &w, &batch).clone();
        let total = log_sum_exp(log_w.row(0).to_slice().unwrap());
        let eta = &work.decoded.eta;
        let fill: f64 = eta.slice(s![.., 4]).iter().zip(log_w.row(0)).map(|(m, l)| m * (l - total).exp()).sum();
        assert!((fill - conditional_mean).abs() < 0.01, "{fill} {conditional_mean}");
    }
}
