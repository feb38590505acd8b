//! Configuration: as typed, then findings, then a model that cannot be wrong.
//!
//! ```text
//! files, conf.d --parse--> tree --shape--> layers --merge--> tree --validate--> model
//! environment ----------------^              every step adds findings; none stops the others
//! ```
//!
//! Always true here: one run gives every finding there is, each with its place and a remedy, and a model comes out only when none
//! of them is an error. A value keeps the text and the place it was typed with until it is judged. Deliberately absent: reading the
//! process environment anywhere but in [`environment::Environment::of_this_process`].

pub mod environment;
pub mod finding;
mod lastgood;
mod layers;
pub mod load;
pub mod model;
mod quantity;
pub mod report;
pub mod schema;
mod shape;
mod tree;
mod validate;
