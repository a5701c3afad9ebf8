//! The loop: write what is due, read what has come, wait for either.

use crate::model::{Histogram, Link};
use crate::report::{Direction, Lateness, Report};
use crate::settings::Settings;
use crate::way::Way;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;
use synfin_device::{Device, Interest, LinkSpec, Medium, Received, set_real_time, set_timer_slack, wait_any};
use synfin_stack::engine::Instant;
use synfin_wire::gso::{Cut, complete};
use synfin_wire::{Error, ethernet};

/// Two links, and what is between them.
#[derive(Debug)]
pub struct Path {
    names: [String; 2],
    devices: [Device; 2],
    /// From the first to the second, and back.
    ways: [Way; 2],
    late: Histogram,
    real_time: bool,
    /// What a device is read into, and what is cut of that.
    frame: Vec<u8>,
    piece: Vec<u8>,
    start: std::time::Instant,
}

impl Path {
    /// Opens both links. The same seed makes the same decisions for the same packets, in each direction on its own.
    pub fn open(links: &[LinkSpec; 2], settings: &[Settings; 2], seed: u64) -> io::Result<Path> {
        let devices = [links[0].open()?, links[1].open()?];
        let ethernet = devices.each_ref().map(|d| matches!(d.capabilities().medium, Medium::Ethernet(_)));
        if ethernet[0] != ethernet[1] {
            let (frames, packets) = if ethernet[0] { (&links[0], &links[1]) } else { (&links[1], &links[0]) };
            let (frames, packets) = (frames.name(), packets.name());
            let words =
                format!("{frames} carries Ethernet frames and {packets} IP packets: nothing passes between them");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        // A direction's randomness is its own: what goes one way decides nothing about the other.
        let way =
            |n: usize| Way::new(Link::new(settings[n].model().clone()), seed.wrapping_mul(2).wrapping_add(n as u64));
        Ok(Path {
            names: links.each_ref().map(|l| l.name().to_string()),
            devices,
            ways: [way(0), way(1)],
            late: Histogram::default(),
            real_time: false,
            frame: vec![0; FRAME],
            piece: vec![0; FRAME],
            start: now_of_the_machine(),
        })
    }

    /// Runs until there is something to be read from `stop`, or it is closed, or the time is over.
    pub fn run(&mut self, stop: Option<RawFd>, time: Option<Duration>) -> io::Result<()> {
        set_timer_slack(1)?;
        // Where others load the machine it is this that makes a path exact; where it is not allowed the report says so.
        self.real_time = set_real_time().is_ok();
        let start = self.start;
        let clock = move || now_since(start);
        let end = time.map_or(Instant::NEVER, |t| clock() + t);
        let mut turns = 0;
        loop {
            let more = self.send_due(clock)? | self.read_some(clock)?;
            let now = clock();
            if now >= end {
                return Ok(());
            }
            let next = self.next().min(end);
            let wait = next.since(now);
            // What is due soon is not waited for; but whoever wants us to stop is heard, now and then.
            if (more || wait <= SPIN) && turns < LOOK {
                turns += 1;
                continue;
            }
            turns = 0;
            if self.wait(stop, next.finite().map(|_| wait.saturating_sub(SPIN)))? {
                return Ok(());
            }
        }
    }

    /// What has happened so far.
    pub fn report(&self) -> Report {
        let direction = |n: usize| {
            let w = &self.ways[n];
            Direction::of(&self.names[n], &self.names[1 - n], w)
        };
        let late = &self.late;
        Report {
            directions: [direction(0), direction(1)],
            lateness: Lateness {
                packets: late.count(),
                mean: late.mean(),
                p99: late.percentile(99),
                max: late.max(),
                real_time: self.real_time,
            },
        }
    }

    fn send_due(&mut self, clock: impl Fn() -> Instant) -> io::Result<bool> {
        let mut more = false;
        for (n, way) in self.ways.iter_mut().enumerate() {
            let (device, name) = (&mut self.devices[1 - n], &self.names[1 - n]);
            more |= way.send(device, &clock, BATCH, &mut self.late).map_err(|e| named(name, &e))?;
        }
        Ok(more)
    }

    fn read_some(&mut self, clock: impl Fn() -> Instant) -> io::Result<bool> {
        let mut more = false;
        for (n, way) in self.ways.iter_mut().enumerate() {
            let device = &mut self.devices[n];
            let ethernet = matches!(device.capabilities().medium, Medium::Ethernet(_));
            for i in 0..BATCH {
                let Some(r) = device.recv(&mut self.frame).map_err(|e| named(&self.names[n], &e))? else { break };
                let frame = self.frame.get_mut(r.offset..r.offset + r.len).unwrap_or_default();
                if take(way, clock(), frame, &r, ethernet, &mut self.piece).is_err() {
                    way.malformed += 1;
                }
                // A super-segment is many packets: others get their turn after each.
                more |= i + 1 == BATCH || r.gso_size > 0;
                if r.gso_size > 0 {
                    break;
                }
            }
        }
        Ok(more)
    }

    fn next(&self) -> Instant {
        self.ways.iter().map(|w| if w.blocked { Instant::NEVER } else { w.next() }).min().unwrap_or(Instant::NEVER)
    }

    /// Waits; true if it is to stop.
    fn wait(&mut self, stop: Option<RawFd>, time: Option<Duration>) -> io::Result<bool> {
        let device = |n: usize| Interest {
            fd: self.devices[n].fd(),
            readable: true,
            writable: self.ways[1 - n].blocked,
            ready: false,
        };
        // A negative descriptor is never ready.
        let stop = Interest { fd: stop.unwrap_or(-1), readable: true, writable: false, ready: false };
        let mut all = [device(0), device(1), stop];
        wait_any(&mut all, time)?;
        Ok(all[2].ready)
    }
}

/// Makes of one frame the packets that a wire would carry.
fn take(
    way: &mut Way,
    now: Instant,
    frame: &mut [u8],
    r: &Received,
    ethernet: bool,
    piece: &mut [u8],
) -> Result<(), Error> {
    let ip_at = if ethernet { ip_offset(frame) } else { 0 };
    if r.gso_size == 0 {
        if let Some((start, offset)) = r.partial {
            complete(frame, start, offset)?;
        }
        way.take(now, frame, ip_at);
        return Ok(());
    }
    let (head, packet) = frame.split_at_checked(ip_at).ok_or(Error::Truncated)?;
    let mut cut = Cut::new(packet, r.gso_size)?;
    piece.get_mut(..ip_at).ok_or(Error::NoRoom)?.copy_from_slice(head);
    while let Some(n) = cut.next_into(&mut piece[ip_at..])? {
        way.take(now, &piece[..ip_at + n], ip_at);
    }
    Ok(())
}

/// Where the IP packet of an Ethernet frame begins, behind a VLAN tag too.
fn ip_offset(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00]) => ethernet::HEADER_LEN + 4,
        _ => ethernet::HEADER_LEN,
    }
}

fn named(link: &str, e: &io::Error) -> io::Error {
    let words =
        if e.kind() == io::ErrorKind::UnexpectedEof { "the other end has closed it".into() } else { e.to_string() };
    io::Error::new(e.kind(), format!("{link}: {words}"))
}

fn now_since(start: std::time::Instant) -> Instant {
    Instant::from_nanos(now_of_the_machine().duration_since(start).as_nanos() as u64 + 1)
}

#[allow(clippy::disallowed_methods)] // a path is in real time
fn now_of_the_machine() -> std::time::Instant {
    std::time::Instant::now()
}

/// A frame with all headers.
const FRAME: usize = 65_600;
/// Packets written or read before others get a turn.
const BATCH: usize = 64;
/// Turns without waiting, before it is asked whether to stop.
const LOOK: u32 = 256;
/// Waking up takes about that long: the rest is not slept.
const SPIN: Duration = Duration::from_micros(20);
