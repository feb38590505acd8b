//! System calls that no safe crate offers. The only file in which unsafe code is allowed.
//!
//! Always true here: each function is one call with memory of its own, and turns the answer into a plain value.
#![expect(unsafe_code, reason = "the calls below have no safe wrapper in the crates we use")]

/// Whether the kernel calls the wall clock synchronised (ntp_adjtime(3): anything but TIME_ERROR).
#[must_use]
pub fn clock_is_synchronised() -> bool {
    // SAFETY: an all-zero timex is a valid value; modes = 0 makes the call read-only, and it writes only into our own struct.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::ntp_adjtime(&raw mut timex)
    };
    state >= 0 && state != libc::TIME_ERROR
}
