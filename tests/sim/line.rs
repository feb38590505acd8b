//! What an RTU slave hangs on: the master side of a pty, or a serial device server that speaks RTU over TCP.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What was heard on a line.
#[derive(Debug)]
pub enum Heard {
    /// Bytes, and when they came.
    Bytes(Vec<u8>, Instant),
    /// The other side closed its port or connection.
    Closed,
}

/// How something is said on a line.
pub type Voice = Box<dyn FnMut(&[u8]) + Send>;

/// Both directions of a line.
pub struct Line {
    /// What the other side says.
    pub heard: Receiver<Heard>,
    /// Says something; nobody there to hear it is no error, as on a real line.
    pub speak: Voice,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("line")
    }
}

/// A serial line: the path is the port that the daemon opens.
pub fn pty() -> (Line, PathBuf) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    let mut voice = File::from(master.try_clone().unwrap());
    let (tell, heard) = channel();
    thread::spawn(move || listen_to_pty(master, &tell));
    (Line { heard, speak: Box::new(move |bytes| drop(voice.write_all(bytes))) }, path)
}

/// A pty master reads EIO for as long as nobody has the port open, and offers nothing to wait for: it is asked again now and then.
fn listen_to_pty(master: OwnedFd, tell: &Sender<Heard>) {
    let mut master = File::from(master);
    let mut open = false;
    loop {
        if let Ok(bytes) = hear(&mut master) {
            open = true;
            if tell.send(Heard::Bytes(bytes, Instant::now())).is_err() {
                return;
            }
            continue;
        }
        if std::mem::take(&mut open) && tell.send(Heard::Closed).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A serial device server with one connection at a time; a new one takes the line over, and hears what the slave says late.
pub fn device_server() -> (Line, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let current: Arc<Mutex<Option<TcpStream>>> = Arc::default();
    let (tell, heard) = channel();
    let place = Arc::clone(&current);
    thread::spawn(move || serve_connections(&listener, &place, &tell));
    let speak = move |bytes: &[u8]| {
        if let Some(stream) = current.lock().unwrap().as_mut() {
            stream.write_all(bytes).ok();
        }
    };
    (Line { heard, speak: Box::new(speak) }, address)
}

fn serve_connections(listener: &TcpListener, place: &Mutex<Option<TcpStream>>, tell: &Sender<Heard>) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        stream.set_nodelay(true).ok();
        if let Some(old) = place.lock().unwrap().replace(stream.try_clone().unwrap()) {
            old.shutdown(std::net::Shutdown::Both).ok();
        }
        let tell = tell.clone();
        thread::spawn(move || {
            while let Ok(bytes) = hear(&mut stream) {
                tell.send(Heard::Bytes(bytes, Instant::now())).ok();
            }
            tell.send(Heard::Closed).ok();
        });
    }
}

fn hear(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 512];
    let count = from.read(&mut bytes)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(count);
    Ok(bytes)
}
