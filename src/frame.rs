//! The extension trait.

/// Imputation as methods of a DataFrame.
pub trait ImputeExt {}
