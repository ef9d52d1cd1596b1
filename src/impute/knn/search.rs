//! The nearest rows, exactly, found by products.
//!
//! Whether row b is nearer to row a than a limit L is one product of features, m being 1 where a cell is observed and 0
//! elsewhere, and levels one-hot:
//!
//! ```text
//! Σ_{j in O} (diff_j² − L) = Σ_j [m_a (a² − L)] · [m_b] + [−2 m_a a] · [m_b b] + [m_a] · [m_b b²] < 0
//! ```
//!
//! Blocks of fitted rows and tiles of rows to fill are multiplied in `f32`, with terms so much smaller that no rounding lets a
//! near row seem far. The few rows that come out below zero are measured in `f64`: the answer is that of measuring all.

use ndarray::{Array2, ArrayView1, s};

use super::Difference;
use crate::impute::Gap;
use crate::kernel::{Real, vectorised};

/// A donor: squared distance over d, and row of the fitted table.
pub(super) type Donor = (f64, usize);

/// Fitted rows of a product, at most; the first ones, all of which are measured, are fewer.
pub(super) const BLOCK: usize = 512;
const FIRST_BLOCK: usize = 64;
/// Rows to fill of a product, and those that share a block while it is in cache.
const TILE: usize = 64;
pub(super) const TILES: usize = 8 * TILE;
/// A column's levels are told apart by so many features at most: others of equal remainder seem equal until they are measured.
const BUCKETS: usize = 16;
/// Columns with fewer observed cells than this share of the rows have all their donors measured.
const SCARCE: usize = 128;
/// Distances below this, relative to the table's widest column, count as near without a product.
const TINY: f64 = 1e-37;
/// Rows farther out than this, relative to the table's widest column, are measured without a product.
const FAR: f64 = 1e15;

/// A fitted table, ready to be searched.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// (n, d), NaN where unobserved.
    values: &'a Array2<f64>,
    /// (d,).
    differences: &'a [Difference],
    columns: Vec<SearchedColumn>,
    /// Length of a row of features: the masks come first.
    features: usize,
    /// Features of numbers are within ±1 after a product with this.
    scale: f64,
    /// By how much terms are made smaller, relative to their size: more than a product in `f32` can be wrong.
    slack: f64,
}

#[derive(Debug)]
struct SearchedColumn {
    /// Donors that a gap has, at most.
    k: usize,
    /// Rows where it is observed, of a column where these are few.
    scarce: Option<Vec<usize>>,
    /// Place of its first feature beside the mask.
    at: usize,
    /// Subtracted from scaled numbers, which leaves distances as they are and sums of squares small.
    centre: f64,
    /// Features of levels.
    buckets: usize,
}

impl<'a> Search<'a> {
    /// For the `k` nearest rows of `values`.
    pub fn new(values: &'a Array2<f64>, differences: &'a [Difference], k: usize) -> Search<'a> {
        let n = values.nrows();
        let mut features = values.ncols();
        let mut largest = 0f64;
        let mut columns = Vec::with_capacity(features);
        for (cells, difference) in values.columns().into_iter().zip(differences) {
            let rows = || cells.iter().enumerate().filter(|(_, x)| !x.is_nan()).map(|(i, _)| i);
            let observed = rows().count();
            let scarce = (observed < n / SCARCE).then(|| rows().collect());
            let (mut centre, mut buckets, at) = (0.0, 0, features);
            let seen = || cells.iter().copied().filter(|x| !x.is_nan());
            match difference {
                Difference::Scaled(unit) => {
                    centre = seen().map(|x| x / unit / observed as f64).sum();
                    largest = seen().fold(largest, |most, x| most.max((x / unit - centre).abs()));
                    features += 2;
                }
                Difference::Levels => {
                    buckets = seen().fold(1, |most, x| most.max(x as usize + 1)).min(BUCKETS);
                    features += buckets;
                }
            }
            columns.push(SearchedColumn { k: k.min(observed), scarce, at, centre, buckets });
        }
        let scale = if largest > 0.0 { largest.recip() } else { 1.0 };
        let slack = f64::from(f32::EPSILON) * (2 * features + 32) as f64;
        Search { values, differences, columns, features, scale, slack }
    }

    /// The donors of every gap of some rows of `cells`, (·, d), nearest first, of equally near ones the earlier row first.
    pub fn donors(&self, cells: &Array2<f64>, rows: &[&[Gap]]) -> Vec<Vec<Donor>> {
        let mut left = Array2::zeros((rows.len(), self.features));
        let queries = rows.iter().zip(left.rows_mut());
        let mut queries: Vec<Query> = queries
            .map(|(gaps, mut features)| {
                let features = features.as_slice_mut().expect("standard layout");
                self.query(cells.row(gaps[0].0), gaps, features)
            })
            .collect();
        let mut right = Array2::zeros((self.features, BLOCK));
        let mut products = Array2::zeros((TILE, BLOCK));
        let mut near = Vec::new();
        let (n, mut start) = (self.values.nrows(), 0);
        while start < n {
            let length = start.clamp(FIRST_BLOCK, BLOCK).min(n - start);
            self.load(start, length, &mut right);
            for (queries, mut left) in queries.chunks_mut(TILE).zip(left.axis_chunks_iter_mut(ndarray::Axis(0), TILE)) {
                for (query, mut features) in queries.iter().zip(left.rows_mut()) {
                    self.set_limit(query, features.as_slice_mut().expect("standard layout"));
                }
                let mut products = products.slice_mut(s![..queries.len(), ..length]);
                f32::product(1.0, left.view(), right.slice(s![.., ..length]), 0.0, products.view_mut());
                for (query, products) in queries.iter_mut().zip(products.rows()) {
                    below_zero(products.to_slice().expect("rows of a buffer"), &mut near);
                    near.iter().for_each(|i| self.offer(query, start + i));
                }
            }
            start += length;
        }
        queries.into_iter().flat_map(|query| query.nearest).map(|nearest| nearest.donors).collect()
    }

    /// A row to fill; writes its features but for those that have the limit in them.
    fn query(&self, row: ArrayView1<f64>, gaps: &[Gap], features: &mut [f32]) -> Query {
        let mut query = Query { numbers: Vec::new(), levels: Vec::new(), terms: Vec::new(), nearest: Vec::new() };
        for (j, &x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let SearchedColumn { at, buckets, .. } = self.columns[j];
            match self.differences[j] {
                Difference::Scaled(unit) => {
                    query.numbers.push((j, x / unit));
                    let a = self.feature(j, x / unit);
                    query.terms.push((j, if a.abs() < FAR { a * a } else { f64::NAN }));
                    features[at] = (-2.0 * a) as f32;
                    features[at + 1] = 1.0;
                }
                Difference::Levels => {
                    query.levels.push((j, x));
                    query.terms.push((j, 2.0 * self.scale * self.scale));
                    features[at + x as usize % buckets] = (-2.0 * self.scale * self.scale) as f32;
                }
            }
        }
        for &(_, column) in gaps {
            let SearchedColumn { k, scarce, .. } = &self.columns[column];
            let mut nearest = Nearest { column, k: *k, donors: Vec::with_capacity(*k), complete: scarce.is_some() };
            scarce.iter().flatten().for_each(|&b| nearest.offer(self.distance(&query, b), b));
            query.nearest.push(nearest);
        }
        query
    }

    /// Writes those features of a row that have the limit in them.
    fn set_limit(&self, query: &Query, features: &mut [f32]) {
        let limit = match query.limit() {
            limit if limit > 0.0 => limit * self.scale * self.scale * (1.0 + self.slack) + TINY,
            // Nothing is nearer than that.
            _ => -1.0,
        };
        // Of an infinite limit or term, NaN: everything is near.
        let term = |square: f64| (square * (1.0 - self.slack) - limit) as f32;
        query.terms.iter().for_each(|&(j, square)| features[j] = if limit.is_finite() { term(square) } else { f32::NAN });
    }

    /// A scaled number as a feature.
    fn feature(&self, j: usize, x: f64) -> f64 {
        (x - self.columns[j].centre) * self.scale
    }

    /// Features of some fitted rows, (features, BLOCK): a row is a column here.
    fn load(&self, start: usize, length: usize, out: &mut Array2<f32>) {
        out.fill(0.0);
        let out = out.as_slice_mut().expect("standard layout");
        for (j, column) in self.columns.iter().enumerate() {
            let cells = self.values.slice(s![start..start + length, j]);
            for (i, &x) in cells.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                out[j * BLOCK + i] = 1.0;
                match self.differences[j] {
                    Difference::Scaled(unit) => {
                        let b = self.feature(j, x / unit);
                        out[column.at * BLOCK + i] = b as f32;
                        out[(column.at + 1) * BLOCK + i] = (b * b * (1.0 - self.slack)) as f32;
                    }
                    Difference::Levels => out[(column.at + x as usize % column.buckets) * BLOCK + i] = 1.0,
                }
            }
        }
    }

    /// The squared distance, over d, to a fitted row: NaN without a common column.
    fn distance(&self, query: &Query, row: usize) -> f64 {
        let cells = self.values.row(row);
        let (mut sum, mut common) = (0.0, 0.0);
        for &(j, x) in &query.numbers {
            let (y, Difference::Scaled(unit)) = (cells[j], self.differences[j]) else { continue };
            if !y.is_nan() {
                let difference = y / unit - x;
                sum += difference * difference;
                common += 1.0;
            }
        }
        for &(j, x) in &query.levels {
            if !cells[j].is_nan() {
                sum += if cells[j] == x { 0.0 } else { 2.0 };
                common += 1.0;
            }
        }
        sum / common
    }

    /// Offers a fitted row as donor to the gaps of a row.
    fn offer(&self, query: &mut Query, row: usize) {
        let distance = self.distance(query, row);
        let cells = self.values.row(row);
        let open = query.nearest.iter_mut().filter(|nearest| !nearest.complete && !cells[nearest.column].is_nan());
        open.for_each(|nearest| nearest.offer(distance, row));
    }
}

/// The places of what is not zero or above.
fn below_zero(products: &[f32], places: &mut Vec<usize>) {
    const LANES: usize = 32;
    let near = |x: f32| (x < 0.0) | x.is_nan();
    places.clear();
    vectorised(
        #[inline(always)]
        || {
            for (chunk, lanes) in products.chunks(LANES).enumerate() {
                if lanes.iter().fold(false, |any, &x| any | near(x)) {
                    places.extend(lanes.iter().enumerate().filter(|(_, x)| near(**x)).map(|(lane, _)| chunk * LANES + lane));
                }
            }
        },
    );
}

/// A row to fill.
struct Query {
    /// Its observed numbers, scaled: column and value.
    numbers: Vec<(usize, f64)>,
    /// Its observed levels: column and code.
    levels: Vec<(usize, f64)>,
    /// Of every observed column, what the limit is taken from in its features.
    terms: Vec<(usize, f64)>,
    /// One a gap.
    nearest: Vec<Nearest>,
}

impl Query {
    /// A donor of any gap must be nearer than this.
    fn limit(&self) -> f64 {
        self.nearest.iter().filter(|nearest| !nearest.complete).map(Nearest::limit).fold(0.0, f64::max)
    }
}

/// The nearest donors met so far of one gap, nearest first, of equally near ones the earlier row first.
struct Nearest {
    column: usize,
    k: usize,
    donors: Vec<Donor>,
    /// Whether it has met all its donors.
    complete: bool,
}

impl Nearest {
    /// A donor must be nearer than this.
    fn limit(&self) -> f64 {
        match self.donors.last() {
            Some(worst) if self.donors.len() == self.k => worst.0,
            _ => f64::INFINITY,
        }
    }

    fn offer(&mut self, distance: f64, row: usize) {
        if distance < self.limit() {
            self.donors.truncate(self.k - 1);
            let place = self.donors.partition_point(|d| d.0 <= distance);
            self.donors.insert(place, (distance, row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impute::cell_stream;
    use ndarray_rand::rand::Rng;

    /// All rows measured, one by one.
    fn by_measuring_all(values: &Array2<f64>, differences: &[Difference], row: ArrayView1<f64>, column: usize) -> Vec<Donor> {
        let order = |levels: bool| (0..row.len()).filter(move |&j| matches!(differences[j], Difference::Levels) == levels);
        let distance = |b: usize| {
            let (mut sum, mut common) = (0.0, 0.0);
            for j in order(false).chain(order(true)).filter(|&j| !row[j].is_nan() && !values[(b, j)].is_nan()) {
                sum += match differences[j] {
                    Difference::Scaled(unit) => (values[(b, j)] / unit - row[j] / unit).powi(2),
                    Difference::Levels if values[(b, j)] == row[j] => 0.0,
                    Difference::Levels => 2.0,
                };
                common += 1.0;
            }
            sum / common
        };
        let donors = (0..values.nrows()).filter(|&b| !values[(b, column)].is_nan()).map(|b| (distance(b), b));
        let mut donors: Vec<Donor> = donors.filter(|donor| donor.0 < f64::INFINITY).collect();
        donors.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        donors
    }

    #[test]
    fn donors_are_those_of_measuring_all_however_hard_the_columns() {
        let n = FIRST_BLOCK + BLOCK + 200;
        let number = |offset: f64, width: f64| (Difference::Scaled(1.0), offset, width, 0.7);
        let level = |count: f64| (Difference::Levels, 0.0, count, 0.7);
        let tables = [
            // Beside their distances the numbers are large, or of all sizes, or too large or small for the products.
            vec![number(1e9, 1.0), number(-3e12, 50.0), number(0.0, 1.0)],
            vec![number(0.0, 1e-30), number(0.0, 1.0), number(5.0, 1e12)],
            vec![number(0.0, 1e200), number(0.0, 1e150), number(0.0, 1.0)],
            vec![number(0.0, 1e-300), number(0.0, 1e-308), number(0.0, 1e-200)],
            // More levels than features; ties everywhere.
            vec![level(2.0), level(40.0), level(300.0)],
            vec![level(3.0), (Difference::Scaled(0.3), 10.0, 4.0, 0.5), number(0.0, 1.0)],
            // A column that is hardly ever observed, and one with fewer donors than asked for.
            vec![
                (Difference::Scaled(2.0), 0.0, 1.0, 0.03),
                (Difference::Scaled(2.0), 0.0, 1.0, 0.004),
                number(0.0, 1.0),
                level(5.0),
            ],
        ];
        for (t, columns) in tables.iter().enumerate() {
            let mut stream = cell_stream(t as u64, 0, 0, 0);
            let whole = t >= 4;
            let values = Array2::from_shape_fn((n, columns.len()), |(i, j)| {
                let (difference, offset, width, observed) = columns[j];
                let (share, x): (f64, f64) = (stream.random(), offset + width * stream.random::<f64>());
                let whole = whole && (j == 1 || matches!(difference, Difference::Levels));
                // Every column has a cell.
                if share < observed || i == j { if whole { x.floor() } else { x } } else { f64::NAN }
            });
            let differences: Vec<Difference> = columns.iter().map(|c| c.0).collect();
            let search = Search::new(&values, &differences, 4);
            let gaps: Vec<Gap> = (0..n).flat_map(|i| (0..columns.len()).map(move |j| (i, j))).collect();
            let gaps: Vec<Gap> = gaps.into_iter().filter(|gap| gap.0 % 3 == 0 && values[*gap].is_nan()).collect();
            let rows: Vec<&[Gap]> = gaps.chunk_by(|a, b| a.0 == b.0).collect();
            let found = search.donors(&values, &rows);
            let alone: Vec<Vec<Donor>> = rows.iter().flat_map(|row| search.donors(&values, &[row])).collect();
            assert!(gaps.len() > 100 && found == alone, "table {t}");
            for (&(row, column), found) in gaps.iter().zip(&found) {
                let mut due = by_measuring_all(&values, &differences, values.row(row), column);
                due.truncate(4);
                assert_eq!(*found, due, "table {t}, row {row}, column {column}");
            }
        }
    }

    #[test]
    fn few_rows_are_measured() {
        let n = 4000;
        let mut stream = cell_stream(0, 0, 0, 0);
        let values =
            Array2::from_shape_fn((n, 4), |_| if stream.random::<f64>() < 0.8 { 1e6 + stream.random::<f64>() } else { f64::NAN });
        let differences = [Difference::Scaled(0.3); 4];
        let search = Search::new(&values, &differences, 5);
        let row = (0..n).find(|&i| values.row(i).iter().filter(|x| x.is_nan()).count() == 1).unwrap();
        let column = values.row(row).iter().position(|x| x.is_nan()).unwrap();
        let mut features = vec![0.0; search.features];
        let mut query = search.query(values.row(row), &[(row, column)], &mut features);
        let mut right = Array2::zeros((search.features, BLOCK));
        let (mut near, mut measured) = (Vec::new(), 0);
        for start in (0..n).step_by(BLOCK) {
            let length = BLOCK.min(n - start);
            search.set_limit(&query, &mut features);
            search.load(start, length, &mut right);
            let products = ndarray::aview1(&features).dot(&right.slice(s![.., ..length]));
            below_zero(products.as_slice().unwrap(), &mut near);
            measured += near.len();
            near.iter().for_each(|i| search.offer(&mut query, start + i));
        }
        // The first block, and then few.
        assert!((BLOCK..BLOCK + 100).contains(&measured), "{measured}");
    }
}
