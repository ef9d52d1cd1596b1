//! What the cells of a column are, taken in some rows at a time: what the inference rules go by.

use std::collections::{BTreeSet, HashMap};

use polars::prelude::{Column as PlColumn, DataType};

use crate::data::numbers::{Numbers, float_values, number_values};
use crate::data::physical;
use crate::data::polars::{Observed, is_supported, observe};
use crate::data::schema::{Distinct, LEVEL_CAP, Profile, Values};
use crate::error::Result;

/// One pass over a column.
pub(crate) struct Profiler {
    name: String,
    dtype: DataType,
    seen: Seen,
    /// Rows of two cells between which all others lie (numbers), or that differ (texts), as far as there are such.
    pub ends: [Option<usize>; 2],
}

/// The cells so far.
enum Seen {
    /// Of a dtype without a model, or left out: how many there are.
    Counted(usize),
    Floats(Numbers, Range),
    Stored {
        numbers: Numbers,
        range: Range,
        distinct: Integers,
        /// The coarsest step that all keep, and the smallest cell.
        step_least: Option<(f64, i128)>,
    },
    Texts {
        counts: HashMap<String, usize>,
        /// The first text.
        first: Option<String>,
        observed: usize,
        /// Texts that are told apart, at most.
        most: usize,
    },
}

impl Profiler {
    /// `left_out`: the cells do not matter. Beyond `most` distinct texts further ones are counted as cells only.
    pub fn new(name: &str, dtype: &DataType, left_out: bool, most: usize) -> Profiler {
        let seen = match dtype {
            // Nothing observed, and nothing a fill could be.
            DataType::Null => Seen::Texts { counts: HashMap::new(), first: None, observed: 0, most },
            _ if left_out || !is_supported(dtype) => Seen::Counted(0),
            _ if physical::range(dtype).is_some() => Seen::Stored {
                numbers: Numbers::default(),
                range: Range::default(),
                distinct: Integers::default(),
                step_least: None,
            },
            _ if dtype.is_float() => Seen::Floats(Numbers::default(), Range::default()),
            _ => Seen::Texts { counts: HashMap::new(), first: None, observed: 0, most },
        };
        Profiler { name: name.to_string(), dtype: dtype.clone(), seen, ends: [None; 2] }
    }

    /// Takes in some cells; `row` gives the row of each.
    ///
    /// # Errors
    /// ±inf in a float column.
    pub fn add(&mut self, column: &PlColumn, row: impl Fn(usize) -> usize) -> Result<()> {
        if let Seen::Counted(observed) = &mut self.seen {
            *observed += column.len() - column.null_count();
            return Ok(());
        }
        if self.dtype == DataType::Null {
            return Ok(());
        }
        match (&mut self.seen, observe(column)?) {
            (Seen::Floats(numbers, range), Observed::Floats(cells)) => {
                cells.iter().copied().filter(|x| !x.is_nan()).for_each(|x| numbers.push(x));
                range.widen(&cells, row, &mut self.ends);
            }
            (Seen::Stored { numbers, range, distinct, step_least }, Observed::Stored(cells)) => {
                let stored = || cells.iter().copied().flatten();
                distinct.add(stored());
                if let Some(least) = stored().min() {
                    // One step divides the next, so that the smaller one is what both keep.
                    let step = physical::step(&self.dtype, stored());
                    *step_least = Some(step_least.map_or((step, least), |(s, l)| (s.min(step), l.min(least))));
                }
                let cells: Vec<f64> = cells.iter().map(|x| x.map_or(f64::NAN, |x| physical::number(&self.dtype, x))).collect();
                cells.iter().copied().filter(|x| !x.is_nan()).for_each(|x| numbers.push(x));
                range.widen(&cells, row, &mut self.ends);
            }
            (Seen::Texts { counts, first, observed, most }, Observed::Texts { codes, distinct }) => {
                let mut here = vec![0; distinct.len()];
                codes.iter().flatten().for_each(|&c| here[c as usize] += 1);
                *observed += here.iter().sum::<usize>();
                for (i, code) in codes.iter().enumerate().filter_map(|(i, c)| Some((i, (*c)? as usize))) {
                    match first {
                        None => (*first, self.ends[0]) = (Some(distinct[code].clone()), Some(row(i))),
                        Some(first) if *first != distinct[code] => {
                            self.ends[1].get_or_insert_with(|| row(i));
                        }
                        Some(_) => {}
                    }
                    if self.ends[1].is_some() {
                        break;
                    }
                }
                for (text, n) in distinct.into_iter().zip(here) {
                    if let Some(count) = counts.get_mut(&text) {
                        *count += n;
                    } else if counts.len() < *most {
                        counts.insert(text, n);
                    }
                }
            }
            // A column is of the dtype that was told.
            _ => {}
        }
        Ok(())
    }

    /// What the rules go by.
    pub fn finish(self) -> Profile {
        let Profiler { name, dtype, seen, .. } = self;
        let (observed, values) = match seen {
            Seen::Counted(observed) => (observed, Values::Unsupported),
            Seen::Floats(numbers, _) => {
                let seen = numbers.finish();
                (seen.n, float_values(&seen))
            }
            Seen::Stored { numbers, distinct, step_least, .. } => {
                let seen = numbers.finish();
                (seen.n, number_values(&seen, distinct.finish(), physical::is_integer(&dtype), step_least))
            }
            Seen::Texts { counts, observed, .. } => (observed, levels(&dtype, counts)),
        };
        Profile { name, dtype, observed, values }
    }
}

/// Texts in the order of levels.
fn levels(dtype: &DataType, counts: HashMap<String, usize>) -> Values {
    let count = |l: &str| counts.get(l).copied().unwrap_or(0);
    match dtype {
        DataType::Enum(categories, _) => {
            let levels = categories.categories().values_iter().map(|l| (l.to_string(), count(l))).collect();
            Values::Levels { levels, declared: true }
        }
        DataType::Boolean => {
            Values::Levels { levels: ["false", "true"].map(|l| (l.to_string(), count(l))).to_vec(), declared: true }
        }
        _ => {
            let mut levels: Vec<(String, usize)> = counts.into_iter().collect();
            sort_levels(&mut levels);
            Values::Levels { levels, declared: false }
        }
    }
}

/// By number where every level is one, else by text: an order that does not depend on the rows'.
fn sort_levels(levels: &mut [(String, usize)]) {
    let numbers: Option<Vec<f64>> = levels.iter().map(|l| l.0.trim().parse().ok().filter(|x: &f64| !x.is_nan())).collect();
    match numbers {
        Some(_) => levels.sort_by(|a, b| {
            let x: f64 = a.0.trim().parse().unwrap_or(0.0);
            let y: f64 = b.0.trim().parse().unwrap_or(0.0);
            x.total_cmp(&y).then_with(|| a.0.cmp(&b.0))
        }),
        None => levels.sort(),
    }
}

/// Distinct integers; `None` above [`LEVEL_CAP`].
struct Integers(Option<BTreeSet<i128>>);

impl Default for Integers {
    fn default() -> Integers {
        Integers(Some(BTreeSet::new()))
    }
}

impl Integers {
    fn add(&mut self, values: impl Iterator<Item = i128>) {
        for x in values {
            let Some(sorted) = &mut self.0 else { return };
            sorted.insert(x);
            if sorted.len() > LEVEL_CAP {
                self.0 = None;
            }
        }
    }

    fn finish(self) -> Option<Distinct> {
        self.0.map(|sorted| Distinct::Stored(sorted.into_iter().collect()))
    }
}

/// The least and the largest number so far.
struct Range(f64, f64);

impl Default for Range {
    fn default() -> Range {
        Range(f64::INFINITY, f64::NEG_INFINITY)
    }
}

impl Range {
    /// Takes in some cells, NaN for missing, and notes the rows of new ends.
    fn widen(&mut self, cells: &[f64], row: impl Fn(usize) -> usize, ends: &mut [Option<usize>; 2]) {
        for (i, &x) in cells.iter().enumerate() {
            if x < self.0 {
                (self.0, ends[0]) = (x, Some(row(i)));
            }
            if x > self.1 {
                (self.1, ends[1]) = (x, Some(row(i)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{IntoColumn, NamedFrom, Series, TimeUnit};

    #[test]
    fn some_rows_at_a_time_are_as_all_at_once() {
        let n = 300;
        let number = |i: usize| (!i.is_multiple_of(7)).then(|| ((i * 37 % 101) as f64 / 20.0).exp());
        let text = |i: usize| (!i.is_multiple_of(5)).then(|| ["b", "a", "10"][i * i % 3]);
        let minutes: Vec<i64> = (0..n as i64).map(|i| 60_000_000 * (i * i % 50)).collect();
        let columns = [
            Series::new("float".into(), (0..n).map(number).collect::<Vec<_>>()),
            Series::new("int".into(), (0..n as i64).map(|i| i * 31 % 17 - 3).collect::<Vec<_>>()),
            Series::new("text".into(), (0..n).map(text).collect::<Vec<_>>()),
            Series::new("truth".into(), (0..n).map(|i| i > 200).collect::<Vec<_>>()),
            Series::new("time".into(), minutes).into_datetime(TimeUnit::Microseconds, None),
        ];
        for column in columns.map(IntoColumn::into_column) {
            let mut whole = Profiler::new(column.name(), column.dtype(), false, usize::MAX);
            whole.add(&column, |row| row).unwrap();
            let mut parts = Profiler::new(column.name(), column.dtype(), false, usize::MAX);
            for first in (0..n).step_by(70) {
                parts.add(&column.slice(first as i64, 70), |row| first + row).unwrap();
            }
            assert_eq!(parts.ends, whole.ends);
            let (mut parts, whole) = (parts.finish(), whole.finish());
            if let (Values::Numbers { skew: a, log_skew: c, .. }, Values::Numbers { skew: b, log_skew: d, .. }) =
                (&mut parts.values, &whole.values)
            {
                assert!((*a - b).abs() < 1e-9 && c.zip(*d).is_none_or(|(c, d)| (c - d).abs() < 1e-9), "{a} {b}");
                (*a, *c) = (*b, *d);
            }
            assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
        }
    }
}
