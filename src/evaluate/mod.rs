//! Does it work: hide cells, fill them, score.
