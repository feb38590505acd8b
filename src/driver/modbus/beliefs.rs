//! What a meter is believed to refuse, and for how long.
//!
//! Always true here:
//! - A belief is put to the test again and again: after a minute first, then at growing intervals, daily in the end. A test costs one
//!   request after all others, so that it disturbs no reading.
//! - What a meter refused while it refused everything is forgotten as soon as it answers anything: it may only have been starting.
//! - The number of beliefs is bounded.
//!
//! Deliberately absent: asking (see [`super::Poll`]), and the notebook.

use std::time::Duration;

use crate::driver::{Learnt, Refusal};
use crate::reading::Stamp;

/// After this time a new belief is tested for the first time.
const FIRST_TEST: Duration = Duration::from_secs(60);
/// Each time a belief is confirmed, it is left alone so many times longer.
const GROWTH: u32 = 4;
/// The longest time between two tests.
const LAST_TEST: Duration = Duration::from_secs(24 * 3600);
/// Beliefs about one meter; beyond that its refusals are found anew in each poll.
pub(super) const MOST: usize = 512;

/// What one meter is believed to refuse.
#[derive(Debug, Default)]
pub(super) struct Beliefs {
    list: Vec<Belief>,
    /// The first test of all; CLOCK_BOOTTIME in milliseconds.
    next_test_ms: u64,
}

#[derive(Debug)]
struct Belief {
    refusal: Refusal,
    is_sure: bool,
    patience: Duration,
    /// When it is tested next; `None`: it was disproved, and only its patience is remembered.
    test_ms: Option<u64>,
}

impl Belief {
    fn is_held(&self) -> bool {
        self.test_ms.is_some()
    }

    fn confirm(&mut self, is_sure: bool, now: &Stamp) {
        let patience = if is_sure { (self.patience * GROWTH).min(LAST_TEST) } else { self.patience };
        *self = Self { refusal: self.refusal, is_sure, patience, test_ms: Some(after(now, patience)) };
    }
}

impl Beliefs {
    /// Believes what the notebook says; each is tested soon, as the meter may have been exchanged.
    pub(super) fn new(known: Vec<Refusal>) -> Self {
        let believe = |refusal| Belief { refusal, is_sure: true, patience: FIRST_TEST, test_ms: Some(0) };
        Self { list: known.into_iter().take(MOST).map(believe).collect(), next_test_ms: 0 }
    }

    /// What requests must keep clear of.
    pub(super) fn held(&self) -> Vec<Refusal> {
        self.list.iter().filter(|belief| belief.is_held()).map(|belief| belief.refusal).collect()
    }

    /// What is worth a page of the notebook.
    pub(super) fn sure(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.list.iter().filter(|belief| belief.is_held() && belief.is_sure).map(|belief| belief.refusal)
    }

    /// The belief to be tested now: the one that has waited longest.
    pub(super) fn due(&self, now: &Stamp) -> Option<Refusal> {
        if now.boot_ms < self.next_test_ms {
            return None;
        }
        let held = self.list.iter().filter_map(|belief| Some((belief.test_ms?, belief.refusal)));
        held.min_by_key(|(test_ms, _)| *test_ms).map(|(_, refusal)| refusal)
    }

    /// Takes what a dialogue learnt; says whether what is held has changed.
    pub(super) fn learn(&mut self, learnt: Learnt<'_>, now: &Stamp) -> bool {
        let mut is_changed = false;
        for refusal in learnt.refusals {
            is_changed |= self.believe(*refusal, learnt.is_sure, now);
        }
        if let Some(disproved) = learnt.disproved {
            is_changed |= self.doubt(disproved);
        }
        if learnt.is_sure {
            let before = self.list.len();
            self.list.retain(|belief| belief.is_sure);
            is_changed |= self.list.len() != before;
        }
        self.next_test_ms = self.list.iter().filter_map(|belief| belief.test_ms).min().unwrap_or(u64::MAX);
        is_changed
    }

    /// Whether nothing is held that a first answer would refute.
    pub(super) fn are_sure(&self) -> bool {
        self.list.iter().all(|belief| belief.is_sure)
    }

    fn believe(&mut self, refusal: Refusal, is_sure: bool, now: &Stamp) -> bool {
        if let Some(known) = self.list.iter_mut().find(|belief| belief.refusal.is_like(refusal)) {
            let is_new = !known.is_held();
            known.confirm(is_sure || known.is_sure, now);
            return is_new;
        }
        if self.list.len() >= MOST {
            let Some(doubted) = self.list.iter().position(|belief| !belief.is_held()) else { return false };
            self.list.swap_remove(doubted);
        }
        self.list.push(Belief { refusal, is_sure, patience: FIRST_TEST, test_ms: Some(after(now, FIRST_TEST)) });
        true
    }

    fn doubt(&mut self, disproved: Refusal) -> bool {
        let held = self.list.iter_mut().find(|belief| belief.is_held() && belief.refusal.is_like(disproved));
        held.is_some_and(|belief| belief.test_ms.take().is_some())
    }
}

fn after(now: &Stamp, time: Duration) -> u64 {
    now.boot_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
