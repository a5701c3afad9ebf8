//! A network of one's own: a user and network namespace, without root.

use crate::config::{Interface, set_up};
use crate::sys::check;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Puts this process into a new user and network namespace, in which it is root and nothing is reached outside. Only
/// before the first thread is started: the kernel refuses it after that. An error names the step and its remedy; what was
/// entered until then stays entered.
pub fn enter_new() -> io::Result<()> {
    // One namespace after the other, so that it is known which of the two was refused.
    enter_user()?;
    enter_network()
}

/// Puts this process into a new user namespace, in which it is root. Only before the first thread is started.
pub fn enter_user() -> io::Result<()> {
    // SAFETY: geteuid and getegid cannot fail and touch no memory.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    unshare(libc::CLONE_NEWUSER).map_err(|e| failed("unshare of a user namespace", &e, of_user(&e)))?;
    for (file, line) in
        [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
    {
        let path = format!("/proc/self/{file}");
        fs::write(&path, line).map_err(|e| failed(&path, &e, of_map(&e)))?;
    }
    Ok(())
}

/// Puts this process into a new network namespace of the user namespace that it is in.
pub fn enter_network() -> io::Result<()> {
    unshare(libc::CLONE_NEWNET).map_err(|e| failed("unshare of a network namespace", &e, of_network(&e)))?;
    set_up("lo", &Interface::default()).map_err(|e| failed("setting up lo", &e, of_lo(&e)))
}

/// Runs `f` on this thread in the network namespace `netns` (a file like `/proc/PID/ns/net`), and comes back. What is opened
/// there stays there. Needs CAP_SYS_ADMIN over that namespace: of one's own, or as root.
pub fn within<R>(netns: &Path, f: impl FnOnce() -> R) -> io::Result<R> {
    let open =
        |path: &Path| fs::File::open(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())));
    let (here, there) = (open(Path::new("/proc/thread-self/ns/net"))?, open(netns)?);
    let enter = |ns: &fs::File| {
        // SAFETY: setns(2) touches no memory of ours.
        check(unsafe { libc::setns(ns.as_raw_fd(), libc::CLONE_NEWNET) })
    };
    enter(&there).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", netns.display())))?;
    let r = f();
    enter(&here)?;
    Ok(r)
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: unshare(2) touches no memory of ours.
    check(unsafe { libc::unshare(flags) }).map(|_| ())
}

fn failed(step: &str, e: &io::Error, remedy: &str) -> io::Error {
    io::Error::new(e.kind(), format!("no network namespace: {step}: {e}; {remedy}"))
}

fn of_user(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => forbidden(),
        Some(libc::ENOSPC | libc::EUSERS) => {
            "too many user namespaces, or too deep in each other; as root: sysctl -w user.max_user_namespaces=10000"
        }
        Some(libc::EINVAL) => THREADS,
        _ => "see user_namespaces(7)",
    }
}

fn of_map(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => forbidden(),
        Some(libc::ENOENT | libc::EROFS) => "it needs /proc, mounted to be written to",
        _ => "see user_namespaces(7)",
    }
}

fn of_network(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => forbidden(),
        Some(libc::ENOSPC | libc::EUSERS) => {
            "too many network namespaces; as root: sysctl -w user.max_net_namespaces=10000"
        }
        Some(libc::EINVAL) => "this kernel has no network namespaces (CONFIG_NET_NS)",
        _ => "see network_namespaces(7)",
    }
}

fn of_lo(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => forbidden(),
        _ => "see ulimit -n, if too many files are open",
    }
}

/// Who forbids it, as far as the kernel tells.
fn forbidden() -> &'static str {
    let says = |file: &str, what: &str| fs::read_to_string(file).is_ok_and(|s| s.trim() == what);
    if says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor restricts user namespaces; as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else if says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "user namespaces are for root only; as root: sysctl -w kernel.unprivileged_userns_clone=1"
    } else {
        "user namespaces are forbidden here, by a container, a chroot or a security module: run outside of it, or as root"
    }
}

const THREADS: &str = "a user namespace can only be entered before the first thread is started";
