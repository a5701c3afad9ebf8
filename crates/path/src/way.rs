//! One direction of a path: the model, the packets that wait in it, and those on their way with the time of their arrival.

use crate::model::{Fate, Histogram, Link, Packet, ecn_of, mark_ce};
use crate::pool::Pool;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSlice};
use synfin_device::{Device, Transmit, VirtioNetHdr};
use synfin_stack::engine::{Instant, Rng};

/// Packets, and their octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub packets: u64,
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, len: usize) {
        self.packets += 1;
        self.bytes += len as u64;
    }
}

/// A packet on its way: when it arrives, a number by which those of one time stay in order, and where it is kept.
type Departure = Reverse<(Instant, u64, u32)>;

/// One direction.
#[derive(Debug)]
pub(crate) struct Way {
    pub link: Link,
    /// What came in, cut.
    pub taken: Count,
    /// What went out.
    pub sent: Count,
    /// Frames that contradict what the link says of them.
    pub malformed: u64,
    /// Packets for which the path had no memory.
    pub no_room: u64,
    /// The device took nothing: nothing more is offered until it does.
    pub blocked: bool,
    rng: Rng,
    pool: Pool,
    departures: BinaryHeap<Departure>,
    order: u64,
    /// What the model counts of a frame begins here.
    ip_at: usize,
}

impl Way {
    pub(crate) fn new(link: Link, seed: u64) -> Way {
        Way {
            link,
            taken: Count::default(),
            sent: Count::default(),
            malformed: 0,
            no_room: 0,
            blocked: false,
            rng: Rng::from_number(seed),
            pool: Pool::new(MEMORY),
            departures: BinaryHeap::new(),
            order: 0,
            ip_at: 0,
        }
    }

    /// A packet that fits a wire comes in at `now`; its IP header is at `ip_at`.
    pub(crate) fn take(&mut self, now: Instant, frame: &[u8], ip_at: usize) {
        self.ip_at = ip_at;
        let Some(ip) = frame.get(ip_at..).filter(|ip| !ip.is_empty()) else {
            self.malformed += 1;
            return;
        };
        self.taken.add(frame.len());
        // Room of the queue is that of now: what has left it until then is out of it.
        self.advance(now);
        let Some(id) = self.pool.put(frame) else {
            self.no_room += 1;
            return;
        };
        let packet = Packet { id, len: ip.len() as u32, ecn: ecn_of(ip) };
        match self.link.enqueue(now, packet) {
            Ok(()) => self.advance(now),
            Err(_) => self.pool.drop(id),
        }
    }

    /// Lets the model decide about what has left its queue.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some((id, fate)) = self.link.poll(now, &mut self.rng) {
            let Fate::Arrives(a) = fate else {
                self.pool.drop(id);
                continue;
            };
            if a.marked {
                let at = self.ip_at;
                mark_ce(self.pool.get_mut(id).get_mut(at..).unwrap_or_default());
            }
            let copy = a.again.and_then(|at| Some((at, self.pool.again(id)?)));
            if a.corrupt {
                let packet = self.pool.get_mut(id);
                let bit = self.rng.below(packet.len() as u32 * 8);
                packet[bit as usize / 8] ^= 1 << (bit % 8);
            }
            self.depart(a.at, id);
            if let Some((at, copy)) = copy {
                self.depart(at, copy);
            }
        }
    }

    fn depart(&mut self, at: Instant, id: u32) {
        self.order += 1;
        self.departures.push(Reverse((at, self.order, id)));
    }

    /// Writes what is due, up to `most` packets, and counts how late it was. True if there may be more.
    pub(crate) fn send(
        &mut self,
        device: &mut Device,
        now: impl Fn() -> Instant,
        most: usize,
        late: &mut Histogram,
    ) -> io::Result<bool> {
        for _ in 0..most {
            let now = now();
            self.advance(now);
            let Some(Reverse((at, _, id))) = self.departures.peek().filter(|d| d.0.0 <= now).copied() else {
                return Ok(false);
            };
            let packet = self.pool.get(id);
            let len = packet.len();
            let t = Transmit { pieces: &[IoSlice::new(packet)], offload: VirtioNetHdr::default() };
            self.blocked = !device.send(&t)?;
            if self.blocked {
                return Ok(false);
            }
            late.add(now.since(at));
            self.sent.add(len);
            self.departures.pop();
            self.pool.drop(id);
        }
        Ok(true)
    }

    /// When something is due next, [`Instant::NEVER`] if nothing is. The model need not be asked when a packet leaves its
    /// queue, only before that could arrive.
    pub(crate) fn next(&self) -> Instant {
        let departure = self.departures.peek().map_or(Instant::NEVER, |d| d.0.0);
        departure.min(self.link.next_deadline() + self.link.model.delay)
    }

    /// Packets that are in it.
    pub(crate) fn within(&self) -> usize {
        self.pool.len()
    }
}

/// Octets on the way in one direction, at most: a second at 1 Gbit/s.
const MEMORY: usize = 128 << 20;
