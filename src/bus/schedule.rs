//! Who may have the wire next. Pure: `now` is an argument, randomness has a seed.
//!
//! Always true here:
//! - Each meter has a grid of due moments, `every` apart; the grids are spread over the period so that meters do not fall due
//!   together. The first poll comes within [`FIRST_WITHIN`], whatever the period.
//! - Of the meters that are due the one whose period ends first goes first. A period that ended without a poll is counted as missed
//!   and never made up for.
//! - A meter that gave nothing usable a few times in a row is *silent*. Silent meters are probed at growing, jittered intervals: in
//!   idle air, which is free, or else out of one budget, a [`SHARE`] of the time that the living want. A period that passes without
//!   even a probe is told as [`Next::Report`], at growing intervals too, so that the platform sees it without a flood.
//! - The first silent meter to come back has the others probed soon, half of the line's time at most; when that was in vain, the
//!   next such round waits longer.
//!
//! Deliberately absent: wires, waiting, and what a poll consists of.

mod budget;
mod duty;

use std::time::{Duration, Instant};

use budget::Budget;
use duty::Duty;

/// The first poll after a start or an outage comes within this, or within the period if that is shorter.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// What somebody asks for should be on the wire within this.
const ASKED_WITHIN: Duration = Duration::from_millis(500);
/// A round of probes after a come-back is not repeated sooner than this; doubled while in vain.
const ROUND_AFTER: Duration = Duration::from_secs(60);
/// Upper bound of that.
const ROUND_AFTER_MOST: Duration = Duration::from_secs(3600);
/// What a dialogue is taken to cost until it was held.
const UNKNOWN_COST: Duration = Duration::from_millis(50);
/// Fraction of the golden ratio: multiples of it spread evenly over the unit interval, however many there are.
const SPREAD: f64 = 0.618_033_988_749_894_9;

/// What the wire should be used for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Poll this meter.
    Poll(Grant),
    /// Tell that this meter gave nothing for another interval; costs no bus time.
    Report(usize),
    /// Nothing before then.
    NotBefore(Instant),
    /// Nothing at all.
    Nothing,
}

/// One dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Place of the meter on the bus.
    pub(super) meter: usize,
    /// When it was granted.
    pub(super) at: Instant,
    /// Whether its cost is taken from the budget of the silent.
    paid: bool,
}

/// How a dialogue ended, as far as the wire is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// At least one answer.
    Answered,
    /// Not one byte.
    Silent,
    /// Bytes, but no answer.
    Garbled,
    /// The wire went away.
    LineDown,
}

/// What an outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing to speak of.
    None,
    /// The meter is taken for silent from now on.
    FellSilent,
    /// It answers again.
    CameBack,
}

/// The schedule of one wire.
#[derive(Debug)]
pub(super) struct Schedule {
    duties: Vec<Duty>,
    budget: Budget,
    random: fastrand::Rng,
    round: Round,
}

/// Probing all silent meters because one came back.
#[derive(Debug)]
struct Round {
    last: Option<Instant>,
    after: Duration,
    in_vain: bool,
}

impl Schedule {
    /// Meters with these periods, from `now` on; `lost` is what a dialogue without an answer costs.
    pub(super) fn new(periods: &[Duration], lost: Duration, now: Instant, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let origin = random.f64();
        let mut place = origin;
        let mut duties = Vec::with_capacity(periods.len());
        for every in periods {
            duties.push(Duty::new(*every, place, UNKNOWN_COST, lost, now));
            place = (place + SPREAD).fract();
        }
        let round = Round { last: None, after: ROUND_AFTER, in_vain: false };
        Self { duties, budget: Budget::new(now), random, round }
    }

    /// Deadlines missed so far.
    pub(super) fn missed(&self) -> u64 {
        self.duties.iter().map(|duty| duty.missed).sum()
    }

    /// Somebody wants this meter polled now.
    pub(super) fn ask(&mut self, meter: usize, now: Instant) {
        if let Some(duty) = self.duties.get_mut(meter) {
            duty.asked.get_or_insert(now);
        }
    }

    /// Who is next. A grant counts as taken; its end is to be told by [`finished`](Self::finished).
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let wanted = self.wanted();
        let hurry = self.duties.iter().any(Duty::is_in_round);
        self.budget.accrue(wanted, hurry, now);
        if let Some(grant) = self.probe(now) {
            return Next::Poll(grant);
        }
        if let Some(meter) = self.duties.iter().position(|duty| duty.report_due(now)) {
            if let Some(duty) = self.duties.get_mut(meter) {
                duty.reported(now);
            }
            return Next::Report(meter);
        }
        if let Some(meter) = self.most_urgent(now)
            && let Some(duty) = self.duties.get_mut(meter)
        {
            duty.begin(now);
            return Next::Poll(Grant { meter, at: now, paid: false });
        }
        self.wake(now).map_or(Next::Nothing, Next::NotBefore)
    }

    /// While the wire is down: which meter's values are to be reported missing, or when.
    pub(super) fn next_while_down(&mut self, now: Instant) -> Next {
        let due = self.duties.iter().enumerate().min_by_key(|(_, duty)| duty.outage_report_at());
        let Some((meter, at)) = due.map(|(meter, duty)| (meter, duty.outage_report_at())) else { return Next::Nothing };
        if at > now {
            return Next::NotBefore(at);
        }
        if let Some(duty) = self.duties.get_mut(meter) {
            duty.reported_outage(now);
        }
        Next::Report(meter)
    }

    /// The wire is there again: everybody gets a try soon.
    pub(super) fn line_up(&mut self, now: Instant) {
        for duty in &mut self.duties {
            duty.restart(now);
        }
        self.budget.rest(now);
    }

    /// A granted dialogue is over.
    pub(super) fn finished(&mut self, grant: Grant, outcome: Outcome, now: Instant) -> Change {
        let took = now.saturating_duration_since(grant.at);
        if grant.paid {
            self.budget.pay(took);
        }
        let jitter = self.random.f64();
        let Some(duty) = self.duties.get_mut(grant.meter) else { return Change::None };
        let change = duty.finished(outcome, took, jitter, now);
        if change == Change::CameBack {
            self.probe_the_others(grant.meter, now);
        }
        change
    }

    /// Air time that the living want, as a share of all time; at most all of it.
    fn wanted(&self) -> f64 {
        let load = |duty: &Duty| duty.cost.as_secs_f64() / duty.every.as_secs_f64().max(1e-3);
        self.duties.iter().filter(|duty| duty.is_living()).map(load).sum::<f64>().min(1.0)
    }

    /// The silent meter whose probe is most overdue, if there is idle air or budget for it.
    fn probe(&mut self, now: Instant) -> Option<Grant> {
        let idle = self.idle_from(now);
        let due = self.duties.iter().enumerate().filter_map(|(meter, duty)| duty.probe_at().map(|at| (at, meter)));
        let (_, meter) = due.filter(|(at, _)| *at <= now).min()?;
        let duty = self.duties.get_mut(meter)?;
        let free = idle.is_none_or(|idle| idle >= duty.lost);
        if !free && !self.budget.affords(duty.lost) {
            return None;
        }
        duty.begin_probe();
        Some(Grant { meter, at: now, paid: !free })
    }

    /// How long nobody living will want the wire; `None`: for ever.
    fn idle_from(&self, now: Instant) -> Option<Duration> {
        let wants = self.duties.iter().filter_map(Duty::wants_at).min();
        wants.map(|at| at.saturating_duration_since(now))
    }

    fn most_urgent(&self, now: Instant) -> Option<usize> {
        let due = self.duties.iter().enumerate().filter_map(|(meter, duty)| duty.deadline(now).map(|deadline| (deadline, meter)));
        due.min().map(|(_, meter)| meter)
    }

    /// When something may change by itself.
    fn wake(&self, now: Instant) -> Option<Instant> {
        let living = self.duties.iter().filter_map(Duty::wants_at);
        let reports = self.duties.iter().filter_map(Duty::report_at);
        let probes = self.duties.iter().filter_map(|duty| {
            let at = duty.probe_at()?;
            Some(if at > now { at } else { self.budget.affords_at(duty.lost, now) })
        });
        living.chain(reports).chain(probes).min()
    }

    fn probe_the_others(&mut self, back: usize, now: Instant) {
        let in_round = self.duties.get_mut(back).is_some_and(Duty::left_round);
        if in_round {
            self.round.in_vain = false;
        }
        let ready = self.round.last.is_none_or(|last| now.saturating_duration_since(last) >= self.round.after);
        if !ready {
            return;
        }
        self.round.after = if self.round.in_vain { (self.round.after * 2).min(ROUND_AFTER_MOST) } else { ROUND_AFTER };
        self.round.last = Some(now);
        self.round.in_vain = true;
        for duty in &mut self.duties {
            duty.join_round(now);
        }
    }
}

#[cfg(test)]
mod tests;
