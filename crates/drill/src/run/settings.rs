//! What a script is run with: packetdrill's options, and the sysctls that scripts set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use synfin_stack::engine::config::WindowProbe;

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
            "mss" => self.tcp.mss = number(name, v)?,
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

    /// Takes `key=value,key=value` as the adapter does: `mtu`, `quickack`, and every setting of the engine.
    pub fn flags(&mut self, flags: &str) -> Result<(), String> {
        for part in flags.split(',').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("so_flags: {part:?} is not key=value"))?;
            match key {
                "mtu" => self.option("mtu", Some(value))?,
                "quickack" => self.tcp.set("quick-acks", value)?,
                _ => self.tcp.set(key, value)?,
            }
        }
        Ok(())
    }
}

/// Why a command of a script was not obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The runner does not know it.
    Unsupported(String),
    /// It is known and fails.
    Failed(String),
}

/// Obeys a shell command of a script as far as it concerns the stack: sysctls, and what needs nothing to be done.
pub(super) fn command(tcp: &mut TcpConfig, text: &str) -> Result<Duration, Refused> {
    let text = text.replace("\\\n", " ");
    let mut slept = Duration::ZERO;
    for line in text.split(['\n', ';']).flat_map(|l| l.split("&&")) {
        let line = line.split('#').next().unwrap_or("").trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        let program = first.rsplit('/').next().unwrap_or(first);
        match program {
            "true" | ":" => {}
            "false" => return Err(Refused::Failed("the command failed".into())),
            "defaults.sh" => defaults(tcp),
            "sysctl" | "set_sysctls.py" => {
                // A value may have blanks: `tcp_rmem="4096 131072 6291456"`.
                let settings = line.split_once(first).map_or("", |x| x.1);
                for (key, value) in assignments(settings) {
                    sysctl(tcp, &key, &value)?;
                }
            }
            "sysctl_restore.sh" | "echo" | "sync" => {}
            p if p.starts_with("sysctl_restore") => {}
            "tc" if line.contains("fq") => {}
            "sleep" => {
                let s: f64 = words.get(1).and_then(|s| s.parse().ok()).unwrap_or(0.0);
                slept += Duration::from_secs_f64(s.clamp(0.0, 86_400.0));
            }
            _ => return Err(Refused::Unsupported(format!("the command {program:?}"))),
        }
    }
    Ok(slept)
}

/// `key=value` pairs; a value may be quoted. Flags are passed over.
fn assignments(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let Some(eq) = rest[..end].find('=') else {
            rest = rest[end..].trim_start();
            continue;
        };
        let (key, value) = (&rest[..eq], &rest[eq + 1..]);
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(q) => value[1..].split_once(q).unwrap_or((&value[1..], "")),
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        let key = key.trim_start_matches(['"', '\'']).trim_start_matches("/proc/sys/").replace('/', ".");
        all.push((key, value.to_string()));
        rest = after.trim_start();
    }
    all
}

/// What the scripts of Google and of Linux begin with (their `defaults.sh`), where it differs from our defaults.
fn defaults(tcp: &mut TcpConfig) {
    tcp.rcv_buf_initial = 270_000; // tcp_rmem 540000, half of it for text
    tcp.rcv_buf_max = 15_728_640; // so that the window scale is 8
    tcp.snd_buf = 4_194_304;
    tcp.syn_retries = 5;
    tcp.synack_retries = 5;
    tcp.timestamps = true;
    tcp.sack = true;
    tcp.dsack = true;
    tcp.window_scaling = true;
    tcp.slow_start_limit = u8::MAX; // Linux counts all that is acknowledged
    tcp.window_probe = WindowProbe::Empty;
}

/// Sets what a sysctl of Linux stands for.
pub fn sysctl(tcp: &mut TcpConfig, key: &str, value: &str) -> Result<(), Refused> {
    let unsupported = |why: &str| Err(Refused::Unsupported(format!("{key}={value}{why}")));
    let Some(name) = key.strip_prefix("net.ipv4.") else {
        return if key.starts_with("net.core.") { Ok(()) } else { unsupported("") };
    };
    let third = |v: &str| v.split_whitespace().last().unwrap_or(v).to_string();
    let ms = |v: &str| format!("{v}ms");
    let s = |v: &str| format!("{v}s");
    let us = |v: &str| v.parse::<u64>().map_or_else(|_| v.to_string(), |n| format!("{}ms", n.div_ceil(1_000)));
    let on = |v: &str| if v == "0" { "off".to_string() } else { "on".to_string() };
    let plain = |v: &str| v.to_string();
    let (setting, value_of): (&str, String) = match name {
        "tcp_sack" => ("sack", on(value)),
        "tcp_dsack" => ("dsack", on(value)),
        "tcp_timestamps" => ("timestamps", on(value)),
        "tcp_window_scaling" => ("window-scaling", on(value)),
        "tcp_syn_retries" => ("syn-retries", plain(value)),
        "tcp_synack_retries" => ("synack-retries", plain(value)),
        "tcp_retries1" => ("retries1", plain(value)),
        "tcp_retries2" => ("retries2", plain(value)),
        "tcp_orphan_retries" => ("orphan-retries", if value == "0" { "8".into() } else { plain(value) }),
        "tcp_keepalive_time" => ("keepalive-idle", s(value)),
        "tcp_keepalive_intvl" => ("keepalive-interval", s(value)),
        "tcp_keepalive_probes" => ("keepalive-count", plain(value)),
        "tcp_fin_timeout" => ("fin-wait-2", s(value)),
        "tcp_rto_min_us" => ("rto-min", us(value)),
        "tcp_rto_max_ms" => ("rto-max", ms(value)),
        "tcp_min_snd_mss" => ("mss-min", plain(value)),
        "tcp_rfc1337" => ("rfc1337", on(value)),
        "tcp_invalid_ratelimit" => ("challenge-interval", ms(value)),
        "tcp_wmem" => ("snd-buf", third(value)),
        "tcp_rmem" => {
            let n: Vec<u32> = value.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            let [_, initial, max] = n[..] else { return unsupported(": three numbers are expected") };
            (tcp.rcv_buf_initial, tcp.rcv_buf_max) = (initial / 2, max);
            return Ok(());
        }
        // What is off, or as it is here anyway.
        "tcp_ecn" if matches!(value, "0" | "2") => return Ok(()),
        "tcp_slow_start_after_idle" if value == "1" => return Ok(()),
        "tcp_congestion_control" if value == "reno" => return Ok(()),
        "tcp_fastopen" if value == "0" => return Ok(()),
        "tcp_mtu_probing" | "tcp_shrink_window" | "tcp_migrate_req" | "tcp_fack" if value == "0" => return Ok(()),
        // How the kernel cuts and paces its super-segments, and what is logged: nothing of it is seen on the wire here.
        "tcp_tso_win_divisor"
        | "tcp_min_tso_segs"
        | "tcp_tso_rtt_log"
        | "tcp_limit_output_bytes"
        | "tcp_pacing_ss_ratio"
        | "tcp_pacing_ca_ratio"
        | "tcp_no_metrics_save"
        | "tcp_autocorking"
        | "tcp_moderate_rcvbuf"
        | "tcp_syncookies"
        | "tcp_abort_on_overflow"
        | "tcp_reordering"
        | "tcp_max_reordering"
        | "tcp_challenge_ack_limit"
        | "tcp_fastopen_key"
        | "tcp_fastopen_blackhole_timeout_sec" => return Ok(()),
        _ => return unsupported(""),
    };
    tcp.set(setting, &value_of).map_err(Refused::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_become_settings_and_unknown_ones_are_named() {
        let mut t = TcpConfig::default();
        let text = "./defaults.sh\n../x/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 \\\n  /proc/sys/net/ipv4/tcp_rto_min_us=300000 # why\nsysctl -q net.ipv4.tcp_rmem=\"4096 20000 40000\"";
        assert_eq!(command(&mut t, text), Ok(Duration::ZERO));
        assert_eq!((t.sack, t.rto_min, t.rcv_buf_max), (false, Duration::from_millis(300), 40_000));
        assert_eq!(
            command(&mut t, "sysctl -w net.ipv4.tcp_ecn=3"),
            Err(Refused::Unsupported("net.ipv4.tcp_ecn=3".into()))
        );
        assert!(matches!(command(&mut t, "iptables -F"), Err(Refused::Unsupported(_))));
        assert!(matches!(command(&mut t, "sysctl net.ipv4.tcp_syn_retries=999"), Err(Refused::Failed(_))));
        assert!(command(&mut t, "false").is_err());
        assert_eq!(command(&mut t, "sleep 0.5"), Ok(Duration::from_millis(500)));
    }

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
