//! Pure decoders: bytes and registers in, raw values out.
//!
//! Always true here: anything may come in, and nothing panics. Deliberately absent: wires, meters, time, scaling.

pub mod modbus;
