//! `[uplink]`

use std::net::Ipv6Addr;
use std::time::Duration;

use super::Judge;
use super::section::Section;
use crate::config::finding::{Code, Place};
use crate::config::model::{Broker, Uplink};
use crate::config::quantity;
use crate::config::tree::Item;

const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// MQTT counts it in seconds, in 16 bits.
const KEEP_ALIVE: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(18 * 3600);
const DEFAULT_BATCH_AGE: Duration = Duration::from_millis(500);
const BATCH_AGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(30);
const LONGEST_ID: usize = 128;
const LONGEST_USERNAME: usize = 1024;

impl Judge<'_> {
    pub(super) fn uplink(&mut self, section: &Section, gateway: Option<&str>, window: Option<Duration>) -> Option<Uplink> {
        self.missing_keys(section);
        let brokers = self.brokers(section);
        self.tls(section, brokers.as_deref());
        self.credentials(section);
        let client_id = match section.node("client-id") {
            Some(_) => self.plain_text(section, "client-id", LONGEST_ID),
            None => gateway.map(|name| format!("districtd-{name}")),
        };
        let username = self.plain_text(section, "username", LONGEST_USERNAME);
        let password_file = self.path(section, "password-file");
        let ca_file = self.path(section, "ca-file");
        let keep_alive = self.keep_alive(section);
        let batch_age = self.batch_age(section, window);
        Some(Uplink {
            brokers: brokers?,
            client_id: client_id?,
            username,
            password_file,
            ca_file,
            keep_alive: keep_alive?,
            batch_age: batch_age?,
        })
    }

    fn brokers(&mut self, section: &Section) -> Option<Vec<Broker>> {
        let nodes = section.list("brokers")?;
        if nodes.is_empty() {
            self.findings
                .error(Code::BadValue, section.place("brokers")?, "`uplink.brokers` is empty")
                .label("expected at least one broker")
                .help("for example `brokers = [\"mqtt://127.0.0.1:1883\"]`");
            return None;
        }
        let mut brokers = Vec::new();
        let mut all_right = true;
        for node in nodes {
            let Item::Text(url) = &node.item else { continue };
            match parse(url) {
                Ok(broker) => {
                    self.doubts(&broker, &brokers, &node.value);
                    brokers.push(broker);
                }
                Err(Refused { why, remedy }) => {
                    all_right = false;
                    let title = format!("\"{}\" is not the address of a broker", without_password(url));
                    self.findings.error(Code::BadValue, &node.value, title).label(why).help(remedy);
                }
            }
        }
        all_right.then_some(brokers)
    }

    fn doubts(&mut self, broker: &Broker, before: &[Broker], place: &Place) {
        if before.contains(broker) {
            self.findings
                .warning(Code::Duplicate, place, format!("broker {broker} is listed twice"))
                .label("listed before")
                .help("remove one of the two");
        }
        let (usual, scheme) = if broker.tls { (1883, "mqtt") } else { (8883, "mqtts") };
        if broker.port == usual {
            self.findings
                .warning(Code::Doubtful, place, format!("port {usual} is the usual port of {scheme}://, not of this scheme"))
                .label("scheme and port do not go together")
                .help(format!("did you mean \"{scheme}://{}:{usual}\"?", broker.host));
        }
    }

    fn tls(&mut self, section: &Section, brokers: Option<&[Broker]>) {
        let Some(brokers) = brokers else { return };
        let tls = brokers.iter().any(|broker| broker.tls);
        match (tls, section.node("ca-file")) {
            (true, None) if !self.context.spoken.of(&["uplink", "ca-file"]) => {
                let Some(place) = section.place("brokers") else { return };
                self.findings
                    .error(
                        Code::MissingKey,
                        place,
                        "`uplink.ca-file` is missing: without it no broker's certificate can be trusted",
                    )
                    .label("mqtts:// needs `ca-file`")
                    .help(concat!(
                        "add `ca-file = \"/etc/districtd/ca.pem\"` with the certificate of your own authority, ",
                        "or `ca-file = \"/etc/ssl/certs/ca-certificates.crt\"` for a broker with a public certificate"
                    ));
            }
            (false, Some(node)) => {
                self.findings
                    .warning(Code::Unused, &node.key, "`uplink.ca-file` is not used: no broker is mqtts://")
                    .label("only for mqtts://")
                    .help("write mqtts:// to encrypt the connection, or remove the line");
            }
            _ => {}
        }
    }

    fn credentials(&mut self, section: &Section) {
        match (section.node("username"), section.node("password-file")) {
            (Some(node), None) if !self.context.spoken.of(&["uplink", "password-file"]) => {
                self.findings
                    .warning(Code::Doubtful, &node.key, "`uplink.username` without `password-file`: no password is sent")
                    .label("sent alone")
                    .help("write the password into a file that districtd alone can read, and add `password-file = \"/etc/districtd/password\"`");
            }
            (None, Some(node)) if !self.context.spoken.of(&["uplink", "username"]) => {
                self.findings
                    .error(
                        Code::Conflict,
                        &node.key,
                        "`uplink.password-file` without `username`: MQTT 3.1.1 sends no password alone",
                    )
                    .label("needs `username`")
                    .help("add `username = \"..\"`, or remove the line");
            }
            _ => {}
        }
    }

    fn keep_alive(&mut self, section: &Section) -> Option<Duration> {
        if section.node("keep-alive").is_none() {
            return Some(DEFAULT_KEEP_ALIVE);
        }
        let time = self.duration(section, "keep-alive", KEEP_ALIVE)?;
        if time.subsec_millis() == 0 {
            return Some(time);
        }
        self.findings
            .error(
                Code::BadValue,
                section.place("keep-alive")?,
                "`uplink.keep-alive` has a part of a second, which MQTT cannot say",
            )
            .label("expected whole seconds")
            .help(format!("write `keep-alive = \"{}s\"`", time.as_secs() + 1));
        None
    }

    fn batch_age(&mut self, section: &Section, window: Option<Duration>) -> Option<Duration> {
        if section.node("batch-age").is_none() {
            return Some(window.map_or(DEFAULT_BATCH_AGE, |window| DEFAULT_BATCH_AGE.min(window / 2)));
        }
        let age = self.duration(section, "batch-age", BATCH_AGE)?;
        let Some(window) = window.filter(|window| age > *window / 2) else { return Some(age) };
        let (half, twice) = (quantity::show(window / 2), quantity::show(age * 2));
        self.findings
            .error(
                Code::OutOfRange,
                section.place("batch-age")?,
                format!(
                    "`uplink.batch-age` is {}, more than half of `spool.window` ({}): the other half is the broker's time to acknowledge",
                    quantity::show(age),
                    quantity::show(window)
                ),
            )
            .label(format!("expected at most {half}"))
            .help(format!("write `batch-age = \"{half}\"`, or `window = \"{twice}\"` in [spool]"));
        None
    }
}

/// Why a URL is refused, and what to write instead.
struct Refused {
    why: &'static str,
    remedy: String,
}

fn refuse(why: &'static str, remedy: impl Into<String>) -> Refused {
    Refused { why, remedy: remedy.into() }
}

fn parse(url: &str) -> Result<Broker, Refused> {
    let (tls, rest) = scheme(url)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err(refuse(
            "no user or password here",
            "set `username` and `password-file` instead: logs and status show this line",
        ));
    }
    let default = if tls { 8883 } else { 1883 };
    match super::bus::host_and_port(rest) {
        Some((host, port)) => match port.map_or(Some(default), |port| port.parse::<u16>().ok().filter(|port| *port > 0)) {
            Some(port) => Ok(Broker { tls, host: host.to_owned(), port }),
            None => Err(refuse("expected a port from 1 to 65535", format!("without a port {default} is taken"))),
        },
        None if rest.parse::<Ipv6Addr>().is_ok() => {
            Err(refuse("an IPv6 address needs brackets", format!("write \"{}://[{rest}]\"", if tls { "mqtts" } else { "mqtt" })))
        }
        None => Err(refuse("expected a host name or address, and a port if need be", "for example \"mqtt://10.4.2.1:1883\"")),
    }
}

/// Titles go to the log, and a password does not belong there.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}...{}", url.get(..scheme + 3).unwrap_or_default(), url.get(at..).unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

fn scheme(url: &str) -> Result<(bool, &str), Refused> {
    match url.split_once("://") {
        Some(("mqtt", rest)) => Ok((false, rest)),
        Some(("mqtts", rest)) => Ok((true, rest)),
        Some(("tcp", rest)) => Err(refuse("expected mqtt:// or mqtts://", format!("write \"mqtt://{rest}\""))),
        Some(("ssl" | "tls", rest)) => Err(refuse("expected mqtt:// or mqtts://", format!("write \"mqtts://{rest}\""))),
        Some(_) => Err(refuse("expected mqtt:// or mqtts://", "MQTT over TCP or TLS is what districtd speaks")),
        None => Err(refuse("expected mqtt:// or mqtts:// before the host", format!("write \"mqtt://{url}\", or mqtts:// for TLS"))),
    }
}
