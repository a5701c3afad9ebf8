//! A middlebox on a link: a firewall or an address translator that knows the flows it has seen begin, and forgets those that
//! are idle for too long. What it does not know does not pass.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use synfin_stack::engine::Instant;
use synfin_stack::wire::frame::TcpPacket;
use synfin_stack::wire::tcp::Flags;

/// What becomes of a segment at a middlebox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It passes.
    Pass,
    /// It is lost.
    Drop,
    /// It is lost, and its sender gets a RST.
    Reset,
}

/// The memory of a middlebox. Both directions of a link pass through the same one.
#[derive(Debug, Clone)]
pub struct Middlebox {
    /// A flow idle for longer is forgotten.
    pub idle: Duration,
    /// Whether the sender of a segment without a flow gets a RST.
    pub resets: bool,
    /// How many flows have been forgotten and then missed.
    pub forgotten: u64,
    /// The last sign of life of each flow, under its two ends in their order.
    flows: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    max_flows: usize,
}

impl Middlebox {
    /// A middlebox that knows nothing. It remembers up to `max_flows`; when all are alive, no other begins.
    pub fn new(idle: Duration, resets: bool, max_flows: usize) -> Middlebox {
        Middlebox { idle, resets, forgotten: 0, flows: BTreeMap::new(), max_flows }
    }

    /// What becomes of `packet` at `now`. What is no TCP segment passes.
    pub fn pass(&mut self, now: Instant, packet: &[u8]) -> Passage {
        let Ok(Some(p)) = TcpPacket::parse(packet) else { return Passage::Pass };
        let (a, b) = (p.src(), p.dst());
        let key = if a < b { (a, b) } else { (b, a) };
        if let Some(seen) = self.flows.get_mut(&key) {
            if now.since(*seen) <= self.idle {
                *seen = now;
                return Passage::Pass;
            }
            self.flows.remove(&key);
            self.forgotten += 1;
        }
        if p.header.flags.has(Flags::SYN) && self.room(now) {
            self.flows.insert(key, now);
            return Passage::Pass;
        }
        // RFC 9293 3.5.2: a reset is never answered by one.
        if self.resets && !p.header.flags.has(Flags::RST) { Passage::Reset } else { Passage::Drop }
    }

    fn room(&mut self, now: Instant) -> bool {
        if self.flows.len() >= self.max_flows {
            let idle = self.idle;
            self.flows.retain(|_, seen| now.since(*seen) <= idle);
        }
        self.flows.len() < self.max_flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use synfin_stack::wire::SeqNum;
    use synfin_stack::wire::frame::emit_tcp_v4;
    use synfin_stack::wire::tcp::Header;

    fn segment(port: u16, back: bool, flags: Flags) -> Vec<u8> {
        let (a, b) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let (ips, ports) = if back { ((b, a), (80, port)) } else { ((a, b), (port, 80)) };
        let h = Header {
            src_port: ports.0,
            dst_port: ports.1,
            seq: SeqNum(1),
            ack: SeqNum(1),
            header_len: 0,
            flags,
            window: 100,
            urgent: 0,
        };
        let mut b = vec![0; 40];
        emit_tcp_v4(ips, &h, &[], &[], &mut b).unwrap();
        b
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn a_flow_lives_as_long_as_either_end_speaks() {
        let mut m = Middlebox::new(Duration::from_secs(10), false, 8);
        assert_eq!(m.pass(at(0), &segment(1, false, Flags::ACK)), Passage::Drop, "it has not seen it begin");
        assert_eq!(m.pass(at(0), &segment(1, false, Flags::SYN)), Passage::Pass);
        for (s, back) in [(5, true), (15, false), (25, true)] {
            assert_eq!(m.pass(at(s), &segment(1, back, Flags::ACK)), Passage::Pass);
        }
        assert_eq!(m.pass(at(36), &segment(1, false, Flags::ACK)), Passage::Drop);
        assert_eq!((m.forgotten, m.pass(at(37), &segment(1, false, Flags::SYN))), (1, Passage::Pass));
        assert_eq!(m.pass(at(37), b"no packet"), Passage::Pass);
    }

    #[test]
    fn a_reset_is_not_answered() {
        let mut m = Middlebox::new(Duration::from_secs(10), true, 8);
        assert_eq!(m.pass(at(0), &segment(1, false, Flags::ACK)), Passage::Reset);
        assert_eq!(m.pass(at(0), &segment(1, false, Flags::RST)), Passage::Drop);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut m = Middlebox::new(Duration::from_secs(10), false, 2);
        let mut syn = |s, port| m.pass(at(s), &segment(port, false, Flags::SYN));
        assert_eq!([syn(0, 1), syn(0, 2), syn(5, 3)], [Passage::Pass, Passage::Pass, Passage::Drop]);
        assert_eq!(syn(11, 3), Passage::Pass, "the idle ones made room");
    }
}
