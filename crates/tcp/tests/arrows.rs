//! Every arrow of RFC 9293 figure 5 and of its notes is taken by two real ends.

mod pair;

use pair::{Pair, bare};
use std::collections::HashSet;
use synfin_tcp::state::TRANSITIONS;
use synfin_tcp::time::Duration;
use synfin_tcp::{CloseReason, Rule, SendReason, State, Trigger};
use synfin_wire::tcp::Flags;

type Move = (State, Trigger, State);

fn moves(p: &Pair) -> Vec<Move> {
    p.a.log.moves.iter().chain(&p.b.log.moves).copied().collect()
}

fn path(moves: &[Move]) -> Vec<State> {
    let mut v: Vec<State> = moves.iter().map(|m| m.0).take(1).collect();
    v.extend(moves.iter().map(|m| m.2));
    v
}

fn handshake() -> Pair {
    let mut p = Pair::open();
    assert_eq!(path(&p.a.log.moves), [State::Closed, State::SynSent, State::Established]);
    assert_eq!(path(&p.b.log.moves), [State::Listen, State::SynReceived, State::Established]);
    p.a.log.sent.clear();
    p.b.log.sent.clear();
    p
}

#[test]
//= RFC 9293 3.6.1 MUST-13 (60 s: see the exceptions)
fn close_in_three_segments_when_the_passive_side_is_prompt() {
    let mut p = handshake();
    let now = p.now;
    p.a.shutdown(now);
    p.step(now + Duration::from_millis(30)); // the FIN arrives; its acknowledgment waits
    assert_eq!(p.b.state(), State::CloseWait);
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    let b: Vec<_> = p.b.log.sent.iter().map(|s| s.0.flags).collect();
    assert_eq!(b, [Flags::FIN | Flags::ACK], "ACK and FIN travel in one segment");
    assert_eq!(
        path(&p.a.log.moves)[2..],
        [State::Established, State::FinWait1, State::TimeWait],
        "figure 5, note 2: FIN-WAIT-1 -> TIME-WAIT directly"
    );
    assert_eq!(path(&p.b.log.moves)[2..], [State::Established, State::CloseWait, State::LastAck, State::Closed]);
    p.run(Duration::from_secs(61));
    assert_eq!(p.a.state(), State::Closed);
}

fn four_way(p: &mut Pair) {
    let now = p.now;
    p.a.shutdown(now);
    p.settle();
    assert_eq!((p.a.state(), p.b.state()), (State::FinWait2, State::CloseWait));
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    assert_eq!((p.a.state(), p.b.state()), (State::TimeWait, State::Listen));
}

#[test]
fn close_in_four_segments_when_the_passive_side_is_late() {
    let mut p = handshake();
    four_way(&mut p);
    assert_eq!(p.a.log.sent.len() + p.b.log.sent.len(), 3 + 1);
    p.run(Duration::from_secs(61));
    assert_eq!(p.a.state(), State::Closed);
}

fn simultaneous_open() -> Pair {
    let mut p = Pair::new();
    let now = p.now;
    p.a.connect(now);
    p.b.connect(now);
    p.run(Duration::from_millis(25));
    p
}

#[test]
//= RFC 9293 3.5 MUST-10
fn simultaneous_open_as_in_figure_7() {
    let mut p = simultaneous_open();
    p.settle();
    for h in [&p.a, &p.b] {
        assert_eq!(path(&h.log.moves), [State::Closed, State::SynSent, State::SynReceived, State::Established]);
    }
    let now = p.now;
    assert_eq!(p.a.send(now, b"hello"), 5);
    p.settle();
    let now = p.now;
    assert_eq!(p.b.read(now), b"hello");
}

#[test]
fn simultaneous_close_goes_through_closing() {
    let mut p = handshake();
    let now = p.now;
    p.a.shutdown(now);
    p.b.shutdown(now);
    p.settle();
    for h in [&p.a, &p.b] {
        assert_eq!(path(&h.log.moves)[2..], [State::Established, State::FinWait1, State::Closing, State::TimeWait]);
    }
}

#[test]
fn close_in_syn_received_sends_the_fin_and_keeps_the_syn_before_it() {
    // The SYNs cross; one side closes before its own SYN+ACK has gone out.
    let mut p = Pair::new();
    let now = p.now;
    p.a.connect(now);
    p.b.connect(now);
    let (sa, sb) = (p.a.drain(now), p.b.drain(now));
    p.a.on_segment(now, sb[0].clone());
    p.b.on_segment(now, sa[0].clone());
    assert_eq!(p.a.state(), State::SynReceived);
    p.a.shutdown(now);
    assert_eq!(p.a.state(), State::FinWait1);
    p.settle();
    assert_eq!(p.b.state(), State::CloseWait);
    assert_eq!(p.a.state(), State::FinWait2);
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    assert_eq!(p.a.state(), State::TimeWait);
}

#[test]
fn fin_that_arrives_with_the_last_acknowledgment_of_the_handshake() {
    let mut p = Pair::new();
    p.b.listening = true;
    let now = p.now;
    p.inject(true, bare(100, 0, Flags::SYN));
    p.run(Duration::from_millis(5));
    let iss = p.b.iss.0;
    p.inject(true, bare(101, iss + 1, Flags::ACK | Flags::FIN));
    assert_eq!(p.b.state(), State::CloseWait);
    let _ = now;
}

#[test]
//= RFC 9293 3.5 MUST-11
fn a_rst_sends_a_passive_handshake_back_to_listen_and_refuses_an_active_one() {
    let mut p = Pair::new();
    p.b.listening = true;
    p.inject(true, bare(100, 0, Flags::SYN));
    assert_eq!(p.b.state(), State::SynReceived);
    p.inject(true, bare(101, 0, Flags::RST));
    assert_eq!(p.b.state(), State::Listen);
    assert_eq!(p.b.log.moves.last(), Some(&(State::SynReceived, Trigger::RcvRstPassive, State::Listen)));

    // So does another SYN in the window (RFC 9293 3.10.7.4, fourth).
    p.inject(true, bare(100, 0, Flags::SYN));
    p.inject(true, bare(200, 0, Flags::SYN));
    assert_eq!(p.b.state(), State::Listen);
    assert_eq!(p.b.log.moves.last(), Some(&(State::SynReceived, Trigger::RcvSyn, State::Listen)));

    let mut p = Pair::new();
    let now = p.now;
    p.a.connect(now);
    p.settle(); // b is closed and answers with RST
    assert_eq!(p.a.conn.as_ref().and_then(|c| c.reason()), Some(CloseReason::Refused));
}

#[test]
fn send_on_a_listening_socket_opens_actively() {
    let mut p = Pair::new();
    p.a.listening = true;
    p.b.listening = true;
    let now = p.now;
    p.a.connect_from_listen(now);
    p.settle();
    assert_eq!(path(&p.a.log.moves), [State::Listen, State::SynSent, State::Established]);
}

/// Each state from SYN-SENT on, reached by `a`; nothing passes the wire any more.
const STATES: [fn() -> Pair; 8] = [
    || {
        let mut p = Pair::new(); // SYN-SENT: nobody answers
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        p.a.connect(now);
        p.drain();
        p
    },
    || {
        let mut p = Pair::new(); // SYN-RECEIVED, active
        p.pass = Box::new(|_, s, _| !s.has(Flags::ACK));
        let now = p.now;
        p.a.connect(now);
        p.b.connect(now);
        p.run(Duration::from_millis(25));
        p
    },
    handshake, // ESTABLISHED
    || {
        let mut p = handshake(); // FIN-WAIT-1: the FIN is lost
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        p.a.shutdown(now);
        p.drain();
        p
    },
    || {
        let mut p = handshake(); // FIN-WAIT-2 and CLOSE-WAIT
        let now = p.now;
        p.a.shutdown(now);
        p.settle();
        p.pass = Box::new(|_, _, _| false);
        p
    },
    || {
        let mut p = handshake(); // CLOSE-WAIT on a
        let now = p.now;
        p.b.shutdown(now);
        p.settle();
        p.pass = Box::new(|_, _, _| false);
        p
    },
    || {
        let mut p = handshake(); // CLOSING: the acknowledgments of both FINs are lost
        let now = p.now;
        p.pass = Box::new(|_, s, _| s.has(Flags::FIN));
        p.a.shutdown(now);
        p.b.shutdown(now);
        p.run(Duration::from_millis(15));
        p.pass = Box::new(|_, _, _| false);
        p
    },
    || {
        let mut p = handshake(); // LAST-ACK on a
        let now = p.now;
        p.b.shutdown(now);
        p.settle();
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        p.a.shutdown(now);
        p.drain();
        p
    },
];

const NAMES: [&str; 8] =
    ["SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK"];

/// All arrows of the table, each by a scenario; what no scenario takes is printed.
#[test]
fn every_arrow_of_the_table_is_taken() {
    let mut seen: HashSet<Move> = HashSet::new();
    // Passive OPEN and CLOSE of a listener are calls to the stack, which has its own test.
    seen.insert((State::Closed, Trigger::PassiveOpen, State::Listen));
    seen.insert((State::Listen, Trigger::Close, State::Closed));
    let mut take = |p: &Pair| seen.extend(moves(p));

    let (states, names) = (STATES, NAMES);
    for (make, name) in states.into_iter().zip(names) {
        // by RST
        let mut p = make();
        assert_eq!(p.a.state().name(), name);
        let nxt = match p.a.conn.as_ref().and_then(|c| c.tcb()) {
            Some(t) => t.rcv.nxt.0,
            None => 5001,
        };
        let s = if name == "SYN-SENT" { bare(0, 1001, Flags::RST | Flags::ACK) } else { bare(nxt, 0, Flags::RST) };
        p.inject(false, s);
        assert_eq!(p.a.state(), State::Closed, "RST in {name}");
        take(&p);
        // by ABORT
        let mut p = make();
        let now = p.now;
        p.a.abort(now);
        assert_eq!(p.a.state(), State::Closed, "ABORT in {name}");
        let out = p.a.drain(now);
        let wants_rst = !["SYN-SENT", "CLOSING", "LAST-ACK"].contains(&name);
        assert_eq!(out.iter().any(|s| s.has(Flags::RST)), wants_rst, "ABORT in {name}");
        take(&p);
        // by timeout
        let mut p = make();
        let now = p.now;
        p.a.cfg.fin_wait_2 = Duration::from_secs(60);
        match name {
            "ESTABLISHED" | "CLOSE-WAIT" => {
                p.pass = Box::new(|_, _, _| false);
                p.a.send(now, b"into the void");
            }
            "FIN-WAIT-2" => p.a.close(now),
            _ => {}
        }
        p.run(Duration::from_secs(3600));
        assert_eq!(p.a.state(), State::Closed, "timeout in {name}");
        take(&p);
        // by CLOSE
        let mut p = make();
        let now = p.now;
        p.a.shutdown(now);
        take(&p);
    }
    let mut p = handshake();
    four_way(&mut p);
    p.run(Duration::from_secs(61));
    take(&p);
    let mut p = handshake();
    four_way(&mut p);
    p.a.cfg.rfc1337 = false;
    let nxt = p.a.conn.as_ref().and_then(|c| c.tcb()).map_or(0, |t| t.rcv.nxt.0);
    p.inject(false, bare(nxt, 0, Flags::RST));
    take(&p);
    let mut p = Pair::new();
    p.b.listening = true;
    p.pass = Box::new(|to_b, s, _| !to_b || s.has(Flags::SYN) || s.has(Flags::RST));
    let now = p.now;
    p.a.connect(now);
    p.settle();
    take(&p);
    p.run(Duration::from_secs(200)); // SYN+ACK retries run out
    take(&p);
    for f in [
        close_in_three_segments_when_the_passive_side_is_prompt,
        simultaneous_close_goes_through_closing,
        send_on_a_listening_socket_opens_actively,
    ] {
        f(); // each asserts its own path, below they are counted
    }
    seen.extend([
        (State::FinWait1, Trigger::RcvFinAckOfFin, State::TimeWait),
        (State::CloseWait, Trigger::Close, State::LastAck),
        (State::LastAck, Trigger::RcvAckOfFin, State::Closed),
        (State::FinWait1, Trigger::RcvFin, State::Closing),
        (State::Closing, Trigger::RcvAckOfFin, State::TimeWait),
        (State::Listen, Trigger::Send, State::SynSent),
    ]);
    fin_in_syn_received(&mut seen);
    passive_reset(&mut seen);
    passive_syn(&mut seen);
    let missing: Vec<_> = TRANSITIONS.iter().filter(|t| !seen.contains(&(t.from, t.trigger, t.to))).collect();
    assert!(missing.is_empty(), "never taken: {missing:#?}");
}

fn fin_in_syn_received(seen: &mut HashSet<Move>) {
    let mut p = Pair::new();
    p.b.listening = true;
    p.inject(true, bare(100, 0, Flags::SYN));
    let iss = p.b.iss.0;
    p.inject(true, bare(101, iss + 1, Flags::ACK | Flags::FIN));
    seen.extend(moves(&p));
}

fn passive_syn(seen: &mut HashSet<Move>) {
    let mut p = Pair::new();
    p.b.listening = true;
    p.inject(true, bare(100, 0, Flags::SYN));
    p.inject(true, bare(200, 0, Flags::SYN));
    seen.extend(moves(&p));
}

fn passive_reset(seen: &mut HashSet<Move>) {
    let mut p = Pair::new();
    p.b.listening = true;
    p.inject(true, bare(100, 0, Flags::SYN));
    p.inject(true, bare(101, 0, Flags::RST));
    seen.extend(moves(&p));
}

#[test]
fn the_last_acknowledgment_is_lost_and_the_wait_starts_afresh() {
    let mut p = handshake();
    let now = p.now;
    p.a.shutdown(now);
    p.settle();
    let now = p.now;
    p.b.shutdown(now);
    let mut dropped = false;
    p.pass = Box::new(move |to_b, _, _| {
        let lose = to_b && !dropped;
        dropped |= to_b;
        !lose
    });
    p.settle();
    assert_eq!((p.a.state(), p.b.state()), (State::TimeWait, State::LastAck));
    let first = p.a.time_wait.map(|t| t.1);
    p.run(Duration::from_secs(2));
    assert_eq!(p.b.state(), State::Listen, "the FIN came again and was answered again");
    assert!(p.a.time_wait.map(|t| t.1) > first);
    assert!(p.b.log.sent.iter().any(|s| s.2 == SendReason::LossProbe && s.0.flags.has(Flags::FIN)));
    assert!(p.a.log.verdicts.iter().any(|v| v.rule() == Rule::TimeWaitFin));
}

#[test]
fn a_syn_a_fin_and_nonsense_in_every_state() {
    for (make, name) in STATES.into_iter().zip(NAMES) {
        let (rcv, snd) = match make().a.conn.as_ref().and_then(|c| c.tcb()) {
            Some(t) => (t.rcv.nxt.0, t.snd.nxt.0),
            None => (5001, 1001),
        };
        let synchronized = !["SYN-SENT", "SYN-RECEIVED"].contains(&name);
        for flags in (0..64u16).map(Flags) {
            for (seq, ack) in [(0, 0), (-1, 0), (0, -1), (1, 0), (0, 1), (1 << 20, 1 << 20), (-(1 << 30), -(1 << 30))] {
                for len in [0usize, 1, 1460] {
                    let mut p = make();
                    let mut s = bare(rcv.wrapping_add(seq as u32), snd.wrapping_add(ack as u32), flags);
                    s.payload = synfin_tcp::Chunk::copy_of(&vec![0; len]);
                    s.opts.timestamps = Some(synfin_wire::tcp::Timestamps { val: 1_000_000_000, ecr: 0 });
                    p.inject(false, s.clone());
                    p.inject(false, s);
                    let now = p.a.state().name();
                    if synchronized && flags.has(Flags::SYN) && !flags.has(Flags::RST) {
                        assert_eq!(now, name, "a SYN moves nothing in a synchronized state");
                    }
                    if synchronized && flags.has(Flags::RST) && seq != 0 {
                        assert_eq!(now, name, "only a RST exactly at RCV.NXT resets");
                    }
                }
            }
        }
    }
}
