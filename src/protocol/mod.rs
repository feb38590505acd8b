//! What meters say, byte by byte: framing, check sums and values of each protocol, as pure functions.
//!
//! Always true here: any bytes are answered by a value or an error, never by a panic; work and memory are bounded by the length of
//! the input; a number keeps the digits it was sent with. Deliberately absent: wires, time, files, logs, configured scales, and
//! which value a configuration asked for.

pub mod checksum;
pub mod iec62056;
pub mod mbus;
pub mod modbus;
pub mod obis;
pub mod p1;
pub mod sml;
pub mod stream;

#[cfg(test)]
mod tests;
