use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;

use super::*;

const WHOLE: &str = include_str!("../../../configs/districtd.toml");

fn environment(pairs: &[(&str, &str)]) -> Environment {
    let fixed = [("RUNTIME_DIRECTORY", "/run/districtd")];
    Environment::new(fixed.iter().chain(pairs).map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn load_one(text: &str) -> Loaded {
    load_texts(&[("a.toml", text)], &environment(&[]))
}

fn right(loaded: Loaded) -> Config {
    let report = render(&loaded, false);
    loaded.config.expect(&report)
}

fn codes(loaded: &Loaded) -> Vec<(Severity, Code)> {
    loaded.findings.iter().map(|finding| (finding.severity, finding.code)).collect()
}

#[test]
fn a_file_comes_with_its_conf_d_and_the_later_name_wins_per_key() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("districtd.toml");
    fs::write(&main, WHOLE).unwrap();
    let parts = directory.path().join("conf.d");
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join("20-later.toml"), "[meter.feeder-1]\nunit = 12\n").unwrap();
    fs::write(parts.join("10-sooner.toml"), "[meter.feeder-1]\nunit = 11\nevery = \"3s\"\n").unwrap();
    fs::write(parts.join("30-not-this.toml.bak"), "nonsense").unwrap();
    fs::write(parts.join(".40-nor-this.toml"), "nonsense").unwrap();
    let config = right(load(&main, &environment(&[])));
    let feeder = &config.buses[0].meters[0];
    assert_eq!((feeder.unit, feeder.every.as_secs()), (12, 3));
    assert_eq!(feeder.points.len(), 3, "the points of the main file stay");
}

#[test]
fn a_directory_is_its_toml_files_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.toml"), WHOLE).unwrap();
    fs::write(directory.path().join("b.toml"), "[gateway]\nname = \"b\"\n").unwrap();
    fs::write(directory.path().join("c.txt"), "nonsense").unwrap();
    let config = right(load(directory.path(), &environment(&[])));
    assert_eq!(&*config.gateway.name, "b");
    assert_eq!(&*config.gateway.district, "ruhrort");
}

#[test]
fn the_environment_wins_over_files_and_splits_lists_at_commas() {
    let variables = [
        ("DISTRICTD_UPLINK__BROKERS", "mqtt://10.0.0.1, mqtt://[::1]:1884,"),
        ("DISTRICTD_UPLINK__BATCH_AGE", "250ms"),
        ("DISTRICTD_GATEWAY__NAME", "from-outside"),
        ("PATH", "/bin"),
    ];
    let config = right(load_texts(&[("a.toml", WHOLE)], &environment(&variables)));
    let brokers: Vec<String> = config.uplink.brokers.iter().map(ToString::to_string).collect();
    assert_eq!(brokers, ["mqtt://10.0.0.1:1883", "mqtt://[::1]:1884"]);
    assert_eq!(config.uplink.batch_age.as_millis(), 250);
    assert_eq!(&*config.gateway.name, "from-outside");
    assert_eq!(config.uplink.client_id, "districtd-from-outside");
}

#[test]
fn the_environment_alone_can_hold_a_whole_table() {
    let text = WHOLE.replace("[uplink]\nbrokers = ", "[uplink]\n# ");
    assert_ne!(text, WHOLE);
    assert!(load_one(&text).has_errors());
    let config = load_texts(&[("a.toml", &text)], &environment(&[("DISTRICTD_UPLINK__BROKERS", "mqtt://10.0.0.1")]));
    assert_eq!(right(config).uplink.brokers.len(), 1);
}

#[test]
fn a_path_that_is_not_there_is_one_finding_and_nothing_is_called_missing() {
    let loaded = load(Path::new("/nonexistent/districtd.toml"), &environment(&[]));
    assert_eq!(codes(&loaded), [(Severity::Error, Code::Unreadable)]);
    assert!(loaded.has_errors());
    assert!(render(&loaded, false).contains("/nonexistent/districtd.toml"));
}

#[test]
fn a_path_to_something_endless_does_not_fill_the_memory() {
    let loaded = load(Path::new("/dev/zero"), &environment(&[]));
    assert_eq!(codes(&loaded), [(Severity::Error, Code::Unreadable)]);
}

#[test]
fn a_file_that_is_not_utf_8_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    fs::write(&path, b"[gateway]\nname = \"m\xFCnster\"\n").unwrap();
    let loaded = load(&path, &environment(&[]));
    let place = loaded.findings.iter().find(|finding| finding.code == Code::Syntax).map(|finding| &finding.place).unwrap();
    assert_eq!(loaded.sources.line_and_column(place), Some((2, 10)));
}

#[test]
fn windows_line_ends_and_byte_order_marks_are_no_trouble() {
    assert_eq!(right(load_one(&WHOLE.replace('\n', "\r\n"))), right(load_one(WHOLE)));
    assert_eq!(right(load_one(&format!("\u{FEFF}{WHOLE}"))), right(load_one(WHOLE)));
}

#[test]
fn what_stands_above_a_syntax_error_is_judged_and_nothing_is_called_missing() {
    let loaded = load_one("[gateway]\nname = \"a b\"\ndistrict = [\n\"c\"\n[uplink]\nnonsense = 1\n");
    let said: BTreeSet<Code> = loaded.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(said, BTreeSet::from([Code::BadName, Code::Syntax]), "{}", render(&loaded, false));
}

#[test]
fn the_other_files_are_judged_beside_one_with_a_syntax_error() {
    let loaded = load_texts(&[("a.toml", "[gateway"), ("b.toml", "[meter.m]\nbus = \"x\"\nunit = 999\n")], &environment(&[]));
    let of_b: Vec<Code> = loaded.findings.iter().filter(|finding| finding.place.source == 1).map(|finding| finding.code).collect();
    assert_eq!(of_b, [Code::OutOfRange]);
}

#[test]
fn the_state_directory_is_told_even_when_it_stands_below_a_syntax_error() {
    let broken = "[spool]\npath = \"/a/spool\n[gateway]\nstate = \"/b\"\n";
    assert_eq!(load_one(broken).state.as_deref(), Some(Path::new("/b")));
}

#[test]
fn the_state_directory_is_the_service_managers_else_beside_the_spool() {
    let broken = "[spool]\npath = \"/a/spool\"\nnonsense\n";
    let with = |variables| load_texts(&[("a.toml", broken)], &environment(variables)).state;
    assert_eq!(with(&[("STATE_DIRECTORY", "/s:/t")]).as_deref(), Some(Path::new("/s")));
    assert_eq!(with(&[]).as_deref(), Some(Path::new("/a")));
    assert_eq!(load_one("nonsense").state, None);
}

#[test]
fn the_state_directory_of_a_good_configuration_is_the_one_in_the_model() {
    for text in [WHOLE.to_owned(), WHOLE.replace("/var/lib/districtd/spool", "spool"), WHOLE.replace("[spool]", "[spool]#")] {
        let loaded = load_one(&text);
        assert_eq!(loaded.state, Some(right(loaded.clone()).gateway.state));
    }
}

#[test]
fn the_journal_goes_under_the_spool_only_with_a_warning() {
    let loaded = load_texts(&[("a.toml", WHOLE)], &Environment::default());
    assert_eq!(codes(&loaded), [(Severity::Warning, Code::AtRisk)]);
    assert_eq!(right(loaded).spool.journal, Path::new("/var/lib/districtd/spool/journal"));
    assert_eq!(right(load_one(WHOLE)).spool.journal, Path::new("/run/districtd"));
}

#[test]
fn the_hash_knows_values_and_not_how_they_were_typed() {
    let hash = |text: &str| right(load_one(text)).hash;
    assert_eq!(hash(WHOLE).len(), 16);
    assert_eq!(hash(WHOLE), hash(&WHOLE.replace("invalid = 0xFFFF", "invalid = 65_535")));
    assert_eq!(hash(WHOLE), hash(&WHOLE.replace("# ", "#\t")));
    assert_ne!(hash(WHOLE), hash(&WHOLE.replace("scale = 40 ", "scale = 41 ")));
}

#[test]
fn the_kept_copy_is_the_same_configuration_with_the_environment_in_it() {
    let state = tempfile::tempdir().unwrap();
    let variables = environment(&[("DISTRICTD_GATEWAY__NAME", "from-outside"), ("DISTRICTD_UPLINK__BROKERS", "mqtt://a,mqtt://b")]);
    let text = WHOLE
        .replace("invalid = 0xFFFF", "invalid = [0xFFFF, 1]")
        .replace("unit = \"m\"", "unit = \"m \\\"\\\\ °\"")
        .replace("scale = 0.01", "scale = 0.12345678901234567");
    let loaded = load_texts(&[("a.toml", &text)], &variables);
    keep_last_good(state.path(), &loaded).unwrap();
    let other = environment(&[("DISTRICTD_GATEWAY__NAME", "somebody-else"), ("DISTRICTD_UPLINK__NONSENSE", "1")]);
    let copy = last_good(state.path(), &other).unwrap();
    assert_eq!(right(copy), right(loaded));
}

#[test]
fn the_copy_is_written_only_when_it_changed() {
    let state = tempfile::tempdir().unwrap();
    let deeper = state.path().join("not/yet/there");
    let inode = || fs::metadata(deeper.join("last-good.toml")).unwrap().ino();
    keep_last_good(&deeper, &load_one(WHOLE)).unwrap();
    let first = inode();
    keep_last_good(&deeper, &load_one(&format!("# a comment\n{WHOLE}"))).unwrap();
    assert_eq!(inode(), first);
    keep_last_good(&deeper, &load_one(&WHOLE.replace("scale = 40 ", "scale = 41 "))).unwrap();
    assert_ne!(inode(), first);
}

#[test]
fn a_configuration_with_errors_is_never_kept() {
    let state = tempfile::tempdir().unwrap();
    keep_last_good(state.path(), &load_one("nonsense")).unwrap();
    assert!(last_good(state.path(), &environment(&[])).is_none());
}

#[test]
fn a_damaged_copy_is_no_configuration_and_says_why() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("last-good.toml"), "\0\0\0").unwrap();
    let copy = last_good(state.path(), &environment(&[])).unwrap();
    assert!(copy.has_errors() && !copy.findings.is_empty());
}

#[test]
fn brackets_within_brackets_without_end_are_an_error_and_no_overflow() {
    assert!(load_one(&format!("a = {}", "[".repeat(100_000))).has_errors());
    assert!(load_one(&format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000))).has_errors());
    assert!(load_one(&format!("[{}a]", "a.".repeat(100_000))).has_errors());
}

#[test]
fn a_line_for_the_log_says_where_what_and_what_to_do() {
    let loaded = load_one(&WHOLE.replace("every = \"30s\"", "every = 30"));
    let lines: Vec<String> = loaded.findings.iter().map(|finding| report::line(finding, &loaded.sources)).collect();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.starts_with("a.toml:") && line.contains("meter.pump.every") && line.contains("\"30s\""), "{line}");
}

#[test]
fn a_password_in_an_address_does_not_get_into_the_log() {
    let loaded = load_one(&WHOLE.replace("mqtt://127.0.0.1:1883", "mqtt://user:secret@127.0.0.1"));
    let lines: Vec<String> = loaded.findings.iter().map(|finding| report::line(finding, &loaded.sources)).collect();
    assert!(lines.len() == 1 && !lines.concat().contains("secret"), "{lines:?}");
}

/// One way to spoil a text: replace the line at this place (in 1/1000 of all lines) by something.
fn edit() -> impl Strategy<Value = (usize, String)> {
    let junk = prop_oneof![
        Just(String::new()),
        "\\PC{0,12}",
        "[a-z-]{1,9} = (-?[0-9]{1,20}|\"[a-z0-9]{0,6}\"|true|\\[\\]|1e[0-9]{1,3}|nan)",
        "\\[(meter|bus|profile|uplink|gateway)(\\.[a-z0-9-]{1,3}){0,3}\\]",
    ];
    (0_usize..1000, junk)
}

fn spoil(edits: &[(usize, String)]) -> String {
    let mut lines: Vec<&str> = WHOLE.lines().collect();
    let count = lines.len();
    for (place, junk) in edits {
        lines[place * count / 1000] = junk;
    }
    lines.join("\n")
}

proptest! {
    #[test]
    fn whatever_is_typed_gives_a_configuration_or_an_error_with_its_place(edits in proptest::collection::vec(edit(), 0..6)) {
        let loaded = load_one(&spoil(&edits));
        let errors = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        prop_assert_eq!(loaded.config.is_none(), errors > 0, "{}", render(&loaded, false));
        for finding in &loaded.findings {
            prop_assert!(loaded.sources.line_and_column(&finding.place).is_some(), "{:?}", finding);
            prop_assert!(!finding.title.is_empty() && !finding.label.is_empty() && !finding.help.is_empty(), "{:?}", finding);
        }
        prop_assert!(render(&loaded, true).len() >= render(&loaded, false).len());
    }

    #[test]
    fn whatever_runs_is_kept_as_the_same_configuration(edits in proptest::collection::vec(edit(), 0..3)) {
        let loaded = load_one(&spoil(&edits));
        if let Some(config) = loaded.config {
            prop_assert_eq!(right(load_one(&loaded.merged)), config);
        }
    }
}
