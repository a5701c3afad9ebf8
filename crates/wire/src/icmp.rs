//! ICMP for IPv4 (RFC 792) and for IPv6 (RFC 4443): echo and the errors, with the packet they quote.

use crate::checksum::Sum;
use crate::field::{put, u8_at, u16_at, u32_at};
use crate::{Error, Result};

/// Octets of an ICMP header: type, code, checksum, and four octets whose meaning is the type's.
pub const HEADER_LEN: usize = 8;

/// A message of either version. The two number the same things differently; `V4` or `V6` is known from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Echo request: identifier, sequence number, data.
    EchoRequest(u16, u16, &'a [u8]),
    /// Echo reply: identifier, sequence number, data.
    EchoReply(u16, u16, &'a [u8]),
    /// Destination unreachable, for a reason, quoting the packet.
    Unreachable(Unreachable, &'a [u8]),
    /// The packet is too big: the next hop's MTU (0 if the router does not tell), quoting the packet.
    PacketTooBig(u32, &'a [u8]),
    /// The hop limit ran out (code 0), or reassembly did (code 1).
    TimeExceeded(u8, &'a [u8]),
    /// A field is wrong: code and pointer.
    ParameterProblem(u8, u32, &'a [u8]),
    /// Source quench, to be ignored (RFC 6633).
    SourceQuench(&'a [u8]),
    /// A redirect; hosts behind one router gain nothing from it, and it is ignored.
    Redirect(&'a [u8]),
    /// Anything else: type and code. NDP and MLD have modules of their own.
    Other(u8, u8),
}

/// Why a destination is unreachable, across both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// No route to the network or host.
    Net,
    /// The host does not answer its link.
    Host,
    /// The protocol is not there.
    Protocol,
    /// The port is closed.
    Port,
    /// Forbidden by policy.
    Prohibited,
    /// Any other code.
    Other(u8),
}

impl Message<'_> {
    /// The quoted packet of an error message.
    pub fn quoted(&self) -> Option<&[u8]> {
        match self {
            Message::Unreachable(_, q)
            | Message::PacketTooBig(_, q)
            | Message::TimeExceeded(_, q)
            | Message::ParameterProblem(_, _, q)
            | Message::SourceQuench(q)
            | Message::Redirect(q) => Some(q),
            _ => None,
        }
    }
}

/// Parses an ICMPv4 message, checksum included.
pub fn parse_v4(b: &[u8]) -> Result<Message<'_>> {
    if b.len() < HEADER_LEN {
        return Err(Error::Truncated);
    }
    if !Sum::ZERO.add(b).is_valid() {
        return Err(Error::BadChecksum);
    }
    let (code, rest) = (u8_at(b, 1), &b[HEADER_LEN..]);
    Ok(match u8_at(b, 0) {
        0 => Message::EchoReply(u16_at(b, 4), u16_at(b, 6), rest),
        8 => Message::EchoRequest(u16_at(b, 4), u16_at(b, 6), rest),
        3 => match code {
            0 | 5 | 6 | 8 | 11 => Message::Unreachable(Unreachable::Net, rest),
            1 | 7 | 12 => Message::Unreachable(Unreachable::Host, rest),
            2 => Message::Unreachable(Unreachable::Protocol, rest),
            3 => Message::Unreachable(Unreachable::Port, rest),
            4 => Message::PacketTooBig(u32::from(u16_at(b, 6)), rest),
            9 | 10 | 13 => Message::Unreachable(Unreachable::Prohibited, rest),
            c => Message::Unreachable(Unreachable::Other(c), rest),
        },
        //= RFC 9293 3.9.2.2 MUST-55
        4 => Message::SourceQuench(rest),
        5 => Message::Redirect(rest),
        11 => Message::TimeExceeded(code, rest),
        12 => Message::ParameterProblem(code, u32::from(u8_at(b, 4)), rest),
        t => Message::Other(t, code),
    })
}

/// Parses an ICMPv6 message; `pseudo` is the sum of its pseudo-header.
pub fn parse_v6(b: &[u8], pseudo: Sum) -> Result<Message<'_>> {
    if b.len() < 4 {
        return Err(Error::Truncated);
    }
    if !pseudo.add(b).is_valid() {
        return Err(Error::BadChecksum);
    }
    let (kind, code) = (u8_at(b, 0), u8_at(b, 1));
    if b.len() < HEADER_LEN {
        return if kind >= 128 { Ok(Message::Other(kind, code)) } else { Err(Error::Truncated) };
    }
    let rest = &b[HEADER_LEN..];
    Ok(match kind {
        1 => Message::Unreachable(
            match code {
                0 => Unreachable::Net,
                1 | 5 | 6 => Unreachable::Prohibited,
                3 => Unreachable::Host,
                4 => Unreachable::Port,
                c => Unreachable::Other(c),
            },
            rest,
        ),
        2 => Message::PacketTooBig(u32_at(b, 4), rest),
        3 => Message::TimeExceeded(code, rest),
        4 => Message::ParameterProblem(code, u32_at(b, 4), rest),
        128 => Message::EchoRequest(u16_at(b, 4), u16_at(b, 6), rest),
        129 => Message::EchoReply(u16_at(b, 4), u16_at(b, 6), rest),
        t => Message::Other(t, code),
    })
}

/// Writes an ICMPv4 message to the front of `out`, checksum included, and returns its length.
pub fn emit_v4(m: &Message<'_>, out: &mut [u8]) -> Result<usize> {
    let (kind, code, word, rest): (u8, u8, u32, &[u8]) = match *m {
        Message::EchoReply(id, seq, d) => (0, 0, u32::from(id) << 16 | u32::from(seq), d),
        Message::EchoRequest(id, seq, d) => (8, 0, u32::from(id) << 16 | u32::from(seq), d),
        Message::Unreachable(why, q) => {
            let code = match why {
                Unreachable::Net => 0,
                Unreachable::Host => 1,
                Unreachable::Protocol => 2,
                Unreachable::Port => 3,
                Unreachable::Prohibited => 13,
                Unreachable::Other(c) => c,
            };
            (3, code, 0, q)
        }
        Message::PacketTooBig(mtu, q) => (3, 4, mtu & 0xffff, q),
        Message::TimeExceeded(code, q) => (11, code, 0, q),
        Message::ParameterProblem(code, at, q) => (12, code, at << 24, q),
        Message::SourceQuench(_) | Message::Redirect(_) | Message::Other(..) => return Err(Error::BadValue),
    };
    emit(kind, code, word, rest, Sum::ZERO, out)
}

/// Writes an ICMPv6 message to the front of `out`; `pseudo` maps the message's length to its pseudo-header sum.
pub fn emit_v6(m: &Message<'_>, pseudo: impl Fn(u32) -> Sum, out: &mut [u8]) -> Result<usize> {
    let (kind, code, word, rest): (u8, u8, u32, &[u8]) = match *m {
        Message::EchoRequest(id, seq, d) => (128, 0, u32::from(id) << 16 | u32::from(seq), d),
        Message::EchoReply(id, seq, d) => (129, 0, u32::from(id) << 16 | u32::from(seq), d),
        Message::Unreachable(why, q) => {
            let code = match why {
                Unreachable::Net => 0,
                Unreachable::Prohibited => 1,
                Unreachable::Host => 3,
                Unreachable::Port => 4,
                Unreachable::Protocol => return emit_v6(&Message::ParameterProblem(1, 6, q), pseudo, out),
                Unreachable::Other(c) => c,
            };
            (1, code, 0, q)
        }
        Message::PacketTooBig(mtu, q) => (2, 0, mtu, q),
        Message::TimeExceeded(code, q) => (3, code, 0, q),
        Message::ParameterProblem(code, at, q) => (4, code, at, q),
        Message::SourceQuench(_) | Message::Redirect(_) | Message::Other(..) => return Err(Error::BadValue),
    };
    emit(kind, code, word, rest, pseudo((HEADER_LEN + rest.len()) as u32), out)
}

pub(crate) fn emit(kind: u8, code: u8, word: u32, rest: &[u8], pseudo: Sum, out: &mut [u8]) -> Result<usize> {
    let len = HEADER_LEN + rest.len();
    if out.len() < len {
        return Err(Error::NoRoom);
    }
    put(out, 0, &[kind, code, 0, 0]);
    put(out, 4, &word.to_be_bytes());
    put(out, HEADER_LEN, rest);
    let sum = pseudo.add(&out[..len]).finish();
    put(out, 2, &sum.to_be_bytes());
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::pseudo_v6;

    const MESSAGES: [Message<'static>; 7] = [
        Message::EchoRequest(1, 2, b"data"),
        Message::EchoReply(1, 2, b"odd"),
        Message::Unreachable(Unreachable::Port, &[0x45; 28]),
        Message::Unreachable(Unreachable::Protocol, &[0x45; 28]),
        Message::PacketTooBig(1280, &[0x45; 28]),
        Message::TimeExceeded(1, &[0x45; 28]),
        Message::Unreachable(Unreachable::Prohibited, &[0x45; 28]),
    ];

    #[test]
    fn round_trip_both_versions() {
        let sum = |n| pseudo_v6("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap(), 58, n);
        let mut b = [0u8; 64];
        for m in MESSAGES {
            let n = emit_v4(&m, &mut b).unwrap();
            assert_eq!(parse_v4(&b[..n]), Ok(m));
            b[n - 1] ^= 1;
            assert_eq!(parse_v4(&b[..n]), Err(Error::BadChecksum));
            let n = emit_v6(&m, sum, &mut b).unwrap();
            // Version 6 has a parameter problem for a protocol that nobody knows.
            let m = match m {
                Message::Unreachable(Unreachable::Protocol, q) => Message::ParameterProblem(1, 6, q),
                m => m,
            };
            assert_eq!(parse_v6(&b[..n], sum(n as u32)), Ok(m));
            b[n - 1] ^= 1;
            assert_eq!(parse_v6(&b[..n], sum(n as u32)), Err(Error::BadChecksum));
        }
    }

    #[test]
    fn short_messages_are_truncated() {
        for n in 0..HEADER_LEN {
            assert_eq!(parse_v4(&[0u8; 8][..n]), Err(Error::Truncated));
        }
        assert_eq!(parse_v6(&[1, 0, 0], Sum::ZERO), Err(Error::Truncated));
    }
}
