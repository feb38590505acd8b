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

/// Has the kernel ask a silent TCP peer after a minute, and again every 15 s, whether it is still there (tcp(7)); three questions
/// without an answer end the connection.
///
/// # Errors
/// As setsockopt(2) gives them.
pub fn keep_alive(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let options = [
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 60),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 15),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3),
    ];
    for (level, option, value) in options {
        let value: libc::c_int = value;
        let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
        // SAFETY: the descriptor is open for the length of the call, and the kernel only reads `size` bytes from our own integer.
        let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) };
        if answer != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
