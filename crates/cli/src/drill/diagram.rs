//! The conversation of a script as a sequence diagram, and as a capture file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use synfin_capture::{LinkType, PcapNg};
use synfin_packetdrill::host::{Crossed, START};
use synfin_packetdrill::run::{Played, What};
use synfin_tcp::State;
use synfin_trace::infer::Ends;
use synfin_trace::render::text;
use synfin_trace::{Entry, Report, Step};
use synfin_wire::frame::TcpPacket;

/// By the ends, theirs and ours: the states that its segments imply, and whether theirs is the client.
type Conversations = HashMap<(SocketAddr, SocketAddr), (Ends, bool)>;

/// The conversation so far, with the numbers of the script: its side on the left, with the states that its segments
/// imply, ours on the right, with our calls.
pub(super) fn diagram(played: &Played) -> String {
    let mut report = Report { left: "script".into(), right: "synfin".into(), entries: Vec::new() };
    let mut conversations = Conversations::new();
    for told in &played.story {
        let at = told.at.since(START);
        match &told.what {
            What::Call(what) => {
                report.entries.push(Entry { at, step: Step::Program { left: false, what: what.clone() } })
            }
            What::Packet(i, words) => {
                let Some(c) = played.packets.get(*i) else { continue };
                let step = segment(c, words, &mut report.entries, &mut conversations);
                report.entries.push(Entry { at, step });
            }
        }
    }
    if played.packets.is_empty() {
        return "no packets crossed the link\n".into();
    }
    text::diagram(&report, false)
}

/// A packet. What it says of the script's end in earlier entries is mended there.
fn segment(c: &Crossed, words: &str, entries: &mut [Entry], conversations: &mut Conversations) -> Step {
    let Ok(Some(p)) = TcpPacket::parse(&c.bytes) else {
        return Step::Remark(if c.inbound { format!("> {words} >") } else { format!("< {words} <") });
    };
    let ends = if c.inbound { (p.src(), p.dst()) } else { (p.dst(), p.src()) };
    let (seen, client) = conversations.entry(ends).or_insert_with(|| (Ends::new(State::Listen), c.inbound));
    let shown = seen.segment(entries.len(), c.inbound == *client, &p.header, p.payload.len() as u32, false);
    if let Some(fix) = shown.earlier.filter(|fix| fix.client == *client) {
        for e in &mut entries[fix.since..] {
            if let Step::Segment { states, ends: e, .. } = &mut e.step
                && (*e == ends || *e == (ends.1, ends.0))
            {
                states.0 = fix.state;
            }
        }
    }
    let (theirs, ours) = if *client { shown.states } else { (shown.states.1, shown.states.0) };
    Step::Segment {
        rightwards: c.inbound,
        label: words.to_string(),
        line: words.to_string(),
        states: (theirs, c.state.unwrap_or(ours)),
        words: String::new(),
        lost: false,
        ends: (p.src(), p.dst()),
    }
}

/// The packets as pcapng, with our states as comments.
pub(super) fn write_pcap(file: File, packets: &[Crossed]) -> io::Result<()> {
    let mut w = PcapNg::new(BufWriter::new(file), LinkType::Ip, "drill")?;
    for c in packets {
        let state = c.state.map(|s| format!("synfin: {s}"));
        w.packet(c.at.since(START), &c.bytes, state.as_deref())?;
    }
    w.finish()?.flush()
}
