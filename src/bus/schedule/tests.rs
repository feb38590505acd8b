//! Whole lines in virtual time: a loop that performs what the schedule says, and meters that cost what they cost.

use proptest::prelude::*;

use super::*;
use crate::clock::monotonic;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One simulated meter.
#[derive(Debug, Clone)]
struct Sim {
    every: Duration,
    cost: Duration,
    /// Whether it answers, by time since the start.
    alive: fn(Duration) -> bool,
    polls: Vec<Duration>,
    reports: u32,
}

const LOST: Duration = Duration::from_millis(700);

fn living(every: Duration, cost: Duration) -> Sim {
    Sim { every, cost, alive: |_| true, polls: Vec::new(), reports: 0 }
}

fn dead(every: Duration) -> Sim {
    Sim { alive: |_| false, ..living(every, ms(0)) }
}

struct Line {
    meters: Vec<Sim>,
    schedule: Schedule,
    start: Instant,
    now: Instant,
    busy: Duration,
}

impl Line {
    fn new(meters: Vec<Sim>, seed: u64) -> Self {
        let start = monotonic();
        let periods: Vec<Duration> = meters.iter().map(|meter| meter.every).collect();
        Self { meters, schedule: Schedule::new(&periods, LOST, start, seed), start, now: start, busy: Duration::ZERO }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            match self.schedule.next(self.now) {
                Next::Poll(grant) => self.poll(grant),
                Next::Report(meter) => self.meters[meter].reports += 1,
                Next::NotBefore(at) => {
                    assert!(at > self.now, "a wait that does not wait");
                    self.now = at.min(end);
                }
                Next::Nothing => self.now = end,
            }
        }
    }

    fn poll(&mut self, grant: Grant) {
        let since = self.now - self.start;
        let meter = &mut self.meters[grant.meter];
        let alive = (meter.alive)(since);
        let took = if alive { meter.cost } else { LOST };
        self.now += took;
        self.busy += took;
        if alive {
            meter.polls.push(self.now - self.start);
        }
        self.schedule.finished(grant, if alive { Outcome::Answered } else { Outcome::Silent }, self.now);
    }

    fn polls(&self, meters: std::ops::Range<usize>) -> usize {
        self.meters[meters].iter().map(|meter| meter.polls.len()).sum()
    }
}

fn polled(meters: Vec<Sim>, span: Duration) -> Line {
    let mut line = Line::new(meters, 1);
    line.run(span);
    line
}

#[test]
fn meters_of_one_period_do_not_fall_due_together() {
    let line = polled(vec![living(ms(10_000), ms(1)); 10], ms(60_000));
    let mut moments: Vec<Duration> = line.meters.iter().flat_map(|meter| meter.polls.iter().copied()).collect();
    moments.retain(|at| *at > ms(20_000));
    moments.sort();
    let closest = moments.windows(2).map(|pair| pair[1].abs_diff(pair[0])).min().unwrap();
    assert!(closest > ms(300), "two polls within {closest:?}");
}

#[test]
fn the_first_poll_of_an_hourly_meter_comes_within_a_second() {
    let line = polled(vec![living(ms(3_600_000), ms(10)); 5], ms(1_500));
    assert_eq!(line.polls(0..5), 5);
}

#[test]
fn a_missed_period_is_counted_and_never_made_up_for() {
    let line = polled(vec![living(ms(100), ms(350))], ms(10_000));
    assert!(line.polls(0..1) <= 29, "{} polls", line.polls(0..1));
    assert!((70..=75).contains(&line.schedule.missed()), "{} missed", line.schedule.missed());
}

#[test]
fn on_a_full_line_everybody_gets_a_turn() {
    let line = polled(vec![living(ms(10), ms(100)); 8], ms(80_000));
    for meter in &line.meters {
        assert!((95..=105).contains(&meter.polls.len()), "{} polls", meter.polls.len());
    }
}

#[test]
fn one_dead_of_eight_costs_the_living_nothing_beyond_the_budget() {
    let healthy = polled(vec![living(ms(10), ms(100)); 8], ms(600_000)).polls(0..7);
    let mut meters = vec![living(ms(10), ms(100)); 7];
    meters.push(dead(ms(10)));
    let with_a_dead_one = polled(meters, ms(600_000)).polls(0..7);
    assert!(with_a_dead_one * 100 >= healthy * 105, "{with_a_dead_one} polls, {healthy} when all are well");
}

#[test]
fn thirty_dead_of_thirty_two_leave_the_living_nine_tenths() {
    let healthy = polled(vec![living(ms(10), ms(100)); 2], ms(600_000)).polls(0..2);
    let mut meters = vec![living(ms(10), ms(100)); 2];
    meters.extend(vec![dead(ms(10)); 30]);
    let line = polled(meters, ms(600_000));
    assert!(line.polls(0..2) * 10 >= healthy * 9, "{} polls, {healthy} alone", line.polls(0..2));
}

#[test]
fn a_dead_meter_on_an_idle_line_is_probed_in_idle_air_alone() {
    let mut line = Line::new(vec![living(ms(1_000), ms(100)), dead(ms(1_000))], 1);
    line.run(ms(10_000));
    line.run(ms(600_000));
    assert_eq!(line.schedule.missed(), 0);
}

#[test]
fn a_meter_that_comes_back_is_in_service_within_one_probe_interval() {
    let back_after_ten_minutes = Sim { alive: |since| since > ms(600_000), ..dead(ms(1_000)) };
    let line = polled(vec![living(ms(1_000), ms(100)), back_after_ten_minutes], ms(700_000));
    let first = line.meters[1].polls[0];
    assert!(first < ms(661_000), "back after {first:?}");
    assert!(line.meters[1].polls.len() > 35);
}

#[test]
fn the_first_to_come_back_brings_the_others_with_it() {
    let cabinet = Sim { alive: |since| since > ms(600_000), ..dead(ms(1_000)) };
    let line = polled([vec![cabinet; 10], vec![living(ms(1_000), ms(20))]].concat(), ms(700_000));
    let mut back: Vec<Duration> = line.meters[..10].iter().map(|meter| meter.polls[0]).collect();
    back.sort();
    assert!(back[9].abs_diff(back[0]) < ms(2_000), "from {:?} to {:?}", back[0], back[9]);
}

#[test]
fn a_meter_that_comes_and_goes_does_not_let_the_dead_eat_the_line() {
    let flapping = Sim { alive: |since| since.as_secs() % 10 < 2, ..dead(ms(500)) };
    let mut meters = vec![living(ms(10), ms(100)); 2];
    meters.push(flapping);
    meters.extend(vec![dead(ms(1_000)); 30]);
    let line = polled(meters, ms(3_600_000));
    let percent = line.polls(0..2) * 100 / 36_000;
    assert!(percent > 80, "the living had {percent} % of the line");
}

#[test]
fn silence_is_told_at_growing_intervals() {
    let mut meters = vec![living(ms(10), ms(100)); 2];
    meters.extend(vec![dead(ms(1_000)); 30]);
    let line = polled(meters, ms(3_600_000));
    for meter in &line.meters[2..] {
        assert!((5..60).contains(&meter.reports), "{} reports in an hour", meter.reports);
    }
}

#[test]
fn a_wire_that_is_down_is_told_for_each_meter_and_ever_less_often() {
    let mut line = Line::new(vec![living(ms(1_000), ms(10)); 3], 1);
    let mut reports = [0; 3];
    let end = line.now + ms(3_600_000);
    while line.now < end {
        match line.schedule.next_while_down(line.now) {
            Next::Report(meter) => reports[meter] += 1,
            Next::NotBefore(at) => line.now = at,
            other => panic!("{other:?}"),
        }
    }
    assert!(reports.iter().all(|count| (10..30).contains(count)), "{reports:?}");
}

#[test]
fn what_somebody_asks_for_competes_and_comes_soon() {
    let mut line = Line::new(vec![living(ms(10), ms(100)), living(ms(3_600_000), ms(100))], 1);
    line.run(ms(5_000));
    let before = line.meters[1].polls.len();
    line.schedule.ask(1, line.now);
    line.run(ms(1_000));
    assert_eq!(line.meters[1].polls.len(), before + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Without preemption a dialogue may hold up others by its whole length, so no dialogue here is longer than a fifth of the
    /// shortest period.
    #[test]
    fn no_deadline_is_missed_while_the_load_is_below_four_fifths(
        shares in prop::collection::vec((1u64..=50, 1u32..=100), 1..30),
        seed in any::<u64>(),
    ) {
        let shortest = 100;
        let total: u32 = shares.iter().map(|(_, share)| *share).sum();
        let meters: Vec<Sim> = shares.iter().map(|(factor, share)| {
            let every = Duration::from_millis(shortest * factor);
            let cost = every.mul_f64(0.79 * f64::from(*share) / f64::from(total)).min(ms(shortest / 5));
            living(every, cost)
        }).collect();
        let mut line = Line::new(meters.clone(), seed);
        line.run(ms(60_000));
        prop_assert_eq!(line.schedule.missed(), 0);
        for (meter, sim) in line.meters.iter().zip(&meters) {
            let expected = 60_000 / u64::try_from(sim.every.as_millis()).unwrap();
            prop_assert!(meter.polls.len() as u64 + 2 >= expected, "{} polls of {expected}", meter.polls.len());
        }
    }
}
