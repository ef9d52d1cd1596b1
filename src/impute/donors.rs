//! Predictive mean matching: a gap takes the value of an observed cell that the model expects to be alike.

use ndarray_rand::rand::Rng;
use serde::{Deserialize, Serialize};

use crate::rng::Stream;

/// The observed cells of the table of the fit, a list a modelled column; empty for levels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Donors {
    k: usize,
    /// By prediction, then value.
    columns: Vec<Vec<Donor>>,
}

/// A cell: what the model expects of it, shown the rest of its row, in model units; and what it says, in data units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Donor {
    pub expected: f64,
    pub value: f64,
}

impl Donors {
    /// A gap will take one of `k`.
    pub fn new(k: usize, mut columns: Vec<Vec<Donor>>) -> Donors {
        for donors in &mut columns {
            donors.sort_by(|a, b| a.expected.total_cmp(&b.expected).then(a.value.total_cmp(&b.value)));
        }
        Donors { k, columns }
    }

    /// Whether a fit could have found these: a list for each column, of finite numbers where it holds `numbers` and else empty.
    pub fn is_sound(&self, numbers: impl Iterator<Item = bool>) -> bool {
        let finite = |d: &Donor| d.expected.is_finite() && d.value.is_finite();
        let sorted = |donors: &[Donor]| donors.windows(2).all(|d| d[0].expected <= d[1].expected);
        let numbers: Vec<bool> = numbers.collect();
        self.k > 0
            && self.columns.len() == numbers.len()
            && self
                .columns
                .iter()
                .zip(numbers)
                .all(|(donors, numbers)| (numbers || donors.is_empty()) && donors.iter().all(finite) && sorted(donors))
    }

    /// Observed cells.
    pub fn len(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }

    /// Whether the model's column `k` takes its values from donors.
    pub fn has(&self, k: usize) -> bool {
        !self.columns[k].is_empty()
    }

    /// The value of the donor whose expectation is nearest; of several, the median one.
    pub fn nearest(&self, column: usize, expected: f64) -> f64 {
        let (_, tied) = nearest(&self.columns[column], expected, 1);
        let mut values: Vec<f64> = tied.iter().map(|d| d.value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// The value of one of the `k` nearest donors at random, those beyond the k-th as near as it having their turn too.
    pub fn draw(&self, column: usize, expected: f64, rng: &mut Stream) -> f64 {
        let donors = &self.columns[column];
        let (closer, tied) = nearest(donors, expected, self.k);
        let any = rng.random_range(..self.k.min(donors.len()));
        match closer.get(any) {
            Some(donor) => donor.value,
            None => tied[rng.random_range(..tied.len())].value,
        }
    }
}

/// The donors nearer than the k-th nearest, and those as near as it. Cost: O(k + ln n + ties).
fn nearest(donors: &[Donor], expected: f64, k: usize) -> (Vec<Donor>, Vec<Donor>) {
    let distance = |d: &Donor| (d.expected - expected).abs();
    let at = donors.partition_point(|d| d.expected < expected);
    let (mut low, mut high) = (at, at);
    let mut last = f64::NAN;
    // Outwards on both sides; past the k-th, as long as it is no farther.
    loop {
        let below = low.checked_sub(1).map(|i| distance(&donors[i]));
        let above = donors.get(high).map(distance);
        let (next, down) = match (below, above) {
            (Some(b), Some(a)) => (b.min(a), b < a),
            (Some(b), None) => (b, true),
            (None, Some(a)) => (a, false),
            (None, None) => break,
        };
        if high - low >= k && next > last {
            break;
        }
        last = next;
        if down { low -= 1 } else { high += 1 }
    }
    donors[low..high].iter().partition(|d| distance(d) < last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    fn donors(k: usize, cells: &[(f64, f64)]) -> Donors {
        Donors::new(k, vec![cells.iter().map(|&(expected, value)| Donor { expected, value }).collect()])
    }

    fn counts(donors: &Donors, expected: f64, n: usize) -> std::collections::BTreeMap<i64, usize> {
        let mut rng = stream(0, Purpose::Draw, 0);
        let mut out = std::collections::BTreeMap::new();
        (0..n).for_each(|_| *out.entry(donors.draw(0, expected, &mut rng) as i64).or_default() += 1);
        out
    }

    #[test]
    fn one_of_the_nearest_is_taken_each_as_often() {
        let d = donors(3, &[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (9.0, 5.0)]);
        let seen = counts(&d, 2.1, 3000);
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
        assert!(seen.values().all(|&n| (900..1100).contains(&n)), "{seen:?}");
        assert_eq!((d.nearest(0, 2.1), d.nearest(0, -50.0), d.nearest(0, 50.0)), (3.0, 1.0, 5.0));
        // Fewer donors than k.
        assert_eq!(counts(&donors(5, &[(0.0, 1.0), (1.0, 2.0)]), 0.2, 100).len(), 2);
    }

    #[test]
    fn equally_near_donors_have_their_turn_all() {
        let d = donors(5, &[(0.0, 1.0), (0.0, 2.0), (0.0, 3.0), (0.0, 4.0), (0.0, 5.0), (0.0, 6.0), (0.0, 7.0), (4.0, 9.0)]);
        let seen = counts(&d, 0.0, 7000);
        assert_eq!(seen.len(), 7);
        assert!(seen.values().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        assert_eq!(d.nearest(0, 0.0), 4.0);
    }
}
