//! A table with gaps in, a filled table out.

use lacuna::polars::prelude::*;
use lacuna::{Fit, ImputeExt, Imputer, Result, VaeConfig};

fn main() -> Result<()> {
    // 200 people whose weight and size of clothes follow from their height; some cells are missing.
    let height: Vec<f64> = (0..200).map(|i| 150.0 + f64::from(i * 37 % 200) / 5.0).collect();
    let weight: Vec<f64> = height.iter().enumerate().map(|(i, h)| 0.9 * h - 82.0 + f64::from(i as u32 * 17 % 7)).collect();
    let gap = |i: usize| i % 6 == 1;
    let df = df!(
        "height" => &height,
        "weight" => weight.iter().enumerate().map(|(i, w)| (!gap(i)).then_some(*w)).collect::<Vec<_>>(),
        "size" => height.iter().enumerate().map(|(i, h)| match () {
            () if i % 9 == 2 => None,
            () if *h < 163.0 => Some("S"),
            () if *h < 177.0 => Some("M"),
            () => Some("L"),
        }).collect::<Vec<_>>(),
    )?;

    // One call, or fit and fill by hand, which also gives the report.
    let config = VaeConfig::default().epochs(10).seed(1);
    let filled = config.fit(&df)?.fill(&df)?;
    println!("{}", filled.report);
    println!("{}", filled.frame.head(Some(8)));

    // The truth is known here: how far off are the filled weights?
    let error = |df: &DataFrame| -> Result<f64> {
        let fills = df.column("weight")?.f64()?;
        let squares = (0..200).filter(|&i| gap(i)).map(|i| (fills.get(i).unwrap_or(f64::NAN) - weight[i]).powi(2));
        Ok((squares.sum::<f64>() / (0..200).filter(|&i| gap(i)).count() as f64).sqrt())
    };
    let (vae, mean) = (error(&filled.frame)?, error(&df.impute_mean()?)?);
    println!("root mean square error of a filled weight: {vae:.1} kg; of the mean: {mean:.1} kg");
    assert!(vae < 0.7 * mean);
    assert_eq!(filled.frame.null_count().column("size")?.u32()?.get(0), Some(0));
    println!("{} gaps filled, {} left", filled.report.filled(), filled.report.left());
    Ok(())
}
