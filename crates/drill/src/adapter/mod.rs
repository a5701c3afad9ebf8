//! The C interface through which packetdrill drives a stack that is not the kernel's (its "so mode"): one exported symbol
//! fills a table of calls. Time is virtual: it moves when packetdrill sleeps, waits for a packet, or looks at the clock.
//!
//! This is one of the places besides `device` where unsafe code may be: the interface is made of pointers.
#![allow(unsafe_code)]

mod calls;
mod clock;
mod memory;

use crate::host::Host;
use crate::interface::Interface;
use crate::run::{Settings, fast_open_keys, settings_by_sysctl, sysctl};
use crate::script::OptionLine;
use crate::sockets::Sockets;
use clock::Shared;
use libc::c_char;
use synfin_stack::Cidr;
use synfin_stack::engine::config::{ReceiveWindow, WindowProbe};
use synfin_stack::engine::{Instant, TcpConfig};

/// Fills in the table. `so_flags` is `key=value,..`: `mtu`, `quickack`, and every setting of TCP, or null.
///
/// # Safety
/// packetdrill calls this with a text or null, and with room for the table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(so_flags: *const c_char, out: *mut Interface) {
    let flags = if so_flags.is_null() {
        String::new()
    } else {
        // SAFETY: by packetdrill's promise it is a text.
        unsafe { std::ffi::CStr::from_ptr(so_flags) }.to_string_lossy().into_owned()
    };
    let world = match World::new(&flags) {
        Ok(w) => w,
        Err(why) => {
            eprintln!("synfin: {why}");
            std::process::exit(2);
        }
    };
    let userdata = Box::into_raw(Box::new(Shared::new(world))).cast();
    // SAFETY: packetdrill gives room for the table.
    unsafe { out.write(calls::table(userdata)) };
}

/// Everything behind the interface.
struct World {
    host: Host,
    sockets: Sockets,
    /// What `so_flags` say beside the settings of the namespace.
    flags: String,
    /// A call is asleep, and wakes by itself then.
    asleep: Option<Instant>,
    /// A call was woken and has not looked at the clock, or gone back to sleep, yet.
    woken: bool,
}

impl World {
    fn new(flags: &str) -> std::result::Result<World, String> {
        let mut set = overheard();
        set.tcp = linux_like();
        set.flags(flags)?;
        let local = set.local();
        let other = Settings { local_ip: None, ip_version: crate::run::IpVersion::V6, ..set.clone() }.local();
        let mut addresses = vec![Cidr { addr: local, prefix: if local.is_ipv4() { 16 } else { 64 } }];
        if local.is_ipv4() {
            addresses.push(Cidr { addr: other, prefix: 64 });
        }
        let mut host = Host::new(&addresses, set.mtu, set.tcp.clone());
        host.answer_for_any_address();
        let mut w = World { host, sockets: Sockets::default(), flags: flags.to_string(), asleep: None, woken: false };
        w.read_settings();
        Ok(w)
    }

    /// The settings of the namespace, as they are now, and what the flags say beside them.
    fn read_settings(&mut self) {
        let mut set = Settings { tcp: linux_like(), ..Settings::default() };
        for name in settings_by_sysctl() {
            if let Ok(v) = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")) {
                // What is not there stays as it is.
                let _ = sysctl(&mut set.tcp, &format!("net.ipv4.{name}"), v.trim());
            }
        }
        let freebsd = |c: &TcpConfig| c.rcv_window == ReceiveWindow::FreeBsd;
        if set.flags(&self.flags).is_ok() {
            if freebsd(&set.tcp) {
                // FreeBSD's first window, whatever the namespace says, and the RFC's own probe.
                (set.tcp.rcv_buf_initial, set.tcp.window_probe) = (65_536, WindowProbe::Octet);
            }
            self.host.tcp = set.tcp;
            // Once there are sockets the host stays as it is.
            let _ = self.host.obey_host_settings(self.sockets.is_empty());
            // Zeros if none was set, which are as good as any.
            let key = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_fastopen_key").ok();
            if let Some(keys) = key.and_then(|k| fast_open_keys(&k)) {
                self.host.set_fast_open_keys(keys);
            }
        }
    }
}

/// What packetdrill was started with and does not tell: its addresses and its MTU, from its command line and from the
/// options of its script.
fn overheard() -> Settings {
    let mut s = Settings::default();
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let args: Vec<String> = line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
    let options = args.iter().filter_map(|a| OptionLine::from_argument(a));
    // A name that ends like that may be a pipe, and reading it would never end.
    let is_file = |a: &&String| a.ends_with(".pkt") && std::fs::metadata(a.as_str()).is_ok_and(|m| m.is_file());
    let scripts = args.iter().filter(is_file).filter_map(|a| std::fs::read_to_string(a).ok());
    let mut heard: Vec<OptionLine> = scripts
        .flat_map(|text| text.lines().filter_map(|l| OptionLine::from_argument(l.trim())).collect::<Vec<_>>())
        .collect();
    heard.extend(options);
    for o in heard {
        if matches!(o.name.as_str(), "local_ip" | "ip_version" | "mtu") {
            // What cannot be read, packetdrill itself complains of.
            let _ = s.option(&o.name, o.value.as_deref());
        }
    }
    s
}

/// Our defaults, but where scripts for Linux see Linux's.
fn linux_like() -> TcpConfig {
    TcpConfig { slow_start_limit: u8::MAX, window_probe: WindowProbe::Empty, ..TcpConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_are_wrong_are_one_clear_line() {
        assert_eq!(World::new("nonsense=1").err().as_deref().map(|e| e.starts_with("unknown setting")), Some(true));
        assert!(World::new("mtu=1400,rcv-window=freebsd,layout=freebsd").is_ok());
    }
}
