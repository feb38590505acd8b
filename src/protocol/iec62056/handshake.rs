//! How a read-out is asked for: sign-on, acknowledgement, change of speed, wake-up (clauses 6.3 and 6.4, annexes B and E).
//!
//! Always true here: everything is data for a driver to send and to wait by; characters are 7E1, given without their parity bit.
//! Deliberately absent: mode D, which asks for nothing, and programming mode beyond the command that leaves it.

use std::time::Duration;

use super::Identification;

/// Speed of the sign-on in modes A, B and C.
pub const SIGN_ON_BAUD: u32 = 300;
/// Usual speed of mode D.
pub const PUSH_BAUD: u32 = 2400;
/// A meter answers within this time (clause 6.4.3, tr), and so long is waited at least before a new sign-on.
pub const LONGEST_REACTION: Duration = Duration::from_millis(1500);
/// Characters of one message follow each other within this time (clause 6.4.3, ta).
pub const LONGEST_GAP: Duration = Duration::from_millis(1500);
/// Bits on the line for one character: start, seven data, parity, stop.
pub const BITS_PER_CHARACTER: u32 = 10;
/// Leaves programming mode: SOH B0 ETX BCC. A meter that sits there answers no sign-on.
pub const BREAK: [u8; 5] = *b"\x01B0\x03q";

/// Speeds of the characters "0" to "6" (mode C), and from "A" = 600 on (mode B).
const BAUDS: [u32; 7] = [300, 600, 1200, 2400, 4800, 9600, 19200];

/// The protocol mode that an identification announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Data at 300 Bd, at once.
    A,
    /// Data at the announced speed, without an acknowledgement.
    B,
    /// Data after an acknowledgement that names the speed.
    C,
}

/// What a driver does after the identification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// As announced.
    pub mode: Mode,
    /// To be sent at 300 Bd, in mode C; once it has left the line, the speed changes.
    pub acknowledge: Option<[u8; 6]>,
    /// Speed of the data.
    pub baud: u32,
    /// So long the meter needs before it can hear us: 200 ms, or 20 ms for those that say so.
    pub reaction: Duration,
}

/// Zero bytes at 300 Bd that wake a battery meter's optical interface, and silence before the sign-on (annex B).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeUp {
    /// Number of NUL characters.
    pub zeros: usize,
    /// Silence between the last of them and the sign-on.
    pub pause: Duration,
}

impl Default for WakeUp {
    /// 65 characters last 2.2 s at 300 Bd, within the 2.1 to 2.3 s of annex B.
    fn default() -> Self {
        Self { zeros: 65, pause: Duration::from_millis(1600) }
    }
}

impl WakeUp {
    /// What is sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        vec![0; self.zeros]
    }
}

/// An address that a request message cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device address has at most 32 letters, digits and blanks")]
pub struct BadAddress;

/// The request message `/?address! CR LF`; an empty address asks any meter (clause 6.3.1).
///
/// # Errors
/// When the address is longer than 32 characters or holds others than letters, digits and blanks.
pub fn sign_on(address: &str) -> Result<Vec<u8>, BadAddress> {
    if address.len() > 32 || !address.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        return Err(BadAddress);
    }
    Ok([b"/?", address.as_bytes(), b"!\r\n"].concat())
}

impl Mode {
    /// Digits announce mode C, letters from A on mode B, anything else mode A.
    #[must_use]
    pub fn of(ident: &Identification) -> Self {
        match ident.baud {
            '0'..='6' => Self::C,
            'A'..='F' => Self::B,
            _ => Self::A,
        }
    }
}

/// Speed that a baud character stands for; `None` in mode A, where it is part of the name.
#[must_use]
pub fn baud_of(character: char) -> Option<u32> {
    let place = match character {
        '0'..='6' => u32::from(character) - u32::from('0'),
        'A'..='F' => u32::from(character) - u32::from('A') + 1,
        _ => return None,
    };
    BAUDS.get(usize::try_from(place).ok()?).copied()
}

/// The acknowledgement ACK V Z Y CR LF with V = "0", normal procedure, and Y = "0", read-out (clause 6.3.3).
fn acknowledge(baud: char) -> Option<[u8; 6]> {
    let baud = u8::try_from(baud).ok()?;
    Some([0x06, b'0', baud, b'0', b'\r', b'\n'])
}

/// What to do after this identification; `limit` is the fastest speed that the line can do.
///
/// In mode B the meter does not ask, so a limit below its speed cannot be kept: the driver sees that from [`Plan::baud`].
#[must_use]
pub fn plan(ident: &Identification, limit: u32) -> Plan {
    let reaction = Duration::from_millis(if ident.is_fast() { 20 } else { 200 });
    let mode = Mode::of(ident);
    let offered = baud_of(ident.baud).unwrap_or(SIGN_ON_BAUD);
    let slowed = ('0'..='6').rev().filter_map(|c| Some((c, baud_of(c)?))).find(|(_, baud)| *baud <= limit.min(offered));
    match (mode, slowed) {
        (Mode::A, _) => Plan { mode, acknowledge: None, baud: SIGN_ON_BAUD, reaction },
        (Mode::B, _) => Plan { mode, acknowledge: None, baud: offered, reaction },
        (Mode::C, Some((character, baud))) => Plan { mode, acknowledge: acknowledge(character), baud, reaction },
        (Mode::C, None) => Plan { mode, acknowledge: acknowledge('0'), baud: SIGN_ON_BAUD, reaction },
    }
}

/// Time on the line for so many characters.
#[must_use]
pub fn line_time(characters: u32, baud: u32) -> Duration {
    Duration::from_secs(1) * characters * BITS_PER_CHARACTER / baud.max(1)
}
