//! Of the training and of imputers, what a model's file says of them.

use crate::error::Warning;

pub mod pilot {
    use crate::data::schema::Family;

    #[derive(Clone, Copy, Debug)]
    pub struct FamilyScore {
        pub family: Family,
        pub log_score: f64,
        pub fill_loss: f64,
        pub cells: usize,
        pub chosen: bool,
    }
}

#[derive(Clone, Debug)]
pub struct ExpectedError {
    pub error: f64,
    pub standard_error: f64,
    pub mean_fill: f64,
    pub cells: usize,
    pub unit: f64,
}

#[derive(Clone, Debug, Default)]
pub struct FittedInfo {
    pub method: String,
    pub errors: Vec<Option<ExpectedError>>,
    pub warnings: Vec<Warning>,
}

pub mod vae {
    use std::sync::Arc;
    use std::time::Duration;

    use ndarray::Array2;
    use serde::{Deserialize, Serialize};

    use super::FittedInfo;
    use crate::data::csv::CsvOptions;
    use crate::data::scaling::Scaling;
    use crate::data::schema::{ColumnSpec, Schema};
    use crate::impute::donors::Donors;
    use crate::model::Vae;
    use crate::model::linear::Linear;
    use crate::train::pilot::FamilyScore;

    pub(crate) const LATENT_MOST: usize = 1024;
    pub(crate) const WIDTH_MOST: usize = 4096;

    #[derive(Clone, Debug)]
    pub struct VaeImputer {
        pub(crate) schema: Arc<Schema>,
        pub(crate) scaling: Scaling,
        pub(crate) linear: Linear,
        pub(crate) vae: Vae,
        pub(crate) members: Vec<Vec<f32>>,
        pub(crate) noise: Array2<f32>,
        pub(crate) donors: Option<Donors>,
        pub(crate) scores: Vec<Vec<FamilyScore>>,
        pub(crate) info: FittedInfo,
        pub(crate) training: Training,
        pub(crate) csv: (CsvOptions, Vec<ColumnSpec>),
        pub(crate) seed: u64,
        pub(crate) threads: Option<usize>,
    }

    impl VaeImputer {
        pub fn schema(&self) -> &Schema {
            &self.schema
        }
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Training {
        pub version: String,
        pub config: VaeConfig,
        pub rows: usize,
        pub width: usize,
        pub depth: usize,
        pub epochs: Vec<usize>,
        pub held_out: Vec<usize>,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub struct VaeConfig {
        pub epochs: Option<usize>,
        pub latent_dim: Option<usize>,
        pub hidden: Option<usize>,
        pub members: Option<usize>,
        pub importance_samples: Option<usize>,
        pub seed: u64,
        pub threads: Option<usize>,
        pub time_limit: Option<Duration>,
        pub donors: Option<usize>,
    }
}
