//! Duplicate acknowledgments, where the peer does not say what it has (RFC 5681 3.2, RFC 6582).

use super::rack::DUP_THRESH;
use synfin_wire::SeqNum;

/// What duplicates tell without SACK: that something has left the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duplicates {
    /// How many came in a row. With SACK: those that told something new.
    pub count: u8,
    /// Octets that they stand for, one SMSS each.
    pub octets: u32,
    /// A partial acknowledgment has restarted the retransmission timer (RFC 6582 3.2, step 3).
    pub partial: bool,
}

impl Duplicates {
    /// One more, while `most` octets can have left the network.
    //= RFC 5681 3.2 (f): no more segments can have left than are out; duplicates can be forged
    //= RFC 9937 6.2 (a) (c)
    pub fn another(&mut self, smss: u32, most: u32) {
        self.count = self.count.saturating_add(1);
        self.octets = self.octets.saturating_add(smss).min(most).max(self.octets);
    }

    /// `acked` octets were acknowledged. How many of them no duplicate stood for.
    //= RFC 9937 6.2 (a)
    pub fn acknowledged(&mut self, acked: u32, smss: u32) -> u32 {
        self.count = 0;
        // The first of them was missing: it caused the duplicates.
        let counted = self.octets.min(acked.saturating_sub(smss));
        self.octets -= counted;
        acked - counted
    }

    /// Whether it is time for a fast retransmit: not again for what was already recovered, or sent before a timeout.
    //= RFC 5681 3.2 (e)
    //= RFC 6582 3.2 (step 2)
    pub fn enough(&self, una: SeqNum, recover: SeqNum) -> bool {
        u32::from(self.count) == DUP_THRESH && una.gt(recover)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;

    #[test]
    //= RFC 5681 3.2 (e)
    //= RFC 6582 3.2
    fn three_are_enough_and_none_for_what_was_recovered_already() {
        let mut d = Duplicates::default();
        let una = SeqNum(1000);
        for n in 1..=4 {
            d.another(SMSS, 3 * SMSS);
            assert_eq!(d.enough(una, SeqNum(999)), n == 3);
            assert!(!d.enough(una, una));
        }
        assert_eq!(d.octets, 3 * SMSS, "no more than were out");
    }

    #[test]
    //= RFC 9937 6.2 (a)
    fn what_duplicates_stood_for_is_not_delivered_again() {
        let mut d = Duplicates::default();
        (0..3).for_each(|_| d.another(SMSS, u32::MAX));
        assert_eq!(d.acknowledged(2 * SMSS, SMSS), SMSS, "the lost one; the other was a duplicate's");
        assert_eq!(d.octets, 2 * SMSS);
        assert_eq!(d.acknowledged(10 * SMSS, SMSS), 8 * SMSS);
        assert_eq!((d.octets, d.acknowledged(500, SMSS)), (0, 500));
    }
}
