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
    /// Its place in the order in which they were asked for.
    turn: u64,
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
pub(crate) struct Neighbors {
    cache: BTreeMap<IpAddr, Entry>,
    /// Places given away so far.
    turns: u64,
}

impl Neighbors {
    /// Looks a neighbor up; a request is made due if need be.
    pub(crate) fn resolve(&mut self, a: IpAddr, now: Instant, limit: usize) -> Resolution {
        self.turns += 1;
        let asked = Entry { state: State::Incomplete { queue: Vec::new() }, tries: 0, next: now, turn: self.turns };
        let Some(e) = self.cache.get_mut(&a) else {
            if self.cache.len() >= limit {
                self.evict();
            }
            self.cache.insert(a, asked);
            return Resolution::Waits;
        };
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
                *e = asked;
                Resolution::Waits
            }
            State::Failed { .. } => Resolution::Failed,
        }
    }

    /// Somebody says that `a` may not be there any more: it is asked for again, and used meanwhile.
    pub(crate) fn doubt(&mut self, a: IpAddr, now: Instant) {
        if let Some(e) = self.cache.get_mut(&a)
            && let State::Known { fresh_until, .. } = &mut e.state
            && e.next == Instant::NEVER
        {
            (*fresh_until, e.next, e.tries) = (now, now, 0);
        }
    }

    /// Lets a whole frame, its destination still blank, wait for the answer; false if the queue is full.
    pub(crate) fn hold(&mut self, a: IpAddr, frame: Vec<u8>, limit: usize) -> bool {
        match self.cache.get_mut(&a).map(|e| &mut e.state) {
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
        let e = self.cache.get_mut(&a)?;
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
        for (a, e) in &mut self.cache {
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
        self.cache.values().map(|e| e.next).min().unwrap_or(Instant::NEVER)
    }

    /// Makes room: one that failed, else one that was only asked for, else one that is known (it is asked for again when
    /// needed), else one that packets wait for; of each kind the oldest.
    fn evict(&mut self) {
        let age = |e: &Entry| {
            let (kind, since) = match e.state {
                State::Failed { until } => (0, until),
                // Before what is known: a flood of made-up neighbors does not push those out.
                State::Incomplete { ref queue } if queue.is_empty() => (1, Instant::ZERO),
                State::Known { fresh_until, .. } => (2, fresh_until),
                State::Incomplete { .. } => (3, Instant::ZERO),
            };
            (kind, since, e.turn)
        };
        let victim = self.cache.iter().min_by_key(|(_, e)| age(e)).map(|(a, _)| *a);
        if let Some(a) = victim {
            self.cache.remove(&a);
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
    fn the_oldest_makes_room_whatever_its_address() {
        let mut n = Neighbors::default();
        let a = |i: u8| IpAddr::from([192, 0, 2, i]);
        let (now, kept) = (Instant::ZERO, |n: &Neighbors| n.cache.keys().copied().collect::<Vec<_>>());
        [9, 1, 5, 3].iter().for_each(|i| assert_eq!(n.resolve(a(*i), now, 3), Resolution::Waits));
        assert_eq!(kept(&n), [a(1), a(3), a(5)], "9 was asked for first");
        assert!(n.hold(a(1), Vec::new(), 1));
        n.resolve(a(9), now, 3);
        assert_eq!(kept(&n), [a(1), a(3), a(9)], "a packet waits for 1; 5 is older than 3");
        n.heard(a(3), Mac([2; 6]), now);
        n.resolve(a(7), now, 3);
        assert_eq!(kept(&n), [a(1), a(3), a(7)], "3 is known");
    }

    #[test]
    fn strangers_do_not_fill_the_table() {
        let mut n = Neighbors::default();
        assert!(n.heard(IpAddr::from([192, 0, 2, 9]), Mac([2; 6]), Instant::ZERO).is_none());
        for i in 0..100u8 {
            n.resolve(IpAddr::from([192, 0, 2, i]), Instant::ZERO, 8);
        }
        assert!(n.cache.len() <= 8);
    }
}
