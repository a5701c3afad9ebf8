//! `synfin doctor`: what this machine allows, and the remedy for each thing that it does not.

use crate::namespace;
use crate::output::{Output, failed};
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use synfin::device::{PacketSocket, Tun, add_veth, netns, set_real_time};

/// How it is told.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Exit status 0 means that the demo can run here, with the kernel at the other end and without root."
)]
pub(crate) struct Args {
    /// Print one JSON object per check, and one for the verdict
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// What was looked at.
struct Check {
    name: &'static str,
    /// What it is for.
    serves: &'static str,
    /// What is wrong, and what helps.
    fault: Option<(String, String)>,
}

/// Runs it.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    let checks = look();
    let holds = |name: &str| checks.iter().any(|c| c.name == name && c.fault.is_none());
    let namespaces = holds("user namespace") && holds("network namespace");
    let demo = namespaces && (holds("TUN") || (holds("veth") && holds("packet socket")));
    for c in &checks {
        let fault = c.fault.as_ref();
        if args.json {
            let o = json!({"check": c.name, "ok": fault.is_none(), "for": c.serves,
                "fault": fault.map(|f| &f.0), "remedy": fault.map(|f| &f.1)});
            writeln!(out, "{o}")?;
        } else {
            writeln!(out, "{:<3} {:<18} {}", if fault.is_none() { "ok" } else { "no" }, c.name, c.serves)?;
            if let Some((what, remedy)) = fault {
                writeln!(out, "{:22} {what}", "")?;
                writeln!(out, "{:22} remedy: {remedy}", "")?;
            }
        }
    }
    if args.json {
        writeln!(out, "{}", json!({"check": "verdict", "ok": demo, "for": "the demo without root"}))?;
    }
    if demo {
        if !args.json {
            writeln!(out, "\nThe demo can run here without root: synfin demo")?;
        }
        return Ok(());
    }
    out.flush()?;
    Err(failed("the demo has no kernel at its other end here; what helps stands above. In memory it runs all the same"))
}

/// Looks at the machine as it is, then enters namespaces, and looks there.
fn look() -> Vec<Check> {
    let mut all = vec![
        capability("CAP_NET_ADMIN", 12, "making and configuring interfaces of the machine's own network"),
        capability("CAP_NET_RAW", 13, "--link packet:IFACE on interfaces of the machine's own network"),
    ];
    let real_time = set_real_time().map_err(|e| {
        io::Error::new(e.kind(), format!("{e}; as root: setcap cap_sys_nice+ep \"$(command -v synfin)\""))
    });
    all.push(check("real-time priority", "a path that is exact on a loaded machine; it works without", real_time));
    let user = netns::enter_user();
    let entered = user.is_ok();
    all.push(check("user namespace", "all that runs without root", user));
    let beyond = |what: &str| io::Error::other(format!("not tried without {what}; see there"));
    let network = if entered { netns::enter_network() } else { Err(beyond("a user namespace")) };
    let entered = network.is_ok();
    all.push(check("network namespace", "demo; connect, listen, get, serve, ping without --link", network));
    let within = |f: &dyn Fn() -> io::Result<()>| if entered { f() } else { Err(beyond("a network namespace")) };
    let tun = within(&|| namespace::tun("synfin-try", false, 1_500).map(drop));
    let has_tun = tun.is_ok();
    all.push(check("TUN", "--link tun:NAME and tap:NAME; the best link of the demo", tun));
    let offload = if has_tun { namespace::tun("synfin-try", true, 1_500).and_then(cuts) } else { Err(beyond("a TUN")) };
    all.push(check("offload", "64 KiB per system call over a TUN", offload));
    let veth = within(&|| {
        add_veth("synfin-try0", "synfin-try1")
            .map_err(|e| io::Error::new(e.kind(), format!("{e}; as root: modprobe veth")))
    });
    let has_veth = veth.is_ok();
    all.push(check("veth", "the demo where there is no TUN", veth));
    let packet = if has_veth { PacketSocket::open("synfin-try0", true).map(drop) } else { Err(beyond("a veth")) };
    all.push(check("packet socket", "--link packet:IFACE", packet));
    all
}

fn cuts(t: Tun) -> io::Result<()> {
    let offload = synfin::device::Device::Tun(t).capabilities().offload;
    offload.map(drop).ok_or_else(|| io::Error::other("the TUN takes no super-segments; a newer kernel"))
}

/// An error's words are what is wrong, and behind a semicolon what helps.
fn check(name: &'static str, serves: &'static str, r: io::Result<()>) -> Check {
    let split = |e: io::Error| {
        let words = e.to_string();
        let (what, remedy) = words.split_once("; ").unwrap_or((&words, "run it as root, outside of any container"));
        (what.to_string(), remedy.to_string())
    };
    Check { name, serves, fault: r.err().map(split) }
}

/// Whether this process has a capability, where it was started.
fn capability(name: &'static str, bit: u32, serves: &'static str) -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = effective(&status).is_some_and(|all| all >> bit & 1 == 1);
    let remedy = format!("as root: setcap {}+ep \"$(command -v synfin)\"", name.to_lowercase());
    Check { name, serves, fault: (!has).then(|| ("this process has it not".into(), remedy)) }
}

/// The effective capabilities in a `/proc/PID/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_and_errors_split_into_fault_and_remedy() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000003000\n"), Some(0x3000));
        assert_eq!(effective("Name:\tx\n"), None);
        let c = check("TUN", "", Err(io::Error::other("/dev/net/tun: gone; as root: modprobe tun")));
        assert_eq!(c.fault, Some(("/dev/net/tun: gone".into(), "as root: modprobe tun".into())));
        assert!(check("TUN", "", Ok(())).fault.is_none());
    }
}
