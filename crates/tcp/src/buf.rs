//! Octets in flight between device and application, without copies and without an allocation per segment.
//!
//! A [`Chunk`] is a piece of a shared buffer. Buffers come from a [`Pool`] as a [`BufMut`], which is the only
//! holder; frozen into a chunk they are read-only. Whoever is done with a chunk gives it back with [`Pool::give`]:
//! if it was the last reference the buffer is used again, else the last holder frees it.
//!
//! Two sizes: small ones for the text of small segments, so that one octet never pins 64 KiB, and large ones that
//! hold a super-segment with its headers.

use crate::snd::scoreboard::Board;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::panic::{RefUnwindSafe, UnwindSafe};

/// Octets of a small buffer.
pub const SMALL: usize = 2_048;
/// Octets of a large buffer: an IP packet of the greatest length, a link header, a virtio-net header.
pub const LARGE: usize = 65_536 + 48;
/// Payload up to this is copied into the tail of a queue, larger is referenced.
pub const COPY_LIMIT: usize = 4_096;

/// What owns octets that are not ours.
type Owner = Box<dyn AsRef<[u8]> + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// Where octets are.
enum Buffer {
    Ours(Box<[u8]>),
    /// They are read only, and were so many when they were handed over.
    Theirs(Owner, usize),
}

impl Buffer {
    #[inline]
    fn octets(&self) -> &[u8] {
        match self {
            Buffer::Ours(b) => b,
            Buffer::Theirs(owner, _) => (**owner).as_ref(),
        }
    }

    /// Those that may be written to.
    #[inline]
    fn octets_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::Ours(b) => b,
            Buffer::Theirs(..) => &mut [],
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Buffer::Ours(b) => b.len(),
            Buffer::Theirs(_, len) => *len,
        }
    }
}

impl core::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} octets", self.len())
    }
}

/// A buffer with one holder, to be filled.
#[derive(Debug)]
pub struct BufMut(Arc<Buffer>);

impl BufMut {
    /// The whole buffer.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // A `BufMut` is made from an `Arc` nobody else holds, and cannot be cloned.
        Arc::get_mut(&mut self.0).map_or(&mut [], Buffer::octets_mut)
    }

    /// Octets.
    pub fn capacity(&self) -> usize {
        self.0.len()
    }

    /// Makes `len` octets from `off` on readable; both are cut to the buffer.
    pub fn freeze(self, off: usize, len: usize) -> Chunk {
        let off = off.min(self.0.len());
        let len = len.min(self.0.len() - off);
        Chunk { buf: Some(self.0), off: off as u32, len: len as u32 }
    }
}

/// A readable piece of a buffer. Cloning shares the buffer.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    buf: Option<Arc<Buffer>>,
    off: u32,
    len: u32,
}

impl Chunk {
    /// A chunk with a copy of `bytes`, for tests and small control messages.
    pub fn copy_of(bytes: &[u8]) -> Chunk {
        Chunk { buf: Some(Arc::new(Buffer::Ours(bytes.into()))), off: 0, len: bytes.len() as u32 }
    }

    /// A chunk of what `owner` gives, without a copy; it is dropped with the last piece of it. A chunk has less than 4 GiB: what is
    /// behind is out of its reach.
    pub fn of_owner<T>(owner: T) -> Chunk
    where
        T: AsRef<[u8]> + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
    {
        let octets = owner.as_ref().len();
        let len = u32::try_from(octets).unwrap_or(u32::MAX);
        Chunk { buf: Some(Arc::new(Buffer::Theirs(Box::new(owner), octets))), off: 0, len }
    }

    /// The octets.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        let (off, len) = (self.off as usize, self.len as usize);
        self.buf.as_deref().and_then(|b| b.octets().get(off..off + len)).unwrap_or_default()
    }

    /// Octets.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets of the buffer that this chunk keeps alive.
    pub fn pinned(&self) -> usize {
        self.buf.as_ref().map_or(0, |b| b.len())
    }

    /// Drops the first `n` octets.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        let n = n.min(self.len()) as u32;
        self.off += n;
        self.len -= n;
    }

    /// Keeps the first `n` octets.
    #[inline]
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n as u32);
    }

    /// How much [`Chunk::extend`] would take.
    pub fn room(&mut self) -> usize {
        let end = (self.off + self.len) as usize;
        self.buf.as_mut().and_then(Arc::get_mut).map_or(0, |b| b.octets_mut().len().saturating_sub(end))
    }

    /// Appends as much of `bytes` as the buffer has room for, if nobody else holds it; returns how much.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let end = (self.off + self.len) as usize;
        let Some(buf) = self.buf.as_mut().and_then(Arc::get_mut) else { return 0 };
        let Some(free) = buf.octets_mut().get_mut(end..) else { return 0 };
        let n = bytes.len().min(free.len());
        free[..n].copy_from_slice(&bytes[..n]);
        self.len += n as u32;
        n
    }
}

/// Takes the octets over as they are. A chunk has less than 4 GiB: what is behind is out of its reach.
impl From<Box<[u8]>> for Chunk {
    fn from(b: Box<[u8]>) -> Chunk {
        let len = u32::try_from(b.len()).unwrap_or(u32::MAX);
        Chunk { buf: Some(Arc::new(Buffer::Ours(b))), off: 0, len }
    }
}

/// A queue of chunks that is read at its front and by offset.
#[derive(Debug, Default)]
pub struct Chunks {
    deque: VecDeque<Chunk>,
    /// Octets in all.
    len: usize,
    /// Octets pinned in all.
    pinned: usize,
    /// Where the last look-up by offset ended: (index, offset of that chunk's start).
    hint: (usize, usize),
}

impl Chunks {
    /// Octets queued.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets of buffers kept alive.
    pub fn pinned(&self) -> usize {
        self.pinned
    }

    /// Appends by reference.
    pub fn push(&mut self, c: Chunk) {
        if !c.is_empty() {
            self.len += c.len();
            self.pinned += c.pinned();
            self.deque.push_back(c);
        }
    }

    /// Appends a copy of `bytes` to the tail chunk, and to new ones from the pool.
    pub fn push_copy(&mut self, mut bytes: &[u8], pool: &mut Pool) {
        if let Some(tail) = self.deque.back_mut() {
            let n = tail.extend(bytes);
            self.len += n;
            bytes = &bytes[n..];
        }
        while !bytes.is_empty() {
            // What has queued up once is likely to grow: only the first buffer of an empty queue is a small one.
            let size = if self.is_empty() && bytes.len() <= SMALL { SMALL } else { LARGE };
            let mut buf = pool.take(size);
            let n = bytes.len().min(buf.capacity());
            buf.as_mut_slice()[..n].copy_from_slice(&bytes[..n]);
            self.push(buf.freeze(0, n));
            bytes = &bytes[n..];
        }
    }

    /// Drops `n` octets from the front.
    pub fn advance(&mut self, n: usize, pool: &mut Pool) {
        let mut n = n.min(self.len);
        self.len -= n;
        if n > 0 {
            self.hint = (0, 0);
        }
        while n > 0 {
            let Some(front) = self.deque.front_mut() else { return };
            if front.len() > n {
                front.advance(n);
                return;
            }
            n -= front.len();
            if let Some(c) = self.deque.pop_front() {
                self.pinned -= c.pinned();
                pool.give(c);
            }
        }
    }

    /// Copies octets out and drops them; returns how many.
    pub fn read(&mut self, out: &mut [u8], pool: &mut Pool) -> usize {
        let mut rest = out;
        self.read_with(rest.len(), pool, |piece| {
            let (now, later) = core::mem::take(&mut rest).split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        })
    }

    /// Hands up to `most` octets to `sink`, in pieces, and drops them; returns how many.
    pub fn read_with(&mut self, most: usize, pool: &mut Pool, mut sink: impl FnMut(&[u8])) -> usize {
        let mut done = 0;
        while done < most {
            let Some(front) = self.deque.front() else { break };
            let n = front.len().min(most - done);
            sink(&front.as_slice()[..n]);
            self.advance(n, pool);
            done += n;
        }
        done
    }

    /// Takes the first chunk out whole.
    pub fn pop(&mut self) -> Option<Chunk> {
        let c = self.deque.pop_front()?;
        self.hint = (0, 0);
        self.len -= c.len();
        self.pinned -= c.pinned();
        Some(c)
    }

    /// Remembers where `off` is, so that the next [`Chunks::slices`] near it does not walk from the front.
    pub fn seek(&mut self, off: usize) {
        let (mut i, mut start) = if self.hint.1 <= off { self.hint } else { (0, 0) };
        while let Some(c) = self.deque.get(i) {
            // Never past the last chunk: its end moves when text is appended to it.
            if off < start + c.len() || i + 1 == self.deque.len() {
                break;
            }
            start += c.len();
            i += 1;
        }
        self.hint = (i, start);
    }

    /// The octets `off..off + len`, in pieces.
    pub fn slices(&self, off: usize, len: usize) -> Slices<'_> {
        let (mut i, mut start) = if self.hint.1 <= off { self.hint } else { (0, 0) };
        while let Some(c) = self.deque.get(i) {
            if off < start + c.len() {
                break;
            }
            start += c.len();
            i += 1;
        }
        Slices { deque: Some(&self.deque), index: i, skip: off - start.min(off), left: len }
    }

    fn clear(&mut self, pool: &mut Pool) {
        while let Some(c) = self.pop() {
            pool.give(c);
        }
        self.hint = (0, 0);
    }
}

/// Borrowed octets in pieces: an iterator over slices.
#[derive(Debug, Clone, Default)]
pub struct Slices<'a> {
    deque: Option<&'a VecDeque<Chunk>>,
    index: usize,
    skip: usize,
    left: usize,
}

impl Slices<'_> {
    /// Octets that are still to come.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        let s = &self.deque?.get(self.index)?.as_slice()[self.skip..];
        let s = &s[..s.len().min(self.left)];
        self.index += 1;
        self.skip = 0;
        self.left -= s.len();
        Some(s)
    }
}

/// Whether there is memory for the text of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Less than three quarters of the limit are held.
    Plenty,
    /// Buffers stay as they are: windows and room to write are small where nothing else was promised.
    Scarce,
    /// Each connection may go on by a segment in each direction, and hold no more than that.
    Full,
}

/// Buffers and boxes that are used again, and how much of them connections hold.
#[derive(Debug)]
pub struct Pool {
    small: Vec<Arc<Buffer>>,
    large: Vec<Arc<Buffer>>,
    #[allow(clippy::vec_box)] // the boxes are what is used again
    boxes: Vec<Box<Chunks>>,
    #[allow(clippy::vec_box)]
    boards: Vec<Box<Board>>,
    keep: usize,
    /// Octets that the queues of all connections pin.
    held: usize,
    limit: usize,
}

impl Default for Pool {
    /// Keeps up to 512 buffers of each size (33 MiB of large ones).
    fn default() -> Self {
        Pool::new(512)
    }
}

impl Pool {
    /// A pool that keeps at most `keep` free buffers of each size.
    pub fn new(keep: usize) -> Pool {
        let (small, large, boxes, boards) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Pool { small, large, boxes, boards, keep, held: 0, limit: usize::MAX }
    }

    /// Limits what the queues of all connections may pin, in octets.
    pub fn set_limit(&mut self, octets: usize) {
        self.limit = octets;
    }

    /// Octets that the queues of all connections pin.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How much of the limit that is.
    pub fn memory(&self) -> Memory {
        if self.held >= self.limit {
            Memory::Full
        } else if self.held >= self.limit / 4 * 3 {
            Memory::Scarce
        } else {
            Memory::Plenty
        }
    }

    /// A queue that pinned `before` octets pins `after`.
    pub(crate) fn charge(&mut self, before: usize, after: usize) {
        self.held = (self.held + after).saturating_sub(before);
    }

    /// A buffer of at least `size` octets, up to [`LARGE`].
    pub fn take(&mut self, size: usize) -> BufMut {
        let (list, size) = if size <= SMALL { (&mut self.small, SMALL) } else { (&mut self.large, LARGE) };
        BufMut(list.pop().unwrap_or_else(|| Arc::new(Buffer::Ours(vec![0; size].into_boxed_slice()))))
    }

    /// Gives a chunk back. Its buffer is used again if this was the last reference.
    pub fn give(&mut self, c: Chunk) {
        let Some(buf) = c.buf.filter(|b| matches!(**b, Buffer::Ours(_))) else { return };
        let list = match buf.len() {
            SMALL => &mut self.small,
            LARGE => &mut self.large,
            _ => return,
        };
        // Held here, by value, and by nobody else: no weak references are ever made.
        if list.len() < self.keep && Arc::strong_count(&buf) == 1 {
            list.push(buf);
        }
    }

    /// Gives an unused buffer back.
    pub fn give_buf(&mut self, b: BufMut) {
        self.give(b.freeze(0, 0));
    }

    pub(crate) fn take_chunks(&mut self) -> Box<Chunks> {
        self.boxes.pop().unwrap_or_default()
    }

    pub(crate) fn give_chunks(&mut self, mut c: Box<Chunks>) {
        c.clear(self);
        if self.boxes.len() < self.keep {
            self.boxes.push(c);
        }
    }

    pub(crate) fn take_board(&mut self) -> Box<Board> {
        self.boards.pop().unwrap_or_default()
    }

    pub(crate) fn give_board(&mut self, mut b: Box<Board>) {
        b.reset();
        if self.boards.len() < self.keep.min(BOARDS) {
            self.boards.push(b);
        }
    }
}

/// Scoreboards that are kept, however large they have grown.
const BOARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_reference_goes() {
        let mut pool = Pool::new(4);
        let c = pool.take(SMALL).freeze(0, 10);
        let d = c.clone();
        pool.give(c);
        assert_eq!(pool.small.len(), 0, "d still holds it");
        pool.give(d);
        assert_eq!(pool.small.len(), 1);
        assert_eq!(pool.take(1).capacity(), SMALL);
        assert_eq!(pool.small.len(), 0);
    }

    #[test]
    fn what_others_own_is_read_where_it_is_never_written_to_and_given_back() {
        let theirs: Arc<[u8]> = vec![7; SMALL].into();
        let mut c = Chunk::of_owner(theirs.clone());
        assert_eq!((c.as_slice().as_ptr(), c.len(), c.pinned()), (theirs.as_ptr(), SMALL, SMALL));
        c.truncate(9);
        assert_eq!((c.room(), c.extend(b"more"), c.as_slice()), (0, 0, &[7; 9][..]));
        let mut pool = Pool::new(4);
        let mut q = Chunks::default();
        q.push(c);
        q.push_copy(b"more", &mut pool);
        assert_eq!((q.len(), q.pinned()), (13, SMALL + LARGE));
        q.advance(9, &mut pool);
        assert_eq!(
            (pool.small.len(), Arc::strong_count(&theirs)),
            (0, 1),
            "not one of our buffers, even of their size"
        );
    }

    #[test]
    fn small_writes_share_a_small_buffer() {
        let mut pool = Pool::new(4);
        let mut q = Chunks::default();
        for _ in 0..100 {
            q.push_copy(b"0123456789", &mut pool);
        }
        assert_eq!((q.len(), q.pinned()), (1000, SMALL));
    }

    proptest! {
        /// Against a plain byte vector.
        #[test]
        fn behaves_like_a_queue_of_octets(ops in proptest::collection::vec((0u8..5, 0usize..9000), 1..60)) {
            let mut pool = Pool::new(8);
            let mut q = Chunks::default();
            let mut model: Vec<u8> = Vec::new();
            let mut stamp = 0u8;
            for (op, n) in ops {
                stamp = stamp.wrapping_add(1);
                match op {
                    0 => { let d = vec![stamp; n]; q.push_copy(&d, &mut pool); model.extend(d); }
                    1 => { let d = vec![stamp; n]; q.push(Chunk::copy_of(&d)); model.extend(d); }
                    2 => { q.advance(n, &mut pool); model.drain(..n.min(model.len())); }
                    3 => {
                        let mut out = vec![0; n];
                        let got = q.read(&mut out, &mut pool);
                        let want: Vec<u8> = model.drain(..n.min(model.len())).collect();
                        prop_assert_eq!(&out[..got], &want[..]);
                    }
                    _ => {
                        let off = n.min(model.len());
                        let len = (n / 2).min(model.len() - off);
                        q.seek(off);
                        let got: Vec<u8> = q.slices(off, len).flatten().copied().collect();
                        prop_assert_eq!(&got[..], &model[off..off + len]);
                    }
                }
                prop_assert_eq!(q.len(), model.len());
            }
            q.clear(&mut pool);
            prop_assert_eq!(q.pinned(), 0);
        }
    }
}
