//! The verbs of a connection, and nothing else: what they do is in [`crate::call`], [`crate::arrives`],
//! [`crate::timeout`] and [`crate::transmit`].

use crate::arrives::{syn_received::SynReceived, syn_sent::SynSent};
use crate::cx::Cx;
use crate::event::{CloseReason, Events};
use crate::fast_open::Early;
use crate::probe::{Event, Probe};
use crate::rcv::ReceiveQueue;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::snd::congestion::{Algorithm, Congestion};
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::Instant;
use crate::transmit::{Frame, Limits, Plan};
use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Flags, Timestamps};

/// A connection from its active OPEN, or from the end of its passive handshake, to CLOSED.
#[derive(Debug)]
pub struct Connection {
    pub(crate) phase: Phase,
    /// Why it ended.
    pub(crate) reason: Option<CloseReason>,
    /// A RST to be sent when there is nothing else left of it.
    pub(crate) farewell: Option<Farewell>,
    /// The last soft ICMP error, which becomes the reason if it times out (RFC 9293 3.9.2.2).
    pub(crate) soft: Option<CloseReason>,
    /// What the user has not been told, from phases without a block.
    pub(crate) events: Events,
    /// Closing with linger time zero aborts.
    pub(crate) abort_on_close: bool,
    /// What came in order before an orderly end, and the user has not taken.
    pub(crate) unread: ReceiveQueue,
    /// When it was opened, if actively.
    pub(crate) opened: Instant,
    /// When the user's patience with the handshake ends.
    pub(crate) give_up: Instant,
    /// Fast Open, until the handshake is over and what was learned is told.
    pub(crate) early: Option<Box<Early>>,
}

/// Phases are types, states are values: only the synchronized states share a block.
#[derive(Debug)]
pub(crate) enum Phase {
    SynSent(Box<SynSent>),
    SynReceived(Box<Crossed>),
    Synchronized(Box<Tcb>),
    Closed,
}

/// A simultaneous open. A passive one is a record of the host's, which has a timer for it.
#[derive(Debug)]
pub(crate) struct Crossed {
    pub syn: SynReceived,
    /// When the SYN+ACK is sent again.
    pub deadline: Instant,
}

impl Deref for Crossed {
    type Target = SynReceived;
    fn deref(&self) -> &SynReceived {
        &self.syn
    }
}

impl DerefMut for Crossed {
    fn deref_mut(&mut self) -> &mut SynReceived {
        &mut self.syn
    }
}

/// The last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub seq: SeqNum,
    pub ack: SeqNum,
    pub flags: Flags,
    pub ts: Option<Timestamps>,
    pub why: SendReason,
}

impl Connection {
    /// Takes over a passive handshake that has just been completed.
    pub fn accepted(tcb: Tcb) -> Connection {
        Connection::in_phase(Phase::Synchronized(Box::new(tcb)))
    }

    pub(crate) fn in_phase(phase: Phase) -> Connection {
        Connection {
            phase,
            reason: None,
            farewell: None,
            soft: None,
            events: Events::default(),
            abort_on_close: false,
            unread: ReceiveQueue::default(),
            opened: Instant::NEVER,
            give_up: Instant::NEVER,
            early: None,
        }
    }

    /// Handles an arriving segment (RFC 9293 3.10.7).
    pub fn on_segment<P: Probe>(&mut self, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
        let (hdr, opts, len) = (seg.hdr, seg.opts, seg.payload.len() as u32);
        let verdict = crate::arrives::on_segment(self, cx, seg);
        self.after(cx);
        let state = self.state();
        cx.probe.event(cx.now, || Event::Arrived { hdr, opts, len, verdict, state });
        verdict
    }

    /// Handles the passing of time (RFC 9293 3.10.8). Deadlines are exact: nothing happens before its time.
    pub fn on_deadline<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        crate::timeout::on_deadline(self, cx);
        self.after(cx);
    }

    /// When [`Connection::on_deadline`] wants to be called; [`Instant::NEVER`] if not at all.
    pub fn next_deadline(&self) -> Instant {
        match &self.phase {
            Phase::SynSent(s) => s.retransmission.min(self.give_up),
            Phase::SynReceived(s) => s.deadline.min(self.give_up),
            Phase::Synchronized(t) => t.timers.next(),
            Phase::Closed => Instant::NEVER,
        }
    }

    /// What would be sent next, if anything. A copy: nothing changes until [`Frame::commit`].
    pub fn plan_transmit<P: Probe>(&self, cx: &Cx<'_, P>, limits: &Limits) -> Option<Plan> {
        crate::transmit::plan(self, cx, limits)
    }

    /// The segment of a plan made just before, its payload borrowed.
    pub fn frame<P: Probe>(&mut self, cx: &Cx<'_, P>, plan: Plan) -> Frame<'_> {
        crate::transmit::frame(self, cx, plan)
    }

    /// What the user should know, once.
    pub fn poll_event(&mut self) -> Events {
        let mut e = core::mem::take(&mut self.events);
        if let Phase::Synchronized(t) = &mut self.phase {
            e |= core::mem::take(&mut t.events);
        }
        e
    }

    /// The state.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::SynSent(_) => State::SynSent,
            Phase::SynReceived(_) => State::SynReceived,
            Phase::Synchronized(t) => t.state,
            Phase::Closed => State::Closed,
        }
    }

    /// Why it ended, once it has.
    pub fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Whether it is closed and has nothing left to send: it can be dropped.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.farewell.is_none()
    }

    /// The block, in a synchronized state.
    pub fn tcb(&self) -> Option<&Tcb> {
        match &self.phase {
            Phase::Synchronized(t) => Some(t),
            _ => None,
        }
    }

    /// The block, to be changed; for the layers above that set options of a connection.
    pub fn tcb_mut(&mut self) -> Option<&mut Tcb> {
        match &mut self.phase {
            Phase::Synchronized(t) => Some(t),
            _ => None,
        }
    }

    /// The next `count` segments of text are acknowledged at once, and the policy of `quick-acks` holds; with 0,
    /// acknowledgments wait as long as RFC 9293 3.8.6.3 allows.
    pub fn set_quick_ack(&mut self, count: u8) {
        if let Phase::Synchronized(t) = &mut self.phase {
            t.rcv.ack.set_quick(count);
        }
    }

    /// Another algorithm governs the congestion window from now on: it takes over cwnd and ssthresh and knows nothing else of
    /// what was. False before the handshake is complete: then the setting `congestion` decides.
    pub fn set_congestion(&mut self, congestion: Congestion) -> bool {
        let Phase::Synchronized(t) = &mut self.phase else { return false };
        t.snd.congestion = congestion;
        true
    }

    /// Likewise, one of the algorithms that there are.
    pub fn set_algorithm<P: Probe>(&mut self, cx: &Cx<'_, P>, algorithm: Algorithm) -> bool {
        let Phase::Synchronized(t) = &mut self.phase else { return false };
        t.snd.congestion = Congestion::of(algorithm, cx.cfg, &t.start(cx.now));
        true
    }

    /// The name of the algorithm that governs the congestion window, in a synchronized state.
    pub fn congestion(&self) -> Option<&'static str> {
        self.tcb().map(|t| t.snd.congestion.view().name())
    }

    /// With `on`, CLOSE becomes ABORT (linger time zero).
    pub fn set_abort_on_close(&mut self, on: bool) {
        self.abort_on_close = on;
    }

    /// Whether closing it aborts it.
    pub fn abort_on_close(&self) -> bool {
        self.abort_on_close
    }

    /// Octets of heap and of itself that this connection occupies while idle, for the record.
    pub fn footprint() -> usize {
        size_of::<Connection>() + size_of::<Tcb>() + size_of::<crate::tcb::Counters>()
    }

    /// The user lets go of a connection that has ended: what it did not read goes back to the pool.
    pub fn release(&mut self, pool: &mut crate::buf::Pool) {
        self.unread.clear(pool);
    }

    /// Ends the connection: buffers go back, and if `farewell` is given it is still sent.
    pub(crate) fn finish<P: Probe>(&mut self, cx: &mut Cx<'_, P>, reason: CloseReason, farewell: Option<Farewell>) {
        if let Phase::Synchronized(t) = &mut self.phase {
            self.events |= core::mem::take(&mut t.events);
            //= RFC 9293 3.10.3: after an orderly end RECEIVEs are still satisfied by the text on hand
            if reason == CloseReason::Finished && !t.orphan {
                self.unread = core::mem::take(&mut t.rcv.queue);
            }
            t.release(cx);
        }
        if let Some(e) = &mut self.early {
            e.failed(cx, reason);
        }
        self.phase = Phase::Closed;
        self.reason = self.reason.or(Some(reason));
        self.farewell = farewell;
        self.events |= Events::CLOSED | Events::READABLE | Events::WRITABLE;
    }

    /// After every input: a block that has reached CLOSED is dissolved, timers follow the state, invariants hold.
    fn after<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        if let Phase::Synchronized(t) = &mut self.phase {
            t.settle(cx);
            if cfg!(debug_assertions) {
                t.check_invariants();
            }
        }
    }

    pub(crate) fn settle<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        self.after(cx);
    }

    /// The verdict about a segment for a connection that is no more.
    pub(crate) const GONE: Verdict = Verdict::Dropped(Rule::NoConnection);
}
