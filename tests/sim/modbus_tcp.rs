//! An honest Modbus TCP server (Messaging on TCP/IP V1.0b, 3.1): any number of units behind one endpoint, one request at a time.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::image::Image;
use super::ledger::Ledger;
use super::pdu::{self, Read};

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct ModbusTcp {
    address: SocketAddr,
    desk: Arc<Desk>,
}

struct Desk {
    line: String,
    image: Box<dyn Image>,
    ledger: Arc<Ledger>,
    /// Requests answered so far, by unit.
    moments: Mutex<BTreeMap<u8, u64>>,
    connections: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "modbus server {}", self.line)
    }
}

impl ModbusTcp {
    /// Listens on a free port of the loopback; `line` names it in the ledger.
    pub fn start(line: &str, image: impl Image + 'static, ledger: &Arc<Ledger>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), line, image, ledger)
    }

    /// Listens at `address`, where nobody listened before.
    pub fn start_at(address: SocketAddr, line: &str, image: impl Image + 'static, ledger: &Arc<Ledger>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            line: line.to_owned(),
            image: Box::new(image),
            ledger: Arc::clone(ledger),
            moments: Mutex::default(),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&desk);
        thread::spawn(move || accept(&listener, &accepting));
        Self { address, desk }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ModbusTcp {
    fn drop(&mut self) {
        self.desk.ended.store(true, Ordering::SeqCst);
        for connection in self.desk.connections.lock().unwrap().drain(..) {
            connection.shutdown(std::net::Shutdown::Both).ok();
        }
        TcpStream::connect(self.address).ok(); // wakes the acceptor
    }
}

fn accept(listener: &TcpListener, desk: &Arc<Desk>) {
    for stream in listener.incoming() {
        if desk.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        desk.connections.lock().unwrap().push(stream.try_clone().unwrap());
        let desk = Arc::clone(desk);
        thread::spawn(move || {
            let wire = desk.ledger.wire();
            desk.serve(wire, stream).ok();
            desk.ledger.closed(wire);
        });
    }
}

impl Desk {
    fn serve(&self, wire: u64, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        loop {
            let mut head = [0; 7];
            stream.read_exact(&mut head)?;
            let [t1, t2, 0, 0, l1, l2, unit] = head else { return Ok(()) };
            let length = usize::from(u16::from_be_bytes([l1, l2]));
            if !(2..=254).contains(&length) {
                return Ok(());
            }
            let mut request = vec![0; length - 1];
            stream.read_exact(&mut request)?;
            self.ledger.asked(wire);
            let (answer, count) = self.answer(unit, &request);
            let [l1, l2] = u16::try_from(answer.len() + 1).unwrap().to_be_bytes();
            let mut adu = vec![t1, t2, 0, 0, l1, l2, unit];
            adu.extend(answer);
            stream.write_all(&adu)?;
            if let Some(count) = count {
                self.ledger.answered(wire, (self.line.clone(), unit), count);
            }
        }
    }

    /// The answer PDU, and the count that it holds as a whole.
    fn answer(&self, unit: u8, request: &[u8]) -> (Vec<u8>, Option<u64>) {
        let function = request.first().copied().unwrap_or_default();
        let read = match Read::parse(request) {
            Ok(read) if self.image.knows(unit) => read,
            Ok(_) => return (pdu::exception(function, pdu::TARGET_SILENT), None),
            Err(code) => return (pdu::exception(function, code), None),
        };
        let mut moments = self.moments.lock().unwrap();
        let moment = moments.entry(unit).or_default();
        *moment += 1;
        let answer = read.answer(|address| self.image.word(unit, read.table, address, *moment));
        let good = answer.first() == Some(&function);
        let counted = self.image.count_at(unit).is_some_and(|(table, address, width)| read.covers(table, address, width));
        (answer, (good && counted).then_some(*moment))
    }
}

#[cfg(test)]
mod tests {
    use super::super::image::Counting;
    use super::*;

    fn exchange(stream: &mut TcpStream, request: &[u8], answer: usize) -> Vec<u8> {
        stream.write_all(request).unwrap();
        let mut got = vec![0; answer];
        stream.read_exact(&mut got).unwrap();
        got
    }

    #[test]
    fn a_count_grows_with_every_answer_and_is_handed_out_by_the_next_request() {
        let ledger = Arc::new(Ledger::default());
        let server = ModbusTcp::start("line", Counting { units: 2 }, &ledger);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let request = [0x12, 0x34, 0, 0, 0, 6, 2, 3, 0, 0, 0, 4];
        // transaction, protocol, length 11, unit, function, 8 bytes, count 1
        assert_eq!(exchange(&mut stream, &request, 17), [0x12, 0x34, 0, 0, 0, 11, 2, 3, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(ledger.total(), 0);
        assert_eq!(exchange(&mut stream, &request, 17).last(), Some(&2));
        assert_eq!(ledger.total(), 1);
    }

    #[test]
    fn an_unknown_unit_and_an_unknown_address_are_refused() {
        let ledger = Arc::new(Ledger::default());
        let server = ModbusTcp::start("line", Counting { units: 2 }, &ledger);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        assert_eq!(exchange(&mut stream, &[0, 1, 0, 0, 0, 6, 9, 3, 0, 0, 0, 4], 9), [0, 1, 0, 0, 0, 3, 9, 0x83, 11]);
        assert_eq!(exchange(&mut stream, &[0, 2, 0, 0, 0, 6, 1, 4, 4, 0, 0, 4], 9), [0, 2, 0, 0, 0, 3, 1, 0x84, 2]);
    }
}
