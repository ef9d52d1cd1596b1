//! p(z | x_v) p(x | z, x_v) and q(z | x_o): three small networks with their weights in one flat vector.
//!
//! ```text
//! encoder     q(z | x_o) = N(μ, diag σ²)       μ, ln σ  from the features of all observed cells
//! prior       p(z | x_v) = N(m, diag s²), c    m, ln s, c  from the features of the visible cells, times |v| / (|v| + 1)
//! decoder     η = W₁ z + W₂ x_v + head(trunk(z, c))
//! ```
//! With nothing visible the prior is N(0, I) and c = 0 exactly, whatever the weights: the plain VAE is inside the model.
//! The linear path (W₁: factor analysis; W₂: regression on the visible features) starts with the rest at zero.

pub(crate) mod bound;
pub(crate) mod net;
pub(crate) mod posterior;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::kernel::{Real, add, bounded};
use crate::likelihood::{Head, Law};
use crate::rng::Stream;
use net::{Allocator, Dense, Tape, Trunk};

/// Sizes and ranges; the weights are one flat vector beside it.
#[derive(Clone, Debug)]
pub(crate) struct Vae {
    pub latent: usize,
    pub heads: Vec<Head>,
    /// Length of the weight vector.
    pub weights: usize,
    pub features: usize,
    outputs: usize,
    encoder_in: Dense,
    encoder: Trunk,
    encoder_out: Dense,
    prior_in: Dense,
    prior: Trunk,
    prior_out: Dense,
    latent_in: Dense,
    context_in: Dense,
    decoder: Trunk,
    decoder_out: Dense,
    latent_linear: Dense,
    /// Absent where it would have more than [`LINEAR_MOST`] weights: wide tables.
    visible_linear: Option<Dense>,
}

/// Weights of the linear path from the visible features, at most.
const LINEAR_MOST: usize = 2_000_000;

/// Diagonal normal distributions, one a row: (n, latent) each.
#[derive(Clone, Debug)]
pub(crate) struct Gaussians<F> {
    pub mean: Array2<F>,
    pub ln_sd: Array2<F>,
    /// ∂ ln_sd / ∂ (network output).
    slope: Array2<F>,
}

/// The bound on |ln σ| of encoder and prior.
const LN_SD_LIMIT: f64 = 4.0;

impl<F: Real> Gaussians<F> {
    fn of(raw: &Array2<F>) -> Gaussians<F> {
        let latent = raw.ncols() / 2;
        let mean = raw.slice(s![.., ..latent]).to_owned();
        let rho = raw.slice(s![.., latent..]);
        Gaussians { mean, ln_sd: rho.mapv(|r| bounded(r, LN_SD_LIMIT).0), slope: rho.mapv(|r| bounded(r, LN_SD_LIMIT).1) }
    }

    /// `z = mean + sd ⊙ noise`, `k` draws a row: (n k, latent), the draws of a row next to each other.
    pub fn sample(&self, noise: ArrayView2<F>, k: usize) -> Array2<F> {
        let mut z = noise.to_owned();
        for (r, mut z) in z.rows_mut().into_iter().enumerate() {
            let i = r / k;
            ndarray::Zip::from(&mut z)
                .and(self.mean.row(i))
                .and(self.ln_sd.row(i))
                .for_each(|z, &m, &l| *z = m + l.fast_exp() * *z);
        }
        z
    }
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
    /// Linear share of η, (n, outputs).
    linear: Array2<F>,
    pub prior: Gaussians<F>,
}

/// A decoder pass: η of every row and draw.
#[derive(Debug)]
pub(crate) struct Decoded<F> {
    tape: Tape<F>,
    /// (n k, latent).
    pub z: Array2<F>,
    /// (n k, outputs).
    pub eta: Array2<F>,
}

impl Vae {
    pub fn new(features: usize, heads: Vec<Head>, latent: usize, width: usize, depth: usize) -> Vae {
        let outputs = heads.last().map_or(0, |h| h.eta.end);
        let mut at = Allocator::default();
        Vae {
            latent,
            features,
            outputs,
            encoder_in: Dense::new(&mut at, features, width, false),
            encoder: Trunk::new(&mut at, width, depth),
            encoder_out: Dense::new(&mut at, width, 2 * latent, true),
            prior_in: Dense::new(&mut at, features, width, false),
            prior: Trunk::new(&mut at, width, depth),
            prior_out: Dense::new(&mut at, width, 2 * latent, true),
            latent_in: Dense::new(&mut at, latent, width, false),
            context_in: Dense::new(&mut at, width, width, false),
            decoder: Trunk::new(&mut at, width, depth),
            decoder_out: Dense::new(&mut at, width, outputs, true),
            latent_linear: Dense::new(&mut at, latent, outputs, false),
            visible_linear: (features * outputs <= LINEAR_MOST).then(|| Dense::new(&mut at, features, outputs, false)),
            weights: at.len,
            heads,
        }
    }

    /// First weights. `bias`: the decoder's output biases, (outputs,), such as the levels' log shares.
    pub fn init<F: Real>(&self, bias: &[F], rng: &mut Stream) -> Vec<F> {
        let mut w = vec![F::zero(); self.weights];
        // About d features of a row are not zero, not all of them.
        let columns = self.heads.last().map_or(1, |h| h.column + 1);
        let active = (columns as f64 / self.features.max(1) as f64).sqrt();
        for (layer, gain) in [
            (&self.encoder_in, 1.5 / active),
            (&self.encoder_out, 0.3),
            (&self.prior_in, 1.5 / active),
            (&self.prior_out, 0.3),
            (&self.latent_in, 0.5),
            (&self.context_in, 1.0),
        ] {
            layer.init(&mut w, gain, rng);
        }
        for trunk in [&self.encoder, &self.prior, &self.decoder] {
            trunk.init(&mut w, rng);
        }
        w[self.decoder_out.bias.clone()].copy_from_slice(bias);
        w
    }

    /// The range of weights the decoder and the prior use: where a plain central difference checks every gradient.
    #[cfg(test)]
    pub(crate) fn encoder_weights(&self) -> std::ops::Range<usize> {
        self.encoder_in.weight.start..self.prior_in.weight.start
    }

    /// The linear path from z and the decoder's biases, for tests that set exact weights.
    #[cfg(test)]
    pub(crate) fn linear_decoder(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        (self.latent_linear.weight.clone(), self.decoder_out.bias.clone())
    }

    /// q(z | x_o) from the features of the observed cells, (n, features).
    pub fn encode<F: Real>(&self, w: &[F], observed: ArrayView2<F>) -> (Tape<F>, Gaussians<F>) {
        let n = observed.nrows();
        let mut first = Array2::zeros((n, self.encoder.width));
        self.encoder_in.product(w, observed, F::zero(), first.view_mut());
        let tape = self.encoder.forward(w, first);
        let mut raw = Array2::zeros((n, 2 * self.latent));
        self.encoder_out.forward(w, tape.output(), raw.view_mut());
        (tape, Gaussians::of(&raw))
    }

    fn encode_backward<F: Real>(&self, w: &[F], observed: ArrayView2<F>, tape: &Tape<F>, d_raw: ArrayView2<F>, grad: &mut [F]) {
        self.encoder_out.backward_weights(tape.output(), d_raw, grad);
        let mut dh = Array2::zeros((observed.nrows(), self.encoder.width));
        self.encoder_out.backward_inputs(w, d_raw, F::zero(), dh.view_mut());
        let ds = self.encoder.backward(w, tape, dh, grad);
        self.encoder_in.backward_weights(observed, ds.view(), grad);
    }

    /// What the visible cells say, from their features, (n, features), and their number, (n,).
    pub fn condition<F: Real>(&self, w: &[F], visible: ArrayView2<F>, count: ArrayView1<usize>) -> Context<F> {
        let n = visible.nrows();
        let width = self.prior.width;
        let gate = count.mapv(|v| F::of(v as f64 / (v as f64 + 1.0)));
        let column = gate.view().insert_axis(Axis(1));
        let mut first = Array2::zeros((n, width));
        self.prior_in.product(w, visible, F::zero(), first.view_mut());
        let tape = self.prior.forward(w, first);
        let mut raw = Array2::zeros((n, 2 * self.latent));
        self.prior_out.forward(w, tape.output(), raw.view_mut());
        raw *= &column;
        let context = &tape.output() * &column;
        let mut first = Array2::zeros((n, self.decoder.width));
        self.context_in.product(w, context.view(), F::zero(), first.view_mut());
        let mut linear = Array2::zeros((n, self.outputs));
        if let Some(layer) = &self.visible_linear {
            layer.product(w, visible, F::zero(), linear.view_mut());
        }
        let prior = Gaussians::of(&raw);
        Context { tape, gate, context, first, linear, prior }
    }

    /// η for `k` latent points a row: z is (n k, latent).
    pub fn decode<F: Real>(&self, w: &[F], context: &Context<F>, z: Array2<F>, k: usize) -> Decoded<F> {
        let rows = z.nrows();
        let mut first = Array2::zeros((rows, self.decoder.width));
        let mut eta = Array2::zeros((rows, self.outputs));
        for r in 0..rows {
            first.row_mut(r).assign(&context.first.row(r / k));
            eta.row_mut(r).assign(&context.linear.row(r / k));
        }
        self.latent_in.product(w, z.view(), F::one(), first.view_mut());
        let tape = self.decoder.forward(w, first);
        self.decoder_out.product(w, tape.output(), F::one(), eta.view_mut());
        self.latent_linear.product(w, z.view(), F::one(), eta.view_mut());
        eta += &ndarray::aview1(&w[self.decoder_out.bias.clone()]);
        Decoded { tape, z, eta }
    }

    /// From ∂/∂η to ∂/∂z, (n k, latent), and ∂/∂(what the context gave), (n, width); weights' gradients are added.
    fn decode_backward<F: Real>(
        &self,
        w: &[F],
        visible: ArrayView2<F>,
        context: &Context<F>,
        pass: &Decoded<F>,
        d_eta: &Array2<F>,
        grad: &mut [F],
    ) -> (Array2<F>, Array2<F>) {
        let n = context.context.nrows();
        let z = pass.z.view();
        if let Some(layer) = &self.visible_linear {
            layer.backward_weights(visible, sum_draws(d_eta, n).view(), grad);
        }
        self.decoder_out.backward_weights(pass.tape.output(), d_eta.view(), grad);
        self.latent_linear.backward_weights(z, d_eta.view(), grad);
        let mut dh = Array2::zeros((z.nrows(), self.decoder.width));
        self.decoder_out.backward_inputs(w, d_eta.view(), F::zero(), dh.view_mut());
        let ds = self.decoder.backward(w, &pass.tape, dh, grad);
        self.latent_in.backward_weights(z, ds.view(), grad);
        let mut dz = Array2::zeros(z.raw_dim());
        self.latent_in.backward_inputs(w, ds.view(), F::zero(), dz.view_mut());
        self.latent_linear.backward_inputs(w, d_eta.view(), F::one(), dz.view_mut());
        let d_first = sum_draws(&ds, n);
        self.context_in.backward_weights(context.context.view(), d_first.view(), grad);
        let mut d_context = Array2::zeros(context.context.raw_dim());
        self.context_in.backward_inputs(w, d_first.view(), F::zero(), d_context.view_mut());
        (dz, d_context)
    }

    fn condition_backward<F: Real>(
        &self,
        w: &[F],
        visible: ArrayView2<F>,
        context: &Context<F>,
        mut d_raw: Array2<F>,
        mut d_context: Array2<F>,
        grad: &mut [F],
    ) {
        let column = context.gate.view().insert_axis(Axis(1));
        d_raw *= &column;
        d_context *= &column;
        self.prior_out.backward_weights(context.tape.output(), d_raw.view(), grad);
        self.prior_out.backward_inputs(w, d_raw.view(), F::one(), d_context.view_mut());
        let ds = self.prior.backward(w, &context.tape, d_context, grad);
        self.prior_in.backward_weights(visible, ds.view(), grad);
    }
}

/// The decoder's output biases that give every column its marginal: log shares of levels, zero where the law's own
/// constants do that.
pub(crate) fn marginal_bias<F: Real>(heads: &[Head], scaling: &crate::data::scaling::Scaling) -> Vec<F> {
    use crate::data::scaling::ColumnScaling::Levels;
    let mut bias = vec![F::zero(); heads.last().map_or(0, |h| h.eta.end)];
    for head in heads {
        let Levels { share } = &scaling.columns[head.column] else { continue };
        // A level never seen still has a share, as if seen half a time in a hundred cells.
        let log = |p: f64| (p + 0.005).ln();
        match head.law {
            Law::Bernoulli(_) => bias[head.eta.start] = F::of(log(share.get(1).copied().unwrap_or(0.0)) - log(share[0])),
            Law::Categorical(_) => bias[head.eta.clone()].iter_mut().zip(share).for_each(|(b, &p)| *b = F::of(log(p))),
            _ => {}
        }
    }
    bias
}

/// Sums over the draws of a row: (n k, m) → (n, m).
fn sum_draws<F: Real>(x: &Array2<F>, n: usize) -> Array2<F> {
    let k = x.nrows() / n.max(1);
    if k == 1 {
        return x.clone();
    }
    let mut out = Array2::zeros((n, x.ncols()));
    for (r, row) in x.rows().into_iter().enumerate() {
        let mut into = out.row_mut(r / k);
        let (into, row) = (into.as_slice_mut().expect("standard layout"), row.to_slice().expect("standard layout"));
        add(into, row);
    }
    out
}
