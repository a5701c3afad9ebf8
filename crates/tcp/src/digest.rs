//! A digest of all that decides what a connection does next, for explorers of its states: two connections with the same
//! digest behave alike. Times are taken from now on; counters and measured round-trip times, which only tell the past or
//! when a timer runs out but not what it does, are left out.

use crate::arrives::syn_received::SynReceived;
use crate::arrives::time_wait::TimeWait;
use crate::connection::{Connection, Phase};
use crate::rcv::Owed;
use crate::tcb::Tcb;
use crate::time::Instant;
use core::hash::{Hash, Hasher};

/// Whether a deadline is set: how far away it is decides only when it comes.
fn armed(h: &mut impl Hasher, at: Instant) {
    (at != Instant::NEVER).hash(h);
}

impl Connection {
    /// Adds the connection to `h`.
    pub fn digest(&self, h: &mut impl Hasher) {
        core::mem::discriminant(&self.phase).hash(h);
        self.reason.hash(h);
        self.farewell.is_some().hash(h);
        self.soft.hash(h);
        self.abort_on_close.hash(h);
        self.unread.len().hash(h);
        self.early.is_some().hash(h);
        // It has no meaning any more once the handshake is over.
        let opening = matches!(self.phase, Phase::SynSent(_) | Phase::SynReceived(_));
        (opening && self.give_up != Instant::NEVER).hash(h);
        match &self.phase {
            Phase::SynSent(s) => (s.open.iss.0, s.retries, s.due).hash(h),
            Phase::SynReceived(s) => {
                s.digest(h);
                armed(h, s.deadline);
            }
            Phase::Synchronized(t) => t.digest(h),
            Phase::Closed => {}
        }
    }
}

impl SynReceived {
    /// Adds the handshake to `h`.
    pub fn digest(&self, h: &mut impl Hasher) {
        (self.iss.0, self.irs.0, self.wnd, self.window, self.retries).hash(h);
        (self.our_syn, self.acked, self.due, self.passive, self.challenge, self.mixed, self.heard).hash(h);
        self.negotiated.feedback.hash(h);
    }
}

impl TimeWait {
    /// Adds the record to `h`.
    pub fn digest(&self, h: &mut impl Hasher) {
        (self.snd_nxt.0, self.rcv_nxt.0, self.ts_recent, self.window, self.timestamps).hash(h);
    }
}

impl Tcb {
    fn digest(&self, h: &mut impl Hasher) {
        let (s, r) = (&self.snd, &self.rcv);
        self.state.hash(h);
        [s.una, s.nxt, s.cursor, s.up, s.wl1, s.wl2, s.small_end, s.queue.end()].map(|n| n.0).hash(h);
        (s.wnd, s.max_wnd, s.fin, s.retries, s.keepalives, s.window.cwnd, s.window.ssthresh).hash(h);
        (s.usage, s.rtt.backoff).hash(h);
        // The records, and the order of their times.
        let mut order: alloc::vec::Vec<_> = s.board.records().map(|r| (r.sent, r.start.0)).collect();
        order.sort_unstable();
        order.iter().for_each(|(_, start)| start.hash(h));
        s.board.records().for_each(|r| (r.start.0, r.end.0, r.mark as u8, r.resent).hash(h));
        s.recovery.digest(h);
        s.mss.hash(h);
        if let Some(search) = &s.search {
            search.digest(h);
        }
        (s.ecn.feedback(), s.ecn.ect, s.ecn.cep, s.ecn.cwr().0, r.ecn.ece, r.ecn.cep, r.ecn.handshake).hash(h);
        [r.nxt, r.edge, r.last_ack_sent, r.ack.acked].map(|n| n.0).hash(h);
        (r.fin.map(|n| n.0), r.up.map(|n| n.0), r.buf, r.closed, r.queue.len(), r.ack.repeat).hash(h);
        (r.ack.quick, r.ack.hurry).hash(h);
        match r.ack.owed {
            Owed::Nothing => 0u8,
            Owed::Soon => 1,
            Owed::Now(_) => 2,
        }
        .hash(h);
        let (blocks, n) = self.sack.blocks();
        blocks[..n].iter().for_each(|(l, e)| (l.0, e.0).hash(h));
        r.holes.as_ref().map_or((0, 0), |q| (q.pieces(), q.end())).hash(h);
        let t = &self.timers;
        // Which are set, and in which order they run out.
        let all = [
            t.retransmission,
            t.persist,
            t.delayed_ack,
            t.keepalive,
            t.user,
            t.fin_wait_2,
            t.reorder,
            t.probe,
            t.pacing,
        ];
        let mut order = [0u8, 1, 2, 3, 4, 5, 6, 7, 8];
        order.sort_by_key(|i| all[usize::from(*i)]);
        order.hash(h);
        all.iter().for_each(|d| armed(h, *d));
        (self.probe_due.is_some(), self.sws_override, self.write_blocked, self.orphan).hash(h);
    }
}
