//! What the demo shows: a line each second, a line for each event, in colour on a terminal and plain in a pipe.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Standard output, with the time since the start.
#[derive(Debug)]
pub struct Screen {
    start: Instant,
    colour: bool,
}

/// What a status line shows.
#[derive(Debug)]
pub struct Figures {
    /// Sweeps taken.
    pub taken: usize,
    /// Sweeps that arrived as they were taken.
    pub live: usize,
    /// Sweeps that arrived after an outage.
    pub backlog: usize,
    /// The latest arrival, or why there is none.
    pub latest: String,
}

/// Longest line of the daemon's log that is shown whole.
const LONGEST: usize = 140;

const PLAIN: &str = "0";
const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "1;31";
const YELLOW: &str = "33";

impl Screen {
    /// Colour on a terminal, unless NO_COLOR is set.
    pub fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { start: Instant::now(), colour }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[{PLAIN}m") } else { text.to_owned() }
    }

    /// One line; nobody left to read it is no reason to stop before the account is done.
    fn line(text: &str) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}").ok();
        out.flush().ok();
    }

    fn clock(&self) -> String {
        let seconds = Duration::as_secs(&self.start.elapsed());
        format!("{:>3}:{:02}", seconds / 60, seconds % 60)
    }

    /// A title.
    pub fn title(&self, text: &str) {
        Self::line(&format!("\n{}", self.paint(BOLD, text)));
    }

    /// A line beneath a title.
    pub fn detail(&self, name: &str, text: &str) {
        Self::line(&format!("  {} {text}", self.paint(DIM, &format!("{name:<8}"))));
    }

    /// The head of the status lines.
    pub fn head(&self) {
        let head = format!("{:>6}  {:>6} {:>6} {:>8} {:>8}   latest", "time", "taken", "live", "backlog", "waiting");
        Self::line(&format!("\n{}", self.paint(DIM, &head)));
    }

    /// One second.
    pub fn status(&self, figures: &Figures) {
        let Figures { taken, live, backlog, latest } = figures;
        let waiting = taken.saturating_sub(live + backlog);
        let pad = |figure: usize, width: usize| format!("{figure:>width$}");
        let waits = if waiting > 20 { self.paint(YELLOW, &pad(waiting, 8)) } else { pad(waiting, 8) };
        let live = self.paint(GREEN, &pad(*live, 6));
        Self::line(&format!("{}  {taken:>6} {live} {} {waits}   {latest}", self.clock(), pad(*backlog, 8)));
    }

    /// Something happened to the plant.
    pub fn event(&self, text: &str) {
        Self::line(&format!("{}  {}", self.clock(), self.paint(BOLD, &format!("-- {text}"))));
    }

    /// The daemon complained; the beginning says what about.
    pub fn complaint(&self, text: &str) {
        let shown: String = text.chars().take(LONGEST).collect();
        let text = if shown.len() < text.len() { shown + " .." } else { shown };
        Self::line(&format!("{}  {}", self.clock(), self.paint(DIM, &format!("   daemon: {text}"))));
    }

    /// A figure of the account.
    pub fn figure(&self, name: &str, figure: usize) {
        Self::line(&self.paint(PLAIN, &format!("  {name}: {figure}")));
    }

    /// The figure that matters.
    pub fn verdict(&self, name: &str, figure: usize) {
        let style = if figure == 0 { GREEN } else { RED };
        Self::line(&format!("  {}", self.paint(style, &format!("{name}: {figure}"))));
    }

    /// Something that must not be.
    pub fn wrong(&self, text: &str) {
        Self::line(&self.paint(RED, &format!("  wrong: {text}")));
    }
}
