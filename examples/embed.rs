//! Rows as points and points as rows: the latent means of penguins, how well species part there, and what the points decode to.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Result, SchemaOptions, VaeConfig};

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).map_err(|e| Error::from(PolarsError::from(e)))?;
    let penguins = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;
    // The species is kept out: the points do not know it.
    let measures = penguins.drop("species")?.drop("island")?;
    let model = VaeConfig::default().epochs(30).members(1).latent_dim(2).seed(1).fit(&measures)?;
    println!("{}", model.latent_use()[0]);

    let points = model.embed(&measures, true)?;
    println!("{}", points.head(Some(3)));
    let decoded = model.decode(&points)?.frame;
    assert_eq!(decoded.schema(), measures.schema());
    println!("{}", decoded.head(Some(3)));

    // The species of the nearest other point.
    let species = penguins.column("species")?.str()?;
    let z = |name: &str| -> Result<Vec<f64>> { Ok(points.column(name)?.f64()?.iter().flatten().collect()) };
    let (x, y) = (z("z1")?, z("z2")?);
    let nearest = |i: usize| {
        let distance = |j: &usize| (x[i] - x[*j]).powi(2) + (y[i] - y[*j]).powi(2);
        (0..x.len()).filter(|&j| j != i).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    };
    let right = (0..x.len()).filter(|&i| nearest(i).is_some_and(|j| species.get(i) == species.get(j))).count();
    println!("the nearest point is of the same species for {:.0} penguins in a hundred", 100.0 * right as f64 / x.len() as f64);
    println!("{} penguins as points of 2 dimensions, and decoded", points.height());
    Ok(())
}
