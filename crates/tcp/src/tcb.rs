//! The transmission control block of a synchronized connection (RFC 9293 3.3.1).

use crate::cx::Cx;
use crate::ecn::Part;
use crate::event::Events;
use crate::negotiate::Negotiated;
use crate::probe::Probe;
use crate::rcv::{AckPolicy, Owed, Rcv, ReceiveQueue, SackList, Sizing, TsRecent};
use crate::rule::SendReason;
use crate::snd::busy::{Busy, Limited};
use crate::snd::congestion::{Congestion, Start, Window, initial_window};
use crate::snd::recovery::Recovery;
use crate::snd::{Pacer, Rate, Rtt, Scoreboard, Search, SendQueue, Snd, Usage};
use crate::state::{State, Trigger};
use crate::time::Instant;
use crate::timeout::Timers;
use alloc::boxed::Box;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Timestamps;

/// Both halves, the state, the timers.
#[derive(Debug)]
pub struct Tcb {
    /// The state: one of the synchronized ones.
    pub state: State,
    /// What both SYNs agreed on.
    pub negotiated: Negotiated,
    /// The sending half.
    pub snd: Snd,
    /// The receiving half.
    pub rcv: Rcv,
    /// SACK blocks to report.
    pub sack: SackList,
    /// Deadlines.
    pub timers: Timers,
    /// What the user has not been told yet.
    pub events: Events,
    /// A probe is due, and which.
    pub probe_due: Option<SendReason>,
    /// The window was too small for too long: silly-window avoidance is overridden once.
    pub sws_override: bool,
    /// The user waits for room in the send buffer.
    pub write_blocked: bool,
    /// The user has closed both directions, and holds no handle any more.
    pub orphan: bool,
    /// The reason why the segment at the cursor goes out again.
    pub again: SendReason,
    /// When the last segment of the peer arrived.
    pub last_heard: Instant,
    /// When the last keepalive probe was due.
    pub probed_at: Instant,
    /// What holds the sender up.
    pub limited: Limited,
    /// Counters, cold.
    pub counters: Box<Counters>,
}

/// What a connection counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Octets of text sent, those sent again included.
    pub bytes_sent: u64,
    /// Octets of text acknowledged.
    pub bytes_acked: u64,
    /// Octets of text received in order.
    pub bytes_received: u64,
    /// Octets of text sent again.
    pub bytes_retrans: u64,
    /// Segments sent.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Segments sent again.
    pub retrans: u64,
    /// What the sender spent its time on, up to the last change.
    pub busy: Busy,
}

/// What a finished handshake hands over.
#[derive(Debug, Clone, Copy)]
pub struct Handshake {
    /// ISS.
    pub iss: SeqNum,
    /// IRS.
    pub irs: SeqNum,
    /// What was agreed.
    pub negotiated: Negotiated,
    /// SEG.WND of the segment that completed it, scaled as that segment was.
    pub wnd: u32,
    /// Its SEG.SEQ and SEG.ACK.
    pub wl: (SeqNum, SeqNum),
    /// The right edge of the window we announced.
    pub edge: SeqNum,
    /// Whether a SYN was sent more than once (then RFC 5681 3.1 asks for a window of one segment).
    pub syn_lost: bool,
    /// What it found out about ECN.
    pub ecn: crate::ecn::Found,
    /// The round-trip time of the handshake, if it can be told.
    pub rtt: Option<core::time::Duration>,
}

impl Tcb {
    /// The block of a connection that has just become ESTABLISHED, in `state`.
    pub fn new<P: Probe>(h: Handshake, state: State, cx: &mut Cx<'_, P>) -> Tcb {
        let n = h.negotiated;
        let (mss, search) = Search::at_start(cx.cfg, n.text());
        let mut rtt = Rtt::new(cx.cfg);
        if let Some(sample) = h.rtt {
            rtt.sample(sample, cx.cfg);
            rtt.least(sample, cx.now);
        } else if h.syn_lost {
            //= RFC 6298 5.7
            rtt.rto_us = rtt.rto_us.max(3_000_000);
        }
        //= RFC 5681 3.1 (c) (d): the handshake adds nothing, a lost SYN means an initial window of one segment
        let cwnd = if h.syn_lost { u32::from(mss) } else { initial_window(cx.cfg.initial_window, u32::from(mss)) };
        let start = Start {
            now: cx.now,
            initial_cwnd: cwnd,
            smss: u32::from(mss),
            srtt: core::time::Duration::from_micros(u64::from(rtt.srtt_us)),
            sack: n.sack,
            // Not a draw: the seeds of runs stay valid whatever the algorithm is.
            seed: u64::from(h.iss.0) << 32 | u64::from(h.irs.0),
        };
        let first = h.iss + 1;
        let nxt = h.irs + 1;
        let mut t = Tcb {
            state,
            negotiated: n,
            snd: Snd {
                iss: h.iss,
                una: first,
                nxt: first,
                cursor: first,
                up: first,
                wnd: h.wnd,
                wl1: h.wl.0,
                wl2: h.wl.1,
                max_wnd: h.wnd,
                mss,
                shift: n.snd_shift,
                fin: false,
                fast_open: false,
                retries: 0,
                keepalives: 0,
                small_end: h.iss,
                window: Window { cwnd, ssthresh: u32::MAX },
                usage: Usage::new(h.iss),
                congestion: Congestion::new(cx.cfg, &start),
                ecn: Part::new(crate::snd::ecn::Sender::new(&h.ecn, h.iss)),
                board: Scoreboard::default(),
                recovery: Recovery::new(h.iss),
                rate: Rate::default(),
                pacer: Pacer::default(),
                rtt,
                search,
                last_sent: cx.now,
                queue: SendQueue::new(first),
            },
            rcv: Rcv {
                irs: h.irs,
                nxt,
                edge: h.edge,
                last_ack_sent: nxt,
                up: None,
                fin: None,
                buf: cx.cfg.rcv_window.after_syn(cx.cfg.first_rcv_buf(), n.rcv_mss),
                sizing: Sizing::new(n.rcv_mss, cx.now),
                shift: n.rcv_shift,
                mss: n.rcv_mss,
                closed: false,
                ts_recent: TsRecent::new(n.ts_recent, cx.now),
                ack: AckPolicy::new(nxt, cx.cfg.quick_acks),
                ecn: Part::new(crate::rcv::ecn::Receiver::new(&h.ecn, cx.cfg.accecn_option, cx.cfg.ecn_each)),
                queue: ReceiveQueue::default(),
                holes: None,
            },
            sack: SackList::default(),
            timers: Timers::default(),
            events: Events::default(),
            probe_due: None,
            sws_override: false,
            write_blocked: false,
            orphan: false,
            again: SendReason::Timeout,
            last_heard: cx.now,
            probed_at: cx.now,
            limited: Limited::idle(cx.now),
            counters: Box::default(),
        };
        t.snd.answer_handshake(cx.now, &h.ecn);
        t
    }

    /// What an algorithm begins with that governs the congestion window from now on.
    pub(crate) fn start(&self, now: Instant) -> Start {
        Start {
            now,
            initial_cwnd: self.snd.window.cwnd,
            smss: u32::from(self.snd.mss),
            srtt: self.snd.rtt.smoothed(),
            sack: self.negotiated.sack,
            seed: u64::from(self.snd.iss.0) << 32 | u64::from(self.rcv.irs.0),
        }
    }

    /// The timestamps of a segment sent now.
    pub fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        //= RFC 7323 3.2 (a) (c)
        self.negotiated.timestamps.then(|| Timestamps {
            //= RFC 7323 4.1
            //= RFC 7323 5.4 (a) (b): a tick is a millisecond, a round 49 days
            val: (now.as_millis() as u32).wrapping_add(self.negotiated.ts_offset),
            ecr: self.rcv.ts_recent.val,
        })
    }

    /// Moves the state.
    pub fn transition<P: Probe>(&mut self, cx: &mut Cx<'_, P>, trigger: Trigger) {
        cx.transition(&mut self.state, trigger);
        match self.state {
            State::TimeWait => self.events |= Events::TIME_WAIT,
            State::Closed => self.events |= Events::CLOSED,
            _ => {}
        }
    }

    /// Gives every buffer back.
    pub fn release<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        self.snd.queue.clear(cx.pool);
        self.snd.board.clear(cx.pool);
        self.rcv.queue.clear(cx.pool);
        if let Some(mut h) = self.rcv.holes.take() {
            h.clear(cx.pool);
        }
        self.timers = Timers::default();
        self.rcv.ack.owed = Owed::Nothing;
        self.probe_due = None;
    }

    /// What must hold between any two verbs.
    pub fn check_invariants(&self) {
        let s = &self.snd;
        assert!(s.una.le(s.cursor) && s.cursor.le(s.nxt), "una <= cursor <= nxt: {s:?}");
        let limit = s.queue.end() + u32::from(s.fin);
        assert!(s.nxt.le(limit), "nothing was sent that is not in the queue: nxt {} limit {limit}", s.nxt);
        s.board.check_invariants();
        if let Some(search) = &s.search {
            search.check_invariants(s);
        }
        assert!(s.mss > 0 && s.window.cwnd >= u32::from(s.mss).min(s.window.cwnd.max(1)));
        assert_eq!(self.state.we_closed(), s.fin, "{}", self.state);
        assert!(self.rcv.nxt.le(self.rcv.edge) || self.rcv.wnd() == 0);
        // A look at all pieces for each segment is too much where there are many.
        if let Some(h) = self.rcv.holes.as_ref().filter(|h| h.pieces() <= 1_024) {
            h.check_invariants();
        }
        if let Some(f) = self.rcv.fin {
            assert!(f.ge(self.rcv.nxt), "a FIN that was reached is not kept");
        }
    }
}
