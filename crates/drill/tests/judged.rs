//! Scripts that must not pass, or whose words matter: what the runner makes of each.

mod common;

use common::{ACCEPTED, STREAM, judge, judged};
use synfin_packetdrill::run::{Settings, Verdict, play};
use synfin_packetdrill::script::Script;

#[test]
fn an_error_is_one_that_there_is_and_stands_beside_minus_one() {
    judge(&[
        ("0 close(77) = -1 EBADF (Bad file descriptor)".into(), "PASS"),
        (
            "0 close(77) = -1 ENOTHING (no such error)".into(),
            "FAILx.pkt:1:18: unknown error ENOTHING: expected ENOTDIR or",
        ),
        ("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 0 EAGAIN".into(), "FAILan error stands beside the result -1"),
        (format!("{STREAM}+0 close(4294967299) = 0"), "FAIL4294967299 is no int"),
    ]);
}

#[test]
fn lengths_times_and_brackets_have_an_end() {
    let deep = "(".repeat(200_000);
    let times: String = "+1100000000 `true`\n".repeat(18);
    judge(&[
        (format!("0 close({deep}"), "FAILmore than 32 brackets are open here"),
        (format!("0 %{{ assert {deep} }}%"), "SKIPcode as deep as this"),
        (format!("0 %{{ assert {}1 }}%", "-".repeat(200_000)), "SKIPcode as deep as this"),
        (format!("0 close({}$) = 0", " ".repeat(70_000)), "FAIL:1:70009: expected an argument"),
        ("0 < S 0:4294967295(4294967295) win 5".into(), "FAILthis packet is too long"),
        ("0 < udp (4294967295)".into(), "FAILthis packet is too long"),
        ("0 < icmp echo_request [raw (4294967295)]".into(), "FAILthis packet is too long"),
        ("0 < icmp unreachable frag_needed mtu 9 [0:4294967295(4294967295)]".into(), "FAILthis packet is too long"),
        (format!("{STREAM}+0 getsockopt(3, IPPROTO_TCP, TCP_INFO, ..., [-1]) = 0"), "FAILcame -1 EFAULT"),
        (format!("{STREAM}+0 read(3, ..., 9000000000) = -1 ENOTCONN"), "PASS"),
        (format!("0 `true`\n{times}"), "FAILthe time of this event is too far away"),
        ("0 `sleep nan`".into(), "FAILexpected seconds"),
    ]);
}

#[test]
fn what_cannot_be_obeyed_or_known_is_skipped_and_what_is_wrong_fails() {
    judge(&[
        ("--mtu=abc\n0 `true`".into(), "FAILx.pkt:1:7: --mtu: expected a number from 68 to 65535, found \"abc\""),
        ("--wire_client\n0 `true`".into(), "SKIPline 1"),
        ("0 `echo 0 > /proc/sys/net/ipv4/tcp_sack`".into(), "SKIP'>' in a command"),
        ("0 < icmp nonsense".into(), "FAILis no ICMP type: expected one of echo_reply"),
        (format!("{STREAM}+0 listen(3) = 0"), "FAILlisten: expected 2 arguments, found 1"),
        ("0 `true`\n`false`".into(), "FAILthe command failed"),
        ("0 > sctp: INIT".into(), "SKIPa protocol other than"),
    ]);
}

#[test]
fn addresses_flags_and_lengths_of_values_are_compared() {
    let accept = |addr: &str| format!("{ACCEPTED}+0 accept(3, {addr}, [16]) = 4");
    let datagram = |flags: &str| {
        format!(
            "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n+0 < udp (100)\n\
             +0 recvmsg(3, {{msg_name(...)=..., msg_iov(1)=[{{..., 10}}], msg_flags={flags}}}, 0) = 10"
        )
    };
    judge(&[
        (accept("..."), "PASS"),
        (accept("{sa_family = AF_INET, sin_port = htons(49153), sin_addr = inet_addr(\"192.0.2.1\")}"), "PASS"),
        (
            accept("{sa_family = AF_INET, sin_port = htons(1), sin_addr = inet_addr(\"9.9.9.9\")}"),
            "FAILexpected the address",
        ),
        (datagram("MSG_TRUNC"), "PASS"),
        (datagram("0"), "FAILexpected msg_flags 0x0, came 0x20"),
        (format!("{STREAM}+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0"), "PASS"),
        (
            format!("{STREAM}+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [8]) = 0"),
            "FAILexpected a value of 8 octets, came 4",
        ),
    ]);
}

#[test]
fn a_read_that_wants_all_waits_for_all() {
    let read = "+0 accept(3, ..., ...) = 4\n+0...0.2 recv(4, ..., 200, MSG_WAITALL) = 200\n\
        +.1 < P. 1:101(100) ack 1 win 65535\n+0 > . 1:1(0) ack 101\n+.1 < P. 101:201(100) ack 1 win 65535\n+0 > . 1:1(0) ack 201\n";
    let shut = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n\
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 recv(3, ..., 9, 0) = -1 EAGAIN\n+0 shutdown(3, SHUT_RD) = 0\n\
        +0 recv(3, ..., 9, 0) = 0\n";
    judge(&[(format!("{ACCEPTED}{read}"), "PASS"), (shut.into(), "PASS")]);
}

#[test]
fn assertions_are_about_the_connection_as_it_is() {
    let open = format!("{ACCEPTED}+0 accept(3, ..., ...) = 4\n");
    judge(&[
        (format!("{open}+0 %{{ assert tcpi_state == TCP_ESTABLISHED }}%"), "PASS"),
        (format!("{open}+0 %{{ assert tcpi_state == TCP_CLOSE }}%"), "FAILthis does not hold"),
        // The file is gone: what was true before is not known to be now.
        (
            format!("{open}+0 close(4) = 0\n+0 > F. 1:1(0) ack 1\n+0 %{{ assert tcpi_state == TCP_ESTABLISHED }}%"),
            "SKIPtcpi_state in code",
        ),
    ]);
}

#[test]
fn a_call_that_has_returned_is_not_waited_for_any_longer() {
    judge(&[(
        "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4\n\
         0...0.1 poll([{fd=3, events=POLLIN, revents=0}], 1, 100) = 0\n\
         0.2 connect(4, ..., ...) = -1 EINPROGRESS (now)\n0.2 > S 0:0(0) <...>"
            .into(),
        "PASS",
    )]);
}

#[test]
fn epoll_tells_an_edge_for_each_arrival_and_refuses_what_makes_no_sense() {
    let edge = "+0 accept(3, ..., ...) = 4\n+0 epoll_create(1) = 5\n\
        +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) = 0\n\
        +.1 < P. 1:101(100) ack 1 win 65535\n+0 > . 1:1(0) ack 101\n\
        +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1\n+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0\n\
        +.1 < P. 101:201(100) ack 1 win 65535\n+0 > . 1:1(0) ack 201\n\
        +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1\n";
    let refused = "0 epoll_create(0) = -1 EINVAL\n+0 epoll_create(1) = 3\n\
        +0 epoll_ctl(3, EPOLL_CTL_ADD, 3, {events=EPOLLIN, fd=3}) = -1 EINVAL\n\
        +0 epoll_wait(3, {events=EPOLLIN, fd=3}, 0, 0) = -1 EINVAL\n\
        +0 epoll_wait(9, {events=EPOLLIN, fd=3}, 1, 0) = -1 EBADF\n";
    judge(&[(format!("{ACCEPTED}{edge}"), "PASS"), (refused.into(), "PASS")]);
}

/// All that is said of a script that fails.
fn told(text: &str) -> String {
    match Script::parse("x.pkt", text, &[]).map(|s| play(&s, &Settings::default()).verdict) {
        Ok(Verdict::Fail(f)) => f.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_option_with_a_wrong_value_is_shown_with_a_caret_below_the_value() {
    for (text, said) in [
        (
            "--mtu=0\n0 `true`",
            "x.pkt:1:7: --mtu: expected a number from 68 to 65535, found \"0\"\n    --mtu=0\n          ^\n",
        ),
        ("--local_ip=300.1.1.1\n0 `true`", "expected an address of IPv4 or IPv6, found \"300.1.1.1\""),
        ("--tolerance_percent=NaN\n0 `true`", "--tolerance_percent: expected a number from 0 to 10000, found \"NaN\""),
        ("--tolerance_percent=inf\n0 `true`", "expected a number from 0 to 10000, found \"inf\""),
        ("--ip_version=ipv6\n--local_ip=10.0.0.1\n0 `true`", "x.pkt:2:12: --local_ip: expected an address of IPv6"),
        ("--remote_ip=192.168.0.1\n0 `true`", "x.pkt:1:13: --remote_ip: both ends have the address 192.168.0.1"),
    ] {
        let came = told(text);
        assert!(came.contains(said) && came.ends_with("^\n"), "expected {said}\ncame {came}");
        assert!(!came.contains("expected:") && !came.contains("engine:"), "{came}");
    }
}

#[test]
fn the_state_of_the_engine_is_told_without_a_file_too() {
    let half_open = ACCEPTED.replace("+.01 < . 1:1(0) ack 1 win 65535\n", "+.1 > R 9:9(0)\n");
    let closed = format!("{ACCEPTED}+0 accept(3, ..., ...) = 4\n+0 close(4) = 0\n");
    for (text, said) in [
        (half_open, "engine:   SYN-RECEIVED SND.UNA 0 SND.NXT 1 SND.WND 65535 RCV.NXT 1 "),
        (format!("{closed}+0 > R 9:9(0)\n"), "engine:   FIN-WAIT-1 SND.UNA 1 SND.NXT 2 SND.WND 65535 RCV.NXT 1 "),
        (
            format!("{closed}+0 > F. 1:1(0) ack 1\n+.1 < F. 1:1(0) ack 2 win 65535\n+0 > R 9:9(0)\n"),
            "engine:   TIME-WAIT SND.NXT 2 RCV.NXT 2\n",
        ),
        (format!("{ACCEPTED}+0 < R 1:1(0) win 0\n+.1 > R 9:9(0)\n"), "engine:   CLOSED"),
    ] {
        let came = told(&text);
        assert!(came.contains(said), "{text}\nexpected {said}\ncame {came}");
    }
}

#[test]
fn a_packet_at_the_wrong_time_marks_the_time() {
    let rows = |text: &str| told(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let came = rows(&ACCEPTED.replace("+0 > S.", "+.5 > S."));
    // Half a second, and an eighth of it less or more.
    assert!(came.contains(" * time 0.437500 to 0.562500 0.000000 "), "{came}");
    let came = rows(&ACCEPTED.replace("ack 1 <mss 1460>", "ack 2 <mss 1460>"));
    assert!(came.contains(" * ack 2 1 ") && came.contains(" time 0.000000 to 0.004000 0.000000 "), "{came}");
    assert!(!came.contains("* time"), "{came}");
}

#[test]
fn a_packet_that_left_before_the_last_event_is_left_over() {
    let open = format!("{ACCEPTED}+0 accept(3, ..., ...) = 4\n");
    let write = format!("{open}+0 write(4, ..., 100) = 100\n");
    judge(&[
        // Sent, acknowledged, and never expected.
        (
            format!("{write}+0 < . 1:1(0) ack 101 win 65535\n"),
            "FAILa packet was left over: 0.010000 > P. 1:101(100) ack 1",
        ),
        (format!("{write}+.5 < . 1:1(0) ack 101 win 65535\n"), "FAILa packet was left over"),
        (format!("{write}+0 close(4) = 0\n"), "FAILa packet was left over: 0.010000 > P. 1:101(100) ack 1"),
        // What the last event itself does, packetdrill does not see either.
        (write.clone(), "PASS"),
        (format!("{write}+0 %{{ assert tcpi_unacked == 1 }}%\n"), "PASS"),
        (format!("{write}+0 > P. 1:101(100) ack 1\n+0 close(4) = 0\n"), "PASS"),
        // Nor the rest of a burst of which the last event took the beginning.
        (format!("{open}+0 write(4, ..., 3000) = 3000\n+0 > . 1:1001(1000) ack 1\n"), "PASS"),
    ]);
    let strict = Settings { strict: true, ..Settings::default() };
    let script = Script::parse("x.pkt", &write, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(play(&script, &strict).verdict, Verdict::Fail(_)));
}

#[test]
fn a_sysctl_that_is_not_there_is_skipped_and_a_malformed_one_fails() {
    let sysctl = |kv: &str| format!("`sysctl -q {kv}`\n{STREAM}");
    judge(&[
        (sysctl("net.core.somaxconn=1"), "SKIPnet.core.somaxconn=1: at least 4096 is what happens here"),
        (sysctl("net.ipv4.tcp_moderate_rcvbuf=0"), "SKIPonly 1 is what happens here (the receive buffer grows)"),
        (sysctl("net.ipv4.tcp_sack=banana"), "FAILnet.ipv4.tcp_sack=banana: expected 0 or 1"),
        (sysctl("net.ipv4.tcp_sack=0"), "PASS"),
        (format!("{STREAM}+0 `sysctl -q net.ipv4.tcp_rfc1337=0`"), "SKIPa setting of the whole host"),
    ]);
}

#[test]
fn rfc1337_off_lets_a_reset_end_time_wait() {
    let run = |sysctl: &str, last: &str| {
        format!(
            "`sysctl -q net.ipv4.tcp_rfc1337={sysctl}`\n{ACCEPTED}+0 accept(3, ..., ...) = 4\n+0 close(4) = 0\n\
             +0 > F. 1:1(0) ack 1\n+.1 < F. 1:1(0) ack 2 win 65535\n+0 > . 2:2(0) ack 2\n+.1 < R 2:2(0) win 0\n\
             +.1 < P. 2:3(1) ack 2 win 65535\n{last}"
        )
    };
    judge(&[(run("0", "+0 > R 2:2(0)\n"), "PASS"), (run("1", "+0 > . 2:2(0) ack 2\n"), "PASS")]);
}

#[test]
fn text_where_a_buffer_stands_is_what_must_be_read() {
    let read = |buffer: &str| {
        format!(
            "{ACCEPTED}+0 accept(3, ..., ...) = 4\n+0 < P. 1:6(5) ack 1 win 65535\n+0 > . 1:1(0) ack 6\n\
             +0 read(4, {buffer}, 5) = 5\n"
        )
    };
    judge(&[
        (read("..."), "PASS"),
        (read("\"\\0\\0\\0\\0\\0\""), "PASS"),
        (read("\"hello\""), "FAILread: expected the octets \"hello\", came \"\\x00\\x00"),
    ]);
}

#[test]
fn words_of_commands_are_cut_at_letters_and_not_within_them() {
    for (text, line) in [
        ("\u{e9}\u{20ac}", 2),
        ("sysctl -q net.\u{20ac}=1", 1),
        ("true;\u{e9}; sysctl -q \u{1f600};\u{e9}", 2),
        ("\u{3000}sysctl\u{3000}\u{e9}", 2),
    ] {
        let e = Script::parse("x.pkt", &format!("`{text}`\n0 close(3 = 0"), &[]).unwrap_err().to_string();
        assert!(e.starts_with(&format!("x.pkt:{line}:")), "{text}: {e}");
    }
}

#[test]
fn control_characters_of_a_script_do_not_reach_the_terminal() {
    let said = Script::parse("x.pkt", "0 bind(3, \u{1b}[31mRED, ...) = 0", &[]).unwrap_err().to_string();
    assert!(!said.contains('\u{1b}') && said.contains("\u{241b}[31mRED"), "{said}");
    let failed = told("0 close(3) = 7 // \u{1b}[31m\u{7}");
    assert!(!failed.contains(['\u{1b}', '\u{7}']), "{failed}");
}

#[test]
fn the_smallest_and_the_largest_link_carry_both_versions() {
    for version in ["ipv4", "ipv6", "ipv4-mapped-ipv6"] {
        for mtu in [68, 1_280, 65_535] {
            let text = format!("--ip_version={version}\n--mtu={mtu}\n{}", ACCEPTED.replace("<mss 1460>", "<...>"));
            assert!(!judged(&text).contains("panic"), "{text}");
        }
    }
}

#[test]
fn init_scripts_are_commands_before_the_script() {
    let with = |v: &str| format!("--init_scripts={v}\n{STREAM}");
    judge(&[(with("./defaults.sh"), "PASS"), (with("./other.sh"), "SKIPthe command \"other.sh\"")]);
}

#[test]
fn a_name_that_the_language_does_not_have_is_shown_with_its_place_and_the_nearest_that_it_has() {
    let linger = "+0 setsockopt(3, SOL_SOCKET, SO_LINGER, {onof=1, linger=0}, 8) = 0";
    for (line, column, said) in [
        ("+0 setsokopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0", 4, "unknown system call setsokopt: expected setsockopt"),
        (
            "+0 setsockopt(3, SOL_TCP, TCP_NODELAI, [1], 4) = 0",
            27,
            "unknown constant TCP_NODELAI: expected TCP_NODELAY",
        ),
        ("+0 recv(3, ..., 5, MSG_PEAK | MSG_DONTWAIT) = 5", 20, "unknown constant MSG_PEAK: expected MSG_PEEK"),
        ("+0 read(3, ..., 5) = -1 EAGIAN (no)", 25, "unknown error EAGIAN: expected EAGAIN"),
        ("+0 bind(3, {sa_family=AF_INET, sin_port=hton(80)}, 16) = 0", 41, "unknown function hton: expected htons"),
        (linger, 42, "unknown field onof: expected onoff"),
        ("+0 %{ assert tcpi_statee == 1 }%", 14, "unknown name tcpi_statee: expected tcpi_state"),
        ("+0 `sysctl -q net.ipv4.tcp_sakc=0`", 15, "unknown sysctl net.ipv4.tcp_sakc: expected net.ipv4.tcp_sack"),
        ("+0 frobnicate() = 0", 4, "unknown system call frobnicate: expected one of socket, bind, listen"),
    ] {
        let came = Script::parse("x.pkt", &format!("{STREAM}{line}"), &[]).expect_err(line).to_string();
        let lines: Vec<&str> = came.lines().collect();
        assert!(lines[0].starts_with(&format!("x.pkt:2:{column}: {said}")), "{line}\n{came}");
        assert_eq!(lines[1..], [format!("    {line}"), format!("    {}^", " ".repeat(column - 1))], "{came}");
    }
    let defined = [("WORD".to_string(), "TCP_NODELAI".to_string())];
    let text = format!("{STREAM}+0 setsockopt(3, SOL_TCP, WORD, [1], 4) = 0");
    let e = Script::parse("x.pkt", &text, &defined).expect_err("a definition of nothing");
    assert_eq!((e.at.column, e.message.as_str()), (27, "unknown constant TCP_NODELAI: expected TCP_NODELAY"));
}

#[test]
fn what_the_language_has_and_the_runner_has_not_is_skipped_with_its_reason() {
    judge(&[
        ("0 cap_set(CAP_NET_RAW) = 0".into(), "SKIPthe system call cap_set"),
        (format!("{STREAM}+0 setsockopt(3, SOL_SOCKET, SO_TXTIME, [1], 4) = 0"), "SKIPline 2: the constant SO_TXTIME"),
        (
            format!("{STREAM}+0 recvmsg(3, {{msg_iov(1)=[{{...,1}}], msg_control=[]}}, 0) = 1"),
            "SKIPline 2: control messages",
        ),
        ("0 %{ assert tcpi_dsack_dups == 1 }%".into(), "SKIPtcpi_dsack_dups in code"),
        ("0 %{ assert sum([1]) == 1 }%".into(), "SKIPin code"),
        ("0 `sysctl -q net.ipv4.tcp_plb_enabled=1`".into(), "SKIPnet.ipv4.tcp_plb_enabled=1"),
        ("0 `sysctl -q net.ipv6.conf.all.disable_ipv6=1`".into(), "SKIPdisable_ipv6=1"),
        (format!("{STREAM}+0 read(3, ..., 5) = -1 ENOSPC (x)"), "FAILread: "),
    ]);
}
