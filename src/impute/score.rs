//! How odd rows are, and which of their cells.

use std::collections::HashMap;

use ::polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, Series};
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use crate::data::scaling::{ColumnScaling, Rows};
use crate::data::table::Table;
use crate::error::{Result, Warning};
use crate::impute::generate::Generate;
use crate::impute::vae::VaeImputer;
use crate::impute::{Gap, in_pool};
use crate::likelihood::{Likelihood, log_sum_exp};
use crate::model::bound::{Batch, Proposal, Workspace};
use crate::model::linear::Given;
use crate::model::posterior::{BLOCK, Block};
use crate::rng::{Purpose, normals, stream};

/// How odd the rows of a table are to a model: in nats, more of them the odder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scores {
    /// One a row: how much more surprising it is than rows that the model makes, with the same gaps. Zero for the model's own rows
    /// on average, and for a row without an observed cell.
    pub score: Vec<f64>,
    /// The share of the model's own rows, with the same gaps, that are less odd: 0 to 100.
    pub percentile: Vec<f64>,
    /// 1 for the oddest row; equals go by their place.
    pub rank: Vec<usize>,
    /// The importance-weighted bound on ln p(x_o) of the observed cells with nothing visible ([`VaeImputer::bound`]).
    pub log_likelihood: Vec<f64>,
    /// The modelled columns, in table order.
    pub columns: Vec<String>,
    /// (rows, columns): −ln p(x_j | x_o\j), each cell given all others of its row, less what that is on average in the model's own
    /// rows. NaN where a cell is missing.
    pub cells: Array2<f64>,
    /// What was decided alone.
    pub warnings: Vec<Warning>,
}

impl Scores {
    /// Latent points of a row in [`Scores::log_likelihood`].
    pub const POINTS: usize = 50;

    /// The column of a row's most surprising cell; `None` for a row without an observed cell.
    pub fn oddest(&self, row: usize) -> Option<&str> {
        let cells = self.cells.row(row);
        let seen = cells.iter().enumerate().filter(|(_, x)| !x.is_nan());
        seen.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(j, _)| self.columns[j].as_str())
    }

    /// All that as a table: columns `.id` (1 to n), `score`, `percentile`, `rank`, `log_likelihood`, `oddest` and `COLUMN_score` of every
    /// modelled column, null where a cell is missing.
    ///
    /// # Errors
    /// Two of these columns have one name.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let n = self.score.len();
        let whole = |name: &str, x: Vec<i64>| Series::new(name.into(), x).into_column();
        let number = |name: &str, x: &[f64]| Series::new(name.into(), x).into_column();
        let mut columns: Vec<Column> = vec![
            whole(".id", (1..=n as i64).collect()),
            number("score", &self.score),
            number("percentile", &self.percentile),
            whole("rank", self.rank.iter().map(|&r| r as i64).collect()),
            number("log_likelihood", &self.log_likelihood),
            Series::new("oddest".into(), (0..n).map(|i| self.oddest(i)).collect::<Vec<_>>()).into_column(),
        ];
        for (name, cells) in self.columns.iter().zip(self.cells.columns()) {
            let cells: Vec<Option<f64>> = cells.iter().map(|&x| (!x.is_nan()).then_some(x)).collect();
            columns.push(Series::new(format!("{name}_score").into(), cells).into_column());
        }
        Ok(DataFrame::new(n, columns)?)
    }
}

/// What the cells given their others count for in a score, beside the row as a whole.
const CELLS: f64 = 0.5;
/// Rows of the model that others are compared with.
const OWN_ROWS: usize = 256;
/// Latent points of a cell given others; and of a row with nothing visible, a network, at most.
const POINTS: usize = 8;
const MIXTURE: usize = 256;
/// Entries of the largest table of cells under a mixture.
const ENTRIES: usize = 1 << 24;

/// Decoder outputs at some points of the prior: the model with nothing visible, as a mixture of so many products.
struct Mixture {
    /// (points, outputs) of each network.
    eta: Vec<Array2<f32>>,
}

/// ln p(x_j | z_l) of a row's cells, (columns, points of all networks).
type Densities = Array2<f32>;

/// ln p(x_o) of a row, from its cells' densities.
fn ln_row(ln: &Densities, seen: &[bool]) -> f64 {
    let mut sum = Array1::<f32>::zeros(ln.ncols());
    ln.rows().into_iter().zip(seen).filter(|(_, seen)| **seen).for_each(|(row, _)| sum += &row);
    f64::from(log_sum_exp(sum.as_slice().expect("standard layout"))) - (ln.ncols() as f64).ln()
}

/// The observed cells, row by row.
fn observed(rows: &Rows<f32>) -> Vec<Gap> {
    rows.target.indexed_iter().filter(|(_, x)| !x.is_nan()).map(|(at, _)| at).collect()
}

impl VaeImputer {
    /// Scores how odd each row is, and each of its cells.
    ///
    /// A score has two parts, each less its mean over rows that the model makes, whose cells are missing where the row's are: minus
    /// ln p(x_o) with nothing visible, which knows rows that are unlike all others; and Σ_j −ln p(x_j | x_o\j), each cell given the
    /// others, which knows cells that do not go with theirs. A change of units cancels, and rows with different gaps compare.
    ///
    /// ```
    /// use lacuna::{Fit, VaeConfig};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..120).map(|i| f64::from(i * 37 % 100)).collect();
    /// let y: Vec<f64> = x.iter().map(|x| 100.0 - x).collect();
    /// let imputer = VaeConfig::default().epochs(6).fit(&df!("x" => x, "y" => y)?)?;
    /// let scores = imputer.score(&df!("x" => [20.0, 20.0], "y" => [81.0, 20.0])?)?;
    /// assert!(scores.score[1] > scores.score[0] && scores.rank == [2, 1]);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Imputer::fill`](crate::Imputer::fill).
    pub fn score(&self, df: &DataFrame) -> Result<Scores> {
        let table = self.table(df)?;
        let rows: Rows<f32> = self.scaling.rows(&table);
        let made = self.generate(&Generate::rows(OWN_ROWS).seed(self.seed))?;
        let own: Rows<f32> = self.scaling.rows(&Table::from_frame(&made.frame, &self.schema)?);
        let (n, d) = table.values.dim();
        let surprise = |rows: &Rows<f32>| -> Result<Array2<f64>> {
            let tasks = observed(rows);
            let ln = self.ln_given(rows, &tasks, |t, c| c != tasks[t].1, POINTS)?;
            let mut cells = Array2::from_elem(rows.target.dim(), f64::NAN);
            tasks.iter().zip(ln).for_each(|(&at, ln)| cells[at] = -ln);
            Ok(cells)
        };
        let (mut cells, mut own_cells) = (surprise(&rows)?, surprise(&own)?);
        for j in 0..d {
            let mean = own_cells.column(j).mean().unwrap_or(0.0);
            cells.column_mut(j).mapv_inplace(|x| x - mean);
            own_cells.column_mut(j).mapv_inplace(|x| x - mean);
        }
        // Rows of one pattern of gaps are compared with the same.
        let mut patterns: HashMap<Vec<bool>, Vec<usize>> = HashMap::new();
        for (i, row) in rows.target.rows().into_iter().enumerate() {
            patterns.entry(row.iter().map(|x| !x.is_nan()).collect()).or_default().push(i);
        }
        let patterns: Vec<(Vec<bool>, Vec<usize>)> = patterns.into_iter().collect();
        let mixture = self.mixture(MIXTURE.min(ENTRIES / (OWN_ROWS * d * self.members.len()).max(1)).max(1));
        let (mut score, mut percentile) = (vec![0.0; n], vec![50.0; n]);
        let scored = in_pool(self.threads, || {
            let all =
                |rows: &Rows<f32>| (0..rows.target.nrows()).into_par_iter().map(|i| self.densities(&mixture, rows, i)).collect();
            let own_densities: Vec<Densities> = all(&own);
            let of_pattern = |(seen, of): &(Vec<bool>, Vec<usize>)| -> Vec<(usize, f64, f64)> {
                let sum = |cells: &Array2<f64>, i: usize| -> f64 { (0..d).filter(|&j| seen[j]).map(|j| cells[(i, j)]).sum() };
                let total = |ln: &Densities, cells: &Array2<f64>, i: usize| CELLS * sum(cells, i) - ln_row(ln, seen);
                let mut own: Vec<f64> = own_densities.iter().enumerate().map(|(i, ln)| total(ln, &own_cells, i)).collect();
                let mean = own.iter().sum::<f64>() / OWN_ROWS as f64;
                own.sort_by(f64::total_cmp);
                let one = |&i: &usize| {
                    let x = total(&self.densities(&mixture, &rows, i), &cells, i);
                    (i, x - mean, 100.0 * own.partition_point(|&o| o < x) as f64 / OWN_ROWS as f64)
                };
                of.iter().map(one).collect()
            };
            let some = patterns.par_iter().filter(|(seen, _)| seen.contains(&true));
            some.map(of_pattern).collect::<Vec<_>>().concat()
        })?;
        for (i, s, p) in scored {
            (score[i], percentile[i]) = (s, p);
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
        let mut rank = vec![0; n];
        order.iter().enumerate().for_each(|(r, &i)| rank[i] = r + 1);
        // In table order.
        let modelled = self.schema.modelled();
        let mut places: Vec<usize> = (0..d).collect();
        places.sort_by_key(|&k| modelled[k]);
        Ok(Scores {
            score,
            percentile,
            rank,
            log_likelihood: self.bound(df, Scores::POINTS)?,
            columns: places.iter().map(|&k| self.column(k).name.clone()).collect(),
            cells: cells.select(ndarray::Axis(1), &places),
            warnings: table.warnings,
        })
    }

    /// The model with nothing visible at so many points of each network's prior.
    fn mixture(&self, points: usize) -> Mixture {
        let z = normals((points, self.vae.latent), &mut stream(self.seed, Purpose::Fill, 3));
        let mut block: Block<f32> = Block::new(&self.vae, 1);
        let of_network = |w: &Vec<f32>| {
            let mut eta = Array2::zeros((points, self.vae.outputs));
            for (some, mut eta) in
                z.axis_chunks_iter(ndarray::Axis(0), BLOCK).zip(eta.axis_chunks_iter_mut(ndarray::Axis(0), BLOCK))
            {
                let at = Array2::from_shape_fn((BLOCK, self.vae.latent), |(r, u)| some[(r % some.nrows(), u)]);
                let out = block.decode(&self.vae, w, at.view());
                eta.assign(&out.slice(ndarray::s![..some.nrows(), ..]));
            }
            eta
        };
        Mixture { eta: self.members.iter().map(of_network).collect() }
    }

    /// The densities of a row's cells, model units; zero where one is missing.
    fn densities(&self, mixture: &Mixture, rows: &Rows<f32>, i: usize) -> Densities {
        let points = mixture.eta.first().map_or(0, Array2::nrows);
        let mut ln = Array2::zeros((self.vae.columns, points * mixture.eta.len()));
        for (j, head) in self.vae.heads.iter().enumerate().filter(|(j, _)| !rows.target[(i, *j)].is_nan()) {
            let mut unused = vec![0.0; head.eta.len()];
            let eta = mixture.eta.iter().flat_map(|eta| eta.rows());
            for (ln, eta) in ln.row_mut(j).iter_mut().zip(eta) {
                let eta = eta.to_slice().expect("standard layout");
                *ln = head.law.log_prob_grad(&eta[head.eta.clone()], rows.target[(i, j)], &mut unused);
            }
        }
        ln
    }

    /// ln p(x_j | x_v) of observed cells in nats and data units: the mean over networks and `k` points of z ~ p(z | x_v). `show` says
    /// which observed cells of its row are visible to the task of that place.
    fn ln_given(
        &self,
        rows: &Rows<f32>,
        tasks: &[Gap],
        show: impl Fn(usize, usize) -> bool + Sync,
        k: usize,
    ) -> Result<Vec<f64>> {
        let latent = self.vae.latent;
        let common = normals((k, latent), &mut stream(self.seed, Purpose::Fill, 2));
        let d = self.vae.columns;
        let buffers = || {
            let batch = Batch { proposal: Proposal::Prior, ..Batch::with_noise(&self.vae, BLOCK, common.view()) };
            (batch, Workspace::new(&self.vae, BLOCK, k))
        };
        let places: Vec<usize> = (0..tasks.len()).collect();
        let some = |(batch, work): &mut (Batch<f32>, Workspace<f32>), block: &[usize]| {
            batch.scored.fill(false);
            let mut visible = vec![false; block.len() * d];
            let places: Vec<usize> = block.iter().map(|&t| tasks[t].0).collect();
            for (r, (&t, visible)) in block.iter().zip(visible.chunks_exact_mut(d)).enumerate() {
                let (i, j) = tasks[t];
                for (c, &x) in rows.target.row(i).iter().enumerate() {
                    visible[c] = !x.is_nan() && show(t, c);
                }
                (batch.target[(r, j)], batch.scored[(r, j)]) = (rows.target[(i, j)], true);
                batch.count[r] = visible.iter().filter(|v| **v).count();
            }
            self.view().show(rows, (&places, &visible), &mut batch.visible, 0, &mut Given::default());
            for r in block.len()..BLOCK {
                batch.count[r] = 0;
                batch.visible.clear(r);
            }
            let mut all: Vec<Vec<f64>> = vec![Vec::new(); block.len()];
            for w in &self.members {
                let log_w = work.log_weights(&self.vae, w, batch);
                all.iter_mut().zip(log_w.rows()).for_each(|(all, row)| all.extend(row.iter().map(|&x| f64::from(x))));
            }
            let of = |(&t, all): (&usize, &Vec<f64>)| log_sum_exp(all) - (all.len() as f64).ln() + self.ln_unit(rows, tasks[t]);
            block.iter().zip(&all).map(of).collect::<Vec<f64>>()
        };
        in_pool(self.threads, || places.par_chunks(BLOCK).map_init(buffers, some).collect::<Vec<_>>().concat())
    }

    /// What turns a log density of a cell's target into one of the cell in data units.
    pub(super) fn ln_unit(&self, rows: &Rows<f32>, (i, j): Gap) -> f64 {
        match &self.scaling.columns[j] {
            ColumnScaling::Levels { classes } => classes.ln_within(rows.place[(i, j)] as usize),
            _ if self.vae.heads[j].law.is_mass(rows.target[(i, j)]) => 0.0,
            number => -number.ln_unit(),
        }
    }
}
