//! Packets on their way: from a host through links, routers and middleboxes to a host.

use super::answer::{destination, reset, too_big};
use super::{Event, Host, Network, Record, frame};
use crate::link::{Fate, Lost, Oversize, Packet, Passage, ecn_of, mark_ce};
use std::cmp::Reverse;
use std::net::IpAddr;
use synfin_stack::engine::{BufMut, Instant, Probe};
use synfin_stack::wire::checksum::Sum;
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::{Checksum, RxFrame, TxFrame};

/// A packet on its way.
#[derive(Debug)]
pub(super) struct Carried {
    buf: BufMut,
    len: usize,
    /// The size of the segments of a super-segment.
    gso: u16,
    /// The host that it is for.
    to: usize,
    /// The node where it is, or where it arrives next.
    node: usize,
}

impl Carried {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.buf.as_mut_slice()[..self.len]
    }
}

impl Network {
    /// Takes a frame from a host and puts it on its way; false if there was none.
    pub(super) fn send_from<P: Probe>(&mut self, from: usize, probe: &mut P) -> bool {
        let Network { hosts, pool, now, .. } = self;
        let Host { stack, link, .. } = &mut hosts[from];
        let mut out = Vec::new();
        let sent = stack.poll_frame(*now, probe, *link, &mut |f| {
            let mut buf = pool.take(f.header.len() + f.payload.len());
            let (len, gso) = materialize(f, buf.as_mut_slice());
            out.push((buf, len, gso));
            true
        });
        for (buf, len, gso) in out {
            self.packets += 1;
            self.launch(from, buf, len, gso);
        }
        sent
    }

    /// A packet that starts at a node, to the host whose address it carries. To nobody's it is lost: a host knows the others.
    fn launch(&mut self, node: usize, mut buf: BufMut, len: usize, gso: u16) {
        let to = destination(&buf.as_mut_slice()[..len]).and_then(|a| self.host_of(a));
        match to {
            Some(to) => {
                let id = self.carry(Carried { buf, len, gso, to, node });
                self.forward(id);
            }
            None => self.pool.give_buf(buf),
        }
    }

    /// A packet has reached a node: the frame, if it is for the host there; else it goes on.
    pub(super) fn arrive(&mut self, id: u32) -> Option<(usize, RxFrame)> {
        let c = self.carried.get(id as usize)?.as_ref()?;
        if c.node != c.to {
            self.forward(id);
            return None;
        }
        let c = self.release(id)?;
        Some((c.to, frame(c.buf.freeze(0, c.len), c.gso)))
    }

    /// Lets out what the link has for now, and comes back for the rest.
    pub(super) fn turn(&mut self, link: usize) {
        while let Some((id, fate)) = self.links[link].poll(self.now, &mut self.rng) {
            self.leave(link, id, fate);
        }
        let next = self.links[link].next_deadline();
        if next != Instant::NEVER && !self.turns[link] {
            self.turns[link] = true;
            self.schedule(next, Event::Turn(link));
        }
    }

    /// Puts a packet on the link that leads on from where it is.
    fn forward(&mut self, id: u32) {
        let Some(c) = self.carried[id as usize].as_mut() else { return };
        let Some(link) = self.routes[c.node][c.to] else { return self.drop_packet(id) };
        let len = c.len as u32;
        let ecn = ecn_of(c.bytes());
        if let Err(why) = self.judge(link, id) {
            self.links[link].lose(why);
            return self.lost(link, id, why);
        }
        match self.links[link].enqueue(self.now, Packet { id, len, ecn }) {
            Ok(()) => self.turn(link),
            Err(Lost::TooBig) => self.oversize(link, id),
            Err(why) => self.lost(link, id, why),
        }
    }

    /// Whether a packet comes as far as the link's queue.
    fn judge(&mut self, link: usize, id: u32) -> Result<(), Lost> {
        let Some(c) = self.carried[id as usize].as_mut() else { return Ok(()) };
        if let Some(lose) = &mut self.lose
            && let Ok(Some(p)) = TcpPacket::parse(c.bytes())
            && lose(link, &p)
        {
            return Err(Lost::Named);
        }
        let Some(b) = self.boxed[link] else { return Ok(()) };
        let node = c.node;
        match self.middleboxes[b].pass(self.now, c.bytes()) {
            Passage::Pass => Ok(()),
            Passage::Drop => Err(Lost::Forgotten),
            Passage::Reset => {
                let answer = reset(c.bytes());
                self.answer(node, answer);
                Err(Lost::Forgotten)
            }
        }
    }

    fn oversize(&mut self, link: usize, id: u32) {
        let model = &self.links[link].model;
        if model.oversize == Oversize::Tell
            && let Some(c) = self.carried[id as usize].as_mut()
        {
            let (node, mtu) = (c.node, model.mtu);
            let answer = too_big(c.bytes(), router_addresses(node), mtu);
            self.answer(node, answer);
        }
        self.lost(link, id, Lost::TooBig);
    }

    /// Sends what a router or a middlebox says, from the node where it stands. It takes its way from the next step on, so that
    /// no answer is worked on within another.
    fn answer(&mut self, node: usize, packet: Option<Vec<u8>>) {
        let Some(packet) = packet else { return };
        let Some(to) = destination(&packet).and_then(|a| self.host_of(a)) else { return };
        let mut buf = self.pool.take(packet.len());
        buf.as_mut_slice()[..packet.len()].copy_from_slice(&packet);
        let id = self.carry(Carried { buf, len: packet.len(), gso: 0, to, node });
        self.schedule(self.now, Event::Arrival(id));
    }

    /// A packet leaves the queue of a link.
    fn leave(&mut self, link: usize, id: u32, fate: Fate) {
        let a = match fate {
            Fate::Lost(why) => return self.lost(link, id, why),
            Fate::Arrives(a) => a,
        };
        let to_node = self.topology.links[link].to;
        let Some(c) = self.carried[id as usize].as_mut() else { return };
        c.node = to_node;
        if a.marked {
            mark_ce(c.bytes());
        }
        self.record(link, id, None);
        if let Some(at) = a.again {
            self.copy(id, at);
        }
        if a.corrupt {
            self.flip(id);
        }
        self.schedule(a.at, Event::Arrival(id));
    }

    /// The packet once more.
    fn copy(&mut self, id: u32, at: Instant) {
        let Some(c) = self.carried[id as usize].as_mut() else { return };
        let mut buf = self.pool.take(c.len);
        buf.as_mut_slice()[..c.len].copy_from_slice(&c.buf.as_mut_slice()[..c.len]);
        let copy = Carried { buf, ..*c };
        let id = self.carry(copy);
        self.schedule(at, Event::Arrival(id));
    }

    fn flip(&mut self, id: u32) {
        let Some(c) = self.carried[id as usize].as_mut() else { return };
        let bit = self.rng.below(c.len as u32 * 8) as usize;
        c.bytes()[bit / 8] ^= 1 << (bit % 8);
    }

    fn lost(&mut self, link: usize, id: u32, why: Lost) {
        self.record(link, id, Some(why));
        self.drop_packet(id);
    }

    fn record(&mut self, link: usize, id: u32, lost: Option<Lost>) {
        if self.watched[link]
            && let (Some(r), Some(c)) = (&mut self.records, self.carried[id as usize].as_mut())
        {
            r.push(Record { at: self.now, link, bytes: c.bytes().to_vec(), lost });
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.coming.push(Reverse((at, self.order, event)));
    }

    fn carry(&mut self, c: Carried) -> u32 {
        if let Some(id) = self.free.pop() {
            self.carried[id as usize] = Some(c);
            return id;
        }
        self.carried.push(Some(c));
        (self.carried.len() - 1) as u32
    }

    fn release(&mut self, id: u32) -> Option<Carried> {
        let c = self.carried.get_mut(id as usize)?.take();
        self.free.push(id);
        c
    }

    fn drop_packet(&mut self, id: u32) {
        if let Some(c) = self.release(id) {
            self.pool.give_buf(c.buf);
        }
    }

    /// The host with an address: its number is the address's last octet, less one.
    fn host_of(&self, a: IpAddr) -> Option<usize> {
        let (last, version) = match a {
            IpAddr::V4(a) => (a.octets()[3], 0),
            IpAddr::V6(a) => (a.octets()[15], 1),
        };
        let n = usize::from(last).checked_sub(1)?;
        self.hosts.get(n).filter(|h| h.addrs[version] == a).map(|_| n)
    }
}

/// A frame as it crosses the link: one piece, its checksum complete. Returns its length and the size of its segments.
fn materialize(f: &TxFrame<'_>, b: &mut [u8]) -> (usize, u16) {
    let len = f.copy_to(b);
    if let Checksum::Partial { start, offset } = f.checksum {
        let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
        let sum = Sum::ZERO.add(&b[start..len]).finish();
        b[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    (len, f.gso.map_or(0, |g| g.size))
}

/// The addresses of the router at a node, for what it has to say.
fn router_addresses(node: usize) -> [IpAddr; 2] {
    let n = node as u8; // two routers more than hosts at most, of which there are 250
    [IpAddr::from([198, 51, 100, n]), IpAddr::from([0xfd00, 100, 0, 0, 0, 0, 0, u16::from(n)])]
}
