//! `[gateway]`

use std::path::{Path, PathBuf};

use super::Judge;
use super::section::Section;
use crate::config::model;

/// The state directory where nobody names one: beside the spool.
pub(in crate::config) fn beside(spool: &Path) -> Option<PathBuf> {
    let parent = spool.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

/// `[gateway]` as far as it is right; the state directory may still follow from the spool.
pub(super) struct Draft {
    pub(super) name: Option<Box<str>>,
    pub(super) district: Option<Box<str>>,
    state: Option<PathBuf>,
}

impl Draft {
    /// The state directory defaults to the parent of the spool where neither file nor service manager names one.
    pub(super) fn finish(self, spool: &model::Spool) -> Option<model::Gateway> {
        let beside = || beside(&spool.path);
        Some(model::Gateway { name: self.name?, district: self.district?, state: self.state.or_else(beside)? })
    }
}

impl Judge<'_> {
    pub(super) fn gateway(&mut self, section: &Section) -> Draft {
        self.missing_keys(section);
        let state = self.path(section, "state").or_else(|| self.context.state.map(PathBuf::from));
        Draft { name: self.word_of_topic(section, "name", true), district: self.word_of_topic(section, "district", false), state }
    }

    fn word_of_topic(&mut self, section: &Section, key: &str, dots: bool) -> Option<Box<str>> {
        let (text, place) = (section.text(key)?, section.place(key)?);
        self.name(text, place, &section.full(key), dots)
    }
}
