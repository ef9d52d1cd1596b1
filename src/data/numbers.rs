//! What the numbers of a column come to, in one pass over them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::data::schema::{Distinct, LEVEL_CAP, Values};

/// Values that are summed before they join the rest: what a file and a frame say of the same values is the same.
const CHUNK: usize = 256;
const LANES: usize = 8;
/// Sums of larger numbers may leave the range of f64.
const LARGE: f64 = 1e290;

/// A running summary of finite numbers.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    /// Values that have not joined the rest.
    chunk: Vec<f64>,
    min: f64,
    max: f64,
    whole: bool,
    sum: Sum,
    moments: Moments,
    /// Of the logarithms, as long as all values are above zero.
    logs: Option<Moments>,
    /// The distinct values' bits with their counts; `None` where there are more than `most`.
    distinct: Option<HashMap<u64, usize, BuildHasherDefault<Spread>>>,
    most: usize,
}

/// What [`Numbers`] come to.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub n: usize,
    pub min: f64,
    pub max: f64,
    /// Every value is a whole number.
    pub whole: bool,
    /// `None` where the sum leaves the range of f64.
    pub mean: Option<f64>,
    /// Skewness of the values, and of their logarithms where all are above zero.
    pub skew: f64,
    pub log_skew: Option<f64>,
    /// The distinct values with their counts, ascending; `None` where there are more than are kept.
    pub distinct: Option<Vec<(f64, usize)>>,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers::keeping(LEVEL_CAP)
    }
}

impl Numbers {
    /// Of the distinct values so many are kept at most.
    pub fn keeping(most: usize) -> Numbers {
        Numbers {
            chunk: Vec::with_capacity(CHUNK),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            whole: true,
            sum: Sum::default(),
            moments: Moments::default(),
            logs: Some(Moments::default()),
            distinct: Some(HashMap::default()),
            most,
        }
    }

    /// The summary of some values.
    #[cfg(test)]
    pub fn of(values: impl Iterator<Item = f64>) -> Summary {
        let mut numbers = Numbers::default();
        values.for_each(|x| numbers.push(x));
        numbers.finish()
    }

    /// Takes in one more value.
    #[inline]
    pub fn push(&mut self, x: f64) {
        // Negative zero counts as zero.
        self.chunk.push(x + 0.0);
        if self.chunk.len() == CHUNK {
            self.join();
        }
    }

    fn join(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let (min, max) = range(&chunk);
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
        self.whole = self.whole && chunk.iter().all(|&x| is_whole(x));
        self.sum.add(&chunk);
        self.moments.join(Moments::of(&chunk));
        match &mut self.logs {
            Some(logs) if min > 0.0 => logs.join(Moments::of(&chunk.iter().map(|x| x.ln()).collect::<Vec<_>>())),
            logs => *logs = None,
        }
        if let Some(distinct) = &mut self.distinct {
            chunk.iter().for_each(|x| *distinct.entry(x.to_bits()).or_insert(0) += 1);
        }
        self.distinct.take_if(|distinct| distinct.len() > self.most);
        self.chunk = chunk;
        self.chunk.clear();
    }

    pub fn finish(mut self) -> Summary {
        if !self.chunk.is_empty() {
            self.join();
        }
        let n = self.moments.n as usize;
        let distinct = self.distinct.map(|distinct| {
            let mut all: Vec<(f64, usize)> = distinct.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            all
        });
        Summary {
            n,
            min: self.min,
            max: self.max,
            whole: self.whole,
            mean: self.sum.mean(n, self.min, self.max),
            skew: self.moments.skewness(),
            log_skew: self.logs.filter(|_| n > 0).map(|logs| logs.skewness()),
            distinct,
        }
    }
}

impl Summary {
    /// The place of the most frequent among the distinct values, the smallest of several.
    pub fn mode(&self) -> Option<usize> {
        let most = self.distinct.as_ref()?.iter().enumerate().rev().max_by_key(|(_, (_, count))| *count)?;
        Some(most.0)
    }
}

/// The mean of some values, right to the last digit or two whatever their order; `None` where their sum leaves the range of f64.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let mut sum = Sum::default();
    sum.add(values);
    let (min, max) = range(values);
    sum.mean(values.len(), min, max)
}

/// Folds values in eight lanes, which the processor works on together.
#[inline]
fn lanes<T: Copy>(values: &[f64], start: T, fold: impl Fn(T, f64) -> T) -> [T; LANES] {
    let mut all = [start; LANES];
    let (eights, rest) = values.as_chunks::<LANES>();
    for eight in eights {
        (0..LANES).for_each(|i| all[i] = fold(all[i], eight[i]));
    }
    all.iter_mut().zip(rest).for_each(|(lane, &x)| *lane = fold(*lane, x));
    all
}

fn range(values: &[f64]) -> (f64, f64) {
    let least = lanes(values, f64::INFINITY, |a, x| if x < a { x } else { a });
    let most = lanes(values, f64::NEG_INFINITY, |a, x| if x > a { x } else { a });
    (least.into_iter().fold(f64::INFINITY, f64::min), most.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

fn is_whole(x: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    x.abs() >= EXACT || (x as i64) as f64 == x
}

/// A sum in lanes, each with what its roundings have lost (Knuth, TAOCP 2, 4.2.2, theorem B): right to about 106 bits, so that the
/// order of the values leaves no trace in the mean.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    high: [f64; LANES],
    low: [f64; LANES],
}

/// The sum of two numbers, and what its rounding has lost.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

impl Sum {
    fn add(&mut self, values: &[f64]) {
        let (eights, rest) = values.as_chunks::<LANES>();
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for eight in eights.iter().chain([&last]) {
            for ((high, low), &x) in self.high.iter_mut().zip(&mut self.low).zip(eight) {
                let (sum, lost) = two_sum(*high, x);
                (*high, *low) = (sum, *low + lost);
            }
        }
    }

    /// The mean of `n` values in a range that rounding does not carry it out of.
    fn mean(self, n: usize, min: f64, max: f64) -> Option<f64> {
        let inside = n > 0 && max.max(-min) < LARGE;
        inside.then(|| {
            let add = |(high, low), x| {
                let (sum, lost) = two_sum(high, x);
                (sum, low + lost)
            };
            let (high, low) = self.high.into_iter().chain(self.low).fold((0.0, 0.0), add);
            ((high + low) / n as f64).max(min).min(max)
        })
    }
}

/// Number, mean, and sums of the squares and cubes of the departures from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
}

impl Moments {
    fn of(x: &[f64]) -> Moments {
        let n = x.len() as f64;
        let mean = lanes(x, 0.0, |sum, x| sum + x).iter().sum::<f64>() / n;
        let powers = lanes(x, [0.0; 2], |[a, b], x| {
            let e = x - mean;
            [a + e * e, b + e * e * e]
        });
        let [m2, m3] = powers.into_iter().fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        Moments { n, mean, m2, m3 }
    }

    /// Pébay (2008), equations 1.1 to 1.3.
    fn join(&mut self, other: Moments) {
        let (a, b) = (*self, other);
        let n = a.n + b.n;
        let (d, wa, wb) = (b.mean - a.mean, a.n / n, b.n / n);
        *self = Moments {
            n,
            mean: a.mean + d * wb,
            m2: a.m2 + b.m2 + d * d * a.n * wb,
            m3: a.m3 + b.m3 + d * d * d * a.n * wb * (wa - wb) + 3.0 * d * (wa * b.m2 - wb * a.m2),
        };
    }

    /// Third standardised moment; zero where there is no spread.
    fn skewness(&self) -> f64 {
        let sd = (self.m2 / self.n).sqrt();
        let skew = self.m3 / self.n / sd.powi(3);
        if skew.is_finite() { skew } else { 0.0 }
    }
}

/// Spreads the bits of one number over the hash.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(u64::from(b)));
    }

    fn write_u64(&mut self, x: u64) {
        let product = (self.0 ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What a column of numbers says of its values.
pub(super) fn number_values(
    seen: &Summary,
    distinct: Option<Distinct>,
    integer_dtype: bool,
    stored: Option<(f64, i128)>,
) -> Values {
    let Summary { min, max, whole, skew, log_skew, .. } = *seen;
    Values::Numbers { integer_dtype, min, max, whole, stored, distinct, skew, log_skew }
}

/// What a column of Float64 says of its values.
pub(super) fn float_values(seen: &Summary) -> Values {
    let distinct = seen.distinct.as_ref().map(|all| Distinct::Floats(all.iter().map(|(x, _)| *x).collect()));
    number_values(seen, distinct, false, None)
}

/// What a column of Int64 says of its values, which f64 holds.
pub(super) fn integer_values(seen: &Summary) -> Values {
    let distinct = seen.distinct.as_ref().map(|all| Distinct::Stored(all.iter().map(|(x, _)| i128::from(*x as i64)).collect()));
    number_values(seen, distinct, true, (seen.n > 0).then_some((1.0, seen.min as i128)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain_skewness(x: &[f64]) -> f64 {
        Moments::of(x).skewness()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn parts_come_to_the_whole(mut x in proptest::collection::vec(-50.0f64..1000.0, 1..1500), at in 0usize..1500) {
            let s = Numbers::of(x.iter().copied());
            prop_assert_eq!(s.n, x.len());
            prop_assert!((s.skew - plain_skewness(&x)).abs() < 1e-9);
            prop_assert_eq!(s.distinct.is_none(), x.len() > LEVEL_CAP);
            let exact = x.iter().map(|x| (x * 2f64.powi(60)) as i128).sum::<i128>() as f64 / 2f64.powi(60) / x.len() as f64;
            prop_assert!((s.mean.unwrap() - exact).abs() <= 1e-15 + 2.0 * f64::EPSILON * exact.abs());
            let middle = at % x.len();
            x.rotate_left(middle);
            prop_assert_eq!(Numbers::of(x.into_iter()).mean, s.mean);
        }
    }

    #[test]
    fn what_is_said_of_a_few_numbers() {
        let s = Numbers::of([2.0, -0.0, 0.0, 2.0, 7.0].into_iter());
        assert_eq!((s.n, s.min, s.max, s.whole, s.mean), (5, 0.0, 7.0, true, Some(2.2)));
        assert_eq!(s.distinct.as_deref(), Some(&[(0.0, 2), (2.0, 2), (7.0, 1)][..]));
        assert_eq!((s.mode(), s.log_skew), (Some(0), None));
        let s = Numbers::of((1..=300).map(|i| f64::from(i).exp2().sqrt()));
        assert!(s.log_skew.is_some_and(|l| l.abs() < 1e-9) && s.skew > 3.0 && !s.whole);
        assert_eq!(Numbers::of([f64::MAX, f64::MAX].into_iter()).mean, None);
        assert!(Numbers::of([1e300, 1.0].into_iter()).whole);
        let none = Numbers::of(std::iter::empty());
        assert_eq!((none.n, none.mean, none.skew, none.log_skew), (0, None, 0.0, None));
    }
}
