//! z given the observed cells, from the conditional prior p(z | x_o), and what follows for the missing ones: the path of
//! fills and draws.

use ndarray::{Array1, Array2, ArrayView2};

use crate::data::scaling::Features;
use crate::kernel::{Real, vectorised};
use crate::likelihood::{Head, Likelihood};
use crate::model::linear::Given;
use crate::model::net::{flat, flat_mut};
use crate::model::{Context, Decoded, Gaussians, Vae};

/// Rows a product is made of when a fitted model is applied: always this many, padded, so that a row's answer does not
/// depend on its company.
pub(crate) const BLOCK: usize = 64;

/// Latent points of a row that are decoded in one product.
pub(crate) const AT_ONCE: usize = 4;

/// Where each head's expected values stand in a row of expectations: a number takes one place, levels one each.
fn outcome_starts(heads: &[Head]) -> Vec<usize> {
    let widths = heads.iter().map(|h| Likelihood::<f64>::outcomes(&h.law));
    let mut starts = vec![0];
    starts.extend(widths.scan(0, |at, w| {
        *at += w;
        Some(*at)
    }));
    starts
}

/// A block of rows: what is visible of them, and the buffers of their answers.
#[derive(Debug)]
pub(crate) struct Block<F> {
    /// Features of the visible cells of [`BLOCK`] rows, and how many are visible.
    pub visible: Features<F>,
    pub count: Array1<usize>,
    /// What the linear model says of them.
    pub given: Given,
    /// (BLOCK, outcomes): the sum that [`Block::add_expected`] makes.
    pub expected: Array2<F>,
    context: Context<F>,
    /// `at_once` latent points a row.
    decoded: Decoded<F>,
    noise: Array2<F>,
    starts: Vec<usize>,
    one: Vec<F>,
}

impl<F: Real> Block<F> {
    /// Buffers; `at_once` latent points of a row are decoded in one product.
    pub fn new(vae: &Vae, at_once: usize) -> Block<F> {
        let starts = outcome_starts(&vae.heads);
        let outcomes = starts[vae.heads.len()];
        Block {
            visible: Features::new(vae.features, BLOCK),
            count: Array1::zeros(BLOCK),
            given: Given::default(),
            expected: Array2::zeros((BLOCK, outcomes)),
            context: vae.context(BLOCK),
            decoded: vae.decoded(BLOCK * at_once, 1),
            noise: Array2::zeros((BLOCK * at_once, vae.latent)),
            starts,
            one: vec![F::zero(); outcomes],
        }
    }

    /// Shows the networks what another block of the same rows shows; what the linear model says of them it does not take over.
    pub fn see(&mut self, other: &Block<F>) {
        self.visible.clone_from(&other.visible);
        self.count.assign(&other.count);
    }

    /// What is summed for a head of row `r`: one number, or one probability a level.
    pub fn outcomes(&self, r: usize, head: usize) -> &[F] {
        let row = self.expected.row(r).to_slice().expect("standard layout");
        &row[self.starts[head]..self.starts[head + 1]]
    }

    /// As [`Block::outcomes`], to change them.
    pub fn outcomes_mut(&mut self, r: usize, head: usize) -> &mut [F] {
        let row = self.expected.row_mut(r).into_slice().expect("standard layout");
        &mut row[self.starts[head]..self.starts[head + 1]]
    }

    /// Adds to `expected` the given share of E[x | x_v] in model units: the mean over z_l = m + s ⊙ noise_l of each head's
    /// expected values. `noise`, (draws, latent), is common to all rows; draws are a multiple of what is decoded at once.
    pub fn add_expected(&mut self, vae: &Vae, w: &[F], noise: ArrayView2<F>, share: F) {
        vae.condition(w, &self.visible, &self.count, &mut self.context);
        let at_once = self.noise.nrows() / BLOCK;
        let share = share / F::of(noise.nrows() as f64);
        let Block { expected, context, decoded, noise: common, starts, one, .. } = self;
        let width = one.len();
        for some in noise.axis_chunks_iter(ndarray::Axis(0), at_once) {
            for (r, mut e) in common.rows_mut().into_iter().enumerate() {
                e.assign(&some.row(r % at_once));
            }
            context.prior.sample(common.view(), &mut decoded.z);
            vae.decode(w, context, decoded);
            let (eta, expected) = (flat(&decoded.eta), flat_mut(expected));
            vectorised(
                #[inline(always)]
                || {
                    for (eta, at) in eta.chunks_exact(vae.outputs.max(1)).zip(0..) {
                        let mean = &mut expected[at / at_once * width..][..width];
                        for (j, head) in vae.heads.iter().enumerate() {
                            head.law.expected(&eta[head.eta.clone()], &mut one[starts[j]..starts[j + 1]]);
                        }
                        mean.iter_mut().zip(&*one).for_each(|(m, &x)| *m += share * x);
                    }
                },
            );
        }
    }

    /// η of the given latent points, (BLOCK, latent), one a row: (BLOCK, outputs). The block decodes one latent point at once.
    pub fn decode(&mut self, vae: &Vae, w: &[F], z: ArrayView2<F>) -> &Array2<F> {
        vae.condition(w, &self.visible, &self.count, &mut self.context);
        self.decoded.z.assign(&z);
        vae.decode(w, &self.context, &mut self.decoded);
        &self.decoded.eta
    }

    /// The conditional prior p(z | x_v) of the block's rows.
    pub fn prior(&mut self, vae: &Vae, w: &[F]) -> &Gaussians<F> {
        vae.condition(w, &self.visible, &self.count, &mut self.context);
        &self.context.prior
    }

    /// η of one latent point a row, z = m + s ⊙ noise: (BLOCK, outputs). `noise` is (BLOCK, latent); the block decodes one
    /// latent point at once.
    pub fn draw(&mut self, vae: &Vae, w: &[F], noise: ArrayView2<F>) -> &Array2<F> {
        vae.condition(w, &self.visible, &self.count, &mut self.context);
        self.draw_again(vae, w, noise)
    }

    /// As [`Block::draw`], of several latent points a row, in which the networks take turns; each sees the rows once. A noise is
    /// (BLOCK, latent), or (1, latent) where it is common to all rows.
    pub fn draws<'n>(
        &mut self,
        vae: &Vae,
        networks: &[impl AsRef<[F]>],
        noises: impl Iterator<Item = ArrayView2<'n, F>>,
    ) -> Vec<Array2<F>> {
        let noises: Vec<_> = noises.collect();
        let mut out = vec![Array2::zeros((0, 0)); noises.len()];
        for (m, w) in networks.iter().take(noises.len()).map(AsRef::as_ref).enumerate() {
            vae.condition(w, &self.visible, &self.count, &mut self.context);
            for i in (m..noises.len()).step_by(networks.len()) {
                out[i].clone_from(self.draw_again(vae, w, noises[i]));
            }
        }
        out
    }

    fn draw_again(&mut self, vae: &Vae, w: &[F], noise: ArrayView2<F>) -> &Array2<F> {
        let noise = noise.broadcast((BLOCK, vae.latent)).expect("a row each, or one row");
        self.context.prior.sample(noise, &mut self.decoded.z);
        vae.decode(w, &self.context, &mut self.decoded);
        &self.decoded.eta
    }
}
