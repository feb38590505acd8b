//! Configuration: as typed, then findings, then a model that cannot be wrong.

pub mod model;
