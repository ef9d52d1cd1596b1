//! Several draws of the missing cells, as Arrow record batches in both forms.

use lacuna::arrow::array::AsArray;
use lacuna::arrow::datatypes::{Float64Type, Int32Type};
use lacuna::polars::prelude::*;
use lacuna::{Fit, Form, Imputer, Result, VaeConfig};

fn main() -> Result<()> {
    let (n, m) = (100, 5);
    let x: Vec<f64> = (0..n).map(|i| f64::from(i * 29 % 100) / 10.0).collect();
    let y: Vec<Option<f64>> = x.iter().enumerate().map(|(i, x)| (i % 4 != 3).then_some(2.0 * x + (i % 5) as f64)).collect();
    let df = df!("x" => x, "y" => &y)?;

    let config = VaeConfig::default().epochs(10).seed(1);
    let draws = config.fit(&df)?.draw(&df, m, 7)?;

    // Long: m completed tables under each other. Analyse each, then pool; never average the tables.
    let long = draws.to_record_batch(Form::Long)?;
    println!("long: {} rows of {:?}", long.num_rows(), names(&long.schema()));
    let imp = long.column(0).as_primitive::<Int32Type>();
    let ys = long.column(3).as_primitive::<Float64Type>();
    let means: Vec<f64> = (1..=m as i32)
        .map(|k| {
            let table = (0..long.num_rows()).filter(|&i| imp.value(i) == k);
            table.map(|i| ys.value(i)).sum::<f64>() / f64::from(n)
        })
        .collect();
    println!("mean of y in each completed table: {means:.2?}");

    // List: one row a row, every cell a list of m values.
    let list = draws.to_record_batch(Form::List)?;
    println!("list: {} rows of {:?}", list.num_rows(), names(&list.schema()));
    let mut spread = 0;
    for (row, observed) in y.iter().enumerate() {
        let cell = list.column(1).as_fixed_size_list().value(row);
        let cell = cell.as_primitive::<Float64Type>().values();
        match observed {
            Some(y) => assert!(cell.iter().all(|v| v == y), "an observed cell repeats its value"),
            None => spread += usize::from(cell.iter().any(|v| *v != cell[0])),
        }
        // Both forms hold the same draws.
        assert!((0..m).all(|k| ys.value(k * n as usize + row) == cell[k]));
    }
    assert_eq!(spread, 25, "every gap differs from draw to draw");
    println!("{m} draws of {spread} gaps, the same in both forms");
    Ok(())
}

fn names(schema: &lacuna::arrow::datatypes::Schema) -> Vec<&str> {
    schema.fields().iter().map(|f| f.name().as_str()).collect()
}
