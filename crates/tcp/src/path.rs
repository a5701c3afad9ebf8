//! What a connection knows of its path that the next one to the same host can begin with (RFC 9040, temporal sharing): the
//! round-trip time and ssthresh. Not cwnd: a path that is empty now was so for another reason than that it is wide.
//!
//! The setting `share-path` asks for it. Who remembers, for how many hosts and how long, is the host's affair.

use crate::config::TcpConfig;
use crate::tcb::Tcb;

/// What is remembered of a path. Times in microseconds, octets; zero where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathState {
    /// ssthresh.
    pub ssthresh: u32,
    /// SRTT.
    pub srtt_us: u32,
    /// RTTVAR.
    pub rttvar_us: u32,
}

impl PathState {
    /// Takes in what a newer connection has found: the mean of both, where both know something.
    pub fn merge(&mut self, newer: PathState) {
        let mean = |old: u32, new: u32| match (old, new) {
            (old, 0) => old,
            (0, new) => new,
            (old, new) => old / 2 + new / 2 + (old & new & 1),
        };
        self.ssthresh = mean(self.ssthresh, newer.ssthresh);
        self.srtt_us = mean(self.srtt_us, newer.srtt_us);
        self.rttvar_us = mean(self.rttvar_us, newer.rttvar_us);
    }
}

impl Tcb {
    /// What this connection has found out. An ssthresh that nothing has set says nothing; one that cwnd has left far behind
    /// is too small.
    pub fn path_state(&self) -> PathState {
        let (w, rtt) = (&self.snd.window, &self.snd.rtt);
        let ssthresh = if w.ssthresh == u32::MAX { 0 } else { w.ssthresh.max(w.cwnd / 2) };
        PathState { ssthresh, srtt_us: rtt.srtt_us, rttvar_us: rtt.rttvar_us }
    }

    /// Begins with what is known of the path: a slow start that ends where the path was found to end; a timeout that does
    /// not come too early because the first measurement was a lucky one.
    pub fn begin_with(&mut self, known: PathState, cfg: &TcpConfig) {
        let s = &mut self.snd;
        if known.ssthresh > 0 && s.window.ssthresh == u32::MAX {
            // Not below the initial window, which is sent in any case.
            s.window.ssthresh = known.ssthresh.max(s.window.cwnd);
        }
        if known.srtt_us > 0 && s.rtt.backoff == 0 {
            s.rtt.begin_with(known.srtt_us, known.rttvar_us, cfg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_twice_is_averaged_and_zero_is_not_known() {
        let mut p = PathState { ssthresh: 0, srtt_us: 40_001, rttvar_us: u32::MAX };
        p.merge(PathState { ssthresh: 9_000, srtt_us: 20_001, rttvar_us: u32::MAX });
        assert_eq!(p, PathState { ssthresh: 9_000, srtt_us: 30_001, rttvar_us: u32::MAX });
        p.merge(PathState::default());
        assert_eq!(p, PathState { ssthresh: 9_000, srtt_us: 30_001, rttvar_us: u32::MAX });
    }
}
