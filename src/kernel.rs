//! Fast products and elementwise functions.
