//! A listener for any destination: every SYN that no other listener takes is put before the user, who sees where it wanted
//! to go and decides before anything is said to its sender. That is what a gateway needs: it accepts what it can connect on.
//!
//! A SYN that awaits a decision is a half-open connection that has not been answered: it is in the SYN queue, and bounded by
//! the backlog. It waits for [`StackConfig::decision_timeout`](crate::StackConfig::decision_timeout), then it is forgotten as
//! if it had been dropped. The same SYN again asks nothing, neither meanwhile nor, for as long, after it was met by silence.
//! Cookies are not for such a listener: they answer first.
//!
//! Packets to any address are taken for ours only if [`Stack::set_any_address`] says so.

use super::input::report;
use super::passive::InListen;
use super::{HalfOpen, Key, ListenError, Listener, ListenerId, Slot, Stage, Tuple};
use crate::cx::tcp_cx;
use crate::ip::input::Arrival;
use crate::stack::{SocketEvent, Stack};
use core::net::{Ipv6Addr, SocketAddr};
use synfin_tcp::arrives::closed::Reset;
use synfin_tcp::{Event, Instant, Probe, Rule, Segment, State, TcpConfig, Trigger, Verdict};
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// What becomes of a SYN for any destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is answered by a SYN,ACK; when the handshake is complete, [`Stack::tcp_accept`] gives the connection.
    Accept,
    /// It is answered by a RST, as if nobody listened (RFC 9293 3.10.7.1).
    Refuse,
    /// It is not answered, nor is the same SYN again while [`Decision`]s are waited for.
    Drop,
}

impl Stack {
    /// Listens for what no other listener takes, whatever address and port it is for. There is one such listener at most.
    /// `backlog` bounds the SYNs that await a decision, or the end of their handshake, and the accept queue.
    pub fn tcp_listen_any<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        backlog: usize,
        cfg: &TcpConfig,
    ) -> Result<ListenerId, ListenError> {
        if self.tcp.any.is_some() {
            return Err(ListenError::AddressInUse);
        }
        let cfg = self.configs.intern(cfg).ok_or(ListenError::TableFull)?;
        let nowhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let (i, g) = self.tcp.listeners.insert(Listener { any: true, ..Listener::new(nowhere, backlog, cfg) });
        self.tcp.any = Some(i);
        probe.focus(u64::MAX);
        let mut state = State::Closed;
        tcp_cx!(self, cfg, now, probe).transition(&mut state, Trigger::PassiveOpen);
        Ok(ListenerId(i, g))
    }

    /// The next SYN that awaits a decision and was not shown yet: where it comes from, and where it wanted to go (`local`).
    /// [`SocketEvent::Listener`] says that there is one; it is said once until none is left. A sender that begins anew with
    /// another number is shown again, and the decision is about the new SYN.
    pub fn tcp_next_request(&mut self, id: ListenerId) -> Option<Tuple> {
        let i = self.tcp.listeners.get_mut((id.0, id.1))?.asked.pop_front()?;
        let h = self.tcp.half.at_mut(i)?;
        h.stage = Stage::Shown;
        Some(h.key.tuple())
    }

    /// Decides about a SYN. False if there is none any more: its time was up, or its sender has taken it back.
    pub fn tcp_decide<P: Probe>(&mut self, now: Instant, probe: &mut P, of: Tuple, decision: Decision) -> bool {
        let Some(Slot::Half(i)) = self.tcp.find(&Key::new(of.local, of.remote)) else { return false };
        let Some(h) = self.tcp.half.at_mut(i).filter(|h| matches!(h.stage, Stage::Asked | Stage::Shown)) else {
            return false;
        };
        probe.focus(u64::from(Slot::Half(i).token()));
        let (listener, was) = (h.listener, h.stage);
        match decision {
            Decision::Accept => {
                h.stage = Stage::Handshake;
                self.wheel.remove(core::mem::replace(&mut h.timer, HalfOpen::NO_TIMER));
                probe.event(now, || Event::Moved {
                    from: State::Listen,
                    trigger: Trigger::RcvSyn,
                    to: State::SynReceived,
                });
                self.half_open_ready(i);
            }
            Decision::Refuse => {
                let reset = Reset { seq: SeqNum(0), ack: h.syn.irs + 1, flags: Flags::RST | Flags::ACK };
                let cfg = h.cfg;
                self.send_reset(now, of, reset, cfg);
                self.drop_half_open(i);
                return true;
            }
            Decision::Drop => h.stage = Stage::Silent,
        }
        if let Some(l) = self.tcp.listeners.at_mut(listener) {
            l.leaves(i, was);
            if decision == Decision::Drop {
                l.silent.push_back(i);
            }
        }
        true
    }

    /// A new half-open connection awaits a decision.
    pub(super) fn ask(&mut self, now: Instant, listener: u32, i: u32) {
        let timer = self.wheel.insert(now + self.cfg.decision_timeout, Slot::Half(i).token());
        if let Some(h) = self.tcp.half.at_mut(i) {
            (h.stage, h.timer) = (Stage::Asked, timer);
        }
        let generation = self.tcp.listeners.generation(listener);
        let Some(l) = self.tcp.listeners.at_mut(listener) else { return };
        l.asked.push_back(i);
        if l.asked.len() == 1 {
            self.events.push_back(SocketEvent::Listener(ListenerId(listener, generation)));
        }
    }

    /// The SYN queue is full: the oldest of those that are met by silence is forgotten.
    pub(super) fn make_room_of_silence(&mut self, listener: u32) {
        if let Some(i) = self.tcp.listeners.at(listener).and_then(|l| l.silent.front().copied()) {
            self.drop_half_open(i);
        }
    }

    /// The time of a decision, or of a silence, is up.
    pub(crate) fn end_request(&mut self, i: u32) {
        self.mib.undecided += u64::from(self.tcp.half.at(i).is_some_and(|h| h.stage != Stage::Silent));
        self.drop_half_open(i);
    }

    /// A segment of a four-tuple whose SYN was not answered.
    pub(super) fn segment_while_undecided<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        i: u32,
        at: &Arrival,
        seg: &mut Segment,
    ) {
        self.tcp_mib.in_segs += 1;
        let Some(h) = self.tcp.half.at(i) else { return };
        let (key, listener) = (h.key, h.listener);
        if seg.has(Flags::RST) && seg.seq() == h.syn.irs + 1 {
            self.drop_half_open(i);
            report(now, probe, seg, Verdict::Reset(Rule::ResetExact), State::Listen);
        } else if seg.has(Flags::SYN) && !seg.has(Flags::ACK) && !seg.has(Flags::RST) && seg.seq() != h.syn.irs {
            // Its sender has begun anew.
            self.drop_half_open(i);
            let syn = InListen { seg, tuple: key.tuple(), link: at.link, listener, after: None };
            self.accept_syn(now, probe, syn);
        } else {
            report(now, probe, seg, Verdict::Dropped(Rule::Undecided), State::Listen);
        }
    }
}
