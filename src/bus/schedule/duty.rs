//! What one meter wants of the wire, and how it is doing. Pure.

use std::time::{Duration, Instant};

use super::{ASKED_WITHIN, Change, FIRST_WITHIN, Outcome};

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
    /// Its period.
    pub(super) every: Duration,
    /// What a dialogue costs, as learnt.
    pub(super) cost: Duration,
    /// What a dialogue without an answer costs, as learnt.
    pub(super) lost: Duration,
    /// Periods that ended without a poll.
    pub(super) missed: u64,
    /// Since when somebody wants it polled out of turn.
    pub(super) asked: Option<Instant>,
    /// Where it stands among the others, 0 to 1.
    place: f64,
    /// One moment of its grid.
    grid: Instant,
    /// When it fell or falls due.
    release: Instant,
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
    /// A meter whose grid stands at `place` (0 to 1) of its period.
    pub(super) fn new(every: Duration, place: f64, cost: Duration, lost: Duration, now: Instant) -> Self {
        Self {
            every,
            cost,
            lost,
            missed: 0,
            asked: None,
            place,
            grid: now + every.mul_f64(place),
            release: now + every.min(FIRST_WITHIN).mul_f64(place),
            strikes: 0,
            known: false,
            health: Health::Living,
            outage_every: every,
            outage_reported: None,
        }
    }

    pub(super) fn is_living(&self) -> bool {
        matches!(self.health, Health::Living)
    }

    /// When it wants the wire next: by its period while it lives, and whenever somebody asks.
    pub(super) fn wants_at(&self) -> Option<Instant> {
        match (&self.health, self.asked) {
            (_, Some(asked)) => Some(asked.min(self.release)),
            (Health::Living, None) => Some(self.release),
            (Health::Silent(_), None) => None,
        }
    }

    /// Until when it should be polled, if it is due.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let own = (self.is_living() && self.release <= now).then(|| self.release + self.every);
        let asked = self.asked.map(|asked| asked + ASKED_WITHIN);
        own.into_iter().chain(asked).min()
    }

    /// It gets the wire: what was due is counted, and the next moment of its grid is set.
    pub(super) fn begin(&mut self, now: Instant) {
        self.asked = None;
        if self.release > now || !self.is_living() {
            return;
        }
        let skipped = periods(now.saturating_duration_since(self.release), self.every);
        self.missed += u64::from(skipped);
        let current = self.release + self.every * skipped;
        self.release = self.on_grid_after(current + self.every / 2);
    }

    /// It gets the wire although it is silent.
    pub(super) fn begin_probe(&mut self) {
        self.asked = None;
    }

    /// A dialogue is over.
    pub(super) fn finished(&mut self, outcome: Outcome, took: Duration, jitter: f64, now: Instant) -> Change {
        match outcome {
            Outcome::Answered => {
                self.cost = smoothed(self.cost, took);
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

    fn answered(&mut self, now: Instant) -> Change {
        self.strikes = 0;
        self.known = true;
        self.outage_every = self.every;
        self.outage_reported = None;
        if self.is_living() {
            return Change::None;
        }
        self.release = self.on_grid_after(now);
        Change::CameBack
    }

    fn failed(&mut self, jitter: f64, now: Instant) -> Change {
        let (first, longest) = (self.every.max(PROBE_FIRST), self.every.max(PROBE_LONGEST));
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
        let longest = self.every.max(REPORT_LONGEST);
        if let Health::Silent(silence) = &mut self.health {
            silence.report_every = (silence.report_every * 2).min(longest);
            silence.report_at = now + silence.report_every;
        }
    }

    /// When the outage of the whole wire is to be told for this meter.
    pub(super) fn outage_report_at(&self) -> Instant {
        self.outage_reported.map_or(self.release, |last| last + self.outage_every)
    }

    pub(super) fn reported_outage(&mut self, now: Instant) {
        if self.outage_reported.is_some() {
            self.outage_every = (self.outage_every * 2).min(self.every.max(REPORT_LONGEST));
        }
        self.outage_reported = Some(now);
        self.release = self.on_grid_after(now);
    }

    /// The wire is there again.
    pub(super) fn restart(&mut self, now: Instant) {
        let soon = now + self.every.min(FIRST_WITHIN).mul_f64(self.place);
        self.release = soon;
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

    /// The first moment of the grid after `moment`.
    fn on_grid_after(&self, moment: Instant) -> Instant {
        if moment < self.grid {
            let back = periods(self.grid.saturating_duration_since(moment), self.every);
            return self.grid.checked_sub(self.every * back).filter(|at| *at > moment).unwrap_or(self.grid);
        }
        let passed = periods(moment.saturating_duration_since(self.grid), self.every);
        self.grid + self.every * (passed.saturating_add(1))
    }
}

/// Whole periods in a span.
fn periods(span: Duration, every: Duration) -> u32 {
    u32::try_from(span.as_nanos() / every.as_nanos().max(1)).unwrap_or(u32::MAX)
}

fn smoothed(old: Duration, new: Duration) -> Duration {
    (old * 3 + new) / 4
}

/// Between three quarters of an interval and all of it.
fn jittered(interval: Duration, jitter: f64) -> Duration {
    interval.mul_f64(0.75 + 0.25 * jitter)
}
