//! The commands that use a fitted model: generate, score, embed, interpolate, decode.

use std::path::{Path, PathBuf};

use lacuna::data::arrow::{to_batch, write_csv};
use lacuna::data::ipc;
use lacuna::polars::prelude::{DataFrame, IntoColumn, NamedFrom, Series};
use lacuna::{Error, Generate, Generated, VaeImputer, Warning};

use super::args::{self, uses};
use super::output::{Output, is_standard};
use super::{Failure, check_files, is_arrow_name, load, open, say_warnings};

pub fn generate(args: &uses::Generate) -> Result<(), Failure> {
    let output = Target::open(&args.output, &args.model, None)?;
    let model = model(&args.model, &args.output)?;
    let options = Generate { rows: args.n, with_gaps: args.with_gaps, seed: args.seed, ..Generate::default() };
    let options = args.given.iter().fold(options, |options, (column, cell)| options.given(column, cell));
    output.rows(&model.generate(&options)?, &args.output)
}

pub fn score(args: &uses::Score) -> Result<(), Failure> {
    let output = Target::open(&args.output, &args.applied.model, Some(&args.applied.data))?;
    let model = model(&args.applied.model, &args.output)?;
    let (df, warnings) = table(&args.applied.data, Some(&model))?;
    let scores = model.score(&df)?;
    output.table(&scores.to_frame()?)?;
    say_warnings(warnings.iter().chain(&scores.warnings), args.output.quiet);
    Ok(())
}

pub fn embed(args: &uses::Embed) -> Result<(), Failure> {
    let output = Target::open(&args.output, &args.applied.model, Some(&args.applied.data))?;
    let model = model(&args.applied.model, &args.output)?;
    let (df, warnings) = table(&args.applied.data, Some(&model))?;
    let mut points = model.embed(&df, args.sd)?;
    let id = Series::new(".id".into(), (1..=df.height() as i64).collect::<Vec<_>>());
    points.insert_column(0, id.into_column()).map_err(Error::from)?;
    output.table(&points)?;
    say_warnings(warnings.iter(), args.output.quiet);
    Ok(())
}

pub fn interpolate(args: &uses::Interpolate) -> Result<(), Failure> {
    let output = Target::open(&args.output, &args.applied.model, Some(&args.applied.data))?;
    let model = model(&args.applied.model, &args.output)?;
    let (df, warnings) = table(&args.applied.data, Some(&model))?;
    for (flag, row) in [("--from", args.from), ("--to", args.to)] {
        if row > df.height() {
            let rows = df.height();
            return Err(super::usage(format!("{flag} {row} is none of the {rows} rows of `{}`", args.applied.data.display())));
        }
    }
    let rows = model.interpolate(&df, args.from - 1, args.to - 1, args.steps)?;
    say_warnings(warnings.iter(), args.output.quiet);
    output.rows(&rows, &args.output)
}

pub fn decode(args: &uses::Decode) -> Result<(), Failure> {
    let output = Target::open(&args.output, &args.model, Some(&args.latent))?;
    let model = model(&args.model, &args.output)?;
    let (points, _) = table(&args.latent, None)?;
    output.rows(&model.decode(&points)?, &args.output)
}

fn model(path: &Path, output: &uses::Output) -> Result<VaeImputer, Failure> {
    Ok(VaeImputer::load(path)?.with_threads(output.threads))
}

/// The table, read as in the fit of the model if there is one, and what is to be said of it.
fn table(data: &Path, model: Option<&VaeImputer>) -> Result<(DataFrame, Vec<Warning>), Failure> {
    let args = args::Table { data: data.to_owned(), ..args::Table::default() };
    let loaded = load(open(data)?, &args, model)?;
    Ok((loaded.frame, loaded.source.warnings().to_vec()))
}

/// Where a command writes, open before anything is computed.
struct Target {
    output: Output,
    arrow: bool,
}

impl Target {
    fn open(args: &uses::Output, model: &Path, data: Option<&Path>) -> Result<Target, Failure> {
        let path = args.output.clone().unwrap_or_else(|| PathBuf::from("-"));
        let data = data.unwrap_or(Path::new("-")).to_owned();
        check_files(&args::Table { data, ..args::Table::default() }, Some(model), &path, None, None)?;
        Ok(Target { arrow: !is_standard(&path) && is_arrow_name(&path), output: Output::open(&path)? })
    }

    /// Writes rows that the model made and says what is to be said of them.
    fn rows(self, rows: &Generated, args: &uses::Output) -> Result<(), Failure> {
        let arrow = self.arrow;
        self.output.publish(|out| if arrow { ipc::write_to(&rows.to_record_batch()?, out) } else { rows.write_csv(out) })?;
        say_warnings(rows.warnings.iter(), args.quiet);
        Ok(())
    }

    fn table(self, df: &DataFrame) -> Result<(), Failure> {
        let (arrow, batch) = (self.arrow, to_batch(df)?);
        self.output.publish(|out| if arrow { ipc::write_to(&batch, out) } else { write_csv(&batch, out) })?;
        Ok(())
    }
}
