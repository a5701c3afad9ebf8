//! TIME-WAIT: compact records in a bounded table. `time-wait` is a setting of the host: all wait equally long, so the table is the queue of their expiry: a
//! record lies where its turn is, and needs neither a timer nor an entry beside it.

use super::{Key, Slot};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use synfin_tcp::Instant;
use synfin_tcp::arrives::time_wait::TimeWait;

const PAGE: usize = 64;

/// The largest number of a record: they begin again after it.
const NUMBERS: u32 = Slot::NUMBERS - 1;

/// A record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub key: Key,
    pub tw: TimeWait,
    /// Milliseconds of the stack's clock, low 32 bits.
    expires_ms: u32,
}

/// The table, oldest first.
#[derive(Debug, Default)]
pub(crate) struct TimeWaitTable {
    /// What is gone leaves its place empty until its page is gone too. All pages but the last are full.
    pages: VecDeque<Vec<Option<Wait>>>,
    /// The number of the first place of the first page.
    base: u32,
    /// Places before this one, counted from `base`, are empty.
    head: u32,
    /// Places in use or empty, counted from `base`.
    end: u32,
    len: usize,
    /// When the last of all waits is over, in milliseconds of the stack's clock: a record has only the low 32 bits.
    last_ms: u64,
}

fn millis(at: Instant) -> u64 {
    // Rounded up, so that a wait is never cut short.
    at.as_nanos().div_ceil(1_000_000)
}

impl TimeWaitTable {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All records, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Wait> {
        self.pages.iter().flatten().flatten()
    }

    fn number(&self, place: u32) -> u32 {
        self.base.wrapping_add(place) & NUMBERS
    }

    fn place(&self, i: u32) -> u32 {
        i.wrapping_sub(self.base) & NUMBERS
    }

    fn get(&self, place: u32) -> Option<&Wait> {
        self.pages.get(place as usize / PAGE)?.get(place as usize % PAGE)?.as_ref()
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<Wait>> {
        self.pages.get_mut(place as usize / PAGE)?.get_mut(place as usize % PAGE)
    }

    pub(crate) fn at(&self, i: u32) -> Option<&Wait> {
        self.get(self.place(i))
    }

    pub(crate) fn at_mut(&mut self, i: u32) -> Option<&mut Wait> {
        let place = self.place(i);
        self.slot(place)?.as_mut()
    }

    /// Stores a record, and returns its number. Waits are of one length: `until` is not before that of any other.
    pub(crate) fn insert(&mut self, key: Key, tw: TimeWait, until: Instant) -> u32 {
        self.last_ms = self.last_ms.max(millis(until));
        self.push(Wait { key, tw, expires_ms: millis(until) as u32 })
    }

    fn push(&mut self, w: Wait) -> u32 {
        if (self.end as usize).is_multiple_of(PAGE) {
            if self.pages.len() == self.pages.capacity() {
                // It would double.
                self.pages.reserve_exact(self.pages.len() / 8 + 1);
            }
            self.pages.push_back(Vec::with_capacity(PAGE));
        }
        if let Some(p) = self.pages.back_mut() {
            p.push(Some(w));
        }
        self.end += 1;
        self.len += 1;
        self.number(self.end - 1)
    }

    /// The wait of record `i` begins again: it goes to the end, where it has another number.
    pub(crate) fn restart(&mut self, i: u32, until: Instant) -> Option<u32> {
        let w = self.remove(i)?;
        Some(self.insert(w.key, w.tw, until))
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<Wait> {
        let place = self.place(i);
        let w = self.slot(place)?.take()?;
        self.len -= 1;
        self.trim();
        Some(w)
    }

    /// Gives back the pages at the front that nothing is left in.
    fn trim(&mut self) {
        while self.head < self.end && self.get(self.head).is_none() {
            self.head += 1;
        }
        while self.head as usize >= PAGE {
            self.pages.pop_front();
            self.base = self.number(PAGE as u32);
            self.head -= PAGE as u32;
            self.end -= PAGE as u32;
        }
        if self.pages.capacity() > 64 + 2 * self.pages.len() {
            self.pages.shrink_to(self.pages.len());
        }
    }

    /// Whether more places are empty than used: [`TimeWaitTable::compact`] is worth its while.
    pub(crate) fn is_sparse(&self) -> bool {
        (self.end - self.head) as usize > 2 * self.len + PAGE
    }

    /// Moves the records together, and tells of each that gets another number: its key, the old one and the new.
    pub(crate) fn compact(&mut self, mut moved: impl FnMut(&Key, u32, u32)) {
        let (from, to) = (self.head, self.end);
        self.end = from;
        for place in from..to {
            let Some(w) = self.slot(place).and_then(Option::take) else { continue };
            let (old, new) = (self.number(place), self.number(self.end));
            if let Some(s) = self.slot(self.end) {
                *s = Some(w);
            }
            self.end += 1;
            if old != new {
                moved(&w.key, old, new);
            }
        }
        self.pages.truncate((self.end as usize).div_ceil(PAGE));
        if let Some(p) = self.pages.back_mut() {
            p.truncate((self.end as usize - 1) % PAGE + 1);
        }
    }

    /// The oldest record whatever its age, to make room.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.len > 0).then(|| self.number(self.head))
    }

    fn left_ms(&self, now: Instant) -> Option<u64> {
        let w = self.get(self.head)?;
        let now = now.as_nanos() / 1_000_000;
        let left = (w.expires_ms.wrapping_sub(now as u32) as i32).max(0) as u64;
        // None waits longer than the last: a clock that has jumped by more than half of 2^32 makes it only look so.
        Some(if left <= self.last_ms.saturating_sub(now) { left } else { 0 })
    }

    /// A record whose wait is over.
    pub(crate) fn expired(&self, now: Instant) -> Option<u32> {
        self.left_ms(now).filter(|left| *left == 0).and_then(|_| self.oldest())
    }

    /// When the first wait is over.
    pub(crate) fn next_deadline(&self, now: Instant) -> Instant {
        let Some(left) = self.left_ms(now) else { return Instant::NEVER };
        Instant::from_nanos((now.as_nanos() / 1_000_000 + left) * 1_000_000)
    }

    /// More records than this have no numbers: as many places again may be empty (see [`TimeWaitTable::is_sparse`]).
    pub(crate) const MOST: usize = NUMBERS as usize / 2 - PAGE;

    /// Octets of a record with its part of a page.
    pub(crate) const PLACE: f64 = size_of::<Option<Wait>>() as f64 + size_of::<Vec<Wait>>() as f64 / PAGE as f64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::collections::BTreeMap;
    use synfin_wire::SeqNum;

    fn wait(i: u16) -> (Key, TimeWait) {
        let a = std::net::SocketAddr::from(([192, 0, 2, 1], i));
        let tw = TimeWait { snd_nxt: SeqNum(0), rcv_nxt: SeqNum(0), ts_recent: 0, window: 0, timestamps: false };
        (Key::new(a, a), tw)
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn in_order_and_a_restarted_wait_goes_to_the_back() {
        let mut t = TimeWaitTable::default();
        let ids: [u32; 3] = [0, 1, 2].map(|i| {
            let (k, w) = wait(i);
            t.insert(k, w, at(60 + u64::from(i)))
        });
        let again = t.restart(ids[0], at(100)).unwrap();
        assert!(t.at(ids[0]).is_none() && t.at(again).is_some());
        assert_eq!(t.expired(at(60)), None);
        assert_eq!(t.expired(at(61)), Some(ids[1]));
        t.remove(ids[1]);
        assert_eq!(t.expired(at(70)), Some(ids[2]));
        t.remove(ids[2]);
        assert_eq!(t.expired(at(99)), None);
        assert_eq!(t.next_deadline(at(99)), at(100));
        assert_eq!(t.expired(at(100)), Some(again));
        t.remove(again);
        assert_eq!((t.len(), t.next_deadline(at(99))), (0, Instant::NEVER));
    }

    #[test]
    fn a_clock_that_jumps_by_any_distance_passes_over_no_wait() {
        for ms in [60_000, (1 << 31) - 1, 1 << 31, (1 << 31) + 70_000, 1 << 32, (1 << 32) + 30_000, 1 << 40] {
            let mut t = TimeWaitTable::default();
            let (k, w) = wait(1);
            let i = t.insert(k, w, at(100));
            let now = at(40) + Duration::from_millis(ms);
            assert_eq!((t.expired(at(40)), t.expired(now)), (None, Some(i)), "{ms}");
            // One that begins before that is seen may hide it, for no longer than a wait.
            t.insert(k, w, now + Duration::from_secs(60));
            assert!(t.next_deadline(now) <= now + Duration::from_secs(60), "{ms}");
        }
    }

    #[test]
    fn against_a_map_across_the_end_of_the_numbers() {
        let mut t = TimeWaitTable { base: NUMBERS - 700, ..TimeWaitTable::default() };
        let mut naive: BTreeMap<u64, (u32, u16)> = BTreeMap::new(); // by turn: number and port
        let (mut turn, mut seed, mut moves) = (0, 7u32, 0);
        for step in 0..20_000u64 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let nth = naive.keys().nth(seed as usize >> 8 & 0xff).copied();
            turn += 1;
            match (seed >> 28, nth) {
                (0..8, _) if naive.len() < 300 => {
                    let (k, w) = wait(step as u16);
                    naive.insert(turn, (t.insert(k, w, at(step)), step as u16));
                }
                (8..12, Some(n)) => {
                    let (i, port) = naive.remove(&n).unwrap();
                    naive.insert(turn, (t.restart(i, at(step)).unwrap(), port));
                }
                (_, Some(n)) => {
                    let (i, port) = naive.remove(&n).unwrap();
                    assert_eq!(t.remove(i).unwrap().key, wait(port).0);
                }
                _ => {}
            }
            if t.is_sparse() {
                t.compact(|key, old, new| {
                    let of = naive.values_mut().find(|v| v.0 == old).unwrap();
                    assert_eq!(*key, wait(of.1).0);
                    of.0 = new;
                    moves += 1;
                });
                assert!(!t.is_sparse());
            }
            assert_eq!(t.len(), naive.len());
            assert_eq!(t.oldest(), naive.first_key_value().map(|(_, v)| v.0));
            for (i, port) in naive.values() {
                assert_eq!(t.at(*i).unwrap().key, wait(*port).0);
            }
        }
        assert!(moves > 1_000, "{moves}");
    }
}
