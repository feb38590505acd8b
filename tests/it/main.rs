//! The parts together, and the promises that only the whole can keep.

mod bad_configs;
mod configs;
