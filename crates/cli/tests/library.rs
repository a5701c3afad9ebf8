//! Our scripts through packetdrill's C interface: `synfin drill --so_filename` with the library that synfin makes.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Scripts that rely on what the interface does not give, and pass without it: the clock creeps by a microsecond for each
/// look that packetdrill takes at it, and every address is ours, for the library is not told which are.
const NOT_THROUGH_IT: [(&str, &str); 26] = [
    ("closed/open-active-local.pkt", "an address that is not ours cannot be bound"),
    ("closing/segment-syn.pkt", "the initial sequence number by the microsecond (RFC 6528 3)"),
    ("last-ack/segment-syn.pkt", "the same"),
    ("rfc5961/peer-starts-anew.pkt", "the same"),
    ("time-wait/segment-syn-timestamp-new.pkt", "the same"),
    ("time-wait/segment-syn-timestamp-same.pkt", "the same"),
    ("time-wait/segment-syn-timestamp.pkt", "the same"),
    ("time-wait/segment-syn.pkt", "the same"),
    ("pmtu/frag-needed-karn.pkt", "a round trip by the microsecond"),
    ("retransmission/karn-timestamps.pkt", "the same"),
    ("retransmission/karn.pkt", "the same"),
    ("retransmission/rto-first-measurement.pkt", "the same"),
    ("retransmission/rto-next-measurement.pkt", "the same"),
    ("retransmission/timer-restarts.pkt", "the same"),
    ("congestion/hystart-five-conservative-rounds.pkt", "a round trip by the microsecond"),
    ("congestion/hystart-threshold-an-eighth.pkt", "a round trip by the microsecond"),
    ("congestion/hystart-threshold-at-least-4-ms.pkt", "a round trip by the microsecond"),
    ("congestion/hystart-threshold-at-most-16-ms.pkt", "a round trip by the microsecond"),
    ("fast-open/client-icmp.pkt", "ways rest by the namespace's tcp_fastopen_blackhole_timeout_sec: never"),
    ("fast-open/client-syn-lost.pkt", "ways rest by the namespace's tcp_fastopen_blackhole_timeout_sec: never"),
    ("fast-open/client-text-not-taken.pkt", "ways rest by the namespace's tcp_fastopen_blackhole_timeout_sec: never"),
    ("recovery/rack-after-a-timeout.pkt", "a round trip by the microsecond"),
    ("recovery/rack-least-round-trip-is-of-recent-times.pkt", "a round trip by the microsecond"),
    ("recovery/rack-times-are-finer-than-a-quarter-round-trip.pkt", "a round trip by the microsecond"),
    ("recovery/rack-window-bounded-by-srtt.pkt", "a round trip by the microsecond"),
    ("retransmission/restart-after-idle.pkt", "idle for exactly a timeout, and for a microsecond more"),
];

/// The engine's own settings, where the library takes those of the namespace or of Linux.
const OURS: &str = "congestion=cubic,window-probe=octet,slow-start-limit=8,rcv-buf-initial=131072,rcv-buf-max=6291456,snd-buf-max=4194304,rcv-window=linux";

fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let names = [deps.join("libsynfin_packetdrill.so"), deps.join("../libsynfin_packetdrill.so")];
    names.iter().find(|p| p.exists()).unwrap_or_else(|| panic!("no library in {}", deps.display())).clone()
}

fn drill(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synfin")).arg("drill").args(args).output().unwrap()
}

#[test]
fn our_scripts_pass_through_the_c_interface_too() {
    let (library, scripts) = (library(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts"));
    let root = scripts.to_string_lossy();
    let o = drill(&["--strict", "--so_filename", &library.to_string_lossy(), "--so_flags", OURS, &root]);
    let (out, err) = (String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
    if err.contains("no network namespace") {
        return eprintln!("left out: {err}");
    }
    let passed = out.lines().filter(|l| l.starts_with("PASS ")).count();
    let failed: BTreeSet<&str> = out
        .lines()
        .filter_map(|l| l.strip_prefix("FAIL ")?.strip_prefix(&*root)?.strip_prefix('/')?.split(' ').next())
        // Which AccECN options are sent is a sysctl of the namespace, and our default has no number there.
        .filter(|name| !name.starts_with("accecn/"))
        .collect();
    let expected: BTreeSet<&str> = NOT_THROUGH_IT.iter().map(|s| s.0).collect();
    assert_eq!(failed, expected, "{out}\n{err}");
    // AccECN is asked for by a sysctl of the namespace, whose values older kernels do not all take.
    let skipped = |l: &&str| l.starts_with("SKIP ") && !l.contains("/accecn/");
    assert_eq!(out.lines().find(skipped), None);
    assert!(passed > 500, "{passed} passed");
}

#[test]
fn what_is_wrong_with_the_library_is_one_clear_line() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts/closed/open-active.pkt");
    for (file, words) in
        [("/nowhere/at/all.so", "/nowhere/at/all.so: No such file"), ("/proc/version", "/proc/version:")]
    {
        let o = drill(&["--so_filename", file, &script.to_string_lossy()]);
        let err = String::from_utf8_lossy(&o.stderr);
        if err.contains("no network namespace") {
            return eprintln!("left out: {err}");
        }
        assert!(!o.status.success() && err.contains(words) && err.lines().count() == 1, "{err}");
    }
}
