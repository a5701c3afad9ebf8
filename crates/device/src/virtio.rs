//! The virtio-net header that TUN and packet sockets put before a frame: ten octets, native byte order (VIRTIO 1.2, 5.1.6).

/// What is to be done about a frame, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VirtioNetHdr {
    /// Sum from here to the end .. ; with `csum_offset`, only if the checksum is partial.
    pub csum: Option<(u16, u16)>,
    /// The checksum was verified.
    pub data_valid: bool,
    /// A super-segment: IPv4 or not, octets of text per piece, octets of headers. The last is a hint (VIRTIO 1.2,
    /// 5.1.6.4.1.1), that nothing is indexed by; 0 if it was not given.
    pub gso: Option<(bool, u16, u16)>,
}

impl VirtioNetHdr {
    /// Octets.
    pub const LEN: usize = 10;

    /// As the kernel reads it.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        if let Some((start, offset)) = self.csum {
            b[0] = NEEDS_CSUM;
            b[6..8].copy_from_slice(&start.to_ne_bytes());
            b[8..10].copy_from_slice(&offset.to_ne_bytes());
        }
        if let Some((v4, size, header_len)) = self.gso {
            b[1] = if v4 { GSO_TCPV4 } else { GSO_TCPV6 };
            b[2..4].copy_from_slice(&header_len.to_ne_bytes());
            b[4..6].copy_from_slice(&size.to_ne_bytes());
        }
        b
    }

    /// As the kernel wrote it, before a frame of `frame_len` octets; `None` if it contradicts itself or the frame.
    pub fn parse(b: &[u8; Self::LEN], frame_len: usize) -> Option<VirtioNetHdr> {
        let word = |at: usize| u16::from_ne_bytes([b[at], b[at + 1]]);
        let csum = (b[0] & NEEDS_CSUM != 0).then(|| (word(6), word(8)));
        if let Some((start, offset)) = csum
            && usize::from(start) + usize::from(offset) + 2 > frame_len
        {
            return None;
        }
        let (header_len, size) = (word(2), word(4));
        let gso = match b[1] & !GSO_ECN {
            0 => None,
            // Pieces have text, and headers end within the frame.
            GSO_TCPV4 | GSO_TCPV6 if size > 0 && usize::from(header_len) <= frame_len => {
                Some((b[1] & !GSO_ECN == GSO_TCPV4, size, header_len))
            }
            _ => return None,
        };
        Some(VirtioNetHdr { csum, data_valid: b[0] & DATA_VALID != 0, gso })
    }
}

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_contradictions() {
        let h = VirtioNetHdr { csum: Some((20, 16)), data_valid: false, gso: Some((true, 1448, 52)) };
        assert_eq!(VirtioNetHdr::parse(&h.to_bytes(), 2948), Some(h));
        assert_eq!(VirtioNetHdr::parse(&h.to_bytes(), 37), None, "the checksum lies beyond the frame");
        let mut b = h.to_bytes();
        b[4..6].copy_from_slice(&[0, 0]);
        assert_eq!(VirtioNetHdr::parse(&b, 2948), None, "pieces of no octets");
        for (header_len, frame, ok) in
            [(2949u16, 2948, false), (2948, 2948, true), (0, 2948, true), (u16::MAX, 60, false)]
        {
            let h = VirtioNetHdr { gso: Some((false, 1448, header_len)), ..VirtioNetHdr::default() };
            assert_eq!(
                VirtioNetHdr::parse(&h.to_bytes(), frame),
                ok.then_some(h),
                "headers of {header_len} in {frame}"
            );
        }
        b[1] = 3;
        assert_eq!(VirtioNetHdr::parse(&b, 2948), None, "a kind that was not asked for");
        assert_eq!(VirtioNetHdr::parse(&[0; 10], 60), Some(VirtioNetHdr::default()));
    }
}
