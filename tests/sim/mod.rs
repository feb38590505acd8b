//! Simulated meters, hostile lines, a broker and an oracle between daemon and broker, for the tests and the demo.
//!
//! Always true here: everything is written from the public standards (Modbus Application Protocol V1.1b3, Modbus over Serial Line
//! V1.02, Modbus Messaging on TCP/IP V1.0b, MQTT 3.1.1, sd_notify(3)) over plain sockets and ptys. Deliberately absent: any code
//! of the daemon and of the libraries that the daemon reads the same bytes with; a mistake must not meet its own twin.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "the tests and the demo each use their part; a broken simulator should stop at once; it keeps its own time"
)]

pub mod account;
pub mod broker;
pub mod daemon;
pub mod hostile;
pub mod image;
pub mod ledger;
pub mod line;
pub mod modbus_tcp;
pub mod mqtt;
pub mod pdu;
pub mod relay;
pub mod rtu;
pub mod watched;
