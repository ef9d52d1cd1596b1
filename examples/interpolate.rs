//! The way from one penguin to another through the latent space, as numbers and as a picture: `interpolate [PATH.svg]`.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Result, SchemaOptions, VaeConfig};

const MEASURES: [&str; 4] = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"];

/// A column's numbers.
fn numbers(df: &DataFrame, column: &str) -> Result<Vec<f64>> {
    let cast = df.column(column)?.cast(&DataType::Float64)?;
    Ok(cast.f64()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// The measures along the way, each between its least and largest in the table, over the species of each step.
fn picture(table: &DataFrame, path: &DataFrame) -> Result<String> {
    let (width, height, left, top) = (560.0, 260.0, 20.0, 20.0);
    let steps = path.height() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#999\"/>\n",
        left + width + 150.0,
        top + height + 60.0
    );
    for (measure, colour) in MEASURES.iter().zip(["#0072b2", "#d55e00", "#009e73", "#cc79a7"]) {
        let seen = numbers(table, measure)?;
        let (low, high) = seen.iter().filter(|x| !x.is_nan()).fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
        let y = |x: f64| top + height * (1.0 - (x - low) / (high - low));
        let at = numbers(path, measure)?;
        let points = at.iter().enumerate().map(|(i, &x)| format!("{:.1},{:.1}", left + width * i as f64 / (steps - 1.0), y(x)));
        let points = points.collect::<Vec<_>>().join(" ");
        svg += &format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n");
        let end = y(at[at.len() - 1]) + 4.0;
        svg += &format!("<text x=\"{}\" y=\"{end:.1}\" fill=\"{colour}\">{measure}</text>\n", left + width + 8.0);
    }
    let species = path.column("species")?.str()?;
    let mut from = 0;
    for i in 1..=path.height() {
        if i == path.height() || species.get(i) != species.get(from) {
            let x = |i: usize| left + width * i as f64 / steps;
            let (middle, y) = (0.5 * (x(from) + x(i)), top + height + 30.0);
            svg += &format!(
                "<text x=\"{middle:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\n",
                species.get(from).unwrap_or("?")
            );
            if i < path.height() {
                let (x, bottom) = (x(i), top + height);
                svg += &format!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#ccc\" stroke-dasharray=\"4\"/>\n"
                );
            }
            from = i;
        }
    }
    Ok(svg + "</svg>\n")
}

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).map_err(|e| Error::from(PolarsError::from(e)))?;
    let penguins = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;
    let model = VaeConfig::default().epochs(20).members(1).seed(1).fit(&penguins)?;

    // From the first Adelie penguin to a Gentoo, in forty steps.
    let (from, to) = (0, 200);
    let way = model.interpolate(&penguins, from, to, 41)?.frame;
    println!("{}", penguins.slice(from as i64, 1).vstack(&penguins.slice(to as i64, 1))?);
    println!("{}", way.head(Some(5)));
    if let Some(out) = std::env::args().nth(1) {
        std::fs::write(out, picture(&penguins, &way)?).map_err(|e| Error::from(PolarsError::from(e)))?;
    }
    println!("{} steps, both ends included", way.height());
    Ok(())
}
