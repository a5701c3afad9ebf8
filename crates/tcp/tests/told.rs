//! What a connection tells: its counters, its events, the verdicts on what arrives, what it reports to the peer; and what
//! it makes of reports that are forged.

mod pair;

use pair::{Pair, bare};
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::time::Duration;
use synfin_tcp::{Events, Rule, State};
use synfin_wire::SeqNum;
use synfin_wire::icmp::Unreachable;
use synfin_wire::tcp::{Flags, Timestamps};

/// The next acknowledgment that `a` could get from `b`, with `window` units.
fn to_a(p: &Pair, window: u16) -> synfin_tcp::Segment {
    let t = p.a.conn.as_ref().and_then(|c| c.tcb()).expect("a block");
    let mut s = bare(t.rcv.nxt.0, t.snd.una.0, Flags::ACK);
    s.hdr.window = window;
    s.opts.timestamps = Some(Timestamps { val: t.rcv.ts_recent.val, ecr: 0 });
    s
}

#[test]
fn resets_are_counted_and_those_that_end_a_connection_too() {
    let mut p = Pair::open();
    let nxt = to_a(&p, 0).hdr.seq;
    p.inject(false, bare(nxt.0, 0, Flags::RST));
    assert_eq!((p.a.mib.in_rsts, p.a.mib.estab_resets, p.a.mib.attempt_fails), (1, 1, 0));

    let mut p = Pair::new();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.connect(now);
    p.drain();
    p.inject(false, bare(0, 1001, Flags::RST | Flags::ACK));
    assert_eq!((p.a.mib.attempt_fails, p.a.mib.estab_resets), (1, 0));
}

#[test]
fn a_syn_that_goes_again_is_a_timeout_and_a_retransmission() {
    let mut p = Pair::new();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.connect(now);
    p.run(Duration::from_millis(3_500));
    assert_eq!((p.a.mib.timeouts, p.a.mib.retrans_segs), (2, 2), "after one second, and after two more");
}

#[test]
fn an_old_timestamp_is_counted_in_time_wait_too() {
    let mut p = Pair::open();
    let now = p.now;
    p.a.shutdown(now);
    p.settle();
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    let (tw, _) = p.a.time_wait.expect("a record");
    let before = p.a.mib.paws_estab;
    let mut old = bare(tw.rcv_nxt.0, tw.snd_nxt.0, Flags::ACK);
    old.opts.timestamps = Some(Timestamps { val: tw.ts_recent.wrapping_sub(1), ecr: 0 });
    p.inject(false, old);
    assert_eq!((p.a.state(), p.a.mib.paws_estab - before), (State::TimeWait, 1));
}

#[test]
fn a_user_who_found_no_room_is_told_when_there_is_a_third_again() {
    let mut p = Pair::open();
    let now = p.now;
    while p.a.send(now, &[1; 100_000]) > 0 {}
    p.a.events();
    // The peer reads: what it acknowledges makes room.
    let mut told = false;
    for _ in 0..1_000 {
        p.settle();
        let now = p.now;
        if p.b.read(now).is_empty() {
            break;
        }
        told |= p.a.events().has(Events::WRITABLE);
    }
    assert!(told, "there is room, and nobody said so");
}

#[test]
//= RFC 9293 3.10.7.4: fifth, SND.WND
fn an_acknowledgment_that_changes_the_window_is_an_update_and_no_duplicate() {
    let mut p = Pair::new();
    p.a.cfg.sack = false;
    p.establish();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, &[1; 5_000]);
    p.drain();
    for (window, want) in [
        (400, Rule::WindowUpdate),
        (400, Rule::DuplicateAck),
        (401, Rule::WindowUpdate),
        (402, Rule::WindowUpdate),
        (403, Rule::WindowUpdate),
    ] {
        let s = to_a(&p, window);
        p.inject(false, s);
        assert_eq!(p.a.log.verdicts.last().map(|v| v.rule()), Some(want), "window {window}");
    }
    assert_eq!(p.a.mib.fast_retrans, 0, "one duplicate is not three");
}

#[test]
//= RFC 2018 8 (b)
fn what_was_dropped_for_want_of_room_is_not_reported_as_received() {
    let mut p = Pair::new();
    p.b.cfg.reassembly_pieces = 1;
    p.establish();
    // The first of three segments is lost, and so is the second: of the third and the fifth only one can be kept.
    p.pass = Box::new(|to_b, s, _| !to_b || !matches!(s.hdr.seq.0.wrapping_sub(1001) / 1_448, 0 | 1 | 3));
    let now = p.now;
    p.a.send(now, &[1; 5 * 1_448]);
    p.drain();
    p.run(Duration::from_millis(15));
    assert_eq!(p.b.mib.ofo_drop, 1, "the fifth finds no room");
    let (blocks, n) = p.b.conn.as_ref().and_then(|c| c.tcb()).expect("a block").sack.blocks();
    assert_eq!(n, 1, "{blocks:?}");
    assert!(blocks[..n].iter().all(|b| b.0.lt(b.1)), "no block is empty: {blocks:?}");
}

#[test]
//= RFC 2018 5.1 (a)
fn sack_blocks_of_what_cannot_be_are_no_duplicates() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, &[1; 8 * 1_448]);
    p.drain();
    let snd = |p: &Pair| {
        let s = &p.a.conn.as_ref().and_then(|c| c.tcb()).expect("a block").snd;
        (s.una, s.nxt, s.recovery.duplicates.count, s.window.cwnd)
    };
    let (una, nxt, _, cwnd) = snd(&p);
    let before = p.a.log.sent.len();
    for (left, right) in [
        (una + 2_000, una + 1_000), // reversed
        (una + 1_448, una + 1_448), // empty
        (nxt, nxt + 1_448),         // beyond SND.NXT
        (nxt - 1_448, nxt + 1),     // partly so
        (una - 1_448, una),         // below SND.UNA
        (una - 1, una + 1_448),     // partly so
        (una + 0x7fff_ffff, una),   // around the circle
    ] {
        for _ in 0..5 {
            let mut s = to_a(&p, 502);
            s.opts.sack.push(left, right);
            p.inject(false, s);
        }
        assert_eq!((snd(&p).2, snd(&p).3, p.a.log.sent.len()), (0, cwnd, before), "{left} to {right}");
    }
    // Three that can be.
    for i in [2, 4, 6] {
        let mut s = to_a(&p, 502);
        s.opts.sack.push(una + i * 1_448, una + (i + 1) * 1_448);
        p.inject(false, s);
    }
    assert_eq!(p.a.mib.fast_retrans, 1);
}

/// What congestion control has let out: for each number of octets acknowledged, cwnd then.
fn growth(p: &Pair) -> (u64, u32) {
    let t = p.a.conn.as_ref().and_then(|c| c.tcb()).expect("a block");
    (t.counters.bytes_acked, t.snd.window.cwnd)
}

#[test]
//= RFC 3465 2.1
fn a_peer_that_acknowledges_what_it_never_saw_gains_no_more_than_an_honest_one() {
    // An honest peer: it has what it acknowledges, reads it at once, and acknowledges every second segment.
    // Its window is as large as the other one's will be.
    let mut p = Pair::new();
    (p.b.cfg.rcv_buf_initial, p.b.cfg.rcv_buf_max) = (8_000_000, 8_000_000);
    p.establish();
    let mut honest = vec![growth(&p)];
    while honest.last().is_some_and(|h| h.0 < 1_000_000) {
        let now = p.now;
        p.a.send(now, &[1; 2_000_000]);
        assert!(p.step(now + Duration::from_secs(1)));
        let now = p.now;
        p.b.read(now);
        honest.push(growth(&p));
    }
    // Another one acknowledges everything as soon as it has left, though nothing has arrived: nobody can tell that from a
    // very short path; in pieces of one segment, of some, and all at once.
    for segments in [1, 2, 4, 100] {
        let mut p = Pair::open();
        p.pass = Box::new(|_, _, _| false);
        for _ in 0..2_000 {
            let now = p.now;
            p.a.send(now, &[1; 2_000_000]);
            p.drain();
            let mut s = to_a(&p, 65_535);
            let t = p.a.conn.as_ref().and_then(|c| c.tcb()).expect("a block");
            s.hdr.ack = t.snd.nxt.min(t.snd.una + segments * 1_448);
            p.inject(false, s);
            let (acked, cwnd) = growth(&p);
            let Some(h) = honest.iter().find(|h| h.0 >= acked) else { break };
            assert!(cwnd <= h.1, "{cwnd} after {acked} octets, where an honest peer gets {}", h.1);
        }
        assert!(growth(&p).0 > 900_000, "it did get that far");
        // Beyond what was sent there is nothing to gain: it is challenged.
        let before = growth(&p);
        let mut s = to_a(&p, 65_535);
        s.hdr.ack += 2_000_000;
        p.inject(false, s);
        assert_eq!(p.a.log.verdicts.last().map(|v| v.rule()), Some(Rule::AckOfUnsent));
        assert_eq!(growth(&p), before);
    }
}

#[test]
//= RFC 5961 7
fn two_ends_that_know_different_numbers_do_not_answer_each_other_for_ever() {
    for flags in [Flags::ACK, Flags::SYN, Flags::RST, Flags::FIN | Flags::ACK] {
        // One end of each of two connections, facing each other.
        let (mut p, mut q) = (Pair::open(), Pair::with_iss(700_000_000, 3_000_000_000));
        q.establish();
        std::mem::swap(&mut p.b, &mut q.b);
        let (a, b) = (p.a.log.sent.len(), p.b.log.sent.len());
        let stray = bare(to_a(&p, 0).hdr.seq.0.wrapping_add(5), to_a(&p, 0).hdr.ack.0, flags);
        p.inject(false, stray);
        p.run(Duration::from_secs(60));
        let sent = p.a.log.sent.len() - a + p.b.log.sent.len() - b;
        assert!(sent <= 8, "{flags:?}: {sent} segments for one");
    }
}

#[test]
fn a_handshake_that_nobody_finishes_is_counted_each_time_its_answer_goes_again_and_once_when_it_fails() {
    let mut p = Pair::new();
    p.b.listening = true;
    p.pass = Box::new(|to_b, _, _| to_b); // nothing comes from the server
    let now = p.now;
    p.a.connect(now);
    p.run(Duration::from_millis(15));
    p.a.conn = None;
    p.run(Duration::from_secs(300));
    let again = u64::from(p.b.cfg.synack_retries);
    assert_eq!((p.b.mib.timeouts, p.b.mib.retrans_segs, p.b.mib.attempt_fails), (again, again, 1));
    assert_eq!(p.b.state(), State::Listen);
}

#[test]
fn a_client_that_begins_anew_is_a_handshake_that_failed() {
    let mut p = Pair::new();
    p.b.listening = true;
    p.pass = Box::new(|to_b, _, _| to_b);
    let now = p.now;
    p.a.connect(now);
    p.run(Duration::from_millis(15));
    assert_eq!(p.b.state(), State::SynReceived);
    p.inject(true, bare(1_005, 0, Flags::SYN));
    assert_eq!((p.b.mib.attempt_fails, p.b.mib.challenge_ack), (1, 0));
}

#[test]
fn text_that_comes_twice_is_told_of_and_counted() {
    let mut p = Pair::open();
    let now = p.now;
    p.a.send(now, b"once");
    p.settle();
    let (seq, ack) = p.a.conn.as_ref().and_then(|c| c.tcb()).map(|t| (t.snd.una.0 - 4, t.rcv.nxt.0)).expect("a block");
    let mut again = pair::segment(bare(seq, ack, Flags::ACK).hdr, &[], b"once");
    again.opts.timestamps = Some(Timestamps { val: u32::MAX / 4, ecr: 0 });
    p.inject(true, again);
    p.settle();
    assert_eq!((p.b.mib.dsack_old_sent, p.a.mib.dsack_recv), (1, 1));
    assert_eq!(p.b.read(p.now), b"once");
}

#[test]
fn a_port_that_is_closed_ends_an_open_and_is_counted() {
    let mut p = Pair::new();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.connect(now);
    p.drain();
    assert!(!p.a.on_icmp(now, IcmpError::Unreachable(Unreachable::Port), SeqNum(999)), "of no SYN of ours");
    assert!(p.a.on_icmp(now, IcmpError::Unreachable(Unreachable::Port), SeqNum(1_000)));
    assert_eq!((p.a.state(), p.a.mib.attempt_fails, p.a.mib.estab_resets), (State::Closed, 1, 0));
}

#[test]
fn a_timer_of_a_handshake_goes_off_when_it_is_due_or_late_and_not_before() {
    let mut p = Pair::new();
    p.pass = Box::new(|_, s, _| !s.has(Flags::ACK)); // the SYNs cross, nothing else arrives
    let now = p.now;
    p.a.connect(now);
    p.b.connect(now);
    p.run(Duration::from_millis(15));
    assert_eq!(p.a.state(), State::SynReceived);
    let due = p.a.deadline();
    p.a.on_deadline(p.now);
    assert_eq!((p.a.mib.retrans_segs, p.a.deadline()), (0, due));
    let late = due + Duration::from_millis(5);
    p.a.on_deadline(late);
    assert_eq!((p.a.mib.retrans_segs, p.a.mib.timeouts), (1, 1));
    assert!(p.a.deadline() > late, "and begins anew");
}

#[test]
//= RFC 1191 6.4
fn a_message_about_what_was_rolled_back_and_is_not_out_again_is_believed_and_worth_one_segment() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, &[7; 5_000]);
    p.a.drain(now);
    let una = p.a.conn.as_ref().and_then(|c| c.tcb()).map(|t| t.snd.una).expect("a block");
    for (mtu, about, leave) in [(1_000, 0, 5_000), (900, 0, 888), (800, 4_500, 788)] {
        assert!(p.a.on_icmp(now, IcmpError::TooBig(mtu), una + about), "{mtu}");
        let left: usize = p.a.drain(now).iter().map(|s| s.payload.len()).sum();
        assert_eq!(left, leave, "after {mtu}");
    }
}
