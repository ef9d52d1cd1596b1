//! How the linear start comes from a table: rows that EM sees, the strength of its prior, models of parts, draws of the parameters;
//! and how rows become features by it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::given::Given;
use super::{FactorAnalysis, Source, levels, triangle};
use crate::data::scaling::{Features, Rows, Scaling};
use crate::kernel::Real;

/// Iterations of EM: with the rotation, twenty suffice to choose the prior by.
pub(super) const ITERATIONS: usize = 40;
const TRIED_ITERATIONS: usize = 20;
/// Rows and cells of the table that EM sees, at most, and when it is run again and again to choose the prior.
const ROWS_MOST: usize = 5000;
const CELLS_MOST: usize = 1_000_000;
const FEW_CELLS: usize = 100_000;
/// Draws of the parameters, at least and at most, and what all of them may cost in operations; iterations of a draw that goes
/// over more than so many cells, where it is near where it starts.
const DRAWS: (usize, usize) = (5, 40);
const DRAWS_WORK: f64 = 5e8;
const MANY_CELLS: usize = 20_000;
const FEW_ITERATIONS: usize = 12;
/// Where rows are few a draw goes far from where it starts; while cells are, too, iterations cost little.
const FEW_ROWS: usize = 300;
const LITTLE: usize = 3000;
const MANY_ITERATIONS: usize = 160;
/// Prior cells of pure noise in every dimension: next to none for tables of low rank without noise, some for small tables. As they bias what is
/// read off draws, a weaker prior stays unless the best one's error is smaller by so many standard errors (Breiman et al. 1984, section 3.4.3,
/// with one).
const STRENGTHS: [f64; 6] = [0.003, 0.1, 1.0, 5.0, 15.0, 40.0];
const PROOF: f64 = 2.0;
/// Tables of so many rows at most are cut into parts, each of which is completed by a model of the others.
const FOLDED_MOST: usize = 2000;
const FOLDS: usize = 5;
/// All parts take their turn in choosing the prior where cells are fewer.
const TURNS_MOST: usize = 10_000;
/// Rows are completed in a multiple of this, so that a row's answer does not depend on its company.
const TOGETHER: usize = 64;

/// The linear model of a whole table, draws of its parameters and, of a small table, models of all but each of its parts: in
/// training a row is completed by a model that has not seen it, or the networks would trust what is too good to be true.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub kept: Linear,
    /// None, or [`FOLDS`]: row `i` belongs to part `i % FOLDS`.
    parts: Vec<FactorAnalysis>,
    /// Rows that it is fitted to, and the prior's cells of noise.
    some: Vec<usize>,
    strength: f64,
}

impl Start {
    /// Fits on the calling thread's pool; the draws come by [`Start::with_draws`].
    pub fn fit(source: &Source<'_>) -> Start {
        let n = source.rows.target.nrows();
        let d = FactorAnalysis::blank(source.scaling, source.products).len().max(1);
        // Every so many-th row.
        let at_most = |rows: usize, cells: usize| -> Vec<usize> {
            let most = rows.min(cells / d).max(1);
            (0..n).step_by(n.div_ceil(most).max(1)).collect()
        };
        let part = |rows: &[usize], fold: usize| -> (Vec<usize>, Vec<usize>) {
            let (of, others): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(at, _)| at % FOLDS == fold);
            let rows = |some: Vec<(usize, &usize)>| some.into_iter().map(|(_, &i)| i).collect();
            (rows(others), rows(of))
        };
        let few = at_most(FOLDED_MOST, FEW_CELLS);
        let folds = if few.len() * d < TURNS_MOST { FOLDS } else { 1 };
        let errors = |&strength: &f64| -> Vec<f64> {
            let of_fold = |fold: usize| {
                let (others, of) = part(&few, fold);
                FactorAnalysis::fit(source, &others, strength, TRIED_ITERATIONS).errors(source, &of)
            };
            (0..folds).flat_map(of_fold).collect()
        };
        let errors: Vec<Vec<f64>> = STRENGTHS.par_iter().map(errors).collect();
        let strength = STRENGTHS[weakest(&errors)];
        let some = at_most(ROWS_MOST, CELLS_MOST);
        let whole = FactorAnalysis::fit(source, &some, strength, ITERATIONS);
        let parts = match n <= FOLDED_MOST && n * d <= FEW_CELLS {
            true => {
                (0..FOLDS).into_par_iter().map(|f| FactorAnalysis::fit(source, &part(&some, f).0, strength, ITERATIONS)).collect()
            }
            false => Vec::new(),
        };
        let mut start = Start { kept: Linear { whole, draws: Vec::new(), outcomes: Vec::new() }, parts, some, strength };
        // From many rows the networks learn as much, and sooner.
        if !start.parts.is_empty() {
            let trusts = levels::trusts(source, &few, |i| &start.parts[i % FOLDS]);
            start.parts.iter_mut().chain([&mut start.kept.whole]).for_each(|model| model.set_trusts(&trusts));
        }
        start
    }

    /// Whether the table is so small that it is cut into parts.
    pub fn is_folded(&self) -> bool {
        !self.parts.is_empty()
    }

    /// With draws of the parameters, from the source that it was fitted to.
    pub fn with_draws(mut self, source: &Source<'_>) -> Start {
        let (whole, some) = (&self.kept.whole, &self.some);
        let d = whole.len().max(1);
        let cells = some.len() * d;
        let iterations = match cells {
            cells if cells <= LITTLE && some.len() <= FEW_ROWS => MANY_ITERATIONS,
            cells if cells > MANY_CELLS => FEW_ITERATIONS,
            _ => ITERATIONS,
        };
        let one = (cells * iterations * triangle(whole.rank + 1)) as f64;
        let draws = ((DRAWS_WORK / one.max(1.0)) as usize).clamp(DRAWS.0, DRAWS.1);
        let variance = whole.weight_variance(source, some);
        let draw = |i: usize| whole.drawn(source, some, (self.strength, iterations), variance, i);
        self.kept.draws = (0..draws).into_par_iter().map(draw).collect();
        self
    }
}

/// The place of the first strength whose rows' errors are beyond those of the best by no more than chance.
fn weakest(errors: &[Vec<f64>]) -> usize {
    let total = |s: &usize| errors[*s].iter().sum::<f64>();
    let best = (0..errors.len()).min_by(|a, b| total(a).total_cmp(&total(b))).unwrap_or(0);
    let beyond_chance = |s: &usize| {
        let worse = || errors[*s].iter().zip(&errors[best]).map(|(error, best)| error - best);
        worse().sum::<f64>() > PROOF * worse().map(|x| x * x).sum::<f64>().sqrt()
    };
    (0..best).find(|s| !beyond_chance(s)).unwrap_or(best)
}

/// What a fitted model keeps of its start.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub whole: FactorAnalysis,
    /// Draws of the parameters: one at least.
    pub draws: Vec<FactorAnalysis>,
    /// No factor of an outcome is itself one.
    pub outcomes: Vec<Outcome>,
}

/// A number that bends with others, or differs between levels: given it, those are not normal, and are to be drawn by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub column: usize,
    /// The columns that it has products of, and those of levels.
    pub factors: Vec<usize>,
}

/// How rows become features: their visible cells encoded, and all of them completed by the linear model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    scaling: &'a Scaling,
    pub whole: &'a FactorAnalysis,
    parts: &'a [FactorAnalysis],
}

impl<'a> View<'a> {
    /// Of the table the start was fitted to.
    pub fn in_training(scaling: &'a Scaling, start: &'a Start) -> View<'a> {
        View { scaling, whole: &start.kept.whole, parts: &start.parts }
    }

    /// Of any table.
    pub fn of(scaling: &'a Scaling, whole: &'a FactorAnalysis) -> View<'a> {
        View { scaling, whole, parts: &[] }
    }

    /// Writes the features of some rows of a table, the first to row `at` of `out`; `visible` says which cells are, (rows, columns).
    pub fn show<F: Real>(
        &self,
        rows: &Rows<F>,
        (of, visible): (&[usize], &[bool]),
        out: &mut Features<F>,
        at: usize,
        given: &mut Given,
    ) {
        for (r, (&i, visible)) in of.iter().zip(visible.chunks_exact(rows.target.ncols().max(1))).enumerate() {
            self.scaling.write_features(rows, i, visible, out, at + r);
        }
        let target = rows.target.view();
        if self.parts.is_empty() {
            self.whole.explain(target, (of, visible), |_| true, TOGETHER, given);
            return self.whole.complete(out, at, given);
        }
        for (f, model) in self.parts.iter().enumerate() {
            model.explain(target, (of, visible), |i| i % FOLDS == f, 1, given);
            model.complete(out, at, given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::linear::tests::{completed, simulated};
    use crate::rng::{Purpose, stream};
    use ndarray::Array2;
    use ndarray_rand::rand_distr::{Distribution, StandardNormal};

    /// Where the second column is missing for high values of the first, its mean is not that of its observed cells; and over
    /// the draws of the parameters the mean of the first column varies as that of a sample does.
    #[test]
    fn means_are_those_of_all_rows_and_vary_as_they_should() {
        let (scaling, full, ..) = simulated(400, 0.0);
        let mut rows = full.clone();
        for mut row in rows.target.rows_mut() {
            if row[0] > 0.2 {
                row[3] = f32::NAN;
            }
        }
        let observed: Vec<f64> = rows.target.column(3).iter().filter(|x| !x.is_nan()).map(|&x| f64::from(x)).collect();
        let of_observed = observed.iter().sum::<f64>() / observed.len() as f64;
        let of_all = full.target.column(3).iter().map(|&x| f64::from(x)).sum::<f64>() / 400.0;
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: 1 };
        let start = Start::fit(&source).with_draws(&source);
        let got = start.kept.whole.mean[3];
        assert!((of_observed - of_all).abs() > 0.2 && (got - of_all).abs() < 0.08, "{of_observed} {of_all} {got}");

        let means: Vec<f64> = start.kept.draws.iter().map(|m| m.mean[0]).collect();
        let center = means.iter().sum::<f64>() / means.len() as f64;
        let sd = (means.iter().map(|x| (x - center).powi(2)).sum::<f64>() / (means.len() - 1) as f64).sqrt();
        // y₀ has variance 0.64 + 0.09 + 0.16; forty draws tell a deviation to a ninth.
        let due = (0.89f64 / 400.0).sqrt();
        assert!((sd / due).ln().abs() < 0.35, "{sd} {due}");
    }

    #[test]
    fn a_prior_stays_weak_unless_a_stronger_one_is_better_beyond_chance() {
        let errors = |better: f64, noise: f64| -> Vec<f64> {
            (0..100).map(|i| 1.0 - better + if i % 2 == 0 { noise } else { -noise }).collect()
        };
        assert_eq!(weakest(&[errors(0.0, 0.0), errors(0.05, 0.1), errors(0.1, 0.4)]), 1);
        assert_eq!(weakest(&[errors(0.0, 0.0), errors(0.01, 0.2)]), 0);
        assert_eq!(weakest(&[errors(0.0, 0.0), errors(-0.1, 0.0)]), 0);
        assert_eq!(weakest(&[vec![], vec![]]), 0);
    }

    /// y = x + e, half of y missing. Networks learn what the fit lacks, and are drawn with draws of its parameters: these are to be about it.
    #[test]
    fn slopes_are_those_of_least_squares_in_the_fit_and_its_draws() {
        let scaling = simulated(4, 0.0).0;
        let scaling = Scaling { columns: scaling.columns[..2].to_vec() };
        for table in 0..10 {
            let mut rng = stream(table, Purpose::HeldOut, 3);
            let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
            let mut target = Array2::zeros((600, 2));
            let mut sums = [0f64; 5];
            for (i, mut row) in target.rows_mut().into_iter().enumerate() {
                let x = normal();
                let y = x + normal();
                row.assign(&ndarray::arr1(&[x, if i % 2 == 0 { y } else { f32::NAN }]));
                if i % 2 == 0 {
                    let (x, y) = (f64::from(x), f64::from(y));
                    sums.iter_mut().zip([1.0, x, y, x * x, x * y]).for_each(|(s, a)| *s += a);
                }
            }
            let [n, x, y, xx, xy] = sums;
            let want = (xy - x * y / n) / (xx - x * x / n);
            let rows = Rows { place: target.clone(), target };
            let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: table };
            let start = Start::fit(&source).with_draws(&source);
            let slope = |model: &FactorAnalysis| {
                let [below, above] = [-1.0, 1.0].map(|x| completed(model, &ndarray::arr1(&[x, 0.0]), &[true, false]).0[1]);
                (above - below) / 2.0
            };
            let drawn = start.kept.draws.iter().map(slope).sum::<f64>() / start.kept.draws.len() as f64;
            let whole = slope(&start.kept.whole);
            assert!((whole / want - 1.0).abs() < 0.02 && (drawn / want - 1.0).abs() < 0.05, "{table}: {want} {whole} {drawn}");
        }
    }

    #[test]
    fn hidden_cells_and_weights_of_zero_leave_no_trace() {
        let (scaling, rows, truth, ..) = simulated(60, 0.3);
        let given = &mut Given::default();
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: 1 };
        let start = Start::fit(&source);
        let view = View::in_training(&scaling, &start);
        let features = |rows: &Rows<f32>, visible: &[bool], given: &mut Given| {
            let shape = scaling.shape().with_completed(start.kept.whole.len());
            let mut out = Features::new(shape, 1);
            view.show(rows, (&[7], visible), &mut out, 0, given);
            out
        };
        let visible = [true, false, false, true, false];
        let full = Rows { place: truth.clone(), target: truth };
        let mut other = full.clone();
        (other.target[(7, 1)], other.target[(7, 2)], other.target[(7, 4)]) = (9.0, f32::NAN, -3.0);
        let (a, b) = (features(&full, &visible, given), features(&other, &visible, given));
        assert_eq!((a.dense, a.start), (b.dense, b.start));
        // The model of the other parts, which row 7 is not among: another one than the whole table's.
        let mut changed = rows.clone();
        changed.target.row_mut(7).fill(5.0);
        let again = Start::fit(&Source { rows: &changed, ..source });
        assert_eq!(start.parts[2].loading, again.parts[2].loading);
        assert_ne!(start.kept.whole.loading, again.kept.whole.loading);
        // A row that weighs twice is one that stands there twice.
        let few: Vec<usize> = (0..20).collect();
        let twice: Vec<usize> = few.iter().chain(&few[..5]).copied().collect();
        let weights: Vec<f64> = (0..60).map(|i| if i < 5 { 2.0 } else { 1.0 }).collect();
        let weighted = FactorAnalysis::fit(&Source { weights: Some(&weights), ..source }, &few, 1.0, ITERATIONS);
        let repeated = FactorAnalysis::fit(&source, &twice, 1.0, ITERATIONS);
        assert!(weighted.noise.iter().zip(&repeated.noise).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
