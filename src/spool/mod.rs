//! The only durable room: journal on tmpfs, store on flash, and between them what is owed to the broker.
//!
//! ```text
//!  append --> desk (one short lock) ---> journal (tmpfs, before append returns)
//!               |  core (pure): open, held, offered, owed
//!               v
//!            flash (its own thread) ---> schemas, store (sled), mark, ballast
//! ```
//!
//! Always true here: the promises 1, 2, 3, 5 and 8 of the design, each kept in the file that its module head names. Deliberately
//! absent: brokers, wires, and any sweep's meaning.

mod ballast;
mod codec;
mod core;
mod desk;
pub mod face;
mod flash;
mod frames;
mod journal;
mod lock;
mod log;
mod mark;
mod places;
mod record;
mod replay;
mod retention;
mod salvage;
mod schemas;
mod store;

/// Sixty-four bits from the kernel, never zero.
fn random_bits() -> u64 {
    let mut bytes = [0; 8];
    // The kernel has randomness long before a gateway's daemons start; the fallback is seeded from addresses and time.
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let drawn = if filled.is_ok() { u64::from_le_bytes(bytes) } else { fastrand::u64(..) };
    drawn.max(1)
}

#[cfg(test)]
mod tests;
