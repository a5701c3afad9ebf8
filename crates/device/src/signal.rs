//! Signals that ask a program to end, as a descriptor to wait on (signalfd(2)), so that its loop ends like any other.

use crate::sys::{check, read, zeroed};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// SIGINT and SIGTERM, which no longer end the process.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Takes them over for this thread and those it starts from now on: to be called before the first one.
    pub fn take() -> io::Result<Signals> {
        let mut set: libc::sigset_t = zeroed();
        // SAFETY: the set lives through the calls; both signals exist.
        unsafe {
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::sigaddset(&mut set, libc::SIGTERM);
        }
        // SAFETY: the set lives through the call; no old one is asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
            0 => {}
            e => return Err(io::Error::from_raw_os_error(e)),
        }
        // SAFETY: the set lives through the call; a non-negative result is a descriptor that nobody else owns.
        let fd = check(unsafe { libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })?;
        // SAFETY: see above.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether one has come; it is taken.
    pub fn came(&self) -> bool {
        read(self.0.as_raw_fd(), &mut [0; size_of::<libc::signalfd_siginfo>()]).is_ok()
    }

    /// The descriptor, readable once one has come.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_and_ends_nothing() {
        let s = Signals::take().unwrap();
        assert!(!s.came());
        // SAFETY: raise(3) sends the signal to this thread, which blocks it.
        assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
        assert!(s.came() && !s.came());
    }
}
