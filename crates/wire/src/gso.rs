//! What a network card does on the way out, for links that have none: super-segments are cut into packets that fit a wire,
//! partial checksums are completed.
//!
//! A kernel hands over TCP super-segments of up to 64 KiB with a size of pieces, and packets whose checksum field holds the
//! sum of the pseudo-header only; the virtio-net header before them says so (VIRTIO 1.2, 5.1.6). [`Cut`] and [`complete`]
//! make of them what TCP would have sent: each piece has its own lengths, identification, sequence number, flags and
//! checksums. What a link says is judged like what a peer says: a contradiction is an error, never a panic.
//!
//! Not here: UDP's super-segments and IPv4's partial header checksums, which no link of ours asks for.

use crate::checksum::{Sum, pseudo_v4, pseudo_v6};
use crate::field::{put, u16_at};
use crate::frame::Ip;
use crate::tcp::{self, Flags};
use crate::{Error, Protocol, Result};
use core::net::IpAddr;

/// A super-segment, cut piece by piece.
#[derive(Debug, Clone)]
pub struct Cut<'a> {
    /// The whole, without link padding.
    packet: &'a [u8],
    /// Where the TCP header begins, and where the text does.
    tcp: usize,
    text: usize,
    /// Octets of text in each piece but the last.
    size: usize,
    /// What has been cut off.
    done: usize,
    header: tcp::Header,
    /// The pseudo-header but for the length, which the last piece has for itself.
    pseudo: Sum,
}

impl<'a> Cut<'a> {
    /// Takes the IP packet `packet` to be cut into pieces of `size` octets of text. Its own checksums are not looked at:
    /// they are partial.
    pub fn new(packet: &'a [u8], size: u16) -> Result<Cut<'a>> {
        let ip = Ip::parse(packet)?;
        let declared = match ip.src {
            IpAddr::V4(_) => usize::from(u16_at(packet, 2)),
            IpAddr::V6(_) => crate::ipv6::HEADER_LEN + usize::from(u16_at(packet, 4)),
        };
        if declared != ip.end {
            return Err(Error::BadLength);
        }
        if ip.protocol != Protocol::TCP || ip.fragment || size == 0 {
            return Err(Error::BadOffload);
        }
        let packet = packet.get(..ip.end).ok_or(Error::BadLength)?;
        let header = tcp::Header::parse(packet.get(ip.offset..).ok_or(Error::BadLength)?)?;
        let text = ip.offset + usize::from(header.header_len);
        if text == packet.len() || header.flags.any(Flags::SYN | Flags::RST) {
            return Err(Error::BadOffload);
        }
        let pseudo = match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => pseudo_v4(src, dst, Protocol::TCP.0, 0),
            (IpAddr::V6(src), IpAddr::V6(dst)) => pseudo_v6(src, dst, Protocol::TCP.0, 0),
            _ => return Err(Error::BadVersion),
        };
        Ok(Cut { packet, tcp: ip.offset, text, size: usize::from(size), done: 0, header, pseudo })
    }

    /// Writes the next piece, a whole IP packet, to the front of `out`; its length, or `None` when all are cut. Without
    /// room nothing is cut off, and it can be asked again.
    pub fn next_into(&mut self, out: &mut [u8]) -> Result<Option<usize>> {
        let left = self.packet.len() - self.text - self.done;
        if left == 0 {
            return Ok(None);
        }
        let n = self.size.min(left);
        let len = self.text + n;
        let out = out.get_mut(..len).ok_or(Error::NoRoom)?;
        let from = self.text + self.done;
        out[..self.text].copy_from_slice(&self.packet[..self.text]);
        out[self.text..].copy_from_slice(&self.packet[from..from + n]);
        self.put_ip(out);
        let segment = &mut out[self.tcp..];
        put(segment, 4, &(self.header.seq + self.done as u32).0.to_be_bytes());
        segment[13] = flags_of_piece(self.header.flags, self.done == 0, n == left).0 as u8;
        tcp::Header::put_checksum(segment, 0);
        //= RFC 9293 3.1 MUST-2
        let sum = self.pseudo.add_u32(segment.len() as u32).add(segment);
        tcp::Header::put_checksum(segment, sum.finish());
        self.done += n;
        Ok(Some(len))
    }

    /// How many pieces there are in all.
    pub fn pieces(&self) -> usize {
        (self.packet.len() - self.text).div_ceil(self.size)
    }

    /// The length, and for IPv4 an identification and a checksum of its own.
    fn put_ip(&self, out: &mut [u8]) {
        let len = out.len();
        if out[0] >> 4 == 6 {
            put(out, 4, &((len - crate::ipv6::HEADER_LEN) as u16).to_be_bytes());
            return;
        }
        let number = (self.done / self.size) as u16;
        put(out, 2, &(len as u16).to_be_bytes());
        put(out, 4, &u16_at(self.packet, 4).wrapping_add(number).to_be_bytes());
        put(out, 10, &[0, 0]);
        let header = usize::from(out[0] & 0xf) * 4;
        let sum = Sum::ZERO.add(&out[..header]).finish();
        put(out, 10, &sum.to_be_bytes());
    }
}

/// The flags of one piece of a segment with `flags`: what ends the text stands on the last, and the answer to ECN-Echo, which
/// is to be counted once, on the first (RFC 3168 6.1.2).
#[inline]
pub const fn flags_of_piece(flags: Flags, first: bool, last: bool) -> Flags {
    let flags = if last { flags } else { flags.without(Flags(Flags::PSH.0 | Flags::FIN.0)) };
    if first { flags } else { flags.without(Flags::CWR) }
}

/// Completes a partial checksum: the sum from `start` to the end of `frame` is put to `offset` octets behind `start`, where
/// the sum of the pseudo-header stands.
pub fn complete(frame: &mut [u8], start: u16, offset: u16) -> Result<()> {
    let (start, offset) = (usize::from(start), usize::from(offset));
    let part = frame.get_mut(start..).ok_or(Error::BadOffload)?;
    if offset + 2 > part.len() || offset % 2 == 1 {
        return Err(Error::BadOffload);
    }
    // Zero means "none" in UDP (RFC 768), and all ones are the same number to whoever verifies.
    let sum = match Sum::ZERO.add(part).finish() {
        0 => 0xffff,
        sum => sum,
    };
    put(part, offset, &sum.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::TcpPacket;
    use crate::{SeqNum, ip::Ecn, ipv4, ipv6};
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const V4: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    const V6: (Ipv6Addr, Ipv6Addr) = (Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1), Ipv6Addr::LOCALHOST);

    /// A super-segment as the kernel hands it over: the checksum is that of the pseudo-header.
    fn whole(v6: bool, flags: Flags, options: &[u8], text: &[u8]) -> Vec<u8> {
        let ip_len = if v6 { ipv6::HEADER_LEN } else { ipv4::HEADER_LEN };
        let tcp_len = tcp::HEADER_LEN + options.len();
        let mut b = vec![0; ip_len + tcp_len + text.len()];
        let len = tcp_len + text.len();
        let partial = if v6 {
            let h = ipv6::Header {
                dscp: 0,
                ecn: Ecn::Ect0,
                flow_label: 7,
                payload_len: len as u16,
                next_header: Protocol::TCP,
                hop_limit: 64,
                src: V6.0,
                dst: V6.1,
            };
            h.emit(&mut b).unwrap();
            pseudo_v6(V6.0, V6.1, 6, len as u32)
        } else {
            let h = ipv4::Header {
                header_len: 20,
                dscp: 0,
                ecn: Ecn::Ect0,
                total_len: b.len() as u16,
                ident: 0xfffe,
                dont_fragment: true,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 64,
                protocol: Protocol::TCP,
                src: V4.0,
                dst: V4.1,
                source_routed: false,
            };
            h.emit(&mut b).unwrap();
            pseudo_v4(V4.0, V4.1, 6, len as u32)
        };
        let h = tcp::Header {
            src_port: 1000,
            dst_port: 80,
            seq: SeqNum(0xffff_fff0),
            ack: SeqNum(9),
            header_len: 0,
            flags,
            window: 64240,
            urgent: 0,
        };
        let n = h.emit(options, &mut b[ip_len..]).unwrap();
        b[ip_len + n..].copy_from_slice(text);
        tcp::Header::put_checksum(&mut b[ip_len..], partial.fold());
        b
    }

    fn is_intact(b: &[u8]) -> bool {
        let p = TcpPacket::parse(b).unwrap().unwrap();
        let segment = &b[p.ip.offset..];
        match (p.ip.src, p.ip.dst) {
            (IpAddr::V4(s), IpAddr::V4(d)) => {
                ipv4::Header::parse(b).is_ok()
                    && tcp::Header::checksum_ok(segment, pseudo_v4(s, d, 6, segment.len() as u32))
            }
            (IpAddr::V6(s), IpAddr::V6(d)) => {
                ipv6::Header::parse(b).is_ok()
                    && tcp::Header::checksum_ok(segment, pseudo_v6(s, d, 6, segment.len() as u32))
            }
            _ => false,
        }
    }

    fn cut(b: &[u8], size: u16) -> Result<Vec<Vec<u8>>> {
        let mut c = Cut::new(b, size)?;
        let mut all = Vec::new();
        let mut out = vec![0xaa; 65_535];
        while let Some(n) = c.next_into(&mut out)? {
            all.push(out[..n].to_vec());
        }
        assert_eq!(all.len(), c.pieces());
        Ok(all)
    }

    #[test]
    fn what_ends_the_text_stands_on_the_last_piece_and_cwr_on_the_first() {
        let flags = Flags::ACK | Flags::PSH | Flags::FIN | Flags::CWR | Flags::ECE;
        let all = cut(&whole(false, flags, &[], &[7; 3_000]), 1_448).unwrap();
        let seen: Vec<_> = all.iter().map(|b| TcpPacket::parse(b).unwrap().unwrap()).collect();
        assert_eq!(seen.iter().map(|p| p.payload.len()).collect::<Vec<_>>(), [1_448, 1_448, 104]);
        assert_eq!(seen[0].header.flags, Flags::ACK | Flags::ECE | Flags::CWR);
        assert_eq!(seen[1].header.flags, Flags::ACK | Flags::ECE);
        assert_eq!(seen[2].header.flags, Flags::ACK | Flags::ECE | Flags::PSH | Flags::FIN);
        assert_eq!(seen[2].header.seq, SeqNum(0xffff_fff0) + 2_896);
        let idents: Vec<_> = all.iter().map(|b| ipv4::Header::parse(b).unwrap().ident).collect();
        assert_eq!(idents, [0xfffe, 0xffff, 0], "each its own, and they wrap");
    }

    #[test]
    fn contradictions_are_named() {
        let b = whole(false, Flags::ACK, &[], &[7; 100]);
        assert_eq!(Cut::new(&b, 0).unwrap_err(), Error::BadOffload);
        assert_eq!(Cut::new(&b[..139], 50).unwrap_err(), Error::BadLength, "shorter than it says");
        assert_eq!(Cut::new(&whole(true, Flags::ACK, &[], &[7; 9])[..68], 50).unwrap_err(), Error::BadLength);
        assert_eq!(Cut::new(&whole(false, Flags::ACK, &[], &[]), 50).unwrap_err(), Error::BadOffload, "no text");
        assert_eq!(Cut::new(&whole(false, Flags::SYN, &[], &[7]), 50).unwrap_err(), Error::BadOffload);
        let mut udp = b.clone();
        udp[9] = 17;
        assert_eq!(Cut::new(&udp, 50).unwrap_err(), Error::BadOffload);
        let mut fragment = b.clone();
        fragment[6] |= 0x20;
        fragment[2..4].copy_from_slice(&132u16.to_be_bytes());
        assert_eq!(Cut::new(&fragment, 50).unwrap_err(), Error::BadOffload);
        let mut long = b.clone();
        long[32] = 0xf0;
        long[2..4].copy_from_slice(&60u16.to_be_bytes());
        assert_eq!(Cut::new(&long[..60], 50).unwrap_err(), Error::BadHeaderLength);
        assert_eq!(cut(&[b.clone(), vec![0; 6]].concat(), 50), cut(&b, 50), "link padding is no text");
    }

    #[test]
    fn without_room_nothing_is_lost() {
        let b = whole(false, Flags::ACK, &[], &[7; 100]);
        let mut c = Cut::new(&b, 60).unwrap();
        let mut out = [0; 100];
        assert_eq!(c.next_into(&mut out[..99]), Err(Error::NoRoom));
        assert_eq!(
            (c.next_into(&mut out), c.next_into(&mut out), c.next_into(&mut out)),
            (Ok(Some(100)), Ok(Some(80)), Ok(None))
        );
    }

    #[test]
    fn a_partial_checksum_is_completed() {
        for v6 in [false, true] {
            let mut b = whole(v6, Flags::ACK, &[1, 1, 1, 0], b"abc");
            assert!(!is_intact(&b));
            complete(&mut b, if v6 { 40 } else { 20 }, 16).unwrap();
            assert!(is_intact(&b));
        }
        let mut b = [0; 10];
        for (start, offset) in [(11, 0), (10, 0), (0, 9), (0, 3), (u16::MAX, u16::MAX)] {
            assert_eq!(complete(&mut b, start, offset), Err(Error::BadOffload), "{start} {offset}");
        }
        // A sum of nothing but zeros: not the "none" of UDP.
        let mut b = [0xff, 0xff, 0, 0];
        complete(&mut b, 0, 2).unwrap();
        assert_eq!(b, [0xff; 4]);
    }

    proptest! {
        #[test]
        fn pieces_put_together_give_the_original(
            v6 in any::<bool>(), bits in 0u16..512, words in 0usize..11,
            text in proptest::collection::vec(any::<u8>(), 1..9_000), size in 1u16..3_000,
        ) {
            let flags = Flags(bits).without(Flags::SYN | Flags::RST);
            let options = vec![1; words * 4];
            let b = whole(v6, flags, &options, &text);
            let all = cut(&b, size.max(text.len() as u16 / 64 + 1)).unwrap();
            let mut together = Vec::new();
            for (i, piece) in all.iter().enumerate() {
                prop_assert!(is_intact(piece));
                let p = TcpPacket::parse(piece).unwrap().unwrap();
                prop_assert_eq!(p.ip.end, piece.len());
                prop_assert_eq!(p.option_bytes, &options[..]);
                prop_assert_eq!(p.header.seq, SeqNum(0xffff_fff0) + together.len() as u32);
                prop_assert_eq!(p.header.flags, flags_of_piece(flags, i == 0, i + 1 == all.len()));
                let rest = tcp::Header { seq: SeqNum(0xffff_fff0), flags, ..p.header };
                prop_assert_eq!(rest, TcpPacket::parse(&b).unwrap().unwrap().header);
                together.extend_from_slice(p.payload);
            }
            prop_assert_eq!(together, text);
        }

        #[test]
        fn anything_is_cut_or_refused_without_panic(
            mut b in proptest::collection::vec(any::<u8>(), 0..200), v in 0u8..3, tcp in any::<bool>(), fits in any::<bool>(),
            size in 0u16..100, room in 0usize..250, start in any::<u16>(), offset in 0u16..300,
        ) {
            let len = b.len();
            if let Some(first) = b.first_mut() {
                *first = match v { 0 => 0x45, 1 => 0x60, _ => *first };
            }
            if tcp && len > 9 {
                b[if v == 1 { 6 } else { 9 }] = 6;
            }
            if fits && len >= 40 {
                let (at, n) = if v == 1 { (4, len - 40) } else { (2, len) };
                b[at..at + 2].copy_from_slice(&(n as u16).to_be_bytes());
            }
            if let Ok(mut c) = Cut::new(&b, size) {
                let mut out = vec![0; room];
                while let Ok(Some(n)) = c.next_into(&mut out) {
                    prop_assert!(n <= room);
                }
            }
            let _ = complete(&mut b, start % 250, offset);
        }
    }
}
