//! TIME-WAIT: the record, and SEGMENT ARRIVES in it (RFC 9293 3.10.7.4, 3.6.1; RFC 1337; RFC 6191).

use crate::buf::Memory;
use crate::cx::Cx;
use crate::probe::Probe;
use crate::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::tcb::Tcb;
use crate::time::Instant;
use crate::transmit;
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Header, OptionsBuf, Timestamps};

/// All that is left of a connection in TIME-WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWait {
    /// SND.NXT.
    pub snd_nxt: SeqNum,
    /// RCV.NXT.
    pub rcv_nxt: SeqNum,
    /// TS.Recent, if timestamps are in use.
    pub ts_recent: u32,
    /// The window field of the last acknowledgment.
    pub window: u16,
    /// Whether timestamps are in use.
    pub timestamps: bool,
}

/// What a segment means for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict; `Acked` asks for [`TimeWait::ack`].
    pub verdict: Verdict,
    /// The wait of 2 MSL begins again.
    pub restart: bool,
    /// The record is to be dropped; with `Accepted` the segment is a SYN that is handed to a listener.
    pub over: bool,
}

impl TimeWait {
    /// From the block of a connection that has reached TIME-WAIT.
    pub fn new(t: &Tcb, memory: Memory) -> TimeWait {
        TimeWait {
            snd_nxt: t.snd.nxt,
            rcv_nxt: t.rcv.nxt,
            ts_recent: t.rcv.ts_recent.val,
            window: t.rcv.offer(memory).0,
            timestamps: t.negotiated.timestamps,
        }
    }

    /// SEGMENT ARRIVES. `listener`: if one would take a new SYN, whether its connections use timestamps.
    pub fn on_segment<P: Probe>(&mut self, cx: &mut Cx<'_, P>, seg: &Segment, listener: Option<bool>) -> Outcome {
        let stays = |verdict| Outcome { verdict, restart: false, over: false };
        if seg.has(Flags::SYN) && !seg.has(Flags::ACK) && !seg.has(Flags::RST) {
            return if listener.is_some_and(|timestamps| self.may_reuse(seg, timestamps)) {
                Outcome { verdict: Verdict::Accepted(Rule::TimeWaitReuse), restart: false, over: true }
            } else {
                stays(Verdict::Acked(Rule::TimeWaitOld))
            };
        }
        if seg.has(Flags::RST) {
            //= RFC 1337 3: fix F1; without it the peer's RST ends the wait
            let kills = !cx.cfg.rfc1337 && seg.seq() == self.rcv_nxt;
            // By default this is where we differ from RFC 5961 3.2 (b): see compliance/exceptions.toml.
            if !cx.cfg.rfc1337 && !kills && seg.seq().within(self.rcv_nxt, u32::from(self.window)) {
                return stays(Verdict::Acked(Rule::ResetInWindow));
            }
            return Outcome { verdict: Verdict::Dropped(Rule::TimeWaitReset), restart: false, over: kills };
        }
        if !seg.has(Flags::ACK) && !seg.has(Flags::SYN) {
            return stays(Verdict::Dropped(Rule::NoAck));
        }
        //= RFC 7323 3.2 (d)
        if self.timestamps && seg.opts.timestamps.is_none() {
            return stays(Verdict::Dropped(Rule::MissingTimestamp));
        }
        if self.timestamps
            && let Some(ts) = seg.opts.timestamps
            && (ts.val.wrapping_sub(self.ts_recent) as i32) < 0
        {
            cx.mib.paws_estab += 1;
            return stays(Verdict::Acked(Rule::Paws));
        }
        //= RFC 9293 3.10.7.4: fifth, TIME-WAIT, the FIN again: acknowledge it, and restart the 2 MSL timeout
        if seg.has(Flags::FIN) && seg.end() == self.rcv_nxt {
            if let Some(ts) = seg.opts.timestamps {
                self.ts_recent = ts.val;
            }
            return Outcome { verdict: Verdict::Acked(Rule::TimeWaitFin), restart: true, over: false };
        }
        // An acknowledgment that says nothing new is not answered, else two ends would answer each other.
        if seg.is_empty() && seg.seq() == self.rcv_nxt {
            return stays(Verdict::Dropped(Rule::TimeWaitOld));
        }
        stays(Verdict::Acked(Rule::TimeWaitOld))
    }

    /// Whether the SYN `seg` safely begins a new incarnation.
    //= RFC 6191 2 (a) (b) (c)
    //= RFC 9293 3.6.1 MAY-2 SHLD-4
    fn may_reuse(&self, seg: &Segment, timestamps_on: bool) -> bool {
        let later = seg.seq().gt(self.rcv_nxt);
        match (self.timestamps, seg.opts.timestamps) {
            (true, Some(ts)) => {
                let d = ts.val.wrapping_sub(self.ts_recent) as i32;
                d > 0 || (d == 0 && later)
            }
            (false, Some(_)) if timestamps_on => true,
            _ => later,
        }
    }

    /// The acknowledgment that an `Acked` verdict asks for; ports are zero, for the stack to fill in.
    ///
    /// The offset of our timestamps is not kept: it is a keyed hash of both addresses ([`crate::isn::timestamp_offset`]).
    //= RFC 7323 3.2 (a) (c)
    pub fn ack(&self, now: Instant, ts_offset: u32) -> (Header, OptionsBuf) {
        let ts = self
            .timestamps
            .then(|| Timestamps { val: (now.as_millis() as u32).wrapping_add(ts_offset), ecr: self.ts_recent });
        (transmit::header(self.snd_nxt, self.rcv_nxt, Flags::ACK, self.window), OptionsBuf::data(ts, &[]))
    }
}
