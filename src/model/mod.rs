//! p(z | x_v) p(x | z, x_v) and q(z | x_o): three small networks with their weights in one flat vector.
//!
//! ```text
//! encoder     q(z | x_o) = N(μ, diag σ²)       μ, ln σ  from the features of all observed cells
//! prior       p(z | x_v) = N(m, diag s²), c    m, ln s, c  from the features of the visible cells, times |v| / (|v| + 1)
//! decoder     η = start(x_v) + W₁ z + W₂ x_v + head(trunk(z, c))
//! ```
//! With nothing visible the prior is N(0, I) and c = 0 exactly, whatever the weights: the plain VAE is inside the model.
//! The features of the visible cells include the row as a factor analysis completes it ([`linear`]), whose mean and standard
//! deviation of every number are the start, and on tables of few rows its discriminants of levels. The rest of η begins at zero,
//! so that the model begins as the linear one.

pub(crate) mod bound;
pub(crate) mod curvature;
pub(crate) mod linear;
pub(crate) mod missingness;
pub(crate) mod net;
pub(crate) mod posterior;

use ndarray::{Array1, Array2, ArrayView2};

use crate::data::classes::UNSEEN;
use crate::data::scaling::{FeatureShape, Features};
use crate::kernel::{Real, bounded, vectorised};
use crate::likelihood::{Head, Law};
use crate::rng::Stream;
use net::{Allocator, Dense, Input, Tape, Transposed, Trunk, flat, flat_mut};

/// Sizes and ranges; the weights are one flat vector beside it.
#[derive(Clone, Debug)]
pub(crate) struct Vae {
    pub latent: usize,
    /// A column has one head, or several that compete.
    pub heads: Vec<Head>,
    pub columns: usize,
    /// Length of the weight vector; the encoder's are the first of them.
    pub weights: usize,
    pub encoder_weights: usize,
    pub features: FeatureShape,
    pub outputs: usize,
    encoder_in: Input,
    encoder: Trunk,
    encoder_out: Dense,
    prior_in: Input,
    prior: Trunk,
    prior_out: Dense,
    latent_in: Dense,
    context_in: Dense,
    decoder: Trunk,
    decoder_out: Dense,
    latent_linear: Dense,
    /// Absent where it would have more than [`LINEAR_MOST`] weights: wide tables.
    visible_linear: Option<Input>,
}

/// Weights of the linear path from the visible features, at most.
const LINEAR_MOST: usize = 2_000_000;

/// Diagonal normal distributions, one a row: (n, latent) each.
#[derive(Debug)]
pub(crate) struct Gaussians<F> {
    pub mean: Array2<F>,
    pub ln_sd: Array2<F>,
    pub sd: Array2<F>,
    /// ∂ ln_sd / ∂ (network output).
    slope: Array2<F>,
    /// Network output, (n, 2 latent); the backward pass puts gradients there.
    raw: Array2<F>,
}

/// The bound on |ln σ| of encoder and prior.
const LN_SD_LIMIT: f64 = 4.0;

impl<F: Real> Gaussians<F> {
    fn new(n: usize, latent: usize) -> Gaussians<F> {
        let buffer = || Array2::zeros((n, latent));
        Gaussians { mean: buffer(), ln_sd: buffer(), sd: buffer(), slope: buffer(), raw: Array2::zeros((n, 2 * latent)) }
    }

    /// From the network's output times `gate`, (n,).
    fn set(&mut self, gate: Option<&Array1<F>>) {
        let latent = self.mean.ncols();
        if latent == 0 {
            return;
        }
        let rows = flat(&self.raw).chunks_exact(2 * latent).zip(flat_mut(&mut self.mean).chunks_exact_mut(latent));
        let rows = rows.zip(flat_mut(&mut self.ln_sd).chunks_exact_mut(latent));
        let rows = rows.zip(flat_mut(&mut self.sd).chunks_exact_mut(latent));
        let rows = rows.zip(flat_mut(&mut self.slope).chunks_exact_mut(latent)).enumerate();
        vectorised(
            #[inline(always)]
            || {
                for (i, ((((raw, mean), ln_sd), sd), slope)) in rows {
                    let gate = gate.map_or(F::one(), |g| g[i]);
                    let (m, rho) = raw.split_at(latent);
                    mean.iter_mut().zip(m).for_each(|(mean, &m)| *mean = m * gate);
                    for (u, &r) in rho.iter().enumerate() {
                        (ln_sd[u], slope[u]) = bounded(r * gate, LN_SD_LIMIT);
                        sd[u] = ln_sd[u].fast_exp();
                    }
                }
            },
        );
    }

    /// `z = mean + sd ⊙ noise`, (n k, latent): the draws of a row next to each other.
    pub fn sample(&self, noise: ArrayView2<F>, z: &mut Array2<F>) {
        let k = z.nrows() / self.mean.nrows().max(1);
        for (r, (mut z, noise)) in z.rows_mut().into_iter().zip(noise.rows()).enumerate() {
            let i = r / k;
            ndarray::Zip::from(&mut z)
                .and(noise)
                .and(self.mean.row(i))
                .and(self.sd.row(i))
                .for_each(|z, &e, &m, &s| *z = m + s * e);
        }
    }

    /// Turns gradients by mean and ln sd, left side by side in `raw`, into those by the network's output.
    fn backward(&mut self, gate: Option<&Array1<F>>) {
        let latent = self.mean.ncols();
        for (i, mut raw) in self.raw.rows_mut().into_iter().enumerate() {
            let gate = gate.map_or(F::one(), |g| g[i]);
            for u in 0..latent {
                raw[u] *= gate;
                raw[latent + u] *= self.slope[(i, u)] * gate;
            }
        }
    }
}

/// q(z | x_o) of rows: the encoder's buffers.
#[derive(Debug)]
pub(crate) struct Encoded<F> {
    tape: Tape<F>,
    pub posterior: Gaussians<F>,
}

/// What the visible cells say: the conditional prior, the context and the linear path's share of η.
#[derive(Debug)]
pub(crate) struct Context<F> {
    tape: Tape<F>,
    /// |v| / (|v| + 1) a row.
    gate: Array1<F>,
    /// (n, width), gated.
    context: Array2<F>,
    /// Context's share of the decoder's first pre-activation, (n, width).
    first: Array2<F>,
    /// Linear share of η and its biases, (n, outputs).
    linear: Array2<F>,
    pub prior: Gaussians<F>,
    /// Of the layer that the context goes through.
    transposed: Transposed<F>,
}

/// A decoder pass: η of every row and draw.
#[derive(Debug)]
pub(crate) struct Decoded<F> {
    tape: Tape<F>,
    /// (n k, latent), and the gradient there.
    pub z: Array2<F>,
    dz: Array2<F>,
    /// (n k, width), the backward pass's own.
    dh: Array2<F>,
    /// (n k, outputs).
    pub eta: Array2<F>,
}

impl Vae {
    pub fn new(features: FeatureShape, heads: Vec<Head>, latent: usize, width: usize, depth: usize) -> Vae {
        let outputs = heads.last().map_or(0, |h| h.eta.end);
        let mut at = Allocator::default();
        let linear = (features.dense + features.classes) * outputs <= LINEAR_MOST;
        let encoder_in = Input::new(&mut at, features, width);
        let encoder = Trunk::new(&mut at, width, depth);
        let encoder_out = Dense::new(&mut at, width, 2 * latent, true);
        let encoder_weights = at.len;
        Vae {
            latent,
            features,
            outputs,
            encoder_in,
            encoder,
            encoder_out,
            encoder_weights,
            prior_in: Input::new(&mut at, features, width),
            prior: Trunk::new(&mut at, width, depth),
            prior_out: Dense::new(&mut at, width, 2 * latent, true),
            latent_in: Dense::new(&mut at, latent, width, false),
            context_in: Dense::new(&mut at, width, width, false),
            decoder: Trunk::new(&mut at, width, depth),
            decoder_out: Dense::new(&mut at, width, outputs, true),
            latent_linear: Dense::new(&mut at, latent, outputs, false),
            visible_linear: linear.then(|| Input::new(&mut at, features, outputs)),
            weights: at.len,
            columns: heads.last().map_or(0, |h| h.column + 1),
            heads,
        }
    }

    /// First weights. `bias`: the decoder's output biases, (outputs,), such as the levels' log shares.
    pub fn init<F: Real>(&self, bias: &[F], rng: &mut Stream) -> Vec<F> {
        let mut w = vec![F::zero(); self.weights];
        // About d features of a row are not zero, not all of them.
        let sd = 1.5 / (self.columns.max(1) as f64).sqrt();
        self.encoder_in.init(&mut w, sd, rng);
        self.prior_in.init(&mut w, sd, rng);
        for (layer, gain) in [(&self.encoder_out, 0.3), (&self.prior_out, 0.3), (&self.latent_in, 0.5), (&self.context_in, 1.0)] {
            layer.init(&mut w, gain, rng);
        }
        for trunk in [&self.encoder, &self.prior, &self.decoder] {
            trunk.init(&mut w, rng);
        }
        w[self.decoder_out.bias.clone()].copy_from_slice(bias);
        w
    }

    /// Changes the last layer so that a head's outputs are `start + departure (η − start)`, and one of them, `wider.0`, `wider.1`
    /// larger. `bias`, (outputs,): the biases at the start.
    pub fn settle(&self, w: &mut [f32], head: &Head, bias: &[f32], departure: f32, wider: Option<(usize, f32)>) {
        let outputs = self.outputs;
        let visible = self.visible_linear.iter().map(Input::weights);
        for range in visible.chain([self.decoder_out.weight.clone(), self.latent_linear.weight.clone()]) {
            for row in w[range].chunks_exact_mut(outputs) {
                row[head.eta.clone()].iter_mut().for_each(|x| *x *= departure);
            }
        }
        let at = self.decoder_out.bias.start;
        for o in head.eta.clone() {
            w[at + o] = bias[o] + departure * (w[at + o] - bias[o]);
        }
        if let Some((o, by)) = wider {
            w[at + head.eta.start + o] += by;
        }
    }

    /// The linear path from z and the decoder's biases, for tests that set exact weights.
    #[cfg(test)]
    pub(crate) fn linear_decoder(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        (self.latent_linear.weight.clone(), self.decoder_out.bias.clone())
    }

    /// Floating-point operations of one row's forward and backward pass with `k` draws, one-hot features counted as dense
    /// products: a weight takes two forward, two for its own gradient and two for that of what it is applied to, which
    /// the features do not need.
    pub fn operations(&self, encoder: bool, k: usize) -> usize {
        let features = self.features.dense + self.features.classes;
        let width = self.prior.width;
        let network = |trunk: &Trunk| 4 * features * width + 6 * (trunk.weights() + width * 2 * self.latent);
        let linear = if self.visible_linear.is_some() { features * self.outputs } else { 0 };
        let once = network(&self.prior) + 6 * width * width + 4 * linear;
        let draw = self.latent * (width + self.outputs) + self.decoder.weights() + width * self.outputs;
        once + 6 * k * draw + if encoder { network(&self.encoder) } else { 0 }
    }

    /// Buffers for `n` rows.
    pub fn encoded<F: Real>(&self, n: usize) -> Encoded<F> {
        Encoded { tape: Tape::new(&self.encoder, n, SHARD), posterior: Gaussians::new(n, self.latent) }
    }

    /// Buffers for `n` rows.
    pub fn context<F: Real>(&self, n: usize) -> Context<F> {
        let width = || Array2::zeros((n, self.prior.width));
        Context {
            tape: Tape::new(&self.prior, n, SHARD),
            gate: Array1::zeros(n),
            context: width(),
            first: width(),
            linear: Array2::zeros((n, self.outputs)),
            prior: Gaussians::new(n, self.latent),
            transposed: Transposed::new(),
        }
    }

    /// Buffers for `n` rows with `k` draws each.
    pub fn decoded<F: Real>(&self, n: usize, k: usize) -> Decoded<F> {
        let rows = n * k;
        let z = || Array2::zeros((rows, self.latent));
        let dh = Array2::zeros((rows, self.decoder.width));
        Decoded { tape: Tape::new(&self.decoder, rows, SHARD * k), z: z(), dz: z(), dh, eta: Array2::zeros((rows, self.outputs)) }
    }

    /// q(z | x_o) from the features of the observed cells, (n, features).
    pub fn encode<F: Real>(&self, w: &[F], observed: &Features<F>, out: &mut Encoded<F>) {
        self.encoder_in.product(w, observed, F::zero(), out.tape.first());
        self.encoder.forward(w, &mut out.tape);
        self.encoder_out.forward(w, out.tape.output(), &mut out.posterior.raw);
        out.posterior.set(None);
    }

    /// From ∂/∂(mean, ln sd), left in `posterior.raw`; `dh` is a buffer, (n, width).
    fn encode_backward<F: Real>(
        &self,
        w: &[F],
        observed: &Features<F>,
        pass: &mut Encoded<F>,
        dh: &mut Array2<F>,
        beta: F,
        grad: &mut [F],
    ) {
        pass.posterior.backward(None);
        self.encoder_out.backward_weights(pass.tape.output(), &pass.posterior.raw, pass.tape.part, beta, grad);
        self.encoder_out.backward_inputs(w, &pass.posterior.raw, F::zero(), dh);
        self.encoder.backward(w, &mut pass.tape, dh, beta, grad);
        let (first, room) = pass.tape.first_and_room();
        self.encoder_in.backward_weights(observed, first, room, beta, grad);
    }

    /// What the visible cells say, from their features, (n, features), and their number, (n,).
    pub fn condition<F: Real>(&self, w: &[F], visible: &Features<F>, count: &Array1<usize>, out: &mut Context<F>) {
        out.gate.iter_mut().zip(count).for_each(|(g, &v)| *g = F::of(v as f64 / (v as f64 + 1.0)));
        self.prior_in.product(w, visible, F::zero(), out.tape.first());
        self.prior.forward(w, &mut out.tape);
        self.prior_out.forward(w, out.tape.output(), &mut out.prior.raw);
        out.prior.set(Some(&out.gate));
        for ((mut c, h), &gate) in out.context.rows_mut().into_iter().zip(out.tape.output().rows()).zip(&out.gate) {
            c.zip_mut_with(&h, |c, &h| *c = h * gate);
        }
        self.context_in.product(w, out.context.view(), F::zero(), out.first.view_mut());
        let bias = &w[self.decoder_out.bias.clone()];
        flat_mut(&mut out.linear).chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
        let starts = flat(&visible.start).chunks_exact(visible.start.ncols().max(1));
        for (eta, start) in flat_mut(&mut out.linear).chunks_exact_mut(bias.len().max(1)).zip(starts) {
            for head in &self.heads {
                head.law.start(&start[head.start.clone()], &mut eta[head.eta.clone()]);
            }
        }
        if let Some(layer) = &self.visible_linear {
            layer.product(w, visible, F::one(), &mut out.linear);
        }
    }

    /// η of the latent points in `out.z`, (n k, latent).
    pub fn decode<F: Real>(&self, w: &[F], context: &Context<F>, out: &mut Decoded<F>) {
        let k = out.z.nrows() / context.first.nrows().max(1);
        let first = out.tape.first();
        for r in 0..out.z.nrows() {
            first.row_mut(r).assign(&context.first.row(r / k));
            out.eta.row_mut(r).assign(&context.linear.row(r / k));
        }
        self.latent_in.product(w, out.z.view(), F::one(), first.view_mut());
        self.decoder.forward(w, &mut out.tape);
        self.decoder_out.product(w, out.tape.output(), F::one(), out.eta.view_mut());
        self.latent_linear.product(w, out.z.view(), F::one(), out.eta.view_mut());
    }

    /// From ∂/∂η, left in `pass.eta`, to ∂/∂z, left in `pass.dz`, and ∂/∂(what the context gave), left in
    /// `context.context`.
    fn decode_backward<F: Real>(
        &self,
        w: &[F],
        visible: &Features<F>,
        context: &mut Context<F>,
        pass: &mut Decoded<F>,
        beta: F,
        grad: &mut [F],
    ) {
        let one_draw = pass.z.nrows() == context.first.nrows();
        // Rows times draws are summed by other parts than rows.
        let part = pass.tape.part;
        if let Some(layer) = &self.visible_linear {
            let d_linear = if one_draw { &pass.eta } else { sum_draws(&pass.eta, &mut context.linear) };
            layer.backward_weights(visible, d_linear, context.tape.room(), beta, grad);
        }
        self.decoder_out.backward_weights(pass.tape.output(), &pass.eta, part, beta, grad);
        self.latent_linear.backward_weights(pass.z.view(), &pass.eta, part, beta, grad);
        self.decoder_out.backward_inputs(w, &pass.eta, F::zero(), &mut pass.dh);
        self.decoder.backward(w, &mut pass.tape, &mut pass.dh, beta, grad);
        let ds = pass.tape.first();
        self.latent_in.backward_weights(pass.z.view(), ds, part, beta, grad);
        self.latent_in.backward_inputs(w, ds, F::zero(), &mut pass.dz);
        self.latent_linear.backward_inputs(w, &pass.eta, F::one(), &mut pass.dz);
        let d_first = if one_draw { &*ds } else { sum_draws(ds, &mut context.first) };
        self.context_in.backward_weights(context.context.view(), d_first, context.tape.part, beta, grad);
        let [transposed] = context.transposed.of(w, std::slice::from_ref(&self.context_in)) else { unreachable!("one layer") };
        F::product(F::one(), d_first.view(), transposed.view(), F::zero(), context.context.view_mut());
    }

    /// From ∂/∂(mean, ln sd), left in `prior.raw`, and ∂/∂context, left in `context`, to the weights.
    fn condition_backward<F: Real>(&self, w: &[F], visible: &Features<F>, pass: &mut Context<F>, beta: F, grad: &mut [F]) {
        pass.prior.backward(Some(&pass.gate));
        for (mut dh, &gate) in pass.context.rows_mut().into_iter().zip(&pass.gate) {
            dh.mapv_inplace(|d| d * gate);
        }
        self.prior_out.backward_weights(pass.tape.output(), &pass.prior.raw, pass.tape.part, beta, grad);
        self.prior_out.backward_inputs(w, &pass.prior.raw, F::one(), &mut pass.context);
        self.prior.backward(w, &mut pass.tape, &mut pass.context, beta, grad);
        let (first, room) = pass.tape.first_and_room();
        self.prior_in.backward_weights(visible, first, room, beta, grad);
    }
}

/// The decoder's output biases that give every column its marginal: log shares of levels, zero where the law's own
/// constants do that.
pub(crate) fn marginal_bias<F: Real>(heads: &[Head], scaling: &crate::data::scaling::Scaling) -> Vec<F> {
    use crate::data::scaling::ColumnScaling::Levels;
    let mut bias = vec![F::zero(); heads.last().map_or(0, |h| h.eta.end)];
    for head in heads {
        let Levels { classes } = &scaling.columns[head.column] else { continue };
        let share = &classes.share;
        let log = |p: f64| (p + UNSEEN).ln();
        match head.law {
            Law::Bernoulli(_) => bias[head.eta.start] = F::of(log(share.get(1).copied().unwrap_or(0.0)) - log(share[0])),
            Law::Categorical(_) => bias[head.eta.clone()].iter_mut().zip(share).for_each(|(b, &p)| *b = F::of(log(p))),
            _ => {}
        }
    }
    bias
}

/// Rows of a shard: sums over rows are of shards first, then of these, so that they come out the same whether shards are passed
/// together or by a thread each.
pub(crate) const SHARD: usize = 128;

/// Sums over the draws of a row: (n k, m) → (n, m).
fn sum_draws<'a, F: Real>(x: &Array2<F>, out: &'a mut Array2<F>) -> &'a Array2<F> {
    let k = x.nrows() / out.nrows().max(1);
    out.fill(F::zero());
    for (r, row) in x.rows().into_iter().enumerate() {
        out.row_mut(r / k).zip_mut_with(&row, |o, &x| *o += x);
    }
    out
}
