//! Odd rows and their odd cells: a table of penguins in which some cells have been spoilt on purpose.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Result, SchemaOptions, VaeConfig};

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).map_err(|e| Error::from(PolarsError::from(e)))?;
    let penguins = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;
    let model = VaeConfig::default().epochs(20).members(1).seed(1).fit(&penguins)?;

    // Ten penguins whose mass lost its last digit.
    let mut masses: Vec<Option<i64>> = penguins.column("body_mass_g")?.i64()?.iter().collect();
    let spoilt: Vec<usize> = (0..10).map(|i| 20 + 31 * i).collect();
    spoilt.iter().for_each(|&row| masses[row] = masses[row].map(|mass| mass / 10));
    let mut table = penguins.clone();
    table.with_column(Column::new("body_mass_g".into(), masses))?;

    let scores = model.score(&table)?;
    println!("{}", scores.to_frame()?.sort(["rank"], SortMultipleOptions::default())?.head(Some(12)));
    let found = spoilt.iter().filter(|&&row| scores.rank[row] <= 10 && scores.oddest(row) == Some("body_mass_g")).count();
    println!("{found} of the 10 spoilt rows are the oddest 10, by their body mass");
    Ok(())
}
