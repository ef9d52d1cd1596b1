//! Whether a straight line is all there is: the curvature in what the linear start leaves unexplained.
//!
//! ```text
//! e = a + b x + c t        x: the dimensions of a row's other cells, as the start completes them; t: one more term
//! ```
//! Over the rows that have a number, e is its residual from the linear start. A square or a product of x as
//! a further term leaves less of it beyond chance only where the relation bends (RESET, Ramsey 1969). A dozen held-out cells
//! seldom show a bend, all residuals do. The start then takes the terms that it bends with as dimensions of its own, which few rows suffice
//! for, where a network would need many.

use ndarray::{Array2, ArrayView1};

use crate::data::scaling::{ColumnScaling, Features, Rows, Scaling};
use crate::model::linear::start::{Outcome, Start, View};
use crate::model::linear::{Given, PRODUCTS_MOST, Source};

/// Rows that are looked at, at most: every so many-th.
const ROWS_MOST: usize = 5000;
/// Dimensions whose products are looked at, at most, and terms that one column may add.
const SINGLE_MOST: usize = 24;
const TERMS_MOST: usize = 4;
/// Residuals count as no farther out than so many standard deviations of their column.
const FAR: f64 = 6.0;
/// Twice the gain of the log likelihood by one of `c` terms has to exceed so much, or so much and ln n (of n rows; Schwarz 1978) where that is
/// more, and 2 ln c. It is about χ² of one degree of freedom where nothing bends: one table in a hundred of 30 rows has a square or a cube for
/// nothing, and one in four hundred of 1 000. Such a term goes far where there are no cells, and all draws go with it.
const GAIN: (f64, f64) = (6.8, 2.5);
/// The same of a product of two columns, exceeded in one table of twenty: where it is not found, draws lack what an analysis may ask
/// for.
const GAIN_OF_TWO: f64 = 3.8;
/// χ² of one degree of freedom exceeds so much in one case of a hundred.
const BEYOND_CHANCE: f64 = 6.6;

/// The linear start, with draws. Where it may be `curved`, it has the products that it bends with.
pub(crate) fn start(source: &Source<'_>, curved: bool) -> Start {
    let straight = Start::fit(source);
    let bends = if curved { found(source, &straight) } else { Vec::new() };
    let asked = source.rows.asked();
    let outcomes = match straight.is_folded() && curved {
        true => with_levels(outcomes(&bends, &straight.kept.whole.single(), source.rows), source.scaling, source.rows),
        false => Vec::new(),
    };
    let needed = |bend: &&Bend| asked[bend.column] || outcomes.iter().any(|outcome| outcome.column == bend.column);
    let mut products: Vec<(usize, usize)> = bends.iter().filter(needed).flat_map(|bend| &bend.products).copied().collect();
    products.sort_unstable();
    products.dedup();
    products.truncate(PRODUCTS_MOST);
    let mut start = match products.is_empty() {
        true => straight.with_draws(source),
        false => {
            let source = Source { products: &products, ..*source };
            Start::fit(&source).with_draws(&source)
        }
    };
    start.kept.outcomes = outcomes;
    start
}

/// A number that bends with other columns.
struct Bend {
    column: usize,
    products: Vec<(usize, usize)>,
    /// Twice the gain of the log likelihood by them.
    gain: f64,
}

/// All numbers that bend with other columns.
fn found(source: &Source<'_>, start: &Start) -> Vec<Bend> {
    let of = |column: usize| {
        let mut residuals = Residuals::of((source.scaling, source.rows), start, column, false);
        let mut bend = Bend { column, products: Vec::new(), gain: 0.0 };
        for (term, gain) in std::iter::from_fn(|| residuals.take_best(Some(GAIN_OF_TWO))).take(TERMS_MOST) {
            if let Term::Product(a, b) = term {
                bend.products.push((a, b));
                bend.gain += gain;
            }
        }
        bend
    };
    numbers(source.scaling).map(of).filter(|bend| !bend.products.is_empty()).collect()
}

/// The numbers by whose bend columns with gaps are drawn: from the one that gains most. Where y bends with x, x bends with y, too: one of
/// them is the outcome. None is one of a column whose gaps depend on it: where the high x go without y, x bends with what is left of y.
fn outcomes(bends: &[Bend], single: &[(usize, bool)], rows: &Rows<f32>) -> Vec<Outcome> {
    let asked = rows.asked();
    let mut by_gain: Vec<&Bend> = bends.iter().collect();
    by_gain.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let mut outcomes: Vec<Outcome> = Vec::new();
    for &Bend { column, ref products, .. } in by_gain {
        let mut factors: Vec<usize> = products.iter().flat_map(|&(a, b)| [single[a].0, single[b].0]).collect();
        factors.sort_unstable();
        factors.dedup();
        let apart = outcomes.iter().all(|o| !factors.contains(&o.column) && !o.factors.contains(&column));
        if apart && !factors.iter().any(|&factor| gaps_depend(rows, factor, column)) {
            outcomes.push(Outcome { column, factors });
        }
    }
    outcomes.retain(|o| o.factors.iter().any(|&factor| asked[factor]));
    outcomes
}

/// With an outcome of every column of levels with gaps: the number that differs most between the levels. Given them it is about normal,
/// while they are not given it.
fn with_levels(mut outcomes: Vec<Outcome>, scaling: &Scaling, rows: &Rows<f32>) -> Vec<Outcome> {
    let asked = rows.asked();
    let levels = |column: &usize| matches!(scaling.columns[*column], ColumnScaling::Levels { .. }) && asked[*column];
    for level in (0..asked.len()).filter(levels) {
        if outcomes.iter().any(|o| o.factors.contains(&level)) {
            continue;
        }
        let may = |number: &usize| outcomes.iter().all(|o| !o.factors.contains(number));
        let gains = numbers(scaling).filter(may).map(|number| (number, differs(rows, number, level)));
        let best = gains.filter(|(_, gain)| *gain > BEYOND_CHANCE).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((column, _)) = best else { continue };
        match outcomes.iter_mut().find(|o| o.column == column) {
            Some(outcome) => outcome.factors.push(level),
            None => outcomes.push(Outcome { column, factors: vec![level] }),
        }
    }
    outcomes
}

/// Twice the gain of the log likelihood of a number by having a mean for each level.
fn differs(rows: &Rows<f32>, number: usize, level: usize) -> f64 {
    let level = |row: ArrayView1<f32>| Some(row[level]).filter(|x| !x.is_nan()).map(|x| x as usize);
    let sums = sums_by(rows, number, level);
    let within: f64 = sums.iter().filter(|[n, ..]| *n > 0.0).map(|[n, sum, squares]| squares - sum * sum / n).sum();
    let [n, sum, squares] = sums.iter().fold([0.0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    let whole = squares - sum * sum / n.max(1.0);
    n * (whole / within.max(1e-12 * whole)).max(1.0).ln()
}

/// Whether the gaps of a column depend on a number, beyond chance: its mean differs between the rows with them and the others (Little 1988).
fn gaps_depend(rows: &Rows<f32>, gaps: usize, on: usize) -> bool {
    let sums = sums_by(rows, on, |row| Some(usize::from(row[gaps].is_nan())));
    // Without a gap, or of fewer than two rows, nothing is known of it.
    let [others, with_gaps] = sums[..] else { return false };
    let mean_and_error = |[n, sum, squares]: [f64; 3]| (sum / n, (squares / n - (sum / n).powi(2)) / (n - 1.0));
    let ((a, error_of_a), (b, error_of_b)) = (mean_and_error(others), mean_and_error(with_gaps));
    (a - b).powi(2) > BEYOND_CHANCE * (error_of_a + error_of_b)
}

/// Count, sum and sum of squares of a number in the rows of each group.
fn sums_by(rows: &Rows<f32>, number: usize, group: impl Fn(ArrayView1<f32>) -> Option<usize>) -> Vec<[f64; 3]> {
    let mut sums: Vec<[f64; 3]> = Vec::new();
    for row in rows.target.rows().into_iter().filter(|row| !row[number].is_nan()) {
        let Some(at) = group(row) else { continue };
        let x = f64::from(row[number]);
        sums.resize(sums.len().max(at + 1), [0.0; 3]);
        sums[at].iter_mut().zip([1.0, x, x * x]).for_each(|(sum, x)| *sum += x);
    }
    sums
}

/// Whether a number that fills are asked of bends with the other columns, by products that the start does not have or by cubes.
pub(crate) fn bends(scaling: &Scaling, rows: &Rows<f32>, start: &Start) -> bool {
    let asked = rows.asked();
    let bends = |column: usize| Residuals::of((scaling, rows), start, column, true).take_best(None).is_some();
    numbers(scaling).filter(|&column| asked[column]).any(bends)
}

fn numbers(scaling: &Scaling) -> impl Iterator<Item = usize> {
    let number = |j: &usize| matches!(scaling.columns[*j], ColumnScaling::Number { sd, .. } if sd > 0.0);
    (0..scaling.columns.len()).filter(number)
}

/// A term that is not linear, of dimensions.
#[derive(Clone, Copy, Debug)]
enum Term {
    Product(usize, usize),
    Cube(usize),
}

/// The second moments of one, of what is linear, of the terms and of a column's residuals, in this order.
struct Residuals {
    terms: Vec<Term>,
    /// Rows less what was swept.
    freedom: f64,
    moments: Array2<f64>,
    /// The diagonal before anything was swept.
    whole: Vec<f64>,
}

impl Residuals {
    /// Of a column, with what is linear swept: also what the start's own line leaves, which is one for all rows.
    fn of((scaling, rows): (&Scaling, &Rows<f32>), start: &Start, column: usize, cubes: bool) -> Residuals {
        let view = View::of(scaling, &start.kept.whole);
        let n = rows.target.nrows();
        let (single, has) = (view.whole.single(), view.whole.products());
        let others: Vec<usize> = (0..single.len()).filter(|&t| single[t].0 != column).take(SINGLE_MOST).collect();
        let of_others = |&&(a, b): &&(usize, usize)| single[a].0 != column && single[b].0 != column;
        let known: Vec<Term> = has.iter().filter(of_others).map(|&(a, b)| Term::Product(a, b)).collect();
        let mut terms = Vec::new();
        for (at, &a) in others.iter().enumerate() {
            // Levels of one column exclude each other, and an indicator is its own square.
            let product = |&b: &usize| if a == b { single[a].1 } else { single[a].0 != single[b].0 };
            let new = others[..=at].iter().copied().filter(product).filter(|&b| !has.contains(&(a, b)));
            terms.extend(new.map(|b| Term::Product(a, b)));
            terms.extend((cubes && single[a].1).then_some(Term::Cube(a)));
        }
        let observed: Vec<usize> = (0..n).filter(|&i| !rows.target[(i, column)].is_nan()).collect();
        let some: Vec<usize> = observed.iter().copied().step_by(observed.len().div_ceil(ROWS_MOST).max(1)).collect();
        let dimensions = view.whole.len();
        let mut out = Features::new(scaling.shape().with_completed(dimensions), some.len());
        let seen = |&i: &usize| rows.target.row(i).into_iter().enumerate().map(|(j, x)| !x.is_nan() && j != column);
        let visible: Vec<bool> = some.iter().flat_map(seen).collect();
        view.show(rows, (&some, &visible), &mut out, 0, &mut Given::default());
        let encoded = out.dense.ncols() - dimensions;
        let at: usize = scaling.columns[..column].iter().map(ColumnScaling::starts).sum();
        let mut table = Vec::new();
        for (r, &i) in some.iter().enumerate() {
            let x = |t: usize| f64::from(out.dense[(r, encoded + t)]);
            let value = |term: &Term| match *term {
                Term::Product(a, b) => x(a) * x(b),
                Term::Cube(a) => x(a).powi(3),
            };
            let residual = f64::from(rows.target[(i, column)] - out.start[(r, at)]).clamp(-FAR, FAR);
            // Each row in standard deviations that its visible cells leave.
            let by = f64::from(-out.start[(r, at + 1)]).exp();
            let row = std::iter::once(1.0).chain(others.iter().map(|&t| x(t))).chain(known.iter().chain(&terms).map(value));
            table.extend(row.chain([residual]).map(|x| by * x));
        }
        Residuals::new(table, 1 + others.len() + known.len(), terms)
    }

    /// Of a table: row by row one, what is linear, all of it swept, the terms and the residual.
    fn new(table: Vec<f64>, linear: usize, terms: Vec<Term>) -> Residuals {
        let size = linear + terms.len() + 1;
        let rows = table.len() / size;
        let mut moments = Array2::<f64>::zeros((size, size));
        for row in table.chunks_exact(size) {
            for (x, mut sums) in row.iter().zip(moments.rows_mut()) {
                sums.iter_mut().zip(row).for_each(|(s, y)| *s += x * y);
            }
        }
        let whole = moments.diag().to_vec();
        let mut residuals = Residuals { terms, freedom: rows as f64, moments, whole };
        (0..linear).for_each(|k| residuals.sweep(k));
        residuals
    }

    /// Leaves of everything what is not explained by the `k`-th.
    fn sweep(&mut self, k: usize) {
        let (pivot, row) = (self.moments[(k, k)], self.moments.row(k).to_owned());
        if pivot <= 1e-9 * self.whole[k] {
            return;
        }
        self.freedom -= 1.0;
        for (mut sums, x) in self.moments.rows_mut().into_iter().zip(&row) {
            sums.scaled_add(-x / pivot, &row);
        }
    }

    /// Sweeps the term that gains most beyond what chance would, if one does: the term, and twice the log likelihood's gain. A product of
    /// two dimensions has to gain `of_two`, if that is given.
    fn take_best(&mut self, of_two: Option<f64>) -> Option<(Term, f64)> {
        let last = self.whole.len() - 1;
        let first = last - self.terms.len();
        let left = self.moments[(last, last)];
        let gain = |at: usize| -> f64 {
            let own = self.moments[(first + at, first + at)];
            let explains =
                if own <= 1e-6 * self.whole[first + at] { 0.0 } else { self.moments[(first + at, last)].powi(2) / own };
            let without = (left - explains).max(1e-12 * self.whole[last]);
            (self.freedom - 1.0).max(0.0) * (left / without).ln()
        };
        let alone = GAIN.0.max(GAIN.1 + self.freedom.max(1.0).ln());
        let least = |at: usize| match self.terms[at] {
            Term::Product(a, b) if a != b => of_two.unwrap_or(alone),
            _ => alone,
        };
        let beyond = |at: usize| gain(at) - least(at) - 2.0 * (self.terms.len() as f64).ln();
        let best = (0..self.terms.len()).max_by(|&a, &b| beyond(a).total_cmp(&beyond(b)))?;
        // Of no rows the gain is no number.
        let found = (beyond(best) > 0.0).then(|| (self.terms[best], gain(best)))?;
        self.sweep(first + best);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::classes::Classes;
    use crate::data::scaling::number_scaling;
    use crate::rng::{Purpose, stream};
    use ndarray_rand::rand_distr::{Distribution, StandardNormal};

    /// How many of 400 tables improve by a square or a cube of x, with so much of the square.
    fn found(n: usize, bend: f64) -> usize {
        let mut rng = stream(1, Purpose::HeldOut, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut row = || {
            let x = normal();
            [1.0, x, x * x, x.powi(3), x + bend * x * x + normal()]
        };
        let mut table = || -> Vec<f64> { (0..n).flat_map(|_| row()).collect() };
        let terms = || vec![Term::Product(0, 0), Term::Cube(0)];
        (0..400).filter(|_| Residuals::new(table(), 2, terms()).take_best(None).is_some()).count()
    }

    #[test]
    fn a_bend_is_found_and_a_straight_line_is_not_one() {
        for (n, most) in [(30, 12), (100, 12), (1000, 3)] {
            assert!(found(n, 0.0) <= most, "{n}: {}", found(n, 0.0));
        }
        assert!(found(100, 0.5) >= 390 && found(1000, 0.2) == 400);
        assert!(Residuals::new(Vec::new(), 2, vec![Term::Cube(0)]).take_best(None).is_none());
    }

    /// y = x + x² / 2, a third of y missing: by straight lines it would miss what is beyond the middle.
    #[test]
    fn a_start_that_may_be_curved_takes_the_square_and_completes_rows_by_it() {
        let mut rng = stream(2, Purpose::HeldOut, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut target = Array2::from_elem((200, 2), 0f32);
        for (i, mut row) in target.rows_mut().into_iter().enumerate() {
            let x = normal();
            row[0] = x as f32;
            row[1] = if i % 3 == 0 { f32::NAN } else { (x + 0.5 * x * x + 0.5 * normal()) as f32 };
        }
        // Of a standard deviation near one, and wide enough for every expected value.
        let cells: Vec<f64> = (0..800).map(|i| [-1.0, 1.0][i % 2] * if i < 2 { 20.0 } else { 1.0 }).collect();
        let unit = || number_scaling(cells.clone(), 2);
        let scaling = Scaling { columns: vec![unit(), unit()] };
        let rows = Rows { place: target.clone(), target };
        let source = Source { scaling: &scaling, products: &[], rows: &rows, weights: None, seed: 1 };
        let (straight, curved) = (start(&source, false), start(&source, true));
        assert_eq!((straight.kept.whole.products(), curved.kept.whole.products()), (vec![], vec![(0, 0)]));
        let bent = |start: &Start| bends(&scaling, &rows, start);
        assert!(bent(&straight) && !bent(&curved));
        let expected = |start: &Start, x: f32| {
            let target = ndarray::arr2(&[[x, f32::NAN]]);
            let rows = Rows { place: target.clone(), target };
            let mut out = Features::new(scaling.shape().with_completed(start.kept.whole.len()), 1);
            View::of(&scaling, &start.kept.whole).show(&rows, (&[0], &[true, false]), &mut out, 0, &mut Given::default());
            out.start[(0, 2)]
        };
        assert!((expected(&curved, 2.0) - 4.0).abs() < 0.4 && (expected(&curved, -1.0) + 0.5).abs() < 0.2);
        assert!(expected(&straight, 2.0) < 3.0);
    }

    #[test]
    fn the_outcome_is_what_gains_most_and_no_gap_depends_on_it() {
        let bend = |column, factors: &[usize], gain| Bend { column, products: factors.iter().map(|&f| (f, f)).collect(), gain };
        let single = [(0, true), (1, true), (2, true)];
        let columns = |bends: &[Bend], rows: &Rows<f32>| -> Vec<(usize, Vec<usize>)> {
            outcomes(bends, &single, rows).into_iter().map(|o| (o.column, o.factors)).collect()
        };
        // The second column has gaps here and there, or where the first is high.
        let table = |gap: fn(usize) -> bool| {
            let cell = |(i, j)| if j == 1 && gap(i) { f32::NAN } else { (i * 37 % 100) as f32 };
            let target = Array2::from_shape_fn((100, 3), cell);
            Rows { place: target.clone(), target }
        };
        let (anywhere, high) = (table(|i| i % 4 == 1), table(|i| i * 37 % 100 > 70));
        let both = || [bend(1, &[0], 9.0), bend(0, &[1], 20.0)];
        assert_eq!(columns(&both(), &anywhere), [(0, vec![1])]);
        assert_eq!(columns(&both(), &high), []);
        // Nor where the other way gains more, of which nothing is missing; or where it is needed for nothing.
        assert_eq!(columns(&[bend(0, &[1], 9.0), bend(1, &[0], 20.0)], &anywhere), []);
        assert_eq!(columns(&[bend(2, &[0], 9.0)], &anywhere), []);
        assert_eq!(columns(&[bend(0, &[1], 9.0), bend(2, &[0, 1], 8.0)], &anywhere), [(0, vec![1])]);
    }

    #[test]
    fn levels_have_the_number_for_an_outcome_that_differs_most_between_them() {
        let unit = || number_scaling(vec![-100.0, -1.0, 1.0, 100.0], 2);
        let levels = ColumnScaling::Levels { classes: Classes::new(&["a".into(), "b".into()], &[30, 30], false) };
        let scaling = Scaling { columns: vec![unit(), levels, unit(), unit()] };
        // The last number is that of the level but for little, the one before it but for much, the first nothing.
        let noise = |i: usize, j: usize| ((i * 37 + j * 11) % 60) as f32 / 30.0 - 1.0;
        let cell = |(i, j): (usize, usize)| match j {
            0 => noise(i, 0),
            1 if i % 5 == 2 => f32::NAN,
            1 => (i % 2) as f32,
            2 => (i % 2) as f32 + 2.0 * noise(i, 2),
            _ => (i % 2) as f32 + noise(i, 3),
        };
        let target = Array2::from_shape_fn((60, 4), cell);
        let rows = Rows { place: target.clone(), target };
        let of = |column, factors: &[usize]| Outcome { column, factors: factors.to_vec() };
        let with = |outcomes| with_levels(outcomes, &scaling, &rows);
        assert_eq!(with(Vec::new()), [of(3, &[1])]);
        assert_eq!(with(vec![of(3, &[0])]), [of(3, &[0, 1])]);
        // An outcome is no factor, and one of a level is enough.
        assert_eq!(with(vec![of(0, &[3])]), [of(0, &[3]), of(2, &[1])]);
        assert_eq!(with(vec![of(2, &[1])]), [of(2, &[1])]);
        assert!(differs(&rows, 0, 1) < BEYOND_CHANCE);
    }
}
