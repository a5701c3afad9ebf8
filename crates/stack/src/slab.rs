//! Records by number. Pages are never copied, freed places are used again, and a generation tells an old number from
//! a new one.

use alloc::vec::Vec;

const PAGE_BITS: u32 = 6;
const PAGE: usize = 1 << PAGE_BITS;

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// A table of `T` by index and generation.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Vec<Place<T>>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pages: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    fn place(&self, i: u32) -> Option<&Place<T>> {
        self.pages.get((i >> PAGE_BITS) as usize)?.get(i as usize % PAGE)
    }

    fn place_mut(&mut self, i: u32) -> Option<&mut Place<T>> {
        self.pages.get_mut((i >> PAGE_BITS) as usize)?.get_mut(i as usize % PAGE)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Stores `value`; returns its index and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        self.len += 1;
        if let Some(i) = self.free.pop()
            && let Some(p) = self.place_mut(i)
        {
            p.value = Some(value);
            return (i, p.generation);
        }
        if self.pages.last().is_none_or(|p| p.len() == PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        let page = self.pages.len() - 1;
        self.pages[page].push(Place { generation: 0, value: Some(value) });
        ((page * PAGE + self.pages[page].len() - 1) as u32, 0)
    }

    pub(crate) fn remove(&mut self, i: u32) -> Option<T> {
        let p = self.place_mut(i)?;
        let v = p.value.take()?;
        p.generation = p.generation.wrapping_add(1);
        self.free.push(i);
        self.len -= 1;
        Some(v)
    }

    pub(crate) fn at(&self, i: u32) -> Option<&T> {
        self.place(i)?.value.as_ref()
    }

    pub(crate) fn at_mut(&mut self, i: u32) -> Option<&mut T> {
        self.place_mut(i)?.value.as_mut()
    }

    pub(crate) fn get(&self, (i, generation): (u32, u32)) -> Option<&T> {
        self.place(i).filter(|p| p.generation == generation)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, (i, generation): (u32, u32)) -> Option<&mut T> {
        self.place_mut(i).filter(|p| p.generation == generation)?.value.as_mut()
    }

    pub(crate) fn generation(&self, i: u32) -> u32 {
        self.place(i).map_or(0, |p| p.generation)
    }

    /// All records, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let places = self.pages.iter().flatten().enumerate();
        places.filter_map(|(i, p)| p.value.as_ref().map(|v| (i as u32, v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_does_not_find_a_new_record() {
        let mut s = Slab::default();
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
