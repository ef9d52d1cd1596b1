//! A fitted imputer fills a lazy frame as it does a whole one: `cargo test --features lazy,parquet --test it lazy`.

use std::sync::Arc;

use lacuna::{Fit, ImputeExt, Imputer, KnnConfig, MeanConfig, Result, VaeConfig};
use polars::prelude::*;

/// Columns of three kinds with gaps, and one that passes through.
fn table() -> DataFrame {
    let gap = |i: i32, j: i32| (i * 7 + j * 3) % 5 == 0;
    let x: Vec<Option<f64>> = (0..200).map(|i| (!gap(i, 0)).then(|| f64::from(i * 37 % 100) / 7.0)).collect();
    let n: Vec<Option<i32>> = (0..200).map(|i| (!gap(i, 1)).then_some(i * 37 % 100 / 3)).collect();
    let level: Vec<Option<&str>> =
        (0..200).map(|i| (!gap(i, 2)).then_some(["a", "b", "c"][(i * 37 % 100 / 34) as usize])).collect();
    let list: Vec<Series> = (0..200).map(|i| Series::new("".into(), [i])).collect();
    df!("x" => x, "n" => n, "level" => level, "list" => list).unwrap()
}

fn imputers(df: &DataFrame) -> Result<Vec<Arc<dyn Imputer>>> {
    Ok(vec![
        Arc::new(MeanConfig::default().fit(df)?),
        Arc::new(KnnConfig::default().fit(df)?),
        Arc::new(VaeConfig::default().epochs(3).hidden(8).latent_dim(2).seed(1).fit(df)?),
    ])
}

#[test]
fn a_query_is_filled_as_the_table() -> Result<()> {
    let df = table();
    for imputer in imputers(&df)? {
        let whole = imputer.fill(&df)?.frame;
        assert!(whole.columns().iter().all(|c| c.null_count() == 0));
        assert!(imputer.clone().fill_lazy(df.clone().lazy()).collect()?.equals(&whole));
        // In batches, as a streaming engine hands them on.
        let batches = (0..200).step_by(31).map(|i| imputer.clone().fill_lazy(df.slice(i, 31).lazy()));
        let parts = batches.map(|b| b.collect()).collect::<PolarsResult<Vec<_>>>()?;
        let joined = parts.into_iter().reduce(|a, b| a.vstack(&b).unwrap()).unwrap();
        assert!(joined.equals(&whole), "{imputer:?}");
        // A filter sees the filled cells, and a selection takes no column from the fill.
        let query = imputer.fill_lazy(df.clone().lazy()).filter(col("x").is_not_null()).select([col("n")]);
        assert!(query.collect()?.equals(&whole.select(["n"])?));
    }
    Ok(())
}

#[test]
fn a_batch_that_does_not_fit_is_an_error_of_the_query() {
    let imputer = MeanConfig::default().fit(&table()).unwrap();
    let e = imputer.fill_lazy(table().drop("n").unwrap().lazy()).collect().unwrap_err();
    assert!(e.to_string().contains("in 1 column: `n` is absent, due "), "{e}");
}

#[test]
fn a_fit_collects() -> Result<()> {
    let df = table();
    assert!(df.clone().lazy().impute_mean()?.collect()?.equals(&df.impute_mean()?));
    Ok(())
}

/// With the feature `parquet` polars has its streaming engine.
#[cfg(feature = "parquet")]
mod streaming {
    use super::*;
    use lacuna::{Filled, Imputations, Schema};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An imputer that counts the batches it is given.
    #[derive(Debug)]
    struct Counting(Arc<dyn Imputer>, AtomicUsize);

    impl Imputer for Counting {
        fn schema(&self) -> &Schema {
            self.0.schema()
        }

        fn fill(&self, df: &DataFrame) -> Result<Filled> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.fill(df)
        }

        fn draw(&self, df: &DataFrame, m: usize, seed: u64) -> Result<Imputations> {
            self.0.draw(df, m, seed)
        }
    }

    #[test]
    fn the_engine_hands_on_batches_and_gets_the_same_bits() -> Result<()> {
        let df = table();
        let large = (0..11).try_fold(df.clone(), |all, _| all.vstack(&all))?;
        for imputer in imputers(&df)? {
            let whole = imputer.fill(&large)?.frame;
            let counting = Arc::new(Counting(imputer, AtomicUsize::new(0)));
            let query = counting.clone().fill_lazy(large.clone().lazy());
            let streamed = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
            assert!(streamed.equals(&whole), "{counting:?}");
            assert!(counting.1.load(Ordering::Relaxed) > 1, "one batch is no stream");
        }
        Ok(())
    }
}
