//! The neighbor cache of a link (RFC 826, RFC 4861 7), without a state for every nuance: an entry is asked for, known
//! until it must be confirmed, or known not to answer.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use synfin_tcp::Instant;
use synfin_wire::ethernet::Mac;

#[derive(Debug)]
enum State {
    /// Asked for; what waits for the answer.
    Incomplete { queue: Vec<Vec<u8>> },
    /// Known; to be confirmed after `fresh_until`.
    Known { mac: Mac, fresh_until: Instant },
    /// Does not answer; asked again after `until`.
    Failed { until: Instant },
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Requests sent since it was last heard of.
    tries: u8,
    /// When the next request is due.
    next: Instant,
}

/// What is known of a neighbor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Its address.
    Known(Mac),
    /// It is being asked for.
    Waits,
    /// It does not answer.
    Failed,
}

/// Requests that are due, and packets that can go.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub requests: Vec<IpAddr>,
    pub failed: usize,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct Neighbors(BTreeMap<IpAddr, Entry>);

impl Neighbors {
    /// Looks a neighbor up; a request is made due if need be.
    pub(crate) fn resolve(&mut self, a: IpAddr, now: Instant, limit: usize) -> Resolution {
        if !self.0.contains_key(&a) {
            if self.0.len() >= limit {
                self.evict(now);
            }
            let state = State::Incomplete { queue: Vec::new() };
            self.0.insert(a, Entry { state, tries: 0, next: now });
            return Resolution::Waits;
        }
        let Some(e) = self.0.get_mut(&a) else { return Resolution::Waits };
        match e.state {
            State::Known { mac, fresh_until } => {
                if now >= fresh_until && e.next == Instant::NEVER {
                    e.next = now; // used while stale: confirm it
                    e.tries = 0;
                }
                Resolution::Known(mac)
            }
            State::Incomplete { .. } => Resolution::Waits,
            State::Failed { until } if now >= until => {
                *e = Entry { state: State::Incomplete { queue: Vec::new() }, tries: 0, next: now };
                Resolution::Waits
            }
            State::Failed { .. } => Resolution::Failed,
        }
    }

    /// Lets a whole frame, its destination still blank, wait for the answer; false if the queue is full.
    pub(crate) fn hold(&mut self, a: IpAddr, frame: Vec<u8>, limit: usize) -> bool {
        match self.0.get_mut(&a).map(|e| &mut e.state) {
            Some(State::Incomplete { queue }) if queue.len() < limit => {
                queue.push(frame);
                true
            }
            _ => false,
        }
    }

    /// The neighbor said where it is. What waited is returned. Neighbors nobody asked for are not remembered, so
    /// that nobody fills the table from outside.
    pub(crate) fn heard(&mut self, a: IpAddr, mac: Mac, now: Instant) -> Option<Vec<Vec<u8>>> {
        let e = self.0.get_mut(&a)?;
        e.tries = 0;
        e.next = Instant::NEVER;
        match core::mem::replace(&mut e.state, State::Known { mac, fresh_until: now + FRESH }) {
            State::Incomplete { queue } => Some(queue),
            _ => Some(Vec::new()),
        }
    }

    /// Requests that are due.
    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        for (a, e) in &mut self.0 {
            if e.next > now {
                continue;
            }
            if e.tries >= MAX_TRIES {
                due.failed += 1;
                e.state = State::Failed { until: now + FAILED };
                e.next = Instant::NEVER;
            } else {
                e.tries += 1;
                e.next = now + RETRANS;
                due.requests.push(*a);
            }
        }
        due
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.0.values().map(|e| e.next).min().unwrap_or(Instant::NEVER)
    }

    /// Makes room: one that failed, else one that is known (it is asked for again when needed), the stalest first.
    fn evict(&mut self, now: Instant) {
        let age = |e: &Entry| match e.state {
            State::Failed { .. } => Instant::ZERO,
            // What was only asked for goes before what is known: a flood of made-up neighbors does not push those out.
            State::Incomplete { ref queue } if queue.is_empty() => Instant::from_nanos(1),
            State::Known { fresh_until, .. } => fresh_until,
            State::Incomplete { .. } => now + FRESH + FRESH,
        };
        let victim = self.0.iter().min_by_key(|(_, e)| age(e)).map(|(a, _)| *a);
        if let Some(a) = victim {
            self.0.remove(&a);
        }
    }
}

/// RETRANS_TIMER (RFC 4861 10).
const RETRANS: Duration = Duration::from_secs(1);
/// MAX_MULTICAST_SOLICIT (RFC 4861 10).
const MAX_TRIES: u8 = 3;
/// REACHABLE_TIME (RFC 4861 10).
const FRESH: Duration = Duration::from_secs(30);
/// How long a neighbor that did not answer is not asked again.
const FAILED: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_three_times_then_failed_then_asked_again() {
        let mut n = Neighbors::default();
        let a = IpAddr::from([192, 0, 2, 9]);
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        assert_eq!(n.resolve(a, at(0), 8), Resolution::Waits);
        assert!(n.hold(a, Vec::new(), 1) && !n.hold(a, Vec::new(), 1));
        for s in 0..3 {
            assert_eq!(n.poll(at(s)).requests, [a]);
            assert!(n.poll(at(s)).requests.is_empty());
        }
        assert_eq!(n.poll(at(3)).failed, 1);
        assert_eq!(n.resolve(a, at(4), 8), Resolution::Failed);
        assert_eq!(n.resolve(a, at(6), 8), Resolution::Waits);
        assert_eq!(n.heard(a, Mac([2; 6]), at(6)).map(|q| q.len()), Some(0));
        assert_eq!(n.resolve(a, at(7), 8), Resolution::Known(Mac([2; 6])));
        assert_eq!(n.next_deadline(), Instant::NEVER);
        assert_eq!(n.resolve(a, at(60), 8), Resolution::Known(Mac([2; 6])), "stale: still used, and confirmed");
        assert_eq!(n.poll(at(60)).requests, [a]);
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let mut n = Neighbors::default();
        assert!(n.heard(IpAddr::from([192, 0, 2, 9]), Mac([2; 6]), Instant::ZERO).is_none());
        for i in 0..100u8 {
            n.resolve(IpAddr::from([192, 0, 2, i]), Instant::ZERO, 8);
        }
        assert!(n.0.len() <= 8);
    }
}
