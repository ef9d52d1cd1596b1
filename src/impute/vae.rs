//! The fitted variational autoencoder as an imputer.

use std::ops::Range;
use std::sync::Arc;

use ::polars::prelude::DataFrame;
use ndarray::{Array2, ArrayView2};
use ndarray_rand::rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::data::csv::{CsvForm, CsvOptions, CsvTable};
use crate::data::polars::RowKeys;
use crate::data::scaling::{ColumnScaling, Rows, Scaling};
use crate::data::schema::{Column, ColumnKind, ColumnSpec, Role, Schema, SchemaOptions};
use crate::data::table::{Cells, Table};
use crate::error::{Error, Result, Warning};
use crate::impute::config::Training;
use crate::impute::donors::{Donor, Donors};
use crate::impute::likeness::Likeness;
use crate::impute::missingness::Shift;
use crate::impute::neighbours::{Distances, Neighbours, Picks};
use crate::impute::{
    ExpectedError, Filled, FittedInfo, Gap, Imputations, Imputer, cell_stream, check_m, gaps_by_row, in_pool, scatter,
};
use crate::likelihood::Likelihood;
use crate::model::Vae;
use crate::model::bound::{Batch, Workspace, bound};
use crate::model::linear::FactorAnalysis;
use crate::model::linear::start::{Linear, View};
use crate::model::missingness::Tilt;
use crate::model::posterior::{AT_ONCE, BLOCK, Block};
use crate::rng::{Purpose, Stream, antithetic, fill_normals, normals, pair, stream};
use crate::train::pilot::FamilyScore;
use crate::train::{HeldOut, Member, by_fold, show_block, show_observed};

/// Latent points a fill averages over, in antithetic pairs. More cost as much again each and change the fill's error in
/// the fifth digit only: `cargo bench --bench limit` prints the curve.
pub(super) const FILL_DRAWS: usize = 4;

/// The one set of latent noise all fills share: (draws, latent).
pub(super) fn fill_noise(seed: u64, draws: usize, latent: usize) -> Array2<f32> {
    antithetic((draws, latent), &mut stream(seed, Purpose::Fill, 0))
}

/// The fitted variational autoencoder.
#[derive(Clone, Debug)]
pub struct VaeImputer {
    pub(super) schema: Arc<Schema>,
    pub(super) scaling: Scaling,
    pub(super) linear: Linear,
    pub(super) vae: Vae,
    /// One weight vector a member; none where no column is modelled.
    pub(super) members: Vec<Vec<f32>>,
    /// Latent points that the fills of all rows share, (draws, latent).
    pub(super) noise: Array2<f32>,
    pub(super) donors: Option<Donors>,
    pub(super) neighbours: Option<Neighbours>,
    /// One entry a modelled column: how its gaps follow its own values.
    pub(super) tilts: Vec<Option<Tilt>>,
    /// One entry a modelled column: the families tried.
    pub(super) scores: Vec<Vec<FamilyScore>>,
    pub(super) info: FittedInfo,
    pub(super) likeness: Likeness,
    pub(super) training: Training,
    /// How CSV files are read for it: missing tokens, decimal mark, and what is stated of columns.
    pub(super) csv: (CsvOptions, Vec<ColumnSpec>),
    pub(super) seed: u64,
    pub(super) threads: Option<usize>,
}

impl VaeImputer {
    /// The same networks with fills averaged over so many latent points, a multiple of four. For the benches.
    #[doc(hidden)]
    pub fn with_fill_draws(mut self, draws: usize) -> VaeImputer {
        self.noise = fill_noise(self.seed, draws.next_multiple_of(AT_ONCE), self.vae.latent);
        self
    }

    /// The families the fit chose from for a column, with their scores on held-out cells in a short fit of all of them side by
    /// side. One that was named or has no rival stands alone; where no column has any, nothing was tried and `cells` is
    /// zero. Empty for a column that is not modelled.
    ///
    /// ```
    /// # use lacuna::{Family, Fit, Imputer, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..300).map(|i| if i % 3 == 0 { 0.0 } else { f64::from(i % 50) + 0.5 }).collect();
    /// let imputer = VaeConfig::default().epochs(4).members(1).fit(&df!("y" => x.clone(), "x" => x)?)?;
    /// let scores = imputer.family_scores("x");
    /// assert!(scores.iter().any(|s| s.family == Family::ZeroInflatedGaussian && s.cells > 0));
    /// let chosen = scores.iter().find(|s| s.chosen).map(|s| s.family);
    /// assert_eq!(imputer.schema().column("x").unwrap().family(), chosen);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn family_scores(&self, column: &str) -> &[FamilyScore] {
        let place = self.schema.modelled_columns().position(|c| c.name() == column);
        place.and_then(|k| self.scores.get(k)).map_or(&[], Vec::as_slice)
    }

    /// The importance-weighted bound on ln p(x_o) of each row's observed cells with nothing visible (Mattei & Frellsen 2019,
    /// eq. 4): the plain VAE's log-likelihood, approached from below as `k` grows. One entry a row, the mean over members, in
    /// nats and data units: a probability for levels, counts and point masses, a density for other numbers. A row without an
    /// observed cell has zero. Cost: `k` decoder passes a row and member.
    ///
    /// ```
    /// # use lacuna::{Fit, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(|i| f64::from(i % 10)).collect();
    /// let y: Vec<f64> = x.iter().map(|x| 10.0 - x).collect();
    /// let imputer = VaeConfig::default().epochs(4).fit(&df!("x" => x, "y" => y)?)?;
    /// let odd = df!("x" => [5.0, 500.0], "y" => [5.0, 5.0])?;
    /// let bound = imputer.bound(&odd, 20)?;
    /// assert!(bound[1] < bound[0]);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Imputer::fill`]; `k` of zero.
    pub fn bound(&self, df: &DataFrame, k: usize) -> Result<Vec<f64>> {
        if k == 0 {
            return Err(Error::config("k", 0, "at least 1"));
        }
        let table = Table::from_frame(df, &self.schema)?;
        let rows: Rows<f32> = self.scaling.rows(&table);
        let all: Vec<usize> = (0..table.n()).collect();
        let latent = self.vae.latent;
        let common = normals((k, latent), &mut stream(self.seed, Purpose::Fill, 1));
        let buffers = || (Batch::with_noise(&self.vae, BLOCK, common.view()), Workspace::new(&self.vae, BLOCK, k));
        let block_bound = |(batch, work): &mut (Batch<f32>, Workspace<f32>), block: &[usize]| {
            show_observed(&self.view(), &rows, block, batch);
            let ln_units = |&i: &usize| -> f64 {
                let observed = (0..self.vae.columns).filter(|&c| !rows.target[(i, c)].is_nan());
                observed.map(|c| self.ln_unit(&rows, (i, c))).sum()
            };
            let mut out: Vec<f64> = block.iter().map(ln_units).collect();
            for w in &self.members {
                let bounds = bound(work.log_weights(&self.vae, w, batch));
                out.iter_mut().zip(bounds).for_each(|(o, b)| *o += f64::from(b) / self.members.len() as f64);
            }
            for (out, scored) in out.iter_mut().zip(batch.scored.rows()) {
                if !scored.iter().any(|s| *s) {
                    *out = 0.0;
                }
            }
            out
        };
        in_pool(self.threads, || {
            let blocks = all.par_chunks(BLOCK).map_init(buffers, block_bound);
            blocks.collect::<Vec<Vec<f64>>>().concat()
        })
    }

    /// The same without the correction by rows alike, and without those rows: fills and draws are the networks' alone.
    ///
    /// ```
    /// # use lacuna::{Fit, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?.without_neighbours();
    /// assert_eq!(imputer.neighbours(), 0);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn without_neighbours(mut self) -> VaeImputer {
        self.neighbours = None;
        self
    }

    /// Rows of the fitted table by which fills and draws are corrected; 0 where they are not.
    pub fn neighbours(&self) -> usize {
        self.neighbours.as_ref().map_or(0, Neighbours::rows)
    }

    /// How the gaps of a column follow what its cells would have said, where they do beyond what the other columns explain (missing not at
    /// random): how the logarithm of the odds of a gap grows by a standard deviation of a number (one entry), or differs between the
    /// levels (an entry each, their mean zero). Fills and draws allow for it. `None` where gaps are taken for missing at random.
    ///
    /// ```
    /// # use lacuna::{Fit, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<Option<f64>> = (0..60).map(|i| (i % 4 != 0).then_some(f64::from(i))).collect();
    /// let y: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => x, "y" => y)?)?;
    /// assert!(imputer.gap_log_odds("x").is_none());
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn gap_log_odds(&self, column: &str) -> Option<Vec<f64>> {
        let k = (0..self.vae.columns).find(|&k| self.column(k).name == column)?;
        let tilt = self.tilts[k].as_ref()?;
        match &self.scaling.columns[k] {
            ColumnScaling::Number { .. } => Some(tilt.log_odds.clone()),
            ColumnScaling::Levels { classes } => {
                Some((0..self.column(k).levels.len()).map(|level| tilt.log_odds[classes.of(level)]).collect())
            }
        }
    }

    /// Sets the number of threads; all cores when `None`. The answer does not depend on it.
    pub fn with_threads(mut self, threads: Option<usize>) -> VaeImputer {
        self.threads = threads;
        self
    }

    /// Keeps how the CSV file of the fit was read, so that others are read likewise ([`VaeImputer::csv_columns`]): the missing
    /// tokens and the decimal mark, and columns' own tokens and formats; and how it is written, so that [`Generated`](crate::Generated)
    /// rows are written likewise.
    pub fn with_csv(mut self, csv: &CsvTable, options: &CsvOptions, columns: &SchemaOptions) -> VaeImputer {
        self.likeness.csv = Some(CsvForm::of(csv));
        let stated = |c: &Column| {
            let ColumnSpec { name, na, format, .. } = columns.spec(c.name());
            (na.is_some() || format.is_some()).then_some(ColumnSpec { name, na, format, ..ColumnSpec::default() })
        };
        self.csv = (options.clone(), self.schema.columns().iter().filter_map(stated).collect());
        self
    }

    /// How the CSV file of the fit was read; the defaults if it was none.
    pub fn csv_options(&self) -> &CsvOptions {
        &self.csv.0
    }

    /// What the model says of the columns of a CSV file, for [`CsvTable::read_fitted`](crate::CsvTable::read_fitted): numbers stay
    /// numbers and levels levels, whatever this file's cells look like.
    ///
    /// ```
    /// use lacuna::{CsvTable, Fit, Imputer, SchemaOptions, VaeConfig};
    /// use polars::prelude::*;
    /// let code: Vec<&str> = (0..60).map(|i| if i % 3 == 0 { "A1" } else { "7" }).collect();
    /// let x: Vec<f64> = (0..60).map(|i| f64::from(i % 3)).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("code" => code, "x" => x)?)?;
    /// let csv = CsvTable::read_fitted("x,code\n,7\n2,\n".as_bytes(), "t.csv".as_ref(), imputer.csv_options(), &imputer.csv_columns())?;
    /// assert_eq!(csv.to_frame()?.dtypes(), [DataType::Int64, DataType::String]);
    /// assert_eq!(imputer.fill(&csv.to_frame()?)?.report.filled(), 2);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn csv_columns(&self) -> SchemaOptions {
        let mut options = SchemaOptions::default();
        for c in self.schema.columns() {
            let spec = self.csv.1.iter().find(|s| s.name == c.name);
            let mut spec = spec.cloned().unwrap_or_else(|| ColumnSpec { name: c.name.clone(), ..ColumnSpec::default() });
            let is_number = c.dtype.is_primitive_numeric() || c.dtype.is_decimal();
            if matches!(c.role, Role::Left(_)) {
                options.exclude.push(c.name.clone());
            } else if is_number {
                spec.kind = Some(if c.kind.is_numeric() { c.kind } else { ColumnKind::Continuous });
            } else if !c.dtype.is_temporal() {
                spec.levels = Some(c.levels.clone());
            }
            options.columns.push(spec);
        }
        options
    }

    /// Takes columns that a table lacks as wholly missing, with a warning each, where it would be an error. The output has the
    /// columns of the table given.
    ///
    /// ```
    /// # use lacuna::{Fit, Imputer, VaeConfig};
    /// # use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?;
    /// let half = df!("x" => [Some(3.0), None])?;
    /// assert!(imputer.fill(&half).is_err());
    /// let filled = imputer.allow_missing_columns().fill(&half)?;
    /// assert_eq!(filled.frame.get_column_names(), ["x"]);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    pub fn allow_missing_columns(mut self) -> VaeImputer {
        Arc::make_mut(&mut self.schema).lenient = true;
        self
    }

    /// The frame's cells, with a warning for each column that has some far outside the range of the fit.
    pub(super) fn table(&self, df: &DataFrame) -> Result<Table> {
        let mut table = Table::from_frame(df, &self.schema)?;
        for (k, scaling) in self.scaling.columns.iter().enumerate() {
            let mut outside = table.values.column(k).into_iter().copied().filter(|&x| scaling.is_outside(x));
            if let Some(first) = outside.next() {
                let (column, cells) = (self.column(k), 1 + outside.count());
                table.warnings.push(Warning::OutsideRange { column: column.name.clone(), cells, example: column.text(first) });
            }
        }
        Ok(table)
    }

    /// Expected values of every outcome of some rows, in model units, averaged over the given members and latent points: left in
    /// the block.
    pub(super) fn expect<'a>(
        &self,
        members: impl ExactSizeIterator<Item = &'a [f32]>,
        noise: ArrayView2<'_, f32>,
        (view, rows): (&View<'_>, &Rows<f32>),
        of: &[usize],
        show: impl Fn(usize, usize) -> bool,
        block: &mut Block<f32>,
    ) {
        show_block(view, rows, of, show, block);
        block.expected.fill(0.0);
        let share = 1.0 / members.len() as f32;
        members.for_each(|w| block.add_expected(&self.vae, w, noise, share));
    }

    /// What some networks expect of numbers, in model units; `gaps` in order of their rows. A level's has no meaning.
    fn expected_numbers(
        &self,
        members: &[Vec<f32>],
        of_fit: (&View<'_>, &Rows<f32>),
        gaps: &[Gap],
        show: impl Fn(usize) -> bool + Sync,
    ) -> Vec<f64> {
        self.answer_blocks(
            gaps,
            || Block::new(&self.vae, AT_ONCE),
            |block, of, gaps| {
                self.expect(members.iter().map(Vec::as_slice), self.noise.view(), of_fit, of, |_, k| show(k), block);
                let at = |(r, gaps): (usize, &&[Gap])| -> Vec<f64> {
                    gaps.iter().map(|&(_, k)| f64::from(block.outcomes(r, k)[0])).collect()
                };
                gaps.iter().enumerate().flat_map(at).collect()
            },
        )
    }

    /// Every observed number inside its column's bounds, with what the networks expect of it.
    pub(super) fn find_donors(&self, k: usize, of_fit: (&View<'_>, &Rows<f32>), values: &Array2<f64>) -> Donors {
        let of_column = |(j, scaling): (usize, &ColumnScaling)| {
            if let ColumnScaling::Levels { .. } = scaling {
                return Vec::new();
            }
            let (low, high) = self.column(j).bounds;
            // No observed cell is NaN, and NaN is inside no bounds.
            let inside = values.column(j).into_iter().enumerate().filter(|(_, x)| (low..=high).contains(*x));
            let cells: Vec<Gap> = inside.map(|(i, _)| (i, j)).collect();
            let expected = self.expected_numbers(&self.members, of_fit, &cells, |shown| shown != j);
            cells.iter().zip(expected).map(|(&(i, _), expected)| Donor { expected, value: values[(i, j)] }).collect()
        };
        Donors::new(k, self.scaling.columns.iter().enumerate().map(of_column).collect())
    }

    /// One value a gap, in order: `answer` gives those of a block of rows.
    fn answer_blocks<B, T: Send>(
        &self,
        gaps: &[Gap],
        buffers: impl Fn() -> B + Sync + Send,
        answer: impl Fn(&mut B, &[usize], &[&[Gap]]) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let rows: Vec<&[Gap]> = gaps.chunk_by(|a, b| a.0 == b.0).collect();
        let of = |buffers: &mut B, rows: &[&[Gap]]| {
            let places: Vec<usize> = rows.iter().map(|gaps| gaps[0].0).collect();
            answer(buffers, &places, rows)
        };
        rows.par_chunks(BLOCK).map_init(buffers, of).collect::<Vec<Vec<T>>>().into_iter().flatten().collect()
    }

    /// One filled value: the mean in data units, or the most probable level (the first of equals).
    pub(super) fn point(&self, k: usize, outcomes: &[f32]) -> f64 {
        match &self.scaling.columns[k] {
            number @ ColumnScaling::Number { .. } => number.to_data(f64::from(outcomes[0])),
            ColumnScaling::Levels { classes } => classes.most_probable(outcomes.iter().map(|&p| f64::from(p))) as f64,
        }
    }

    /// One draw of a cell from its head's outputs, in data units (levels as codes) and inside the column's bounds; of the given
    /// standard normal number where there is one.
    pub(super) fn draw_cell(&self, k: usize, eta: &[f32], mut first: Option<f64>, rng: &mut Stream) -> f64 {
        let (law, scaling) = (&self.vae.heads[k].law, &self.scaling.columns[k]);
        let mut draw = || {
            let e = first.take().unwrap_or_else(|| StandardNormal.sample(rng));
            let x = law.sample_with(eta, e, rng);
            match scaling {
                ColumnScaling::Number { .. } => law.in_data(x, scaling),
                ColumnScaling::Levels { classes } => classes.draw(x as usize, rng) as f64,
            }
        };
        let (low, high) = self.column(k).bounds;
        let inside = |x: &f64| low <= *x && *x <= high;
        let found = std::iter::repeat_with(&mut draw).take(TRIES).find(inside);
        found.unwrap_or_else(|| {
            // Within what `to_data` lets a number be.
            let [low_end, high_end] = [low, high].map(|x| scaling.to_model(scaling.to_data(scaling.to_model(x))));
            scaling.to_data(law.sample_inside(eta, low_end, high_end, rng)).clamp(low, high)
        })
    }

    /// A value in model units as a cell in data units, if it is inside the column's bounds.
    fn picked(&self, k: usize, x: f32, rng: &mut Stream) -> Option<f64> {
        let (low, high) = self.column(k).bounds;
        let x = match &self.scaling.columns[k] {
            number @ ColumnScaling::Number { .. } => self.vae.heads[k].law.in_data(x, number),
            ColumnScaling::Levels { classes } => return Some(classes.draw(x as usize, rng) as f64),
        };
        (low <= x && x <= high).then_some(x)
    }

    /// What the conditional prior's standard deviations count for: nothing in a plain autoencoder.
    pub(super) fn spread(&self) -> f32 {
        if self.training.config.plain_autoencoder { 0.0 } else { 1.0 }
    }

    /// How the rows of any table become features.
    pub(super) fn view(&self) -> View<'_> {
        View::of(&self.scaling, &self.linear.whole)
    }

    pub(super) fn column(&self, k: usize) -> &Column {
        &self.schema.columns()[self.schema.modelled()[k]]
    }

    /// Buffers of fills.
    fn fill_buffers(&self) -> FillBuffers {
        FillBuffers {
            block: Block::new(&self.vae, AT_ONCE),
            one: self.is_tilted().then(|| Block::new(&self.vae, 1)),
            distances: self.neighbours.as_ref().map(Distances::new),
        }
    }

    pub(super) fn is_tilted(&self) -> bool {
        self.tilts.iter().any(Option::is_some)
    }

    /// What networks expect of the gaps of a block's rows, corrected and tilted: left in the block. `without` names a fitted row that does
    /// not correct a row.
    fn expect_gaps<'a>(
        &self,
        members: impl ExactSizeIterator<Item = &'a [f32]>,
        of_table: (&View<'_>, &Rows<f32>),
        (of, gaps): (&[usize], &[&[Gap]]),
        show: impl Fn(usize, usize) -> bool,
        without: impl Fn(usize) -> Option<usize>,
        FillBuffers { block, one, distances }: &mut FillBuffers,
    ) {
        self.expect(members, self.noise.view(), of_table, of, show, block);
        let near = self.neighbours.as_ref().zip(distances.as_mut());
        let near = near.map(|(near, distances)| (near, near.near_gaps(of_table.1, gaps, block, distances, without)));
        let near = near.as_ref().map(|(near, lists)| (*near, lists.as_slice()));
        let shifts = one.as_mut().map(|one| self.shifts(near, gaps, block, one));
        if let Some((near, lists)) = near {
            near.correct_block(lists, gaps, block);
        }
        if let Some(shifts) = shifts {
            self.tilt_block(&shifts, gaps, block);
        }
    }

    /// The weights of each network.
    pub(super) fn networks(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.members.iter().map(Vec::as_slice)
    }

    /// One entry a column of the schema: the error of held-out cells' fills by the networks that hold them out. `kept`: the rows by which
    /// fills are corrected.
    pub(super) fn expected_errors(
        &self,
        of_fit: (&View<'_>, &Rows<f32>),
        members: &[Member],
        kept: &[usize],
    ) -> Vec<Option<ExpectedError>> {
        let d = self.vae.heads.len();
        let rows = of_fit.1;
        // Per column: squared errors (or wrong levels) of the fills and of the mean fill, and what a cell like it counts for among the gaps.
        let mut errors: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); d];
        for (networks, held) in by_fold(members) {
            let HeldOut { cells, rows: held_rows, .. } = held;
            let gaps: Vec<Gap> =
                held_rows.iter().flat_map(|&i| (0..d).filter(move |&k| cells[(i, k)]).map(move |k| (i, k))).collect();
            let blocks = self.answer_blocks(
                &gaps,
                || self.fill_buffers(),
                |buffers, of, gaps| {
                    let show = |i: usize, j: usize| !cells[(i, j)];
                    let without = |i: usize| kept.binary_search(&i).ok();
                    self.expect_gaps(networks.iter().copied(), of_fit, (of, gaps), show, without, buffers);
                    let block = &buffers.block;
                    let error = |(r, &(i, k)): (usize, &Gap)| {
                        let fill = self.point(k, block.outcomes(r, k));
                        let odds = match &self.tilts[k] {
                            Some(tilt) => tilt.of(rows.target[(i, k)], self.is_number(k)).exp(),
                            None => held.count(i, k),
                        };
                        match &self.scaling.columns[k] {
                            number @ ColumnScaling::Number { .. } => {
                                let truth = f64::from(rows.target[(i, k)]);
                                (k, ((number.to_model(fill) - truth).powi(2), truth * truth, odds))
                            }
                            ColumnScaling::Levels { classes } => {
                                let truth = f64::from(rows.place[(i, k)]);
                                (k, (f64::from(fill != truth), f64::from(classes.mode() as f64 != truth), odds))
                            }
                        }
                    };
                    gaps.iter().enumerate().flat_map(|(r, gaps)| gaps.iter().map(move |gap| (r, gap))).map(error).collect()
                },
            );
            blocks.into_iter().for_each(|(k, error)| errors[k].push(error));
        }
        let mut out = vec![None; self.schema.columns().len()];
        let numbers = errors.iter().zip(&self.scaling.columns).filter(|(_, s)| matches!(s, ColumnScaling::Number { .. }));
        let tails = tails(numbers.map(|(errors, _)| errors.iter().map(|e| e.0).collect()));
        for (k, errors) in errors.iter().enumerate() {
            let j = self.schema.modelled()[k];
            out[j] = summary(&self.scaling.columns[k], errors, tails);
        }
        out
    }
}

/// The variance of squared errors in units of their column's mean, of all columns together: a column with few held-out cells, none
/// of them a wild one, does not show how wild its errors can be.
fn tails(columns: impl Iterator<Item = Vec<f64>>) -> f64 {
    let (mut total, mut cells) = (0.0, 0);
    for squares in columns.filter(|squares| squares.len() > 1) {
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        if mean > 0.0 {
            total += squares.iter().map(|e| (e / mean - 1.0).powi(2)).sum::<f64>();
            cells += squares.len() - 1;
        }
    }
    total / cells.max(1) as f64
}

/// Mean and standard error of the held-out cells' errors; on the root scale for numbers, by the delta method, with tails no lighter
/// than those of all columns of numbers; of levels as if two more cells were wrong and two right (Agresti & Coull 1998), so
/// that none wrong of a few is not taken for certain. Where gaps follow what their cells would have said, or other columns, held-out cells
/// count by how likely such a one is missing.
fn summary(scaling: &ColumnScaling, errors: &[(f64, f64, f64)], tails: f64) -> Option<ExpectedError> {
    let cells = errors.len();
    if cells < 2 {
        return None;
    }
    let n = cells as f64;
    let total: f64 = errors.iter().map(|e| e.2).sum();
    // One on average; as many cells as they are worth.
    let weighted = || errors.iter().map(|&(ours, mean_fill, weight)| (ours, mean_fill, weight * n / total));
    let worth = n * n / weighted().map(|e| e.2 * e.2).sum::<f64>();
    let mean = |f: fn((f64, f64, f64)) -> f64| weighted().map(|e| e.2 * f(e)).sum::<f64>() / n;
    let (ours, mean_fill) = (mean(|e| e.0), mean(|e| e.1));
    Some(match scaling {
        ColumnScaling::Number { sd, .. } => {
            let variance = weighted().map(|e| e.2 * (e.0 - ours).powi(2)).sum::<f64>() / (n - 1.0);
            let variance = variance.max(tails * ours * ours);
            let rmse = ours.sqrt();
            ExpectedError {
                error: rmse,
                standard_error: (variance / worth).sqrt() / (2.0 * rmse.max(1e-12)),
                mean_fill: mean_fill.sqrt(),
                cells,
                unit: *sd,
            }
        }
        ColumnScaling::Levels { .. } => {
            let all = worth + 4.0;
            let wrong = (ours * worth + 2.0) / all;
            let standard_error = (wrong * (1.0 - wrong) / all).sqrt();
            ExpectedError { error: ours, standard_error, mean_fill, cells, unit: 1.0 }
        }
    })
}

/// Buffers of fills: of a block, of one where cells are tilted, and of distances where fills are corrected.
struct FillBuffers {
    block: Block<f32>,
    one: Option<Block<f32>>,
    distances: Option<Distances>,
}

/// Draws tried before a value inside the bounds is drawn from what the law has there.
const TRIES: usize = 100;

impl Imputer for VaeImputer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn fill(&self, df: &DataFrame) -> Result<Filled> {
        let table = self.table(df)?;
        let rows: Rows<f32> = self.scaling.rows(&table);
        let gaps = gaps_by_row(&table);
        let mut values = in_pool(self.threads, || {
            self.answer_blocks(
                &gaps,
                || self.fill_buffers(),
                |buffers, of, gaps| {
                    self.expect_gaps(self.networks(), (&self.view(), &rows), (of, gaps), |_, _| true, |_| None, buffers);
                    let row = |(r, gaps): (usize, &&[Gap])| -> Vec<f64> {
                        gaps.iter().map(|&(_, k)| self.point(k, buffers.block.outcomes(r, k))).collect()
                    };
                    gaps.iter().enumerate().flat_map(row).collect()
                },
            )
        })?;
        if let Some(donors) = &self.donors {
            for (value, &(_, k)) in values.iter_mut().zip(&gaps).filter(|(_, gap)| donors.has(gap.1)) {
                *value = donors.nearest(k, self.scaling.columns[k].to_model(*value));
            }
        }
        let cells = scatter(&table, &gaps, values.into_iter());
        Filled::new(df, table, cells, &self.info)
    }

    fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
        check_m(m)?;
        let table = self.table(df)?;
        let keys = RowKeys::default().of(df, self.schema.id.as_deref(), 0)?;
        let draws = self.draw_rows(&table, self.picks(&table)?.as_deref(), 0..m, seed, &keys)?;
        Ok(Imputations::new(df, table, draws, &self.info))
    }

    fn without_rows(&self) -> Option<Box<dyn Imputer>> {
        let as_observed = || VaeImputer { tilts: vec![None; self.tilts.len()], ..self.clone().without_neighbours() };
        (self.neighbours.is_some() || self.is_tilted()).then(|| Box::new(as_observed()) as Box<dyn Imputer>)
    }
}

impl VaeImputer {
    /// What the gaps of a table may take from rows alike, the same in all draws; `None` where nothing is taken.
    pub(super) fn picks(&self, table: &Table) -> Result<Option<Vec<Picks>>> {
        let Some(near) = &self.neighbours else { return Ok(None) };
        let rows: Rows<f32> = self.scaling.rows(table);
        let of_block = |FillBuffers { block, one, distances }: &mut FillBuffers, of: &[usize], gaps: &[&[Gap]]| {
            self.expect(self.networks(), self.noise.view(), (&self.view(), &rows), of, |_, _| true, block);
            let distances = distances.as_mut().expect("there are neighbours");
            let lists = near.near_gaps(&rows, gaps, block, distances, |_| None);
            let tilts = one.as_mut().map_or_else(Vec::new, |one| {
                let shifts = self.shifts(Some((near, &lists)), gaps, block, one);
                let of_gap = |(&(_, k), shift): (&Gap, Shift)| (self.tilts[k].as_ref(), shift.own);
                gaps.iter().copied().flatten().zip(shifts).map(of_gap).collect()
            });
            near.picks(&self.vae.heads, &lists, gaps, block, &tilts)
        };
        in_pool(self.threads, || self.answer_blocks(&gaps_by_row(table), || self.fill_buffers(), of_block)).map(Some)
    }

    /// By how much tilts move the expected number of each gap, model units; none where nothing is tilted.
    fn number_shifts(&self, rows: &Rows<f32>, gaps: &[Gap]) -> Result<Vec<f64>> {
        if !self.is_tilted() {
            return Ok(Vec::new());
        }
        let of_block = |FillBuffers { block, one, .. }: &mut FillBuffers, of: &[usize], gaps: &[&[Gap]]| -> Vec<f64> {
            self.expect(self.networks(), self.noise.view(), (&self.view(), rows), of, |_, _| true, block);
            let one = one.as_mut().expect("something is tilted");
            self.shifts(None, gaps, block, one).into_iter().map(|shift| f64::from(shift.by)).collect()
        };
        in_pool(self.threads, || self.answer_blocks(gaps, || self.fill_buffers(), of_block))
    }

    /// The outputs of one latent point for each row of a block that has been shown, by a network and a draw of the linear model's
    /// parameters, and the noise of the rows' cells, (rows, columns). A row's stream, which it shares with the `each` rows beside it, gives
    /// its latent point first, then the noise of its cells; what more these take, in the model's column order, comes after.
    pub(super) fn draw_outputs<'b>(
        &self,
        (w, linear): (&[f32], &FactorAnalysis),
        (streams, each): (&mut [Stream], usize),
        block: &'b mut Block<f32>,
        noise: &mut [f64],
    ) -> &'b Array2<f32> {
        let mut latents = Array2::zeros((BLOCK, self.vae.latent));
        let rows = latents.rows_mut().into_iter().zip(noise.chunks_exact_mut(self.vae.columns));
        for (r, (mut latent, noise)) in rows.enumerate() {
            let rng = &mut streams[r / each];
            fill_normals(&mut latent, rng);
            linear.noise(&block.given, r, rng, noise);
        }
        latents *= self.spread();
        block.draw(&self.vae, w, latents.view())
    }

    /// Some of the draws of rows. `picks`: what [`VaeImputer::picks`] says of the table; `keys`: what each row's draws depend on.
    pub(super) fn draw_rows(
        &self,
        table: &Table,
        picks: Option<&[Picks]>,
        draws: Range<usize>,
        seed: u64,
        keys: &[u64],
    ) -> Result<Vec<Cells>> {
        let rows: Rows<f32> = self.scaling.rows(table);
        let gaps = gaps_by_row(table);
        let shifts = if self.donors.is_some() { self.number_shifts(&rows, &gaps)? } else { Vec::new() };
        let one_draw = |i: usize| {
            let Some(w) = self.members.get(i % self.members.len().max(1)) else { return table.constant_cells() };
            // Its own network, its own draw of the linear model's parameters.
            let linear = &self.linear.draws[i % self.linear.draws.len()];
            let view = View::of(&self.scaling, linear);
            let tilts = self.drawn_tilts(i);
            let mut values = self.answer_blocks(
                &gaps,
                || Block::new(&self.vae, 1),
                |block, of, gaps| {
                    show_block(&view, &rows, of, |_, _| true, block);
                    let mut streams: Vec<_> =
                        of.iter().map(|&row| stream(seed, Purpose::Draw, pair(i as u64, keys[row]))).collect();
                    let mut noise = vec![0.0; of.len() * self.vae.columns];
                    let eta = self.draw_outputs((w, linear), (&mut streams, 1), block, &mut noise);
                    let mut values = Vec::new();
                    let noises = noise.chunks_exact(self.vae.columns);
                    for (((gaps, rng), eta), noise) in gaps.iter().zip(&mut streams).zip(eta.rows()).zip(noises) {
                        let eta = eta.to_slice().expect("standard layout");
                        for &(_, k) in *gaps {
                            let eta = &eta[self.vae.heads[k].eta.clone()];
                            values.push(self.draw_gap(tilts[k].as_ref(), k, eta, noise[k], rng));
                        }
                    }
                    values
                },
            );
            if !self.linear.outcomes.is_empty() {
                self.draw_candidates((w, linear), &tilts, (&rows, &gaps), (seed, i), keys, &mut values);
            }
            for ((value, picks), &(row, k)) in values.iter_mut().zip(picks.unwrap_or_default()).zip(&gaps) {
                if let Some(x) = picks.pick(seed, i, keys[row]) {
                    *value = self.picked(k, x, &mut cell_stream(seed, i, keys[row], k)).unwrap_or(*value);
                }
            }
            if let Some(donors) = &self.donors {
                let mut expected = self.expected_numbers(std::slice::from_ref(w), (&view, &rows), &gaps, |_| true);
                expected.iter_mut().zip(&shifts).for_each(|(x, shift)| *x += shift);
                let matched = values.iter_mut().zip(&gaps).zip(expected).filter(|((_, gap), _)| donors.has(gap.1));
                matched.for_each(|((value, &(row, k)), x)| *value = donors.draw(k, x, &mut cell_stream(seed, i, keys[row], k)));
            }
            scatter(table, &gaps, values.into_iter())
        };
        in_pool(self.threads, || draws.into_par_iter().map(one_draw).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_a_wild_cell_has_the_tails_of_the_others() {
        // Squared errors of one column alike, of the other with a wild one among them.
        let (tame, wild) = (vec![1.0; 30], [vec![1.0; 29], vec![31.0]].concat());
        // Mean 2: 29 of (1/2 − 1)² and one of (31/2 − 1)².
        let want = (29.0 * 0.25 + 14.5 * 14.5) / 58.0;
        let tails = tails([tame.clone(), wild, vec![0.0; 9], vec![5.0]].into_iter());
        assert!((tails - want).abs() < 1e-12, "{tails} {want}");
        let number = crate::data::scaling::number_scaling((0..60).map(f64::from).collect(), 16);
        let errors: Vec<(f64, f64, f64)> = tame.iter().map(|&e| (e, 4.0, 1.0)).collect();
        let e = summary(&number, &errors, tails).unwrap();
        assert!((e.error - 1.0).abs() < 1e-12 && (e.mean_fill - 2.0).abs() < 1e-12);
        assert!((e.standard_error - (want / 30.0).sqrt() / 2.0).abs() < 1e-12, "{e:?}");
        assert!(summary(&number, &errors[..1], tails).is_none());
    }
}
