//! Layers with their forward and backward passes by hand: no graph, no autodiff. Weights live in one flat vector.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;

use crate::kernel::{Real, bias_silu, silu_backward};
use crate::rng::Stream;

/// Hands out ranges of the flat weight vector.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    pub len: usize,
}

impl Allocator {
    pub fn take(&mut self, n: usize) -> Range<usize> {
        let start = self.len;
        self.len += n;
        start..self.len
    }
}

/// An affine map `y = x W + b`: (n, inputs) → (n, outputs). Without a bias the range is empty.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
}

impl Dense {
    pub fn new(at: &mut Allocator, inputs: usize, outputs: usize, bias: bool) -> Dense {
        let weight = at.take(inputs * outputs);
        let bias = at.take(if bias { outputs } else { 0 });
        Dense { inputs, outputs, weight, bias }
    }

    /// Normal weights with standard deviation `gain / √inputs`; biases stay.
    pub fn init<F: Real>(&self, w: &mut [F], gain: f64, rng: &mut Stream) {
        let sd = gain / (self.inputs as f64).sqrt();
        let draws = Array2::<f64>::random_using((self.inputs, self.outputs), StandardNormal, rng);
        for (w, x) in w[self.weight.clone()].iter_mut().zip(draws) {
            *w = F::of(sd * x);
        }
    }

    pub fn matrix<'a, F: Real>(&self, w: &'a [F]) -> ArrayView2<'a, F> {
        ArrayView2::from_shape((self.inputs, self.outputs), &w[self.weight.clone()]).expect("the range fits the shape")
    }

    /// `y ← beta · y + x W`, without the bias.
    pub fn product<F: Real>(&self, w: &[F], x: ArrayView2<F>, beta: F, y: ArrayViewMut2<F>) {
        F::product(F::one(), x, self.matrix(w), beta, y);
    }

    /// `y ← x W + b`.
    pub fn forward<F: Real>(&self, w: &[F], x: ArrayView2<F>, mut y: ArrayViewMut2<F>) {
        self.product(w, x, F::zero(), y.view_mut());
        if !self.bias.is_empty() {
            let bias = ndarray::aview1(&w[self.bias.clone()]);
            y += &bias;
        }
    }

    /// Adds ∂/∂W and ∂/∂b to `grad`.
    pub fn backward_weights<F: Real>(&self, x: ArrayView2<F>, dy: ArrayView2<F>, grad: &mut [F]) {
        let at = &mut grad[self.weight.clone()];
        let dw = ArrayViewMut2::from_shape((self.inputs, self.outputs), at).expect("the range fits the shape");
        F::product(F::one(), x.t(), dy, F::one(), dw);
        if !self.bias.is_empty() {
            let db = dy.sum_axis(Axis(0));
            crate::kernel::add(&mut grad[self.bias.clone()], db.as_slice().expect("a sum is contiguous"));
        }
    }

    /// `dx ← beta · dx + dy Wᵀ`.
    pub fn backward_inputs<F: Real>(&self, w: &[F], dy: ArrayView2<F>, beta: F, dx: ArrayViewMut2<F>) {
        F::product(F::one(), dy, self.matrix(w).t(), beta, dx);
    }
}

/// `h₀ = silu(s₀)`, `h_{l+1} = h_l + silu(h_l W_l + b_l)`: the residual layers shared by the three networks. The first
/// pre-activation `s₀` (less its bias) is the caller's sum of products, so that inputs of several kinds can be added up.
#[derive(Clone, Debug)]
pub(crate) struct Trunk {
    pub width: usize,
    bias: Range<usize>,
    layers: Vec<Dense>,
}

/// What the backward pass of a [`Trunk`] needs: pre-activations and activations, (n, width) each.
#[derive(Debug)]
pub(crate) struct Tape<F> {
    pre: Vec<Array2<F>>,
    pub post: Vec<Array2<F>>,
}

impl<F: Real> Tape<F> {
    /// The trunk's output, (n, width).
    pub fn output(&self) -> ArrayView2<'_, F> {
        self.post.last().expect("a trunk has a first layer").view()
    }
}

fn flat<F>(a: &Array2<F>) -> &[F] {
    a.as_slice().expect("tapes are in standard layout")
}

fn flat_mut<F>(a: &mut Array2<F>) -> &mut [F] {
    a.as_slice_mut().expect("tapes are in standard layout")
}

impl Trunk {
    pub fn new(at: &mut Allocator, width: usize, depth: usize) -> Trunk {
        let bias = at.take(width);
        let layers = (0..depth).map(|_| Dense::new(at, width, width, true)).collect();
        Trunk { width, bias, layers }
    }

    pub fn init<F: Real>(&self, w: &mut [F], rng: &mut Stream) {
        self.layers.iter().for_each(|l| l.init(w, 1.0, rng));
    }

    /// From the first pre-activation without its bias.
    pub fn forward<F: Real>(&self, w: &[F], first: Array2<F>) -> Tape<F> {
        let shape = first.raw_dim();
        let mut tape = Tape { pre: vec![first], post: vec![Array2::zeros(shape)] };
        bias_silu(flat_mut(&mut tape.pre[0]), &w[self.bias.clone()], flat_mut(&mut tape.post[0]), true);
        for layer in &self.layers {
            let h = tape.post.last().expect("pushed above");
            let mut s = Array2::zeros(shape);
            layer.product(w, h.view(), F::zero(), s.view_mut());
            let mut next = h.clone();
            bias_silu(flat_mut(&mut s), &w[layer.bias.clone()], flat_mut(&mut next), false);
            tape.pre.push(s);
            tape.post.push(next);
        }
        tape
    }

    /// From the gradient at the output to the gradient at the first pre-activation; weights' gradients are added.
    pub fn backward<F: Real>(&self, w: &[F], tape: &Tape<F>, mut dh: Array2<F>, grad: &mut [F]) -> Array2<F> {
        let mut ds = Array2::zeros(dh.raw_dim());
        for (l, layer) in self.layers.iter().enumerate().rev() {
            silu_backward(flat(&tape.pre[l + 1]), flat(&dh), flat_mut(&mut ds));
            layer.backward_weights(tape.post[l].view(), ds.view(), grad);
            layer.backward_inputs(w, ds.view(), F::one(), dh.view_mut());
        }
        silu_backward(flat(&tape.pre[0]), flat(&dh), flat_mut(&mut ds));
        let db = ds.sum_axis(Axis(0));
        crate::kernel::add(&mut grad[self.bias.clone()], db.as_slice().expect("a sum is contiguous"));
        ds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    /// L = Σ c ⊙ (Dense ∘ Trunk ∘ Dense)(x) with fixed c: gradients of every weight and of x against central differences.
    #[test]
    fn gradients_meet_central_differences() {
        let mut at = Allocator::default();
        let input = Dense::new(&mut at, 3, 5, false);
        let trunk = Trunk::new(&mut at, 5, 2);
        let output = Dense::new(&mut at, 5, 2, true);
        let mut rng = stream(1, Purpose::Init, 0);
        let mut w: Vec<f64> = Array2::random_using((1, at.len), StandardNormal, &mut rng).into_raw_vec_and_offset().0;
        let mut x = Array2::random_using((4, 3), StandardNormal, &mut rng);
        let c = Array2::random_using((4, 2), StandardNormal, &mut rng);
        let loss = |w: &[f64], x: &Array2<f64>| {
            let mut first = Array2::zeros((4, 5));
            input.product(w, x.view(), 0.0, first.view_mut());
            let tape = trunk.forward(w, first);
            let mut y = Array2::zeros((4, 2));
            output.forward(w, tape.output(), y.view_mut());
            (tape, (&c * &y).sum())
        };
        let (tape, _) = loss(&w, &x);
        let mut grad = vec![0.0; at.len];
        output.backward_weights(tape.output(), c.view(), &mut grad);
        let mut dh = Array2::zeros((4, 5));
        output.backward_inputs(&w, c.view(), 0.0, dh.view_mut());
        let ds = trunk.backward(&w, &tape, dh, &mut grad);
        input.backward_weights(x.view(), ds.view(), &mut grad);
        let mut dx = Array2::zeros((4, 3));
        input.backward_inputs(&w, ds.view(), 0.0, dx.view_mut());
        let h = 1e-6;
        for i in 0..at.len {
            let at = w[i];
            w[i] = at + h;
            let up = loss(&w, &x).1;
            w[i] = at - h;
            let down = loss(&w, &x).1;
            w[i] = at;
            let want = (up - down) / (2.0 * h);
            assert!((grad[i] - want).abs() < 1e-7 * (1.0 + want.abs()), "weight {i}: {} {want}", grad[i]);
        }
        for i in 0..12 {
            let (r, k) = (i / 3, i % 3);
            let at = x[(r, k)];
            x[(r, k)] = at + h;
            let up = loss(&w, &x).1;
            x[(r, k)] = at - h;
            let down = loss(&w, &x).1;
            x[(r, k)] = at;
            let want = (up - down) / (2.0 * h);
            assert!((dx[(r, k)] - want).abs() < 1e-7 * (1.0 + want.abs()), "input {i}");
        }
    }
}
