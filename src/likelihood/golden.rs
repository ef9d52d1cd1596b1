//! What SciPy says of the densities, from `fixtures/scipy_densities.py`.

use serde_json::Value;

/// The cases of one family.
pub fn cases(family: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../../fixtures/scipy_densities.json")).unwrap();
    golden[family].as_array().unwrap().clone()
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}
