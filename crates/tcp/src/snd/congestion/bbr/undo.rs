//! Recovery: the cwnd that is kept through it, and what is put back if it turns out to have been needless.

use super::{Bbr, State};

/// What recovery is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// None.
    Open,
    /// Fast recovery.
    Fast,
    /// The repair after a timeout.
    Timeout,
}

/// What a spurious loss puts back: the model as it was before the first loss of the episode.
//= draft-ietf-ccwg-bbr-06 2.15
#[derive(Debug, Clone, Copy)]
pub(super) struct Undo {
    /// Whether it holds the beginning of the episode that is on.
    saved: bool,
    /// BBR.undo_state: the state that losses have ended.
    pub(super) state: Option<State>,
    bw_shortterm: u64,
    inflight_shortterm: u32,
    inflight_longterm: u32,
}

impl Undo {
    pub(super) const NOTHING: Undo =
        Undo { saved: false, state: None, bw_shortterm: 0, inflight_shortterm: 0, inflight_longterm: 0 };
}

impl Bbr {
    /// Keeps the last cwnd that neither recovery nor ProbeRTT has cut.
    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    pub(super) fn save_cwnd(&mut self) {
        let intact = self.c.recovery == Recovery::Open && self.state != State::ProbeRtt;
        self.prior_cwnd = if intact { self.c.cwnd } else { self.prior_cwnd.max(self.c.cwnd) };
    }

    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    pub(super) fn restore_cwnd(&mut self) {
        self.c.cwnd = self.c.cwnd.max(self.prior_cwnd);
    }

    /// Once per episode. The draft saves with each round of losses, and again after the first loss of a probe that went too
    /// high has reset the round: what the first loss changed would then be saved as what was before it.
    //= draft-ietf-ccwg-bbr-06 5.5.11.1
    pub(super) fn save_state_upon_loss(&mut self) {
        self.save_cwnd();
        if !self.undo.saved {
            self.undo = Undo {
                saved: true,
                state: None,
                bw_shortterm: self.bw_shortterm,
                inflight_shortterm: self.inflight_shortterm,
                inflight_longterm: self.inflight_longterm,
            };
        }
    }

    /// Recovery begins.
    //= draft-ietf-ccwg-bbr-06 5.6.4.4
    pub(super) fn enter_recovery(&mut self, recovery: Recovery) {
        if self.c.recovery != Recovery::Open && self.c.recovery != recovery {
            self.undo.saved = false; // a timeout in fast recovery is judged for itself
        }
        self.save_state_upon_loss();
        self.c.recovery = recovery;
    }

    /// The episode is over: the next loss begins another. What was saved stays, for it may still prove spurious.
    pub(super) fn close_episode(&mut self) {
        self.c.recovery = Recovery::Open;
        self.undo.saved = false;
    }

    /// What was taken for lost was not.
    //= draft-ietf-ccwg-bbr-06 5.5.11.2
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        self.restore_cwnd();
        self.is_loss_in_round = false;
        self.full_bw.reset(0);
        let undo = core::mem::replace(&mut self.undo, Undo::NOTHING);
        self.bw_shortterm = self.bw_shortterm.max(undo.bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(undo.inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(undo.inflight_longterm);
        match undo.state {
            Some(State::Startup) if self.state != State::Startup => {
                self.full_bw.reached = false;
                if self.state != State::ProbeRtt {
                    self.enter_startup();
                }
            }
            Some(State::ProbeBwUp) if self.state != State::ProbeBwUp && self.state != State::ProbeRtt => {
                self.start_probe_bw_refill();
            }
            _ => {}
        }
        self.close_episode();
    }
}
