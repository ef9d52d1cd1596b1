//! A model on a CSV file of any length: its rows are read, filled and written some at a time.

use std::io::{BufWriter, Write};

use crate::data::csv::{Chunk, CsvTable, CsvWriter, Filling};
use crate::data::polars::RowKeys;
use crate::error::{Error, Result, Warning};
use crate::impute::guidance::Means;
use crate::impute::neighbours::Picks;
use crate::impute::vae::VaeImputer;
use crate::impute::{Imputations, Imputer, Report, check_m};

/// Blocks of the file that are in work at a time: a megabyte.
const AT_ONCE: usize = 4;
/// Bytes of what all draws have in common that are kept from one to the next, about.
pub(super) const COMMON: usize = 32_000_000;

impl VaeImputer {
    /// Fills a CSV file and writes it, some rows at a time: the bytes are those that [`Filled::write_csv`](crate::Filled::write_csv)
    /// writes of the whole table. Memory: that of the file as it was opened ([`CsvTable::open_fitted`] leaves a long one on
    /// disk), and some megabytes, whatever the number of rows.
    ///
    /// ```
    /// use lacuna::{CsvTable, Fit, VaeConfig};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?;
    /// let csv = "x,y\n1.0,\n,2.5\n".as_bytes();
    /// let csv = CsvTable::read_fitted(csv, "t.csv".as_ref(), imputer.csv_options(), &imputer.csv_columns())?;
    /// let mut out = Vec::new();
    /// let report = imputer.fill_csv(&csv, true, &mut out)?;
    /// assert_eq!((report.rows, report.filled(), out.starts_with(b"x,y\n1.0,")), (2, 2, true));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Imputer::fill`]; reading or writing fails; the file is on disk and changed. Rows may have been written by then.
    pub fn fill_csv(&self, csv: &CsvTable, round: bool, out: impl Write) -> Result<Report> {
        let writer = CsvWriter::new(csv, self.schema(), &[], round);
        let mut out = BufWriter::new(out);
        let mut report = Summed::new(self);
        self.check_columns(csv)?;
        writer.head(false, &mut out)?;
        each(csv, |chunk| {
            let filled = self.fill(&csv.chunk_frame(chunk)?)?.with_not_applicable(&csv.chunk_not_applicable(chunk))?;
            let filling = Filling { gaps: &filled.gaps, cells: &filled.cells, base: chunk.first };
            writer.rows(chunk, None, Some(filling), &mut out)?;
            report.add(filled.report);
            Ok(())
        })?;
        out.flush().map_err(|e| Error::io(None, "write", e))?;
        Ok(report.finish(csv))
    }

    /// Draws the gaps of a CSV file `m` times and writes the completed tables under each other, some rows at a time: the bytes
    /// are those that [`Imputations::write_csv`](crate::Imputations::write_csv) writes of the whole table, with the table as it is
    /// first if `original` says so. The file is read once more for each table. Memory: as [`VaeImputer::fill_csv`].
    ///
    /// # Errors
    /// As [`VaeImputer::fill_csv`]; `m` of zero; the file has a column `.imp` or `.id`.
    pub fn draw_csv(&self, csv: &CsvTable, m: usize, seed: u64, original: bool, round: bool, out: impl Write) -> Result<Report> {
        check_m(m)?;
        let writer = CsvWriter::new(csv, self.schema(), &[], round);
        let mut out = BufWriter::new(out);
        let mut head = Vec::new();
        writer.head(true, &mut head)?;
        self.check_columns(csv)?;
        out.write_all(&head).map_err(|e| Error::io(None, "write", e))?;
        if original {
            each(csv, |chunk| writer.rows(chunk, Some(0), None, &mut out))?;
        }
        let mut means = Means::new(self.schema(), m);
        let mut report = Summed::new(self);
        // Of the file's first parts, what all draws have in common.
        let (mut common, mut bytes) = (Vec::new(), 0);
        let mut keys = RowKeys::default();
        for i in 0..m {
            let mut part = 0;
            each(csv, |chunk| {
                let frame = csv.chunk_frame(chunk)?;
                let table = self.table(&frame)?;
                let values = table.values.clone();
                if i == 0 && bytes < COMMON {
                    let picks = self.picks(&table)?;
                    bytes += picks.iter().flatten().map(Picks::memory).sum::<usize>();
                    common.push(picks);
                }
                let again;
                let picks = match common.get(part) {
                    Some(kept) => kept,
                    None => {
                        again = self.picks(&table)?;
                        &again
                    }
                };
                let keys = keys.of(&frame, self.schema().id.as_deref(), chunk.first)?;
                let draws = self.draw_rows(&table, picks.as_deref(), i..i + 1, seed, &keys)?;
                part += 1;
                let one = Imputations::new(&frame, table, draws, &self.info);
                let one = one.with_not_applicable(&csv.chunk_not_applicable(chunk))?;
                let filling = Filling { gaps: &one.gaps, cells: &one.draws[0], base: chunk.first };
                writer.rows(chunk, Some(i + 1), Some(filling), &mut out)?;
                means.add(self.schema(), values.view(), i, &one.draws[0]);
                if i == 0 {
                    report.add(one.report().clone());
                }
                Ok(())
            })?;
        }
        out.flush().map_err(|e| Error::io(None, "write", e))?;
        Ok(Report { guidance: means.guidance(self.schema()), ..report.finish(csv) })
    }
}

impl VaeImputer {
    /// Whether a file's columns are those of the fit, as its first rows say: known before a byte is written.
    fn check_columns(&self, csv: &CsvTable) -> Result<()> {
        let mut chunks = csv.chunks(AT_ONCE)?;
        match chunks.next()? {
            Some(chunk) => self.table(&csv.chunk_frame(&chunk)?).map(drop),
            None => Ok(()),
        }
    }
}

/// Hands on a file's rows, some at a time.
fn each(csv: &CsvTable, mut work: impl FnMut(&Chunk<'_>) -> Result<()>) -> Result<()> {
    let mut chunks = csv.chunks(AT_ONCE)?;
    while let Some(chunk) = chunks.next()? {
        work(&chunk)?;
    }
    Ok(())
}

/// The reports of a table's parts, added up.
struct Summed<'a> {
    model: &'a VaeImputer,
    report: Option<Report>,
}

impl Summed<'_> {
    fn new(model: &VaeImputer) -> Summed<'_> {
        Summed { model, report: None }
    }

    /// Warnings of the fit, which every part repeats.
    fn own(&self) -> usize {
        self.model.schema.warnings().len() + self.model.info.warnings.len()
    }

    fn add(&mut self, part: Report) {
        let own = self.own();
        match &mut self.report {
            Some(report) => report.absorb(part, own),
            None => self.report = Some(part),
        }
    }

    /// The report of the whole, its warnings in the order of the whole's: by what they say, then by column.
    fn finish(self, csv: &CsvTable) -> Report {
        let own = self.own();
        let schema = self.model.schema();
        let fitted = |name: &String| schema.columns().iter().position(|c| c.name() == name);
        let place = |w: &Warning| match w {
            Warning::UnseenLevels { column, .. } | Warning::AbsentColumn { column } => (0, fitted(column)),
            Warning::ConstantColumn { column } => (1, fitted(column)),
            Warning::ExtraColumn { column, .. } => (2, csv.header().iter().position(|name| name == column)),
            Warning::OutsideRange { column, .. } => (3, schema.modelled_columns().position(|c| c.name() == column)),
            _ => (4, None),
        };
        let mut report = self.report.expect("a file has a part, if one without rows");
        report.warnings[own..].sort_by_key(place);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::csv::CsvOptions;
    use crate::data::schema::SchemaOptions;
    use crate::impute::Fit;
    use crate::impute::config::VaeConfig;
    use std::path::Path;

    /// Numbers, levels, dates and quotes over line ends, with gaps.
    fn text(rows: std::ops::Range<usize>) -> String {
        let row = |i: usize| {
            let x = if i.is_multiple_of(7) { String::new() } else { format!("{:.2}", (i * 37 % 101) as f64 / 4.0) };
            let level = ["\"a, b\"", "\"c\nd\"", "", "e"][i * 5 % 4];
            let day = if i.is_multiple_of(5) { String::new() } else { format!("2024-03-{:02}", i % 31 + 1) };
            format!("{x},{level},{day},{}\r\n", i % 12)
        };
        format!("x,level,day,n\r\n{}", rows.map(row).collect::<String>())
    }

    fn read(text: &str, imputer: Option<&VaeImputer>) -> CsvTable {
        let (text, path) = (text.as_bytes(), Path::new("t.csv"));
        match imputer {
            Some(i) => CsvTable::read_fitted(text, path, i.csv_options(), &i.csv_columns()),
            None => CsvTable::read(text, path, &CsvOptions::default(), &SchemaOptions::default()),
        }
        .unwrap()
    }

    #[test]
    fn a_file_in_pieces_has_the_bytes_and_the_report_of_the_whole() {
        let fitted = read(&text(0..90), None).to_frame().unwrap();
        let imputer = VaeConfig::default().epochs(1).hidden(8).members(2).donors(3).fit(&fitted).unwrap();
        // Levels unseen, numbers outside, a column more.
        let new =
            text(90..200).replace(",e,", ",new,").replace(",11\r", ",1100\r").replace('\r', ",\r").replace("n,\r", "n,more\r");
        let csv = read(&new, Some(&imputer));
        let frame = csv.to_frame().unwrap();
        let mut whole = Vec::new();
        let filled = imputer.fill(&frame).unwrap();
        filled.write_csv(&csv, true, &mut whole).unwrap();
        let mut long = Vec::new();
        let draws = imputer.draw(&frame, 3, 5).unwrap().with_original();
        draws.write_csv(&csv, true, &mut long).unwrap();
        assert!(filled.report.warnings.len() > 2 && draws.report().guidance.is_some());
        let json = |report: &Report| serde_json::to_string(report).unwrap();
        for block in [1, 50, 333, 5000] {
            let csv = csv.clone().with_block(block);
            let mut out = Vec::new();
            let report = imputer.fill_csv(&csv, true, &mut out).unwrap();
            assert!(out == whole, "{block}: {}", String::from_utf8_lossy(&out));
            assert_eq!(json(&report), json(&filled.report), "{block}");
            let mut out = Vec::new();
            let report = imputer.clone().with_threads(Some(1)).draw_csv(&csv, 3, 5, true, true, &mut out).unwrap();
            assert!(out == long, "{block}: {}", String::from_utf8_lossy(&out));
            let means = |report: &Report| report.guidance.as_ref().map(|g| (g.m, g.suggested_m, g.means.len()));
            assert_eq!(means(&report), means(draws.report()));
            let same = Report { guidance: draws.report().guidance.clone(), ..report };
            assert_eq!(json(&same), json(draws.report()), "{block}");
        }
    }

    #[test]
    fn a_file_without_rows_or_of_other_columns_is_told() {
        let fitted = read(&text(0..60), None);
        let formats = fitted.formats().into_iter().fold(SchemaOptions::default(), |o, (name, f)| o.format(&name, &f));
        let imputer = VaeConfig::default().epochs(1).hidden(8).members(1).fit(&fitted.to_frame().unwrap()).unwrap();
        let imputer = imputer.with_csv(&fitted, &CsvOptions::default(), &formats);
        let mut out = Vec::new();
        let report = imputer.fill_csv(&read("x,level,day,n\n", Some(&imputer)), true, &mut out).unwrap();
        assert_eq!((report.rows, report.filled(), out.as_slice()), (0, 0, &b"x,level,day,n\n"[..]));
        let e = imputer.fill_csv(&read("x,level\n", Some(&imputer)), true, &mut out).unwrap_err().to_string();
        assert!(e.starts_with("the table does not agree with the fit in 2 columns: `day` is absent"), "{e}");
        let e = imputer.draw_csv(&read("x,.id\n", Some(&imputer)), 1, 0, false, true, &mut out).unwrap_err().to_string();
        assert!(e.contains("column `.id` has the name of one that the long form adds"), "{e}");
    }
}
