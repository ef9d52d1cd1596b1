//! Fits of CSV files within a limit of memory: on as many rows as it holds.

use std::ops::ControlFlow;

use crate::data::csv::CsvTable;
use crate::data::schema::{Schema, SchemaOptions};
use crate::error::{Error, Result, Warning};
use crate::impute::vae::{Progress, VaeConfig, VaeImputer};
use crate::rng::{Purpose, stream};

/// What the program takes beside tables: itself, the networks in training and their buffers.
const FIXED: usize = 110_000_000;
/// The same while a model fills: the rows in work as well.
const FIXED_FILL: usize = 50_000_000;
/// A fit sees so many rows at least, or all.
const ROWS_LEAST: usize = 10_000;

impl VaeConfig {
    /// Fits to a CSV file whose schema is inferred. Within `memory` bytes, if stated: where the whole table would take more, on as
    /// many of its rows as they hold, drawn at random by the seed, with [`Warning::Sampled`]. A training visits some two million
    /// rows however long the table is, so that of a long one it sees as much. Levels that the rows lack are unknown to the model.
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
        let frame = match rows < csv.rows() {
            true => csv.sample(rows, &mut stream(self.seed, Purpose::Sample, 0))?,
            false => csv.to_frame()?,
        };
        let schema = Schema::infer_with(&frame, options)?;
        let mut imputer = self.fit_with_progress(&frame, &schema, on_progress)?;
        if rows < csv.rows() {
            imputer.info.warnings.push(Warning::Sampled { rows, of: csv.rows() });
        }
        Ok(imputer)
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
        let due = FIXED_FILL + csv.memory().0 + 8 * self.weights() + 16 * donors;
        if due as u64 > memory { Err(too_little(memory, due)) } else { Ok(()) }
    }
}

/// Rows of a file that a fit within so many bytes can see.
fn rows_within(csv: &CsvTable, memory: u64) -> Result<usize> {
    let (kept, row) = csv.memory();
    // A cell is a number of the table for a while and then two of the model, beside its place in the frame.
    let row = row + 14 * csv.header().len();
    let least = FIXED + kept + row * csv.rows().min(ROWS_LEAST);
    if (least as u64) > memory {
        return Err(too_little(memory, least));
    }
    Ok(((memory as usize - FIXED - kept) / row).min(csv.rows()))
}

fn too_little(memory: u64, due: usize) -> Error {
    let megabytes = |bytes: usize| format!("{}M", bytes.div_ceil(1_000_000));
    Error::config("max_memory", megabytes(memory as usize), format!("at least {} for this table", megabytes(due)))
}
