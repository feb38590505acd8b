//! What one meter wants of the wire, and how it is doing. Pure.

use std::time::{Duration, Instant};

use super::turn::Turn;
use super::{ASKED_WITHIN, Change, FIRST_WITHIN, Groups, Outcome, Wants};

/// No dialogue is taken to cost less.
const LEAST_COST: Duration = Duration::from_micros(10);

/// Any answer clears the account; two dialogues without a byte, or four with rubbish, fill it, and the meter is taken for silent.
const STRIKES: u8 = 4;
/// Probes begin at this interval, or at the meter's period if that is longer, and double up to the longest.
const PROBE_FIRST: Duration = Duration::from_secs(1);
/// The longest interval between probes, or the meter's period if that is longer.
const PROBE_LONGEST: Duration = Duration::from_secs(60);
/// The longest interval between reports of what did not come, or the meter's period if that is longer.
const REPORT_LONGEST: Duration = Duration::from_secs(300);

/// One meter on the wire.
#[derive(Debug)]
pub(super) struct Duty {
    /// Its groups of points, the shortest period first.
    turns: Vec<Turn>,
    /// Whether it goes before others.
    pub(super) is_urgent: bool,
    /// Whether it is polled at whole periods of the wall clock.
    pub(super) is_aligned: bool,
    /// What a dialogue without an answer costs, as learnt.
    pub(super) lost: Duration,
    /// Periods that ended without a poll.
    pub(super) missed: u64,
    /// Since when somebody wants it polled out of turn.
    pub(super) asked: Option<Instant>,
    /// Where it stands among the others, 0 to 1.
    place: f64,
    strikes: u8,
    /// Whether it ever answered. One that never did is taken for silent at the first failure: thirty meters that are not there yet
    /// should not cost the others twice.
    known: bool,
    health: Health,
    outage_every: Duration,
    outage_reported: Option<Instant>,
}

/// Whether it answers.
#[derive(Debug)]
enum Health {
    /// As far as is known.
    Living,
    /// Not for some time.
    Silent(Silence),
}

/// How a silent meter is treated.
#[derive(Debug)]
struct Silence {
    interval: Duration,
    probe_at: Instant,
    report_every: Duration,
    report_at: Instant,
    in_round: bool,
}

impl Duty {
    /// A meter whose grids stand at `place` (0 to 1) of its periods.
    pub(super) fn new(wants: &Wants, place: f64, cost: Duration, lost: Duration, now: Instant) -> Self {
        let mut duty = Self {
            turns: Vec::with_capacity(wants.periods.len()),
            is_urgent: wants.is_urgent,
            is_aligned: wants.is_aligned,
            lost,
            missed: 0,
            asked: None,
            place,
            strikes: 0,
            known: false,
            health: Health::Living,
            outage_every: Duration::ZERO,
            outage_reported: None,
        };
        let shortest = wants.periods.iter().min().copied().unwrap_or(FIRST_WITHIN);
        let first = now + shortest.min(FIRST_WITHIN).mul_f64(place);
        for every in &wants.periods {
            let grid = now + on_the_shortest(shortest, *every, place);
            duty.turns.push(Turn::new(*every, cost, grid, first));
        }
        duty.outage_every = shortest;
        duty
    }

    pub(super) fn is_living(&self) -> bool {
        matches!(self.health, Health::Living)
    }

    /// Its shortest period.
    fn every(&self) -> Duration {
        self.turns.iter().map(|turn| turn.every).min().unwrap_or(FIRST_WITHIN)
    }

    /// When the first of its groups fell or falls due.
    fn release(&self) -> Option<Instant> {
        self.turns.iter().map(Turn::release).min()
    }

    /// Share of all time that its dialogues take.
    pub(super) fn load(&self) -> f64 {
        self.turns.iter().map(|turn| turn.cost.as_secs_f64() / turn.every.as_secs_f64().max(1e-3)).sum()
    }

    /// When it wants the wire next: by its periods while it lives, and whenever somebody asks.
    pub(super) fn wants_at(&self) -> Option<Instant> {
        match (&self.health, self.asked) {
            (_, Some(asked)) => Some(self.release().map_or(asked, |release| release.min(asked))),
            (Health::Living, None) => self.release(),
            (Health::Silent(_), None) => None,
        }
    }

    /// Until when it should be polled, if it is due.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let due = self.turns.iter().filter(|turn| self.is_living() && turn.is_due(now)).map(Turn::deadline);
        let asked = self.asked.map(|asked| asked + ASKED_WITHIN);
        due.chain(asked).min()
    }

    /// It gets the wire: what was due is counted, and the next moments of the grids are set. Answers what the dialogue is about.
    pub(super) fn begin(&mut self, now: Instant) -> Groups {
        let was_asked = self.asked.take().is_some();
        if !self.is_living() {
            return Groups::ALL;
        }
        let mut groups = Groups::default();
        for (place, turn) in self.turns.iter_mut().enumerate() {
            if turn.is_due(now) {
                groups.add(place);
                self.missed += turn.take(now);
            }
        }
        if was_asked { Groups::ALL } else { groups }
    }

    /// It gets the wire although it is silent.
    pub(super) fn begin_probe(&mut self) {
        self.asked = None;
    }

    /// The wall clock shows `wall_ms` (Unix time) now.
    pub(super) fn align(&mut self, wall_ms: i64, now: Instant) {
        for turn in self.turns.iter_mut().filter(|_| self.is_aligned) {
            turn.align(wall_ms, now);
        }
    }

    /// A dialogue is over.
    pub(super) fn finished(&mut self, groups: Groups, outcome: Outcome, took: Duration, jitter: f64, now: Instant) -> Change {
        match outcome {
            Outcome::Answered => {
                self.took(groups, took);
                self.answered(now)
            }
            Outcome::LineDown => {
                self.outage_reported = Some(now);
                Change::None
            }
            Outcome::Silent | Outcome::Garbled => {
                self.lost = smoothed(self.lost, took);
                self.strikes = self.strikes.saturating_add(if outcome == Outcome::Silent { STRIKES / 2 } else { STRIKES / 4 });
                self.failed(jitter, now)
            }
        }
    }

    /// What a dialogue took is shared out by what is known of the groups it was about.
    fn took(&mut self, groups: Groups, took: Duration) {
        let mut polled: Vec<&mut Turn> =
            self.turns.iter_mut().enumerate().filter(|(place, _)| groups.has(*place)).map(|(_, turn)| turn).collect();
        let known: Duration = polled.iter().map(|turn| turn.cost).sum();
        let factor = took.as_secs_f64() / known.as_secs_f64().max(1e-6);
        for turn in &mut polled {
            turn.cost = smoothed(turn.cost, turn.cost.mul_f64(factor)).max(LEAST_COST);
        }
    }

    fn answered(&mut self, now: Instant) -> Change {
        self.strikes = 0;
        self.known = true;
        self.outage_every = self.every();
        self.outage_reported = None;
        if self.is_living() {
            return Change::None;
        }
        self.skip(now);
        Change::CameBack
    }

    fn failed(&mut self, jitter: f64, now: Instant) -> Change {
        let (first, longest) = (self.every().max(PROBE_FIRST), self.every().max(PROBE_LONGEST));
        match &mut self.health {
            Health::Living if self.known && self.strikes < STRIKES => Change::None,
            Health::Living => {
                let (probe_at, report_at) = (now + jittered(first, jitter), now + first * 2);
                let silence = Silence { interval: first, probe_at, report_every: first, report_at, in_round: false };
                self.health = Health::Silent(silence);
                Change::FellSilent
            }
            Health::Silent(silence) => {
                // A round is a gift: failing in it does not make the meter wait longer than before.
                if !std::mem::take(&mut silence.in_round) {
                    silence.interval = (silence.interval * 2).min(longest);
                }
                silence.probe_at = now + jittered(silence.interval, jitter);
                // The failed probe is itself a report, and the next may be a little late.
                silence.report_at = now + (silence.interval * 2).max(silence.report_every);
                Change::None
            }
        }
    }

    /// When it is to be probed, if it is silent.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.silence().map(|silence| silence.probe_at)
    }

    /// When its silence is to be told, if no probe does it before.
    pub(super) fn report_at(&self) -> Option<Instant> {
        self.silence().map(|silence| silence.report_at)
    }

    pub(super) fn report_due(&self, now: Instant) -> bool {
        self.report_at().is_some_and(|at| at <= now)
    }

    pub(super) fn reported(&mut self, now: Instant) {
        let longest = self.every().max(REPORT_LONGEST);
        if let Health::Silent(silence) = &mut self.health {
            silence.report_every = (silence.report_every * 2).min(longest);
            silence.report_at = now + silence.report_every;
        }
    }

    /// When the outage of the whole wire is to be told for this meter.
    pub(super) fn outage_report_at(&self) -> Option<Instant> {
        self.outage_reported.map(|last| last + self.outage_every).or(self.release())
    }

    pub(super) fn reported_outage(&mut self, now: Instant) {
        if self.outage_reported.is_some() {
            self.outage_every = (self.outage_every * 2).min(self.every().max(REPORT_LONGEST));
        }
        self.outage_reported = Some(now);
        self.skip(now);
    }

    /// The wire is there again.
    pub(super) fn restart(&mut self, now: Instant) {
        let soon = now + self.every().min(FIRST_WITHIN).mul_f64(self.place);
        for turn in &mut self.turns {
            turn.restart(soon);
        }
        if let Health::Silent(silence) = &mut self.health {
            silence.probe_at = silence.probe_at.min(soon);
        }
    }

    pub(super) fn is_in_round(&self) -> bool {
        self.silence().is_some_and(|silence| silence.in_round)
    }

    /// Another meter came back: this one is tried at once.
    pub(super) fn join_round(&mut self, now: Instant) {
        if let Health::Silent(silence) = &mut self.health {
            silence.in_round = true;
            silence.probe_at = now;
        }
    }

    /// It came back; whether that was in a round.
    pub(super) fn left_round(&mut self) -> bool {
        let was_in_round = self.is_in_round();
        self.health = Health::Living;
        was_in_round
    }

    fn silence(&self) -> Option<&Silence> {
        match &self.health {
            Health::Living => None,
            Health::Silent(silence) => Some(silence),
        }
    }

    /// Nothing is due before the next moments of the grids.
    fn skip(&mut self, now: Instant) {
        for turn in &mut self.turns {
            turn.skip(now);
        }
    }
}

/// Where a grid stands in its period: groups of one meter whose periods are multiples of the shortest fall due together, and those of
/// different meters apart.
fn on_the_shortest(shortest: Duration, every: Duration, place: f64) -> Duration {
    let step = shortest.as_nanos().max(1);
    let steps = every.mul_f64(place).as_nanos() / step;
    shortest.mul_f64(place) + shortest * u32::try_from(steps).unwrap_or(0)
}

fn smoothed(old: Duration, new: Duration) -> Duration {
    (old * 3 + new) / 4
}

/// Between three quarters of an interval and all of it.
fn jittered(interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(0.75 + 0.25 * jitter)
}
