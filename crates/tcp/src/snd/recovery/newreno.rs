//! Fast retransmit and fast recovery (RFC 5681 3.2, RFC 6582) with limited transmit (RFC 3042).

use crate::snd::congestion::Window;
use synfin_wire::SeqNum;

/// The state of recovery. `recover` is the RFC's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewReno {
    /// Duplicate acknowledgments in a row.
    pub dupacks: u8,
    /// Whether fast recovery is on.
    pub active: bool,
    /// The highest sequence number sent when recovery began, or at the last timeout.
    pub recover: SeqNum,
    /// The first unacknowledged segment is to be sent again now.
    pub again: bool,
    /// Whether this is the first partial acknowledgment of a recovery (it restarts the timer, RFC 6582 3.2 step 3).
    first_partial: bool,
    /// What a timeout sends again is not acknowledged yet.
    pub after_timeout: bool,
    /// FlightSize at the first of the duplicates, before limited transmit added to it.
    pub flight_before: u32,
    /// FlightSize when recovery began: no more segments can have left the network since than were in it.
    flight_at_entry: u32,
    /// What SACK blocks have told since SND.UNA moved, the first `KNOWN` runs of it.
    known: [Option<(SeqNum, SeqNum)>; KNOWN],
}

/// What an acknowledgment means for recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: congestion control takes it.
    Open,
    /// Recovery begins: ssthresh is to be set, then [`NewReno::enter`].
    Enter,
    /// A partial acknowledgment; true if the timer is to be restarted.
    Partial(bool),
    /// Recovery has ended.
    Left,
    /// More of the same.
    Stay,
}

/// Segments that one acknowledgment can report at most: a bound on its work.
const MOST_NEWS: u32 = 1_024;
/// Runs of text that are remembered as reported; what comes after is no news, until the first hole is filled.
const KNOWN: usize = 8;

impl NewReno {
    /// Before any loss.
    pub fn new(iss: SeqNum) -> NewReno {
        NewReno {
            dupacks: 0,
            active: false,
            recover: iss,
            again: false,
            first_partial: false,
            after_timeout: false,
            flight_before: 0,
            flight_at_entry: 0,
            known: [None; KNOWN],
        }
    }

    /// How many segments more have arrived by the SACK blocks of an acknowledgment of `una`, while what is before `nxt` is
    /// out. Where SACK is in use, only they are duplicates (RFC 6675 2): an acknowledgment that tells nothing new was caused
    /// by something else, or is forged. Octets count once, in whatever order blocks come.
    //= RFC 3042 2
    //= RFC 5681 3.2 (b)
    pub fn news(&mut self, una: SeqNum, nxt: SeqNum, blocks: &[(SeqNum, SeqNum)], smss: u32) -> u32 {
        let real = |(left, right): &&(SeqNum, SeqNum)| left.ge(una) && right.gt(*left) && right.le(nxt);
        let news: u32 = blocks.iter().filter(real).map(|b| self.learn(*b)).sum();
        news.div_ceil(smss).min(MOST_NEWS)
    }

    /// How many octets of a block were not known; they are from now on.
    fn learn(&mut self, (mut left, mut right): (SeqNum, SeqNum)) -> u32 {
        let mut fresh = right.since(left);
        for run in &mut self.known {
            if let Some((l, r)) = *run
                && l.le(right)
                && r.ge(left)
            {
                // It touches or overlaps: both are one run now.
                fresh -= r.min(right).diff(l.max(left)).max(0) as u32;
                (left, right) = (left.min(l), right.max(r));
                *run = None;
            }
        }
        match self.known.iter_mut().find(|run| run.is_none()) {
            Some(free) => *free = Some((left, right)),
            None => return 0,
        }
        fresh
    }

    /// A duplicate acknowledgment for `una`, while `flight` octets are out.
    //= RFC 5681 3.2 (f)
    //= RFC 6582 3.2 (step 2)
    pub fn on_duplicate(&mut self, una: SeqNum, flight: u32, window: &mut Window, smss: u32) -> Step {
        self.dupacks = self.dupacks.saturating_add(1);
        if self.dupacks == 1 {
            self.flight_before = flight;
        }
        if self.active {
            // Step 4 of RFC 5681 3.2: each further duplicate says that a segment has left the network.
            // But no more segments can have left than are out (the same section): duplicates can be forged.
            let most = window.ssthresh.saturating_add(self.flight_at_entry);
            window.cwnd = window.cwnd.saturating_add(smss).min(most.max(window.cwnd));
            return Step::Stay;
        }
        // RFC 6582 4.1: not again for what was already recovered, or sent before the timeout.
        if self.dupacks == 3 && una.gt(self.recover) { Step::Enter } else { Step::Stay }
    }

    /// Begins recovery with `flight` octets out; ssthresh was set by congestion control.
    //= RFC 5681 3.2 (e)
    pub fn enter(&mut self, nxt: SeqNum, flight: u32, window: &mut Window, smss: u32) {
        self.active = true;
        self.flight_at_entry = flight;
        self.again = true;
        self.first_partial = true;
        self.recover = nxt;
        window.cwnd = window.ssthresh.saturating_add(3 * smss);
    }

    /// New data up to `una` was acknowledged, `acked` octets of it; `flight` is what is left.
    //= RFC 6582 3.2 (step 3)
    //= RFC 5681 3.2 (g), 4.3 (b) (c)
    pub fn on_ack(&mut self, una: SeqNum, acked: u32, flight: u32, window: &mut Window, smss: u32) -> Step {
        self.dupacks = 0;
        self.known = [None; KNOWN];
        if una.ge(self.recover) {
            self.after_timeout = false;
        }
        if !self.active {
            if una.gt(self.recover) {
                self.recover = una - 1; // dragged along, so that it never falls half the circle behind
            }
            return Step::Open;
        }
        if una.ge(self.recover) {
            self.active = false;
            self.again = false;
            window.cwnd = window.ssthresh.min(flight.max(smss).saturating_add(smss));
            return Step::Left;
        }
        self.again = true;
        window.cwnd = window.cwnd.saturating_sub(acked).max(smss);
        if acked >= smss {
            window.cwnd = window.cwnd.saturating_add(smss);
        }
        Step::Partial(core::mem::take(&mut self.first_partial))
    }

    /// The retransmission timer expired.
    //= RFC 6582 3.2 (step 4)
    pub fn on_timeout(&mut self, nxt: SeqNum) {
        *self = NewReno { recover: nxt, after_timeout: true, ..NewReno::new(nxt) };
    }

    /// Adds to `h` what decides and is nobody else's business.
    pub(crate) fn digest(&self, h: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        (self.first_partial, self.flight_before, self.flight_at_entry).hash(h);
        self.known.map(|run| run.map(|(l, r)| (l.0, r.0))).hash(h);
    }

    /// What limited transmit adds to cwnd.
    //= RFC 3042 2
    //= RFC 5681 3.2 (a)
    pub fn limited_transmit(&self, smss: u32) -> u32 {
        if self.active { 0 } else { u32::from(self.dupacks.min(2)) * smss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const SMSS: u32 = 1000;

    #[test]
    //= RFC 5681 3.2 (e) (f) (g), 4.3 (c)
    //= RFC 6582 3.2
    fn three_duplicates_partial_and_full_acknowledgment() {
        let mut w = Window { cwnd: 10 * SMSS, ssthresh: 5 * SMSS };
        let mut r = NewReno::new(SeqNum(0));
        let una = SeqNum(1);
        assert_eq!(r.on_duplicate(una, 10 * SMSS, &mut w, SMSS), Step::Stay);
        assert_eq!(r.limited_transmit(SMSS), SMSS);
        assert_eq!(r.on_duplicate(una, 10 * SMSS, &mut w, SMSS), Step::Stay);
        assert_eq!(r.on_duplicate(una, 10 * SMSS, &mut w, SMSS), Step::Enter);
        r.enter(una + 10 * SMSS, 10 * SMSS, &mut w, SMSS);
        assert_eq!((w.cwnd, r.again), (8 * SMSS, true));
        assert_eq!(r.on_duplicate(una, 10 * SMSS, &mut w, SMSS), Step::Stay);
        assert_eq!(w.cwnd, 9 * SMSS);
        r.again = false;
        assert_eq!(r.on_ack(una + 3 * SMSS, 3 * SMSS, 7 * SMSS, &mut w, SMSS), Step::Partial(true));
        assert_eq!((w.cwnd, r.again), (7 * SMSS, true));
        assert_eq!(r.on_ack(una + 4 * SMSS, SMSS, 6 * SMSS, &mut w, SMSS), Step::Partial(false));
        assert_eq!(r.on_ack(una + 10 * SMSS, 6 * SMSS, 0, &mut w, SMSS), Step::Left);
        assert_eq!(w.cwnd, 2 * SMSS, "no burst after recovery: cwnd follows what is out");
    }

    #[test]
    //= RFC 6582 3.2
    fn no_second_recovery_for_what_a_timeout_sent_again() {
        let mut w = Window { cwnd: 10 * SMSS, ssthresh: 5 * SMSS };
        let mut r = NewReno::new(SeqNum(0));
        r.on_timeout(SeqNum(5000));
        for _ in 0..5 {
            assert_eq!(r.on_duplicate(SeqNum(1000), 10 * SMSS, &mut w, SMSS), Step::Stay);
        }
    }

    #[test]
    //= RFC 5681 3.2 (b)
    fn octets_that_sack_reports_are_news_once_in_whatever_order() {
        let mut r = NewReno::new(SeqNum(0));
        let (una, nxt) = (SeqNum(u32::MAX - 4 * SMSS), SeqNum(u32::MAX) + 100 * SMSS);
        let at = |from: u32, to: u32| (una + from * SMSS, una + to * SMSS);
        for (blocks, want) in [
            (vec![at(2, 3)], 1),
            (vec![at(6, 7)], 1),
            (vec![at(2, 3)], 0),
            (vec![at(6, 7), at(2, 3)], 0),
            // A D-SACK: a part of what is known comes first.
            (vec![at(2, 3), at(2, 4)], 1),
            (vec![at(1, 8)], 4),
            (vec![at(0, 0), at(5, 4)], 0),
            (vec![(una - SMSS, una), (nxt - SMSS, nxt + 1)], 0),
        ] {
            assert_eq!(r.news(una, nxt, &blocks, SMSS), want, "{blocks:?}");
        }
        // More runs than are remembered are no news; nobody can make them so by forgetting others.
        let many: u32 = (10..60).map(|i| r.news(una, nxt, &[at(2 * i, 2 * i + 1)], SMSS)).sum();
        assert_eq!(many, KNOWN as u32 - 1);
        assert_eq!((10..60).map(|i| r.news(una, nxt, &[at(2 * i, 2 * i + 1)], SMSS)).sum::<u32>(), 0);
    }
}
