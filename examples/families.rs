//! Which family suits each column? Prints the held-out scores of every family that the fit tried, of a CSV file and a
//! schema file where they are given: `families TABLE.csv [SCHEMA.json]`.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Family, FamilyScore, Fit, Imputer, Result, Schema, SchemaOptions, VaeConfig};

/// Visits (a count wider than its mean), spending (nothing, or a number above zero), and a rating of few values.
fn shop() -> Result<DataFrame> {
    // Numbers between zero and one that look random, and their sums that look normal.
    let uniform = |i: usize, k: usize| ((i * 7919 + k * 104_729) * 48_271 % 65_537) as f64 / 65_537.0;
    let normal = |i: usize, k: usize| (0..6).map(|l| uniform(i, 6 * k + l) - 0.5).sum::<f64>() * 2f64.sqrt();
    let columns: Vec<(f64, f64, f64)> = (0..1500)
        .map(|i| {
            let taste = normal(i, 1);
            let visits = (1.0 + taste + 1.2 * normal(i, 2)).exp().floor();
            let spent = if uniform(i, 40) < 0.6 { 0.0 } else { (3.0 + taste + 0.8 * normal(i, 3)).exp() };
            (visits, spent, (3.0 + taste + 0.5 * normal(i, 4)).round().clamp(1.0, 5.0))
        })
        .collect();
    let gap = |i: usize, x: f64| (!i.is_multiple_of(5)).then_some(x);
    Ok(df!(
        "visits" => columns.iter().enumerate().map(|(i, c)| gap(i, c.0).map(|x| x as i64)).collect::<Vec<_>>(),
        "spent" => columns.iter().enumerate().map(|(i, c)| gap(i + 1, c.1)).collect::<Vec<_>>(),
        "rating" => columns.iter().enumerate().map(|(i, c)| gap(i + 2, c.2).map(|x| x as i64)).collect::<Vec<_>>(),
    )?)
}

fn read(table: &str, schema: Option<&String>) -> Result<(DataFrame, SchemaOptions)> {
    let open = |path: &str| File::open(path).map_err(|e| Error::from(PolarsError::from(e)));
    let options = match schema {
        Some(path) => serde_json::from_reader(open(path)?).expect("a schema file"),
        None => SchemaOptions::default(),
    };
    let csv = CsvTable::read(open(table)?, Path::new(table), &CsvOptions::default(), &options)?;
    Ok((csv.to_frame()?, options))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ((df, options), config) = match arguments.first() {
        Some(table) => (read(table, arguments.get(1))?, VaeConfig::default()),
        None => ((shop()?, SchemaOptions::default()), VaeConfig::default().epochs(12).members(1)),
    };
    let imputer = config.fit_with(&df, &Schema::infer_with(&df, &options)?)?;

    println!("{:<20}{:<27}{:>10}{:>11}{:>7}", "column", "family", "log score", "fill loss", "cells");
    let mut ahead = 0;
    for column in imputer.schema().columns() {
        let scores = imputer.family_scores(column.name());
        for s in scores.iter().filter(|s| s.cells > 0) {
            let mark = if s.chosen { "*" } else { "" };
            let family = format!("{}{mark}", s.family);
            println!("{:<20}{family:<27}{:>10.3}{:>11.4}{:>7}", column.name(), s.log_score, s.fill_loss, s.cells);
        }
        let gaussian = scores.iter().find(|s| s.family == Family::Gaussian && s.cells > 0);
        let chosen = scores.iter().find(|s| s.chosen);
        ahead += usize::from(gaussian.zip(chosen).is_some_and(|(g, c): (&FamilyScore, _)| c.log_score > g.log_score));
    }
    println!("the chosen family is ahead of the Gaussian in {ahead} columns");
    Ok(())
}
