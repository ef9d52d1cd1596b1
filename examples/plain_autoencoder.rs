//! A variational autoencoder beside a plain one (no sampling, no divergence): what the latent space holds, fills, and rows made.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Generate, Imputer, Result, SchemaOptions, VaeConfig};

/// Mean and standard deviation of a column of numbers.
fn spread(df: &DataFrame, column: &str) -> Result<(f64, f64)> {
    let numbers = df.column(column)?.cast(&DataType::Float64)?;
    let numbers = numbers.f64()?;
    Ok((numbers.mean().unwrap_or(f64::NAN), numbers.std(1).unwrap_or(f64::NAN)))
}

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).map_err(|e| Error::from(PolarsError::from(e)))?;
    let penguins = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;
    let config = VaeConfig::default().epochs(20).members(1).seed(1);
    let mut divergences = Vec::new();
    let (mean, sd) = spread(&penguins, "flipper_length_mm")?;
    println!("{:<14}{:>26}   flippers {mean:.1} ± {sd:.1} mm", "the table", "");
    for (name, config) in [("variational", config.clone()), ("plain", config.plain_autoencoder())] {
        let model = config.fit(&penguins)?;
        let used = &model.latent_use()[0];
        let divergence: f64 = used.kl.iter().sum();
        let made = model.generate(&Generate::rows(500).seed(1))?.frame;
        let (mean, sd) = spread(&made, "flipper_length_mm")?;
        println!("{name:<14}{divergence:>14.1} nats of KL   flippers {mean:.1} ± {sd:.1} mm");
        let report = model.fill(&penguins)?.report;
        for column in report.columns.iter().filter(|c| c.filled > 0) {
            if let Some(error) = &column.expected_error {
                println!("    {:<20} expected error {:.3}", column.column, error.error);
            }
        }
        divergences.push(divergence);
    }
    // Nothing holds the points of the plain one near N(0, I), where rows are made from.
    println!(
        "the plain one's points are {} from N(0, I)",
        if divergences[1] > divergences[0] { "further" } else { "no further" }
    );
    Ok(())
}
