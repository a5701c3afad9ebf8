//! What was expected to leave and what left, field by field.

use super::flow::Flow;
use super::quote::{self, Quote};
use super::settings::Settings;
use super::wire::{Body, Seen, is_icmp_error, options_text};
use crate::script::icmp::icmp_numbers;
use crate::script::{Ecn, Icmp, IcmpQuote, Opt, Options, Packet, TcpSpec, Transport};
use synfin_stack::wire::tcp::Flags;

/// A field of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Its name.
    pub name: &'static str,
    /// What the script says.
    pub expected: String,
    /// What came.
    pub came: String,
    /// Whether they agree.
    pub same: bool,
}

/// The fields of a packet, one after another.
#[derive(Default)]
pub(super) struct Table(Vec<Compared>);

impl Table {
    pub(super) fn row(&mut self, name: &'static str, expected: impl ToString, came: impl ToString, same: bool) {
        self.0.push(Compared { name, expected: expected.to_string(), came: came.to_string(), same });
    }

    pub(super) fn eq<T: PartialEq + ToString>(&mut self, name: &'static str, expected: T, came: T) {
        let same = expected == came;
        self.row(name, expected, came, same);
    }

    /// Text that left: calls write zeros but where a script gives them other octets, and packets of scripts have none else.
    pub(super) fn text(&mut self, zeros: bool) {
        if !zeros {
            self.row("text", "zeros, as written", "other octets", false);
        }
    }

    /// The fields.
    pub(super) fn into_rows(self) -> Vec<Compared> {
        self.0
    }
}

/// A segment that left, with its numbers as the script counts them.
fn in_script(flow: &Flow, seen: &Seen) -> Option<(u32, u32)> {
    let Body::Tcp { header, .. } = &seen.body else { return None };
    let syn = header.flags.has(Flags::SYN);
    let ack = header.ack.0;
    Some((
        header.seq.0.wrapping_sub(flow.local_offset(syn)),
        if header.flags.has(Flags::ACK) { ack.wrapping_sub(flow.remote_offset(syn)) } else { ack },
    ))
}

pub(super) fn flags_text(f: Flags) -> String {
    let mut s = String::new();
    for (flag, ch) in [
        (Flags::FIN, 'F'),
        (Flags::SYN, 'S'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
        (Flags::AE, 'A'),
        (Flags::URG, 'U'),
        (Flags::ACK, '.'),
    ] {
        if f.has(flag) {
            s.push(ch);
        }
    }
    if s.is_empty() { "-".into() } else { s }
}

/// A packet that left, as a line of a script.
pub(super) fn as_script(flow: Option<&Flow>, seen: &Seen) -> String {
    match &seen.body {
        Body::Tcp { header, options, rest, len, .. } => {
            let (seq, ack) = flow.and_then(|f| in_script(f, seen)).unwrap_or((header.seq.0, header.ack.0));
            let mut s = format!("{} {seq}:{}({len})", flags_text(header.flags), seq.wrapping_add(*len));
            if header.flags.has(Flags::ACK) {
                s += &format!(" ack {ack}");
            }
            s += &format!(" win {}", header.window);
            if header.urgent != 0 {
                s += &format!(" urg {}", header.urgent);
            }
            if !options.is_empty() || !rest.is_empty() {
                s += &format!(" {}", options_text(&mapped(flow, options)));
            }
            s
        }
        Body::Udp { len, .. } => format!("udp {} > {} ({len})", seen.src.port(), seen.dst.port()),
        Body::Icmp { kind, code, word, rest } => {
            let quote = Quote::parse(rest).filter(|_| is_icmp_error(*kind, seen.src.is_ipv6()));
            let quote = quote.map_or_else(|| format!("[raw ({})]", rest.len()), |q| q.as_script(flow));
            format!("icmp type {kind} code {code} ({word}) {quote}")
        }
    }
}

/// SACK blocks as the script counts them.
fn mapped(flow: Option<&Flow>, options: &[Opt]) -> Vec<Opt> {
    let Some(flow) = flow else { return options.to_vec() };
    let by = flow.remote_offset(false);
    let map = |o: &Opt| match o {
        Opt::Sack(b) => Opt::Sack(b.iter().map(|(l, r)| (l.wrapping_sub(by), r.wrapping_sub(by))).collect()),
        other => other.clone(),
    };
    options.iter().map(map).collect()
}

/// Compares; the flow learns the initial sequence number and the timestamps of what left.
pub(super) fn compare(want: &Packet, seen: &Seen, flow: &mut Flow, set: &Settings) -> Vec<Compared> {
    let mut t = Table::default();
    if let Some(tos) = want.tos {
        t.eq("tos", format!("{tos:#04x}"), format!("{:#04x}", seen.tos));
    }
    if let Some(ecn) = want.ecn {
        let names = ["noecn", "ect1", "ect0", "ce"];
        let came = usize::from(seen.tos & 3);
        let (expected, same) = match ecn {
            Ecn::NotEct => ("noecn", came == 0),
            Ecn::Ect1 => ("ect1", came == 1),
            Ecn::Ect0 => ("ect0", came == 2),
            Ecn::Ce => ("ce", came == 3),
            Ecn::Ect01 => ("ect01", came == 1 || came == 2),
        };
        t.row("ecn", expected, names[came], same);
    }
    if let Some(ttl) = want.ttl {
        t.eq("ttl", ttl, seen.ttl);
    }
    if let Some(l) = want.flow_label {
        t.eq("flowlabel", l, seen.flow_label);
    }
    match (&want.transport, &seen.body) {
        (Transport::Tcp(w), Body::Tcp { .. }) => segment(&mut t, w, seen, flow, set),
        (Transport::Udp(ports, len), Body::Udp { len: came, zeros }) => {
            if let Some((from, to)) = ports {
                t.eq("source port", *from, seen.src.port());
                t.eq("destination port", *to, seen.dst.port());
            }
            t.eq("length", *len, *came);
            t.text(*zeros);
        }
        (Transport::Icmp(i), Body::Icmp { .. }) => message(&mut t, i, seen, flow),
        (w, b) => {
            let (w, b) = (kind_of_transport(w), kind_of_body(b));
            t.row("protocol", w, b, false);
        }
    }
    if let Some(which) = seen.bad_checksum {
        t.row("checksum", "valid", format!("the {which} checksum is wrong"), false);
    }
    // RFC 1191 3: a sender that discovers the path MTU sets DF on every segment.
    if let (Some(false), Body::Tcp { .. }) = (seen.dont_fragment, &seen.body) {
        t.row("DF", "set", "not set", false);
    }
    t.into_rows()
}

fn kind_of_transport(t: &Transport) -> &'static str {
    match t {
        Transport::Tcp(_) => "tcp",
        Transport::Udp(..) => "udp",
        Transport::Icmp(_) => "icmp",
        Transport::Unsupported(what) => what,
    }
}

fn kind_of_body(b: &Body) -> &'static str {
    match b {
        Body::Tcp { .. } => "tcp",
        Body::Udp { .. } => "udp",
        Body::Icmp { .. } => "icmp",
    }
}

fn segment(t: &mut Table, want: &TcpSpec, seen: &Seen, flow: &mut Flow, set: &Settings) {
    let Body::Tcp { header, options, rest, len, zeros } = &seen.body else { return };
    if header.flags.has(Flags::SYN) && want.flags.has(Flags::SYN) {
        flow.learn_local(want.seq, header.seq.0);
    }
    let (seq, ack) = in_script(flow, seen).unwrap_or_default();
    let seq = if want.absolute_seq { header.seq.0 } else { seq };
    if let Some((from, to)) = want.ports {
        t.eq("source port", from, seen.src.port());
        t.eq("destination port", to, seen.dst.port());
    }
    let ecn = Flags::ECE | Flags::CWR | Flags::AE;
    match want.ace {
        Some(ace) => {
            let bit = |f, n| if header.flags.has(f) { n } else { 0 };
            t.eq("flags", flags_text(want.flags.without(ecn)), flags_text(header.flags.without(ecn)));
            t.eq("ACE", ace, bit(Flags::AE, 4) + bit(Flags::CWR, 2) + bit(Flags::ECE, 1));
        }
        None => t.eq("flags", flags_text(want.flags), flags_text(header.flags)),
    }
    t.eq("seq", want.seq, seq);
    t.eq("length", want.len, *len);
    if want.ack.is_some() || header.flags.has(Flags::ACK) || ack != 0 {
        t.eq("ack", want.ack.unwrap_or(0), ack);
    }
    if let Some(win) = want.win {
        t.eq("win", win, header.window);
    }
    t.eq("urg", want.urg, header.urgent);
    if let Options::These(list) = &want.options {
        let val = timestamps(t, list, options, flow, set);
        let mut came = mapped(Some(flow), options);
        // What timestamps say was compared above.
        let plain = |l: &[Opt]| {
            let strip = |o: &Opt| if matches!(o, Opt::Timestamps(..)) { Opt::Timestamps(0, 0) } else { o.clone() };
            l.iter().map(strip).collect::<Vec<_>>()
        };
        let same = plain(list) == plain(&came) && rest.is_empty();
        // Shown as the script counts it, so that it is not taken for what differs.
        for o in &mut came {
            if let (Opt::Timestamps(live, _), Some(val)) = (o, val) {
                *live = val;
            }
        }
        t.row("options", options_text(list), options_text(&came), same);
    }
    t.text(*zeros);
}

/// An ICMP message. One that is no error has the text that is written, and without brackets none; what an error quotes is
/// compared where something is written of it.
fn message(t: &mut Table, want: &Icmp, seen: &Seen, flow: &Flow) {
    let Body::Icmp { kind, code, word, rest } = &seen.body else { return };
    let v6 = seen.src.is_ipv6();
    let numbers = match icmp_numbers(want, v6) {
        Ok(numbers) => numbers,
        Err(e) => return t.row("type", e, kind, false),
    };
    t.eq("type", numbers.0, *kind);
    t.eq("code", numbers.1, *code);
    if let Some(mtu) = want.mtu {
        t.eq("mtu", mtu, *word);
    }
    if let Some(id) = want.id {
        t.eq("id", id, (*word >> 16) as u16);
    }
    let none = (!is_icmp_error(numbers.0, v6)).then_some(IcmpQuote::Raw(0));
    if let Some(q) = want.quote.or(none) {
        quote::compare(t, q, rest, flow);
    }
}

/// TSval within the tolerance if it is to be compared, TSecr exactly: it is what the script sent. Gives TSval as the script
/// counts it: what it says itself, if that is not compared.
fn timestamps(t: &mut Table, want: &[Opt], came: &[Opt], flow: &mut Flow, set: &Settings) -> Option<u32> {
    let of = |l: &[Opt]| {
        l.iter().find_map(|o| match o {
            Opt::Timestamps(val, ecr) => Some((*val, *ecr)),
            _ => None,
        })
    };
    let (Some((val, ecr)), Some((live_val, live_ecr))) = (of(want), of(came)) else { return None };
    let mut shown = val;
    if set.ts_tick_usecs > 0
        && let Some((first_script, first_live)) = flow.first_val
    {
        let script = first_script.wrapping_add(live_val.wrapping_sub(first_live));
        let ticks = (set.tolerance_usecs / set.ts_tick_usecs).max(1) as u32;
        t.row("TS val", val, script, script.abs_diff(val) <= ticks);
        shown = script;
    }
    t.eq("TS ecr", ecr, live_ecr);
    flow.vals.insert(val, live_val);
    flow.first_val.get_or_insert((val, live_val));
    Some(shown)
}
