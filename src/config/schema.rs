//! Every key there is: where it stands, what it takes, whether it must be there.
//!
//! Always true here: a key that is not in [`KEYS`] does not exist, neither for files nor for the environment. Deliberately absent:
//! what values mean (see `validate`).

use super::tree::Item;

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
    /// Text: a whole number and %.
    Percent,
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
    /// `true` or `false`.
    Flag,
    /// A table of texts, each with a whole number as its key.
    Names,
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
            Self::Percent => "a share in percent, in quotes",
            Self::Texts => "a list of texts",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Integers => "a whole number or a list of whole numbers",
            Self::Flag => "true or false",
            Self::Names => "a table of numbers and their names",
            Self::Table(_) | Self::Named(_) => "a table",
        }
    }

    /// Whether a value is of this type; nothing is converted.
    pub(super) fn fits(self, item: &Item) -> bool {
        match self {
            Self::Text | Self::Path | Self::Duration | Self::Size | Self::Percent | Self::Word(_) => matches!(item, Item::Text(_)),
            Self::Texts => matches!(item, Item::List(list) if list.iter().all(|node| matches!(node.item, Item::Text(_)))),
            Self::Integer => matches!(item, Item::Integer(_)),
            Self::Number => matches!(item, Item::Integer(_) | Item::Float(_)),
            Self::Integers => match item {
                Item::List(list) => list.iter().all(|node| matches!(node.item, Item::Integer(_) | Item::Text(_))),
                item => matches!(item, Item::Integer(_) | Item::Text(_)),
            },
            Self::Flag => matches!(item, Item::Bool(_)),
            Self::Names => matches!(item, Item::Table(table) if table.values().all(|node| matches!(node.item, Item::Text(_)))),
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
/// Words of `echo`.
pub(super) const ECHOES: &[&str] = &["none", "drop"];
/// Words of `priority`.
pub(super) const PRIORITIES: &[&str] = &["normal", "high"];
/// Words of `keep`.
pub(super) const KEEPS: &[&str] = &["normal", "always"];
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
    use Takes::{Duration, Flag, Integer, Integers, Named, Names, Number, Path, Percent, Size, Text, Texts, Word};
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
        key(Bus, "echo", Word(ECHOES), "\"drop\"", "whether the adapter hears what it sends"),
        key(Bus, "rs485", Flag, "true", "whether the kernel switches the sender (RTS); most USB adapters do it themselves"),
        key(Bus, "tcp", Text, "\"10.4.2.9:502\"", "host and port"),
        key(Bus, "framing", Word(FRAMINGS), "\"tcp\"", "what travels in the TCP stream"),
        key(Bus, "timeout", Duration, "\"500ms\"", "end of the request to the first byte of the answer; line time is added"),
        key(Bus, "quarantine", Duration, "\"300ms\"", "silence after a failure, as long as the latest late answer"),
        key(Bus, "probe-share", Percent, "\"5%\"", "what silent meters may take of the time that the others want"),
        key(Bus, "overload", Word(OVERLOADS), "\"warn\"", "whether more polls than the line can carry are worth a warning"),

        needed(Meter, "bus", Text, "\"cabinet-a\"", "the wire it hangs on"),
        needed(Meter, "unit", Integer, "1", "Modbus unit id"),
        needed(Meter, "every", Duration, "\"10s\"", "poll period"),
        key(Meter, "priority", Word(PRIORITIES), "\"high\"", "whether it goes before other meters of the bus"),
        key(Meter, "align", Flag, "true", "whether it is polled when the clock shows whole periods, as at :00 and :15"),
        key(Meter, "keep", Word(KEEPS), "\"always\"", "what is given up last when room runs out: billing"),
        key(Meter, "pause", Duration, "\"20ms\"", "silence it wants after each answer"),
        key(Meter, "max-registers", Integer, "50", "most registers in one request"),
        key(Meter, "max-gap", Integer, "0", "most registers read that no point wants, between two that are wanted"),
        key(Meter, "even-registers", Flag, "true", "whether requests begin at even addresses and ask for even numbers"),
        key(Meter, "profile", Text, "\"sdm630\"", "points taken from [profile.NAME]"),
        key(Meter, "point", Named(Point), "", "what is read"),

        key(Profile, "pause", Duration, "\"20ms\"", "silence such meters want after each answer"),
        key(Profile, "max-registers", Integer, "50", "most registers in one request"),
        key(Profile, "max-gap", Integer, "0", "most registers read that no point wants, between two that are wanted"),
        key(Profile, "even-registers", Flag, "true", "whether requests begin at even addresses and ask for even numbers"),
        key(Profile, "point", Named(Point), "", "what is read"),

        needed(Point, "register", Word(REGISTERS), "\"input\"", "which of the four Modbus tables"),
        needed(Point, "address", Integer, "0", "PDU address, from 0"),
        needed(Point, "type", Text, "\"f32\"", "what the registers hold"),
        key(Point, "order", Word(ORDERS), "\"CDAB\"", "order of the bytes"),
        key(Point, "every", Duration, "\"15m\"", "poll period, where it is not that of the meter"),
        key(Point, "unit", Text, "\"V\"", "unit of measurement"),
        key(Point, "scale", Number, "0.1", "factor, exact"),
        key(Point, "offset", Number, "0", "added after scaling, exact"),
        key(Point, "scale-register", Integer, "40083", "PDU address of the register that holds the power of ten (SunSpec sf)"),
        key(Point, "values", Names, "{ 0 = \"off\", 1 = \"on\" }", "names of raw numbers; others go out as their digits"),
        key(Point, "bits", Text, "\"3..7\"", "first and last bit of a field within an unsigned integer"),
        key(Point, "invalid", Integers, "0x8000", "raw integers that mean: no value"),
        key(Point, "kind", Word(KINDS), "\"gauge\"", "what values mean over time"),
    ]
};

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
