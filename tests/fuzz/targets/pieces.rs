//! What every framing promises, whatever the bytes: they mean the same whole and in pieces, all are used up, and no more is held
//! than the longest telegram.

use std::fmt::Debug;

use districtd::protocol::stream::{Capture, Framing, Stream};

/// The first byte says how long the pieces are.
pub fn agree<F>(framing: F, data: &[u8]) -> Capture<F::Telegram, F::Error>
where
    F: Framing<Telegram: PartialEq + Debug, Error: PartialEq + Debug> + Copy,
{
    let (size, capture) = data.split_first().map_or((1, data), |(size, rest)| (usize::from(*size).max(1), rest));
    let mut stream = Stream::new(framing);
    let mut telegrams = Vec::new();
    for piece in capture.chunks(size) {
        stream.push(piece);
        telegrams.extend(std::iter::from_fn(|| stream.next_telegram()));
        assert!(stream.pending().len() < framing.longest());
    }
    telegrams.extend(std::iter::from_fn(|| stream.finish()));
    assert!(stream.pending().is_empty());
    let whole = Stream::read_all(framing, capture);
    assert_eq!(Capture { telegrams, noise: stream.noise() }, whole);
    whole
}
