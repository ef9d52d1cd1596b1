//! The factors of several rows at once given their visible cells: products over all of their cells and, row beside row, triangles.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};
use ndarray_rand::rand_distr::{Distribution, StandardNormal};

use super::levels::Discriminant;
use super::{CLIP, Dimension, FactorAnalysis, RANK_MOST, triangle};
use crate::data::scaling::Features;
use crate::kernel::{Real, vectorised};
use crate::rng::Stream;

/// Rows whose triangles are worked out side by side, which vectorises whatever the rank.
const LANES: usize = 8;

type Lanes = [f64; LANES];

/// Cells of rows as a model sees them, (dimensions, rows): whether a row has a dimension, 1 or 0, and its value, 0 where it has none.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Rows, a multiple of [`LANES`]: the last ones may have nothing.
    pub rows: usize,
    pub has: Vec<f64>,
    pub value: Vec<f64>,
}

impl Cells {
    /// So many rows with nothing visible.
    pub fn clear(&mut self, model: &FactorAnalysis, rows: usize) {
        self.rows = rows.next_multiple_of(LANES);
        for cells in [&mut self.has, &mut self.value] {
            cells.clear();
            cells.resize(model.len() * self.rows, 0.0);
        }
    }

    #[inline(always)]
    pub fn put<F: Real>(&mut self, model: &FactorAnalysis, r: usize, target: ArrayView1<F>, visible: impl Fn(usize) -> bool) {
        for t in (0..model.len()).filter(|&t| model.has(t, &visible)) {
            let at = t * self.rows + r;
            (self.has[at], self.value[at]) = (1.0, model.value(t, target));
        }
    }
}

/// The distribution of rows' factors.
#[derive(Debug, Default)]
pub(super) struct Factors {
    /// W ψ⁻¹ (y − μ) is made from this, (dimensions, rows).
    deviation: Vec<f64>,
    /// (rank, rows)
    pub mean: Vec<f64>,
    /// (entries of a triangle, rows): first the precision, less the identity.
    pub covariance: Vec<f64>,
    /// L⁻¹, the precision being L Lᵀ: (entries of a triangle, rows).
    root: Vec<f64>,
}

impl Factors {
    /// By a model whose [`FactorAnalysis::prepare_step`] is done.
    pub fn explain(&mut self, model: &FactorAnalysis, cells: &Cells) {
        let (k, n) = (model.rank, cells.rows);
        let d = model.len();
        let Factors { deviation, mean, covariance, root } = self;
        deviation.clear();
        deviation.resize(d * n, 0.0);
        mean.resize(k * n, 0.0);
        covariance.resize(triangle(k) * n, 0.0);
        root.resize(triangle(k) * n, 0.0);
        if d * n == 0 {
            return;
        }
        vectorised(
            #[inline(always)]
            || {
                let of = cells.value.chunks_exact(n).zip(cells.has.chunks_exact(n));
                for (t, (to, (value, has))) in deviation.chunks_exact_mut(n).zip(of).enumerate() {
                    let (mean, by) = (model.mean[t], 1.0 / model.noise[t]);
                    to.iter_mut().zip(value).zip(has).for_each(|((to, value), has)| *to = (value - has * mean) * by);
                }
            },
        );
        f64::product(1.0, table(&model.outer, triangle(k)), table(&cells.has, d), 0.0, table_mut(covariance, triangle(k)));
        f64::product(1.0, table(&model.transposed, k), table(deviation, d), 0.0, table_mut(mean, k));
        vectorised(
            #[inline(always)]
            || {
                let (mut a, mut inverse) = ([[0.0; LANES]; triangle(RANK_MOST)], [[0.0; LANES]; triangle(RANK_MOST)]);
                let mut f = [[0.0; LANES]; RANK_MOST];
                for at in (0..n).step_by(LANES) {
                    load(&mut a, covariance, n, at);
                    load(&mut f, mean, n, at);
                    solve(&mut a, &mut inverse, &mut f[..k]);
                    store(&a, covariance, n, at);
                    store(&inverse, root, n, at);
                    store(&f, mean, n, at);
                }
            },
        );
    }
}

/// Numbers row by row, (rows, ·).
pub(super) fn table(numbers: &[f64], rows: usize) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((rows, numbers.len() / rows), numbers).expect("rows of one length")
}

pub(super) fn table_mut(numbers: &mut [f64], rows: usize) -> ArrayViewMut2<'_, f64> {
    ArrayViewMut2::from_shape((rows, numbers.len() / rows), numbers).expect("rows of one length")
}

#[inline(always)]
fn load(to: &mut [Lanes], from: &[f64], n: usize, at: usize) {
    to.iter_mut().zip(from.chunks_exact(n)).for_each(|(to, from)| to.copy_from_slice(&from[at..at + LANES]));
}

#[inline(always)]
fn store(from: &[Lanes], to: &mut [f64], n: usize, at: usize) {
    from.iter().zip(to.chunks_exact_mut(n)).for_each(|(from, to)| to[at..at + LANES].copy_from_slice(from));
}

#[inline(always)]
fn each(f: impl Fn(usize) -> f64) -> Lanes {
    std::array::from_fn(f)
}

#[inline(always)]
fn dot(pairs: impl Iterator<Item = (Lanes, Lanes)>) -> Lanes {
    let mut sum = [0.0; LANES];
    for (x, y) in pairs {
        sum = each(|l| sum[l] + x[l] * y[l]);
    }
    sum
}

/// Of A, lower triangles row by row, and b, (rank,): with A + I = L Lᵀ, `inverse` becomes L⁻¹, A becomes (A + I)⁻¹ and b becomes
/// (A + I)⁻¹ b.
#[inline(always)]
fn solve(a: &mut [Lanes], inverse: &mut [Lanes], b: &mut [Lanes]) {
    let k = b.len();
    // L, with the inverse of its diagonal where that of L⁻¹ stands.
    for i in 0..k {
        for j in 0..=i {
            let mut sum = a[triangle(i) + j];
            for m in 0..j {
                let (x, y) = (a[triangle(i) + m], a[triangle(j) + m]);
                sum = each(|l| sum[l] - x[l] * y[l]);
            }
            if i == j {
                // Positive but for rounding.
                inverse[triangle(i) + i] = each(|l| 1.0 / (sum[l] + 1.0).max(1e-12).sqrt());
            } else {
                let by = inverse[triangle(j) + j];
                a[triangle(i) + j] = each(|l| sum[l] * by[l]);
            }
        }
    }
    for c in 0..k {
        for r in c + 1..k {
            let sum = dot((c..r).map(|m| (a[triangle(r) + m], inverse[triangle(m) + c])));
            let by = inverse[triangle(r) + r];
            inverse[triangle(r) + c] = each(|l| -sum[l] * by[l]);
        }
    }
    // L⁻¹ b, the last first as it takes those before it; then L⁻ᵀ of that, the first first.
    for r in (0..k).rev() {
        b[r] = dot((0..=r).map(|c| (inverse[triangle(r) + c], b[c])));
    }
    for c in 0..k {
        b[c] = dot((c..k).map(|r| (inverse[triangle(r) + c], b[r])));
    }
    for r in 0..k {
        for c in 0..=r {
            a[triangle(r) + c] = dot((r..k).map(|m| (inverse[triangle(m) + r], inverse[triangle(m) + c])));
        }
    }
}

/// What the visible cells of some rows say of the others: buffers, and the answers for the rows that were completed last.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Which of the rows these are, one after the other.
    of: Vec<usize>,
    cells: Cells,
    factors: Factors,
    /// Expected values of dimensions, (dimensions, rows).
    expected: Vec<f64>,
    /// What the factors leave open of the variance of dimensions that speak for their column, (these, rows).
    variance: Vec<f64>,
    one: OfRow,
}

/// Of one row, for discriminants.
#[derive(Debug, Default)]
pub(super) struct OfRow {
    /// The factors' mean, (rank,).
    pub mean: Vec<f64>,
    /// L⁻¹ Wᵀ, (rank, dimensions).
    pub across: Vec<f64>,
    /// What a level's classes add to the logarithms of their shares.
    pub add: Vec<f64>,
}

impl OfRow {
    /// The `r`-th of `n` rows.
    #[inline(always)]
    fn take(&mut self, model: &FactorAnalysis, Factors { mean, root, .. }: &Factors, (r, n): (usize, usize)) {
        let d = model.len();
        self.mean.clear();
        self.mean.extend(mean.iter().skip(r).step_by(n));
        self.across.clear();
        self.across.resize(model.rank * d, 0.0);
        for (i, to) in self.across.chunks_exact_mut(d).enumerate() {
            for (j, from) in model.transposed.chunks_exact(d).take(i + 1).enumerate() {
                let by = root[(triangle(i) + j) * n + r];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += by * from);
            }
        }
    }
}

impl Given {
    /// The first of the rows.
    pub(super) fn first(&mut self, model: &FactorAnalysis) -> &mut OfRow {
        self.one.take(model, &self.factors, (0, self.cells.rows));
        &mut self.one
    }

    /// What is expected of a dimension of the `r`-th of the rows.
    pub(super) fn expected(&self, t: usize, r: usize) -> f64 {
        self.expected[t * self.cells.rows + r]
    }
}

impl FactorAnalysis {
    /// What the visible cells of some rows say: of those `of` the rows of a table that are `mine`, `visible` having a row for each of
    /// them. Products are of a multiple of `multiple` rows.
    pub(super) fn explain<F: Real>(
        &self,
        target: ArrayView2<F>,
        (of, visible): (&[usize], &[bool]),
        mine: impl Fn(usize) -> bool,
        multiple: usize,
        given: &mut Given,
    ) {
        let Given { of: places, cells, factors, expected, variance, .. } = given;
        places.clear();
        places.extend((0..of.len()).filter(|&r| mine(of[r])));
        cells.clear(self, places.len().next_multiple_of(multiple));
        let columns = target.ncols();
        for (r, &place) in places.iter().enumerate() {
            let visible = &visible[place * columns..][..columns];
            cells.put(self, r, target.row(of[place]), |j| visible[j]);
        }
        factors.explain(self, cells);
        let (d, n, alone) = (self.len(), cells.rows, self.alone.len());
        expected.resize(d * n, 0.0);
        variance.resize(alone * n, 0.0);
        if d * n == 0 {
            return;
        }
        f64::product(1.0, table(&self.loading, d), table(&factors.mean, self.rank), 0.0, table_mut(expected, d));
        vectorised(
            #[inline(always)]
            || {
                for ((expected, mean), &(low, high)) in expected.chunks_exact_mut(n).zip(&self.mean).zip(&self.reach) {
                    expected.iter_mut().for_each(|x| *x = (*x + mean).clamp(low, high));
                }
            },
        );
        if alone > 0 {
            let covariance = table(&factors.covariance, triangle(self.rank));
            f64::product(1.0, table(&self.pairs, alone), covariance, 0.0, table_mut(variance, alone));
        }
    }

    /// Completes the rows that were [explained](FactorAnalysis::explain) last, the first of `of` being row `at` of `out`: writes every
    /// dimension's value or expected value to its last places, and where heads start from to its starts: the mean and ln sd of each
    /// number that is not visible, and of each level that is not what it adds to the logarithm of its share.
    pub(super) fn complete<F: Real>(&self, out: &mut Features<F>, at: usize, given: &mut Given) {
        let (d, n) = (self.len(), given.cells.rows);
        let encoded = out.dense.ncols() - d;
        for r in 0..given.of.len() {
            let mut dense = out.dense.row_mut(at + given.of[r]);
            let dense = dense.as_slice_mut().expect("buffers are in standard layout");
            let mut start = out.start.row_mut(at + given.of[r]);
            let start = start.as_slice_mut().expect("buffers are in standard layout");
            let Given { cells, factors, expected, variance, one, .. } = &mut *given;
            let has = |t: usize| cells.has[t * n + r] > 0.0;
            for (t, to) in dense[encoded..].iter_mut().enumerate() {
                let x = if has(t) { cells.value[t * n + r] } else { expected[t * n + r] };
                *to = F::of(x.clamp(-CLIP, CLIP));
            }
            start.fill(F::zero());
            for (a, &t) in self.alone.iter().enumerate().filter(|(_, t)| !has(**t)) {
                if let Dimension::Number { start: to } = self.dimensions[t].1 {
                    start[to] = F::of(expected[t * n + r]);
                    let variance = self.noise[t] + variance[a * n + r];
                    start[to + 1] = F::of(0.5 * variance.ln() + self.spread[t].ln());
                }
            }
            let told = |levels: &&Discriminant| levels.trust > 0.0 && cells.has[levels.first * n + r] == 0.0;
            if self.levels.iter().any(|levels| told(&levels)) {
                vectorised(
                    #[inline(always)]
                    || {
                        one.take(self, factors, (r, n));
                        self.levels.iter().filter(told).for_each(|levels| levels.write(self, one, start));
                    },
                );
            }
        }
    }

    /// Standard normal noise for the missing cells of the `r`-th of the rows that were [explained](FactorAnalysis::explain) last,
    /// correlated as the model says they are given the observed ones, (columns,); independent where a column has no dimension
    /// that speaks for it.
    pub fn noise(&self, given: &Given, r: usize, rng: &mut Stream, out: &mut [f64]) {
        let (k, n) = (self.rank, given.cells.rows);
        let normals: Vec<f64> = (0..k).map(|_| StandardNormal.sample(rng)).collect();
        out.iter_mut().for_each(|e| *e = StandardNormal.sample(rng));
        // L⁻ᵀ e has the factors' covariance.
        let factor = |c: usize| (c..k).map(|i| given.factors.root[(triangle(i) + c) * n + r] * normals[i]).sum();
        let factors: Vec<f64> = (0..k).map(factor).collect();
        for (a, &t) in self.alone.iter().enumerate().filter(|(_, t)| given.cells.has[**t * n + r] == 0.0) {
            let (w, psi) = (&self.loading[t * k..(t + 1) * k], self.noise[t]);
            let own = &mut out[self.dimensions[t].0];
            *own = (super::dot(w, &factors) + psi.sqrt() * *own) / (psi + given.variance[a * n + r]).sqrt();
        }
    }
}
