//! Records to bytes, with fills in their gaps.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use rayon::prelude::*;

use super::cell::TWO_63;
use super::column::{CellForm, TextColumn};
use super::records::{Records, line_end, quote};
use super::source::BLOCK;
use super::{AT_ONCE, BOM, Chunk, CsvTable, Split};
use crate::data::schema::{Column, Schema};
use crate::data::table::{Cells, Gaps};
use crate::error::{Error, Result};

/// A column that the output has beside those of the file: one text a row, at its end.
pub(crate) struct Appended {
    pub name: String,
    pub cells: Vec<String>,
}

/// The fills of some rows of a file: the gaps count from row `base` of the file.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub gaps: &'a Gaps,
    pub cells: &'a Cells,
    pub base: usize,
}

impl CsvTable {
    /// Copies the text with the cells in its gaps, and columns at its end.
    pub(crate) fn write(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        cells: &Cells,
        added: &[Appended],
        round: bool,
        mut out: impl Write,
    ) -> Result<()> {
        let failed = |e| Error::io(None, "write", e);
        if gaps.len() == 0 && added.is_empty() {
            let mut blocks = self.source.blocks(0, self.delimiter, BLOCK).map_err(|e| self.trouble(e, 0))?;
            while let Some(bytes) = blocks.any(BLOCK).map_err(|e| self.trouble(e, 0))? {
                out.write_all(&bytes).map_err(failed)?;
            }
            return out.flush().map_err(failed);
        }
        let writer = CsvWriter::new(self, schema, added, round);
        let mut out = BufWriter::new(out);
        writer.head(false, &mut out)?;
        writer.table(None, Some(Filling { gaps, cells, base: 0 }), &mut out)?;
        out.flush().map_err(failed)
    }

    /// Writes tables under each other, with their number as `.imp` and that of the row as `.id` (1 to n) first; without cells,
    /// the table as it is.
    pub(crate) fn write_long(
        &self,
        schema: &Schema,
        gaps: &Gaps,
        tables: &[(usize, Option<&Cells>)],
        added: &[Appended],
        round: bool,
        out: impl Write,
    ) -> Result<()> {
        let writer = CsvWriter::new(self, schema, added, round);
        let mut out = BufWriter::new(out);
        writer.head(true, &mut out)?;
        for &(imp, cells) in tables {
            writer.table(Some(imp), cells.map(|cells| Filling { gaps, cells, base: 0 }), &mut out)?;
        }
        out.flush().map_err(|e| Error::io(None, "write", e))
    }

    /// Copies the text with one fill a column in all its gaps, those of the schema's columns in `fills`. Says of each column of
    /// the file how many cells are missing, those that are not applicable among them, and how many are those.
    pub(crate) fn write_same(
        &self,
        schema: &Schema,
        fills: &[Option<f64>],
        round: bool,
        out: impl Write,
    ) -> Result<Vec<[usize; 2]>> {
        let failed = |e| Error::io(None, "write", e);
        let writer = CsvWriter::new(self, schema, &[], round);
        let text = |(j, style): &(usize, Style)| {
            let text = style.text(fills[*j]?)?;
            Some(quote(&text, self.delimiter, style.text.quoted).into_owned())
        };
        let texts: Vec<Option<String>> = writer.styles.iter().map(|style| style.as_ref().and_then(text)).collect();
        let mut out = BufWriter::new(out);
        writer.head(false, &mut out)?;
        let mut counts = vec![[0; 2]; self.columns.len()];
        let mut chunks = self.chunks(AT_ONCE)?;
        while let Some(chunk) = chunks.next()? {
            let parts: Vec<_> = chunk.splits.par_iter().map(|split| self.same(split, &texts)).collect();
            for (text, found) in parts {
                out.write_all(&text).map_err(failed)?;
                counts.iter_mut().zip(found).for_each(|(all, more)| (0..2).for_each(|i| all[i] += more[i]));
            }
            chunks.give_back(chunk);
        }
        out.flush().map_err(failed)?;
        Ok(counts)
    }

    /// The rows of a block with one fill a column, and the counts of each column.
    fn same(&self, split: &Split, fills: &[Option<String>]) -> (Vec<u8>, Vec<[usize; 2]>) {
        let text = split.text.as_bytes();
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        let mut counts = vec![[0; 2]; fills.len()];
        let mut copied = 0;
        for fields in split.records() {
            for (((field, column), fill), count) in fields.iter().zip(&self.columns).zip(fills).zip(&mut counts) {
                let missing = &column.missing;
                if !missing.may_be(field.bytes(text)) {
                    continue;
                }
                let (raw, says) = (field.raw(&split.text), field.text(&split.text));
                if !missing.is(raw, &says) {
                    continue;
                }
                count[0] += 1;
                match fill {
                    _ if missing.knows_not_applicable() && missing.is_not_applicable(raw, &says) => count[1] += 1,
                    Some(fill) => {
                        let field = field.range();
                        out.extend_from_slice(&text[copied..field.start]);
                        out.extend_from_slice(fill.as_bytes());
                        copied = field.end;
                    }
                    None => {}
                }
            }
        }
        out.extend_from_slice(&text[copied..]);
        (out, counts)
    }

    /// Numbers or codes of levels of one column as it writes its own, without quotes.
    pub(crate) fn texts(&self, column: &Column, cells: &[f64], round: bool) -> Vec<String> {
        let at = self.header.iter().position(|name| name == column.name());
        at.map_or_else(Vec::new, |at| {
            let text = &self.columns[at];
            let levels = column.levels().iter().map(|l| text.form.level(l)).collect();
            let style = Style { column, text, levels, round };
            cells.iter().map(|&x| style.text(x).map_or_else(String::new, Cow::into_owned)).collect()
        })
    }
}

/// Writes a file's rows with fills, some at a time.
pub(crate) struct CsvWriter<'a> {
    table: &'a CsvTable,
    schema: &'a Schema,
    added: &'a [Appended],
    /// Of each column of the file that the schema has: its place there, and how fills are written.
    styles: Vec<Option<(usize, Style<'a>)>>,
}

impl<'a> CsvWriter<'a> {
    pub fn new(table: &'a CsvTable, schema: &'a Schema, added: &'a [Appended], round: bool) -> CsvWriter<'a> {
        // A column that the fit did not have passes through.
        let style = |(name, text): (&String, &'a TextColumn)| {
            let j = schema.columns().iter().position(|c| c.name() == name)?;
            let column = &schema.columns()[j];
            let levels = column.levels().iter().map(|l| text.form.level(l)).collect();
            Some((j, Style { column, text, levels, round }))
        };
        let styles = table.header.iter().zip(&table.columns).map(style).collect();
        CsvWriter { table, schema, added, styles }
    }

    /// Writes the header; of the long form, with `.imp` and `.id`.
    pub fn head(&self, long: bool, out: &mut impl Write) -> Result<()> {
        let CsvTable { header, head, delimiter, .. } = self.table;
        if let Some(taken) = header.iter().find(|n| long && (*n == ".imp" || *n == ".id")) {
            let message = format!("column `{taken}` has the name of one that the long form adds; rename it");
            return Err(self.table.bad(None, message));
        }
        let body = head.strip_prefix(BOM).unwrap_or(head);
        let mut records = Records::new(body, *delimiter, false);
        records.next();
        let mut text = head.as_bytes()[..head.len() - body.len()].to_vec();
        let mut copied = 0;
        if long {
            copied = records.line.start;
            let between = char::from(*delimiter);
            text.extend_from_slice(format!(".imp{between}.id{between}").as_bytes());
        }
        let end = records.fields.last().map_or(0, |field| field.range().end);
        text.extend_from_slice(&body.as_bytes()[copied..end]);
        self.added.iter().for_each(|a| self.append(&mut text, &a.name));
        let line = &body.as_bytes()[end..records.line.end];
        text.extend_from_slice(line);
        if long && line.is_empty() {
            text.extend_from_slice(self.table.newline.as_bytes());
        }
        out.write_all(&text).map_err(|e| Error::io(None, "write", e))
    }

    /// Writes all rows of the file.
    fn table(&self, imp: Option<usize>, filling: Option<Filling>, out: &mut impl Write) -> Result<()> {
        let mut chunks = self.table.chunks(AT_ONCE)?;
        while let Some(chunk) = chunks.next()? {
            self.rows(&chunk, imp, filling, out)?;
        }
        Ok(())
    }

    /// Writes some rows; of the long form, with the number of their table.
    pub fn rows(&self, chunk: &Chunk<'_>, imp: Option<usize>, filling: Option<Filling>, out: &mut impl Write) -> Result<()> {
        if let Some(Filling { gaps, .. }) = filling {
            let filled = self.schema.columns().iter().zip(&gaps.rows).filter(|(_, rows)| !rows.is_empty());
            if let Some((column, _)) = filled.into_iter().find(|(c, _)| !self.table.header.iter().any(|name| name == c.name())) {
                let (name, path) = (column.name(), self.table.path.display());
                return Err(Error::schema(format!("column `{name}` of the filled table is not in `{path}`")));
            }
        }
        let starts = chunk.splits.iter().scan(chunk.first, |row, split| {
            let first = *row;
            *row += split.rows();
            Some(first)
        });
        let splits: Vec<(usize, &Split)> = starts.zip(&chunk.splits).collect();
        let texts: Vec<Vec<u8>> = splits.into_par_iter().map(|(first, split)| self.split(split, first, imp, filling)).collect();
        texts.iter().try_for_each(|text| out.write_all(text)).map_err(|e| Error::io(None, "write", e))
    }

    /// The rows of a block, with fills.
    fn split(&self, split: &Split, first: usize, imp: Option<usize>, filling: Option<Filling>) -> Vec<u8> {
        let text = split.text.as_bytes();
        let between = self.table.delimiter;
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        let base = filling.map_or(0, |f| f.base);
        let mut fills = filling.map_or_else(Vec::new, |f| self.fills(f, first - base));
        let mut copied = 0;
        for (row, fields) in (first..).zip(split.records()) {
            if let Some(imp) = imp {
                copied = fields[0].range().start;
                // Writing to memory does not fail.
                let _ = write!(out, "{imp}{0}{1}{0}", char::from(between), row + 1);
            }
            for fill in &mut fills {
                let field = fields[fill.field].range();
                if let Some(cell) = fill.at(row - base) {
                    out.extend_from_slice(&text[copied..field.start]);
                    out.extend_from_slice(cell);
                    copied = field.end;
                }
            }
            let end = fields[fields.len() - 1].range().end;
            if !self.added.is_empty() {
                out.extend_from_slice(&text[copied..end]);
                self.added.iter().for_each(|a| self.append(&mut out, &a.cells[row]));
                copied = end;
            }
            if imp.is_some() {
                let line = end + line_end(text, end);
                out.extend_from_slice(&text[copied..line]);
                copied = line;
                if line == end {
                    out.extend_from_slice(self.table.newline.as_bytes());
                }
            }
        }
        if imp.is_none() {
            out.extend_from_slice(&text[copied..]);
        }
        out
    }

    /// The fills of each column from a row on, in the order of the fields.
    fn fills<'b>(&'b self, filling: Filling<'b>, from: usize) -> Vec<Fills<'b>> {
        let styles =
            self.styles.iter().enumerate().filter_map(|(field, style)| style.as_ref().map(|(j, style)| (field, *j, style)));
        let styles = styles.filter(|(_, j, _)| !filling.gaps.rows[*j].is_empty());
        let fills = styles.map(|(field, j, style)| {
            let rows = &filling.gaps.rows[j];
            let next = rows.partition_point(|&row| row < from);
            Fills {
                rows: &rows[next..],
                cells: &filling.cells[j][next..],
                field,
                style,
                delimiter: self.table.delimiter,
                last: None,
            }
        });
        fills.collect()
    }

    /// Adds a field at the end of a line; an empty one stands for a missing cell.
    fn append(&self, out: &mut Vec<u8>, text: &str) {
        out.push(self.table.delimiter);
        if !text.is_empty() {
            out.extend_from_slice(quote(text, self.table.delimiter, false).as_bytes());
        }
    }
}

/// How a column's fills are written.
struct Style<'a> {
    column: &'a Column,
    text: &'a TextColumn,
    /// Each level as this file writes it.
    levels: Vec<String>,
    round: bool,
}

/// The filled cells of one column as fields, row by row.
struct Fills<'a> {
    rows: &'a [usize],
    cells: &'a [f64],
    field: usize,
    style: &'a Style<'a>,
    delimiter: u8,
    /// The last cell and its field: neighbours are often alike.
    last: Option<(f64, Option<String>)>,
}

impl Fills<'_> {
    /// The fill of a row, if it has one; rows are asked for in ascending order.
    fn at(&mut self, row: usize) -> Option<&[u8]> {
        if self.rows.first() != Some(&row) {
            return None;
        }
        let x = self.cells[0];
        (self.rows, self.cells) = (&self.rows[1..], &self.cells[1..]);
        if self.last.as_ref().is_none_or(|(last, _)| last.to_bits() != x.to_bits()) {
            let text = self.style.text(x).map(|text| quote(&text, self.delimiter, self.style.text.quoted).into_owned());
            self.last = Some((x, text));
        }
        self.last.as_ref()?.1.as_deref().map(str::as_bytes)
    }
}

impl Style<'_> {
    /// The text of a number or a level.
    fn text(&self, x: f64) -> Option<Cow<'_, str>> {
        if self.column.kind().has_levels() {
            return self.levels.get(x as usize).map(|l| Cow::Borrowed(l.as_str()));
        }
        let bounds = self.column.bounds();
        let number = match &self.text.form {
            // What the column is read as has to hold its fills too.
            CellForm::Integer(format) => (format, x.clamp(-TWO_63, TWO_63.next_down())),
            CellForm::Float(format) => (format, x),
            CellForm::Moment(form) => return Some(Cow::Owned(form.write(self.column.admit(x), bounds))),
            CellForm::Truth(_) | CellForm::Text(_) => return None,
        };
        Some(Cow::Owned(match (self.round, number) {
            (true, (format, x)) => format.rounded(self.column.admit(x), bounds),
            (false, (format, x)) => format.exact(x.clamp(bounds.0, bounds.1)),
        }))
    }
}
