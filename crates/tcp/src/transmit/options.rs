//! The options of what we send.

use crate::config::TcpConfig;
use crate::negotiate::{Negotiated, Offer};
use crate::tcb::Tcb;
use crate::time::Instant;
use synfin_wire::tcp::{Options, OptionsBuf};

/// Of a SYN+ACK: only what the peer's SYN carried too (RFC 7323 2.2, 3.2; RFC 2018 2).
pub(crate) fn syn_ack_options(cfg: &TcpConfig, n: &Negotiated, now_ms: u64) -> Options {
    let offer = Offer { mss: n.rcv_mss, window_shift: n.rcv_shift, ts_offset: n.ts_offset };
    offer.options(cfg, now_ms, Some(n))
}

/// Of any other segment: timestamps, and what lies beyond holes.
//= RFC 7323 3.2 (c)
//= RFC 2018 4 (a): no SACK unless permitted
pub(super) fn segment(t: &Tcb, now: Instant) -> OptionsBuf {
    let (blocks, n) = t.sack.blocks();
    let n = if t.negotiated.sack { n } else { 0 };
    OptionsBuf::data(t.timestamps(now), &blocks[..n])
}

/// The room that SACK blocks take from the text of a segment (RFC 6691 2; timestamps are taken off the MSS already).
pub(super) fn sack_room(t: &Tcb) -> u32 {
    let (_, n) = t.sack.blocks();
    let n = n.min(if t.negotiated.timestamps { 3 } else { 4 });
    if n == 0 || !t.negotiated.sack { 0 } else { 4 + 8 * n as u32 }
}
