//! Octets that are handed over without a copy.

use crate::driver::Shared;
use crate::handle::Stack;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Weak;
use synfin_stack::engine::Chunk;

/// A piece of a shared buffer, read-only: what `write_bytes` takes and `read_bytes` gives. Cloning and cutting share the buffer.
/// One that was received gives its buffer back to its host when the last piece of it goes.
///
/// ```
/// use synfin::Bytes;
/// let mut all = Bytes::from(b"head and text".to_vec()); // no copy
/// let head = all.split_to(4);
/// assert_eq!((&head[..], &all[..]), (&b"head"[..], &b" and text"[..]));
/// ```
#[derive(Clone, Default)]
pub struct Bytes {
    chunk: Chunk,
    from: Weak<Shared>,
}

impl Bytes {
    pub(crate) fn of(chunk: Chunk, host: &Stack) -> Bytes {
        Bytes { chunk, from: host.weak() }
    }

    pub(crate) fn chunk(&self) -> Chunk {
        self.chunk.clone()
    }

    /// What `owner` gives, without a copy: a mapped file, a buffer of another library. It is dropped when the last piece of it goes:
    /// on any thread, and, when its text is acknowledged, while the host is at work. So its drop must not call the host, nor drop a
    /// socket of it. What is behind 4 GiB is out of reach.
    pub fn from_owner<T>(owner: T) -> Bytes
    where
        T: AsRef<[u8]> + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
    {
        Bytes { chunk: Chunk::of_owner(owner), from: Weak::new() }
    }

    /// A copy of `bytes`.
    pub fn copy_from_slice(bytes: &[u8]) -> Bytes {
        Bytes { chunk: Chunk::copy_of(bytes), from: Weak::new() }
    }

    /// Cuts off the first `n` octets, or all, and returns them.
    pub fn split_to(&mut self, n: usize) -> Bytes {
        let mut head = self.clone();
        head.chunk.truncate(n);
        self.chunk.advance(n);
        head
    }

    /// Drops the first `n` octets, or all.
    pub fn advance(&mut self, n: usize) {
        self.chunk.advance(n);
    }

    /// Keeps the first `n` octets.
    pub fn truncate(&mut self, n: usize) {
        self.chunk.truncate(n);
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.chunk.pinned() == 0 {
            return;
        }
        if let Some(shared) = self.from.upgrade() {
            shared.take_back(std::mem::take(&mut self.chunk));
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.chunk.as_slice()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Takes the vector over; it is copied only if it has room to spare.
impl From<Vec<u8>> for Bytes {
    fn from(v: Vec<u8>) -> Bytes {
        Bytes { chunk: Chunk::from(v.into_boxed_slice()), from: Weak::new() }
    }
}

/// Hands it over without a copy.
#[cfg(feature = "tokio")]
impl From<Bytes> for ::bytes::Bytes {
    fn from(b: Bytes) -> ::bytes::Bytes {
        ::bytes::Bytes::from_owner(b)
    }
}

/// Takes it over without a copy.
#[cfg(feature = "tokio")]
impl From<::bytes::Bytes> for Bytes {
    fn from(b: ::bytes::Bytes) -> Bytes {
        Bytes::from_owner(b)
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} octets", self.len())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Bytes {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use synfin_device::{Device, memory_pair};
    use synfin_stack::engine::buf::LARGE;

    #[test]
    fn a_buffer_goes_back_at_once_and_few_wait_for_a_lock_that_is_held() -> io::Result<()> {
        let host = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(memory_pair(1500, true)?.0))?;
        let shared = host.shared();
        let received = || Bytes::of(shared.lock().stack.take_buffer(LARGE).freeze(0, 9), &host);
        let place = |b: &Bytes| b.as_ptr();
        let (b, many) = (received(), (0..100).map(|_| received()).collect::<Vec<_>>());
        let at = place(&b);
        drop(b);
        // The driver thread may have the lock for a moment; then it waits like the others.
        assert!(shared.waiting_octets() <= LARGE);
        if shared.waiting_octets() == 0 {
            let again = received();
            assert_eq!(place(&again), at, "its buffer is used again");
        }
        let s = shared.lock();
        drop(many);
        assert!((LARGE..=1 << 20).contains(&shared.waiting_octets()), "{} octets", shared.waiting_octets());
        drop(s);
        Ok(())
    }
}
