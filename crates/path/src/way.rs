//! One direction of a path: the model, the packets that wait in it, and those on their way with the time of their arrival.

use crate::model::{Fate, Histogram, Link, Packet, ecn_of, mark_ce};
use crate::pool::Pool;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSlice};
use std::time::Duration;
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
    /// The least delay that the model has at any time.
    least_delay: Duration,
}

impl Way {
    pub(crate) fn new(link: Link, seed: u64) -> Way {
        let changed = link.model.changes.iter().filter_map(|c| c.delay);
        let least_delay = changed.fold(link.model.delay, Duration::min);
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
            least_delay,
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

    /// Lets the model decide about what has left its queue: as it was before a change, if it had left by then.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let change = self.link.next_change()
            && change <= now
        {
            self.decide(Instant::from_nanos(change.as_nanos().saturating_sub(1)));
            self.decide(change);
        }
        self.decide(now);
    }

    fn decide(&mut self, now: Instant) {
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
        departure.min(self.link.next_deadline() + self.least_delay)
    }

    /// Packets that are in it.
    pub(crate) fn within(&self) -> usize {
        self.pool.len()
    }
}

/// Octets on the way in one direction, at most: a second at 1 Gbit/s.
const MEMORY: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn way(settings: &[&str], changes: &[(u64, &str)]) -> Way {
        let mut s = Settings::default();
        settings.iter().for_each(|pair| s.set_pair(pair).unwrap());
        changes.iter().for_each(|(ms, pair)| s.change(Duration::from_millis(*ms), pair).unwrap());
        Way::new(Link::new(s.model().clone()), 1)
    }

    /// A packet of 1,000 octets comes in every 10 ms for 200 ms; when those arrive that do, if the loop asks only when
    /// [`Way::next`] says so.
    fn played(mut w: Way) -> Vec<u64> {
        let mut frame = vec![0; 1_000];
        frame[0] = 0x45;
        let mut arrivals = Vec::new();
        let mut out = |w: &mut Way, until: Instant| {
            while let next = w.next()
                && next <= until
            {
                w.advance(next);
                while let Some(Reverse((t, _, id))) = w.departures.peek().copied().filter(|d| d.0.0 <= next) {
                    arrivals.push(t.as_nanos() / 1_000_000);
                    assert_eq!(t, t.max(next), "it was asked for in time: {next:?} for {t:?}");
                    w.departures.pop();
                    w.pool.drop(id);
                }
            }
        };
        for n in 0..20 {
            out(&mut w, at(n * 10));
            w.take(at(n * 10), &frame, 0);
        }
        out(&mut w, at(10_000));
        assert_eq!(w.within(), 0);
        arrivals
    }

    #[test]
    fn a_cut_loses_what_comes_until_it_is_healed() {
        let arrivals = played(way(&["delay=50ms"], &[(45, "cut=on"), (95, "cut=off")]));
        let want: Vec<u64> = (0..20).map(|n| n * 10).filter(|t| !(45..95).contains(t)).map(|t| t + 50).collect();
        assert_eq!(arrivals, want, "what was on its way when it was cut arrives");
    }

    #[test]
    fn a_change_of_delay_and_rate_concerns_what_leaves_the_queue_from_then_on() {
        assert_eq!(
            played(way(&["delay=50ms"], &[(105, "delay=10ms")]))[9..17],
            [140, 150, 150, 150, 150, 150, 160, 170],
            "none overtakes another"
        );
        // 8 ms each, then 80 ms each: ten wait in the end.
        let slow = played(way(&["rate=1M"], &[(95, "rate=100k")]));
        assert_eq!((slow[0], slow[9], slow[10], slow[19]), (8, 98, 180, 900));
    }

    #[test]
    fn what_had_left_the_queue_before_a_change_is_judged_as_it_was_then_however_late_it_is_asked() {
        // The loop asks when something could arrive, half a second later than it left.
        let all = played(way(&["delay=500ms", "rate=100M"], &[(101, "loss=100%")]));
        assert_eq!(all.len(), 11, "{all:?}");
    }
}
