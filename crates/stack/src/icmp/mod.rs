//! ICMP of both versions: echo, errors in and out (rate-limited), and the neighbor discovery of IPv6 beside ARP.

pub(crate) mod echo;
mod neighbor_discovery;

use crate::ip::input::Arrival;
use crate::ip::output::{Mark, ip_header_len, pseudo, put_ip_header};
use crate::stack::Stack;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::{Chunk, Instant, Probe};
use synfin_wire::frame::{may_answer_with_error, quoted};
use synfin_wire::icmp::{Message, emit_v4, emit_v6, parse_v4, parse_v6};
use synfin_wire::{Error, Protocol, SeqNum};

/// The packet as an error is to quote it: a header like the one it had, and the beginning of its payload.
pub(crate) fn requote(at: &Arrival, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let head = ip_header_len(at.src);
    let mut b = vec![0; head + payload.len().min(1232)];
    put_ip_header(&mut b, at.src, at.dst, protocol, payload.len(), at.hop_limit);
    let n = b.len() - head;
    b[head..].copy_from_slice(&payload[..n]);
    b
}

impl Stack {
    pub(crate) fn icmp_in<P: Probe>(&mut self, now: Instant, probe: &mut P, at: Arrival, payload: Chunk, many: bool) {
        self.mib.icmp_in += 1;
        if self.icmp_message(now, probe, &at, payload.as_slice(), many).is_err() {
            self.mib.icmp_in_errors += 1;
        }
        self.pool.give(payload);
    }

    fn icmp_message<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        at: &Arrival,
        b: &[u8],
        many: bool,
    ) -> Result<(), Error> {
        let message = if at.src.is_ipv4() {
            parse_v4(b)?
        } else {
            let sum = pseudo(at.src, at.dst, Protocol::ICMPV6, b.len() as u32);
            let m = parse_v6(b, sum)?;
            if self.neighbor_discovery(now, at, b)? {
                return Ok(());
            }
            m
        };
        match message {
            // A broadcast echo is not answered: it is how one packet becomes many (RFC 1122 3.2.2.6 allows that).
            Message::EchoRequest(id, seq, data) if self.cfg.answer_echo && !many => {
                self.send_icmp(now, at.dst, at.src, &Message::EchoReply(id, seq, data));
            }
            Message::EchoReply(id, seq, data) => self.echo_reply(now, at, id, seq, data),
            // An echo request has no port: who sent it is known by its identifier.
            _ if self.echo_error(now, at, &message) => {}
            Message::Unreachable(why, q) => self.icmp_about(now, probe, IcmpError::Unreachable(why), 0, q)?,
            Message::TimeExceeded(_, q) | Message::ParameterProblem(_, _, q) => {
                self.icmp_about(now, probe, IcmpError::Other, 0, q)?;
            }
            Message::PacketTooBig(mtu, q) => self.icmp_about(now, probe, IcmpError::TooBig(0), mtu, q)?,
            Message::Other(130, _) if at.src.is_ipv6() => self.mld_query(now, at, b)?,
            // Silently dropped (RFC 6633). Redirects: one router is as good as another.
            //= RFC 9293 3.9.2.2 MUST-55
            Message::SourceQuench(_) | Message::Redirect(_) => self.mib.icmp_in_ignored += 1,
            _ => {}
        }
        Ok(())
    }

    /// An error about a packet that claims to be ours.
    fn icmp_about<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        error: IcmpError,
        mtu: u32,
        q: &[u8],
    ) -> Result<(), Error> {
        let (protocol, local, remote, seq) = quoted(q)?;
        let used = match protocol {
            Protocol::TCP => self.tcp_icmp(now, probe, error, mtu, local, remote, seq),
            _ => self.udp_icmp(error, local, remote),
        };
        self.mib.icmp_in_ignored += u64::from(!used);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // the parts of one message
    fn tcp_icmp<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        error: IcmpError,
        mtu: u32,
        local: SocketAddr,
        remote: SocketAddr,
        seq: SeqNum,
    ) -> bool {
        if !matches!(error, IcmpError::TooBig(_)) {
            return self.tcp_on_icmp(now, probe, error, local, remote, seq);
        }
        // Below the least MTU of IPv6 there is nothing to obey; below that of IPv4 nothing to reduce to; a router that does
        // not tell means the next plateau.
        //= RFC 8201 4
        //= RFC 1191 3
        //= RFC 1191 7.1
        const PLATEAUS: [u32; 10] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];
        let mtu = match (local.is_ipv4(), mtu) {
            (false, ..1280) => return false,
            (true, 0) => {
                let known = self.route(remote.ip()).map_or(1_500, |r| self.path_mtu(remote.ip(), r.link));
                PLATEAUS.into_iter().find(|p| *p < known).unwrap_or(68)
            }
            (_, told) => told.max(68),
        };
        let headers = ip_header_len(remote.ip()) as u32 + 20;
        let mss = (mtu - headers).min(u32::from(u16::MAX)) as u16;
        if !self.tcp_on_icmp(now, probe, IcmpError::TooBig(mss), local, remote, seq) {
            return false;
        }
        self.paths.learn(remote.ip(), mtu, now, self.cfg.max_paths);
        true
    }

    /// Sends an ICMP message.
    pub(crate) fn send_icmp(&mut self, now: Instant, src: IpAddr, dst: IpAddr, m: &Message<'_>) -> bool {
        let hops = self.cfg.hop_limit;
        self.send_icmp_as_far_as(now, src, dst, hops, m)
    }

    /// Sends one with a hop limit of its own.
    pub(crate) fn send_icmp_as_far_as(
        &mut self,
        now: Instant,
        src: IpAddr,
        dst: IpAddr,
        hops: u8,
        m: &Message<'_>,
    ) -> bool {
        let room = 8 + m.quoted().map_or(0, <[u8]>::len).max(match m {
            Message::EchoReply(_, _, d) | Message::EchoRequest(_, _, d) => d.len(),
            _ => 0,
        });
        let mut b = vec![0; room];
        let (protocol, done) = if dst.is_ipv4() {
            (Protocol::ICMP, emit_v4(m, &mut b))
        } else {
            (Protocol::ICMPV6, emit_v6(m, |n| pseudo(src, dst, Protocol::ICMPV6, n), &mut b))
        };
        let Ok(n) = done else { return false };
        self.mib.icmp_out += 1;
        self.send_ip(now, src, dst, protocol, Mark::plain(hops), &b[..n]).is_ok()
    }

    /// Sends an ICMP error about `packet` (IP header first) to its source `src`, if one may be sent, as far as the
    /// rate allows. It quotes as much as keeps it under 576 (RFC 1812 4.3.2.3) or 1280 octets (RFC 4443 2.4 (c)).
    pub(crate) fn icmp_error(
        &mut self,
        now: Instant,
        src: IpAddr,
        dst: IpAddr,
        make: impl Fn(&[u8]) -> Message<'_>,
        packet: &[u8],
    ) {
        if !may_answer_with_error(packet) {
            return;
        }
        if !self.icmp_bucket.take(now) {
            self.mib.icmp_out_limited += 1;
            return;
        }
        let most = if src.is_ipv4() { 576 - 28 } else { 1280 - 48 };
        let q = &packet[..packet.len().min(most)];
        let from = if dst.is_multicast() { self.source_for(src, now) } else { Some(dst) };
        if let Some(from) = from {
            self.send_icmp(now, from, src, &make(q));
        }
    }
}
