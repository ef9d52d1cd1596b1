//! Fast products and elementwise functions: the one file with `unsafe`, and the run-time choice of instruction set.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// The float the model computes in: `f32` to train and fill, `f64` so that the same code is gradient-checked sharply.
pub(crate) trait Real: NdFloat {
    fn of(x: f64) -> Self;
    fn f64(self) -> f64;
    /// eˣ for |x| ≤ 87 (clamped there); relative error below 2e-7 for `f32`. Branch-free, so that loops over it vectorise.
    fn fast_exp(self) -> Self;
    /// Adds `alpha · a b` to `beta · c`.
    fn product(alpha: Self, a: ArrayView2<Self>, b: ArrayView2<Self>, beta: Self, c: ArrayViewMut2<Self>);
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }

    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }

    /// Cody–Waite reduction to |r| ≤ ln 2 / 2 and the degree-6 Taylor polynomial; products are not fused, so that every
    /// machine gives the same bits.
    #[inline(always)]
    fn fast_exp(self) -> f32 {
        const MAGIC: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to the nearest integer
        let x = self.clamp(-87.0, 87.0);
        let shifted = x * std::f32::consts::LOG2_E + MAGIC;
        let n = shifted - MAGIC;
        let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
        let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
        // The lowest bits of the sum are the integer: a conversion would have to look out for NaN.
        p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
    }

    fn product(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, c: ArrayViewMut2<f32>) {
        gemm(alpha, a, b, beta, c);
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn fast_exp(self) -> f64 {
        self.clamp(-700.0, 700.0).exp()
    }

    fn product(alpha: f64, a: ArrayView2<f64>, b: ArrayView2<f64>, beta: f64, c: ArrayViewMut2<f64>) {
        gemm(alpha, a, b, beta, c);
    }
}

/// `c ← alpha · a b + beta · c` for any strides, on the calling thread.
#[allow(unsafe_code)]
fn gemm<F: Real>(alpha: F, a: ArrayView2<F>, b: ArrayView2<F>, beta: F, mut c: ArrayViewMut2<F>) {
    let (m, k) = a.dim();
    let n = b.ncols();
    assert!(b.nrows() == k && c.dim() == (m, n), "shapes of a product: {:?} {:?} {:?}", a.dim(), b.dim(), c.dim());
    let (ac, bc, cc) = (a.strides(), b.strides(), c.strides());
    let (ac, bc, cc) = ([ac[0], ac[1]], [bc[0], bc[1]], [cc[0], cc[1]]);
    // SAFETY: the pointers and strides come from live ndarray views whose shapes were checked to agree above; `c` is a
    // unique view, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            cc[1],
            cc[0],
            beta != F::zero(),
            a.as_ptr(),
            ac[1],
            ac[0],
            b.as_ptr(),
            bc[1],
            bc[0],
            // gemm's names: dst ← alpha · dst + beta · lhs rhs.
            beta,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Runs a loop with the widest vector instructions of this machine.
#[inline(always)]
pub(crate) fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<F: Real>(x: F) -> F {
    F::one() / (F::one() + (-x).fast_exp())
}

/// ρ / √(1 + (ρ/limit)²) and its derivative: near ρ where ρ is small, within ±limit always.
#[inline(always)]
pub(crate) fn bounded<F: Real>(rho: F, limit: f64) -> (F, F) {
    let u = rho * F::of(1.0 / limit);
    let r = F::one() / (F::one() + u * u).sqrt();
    (rho * r, r * r * r)
}

/// The ρ that [`bounded`] takes to `x`, which is held within seven eighths of the limit.
#[inline(always)]
pub(crate) fn unbounded<F: Real>(x: F, limit: f64) -> F {
    let most = 0.875 * limit;
    let u = x.max(F::of(-most)).min(F::of(most)) * F::of(1.0 / limit);
    u * F::of(limit) / (F::one() - u * u).sqrt()
}

/// A layer's activation and its slope: with `x = s + bias`, `out ← before + silu(x)` and `s ← silu′(x)`; without
/// `before`, `out ← silu(x)`.
pub(crate) fn bias_silu<F: Real>(s: &mut [F], bias: &[F], before: Option<&[F]>, out: &mut [F]) {
    #[inline(always)]
    fn one<F: Real>(s: &mut F, b: F) -> F {
        let x = *s + b;
        let g = sigmoid(x);
        *s = g * (F::one() + x * (F::one() - g));
        x * g
    }
    let width = bias.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = s.chunks_exact_mut(width).zip(out.chunks_exact_mut(width));
            match before {
                None => rows.for_each(|(s, out)| s.iter_mut().zip(bias).zip(out).for_each(|((s, &b), o)| *o = one(s, b))),
                Some(before) => rows.zip(before.chunks_exact(width)).for_each(|((s, out), h)| {
                    s.iter_mut().zip(bias).zip(out).zip(h).for_each(|(((s, &b), o), &h)| *o = h + one(s, b));
                }),
            }
        },
    )
}

/// `a ← a ⊙ b`.
pub(crate) fn multiply<F: Real>(a: &mut [F], b: &[F]) {
    vectorised(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, &b)| *a *= b),
    )
}

/// `into ← into + from`.
pub(crate) fn add<F: Real>(into: &mut [F], from: &[F]) {
    vectorised(
        #[inline(always)]
        || into.iter_mut().zip(from).for_each(|(a, &b)| *a += b),
    )
}

/// `sums ← beta · sums + Σ_rows x`, x row by row with `sums.len()` columns.
pub(crate) fn column_sums<F: Real>(x: &[F], beta: F, sums: &mut [F]) {
    const LANES: usize = 32;
    let width = sums.len();
    vectorised(
        #[inline(always)]
        || {
            for (c, sums) in sums.chunks_mut(LANES).enumerate() {
                let mut total = [F::zero(); LANES];
                let start = c * LANES;
                if sums.len() == LANES {
                    for row in x.chunks_exact(width) {
                        total.iter_mut().zip(&row[start..start + LANES]).for_each(|(t, &x)| *t += x);
                    }
                } else {
                    for row in x.chunks_exact(width) {
                        total.iter_mut().zip(&row[start..]).for_each(|(t, &x)| *t += x);
                    }
                }
                // What stood there may be anything, also NaN, when beta is zero.
                let kept = |s: F| if beta == F::zero() { F::zero() } else { beta * s };
                sums.iter_mut().zip(&total).for_each(|(s, &t)| *s = kept(*s) + t);
            }
        },
    )
}

/// The transpose of a matrix, row by row, with so many columns.
pub(crate) fn transpose<F: Real>(a: &[F], columns: usize, out: &mut [F]) {
    const TILE: usize = 4;
    // A block's lines of `out` are written to their end while they are in the nearest cache, also where they are powers of two apart.
    const BLOCK: usize = 16;
    let rows = a.len() / columns;
    for block in (0..rows).step_by(BLOCK) {
        for j in (0..columns).step_by(TILE) {
            for i in (block..rows.min(block + BLOCK)).step_by(TILE) {
                if i + TILE <= rows && j + TILE <= columns {
                    let from: [&[F]; TILE] = std::array::from_fn(|t| &a[(i + t) * columns + j..][..TILE]);
                    for t in 0..TILE {
                        out[(j + t) * rows + i..][..TILE].copy_from_slice(&from.map(|row| row[t]));
                    }
                } else {
                    for i in i..rows.min(i + TILE) {
                        (j..columns.min(j + TILE)).for_each(|j| out[j * rows + i] = a[i * columns + j]);
                    }
                }
            }
        }
    }
}

/// A place of no row: see [`gather`].
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Adds to each row of `y`, (n, width), the rows of `table`, (·, width), that its row of `places`, (n, columns), names.
pub(crate) fn gather<F: Real>(table: &[F], places: &[u32], columns: usize, y: &mut [F], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (places, y) in places.chunks_exact(columns).zip(y.chunks_exact_mut(width)) {
                for &p in places.iter().filter(|&&p| p != NOWHERE) {
                    let from = &table[p as usize * width..][..width];
                    y.iter_mut().zip(from).for_each(|(y, &t)| *y += t);
                }
            }
        },
    )
}

/// The reverse of [`gather`]: adds each row of `dy` to the rows of `table` that its row of `places` names.
pub(crate) fn scatter<F: Real>(table: &mut [F], places: &[u32], columns: usize, dy: &[F], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (places, dy) in places.chunks_exact(columns).zip(dy.chunks_exact(width)) {
                for &p in places.iter().filter(|&&p| p != NOWHERE) {
                    let into = &mut table[p as usize * width..][..width];
                    into.iter_mut().zip(dy).for_each(|(t, &d)| *t += d);
                }
            }
        },
    )
}

/// Numbers of a long list that a thread takes at a time.
pub(crate) const PIECE: usize = 1 << 15;

/// Σ x² in f64.
pub(crate) fn sum_of_squares(x: &[f32]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0f64; 16];
            let chunks = x.chunks_exact(16);
            let rest = chunks.remainder();
            for c in chunks {
                for (l, &v) in lanes.iter_mut().zip(c) {
                    *l += f64::from(v) * f64::from(v);
                }
            }
            lanes.iter().sum::<f64>() + rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
        },
    )
}

/// One step of Adam (Kingma & Ba 2015, algorithm 1) up the gradient, with decoupled weight decay (Loshchilov & Hutter
/// 2019), and the running mean of the weights.
pub(crate) struct AdamStep {
    /// β₁ and β₂.
    pub beta: (f32, f32),
    /// 1 / (1 − β₁ᵗ) and 1 / (1 − β₂ᵗ).
    pub correction: (f32, f32),
    pub step_size: f32,
    pub decay: f32,
    /// What the gradient is multiplied by first.
    pub scale: f32,
    /// Share of the new weights in the running mean.
    pub averaging: f32,
}

impl AdamStep {
    pub(crate) fn apply(&self, w: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], mean: &mut [f32]) {
        let (b1, b2) = self.beta;
        vectorised(
            #[inline(always)]
            || {
                for ((((w, &g), m), v), mean) in w.iter_mut().zip(grad).zip(m).zip(v).zip(mean) {
                    let g = g * self.scale;
                    *m += (1.0 - b1) * (g - *m);
                    *v += (1.0 - b2) * (g * g - *v);
                    let direction = *m * self.correction.0 / ((*v * self.correction.1).sqrt() + 1e-8);
                    *w += self.step_size * (direction - self.decay * *w);
                    *mean += self.averaging * (*w - *mean);
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn exp_is_accurate() {
        for i in -8600..8600 {
            let x = i as f32 / 100.0;
            let want = f64::from(x).exp();
            let got = f64::from(x.fast_exp());
            assert!(((got - want) / want).abs() < 3e-7, "{x}: {got} {want}");
        }
        assert!(f32::INFINITY.fast_exp().is_finite() && f32::NEG_INFINITY.fast_exp() > 0.0);
        assert!(f32::NAN.fast_exp().is_nan());
    }

    #[test]
    fn transposes_of_any_shape_are_ndarrays() {
        for (rows, columns) in [(1, 1), (4, 8), (7, 5), (3, 18), (13, 4), (256, 192)] {
            let a = Array2::from_shape_fn((rows, columns), |(i, j)| (i * columns + j) as f32);
            let mut out = Array2::zeros((columns, rows));
            transpose(a.as_slice().unwrap(), columns, out.as_slice_mut().unwrap());
            assert_eq!(out, a.t(), "{rows} × {columns}");
        }
    }

    #[test]
    fn product_agrees_with_ndarray_for_transposes_and_beta() {
        let a = Array2::from_shape_fn((37, 19), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
        let b = Array2::from_shape_fn((19, 23), |(i, j)| ((i * 5 + j) % 13) as f64 - 6.0);
        let mut c = Array2::from_elem((37, 23), 1.0);
        f64::product(2.0, a.view(), b.view(), 3.0, c.view_mut());
        let want = a.dot(&b) * 2.0 + 3.0;
        assert_eq!(c, want);
        let mut ct = Array2::zeros((23, 37));
        f64::product(1.0, b.t(), a.t(), 0.0, ct.view_mut());
        assert_eq!(ct, a.dot(&b).t());
        // With beta zero, what stood in c does not matter.
        let mut nan = Array2::from_elem((37, 23), f64::NAN);
        f64::product(1.0, a.view(), b.view(), 0.0, nan.view_mut());
        assert_eq!(nan, a.dot(&b));
    }

    #[test]
    fn a_row_of_a_product_does_not_depend_on_its_place() {
        let k = 193;
        let b = Array2::from_shape_fn((k, 65), |(i, j)| ((i * 31 + j * 17) % 101) as f32 / 101.0 - 0.5);
        let row: Vec<f32> = (0..k).map(|i| ((i * 37) % 89) as f32 / 89.0 - 0.3).collect();
        let mut first: Option<Vec<f32>> = None;
        for place in 0..64 {
            let mut a = Array2::from_elem((64, k), place as f32 * 0.01);
            a.row_mut(place).assign(&ndarray::aview1(&row));
            let mut c = Array2::zeros((64, 65));
            f32::product(1.0, a.view(), b.view(), 0.0, c.view_mut());
            let got = c.row(place).to_vec();
            assert_eq!(*first.get_or_insert_with(|| got.clone()), got, "place {place}");
        }
    }
}
