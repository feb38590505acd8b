//! Points in time of EN 13757-3, annex A: types F, G, I and J.
//!
//! Always true here: a point in time is given out only when it can be one; "every day" and the like are kept as such and printed as
//! `*`. Deliberately absent: time zones. A meter tells its own local time, at best with a flag for summer time.

use std::fmt;

/// A field of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// This one.
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
}

impl Moment {
    /// Reads 2 (type G), 3 (J), 4 (F) or 6 bytes (I), the low byte first. `None`: marked invalid, or no point in time.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [d0, d1] => Some(Self { date: Some(date(d0, d1, 0)?), clock: None, summer: false }),
            [second, minute, hour] => Some(Self { date: None, clock: Some(clock(hour, minute, second)?), summer: false }),
            [minute, hour, d0, d1] => type_f(minute, hour, d0, d1),
            [second, minute, hour, d0, d1, _week] => type_i(second, minute, hour, d0, d1),
            _ => None,
        }
    }
}

/// Bit 7 of the minutes: invalid. Bits 5 and 6 of the hours: hundreds of years since 1900. Bit 7 of the hours: summer time.
fn type_f(minute: u8, hour: u8, d0: u8, d1: u8) -> Option<Moment> {
    if minute & 0x80 != 0 {
        return None;
    }
    let clock = clock(hour, minute, 0)?;
    Some(Moment { date: Some(date(d0, d1, hour >> 5 & 0x03)?), clock: Some(clock), summer: hour & 0x80 != 0 })
}

/// Bit 7 of the minutes: invalid. Bit 6 of the seconds: summer time.
fn type_i(second: u8, minute: u8, hour: u8, d0: u8, d1: u8) -> Option<Moment> {
    if minute & 0x80 != 0 {
        return None;
    }
    let clock = clock(hour, minute, second)?;
    Some(Moment { date: Some(date(d0, d1, 0)?), clock: Some(clock), summer: second & 0x40 != 0 })
}

/// The 16 bits that types F, G and I share: day, month and the year cut in two.
fn date(d0: u8, d1: u8, hundreds: u8) -> Option<Date> {
    let year = u16::from(d0 >> 5 | (d1 >> 4) << 3);
    let month = part(u16::from(d1 & 0x0F), 15, 1, 12)?;
    let day = part(u16::from(d0 & 0x1F), 0, 1, 31)?;
    let year = match year {
        127 => Part::Every,
        0..=99 => Part::Is(full_year(year, hundreds)),
        _ => return None,
    };
    let all = (year, month) == (Part::Every, Part::Every);
    (!all && day_exists(year, month, day)).then_some(Date { year, month, day })
}

/// Meters without the hundreds mean 1981 to 2080 (EN 13757-3, annex A, type F).
fn full_year(year: u16, hundreds: u8) -> u16 {
    match hundreds {
        0 if year <= 80 => 2000 + year,
        hundreds => 1900 + 100 * u16::from(hundreds) + year,
    }
}

fn day_exists(year: Part, month: Part, day: Part) -> bool {
    let (Part::Is(month), Part::Is(day)) = (month, day) else { return true };
    let leap = match year {
        Part::Is(year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0),
        Part::Every => true,
    };
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    day <= days
}

fn clock(hour: u8, minute: u8, second: u8) -> Option<Clock> {
    Some(Clock {
        hour: part(u16::from(hour & 0x1F), 31, 0, 23)?,
        minute: part(u16::from(minute & 0x3F), 63, 0, 59)?,
        second: part(u16::from(second & 0x3F), 63, 0, 59)?,
    })
}

fn part(value: u16, every: u16, least: u16, greatest: u16) -> Option<Part> {
    match value {
        value if value == every => Some(Part::Every),
        value if (least..=greatest).contains(&value) => Some(Part::Is(value)),
        _ => None,
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
