//! Random lives of the spool against a trivial twin.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Rig, assert_balanced, ids, schema, sweep};
use crate::reading::{Keep, Key, MeterSchema};
use crate::spool::face::{Batch, Content, Session};

#[derive(Debug, Clone)]
enum Step {
    Append { meter: usize, count: u8 },
    CloseBatches,
    Connect,
    Disconnect,
    TakeLive,
    TakeBacklog,
    Confirm { which: usize },
    AwaitFlash,
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4usize, 1..4u8).prop_map(|(meter, count)| Step::Append { meter, count }),
        6 => Just(Step::CloseBatches),
        4 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        5 => Just(Step::TakeLive),
        8 => Just(Step::TakeBacklog),
        12 => (0..3usize).prop_map(|which| Step::Confirm { which }),
        2 => Just(Step::AwaitFlash),
        2 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// What must hold, in plain collections.
#[derive(Default)]
struct Twin {
    next_id: u32,
    taken: BTreeSet<u32>,
    /// Ids whose batch was closed before the session there is.
    closed: BTreeSet<u32>,
    closed_before: BTreeSet<u32>,
    seen: HashMap<Key, Content>,
    key_of: BTreeMap<u32, Key>,
    acked: BTreeSet<Key>,
    out: Vec<Key>,
    offered: BTreeSet<Key>,
}

impl Twin {
    fn offered(&mut self, batch: &Batch) {
        assert!(!self.acked.contains(&batch.key), "{} was acked and is offered again", batch.key);
        assert!(self.offered.insert(batch.key), "{} was offered twice in one session", batch.key);
        let known = self.seen.entry(batch.key).or_insert_with(|| batch.content.clone());
        assert_eq!(*known, batch.content, "{} has two contents", batch.key);
        for id in ids(batch) {
            let key = *self.key_of.entry(id).or_insert(batch.key);
            assert_eq!(key, batch.key, "sweep {id} has two keys");
        }
        self.out.push(batch.key);
    }

    fn disconnected(&mut self) {
        self.out.clear();
        self.offered.clear();
    }
}

struct Play {
    rig: Rig,
    twin: Twin,
    meters: Vec<Arc<MeterSchema>>,
    session: Option<Session>,
}

impl Play {
    fn new() -> Self {
        let meters = [("a", Keep::Normal), ("b", Keep::Normal), ("c", Keep::Always), ("d", Keep::Always)];
        let meters = meters.into_iter().map(|(name, keep)| schema("g", name, keep)).collect();
        Self { rig: Rig::new(), twin: Twin::default(), meters, session: None }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Append { meter, count } => self.append(*meter, *count),
            Step::CloseBatches => self.close_batches(),
            Step::Connect => self.connect(),
            Step::Disconnect => self.disconnect(),
            Step::TakeLive => self.take(true),
            Step::TakeBacklog => self.take(false),
            Step::Confirm { which } => self.confirm(*which),
            Step::AwaitFlash => {
                self.close_batches();
                self.rig.until_on_flash().await;
            }
            Step::Crash => {
                self.disconnect();
                self.rig.crash(true).await;
                self.twin.closed = self.twin.taken.clone();
            }
            Step::Restart => {
                self.disconnect();
                self.rig.reopen().await;
                self.twin.closed = self.twin.taken.clone();
            }
        }
        assert_balanced(&self.rig.status());
    }

    fn append(&mut self, meter: usize, count: u8) {
        for _ in 0..count {
            self.twin.next_id += 1;
            self.rig.append(sweep(&self.meters[meter], self.twin.next_id));
            self.twin.taken.insert(self.twin.next_id);
        }
    }

    fn close_batches(&mut self) {
        self.rig.close_batches();
        self.twin.closed = self.twin.taken.clone();
    }

    fn connect(&mut self) {
        self.disconnect();
        self.session = Some(self.rig.session());
        self.twin.closed_before = self.twin.closed.clone();
    }

    fn disconnect(&mut self) {
        self.session = None;
        self.twin.disconnected();
    }

    fn take(&mut self, live: bool) {
        let Some(session) = &self.session else { return };
        // What is on its way from flash has then arrived.
        self.rig.spool().0.desk.while_idle(|| {});
        let Some(batch) = (if live { session.live() } else { session.backlog() }) else { return };
        for id in ids(&batch) {
            assert_eq!(!self.twin.closed_before.contains(&id), live, "sweep {id} came in the wrong lane");
        }
        self.twin.offered(&batch);
    }

    fn confirm(&mut self, which: usize) {
        let Some(session) = &self.session else { return };
        if which < self.twin.out.len() {
            let key = self.twin.out.swap_remove(which);
            session.confirm(key);
            self.twin.acked.insert(key);
        }
    }

    async fn end(mut self) {
        self.close_batches();
        self.disconnect();
        self.rig.until_open().await;
        for batch in self.rig.drain().await {
            self.twin.offered(&batch);
            self.twin.acked.insert(batch.key);
        }
        let arrived: BTreeSet<u32> =
            self.twin.key_of.iter().filter(|(_, key)| self.twin.acked.contains(key)).map(|(id, _)| *id).collect();
        assert_eq!(arrived, self.twin.taken, "taken and never acked");
        let status = self.rig.status();
        assert_balanced(&status);
        assert_eq!((status.held, status.given_up), (0, 0));
        assert!(!self.rig.path().join("damaged-1").exists(), "a sound database was taken for a damaged one");
    }
}

#[test]
fn no_life_of_the_spool_loses_invents_or_renames_anything() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let lives = proptest::collection::vec(step(), 10..120);
    let outcome = runner.run(&lives, |steps| {
        runtime.block_on(async {
            let mut play = Play::new();
            for step in &steps {
                play.step(step).await;
            }
            play.end().await;
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
