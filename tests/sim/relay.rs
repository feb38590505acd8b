//! The oracle's ear: a relay between daemon and broker that understands MQTT, and that can cut, stall and refuse.
//!
//! Always true here: a message counts as delivered when its PUBACK was passed back to the daemon, not before. What a broker that
//! was killed then forgets is not the daemon's doing.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::mqtt::{Cutter, Packet, Publish};
use super::watched::Watched;

/// A message that was delivered, or sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// When its PUBACK passed back, or when it was sent.
    pub at: Instant,
    /// Which connection of the relay, from 1.
    pub connection: u64,
    /// Its place among all PUBLISH packets that the daemon sent.
    pub sent: u64,
    /// Whether the broker keeps it.
    pub retain: bool,
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Arc<[u8]>,
}

/// What passed until now, and what may pass.
#[derive(Debug, Default)]
pub struct Traffic {
    /// In the order of their acknowledgements.
    pub delivered: Vec<Message>,
    /// Everything the daemon sent with QoS 1, acknowledged or not, in the order of sending.
    pub published: Vec<Message>,
    /// By connection and topic: the place of its first PUBLISH.
    pub first_sent: HashMap<(u64, String), u64>,
    /// PUBLISH packets sent by the daemon.
    pub sent: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Topic and payload of the last will of the latest connection.
    pub will: Option<(String, Vec<u8>)>,
    /// Anything that contradicts MQTT 3.1.1.
    pub violations: Vec<String>,
    open: HashMap<u64, [TcpStream; 2]>,
    tries: u64,
    refusing: bool,
    stalled: bool,
    swallowing: bool,
    slowness: Duration,
    closed: bool,
}

/// A running relay. It ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    broker: SocketAddr,
    traffic: Arc<Watched<Traffic>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on a free port of the loopback and passes on to `broker`.
    pub fn start(broker: SocketAddr) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), broker)
    }

    /// Listens at `address`, where nobody listened before, and passes on to `broker`.
    pub fn start_at(address: SocketAddr, broker: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = Arc::new(Watched::new(Traffic::default()));
        let mut relay = Self { address, broker, traffic, acceptor: None };
        relay.accept(listener);
        relay
    }

    fn accept(&mut self, listener: TcpListener) {
        let (broker, accepting) = (self.broker, Arc::clone(&self.traffic));
        self.acceptor = Some(thread::spawn(move || {
            for daemon in listener.incoming().flatten() {
                if accepting.look(|traffic| traffic.closed) {
                    return;
                }
                let traffic = Arc::clone(&accepting);
                thread::spawn(move || connect(daemon, broker, &traffic).ok());
            }
        }));
    }

    /// Cuts all connections and stops listening: new ones are refused by the system.
    pub fn close(&mut self) {
        self.traffic.change(|traffic| {
            traffic.closed = true;
            traffic.stalled = false;
            traffic.cut();
        });
        if let Some(acceptor) = self.acceptor.take() {
            TcpStream::connect(self.address).ok(); // wakes it
            acceptor.join().ok();
        }
    }

    /// Listens again, at the same address.
    pub fn open(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.traffic.change(|traffic| traffic.closed = false);
        self.accept(listener);
    }

    /// Where the daemon connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What passed, to be looked at or waited for.
    pub fn traffic(&self) -> &Watched<Traffic> {
        &self.traffic
    }

    /// The delivered messages from `from` on.
    pub fn delivered(&self, from: usize) -> Vec<Message> {
        self.traffic.look(|traffic| traffic.delivered.get(from..).unwrap_or_default().to_vec())
    }

    /// Cuts all connections; new ones are welcome.
    pub fn cut(&self) {
        self.traffic.change(Traffic::cut);
    }

    /// Cuts all connections and drops new ones at once, until called with `false`.
    pub fn refuse(&self, refuse: bool) {
        self.traffic.change(|traffic| {
            traffic.refusing = refuse;
            if refuse {
                traffic.cut();
            }
        });
    }

    /// Keeps connections open but passes nothing on, until called with `false`.
    pub fn stall(&self, stall: bool) {
        self.traffic.change(|traffic| traffic.stalled = stall);
    }

    /// Keeps the broker's PUBACKs to itself, until called with `false`.
    pub fn swallow_acks(&self, swallow: bool) {
        self.traffic.change(|traffic| traffic.swallowing = swallow);
    }

    /// Lets each packet of the broker take so much longer, one after the other.
    pub fn slow(&self, slowness: Duration) {
        self.traffic.change(|traffic| traffic.slowness = slowness);
    }

    /// Waits until the broker has accepted a connection more than `before`.
    pub fn wait_connection(&self, limit: Duration, before: u64) -> bool {
        self.traffic.wait(limit, |traffic| (traffic.connections > before).then_some(())).is_some()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Traffic {
    fn cut(&mut self) {
        for stream in self.open.values().flatten() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

/// PUBLISH packets of one connection that wait for their PUBACK.
type Unacked = Arc<Watched<HashMap<u16, Message>>>;

fn connect(daemon: TcpStream, broker: SocketAddr, traffic: &Arc<Watched<Traffic>>) -> io::Result<()> {
    if traffic.look(|traffic| traffic.refusing) {
        return Ok(());
    }
    let broker = TcpStream::connect(broker)?;
    daemon.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let ends = [daemon.try_clone()?, broker.try_clone()?];
    let connection = traffic.change(|traffic| {
        traffic.tries += 1;
        traffic.open.insert(traffic.tries, ends);
        if traffic.refusing || traffic.closed {
            traffic.cut();
        }
        traffic.tries
    });
    let unacked = Unacked::default();
    let up = Leg { from: daemon.try_clone()?, to: broker.try_clone()?, connection, traffic: Arc::clone(traffic), unacked };
    let down = Leg { from: broker, to: daemon, traffic: Arc::clone(traffic), unacked: Arc::clone(&up.unacked), ..up };
    let upward = thread::spawn(move || up.run(Leg::pass_up));
    down.run(Leg::pass_down);
    upward.join().ok();
    traffic.change(|traffic| traffic.open.remove(&connection));
    Ok(())
}

/// One direction of one connection.
struct Leg {
    from: TcpStream,
    to: TcpStream,
    connection: u64,
    traffic: Arc<Watched<Traffic>>,
    unacked: Unacked,
}

impl Leg {
    /// Passes packets on until one end closes; then closes both.
    fn run(mut self, pass: fn(&mut Self, &[u8]) -> io::Result<()>) {
        let ended = self.pump(pass);
        if let Err(error) = ended
            && error.kind() == io::ErrorKind::InvalidData
        {
            self.traffic.change(|traffic| traffic.violations.push(error.to_string()));
        }
        self.from.shutdown(Shutdown::Both).ok();
        self.to.shutdown(Shutdown::Both).ok();
    }

    fn pump(&mut self, pass: fn(&mut Self, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut cutter = Cutter::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = self.from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            cutter.push(&buffer[..count]);
            while let Some(packet) = cutter.next()? {
                while self.traffic.wait(Duration::from_secs(3600), |traffic| (!traffic.stalled).then_some(())).is_none() {}
                pass(self, &packet)?;
            }
        }
    }

    /// Known before it is passed on, so that its PUBACK never comes first.
    fn pass_up(&mut self, packet: &[u8]) -> io::Result<()> {
        match parse(packet)? {
            Packet::Connect { will, .. } => self.traffic.change(|traffic| traffic.will = will),
            Packet::Publish(publish) => {
                let (qos, id) = (publish.qos, publish.id);
                let message = self.traffic.change(|traffic| traffic.note_sent(self.connection, publish));
                if qos == 1 {
                    self.unacked.change(|unacked| unacked.insert(id, message));
                }
            }
            _ => {}
        }
        self.to.write_all(packet)
    }

    /// Delivered only after it was passed on.
    fn pass_down(&mut self, packet: &[u8]) -> io::Result<()> {
        let what = parse(packet)?;
        let (slowness, swallowing) = self.traffic.look(|traffic| (traffic.slowness, traffic.swallowing));
        thread::sleep(slowness);
        if swallowing && matches!(what, Packet::PubAck(_)) {
            return Ok(());
        }
        self.to.write_all(packet)?;
        match what {
            Packet::ConnAck(0) => self.traffic.change(|traffic| traffic.connections += 1),
            Packet::PubAck(id) => {
                if let Some(message) = self.unacked.change(|unacked| unacked.remove(&id)) {
                    self.traffic.change(|traffic| traffic.delivered.push(Message { at: Instant::now(), ..message }));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Traffic {
    fn note_sent(&mut self, connection: u64, publish: Publish) -> Message {
        let Publish { topic, retain, payload, qos, .. } = publish;
        self.sent += 1;
        self.first_sent.entry((connection, topic.clone())).or_insert(self.sent);
        let message = Message { at: Instant::now(), connection, sent: self.sent, retain, topic, payload: payload.into() };
        if qos == 1 {
            self.published.push(message.clone());
        }
        message
    }
}

fn parse(packet: &[u8]) -> io::Result<Packet> {
    Packet::parse(packet).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("not a packet: {packet:02x?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that acknowledges the first `acks` messages of its only connection.
    fn sparing_broker(acks: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut packet = [0; 9];
            for _ in 0..acks {
                stream.read_exact(&mut packet).unwrap();
                stream.write_all(&[0x40, 2, packet[5], packet[6]]).unwrap();
            }
            stream.read_exact(&mut packet).ok();
        });
        address
    }

    /// PUBLISH, QoS 1, length 7, topic "t", id, two bytes.
    fn publish(id: u8) -> [u8; 9] {
        [0x32, 7, 0, 1, b't', 0, id, b'x', id]
    }

    #[test]
    fn only_what_was_acknowledged_counts_as_delivered() {
        let relay = Relay::start(sparing_broker(1));
        let mut daemon = TcpStream::connect(relay.address()).unwrap();
        daemon.write_all(&publish(7)).unwrap();
        let mut ack = [0; 4];
        daemon.read_exact(&mut ack).unwrap();
        assert_eq!(ack, [0x40, 2, 0, 7]);
        daemon.write_all(&publish(8)).unwrap();
        let end = daemon.read(&mut ack).unwrap(); // the broker takes it and hangs up without a PUBACK
        assert_eq!(end, 0);
        let delivered = relay.delivered(0);
        assert_eq!(delivered.iter().map(|message| message.payload.to_vec()).collect::<Vec<_>>(), [[b'x', 7]]);
        assert_eq!(relay.traffic().look(|traffic| traffic.sent), 2);
    }

    #[test]
    fn a_stalled_link_passes_nothing_and_a_refusing_one_hangs_up() {
        let mut relay = Relay::start(sparing_broker(1));
        let mut daemon = TcpStream::connect(relay.address()).unwrap();
        relay.stall(true);
        daemon.write_all(&publish(7)).unwrap();
        daemon.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(daemon.read(&mut [0; 4]).is_err());
        relay.stall(false);
        daemon.set_read_timeout(None).unwrap();
        assert_eq!(daemon.read(&mut [0; 4]).unwrap(), 4);
        relay.refuse(true);
        let mut other = TcpStream::connect(relay.address()).unwrap();
        assert!(matches!(other.read(&mut [0; 4]), Ok(0) | Err(_)));
        assert!(matches!(daemon.read(&mut [0; 4]), Ok(0) | Err(_)));
        relay.close();
        assert_eq!(TcpStream::connect(relay.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        relay.open();
        TcpStream::connect(relay.address()).unwrap();
    }
}
