//! Cells of a CSV file that are no gaps to fill: those that it declares not applicable, and those emptied on purpose.

use std::io::{BufWriter, Write};

use super::records::quote;
use super::{AT_ONCE, Chunk, CsvTable};
use crate::error::{Error, Result};

impl CsvTable {
    /// The cells that are not applicable by [`CsvOptions::not_applicable`](super::CsvOptions), null in the frame: columns that have
    /// some, in file order, with their rows, 0-based, ascending.
    ///
    /// ```
    /// use lacuna::{CsvOptions, CsvTable, Fit, Imputer, MeanConfig, SchemaOptions};
    /// let options = CsvOptions { not_applicable: vec!["n/a".into()], ..CsvOptions::default() };
    /// let csv = "x\n1\nn/a\n\n3\n";
    /// let table = CsvTable::read(csv.as_bytes(), "t.csv".as_ref(), &options, &SchemaOptions::default())?;
    /// let cells = table.not_applicable()?;
    /// assert_eq!(cells, [("x".to_string(), vec![1])]);
    /// let df = table.to_frame()?;
    /// let filled = MeanConfig::default().fit(&df)?.fill(&df)?.with_not_applicable(&cells)?;
    /// let mut out = Vec::new();
    /// filled.write_csv(&table, true, &mut out)?;
    /// assert_eq!(out, b"x\n1\nn/a\n2\n3\n");
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file is on disk and changed.
    pub fn not_applicable(&self) -> Result<Vec<(String, Vec<usize>)>> {
        let mut rows = vec![Vec::new(); self.columns.len()];
        if self.columns.iter().any(|c| c.missing.knows_not_applicable()) {
            let mut chunks = self.chunks(AT_ONCE)?;
            while let Some(chunk) = chunks.next()? {
                self.add_not_applicable(&chunk, chunk.first, &mut rows);
            }
        }
        Ok(self.named(rows))
    }

    /// Those of some rows, which count from the first of these.
    pub(crate) fn chunk_not_applicable(&self, chunk: &Chunk<'_>) -> Vec<(String, Vec<usize>)> {
        let mut rows = vec![Vec::new(); self.columns.len()];
        if self.columns.iter().any(|c| c.missing.knows_not_applicable()) {
            self.add_not_applicable(chunk, 0, &mut rows);
        }
        self.named(rows)
    }

    fn named(&self, rows: Vec<Vec<usize>>) -> Vec<(String, Vec<usize>)> {
        self.header.iter().cloned().zip(rows).filter(|(_, rows)| !rows.is_empty()).collect()
    }

    fn add_not_applicable(&self, chunk: &Chunk<'_>, first: usize, rows: &mut [Vec<usize>]) {
        let records = chunk.splits.iter().flat_map(|split| split.records().map(|fields| (&*split.text, fields)));
        for (row, (text, fields)) in (first..).zip(records) {
            let cells = fields.iter().zip(&self.columns).zip(&mut *rows);
            let cells = cells.filter(|((f, column), _)| column.missing.is_not_applicable(f.raw(text), &f.text(text)));
            cells.for_each(|(_, rows)| rows.push(row));
        }
    }

    /// Copies the text with `gap` in the given cells: one list of rows, ascending, a column of the file.
    pub(crate) fn write_emptied(&self, rows: &[&[usize]], gap: &str, out: impl Write) -> Result<()> {
        // An empty field without quotes is missing everywhere.
        let gap = if gap.is_empty() { gap.into() } else { quote(gap, self.delimiter, false) };
        let failed = |e| Error::io(None, "write", e);
        let mut out = BufWriter::new(out);
        out.write_all(self.head.as_bytes()).map_err(failed)?;
        let mut next = vec![0; rows.len()];
        let mut row = 0;
        let mut chunks = self.chunks(AT_ONCE)?;
        while let Some(chunk) = chunks.next()? {
            for split in &chunk.splits {
                let text = split.text.as_bytes();
                let mut copied = 0;
                for fields in split.records() {
                    for ((field, rows), next) in fields.iter().zip(rows).zip(&mut next) {
                        if rows.get(*next) == Some(&row) {
                            *next += 1;
                            let field = field.range();
                            out.write_all(&text[copied..field.start]).map_err(failed)?;
                            out.write_all(gap.as_bytes()).map_err(failed)?;
                            copied = field.end;
                        }
                    }
                    row += 1;
                }
                out.write_all(&text[copied..]).map_err(failed)?;
            }
        }
        out.flush().map_err(failed)
    }
}
