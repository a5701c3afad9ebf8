//! The options of what we send.

use super::Plan;
use crate::config::TcpConfig;
use crate::negotiate::{Negotiated, Offer};
use crate::rule::SendReason;
use crate::tcb::Tcb;
use crate::time::Instant;
use synfin_wire::tcp::{AccEcn, MAX_OPTIONS_LEN, Options, OptionsBuf};

/// Of a SYN+ACK: only what the peer's SYN carried too (RFC 7323 2.2, 3.2; RFC 2018 2).
pub(crate) fn syn_ack_options(cfg: &TcpConfig, n: &Negotiated, now_ms: u64) -> Options {
    let offer = Offer { mss: n.rcv_mss, window_shift: n.rcv_shift, ts_offset: n.ts_offset };
    offer.options(cfg, now_ms, Some(n))
}

/// Of any other segment: timestamps, and what lies beyond holes.
//= RFC 7323 3.2 (c)
//= RFC 2018 4 (a): no SACK unless permitted
/// Also tells how many counters its AccECN option has, if there is one.
pub(super) fn segment(t: &Tcb, now: Instant, p: &Plan) -> (OptionsBuf, Option<u8>) {
    let (fields, n) = layout(t, p.len > 0);
    //= RFC 9768 3.2.3.2.2: no option on what is sent again because it was lost with one
    let lost = p.len > 0 && p.seq.lt(t.snd.nxt) && t.rcv.ecn.failed(p.seq + p.len);
    let fields = fields.filter(|_| !lost);
    //= RFC 9768 3.2.2.5.1: acknowledgments of acknowledgments have no SACK blocks, or they would look like duplicates
    let n = if p.why == SendReason::AckOfAcks { 0 } else { n };
    let (blocks, _) = t.sack.blocks();
    (OptionsBuf::feedback(t.timestamps(now), fields.map(|f| t.rcv.ecn.option_of(f)), &blocks[..n]), fields)
}

/// The room that SACK blocks and an AccECN option take from the text of a segment (RFC 6691 2; timestamps are taken off the
/// MSS already).
pub(crate) fn sack_room(t: &Tcb) -> u32 {
    let (fields, n) = layout(t, true);
    let sack = if n == 0 { 0 } else { 4 + 8 * n as u32 };
    sack + fields.map_or(0, AccEcn::padded_len) as u32
}

/// How many counters the AccECN option has, if there is one, and how many SACK blocks there are. Two blocks come first, then
/// the counters that moved, then what else there is room for.
//= RFC 9768 3.2.3.3
fn layout(t: &Tcb, text: bool) -> (Option<u8>, usize) {
    let blocks = if t.negotiated.sack { t.sack.blocks().1 } else { 0 };
    let room = MAX_OPTIONS_LEN - if t.negotiated.timestamps { 12 } else { 0 };
    let wanted = |n: usize| if n == 0 { 0 } else { 4 + 8 * n };
    let left = room - wanted(blocks.min(2));
    let fields =
        t.rcv.ecn.option(text).and_then(|(least, most)| (least..=most).rev().find(|f| AccEcn::padded_len(*f) <= left));
    let room = room - fields.map_or(0, AccEcn::padded_len);
    (fields, blocks.min(room.saturating_sub(4) / 8))
}
