//! Whole buses: sockets, terminals and scripts, with dialogues of the test's own.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::bus::link::scripted::{Ports, perform};
use crate::bus::modbus::hostile::crc;
use crate::config::model::{self, Encoding, Framing, Layout, Line, Parity, Point, Scaling, Serial, Table};
use crate::notebook::Notebook;
use crate::reading::{Event, Keep, Kind, MeterSchema, Quality, SchemaContent, SchemaPoint, Value, ValueType};
use crate::status::Board;

/// Remembers what was appended.
#[derive(Default)]
struct Spool(Mutex<Vec<Sweep>>);

impl Append for Spool {
    fn append(&self, sweep: Sweep) {
        self.0.lock().unwrap().push(sweep);
    }
    fn tell(&self, _: Event) {}
}

impl Spool {
    fn values(&self, meter: &str) -> Vec<Value> {
        let sweeps = self.0.lock().unwrap();
        sweeps.iter().filter(|sweep| &*sweep.schema.meter == meter).map(|sweep| sweep.values[0].1.clone()).collect()
    }

    fn reasons(&self, meter: &str) -> Vec<Quality> {
        let sweeps = self.0.lock().unwrap();
        sweeps.iter().filter(|sweep| &*sweep.schema.meter == meter).map(|sweep| sweep.values[0].2).collect()
    }
}

fn meter(name: &str, unit: u8, every: Duration) -> Meter {
    let point = SchemaPoint { name: "count".into(), unit: "".into(), value_type: ValueType::U16, kind: Kind::Counter };
    let content =
        SchemaContent { gateway: "g".into(), district: "d".into(), meter: name.into(), keep: Keep::Normal, points: vec![point] };
    let layout = Layout { encoding: Encoding::U16, order: model::ByteOrder::Abcd, bits: None };
    let point = Point {
        table: Table::Input,
        address: 7,
        layout,
        scaling: Scaling::default(),
        invalid: Vec::new(),
        names: Vec::new(),
        every: None,
    };
    Meter {
        name: name.into(),
        unit,
        every,
        is_urgent: false,
        is_aligned: false,
        pause: Duration::ZERO,
        max_registers: 125,
        max_gap: None,
        even_registers: false,
        points: vec![point],
        schema: Arc::new(MeterSchema::new(content)),
    }
}

/// A bus that runs beside the test.
struct Running {
    spool: Arc<Spool>,
    board: Board,
    ask: mpsc::Sender<Request>,
    stop: CancellationToken,
    notebook: Notebook,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn run(line: Line, meters: Vec<Meter>, source: Option<Source>) -> Running {
    run_with(line, meters, source, Duration::from_millis(100))
}

fn run_with(line: Line, meters: Vec<Meter>, source: Option<Source>, timeout: Duration) -> Running {
    let (ask, inbox) = mpsc::channel(8);
    let (spool, board, stop) = (Arc::new(Spool::default()), Board::new(), CancellationToken::new());
    let folder = tempfile::tempdir().unwrap();
    let notebook = Notebook::open(&folder.path().join("notebook"));
    let source = source.unwrap_or_else(|| Source::Line(line.clone()));
    let model = model::Bus {
        name: "b".into(),
        line,
        timeout,
        quarantine: Duration::from_millis(100),
        probe_share: 5,
        overload_is_allowed: false,
        meters,
    };
    let bus = Bus {
        model: Arc::new(model),
        append: Arc::clone(&spool) as Arc<dyn Append>,
        clock: Clock::system(),
        status: board.bus("b"),
        notebook: notebook.clone(),
        inbox,
        stop: stop.clone(),
    };
    let task = tokio::spawn(Task::new(bus, source).run());
    Running { spool, board, ask, stop, notebook, task, _folder: folder }
}

impl Running {
    async fn until(&self, reached: impl Fn(&Spool, &crate::status::Snapshot) -> bool) {
        for _ in 0..100_000 {
            if reached(&self.spool, &self.board.snapshot()) {
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
        panic!("never came to that: {:?} {:?}", self.board.snapshot(), self.spool.0.lock().unwrap().last());
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

fn serial() -> Line {
    Line::Serial(Serial {
        path: "/dev/serial/none".into(),
        baud: 9600,
        parity: Parity::Even,
        data_bits: 8,
        stop_bits: 1,
        echo_is_dropped: false,
        rs485: false,
    })
}

fn tcp(port: u16) -> Line {
    Line::Tcp(model::Tcp { host: "127.0.0.1".into(), port, framing: Framing::Tcp })
}

const SECOND: Duration = Duration::from_secs(1);

/// Answers unit 1 with the number of the request, and nobody else, `times` times.
async fn serve_rtu(wire: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin), times: u16) {
    let mut request = [0; 8];
    for number in 1..=times {
        loop {
            if wire.read_exact(&mut request).await.is_err() {
                return;
            }
            if request[0] == 1 {
                break;
            }
        }
        let mut answer = vec![1, 4, 2];
        answer.extend(number.to_be_bytes());
        answer.extend(crc(&answer).to_le_bytes());
        wire.write_all(&answer).await.unwrap();
    }
}

/// Answers each request with the number of the request.
async fn serve_tcp(listener: &TcpListener, times: u16) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 12];
    for number in 1..=times {
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        let number = number.to_be_bytes();
        let answer = [request[0], request[1], 0, 0, 0, 5, request[6], request[7], 2, number[0], number[1]];
        stream.write_all(&answer).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_period_gives_one_sweep() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports)));
    serve_rtu(&mut wire, 10).await;
    bus.until(|spool, _| spool.values("m").len() == 10).await;
    assert_eq!(bus.spool.values("m"), (1..=10).map(Value::UInt).collect::<Vec<_>>());
    let status = bus.board.snapshot().buses["b"].clone();
    assert_eq!((status.requests, status.answers, status.missed, status.up), (10, 10, 0, true));
    assert!(status.meters["m"].alive && status.meters["m"].good == 10);
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_meter_is_missing_and_the_living_one_is_not() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let meters = vec![meter("living", 1, SECOND), meter("dead", 2, SECOND)];
    let bus = run(serial(), meters, Some(Source::Scripted(ports)));
    serve_rtu(&mut wire, 100).await;
    bus.until(|spool, _| spool.values("living").len() == 100).await;
    let dead = bus.spool.reasons("dead");
    assert!(dead.iter().all(|quality| *quality == Quality::Bad(Reason::Timeout)), "{dead:?}");
    assert!((3..30).contains(&dead.len()), "{} sweeps of the dead meter", dead.len());
    let status = bus.board.snapshot().buses["b"].clone();
    assert_eq!(status.missed, 0);
    assert_eq!(status.meters["dead"].trouble, "timeout");
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_is_not_there_makes_every_meter_missing_and_is_tried_again() {
    let ports = Ports::new(Framing::Rtu, false);
    let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports.clone())));
    bus.until(|spool, _| spool.reasons("m").len() >= 3).await;
    assert!(bus.spool.reasons("m").iter().all(|quality| *quality == Quality::Bad(Reason::LineDown)));
    let down = bus.board.snapshot().buses["b"].clone();
    assert!(!down.up && down.trouble.contains("no such device"), "{down:?}");
    let mut wire = ports.next();
    serve_rtu(&mut wire, 3).await;
    bus.until(|spool, snapshot| spool.values("m").last() == Some(&Value::UInt(3)) && snapshot.buses["b"].up).await;
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_is_pulled_out_is_opened_again() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports.clone())));
    serve_rtu(&mut wire, 3).await;
    bus.until(|spool, _| spool.values("m").len() == 3).await;
    drop(wire);
    bus.until(|_, snapshot| snapshot.buses["b"].trouble.contains("is gone")).await;
    let mut wire = ports.next();
    serve_rtu(&mut wire, 3).await;
    bus.until(|spool, _| spool.values("m").last() == Some(&Value::UInt(3))).await;
    assert!(bus.spool.reasons("m").contains(&Quality::Bad(Reason::LineDown)));
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_meter_refuses_is_remembered_in_the_notebook_and_does_not_make_it_silent() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let mut two_points = meter("m", 1, SECOND);
    let mut content = (**two_points.schema).clone();
    content.points.push(SchemaPoint { name: "gone".into(), ..content.points[0].clone() });
    two_points.schema = Arc::new(MeterSchema::new(content));
    two_points.points.push(Point { address: 8, ..two_points.points[0].clone() });
    let bus = run(serial(), vec![two_points], Some(Source::Scripted(ports)));
    let script = "
        >> 01 04 00 07 00 02 crc    both points at once
        << 01 84 02 crc
        >> 01 04 00 07 00 01 crc
        << 01 04 02 00 05 crc
        >> 01 04 00 08 00 01 crc
        << 01 84 02 crc
        >> 01 04 00 07 00 01 crc    the next poll knows
        << 01 04 02 00 06 crc";
    perform(script, &mut wire).await;
    bus.until(|spool, _| spool.values("m").len() == 2).await;
    assert_eq!(bus.spool.values("m"), [Value::UInt(5), Value::UInt(6)]);
    assert_eq!(bus.spool.0.lock().unwrap()[1].values[1], (1, Value::Missing, Quality::Bad(Reason::Exception(2))));
    assert!(bus.notebook.get("refused.m").is_some_and(|fact| fact.contains("8+1")), "{:?}", bus.notebook.get("refused.m"));
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn points_with_a_period_of_their_own_are_read_with_the_others_when_both_are_due() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let mut two_groups = meter("m", 1, SECOND);
    let mut content = (**two_groups.schema).clone();
    content.points.push(SchemaPoint { name: "total".into(), ..content.points[0].clone() });
    two_groups.schema = Arc::new(MeterSchema::new(content));
    two_groups.points.push(Point { address: 8, every: Some(SECOND * 3), ..two_groups.points[0].clone() });
    let bus = run(serial(), vec![two_groups], Some(Source::Scripted(ports)));
    let mut lengths = Vec::new();
    let mut request = [0; 8];
    for _ in 0..13 {
        wire.read_exact(&mut request).await.unwrap();
        let count = request[5];
        let mut answer = [&[1, 4, 2 * count][..], &vec![0; 2 * usize::from(count)]].concat();
        answer.extend(crc(&answer).to_le_bytes());
        wire.write_all(&answer).await.unwrap();
        lengths.push(count);
    }
    assert_eq!(lengths[0], 2, "everything at first");
    let both: Vec<usize> = (1..13).filter(|place| lengths[*place] == 2).collect();
    assert!(both.len() >= 3, "{lengths:?}");
    assert!(both.windows(2).all(|pair| pair[1] - pair[0] == 3), "{lengths:?}");
    bus.until(|spool, _| spool.values("m").len() == 13).await;
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_ad_hoc_read_comes_out_of_turn_and_is_appended_too() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND * 3600)], Some(Source::Scripted(ports)));
    serve_rtu(&mut wire, 1).await;
    let (reply, answer) = oneshot::channel();
    bus.ask.send(Request::ReadNow { meter: "m".into(), reply }).await.unwrap();
    serve_rtu(&mut wire, 1).await;
    let sweeps = answer.await.unwrap().unwrap();
    assert_eq!(sweeps[0].values[0].2, Quality::Good);
    assert_eq!(bus.spool.values("m").len(), 2);
    let (reply, answer) = oneshot::channel();
    bus.ask.send(Request::ReadNow { meter: "nobody".into(), reply }).await.unwrap();
    assert!(answer.await.unwrap().is_err());
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_wire_is_there_for_whoever_asks() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports)));
    serve_rtu(&mut wire, 2).await;
    bus.until(|spool, _| spool.values("m").len() == 2).await;
    let (reply, trace) = oneshot::channel();
    bus.ask.send(Request::Trace { reply }).await.unwrap();
    let trace = trace.await.unwrap();
    assert_eq!(trace[1].sent[..6], [1, 4, 0, 7, 0, 1]);
    assert_eq!(trace[1].heard[..5], [1, 4, 2, 0, 2]);
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_echo_that_was_forgotten_is_named_with_its_remedy() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports)));
    let mut request = [0; 8];
    wire.read_exact(&mut request).await.unwrap();
    wire.write_all(&request).await.unwrap();
    bus.until(|_, snapshot| snapshot.buses["b"].trouble.contains("echo = \"drop\"")).await;
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_ends_while_it_waits_while_it_asks_and_while_it_has_no_wire() {
    let ports = Ports::new(Framing::Rtu, false);
    let _wire = ports.next();
    for (source, wait) in [(Source::Scripted(ports.clone()), 3), (Source::Scripted(Ports::new(Framing::Rtu, false)), 700)] {
        let bus = run(serial(), vec![meter("m", 1, SECOND)], Some(source));
        sleep(Duration::from_millis(wait)).await;
        bus.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_board_hears_of_an_idle_bus_often_enough() {
    let ports = Ports::new(Framing::Rtu, false);
    let mut wire = ports.next();
    let bus = run(serial(), vec![meter("m", 1, SECOND * 3600)], Some(Source::Scripted(ports)));
    serve_rtu(&mut wire, 1).await;
    for _ in 0..60 {
        sleep(SECOND).await;
        assert!(bus.board.stuck(monotonic(), Duration::from_secs(5)).is_empty());
    }
    bus.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_may_take_a_minute_to_answer_does_not_look_like_a_task_that_hangs() {
    let ports = Ports::new(Framing::Rtu, false);
    let _wire = ports.next();
    let bus = run_with(serial(), vec![meter("m", 1, SECOND)], Some(Source::Scripted(ports)), SECOND * 60);
    for _ in 0..50 {
        sleep(SECOND).await;
        assert!(bus.board.stuck(monotonic(), Duration::from_secs(6)).is_empty());
    }
    bus.end().await;
}

#[tokio::test]
async fn a_tcp_meter_is_read_and_an_idle_close_by_the_peer_is_no_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bus = run(tcp(port), vec![meter("m", 1, Duration::from_millis(50))], None);
    for _ in 0..5 {
        // Returns after three answers, which closes the connection.
        serve_tcp(&listener, 3).await;
    }
    bus.until(|spool, _| spool.values("m").len() >= 15).await;
    let reasons = bus.spool.reasons("m");
    assert!(reasons[..15].iter().all(|quality| *quality == Quality::Good), "{reasons:?}");
    bus.end().await;
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such_and_heals() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let bus = run(tcp(address.port()), vec![meter("m", 1, Duration::from_millis(50))], None);
    bus.until(|_, snapshot| snapshot.buses.get("b").is_some_and(|bus| bus.trouble.contains("refused"))).await;
    let listener = TcpListener::bind(address).await.unwrap();
    serve_tcp(&listener, 2).await;
    bus.until(|spool, _| spool.values("m").contains(&Value::UInt(2))).await;
    bus.end().await;
}
