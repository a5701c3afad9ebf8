//! The packets that are on their way: buffers that are used again, under a number.

/// Holds packets. Its room is bounded: what is on the way is what the rate and the delay say, unless somebody sends faster
/// than the path can know.
#[derive(Debug)]
pub(crate) struct Pool {
    slots: Vec<Slot>,
    free: Vec<u32>,
    held: usize,
    limit: usize,
}

#[derive(Debug)]
struct Slot {
    /// At least as long as the packet: buffers only grow.
    buf: Vec<u8>,
    len: usize,
}

impl Pool {
    /// One that holds up to `limit` octets.
    pub(crate) fn new(limit: usize) -> Pool {
        Pool { slots: Vec::new(), free: Vec::new(), held: 0, limit }
    }

    /// Keeps a copy of `packet` under a number; `None` if there is no room.
    pub(crate) fn put(&mut self, packet: &[u8]) -> Option<u32> {
        let len = packet.len();
        if self.held + len > self.limit {
            return None;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot { buf: vec![0; len.max(SMALL)], len: 0 });
                id
            }
        };
        let slot = self.slots.get_mut(id as usize)?;
        if slot.buf.len() < len {
            slot.buf.resize(len, 0);
        }
        slot.buf[..len].copy_from_slice(packet);
        slot.len = len;
        self.held += len;
        Some(id)
    }

    /// A second copy of what is kept under `id`.
    pub(crate) fn again(&mut self, id: u32) -> Option<u32> {
        let mut slot = self.slots.get_mut(id as usize)?;
        let (buf, len) = (std::mem::take(&mut slot.buf), slot.len);
        let copy = self.put(&buf[..len]);
        slot = self.slots.get_mut(id as usize)?;
        slot.buf = buf;
        copy
    }

    /// What is kept under `id`.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        self.slots.get(id as usize).map_or(&[], |s| &s.buf[..s.len])
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, id: u32) -> &mut [u8] {
        self.slots.get_mut(id as usize).map_or(&mut [], |s| &mut s.buf[..s.len])
    }

    /// Lets go of it.
    pub(crate) fn drop(&mut self, id: u32) {
        if let Some(s) = self.slots.get_mut(id as usize) {
            self.held -= s.len;
            s.len = 0;
            self.free.push(id);
        }
    }

    /// Packets kept.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

/// A new buffer holds a packet of Ethernet.
const SMALL: usize = 1_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_bounded() {
        let mut p = Pool::new(5_000);
        let (a, b) = (p.put(&[1; 2_000]).unwrap(), p.put(&[2; 1_000]).unwrap());
        assert_eq!(p.put(&[3; 2_001]), None);
        let c = p.again(b).unwrap();
        p.get_mut(c)[0] = 9;
        assert_eq!((p.get(b)[0], p.get(c)[0], p.get(a).len(), p.len()), (2, 9, 2_000, 3));
        p.drop(a);
        assert_eq!(p.put(&[4; 3_000]), Some(a));
        assert_eq!(p.get(a), [4; 3_000]);
    }
}
