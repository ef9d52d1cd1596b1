//! New rows like those of a table, and what-if questions: what are penguins like, given some of their cells?

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Generate, Result, SchemaOptions, VaeConfig};

/// The mean of a column of numbers.
fn mean(df: &DataFrame, column: &str) -> Result<f64> {
    let numbers = df.column(column)?.cast(&DataType::Float64)?;
    Ok(numbers.f64()?.mean().unwrap_or(f64::NAN))
}

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).map_err(|e| Error::from(PolarsError::from(e)))?;
    let penguins = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;
    let model = VaeConfig::default().epochs(12).members(1).seed(1).fit(&penguins)?;

    // As many rows as there are, with gaps where the table has them.
    let rows = model.generate(&Generate::rows(344).with_gaps().seed(1))?;
    println!("{}", rows.frame.head(Some(5)));
    assert_eq!(rows.frame.schema(), penguins.schema());

    // What if it is a Gentoo, and what if it is a Gentoo of 6 kg?
    println!("{:<28}{:>12}{:>12}{:>12}", "mean of 500 rows", "body mass", "flipper", "male");
    let mut flippers = Vec::new();
    let gentoo = Generate::rows(500).given("species", "Gentoo");
    let heavy = gentoo.clone().given("body_mass_g", "6000");
    for (name, options) in [("any", Generate::rows(500)), ("Gentoo", gentoo), ("Gentoo of 6000 g", heavy)] {
        let df = model.generate(&options)?.frame;
        let male = df.column("sex")?.str()?.iter().filter(|s| *s == Some("male")).count() as f64 / 500.0;
        flippers.push(mean(&df, "flipper_length_mm")?);
        println!("{name:<28}{:>12.0}{:>12.1}{male:>12.2}", mean(&df, "body_mass_g")?, flippers[flippers.len() - 1]);
    }
    println!("500 rows made for each of {} questions", flippers.len());
    Ok(())
}
