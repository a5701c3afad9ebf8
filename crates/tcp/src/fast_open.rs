//! TCP Fast Open (RFC 7413): text in a SYN, what a connection knows of it until its handshake is over.
//!
//! The client's half is `Early`, a box beside the phase, and only where Fast Open is asked for. It holds what the user has
//! written before the handshake, at most what the SYN carries; the queue of the connection takes it over, and what the
//! SYN+ACK does not acknowledge goes again at once. The SYN carries text once: if it is not answered it goes again without
//! text and option.
//!
//! The server's half is [`SynReceived::fast_open`]: a block in SYN-RECEIVED, with the SYN's text in its queue and our SYN as
//! what is sent first. What arrives there is in `arrives/fast_open.rs`.
//!
//! Cookies, of both sides, are the host's business: they belong to addresses, which nobody here knows. So is what is learned
//! of a way ([`Learned`]).

use crate::arrives::syn_received::SynReceived;
use crate::buf::Pool;
use crate::call::SendError;
use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::ecn::Feedback;
use crate::event::{CloseReason, Events};
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::segment::Segment;
use crate::snd::SendQueue;
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::Instant;
use alloc::boxed::Box;
use synfin_wire::SeqNum;
use synfin_wire::tcp::{Cookie, Options};

/// What an active open is to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastOpen {
    /// The option of the SYN: a cookie, or an empty one to ask for it. None sends no option.
    pub option: Option<Cookie>,
    /// The most octets of text that the SYN carries; 0 for none.
    pub text: u16,
    /// Whether the SYN waits for the first text.
    pub waits: bool,
}

/// What became of it, and what the SYN+ACK says of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The cookie that the server gives.
    pub cookie: Option<Cookie>,
    /// The MSS that it announces.
    pub mss: Option<u16>,
    /// What became of the SYN.
    pub outcome: Outcome,
}

/// What became of a SYN with Fast Open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It carried no text, and was answered.
    Answered,
    /// Its text was acknowledged with it.
    Taken,
    /// It was acknowledged without its text.
    Refused,
    /// It was not answered: only one without text and option was, or none at all.
    Lost,
    /// It tells nothing of the way: the user gave up, the server refused the connection.
    Nothing,
}

/// Fast Open of an active open whose handshake is not over, and what was learned when it is; or of a block in SYN-RECEIVED,
/// if there is a cookie to be given.
#[derive(Debug)]
pub(crate) struct Early {
    open: FastOpen,
    /// A server's: the cookie that its SYN+ACK gives.
    gives: Option<Cookie>,
    /// Text from ISS + 1 on.
    queue: SendQueue,
    /// Octets of it that our first SYN carried.
    sent: u16,
    /// An ICMP error has come for our SYN.
    blocked: bool,
    learned: Option<Learned>,
}

impl Connection {
    /// Says what is to be tried, before the first SYN is asked for.
    pub fn fast_open(&mut self, open: FastOpen) {
        if let Phase::SynSent(s) = &mut self.phase {
            let queue = SendQueue::new(s.open.iss + 1);
            s.due = !open.waits;
            self.early = Some(Box::new(Early { open, gives: None, queue, sent: 0, blocked: false, learned: None }));
        }
    }

    /// The SYN+ACK of a connection made by [`SynReceived::fast_open`] gives this cookie.
    pub fn give_cookie(&mut self, cookie: Cookie) {
        let open = FastOpen { option: None, text: 0, waits: false };
        let queue = SendQueue::new(SeqNum(0));
        self.early = Some(Box::new(Early { open, gives: Some(cookie), queue, sent: 0, blocked: false, learned: None }));
    }

    /// What was learned, once, when the handshake is over or has failed.
    pub fn fast_open_learned(&mut self) -> Option<Learned> {
        self.early.take_if(|e| e.learned.is_some())?.learned
    }

    /// Whether the SYN waits for text.
    pub fn waits_for_text(&self) -> bool {
        let waits = |e: &Early| e.open.waits && e.queue.is_empty();
        matches!(&self.phase, Phase::SynSent(s) if s.first_sent == Instant::NEVER)
            && self.early.as_deref().is_some_and(waits)
    }

    /// A SYN that waits for text does not wait any longer.
    pub(crate) fn wait_no_longer(&mut self) {
        if let (Phase::SynSent(s), Some(e)) = (&mut self.phase, &mut self.early)
            && s.first_sent == Instant::NEVER
        {
            s.due = true;
            e.open.waits = false;
        }
    }

    /// How much more the SYN takes: nothing once it is out.
    pub(crate) fn early_room(&self) -> usize {
        match (&self.phase, &self.early) {
            (Phase::SynSent(s), Some(e)) if s.first_sent == Instant::NEVER => {
                usize::from(e.open.text).saturating_sub(e.queue.len() as usize)
            }
            _ => 0,
        }
    }

    /// Room for SEND in SYN-SENT.
    pub(crate) fn early_send(&mut self) -> Result<usize, SendError> {
        match self.early_room() {
            0 => {
                self.wait_no_longer();
                Err(SendError::WouldBlock)
            }
            n => Ok(n),
        }
    }

    /// The queue of what is written before the handshake is over.
    pub(crate) fn early_queue(&mut self) -> Option<&mut SendQueue> {
        self.early.as_mut().map(|e| &mut e.queue)
    }
}

impl Early {
    pub(crate) fn gives(&self) -> Option<Cookie> {
        self.gives
    }

    /// Octets of text in a SYN that was sent `retries` times before.
    //= RFC 7413 4.2.2 (b) (c)
    pub(crate) fn text(&self, retries: u8) -> u32 {
        if retries > 0 { 0 } else { self.queue.len().min(u32::from(self.open.text)) }
    }

    /// The option of such a SYN. There is always room for it beside what our SYNs carry else.
    //= RFC 7413 4.2.2 (b) (c)
    pub(crate) fn option(&self, retries: u8) -> Option<Cookie> {
        self.open.option.filter(|_| retries == 0)
    }

    /// An ICMP error has come for our SYN.
    pub(crate) fn blocked(&mut self) {
        self.blocked = true;
    }

    pub(crate) fn queue(&self) -> &SendQueue {
        &self.queue
    }

    pub(crate) fn queue_mut(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// The SYN has left, with `len` octets of text.
    pub(crate) fn left(&mut self, len: u32) {
        self.sent = self.sent.max(len as u16);
    }

    /// Octets of text that may be acknowledged with our SYN.
    pub(crate) fn sent(&self) -> u32 {
        u32::from(self.sent)
    }

    /// Whether the SYN differed from one without Fast Open.
    fn showed(&self) -> bool {
        self.sent > 0 || self.open.option.is_some()
    }

    /// The text belongs to the block from now on. What lies before `ack` has arrived; what was sent and lies behind it goes
    /// again at once, but if an acknowledgment of it still comes it counts.
    pub(crate) fn hand_over(&mut self, t: &mut Tcb, ack: SeqNum, pool: &mut Pool) {
        let s = &mut t.snd;
        let first = s.iss + 1;
        s.queue = core::mem::replace(&mut self.queue, SendQueue::new(first));
        s.queue.acknowledge(ack, pool);
        (s.una, s.cursor, s.up) = (ack, ack, ack);
        s.fast_open = ack.gt(first);
        s.nxt = first + self.sent();
        t.again = SendReason::FastOpenAgain;
        t.counters.bytes_sent += u64::from(self.sent());
        t.counters.bytes_acked += u64::from(ack.since(first));
    }

    /// As [`Early::hand_over`], to a block of which the peer has acknowledged no text.
    pub(crate) fn take_queue(&mut self, t: &mut Tcb) {
        t.snd.queue = core::mem::replace(&mut self.queue, SendQueue::new(t.snd.iss + 1));
    }

    /// Our SYN and one of the peer's have crossed, and the handshake is complete: neither keeps the other's text.
    pub(crate) fn crossed<P: Probe>(&mut self, cx: &Cx<'_, P>, t: &mut Tcb) {
        self.take_queue(t);
        self.learned = Some(Learned { cookie: None, mss: None, outcome: Outcome::Nothing });
        t.settle(cx);
    }

    /// The SYN+ACK with `opts` acknowledges `acked` octets of text. `retries` SYNs went after the first.
    //= RFC 7413 4.1.3.1 (a): the three kinds of negative responses are told apart
    pub(crate) fn answered<P: Probe>(&mut self, cx: &mut Cx<'_, P>, opts: &Options, acked: u32, retries: u8) {
        let cookie = opts.fast_open.filter(|c| !c.is_empty());
        let outcome = match (acked > 0, self.sent > 0) {
            (true, _) => Outcome::Taken,
            // It may be the answer to the first SYN, or to one that had nothing: a cookie tells.
            _ if retries > 0 && cookie.is_none() && self.showed() => Outcome::Lost,
            (_, true) => Outcome::Refused,
            (_, false) => Outcome::Answered,
        };
        cx.mib.fast_open_active += u64::from(acked > 0);
        cx.mib.fast_open_active_fail += u64::from(acked == 0 && self.sent > 0);
        let mss = opts.mss.filter(|m| *m > 0);
        self.learned = Some(Learned { cookie, mss, outcome });
    }

    /// The connection is over before its handshake was.
    pub(crate) fn failed<P: Probe>(&mut self, cx: &mut Cx<'_, P>, reason: CloseReason) {
        self.queue.clear(cx.pool);
        if self.learned.is_some() {
            return;
        }
        // A RST tells only that nobody listens.
        let silent =
            matches!(reason, CloseReason::TimedOut | CloseReason::HostUnreachable | CloseReason::NetUnreachable);
        let outcome = if self.showed() && (silent || self.blocked) { Outcome::Lost } else { Outcome::Nothing };
        cx.mib.fast_open_active_fail += u64::from(self.sent > 0);
        self.learned = Some(Learned { cookie: None, mss: None, outcome });
    }
}

impl SynReceived {
    /// The SYN `seg` has a cookie, or needs none: a block in SYN-RECEIVED, which its user may read from and write to before
    /// the handshake is over. The SYN+ACK that it sends first acknowledges the text, as far as it fits into the window.
    //= RFC 7413 4.2.2 (d): steps 4 to 6
    pub fn fast_open<P: Probe>(mut self, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Box<Tcb> {
        // What the third segment says of marks is read where a record becomes a connection. This one is one already.
        if self.negotiated.feedback == Feedback::Accurate {
            self.negotiated.feedback = Feedback::Classic;
        }
        let mut t = Box::new(Tcb::new(self.early_handshake(cx), State::SynReceived, cx));
        // As after CLOSE in SYN-RECEIVED: our SYN stands before the text.
        t.snd.una = self.iss;
        t.snd.cursor = self.iss;
        t.snd.fast_open = true;
        let room = t.rcv.wnd() as usize;
        let mut text = core::mem::take(&mut seg.payload);
        text.truncate(text.len().min(room));
        let n = text.len() as u32;
        if n > 0 {
            t.rcv.nxt += n;
            t.counters.bytes_received += u64::from(n);
            t.rcv.ack.last_text = cx.now;
            t.rcv.queue.push(text, cx.pool);
            t.events |= Events::READABLE;
        }
        t.settle(cx);
        t
    }
}
