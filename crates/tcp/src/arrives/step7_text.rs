//! Seventh, process the segment text (RFC 9293 3.10.7.4).

use crate::buf::{Chunk, Memory};
use crate::cx::Cx;
use crate::event::Events;
use crate::probe::Probe;
use crate::rcv::Inserted;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::tcp::Flags;

pub(super) fn process<P: Probe>(
    t: &mut Tcb,
    cx: &mut Cx<'_, P>,
    seg: &mut Segment,
) -> ControlFlow<Verdict, Option<Rule>> {
    if seg.payload.is_empty() {
        return ControlFlow::Continue(None);
    }
    if !matches!(t.state, State::Established | State::FinWait1 | State::FinWait2) {
        // "This should not occur since a FIN has been received from the remote side."
        return ControlFlow::Break(Verdict::Dropped(Rule::TextAfterFin));
    }
    if t.rcv.closed {
        return ControlFlow::Break(Verdict::Reset(Rule::TextAfterClose));
    }
    // What lies beyond the place of a FIN that came early is not the peer's (it has said that it is done).
    if let Some(fin) = t.rcv.fin {
        let seq = seg.seq();
        if seq.ge(fin) {
            return ControlFlow::Break(Verdict::Acked(Rule::TextAfterFin));
        }
        seg.trim(seq, fin);
    }
    let silence = cx.now.since(t.rcv.ack.last_text) > t.snd.rtt.rto(cx.cfg);
    t.rcv.ack.text(silence, seg.has(Flags::PSH), cx.cfg.quick_acks);
    t.rcv.ack.last_text = cx.now;
    measure(t, cx, seg);
    let chunk = core::mem::take(&mut seg.payload);
    if seg.seq() == t.rcv.nxt {
        // The window promised it, but the whole host has no memory: it is as if the segment had been lost. A user who
        // reads always gets more.
        if cx.pool.memory() == Memory::Full && !t.rcv.queue.is_empty() {
            cx.mib.rcv_q_drop += 1;
            cx.pool.give(chunk);
            return ControlFlow::Break(Verdict::Acked(Rule::NoMemory));
        }
        ControlFlow::Continue(Some(in_order(t, cx, chunk, seg.gro)))
    } else {
        let seq = seg.seq();
        let rule = out_of_order(t, cx, seq, &chunk);
        cx.pool.give(chunk);
        match rule {
            Rule::NoRoom => ControlFlow::Break(Verdict::Acked(Rule::NoRoom)),
            r => ControlFlow::Continue(Some(r)),
        }
    }
}

/// The round trip as the receiver sees it: how long ago the acknowledgment was sent whose timestamp a whole segment echoes.
/// Less is sent when its application has it, not when an acknowledgment comes.
fn measure<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>, seg: &Segment) {
    if let Some(ts) = seg.opts.timestamps
        && t.negotiated.timestamps
        && ts.ecr != 0
        && seg.payload.len() >= usize::from(t.rcv.mss.min(536))
    {
        let ms = (cx.now.as_millis() as u32).wrapping_add(t.negotiated.ts_offset).wrapping_sub(ts.ecr);
        t.rcv.sizing.measured(ms);
    }
}

/// The text everybody waits for: to the user, and after it what had come before.
fn in_order<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, chunk: Chunk, gro: u16) -> Rule {
    let mut full = u32::from(if gro > 0 { gro } else { t.rcv.mss });
    // A peer that sends smaller segments than it may is acknowledged by its own measure.
    if gro == 0 && chunk.len() as u32 <= full {
        full = full.min((chunk.len() as u32).max(536));
    }
    let mut rule = Rule::InOrder;
    if let Some(mut holes) = t.rcv.holes.take() {
        let mut offset = t.received();
        if holes.start() < offset + chunk.len() as u64 {
            // It overlaps what came before it: of octets that come twice the first ones count. No limit: it is in order,
            // and leaves again at once.
            let got = holes.insert(offset, &chunk, usize::MAX, usize::MAX, cx.pool);
            cx.mib.overlap_differs += u64::from(got.differing);
            report_duplicate(t, cx, &got);
            cx.pool.give(chunk);
        } else {
            offset += chunk.len() as u64;
            deliver(t, cx, chunk);
        }
        while let Some(c) = holes.pop(offset, cx.pool) {
            offset += c.len() as u64;
            deliver(t, cx, c);
        }
        rule = Rule::HoleFilled;
        if !holes.is_empty() {
            t.rcv.holes = Some(holes);
        }
        t.sack.advance(t.rcv.nxt);
    } else {
        deliver(t, cx, chunk);
    }
    if rule == Rule::HoleFilled || t.sack.has_duplicate() {
        //= RFC 5681 4.2 (b): a segment that fills in a gap is acknowledged at once; so is one with octets that came before
        t.rcv.ack.now(SendReason::OutOfOrderAck);
    } else {
        let nxt = t.rcv.nxt;
        t.rcv.ack.text_in_order(nxt, full);
    }
    if t.is_readable(cx.cfg) {
        t.events |= Events::READABLE;
    }
    rule
}

fn deliver<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, chunk: Chunk) {
    t.rcv.nxt += chunk.len() as u32;
    t.counters.bytes_received += chunk.len() as u64;
    t.rcv.queue.push(chunk, cx.pool);
}

/// Text beyond a hole: kept, and acknowledged at once with what is missing.
//= RFC 9293 3.10.7.4 SHLD-31 MAY-13
//= RFC 2018 8 (b): what is kept, and so what is told of, is not dropped again
//= RFC 5681 4.2 (b)
fn out_of_order<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seq: synfin_wire::SeqNum, chunk: &Chunk) -> Rule {
    let ahead = seq.since(t.rcv.nxt);
    let nxt = t.received();
    let start = nxt + u64::from(ahead);
    let holes = t.rcv.holes.get_or_insert_default();
    // Memory for what is out of order: as much as the buffer may hold in order, with as much again for the
    // difference between small segments and the buffers that hold them.
    let limit = if cx.pool.memory() == Memory::Full { 0 } else { 2 * t.rcv.buf as usize };
    let got = holes.insert(start, chunk, usize::from(cx.cfg.reassembly_pieces), limit, cx.pool);
    if holes.is_empty() {
        t.rcv.holes = None;
    }
    cx.mib.overlap_differs += u64::from(got.differing);
    cx.mib.ofo_queue += 1;
    let to_seq = |offset: u64| t.rcv.nxt + (offset - nxt) as u32;
    if t.negotiated.sack && got.run.1 > got.run.0 {
        t.sack.arrived(to_seq(got.run.0.max(nxt)), to_seq(got.run.1));
        if let Some(h) = t.rcv.holes.as_ref().filter(|h| t.sack.has_room(h.runs().len())) {
            t.sack.fill(h.runs().map(|(from, to)| (to_seq(from.max(nxt)), to_seq(to))));
        }
    }
    report_duplicate(t, cx, &got);
    t.rcv.ack.out_of_order();
    if got.dropped > 0 {
        cx.mib.ofo_drop += 1;
        return Rule::NoRoom;
    }
    Rule::OutOfOrder
}

/// The first run of octets that came twice is reported by the next acknowledgment.
//= RFC 2883 4
//= RFC 2883 4.1
//= RFC 2883 4.2
fn report_duplicate<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, got: &Inserted) {
    if let Some((left, right)) = got.first_duplicate
        && t.negotiated.sack
        && cx.cfg.dsack
    {
        // Offsets count from the first octet of all.
        let to_seq = |offset: u64| t.rcv.irs + 1 + offset as u32;
        t.sack.duplicate(to_seq(left), to_seq(right));
        cx.mib.dsack_old_sent += 1;
    }
}

impl Tcb {
    /// The sequence number after the last text that has come, holes included.
    pub(super) fn text_end(&self) -> synfin_wire::SeqNum {
        let ahead = self.rcv.holes.as_ref().map_or(0, |h| h.end().saturating_sub(self.received()));
        self.rcv.nxt + ahead as u32
    }

    /// Octets of text received in order since the beginning, unwrapped.
    fn received(&self) -> u64 {
        self.counters.bytes_received
    }

    /// Something of the peer's arrived that was not refused: it lives.
    pub(crate) fn heard(&mut self, now: crate::time::Instant) {
        self.last_heard = now;
        self.snd.keepalives = 0;
    }
}
