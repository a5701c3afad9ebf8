//! A hash table of small numbers that grows without a leap and without a pause: linear hashing (W. Litwin, 1980) over
//! buckets of any size.
//!
//! A table that doubles has half of its places empty just then, and moves all that it holds at once. Here the low bits of a
//! hash say the bucket; each time the table has grown by [`BUCKET`] values, the next bucket in turn gives half of its own to
//! a new one, at the end. A bucket is a row of lines, each of them 64 octets, a cache line, with twelve values and eight bits
//! of the hash of each, so that what a hash says is looked for in one place, and hardly any value is looked at in vain. A
//! bucket that is full gets one line more, and one that has lines to spare gives them back. So places are full to some five
//! sixths at every size, and no call takes longer than it takes to go over one bucket once or twice.
//!
//! Which line of its bucket is a value's own is said by its mark, twelve bits of the hash which stay with it: eight beside
//! it, four in the value's own top bits. So a bucket gets another number of lines without a look at any key; only half of
//! what a bucket holds when it is split needs one. A value whose line is full lies in one behind it, and every line counts
//! how many have passed it: where that is none the search is over, and nothing stays behind when a value is removed.
//!
//! Keys are the caller's, and so is the hash: if strangers choose the keys it must be a keyed one.

use crate::slab::append;
use alloc::vec::Vec;

/// Values in a line.
const PLACES: usize = 12;

/// As many as there are to a line before its bucket gets one more.
const FULL: usize = 10;

/// Values of a bucket, on average. While a round of splits is under way some have up to twice as many.
const BUCKET: usize = 192;

/// Bits of a value; above them is part of its mark.
const VALUE_BITS: u32 = 28;
const VALUE: u32 = (1 << VALUE_BITS) - 1;

/// The table. A value is of 28 bits.
#[derive(Debug)]
pub(crate) struct LinearHash {
    buckets: Vec<Bucket>,
    len: usize,
    /// Lines that were looked at: the work.
    #[cfg(test)]
    looks: core::cell::Cell<u64>,
}

impl Default for LinearHash {
    fn default() -> Self {
        LinearHash {
            buckets: alloc::vec![Bucket::default()],
            len: 0,
            #[cfg(test)]
            looks: core::cell::Cell::default(),
        }
    }
}

impl LinearHash {
    /// Adds a value. It is not looked whether it is there. `hash_of` gives the hash of any value in the table.
    pub(crate) fn insert(&mut self, hash: u64, value: u32, hash_of: impl Fn(u32) -> u64) {
        debug_assert!(value <= VALUE);
        if self.len >= self.buckets.len() * BUCKET {
            self.split(hash_of);
        }
        let i = number(hash, self.buckets.len());
        self.buckets[i].insert(Entry { mark: Mark::of(hash), value });
        self.len += 1;
    }

    /// Removes a value, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, value: u32) {
        let i = number(hash, self.buckets.len());
        if !self.buckets[i].remove(Mark::of(hash), value) {
            return;
        }
        self.len -= 1;
        if self.buckets.len() > 1 && self.len < self.buckets.len() * (BUCKET / 2) {
            self.merge();
        }
    }

    /// Puts `new` in the place of `old`, whose hash it has.
    pub(crate) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        debug_assert!(new <= VALUE);
        let i = number(hash, self.buckets.len());
        let (bucket, mark) = (&mut self.buckets[i], Mark::of(hash));
        if let Some((line, place)) = bucket.find(mark, |v| v == old, || {}) {
            bucket.lines[line].values[place] = mark.onto(new);
        }
    }

    /// The value with this hash of which `is` says that it is the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        let bucket = &self.buckets[number(hash, self.buckets.len())];
        let look = || {
            #[cfg(test)]
            self.looks.set(self.looks.get() + 1);
        };
        bucket.find(Mark::of(hash), is, look).map(|(line, place)| bucket.lines[line].values[place] & VALUE)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One bucket more: half of another.
    fn split(&mut self, hash_of: impl Fn(u32) -> u64) {
        let new = self.buckets.len();
        let from = &self.buckets[parent(new)];
        let (go, stay): (Vec<Entry>, Vec<Entry>) =
            from.entries().partition(|e| number(hash_of(e.value), new + 1) == new);
        self.buckets[parent(new)] = Bucket::of(&stay);
        append(&mut self.buckets, Bucket::of(&go));
    }

    /// One bucket less: the last goes back to where it came from.
    fn merge(&mut self) {
        let Some(last) = self.buckets.pop() else { return };
        let whole = parent(self.buckets.len());
        let both: Vec<Entry> = self.buckets[whole].entries().chain(last.entries()).collect();
        self.buckets[whole] = Bucket::of(&both);
        if self.buckets.capacity() > 64 + 2 * self.buckets.len() {
            self.buckets.shrink_to(self.buckets.len());
        }
    }
}

/// Which of `n` buckets a hash says: as many of its bits as there are numbers for, and one less where that is beyond the end.
fn number(hash: u64, n: usize) -> usize {
    let round = n.next_power_of_two();
    let i = hash as usize & (round - 1);
    if i < n { i } else { i - round / 2 }
}

/// The bucket that gives half of its own to bucket `new`.
fn parent(new: usize) -> usize {
    new - (new + 1).next_power_of_two() / 2
}

/// What stays of a hash with its value.
#[derive(Debug, Clone, Copy)]
struct Mark(u32);

impl Mark {
    const BITS: u32 = 12;

    /// The top bits: the low ones say the bucket, and the values of one have many of them in common.
    fn of(hash: u64) -> Mark {
        Mark((hash >> (64 - Mark::BITS)) as u32)
    }

    /// The bits beside the value.
    fn tag(self) -> u8 {
        self.0 as u8
    }

    /// The others, above the value.
    fn onto(self, value: u32) -> u32 {
        (self.0 >> 8) << VALUE_BITS | value
    }

    /// Which of three kinds it is, among those that pass a line.
    fn kind(self) -> usize {
        self.0 as usize % 3
    }

    /// Which of `lines` lines is its own. It is said by the bits above the value first, so that the others still tell the
    /// values of a line from each other.
    fn home(self, lines: usize) -> usize {
        (self.0 as usize * lines) >> Mark::BITS
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    mark: Mark,
    value: u32,
}

#[derive(Debug, Default)]
struct Bucket {
    lines: Vec<Line>,
    len: usize,
}

impl Bucket {
    fn of(entries: &[Entry]) -> Bucket {
        let mut b = Bucket::default();
        b.lay_out(entries.len().div_ceil(FULL), entries.iter().copied());
        b
    }

    /// Begins anew with `entries` in `lines` lines. They have room for all.
    fn lay_out(&mut self, lines: usize, entries: impl Iterator<Item = Entry>) {
        self.lines = alloc::vec![Line::EMPTY; lines];
        self.len = 0;
        entries.for_each(|e| self.put(e));
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.lines.iter().flat_map(Line::entries)
    }

    fn insert(&mut self, e: Entry) {
        if self.len == self.lines.len() * FULL {
            self.resize(self.lines.len() + 1);
        }
        self.put(e);
    }

    fn resize(&mut self, lines: usize) {
        let old = core::mem::take(&mut self.lines);
        self.lay_out(lines, old.iter().flat_map(Line::entries));
    }

    /// Into the first line with room from its own on. There is one: not even as many as [`FULL`] lie in each.
    fn put(&mut self, e: Entry) {
        let home = e.mark.home(self.lines.len());
        let (before, from) = self.lines.split_at_mut(home);
        for line in from.iter_mut().chain(before) {
            if line.push(e) {
                self.len += 1;
                return;
            }
            let passed = &mut line.passed[e.mark.kind()];
            *passed = passed.saturating_add(1);
        }
    }

    fn remove(&mut self, mark: Mark, value: u32) -> bool {
        let Some((found, place)) = self.find(mark, |v| v == value, || {}) else { return false };
        self.lines[found].swap_remove(place);
        let n = self.lines.len();
        let mut line = mark.home(n);
        while line != found {
            let passed = &mut self.lines[line].passed[mark.kind()];
            *passed -= u8::from(*passed != u8::MAX);
            line = (line + 1) % n;
        }
        self.len -= 1;
        // Not the last line that it could do without: it would soon need it again.
        if self.len + 2 * FULL <= n * FULL {
            self.resize(n - 1);
        }
        true
    }

    /// Line and place of the value with this mark of which `is` says that it is the one. `look` is told of each line.
    #[inline]
    fn find(&self, mark: Mark, mut is: impl FnMut(u32) -> bool, look: impl Fn()) -> Option<(usize, usize)> {
        let home = mark.home(self.lines.len());
        let (before, from) = self.lines.split_at(home);
        for (n, line) in from.iter().chain(before).enumerate() {
            look();
            if let Some(place) = line.candidates(mark.tag()).find(|p| is(line.values[*p] & VALUE)) {
                return Some(((home + n) % self.lines.len(), place));
            }
            if line.passed[mark.kind()] == 0 {
                break;
            }
        }
        None
    }
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line {
    tags: [u8; PLACES],
    /// Places in use: the first ones.
    len: u8,
    /// How many values found no room in it and lie behind, by the kind of their marks. One that has reached the most that can
    /// be counted stays there until the bucket is laid out anew.
    passed: [u8; 3],
    values: [u32; PLACES],
}

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    const EMPTY: Line = Line { tags: [0; PLACES], len: 0, passed: [0; 3], values: [0; PLACES] };

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let places = self.tags.iter().zip(&self.values).take(usize::from(self.len));
        places.map(|(t, v)| Entry { mark: Mark((*v >> VALUE_BITS) << 8 | u32::from(*t)), value: *v & VALUE })
    }

    fn push(&mut self, e: Entry) -> bool {
        let place = usize::from(self.len);
        if place == PLACES {
            return false;
        }
        self.tags[place] = e.mark.tag();
        self.values[place] = e.mark.onto(e.value);
        self.len += 1;
        true
    }

    fn swap_remove(&mut self, place: usize) {
        self.len -= 1;
        let last = usize::from(self.len);
        self.tags[place] = self.tags[last];
        self.values[place] = self.values[last];
    }

    /// The places with this tag, found all at once; seldom also one that has another, behind one that has it.
    #[inline]
    fn candidates(&self, tag: u8) -> impl Iterator<Item = usize> {
        const ONES: u128 = u128::from_ne_bytes([1; 16]) >> (8 * (16 - PLACES));
        let mut octets = [0; 16];
        octets[..PLACES].copy_from_slice(&self.tags);
        let differ = u128::from_le_bytes(octets) ^ (ONES * u128::from(tag));
        let used = (1 << (8 * self.len)) - 1;
        let mut equal = differ.wrapping_sub(ONES) & !differ & (ONES << 7) & used;
        core::iter::from_fn(move || {
            let place = (equal != 0).then(|| equal.trailing_zeros() as usize / 8);
            equal &= equal.wrapping_sub(1);
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The finish of splitmix64: as good as random.
    fn hash(n: u32) -> u64 {
        let mut z = u64::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    impl LinearHash {
        /// Octets of the heap.
        fn memory(&self) -> usize {
            let lines: usize = self.buckets.iter().map(|b| b.lines.capacity()).sum();
            lines * size_of::<Line>() + self.buckets.capacity() * size_of::<Bucket>()
        }

        fn check(&self, hash: fn(u32) -> u64) {
            let mut len = 0;
            for (i, b) in self.buckets.iter().enumerate() {
                let n = b.lines.len();
                let mut passed = alloc::vec![[0u32; 3]; n];
                for (at, line) in b.lines.iter().enumerate() {
                    for e in line.entries() {
                        assert_eq!(
                            (number(hash(e.value), self.buckets.len()), Mark::of(hash(e.value)).0),
                            (i, e.mark.0)
                        );
                        let home = e.mark.home(n);
                        (0..(at + n - home) % n).for_each(|l| passed[(home + l) % n][e.mark.kind()] += 1);
                    }
                }
                for (counted, real) in b.lines.iter().zip(passed) {
                    for (counted, real) in counted.passed.into_iter().zip(real) {
                        assert!(u32::from(counted) == real || counted == u8::MAX, "who passed a line is counted");
                    }
                }
                assert_eq!(b.entries().count(), b.len);
                len += b.len;
            }
            assert_eq!(len, self.len);
        }

        /// How many lines are looked at on average when ten thousand of these are looked for.
        fn work(&self, what: core::ops::Range<u32>) -> f64 {
            self.looks.set(0);
            let step = (what.len() / 10_000).max(1);
            let (n, what) = (what.len().div_ceil(step), what.step_by(step));
            let found = what.filter(|n| self.find(hash(*n), |v| v == *n) == Some(*n)).count();
            assert!(found == 0 || found == n);
            self.looks.get() as f64 / n as f64
        }
    }

    /// Just after each step of growth too: it is asked after each insertion.
    #[test]
    fn at_every_size_an_entry_costs_less_than_seven_octets_and_one_look() {
        let (mut t, mut octets, mut least) = (LinearHash::default(), 0, f64::MAX);
        for n in 0..1_000_000 {
            let i = number(hash(n), t.buckets.len());
            let (buckets, lines) = (t.buckets.len(), t.buckets[i].lines.len());
            t.insert(hash(n), n, hash);
            if t.buckets.len() == buckets {
                octets += (t.buckets[i].lines.len() - lines) * size_of::<Line>();
            } else {
                octets = t.memory();
            }
            let each = octets as f64 / f64::from(n + 1);
            assert!(n < 10_000 || each < 6.9, "{each} octets for each of {n}");
            least = if n < 10_000 { least } else { least.min(each) };
            if n % 99_991 == 99_990 {
                assert_eq!(octets, t.memory());
                let work = [t.work(0..n), t.work(n + 1..2 * n)];
                assert!(work[0] < 1.12 && work[1] < 1.35, "{work:?} lines for what is there, and for what is not");
            }
        }
        assert!(least > 6.4, "it does not leap: {least}");
        t.check(hash);
    }

    #[test]
    fn entries_that_come_and_go_leave_nothing_in_the_way() {
        let mut t = LinearHash::default();
        (0..50_000).for_each(|n| t.insert(hash(n), n, hash));
        for n in 0..500_000 {
            t.remove(hash(n), n);
            t.insert(hash(n + 50_000), n + 50_000, hash);
        }
        t.check(hash);
        let (octets, work) = (t.memory(), [t.work(500_000..550_000), t.work(550_000..600_000)]);
        assert!(octets < 7 * t.len() && work[0] < 1.2 && work[1] < 1.65, "{octets} octets, {work:?} lines");
    }

    #[test]
    fn no_insertion_and_no_removal_moves_more_than_a_few_buckets() {
        let mut t = LinearHash::default();
        let most = |t: &LinearHash| t.buckets.iter().map(|b| b.len).max().unwrap();
        for n in 0..100_000 {
            let asked = core::cell::Cell::new(0);
            t.insert(hash(n), n, |n| {
                asked.set(asked.get() + 1);
                hash(n)
            });
            assert!(asked.get() <= 3 * BUCKET, "{}", asked.get());
            assert!(n % 1_000 != 0 || most(&t) <= 3 * BUCKET);
        }
        for n in 0..100_000 {
            t.remove(hash(n), n);
            assert!(n % 1_000 != 0 || most(&t) <= 3 * BUCKET, "{n} {}", most(&t));
        }
    }

    fn against_a_map(hash: fn(u32) -> u64, steps: u32) {
        let (mut t, mut naive, mut seed) = (LinearHash::default(), BTreeMap::new(), 7u32);
        for step in 0..steps {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // It grows and shrinks by turns, in the end to nothing. What is equal but for its low bits has one hash.
            let grows = (step / (steps / 6)).is_multiple_of(2);
            let n = seed >> 12;
            match naive.range(n..).next().map(|(n, ())| *n) {
                _ if (seed % 16 < 12) == grows && !naive.contains_key(&n) => {
                    naive.insert(n, ());
                    t.insert(hash(n), n, hash);
                }
                Some(n) if seed % 16 == 7 && !naive.contains_key(&(n ^ 1)) => {
                    t.replace(hash(n), n, n ^ 1);
                    naive.remove(&n);
                    naive.insert(n ^ 1, ());
                }
                Some(n) => {
                    t.remove(hash(n), n);
                    t.remove(hash(n), n);
                    naive.remove(&n);
                }
                None => {}
            }
            assert_eq!(t.find(hash(n), |v| v == n).is_some(), naive.contains_key(&n));
            if step % 1_000 == 0 {
                t.check(hash);
                assert!(naive.keys().all(|n| t.find(hash(*n), |v| v == *n) == Some(*n)));
                assert!(t.memory() <= 4_096 + 10 * t.len(), "{} octets for {}", t.memory(), t.len());
            }
        }
        assert!(t.len() > 100 && t.len() == naive.len());
        naive.keys().for_each(|n| t.remove(hash(*n), *n));
        assert!(t.len() == 0 && t.memory() < 4_096, "{}", t.memory());
    }

    #[test]
    fn against_a_map_and_memory_goes_back() {
        against_a_map(|n| hash(n >> 1), 120_000);
    }

    /// Nobody can bring that about under a keyed hash, and it would be slow; it stays right.
    #[test]
    fn against_a_map_where_all_have_one_hash() {
        against_a_map(|_| u64::MAX, 6_000);
    }
}
