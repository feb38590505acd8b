//! `[profile.NAME]`: points and limits that meters of one make share. A meter's own points replace those of the same name.

use std::collections::BTreeMap;

use super::meter::Habits;
use super::point::Drafts;
use super::section::Section;
use super::{Judge, named};
use crate::config::finding::Code;
use crate::config::schema;
use crate::config::tree::Table;

/// A profile as far as it is right.
pub(super) struct Draft<'a> {
    section: Section<'a>,
    pub(super) habits: Habits<'a>,
    pub(super) points: Drafts<'a>,
}

impl<'a> Judge<'a> {
    pub(super) fn profiles(&mut self, tree: &'a Table) -> BTreeMap<&'a str, Draft<'a>> {
        let mut profiles = BTreeMap::new();
        for (name, section) in named(&[], tree, "profile", schema::Section::Profile) {
            self.own_name(&section);
            let habits = self.habits(&section);
            let points = self.points(&section);
            profiles.insert(name, Draft { section, habits, points });
        }
        profiles
    }

    pub(super) fn unused_profiles(&mut self, tree: &'a Table, profiles: &BTreeMap<&'a str, Draft<'a>>) {
        let meters = named(&[], tree, "meter", schema::Section::Meter);
        // A mistyped name was said; the profile that it meant is not unused.
        if meters.values().filter_map(|meter| meter.text("profile")).any(|name| !profiles.contains_key(name)) {
            return;
        }
        for (name, profile) in profiles {
            if meters.values().any(|meter| meter.text("profile") == Some(name)) {
                continue;
            }
            self.findings
                .warning(Code::Unused, profile.section.key, format!("profile `{name}` is not used by any meter"))
                .label("no meter names it")
                .help(format!("add `profile = \"{name}\"` to a meter, or remove the profile"));
        }
    }
}
