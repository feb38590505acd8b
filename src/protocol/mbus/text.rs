//! Text and raw bytes as they are shown.
//!
//! Always true here: bytes become text by ISO 8859-1, one character each, so no byte is refused; NUL fills up and is left out.
//! Deliberately absent: byte order. Who calls has the bytes in the order of reading.

use std::fmt::Write;

/// Characters in the order of reading.
pub(super) fn latin1(bytes: impl Iterator<Item = u8>) -> String {
    bytes.filter(|byte| *byte != 0).map(char::from).collect()
}

/// Bytes as `0A 1F`, in the order given.
pub(super) fn hex<'a>(bytes: impl ExactSizeIterator<Item = &'a u8>) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{gap}{byte:02X}");
    }
    text
}

/// Whether bytes may be the name of a unit: printable, and at least one of them.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, 0x20..=0x7E | 0xA0..=0xFF))
}

/// A text as part of a name: lower-case letters and digits, `_` for whatever stands between them.
pub(super) fn word(text: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_").to_ascii_lowercase()
}
