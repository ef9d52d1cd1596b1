//! The E step of EM: expected moments of many rows at once, by products.

use ndarray::{Array1, Array2, Axis, s};
use rayon::prelude::*;

use super::given::{Cells, Factors, table};
use super::{FactorAnalysis, Source, triangle};
use crate::kernel::{Real, vectorised};

/// Rows of one sum: fixed, so that sums come out the same on any number of threads.
pub(super) const CHUNK: usize = 256;

/// The rows that EM sees, the same in all of its steps.
pub(super) struct Sample {
    chunks: Vec<Chunk>,
    /// Per dimension, Σ y² of its cells.
    pub squares: Array1<f64>,
    /// What all rows count for.
    pub weight: f64,
}

struct Chunk {
    cells: Cells,
    /// (rows,)
    weight: Array1<f64>,
}

impl Sample {
    pub fn new(model: &FactorAnalysis, of: &Source<'_>, some: &[usize]) -> Sample {
        let chunks: Vec<Chunk> = some.par_chunks(CHUNK).map(|rows| Chunk::new(model, of, rows)).collect();
        let mut squares = Array1::zeros(model.len());
        for Chunk { cells, weight } in &chunks {
            let value = table(&cells.value, model.len());
            squares += &(&value * &value).dot(weight);
        }
        Sample { squares, weight: chunks.iter().map(|chunk| chunk.weight.sum()).sum(), chunks }
    }

    /// The E step by a model whose [`FactorAnalysis::prepare_step`] is done.
    pub fn moments(&self, model: &FactorAnalysis) -> Moments {
        let of = |factors: &mut Factors, chunk: &Chunk| chunk.moments(model, factors);
        let parts: Vec<Moments> = self.chunks.par_iter().map_init(Factors::default, of).collect();
        let mut sums = Moments::new(model.len(), model.rank);
        parts.iter().for_each(|part| sums.add(part));
        sums
    }
}

impl Chunk {
    fn new(model: &FactorAnalysis, of: &Source<'_>, rows: &[usize]) -> Chunk {
        let mut cells = Cells::default();
        cells.clear(model, rows.len());
        let mut weight = Array1::zeros(cells.rows);
        for (r, &i) in rows.iter().enumerate() {
            let target = of.rows.target.row(i);
            weight[r] = of.weight(i);
            cells.put(model, r, target, |j| !target[j].is_nan());
        }
        Chunk { cells, weight }
    }

    fn moments(&self, model: &FactorAnalysis, factors: &mut Factors) -> Moments {
        let (d, k, n) = (model.len(), model.rank, self.cells.rows);
        factors.explain(model, &self.cells);
        // E[g gᵀ], a triangle, each row's times its weight.
        let weight = self.weight.as_slice().expect("one axis");
        let mut gg = Array2::zeros((triangle(k + 1), n));
        vectorised(
            #[inline(always)]
            || {
                let mut to = gg.as_slice_mut().expect("standard layout").chunks_exact_mut(n);
                let mut covariance = factors.covariance.chunks_exact(n);
                let f: Vec<&[f64]> = factors.mean.chunks_exact(n).collect();
                for (r, x) in f.iter().enumerate() {
                    for ((y, covariance), to) in f[..=r].iter().zip(&mut covariance).zip(&mut to) {
                        (0..n).for_each(|i| to[i] = weight[i] * (covariance[i] + x[i] * y[i]));
                    }
                }
                for (x, to) in f.iter().zip(&mut to) {
                    (0..n).for_each(|i| to[i] = weight[i] * x[i]);
                }
                to.for_each(|to| to.copy_from_slice(weight));
            },
        );
        let mut sums = Moments::new(d, k);
        f64::product(1.0, table(&self.cells.has, d), gg.t(), 0.0, sums.second.view_mut());
        f64::product(1.0, table(&self.cells.value, d), gg.slice(s![triangle(k).., ..]).t(), 0.0, sums.first.view_mut());
        sums.factors = gg.sum_axis(Axis(1));
        sums
    }
}

/// Sums over rows that EM needs, with g = (f, 1): of each dimension's cells Σ E[g gᵀ] and Σ y E[g]; of all rows
/// Σ E[g gᵀ]. The last entry of a Σ E[g gᵀ] is the weight of its cells or rows.
pub(super) struct Moments {
    /// (dimensions, entries of a triangle)
    second: Array2<f64>,
    /// (dimensions, rank + 1)
    first: Array2<f64>,
    pub factors: Array1<f64>,
}

impl Moments {
    fn new(d: usize, rank: usize) -> Moments {
        let size = triangle(rank + 1);
        Moments { second: Array2::zeros((d, size)), first: Array2::zeros((d, rank + 1)), factors: Array1::zeros(size) }
    }

    fn add(&mut self, other: &Moments) {
        self.second += &other.second;
        self.first += &other.first;
        self.factors += &other.factors;
    }

    /// Σ E[g gᵀ] and Σ y E[g] of a dimension.
    pub fn of(&self, t: usize) -> (&[f64], &[f64]) {
        let second = self.second.row(t).to_slice().expect("standard layout");
        (second, self.first.row(t).to_slice().expect("standard layout"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simulated;
    use super::super::{factor, solve_lower, solve_upper, start::ITERATIONS};
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
        let sample = Sample::new(&model, &source, &all);
        let got = sample.moments(&model);
        let (mut want, mut squares) = (Moments::new(model.len(), k), [0.0; 5]);
        for i in all {
            let target = rows.target.row(i);
            let observed: Vec<usize> = (0..5).filter(|&t| !target[t].is_nan()).collect();
            let w = |t: usize, i: usize| model.loading[t * k + i];
            let mut precision = Vec::new();
            for r in 0..k {
                let entry =
                    |c: usize| f64::from(r == c) + observed.iter().map(|&t| w(t, r) * w(t, c) / model.noise[t]).sum::<f64>();
                precision.extend((0..=r).map(entry));
            }
            factor(&mut precision, k);
            let off = |t: usize| (f64::from(target[t]) - model.mean[t]) / model.noise[t];
            let mut g: Vec<f64> = (0..k).map(|i| observed.iter().map(|&t| w(t, i) * off(t)).sum()).collect();
            solve_lower(&precision, &mut g);
            solve_upper(&precision, &mut g);
            g.push(1.0);
            let mut gg = vec![0.0; triangle(k + 1)];
            for c in 0..k {
                let mut column = vec![0.0; k];
                column[c] = 1.0;
                solve_lower(&precision, &mut column);
                solve_upper(&precision, &mut column);
                (c..k).for_each(|r| gg[triangle(r) + c] = column[r]);
            }
            for r in 0..=k {
                (0..=r).for_each(|c| gg[triangle(r) + c] = weights[i] * (gg[triangle(r) + c] + g[r] * g[c]));
            }
            want.factors += &Array1::from(gg.clone());
            for &t in &observed {
                let y = f64::from(target[t]);
                want.second.row_mut(t).iter_mut().zip(&gg).for_each(|(s, x)| *s += x);
                want.first.row_mut(t).iter_mut().zip(&g).for_each(|(s, g)| *s += weights[i] * y * g);
                squares[t] += weights[i] * y * y;
            }
        }
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()));
        assert!(near(got.factors.as_slice().unwrap(), want.factors.as_slice().unwrap()));
        for t in 0..5 {
            let ((second, first), want) = (got.of(t), want.of(t));
            assert!(near(second, want.0) && near(first, want.1) && near(&[sample.squares[t]], &squares[t..=t]), "{t}");
        }
    }
}
