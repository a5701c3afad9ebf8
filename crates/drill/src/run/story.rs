//! What happened in a run, in order, as a script would say it: packets with the script's numbers, and the calls of the
//! program. For people who look at a diagram.

use super::flow::{Flow, Flows};
use super::judge::Value;
use super::wire::{Body, Seen};
use super::{compare, judge};
use crate::host::Crossed;
use crate::script::symbols::errno_name;
use crate::script::{Call, Expr, Opt};
use std::net::SocketAddr;
use synfin_stack::engine::Instant;
use synfin_stack::wire::tcp::Flags;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The packet of this number among those that crossed the link, as a script writes it.
    Packet(usize, String),
    /// A call of the program.
    Call(String),
}

/// The calls of a run so far.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<(Instant, Option<usize>, String)>);

impl Calls {
    /// A call is made; `crossed` packets are known to have crossed the link before.
    pub(super) fn begin(&mut self, at: Instant, crossed: Option<usize>, call: &Call) -> usize {
        self.0.push((at, crossed, words(call)));
        self.0.len() - 1
    }

    /// Call `i` has returned: with its first words if it did so at once, else with words of its own.
    pub(super) fn end(&mut self, i: usize, at: Instant, crossed: Option<usize>, call: &Call, got: &str, at_once: bool) {
        match self.0.get_mut(i) {
            Some(begun) if at_once => begun.2 = format!("{} = {got}", begun.2),
            _ => self.0.push((at, crossed, format!("{} = {got}", words(call)))),
        }
    }

    /// All that happened.
    pub(super) fn with_packets(self, packets: &[Crossed], flows: &Flows) -> Vec<Told> {
        let mut all = Vec::new();
        let mut calls = self.0.into_iter().peekable();
        for (i, c) in packets.iter().enumerate() {
            while let Some((at, _, call)) = calls.next_if(|(at, n, _)| n.map_or(*at <= c.at, |n| n <= i)) {
                all.push(Told { at, what: What::Call(call) });
            }
            all.push(Told { at: c.at, what: What::Packet(i, line(c, flows)) });
        }
        all.extend(calls.map(|(at, _, call)| Told { at, what: What::Call(call) }));
        all
    }
}

/// The call and its file: there is little room, and the rest stands in the script.
fn words(call: &Call) -> String {
    let shown = |e: &Expr| match e {
        Expr::Int(n) => Some(n.to_string()),
        Expr::Word(w) if call.name == "shutdown" => Some(w.clone()),
        _ => None,
    };
    let most = if call.name == "shutdown" { 2 } else { 1 };
    let args: Vec<String> = call.args.iter().take(most).filter_map(shown).collect();
    format!("{}({})", call.name, args.join(", "))
}

/// What a call gave, in short.
pub(super) fn result(got: &Result<Value, i32>, call: &Call) -> String {
    match got {
        Err(errno) => format!("-1 {}", errno_name(*errno)),
        Ok(v) => match judge::number_of(v) {
            Some(n) => n.to_string(),
            None => call.result.as_ref().and_then(|r| crate::script::symbols::number(r).ok()).unwrap_or(0).to_string(),
        },
    }
}

/// A packet as a script writes it.
fn line(c: &Crossed, flows: &Flows) -> String {
    let Ok(seen) = Seen::parse(&c.bytes) else { return format!("{} octets of another protocol", c.bytes.len()) };
    let (local, remote) = if c.inbound { (seen.dst, seen.src) } else { (seen.src, seen.dst) };
    match &seen.body {
        Body::Tcp { .. } => segment(&seen, c.inbound, flows.between(local, remote)),
        _ => compare::as_script(None, &seen),
    }
}

/// A segment with the numbers of the script, and its options in short.
fn segment(seen: &Seen, inbound: bool, flow: Option<&Flow>) -> String {
    let Body::Tcp { header: h, options, len, .. } = &seen.body else { return String::new() };
    let syn = h.flags.has(Flags::SYN);
    let offsets = |syn| flow.map_or((0, 0), |f| (f.local_offset(syn), f.remote_offset(syn)));
    let mine = |(local, remote): (u32, u32)| if inbound { (remote, local) } else { (local, remote) };
    let (seq_by, ack_by) = mine(offsets(syn));
    let seq = h.seq.0.wrapping_sub(seq_by);
    let mut s = format!("{} {seq}:{}({len})", compare::flags_text(h.flags), seq.wrapping_add(*len));
    if h.flags.has(Flags::ACK) {
        s += &format!(" ack {}", h.ack.0.wrapping_sub(ack_by));
    }
    // The window is told only where it stops everything.
    if h.window == 0 && !h.flags.has(Flags::RST) {
        s += " win 0";
    }
    if h.urgent != 0 {
        s += &format!(" urg {}", h.urgent);
    }
    let sack_by = mine(offsets(false)).1;
    let short: Vec<String> = options.iter().filter_map(|o| in_short(o, sack_by)).collect();
    if !short.is_empty() {
        s += &format!(" <{}>", short.join(","));
    }
    s
}

/// An option without what is the same in all of its kind; padding is nothing.
fn in_short(o: &Opt, sack_by: u32) -> Option<String> {
    match o {
        Opt::Nop | Opt::Eol => None,
        Opt::Timestamps(val, ecr) => Some(format!("TS {val}/{ecr}")),
        Opt::Sack(b) => {
            let edge = |n: u32| n.wrapping_sub(sack_by);
            let blocks: Vec<String> = b.iter().map(|(l, r)| format!("{}:{}", edge(*l), edge(*r))).collect();
            Some(format!("sack {}", blocks.join(" ")))
        }
        other => Some(other.to_string()),
    }
}

impl Flows {
    /// The conversation between these two.
    fn between(&self, local: SocketAddr, remote: SocketAddr) -> Option<&Flow> {
        self.all().rfind(|f| f.local == local && f.remote == remote)
    }
}
