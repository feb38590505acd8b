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

/// Has the kernel switch the sender of an RS-485 port by RTS (linux/serial.h, TIOCSRS485). Delays and polarity stay as the device
/// tree set them; where it set no polarity, RTS is on while sending. `false` where the port has no such mode, as with adapters that
/// switch by themselves.
///
/// # Errors
/// As ioctl(2) gives them.
pub fn switch_rs485_sender(port: &impl std::os::fd::AsRawFd) -> std::io::Result<bool> {
    /// `struct serial_rs485`: flags, two delays, and room for more.
    #[repr(C)]
    struct Rs485 {
        flags: u32,
        others: [u32; 7],
    }
    const ENABLED: u32 = 1;
    const RTS_ON_SEND: u32 = 1 << 1;
    const RTS_AFTER_SEND: u32 = 1 << 2;
    let mut mode = Rs485 { flags: 0, others: [0; 7] };
    // SAFETY: the port is open for the length of the call, and the kernel writes at most the 32 bytes of our own struct.
    if unsafe { libc::ioctl(port.as_raw_fd(), libc::TIOCGRS485, &raw mut mode) } != 0 {
        let error = std::io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOTTY) { Ok(false) } else { Err(error) };
    }
    mode.flags |= ENABLED;
    if mode.flags & (RTS_ON_SEND | RTS_AFTER_SEND) == 0 {
        mode.flags |= RTS_ON_SEND;
    }
    // SAFETY: the port is open for the length of the call, and the kernel reads and writes our own struct alone.
    if unsafe { libc::ioctl(port.as_raw_fd(), libc::TIOCSRS485, &raw mut mode) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(true)
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
