//! One request against slaves that mean harm, and against scripts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;

use super::hostile::{Manner, Seen, Slave, value};
use super::*;
use crate::bus::answer::function;
use crate::bus::link::scripted::{Ports, perform, pseudo_terminal};
use crate::bus::trace::Outcome as Became;
use crate::config::model::{Line, Parity, Serial, Tcp};

const TIMEOUT: Duration = Duration::from_millis(5);
const QUARANTINE: Duration = Duration::from_millis(15);

fn bus(line: Line) -> Bus {
    Bus {
        name: "b".into(),
        line,
        timeout: TIMEOUT,
        quarantine: QUARANTINE,
        probe_share: 5,
        overload_is_allowed: false,
        meters: Vec::new(),
    }
}

fn serial(path: &std::path::Path, baud: u32) -> Line {
    Line::Serial(Serial {
        path: path.to_owned(),
        baud,
        parity: Parity::None,
        data_bits: 8,
        stop_bits: 1,
        echo_is_dropped: false,
        rs485: false,
    })
}

fn tcp(port: u16, framing: Framing) -> Line {
    Line::Tcp(Tcp { host: "127.0.0.1".into(), port, framing })
}

fn hostile(framing: Framing) -> Manner {
    Manner { framing, evil: 30, timeout: TIMEOUT, late: (1.1, 3.0), in_order: true, repeat_within: Duration::from_micros(200) }
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
    assert!(account.right > requests / 4, "{account:?}");
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

/// A million requests with DISTRICTD_FULL in the environment.
#[tokio::test(start_paused = true)]
async fn a_hostile_slave_never_makes_a_wrong_value() {
    let manner = Manner { in_order: false, repeat_within: Duration::from_millis(3), ..hostile(Framing::Rtu) };
    let requests = if std::env::var_os("DISTRICTD_FULL").is_some() { 1_000_000 } else { 20_000 };
    let account = hostile_script(manner, requests, fastrand::u64(..)).await;
    assert_nothing_wrong(account, requests);
}

#[tokio::test(start_paused = true)]
async fn an_answer_later_than_the_quarantine_is_caught_by_the_canary() {
    let manner = Manner { late: (3.0, 14.0), in_order: true, ..hostile(Framing::Rtu) };
    let account = hostile_script(manner, 10_000, fastrand::u64(..)).await;
    assert_nothing_wrong(account, 10_000);
}

/// A serial line at 9600 baud whose other end follows a script.
async fn scripted(script: &'static str, play: impl AsyncFnOnce(&mut Master)) {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let mut master = Master::new(&bus(serial("script".as_ref(), 9600)), Source::Scripted(ports));
    master.open().await.unwrap();
    // What an earlier master may be owed is waited for here, not in the script.
    master.prepare().await.unwrap();
    tokio::join!(play(&mut master), perform(script, &mut wire));
}

async fn read(master: &mut Master, count: u16) -> Heard {
    master.ask(1, Duration::ZERO, Ask { table: Table::Input, address: 7, count }).await
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_drained_and_a_canary_goes_before_the_next_read_of_its_length() {
    let script = "
        >> 01 04 00 07 00 02 crc    two registers, and no answer within the time-out
        .. 20ms
        << 01 04 04 AA AA AA AA crc too late
        >> 01 04 00 07 00 01 crc    a canary of another length
        << 01 04 02 00 01 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 04 00 01 00 02 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 2).await, Heard::Fault(Fault::Silent));
        assert_eq!(read(master, 2).await, Heard::Words(vec![1, 2]));
        assert_eq!(master.take_counts().drained, 9);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_time_out_the_line_is_silent_for_the_quarantine_before_anybody_is_asked() {
    let script = "
        >> 01 04 00 07 00 02 crc
        .. 25ms
        << 00
        >> 02 04 00 07 00 02 crc
        << 02 04 04 00 01 00 02 crc";
    scripted(script, async |master| {
        let begun = monotonic();
        assert_eq!(read(master, 2).await, Heard::Fault(Fault::Silent));
        // 25 ms until the last byte, then the quarantine.
        let took = monotonic() - begun;
        assert!(took >= Duration::from_millis(25) + QUARANTINE, "{took:?}");
        let other = Ask { table: Table::Input, address: 7, count: 2 };
        assert_eq!(master.ask(2, Duration::ZERO, other).await, Heard::Words(vec![1, 2]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_refuses_the_canary_is_asked_by_its_other_table() {
    let script = "
        >> 01 04 00 07 00 02 crc
        >> 01 04 00 07 00 01 crc    refused: this may be the refusal of the first request
        << 01 84 03 crc
        >> 01 03 00 07 00 02 crc    only this request can be refused so
        << 01 83 02 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 04 00 01 00 02 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 2).await, Heard::Fault(Fault::Silent));
        assert_eq!(read(master, 2).await, Heard::Words(vec![1, 2]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_units_answer_a_wrong_length_and_a_cut_frame_are_garbled() {
    let script = "
        >> 01 04 00 07 00 02 crc
        << 02 04 04 00 01 00 02 crc another unit's
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 01 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 06 00 01 00 02 00 03 crc
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 01 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 04 00
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 01 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 04 00 01 00 02 crc";
    scripted(script, async |master| {
        for _ in 0..3 {
            assert_eq!(read(master, 2).await, Heard::Fault(Fault::Garbled));
        }
        assert_eq!(read(master, 2).await, Heard::Words(vec![1, 2]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_floating_line_at_the_turn_round_does_not_hide_the_answer() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 00 FF
        << 01 04 02 00 05 crc";
    scripted(script, async |master| assert_eq!(read(master, 1).await, Heard::Words(vec![5]))).await;
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_a_request_is_dropped_and_the_answer_is_not() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 01 04 00 07
        << 00 01 80 0B 01 04 02
        << 00 05 79 33
        >> 01 04 00 07 00 01 crc
        << 01 04 00 07 00 01 crc    an echo alone is silence
        .. 40ms";
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let Line::Serial(line) = serial("script".as_ref(), 9600) else { unreachable!() };
    let line = Line::Serial(Serial { echo_is_dropped: true, ..line });
    let mut master = Master::new(&bus(line), Source::Scripted(ports));
    master.open().await.unwrap();
    master.prepare().await.unwrap();
    let asking = async {
        assert_eq!(read(&mut master, 1).await, Heard::Words(vec![5]));
        assert_eq!(read(&mut master, 1).await, Heard::Fault(Fault::Silent));
        assert_eq!(master.take_counts().echoes, 0);
    };
    tokio::join!(asking, perform(script, &mut wire));
}

#[tokio::test(start_paused = true)]
async fn an_echo_that_nobody_drops_is_noticed() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 01 04 00 07 00 01 crc
        << 01 04 02 00 05 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 1).await, Heard::Fault(Fault::Garbled));
        assert_eq!(master.take_counts().echoes, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_trace_shows_what_was_sent_and_heard_and_what_became_of_it() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 05 crc
        >> 01 04 00 07 00 01 crc
        << 01 84 02 crc
        >> 01 04 00 07 00 01 crc
        << 02 04 02 00 05 crc
        >> 01 04 00 07 00 02 crc
        .. 90ms";
    scripted(script, async |master| {
        for count in [1, 1, 1, 2] {
            read(master, count).await;
        }
        let trace = master.trace(monotonic());
        let outcomes: Vec<_> = trace.iter().map(|exchange| exchange.outcome).collect();
        assert_eq!(outcomes, [Became::Answered, Became::Refused(2), Became::Garbled, Became::Silent]);
        assert_eq!(trace[0].sent[..6], [1, 4, 0, 7, 0, 1]);
        assert_eq!(trace[0].heard[..5], [1, 4, 2, 0, 5]);
        assert!(trace[3].heard.is_empty() && trace[3].took >= TIMEOUT && trace[0].ago > trace[3].ago);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_its_code() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 01 84 02 crc";
    scripted(script, async |master| assert_eq!(read(master, 1).await, Heard::Fault(Fault::Refused(2)))).await;
}

#[tokio::test(start_paused = true)]
async fn a_well_formed_answer_with_fewer_items_is_told_as_short_and_leaves_a_doubt() {
    let script = "
        >> 01 04 00 07 00 03 crc
        << 01 04 02 00 05 crc       one register of three
        >> 01 04 00 07 00 02 crc    of another length: no canary
        << 01 04 04 00 01 00 02 crc
        >> 01 04 00 07 00 03 crc
        << 01 04 02 00 05 crc
        >> 01 04 00 07 00 02 crc    a canary: the answer of three registers may yet come
        << 01 04 04 00 01 00 02 crc
        >> 01 04 00 07 00 03 crc
        << 01 04 06 00 01 00 02 00 03 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 3).await, Heard::Fault(Fault::Short));
        assert_eq!(read(master, 2).await, Heard::Words(vec![1, 2]));
        assert_eq!(read(master, 3).await, Heard::Fault(Fault::Short));
        assert_eq!(read(master, 3).await, Heard::Words(vec![1, 2, 3]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_short_answer_is_garbled_while_one_of_its_function_is_in_doubt() {
    let script = "
        >> 01 04 00 07 00 01 crc    no answer in time
        >> 01 04 00 07 00 03 crc
        << 01 04 02 00 05 crc       late, or short: nobody can tell
        >> 01 04 00 07 00 02 crc
        << 01 04 02 00 05 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 1).await, Heard::Fault(Fault::Silent));
        assert_eq!(read(master, 3).await, Heard::Fault(Fault::Garbled));
        assert_eq!(read(master, 2).await, Heard::Fault(Fault::Garbled));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_short_canary_says_nothing_about_the_request() {
    let script = "
        >> 01 04 00 07 00 03 crc
        << 01 04 02 00 05 crc       short: a doubt stays
        >> 01 04 00 07 00 02 crc    the canary
        << 01 04 02 00 05 crc";
    scripted(script, async |master| {
        assert_eq!(read(master, 3).await, Heard::Fault(Fault::Short));
        assert_eq!(read(master, 3).await, Heard::Fault(Fault::Garbled));
    })
    .await;
}

#[tokio::test]
async fn over_tcp_a_short_answer_is_told_as_such_and_the_connection_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = tcp(listener.local_addr().unwrap().port(), Framing::Tcp);
    let mut master = Master::new(&Bus { timeout: Duration::from_secs(2), ..bus(line.clone()) }, Source::Line(line));
    let device = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 12];
        for _ in 0..2 {
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(&[request[0], request[1], 0, 0, 0, 5, 1, 4, 2, 0, 5]).await.unwrap();
        }
    };
    let asking = async {
        assert_eq!(read(&mut master, 3).await, Heard::Fault(Fault::Short));
        assert_eq!(read(&mut master, 1).await, Heard::Words(vec![5]));
        assert_eq!(master.take_counts().opened, 1);
    };
    tokio::join!(device, asking);
}

#[tokio::test(start_paused = true)]
async fn the_standards_silence_and_the_meters_pause_are_kept_before_a_request() {
    let script = "
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 05 crc
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 06 crc
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 07 crc";
    scripted(script, async |master| {
        let ask = Ask { table: Table::Input, address: 7, count: 1 };
        let begun = monotonic();
        master.ask(1, Duration::from_millis(60), ask).await;
        master.ask(1, Duration::ZERO, ask).await;
        let paused = monotonic() - begun;
        master.ask(1, Duration::ZERO, ask).await;
        assert!(paused >= Duration::from_millis(60), "{paused:?}");
        let silence = (monotonic() - begun).abs_diff(paused);
        assert!(silence >= Duration::from_micros(3_640), "{silence:?} at 10 bits a character");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_standard_allows_is_not_sent() {
    scripted("", async |master| {
        assert_eq!(read(master, 126).await, Heard::Fault(Fault::Refused(3)));
        assert_eq!(read(master, 0).await, Heard::Fault(Fault::Refused(3)));
        assert_eq!(master.take_counts().requests, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_was_cut_short_leaves_no_answer_to_the_next() {
    let script = "
        >> 01 04 00 07 00 02 crc
        .. 12ms
        << 01 04 04 AA AA AA AA crc the answer to the request that nobody waits for any more
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 01 crc
        >> 01 04 00 07 00 02 crc
        << 01 04 04 00 01 00 02 crc";
    scripted(script, async |master| {
        assert!(timeout(Duration::from_millis(10), read(master, 2)).await.is_err());
        assert_eq!(read(master, 2).await, Heard::Words(vec![1, 2]));
    })
    .await;
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
    println!("withheld: {}", seen.withheld.load(Ordering::Relaxed));
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
