//! z given the observed cells, from the conditional prior p(z | x_o), and what follows for the missing ones: the path of
//! fills and draws.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::kernel::Real;
use crate::likelihood::{Head, Likelihood};
use crate::model::Vae;

/// Rows a product is made of when a fitted model is applied: always this many, padded, so that a row's answer does not
/// depend on its company.
pub(crate) const BLOCK: usize = 64;

/// Where each head's expected values stand in a row of expectations: a number takes one place, levels one each.
pub(crate) fn outcome_starts(heads: &[Head]) -> Vec<usize> {
    let widths = heads.iter().map(|h| Likelihood::<f64>::outcomes(&h.law));
    let mut starts = vec![0];
    starts.extend(widths.scan(0, |at, w| {
        *at += w;
        Some(*at)
    }));
    starts
}

/// E[x | x_v] in model units, (n, outcomes): the mean over z_l = m + s ⊙ noise_l of each head's expected values. `noise`
/// is (draws, latent), common to all rows.
pub(crate) fn expected<F: Real>(
    vae: &Vae,
    w: &[F],
    visible: ArrayView2<F>,
    count: ArrayView1<usize>,
    noise: ArrayView2<F>,
) -> Array2<F> {
    let starts = outcome_starts(&vae.heads);
    let width = starts[vae.heads.len()];
    let n = visible.nrows();
    let context = vae.condition(w, visible, count);
    let mut mean = Array2::zeros((n, width));
    let mut one = vec![F::zero(); width];
    let share = F::of(1.0 / noise.nrows() as f64);
    for e in noise.rows() {
        let common = e.broadcast((n, vae.latent)).expect("a row of noise has latent entries");
        let z = context.prior.sample(common, 1);
        let eta = vae.decode(w, &context, z, 1).eta;
        for (eta, mut mean) in eta.rows().into_iter().zip(mean.rows_mut()) {
            expect_row(&vae.heads, &starts, eta.to_slice().expect("standard layout"), &mut one);
            mean.iter_mut().zip(&one).for_each(|(m, &x)| *m += share * x);
        }
    }
    mean
}

fn expect_row<F: Real>(heads: &[Head], starts: &[usize], eta: &[F], out: &mut [F]) {
    for (j, head) in heads.iter().enumerate() {
        head.law.expected(&eta[head.eta.clone()], &mut out[starts[j]..starts[j + 1]]);
    }
}

/// η of one latent point a row, z = m + s ⊙ noise: (n, outputs). `noise` is (n, latent).
pub(crate) fn decoded_draw<F: Real>(
    vae: &Vae,
    w: &[F],
    visible: ArrayView2<F>,
    count: ArrayView1<usize>,
    noise: ArrayView2<F>,
) -> Array2<F> {
    let context = vae.condition(w, visible, count);
    let z = context.prior.sample(noise, 1);
    vae.decode(w, &context, z, 1).eta
}
