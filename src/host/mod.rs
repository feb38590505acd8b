//! What the machine offers: service manager, signals, log sink, a few ioctls. Knows nothing of ours.

pub mod durable;
pub mod ioctl;
