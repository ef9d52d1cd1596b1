//! A fitted autoencoder as a file: safetensors, with all but the weights as JSON in its metadata. There is no code in it.
//!
//! | in the file | what |
//! |---|---|
//! | tensor `member.0`, `member.1`, … | f32, (weights,): the weights of one network, in the order of its layers |
//! | tensor `linear` | f64, (1 + draws, numbers): the linear-Gaussian start, and draws of its parameters |
//! | tensor `noise` | f32, (points, latent): the latent points that all fills share |
//! | tensors `neighbours.target`, `.completed`, `.expected` | f32, a row each: rows of the fitted table that correct fills, if any do |
//! | metadata `lacuna` | a JSON text: format version, schema, scaling, seed, expected errors, how the training went |

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use ::polars::prelude::DataType;
use ndarray::Array2;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::csv::CsvOptions;
use crate::data::file::write_whole;
use crate::data::physical;
use crate::data::scaling::{ColumnScaling, Scaling};
use crate::data::schema::{Column, ColumnKind, ColumnSpec, Family, Left, Role, Schema};
use crate::error::{Error, ErrorKind, Result, Warning};
use crate::impute::config::{LATENT_MOST, Training, WIDTH_MOST};
use crate::impute::donors::Donors;
use crate::impute::likeness::Likeness;
use crate::impute::neighbours::{Kernels, Neighbours};
use crate::impute::vae::VaeImputer;
use crate::impute::{ExpectedError, FittedInfo};
use crate::kernel::Real;
use crate::likelihood::{Likelihood, heads};
use crate::model::Vae;
use crate::model::linear::FactorAnalysis;
use crate::model::linear::start::{Linear, Outcome};
use crate::model::missingness::Tilt;
use crate::model::posterior::AT_ONCE;
use crate::train::pilot::FamilyScore;

/// The version of the format that is written, and the newest that is read.
const FORMAT: u32 = 1;
/// The key of the metadata.
const KEY: &str = "lacuna";
/// What no fit exceeds.
const DEPTH_MOST: usize = 64;
const POINTS_MOST: usize = 4096;

/// The metadata; its `format` is read before the rest of it.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    /// The version of this crate that wrote the file.
    version: String,
    method: String,
    columns: Vec<StoredColumn>,
    /// In the model's column order.
    scaling: Scaling,
    latent: usize,
    training: Training,
    seed: u64,
    /// How CSV files are read.
    csv: (CsvOptions, Vec<ColumnSpec>),
    /// In the model's column order.
    scores: Vec<Vec<StoredScore>>,
    schema_warnings: Vec<Warning>,
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    donors: Option<Donors>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    neighbours: Option<Kernels>,
    #[serde(default)]
    likeness: Likeness,
    /// Dimensions of the linear model that are products of others.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    products: Vec<(usize, usize)>,
    /// What its discriminant of each column of levels counts for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    levels: Vec<f64>,
    /// Columns that bend with others, by whose products missing ones are drawn.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    outcomes: Vec<Outcome>,
    /// How the gaps of each column follow its own values.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tilts: Vec<Option<Tilt>>,
    /// The column that tells the rows apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
    version: String,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    dtype: String,
    kind: ColumnKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    family: Option<Family>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    levels: Vec<String>,
    #[serde(skip_serializing_if = "is_open", default = "open")]
    bounds: (Exact, Exact),
    #[serde(skip_serializing_if = "Option::is_none", default)]
    step: Option<f64>,
    role: StoredRole,
    asked: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expected_error: Option<StoredError>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRole {
    Modelled,
    /// The value that fills all gaps; as an integer in words where the dtype stores such.
    Constant(Exact, Option<String>),
    Left(Left),
}

#[derive(Serialize, Deserialize)]
struct StoredError {
    error: Exact,
    standard_error: Exact,
    mean_fill: Exact,
    cells: usize,
    unit: Exact,
}

#[derive(Serialize, Deserialize)]
struct StoredScore {
    family: Family,
    log_score: Exact,
    fill_loss: Exact,
    cells: usize,
    chosen: bool,
}

/// A number with its infinities, which JSON lacks: those are texts.
#[derive(Clone, Copy, PartialEq)]
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        if self.0.is_finite() { to.serialize_f64(self.0) } else { to.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Exact, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(x) => Ok(Exact(x)),
            Either::Text(text) => text.parse().map(Exact).map_err(serde::de::Error::custom),
        }
    }
}

fn open() -> (Exact, Exact) {
    (Exact(f64::NEG_INFINITY), Exact(f64::INFINITY))
}

fn is_open(bounds: &(Exact, Exact)) -> bool {
    *bounds == open()
}

impl VaeImputer {
    /// Writes the fitted model to a file: safetensors, with all but the weights as JSON in its metadata. Any reader of
    /// safetensors opens it; there is no code in it; of the fitted table's cells levels, bounds, values that are frequent and summaries of columns, and
    /// the rows by which it corrects fills, if it does ([`VaeImputer::neighbours`]).
    /// It appears whole or not at all: under another name first, in the same folder, then renamed.
    ///
    /// ```
    /// use lacuna::{Fit, Imputer, VaeConfig, VaeImputer};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let imputer = VaeConfig::default().epochs(2).fit(&df!("x" => &x, "y" => &x)?)?;
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("model.safetensors");
    /// imputer.save(&path)?;
    /// let tonight = df!("x" => [Some(3.0), None], "y" => [None, Some(7.0)])?;
    /// let filled = VaeImputer::load(&path)?.fill(&tonight)?;
    /// assert!(filled.frame.equals(&imputer.fill(&tonight)?.frame));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// The folder cannot be written to; writing fails.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        write_whole(path, |file| file.write_all(&bytes).map_err(|e| Error::io(Some(path), "write", e)))
    }

    /// Writes the fitted model as [`VaeImputer::save`] does.
    ///
    /// # Errors
    /// Writing fails.
    pub fn save_to(&self, mut out: impl Write) -> Result<()> {
        let bytes = self.to_bytes()?;
        out.write_all(&bytes).and_then(|()| out.flush()).map_err(|e| Error::io(None, "write", e))
    }

    /// Reads a model that [`VaeImputer::save`] wrote, of this version of the crate or of an earlier one. It fills and draws
    /// with the same bits as the model that was saved, on the same kind of machine, on all cores.
    ///
    /// # Errors
    /// [`ErrorKind::Model`]: the file is damaged, of a later version, or no model; reading fails. Memory is in proportion to the
    /// file, whatever it claims.
    pub fn load(path: impl AsRef<Path>) -> Result<VaeImputer> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io(Some(path), "read", e))?;
        VaeImputer::load_from(file, path)
    }

    /// Reads a model as [`VaeImputer::load`] does; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`VaeImputer::load`].
    pub fn load_from(mut input: impl Read, name: impl AsRef<Path>) -> Result<VaeImputer> {
        let path = name.as_ref();
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|e| Error::io(Some(path), "read", e))?;
        read(&bytes).map_err(|message| ErrorKind::Model { path: path.to_owned(), message }.into())
    }

    /// What is to be said of the training: that a time limit ended it, that nothing could be held out, that the latent space has
    /// collapsed. The last does not stand in the reports of fills, which do without z.
    pub fn warnings(&self) -> Vec<Warning> {
        let collapsed = self.has_collapsed().then_some(Warning::Collapsed { units: self.vae.latent });
        self.info.warnings.iter().cloned().chain(collapsed).collect()
    }

    /// How the training went.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// Weights of all networks.
    pub fn weights(&self) -> usize {
        self.members.iter().map(Vec::len).sum()
    }

    /// The error of fills of a column on the cells held out of the fit, if any were.
    pub fn expected_error(&self, column: &str) -> Option<&ExpectedError> {
        let place = self.schema.columns().iter().position(|c| c.name() == column)?;
        self.info.errors.get(place)?.as_ref()
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_string(&self.stored()).expect("names and numbers are valid JSON");
        let little = |x: &[f32]| -> Vec<u8> { x.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let noise: Vec<f32> = self.noise.iter().copied().collect();
        let mut tensors = vec![("noise".to_string(), vec![self.noise.nrows(), self.noise.ncols()], little(&noise))];
        for (m, weights) in self.members.iter().enumerate() {
            tensors.push((member(m), vec![weights.len()], little(weights)));
        }
        for (name, cells) in NEIGHBOURS.iter().zip(self.neighbours.iter().flat_map(Neighbours::tensors)) {
            let all: Vec<f32> = cells.iter().copied().collect();
            tensors.push((name.to_string(), vec![cells.nrows(), cells.ncols()], little(&all)));
        }
        let mut tensors: Vec<_> = tensors.into_iter().map(|(name, shape, bytes)| (name, Dtype::F32, shape, bytes)).collect();
        let models = [&self.linear.whole].into_iter().chain(&self.linear.draws);
        let parameters: Vec<u8> = models.clone().flat_map(|m| m.parameters()).flat_map(f64::to_le_bytes).collect();
        let (models, numbers) = (models.count(), self.linear.whole.parameters().count());
        tensors.push((LINEAR.into(), Dtype::F64, vec![models, numbers], parameters));
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)));
        let views = views.collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let metadata = HashMap::from([(KEY.to_string(), text)]);
        let bytes = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
        bytes.map_err(|e| Error::io(None, "write", std::io::Error::other(e)))
    }

    fn stored(&self) -> Stored {
        let errors = self.info.errors.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let columns = self.schema.columns().iter().zip(errors);
        let score = |s: &FamilyScore| StoredScore {
            family: s.family,
            log_score: Exact(s.log_score),
            fill_loss: Exact(s.fill_loss),
            cells: s.cells,
            chosen: s.chosen,
        };
        Stored {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            method: self.info.method.clone(),
            columns: columns.map(|(column, error)| StoredColumn::of(column, error)).collect(),
            scaling: self.scaling.clone(),
            latent: self.vae.latent,
            training: self.training.clone(),
            seed: self.seed,
            csv: self.csv.clone(),
            scores: self.scores.iter().map(|scores| scores.iter().map(score).collect()).collect(),
            schema_warnings: self.schema.warnings().to_vec(),
            warnings: self.info.warnings.clone(),
            donors: self.donors.clone(),
            neighbours: self.neighbours.as_ref().map(|n| n.kernels),
            likeness: self.likeness.clone(),
            products: self.linear.whole.products(),
            levels: self.linear.whole.trusts(),
            outcomes: self.linear.outcomes.clone(),
            tilts: if self.is_tilted() { self.tilts.clone() } else { Vec::new() },
            id: self.schema.id.clone(),
        }
    }
}

/// The tensor of the linear model and of the draws of its parameters.
const LINEAR: &str = "linear";
/// The tensors of the rows by which fills are corrected.
const NEIGHBOURS: [&str; 3] = ["neighbours.target", "neighbours.completed", "neighbours.expected"];
/// Draws of its parameters that a file may claim.
const DRAWS_MOST: usize = 1000;

fn member(m: usize) -> String {
    format!("member.{m}")
}

/// Why a file is no model; one line.
type Damage = String;

/// Damage that no writer does.
fn damaged(what: &str) -> Damage {
    format!("the file is damaged: {what}; fetch it again, or fit again")
}

fn read(bytes: &[u8]) -> std::result::Result<VaeImputer, Damage> {
    // The library's messages quote the file, which may hold anything.
    let one_line =
        |e: safetensors::SafeTensorError| -> String { e.to_string().chars().filter(|c| !c.is_control()).take(80).collect() };
    let no_model = |why: String| format!("the file is no model, or damaged ({why}); give one that lacuna fit wrote");
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| no_model(one_line(e)))?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| no_model(one_line(e)))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| no_model(format!("no metadata `{KEY}`")))?;
    let json = |e: serde_json::Error| damaged(&format!("its metadata ends or breaks at {}", e.column()));
    let Version { format, version } = serde_json::from_str(text).map_err(json)?;
    if format != FORMAT {
        let version: String = version.chars().filter(|c| !c.is_control()).take(20).collect();
        return Err(format!(
            "the model has format {format}, of lacuna {version}, and formats up to {FORMAT} are read; update lacuna"
        ));
    }
    let stored: Stored = serde_json::from_str(text).map_err(json)?;
    let errors = stored.columns.iter().map(|c| c.expected_error.as_ref().map(StoredError::error)).collect();
    let columns = stored.columns.into_iter().map(StoredColumn::column).collect::<std::result::Result<Vec<_>, Damage>>()?;
    let mut names: Vec<&str> = columns.iter().map(Column::name).collect();
    names.sort_unstable();
    if names.windows(2).any(|n| n[0] == n[1]) {
        return Err(damaged("two columns have one name"));
    }
    let mut schema = Schema::new(columns, stored.schema_warnings);
    schema.id = stored.id;
    let scaling = stored.scaling;
    let sound = schema.modelled_columns().zip(&scaling.columns).all(|(c, s)| s.is_sound(c) && fits(c, s));
    if scaling.columns.len() != schema.modelled().len() || !sound {
        return Err(damaged("its scaling does not fit its columns"));
    }
    let numbers_of = scaling.columns.iter().map(|s| matches!(s, ColumnScaling::Number { .. }));
    if stored.donors.as_ref().is_some_and(|d| !d.is_sound(numbers_of)) {
        return Err(damaged("its donors do not fit its columns"));
    }
    if !stored.likeness.is_sound(&schema) {
        return Err(damaged("what it says of its table does not fit its columns"));
    }
    let training = stored.training;
    if stored.latent == 0 || stored.latent > LATENT_MOST || training.width > WIDTH_MOST || training.depth > DEPTH_MOST {
        return Err(damaged("its networks have sizes that no fit gives"));
    }
    let families: Vec<Vec<Family>> = schema.modelled_columns().map(|c| vec![c.family]).collect();
    let heads =
        heads(schema.modelled_columns().zip(&families), &scaling).map_err(|_| damaged("a family does not suit its column"))?;
    let linear = linear(&tensors, &scaling, (&stored.products, &stored.levels), stored.outcomes)?;
    let vae = Vae::new(scaling.shape().with_completed(linear.whole.len()), heads, stored.latent, training.width, training.depth);
    let noise: Vec<f32> = numbers(&tensors, "noise")?;
    let points = noise.len() / stored.latent;
    if points == 0 || points > POINTS_MOST || !points.is_multiple_of(AT_ONCE) {
        return Err(damaged("its tensor `noise` has another size than its metadata says"));
    }
    let noise = Array2::from_shape_vec((points, stored.latent), noise)
        .map_err(|_| damaged("its tensor `noise` has another size than its metadata says"))?;
    let members = tensors.names().iter().filter(|name| name.starts_with("member.")).count();
    if (members == 0) != schema.modelled().is_empty() {
        return Err(damaged("it has no weights for its columns"));
    }
    let members = (0..members).map(|m| {
        let weights: Vec<f32> = numbers(&tensors, &member(m))?;
        match weights.len() == vae.weights {
            true => Ok(weights),
            false => Err(damaged(&format!("its tensor `{}` has another size than its metadata says", member(m)))),
        }
    });
    let members = members.collect::<std::result::Result<Vec<_>, Damage>>()?;
    let neighbours = stored.neighbours.map(|kernels| neighbours(&tensors, &vae, kernels)).transpose()?;
    let entries = vae.heads.iter().map(|head| Likelihood::<f32>::outcomes(&head.law));
    let tilts = match stored.tilts.is_empty() {
        true => vec![None; vae.heads.len()],
        false => stored.tilts,
    };
    let sound = |(tilt, entries): (&Option<Tilt>, usize)| tilt.as_ref().is_none_or(|tilt| tilt.is_sound(entries));
    if tilts.len() != vae.heads.len() || !tilts.iter().zip(entries).all(sound) {
        return Err(damaged("what its gaps follow is none of its columns'"));
    }
    let scores = stored.scores.into_iter().map(|scores| scores.iter().map(StoredScore::score).collect());
    Ok(VaeImputer {
        schema: Arc::new(schema),
        scaling,
        linear,
        vae,
        members,
        noise,
        donors: stored.donors,
        neighbours,
        tilts,
        likeness: stored.likeness,
        scores: scores.collect(),
        info: FittedInfo { method: stored.method, errors, warnings: stored.warnings },
        training,
        csv: stored.csv,
        seed: stored.seed,
        threads: None,
    })
}

/// The linear model, and draws of its parameters below it.
fn linear(
    tensors: &SafeTensors<'_>,
    scaling: &Scaling,
    of: (&[(usize, usize)], &[f64]),
    outcomes: Vec<Outcome>,
) -> std::result::Result<Linear, Damage> {
    let damage = || damaged("its linear model is none of its columns'");
    let parameters: Vec<f64> = numbers(tensors, LINEAR)?;
    let shape = tensors.tensor(LINEAR).map_err(|_| damage())?.shape().to_vec();
    let [models @ 2..=DRAWS_MOST, each] = shape[..] else { return Err(damage()) };
    let at = |i: usize| FactorAnalysis::stored(scaling, of, &parameters[i * each..(i + 1) * each]).ok_or_else(damage);
    let sound = |outcome: &Outcome| {
        let number = matches!(scaling.columns.get(outcome.column), Some(ColumnScaling::Number { .. }));
        number && outcome.factors.iter().all(|&factor| factor < scaling.columns.len())
    };
    if !outcomes.iter().all(sound) {
        return Err(damage());
    }
    Ok(Linear { whole: at(0)?, draws: (1..models).map(at).collect::<std::result::Result<_, _>>()?, outcomes })
}

/// The rows by which fills are corrected.
fn neighbours(tensors: &SafeTensors<'_>, vae: &Vae, kernels: Kernels) -> std::result::Result<Neighbours, Damage> {
    let damage = || damaged("the rows that correct its fills are none of its columns'");
    let table = |name: &str| {
        let shape = tensors.tensor(name).map_err(|_| damage())?.shape().to_vec();
        let [rows, columns] = shape[..] else { return Err(damage()) };
        Array2::from_shape_vec((rows, columns), floats(tensors, name)?).map_err(|_| damage())
    };
    let [target, completed, expected] = NEIGHBOURS;
    Neighbours::new(&vae.heads, [table(target)?, table(completed)?, table(expected)?], kernels).ok_or_else(damage)
}

/// Whether a column's family and levels go together.
fn fits(column: &Column, scaling: &ColumnScaling) -> bool {
    let classes = match scaling {
        ColumnScaling::Number { .. } => return true,
        ColumnScaling::Levels { classes } => classes.len(),
    };
    if column.family == Family::Bernoulli { classes == 2 } else { classes >= 2 }
}

/// A float that tensors are made of.
trait Stores: Real {
    const DTYPE: Dtype;
    fn from_bytes(bytes: &[u8]) -> Vec<Self>;
}

impl Stores for f32 {
    const DTYPE: Dtype = Dtype::F32;
    fn from_bytes(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

impl Stores for f64 {
    const DTYPE: Dtype = Dtype::F64;
    fn from_bytes(bytes: &[u8]) -> Vec<f64> {
        bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
    }
}

/// The numbers of a tensor.
fn floats<F: Stores>(tensors: &SafeTensors<'_>, name: &str) -> std::result::Result<Vec<F>, Damage> {
    let tensor = tensors.tensor(name).map_err(|_| damaged(&format!("it has no tensor `{name}`")))?;
    if tensor.dtype() != F::DTYPE {
        return Err(damaged(&format!("its tensor `{name}` is not of type {}", std::any::type_name::<F>())));
    }
    Ok(F::from_bytes(tensor.data()))
}

/// Those of a tensor that has none but finite ones.
fn numbers<F: Stores>(tensors: &SafeTensors<'_>, name: &str) -> std::result::Result<Vec<F>, Damage> {
    let numbers: Vec<F> = floats(tensors, name)?;
    match numbers.iter().all(|x| x.is_finite()) {
        true => Ok(numbers),
        false => Err(damaged(&format!("its tensor `{name}` has entries that are not finite"))),
    }
}

impl StoredColumn {
    fn of(column: &Column, error: Option<&ExpectedError>) -> StoredColumn {
        StoredColumn {
            name: column.name.clone(),
            dtype: match column.role {
                // The levels of an enum that is left are nowhere kept, and nothing is asked of its type.
                Role::Left(_) if matches!(column.dtype, DataType::Enum(..)) => physical::name(&DataType::String),
                _ => physical::name(&column.dtype),
            },
            kind: column.kind,
            family: column.family(),
            levels: column.levels.clone(),
            bounds: (Exact(column.bounds.0), Exact(column.bounds.1)),
            step: column.step,
            role: match column.role {
                Role::Modelled => StoredRole::Modelled,
                Role::Constant(x) => StoredRole::Constant(Exact(x), column.constant.map(|x| x.to_string())),
                Role::Left(why) => StoredRole::Left(why),
            },
            asked: column.asked,
            expected_error: error.map(|e| StoredError {
                error: Exact(e.error),
                standard_error: Exact(e.standard_error),
                mean_fill: Exact(e.mean_fill),
                cells: e.cells,
                unit: Exact(e.unit),
            }),
        }
    }

    fn column(self) -> std::result::Result<Column, Damage> {
        let damaged = |what: &str| damaged(&format!("column `{}` {what}", self.name.escape_debug()));
        let dtype = physical::named(&self.dtype, &self.levels).ok_or_else(|| damaged("has no type"))?;
        let mut levels: Vec<&String> = self.levels.iter().collect();
        levels.sort_unstable();
        if levels.windows(2).any(|l| l[0] == l[1]) {
            return Err(damaged("has a level twice"));
        }
        let (role, constant) = match &self.role {
            StoredRole::Modelled => (Role::Modelled, None),
            StoredRole::Left(why) => (Role::Left(*why), None),
            StoredRole::Constant(x, None) => (Role::Constant(x.0), None),
            StoredRole::Constant(x, Some(stored)) => {
                let stored: Option<i128> = stored.parse().ok();
                let range = physical::range(&dtype);
                let stored = stored.filter(|x| range.is_some_and(|(low, high)| (low..=high).contains(x)));
                (Role::Constant(x.0), Some(stored.ok_or_else(|| damaged("has a constant that its type cannot hold"))?))
            }
        };
        let column = Column {
            family: self.family.unwrap_or(Family::Gaussian),
            name: self.name.clone(),
            dtype,
            kind: self.kind,
            named: self.family.is_some(),
            levels: self.levels.clone(),
            bounds: (self.bounds.0.0, self.bounds.1.0),
            step: self.step,
            constant,
            role,
            asked: self.asked,
        };
        if column.is_sound() { Ok(column) } else { Err(damaged("contradicts itself")) }
    }
}

impl StoredError {
    fn error(&self) -> ExpectedError {
        ExpectedError {
            error: self.error.0,
            standard_error: self.standard_error.0,
            mean_fill: self.mean_fill.0,
            cells: self.cells,
            unit: self.unit.0,
        }
    }
}

impl StoredScore {
    fn score(&self) -> FamilyScore {
        FamilyScore {
            family: self.family,
            log_score: self.log_score.0,
            fill_loss: self.fill_loss.0,
            cells: self.cells,
            chosen: self.chosen,
        }
    }
}
