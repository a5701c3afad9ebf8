//! SYN-SENT: the phase, and SEGMENT ARRIVES in it (RFC 9293 3.10.7.3).

use super::syn_received::SynReceived;
use crate::call::Open;
use crate::connection::{Connection, Crossed, Farewell, Phase};
use crate::cx::Cx;
use crate::ecn::{self, Feedback, Found, Options};
use crate::event::{CloseReason, Events};
use crate::probe::Probe;
use crate::rcv::Rcv;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::state::{State, Trigger};
use crate::tcb::{Handshake, Tcb};
use crate::time::Instant;
use alloc::boxed::Box;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// An active OPEN whose SYN is not answered yet.
#[derive(Debug)]
pub struct SynSent {
    /// What was asked for.
    pub open: Open,
    /// How often the SYN was sent again.
    pub retries: u8,
    /// A SYN is to be sent.
    pub due: bool,
    /// When it was first sent.
    pub first_sent: Instant,
    /// When it is sent again, or given up.
    pub retransmission: Instant,
    /// The window that our SYN announces.
    pub window: u16,
    /// The ECN feedback that our first SYN asks for.
    pub asked: Feedback,
}

impl SynSent {
    pub(crate) fn new<P: Probe>(cx: &Cx<'_, P>, open: Open) -> SynSent {
        SynSent {
            open,
            retries: 0,
            due: true,
            first_sent: Instant::NEVER,
            retransmission: Instant::NEVER,
            window: Rcv::syn_window(cx.cfg),
            asked: cx.cfg.ecn.asks(),
        }
    }

    /// The feedback that our next SYN asks for.
    pub(crate) fn asks(&self) -> Feedback {
        self.asked.after(self.retries)
    }

    /// What a SYN+ACK, or a SYN that crosses ours, says about ECN.
    //= RFC 9768 3.1.1: no mode is entered before a SYN+ACK has come
    //= RFC 9768 3.1.2: a SYN that crosses ours is answered as by a host that asked for nothing
    //= RFC 3168 6.1.1: not once a SYN has gone out that did not ask
    fn ecn<P: Probe>(&self, cx: &Cx<'_, P>, seg: &Segment) -> Found {
        let (asked, flags) = (self.asked, seg.hdr.flags);
        if !seg.has(Flags::ACK) {
            // The peer answers our SYN by the same rules: where we asked for less than we would grant, less it is.
            let feedback = match (asked, cx.cfg.ecn.grants(flags)) {
                (Feedback::Classic, Feedback::Accurate) => Feedback::Classic,
                (_, granted) => granted,
            };
            let mixed = self.asks() == Feedback::Off;
            return Found { feedback, heard: seg.ecn, mixed, ..Found::default() };
        }
        // A client that has fallen back may still learn that AccECN is there: the server is in that mode for certain.
        let fallen = self.asks() != asked;
        let feedback = if fallen && asked == Feedback::Classic { Feedback::Off } else { asked.confirmed(flags) };
        // In the reserved combination the SYN is taken to have arrived unchanged.
        //= RFC 9768 3.1.3
        let told = Some(ecn::ace(flags)).filter(|a| *a != 0b101);
        let options = Options::first(seg);
        Found { feedback, heard: seg.ecn, client: true, mixed: false, told, options, repeated: false }
    }

    fn handshake<P: Probe>(&self, cx: &Cx<'_, P>, seg: &Segment) -> Handshake {
        let o = &self.open;
        let irs = seg.seq();
        let mut negotiated = o.offer.accept(cx.cfg, &seg.opts, o.default_mss, o.mss_limit);
        let ecn = self.ecn(cx, seg);
        negotiated.feedback = ecn.feedback;
        Handshake {
            iss: o.iss,
            irs,
            negotiated,
            // The window of a segment with SYN is never scaled (RFC 7323 2.2).
            //= RFC 7323 2.2 (c)
            wnd: u32::from(seg.hdr.window),
            wl: (irs, seg.hdr.ack),
            edge: irs + 1 + cx.cfg.rcv_window.after_syn(u32::from(self.window), negotiated.rcv_mss),
            syn_lost: self.retries > 0,
            ecn,
            //= RFC 6298 3 (a): a SYN that was sent again is not measured
            rtt: (self.retries == 0 && self.first_sent != Instant::NEVER).then(|| cx.now.since(self.first_sent)),
        }
    }
}

pub(super) fn on_segment<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
    let Phase::SynSent(s) = &c.phase else { return Connection::GONE };
    let mut state = State::SynSent;
    // First, the ACK bit. Until the SYN is out there is nothing to acknowledge.
    // With text in it, so much of that may be acknowledged as well (SND.UNA < SEG.ACK =< SND.NXT).
    let text = c.early.as_ref().map_or(0, |e| e.sent());
    let acked = seg.hdr.ack.diff(s.open.iss + 1);
    let out = s.first_sent != Instant::NEVER;
    let acceptable = seg.has(Flags::ACK) && (0..=text as i32).contains(&acked) && out;
    if seg.has(Flags::ACK) && !acceptable {
        if seg.has(Flags::RST) {
            return Verdict::Dropped(Rule::SynSentBadAck);
        }
        let why = SendReason::Reset;
        c.farewell = Some(Farewell { seq: seg.hdr.ack, ack: SeqNum(0), flags: Flags::RST, ts: None, why });
        return Verdict::Reset(Rule::SynSentBadAck);
    }
    // Second, the RST bit.
    //= RFC 5961 3.2 (e)
    if seg.has(Flags::RST) {
        if !acceptable {
            return Verdict::Dropped(Rule::SynSentBadReset);
        }
        cx.mib.attempt_fails += 1;
        cx.transition(&mut state, Trigger::RcvRst);
        c.finish(cx, CloseReason::Refused, None);
        return Verdict::Reset(Rule::Refused);
    }
    // Fourth, the SYN bit.
    if !seg.has(Flags::SYN) {
        return Verdict::Dropped(Rule::SynSentOther);
    }
    let h = s.handshake(cx, seg);
    if acceptable {
        cx.transition(&mut state, Trigger::RcvSynAck);
        let mut tcb = Box::new(Tcb::new(h, state, cx));
        tcb.rcv.ack.now(SendReason::HandshakeAck);
        if let Some(e) = &mut c.early {
            //= RFC 7413 4.2.2 (f): cookie and MSS are learned, text that was not acknowledged goes with the first ACK
            e.answered(cx, &seg.opts, acked as u32, s.retries);
            e.hand_over(&mut tcb, seg.hdr.ack, cx.pool);
        }
        c.phase = Phase::Synchronized(tcb);
        c.events |= Events::CONNECTED | Events::WRITABLE;
        // Text and FIN on the SYN+ACK are not kept: they are not acknowledged and come again.
        return Verdict::Accepted(Rule::SynAck);
    }
    //= RFC 9293 3.5 MUST-10
    cx.transition(&mut state, Trigger::RcvSyn);
    let syn = SynReceived::simultaneous(cx, h, s);
    c.phase = Phase::SynReceived(Box::new(Crossed { syn, deadline: Instant::NEVER }));
    Verdict::Accepted(Rule::SimultaneousOpen)
}
