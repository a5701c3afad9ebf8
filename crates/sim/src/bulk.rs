//! Bulk transfer both ways over a bad link, by seed: all octets, in order, both ends closed, nothing left allocated.

use crate::link::{Limit, Link, LinkModel, Oversize};
use crate::network::Network;
use std::fmt;
use std::time::Duration;
use synfin_stack::engine::config::MtuProbing;
use synfin_stack::engine::{Rng, TcpConfig};
use synfin_stack::{ConnId, Occupancy};

/// What a seed decides.
#[derive(Debug, Clone)]
pub struct Params {
    /// The seed.
    pub seed: u64,
    /// Octets each way.
    pub bytes: [u32; 2],
    /// The link, each way.
    pub link: LinkModel,
    /// Octets of an IP packet.
    pub mtu: u32,
    /// Whether super-segments cross the link.
    pub offload: bool,
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// Octets of buffers that the text of a host's connections may hold.
    pub memory: u32,
    /// The settings of both ends.
    pub tcp: TcpConfig,
}

impl Params {
    /// Draws everything from `seed`: loss up to 20 %, reordering, duplication, corruption, black holes, rates, buffers, memory,
    /// options.
    pub fn from_seed(seed: u64) -> Params {
        let mut r = Rng::from_number(seed ^ 0x5eed);
        let mut one_in = |n: u32| r.below(n) == 0;
        let offload = one_in(3);
        let lossless = one_in(8);
        let tcp = TcpConfig {
            timestamps: !one_in(4),
            sack: !one_in(4),
            window_scaling: !one_in(4),
            nodelay: one_in(3),
            // Enough patience for one packet in five lost.
            syn_retries: 30,
            synack_retries: 30,
            retries2: 60,
            orphan_retries: 60,
            rto_max: Duration::from_secs(8),
            time_wait: Duration::from_secs(240),
            ..TcpConfig::default()
        };
        let buf = [4_096, 65_535, 131_072, 1_000_000][r.below(4) as usize];
        let tcp = TcpConfig {
            rcv_buf_initial: buf,
            rcv_buf_max: buf * (1 + r.below(4)),
            snd_buf_initial: 2_048 + r.below(100_000),
            snd_buf_max: 2_048 + r.below(200_000),
            ..tcp
        };
        let percent = |r: &mut Rng, p: u32| if lossless { 0 } else { r.below(p * 10_000) };
        let mut link = LinkModel {
            delay: Duration::from_micros(u64::from(1 + r.below(100_000))),
            rate: if r.below(2) == 0 { 0 } else { 1_000_000 + u64::from(r.below(50_000_000)) },
            queue: Limit::Bytes(20_000 + u64::from(r.below(200_000))),
            loss: percent(&mut r, 20),
            reorder: percent(&mut r, 20),
            duplicate: percent(&mut r, 10),
            corrupt: percent(&mut r, 2),
            ..LinkModel::default()
        };
        let bytes = [r.below(200_000), r.below(200_000)];
        let mtu = [576, 1280, 1500, 9000][r.below(4) as usize];
        let v6 = r.below(2) == 0;
        let mtu = if v6 { mtu.max(1280) } else { mtu };
        // One host in four has less than its connection would hold.
        let memory = if r.below(4) == 0 { 4_096 + r.below(200_000) } else { u32::MAX };
        // Not drawn: what else a seed stands for stays as it was.
        let mtu_probing = if seed.is_multiple_of(4) { MtuProbing::On } else { MtuProbing::Auto };
        if seed % 8 < 2 && !offload {
            // A black hole for full segments. (A super-segment would not be cut before it.)
            (link.mtu, link.oversize) = (mtu / 4 * 3, Oversize::Silent);
        }
        Params { seed, bytes, link, mtu, offload, v6, memory, tcp: TcpConfig { mtu_probing, ..tcp } }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Virtual time from the first SYN until all was delivered and closed.
    pub took: Duration,
    /// Packets put on the link.
    pub packets: u64,
    /// Segments sent again.
    pub retransmitted: u64,
}

/// Why a run failed.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}; run it again: synfin sim bulk --seed {} --pcap run.pcapng",
            self.seed, self.what, self.seed
        )
    }
}

impl std::error::Error for Failure {}

/// One end's program: writes its octets in pieces of any size, reads in pieces of any size, closes when it is done.
struct Program {
    id: ConnId,
    to_send: u32,
    sent: u32,
    received: u32,
    expects: u32,
    shut: bool,
    ended: bool,
    closed: bool,
}

/// The octet at `offset` of the stream that host `from` sends.
fn octet(seed: u64, from: usize, offset: u32) -> u8 {
    let x = (u64::from(offset) ^ seed.rotate_left(from as u32 * 17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x >> 56) as u8
}

/// Runs one seed. The network is returned as well, so that its records can be looked at.
pub fn run(p: &Params, record: bool) -> (Result<Report, Failure>, Network) {
    let mut net = Network::new(p.seed, &p.tcp, p.mtu, p.offload);
    net.links = vec![Link::new(p.link.clone()); 2];
    net.hosts.iter_mut().for_each(|h| h.stack.pool().set_limit(p.memory as usize));
    net.records = record.then(Vec::new);
    let result = drive(p, &mut net).map_err(|what| Failure { seed: p.seed, what });
    (result, net)
}

fn drive(p: &Params, net: &mut Network) -> Result<Report, String> {
    let start = net.now;
    let family = usize::from(p.v6);
    let server = std::net::SocketAddr::new(net.hosts[1].addrs[family], 80);
    let listener =
        net.hosts[1].stack.tcp_listen(net.now, &mut (), server, 8, &p.tcp).map_err(|e| format!("listen: {e:?}"))?;
    if p.tcp.fastopen_connect {
        learn_cookie(p, net, server, listener)?;
    }
    let id = net.hosts[0]
        .stack
        .tcp_connect(net.now, &mut (), None, server, &p.tcp)
        .map_err(|e| format!("connect: {e:?}"))?;
    let program = |id, to_send, expects| Program {
        id,
        to_send,
        sent: 0,
        received: 0,
        expects,
        shut: false,
        ended: false,
        closed: false,
    };
    let mut programs = [Some(program(id, p.bytes[0], p.bytes[1])), None];
    let limit = start + Duration::from_secs(24 * 3600);
    let mut idle = 0;
    for step in 0u64.. {
        if step > MAX_STEPS {
            return Err(format!("no end after {MAX_STEPS} steps, at {:?}: {:?}", net.now, summary(&programs)));
        }
        if programs[1].is_none()
            && let Some(id) = net.hosts[1].stack.tcp_accept(listener)
        {
            programs[1] = Some(program(id, p.bytes[1], p.bytes[0]));
        }
        let mut busy = false;
        for (host, prog) in programs.iter_mut().enumerate() {
            if let Some(prog) = prog {
                busy |= act(p, net, host, prog)?;
            }
        }
        if programs.iter().all(|p| p.as_ref().is_some_and(|p| p.closed)) {
            break;
        }
        let more = net.step(&mut (), limit);
        idle = if busy || more { 0 } else { idle + 1 };
        if idle > 2 {
            return Err(format!("stalled at {:?} with {programs:?}", net.now, programs = summary(&programs)));
        }
    }
    let took = net.now.since(start);
    let retransmitted = net.hosts.iter().map(|h| h.stack.counters().1.retrans_segs).sum();
    let packets = net.packets;
    finish(net, listener)?;
    Ok(Report { took, packets, retransmitted })
}

/// A connection before the one that counts, while the link does nothing bad: its SYN asks for a Fast Open cookie.
fn learn_cookie(
    p: &Params,
    net: &mut Network,
    server: std::net::SocketAddr,
    listener: synfin_stack::ListenerId,
) -> Result<(), String> {
    for l in &mut net.links {
        l.model = LinkModel { delay: p.link.delay, ..LinkModel::default() };
    }
    let id = net.hosts[0].stack.tcp_connect(net.now, &mut (), None, server, &p.tcp).map_err(|e| format!("{e:?}"))?;
    // Who reads first lets a SYN go that would wait for text.
    let _ = net.hosts[0].stack.tcp_receive(net.now, &mut (), id, &mut [0]);
    net.run(&mut (), Duration::from_secs(1));
    let now = net.now;
    let other = net.hosts[1].stack.tcp_accept(listener).ok_or("the first handshake did not end")?;
    net.hosts[0].stack.tcp_abort(now, &mut (), id);
    net.run(&mut (), Duration::from_secs(1));
    let now = net.now;
    net.hosts[1].stack.tcp_close(now, &mut (), other);
    for l in &mut net.links {
        l.model = p.link.clone();
    }
    Ok(())
}

fn summary(programs: &[Option<Program>; 2]) -> Vec<String> {
    programs
        .iter()
        .map(|p| match p {
            Some(p) => format!("sent {}/{} received {}/{}", p.sent, p.to_send, p.received, p.expects),
            None => "not accepted".to_string(),
        })
        .collect()
}

fn act(p: &Params, net: &mut Network, host: usize, prog: &mut Program) -> Result<bool, String> {
    if prog.closed {
        return Ok(false);
    }
    let now = net.now;
    let mut busy = false;
    if let Some(reason) = net.hosts[host].stack.tcp_reason(prog.id)
        && !(prog.ended && prog.shut)
    {
        return Err(format!("host {host} at {now:?}: {reason}; sent {} received {}", prog.sent, prog.received));
    }
    let size = 1 + net.rng().below(30_000) as usize;
    let stack = &mut net.hosts[host].stack;
    if prog.sent < prog.to_send {
        let n = size.min((prog.to_send - prog.sent) as usize);
        let data: Vec<u8> = (0..n as u32).map(|i| octet(p.seed, host, prog.sent + i)).collect();
        if let Ok(n) = stack.tcp_send(now, &mut (), prog.id, &data) {
            prog.sent += n as u32;
            busy |= n > 0;
        }
    } else if !prog.shut && stack.tcp_state(prog.id).is_synchronized() {
        stack.tcp_shutdown_write(now, &mut (), prog.id);
        prog.shut = true;
        busy = true;
    }
    let mut buf = vec![0; size];
    match stack.tcp_receive(now, &mut (), prog.id, &mut buf) {
        Ok(0) => {
            if prog.received != prog.expects {
                return Err(format!("host {host}: the end came after {} of {} octets", prog.received, prog.expects));
            }
            prog.ended = true;
        }
        Ok(n) => {
            for (i, b) in buf[..n].iter().enumerate() {
                let offset = prog.received + i as u32;
                if *b != octet(p.seed, 1 - host, offset) {
                    return Err(format!("host {host}: octet {offset} is wrong"));
                }
            }
            prog.received += n as u32;
            busy = true;
        }
        Err(_) => {}
    }
    if prog.ended && prog.shut {
        stack.tcp_close(now, &mut (), prog.id);
        prog.closed = true;
        busy = true;
    }
    Ok(busy)
}

/// Everything must go: connections, timers, records.
fn finish(net: &mut Network, listener: synfin_stack::ListenerId) -> Result<(), String> {
    for l in &mut net.links {
        // The faults stop; what is still open must come to its end.
        (l.model.loss, l.model.corrupt) = (0, 0);
    }
    net.run(&mut (), Duration::from_secs(1200));
    let now = net.now;
    net.hosts[1].stack.tcp_close_listener(now, &mut (), listener);
    net.run(&mut (), Duration::from_secs(600));
    for (i, h) in net.hosts.iter().enumerate() {
        let o = h.stack.occupancy();
        if o != Occupancy::default() {
            return Err(format!("host {i} keeps {o:?}"));
        }
    }
    Ok(())
}

/// More than any seed needs by far: a run that takes so many steps goes in circles.
const MAX_STEPS: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_seeds_deliver_everything_and_release_everything() {
        let mut worst = Duration::ZERO;
        for seed in 0..1_000 {
            match run(&Params::from_seed(seed), false).0 {
                Ok(r) => worst = worst.max(r.took),
                Err(f) => panic!("{f}"),
            }
        }
        println!("the longest took {worst:?} of virtual time");
    }

    /// By turns with a cookie and without one. What is lost, comes late, twice or broken: text of a SYN is delivered once.
    #[test]
    //= RFC 7413 4.2.2 (c) (d) (e) (f) (g)
    fn fast_open_delivers_every_octet_once() {
        let (mut taken, mut not) = (0, 0);
        for seed in 0..400 {
            let mut p = Params::from_seed(seed);
            p.tcp.fastopen = if seed % 2 == 0 { 3 } else { 0x207 };
            (p.tcp.fastopen_connect, p.tcp.fastopen_queue) = (true, 8);
            let (result, net) = run(&p, false);
            if let Err(f) = result {
                panic!("{f}, with Fast Open");
            }
            let client = net.hosts[0].stack.counters().1;
            taken += client.fast_open_active;
            not += client.fast_open_active_fail;
        }
        println!("text of {taken} SYNs was taken, of {not} not");
        assert!(taken > 200 && not > 10, "{taken} {not}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        for seed in [3, 7, 11] {
            let p = Params::from_seed(seed);
            let (a, x) = run(&p, true);
            let (b, y) = run(&p, true);
            assert_eq!(a.map_err(|e| e.what), b.map_err(|e| e.what));
            let bytes = |n: &Network| n.records.as_ref().map(|r| r.iter().map(|r| r.bytes.clone()).collect::<Vec<_>>());
            assert_eq!(bytes(&x), bytes(&y));
        }
    }
}
