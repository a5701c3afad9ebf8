//! What a script is run with: packetdrill's options, and the settings of the engine.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use synfin_stack::engine::TcpConfig;

/// Options of packetdrill's that mean nothing in virtual time: how it reaches the kernel, what it prints, which program
/// runs the code. Each is accepted, if it is written as packetdrill has it, and changes nothing; `define` is the parser's, `dry_run` the program's business.
pub const MEANINGLESS: &[&str] = &[
    "gateway_ip",
    "netmask_ip",
    "speed",
    "is_anyip",
    "send_omit_free",
    "persistent_tun_dev",
    "local",
    "verbose",
    "debug",
    "dry_run",
    "define",
    "so_filename",
    "code_command",
    "code_format",
    "code_sockopt",
];

/// Options that are on when they are there.
const WITHOUT_VALUE: &[&str] = &[
    "tcp_ts_ecr_scaled",
    "strict_segments",
    "strict",
    "is_anyip",
    "send_omit_free",
    "persistent_tun_dev",
    "local",
    "verbose",
    "debug",
    "dry_run",
];

/// Which protocol carries the segments, and which sockets the program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// IPv4 by sockets of IPv6.
    Mapped,
}

/// Everything that can be set from outside of the events.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `--ip_version`.
    pub ip_version: IpVersion,
    /// `--local_ip`: the host's address; by default one for each version.
    pub local_ip: Option<IpAddr>,
    /// `--remote_ip`: the peer's.
    pub remote_ip: Option<IpAddr>,
    /// `--bind_port`.
    pub bind_port: u16,
    /// `--connect_port`.
    pub connect_port: u16,
    /// `--tolerance_usecs`.
    pub tolerance_usecs: i64,
    /// `--tolerance_percent`.
    pub tolerance_percent: f64,
    /// `--mtu`.
    pub mtu: u32,
    /// `--tcp_ts_tick_usecs`: 0 does not compare TSval.
    pub ts_tick_usecs: i64,
    /// `--tcp_ts_ecr_scaled`.
    pub ecr_scaled: bool,
    /// `--strict_segments`: segments are not glued.
    pub strict_segments: bool,
    /// `--non_fatal=packet`, `--non_fatal=syscall`.
    pub non_fatal: (bool, bool),
    /// `--strict`: what leaves after the last event, and no event takes, is a failure too.
    pub strict: bool,
    /// `--init_scripts`: commands before the script's own first one.
    pub init_scripts: Vec<String>,
    /// The settings of the engine.
    pub tcp: TcpConfig,
    /// All of them that were given, as `key=value`: what another stack is told.
    pub given: Vec<String>,
    /// Names of options that the command line gave: those of a script do not override them.
    pub fixed: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ip_version: IpVersion::V4,
            local_ip: None,
            remote_ip: None,
            bind_port: 8_080,
            connect_port: 8_080,
            tolerance_usecs: 4_000,
            tolerance_percent: 12.5,
            mtu: 1_500,
            ts_tick_usecs: 0,
            ecr_scaled: false,
            strict_segments: false,
            non_fatal: (false, false),
            strict: false,
            init_scripts: Vec::new(),
            tcp: TcpConfig::default(),
            given: Vec::new(),
            fixed: Vec::new(),
        }
    }
}

/// The greatest tolerances that still tolerate something: an hour, and a hundred times the gap.
const MOST_USECS: i64 = 3_600_000_000;
const MOST_PERCENT: f64 = 10_000.0;

/// A number in `range`. What is not even a number is outside of it too (as NaN is).
fn number<T: FromStr + PartialOrd + Display>(name: &str, value: &str, range: RangeInclusive<T>) -> Result<T, String> {
    value.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
        format!("--{name}: expected a number from {} to {}, found {value:?}", range.start(), range.end())
    })
}

fn address(name: &str, value: &str) -> Result<IpAddr, String> {
    value.parse().map_err(|_| format!("--{name}: expected an address of IPv4 or IPv6, found {value:?}"))
}

impl Settings {
    /// The host's address.
    pub fn local(&self) -> IpAddr {
        self.local_ip.unwrap_or(match self.ip_version {
            IpVersion::V6 => Ipv6Addr::new(0xfd3d, 0xa0b, 0x17d6, 0, 0, 0, 0, 1).into(),
            _ => Ipv4Addr::new(192, 168, 0, 1).into(),
        })
    }

    /// The peer's address.
    pub fn remote(&self) -> IpAddr {
        self.remote_ip.unwrap_or(match self.ip_version {
            IpVersion::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            _ => Ipv4Addr::new(192, 0, 2, 1).into(),
        })
    }

    /// Takes one of packetdrill's options. The error is one line, and then nothing has changed.
    pub fn option(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let v = value.unwrap_or("");
        if let Some(v) = value.filter(|_| WITHOUT_VALUE.contains(&name)) {
            return Err(format!("--{name}: expected no value, found {v:?}"));
        }
        match name {
            "ip_version" => {
                self.ip_version = match v {
                    "ipv4" => IpVersion::V4,
                    "ipv6" => IpVersion::V6,
                    "ipv4-mapped-ipv6" => IpVersion::Mapped,
                    _ => {
                        return Err(format!("--ip_version: expected ipv4, ipv6 or ipv4-mapped-ipv6, found {v:?}"));
                    }
                }
            }
            "local_ip" => self.local_ip = Some(address(name, v)?),
            "remote_ip" => self.remote_ip = Some(address(name, v)?),
            "bind_port" => self.bind_port = number(name, v, 1..=65_535)?,
            "connect_port" => self.connect_port = number(name, v, 1..=65_535)?,
            "tolerance_usecs" => self.tolerance_usecs = number(name, v, 0..=MOST_USECS)?,
            "tolerance_percent" => self.tolerance_percent = number(name, v, 0.0..=MOST_PERCENT)?,
            "mtu" => self.mtu = number(name, v, 68..=65_535)?,
            "mss" => self.tcp("mss", v).map_err(|e| format!("--mss: {e}"))?,
            "tcp_ts_tick_usecs" => self.ts_tick_usecs = number(name, v, 0..=MOST_USECS)?,
            "tcp_ts_ecr_scaled" => self.ecr_scaled = true,
            "strict_segments" => self.strict_segments = true,
            "strict" => self.strict = true,
            "non_fatal" => {
                let mut which = self.non_fatal;
                for what in v.split(',') {
                    match what {
                        "packet" | "packets" => which.0 = true,
                        "syscall" | "syscalls" => which.1 = true,
                        _ => return Err(format!("--non_fatal: expected packet or syscall, found {what:?}")),
                    }
                }
                self.non_fatal = which;
            }
            "init_scripts" => {
                if v.is_empty() {
                    return Err("--init_scripts: expected the names of scripts".into());
                }
                self.init_scripts = v.split(',').map(str::to_string).collect();
            }
            "so_flags" => self.flags(v).map_err(|e| format!("--so_flags: {e}"))?,
            // What means nothing here may still be wrong.
            "gateway_ip" | "netmask_ip" => drop(address(name, v)?),
            "speed" => drop(number(name, v, 0..=u32::MAX)?),
            _ if MEANINGLESS.contains(&name) => {}
            "udp_encapsulation" | "tcp_md5_secret" => return Err(format!("--{name} asks for what is not there")),
            _ => return Err(format!("--{name} has no meaning here: there is no second machine")),
        }
        Ok(())
    }

    /// What of addresses and version cannot be together: the option that says so, and a line.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let wants_v6 = self.ip_version == IpVersion::V6;
        for (name, given) in [("local_ip", self.local_ip), ("remote_ip", self.remote_ip)] {
            if let Some(a) = given.filter(|a| a.is_ipv6() != wants_v6) {
                let version = if wants_v6 { 6 } else { 4 };
                return Err((name, format!("--{name}: expected an address of IPv{version} (--ip_version), found {a}")));
            }
        }
        if self.local() == self.remote() {
            let name = if self.remote_ip.is_some() { "remote_ip" } else { "local_ip" };
            return Err((name, format!("--{name}: both ends have the address {}", self.local())));
        }
        Ok(())
    }

    /// A setting of the engine, by its name. The error is one line, and then nothing has changed.
    pub fn tcp(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.tcp.set(key, value)?;
        self.given.push(format!("{key}={value}"));
        Ok(())
    }

    /// Takes `key=value,key=value` as the adapter does: `mtu`, `local_ip`, `quickack`, and every setting of the engine;
    /// all of them or, with an error of one line, none.
    pub fn flags(&mut self, flags: &str) -> Result<(), String> {
        let mut new = self.clone();
        for part in flags.split(',').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("expected key=value, found {part:?}"))?;
            match key {
                "mtu" | "local_ip" => new.option(key, Some(value))?,
                "quickack" => new.tcp("quick-acks", value)?,
                _ => new.tcp(key, value)?,
            }
        }
        // What a namespace's sysctls say is as it is: only what the flags make of it is judged.
        if self.tcp.check().is_ok() {
            new.tcp.check()?;
        }
        *self = new;
        Ok(())
    }

    /// What a stack in a library has to be told: the flags that [`Settings::flags`] takes.
    pub fn as_flags(&self) -> String {
        let link = format!("mtu={},local_ip={}", self.mtu, self.local());
        self.given.iter().fold(link, |all, kv| all + "," + kv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_contradict_each_other_are_refused_and_change_nothing() {
        let mut s = Settings::default();
        let e = s.flags("rto-max=1s,rto-min=2s").unwrap_err();
        assert_eq!(e, "rto-min: 2s is above rto-max, which is 1s");
        assert_eq!((s.tcp.rto_min, s.given.len()), (TcpConfig::default().rto_min, 0));
    }

    #[test]
    fn options_are_packetdrills() {
        let mut s = Settings::default();
        s.option("ip_version", Some("ipv6")).unwrap();
        assert!(s.local().is_ipv6() && s.remote().is_ipv6());
        let outside = "--mtu: expected a number from 68 to 65535, found \"12\"";
        assert_eq!(s.option("mtu", Some("12")), Err(outside.into()));
        assert!(s.option("mtu", Some("x")).is_err() && s.option("wire_client", None).is_err());
        s.flags("mtu=1400,layout=freebsd,quickack=0").unwrap();
        assert_eq!((s.mtu, s.tcp.quick_acks), (1_400, 0));
        assert!(s.flags("nonsense=1").is_err() && s.flags("x").is_err());
    }

    #[test]
    fn an_option_that_is_wrong_changes_nothing() {
        for (name, value) in [
            ("mtu", "0"),
            ("mtu", "99999999999"),
            ("tolerance_percent", "inf"),
            ("tolerance_percent", "NaN"),
            ("tolerance_usecs", "-1"),
            ("bind_port", "70000"),
            ("local_ip", "300.1.1.1"),
            ("non_fatal", "packet,x"),
            ("ip_version", "ipv5"),
            ("mss", "70000"),
            ("so_flags", "mtu=1400,nonsense=1"),
            ("strict_segments", "false"),
            ("tcp_ts_ecr_scaled", "no"),
            ("gateway_ip", "rubbish"),
            ("netmask_ip", ""),
            ("speed", "fast"),
            ("mss", "x"),
        ] {
            let mut s = Settings::default();
            let e = s.option(name, Some(value)).unwrap_err();
            assert!(e.starts_with(&format!("--{name}: ")) && e.lines().count() == 1, "{e}");
            assert_eq!(format!("{s:?}"), format!("{:?}", Settings::default()), "{name}={value}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_together_are_named() {
        let check = |options: &[(&str, &str)]| {
            let mut s = Settings::default();
            options.iter().for_each(|(n, v)| s.option(n, Some(v)).unwrap());
            s.check().map_err(|e| e.0)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("ip_version", "ipv4-mapped-ipv6"), ("local_ip", "192.168.0.9")]), Ok(()));
        assert_eq!(check(&[("ip_version", "ipv6"), ("local_ip", "192.168.0.1")]), Err("local_ip"));
        assert_eq!(check(&[("remote_ip", "2001:db8::7")]), Err("remote_ip"));
        assert_eq!(check(&[("remote_ip", "192.168.0.1")]), Err("remote_ip"));
        assert_eq!(check(&[("local_ip", "192.0.2.1")]), Err("local_ip"));
    }
}
