//! Layers with their forward and backward passes by hand: no graph, no autodiff. Weights live in one flat vector, what a
//! pass computes in buffers that its owner makes once.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;

use crate::data::scaling::{FeatureShape, Features};
use crate::kernel::{Real, add, bias_silu, column_sums, gather, multiply, scatter, transpose};
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

/// Normal weights with the given standard deviation.
fn random<F: Real>(w: &mut [F], sd: f64, rng: &mut Stream) {
    let draws = Array2::<f64>::random_using((1, w.len()), StandardNormal, rng);
    w.iter_mut().zip(draws).for_each(|(w, x)| *w = F::of(sd * x));
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
        random(&mut w[self.weight.clone()], gain / (self.inputs as f64).sqrt(), rng);
    }

    pub fn matrix<'a, F: Real>(&self, w: &'a [F]) -> ArrayView2<'a, F> {
        ArrayView2::from_shape((self.inputs, self.outputs), &w[self.weight.clone()]).expect("the range fits the shape")
    }

    /// `y ← beta · y + x W`, without the bias.
    pub fn product<F: Real>(&self, w: &[F], x: ArrayView2<F>, beta: F, y: ArrayViewMut2<F>) {
        F::product(F::one(), x, self.matrix(w), beta, y);
    }

    /// `y ← x W + b`.
    pub fn forward<F: Real>(&self, w: &[F], x: ArrayView2<F>, y: &mut Array2<F>) {
        let bias = &w[self.bias.clone()];
        flat_mut(y).chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
        self.product(w, x, F::one(), y.view_mut());
    }

    /// `grad ← beta · grad + (∂/∂W, ∂/∂b)` in this layer's ranges: a sum for each `part` rows, then of these.
    pub fn backward_weights<F: Real>(&self, x: ArrayView2<F>, dy: &Array2<F>, part: usize, beta: F, grad: &mut [F]) {
        bias_gradient(dy, part, beta, &mut grad[self.bias.clone()]);
        let mut beta = beta;
        for (x, dy) in x.axis_chunks_iter(Axis(0), part).zip(dy.axis_chunks_iter(Axis(0), part)) {
            let at = &mut grad[self.weight.clone()];
            let dw = ArrayViewMut2::from_shape((self.inputs, self.outputs), at).expect("the range fits the shape");
            F::product(F::one(), x.t(), dy, beta, dw);
            beta = F::one();
        }
    }

    /// `dx ← beta · dx + dy Wᵀ`.
    pub fn backward_inputs<F: Real>(&self, w: &[F], dy: &Array2<F>, beta: F, dx: &mut Array2<F>) {
        F::product(F::one(), dy.view(), self.matrix(w).t(), beta, dx.view_mut());
    }
}

/// `grad ← beta · grad + Σ dy`, by parts of the rows; nothing where there is no bias.
fn bias_gradient<F: Real>(dy: &Array2<F>, part: usize, beta: F, grad: &mut [F]) {
    if grad.is_empty() {
        return;
    }
    let mut beta = beta;
    for rows in flat(dy).chunks(part * grad.len()) {
        column_sums(rows, beta, grad);
        beta = F::one();
    }
}

/// The transposes of some layers' weights, from which products of many columns are faster: kept while the weights are the same.
#[derive(Debug)]
pub(crate) struct Transposed<F> {
    layers: Vec<Array2<F>>,
    stale: bool,
}

impl<F: Real> Transposed<F> {
    pub fn new() -> Transposed<F> {
        Transposed { layers: Vec::new(), stale: true }
    }

    /// Says that the weights are others now.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    /// Wᵀ of each layer, (outputs, inputs).
    pub fn of(&mut self, w: &[F], layers: &[Dense]) -> &[Array2<F>] {
        if self.stale {
            if self.layers.is_empty() {
                self.layers = layers.iter().map(|l| Array2::zeros((l.outputs, l.inputs))).collect();
            }
            for (layer, out) in layers.iter().zip(&mut self.layers) {
                transpose(&w[layer.weight.clone()], layer.outputs, flat_mut(out));
            }
            self.stale = false;
        }
        &self.layers
    }
}

/// A linear map from features: a product for the dense ones, a row of a table for each level.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    dense: Dense,
    /// (classes, outputs).
    table: Range<usize>,
    columns: usize,
}

impl Input {
    pub fn new(at: &mut Allocator, shape: FeatureShape, outputs: usize) -> Input {
        let dense = Dense::new(at, shape.dense, outputs, false);
        Input { dense, table: at.take(shape.classes * outputs), columns: shape.columns }
    }

    /// Where its weights stand, (features, outputs).
    pub fn weights(&self) -> Range<usize> {
        self.dense.weight.start..self.table.end
    }

    /// Normal weights with the given standard deviation.
    pub fn init<F: Real>(&self, w: &mut [F], sd: f64, rng: &mut Stream) {
        random(&mut w[self.weights()], sd, rng);
    }

    /// `y ← beta · y + x W`.
    pub fn product<F: Real>(&self, w: &[F], x: &Features<F>, beta: F, y: &mut Array2<F>) {
        self.dense.product(w, x.dense.view(), beta, y.view_mut());
        if self.columns > 0 {
            gather(&w[self.table.clone()], flat(&x.places), self.columns, flat_mut(y), self.dense.outputs);
        }
    }

    /// `grad ← beta · grad + ∂/∂W` in this layer's range; beta is zero or one. As [`Dense::backward_weights`]; `room` is a buffer
    /// for a part's own sum.
    pub fn backward_weights<F: Real>(
        &self,
        x: &Features<F>,
        dy: &Array2<F>,
        (part, room): (usize, &mut Vec<F>),
        beta: F,
        grad: &mut [F],
    ) {
        self.dense.backward_weights(x.dense.view(), dy, part, beta, grad);
        if self.columns == 0 {
            return;
        }
        let table = &mut grad[self.table.clone()];
        let (columns, outputs) = (self.columns, self.dense.outputs);
        let each = flat(&x.places).chunks(part * columns).zip(flat(dy).chunks(part * outputs));
        for (i, (places, dy)) in each.enumerate() {
            if i == 0 && beta == F::zero() {
                table.fill(F::zero());
                scatter(table, places, columns, dy, outputs);
            } else {
                room.clear();
                room.resize(table.len(), F::zero());
                scatter(room, places, columns, dy, outputs);
                add(table, room);
            }
        }
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

/// The buffers of a pass through a [`Trunk`], (n, width) each.
#[derive(Debug)]
pub(crate) struct Tape<F> {
    /// Per layer: its pre-activation on the way in; after the forward pass the activation's slope there, and after the
    /// backward pass the gradient.
    slope: Vec<Array2<F>>,
    post: Vec<Array2<F>>,
    pub transposed: Transposed<F>,
    /// Rows that are summed by themselves first.
    pub part: usize,
    room: Vec<F>,
}

impl<F: Real> Tape<F> {
    pub fn new(trunk: &Trunk, n: usize, part: usize) -> Tape<F> {
        let buffers = || (0..=trunk.layers.len()).map(|_| Array2::zeros((n, trunk.width))).collect();
        Tape { slope: buffers(), post: buffers(), transposed: Transposed::new(), part, room: Vec::new() }
    }

    /// Where the caller puts the first pre-activation, and finds its gradient after the backward pass.
    pub fn first(&mut self) -> &mut Array2<F> {
        &mut self.slope[0]
    }

    /// The first pre-activation or its gradient, with what [`Input::backward_weights`] asks for.
    pub fn first_and_room(&mut self) -> (&Array2<F>, (usize, &mut Vec<F>)) {
        (&self.slope[0], (self.part, &mut self.room))
    }

    /// What [`Input::backward_weights`] asks for.
    pub fn room(&mut self) -> (usize, &mut Vec<F>) {
        (self.part, &mut self.room)
    }

    /// The trunk's output, (n, width).
    pub fn output(&self) -> ArrayView2<'_, F> {
        self.post[self.post.len() - 1].view()
    }
}

/// The cells of a buffer, row by row.
pub(crate) fn flat<T>(a: &Array2<T>) -> &[T] {
    a.as_slice().expect("buffers are in standard layout")
}

/// The cells of a buffer, row by row.
pub(crate) fn flat_mut<T>(a: &mut Array2<T>) -> &mut [T] {
    a.as_slice_mut().expect("buffers are in standard layout")
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

    /// Weights that are multiplied by activations.
    pub fn weights(&self) -> usize {
        self.layers.len() * self.width * self.width
    }

    /// From the first pre-activation without its bias.
    pub fn forward<F: Real>(&self, w: &[F], tape: &mut Tape<F>) {
        bias_silu(flat_mut(&mut tape.slope[0]), &w[self.bias.clone()], None, flat_mut(&mut tape.post[0]));
        for (l, layer) in self.layers.iter().enumerate() {
            let (before, after) = tape.post.split_at_mut(l + 1);
            let s = &mut tape.slope[l + 1];
            layer.product(w, before[l].view(), F::zero(), s.view_mut());
            bias_silu(flat_mut(s), &w[layer.bias.clone()], Some(flat(&before[l])), flat_mut(&mut after[0]));
        }
    }

    /// From the gradient at the output, which is used up, to the gradient at the first pre-activation, which the tape
    /// then holds; `grad ← beta · grad + ∂` in the trunk's ranges.
    pub fn backward<F: Real>(&self, w: &[F], tape: &mut Tape<F>, dh: &mut Array2<F>, beta: F, grad: &mut [F]) {
        let transposed = tape.transposed.of(w, &self.layers);
        for (l, layer) in self.layers.iter().enumerate().rev() {
            let ds = &mut tape.slope[l + 1];
            multiply(flat_mut(ds), flat(dh));
            layer.backward_weights(tape.post[l].view(), ds, tape.part, beta, grad);
            F::product(F::one(), ds.view(), transposed[l].view(), F::one(), dh.view_mut());
        }
        multiply(flat_mut(&mut tape.slope[0]), flat(dh));
        bias_gradient(&tape.slope[0], tape.part, beta, &mut grad[self.bias.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::NOWHERE;
    use crate::rng::{Purpose, stream};

    /// L = Σ c ⊙ (Dense ∘ Trunk ∘ Input)(x) with fixed c: gradients of every weight against central differences.
    #[test]
    fn gradients_meet_central_differences() {
        let mut at = Allocator::default();
        let input = Input::new(&mut at, FeatureShape { dense: 3, columns: 2, classes: 5, starts: 0 }, 5);
        let trunk = Trunk::new(&mut at, 5, 2);
        let output = Dense::new(&mut at, 5, 2, true);
        let mut rng = stream(1, Purpose::Init, 0);
        let mut w: Vec<f64> = Array2::random_using((1, at.len), StandardNormal, &mut rng).into_raw_vec_and_offset().0;
        let x = Features {
            dense: Array2::random_using((4, 3), StandardNormal, &mut rng),
            places: ndarray::arr2(&[[0, 3], [1, NOWHERE], [NOWHERE, NOWHERE], [1, 4]]),
            start: Array2::zeros((4, 6)),
        };
        let c = Array2::random_using((4, 2), StandardNormal, &mut rng);
        // The rows at once, and cut into two parts.
        for part in [4, 2] {
            let mut tape = Tape::new(&trunk, 4, part);
            let mut y = Array2::zeros((4, 2));
            let mut loss = |w: &[f64], tape: &mut Tape<f64>| {
                input.product(w, &x, 0.0, tape.first());
                trunk.forward(w, tape);
                output.forward(w, tape.output(), &mut y);
                (&c * &y).sum()
            };
            loss(&w, &mut tape);
            // With beta zero, what stood in the gradient does not matter; with one, it is added to.
            let mut grad = vec![f64::NAN; at.len];
            let mut dh = Array2::zeros((4, 5));
            for beta in [0.0, 1.0] {
                loss(&w, &mut tape);
                output.backward_weights(tape.output(), &c, part, beta, &mut grad);
                output.backward_inputs(&w, &c, 0.0, &mut dh);
                trunk.backward(&w, &mut tape, &mut dh, beta, &mut grad);
                let ds = tape.first().clone();
                input.backward_weights(&x, &ds, tape.room(), beta, &mut grad);
            }
            let h = 1e-6;
            for i in 0..at.len {
                let at = w[i];
                w[i] = at + h;
                let up = loss(&w, &mut tape);
                w[i] = at - h;
                let down = loss(&w, &mut tape);
                w[i] = at;
                let want = (up - down) / h;
                assert!((grad[i] - want).abs() < 1e-7 * (1.0 + want.abs()), "weight {i}: {} {want}", grad[i]);
            }
        }
    }
}
