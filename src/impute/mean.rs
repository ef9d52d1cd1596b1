//! Mean, median and mode.

use std::sync::Arc;

use ::polars::prelude::DataFrame;

use crate::data::schema::Schema;
use crate::error::Result;
use crate::impute::{Filled, Fit, Imputations, Imputer};

/// Which one value fills a column of numbers; levels always get the most frequent one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Strategy {
    #[default]
    Mean,
    Median,
    Mode,
}

/// Configuration of the one-value-a-column baseline.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct MeanConfig {
    /// The value for numbers.
    pub strategy: Strategy,
}

/// The fitted baseline.
#[derive(Clone, Debug)]
pub struct MeanImputer {
    schema: Arc<Schema>,
}

impl Fit for MeanConfig {
    type Fitted = MeanImputer;
    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<MeanImputer> {
        let _ = df;
        Ok(MeanImputer { schema: Arc::new(schema.clone()) })
    }
}

impl Imputer for MeanImputer {
    fn schema(&self) -> &Schema {
        &self.schema
    }
    fn fill(&self, _df: &DataFrame) -> Result<Filled> {
        todo!()
    }
    fn draw(&self, _df: &DataFrame, _m: usize, _seed: u64) -> Result<Imputations> {
        todo!()
    }
}
