//! Cells declared not applicable: neither values nor gaps.

use ::polars::prelude::DataFrame;

use crate::data::polars::{clear_cells, missing};
use crate::data::schema::Schema;
use crate::data::table::{Gaps, Table};
use crate::error::{Error, Result};
use crate::impute::guidance::guide;
use crate::impute::{Filled, Imputations, Report};

/// Columns with rows, 0-based, ascending: what [`CsvTable::not_applicable`](crate::CsvTable::not_applicable) gives.
type Declared = [(String, Vec<usize>)];

impl Filled {
    /// Takes cells as not applicable: they are missing in the frame again, written as they stood, and counted in the report by
    /// themselves, not among the missing and filled ones. Call it before columns are added. A fit has learned nothing of them: they
    /// were unobserved there.
    ///
    /// # Errors
    /// A cell that was observed.
    pub fn with_not_applicable(mut self, cells: &Declared) -> Result<Filled> {
        check(&clear_cells(&self.frame, &self.schema, &self.gaps.rows)?, cells)?;
        let mut rows = vec![Vec::new(); self.schema.columns().len()];
        for (j, declared) in places(&self.schema, cells) {
            let left = leave(&mut self.gaps, j, declared);
            let mut kept = left.iter();
            self.cells[j].retain(|_| kept.next() == Some(&false));
            rows[j] = declared.to_vec();
        }
        self.frame = clear_cells(&self.frame, &self.schema, &rows)?;
        count(&mut self.report, &self.schema, &self.gaps, cells);
        self.not_applicable = cells.to_vec();
        Ok(self)
    }
}

impl Imputations {
    /// Takes cells as not applicable in every draw, as [`Filled::with_not_applicable`] does.
    ///
    /// # Errors
    /// A cell that was observed.
    pub fn with_not_applicable(mut self, cells: &Declared) -> Result<Imputations> {
        check(&self.frame, cells)?;
        for (j, declared) in places(&self.schema, cells) {
            let left = leave(&mut self.gaps, j, declared);
            for draw in &mut self.draws {
                let mut kept = left.iter();
                draw[j].retain(|_| kept.next() == Some(&false));
            }
        }
        count(&mut self.report, &self.schema, &self.gaps, cells);
        let table = Table { gaps: self.gaps.clone(), ..Table::from_frame(&self.frame, &self.schema)? };
        self.report.guidance = guide(&table, &self.draws);
        self.not_applicable = cells.to_vec();
        Ok(self)
    }
}

/// The columns' places in the schema; those that it lacks pass through.
fn places<'a>(schema: &Schema, cells: &'a Declared) -> Vec<(usize, &'a [usize])> {
    let place = |name: &str| schema.columns().iter().position(|c| c.name() == name);
    cells.iter().filter_map(|(name, rows)| Some((place(name)?, rows.as_slice()))).collect()
}

/// Takes rows out of a column's gaps and missing cells; says of each gap that there was whether it is out.
fn leave(gaps: &mut Gaps, j: usize, declared: &[usize]) -> Vec<bool> {
    let left: Vec<bool> = gaps.rows[j].iter().map(|row| declared.binary_search(row).is_ok()).collect();
    let mut kept = left.iter();
    gaps.rows[j].retain(|_| kept.next() == Some(&false));
    gaps.missing[j] = gaps.missing[j].saturating_sub(declared.len());
    left
}

fn check(frame: &DataFrame, cells: &Declared) -> Result<()> {
    for (name, rows) in cells {
        let missing = missing(frame.column(name)?)?;
        if let Some(row) = rows.iter().find(|&&row| missing.get(row) != Some(&true)) {
            return Err(Error::schema(format!("column `{name}`, row {}: an observed cell cannot be not applicable", row + 1)));
        }
    }
    Ok(())
}

fn count(report: &mut Report, schema: &Schema, gaps: &Gaps, cells: &Declared) {
    for (j, declared) in places(schema, cells) {
        let (column, filled) = (&mut report.columns[j], gaps.rows[j].len());
        column.not_applicable = declared.len();
        (column.missing, column.filled, column.left) = (gaps.missing[j], filled, gaps.missing[j] - filled);
        column.why = column.why.filter(|_| column.left > 0);
    }
}
