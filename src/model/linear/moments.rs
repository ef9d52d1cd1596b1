//! The E step of EM: expected moments of many rows at once, by products over all of their cells and, row beside row, by triangles of
//! their factors.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::{FactorAnalysis, RANK_MOST, Source, triangle};
use crate::kernel::{Real, vectorised};

/// Rows of one sum: fixed, so that sums come out the same on any number of threads.
const CHUNK: usize = 256;
/// Rows whose triangles are worked out side by side, which vectorises whatever the rank.
const LANES: usize = 8;

type Lanes = [f64; LANES];

/// The cells of some rows as EM sees them, the same in all of its steps.
pub(super) struct Cells {
    chunks: Vec<Chunk>,
    /// Per dimension, Σ y² of its cells.
    squares: Array1<f64>,
    /// What all rows count for.
    pub weight: f64,
}

struct Chunk {
    /// Whether a row has a dimension, 1 or 0, and its value, 0 where it has none: (dimensions, rows); of as many rows as fill lanes,
    /// the last of which may have none.
    has: Array2<f64>,
    value: Array2<f64>,
    /// (rows,)
    weight: Array1<f64>,
}

impl Cells {
    pub fn new(model: &FactorAnalysis, of: &Source<'_>, some: &[usize]) -> Cells {
        let chunks: Vec<Chunk> = some.par_chunks(CHUNK).map(|rows| Chunk::new(model, of, rows)).collect();
        let squares =
            chunks.iter().fold(Array1::zeros(model.len()), |sum, chunk| sum + (&chunk.value * &chunk.value).dot(&chunk.weight));
        Cells { squares, weight: chunks.iter().map(|chunk| chunk.weight.sum()).sum(), chunks }
    }

    /// The E step by a model whose [`FactorAnalysis::prepare_step`] is done.
    pub fn moments(&self, model: &FactorAnalysis) -> Moments {
        let parts: Vec<Moments> = self.chunks.par_iter().map(|chunk| chunk.moments(model)).collect();
        let mut sums = Moments::new(model.len(), model.rank);
        parts.iter().for_each(|part| sums.add(part));
        sums.squares.assign(&self.squares);
        sums
    }
}

impl Chunk {
    fn new(model: &FactorAnalysis, of: &Source<'_>, rows: &[usize]) -> Chunk {
        let shape = (model.len(), rows.len().next_multiple_of(LANES));
        let (mut has, mut value, mut weight) = (Array2::zeros(shape), Array2::zeros(shape), Array1::zeros(shape.1));
        for (r, &i) in rows.iter().enumerate() {
            let target = of.rows.target.row(i);
            weight[r] = of.weight(i);
            for t in (0..model.len()).filter(|&t| model.has(t, |j| !target[j].is_nan())) {
                (has[(t, r)], value[(t, r)]) = (1.0, model.value(t, target));
            }
        }
        Chunk { has, value, weight }
    }

    fn moments(&self, model: &FactorAnalysis) -> Moments {
        let (d, k, n) = (model.len(), model.rank, self.weight.len());
        let (second, size) = (triangle(k), triangle(k + 1));
        // The factors' precision given a row's cells, less the identity, and W ψ⁻¹ (y − μ).
        let outer = rows_of(&model.outer, d);
        let mut precision = Array2::zeros((second, n));
        f64::product(1.0, outer.t(), self.has.view(), 0.0, precision.view_mut());
        let mut deviation = &self.value - &(&self.has * &column(&model.mean));
        deviation /= &column(&model.noise);
        let mut mean = Array2::zeros((k, n));
        f64::product(1.0, rows_of(&model.loading, d).t(), deviation.view(), 0.0, mean.view_mut());
        // E[g gᵀ], a triangle, each row's times its weight.
        let mut gg = Array2::zeros((size, n));
        vectorised(
            #[inline(always)]
            || {
                let (mut a, mut inverse) = ([[0.0; LANES]; triangle(RANK_MOST)], [[0.0; LANES]; triangle(RANK_MOST)]);
                let mut f = [[0.0; LANES]; RANK_MOST];
                for (at, weight) in self.weight.exact_chunks(LANES).into_iter().enumerate() {
                    let at = at * LANES..(at + 1) * LANES;
                    let weight = lanes(weight.as_slice().expect("one axis"));
                    for (a, row) in a.iter_mut().zip(precision.rows()) {
                        *a = lanes(&row.to_slice().expect("standard layout")[at.clone()]);
                    }
                    for (f, row) in f.iter_mut().zip(mean.rows()) {
                        *f = lanes(&row.to_slice().expect("standard layout")[at.clone()]);
                    }
                    explain(&mut a, &mut inverse, &mut f[..k]);
                    let mut out = gg.rows_mut().into_iter();
                    let mut put = |x: Lanes| {
                        let row = out.next().expect("a row for each entry").into_slice().expect("standard layout");
                        row[at.clone()].copy_from_slice(&each(|l| weight[l] * x[l]));
                    };
                    for r in 0..k {
                        for c in 0..=r {
                            let (covariance, x, y) = (a[triangle(r) + c], f[r], f[c]);
                            put(each(|l| covariance[l] + x[l] * y[l]));
                        }
                    }
                    f[..k].iter().for_each(|&f| put(f));
                    put([1.0; LANES]);
                }
            },
        );
        let mut sums = Moments::new(d, k);
        f64::product(1.0, self.has.view(), gg.t(), 0.0, sums.second.view_mut());
        f64::product(1.0, self.value.view(), gg.slice(s![second.., ..]).t(), 0.0, sums.first.view_mut());
        sums.factors = gg.sum_axis(Axis(1));
        sums
    }
}

/// Numbers row by row, (rows, ·).
fn rows_of(numbers: &[f64], rows: usize) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((rows, numbers.len() / rows), numbers).expect("rows of one length")
}

/// A column, (n, 1).
fn column(numbers: &[f64]) -> ArrayView2<'_, f64> {
    rows_of(numbers, numbers.len())
}

#[inline(always)]
fn each(f: impl Fn(usize) -> f64) -> Lanes {
    std::array::from_fn(f)
}

#[inline(always)]
fn lanes(from: &[f64]) -> Lanes {
    from.try_into().expect("as many as lanes")
}

/// Of A, lower triangles row by row, and b, (rank,): A becomes (A + I)⁻¹ and b becomes (A + I)⁻¹ b.
#[inline(always)]
fn explain(a: &mut [Lanes], inverse: &mut [Lanes], b: &mut [Lanes]) {
    let k = b.len();
    // A + I = L Lᵀ; the diagonal of `inverse`, then all of it, becomes that of L⁻¹.
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
            let mut sum = [0.0; LANES];
            for m in c..r {
                let (x, y) = (a[triangle(r) + m], inverse[triangle(m) + c]);
                sum = each(|l| sum[l] - x[l] * y[l]);
            }
            let by = inverse[triangle(r) + r];
            inverse[triangle(r) + c] = each(|l| sum[l] * by[l]);
        }
    }
    // L⁻¹ b, from the last as it takes those before, then L⁻ᵀ of that, from the first.
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

#[inline(always)]
fn dot(pairs: impl Iterator<Item = (Lanes, Lanes)>) -> Lanes {
    let mut sum = [0.0; LANES];
    for (x, y) in pairs {
        sum = each(|l| sum[l] + x[l] * y[l]);
    }
    sum
}

/// Sums over rows that EM needs, with g = (f, 1): of each dimension's cells Σ E[g gᵀ], Σ y E[g] and Σ y²; of all rows
/// Σ E[g gᵀ]. The last entry of a Σ E[g gᵀ] is the weight of its cells or rows.
pub(super) struct Moments {
    /// (dimensions, entries of a triangle)
    second: Array2<f64>,
    /// (dimensions, rank + 1)
    first: Array2<f64>,
    squares: Array1<f64>,
    pub factors: Array1<f64>,
}

impl Moments {
    fn new(d: usize, rank: usize) -> Moments {
        let size = triangle(rank + 1);
        Moments {
            second: Array2::zeros((d, size)),
            first: Array2::zeros((d, rank + 1)),
            squares: Array1::zeros(d),
            factors: Array1::zeros(size),
        }
    }

    fn add(&mut self, other: &Moments) {
        self.second += &other.second;
        self.first += &other.first;
        self.factors += &other.factors;
    }

    /// Σ E[g gᵀ], Σ y E[g], Σ y² of a dimension.
    pub fn of(&self, t: usize) -> (&[f64], &[f64], f64) {
        let second = self.second.row(t).to_slice().expect("standard layout");
        (second, self.first.row(t).to_slice().expect("standard layout"), self.squares[t])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simulated;
    use super::super::{Conditional, solve_lower, solve_upper, start::ITERATIONS};
    use super::*;

    /// Row by row, by triangles of its own: twenty rows and a weight each, so that the last lanes are not full.
    #[test]
    fn moments_are_the_sums_over_rows() {
        let (scaling, rows, ..) = simulated(20, 0.3);
        let weights: Vec<f64> = (0..20).map(|i| f64::from(i % 3)).collect();
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: Some(&weights), seed: 1 };
        let all: Vec<usize> = (0..20).collect();
        let model = FactorAnalysis::fit(&source, &all, 1.0, ITERATIONS);
        let k = model.rank;
        let got = Cells::new(&model, &source, &all).moments(&model);
        let mut given = Conditional::default();
        let mut want = Moments::new(model.len(), k);
        for i in all {
            let target = rows.target.row(i);
            model.condition(target, |j| !target[j].is_nan(), &mut given);
            let mut g = given.mean.clone();
            g.push(1.0);
            let mut gg = vec![0.0; triangle(k + 1)];
            for c in 0..k {
                let mut column = vec![0.0; k];
                column[c] = 1.0;
                solve_lower(&given.precision, &mut column);
                solve_upper(&given.precision, &mut column);
                (c..k).for_each(|r| gg[triangle(r) + c] = column[r]);
            }
            for r in 0..=k {
                (0..=r).for_each(|c| gg[triangle(r) + c] = weights[i] * (gg[triangle(r) + c] + g[r] * g[c]));
            }
            want.factors += &Array1::from(gg.clone());
            for t in (0..5).filter(|&t| !target[t].is_nan()) {
                let y = f64::from(target[t]);
                want.second.row_mut(t).iter_mut().zip(&gg).for_each(|(s, x)| *s += x);
                want.first.row_mut(t).iter_mut().zip(&g).for_each(|(s, g)| *s += weights[i] * y * g);
                want.squares[t] += weights[i] * y * y;
            }
        }
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
        assert!(near(got.factors.as_slice().unwrap(), want.factors.as_slice().unwrap()));
        for t in 0..5 {
            let ((second, first, squares), want) = (got.of(t), want.of(t));
            assert!(near(second, want.0) && near(first, want.1) && near(&[squares], &[want.2]), "{t}");
        }
    }
}
