//! What the service manager sees: one line of status, and the watchdog's food.
//!
//! Always true here: the watchdog is fed only while every task turns its loop; an outage, a dead line or a slow card is no reason
//! to be restarted. Deliberately absent: figures for people (see `status`).

use std::time::Duration;

use tracing::error;

use crate::clock;
use crate::host::notify;
use crate::status::{Board, Snapshot};

/// A task that has not turned its loop for this long is stuck.
const STUCK: Duration = Duration::from_secs(30);
/// How often the status line is looked at.
const GLANCE: Duration = Duration::from_secs(5);

/// Sends status and feeds the watchdog until it is dropped.
pub(super) async fn beat(board: Board) {
    let interval = notify::watchdog_interval().map_or(GLANCE, |watchdog| (watchdog / 3).min(GLANCE));
    let (mut said, mut stuck) = (String::new(), Vec::new());
    loop {
        tokio::time::sleep(interval).await;
        let line = line(&board.snapshot());
        if line != said {
            notify::status(&line);
            said = line;
        }
        let found = board.stuck(clock::monotonic(), STUCK);
        if found.is_empty() {
            notify::watchdog();
        } else if found != stuck {
            error!(tasks = %found.join(", "), "these tasks stand still; the watchdog is no longer fed");
        }
        stuck = found;
    }
}

/// The status line: lines up, meters that answer, the uplink, what waits.
pub(super) fn line(snapshot: &Snapshot) -> String {
    let buses = snapshot.buses.values();
    let up = buses.clone().filter(|bus| bus.up).count();
    let meters = || buses.clone().flat_map(|bus| bus.meters.values());
    let alive = meters().filter(|meter| meter.alive).count();
    let uplink = if snapshot.uplink.up { "uplink up" } else { "uplink down" };
    let mut line = format!(
        "{up} of {} buses up, {alive} of {} meters answer, {uplink}, {} readings wait",
        snapshot.buses.len(),
        meters().count(),
        snapshot.spool.held
    );
    if !snapshot.spool.trouble.is_empty() {
        line = format!("{line}; spool: {}", snapshot.spool.trouble);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_says_what_is_up_and_what_waits() {
        let board = Board::new();
        board.bus("a").update(|bus| bus.up = true);
        board.bus("a").meter("m1", |meter| meter.alive = true);
        board.bus("b").meter("m2", |_| ());
        board.spool().update(|spool| spool.held = 7);
        assert_eq!(line(&board.snapshot()), "1 of 2 buses up, 1 of 2 meters answer, uplink down, 7 readings wait");
    }
}
