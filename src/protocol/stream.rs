//! From bytes as they come to telegrams that came whole.
//!
//! Always true here: each byte is handed on once, as part of a telegram, of a broken one, or as noise that is counted; what is held
//! back never exceeds [`Framing::longest`] plus one chunk; how the bytes were cut into chunks changes nothing. Deliberately absent:
//! what a telegram looks like (that is the [`Framing`] of each protocol), and the clock: whoever sees the line fall silent calls
//! [`Stream::finish`].

/// What a framing makes of the bytes that are held.
#[derive(Debug, PartialEq)]
pub enum Scan<T, E> {
    /// Undecided; more bytes are needed.
    More,
    /// The first so many bytes are noise.
    Drop(usize),
    /// The first so many bytes were a telegram once, and this is wrong with it.
    Broken(usize, E),
    /// The first so many bytes are this telegram.
    Telegram(usize, T),
}

/// How one protocol cuts a stream of bytes into telegrams.
pub trait Framing {
    /// What comes out.
    type Telegram;
    /// What may be wrong with it.
    type Error;
    /// What was learnt about bytes that are still undecided, so that none is looked at again for every byte that follows.
    type State: Default;

    /// Looks at the bytes held, the oldest first. `ended`: nothing will follow. `state` is fresh whenever the first byte is new.
    fn scan(&self, bytes: &[u8], state: &mut Self::State, ended: bool) -> Scan<Self::Telegram, Self::Error>;

    /// More bytes than this without an end are no telegram.
    fn longest(&self) -> usize;

    /// For a telegram of [`Self::longest`] bytes without an end: how many of them cannot begin another one, and the error.
    fn give_up(&self, state: &Self::State) -> (usize, Self::Error);

    /// What the adapter made of bit 7.
    fn bit7(&self) -> Bit7;
}

/// What is to be done with the eighth bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bit7 {
    /// It belongs to the byte (8N1 on the meter's side too).
    #[default]
    Keep,
    /// It is cleared: the meter sends 7E1, and the adapter delivers it as 8N1 or has checked it already.
    Strip,
    /// It is even parity (7E1 received as 8N1): a character that fails becomes SUB (0x1A), which no telegram can hold.
    CheckEven,
}

/// Stands for a character whose parity was wrong.
const SUBSTITUTE: u8 = 0x1A;

impl Bit7 {
    fn clean(self, byte: u8) -> u8 {
        match self {
            Self::Keep => byte,
            Self::CheckEven if byte.count_ones() % 2 == 1 => SUBSTITUTE,
            Self::CheckEven | Self::Strip => byte & 0x7F,
        }
    }
}

/// What a capture holds.
#[derive(Debug, PartialEq)]
pub struct Capture<T, E> {
    /// Telegrams, and what is wrong with broken ones, in order.
    pub telegrams: Vec<Result<T, E>>,
    /// Bytes that belong to none.
    pub noise: u64,
}

/// Collects bytes of one line and gives out its telegrams.
#[derive(Debug)]
pub struct Stream<F: Framing> {
    framing: F,
    held: Vec<u8>,
    head: usize,
    state: F::State,
    noise: u64,
}

impl<F: Framing> Stream<F> {
    /// An empty stream.
    pub fn new(framing: F) -> Self {
        Self { framing, held: Vec::new(), head: 0, state: F::State::default(), noise: 0 }
    }

    /// Takes bytes as they came. Call [`Self::next_telegram`] until it gives `None` before the next chunk.
    pub fn push(&mut self, bytes: &[u8]) {
        let bit7 = self.framing.bit7();
        self.held.extend(bytes.iter().map(|byte| bit7.clean(*byte)));
    }

    /// The next telegram that is complete, or what is wrong with the next one that was framed as one.
    pub fn next_telegram(&mut self) -> Option<Result<F::Telegram, F::Error>> {
        self.advance(false)
    }

    /// As [`Self::next_telegram`] when nothing will follow: a telegram whose end was only waiting for a line end is complete. Once
    /// this gives `None` the stream is empty again, and what was left is noise.
    pub fn finish(&mut self) -> Option<Result<F::Telegram, F::Error>> {
        let found = self.advance(true);
        if found.is_none() {
            self.clear();
        }
        found
    }

    /// Forgets what is undecided, as noise: before a request, nothing that was heard earlier can belong to its answer.
    pub fn clear(&mut self) {
        let left = self.pending().len();
        self.count_noise(left);
        self.consume(left);
        self.compact();
    }

    /// Everything in a capture, in order.
    pub fn read_all(framing: F, capture: &[u8]) -> Capture<F::Telegram, F::Error> {
        let mut stream = Self::new(framing);
        stream.push(capture);
        let mut telegrams: Vec<_> = std::iter::from_fn(|| stream.next_telegram()).collect();
        telegrams.extend(std::iter::from_fn(|| stream.finish()));
        Capture { telegrams, noise: stream.noise }
    }

    /// Bytes that belonged to no telegram so far.
    pub fn noise(&self) -> u64 {
        self.noise
    }

    /// Bytes that are still undecided.
    pub fn pending(&self) -> &[u8] {
        self.held.get(self.head..).unwrap_or_default()
    }

    fn advance(&mut self, ended: bool) -> Option<Result<F::Telegram, F::Error>> {
        while self.head < self.held.len() {
            let pending = self.held.get(self.head..).unwrap_or_default();
            let longest = self.framing.longest();
            let window = pending.get(..longest).unwrap_or(pending);
            let full = window.len() == longest;
            match self.framing.scan(window, &mut self.state, ended && !full) {
                Scan::More if full => {
                    let (count, error) = self.framing.give_up(&self.state);
                    self.consume(count.max(1));
                    return Some(Err(error));
                }
                Scan::More => break,
                Scan::Drop(count) => {
                    let count = count.max(1);
                    self.count_noise(count);
                    self.consume(count);
                }
                Scan::Broken(count, error) => {
                    self.consume(count.max(1));
                    return Some(Err(error));
                }
                Scan::Telegram(count, telegram) => {
                    self.consume(count.max(1));
                    return Some(Ok(telegram));
                }
            }
        }
        self.compact();
        None
    }

    fn count_noise(&mut self, count: usize) {
        self.noise = self.noise.saturating_add(count as u64);
    }

    fn consume(&mut self, count: usize) {
        self.head = self.head.saturating_add(count).min(self.held.len());
        self.state = F::State::default();
    }

    /// Gives back what was handed on; a big chunk does not stay for ever.
    fn compact(&mut self) {
        self.held.drain(..self.head);
        self.head = 0;
        self.held.shrink_to(self.framing.longest().min(4096));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_before_a_request_is_no_part_of_its_answer() {
        let mut stream = Stream::new(crate::protocol::p1::Framing::default());
        let telegram = b"/TST5SHORT\r\n\r\n1-0:1.8.0(000009*Wh)\r\n!506\r\n";
        stream.push(&telegram[..20]);
        assert!(stream.next_telegram().is_none());
        stream.clear();
        stream.push(&telegram[20..]);
        assert!(stream.next_telegram().is_none());
        stream.push(telegram);
        assert!(stream.next_telegram().is_some_and(|telegram| telegram.is_ok()));
        assert_eq!(stream.noise(), telegram.len() as u64);
    }

    #[test]
    fn a_character_with_wrong_parity_is_no_character() {
        assert_eq!(Bit7::CheckEven.clean(0xB1), b'1', "0x31 has three ones, parity makes four");
        assert_eq!(Bit7::CheckEven.clean(0x31), SUBSTITUTE);
        assert_eq!(Bit7::Strip.clean(0x31), b'1');
        assert_eq!(Bit7::Keep.clean(0xB1), 0xB1);
    }
}
