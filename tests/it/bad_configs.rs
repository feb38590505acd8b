//! Every bad configuration in `tests/bad_configs` produces exactly the report beside it.
//!
//! `NAME.toml` or the directory `NAME/` is checked, with the variables of `NAME.env` if there is such a file, and the rendered
//! report compared with `NAME.report`. `DISTRICTD_BLESS=1 cargo test bad_configs` writes the reports anew; read them like prose.
#![expect(clippy::expect_used, reason = "a test that cannot read its cases has nothing to say")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use districtd::cli::check;
use districtd::config::environment::Environment;

const DIRECTORY: &str = "tests/bad_configs";

#[test]
fn every_bad_configuration_produces_its_report() {
    let cases = cases();
    assert!(cases.len() >= 9, "only {} cases in {DIRECTORY}", cases.len());
    let bless = std::env::var_os("DISTRICTD_BLESS").is_some();
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case, bless)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a case.
fn check(case: &Path, bless: bool) -> Option<String> {
    let (report, _) = check::report(case, &environment(case), false);
    let beside = case.with_extension("report");
    if bless {
        std::fs::write(&beside, &report).expect("the report can be written");
    }
    let expected = std::fs::read_to_string(&beside).unwrap_or_default();
    if report != expected {
        return Some(format!("{} gives\n{report}\nbut {} says\n{expected}", case.display(), beside.display()));
    }
    if report.lines().any(|line| line == "0 errors, 0 warnings") {
        return Some(format!("{} is not bad", case.display()));
    }
    None
}

/// Relative paths, so that reports name the same files everywhere; cargo runs tests at the top of the package.
fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DIRECTORY).expect("the directory is part of the repository");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("entries can be read").path()).collect();
    cases.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    cases
}

fn environment(case: &Path) -> Environment {
    let variables = std::fs::read_to_string(case.with_extension("env")).unwrap_or_default();
    let fixed = [("STATE_DIRECTORY", "/var/lib/districtd"), ("RUNTIME_DIRECTORY", "/run/districtd")];
    let typed = variables.lines().filter_map(|line| line.split_once('='));
    Environment::new(typed.chain(fixed).map(|(name, value)| (OsString::from(name), OsString::from(value))))
}
