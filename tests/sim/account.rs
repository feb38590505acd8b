//! The oracle's judgement over what was delivered: nothing twice under another content, nothing missing in the sequence.
//!
//! Always true here: a sweep is known by (run, seq, its place in the batch). Its content is its names, values, qualities and its
//! time, unless the time became better known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value as Json;

use super::relay::Message;

/// Payload of a `data` message.
#[derive(Debug, Clone, Deserialize)]
pub struct Data {
    /// Version of the payload.
    pub v: u32,
    /// Name of the gateway.
    pub gateway: String,
    /// Its district.
    pub district: String,
    /// The run that took the batch.
    pub run: u64,
    /// The batch's number in it.
    pub seq: u64,
    /// Place of the first sweep of this message in the batch.
    pub first: u64,
    /// Sweeps of the whole batch.
    pub of: u64,
    /// Whether the batch closed before the connection was made.
    pub replay: bool,
    /// Some or all sweeps of the batch.
    pub sweeps: Vec<Swept>,
}

/// One sweep of a `data` message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Swept {
    /// Name of the meter.
    pub meter: String,
    /// Id of its schema.
    pub schema: String,
    /// Unix milliseconds.
    pub ts: i64,
    /// Present when the clock was not synchronised.
    #[serde(default)]
    pub tq: Option<String>,
    /// By name of the point.
    #[serde(default)]
    pub values: BTreeMap<String, Json>,
    /// By name of the point; present where not good.
    #[serde(default)]
    pub quality: BTreeMap<String, String>,
}

/// Payload of an `event` message, as far as it is judged.
#[derive(Debug, Deserialize)]
struct Told {
    run: u64,
    seq: u64,
}

/// (run, seq, place of the sweep in the batch)
pub type SweepKey = (u64, u64, u64);

/// A sweep that was delivered for the first time.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// What it is known by.
    pub key: SweepKey,
    /// Name of the gateway it arrived under.
    pub gateway: String,
    /// District it arrived under.
    pub district: String,
    /// As backlog.
    pub replay: bool,
    /// Which connection of the relay.
    pub connection: u64,
    /// Place of its message among the delivered.
    pub message: usize,
    /// Itself.
    pub sweep: Swept,
}

/// Everything that was delivered, judged.
#[derive(Debug, Default)]
pub struct Account {
    /// In the order of arrival.
    pub arrived: Vec<Arrived>,
    /// Sweeps delivered again with the same content.
    pub duplicates: usize,
    /// Everything that must not be.
    pub wrongs: Vec<String>,
    known: HashMap<SweepKey, usize>,
    numbers: BTreeMap<u64, BTreeSet<u64>>,
    batches: HashMap<(u64, u64), Batch>,
    messages: usize,
}

#[derive(Debug, Default)]
struct Batch {
    of: u64,
    places: BTreeSet<u64>,
}

impl Account {
    /// Judges messages in the order of their delivery.
    pub fn of(messages: &[Message]) -> Self {
        let mut account = Self::default();
        for message in messages {
            account.take(message);
        }
        account
    }

    /// Judges one more message; gives the sweeps in it that had not arrived before.
    pub fn take(&mut self, message: &Message) -> &[Arrived] {
        let before = self.arrived.len();
        self.messages += 1;
        let kind = message.topic.rsplit('/').next().unwrap_or_default();
        match kind {
            "data" => match serde_json::from_slice(&message.payload) {
                Ok(data) => self.take_data(message, data),
                Err(error) => self.wrongs.push(format!("unreadable data: {error}: {}", text(message))),
            },
            "event" => match serde_json::from_slice::<Told>(&message.payload) {
                Ok(told) => _ = self.numbers.entry(told.run).or_default().insert(told.seq),
                Err(error) => self.wrongs.push(format!("unreadable event: {error}: {}", text(message))),
            },
            _ => {}
        }
        &self.arrived[before..]
    }

    fn take_data(&mut self, message: &Message, data: Data) {
        let expected = format!("districtd/{}/{}/data", data.district, data.gateway);
        if message.topic != expected {
            self.wrongs.push(format!("data of {expected} came under {}", message.topic));
        }
        self.numbers.entry(data.run).or_default().insert(data.seq);
        let batch = self.batches.entry((data.run, data.seq)).or_insert(Batch { of: data.of, places: BTreeSet::new() });
        if batch.of != data.of || data.first + data.sweeps.len() as u64 > data.of {
            self.wrongs.push(format!("batch {}/{}: of was {}, now {}", data.run, data.seq, batch.of, text(message)));
        }
        batch.places.extend((data.first..).take(data.sweeps.len()));
        for (index, sweep) in (data.first..).zip(data.sweeps) {
            self.take_sweep(Arrived {
                key: (data.run, data.seq, index),
                gateway: data.gateway.clone(),
                district: data.district.clone(),
                replay: data.replay,
                connection: message.connection,
                message: self.messages - 1,
                sweep,
            });
        }
    }

    fn take_sweep(&mut self, arrived: Arrived) {
        match self.known.get(&arrived.key).map(|place| &self.arrived[*place]) {
            None => {
                self.known.insert(arrived.key, self.arrived.len());
                self.arrived.push(arrived);
            }
            Some(old) if same_content(old, &arrived) => self.duplicates += 1,
            Some(old) => self.wrongs.push(format!("one key, two contents:\n  {old:?}\n  {arrived:?}")),
        }
    }

    /// How many messages were judged.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Counts of meters that arrived, from a point that holds them, by name of the meter.
    pub fn counts(&self, point: &str) -> BTreeMap<String, BTreeSet<u64>> {
        let mut counts: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for arrived in &self.arrived {
            if let Some(count) = arrived.sweep.values.get(point).and_then(number) {
                counts.entry(arrived.sweep.meter.clone()).or_default().insert(count);
            }
        }
        counts
    }

    /// Counts that arrived under more than one key, though each was handed out once.
    pub fn counted_twice(&self, point: &str) -> Vec<String> {
        let mut seen: HashMap<(&str, u64), SweepKey> = HashMap::new();
        let mut twice = Vec::new();
        for arrived in &self.arrived {
            let Some(count) = arrived.sweep.values.get(point).and_then(number) else { continue };
            if let Some(first) = seen.insert((&arrived.sweep.meter, count), arrived.key) {
                twice.push(format!("count {count} of {} arrived as {first:?} and as {:?}", arrived.sweep.meter, arrived.key));
            }
        }
        twice
    }

    /// Sweeps that arrived first as backlog.
    pub fn backlog(&self) -> usize {
        self.arrived.iter().filter(|arrived| arrived.replay).count()
    }

    /// Numbers that are missing below the highest of their run, and batches that arrived in part.
    pub fn holes(&self) -> Vec<String> {
        let missing = |run: &u64, seen: &BTreeSet<u64>| {
            let last = seen.last().copied().unwrap_or_default();
            let absent: Vec<u64> = (1..last).filter(|seq| !seen.contains(seq)).collect();
            (!absent.is_empty()).then(|| format!("run {run}: {absent:?} of 1..={last} never arrived"))
        };
        let partial = |key: &(u64, u64), batch: &Batch| {
            let count = batch.places.len() as u64;
            (count != batch.of).then(|| format!("batch {}/{}: {count} of {} sweeps", key.0, key.1, batch.of))
        };
        let numbers = self.numbers.iter().filter_map(|(run, seen)| missing(run, seen));
        numbers.chain(self.batches.iter().filter_map(|(key, batch)| partial(key, batch))).collect()
    }
}

/// A 64-bit integer comes as a string, any other as a number.
pub fn number(value: &Json) -> Option<u64> {
    value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok())
}

fn same_content(a: &Arrived, b: &Arrived) -> bool {
    let better_known = a.sweep.tq != b.sweep.tq;
    let time = |arrived: &Arrived| (!better_known).then_some(arrived.sweep.ts);
    let names = |arrived: &Arrived| (arrived.gateway.clone(), arrived.district.clone(), arrived.sweep.meter.clone());
    let (x, y) = (&a.sweep, &b.sweep);
    names(a) == names(b) && time(a) == time(b) && (&x.schema, &x.values, &x.quality) == (&y.schema, &y.values, &y.quality)
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn data(seq: u64, count: u64) -> Message {
        let payload = format!(
            r#"{{"v":1,"gateway":"g","district":"d","run":5,"seq":{seq},"first":0,"of":1,"replay":false,"sweeps":[
            {{"meter":"m","schema":"9f2c61d04be07a15","ts":1763834400123,"values":{{"count":"{count}"}}}}]}}"#
        );
        let topic = "districtd/d/g/data".to_owned();
        Message { at: Instant::now(), connection: 1, sent: 1, retain: false, topic, payload: payload.into_bytes().into() }
    }

    #[test]
    fn the_same_content_again_is_a_duplicate_and_another_one_is_wrong() {
        let account = Account::of(&[data(1, 7), data(1, 7)]);
        assert_eq!((account.arrived.len(), account.duplicates, account.wrongs.len()), (1, 1, 0));
        assert_eq!(account.counts("count")["m"], BTreeSet::from([7]));
        let account = Account::of(&[data(1, 7), data(1, 8)]);
        assert_eq!((account.arrived.len(), account.duplicates, account.wrongs.len()), (1, 0, 1));
    }

    #[test]
    fn a_number_that_never_arrived_is_a_hole() {
        assert_eq!(Account::of(&[data(1, 7), data(2, 8)]).holes(), Vec::<String>::new());
        assert_eq!(Account::of(&[data(1, 7), data(3, 8)]).holes().len(), 1);
    }
}
