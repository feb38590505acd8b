//! A scripted broker on a raw socket, written from the MQTT 3.1.1 standard (OASIS, 29 October 2014) and not from any library.
//!
//! It keeps an account of what it received and of what it acknowledged: the bytes of a PUBACK that the kernel took from it. What a
//! forwarder deletes beyond that account is lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What the broker does on one connection.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// Acknowledges at once.
    Honest,
    /// Acknowledges each message so much later.
    Late(Duration),
    /// Collects so many, or what came until a pause, and acknowledges the last first.
    Reversed(usize),
    /// Acknowledges each data message twice in one write.
    Twice,
    /// Acknowledges each message again when the fifth after it came.
    TwiceLate,
    /// Acknowledges the birth, then an identifier that was never used.
    Invents(u16),
    /// Answers pings and acknowledges nothing.
    Mute,
    /// Acknowledges the birth, answers pings, and acknowledges nothing else.
    MuteAfterBirth,
    /// Acknowledges so many, one more on each later connection, then sends half a PUBACK and closes.
    HalfAck(usize),
    /// Reads so many bytes behind the CONNECT, then closes, in the middle of a packet.
    HalfRead(usize),
    /// Acknowledges the first data message and closes in the same breath.
    LastWord,
    /// CONNACK with this return code (3.2.2.3).
    Refuses(u8),
    /// Says that a session was present where none can be, then behaves.
    LiesAboutSession,
    /// Accepts, acknowledges the birth, then never reads again and keeps the connection.
    Deaf,
    /// Accepts the TCP connection and says nothing.
    Silent,
    /// Closes on a payload that holds this text, and behaves otherwise.
    Chokes(&'static str),
    /// Answers with HTTP.
    Http,
    /// Reads in small pieces with pauses, and acknowledges.
    Slow { piece: usize, pause: Duration },
}

/// One PUBLISH as it came (3.3).
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub connection: usize,
    pub topic: String,
    pub payload: Vec<u8>,
    pub retained: bool,
    pub packet: u16,
    pub acked: bool,
}

impl Received {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub(super) fn is(&self, leaf: &str) -> bool {
        self.topic.split('/').nth(3) == Some(leaf)
    }
}

/// What stood in a CONNECT (3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    pub client: String,
    pub clean: bool,
    pub keep_alive: u16,
    pub will: Option<(String, String)>,
    pub username: Option<String>,
    pub password: Option<String>,
}

#[derive(Default)]
struct Account {
    greetings: Vec<Greeting>,
    received: Vec<Received>,
    partings: usize,
    connections: usize,
}

/// A listening broker; dropping it closes everything.
pub(super) struct Broker {
    pub port: u16,
    account: Arc<Mutex<Account>>,
    changed: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Broker {
    /// Listens on a free port. Connection n behaves as `manners[n]`, all later ones as the last.
    pub(super) async fn start(manners: Vec<Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (account, changed) = (Arc::new(Mutex::new(Account::default())), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, manners, Arc::clone(&account), Arc::clone(&changed)));
        Self { port, account, changed, _tasks: tasks }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.account).received.clone()
    }

    pub(super) fn greetings(&self) -> Vec<Greeting> {
        lock(&self.account).greetings.clone()
    }

    pub(super) fn connections(&self) -> usize {
        lock(&self.account).connections
    }

    pub(super) fn partings(&self) -> usize {
        lock(&self.account).partings
    }

    /// Waits until the account satisfies `enough`, looking whenever it changed.
    pub(super) async fn until(&self, what: &str, enough: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if enough(self) {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        };
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit, wait).await.is_ok(), "not within {limit:?}: {what}; received {:?}", self.summary());
    }

    fn summary(&self) -> Vec<String> {
        let received = self.received();
        let line = |message: &Received| {
            let text: String = message.text().chars().take(100).collect();
            format!("{}: {} {} acked={} {text}", message.connection, message.packet, message.topic, message.acked)
        };
        received.iter().rev().take(10).map(line).collect()
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap()
}

async fn accept(listener: TcpListener, manners: Vec<Manner>, account: Arc<Mutex<Account>>, changed: Arc<Notify>) {
    let mut peers = JoinSet::new();
    for connection in 0.. {
        let (socket, _) = listener.accept().await.unwrap();
        lock(&account).connections += 1;
        let manner = manners.get(connection).or(manners.last()).unwrap().clone();
        let (account, changed) = (Arc::clone(&account), Arc::clone(&changed));
        peers.spawn(async move {
            let peer = Peer { socket, connection, manner, account, changed, owed: Vec::new(), acked: 0 };
            // A broken connection is the daily bread of this broker; the account tells what matters.
            let _ = peer.serve().await;
        });
    }
}

struct Peer {
    socket: TcpStream,
    connection: usize,
    manner: Manner,
    account: Arc<Mutex<Account>>,
    changed: Arc<Notify>,
    owed: Vec<u16>,
    acked: usize,
}

type Heard = std::io::Result<Option<(u8, Vec<u8>)>>;

impl Peer {
    async fn serve(mut self) -> std::io::Result<()> {
        if matches!(self.manner, Manner::Silent) {
            self.socket.readable().await?;
            std::future::pending::<()>().await;
        }
        let Some((0x10, body)) = self.packet().await? else { return Ok(()) };
        lock(&self.account).greetings.push(greeting(&body));
        let reply: &[u8] = match self.manner {
            Manner::Refuses(code) => return self.socket.write_all(&[0x20, 2, 0, code]).await,
            Manner::Http => return self.socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Manner::LiesAboutSession => &[0x20, 2, 1, 0],
            _ => &[0x20, 2, 0, 0],
        };
        self.socket.write_all(reply).await?;
        if let Manner::HalfRead(bytes) = self.manner {
            self.socket.read_exact(&mut vec![0; bytes]).await?;
            return Ok(());
        }
        self.converse().await
    }

    async fn converse(&mut self) -> std::io::Result<()> {
        loop {
            let pause = if self.owed.is_empty() { Duration::from_secs(3600) } else { Duration::from_millis(30) };
            let Ok(heard) = tokio::time::timeout(pause, self.socket.peek(&mut [0])).await else {
                self.pay_reversed().await?;
                continue;
            };
            heard?;
            let Some((kind, body)) = self.packet().await? else { return Ok(()) };
            match kind >> 4 {
                3 => self.published(kind, &body).await?,
                12 => self.socket.write_all(&[0xD0, 0]).await?,
                14 => {
                    lock(&self.account).partings += 1;
                    self.changed.notify_waiters();
                    return Ok(());
                }
                other => panic!("a forwarder has no business with packet type {other}"),
            }
        }
    }

    async fn published(&mut self, kind: u8, body: &[u8]) -> std::io::Result<()> {
        assert_eq!((kind >> 1) & 3, 1, "everything is QoS 1");
        let (topic, rest) = string(body);
        let (packet, payload) = (u16::from_be_bytes([rest[0], rest[1]]), rest[2..].to_vec());
        let (birth, data) = (topic.ends_with("/status"), topic.ends_with("/data"));
        let choked = matches!(&self.manner, Manner::Chokes(text) if String::from_utf8_lossy(&payload).contains(text));
        let received = Received { connection: self.connection, topic, payload, retained: kind & 1 == 1, packet, acked: false };
        lock(&self.account).received.push(received);
        self.changed.notify_waiters();
        if choked {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        self.acknowledge(packet, birth, data).await
    }

    async fn acknowledge(&mut self, packet: u16, birth: bool, data: bool) -> std::io::Result<()> {
        match self.manner.clone() {
            Manner::Mute => return Ok(()),
            Manner::MuteAfterBirth if !birth => return Ok(()),
            Manner::Late(by) => tokio::time::sleep(by).await,
            Manner::Reversed(many) if !birth => {
                self.owed.push(packet);
                return if self.owed.len() >= many { self.pay_reversed().await } else { Ok(()) };
            }
            Manner::HalfAck(after) if self.acked >= after + self.connection => {
                self.socket.write_all(&[0x40, 2, 0]).await?;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            _ => {}
        }
        self.puback(packet).await?;
        match self.manner {
            Manner::Twice if data => self.again(packet).await,
            Manner::TwiceLate => self.again_later(packet).await,
            Manner::LastWord if data => Err(std::io::ErrorKind::ConnectionAborted.into()),
            Manner::Invents(packet) => self.again(packet).await,
            Manner::Deaf => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn pay_reversed(&mut self) -> std::io::Result<()> {
        while let Some(packet) = self.owed.pop() {
            self.puback(packet).await?;
        }
        Ok(())
    }

    async fn again_later(&mut self, packet: u16) -> std::io::Result<()> {
        self.owed.insert(0, packet);
        if self.owed.len() < 5 {
            return Ok(());
        }
        let packet = self.owed.pop().unwrap();
        self.again(packet).await
    }

    /// A PUBACK (3.4) that is owed. It counts before it is written: the forwarder may act on it at once.
    async fn puback(&mut self, packet: u16) -> std::io::Result<()> {
        let connection = self.connection;
        if let Some(message) =
            lock(&self.account).received.iter_mut().rev().find(|m| m.connection == connection && m.packet == packet && !m.acked)
        {
            message.acked = true;
        }
        self.acked += 1;
        self.again(packet).await
    }

    /// A PUBACK that nobody is owed.
    async fn again(&mut self, packet: u16) -> std::io::Result<()> {
        let [high, low] = packet.to_be_bytes();
        self.socket.write_all(&[0x40, 2, high, low]).await?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// One control packet: first byte and what follows the remaining length (2.2). `None` at the end of the stream.
    async fn packet(&mut self) -> Heard {
        let first = match self.socket.read_u8().await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            first => first?,
        };
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.socket.read_u8().await?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.read_body(&mut body).await?;
        Ok(Some((first, body)))
    }

    async fn read_body(&mut self, body: &mut [u8]) -> std::io::Result<()> {
        let Manner::Slow { piece, pause } = self.manner else {
            self.socket.read_exact(body).await?;
            return Ok(());
        };
        for part in body.chunks_mut(piece) {
            self.socket.read_exact(part).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// A string with its length before it (1.5.3), and what follows.
fn string(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let text = std::str::from_utf8(&bytes[2..2 + length]).expect("UTF-8 (1.5.3)");
    (text.to_owned(), &bytes[2 + length..])
}

fn greeting(body: &[u8]) -> Greeting {
    let (protocol, rest) = string(body);
    assert_eq!((protocol.as_str(), rest[0]), ("MQTT", 4), "3.1.1");
    let (flags, keep_alive) = (rest[1], u16::from_be_bytes([rest[2], rest[3]]));
    let (client, mut rest) = string(&rest[4..]);
    let mut next = |present: bool| {
        present.then(|| {
            let (text, behind) = string(rest);
            rest = behind;
            text
        })
    };
    let will = next(flags & 4 != 0).zip(next(flags & 4 != 0));
    let (username, password) = (next(flags & 0x80 != 0), next(flags & 0x40 != 0));
    Greeting { client, clean: flags & 2 != 0, keep_alive, will, username, password }
}

/// The numbers of the sweeps in data messages: `marks(received)` of all, or of the acknowledged ones.
pub(super) fn marks<'a>(messages: impl IntoIterator<Item = &'a Received>) -> BTreeSet<u64> {
    let mut marks = BTreeSet::new();
    for message in messages.into_iter().filter(|message| message.is("data")) {
        let data: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        for sweep in data["sweeps"].as_array().unwrap() {
            marks.insert(sweep["values"]["mark"].as_u64().unwrap());
        }
    }
    marks
}
