//! Text in order that the user has not taken yet.

use crate::buf::{COPY_LIMIT, Chunk, Chunks, Pool};
use alloc::boxed::Box;

/// The queue. The box under it is there only while it holds something.
#[derive(Debug, Default)]
pub struct ReceiveQueue(Option<Box<Chunks>>);

impl ReceiveQueue {
    /// Octets waiting.
    pub fn len(&self) -> u32 {
        self.0.as_ref().map_or(0, |c| c.len() as u32)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of buffers kept alive.
    pub fn pinned(&self) -> usize {
        self.0.as_ref().map_or(0, |c| c.pinned())
    }

    /// Appends a segment's text: a small one in a large buffer is copied behind the last, any other is kept as it came.
    pub fn push(&mut self, chunk: Chunk, pool: &mut Pool) {
        if chunk.is_empty() {
            pool.give(chunk);
            return;
        }
        let q = self.0.get_or_insert_with(|| pool.take_chunks());
        let before = q.pinned();
        // A segment that fills half of its buffer is kept as it came, too: it pins no more than it is worth.
        if chunk.len() <= COPY_LIMIT && 2 * chunk.len() < chunk.pinned() {
            q.push_copy(chunk.as_slice(), pool);
            pool.give(chunk);
        } else {
            q.push(chunk);
        }
        pool.charge(before, q.pinned());
    }

    /// Hands up to `most` octets to `sink`, in pieces; returns how many.
    pub fn read_with(&mut self, most: usize, pool: &mut Pool, sink: impl FnMut(&[u8])) -> usize {
        let Some(mut q) = self.0.take() else { return 0 };
        let before = q.pinned();
        let n = q.read_with(most, pool, sink);
        pool.charge(before, q.pinned());
        if q.is_empty() {
            pool.give_chunks(q);
        } else {
            self.0 = Some(q);
        }
        n
    }

    /// Copies octets out without taking them.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let Some(q) = &self.0 else { return 0 };
        let mut n = 0;
        for s in q.slices(0, out.len().min(q.len())) {
            out[n..n + s.len()].copy_from_slice(s);
            n += s.len();
        }
        n
    }

    /// Takes the first chunk without a copy.
    pub fn pop(&mut self, pool: &mut Pool) -> Option<Chunk> {
        let mut q = self.0.take()?;
        let c = q.pop();
        pool.charge(c.as_ref().map_or(0, Chunk::pinned), 0);
        if q.is_empty() {
            pool.give_chunks(q);
        } else {
            self.0 = Some(q);
        }
        c
    }

    /// Gives everything back.
    pub fn clear(&mut self, pool: &mut Pool) {
        if let Some(q) = self.0.take() {
            pool.charge(q.pinned(), 0);
            pool.give_chunks(q);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_text_in_a_large_buffer_is_copied_and_any_other_is_kept_as_it_came() {
        let mut pool = Pool::default();
        let mut q = ReceiveQueue::default();
        assert_eq!((q.len(), q.pinned()), (0, 0));
        // Forty octets each, in buffers of two thousand.
        for _ in 0..10 {
            let mut b = pool.take(2_000);
            b.as_mut_slice()[..40].fill(7);
            q.push(b.freeze(0, 40), &mut pool);
        }
        let copied = q.pinned();
        assert!(q.len() == 400 && copied < 10_000, "{copied} octets pinned");
        // A segment that fills its buffer, and one that is too long to be copied.
        for n in [100, COPY_LIMIT + 1] {
            let before = q.pinned();
            let chunk = Chunk::copy_of(&alloc::vec![8; n]);
            let its = chunk.pinned();
            q.push(chunk, &mut pool);
            assert_eq!(q.pinned(), before + its, "{n} octets");
        }
        let mut b = pool.take(4 * COPY_LIMIT);
        let large = b.capacity();
        b.as_mut_slice()[..=COPY_LIMIT].fill(9);
        let before = q.pinned();
        q.push(b.freeze(0, COPY_LIMIT + 1), &mut pool);
        assert_eq!(q.pinned(), before + large, "too long to be copied, though half of its buffer is empty");
        q.clear(&mut pool);
        assert_eq!((q.len(), q.pinned()), (0, 0));
        assert!(q.pop(&mut pool).is_none());
    }
}
