//! `districtd run`: which configuration is in force, then the daemon until it ends.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tracing::{error, warn};

use super::{CONFIGURATION, HELD};
use crate::config::environment::Environment;
use crate::config::finding::Severity;
use crate::config::load::{self, Loaded};
use crate::config::model::Config;
use crate::config::report;
use crate::host::logging;
use crate::host::signals::Signals;
use crate::supervisor::{Daemon, Ended};

/// So long may blocking calls go on after everything has ended.
const LINGER: Duration = Duration::from_millis(200);

/// A configuration that can run.
struct InForce {
    config: Config,
    degraded: bool,
}

/// Runs the daemon until it is told to end.
pub(super) fn run(path: &Path, strict: bool, log: &str) -> ExitCode {
    if let Err(reason) = logging::start(log) {
        let _ = writeln!(io::stderr(), "--log {log}: {reason}");
        return ExitCode::from(2);
    }
    let environment = Environment::of_this_process();
    let loaded = load::load(path, &environment);
    say(&loaded);
    let Some(in_force) = choose(&loaded, strict, &environment) else { return ExitCode::from(CONFIGURATION) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(daemon(in_force, &loaded, || read_again(path, &environment)));
            // A name server or a card that does not answer must not keep the process from ending.
            runtime.shutdown_timeout(LINGER);
            code
        }
        Err(error) => {
            error!(%error, "no runtime to be had");
            ExitCode::FAILURE
        }
    }
}

async fn daemon(in_force: InForce, loaded: &Loaded, read: impl FnMut() -> Option<Config>) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be listened to");
            return ExitCode::FAILURE;
        }
    };
    let daemon = match Daemon::start(in_force.config, in_force.degraded) {
        Ok(daemon) => daemon,
        Err(held) => {
            error!("{held}; stop that one first (systemctl stop districtd)");
            return ExitCode::from(HELD);
        }
    };
    keep(loaded);
    match daemon.run(signals, read).await {
        Ended::InOrder => ExitCode::SUCCESS,
        Ended::AtOnce | Ended::Died => ExitCode::FAILURE,
    }
}

/// The configuration as typed, or else the last good one, or else none.
fn choose(loaded: &Loaded, strict: bool, environment: &Environment) -> Option<InForce> {
    if let Some(config) = loaded.config.clone() {
        return Some(InForce { config, degraded: false });
    }
    if strict {
        error!("the configuration has errors and --strict forbids the last good one");
        return None;
    }
    let good = loaded.state.as_deref().and_then(|state| load::last_good(state, environment));
    let Some(config) = good.and_then(|good| good.config) else {
        error!("the configuration has errors and there is no last good one to run instead");
        return None;
    };
    warn!(hash = %config.hash, "the configuration has errors: running the last good one until they are mended (districtd check)");
    Some(InForce { config, degraded: true })
}

/// What a reload puts in force, kept as the last good one from then on.
fn read_again(path: &Path, environment: &Environment) -> Option<Config> {
    let loaded = load::load(path, environment);
    say(&loaded);
    keep(&loaded);
    if loaded.config.is_none() {
        warn!("the edited configuration has errors; the running one stays");
    }
    loaded.config
}

fn keep(loaded: &Loaded) {
    let Some(config) = &loaded.config else { return };
    if let Err(error) = load::keep_last_good(&config.gateway.state, loaded) {
        warn!(state = %config.gateway.state.display(), %error, "no copy of this good configuration could be kept; make the directory writable");
    }
}

/// One log line for each finding; `districtd check` shows them with excerpts.
fn say(loaded: &Loaded) {
    for finding in &loaded.findings {
        let line = report::line(finding, &loaded.sources);
        match finding.severity {
            Severity::Error => error!("{line}"),
            Severity::Warning => warn!("{line}"),
        }
    }
}
