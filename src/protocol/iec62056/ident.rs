//! The identification message: `/`, three letters of the maker, the baud character, an optional `\W`, the model, CR LF (clause 6.3.2).
//!
//! Always true here: a line is an identification only as a whole, with its line end; text that merely holds "/" is none. Deliberately
//! absent: what follows from it for the line (see [`super::handshake`]).

/// Longest line taken as an identification; the standard allows 16 characters after the baud character, meters send more.
pub const LONGEST: usize = 80;

/// Who answers, and how it wants to be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification {
    /// Three letters of the manufacturer, as sent; a lower-case third letter announces the short reaction time.
    pub manufacturer: Box<str>,
    /// The baud rate character.
    pub baud: char,
    /// The character after a backslash: "2" announces mode E (binary).
    pub escape: Option<char>,
    /// The rest: type and version of the meter.
    pub model: Box<str>,
}

/// What may stand between the manufacturer's letters and the line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// Printable characters (IEC 62056-21).
    Printable,
    /// Also control characters: what is left of `\2` in P1 telegrams that went through careless hands.
    Lenient,
}

impl Alphabet {
    fn allows(self, byte: u8) -> bool {
        // "/" and "!" are excluded by clause 6.3.2. Brackets belong to data sets: with them left out, a "/" within a unit is never
        // taken for a new telegram.
        match byte {
            b'(' | b')' | b'/' | b'!' | b'\r' | b'\n' | 0x7F.. => false,
            0x20.. => true,
            _ => self == Self::Lenient && byte != 0,
        }
    }
}

/// What the bytes at a "/" are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// No identification.
    None,
    /// So far it could be one.
    Undecided,
    /// An identification whose line, line feed included, has this many bytes; the text in it has `text` bytes.
    Whole {
        /// Bytes of the text after "/" and before the line end.
        text: usize,
        /// All bytes.
        len: usize,
    },
}

/// Looks at bytes that begin with "/". Work is bounded by [`LONGEST`].
#[must_use]
pub fn line(bytes: &[u8], alphabet: Alphabet) -> Line {
    let mut rest = bytes.iter().copied().enumerate();
    if rest.next() != Some((0, b'/')) {
        return Line::None;
    }
    for (place, byte) in rest {
        match byte {
            _ if place > LONGEST => return Line::None,
            b'\r' | b'\n' if place > 4 => return line_end(bytes, place),
            _ if place <= 3 && !byte.is_ascii_alphabetic() => return Line::None,
            _ if !alphabet.allows(byte) => return Line::None,
            _ => {}
        }
    }
    Line::Undecided
}

fn line_end(bytes: &[u8], end: usize) -> Line {
    let text = end - 1;
    match (bytes.get(end), bytes.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => Line::Whole { text, len: end + 2 },
        (Some(b'\r'), None) => Line::Undecided,
        _ => Line::Whole { text, len: end + 1 },
    }
}

/// The first place from which on a telegram could begin: an identification, or the byte `mark`.
#[must_use]
pub fn find_start(bytes: &[u8], alphabet: Alphabet, mark: Option<u8>) -> Option<usize> {
    (0..bytes.len()).find(|place| {
        let tail = bytes.get(*place..).unwrap_or_default();
        mark.is_some() && tail.first().copied() == mark || line(tail, alphabet) != Line::None
    })
}

impl Identification {
    /// Reads the text between "/" and the line end: at least three letters and the baud character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (manufacturer, rest) = text.split_at_checked(3)?;
        if !manufacturer.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let mut rest = rest.chars();
        let baud = rest.next()?;
        let (escape, model) = match rest.as_str().strip_prefix('\\') {
            Some(escaped) => {
                let mut escaped = escaped.chars();
                (escaped.next(), escaped.as_str())
            }
            None => (None, rest.as_str()),
        };
        Some(Self { manufacturer: manufacturer.into(), baud, escape, model: model.into() })
    }

    /// Whether the meter answers, and lets itself be answered, after 20 ms in place of 200 ms (clause 6.3.2, item 12).
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.manufacturer.chars().nth(2).is_some_and(|letter| letter.is_ascii_lowercase())
    }
}
