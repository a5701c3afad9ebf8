//! Proportional rate reduction: in recovery, each acknowledgment lets out a share of what it delivers, so that cwnd has come
//! to ssthresh when the round trip is over (RFC 9937).

/// One episode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prr {
    /// RecoverFS: octets that may be delivered in the episode.
    recover_fs: u32,
    /// prr_delivered.
    delivered: u64,
    /// prr_out.
    out: u64,
}

/// What an acknowledgment brings.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// DeliveredData, in octets.
    pub delivered: u32,
    /// Octets in the network after it.
    pub inflight: u32,
    /// SafeACK: SND.UNA has moved, and no further loss is told.
    pub safe: bool,
    /// ssthresh.
    pub ssthresh: u32,
    /// SMSS.
    pub smss: u32,
}

impl Prr {
    /// An episode begins.
    //= RFC 9937 6.1 (a)
    pub fn begin(recover_fs: u32) -> Prr {
        Prr { recover_fs: recover_fs.max(1), delivered: 0, out: 0 }
    }

    /// Octets have left.
    //= RFC 9937 6.3
    pub fn sent(&mut self, octets: u32) {
        self.out += u64::from(octets);
    }

    /// How many more octets an episode without SACK may count as delivered: duplicates can be forged.
    //= RFC 9937 6.2 (a)
    pub fn credible(&self) -> u32 {
        u64::from(self.recover_fs).saturating_sub(self.delivered) as u32
    }

    /// cwnd after an acknowledgment.
    //= RFC 9937 6.2 (d) (e)
    //= RFC 5681 4.3 (b)
    pub fn on_ack(&mut self, s: &Step) -> u32 {
        self.delivered += u64::from(s.delivered);
        let mut count = if s.inflight > s.ssthresh {
            let share = u128::from(self.delivered) * u128::from(s.ssthresh);
            (share.div_ceil(u128::from(self.recover_fs)) as u64).saturating_sub(self.out)
        } else {
            let conservative = self.delivered.saturating_sub(self.out).max(u64::from(s.delivered));
            let reduction = conservative + u64::from(if s.safe { s.smss } else { 0 });
            reduction.min(u64::from(s.ssthresh - s.inflight))
        };
        if self.out == 0 && count == 0 {
            count = u64::from(s.smss);
        }
        s.inflight.saturating_add(count.min(u64::from(u32::MAX)) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMSS: u32 = 1000;

    /// RFC 9937 8, figure 1: 20 segments, the first lost, ssthresh 10.
    #[test]
    //= RFC 9937 6.2 (d), 6.3
    //= RFC 5681 4.3 (b)
    fn one_of_twenty_lost_lets_out_every_second_and_ends_at_ssthresh() {
        let mut prr = Prr::begin(20 * SMSS);
        let (mut inflight, mut sent) = (18 * SMSS, 0);
        let mut sizes = std::vec::Vec::new();
        for _ in 0..19 {
            let step = Step { delivered: SMSS, inflight, safe: false, ssthresh: 10 * SMSS, smss: SMSS };
            let cwnd = prr.on_ack(&step);
            let out = (cwnd - inflight) / SMSS * SMSS;
            prr.sent(out);
            sizes.push(out / SMSS);
            inflight = inflight + out - SMSS;
            sent += out;
        }
        assert_eq!(&sizes[..6], &[0, 1, 0, 1, 0, 1], "beside the first, which recovery sends whatever cwnd says");
        assert_eq!(sent, 10 * SMSS, "half of what was out");
    }

    #[test]
    //= RFC 9937 6.2 (d), 6.3
    fn below_ssthresh_no_more_leaves_than_arrives_unless_progress_is_safe() {
        let mut prr = Prr::begin(20 * SMSS);
        let step = Step { delivered: SMSS, inflight: 4 * SMSS, safe: false, ssthresh: 10 * SMSS, smss: SMSS };
        assert_eq!(prr.on_ack(&step), 5 * SMSS, "packet conservation");
        prr.sent(SMSS);
        assert_eq!(prr.on_ack(&Step { safe: true, ..step }), 6 * SMSS, "slow start");
        prr.sent(2 * SMSS);
        let much = Step { delivered: 9 * SMSS, inflight: 8 * SMSS, safe: true, ..step };
        assert_eq!(prr.on_ack(&much), 10 * SMSS, "never above ssthresh");
    }

    #[test]
    //= RFC 9937 6.2 (e)
    fn the_first_retransmission_is_never_held_back_and_nothing_overflows() {
        let mut prr = Prr::begin(100 * SMSS);
        let step = Step { delivered: 0, inflight: 90 * SMSS, safe: false, ssthresh: 0, smss: SMSS };
        assert_eq!(prr.on_ack(&step), 91 * SMSS);
        let huge = Step { delivered: u32::MAX, inflight: u32::MAX, safe: true, ssthresh: u32::MAX, smss: u32::MAX };
        for _ in 0..4 {
            prr.on_ack(&huge);
            prr.sent(u32::MAX);
        }
        assert_eq!(prr.credible(), 0);
    }
}
