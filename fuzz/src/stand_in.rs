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

    use ndarray::Array2;

    use super::FittedInfo;
    use crate::data::csv::CsvOptions;
    use crate::data::scaling::Scaling;
    use crate::data::schema::{ColumnSpec, Schema};
    use crate::impute::config::Training;
    use crate::impute::donors::Donors;
    use crate::impute::likeness::Likeness;
    use crate::impute::neighbours::Neighbours;
    use crate::model::Vae;
    use crate::model::linear::Linear;
    use crate::train::pilot::FamilyScore;

    #[derive(Clone, Debug)]
    pub struct VaeImputer {
        pub(crate) schema: Arc<Schema>,
        pub(crate) scaling: Scaling,
        pub(crate) linear: Linear,
        pub(crate) vae: Vae,
        pub(crate) members: Vec<Vec<f32>>,
        pub(crate) noise: Array2<f32>,
        pub(crate) donors: Option<Donors>,
        pub(crate) neighbours: Option<Neighbours>,
        pub(crate) scores: Vec<Vec<FamilyScore>>,
        pub(crate) info: FittedInfo,
        pub(crate) likeness: Likeness,
        pub(crate) training: Training,
        pub(crate) csv: (CsvOptions, Vec<ColumnSpec>),
        pub(crate) seed: u64,
        pub(crate) threads: Option<usize>,
    }

    impl VaeImputer {
        pub fn schema(&self) -> &Schema {
            &self.schema
        }

        /// Judged by the latent space, which is not here.
        pub(crate) fn has_collapsed(&self) -> bool {
            false
        }
    }
}
