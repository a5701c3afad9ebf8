//! A listener for any destination: who decides sees where a SYN wanted to go, and nothing is said before.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{AT, Said, Say, Server, all_options, peer};
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;
use synfin_stack::engine::{State, TcpConfig};
use synfin_stack::wire::tcp::{Flags, Options};
use synfin_stack::{Decision, ListenError, SocketEvent, StackConfig, Tuple};

fn gateway(backlog: usize) -> Server {
    let cfg = StackConfig { decision_timeout: Duration::from_secs(60), ..StackConfig::default() };
    Server::for_any(backlog, cfg, &TcpConfig::default())
}

/// Somewhere in the world.
fn elsewhere(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new([203, 0, 113, 9].into(), port)
}

fn syn(port: u16) -> Say<'static> {
    Say { from: peer(port), to: elsewhere(443), opts: all_options(1), ..Say::default() }
}

fn tuple(s: &Say<'_>) -> Tuple {
    Tuple { local: SocketAddr::from(s.to), remote: SocketAddr::from(s.from) }
}

fn decide(s: &mut Server, say: &Say<'_>, d: Decision) -> (bool, Vec<Said>) {
    let known = s.stack.tcp_decide(s.now, &mut (), tuple(say), d);
    s.stack.check_invariants();
    (known, s.out())
}

#[test]
fn the_destination_is_shown_and_an_accepted_syn_becomes_a_connection_with_it() {
    let mut s = gateway(8);
    assert!(s.say(&syn(1)).is_empty(), "nothing is said before the decision");
    assert_eq!(s.stack.poll_event(), Some(SocketEvent::Listener(s.listener)));
    assert_eq!(s.stack.tcp_next_request(s.listener), Some(tuple(&syn(1))));
    assert_eq!(s.stack.tcp_next_request(s.listener), None, "once");
    assert_eq!(s.stack.tcp_state_of(tuple(&syn(1))), State::Listen);
    s.run(Duration::from_secs(5));
    let (known, out) = decide(&mut s, &syn(1), Decision::Accept);
    let [said] = &out[..] else { panic!("{out:?}") };
    assert!(known && said.is_syn_ack());
    assert_eq!((said.from, said.to), (elsewhere(443).into(), peer(1).into()), "from where it was for");
    assert_eq!((said.opts.window_scale, said.opts.sack_permitted), (Some(7), true));
    assert!(!decide(&mut s, &syn(1), Decision::Refuse).0, "it was decided");
    let ack = Say { seq: (1001, said.hdr.seq.0.wrapping_add(1)), flags: Flags::ACK, text: b"x", ..syn(1) };
    let opts = server::echo(said, 2);
    assert_eq!(s.answer(&Say { opts, ..ack }).hdr.ack.0, 1002);
    let c = s.stack.tcp_accept(s.listener).unwrap();
    assert_eq!(s.stack.tcp_tuple(c), Some(tuple(&syn(1))));
}

#[test]
fn a_refused_syn_is_reset_as_by_a_closed_port() {
    let mut s = gateway(8);
    s.say(&syn(1));
    let (known, out) = decide(&mut s, &syn(1), Decision::Refuse);
    let [rst] = &out[..] else { panic!("{out:?}") };
    assert!(known && rst.is_reset() && rst.hdr.flags.has(Flags::ACK));
    assert_eq!((rst.hdr.seq.0, rst.hdr.ack.0, rst.from), (0, 1001, elsewhere(443).into()));
    let o = s.stack.occupancy();
    assert_eq!((o.half_open, o.timers, o.index), (0, 0, 0));
    s.say(&syn(1));
    assert_eq!(s.stack.tcp_next_request(s.listener), Some(tuple(&syn(1))), "another attempt is another question");
}

#[test]
fn the_same_syn_asks_once_whatever_the_decision_is() {
    let mut s = gateway(8);
    s.say(&syn(1));
    assert!(s.stack.tcp_next_request(s.listener).is_some());
    for _ in 0..5 {
        assert!(s.say(&syn(1)).is_empty());
    }
    assert_eq!(s.stack.tcp_next_request(s.listener), None, "not while the decision is waited for");
    assert_eq!(decide(&mut s, &syn(1), Decision::Drop).1.len(), 0);
    s.run(Duration::from_secs(30));
    assert!(s.say(&syn(1)).is_empty());
    assert_eq!(s.stack.tcp_next_request(s.listener), None, "nor after it is met by silence");
    let ack = Say { seq: (1001, 77), flags: Flags::ACK, opts: Options::default(), ..syn(1) };
    assert!(s.say(&ack).is_empty(), "silence is for everything of it");
    s.run(Duration::from_secs(31));
    assert_eq!((s.stack.occupancy().half_open, s.counter("SynfinUndecidedSyns")), (0, 0));
    s.say(&syn(1));
    assert!(s.stack.tcp_next_request(s.listener).is_some(), "but that is forgotten in the end");
    // Accepted: the same SYN gets the same SYN,ACK.
    let first = decide(&mut s, &syn(1), Decision::Accept).1;
    let again = s.answer(&syn(1));
    assert_eq!((first[0].hdr.seq, s.stack.tcp_next_request(s.listener)), (again.hdr.seq, None));
}

#[test]
fn who_begins_anew_or_takes_it_back_is_heard_while_the_decision_is_waited_for() {
    let mut s = gateway(8);
    s.say(&syn(1));
    assert!(s.stack.tcp_next_request(s.listener).is_some());
    s.say(&Say { seq: (5_000, 0), ..syn(1) });
    assert_eq!(s.stack.tcp_next_request(s.listener), Some(tuple(&syn(1))));
    let out = decide(&mut s, &syn(1), Decision::Accept).1;
    assert_eq!(out[0].hdr.ack.0, 5_001, "the decision is about the new one");
    s.say(&syn(2));
    s.say(&Say { seq: (1_002, 0), flags: Flags::RST, ..syn(2) });
    assert_eq!(s.stack.occupancy().half_open, 2, "not by a guess");
    s.say(&Say { seq: (1_001, 0), flags: Flags::RST, ..syn(2) });
    assert_eq!((s.stack.occupancy().half_open, s.stack.tcp_next_request(s.listener)), (1, None));
    assert!(!decide(&mut s, &syn(2), Decision::Accept).0, "there is nobody to accept");
}

#[test]
fn what_awaits_a_decision_is_bounded_and_its_time_is_up() {
    let mut s = gateway(4);
    for port in 1..=1_000 {
        assert!(s.say(&syn(port)).is_empty(), "no cookie answers before the decision");
    }
    let o = s.stack.occupancy();
    assert_eq!((o.half_open, o.timers, s.status().dropped), (4, 4, 996));
    assert_eq!((s.counter("TcpExtTCPReqQFullDrop"), s.counter("TcpExtSyncookiesSent")), (996, 0));
    let asked: Vec<_> = std::iter::from_fn(|| s.stack.tcp_next_request(s.listener)).collect();
    assert_eq!(asked, [1, 2, 3, 4].map(|p| tuple(&syn(p))));
    s.run(Duration::from_secs(59));
    assert_eq!(s.stack.occupancy().half_open, 4);
    s.run(Duration::from_secs(2));
    let o = s.stack.occupancy();
    assert_eq!((o.half_open, o.timers, o.index), (0, 0, 0));
    assert_eq!(s.counter("SynfinUndecidedSyns"), 4);
    assert!(!decide(&mut s, &syn(1), Decision::Accept).0);
    // Events do not pile up where nobody looks.
    assert!(std::iter::from_fn(|| s.stack.poll_event()).count() <= 1);
}

#[test]
fn silence_makes_room_for_who_comes_next() {
    let mut s = gateway(4);
    for port in 1..=100 {
        s.say(&syn(port));
        assert_eq!(s.stack.tcp_next_request(s.listener), Some(tuple(&syn(port))), "{port}");
        decide(&mut s, &syn(port), Decision::Drop);
    }
    assert_eq!((s.status().half_open, s.status().dropped), (4, 0));
    s.say(&syn(100));
    assert_eq!(s.stack.tcp_next_request(s.listener), None, "the latest silence is still known");
    s.say(&syn(1));
    assert!(s.stack.tcp_next_request(s.listener).is_some(), "the oldest is not");
}

#[test]
fn another_listener_comes_first_and_there_is_one_for_the_rest() {
    let mut s = gateway(8);
    let (now, cfg) = (s.now, TcpConfig::default());
    assert_eq!(s.stack.tcp_listen_any(now, &mut (), 8, &cfg), Err(ListenError::AddressInUse));
    s.stack.tcp_listen(now, &mut (), AT.into(), 8, &cfg).unwrap();
    assert!(s.answer(&Say { from: peer(1), ..Say::default() }).is_syn_ack());
    assert!(s.say(&syn(2)).is_empty());
    assert!(s.say(&Say { to: SocketAddrV4::new(*AT.ip(), 81), ..syn(3) }).is_empty(), "our own address as well");
    assert!(s.say(&Say { to: elsewhere(80), ..syn(4) }).is_empty());
    let locals: Vec<_> = std::iter::from_fn(|| s.stack.tcp_next_request(s.listener)).map(|t| t.local.port()).collect();
    assert_eq!(locals, [443, 81, 80]);
    let stray = Say { seq: (1, 2), flags: Flags::ACK, opts: Options::default(), ..syn(5) };
    assert!(s.answer(&stray).is_reset(), "what is no SYN asks nobody");
}

#[test]
fn closing_it_refuses_what_awaits_a_decision() {
    let mut s = gateway(8);
    for port in 1..=3 {
        s.say(&syn(port));
    }
    s.stack.tcp_next_request(s.listener);
    decide(&mut s, &syn(2), Decision::Drop);
    decide(&mut s, &syn(3), Decision::Accept);
    s.stack.tcp_close_listener(s.now, &mut (), s.listener);
    s.stack.check_invariants();
    let out = s.out();
    assert_eq!(out.len(), 2, "and is silent where it was to be: {out:?}");
    assert!(out.iter().all(Said::is_reset));
    let o = s.stack.occupancy();
    assert_eq!((o.half_open, o.timers, o.index, o.listeners, o.settings), (0, 0, 0, 0, 0));
    assert!(s.answer(&syn(1)).is_reset(), "nobody listens");
    assert!(s.stack.tcp_listen_any(s.now, &mut (), 8, &TcpConfig::default()).is_ok());
}
