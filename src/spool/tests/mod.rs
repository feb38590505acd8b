//! The room as a whole, on real files.

mod bytes;
mod damage;
mod lanes;
mod life;
mod model;
mod mutations;
mod room;
mod times;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::core::Limits;
use super::face::{Batch, Content, Session, Settings, Spool};
use crate::clock::Clock;
use crate::config::model as config;
use crate::reading::{
    Append as _, BootId, Keep, Kind, MeterSchema, Quality, SchemaContent, SchemaPoint, Stamp, Sweep, Value, ValueType,
};
use crate::status::{Board, SpoolStatus};

/// Longer than anything here takes; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(20);

pub(super) fn schema(gateway: &str, meter: &str, keep: Keep) -> Arc<MeterSchema> {
    let point = |name: &str| SchemaPoint { name: name.into(), unit: "V".into(), value_type: ValueType::F32, kind: Kind::Gauge };
    let points = (0..4).map(|number| point(&format!("voltage_l{number}"))).collect();
    Arc::new(MeterSchema::new(SchemaContent { gateway: gateway.into(), district: "d".into(), meter: meter.into(), keep, points }))
}

/// A sweep that no other sweep of a test equals.
pub(super) fn sweep(schema: &Arc<MeterSchema>, id: u32) -> Sweep {
    let stamp = Stamp { wall_ms: 1_763_834_400_000 + i64::from(id), boot: BootId(7), boot_ms: u64::from(id), synchronised: true };
    let values = vec![(0, Value::UInt(u64::from(id)), Quality::Good), (2, Value::F32(229.8), Quality::Good)];
    Sweep { schema: Arc::clone(schema), stamp, values }
}

pub(super) fn id_of(sweep: &Sweep) -> u32 {
    match sweep.values.first() {
        Some((_, Value::UInt(id), _)) => u32::try_from(*id).unwrap(),
        other => panic!("no id: {other:?}"),
    }
}

pub(super) fn ids(batch: &Batch) -> Vec<u32> {
    match &batch.content {
        Content::Sweeps(sweeps) => sweeps.iter().map(id_of).collect(),
        Content::Event(_) => Vec::new(),
    }
}

/// A spool on files of its own, and what crashes leave of it.
pub(super) struct Rig {
    root: tempfile::TempDir,
    life: u32,
    limits: Limits,
    max_size: u64,
    gateway: String,
    board: Board,
    spool: Option<Spool>,
}

impl Rig {
    /// With a short window, and batches that close only by size or by [`Rig::close_batches`].
    pub(super) fn new() -> Self {
        Self::with(Limits::new(Duration::from_millis(40), Duration::from_secs(3600)), 64 << 20)
    }

    pub(super) fn with(limits: Limits, max_size: u64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut rig = Self { root, life: 0, limits, max_size, gateway: "g".into(), board: Board::new(), spool: None };
        rig.start();
        rig
    }

    fn settings(&self) -> Settings {
        let path = self.root.path().join(format!("spool-{}", self.life));
        let journal = self.root.path().join(format!("journal-{}", self.life));
        let spool = config::Spool { path, journal, window: self.limits.window, max_size: self.max_size };
        let gateway = config::Gateway { name: self.gateway.as_str().into(), district: "d".into(), state: self.root.path().into() };
        Settings { spool, batch_age: self.limits.batch_age, gateway }
    }

    fn start(&mut self) {
        self.board = Board::new();
        let opened = Spool::open_with(&self.settings(), self.limits.clone(), Clock::system(), self.board.spool());
        self.spool = Some(opened.unwrap());
    }

    pub(super) fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.settings().spool.path
    }

    pub(super) fn journal(&self) -> std::path::PathBuf {
        self.settings().spool.journal
    }

    pub(super) fn append(&self, sweep: Sweep) {
        self.spool().append(sweep);
    }

    pub(super) fn close_batches(&self) {
        self.spool().0.desk.close_now();
    }

    pub(super) fn session(&self) -> Session {
        self.spool().outlet().session()
    }

    pub(super) fn status(&self) -> SpoolStatus {
        self.board.snapshot().spool
    }

    /// Waits for what flash reports to make `holds` true.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&SpoolStatus) -> bool) {
        let desk = &self.spool().0.desk;
        let wait = async {
            while !holds(&self.status()) {
                desk.settled.notified().await;
            }
        };
        let waited = tokio::time::timeout(LONG, wait).await;
        assert!(waited.is_ok(), "waited in vain until {what}: {:?}", self.status());
    }

    /// The store is open.
    pub(super) async fn until_open(&self) {
        let desk = &self.spool().0.desk;
        let wait = async {
            while !desk.lock().core.is_open() {
                desk.settled.notified().await;
            }
        };
        assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "waited in vain for the store: {:?}", self.status());
    }

    /// Everything closed stands on flash.
    pub(super) async fn until_on_flash(&self) {
        let desk = &self.spool().0.desk;
        let wait = async {
            while !desk.is_settled() {
                desk.settled.notified().await;
            }
        };
        assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "waited in vain for flash: {:?}", self.status());
    }

    /// Ends as on SIGTERM.
    pub(super) async fn close(&mut self) {
        if let Some(spool) = self.spool.take() {
            spool.settle().await;
            spool.close().await;
        }
    }

    pub(super) async fn reopen(&mut self) {
        self.close().await;
        self.start();
    }

    /// Goes on with what a kill at this moment leaves; `journal`: whether tmpfs survives, which a power cut denies it.
    pub(super) async fn crash(&mut self, journal: bool) {
        self.crash_with(journal, |_| {}).await;
    }

    /// The same, with something done to the gateway's files or name before it starts again.
    pub(super) async fn crash_with(&mut self, journal: bool, meanwhile: impl FnOnce(&mut Self)) {
        let before = (self.path(), self.journal());
        self.life += 1;
        let after = (self.path(), self.journal());
        let spool = self.spool.take().unwrap();
        spool.0.desk.while_idle(|| {
            copy(&before.0, &after.0);
            if journal {
                copy(&before.1, &after.1);
            }
        });
        spool.close().await;
        fs::remove_dir_all(&before.0).unwrap();
        fs::remove_dir_all(&before.1).unwrap();
        meanwhile(self);
        self.start();
    }

    /// Takes and confirms everything there is, as a forwarder would; returns what came.
    pub(super) async fn drain(&self) -> Vec<Arc<Batch>> {
        let session = self.session();
        let mut all = Vec::new();
        let drain = async {
            while self.spool().outlet().depth().batches > 0 {
                match session.live().or_else(|| session.backlog()) {
                    Some(batch) => {
                        session.confirm(batch.key);
                        all.push(batch);
                    }
                    None => session.changed().await,
                }
            }
        };
        let drained = tokio::time::timeout(LONG, drain).await;
        assert!(drained.is_ok(), "draining stopped: {:?}", self.status());
        all
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(spool) = self.spool.take() {
            spool.0.desk.shut();
            spool.0.join();
        }
    }
}

/// The next batch of the backlog, waiting for flash where needed.
pub(super) async fn next_backlog(session: &Session) -> Arc<Batch> {
    let wait = async {
        loop {
            match session.backlog() {
                Some(batch) => return batch,
                None => session.changed().await,
            }
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("no backlog came")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(super) fn assert_balanced(status: &SpoolStatus) {
    assert_eq!(status.taken, status.acked + status.held + status.given_up, "taken = acked + held + given up: {status:?}");
}
