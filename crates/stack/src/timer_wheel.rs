//! A hierarchical timer wheel: O(1) to set, to move and to cancel, exact deadlines, nothing for what has none.
//!
//! Eight levels of 64 slots; a tick of the lowest is 2^17 ns (131 us). An entry lies at the level of the highest group of
//! six bits in which its tick differs from the current one, so all of a level comes before all of the next, and a slot
//! is either wholly in the future or taken apart when time reaches it.
//!
//! Within the lowest slots exact deadlines decide, and then tokens. Each of them is a pairing heap (M. Fredman, R. Sedgewick,
//! D. Sleator, R. Tarjan, 1986), which is threaded through its entries as the other slots' lists are: of a million timers of
//! one instant the first is at hand at any time, and to cancel or to pop one is O(log n), taken all together.

use crate::slab::append;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};
use synfin_tcp::Instant;

const TICK_BITS: u32 = 17;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 8;
const NONE: u32 = u32::MAX;
/// Entries whose memory is not worth giving back.
const FEW: usize = 1_024;

#[derive(Debug, Clone, Copy)]
struct Node {
    deadline: Instant,
    token: u32,
    /// In a heap the first child's is its parent.
    prev: u32,
    next: u32,
    /// The first of those that come after it, in a heap.
    child: u32,
}

impl Node {
    /// What is least has its turn first.
    fn turn(&self) -> (Instant, u32) {
        // Ties go to the token, not to the order in which they were set.
        (self.deadline, self.token)
    }
}

/// Entries in pages: none is moved when there are more.
#[derive(Debug, Default)]
struct Nodes(Vec<Vec<Node>>);

const PAGE: usize = 128;

impl Nodes {
    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PAGE + last.len())
    }

    fn push(&mut self, node: Node) -> u32 {
        let n = self.len();
        if n.is_multiple_of(PAGE) {
            append(&mut self.0, Vec::with_capacity(PAGE));
        }
        self.0[n / PAGE].push(node);
        n as u32
    }
}

impl Index<usize> for Nodes {
    type Output = Node;

    #[inline]
    fn index(&self, i: usize) -> &Node {
        &self.0[i / PAGE][i % PAGE]
    }
}

impl IndexMut<usize> for Nodes {
    #[inline]
    fn index_mut(&mut self, i: usize) -> &mut Node {
        &mut self.0[i / PAGE][i % PAGE]
    }
}

/// The number of an entry, held by whoever set it.
pub(crate) type TimerId = u32;

/// The wheel. Tokens are the caller's.
#[derive(Debug)]
pub(crate) struct TimerWheel {
    nodes: Nodes,
    free: u32,
    /// By level and slot: the first of a list, or the root of a heap.
    heads: [u32; SLOTS * LEVELS],
    occupied: [u64; LEVELS],
    /// The current tick: every entry's tick is at or after it.
    tick: u64,
    len: usize,
    /// How often an entry was put into a slot, or under another: the work.
    #[cfg(test)]
    links: u64,
}

impl Default for TimerWheel {
    fn default() -> Self {
        TimerWheel {
            nodes: Nodes::default(),
            free: NONE,
            heads: [NONE; SLOTS * LEVELS],
            occupied: [0; LEVELS],
            tick: 0,
            len: 0,
            #[cfg(test)]
            links: 0,
        }
    }
}

impl TimerWheel {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Sets a timer.
    pub(crate) fn insert(&mut self, deadline: Instant, token: u32) -> TimerId {
        let node = Node { deadline, token, prev: NONE, next: NONE, child: NONE };
        let id = if self.free == NONE {
            self.nodes.push(node)
        } else {
            let id = self.free;
            self.free = self.nodes[id as usize].next;
            self.nodes[id as usize] = node;
            id
        };
        self.link(id);
        self.len += 1;
        id
    }

    /// When the timer is set for.
    pub(crate) fn deadline(&self, id: TimerId) -> Instant {
        self.nodes[id as usize].deadline
    }

    /// Moves a timer.
    pub(crate) fn update(&mut self, id: TimerId, deadline: Instant) {
        self.unlink(id);
        self.nodes[id as usize].deadline = deadline;
        self.link(id);
    }

    /// Cancels a timer.
    pub(crate) fn remove(&mut self, id: TimerId) {
        self.unlink(id);
        let n = &mut self.nodes[id as usize];
        n.next = self.free;
        self.free = id;
        self.len -= 1;
        // Numbers of entries are given away, so they cannot be moved together: memory goes back when none is left.
        if self.len == 0 && self.nodes.len() > FEW {
            (self.nodes, self.free) = (Nodes::default(), NONE);
        }
    }

    /// A timer that is due at `now`, cancelled: its token.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<u32> {
        // If the clock went back, what is due since then lies in the slot that time had already reached.
        let now_tick = (now.as_nanos() >> TICK_BITS).max(self.tick);
        loop {
            let (level, slot) = self.first_slot()?;
            if level == 0 {
                let start = (self.tick & !(SLOTS as u64 - 1)) + slot as u64;
                if start > now_tick {
                    return None;
                }
                self.tick = self.tick.max(start);
                let id = self.heads[slot];
                if self.deadline(id) > now {
                    return None;
                }
                let token = self.nodes[id as usize].token;
                self.remove(id);
                return Some(token);
            }
            let start = self.slot_start(level, slot);
            if start > now_tick {
                return None;
            }
            // Time has reached the slot: its entries move to lower levels.
            self.tick = start;
            let mut id = core::mem::replace(&mut self.heads[level * SLOTS + slot], NONE);
            self.occupied[level] &= !(1 << slot);
            while id != NONE {
                let next = self.nodes[id as usize].next;
                self.link(id);
                id = next;
            }
        }
    }

    /// When to look again: the earliest deadline if it is near, else a time before it at which nothing is due.
    pub(crate) fn next(&self) -> Instant {
        let Some((level, slot)) = self.first_slot() else { return Instant::NEVER };
        if level == 0 {
            return self.deadline(self.heads[slot]);
        }
        Instant::from_nanos(self.slot_start(level, slot) << TICK_BITS)
    }

    /// The first slot that is occupied, lower levels first.
    fn first_slot(&self) -> Option<(usize, usize)> {
        (0..LEVELS).find(|l| self.occupied[*l] != 0).map(|l| (l, self.occupied[l].trailing_zeros() as usize))
    }

    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = SLOT_BITS * level as u32;
        let above = self.tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        above + ((slot as u64) << shift)
    }

    /// Level and slot of an entry with this deadline. The current tick passes no entry, and differs from an entry's in no group
    /// above its level: so that is the same until the slot is taken apart.
    fn home(&self, deadline: Instant) -> (usize, usize) {
        let tick = (deadline.as_nanos() >> TICK_BITS).max(self.tick);
        let differ = tick ^ self.tick;
        let level = if differ == 0 { 0 } else { ((63 - differ.leading_zeros()) / SLOT_BITS) as usize };
        (level, (tick >> (SLOT_BITS * level as u32)) as usize % SLOTS)
    }

    fn link(&mut self, id: u32) {
        #[cfg(test)]
        {
            self.links += 1;
        }
        let (level, slot) = self.home(self.deadline(id));
        let head = self.heads[level * SLOTS + slot];
        let n = &mut self.nodes[id as usize];
        (n.prev, n.next, n.child) = (NONE, NONE, NONE);
        let first = if level == 0 {
            self.meld(head, id)
        } else {
            n.next = head;
            if head != NONE {
                self.nodes[head as usize].prev = id;
            }
            id
        };
        self.heads[level * SLOTS + slot] = first;
        self.occupied[level] |= 1 << slot;
    }

    fn unlink(&mut self, id: u32) {
        let Node { deadline, prev, next, child, .. } = self.nodes[id as usize];
        let (level, slot) = self.home(deadline);
        if next != NONE {
            self.nodes[next as usize].prev = prev;
        }
        if prev == NONE {
            self.heads[level * SLOTS + slot] = next;
        } else if self.nodes[prev as usize].child == id {
            self.nodes[prev as usize].child = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if child != NONE {
            // The root had nothing beside it; any other leaves a heap with the root.
            let rest = self.gather(child);
            self.heads[slot] = self.meld(self.heads[slot], rest);
        }
        if self.heads[level * SLOTS + slot] == NONE {
            self.occupied[level] &= !(1 << slot);
        }
    }

    /// One heap of two, either of which may be empty.
    fn meld(&mut self, a: u32, b: u32) -> u32 {
        if a == NONE || b == NONE {
            return if a == NONE { b } else { a };
        }
        #[cfg(test)]
        {
            self.links += 1;
        }
        let in_turn = self.nodes[a as usize].turn() <= self.nodes[b as usize].turn();
        let (top, under) = if in_turn { (a, b) } else { (b, a) };
        let first = core::mem::replace(&mut self.nodes[top as usize].child, under);
        let n = &mut self.nodes[under as usize];
        (n.prev, n.next) = (top, first);
        if first != NONE {
            self.nodes[first as usize].prev = under;
        }
        top
    }

    /// One heap of those that begin with `first` and its siblings: by pairs, and then all pairs from the last to the first.
    fn gather(&mut self, first: u32) -> u32 {
        let (mut id, mut pairs) = (first, NONE);
        while id != NONE {
            let other = self.nodes[id as usize].next;
            let rest = if other == NONE { NONE } else { self.nodes[other as usize].next };
            let pair = self.meld(id, other);
            self.nodes[pair as usize].next = core::mem::replace(&mut pairs, pair);
            id = rest;
        }
        let mut root = NONE;
        while pairs != NONE {
            let pair = pairs;
            pairs = core::mem::replace(&mut self.nodes[pair as usize].next, NONE);
            self.nodes[pair as usize].prev = NONE;
            root = self.meld(root, pair);
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_work_for_a_timer_does_not_grow_with_their_number() {
        for n in [100u64, 20_000] {
            let mut w = TimerWheel::default();
            // From a microsecond to days, without an order.
            let deadline =
                |i: u64| Instant::from_nanos((i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (10 + i % 30)).max(1));
            for i in 0..n {
                w.insert(deadline(i), i as u32);
            }
            let last = (0..n).map(deadline).max().unwrap();
            let mut fired = 0;
            while w.len() > 0 {
                let now = w.next().min(last);
                while w.pop(now).is_some() {
                    fired += 1;
                }
            }
            // Once when it is set, and at most once more for each level that it goes down; in the lowest the few that share a slot.
            assert!(fired == n && w.links <= 2 * n * LEVELS as u64, "{} links for {n} timers", w.links);
        }
    }

    /// Of as many of one instant too: their work is theirs times its logarithm, and they fire in the order of their tokens.
    #[test]
    fn a_hundred_thousand_timers_of_one_instant_are_no_more_work_than_so_many_of_different_ones() {
        let n = 100_000u32;
        // Any order, and the two that a heap is made of worst or best.
        let orders: [fn(u32) -> u32; 3] = [u32::reverse_bits, |i| i, |i| u32::MAX - i];
        for token in orders {
            let mut w = TimerWheel::default();
            let at = Instant::from_nanos(3_600_000_000_007);
            let ids: Vec<TimerId> = (0..n).map(|i| w.insert(at, token(i))).collect();
            assert_eq!(w.pop(Instant::from_nanos(at.as_nanos() - 1)), None);
            assert_eq!(w.next(), at);
            // A third of them is cancelled, and a third set anew.
            for (i, id) in ids.iter().enumerate() {
                match i % 3 {
                    0 => w.remove(*id),
                    1 => w.update(*id, at),
                    _ => {}
                }
            }
            let mut left: Vec<u32> = (0..n).filter(|i| i % 3 != 0).map(token).collect();
            left.sort_unstable();
            assert!(left.into_iter().eq(core::iter::from_fn(|| w.pop(at))));
            let most = u64::from(n) * (LEVELS as u64 + 2 * u64::from(n.ilog2()));
            assert!(w.len() == 0 && w.links <= most, "{} links, {most} at most", w.links);
        }
    }

    proptest! {
        /// Against a sorted map: everything fires at its exact time, in order, and nothing else does.
        #[test]
        fn behaves_like_a_sorted_map(ops in proptest::collection::vec((0u8..5, 0u64..60_000_000_000_000, any::<proptest::sample::Index>()), 1..200)) {
            let mut w = TimerWheel::default();
            let mut model: BTreeMap<u32, (u64, TimerId)> = BTreeMap::new();
            let mut now = 0u64;
            let mut token = 0;
            for (op, n, pick) in ops {
                let n = n >> (n % 40); // near ones and far ones
                match op {
                    0 | 1 => {
                        token += 1;
                        let id = w.insert(Instant::from_nanos(now + n), token);
                        model.insert(token, (now + n, id));
                    }
                    2 if !model.is_empty() => {
                        let t = *pick.get(&model.keys().copied().collect::<Vec<_>>());
                        if n % 2 == 0 {
                            w.remove(model[&t].1);
                            model.remove(&t);
                        } else {
                            let e = model.get_mut(&t).unwrap();
                            e.0 = now + n;
                            w.update(e.1, Instant::from_nanos(now + n));
                        }
                    }
                    3 => now -= now.min(n), // the clock goes back
                    _ => {
                        // Step as a driver does: to the next time the wheel names, until the target.
                        let target = now + n;
                        loop {
                            let next = w.next().as_nanos();
                            let first = model.values().map(|v| v.0).min().unwrap_or(u64::MAX);
                            prop_assert!(next <= first, "wakes in time");
                            now = next.max(now).min(target);
                            while let Some(t) = w.pop(Instant::from_nanos(now)) {
                                let first = model.iter().map(|(t, v)| (v.0, *t)).min();
                                let (deadline, _) = model.remove(&t).unwrap();
                                prop_assert!(deadline <= now, "never early");
                                prop_assert_eq!(first, Some((deadline, t)), "in order");
                            }
                            prop_assert!(model.values().all(|v| v.0 > now), "never late");
                            if now >= target { break; }
                        }
                    }
                }
                prop_assert_eq!(w.len(), model.len());
            }
        }
    }
}
