//! The house keeps its floors: imports go downward only, a library is named in one room, and pure rooms stay pure.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a room may import; a longer path allows that part of a room only. `*` allows everything.
const FLOORS: &[(&str, &[&str])] = &[
    ("reading", &[]),
    ("clock", &["reading", "host"]),
    ("backoff", &[]),
    ("host", &[]),
    // The layout of a value is a word of the model; the model itself knows no protocol.
    ("protocol", &["reading", "config::model"]),
    ("config", &["reading", "host"]),
    ("notebook", &["reading", "host"]),
    ("driver", &["protocol", "reading", "config::model"]),
    ("status", &["reading", "clock", "backoff", "config::model"]),
    ("spool", &["reading", "clock", "backoff", "config::model", "status", "host"]),
    ("bus", &["driver", "reading", "clock", "backoff", "host", "status", "notebook", "config::model"]),
    ("forward", &["spool::face", "reading", "clock", "backoff", "status", "notebook", "config::model"]),
    (
        "control",
        &["reading", "clock", "backoff", "host", "config::model", "notebook", "driver", "status", "spool", "bus", "forward"],
    ),
    (
        "supervisor",
        &[
            "reading",
            "clock",
            "backoff",
            "host",
            "config::model",
            "config::load",
            "config::report",
            "notebook",
            "driver",
            "status",
            "spool",
            "bus",
            "forward",
            "control",
        ],
    ),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &[]),
];

/// Where a library may be named: path prefixes within src.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("sled", &["spool/store"]),
    ("rumqttc", &["forward/mqtt"]),
    ("tokio_modbus", &["bus/modbus"]),
    ("tokio_serial", &["bus/link"]),
    ("toml", &["config/"]),
    ("annotate_snippets", &["config/"]),
    ("strsim", &["config/"]),
    ("clap", &["cli/"]),
    ("sd_notify", &["host/"]),
    ("libc", &["host/"]),
    ("tracing_subscriber", &["host/logging"]),
];

/// Rooms and files that decide and do not act.
const PURE: &[&str] = &[
    "reading",
    "backoff",
    "protocol/",
    "driver/",
    "spool/record",
    "spool/retention",
    "bus/schedule",
    "forward/encode",
    "forward/window",
    "forward/lanes",
    "supervisor/restart",
];

const IMPURE: &[&str] = &["tokio", "tracing", "std::fs", "std::net", "std::thread", "std::process", "log"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files, as paths within src.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.strip_prefix(source()).unwrap().to_owned());
        }
    }
    found.sort();
}

/// Code alone: no comments, no texts, no test modules.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // A test module stands at the end of its file.
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            break;
        }
        code += &without_texts(line);
        code.push('\n');
    }
    code
}

/// A line without its comment and without what stands in quotes. Good enough for code that rustfmt has seen.
fn without_texts(line: &str) -> String {
    let mut plain = String::new();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted => _ = characters.next(),
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => plain.push(character),
        }
    }
    plain
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The places right behind every `word` that stands there as a word and does not belong to a longer path.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let begins = !before.ends_with(is_name) && !before.ends_with("::");
        (begins && !after.starts_with(is_name)).then_some(after)
    })
}

/// The paths that a use tree such as `a::{b, c::d}` names, read from its beginning.
fn tree(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return branches(group).iter().flat_map(|branch| tree(branch)).collect();
    }
    let name: String = text.chars().take_while(|character| is_name(*character)).collect();
    if name.is_empty() {
        return vec![Vec::new()];
    }
    let Some(rest) = text[name.len()..].strip_prefix("::") else { return vec![vec![name]] };
    let below = tree(rest);
    below.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
}

/// What stands between the commas of a group whose opening brace is gone.
fn branches(group: &str) -> Vec<String> {
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        branches.last_mut().unwrap().push(character);
    }
    branches.retain(|branch| !branch.trim().is_empty());
    branches
}

/// Which module a file is.
fn module(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// Paths from the crate's root that a file names, by `crate::` and by climbing.
fn imports(file: &Path, code: &str) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    for after in places(code, "crate").chain(places(code, "districtd")) {
        if let Some(after) = after.strip_prefix("::") {
            paths.extend(tree(after));
        }
    }
    for after in places(code, "super") {
        let (mut module, mut rest) = (module(file), after);
        module.pop();
        while let Some(further) = rest.strip_prefix("::super") {
            module.pop();
            rest = further;
        }
        if module.is_empty()
            && let Some(rest) = rest.strip_prefix("::")
        {
            paths.extend(tree(rest));
        }
    }
    paths.retain(|path| path.first().is_some_and(|room| FLOORS.iter().any(|(known, _)| known == room)));
    paths
}

/// Imports that go up or sideways.
fn stairs(file: &Path, code: &str) -> Vec<String> {
    let room = module(file).first().cloned().unwrap_or_default();
    let Some((_, allowed)) = FLOORS.iter().find(|(known, _)| *known == room) else {
        return vec![format!("src/{}: a room that no floor knows", file.display())];
    };
    let allows = |path: &String| allowed.iter().any(|rule| *rule == "*" || path == rule || path.starts_with(&format!("{rule}::")));
    let paths = imports(file, code).into_iter().filter(|path| path[0] != room).map(|path| path.join("::"));
    let names: BTreeSet<String> = paths.filter(|path| !allows(path)).collect();
    names.into_iter().map(|path| format!("src/{} imports {path}", file.display())).collect()
}

/// Libraries that are named outside of their room.
fn strangers(file: &Path, code: &str) -> Vec<String> {
    let at = file.to_string_lossy();
    let named = |library: &str| places(code, library).any(|after| after.starts_with("::") || after.starts_with(';'));
    let at_home = |rooms: &[&str]| rooms.iter().any(|room| at.starts_with(room));
    let strange = LIBRARIES.iter().filter(|(library, rooms)| !at_home(rooms) && named(library));
    strange.map(|(library, rooms)| format!("src/{at} names {library}, which lives in {rooms:?}")).collect()
}

/// What a pure file must not name.
fn stains(file: &Path, code: &str) -> Vec<String> {
    let at = file.to_string_lossy();
    if !PURE.iter().any(|pure| at.starts_with(pure)) {
        return Vec::new();
    }
    let named = |word: &str| places(code, word).any(|after| after.starts_with("::"));
    let grouped = |word: &str| {
        let mut paths = places(code, "std").filter_map(|after| after.strip_prefix("::")).flat_map(tree);
        paths.any(|path| word.strip_prefix("std::") == path.first().map(String::as_str))
    };
    let impure = IMPURE.iter().filter(|word| named(word) || grouped(word));
    impure.map(|word| format!("src/{at} is pure and names {word}")).collect()
}

fn findings(judge: fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    files(&source(), &mut found);
    assert!(found.len() > 10, "{found:?}");
    let tests = |file: &PathBuf| module(file).iter().any(|part| part == "tests" || part.ends_with("_tests"));
    let production = found.iter().filter(|file| !tests(file));
    production.flat_map(|file| judge(file, &code(&fs::read_to_string(source().join(file)).unwrap()))).collect()
}

#[test]
fn imports_go_downward_only() {
    assert_eq!(findings(stairs), Vec::<String>::new());
}

#[test]
fn one_library_has_one_room() {
    assert_eq!(findings(strangers), Vec::<String>::new());
}

#[test]
fn pure_rooms_name_neither_a_runtime_nor_a_file_nor_a_log() {
    assert_eq!(findings(stains), Vec::<String>::new());
}

#[test]
fn a_new_stair_is_found_however_it_is_written() {
    let found = |file: &str, text: &str| stairs(Path::new(file), &code(text)).len();
    assert_eq!(found("bus/task.rs", "use crate::spool::face::Face;"), 1);
    assert_eq!(found("bus/task.rs", "use crate::{reading::Sweep,\n    spool::{face::Face, journal}};"), 2);
    assert_eq!(found("bus/task.rs", "fn f(face: &crate::spool::Face) {}"), 1);
    assert_eq!(found("bus/link/tcp.rs", "use super::super::super::forward::Request;"), 1);
    assert_eq!(found("forward/task.rs", "use crate::spool::journal;"), 1);
    assert_eq!(found("forward/task.rs", "use crate::spool::face::Face; // not crate::bus::x"), 0);
    assert_eq!(found("bus/link/tcp.rs", "use super::super::Wire; use crate::config::model::Bus;"), 0);
    assert_eq!(found("bus/task.rs", "use crate::config::load;"), 1);
    assert_eq!(found("bus/task.rs", "#[cfg(test)]\nmod tests {\n use crate::spool::Spool; }"), 0);
    assert_eq!(found("cellar/mod.rs", ""), 1);
}

#[test]
fn a_library_out_of_its_room_and_a_stain_are_found() {
    assert_eq!(strangers(Path::new("bus/task.rs"), "fn f(x: tokio_serial::SerialStream) {}").len(), 1);
    assert_eq!(strangers(Path::new("spool/flash.rs"), "use sled;").len(), 1);
    assert_eq!(strangers(Path::new("spool/store.rs"), "use sled::Db; let toml = 1;").len(), 0);
    assert_eq!(stains(Path::new("driver/modbus.rs"), "tracing::debug!(); use std::{fs, io};").len(), 2);
    assert_eq!(stains(Path::new("driver/modbus.rs"), "use std::fmt; use crate::reading::Value;").len(), 0);
}
