//! `[spool]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Judge;
use super::section::Section;
use crate::config::finding::Code;
use crate::config::model;
use crate::config::quantity;

const DEFAULT_WINDOW: Duration = Duration::from_secs(2);
const WINDOW: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(60);
const DEFAULT_SIZE: u64 = 256 << 20;
/// Below this the store's own bookkeeping has no room; above it nobody has a card.
const SIZE: std::ops::RangeInclusive<u64> = (1 << 20)..=(1 << 50);

impl Judge<'_> {
    pub(super) fn spool(&mut self, section: &Section) -> Option<model::Spool> {
        self.missing_keys(section);
        let path = self.spool_path(section);
        let journal = self.journal(section, path.as_deref());
        let window = match section.node("window") {
            Some(_) => self.duration(section, "window", WINDOW),
            None => Some(DEFAULT_WINDOW),
        };
        let max_size = match section.node("max-size") {
            Some(_) => self.max_size(section),
            None => Some(DEFAULT_SIZE),
        };
        Some(model::Spool { path: path?, journal: journal?, window: window?, max_size: max_size? })
    }

    fn spool_path(&mut self, section: &Section) -> Option<PathBuf> {
        let path = self.path(section, "path")?;
        if path.parent().is_some() && path.file_name().is_some() {
            return Some(path);
        }
        let place = section.place("path")?;
        self.findings
            .error(Code::BadValue, place, format!("`spool.path` cannot be {}", path.display()))
            .label("expected a directory of its own")
            .help("for example `path = \"/var/lib/districtd/spool\"`");
        None
    }

    fn max_size(&mut self, section: &Section) -> Option<u64> {
        let (text, place) = (section.text("max-size")?, section.place("max-size")?);
        match quantity::size(text) {
            Ok(size) if SIZE.contains(&size) => Some(size),
            Ok(_) => {
                self.findings
                    .error(Code::OutOfRange, place, format!("`spool.max-size` is out of range: \"{text}\""))
                    .label("expected 1MiB to 1024TiB");
                None
            }
            Err(expected) => {
                self.findings
                    .error(Code::BadValue, place, format!("`spool.max-size` is not a size: \"{text}\""))
                    .label(expected)
                    .help("known units: B, KiB, MiB, GiB, TiB (1024 each) and kB, MB, GB, TB (1000 each)");
                None
            }
        }
    }

    fn journal(&mut self, section: &Section, path: Option<&Path>) -> Option<PathBuf> {
        if section.node("journal").is_some() {
            let journal = self.path(section, "journal")?;
            if path.is_some_and(|path| journal.starts_with(path)) {
                let place = section.place("journal")?;
                self.on_flash(place, "`spool.journal` stands under `spool.path`");
            }
            return Some(journal);
        }
        if let Some(journal) = self.context.journal {
            return Some(journal.to_owned());
        }
        let under = path?.join("journal");
        let title = format!(
            "the crash journal would stand under `spool.path`, in {}: $RUNTIME_DIRECTORY is not set and /run/districtd cannot be written",
            under.display()
        );
        self.on_flash(section.header, &title);
        Some(under)
    }

    fn on_flash(&mut self, place: &crate::config::finding::Place, title: &str) {
        self.findings
            .warning(Code::AtRisk, place, title)
            .label("every reading would be written to flash")
            .help("set `journal` to a directory on tmpfs, for example \"/run/districtd\", or start districtd by its systemd unit");
    }
}
