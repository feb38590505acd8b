//! The real mosquitto, where it is installed; a printed word where it is not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::rig::{Rig, Shelf, brief, uplink};
use crate::config::model;

/// A mosquitto of our own with a plain and, if there are certificates, a TLS listener.
struct Mosquitto {
    child: Child,
    folder: tempfile::TempDir,
    plain: u16,
    tls: u16,
}

impl Mosquitto {
    /// `None`, and a printed word, when it is not installed.
    async fn start() -> Option<Self> {
        let Some(program) = program("mosquitto") else {
            println!("skipped: mosquitto is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (plain, tls) = (free_port(), free_port());
        let mut text = format!("user root\npersistence false\nallow_anonymous true\nlistener {plain} 127.0.0.1\n");
        if certificates(folder.path()) {
            let at = folder.path().display();
            write!(text, "listener {tls} 127.0.0.1\ncertfile {at}/server.pem\nkeyfile {at}/server.key\n").unwrap();
        }
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let child = spawn(&program, folder.path());
        let mosquitto = Self { child, folder, plain, tls };
        mosquitto.until_up().await;
        Some(mosquitto)
    }

    async fn until_up(&self) {
        let wait = async {
            while TcpStream::connect(("127.0.0.1", self.plain)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("mosquitto listens");
    }

    async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&program("mosquitto").unwrap(), self.folder.path());
        self.until_up().await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, folder: &Path) -> Child {
    let config = folder.join("mosquitto.conf");
    Command::new(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A CA, a certificate for `localhost` signed by it, and a CA that signed nothing. Whether openssl is there to make them.
fn certificates(folder: &Path) -> bool {
    let Some(openssl) = program("openssl") else { return false };
    let run = |line: &str| {
        let made = Command::new(&openssl).args(line.split(' ')).current_dir(folder).stderr(Stdio::null()).status();
        assert!(made.unwrap().success(), "openssl {line}");
    };
    let ca = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    run(&format!("req {ca} -keyout ca.key -out ca.pem -subj /CN=ca"));
    run(&format!("req {ca} -keyout other.key -out other.pem -subj /CN=other"));
    run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=server");
    std::fs::write(folder.join("leaf"), "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n").unwrap();
    run("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile leaf -out server.pem");
    true
}

/// Subscribes to everything (3.8) on a raw socket.
struct Subscriber(TcpStream);

impl Subscriber {
    async fn start(port: u16) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s").await.unwrap();
        socket.write_all(b"\x82\x06\x00\x01\x00\x01#\x01").await.unwrap();
        let mut answers = [0; 9];
        socket.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers, [0x20, 2, 0, 0, 0x90, 3, 0, 1, 1], "CONNACK and SUBACK");
        Self(socket)
    }

    /// The next PUBLISH: topic, payload, retained. It is acknowledged.
    async fn next(&mut self) -> (String, String, bool) {
        let first = self.0.read_u8().await.unwrap();
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.0.read_u8().await.unwrap();
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        assert_eq!(first >> 4, 3, "PUBLISH");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        let mut payload = end;
        if first & 2 != 0 {
            self.0.write_all(&[0x40, 2, body[end], body[end + 1]]).await.unwrap();
            payload += 2;
        }
        (text(&body[2..end]), text(&body[payload..]), first & 1 == 1)
    }

    /// Collects the numbers of the sweeps that arrive until all of these have.
    async fn until(&mut self, wanted: &BTreeSet<u64>) {
        let mut missing = wanted.clone();
        let wait = async {
            while !missing.is_empty() {
                let (topic, payload, _) = self.next().await;
                if topic.ends_with("/data") {
                    let data: serde_json::Value = serde_json::from_str(&payload).unwrap();
                    for sweep in data["sweeps"].as_array().unwrap() {
                        missing.remove(&sweep["values"]["mark"].as_u64().unwrap());
                    }
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
        assert!(waited.is_ok(), "did not arrive: {missing:?}");
    }
}

#[tokio::test]
async fn the_real_broker_gets_everything_through_a_restart_and_keeps_what_is_retained() {
    let Some(mut mosquitto) = Mosquitto::start().await else { return };
    let shelf = Shelf::new().stock(0..50, "x").await;
    let mut subscriber = Subscriber::start(mosquitto.plain).await;
    let rig = shelf.start(uplink(&[mosquitto.plain]), brief());
    (50..100).for_each(|mark| rig.take(mark, "x"));
    subscriber.until(&(0..100).collect()).await;
    rig.until_held(0).await;

    mosquitto.restart().await;
    let mut subscriber = Subscriber::start(mosquitto.plain).await;
    (100..200).for_each(|mark| rig.take(mark, "x"));
    subscriber.until(&(100..200).collect()).await;
    rig.until_held(0).await;

    rig.finish.cancel();
    tokio::time::timeout(Duration::from_secs(10), rig.task).await.expect("it ends by itself").unwrap();
    let mut late = Subscriber::start(mosquitto.plain).await;
    let retained = [late.next().await, late.next().await];
    let status = retained.iter().find(|(topic, _, _)| topic == "districtd/d/g/status").expect("status is retained");
    assert!(status.1.contains(r#""online":false"#) && status.2, "{status:?}");
    assert!(retained.iter().any(|(topic, _, _)| topic.starts_with("districtd/d/g/meters/")), "{retained:?}");
}

#[tokio::test]
async fn tls_works_with_the_right_ca_and_says_what_is_wrong_otherwise() {
    let Some(mosquitto) = Mosquitto::start().await else { return };
    if !mosquitto.file("ca.pem").exists() {
        println!("skipped: openssl is not installed");
        return;
    }
    let secure = |host: &str, ca: &str| {
        let broker = model::Broker { tls: true, host: host.into(), port: mosquitto.tls };
        model::Uplink { brokers: vec![broker], ca_file: Some(mosquitto.file(ca)), ..uplink(&[]) }
    };
    let wrong = Rig::start(secure("localhost", "other.pem"), brief());
    wrong.until_trouble("not signed by the CA in uplink.ca-file").await;
    let misnamed = Rig::start(secure("127.0.0.1", "ca.pem"), brief());
    misnamed.until_trouble("made out for another name").await;
    let empty = Rig::start(secure("localhost", "ca.key"), brief());
    empty.until_trouble("holds no certificate in PEM form").await;
    let missing = Rig::start(secure("localhost", "nowhere.pem"), brief());
    missing.until_trouble("nowhere.pem cannot be read").await;
    let mut crossed = secure("localhost", "ca.pem");
    crossed.brokers[0].port = mosquitto.plain;
    let crossed = Rig::start(crossed, brief());
    crossed.until_trouble("is mqtt:// or mqtts:// right for this port").await;
    let crossed = Rig::start(uplink(&[mosquitto.tls]), brief());
    crossed.until_trouble("is mqtt:// or mqtts:// right for this port").await;

    let mut subscriber = Subscriber::start(mosquitto.plain).await;
    let right = Rig::start(secure("localhost", "ca.pem"), brief());
    right.take(7, "x");
    subscriber.until(&BTreeSet::from([7])).await;
    right.until_held(0).await;

    // Put in place while the daemon runs: the file is read anew at every connection.
    std::fs::copy(mosquitto.file("ca.pem"), mosquitto.file("nowhere.pem")).unwrap();
    missing.take(8, "x");
    subscriber.until(&BTreeSet::from([8])).await;
}
