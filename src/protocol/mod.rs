//! Pure decoders: bytes and registers in, raw values out.
//!
//! Always true here: anything may come in, and nothing panics. Deliberately absent: wires, meters, waiting, configured scales.

pub mod mbus;
pub mod modbus;
