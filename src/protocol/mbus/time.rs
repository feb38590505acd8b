//! Points in time of EN 13757-3, annex A: types F, G, I and J.
//!
//! Always true here: a point in time says whether it is valid, that is not marked otherwise and one that exists; an invalid one
//! still shows the digits sent. "Every day" and the like are kept as such and printed as `*`. Deliberately absent: time zones. A
//! meter tells its own local time, at best with a flag for summer time.

use std::fmt;

/// A field of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// This one, within its range if the point in time is valid.
    Is(u16),
    /// Every one: the point in time recurs.
    Every,
}

/// Year, month, day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Four digits.
    pub year: Part,
    /// 1..=12.
    pub month: Part,
    /// 1..=31.
    pub day: Part,
}

/// Hour, minute, second; types without seconds have 0 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// 0..=23.
    pub hour: Part,
    /// 0..=59.
    pub minute: Part,
    /// 0..=59.
    pub second: Part,
}

/// A point in time as a meter tells it: date, time of day or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Absent in type J.
    pub date: Option<Date>,
    /// Absent in type G.
    pub clock: Option<Clock>,
    /// The meter says that summer time holds.
    pub summer: bool,
    /// Not marked invalid, and every field within its range.
    pub valid: bool,
}

impl Moment {
    /// Reads 2 (type G), 3 (J), 4 (F) or 6 bytes (I), the low byte first. `None`: another length, or all ones, which is the mark
    /// for "no point in time".
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let moment = match *bytes {
            [d0, d1] => Self { date: Some(date(d0, d1, 0)), clock: None, summer: false, valid: true },
            [second, minute, hour] => {
                Self { date: None, clock: Some(clock(hour, minute, second)), summer: false, valid: minute & 0x80 == 0 }
            }
            [minute, hour, d0, d1] => type_f(minute, hour, d0, d1),
            [second, minute, hour, d0, d1, _week] => type_i(second, minute, hour, d0, d1),
            _ => return None,
        };
        let ones = bytes.iter().all(|byte| *byte == u8::MAX);
        (!ones).then(|| Self { valid: moment.valid && moment.exists(), ..moment })
    }

    fn exists(&self) -> bool {
        self.date.is_none_or(Date::exists) && self.clock.is_none_or(Clock::exists)
    }
}

/// Bit 7 of the minutes: invalid. Bits 5 and 6 of the hours: hundreds of years since 1900. Bit 7 of the hours: summer time.
fn type_f(minute: u8, hour: u8, d0: u8, d1: u8) -> Moment {
    let date = date(d0, d1, hour >> 5 & 0x03);
    Moment { date: Some(date), clock: Some(clock(hour, minute, 0)), summer: hour & 0x80 != 0, valid: minute & 0x80 == 0 }
}

/// Bit 7 of the minutes: invalid. Bit 6 of the seconds: summer time.
fn type_i(second: u8, minute: u8, hour: u8, d0: u8, d1: u8) -> Moment {
    let date = date(d0, d1, 0);
    Moment { date: Some(date), clock: Some(clock(hour, minute, second)), summer: second & 0x40 != 0, valid: minute & 0x80 == 0 }
}

/// The 16 bits that types F, G and I share: day, month and the year cut in two.
fn date(d0: u8, d1: u8, hundreds: u8) -> Date {
    let year = match u16::from(d0 >> 5 | (d1 >> 4) << 3) {
        127 => Part::Every,
        year => Part::Is(full_year(year, hundreds)),
    };
    Date { year, month: part(d1 & 0x0F, 15), day: part(d0 & 0x1F, 0).in_month(d1 & 0x0F) }
}

/// Meters without the hundreds mean 1981 to 2080 (EN 13757-3, annex A, type F). Above 99 it is no year and stays as it is.
fn full_year(year: u16, hundreds: u8) -> u16 {
    match hundreds {
        _ if year > 99 => year,
        0 if year <= 80 => 2000 + year,
        hundreds => 1900 + 100 * u16::from(hundreds) + year,
    }
}

fn clock(hour: u8, minute: u8, second: u8) -> Clock {
    Clock { hour: part(hour & 0x1F, 31), minute: part(minute & 0x3F, 63), second: part(second & 0x3F, 63) }
}

fn part(value: u8, every: u8) -> Part {
    if value == every { Part::Every } else { Part::Is(u16::from(value)) }
}

impl Part {
    /// Day 0 is "every day", but without a month it is no day at all: an empty field of a meter that never set it.
    fn in_month(self, month: u8) -> Self {
        if month == 0 && self == Self::Every { Self::Is(0) } else { self }
    }

    fn within(self, least: u16, greatest: u16) -> bool {
        match self {
            Self::Is(value) => (least..=greatest).contains(&value),
            Self::Every => true,
        }
    }
}

impl Date {
    fn exists(self) -> bool {
        self.year.within(1900, 2299) && self.month.within(1, 12) && self.day.within(1, self.days_of_month())
    }

    fn days_of_month(self) -> u16 {
        let leap = match self.year {
            Part::Is(year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0),
            Part::Every => true,
        };
        match self.month {
            Part::Is(2) if leap => 29,
            Part::Is(2) => 28,
            Part::Is(4 | 6 | 9 | 11) => 30,
            _ => 31,
        }
    }
}

impl Clock {
    fn exists(self) -> bool {
        self.hour.within(0, 23) && self.minute.within(0, 59) && self.second.within(0, 59)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "{value:02}"),
            Self::Every => f.write_str("*"),
        }
    }
}

impl fmt::Display for Moment {
    /// `2012-01-24T13:43:00`, `2012-01-24` or `13:43:00`, with `*` for a part that recurs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Date { year, month, day }) = self.date {
            write!(f, "{year}-{month}-{day}")?;
        }
        if self.date.is_some() && self.clock.is_some() {
            f.write_str("T")?;
        }
        if let Some(Clock { hour, minute, second }) = self.clock {
            write!(f, "{hour}:{minute}:{second}")?;
        }
        Ok(())
    }
}
