//! Capture files. Written here: pcapng with nanosecond timestamps and a comment per packet, which tcpdump and Wireshark
//! open. Reading comes with the tracer.
#![forbid(unsafe_code)]

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::{DataLink, PcapError};
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

/// What the packets of an interface begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// An IP header (LINKTYPE_RAW).
    Ip,
    /// An Ethernet header.
    Ethernet,
}

/// A pcapng file that is being written, with one interface.
pub struct PcapNg<W: Write> {
    writer: PcapNgWriter<W>,
}

impl<W: Write> std::fmt::Debug for PcapNg<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcapNg").finish_non_exhaustive()
    }
}

impl<W: Write> PcapNg<W> {
    /// Begins a file with an interface called `name`.
    pub fn new(out: W, link: LinkType, name: &str) -> io::Result<Self> {
        let mut writer = PcapNgWriter::new(out).map_err(cause)?;
        let linktype = match link {
            LinkType::Ip => DataLink::RAW,
            LinkType::Ethernet => DataLink::ETHERNET,
        };
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name.to_string())),
            InterfaceDescriptionOption::IfTsResol(9),
        ];
        writer.write_pcapng_block(InterfaceDescriptionBlock { linktype, snaplen: 0, options }).map_err(cause)?;
        Ok(PcapNg { writer })
    }

    /// Writes a packet: its time since the Unix epoch, its octets, and a comment if there is something to say.
    pub fn packet(&mut self, at: Duration, bytes: &[u8], comment: Option<&str>) -> io::Result<()> {
        let options = comment.map(|c| EnhancedPacketOption::Comment(Cow::Borrowed(c))).into_iter().collect();
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: at,
            original_len: bytes.len() as u32,
            data: Cow::Borrowed(bytes),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(cause)?;
        Ok(())
    }

    /// Ends the file.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.writer.into_inner();
        out.flush()?;
        Ok(out)
    }
}

/// What the file said, where it is the file.
fn cause(e: PcapError) -> io::Error {
    match e {
        PcapError::IoError(e) => e,
        e => io::Error::other(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_timestamps_are_nanoseconds() {
        let mut f = PcapNg::new(Vec::new(), LinkType::Ip, "synfin0").unwrap();
        f.packet(Duration::from_nanos(5_000_000_123), &[0x45, 0, 0], Some("LISTEN -> SYN-RECEIVED")).unwrap();
        let b = f.finish().unwrap();
        assert_eq!(b.len() % 4, 0);
        // Section header, interface description, enhanced packet.
        let mut at = 0;
        let mut kinds = Vec::new();
        let word = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let le = u32::from_le_bytes([b[8], b[9], b[10], b[11]]) == 0x1a2b_3c4d;
        let get = |at: usize| if le { word(at).swap_bytes() } else { word(at) };
        while at < b.len() {
            kinds.push(get(at));
            let len = get(at + 4) as usize;
            if get(at) == 6 {
                let ts = u64::from(get(at + 12)) << 32 | u64::from(get(at + 16));
                assert_eq!(ts, 5_000_000_123);
            }
            at += len;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6]);
        assert!(b.windows(6).any(|w| w == b"LISTEN"));
    }
}
