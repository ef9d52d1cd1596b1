//! Whether the gaps of a column follow what its cells would have said (missing not at random), and how.
//!
//! ```text
//! ln odds(x_j is missing | row) = a + b · u + t · s(x_j)
//!
//! u: what the other columns say, and whether they do       s: a number, in standard deviations; of levels, which it is
//! ```
//! x_j is not known where it is missing. But by Bayes' rule the odds given the others alone are those averaged over what x_j could be,
//!
//! ```text
//! odds(x_j is missing | u) = e^(a + b · u)  E[e^(t · s(x_j)) | u, x_j is observed]
//! p(x_j | u, missing) ∝ p(x_j | u, observed) e^(t · s(x_j))
//! ```
//! and the model says what x_j is like given the others where it is observed. So t can be told from the rows' gaps, as far as gaps at random
//! need more terms to say the same; and where t is known, gaps are filled by the second line: exponential tilting (Kim & Yu 2011), with
//! which Lacuna answers what a self-masking model (Ipsen, Mattei & Frellsen 2021) is trained for.
//!
//! Both are an explanation of the same flags. The simpler is taken, by Schwarz's criterion, the terms of both being searched alike.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate};
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernel::{Real, sigmoid, vectorised};
use crate::likelihood::softplus;
use crate::model::linear::{factor, solve_lower, solve_upper, triangle};
use crate::rng::Stream;

/// Numbers count as no farther out than this in what gaps follow, in standard deviations.
pub(crate) const FAR: f64 = 3.0;
/// The steepest t.
const STEEP: f64 = 10.0;
/// Terms of the other columns, at most; and those that a search from many begins with.
const TERMS_MOST: usize = 16;
const MANY: usize = 12;
/// The precision of a normal prior of t.
const PRIOR: f64 = 1.0;
/// Steps of the power method.
const COMPONENT_STEPS: usize = 10;
/// Newton's steps, at most, and the gain of one that ends them.
const STEPS: usize = 30;
const ENOUGH: f64 = 1e-6;

/// How the odds of a gap depend on what the cell would have said: t.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tilt {
    /// Of a number one slope, of levels an entry each.
    pub log_odds: Vec<f64>,
    /// Their standard errors.
    pub errors: Vec<f64>,
}

impl Tilt {
    /// ln odds of a cell, but for a constant: a number in model units, or a class.
    pub fn of(&self, x: f32, number: bool) -> f64 {
        if number { self.log_odds[0] * f64::from(x).clamp(-FAR, FAR) } else { self.log_odds[x as usize] }
    }

    /// Another that the gaps say as well.
    pub fn drawn(&self, rng: &mut Stream) -> Tilt {
        let one = |(t, error): (&f64, &f64)| -> f64 {
            let e: f64 = StandardNormal.sample(rng);
            t + error * e
        };
        Tilt { log_odds: self.log_odds.iter().zip(&self.errors).map(one).collect(), errors: self.errors.clone() }
    }

    /// Whether a fit can give it for a column of so many classes, or one number; a file may say anything.
    pub fn is_sound(&self, entries: usize) -> bool {
        self.log_odds.len() == entries
            && self.errors.len() == entries
            && self.log_odds.iter().chain(&self.errors).all(|x| x.abs() <= STEEP)
    }
}

/// What x_j is like given the others where it is observed, a row each.
pub(crate) enum Own {
    /// (n, some): numbers that it may be, all as probable, in model units.
    Number(Array2<f64>),
    /// (n, levels): probabilities.
    Levels(Array2<f64>),
}

impl Own {
    fn len(&self) -> usize {
        match self {
            Own::Number(_) => 1,
            Own::Levels(p) => p.ncols(),
        }
    }

    /// ln E[e^(t · s)] of a row; writes E[s] under the tilted probabilities, its gradient. Of levels `odds` are e^t.
    fn at(&self, i: usize, t: &[f64], odds: &[f64], gradient: &mut [f64]) -> f64 {
        match self {
            Own::Number(x) => {
                let (mut sum, mut first) = (0.0, 0.0);
                for x in x.row(i) {
                    let s = x.clamp(-FAR, FAR);
                    let e = (t[0] * s).exp();
                    sum += e;
                    first += e * s;
                }
                gradient[0] = first / sum;
                (sum / x.ncols() as f64).ln()
            }
            Own::Levels(p) => {
                gradient.iter_mut().zip(p.row(i)).zip(odds).for_each(|((g, p), odds)| *g = p * odds);
                let sum: f64 = gradient.iter().sum();
                gradient.iter_mut().for_each(|g| *g /= sum);
                sum.ln()
            }
        }
    }
}

/// What may explain gaps at random.
pub(crate) struct Terms {
    /// (n, terms): each with mean zero and variance one.
    cells: Array2<f64>,
    /// So many are numbers and levels as they are.
    plain: usize,
}

/// The flags of a column's gaps, and what may explain them.
pub(crate) struct Gaps {
    pub missing: Vec<bool>,
    pub terms: Terms,
    /// Where gaps may follow the cells themselves.
    pub own: Option<Own>,
}

/// Rows by which the gaps of a table are judged, at least; and with a gap, and without, those that a column is judged by.
pub(crate) const ROWS_LEAST: usize = 200;
pub(crate) const CELLS_LEAST: usize = 30;
/// Rows times columns times what each column asks for, at most.
const WORK: usize = 20_000_000;
/// Nats by which an explanation of a column's gaps is taken for one: of fifty terms one gains two or three more by chance than it costs.
const MUCH: f64 = 5.0;
/// Where columns explain gaps without exception, their odds know no end.
const LOG_ODDS_MOST: f64 = 30.0;

/// Rows by which the gaps of a table of `n` rows and `d` columns of so many outcomes are judged: `most`, or fewer of wide tables.
pub(crate) fn rows_to_judge(n: usize, most: usize, d: usize, outcomes: usize) -> usize {
    n.min(most).min(WORK / ((outcomes + 2 * d) * d))
}

/// Of the rows of `asked`, (n, d), the odds of a gap in each column given what else is observed of the row, as `rows` of the same table tell:
/// numbers in model units, and classes where a column has more than one outcome. One where a column has too few gaps to tell, and all alike
/// where nothing explains them.
pub(crate) fn odds_of_gaps(rows: ArrayView2<f32>, asked: ArrayView2<f32>, outcomes: &[usize]) -> Array2<f64> {
    let (n, d) = rows.dim();
    let target = concatenate(Axis(0), &[rows, asked]).expect("columns of one table");
    let of_column = |j: usize| -> Vec<f64> {
        let missing: Vec<bool> = rows.column(j).iter().map(|x| x.is_nan()).collect();
        let gaps = missing.iter().filter(|m| **m).count();
        if gaps.min(n - gaps) < CELLS_LEAST {
            return vec![1.0; asked.nrows()];
        }
        let others = |number: bool| (0..d).filter(move |&k| k != j && (outcomes[k] == 1) == number);
        // What is missing of the others says nothing but by its flag.
        let number = |x: &f32| if x.is_nan() { 0.0 } else { f64::from(*x).clamp(-FAR, FAR) };
        let numbers = table(others(true).map(|k| target.column(k).iter().map(number).collect()), target.nrows());
        let is_level = |k: usize, level: usize| target.column(k).mapv(|x| f64::from(u8::from(x == level as f32)));
        let levels = others(false).flat_map(|k| (0..outcomes[k]).map(move |level| is_level(k, level)));
        let flags = (0..d).filter(|&k| k != j).map(|k| target.column(k).mapv(|x| f64::from(u8::from(x.is_nan()))));
        let Terms { cells, plain } = terms(&numbers, &table(levels, target.nrows()), &table(flags, target.nrows()));
        let (of_rows, of_asked) = cells.view().split_at(Axis(0), n);
        let gaps = Gaps { missing, terms: Terms { cells: of_rows.to_owned(), plain }, own: None };
        let none = gaps.without_terms(false);
        let without = none.score;
        let best = gaps.with_terms(none);
        if best.score - without < MUCH {
            return vec![1.0; asked.nrows()];
        }
        let log_odds =
            |terms: ArrayView1<f64>| -> f64 { best.chosen.iter().zip(&best.coefficients[1..]).map(|(&t, c)| c * terms[t]).sum() };
        of_asked.rows().into_iter().map(|terms| log_odds(terms).clamp(-LOG_ODDS_MOST, LOG_ODDS_MOST).exp()).collect()
    };
    let odds: Vec<Vec<f64>> = (0..d).into_par_iter().map(of_column).collect();
    Array2::from_shape_fn((asked.nrows(), d), |(i, j)| odds[j][i])
}

/// Columns of `rows` cells side by side.
fn table(columns: impl Iterator<Item = Array1<f64>>, rows: usize) -> Array2<f64> {
    let columns: Vec<Array1<f64>> = columns.collect();
    let mut out = Array2::zeros((rows, columns.len()));
    out.columns_mut().into_iter().zip(&columns).for_each(|(mut to, column)| to.assign(column));
    out
}

/// How the flags are explained best.
pub(crate) struct Verdict {
    pub tilt: Tilt,
    /// By how much that is better than any explanation at random, nats.
    pub evidence: f64,
}

/// An explanation: its terms, and Newton's method where it ended.
struct Explained {
    chosen: Vec<usize>,
    /// Whether the cell itself is among what explains.
    own: bool,
    coefficients: Vec<f64>,
    /// The log likelihood less Schwarz's penalty.
    score: f64,
    at: At,
    /// Of the coefficients.
    variances: Vec<f64>,
}

/// The penalised log likelihood at some coefficients.
struct At {
    value: f64,
    log_likelihood: f64,
    gradient: Vec<f64>,
    /// Minus the second derivatives: a lower triangle.
    curvature: Vec<f64>,
    /// Per row, the design, the residual and the weight.
    design: Array2<f64>,
    residual: Array1<f64>,
    weight: Array1<f64>,
}

impl Gaps {
    /// Coefficients of the cell itself.
    fn entries(&self) -> usize {
        self.own.as_ref().map_or(0, Own::len)
    }

    /// Compares gaps that follow the cell itself with gaps at random.
    pub fn judge(&self) -> Verdict {
        let [random, own] = [false, true].map(|own| self.with_terms(self.without_terms(own)));
        let entries = self.entries();
        let first = own.coefficients.len() - entries;
        let mut log_odds = own.coefficients[first..].to_vec();
        let errors = own.variances[first..].iter().map(|v| v.sqrt()).collect();
        if entries > 1 {
            // Only differences count.
            let mean = log_odds.iter().sum::<f64>() / entries as f64;
            log_odds.iter_mut().for_each(|t| *t -= mean);
        }
        log_odds.iter_mut().for_each(|t| *t = t.clamp(-STEEP, STEEP));
        Verdict { tilt: Tilt { log_odds, errors }, evidence: own.score - random.score }
    }

    /// The best choice of terms of the other columns that is found stepwise (Efroymson 1960), from `none` and from many: a sum of columns is
    /// found from many only, where each of them says little by itself.
    fn with_terms(&self, none: Explained) -> Explained {
        let mut gains: Vec<(usize, f64)> = self.gains(&none).filter(|(term, _)| *term < self.terms.plain).collect();
        gains.sort_by(|a, b| b.1.total_cmp(&a.1));
        let many = self.explain_more(&none, gains.iter().take(MANY).map(|(term, _)| *term));
        let (few, many) = (self.stepwise(none), self.stepwise(self.with_fewer(many)));
        if many.score > few.score { many } else { few }
    }

    /// Terms are added as long as the score gains, and those dropped that others make needless.
    fn stepwise(&self, mut explained: Explained) -> Explained {
        while explained.chosen.len() < TERMS_MOST {
            let Some((term, _)) = self.gains(&explained).reduce(|a, b| if b.1 > a.1 { b } else { a }) else { break };
            let next = self.explain_more(&explained, [term]);
            if next.score <= explained.score {
                break;
            }
            explained = self.with_fewer(next);
        }
        explained
    }

    fn with_fewer(&self, mut explained: Explained) -> Explained {
        while let Some(fewer) = self.without_weakest(&explained) {
            explained = fewer;
        }
        explained
    }

    /// Without the term that counts least, if the score gains.
    fn without_weakest(&self, explained: &Explained) -> Option<Explained> {
        let counts = |at: usize| explained.coefficients[1 + at].powi(2) / explained.variances[1 + at];
        let weakest = (0..explained.chosen.len()).min_by(|&a, &b| counts(a).total_cmp(&counts(b)))?;
        if counts(weakest) > (self.missing.len() as f64).ln() {
            return None;
        }
        let (mut chosen, mut start) = (explained.chosen.clone(), explained.coefficients.clone());
        chosen.remove(weakest);
        start.remove(1 + weakest);
        Some(self.explain(chosen, explained.own, start)).filter(|fewer| fewer.score > explained.score)
    }

    /// Twice what each further term gains, as the score statistic (Rao 1948) says.
    fn gains<'a>(&'a self, Explained { chosen, at, .. }: &'a Explained) -> impl Iterator<Item = (usize, f64)> + 'a {
        let k = at.design.ncols();
        let mut l = at.curvature.clone();
        factor(&mut l, k);
        let terms = &self.terms.cells;
        let weighted = &at.design * &at.weight.view().insert_axis(Axis(1));
        let mut cross = Array2::zeros((terms.ncols(), k));
        f64::product(1.0, terms.t(), weighted.view(), 0.0, cross.view_mut());
        let (mut slopes, mut own) = (vec![0.0; terms.ncols()], vec![0.0; terms.ncols()]);
        vectorised(
            #[inline(always)]
            || {
                for ((u, w), e) in terms.rows().into_iter().zip(&at.weight).zip(&at.residual) {
                    let u = u.to_slice().expect("standard layout");
                    own.iter_mut().zip(&mut slopes).zip(u).for_each(|((own, slope), u)| {
                        *own += w * u * u;
                        *slope += e * u;
                    });
                }
            },
        );
        let gain = move |term: usize| {
            let mut cross = cross.row(term).to_vec();
            solve_lower(&l, &mut cross);
            let left = own[term] - cross.iter().map(|c| c * c).sum::<f64>();
            (left > 1e-6 * own[term]).then(|| (term, slopes[term] * slopes[term] / left))
        };
        (0..terms.ncols()).filter(|term| !chosen.contains(term)).filter_map(gain)
    }

    /// No other column explains the gaps.
    fn without_terms(&self, own: bool) -> Explained {
        let share = self.missing.iter().filter(|m| **m).count() as f64 / self.missing.len() as f64;
        let share = share.clamp(1e-3, 1.0 - 1e-3);
        let mut start = vec![0.0; 1 + if own { self.entries() } else { 0 }];
        start[0] = (share / (1.0 - share)).ln();
        self.explain(Vec::new(), own, start)
    }

    /// By further terms, too.
    fn explain_more(&self, explained: &Explained, more: impl IntoIterator<Item = usize>) -> Explained {
        let (mut chosen, mut start) = (explained.chosen.clone(), explained.coefficients.clone());
        chosen.extend(more);
        let at = 1 + explained.chosen.len();
        start.splice(at..at, std::iter::repeat_n(0.0, chosen.len() + 1 - at));
        self.explain(chosen, explained.own, start)
    }

    /// Maximum likelihood by Newton's method, from coefficients that are near.
    fn explain(&self, chosen: Vec<usize>, own: bool, mut coefficients: Vec<f64>) -> Explained {
        let n = self.missing.len() as f64;
        let entries = if own { self.entries() } else { 0 };
        let mut at = self.at(&chosen, &coefficients);
        for _ in 0..STEPS {
            let mut step = at.gradient.clone();
            let mut l = at.curvature.clone();
            factor(&mut l, step.len());
            solve_lower(&l, &mut step);
            solve_upper(&l, &mut step);
            let halves = (0..12).map(|h| 0.5f64.powi(h)).find_map(|part| {
                let next: Vec<f64> = coefficients.iter().zip(&step).map(|(c, s)| c + part * s).collect();
                let there = self.at(&chosen, &next);
                (there.value > at.value).then_some((next, there))
            });
            let Some((next, there)) = halves else { break };
            let gain = there.value - at.value;
            (coefficients, at) = (next, there);
            if gain < ENOUGH {
                break;
            }
        }
        let variances = variances(&at.curvature, coefficients.len());
        let free: f64 = variances[coefficients.len() - entries..].iter().map(|v| 1.0 - PRIOR * v).sum();
        let score = at.log_likelihood - 0.5 * (1.0 + chosen.len() as f64 + free) * n.ln();
        Explained { chosen, own, coefficients, score, at, variances }
    }

    fn at(&self, chosen: &[usize], coefficients: &[f64]) -> At {
        let (n, k) = (self.missing.len(), coefficients.len());
        let first = 1 + chosen.len();
        let mut design = Array2::zeros((n, k));
        let (mut residual, mut weight) = (Array1::zeros(n), Array1::zeros(n));
        let odds: Vec<f64> = coefficients[first..].iter().map(|t| t.exp()).collect();
        let mut log_likelihood = 0.0;
        for i in 0..n {
            let mut row = design.row_mut(i);
            let row = row.as_slice_mut().expect("standard layout");
            row[0] = 1.0;
            chosen.iter().zip(&mut row[1..first]).for_each(|(&term, x)| *x = self.terms.cells[(i, term)]);
            let mut eta: f64 = row[..first].iter().zip(coefficients).map(|(x, c)| x * c).sum();
            if let (Some(own), true) = (&self.own, first < k) {
                eta += own.at(i, &coefficients[first..], &odds, &mut row[first..]);
            }
            let p = sigmoid(eta);
            log_likelihood += if self.missing[i] { eta } else { 0.0 } - softplus(eta);
            residual[i] = f64::from(u8::from(self.missing[i])) - p;
            weight[i] = p * (1.0 - p);
        }
        let mut gradient = design.t().dot(&residual).to_vec();
        let weighted = &design * &weight.view().insert_axis(Axis(1));
        let full = design.t().dot(&weighted);
        let mut curvature = vec![0.0; triangle(k)];
        for a in 0..k {
            (0..=a).for_each(|b| curvature[triangle(a) + b] = full[(a, b)]);
            // Terms that say the same are told apart.
            curvature[triangle(a + 1) - 1] += 1e-9 * n as f64;
        }
        let mut value = log_likelihood;
        for a in first..k {
            value -= 0.5 * PRIOR * coefficients[a].powi(2);
            gradient[a] -= PRIOR * coefficients[a];
            curvature[triangle(a + 1) - 1] += PRIOR;
        }
        At { value, log_likelihood, gradient, curvature, design, residual, weight }
    }
}

/// The diagonal of the inverse of a lower triangle's matrix of `k` rows.
fn variances(curvature: &[f64], k: usize) -> Vec<f64> {
    let mut l = curvature.to_vec();
    factor(&mut l, k);
    let of = |a: usize| -> f64 {
        let mut e = vec![0.0; k];
        e[a] = 1.0;
        solve_lower(&l, &mut e);
        e.iter().map(|x| x * x).sum()
    };
    (0..k).map(of).collect()
}

/// Terms of the other columns, (n, each): numbers and levels, their first principal component (a cause that they share), flags of gaps; and
/// of every number its square and whether it is above each quartile. What does not vary is left out.
pub(crate) fn terms(numbers: &Array2<f64>, levels: &Array2<f64>, flags: &Array2<f64>) -> Terms {
    let mut terms: Vec<Array1<f64>> = numbers.columns().into_iter().chain(levels.columns()).filter_map(standardised).collect();
    let plain = terms.len();
    terms.extend(first_component(&terms));
    terms.extend(flags.columns().into_iter().filter_map(standardised));
    for x in numbers.columns() {
        terms.extend(standardised((&x * &x).view()));
        let mut sorted = x.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quartiles = [1, 2, 3].map(|q| sorted[q * sorted.len() / 4]);
        terms.extend(quartiles.iter().filter_map(|&q| standardised(x.mapv(|x| f64::from(u8::from(x > q))).view())));
    }
    Terms { cells: table(terms.into_iter(), numbers.nrows()), plain }
}

fn standardised(x: ArrayView1<f64>) -> Option<Array1<f64>> {
    let n = x.len() as f64;
    let mean = x.sum() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (variance > 1e-12).then(|| x.mapv(|x| (x - mean) / variance.sqrt()))
}

/// The first principal component, nearly: by the power method.
fn first_component(terms: &[Array1<f64>]) -> Option<Array1<f64>> {
    let mut component = terms.first()?.clone();
    for _ in 0..COMPONENT_STEPS {
        let mut next = Array1::zeros(component.len());
        terms.iter().for_each(|term| next.scaled_add(term.dot(&component), term));
        component = standardised(next.view())?;
    }
    Some(component)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, normals, stream};
    use ndarray::s;
    use ndarray_rand::rand::Rng;

    const N: usize = 2000;
    /// Of x given the others, x = √(1 − SD²) of their direction + SD of noise.
    const SD: f64 = 0.7;

    /// Rows of three columns: what the others say, a number that they tell half of, and whether it is missing by the given log odds.
    fn simulated(seed: u64, log_odds: impl Fn(f64, &[f64]) -> f64) -> Gaps {
        let mut rng = stream(seed, Purpose::Ampute, 9);
        let u = normals((N, 3), &mut rng).mapv(f64::from);
        let direction = |u: &[f64]| (1.0 - SD * SD).sqrt() * (u[0] + u[1] + u[2]) / 3f64.sqrt();
        // Sixteen quantiles of a normal distribution, to a variance of one.
        let upper = [0.0816, 0.2468, 0.4186, 0.6025, 0.8078, 1.0509, 1.3714, 1.9381];
        let noise: Vec<f64> = upper.iter().flat_map(|&e| [e, -e]).collect();
        let (mut missing, mut of_observed) = (Vec::new(), Array2::zeros((N, 16)));
        let e = normals((N, 1), &mut rng).mapv(f64::from);
        // Where t is not zero, x given the others and observed is not the normal distribution below, but that one reweighted.
        for i in 0..N {
            let u = u.row(i).to_vec();
            let mean = direction(&u);
            let chance = |x: f64| 1.0 / (1.0 + (-log_odds(x, &u)).exp());
            missing.push(rng.random::<f64>() < chance(mean + SD * e[(i, 0)]));
            // By the seen share of each quantile, drawn anew from sixteen of them.
            let atoms: Vec<f64> = noise.iter().map(|z| mean + SD * z).collect();
            let weights: Vec<f64> = atoms.iter().map(|&x| 1.0 - chance(x)).collect();
            let total: f64 = weights.iter().sum();
            let mut order: Vec<usize> = (0..16).collect();
            order.sort_by(|&a, &b| atoms[a].total_cmp(&atoms[b]));
            for k in 0..16 {
                let mut left = (k as f64 + 0.5) / 16.0 * total;
                let at = order.iter().copied().find(|&a| {
                    left -= weights[a];
                    left < 0.0
                });
                of_observed[(i, k)] = atoms[at.unwrap_or(order[15])];
            }
        }
        let terms = terms(&u, &Array2::zeros((N, 0)), &Array2::zeros((N, 0)));
        Gaps { missing, terms, own: Some(Own::Number(of_observed)) }
    }

    #[test]
    fn gaps_that_follow_their_cells_are_known_from_those_that_follow_the_others() {
        for (slope, seed) in [(1.0, 1), (-0.8, 2)] {
            let Verdict { tilt, evidence } = simulated(seed, |x, _| slope * x - 1.0).judge();
            assert!(evidence > 4.0, "{evidence}");
            let off = (tilt.log_odds[0] - slope) / tilt.errors[0];
            assert!(off.abs() < 3.0 && tilt.errors[0] < 0.15, "{tilt:?}");
        }
        // By others in another direction, by one of them, by its square, and by none.
        let at_random: [fn(&[f64]) -> f64; 4] = [|u| u[0] - u[1] - 1.0, |u| u[2] - 1.0, |u| 0.6 * u[0] * u[0] - 1.5, |_| -1.0];
        for (log_odds, seed) in at_random.into_iter().zip(3..) {
            let Verdict { evidence, .. } = simulated(seed, |_, u| log_odds(u)).judge();
            assert!(evidence < 0.0, "{evidence}");
        }
    }

    #[test]
    fn odds_of_gaps_are_those_by_the_other_columns() {
        let mut rng = stream(1, Purpose::Ampute, 10);
        let mut cells = normals((3000, 3), &mut rng);
        let level = |x: f32| f32::from(u8::from(x > 0.5));
        let log_odds = |x: f32, z: f32| 0.9 * x - 1.5 * level(z) - 0.5;
        for mut row in cells.rows_mut() {
            let chance = sigmoid(f64::from(log_odds(row[0], row[2])));
            row[2] = level(row[2]);
            if rng.random::<f64>() < chance {
                row[1] = f32::NAN;
            }
            // At random, and too few to tell.
            if rng.random::<f64>() < 0.3 {
                row[2] = f32::NAN;
            }
        }
        cells.column_mut(0).iter_mut().step_by(200).for_each(|x| *x = f32::NAN);
        let odds = odds_of_gaps(cells.slice(s![..2000, ..]), cells.slice(s![2000.., ..]), &[1, 1, 2]);
        let off: Vec<f64> = (0..1000)
            .filter(|&i| !cells[(2000 + i, 0)].is_nan() && !cells[(2000 + i, 2)].is_nan())
            .map(|i| odds[(i, 1)].ln() - f64::from(log_odds(cells[(2000 + i, 0)], cells[(2000 + i, 2)])))
            .collect();
        // But for a constant.
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        let squares = off.iter().map(|o| (o - mean).powi(2)).sum::<f64>() / off.len() as f64;
        assert!(squares < 0.05, "{squares}");
        assert!(odds.column(0).iter().all(|&o| o == 1.0) && odds.column(2).iter().all(|&o| o == 1.0));
    }

    #[test]
    fn slopes_are_those_of_the_penalised_likelihood() {
        let number = simulated(7, |x, u| 0.5 * x + 0.5 * u[0] - 1.0);
        let Some(Own::Number(x)) = &number.own else { panic!() };
        let p = x.slice(s![.., ..3]).mapv(f64::exp);
        let total = p.sum_axis(Axis(1)).insert_axis(Axis(1));
        let levels = Gaps {
            own: Some(Own::Levels(p / &total)),
            missing: number.missing.clone(),
            terms: Terms { cells: number.terms.cells.clone(), plain: number.terms.plain },
        };
        for (gaps, point) in [(number, vec![-0.7, 0.3, 0.4]), (levels, vec![-0.7, 0.3, 0.4, -0.2, 0.9])] {
            let at = gaps.at(&[1], &point);
            for (k, slope) in at.gradient.iter().enumerate() {
                let value = |by: f64| {
                    let mut there = point.clone();
                    there[k] += by;
                    gaps.at(&[1], &there).value
                };
                let want = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((slope - want).abs() < 1e-4 * (1.0 + want.abs()), "{k}: {slope} {want}");
            }
            // Where it ends, nothing is left to gain.
            let end = gaps.explain_more(&gaps.without_terms(true), [1]);
            assert!(end.at.gradient.iter().all(|slope| slope.abs() < 0.05), "{:?}", end.at.gradient);
        }
    }

    #[test]
    fn a_tilt_is_of_its_column_and_drawn_as_wide_as_its_error() {
        let tilt = Tilt { log_odds: vec![0.5], errors: vec![0.1] };
        assert_eq!((tilt.of(1.0, true), tilt.of(-9.0, true)), (0.5, -1.5));
        assert!(tilt.is_sound(1) && !tilt.is_sound(2));
        assert!(!Tilt { log_odds: vec![f64::NAN], errors: vec![0.1] }.is_sound(1));
        let mut rng = stream(0, Purpose::Draw, 5);
        let drawn: Vec<f64> = (0..2000).map(|_| tilt.drawn(&mut rng).log_odds[0]).collect();
        let mean = drawn.iter().sum::<f64>() / 2000.0;
        let sd = (drawn.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / 2000.0).sqrt();
        assert!((mean - 0.5).abs() < 0.01 && (sd - 0.1).abs() < 0.01, "{mean} {sd}");
    }
}
