//! Who may have the wire next. Pure: `now` is an argument, randomness has a seed.
//!
//! Always true here:
//! - Each group of points of a meter has a grid of due moments, one period apart. The grids of different meters are spread over the
//!   period, so that they do not fall due together, or lie on the wall clock where that is wanted; those of one meter coincide where
//!   their periods allow it, and what is due together is one dialogue. The first poll comes within [`FIRST_WITHIN`], whatever the
//!   period.
//! - Of the meters that are due the one whose period ends first goes first; those of high priority go before the others, but not more
//!   than [`STREAK`] times in a row. A period that ended without a poll is counted as missed and never made up for.
//! - A meter that gave nothing usable a few times in a row is *silent*. Silent meters are probed at growing, jittered intervals: in
//!   idle air, which is free, or else out of one budget, a settable share of the time that the living want. A period that passes without
//!   even a probe is told as [`Next::Report`], at growing intervals too, so that the platform sees it without a flood.
//! - The first silent meter to come back has the others probed soon, half of the line's time at most; when that was in vain, the
//!   next such round waits longer.
//!
//! Deliberately absent: wires, waiting, and what a poll consists of.

mod budget;
mod duty;
mod turn;

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
/// A line whose meters want more than this share of all time has no moment in which nobody waits.
const FULL: f64 = 0.9;
/// What a dialogue is taken to cost until it was held.
const UNKNOWN_COST: Duration = Duration::from_millis(50);
/// Dialogues of high priority in a row while others wait.
const STREAK: u32 = 4;
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

/// What a meter wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wants {
    /// Periods of its groups of points, at most [`Groups::MOST`].
    pub(super) periods: Vec<Duration>,
    /// Whether it goes before others.
    pub(super) is_urgent: bool,
    /// Whether it is to be polled at whole periods of the wall clock.
    pub(super) is_aligned: bool,
}

/// Some of the groups of points of one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Groups(u64);

impl Groups {
    /// A meter has no more than this.
    pub(super) const MOST: usize = 64;
    /// All there are.
    pub(super) const ALL: Self = Self(u64::MAX);

    /// Whether the group at this place is among them.
    pub(super) fn has(self, place: usize) -> bool {
        place < Self::MOST && self.0 >> place & 1 == 1
    }

    fn add(&mut self, place: usize) {
        if place < Self::MOST {
            self.0 |= 1 << place;
        }
    }
}

/// One dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Place of the meter on the bus.
    pub(super) meter: usize,
    /// What it is about.
    pub(super) groups: Groups,
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
    /// Dialogues of high priority since the last other one.
    streak: u32,
}

/// Probing all silent meters because one came back.
#[derive(Debug)]
struct Round {
    last: Option<Instant>,
    after: Duration,
    in_vain: bool,
}

impl Schedule {
    /// Meters that want this, from `now` on; `lost` is what a dialogue without an answer costs, and the silent ones may take `share` (0
    /// to 1) of the time that the living want.
    pub(super) fn new(meters: &[Wants], lost: Duration, share: f64, now: Instant, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let origin = random.f64();
        let mut place = origin;
        let mut duties = Vec::with_capacity(meters.len());
        for wants in meters {
            duties.push(Duty::new(wants, place, UNKNOWN_COST, lost, now));
            place = (place + SPREAD).fract();
        }
        let round = Round { last: None, after: ROUND_AFTER, in_vain: false };
        Self { duties, budget: Budget::new(share, now), random, round, streak: 0 }
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

    /// Whether any meter is polled by the wall clock.
    pub(super) fn is_aligned(&self) -> bool {
        self.duties.iter().any(|duty| duty.is_aligned)
    }

    /// The wall clock shows `wall_ms` (Unix time) now. To be told again and again: it may be set.
    pub(super) fn align(&mut self, wall_ms: i64, now: Instant) {
        for duty in &mut self.duties {
            duty.align(wall_ms, now);
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
            let groups = duty.begin(now);
            self.streak = if duty.is_urgent { self.streak.saturating_add(1) } else { 0 };
            return Next::Poll(Grant { meter, groups, at: now, paid: false });
        }
        self.wake(now).map_or(Next::Nothing, Next::NotBefore)
    }

    /// While the wire is down: which meter's values are to be reported missing, or when.
    pub(super) fn next_while_down(&mut self, now: Instant) -> Next {
        let due = self.duties.iter().enumerate().filter_map(|(meter, duty)| duty.outage_report_at().map(|at| (at, meter)));
        let Some((at, meter)) = due.min() else { return Next::Nothing };
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
        let change = duty.finished(grant.groups, outcome, took, jitter, now);
        if change == Change::CameBack {
            self.probe_the_others(grant.meter, now);
        }
        change
    }

    /// Air time that the living want, as a share of all time; at most all of it.
    fn wanted(&self) -> f64 {
        self.duties.iter().filter(|duty| duty.is_living()).map(Duty::load).sum::<f64>().min(1.0)
    }

    /// The silent meter whose probe is most overdue, if there is idle air or budget for it.
    fn probe(&mut self, now: Instant) -> Option<Grant> {
        let idle = self.idle_from(now);
        // Where the living leave any air at all, a paid probe begins when none of them waits.
        let is_pressed = idle == Some(Duration::ZERO) && self.wanted() < FULL;
        let due = self.duties.iter().enumerate().filter_map(|(meter, duty)| duty.probe_at().map(|at| (at, meter)));
        let (_, meter) = due.filter(|(at, _)| *at <= now).min()?;
        let duty = self.duties.get_mut(meter)?;
        let free = idle.is_none_or(|idle| idle >= duty.lost);
        if !free && (!self.budget.affords(duty.lost) || is_pressed) {
            return None;
        }
        duty.begin_probe();
        Some(Grant { meter, groups: Groups::ALL, at: now, paid: !free })
    }

    /// How long nobody living will want the wire; `None`: for ever.
    fn idle_from(&self, now: Instant) -> Option<Duration> {
        let wants = self.duties.iter().filter_map(Duty::wants_at).min();
        wants.map(|at| at.saturating_duration_since(now))
    }

    fn most_urgent(&self, now: Instant) -> Option<usize> {
        let has_streak = self.streak >= STREAK;
        let due = self.duties.iter().enumerate().filter_map(|(meter, duty)| {
            let goes_first = duty.is_urgent != has_streak;
            duty.deadline(now).map(|deadline| (!goes_first, deadline, meter))
        });
        due.min().map(|(_, _, meter)| meter)
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
