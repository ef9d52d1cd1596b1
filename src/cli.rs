//! The command: parse, derive, run.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod ampute;
mod apply;
mod args;
mod estimates;
mod inspect;
mod meter;
mod output;
mod uses;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use clap::error::ErrorKind as ClapKind;
use lacuna::arrow::record_batch::RecordBatch;
use lacuna::data::arrow::{to_batch, to_frame, write_csv};
use lacuna::data::ipc;
use lacuna::evaluate::{self, CompareOptions};
use lacuna::polars::prelude::{Column, DataFrame};
use lacuna::{
    ColumnSpec, CsvOptions, CsvTable, Error, ErrorKind, Filled, Fit, Form, Imputations, Imputer, KnnConfig, Left, MeanConfig,
    Progress, Report, Schema, SchemaOptions, Strategy, VaeConfig, VaeImputer, Warning,
};

use apply::{begin, fit_within, is_whole, remove_checkpoint, stream};
use args::{Cli, Command, Method, Shape};
use meter::Meter;
use output::{Output, Written};

/// What ends the command early: one line, and the exit code.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure { code: if e.is_usage() { 2 } else { 1 }, message: e.to_string() }
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure { code: 2, message: message.into() }
}

/// The file that keeps the training under way.
static CHECKPOINT: OnceLock<PathBuf> = OnceLock::new();

/// Runs the command.
pub fn main() -> ExitCode {
    let interrupted = || {
        output::abandon(130, |files| match (CHECKPOINT.get(), files) {
            (Some(path), _) => say(&format!("lacuna: interrupted; the same command goes on from `{}`\n", path.display())),
            (None, 0) => say("lacuna: interrupted; no file was written\n"),
            (None, 1) => say("lacuna: interrupted; 1 file was written before\n"),
            (None, n) => say(&format!("lacuna: interrupted; {n} files were written before\n")),
        })
    };
    // Without a handler Ctrl-C still ends the process; only a temporary file may stay.
    let _ = ctrlc::set_handler(interrupted);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            say(&format!("lacuna: {}\n", message.replace('\r', "\\r").replace('\n', "\\n")));
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if e.kind() == ClapKind::DisplayHelp || e.kind() == ClapKind::DisplayVersion => {
            // Help for a reader who has gone is no failure.
            let _ = e.print();
            return Ok(());
        }
        Err(e) if e.kind() == ClapKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Err(usage(
                "a command is due: impute, fit, inspect, generate, score, embed, interpolate, decode, pool, schema, compare or ampute; see lacuna --help",
            ));
        }
        Err(e) => return Err(usage(one_line(&e.to_string()))),
    };
    match cli.command {
        Command::Impute(args) => impute(args),
        Command::Fit(args) => fit(&args),
        Command::Inspect(args) => inspect(&args),
        Command::Generate(args) => uses::generate(&args),
        Command::Score(args) => uses::score(&args),
        Command::Embed(args) => uses::embed(&args),
        Command::Interpolate(args) => uses::interpolate(&args),
        Command::Decode(args) => uses::decode(&args),
        Command::Pool(args) => pool(&args),
        Command::Schema(args) => schema(&args.table),
        Command::Compare(args) => compare(&args),
        Command::Ampute(args) => ampute::ampute(&args),
    }
}

/// The message of a wrong call without the usage lines below it.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more information"));
    let words: Vec<String> = lines.filter(|l| !l.is_empty()).map(|l| l.replacen("tip:", "- tip:", 1)).collect();
    let text = words.join(" ");
    format!("{}; see --help", text.strip_prefix("error: ").unwrap_or(&text))
}

/// Words for people; a closed standard error is no reason to stop.
fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The imputer asked for, with its settings.
#[derive(Debug)]
enum Plan {
    Vae(VaeConfig),
    Knn(KnnConfig),
    Mean(Strategy),
}

impl Plan {
    /// Derives the settings; a flag of another method is an error, not ignored.
    fn new(method: Method, flags: &args::Model, table: &args::Table, limits: &args::Limits) -> Result<Plan, Failure> {
        let of_vae = of_vae(flags, table, limits);
        let strange = match method {
            Method::Vae => vec![("--k", flags.k.is_some(), "knn")],
            Method::Knn => of_vae.map(|(flag, given)| (flag, given, "vae")).to_vec(),
            _ => {
                let mut all = of_vae.map(|(flag, given)| (flag, given, "vae")).to_vec();
                all.extend([("--k", flags.k.is_some(), "knn"), ("--threads", flags.threads.is_some(), "vae or knn")]);
                all
            }
        };
        if let Some((flag, _, of)) = strange.into_iter().find(|(_, given, _)| *given) {
            return Err(usage(format!("{flag} belongs to --method {of}; drop it, or change the method")));
        }
        Ok(match method {
            Method::Vae => Plan::Vae(vae_config(flags, limits.checkpoint.as_deref())),
            Method::Knn => Plan::Knn(knn_config(flags)),
            Method::Mean => Plan::Mean(Strategy::Mean),
            Method::Median => Plan::Mean(Strategy::Median),
            Method::Mode => Plan::Mean(Strategy::Mode),
        })
    }

    /// Refuses the flags that ask for a fit beside a model that is fitted already.
    fn refuse(args: &args::Impute) -> Result<(), Failure> {
        let (table, model) = (&args.table, &args.model);
        let of_fits = [
            ("--method", args.method.is_some()),
            ("--kind", !table.kind.is_empty()),
            ("--exclude", !table.exclude.is_empty()),
            ("--only", !table.only.is_empty()),
            ("--ignore", table.ignore.is_some()),
            ("--id", table.id.is_some()),
            ("--schema", table.schema.is_some()),
            ("--bounds", !table.bounds.is_empty()),
            ("--k", model.k.is_some()),
        ];
        // Filling keeps within a limit too.
        let of_vae = of_vae(model, table, &args.limits).into_iter().filter(|(flag, _)| *flag != "--max-memory");
        match of_fits.into_iter().chain(of_vae).find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(usage(format!("{flag} belongs to a fit, and --model is fitted already; drop it, or give it to lacuna fit")))
            }
            None => Ok(()),
        }
    }

    fn fit(&self, df: &DataFrame, schema: &Schema, meter: &Meter) -> Result<Box<dyn Imputer>, Error> {
        Ok(match self {
            Plan::Vae(config) => Box::new(config.fit_with_progress(df, schema, &mut |p| meter.show(p))?),
            Plan::Knn(config) => Box::new(config.fit_with(df, schema)?),
            Plan::Mean(strategy) => Box::new(MeanConfig { strategy: *strategy }.fit_with(df, schema)?),
        })
    }
}

/// The flags that only a fit of the autoencoder takes, and which of them are given.
fn of_vae(flags: &args::Model, table: &args::Table, limits: &args::Limits) -> [(&'static str, bool); 17] {
    [
        ("--effort", flags.effort.is_some()),
        ("--epochs", flags.epochs.is_some()),
        ("--latent-dim", flags.latent_dim.is_some()),
        ("--hidden", flags.hidden.is_some()),
        ("--members", flags.members.is_some()),
        ("--importance-samples", flags.importance_samples.is_some()),
        ("--warm-up", flags.warm_up.is_some()),
        ("--free-bits", flags.free_bits.is_some()),
        ("--kl-weight", flags.kl_weight.is_some()),
        ("--plain-autoencoder", flags.plain_autoencoder),
        ("--without-neighbours", flags.without_neighbours),
        ("--at-random", flags.at_random),
        ("--time-limit", flags.time_limit.is_some()),
        ("--weights", table.weights.is_some()),
        ("--match", flags.matching.is_some()),
        ("--checkpoint", limits.checkpoint.is_some()),
        ("--max-memory", limits.max_memory.is_some()),
    ]
}

fn vae_config(flags: &args::Model, checkpoint: Option<&Path>) -> VaeConfig {
    VaeConfig {
        effort: flags.effort.map(Into::into).unwrap_or_default(),
        epochs: flags.epochs,
        latent_dim: flags.latent_dim,
        hidden: flags.hidden,
        members: flags.members,
        importance_samples: flags.importance_samples,
        warm_up: flags.warm_up,
        free_bits: flags.free_bits,
        kl_weight: flags.kl_weight,
        plain_autoencoder: flags.plain_autoencoder,
        without_neighbours: flags.without_neighbours,
        at_random: flags.at_random,
        seed: flags.seed,
        threads: flags.threads,
        time_limit: flags.time_limit,
        donors: flags.matching.map(|args::Matching::Donors| DONORS),
        checkpoint: checkpoint.map(Path::to_owned),
    }
}

/// Donors of a gap under `--match donors`, as in mice.
const DONORS: usize = 5;

fn knn_config(flags: &args::Model) -> KnnConfig {
    let default = KnnConfig::default();
    KnnConfig { k: flags.k.unwrap_or(default.k), threads: flags.threads, ..default }
}

/// The table as read, with its schema.
struct Loaded {
    source: Source,
    frame: DataFrame,
    schema: Schema,
}

/// What the table was read from.
enum Source {
    Csv(CsvTable),
    Arrow(RecordBatch),
}

impl Source {
    fn warnings(&self) -> &[Warning] {
        match self {
            Source::Csv(csv) => csv.warnings(),
            Source::Arrow(_) => &[],
        }
    }
}

/// The input, open but not read.
enum Input {
    File(File),
    Stdin,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Stdin => std::io::stdin().read(buffer),
        }
    }
}

fn open(data: &Path) -> Result<Input, Failure> {
    if data == Path::new("-") {
        return Ok(Input::Stdin);
    }
    match File::open(data) {
        Ok(file) => Ok(Input::File(file)),
        Err(source) => Err(Error::from(ErrorKind::Io { path: Some(data.to_owned()), action: "read", source }).into()),
    }
}

/// How the file is read, if it is CSV: its options, and what is stated of columns.
type HowRead = (CsvOptions, SchemaOptions);

/// Reads the file; for a model that is fitted already, as it was read then.
fn read(mut input: Input, args: &args::Table, model: Option<&VaeImputer>) -> Result<(Source, HowRead), Failure> {
    let mut options = model.map(VaeImputer::csv_columns).unwrap_or_default();
    if let Some(path) = &args.schema {
        options.columns = read_schema(path)?;
    }
    options.exclude.extend_from_slice(&args.exclude);
    options.only.clone_from(&args.only);
    options.ignore.clone_from(&args.ignore);
    options.weights.clone_from(&args.weights);
    options.id.clone_from(&args.id);
    for (column, kind) in &args.kind {
        options = options.kind(column, *kind);
    }
    options.columns.extend(args.bounds.iter().cloned());
    for (column, format) in &args.format {
        options = options.format(column, format);
    }
    let name = if args.data == Path::new("-") { Path::new("standard input") } else { &args.data };
    let failed = |source| Error::from(ErrorKind::Io { path: Some(name.to_owned()), action: "read", source });
    // The content says what it is; the first bytes go back in front.
    let mut start = Vec::new();
    input.by_ref().take(6).read_to_end(&mut start).map_err(failed)?;
    let is_arrow = ipc::is_arrow(&start) || is_arrow_name(name);
    let mut csv_options = model.map(|m| m.csv_options().clone()).unwrap_or_default();
    csv_options.delimiter = args.delimiter.unwrap_or(if is_tsv(&args.data) { b'\t' } else { b',' });
    csv_options.decimal = args.decimal.unwrap_or(csv_options.decimal);
    csv_options.na.extend(args.na.iter().map(|t| t.trim().to_string()));
    csv_options.not_applicable.extend(args.not_applicable.iter().map(|t| t.trim().to_string()));
    if is_arrow {
        let of_csv = [
            ("--na", !args.na.is_empty()),
            ("--not-applicable", !args.not_applicable.is_empty()),
            ("--delimiter", args.delimiter.is_some()),
            ("--decimal", args.decimal.is_some()),
            ("--format", !args.format.is_empty()),
        ];
        if let Some((flag, _)) = of_csv.into_iter().find(|(_, given)| *given) {
            return Err(usage(format!("{flag} belongs to CSV, and `{}` is an Arrow file; drop it", name.display())));
        }
        let batch = ipc::read_from(std::io::Cursor::new(start).chain(input), name)?;
        return Ok((Source::Arrow(batch), (csv_options, options)));
    }
    let csv = match input {
        // Only a regular file can go back to its start.
        Input::File(mut file) if file.metadata().is_ok_and(|m| m.is_file()) => {
            file.rewind().map_err(failed)?;
            match model {
                Some(_) => CsvTable::open_fitted(file, name, &csv_options, &options)?,
                None => CsvTable::open(file, name, &csv_options, &options)?,
            }
        }
        input => {
            let input = std::io::Cursor::new(start).chain(input);
            match model {
                Some(_) => CsvTable::read_fitted(input, name, &csv_options, &options)?,
                None => CsvTable::read(input, name, &csv_options, &options)?,
            }
        }
    };
    for (column, format) in csv.formats() {
        options = options.format(&column, &format);
    }
    Ok((Source::Csv(csv), (csv_options, options)))
}

/// Reads the table; for a model that is fitted already, as it was read then.
fn load(input: Input, args: &args::Table, model: Option<&VaeImputer>) -> Result<Loaded, Failure> {
    let (source, (_, options)) = read(input, args, model)?;
    loaded(source, &options, model)
}

/// The table of a file.
fn loaded(source: Source, options: &SchemaOptions, model: Option<&VaeImputer>) -> Result<Loaded, Failure> {
    let frame = match &source {
        Source::Csv(csv) => csv.to_frame()?,
        Source::Arrow(batch) => to_frame(batch)?,
    };
    let schema = match model {
        Some(model) => model.schema().clone(),
        None => Schema::infer_with(&frame, options)?,
    };
    Ok(Loaded { source, frame, schema })
}

/// Whether a file of this name holds Arrow IPC.
fn is_arrow_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["arrow", "feather", "ipc"].iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Whether the name says that tabs separate the fields: `data.tsv`, `data.tab`, packed or not.
fn is_tsv(data: &Path) -> bool {
    let name = data.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".tsv") || name.ends_with(".tab")
}

fn read_schema(path: &Path) -> Result<Vec<ColumnSpec>, Failure> {
    #[derive(serde::Deserialize)]
    #[serde(expecting = "an object with `columns`")]
    struct SchemaFile {
        columns: Vec<ColumnSpec>,
    }
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::from(ErrorKind::Io { path: Some(path.to_owned()), action: "read", source }))?;
    let file: SchemaFile = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| {
        Error::from(ErrorKind::Schema {
            message: format!("schema file `{}`: {e}; lacuna schema prints the form", path.display()),
        })
    })?;
    Ok(file.columns)
}

/// What an imputer gives: the posterior mean, or draws.
enum Product {
    Filled(Filled),
    Draws(Imputations),
}

impl Product {
    fn report(&self) -> &Report {
        match self {
            Product::Filled(filled) => &filled.report,
            Product::Draws(draws) => draws.report(),
        }
    }

    fn write_csv(&self, csv: &CsvTable, round: bool, out: &mut dyn Write) -> Result<(), Error> {
        match self {
            Product::Filled(filled) => filled.write_csv(csv, round, out),
            Product::Draws(draws) => draws.write_csv(csv, round, out),
        }
    }

    /// The product as a batch; `batch` is the table as it came.
    fn to_record_batch(&self, batch: &RecordBatch, form: Form) -> Result<RecordBatch, Error> {
        match self {
            Product::Filled(filled) => filled.to_record_batch(batch),
            Product::Draws(draws) => draws.to_record_batch_from(batch, form),
        }
    }
}

/// The kinds of table that the command writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Csv { round: bool },
    Arrow(Form),
}

impl Format {
    /// By the name of the output; standard output gets what the input is. A flag of the other format is an error.
    fn new(args: &args::Impute, output: &Path, source: &Source) -> Result<Format, Failure> {
        let arrow = match output::is_standard(output) {
            true => matches!(source, Source::Arrow(_)),
            false => is_arrow_name(output),
        };
        match (arrow, args.form) {
            (false, Some(Shape::List)) => Err(usage("--form list belongs to Arrow output; give -o a name in .arrow, or drop it")),
            (true, _) if args.no_round => {
                Err(usage("--no-round belongs to CSV output; Arrow keeps all digits of a float, drop it"))
            }
            (false, _) => Ok(Format::Csv { round: !args.no_round }),
            (true, Some(Shape::List)) => Ok(Format::Arrow(Form::List)),
            (true, _) => Ok(Format::Arrow(Form::Long)),
        }
    }
}

/// Whether a cell of the column is missing: null, or NaN among floats.
fn has_gaps(column: &Column) -> bool {
    column.null_count() > 0 || (column.dtype().is_float() && column.is_nan().is_ok_and(|nan| nan.any()))
}

/// The method of a table without gaps.
const NOTHING: &str = "nothing to fill";

/// Draws for the uncertainty, if it is asked for, and its interval.
fn uncertainty(args: &args::Impute) -> Result<Option<(usize, f64)>, Failure> {
    if !args.with_uncertainty {
        return Ok(None);
    }
    let interval = args.interval.unwrap_or(0.9);
    let least = Imputations::least_draws(interval)?;
    match args.draws {
        Some(few) if few < least => Err(usage(format!("--interval {interval} takes {least} draws at least; --draws says {few}"))),
        // So many that nobody is to wait for them, or to find the memory, unasked.
        None if least > 1000 => Err(usage(format!("--interval {interval} takes {least} draws at least; state them by --draws"))),
        m => Ok(Some((m.unwrap_or(least.max(100)), interval))),
    }
}

fn impute(args: args::Impute) -> Result<(), Failure> {
    let plan = match args.model_file {
        Some(_) => Plan::refuse(&args).map(|()| None)?,
        None => Some(Plan::new(args.method.unwrap_or(Method::Vae), &args.model, &args.table, &args.limits)?),
    };
    let uncertainty = uncertainty(&args)?;
    let donors = args.model.matching.is_some();
    if !args.overimpute.is_empty() && (args.method == Some(Method::Knn) || donors) {
        let flag = if donors { "--match donors" } else { "--method knn" };
        return Err(usage(format!("--overimpute says nothing beside {flag}: each cell would find itself; drop one of them")));
    }
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from("-"));
    let paths = output_paths(&args, &path)?;
    let checkpoint = args.limits.checkpoint.as_deref();
    let check = |path: &PathBuf| check_files(&args.table, args.model_file.as_deref(), path, args.report.as_deref(), checkpoint);
    paths.iter().try_for_each(check)?;
    begin(&args.model, &args.limits);
    let model = args.model_file.as_deref().map(VaeImputer::load).transpose()?;
    let model = model.map(|m| m.with_threads(args.model.threads));
    if let Some(model) = model.as_ref().filter(|m| !args.overimpute.is_empty() && m.training().config.donors.is_some()) {
        let donors = model.training().config.donors.unwrap_or_default();
        return Err(usage(format!(
            "--overimpute says nothing of a model with {donors} donors: each cell would find itself; drop it"
        )));
    }
    let model = if args.allow_missing_columns { model.map(VaeImputer::allow_missing_columns) } else { model };
    let input = open(&args.table.data)?;
    let mut outputs = paths.iter().map(|path| Output::open(path)).collect::<Result<Vec<_>, _>>()?;
    let report_file = args.report.as_deref().map(Output::open).transpose()?;

    let (source, (_, options)) = read(input, &args.table, model.as_ref())?;
    let format = Format::new(&args, &path, &source)?;
    let limited = args.limits.max_memory.is_some();
    if let (true, Some(flag)) = (limited, is_whole(&args)) {
        return Err(usage(format!("{flag} looks at all rows at once and keeps no --max-memory; drop one of them")));
    }
    if limited && !matches!((&source, format), (Source::Csv(_), Format::Csv { .. })) {
        return Err(usage("--max-memory belongs to CSV files in and out, Arrow files are taken whole; drop it"));
    }
    let model = match (model, &plan, &source) {
        (None, Some(Plan::Vae(config)), Source::Csv(csv)) if limited => Some(fit_within(config, csv, &options, &args)?),
        (model, ..) => model,
    };
    if let (Some(model), Source::Csv(csv), Format::Csv { round }, None) = (&model, &source, format, is_whole(&args)) {
        if let Some(memory) = args.limits.max_memory {
            model.check_memory(csv, memory)?;
        }
        let fill = |out: &mut dyn Write| match args.m {
            None => model.fill_csv(csv, round, out),
            Some(m) => model.draw_csv(csv, m, args.model.seed, args.include_original, round, out),
        };
        return stream(fill, csv, &args, outputs.remove(0), report_file);
    }
    if let (Some(Plan::Mean(Strategy::Mean)), Source::Csv(csv), Format::Csv { round }, None, None) =
        (&plan, &source, format, args.m, is_whole(&args))
    {
        let fill = |out: &mut dyn Write| {
            let report = MeanConfig::default().fill_csv(csv, &options, round, out)?;
            let idle = report.filled() + report.not_applicable() == 0;
            Ok(if idle { Report { method: NOTHING.into(), ..report } } else { report })
        };
        return stream(fill, csv, &args, outputs.remove(0), report_file);
    }
    let Loaded { source, frame, schema } = loaded(source, &options, model.as_ref())?;
    // Without a gap to fill all methods agree, and the quickest one answers.
    let idle = model.is_none()
        && args.overimpute.is_empty()
        && !frame.columns().iter().any(|c| has_gaps(c) && schema.column(c.name()).is_some_and(|s| s.left().is_none()));
    let meter = Meter::new(args.table.quiet);
    // Draws read the file once for each: they are made of the frame that is there.
    if let (None, Some(Plan::Vae(config)), false, Source::Csv(csv), Format::Csv { round }, None, None) =
        (&model, &plan, idle, &source, format, args.m, is_whole(&args))
    {
        let model = config.fit_with_progress(&frame, &schema, &mut |p| meter.show(p));
        meter.clear();
        let model = model?;
        // The file says the same again, some rows at a time.
        drop(frame);
        return stream(|out| model.fill_csv(csv, round, out), csv, &args, outputs.remove(0), report_file);
    }
    let imputer: Result<Box<dyn Imputer>, Error> = match (model, plan) {
        (Some(model), _) => Ok(Box::new(model)),
        (None, Some(plan)) if !idle => plan.fit(&frame, &schema, &meter),
        _ => Plan::Mean(Strategy::Mean).fit(&frame, &schema, &meter),
    };
    meter.clear();
    let imputer = imputer?;
    let not_applicable = match &source {
        Source::Csv(csv) => csv.not_applicable()?,
        Source::Arrow(_) => Vec::new(),
    };
    let product = match args.m {
        None => {
            let mut filled = imputer.fill(&frame)?.with_not_applicable(&not_applicable)?;
            if let Some((m, interval)) = uncertainty {
                let draws = imputer.draw(&frame, m, args.model.seed)?.with_not_applicable(&not_applicable)?;
                filled = filled.with_uncertainty(&draws, interval)?;
            }
            for column in &args.overimpute {
                filled = match uncertainty {
                    Some((m, interval)) => filled.with_overimputed_draws(&*imputer, column, m, args.model.seed, interval)?,
                    None => filled.with_overimputed(&*imputer, column)?,
                };
            }
            Product::Filled(if args.indicator { filled.with_indicator()? } else { filled })
        }
        Some(m) => {
            let draws = imputer.draw(&frame, m, args.model.seed)?.with_not_applicable(&not_applicable)?;
            let draws = if args.indicator { draws.with_indicator()? } else { draws };
            Product::Draws(if args.include_original { draws.with_original() } else { draws })
        }
    };
    let mut report = product.report().clone();
    report.warnings.splice(0..0, source.warnings().iter().cloned());
    if idle {
        report.method = NOTHING.into();
    }
    if let Some(file) = report_file {
        write_report(&report, file)?;
    }
    let write = |product: &Product, out: &mut dyn Write| match (format, &source) {
        (Format::Csv { round }, Source::Csv(csv)) => product.write_csv(csv, round, out),
        (Format::Csv { .. }, Source::Arrow(batch)) => write_csv(&product.to_record_batch(batch, Form::Long)?, out),
        (Format::Arrow(form), Source::Csv(_)) => ipc::write_to(&product.to_record_batch(&to_batch(&frame)?, form)?, out),
        (Format::Arrow(form), Source::Arrow(batch)) => ipc::write_to(&product.to_record_batch(batch, form)?, out),
    };
    let mut written = Written::Whole;
    match (&product, args.form) {
        (Product::Draws(draws), Some(Shape::Files)) => {
            for (i, output) in outputs.into_iter().enumerate() {
                let one = Product::Filled(draws.filled(i)?);
                output.publish(|out| write(&one, out))?;
            }
        }
        _ => {
            if let Some(output) = outputs.pop() {
                written = output.publish(|out| write(&product, out))?;
            }
        }
    }
    conclude(&report, written, &args)
}

fn write_report(report: &Report, file: Output) -> Result<(), Error> {
    let text = json(report);
    file.publish(|out| write_text(out, &text)).map(|_| ())
}

/// Says what was done.
fn conclude(report: &Report, written: Written, args: &args::Impute) -> Result<(), Failure> {
    remove_checkpoint(&args.limits);
    if !args.table.quiet && written == Written::Whole {
        match report.rows {
            0 => say(&format!("warning: `{}` has a header and no rows: nothing to fill\n", args.table.data.display())),
            _ => say(&report.to_string()),
        }
    }
    if args.strict { complete(report) } else { Ok(()) }
}

fn fit(args: &args::Fit) -> Result<(), Failure> {
    if args.model.k.is_some() {
        return Err(usage("--k belongs to lacuna impute --method knn; drop it"));
    }
    check_files(&args.table, None, &args.output, None, args.limits.checkpoint.as_deref())?;
    begin(&args.model, &args.limits);
    let input = open(&args.table.data)?;
    let output = Output::open(&args.output)?;
    let (source, (options, columns)) = read(input, &args.table, None)?;
    let config = vae_config(&args.model, args.limits.checkpoint.as_deref());
    let meter = Meter::new(args.table.quiet);
    let mut show = |p: &Progress| meter.show(p);
    let imputer = match &source {
        Source::Csv(csv) => config
            .fit_csv(csv, &columns, args.limits.max_memory, &mut show)
            .map(|imputer| imputer.with_csv(csv, &options, &columns)),
        Source::Arrow(_) if args.limits.max_memory.is_some() => {
            return Err(usage("--max-memory belongs to CSV files, Arrow files are taken whole; drop it"));
        }
        Source::Arrow(batch) => {
            let frame = to_frame(batch)?;
            let schema = Schema::infer_with(&frame, &columns)?;
            config.fit_with_progress(&frame, &schema, &mut show)
        }
    };
    meter.clear();
    let imputer = imputer?;
    output.publish(|out| imputer.save_to(out))?;
    remove_checkpoint(&args.limits);
    let of_fit = imputer.warnings();
    let warnings = imputer.schema().warnings().iter().chain(&of_fit);
    say_warnings(source.warnings().iter().chain(warnings), args.table.quiet);
    if !args.table.quiet {
        say(&inspect::summary(&imputer, &args.output));
    }
    if args.verbose {
        say(&inspect::latent(&imputer));
    }
    Ok(())
}

fn inspect(args: &args::Inspect) -> Result<(), Failure> {
    let model = VaeImputer::load(&args.model)?;
    let text = if args.json { inspect::json(&model) } else { inspect::text(&model, &args.model) };
    Output::open(Path::new("-"))?.publish(|out| write_text(out, text.trim_end()))?;
    Ok(())
}

/// Where to write: a file a table under `--form files`.
fn output_paths(args: &args::Impute, path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if args.include_original && args.form.is_some_and(|form| form != Shape::Long) {
        return Err(usage("--include-original belongs to the long form; drop it, or --form"));
    }
    let (Some(m), Some(Shape::Files)) = (args.m, args.form) else { return Ok(vec![path.to_owned()]) };
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains("{}"));
    let name = name.ok_or_else(|| usage("--form files takes -o a name with {} for the number, such as 'out-{}.csv'"))?;
    Ok((1..=m).map(|i| path.with_file_name(name.replacen("{}", &i.to_string(), 1))).collect())
}

/// Refuses outputs that would overwrite an input or each other.
fn check_files(
    table: &args::Table,
    model: Option<&Path>,
    output: &Path,
    report: Option<&Path>,
    checkpoint: Option<&Path>,
) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| output::resolved(a) == output::resolved(b);
    let inputs = [Some(table.data.as_path()), table.schema.as_deref(), model];
    for out in [Some(output), report].into_iter().flatten().filter(|p| !output::is_standard(p)) {
        if inputs.into_iter().flatten().any(|i| i != Path::new("-") && same(i, out)) {
            return Err(usage(format!("`{}` is an input and an output; write to another file", out.display())));
        }
    }
    let mut others = inputs.into_iter().chain([Some(output), report]).flatten();
    if let Some(twice) = checkpoint.filter(|c| others.any(|other| same(c, other))) {
        return Err(usage(format!("`{}` is the checkpoint and another file; keep the checkpoint elsewhere", twice.display())));
    }
    match report {
        Some(r) if output::is_standard(r) && output::is_standard(output) => {
            Err(usage("the table and the report both go to standard output; give a file to -o or --report"))
        }
        Some(r) if !output::is_standard(r) && same(r, output) => {
            Err(usage(format!("`{}` is the output and the report; write one to another file", r.display())))
        }
        _ => Ok(()),
    }
}

/// Fails where cells stay missing that the user did not leave out.
fn complete(report: &Report) -> Result<(), Failure> {
    let not_asked = |why| matches!(why, Left::Excluded | Left::NotAsked);
    let columns = report.columns.iter().filter_map(|c| c.why.filter(|&why| c.left > 0 && !not_asked(why)).map(|why| (c, why)));
    let left: Vec<String> = columns.map(|(c, why)| format!("`{}` ({} missing, {why})", c.column, c.left)).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure {
        code: 1,
        message: format!("--strict: columns stay incomplete: {}; --exclude them or state their kind", left.join(", ")),
    })
}

/// Plain data as JSON, for people to read too.
#[expect(clippy::expect_used, reason = "there is nothing in it that JSON lacks")]
fn json(data: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(data).expect("plain data is valid JSON")
}

fn write_text(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|source| ErrorKind::Io { path: None, action: "write", source }.into())
}

fn say_warnings<'a>(warnings: impl Iterator<Item = &'a Warning>, quiet: bool) {
    if !quiet {
        warnings.for_each(|w| say(&format!("warning: {w}\n")));
    }
}

fn pool(args: &args::Pool) -> Result<(), Failure> {
    let pooled = estimates::pool(Box::new(open(&args.estimates)?), args)?;
    let text = match args.json {
        true => json(&pooled),
        false => estimates::table(&pooled, args.level),
    };
    Output::open(Path::new("-"))?.publish(|out| write_text(out, &text))?;
    Ok(())
}

fn schema(args: &args::Table) -> Result<(), Failure> {
    let loaded = load(open(&args.data)?, args, None)?;
    Output::open(Path::new("-"))?.publish(|out| write_text(out, &loaded.schema.to_json()))?;
    say_warnings(loaded.source.warnings().iter().chain(loaded.schema.warnings()), args.quiet);
    Ok(())
}

fn compare(args: &args::Compare) -> Result<(), Failure> {
    let mechanism = args.mechanism.parse()?;
    let input = open(&args.table.data)?;
    let Loaded { source, frame, schema } = load(input, &args.table, None)?;
    let options = CompareOptions {
        mechanism,
        share: args.share,
        seed: args.model.seed,
        knn: knn_config(&args.model),
        vae: vae_config(&args.model, None),
    };
    let meter = Meter::new(args.table.quiet);
    let compared = evaluate::compare(&frame, &schema, &options, &mut |p| meter.show(p));
    meter.clear();
    let compared = compared?;
    let text = match args.json {
        true => json(&compared),
        false => compared.to_string().trim_end().to_string(),
    };
    Output::open(Path::new("-"))?.publish(|out| write_text(out, &text))?;
    say_warnings(source.warnings().iter().chain(schema.warnings()), args.table.quiet);
    Ok(())
}
