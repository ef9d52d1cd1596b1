//! The extension trait.

use ::polars::prelude::DataFrame;
use arrow::record_batch::RecordBatch;

use crate::data::arrow::to_frame;
use crate::error::Result;
use crate::impute::config::VaeConfig;
use crate::impute::knn::KnnConfig;
use crate::impute::mean::MeanConfig;
use crate::impute::{Fit, Imputer};

/// Imputation as methods of a DataFrame or an Arrow `RecordBatch`: each infers the schema, fits to the frame and fills it.
///
/// Observed cells, column order and types stay as they are. To see the report and its warnings, to state a column's
/// kind, to draw several times or to fill other rows, use [`Fit`] and [`Imputer`].
///
/// ```
/// use lacuna::ImputeExt;
/// use polars::prelude::*;
/// let df = df!(
///     "height" => [Some(1.62), Some(1.80), None, Some(1.75)],
///     "smoker" => [Some(false), None, Some(true), Some(false)],
/// )?;
/// let filled = df.impute_mean()?;
/// assert_eq!(filled.column("smoker")?.bool()?.get(1), Some(false));
/// assert_eq!(filled.schema(), df.schema());
/// # Ok::<(), lacuna::Error>(())
/// ```
///
/// With the feature `lazy` the trait is there for `LazyFrame` too. A fit sees the whole table, so each method collects
/// the query and returns the filled table as a new lazy frame. What is fitted already fills without collecting:
/// `Imputer::fill_lazy`.
pub trait ImputeExt: Sized {
    /// Fits any configuration to the frame and fills it.
    ///
    /// # Errors
    /// As [`Fit::fit`] and [`Imputer::fill`].
    fn impute_with<C: Fit>(&self, config: &C) -> Result<Self>;

    /// Fills by the variational autoencoder with its defaults, which follow from the table's shape.
    ///
    /// # Errors
    /// ±inf in a float column.
    fn impute_vae(&self) -> Result<Self> {
        self.impute_vae_with(&VaeConfig::default())
    }

    /// Fills by the variational autoencoder.
    ///
    /// ```
    /// use lacuna::{ImputeExt, VaeConfig};
    /// use polars::prelude::*;
    /// let x: Vec<f64> = (0..60).map(f64::from).collect();
    /// let y: Vec<Option<f64>> = x.iter().map(|x| (x % 7.0 != 3.0).then_some(2.0 * x)).collect();
    /// let df = df!("x" => x, "y" => y)?;
    /// let filled = df.impute_vae_with(&VaeConfig::default().epochs(3).seed(1))?;
    /// assert_eq!(filled.column("y")?.null_count(), 0);
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// A setting out of its range; ±inf in a float column.
    fn impute_vae_with(&self, config: &VaeConfig) -> Result<Self> {
        self.impute_with(config)
    }

    /// Fills numbers with their column's mean and levels with the most frequent one.
    ///
    /// # Errors
    /// ±inf in a float column.
    fn impute_mean(&self) -> Result<Self> {
        self.impute_with(&MeanConfig::default())
    }

    /// Fills from the `k` nearest rows, the nearer counting more.
    ///
    /// ```
    /// use lacuna::ImputeExt;
    /// use polars::prelude::*;
    /// let df = df!("x" => [0.0, 0.1, 5.0, 5.1], "y" => [Some(1.0), None, Some(9.0), Some(9.5)])?;
    /// assert_eq!(df.impute_knn(1)?.column("y")?.f64()?.get(1), Some(1.0));
    /// # Ok::<(), lacuna::Error>(())
    /// ```
    ///
    /// # Errors
    /// `k` of zero; ±inf in a float column.
    fn impute_knn(&self, k: usize) -> Result<Self> {
        self.impute_with(&KnnConfig { k, ..KnnConfig::default() })
    }
}

/// The batch keeps its schema, and every observed cell is its own: see [`data::arrow`](crate::data::arrow).
impl ImputeExt for RecordBatch {
    fn impute_with<C: Fit>(&self, config: &C) -> Result<RecordBatch> {
        let df = to_frame(self)?;
        config.fit(&df)?.fill(&df)?.to_record_batch(self)
    }
}

impl ImputeExt for DataFrame {
    fn impute_with<C: Fit>(&self, config: &C) -> Result<DataFrame> {
        Ok(config.fit(self)?.fill(self)?.frame)
    }
}

#[cfg(feature = "lazy")]
impl ImputeExt for ::polars::prelude::LazyFrame {
    fn impute_with<C: Fit>(&self, config: &C) -> Result<Self> {
        use ::polars::prelude::IntoLazy;
        Ok(self.clone().collect()?.impute_with(config)?.lazy())
    }
}
