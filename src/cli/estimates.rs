//! `lacuna pool`: estimates of several completed tables in, one pooled table out.

use std::io::Read;
use std::path::Path;

use lacuna::polars::prelude::{DataFrame, DataType};
use lacuna::pool::{PooledTerm, Term, pool_terms};
use lacuna::{CsvOptions, CsvTable, Error, ErrorKind, SchemaOptions};
use serde::Serialize;

use super::args;

/// One line of the answer.
#[derive(Debug, Serialize)]
pub struct Line {
    #[serde(flatten)]
    term: PooledTerm,
    std_error: f64,
    statistic: f64,
    p: f64,
    #[serde(rename = "conf.low")]
    low: f64,
    #[serde(rename = "conf.high")]
    high: f64,
}

/// Reads the estimates and pools each term.
pub fn pool(input: Box<dyn Read>, args: &args::Pool) -> Result<Vec<Line>, Error> {
    let name = if args.estimates == Path::new("-") { Path::new("standard input") } else { &args.estimates };
    let delimiter = if super::is_tsv(&args.estimates) { b'\t' } else { b',' };
    let csv = CsvTable::read(input, name, &CsvOptions { delimiter, ..CsvOptions::default() }, &SchemaOptions::default())?;
    let estimates = Estimates::new(&csv.to_frame()?, name)?;
    let imputations = distinct(&estimates.imp);
    if imputations.len() < 2 {
        let found = imputations.first().map_or("no estimates".into(), |imp| format!("estimates of imputation {imp} only"));
        let message =
            format!("`{}` has {found}; those of two or more are due, else nothing says how much the gaps matter", name.display());
        return Err(ErrorKind::Pool { message }.into());
    }
    if imputations.iter().any(|imp| imp == "0") {
        let message = format!("`{}` has estimates of .imp 0, the table with its gaps; leave them out", name.display());
        return Err(ErrorKind::Pool { message }.into());
    }
    let df_of = |term: &str| match (estimates.df_complete(term), args.df_complete) {
        (Some(_), Some(_)) => Err(Error::from(ErrorKind::Config {
            field: "--df-complete".into(),
            found: "given".into(),
            expected: format!("dropped: `{}` has a column df_complete", name.display()),
        })),
        (of_file, stated) => Ok(of_file.or(stated).unwrap_or(f64::INFINITY)),
    };
    let line = |name: &String| {
        let term = pool_terms(&estimates.of_term(name)?, df_of(name)?)?.remove(0);
        let (low, high) = term.pooled.interval(args.level)?;
        let pooled = &term.pooled;
        let (std_error, statistic, p) = (pooled.std_error(), pooled.statistic(), pooled.p_value());
        Ok(Line { std_error, statistic, p, low, high, term })
    };
    distinct(&estimates.term).iter().map(line).collect()
}

/// The columns of the file.
struct Estimates {
    imp: Vec<String>,
    term: Vec<String>,
    estimate: Vec<f64>,
    std_error: Vec<f64>,
    /// Infinite where the cell is empty; `None` without the column.
    df: Option<Vec<f64>>,
}

impl Estimates {
    fn new(df: &DataFrame, path: &Path) -> Result<Estimates, Error> {
        let known: Vec<&str> = df.columns().iter().map(|c| c.name().as_str()).collect();
        let first = |names: &[&'static str]| names.iter().copied().find(|n| known.contains(n));
        let column = |names: &[&'static str]| {
            first(names).ok_or_else(|| {
                let due = ".imp, term, estimate and std_error are due";
                let name = names.first().copied().unwrap_or_default();
                let message = format!("there is no column `{name}`; {due}, and the columns are {}", known.join(", "));
                Error::from(ErrorKind::Csv { path: path.to_owned(), line: None, message })
            })
        };
        let numbers = |name, empty| numbers(df, name, empty);
        Ok(Estimates {
            imp: texts(df, column(&[".imp"])?)?,
            term: texts(df, column(&["term"])?)?,
            estimate: numbers(column(&["estimate"])?, None)?,
            std_error: numbers(column(&["std_error", "std.error"])?, None)?,
            df: first(&["df_complete"]).map(|name| numbers(name, Some(f64::INFINITY))).transpose()?,
        })
    }

    /// The smallest of a term's degrees of freedom.
    fn df_complete(&self, term: &str) -> Option<f64> {
        let of_term = |df: &Vec<f64>| {
            let rows = self.term.iter().zip(df).filter(|(t, _)| *t == term);
            rows.map(|(_, df)| *df).fold(f64::INFINITY, f64::min)
        };
        self.df.as_ref().map(of_term)
    }

    /// The estimates of one term, an imputation each.
    fn of_term(&self, name: &str) -> Result<Vec<Vec<Term>>, Error> {
        let unpoolable = |message| Err(ErrorKind::Pool { message }.into());
        let of_imputation = |imp: &String| {
            let cells = self.imp.iter().zip(&self.term).zip(self.estimate.iter().zip(&self.std_error)).enumerate();
            let rows = cells.filter(|(_, ((i, term), _))| *i == imp && *term == name);
            let rows: Vec<(usize, f64, f64)> = rows.map(|(row, (_, (x, se)))| (row, *x, *se)).collect();
            match rows[..] {
                [(_, x, se)] => Ok(vec![Term::new(name, x, se)]),
                [] => unpoolable(format!("term `{name}` is missing in imputation {imp}; give every term in every imputation")),
                [_, (again, ..), ..] => unpoolable(format!(
                    "term `{name}` stands twice in imputation {imp}, again in row {}; give each its own name",
                    again + 1
                )),
            }
        };
        for (row, &x) in self.std_error.iter().enumerate() {
            // Here, where the row is known.
            if x <= 0.0 {
                let expected = "a number above zero is due".into();
                return Err(ErrorKind::Value { column: "std_error".into(), row: row + 1, found: x.to_string(), expected }.into());
            }
        }
        distinct(&self.imp).iter().map(of_imputation).collect()
    }
}

/// The distinct texts in the order they come.
fn distinct(texts: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for text in texts {
        if !out.contains(text) {
            out.push(text.clone());
        }
    }
    out
}

/// The cells of a column as texts; a missing one is an error.
fn texts(df: &DataFrame, name: &str) -> Result<Vec<String>, Error> {
    let cells = df.column(name)?.as_materialized_series().cast(&DataType::String)?;
    let cells = cells.str()?.iter().enumerate();
    cells.map(|(row, cell)| cell.map(str::to_string).ok_or_else(|| value(name, row, "nothing"))).collect()
}

/// The cells of a column as numbers; a missing one is `empty`, or an error.
fn numbers(df: &DataFrame, name: &str, empty: Option<f64>) -> Result<Vec<f64>, Error> {
    let column = df.column(name)?.as_materialized_series();
    if let Ok(text) = column.str() {
        // One cell that is no number makes a column text.
        let odd =
            text.iter().enumerate().find_map(|(row, cell)| cell.filter(|c| c.trim().parse::<f64>().is_err()).map(|c| (row, c)));
        if let Some((row, cell)) = odd {
            return Err(value(name, row, &format!("'{cell}'")));
        }
    }
    let cells = column.cast(&DataType::Float64)?;
    let cells = cells.f64()?.iter().enumerate();
    cells.map(|(row, cell)| cell.filter(|x| !x.is_nan()).or(empty).ok_or_else(|| value(name, row, "nothing"))).collect()
}

fn value(column: &str, row: usize, found: &str) -> Error {
    let expected = if column == "term" || column == ".imp" { "a name is due" } else { "a number is due" };
    ErrorKind::Value { column: column.into(), row: row + 1, found: found.into(), expected: expected.into() }.into()
}

/// The lines as a table for people.
pub fn table(lines: &[Line], level: f64) -> String {
    let width = lines.iter().map(|l| l.term.term.chars().count()).max().unwrap_or(0).max(4);
    let share = format!("{} % interval", (level * 1e6).round() / 1e4);
    let mut out = format!(
        "{:width$} {:>12} {:>12} {:>9} {:>9} {:>9} {:>25} {:>7} {:>7} {:>7}\n",
        "term", "estimate", "std error", "t", "df", "p", share, "riv", "lambda", "fmi"
    );
    for line in lines {
        let p = &line.term.pooled;
        let interval = format!("{} to {}", short(line.low), short(line.high));
        out += &format!(
            "{:width$} {:>12} {:>12} {:>9.3} {:>9} {:>9} {:>25} {:>7.3} {:>7.3} {:>7.3}\n",
            line.term.term,
            short(p.estimate),
            short(line.std_error),
            line.statistic,
            if p.df < 1e5 { format!("{:.1}", p.df) } else { "inf".into() },
            if line.p < 1e-4 { "< 0.0001".into() } else { format!("{:.4}", line.p) },
            interval,
            p.riv,
            p.lambda,
            p.fmi
        );
    }
    let m = lines.first().map_or(0, |l| l.term.pooled.m);
    out + &format!("{m} imputations pooled by Rubin's rules, degrees of freedom after Barnard and Rubin (1999)")
}

/// Six digits.
fn short(x: f64) -> String {
    let digits = x.abs().log10().floor();
    match digits {
        _ if x == 0.0 => "0".into(),
        d if !(-5.0..7.0).contains(&d) => format!("{x:.5e}"),
        d => format!("{x:.*}", (5.0 - d).clamp(0.0, 9.0) as usize),
    }
}
