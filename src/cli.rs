//! The command: parse, derive, run.

mod args;
mod output;

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as ClapKind;
use indicatif::{ProgressBar, ProgressStyle};
use lacuna::evaluate::{self, CompareOptions};
use lacuna::polars::prelude::DataFrame;
use lacuna::{
    ColumnSpec, CsvOptions, CsvTable, Error, ErrorKind, Filled, Fit, Imputations, Imputer, KnnConfig, Left, MeanConfig, Progress,
    Report, Schema, SchemaOptions, Strategy, VaeConfig, Warning,
};

use args::{Cli, Command, Method};
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

/// Runs the command.
pub fn main() -> ExitCode {
    let interrupted = || {
        say("lacuna: interrupted; no file was written\n");
        output::abandon(130)
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
            return Err(usage("a command is due: impute, schema or compare; see lacuna --help"));
        }
        Err(e) => return Err(usage(one_line(&e.to_string()))),
    };
    match cli.command {
        Command::Impute(args) => impute(args),
        Command::Schema(args) => schema(&args.table),
        Command::Compare(args) => compare(&args),
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
    fn new(method: Method, flags: &args::Model) -> Result<Plan, Failure> {
        let of_vae = [
            ("--epochs", flags.epochs.is_some()),
            ("--latent-dim", flags.latent_dim.is_some()),
            ("--hidden", flags.hidden.is_some()),
            ("--members", flags.members.is_some()),
            ("--importance-samples", flags.importance_samples.is_some()),
            ("--time-limit", flags.time_limit.is_some()),
        ];
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
            Method::Vae => Plan::Vae(vae_config(flags)),
            Method::Knn => Plan::Knn(knn_config(flags)),
            Method::Mean => Plan::Mean(Strategy::Mean),
            Method::Median => Plan::Mean(Strategy::Median),
            Method::Mode => Plan::Mean(Strategy::Mode),
        })
    }

    fn fit(&self, df: &DataFrame, schema: &Schema, meter: &Meter) -> Result<Box<dyn Imputer>, Error> {
        Ok(match self {
            Plan::Vae(config) => Box::new(config.fit_with_progress(df, schema, &mut |p| meter.show(p))?),
            Plan::Knn(config) => Box::new(config.fit_with(df, schema)?),
            Plan::Mean(strategy) => Box::new(MeanConfig { strategy: *strategy }.fit_with(df, schema)?),
        })
    }
}

fn vae_config(flags: &args::Model) -> VaeConfig {
    VaeConfig {
        epochs: flags.epochs,
        latent_dim: flags.latent_dim,
        hidden: flags.hidden,
        members: flags.members,
        importance_samples: flags.importance_samples,
        seed: flags.seed,
        threads: flags.threads,
        time_limit: flags.time_limit,
    }
}

fn knn_config(flags: &args::Model) -> KnnConfig {
    let default = KnnConfig::default();
    KnnConfig { k: flags.k.unwrap_or(default.k), threads: flags.threads, ..default }
}

/// Progress of a fit, on a terminal.
struct Meter(Option<ProgressBar>);

impl Meter {
    fn new(quiet: bool) -> Meter {
        if quiet || !std::io::stderr().is_terminal() {
            return Meter(None);
        }
        let style = ProgressStyle::with_template("{bar:24} epoch {pos} of {len} {msg}  {eta} left");
        let bar = ProgressBar::new(0);
        Meter(Some(style.map_or(bar.clone(), |s| bar.with_style(s))))
    }

    fn show(&self, p: &Progress) -> ControlFlow<()> {
        if let Some(bar) = &self.0 {
            bar.set_length(p.epochs as u64);
            bar.set_position(p.epoch as u64);
            if p.held_out_loss.is_finite() {
                bar.set_message(format!(" held-out loss {:.4}", p.held_out_loss));
            }
        }
        ControlFlow::Continue(())
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// The table as read, with its schema.
struct Loaded {
    csv: CsvTable,
    frame: DataFrame,
    schema: Schema,
}

/// The input, open but not read.
fn open(data: &Path) -> Result<Box<dyn Read>, Failure> {
    if data == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    match File::open(data) {
        Ok(file) => Ok(Box::new(file)),
        Err(source) => Err(Error::from(ErrorKind::Io { path: Some(data.to_owned()), action: "read", source }).into()),
    }
}

fn load(input: Box<dyn Read>, args: &args::Table) -> Result<Loaded, Failure> {
    let mut options = SchemaOptions::default();
    if let Some(path) = &args.schema {
        options.columns = read_schema(path)?;
    }
    options.exclude.clone_from(&args.exclude);
    options.only.clone_from(&args.only);
    for (column, kind) in &args.kind {
        options = options.kind(column, *kind);
    }
    for (column, format) in &args.format {
        options = options.format(column, format);
    }
    let delimiter = args.delimiter.unwrap_or(if is_tsv(&args.data) { b'\t' } else { b',' });
    let mut csv_options = CsvOptions { delimiter, decimal: args.decimal, ..CsvOptions::default() };
    csv_options.na.extend(args.na.iter().map(|t| t.trim().to_string()));
    let name = if args.data == Path::new("-") { Path::new("standard input") } else { &args.data };
    let csv = CsvTable::read(input, name, &csv_options, &options)?;
    let frame = csv.to_frame()?;
    let schema = Schema::infer_with(&frame, &options)?;
    Ok(Loaded { csv, frame, schema })
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
}

fn impute(args: args::Impute) -> Result<(), Failure> {
    let plan = Plan::new(args.method, &args.model)?;
    let output = args.output.unwrap_or_else(|| PathBuf::from("-"));
    check_files(&args.table, &output, args.report.as_deref())?;
    let input = open(&args.table.data)?;
    let output = Output::open(&output)?;
    let report_file = args.report.as_deref().map(Output::open).transpose()?;

    let Loaded { csv, frame, schema } = load(input, &args.table)?;
    // Without a gap to fill all methods agree, and the quickest one answers.
    let idle = !frame.columns().iter().any(|c| c.null_count() > 0 && schema.column(c.name()).is_some_and(|s| s.left().is_none()));
    let meter = Meter::new(args.table.quiet);
    let imputer = if idle { Plan::Mean(Strategy::Mean).fit(&frame, &schema, &meter) } else { plan.fit(&frame, &schema, &meter) };
    meter.clear();
    let imputer = imputer?;
    let product = match args.m {
        None => Product::Filled(imputer.fill(&frame)?),
        Some(m) => Product::Draws(imputer.draw(&frame, m, args.model.seed)?),
    };
    let mut report = product.report().clone();
    report.warnings.splice(0..0, csv.warnings().iter().cloned());
    if idle {
        report.method = "nothing to fill".into();
    }
    if let Some(file) = report_file {
        let json = serde_json::to_string_pretty(&report).expect("a report is plain data");
        file.publish(|out| write_text(out, &json))?;
    }
    let written = output.publish(|out| product.write_csv(&csv, !args.no_round, out))?;
    if !args.table.quiet && written == Written::Whole {
        match csv.rows() {
            0 => say(&format!("warning: `{}` has a header and no rows: nothing to fill\n", args.table.data.display())),
            _ => say(&report.to_string()),
        }
    }
    if args.strict { complete(&report) } else { Ok(()) }
}

/// Refuses outputs that would overwrite an input or each other.
fn check_files(table: &args::Table, output: &Path, report: Option<&Path>) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| output::resolved(a) == output::resolved(b);
    let inputs = [Some(table.data.as_path()), table.schema.as_deref()];
    for out in [Some(output), report].into_iter().flatten().filter(|p| !output::is_standard(p)) {
        if inputs.into_iter().flatten().any(|i| i != Path::new("-") && same(i, out)) {
            return Err(usage(format!("`{}` is an input and an output; write to another file", out.display())));
        }
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

fn write_text(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|source| ErrorKind::Io { path: None, action: "write", source }.into())
}

fn say_warnings<'a>(warnings: impl Iterator<Item = &'a Warning>, quiet: bool) {
    if !quiet {
        warnings.for_each(|w| say(&format!("warning: {w}\n")));
    }
}

fn schema(args: &args::Table) -> Result<(), Failure> {
    let loaded = load(open(&args.data)?, args)?;
    Output::open(Path::new("-"))?.publish(|out| write_text(out, &loaded.schema.to_json()))?;
    say_warnings(loaded.csv.warnings().iter().chain(loaded.schema.warnings()), args.quiet);
    Ok(())
}
fn compare(args: &args::Compare) -> Result<(), Failure> {
    let mechanism = args.mechanism.parse()?;
    let input = open(&args.table.data)?;
    let Loaded { csv, frame, schema } = load(input, &args.table)?;
    let options = CompareOptions {
        mechanism,
        share: args.share,
        seed: args.model.seed,
        knn: knn_config(&args.model),
        vae: vae_config(&args.model),
    };
    let meter = Meter::new(args.table.quiet);
    let compared = evaluate::compare(&frame, &schema, &options, &mut |p| meter.show(p));
    meter.clear();
    let compared = compared?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&compared).expect("scores are plain data"),
        false => compared.to_string().trim_end().to_string(),
    };
    Output::open(Path::new("-"))?.publish(|out| write_text(out, &text))?;
    say_warnings(csv.warnings().iter().chain(schema.warnings()), args.table.quiet);
    Ok(())
}
