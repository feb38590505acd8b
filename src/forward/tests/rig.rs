//! A spool, a forwarder with short time-outs, and the oracle that compares what is held with what was acknowledged.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::model;
use crate::forward::settings::Settings;
use crate::forward::task::Task;
use crate::forward::{About, Forward};
use crate::notebook::Notebook;
use crate::reading::{Keep, Kind, MeterSchema, Quality, SchemaContent, SchemaPoint, Sweep, Value, ValueType};
use crate::spool::face::{self, Content, Spool};
use crate::status::Board;

/// What one sweep holds.
const READINGS: u64 = 2;

pub(super) fn brief() -> Settings {
    let ms = Duration::from_millis;
    Settings {
        connect: ms(500),
        no_progress: ms(500),
        margin: ms(500),
        settle: ms(100),
        goodbye: ms(2000),
        hasty_goodbye: ms(300),
        tick: ms(10),
        first_pause: ms(20),
        shortest_pause: ms(1),
        longest_pause: ms(100),
        patience: 3,
        max_payload: 2000,
    }
}

pub(super) fn uplink(ports: &[u16]) -> model::Uplink {
    let broker = |port: &u16| model::Broker { tls: false, host: "127.0.0.1".into(), port: *port };
    model::Uplink {
        brokers: ports.iter().map(broker).collect(),
        client_id: "districtd-g".into(),
        username: None,
        password_file: None,
        ca_file: None,
        keep_alive: Duration::from_secs(1),
        batch_age: Duration::from_millis(10),
    }
}

fn gateway(state: &Path) -> model::Gateway {
    model::Gateway { name: "g".into(), district: "d".into(), state: state.to_owned() }
}

/// The forwarder under test with everything it stands on.
pub(super) struct Rig {
    pub spool: Spool,
    pub board: Board,
    pub finish: CancellationToken,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
    pub about: watch::Sender<About>,
    meter: Arc<MeterSchema>,
    keeper: JoinHandle<()>,
    // Last, so that the directory outlives the database.
    _place: Place,
}

/// A directory and the database in it. sled does not bear that the directory goes first, and then holds up every other database of
/// the process.
struct Place {
    spool: Spool,
    folder: tempfile::TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        let spool = self.spool.clone();
        let close = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(spool.close());
        };
        std::thread::spawn(close).join().unwrap();
    }
}

/// A spool before the forwarder starts: what is stocked here is backlog of an earlier run.
pub(super) struct Shelf {
    place: Place,
    stocked: u64,
    meter: Arc<MeterSchema>,
    board: Board,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let (folder, board) = (tempfile::tempdir().unwrap(), Board::new());
        let place = Place { spool: open(&folder, &board), folder };
        Self { place, stocked: 0, meter: meter("m"), board }
    }

    /// Takes sweeps with these numbers, and ends the run that took them.
    pub(super) async fn stock(mut self, marks: Range<u64>, text: &str) -> Self {
        for mark in marks {
            self.place.spool.appender().append(sweep(&self.meter, mark, text));
            self.stocked += 1;
            if text.len() > 100_000 {
                self.place.spool.settle().await;
            }
        }
        self.place.spool.settle().await;
        self.place.spool.clone().close().await;
        self.place.spool = open(&self.place.folder, &self.board);
        let wanted = self.stocked * READINGS;
        until("the store is open", || self.place.spool.outlet().depth().readings == wanted).await;
        self
    }

    pub(super) fn start(self, uplink: model::Uplink, settings: Settings) -> Rig {
        let Self { place, meter, board, .. } = self;
        let (spool, folder) = (place.spool.clone(), place.folder.path());
        let (finish, stop) = (CancellationToken::new(), CancellationToken::new());
        let clock = Clock::system();
        let about = About { version: "0.0.0", run: spool.run(), started: clock.now(), configuration: "c".into(), degraded: false };
        let (about, told) = watch::channel(about);
        let forward = Forward {
            uplink,
            gateway: gateway(folder),
            outlet: spool.outlet(),
            clock,
            status: board.uplink(),
            notebook: Notebook::open(&folder.join("notebook.json")),
            about: told,
            finish: finish.clone(),
            stop: stop.clone(),
        };
        let task = tokio::spawn(Task::new(forward, settings).run());
        let keeper = spool.clone();
        let keeper = tokio::spawn(async move { keeper.keep_time().await });
        Rig { spool, board, finish, stop, task, about, meter, keeper, _place: place }
    }
}

fn open(folder: &tempfile::TempDir, board: &Board) -> Spool {
    let spool = model::Spool {
        path: folder.path().join("spool"),
        journal: folder.path().join("journal"),
        window: Duration::from_millis(500),
        max_size: 1 << 28,
    };
    let settings = face::Settings { spool, batch_age: Duration::from_millis(10), gateway: gateway(folder.path()) };
    Spool::open(&settings, Clock::system(), board.spool()).unwrap()
}

impl Rig {
    pub(super) fn start(uplink: model::Uplink, settings: Settings) -> Self {
        Shelf::new().start(uplink, settings)
    }

    /// Takes one sweep that carries this number.
    pub(super) fn take(&self, mark: u64, text: &str) {
        self.spool.appender().append(sweep(&self.meter, mark, text));
    }

    /// Ends the forwarder now and lists what is still held.
    pub(super) async fn held(self) -> BTreeSet<u64> {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.task).await;
        ended.expect("told to end now, it ends").expect("it does not panic");
        self.spool.settle().await;
        let held = listed(&self.spool).await;
        self.keeper.abort();
        held
    }

    /// Waits until at most so many sweeps are held.
    pub(super) async fn until_held(&self, most: u64) {
        let outlet = self.spool.outlet();
        until("what was taken is acknowledged", || outlet.depth().readings <= most * READINGS).await;
    }

    pub(super) async fn until_trouble(&self, expected: &str) {
        let wait = async {
            while !self.board.snapshot().uplink.trouble.contains(expected) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let limit = Duration::from_secs(20);
        let waited = tokio::time::timeout(limit, wait).await;
        assert!(waited.is_ok(), "expected {expected:?}, found {:?}", self.board.snapshot().uplink.trouble);
    }
}

/// Waits until this is true.
async fn until(what: &str, happened: impl Fn() -> bool) {
    let wait = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let limit = Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, wait).await.is_ok(), "not within {limit:?}: {what}");
}

/// The numbers of all sweeps that are offered.
async fn listed(spool: &Spool) -> BTreeSet<u64> {
    let (outlet, mut held) = (spool.outlet(), BTreeSet::new());
    let session = outlet.session();
    let list = async {
        while held.len() as u64 * READINGS < outlet.depth().readings {
            let Some(batch) = session.backlog().or_else(|| session.live()) else {
                session.changed().await;
                continue;
            };
            let Content::Sweeps(sweeps) = &batch.content else { continue };
            for sweep in sweeps {
                let [(_, Value::UInt(mark), _), ..] = sweep.values.as_slice() else { panic!("a foreign sweep") };
                held.insert(*mark);
            }
        }
    };
    // What is set aside is held and not offered.
    let _ = tokio::time::timeout(Duration::from_secs(5), list).await;
    held
}

fn meter(name: &str) -> Arc<MeterSchema> {
    let point = |name: &str, value_type| SchemaPoint { name: name.into(), unit: "".into(), value_type, kind: Kind::Gauge };
    Arc::new(MeterSchema::new(SchemaContent {
        gateway: "g".into(),
        district: "d".into(),
        meter: name.into(),
        keep: Keep::Normal,
        points: vec![point("mark", ValueType::U32), point("text", ValueType::String)],
    }))
}

fn sweep(meter: &Arc<MeterSchema>, mark: u64, text: &str) -> Sweep {
    let values = vec![(0, Value::UInt(mark), Quality::Good), (1, Value::Text(text.into()), Quality::Good)];
    Sweep { schema: Arc::clone(meter), stamp: Clock::system().now(), values }
}
