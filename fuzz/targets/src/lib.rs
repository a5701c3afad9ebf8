//! What the fuzzers call. Nothing here may panic, whatever the input; the tests replay the seeds of `fuzz/seeds`, and a
//! number of generated inputs.
#![forbid(unsafe_code)]

#[cfg(test)]
mod seeds;
mod stack;

pub use stack::stack;

use synfin_device::VirtioNetHdr;
use synfin_packetdrill::run::{Settings, play};
use synfin_packetdrill::script::Script;
use synfin_sim::explore::{Bounds, walk};
use synfin_wire::checksum::Sum;
use synfin_wire::{arp, ethernet, frame, icmp, ipv4, ipv6, mld, ndp, tcp, udp};

/// Every parser on the same octets; what an emitter makes of a header that was read is read the same again.
pub fn parsers(data: &[u8]) {
    let _ = ethernet::Header::parse(data);
    let _ = arp::Packet::parse(data);
    let _ = icmp::parse_v4(data);
    let _ = icmp::parse_v6(data, Sum::ZERO);
    let _ = ndp::parse(data, 255);
    let _ = mld::parse_query(data);
    let _ = udp::Header::parse(data);
    let _ = frame::TcpPacket::parse(data);
    let _ = frame::quoted(data);
    let _ = frame::may_answer_with_error(data);
    if let Some((head, frame)) = data.split_first_chunk()
        && let Some(h) = VirtioNetHdr::parse(head, frame.len())
    {
        assert_eq!(VirtioNetHdr::parse(&h.to_bytes(), frame.len()).map(|g| (g.csum, g.gso)), Some((h.csum, h.gso)));
    }
    if let Ok(h) = ipv4::Header::parse(data) {
        let mut out = [0; 20];
        let mut plain = h;
        (plain.header_len, plain.source_routed) = (20, false);
        // The lengths must agree for the copy to be read alone.
        plain.total_len = 20;
        (plain.more_fragments, plain.fragment_offset) = (false, 0);
        plain.emit(&mut out).expect("there is room");
        assert_eq!(ipv4::Header::parse(&out), Ok(plain));
    }
    if let Ok(h) = ipv6::Header::parse(data) {
        let mut out = [0; 40];
        h.emit(&mut out).expect("there is room");
        assert_eq!(ipv6::Header::parse_quoted(&out), Ok(h));
        if let Ok(u) = ipv6::upper(data, &h) {
            assert!(u.offset <= data.len() && u.named_at < u.offset);
        }
    }
    if let Ok(h) = tcp::Header::parse(data) {
        let opts = &data[20..usize::from(h.header_len)];
        let mut out = [0; 60];
        let n = h.emit(opts, &mut out).expect("there is room");
        assert_eq!(tcp::Header::parse(&out[..n]), Ok(h));
        let o = tcp::Options::parse(opts);
        assert!(o.sack.as_slice().len() <= 4);
    }
}

/// Two peers: the first octets set the bounds, each other one chooses what happens next. From wherever that leads, a fair
/// network brings both to their end.
pub fn pair(data: &[u8]) {
    let Some((head, choices)) = data.split_first_chunk::<4>() else { return };
    let bounds = Bounds {
        octets: [head[0] & 7, head[0] >> 4 & 7],
        losses: head[1] & 15,
        duplicates: head[1] >> 4,
        // Fewer than what makes either give up.
        timeouts: [head[2] & 3, head[2] >> 4 & 3],
        simultaneous: head[3] & 1 != 0,
        reordering: head[3] & 2 != 0,
        ..Bounds::default()
    };
    if let Err(v) = walk(bounds, &choices[..choices.len().min(200)]) {
        panic!("{v}");
    }
}

/// A script: it is read, or there is one clear error with a place in it; what was read can be played.
pub fn script(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Script::parse("x.pkt", &text, &[]) {
        Err(e) => assert!(e.at.line >= 1 && e.at.column >= 1 && !e.message.is_empty() && e.to_string().len() < 2_000),
        Ok(s) => drop(play(&s, &Settings::default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};
    use synfin_stack::engine::Rng;

    fn dir(target: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target)
    }

    /// The files of a target's seeds.
    fn files(target: &str) -> Vec<(String, Vec<u8>)> {
        let all = fs::read_dir(dir(target)).unwrap_or_else(|e| panic!("{target}: {e}"));
        let mut all: Vec<_> = all
            .map(|e| e.expect("a readable directory"))
            .map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).expect("a readable seed")))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn the_seeds_are_survived() {
        for (name, target) in [("parsers", parsers as fn(&[u8])), ("stack", stack), ("pair", pair), ("script", script)]
        {
            let all = files(name);
            assert!(!all.is_empty(), "{name}");
            all.iter().for_each(|(_, d)| target(d));
        }
    }

    #[test]
    fn the_seeds_do_what_their_names_say() {
        let mut wrong = Vec::new();
        for s in seeds::stack() {
            let words = super::stack::run(&s.bytes);
            let as_said = |w: &&&str| w.strip_prefix('!').map_or_else(|| words.has(w), |w| !words.has(w));
            wrong.extend(s.words.iter().filter(|w| !as_said(w)).map(|w| format!("{}: not so: {w}", s.name)));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn the_files_of_the_seeds_are_up_to_date() {
        let mut stack: Vec<_> = seeds::stack().into_iter().map(|s| (s.name.to_string(), s.bytes)).collect();
        let mut parsers: Vec<_> = seeds::parsers().into_iter().map(|(n, b)| (n.to_string(), b)).collect();
        for (target, seeds) in [("stack", &mut stack), ("parsers", &mut parsers)] {
            seeds.sort();
            if std::env::var_os("SYNFIN_WRITE_SEEDS").is_some() {
                files(target).iter().for_each(|(n, _)| fs::remove_file(dir(target).join(n)).expect("a seed to remove"));
                seeds.iter().for_each(|(n, b)| fs::write(dir(target).join(n), b).expect("a seed to write"));
            }
            assert!(files(target) == *seeds, "{target}: SYNFIN_WRITE_SEEDS=1 writes them anew");
        }
    }

    #[test]
    fn generated_inputs_are_survived() {
        let mut rng = Rng::from_number(1);
        for _ in 0..3_000 {
            let n = rng.below(600) as usize;
            let mut data: Vec<u8> = (0..n).map(|_| rng.next_u32() as u8).collect();
            stack(&data);
            pair(&data);
            script(&data);
            if let Some(first) = data.first_mut() {
                *first = [0x45, 0x60, *first][rng.below(3) as usize];
            }
            parsers(&data);
        }
    }
}
