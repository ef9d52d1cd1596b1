//! An unfinished training as a file, from which it goes on to the same bits: safetensors, as models are.
//!
//! | in the file | what |
//! |---|---|
//! | tensors `member.0.weights`, `.mean`, `.best`, `.m`, `.v`, … | f32, (weights,): one network after its last whole epoch |
//! | metadata `lacuna-checkpoint` | a JSON text: what it is a training of, the choice of families, where each network stands |
//!
//! All else follows from the table, the settings and the seed, and is computed again.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argmin::core::checkpointing::{self, CheckpointingFrequency};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::data::file::write_whole;
use crate::data::schema::Family;
use crate::error::{Error, ErrorKind, Result};
use crate::train::adam::{Adam, AdamState};
use crate::train::pilot::FamilyScore;
use crate::train::{Clock, Plan};

/// The key of the metadata, and the version of the format.
const KEY: &str = "lacuna-checkpoint";
const FORMAT: u32 = 1;
/// Writing takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// A file that keeps a training.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    /// What it is a training of: table, settings, plan.
    of: u64,
    /// The time of the training.
    pub clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    choice: Option<Choice>,
    members: BTreeMap<usize, Standing>,
    /// The time that the training had taken when the file was read.
    before: Duration,
    /// When the file was written last, and how long that took.
    written: Option<(Instant, Duration)>,
}

/// Where a network stands after an epoch.
#[derive(Clone, Debug, Default)]
struct Standing {
    figures: Figures,
    /// As [`VECTORS`] names them.
    vectors: [Vec<f32>; 5],
}

const VECTORS: [&str; 5] = ["weights", "mean", "best", "m", "v"];

/// Numbers as their bits: JSON has no infinities.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Figures {
    epochs: u64,
    step: usize,
    norm: u64,
    factor: u32,
    stale: u64,
    cuts: u32,
    cost: u32,
    best_cost: u32,
    /// Time that it took.
    #[serde(default)]
    time: Duration,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Score {
    family: Family,
    log_score: u64,
    fill_loss: u64,
    cells: usize,
    chosen: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    of: u64,
    /// Time that the training took.
    #[serde(default)]
    time: Duration,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    choice: Option<Choice>,
    members: BTreeMap<usize, Figures>,
}

/// What the pilot said.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Choice {
    scores: Vec<Vec<Score>>,
    departs: bool,
}

/// What is read first of all.
#[derive(Serialize, Deserialize)]
struct Version {
    format: u32,
    version: String,
}

const CRATE: &str = env!("CARGO_PKG_VERSION");

impl Checkpoint {
    /// The file's training, if there is one; else a new one, with a file that says so.
    ///
    /// # Errors
    /// The file is damaged, of another training or of another version; reading or writing fails.
    pub fn open(path: &Path, of: u64) -> Result<Arc<Checkpoint>> {
        let checkpoint = |kept: Kept| {
            let clock = Clock::after(kept.before);
            Checkpoint { path: path.to_owned(), of, clock, kept: Mutex::new(kept) }
        };
        match fs::read(path) {
            Ok(bytes) => {
                let kept = read(&bytes, of);
                let kept = kept.map_err(|message| Error::from(ErrorKind::Model { path: path.to_owned(), message }))?;
                Ok(Arc::new(checkpoint(kept)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let new = checkpoint(Kept::default());
                // Here, where nothing is lost yet.
                new.write(&mut new.kept())?;
                Ok(Arc::new(new))
            }
            Err(e) => Err(Error::io(Some(path), "read", e)),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self) -> Error {
        ErrorKind::Model { path: self.path.clone(), message: damaged("its networks are none of this training") }.into()
    }

    /// The choice of families and whether networks are worth training, if that is known; each column has these candidates.
    ///
    /// # Errors
    /// The file has other families.
    #[allow(clippy::type_complexity)]
    pub fn choice(&self, candidates: &[Vec<Family>]) -> Result<Option<(Vec<Vec<FamilyScore>>, bool)>> {
        let kept = self.kept();
        let Some(Choice { scores, departs }) = &kept.choice else { return Ok(None) };
        let agree = |(scores, families): (&Vec<Score>, &Vec<Family>)| {
            scores.iter().map(|s| s.family).eq(families.iter().copied()) && scores.iter().filter(|s| s.chosen).count() == 1
        };
        if scores.len() != candidates.len() || !scores.iter().zip(candidates).all(agree) {
            return Err(self.damaged());
        }
        let score = |s: &Score| FamilyScore {
            family: s.family,
            log_score: f64::from_bits(s.log_score),
            fill_loss: f64::from_bits(s.fill_loss),
            cells: s.cells,
            chosen: s.chosen,
        };
        Ok(Some((scores.iter().map(|scores| scores.iter().map(score).collect()).collect(), *departs)))
    }

    /// Keeps what the pilot said.
    ///
    /// # Errors
    /// Writing fails.
    pub fn choose(&self, scores: &[Vec<FamilyScore>], departs: bool) -> Result<()> {
        let score = |s: &FamilyScore| Score {
            family: s.family,
            log_score: s.log_score.to_bits(),
            fill_loss: s.fill_loss.to_bits(),
            cells: s.cells,
            chosen: s.chosen,
        };
        let mut kept = self.kept();
        kept.choice = Some(Choice { scores: scores.iter().map(|scores| scores.iter().map(score).collect()).collect(), departs });
        self.write(&mut kept)
    }

    /// Time that a network took so far.
    pub fn time_of(&self, member: usize) -> Duration {
        self.kept().members.get(&member).map_or(Duration::ZERO, |standing| standing.figures.time)
    }

    /// Brings a solver and its state, both new, to where a network stands; false where it has not begun.
    ///
    /// # Errors
    /// The file's network is none of this training.
    pub fn resume(&self, member: usize, plan: &Plan, adam: &mut Adam, state: &mut AdamState) -> Result<bool> {
        let kept = self.kept();
        let Some(Standing { figures: f, vectors }) = kept.members.get(&member) else { return Ok(false) };
        let weights = state.param.as_ref().map_or(0, Vec::len);
        let epochs = plan.epochs as u64;
        let sound = vectors.iter().all(|v| v.len() == weights)
            && (1..=epochs).contains(&f.epochs)
            && f.step <= plan.epochs * plan.steps_per_epoch
            && f64::from_bits(f.norm).is_finite()
            && f32::from_bits(f.factor).is_finite()
            && !f32::from_bits(f.cost).is_nan()
            && !f32::from_bits(f.best_cost).is_nan();
        if !sound {
            return Err(self.damaged());
        }
        let [weights, mean, best, m, v] = vectors.clone();
        (adam.weights, adam.m, adam.v) = (weights, m, v);
        (adam.step, adam.norm, adam.factor) = (f.step, f64::from_bits(f.norm), f32::from_bits(f.factor));
        (adam.stale, adam.cuts) = (f.stale, f.cuts);
        (state.param, state.best_param) = (Some(mean), Some(best));
        (state.cost, state.best_cost, state.iter) = (f32::from_bits(f.cost), f32::from_bits(f.best_cost), f.epochs);
        Ok(true)
    }

    fn keep(&self, member: usize, adam: &Adam, state: &AdamState) -> Result<()> {
        let figures = Figures {
            epochs: state.iter,
            step: adam.step,
            norm: adam.norm.to_bits(),
            factor: adam.factor.to_bits(),
            stale: adam.stale,
            cuts: adam.cuts,
            cost: state.cost.to_bits(),
            best_cost: state.best_cost.to_bits(),
            time: adam.clock.elapsed(),
        };
        // A run that is lost is lost again.
        let (Some(mean), Some(best), false) = (&state.param, &state.best_param, state.cost.is_nan()) else { return Ok(()) };
        let mut kept = self.kept();
        let standing = kept.members.entry(member).or_default();
        standing.figures = figures;
        let now = [&adam.weights, mean, best, &adam.m, &adam.v];
        standing.vectors.iter_mut().zip(now).for_each(|(kept, now)| kept.clone_from(now));
        if kept.written.is_none_or(|(when, took)| when.elapsed() >= SHARE * took) {
            self.write(&mut kept)?;
        }
        Ok(())
    }

    /// Writes what was kept since the last time, for a fit that is broken off: no epoch that is done is lost.
    pub fn flush(&self) -> Result<()> {
        let mut kept = self.kept();
        if kept.members.is_empty() { Ok(()) } else { self.write(&mut kept) }
    }

    fn write(&self, kept: &mut Kept) -> Result<()> {
        let start = Instant::now();
        let members = kept.members.iter().map(|(&m, standing)| (m, standing.figures)).collect();
        let stored = Stored { of: self.of, time: self.clock.elapsed(), choice: kept.choice.clone(), members };
        let version = Version { format: FORMAT, version: CRATE.into() };
        let text = serde_json::to_string(&(version, stored)).expect("names and numbers are valid JSON");
        let vectors = kept.members.iter().flat_map(|(m, standing)| VECTORS.iter().zip(&standing.vectors).map(move |v| (m, v)));
        let little = |v: &[f32]| -> Vec<u8> { v.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let tensors: Vec<(String, usize, Vec<u8>)> =
            vectors.map(|(m, (name, v))| (tensor(*m, name), v.len(), little(v))).collect();
        let views = tensors.iter().map(|(name, len, bytes)| Ok((name, TensorView::new(Dtype::F32, vec![*len], bytes)?)));
        let views = views.collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let metadata = HashMap::from([(KEY.to_string(), text)]);
        let bytes = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
        let failed = |e| Error::io(Some(&self.path), "write", e);
        let bytes = bytes.map_err(|e| failed(io::Error::other(e)))?;
        write_whole(&self.path, |file| file.write_all(&bytes).map_err(failed))?;
        kept.written = Some((Instant::now(), start.elapsed()));
        Ok(())
    }
}

fn tensor(member: usize, vector: &str) -> String {
    format!("member.{member}.{vector}")
}

fn damaged(what: &str) -> String {
    format!("the checkpoint is damaged: {what}; remove it, and the fit begins anew")
}

fn read(bytes: &[u8], of: u64) -> std::result::Result<Kept, String> {
    let none = || "the file is no checkpoint, or damaged; give another name, or remove it".to_string();
    let tensors = SafeTensors::deserialize(bytes).map_err(|_| none())?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|_| none())?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(none)?;
    let broken = |_| damaged("its metadata cannot be read");
    // What stands behind the version may have another form in another one.
    let (version, _): (Version, serde_json::Value) = serde_json::from_str(text).map_err(broken)?;
    if version.format != FORMAT || version.version != CRATE {
        let other: String = version.version.chars().filter(|c| !c.is_control()).take(20).collect();
        return Err(format!(
            "the checkpoint was written by lacuna {other}, and this is {CRATE}; go on with that, or remove the file"
        ));
    }
    let (_, stored): (Version, Stored) = serde_json::from_str(text).map_err(broken)?;
    if stored.of != of {
        return Err("the checkpoint is of another table or of other settings; give those, or remove the file".into());
    }
    let vector = |m: usize, name: &str| -> Option<Vec<f32>> {
        let tensor = tensors.tensor(&self::tensor(m, name)).ok().filter(|t| t.dtype() == Dtype::F32)?;
        let numbers: Vec<f32> = tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        numbers.iter().all(|x| x.is_finite()).then_some(numbers)
    };
    let standing = |(m, figures): (usize, Figures)| {
        let vectors = VECTORS.map(|name| vector(m, name));
        let mut whole = Standing { figures, ..Standing::default() };
        for (into, vector) in whole.vectors.iter_mut().zip(vectors) {
            *into = vector.ok_or_else(|| damaged("a tensor of its networks is absent or has no numbers"))?;
        }
        Ok((m, whole))
    };
    let members = stored.members.into_iter().map(standing).collect::<std::result::Result<_, String>>()?;
    Ok(Kept { choice: stored.choice, members, before: stored.time, written: None })
}

/// One network's part of a checkpoint, as argmin asks for it.
pub(crate) struct OfMember {
    pub checkpoint: Arc<Checkpoint>,
    pub member: usize,
}

impl checkpointing::Checkpoint<Adam, AdamState> for OfMember {
    fn save(&self, solver: &Adam, state: &AdamState) -> std::result::Result<(), argmin::core::Error> {
        Ok(self.checkpoint.keep(self.member, solver, state)?)
    }

    /// Nothing: the state was brought there before.
    fn load(&self) -> std::result::Result<Option<(Adam, AdamState)>, argmin::core::Error> {
        Ok(None)
    }

    fn frequency(&self) -> CheckpointingFrequency {
        CheckpointingFrequency::Always
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_and_other_checkpoints_are_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        let message = |of: u64| Checkpoint::open(&path, of).unwrap_err().to_string().replace(&path.display().to_string(), "c");
        let kept = Checkpoint::open(&path, 7).unwrap();
        kept.choose(&[vec![FamilyScore::untried(Family::Gaussian)]], true).unwrap();
        let back = Checkpoint::open(&path, 7).unwrap();
        assert!(
            back.choice(&[vec![Family::Gaussian]]).unwrap().is_some_and(|(s, departs)| departs && s[0][0].log_score.is_nan())
        );
        let e = back.choice(&[vec![Family::Poisson]]).unwrap_err().to_string();
        assert!(
            e.ends_with("the checkpoint is damaged: its networks are none of this training; remove it, and the fit begins anew")
        );
        assert_eq!(message(8), "`c`: the checkpoint is of another table or of other settings; give those, or remove the file");
        let whole = fs::read(&path).unwrap();
        let mut later = whole.clone();
        let at = whole.windows(CRATE.len()).position(|w| w == CRATE.as_bytes()).unwrap();
        later.splice(at..at + CRATE.len(), "9.9.9".bytes());
        fs::write(&path, later).unwrap();
        assert_eq!(
            message(7),
            format!("`c`: the checkpoint was written by lacuna 9.9.9, and this is {CRATE}; go on with that, or remove the file")
        );
        for cut in [0, 5, 8, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(message(7), "`c`: the file is no checkpoint, or damaged; give another name, or remove it", "{cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, flipped).unwrap();
            if let Err(e) = Checkpoint::open(&path, 7) {
                assert!(!e.to_string().contains('\n'), "{e}");
            }
        }
    }
}
