//! k nearest neighbours on mixed columns.

use std::sync::Arc;

use ::polars::prelude::DataFrame;

use crate::data::schema::Schema;
use crate::error::Result;
use crate::impute::{Filled, Fit, Imputations, Imputer};

/// How much a neighbour counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// All alike.
    Uniform,
    /// By the inverse of its distance; one at distance zero counts alone.
    #[default]
    Distance,
}

/// Configuration of the nearest-neighbour baseline.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KnnConfig {
    /// Neighbours.
    pub k: usize,
    /// Their weights.
    pub weights: Weights,
    /// Divide numbers by their standard deviation first.
    pub standardise: bool,
    /// Threads; all cores when `None`.
    pub threads: Option<usize>,
}

impl Default for KnnConfig {
    fn default() -> Self {
        KnnConfig { k: 5, weights: Weights::Distance, standardise: true, threads: None }
    }
}

/// The fitted baseline.
#[derive(Clone, Debug)]
pub struct KnnImputer {
    schema: Arc<Schema>,
}

impl Fit for KnnConfig {
    type Fitted = KnnImputer;
    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<KnnImputer> {
        let _ = df;
        Ok(KnnImputer { schema: Arc::new(schema.clone()) })
    }
}

impl Imputer for KnnImputer {
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
