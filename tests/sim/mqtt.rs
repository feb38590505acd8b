//! Just enough of MQTT 3.1.1 to follow a conversation: where packets end, and what a few of them say.

use std::io;

/// Cuts a stream into packets (2.2.3: the remaining length takes one to four bytes).
#[derive(Debug, Default)]
pub struct Cutter {
    waiting: Vec<u8>,
}

impl Cutter {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    /// The next whole packet, fixed header included.
    ///
    /// # Errors
    /// A remaining length of more than four bytes.
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(head) = head(&self.waiting)? else { return Ok(None) };
        let end = head.at + head.length;
        if self.waiting.len() < end {
            return Ok(None);
        }
        Ok(Some(self.waiting.drain(..end).collect()))
    }
}

struct Head {
    at: usize,
    length: usize,
}

fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut length = 0;
    for n in 0..4 {
        let Some(byte) = bytes.get(1 + n) else { return Ok(None) };
        length |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some(Head { at: 2 + n, length }));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "remaining length of more than four bytes"))
}

/// What a packet says, as far as an observer needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// 3.1
    Connect {
        /// Client identifier.
        client: String,
        /// Topic and payload of the last will.
        will: Option<(String, Vec<u8>)>,
    },
    /// 3.2, with the return code.
    ConnAck(u8),
    /// 3.3
    Publish(Publish),
    /// 3.4, with the packet identifier.
    PubAck(u16),
    /// Anything else, by its type.
    Other(u8),
}

/// 3.3
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub topic: String,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Kept by the broker.
    pub retain: bool,
    /// Sent before on this session.
    pub dup: bool,
    /// Zero at QoS 0.
    pub id: u16,
    /// What.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Reads one whole packet; `None` when it contradicts the standard.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        let mut body = Fields(packet.get(head(packet).ok()??.at..)?);
        Some(match first >> 4 {
            1 => connect(&mut body)?,
            2 => Self::ConnAck(*body.0.get(1)?),
            3 => {
                let qos = first >> 1 & 3;
                let topic = body.text()?;
                let id = if qos > 0 { body.number()? } else { 0 };
                Self::Publish(Publish { topic, qos, retain: first & 1 == 1, dup: first & 8 == 8, id, payload: body.0.to_vec() })
            }
            4 => Self::PubAck(body.number()?),
            other => Self::Other(other),
        })
    }
}

fn connect(body: &mut Fields) -> Option<Packet> {
    body.text()?; // protocol name
    let [_level, flags] = body.number()?.to_be_bytes();
    body.number()?; // keep alive
    let client = body.text()?;
    let will = if flags & 4 == 4 { Some((body.text()?, body.bytes()?.to_vec())) } else { None };
    Some(Packet::Connect { client, will })
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.number()?);
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_whole_though_it_comes_byte_by_byte() {
        let mut cutter = Cutter::default();
        // PUBLISH, dup, QoS 1, retain; length 8; topic "a/b", id 10, payload "x"
        let sent = [0x3B, 0x08, 0x00, 0x03, b'a', b'/', b'b', 0x00, 0x0A, b'x'];
        for byte in &sent[..9] {
            cutter.push(&[*byte]);
            assert_eq!(cutter.next().unwrap(), None);
        }
        cutter.push(&[b'x', 0x40, 0x02, 0x00]);
        let publish = Publish { topic: "a/b".into(), qos: 1, retain: true, dup: true, id: 10, payload: b"x".to_vec() };
        assert_eq!(Packet::parse(&cutter.next().unwrap().unwrap()), Some(Packet::Publish(publish)));
        cutter.push(&[0x0A]);
        assert_eq!(Packet::parse(&cutter.next().unwrap().unwrap()), Some(Packet::PubAck(10)));
    }

    #[test]
    fn lengths_are_read_as_in_the_table_of_the_standard() {
        let length = |bytes: &[u8]| head(bytes).unwrap().map(|head| head.length);
        assert_eq!(length(&[0x30, 0x7F]), Some(127));
        assert_eq!(length(&[0x30, 0x80, 0x01]), Some(128));
        assert_eq!(length(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]), Some(268_435_455));
        assert!(head(&[0x30, 0x80, 0x80, 0x80, 0x80]).is_err());
    }

    #[test]
    fn a_last_will_is_seen_in_connect() {
        let sent = [0x10, 0x13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x26, 0, 30, 0, 1, b'c', 0, 1, b't', 0, 1, b'w'];
        let will = Some(("t".to_owned(), b"w".to_vec()));
        assert_eq!(Packet::parse(&sent), Some(Packet::Connect { client: "c".into(), will }));
    }
}
