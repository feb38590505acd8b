//! What a Modbus master knows about one meter between polls: its plans, and what it refuses.
//!
//! Always true here: a steady poll neither plans nor copies a plan; what is believed about refusals is bounded in number and is put
//! to the test again. Deliberately absent: wires, the notebook's file, when a meter is due.

mod poll;
mod search;

use std::sync::Arc;
use std::time::Duration;

pub use poll::Poll;

use super::planner::{Plan, Rules, plan};
use super::{Ask, Dialogue, Learnt, Refusal};
use crate::config::model::Meter;

/// What a request costs on a line, so that the planner can weigh a gap against another request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineCost {
    /// Time of one register in an answer (two characters; over TCP next to nothing).
    pub per_register: Duration,
    /// Time of one more request: its frame, the answer's frame without data, silences, and the meter's turnaround.
    pub per_request: Duration,
}

impl LineCost {
    /// Time of a request and its answer.
    #[must_use]
    pub fn of(&self, ask: Ask) -> Duration {
        let bytes = if ask.table.is_bits() { u32::from(ask.count.div_ceil(8)) } else { 2 * u32::from(ask.count) };
        self.per_request + self.per_register * bytes / 2
    }

    /// Whether a plan made for the other cost is likely to be a good one for this.
    fn is_like(&self, other: &Self) -> bool {
        let near = |a: Duration, b: Duration| a.abs_diff(b) * 4 <= a.max(b);
        near(self.per_register, other.per_register) && near(self.per_request, other.per_request)
    }
}

/// Sets of due points that a meter is usually asked for; beyond that, plans are made anew.
const MOST_PLANS: usize = 16;
/// Refusals remembered of one meter.
const MOST_REFUSALS: usize = 512;

/// Hands out polls of one meter.
#[derive(Debug)]
pub struct Poller {
    meter: Arc<Meter>,
    rules: Rules,
    cost: LineCost,
    refusals: Vec<Refusal>,
    plans: Vec<Arc<Plan>>,
    all: Vec<u16>,
}

impl Poller {
    /// A poller of this meter that knows `refusals` from earlier runs.
    #[must_use]
    pub fn new(meter: Arc<Meter>, cost: LineCost, mut refusals: Vec<Refusal>) -> Self {
        refusals.truncate(MOST_REFUSALS);
        let all = (0..=u16::MAX).zip(&meter.points).map(|(place, _)| place).collect();
        Self { rules: Rules::of(&meter), meter, cost, refusals, plans: Vec::new(), all }
    }

    /// A poll of the points `due`: places in the meter's points, ascending, each once.
    pub fn poll(&mut self, due: &[u16]) -> Poll {
        Poll::new(Arc::clone(&self.meter), self.plan(due))
    }

    /// A poll of all points.
    pub fn poll_all(&mut self) -> Poll {
        let all = std::mem::take(&mut self.all);
        let poll = self.poll(&all);
        self.all = all;
        poll
    }

    /// The requests for the points `due`; planned once for each set.
    pub fn plan(&mut self, due: &[u16]) -> Arc<Plan> {
        if let Some(known) = self.plans.iter().find(|plan| plan.due == due) {
            return Arc::clone(known);
        }
        if self.plans.len() >= MOST_PLANS {
            self.plans.remove(0);
        }
        let new = Arc::new(plan(&self.meter.points, due, self.rules, &self.cost, &self.refusals));
        self.plans.push(Arc::clone(&new));
        new
    }

    /// Takes what a dialogue of this meter learnt; says whether any of it was new.
    pub fn learn(&mut self, learnt: Learnt<'_>) -> bool {
        let before = self.refusals.len();
        for refusal in learnt.refusals {
            let is_known = self.refusals.iter().any(|known| (known.ask, known.of) == (refusal.ask, refusal.of));
            if !is_known && self.refusals.len() < MOST_REFUSALS {
                self.refusals.push(*refusal);
            }
        }
        if self.refusals.len() > before {
            self.plans.clear();
        }
        self.refusals.len() > before
    }

    /// What the meter is believed to refuse.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Puts everything the meter refused to the test again at the next poll.
    pub fn forget(&mut self) {
        self.refusals.clear();
        self.plans.clear();
    }

    /// Takes a better known cost of the line; plans are made anew only when it differs by more than a quarter.
    pub fn price(&mut self, cost: LineCost) {
        if !self.cost.is_like(&cost) {
            self.cost = cost;
            self.plans.clear();
        }
    }
}

/// Starts one poll of all points of a meter that nothing is known about.
#[must_use]
pub fn poll(meter: &Arc<Meter>, cost: &LineCost) -> Box<dyn Dialogue> {
    Box::new(Poller::new(Arc::clone(meter), *cost, Vec::new()).poll_all())
}

#[cfg(test)]
mod tests;
