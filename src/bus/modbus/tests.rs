//! One request against slaves that mean harm, and against scripts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;

use super::hostile::{Manner, Seen, Slave, value};
use super::*;
use crate::bus::answer::function;
use crate::bus::link::scripted::{Ports, pseudo_terminal};
use crate::config::model::{Line, Parity, Serial, Tcp};

const TIMEOUT: Duration = Duration::from_millis(5);
const QUARANTINE: Duration = Duration::from_millis(15);

fn bus(line: Line) -> Bus {
    Bus { name: "b".into(), line, timeout: TIMEOUT, quarantine: QUARANTINE, overload_is_allowed: false, meters: Vec::new() }
}

fn serial(path: &std::path::Path, baud: u32) -> Line {
    Line::Serial(Serial { path: path.to_owned(), baud, parity: Parity::None, data_bits: 8, stop_bits: 1 })
}

fn tcp(port: u16, framing: Framing) -> Line {
    Line::Tcp(Tcp { host: "127.0.0.1".into(), port, framing })
}

fn hostile(framing: Framing) -> Manner {
    Manner { framing, evil: 30, timeout: TIMEOUT, late: (1.1, 3.0), repeat_within: Duration::from_millis(1) }
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Account {
    right: u64,
    wrong: u64,
    failed: u64,
}

/// Asks three units for few shapes, so that mix-ups have every chance, and judges each value by the slave's own count.
async fn interrogate(master: &mut Master, seen: &Seen, requests: u64, seed: u64) -> Account {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut account = Account::default();
    for _ in 0..requests {
        let unit = random.u8(1..=3);
        let table = [Table::Holding, Table::Input, Table::Input, Table::Coil][random.usize(0..4)];
        let count = if table.is_bits() { 16 } else { [1, 2, 2, 4][random.usize(0..4)] };
        let ask = Ask { table, address: random.u16(0..5), count };
        let heard = master.ask(unit, Duration::ZERO, ask).await;
        let moment = seen.requests.load(Ordering::SeqCst);
        match heard {
            Heard::Fault(_) | Heard::Nothing => account.failed += 1,
            heard if heard == expected(unit, ask, moment) => account.right += 1,
            wrong => {
                account.wrong += 1;
                println!("unit {unit} {ask:?}: {wrong:?}, expected {:?}", expected(unit, ask, moment));
            }
        }
    }
    account
}

fn expected(unit: u8, ask: Ask, moment: u64) -> Heard {
    let value = |i: u16| value(unit, function(ask.table), ask.address + i, moment);
    if ask.table.is_bits() {
        Heard::Bits((0..ask.count).map(|i| value(i / 8) >> (i % 8) & 1 == 1).collect())
    } else {
        Heard::Words((0..ask.count).map(value).collect())
    }
}

fn assert_nothing_wrong(account: Account, requests: u64) {
    println!("{account:?}");
    assert_eq!(account.wrong, 0, "{account:?}");
    assert!(account.right > requests / 2, "{account:?}");
}

/// A scripted serial line at 9600 baud with a hostile slave at its end, in virtual time.
async fn hostile_script(manner: Manner, requests: u64, seed: u64) -> Account {
    println!("seed {seed}");
    let ports = Ports::new(Framing::Rtu, false);
    let wire = ports.next();
    let (mut slave, seen) = Slave::new(manner, seed);
    let mut master = Master::new(&bus(serial("script".as_ref(), 9600)), Source::Scripted(ports));
    master.open().await.unwrap();
    tokio::select! {
        account = interrogate(&mut master, &seen, requests, seed) => account,
        () = slave.serve(wire) => panic!("the master closed the line"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_slave_never_makes_a_wrong_value() {
    let account = hostile_script(hostile(Framing::Rtu), 20_000, fastrand::u64(..)).await;
    assert_nothing_wrong(account, 20_000);
}

#[tokio::test(start_paused = true)]
async fn an_answer_later_than_the_quarantine_is_caught_by_the_canary() {
    let manner = Manner { late: (3.0, 14.0), ..hostile(Framing::Rtu) };
    let account = hostile_script(manner, 20_000, fastrand::u64(..)).await;
    assert_nothing_wrong(account, 20_000);
}

/// Serves on a thread of its own, as a slave would.
fn serve_elsewhere<F: Future<Output = ()>>(serve: impl FnOnce() -> F + Send + 'static) {
    std::thread::spawn(move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve()));
}

#[tokio::test]
async fn a_hostile_slave_on_a_terminal_never_makes_a_wrong_value() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (path_out, path) = std::sync::mpsc::channel();
    let (mut slave, seen) = Slave::new(hostile(Framing::Rtu), seed);
    serve_elsewhere(move || async move {
        let (wire, path, _keeps_it_open) = pseudo_terminal();
        path_out.send(path).unwrap();
        slave.serve(wire).await;
    });
    let line = serial(&path.recv().unwrap(), 115_200);
    let mut master = Master::new(&bus(line.clone()), Source::Line(line));
    master.open().await.unwrap();
    let account = interrogate(&mut master, &seen, 2_000, seed).await;
    println!("overdue: {}", seen.overdue.load(Ordering::Relaxed));
    assert_nothing_wrong(account, 2_000);
}

async fn hostile_socket(framing: Framing, requests: u64) -> Account {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (port_out, port) = std::sync::mpsc::channel();
    let (mut slave, seen) = Slave::new(hostile(framing), seed);
    serve_elsewhere(move || async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        port_out.send(listener.local_addr().unwrap().port()).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            slave.serve(stream).await;
        }
    });
    let line = tcp(port.recv().unwrap(), framing);
    let mut master = Master::new(&bus(line.clone()), Source::Line(line));
    master.open().await.unwrap();
    interrogate(&mut master, &seen, requests, seed).await
}

#[tokio::test]
async fn a_hostile_tcp_device_never_makes_a_wrong_value() {
    assert_nothing_wrong(hostile_socket(Framing::Tcp, 2_000).await, 2_000);
}

#[tokio::test]
async fn a_hostile_slave_behind_a_device_server_never_makes_a_wrong_value() {
    assert_nothing_wrong(hostile_socket(Framing::Rtu, 1_000).await, 1_000);
}
