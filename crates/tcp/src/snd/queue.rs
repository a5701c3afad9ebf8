//! The text that the user has written and the peer has not acknowledged.

use crate::buf::{Chunk, Chunks, Pool, Slices};
use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// Text by sequence number. The box under it is there only while it holds something.
#[derive(Debug)]
pub struct SendQueue {
    base: SeqNum,
    chunks: Option<Box<Chunks>>,
}

impl SendQueue {
    /// An empty queue whose first octet will have sequence number `base`.
    pub fn new(base: SeqNum) -> SendQueue {
        SendQueue { base, chunks: None }
    }

    /// The sequence number of the first octet held.
    pub fn base(&self) -> SeqNum {
        self.base
    }

    /// The sequence number after the last octet held.
    pub fn end(&self) -> SeqNum {
        self.base + self.len()
    }

    /// Octets held.
    pub fn len(&self) -> u32 {
        self.chunks.as_ref().map_or(0, |c| c.len() as u32)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of buffers kept alive.
    pub fn pinned(&self) -> usize {
        self.chunks.as_ref().map_or(0, |c| c.pinned())
    }

    /// Appends a copy of `bytes`.
    pub fn push_copy(&mut self, bytes: &[u8], pool: &mut Pool) {
        if !bytes.is_empty() {
            let before = self.pinned();
            self.chunks.get_or_insert_with(|| pool.take_chunks()).push_copy(bytes, pool);
            pool.charge(before, self.pinned());
        }
    }

    /// Appends by reference.
    pub fn push(&mut self, chunk: Chunk, pool: &mut Pool) {
        if !chunk.is_empty() {
            pool.charge(0, chunk.pinned());
            self.chunks.get_or_insert_with(|| pool.take_chunks()).push(chunk);
        }
    }

    /// Drops everything before `una`.
    //= RFC 6675 4 (b)
    //= RFC 2018 8 (c): only the acknowledgment number lets go
    pub fn acknowledge(&mut self, una: SeqNum, pool: &mut Pool) {
        let n = una.min(self.end()).diff(self.base).max(0) as u32;
        self.base += n;
        if let Some(mut c) = self.chunks.take() {
            let before = c.pinned();
            c.advance(n as usize, pool);
            pool.charge(before, c.pinned());
            if c.is_empty() {
                pool.give_chunks(c);
            } else {
                self.chunks = Some(c);
            }
        }
    }

    /// Remembers where `seq` is, for the next [`SendQueue::slices`].
    pub fn seek(&mut self, seq: SeqNum) {
        let off = seq.since(self.base) as usize;
        if let Some(c) = &mut self.chunks {
            c.seek(off);
        }
    }

    /// The octets `seq..seq + len`.
    pub fn slices(&self, seq: SeqNum, len: u32) -> Slices<'_> {
        self.chunks.as_ref().map_or_else(Slices::default, |c| c.slices(seq.since(self.base) as usize, len as usize))
    }

    /// Gives everything back.
    pub fn clear(&mut self, pool: &mut Pool) {
        if let Some(c) = self.chunks.take() {
            pool.charge(c.pinned(), 0);
            pool.give_chunks(c);
        }
    }
}
