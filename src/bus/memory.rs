//! What a bus knows of its meters from one poll to the next: what they refuse, and how long they take to answer.
//!
//! Always true here: refusals stand in the notebook under the name of their meter, so that a restart does not search them again;
//! a turnaround is learnt only from dialogues in which nothing went wrong. Deliberately absent: wires and deadlines.

use std::sync::Arc;
use std::time::Duration;

use super::schedule::Groups;
use crate::config::model::{Group, Meter};
use crate::driver::modbus::{LineCost, Poll, Poller};
use crate::driver::{Ask, Learnt, Refusal};
use crate::notebook::Notebook;
use crate::reading::Stamp;

/// Between the refusals of one meter in the notebook.
const BETWEEN: &str = "; ";

/// A request is never taken for cheaper than this part of what the line makes of it.
const LEAST_SHARE: u32 = 10;

/// Requests of one dialogue and what they took together.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Took {
    requests: u32,
    per_register: Duration,
    all: Duration,
}

impl Took {
    /// One more request.
    pub(super) fn add(&mut self, ask: Ask, took: Duration, cost: &LineCost) {
        self.requests += 1;
        self.per_register += cost.of(ask).saturating_sub(cost.per_request);
        self.all += took;
    }
}

/// The meters of one bus.
#[derive(Debug)]
pub(super) struct Memory {
    meters: Vec<Known>,
    line: LineCost,
    notebook: Notebook,
}

#[derive(Debug)]
struct Known {
    model: Arc<Meter>,
    groups: Vec<Group>,
    poller: Poller,
    per_request: Duration,
}

impl Memory {
    /// What the notebook holds of these meters.
    pub(super) fn new(meters: &[Meter], line: LineCost, notebook: Notebook) -> Self {
        let known = |meter: &Meter| {
            let model = Arc::new(meter.clone());
            let poller = Poller::new(Arc::clone(&model), line, remembered(&notebook, meter));
            Known { groups: groups(&model), model, poller, per_request: line.per_request }
        };
        let meters = meters.iter().map(known).collect();
        Self { meters, line, notebook }
    }

    /// What the line costs before anything is learnt.
    pub(super) fn line(&self) -> &LineCost {
        &self.line
    }

    /// The place of the meter of this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.meters.iter().position(|known| *known.model.name == *name)
    }

    /// The meter at this place.
    pub(super) fn model(&self, meter: usize) -> Option<&Arc<Meter>> {
        self.meters.get(meter).map(|known| &known.model)
    }

    /// Begins a poll of the points of these groups, which stand in the order of [`groups`].
    pub(super) fn poll(&mut self, meter: usize, wanted: Groups, now: &Stamp) -> Option<(Arc<Meter>, Poll)> {
        let known = self.meters.get_mut(meter)?;
        let poll = if (0..known.groups.len()).all(|place| wanted.has(place)) {
            known.poller.poll_all(now)
        } else {
            let groups = known.groups.iter().enumerate().filter(|(place, _)| wanted.has(*place));
            let mut due: Vec<u16> = groups.flat_map(|(_, group)| group.points.iter().copied()).collect();
            due.sort_unstable();
            known.poller.poll(&due, now)
        };
        Some((Arc::clone(&known.model), poll))
    }

    /// Takes what a dialogue learnt; answers what the meter refuses now, if that has changed.
    pub(super) fn learn(&mut self, meter: usize, learnt: Learnt<'_>, now: &Stamp) -> Option<String> {
        let known = self.meters.get_mut(meter)?;
        if !known.poller.learn(learnt, now) {
            return None;
        }
        let refusals: Vec<String> = known.poller.refusals().map(|refusal| refusal.to_string()).collect();
        let (fact, text) = (fact(&known.model), refusals.join(BETWEEN));
        let before = self.notebook.get(&fact).unwrap_or_default();
        if text.is_empty() {
            self.notebook.remove(&fact);
        } else {
            self.notebook.set(&fact, &text);
        }
        (before != text).then_some(text)
    }

    /// Takes how long a dialogue took in which everything was answered.
    pub(super) fn price(&mut self, meter: usize, took: Took) {
        let Some(known) = self.meters.get_mut(meter) else { return };
        let Some(each) = took.all.saturating_sub(took.per_register).checked_div(took.requests) else { return };
        // A device on the same machine may seem to answer for nothing; many small requests still cost more than one.
        known.per_request = ((known.per_request * 7 + each) / 8).max(self.line.per_request / LEAST_SHARE);
        known.poller.price(LineCost { per_request: known.per_request, ..self.line });
    }
}

/// The groups of a meter, the shortest period first. Where there are more than the schedule can tell apart, those of the longest
/// periods are polled together, at the shortest of theirs.
pub(super) fn groups(meter: &Meter) -> Vec<Group> {
    let mut groups = meter.groups();
    let surplus = groups.split_off(groups.len().min(Groups::MOST));
    if let Some(last) = groups.last_mut() {
        last.points.extend(surplus.into_iter().flat_map(|group| group.points));
        last.points.sort_unstable();
    }
    groups
}

fn fact(meter: &Meter) -> String {
    format!("refused.{}", meter.name)
}

fn remembered(notebook: &Notebook, meter: &Meter) -> Vec<Refusal> {
    let text = notebook.get(&fact(meter)).unwrap_or_default();
    // What cannot be read, perhaps of another release, is simply found out again.
    text.split(BETWEEN).filter_map(|refusal| refusal.parse().ok()).collect()
}
