//! Timeouts (RFC 9293 3.10.8): the deadlines of a connection, and what happens when they come.

mod delayed_ack;
mod fin_wait_2;
mod keepalive;
mod loss;
mod persist;
mod retransmission;
mod user;

use crate::connection::{Connection, Farewell, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use crate::time::Instant;
use crate::transmit;
use synfin_wire::tcp::Flags;

/// The deadlines of a synchronized connection. 2 MSL belongs to the table of TIME-WAIT records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// RFC 6298.
    pub retransmission: Instant,
    /// The reordering timer of RACK (RFC 8985 6.3).
    pub reorder: Instant,
    /// The time to the loss probe (RFC 8985 7.2).
    pub probe: Instant,
    /// When pacing lets the next segment go.
    pub pacing: Instant,
    /// RFC 9293 3.8.6.1, and the override timeout of silly-window avoidance (3.8.6.2.1).
    pub persist: Instant,
    /// RFC 9293 3.8.6.3.
    pub delayed_ack: Instant,
    /// RFC 9293 3.8.4.
    pub keepalive: Instant,
    /// RFC 9293 3.10.8, first.
    pub user: Instant,
    /// For closed connections whose peer stays silent.
    pub fin_wait_2: Instant,
}

impl Default for Timers {
    fn default() -> Self {
        let n = Instant::NEVER;
        Timers {
            retransmission: n,
            reorder: n,
            probe: n,
            pacing: n,
            persist: n,
            delayed_ack: n,
            keepalive: n,
            user: n,
            fin_wait_2: n,
        }
    }
}

impl Timers {
    /// The earliest.
    pub fn next(&self) -> Instant {
        self.retransmission
            .min(self.reorder)
            .min(self.probe)
            .min(self.pacing)
            .min(self.persist)
            .min(self.delayed_ack)
            .min(self.keepalive)
            .min(self.user)
            .min(self.fin_wait_2)
    }
}

/// How a timeout ends a connection.
struct Ended {
    reason: CloseReason,
    farewell: Option<SendReason>,
}

pub(crate) fn on_deadline<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>) {
    c.arm_patience(cx.cfg);
    let out_of_patience = cx.now >= c.give_up;
    let ended = match &mut c.phase {
        //= RFC 9293 3.8.3 MUST-22
        Phase::SynSent(_) | Phase::SynReceived(_) if out_of_patience => Some(user::expired()),
        Phase::SynSent(s) => {
            if cx.now >= s.retransmission && s.retries >= cx.cfg.syn_retries {
                Some(Ended { reason: CloseReason::TimedOut, farewell: None })
            } else {
                if cx.now >= s.retransmission {
                    //= RFC 9293 3.8.1: the SYN again, with the same sequence number
                    s.retries += 1;
                    s.due = true;
                    s.retransmission =
                        cx.now + transmit::syn_backoff(cx.cfg, s.retries.saturating_sub(cx.cfg.syn_linear));
                    cx.mib.timeouts += 1;
                    cx.mib.retrans_segs += 1;
                }
                None
            }
        }
        Phase::SynReceived(s) => {
            if cx.now < s.deadline {
                return;
            }
            if let Some(next) = s.on_deadline(cx) {
                s.deadline = next;
                None
            } else {
                c.finish(cx, c.soft.unwrap_or(CloseReason::TimedOut), None);
                return;
            }
        }
        Phase::Synchronized(t) => synchronized(t, cx),
        Phase::Closed => None,
    };
    let Some(ended) = ended else { return };
    let mut state = c.state();
    if matches!(state, State::SynSent | State::SynReceived) {
        cx.mib.attempt_fails += 1;
    }
    cx.mib.abort_on_timeout += 1;
    let farewell = match (&c.phase, ended.farewell) {
        (Phase::Synchronized(t), Some(why)) => Some(Farewell {
            seq: t.snd.nxt,
            ack: t.rcv.nxt,
            flags: Flags::RST | Flags::ACK,
            ts: t.timestamps(cx.now),
            why,
        }),
        _ => None,
    };
    cx.transition(&mut state, Trigger::Timeout);
    //= RFC 9293 3.9.2.2 SHLD-25: a soft error that was remembered is the reason told at the timeout
    let reason = if ended.reason == CloseReason::TimedOut { c.soft.unwrap_or(ended.reason) } else { ended.reason };
    c.finish(cx, reason, farewell);
}

fn synchronized<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) -> Option<Ended> {
    let due = |at: Instant, now: Instant| now >= at;
    if due(t.timers.delayed_ack, cx.now) {
        delayed_ack::expired(t, cx);
    }
    if due(t.timers.user, cx.now) {
        return Some(user::expired());
    }
    if due(t.timers.reorder, cx.now) {
        loss::reordered(t, cx);
    }
    if due(t.timers.probe, cx.now) {
        loss::probe(t, cx);
    }
    if due(t.timers.retransmission, cx.now)
        && let Some(e) = retransmission::expired(t, cx)
    {
        return Some(e);
    }
    if due(t.timers.persist, cx.now)
        && let Some(e) = persist::expired(t, cx)
    {
        return Some(e);
    }
    if due(t.timers.keepalive, cx.now)
        && let Some(e) = keepalive::expired(t, cx)
    {
        return Some(e);
    }
    due(t.timers.fin_wait_2, cx.now).then(fin_wait_2::expired)
}

impl Tcb {
    /// Lets the deadlines follow the state. Called after every input and every segment sent.
    pub(crate) fn settle<P: Probe>(&mut self, cx: &Cx<'_, P>) {
        if matches!(self.state, State::Closed | State::TimeWait) {
            self.timers = Timers::default();
            return;
        }
        retransmission::arm(self, cx);
        loss::arm(self, cx);
        persist::arm(self, cx);
        delayed_ack::arm(self, cx);
        keepalive::arm(self, cx);
        user::arm(self, cx);
        fin_wait_2::arm(self, cx);
        self.limited.update(&self.snd, self.write_blocked, cx.now, &mut self.counters.busy);
    }
}
