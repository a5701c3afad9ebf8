//! The one way out. A [`Plan`] says what goes next and changes nothing; a [`Frame`] is that segment, its text
//! borrowed from the queue; [`Frame::commit`] moves SND.NXT and the timers. A frame the device did not take was not
//! sent.

mod control;
mod ecn;
mod mtu_probe;
mod options;
mod segmentize;

pub(crate) use control::syn_backoff;
pub(crate) use options::{sack_room, syn_ack_options};

use crate::buf::Slices;
use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::probe::{Event, Probe};
use crate::rule::SendReason;
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{Flags, Header, OptionsBuf};

/// What the link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most text in one frame: more than an MSS if the link cuts super-segments itself.
    pub max_text: u32,
    /// The most text in one packet beside the headers without options, by the link's MTU.
    pub max_segment: u16,
    /// Who cuts them repeats every flag but PSH and FIN. What cuts for RFC 3168, as links do, clears CWR instead.
    pub repeats_flags: bool,
}

/// What goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub(crate) kind: Kind,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// Octets of text.
    pub len: u32,
    /// The control bits.
    pub flags: Flags,
    /// Why.
    pub why: SendReason,
    /// The size of each piece, if the text is to be cut by the link; else 0.
    pub gso: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Farewell,
    Syn,
    SynAck,
    /// At the cursor: new text.
    AtCursor,
    /// What was found lost, or the last segment as a loss probe; the cursor stays.
    Resend,
    /// A window probe: one octet at the cursor, which stays.
    WindowProbe,
    /// A probe without text, of a silent peer or of a shut window.
    Empty,
    Ack,
}

/// A segment on its way. Ports are zero, for the stack to fill in.
#[derive(Debug)]
pub struct Frame<'a> {
    conn: &'a mut Connection,
    plan: Plan,
    edge: SeqNum,
    /// Counters in the AccECN option, if there is one.
    fields: Option<u8>,
    /// The codepoint of its packet.
    pub ecn: Ecn,
    /// The fixed header.
    pub hdr: Header,
    /// The options.
    pub opts: OptionsBuf,
}

pub(crate) fn header(seq: SeqNum, ack: SeqNum, flags: Flags, window: u16) -> Header {
    Header { src_port: 0, dst_port: 0, seq, ack, header_len: 20, flags, window, urgent: 0 }
}

pub(crate) fn plan<P: Probe>(c: &Connection, cx: &Cx<'_, P>, limits: &Limits) -> Option<Plan> {
    if let Some(f) = c.farewell {
        return Some(Plan { kind: Kind::Farewell, seq: f.seq, len: 0, flags: f.flags, why: f.why, gso: 0 });
    }
    match &c.phase {
        Phase::SynSent(s) => control::syn(s, c.early.as_deref()),
        Phase::SynReceived(s) => {
            let (h, _, why) = s.frame(cx)?;
            Some(Plan { kind: Kind::SynAck, seq: h.seq, len: 0, flags: h.flags, why, gso: 0 })
        }
        Phase::Synchronized(t) => {
            let text = || {
                let next = || segmentize::resend(t, cx, limits).or_else(|| segmentize::at_cursor(t, cx, limits));
                if segmentize::paced(t, cx) { None } else { next() }
            };
            ecn::first(t)
                .or_else(text)
                .or_else(|| segmentize::loss_probe(t))
                .or_else(|| control::probe(t, cx.cfg))
                .or_else(|| control::ack(t))
                .map(|p| ecn::stamp(t, p))
        }
        Phase::Closed => None,
    }
}

pub(crate) fn frame<'a, P: Probe>(c: &'a mut Connection, cx: &Cx<'_, P>, plan: Plan) -> Frame<'a> {
    let mut hdr = header(plan.seq, SeqNum(0), plan.flags, 0);
    let mut edge = SeqNum(0);
    let (mut fields, mut codepoint) = (None, Ecn::NotEct);
    let opts = match (&mut c.phase, plan.kind) {
        (_, Kind::Farewell) => {
            hdr.ack = c.farewell.map_or(SeqNum(0), |f| f.ack);
            OptionsBuf::data(c.farewell.and_then(|f| f.ts), &[])
        }
        (Phase::SynSent(s), _) => {
            hdr.window = s.window;
            let mut opts = s.open.offer.options(cx.cfg, cx.now.as_millis(), None);
            if let Some(e) = &mut c.early {
                opts.fast_open = e.option(s.retries);
                e.queue_mut().seek(plan.seq + 1);
            }
            OptionsBuf::syn(&opts, cx.cfg.layout)
        }
        (Phase::SynReceived(s), _) => match s.frame(cx) {
            Some((h, opts, _)) => {
                hdr = h;
                opts
            }
            None => OptionsBuf::default(),
        },
        (Phase::Synchronized(t), kind) => {
            hdr.ack = t.rcv.nxt;
            let (window, e) = t.rcv.offer(cx.pool.memory());
            hdr.window = window;
            edge = e;
            if plan.flags.has(Flags::URG) {
                //= RFC 9293 3.8.5 MUST-62: the pointer names the octet after the urgent data
                hdr.urgent = t.snd.up.since(plan.seq).min(65_535) as u16;
            }
            t.snd.queue.seek(plan.seq);
            codepoint = ecn::codepoint(t, &plan, cx.cfg.ecn_control);
            if kind == Kind::SynAck {
                // The window of a segment with SYN is never scaled (RFC 7323 2.2).
                //= RFC 7323 2.2 (c)
                hdr.window = t.rcv.wnd().min(65_535) as u16;
                let mut opts = syn_ack_options(cx.cfg, &t.negotiated, cx.now.as_millis());
                //= RFC 7413 4.2.2 (e): not when it is sent again
                opts.fast_open = c.early.as_ref().and_then(|e| e.gives()).filter(|_| t.snd.retries == 0);
                OptionsBuf::syn(&opts, cx.cfg.layout)
            } else {
                let (opts, counters) = options::segment(t, cx.now, &plan);
                fields = counters;
                opts
            }
        }
        (Phase::Closed, _) => OptionsBuf::default(),
    };
    hdr.header_len = (20 + opts.len()) as u8;
    Frame { conn: c, plan, edge, fields, ecn: codepoint, hdr, opts }
}

impl Frame<'_> {
    /// The text, in pieces.
    pub fn payload(&self) -> Slices<'_> {
        match &self.conn.phase {
            Phase::Synchronized(t) if self.plan.len > 0 => t.snd.queue.slices(self.plan.seq, self.plan.len),
            // Our SYN stands before its text.
            Phase::SynSent(_) if self.plan.len > 0 => {
                let e = self.conn.early.as_ref();
                e.map_or_else(Slices::default, |e| e.queue().slices(self.plan.seq + 1, self.plan.len))
            }
            _ => Slices::default(),
        }
    }

    /// A piece of the text: `len` octets from `offset` on.
    pub fn piece(&self, offset: u32, len: u32) -> Slices<'_> {
        match &self.conn.phase {
            Phase::Synchronized(t) => t.snd.queue.slices(self.plan.seq + offset, len),
            _ => Slices::default(),
        }
    }

    /// Only the first `len` octets of text have left: what follows them, and a FIN behind them, has not.
    pub fn cut_to(&mut self, len: u32) {
        if len < self.plan.len {
            self.plan.len = len;
            self.plan.flags = self.plan.flags.without(Flags::PSH | Flags::FIN);
            self.hdr.flags = self.plan.flags;
            if self.plan.why == SendReason::Fin {
                self.plan.why = SendReason::Data;
            }
        }
    }

    /// Octets of text.
    pub fn len(&self) -> u32 {
        self.plan.len
    }

    /// Whether it carries no text.
    pub fn is_empty(&self) -> bool {
        self.plan.len == 0
    }

    /// The size of each piece, if the text is to be cut by the link; else 0.
    pub fn gso(&self) -> u16 {
        self.plan.gso
    }

    /// Why it is sent.
    pub fn why(&self) -> SendReason {
        self.plan.why
    }

    /// The device has taken it.
    pub fn commit<P: Probe>(self, cx: &mut Cx<'_, P>) {
        let Frame { conn, plan, edge, fields, hdr, .. } = self;
        cx.mib.out_segs += u64::from(if plan.gso > 0 { plan.len.div_ceil(u32::from(plan.gso)) } else { 1 });
        if plan.flags.has(Flags::RST) {
            cx.mib.out_rsts += 1;
        }
        match (&mut conn.phase, plan.kind) {
            (_, Kind::Farewell) => conn.farewell = None,
            (Phase::SynSent(s), _) => {
                control::syn_sent(s, cx);
                if let Some(e) = &mut conn.early {
                    e.left(plan.len);
                }
            }
            (Phase::SynReceived(s), _) => {
                if let Some(deadline) = s.sent(cx) {
                    s.deadline = deadline;
                }
            }
            (Phase::Synchronized(t), kind) => {
                if kind == Kind::SynAck {
                    control::syn_ack_sent(t, cx, &plan);
                } else {
                    let leaving = ecn::leaving(t, &plan);
                    segmentize::sent(t, cx, &plan, edge);
                    ecn::sent(t, cx.now, &plan, leaving, fields);
                }
                t.settle(cx);
            }
            (Phase::Closed, _) => {}
        }
        let state = conn.state();
        cx.probe.event(cx.now, || Event::Sent { hdr, len: plan.len, why: plan.why, state });
    }
}
