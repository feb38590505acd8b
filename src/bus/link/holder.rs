//! Who has a serial port that we cannot have.
//!
//! Always true here: what the kernel does not let us see is not guessed. Deliberately absent: opening, and what to do about it.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    name: String,
    process: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.process)
    }
}

impl Holder {
    /// Of the port at this path: by its lock, which anybody may see (proc(5), locks), or by its open files, which root may.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let process = locker(path).or_else(|| opener(path))?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(Self { name: name.trim().to_owned(), process })
    }
}

fn locker(path: &Path) -> Option<u32> {
    let inode = fs::metadata(path).ok()?;
    let (major, minor) = (rustix::fs::major(inode.dev()), rustix::fs::minor(inode.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", inode.ino());
    process_in(&fs::read_to_string("/proc/locks").ok()?, &file)
}

/// Lines are "1: FLOCK  ADVISORY  WRITE 4711 00:05:23 0 EOF"; what waits for a lock has "->" before its kind.
fn process_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_held = words.next()? != "->";
        let process = words.nth(2)?.parse().ok()?;
        (is_held && words.next()? == file).then_some(process)
    })
}

fn opener(path: &Path) -> Option<u32> {
    let device = fs::canonicalize(path).ok()?;
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let has_open = |process: &u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
        files.filter_map(Result::ok).any(|file| fs::read_link(file.path()).is_ok_and(|open| open == device))
    };
    processes.filter(|process| *process != std::process::id()).find(has_open)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
        1: POSIX  ADVISORY  WRITE 812 00:1a:77 0 EOF\n\
        2: FLOCK  ADVISORY  WRITE 4711 00:05:23 0 EOF\n\
        2: -> FLOCK  ADVISORY  WRITE 4712 00:05:24 0 EOF\n";

    #[test]
    fn the_lock_names_its_process() {
        assert_eq!(process_in(LOCKS, "00:05:23"), Some(4711));
        assert_eq!(process_in(LOCKS, "00:05:24"), None, "that one waits");
        assert_eq!(process_in(LOCKS, "00:05:2"), None);
        assert_eq!(process_in("1:\n garbage", "00:05:23"), None);
    }

    #[test]
    fn a_file_that_is_locked_here_is_held_by_this_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Holder::of(file.path()), None);
        file.as_file().lock().unwrap();
        let holder = Holder::of(file.path()).unwrap();
        assert_eq!(holder.process, std::process::id());
        assert!(holder.to_string().ends_with(&format!("(process {})", std::process::id())), "{holder}");
    }

    #[test]
    fn a_file_that_another_process_has_open_is_found_without_a_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = std::process::Stdio::from(file.reopen().unwrap());
        let mut other = std::process::Command::new("sleep").arg("60").stdin(open).spawn().unwrap();
        let found = Holder::of(file.path());
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(found.map(|holder| holder.process), Some(other.id()));
    }
}
