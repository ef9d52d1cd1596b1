//! Cells of a CSV file that are no gaps to fill: those that it declares not applicable, and those emptied on purpose.

use std::io::{BufWriter, Write};

use super::CsvTable;
use super::records::quote;
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
    /// let cells = table.not_applicable();
    /// assert_eq!(cells, [("x".to_string(), vec![1])]);
    /// let df = table.to_frame()?;
    /// let filled = MeanConfig::default().fit(&df)?.fill(&df)?.with_not_applicable(&cells)?;
    /// let mut out = Vec::new();
    /// filled.write_csv(&table, true, &mut out)?;
    /// assert_eq!(out, b"x\n1\nn/a\n2\n3\n");
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn not_applicable(&self) -> Vec<(String, Vec<usize>)> {
        let mut rows = vec![Vec::new(); self.columns.len()];
        if self.columns.iter().any(|c| c.missing.knows_not_applicable()) {
            let mut records = self.records();
            records.next();
            for row in 0..self.rows {
                records.next();
                let cells = records.both().zip(&self.columns).zip(&mut rows);
                let cells = cells.filter(|(((raw, text), column), _)| column.missing.is_not_applicable(raw, text));
                cells.for_each(|(_, rows)| rows.push(row));
            }
        }
        self.header.iter().cloned().zip(rows).filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// Copies the text with `gap` in the given cells: one list of rows, ascending, a column of the file.
    pub(crate) fn write_emptied(&self, rows: &[&[usize]], gap: &str, out: impl Write) -> Result<()> {
        // An empty field without quotes is missing everywhere.
        let gap = if gap.is_empty() { gap.into() } else { quote(gap, self.delimiter, false) };
        let mut out = BufWriter::new(out);
        let mut next = vec![0; rows.len()];
        let mut copy = || -> std::io::Result<()> {
            let body = self.body();
            out.write_all(&self.text.as_bytes()[..self.text.len() - body.len()])?;
            let mut records = self.records();
            let mut copied = 0;
            records.next();
            for row in 0..self.rows {
                records.next();
                for ((field, rows), next) in records.fields.iter().zip(rows).zip(&mut next) {
                    if rows.get(*next) == Some(&row) {
                        *next += 1;
                        out.write_all(&body.as_bytes()[copied..field.start])?;
                        out.write_all(gap.as_bytes())?;
                        copied = field.end;
                    }
                }
            }
            out.write_all(&body.as_bytes()[copied..])?;
            out.flush()
        };
        copy().map_err(|e| Error::io(None, "write", e))
    }
}
