//! What a script says and was once passed over: each of these must be looked at, or be skipped with its reason.

mod common;

use common::{ACCEPTED, judge};

const DATAGRAMS: &str = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n";

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
