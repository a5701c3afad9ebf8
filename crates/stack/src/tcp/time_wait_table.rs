//! TIME-WAIT: compact records in a bounded table. All wait equally long, so their expiry is a queue, not a wheel.

use super::Key;
use crate::slab::Slab;
use alloc::collections::VecDeque;
use synfin_tcp::Instant;
use synfin_tcp::arrives::time_wait::TimeWait;

/// A record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub key: Key,
    pub tw: TimeWait,
    /// Milliseconds of the stack's clock, low 32 bits.
    expires_ms: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct TimeWaitTable {
    records: Slab<Wait>,
    /// Expiry, number and generation, oldest first. A record that is gone is passed over, one whose wait was restarted
    /// is put back, when its entry is due.
    order: VecDeque<(u32, (u32, u32))>,
}

fn millis(at: Instant) -> u32 {
    // Rounded up, so that a wait is never cut short.
    at.as_nanos().div_ceil(1_000_000) as u32
}

impl TimeWaitTable {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn at(&self, i: u32) -> Option<&Wait> {
        self.records.at(i)
    }

    pub(crate) fn at_mut(&mut self, i: u32) -> Option<&mut Wait> {
        self.records.at_mut(i)
    }

    pub(crate) fn insert(&mut self, key: Key, tw: TimeWait, until: Instant) -> u32 {
        let expires_ms = millis(until);
        let id = self.records.insert(Wait { key, tw, expires_ms });
        // Records that were taken over leave their entries behind: never more of them than records.
        if self.order.len() > 2 * self.records.len() + 64 {
            let records = &self.records;
            self.order.retain(|(_, id)| records.get(*id).is_some());
        }
        self.order.push_back((expires_ms, id));
        id.0
    }

    pub(crate) fn restart(&mut self, i: u32, until: Instant) {
        if let Some(w) = self.records.at_mut(i) {
            w.expires_ms = millis(until);
        }
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<Wait> {
        self.records.remove(i)
    }

    /// The oldest record whatever its age, to make room.
    pub(crate) fn oldest(&mut self) -> Option<u32> {
        while let Some((_, id)) = self.order.pop_front() {
            if self.records.get(id).is_some() {
                return Some(id.0);
            }
        }
        None
    }

    /// A record whose wait is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<u32> {
        let now_ms = (now.as_nanos() / 1_000_000) as u32;
        while let Some(&(at, id)) = self.order.front() {
            if (at.wrapping_sub(now_ms) as i32) > 0 {
                return None;
            }
            self.order.pop_front();
            let Some(w) = self.records.get(id) else { continue };
            if (w.expires_ms.wrapping_sub(now_ms) as i32) <= 0 {
                return Some(id.0);
            }
            self.order.push_back((w.expires_ms, id));
        }
        None
    }

    /// When to look again. (A record whose wait was restarted may stay until those that were before it are over: later
    /// than its time, never earlier.)
    pub(crate) fn next_deadline(&self, now: Instant) -> Instant {
        let Some((at, _)) = self.order.front() else { return Instant::NEVER };
        let now_ms = (now.as_nanos() / 1_000_000) as u32;
        let left = (at.wrapping_sub(now_ms) as i32).max(0) as u64;
        Instant::from_nanos((now.as_nanos() / 1_000_000 + left) * 1_000_000)
    }

    /// Octets of a record.
    pub(crate) const RECORD: usize = size_of::<Wait>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use synfin_wire::SeqNum;

    fn wait(i: u8) -> (Key, TimeWait) {
        let a = std::net::SocketAddr::from(([192, 0, 2, i], 80));
        let tw = TimeWait { snd_nxt: SeqNum(0), rcv_nxt: SeqNum(0), ts_recent: 0, window: 0, timestamps: false };
        (Key::new(a, a), tw)
    }

    #[test]
    fn in_order_and_a_restarted_wait_goes_to_the_back() {
        let mut t = TimeWaitTable::default();
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        let ids: [u32; 3] = [0, 1, 2].map(|i| {
            let (k, w) = wait(i);
            t.insert(k, w, at(60 + u64::from(i)))
        });
        t.restart(ids[0], at(100));
        assert_eq!(t.expired(at(60)), None);
        assert_eq!(t.expired(at(61)), Some(ids[1]));
        t.remove(ids[1]);
        assert_eq!(t.expired(at(70)), Some(ids[2]));
        t.remove(ids[2]);
        assert_eq!(t.expired(at(99)), None);
        assert_eq!(t.next_deadline(at(99)), at(100));
        assert_eq!(t.expired(at(100)), Some(ids[0]));
    }
}
