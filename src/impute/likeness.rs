//! What generated rows take from the fitted table beside the model: decimals, values, gaps, the form of its file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::csv::CsvForm;
use crate::data::schema::{Column, Schema};
use crate::data::table::Table;
use crate::impute::support::Support;

/// What rows take from the fitted table beside the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Likeness {
    /// Decimals of the cells of each modelled column of floats; `None` where there is no telling.
    pub(super) decimals: Vec<Option<u8>>,
    /// The values of each modelled column of numbers.
    pub(super) supports: Vec<Option<Support>>,
    /// Which modelled columns are missing together, with the number of rows; empty where no cell is.
    pub(super) gaps: Vec<(Vec<u32>, u32)>,
    /// How the CSV file was written.
    pub csv: Option<CsvForm>,
}

/// Rows whose gaps are kept, and cells of a column whose decimals are counted, at most: every so many-th.
const PATTERNS_MOST: usize = 500;
const DECIMALS_OF: usize = 10_000;
/// More decimals than these are a computer's, not the table's.
const DECIMALS_MOST: usize = 9;

impl Likeness {
    /// Of the cells that a fit sees.
    pub fn of(table: &Table) -> Likeness {
        let n = table.n();
        let mut patterns: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        let rows: Vec<usize> = (0..n).step_by(n.div_ceil(PATTERNS_MOST).max(1)).collect();
        for row in rows.iter().map(|&i| table.values.row(i)) {
            let gaps = row.iter().enumerate().filter(|(_, x)| x.is_nan()).map(|(k, _)| k as u32).collect();
            *patterns.entry(gaps).or_default() += 1;
        }
        let some = table.values.iter().any(|x| x.is_nan());
        let decimals = table.schema.modelled_columns().zip(table.values.columns()).map(|(column, cells)| {
            let float = column.dtype.is_float() && column.kind.is_numeric();
            float.then(|| decimals(cells.iter().copied().filter(|x| !x.is_nan()))).flatten()
        });
        let numbers = table.schema.modelled_columns().zip(table.values.columns()).map(|(column, cells)| {
            let seen = || cells.iter().copied().filter(|x| !x.is_nan()).collect();
            column.kind.is_numeric().then(|| Support::of(seen()))
        });
        Likeness {
            supports: numbers.collect(),
            decimals: decimals.collect(),
            gaps: if some { patterns.into_iter().collect() } else { Vec::new() },
            csv: None,
        }
    }

    /// Whether it can be that of a table with these columns; a file may say anything.
    pub fn is_sound(&self, schema: &Schema) -> bool {
        let d = schema.modelled().len();
        let names: Vec<&str> = schema.columns().iter().map(Column::name).collect();
        [self.decimals.len(), self.supports.len()].iter().all(|&n| n == 0 || n == d)
            && self.decimals.iter().flatten().all(|&x| usize::from(x) <= DECIMALS_MOST)
            && self.supports.iter().flatten().all(Support::is_sound)
            && self.gaps.iter().all(|(gaps, rows)| *rows > 0 && gaps.is_sorted() && gaps.iter().all(|&k| (k as usize) < d))
            && self.csv.as_ref().is_none_or(|form| form.is_sound(&names))
    }
}

/// The decimals that 99 in 100 of some numbers make do with.
fn decimals(numbers: impl Iterator<Item = f64>) -> Option<u8> {
    let numbers: Vec<f64> = numbers.collect();
    let mut counts = [0; DECIMALS_MOST + 1];
    let some = numbers.iter().step_by(numbers.len().div_ceil(DECIMALS_OF).max(1));
    let mut total = 0;
    for x in some {
        total += 1;
        let text = x.to_string();
        let places = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        if let Some(count) = counts.get_mut(places) {
            *count += 1;
        }
    }
    let mut covered = 0;
    let most = counts.iter().position(|count| {
        covered += count;
        covered >= total - total / 100
    });
    most.map(|places| places as u8)
}
