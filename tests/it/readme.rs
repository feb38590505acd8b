//! The README is true: what it shows passes, and what it names is there.

use std::fs;
use std::path::Path;
use std::process::Command;

fn readme() -> String {
    fs::read_to_string("README.md").expect("the README is part of the repository")
}

/// The program, without the variables that steer the tests: it would warn of them.
fn districtd() -> Command {
    let mut districtd = Command::new(env!("CARGO_BIN_EXE_districtd"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("DISTRICTD_"));
    ours.for_each(|name| {
        districtd.env_remove(name);
    });
    districtd
}

/// The blocks fenced with this word, without their fences.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_shortest_configuration_of_the_readme_passes_check() {
    let text = readme();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("districtd.toml");
    let whole: Vec<&str> = blocks(&text, "toml").into_iter().filter(|block| block.contains("[gateway]")).collect();
    assert!(!whole.is_empty());
    for block in whole {
        fs::write(&file, block).unwrap();
        let check = districtd().args(["check", "--config"]).arg(&file).output().unwrap();
        let report = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && report.ends_with("0 errors, 0 warnings\n"), "{report}");
    }
}

#[test]
fn the_payload_of_the_readme_is_json() {
    for block in blocks(&readme(), "json") {
        serde_json::from_str::<serde_json::Value>(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

#[test]
fn every_command_of_the_readme_is_one() {
    let text = readme();
    let help = |command: &str| districtd().args([command, "--help"]).output().unwrap();
    let named = text.split("`districtd ").skip(1).filter_map(|rest| rest.split([' ', '`']).next());
    let mut commands: Vec<&str> = named.filter(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
    commands.sort_unstable();
    commands.dedup();
    assert!(commands.contains(&"check"), "{commands:?}");
    for command in commands {
        assert!(help(command).status.success(), "districtd {command}");
    }
}

#[test]
fn every_file_the_readme_names_is_there() {
    let text = readme();
    let words = text.split(['`', ' ', '\n', '(', ')']);
    let named =
        words.filter(|word| ["configs/", "systemd/", "tests/", "benches/", "cross/"].iter().any(|part| word.starts_with(part)));
    let mut found = 0;
    for name in named.map(|word| word.trim_end_matches(['.', ',', ';', ':'])) {
        assert!(Path::new(name).exists(), "{name}");
        found += 1;
    }
    assert!(found >= 3, "only {found} files");
}

#[test]
fn every_dependency_has_its_reason_in_the_readme() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let table = manifest.split("[dependencies]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let text = readme();
    let rows: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| row.split(" | ").next()).collect();
    let named: Vec<&str> = rows.iter().flat_map(|row| row.split(", ")).collect();
    let crates: Vec<&str> = table.lines().filter_map(|line| line.split(" = ").next()).filter(|name| !name.is_empty()).collect();
    assert!(crates.len() > 20, "{crates:?}");
    for name in crates {
        assert!(named.contains(&name), "{name} has no row");
    }
}
