//! The packets of a script: those that arrive, and those that are expected to leave.

use super::compare::{self, Compared};
use super::settings::IpVersion;
use super::wire::{self, Body, Seen};
use super::{PATIENCE, Runner, Step, Stop};
use crate::host::Sent;
use crate::script::{Icmp, Packet, Place, TcpSpec, Time, Transport};
use std::time::Duration;
use synfin_stack::engine::Instant;
use synfin_stack::wire::tcp::Flags;

impl Runner<'_> {
    pub(super) fn inbound(&mut self, at: Place, p: &Packet) -> Step {
        let ports = match &p.transport {
            Transport::Tcp(t) => t.ports,
            Transport::Udp(ports, _) => *ports,
            Transport::Icmp(_) => None,
            Transport::Unsupported(what) => return self.skip(at, what),
        };
        self.fits_the_version(at, p)?;
        let i = self.flows.for_arrival(ports);
        let flow = self.flows.mean(i);
        let bytes = match &p.transport {
            Transport::Tcp(t) => {
                if t.flags.has(Flags::SYN) {
                    flow.learn_remote(t.seq);
                }
                wire::segment(p, t, flow, self.set.ecr_scaled)
            }
            Transport::Udp(ports, len) => wire::datagram(p, *ports, *len, flow),
            Transport::Icmp(i) => wire::icmp(p, i, flow),
            Transport::Unsupported(_) => Ok(Vec::new()),
        };
        match bytes {
            Ok(b) => {
                self.machine.deliver(&b);
                self.look_at_waiting()
            }
            Err(why) => Err(self.mistake(at, why)),
        }
    }

    /// What a packet says is there in the version of IP that carries it.
    fn fits_the_version(&self, at: Place, p: &Packet) -> Step {
        if self.set.ip_version == IpVersion::V6 {
            return Ok(());
        }
        if p.flow_label.is_some() {
            return Err(self.mistake(at, "a packet of IPv4 has no flow label"));
        }
        match &p.transport {
            Transport::Icmp(Icmp { mtu: Some(mtu), .. }) if *mtu > 0xffff => {
                Err(self.mistake(at, format!("mtu {mtu}: an ICMP message of IPv4 has 16 bits for it")))
            }
            _ => Ok(()),
        }
    }

    /// The next packet of a flow of ours that leaves before `limit`. Others are passed over, as packetdrill does.
    fn next_packet(&mut self, at: Place, limit: Instant) -> Step<Option<(Sent, Seen, usize)>> {
        loop {
            let late = self.machine.now() >= limit;
            let until = self.waiting.as_ref().map_or(limit, |w| w.until.min(limit));
            match self.machine.next_sent(until) {
                Some(s) => match Seen::parse(&s.bytes) {
                    Ok(seen) => {
                        if let Some(i) = self.flows.of_departure(&seen) {
                            return Ok(Some((s, seen, i)));
                        }
                    }
                    Err(what) => return Err(self.failure(at, format!("what left is {what}"))),
                },
                None if late => return Ok(None),
                None => self.look_at_waiting()?,
            }
        }
    }

    pub(super) fn expect(&mut self, i: usize, p: &Packet, from: Instant, to: Instant) -> Step {
        let at = self.script.events[i].at;
        if let Transport::Unsupported(what) = &p.transport {
            return self.skip(at, what);
        }
        self.fits_the_version(at, p)?;
        let limit = if to == Instant::NEVER { to } else { to + PATIENCE };
        let Some((sent, mut seen, flow)) = self.next_packet(at, limit)? else {
            let until = self.time_text(limit);
            return Err(self.failure(at, format!("no packet left until {until}")));
        };
        self.flows.mean(flow);
        self.last_taken = Some(sent.at);
        if let Transport::Tcp(t) = &p.transport {
            self.glue(at, t, &sent, &mut seen, flow, limit)?;
        }
        let mut fields = compare::compare(p, &seen, self.flows.mean(flow), &self.set);
        let wrong: Vec<&str> = fields.iter().filter(|c| !c.same).map(|c| c.name).collect();
        let time = self.compare_time(i, (from, to), sent.at);
        let (want, when) = (&time.expected, &time.came);
        let what = match (wrong.is_empty(), time.same) {
            (true, true) => return Ok(()),
            (true, false) => format!("the packet left at {when}, expected {want}"),
            (false, true) => format!("the packet differs: {}", wrong.join(", ")),
            (false, false) => format!("the packet differs: {}, time ({when}, expected {want})", wrong.join(", ")),
        };
        let when = when.clone();
        fields.push(time);
        let Stop::Fail(mut f) = self.failure(at, what) else { return Ok(()) };
        f.came = Some(format!("{when} > {}", compare::as_script(Some(self.flows.get(flow)), &seen)));
        f.fields = fields;
        Err(Stop::Fail(f))
    }

    /// The time of a packet that left, beside what the script allows with the tolerance.
    fn compare_time(&self, event: usize, (from, to): (Instant, Instant), at: Instant) -> Compared {
        let tolerance = self.tolerance(from.since(self.before));
        let any = self.script.events[event].time == Time::Any;
        let earliest = Instant::from_nanos(from.as_nanos().saturating_sub(tolerance.as_nanos() as u64)).max(self.zero);
        let latest = to + tolerance;
        let expected =
            if any { "any".into() } else { format!("{} to {}", self.time_text(earliest), self.time_text(latest)) };
        let same = any || (earliest <= at && at <= latest);
        Compared { name: "time", expected, came: self.time_text(at), same }
    }

    /// Segments that follow one another are taken as the one that the script has: a super-segment, cut on the way.
    /// What differs in more than text and its number, or leaves later, is a packet of its own.
    fn glue(&mut self, at: Place, want: &TcpSpec, first: &Sent, seen: &mut Seen, flow: usize, limit: Instant) -> Step {
        if self.set.strict_segments {
            return Ok(());
        }
        let piece = match &seen.body {
            Body::Tcp { len, .. } if *len > 0 && *len < want.len => *len,
            _ => return Ok(()),
        };
        loop {
            let Body::Tcp { len, .. } = &seen.body else { return Ok(()) };
            if *len >= want.len {
                return Ok(());
            }
            let loose = Flags::PSH | Flags::FIN | Flags::CWR;
            let Some((sent, next, i)) = self.next_packet(at, limit)? else { return Ok(()) };
            let same_ip = (next.tos, next.ttl, next.flow_label, next.dont_fragment)
                == (seen.tos, seen.ttl, seen.flow_label, seen.dont_fragment);
            let at_once = sent.at <= first.at + self.tolerance(Duration::ZERO);
            let Body::Tcp { header, len, options, rest, .. } = &seen.body else { return Ok(()) };
            let fits = match &next.body {
                Body::Tcp { header: h, len: l, options: o, rest: r, .. } => {
                    i == flow
                        && same_ip
                        && at_once
                        && (o, r) == (options, rest)
                        && h.seq == header.seq + *len
                        && (h.ack, h.window) == (header.ack, header.window)
                        && h.flags.without(loose) == header.flags.without(loose)
                        && *l > 0
                        && *l <= piece
                        && *len % piece == 0
                }
                _ => false,
            };
            if !fits {
                self.machine.put_back(sent);
                return Ok(());
            }
            if let Body::Tcp { header: h, len: l, zeros: z, .. } = next.body
                && let Body::Tcp { zeros, .. } = &mut seen.body
            {
                *zeros &= z;
                let Body::Tcp { header, len, .. } = &mut seen.body else { return Ok(()) };
                *len += l;
                header.flags |= h.flags;
            }
            if seen.bad_checksum.is_none() {
                seen.bad_checksum = next.bad_checksum;
            }
        }
    }
}
