//! The retransmission timer (RFC 6298 5), R1 and R2 (RFC 9293 3.8.3).

use super::Ended;
use crate::cx::Cx;
use crate::event::{CloseReason, Events};
use crate::probe::Probe;
use crate::rule::SendReason;
use crate::snd::Snd;
use crate::snd::congestion::{Loss, LossCause};
use crate::snd::recovery::{Duplicates, Frto, Phase, Undo};
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::Instant;
use crate::transmit;

/// It runs while something is unacknowledged.
//= RFC 6298 5.1
//= RFC 6298 5.2
pub(super) fn arm<P: Probe>(t: &mut Tcb, cx: &Cx<'_, P>) {
    // Before a shut window the persist timer is on, also for the octet of a probe.
    if t.snd.flight() == 0 || (t.snd.wnd == 0 && t.snd.out() == 0) {
        t.timers.retransmission = Instant::NEVER;
    } else if t.timers.retransmission == Instant::NEVER {
        t.timers.retransmission = cx.now + t.snd.rtt.rto(cx.cfg);
    }
}

/// Everything from SND.UNA on goes out again, one segment first; the next timeout is twice as long.
//= RFC 6298 5
//= RFC 6298 5.4
//= RFC 6298 5.5
//= RFC 6298 5.6
//= RFC 5681 4.3 (e): a lost retransmission is counted again
//= RFC 9293 3.8.3 MUST-20 (a) (c)
//= RFC 2018 5: from SND.UNA on, whatever was SACKed
//= RFC 2018 5.1 (b)
pub(super) fn expired<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>) -> Option<Ended> {
    if t.snd.flight() == 0 {
        t.timers.retransmission = Instant::NEVER;
        return None;
    }
    if t.snd.retries >= retry_limit(t, cx) {
        return Some(Ended { reason: CloseReason::TimedOut, farewell: None });
    }
    t.snd.retries += 1;
    t.snd.rtt.back_off();
    t.timers.retransmission = cx.now + t.snd.rtt.rto(cx.cfg);
    if t.snd.retries == cx.cfg.retries1 {
        //= RFC 9293 3.8.3 SHLD-9 SHLD-10
        t.events |= Events::SLUGGISH;
    }
    if t.snd.wnd == 0 {
        // The peer closed its window over what was sent: that is no sign of congestion, only to be asked again.
        t.snd.roll_back(cx.pool);
        //= RFC 9293 3.8.6 MUST-35
        t.probe_due = Some(SendReason::WindowProbe);
        return None;
    }
    cx.mib.timeouts += 1;
    t.snd.probe_timed_out(cx);
    if t.snd.retries >= cx.cfg.retries1 {
        //= RFC 4821 7.7: for TCP a full stop is when R1 is reached
        t.snd.full_stop(cx.cfg, transmit::sack_room(t), cx.now);
    }
    t.snd.timed_out(cx);
    t.sws_override = t.snd.wnd < u32::from(t.snd.mss);
    t.again = SendReason::Timeout;
    None
}

impl Snd {
    /// What is old is lost; the first of it goes out at once, the rest as the loss window opens.
    fn timed_out<P: Probe>(&mut self, cx: &mut Cx<'_, P>) {
        let first = self.retries == 1;
        let window = self.window;
        let answered = self.answered();
        // While something is being repaired a retransmission was lost: another sign of congestion, that reduces what the one
        // before has left.
        let again = self.recovery.is_on();
        let flight = if again { self.flight().min(self.window.ssthresh) } else { self.flight() };
        let loss = Loss { now: cx.now, flight, smss: u32::from(self.mss), cause: LossCause::Lost };
        self.congestion.get().on_timeout(&mut self.window, &loss, first);
        self.reduced_now();
        self.rtt.retransmitted();
        if self.una.lt(self.queue.base()) {
            self.roll_back(cx.pool); // our SYN goes first
            return;
        }
        let reo_wnd = self.recovery.reo_wnd(self.board.sacked_pieces(), self.rtt.min(), self.rtt.smoothed());
        let patience = self.recovery.rack.patience_at_timeout(reo_wnd, self.rtt.smoothed());
        self.lose(cx, |board, each| board.timeout(cx.now, patience, each));
        let r = &mut self.recovery;
        // Not for what is being recovered already; but anew while nothing has been acknowledged since the first timeout.
        //= RFC 5682 2.1 (a) (b) (c) (e), 3.1 (a) (b) (c) (d)
        let begins = (first && r.phase == Phase::Open) || r.frto == Frto::Waiting;
        r.frto = if cx.cfg.frto && begins { Frto::Waiting } else { Frto::Off };
        //= RFC 4015 3.1 (a)
        if r.phase == Phase::Open {
            r.episode().undo = first.then(|| Undo::new(self.una, window, answered));
        }
        //= RFC 6582 3.2 (step 4)
        //= RFC 6675 5.1 (c)
        (r.phase, r.recover, r.force) = (Phase::Loss, self.nxt, true);
        (r.duplicates, r.reorder) = (Duplicates::default(), Instant::NEVER);
        r.tlp.reset();
        // What was rolled back goes out from the cursor on, as new text does.
        r.force &= self.board.unsent() > 0;
    }
}

/// R2: how often before the connection is given up. A user who has closed waits less long for the kernel of the
/// connection to go (RFC 9293 3.8.3 leaves the value to us; orphans cost memory and nobody waits for them).
//= RFC 9293 3.8.3 MUST-21 SHLD-11
pub(super) fn retry_limit<P: Probe>(t: &Tcb, cx: &Cx<'_, P>) -> u8 {
    match t.state {
        State::SynReceived => cx.cfg.synack_retries,
        _ if t.orphan => cx.cfg.orphan_retries.min(cx.cfg.retries2),
        _ => cx.cfg.retries2,
    }
}
