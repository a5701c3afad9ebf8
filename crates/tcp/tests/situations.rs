//! Situations that broke others, or that a hostile peer makes: each with its verdict.

mod pair;

use pair::{DELAY, Host, Pair, bare, segment};
use std::collections::HashSet;
use synfin_tcp::time::Duration;
use synfin_tcp::{CloseReason, Events, Rule, SendReason, State, TcpConfig, Verdict};
use synfin_wire::SeqNum;
use synfin_wire::tcp::layout::Layout;
use synfin_wire::tcp::{Flags, Header, Options, OptionsBuf, Timestamps};

/// The synchronized connection of a host.
fn block(h: &Host) -> &synfin_tcp::tcb::Tcb {
    h.conn.as_ref().and_then(|c| c.tcb()).expect("a block")
}

/// Why the connection of a host ended.
fn reason(h: &Host) -> Option<CloseReason> {
    h.conn.as_ref().and_then(|c| c.reason())
}

/// The next segment that `b` expects from `a`, moved by `offset`, with valid timestamps.
fn from_a(p: &Pair, offset: i32, flags: Flags, text: &[u8]) -> synfin_tcp::Segment {
    let t = block(&p.b);
    let hdr = Header {
        src_port: 0,
        dst_port: 0,
        seq: SeqNum(t.rcv.nxt.0.wrapping_add(offset as u32)),
        ack: t.snd.nxt,
        header_len: 20,
        flags,
        window: 502,
        urgent: 0,
    };
    let ts = Timestamps { val: t.rcv.ts_recent.val, ecr: 0 };
    segment(hdr, OptionsBuf::data(Some(ts), &[]).as_slice(), text)
}

fn last(p: &Pair) -> Verdict {
    *p.b.log.verdicts.last().expect("a verdict")
}

fn wnd(p: &Pair) -> i32 {
    p.b.conn.as_ref().and_then(|c| c.tcb()).map_or(0, |t| t.rcv.wnd() as i32)
}

/// b has read nothing yet and sends nothing.
fn quiet() -> Pair {
    let mut p = Pair::open();
    p.b.log.verdicts.clear();
    p.b.log.sent.clear();
    p
}

#[test]
//= RFC 5961 3.2 (a) (b) (c) (d)
fn rst_exactly_at_rcv_nxt_resets_elsewhere_in_the_window_is_challenged_outside_is_dropped() {
    for (offset, want) in [
        (0, Verdict::Reset(Rule::ResetExact)),
        (1, Verdict::Acked(Rule::ResetInWindow)),
        (-1, Verdict::Dropped(Rule::ResetOutside)),
    ] {
        let mut p = quiet();
        let s = from_a(&p, offset, Flags::RST, b"");
        p.inject(true, s);
        assert_eq!(last(&p), want);
        assert_eq!(p.b.state() == State::Established, offset != 0);
    }
    let mut p = quiet();
    let edge = wnd(&p);
    let s = from_a(&p, edge, Flags::RST, b"");
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Dropped(Rule::ResetOutside), "one beyond the right edge");
    let s = from_a(&p, edge - 1, Flags::RST, b"");
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Acked(Rule::ResetInWindow), "the last of the window");
}

#[test]
//= RFC 5961 4.2 (a) (b)
fn syn_in_a_synchronized_state_is_challenged_wherever_it_lies_and_not_too_often() {
    let mut p = quiet();
    for offset in [-1, 0, 100, 1 << 30, -(1 << 30)] {
        let s = from_a(&p, offset, Flags::SYN, b"");
        p.inject(true, s);
        assert!(matches!(last(&p), Verdict::Acked(_)), "{offset}: {}", last(&p));
    }
    assert_eq!(p.b.state(), State::Established);
    let challenges = p.b.log.sent.iter().filter(|s| s.2 == SendReason::ChallengeAck).count();
    assert_eq!(challenges, 1, "the rate is limited per connection");
    assert!(p.b.mib.ack_skipped >= 3);
}

#[test]
//= RFC 5961 5.2 (a) (b)
//= RFC 9293 3.10.7.4 MAY-12
fn acknowledgments_of_unsent_and_of_very_old_data_are_challenged() {
    let mut p = quiet();
    let mut s = from_a(&p, 0, Flags::ACK, b"x");
    s.hdr.ack += 1;
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Acked(Rule::AckOfUnsent));
    let mut s = from_a(&p, 0, Flags::ACK, b"x");
    s.hdr.ack -= 1 << 30;
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Acked(Rule::AckTooOld));
    assert_eq!(p.b.read(p.now), b"", "nothing of it was delivered");
}

#[test]
//= RFC 9293 3.10.7.4 (first: the four cases)
fn text_before_the_window_at_its_right_edge_and_beyond() {
    for (offset, len, want) in [
        (-1, 0, Verdict::Acked(Rule::KeepaliveProbe)),
        (-1, 1, Verdict::Acked(Rule::OldDuplicate)),
        (-3, 3, Verdict::Acked(Rule::OldDuplicate)),
        (-1, 2, Verdict::Accepted(Rule::InOrder)),
    ] {
        let mut p = quiet();
        let s = from_a(&p, offset, Flags::ACK, &b"xyz"[..len]);
        p.inject(true, s);
        assert_eq!(last(&p), want, "{offset} {len}");
        let now = p.now;
        assert_eq!(p.b.read(now), if len == 2 { &b"y"[..] } else { b"" }, "only what is new");
    }
    for (beyond, want) in [
        (-1, Verdict::Accepted(Rule::OutOfOrder)),
        (0, Verdict::Acked(Rule::OutsideWindow)),
        (1, Verdict::Acked(Rule::OutsideWindow)),
    ] {
        let mut p = quiet();
        let edge = wnd(&p);
        let s = from_a(&p, edge + beyond, Flags::ACK, b"xyz");
        p.inject(true, s);
        assert_eq!(last(&p), want, "{beyond} from the right edge");
        let t = block(&p.b);
        let kept = t.rcv.holes.as_ref().map_or(0, |h| h.end() - h.start());
        assert_eq!(kept, u64::from(beyond == -1), "nothing beyond the edge is kept");
    }
}

#[test]
fn a_fin_on_the_last_sequence_number_and_on_the_first() {
    for before in [1u32, 0] {
        // ISS + 1 + 10 octets of text, then the FIN at 2^32 - 1 or at 0.
        let iss = u32::MAX - 10 - before;
        let mut p = Pair::with_iss(iss, 5000);
        p.establish();
        let now = p.now;
        p.a.send(now, b"0123456789");
        p.a.shutdown(now);
        p.settle();
        let fin = p.a.log.sent.iter().find(|s| s.0.flags.has(Flags::FIN)).expect("a FIN");
        assert_eq!(fin.0.seq.0.wrapping_add(fin.1), if before == 1 { u32::MAX } else { 0 });
        assert_eq!((p.a.state(), p.b.state()), (State::FinWait2, State::CloseWait));
        let now = p.now;
        assert_eq!(p.b.read(now), b"0123456789");
    }
}

#[test]
//= RFC 9293 3.7.1 MUST-16: the octets of options are taken off
fn a_peer_with_a_tiny_mss_that_sacks_single_octets_costs_nothing_more() {
    let mut p = Pair::new();
    p.b.mss = 1;
    p.establish();
    let now = p.now;
    p.pass = Box::new(|to_b, _, _| to_b);
    p.a.send(now, &[9; 60_000]);
    p.drain();
    let t = block(&p.a);
    let (una, nxt, ts, mss) = (t.snd.una, t.rcv.nxt, t.rcv.ts_recent.val, u32::from(t.snd.mss));
    assert_eq!(mss, u32::from(TcpConfig::default().mss_min) - 12, "without the octets of the timestamps");
    let before = p.a.log.sent.len();
    for i in 0..1_000u32 {
        let mut s = bare(nxt.0, una.0, Flags::ACK);
        s.opts.timestamps = Some(Timestamps { val: ts, ecr: 0 });
        for k in 0..3 {
            let left = una + 1 + (i * 6 + k * 2);
            s.opts.sack.push(left, left + 1);
        }
        p.inject(false, s);
    }
    let octets: u32 = p.a.log.sent[before..].iter().map(|s| s.1).sum();
    let pieces = p.a.log.sent.len() - before;
    assert!(octets <= 60_000 + mss && pieces <= 2 + 60_000 / mss as usize, "{octets} octets in {pieces} segments");
}

#[test]
fn a_segment_without_ack_is_dropped() {
    for flags in [Flags::NONE, Flags::PSH, Flags::FIN, Flags::URG] {
        let mut p = quiet();
        let s = from_a(&p, 0, flags, b"x");
        p.inject(true, s);
        assert_eq!(last(&p), Verdict::Dropped(Rule::NoAck), "{flags}");
    }
}

#[test]
//= RFC 7323 3.2 (d), 5.3 (a) (b) (c)
fn old_timestamps_are_acknowledged_and_dropped_missing_ones_dropped() {
    let mut p = quiet();
    let mut s = from_a(&p, 0, Flags::ACK, b"old");
    s.opts.timestamps = s.opts.timestamps.map(|t| Timestamps { val: t.val.wrapping_sub(1), ..t });
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Acked(Rule::Paws));
    let mut s = from_a(&p, 0, Flags::ACK, b"none");
    s.opts.timestamps = None;
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Dropped(Rule::MissingTimestamp));
    assert_eq!(p.b.read(p.now), b"");
    // Before the sequence number is looked at, and whether or not the segment is in order.
    for offset in [-1, -1_000, 10, 1 << 20] {
        let mut s = from_a(&p, offset, Flags::ACK, b"old");
        s.opts.timestamps = s.opts.timestamps.map(|t| Timestamps { val: t.val.wrapping_sub(1), ..t });
        p.inject(true, s);
        assert_eq!(last(&p), Verdict::Acked(Rule::Paws), "{offset}");
    }
    assert_eq!(p.b.mib.ofo_queue, 0, "nothing of it is kept");
}

#[test]
//= RFC 7323 5.2 (c)
fn nothing_is_taken_from_the_timestamp_of_a_reset() {
    let mut p = quiet();
    let recent = block(&p.b).rcv.ts_recent.val;
    let mut s = from_a(&p, 1, Flags::RST, b"");
    s.opts.timestamps = Some(Timestamps { val: recent.wrapping_add(1_000_000), ecr: 0 });
    p.inject(true, s);
    assert_eq!((last(&p), block(&p.b).rcv.ts_recent.val), (Verdict::Acked(Rule::ResetInWindow), recent));
}

#[test]
//= RFC 7323 3.2 (b)
fn what_a_syn_without_ack_echoes_is_ignored() {
    for ecr in [0, 1, 100, u32::MAX] {
        let mut p = Pair::new();
        p.b.listening = true;
        p.pass = Box::new(|_, _, _| false);
        for (seq, ack, flags, ms, ecr) in [(100, 0, Flags::SYN, 30, ecr), (101, p.b.iss.0 + 1, Flags::ACK, 0, 0)] {
            let mut s = bare(seq, ack, flags);
            s.opts.timestamps = Some(Timestamps { val: 7, ecr });
            p.inject(true, s);
            p.run(Duration::from_millis(ms));
        }
        assert_eq!((p.b.state(), block(&p.b).snd.rtt.srtt_us), (State::Established, 30_000), "{ecr}");
    }
}

#[test]
//= RFC 9293 3.10.7.4 (first, and what the exceptions say of it)
//= RFC 5961 5
fn an_acknowledgment_in_old_text_counts_if_it_is_near_and_the_journal_says_so() {
    let buf = block(&quiet().b).rcv.buf as i32;
    assert!(buf > 65_535, "the bound that counts");
    for (offset, text, want) in [
        (-5, &b"12345"[..], Rule::OldWithNews),
        (-1, b"", Rule::OldWithNews), // as a keepalive probe
        (-buf, b"12345", Rule::OldWithNews),
        (-buf - 1, b"12345", Rule::OldDuplicate),
        (-(1 << 30), b"12345", Rule::OldDuplicate),
    ] {
        let mut p = quiet();
        p.pass = Box::new(|to_b, _, _| to_b);
        let now = p.now;
        p.b.send(now, b"unacknowledged");
        p.drain();
        let s = from_a(&p, offset, Flags::ACK, text);
        p.inject(true, s.clone());
        assert_eq!(last(&p), Verdict::Acked(want), "{offset}");
        assert_eq!(block(&p.b).snd.flight() == 0, want == Rule::OldWithNews, "{offset}");
        // What acknowledges nothing new is what it was.
        p.inject(true, s);
        assert_ne!(last(&p).rule(), Rule::OldWithNews, "{offset}");
    }
}

#[test]
//= RFC 7323 2.4 (b)
fn what_was_promised_is_accepted_after_the_window_has_retreated_by_rounding() {
    let mut p = quiet();
    let shift = block(&p.b).rcv.shift;
    let (mut farthest, mut retreated) = (block(&p.b).rcv.nxt, false);
    for _ in 0..20_000 {
        let s = from_a(&p, 0, Flags::ACK, b"x");
        p.inject(true, s);
        p.run(Duration::from_millis(1));
        let told = p.b.log.sent.last().map(|s| s.0.ack + (u32::from(s.0.window) << shift)).expect("an acknowledgment");
        retreated = told.lt(farthest);
        if retreated {
            break;
        }
        farthest = farthest.max(told);
    }
    assert!(retreated, "so small segments make the window retreat at last");
    let at = farthest.since(block(&p.b).rcv.nxt) as i32 - 1;
    for (offset, want) in [(at, Verdict::Accepted(Rule::OutOfOrder)), (at + 1, Verdict::Acked(Rule::OutsideWindow))] {
        let s = from_a(&p, offset, Flags::ACK, b"x");
        p.inject(true, s);
        assert_eq!(last(&p), want, "{offset}");
    }
}

#[test]
fn overlap_with_other_octets_the_first_count_and_it_is_flagged() {
    let mut p = quiet();
    for (offset, text) in [(2, &b"CD"[..]), (0, b"xxxxxx")] {
        let s = from_a(&p, offset, Flags::ACK, text);
        p.inject(true, s);
    }
    let now = p.now;
    assert_eq!(p.b.read(now), b"xxCDxx");
    assert_eq!(p.b.mib.overlap_differs, 2);
    let mut p = quiet();
    for (offset, text) in [(2, &b"CD"[..]), (1, b"bcde")] {
        let s = from_a(&p, offset, Flags::ACK, text);
        p.inject(true, s);
    }
    assert_eq!(p.b.mib.overlap_differs, 2);
}

#[test]
fn a_fin_before_text_that_has_come_is_nobodys() {
    // A hole with text beyond it, then text with a FIN in the middle of what is known to come.
    let mut p = quiet();
    let s = from_a(&p, 10, Flags::ACK, &[7; 90]);
    p.inject(true, s);
    let s = from_a(&p, 0, Flags::ACK | Flags::FIN, &[7; 10]);
    p.inject(true, s);
    assert_eq!(p.b.state(), State::Established);
    let now = p.now;
    assert_eq!(p.b.read(now).len(), 100);
    let s = from_a(&p, 0, Flags::ACK | Flags::FIN, b"");
    p.inject(true, s);
    assert_eq!(p.b.state(), State::CloseWait);
}

#[test]
//= RFC 9293 3.10.7.4 SHLD-31
fn a_fin_that_comes_early_waits_for_the_text_before_it() {
    let mut p = quiet();
    let s = from_a(&p, 5, Flags::ACK | Flags::FIN, b"world");
    p.inject(true, s);
    assert_eq!(p.b.state(), State::Established);
    let s = from_a(&p, 0, Flags::ACK, b"hello");
    p.inject(true, s);
    assert_eq!(p.b.state(), State::CloseWait);
    let now = p.now;
    assert_eq!(p.b.read(now), b"helloworld");
}

#[test]
fn one_octet_holes_do_not_grow_without_bound() {
    let mut p = quiet();
    let limit = 2 * p.b.conn.as_ref().and_then(|c| c.tcb()).map_or(0, |t| t.rcv.buf as usize);
    let edge = wnd(&p);
    for i in (1..edge).step_by(2) {
        let s = from_a(&p, i, Flags::ACK, b"x");
        p.inject(true, s);
    }
    let t = block(&p.b);
    let holes = t.rcv.holes.as_ref().expect("pieces");
    assert!(holes.pinned() <= limit && holes.pieces() <= usize::from(TcpConfig::default().reassembly_pieces));
    assert!(p.b.mib.ofo_drop > 0);
}

#[test]
fn text_out_of_order_is_counted_and_answered_each_time() {
    let mut p = quiet();
    for at in [10, 20, 30] {
        let s = from_a(&p, at, Flags::ACK, b"12345");
        p.inject(true, s);
    }
    assert_eq!(p.b.mib.ofo_queue, 3);
    assert_eq!(p.b.log.sent.iter().filter(|s| s.2 == SendReason::OutOfOrderAck).count(), 3);
}

#[test]
fn the_receive_window_closes_against_small_segments_too() {
    let mut p = quiet();
    let mut took = 0;
    for _ in 0..20_000 {
        let room = wnd(&p);
        if room == 0 {
            break;
        }
        let n = room.min(100) as usize;
        let s = from_a(&p, 0, Flags::ACK, &vec![1; n]);
        p.inject(true, s);
        took += n;
        p.run(Duration::from_millis(1));
    }
    let buf = TcpConfig::default().rcv_buf_initial as usize;
    assert!(took <= buf + 17 * 128, "{took} octets for a buffer of {buf}");
}

#[test]
//= RFC 9293 3.8.6.1 MUST-36 MUST-37 SHLD-30 MAY-8
fn a_window_shut_for_ever_is_probed_for_ever_at_growing_distances() {
    let mut p = Pair::open();
    for _ in 0..2 {
        let now = p.now;
        p.a.send(now, &[9; 100_000]);
        p.run(Duration::from_secs(300)); // b does not read
    }
    let probes = |p: &Pair| p.a.log.sent.iter().filter(|s| s.2 == SendReason::WindowProbe).count();
    // The last octets below one unit of the window scale are still taken, one by one.
    let before = probes(&p);
    assert!((8..160).contains(&before), "{before}");
    p.run(Duration::from_secs(3600));
    assert_eq!(p.a.state(), State::Established, "answers keep it alive");
    let later = probes(&p) - before;
    assert!((28..=32).contains(&later), "{later} probes in an hour: one every two minutes");
    let mut got = 0;
    for _ in 0..2_000 {
        let now = p.now;
        got += p.b.read(now).len();
        p.run(Duration::from_millis(100));
        if got == 200_000 {
            break;
        }
    }
    assert_eq!(got, 200_000, "the window opens and everything goes on");
}

#[test]
//= RFC 9293 3.8.6 MUST-34 SHLD-16
//= RFC 7323 2.4 (a)
fn a_window_that_shrinks_below_what_is_in_flight_is_survived() {
    let mut p = Pair::open();
    let now = p.now;
    p.pass = Box::new(|to_b, s, _| !to_b || s.payload.is_empty());
    p.a.send(now, &[9; 14_000]);
    p.drain();
    let t = block(&p.a);
    let (una, nxt, ts) = (t.snd.una, t.rcv.nxt, t.rcv.ts_recent.val);
    assert!(t.snd.flight() > 10_000);
    for window in [10, 0, 1] {
        let mut s = bare(nxt.0, una.0, Flags::ACK);
        s.hdr.window = window;
        s.opts.timestamps = Some(Timestamps { val: ts, ecr: 0 });
        p.inject(false, s);
    }
    assert_eq!(p.a.mib.window_shrunk, 2);
    p.pass = Box::new(|_, _, _| true);
    p.run(Duration::from_secs(60));
    let now = p.now;
    assert_eq!(p.b.read(now).len(), 14_000);
}

#[test]
fn ack_division_gains_nothing() {
    let cwnd_after = |pieces: u32| {
        let mut p = Pair::open();
        let now = p.now;
        p.pass = Box::new(|to_b, _, _| to_b);
        p.a.send(now, &[9; 14_480]);
        p.drain();
        let t = block(&p.a);
        let (una, nxt, ts, before) = (t.snd.una, t.rcv.nxt, t.rcv.ts_recent.val, t.snd.window.cwnd);
        for i in 1..=pieces {
            let mut s = bare(nxt.0, una.0 + 1_448 * i / pieces, Flags::ACK);
            s.opts.timestamps = Some(Timestamps { val: ts, ecr: 0 });
            p.inject(false, s);
        }
        block(&p.a).snd.window.cwnd - before
    };
    let whole = cwnd_after(1);
    assert_eq!(whole, 1_448, "octet for octet");
    for pieces in [2, 3, 100, 1_448] {
        let grown = cwnd_after(pieces);
        assert!(grown <= whole, "{pieces} pieces of a segment make the window {grown} octets larger");
    }
}

#[test]
fn sequence_numbers_wrap_in_the_middle_of_everything() {
    for iss in [u32::MAX, u32::MAX - 1, u32::MAX - 1_000, u32::MAX - 20_000, (1 << 31) - 5_000] {
        let mut p = Pair::with_iss(iss, iss.wrapping_sub(7));
        p.establish();
        let now = p.now;
        let data: Vec<u8> = (0..50_000u32).map(|i| i as u8).collect();
        assert_eq!(p.a.send(now, &data), 50_000);
        let mut lost = 0;
        p.pass = Box::new(move |_, s, _| {
            lost += usize::from(!s.payload.is_empty());
            lost % 9 != 4
        });
        p.a.shutdown(now);
        let mut got = Vec::new();
        for _ in 0..600 {
            p.run(Duration::from_millis(100));
            let now = p.now;
            got.extend(p.b.read(now));
        }
        assert!(got == data, "ISS {iss}: {} octets", got.len());
        assert_eq!(p.b.state(), State::CloseWait, "the FIN too");
    }
}

#[test]
//= RFC 9293 3.6.1 MAY-1 SHLD-3
//= RFC 9293 3.6 MUST-12
//= RFC 2525 2.17
fn data_after_close_is_answered_by_a_reset() {
    let mut p = Pair::open();
    let now = p.now;
    p.b.close(now);
    p.settle();
    let now = p.now;
    p.a.send(now, b"anybody there?");
    p.settle();
    assert_eq!(reason(&p.b), Some(CloseReason::DataAfterClose));
    assert_eq!(p.b.mib.abort_on_data, 1);
    assert_eq!(reason(&p.a), Some(CloseReason::Reset));
}

#[test]
//= RFC 9293 3.6.1 SHLD-3
//= RFC 9293 3.6 MUST-12
//= RFC 2525 2.17
fn closing_with_text_unread_resets() {
    let mut p = Pair::open();
    let now = p.now;
    p.a.send(now, b"unread");
    p.settle();
    let now = p.now;
    p.b.close(now);
    p.settle();
    assert_eq!(reason(&p.a), Some(CloseReason::Reset));
    assert!(p.b.log.sent.iter().any(|s| s.2 == SendReason::ResetUnread));
}

#[test]
//= RFC 9293 3.5.1 (figures 9 and 10: half-open connections)
fn one_end_crashes_and_the_other_learns_of_it() {
    // a lost everything and connects again; b still has the old connection.
    let mut p = Pair::open();
    p.a.conn = None;
    p.a.iss = SeqNum(777_000);
    let now = p.now;
    p.a.connect(now);
    p.run(Duration::from_secs(4));
    assert!(p.b.log.verdicts.iter().any(|v| v.rule() == Rule::SynInSynchronized || v.rule() == Rule::Paws));
    assert_eq!((p.a.state(), p.b.state()), (State::Established, State::Established), "the SYN again opens a new one");
}

#[test]
//= RFC 5961 3.2 (e)
fn syn_sent_takes_a_reset_only_if_it_acknowledges_our_syn() {
    for (seg, want) in [
        (bare(0, 1001, Flags::RST | Flags::ACK), Some(CloseReason::Refused)),
        (bare(0, 1000, Flags::RST | Flags::ACK), None),
        (bare(0, 1002, Flags::RST | Flags::ACK), None),
        (bare(0, 1001, Flags::RST), None),
        (bare(0, 1001, Flags::ACK), None),
        (bare(0, 1001, Flags::NONE), None),
    ] {
        let mut p = Pair::new();
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        p.a.connect(now);
        p.drain();
        let what = format!("{:?}", seg.hdr.flags);
        p.inject(false, seg);
        assert_eq!(reason(&p.a), want, "{what}");
    }
}

#[test]
fn text_on_the_third_segment_counts_and_text_on_a_syn_does_not() {
    let mut p = Pair::new();
    p.b.listening = true;
    let mut syn = bare(100, 0, Flags::SYN);
    syn.payload = synfin_tcp::Chunk::copy_of(b"early");
    p.inject(true, syn);
    let iss = p.b.iss.0;
    let mut third = bare(101, iss + 1, Flags::ACK);
    third.payload = synfin_tcp::Chunk::copy_of(b"early");
    p.inject(true, third);
    let now = p.now;
    assert_eq!(p.b.read(now), b"early", "once: what was on the SYN came again");
}

#[test]
//= RFC 6191 2 (a) (b)
//= RFC 9293 3.6.1 SHLD-4 MAY-2
fn a_syn_in_time_wait_is_taken_only_if_it_is_newer() {
    let in_time_wait = || {
        let mut p = Pair::open();
        let now = p.now;
        p.a.shutdown(now);
        p.settle();
        let now = p.now;
        p.b.shutdown(now);
        p.settle();
        assert_eq!(p.a.state(), State::TimeWait);
        p.a.listening = true;
        p
    };
    let p = in_time_wait();
    let (tw, _) = p.a.time_wait.expect("a record");
    let (nxt, ts) = (tw.rcv_nxt.0, tw.ts_recent);
    for (seq, val, want) in [
        (nxt.wrapping_add(1), Some(ts.wrapping_add(1)), true),
        (nxt.wrapping_sub(9), Some(ts.wrapping_add(1)), true),
        (nxt.wrapping_add(1), Some(ts), true),
        (nxt.wrapping_sub(9), Some(ts), false),
        (nxt.wrapping_add(9), Some(ts.wrapping_sub(1)), false),
        (nxt.wrapping_add(1), None, true),
        (nxt.wrapping_sub(9), None, false),
    ] {
        let mut p = in_time_wait();
        let mut syn = bare(seq, 0, Flags::SYN);
        syn.opts.timestamps = val.map(|val| Timestamps { val, ecr: 0 });
        p.inject(false, syn);
        assert_eq!(p.a.state() == State::SynReceived, want, "seq {seq} ts {val:?}");
    }
}

#[test]
//= RFC 1337 3
fn a_reset_does_not_end_time_wait() {
    let mut p = Pair::open();
    let now = p.now;
    p.a.shutdown(now);
    p.settle();
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    let nxt = p.a.time_wait.map_or(0, |t| t.0.rcv_nxt.0);
    p.inject(false, bare(nxt, 0, Flags::RST));
    assert_eq!(p.a.state(), State::TimeWait);
    assert!(p.a.log.verdicts.iter().any(|v| v.rule() == Rule::TimeWaitReset));
}

#[test]
fn an_old_duplicate_never_enters_a_new_incarnation() {
    // Every segment of the first incarnation is kept, and thrown at the second, opened from TIME-WAIT.
    let mut p = Pair::open();
    let old = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let keep = old.clone();
    p.pass = Box::new(move |to_b, s, _| {
        if !to_b {
            keep.borrow_mut().push(s.clone());
        }
        true
    });
    let now = p.now;
    p.b.send(now, &[66; 5_000]);
    p.settle();
    let now = p.now;
    p.a.read(now);
    p.a.shutdown(now);
    p.settle();
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    assert_eq!(p.a.state(), State::TimeWait);
    // The new one: b connects to a, from the same port; its clock and its numbers have gone on.
    p.pass = Box::new(|_, _, _| true);
    p.run(Duration::from_secs(2));
    p.a.listening = true;
    p.a.iss = SeqNum(900_000);
    p.b.listening = false;
    p.b.conn = None;
    p.b.iss = SeqNum(5000 + 70_000);
    let now = p.now;
    p.b.connect(now);
    p.settle();
    assert_eq!((p.a.state(), p.b.state()), (State::Established, State::Established));
    p.a.log.verdicts.clear();
    for s in old.borrow().iter() {
        p.inject(false, s.clone());
    }
    let now = p.now;
    assert_eq!(p.a.read(now), b"");
    assert_eq!(p.a.state(), State::Established);
    let rules: HashSet<Rule> = p.a.log.verdicts.iter().map(|v| v.rule()).collect();
    assert!(!rules.contains(&Rule::InOrder) && !rules.contains(&Rule::OutOfOrder), "{rules:?}");
}

#[test]
//= RFC 9293 3.8.3 MUST-22 MUST-23
fn an_unanswered_syn_goes_out_after_1_2_4_and_8_seconds_and_is_given_up_16_after_the_last() {
    let mut p = Pair::new();
    p.a.cfg.syn_retries = 4;
    p.pass = Box::new(|_, _, _| false);
    let start = p.now;
    p.a.connect(start);
    let mut sent = Vec::new();
    let mut seen = 0;
    while p.step(start + Duration::from_secs(300)) {
        if p.a.log.sent.len() > seen {
            seen = p.a.log.sent.len();
            sent.push(p.now.since(start).as_secs());
            // What one who waits for a connection is told, as of any retransmission.
            let told = p.a.conn.as_ref().expect("it waits").status();
            let again = p.a.log.sent.len() as u64 - 1;
            assert_eq!((told.state, told.counters.retrans), (State::SynSent, again));
            assert_eq!(told.seq.1, told.seq.0 + 1, "a SYN is out");
        }
        if p.a.conn.as_ref().is_some_and(|c| c.reason().is_some()) {
            break;
        }
    }
    sent.dedup();
    let retransmissions: Vec<_> = p.a.log.sent.iter().map(|s| (s.0.seq, s.2)).collect();
    assert_eq!(retransmissions.len(), 5);
    assert!(retransmissions.iter().all(|s| s.0 == SeqNum(1000)), "the same number");
    assert_eq!(p.now.since(start), Duration::from_secs(31));
    assert_eq!(reason(&p.a), Some(CloseReason::TimedOut));
}

#[test]
//= RFC 9293 3.8.4 MUST-24 MUST-25 MUST-26 MUST-28 MUST-29 MAY-5
fn keepalive_is_off_by_default_and_finds_a_dead_peer_when_on() {
    let mut p = Pair::open();
    p.run(Duration::from_secs(100_000));
    assert_eq!(p.a.mib.keep_alive, 0);
    let mut p = Pair::new();
    p.a.cfg.keepalive = true;
    p.establish();
    p.run(Duration::from_secs(7_300));
    assert_eq!((p.a.mib.keep_alive, p.a.state()), (1, State::Established), "a probe is answered");
    p.pass = Box::new(|_, _, _| false);
    let cut = p.now;
    while p.a.state() == State::Established && p.step(cut + Duration::from_secs(100_000)) {}
    assert_eq!(reason(&p.a), Some(CloseReason::TimedOut));
    let took = p.now.since(cut).as_secs();
    assert!((7_090 + 9 * 75..=7_200 + 9 * 75).contains(&took), "{took} s: 7200 and nine times 75");
}

#[test]
//= RFC 9293 3.8.3 MUST-20 (c), SHLD-11
//= RFC 6298 5
//= RFC 6298 5.5
fn established_data_that_is_never_acknowledged_is_given_up_after_fifteen_retries() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let start = p.now;
    p.a.send(start, b"into the void");
    while p.a.state() == State::Established && p.step(start + Duration::from_secs(10_000)) {}
    let took = p.now.since(start).as_secs();
    assert!((900..1_000).contains(&took), "{took} s; Linux takes 924 with the least timeout of 200 ms");
    let again = p.a.log.sent.iter().filter(|s| s.2 == SendReason::Timeout).count();
    assert_eq!(again, 15);
}

#[test]
//= RFC 9293 3.8.6.2.1 MUST-38
//= RFC 9293 3.8.6.2.2 MUST-39
//= RFC 9293 3.8.6 SHLD-14
//= RFC 9293 3.9.1.2 SHLD-28
fn neither_side_makes_silly_windows() {
    let mut p = Pair::new();
    p.b.cfg.rcv_buf_initial = 8_192;
    p.b.cfg.rcv_buf_max = 8_192;
    p.establish();
    let now = p.now;
    p.a.send(now, &[5; 100_000]);
    p.settle();
    p.a.log.sent.clear();
    p.b.log.sent.clear();
    // The reader takes a few octets at a time.
    let mut got = 0;
    for _ in 0..20_000 {
        if let Some(c) = p.b.conn.as_ref().and_then(|c| c.tcb())
            && c.rcv.queue.is_empty()
            && got == 100_000
        {
            break;
        }
        let now = p.now;
        got += p.b.read_some(now, 100).len();
        p.run(Duration::from_millis(1));
    }
    assert_eq!(got, 100_000);
    let small = p.a.log.sent.iter().filter(|s| s.1 > 1 && s.1 < 1_000).count();
    assert!(small <= 5, "{small} small segments, of {}", p.a.log.sent.len());
    let updates = p.b.log.sent.iter().filter(|s| s.2 == SendReason::WindowUpdate).count();
    assert!(updates <= 100, "{updates} window updates for a thousand reads");
    assert_eq!(p.a.mib.window_shrunk, 0, "the right edge never moves left");
}

#[test]
//= RFC 9293 3.8.5 MUST-30 MUST-31 MUST-32 MUST-33 MUST-62
fn urgent_data_is_announced_and_stays_in_line() {
    let mut p = Pair::open();
    p.b.log.sent.clear();
    let now = p.now;
    assert!(!p.b.events().has(Events::URGENT));
    assert_eq!(urgent_left(&p), 0);
    p.a.send(now, b"normal ");
    p.a.send_urgent(now, b"urgent");
    p.settle();
    let urg: Vec<_> = p.a.log.sent.iter().filter(|s| s.0.flags.has(Flags::URG)).map(|s| s.0.urgent).collect();
    assert!(urg.contains(&13) || urg.contains(&6), "the pointer names the octet after the urgent data: {urg:?}");
    assert!(p.b.events().has(Events::URGENT));
    for (most, read, left) in [(0, &b""[..], 13), (7, b"normal ", 6), (5, b"urgen", 1), (9, b"t", 0)] {
        let now = p.now;
        assert_eq!(p.b.read_some(now, most), read);
        assert_eq!(urgent_left(&p), left, "after {read:?}");
    }
    // A pointer to anywhere does no harm: nothing is indexed by it.
    for urgent in [0, 1, u16::MAX] {
        let mut s = from_a(&p, 0, Flags::ACK | Flags::URG, b"x");
        s.hdr.urgent = urgent;
        p.inject(true, s);
    }
    let now = p.now;
    assert_eq!(p.b.read(now), b"xxx");
}

/// Octets of urgent data that B has not read.
fn urgent_left(p: &Pair) -> u32 {
    p.b.conn.as_ref().map_or(0, |c| c.status().urgent)
}

#[test]
//= RFC 9293 3.8.5 MUST-32 MUST-33
fn urgent_data_is_announced_once_each_time_and_counted_until_it_is_read() {
    let mut p = Pair::open();
    let announce = |p: &mut Pair, at: i32, urgent, text: &[u8]| {
        let mut s = from_a(p, at, Flags::ACK | Flags::URG, text);
        s.hdr.urgent = urgent;
        p.inject(true, s);
        (p.b.events().has(Events::URGENT), urgent_left(p))
    };
    // (place after RCV.NXT, pointer, text) gives (told, left to be read)
    for (n, (at, urgent, text, expect)) in [
        (0, 10, &b"ab"[..], (true, 10)), // it ends in text to come
        (0, 8, b"cd", (false, 10)),      // the same end again
        (0, 3, b"ef", (false, 10)),      // an end before it
        (0, 9, b"gh", (true, 15)),       // further on
        (5, 2, b"", (false, 15)),        // text is missing before it; no news
        (0, 7, b"ijklmno", (false, 15)), // all of it has come, and waits for the user
        (0, 0, b"p", (false, 15)),       // what follows is not urgent
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(announce(&mut p, at, urgent, text), expect, "announcement {n}");
    }
    let now = p.now;
    assert_eq!(p.b.read_some(now, 14), b"abcdefghijklmn");
    assert_eq!(urgent_left(&p), 1);
    // A FIN: what was announced beyond it will never come, what came before it is urgent still.
    assert_eq!(announce(&mut p, 0, 100, b"q"), (true, 102));
    let fin = from_a(&p, 0, Flags::ACK | Flags::FIN, b"");
    p.inject(true, fin);
    assert_eq!(urgent_left(&p), 3);
    let now = p.now;
    assert_eq!((p.b.read(now), urgent_left(&p)), (b"opq".to_vec(), 0));
}

#[test]
//= RFC 5681 3.2 (e)
fn three_duplicates_bring_the_lost_segment_back_without_a_timeout() {
    let mut p = Pair::open();
    let now = p.now;
    let mut n = 0;
    p.pass = Box::new(move |to_b, s, _| {
        n += usize::from(to_b && !s.payload.is_empty());
        !(to_b && n == 3 && !s.payload.is_empty())
    });
    p.a.send(now, &[3; 14_480]);
    p.settle();
    let now = p.now;
    assert_eq!(p.b.read(now).len(), 14_480);
    assert_eq!((p.a.mib.fast_retrans, p.a.mib.timeouts), (1, 0));
}

/// `a` sends ten segments of which those in `lost` are lost, the first twice if `again`; stops when the first has been acknowledged
/// or has timed out. What `a` sent after recovery began, and when, and FlightSize at that moment.
fn recovery(lost: &'static [u32], again: bool) -> (Pair, Vec<(u64, u32)>, u32) {
    let mut p = Pair::new();
    p.a.cfg.congestion = synfin_tcp::snd::congestion::Algorithm::Reno;
    p.establish();
    let now = p.now;
    let first = block(&p.a).snd.nxt;
    let mut seen = HashSet::new();
    p.pass = Box::new(move |to_b, s, _| {
        let n = s.seq().since(first) / 1_448;
        !to_b || s.payload.is_empty() || !lost.contains(&n) || !(seen.insert(n) || again && n == lost[0])
    });
    p.a.send(now, &[3; 60_000]);
    p.drain();
    let (mut sent, mut flight) = (Vec::new(), 0);
    while block(&p.a).snd.una.since(first) <= 1_448 * lost[0] && p.a.mib.timeouts == 0 {
        let before = p.a.log.sent.len();
        assert!(p.step(now + Duration::from_secs(5)));
        // What the answer to the retransmission lets go is of the next round trip.
        if p.a.mib.fast_retrans > 0 && block(&p.a).snd.una.since(first) <= 1_448 * lost[0] {
            if flight == 0 {
                flight = block(&p.a).snd.flight();
            }
            sent.extend(p.a.log.sent[before..].iter().map(|s| (p.now.since(now).as_millis() as u64, s.1)));
        }
    }
    (p, sent, flight)
}

#[test]
//= RFC 5681 4.3 (b)
fn in_recovery_a_round_trip_sends_no_more_than_half_of_what_was_out() {
    for lost in [&[0u32][..], &[2], &[0, 3], &[1, 4, 7], &[0, 1, 2, 3]] {
        let (p, sent, flight) = recovery(lost, false);
        assert_eq!(p.a.mib.timeouts, 0, "{lost:?}");
        let octets: u32 = sent.iter().map(|s| s.1).sum();
        // And the first retransmission, which goes whatever cwnd says (RFC 9937 6.2).
        assert!(octets > 0 && octets <= flight / 2 + 1_448, "{lost:?}: {octets} octets after {flight} were out");
    }
}

#[test]
//= RFC 5681 4.3 (e)
fn a_retransmission_that_is_lost_lowers_the_window_twice() {
    let (p, _, flight) = recovery(&[0], true);
    let w = block(&p.a).snd.window;
    assert_eq!((p.a.mib.fast_retrans, p.a.mib.timeouts), (1, 1));
    // First to half of what was out; then, by the timeout, to half of that, and to one segment.
    assert!(w.ssthresh <= flight / 4 && w.cwnd <= 1_448, "{w:?} of {flight}");
    assert!(p.a.log.sent.iter().any(|s| s.2 == SendReason::FastRetransmit));
}

#[test]
//= RFC 5681 3.2 (f)
fn forged_duplicates_do_not_inflate_the_window_without_end() {
    let mut p = Pair::open();
    let now = p.now;
    p.pass = Box::new(|to_b, _, _| to_b);
    p.a.send(now, &[9; 14_480]);
    p.drain();
    let t = block(&p.a);
    let (una, nxt, ts, wnd, flight) = (t.snd.una, t.rcv.nxt, t.rcv.ts_recent.val, t.snd.wnd, t.snd.flight());
    for i in 0..10_000 {
        let mut s = bare(nxt.0, una.0, Flags::ACK);
        s.hdr.window = (wnd >> 7) as u16;
        s.opts.timestamps = Some(Timestamps { val: ts, ecr: 0 });
        let left = una + 1_448 * (1 + i % 9); // another block each time, or nothing would count
        s.opts.sack.push(left, left + 1_448);
        p.inject(false, s);
    }
    let t = block(&p.a);
    assert!(t.snd.window.cwnd <= t.snd.window.ssthresh + flight + 3 * u32::from(t.snd.mss), "{:?}", t.snd.window);
}

#[test]
//= RFC 9293 3.1 MUST-5
//= RFC 7323 2.2 (b)
fn options_that_do_not_belong_change_nothing() {
    let mut p = quiet();
    let before = p.b.conn.as_ref().map(|c| c.status());
    for (left, right) in [(10u32, 5u32), (0, u32::MAX), (1 << 31, 5), (u32::MAX - 3, 9)] {
        let mut s = from_a(&p, 0, Flags::ACK, b"");
        s.opts.window_scale = Some(14);
        s.opts.mss = Some(1);
        s.opts.sack_permitted = true;
        s.opts.sack.push(SeqNum(left), SeqNum(right));
        p.inject(true, s);
    }
    let after = p.b.conn.as_ref().map(|c| c.status());
    let (before, after) = (before.expect("a status"), after.expect("a status"));
    assert_eq!(
        (before.mss, before.wscale, before.seq, before.unacked),
        (after.mss, after.wscale, after.seq, after.unacked)
    );
}

#[test]
//= RFC 9293 3.10.8
//= RFC 9293 3.8.3 MUST-21
fn the_user_timeout_ends_a_connection_whose_data_nobody_acknowledges() {
    let mut p = Pair::new();
    p.a.cfg.user_timeout = Duration::from_secs(20);
    p.establish();
    p.pass = Box::new(|_, _, _| false);
    let start = p.now;
    p.a.send(start, b"into the void");
    while p.a.state() == State::Established && p.step(start + Duration::from_secs(1_000)) {}
    assert_eq!(p.now.since(start), Duration::from_secs(20));
    assert_eq!(reason(&p.a), Some(CloseReason::TimedOut));
}

#[test]
//= RFC 9293 3.10.8
fn the_user_timeout_ends_a_handshake_in_any_of_its_states() {
    for seconds in [1, 2, 5, 7, 20] {
        let patience = Duration::from_secs(seconds);
        // SYN-SENT: nobody answers.
        let mut p = Pair::new();
        p.a.cfg.user_timeout = patience;
        p.pass = Box::new(|_, _, _| false);
        let start = p.now;
        p.a.connect(start);
        while p.a.state() != State::Closed && p.step(start + Duration::from_secs(1_000)) {}
        assert_eq!(p.now.since(start), patience);
        assert_eq!(reason(&p.a), Some(CloseReason::TimedOut));
        assert_eq!(p.a.mib.attempt_fails, 1);
        // SYN-RECEIVED after a simultaneous open: the SYNs arrive, nothing else does. The OPEN is what counts.
        let mut p = Pair::new();
        p.a.cfg.user_timeout = patience;
        p.pass = Box::new(|_, s, _| !s.has(Flags::ACK));
        let start = p.now;
        p.a.connect(start);
        p.b.connect(start);
        p.run(Duration::from_millis(15));
        assert_eq!(p.a.state(), State::SynReceived);
        while p.a.state() != State::Closed && p.step(start + Duration::from_secs(1_000)) {}
        assert_eq!(p.now.since(start), patience);
        assert_eq!(reason(&p.a), Some(CloseReason::TimedOut));
        // SYN-RECEIVED from LISTEN: the SYN+ACK is never acknowledged.
        let mut p = Pair::new();
        p.b.listening = true;
        p.b.cfg.user_timeout = patience;
        p.a.connect(start);
        p.pass = Box::new(|to_b, _, n| to_b && n == 0);
        while p.b.state() != State::SynReceived && p.step(start + DELAY) {}
        let begun = p.now;
        while p.b.half.is_some() && p.step(start + Duration::from_secs(1_000)) {}
        assert_eq!(p.now.since(begun), patience, "{seconds} s");
    }
}

#[test]
fn a_push_and_a_fin_with_data_that_finds_no_room_are_not_lost() {
    let mut p = Pair::new();
    p.b.cfg.rcv_buf_initial = 4_096;
    p.b.cfg.rcv_buf_max = 4_096;
    p.establish();
    let now = p.now;
    p.a.send(now, &[1; 10_000]);
    p.a.shutdown(now);
    p.run(Duration::from_secs(5));
    assert_eq!(p.b.state(), State::Established, "the window is shut before the FIN");
    let mut got = 0;
    for _ in 0..200 {
        let now = p.now;
        got += p.b.read(now).len();
        p.run(Duration::from_millis(200));
    }
    assert_eq!((got, p.b.state()), (10_000, State::CloseWait));
}

/// An acknowledgment for `a` that acknowledges nothing new, with a window field of `window`.
fn to_a(p: &Pair, window: u16) -> synfin_tcp::Segment {
    let t = block(&p.a);
    let mut s = bare(t.rcv.nxt.0, t.snd.una.0, Flags::ACK);
    s.hdr.window = window;
    s.opts.timestamps = Some(Timestamps { val: t.rcv.ts_recent.val, ecr: 0 });
    s
}

/// Octets of each segment with text that `a` has sent.
fn texts(p: &Pair) -> Vec<u32> {
    p.a.log.sent.iter().map(|s| s.1).filter(|n| *n > 0).collect()
}

#[test]
//= RFC 9293 3.5.3 SHLD-2
//= RFC 9293 3.6 MUST-12
//= RFC 7323 5.2 (b)
fn a_reset_may_carry_text_and_an_old_timestamp() {
    let mut p = quiet();
    let mut s = from_a(&p, 0, Flags::RST, b"why");
    s.opts.timestamps = s.opts.timestamps.map(|t| Timestamps { val: t.val.wrapping_sub(9), ..t });
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Reset(Rule::ResetExact));
    assert_eq!(reason(&p.b), Some(CloseReason::Reset));
}

#[test]
//= RFC 9293 3.1 MUST-1 REC-1
//= RFC 7323 2.2 (c), 2.3 (c) (d)
fn windows_are_unsigned_and_larger_than_their_field() {
    let snd = |p: &Pair| p.b.conn.as_ref().and_then(|c| c.tcb()).map(|t| (t.snd.wnd, t.snd.usable()));
    let mut p = Pair::new();
    p.b.listening = true;
    for (seq, ack, flags) in [(100, 0, Flags::SYN), (101, p.b.iss.0 + 1, Flags::ACK)] {
        let mut s = bare(seq, ack, flags);
        s.hdr.window = u16::MAX;
        p.inject(true, s);
    }
    assert_eq!(snd(&p), Some((65_535, 65_535)));
    // That of a SYN as it stands, that of the third segment by the shift of 7.
    let p = Pair::open();
    let windows: Vec<u16> = p.a.log.sent.iter().map(|s| s.0.window).collect();
    assert_eq!(windows[..2], [65_535, 1_024]);
    assert_eq!(snd(&p), Some((131_072, 131_072)));
}

#[test]
//= RFC 9293 3.2 MUST-65
//= RFC 2018 2
//= RFC 7323 3.2 (c)
fn only_a_syn_carries_the_options_of_a_syn_and_all_carry_timestamps() {
    let mut p = Pair::new();
    p.pass = Box::new(|_, s, _| {
        let (o, syn) = (&s.opts, s.has(Flags::SYN));
        assert_eq!([o.mss.is_some(), o.sack_permitted, o.window_scale.is_some()], [syn; 3]);
        assert!(o.timestamps.is_some());
        true
    });
    p.establish();
    let now = p.now;
    p.a.send(now, &[1; 5_000]);
    p.a.shutdown(now);
    p.settle();
    let now = p.now;
    p.b.shutdown(now);
    p.settle();
    assert!(p.passed > 6, "{} segments", p.passed);
}

#[test]
//= RFC 9293 3.1 MUST-69
fn what_follows_the_end_of_the_options_is_zero() {
    let offer = Options { sack_permitted: true, ..Options::default() };
    assert_eq!(OptionsBuf::syn(&offer, Layout::FreeBsd).as_slice()[..], [4, 2, 0, 0]);
}

#[test]
//= RFC 9293 3.10.7.4 MUST-58 MUST-59
fn segments_that_come_together_are_acknowledged_once() {
    let mut p = quiet();
    let now = p.now;
    for _ in 0..4 {
        let s = from_a(&p, 0, Flags::ACK, b"four");
        p.b.on_segment(now, s);
    }
    let out: Vec<_> = p.b.drain(now).iter().map(|s| (s.hdr.ack, s.payload.len())).collect();
    let nxt = block(&p.b).rcv.nxt;
    assert_eq!(out, [(nxt, 0)]);
}

#[test]
//= RFC 9293 3.8.4 MUST-27 SHLD-12
fn the_keepalive_interval_is_a_setting_and_a_probe_carries_nothing() {
    let mut p = Pair::new();
    p.a.cfg.keepalive = true;
    p.a.cfg.keepalive_idle = Duration::from_secs(60);
    p.establish();
    p.run(Duration::from_secs(70));
    let probes: Vec<_> = p.a.log.sent.iter().filter(|s| s.2 == SendReason::Keepalive).map(|s| (s.0.seq, s.1)).collect();
    assert_eq!(probes, [(block(&p.a).snd.nxt - 1, 0)]);
}

#[test]
//= RFC 9293 3.7.4 SHLD-7 MUST-17
//= RFC 9293 3.9.1.2 MAY-16
fn small_segments_are_gathered_unless_the_user_says_otherwise() {
    for (nodelay, want) in [(false, vec![1]), (true, vec![1, 2])] {
        let mut p = Pair::open();
        p.a.cfg.nodelay = nodelay;
        p.pass = Box::new(|_, _, _| false);
        let now = p.now;
        for text in [&b"a"[..], b"bc"] {
            p.a.send(now, text);
            p.drain();
        }
        assert_eq!(texts(&p), want);
    }
}

#[test]
//= RFC 9293 3.9.1.2 SHLD-27 SHLD-28 MUST-61
fn what_is_written_piece_by_piece_leaves_in_large_segments_with_one_push() {
    let mut p = Pair::open();
    let now = p.now;
    for _ in 0..30 {
        p.a.send(now, &[1; 100]);
    }
    p.settle();
    assert_eq!(texts(&p), [1_448, 1_448, 104]);
    let pushed: Vec<bool> = p.a.log.sent.iter().filter(|s| s.1 > 0).map(|s| s.0.flags.has(Flags::PSH)).collect();
    assert_eq!(pushed, [false, false, true]);
}

#[test]
//= RFC 9293 3.9.1.2 MUST-60
//= RFC 9293 3.8.6.2.1
fn a_window_that_stays_small_does_not_hold_text_back_for_ever() {
    let mut p = Pair::open();
    let s = to_a(&p, 3);
    p.inject(false, s);
    let now = p.now;
    p.a.send(now, &[1; 1_000]);
    p.drain();
    assert!(texts(&p).is_empty(), "it waits for a better window");
    p.run(Duration::from_secs(1));
    assert_eq!(texts(&p).first(), Some(&(3 << 7)));
    assert!(p.a.log.sent.iter().any(|s| s.2 == SendReason::SwsOverride));
}

#[test]
//= RFC 7323 2.4 (c)
//= RFC 9293 3.8.6 SHLD-15 SHLD-16 SHLD-17 MUST-35
fn behind_a_shrunk_window_nothing_new_goes_out_and_answers_keep_the_connection() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, &[9; 5_000]);
    p.drain();
    let nxt = block(&p.a).snd.nxt;
    let s = to_a(&p, 3);
    p.inject(false, s);
    let now = p.now;
    p.a.send(now, &[9; 5_000]);
    for _ in 0..100 {
        p.run(Duration::from_secs(60));
        let s = to_a(&p, 0);
        p.inject(false, s);
    }
    assert_eq!((p.a.state(), block(&p.a).snd.nxt), (State::Established, nxt));
    assert!(p.a.log.sent.iter().any(|s| s.2 == SendReason::Timeout && s.1 == 3 << 7), "what fits is sent again");
    assert!(p.a.log.sent.iter().any(|s| s.2 == SendReason::WindowProbe));
}

#[test]
//= RFC 9293 3.8.6.1 SHLD-29
fn the_first_window_probe_waits_for_one_rto() {
    let mut p = Pair::open();
    let s = to_a(&p, 0);
    p.inject(false, s);
    let start = p.now;
    let rto = block(&p.a).snd.rtt.rto(&p.a.cfg);
    p.a.send(start, b"x");
    let probed = |p: &Pair| p.a.log.sent.iter().any(|s| s.2 == SendReason::WindowProbe);
    while !probed(&p) && p.step(start + Duration::from_secs(60)) {}
    assert_eq!(p.now.since(start), rto);
}

#[test]
//= RFC 9293 3.9.1.8 MUST-47
//= RFC 9293 3.8.3 SHLD-9 SHLD-10
fn the_user_is_told_after_three_retransmissions() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, b"into the void");
    for (ms, told) in [(600, false), (2_000, true)] {
        p.run(Duration::from_millis(ms));
        assert_eq!(p.a.events().has(synfin_tcp::Events::SLUGGISH), told);
    }
    assert_eq!(p.a.state(), State::Established);
}

#[test]
//= RFC 6298 5.7
//= RFC 5681 3.1 (d)
fn after_a_lost_syn_data_begins_with_one_segment_and_three_seconds() {
    let mut p = Pair::new();
    p.b.listening = true;
    p.pass = Box::new(|_, _, before| before > 0);
    let now = p.now;
    p.a.connect(now);
    p.run(Duration::from_secs(2));
    let t = block(&p.a);
    assert_eq!((t.snd.rtt.rto_us, t.snd.window.cwnd), (3_000_000, u32::from(t.snd.mss)));
}

#[test]
//= RFC 5681 2
//= RFC 5681 3
fn no_more_is_out_than_both_windows_allow() {
    for window in [502, 50] {
        let mut p = Pair::open();
        p.pass = Box::new(|_, _, _| false);
        let s = to_a(&p, window);
        p.inject(false, s);
        let now = p.now;
        p.a.send(now, &[1; 100_000]);
        p.drain();
        let s = &block(&p.a).snd;
        let most = s.window.cwnd.min(s.wnd);
        assert!(s.flight() <= most && most - s.flight() < u32::from(s.mss), "{} of {most}", s.flight());
    }
}

#[test]
//= RFC 7323 4.1
//= RFC 7323 5.4 (a) (b)
fn the_timestamp_clock_ticks_a_thousand_times_a_second() {
    let p = Pair::open();
    let val = |s: u64| block(&p.a).timestamps(p.now + Duration::from_secs(s)).map_or(0, |t| t.val);
    assert_eq!([val(1), val(60)].map(|v| v.wrapping_sub(val(0))), [1_000, 60_000]);
}

#[test]
//= RFC 7323 4.3
fn the_timestamp_of_what_fills_the_hole_is_echoed() {
    let mut p = quiet();
    let recent = |p: &Pair| p.b.conn.as_ref().and_then(|c| c.tcb()).map_or(0, |t| t.rcv.ts_recent.val);
    let before = recent(&p);
    for (offset, later, want) in [(4, 5, 0), (0, 9, 9)] {
        let mut s = from_a(&p, offset, Flags::ACK, b"text");
        s.opts.timestamps = Some(Timestamps { val: before.wrapping_add(later), ecr: 0 });
        p.inject(true, s);
        assert_eq!(recent(&p), before.wrapping_add(want));
    }
}

#[test]
//= RFC 2018 5
//= RFC 2018 5.1 (b), 8 (c)
fn a_timeout_sends_from_the_left_edge_whatever_was_sacked() {
    let mut p = Pair::open();
    p.pass = Box::new(|_, _, _| false);
    let now = p.now;
    p.a.send(now, &[1; 4_344]);
    p.drain();
    let una = block(&p.a).snd.una;
    let mut s = to_a(&p, 502);
    s.opts.sack.push(una + 1_448, una + 4_344);
    p.inject(false, s);
    p.run(Duration::from_secs(1));
    let again: Vec<_> = p.a.log.sent.iter().filter(|s| s.2 == SendReason::Timeout).map(|s| s.0.seq).collect();
    assert!(!again.is_empty() && again.iter().all(|s| *s == una), "{again:?} from {una}");
    assert_eq!(block(&p.a).snd.queue.len(), 4_344, "nothing is let go");
}

#[test]
//= RFC 9293 3.4 MUST-66
fn urg_and_rst_count_before_a_shut_window() {
    let mut p = Pair::new();
    p.b.cfg.rcv_buf_initial = 4_096;
    p.b.cfg.rcv_buf_max = 4_096;
    p.establish();
    let now = p.now;
    p.a.send(now, &[1; 10_000]);
    p.run(Duration::from_secs(5));
    assert_eq!(wnd(&p), 0);
    p.b.events();
    let mut s = from_a(&p, 0, Flags::ACK | Flags::URG, b"");
    s.hdr.urgent = 5;
    p.inject(true, s);
    assert!(p.b.events().has(synfin_tcp::Events::URGENT));
    let s = from_a(&p, 0, Flags::RST, b"");
    p.inject(true, s);
    assert_eq!(last(&p), Verdict::Reset(Rule::ResetExact));
}
