//! What the machine offers: service manager, signals, log sink, durable files, a few ioctls. Knows nothing of ours.

pub mod durable;
pub mod ioctl;
pub mod logging;
pub mod notify;
pub mod signals;
