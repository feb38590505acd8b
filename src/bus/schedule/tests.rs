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
    /// A second group of points with a period of its own costs the same again.
    slow: Option<Duration>,
    is_urgent: bool,
    is_aligned: bool,
    cost: Duration,
    /// Whether it answers, by time since the start.
    alive: fn(Duration) -> bool,
    polls: Vec<Duration>,
    slow_polls: Vec<Duration>,
    reports: u32,
}

impl Sim {
    fn wants(&self) -> Wants {
        let periods = std::iter::once(self.every).chain(self.slow).collect();
        Wants { periods, is_urgent: self.is_urgent, is_aligned: self.is_aligned }
    }
}

const LOST: Duration = Duration::from_millis(700);

fn living(every: Duration, cost: Duration) -> Sim {
    Sim {
        every,
        slow: None,
        is_urgent: false,
        is_aligned: false,
        cost,
        alive: |_| true,
        polls: Vec::new(),
        slow_polls: Vec::new(),
        reports: 0,
    }
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
        let wants: Vec<Wants> = meters.iter().map(Sim::wants).collect();
        Self { meters, schedule: Schedule::new(&wants, LOST, 0.05, start, seed), start, now: start, busy: Duration::ZERO }
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
        let groups = (0..2).filter(|place| grant.groups.has(*place) && (*place == 0 || meter.slow.is_some())).count();
        let took = if alive { meter.cost * u32::try_from(groups).unwrap() } else { LOST };
        self.now += took;
        self.busy += took;
        if alive {
            if grant.groups.has(0) {
                meter.polls.push(since);
            }
            if grant.groups.has(1) && meter.slow.is_some() {
                meter.slow_polls.push(since);
            }
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

#[test]
fn a_group_of_points_has_a_period_of_its_own_and_shares_the_dialogue_when_both_fall_due() {
    let meters = vec![Sim { slow: Some(ms(15_000)), ..living(ms(1_000), ms(10)) }; 7];
    let line = polled(meters, ms(300_000));
    for meter in &line.meters {
        assert!((300..=302).contains(&meter.polls.len()), "{} polls", meter.polls.len());
        assert!((20..=22).contains(&meter.slow_polls.len()), "{} polls of the slow group", meter.slow_polls.len());
        assert!(meter.slow_polls.iter().all(|at| meter.polls.contains(at)), "a dialogue of its own for the slow group");
    }
    let mut slow: Vec<Duration> = line.meters.iter().flat_map(|meter| meter.slow_polls.iter().copied()).collect();
    slow.sort();
    slow.retain(|at| *at > ms(20_000));
    let closest = slow.windows(2).map(|pair| pair[1].abs_diff(pair[0])).min().unwrap();
    assert!(closest > ms(700), "the slow groups of two meters within {closest:?}");
}

#[test]
fn groups_whose_periods_are_no_multiples_each_keep_their_own() {
    let line = polled(vec![Sim { slow: Some(ms(1_700)), ..living(ms(1_000), ms(10)) }], ms(170_000));
    assert!((170..=172).contains(&line.meters[0].polls.len()), "{}", line.meters[0].polls.len());
    assert!((100..=102).contains(&line.meters[0].slow_polls.len()), "{}", line.meters[0].slow_polls.len());
    assert_eq!(line.schedule.missed(), 0);
}

#[test]
fn a_meter_of_high_priority_keeps_its_period_on_a_full_line_and_the_others_still_get_a_turn() {
    let mut meters = vec![living(ms(10), ms(100)); 8];
    meters.push(Sim { is_urgent: true, ..living(ms(500), ms(100)) });
    let line = polled(meters.clone(), ms(60_000));
    assert!(line.meters[8].polls.len() >= 119, "{} polls", line.meters[8].polls.len());
    assert!(line.meters[..8].iter().all(|meter| meter.polls.len() > 50), "the others starve");
    meters[8].every = ms(10);
    let greedy = polled(meters, ms(60_000));
    assert!(greedy.polls(0..8) >= 110, "a fifth of the line is left to the others: {}", greedy.polls(0..8));
}

#[test]
fn an_aligned_meter_is_polled_when_the_wall_clock_shows_whole_periods() {
    let mut line = Line::new(vec![Sim { is_aligned: true, slow: Some(ms(60_000)), ..living(ms(15_000), ms(10)) }], 1);
    // 10:00:07.300 at the start.
    line.schedule.align(36_007_300, line.now);
    line.run(ms(300_000));
    let on_the_grid = |at: &Duration, every: u128| (at.as_millis() + 7_300) % every <= 1;
    let meter = &line.meters[0];
    assert!(meter.polls[1..].iter().all(|at| on_the_grid(at, 15_000)), "{:?}", meter.polls);
    assert!(meter.slow_polls[1..].iter().all(|at| on_the_grid(at, 60_000)), "{:?}", meter.slow_polls);
    assert_eq!((meter.polls.len(), meter.slow_polls.len()), (20, 6));
}

#[test]
fn when_the_wall_clock_is_set_an_aligned_meter_follows_and_a_drift_of_milliseconds_does_not_move_it() {
    let mut line = Line::new(vec![Sim { is_aligned: true, ..living(ms(10_000), ms(10)) }], 1);
    line.schedule.align(0, line.now);
    line.run(ms(25_000));
    line.schedule.align(25_005, line.now);
    line.run(ms(10_000));
    assert_eq!(line.meters[0].polls.last(), Some(&ms(30_000)), "5 ms are no reason");
    line.schedule.align(1_000_000_003_000, line.now);
    line.run(ms(20_000));
    let late = &line.meters[0].polls;
    assert_eq!(late[late.len() - 2..], [ms(42_000), ms(52_000)], "{late:?}");
}

#[test]
fn two_hours_of_a_mixed_line_below_four_fifths_miss_no_deadline() {
    for seed in 0..5 {
        // As at 9600, 19200 and 115200 baud: 40 registers with 20 ms to think.
        let mut meters = vec![living(ms(1_500), ms(135)); 5];
        meters.extend(vec![Sim { slow: Some(ms(60_000)), ..living(ms(2_000), ms(77)) }; 4]);
        meters.extend(vec![living(ms(1_000), ms(32)); 3]);
        meters.push(Sim { is_urgent: true, ..living(ms(1_000), ms(32)) });
        meters.extend(vec![dead(ms(1_000)); 2]);
        let mut line = Line::new(meters, seed);
        // At first nobody knows which meters are dead, and finding out costs two time-outs.
        line.run(ms(10_000));
        let missed = line.schedule.missed();
        assert!(missed <= 12, "seed {seed}: {missed} missed at the start");
        line.run(ms(7_190_000));
        let load = line.busy.as_secs_f64() / 7_200.0;
        assert!((0.7..0.8).contains(&load), "seed {seed}: load {load}");
        assert_eq!(line.schedule.missed(), missed, "seed {seed}");
        assert!(line.meters[12].polls.len() >= 7_197, "seed {seed}: {} polls", line.meters[12].polls.len());
    }
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
