//! The linear-Gaussian start: factor analysis with gaps, from which the networks depart.
//!
//! ```text
//! y = μ + W f + ε      f ~ N(0, I)      ε ~ N(0, diag ψ)
//! ```
//! over a row's numbers and the indicators of its levels, all standardised, and, where what it leaves unexplained bends
//! ([`crate::model::curvature`]), some of their squares and products (von Hippel 2009, section 2). Given the visible cells the others have a mean
//! and a standard deviation in closed form: the heads of numbers start from these ([`crate::likelihood::Law::start`]), those of levels from
//! a discriminant ([`levels`]), and the completed row is among the networks' features. With the networks' last layers at zero
//! the model *is* this one.
//!
//! μ, W and ψ come from EM (Rubin & Thayer 1982) on the visible cells only, with the mean and the covariance of f estimated
//! along and taken into μ and W, which takes few iterations (PX-EM, Liu, Rubin & Wu 1998). A conjugate prior stands for some cells of
//! pure noise in every dimension; how many is chosen by the error on hidden cells.

mod given;
mod levels;
mod moments;
pub(crate) mod start;

use ndarray::ArrayView1;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::{Distribution, Gamma, StandardNormal};

use crate::data::scaling::{ColumnScaling, Rows, Scaling};
use crate::kernel::Real;
use crate::rng::{Purpose, pair, stream};
pub(crate) use given::Given;
use levels::Discriminant;
use moments::{CHUNK, Sample};

/// Factors, at most.
const RANK_MOST: usize = 16;
/// Levels of a column whose indicators take part, at most; and indicators of a table.
const CLASSES_MOST: usize = 16;
const INDICATORS_MOST: usize = 512;
/// Products, at most.
pub(crate) const PRODUCTS_MOST: usize = 64;
/// Completed cells among the features stay within so many standard deviations.
const CLIP: f64 = 6.0;
/// A visible cell counts as no farther out than this, however far its row is from those of the fit.
const FAR: f64 = 1e3;
/// No dimension is less noisy: ψ stays above this, so that it can be divided by.
const NOISE_LEAST: f64 = 1e-6;

/// What one dimension of y is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dimension {
    /// Where its start stands among those of all columns.
    Number { start: usize },
    /// Whether the cell is of this class, less the mean, over the standard deviation.
    Class { class: usize, mean: f64, sd: f64 },
    /// Two of the dimensions before it multiplied, or one by itself.
    Product(usize, usize),
}

/// A factor analysis, and where its dimensions stand in a table.
#[derive(Clone, Debug)]
pub(crate) struct FactorAnalysis {
    /// With the column of each, in order; then products, with the column of their first factor.
    dimensions: Vec<(usize, Dimension)>,
    /// How far a dimension's mean may go.
    reach: Vec<(f64, f64)>,
    /// What a dimension's standard deviation is multiplied by for the degrees of freedom ν that the others leave, and for its not being
    /// known: its square has the mean RSS / (ν − 2) given the data.
    spread: Vec<f64>,
    rank: usize,
    /// μ, (dimensions,): not zero where which cells are missing depends on others.
    mean: Vec<f64>,
    /// W, (dimensions, rank).
    loading: Vec<f64>,
    /// ψ, (dimensions,).
    noise: Vec<f64>,
    /// w wᵀ / ψ of each dimension, a lower triangle: (its entries row by row, dimensions).
    outer: Vec<f64>,
    /// Wᵀ, (rank, dimensions).
    transposed: Vec<f64>,
    /// Dimensions that speak for their column by themselves: numbers and, of two levels, the one indicator; and w wᵀ of each, a triangle
    /// with what is beside the diagonal twice, (these, entries).
    alone: Vec<usize>,
    pairs: Vec<f64>,
    /// Columns of levels that have dimensions.
    levels: Vec<Discriminant>,
}

impl FactorAnalysis {
    /// One with nothing learned: its dimensions are a matter of the scaling, and of the products.
    fn blank(scaling: &Scaling, products: &[(usize, usize)]) -> FactorAnalysis {
        let (mut dimensions, mut reach, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        let (mut levels, mut alone, mut next) = (Vec::new(), Vec::new(), 0);
        for (j, column) in scaling.columns.iter().enumerate() {
            let start = next;
            next += column.starts();
            match column {
                // Without spread its cells have no place in model units.
                ColumnScaling::Number { sd, .. } if *sd == 0.0 => {}
                ColumnScaling::Number { marginal, .. } => {
                    let (low, high) = column.reach();
                    cells.push(marginal.cells as f64);
                    alone.push(dimensions.len());
                    dimensions.push((j, Dimension::Number { start }));
                    reach.push((column.to_model(low), column.to_model(high)));
                }
                ColumnScaling::Levels { classes } => {
                    let share = &classes.share;
                    if share.len() > CLASSES_MOST || dimensions.len() + share.len() > j + INDICATORS_MOST {
                        continue;
                    }
                    levels.push(Discriminant::new((j, dimensions.len()), start, share));
                    // One indicator says all of two levels; of more none speaks for all.
                    if share.len() == 2 {
                        alone.push(dimensions.len());
                    }
                    for (class, &mean) in share.iter().enumerate().skip(usize::from(share.len() == 2)) {
                        let p = mean.clamp(0.005, 0.995);
                        dimensions.push((j, Dimension::Class { class, mean, sd: (p * (1.0 - p)).sqrt() }));
                        reach.push((-CLIP, CLIP));
                        cells.push(f64::INFINITY);
                    }
                }
            }
        }
        for &(a, b) in products {
            dimensions.push((dimensions[a].0, Dimension::Product(a, b)));
            reach.push((-CLIP, CLIP));
            cells.push(f64::INFINITY);
        }
        let (d, rank) = (dimensions.len(), RANK_MOST.min(dimensions.len()));
        let (mean, loading, noise) = (vec![0.0; d], vec![0.0; d * rank], vec![1.0; d]);
        let spread = cells.iter().map(|n| (1.0 - ((d + 2) as f64 / n).min(0.5)).sqrt().recip()).collect();
        let mut blank = FactorAnalysis {
            dimensions,
            reach,
            spread,
            rank,
            mean,
            loading,
            noise,
            outer: Vec::new(),
            transposed: Vec::new(),
            alone,
            pairs: Vec::new(),
            levels,
        };
        blank.prepare();
        blank
    }

    /// From μ, W and ψ one after the other, as a file says they are: (numbers,). `None` where they do not fit the table or
    /// are none that a fit gives.
    pub fn stored(
        scaling: &Scaling,
        (products, trusts): (&[(usize, usize)], &[f64]),
        parameters: &[f64],
    ) -> Option<FactorAnalysis> {
        let single = FactorAnalysis::blank(scaling, &[]).len();
        if products.len() > PRODUCTS_MOST || products.iter().any(|&(a, b)| a.max(b) >= single) {
            return None;
        }
        let mut model = FactorAnalysis::blank(scaling, products);
        let (d, k) = (model.len(), model.rank);
        if parameters.len() != d * (k + 2) {
            return None;
        }
        let (mean, rest) = parameters.split_at(d);
        let (loading, noise) = rest.split_at(d * k);
        let sound = |x: &f64| x.abs() < 1e6;
        // A model of a version without them has none.
        if !(trusts.is_empty() || trusts.len() == model.levels.len()) || !trusts.iter().all(|x| (0.0..=1.0).contains(x)) {
            return None;
        }
        if !mean.iter().chain(loading).all(sound) || !noise.iter().all(|&psi| (NOISE_LEAST..1e6).contains(&psi)) {
            return None;
        }
        (model.mean, model.loading, model.noise) = (mean.to_vec(), loading.to_vec(), noise.to_vec());
        model.prepare();
        model.set_trusts(trusts);
        Some(model)
    }

    /// μ, (dimensions,), W, (dimensions, rank), and ψ, (dimensions,), one after the other.
    pub fn parameters(&self) -> impl Iterator<Item = f64> {
        [&self.mean, &self.loading, &self.noise].into_iter().flatten().copied()
    }

    /// What the discriminant of each column of levels that has one counts for.
    pub fn trusts(&self) -> Vec<f64> {
        self.levels.iter().map(|levels| levels.trust).collect()
    }

    fn set_trusts(&mut self, trusts: &[f64]) {
        self.levels.iter_mut().zip(trusts).for_each(|(levels, &trust)| levels.trust = trust);
    }

    /// Dimensions of y.
    pub fn len(&self) -> usize {
        self.dimensions.len()
    }

    /// The dimensions that are products, as those they are products of.
    pub fn products(&self) -> Vec<(usize, usize)> {
        let product = |&(_, dimension): &(usize, Dimension)| match dimension {
            Dimension::Product(a, b) => Some((a, b)),
            _ => None,
        };
        self.dimensions.iter().filter_map(product).collect()
    }

    /// The others: the column of each, and whether it is a number.
    pub fn single(&self) -> Vec<(usize, bool)> {
        let single = self.dimensions.iter().take_while(|(_, dimension)| !matches!(dimension, Dimension::Product(..)));
        single.map(|&(column, dimension)| (column, matches!(dimension, Dimension::Number { .. }))).collect()
    }

    /// Whether a row of which some columns are visible has a dimension.
    #[inline(always)]
    fn has(&self, t: usize, visible: impl Fn(usize) -> bool) -> bool {
        let (column, dimension) = self.dimensions[t];
        visible(column)
            && match dimension {
                Dimension::Product(_, b) => visible(self.dimensions[b].0),
                _ => true,
            }
    }

    /// After μ, W and ψ have changed: for all that is asked of a model.
    fn prepare(&mut self) {
        self.prepare_step();
        let k = self.rank;
        self.pairs.clear();
        for w in self.alone.iter().map(|&t| &self.loading[t * k..(t + 1) * k]) {
            for (i, a) in w.iter().enumerate() {
                self.pairs.extend(w[..i].iter().map(|b| 2.0 * a * b).chain([a * a]));
            }
        }
        let mut levels = std::mem::take(&mut self.levels);
        levels.iter_mut().for_each(|levels| levels.prepare(self));
        self.levels = levels;
    }

    /// For a step of EM, which takes these alone.
    fn prepare_step(&mut self) {
        let k = self.rank;
        self.transposed = (0..k).flat_map(|i| self.loading.iter().skip(i).step_by(k)).copied().collect();
        let of = |i: usize| self.transposed[i * self.len()..].iter().take(self.len());
        let product = |i: usize, j: usize| of(i).zip(of(j)).zip(&self.noise).map(|((a, b), psi)| a * b / psi);
        self.outer = (0..k).flat_map(|i| (0..=i).flat_map(move |j| product(i, j))).collect();
    }

    /// The value of a dimension in a row that has it.
    #[inline(always)]
    fn value<F: Real>(&self, t: usize, target: ArrayView1<F>) -> f64 {
        match self.dimensions[t].1 {
            Dimension::Product(a, b) => {
                self.single_value(a, target).clamp(-CLIP, CLIP) * self.single_value(b, target).clamp(-CLIP, CLIP)
            }
            _ => self.single_value(t, target),
        }
    }

    /// The value of a dimension that is no product.
    #[inline(always)]
    fn single_value<F: Real>(&self, t: usize, target: ArrayView1<F>) -> f64 {
        let (column, dimension) = self.dimensions[t];
        let x = target[column].f64();
        match dimension {
            Dimension::Class { class, mean, sd } => (if x == class as f64 { 1.0 - mean } else { -mean }) / sd,
            _ => x.clamp(-FAR, FAR),
        }
    }

    /// EM on some rows, which count for their weights. `strength`: the prior's cells of noise.
    fn fit(of: &Source<'_>, some: &[usize], strength: f64, iterations: usize) -> FactorAnalysis {
        let mut model = FactorAnalysis::blank(of.scaling, of.products);
        // Any start but zero will do, which EM would stay at.
        let sd = (0.5 / model.rank.max(1) as f64).sqrt();
        let mut rng = stream(of.seed, Purpose::Linear, 0);
        model.loading.iter_mut().for_each(|w| *w = sd * Distribution::<f64>::sample(&StandardNormal, &mut rng));
        model.noise.fill(0.5);
        model.em(of, some, strength, iterations)
    }

    /// So many iterations of EM from where the model stands.
    fn em(mut self, of: &Source<'_>, some: &[usize], strength: f64, iterations: usize) -> FactorAnalysis {
        let model = &mut self;
        let (d, k) = (model.len(), model.rank);
        if k == 0 || some.is_empty() {
            return self;
        }
        let sample = Sample::new(model, of, some);
        let total = sample.weight;
        for _ in 0..iterations {
            model.prepare_step();
            let sums = sample.moments(model);
            // The factors' own mean and covariance.
            let factors = sums.factors.as_slice().expect("one axis");
            let (second, first) = factors.split_at(triangle(k));
            let first: Vec<f64> = first[..k].iter().map(|x| x / total).collect();
            let mut rotation: Vec<f64> = second.iter().map(|x| x / total).collect();
            (0..k).for_each(|i| (0..=i).for_each(|j| rotation[triangle(i) + j] -= first[i] * first[j]));
            factor(&mut rotation, k);
            for t in 0..d {
                // Regression on the factors and one.
                let ((ff, fy), yy) = (sums.of(t), sample.squares[t]);
                let n = ff[triangle(k) + k];
                let mut ridge = ff.to_vec();
                (0..k).for_each(|i| ridge[triangle(i) + i] += strength * model.noise[t]);
                ridge[triangle(k) + k] += 1e-3;
                factor(&mut ridge, k + 1);
                let mut w = fy.to_vec();
                solve_lower(&ridge, &mut w);
                solve_upper(&ridge, &mut w);
                let explained: f64 =
                    (0..=k).map(|i| w[i] * (2.0 * dot(&ff[triangle(i)..][..i], &w[..i]) + ff[triangle(i) + i] * w[i])).sum();
                let left = (yy - 2.0 * dot(&w, fy) + explained).max(0.0);
                model.noise[t] = (left + strength) / (n + strength) + NOISE_LEAST;
                model.mean[t] = w[k] + dot(&w[..k], &first);
                for j in 0..k {
                    model.loading[t * k + j] = (j..k).map(|i| w[i] * rotation[triangle(i) + j]).sum();
                }
            }
        }
        model.prepare();
        self
    }

    /// The variance of the random weights of rows, of mean one, that a draw of the parameters takes. It makes up for what the bootstrap
    /// lacks on few rows, where a line goes nearest to the rows that decide on its slope: of p coefficients from n normal rows it is
    /// 1 − (p + 2) / n of the variance, as White's estimator (1980), n being the cells of the column with the fewest. It makes up for the
    /// noise's not being known, which of ν = n − p degrees of freedom makes the variance of a coefficient ν / (ν − 2) of what it is else;
    /// and for the rows that are not among `some`, where these stand for all of the table.
    fn weight_variance(&self, of: &Source<'_>, some: &[usize]) -> f64 {
        let cells = |(j, _): (usize, bool)| some.iter().filter(|&&i| !of.rows.target[(i, j)].is_nan()).count();
        let fewest = self.single().into_iter().map(cells).min().unwrap_or_default().max(1) as f64;
        let lacks = ((self.len() + 2) as f64 / fewest).min(0.5);
        let unknown = (2.0 / (fewest - self.len() as f64).max(4.0)).min(0.5);
        1.0 / ((1.0 - lacks) * (1.0 - unknown)) * some.len() as f64 / of.rows.target.nrows() as f64
    }

    /// A draw of the parameters, the `index`-th: EM from where the model stands, every row with a random weight of mean one and
    /// the given variance (the Bayesian bootstrap, Rubin 1981).
    fn drawn(
        &self,
        of: &Source<'_>,
        some: &[usize],
        (strength, iterations): (f64, usize),
        variance: f64,
        index: usize,
    ) -> FactorAnalysis {
        let Ok(law) = Gamma::new(1.0 / variance, variance) else { return self.clone() };
        let mut rng = stream(of.seed, Purpose::Linear, pair(2, index as u64));
        let mut weights = vec![0.0; of.rows.target.nrows()];
        some.iter().for_each(|&i| weights[i] = law.sample(&mut rng) * of.weight(i));
        let total: f64 = some.iter().map(|&i| weights[i]).sum();
        let before: f64 = some.iter().map(|&i| of.weight(i)).sum();
        weights.iter_mut().for_each(|w| *w *= before / total);
        let source = Source { weights: Some(&weights), ..*of };
        self.clone().em(&source, some, strength, iterations)
    }

    /// Per row the errors of cells hidden from it, three in ten, summed: small ones squared, large ones absolute.
    fn errors(&self, of: &Source<'_>, some: &[usize]) -> Vec<f64> {
        let (single, target) = (self.single(), of.rows.target.view());
        let mut given = Given::default();
        let mut errors = Vec::with_capacity(some.len());
        for some in some.chunks(CHUNK) {
            let mut visible = Vec::new();
            for &i in some {
                let mut rng = stream(of.seed, Purpose::Linear, pair(1, i as u64));
                visible.extend(target.row(i).iter().map(|x| rng.random::<f64>() < 0.7 && !x.is_nan()));
            }
            self.explain(target, (some, &visible), |_| true, 1, &mut given);
            for (r, (&i, visible)) in some.iter().zip(visible.chunks_exact(target.ncols().max(1))).enumerate() {
                let target = target.row(i);
                let hidden = single.iter().enumerate().filter(|(_, (j, _))| !visible[*j] && !target[*j].is_nan());
                let error = |(t, _): (usize, _)| given.expected(t, r).clamp(-CLIP, CLIP) - self.value(t, target);
                errors.push(hidden.map(error).map(|error| (1.0 + error * error).sqrt() - 1.0).sum());
            }
        }
        errors
    }
}

/// Entries of the lower triangle of a matrix of so many rows.
#[inline(always)]
pub(super) const fn triangle(k: usize) -> usize {
    k * (k + 1) / 2
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    // By lanes, which vectorises: in sequence every sum would wait for the one before.
    const LANES: usize = 4;
    let n = a.len().min(b.len());
    let (a, b) = (a[..n].chunks_exact(LANES), b[..n].chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut lanes = [0.0; LANES];
    a.zip(b).for_each(|(a, b)| (0..LANES).for_each(|l| lanes[l] += a[l] * b[l]));
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

/// The Cholesky factor L of a positive definite matrix, in its place: lower triangles, row by row.
#[inline(always)]
pub(super) fn factor(a: &mut [f64], k: usize) {
    for i in 0..k {
        let (above, row) = a.split_at_mut(triangle(i));
        for j in 0..i {
            let other = &above[triangle(j)..triangle(j + 1)];
            row[j] = (row[j] - dot(&row[..j], other)) / other[j];
        }
        // Positive but for rounding.
        row[i] = (row[i] - dot(&row[..i], &row[..i])).max(1e-12).sqrt();
    }
}

/// b ← L⁻¹ b.
#[inline(always)]
pub(super) fn solve_lower(l: &[f64], b: &mut [f64]) {
    for i in 0..b.len() {
        let row = &l[triangle(i)..triangle(i + 1)];
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
}

/// b ← L⁻ᵀ b.
#[inline(always)]
pub(super) fn solve_upper(l: &[f64], b: &mut [f64]) {
    for i in (0..b.len()).rev() {
        let row = &l[triangle(i)..triangle(i + 1)];
        b[i] /= row[i];
        let x = b[i];
        b[..i].iter_mut().zip(row).for_each(|(b, l)| *b -= l * x);
    }
}

/// What the linear model is fitted to.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub scaling: &'a Scaling,
    /// The dimensions whose products are dimensions, too.
    pub products: &'a [(usize, usize)],
    pub rows: &'a Rows<f32>,
    /// What each row counts for, one on average.
    pub weights: Option<&'a [f64]>,
    pub seed: u64,
}

impl Source<'_> {
    #[inline(always)]
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::number_scaling;
    use crate::data::scaling::{FeatureShape, Features};
    use ndarray::{Array1, Array2, Axis};

    /// Rows of a factor analysis with two factors and five numbers, each cell missing with the given share.
    pub(super) fn simulated(n: usize, missing: f64) -> (Scaling, Rows<f32>, Array2<f32>, [[f64; 2]; 5], f64) {
        let loading = [[0.8, 0.3], [-0.6, 0.5], [0.2, 0.9], [0.7, -0.6], [0.1, 0.4]];
        let sd = 0.4;
        let mut rng = stream(5, Purpose::Linear, 9);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let truth = Array2::from_shape_fn((n, 5), |_| 0f32);
        let mut truth = truth;
        for mut row in truth.rows_mut() {
            let f = [normal(), normal()];
            for (x, w) in row.iter_mut().zip(&loading) {
                *x = (w[0] * f[0] + w[1] * f[1] + sd * normal()) as f32;
            }
        }
        let mut hide = stream(6, Purpose::Linear, 9);
        let target = truth.mapv(|x| if hide.random::<f64>() < missing { f32::NAN } else { x });
        let unit = || number_scaling(vec![-100.0, -1.0, 1.0, 100.0], 2);
        let scaling = Scaling { columns: (0..5).map(|_| unit()).collect() };
        (scaling, Rows { place: target.clone(), target }, truth, loading, sd)
    }

    /// Every dimension of a row and what its columns start from.
    pub(super) fn completed(model: &FactorAnalysis, row: &Array1<f64>, visible: &[bool]) -> (Vec<f64>, Vec<f64>) {
        let starts = model.alone.len().max(row.len()) * 4;
        let mut out = Features::new(FeatureShape { dense: model.len(), columns: 0, classes: 0, starts }, 1);
        let mut given = Given::default();
        model.explain(row.view().insert_axis(Axis(0)), (&[0], visible), |_| true, 1, &mut given);
        model.complete(&mut out, 0, &mut given);
        (out.dense.row(0).to_vec(), out.start.row(0).to_vec())
    }

    #[test]
    fn triangles_solve_linear_systems() {
        // A = [[4, 2, 1], [2, 5, 3], [1, 3, 6]], A x = (1, 2, 3).
        let mut a = vec![4.0, 2.0, 5.0, 1.0, 3.0, 6.0];
        factor(&mut a, 3);
        let mut x = vec![1.0, 2.0, 3.0];
        solve_lower(&a, &mut x);
        solve_upper(&a, &mut x);
        let rows = [[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]];
        for (row, want) in rows.iter().zip([1.0, 2.0, 3.0]) {
            assert!((dot(row, &x) - want).abs() < 1e-12);
        }
    }

    #[test]
    fn em_recovers_the_covariance_from_cells_with_gaps() {
        let (scaling, rows, _, loading, sd) = simulated(4000, 0.3);
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: 1 };
        let all: Vec<usize> = (0..4000).collect();
        let model = FactorAnalysis::fit(&source, &all, 0.003, start::ITERATIONS);
        for i in 0..5 {
            for j in 0..5 {
                let noise = if i == j { model.noise[i] } else { 0.0 };
                let got = dot(&model.loading[i * 5..(i + 1) * 5], &model.loading[j * 5..(j + 1) * 5]) + noise;
                let want = dot(&loading[i], &loading[j]) + if i == j { sd * sd } else { 0.0 };
                assert!((got - want).abs() < 0.06, "{i} {j}: {got} {want}");
            }
        }
    }

    /// Mean and variance of y₂ given y₀, y₁ from the joint covariance: Σ₂₀ Σ₀₀⁻¹ y₀, Σ₂₂ − Σ₂₀ Σ₀₀⁻¹ Σ₀₂.
    #[test]
    fn a_row_is_completed_by_its_conditional_mean_and_deviation() {
        let (scaling, _, _, loading, sd) = simulated(1, 0.0);
        let mut model = FactorAnalysis::blank(&scaling, &[]);
        for (t, w) in loading.iter().enumerate() {
            model.loading[t * 5..t * 5 + 2].copy_from_slice(w);
            model.noise[t] = sd * sd;
        }
        model.prepare();
        let covariance = |i: usize, j: usize| dot(&loading[i], &loading[j]) + if i == j { sd * sd } else { 0.0 };
        let y = [0.7, -1.2];
        let det = covariance(0, 0) * covariance(1, 1) - covariance(0, 1).powi(2);
        let solve = |b: [f64; 2]| {
            [(covariance(1, 1) * b[0] - covariance(0, 1) * b[1]) / det, (covariance(0, 0) * b[1] - covariance(0, 1) * b[0]) / det]
        };
        let across = [covariance(2, 0), covariance(2, 1)];
        let mean = dot(&across, &solve(y));
        let variance = covariance(2, 2) - dot(&across, &solve(across));
        let target = ndarray::arr1(&[y[0], y[1], f64::NAN, f64::NAN, f64::NAN]);
        let (completed, start) = completed(&model, &target, &[true, true, false, false, false]);
        assert_eq!(completed[..2], y);
        assert_eq!(start[..4], [0.0; 4]);
        assert!((completed[2] - mean).abs() < 1e-12 && (start[4] - mean).abs() < 1e-12, "{completed:?} {mean}");
        // Four cells a column and five dimensions: half of the degrees of freedom are left, at least.
        assert!((start[5] - 0.5 * (2.0 * variance).ln()).abs() < 1e-12);

        // The noise of what is missing: y₂ and y₃ given y₀ and y₁ correlate as their conditional covariance says.
        let between = |i: usize, j: usize| {
            covariance(i, j) - dot(&[covariance(i, 0), covariance(i, 1)], &solve([covariance(j, 0), covariance(j, 1)]))
        };
        let want = between(2, 3) / (between(2, 2) * between(3, 3)).sqrt();
        let mut rng = stream(1, Purpose::Draw, 0);
        let (mut noise, mut given) = ([0.0; 5], Given::default());
        let visible = [true, true, false, false, false];
        model.explain(target.view().insert_axis(Axis(0)), (&[0], &visible), |_| true, 1, &mut given);
        let draws: Vec<[f64; 5]> = (0..20_000)
            .map(|_| {
                model.noise(&given, 0, &mut rng, &mut noise);
                noise
            })
            .collect();
        let mean = |f: &dyn Fn(&[f64; 5]) -> f64| draws.iter().map(f).sum::<f64>() / draws.len() as f64;
        assert!((mean(&|e| e[2] * e[2]) - 1.0).abs() < 0.04 && mean(&|e| e[3]).abs() < 0.03);
        assert!((mean(&|e| e[2] * e[3]) - want).abs() < 0.03, "{want}");
    }
}
