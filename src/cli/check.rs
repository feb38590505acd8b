//! `districtd check`: all findings, rendered; nothing is opened or written.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::CONFIGURATION;
use crate::config::environment::Environment;
use crate::config::load;

/// Prints every finding; 78 with errors, 0 without.
pub(super) fn check(path: &Path) -> ExitCode {
    let loaded = load::load(path, &Environment::of_a_bystander());
    let mut out = io::stdout().lock();
    // A closed standard output is no reason to fail: the exit code still says it all.
    let _ = write!(out, "{}", load::render(&loaded, out.is_terminal()));
    if loaded.has_errors() { ExitCode::from(CONFIGURATION) } else { ExitCode::SUCCESS }
}
