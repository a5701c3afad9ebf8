//! Segments with text: how much goes into the next one (RFC 9293 3.7), and what its leaving changes.

use super::mtu_probe::{self, Turn};
use super::{Kind, Limits, Plan, ecn, options};
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::snd::congestion::{Sending, initial_window};
use crate::snd::recovery::Frto;
use crate::snd::scoreboard::Record;
use crate::state::State;
use crate::tcb::Tcb;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// What was found lost, as far as cwnd lets it go again.
//= RFC 6675 4 (e), 5 (h): NextSeg(), rule 1
//= RFC 8985 9.3 (a)
//= RFC 9937 3 (a) (b)
//= RFC 5681 3.2 (e)
pub(super) fn resend<P: Probe>(t: &Tcb, cx: &Cx<'_, P>, limits: &Limits) -> Option<Plan> {
    let s = &t.snd;
    if s.wnd == 0 || s.una.lt(s.queue.base()) {
        return None;
    }
    // New text goes instead, if it is only little.
    //= RFC 5682 2.1 (g), 3.1 (g)
    let asked = s.nxt.gt(s.recovery.recover) || (s.has_pending() && s.usable() > 0);
    let (seq, run) = s.board.next_lost().filter(|_| s.recovery.frto != Frto::Probing || !asked)?;
    let mss = u32::from(s.mss).saturating_sub(options::sack_room(t)).max(1);
    // The first one of a recovery goes whatever cwnd says.
    let force = s.recovery.force;
    let room = s.window.cwnd.saturating_sub(s.pipe()).max(if force { mss } else { 0 });
    //= RFC 9293 3.8.6 SHLD-15 SHLD-16: of a window that has shrunk, what fits
    let usable = (s.una + s.wnd).diff(seq).max(0) as u32;
    let text = run.min(s.queue.end().diff(seq).max(0) as u32);
    let urg = urgent(t, seq);
    let cap = if urg == Flags::NONE && !ecn::single(t, limits) { super_segment(t, cx, limits, mss) } else { mss };
    let mut len = text.min(room).min(usable).min(cap);
    if len < text && len >= mss {
        len -= len % mss;
    } else if len < text && !force {
        // Of a window that has shrunk below a segment, what is left goes when nothing else is out that could open it.
        //= RFC 9293 3.8.6 MUST-34 SHLD-16
        if len == 0 || len < usable || s.pipe() > 0 {
            return None;
        }
    }
    let mut flags = Flags::ACK | urg;
    if seq + len == s.queue.end() {
        flags |= if len > 0 { Flags::PSH } else { Flags::NONE };
        let fin = run > text || s.fin_sent();
        flags |= if fin && (force || room > len) && usable > len { Flags::FIN } else { Flags::NONE };
    } else if len > mss {
        flags |= Flags::PSH;
    }
    let gso = if len > mss { mss as u16 } else { 0 };
    let something = len > 0 || flags.has(Flags::FIN);
    something.then_some(Plan { kind: Kind::Resend, seq, len, flags, why: t.again, gso })
}

/// A loss probe: one new segment if there is one, else the last one again. cwnd does not count.
//= RFC 8985 7.3 (d) (e): TLP_send_probe
pub(super) fn loss_probe(t: &Tcb) -> Option<Plan> {
    let s = &t.snd;
    if !s.recovery.tlp.due {
        return None;
    }
    let mss = u32::from(s.mss).saturating_sub(options::sack_room(t)).max(1);
    let new = s.queue.end().diff(s.cursor).max(0) as u32;
    let (kind, seq, len) = if new > 0 && s.usable() > 0 {
        (Kind::AtCursor, s.cursor, new.min(s.usable()).min(mss))
    } else {
        let (seq, octets) = s.board.last_segment()?;
        // It may have been larger than what goes now: a path MTU probe, or sent when there were fewer options.
        let over = octets.saturating_sub(mss + u32::from(s.fin_sent()));
        let (seq, octets) = (seq + over, octets - over);
        let text = s.queue.end().diff(seq).max(0) as u32;
        (Kind::Resend, seq, octets.min(text))
    };
    let mut flags = Flags::ACK | urgent(t, seq);
    if seq + len == s.queue.end() {
        flags |= if len > 0 { Flags::PSH } else { Flags::NONE };
        let fin = if kind == Kind::Resend { s.fin_sent() } else { s.fin && s.usable() > len };
        flags |= if fin { Flags::FIN } else { Flags::NONE };
    }
    Some(Plan { kind, seq, len, flags, why: SendReason::LossProbe, gso: 0 })
}

/// How much leaves at once: at most half the congestion window, for one can be acknowledged while another is under way, and
/// no more than pacing lets go.
fn super_segment<P: Probe>(t: &Tcb, cx: &Cx<'_, P>, limits: &Limits, mss: u32) -> u32 {
    let quantum = t.snd.pacing(cx.cfg).map_or(u32::MAX, |p| p.quantum);
    let most = limits.max_text.min(t.snd.window.cwnd / 2).min(quantum);
    (most / mss).max(1) * mss
}

/// Whether pacing lets text go now.
pub(super) fn paced<P: Probe>(t: &Tcb, cx: &Cx<'_, P>) -> bool {
    t.snd.pacer.next > cx.now && t.snd.pacing(cx.cfg).is_some()
}

/// What the windows, Nagle's algorithm and silly-window avoidance let go next.
//= RFC 9293 3.7.4 SHLD-7
//= RFC 9293 3.9.1.2 MUST-60 SHLD-28
//= RFC 5681 2
//= RFC 5681 3
//= RFC 2018 5.1 (a)
//= RFC 6675 4 (f), 5 (h): NextSeg(), rule 2
//= RFC 9937 3 (a) (b)
//= RFC 9293 3.8.6.2.1 MUST-38
pub(super) fn at_cursor<P: Probe>(t: &Tcb, cx: &Cx<'_, P>, limits: &Limits) -> Option<Plan> {
    let s = &t.snd;
    if !s.has_pending() {
        return None;
    }
    let resent = s.cursor.lt(s.nxt);
    if s.cursor.lt(s.queue.base()) {
        // CLOSE in SYN-RECEIVED, or Fast Open: our SYN, unacknowledged, stands before the text.
        let first = t.state == State::SynReceived && s.retries == 0;
        let why = if first { SendReason::SynAck } else { SendReason::SynAckRetransmission };
        let flags = Flags::SYN | Flags::ACK;
        return Some(Plan { kind: Kind::SynAck, seq: s.cursor, len: 0, flags, why, gso: 0 });
    }
    //= RFC 7413 4.2.2 (e): the SYN+ACK goes again without text, and no text after it: the client may be nobody
    if s.fast_open && s.retries > 0 && s.una.lt(s.queue.base()) {
        return None;
    }
    match mtu_probe::turn(t, cx, limits) {
        Turn::Probe(plan) => return Some(plan),
        Turn::Wait => return None,
        Turn::Pass => {}
    }
    //= RFC 9293 3.7.1 MUST-16
    let mss = u32::from(s.mss).saturating_sub(options::sack_room(t)).max(1);
    let available = s.queue.end().diff(s.cursor).max(0) as u32;
    // What has left the network makes room for new text, also before recovery begins.
    //= RFC 3042 2 (a) (b)
    //= RFC 5681 3.2 (a)
    let congestion = s.window.cwnd.saturating_sub(s.pipe());
    //= RFC 9293 3.8.6 SHLD-15 SHLD-16
    //= RFC 7323 2.4 (a) (c)
    //= RFC 9406 3
    let usable = s.usable().min(congestion);
    let urg = urgent(t, s.cursor);
    let cap = if urg == Flags::NONE && !ecn::single(t, limits) { super_segment(t, cx, limits, mss) } else { mss };
    let mut len = available.min(usable).min(cap);
    if available > 0 {
        // Minshall's variant of Nagle's algorithm: at most one small segment is unacknowledged.
        //= RFC 9293 3.7.4 MUST-17
        //= RFC 9293 3.9.1.2 MAY-16
        //= RFC 5682 2.1: F-RTO may override it
        let asks = s.recovery.frto == Frto::Probing;
        let corked = cx.cfg.cork && !(s.fin || resent || asks);
        let tail_may_go = !corked && (cx.cfg.nodelay || s.fin || resent || asks || s.small_end.le(s.una));
        let whole = len - len % mss;
        if len < mss {
            let all = len == available && tail_may_go;
            let half_of_window = !corked && len > 0 && len >= s.max_wnd / 2;
            if !(len > 0 && (all || half_of_window || t.sws_override)) {
                return None;
            }
        } else if whole < len && !(len == available && tail_may_go) {
            len = whole;
        }
    }
    let last = len == available;
    let mut flags = Flags::ACK | urg;
    if (last && len > 0) || len > mss {
        //= RFC 9293 3.9.1.2 MUST-61 SHLD-27: PSH on the last buffered segment. At the end of a super-segment too: there a
        // receiver that puts segments together need not wait for more.
        flags |= Flags::PSH;
    }
    // The FIN takes its place in the window, as any octet.
    if last && s.fin && s.usable() > len {
        flags |= Flags::FIN;
    }
    if len == 0 && !flags.has(Flags::FIN) {
        return None;
    }
    let why = match (resent, flags.has(Flags::FIN)) {
        (true, _) => t.again,
        (false, _) if t.sws_override && len < mss && !last => SendReason::SwsOverride,
        (false, true) => SendReason::Fin,
        (false, false) => SendReason::Data,
    };
    let gso = if len > mss { mss as u16 } else { 0 };
    Some(Plan { kind: Kind::AtCursor, seq: s.cursor, len, flags, why, gso })
}

pub(super) fn urgent(t: &Tcb, seq: SeqNum) -> Flags {
    if t.snd.up.gt(seq) { Flags::URG } else { Flags::NONE }
}

/// The segment has left: SND.NXT, the acknowledgment it carried, the clock of the round trip.
pub(super) fn sent<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, plan: &Plan, edge: SeqNum) {
    let end = plan.seq + plan.len + u32::from(plan.flags.has(Flags::FIN));
    let room = options::sack_room(t);
    let full = u32::from(t.snd.mss).saturating_sub(room).max(1);
    let s = &mut t.snd;
    let resent = plan.kind != Kind::Ack && plan.kind != Kind::Empty && plan.seq.lt(s.nxt);
    match plan.kind {
        Kind::AtCursor | Kind::Resend => left(t, cx, plan, end),
        Kind::WindowProbe => {
            t.again = SendReason::Data;
            t.probe_due = None;
            cx.mib.win_probe += 1;
        }
        Kind::Empty => {
            t.probe_due = None;
            cx.mib.win_probe += u64::from(plan.why == SendReason::WindowProbe);
        }
        _ => {}
    }
    let s = &mut t.snd;
    if plan.len > 0 || end.gt(plan.seq) {
        t.sws_override = false;
        // A probe of a shut window asks for the window, and tells nothing of the path.
        if plan.kind != Kind::WindowProbe {
            s.last_sent = cx.now;
            if plan.len > 0 {
                t.rcv.ack.answered();
            }
        }
    }
    let pieces = u64::from(if plan.gso > 0 { plan.len.div_ceil(u32::from(plan.gso)) } else { 1 });
    t.counters.segs_out += pieces;
    t.counters.bytes_sent += u64::from(plan.len);
    if resent && plan.kind != Kind::WindowProbe {
        t.counters.retrans += pieces;
        t.counters.bytes_retrans += u64::from(plan.len);
        cx.mib.retrans_segs += pieces;
    }
    if resent {
        s.rtt.retransmitted();
    } else if end.gt(s.nxt) && plan.kind == Kind::AtCursor {
        s.rtt.sent(end, cx.now);
    }
    if !matches!(plan.kind, Kind::Ack | Kind::Empty) {
        s.nxt = s.nxt.max(end);
        if plan.why == SendReason::MtuProbe {
            if let Some(search) = &mut s.search {
                search.sent(plan.seq, end, (plan.len + room) as u16, t.negotiated.text());
            }
        } else if plan.len > 0 && !plan.len.is_multiple_of(full) {
            s.small_end = plan.seq + plan.len;
        }
    }
    if plan.why == SendReason::LossProbe {
        cx.mib.loss_probes += 1;
        //= RFC 8985 7.3 (g)
        s.recovery.tlp.sent(s.nxt, plan.kind == Kind::Resend);
        t.timers.retransmission = cx.now + s.rtt.rto(cx.cfg);
    }
    t.rcv.edge = t.rcv.edge.max(edge);
    t.rcv.last_ack_sent = t.rcv.nxt;
    let nxt = t.rcv.nxt;
    t.rcv.ack.sent(nxt, plan.kind == Kind::Ack);
    t.sack.sent();
}

/// Text, or a FIN, has left, in a loss probe too: the scoreboard, the rate of delivery, congestion control and pacing are told.
//= RFC 8985 6.1, 7.3 (f)
fn left<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, plan: &Plan, end: SeqNum) {
    let s = &mut t.snd;
    let (pipe, octets) = (s.pipe(), end.since(plan.seq));
    let sending =
        Sending { now: cx.now, pipe, is_app_limited: s.rate.is_app_limited(), total_delivered: s.rate.delivered };
    s.congestion.get().on_send(&mut s.window, &sending);
    // Ten segments may leave at once on any path (RFC 6928 2), and a flow that has no more is not to wait for the pace of a rate
    // that nobody has measured.
    let first = u64::from(initial_window(10, u32::from(s.mss)));
    if t.counters.bytes_sent + u64::from(octets) > first
        && let Some(p) = s.pacing(cx.cfg)
    {
        s.pacer.sent(cx.now, octets, p);
    }
    let stamp = s.rate.stamp(cx.now, pipe, octets);
    let piece = if plan.gso > 0 { plan.gso } else { s.mss.max(octets.min(u32::from(u16::MAX)) as u16) };
    if plan.kind == Kind::Resend {
        if let Some(search) = &mut s.search {
            search.resent(plan.seq, end);
        }
        s.board.resent(plan.seq, end, piece, cx.now, stamp);
        s.recovery.force = false;
        if let Some(u) = s.recovery.undo() {
            u.resent(cx.now, plan.seq, end, u32::from(piece));
        }
    } else {
        let again = plan.seq.lt(s.nxt);
        s.board.sent(Record::new(plan.seq, end, piece, again, cx.now, stamp), cx.pool);
        s.cursor = s.cursor.max(end);
        s.recovery.tlp.since = cx.now;
    }
    let out = pipe.saturating_add(octets);
    let room = u64::from(out) + u64::from(s.mss) <= u64::from(s.window.cwnd);
    s.usage.sent(out, room, s.una, s.nxt.max(end));
    //= RFC 9937 6.3
    if let Some(e) = &mut s.recovery.episode {
        e.prr.sent(octets);
    }
    if s.cursor == s.queue.end() + u32::from(s.fin) && s.board.unsent() == 0 && s.pipe() < s.window.cwnd {
        s.rate.app_limited(s.pipe());
    }
}
