//! The variational autoencoder as an imputer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use ::polars::prelude::DataFrame;

use crate::data::schema::Schema;
use crate::error::Result;
use crate::impute::{Filled, Fit, Imputations, Imputer};

/// Configuration of the variational autoencoder; what is `None` follows from the table's shape.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Passes over the table.
    pub epochs: Option<usize>,
    /// Dimension of the latent space.
    pub latent_dim: Option<usize>,
    /// Width of the hidden layers.
    pub hidden: Option<usize>,
    /// Networks whose answers are averaged.
    pub members: Option<usize>,
    /// Seed of every random number.
    pub seed: u64,
    /// Threads; all cores when `None`. The answer does not depend on it.
    pub threads: Option<usize>,
    /// Training stops here and the best weights so far are used.
    pub time_limit: Option<Duration>,
}

/// How a fit is going, once an epoch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Epochs done, summed over members.
    pub epoch: usize,
    /// Epochs at most, summed over members.
    pub epochs: usize,
    /// Held-out score of the member that just finished an epoch: nats a held-out cell, higher is better.
    pub held_out: f64,
    /// Time since the fit began.
    pub elapsed: Duration,
}

impl VaeConfig {
    /// Fits with a callback once an epoch (from the calling thread); `Break` stops the fit with
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    ///
    /// # Errors
    /// As [`Fit::fit_with`].
    pub fn fit_with_progress(
        &self,
        df: &DataFrame,
        schema: &Schema,
        on_progress: &mut (dyn FnMut(&Progress) -> ControlFlow<()> + Send),
    ) -> Result<VaeImputer> {
        let _ = (df, on_progress);
        Ok(VaeImputer { schema: Arc::new(schema.clone()) })
    }
}

/// The fitted variational autoencoder.
#[derive(Clone, Debug)]
pub struct VaeImputer {
    schema: Arc<Schema>,
}

impl Fit for VaeConfig {
    type Fitted = VaeImputer;
    fn fit_with(&self, df: &DataFrame, schema: &Schema) -> Result<VaeImputer> {
        self.fit_with_progress(df, schema, &mut |_| ControlFlow::Continue(()))
    }
}

impl Imputer for VaeImputer {
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
