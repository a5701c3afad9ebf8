//! The program as a user runs it.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn synfin(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synfin")).args(args).output().expect("the program starts")
}

fn stdout(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned()
}

#[test]
fn mistakes_get_one_clear_line_and_the_right_code() {
    for (args, code, words) in [
        (&["demo", "--scene", "nonsense"][..], 2, "[possible values: all, curl"),
        (&["demo", "--backend", "memory", "--pcap", "/nowhere/x"], 1, "/nowhere/x: No such file"),
        (&["demo", "--nonsense"], 2, "unexpected argument"),
        (&[], 2, "Usage"),
        (&["sim", "bulk", "--seed", "1", "--pcap", "/nowhere/x"], 1, "/nowhere/x: No such file"),
        (&["sim", "bulk", "--seed", "1", "--pcap", "/dev/full"], 1, "/dev/full: No space left"),
        (
            &["demo", "--backend", "memory", "--scene", "no-answer", "--pcap", "/dev/full"],
            1,
            "/dev/full: No space left",
        ),
        (&["sim", "bulk", "--pcap", "/nowhere/x"], 2, "--seed <SEED>"),
        (&["sim", "bulk", "--seeds", "0"], 2, "0 is not in 1.."),
        (&["sim"], 2, "<SCENARIO.toml>"),
        (&["sim", "/nowhere/x.toml"], 1, "/nowhere/x.toml: No such file"),
        (&["sim", "../../Cargo.toml"], 1, "../../Cargo.toml: line "),
        (&["sim", "../../scenarios/bulk.toml", "--svg", "/nowhere/x"], 1, "/nowhere/x: No such file"),
        (&["sim", "../../scenarios/burst-loss.toml", "--pcap", "/dev/full"], 1, "/dev/full: No space left"),
        (&["sim", "../../scenarios/burst-loss.toml", "--svg", "/dev/full"], 1, "/dev/full: No space left"),
        (&["sim", "table", "--algorithm", "hope"], 2, "--algorithm: there are tables of reno"),
        (&["sim", "bulk", "--seeds", "3", "--pcap", "/nowhere/x"], 2, "cannot be used with"),
        (&["sim", "bulk", "--from", "3", "--pcap", "/nowhere/x"], 2, "cannot be used with"),
        (
            &["sim", "bulk", "--from", "18446744073709551615", "--seeds", "3"],
            2,
            "the last seed is 18446744073709551615",
        ),
    ] {
        let o = synfin(args);
        let err = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
        assert!(code == 2 || err.lines().count() == 1, "{args:?}: {err}");
        assert!(!err.contains("panicked"));
    }
}

#[test]
fn a_seed_says_in_words_what_it_decides() {
    let o = synfin(&["sim", "bulk", "--seed", "4711"]);
    let lines: Vec<String> = stdout(&o).lines().map(str::to_string).collect();
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    assert_eq!(lines[0], "seed 4711: 39907 octets one way, 165037 the other, over IPv4");
    assert!(lines[2].starts_with("link, each way: delay 18.744 ms, 48.9 Mbit/s, "), "{lines:?}");
    assert!(lines[3].starts_with("TCP: ") && lines[3].contains(" timestamps=off "), "{lines:?}");
    assert!(lines[5].ends_with(" s of virtual time") && lines.len() == 6, "{lines:?}");
    assert!(lines.iter().all(|l| !l.contains(['{', '}'])), "{lines:?}");
}

#[test]
fn the_scenes_are_listed_for_machines_too() {
    let o = synfin(&["demo", "--list", "--json"]);
    let all: Vec<serde_json::Value> = stdout(&o).lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    let words = stdout(&synfin(&["demo", "--list"]));
    assert!(all.len() > 5 && all.len() == words.lines().count());
    for (o, line) in all.iter().zip(words.lines()) {
        assert!(line.starts_with(&format!("{} ", o["scene"].as_str().unwrap())), "{o}: {line}");
        assert_eq!(o["default"], !line.ends_with("(not played by default)"), "{o}: {line}");
    }
}

#[test]
fn the_last_seed_is_a_seed() {
    let o = synfin(&["sim", "bulk", "--from", "18446744073709551615", "--seeds", "1"]);
    assert!(o.status.success() && stdout(&o).starts_with("1 seeds"), "{}", String::from_utf8_lossy(&o.stderr));
}

const WRITERS: &[&[&str]] = &[
    &["demo", "--list"],
    &["demo", "--backend", "memory", "--scene", "no-answer"],
    &["demo", "--backend", "memory", "--scene", "no-answer", "--json"],
    &["sim", "bulk", "--seed", "7"],
    &["sim", "bulk", "--seeds", "1"],
    &["sim", "../../scenarios/burst-loss.toml"],
    &["sim", "../../scenarios/burst-loss.toml", "--json"],
    &["states"],
    &["states", "--diagram"],
    &["states", "--json"],
    &["settings"],
];

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for args in WRITERS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let o = Command::new(env!("CARGO_BIN_EXE_synfin")).args(*args).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&o.stderr);
        assert!(o.status.success() && err.is_empty(), "{args:?}: {} {err}", o.status);
    }
}

#[test]
fn a_full_disk_gets_one_clear_line() {
    for args in WRITERS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let o = Command::new(env!("CARGO_BIN_EXE_synfin")).args(*args).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(1), "{args:?}: {err}");
        assert_eq!(err, "synfin: standard output: No space left on device (os error 28)\n", "{args:?}");
    }
}

#[test]
fn where_errors_cannot_be_written_the_exit_status_tells() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut c = Command::new(env!("CARGO_BIN_EXE_synfin"));
    let status = c.args(["demo", "--backend", "memory", "--pcap", "/nowhere/x"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_scenario_is_told_in_every_form() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (svg, pcap) = (dir.join("burst.svg"), dir.join("burst.pcapng"));
    let files = ["--svg", svg.to_str().unwrap(), "--pcap", pcap.to_str().unwrap()];
    let play = |rest: &[&str]| {
        let o = synfin(&[&["sim", "../../scenarios/burst-loss.toml"][..], rest].concat());
        assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
        stdout(&o)
    };
    let text = play(&files);
    assert!(text.starts_with("losses in bursts: seed 1, "), "{text}");
    assert!(text.contains("h1 > h2") && text.contains("router 1") && text.contains("finished"), "{text}");
    assert_eq!(text, play(&["--seed", "1"]), "the same seed, the same run");
    assert_ne!(text, play(&["--seed", "2"]));
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(
        drawn.contains("cwnd, and ssthresh dashed (kB)")
            && drawn.contains("in bursts: h1 > h2")
            && drawn.len() < 500_000
    );
    let packets = std::fs::read(pcap).unwrap();
    assert!(packets.windows(20).any(|w| w == b"hop2 forth, lost: lo"));
    let objects =
        |json: String| -> Vec<serde_json::Value> { json.lines().map(|l| serde_json::from_str(l).unwrap()).collect() };
    let all = objects(play(&["--json"]));
    let kinds: Vec<&str> = all.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, [vec!["run"], vec!["flow"; 2], vec!["link"; 10]].concat());
    // Nothing was asked, so there is no time of an answer; elsewhere there is.
    assert!(all[1]["requests"] == 0 && all[1]["request_mean_ms"].is_null(), "{}", all[1]);
    let asking = objects(stdout(&synfin(&["sim", "../../scenarios/idle-middlebox.toml", "--json"])));
    assert!(asking[1]["requests"].as_u64() > Some(0) && asking[1]["request_mean_ms"].is_f64(), "{}", asking[1]);
}

#[test]
fn states_prints_the_table_and_the_diagram() {
    let table = stdout(&synfin(&["states"]));
    assert!(table.contains("FIN-WAIT-1") && table.contains("rcv FIN, ACK of FIN") && table.lines().count() > 40);
    assert!(stdout(&synfin(&["states", "--diagram"])).contains("TIME-WAIT"));
}

#[test]
fn the_scenes_play_between_two_hosts_in_memory() {
    let o = synfin(&["demo", "--backend", "memory"]);
    let text = stdout(&o);
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    for words in [
        "handshake 1/3: the client can send, the server can receive",
        "close 1/4: no more data from this end",
        "the wait starts afresh",
        "given up 31 s after the first SYN: connection timed out; left behind: 0 connections, 0 timers",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

/// A user namespace in which no other may be made: what a hardened machine looks like to the program.
#[test]
fn where_namespaces_are_forbidden_it_says_so_and_plays_in_memory() {
    let play = format!("{} demo --scene telnet-quit", env!("CARGO_BIN_EXE_synfin"));
    let unshare = |script: &str| Command::new("unshare").args(["-Ur", "sh", "-c", script]).output();
    for kind in ["user", "net"] {
        let forbid = format!("echo 0 > /proc/sys/user/max_{kind}_namespaces");
        let (o, remedy) = match unshare(&forbid) {
            Ok(o) if o.status.success() => {
                (unshare(&format!("{forbid} && {play}")).unwrap(), format!("sysctl -w user.max_{kind}_namespaces="))
            }
            _ => (synfin(&["demo", "--scene", "telnet-quit"]), String::new()), // the machine itself forbids them
        };
        let err = String::from_utf8_lossy(&o.stderr);
        assert!(o.status.success(), "{err}");
        assert!(err.contains("no network namespace") && err.contains(&remedy), "{err}");
        assert!(err.contains("the scenes are played between two hosts of synfin, in memory"), "{err}");
        assert!(stdout(&o).contains("close 3/3"));
    }
}

/// A user who is nobody in the namespace may map nobody.
#[test]
fn where_a_step_into_the_namespace_fails_it_is_named() {
    let play = format!("{} demo --backend tun", env!("CARGO_BIN_EXE_synfin"));
    let o = match Command::new("unshare").args(["-U", "sh", "-c", &play]).output() {
        Ok(o) if o.stderr.starts_with(b"synfin") => o,
        _ => return not_run("where_a_step_into_the_namespace_fails_it_is_named", "no namespace"),
    };
    let err = String::from_utf8_lossy(&o.stderr);
    assert_eq!((o.status.code(), err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("no network namespace: unshare of a user namespace: Operation not permitted"), "{err}");
    assert!(err.contains("or try --backend memory"), "{err}");
}

/// With few descriptors a connection fails for lack of them: that is no refusal.
#[test]
fn where_descriptors_run_out_no_scene_says_it_has_shown_anything() {
    for backend in ["auto", "memory"] {
        let mut codes = Vec::new();
        for n in 4..=24 {
            let play =
                format!("ulimit -n {n}; {} demo --backend {backend} --scene refused", env!("CARGO_BIN_EXE_synfin"));
            let o = Command::new("sh").args(["-c", &play]).output().unwrap();
            let (err, refused) = (String::from_utf8_lossy(&o.stderr), stdout(&o).to_lowercase());
            match o.status.code() {
                Some(0) => assert_eq!(refused.matches("connect: connection refused").count(), 2, "{n}: {refused}"),
                Some(1) => assert!(err.lines().last().unwrap_or_default().starts_with("synfin: "), "{n}: {err}"),
                Some(127) => continue, // too few for the loader of programs
                _ => panic!("{n}: {} {err}", o.status),
            }
            assert!(!err.contains("panicked"), "{n}: {err}");
            codes.push(o.status.code());
        }
        assert!(codes.contains(&Some(0)) && codes.contains(&Some(1)), "{backend}: {codes:?}");
    }
}

#[test]
fn a_proxy_in_the_environment_does_not_concern_the_demo() {
    let mut c = Command::new(env!("CARGO_BIN_EXE_synfin"));
    let o = c.args(["demo", "--scene", "curl"]).env("ALL_PROXY", "http://127.0.0.1:9").output().unwrap();
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
}

/// Says, even where the test passes, that it has tested nothing.
fn not_run(test: &str, why: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "not run: {test}: {why}");
}

/// What the demo says of a scene that fails, when `program` is this script; None if there is no kernel at the other end, for
/// which it is not started.
fn fails_with(program: &str, script: &str, scene: &str) -> Option<String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{program}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join(program);
    // Written by another process: a file that this one has open could not be run.
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\"";
    let written = Command::new("sh").args(["-c", write, &file.to_string_lossy(), script]).status().unwrap();
    assert!(written.success());
    let mut c = Command::new(env!("CARGO_BIN_EXE_synfin"));
    let path = format!("{}:/usr/bin:/bin", dir.display());
    let o = c.args(["demo", "--scene", scene]).env("PATH", path).output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let err = String::from_utf8_lossy(&o.stderr).into_owned();
    if err.contains("in memory") {
        return None;
    }
    assert_eq!(o.status.code(), Some(1), "{err}");
    Some(err)
}

#[test]
fn a_program_that_does_not_connect_fails_the_scene() {
    match fails_with("curl", "echo not today >&2; exit 7", "curl") {
        Some(err) => {
            assert!(err.ends_with("synfin: scene curl: curl failed (exit status: 7): not today\n"), "{err}");
        }
        None => not_run("a_program_that_does_not_connect_fails_the_scene", "no namespace"),
    }
}

#[test]
fn the_broken_pipe_of_a_program_is_not_that_of_the_output() {
    match fails_with("telnet", "exec 0<&-; echo Escape character; exec sleep 60", "telnet-quit") {
        Some(err) => {
            assert!(
                err.contains("synfin: scene telnet-quit: telnet does not read: Broken pipe (os error 32)"),
                "{err}"
            );
        }
        None => not_run("the_broken_pipe_of_a_program_is_not_that_of_the_output", "no namespace"),
    }
}

/// Seconds and nanoseconds of the enhanced packet blocks of a pcapng file, in nanoseconds.
fn times(file: &[u8]) -> Vec<u64> {
    let word = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
    let (mut at, mut all) = (0, Vec::new());
    while at < file.len() {
        if word(at) == 6 {
            all.push(u64::from(word(at + 12)) << 32 | u64::from(word(at + 16)));
        }
        at += word(at + 4) as usize;
    }
    all
}

/// The first of the scenes is in virtual time and ends ahead of the machine's clock.
#[test]
fn time_does_not_run_backwards_in_a_capture_of_several_scenes() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenes.pcapng");
    let path = file.to_string_lossy().into_owned();
    let scenes = ["--scene", "no-answer", "--scene", "refused", "--scene", "no-answer", "--scene", "reset"];
    let o = synfin(&[&["demo", "--backend", "memory", "--pcap", &path][..], &scenes].concat());
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    let times = times(&std::fs::read(&file).unwrap());
    assert!(times.len() > 15 && times.is_sorted(), "{times:?}");
}

#[test]
fn json_has_one_object_per_segment() {
    let o = synfin(&["demo", "--backend", "memory", "--scene", "no-answer", "--json"]);
    let all: Vec<serde_json::Value> = stdout(&o).lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(all.len(), 5);
    let times: Vec<u64> = all.iter().map(|o| o["time_ns"].as_u64().expect("a number") / 1_000_000_000).collect();
    assert_eq!(times, [0, 1, 3, 7, 15]);
    let readme = include_str!("../../../README.md");
    let section = readme.split("### One object per segment").nth(1).and_then(|s| s.split("\n## ").next()).unwrap();
    let cells = section.lines().filter_map(|l| l.strip_prefix("| `")?.split(" |").next());
    let mut told: Vec<&str> = cells.flat_map(|c| c.trim_end_matches('`').split("`, `")).collect();
    told.sort_unstable();
    for o in &all {
        let mut keys: Vec<_> = o.as_object().unwrap().iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k).collect();
        keys.sort_unstable();
        assert_eq!(keys, told, "README.md names the fields, and no others");
    }
}

#[test]
fn tcpdump_prints_the_same_lines() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo.pcapng");
    let path = file.to_string_lossy().into_owned();
    let scenes = ["four-way", "time-wait", "no-answer", "half-close", "reset"];
    for scene in scenes {
        let o = synfin(&["demo", "--backend", "memory", "--scene", scene, "--pcap", &path]);
        assert!(o.status.success());
        let t = match Command::new("tcpdump").args(["-n", "-t", "-r", &path, "tcp"]).output() {
            Ok(t) => t,
            Err(e) => {
                assert!(std::env::var_os("CI").is_none(), "tcpdump: {e}; install it (.ci/run does, as root)");
                not_run("tcpdump_prints_the_same_lines", format_args!("tcpdump: {e}"));
                return;
            }
        };
        let theirs: Vec<String> = stdout(&t).lines().map(str::to_string).collect();
        let ours: Vec<String> = stdout(&o)
            .lines()
            .filter_map(|l| l.split_once(' ').map(|x| x.1).filter(|l| l.starts_with("IP ")))
            .map(|l| l.split(" | ").next().unwrap_or_default().to_string())
            .collect();
        assert!(!ours.is_empty() && ours == theirs, "{scene}\nours   {ours:#?}\ntheirs {theirs:#?}");
    }
}

#[test]
fn drill_tells_of_each_script_what_became_of_it() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drill");
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let open = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
                +0 < S 0:0(0) win 5000 <mss 1000>\n";
    let pass = write("a.pkt", &format!("{open}+0 > S. 0:0(0) ack 1 <mss 1460>\n"));
    let fail = write("b.pkt", &format!("{open}+0 > S. 0:0(0) ack 2 <mss 1460>\n"));
    let skip = write("c.pkt", "`iptables -F`\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n");
    let bad = write("d.pkt", "0 socket(..., SOCK_STREAM) 3\n");
    let o = synfin(&["drill", "--jobs", "2", &dir.to_string_lossy()]);
    let text = stdout(&o);
    assert_eq!(o.status.code(), Some(1), "{text}");
    for words in [
        &format!("PASS {pass}"),
        &format!("FAIL {fail}"),
        &format!("{fail}:5: the packet differs: ack"),
        "* ack ",
        "lately:",
        "SYN-RECEIVED",
        &format!("SKIP {skip}"),
        "(line 1: the command \"iptables\")",
        &format!("{bad}:1:28: expected \"=\", found \"3\""),
        "1 passed, 2 failed, 1 skipped",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let (junit, pcap) = (dir.join("junit.xml"), dir.join("a.pcapng"));
    let files = ["--junit", &junit.to_string_lossy(), "--pcap", &pcap.to_string_lossy()].map(str::to_string);
    let args: Vec<&str> =
        ["drill", "--json", "--strict"].into_iter().chain(files.iter().map(String::as_str)).chain([&*pass]).collect();
    let o = synfin(&args);
    assert!(o.status.success());
    let result: serde_json::Value = serde_json::from_str(&stdout(&o)).unwrap();
    assert_eq!(result["result"], "pass");
    assert!(std::fs::read_to_string(&junit).unwrap().contains("tests=\"1\" failures=\"0\" skipped=\"0\""));
    assert!(std::fs::read(&pcap).unwrap().len() > 100);
}

/// A packet that is whole: 20 octets of IPv4 and a UDP datagram to nobody.
fn packet(len: usize) -> Vec<u8> {
    let mut b = vec![0; len];
    b[..20].copy_from_slice(&[0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    b[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    b
}

#[test]
#[allow(clippy::disallowed_methods)] // a path is in real time
fn a_path_carries_packets_between_two_descriptors_and_counts_them() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    use std::time::{Duration, Instant};
    let ((a, path_a), (b, path_b)) = (UnixDatagram::pair().unwrap(), UnixDatagram::pair().unwrap());
    // Its standard input is one link, its standard error the other; what it says comes on standard output.
    let child = Command::new(env!("CARGO_BIN_EXE_synfin"))
        .args(["path", "--link", "fd:0", "--link", "fd:2", "--delay", "50ms", "--json"])
        .args(["--back", "loss=1", "--forth", "mtu=1000"])
        .stdin(OwnedFd::from(path_a))
        .stderr(OwnedFd::from(path_b))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let sent = Instant::now();
    a.send(&packet(1_001)).unwrap();
    for len in [100, 1_000, 60] {
        a.send(&packet(len)).unwrap();
    }
    b.send(&packet(100)).unwrap();
    b.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut buf = [0; 2_000];
    for len in [100, 1_000, 60] {
        let n = b.recv(&mut buf).unwrap();
        assert_eq!(buf[..n], packet(len), "whole, and in order");
        assert!(sent.elapsed() >= Duration::from_millis(50), "never early");
    }
    // Now it may end: what has come through was not the first to be counted.
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let o = child.wait_with_output().unwrap();
    assert!(o.status.success());
    let said: Vec<serde_json::Value> = stdout(&o).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let [up, forth, back, late] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&up["event"], &late["event"]), (&"up".into(), &"lateness".into()));
    assert_eq!(forth["lost"], serde_json::json!({"too_big": 1}));
    assert_eq!(back["lost"], serde_json::json!({"loss": 1}));
    let numbers = |d: &serde_json::Value, keys: [&str; 4]| keys.map(|k| d[k].as_u64().unwrap());
    let keys = ["packets_in", "bytes_in", "packets_out", "bytes_out"];
    assert_eq!((numbers(forth, keys), numbers(back, keys)), ([4, 2_161, 3, 1_160], [1, 100, 0, 0]));
    assert_eq!(late["packets"], 3);
}

#[test]
fn a_path_that_cannot_be_is_refused_in_one_line() {
    for (args, code, words) in [
        (&["--link", "fd:0"][..], 2, "--link is needed twice"),
        (&["--link", "fd:0", "--link", "wifi:a"], 2, "\"wifi:a\" is no link: tun:NAME, tap:NAME"),
        (&["--link", "fd:0", "--link", "fd:1", "--loss", "2"], 2, "--loss: cannot read \"2\"; it is written like 1%"),
        (&["--link", "fd:0", "--link", "fd:1", "--back", "x=2"], 2, "--back unknown key \"x\"; there are rate, delay"),
        (&["--link", "fd:0", "--link", "fd:1", "--reorder-by", "2ms"], 2, "--reorder <P>"),
        (&["--link", "fd:77", "--link", "fd:1"], 1, "synfin: fd:77: descriptor 77 is not open"),
        (&["--link", "packet:nowhere0", "--link", "fd:1"], 1, "synfin: packet:nowhere0: nowhere0: no such interface"),
    ] {
        let o = synfin(&[&["path"], args].concat());
        let err = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
    }
}

/// A directory with scripts: one passes, one fails.
fn two_scripts(name: &str) -> std::path::PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let listen = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
                  +0 < S 0:0(0) win 5000 <mss 1000>\n";
    std::fs::write(dir.join("a.pkt"), format!("{listen}+0 > S. 0:0(0) ack 1 <mss 1460>\n")).unwrap();
    std::fs::write(dir.join("b.pkt"), format!("{listen}+0 > S. 0:0(0) ack 2 <mss 1460>\n")).unwrap();
    dir
}

#[test]
fn drill_with_a_wrong_option_says_so_in_one_line_and_exits_with_2() {
    let dir = two_scripts("drill-usage");
    let dir = dir.to_string_lossy();
    for (option, value) in [
        ("-D", "FOO"),
        ("-D", "=3"),
        ("--mtu", "0"),
        ("--mtu", "x"),
        ("--ip_version", "ipv5"),
        ("--local_ip", "300.1.1.1"),
        ("--tcp", "x=1"),
        ("--tcp", "x"),
        ("--so_flags", "x=1"),
        ("--non_fatal", "x"),
        ("--bind_port", "70000"),
        ("--gateway_ip", "rubbish"),
        ("--speed", "fast"),
        ("--tolerance_percent", "NaN"),
        ("--jobs", "0"),
        ("--pcap", "/dev/null"),
        ("--junit", "-"),
    ] {
        let o = synfin(&["drill", option, value, &dir]);
        let err = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(2), "{option} {value}: {err}");
        assert!(
            err.starts_with("synfin: ") && err.lines().count() == 1 && o.stdout.is_empty(),
            "{option} {value}: {err}"
        );
    }
    let o = synfin(&["drill", "--ip_version=ipv6", "--local_ip=10.0.0.1", &dir]);
    assert_eq!(o.status.code(), Some(2));
}

#[test]
fn drill_fails_quietly_if_nobody_reads_what_failed() {
    let dir = two_scripts("drill-gone");
    for (path, status) in [(dir.clone(), 1), (dir.join("b.pkt"), 1), (dir.join("a.pkt"), 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["drill", &path.to_string_lossy()];
        let o = Command::new(env!("CARGO_BIN_EXE_synfin")).args(args).stdout(writer).output().unwrap();
        assert_eq!((o.status.code(), o.stderr.is_empty()), (Some(status), true), "{}", path.display());
    }
}

#[test]
fn drill_takes_no_pipe_no_device_and_no_dangling_link_for_a_script_and_goes_on() {
    let dir = two_scripts("drill-files");
    let made = Command::new("mkfifo").arg(dir.join("fifo.pkt")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("nowhere", dir.join("link.pkt")).unwrap();
    let big = File::create(dir.join("long.pkt")).unwrap();
    big.set_len((16 << 20) + 1).unwrap();
    let o = synfin(&["drill", &dir.to_string_lossy(), "/dev/zero"]);
    let text = stdout(&o);
    for words in [
        "fifo.pkt: a script is a regular file, and this is none\n",
        "/dev/zero: a script is a regular file, and this is none\n",
        "link.pkt: No such file or directory",
        "long.pkt: longer than 16 MiB",
        "1 passed, 5 failed, 0 skipped",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn drill_plays_the_others_where_a_path_is_missing() {
    let dir = two_scripts("drill-missing");
    let (missing, there) = (dir.join("nosuch.pkt"), dir.join("a.pkt"));
    let (missing, there) = (missing.to_string_lossy(), there.to_string_lossy());
    let o = synfin(&["drill", &missing, &there]);
    let text = stdout(&o);
    assert_eq!((o.status.code(), text.lines().count()), (Some(1), 4), "{text}");
    for words in [
        &format!("FAIL {missing} "),
        &format!("\n{missing}: No such file or directory"),
        &format!("\nPASS {there} "),
        "\n1 passed, 1 failed, 0 skipped\n",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // Where there is nothing to play it is one line.
    let o = synfin(&["drill", &missing]);
    let err = String::from_utf8_lossy(&o.stderr);
    assert_eq!((o.status.code(), o.stdout.is_empty(), err.lines().count()), (Some(1), true, 1), "{err}");
    assert!(err.starts_with(&format!("synfin: {missing}: ")), "{err}");
}

#[test]
fn drill_takes_every_option_of_packetdrill() {
    let dir = two_scripts("drill-options");
    let script = dir.join("a.pkt");
    let options = "--gateway_ip=192.168.0.1 --netmask_ip=255.255.0.0 --speed=1000 --is_anyip --init_scripts=./defaults.sh \
                   --send_omit_free --tcp_ts_ecr_scaled --debug --verbose --code_command=python3 --code_format=x \
                   --code_sockopt=TCP_INFO --ip_version=ipv4 --local_ip=192.168.0.1 --remote_ip=192.0.2.1 --bind_port=8080 \
                   --connect_port=8080 --tolerance_usecs=4000 --tolerance_percent=12.5 --mtu=1500 --mss=1460 \
                   --tcp_ts_tick_usecs=0 --non_fatal=packet,syscall --strict_segments --so_flags=mtu=1500 --local \
                   --persistent_tun_dev -D A=1 --define=B=2";
    let path = script.to_string_lossy();
    let args: Vec<&str> = ["drill"].into_iter().chain(options.split_whitespace()).chain([&*path]).collect();
    let o = synfin(&args);
    assert!(o.status.success() && stdout(&o).starts_with("PASS "), "{}", String::from_utf8_lossy(&o.stderr));
    let o = synfin(&["drill", "--dry_run", &dir.to_string_lossy()]);
    assert!(o.status.success() && stdout(&o).ends_with("0 passed, 0 failed, 2 skipped\n"), "{}", stdout(&o));
}

#[test]
fn drill_tells_machines_all_of_a_failure() {
    let dir = two_scripts("drill-json");
    let o = synfin(&["drill", "--json", &dir.join("b.pkt").to_string_lossy()]);
    let v: serde_json::Value = serde_json::from_str(&stdout(&o)).unwrap();
    assert_eq!((&v["result"], &v["line"], &v["column"]), (&"fail".into(), &5.into(), &1.into()));
    assert_eq!(v["expected"], "+0 > S. 0:0(0) ack 2 <mss 1460>");
    assert!(v["came"].as_str().unwrap().contains("> S. 0:0(0) ack 1 "), "{v}");
    assert!(v["engine"].as_str().unwrap().starts_with("SYN-RECEIVED SND.UNA 0 "), "{v}");
    let wrong: Vec<&serde_json::Value> =
        v["fields"].as_array().unwrap().iter().filter(|f| f["same"] == false).collect();
    assert_eq!(wrong, [&serde_json::json!({"name": "ack", "expected": "2", "came": "1", "same": false})]);
    assert!(!v["lately"].as_array().unwrap().is_empty());
}

#[test]
fn drill_notices_before_the_run_that_results_cannot_be_written() {
    let dir = two_scripts("drill-results");
    for option in ["--junit", "--pcap"] {
        let o = synfin(&["drill", option, "/nowhere/at/all", &dir.join("a.pkt").to_string_lossy()]);
        let err = String::from_utf8_lossy(&o.stderr);
        assert_eq!((o.status.code(), o.stdout.is_empty()), (Some(1), true), "{err}");
        assert!(err.starts_with(&format!("synfin: {option}: /nowhere/at/all: ")) && err.lines().count() == 1, "{err}");
    }
}

#[test]
fn the_diagram_of_drill_has_the_numbers_of_the_script_and_the_calls() {
    let dir = two_scripts("drill-diagram");
    let udp = dir.join("udp.pkt");
    std::fs::write(
        &udp,
        "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n+0 < udp (100)\n\
         +0 recvfrom(3, ..., 200, 0, ..., ...) = 100\n",
    )
    .unwrap();
    let none = dir.join("none.pkt");
    std::fs::write(&none, "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n").unwrap();
    let o = synfin(&["drill", "--verbose", &dir.to_string_lossy()]);
    let text = stdout(&o);
    for words in [
        " S 0:0(0) <mss 1000> ",
        " S. 0:0(0) ack 1 <mss 1460> ",
        "listen(3) = 0",
        "no packets crossed the link",
        "udp 49153 > 8080 (100)",
        "recvfrom(3",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}
