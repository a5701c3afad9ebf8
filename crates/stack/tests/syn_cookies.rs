//! SYN cookies, seen from outside: what comes back makes a connection as good as any, and nothing else makes one.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{AT, Said, Say, Server, all_options, echo, peer};
use std::time::Duration;
use synfin_stack::engine::config::SynCookies;
use synfin_stack::engine::{State, TcpConfig};
use synfin_stack::wire::tcp::{Flags, Options};
use synfin_stack::{ConnId, StackConfig};

fn server(mode: SynCookies, backlog: usize) -> Server {
    Server::new(backlog, StackConfig::default(), &TcpConfig { syn_cookies: mode, ..TcpConfig::default() })
}

/// The ACK of a SYN,ACK.
fn ack<'a>(said: &Said, opts: Options, text: &'a [u8]) -> Say<'a> {
    let seq = (said.hdr.ack.0, said.hdr.seq.0.wrapping_add(1));
    let from = match said.to {
        std::net::SocketAddr::V4(a) => a,
        std::net::SocketAddr::V6(_) => unreachable!("the peers have IPv4"),
    };
    Say { from, seq, flags: Flags::ACK, opts, text, ..Say::default() }
}

fn accept(s: &mut Server) -> ConnId {
    s.stack.tcp_accept(s.listener).expect("a connection that waits")
}

#[test]
//= RFC 4987 3.6
fn the_ack_makes_a_connection_with_all_that_was_agreed_and_its_text() {
    let mut s = server(SynCookies::Always, 8);
    s.run(Duration::from_millis(123_457));
    let syn = Say { opts: all_options(5_000), flags: Flags::SYN | Flags::ECE | Flags::CWR, ..Say::default() };
    let said = s.answer(&syn);
    assert!(said.is_syn_ack() && said.hdr.flags.has(Flags::ECE) && !said.hdr.flags.has(Flags::CWR));
    assert_eq!((said.opts.mss, said.opts.window_scale, said.opts.sack_permitted), (Some(1460), Some(7), true));
    assert_eq!(said.opts.timestamps.map(|t| t.ecr), Some(5_000));
    let o = s.stack.occupancy();
    assert_eq!((o.half_open, o.index, o.timers, o.connections), (0, 0, 0, 0), "nothing is kept");
    s.run(Duration::from_millis(80));

    let text = s.answer(&ack(&said, echo(&said, 5_080), b"hello"));
    assert_eq!(text.hdr.ack.0, 1006, "text on the third segment counts");
    let c = accept(&mut s);
    let t = s.stack.tcp_status(c).unwrap();
    assert_eq!((t.state, t.mss, t.wscale, t.options), (State::Established, 1448, (9, 7), (true, true)));
    assert_eq!(t.snd_wnd, 1000 << 9, "scaled");
    assert_eq!(t.ecn.feedback, synfin_stack::engine::ecn::Feedback::Classic);
    assert_eq!(s.stack.tcp_tuple(c).map(|t| t.local), Some(AT.into()));
    let mut buf = [0; 10];
    let got = s.stack.tcp_receive(s.now, &mut (), c, &mut buf);
    assert_eq!((got, &buf[..5]), (Ok(5), &b"hello"[..]));
    assert_eq!(s.counter("TcpPassiveOpens"), 1);
    let counts = ["Sent", "Recv", "Failed"].map(|n| s.counter(&format!("TcpExtSyncookies{n}")));
    assert_eq!(counts, [1, 1, 0]);
    assert_eq!(s.status().cookies.accepted, 1);
}

#[test]
fn timestamps_go_on_from_the_cookies_and_paws_holds() {
    for wait in [0, 1, 63, 64, 1_000] {
        let mut s = server(SynCookies::Always, 8);
        let said = s.answer(&Say { opts: all_options(u32::MAX - 10), ..Say::default() });
        let first = said.opts.timestamps.unwrap().val;
        s.run(Duration::from_millis(wait));
        let reply = s.answer(&ack(&said, echo(&said, u32::MAX - 5), b"x"));
        let later = reply.opts.timestamps.unwrap();
        let passed = later.val.wrapping_sub(first);
        assert!((wait..wait + 64).contains(&u64::from(passed)), "{wait}: TSval never goes back: {passed}");
        assert_eq!(later.ecr, u32::MAX - 5);
        let c = accept(&mut s);
        // Older than the ACK: PAWS. Newer, round the end of its numbers: taken.
        let old = Options { timestamps: later_ts(u32::MAX - 6, later.val), ..Options::default() };
        let Say { from, .. } = ack(&said, old, b"");
        let next =
            Say { from, seq: (1002, said.hdr.seq.0 + 1), flags: Flags::ACK, opts: old, text: b"y", ..Say::default() };
        let out = s.answer(&next);
        assert_eq!((out.hdr.ack.0, s.counter("TcpExtPAWSEstab")), (1002, 1));
        let new = Options { timestamps: later_ts(3, later.val), ..Options::default() };
        let out = s.answer(&Say { opts: new, ..next });
        assert_eq!(out.hdr.ack.0, 1003);
        assert_eq!(s.stack.tcp_status(c).unwrap().counters.bytes_received, 2);
    }
}

fn later_ts(val: u32, ecr: u32) -> Option<synfin_stack::wire::tcp::Timestamps> {
    Some(synfin_stack::wire::tcp::Timestamps { val, ecr })
}

#[test]
fn without_timestamps_the_mss_comes_back_and_nothing_else_is_offered() {
    for (announced, mss) in [(None, 536), (Some(9_000), 1460), (Some(1452), 1440), (Some(1000), 536)] {
        let mut s = server(SynCookies::Always, 8);
        let opts = Options { mss: announced, timestamps: None, ..all_options(0) };
        let said = s.answer(&Say { opts, flags: Flags::SYN | Flags::ECE | Flags::CWR, ..Say::default() });
        assert_eq!(said.opts, Options { mss: Some(1460), ..Options::default() });
        assert!(!said.hdr.flags.has(Flags::ECE));
        assert!(s.say(&ack(&said, Options::default(), b"")).is_empty());
        let c = accept(&mut s);
        let t = s.stack.tcp_status(c).unwrap();
        assert_eq!((t.mss, t.wscale, t.options, t.snd_wnd), (mss, (0, 0), (false, false), 1000));
        // What is written goes out in segments of that size.
        s.stack.tcp_send(s.now, &mut (), c, &[7; 4000]).unwrap();
        assert_eq!(s.out().first().map(|o| o.text.len()), Some(usize::from(mss.min(1000))));
    }
}

#[test]
fn an_mss_that_no_cookie_can_say_is_left_to_the_syn_queue() {
    let mut s = server(SynCookies::Overflow, 1);
    let tiny = |port| Say { from: peer(port), opts: Options { mss: Some(60), ..Options::default() }, ..Say::default() };
    assert!(s.answer(&tiny(1)).is_syn_ack());
    assert!(s.say(&tiny(2)).is_empty());
    assert_eq!((s.counter("TcpExtTCPReqQFullDrop"), s.counter("TcpExtListenDrops")), (1, 1));
    let mut s = server(SynCookies::Always, 1);
    assert!(s.answer(&tiny(1)).is_syn_ack());
    assert_eq!((s.status().half_open, s.status().cookies.sent), (1, 0));
}

#[test]
fn what_was_changed_on_the_way_is_no_cookie_and_is_reset() {
    let mut s = server(SynCookies::Always, 8);
    let said = s.answer(&Say { opts: all_options(5_000), ..Say::default() });
    let good = ack(&said, echo(&said, 5_001), b"x");
    let number = |n: u32| Say { seq: (good.seq.0, good.seq.1.wrapping_add(n)), ..good.clone() };
    let mut other_option = good.clone();
    other_option.opts.timestamps.as_mut().unwrap().ecr ^= 1;
    let bad = [
        number(1),
        number(8u32.wrapping_neg()),
        number(1 << 24),
        number(1 << 16),
        Say { seq: (good.seq.0 + 1, good.seq.1), ..good.clone() },
        Say { from: peer(1025), ..good.clone() },
        other_option,
        Say { opts: Options::default(), ..good.clone() },
    ];
    for (n, b) in bad.iter().enumerate() {
        let out = s.answer(b);
        assert!(out.is_reset() && out.hdr.seq.0 == b.seq.1, "{n}");
        assert_eq!((s.counter("TcpExtSyncookiesFailed"), s.status().cookies.refused), (n as u64 + 1, n as u64 + 1));
    }
    assert_eq!((s.counter("TcpExtSyncookiesRecv"), s.stack.occupancy().connections), (0, 0));
    assert!(!s.answer(&good).is_reset(), "the right one is taken all the same");
}

#[test]
fn a_cookie_grows_old() {
    // Slots of 60 s: one that is made at a slot's end is good for 60 s more at least, none for longer than 120 s.
    for (made, waits, good) in [(59, 59, true), (59, 62, false), (1, 117, true), (1, 120, false)] {
        let mut s = server(SynCookies::Always, 8);
        s.run(Duration::from_secs(60 * 10 + made - 1));
        let said = s.answer(&Say::default());
        s.run(Duration::from_secs(waits));
        let out = s.say(&ack(&said, Options::default(), b""));
        assert_eq!(out.is_empty(), good, "made at {made} s of a slot, back after {waits} s");
        assert_eq!(s.status().accept_queue, usize::from(good));
    }
}

#[test]
fn nobody_looks_for_cookies_where_none_were_sent_lately() {
    let mut s = server(SynCookies::Overflow, 1);
    let stray = Say { seq: (1, 2), flags: Flags::ACK, ..Say::default() };
    assert!(s.answer(&stray).is_reset());
    assert_eq!(s.counter("TcpExtSyncookiesFailed"), 0, "a RST as ever");
    s.answer(&Say { from: peer(1), ..Say::default() });
    let said = s.answer(&Say { from: peer(2), ..Say::default() });
    assert_eq!((s.status().half_open, s.status().cookies.sent), (1, 1));
    assert!(s.answer(&stray).is_reset());
    assert_eq!(s.counter("TcpExtSyncookiesFailed"), 1);
    s.run(Duration::from_secs(121));
    assert!(s.answer(&stray).is_reset() && s.answer(&ack(&said, Options::default(), b"")).is_reset());
    assert_eq!(s.counter("TcpExtSyncookiesFailed"), 1, "nor any more after two minutes");
    // Another port's cookies are no reason either, and cookies that were turned off are not taken.
    let said = {
        let mut always = server(SynCookies::Always, 8);
        let said = always.answer(&Say::default());
        assert!(always.stack.tcp_configure_listener(always.listener, |c| c.syn_cookies = SynCookies::Off));
        assert!(always.answer(&ack(&said, Options::default(), b"")).is_reset());
        said
    };
    assert!(said.is_syn_ack());
}

#[test]
fn a_cookie_is_good_once() {
    let mut s = server(SynCookies::Always, 8);
    let said = s.answer(&Say { opts: all_options(5_000), ..Say::default() });
    let good = ack(&said, echo(&said, 5_001), b"x");
    s.answer(&good);
    let c = accept(&mut s);
    assert_eq!(s.answer(&good).hdr.ack.0, 1002, "the connection itself knows an old segment");
    s.stack.tcp_abort(s.now, &mut (), c);
    s.out();
    // It was under way while the connection ended, or somebody has kept it.
    assert!(s.answer(&good).is_reset());
    s.run(Duration::from_secs(30));
    assert!(s.answer(&good).is_reset());
    // With the number of another MSS, which is as good.
    assert!(s.answer(&Say { seq: (good.seq.0, good.seq.1.wrapping_sub(1)), ..good.clone() }).is_reset());
    assert_eq!((s.counter("TcpExtSyncookiesRecv"), s.counter("TcpExtSyncookiesFailed")), (1, 3));
    assert_eq!(s.stack.occupancy().cookies, 1);
}

#[test]
fn a_full_accept_queue_does_not_use_a_cookie_up() {
    let mut s = server(SynCookies::Always, 1);
    let said = [1, 2].map(|p| s.answer(&Say { from: peer(p), ..Say::default() }));
    let acks = said.clone().map(|x| ack(&x, Options::default(), b"x"));
    assert_eq!(s.answer(&acks[0]).hdr.ack.0, 1002);
    assert!(s.say(&acks[1]).is_empty(), "to the client the server is busy");
    assert_eq!((s.counter("TcpExtListenOverflows"), s.status().overflowed), (1, 1));
    assert!(s.say(&Say { from: peer(3), ..Say::default() }).is_empty(), "and no SYN is answered");
    accept(&mut s);
    assert_eq!(s.answer(&acks[1]).hdr.ack.0, 1002, "its text, sent again, brings the cookie back");
    accept(&mut s);
}

#[test]
fn a_fin_may_come_with_the_ack() {
    let mut s = server(SynCookies::Always, 8);
    let said = s.answer(&Say::default());
    let out = s.say(&Say { flags: Flags::ACK | Flags::FIN, ..ack(&said, Options::default(), b"bye") });
    assert!(out.iter().all(|o| !o.is_reset()));
    let c = accept(&mut s);
    assert_eq!(s.stack.tcp_state(c), State::CloseWait);
}

#[test]
fn a_syn_that_is_newer_than_a_time_wait_is_left_to_the_syn_queue() {
    let mut s = server(SynCookies::Always, 8);
    let said = s.answer(&Say::default());
    s.say(&ack(&said, Options::default(), b""));
    let c = accept(&mut s);
    s.stack.tcp_close(s.now, &mut (), c);
    let fin = s.out().pop().unwrap();
    s.say(&Say { seq: (1001, fin.hdr.seq.0.wrapping_add(1)), flags: Flags::FIN | Flags::ACK, ..Say::default() });
    assert_eq!(s.stack.occupancy().time_wait, 1);
    let again = s.answer(&Say { seq: (900_000, 0), ..Say::default() });
    assert!(again.is_syn_ack() && fin.hdr.seq.lt(again.hdr.seq), "its number is above what was");
    assert_eq!((s.status().half_open, s.status().cookies.sent), (1, 1));
}
