//! A spool, a forwarder with short time-outs, and the oracle that compares what is held with what was acknowledged.

use std::collections::BTreeSet;
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
    _folder: tempfile::TempDir,
}

/// The parts before the forwarder starts: what is appended here is backlog.
pub(super) struct Shelf {
    pub spool: Spool,
    meter: Arc<MeterSchema>,
    board: Board,
    folder: tempfile::TempDir,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::new();
        let spool = model::Spool {
            path: folder.path().join("spool"),
            journal: folder.path().join("journal"),
            window: Duration::from_secs(2),
            max_size: 1 << 28,
        };
        let settings = face::Settings { spool, batch_age: Duration::from_millis(10), gateway: gateway(folder.path()) };
        let spool = Spool::open(&settings, Clock::system(), board.spool()).unwrap();
        Self { spool, meter: meter("m"), board, folder }
    }

    pub(super) fn take(&self, mark: u64, text: &str) {
        self.spool.appender().append(sweep(&self.meter, mark, text));
    }

    pub(super) fn start(self, uplink: model::Uplink, settings: Settings) -> Rig {
        let (finish, stop) = (CancellationToken::new(), CancellationToken::new());
        let clock = Clock::system();
        let about =
            About { version: "0.0.0", run: self.spool.run(), started: clock.now(), configuration: "c".into(), degraded: false };
        let (about, told) = watch::channel(about);
        let forward = Forward {
            uplink,
            gateway: gateway(self.folder.path()),
            outlet: self.spool.outlet(),
            clock,
            status: self.board.uplink(),
            notebook: Notebook::open(&self.folder.path().join("notebook.json")),
            about: told,
            finish: finish.clone(),
            stop: stop.clone(),
        };
        let task = tokio::spawn(Task::new(forward, settings).run());
        let keeper = tokio::spawn({
            let spool = self.spool.clone();
            async move { spool.keep_time().await }
        });
        Rig { spool: self.spool, board: self.board, finish, stop, task, about, meter: self.meter, keeper, _folder: self.folder }
    }
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
        self.keeper.abort();
        let session = self.spool.outlet().session();
        let mut held = BTreeSet::new();
        while let Some(batch) = session.backlog().or_else(|| session.live()) {
            let Content::Sweeps(sweeps) = &batch.content else { continue };
            for sweep in sweeps {
                let [(_, Value::UInt(mark), _), ..] = sweep.values.as_slice() else { panic!("a foreign sweep") };
                held.insert(*mark);
            }
        }
        held
    }

    /// Waits until so many batches are held at most.
    pub(super) async fn until_held(&self, most: u64) {
        let outlet = self.spool.outlet();
        let wait = async {
            while outlet.depth().batches > most {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit, wait).await.is_ok(), "{} batches held after {limit:?}", outlet.depth().batches);
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
