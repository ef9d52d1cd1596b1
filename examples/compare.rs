//! Hides observed cells, fills them by each method and scores the fills: which method suits this table?

use std::ops::ControlFlow;

use lacuna::evaluate::{CompareOptions, Mechanism, Score, compare};
use lacuna::polars::prelude::*;
use lacuna::{Result, Schema, VaeConfig};

fn main() -> Result<()> {
    // Leaves of three kinds: length, width and area go together, each kind in its own way; a few cells are missing.
    let n = 150;
    let kind = |i: usize| ["ash", "elm", "oak"][i % 3];
    let length = |i: usize| 4.0 + 2.0 * (i % 3) as f64 + (i * 7 % 31) as f64 / 10.0;
    let width = |i: usize| length(i) * [0.3, 0.5, 0.7][i % 3] + (i * 11 % 13) as f64 / 20.0;
    let column = |f: &dyn Fn(usize) -> f64, gap| (0..n).map(|i| (i % 17 != gap).then(|| f(i))).collect::<Vec<_>>();
    let df = df!(
        "kind" => (0..n).map(|i| (i % 17 != 1).then(|| kind(i))).collect::<Vec<_>>(),
        "length" => column(&length, 2),
        "width" => column(&width, 3),
        "area" => column(&|i| length(i) * width(i), 4),
    )?;

    let options = CompareOptions {
        mechanism: Mechanism::Mcar,
        share: 0.2,
        seed: 1,
        vae: VaeConfig::default().epochs(8).seed(1),
        ..CompareOptions::default()
    };
    let comparison = compare(&df, &Schema::infer(&df)?, &options, &mut |_| ControlFlow::Continue(()))?;
    println!("{comparison}");

    let rmse = |place: usize| match comparison.methods[place].numbers {
        Some(Score::Numbers { rmse, .. }) => rmse,
        _ => f64::NAN,
    };
    let (vae, mean) = (rmse(0), rmse(1));
    assert!(vae < 0.6 * mean, "root mean square error {vae} sd; of the mean {mean} sd");
    println!(
        "{} methods compared on {} columns; the autoencoder is ahead of the mean",
        comparison.methods.len(),
        comparison.columns.len()
    );
    Ok(())
}
