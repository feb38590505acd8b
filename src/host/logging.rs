//! Where log lines go: to the journal with levels as priorities, or to people with times.
//!
//! Always true here: logs go to standard error, one line an event; under the journal each line begins with its priority (`<4>`,
//! sd-daemon(3)) and has no time of its own; a log that cannot be written (a full disk, a closed pipe) stops nothing. Deliberately
//! absent: what is worth a line.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Libraries that log every call or every reconnect are held to what a technician can use; what rumqttc says we say ourselves.
const LIBRARIES: &str = "tokio_modbus=error,rumqttc=off,sled=error,mio_serial=error,tokio_serial=error,rustls=error";

/// Starts logging. `level` is a level (`debug`) or a filter (`districtd::bus=trace`) that is put above the default one.
///
/// # Errors
/// When `level` is no filter; the text says why.
pub fn start(level: &str) -> Result<(), String> {
    let filter = filter(level)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let registry = tracing_subscriber::registry();
    let started = if goes_to_the_journal() {
        registry.with(lines.event_format(Priorities).fmt_fields(DefaultFields::new()).with_filter(filter)).try_init()
    } else {
        registry.with(lines.with_target(false).with_ansi(io::stderr().is_terminal()).with_filter(filter)).try_init()
    };
    started.map_err(|error| error.to_string())
}

/// A level holds for all but the libraries; a list may name modules, those of libraries too, and leaves the rest at info.
fn filter(level: &str) -> Result<Targets, String> {
    format!("info,{LIBRARIES},{level}").parse().map_err(|error| format!("{error}; expected a level, or MODULE=LEVEL,..."))
}

/// Whether standard error is the very stream that JOURNAL_STREAM names by device and inode (systemd.exec(5)).
fn goes_to_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr().as_fd()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// `<priority>message fields`, for a journal that adds the rest.
struct Priorities;

impl<S, N> FormatEvent<S, N> for Priorities
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let priority = priority(*event.metadata().level());
        for line in text.lines() {
            writeln!(writer, "<{priority}>{line}")?;
        }
        Ok(())
    }
}

/// The syslog priority of a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_for_the_journal_begins_with_its_priority() {
        let page = Page::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Priorities)
            .fmt_fields(DefaultFields::new())
            .with_writer({
                let page = page.clone();
                move || page.clone()
            })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(bus = "cabinet-a", "the port is gone\nplug it in");
            tracing::error!("worse");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<4>the port is gone\n<4>plug it in bus=\"cabinet-a\"\n<3>worse\n");
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        assert!(filter("districtd=nonsense").is_err());
        assert!(filter("info").is_ok() && filter("warn,districtd::bus=trace").is_ok());
    }
}
