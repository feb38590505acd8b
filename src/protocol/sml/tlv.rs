//! Type-length-value coding (SML 1.04 clause 6.3): the elements of a message, one after the other.
//!
//! Always true here: reading an element moves on by at least one byte or fails; no length is believed beyond the bytes that are there;
//! lists are skipped without recursion.

/// One element; lists are given by their number of elements, which follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// An octet string without octets: the mark of an optional element that is left out.
    Absent,
    /// End of message.
    End,
    /// An octet string.
    Octets(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// A signed integer of 1 to 8 bytes, extended by its sign.
    Int(i64, u8),
    /// An unsigned integer of 1 to 8 bytes.
    UInt(u64, u8),
    /// The head of a list.
    List(usize),
    /// Well delimited, but of a type or length that means nothing.
    Odd,
}

/// Why there is no element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The bytes end within it.
    Short,
    /// Its length is no length.
    Length,
}

/// A place in a message.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The place of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The same bytes at another place.
    #[must_use]
    pub fn moved(mut self, at: usize) -> Self {
        self.at = at;
        self
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Bytes from `start` to here.
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = self.bytes.get(self.at).copied().ok_or(Broken::Short)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads one element; of a list only its head.
    ///
    /// # Errors
    /// When its bytes are not all there; the cursor then stands anywhere.
    pub fn element(&mut self) -> Result<Element<'a>, Broken> {
        let start = self.at;
        let first = self.byte()?;
        if first == 0 {
            return Ok(Element::End);
        }
        let kind = first >> 4 & 0x07;
        let length = self.length(first)?;
        if kind == 7 {
            return Ok(Element::List(length));
        }
        // The length counts the type-length bytes themselves.
        let data = length.checked_sub(self.at - start).ok_or(Broken::Length)?;
        let end = self.at.checked_add(data).ok_or(Broken::Length)?;
        let value = self.bytes.get(self.at..end).ok_or(Broken::Short)?;
        self.at = end;
        Ok(plain(kind, value))
    }

    /// Four bits of each type-length byte, the highest first, while bit 7 says that another one follows.
    fn length(&mut self, first: u8) -> Result<usize, Broken> {
        let mut length = usize::from(first & 0x0F);
        let mut more = first & 0x80 != 0;
        while more {
            let next = self.byte()?;
            length = length << 4 | usize::from(next & 0x0F);
            more = next & 0x80 != 0;
            if next & 0x70 != 0 || length > 0xFFFF {
                return Err(Broken::Length);
            }
        }
        Ok(length)
    }

    /// Passes over one element with everything in it.
    ///
    /// # Errors
    /// As [`Self::element`].
    pub fn skip(&mut self) -> Result<(), Broken> {
        let mut open = 1_usize;
        while open > 0 {
            open -= 1;
            if let Element::List(count) = self.element()? {
                open = open.checked_add(count).filter(|open| *open <= self.rest().len()).ok_or(Broken::Short)?;
            }
        }
        Ok(())
    }

    /// Passes over one element and gives its bytes as a message of their own.
    ///
    /// # Errors
    /// As [`Self::element`].
    pub fn part(&mut self) -> Result<Cursor<'a>, Broken> {
        let start = self.at;
        self.skip()?;
        Ok(Cursor::new(self.since(start)))
    }
}

fn plain(kind: u8, value: &[u8]) -> Element<'_> {
    let width = u8::try_from(value.len()).ok().filter(|width| (1..=8).contains(width));
    match (kind, width) {
        (0, _) if value.is_empty() => Element::Absent,
        (0, _) => Element::Octets(value),
        (4, Some(1)) => Element::Bool(value != [0]),
        (5, Some(width)) => Element::Int(signed(value), width),
        (6, Some(width)) => Element::UInt(unsigned(value), width),
        _ => Element::Odd,
    }
}

fn unsigned(value: &[u8]) -> u64 {
    value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Meters leave out leading bytes, so the sign is the top bit of what was sent, however wide.
fn signed(value: &[u8]) -> i64 {
    let fill = if value.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    value.iter().fold(fill, |number, byte| number << 8 | i64::from(*byte))
}
