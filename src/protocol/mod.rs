//! Pure decoders: from bytes on the wire to named values.

pub mod mbus;
