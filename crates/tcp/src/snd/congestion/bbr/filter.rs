//! Filters over windows of virtual time, and chance.

/// The greatest delivery rate of this and the previous ProbeBW cycle.
//= draft-ietf-ccwg-bbr-06 2.11: MaxBwFilterLen = 2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MaxBwFilter {
    previous: u64,
    current: u64,
}

impl MaxBwFilter {
    /// A sample of this cycle.
    pub(super) fn update(&mut self, rate: u64) {
        self.current = self.current.max(rate);
    }

    /// Another cycle begins. One that had no sample of use is none: it takes nothing away.
    //= draft-ietf-ccwg-bbr-06 5.5.6
    pub(super) fn advance(&mut self) {
        if self.current > 0 {
            *self = MaxBwFilter { previous: self.current, current: 0 };
        }
    }

    /// BBR.max_bw.
    pub(super) fn get(&self) -> u64 {
        self.previous.max(self.current)
    }
}

/// The greatest value of a window: the three best candidates, each later than the one before (Kathleen Nichols' algorithm,
/// to which the draft points in 5.5.5). The window is an argument, for it grows when Startup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WindowedMax {
    /// Value and time; values fall, times rise.
    best: [(u32, u64); 3],
}

impl WindowedMax {
    /// A sample `value` at `time`, where samples count for `window`; the greatest one.
    pub(super) fn update(&mut self, value: u32, time: u64, window: u64) -> u32 {
        let new = (value, time);
        let [first, second, third] = &mut self.best;
        if value >= first.0 || time.saturating_sub(third.1) > window {
            self.best = [new; 3];
            return value;
        }
        if value >= second.0 {
            (*second, *third) = (new, new);
        } else if value >= third.0 {
            *third = new;
        }
        // The best have to leave when their time is over; while there are no others, a part of the window stands in.
        for _ in 0..2 {
            if time.saturating_sub(self.best[0].1) > window {
                self.best = [self.best[1], self.best[2], new];
            }
        }
        let [first, second, third] = &mut self.best;
        let age = time.saturating_sub(first.1);
        if second.1 == first.1 && age > window / 4 {
            (*second, *third) = (new, new);
        } else if third.1 == second.1 && age > window / 2 {
            *third = new;
        }
        self.best[0].0
    }
}

/// Chance from a seed, in eight octets: nothing that must not be guessed hangs on it, it only keeps flows from marching in
/// step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// 64 bits: a counter by the golden ratio, well mixed (SplitMix64).
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.throw() >> 32) * u64::from(n)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    //= draft-ietf-ccwg-bbr-06 5.5.6
    fn max_bw_remembers_two_cycles_and_skips_those_without_samples() {
        let mut f = MaxBwFilter::default();
        f.update(10);
        f.update(7);
        assert_eq!(f.get(), 10);
        f.advance();
        f.advance();
        assert_eq!(f.get(), 10, "an empty cycle takes nothing away");
        f.update(6);
        assert_eq!(f.get(), 10);
        f.advance();
        assert_eq!(f.get(), 6);
    }

    #[test]
    //= draft-ietf-ccwg-bbr-06 5.5.5
    fn a_windowed_maximum_is_never_older_than_its_window_nor_below_the_newest() {
        let mut dice = Dice::new(1);
        let mut f = WindowedMax::default();
        let mut all: Vec<(u32, u64)> = Vec::new();
        for time in (0..3_000_u64).map(|i| i / 2) {
            let value = dice.below(1000);
            all.push((value, time));
            let got = f.update(value, time, 10);
            let in_window = |(v, t): &(u32, u64)| (time - t <= 10).then_some(*v);
            let most = all.iter().rev().take(22).filter_map(in_window).max().unwrap();
            assert!(got >= value && got <= most, "{value} <= {got} <= {most}");
        }
        // What falls steadily is followed at the distance of the window.
        let mut f = WindowedMax::default();
        let falling: Vec<u32> = (0..100).map(|t| f.update(1000 - t, u64::from(t), 10)).collect();
        assert!(falling.iter().zip(0..).all(|(m, t)| *m <= 1000 - t + 11));
    }

    #[test]
    fn the_same_seed_throws_the_same() {
        let throws = |seed| {
            let mut d = Dice::new(seed);
            (0..100).map(|_| d.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(throws(3), throws(3));
        assert_ne!(throws(3), throws(4));
        assert!(throws(5).iter().all(|n| *n < 6));
        assert_eq!(Dice::new(9).below(0), 0);
    }
}
