//! What a meter was found to refuse, in a form that the notebook can keep.
//!
//! Always true here: a refusal names the smallest request known to be refused, so any request that holds all of its items is
//! refused too. Deliberately absent: how long it is believed (see [`super::modbus`]), and where it is kept.

use std::fmt;
use std::str::FromStr;

use super::Ask;
use crate::config::model::Table;
use crate::reading::Reason;

/// Stands for a short answer among the exception codes, none of which is 0.
pub const SHORT: u8 = 0;

/// What is said of a point that was refused with this code.
#[must_use]
pub fn reason(code: u8) -> Reason {
    if code == SHORT { Reason::Garbled } else { Reason::Exception(code) }
}

/// A request that the meter refuses, and with it every larger one around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The smallest request known to be refused.
    pub ask: Ask,
    /// Exception code, 2 or 3; [`SHORT`] where it answers, but with less than was asked for.
    pub code: u8,
    /// What it says about values.
    pub of: Of,
}

/// What a refused stretch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// One value, refused when asked for alone: the meter does not have it.
    Value,
    /// The last item of one value, the first of the next and what lies between: each is answered, but not both in one request.
    Passage,
}

impl Refusal {
    /// Whether it is about the same items, whatever the exception code.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        (self.ask, self.of) == (other.ask, other.of)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = match self.ask.table {
            Table::Coil => "coil",
            Table::Discrete => "discrete",
            Table::Holding => "holding",
            Table::Input => "input",
        };
        let of = match self.of {
            Of::Value => "value",
            Of::Passage => "passage",
        };
        write!(f, "{of} {table} {}+{} ", self.ask.address, self.ask.count)?;
        if self.code == SHORT { f.write_str("short") } else { write!(f, "exception-{}", self.code) }
    }
}

/// A text that is no refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRefusal;

impl fmt::Display for NoRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a refusal, expected e.g. \"value holding 12+2 exception-2\"")
    }
}

impl std::error::Error for NoRefusal {}

impl FromStr for Refusal {
    type Err = NoRefusal;

    /// Reads what `Display` wrote.
    fn from_str(text: &str) -> Result<Self, NoRefusal> {
        parse(text).ok_or(NoRefusal)
    }
}

fn parse(text: &str) -> Option<Refusal> {
    let mut words = text.split(' ');
    let of = match words.next()? {
        "value" => Of::Value,
        "passage" => Of::Passage,
        _ => return None,
    };
    let table = match words.next()? {
        "coil" => Table::Coil,
        "discrete" => Table::Discrete,
        "holding" => Table::Holding,
        "input" => Table::Input,
        _ => return None,
    };
    let (address, count) = words.next()?.split_once('+')?;
    let (address, count) = (address.parse().ok()?, count.parse().ok()?);
    let code = match words.next()? {
        "short" => SHORT,
        word => word.strip_prefix("exception-")?.parse().ok().filter(|code| *code != SHORT)?,
    };
    let is_legal = count > 0 && u32::from(address) + u32::from(count) <= 1 << 16 && words.next().is_none();
    is_legal.then_some(Refusal { ask: Ask { table, address, count }, code, of })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_refusal_survives_the_notebook(address: u16, count in 1..=125_u16, code: u8, value: bool, table in 0..4_usize) {
            prop_assume!(u32::from(address) + u32::from(count) <= 65536);
            let table = [Table::Coil, Table::Discrete, Table::Holding, Table::Input][table];
            let refusal = Refusal { ask: Ask { table, address, count }, code, of: if value { Of::Value } else { Of::Passage } };
            prop_assert_eq!(refusal.to_string().parse(), Ok(refusal));
        }

        #[test]
        fn a_damaged_notebook_never_becomes_a_panic(text in ".*") {
            let _ = text.parse::<Refusal>();
        }
    }

    #[test]
    fn a_refusal_reads_as_a_sentence_of_four_words() {
        let ask = Ask { table: Table::Holding, address: 12, count: 2 };
        let refusal = Refusal { ask, code: 2, of: Of::Value };
        assert_eq!(refusal.to_string(), "value holding 12+2 exception-2");
        assert_eq!(Refusal { code: SHORT, ..refusal }.to_string(), "value holding 12+2 short");
    }

    #[test]
    fn no_exception_has_the_number_0() {
        assert_eq!("value holding 12+2 exception-0".parse::<Refusal>(), Err(NoRefusal));
        assert_eq!((reason(SHORT), reason(2)), (Reason::Garbled, Reason::Exception(2)));
    }

    #[test]
    fn what_would_reach_beyond_the_last_address_is_no_refusal() {
        assert_eq!("value holding 65535+2 exception-2".parse::<Refusal>(), Err(NoRefusal));
        assert_eq!("value holding 65535+0 exception-2".parse::<Refusal>(), Err(NoRefusal));
        assert_eq!("value holding 1+2 exception-2 more".parse::<Refusal>(), Err(NoRefusal));
    }
}
