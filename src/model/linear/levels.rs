//! What a factor analysis says of levels: a linear discriminant, whichever cells are visible.
//!
//! ```text
//! p(k | x_v) ∝ p(k) p(x_v | e_k) ∝ p(k) N(e_k; m, S) / N(e_k; μ, Σ)
//! ```
//! e_k are a column's indicators where it is of class k, with mean μ and covariance Σ, and m and S given the visible cells x_v: Bayes'
//! rule turned about twice, as the model is one of x_v given e_k as well (Efron 1975, section 1, for normal x_v of one covariance). Class
//! k adds the logarithm of the quotient to that of its share.

use ndarray_rand::rand::Rng;

use super::given::{Given, OfRow};
use super::{CLASSES_MOST, Dimension, FactorAnalysis, Source, dot};
use crate::data::classes::UNSEEN;
use crate::kernel::Real;
use crate::likelihood::log_sum_exp;
use crate::rng::{Purpose, pair, stream};

/// No class adds more than this to the logarithm of its share, or takes more from it.
const MOST: f64 = 12.0;
/// What a discriminant may count for.
const TRUSTS: [f64; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];
/// Cells that the gain of all columns counts for in each of them.
const OTHERS: f64 = 50.0;

/// The discriminant of one column.
#[derive(Clone, Debug)]
pub(super) struct Discriminant {
    pub column: usize,
    /// Its first dimension; of two classes only the second has one, of more each.
    pub first: usize,
    /// Where its start stands among those of all columns.
    start: usize,
    share: Vec<f64>,
    /// What it counts for, from 0, nothing, to 1.
    pub trust: f64,
    /// Per class, ln p(k) / share(k) − ln N(e_k; μ, Σ), but for a constant.
    marginal: Vec<f64>,
}

impl Discriminant {
    pub fn new((column, first): (usize, usize), start: usize, share: &[f64]) -> Discriminant {
        let marginal = vec![0.0; share.len()];
        Discriminant { column, first, start, share: share.to_vec(), trust: 0.0, marginal }
    }

    fn dimensions(&self) -> std::ops::Range<usize> {
        let classes = self.share.len();
        self.first..self.first + if classes == 2 { 1 } else { classes }
    }

    /// The mean and the standard deviation of the indicator in the `i`-th of its dimensions.
    #[inline(always)]
    fn class(&self, model: &FactorAnalysis, i: usize) -> (f64, f64) {
        let Dimension::Class { mean, sd, .. } = model.dimensions[self.first + i].1 else { unreachable!("a column of levels") };
        (mean, sd)
    }

    /// After the model's parameters have changed.
    pub fn prepare(&mut self, model: &FactorAnalysis) {
        let mut distances = Vec::new();
        self.distances(model, &model.transposed, |t| model.mean[t], &mut distances);
        for (k, distance) in distances.into_iter().enumerate() {
            // The share among all rows: μ is not zero where which cells are missing depends on others.
            let more = |i: usize| model.mean[self.first + i] * self.class(model, i).1;
            let more = match (self.share.len(), k) {
                (2, 0) => -more(0),
                (2, _) => more(0),
                _ => more(k),
            };
            let (share, among_all) = (self.share[k], (self.share[k] + more).max(0.0));
            self.marginal[k] = (among_all + UNSEEN).ln() - (share + UNSEEN).ln() + distance;
        }
    }

    /// Writes what each class adds, from the factors' distribution given a row's visible cells.
    #[inline(always)]
    pub fn write<F: Real>(&self, model: &FactorAnalysis, given: &mut OfRow, start: &mut [F]) {
        self.add(model, given);
        let to = start[self.start..].iter_mut().zip(&given.add);
        to.for_each(|(start, add)| *start = F::of(self.trust * add));
    }

    /// What each class adds, left in `given`.
    #[inline(always)]
    fn add(&self, model: &FactorAnalysis, given: &mut OfRow) {
        let rank = model.rank;
        let OfRow { mean: factors, across, add } = given;
        let mean = |t: usize| model.mean[t] + dot(&model.loading[t * rank..(t + 1) * rank], factors);
        self.distances(model, across, mean, add);
        add.iter_mut().zip(&self.marginal).for_each(|(add, marginal)| *add = marginal - *add);
        // Only differences count.
        let middle = dot(add, &self.share);
        add.iter_mut().for_each(|add| *add = (*add - middle).clamp(-MOST, MOST));
    }

    /// Per class, −ln N(e_k; mean, S), but for what all classes have. S = Aᵀ A + diag ψ; `across`: A, (rank, dimensions
    /// of the model).
    #[inline(always)]
    fn distances(&self, model: &FactorAnalysis, across: &[f64], mean: impl Fn(usize) -> f64, out: &mut Vec<f64>) {
        match self.dimensions().len() {
            1 => self.padded::<1>(model, across, mean, out),
            2..=4 => self.padded::<4>(model, across, mean, out),
            5..=8 => self.padded::<8>(model, across, mean, out),
            _ => self.padded::<CLASSES_MOST>(model, across, mean, out),
        }
    }

    /// The same with rows of so many numbers, the last of which may be zeros: rows of one length vectorise.
    #[inline(always)]
    fn padded<const N: usize>(&self, model: &FactorAnalysis, across: &[f64], mean: impl Fn(usize) -> f64, out: &mut Vec<f64>) {
        let at = self.dimensions();
        let n = at.len();
        let mut s = [[0.0; N]; N];
        for across in across.chunks_exact(model.len()) {
            let mut row = [0.0; N];
            row[..n].copy_from_slice(&across[at.clone()]);
            for (s, &x) in s.iter_mut().zip(&row[..n]) {
                s.iter_mut().zip(&row).for_each(|(s, y)| *s += x * y);
            }
        }
        for (i, psi) in model.noise[at.clone()].iter().enumerate() {
            s[i][i] += psi;
        }
        invert(&mut s, n);
        // With r the indicators where all are nought, less the mean, Q = S⁻¹ and s = 1 / sd: (r + s u_k)ᵀ Q (r + s u_k) is that of r
        // and 2 s (Q r)_k + s² Q_kk.
        let mut r = [0.0; N];
        for (i, (r, t)) in r.iter_mut().zip(at).enumerate() {
            let (share, sd) = self.class(model, i);
            *r = -share / sd - mean(t);
        }
        out.clear();
        out.resize(usize::from(self.share.len() == 2), 0.0);
        for (k, q) in s[..n].iter().enumerate() {
            let by = 1.0 / self.class(model, k).1;
            let q_r = q.iter().zip(&r).map(|(q, r)| q * r).sum::<f64>();
            out.push(by * (q_r + 0.5 * by * q[k]));
        }
    }
}

/// A positive definite matrix of `n` rows becomes its inverse (Gauss and Jordan).
#[inline(always)]
fn invert<const N: usize>(a: &mut [[f64; N]; N], n: usize) {
    for p in 0..n {
        // Positive but for rounding.
        let by = 1.0 / a[p][p].max(1e-12);
        let mut pivot = a[p];
        pivot[p] = 1.0;
        pivot.iter_mut().for_each(|x| *x *= by);
        for (i, row) in a[..n].iter_mut().enumerate() {
            let x = row[p];
            if i == p {
                *row = pivot;
                continue;
            }
            row[p] = 0.0;
            row.iter_mut().zip(&pivot).for_each(|(row, pivot)| *row -= x * pivot);
        }
    }
}

/// What the discriminant of each column counts for: some rows' cells are hidden, three in ten, and told by the `model` of each row. It
/// is damped where they gain by it beyond chance, as where what tells a level is far from normal.
pub(super) fn trusts<'a>(source: &Source<'_>, some: &[usize], model: impl Fn(usize) -> &'a FactorAnalysis) -> Vec<f64> {
    if model(0).levels.is_empty() {
        return Vec::new();
    }
    let classes = |levels: &Discriminant| levels.share.len();
    // Per column, ln p of its cells at each of the trusts.
    let mut scores: Vec<Vec<[f64; TRUSTS.len()]>> = vec![Vec::new(); model(0).levels.len()];
    let mut given = Given::default();
    for &i in some {
        let (model, target) = (model(i), source.rows.target.row(i));
        let mut rng = stream(source.seed, Purpose::Linear, pair(3, i as u64));
        let visible: Vec<bool> = target.iter().map(|x| rng.random::<f64>() < 0.7 && !x.is_nan()).collect();
        model.explain(source.rows.target.view(), (&[i], &visible), |_| true, 1, &mut given);
        let given = given.first(model);
        let hidden = |(levels, _): &(&Discriminant, _)| !visible[levels.column] && !target[levels.column].is_nan();
        for (levels, scores) in model.levels.iter().zip(&mut scores).filter(hidden) {
            levels.add(model, given);
            let logit = |by: f64, k: usize| (levels.share[k] + UNSEEN).ln() + by * given.add[k];
            scores.push(TRUSTS.map(|by| {
                let logits: Vec<f64> = (0..classes(levels)).map(|k| logit(by, k)).collect();
                logits[target[levels.column] as usize] - log_sum_exp(&logits)
            }));
        }
    }
    let all: Vec<[f64; TRUSTS.len()]> = scores.iter().flatten().copied().collect();
    // What cells gain by one trust over another: sum and standard error, with those of all columns.
    let gain = |own: &[[f64; TRUSTS.len()]], to: usize, from: usize| {
        let of = |cells: &[[f64; TRUSTS.len()]]| {
            let n = cells.len().max(1) as f64;
            let gains = || cells.iter().map(|score| score[to] - score[from]);
            let mean = gains().sum::<f64>() / n;
            (mean, gains().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt() / n)
        };
        let (n, (own, own_error), (all, all_error)) = (own.len() as f64, of(own), of(&all));
        (n * own + OTHERS * all, (n * own_error).hypot(OTHERS * all_error))
    };
    let best = |own: &Vec<[f64; TRUSTS.len()]>| {
        let best = (0..TRUSTS.len()).max_by(|&a, &b| gain(own, a, 0).0.total_cmp(&gain(own, b, 0).0)).unwrap_or(0);
        let as_good = |&from: &usize| {
            let (gain, error) = gain(own, best, from);
            gain <= error
        };
        TRUSTS[(0..best).find(as_good).unwrap_or(best)]
    };
    scores.iter().map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::classes::Classes;
    use crate::data::scaling::{ColumnScaling, Features, Rows, Scaling, number_scaling};
    use crate::model::linear::start::{Start, View};
    use crate::model::linear::tests::completed;
    use ndarray::Array2;
    use ndarray_rand::rand_distr::StandardNormal;

    fn levels(counts: &[usize]) -> ColumnScaling {
        let names: Vec<String> = (0..counts.len()).map(|k| format!("l{k}")).collect();
        ColumnScaling::Levels { classes: Classes::new(&names, counts, false) }
    }

    fn numbers() -> ColumnScaling {
        number_scaling(vec![-100.0, -1.0, 1.0, 100.0], 2)
    }

    /// Two numbers and columns of two and of three levels, with loadings that are as good as any.
    fn model() -> (Scaling, FactorAnalysis) {
        let scaling = Scaling { columns: vec![numbers(), levels(&[30, 70]), numbers(), levels(&[20, 50, 30])] };
        let mut model = FactorAnalysis::blank(&scaling, &[]);
        let mut rng = stream(7, Purpose::Linear, 0);
        let mut normal = || -> f64 { rng.sample(StandardNormal) };
        model.loading.iter_mut().for_each(|w| *w = 0.4 * normal());
        model.noise.iter_mut().for_each(|psi| *psi = 0.3 + 0.5 * normal().abs());
        model.prepare();
        model.set_trusts(&[1.0, 0.5]);
        (scaling, model)
    }

    /// x ← A⁻¹ x by elimination, and ln |A|.
    fn solve(mut a: Vec<Vec<f64>>, mut x: Vec<f64>) -> (Vec<f64>, f64) {
        let mut ln_det = 0.0;
        for p in 0..x.len() {
            ln_det += a[p][p].ln();
            for i in p + 1..x.len() {
                let by = a[i][p] / a[p][p];
                let pivot = a[p].clone();
                a[i].iter_mut().zip(&pivot).for_each(|(a, pivot)| *a -= by * pivot);
                x[i] -= by * x[p];
            }
        }
        for p in (0..x.len()).rev() {
            let known: f64 = (p + 1..x.len()).map(|j| a[p][j] * x[j]).sum();
            x[p] = (x[p] - known) / a[p][p];
        }
        (x, ln_det)
    }

    /// ln p(x_v | e_k) from the joint covariance, x_v given the indicators: Σ_vg Σ_gg⁻¹ e_k and what is left of Σ_vv.
    #[test]
    fn classes_add_the_density_of_what_is_visible_given_them() {
        let (_, model) = model();
        // Dimensions 0 and 2 are numbers, 1 is the second of two levels, 3 to 5 are three levels.
        let d = model.len();
        assert_eq!(d, 6);
        let rank = model.rank;
        let w = |t: usize| &model.loading[t * rank..(t + 1) * rank];
        let sigma = |s: usize, t: usize| dot(w(s), w(t)) + if s == t { model.noise[t] } else { 0.0 };
        let target = ndarray::arr1(&[0.8, 1.0, -1.3, 2.0]);
        let log_density = |seen: &[usize], of: &[usize], e: &[f64]| {
            let gg = |b: Vec<f64>| solve(of.iter().map(|&s| of.iter().map(|&t| sigma(s, t)).collect()).collect(), b).0;
            let regress = |s: usize| gg(of.iter().map(|&t| sigma(t, s)).collect());
            let left = |s: usize, t: usize| sigma(s, t) - dot(&regress(s), &of.iter().map(|&g| sigma(g, t)).collect::<Vec<_>>());
            let off: Vec<f64> = seen.iter().map(|&s| model.value(s, target.view()) - dot(&regress(s), e)).collect();
            let (solved, ln_det) = solve(seen.iter().map(|&s| seen.iter().map(|&t| left(s, t)).collect()).collect(), off.clone());
            -0.5 * (dot(&off, &solved) + ln_det)
        };
        let add = |visible: [bool; 4]| completed(&model, &target, &visible).1;
        let indicator = |t: usize, one: bool| {
            let Dimension::Class { mean, sd, .. } = model.dimensions[t].1 else { panic!("{t}") };
            (if one { 1.0 - mean } else { -mean }) / sd
        };
        let start = add([true, true, true, false]);
        let want = [0, 1, 2].map(|k| log_density(&[0, 1, 2], &[3, 4, 5], &[3, 4, 5].map(|t| indicator(t, t == 3 + k))));
        // Half of it: what it is trusted.
        assert!((start[7] - start[6] - 0.5 * (want[1] - want[0])).abs() < 1e-9, "{start:?} {want:?}");
        assert!((start[8] - start[6] - 0.5 * (want[2] - want[0])).abs() < 1e-9, "{start:?} {want:?}");
        assert_eq!(start[2..4], [0.0; 2]);
        let start = add([false, false, true, false]);
        let want = [false, true].map(|one| log_density(&[2], &[1], &[indicator(1, one)]));
        assert!((start[3] - start[2] - (want[1] - want[0])).abs() < 1e-9, "{start:?} {want:?}");
        // Shares stay what they are where nothing is visible.
        let start = add([false; 4]);
        assert!(start[2..4].iter().chain(&start[6..]).all(|x| x.abs() < 1e-9), "{start:?}");
    }

    /// x | g ~ N(1.5 g, 1): ln p(g | x) / p(not g | x) = ln 0.4 / 0.6 + 1.5 x − 1.125, and g missing where x is high makes its share no
    /// smaller. A model that is too sure of itself is trusted less.
    #[test]
    fn levels_start_from_a_fitted_discriminant() {
        let sd = 1.24;
        let mut rng = stream(8, Purpose::Linear, 0);
        let mut target = Array2::from_elem((500, 2), 0f32);
        for mut row in target.rows_mut() {
            let (u, e): (f64, f64) = (rng.random(), rng.sample(StandardNormal));
            let x = if u < 0.4 { 1.5 + e } else { e };
            let hidden = rng.random::<f64>() < 1.0 / (1.0 + (1.0 - x).exp());
            row[0] = if hidden { f32::NAN } else { f32::from(u < 0.4) };
            row[1] = (x / sd) as f32;
        }
        let count = |level: f32| target.column(0).iter().filter(|x| **x == level).count();
        let scaling = Scaling { columns: vec![levels(&[count(0.0), count(1.0)]), numbers()] };
        let rows = Rows { place: target.clone(), target: target.clone() };
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: 1 };
        let start = Start::fit(&source);
        let share = count(1.0) as f64 / (count(0.0) + count(1.0)) as f64;
        assert!(share < 0.33, "{share}");
        for x in [-1.0, 0.5, 2.0] {
            let row = ndarray::arr2(&[[f32::NAN, (x / sd) as f32]]);
            let mut out = Features::new(scaling.shape().with_completed(start.kept.whole.len()), 1);
            let rows = Rows { place: row.clone(), target: row };
            View::of(&scaling, &start.kept.whole).show(&rows, (&[0], &[false, true]), &mut out, 0, &mut Given::default());
            let got = f64::from(out.start[(0, 1)] - out.start[(0, 0)]) + (share / (1.0 - share)).ln();
            let want = (0.4f64 / 0.6).ln() + 1.5 * x - 1.125;
            assert!((got - want).abs() < 0.6, "{x}: {got} {want}");
        }
        assert_eq!(start.kept.whole.trusts(), [1.0]);
        let mut sure = start.kept.whole.clone();
        sure.noise[1] *= 0.1;
        sure.prepare();
        let some: Vec<usize> = (0..500).collect();
        let trust = trusts(&source, &some, |_| &sure)[0];
        assert!(trust < 0.8, "{trust}");
    }
}
