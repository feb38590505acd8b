//! Why a connection could not be made or ended, in sentences a technician can act on. Pure.
//!
//! Always true here: a sentence says what was found and what to look at, and holds no credential. Deliberately absent: the
//! library's own words, except where nothing better is known.

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no connection, or no longer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// A file that is read at every connection cannot be.
    #[error("{} cannot be read: {error}; check the path and its permissions", .path.display())]
    File {
        /// Password or CA file.
        path: PathBuf,
        /// As the system says it.
        error: String,
    },
    /// The CA file holds no certificate.
    #[error("{} holds no certificate in PEM form; put the CA certificate of the broker there", .0.display())]
    NoCertificate(PathBuf),
    /// TLS to an address in brackets.
    #[error("mqtts to a literal IPv6 address is not possible; give the broker a name")]
    TlsToIpv6,
    /// DNS.
    #[error("the name {host} is not known to DNS ({error}); check the name, the name server and the mobile link")]
    Name {
        /// Name asked for.
        host: String,
        /// As the resolver says it.
        error: String,
    },
    /// Nobody listens.
    #[error("the host refuses connections on this port; is the broker running, is the port right?")]
    PortClosed,
    /// No way there.
    #[error("there is no route to the host ({0}); check the link, the gateway and the VPN")]
    NoRoute(String),
    /// No complete handshake in time.
    #[error("no connection within {} s; check the link, firewalls, and whether the broker hangs", .0.as_secs())]
    NoAnswer(Duration),
    /// The broker speaks MQTT and refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The broker's certificate is not believed.
    #[error(transparent)]
    Certificate(#[from] Distrust),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}; is this the TLS port of the broker?")]
    Tls(String),
    /// Something else listens there.
    #[error("what answers there does not speak MQTT 3.1.1 ({0}); is the port right?")]
    NotMqtt(String),
    /// The peer closed before it accepted.
    #[error("the broker closed the connection before it accepted; is mqtt:// or mqtts:// right for this port?")]
    ClosedEarly,
    /// The peer closed.
    #[error(
        "the broker closed the connection; its log says why (another client with the same client-id, or a message it refuses?)"
    )]
    Closed,
    /// The peer closed in the middle of a packet.
    #[error("the connection ended in the middle of a packet; the link or the broker failed")]
    CutShort,
    /// The transport failed.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer to a ping.
    #[error("the broker did not answer a ping; the link is dead")]
    NoPong,
    /// Nothing acknowledged, nothing sent.
    #[error("no message was acknowledged and none could be sent for {} s, although the connection stands", .0.as_secs())]
    NoProgress(Duration),
    /// The client itself hangs.
    #[error("nothing happened on the connection for {} s, not even a ping", .0.as_secs())]
    Stuck(Duration),
    /// The broker broke the protocol.
    #[error("the broker breaks the protocol: {0}")]
    Protocol(String),
    /// Our own message is beyond what the protocol can carry.
    #[error("a message of {bytes} bytes is larger than the {limit} that can be sent")]
    TooLarge {
        /// Size of the packet.
        bytes: usize,
        /// Limit of the client.
        limit: usize,
    },
    /// A bug of ours or of the library.
    #[error("the MQTT client failed: {0}; please report this")]
    Bug(String),
}

impl Trouble {
    /// Whether what was in flight can have been the cause: a broker that does not like a message closes, or does not answer. One
    /// that breaks the protocol, or a link that is dead, says nothing about a message.
    pub(super) fn may_blame_a_message(&self) -> bool {
        matches!(self, Self::Closed | Self::CutShort | Self::Broken(_) | Self::NoProgress(_) | Self::TooLarge { .. } | Self::Bug(_))
    }
}

/// Return codes of CONNACK other than 0 (MQTT 3.1.1, 3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// 1
    #[error("the broker refuses MQTT 3.1.1; allow this version in its settings")]
    Version,
    /// 2
    #[error("the broker refuses the client-id; check uplink.client-id")]
    ClientId,
    /// 3
    #[error("the broker says that it is unavailable; it may be starting, or full")]
    Unavailable,
    /// 4
    #[error("the broker refuses username or password; check uplink.username and the password file")]
    Credentials,
    /// 5
    #[error("the broker does not allow this client; check its access rules, and uplink.username")]
    NotAllowed,
}

/// Why a certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    /// Signed by someone else.
    #[error("the broker's certificate is not signed by the CA in uplink.ca-file; is it the right file?")]
    Issuer,
    /// Too old, by our clock.
    #[error("the broker's certificate has expired; renew it (or the clock of this box is wrong)")]
    Expired,
    /// Too young, by our clock.
    #[error("the broker's certificate is not valid yet; the clock of this box is probably wrong")]
    NotYet,
    /// For another name.
    #[error("the broker's certificate is made out for another name; use that name in uplink.brokers")]
    Name,
    /// The broker wants one of ours.
    #[error("the broker wants a certificate of this client, which is not configured")]
    Ours,
    /// Anything else.
    #[error("the broker's certificate is not acceptable: {0}")]
    Other(String),
}
