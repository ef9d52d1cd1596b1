//! CSV in, CSV out.
