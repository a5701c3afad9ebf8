//! What a script says and was once passed over: each of these must be looked at, or be skipped with its reason.

mod common;

use common::{ACCEPTED, STREAM, judge};
use synfin_packetdrill::run::{Settings, Verdict, play};
use synfin_packetdrill::script::{Action, Script};

const DATAGRAMS: &str = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n";

/// `ACCEPTED`, and the file 4 of it.
fn open() -> String {
    format!("{ACCEPTED}+0 accept(3, ..., ...) = 4\n")
}

/// The same, and 100 octets have come.
fn with_text() -> String {
    open() + "+0 < P. 1:101(100) ack 1 win 65535\n+0 > . 1:1(0) ack 101\n"
}

#[test]
fn what_an_icmp_error_quotes_is_compared() {
    let refused = |quote: &str| {
        format!(
            "{DATAGRAMS}+0 close(3) = 0\n+.1 < udp 5555 > 8080 (100)\n\
             +0 > icmp unreachable port_unreachable {quote}"
        )
    };
    let other = "+0 < udp 5556 > 8080 (9)\n";
    judge(&[
        (refused("[udp (100)]"), "PASS"),
        (refused(""), "PASS"),
        (refused("[udp (9)]"), "FAILquoted length, quoted UDP length"),
        (refused("[77:99(22)]"), "FAILthe packet differs: quote"),
        (refused("[raw (3)]"), "FAILthe packet differs: length"),
        (refused("[udp (100)]").replace("+0 > icmp", &format!("{other}+0 > icmp")), "FAILquoted source"),
        (format!("--ip_version=ipv6\n{}", refused("[udp (100)]")), "PASS"),
        (format!("--ip_version=ipv6\n{}", refused("[udp (9)]")), "FAILquoted length"),
        (
            format!("{ACCEPTED}+0 < udp 5555 > 7777 (10)\n+0 > icmp unreachable port_unreachable [raw (3)]"),
            "FAILlength",
        ),
    ]);
}

#[test]
fn what_an_echo_carries_is_compared() {
    let echo =
        |reply: &str| format!("{DATAGRAMS}+0 < icmp echo_request id 7 [raw (100)]\n+0 > icmp echo_reply {reply}");
    judge(&[
        (echo("id 7 [raw (100)]"), "PASS"),
        (echo("id 7 [raw (3)]"), "FAILthe packet differs: length"),
        (echo("id 7"), "FAILthe packet differs: length"),
        (echo("id 8 [raw (100)]"), "FAILthe packet differs: id"),
    ]);
}

#[test]
fn text_of_a_datagram_is_compared_and_one_in_pieces_is_left_over() {
    let send = |what: &str, len: u32| format!("{DATAGRAMS}+0 sendto(3, {what}, {len}, 0, ..., ...) = {len}\n");
    judge(&[
        (send("...", 3) + "+0 > udp (3)", "PASS"),
        (send("\"abc\"", 3) + "+0 > udp (3)", "FAILthe packet differs: text"),
        (send("...", 300) + "+1 close(3) = 0", "FAILa packet was left over"),
        (send("...", 3_000) + "+1 close(3) = 0", "FAILa packet was left over: 0.000000 > a fragment"),
        (send("...", 3_000), "PASS"),
    ]);
}

#[test]
fn what_no_field_of_the_engine_tells_cannot_be_asserted() {
    judge(&[
        (open() + "+0 %{ assert tcpi_probes == 0 }%", "SKIPtcpi_probes in code"),
        (open() + "+0 %{ assert tcpi_rcv_mss == 536 }%", "SKIPtcpi_rcv_mss in code"),
    ]);
}

#[test]
fn what_calls_cannot_do_here_is_skipped() {
    let message = |more: &str| {
        format!("{}+0 sendmsg(4, {{msg_name(...)=..., msg_iov(1)=[{{...,40}}], msg_flags=0{more}}}, 0) = 40\n", open())
            + "+0 > P. 1:41(40) ack 1"
    };
    let zerocopy =
        open() + "+0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0\n+0 send(4, ..., 1000, MSG_ZEROCOPY) = 1000\n";
    let poll = "+0 poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1";
    let control = ", msg_control=[{cmsg_level=SOL_SOCKET, cmsg_type=SO_TIMESTAMPING, cmsg_data=2}]";
    judge(&[
        (message(""), "PASS"),
        (message(control), "SKIPcontrol messages"),
        (message(", msg_controllen=24"), "SKIPcontrol messages"),
        // Without SO_ZEROCOPY the flag asks for nothing, and with it for something that is told.
        (open() + "+0 send(4, ..., 1000, MSG_ZEROCOPY) = 1000\n+0 > P. 1:1001(1000) ack 1\n" + poll, "PASS"),
        (zerocopy.clone() + "+0 > P. 1:1001(1000) ack 1\n+0 write(4, ..., 9) = 9", "PASS"),
        (zerocopy.clone() + poll, "SKIPwhat MSG_ZEROCOPY has to tell"),
        (zerocopy + "+0 recvmsg(4, {msg_iov(1)=[{...,0}]}, MSG_ERRQUEUE) = 0", "SKIPreceive flags 0x2000"),
        (format!("{DATAGRAMS}+0 sendto(3, ..., 9, MSG_ZEROCOPY, ..., ...) = 9"), "SKIPMSG_ZEROCOPY of a datagram"),
    ]);
}

#[test]
fn a_message_of_a_socket_of_datagrams_goes_where_its_name_says() {
    let send =
        |name: &str| format!("{DATAGRAMS}+0 sendmsg(3, {{msg_name(...)={name}, msg_iov(1)=[{{...,40}}]}}, 0) = 40\n");
    let named = "{sa_family=AF_INET, sin_port=htons(77), sin_addr=inet_addr(\"192.0.2.1\")}";
    judge(&[
        (send("...") + "+0 > udp (40)", "PASS"),
        (send(named) + "+0 > udp 8080 > 77 (40)", "PASS"),
        (send(named) + "+0 > udp 8080 > 78 (40)", "FAILdestination port"),
        // A stream has its peer, whatever the call says.
        (open() + &format!("+0 sendto(4, ..., 40, 0, {named}, 3) = 40\n+0 > P. 1:41(40) ack 1"), "PASS"),
    ]);
}

#[test]
fn an_error_of_a_socket_of_datagrams_is_told_once() {
    let refused = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 connect(3, ..., ...) = 0\n+0 write(3, ..., 10) = 10\n\
                   +0 > udp (10)\n+.1 < icmp unreachable port_unreachable [udp (10)]\n";
    let error = |errno: &str| format!("+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [{errno}], [4]) = 0\n");
    judge(&[
        (format!("{refused}{}{}", error("ECONNREFUSED"), error("0")), "PASS"),
        (format!("{refused}{}", error("0")), "FAILexpected the value 0, came ECONNREFUSED"),
        (format!("{refused}+0 read(3, ..., 10) = -1 ECONNREFUSED\n{}", error("0")), "PASS"),
    ]);
}

#[test]
fn an_address_that_is_expected_must_come() {
    let peer = "{sa_family=AF_INET, sin_port=htons(49153), sin_addr=inet_addr(\"192.0.2.1\")}";
    let stream = |name: &str| with_text() + &format!("+0 recvfrom(4, ..., 3, 0, {name}) = 3");
    let datagram = |name: &str| format!("{DATAGRAMS}+0 < udp (9)\n+0 recvfrom(3, ..., 9, 0, {name}) = 9");
    let message =
        |name: &str| with_text() + &format!("+0 recvmsg(4, {{msg_name{name}, msg_iov(1)=[{{...,9}}]}}, 0) = 9");
    judge(&[
        (stream("..., ..."), "PASS"),
        (stream(&format!("{peer}, [16]")), "FAILexpected the address 192.0.2.1:49153, came none"),
        (message("(...)=..."), "PASS"),
        (message(&format!("(...)={peer}")), "FAILexpected the address 192.0.2.1:49153, came none"),
        (message("(99)=..."), "FAILexpected an address of 99 octets, came one of 0"),
        (datagram(&format!("{peer}, [16]")), "PASS"),
        (datagram("..., [16]"), "PASS"),
        (datagram("..., [28]"), "FAILexpected an address of 28 octets, came one of 16"),
        (format!("{ACCEPTED}+0 accept(3, ..., [28]) = 4"), "FAILexpected an address of 28 octets, came one of 16"),
        (
            format!("--ip_version=ipv6\n{ACCEPTED}+0 accept(3, ..., [28]) = 4").replace("<mss 1460>", "<mss 1440>"),
            "PASS",
        ),
    ]);
}

#[test]
fn counts_and_lengths_are_those_of_what_is_written() {
    let then = |line: &str| format!("{}+0 {line}", with_text());
    judge(&[
        (then("getsockopt(4, SOL_TCP, TCP_MAXSEG, ..., [4]) = 0"), "PASS"),
        (then("getsockopt(4, SOL_TCP, TCP_MAXSEG, ..., [9]) = 0"), "FAILexpected a value of 9 octets, came 4"),
        (then("getsockopt(4, SOL_TCP, TCP_MAXSEG, [1000], 4) = 0"), "FAILexpected the length as [4], found 4"),
        (then("poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1"), "PASS"),
        (then("poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 77, 0) = 1"), "FAIL77 is said to be the number"),
        (then("poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 0, 0) = 1"), "FAIL0 is said to be the number"),
        (then("readv(4, [{..., 10}, {..., 20}], 2) = 30"), "PASS"),
        (
            then("readv(4, [{..., 10}, {..., 20}], 9) = 30"),
            "FAIL9 is said to be the number of what is listed, and 2 are",
        ),
        (then("writev(4, [{..., 10}, {..., 20}], 1) = 30"), "FAIL1 is said to be the number"),
        (then("recvmsg(4, {msg_iov(5)=[{...,50},{...,20}]}, 0) = 70"), "FAIL5 is said to be the number"),
        (then("recvmsg(4, {msg_iov(2)=[{...,50},{...,20}], msg_controllen=0}, 0) = 70"), "PASS"),
        (
            then("recvmsg(4, {msg_iov(2)=[{...,50},{...,20}], msg_controllen=77}, 0) = 70"),
            "FAILexpected msg_controllen 77, came 0",
        ),
        (then("send(4, ..., 1, 99999999999) = 1"), "FAIL99999999999 has more than 32 bits"),
        ("0 socket(..., SOCK_STREAM, 0) = 9999999999".into(), "FAIL9999999999 is no int"),
    ]);
}

#[test]
fn addresses_are_of_the_family_that_they_say_and_as_long_as_one_is() {
    let bind = |addr: &str, len: &str, result: &str| format!("{STREAM}+0 bind(3, {addr}, {len}) = {result}");
    let any = "{sa_family=AF_INET, sin_port=htons(80), sin_addr=INADDR_ANY}";
    let mixed = "{sa_family=AF_INET6, sin_port=htons(80), sin_addr=inet_addr(\"192.168.0.1\")}";
    judge(&[
        (bind(any, "16", "0"), "PASS"),
        (bind(any, "3", "0"), "FAILbind: expected 0, came -1 EINVAL"),
        (bind(any, "3", "-1 EINVAL"), "PASS"),
        (bind("...", "129", "-1 EINVAL"), "PASS"),
        (bind(mixed, "...", "0"), "FAILAF_INET6 with the IPv4 address 192.168.0.1"),
        (bind(any, "...", "-1 EINVAL").replace("socket(...", "socket(AF_INET6"), "PASS"),
        (bind(&any.replace("AF_INET", "AF_INET6"), "...", "-1 EAFNOSUPPORT"), "PASS"),
        (
            bind(&any.replace("80", "700000"), "...", "0"),
            "FAIL:2:41: htons: expected a number of 16 bits, found 700000",
        ),
        (bind(&any.replace("htons(80)", "70000"), "...", "0"), "FAIL70000 is no port"),
    ]);
}

#[test]
fn a_name_fills_its_field_with_zeros_and_an_option_needs_its_octets() {
    let congestion =
        |value: &str, len: u32| open() + &format!("+0 getsockopt(4, SOL_TCP, TCP_CONGESTION, {value}, [{len}]) = 0");
    let reuse =
        |len: u32, result: &str| format!("{STREAM}+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], {len}) = {result}");
    judge(&[
        (congestion("\"cubic\"", 16), "PASS"),
        (congestion("\"cub\"", 16), "FAILexpected the value \"cub\", came \"cubic\""),
        (congestion("\"cubi\"", 4), "PASS"),
        (reuse(4, "0"), "PASS"),
        (reuse(0, "0"), "FAILcame -1 EINVAL"),
        (reuse(2, "-1 EINVAL"), "PASS"),
    ]);
}

#[test]
fn a_word_that_is_defined_is_replaced_wherever_it_stands() {
    let defined = |text: &str, defines: &[(&str, &str)]| {
        let defines: Vec<_> = defines.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Script::parse("x.pkt", text, &defines).unwrap_or_else(|e| panic!("{text}: {e}")).events
    };
    for (with, without, defines) in [
        ("0 < icmp unreachable CODE", "0 < icmp unreachable host_unreachable", &[("CODE", "host_unreachable")][..]),
        ("0 CMD", "0 `true`", &[("CMD", "`true`")]),
        ("0 > FL 1:11(N) ack 1", "0 > P. 1:11(10) ack 1", &[("FL", "P."), ("N", "10")]),
        ("0 > FL. 1:1(0) ack A", "0 > F. 1:1(0) ack 1", &[("FL", "F"), ("A", "1")]),
        ("0 < [E] S 0:0(0) W 5 <O 9>", "0 < [ce] S 0:0(0) win 5 <mss 9>", &[("E", "ce"), ("W", "win"), ("O", "mss")]),
        ("0 < U P > 9 (L)", "0 < udp 7 > 9 (3)", &[("U", "udp"), ("P", "7"), ("L", "3")]),
        ("T < udp (3)", "0 < udp (3)", &[("T", "0")]),
        (
            "0...T CALL(F) = -1 E (x)",
            "0...0.5 close(3) = -1 EBADF (x)",
            &[("T", ".5"), ("CALL", "close"), ("F", "3"), ("E", "EBADF")],
        ),
    ] {
        let (with, without) = (defined(with, defines), defined(without, &[]));
        assert_eq!(with[0].action, without[0].action);
        assert_eq!(with[0].time, without[0].time);
    }
    let e = Script::parse("x.pkt", "0 CMD", &[("CMD".into(), "`sysctl \"x`".into())]).expect_err("a quote");
    assert_eq!((e.at.column, e.message.as_str()), (3, "this text has no end: expected \""));
}

#[test]
fn what_contradicts_itself_is_shown_with_a_caret() {
    for (line, column, said) in [
        ("0 < [noecn, ce] . 1:1(0) ack 1 win 5", 13, "this was said before"),
        ("0 < [ce, tos 0xff] . 1:1(0) ack 1 win 5", 10, "this was said before"),
        ("0 < [ttl 3, ttl 4] . 1:1(0) ack 1 win 5", 13, "this was said before"),
        ("0 < [ect01] . 1:1(0) ack 1 win 5", 6, "a packet that arrives has ect0 or ect1"),
        ("0 < [flowlabel 0x100000] . 1:1(0) ack 1 win 5", 16, "expected a number of 20 bits"),
        ("0 < P..PP. 1:1(0) ack 1 win 5", 5, "the flag . stands twice"),
        ("0 < PP. 1:1(0) ack 1 win 5", 5, "the flag P stands twice"),
        ("0 < .P 1:1(0) ack 1 win 5", 5, "only the digit of ACE may follow the flag ."),
        ("0 < -P. 1:1(0) ack 1 win 5", 5, "- says that there are no flags"),
        ("0 < E.5 1:1(0) ack 1 win 5", 5, "the bits of ACE are said twice"),
        ("0 < icmp unreachable frag_needed mtu 600 [1:9(5000)]", 45, "the last sequence number is 9, but 1 and 5000"),
        ("0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, ptr=4, u64=77}) = 0", 58, "its value already, as ptr"),
        ("0 poll([{fd=3, fd=4, events=POLLIN}], 1, 0) = 0", 16, "its value already, as fd"),
        ("0 `sysctl -q net.ipv4.tcp_retries2=\"1`", 36, "this text has no end: expected \""),
        ("0 `sysctl -q net.ipv4.tcp_sack=0 net.ipv4.nonsense`", 34, "unknown sysctl net.ipv4.nonsense"),
        ("0 `sysctl net.ipv4.nonsense`", 11, "unknown sysctl net.ipv4.nonsense"),
    ] {
        let e = Script::parse("x.pkt", line, &[]).expect_err(line);
        assert_eq!(e.at.column, column, "{line}\n{e}");
        assert!(e.message.contains(said), "{line}\n{e}");
    }
    for fine in
        ["0 `true # don't`", "0 `echo \"it's\" 'a \"b' \\' # \"`", "0 > [ect01] .5 1:1(0) ack 1", "0 > S0W 0:0(0)"]
    {
        assert!(Script::parse("x.pkt", fine, &[]).is_ok(), "{fine}");
    }
    let labelled = "+0 > [flowlabel 0x0] S. 0:0(0) ack 1 <...>";
    judge(&[
        (
            ACCEPTED.replace("+0 > S. 0:0(0) ack 1 <mss 1460>", labelled),
            "FAILx.pkt:5:1: a packet of IPv4 has no flow label",
        ),
        (
            "0 < icmp unreachable frag_needed mtu 70000 [1:1(0)]".into(),
            "FAILx.pkt:1:1: mtu 70000: an ICMP message of IPv4",
        ),
    ]);
}

#[test]
fn other_dialects_are_skipped() {
    judge(&[
        (open() + "#ifdef STANDARD\n+0 < nonsense\n#endif\n", "SKIPline 8: #ifdef STANDARD, a line for a preprocessor"),
        (
            open() + "+0 < . 1:1(0) ack 1 win 257 <mpcapable v1 flags[flag_h] nokey>\n+0 > . 1:1(0) ack 1",
            "SKIPoptions of MPTCP",
        ),
        (format!("--udp_encapsulation=tcp\n{STREAM}"), "SKIPline 1: --udp_encapsulation asks for what is not there"),
        ("#nonsense\n0 `true`".into(), "FAILx.pkt:1:1: expected a time"),
    ]);
}

#[test]
fn options_of_a_script_have_the_values_that_they_take() {
    let with = |option: &str| format!("{option}\n{STREAM}");
    judge(&[
        (with("--strict_segments"), "PASS"),
        (with("--strict_segments=false"), "FAILx.pkt:1:19: --strict_segments: expected no value, found \"false\""),
        (with("--gateway_ip=rubbish"), "FAILx.pkt:1:14: --gateway_ip: expected an address"),
        (with("--netmask_ip=255.255.0.0"), "PASS"),
        (with("--netmask_ip=also"), "FAILx.pkt:1:14: --netmask_ip: expected an address"),
        (with("--speed=fast"), "FAILx.pkt:1:9: --speed: expected a number"),
        (with("--dry_run") + "+0 read(3, ..., 9) = 33", "SKIPdry run"),
    ]);
}

#[test]
fn sysctls_are_compared_by_number() {
    let set = |kv: &str| format!("`sysctl -q net.ipv4.{kv}`\n{STREAM}");
    judge(&[
        (set("tcp_recovery=0x1"), "PASS"),
        (set("tcp_early_retrans=2"), "PASS"),
        (set("tcp_timestamps=0x0"), "PASS"),
        (set("tcp_sack=01"), "PASS"),
        (set("tcp_recovery=3"), "SKIPnet.ipv4.tcp_recovery=3: only 0 or 1 means something here"),
        (set("tcp_sack=256"), "FAILnet.ipv4.tcp_sack=256: expected 0 or 1"),
    ]);
}

#[test]
fn lines_that_end_as_elsewhere_are_lines() {
    let text = format!("`sysctl -q net.ipv4.tcp_sack=0 \\\n net.ipv4.tcp_timestamps=0`\n{STREAM}");
    judge(&[(text.replace('\n', "\r\n"), "PASS")]);
    let script = Script::parse("x.pkt", &text.replace('\n', "\r\n"), &[]).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(&script.events[0].action, Action::Call(_)) && script.lines.iter().all(|l| !l.contains('\r')));
}

#[test]
fn a_timestamp_that_is_not_compared_is_shown_as_the_script_has_it() {
    let text = ACCEPTED.replace("<mss 1000>", "<mss 1000,nop,nop,TS val 5 ecr 0>");
    let text = text.replace("<mss 1460>", "<mss 1460,TS val 700 ecr 5,nop,nop>");
    let Verdict::Fail(f) =
        play(&Script::parse("x.pkt", &text, &[]).unwrap_or_else(|e| panic!("{e}")), &Settings::default()).verdict
    else {
        panic!("it is nop, nop first")
    };
    let row = f.fields.iter().find(|c| c.name == "options").expect("a row");
    assert_eq!(row.came, "<mss 1460,nop,nop,TS val 700 ecr 5>");
}
