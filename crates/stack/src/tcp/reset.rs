//! Resets, and other segments without a connection: made whole and sent like any packet.

use super::Tuple;
use crate::ip::output::{Mark, pseudo};
use crate::stack::Stack;
use alloc::vec;
use synfin_tcp::Instant;
use synfin_tcp::Segment;
use synfin_tcp::arrives::closed::{Reset, reset_for};
use synfin_wire::tcp::{Flags, Header, OptionsBuf};
use synfin_wire::{Protocol, SeqNum};

/// The settings of the host, by their number.
const HOST: u16 = 0;

impl Stack {
    /// Answers a segment that belongs to nobody, as far as the rate allows.
    pub(crate) fn refuse(&mut self, now: Instant, tuple: Tuple, seg: &Segment) {
        if let Some(r) = reset_for(seg) {
            self.send_reset(now, tuple, r, HOST);
        }
    }

    /// Sends a reset, as far as the rate allows, as a connection with settings of number `cfg` would.
    pub(crate) fn send_reset(&mut self, now: Instant, tuple: Tuple, r: Reset, cfg: u16) {
        if !self.reset_buckets.take(now, &self.secret, tuple.remote.ip()) {
            self.mib.rst_limited += 1;
            return;
        }
        self.tcp_mib.out_rsts += 1;
        let hdr = synfin_tcp_header(r.seq, r.ack, r.flags, 0);
        self.send_bare(now, tuple, hdr, &OptionsBuf::default(), cfg);
    }

    /// Sends a segment without text, likewise.
    pub(crate) fn send_bare(&mut self, now: Instant, tuple: Tuple, mut hdr: Header, opts: &OptionsBuf, cfg: u16) {
        hdr.src_port = tuple.local.port();
        hdr.dst_port = tuple.remote.port();
        self.tcp_mib.out_segs += 1;
        let mut b = vec![0; 20 + opts.len()];
        let _ = hdr.emit(opts.as_slice(), &mut b);
        let (src, dst) = (tuple.local.ip(), tuple.remote.ip());
        //= RFC 9293 3.1 MUST-2
        let sum = pseudo(src, dst, Protocol::TCP, b.len() as u32).add(&b).finish();
        Header::put_checksum(&mut b, sum);
        let mark = Mark::of(&self.configs[cfg], self.cfg.hop_limit);
        let _ = self.send_ip(now, src, dst, Protocol::TCP, mark, &b); // what is lost is counted there
    }
}

fn synfin_tcp_header(seq: SeqNum, ack: SeqNum, flags: Flags, window: u16) -> Header {
    Header { src_port: 0, dst_port: 0, seq, ack, header_len: 20, flags, window, urgent: 0 }
}
