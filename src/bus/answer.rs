//! Whether what was heard is one proper answer and nothing else. Pure.
//!
//! A decoder that looks for a frame finds one in the middle of other bytes too. Always true here: an answer counts only if all bytes
//! of the exchange are accounted for. Before it may stand fewer bytes than the smallest frame has (a floating line at the
//! turn-round); after it may stand whole copies of itself (a repeater). Anything else may be an old answer and the beginning of the
//! right one, and is no answer. Deliberately absent: CRC and transaction id, which the library has checked by then.

use super::cost::data_bytes;
use crate::config::model::{Framing, Table};
use crate::driver::Ask;

/// The smallest RTU frame is an exception of this size; fewer bytes cannot be an answer.
pub(super) const SMALLEST_FRAME: usize = 5;

/// What the library made of the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    Words(&'a [u16]),
    Bits(&'a [bool]),
    Refusal(u8),
}

/// Whether `heard` is the answer of `unit` to `ask` with this body, and of the length that was asked for.
pub(super) fn is_proper(framing: Framing, heard: &[u8], unit: u8, ask: Ask, body: Body<'_>) -> bool {
    let (before, after, noise) = match framing {
        // Transaction, protocol, length (MBAP); no CRC. A stream has no noise.
        Framing::Tcp => (6, 0, 0),
        Framing::Rtu => (0, 2, SMALLEST_FRAME - 1),
    };
    let data = if matches!(body, Body::Refusal(_)) { 0 } else { usize::from(data_bytes(ask)) };
    let length = before + 3 + data + after;
    let matches =
        |frame: &[u8]| frame.len() == length && frame.get(before..length - after).is_some_and(|pdu| is_pdu(pdu, unit, ask, body));
    let Some(extra) = heard.len().checked_sub(length) else { return false };
    let alone = extra <= noise && heard.get(extra..).is_some_and(matches);
    alone || copies(heard, length) && heard.get(..length).is_some_and(matches)
}

fn copies(heard: &[u8], length: usize) -> bool {
    let mut chunks = heard.chunks(length);
    let first = chunks.next();
    chunks.all(|chunk| Some(chunk) == first)
}

fn is_pdu(pdu: &[u8], unit: u8, ask: Ask, body: Body<'_>) -> bool {
    let function = function(ask.table);
    match (pdu, body) {
        ([a, f, code], Body::Refusal(refusal)) => *a == unit && *f == function | 0x80 && *code == refusal,
        ([a, f, count, data @ ..], Body::Words(words)) => {
            let found = data.chunks_exact(2).map(|pair| pair.iter().fold(0, |word, byte| word << 8 | u16::from(*byte)));
            *a == unit && *f == function && usize::from(*count) == data.len() && found.eq(words.iter().copied())
        }
        ([a, f, count, data @ ..], Body::Bits(bits)) => {
            let found = data.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
            *a == unit && *f == function && usize::from(*count) == data.len() && found.eq(bits.iter().copied())
        }
        _ => false,
    }
}

/// Function code of a read of this table.
pub(super) fn function(table: Table) -> u8 {
    match table {
        Table::Coil => 1,
        Table::Discrete => 2,
        Table::Holding => 3,
        Table::Input => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { table: Table::Input, address: 0, count: 2 };
    // Unit 1, function 4, four bytes, 0x0102 0x0304, a CRC that the library has checked.
    const ANSWER: [u8; 9] = [1, 4, 4, 1, 2, 3, 4, 0xAA, 0xBB];
    const WORDS: [u16; 2] = [0x0102, 0x0304];

    fn proper(heard: &[u8]) -> bool {
        is_proper(Framing::Rtu, heard, 1, ASK, Body::Words(&WORDS))
    }

    #[test]
    fn an_answer_alone_is_proper() {
        assert!(proper(&ANSWER));
    }

    #[test]
    fn a_floating_line_before_the_answer_is_not_held_against_it() {
        assert!(proper(&[&[0][..], &ANSWER].concat()));
        assert!(proper(&[&[0xFF, 0, 0, 0x7F][..], &ANSWER].concat()));
    }

    #[test]
    fn anything_that_could_be_a_frame_before_the_answer_is_held_against_it() {
        assert!(!proper(&[&[1, 0x84, 2, 0xC2, 0xC1][..], &ANSWER].concat()));
    }

    #[test]
    fn an_answer_followed_by_the_beginning_of_another_may_be_an_old_one() {
        assert!(!proper(&[&ANSWER[..], &[1, 4, 4]].concat()));
        assert!(!proper(&[&ANSWER[..], &[1, 4, 4, 9, 9, 9, 9, 0xAA, 0xBB]].concat()));
    }

    #[test]
    fn a_repeated_answer_is_as_good_as_one() {
        assert!(proper(&[&ANSWER[..], &ANSWER].concat()));
    }

    #[test]
    fn an_answer_of_another_length_unit_or_function_is_not_proper() {
        let one = Ask { count: 1, ..ASK };
        assert!(!is_proper(Framing::Rtu, &ANSWER, 1, one, Body::Words(&WORDS)));
        assert!(!is_proper(Framing::Rtu, &ANSWER, 2, ASK, Body::Words(&WORDS)));
        let holding = Ask { table: Table::Holding, ..ASK };
        assert!(!is_proper(Framing::Rtu, &ANSWER, 1, holding, Body::Words(&WORDS)));
    }

    #[test]
    fn a_tcp_answer_must_stand_alone() {
        let adu = [0, 7, 0, 0, 0, 7, 1, 4, 4, 1, 2, 3, 4];
        assert!(is_proper(Framing::Tcp, &adu, 1, ASK, Body::Words(&WORDS)));
        assert!(!is_proper(Framing::Tcp, &[&[0][..], &adu].concat(), 1, ASK, Body::Words(&WORDS)));
        assert!(!is_proper(Framing::Tcp, &[&adu[..], &[0, 8, 0]].concat(), 1, ASK, Body::Words(&WORDS)));
    }

    #[test]
    fn bits_are_counted_in_whole_bytes() {
        let ask = Ask { table: Table::Coil, address: 0, count: 3 };
        let bits = [true, false, true, false, false, false, false, false];
        assert!(is_proper(Framing::Rtu, &[1, 1, 1, 0b101, 0, 0], 1, ask, Body::Bits(&bits)));
    }
}
