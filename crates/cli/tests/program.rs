//! The program as a user runs it.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::fs::File;
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
        (&["sim", "bulk", "--pcap", "/nowhere/x"], 2, "--seed <SEED>"),
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
        _ => return, // the machine itself forbids them: the test above
    };
    let err = String::from_utf8_lossy(&o.stderr);
    assert_eq!((o.status.code(), err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("no network namespace: unshare of a user namespace: Operation not permitted"), "{err}");
    assert!(err.contains("or try --backend memory"), "{err}");
}

#[test]
fn json_has_one_object_per_segment() {
    let o = synfin(&["demo", "--backend", "memory", "--scene", "no-answer", "--json"]);
    let all: Vec<serde_json::Value> = stdout(&o).lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(all.len(), 5);
    let times: Vec<u64> = all.iter().map(|o| o["time_ns"].as_u64().expect("a number") / 1_000_000_000).collect();
    assert_eq!(times, [0, 1, 3, 7, 15]);
    for key in ["scene", "src", "dst", "flags", "seq", "ack", "win", "options", "len", "src_state", "dst_state", "note"]
    {
        assert!(!all[0][key].is_null(), "{key}");
    }
}

#[test]
fn tcpdump_prints_the_same_lines() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo.pcapng");
    let path = file.to_string_lossy().into_owned();
    let scenes = ["four-way", "time-wait", "no-answer", "half-close", "reset"];
    for scene in scenes {
        let o = synfin(&["demo", "--backend", "memory", "--scene", scene, "--pcap", &path]);
        assert!(o.status.success());
        let Ok(t) = Command::new("tcpdump").args(["-n", "-t", "-r", &path, "tcp"]).output() else {
            println!("not run: tcpdump is not installed");
            return;
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
