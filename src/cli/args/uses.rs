//! What a fitted model does beside filling.

use std::path::PathBuf;

use clap::Args;

use super::{at_least_one, seed};

/// Make rows like those of the fitted table.
///
/// Rows are drawn from the model, with the types, decimals, levels and values of the fitted table, and written as its file was.
/// With given cells they answer what-if questions: what the other columns are like where these cells are so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lacuna generate model.safetensors -n 1000 -o rows.csv
  lacuna generate model.safetensors -n 200 --given species=Gentoo --given year=2008
  lacuna generate model.safetensors -n 1000 --with-gaps --seed 7 -o rows.csv")]
pub struct Generate {
    /// The model, as `lacuna fit` wrote it
    pub model: PathBuf,
    /// Rows
    #[arg(short, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub n: usize,
    /// Give every row this cell, written as in the fitted table; repeatable
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = given, allow_negative_numbers = true)]
    pub given: Vec<(String, String)>,
    /// Leave gaps where rows of the fitted table have them: each row takes the pattern of one of those at random. Given cells stay
    #[arg(long)]
    pub with_gaps: bool,
    /// Seed of the draws: the same seed gives the same rows, and more rows begin with them
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    #[command(flatten)]
    pub output: Output,
}

/// Say how odd each row is, and which of its cells.
///
/// One line a row: .id; score, in nats how much more surprising its cells are, each given the others, than those of rows that the
/// model makes; percentile, among such rows; rank among the rows of the file, 1 the oddest; log_likelihood of its observed cells,
/// nats; oddest, the column of its most surprising cell; and COLUMN_score, each cell's part of the score. Scores of rows
/// with different gaps compare. Empty where a cell is missing.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna score model.safetensors data.csv -o scores.csv")]
pub struct Score {
    #[command(flatten)]
    pub applied: Applied,
    #[command(flatten)]
    pub output: Output,
}

/// Write each row's point in the latent space: columns .id, z1, z2, …
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna embed model.safetensors data.csv --sd -o latent.csv")]
pub struct Embed {
    #[command(flatten)]
    pub applied: Applied,
    /// Add the standard deviation of each coordinate, z1_sd, …: how sure the encoder is of it
    #[arg(long)]
    pub sd: bool,
    #[command(flatten)]
    pub output: Output,
}

/// Write the rows on the way from one row of a table to another, by a straight line in the latent space.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna interpolate model.safetensors data.csv --from 1 --to 200 --steps 9")]
pub struct Interpolate {
    #[command(flatten)]
    pub applied: Applied,
    /// The row to start from; the first of the file is 1
    #[arg(long, value_name = "ROW", value_parser = at_least_one, allow_negative_numbers = true)]
    pub from: usize,
    /// The row to end at
    #[arg(long, value_name = "ROW", value_parser = at_least_one, allow_negative_numbers = true)]
    pub to: usize,
    /// Rows to write, both ends included
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub steps: usize,
    #[command(flatten)]
    pub output: Output,
}

/// Write the rows that latent points stand for: expected numbers and most probable levels.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lacuna embed model.safetensors data.csv -o latent.csv
  lacuna decode model.safetensors latent.csv -o rows.csv")]
pub struct Decode {
    /// The model, as `lacuna fit` wrote it
    pub model: PathBuf,
    /// A CSV or Arrow IPC file with columns z1, z2, …; others are not read; `-` is standard input
    pub latent: PathBuf,
    #[command(flatten)]
    pub output: Output,
}

/// A model and the table it is applied to.
#[derive(Debug, Args)]
pub struct Applied {
    /// The model, as `lacuna fit` wrote it
    pub model: PathBuf,
    /// The CSV or Arrow IPC file, with the columns of the fit; read as in the fit; `-` is standard input
    pub data: PathBuf,
}

/// Where to write, and whether to say anything.
#[derive(Debug, Args)]
pub struct Output {
    /// Write here instead of standard output. A name in .arrow, .feather or .ipc gets an Arrow IPC file, any other CSV, packed if
    /// it ends in .gz
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Threads, all cores if not given; the output does not depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub threads: Option<usize>,
    /// Say nothing on standard error but errors
    #[arg(short, long)]
    pub quiet: bool,
}

fn given(text: &str) -> Result<(String, String), String> {
    // A cell may hold an equals sign as well as a name may: the first one counts, as in most tools.
    let (column, cell) = text.split_once('=').ok_or("COLUMN=VALUE is due, such as species=Gentoo")?;
    Ok((column.to_string(), cell.to_string()))
}
