//! Packets as a script writes them.

use super::{Cursor, SyntaxError};
use synfin_stack::wire::tcp::Flags;

/// The two ECN bits of an IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// 00.
    NotEct,
    /// 10.
    Ect0,
    /// 01.
    Ect1,
    /// 11.
    Ce,
    /// ECT(0) or ECT(1) (packets that leave only).
    Ect01,
}

/// An option of TCP, in the order and with the padding that the script writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opt {
    /// Kind 0.
    Eol,
    /// Kind 1.
    Nop,
    /// Kind 2.
    Mss(u16),
    /// Kind 3.
    WindowScale(u8),
    /// Kind 4.
    SackPermitted,
    /// Kind 5: left and right edges.
    Sack(Vec<(u32, u32)>),
    /// Kind 8: value and echo.
    Timestamps(u32, u32),
    /// Kind 34, with a cookie.
    FastOpen(Vec<u8>),
    /// Kind 254 with the magic number 0xF989, with a cookie.
    FastOpenExperimental(Vec<u8>),
    /// Kind 19.
    Md5(Vec<u8>),
    /// Kinds 172 and 174: order 0 or 1, and the counters in it.
    AccEcn(u8, Vec<u32>),
}

/// The options of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Options {
    /// `<...>`: not compared.
    Any,
    /// These, and no others.
    These(Vec<Opt>),
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSpec {
    /// Source and destination port, if written.
    pub ports: Option<(u16, u16)>,
    /// The flags; the ACE field may be a number instead.
    pub flags: Flags,
    /// The ACE field as a number.
    pub ace: Option<u8>,
    /// The first sequence number.
    pub seq: u32,
    /// Octets of text.
    pub len: u32,
    /// The sequence number is meant as it is, not from the initial one.
    pub absolute_seq: bool,
    /// The acknowledgment number.
    pub ack: Option<u32>,
    /// The window field.
    pub win: Option<u16>,
    /// The urgent pointer.
    pub urg: u16,
    /// The options.
    pub options: Options,
}

/// What an ICMP error quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpQuote {
    /// A segment: its sequence number and the octets of its text.
    Tcp(u32, u32),
    /// A datagram: its octets.
    Udp(u32),
    /// Nothing: octets after the header.
    Raw(u32),
}

/// An ICMP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp {
    /// Type by name.
    pub kind: String,
    /// Code by name.
    pub code: Option<String>,
    /// Next-hop MTU.
    pub mtu: Option<u32>,
    /// Identifier of an echo.
    pub id: Option<u16>,
    /// What is quoted.
    pub quote: Option<IcmpQuote>,
}

/// What is above IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A segment.
    Tcp(TcpSpec),
    /// A datagram: ports, and octets.
    Udp(Option<(u16, u16)>, u32),
    /// An ICMP message.
    Icmp(Icmp),
    /// What the runner does not know: the script can be read but not run.
    Unsupported(&'static str),
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// It arrives; otherwise it is expected to leave.
    pub inbound: bool,
    /// The ECN bits.
    pub ecn: Option<Ecn>,
    /// The whole octet of TOS or traffic class.
    pub tos: Option<u8>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// The flow label.
    pub flow_label: Option<u32>,
    /// What is above IP.
    pub transport: Transport,
}

impl Packet {
    /// Reads one; the cursor is at `<` or `>`.
    pub(crate) fn parse(c: &mut Cursor<'_>) -> Result<Packet, SyntaxError> {
        let inbound = c.take("<")?;
        if !inbound {
            c.need(">")?;
        }
        let mut p = Packet {
            inbound,
            ecn: None,
            tos: None,
            ttl: None,
            flow_label: None,
            transport: Transport::Unsupported(""),
        };
        p.ip_info(c)?;
        p.transport = match c.peek_word() {
            "ipv4" | "ipv6" | "gre" | "mpls" => {
                skip_encapsulation(c)?;
                Transport::Unsupported("encapsulation")
            }
            "udp" => {
                c.word()?;
                let ports = ports(c)?;
                c.need("(")?;
                let len = c.u32()?;
                c.need(")")?;
                Transport::Udp(ports, len)
            }
            "icmp" => Transport::Icmp(icmp(c)?),
            "udplite" | "sctp" => {
                c.rest_of_line()?;
                Transport::Unsupported("a protocol other than TCP, UDP and ICMP")
            }
            _ => tcp(c, inbound)?,
        };
        Ok(p)
    }

    fn ip_info(&mut self, c: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        let end = match c.peek() {
            Some('[') => "]",
            Some('(') => ")",
            _ => return Ok(()),
        };
        c.need(if end == "]" { "[" } else { "(" })?;
        while !c.take(end)? {
            let start = c.clone();
            let name = c.word()?;
            let ecn = ECN_NAMES.iter().find(|n| n.0 == name).map(|n| n.1);
            let is_said = match name {
                _ if ecn.is_some() => self.ecn.is_some() || self.tos.is_some(),
                "tos" | "class" => self.ecn.is_some() || self.tos.is_some(),
                "ttl" | "hlim" => self.ttl.is_some(),
                "flowlabel" => self.flow_label.is_some(),
                _ => return start.expected("noecn, ect0, ect1, ect01, ce, tos, ttl or flowlabel"),
            };
            if is_said {
                return start.fail("this was said before (tos has the ECN bits in it)");
            }
            match name {
                "tos" | "class" => self.tos = Some(octet(c)?),
                "ttl" | "hlim" => self.ttl = Some(octet(c)?),
                "flowlabel" => {
                    let at = c.clone();
                    let label = c.u32()?;
                    if label > 0xf_ffff {
                        return at.expected("a number of 20 bits");
                    }
                    self.flow_label = Some(label);
                }
                _ if self.inbound && ecn == Some(Ecn::Ect01) => {
                    return start.fail("a packet that arrives has ect0 or ect1, not any of them");
                }
                _ => self.ecn = ecn,
            }
            c.take(",")?;
        }
        Ok(())
    }
}

/// The ECN bits by their names.
const ECN_NAMES: &[(&str, Ecn)] = &[
    ("noecn", Ecn::NotEct),
    ("nonect", Ecn::NotEct),
    ("ect0", Ecn::Ect0),
    ("ect1", Ecn::Ect1),
    ("ce", Ecn::Ce),
    ("ect01", Ecn::Ect01),
];

fn octet(c: &mut Cursor<'_>) -> Result<u8, SyntaxError> {
    let start = c.clone();
    u8::try_from(c.integer()?).or_else(|_| start.expected("a number of 8 bits"))
}

fn skip_encapsulation(c: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    // The rest of the packet: up to the line's end; options may not span lines here.
    c.rest_of_line()
}

/// `SRC > DST`, if it is there.
fn ports(c: &mut Cursor<'_>) -> Result<Option<(u16, u16)>, SyntaxError> {
    if !c.peek_word().starts_with(|d: char| d.is_ascii_digit()) {
        return Ok(None);
    }
    let from = c.u16()?;
    c.need(">")?;
    Ok(Some((from, c.u16()?)))
}

fn tcp(c: &mut Cursor<'_>, inbound: bool) -> Result<Transport, SyntaxError> {
    let ports = ports(c)?;
    let (flags, ace) = flags(c)?;
    let seq = c.u32()?;
    c.need(":")?;
    let end_at = c.clone();
    let end = c.u32()?;
    c.need("(")?;
    let len = c.u32()?;
    c.need(")")?;
    let absolute_seq = c.take("!")?;
    ends_at(seq, len, end, &end_at)?;
    let mut t = TcpSpec {
        ports,
        flags,
        ace,
        seq,
        len,
        absolute_seq,
        ack: None,
        win: None,
        urg: 0,
        options: Options::These(Vec::new()),
    };
    if c.take("ack")? {
        t.ack = Some(c.u32()?);
    }
    if c.take("win")? {
        t.win = Some(c.u16()?);
    } else if inbound {
        return c.expected("\"win\" and the window of a packet that arrives");
    }
    if c.take("urg")? {
        t.urg = c.u16()?;
    }
    if c.rest().starts_with('<') {
        let start = c.clone();
        c.need("<")?;
        if c.take("...")? {
            c.need(">")?;
            t.options = Options::Any;
            if inbound {
                return start.fail("the options of a packet that arrives cannot be left open");
            }
        } else {
            let Some(list) = options(c)? else { return Ok(Transport::Unsupported("options of MPTCP")) };
            let octets: usize = list.iter().map(|o| o.bytes().len()).sum();
            if !octets.is_multiple_of(4) || octets > 40 {
                return start.fail(format!(
                    "these options are {octets} octets long: expected a multiple of 4, at most 40 (pad with nop or eol)"
                ));
            }
            t.options = Options::These(list);
        }
    }
    Ok(Transport::Tcp(t))
}

/// `end`, which stands at `at`, is where `len` octets from `seq` on end.
fn ends_at(seq: u32, len: u32, end: u32, at: &Cursor<'_>) -> Result<(), SyntaxError> {
    match seq.wrapping_add(len) {
        sum if sum == end => Ok(()),
        sum => at.fail(format!("the last sequence number is {end}, but {seq} and {len} octets make {sum}")),
    }
}

fn flags(c: &mut Cursor<'_>) -> Result<(Flags, Option<u8>), SyntaxError> {
    let start = c.clone();
    let written = c.run(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '.' | '-'));
    let text = match (c.defined(written), written.strip_suffix('.').and_then(|w| c.defined(w))) {
        (Some(value), _) => value.to_string(),
        (None, Some(value)) => format!("{value}."),
        (None, None) => written.to_string(),
    };
    let (mut f, mut ace, mut digit) = (Flags::NONE, None, false);
    for (i, ch) in text.char_indices() {
        if ch == '-' && text.len() > 1 {
            return start.fail("- says that there are no flags, and here are some");
        }
        if text[..i].contains(ch) {
            return start.fail(format!("the flag {ch} stands twice"));
        }
        if text[..i].contains('.') && !ch.is_ascii_digit() {
            return start.fail("only the digit of ACE may follow the flag .");
        }
        f |= match ch {
            'F' => Flags::FIN,
            'S' => Flags::SYN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            'A' => Flags::AE,
            '-' => Flags::NONE,
            d @ '0'..='7' if !digit => {
                digit = true;
                ace = Some(d as u8 - b'0').filter(|a| *a != 0);
                Flags::NONE
            }
            _ => return start.expected("flags (F S R P . U E W A, or - for none)"),
        };
    }
    if text.is_empty() {
        return start.expected("flags (F S R P . U E W A, or - for none)");
    }
    if ace.is_some() && [Flags::ECE, Flags::CWR, Flags::AE].iter().any(|bit| f.has(*bit)) {
        return start.fail("the bits of ACE are said twice: as a number and as flags");
    }
    c.space()?;
    Ok((f, ace))
}

/// Whether an option is MPTCP's (RFC 8684), in the dialect that has them.
fn is_mptcp(name: &str) -> bool {
    ["mp", "dss", "add_addr", "rm_addr", "remove_addr"].iter().any(|f| name.starts_with(f))
}

const OPTION_NAMES: &str = "mss, wscale, sackOK, sack, TS, nop, eol, FO, FOEXP, ECN or md5";

/// A list of options up to its end; `None` if there are some that nobody here speaks.
fn options(c: &mut Cursor<'_>) -> Result<Option<Vec<Opt>>, SyntaxError> {
    let mut all = Vec::new();
    loop {
        let start = c.clone();
        let name = c.run(|ch| ch.is_ascii_alphanumeric() || ch == '_');
        let name = c.defined(name).unwrap_or(name);
        c.space()?;
        if is_mptcp(name) {
            c.until(">", "list of options")?;
            return Ok(None);
        }
        all.push(match name {
            "nop" => Opt::Nop,
            "eol" => Opt::Eol,
            "mss" => Opt::Mss(c.u16()?),
            "wscale" => Opt::WindowScale(octet(c)?),
            "sackOK" => Opt::SackPermitted,
            "sack" => {
                let mut blocks = Vec::new();
                while c.peek_word().starts_with(|d: char| d.is_ascii_digit()) {
                    let left = c.u32()?;
                    c.need(":")?;
                    blocks.push((left, c.u32()?));
                }
                Opt::Sack(blocks)
            }
            "TS" => {
                c.need("val")?;
                let val = c.u32()?;
                c.need("ecr")?;
                Opt::Timestamps(val, c.u32()?)
            }
            "FO" => Opt::FastOpen(hex(c)?),
            "FOEXP" => Opt::FastOpenExperimental(hex(c)?),
            "md5" => Opt::Md5(hex(c)?),
            "ECN" => {
                let order = u8::from(c.peek_word() == "e1b");
                let names: [&str; 3] = if order == 1 { ["e1b", "ceb", "e0b"] } else { ["e0b", "ceb", "e1b"] };
                let mut counters = Vec::new();
                for n in names {
                    if !c.take(n)? {
                        break;
                    }
                    counters.push(c.u32()?);
                }
                Opt::AccEcn(order, counters)
            }
            _ => return start.expected(&format!("an option ({OPTION_NAMES})")),
        });
        if c.take(">")? {
            return Ok(Some(all));
        }
        if !c.take(",")? {
            return c.expected("\",\" or \">\"");
        }
    }
}

fn hex(c: &mut Cursor<'_>) -> Result<Vec<u8>, SyntaxError> {
    let start = c.clone();
    let word = c.run(|ch| ch.is_ascii_alphanumeric() || ch == '_');
    let text = c.defined(word).unwrap_or(word).to_string();
    c.space()?;
    if !text.len().is_multiple_of(2) {
        return start.expected("an even number of hexadecimal digits");
    }
    let octets = (0..text.len() / 2).map(|i| text.get(2 * i..2 * i + 2).and_then(|h| u8::from_str_radix(h, 16).ok()));
    match octets.collect() {
        Some(v) => Ok(v),
        None => start.expected("hexadecimal digits"),
    }
}

fn icmp(c: &mut Cursor<'_>) -> Result<Icmp, SyntaxError> {
    c.need("icmp")?;
    let kind_at = c.clone();
    let kind = c.word()?.to_string();
    let mut i = Icmp { kind, code: None, mtu: None, id: None, quote: None };
    super::icmp::known(&i).or_else(|e| kind_at.fail(e))?;
    // A time stamp never begins with a letter, so a word that follows is a code.
    if c.peek_word().starts_with(|ch: char| ch.is_ascii_alphabetic()) && !["mtu", "id"].contains(&c.peek_word()) {
        let code_at = c.clone();
        i.code = Some(c.word()?.to_string());
        super::icmp::known(&i).or_else(|e| code_at.fail(e))?;
    }
    if c.take("mtu")? {
        i.mtu = Some(c.u32()?);
    }
    if c.take("id")? {
        i.id = Some(c.u16()?);
    }
    if c.take("[")? {
        i.quote = Some(match c.peek_word() {
            "udp" | "raw" => {
                let udp = c.word()? == "udp";
                c.need("(")?;
                let n = c.u32()?;
                c.need(")")?;
                if udp { IcmpQuote::Udp(n) } else { IcmpQuote::Raw(n) }
            }
            _ => {
                let seq = c.u32()?;
                c.need(":")?;
                let end_at = c.clone();
                let end = c.u32()?;
                c.need("(")?;
                let n = c.u32()?;
                c.need(")")?;
                ends_at(seq, n, end, &end_at)?;
                IcmpQuote::Tcp(seq, n)
            }
        });
        c.need("]")?;
    }
    Ok(i)
}

impl Opt {
    /// The octets on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let sized = |kind: u8, body: &[u8]| {
            let mut b = vec![kind, 2 + body.len() as u8];
            b.extend_from_slice(body);
            b
        };
        match self {
            Opt::Eol => vec![0],
            Opt::Nop => vec![1],
            Opt::Mss(n) => sized(2, &n.to_be_bytes()),
            Opt::WindowScale(n) => sized(3, &[*n]),
            Opt::SackPermitted => sized(4, &[]),
            Opt::Sack(blocks) => {
                let body: Vec<u8> =
                    blocks.iter().flat_map(|(l, r)| [l.to_be_bytes(), r.to_be_bytes()].concat()).collect();
                sized(5, &body)
            }
            Opt::Timestamps(val, ecr) => sized(8, &[val.to_be_bytes(), ecr.to_be_bytes()].concat()),
            Opt::FastOpen(cookie) => sized(34, cookie),
            Opt::FastOpenExperimental(cookie) => sized(254, &[&[0xf9, 0x89], cookie.as_slice()].concat()),
            Opt::Md5(digest) => sized(19, digest),
            Opt::AccEcn(order, counters) => {
                let body: Vec<u8> = counters.iter().flat_map(|n| n.to_be_bytes()[1..].to_vec()).collect();
                sized(if *order == 1 { 174 } else { 172 }, &body)
            }
        }
    }

    /// Reads the options of a real segment, as far as they can be read; the rest is given as it is.
    pub fn read(mut b: &[u8]) -> (Vec<Opt>, &[u8]) {
        let mut all = Vec::new();
        while let Some(&kind) = b.first() {
            if kind < 2 {
                all.push(if kind == 0 { Opt::Eol } else { Opt::Nop });
                b = &b[1..];
                continue;
            }
            let Some(len) = b.get(1).map(|l| usize::from(*l)).filter(|l| *l >= 2 && *l <= b.len()) else { break };
            let body = &b[2..len];
            let word = |at: usize| body.get(at..at + 4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
            let opt = match (kind, body.len()) {
                (2, 2) => Opt::Mss(u16::from_be_bytes([body[0], body[1]])),
                (3, 1) => Opt::WindowScale(body[0]),
                (4, 0) => Opt::SackPermitted,
                (5, n) if n % 8 == 0 => {
                    Opt::Sack((0..n / 8).filter_map(|i| word(8 * i).zip(word(8 * i + 4))).collect())
                }
                (8, 8) => match word(0).zip(word(4)) {
                    Some((val, ecr)) => Opt::Timestamps(val, ecr),
                    None => break,
                },
                (34, _) => Opt::FastOpen(body.to_vec()),
                (19, _) => Opt::Md5(body.to_vec()),
                (254, _) if body.starts_with(&[0xf9, 0x89]) => Opt::FastOpenExperimental(body[2..].to_vec()),
                (172 | 174, n) if n % 3 == 0 => Opt::AccEcn(
                    u8::from(kind == 174),
                    body.chunks(3).map(|w| u32::from_be_bytes([0, w[0], w[1], w[2]])).collect(),
                ),
                _ => break,
            };
            all.push(opt);
            b = &b[len..];
        }
        (all, b)
    }
}

impl std::fmt::Display for Opt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |b: &[u8]| b.iter().map(|o| format!("{o:02x}")).collect::<String>();
        match self {
            Opt::Eol => f.write_str("eol"),
            Opt::Nop => f.write_str("nop"),
            Opt::Mss(n) => write!(f, "mss {n}"),
            Opt::WindowScale(n) => write!(f, "wscale {n}"),
            Opt::SackPermitted => f.write_str("sackOK"),
            Opt::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(l, r)| write!(f, " {l}:{r}"))
            }
            Opt::Timestamps(val, ecr) => write!(f, "TS val {val} ecr {ecr}"),
            Opt::FastOpen(c) => write!(f, "FO {}", hex(c)),
            Opt::FastOpenExperimental(c) => write!(f, "FOEXP {}", hex(c)),
            Opt::Md5(d) => write!(f, "md5 {}", hex(d)),
            Opt::AccEcn(order, counters) => {
                let names = if *order == 1 { ["e1b", "ceb", "e0b"] } else { ["e0b", "ceb", "e1b"] };
                f.write_str("ECN")?;
                names.iter().zip(counters).try_for_each(|(n, v)| write!(f, " {n} {v}"))
            }
        }
    }
}
