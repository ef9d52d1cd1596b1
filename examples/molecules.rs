//! Molecules with a wanted property: a table of SELFIES tokens and computed properties, fitted, and rows made with logP given.
//! `molecules [FOLDER]` writes the rows there, to be measured by `benches/peers/molecules.py`; a fit of full length takes minutes.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Error, Fit, Generate, Imputer, Result, SchemaOptions, VaeConfig, VaeImputer};

/// The string of each row: its tokens up to the padding.
fn strings(df: &DataFrame) -> Result<Vec<String>> {
    let tokens = (1..=24).map(|t| df.column(&format!("t{t:02}"))?.str()).collect::<PolarsResult<Vec<_>>>()?;
    let row = |i| tokens.iter().filter_map(|t| t.get(i)).filter(|t| *t != "[nop]").collect::<String>();
    Ok((0..df.height()).map(row).collect())
}

/// The median logP that the model itself expects of the tokens of some rows.
fn expected_logp(model: &VaeImputer, rows: &DataFrame) -> Result<f64> {
    let mut tokens = rows.clone();
    for property in ["logP", "weight", "tpsa", "qed"] {
        tokens.with_column(Column::full_null(property.into(), rows.height(), &DataType::Float64))?;
    }
    Ok(model.fill(&tokens)?.frame.column("logP")?.f64()?.median().unwrap_or(f64::NAN))
}

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/molecules.csv.gz"));
    let open = |e: std::io::Error| Error::from(PolarsError::from(e));
    let table = CsvTable::read(File::open(path).map_err(open)?, path, &CsvOptions::default(), &SchemaOptions::default())?;
    let table = table.to_frame()?;
    let folder = std::env::args().nth(1);
    let config = VaeConfig::default().seed(1);
    let model = if folder.is_some() { config } else { config.epochs(6).members(1) }.fit(&table)?;

    let logp = table.column("logP")?.f64()?.clone();
    let wanted = logp.quantile(0.9, QuantileMethod::Nearest)?.unwrap_or(f64::NAN);
    let rows = if folder.is_some() { 1000 } else { 200 };
    let known: HashSet<String> = strings(&table)?.into_iter().collect();
    println!("{:<24}{:>8}{:>8}{:>8}{:>16}", "", "rows", "unique", "novel", "median logP *");
    let mut medians = Vec::new();
    for (name, options) in [("plain", Generate::rows(rows)), ("logP", Generate::rows(rows).given("logP", &wanted.to_string()))] {
        let made = model.generate(&options.seed(1))?;
        let all = strings(&made.frame)?;
        let unique: HashSet<&String> = all.iter().collect();
        let novel = unique.iter().filter(|s| !known.contains(**s)).count() as f64 / unique.len() as f64;
        medians.push(expected_logp(&model, &made.frame)?);
        let share = unique.len() as f64 / rows as f64;
        println!("{name:<24}{rows:>8}{share:>8.3}{novel:>8.3}{:>16.2}", medians[medians.len() - 1]);
        println!("    such as {}", all[0]);
        if let Some(folder) = &folder {
            made.write_csv(File::create(Path::new(folder).join(format!("{name}.csv"))).map_err(open)?)?;
        }
    }
    println!("{:<24}{:>40.2}", "the table", logp.median().unwrap_or(f64::NAN));
    println!("* as the model expects it of the tokens; wanted is {wanted}");
    println!("{rows} rows of tokens made plainly, and {rows} with logP given");
    Ok(())
}
