//! Records by number. Pages are never copied, freed places are used again, pages without records are given back; where a number outlives its record, a
//! generation tells an old number from a new one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

const PAGE_BITS: u32 = 6;
const PAGE: usize = 1 << PAGE_BITS;

/// A table of `T` by index. A page that nothing is left in goes back to the heap, but for one, so that records which come
/// and go one at a time do not take it with them each time.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// Pages that have memory and, when last looked at, room. Those without any are skipped when they come up.
    open: Vec<u32>,
    /// Pages without memory.
    bare: Vec<u32>,
    len: usize,
}

/// Adds to a long list that takes an eighth more when it is full: one that doubles is half empty then.
pub(crate) fn append<T>(list: &mut Vec<T>, value: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 8 + 1);
    }
    list.push(value);
}

#[derive(Debug)]
struct Page<T> {
    places: Option<Box<[Option<T>; PAGE]>>,
    /// Which places are taken, a bit each.
    taken: u64,
    /// It is among the open ones.
    listed: bool,
}

const _: () = assert!(PAGE == u64::BITS as usize);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pages: Vec::new(), open: Vec::new(), bare: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// Octets of a record with its part of a page.
    pub(crate) const PLACE: f64 = size_of::<Option<T>>() as f64 + size_of::<Page<T>>() as f64 / PAGE as f64;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A page with room.
    fn page_with_room(&mut self) -> usize {
        while let Some(p) = self.open.last().map(|p| *p as usize) {
            let page = &mut self.pages[p];
            if page.taken != u64::MAX && page.places.is_some() {
                return p;
            }
            page.listed = false;
            self.open.pop();
        }
        let p = match self.bare.pop() {
            Some(p) => p as usize,
            None => {
                append(&mut self.pages, Page { places: None, taken: 0, listed: false });
                self.pages.len() - 1
            }
        };
        let places: Vec<Option<T>> = (0..PAGE).map(|_| None).collect();
        self.pages[p].places = places.try_into().ok();
        self.list(p);
        p
    }

    fn list(&mut self, p: usize) {
        if !core::mem::replace(&mut self.pages[p].listed, true) {
            self.open.push(p as u32);
        }
    }

    /// Stores `value`; returns its index.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let p = self.page_with_room();
        let page = &mut self.pages[p];
        let at = (!page.taken).trailing_zeros() as usize;
        page.taken |= 1 << at;
        if let Some(places) = &mut page.places {
            places[at] = Some(value);
        }
        (p * PAGE + at) as u32
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<T> {
        let (p, at) = ((i >> PAGE_BITS) as usize, i as usize % PAGE);
        let page = self.pages.get_mut(p)?;
        let v = page.places.as_mut()?[at].take()?;
        page.taken &= !(1 << at);
        self.len -= 1;
        let with_memory = self.pages.len() - self.bare.len();
        if self.pages[p].taken == 0 && with_memory * PAGE >= self.len + 2 * PAGE {
            self.pages[p].places = None;
            self.bare.push(p as u32);
        } else {
            self.list(p);
        }
        Some(v)
    }

    /// Whether page `p` has no memory.
    fn is_bare(&self, p: usize) -> bool {
        self.pages[p].places.is_none()
    }

    pub(crate) fn at(&self, i: u32) -> Option<&T> {
        self.pages.get((i >> PAGE_BITS) as usize)?.places.as_ref()?[i as usize % PAGE].as_ref()
    }

    pub(crate) fn at_mut(&mut self, i: u32) -> Option<&mut T> {
        self.pages.get_mut((i >> PAGE_BITS) as usize)?.places.as_mut()?[i as usize % PAGE].as_mut()
    }

    /// All records, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages.iter().enumerate().flat_map(|(p, page)| {
            let places = page.places.iter().flat_map(|p| p.iter()).enumerate();
            places.filter_map(move |(i, v)| v.as_ref().map(|v| ((p * PAGE + i) as u32, v)))
        })
    }
}

/// A table whose numbers are given away: each is an index and a generation.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    slab: Slab<T>,
    /// By page.
    generations: Vec<Generations>,
}

/// How often the places of a page were used before.
#[derive(Debug, Default)]
struct Generations {
    /// Of each place; none while the page has no memory.
    each: Vec<u32>,
    /// Of all of them when it has memory again: more than any was.
    next: u32,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { slab: Slab::default(), generations: Vec::new() }
    }
}

impl<T> Deref for Numbered<T> {
    type Target = Slab<T>;

    fn deref(&self) -> &Slab<T> {
        &self.slab
    }
}

impl<T> DerefMut for Numbered<T> {
    fn deref_mut(&mut self) -> &mut Slab<T> {
        &mut self.slab
    }
}

impl<T> Numbered<T> {
    /// Stores `value`; returns its index and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        let i = self.slab.insert(value);
        let p = (i >> PAGE_BITS) as usize;
        if p == self.generations.len() {
            append(&mut self.generations, Generations::default());
        }
        let g = &mut self.generations[p];
        if g.each.is_empty() {
            g.each = alloc::vec![g.next; PAGE];
        }
        (i, g.each[i as usize % PAGE])
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<T> {
        let v = self.slab.remove(i)?;
        let p = (i >> PAGE_BITS) as usize;
        if let Some(g) = self.generations.get_mut(p) {
            if let Some(n) = g.each.get_mut(i as usize % PAGE) {
                *n = n.wrapping_add(1);
            }
            if self.slab.is_bare(p) {
                g.next = core::mem::take(&mut g.each).into_iter().max().unwrap_or(0).wrapping_add(1);
            }
        }
        Some(v)
    }

    pub(crate) fn generation(&self, i: u32) -> u32 {
        let Some(g) = self.generations.get((i >> PAGE_BITS) as usize) else { return 0 };
        g.each.get(i as usize % PAGE).copied().unwrap_or(g.next)
    }

    pub(crate) fn get(&self, (i, generation): (u32, u32)) -> Option<&T> {
        self.slab.at(i).filter(|_| self.generation(i) == generation)
    }

    pub(crate) fn get_mut(&mut self, (i, generation): (u32, u32)) -> Option<&mut T> {
        if self.generation(i) == generation { self.slab.at_mut(i) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_does_not_find_a_new_record() {
        let mut s = Numbered::default();
        let a = s.insert('a');
        assert_eq!(s.get(a), Some(&'a'));
        assert_eq!(s.remove(a.0), Some('a'));
        let b = s.insert('b');
        assert_eq!((b.0, s.get(a), s.get(b)), (a.0, None, Some(&'b')));
        for i in 0..200 {
            s.insert(char::from(i));
        }
        assert_eq!((s.len(), s.iter().count()), (201, 201));
    }

    #[test]
    fn an_old_number_does_not_find_a_new_record_where_the_page_was_given_back() {
        let mut s = Numbered::default();
        for round in 0..5 {
            let all: Vec<_> = (0..1_000).map(|i| s.insert(i)).collect();
            // The first page is used more than others.
            let first = *all.first().unwrap();
            s.remove(first.0);
            let again = s.insert(7);
            all.iter().for_each(|(i, _)| assert!(s.remove(*i).is_some()));
            s.remove(again.0);
            let new: Vec<_> = (0..1_000).map(|i| s.insert(i)).collect();
            assert!(all.iter().chain([&again]).all(|old| s.get(*old).is_none()), "round {round}");
            assert!(new.iter().all(|n| s.get(*n).is_some()));
            new.iter().for_each(|(i, _)| assert!(s.remove(*i).is_some()));
        }
        assert!(s.generations.iter().filter(|g| !g.each.is_empty()).count() <= 1);
    }

    #[test]
    fn against_a_map_and_empty_pages_go_back() {
        let (mut s, mut naive, mut seed) = (Slab::default(), std::collections::BTreeMap::new(), 7u32);
        let mut most = 0;
        for step in 0..60_000u32 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // It grows and shrinks by turns, in the end to nothing.
            let grows = (step / 10_000).is_multiple_of(2);
            let nth = naive.range((seed >> 8) % 4_096..).next().map(|(i, _)| *i);
            if (seed >> 28 < 12) == grows {
                let i = s.insert(step);
                assert_eq!(naive.insert(i, step), None, "a place that is taken is not given away");
            } else if let Some(i) = nth.or(naive.keys().next().copied()) {
                assert_eq!(s.remove(i), naive.remove(&i));
                assert_eq!((s.remove(i), s.at(i)), (None, None));
            }
            let pages = s.pages.iter().filter(|p| p.places.is_some()).count();
            assert!(pages >= s.len().div_ceil(PAGE));
            most = most.max(s.len());
        }
        assert!(most > 4_000, "{most}");
        assert!(s.iter().map(|(i, v)| (i, *v)).eq(naive.clone()));
        naive.keys().for_each(|i| assert!(s.remove(*i).is_some()));
        let pages = s.pages.iter().filter(|p| p.places.is_some()).count();
        assert!(s.len() == 0 && pages <= 1, "one page stays: {pages}");
    }
}
