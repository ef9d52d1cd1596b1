//! Rows that a fitted model makes: drawn anew, given some of their cells, or decoded from latent points.

use std::io::Write;
use std::sync::Arc;

use ::polars::prelude::{DataFrame, DataType, IntoColumn, NamedFrom, PlSmallStr, Series};
use arrow::record_batch::RecordBatch;
use ndarray::Array2;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::data::arrow::{to_batch, write_csv};
use crate::data::csv::CsvTable;
use crate::data::polars::missing;
use crate::data::scaling::Rows;
use crate::data::schema::{Column, Role, Schema};
use crate::data::table::{Cells, Table};
use crate::data::{cells, physical};
use crate::error::{Error, ErrorKind, Result, Warning};
use crate::impute::support::Support;
use crate::impute::vae::VaeImputer;
use crate::impute::{Imputations, in_pool};
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, Stream, normals, pair, stream};
use crate::train::show_block;

/// What rows to make: how many, with which cells given, with or without gaps.
///
/// ```
/// use lacuna::{Fit, Generate, VaeConfig};
/// use polars::prelude::*;
/// let x: Vec<i64> = (0..60).map(|i| i % 12).collect();
/// let even: Vec<&str> = x.iter().map(|x| if x % 2 == 0 { "even" } else { "odd" }).collect();
/// let imputer = VaeConfig::default().epochs(4).fit(&df!("x" => x, "parity" => even)?)?;
/// let rows = imputer.generate(&Generate::rows(20).given("parity", "odd").seed(1))?;
/// assert_eq!(rows.frame.dtypes(), [DataType::Int64, DataType::String]);
/// assert!(rows.frame.column("parity")?.str()?.iter().all(|p| p == Some("odd")));
/// # Ok::<(), lacuna::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generate {
    /// Rows.
    pub rows: usize,
    /// Cells that every row has, by column: the text of a cell as the fitted table writes it.
    pub given: Vec<(String, String)>,
    /// Rows have gaps where rows of the fitted table had them: the pattern of one of its rows, at random.
    pub with_gaps: bool,
    /// Seed of the draws.
    pub seed: u64,
}

impl Generate {
    /// So many rows, every cell of them drawn.
    pub fn rows(rows: usize) -> Generate {
        Generate { rows, ..Generate::default() }
    }

    /// Gives every row a cell; a later one of the same column replaces it.
    pub fn given(mut self, column: &str, cell: &str) -> Self {
        self.given.retain(|(name, _)| name != column);
        self.given.push((column.into(), cell.into()));
        self
    }

    /// Lets rows have gaps as those of the fitted table.
    pub fn with_gaps(mut self) -> Self {
        self.with_gaps = true;
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Rows that a model made: a table like that of its fit.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The columns of the fitted table, in their order and types. Columns without a model are missing throughout.
    pub frame: DataFrame,
    /// What was decided alone: [`Warning::NotGenerated`] and what is said of given cells.
    pub warnings: Vec<Warning>,
    /// The file that the rows are written as, where the fit's was CSV: all cells, and those to be written as missing.
    csv: Option<(CsvTable, Imputations)>,
}

impl Generated {
    /// Writes the rows as CSV, as the file of the fit was written: its delimiter, decimals, formats of dates, quotes. After a fit
    /// of a frame or an Arrow table as [`write_csv`] does.
    ///
    /// # Errors
    /// A column that has no CSV form; writing fails.
    pub fn write_csv(&self, out: impl Write) -> Result<()> {
        match &self.csv {
            Some((csv, rows)) => rows.filled(0)?.write_csv(csv, true, out),
            None => write_csv(&self.to_record_batch()?, out),
        }
    }

    /// The rows as an Arrow batch.
    ///
    /// # Errors
    /// A column of a type that has no Arrow form here.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        to_batch(&self.frame)
    }
}

impl VaeImputer {
    /// Makes rows by drawing from the model. See [`Generate`] for what they are to be.
    ///
    /// A row's first cells are drawn with z ~ N(0, I) (or, where cells are given, from the conditional prior); the others follow a
    /// few at a time in an order of the row's own, each group given all cells before it, with z ~ p(z | x_v) drawn anew. That is the
    /// chain rule with the conditionals that the training is mostly about. Row `i` depends on the seed, on `i` and on what is given,
    /// not on the number of rows. Cost: up to 33 decoder passes a row.
    ///
    /// # Errors
    /// A column that the fit did not have; a given cell that its column cannot hold; gaps are asked for and the fitted table had
    /// none.
    pub fn generate(&self, options: &Generate) -> Result<Generated> {
        if options.with_gaps && self.likeness.gaps.is_empty() {
            return Err(Error::config("with_gaps", "true", "false: the fitted table had no gaps"));
        }
        let schema = self.schema_of_rows();
        let (csv, frame) = self.rows_of(&options.given, options.rows)?;
        let mut table = Table::from_frame(&frame, &schema)?;
        if let Some(Warning::UnseenLevels { column, example, .. }) =
            table.warnings.iter().find(|w| matches!(w, Warning::UnseenLevels { .. }))
        {
            let levels = schema.column(column).map_or(&[][..], |c| c.levels());
            return Err(Error::config(format!("the given {column}"), format!("'{example}'"), one_of(levels)));
        }
        table.warnings = not_generated(&schema);
        let values = in_pool(self.threads, || self.draw_made(&table, options.seed))??;
        let cells = cells_of(&table, |row, k| values[(row, k)]);
        let gaps = options.with_gaps.then(|| self.gaps_of_rows(&schema, options));
        self.made(&frame, csv, table, cells, gaps.as_deref())
    }

    /// The columns of the fit with all their gaps to be filled, floats with the decimals of the fitted table.
    pub(super) fn schema_of_rows(&self) -> Arc<Schema> {
        let mut schema = self.schema.as_ref().clone();
        let decimals = |k: usize| self.likeness.decimals.get(k).copied().flatten();
        let step = |k| decimals(k).map(|places| 10f64.powi(-i32::from(places)));
        let steps: Vec<Option<f64>> = (0..schema.modelled().len()).map(step).collect();
        schema.for_rows(&steps);
        Arc::new(schema)
    }

    /// Rows with nothing but the given cells, and the file that they would be.
    pub(super) fn rows_of(&self, given: &[(String, String)], rows: usize) -> Result<(Option<CsvTable>, DataFrame)> {
        let known = || self.schema.columns().iter().map(|c| c.name.clone()).collect();
        for (name, text) in given {
            let Some(column) = self.schema.column(name) else {
                return Err(ErrorKind::UnknownColumn { column: name.clone(), known: known() }.into());
            };
            if let Role::Left(why) = column.role {
                return Err(Error::config(
                    format!("the given {name}"),
                    format!("'{text}'"),
                    format!("left out: {why}, no model of the column"),
                ));
            }
            if self.likeness.csv.as_ref().is_some_and(|form| !form.reads(name, text)) {
                return Err(unreadable(column, text));
            }
        }
        let csv = match &self.likeness.csv {
            Some(form) => Some(form.rows_of(given, rows, self.csv_options(), &self.csv_columns())?),
            None => None,
        };
        let frame = match &csv {
            Some(csv) => csv.to_frame()?,
            None => {
                let column = |c: &Column| -> Result<_> {
                    let text = given.iter().find(|(name, _)| *name == c.name).map(|(_, text)| text.as_str());
                    Ok(cells_alike(c, text, rows)?.into_column())
                };
                DataFrame::new(rows, self.schema.columns().iter().map(column).collect::<Result<_>>()?)?
            }
        };
        for (name, text) in given {
            if rows > 0 && missing(frame.column(name)?)?[0] {
                let column = self.schema.column(name).expect("checked above");
                return Err(unreadable(column, text));
            }
        }
        Ok((csv, frame))
    }

    /// One value a row and modelled column, in data units: the table's own where it has one, the others drawn.
    fn draw_made(&self, table: &Table, seed: u64) -> Result<Array2<f64>> {
        let mut tilts: Vec<Vec<f64>> =
            self.likeness.supports.iter().map(|s| vec![1.0; s.as_ref().map_or(0, Support::len)]).collect();
        if table.n() > 0 {
            // What the heads make of each column by themselves, in rows that nothing is given of.
            let (_, empty) = self.rows_of(&[], PILOT_ROWS)?;
            let pilot = Table::from_frame(&empty, &table.schema)?;
            for round in 0..PILOT_ROUNDS {
                let (_, seen) = self.draw_table(&pilot, pair(self.seed, round), &tilts);
                for ((tilt, seen), support) in tilts.iter_mut().zip(&seen).zip(&self.likeness.supports) {
                    let mean: Vec<f64> = seen.iter().map(|s| s / PILOT_ROWS as f64).collect();
                    *tilt = support.as_ref().map_or(Vec::new(), |support| support.tilt(tilt, &mean));
                }
            }
        }
        Ok(self.draw_table(table, seed, &tilts).0)
    }

    /// The values, and how often each value or bin of a column's support came up.
    fn draw_table(&self, table: &Table, seed: u64, tilts: &[Vec<f64>]) -> (Array2<f64>, Vec<Vec<f64>>) {
        let mut values = table.values.clone();
        let mut seen: Vec<Vec<f64>> = tilts.iter().map(|t| vec![0.0; t.len()]).collect();
        let members = self.members.len();
        let given: Rows<f32> = self.scaling.rows(table);
        // A row belongs to one network, whatever the number of rows.
        let blocks: Vec<(usize, Vec<usize>)> = (0..members)
            .flat_map(|m| {
                let rows: Vec<usize> = (m..table.n()).step_by(members).collect();
                rows.chunks(BLOCK).map(|rows| (m, rows.to_vec())).collect::<Vec<_>>()
            })
            .collect();
        let buffers = || Block::new(&self.vae, 1);
        let draw = |block: &mut Block<f32>, (m, of): &(usize, Vec<usize>)| {
            let mut rows = DrawnRows::new(table, &given, of, seed);
            let mut seen: Vec<Vec<f64>> = tilts.iter().map(|t| vec![0.0; t.len()]).collect();
            rows.draw(self, table, *m, tilts, &mut seen, block);
            (rows.values, seen)
        };
        let drawn: Vec<_> = blocks.par_iter().map_init(buffers, draw).collect();
        for ((_, of), (drawn, some)) in blocks.iter().zip(drawn) {
            of.iter().zip(drawn.rows()).for_each(|(&row, drawn)| values.row_mut(row).assign(&drawn));
            seen.iter_mut().flatten().zip(some.iter().flatten()).for_each(|(s, x)| *s += x);
        }
        (values, seen)
    }

    /// Which cells of rows are to be gaps: the rows of every column of the schema.
    fn gaps_of_rows(&self, schema: &Schema, options: &Generate) -> Vec<Vec<usize>> {
        let mut rows = vec![Vec::new(); schema.columns().len()];
        let total: u32 = self.likeness.gaps.iter().map(|(_, rows)| rows).sum();
        for row in 0..options.rows {
            // A stream of its own, so that the cells are those of the rows without gaps.
            let mut u = stream(options.seed, Purpose::Gaps, row as u64).random_range(0..total);
            let pattern = self.likeness.gaps.iter().find(|(_, rows)| {
                let here = u < *rows;
                u = u.wrapping_sub(*rows);
                here
            });
            for &k in pattern.map_or(&[][..], |(gaps, _)| gaps) {
                let j = schema.modelled()[k as usize];
                if !options.given.iter().any(|(name, _)| *name == schema.columns()[j].name) {
                    rows[j].push(row);
                }
            }
        }
        rows
    }

    /// Rows from cells for every gap of a table; `gaps` are to be missing all the same.
    pub(super) fn made(
        &self,
        frame: &DataFrame,
        csv: Option<CsvTable>,
        mut table: Table,
        mut cells: Cells,
        gaps: Option<&[Vec<usize>]>,
    ) -> Result<Generated> {
        for (j, out) in gaps.unwrap_or_default().iter().enumerate().filter(|(_, out)| !out.is_empty()) {
            let mut stay = vec![true; table.n()];
            out.iter().for_each(|&row| stay[row] = false);
            let kept = |row: &usize| stay[*row];
            cells[j] = table.gaps.rows[j].iter().zip(&cells[j]).filter(|(row, _)| kept(row)).map(|(_, &x)| x).collect();
            table.gaps.rows[j].retain(kept);
        }
        let warnings = table.warnings.clone();
        let rows = Imputations::new(frame, table, vec![cells], &self.info);
        Ok(Generated { frame: rows.completed(0)?, warnings, csv: csv.map(|csv| (csv, rows)) })
    }
}

/// Rows of one block on their way.
struct DrawnRows {
    /// In model units, NaN where not drawn yet.
    rows: Rows<f32>,
    /// In data units, (rows, d).
    values: Array2<f64>,
    streams: Vec<Stream>,
    /// The columns that are not given, in each row's own order.
    orders: Vec<Vec<usize>>,
}

/// Groups of cells that are drawn one after the other, at most.
const GROUPS: usize = 32;
/// Rows from which the tilt of a column's values is learned.
const PILOT_ROWS: usize = 512;
/// How often it is.
const PILOT_ROUNDS: u64 = 2;

impl DrawnRows {
    fn new(table: &Table, given: &Rows<f32>, of: &[usize], seed: u64) -> DrawnRows {
        let d = table.d();
        let take = |x: &Array2<f32>| Array2::from_shape_fn((of.len(), d), |(r, k)| x[(of[r], k)]);
        let rows = Rows { target: take(&given.target), place: take(&given.place) };
        let values = Array2::from_shape_fn((of.len(), d), |(r, k)| table.values[(of[r], k)]);
        let mut streams: Vec<Stream> = of.iter().map(|&row| stream(seed, Purpose::Generate, row as u64)).collect();
        let order = |(rng, row): (&mut Stream, ndarray::ArrayView1<f64>)| {
            let mut order: Vec<usize> = (0..d).filter(|&k| row[k].is_nan()).collect();
            order.shuffle(rng);
            order
        };
        let orders = streams.iter_mut().zip(values.rows()).map(order).collect();
        DrawnRows { rows, values, streams, orders }
    }

    /// Draws every cell that is not given.
    fn draw(
        &mut self,
        model: &VaeImputer,
        table: &Table,
        m: usize,
        tilts: &[Vec<f64>],
        seen: &mut [Vec<f64>],
        block: &mut Block<f32>,
    ) {
        let longest = self.orders.iter().map(Vec::len).max().unwrap_or(0);
        let groups = longest.min(GROUPS);
        let places: Vec<usize> = (0..self.streams.len()).collect();
        let mut noise = Array2::zeros((BLOCK, model.vae.latent));
        for g in 0..groups {
            let part = |order: &Vec<usize>| order[g * order.len() / groups..(g + 1) * order.len() / groups].to_vec();
            let parts: Vec<Vec<usize>> = self.orders.iter().map(part).collect();
            for (r, (rng, mut e)) in self.streams.iter_mut().zip(noise.rows_mut()).enumerate() {
                e.assign(&normals((1, model.vae.latent), rng).row(0));
                // A row with nothing visible has the prior's point even in a plain autoencoder.
                e *= if self.rows.target.row(r).iter().all(|x| x.is_nan()) { 1.0 } else { model.spread() };
            }
            // A cell that is not drawn is NaN, which is not shown.
            show_block(&model.view(), &self.rows, &places, |_, _| true, block);
            let eta = block.draw(&model.vae, &model.members[m], noise.view());
            for (r, part) in parts.iter().enumerate() {
                let eta = eta.row(r);
                let eta = eta.to_slice().expect("standard layout");
                for &k in part {
                    let (head, scaling, rng) = (&model.vae.heads[k], &model.scaling.columns[k], &mut self.streams[r]);
                    let eta = &eta[head.eta.clone()];
                    let x = match &model.likeness.supports.get(k) {
                        Some(Some(support)) => {
                            let lone = |rng: &mut Stream| model.draw_cell(k, eta, None, rng);
                            support.draw((&head.law, eta), scaling, &tilts[k], rng, &mut seen[k], lone)
                        }
                        _ => model.draw_cell(k, eta, None, rng),
                    };
                    let column = &table.schema.columns()[table.schema.modelled()[k]];
                    let x = if column.kind.is_numeric() { column.admit(x) } else { x };
                    self.values[(r, k)] = x;
                    self.rows.target[(r, k)] = scaling.target(x) as f32;
                    self.rows.place[(r, k)] = scaling.place(x) as f32;
                }
            }
        }
    }
}

/// The columns that rows are made without.
pub(super) fn not_generated(schema: &Schema) -> Vec<Warning> {
    let left = schema.columns().iter().filter_map(|c| match c.role {
        Role::Left(why) => Some(Warning::NotGenerated { column: c.name.clone(), why: why.to_string() }),
        _ => None,
    });
    left.collect()
}

/// A value for every gap: the modelled column's, or the only one of a constant column.
pub(super) fn cells_of(table: &Table, value: impl Fn(usize, usize) -> f64) -> Cells {
    let mut cells = table.constant_cells();
    for (k, &j) in table.schema.modelled().iter().enumerate() {
        cells[j].iter_mut().zip(&table.gaps.rows[j]).for_each(|(x, &row)| *x = value(row, k));
    }
    cells
}

/// A column of the fit in which every cell says the same, or is missing.
fn cells_alike(column: &Column, text: Option<&str>, rows: usize) -> Result<Series> {
    let name = PlSmallStr::from_str(&column.name);
    let empty = Series::full_null(name.clone(), rows, &column.dtype);
    let Some(text) = text else { return Ok(empty) };
    let wrong = || unreadable(column, text);
    Ok(match &column.dtype {
        dtype if physical::range(dtype).is_some() => {
            let cell = physical::parse(dtype, text.trim()).ok_or_else(wrong)?;
            cells::with_cells(&empty, &(0..rows).collect::<Vec<_>>(), &vec![cell; rows])?
        }
        DataType::Float32 | DataType::Float64 => {
            let x: f64 = text.trim().parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(wrong)?;
            Series::new(name, vec![x; rows]).cast(&column.dtype)?
        }
        DataType::Boolean => {
            let x: bool = text.trim().parse().map_err(|_| wrong())?;
            Series::new(name, vec![x; rows])
        }
        dtype => Series::new(name, vec![text; rows]).cast(dtype).map_err(|_| wrong())?,
    })
}

/// A given cell that is none of its column.
fn unreadable(column: &Column, text: &str) -> Error {
    let due = match column.kind.has_levels() {
        true => one_of(column.levels()),
        false => format!("a cell of a column of type {}, written as in the table", column.dtype),
    };
    Error::config(format!("the given {}", column.name), format!("'{text}'"), due)
}

/// The levels for people, as many as are read.
fn one_of(levels: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = levels.iter().take(SHOWN).map(|l| format!("'{l}'")).collect();
    let more = if levels.len() > SHOWN { format!(", … ({} levels)", levels.len()) } else { String::new() };
    format!("one of {}{more}", shown.join(", "))
}
