//! What a seed decides of a bulk transfer, and what came of it, in words.

use crate::output::Output;
use std::fmt::Write as _;
use std::io::{self, Write};
use synfin_sim::bulk::{Params, Report};
use synfin_sim::{Limit, LinkModel, Oversize};
use synfin_tcp::TcpConfig;

/// Tells what the seed decides.
pub(super) fn params(p: &Params, out: &mut Output) -> io::Result<()> {
    let version = if p.v6 { "IPv6" } else { "IPv4" };
    writeln!(out, "seed {}: {} octets one way, {} the other, over {version}", p.seed, p.bytes[0], p.bytes[1])?;
    let segments = if p.offload { ", super-segments" } else { "" };
    let memory = match p.memory {
        u32::MAX => String::new(),
        n => format!(", memory for {n} octets"),
    };
    writeln!(out, "hosts: MTU {}{segments}{memory}", p.mtu)?;
    writeln!(out, "link, each way: {}", link(&p.link))?;
    let (ours, usual) = (&p.tcp, TcpConfig::default());
    let other = |key: &str| ours.get(key).filter(|v| usual.get(key).as_ref() != Some(v));
    let set: Vec<String> =
        TcpConfig::settings().iter().filter_map(|s| Some(format!("{}={}", s.key, other(s.key)?))).collect();
    writeln!(out, "TCP: {}", if set.is_empty() { "as by default".into() } else { set.join(" ") })
}

/// Tells what came of it.
pub(super) fn report(r: &Report, out: &mut Output) -> io::Result<()> {
    let (s, packets, again) = (r.took.as_secs_f64(), r.packets, r.retransmitted);
    writeln!(out, "all octets arrived in order, both ends closed, nothing left allocated")?;
    writeln!(out, "{packets} packets, {again} segments sent again, {s:.3} s of virtual time")
}

fn link(l: &LinkModel) -> String {
    let mut words = format!("delay {:.3} ms", l.delay.as_secs_f64() * 1e3);
    if l.rate > 0 {
        let _ = write!(words, ", {:.1} Mbit/s", l.rate as f64 / 1e6);
    }
    let _ = match l.queue {
        Limit::Bytes(n) => write!(words, ", a queue of {n} octets"),
        Limit::Packets(n) => write!(words, ", a queue of {n} packets"),
    };
    for (what, millionths) in
        [("lost", l.loss), ("reordered", l.reorder), ("duplicated", l.duplicate), ("corrupted", l.corrupt)]
    {
        if millionths > 0 {
            let _ = write!(words, ", {:.2} % {what}", f64::from(millionths) / 1e4);
        }
    }
    if l.mtu > 0 {
        let what = if l.oversize == Oversize::Silent { "are lost without a word" } else { "are answered by ICMP" };
        let _ = write!(words, ", packets of more than {} octets {what}", l.mtu);
    }
    words
}
