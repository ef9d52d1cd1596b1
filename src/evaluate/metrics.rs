//! How far fills are from the truth.

/// Root mean square of errors.
pub(crate) fn rmse(errors: &[f64]) -> f64 {
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

/// Mean absolute error.
pub(crate) fn mae(errors: &[f64]) -> f64 {
    errors.iter().map(|e| e.abs()).sum::<f64>() / errors.len() as f64
}

/// The share of errors that are zero.
pub(crate) fn accuracy(errors: &[f64]) -> f64 {
    errors.iter().filter(|e| **e == 0.0).count() as f64 / errors.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let errors = [0.0, -4.0, 0.0, 3.0];
        assert_eq!(rmse(&errors), 2.5);
        assert_eq!(mae(&errors), 1.75);
        assert_eq!(accuracy(&errors), 0.5);
    }
}
