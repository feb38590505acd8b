//! One bus alone, through the library's face: how near it comes to what the line can carry, what dead meters cost the living, and
//! what planning, decoding and asking cost the processor.
//!
//! `cargo bench --profile quick --bench bus` (five minutes), or `-- line`, `-- dead`, `-- work` for a part of it. Figures of the line
//! are taken at the far end of it: a pseudo terminal that is as slow as a UART in both directions, answers t3.5 after the end of a
//! request, byte by byte, and does not answer a request that came before the line was silent for t3.5.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::unnecessary_debug_formatting,
    clippy::format_collect,
    reason = "a bench that cannot go on should stop and say where; its figures are its output"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use districtd::bus::Bus;
use districtd::clock::Clock;
use districtd::config::environment::Environment;
use districtd::config::load::load;
use districtd::config::model;
use districtd::driver::modbus::LineCost;
use districtd::driver::planner::{Rules, plan};
use districtd::driver::scaling;
use districtd::notebook::Notebook;
use districtd::reading::{Append, Event, Quality, Sweep};
use districtd::status::Board;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio_util::sync::CancellationToken;

/// Registers of one meter: twenty floats.
const REGISTERS: u16 = 40;
/// Bytes of a request and of its answer on the line.
const REQUEST: u32 = 8;
const ANSWER: u32 = 5 + 2 * 40;

fn main() {
    let part = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("line") {
        full_line(9_600, 5, Duration::from_secs(12), 97.0);
        full_line(115_200, 5, Duration::from_secs(5), 90.0);
    }
    if wanted("dead") {
        dead_meters();
    }
    if wanted("work") {
        planning();
        decoding();
        asking();
    }
}

/// 8 units x 20 f32, as fast as possible.
fn full_line(baud: u32, windows: usize, window: Duration, target: f64) {
    let uart = Uart::start(baud, (1..=8).collect());
    let running = Running::start(&format!("serial = {:?}\nbaud = {baud}\nparity = \"even\"", uart.path), 1..=8);
    thread::sleep(Duration::from_secs(2));
    let before = uart.counts();
    let rates: Vec<f64> = (0..windows).map(|_| uart.rate(window)).collect();
    let after = uart.counts();
    let limit = 1.0 / uart.pace.exchange().as_secs_f64();
    let shares: Vec<f64> = rates.iter().map(|rate| 100.0 * rate / limit).collect();
    println!("line at {baud} baud 8E1, 8 units x 20 f32, {windows} windows of {window:?}:");
    println!("  limit {limit:.2} requests/s, reached {}", spread(&rates, 2));
    println!("  share of the limit in percent: {} (target {target})", spread(&shares, 1));
    println!(
        "  requests {}, of them before t3.5 was over: {}; shortest silence seen {:?}, t3.5 is {:?}",
        after.requests - before.requests,
        after.hasty,
        after.shortest_silence,
        uart.pace.silence
    );
    running.end();
}

/// What dead meters cost the living, at 9600 baud, all lines at the same time.
fn dead_meters() {
    let settle = Duration::from_secs(40);
    let (windows, window) = (3, Duration::from_secs(40));
    let line = |all: u8, living: u8| {
        let uart = Uart::start(9_600, (1..=living).collect());
        let running = Running::start(&format!("serial = {:?}\nbaud = 9600\nparity = \"even\"", uart.path), 1..=all);
        (uart, running)
    };
    let lines = [line(8, 8), line(8, 7), line(2, 2), line(32, 2)];
    thread::sleep(settle);
    let rates: Vec<Vec<f64>> = thread::scope(|scope| {
        let measure = |uart: &Uart| (0..windows).map(|_| uart.rate(window)).collect();
        let running: Vec<_> = lines.iter().map(|(uart, _)| scope.spawn(move || measure(uart))).collect();
        running.into_iter().map(|line| line.join().unwrap()).collect()
    });
    println!("dead meters at 9600 baud, {windows} windows of {window:?} after {settle:?} (answers/s of one living meter):");
    report_dead("one dead of 8", (&rates[0], 8.0), (&rates[1], 7.0), 105.0);
    report_dead("30 dead of 32", (&rates[2], 2.0), (&rates[3], 2.0), 90.0);
    let hasty: u64 = lines.iter().map(|(uart, _)| uart.counts().hasty).sum();
    println!("  requests before t3.5 was over: {hasty}");
    for (_, running) in lines {
        running.end();
    }
}

fn report_dead(what: &str, (healthy, meters): (&[f64], f64), (living, alive): (&[f64], f64), target: f64) {
    let each = |rates: &[f64], meters: f64| rates.iter().map(|rate| rate / meters).collect::<Vec<_>>();
    let (healthy, living) = (each(healthy, meters), each(living, alive));
    let shares: Vec<f64> = living.iter().map(|rate| 100.0 * rate / median(&healthy)).collect();
    println!("  {what}: healthy {}, living {}", spread(&healthy, 3), spread(&living, 3));
    println!("    percent of the healthy rate: {} (target {target})", spread(&shares, 1));
}

/// 2,000 points with holes, planned 30 times.
fn planning() {
    let text: String = (0..2_000_u32)
        .map(|n| {
            let address = n * 4 + n % 7;
            format!("[meter.m01.point.p{n:04}]\nregister = \"holding\"\naddress = {address}\ntype = \"f32\"\n")
        })
        .collect();
    let bus = configured("tcp = \"127.0.0.1:502\"", 1..=1, Some(&text));
    let meter = &bus.meters[0];
    let due: Vec<u16> = (0..2_000).collect();
    let cost = LineCost { per_register: Duration::from_micros(2_292), per_request: Duration::from_micros(42_900) };
    let mut requests = 0;
    let times = timed(30, || {
        let plan = plan(&meter.points, &due, Rules::of(meter), &cost, &[]);
        requests = plan.requests.len();
        black_box(plan);
    });
    let micros: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    println!("planner, 2,000 points into {requests} requests: {} us", spread(&micros, 0));
}

/// A million registers as f32, 15 times.
fn decoding() {
    let bus = configured("tcp = \"127.0.0.1:502\"", 1..=1, None);
    let point = &bus.meters[0].points[0];
    let registers: Vec<u16> =
        (0..1_000_000_u32).map(|n| if n % 2 == 0 { 0x4366 } else { u16::try_from(n % 65_536).unwrap() }).collect();
    let times = timed(15, || {
        for pair in registers.chunks_exact(2) {
            black_box(scaling::reading(point, pair));
        }
    });
    let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    println!("decoding 1,000,000 registers as f32: {} ms", spread(&millis, 2));
}

/// One bus task against a server that answers at once, beside a loop over the bare library.
fn asking() {
    let window = Duration::from_secs(3);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        bare.push(bare_loop(window));
        ours.push(one_bus(window));
    }
    let shares: Vec<f64> = ours.iter().zip(&bare).map(|(ours, bare)| 100.0 * ours / bare).collect();
    println!("TCP server without delay, 40 registers, five pairs of {window:?}:");
    println!("  bare tokio-modbus loop {} requests/s, one bus task {} requests/s", spread(&bare, 0), spread(&ours, 0));
    println!("  the bus in percent of the loop: {}", spread(&shares, 1));
}

fn one_bus(window: Duration) -> f64 {
    let running = Running::start(&format!("tcp = \"127.0.0.1:{}\"", serve()), 1..=240);
    thread::sleep(Duration::from_millis(1_500));
    let (begun, before) = (Instant::now(), running.count.sweeps());
    thread::sleep(window);
    let rate = f64::from(running.count.sweeps() - before) / begun.elapsed().as_secs_f64();
    let buses = running.board.snapshot().buses;
    let line = &buses["line"];
    if line.requests > line.answers + 1 || line.opened > 1 {
        println!(
            "  of {} requests {} timed out and {} were garbled; {} connections: {}",
            line.requests, line.timeouts, line.garbled, line.opened, line.trouble
        );
    }
    running.end();
    rate
}

fn bare_loop(window: Duration) -> f64 {
    use tokio_modbus::client::{Reader as _, tcp};
    let port = serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut context = tcp::attach(stream);
        let (begun, mut answers) = (Instant::now(), 0_u32);
        while begun.elapsed() < window {
            black_box(context.read_input_registers(0, REGISTERS).await.unwrap().unwrap());
            answers += 1;
        }
        f64::from(answers) / begun.elapsed().as_secs_f64()
    })
}

/// Answers every request of every connection at once.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || answer_all(stream));
        }
    });
    port
}

fn answer_all(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut request = [0; 12];
    while stream.read_exact(&mut request).is_ok() {
        let data = 2 * request[11];
        let mut answer = vec![request[0], request[1], 0, 0, 0, data + 3, request[6], request[7], data];
        answer.resize(answer.len() + usize::from(data), 0x42);
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Counts what is appended and forgets it.
#[derive(Debug, Default)]
struct Count(Mutex<u32>);

impl Append for Count {
    fn append(&self, sweep: Sweep) {
        *self.0.lock().unwrap() += u32::from(sweep.values.iter().all(|(_, _, quality)| *quality == Quality::Good));
    }
    fn tell(&self, _: Event) {}
}

impl Count {
    fn sweeps(&self) -> u32 {
        *self.0.lock().unwrap()
    }
}

/// A bus on a thread of its own, as the daemon runs serial lines.
struct Running {
    count: Arc<Count>,
    board: Board,
    stop: CancellationToken,
    thread: thread::JoinHandle<()>,
}

impl Running {
    fn start(line: &str, units: std::ops::RangeInclusive<u8>) -> Self {
        let (count, stop, model) = (Arc::new(Count::default()), CancellationToken::new(), configured(line, units, None));
        let board = Board::new();
        let status = board.bus("line");
        let (append, ends) = (Arc::clone(&count) as Arc<dyn Append>, stop.clone());
        let thread = thread::spawn(move || {
            let folder = tempfile::tempdir().unwrap();
            let (_questions, inbox) = tokio::sync::mpsc::channel(1);
            let bus = Bus {
                model: Arc::new(model),
                append,
                clock: Clock::system(),
                status,
                notebook: Notebook::open(&folder.path().join("notebook")),
                inbox,
                stop: ends,
            };
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(bus.run());
        });
        Self { count, board, stop, thread }
    }

    fn end(self) {
        self.stop.cancel();
        self.thread.join().unwrap();
    }
}

/// A bus as a configuration gives it: meters of 20 floats, polled every 10 ms, or one meter with these points.
fn configured(line: &str, units: std::ops::RangeInclusive<u8>, points: Option<&str>) -> model::Bus {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[gateway]\nname = \"bench\"\ndistrict = \"bench\"\nstate = {folder:?}\n[uplink]\nbrokers = [\"mqtt://127.0.0.1:1883\"]\n\
         [spool]\npath = {folder:?}\njournal = {folder:?}\n[bus.line]\noverload = \"allow\"\n{line}\n[profile.floats]\n",
        folder = folder.path()
    );
    for n in 0..REGISTERS / 2 {
        write!(text, "[profile.floats.point.p{n:02}]\nregister = \"input\"\naddress = {}\ntype = \"f32\"\n", 2 * n).unwrap();
    }
    for unit in units {
        write!(text, "[meter.m{unit:02}]\nbus = \"line\"\nunit = {unit}\nevery = \"10ms\"\n").unwrap();
        text.push_str(points.unwrap_or("profile = \"floats\"\n"));
    }
    let path = folder.path().join("bench.toml");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path, &Environment::default());
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    config.buses.into_iter().next().unwrap()
}

/// How fast a line is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    character: Duration,
    silence: Duration,
}

impl Pace {
    fn of(baud: u32) -> Self {
        let character = Duration::from_secs(1) * 11 / baud;
        let silence = if baud > 19_200 { Duration::from_micros(1_750) } else { character * 7 / 2 };
        Self { character, silence }
    }

    fn exchange(self) -> Duration {
        self.character * (REQUEST + ANSWER) + self.silence * 2
    }
}

/// What a UART saw.
#[derive(Debug, Clone, Copy)]
struct Seen {
    requests: u64,
    answers: u64,
    hasty: u64,
    shortest_silence: Duration,
    last_answer: Instant,
}

/// The far end of a serial line, with slaves on it.
struct Uart {
    path: PathBuf,
    pace: Pace,
    seen: Arc<Mutex<Seen>>,
    ends: Arc<AtomicBool>,
}

impl Drop for Uart {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

impl Uart {
    fn start(baud: u32, living: BTreeSet<u8>) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let (pace, ends) = (Pace::of(baud), Arc::new(AtomicBool::new(false)));
        let nothing = Seen { requests: 0, answers: 0, hasty: 0, shortest_silence: Duration::MAX, last_answer: Instant::now() };
        let seen = Arc::new(Mutex::new(nothing));
        let mut slaves = Slaves { port: File::from(master), pace, living, seen: Arc::clone(&seen), quiet_since: Instant::now() };
        let end = Arc::clone(&ends);
        thread::spawn(move || slaves.serve(&end));
        Self { path, pace, seen, ends }
    }

    fn counts(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    /// Answers per second, from the end of one answer to the end of another about `window` later.
    fn rate(&self, window: Duration) -> f64 {
        let before = self.counts();
        thread::sleep(window);
        let after = self.counts();
        (after.answers - before.answers) as f64 / (after.last_answer - before.last_answer).as_secs_f64()
    }
}

struct Slaves {
    port: File,
    pace: Pace,
    living: BTreeSet<u8>,
    seen: Arc<Mutex<Seen>>,
    /// End of the last byte on the line, whoever sent it.
    quiet_since: Instant,
}

impl Slaves {
    fn serve(&mut self, ends: &AtomicBool) {
        let mut waiting = Vec::new();
        let mut bytes = [0; 64];
        let mut is_hasty = false;
        while !ends.load(Ordering::Relaxed) {
            // A pty master reads EIO while nobody has the port open.
            let Ok(count @ 1..) = self.port.read(&mut bytes) else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            let now = Instant::now();
            if waiting.is_empty() {
                is_hasty = self.begins(now);
            }
            waiting.extend_from_slice(&bytes[..count]);
            self.quiet_since = self.quiet_since.max(now) + self.pace.character * u32::try_from(count).unwrap();
            if waiting.len() >= REQUEST as usize {
                let request = std::mem::take(&mut waiting);
                if !is_hasty {
                    self.answer(&request);
                }
            }
        }
    }

    /// A request begins; whether it came too early.
    fn begins(&mut self, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.quiet_since);
        let mut seen = self.seen.lock().unwrap();
        seen.requests += 1;
        seen.shortest_silence = seen.shortest_silence.min(silence);
        let is_hasty = silence < self.pace.silence;
        seen.hasty += u64::from(is_hasty);
        is_hasty
    }

    /// Answers as soon as the end of the request is known by t3.5 of silence, byte by byte.
    fn answer(&mut self, request: &[u8]) {
        assert_eq!(crc(request), 0, "a request without its CRC: {request:02X?}");
        if !self.living.contains(&request[0]) {
            return;
        }
        let mut frame = vec![request[0], request[1], u8::try_from(2 * REGISTERS).unwrap()];
        frame.resize(3 + 2 * usize::from(REGISTERS), 0x42);
        frame.extend(crc(&frame).to_le_bytes());
        let mut due = self.quiet_since + self.pace.silence;
        for byte in frame {
            due += self.pace.character;
            wait_until(due);
            // Before the byte is there for anybody: what takes the processor from us while we write is not the master's haste.
            self.quiet_since = Instant::now();
            self.port.write_all(&[byte]).unwrap();
        }
        let mut seen = self.seen.lock().unwrap();
        seen.answers += 1;
        seen.last_answer = self.quiet_since;
    }
}

/// To the microsecond: the last part is spun through.
fn wait_until(due: Instant) {
    const SPUN: Duration = Duration::from_micros(80);
    let left = due.saturating_duration_since(Instant::now());
    if left > SPUN {
        thread::sleep(left.saturating_sub(SPUN));
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

/// CRC-16/MODBUS; over a frame with its CRC it is 0.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

fn timed(times: usize, mut work: impl FnMut()) -> Vec<Duration> {
    work();
    let once = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..times).map(once).collect()
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Median, least and most.
fn spread(figures: &[f64], decimals: usize) -> String {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.decimals$} ({least:.decimals$} to {most:.decimals$})", median(figures))
}
