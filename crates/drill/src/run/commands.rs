//! The shell commands of scripts, as far as they concern the stack: sysctls, and what needs nothing to be done.

use std::time::Duration;

/// Why a command of a script was not obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The runner does not know it.
    Unsupported(String),
    /// It is known and fails.
    Failed(String),
}

impl Refused {
    /// It is a setting of the host, which already runs.
    pub(super) fn too_late(key: &str, value: &str) -> Refused {
        Refused::Unsupported(format!("{key}={value} after the first socket: it is a setting of the whole host"))
    }
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// A sysctl: its name with dots, and the value.
    Sysctl(String, String),
    /// What is not said by sysctls is to be as Linux has it.
    LikeLinux,
    /// Time passes.
    Sleep(Duration),
}

/// What a shell command asks for, in order.
pub(super) fn effects(text: &str) -> Result<Vec<Effect>, Refused> {
    let text = text.replace("\\\n", " ");
    let mut all = Vec::new();
    for line in text.split(['\n', ';']).flat_map(|l| l.split("&&")) {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(c) = line.chars().find(|c| ">|$<&".contains(*c)) {
            return Err(Refused::Unsupported(format!("{c:?} in a command")));
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first() else { continue };
        let program = first.rsplit('/').next().unwrap_or(first);
        match program {
            "true" | ":" => {}
            "false" => return Err(Refused::Failed("the command failed".into())),
            "defaults.sh" => {
                all.extend(DEFAULTS.iter().map(|(k, v)| Effect::Sysctl(format!("net.ipv4.{k}"), (*v).to_string())));
                all.push(Effect::LikeLinux);
            }
            "sysctl" | "set_sysctls.py" => {
                // A value may have blanks: `tcp_rmem="4096 131072 6291456"`.
                let settings = assignments(line.split_once(first).map_or("", |x| x.1));
                if settings.is_empty() {
                    return Err(Refused::Unsupported(format!("{line:?}: no key=value")));
                }
                all.extend(settings.into_iter().map(|(k, v)| Effect::Sysctl(k, v)));
            }
            "sysctl_restore.sh" | "echo" | "sync" => {}
            p if p.starts_with("sysctl_restore") => {}
            // The discipline that only paces: nothing of it is seen here.
            "tc" if words.contains(&"fq") && !words.contains(&"netem") => {}
            "sleep" => {
                let s = words.get(1).and_then(|s| s.parse::<f64>().ok()).filter(|s| (0.0..=86_400.0).contains(s));
                let s = s.ok_or_else(|| Refused::Failed(format!("{line:?}: expected seconds, at most a day")))?;
                all.push(Effect::Sleep(Duration::from_secs_f64(s)));
            }
            _ => return Err(Refused::Unsupported(format!("the command {program:?}"))),
        }
    }
    Ok(all)
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

/// What the scripts of Google and of Linux begin with (their `defaults.sh`), where it differs from our defaults and there
/// is a setting for it. It also asks for CUBIC, RACK and TLP, and for no restart after idle time: a script that
/// sees one of them fails here, as it does on any stack without; it is not skipped, for most see none of them.
const DEFAULTS: &[(&str, &str)] = &[
    // Half of the second is for text; the third makes the window scale 8.
    ("tcp_rmem", "4096 540000 15728640"),
    ("tcp_wmem", "4096 20000 4194304"),
    ("tcp_syn_retries", "5"),
    ("tcp_synack_retries", "5"),
    ("tcp_timestamps", "1"),
    ("tcp_sack", "1"),
    ("tcp_dsack", "1"),
    ("tcp_ecn", "0"),
    ("tcp_ecn_option", "2"),
    ("tcp_window_scaling", "1"),
    ("tcp_congestion_control", "cubic"),
    ("tcp_slow_start_after_idle", "0"),
    ("tcp_fastopen", "0x70403"),
    ("tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"),
];

#[cfg(test)]
mod tests {
    use super::super::sysctls::sysctl;
    use super::*;
    use synfin_stack::engine::TcpConfig;
    use synfin_stack::engine::config::SynCookies;
    use synfin_stack::engine::ecn::{OptionPolicy, Use};

    fn obey(tcp: &mut TcpConfig, text: &str) -> Result<Duration, Refused> {
        let mut slept = Duration::ZERO;
        for e in effects(text)? {
            match e {
                Effect::Sysctl(key, value) => sysctl(tcp, &key, &value)?,
                Effect::LikeLinux => {}
                Effect::Sleep(d) => slept += d,
            }
        }
        Ok(slept)
    }

    #[test]
    fn sysctls_become_settings_and_unknown_ones_are_named() {
        let mut t = TcpConfig::default();
        let text = "./defaults.sh\n../x/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 \\\n  /proc/sys/net/ipv4/tcp_rto_min_us=300000 # why\nsysctl -q net.ipv4.tcp_rmem=\"4096 20000 40000\"";
        assert_eq!(obey(&mut t, text), Ok(Duration::ZERO));
        assert_eq!((t.sack, t.rto_min, t.rcv_buf_max), (false, Duration::from_millis(300), 40_000));
        assert_eq!(
            obey(&mut t, "sysctl -w net.ipv4.tcp_ecn=3 net.ipv4.tcp_ecn_fallback=0"),
            Err(Refused::Unsupported(
                "net.ipv4.tcp_ecn_fallback=0: only 1 is what happens here (a SYN that is not answered goes again without ECN)".into()
            ))
        );
        assert_eq!(obey(&mut t, "sysctl -w net.ipv4.tcp_ecn=3 net.ipv4.tcp_ecn_option=0"), Ok(Duration::ZERO));
        assert_eq!((t.ecn, t.accecn_option), (Use::AccEcn, OptionPolicy::Off));
        assert_eq!(obey(&mut t, "sysctl -q net.ipv4.tcp_syncookies=2"), Ok(Duration::ZERO));
        assert_eq!(t.syn_cookies, SynCookies::Always);
        assert!(matches!(obey(&mut t, "iptables -F"), Err(Refused::Unsupported(_))));
        assert!(matches!(obey(&mut t, "sysctl net.ipv4.tcp_syn_retries=999"), Err(Refused::Failed(_))));
        assert!(obey(&mut t, "false").is_err());
        assert_eq!(obey(&mut t, "sleep 0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["sleep nan", "sleep 1m", "sleep", "sleep -1"] {
            assert!(matches!(obey(&mut t, wrong), Err(Refused::Failed(_))), "{wrong}");
        }
        for not_here in [
            "echo 0 > /proc/sys/net/ipv4/tcp_timestamps",
            "echo x | grep -q y",
            "sysctl -q net.ipv4.tcp_timestamps 0",
            "tc qdisc replace dev tun0 root netem delay 1s fqx",
            "sysctl -q net.ipv4.tcp_migrate_req=1",
            "sysctl -q net.ipv4.tcp_abort_on_overflow=1",
        ] {
            assert!(matches!(obey(&mut t, not_here), Err(Refused::Unsupported(_))), "{not_here}");
        }
    }
}
