//! One pass over the observed cells: location, scale and quantiles, and from them a column's two views, the features
//! the networks read and the target the likelihood scores.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::data::classes::Classes;
use crate::data::marginal::Marginal;
use crate::data::schema::{Column, ColumnKind, LevelCounts, Schema};
use crate::data::table::Table;
use crate::kernel::{NOWHERE, Real};

/// How each modelled column becomes numbers of order one; in the model's column order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    pub columns: Vec<ColumnScaling>,
}

/// One column's scaling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ColumnScaling {
    /// Numbers: standardised for the likelihood; standardised, piecewise-linear and flagged for the networks.
    Number {
        mean: f64,
        /// Population standard deviation of the observed cells, above zero.
        sd: f64,
        min: f64,
        max: f64,
        /// Ascending distinct quantiles: bin `i` lies between edges `i` and `i + 1`.
        edges: Vec<f64>,
        marginal: Marginal,
    },
    /// Levels: classes for the likelihood; for the networks, the place of a one among zeros and a flag.
    Levels { classes: Classes },
}

/// Rows in model units: what the likelihood scores, and each number's place among its bins. NaN where unobserved.
#[derive(Clone, Debug)]
pub(crate) struct Rows<F> {
    /// (n, d): standardised numbers, classes.
    pub target: Array2<F>,
    /// (n, d): of a number, bin index plus the fraction inside the bin, 0 to the number of bins; of a level, its code.
    pub place: Array2<F>,
}

impl<F: Real> Rows<F> {
    /// Per column, whether it has gaps; all of them where none has. Of a column without gaps the held-out cells are those of rows
    /// that show others. Where it decides which cells others miss, these are no sample of the table, and a network gains by what is
    /// only their choice: x from y, where rows of large x miss their y.
    pub fn asked(&self) -> Vec<bool> {
        let gaps: Vec<bool> = self.target.columns().into_iter().map(|cells| cells.iter().any(|x| x.is_nan())).collect();
        if gaps.contains(&true) { gaps } else { vec![true; gaps.len()] }
    }
}

/// Features beyond this many standard deviations are clipped: the networks see no wild input.
const CLIP: f64 = 6.0;

impl Scaling {
    /// From the observed cells of a table. Columns have two distinct values at least (others are not modelled).
    pub fn fit(table: &Table) -> Scaling {
        let columns = table.schema.modelled_columns().zip(table.values.columns());
        let columns = columns
            .map(|(c, values)| {
                let seen = values.iter().copied().filter(|x| !x.is_nan());
                if c.kind.has_levels() {
                    let mut counts = vec![0; c.levels.len()];
                    seen.for_each(|x| counts[x as usize] += 1);
                    ColumnScaling::Levels { classes: Classes::new(&c.levels, &counts, c.kind == ColumnKind::Ordinal) }
                } else {
                    number_scaling(seen.collect(), bins_most(table.d()))
                }
            })
            .collect();
        Scaling { columns }
    }

    /// The same with the classes of levels by these counts, of more rows than the table has.
    pub fn with_counts(mut self, schema: &Schema, counts: &LevelCounts) -> Scaling {
        for (column, scaling) in schema.modelled_columns().zip(&mut self.columns) {
            if let (ColumnScaling::Levels { classes }, Some(counts)) = (scaling, counts.get(column.name())) {
                *classes = Classes::new(&column.levels, counts, column.kind == ColumnKind::Ordinal);
            }
        }
        self
    }

    /// Features a row has for the networks.
    pub fn shape(&self) -> FeatureShape {
        let mut shape = FeatureShape { dense: 0, columns: 0, classes: 0, starts: 0 };
        for c in &self.columns {
            shape.dense += c.dense();
            shape.starts += c.starts();
            if let ColumnScaling::Levels { classes } = c {
                shape.columns += 1;
                shape.classes += classes.len();
            }
        }
        shape
    }

    /// The table in model units.
    pub fn rows<F: Real>(&self, table: &Table) -> Rows<F> {
        let mut rows = Rows {
            target: Array2::from_elem(table.values.dim(), F::nan()),
            place: Array2::from_elem(table.values.dim(), F::nan()),
        };
        for (j, c) in self.columns.iter().enumerate() {
            for (i, &x) in table.values.column(j).iter().enumerate() {
                if !x.is_nan() {
                    rows.target[(i, j)] = F::of(c.target(x));
                    rows.place[(i, j)] = F::of(c.place(x));
                }
            }
        }
        rows
    }

    /// Writes the features of a row to row `r` of `out`. A number has its standardised value, its piecewise-linear encoding
    /// over the bins (Gorishniy et al. 2022, eq. 1) and a flag; a level has its place among all columns' levels and a flag. A
    /// cell that is not visible has nothing.
    #[expect(clippy::expect_used, reason = "the hot path of every step; the shapes are those of the same columns")]
    pub fn write_features<F: Real>(&self, rows: &Rows<F>, row: usize, visible: &[bool], out: &mut Features<F>, r: usize) {
        let (target, place) = (rows.target.row(row), rows.place.row(row));
        let mut dense = out.dense.row_mut(r);
        let dense = dense.as_slice_mut().expect("buffers are in standard layout");
        let mut places = out.places.row_mut(r);
        let mut places = places.iter_mut();
        let (mut at, mut first) = (0, 0);
        for (j, c) in self.columns.iter().enumerate() {
            let cell = &mut dense[at..at + c.dense()];
            at += c.dense();
            // `if`, never a product with the flag: 0 · NaN is NaN.
            match c {
                ColumnScaling::Number { .. } if visible[j] => {
                    let (last, rest) = cell.split_last_mut().expect("a number has a flag");
                    *last = F::one();
                    rest[0] = target[j].max(F::of(-CLIP)).min(F::of(CLIP));
                    let mut inside = place[j];
                    for o in &mut rest[1..] {
                        *o = inside.max(F::zero()).min(F::one());
                        inside -= F::one();
                    }
                }
                ColumnScaling::Number { .. } => cell.fill(F::zero()),
                ColumnScaling::Levels { classes } => {
                    cell[0] = if visible[j] { F::one() } else { F::zero() };
                    let here = if visible[j] { (first + target[j].f64() as usize) as u32 } else { NOWHERE };
                    *places.next().expect("one place a column of levels") = here;
                    first += classes.len();
                }
            }
        }
    }
}

/// What a row's features are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeatureShape {
    /// Numbers.
    pub dense: usize,
    /// Columns of levels, and levels of all of them.
    pub columns: usize,
    pub classes: usize,
    /// What all columns' heads start from.
    pub starts: usize,
}

impl FeatureShape {
    /// With so many numbers beside the encoded cells: a completed row.
    pub fn with_completed(self, numbers: usize) -> FeatureShape {
        FeatureShape { dense: self.dense + numbers, ..self }
    }
}

/// Features of rows: one-hot levels are kept as the place of the one.
#[derive(Clone, Debug)]
pub(crate) struct Features<F> {
    /// (n, dense).
    pub dense: Array2<F>,
    /// (n, columns): a level's place among all columns' levels, or [`NOWHERE`].
    pub places: Array2<u32>,
    /// (n, starts): what each column's heads start from, by the linear model: of numbers the mean and ln sd, model units; of
    /// levels, per class, what it adds to the logarithm of the class's share. Zeros where the cell is visible.
    pub start: Array2<F>,
}

impl<F: Real> Features<F> {
    /// `n` rows with nothing visible.
    pub fn new(shape: FeatureShape, n: usize) -> Features<F> {
        Features {
            dense: Array2::zeros((n, shape.dense)),
            places: Array2::from_elem((n, shape.columns), NOWHERE),
            start: Array2::zeros((n, shape.starts)),
        }
    }

    /// Makes a row one with nothing visible.
    pub fn clear(&mut self, r: usize) {
        self.dense.row_mut(r).fill(F::zero());
        self.places.row_mut(r).fill(NOWHERE);
        self.start.row_mut(r).fill(F::zero());
    }
}

impl ColumnScaling {
    /// Whether these are constants that a fit can give for a column; a file may say anything.
    pub fn is_sound(&self, column: &Column) -> bool {
        match self {
            ColumnScaling::Number { mean, sd, min, max, edges, marginal } => {
                column.kind.is_numeric()
                    && *sd > 0.0
                    && [mean, sd, min, max].into_iter().chain(edges).all(|x| x.is_finite())
                    && min < max
                    && edges.len() > 1
                    && edges.windows(2).all(|e| e[0] < e[1])
                    && marginal.is_sound()
            }
            ColumnScaling::Levels { classes } => column.kind.has_levels() && classes.is_sound(column.levels.len()),
        }
    }

    /// The lowest and the highest number a fill may be: the observed range and half its width beyond. Levels have no ends.
    pub fn reach(&self) -> (f64, f64) {
        match self {
            ColumnScaling::Number { min, max, .. } => {
                let slack = 0.5 * max - 0.5 * min;
                ((min - slack).max(f64::MIN), (max + slack).min(f64::MAX))
            }
            ColumnScaling::Levels { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// Whether a number lies where no fill goes.
    pub fn is_outside(&self, x: f64) -> bool {
        let (low, high) = self.reach();
        x < low || x > high
    }

    /// Dense features: a number's value, bins and flag; a flag of levels.
    fn dense(&self) -> usize {
        match self {
            ColumnScaling::Number { edges, .. } => edges.len() + 1,
            ColumnScaling::Levels { .. } => 1,
        }
    }

    /// Numbers that its heads start from: a mean and ln sd, or one for each class.
    pub fn starts(&self) -> usize {
        match self {
            ColumnScaling::Number { .. } => 2,
            ColumnScaling::Levels { classes } => classes.len(),
        }
    }

    /// Data units to model units.
    pub fn to_model(&self, x: f64) -> f64 {
        match self {
            ColumnScaling::Number { mean, sd, .. } => {
                let distance = x - mean;
                // Two numbers at the ends of the range of f64 are farther apart than it reaches.
                if distance.is_finite() { distance / sd } else { (0.5 * x - 0.5 * mean) / (0.5 * sd) }
            }
            ColumnScaling::Levels { .. } => x,
        }
    }

    /// Model units to data units. A number stays within [`ColumnScaling::reach`]: a network that is asked far outside what it
    /// saw answers with something a reader would believe.
    pub fn to_data(&self, x: f64) -> f64 {
        let (low, high) = self.reach();
        match self {
            ColumnScaling::Number { mean, sd, .. } => (mean + sd * x).clamp(low, high),
            ColumnScaling::Levels { .. } => x,
        }
    }

    /// ln of the data units in one model unit: what a log density in model units exceeds that in data units by.
    pub fn ln_unit(&self) -> f64 {
        match self {
            ColumnScaling::Number { sd, .. } => sd.ln(),
            ColumnScaling::Levels { .. } => 0.0,
        }
    }

    /// The width of a cell in model units: the smallest difference between two values; one for levels.
    pub fn unit(&self) -> f64 {
        match self {
            ColumnScaling::Number { sd, marginal, .. } => marginal.unit / sd,
            ColumnScaling::Levels { .. } => 1.0,
        }
    }

    /// Data units to what the likelihood scores: model units, the class of a level.
    pub fn target(&self, x: f64) -> f64 {
        match self {
            ColumnScaling::Number { .. } => self.to_model(x),
            ColumnScaling::Levels { classes } => classes.of(x as usize) as f64,
        }
    }

    /// Bin index plus the fraction inside the bin; the code of a level.
    pub fn place(&self, x: f64) -> f64 {
        match self {
            ColumnScaling::Number { edges, .. } => {
                let bins = edges.len() - 1;
                let bin = edges.partition_point(|&e| e <= x).clamp(1, bins) - 1;
                let (low, high) = (edges[bin], edges[bin + 1]);
                let unit = if (high - low).is_finite() { 1.0 } else { 0.5 };
                let inside = (unit * x.clamp(low, high) - unit * low) / (unit * high - unit * low);
                bin as f64 + inside
            }
            ColumnScaling::Levels { .. } => x,
        }
    }
}

/// Bins of a column, at most: 16, fewer in tables of more than 250 columns, so that features stay in the thousands.
fn bins_most(d: usize) -> usize {
    (4000 / d.max(1)).clamp(2, 16)
}

/// From the observed numbers, two distinct ones at least; bins of the encoding at most.
pub(crate) fn number_scaling(mut seen: Vec<f64>, bins_most: usize) -> ColumnScaling {
    seen.sort_by(f64::total_cmp);
    let n = seen.len();
    // Two passes about the middle value: exact enough for a billion plus small noise. Halves, and squares relative to the
    // largest, because the cells may be anywhere in the range of f64.
    let middle = seen[n / 2];
    let shift = seen.iter().map(|x| (0.5 * x - 0.5 * middle) / n as f64).sum::<f64>();
    let (min, max) = (seen[0], seen[n - 1]);
    // Rounding does not carry it out of the range, nor out of f64.
    let mean = (middle + 2.0 * shift).clamp(min, max);
    let largest = f64::max(0.5 * max - 0.5 * mean, 0.5 * mean - 0.5 * min);
    let share = seen.iter().map(|x| ((0.5 * x - 0.5 * mean) / largest).powi(2)).sum::<f64>() / n as f64;
    let sd = 2.0 * (largest * share.sqrt());
    // The smallest numbers have no halves.
    let sd = if sd > 0.0 { sd.min(f64::MAX) } else { max - min };
    // Fewer bins where one would hold under ten cells.
    let bins = (n / 10).clamp(2, bins_most);
    let mut edges: Vec<f64> = (0..=bins).map(|i| seen[i * (n - 1) / bins]).collect();
    edges.dedup();
    if edges.len() < 2 {
        edges = vec![min, max];
    }
    ColumnScaling::Number { mean, sd, min, max, edges, marginal: Marginal::of(&seen) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_standardised_and_placed() {
        let c = number_scaling((0..101).map(f64::from).collect(), 16);
        assert!((c.to_model(50.0)).abs() < 1e-12);
        assert_eq!(c.place(-5.0), 0.0);
        assert_eq!(c.place(0.0), 0.0);
        assert_eq!(c.place(100.0), 10.0);
        assert_eq!(c.place(200.0), 10.0);
        assert!((c.place(55.0) - 5.5).abs() < 1e-12);
        assert_eq!(c.to_data(c.to_model(12.5)), 12.5);
        assert_eq!(c.to_data(1e9), 150.0);
    }

    #[test]
    fn ties_make_fewer_bins_and_spread_survives_a_large_offset() {
        let mut x = vec![0.0; 900];
        x.extend((1..=100).map(f64::from));
        let ColumnScaling::Number { edges, .. } = number_scaling(x, 16) else { panic!() };
        assert!(edges.windows(2).all(|e| e[0] < e[1]));
        let big = number_scaling((0..100).map(|i| 1e9 + f64::from(i) * 1e-3).collect(), 16);
        let ColumnScaling::Number { sd, .. } = big else { panic!() };
        assert!((sd - 0.028866).abs() < 1e-4, "{sd}");
    }

    #[test]
    fn any_finite_numbers_have_finite_features_and_fills() {
        let tables = [
            vec![-1.7e308, 0.0, 1.0, 1.7e308],
            vec![f64::MIN, f64::MAX],
            vec![-9e307, 1.2e308, 1.3e308, 1.4e308],
            vec![0.0, 5e-324],
            vec![-1e-310, 2e-310, 3e-310],
            vec![0.0, 0.1, 0.2, 1e300],
        ];
        for cells in tables {
            let n = cells.len() as f64;
            let c = number_scaling(cells.clone(), 16);
            let model: Vec<f64> = cells.iter().map(|&x| c.to_model(x)).collect();
            // A population standard deviation puts no cell beyond the root of their number.
            assert!(model.iter().all(|z| z.abs() <= n.sqrt() + 1e-9), "{cells:?}: {model:?}");
            assert!(model.windows(2).all(|z| z[0] <= z[1]) && model[0] < model[model.len() - 1], "{cells:?}: {model:?}");
            assert!(cells.iter().all(|&x| (0.0..=2.0).contains(&c.place(x))), "{cells:?}");
            assert!([-1e3, -1.0, 0.5, 1e3].iter().all(|&z| c.to_data(z).is_finite()), "{cells:?}");
        }
        let ColumnScaling::Number { sd, mean, .. } = number_scaling(vec![1e300, 3e300], 16) else { panic!() };
        assert!((sd / 1e300 - 1.0).abs() < 1e-12 && (mean / 2e300 - 1.0).abs() < 1e-12, "{mean} {sd}");
    }

    #[test]
    fn hidden_cells_leave_no_trace() {
        let scaling = Scaling {
            columns: vec![
                number_scaling((0..50).map(f64::from).collect(), 16),
                ColumnScaling::Levels { classes: Classes::new(&["a", "b", "c"].map(String::from), &[2, 1, 1], false) },
            ],
        };
        let mut out = Features::new(scaling.shape(), 2);
        out.dense.fill(9.0);
        let rows = Rows { target: ndarray::arr2(&[[f64::NAN, 2.0]]), place: ndarray::arr2(&[[f64::NAN, 0.0]]) };
        scaling.write_features(&rows, 0, &[false, true], &mut out, 1);
        let dense = out.dense.ncols();
        assert!(out.dense.row(1).iter().take(dense - 1).all(|&x| x == 0.0));
        assert_eq!((out.dense[(1, dense - 1)], out.places[(1, 0)]), (1.0, 2));
        scaling.write_features(&rows, 0, &[false, false], &mut out, 1);
        assert_eq!((out.dense[(1, dense - 1)], out.places[(1, 0)]), (0.0, NOWHERE));
        assert_eq!(out.dense[(0, 0)], 9.0);
    }
}
