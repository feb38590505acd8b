//! One MQTT 3.1.1 connection (the library is used in this file only).
//!
//! Always true here: a [`Wire`] is one connection, with a fresh client and event loop that die with it, so nothing the library keeps
//! over a reconnect can outlive it; the future that polls the library is never dropped half way, except with the whole wire, because
//! it may hold a half-written packet; certificates and password are read anew for each wire. Deliberately absent: reconnecting,
//! time-outs (both are the task's), and any queue: at most one message waits here.

use std::fs;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Outgoing, Packet,
    QoS, StateError, TlsConfiguration, TlsError, Transport, mqttbytes,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio_util::sync::ReusableBoxFuture;

use super::encode::Message;
use super::trouble::{Distrust, Refusal, Trouble};
use super::window::IDENTIFIERS;
use crate::config::model::{Broker, Uplink};

/// Nothing is subscribed to, so what comes in is small.
const MOST_IN: usize = 64 * 1024;

/// What a packet of the protocol can carry (MQTT 3.1.1, 2.2.3). What a broker takes is its own affair.
const MOST_OUT: usize = 268_435_455;

/// Seconds after which the library itself would give up a connect or a flush: never before the task does.
const PATIENCE: u64 = 24 * 3600;

/// What was heard on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// CONNACK with return code 0.
    Accepted,
    /// The last byte of a PUBLISH under this identifier went to the socket.
    Sent(u16),
    /// PUBACK.
    Acked(u16),
    /// DISCONNECT went to the socket.
    Parted,
    /// Pings and the like: a sign of life, but no progress.
    Life,
}

type Turn = (Box<EventLoop>, Result<Event, ConnectionError>);

/// One connection.
pub(super) struct Wire {
    client: AsyncClient,
    turn: ReusableBoxFuture<'static, Turn>,
    ending: Option<Ending>,
}

/// The library gave up; what it had already heard is still to be handed out.
struct Ending {
    rest: Vec<Event>,
    trouble: Trouble,
}

impl Wire {
    /// Prepares a connection; it is made by the first [`Wire::next`].
    ///
    /// # Errors
    /// When password or CA file cannot be used.
    pub(super) fn new(uplink: &Uplink, broker: &Broker, will: Message) -> Result<Self, Trouble> {
        let options = options(uplink, broker, will)?;
        let (client, mut event_loop) = AsyncClient::new(options, 1);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(PATIENCE);
        event_loop.set_network_options(network);
        let turn = ReusableBoxFuture::new(turn(Box::new(event_loop)));
        Ok(Self { client, turn, ending: None })
    }

    /// Whether a message can still go out. After the end, [`Wire::next`] may have a few things left that were heard before.
    pub(super) fn is_open(&self) -> bool {
        self.ending.is_none()
    }

    /// Hands over one message. Not to be called again before [`Heard::Sent`].
    ///
    /// # Errors
    /// When one is still waiting.
    pub(super) fn publish(&self, message: Message) -> Result<(), Trouble> {
        let Message { topic, payload, retained } = message;
        let handed = self.client.try_publish(topic, QoS::AtLeastOnce, retained, payload);
        handed.map_err(|_| Trouble::Bug("it does not take a message".into()))
    }

    /// Says DISCONNECT behind what was handed over: the broker forgets the last will.
    ///
    /// # Errors
    /// When a message is still waiting.
    pub(super) fn part(&self) -> Result<(), Trouble> {
        self.client.try_disconnect().map_err(|_| Trouble::Bug("it does not take a disconnect".into()))
    }

    /// Waits for what happens next, and makes it happen: connects, writes, reads. Dropping this future loses nothing and interrupts
    /// nothing: the library's own future stays here and is continued by the next call.
    ///
    /// # Errors
    /// The end of the connection; the wire is of no use afterwards.
    pub(super) async fn next(&mut self) -> Result<Heard, Trouble> {
        loop {
            let event = match &mut self.ending {
                Some(ending) if ending.rest.is_empty() => return Err(ending.trouble.clone()),
                Some(ending) => ending.rest.remove(0),
                None => match poll_fn(|context| self.poll(context)).await {
                    Some(event) => event,
                    None => continue,
                },
            };
            return heard(&event);
        }
    }

    /// One event; `None` when the connection ended, which `ending` then tells.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        // After a panic the future is not polled again: `ending` is set.
        let polled = catch_unwind(AssertUnwindSafe(|| self.turn.poll(context)));
        let (mut event_loop, result) = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(turn)) => turn,
            Err(_) => {
                self.ending = Some(Ending { rest: Vec::new(), trouble: Trouble::Bug("it panicked".into()) });
                return Poll::Ready(None);
            }
        };
        match result {
            Ok(event) => {
                self.turn.set(turn(event_loop));
                Poll::Ready(Some(event))
            }
            Err(error) => {
                // What was read together with the end (acknowledgements before a FIN) counts: it was heard on this connection.
                let rest = event_loop.state.events.drain(..).collect();
                self.ending = Some(Ending { rest, trouble: trouble(&error, &event_loop) });
                Poll::Ready(None)
            }
        }
    }
}

async fn turn(mut event_loop: Box<EventLoop>) -> Turn {
    let result = event_loop.poll().await;
    (event_loop, result)
}

fn heard(event: &Event) -> Result<Heard, Trouble> {
    Ok(match event {
        Event::Incoming(Packet::ConnAck(_)) => Heard::Accepted,
        Event::Incoming(Packet::PubAck(ack)) => Heard::Acked(ack.pkid),
        Event::Outgoing(Outgoing::Publish(packet)) => Heard::Sent(*packet),
        Event::Outgoing(Outgoing::Disconnect) => Heard::Parted,
        Event::Outgoing(Outgoing::AwaitAck(packet)) => {
            return Err(Trouble::Bug(format!("it used packet {packet} twice")));
        }
        Event::Incoming(_) | Event::Outgoing(_) => Heard::Life,
    })
}

fn options(uplink: &Uplink, broker: &Broker, will: Message) -> Result<MqttOptions, Trouble> {
    let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.clone() };
    let mut options = MqttOptions::new(&uplink.client_id, host, broker.port);
    options.set_keep_alive(uplink.keep_alive);
    options.set_clean_session(true);
    options.set_max_packet_size(MOST_IN, MOST_OUT);
    options.set_inflight(IDENTIFIERS);
    options.set_last_will(LastWill::new(will.topic, will.payload, QoS::AtLeastOnce, will.retained));
    if let Some(username) = &uplink.username {
        options.set_credentials(username, password(uplink.password_file.as_deref())?);
    }
    if broker.tls {
        options.set_transport(Transport::tls_with_config(tls(broker, uplink.ca_file.as_deref())?));
    }
    Ok(options)
}

/// A final line end is not part of a password.
fn password(path: Option<&Path>) -> Result<String, Trouble> {
    let Some(path) = path else { return Ok(String::new()) };
    let mut text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn tls(broker: &Broker, ca_file: Option<&Path>) -> Result<TlsConfiguration, Trouble> {
    if broker.host.contains(':') {
        return Err(Trouble::TlsToIpv6);
    }
    let path = ca_file.unwrap_or(Path::new("(no uplink.ca-file)"));
    let pem = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| Trouble::NoCertificate(path.to_owned()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Trouble::NoCertificate(path.to_owned()));
    }
    // The provider is named here, so that it does not depend on what else is linked.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Trouble::Tls(error.to_string()))?;
    Ok(TlsConfiguration::from(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::File { path: path.to_owned(), error: error.to_string() }
}

fn trouble(error: &ConnectionError, event_loop: &EventLoop) -> Trouble {
    match error {
        ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error)) => {
            from_io(error, &event_loop.mqtt_options.broker_address().0)
        }
        ConnectionError::Tls(error) => Trouble::Tls(error.to_string()),
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NotConnAck(_) => Trouble::NotMqtt("its first packet is no CONNACK".into()),
        ConnectionError::NetworkTimeout => Trouble::NoAnswer(Duration::from_secs(event_loop.network_options.connection_timeout())),
        ConnectionError::FlushTimeout => Trouble::Broken("the peer takes no more bytes".into()),
        ConnectionError::MqttState(error) => from_state(error),
        ConnectionError::RequestsDone => Trouble::Bug(error.to_string()),
    }
}

fn from_state(error: &StateError) -> Trouble {
    match error {
        StateError::ConnectionAborted => Trouble::Closed,
        StateError::AwaitPingResp => Trouble::NoPong,
        StateError::Unsolicited(packet) => Trouble::Protocol(format!("it acknowledged packet {packet}, which was not on its way")),
        StateError::WrongPacket => Trouble::Protocol("it sent a packet that only clients send".into()),
        StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)) => from_io(error, ""),
        StateError::Deserialization(mqttbytes::Error::OutgoingPacketTooLarge { pkt_size, max }) => {
            Trouble::TooLarge { bytes: *pkt_size, limit: *max }
        }
        StateError::Deserialization(error) => Trouble::NotMqtt(error.to_string()),
        StateError::InvalidState | StateError::CollisionTimeout | StateError::EmptySubscription => Trouble::Bug(error.to_string()),
    }
}

fn from_io(error: &std::io::Error, host: &str) -> Trouble {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut, UnexpectedEof};
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return from_tls(error);
    }
    let text = error.to_string();
    match error.kind() {
        ConnectionRefused => Trouble::PortClosed,
        HostUnreachable | NetworkUnreachable | TimedOut => Trouble::NoRoute(text),
        ConnectionReset | UnexpectedEof => Trouble::Closed,
        _ if text.contains("bytes remaining on stream") => Trouble::CutShort,
        _ if text.contains("failed to lookup") => Trouble::Name { host: host.into(), error: text },
        _ => Trouble::Broken(text),
    }
}

fn from_tls(error: &rustls::Error) -> Trouble {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => Trouble::Certificate(match bad {
            Bad::UnknownIssuer | Bad::BadSignature => Distrust::Issuer,
            Bad::Expired | Bad::ExpiredContext { .. } => Distrust::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => Distrust::NotYet,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Distrust::Name,
            other => Distrust::Other(other.to_string()),
        }),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Trouble::Certificate(Distrust::Ours),
        other => Trouble::Tls(other.to_string()),
    }
}

fn refused(code: ConnectReturnCode) -> Trouble {
    Trouble::Refused(match code {
        ConnectReturnCode::RefusedProtocolVersion => Refusal::Version,
        ConnectReturnCode::BadClientId => Refusal::ClientId,
        ConnectReturnCode::ServiceUnavailable => Refusal::Unavailable,
        ConnectReturnCode::BadUserNamePassword => Refusal::Credentials,
        ConnectReturnCode::NotAuthorized => Refusal::NotAllowed,
        ConnectReturnCode::Success => return Trouble::Bug("it took an accepted connection for a refused one".into()),
    })
}
