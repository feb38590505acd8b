//! `[meter.NAME]`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::point::Drafts;
use super::section::Section;
use super::{Judge, TOP, bus, gateway, named, profile};
use crate::config::finding::{Code, Place};
use crate::config::model::{Meter, Point};
use crate::config::schema;
use crate::config::tree::Table;
use crate::reading::{Keep, MeterSchema, SchemaContent, SchemaPoint};

pub(super) const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(7 * 24 * 3600);
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);
const MAX_REGISTERS: std::ops::RangeInclusive<i128> = 1..=125;
const DEFAULT_MAX_REGISTERS: u16 = 125;
const MAX_GAP: std::ops::RangeInclusive<i128> = 0..=1998;
/// A sweep names points by their place in 16 bits; no meter comes near this.
const MOST_POINTS: usize = 4096;

/// What a meter and a profile can both say about how the meter likes to be asked.
#[derive(Default, Clone, Copy)]
pub(super) struct Habits<'a> {
    pause: Option<Duration>,
    max_registers: Option<(u16, &'a Place)>,
    max_gap: Option<u16>,
    even_registers: Option<(bool, &'a Place)>,
    /// A key was there and wrong.
    spoilt: bool,
}

impl Habits<'_> {
    /// These, and for what they do not say, others.
    fn or(self, others: Self) -> Self {
        Self {
            pause: self.pause.or(others.pause),
            max_registers: self.max_registers.or(others.max_registers),
            max_gap: self.max_gap.or(others.max_gap),
            even_registers: self.even_registers.or(others.even_registers),
            spoilt: self.spoilt || others.spoilt,
        }
    }

    fn longest(&self) -> u16 {
        self.max_registers.map_or(DEFAULT_MAX_REGISTERS, |(most, _)| most)
    }

    fn is_even(&self) -> bool {
        self.even_registers.is_some_and(|(even, _)| even)
    }

    /// Registers that must be asked for to get the items `first..behind`.
    fn asked_for(&self, first: u32, behind: u32) -> u32 {
        if self.is_even() { behind.next_multiple_of(2) - (first & !1) } else { behind - first }
    }
}

impl<'a> Judge<'a> {
    /// Reads `pause`, `max-registers`, `max-gap` and `even-registers`.
    pub(super) fn habits(&mut self, section: &Section<'a>) -> Habits<'a> {
        let pause = self.optional(section, "pause", |judge| judge.duration(section, "pause", PAUSE));
        let most = self.optional(section, "max-registers", |judge| judge.integer(section, "max-registers", MAX_REGISTERS));
        let max_gap = self.optional(section, "max-gap", |judge| judge.integer(section, "max-gap", MAX_GAP));
        Habits {
            pause: pause.flatten(),
            max_registers: most.flatten().zip(section.place("max-registers")),
            max_gap: max_gap.flatten(),
            even_registers: section.flag("even-registers").zip(section.place("even-registers")),
            spoilt: pause.is_none() || most.is_none() || max_gap.is_none(),
        }
    }

    /// The meters with the names of their buses, in the order of their own names.
    pub(super) fn meters(
        &mut self,
        tree: &'a Table,
        buses: &BTreeMap<&'a str, bus::Draft<'a>>,
        profiles: &BTreeMap<&'a str, profile::Draft<'a>>,
        gateway: Option<&gateway::Draft>,
    ) -> Vec<(&'a str, Option<Meter>)> {
        let sections = named(&[], tree, "meter", schema::Section::Meter);
        if sections.is_empty() && !self.context.spoken.below("meter") {
            self.no_meters();
        }
        let mut meters = Vec::new();
        let mut units: BTreeMap<(&str, u8), &str> = BTreeMap::new();
        for (name, section) in &sections {
            self.missing_keys(section);
            let bus = self.bus_of(section, buses);
            let unit = self.unit_id(section, bus.and_then(|bus| bus.rtu));
            if let (Some(bus), Some(unit)) = (bus, unit) {
                let first = *units.entry((bus.section.name(), unit)).or_insert(name);
                self.same_unit_twice(section, first, bus, unit);
            }
            let meter = self.meter(section, unit, profiles, gateway);
            meters.extend(section.text("bus").map(|bus| (bus, meter)));
        }
        meters
    }

    fn meter(
        &mut self,
        section: &Section<'a>,
        unit: Option<u8>,
        profiles: &BTreeMap<&'a str, profile::Draft<'a>>,
        gateway: Option<&gateway::Draft>,
    ) -> Option<Meter> {
        let name = self.own_name(section);
        let every = self.duration(section, "every", EVERY);
        let own = self.habits(section);
        let profile = self.profile_of(section, profiles);
        let points = self.all_points(section, profile);
        let keep = self.optional(section, "keep", |judge| [Keep::Normal, Keep::Always].get(judge.word(section, "keep")?).copied());
        let priority = self.optional(section, "priority", |judge| judge.word(section, "priority"));
        let habits = own.or(profile.map(|profile| profile.habits).unwrap_or_default());
        let (schemas, points) = points?;
        self.room_for_points(section, &schemas, &points, &habits);
        self.room_for_factors(section, &schemas, &points, &habits);
        if habits.spoilt {
            return None;
        }
        let name = name?;
        Some(Meter {
            unit: unit?,
            every: every?,
            is_urgent: priority? == Some(1),
            is_aligned: section.flag("align").unwrap_or(false),
            pause: habits.pause.unwrap_or_default(),
            max_registers: habits.longest(),
            max_gap: habits.max_gap,
            even_registers: habits.is_even(),
            points,
            schema: schema_of(&name, keep?.unwrap_or_default(), schemas, gateway?)?,
            name,
        })
    }

    fn no_meters(&mut self) {
        self.findings
            .warning(Code::Unused, &TOP, "no meter is configured: nothing will be read")
            .label("no `[meter.NAME]` in this file")
            .help("add a bus, and a meter on it, with its points: [bus.NAME], [meter.NAME], [meter.NAME.point.NAME]");
    }

    fn bus_of<'b>(&mut self, section: &Section, buses: &'b BTreeMap<&'a str, bus::Draft<'a>>) -> Option<&'b bus::Draft<'a>> {
        let (name, place) = (section.text("bus")?, section.place("bus")?);
        let found = buses.get(name);
        if found.is_none() && !self.context.spoken.of(&["bus", name]) && !self.context.spoken.of(&["bus"]) {
            self.unknown_name("bus", name, place, section, buses.keys());
        }
        found
    }

    fn profile_of<'b>(
        &mut self,
        section: &Section,
        profiles: &'b BTreeMap<&'a str, profile::Draft<'a>>,
    ) -> Option<&'b profile::Draft<'a>> {
        let (name, place) = (section.text("profile")?, section.place("profile")?);
        let found = profiles.get(name);
        if found.is_none() && !self.context.spoken.of(&["profile", name]) && !self.context.spoken.of(&["profile"]) {
            self.unknown_name("profile", name, place, section, profiles.keys());
        }
        found
    }

    fn unknown_name<'n>(
        &mut self,
        what: &str,
        name: &str,
        place: &Place,
        section: &Section,
        known: impl Iterator<Item = &'n &'n str> + Clone,
    ) {
        let title = format!("meter `{}` names {what} \"{name}\", which is not there", section.name());
        let help = match schema::closest(name, known.clone().copied()) {
            Some(close) => format!("did you mean `{what} = \"{close}\"`?"),
            None => format!("add a table [{what}.{name}], or name one of: {}", list(known)),
        };
        self.findings.error(Code::UnknownName, place, title).label(format!("no [{what}.{name}]")).help(help);
    }

    fn unit_id(&mut self, section: &Section, rtu: Option<bool>) -> Option<u8> {
        let node = section.node("unit")?;
        let before = self.findings.0.len();
        let range = if rtu == Some(true) { 1..=247 } else { 0..=255 };
        let unit = self.integer(section, "unit", range);
        if let Some(finding) = self.findings.0.get_mut(before)
            && finding.place == node.value
        {
            finding.help.clear();
            finding
                .help("look up the Modbus address in the meter's menu; on a serial line 0 calls all and 248 to 255 are reserved");
        }
        unit
    }

    fn same_unit_twice(&mut self, section: &Section, first: &str, bus: &bus::Draft, unit: u8) {
        let Some(place) = section.place("unit").filter(|_| first != section.name()) else { return };
        let title = format!("meters `{first}` and `{}` are both unit {unit} on bus `{}`", section.name(), bus.section.name());
        self.findings
            .warning(Code::Duplicate, place, title)
            .label(format!("`{first}` has the same unit id"))
            .help("if they are two devices, give one another unit id; if they are one device, put its points under one meter");
    }

    /// Profile and own points together, in the order of their names. `None`: something is wrong with one of them.
    fn all_points(
        &mut self,
        section: &Section<'a>,
        profile: Option<&profile::Draft<'a>>,
    ) -> Option<(Vec<SchemaPoint>, Vec<Point>)> {
        let mut points: Drafts = profile.map(|profile| profile.points.clone()).unwrap_or_default();
        points.extend(self.points(section));
        let profile_is_missing = section.table.contains_key("profile") && profile.is_none();
        if points.is_empty() && !profile_is_missing && !self.point_was_spoken_of(section) {
            self.findings
                .error(
                    Code::MissingKey,
                    section.header,
                    format!("meter `{}` has no points: there is nothing to read", section.name()),
                )
                .label("no points")
                .help(format!(
                    "add [meter.{}.point.NAME] with `register`, `address` and `type`, or `profile = \"NAME\"`",
                    section.name()
                ));
        }
        if points.is_empty() || profile_is_missing {
            return None;
        }
        if points.len() > MOST_POINTS {
            let title = format!("meter `{}` has {} points, at most {MOST_POINTS} are possible", section.name(), points.len());
            self.findings.error(Code::OutOfRange, section.header, title).help("make two meters of it, with the same unit");
            return None;
        }
        let whole: Option<Vec<_>> = points.into_values().collect();
        whole.map(|points| points.into_iter().unzip())
    }

    fn point_was_spoken_of(&self, section: &Section) -> bool {
        let spoken = |key| self.context.spoken.of(&["meter", section.name(), key]);
        spoken("point") || spoken("profile")
    }

    /// A value that has to be read apart from its scale register. Said once for a meter: of the point with the widest span.
    fn room_for_factors(&mut self, section: &Section, schemas: &[SchemaPoint], points: &[Point], habits: &Habits) {
        let Some((most, place)) = habits.max_registers else { return };
        let needs = points.iter().zip(schemas).filter_map(|(point, schema)| {
            let (first, register) = (u32::from(point.address), u32::from(point.scaling.power_register?));
            let behind = first + u32::from(point.layout.width());
            Some((habits.asked_for(first.min(register), behind.max(register + 1)), schema))
        });
        // Beyond the protocol's own limit it was said at the point.
        let apart = needs.filter(|(span, _)| (u32::from(most) + 1..=u32::from(DEFAULT_MAX_REGISTERS)).contains(span));
        let Some((span, schema)) = apart.max_by_key(|(span, _)| *span) else { return };
        let name = section.name();
        let title = format!("point `{}` of meter `{name}` cannot be read together with its `scale-register`", schema.name);
        self.findings
            .warning(Code::Doubtful, place, title)
            .label(format!("both together are {span} registers"))
            .help("raise `max-registers` if the meter allows it; otherwise they are read in two requests of the same poll, and a factor that changes in between would spoil a reading");
    }

    /// A value is never split over two requests.
    fn room_for_points(&mut self, section: &Section, schemas: &[SchemaPoint], points: &[Point], habits: &Habits) {
        let Some(place) = habits.max_registers.map(|(_, place)| place).or(habits.even_registers.map(|(_, place)| place)) else {
            return;
        };
        let registers = points.iter().zip(schemas).filter(|(point, _)| !point.table.is_bits());
        let needs = registers.map(|(point, schema)| {
            let first = u32::from(point.address);
            (habits.asked_for(first, first + u32::from(point.layout.width())), schema)
        });
        let most = u32::from(habits.longest());
        let Some((width, schema)) = needs.max_by_key(|(width, _)| *width).filter(|(width, _)| *width > most) else { return };
        let title = format!(
            "meter `{}` may be asked for {most} registers at once, but point `{}` needs {width}",
            section.name(),
            schema.name
        );
        self.findings
            .error(Code::Conflict, place, title)
            .label(format!("expected at least {width}"))
            .help("raise `max-registers`, or remove the point: a value read in two halves would be a wrong one");
    }
}

fn schema_of(name: &str, keep: Keep, points: Vec<SchemaPoint>, gateway: &gateway::Draft) -> Option<Arc<MeterSchema>> {
    let (gateway, district) = (gateway.name.clone()?, gateway.district.clone()?);
    Some(Arc::new(MeterSchema::new(SchemaContent { gateway, district, meter: name.into(), keep, points })))
}

fn list<'n>(names: impl Iterator<Item = &'n &'n str>) -> String {
    let names: Vec<&str> = names.copied().take(10).collect();
    if names.is_empty() { "(there is none yet)".to_owned() } else { names.join(", ") }
}
