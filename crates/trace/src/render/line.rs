//! A segment as tcpdump prints it, to the letter: `IP a.port > b.port: Flags [S], seq .., win .., options [..], length 0`.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use synfin_wire::SeqNum;
use synfin_wire::frame::TcpPacket;
use synfin_wire::tcp::{Flags, kind};

/// The numbers that tcpdump subtracts, per connection; kept while lines are printed.
#[derive(Debug, Default)]
pub struct Lines {
    /// `-S`: absolute numbers.
    absolute: bool,
    base: HashMap<(SocketAddr, SocketAddr), (SeqNum, SeqNum)>,
}

/// Time since the beginning, as `00:00:00.000131`.
pub fn time(t: Duration) -> String {
    let s = t.as_secs();
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600, s / 60 % 60, s % 60, t.subsec_micros())
}

fn endpoint(a: SocketAddr) -> String {
    format!("{}.{}", a.ip(), a.port())
}

impl Lines {
    /// With relative numbers, or absolute ones.
    pub fn new(absolute: bool) -> Lines {
        Lines { absolute, base: HashMap::new() }
    }

    /// The line, without the time.
    pub fn line(&mut self, p: &TcpPacket<'_>) -> String {
        let (h, len) = (&p.header, p.payload.len() as u32);
        let (src, dst) = (p.src(), p.dst());
        let (mut seq, mut ack, mut sack_base) = (h.seq, h.ack, SeqNum(0));
        if !self.absolute && h.flags.has(Flags::ACK) {
            let known = self.base.get(&(src, dst)).copied();
            match known {
                Some((s, a)) if !h.flags.has(Flags::SYN) => {
                    (seq, ack) = (seq - s.0, ack - a.0);
                    sack_base = a;
                }
                // The first of a conversation is printed as it is, and is what the others are relative to.
                _ => {
                    self.base.insert((src, dst), (seq, ack - 1));
                    self.base.insert((dst, src), (ack - 1, seq));
                }
            }
        }
        let version = if matches!(p.ip.src, IpAddr::V4(_)) { "IP" } else { "IP6" };
        let mut out = format!("{version} {} > {}: Flags [{}]", endpoint(src), endpoint(dst), h.flags);
        if len > 0 || h.flags.any(Flags::SYN | Flags::FIN | Flags::RST) {
            let _ = write!(out, ", seq {seq}");
            if len > 0 {
                let _ = write!(out, ":{}", seq + len);
            }
        }
        if h.flags.has(Flags::ACK) {
            let _ = write!(out, ", ack {ack}");
        }
        let _ = write!(out, ", win {}", h.window);
        if h.flags.has(Flags::URG) {
            let _ = write!(out, ", urg {}", h.urgent);
        }
        if !p.option_bytes.is_empty() {
            let _ = write!(out, ", options [{}]", options(p.option_bytes, sack_base));
        }
        let _ = write!(out, ", length {len}");
        out
    }
}

fn options(mut b: &[u8], sack_base: SeqNum) -> String {
    let mut all = Vec::new();
    while let Some(&k) = b.first() {
        if k == kind::EOL {
            all.push("eol".to_string());
            break;
        }
        if k == kind::NOP {
            all.push("nop".to_string());
            b = &b[1..];
            continue;
        }
        let len = b.get(1).map_or(0, |l| usize::from(*l));
        if len < 2 || len > b.len() {
            all.push("[|tcp]".to_string());
            break;
        }
        all.push(option(k, &b[2..len], sack_base));
        b = &b[len..];
    }
    all.join(",")
}

fn word(v: &[u8]) -> u32 {
    v.iter().take(4).fold(0, |a, b| a << 8 | u32::from(*b))
}

fn option(k: u8, v: &[u8], sack_base: SeqNum) -> String {
    let hex = |v: &[u8]| v.iter().map(|b| format!("{b:02x}")).collect::<String>();
    match (k, v.len()) {
        (kind::MSS, 2) => format!("mss {}", word(v)),
        (kind::WINDOW_SCALE, 1) => format!("wscale {}", v[0]),
        (kind::SACK_PERMITTED, 0) => "sackOK".to_string(),
        (kind::TIMESTAMPS, 8) => format!("TS val {} ecr {}", word(v), word(&v[4..])),
        (kind::SACK, n) if n % 8 == 0 && n > 0 => {
            let blocks: String = v
                .chunks(8)
                .map(|c| format!("{{{}:{}}}", SeqNum(word(c)) - sack_base.0, SeqNum(word(&c[4..])) - sack_base.0))
                .collect();
            format!("sack {} {blocks}", n / 8)
        }
        (kind::USER_TIMEOUT, 2) => format!("uto 0x{:x}", word(v)),
        (kind::FAST_OPEN, 0) => "tfo  cookiereq".to_string(),
        (kind::FAST_OPEN, _) => format!("tfo  cookie {}", hex(v)),
        (k, 0) => format!("unknown-{k}"),
        (k, _) => format!("unknown-{k} 0x{}", hex(v)),
    }
}

/// Flags and numbers, for the arrow of a diagram.
pub fn label(p: &TcpPacket<'_>, line: &str) -> String {
    let number =
        |word: &str| line.split(word).nth(1).map(|r| r.split([',', ' ']).next().unwrap_or_default().to_string());
    let mut s = names(p.header.flags);
    for (word, name) in [(", seq ", "seq"), (", ack ", "ack")] {
        if let Some(n) = number(word) {
            let _ = write!(s, " {name}={n}");
        }
    }
    s
}

fn names(f: Flags) -> String {
    let all = [
        (Flags::SYN, "SYN"),
        (Flags::FIN, "FIN"),
        (Flags::RST, "RST"),
        (Flags::PSH, "PSH"),
        (Flags::ACK, "ACK"),
        (Flags::URG, "URG"),
    ];
    all.iter().filter(|(b, _)| f.has(*b)).map(|(_, n)| *n).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_print_as_tcpdump_prints_them() {
        let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(options(&syn, SeqNum(0)), "mss 1460,sackOK,TS val 9 ecr 0,nop,wscale 7");
        let sack = [1, 1, 5, 10, 0, 0, 0, 20, 0, 0, 0, 30];
        assert_eq!(options(&sack, SeqNum(10)), "nop,nop,sack 1 {10:20}");
        assert_eq!(options(&[34, 2], SeqNum(0)), "tfo  cookiereq");
        assert_eq!(options(&[253, 4, 1, 2], SeqNum(0)), "unknown-253 0x0102");
        assert_eq!(options(&[8, 0], SeqNum(0)), "[|tcp]");
    }

    #[test]
    fn times() {
        assert_eq!(time(Duration::from_micros(131)), "00:00:00.000131");
        assert_eq!(time(Duration::from_micros(3_723_000_004)), "01:02:03.000004");
    }
}
