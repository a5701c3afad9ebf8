//! A segment as it arrives.

use crate::buf::Chunk;
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{Flags, Header, Options};

/// An arriving segment: parsed, its checksum verified, its text still in the buffer it came in.
#[derive(Debug, Clone)]
pub struct Segment {
    /// The fixed header.
    pub hdr: Header,
    /// The options.
    pub opts: Options,
    /// The text. Whoever keeps it takes it; what is left goes back to the pool.
    pub payload: Chunk,
    /// The segment size of a super-segment that the link or we put together; 0 if it came as one.
    pub gro: u16,
    /// The ECN field of its packet.
    pub ecn: Ecn,
}

impl Segment {
    /// SEG.SEQ.
    pub fn seq(&self) -> SeqNum {
        self.hdr.seq
    }

    /// SEG.LEN: octets of text, SYN and FIN counted (RFC 9293 3.4).
    pub fn len(&self) -> u32 {
        self.payload.len() as u32 + u32::from(self.has(Flags::SYN)) + u32::from(self.has(Flags::FIN))
    }

    /// Whether it occupies no sequence space.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number after the last one it occupies.
    pub fn end(&self) -> SeqNum {
        self.hdr.seq + self.len()
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: Flags) -> bool {
        self.hdr.flags.has(flags)
    }

    /// Cuts what lies before `left` (a retransmission that overlaps) and what lies beyond `right`: afterwards the
    /// segment lies in `left..right`. A SYN or FIN that is cut away loses its bit (RFC 9293 3.10.7.4, first).
    //= RFC 9293 3.10.7.4: only the new parts, and those in the window
    pub fn trim(&mut self, left: SeqNum, right: SeqNum) {
        if self.hdr.seq.lt(left) {
            let mut cut = left.since(self.hdr.seq);
            if self.has(Flags::SYN) {
                self.hdr.flags = self.hdr.flags.without(Flags::SYN);
                cut -= 1;
            }
            if cut > self.payload.len() as u32 {
                self.hdr.flags = self.hdr.flags.without(Flags::FIN);
            }
            self.payload.advance(cut as usize);
            self.hdr.seq = left;
        }
        if right.lt(self.end()) {
            self.hdr.flags = self.hdr.flags.without(Flags::FIN | Flags::PSH);
            let syn = u32::from(self.has(Flags::SYN));
            self.payload.truncate(right.since(self.hdr.seq).saturating_sub(syn) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seg(seq: u32, flags: Flags, n: usize) -> Segment {
        Segment {
            hdr: Header {
                src_port: 1,
                dst_port: 2,
                seq: SeqNum(seq),
                ack: SeqNum(0),
                header_len: 20,
                flags,
                window: 0,
                urgent: 0,
            },
            opts: Options::default(),
            payload: Chunk::copy_of(&[b'x'; 64][..n]),
            gro: 0,
            ecn: Ecn::NotEct,
        }
    }

    #[test]
    fn trimming_at_both_edges_and_across_the_wrap() {
        for base in [0u32, 1000, u32::MAX - 4] {
            let at = |n: u32| SeqNum(base) + n;
            let mut s = seg(base, Flags::FIN, 10);
            assert_eq!((s.len(), s.end()), (11, at(11)));
            s.trim(at(4), at(100));
            assert_eq!((s.seq(), s.payload.len(), s.has(Flags::FIN)), (at(4), 6, true));
            s.trim(at(4), at(10));
            assert_eq!((s.payload.len(), s.has(Flags::FIN)), (6, false), "the FIN lies beyond the right edge");
            s.trim(at(4), at(7));
            assert_eq!(s.payload.len(), 3);
            let mut s = seg(base, Flags::FIN, 10);
            s.trim(at(10), at(100));
            assert_eq!((s.seq(), s.payload.len(), s.has(Flags::FIN)), (at(10), 0, true), "only the FIN is left");
            let mut s = seg(base, Flags::SYN, 10);
            s.trim(at(1), at(100));
            assert_eq!((s.seq(), s.payload.len(), s.has(Flags::SYN)), (at(1), 10, false));
        }
    }
}
