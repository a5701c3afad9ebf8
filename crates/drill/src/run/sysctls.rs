//! What each sysctl of Linux's stands for here: one table, for the scripts of the runner and for the namespace of the
//! adapter alike.
//!
//! A script that sets what is not there cannot be judged: it is skipped, with the sysctl and the reason. So a value is
//! accepted only if it is a setting of ours, or what happens here anyway, or if no script can see it.

use super::commands::Refused;
use synfin_stack::engine::TcpConfig;

/// What a sysctl stands for.
enum Meaning {
    /// A setting, whose value is one of these words by the sysctl's number; and the greatest number that Linux takes.
    Word(&'static str, &'static [(u64, &'static str)], u64),
    /// A setting that is a number, or a time of which the unit is said.
    Number(&'static str, &'static str),
    /// The setting `congestion`: an algorithm by its name.
    Congestion,
    /// The setting `rto-min`, from microseconds.
    RtoMin,
    /// The setting `orphan-retries`, where 0 stands for 8.
    OrphanRetries,
    /// The setting `fastopen`: its bits, of which some are nobody's.
    FastOpen,
    /// The setting `mtu-raise`, in seconds, which is not below the least of RFC 4821 7.3.
    ProbeInterval,
    /// The receive buffer at first and at most: the second of three numbers, half of which is for text, and the third.
    ReceiveBuffer,
    /// The send buffer: the third of three numbers.
    SendBuffer,
    /// No setting: only these values are what happens here, and why.
    Only(&'static [&'static str], &'static str),
    /// No setting: a limit that is not there; from this number on no script reaches it.
    AtLeast(u64, &'static str),
    /// No setting: a number whose effect no script can see.
    Unseen,
    /// Likewise, a text.
    UnseenText,
}

use Meaning::*;

/// The greatest number in an octet.
const OCTET: u64 = 255;

const FLAG: &[(u64, &str)] = &[(0, "off"), (1, "on")];
/// 2 only leaves out a random offset, and scripts see differences of timestamps.
const TIMESTAMPS: &[(u64, &str)] = &[(0, "off"), (1, "on"), (2, "on")];

/// What is asked for and granted; and when acknowledgments carry an AccECN option.
const ECN: &[(u64, &str)] =
    &[(0, "off"), (1, "rfc3168"), (2, "accept"), (3, "accecn"), (4, "rfc3168-accept-accecn"), (5, "accept-accecn")];
const MTU_PROBING: &[(u64, &str)] = &[(0, "off"), (1, "auto"), (2, "on")];
const ECN_OPTION: &[(u64, &str)] = &[(0, "off"), (1, "changed"), (2, "full"), (3, "persist")];

/// The sysctls that are known, by their names below `net.`.
const TABLE: &[(&str, Meaning)] = &[
    ("ipv4.tcp_sack", Word("sack", FLAG, OCTET)),
    ("ipv4.tcp_dsack", Word("dsack", FLAG, OCTET)),
    ("ipv4.tcp_timestamps", Word("timestamps", TIMESTAMPS, OCTET)),
    ("ipv4.tcp_window_scaling", Word("window-scaling", FLAG, OCTET)),
    ("ipv4.tcp_syn_retries", Number("syn-retries", "")),
    ("ipv4.tcp_synack_retries", Number("synack-retries", "")),
    ("ipv4.tcp_syncookies", Word("syn-cookies", &[(0, "off"), (1, "overflow"), (2, "always")], OCTET)),
    ("ipv4.tcp_retries1", Number("retries1", "")),
    ("ipv4.tcp_retries2", Number("retries2", "")),
    ("ipv4.tcp_orphan_retries", OrphanRetries),
    ("ipv4.tcp_keepalive_time", Number("keepalive-idle", "s")),
    ("ipv4.tcp_keepalive_intvl", Number("keepalive-interval", "s")),
    ("ipv4.tcp_keepalive_probes", Number("keepalive-count", "")),
    ("ipv4.tcp_fin_timeout", Number("fin-wait-2", "s")),
    ("ipv4.tcp_rto_min_us", RtoMin),
    ("ipv4.tcp_rto_max_ms", Number("rto-max", "ms")),
    ("ipv4.tcp_min_snd_mss", Number("mss-min", "")),
    ("ipv4.tcp_rfc1337", Word("rfc1337", FLAG, OCTET)),
    ("ipv4.tcp_invalid_ratelimit", Number("challenge-interval", "ms")),
    ("ipv4.tcp_congestion_control", Congestion),
    ("ipv4.tcp_slow_start_after_idle", Word("idle-restart", &[(0, "keep"), (1, "restart")], OCTET)),
    ("ipv4.tcp_no_metrics_save", Word("share-path", &[(0, "on"), (1, "off")], OCTET)),
    ("ipv4.tcp_recovery", Word("rack", &[(0, "off"), (1, "on")], OCTET)),
    ("ipv4.tcp_early_retrans", Word("tlp", &[(0, "off"), (1, "off"), (2, "off"), (3, "on"), (4, "on")], 4)),
    ("ipv4.tcp_frto", Word("frto", &[(0, "off"), (1, "on"), (2, "on")], OCTET)),
    ("ipv4.tcp_rmem", ReceiveBuffer),
    ("ipv4.tcp_wmem", SendBuffer),
    ("ipv4.tcp_ecn", Word("ecn", ECN, 5)),
    ("ipv4.tcp_ecn_option", Word("accecn-option", ECN_OPTION, 3)),
    ("ipv4.tcp_ecn_option_beacon", Number("accecn-beacon", "")),
    ("ipv4.tcp_syn_linear_timeouts", Number("syn-linear", "")),
    ("ipv4.tcp_mtu_probing", Word("mtu-probing", MTU_PROBING, OCTET)),
    ("ipv4.tcp_base_mss", Number("mtu-base", "")),
    ("ipv4.tcp_mtu_probe_floor", Number("mtu-floor", "")),
    ("ipv4.tcp_probe_threshold", Number("mtu-threshold", "")),
    ("ipv4.tcp_probe_interval", ProbeInterval),
    ("ipv4.tcp_fastopen", FastOpen),
    ("ipv4.tcp_fastopen_blackhole_timeout_sec", Number("fastopen-blackhole", "s")),
    // What is there is off, or as it is in one case.
    ("ipv4.tcp_ecn_fallback", Only(&["1"], "a SYN that is not answered goes again without ECN")),
    ("ipv4.tcp_reordering", Only(&["3"], "three duplicate acknowledgments, RFC 5681 3.2")),
    ("ipv4.tcp_max_reordering", Only(&["300"], "the threshold does not adapt")),
    ("ipv4.tcp_moderate_rcvbuf", Only(&["1"], "the receive buffer grows")),
    ("ipv4.tcp_abort_on_overflow", Only(&["0"], "what a full queue does not take is not reset")),
    ("ipv4.tcp_shrink_window", Only(&["0"], "a window never shrinks, RFC 9293 3.8.6 SHLD-14")),
    ("ipv4.tcp_migrate_req", Only(&["0"], "a request stays with its listener")),
    // One interval for each connection, and no limit for the whole host: no script provokes that many in a second.
    ("ipv4.tcp_challenge_ack_limit", AtLeast(1_000, "the host as a whole has no limit")),
    // No script listens with a backlog above it.
    ("core.somaxconn", AtLeast(4_096, "a backlog is not cut")),
    // No effect in Linux either, since 4.15.
    ("ipv4.tcp_fack", Unseen),
    // How the kernel cuts its super-segments, whose pieces are put together before they are compared, and by how much it paces
    // beyond what its algorithm asks for.
    ("ipv4.tcp_tso_win_divisor", Unseen),
    ("ipv4.tcp_min_tso_segs", Unseen),
    ("ipv4.tcp_tso_rtt_log", Unseen),
    ("ipv4.tcp_limit_output_bytes", Unseen),
    ("ipv4.tcp_pacing_ss_ratio", Unseen),
    ("ipv4.tcp_pacing_ca_ratio", Unseen),
    // Small segments wait for a device that is busy, which this link never is.
    ("ipv4.tcp_autocorking", Unseen),
    // The host's: see [`fast_open_keys`].
    ("ipv4.tcp_fastopen_key", UnseenText),
    // The queue before the link, which never holds anything.
    ("core.default_qdisc", UnseenText),
];

/// Those that the whole host obeys from when it is made.
pub(super) const HOST_SYSCTLS: &[&str] = &["net.ipv4.tcp_rfc1337"];

fn meaning(key: &str) -> Option<&'static Meaning> {
    let name = key.strip_prefix("net.")?;
    TABLE.iter().find(|row| row.0 == name).map(|row| &row.1)
}

/// Whether a sysctl stands for a setting of ours.
pub(super) fn is_setting(key: &str) -> bool {
    meaning(key).is_some_and(|m| !matches!(m, Only(..) | AtLeast(..) | Unseen | UnseenText))
}

/// Names below `net.ipv4.` of those that do.
pub(crate) fn settings_by_sysctl() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter_map(|row| row.0.strip_prefix("ipv4.")).filter(|n| is_setting(&format!("net.ipv4.{n}")))
}

/// Sets what a sysctl of Linux stands for. What is malformed fails; what is not there is not supported.
pub(crate) fn sysctl(tcp: &mut TcpConfig, key: &str, value: &str) -> Result<(), Refused> {
    let unsupported = |why: &str| Err(Refused::Unsupported(format!("{key}={value}{why}")));
    let malformed = |what: String| Err(Refused::Failed(format!("{key}={value}: expected {what}")));
    let number = parse(value);
    let Some(meaning) = meaning(key) else { return unsupported("") };
    let (setting, v) = match meaning {
        Word(setting, words, most) => {
            let all = words.iter().map(|w| w.0.to_string()).collect::<Vec<_>>().join(" or ");
            match words.iter().find(|w| Some(w.0) == number) {
                Some(w) => (*setting, w.1.to_string()),
                None if number.is_some_and(|n| n <= *most) => {
                    return unsupported(&format!(": only {all} means something here"));
                }
                None => return malformed(all),
            }
        }
        Number(setting, unit) => match number {
            Some(n) => (*setting, format!("{n}{unit}")),
            None => return malformed("a number".into()),
        },
        Congestion => match tcp.clone().set("congestion", value) {
            Ok(()) => ("congestion", value.to_string()),
            Err(_) => return unsupported(": there is no such algorithm here"),
        },
        RtoMin => match number {
            Some(us) => ("rto-min", format!("{}ms", us.div_ceil(1_000))),
            None => return malformed("a number".into()),
        },
        OrphanRetries => match number {
            Some(n) => ("orphan-retries", if n == 0 { "8".into() } else { n.to_string() }),
            None => return malformed("a number".into()),
        },
        FastOpen => match number {
            Some(n) => ("fastopen", (n & FAST_OPEN_BITS).to_string()),
            None => return malformed("a number".into()),
        },
        ProbeInterval => match number {
            Some(n) if n < 300 => return unsupported(": at least 300 is what happens here (RFC 4821 7.3)"),
            Some(n) => ("mtu-raise", format!("{n}s")),
            None => return malformed("a number".into()),
        },
        SendBuffer => match three(value) {
            Some([_, _, most]) => ("snd-buf-max", most.to_string()),
            None => return malformed("three numbers".into()),
        },
        ReceiveBuffer => {
            let Some([_, first, most]) = three(value) else { return malformed("three numbers".into()) };
            let mut new = tcp.clone();
            let set = new
                .set("rcv-buf-initial", &(first / 2).to_string())
                .and_then(|()| new.set("rcv-buf-max", &most.to_string()));
            return match set {
                Ok(()) => {
                    *tcp = new;
                    Ok(())
                }
                Err(e) => unsupported(&format!(": {e}")),
            };
        }
        Only(values, why) => {
            let same = |v: &&str| *v == value || number.is_some() && parse(v) == number;
            let numbers = values.iter().all(|v| parse(v).is_some());
            return match values.iter().any(same) {
                true => Ok(()),
                false if numbers && number.is_none() => malformed("a number".into()),
                false => {
                    let all = one_of(values.iter().copied());
                    unsupported(&format!(": only {all} is what happens here ({why})"))
                }
            };
        }
        AtLeast(least, why) => {
            return match number {
                Some(n) if n >= *least => Ok(()),
                Some(_) => unsupported(&format!(": at least {least} is what happens here ({why})")),
                None => malformed("a number".into()),
            };
        }
        Unseen => return if number.is_some() { Ok(()) } else { malformed("a number".into()) },
        UnseenText => return Ok(()),
    };
    tcp.set(setting, &v).map_err(|e| Refused::Failed(format!("{key}={value}: {e}")))
}

/// The bits of `tcp_fastopen` that mean something: 0x1, 0x2, 0x4, 0x200, 0x400.
const FAST_OPEN_BITS: u64 = 0x607;

/// A key of Fast Open, and perhaps the one before it.
pub(crate) type FastOpenKeys = ([u8; 16], Option<[u8; 16]>);

/// The keys of `tcp_fastopen_key`: one of four words of up to eight hexadecimal digits, or two with a comma between.
pub(crate) fn fast_open_keys(value: &str) -> Option<FastOpenKeys> {
    let one = |s: &str| {
        let words: Option<Vec<u32>> = s.trim().split('-').map(|w| u32::from_str_radix(w, 16).ok()).collect();
        let words: [u32; 4] = words?.try_into().ok()?;
        let mut key = [0; 16];
        key.chunks_exact_mut(4).zip(words).for_each(|(out, w)| out.copy_from_slice(&w.to_le_bytes()));
        Some(key)
    };
    match value.split_once(',') {
        Some((key, previous)) => Some((one(key)?, Some(one(previous)?))),
        None => Some((one(value)?, None)),
    }
}

/// A number as the kernel reads it: decimal, hexadecimal after `0x`, octal after `0`.
fn parse(value: &str) -> Option<u64> {
    let (digits, radix) = match value.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if value.starts_with('0') => (value, 8),
        None => (value, 10),
    };
    u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

fn three(value: &str) -> Option<[u64; 3]> {
    let all: Option<Vec<u64>> = value.split_whitespace().map(parse).collect();
    all?.try_into().ok()
}

fn one_of<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn set(key: &str, value: &str) -> Result<TcpConfig, Refused> {
        let mut t = TcpConfig::default();
        let r = sysctl(&mut t, key, value);
        assert!(
            r.is_ok() || format!("{t:?}") == format!("{:?}", TcpConfig::default()),
            "{key}={value} changed nothing"
        );
        r.map(|()| t)
    }

    #[test]
    fn what_does_not_happen_here_is_skipped_and_what_is_malformed_fails() {
        for (name, value) in [
            ("core.somaxconn", "1"),
            ("core.rmem_max", "2304"),
            ("ipv4.tcp_moderate_rcvbuf", "0"),
            ("ipv4.tcp_reordering", "5"),
            ("ipv4.tcp_max_reordering", "1"),
            ("ipv4.tcp_challenge_ack_limit", "1"),
            ("ipv4.tcp_probe_interval", "299"),
            ("ipv4.tcp_congestion_control", "vegas"),
            ("ipv4.tcp_nothing_like_this", "1"),
            // Linux takes these, and they mean something else there.
            ("ipv4.tcp_recovery", "3"),
            ("ipv4.tcp_sack", "2"),
            ("ipv4.tcp_timestamps", "3"),
            ("ipv4.tcp_mtu_probing", "255"),
            ("ipv4.tcp_rmem", "4096 1 15728640"),
        ] {
            let r = set(&format!("net.{name}"), value);
            assert!(matches!(r, Err(Refused::Unsupported(ref w)) if w.contains(name)), "{name}={value}: {r:?}");
        }
        for (name, value) in [
            ("tcp_sack", "banana"),
            ("tcp_fastopen", "banana"),
            ("tcp_sack", "256"),
            ("tcp_sack", "08"),
            ("tcp_early_retrans", "5"),
            ("tcp_ecn", "6"),
            ("tcp_ecn_option", "4"),
            ("tcp_mtu_probing", "256"),
            ("tcp_base_mss", "47"),
            ("tcp_probe_interval", "x"),
            ("tcp_timestamps", "-1"),
            ("tcp_syn_retries", "999"),
            ("tcp_syn_retries", "x"),
            ("tcp_rmem", "4096 540000"),
            ("tcp_wmem", "1 2 x"),
            ("tcp_reordering", "x"),
            ("tcp_min_tso_segs", "x"),
            ("tcp_rfc1337", ""),
        ] {
            let r = set(&format!("net.ipv4.{name}"), value);
            assert!(matches!(r, Err(Refused::Failed(ref w)) if w.contains(name)), "{name}={value}: {r:?}");
        }
    }

    #[test]
    fn what_happens_here_or_is_a_setting_is_obeyed() {
        for (name, value) in [
            ("ipv4.tcp_reordering", "3"),
            ("ipv4.tcp_fastopen", "0x0"),
            ("ipv4.tcp_min_tso_segs", "10"),
            ("core.somaxconn", "65535"),
        ] {
            assert!(set(&format!("net.{name}"), value).is_ok(), "{name}={value}");
        }
        for (name, value) in
            [("tcp_recovery", "0x0"), ("tcp_early_retrans", "2"), ("tcp_sack", "00"), ("tcp_timestamps", "0x0")]
        {
            let t = set(&format!("net.ipv4.{name}"), value).unwrap();
            let off = [t.rack, t.tlp, t.sack, t.timestamps].iter().filter(|on| !**on).count();
            assert_eq!(off, 1, "{name}={value}");
        }
        assert!(set("net.ipv4.tcp_recovery", "0x1").unwrap().rack && set("net.ipv4.tcp_sack", "01").unwrap().sack);
        assert_eq!(set("net.ipv4.tcp_fastopen", "0x70403").unwrap().fastopen, 0x403);
        let keys = fast_open_keys("a1a1a1a1-b2b2b2b2-c3c3c3c3-00000004,0-0-0-1").unwrap();
        assert_eq!((keys.0[0], keys.0[12], keys.1.unwrap()[12]), (0xa1, 4, 1));
        assert!(["", "1-2-3", "1-2-3-4-5", "1-2-3-x", "1-2-3-4,"].iter().all(|s| fast_open_keys(s).is_none()));
        assert!(!set("net.ipv4.tcp_rfc1337", "0").unwrap().rfc1337);
        assert_eq!(set("net.ipv4.tcp_rto_min_us", "1500").unwrap().rto_min, Duration::from_millis(2));
        assert_eq!(set("net.ipv4.tcp_orphan_retries", "0").unwrap().orphan_retries, 8);
        assert_eq!(set("net.ipv4.tcp_probe_interval", "300").unwrap().mtu_raise, Duration::from_secs(300));
        assert_eq!(set("net.ipv4.tcp_base_mss", "512").unwrap().mtu_base, 512);
        // As the kernel prints them.
        assert_eq!(set("net.ipv4.tcp_rmem", "4096\t131072\t6291456").unwrap().rcv_buf_initial, 65_536);
    }

    #[test]
    fn the_adapter_reads_every_sysctl_that_is_a_setting() {
        let all: Vec<&str> = settings_by_sysctl().collect();
        for name in ["tcp_sack", "tcp_rmem", "tcp_rfc1337", "tcp_invalid_ratelimit"] {
            assert!(all.contains(&name), "{name}");
        }
        assert!(!all.contains(&"tcp_reordering"));
        // Linux's names in the list of settings are those of the table.
        for s in TcpConfig::settings().iter().filter(|s| s.linux.starts_with("tcp_")) {
            let name = s.linux.split(['[', ':']).next().unwrap_or_default();
            assert!(all.contains(&name), "{} is {}", s.key, s.linux);
        }
    }
}
