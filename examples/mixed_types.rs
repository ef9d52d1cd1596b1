//! Every column comes back in its own type, observed cells as they were.

use lacuna::polars::prelude::*;
use lacuna::{Fit, Imputer, Result, VaeConfig};

fn main() -> Result<()> {
    let n = 120u32;
    let unless = |i: u32, gap: u32| i % 10 != gap;
    let mut df = df!(
        // Whole numbers that a float cannot hold.
        "ticks" => (0..n).map(|i| unless(i, 0).then_some((1i64 << 60) + 10_007 * i64::from(i))).collect::<Vec<_>>(),
        "children" => (0..n).map(|i| unless(i, 1).then_some((i % 4) as u8)).collect::<Vec<_>>(),
        "income" => (0..n).map(|i| unless(i, 2).then_some(20.5f32 + (i % 4) as f32 * 3.0)).collect::<Vec<_>>(),
        "owner" => (0..n).map(|i| unless(i, 3).then_some(i % 4 > 1)).collect::<Vec<_>>(),
        "town" => (0..n).map(|i| unless(i, 4).then_some(["Ulm", "Bonn"][i as usize % 2])).collect::<Vec<_>>(),
        "plan" => (0..n).map(|i| unless(i, 5).then_some(["basic", "plus", "pro"][i as usize % 3])).collect::<Vec<_>>(),
        "risk" => (0..n).map(|i| unless(i, 6).then_some(["low", "high"][(i % 4 > 1) as usize])).collect::<Vec<_>>(),
        "since" => (0..n).map(|i| unless(i, 7).then_some(19_000 + i as i32)).collect::<Vec<_>>(),
    )?;
    let levels = FrozenCategories::new(["low", "middle", "high"])?;
    let mapping = levels.mapping().clone();
    for (name, dtype) in [
        ("plan", DataType::from_categories(Categories::global())),
        ("risk", DataType::Enum(levels, mapping)),
        ("since", DataType::Date),
    ] {
        let typed = df.column(name)?.cast(&dtype)?;
        df.with_column(typed)?;
    }

    let config = VaeConfig::default().epochs(10).seed(1);
    let filled = config.fit(&df)?.fill(&df)?;
    println!("{}", filled.report);
    println!("{}", filled.frame.head(Some(8)));

    assert_eq!(filled.frame.schema(), df.schema());
    for (before, after) in df.columns().iter().zip(filled.frame.columns()) {
        let seen = before.is_not_null();
        assert!(before.filter(&seen)?.equals_missing(&after.filter(&seen)?), "{} changed", before.name());
    }
    assert_eq!(filled.report.left(), 0);
    println!("8 columns, 8 types kept, {} cells filled", filled.report.filled());
    Ok(())
}
