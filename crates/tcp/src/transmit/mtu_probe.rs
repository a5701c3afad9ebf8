//! Path MTU probes: when a segment larger than SMSS may go (RFC 4821 7.4). What it means is in `snd/plpmtu.rs`.

use super::segmentize::urgent;
use super::{Kind, Limits, Plan, options};
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::snd::{Search, Snd};
use crate::tcb::Tcb;
use crate::time::Instant;
use synfin_wire::tcp::Flags;

/// What new text has to do about probes.
pub(super) enum Turn {
    /// This one goes next.
    Probe(Plan),
    /// One will, when the congestion window has room for it. Until then nothing else goes: acknowledgments make that room.
    Wait,
    /// Nothing.
    Pass,
}

/// A probe is one segment of new text, whatever the link cuts. Behind it there must be enough text, and room for it in both
/// windows, that segments follow: else its loss would only be found by a timeout.
//= RFC 4821 7.4 (a) (c) (d) (e)
//= RFC 4821 10.1: the segments that follow do not overlap it
//= RFC 4821 5.1: with its options it has exactly the size that is asked about
pub(super) fn turn<P: Probe>(t: &Tcb, cx: &Cx<'_, P>, limits: &Limits) -> Turn {
    let s = &t.snd;
    let Some(search) = &s.search else { return Turn::Pass };
    let link = limits.max_segment.saturating_sub(if t.negotiated.timestamps { 12 } else { 0 });
    let Some(size) = search.next(s.mss, t.negotiated.text().min(link), cx.cfg, cx.now) else { return Turn::Pass };
    let len = u32::from(size).saturating_sub(options::sack_room(t));
    let all = len + Search::following(t.negotiated.sack, cx.cfg) * u32::from(s.mss);
    let text = s.queue.end().diff(s.cursor).max(0) as u32;
    // CWR should not be lost, nor should urgent data have to wait.
    let plain = urgent(t, s.cursor) == Flags::NONE && !s.ecn.cwr().has(Flags::CWR);
    if !quiet(s) || !plain || text < all || s.usable() < all || s.window.cwnd < all {
        return Turn::Pass;
    }
    if s.window.cwnd.saturating_sub(s.pipe()) < len {
        return Turn::Wait;
    }
    Turn::Probe(Plan { kind: Kind::AtCursor, seq: s.cursor, len, flags: Flags::ACK, why: SendReason::MtuProbe, gso: 0 })
}

/// Nothing is lost, or may be; all that is out is on the scoreboard.
//= RFC 4821 7.4 (a)
fn quiet(s: &Snd) -> bool {
    let r = &s.recovery;
    let nothing_lost = !r.is_on() && s.board.lost() == 0 && s.retries == 0;
    let nothing_missing = s.board.sacked() == 0 && r.duplicates.count == 0 && r.reorder == Instant::NEVER;
    let no_other_probe = r.tlp.end().is_none() && !r.tlp.due;
    nothing_lost && nothing_missing && no_other_probe && s.cursor == s.nxt && s.una.ge(s.queue.base())
}
