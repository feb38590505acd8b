//! `cargo run --example demo`: meters, a broker and the daemon on one machine, an outage and a crash, and an account of every reading.
//!
//! Nothing needs to be installed. The daemon is the real one, in a process of its own: the demo starts itself once more for it, and
//! once more for the broker, so that both can be killed like any process. A relay between them counts what was acknowledged.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a program for a terminal, with simulators that keep their own time"
)]

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sim::watched::Watched;

#[path = "demo/embedded.rs"]
mod embedded;
#[path = "demo/screen.rs"]
mod screen;
#[path = "mod.rs"]
mod sim;
#[path = "demo/stage.rs"]
mod stage;

use screen::Screen;
use stage::Stage;

const USAGE: &str = "usage: cargo run --example demo [-- --for 60s]     (10s or more; Ctrl-C ends it early, with the account)";

/// How long it takes unless told otherwise.
const LENGTH: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        [stage::AS_DAEMON, ..] => stage::be_the_daemon(arguments),
        [embedded::AS_BROKER, address] => embedded::be_the_broker(address),
        [] => play(LENGTH),
        ["--for", length] => seconds(length).map_or_else(usage, play),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}

/// `60s`, `2m` or plain seconds, from ten seconds on.
fn seconds(text: &str) -> Option<Duration> {
    let (digits, factor) = match text.strip_suffix('m') {
        Some(digits) => (digits, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let length = Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(factor)?);
    (length >= Duration::from_secs(10)).then_some(length)
}

/// Something that happens to the plant.
type Act = fn(&mut Stage, &Screen);

/// What happens, and after which part of the time.
const STORY: [(f64, Act); 4] = [
    (0.25, Stage::lose_the_broker),
    (0.45, Stage::kill_the_daemon),
    (0.55, Stage::start_the_daemon),
    (0.70, Stage::restore_the_broker),
];

fn play(length: Duration) -> ExitCode {
    let screen = Screen::new();
    let interrupted = listen_to_ctrl_c();
    let mut stage = Stage::set(&screen);
    let mut story = STORY.iter().map(|(part, act)| (length.mul_f64(*part), *act)).peekable();
    let start = Instant::now();
    for second in (1..=length.as_secs()).map(Duration::from_secs) {
        while let Some((at, act)) = story.next_if(|(at, _)| *at <= second) {
            if wait(&interrupted, start + at) {
                return finish(stage, &screen);
            }
            act(&mut stage, &screen);
        }
        if wait(&interrupted, start + second) {
            return finish(stage, &screen);
        }
        stage.tick(&screen);
    }
    finish(stage, &screen)
}

fn finish(stage: Stage, screen: &Screen) -> ExitCode {
    if stage.finish(screen) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits for the moment; whether Ctrl-C came first.
fn wait(interrupted: &Watched<bool>, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    interrupted.wait(left, |interrupted| interrupted.then_some(())).is_some()
}

/// The first Ctrl-C ends the play, the second everything.
fn listen_to_ctrl_c() -> Arc<Watched<bool>> {
    let interrupted = Arc::new(Watched::new(false));
    let tell = Arc::clone(&interrupted);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            tokio::signal::ctrl_c().await.expect("signals can be listened to");
            tell.change(|interrupted| *interrupted = true);
            tokio::signal::ctrl_c().await.expect("signals can be listened to");
            std::process::exit(130);
        });
    });
    interrupted
}
