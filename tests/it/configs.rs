//! Every file in `configs/` is a configuration that runs.
#![expect(clippy::expect_used, reason = "a test that cannot read its files has nothing to say")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use districtd::config::environment::Environment;
use districtd::config::load::{self, Loaded};
use districtd::config::schema::KEYS;

#[test]
fn every_shipped_configuration_passes_check() {
    let files = files(Path::new("configs"));
    assert!(files.len() >= 6, "only {files:?}");
    for file in files {
        let loaded = check(&file);
        assert!(!loaded.has_errors() && loaded.findings.is_empty(), "{}\n{}", file.display(), load::render(&loaded, false));
    }
}

#[test]
fn the_commented_file_names_every_key() {
    let text = std::fs::read_to_string("configs/districtd.toml").expect("the file is part of the repository");
    for key in KEYS {
        assert!(text.contains(key.name), "configs/districtd.toml does not tell of `{}`", key.name);
    }
}

#[test]
fn the_commented_file_still_passes_with_its_defaults_typed_out() {
    let text = std::fs::read_to_string("configs/districtd.toml").expect("the file is part of the repository");
    let typed: Vec<&str> = text.lines().map(uncommented).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("districtd.toml");
    std::fs::write(&file, typed.join("\n")).expect("the file can be written");
    let (defaults, typed) = (check(Path::new("configs/districtd.toml")), check(&file));
    let errors = load::render(&typed, false);
    let (defaults, typed) = (defaults.config.expect("checked above"), typed.config.expect(&errors));
    assert_eq!(typed.buses, defaults.buses);
    assert_eq!(typed.gateway, defaults.gateway);
    assert_eq!(typed.spool, defaults.spool);
    assert_eq!(typed.uplink.batch_age, defaults.uplink.batch_age);
    assert_eq!(typed.uplink.keep_alive, defaults.uplink.keep_alive);
    assert_eq!(typed.uplink.client_id, defaults.uplink.client_id);
}

/// A line with its key, where it was a key that was commented out.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix("# ") {
        Some(rest) if KEYS.iter().any(|key| rest.starts_with(&format!("{} = ", key.name))) => rest,
        _ => line,
    }
}

fn check(file: &Path) -> Loaded {
    let fixed = [("STATE_DIRECTORY", "/var/lib/districtd"), ("RUNTIME_DIRECTORY", "/run/districtd")];
    load::load(file, &Environment::new(fixed.map(|(name, value)| (OsString::from(name), OsString::from(value)))))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory is part of the repository");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("entries can be read").path();
        // Profiles are parts of a configuration; `profiles.rs` takes each of them into use.
        if path.ends_with("profiles") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found
}
