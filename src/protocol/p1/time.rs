//! Time stamps: `YYMMDDhhmmssX`, X = S in summer, W in winter (P1 Companion Standard 6.4, tag TST); V2 and V3 leave X out.
//!
//! Always true here: a stamp that is no moment is an error with a name, never a moment. Deliberately absent: the time zone; the stamp
//! is local time of the place where the meter hangs.

/// Which local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Season {
    /// W: standard time.
    Winter,
    /// S: daylight saving time.
    Summer,
}

/// A moment in the meter's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalTime {
    /// 2000 to 2099.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31, within its month.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// `None` where the meter does not say (V2, V3).
    pub season: Option<Season>,
}

/// Why text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The meter has nothing to say: an empty field.
    #[error("the time is empty")]
    Empty,
    /// The mark of a value that was never read: every field 255, which meters print as 63, 25 or 5 (`632525252525S`).
    #[error("the value was never read")]
    NeverRead,
    /// Not twelve digits with S, W or nothing behind them.
    #[error("the time does not have the form YYMMDDhhmmssX")]
    Form,
    /// Digits that are no date or no time of day.
    #[error("the digits are no date and time")]
    Range,
}

impl LocalTime {
    /// Reads a stamp.
    ///
    /// # Errors
    /// The first of [`TimeError`] that holds, in the order given there.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim_matches(' ');
        let digits = text.trim_end_matches(['S', 'W']);
        let season = match text.get(digits.len()..) {
            _ if text.is_empty() => return Err(TimeError::Empty),
            Some("") => None,
            Some("S") => Some(Season::Summer),
            Some("W") => Some(Season::Winter),
            _ => return Err(TimeError::Form),
        };
        if digits.get(2..).is_some_and(|rest| !rest.is_empty() && rest.as_bytes().chunks(2).all(|pair| pair == b"25")) {
            return Err(TimeError::NeverRead);
        }
        if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TimeError::Form);
        }
        let field = |place: usize| digits.get(place..place + 2).and_then(|pair| pair.parse::<u8>().ok()).unwrap_or(u8::MAX);
        let time = Self {
            year: 2000 + u16::from(field(0)),
            month: field(2),
            day: field(4),
            hour: field(6),
            minute: field(8),
            second: field(10),
            season,
        };
        if time.is_real() { Ok(time) } else { Err(TimeError::Range) }
    }

    fn is_real(self) -> bool {
        let days = match self.month {
            2 if self.year.is_multiple_of(4) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&self.day) && self.hour < 24 && self.minute < 60 && self.second < 60
    }
}
