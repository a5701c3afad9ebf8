//! SYN-RECEIVED: the phase, and SEGMENT ARRIVES in it (RFC 9293 3.10.7.4). Small, for it is what a flood makes many of.

use super::step1_sequence::acceptable;
use super::syn_sent::SynSent;
use crate::call::Open;
use crate::config::TcpConfig;
use crate::connection::{Connection, Farewell, Phase};
use crate::cx::Cx;
use crate::ecn::{self, Feedback, Found, OptionPolicy, Options};
use crate::event::{CloseReason, Events};
use crate::negotiate::Negotiated;
use crate::probe::Probe;
use crate::rcv::Rcv;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::state::{State, Trigger};
use crate::tcb::{Handshake, Tcb};
use crate::time::{Duration, Instant};
use crate::transmit;
use alloc::boxed::Box;
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{AccEcn, Cookie, Flags, Header, OptionsBuf};

/// A handshake that waits for its last acknowledgment.
#[derive(Debug, Clone)]
pub struct SynReceived {
    /// ISS.
    pub iss: SeqNum,
    /// IRS.
    pub irs: SeqNum,
    /// What both SYNs agreed on.
    pub negotiated: Negotiated,
    /// SEG.WND of the peer's SYN.
    pub wnd: u16,
    /// The window that our SYN announced.
    pub window: u16,
    /// How often the SYN+ACK was sent again.
    pub retries: u8,
    /// How often our SYN has gone out, with or without ACK.
    pub our_syn: OurSyn,
    /// A SYN+ACK is to be sent.
    pub due: bool,
    /// Came here from LISTEN.
    //= RFC 9293 3.5 MUST-11
    pub passive: bool,
    /// An ACK is owed instead of the SYN+ACK: a challenge.
    pub challenge: bool,
    /// The IP-ECN field of the peer's latest SYN.
    pub heard: Ecn,
    /// After a SYN that asked for ECN, one without has come, or our SYN or SYN+ACK has gone out without.
    pub mixed: bool,
    /// The peer has acknowledged our SYN, and is waited for to send text.
    pub acked: bool,
    /// When the SYN+ACK was first sent: low 32 bits of microseconds, or `NEVER`.
    pub(super) first_sent: u32,
    /// When the last challenge was sent: low 32 bits of milliseconds, or `NEVER`.
    pub(super) last_challenge: u32,
}

/// How often our SYN has gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OurSyn {
    /// Once at most.
    Once,
    /// More than once: its answer tells no round-trip time (RFC 6298 3).
    Again,
    /// Likewise, because it was lost: the initial window is one segment (RFC 5681 3.1).
    Lost,
}

/// The retransmission of a SYN+ACK from which on it says nothing of ECN.
const BARE: u8 = 2;

/// No time at all.
pub(super) const NEVER: u32 = u32::MAX;

fn micros(t: Instant) -> u32 {
    (t.as_nanos() / 1_000) as u32
}

/// What a segment means for a handshake.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on.
    Stays(Verdict),
    /// It goes on, and this reset is sent.
    Answer(Verdict, super::closed::Reset),
    /// It is over: reset by the peer.
    Gone(Verdict),
    /// It is over, and this reset is sent.
    Refused(Verdict, super::closed::Reset),
    /// It is complete; the segment has been processed in ESTABLISHED as well, and its verdict is given.
    Done(Box<Tcb>, Verdict),
}

impl SynReceived {
    /// From LISTEN, by the SYN `seg` (RFC 9293 3.10.7.2).
    pub fn passive<P: Probe>(cx: &mut Cx<'_, P>, seg: &Segment, open: &Open) -> SynReceived {
        let mut state = State::Listen;
        cx.transition(&mut state, Trigger::RcvSyn);
        SynReceived {
            iss: open.iss,
            irs: seg.seq(),
            negotiated: Negotiated {
                feedback: cx.cfg.ecn.grants(seg.hdr.flags),
                ..open.offer.accept(cx.cfg, &seg.opts, open.default_mss, open.mss_limit)
            },
            wnd: seg.hdr.window,
            window: Rcv::syn_window(cx.cfg),
            retries: 0,
            our_syn: OurSyn::Once,
            due: true,
            passive: true,
            challenge: false,
            heard: seg.ecn,
            mixed: false,
            acked: false,
            first_sent: NEVER,
            last_challenge: NEVER,
        }
    }

    /// From SYN-SENT, by a SYN that crossed ours.
    pub(super) fn simultaneous<P: Probe>(_: &Cx<'_, P>, h: Handshake, s: &SynSent) -> SynReceived {
        SynReceived {
            iss: h.iss,
            irs: h.irs,
            negotiated: h.negotiated,
            wnd: h.wnd as u16,
            window: s.window,
            retries: 0,
            our_syn: if s.retries > 0 { OurSyn::Lost } else { OurSyn::Again },
            due: true,
            passive: false,
            challenge: false,
            heard: h.ecn.heard,
            mixed: h.ecn.mixed,
            acked: false,
            first_sent: NEVER,
            last_challenge: NEVER,
        }
    }

    /// Whether the answer to our SYN tells no round-trip time.
    fn ambiguous(&self) -> bool {
        self.our_syn != OurSyn::Once
    }

    /// RCV.WND: what the SYN announced. Who has come from SYN-SENT knows both SYNs already.
    fn rcv_wnd(&self, cfg: &TcpConfig) -> u32 {
        let announced = u32::from(self.window);
        if self.passive { announced } else { cfg.rcv_window.after_syn(announced, self.negotiated.rcv_mss) }
    }

    /// What is known of ECN when the handshake ends, with `seg` if a segment ends it.
    //= RFC 9768 3.2.2.1: only a pure acknowledgment has the handshake encoding, and nothing that is a SYN
    fn ecn(&self, seg: Option<&Segment>) -> Found {
        let pure = |s: &&Segment| s.is_empty() && s.opts.sack.is_empty();
        Found {
            feedback: self.negotiated.feedback,
            heard: self.heard,
            client: false,
            mixed: self.mixed,
            told: seg.filter(pure).map(|s| ecn::ace(s.hdr.flags)),
            options: seg.map_or(Options::Absent, Options::first),
            repeated: self.ambiguous(),
        }
    }

    /// Another SYN of the same handshake. The mode stays that of the first; false if it cannot be what either side thinks.
    //= RFC 9768 3.1.5
    fn hear_syn(&mut self, cfg: &TcpConfig, seg: &Segment) -> bool {
        let (mode, asks) = (self.negotiated.feedback, cfg.ecn.grants(seg.hdr.flags));
        self.heard = seg.ecn;
        //= RFC 3168 6.1.1: after a SYN without ECN, ECT should not be set
        self.mixed |= mode != Feedback::Off && asks == Feedback::Off;
        mode == Feedback::Off || asks == Feedback::Off || mode == asks
    }

    /// The flags of the SYN+ACK that goes out next, and whether it tests the path with an AccECN option. Who does not answer
    /// may be kept from it by the option, or by the flags.
    //= RFC 9768 3.2.3.2.1
    //= RFC 9768 3.2.3.2.2
    fn confirms(&self) -> (Flags, bool) {
        let mode = self.negotiated.feedback;
        let again = if self.passive { self.ambiguous() } else { self.retries > 0 };
        let fallen = match mode {
            Feedback::Accurate => self.retries >= BARE,
            _ => self.mixed,
        };
        let flags = if fallen { Flags::NONE } else { mode.syn_ack_flags(self.heard) };
        (flags, mode == Feedback::Accurate && !again)
    }

    /// ACE of a segment that is no SYN: nothing has been counted yet.
    //= RFC 9768 3.2.2
    fn ace(&self) -> Flags {
        if self.negotiated.feedback == Feedback::Accurate { ecn::flags_of(ecn::FIRST_CEP as u8) } else { Flags::NONE }
    }

    fn handshake(&self, cfg: &TcpConfig, now: Instant, wnd: u32, wl: (SeqNum, SeqNum), ecn: Found) -> Handshake {
        Handshake {
            iss: self.iss,
            irs: self.irs,
            negotiated: self.negotiated,
            wnd,
            wl,
            edge: self.irs + 1 + cfg.rcv_window.after_syn(u32::from(self.window), self.negotiated.rcv_mss),
            syn_lost: self.our_syn == OurSyn::Lost,
            ecn,
            // The waits before a handshake is given up are far below the 71 minutes after which this wraps.
            rtt: (!self.ambiguous() && self.first_sent != NEVER)
                .then(|| Duration::from_micros(u64::from(micros(now).wrapping_sub(self.first_sent)))),
        }
    }

    /// What the SYN alone hands over, to a block in SYN-RECEIVED.
    pub(crate) fn early_handshake<P: Probe>(&self, cx: &Cx<'_, P>) -> Handshake {
        // Nothing was acknowledged, nothing can be measured.
        let wl = (self.irs, self.iss);
        Handshake { rtt: None, ..self.handshake(cx.cfg, cx.now, u32::from(self.wnd), wl, self.ecn(None)) }
    }

    /// SEGMENT ARRIVES.
    pub fn on_segment<P: Probe>(&mut self, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Outcome {
        let nxt = self.irs + 1;
        let acks_syn = seg.has(Flags::ACK) && seg.hdr.ack == self.iss + 1;
        let syn_again = seg.has(Flags::SYN) && seg.seq() == self.irs && !seg.has(Flags::RST);
        if syn_again && (self.passive || !seg.has(Flags::ACK)) {
            // The peer did not get our SYN+ACK. Sent again as it was, with its timer running on: a flood of SYNs
            // makes no more answers than there are SYNs.
            if self.first_sent != NEVER {
                self.our_syn = self.our_syn.max(OurSyn::Again);
            }
            if !self.hear_syn(cx.cfg, seg) {
                return self.refuse(cx);
            }
            self.due = true;
            return Outcome::Stays(Verdict::Acked(Rule::SynAgain));
        }
        if let (true, Some(ts)) = (self.negotiated.timestamps && !seg.has(Flags::RST), seg.opts.timestamps)
            && (ts.val.wrapping_sub(self.negotiated.ts_recent) as i32) < 0
        {
            cx.mib.paws_estab += 1;
            return self.challenged(cx, Rule::Paws);
        }
        // First, the sequence number. In a simultaneous open the SYN comes a second time, with an ACK (figure 7).
        //= RFC 9293 3.5 MUST-10
        if !syn_again && !acceptable(seg.seq(), seg.len(), nxt, self.rcv_wnd(cx.cfg)) {
            return if seg.has(Flags::RST) {
                Outcome::Stays(Verdict::Dropped(Rule::ResetOutside))
            } else {
                self.challenged(cx, Rule::OutsideWindow)
            };
        }
        // Second, the RST bit.
        if seg.has(Flags::RST) {
            return if seg.seq() == nxt {
                cx.mib.attempt_fails += 1;
                let mut state = State::SynReceived;
                //= RFC 9293 3.5 MUST-11
                cx.transition(&mut state, if self.passive { Trigger::RcvRstPassive } else { Trigger::RcvRst });
                Outcome::Gone(Verdict::Reset(Rule::ResetExact))
            } else {
                self.challenged(cx, Rule::ResetInWindow)
            };
        }
        // Fourth, the SYN bit: after a passive OPEN back to LISTEN, for the peer has begun anew; else as in the synchronized
        // states.
        //= RFC 9293 3.10.7.4 (fourth)
        if seg.has(Flags::SYN) && !syn_again {
            if self.passive {
                cx.mib.attempt_fails += 1;
                let mut state = State::SynReceived;
                cx.transition(&mut state, Trigger::RcvSyn);
                return Outcome::Gone(Verdict::Dropped(Rule::SynInHandshake));
            }
            return self.challenged(cx, Rule::SynInSynchronized);
        }
        // Fifth, the ACK field.
        if !seg.has(Flags::ACK) {
            return Outcome::Stays(Verdict::Dropped(Rule::NoAck));
        }
        if !acks_syn {
            let reset = super::closed::Reset { seq: seg.hdr.ack, ack: SeqNum(0), flags: Flags::RST };
            return Outcome::Answer(Verdict::Reset(Rule::HandshakeBadAck), reset);
        }
        self.complete(cx, seg, syn_again)
    }

    fn complete<P: Probe>(&mut self, cx: &mut Cx<'_, P>, seg: &mut Segment, syn_again: bool) -> Outcome {
        let shift = if syn_again { 0 } else { self.negotiated.snd_shift };
        let wnd = u32::from(seg.hdr.window) << shift;
        let mut state = State::SynReceived;
        cx.transition(&mut state, Trigger::RcvAckOfSyn);
        let ecn = self.ecn((!syn_again).then_some(&*seg));
        let h = self.handshake(cx.cfg, cx.now, wnd, (seg.seq(), seg.hdr.ack), ecn);
        let mut tcb = Box::new(Tcb::new(h, state, cx));
        tcb.events |= Events::CONNECTED | Events::WRITABLE;
        if syn_again {
            tcb.rcv.ack.now(SendReason::HandshakeAck);
            return Outcome::Done(tcb, Verdict::Accepted(Rule::HandshakeDone));
        }
        // Data, and a FIN, on the third segment count: "continue processing in the ESTABLISHED state".
        let verdict = super::synchronized(&mut tcb, cx, seg);
        let rule = if seg.is_empty() && tcb.state == State::Established { Rule::HandshakeDone } else { verdict.rule() };
        tcb.settle(cx);
        Outcome::Done(tcb, if let Verdict::Accepted(_) = verdict { Verdict::Accepted(rule) } else { verdict })
    }

    /// The peer asks for one feedback and then for the other: nobody could know which holds.
    //= RFC 9768 3.1.5: such a handshake is reset
    fn refuse<P: Probe>(&mut self, cx: &mut Cx<'_, P>) -> Outcome {
        cx.mib.attempt_fails += 1;
        let mut state = State::SynReceived;
        cx.transition(&mut state, if self.passive { Trigger::RcvSyn } else { Trigger::Abort });
        let flags = Flags::RST | Flags::ACK;
        let reset = super::closed::Reset { seq: self.iss + 1, ack: self.irs + 1, flags };
        Outcome::Refused(Verdict::Reset(Rule::SynMixed), reset)
    }

    fn challenged<P: Probe>(&mut self, cx: &mut Cx<'_, P>, rule: Rule) -> Outcome {
        let now = cx.now;
        let now_ms = now.as_millis() as u32;
        let passed = Duration::from_millis(u64::from(now_ms.wrapping_sub(self.last_challenge)));
        if self.last_challenge != NEVER && passed < cx.cfg.challenge_interval {
            cx.mib.ack_skipped += 1;
        } else {
            self.last_challenge = now_ms.min(NEVER - 1);
            self.challenge = true;
            cx.mib.challenge_ack += 1;
        }
        Outcome::Stays(Verdict::Acked(rule))
    }

    /// Whether `seg`, which acknowledges our SYN, is to be dropped because text is waited for (`defer-accept`). Then the
    /// SYN+ACK does not go again until that time is up.
    pub fn defers(&mut self, cfg: &TcpConfig, now: Instant, seg: &Segment) -> bool {
        let bare = seg.is_empty() && seg.seq() == self.irs + 1 && seg.hdr.ack == self.iss + 1;
        let waits = self.passive && bare && self.patience_for_text(cfg, now).is_some();
        self.acked |= waits;
        waits
    }

    /// How much longer text is waited for.
    fn patience_for_text(&self, cfg: &TcpConfig, now: Instant) -> Option<Duration> {
        let waited = Duration::from_micros(u64::from(micros(now).wrapping_sub(self.first_sent)));
        cfg.defer_accept.checked_sub(waited).filter(|left| !left.is_zero() && self.first_sent != NEVER)
    }

    /// The retransmission timer expired: when it will again, or none if the handshake is given up.
    //= RFC 9293 3.8.3 MUST-22 MUST-23
    pub fn on_deadline<P: Probe>(&mut self, cx: &mut Cx<'_, P>) -> Option<Instant> {
        if self.acked {
            if let Some(left) = self.patience_for_text(cx.cfg, cx.now) {
                return Some(cx.now + left);
            }
            // The SYN+ACK makes the peer acknowledge it again; now that is enough.
            self.acked = false;
            self.our_syn = self.our_syn.max(OurSyn::Again);
            self.due = true;
            return Some(cx.now + self.wait(cx.cfg));
        }
        if self.retries >= cx.cfg.synack_retries || self.patience(cx.cfg) <= transmit::syn_backoff(cx.cfg, self.retries)
        {
            cx.mib.attempt_fails += 1;
            let mut state = State::SynReceived;
            cx.transition(&mut state, Trigger::Timeout);
            return None;
        }
        self.retries += 1;
        self.our_syn = OurSyn::Lost;
        cx.mib.retrans_segs += 1;
        cx.mib.timeouts += 1;
        self.mixed |= self.negotiated.feedback == Feedback::Accurate && self.retries >= BARE;
        self.due = true;
        Some(cx.now + self.wait(cx.cfg))
    }

    /// How long is waited after the SYN+ACK was sent, or sent again.
    fn wait(&self, cfg: &TcpConfig) -> Duration {
        transmit::syn_backoff(cfg, self.retries).min(self.patience(cfg))
    }

    /// What the waits so far leave of the user timeout, counted from the first SYN+ACK. Who came from SYN-SENT has the
    /// clock of its connection for that.
    //= RFC 9293 3.10.8
    fn patience(&self, cfg: &TcpConfig) -> Duration {
        if !self.passive || cfg.user_timeout.is_zero() {
            return Duration::MAX;
        }
        let waited = (0..self.retries).map(|r| transmit::syn_backoff(cfg, r)).sum();
        cfg.user_timeout.saturating_sub(waited)
    }

    /// The segment to be sent, if one is: ports are zero, for the stack to fill in.
    pub fn frame<P: Probe>(&self, cx: &Cx<'_, P>) -> Option<(Header, OptionsBuf, SendReason)> {
        self.frame_with(cx, None)
    }

    /// The same, and a first SYN+ACK gives this Fast Open cookie.
    //= RFC 7413 4.2.2 (e): not when it is sent again
    pub fn frame_with<P: Probe>(
        &self,
        cx: &Cx<'_, P>,
        cookie: Option<Cookie>,
    ) -> Option<(Header, OptionsBuf, SendReason)> {
        let now_ms = cx.now.as_millis();
        let challenge = !self.due && self.challenge;
        let (confirms, tests) = self.confirms();
        let test = tests.then(|| AccEcn::new(true, 3, 1, 0, 1));
        if !self.due && !self.challenge {
            return None;
        }
        let opts = if challenge {
            let ts = self.negotiated.timestamps.then(|| synfin_wire::tcp::Timestamps {
                val: (now_ms as u32).wrapping_add(self.negotiated.ts_offset),
                ecr: self.negotiated.ts_recent,
            });
            OptionsBuf::data(ts, &[])
        } else {
            let mut o = transmit::syn_ack_options(cx.cfg, &self.negotiated, now_ms);
            o.acc_ecn = test.filter(|_| cx.cfg.accecn_option != OptionPolicy::Off);
            o.fast_open = cookie.filter(|_| self.retries == 0);
            OptionsBuf::syn(&o, cx.cfg.layout)
        };
        let (seq, flags, why) = match (challenge, self.retries) {
            (true, _) => (self.iss + 1, Flags::ACK | self.ace(), SendReason::ChallengeAck),
            (false, 0) => (self.iss, Flags::SYN | Flags::ACK | confirms, SendReason::SynAck),
            (false, _) => (self.iss, Flags::SYN | Flags::ACK | confirms, SendReason::SynAckRetransmission),
        };
        Some((transmit::header(seq, self.irs + 1, flags, self.window), opts, why))
    }

    /// The segment of [`SynReceived::frame`] was sent. If that started the retransmission timer: when it expires. The
    /// deadline is kept by whoever keeps the record, which has a timer for it anyway.
    pub fn sent<P: Probe>(&mut self, cx: &Cx<'_, P>) -> Option<Instant> {
        self.challenge = false;
        if !core::mem::take(&mut self.due) || self.first_sent != NEVER {
            return None;
        }
        self.first_sent = micros(cx.now).min(NEVER - 1);
        Some(cx.now + self.wait(cx.cfg))
    }

    pub(crate) fn farewell<P: Probe>(&self, cx: &Cx<'_, P>, why: SendReason) -> Farewell {
        let _ = cx;
        Farewell { seq: self.iss + 1, ack: self.irs + 1, flags: Flags::RST | Flags::ACK, ts: None, why }
    }

    /// CLOSE in SYN-RECEIVED: FIN-WAIT-1, although our SYN is not acknowledged yet. The SYN keeps its place before
    /// the FIN (SND.UNA = ISS), so that it is sent again if need be.
    pub(crate) fn close<P: Probe>(&mut self, cx: &mut Cx<'_, P>) -> Box<Tcb> {
        let mut state = State::SynReceived;
        cx.transition(&mut state, Trigger::Close);
        self.our_syn = self.our_syn.max(OurSyn::Again); // nothing was acknowledged, nothing can be measured
        let h = self.handshake(cx.cfg, cx.now, u32::from(self.wnd), (self.irs, self.iss), self.ecn(None));
        let mut tcb = Box::new(Tcb::new(h, state, cx));
        tcb.snd.una = self.iss;
        // If the SYN+ACK has not gone out at all it still goes first.
        tcb.snd.cursor = if self.first_sent == NEVER { self.iss } else { self.iss + 1 };
        tcb
    }
}

pub(super) fn on_segment<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
    let Phase::SynReceived(s) = &mut c.phase else { return Connection::GONE };
    match s.on_segment(cx, seg) {
        Outcome::Stays(v) => v,
        Outcome::Answer(v, r) => {
            c.farewell = Some(Farewell { seq: r.seq, ack: r.ack, flags: r.flags, ts: None, why: SendReason::Reset });
            v
        }
        Outcome::Gone(v) => {
            c.finish(cx, CloseReason::Refused, None);
            v
        }
        Outcome::Refused(v, r) => {
            let last = Farewell { seq: r.seq, ack: r.ack, flags: r.flags, ts: None, why: SendReason::Reset };
            c.finish(cx, CloseReason::Refused, Some(last));
            v
        }
        Outcome::Done(mut tcb, v) => {
            if let Some(e) = &mut c.early {
                e.crossed(cx, &mut tcb);
            }
            c.phase = Phase::Synchronized(tcb);
            super::conclude(c, cx, seg, v);
            v
        }
    }
}
