//! The demo keeps its word: an outage and a crash, and an account that says that nothing is lost.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::sim::daemon::Daemon;

/// Built beside the daemon by `cargo test`; absent when only these tests were built.
fn demo() -> Option<Command> {
    let path: PathBuf = PathBuf::from(env!("CARGO_BIN_EXE_districtd")).with_file_name("examples").join("demo");
    if path.exists() {
        return Some(Command::new(path));
    }
    println!("skipped: no {} (cargo build --example demo)", path.display());
    None
}

/// The last five lines, as numbers.
fn account(output: &str) -> Vec<u64> {
    let names = ["sweeps taken", "arrived live", "arrived as backlog", "lost", "duplicates"];
    let lines: Vec<&str> = output.lines().collect();
    let last = &lines[lines.len() - names.len()..];
    let figure = |(line, name): (&&str, &str)| line.trim().strip_prefix(name)?.strip_prefix(": ")?.parse().ok();
    let figures: Option<Vec<u64>> = last.iter().zip(names).map(figure).collect();
    figures.unwrap_or_else(|| panic!("no account at the end of\n{output}"))
}

#[test]
fn the_demo_loses_nothing() {
    let Some(mut demo) = demo() else { return };
    demo.args(["--for", "15s"]);
    let demo = Daemon::start(demo);
    assert_eq!(demo.wait_code(Duration::from_secs(120)), Some(0), "{}", demo.log());
    let [taken, live, backlog, lost, _] = account(&demo.log())[..] else { unreachable!() };
    assert_eq!(lost, 0);
    assert_eq!(taken, live + backlog);
    assert!(live > 20 && backlog > 20, "{}", demo.log());
}

#[test]
fn the_demo_interrupted_in_the_outage_still_gives_its_account() {
    let Some(mut demo) = demo() else { return };
    demo.args(["--for", "40s"]);
    let demo = Daemon::start(demo);
    demo.wait_log(Duration::from_secs(60), &["the broker is gone"]);
    demo.signal(Signal::INT);
    assert_eq!(demo.wait_code(Duration::from_secs(120)), Some(0), "{}", demo.log());
    let [taken, live, backlog, lost, _] = account(&demo.log())[..] else { unreachable!() };
    assert_eq!((lost, taken), (0, live + backlog), "{}", demo.log());
}
