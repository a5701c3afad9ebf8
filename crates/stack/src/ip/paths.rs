//! Path MTUs that routers have told of, as long as they are believed (RFC 1191 6.3, RFC 8201 5.3).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use synfin_tcp::Instant;

#[derive(Debug)]
struct Path {
    mtu: u32,
    /// When a router last said so.
    told: Instant,
}

/// What is known of paths. They may have become better: what was told ten minutes ago is forgotten, by a sweep once a
/// minute (RFC 1191 6.3).
//= RFC 4821 5.2: by address, not by network
#[derive(Debug)]
pub(crate) struct Paths {
    known: BTreeMap<IpAddr, Path>,
    sweep: Instant,
}

impl Default for Paths {
    fn default() -> Self {
        Paths { known: BTreeMap::new(), sweep: Instant::NEVER }
    }
}

impl Paths {
    pub(crate) fn mtu(&self, dst: IpAddr) -> Option<u32> {
        self.known.get(&dst).map(|p| p.mtu)
    }

    /// A router says that the path to `dst` carries `mtu` octets: believed if that is not more than is known, and there
    /// is room.
    pub(crate) fn learn(&mut self, dst: IpAddr, mtu: u32, now: Instant, limit: usize) {
        if self.known.len() >= limit && !self.known.contains_key(&dst) {
            return;
        }
        let p = self.known.entry(dst).or_insert(Path { mtu, told: now });
        if mtu <= p.mtu {
            *p = Path { mtu, told: now };
        }
        if self.sweep == Instant::NEVER {
            self.sweep = now + SWEEP;
        }
    }

    /// Forgets what is too old; returns it, in order.
    //= RFC 1191 6.3
    //= RFC 8201 5.3
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<IpAddr> {
        let mut forgotten = Vec::new();
        if now >= self.sweep {
            self.known.retain(|dst, p| {
                let keep = now < p.told + BELIEVED;
                if !keep {
                    forgotten.push(*dst);
                }
                keep
            });
            self.sweep = if self.known.is_empty() { Instant::NEVER } else { now + SWEEP };
        }
        forgotten
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.sweep
    }
}

/// RFC 1191 6.3 and RFC 8201 5.3 recommend ten minutes.
const BELIEVED: Duration = Duration::from_secs(600);
/// RFC 1191 6.3: "once a minute".
const SWEEP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 4821 5.2: the neighbor's is another
    fn the_least_is_believed_for_ten_minutes_and_the_table_is_bounded() {
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut p = Paths::default();
        for (n, mtu, s) in [(1, 1400, 0), (1, 1300, 100), (1, 1400, 200), (2, 1200, 200), (3, 1000, 200)] {
            p.learn(ip(n), mtu, at(s), 2);
        }
        assert_eq!([1, 2, 3].map(|n| p.mtu(ip(n))), [Some(1300), Some(1200), None]);
        let mut forgotten = Vec::new();
        while p.next_deadline() != Instant::NEVER {
            let now = p.next_deadline();
            p.expire(now).into_iter().for_each(|a| forgotten.push((a, now)));
        }
        assert_eq!(forgotten, [(ip(1), at(720)), (ip(2), at(840))]);
    }
}
