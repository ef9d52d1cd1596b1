//! A regression on a table with gaps, by multiple imputation and by leaving out the rows that have them.
//!
//! What do flippers, bill and sex say of a penguin's weight? Eleven of the 344 penguins have a gap in one of these columns.
//! Leaving them out (listwise deletion) is simple, but costs rows, and is biased where the gaps have to do with the weight.
//! Filling each gap once and going on as if the fill had been observed keeps the rows but claims to know what nobody does.
//!
//! Multiple imputation does neither: it (1) draws the missing cells several times, (2) analyses each completed table by itself and
//! (3) pools the estimates by Rubin's rules, which add what the tables differ by to the standard error. To average the
//! *tables* and to analyse the average would lose just that.

use std::fs::File;
use std::path::Path;

use lacuna::polars::prelude::*;
use lacuna::{CsvOptions, CsvTable, Fit, Imputer, Result, SchemaOptions, Term, VaeConfig};

const NAMES: [&str; 4] = ["(Intercept)", "flipper_length_mm", "bill_depth_mm", "sexmale"];

fn main() -> Result<()> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/penguins.csv"));
    let file = File::open(path).expect("the fixture is there");
    let df = CsvTable::read(file, path, &CsvOptions::default(), &SchemaOptions::default())?.to_frame()?;

    // Listwise deletion: the rows that have all four.
    let complete = df.select(["body_mass_g", "flipper_length_mm", "bill_depth_mm", "sex"])?.drop_nulls::<String>(None)?;
    let listwise = regression(&complete)?;

    // 1. Draw. The model sees every column, also those that the regression does not use: species and island say much of a
    // missing weight. Leave no column out that the analysis will use, the outcome least of all.
    let m = 20;
    let draws = VaeConfig::default().epochs(10).members(2).seed(1).fit(&df)?.draw(&df, m, 1)?;

    // 2. and 3. Analyse each table, pool the estimates. A complete table would leave 344 rows less 4 coefficients.
    let pooled = draws.pool(regression, df.height() as f64 - 4.0)?;

    // riv is what the gaps add to the variance; fmi the share of the information that they cost.
    println!("{:18} {:>22} {:>34} {:>6} {:>6}", "", "listwise deletion", "multiple imputation", "riv", "fmi");
    for (one, PooledLine { estimate, std_error, low, high, riv, fmi }) in listwise.iter().zip(lines(&pooled)?) {
        let alone = format!("{:.2} ± {:.2}", one.estimate, one.std_error);
        let both = format!("{estimate:.2} ± {std_error:.2} ({low:.1} to {high:.1})");
        println!("{:18} {alone:>22} {both:>34} {riv:>6.3} {fmi:>6.3}", one.name);
        // Few gaps: the two answers agree within one standard error.
        assert!((estimate - one.estimate).abs() < one.std_error, "{}", one.name);
    }
    println!("{m} tables of {} rows pooled; listwise deletion keeps {}", df.height(), complete.height());
    Ok(())
}

struct PooledLine {
    estimate: f64,
    std_error: f64,
    low: f64,
    high: f64,
    riv: f64,
    fmi: f64,
}

fn lines(pooled: &[lacuna::PooledTerm]) -> Result<Vec<PooledLine>> {
    let line = |term: &lacuna::PooledTerm| {
        let p = &term.pooled;
        let (low, high) = p.interval(0.95)?;
        Ok(PooledLine { estimate: p.estimate, std_error: p.std_error(), low, high, riv: p.riv, fmi: p.fmi })
    };
    pooled.iter().map(line).collect()
}

/// Least squares of body mass on flipper length, bill depth and sex: estimates and standard errors.
fn regression(df: &DataFrame) -> Result<Vec<Term>> {
    let numbers = |name: &str| -> Result<Vec<f64>> {
        let cells = df.column(name)?.cast(&DataType::Float64)?;
        Ok(cells.f64()?.iter().map(|x| x.unwrap_or(f64::NAN)).collect())
    };
    let male: Vec<f64> = df.column("sex")?.str()?.iter().map(|s| f64::from(s == Some("male"))).collect();
    let columns = [vec![1.0; df.height()], numbers("flipper_length_mm")?, numbers("bill_depth_mm")?, male];
    let y = numbers("body_mass_g")?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();

    // (XᵀX | Xᵀy | I) by elimination: the coefficients, and the inverse whose diagonal gives their variances.
    let k = columns.len();
    let mut rows: Vec<Vec<f64>> = (0..k)
        .map(|i| {
            let normal = columns.iter().map(|c| dot(&columns[i], c)).chain([dot(&columns[i], &y)]);
            normal.chain((0..k).map(|j| f64::from(i == j))).collect()
        })
        .collect();
    for i in 0..k {
        let pivot = rows[i][i];
        rows[i].iter_mut().for_each(|x| *x /= pivot);
        let row = rows[i].clone();
        for other in (0..k).filter(|&j| j != i) {
            let factor = rows[other][i];
            rows[other].iter_mut().zip(&row).for_each(|(x, r)| *x -= factor * r);
        }
    }
    let fitted = |r: usize| (0..k).map(|i| rows[i][k] * columns[i][r]).sum::<f64>();
    let residual: f64 = y.iter().enumerate().map(|(r, y)| (y - fitted(r)).powi(2)).sum();
    let variance = residual / (df.height() - k) as f64;
    Ok((0..k).map(|i| Term::new(NAMES[i], rows[i][k], (variance * rows[i][k + 1 + i]).sqrt())).collect())
}
