//! Findings as text for a terminal, each with file, line, column and excerpt.
//!
//! Always true here: the plain form depends on findings and sources alone, so it can be compared with a file.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin as PathOnly, Renderer, Snippet};

use super::finding::{Finding, Origin, Severity, Source, Sources};

/// Every finding, then a line that counts them.
#[must_use]
pub fn render(findings: &[Finding], sources: &Sources, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for finding in findings {
        let rendered = renderer.render(&[group(finding, sources)]);
        // The renderer fills empty lines with blanks.
        rendered.lines().for_each(|line| {
            text.push_str(line.trim_end());
            text.push('\n');
        });
        text.push('\n');
    }
    text.push_str(&count(findings));
    text.push('\n');
    text
}

/// One finding in one line, for a log: where, what, and what to do.
#[must_use]
pub fn line(finding: &Finding, sources: &Sources) -> String {
    let help = finding.help.first().map_or(String::new(), |help| format!("; {}", help.replace('\n', " | ")));
    format!("{}: {}{help}", sources.mention(&finding.place), finding.title)
}

/// As in "2 errors, 1 warning".
#[must_use]
pub fn count(findings: &[Finding]) -> String {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let several = |number: usize| if number == 1 { "" } else { "s" };
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    format!("{errors} error{}, {warnings} warning{}", several(errors), several(warnings))
}

fn group<'a>(finding: &'a Finding, sources: &'a Sources) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(finding.title.as_str()).id(finding.code.to_string());
    let group = match sources.of(&finding.place) {
        Some(source) => title.elements(excerpt(finding, source)),
        None => Group::with_title(title),
    };
    group.elements(finding.help.iter().map(|help| Level::HELP.message(help.as_str())))
}

fn excerpt<'a>(finding: &'a Finding, source: &'a Source) -> Vec<Element<'a>> {
    let (line_start, lines, span) = match source.origin {
        Origin::Unread => return vec![PathOnly::path(source.name.as_str()).into()],
        Origin::Variable | Origin::File => lines_of(source, finding),
    };
    let annotation = AnnotationKind::Primary.span(span).label(finding.label.as_str());
    vec![Snippet::source(lines).line_start(line_start).path(source.name.as_str()).annotation(annotation).into()]
}

/// The lines around a place: number of the first, their text, and the place within it.
fn lines_of<'a>(source: &'a Source, finding: &Finding) -> (usize, &'a str, std::ops::Range<usize>) {
    let text = source.text.as_str();
    let start = finding.place.span.start.min(text.len());
    let end = finding.place.span.end.clamp(start, text.len());
    let first = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let last = text.get(end..).and_then(|after| after.find('\n')).map_or(text.len(), |newline| end + newline);
    let number = text.get(..first).map_or(1, |before| before.matches('\n').count() + 1);
    (number, text.get(first..last).unwrap_or_default(), start - first..end - first)
}
