//! The only durable room: journal on tmpfs, store on flash, and between them what is owed to the broker.

pub mod face;
