//! Fits of CSV files within a limit of memory: on as many rows as it holds.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use ::polars::prelude::{Column, DataType};
use rayon::prelude::*;

use crate::data::csv::CsvTable;
use crate::data::polars::{counting, row_weights};
use crate::data::profile::Profiler;
use crate::data::schema::{LevelCounts, Profile, Schema, SchemaOptions, TEXT_CAP, Values};
use crate::error::{Error, Result, Warning};
use crate::impute::config::VaeConfig;
use crate::impute::fit::Progress;
use crate::impute::stream::COMMON;
use crate::impute::vae::VaeImputer;
use crate::rng::{Purpose, stream};

/// What the program takes beside tables while it reads one: itself, and the rows in work.
const READING: usize = 40_000_000;
/// The same while it trains: the networks and their buffers.
const TRAINING: usize = 190_000_000;
/// The same while a model fills.
const FILLING: usize = 50_000_000;
/// A fit sees so many rows at least, or all.
const ROWS_LEAST: usize = 10_000;

impl VaeConfig {
    /// Fits to a CSV file whose schema is inferred. Within `memory` bytes, if stated: where the whole table would take more, on as
    /// many of its rows as they hold, drawn at random by the seed, with [`Warning::Sampled`]. A training visits some two million
    /// rows however long the table is, so that of a long one it sees as much. Kinds, levels and how frequent they are, and the range
    /// of numbers are those of all rows all the same. (Of a column of text the first 100 000 levels are known, or as many as the
    /// memory holds; a fill counts the cells of others.)
    ///
    /// ```
    /// use lacuna::{CsvOptions, CsvTable, SchemaOptions, VaeConfig};
    /// use std::ops::ControlFlow;
    /// let text: String = (0..60).map(|i| if i % 7 == 0 { format!("{i},\n") } else { format!("{i},{}\n", 2 * i) }).collect();
    /// let text = format!("x,y\n{text}");
    /// let csv = CsvTable::read(text.as_bytes(), "t.csv".as_ref(), &CsvOptions::default(), &SchemaOptions::default())?;
    /// let config = VaeConfig::default().epochs(2);
    /// let imputer = config.fit_csv(&csv, &SchemaOptions::default(), Some(500_000_000), &mut |_| ControlFlow::Continue(()))?;
    /// assert_eq!(imputer.training().rows, 60);
    /// assert!(config.fit_csv(&csv, &SchemaOptions::default(), Some(1000), &mut |_| ControlFlow::Continue(())).is_err());
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Fit::fit`](crate::Fit::fit); an option that names no column or contradicts the data; `memory` too small for ten
    /// thousand rows, or for all there are; the file is on disk and changed.
    pub fn fit_csv(
        &self,
        csv: &CsvTable,
        options: &SchemaOptions,
        memory: Option<u64>,
        on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send),
    ) -> Result<VaeImputer> {
        let rows = memory.map_or(Ok(csv.rows()), |memory| rows_within(csv, memory))?;
        if rows == csv.rows() {
            let frame = csv.to_frame()?;
            return self.fit_with_progress(&frame, &Schema::infer_with(&frame, options)?, on_progress);
        }
        let Whole { schema, counts, ends } = Whole::of(csv, options, memory)?;
        let frame = csv.sample(rows, &ends, &mut stream(self.seed, Purpose::Sample, 0))?;
        let mut imputer = self.fit_counted(&frame, &schema, &counts, on_progress)?;
        imputer.info.warnings.push(Warning::Sampled { rows: frame.height(), of: csv.rows() });
        Ok(imputer)
    }
}

/// What all rows of a file say, where a fit sees some of them.
struct Whole {
    schema: Schema,
    counts: LevelCounts,
    /// Rows that no sample goes without, ascending: those of the smallest and the largest number of each column, of two of its
    /// levels. A column that varies varies in the sample, over its whole range.
    ends: Vec<usize>,
}

/// Blocks of the file that are looked at together.
const AT_ONCE: usize = 8;
/// Bytes that a level in a count of levels takes beside its letters.
const LEVEL: usize = 96;

impl Whole {
    /// One pass over the file, within so many bytes.
    fn of(csv: &CsvTable, options: &SchemaOptions, memory: Option<u64>) -> Result<Whole> {
        options.check_names(csv.header())?;
        let (kept, row) = csv.memory();
        let room = memory.map_or(usize::MAX, |memory| (memory as usize).saturating_sub(FILLING + kept));
        let mut profilers = Vec::new();
        let mut chunks = csv.chunks(AT_ONCE)?;
        while let Some(chunk) = chunks.next()? {
            let mut frame = csv.chunk_frame(&chunk)?;
            if profilers.is_empty() {
                let texts = frame.dtypes().iter().filter(|t| **t == DataType::String).count();
                let most = (room / (LEVEL * texts + row)).min(TEXT_CAP + 1);
                let new = |c: &Column| Profiler::new(c.name(), c.dtype(), options.leaves_out(c.name()), most);
                profilers = frame.columns().iter().map(new).collect();
            }
            let weights = row_weights(&frame, options.ignore.as_deref(), options.weights.as_deref(), chunk.first)?;
            let mut rows: Vec<usize> = (chunk.first..chunk.first + chunk.rows).collect();
            if let Some(weights) = weights {
                frame = counting(&frame, &weights)?;
                let mut weights = weights.iter();
                rows.retain(|_| weights.next().is_some_and(|w| *w > 0.0));
            }
            let columns = profilers.par_iter_mut().zip(frame.columns());
            // All of them, so that the first of several errors is told.
            let added: Vec<Result<()>> = columns.map(|(profiler, column)| profiler.add(column, |i| rows[i])).collect();
            added.into_iter().collect::<Result<()>>()?;
        }
        let mut ends: Vec<usize> = profilers.iter().flat_map(|p| p.ends).flatten().collect();
        ends.sort_unstable();
        ends.dedup();
        let profiles: Vec<Profile> = profilers.into_iter().map(Profiler::finish).collect();
        let levels: BTreeMap<String, Vec<(String, usize)>> = profiles.iter().filter_map(levels_of).collect();
        let schema = Schema::from_profiles(profiles, options)?;
        let counts = schema.modelled_columns().filter_map(|column| {
            let of: HashMap<&str, usize> = levels.get(column.name())?.iter().map(|(l, n)| (l.as_str(), *n)).collect();
            let counts = column.levels().iter().map(|l| of.get(l.as_str()).copied().unwrap_or(0)).collect();
            Some((column.name().to_string(), counts))
        });
        let counts = counts.collect();
        Ok(Whole { schema, counts, ends })
    }
}

/// A column's texts with their counts.
fn levels_of(profile: &Profile) -> Option<(String, Vec<(String, usize)>)> {
    match &profile.values {
        Values::Levels { levels, .. } => Some((profile.name.clone(), levels.clone())),
        _ => None,
    }
}

impl VaeImputer {
    /// Checks that filling a CSV file by [`VaeImputer::fill_csv`] keeps within so many bytes.
    ///
    /// # Errors
    /// It does not: the message says how many it takes.
    pub fn check_memory(&self, csv: &CsvTable, memory: u64) -> Result<()> {
        let donors = self.donors.as_ref().map_or(0, |d| d.len());
        // The weights twice, as a model is read.
        let neighbours = self.neighbours.as_ref().map_or(0, |near| near.memory(rayon::current_num_threads()) + COMMON);
        let due = FILLING + csv.memory().0 + 8 * self.weights() + 16 * donors + neighbours;
        if due as u64 > memory { Err(too_little(memory, due)) } else { Ok(()) }
    }
}

/// Rows of a file that a fit within so many bytes can see.
fn rows_within(csv: &CsvTable, memory: u64) -> Result<usize> {
    let (kept, row) = csv.memory();
    let d = csv.header().len();
    // Beside its place in the frame a cell is a number of the table as that is read, and becomes two of the model; in training it
    // is those two, and held out or not in two networks.
    let phases = [(READING + kept, row + 20 * d), (TRAINING + kept, row + 10 * d)];
    let due = |rows: usize| phases.iter().map(|(fixed, row)| fixed + rows * row).max().unwrap_or(0);
    let least = due(csv.rows().min(ROWS_LEAST));
    if (least as u64) > memory {
        return Err(too_little(memory, least));
    }
    let rows = phases.iter().map(|(fixed, row)| (memory as usize - fixed) / row).min();
    Ok(rows.unwrap_or(0).min(csv.rows()))
}

fn too_little(memory: u64, due: usize) -> Error {
    let megabytes = |bytes: usize| format!("{}M", bytes.div_ceil(1_000_000));
    Error::config("max_memory", megabytes(memory as usize), format!("at least {} for this table", megabytes(due)))
}
