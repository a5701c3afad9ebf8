//! A network of one's own: a user and network namespace, without root.

use crate::config::{Interface, set_up};
use crate::sys::check;
use std::fs;
use std::io;

/// Puts this process into a new user and network namespace, in which it is root and nothing is reached outside. Only
/// before the first thread is started: the kernel refuses it after that.
pub fn enter_new() -> io::Result<()> {
    // SAFETY: geteuid and getegid cannot fail and touch no memory.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: unshare(2) touches no memory of ours.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) }).map_err(|e| explain(&e))?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    set_up("lo", &Interface::default())
}

/// Puts this process into a new network namespace of the user namespace that it is in.
pub fn enter_network() -> io::Result<()> {
    // SAFETY: unshare(2) touches no memory of ours.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map_err(|e| explain(&e))?;
    set_up("lo", &Interface::default())
}

fn explain(e: &io::Error) -> io::Error {
    let remedy = match e.raw_os_error() {
        Some(libc::EPERM) => {
            "user namespaces are forbidden here; as root: sysctl -w kernel.unprivileged_userns_clone=1 \
             (or, with AppArmor: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)"
        }
        Some(libc::ENOSPC) => "too many user namespaces; as root: sysctl -w user.max_user_namespaces=10000",
        Some(libc::EINVAL) => "a namespace can only be entered before the first thread is started",
        _ => "see user_namespaces(7)",
    };
    io::Error::new(e.kind(), format!("no network namespace: {e}; {remedy}"))
}
