//! The command line as typed: one definition a flag, plain values.

pub mod uses;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lacuna::{Bound, ColumnKind, ColumnSpec};

/// Fills the gaps of a table with a masked-likelihood variational autoencoder, and says how sure it is.
#[derive(Debug, Parser)]
#[command(
    name = "lacuna",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  lacuna impute data.csv -o filled.csv        fill every gap
  lacuna impute data.csv -m 20 -o draws.csv   twenty completed tables, for multiple imputation
  lacuna pool estimates.csv                   one answer from the analyses of them
  lacuna fit data.csv -o model.safetensors    fit once, and fill other files later:
  lacuna impute new.csv --model model.safetensors -o filled.csv
  lacuna generate model.safetensors -n 1000   new rows like those of the fitted table
  lacuna score model.safetensors new.csv      how odd each row is, and which of its cells
  lacuna schema data.csv > schema.json        see and edit what each column is taken for
  lacuna compare data.csv                     measure the error against mean and nearest neighbours
  lacuna ampute whole.csv -o gaps.csv         hide cells on purpose

Exit codes: 0 done, 1 bad data, 2 bad usage, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Impute(Impute),
    Fit(Fit),
    Inspect(Inspect),
    Generate(uses::Generate),
    Score(uses::Score),
    Embed(uses::Embed),
    Interpolate(uses::Interpolate),
    Decode(uses::Decode),
    Pool(Pool),
    Schema(Schema),
    Compare(Compare),
    Ampute(Ampute),
}

/// Fill the gaps of a CSV or Arrow IPC (Feather) file.
///
/// Observed cells stay as they are, byte for byte; a filled cell is written as its column writes its own. The output appears
/// whole, at the end, or not at all. A report goes to standard error: per column what was missing, filled and left, and the
/// error to expect, measured on observed cells that were held out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lacuna impute data.csv -o filled.csv
  lacuna impute data.csv --na '?' --kind grade=ordinal --exclude id -o filled.csv
  lacuna impute data.csv -m 20 --seed 7 -o draws.csv     long form: .imp, .id, then the columns
  lacuna impute data.csv -m 20 --form files -o 'out-{}.csv'
  lacuna impute data.csv --bounds age=0..120 --bounds joined=2020-01-01.. -o filled.csv
  lacuna impute data.csv --decimal , --delimiter ';' --format born=%d/%m/%Y -o filled.csv
  lacuna impute data.csv --with-uncertainty --indicator -o filled.csv
  lacuna impute data.arrow -o filled.arrow               Arrow in, Arrow out, with the same schema
  lacuna impute new.csv --model model.safetensors -o filled.csv
  cat data.csv.gz | lacuna impute - --quiet -o filled.csv.gz")]
pub struct Impute {
    #[command(flatten)]
    pub table: Table,
    /// Write here instead of standard output; `-` is standard output. A name in .arrow, .feather or .ipc gets an Arrow IPC
    /// file, standard output what the input is, any other name CSV, packed if it ends in .gz
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to fill [default: vae]
    #[arg(long, value_enum)]
    pub method: Option<Method>,
    /// Fill by a model that `lacuna fit` wrote, without fitting: the table's columns are read as in the fit, in any order, and
    /// columns that the fit did not have pass through
    #[arg(long = "model", value_name = "FILE")]
    pub model_file: Option<PathBuf>,
    /// Take columns that the table lacks as wholly missing
    #[arg(long, requires = "model_file")]
    pub allow_missing_columns: bool,
    /// Write M completed tables under each other, with columns .imp (1 to M) and .id (row) first, each gap drawn at random
    /// from the distribution of the missing cells given the observed ones. Analyse each table by itself and pool the estimates
    /// (lacuna pool): to average the tables first is an error, its standard errors are too small
    #[arg(short, value_name = "M", value_parser = at_least_one, allow_negative_numbers = true)]
    pub m: Option<usize>,
    /// The M tables under each other (long), a file each (files; {} in the name of -o is their number, 1 to M), or, in Arrow
    /// only, one table whose cells are lists of M values (list) [default: long]
    #[arg(long, value_enum, requires = "m")]
    pub form: Option<Shape>,
    /// Begin the long form with the table as it is, with its gaps, as .imp 0: from that, all of it can be read back
    #[arg(long, requires = "m")]
    pub include_original: bool,
    /// Add columns at the end that say how sure each fill is, from draws: COLUMN_sd, COLUMN_low and COLUMN_high for numbers
    /// and dates (sd in days for dates, in seconds for times), COLUMN_probability of the filled level for levels; empty for
    /// observed cells
    #[arg(long, conflicts_with = "m")]
    pub with_uncertainty: bool,
    /// Share of the distribution between COLUMN_low and COLUMN_high [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "with_uncertainty")]
    pub interval: Option<f64>,
    /// Draws for --with-uncertainty, at least 2 / (1 - SHARE) - 1 [default: 100, or what SHARE takes]
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "with_uncertainty")]
    pub draws: Option<usize>,
    /// Fill the observed cells of this column too, each as if it were missing, into a column COLUMN_overimputed at the end, and say
    /// how far off they are: a check of the model (with --with-uncertainty also COLUMN_overimputed_low and its like); the fit has
    /// seen these cells; repeatable
    #[arg(long, value_name = "COLUMN", conflicts_with = "m")]
    pub overimpute: Vec<String>,
    /// Add a column COLUMN_missing at the end for every column with a missing cell: true where it was missing, else false
    #[arg(long)]
    pub indicator: bool,
    /// Write filled numbers with all their digits: no rounding to the decimals of the column, integers with decimals
    #[arg(long)]
    pub no_round: bool,
    /// Write the report as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Exit with 1 where a column had to stay incomplete
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub model: Model,
}

/// Fit a model to a CSV or Arrow IPC (Feather) file and write it down, to fill other files of the same columns.
///
/// The file is safetensors: weights, and as JSON all else that fills and draws take. It holds no code; of the table's cells
/// levels, values that ten cells have, gaps and summaries of columns, and where fills gain by them up to 20 000 rows
/// (--without-neighbours keeps those out).
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna fit data.csv -o model.safetensors
  lacuna impute new.csv --model model.safetensors -o filled.csv")]
pub struct Fit {
    #[command(flatten)]
    pub table: Table,
    /// Write the model here
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Say more at the end: whether the latent space is alive
    #[arg(long, conflicts_with = "quiet")]
    pub verbose: bool,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub model: Model,
}

/// Print what a model is: its columns, how each is modelled and the error to expect, and how the fit went.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The model, as `lacuna fit` wrote it
    pub model: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The shape of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    Long,
    List,
    Files,
}

/// Pool the estimates from the completed tables of a multiple imputation, by Rubin's rules.
///
/// The file has one line an imputation and term: columns .imp (which table), term (which estimate), estimate, std_error and,
/// where known, df_complete (degrees of freedom of the analysis in a complete table, such as rows less coefficients; empty or
/// absent where it has a large-sample standard error). The analyses may come from any software; std.error is read as std_error.
/// The answer per term: the pooled estimate, its standard error, t, degrees of freedom (Barnard and Rubin 1999), p, the
/// confidence interval, riv (relative increase in variance by the missing cells), lambda (share of the variance that they cause)
/// and fmi (fraction of missing information), as in R's mice.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, from twenty completed tables to one answer:
  lacuna impute data.csv -m 20 -o draws.csv
  (analyse the rows of each .imp by themselves; write .imp,term,estimate,std_error to estimates.csv)
  lacuna pool estimates.csv")]
pub struct Pool {
    /// The CSV file of estimates; `-` is standard input
    pub estimates: PathBuf,
    /// Degrees of freedom of the analyses in a complete table, where the file has no column df_complete [default: infinite]
    #[arg(long, value_name = "DF", value_parser = above_zero, allow_negative_numbers = true)]
    pub df_complete: Option<f64>,
    /// Share of studies in which the confidence interval covers the truth
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = share)]
    pub level: f64,
    /// Print JSON, with the variances within and between, instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Print what each column is taken for, as JSON to edit and pass back with --schema.
///
/// Kinds are continuous, positive, count, binary, categorical, ordinal and ignored. A column of the file may also state
/// `family`, `levels` in order, `bounds` as [low, high] (null leaves a side open), `format` of its dates or times (strftime) and
/// `na`, its own missing tokens.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna schema data.csv > schema.json
  lacuna impute data.csv --schema schema.json -o filled.csv")]
pub struct Schema {
    #[command(flatten)]
    pub table: Table,
}

/// Hide some observed cells, fill them with each method, and print the errors side by side.
///
/// All methods see the same table and are scored on the same hidden cells: root mean square error in standard deviations
/// for numbers, share of right levels for levels, and time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lacuna compare data.csv
  lacuna compare data.csv --share 0.3 --mechanism mnar --seed 1 --json > compare.json")]
pub struct Compare {
    #[command(flatten)]
    pub table: Table,
    /// Share of the observed cells to hide, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, allow_negative_numbers = true)]
    pub share: f64,
    /// How to choose them: mcar (at random), mar (by another column's values), mnar (by their own values)
    #[arg(long, default_value = "mcar")]
    pub mechanism: String,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub model: Model,
}

/// Make gaps in a table that has none, to see what becomes of them.
///
/// Without --pattern cells are hidden one by one, a share of all observed ones. With it a row loses the columns of its pattern
/// together, and --share is the share of rows that do, as in R's mice. Every other cell stays as it is, byte for byte.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lacuna ampute whole.csv --share 0.3 -o gaps.csv
  lacuna ampute whole.csv --mechanism mnar --curve right --seed 1 --gap NA -o gaps.csv
  lacuna ampute whole.csv --mechanism mar --pattern income=0.7 --pattern income,rent=0.3 --weight age=1 -o gaps.csv
  lacuna impute gaps.csv -o filled.csv                   and compare it with whole.csv")]
pub struct Ampute {
    #[command(flatten)]
    pub table: Table,
    /// Write here instead of standard output; `-` is standard output. A name in .arrow, .feather or .ipc gets an Arrow IPC file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Share of the observed cells, or with --pattern of the rows, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share, allow_negative_numbers = true)]
    pub share: f64,
    /// What a loss depends on: mcar (nothing), mar (columns that stay), mnar (the lost cells themselves)
    #[arg(long, default_value = "mcar")]
    pub mechanism: String,
    /// Columns that a row loses together, and how often this pattern is, relative to the others [default: 1]; repeatable
    #[arg(long, value_name = "COLUMN,...[=FREQUENCY]", value_parser = pattern)]
    pub pattern: Vec<(Vec<String>, f64)>,
    /// What a column counts in the score by which rows lose their pattern [default: 1 for each column that stays (mar) or is lost
    /// (mnar)]; repeatable
    #[arg(long, value_name = "COLUMN=WEIGHT", value_parser = column_weight, requires = "pattern")]
    pub weight: Vec<(String, f64)>,
    /// Which scores lose most: right (high), left (low), mid (near the middle), tail (far from it) [default: right; for mnar
    /// without --pattern right or left at random, column by column]
    #[arg(long)]
    pub curve: Option<String>,
    /// The text of a hidden cell, one that is read as missing [default: an empty field]
    #[arg(long, value_name = "TEXT")]
    pub gap: Option<String>,
    /// Take a table that has gaps already: they stay, beside the new ones
    #[arg(long)]
    pub allow_gaps: bool,
    /// Seed of every random number: the same seed hides the same cells
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Variational autoencoder
    Vae,
    /// Nearest neighbours
    Knn,
    /// Mean of the column; its most frequent level
    Mean,
    /// Median of the column; its most frequent level
    Median,
    /// Most frequent value of the column
    Mode,
}

/// The table, and what is said of its columns.
#[derive(Debug, Default, Args)]
pub struct Table {
    /// The CSV file, with a header, as it is or packed by gzip, or Arrow IPC file; `-` is standard input
    pub data: PathBuf,
    /// State what a column is: continuous, positive, count, binary, categorical, ordinal or ignored; repeatable
    #[arg(long, value_name = "COLUMN=KIND", value_parser = column_kind, help_heading = "Columns")]
    pub kind: Vec<(String, ColumnKind)>,
    /// Keep a column as it is, unused by the model; repeatable
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub exclude: Vec<String>,
    /// Fill only this column, with the help of the others; repeatable
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub only: Vec<String>,
    /// A column of true and false, or 1 and 0: rows where it is true are filled, and not learned from
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub ignore: Option<String>,
    /// A column of row weights, numbers from zero: how much each row counts in the training (vae)
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub weights: Option<String>,
    /// A column whose values tell the rows apart: draws of a row (-m) depend on its value instead of its place; it is not modelled
    #[arg(long, value_name = "COLUMN", help_heading = "Columns")]
    pub id: Option<String>,
    /// JSON file that states columns, as `lacuna schema` prints it; --kind goes before it
    #[arg(long, value_name = "FILE", help_heading = "Columns")]
    pub schema: Option<PathBuf>,
    /// Keep filled cells of a column of numbers or dates between two values, either of which may be left out: age=0..120,
    /// joined=2020-01-01..; draws follow what the model has in between; repeatable
    #[arg(long, value_name = "COLUMN=LOW..HIGH", value_parser = column_bounds, help_heading = "Columns")]
    pub bounds: Vec<ColumnSpec>,
    /// State the format of a column of dates or times, as in strftime: born=%d/%m/%Y; repeatable
    #[arg(long, value_name = "COLUMN=FORMAT", value_parser = column_format, help_heading = "Columns")]
    pub format: Vec<(String, String)>,
    /// Further texts that mean "missing", separated by commas; repeatable. Always: empty, NA, N/A, NaN, null, None
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', allow_negative_numbers = true, help_heading = "Columns")]
    pub na: Vec<String>,
    /// Texts that mean "not applicable", separated by commas: such cells are kept as written, never filled, and unobserved for the
    /// model; repeatable
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', allow_negative_numbers = true, help_heading = "Columns")]
    pub not_applicable: Vec<String>,
    /// The character between fields; `\t` or tab for a tab [default: a comma, a tab for .tsv files]
    #[arg(long, value_name = "CHAR", value_parser = delimiter, help_heading = "Columns")]
    pub delimiter: Option<u8>,
    /// The decimal mark of numbers: `.` or `,` [default: a point]
    #[arg(long, value_name = "CHAR", value_parser = decimal, help_heading = "Columns")]
    pub decimal: Option<u8>,
    /// Say nothing on standard error but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Settings of the methods; what is not given follows from the table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct Model {
    /// Seed of every random number: the same seed gives the same output
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Threads, all cores if not given; the output does not depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub threads: Option<usize>,
    /// Nearest neighbours (knn) [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub k: Option<usize>,
    /// How much work the fit is worth: fast takes a fifth of the default's training, best four times as much (vae) [default: default]
    #[arg(long, value_enum, value_name = "HOW")]
    pub effort: Option<Effort>,
    /// Passes over the table (vae)
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub epochs: Option<usize>,
    /// Dimension of the latent space (vae)
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub latent_dim: Option<usize>,
    /// Width of the hidden layers (vae)
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub hidden: Option<usize>,
    /// Networks whose answers are averaged (vae)
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub members: Option<usize>,
    /// Latent points a row in the training's bound: more make it tighter and the fit slower (vae) [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub importance_samples: Option<usize>,
    /// Share of the training over which the divergence of the encoder from the prior grows to its full weight (vae) [default: 0.2]
    #[arg(long, value_name = "SHARE", value_parser = from_zero, allow_negative_numbers = true)]
    pub warm_up: Option<f64>,
    /// Nats that the divergence of a latent unit may reach before it costs anything: keeps units alive (vae) [default: 0]
    #[arg(long, value_name = "NATS", value_parser = from_zero, allow_negative_numbers = true)]
    pub free_bits: Option<f64>,
    /// What the divergence counts for, the beta of a beta-VAE (vae) [default: 1]
    #[arg(long, value_name = "WEIGHT", value_parser = from_zero, allow_negative_numbers = true)]
    pub kl_weight: Option<f64>,
    /// Fit a plain autoencoder: no sampling and no divergence, for comparison (vae)
    #[arg(long)]
    pub plain_autoencoder: bool,
    /// No correction of fills by rows alike: the model then holds no row of the table, and fills are the networks' alone (vae)
    #[arg(long)]
    pub without_neighbours: bool,
    /// Take all gaps for missing at random, also where those of several columns follow what their cells would have said (vae)
    #[arg(long)]
    pub at_random: bool,
    /// Stop training after this time and use the best weights so far: 90, 90s, 5m, 1h (vae)
    #[arg(long, value_name = "TIME", value_parser = duration, allow_negative_numbers = true)]
    pub time_limit: Option<Duration>,
    /// Fill numbers by values seen in their column only: donors takes one of the five observed cells of which the model expects
    /// nearly the same (predictive mean matching; vae)
    #[arg(long = "match", value_enum, value_name = "HOW")]
    pub matching: Option<Matching>,
}

/// What a long fit may take, and what it leaves when it is broken off.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct Limits {
    /// Keep within this much memory: 500M, 2G. A fit of a CSV file that would take more sees as many of its rows, drawn at
    /// random, as that holds (vae); filling takes little whatever the rows
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub max_memory: Option<u64>,
    /// Keep the training in this file as it goes: the same command goes on from there after an interruption, to the same
    /// output; it is removed at the end (vae)
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
}

/// How much work a fit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Effort {
    Fast,
    Default,
    Best,
}

impl From<Effort> for lacuna::Effort {
    fn from(effort: Effort) -> lacuna::Effort {
        match effort {
            Effort::Fast => lacuna::Effort::Fast,
            Effort::Default => lacuna::Effort::Default,
            Effort::Best => lacuna::Effort::Best,
        }
    }
}

/// What drawn numbers are matched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Matching {
    Donors,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number of at least 1 is due".into()),
        Ok(n) => Ok(n),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if x > 0.0 && x < 1.0 => Ok(x),
        _ => Err("a number between 0 and 1 is due".into()),
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|&x: &f64| x > 0.0).ok_or_else(|| "a number above zero is due".into())
}

fn from_zero(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| (0.0..f64::INFINITY).contains(x)).ok_or_else(|| "a number from 0 is due".into())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a whole number from 0 to {} is due", u64::MAX))
}

fn column_kind(text: &str) -> Result<(String, ColumnKind), String> {
    let (column, kind) = text.rsplit_once('=').ok_or("COLUMN=KIND is due, such as age=count")?;
    Ok((column.to_string(), kind.parse().map_err(|e: lacuna::Error| e.to_string())?))
}

fn pattern(text: &str) -> Result<(Vec<String>, f64), String> {
    // A column's name may hold an equals sign; what is behind the last is a frequency only if it is a number.
    let (columns, frequency) = match text.rsplit_once('=').map(|(columns, f)| (columns, f.parse())) {
        Some((columns, Ok(frequency))) => (columns, frequency),
        _ => (text, 1.0),
    };
    Ok((columns.split(',').map(str::to_string).collect(), frequency))
}

fn column_weight(text: &str) -> Result<(String, f64), String> {
    let due = "COLUMN=WEIGHT is due, such as age=1 or age=-0.5";
    let (column, weight) = text.rsplit_once('=').ok_or(due)?;
    Ok((column.to_string(), weight.parse().map_err(|_| due)?))
}

fn column_bounds(text: &str) -> Result<ColumnSpec, String> {
    let due = "COLUMN=LOW..HIGH is due, such as age=0..120 or age=0..";
    let (column, range) = text.rsplit_once('=').ok_or(due)?;
    let (low, high) = range.split_once("..").ok_or(due)?;
    let end = |text: &str| (!text.trim().is_empty()).then(|| Bound::from(text.trim()));
    match (end(low), end(high)) {
        (None, None) => Err(due.into()),
        bounds => Ok(ColumnSpec { name: column.into(), bounds: Some(bounds), ..ColumnSpec::default() }),
    }
}

fn column_format(text: &str) -> Result<(String, String), String> {
    let (column, format) = text.rsplit_once('=').ok_or("COLUMN=FORMAT is due, such as born=%d/%m/%Y")?;
    Ok((column.to_string(), format.to_string()))
}

fn decimal(text: &str) -> Result<u8, String> {
    match text {
        "." => Ok(b'.'),
        "," => Ok(b','),
        _ => Err("a point or a comma is due".into()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [b'"' | b'\n' | b'\r'] => Err("a quote or a line end cannot separate fields".into()),
            [byte] if byte.is_ascii() => Ok(*byte),
            _ => Err("one character is due, such as ';' or tab".into()),
        },
    }
}

fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(i) => text.split_at(i),
        None => (text, ""),
    };
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        _ => f64::NAN,
    };
    match number.trim().parse::<f64>().unwrap_or(f64::NAN) * factor {
        bytes if (1.0..1e18).contains(&bytes) => Ok(bytes as u64),
        _ => Err("a size above zero is due, such as 500M or 2G".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(i) => text.split_at(i),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let seconds = number.trim().parse::<f64>().unwrap_or(f64::NAN) * factor;
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|t| !t.is_zero());
    time.ok_or_else(|| "a time above zero is due, such as 90s, 5m or 1h".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_and_delimiters_are_read_as_people_write_them() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for text in ["", "0", "-1s", "5 parsecs", "nan", "1e300h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        assert_eq!(delimiter(";"), Ok(b';'));
        for text in ["", "ab", "é", "\""] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("500M", 500_000_000), ("1.5g", 1_500_000_000), ("300 MB", 300_000_000), ("7", 7), ("2k", 2000)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1G", "M", "5 stones", "nan", "1e300G"] {
            assert!(size(text).unwrap_err().contains("such as 500M"), "{text}");
        }
    }

    #[test]
    fn either_end_of_bounds_may_be_open() {
        let ends = |text| column_bounds(text).unwrap().bounds.unwrap();
        assert_eq!(ends("a=b=0..9.5"), (Some("0".into()), Some("9.5".into())));
        assert_eq!(ends("d=2020-01-01.."), (Some("2020-01-01".into()), None));
        assert_eq!(ends("x=..-1e3"), (None, Some("-1e3".into())));
        for text in ["x", "x=1", "x=..", "0..1"] {
            assert!(column_bounds(text).unwrap_err().contains("COLUMN=LOW..HIGH"), "{text}");
        }
    }

    #[test]
    fn a_column_name_may_hold_an_equals_sign() {
        assert_eq!(column_kind("a=b=count"), Ok(("a=b".to_string(), ColumnKind::Count)));
        assert!(column_kind("age").unwrap_err().contains("COLUMN=KIND"));
        assert_eq!(column_format("a=b=%d/%m/%Y"), Ok(("a=b".to_string(), "%d/%m/%Y".to_string())));
        assert!(column_kind("age=years").unwrap_err().contains("one of continuous"));
    }
}
