//! What there is to say about a configuration: findings, and where they stand.
//!
//! Always true here: a finding says what was found and what to do about it, in words for the person who typed it. Deliberately
//! absent: how it looks on a terminal (see [`super::report`]).

use std::fmt;
use std::ops::Range;

/// Whether a configuration with this finding can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// What kind of finding it is; the `Display` form is stable and stands in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A file or directory cannot be read.
    Unreadable,
    /// Not TOML.
    Syntax,
    /// A key or table that means nothing.
    UnknownKey,
    /// An environment variable that means nothing.
    UnknownVariable,
    /// A text where a number belongs, or the like.
    WrongType,
    /// A key or table that must be there.
    MissingKey,
    /// A name that cannot be used as one.
    BadName,
    /// The right type, but not to be understood.
    BadValue,
    /// Understood, but outside what is possible.
    OutOfRange,
    /// Names a bus or a profile that is not there.
    UnknownName,
    /// Two settings that exclude each other.
    Conflict,
    /// Two of what there may be one of.
    Duplicate,
    /// Configured, but nothing uses it.
    Unused,
    /// Allowed, but probably not meant.
    Doubtful,
    /// Readings would be less safe than promised.
    AtRisk,
    /// More polls than a line can carry, or nearly.
    Overload,
}

impl Code {
    /// Whether such a finding can only be made when every file could be read to its end.
    #[must_use]
    pub fn needs_the_whole(self) -> bool {
        matches!(self, Self::MissingKey | Self::UnknownName | Self::Unused | Self::AtRisk)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "unreadable",
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::UnknownVariable => "unknown-variable",
            Self::WrongType => "wrong-type",
            Self::MissingKey => "missing-key",
            Self::BadName => "bad-name",
            Self::BadValue => "bad-value",
            Self::OutOfRange => "out-of-range",
            Self::UnknownName => "unknown-name",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
            Self::Unused => "unused",
            Self::Doubtful => "doubtful",
            Self::AtRisk => "at-risk",
            Self::Overload => "overload",
        })
    }
}

/// Bytes of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Sources`].
    pub source: usize,
    /// Bytes within the source's text; may be empty.
    pub span: Range<usize>,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file with lines.
    File,
    /// The value of one environment variable.
    Variable,
    /// A path that could not be read: it has no text.
    Unread,
}

/// One file or environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path as opened, or `environment NAME`.
    pub name: String,
    /// What it holds.
    pub text: String,
    /// What it is.
    pub origin: Origin,
}

/// Everything that was read, in the order of the layers: later ones win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a source and gives its index.
    pub(super) fn add(&mut self, name: String, text: String, origin: Origin) -> usize {
        self.0.push(Source { name, text, origin });
        self.0.len() - 1
    }

    /// The source of a place.
    #[must_use]
    pub fn of(&self, place: &Place) -> Option<&Source> {
        self.0.get(place.source)
    }

    /// What stands at a place, as typed; empty where the place is none.
    #[must_use]
    pub fn quote(&self, place: &Place) -> &str {
        self.of(place).and_then(|source| source.text.get(place.span.clone())).unwrap_or_default()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// Line and column of the start of a place, both from 1, columns in characters. `None` where the source has no lines.
    #[must_use]
    pub fn line_and_column(&self, place: &Place) -> Option<(usize, usize)> {
        let source = self.of(place).filter(|source| source.origin == Origin::File)?;
        let before = source.text.get(..place.span.start)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some((before.matches('\n').count() + 1, line.chars().count() + 1))
    }

    /// `file:line`, or the name of a source without lines.
    #[must_use]
    pub fn mention(&self, place: &Place) -> String {
        let name = self.of(place).map_or("", |source| source.name.as_str());
        match self.line_and_column(place) {
            Some((line, _)) => format!("{name}:{line}"),
            None => name.to_owned(),
        }
    }
}

/// Something to say about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it can run so.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// What was found, in a sentence without a full stop.
    pub title: String,
    /// What is to be said of the very place; may be empty.
    pub label: String,
    /// What to do.
    pub help: Vec<String>,
}

impl Finding {
    /// A finding without label and help.
    pub(super) fn new(severity: Severity, code: Code, place: &Place, title: impl Into<String>) -> Self {
        Self { severity, code, place: place.clone(), title: title.into(), label: String::new(), help: Vec::new() }
    }

    /// Says something of the very place.
    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Says what to do.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help.push(help.into());
        self
    }
}

/// Findings as they come in.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// Adds an error; label and help are added to what comes back.
    pub(super) fn error(&mut self, code: Code, place: &Place, title: impl Into<String>) -> &mut Finding {
        self.add(Finding::new(Severity::Error, code, place, title))
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, code: Code, place: &Place, title: impl Into<String>) -> &mut Finding {
        self.add(Finding::new(Severity::Warning, code, place, title))
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) -> &mut Finding {
        let index = self.0.len();
        self.0.push(finding);
        // Just pushed, so the slice is never empty.
        #[expect(clippy::indexing_slicing, reason = "the element pushed one line above")]
        &mut self.0[index]
    }

    /// By source and position, errors before warnings of one place, each once.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| (finding.place.source, finding.place.span.start, finding.severity, finding.code));
        self.0.dedup();
        self.0
    }
}
