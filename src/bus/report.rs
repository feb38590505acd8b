//! What one bus tells: figures for the status board, and a log that a technician can read at 02:00.
//!
//! Always true here: trouble is logged once when it begins and once when it ends; a meter that comes and goes is logged at most once
//! in [`MINUTE`]. Deliberately absent: decisions.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::link::trouble::Trouble;
use super::modbus::Counts;
use super::schedule::{Change, Outcome};
use crate::config::model::Meter;
use crate::reading::{Quality, Reason, Stamp, Sweep, Value};
use crate::status::BusReporter;

const MINUTE: Duration = Duration::from_secs(60);
/// What is said of an adapter whose echo is not dropped.
const ECHO: &str = "the adapter hears what it sends, and answers are lost in that; write echo = \"drop\" at this bus";
/// The board is told of the turning loop no more often than this.
const TURNS_EVERY: Duration = Duration::from_secs(1);

/// A sweep of all points of a meter, without a value.
pub(super) fn missing(meter: &Meter, reason: Reason, stamp: Stamp) -> Sweep {
    let places = (0..meter.schema.points.len()).filter_map(|place| u16::try_from(place).ok());
    let values = places.map(|place| (place, Value::Missing, Quality::Bad(reason))).collect();
    Sweep { schema: meter.schema.clone(), stamp, values }
}

/// What a dialogue gave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    good: u64,
    failed: u64,
    last_good_ms: i64,
}

impl Taken {
    /// Counts sweeps with and without a good value.
    pub(super) fn of(sweeps: &[Sweep]) -> Self {
        let mut taken = Self::default();
        for sweep in sweeps {
            if sweep.values.iter().any(|(_, _, quality)| *quality == Quality::Good) {
                taken.good += 1;
                taken.last_good_ms = taken.last_good_ms.max(sweep.stamp.wall_ms);
            } else {
                taken.failed += 1;
            }
        }
        taken
    }
}

/// The voice of one bus.
#[derive(Debug)]
pub(super) struct Report {
    bus: Box<str>,
    meters: Vec<Known>,
    status: BusReporter,
    turned: Option<Instant>,
    /// Since when the wire is down, and what was said about it.
    down: Option<(Instant, Trouble)>,
    missed: u64,
    has_told_of_echo: bool,
}

#[derive(Debug)]
struct Known {
    name: Box<str>,
    unit: u8,
    logged: Option<Instant>,
    /// Whether its falling silent was logged for people, so that its coming back is too.
    loud: bool,
    silent_since: Option<Instant>,
}

impl Report {
    /// The voice of this bus, whose meters have these names and units.
    pub(super) fn new(bus: &str, meters: Vec<(Box<str>, u8)>, status: BusReporter) -> Self {
        let known = |(name, unit)| Known { name, unit, logged: None, loud: false, silent_since: None };
        let meters = meters.into_iter().map(known).collect();
        Self { bus: bus.into(), meters, status, turned: None, down: None, missed: 0, has_told_of_echo: false }
    }

    /// The loop turned.
    pub(super) fn turned(&mut self, now: Instant) {
        if self.turned.is_none_or(|last| now.saturating_duration_since(last) >= TURNS_EVERY) {
            self.turned = Some(now);
            self.status.turned(now);
        }
    }

    /// The wire is gone, or still is.
    pub(super) fn line_down(&mut self, trouble: &Trouble, now: Instant) {
        let since = self.down.as_ref().map_or(now, |(since, _)| *since);
        if self.down.as_ref().is_none_or(|(_, said)| said != trouble) {
            warn!(bus = %self.bus, "the line is down: {trouble}; trying again at growing intervals");
            self.status.update(|status| {
                status.up = false;
                status.trouble = trouble.to_string();
            });
        }
        self.down = Some((since, trouble.clone()));
    }

    /// The wire is there.
    pub(super) fn line_up(&mut self, now: Instant) {
        if let Some((since, _)) = self.down.take() {
            let seconds = now.saturating_duration_since(since).as_secs();
            info!(bus = %self.bus, "the line is back after {seconds} s");
        } else {
            info!(bus = %self.bus, "the line is open");
        }
        self.status.update(|status| {
            status.up = true;
            status.trouble.clear();
        });
    }

    /// What happened on the wire since the last call, and how many deadlines were missed since the start.
    pub(super) fn counted(&mut self, counts: Counts, missed: u64) {
        if counts == Counts::default() && missed == self.missed {
            return;
        }
        self.missed = missed;
        if counts.echoes > 0 && !std::mem::replace(&mut self.has_told_of_echo, true) {
            warn!(bus = %self.bus, "{ECHO}");
            self.status.update(|status| ECHO.clone_into(&mut status.trouble));
        }
        self.status.update(|status| {
            status.requests += counts.requests;
            status.answers += counts.answers;
            status.timeouts += counts.timeouts;
            status.garbled += counts.garbled;
            status.refused += counts.refused;
            status.drained += counts.drained;
            status.opened += counts.opened;
            status.missed = missed;
        });
    }

    /// A dialogue with a meter ended so.
    pub(super) fn dialogue(&mut self, meter: usize, taken: Taken, outcome: Outcome, change: Change, now: Instant) {
        let trouble = match outcome {
            Outcome::Answered => "",
            Outcome::Silent => "timeout",
            Outcome::Garbled => "garbled",
            Outcome::LineDown => "line-down",
        };
        self.tell(meter, taken, outcome == Outcome::Answered, trouble);
        match change {
            Change::None => {}
            Change::FellSilent => self.fell_silent(meter, outcome, now),
            Change::CameBack => self.came_back(meter, now),
        }
    }

    /// What a meter refuses has changed.
    pub(super) fn refuses(&self, meter: usize, refusals: &str) {
        let Some(known) = self.meters.get(meter) else { return };
        if refusals.is_empty() {
            info!(bus = %self.bus, meter = %known.name, "the meter answers everything again");
        } else {
            warn!(bus = %self.bus, meter = %known.name, "the meter refuses {refusals}; read around it, tried again daily; check its point list");
        }
    }

    /// A sweep without values was handed on, because nobody could be asked.
    pub(super) fn missing(&mut self, meter: usize, taken: Taken, reason: Reason) {
        self.tell(meter, taken, false, &reason.to_string());
    }

    fn tell(&self, meter: usize, taken: Taken, alive: bool, trouble: &str) {
        let Some(known) = self.meters.get(meter) else { return };
        self.status.meter(&known.name, |status| {
            status.alive = alive;
            if status.trouble != trouble {
                trouble.clone_into(&mut status.trouble);
            }
            status.good += taken.good;
            status.failed += taken.failed;
            status.last_good_ms = status.last_good_ms.max(taken.last_good_ms);
        });
    }

    fn fell_silent(&mut self, meter: usize, outcome: Outcome, now: Instant) {
        let Some(known) = self.meters.get_mut(meter) else { return };
        known.silent_since = Some(now);
        let loud = known.may_be_logged(now);
        let (name, unit) = (&known.name, known.unit);
        let remedy = match outcome {
            Outcome::Garbled => "answers are garbled: check baud, parity, termination, and that no two meters have this unit",
            _ => "no answer: check power, wiring, and the unit set at the meter",
        };
        if loud {
            warn!(bus = %self.bus, meter = %name, unit, "the meter falls silent; {remedy}; trying it at growing intervals");
        } else {
            debug!(bus = %self.bus, meter = %name, unit, "the meter falls silent again; {remedy}");
        }
    }

    fn came_back(&mut self, meter: usize, now: Instant) {
        let Some(known) = self.meters.get_mut(meter) else { return };
        let seconds = known.silent_since.take().map_or(0, |since| now.saturating_duration_since(since).as_secs());
        if known.loud {
            info!(bus = %self.bus, meter = %known.name, "the meter is back after {seconds} s");
        } else {
            debug!(bus = %self.bus, meter = %known.name, "the meter is back after {seconds} s");
        }
    }
}

impl Known {
    fn may_be_logged(&mut self, now: Instant) -> bool {
        let loud = self.logged.is_none_or(|last| now.saturating_duration_since(last) >= MINUTE);
        if loud {
            self.logged = Some(now);
        }
        self.loud = loud;
        loud
    }
}
