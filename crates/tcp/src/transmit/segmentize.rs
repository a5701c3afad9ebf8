//! Segments with text: how much goes into the next one (RFC 9293 3.7), and what its leaving changes.

use super::{Kind, Limits, Plan, ecn, options};
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::tcb::Tcb;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// The first unacknowledged segment, if recovery wants it again.
pub(super) fn again(t: &Tcb) -> Option<Plan> {
    let s = &t.snd;
    if !s.recovery.again || s.una.ge(s.nxt) || s.una.lt(s.queue.base()) {
        return None;
    }
    let text_sent = s.nxt.min(s.queue.end()).diff(s.una).max(0) as u32;
    let len = text_sent.min(u32::from(s.mss).saturating_sub(options::sack_room(t)));
    let mut flags = Flags::ACK;
    if s.una + len == s.queue.end() {
        flags |= if len > 0 { Flags::PSH } else { Flags::NONE };
        flags |= if s.fin_sent() { Flags::FIN } else { Flags::NONE };
    }
    Some(Plan { kind: Kind::AtUna, seq: s.una, len, flags: flags | urgent(t, s.una), why: t.again, gso: 0 })
}

/// What the windows, Nagle's algorithm and silly-window avoidance let go next.
//= RFC 9293 3.7.4 SHLD-7
//= RFC 9293 3.9.1.2 MUST-60 SHLD-28
//= RFC 5681 2
//= RFC 5681 3
//= RFC 9293 3.8.6.2.1 MUST-38
pub(super) fn at_cursor<P: Probe>(t: &Tcb, cx: &Cx<'_, P>, limits: &Limits) -> Option<Plan> {
    let s = &t.snd;
    if !s.has_pending() {
        return None;
    }
    let resent = s.cursor.lt(s.nxt);
    if s.cursor.lt(s.queue.base()) {
        // CLOSE in SYN-RECEIVED: our SYN, unacknowledged, stands before the text.
        let (flags, why) = (Flags::SYN | Flags::ACK, SendReason::SynAckRetransmission);
        return Some(Plan { kind: Kind::SynAck, seq: s.cursor, len: 0, flags, why, gso: 0 });
    }
    //= RFC 9293 3.7.1 MUST-16
    let mss = u32::from(s.mss).saturating_sub(options::sack_room(t)).max(1);
    let available = s.queue.end().diff(s.cursor).max(0) as u32;
    // Limited transmit is for new text.
    let limited = if resent { 0 } else { s.recovery.limited_transmit(u32::from(s.mss)) };
    let congestion = s.window.cwnd.saturating_add(limited).saturating_sub(s.out());
    //= RFC 9293 3.8.6 SHLD-15 SHLD-16
    //= RFC 7323 2.4
    let usable = s.usable().min(congestion);
    let urg = urgent(t, s.cursor);
    // Super-segments of at most half the congestion window: one can be acknowledged while another is under way.
    let most = limits.max_text.min(s.window.cwnd / 2);
    let cap = if urg == Flags::NONE && !ecn::single(t, limits) { (most / mss).max(1) * mss } else { mss };
    let mut len = available.min(usable).min(cap);
    if available > 0 {
        // Minshall's variant of Nagle's algorithm: at most one small segment is unacknowledged.
        //= RFC 9293 3.7.4 MUST-17
        //= RFC 9293 3.9.1.2 MAY-16
        let tail_may_go = cx.cfg.nodelay || s.fin || resent || s.small_end.le(s.una);
        let whole = len - len % mss;
        if len < mss {
            let all = len == available && tail_may_go;
            let half_of_window = len > 0 && len >= s.max_wnd / 2;
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

fn urgent(t: &Tcb, seq: SeqNum) -> Flags {
    if t.snd.up.gt(seq) { Flags::URG } else { Flags::NONE }
}

/// The segment has left: SND.NXT, the acknowledgment it carried, the clock of the round trip.
pub(super) fn sent<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, plan: &Plan, edge: SeqNum) {
    let end = plan.seq + plan.len + u32::from(plan.flags.has(Flags::FIN));
    let full = u32::from(t.snd.mss).saturating_sub(options::sack_room(t)).max(1);
    let s = &mut t.snd;
    let resent = plan.kind != Kind::Ack && plan.kind != Kind::Empty && plan.seq.lt(s.nxt);
    match plan.kind {
        Kind::AtCursor => s.cursor = s.cursor.max(end),
        Kind::AtUna => s.recovery.again = false,
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
    if plan.len > 0 || end.gt(plan.seq) {
        t.sws_override = false;
        s.last_sent = cx.now;
    }
    let pieces = u64::from(if plan.gso > 0 { plan.len.div_ceil(u32::from(plan.gso)) } else { 1 });
    t.counters.segs_out += pieces;
    t.counters.bytes_sent += u64::from(plan.len);
    if resent {
        t.counters.retrans += pieces;
        t.counters.bytes_retrans += u64::from(plan.len);
        cx.mib.retrans_segs += pieces;
        s.rtt.retransmitted();
    } else if end.gt(s.nxt) && plan.kind == Kind::AtCursor {
        s.rtt.sent(end, cx.now);
    }
    if !matches!(plan.kind, Kind::Ack | Kind::Empty) {
        s.nxt = s.nxt.max(end);
        if plan.len > 0 && !plan.len.is_multiple_of(full) {
            s.small_end = plan.seq + plan.len;
        }
    }
    t.rcv.edge = t.rcv.edge.max(edge);
    t.rcv.last_ack_sent = t.rcv.nxt;
    let nxt = t.rcv.nxt;
    t.rcv.ack.sent(nxt, plan.kind == Kind::Ack);
    t.sack.sent();
}
