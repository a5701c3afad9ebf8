//! Packets of a script as octets, and octets as packets of a script.

use super::flow::Flow;
use crate::script::icmp::icmp_numbers;
use crate::script::{Ecn as ScriptEcn, Icmp, IcmpQuote, Opt, Options, Packet, TcpSpec};
use std::net::{IpAddr, SocketAddr};
use synfin_stack::wire::checksum::{Sum, pseudo_v4, pseudo_v6};
use synfin_stack::wire::ip::Ecn;
use synfin_stack::wire::tcp::{Flags, Header};
use synfin_stack::wire::{Protocol, SeqNum, ipv4, ipv6, udp};

fn pseudo(src: IpAddr, dst: IpAddr, protocol: Protocol, len: usize) -> Sum {
    match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => pseudo_v4(s, d, protocol.0, len as u32),
        (IpAddr::V6(s), IpAddr::V6(d)) => pseudo_v6(s, d, protocol.0, len as u32),
        _ => Sum::ZERO,
    }
}

/// The IP header fields that a script may set.
#[derive(Debug, Clone, Copy, Default)]
struct IpFields {
    tos: u8,
    ttl: u8,
    flow_label: u32,
}

impl IpFields {
    fn of(p: &Packet) -> IpFields {
        let ecn = match p.ecn {
            None | Some(ScriptEcn::NotEct) => 0,
            Some(ScriptEcn::Ect1) => 1,
            Some(ScriptEcn::Ect0 | ScriptEcn::Ect01) => 2,
            Some(ScriptEcn::Ce) => 3,
        };
        IpFields { tos: p.tos.unwrap_or(ecn), ttl: p.ttl.unwrap_or(255), flow_label: p.flow_label.unwrap_or(0) }
    }
}

fn ecn(tos: u8) -> Ecn {
    [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce][usize::from(tos & 3)]
}

/// An IP packet; `None` if it is longer than any can be.
fn ip_packet(src: IpAddr, dst: IpAddr, protocol: Protocol, f: IpFields, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; 40];
    let n = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4::Header {
            header_len: 20,
            dscp: f.tos >> 2,
            ecn: ecn(f.tos),
            total_len: u16::try_from(20 + body.len()).ok()?,
            ident: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl: f.ttl,
            protocol,
            src,
            dst,
            source_routed: false,
        }
        .emit(&mut out),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6::Header {
            dscp: f.tos >> 2,
            ecn: ecn(f.tos),
            flow_label: f.flow_label,
            payload_len: u16::try_from(body.len()).ok()?,
            next_header: protocol,
            hop_limit: f.ttl,
            src,
            dst,
        }
        .emit(&mut out),
        _ => return None,
    };
    out.truncate(n.ok()?);
    out.extend_from_slice(body);
    Some(out)
}

fn flags_of(t: &TcpSpec) -> Flags {
    let mut f = t.flags;
    if let Some(ace) = t.ace {
        for (bit, flag) in [(4, Flags::AE), (2, Flags::CWR), (1, Flags::ECE)] {
            if ace & bit != 0 {
                f |= flag;
            }
        }
    }
    f
}

/// What cannot be sent as the script has it.
pub(super) type Impossible = String;

const TOO_LONG: &str = "this packet is too long: 65,535 octets is the most";

/// Text that no packet can hold is not even made.
fn fits(len: u32) -> Result<(), Impossible> {
    if len > 65_535 { Err(TOO_LONG.into()) } else { Ok(()) }
}

/// The segment that arrives, with its numbers mapped.
pub(super) fn segment(p: &Packet, t: &TcpSpec, flow: &Flow, ecr_scaled: bool) -> Result<Vec<u8>, Impossible> {
    fits(t.len)?;
    let syn = t.flags.has(Flags::SYN);
    let (remote, local) = (flow.remote_offset(syn), flow.local_offset(syn));
    let mut options = Vec::new();
    if let Options::These(list) = &t.options {
        for o in list {
            let o = match o {
                Opt::Sack(b) => {
                    Opt::Sack(b.iter().map(|(l, r)| (l.wrapping_add(local), r.wrapping_add(local))).collect())
                }
                Opt::Timestamps(val, ecr) => Opt::Timestamps(*val, echo(flow, *ecr, ecr_scaled)?),
                other => other.clone(),
            };
            options.extend(o.bytes());
        }
    }
    let header = Header {
        src_port: t.ports.map_or(flow.remote.port(), |p| p.0),
        dst_port: t.ports.map_or(flow.local.port(), |p| p.1),
        seq: SeqNum(if t.absolute_seq { t.seq } else { t.seq.wrapping_add(remote) }),
        ack: SeqNum(t.ack.map_or(0, |a| if t.flags.has(Flags::ACK) { a.wrapping_add(local) } else { a })),
        header_len: 20,
        flags: flags_of(t),
        window: t.win.unwrap_or(0),
        urgent: t.urg,
    };
    let mut body = vec![0; 60];
    let n = header.emit(&options, &mut body).map_err(|e| e.to_string())?;
    body.truncate(n);
    body.resize(n + t.len as usize, 0);
    let (src, dst) = (flow.remote.ip(), flow.local.ip());
    let sum = pseudo(src, dst, Protocol::TCP, body.len()).add(&body).finish();
    Header::put_checksum(&mut body, sum);
    ip_packet(src, dst, Protocol::TCP, IpFields::of(p), &body).ok_or_else(|| TOO_LONG.into())
}

/// The live value that `ecr` of a script stands for.
fn echo(flow: &Flow, ecr: u32, scaled: bool) -> Result<u32, Impossible> {
    if let Some(live) = flow.vals.get(&ecr) {
        return Ok(*live);
    }
    match flow.first_val {
        Some((script, live)) if scaled => Ok(live.wrapping_add(ecr.wrapping_sub(script))),
        _ if ecr == 0 => Ok(0),
        _ => Err(format!("ecr {ecr}: no segment with this TSval has left")),
    }
}

/// The datagram that arrives.
pub(super) fn datagram(p: &Packet, ports: Option<(u16, u16)>, len: u32, flow: &Flow) -> Result<Vec<u8>, Impossible> {
    fits(len)?;
    let total = u16::try_from(8 + len).map_err(|_| TOO_LONG)?;
    let (src_port, dst_port) = ports.unwrap_or((flow.remote.port(), flow.local.port()));
    let mut body = vec![0; usize::from(total)];
    udp::Header { src_port, dst_port, len: total, checksum: 0 }.emit(&mut body).map_err(|e| e.to_string())?;
    let (src, dst) = (flow.remote.ip(), flow.local.ip());
    let sum = pseudo(src, dst, Protocol::UDP, body.len()).add(&body).finish();
    body[6..8].copy_from_slice(&if sum == 0 { 0xffff } else { sum }.to_be_bytes());
    ip_packet(src, dst, Protocol::UDP, IpFields::of(p), &body).ok_or_else(|| TOO_LONG.into())
}

/// Whether a message of this type is an error, which quotes the packet that it is about.
pub(super) fn is_icmp_error(kind: u8, v6: bool) -> bool {
    if v6 { kind < 128 } else { matches!(kind, 3 | 4 | 5 | 11 | 12) }
}

/// The ICMP message that arrives.
pub(super) fn icmp(p: &Packet, i: &Icmp, flow: &Flow) -> Result<Vec<u8>, Impossible> {
    let v6 = flow.local.is_ipv6();
    let (kind, code) = icmp_numbers(i, v6)?;
    let mut body = vec![kind, code, 0, 0, 0, 0, 0, 0];
    if let Some(mtu) = i.mtu {
        body[4..8].copy_from_slice(&mtu.to_be_bytes());
    }
    if let Some(id) = i.id {
        body[4..6].copy_from_slice(&id.to_be_bytes());
    }
    if let Some(IcmpQuote::Raw(n) | IcmpQuote::Tcp(_, n) | IcmpQuote::Udp(n)) = i.quote {
        fits(n)?;
    }
    let quote = i.quote.unwrap_or(if is_icmp_error(kind, v6) { IcmpQuote::Tcp(0, 0) } else { IcmpQuote::Raw(0) });
    match quote {
        IcmpQuote::Raw(n) => body.resize(8 + n as usize, 0),
        IcmpQuote::Tcp(seq, len) => {
            let mut quoted = [flow.local.port().to_be_bytes(), flow.remote.port().to_be_bytes()].concat();
            quoted.extend_from_slice(&seq.wrapping_add(flow.local_offset(seq == 0)).to_be_bytes());
            quoted.resize(20, 0);
            quoted[12] = 5 << 4;
            body.extend(quote_packet(flow, Protocol::TCP, &quoted, 20 + len as usize)?);
        }
        IcmpQuote::Udp(len) => {
            let mut quoted = [flow.local.port().to_be_bytes(), flow.remote.port().to_be_bytes()].concat();
            quoted.extend_from_slice(&((8 + len) as u16).to_be_bytes());
            quoted.extend_from_slice(&[0, 0]);
            body.extend(quote_packet(flow, Protocol::UDP, &quoted, 8 + len as usize)?);
        }
    }
    let protocol = if v6 { Protocol::ICMPV6 } else { Protocol::ICMP };
    let (src, dst) = (flow.remote.ip(), flow.local.ip());
    let start = if v6 { pseudo(src, dst, protocol, body.len()) } else { Sum::ZERO };
    let sum = start.add(&body).finish();
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    ip_packet(src, dst, protocol, IpFields::of(p), &body).ok_or_else(|| TOO_LONG.into())
}

/// The beginning of a packet of ours whose text had `len` octets in all.
fn quote_packet(flow: &Flow, protocol: Protocol, head: &[u8], len: usize) -> Result<Vec<u8>, Impossible> {
    let mut whole = head.to_vec();
    whole.resize(len.max(head.len()), 0);
    let f = IpFields { ttl: 64, ..IpFields::default() };
    let mut b =
        ip_packet(flow.local.ip(), flow.remote.ip(), protocol, f, &whole).ok_or("this quotation is too long")?;
    let header = if flow.local.is_ipv6() { 40 } else { 20 };
    b.truncate(header + head.len());
    Ok(b)
}

/// What is above IP in a packet that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Tcp {
        header: Header,
        options: Vec<Opt>,
        rest: Vec<u8>,
        len: u32,
        zeros: bool,
    },
    Udp {
        len: u32,
        zeros: bool,
    },
    /// `rest` is what follows the first eight octets.
    Icmp {
        kind: u8,
        code: u8,
        word: u32,
        rest: Vec<u8>,
    },
}

/// A packet that left, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub tos: u8,
    pub ttl: u8,
    pub flow_label: u32,
    /// IPv4 only.
    pub dont_fragment: Option<bool>,
    pub body: Body,
    /// Which checksum is wrong.
    pub bad_checksum: Option<&'static str>,
}

impl Seen {
    /// Takes a packet apart; the error says what is wrong with it.
    pub(super) fn parse(b: &[u8]) -> Result<Seen, String> {
        let (src, dst, tos, ttl, flow_label, dont_fragment, protocol, at, end) = match b.first().map(|v| v >> 4) {
            Some(4) => {
                let h = ipv4::Header::parse(b).map_err(|e| format!("IPv4 header: {e}"))?;
                if h.more_fragments || h.fragment_offset != 0 {
                    return Err("a fragment".into());
                }
                let at = usize::from(h.header_len);
                let tos = h.dscp << 2 | h.ecn as u8;
                let (src, dst) = (IpAddr::V4(h.src), IpAddr::V4(h.dst));
                (src, dst, tos, h.ttl, 0, Some(h.dont_fragment), h.protocol, at, usize::from(h.total_len))
            }
            Some(6) => {
                let h = ipv6::Header::parse(b).map_err(|e| format!("IPv6 header: {e}"))?;
                let tos = h.dscp << 2 | h.ecn as u8;
                let (src, dst) = (IpAddr::V6(h.src), IpAddr::V6(h.dst));
                (src, dst, tos, h.hop_limit, h.flow_label, None, h.next_header, 40, 40 + usize::from(h.payload_len))
            }
            _ => return Err("no IP packet".into()),
        };
        let b = b.get(at..end).ok_or("a truncated packet")?;
        let port = |at: usize| b.get(at..at + 2).map_or(0, |p| u16::from_be_bytes([p[0], p[1]]));
        let sum = |protocol: Protocol| pseudo(src, dst, protocol, b.len()).add(b).is_valid();
        let (ports, body, ok, name) = match protocol {
            Protocol::TCP => {
                let header = Header::parse(b).map_err(|e| format!("TCP header: {e}"))?;
                let (text_at, ok) = (usize::from(header.header_len), sum(protocol));
                let (options, rest) = Opt::read(&b[20..text_at]);
                let text = &b[text_at..];
                let (rest, zeros) = (rest.to_vec(), text.iter().all(|o| *o == 0));
                ((port(0), port(2)), Body::Tcp { header, options, rest, len: text.len() as u32, zeros }, ok, "TCP")
            }
            Protocol::UDP => {
                let h = udp::Header::parse(b).map_err(|e| format!("UDP header: {e}"))?;
                let ok = h.checksum != 0 && sum(protocol);
                let zeros = b[8..usize::from(h.len).clamp(8, b.len())].iter().all(|o| *o == 0);
                ((port(0), port(2)), Body::Udp { len: u32::from(h.len) - 8, zeros }, ok, "UDP")
            }
            Protocol::ICMP | Protocol::ICMPV6 if b.len() >= 8 => {
                let word = u32::from_be_bytes([b[4], b[5], b[6], b[7]]);
                let ok = if protocol == Protocol::ICMP { Sum::ZERO.add(b).is_valid() } else { sum(protocol) };
                ((0, 0), Body::Icmp { kind: b[0], code: b[1], word, rest: b[8..].to_vec() }, ok, "ICMP")
            }
            p => return Err(format!("protocol {}", p.0)),
        };
        let (src, dst) = (SocketAddr::new(src, ports.0), SocketAddr::new(dst, ports.1));
        let bad_checksum = (!ok).then_some(name);
        Ok(Seen { src, dst, tos, ttl, flow_label, dont_fragment, body, bad_checksum })
    }
}

/// Options as a script writes them.
pub(super) fn options_text(list: &[Opt]) -> String {
    let all: Vec<String> = list.iter().map(ToString::to_string).collect();
    format!("<{}>", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::flow::Role;
    use super::*;
    use crate::script::{Action, Script, Transport};

    #[test]
    fn what_is_built_is_read_again() {
        let script = "0 < [ect0] SP. 5:15(10) ack 7 win 9 urg 3 <mss 1460,sackOK,TS val 4 ecr 0,nop,wscale 7>
            +0 < [tos 0x28, ttl 3] udp (20)
            +0 < icmp unreachable frag_needed mtu 1200 [7:107(100)]";
        for (local, remote) in [("192.168.0.1:80", "192.0.2.1:9"), ("[fd00::1]:80", "[fd00::2]:9")] {
            let script = if local.starts_with('[') {
                script.replace("unreachable frag_needed", "packet_too_big")
            } else {
                script.to_string()
            };
            let flow = Flow::new(local.parse().unwrap(), remote.parse().unwrap(), Role::Pair, None);
            for e in Script::parse("x", &script, &[]).unwrap().events {
                let Action::Packet(p) = &e.action else { panic!("a packet") };
                let b = match &p.transport {
                    Transport::Tcp(t) => segment(p, t, &flow, false),
                    Transport::Udp(ports, len) => datagram(p, *ports, *len, &flow),
                    Transport::Icmp(i) => icmp(p, i, &flow),
                    Transport::Unsupported(u) => panic!("{u}"),
                };
                let seen = Seen::parse(&b.unwrap()).unwrap();
                assert_eq!(seen.bad_checksum, None);
                match (&p.transport, seen.body) {
                    (Transport::Tcp(t), Body::Tcp { header, options, rest, len, zeros }) => {
                        assert_eq!((header.seq.0, header.ack.0, header.window, header.urgent), (5, 7, 9, 3));
                        assert_eq!((header.flags, len, zeros, rest.len(), seen.tos), (t.flags, 10, true, 0, 2));
                        assert_eq!(Options::These(options), t.options);
                    }
                    (Transport::Udp(..), Body::Udp { len, zeros }) => {
                        assert_eq!((len, zeros, seen.tos, seen.ttl), (20, true, 0x28, 3));
                    }
                    (Transport::Icmp(_), Body::Icmp { word, .. }) => assert_eq!(word, 1200),
                    (t, b) => panic!("{t:?} became {b:?}"),
                }
            }
        }
    }
}
