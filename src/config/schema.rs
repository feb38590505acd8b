//! Every key there is: where it stands, what it takes, whether it must be there.
//!
//! Always true here: a key that is not in [`KEYS`] does not exist, neither for files nor for the environment. [`shape`] holds a
//! layer against the table, says what does not fit, and takes it out, so that later steps meet known keys of the right type only.

use super::finding::{Code, Findings, Sources};
use super::quantity;
use super::tree::{Item, Node, Table};

/// What kind of table a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// The top of a file.
    Root,
    /// `[gateway]`
    Gateway,
    /// `[uplink]`
    Uplink,
    /// `[spool]`
    Spool,
    /// `[bus.NAME]`
    Bus,
    /// `[meter.NAME]`
    Meter,
    /// `[profile.NAME]`
    Profile,
    /// `[meter.NAME.point.NAME]` or `[profile.NAME.point.NAME]`
    Point,
}

impl Section {
    /// How it is written in a file.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Root => "the top of the file",
            Self::Gateway => "[gateway]",
            Self::Uplink => "[uplink]",
            Self::Spool => "[spool]",
            Self::Bus => "[bus.NAME]",
            Self::Meter => "[meter.NAME]",
            Self::Profile => "[profile.NAME]",
            Self::Point => "[meter.NAME.point.NAME]",
        }
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Any text.
    Text,
    /// Text: a path.
    Path,
    /// Text: a number and ms, s, m or h.
    Duration,
    /// Text: a number and MiB or the like.
    Size,
    /// Text: one of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A whole number.
    Integer,
    /// Any number; its digits are kept.
    Number,
    /// A whole number or a list of them; in quotes where TOML has no room for it.
    Integers,
    /// One table.
    Table(Section),
    /// Tables by name.
    Named(Section),
}

impl Takes {
    /// What it takes, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text | Self::Path | Self::Word(_) => "a text in quotes",
            Self::Duration => "a time with its unit, in quotes",
            Self::Size => "a size with its unit, in quotes",
            Self::Texts => "a list of texts",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Integers => "a whole number or a list of whole numbers",
            Self::Table(_) | Self::Named(_) => "a table",
        }
    }

    fn fits(self, item: &Item) -> bool {
        match self {
            Self::Text | Self::Path | Self::Duration | Self::Size | Self::Word(_) => matches!(item, Item::Text(_)),
            Self::Texts => matches!(item, Item::List(list) if list.iter().all(|node| matches!(node.item, Item::Text(_)))),
            Self::Integer => matches!(item, Item::Integer(_)),
            Self::Number => matches!(item, Item::Integer(_) | Item::Float(_)),
            Self::Integers => match item {
                Item::List(list) => list.iter().all(|node| matches!(node.item, Item::Integer(_) | Item::Text(_))),
                item => matches!(item, Item::Integer(_) | Item::Text(_)),
            },
            Self::Table(_) | Self::Named(_) => matches!(item, Item::Table(_)),
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands.
    pub section: Section,
    /// As typed.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it must be there.
    pub needed: bool,
    /// A value as one would type it.
    pub example: &'static str,
    /// What it is, in a line.
    pub doc: &'static str,
}

const fn key(section: Section, name: &'static str, takes: Takes, example: &'static str, doc: &'static str) -> Key {
    Key { section, name, takes, needed: false, example, doc }
}

const fn needed(section: Section, name: &'static str, takes: Takes, example: &'static str, doc: &'static str) -> Key {
    Key { needed: true, ..key(section, name, takes, example, doc) }
}

/// Words of `parity`.
pub(super) const PARITIES: &[&str] = &["even", "odd", "none"];
/// Words of `framing`.
pub(super) const FRAMINGS: &[&str] = &["tcp", "rtu"];
/// Words of `overload`.
pub(super) const OVERLOADS: &[&str] = &["warn", "allow"];
/// Words of `register`.
pub(super) const REGISTERS: &[&str] = &["input", "holding", "coil", "discrete"];
/// Words of `order`.
pub(super) const ORDERS: &[&str] = &["ABCD", "CDAB", "BADC", "DCBA"];
/// Words of `kind`.
pub(super) const KINDS: &[&str] = &["gauge", "counter", "state"];

/// Every key of every table.
#[rustfmt::skip]
pub const KEYS: &[Key] = {
    use Section::{Bus, Gateway, Meter, Point, Profile, Root, Spool, Uplink};
    use Takes::{Duration, Integer, Integers, Named, Number, Path, Size, Text, Texts, Word};
    &[
        needed(Root, "gateway", Takes::Table(Gateway), "", "who this box is"),
        needed(Root, "uplink", Takes::Table(Uplink), "", "where readings go"),
        needed(Root, "spool", Takes::Table(Spool), "", "where readings wait"),
        key(Root, "bus", Named(Bus), "", "the wires"),
        key(Root, "meter", Named(Meter), "", "the meters"),
        key(Root, "profile", Named(Profile), "", "points that several meters share"),

        needed(Gateway, "name", Text, "\"ruhrort-017\"", "name of this box, unique in its district"),
        needed(Gateway, "district", Text, "\"ruhrort\"", "district it belongs to"),
        key(Gateway, "state", Path, "\"/var/lib/districtd\"", "directory for small durable facts"),

        needed(Uplink, "brokers", Texts, "[\"mqtt://127.0.0.1:1883\"]", "brokers, tried in order; mqtts:// is TLS"),
        key(Uplink, "client-id", Text, "\"districtd-ruhrort-017\"", "how the broker knows this box"),
        key(Uplink, "username", Text, "\"gateway\"", "user at the broker"),
        key(Uplink, "password-file", Path, "\"/etc/districtd/password\"", "file that holds the password alone"),
        key(Uplink, "ca-file", Path, "\"/etc/districtd/ca.pem\"", "certificates of the authorities that TLS trusts"),
        key(Uplink, "keep-alive", Duration, "\"30s\"", "longest silence towards the broker"),
        key(Uplink, "batch-age", Duration, "\"500ms\"", "age at which an open batch is sent"),

        needed(Spool, "path", Path, "\"/var/lib/districtd/spool\"", "directory of the store"),
        key(Spool, "journal", Path, "\"/run/districtd\"", "directory of the crash journal, on tmpfs"),
        key(Spool, "window", Duration, "\"2s\"", "a power cut costs at most this much"),
        key(Spool, "max-size", Size, "\"256MiB\"", "bound over all files of the store"),

        key(Bus, "serial", Path, "\"/dev/serial/by-id/usb-FTDI-0\"", "serial port"),
        key(Bus, "baud", Integer, "9600", "bits per second"),
        key(Bus, "parity", Word(PARITIES), "\"even\"", "parity bit"),
        key(Bus, "stop-bits", Integer, "1", "1 or 2"),
        key(Bus, "data-bits", Integer, "8", "8 for Modbus RTU"),
        key(Bus, "tcp", Text, "\"10.4.2.9:502\"", "host and port"),
        key(Bus, "framing", Word(FRAMINGS), "\"tcp\"", "what travels in the TCP stream"),
        key(Bus, "timeout", Duration, "\"500ms\"", "end of the request to the first byte of the answer; line time is added"),
        key(Bus, "quarantine", Duration, "\"300ms\"", "silence after a failure, as long as the latest late answer"),
        key(Bus, "overload", Word(OVERLOADS), "\"warn\"", "whether more polls than the line can carry are worth a warning"),

        needed(Meter, "bus", Text, "\"cabinet-a\"", "the wire it hangs on"),
        needed(Meter, "unit", Integer, "1", "Modbus unit id"),
        needed(Meter, "every", Duration, "\"10s\"", "poll period"),
        key(Meter, "pause", Duration, "\"20ms\"", "silence it wants after each answer"),
        key(Meter, "max-registers", Integer, "50", "most registers in one request"),
        key(Meter, "profile", Text, "\"sdm630\"", "points taken from [profile.NAME]"),
        key(Meter, "point", Named(Point), "", "what is read"),

        key(Profile, "pause", Duration, "\"20ms\"", "silence such meters want after each answer"),
        key(Profile, "max-registers", Integer, "50", "most registers in one request"),
        key(Profile, "point", Named(Point), "", "what is read"),

        needed(Point, "register", Word(REGISTERS), "\"input\"", "which of the four Modbus tables"),
        needed(Point, "address", Integer, "0", "PDU address, from 0"),
        needed(Point, "type", Text, "\"f32\"", "what the registers hold"),
        key(Point, "order", Word(ORDERS), "\"CDAB\"", "order of the bytes"),
        key(Point, "unit", Text, "\"V\"", "unit of measurement"),
        key(Point, "scale", Number, "0.1", "factor, exact"),
        key(Point, "offset", Number, "0", "added after scaling, exact"),
        key(Point, "bits", Text, "\"3..7\"", "first and last bit of a field within an unsigned integer"),
        key(Point, "invalid", Integers, "0x8000", "raw integers that mean: no value"),
        key(Point, "kind", Word(KINDS), "\"gauge\"", "what values mean over time"),
    ]
};

/// Words that others use for our keys.
const SYNONYMS: &[(Section, &str, &str)] = &[
    (Section::Root, "mqtt", "uplink"),
    (Section::Root, "broker", "uplink"),
    (Section::Root, "device", "meter"),
    (Section::Root, "storage", "spool"),
    (Section::Uplink, "url", "brokers"),
    (Section::Uplink, "server", "brokers"),
    (Section::Uplink, "host", "brokers"),
    (Section::Uplink, "user", "username"),
    (Section::Uplink, "password", "password-file"),
    (Section::Uplink, "ca", "ca-file"),
    (Section::Bus, "port", "serial"),
    (Section::Bus, "device", "serial"),
    (Section::Bus, "host", "tcp"),
    (Section::Bus, "address", "tcp"),
    (Section::Bus, "speed", "baud"),
    (Section::Meter, "slave", "unit"),
    (Section::Meter, "slave-id", "unit"),
    (Section::Meter, "id", "unit"),
    (Section::Meter, "address", "unit"),
    (Section::Meter, "interval", "every"),
    (Section::Meter, "period", "every"),
    (Section::Point, "function", "register"),
    (Section::Point, "table", "register"),
    (Section::Point, "datatype", "type"),
    (Section::Point, "data-type", "type"),
    (Section::Point, "byte-order", "order"),
    (Section::Point, "word-order", "order"),
    (Section::Point, "endian", "order"),
    (Section::Point, "factor", "scale"),
    (Section::Point, "multiplier", "scale"),
];

/// The keys of one kind of table.
pub fn keys(section: Section) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// One key of one kind of table.
#[must_use]
pub fn find(section: Section, name: &str) -> Option<&'static Key> {
    keys(section).find(|key| key.name == name)
}

/// The word that was probably meant: at most a third of it mistyped.
pub(super) fn closest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let distance = |word: &&str| strsim::osa_distance(&typed, &word.to_lowercase());
    let best = words.into_iter().min_by_key(distance)?;
    let allowed = best.chars().count().max(typed.chars().count()) / 3;
    (distance(&best) <= allowed.max(1)).then_some(best)
}

/// Paths of keys that were taken out of a layer: nothing more is to be said of them.
#[derive(Debug, Default)]
pub(super) struct Spoken(std::collections::BTreeSet<Vec<String>>);

impl Spoken {
    /// Whether something was already said of this key.
    pub(super) fn of(&self, path: &[&str]) -> bool {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        self.0.contains(&path)
    }

    /// Whether something was said of this key or of any below it.
    pub(super) fn below(&self, key: &str) -> bool {
        self.0.iter().any(|spoken| spoken.first().is_some_and(|first| first == key))
    }
}

/// Holds a layer against [`KEYS`], says what does not fit, and takes it out.
pub(super) fn shape(layer: &mut Table, sources: &Sources, findings: &mut Findings, spoken: &mut Spoken) {
    Shaper { sources, findings, spoken, path: Vec::new() }.table(layer, Section::Root);
}

struct Shaper<'a> {
    sources: &'a Sources,
    findings: &'a mut Findings,
    spoken: &'a mut Spoken,
    path: Vec<String>,
}

impl Shaper<'_> {
    fn table(&mut self, table: &mut Table, section: Section) {
        table.retain(|name, node| {
            self.path.push(name.clone());
            let fits = self.key(name, node, section);
            if !fits {
                self.spoken.0.insert(self.path.clone());
            }
            self.path.pop();
            fits
        });
    }

    fn key(&mut self, name: &str, node: &mut Node, section: Section) -> bool {
        let Some(key) = find(section, name) else {
            self.unknown(name, node, section);
            return false;
        };
        if !key.takes.fits(&node.item) {
            self.wrong_type(node, key);
            return false;
        }
        match (key.takes, &mut node.item) {
            (Takes::Table(inner), Item::Table(table)) => self.table(table, inner),
            (Takes::Named(inner), Item::Table(table)) => self.named(table, inner),
            _ => {}
        }
        true
    }

    fn named(&mut self, table: &mut Table, section: Section) {
        table.retain(|name, node| {
            self.path.push(name.clone());
            let fits = if let Item::Table(inner) = &mut node.item {
                // `[meter.feeder.2]` is one mistake: that the meter `feeder` lacks everything is not worth a word.
                let dotted = inner.iter().any(|(key, node)| find(section, key).is_none() && matches!(node.item, Item::Table(_)));
                self.table(inner, section);
                !(dotted && inner.is_empty())
            } else {
                self.nameless(name, node, section);
                false
            };
            if !fits {
                self.spoken.0.insert(self.path.clone());
            }
            self.path.pop();
            fits
        });
    }

    fn unknown(&mut self, name: &str, node: &Node, section: Section) {
        let place = node.key.clone();
        let path = self.path.join(".");
        let (title, label) = match section {
            Section::Root => (format!("unknown table `[{path}]`"), "there is no such table".to_owned()),
            _ => (format!("unknown key `{path}`"), format!("{} has no such key", section.header())),
        };
        let suggestion = suggestion(name, section);
        if let Some(key) = suggestion {
            // Mistyped is not missing.
            let mut path = self.path.clone();
            path.pop();
            path.push(key.to_owned());
            self.spoken.0.insert(path);
        }
        let help = match suggestion {
            Some(key) if section == Section::Root => format!("did you mean `[{key}]`?"),
            Some(key) => format!("did you mean `{key}`?"),
            None => elsewhere(name, node, section).unwrap_or_else(|| known_keys(section)),
        };
        self.findings.error(Code::UnknownKey, &place, title).label(label).help(help);
    }

    /// `[bus] serial = ".."`: the name of the bus is missing.
    fn nameless(&mut self, name: &str, node: &Node, section: Section) {
        let header = section.header();
        let title = format!("`{}` is {}, expected a table {header}", self.path.join("."), node.item.describe());
        let finding = self.findings.error(Code::WrongType, &node.key, title);
        finding.label("not a table");
        if find(section, name).is_some() {
            finding
                .help(format!("`{name}` belongs under a header with a name: write {header} above it, with a name of your choice"));
        }
    }

    fn wrong_type(&mut self, node: &Node, key: &Key) {
        let path = self.path.join(".");
        let title = format!("`{path}` is {}, expected {}", node.item.describe(), key.takes.describe());
        let place = odd_one_out(node, key.takes);
        let typed = self.sources.quote(&node.value);
        let help = remedy(node, key, typed);
        self.findings.error(Code::WrongType, &place, title).label(format!("expected {}", key.takes.describe())).help(help);
    }
}

/// The element that spoils a list, or the value itself.
fn odd_one_out(node: &Node, takes: Takes) -> super::finding::Place {
    let Item::List(list) = &node.item else { return node.value.clone() };
    let fits = |element: &&Node| match takes {
        Takes::Texts => !matches!(element.item, Item::Text(_)),
        Takes::Integers => !matches!(element.item, Item::Integer(_) | Item::Text(_)),
        _ => false,
    };
    list.iter().find(fits).map_or_else(|| node.value.clone(), |element| element.value.clone())
}

/// What an unknown key was probably meant to be.
fn suggestion(name: &str, section: Section) -> Option<&'static str> {
    let synonym = SYNONYMS.iter().find(|(of, word, _)| *of == section && *word == name.replace('_', "-"));
    synonym.map(|(_, _, key)| *key).or_else(|| closest(name, keys(section).map(|key| key.name)))
}

/// Where an unknown key would belong, if anywhere.
fn elsewhere(name: &str, node: &Node, section: Section) -> Option<String> {
    if matches!(node.item, Item::Table(_))
        && !matches!(section, Section::Root | Section::Gateway | Section::Uplink | Section::Spool)
    {
        return Some("a dot separates tables and cannot stand in a name: use \"-\" or \"_\" instead".to_owned());
    }
    let elsewhere = KEYS.iter().find(|key| key.name == name)?;
    Some(format!("`{name}` belongs in {}", elsewhere.section.header()))
}

fn known_keys(section: Section) -> String {
    let names: Vec<&str> = keys(section).map(|key| key.name).collect();
    format!("there are: {}", names.join(", "))
}

/// How the value ought to be typed.
fn remedy(node: &Node, key: &Key, typed: &str) -> String {
    let name = key.name;
    match (key.takes, &node.item) {
        (Takes::Integer | Takes::Number | Takes::Integers, Item::Text(text)) if quantity::decimal(text).is_ok() => {
            format!("write it without quotes: `{name} = {text}`")
        }
        (Takes::Integer | Takes::Integers, Item::Float(text)) if text.ends_with(".0") => {
            format!("write it without decimals: `{name} = {}`", text.trim_end_matches(".0"))
        }
        (Takes::Duration, Item::Integer(number)) => {
            format!("say of what: `{name} = \"{number}s\"` for seconds, \"{number}ms\" for milliseconds")
        }
        (Takes::Size, Item::Integer(number)) => format!("say of what: `{name} = \"{number}MiB\"`"),
        (Takes::Text | Takes::Path | Takes::Word(_), Item::Integer(_) | Item::Float(_) | Item::Bool(_) | Item::Date(_)) => {
            format!("write it in quotes: `{name} = \"{typed}\"`")
        }
        (Takes::Texts, Item::Text(_)) => format!("write it in brackets: `{name} = [{typed}]`"),
        (Takes::Named(section), Item::List(_)) => {
            format!("tables here have names: write {} instead of [[{name}]]", section.header())
        }
        (Takes::Table(section) | Takes::Named(section), _) => format!("write a header {} and its keys below it", section.header()),
        _ => format!("for example `{name} = {}`", key.example),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_in_one_table() {
        for key in KEYS {
            assert_eq!(keys(key.section).filter(|other| other.name == key.name).count(), 1, "{}", key.name);
        }
    }

    #[test]
    fn every_synonym_leads_to_a_key_and_is_none_itself() {
        for (section, word, name) in SYNONYMS {
            assert!(find(*section, name).is_some(), "{name}");
            assert!(find(*section, word).is_none(), "{word}");
        }
    }

    #[test]
    fn every_example_fits_its_key() {
        for key in KEYS.iter().filter(|key| !key.example.is_empty()) {
            let text = format!("{} = {}", key.name, key.example);
            let document = toml::de::DeTable::parse(&text).expect("an example is TOML").into_inner();
            let tree = super::super::tree::from_toml(0, document);
            assert!(tree.values().all(|node| key.takes.fits(&node.item)), "{text}");
        }
    }

    #[test]
    fn a_suggestion_is_close_or_absent() {
        assert_eq!(closest("adress", ["address", "order"]), Some("address"));
        assert_eq!(closest("batch_age", ["batch-age", "brokers"]), Some("batch-age"));
        assert_eq!(closest("colour", ["address", "order"]), None);
    }
}
