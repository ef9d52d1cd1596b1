//! The latent space of a fitted model: rows to points, points to rows, and whether it is alive.

use std::ops::RangeInclusive;

use ::polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, Series};
use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;

use crate::data::polars::missing;
use crate::data::scaling::{Features, Rows};
use crate::data::table::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::impute::config::LatentUse;
use crate::impute::generate::{Generated, cells_of, not_generated};
use crate::impute::vae::VaeImputer;
use crate::impute::{ExpectedError, in_pool};
use crate::likelihood::{Likelihood, log_sum_exp};
use crate::model::bound::{Batch, Workspace, bound};
use crate::model::linear::Given;
use crate::model::linear::start::View;
use crate::model::posterior::{BLOCK, Block};
use crate::model::{Encoded, Vae};
use crate::rng::{Purpose, normals, stream};
use crate::train::{show_block, show_observed};

/// Rows on which the latent space is looked at, at most.
const ROWS_MOST: usize = 1000;
/// Rows whose points are decoded in one product: what comes of a block's points would be large where columns are many.
const PART: usize = 4;
/// A unit whose mean varies less than this says nothing.
const ACTIVE: f64 = 0.01;

/// What the latent units of one network carry, by rows of the fit.
pub(super) fn latent_use(vae: &Vae, w: &[f32], view: &View<'_>, rows: &Rows<f32>, seed: u64) -> LatentUse {
    let observed = |row: ArrayView1<f32>| row.iter().any(|x| !x.is_nan());
    let all: Vec<usize> = (0..rows.target.nrows()).filter(|&i| observed(rows.target.row(i))).collect();
    let of: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(ROWS_MOST).max(1)).collect();
    let (n, latent, k) = (of.len().max(1) as f64, vae.latent, LatentUse::POINTS);
    let noise = normals((k, latent), &mut stream(seed, Purpose::Fill, 1));
    // With nothing visible all rows have the same latent points and decoder outputs.
    let mut nothing: Block<f32> = Block::new(vae, 1);
    let points = Array2::from_shape_fn((BLOCK, latent), |(r, u)| noise[(r % k, u)]);
    let eta = nothing.decode(vae, w, points.view()).clone();
    let buffers = || {
        let batch = Batch::with_noise(vae, PART, noise.view());
        (batch, Workspace::new(vae, PART, k), Block::new(vae, 1), vae.encoded(BLOCK))
    };
    let part_bounds = |batch: &mut Batch<f32>, work: &mut Workspace<f32>, of: &[usize]| -> Vec<f32> {
        show_observed(view, rows, of, batch);
        bound(work.log_weights(vae, w, batch)).into_iter().take(of.len()).collect()
    };
    type Buffers = (Batch<f32>, Workspace<f32>, Block<f32>, Encoded<f32>);
    let one = |(batch, work, block, encoded): &mut Buffers, of: &[usize]| -> Vec<RowUse> {
        let bounds: Vec<f32> = of.chunks(PART).flat_map(|of| part_bounds(batch, work, of)).collect();
        show_block(view, rows, of, |_, _| true, block);
        vae.encode(w, &block.visible, encoded);
        let (q, p) = (&encoded.posterior, block.prior(vae, w));
        let number = |x: f32| f64::from(x);
        let of_row = |(r, &i): (usize, &usize)| {
            let (mut kl, mut visible) = (Vec::new(), Vec::new());
            for u in 0..latent {
                let at = (r, u);
                let (mean, sd, ln_sd) = (number(q.mean[at]), number(q.sd[at]), number(q.ln_sd[at]));
                kl.push(0.5 * (mean * mean + sd * sd - 1.0) - ln_sd);
                let (m, s, ln_s) = (number(p.mean[at]), number(p.sd[at]), number(p.ln_sd[at]));
                visible.push(0.5 * (((mean - m) / s).powi(2) + (sd / s).powi(2) - 1.0) + ln_s - ln_sd);
            }
            // Each column by itself: the mean over the prior's points.
            let alone = |head: &crate::likelihood::Head| -> f64 {
                let x = rows.target[(i, head.column)];
                let mut unused = vec![0.0; head.eta.len()];
                let densities: Vec<f64> = (0..k)
                    .map(|l| {
                        let eta = eta.row(l);
                        let eta = eta.to_slice().expect("standard layout");
                        f64::from(head.law.log_prob_grad(&eta[head.eta.clone()], x, &mut unused))
                    })
                    .collect();
                log_sum_exp(&densities) - (k as f64).ln()
            };
            let heads = vae.heads.iter().filter(|h| !rows.target[(i, h.column)].is_nan());
            let gain = number(bounds[r]) - heads.map(alone).sum::<f64>();
            let means = |g: &crate::model::Gaussians<f32>| g.mean.row(r).iter().map(|&x| number(x)).collect();
            RowUse { kl, visible, gain, mean: means(q), prior_mean: means(p) }
        };
        of.iter().enumerate().map(of_row).collect()
    };
    let uses: Vec<RowUse> = of.par_chunks(BLOCK).map_init(buffers, one).collect::<Vec<_>>().concat();
    let mean = |f: &dyn Fn(&RowUse) -> f64| uses.iter().map(f).sum::<f64>() / n;
    let active = |of: &dyn Fn(&RowUse, usize) -> f64| {
        let varies = |u: &usize| {
            let centre = mean(&|row| of(row, *u));
            mean(&|row| (of(row, *u) - centre).powi(2)) > ACTIVE
        };
        (0..latent).filter(varies).count()
    };
    LatentUse {
        kl: (0..latent).map(|u| mean(&|row| row.kl[u])).collect(),
        active: active(&|row, u| row.mean[u]),
        kl_visible: (0..latent).map(|u| mean(&|row| row.visible[u])).collect(),
        active_visible: active(&|row, u| row.prior_mean[u]),
        gain: mean(&|row| row.gain),
    }
}

/// The figures of one row.
#[derive(Clone)]
struct RowUse {
    kl: Vec<f64>,
    visible: Vec<f64>,
    gain: f64,
    mean: Vec<f64>,
    prior_mean: Vec<f64>,
}

impl VaeImputer {
    /// Dimensions of the latent space.
    pub fn latent_dim(&self) -> usize {
        self.vae.latent
    }

    /// The network whose z is worth most: each has a latent space of its own, and this one's is shown.
    fn shown(&self) -> Option<&Vec<f32>> {
        let gain = |m: usize| self.training.latent.get(m).map_or(f64::NEG_INFINITY, |used| used.gain);
        let best = (0..self.members.len()).reduce(|a, b| if gain(b) > gain(a) { b } else { a });
        best.map(|m| &self.members[m])
    }

    /// What the latent units of each network carry, as measured at the end of the fit.
    ///
    /// ```
    /// use lacuna::{Fit, VaeConfig};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(4).fit(&df!("x" => &x, "y" => &x)?)?;
    /// for network in imputer.latent_use() {
    ///     println!("{network}");
    /// }
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn latent_use(&self) -> &[LatentUse] {
        &self.training.latent
    }

    /// Whether z is of no use to any network, though held-out cells of some column are filled better than by its mean: where
    /// columns are independent, z has nothing to say. A plain autoencoder has no bound to judge by.
    pub(super) fn has_collapsed(&self) -> bool {
        let networks = &self.training.latent;
        let better = |e: &ExpectedError| e.error + 3.0 * e.standard_error < e.mean_fill;
        let plain = self.training.config.plain_autoencoder;
        !plain
            && !networks.is_empty()
            && networks.iter().all(LatentUse::has_collapsed)
            && self.info.errors.iter().flatten().any(better)
    }

    /// The point of each row in the latent space: the encoder's mean of q(z | x_o), columns `z1`, `z2`, …; with `sd` its standard
    /// deviations behind them, `z1_sd`, …. All by the network whose z is worth most ([`LatentUse::gain`]), since each has
    /// a latent space of its own. A row without an
    /// observed cell is at the prior, mean 0 and standard deviation 1.
    ///
    /// ```
    /// use lacuna::{Fit, VaeConfig};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let df = df!("x" => &x, "y" => &x)?;
    /// let imputer = VaeConfig::default().epochs(4).latent_dim(2).fit(&df)?;
    /// let points = imputer.embed(&df, true)?;
    /// assert_eq!(points.get_column_names(), ["z1", "z2", "z1_sd", "z2_sd"]);
    /// assert_eq!(imputer.decode(&points)?.frame.shape(), df.shape());
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Imputer::fill`](crate::Imputer::fill).
    pub fn embed(&self, df: &DataFrame, sd: bool) -> Result<DataFrame> {
        let table = Table::from_frame(df, &self.schema)?;
        let (mean, spread) = self.encode(&table)?;
        let column = |x: &Array2<f64>, name: String, u: usize| Series::new(name.into(), x.column(u).to_vec()).into_column();
        let units = 0..self.vae.latent;
        let mut columns: Vec<Column> = units.clone().map(|u| column(&mean, unit(u), u)).collect();
        if sd {
            columns.extend(units.map(|u| column(&spread, format!("{}_sd", unit(u)), u)));
        }
        Ok(DataFrame::new(table.n(), columns)?)
    }

    /// Mean and standard deviation of q(z | x_o), (n, latent) each.
    fn encode(&self, table: &Table) -> Result<(Array2<f64>, Array2<f64>)> {
        let (n, latent) = (table.n(), self.vae.latent);
        let (mut mean, mut sd) = (Array2::zeros((n, latent)), Array2::ones((n, latent)));
        let Some(w) = self.shown() else { return Ok((mean, sd)) };
        let rows: Rows<f32> = self.scaling.rows(table);
        let view = self.view();
        let all: Vec<usize> = (0..n).collect();
        let buffers = || (Features::new(self.vae.features, BLOCK), self.vae.encoded(BLOCK));
        let points = |(observed, encoded): &mut (Features<f32>, Encoded<f32>), of: &[usize]| {
            let seen: Vec<bool> = of.iter().flat_map(|&i| rows.target.row(i)).map(|x| !x.is_nan()).collect();
            view.show(&rows, (of, &seen), observed, 0, &mut Given::default());
            (of.len()..BLOCK).for_each(|r| observed.clear(r));
            self.vae.encode(w, observed, encoded);
            let q = &encoded.posterior;
            let row = |r| (q.mean.row(r).mapv(f64::from), q.sd.row(r).mapv(f64::from));
            (0..of.len()).map(row).collect::<Vec<_>>()
        };
        let points: Vec<(Array1<f64>, Array1<f64>)> =
            in_pool(self.threads, || all.par_chunks(BLOCK).map_init(buffers, points).collect::<Vec<_>>().concat())?;
        for (i, (m, s)) in points.into_iter().enumerate() {
            if rows.target.row(i).iter().any(|x| !x.is_nan()) {
                mean.row_mut(i).assign(&m);
                sd.row_mut(i).assign(&s);
            }
        }
        Ok((mean, sd))
    }

    /// The rows that latent points stand for: every number's expected value and every column's most probable level given z alone, by
    /// the same
    /// network. Columns `z1`, `z2`, …; others are not read.
    ///
    /// # Errors
    /// A column of the latent space is absent, or not of numbers; a cell of it is missing or not finite.
    pub fn decode(&self, latent: &DataFrame) -> Result<Generated> {
        let mut z = Array2::zeros((latent.height(), self.vae.latent));
        for u in 0..self.vae.latent {
            let name = unit(u);
            let Ok(column) = latent.column(&name) else {
                let due = format!("`{}` to `{}`", unit(0), unit(self.vae.latent - 1));
                return Err(Error::schema(format!(
                    "the latent points have no column `{name}`; {due} are due, as lacuna embed writes them"
                )));
            };
            let numbers = column.as_materialized_series().cast(&DataType::Float64)?;
            let gaps = missing(column)?;
            for (i, x) in numbers.f64()?.iter().enumerate() {
                match x {
                    Some(x) if x.is_finite() => z[(i, u)] = x,
                    _ => {
                        let found = if gaps[i] { "a missing cell".into() } else { column.get(i)?.to_string() };
                        let expected = "a finite number is due".into();
                        return Err(ErrorKind::Value { column: name, row: i + 1, found, expected }.into());
                    }
                }
            }
        }
        self.rows_at(&z)
    }

    /// Rows on the way from one row of a table to another: the decoded points of a straight line between their places in the latent
    /// space, both ends included. Rows are 0-based. As in [`VaeImputer::decode`], a point says all that the model knows of a row,
    /// so that the ends are near the two rows and not equal to them.
    ///
    /// # Errors
    /// As [`VaeImputer::embed`]; a row that the table does not have; fewer than two steps.
    pub fn interpolate(&self, df: &DataFrame, from: usize, to: usize, steps: usize) -> Result<Generated> {
        const STEPS: RangeInclusive<usize> = 2..=1_000_000;
        if !STEPS.contains(&steps) {
            return Err(Error::config("steps", steps, format!("from {} to {}", STEPS.start(), STEPS.end())));
        }
        for (name, row) in [("from", from), ("to", to)] {
            if row >= df.height() {
                return Err(Error::config(name, row, format!("below {}, the number of rows", df.height())));
            }
        }
        let ends = df.slice(from as i64, 1).vstack(&df.slice(to as i64, 1))?;
        let (mean, _) = self.encode(&Table::from_frame(&ends, &self.schema)?)?;
        let z = Array2::from_shape_fn((steps, self.vae.latent), |(s, u)| {
            let t = s as f64 / (steps - 1) as f64;
            (1.0 - t) * mean[(0, u)] + t * mean[(1, u)]
        });
        self.rows_at(&z)
    }

    /// The rows of latent points, (n, latent).
    fn rows_at(&self, z: &Array2<f64>) -> Result<Generated> {
        let schema = self.schema_of_rows();
        let (csv, frame) = self.rows_of(&[], z.nrows())?;
        let mut table = Table::from_frame(&frame, &schema)?;
        table.warnings = not_generated(&schema);
        let all: Vec<usize> = (0..table.n()).collect();
        let points = |block: &mut Block<f32>, of: &[usize]| -> Vec<f64> {
            let Some(w) = self.shown() else { return Vec::new() };
            let mut at = Array2::zeros((BLOCK, self.vae.latent));
            of.iter().enumerate().for_each(|(r, &i)| at.row_mut(r).assign(&z.row(i).mapv(|x| x as f32)));
            let eta = block.decode(&self.vae, w, at.view());
            let mut values = Vec::new();
            for r in 0..of.len() {
                let eta = eta.row(r);
                let eta = eta.to_slice().expect("standard layout");
                for (k, head) in self.vae.heads.iter().enumerate() {
                    let mut outcomes = vec![0.0; Likelihood::<f32>::outcomes(&head.law)];
                    head.law.expected(&eta[head.eta.clone()], &mut outcomes);
                    values.push(self.point(k, &outcomes));
                }
            }
            values
        };
        let buffers = || Block::new(&self.vae, 1);
        let values: Vec<f64> =
            in_pool(self.threads, || all.par_chunks(BLOCK).map_init(buffers, points).collect::<Vec<_>>().concat())?;
        let d = table.d();
        let cells = cells_of(&table, |row, k| values[row * d + k]);
        self.made(&frame, csv, table, cells, None)
    }
}

/// The name of a latent unit, 0-based.
fn unit(u: usize) -> String {
    format!("z{}", u + 1)
}
