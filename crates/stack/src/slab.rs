//! Records by number. Pages are never copied, freed places are used again; where a number outlives its record, a
//! generation tells an old number from a new one.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

const PAGE_BITS: u32 = 6;
const PAGE: usize = 1 << PAGE_BITS;

/// A table of `T` by index.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pages: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    fn place_mut(&mut self, i: u32) -> Option<&mut Option<T>> {
        self.pages.get_mut((i >> PAGE_BITS) as usize)?.get_mut(i as usize % PAGE)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Stores `value`; returns its index.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let free = self.free.pop();
        match free.and_then(|i| self.place_mut(i).map(|p| (i, p))) {
            Some((i, place)) => {
                *place = Some(value);
                i
            }
            None => {
                if self.pages.last().is_none_or(|p| p.len() == PAGE) {
                    self.pages.push(Vec::with_capacity(PAGE));
                }
                let page = self.pages.len() - 1;
                self.pages[page].push(Some(value));
                (page * PAGE + self.pages[page].len() - 1) as u32
            }
        }
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<T> {
        let v = self.place_mut(i)?.take()?;
        self.free.push(i);
        self.len -= 1;
        Some(v)
    }

    pub(crate) fn at(&self, i: u32) -> Option<&T> {
        self.pages.get((i >> PAGE_BITS) as usize)?.get(i as usize % PAGE)?.as_ref()
    }

    pub(crate) fn at_mut(&mut self, i: u32) -> Option<&mut T> {
        self.place_mut(i)?.as_mut()
    }

    /// All records, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = self.pages.iter().flatten().enumerate();
        places.filter_map(|(i, p)| p.as_ref().map(|v| (i as u32, v)))
    }
}

/// A table whose numbers are given away: each is an index and a generation.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    slab: Slab<T>,
    /// How often each place was used before.
    generations: Vec<u32>,
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
        if i as usize == self.generations.len() {
            self.generations.push(0);
        }
        (i, self.generation(i))
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<T> {
        let v = self.slab.remove(i)?;
        if let Some(g) = self.generations.get_mut(i as usize) {
            *g = g.wrapping_add(1);
        }
        Some(v)
    }

    pub(crate) fn generation(&self, i: u32) -> u32 {
        self.generations.get(i as usize).copied().unwrap_or(0)
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
}
