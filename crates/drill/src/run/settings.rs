//! What a script is run with: packetdrill's options, and the settings of the engine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use synfin_stack::engine::TcpConfig;

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
            tcp: TcpConfig::default(),
            given: Vec::new(),
            fixed: Vec::new(),
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("--{name}: cannot read {value:?}"))
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

    /// Takes one of packetdrill's options. The error is one line.
    pub fn option(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let v = value.unwrap_or("");
        match name {
            "ip_version" => {
                self.ip_version = match v {
                    "ipv4" => IpVersion::V4,
                    "ipv6" => IpVersion::V6,
                    "ipv4-mapped-ipv6" => IpVersion::Mapped,
                    _ => return Err(format!("--ip_version: {v:?} is none of ipv4, ipv6, ipv4-mapped-ipv6")),
                }
            }
            "local_ip" => self.local_ip = Some(number(name, v)?),
            "remote_ip" => self.remote_ip = Some(number(name, v)?),
            "bind_port" => self.bind_port = number(name, v)?,
            "connect_port" => self.connect_port = number(name, v)?,
            "tolerance_usecs" => self.tolerance_usecs = number(name, v)?,
            "tolerance_percent" => self.tolerance_percent = number(name, v)?,
            "mtu" => {
                self.mtu = number(name, v)?;
                if !(68..=65_535).contains(&self.mtu) {
                    return Err(format!("--mtu: {v} is outside 68..=65535"));
                }
            }
            "mss" => self.tcp("mss", v)?,
            "tcp_ts_tick_usecs" => self.ts_tick_usecs = number(name, v)?,
            "tcp_ts_ecr_scaled" => self.ecr_scaled = true,
            "strict_segments" => self.strict_segments = true,
            "strict" => self.strict = true,
            "non_fatal" => {
                for what in v.split(',') {
                    match what {
                        "packet" => self.non_fatal.0 = true,
                        "syscall" | "syscalls" => self.non_fatal.1 = true,
                        _ => return Err(format!("--non_fatal: {what:?} is neither packet nor syscall")),
                    }
                }
            }
            "so_flags" => self.flags(v)?,
            // They say how the original reaches the kernel, or what it prints.
            "gateway_ip" | "netmask_ip" | "speed" | "is_anyip" | "init_scripts" | "define" | "verbose" | "debug"
            | "dry_run" | "local" | "so_filename" | "persistent_tun_dev" | "send_omit_free" | "code_command"
            | "code_format" | "code_sockopt" => {}
            _ => return Err(format!("--{name} has no meaning here: there is no second machine")),
        }
        Ok(())
    }

    /// A setting of the engine, by its name.
    pub fn tcp(&mut self, key: &str, value: &str) -> Result<(), String> {
        self.tcp.set(key, value)?;
        self.given.push(format!("{key}={value}"));
        Ok(())
    }

    /// Takes `key=value,key=value` as the adapter does: `mtu`, `local_ip`, `quickack`, and every setting of the engine.
    pub fn flags(&mut self, flags: &str) -> Result<(), String> {
        for part in flags.split(',').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("so_flags: {part:?} is not key=value"))?;
            match key {
                "mtu" | "local_ip" => self.option(key, Some(value))?,
                "quickack" => self.tcp("quick-acks", value)?,
                _ => self.tcp(key, value)?,
            }
        }
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
    fn options_are_packetdrills() {
        let mut s = Settings::default();
        s.option("ip_version", Some("ipv6")).unwrap();
        assert!(s.local().is_ipv6() && s.remote().is_ipv6());
        assert_eq!(s.option("mtu", Some("12")), Err("--mtu: 12 is outside 68..=65535".into()));
        assert!(s.option("mtu", Some("x")).is_err() && s.option("wire_client", None).is_err());
        s.flags("mtu=1400,layout=freebsd,quickack=0").unwrap();
        assert_eq!((s.mtu, s.tcp.quick_acks), (1_400, 0));
        assert!(s.flags("nonsense=1").is_err() && s.flags("x").is_err());
    }
}
