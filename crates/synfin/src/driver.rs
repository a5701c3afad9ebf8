//! The driver: one lock around stack and device, and who turns the crank.
//!
//! Whoever holds the lock does the work: a caller runs its call, lets out what may go, and writes it to the device itself.
//! A caller that must wait becomes the *leader* if there is none: it waits on the device, not on a condition variable, so
//! that what arrives for it is handled on its own thread, without waking another core. The driver thread leads only while
//! nobody else has for a while (a lease of [`LEASE`]), so that timers and acknowledgments never depend on a caller.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synfin_device::{Device, EventFd, Received, Transmit, VirtioNetHdr, wait};
use synfin_stack::engine::probe::Watch;
use synfin_stack::engine::{Instant, Observer};
use synfin_stack::{Checksum, LinkId, RxChecksum, RxFrame, SocketEvent, Stack, TxFrame};

/// A packet as it crosses the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sniffed<'a> {
    /// When, on the host's clock.
    pub at: Instant,
    /// Whether it goes out.
    pub out: bool,
    /// Its octets, from the link header on; its checksum may be partial.
    pub bytes: &'a [u8],
}

/// Sees every packet before the stack or the device does; false loses it.
pub trait PacketLog: Send {
    /// A packet.
    fn packet(&mut self, p: Sniffed<'_>) -> bool;
}

/// Stack, device, and who watches.
pub(crate) struct Shard {
    pub stack: Stack,
    device: Device,
    link: LinkId,
    start: std::time::Instant,
    pub observer: Option<Box<dyn Observer + Send>>,
    log: Option<Box<dyn PacketLog>>,
    /// The device did not take the last frame.
    blocked: bool,
    /// Somebody waits on the device.
    leading: bool,
    /// The driver thread does.
    driver_leads: bool,
    /// Until when the driver thread leaves the device to callers.
    lease: Instant,
    /// Until when whoever leads will sleep.
    asleep_until: Instant,
    waiters: BTreeMap<u64, Arc<Condvar>>,
    next_waiter: u64,
    /// What waits for which socket.
    interests: BTreeMap<(u8, u32, u64), Arc<Condvar>>,
    stopping: bool,
    /// The device is gone.
    pub broken: Option<io::ErrorKind>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("device", &self.device).finish_non_exhaustive()
    }
}

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    shard: Mutex<Shard>,
    driver: Condvar,
    driver_wake: EventFd,
    leader_wake: EventFd,
}

/// How long the driver thread leaves the device alone after a caller has led.
const LEASE: Duration = Duration::from_micros(500);
/// Frames read before others get a turn.
const BATCH: usize = 64;
/// How often the driver thread looks while callers lead.
const LOOK: Duration = Duration::from_millis(1);

/// Runs `$body` on the stack with a probe: nothing, or the observer.
macro_rules! probed {
    ($shard:expr, $stack:ident, $probe:ident, $body:expr) => {{
        let $crate::driver::Shard { stack: $stack, observer, .. } = &mut *$shard;
        match observer {
            None => {
                let $probe = &mut ();
                $body
            }
            Some(o) => {
                let $probe = &mut synfin_stack::engine::probe::Watch::new(&mut **o);
                $body
            }
        }
    }};
}
pub(crate) use probed;

impl Shard {
    pub(crate) fn new(
        stack: Stack,
        device: Device,
        link: LinkId,
        observer: Option<Box<dyn Observer + Send>>,
        log: Option<Box<dyn PacketLog>>,
    ) -> Shard {
        Shard {
            stack,
            device,
            link,
            start: now_of_the_machine(),
            observer,
            log,
            blocked: false,
            leading: false,
            driver_leads: false,
            lease: Instant::ZERO,
            asleep_until: Instant::ZERO,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            interests: BTreeMap::new(),
            stopping: false,
            broken: None,
        }
    }

    /// The host's clock: nanoseconds since it was started, and one.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(now_of_the_machine().duration_since(self.start).as_nanos() as u64 + 1)
    }

    /// Writes frames until there are none, or the device is full.
    pub(crate) fn flush(&mut self) {
        let now = self.now();
        let Shard { stack, device, link, log, observer, blocked, broken, .. } = self;
        *blocked = false;
        loop {
            let mut full = false;
            let mut sink = |f: &TxFrame<'_>| {
                if let Some(log) = log.as_deref_mut()
                    && !log.packet(Sniffed { at: now, out: true, bytes: &f.to_vec() })
                {
                    return true;
                }
                match transmit(device, f) {
                    Ok(taken) => {
                        full = !taken;
                        taken
                    }
                    Err(e) => {
                        *broken = Some(e.kind());
                        true
                    }
                }
            };
            let sent = match observer {
                None => stack.poll_frame(now, &mut (), *link, &mut sink),
                Some(o) => stack.poll_frame(now, &mut Watch::new(&mut **o), *link, &mut sink),
            };
            if full {
                *blocked = true;
            }
            if !sent {
                return;
            }
        }
    }

    /// Reads what has arrived, handles what is due, lets out what may go. True if the batch was full.
    fn pump(&mut self) -> bool {
        let mut read = 0;
        while read < BATCH {
            let mut buf = self.stack.take_buffer(synfin_stack::engine::buf::LARGE);
            let r = match self.device.recv(buf.as_mut_slice()) {
                Ok(Some(r)) => r,
                Ok(None) => {
                    self.stack.pool().give_buf(buf);
                    break;
                }
                Err(e) => {
                    self.broken = Some(e.kind());
                    break;
                }
            };
            read += 1;
            let Received { offset, len, checksum_trusted, partial: _, gso_size } = r;
            let bytes = buf.freeze(offset, len);
            let now = self.now();
            if let Some(log) = &mut self.log
                && !log.packet(Sniffed { at: now, out: false, bytes: bytes.as_slice() })
            {
                self.stack.pool().give(bytes);
                continue;
            }
            let checksum = if checksum_trusted { RxChecksum::Trusted } else { RxChecksum::Unverified };
            let (link, frame) = (self.link, RxFrame { bytes, checksum, gso_size });
            probed!(self, stack, probe, stack.on_frame(now, probe, link, frame));
        }
        let now = self.now();
        if self.stack.next_deadline(now) <= now {
            probed!(self, stack, probe, stack.on_deadline(now, probe));
        }
        self.flush();
        self.dispatch();
        read == BATCH
    }

    /// Wakes those who wait for what has happened.
    fn dispatch(&mut self) {
        while let Some(e) = self.stack.poll_event() {
            if let Some(c) = self.interests.get(&key_of(e)) {
                c.notify_all();
            }
        }
    }

    fn timeout(&self, now: Instant) -> (Option<Duration>, Instant) {
        let next = self.stack.next_deadline(now);
        (next.finite().map(|n| n.since(now)), next)
    }
}

fn key_of(e: SocketEvent) -> (u8, u32, u64) {
    match e {
        SocketEvent::Tcp(id) => (0, id.index(), id.generation()),
        SocketEvent::Listener(id) => (1, id.index(), id.generation()),
        SocketEvent::Udp(id) => (2, id.index(), id.generation()),
        SocketEvent::Echo(id) => (3, id.index(), id.generation()),
    }
}

#[allow(clippy::disallowed_methods)] // the driver is where the clock is read
fn now_of_the_machine() -> std::time::Instant {
    std::time::Instant::now()
}

fn transmit(device: &mut Device, f: &TxFrame<'_>) -> io::Result<bool> {
    let mut pieces = [IoSlice::new(&[]); 64];
    pieces[0] = IoSlice::new(f.header);
    let mut n = 1;
    let mut rest = f.payload.clone();
    while n < pieces.len()
        && let Some(p) = rest.next()
    {
        pieces[n] = IoSlice::new(p);
        n += 1;
    }
    let offload = VirtioNetHdr {
        csum: match f.checksum {
            Checksum::Complete => None,
            Checksum::Partial { start, offset } => Some((start, offset)),
        },
        data_valid: false,
        gso: f.gso.map(|g| (f.ipv4, g.size, g.header_len)),
    };
    if rest.is_empty() {
        return device.send(&Transmit { pieces: &pieces[..n], offload });
    }
    // More pieces than one call gathers: the text of very small writes. It is copied together.
    let whole = f.to_vec();
    device.send(&Transmit { pieces: &[IoSlice::new(&whole)], offload })
}

impl Shared {
    pub(crate) fn new(shard: Shard) -> io::Result<Shared> {
        Ok(Shared {
            shard: Mutex::new(shard),
            driver: Condvar::new(),
            driver_wake: EventFd::new()?,
            leader_wake: EventFd::new()?,
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        let mut s = self.lock();
        s.stopping = true;
        drop(s);
        self.driver.notify_all();
        self.driver_wake.wake();
    }

    /// After a call: if a deadline has become earlier than whoever leads will sleep, it is woken.
    pub(crate) fn nudge(&self, s: &Shard) {
        let next = s.stack.next_deadline(s.now());
        if next < s.asleep_until || s.blocked {
            if s.leading {
                self.leader_wake.wake();
            } else if s.driver_leads {
                self.driver_wake.wake();
            }
        }
    }

    /// Runs `f` under the lock until it gives something, waiting for events of the socket in between. `None` when
    /// `patience` is over.
    pub(crate) fn block_on<R>(
        &self,
        socket: SocketEvent,
        patience: Option<Duration>,
        mut f: impl FnMut(&mut Shard) -> Option<R>,
    ) -> Option<R> {
        let mut s = self.lock();
        let until = patience.map(|p| s.now() + p);
        if let Some(r) = f(&mut s) {
            self.nudge(&s);
            return Some(r);
        }
        let key = key_of(socket);
        let condvar = s.interests.entry(key).or_insert_with(|| Arc::new(Condvar::new())).clone();
        let ticket = s.next_waiter;
        s.next_waiter += 1;
        s.waiters.insert(ticket, condvar.clone());
        let result = loop {
            if let Some(r) = f(&mut s) {
                break Some(r);
            }
            let now = s.now();
            if until.is_some_and(|u| now >= u) || s.stopping {
                break None;
            }
            if s.broken.is_some() {
                // Timers still end what has timers; the driver thread turns them.
                let left = until.map_or(LOOK * 50, |u| u.since(now)).min(LOOK * 50);
                s = condvar.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
                let now = s.now();
                let nothing_ends_it =
                    !matches!(socket, SocketEvent::Tcp(_)) || s.stack.next_deadline(now) == Instant::NEVER;
                if s.broken.is_some() && nothing_ends_it {
                    break None;
                }
                continue;
            }
            if s.leading {
                let left = until.map_or(Duration::from_secs(3600), |u| u.since(now));
                s = condvar.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                s = self.lead(s, until);
            }
        };
        s.waiters.remove(&ticket);
        if Arc::strong_count(&condvar) == 2 {
            s.interests.remove(&key);
        }
        if !s.leading {
            s.lease = s.now() + LEASE;
            // Somebody else who waits leads from now on.
            if let Some(next) = s.waiters.values().next() {
                next.notify_all();
            }
        }
        self.nudge(&s);
        result
    }

    /// Waits on the device once, and handles what came.
    fn lead<'a>(&'a self, mut s: MutexGuard<'a, Shard>, until: Option<Instant>) -> MutexGuard<'a, Shard> {
        s.leading = true;
        if s.driver_leads {
            self.driver_wake.wake();
        }
        let now = s.now();
        let (mut timeout, mut next) = s.timeout(now);
        if let Some(u) = until {
            next = next.min(u);
            timeout = Some(timeout.map_or(u.since(now), |t| t.min(u.since(now))));
        }
        s.asleep_until = next;
        let (fd, room) = (s.device.fd(), s.blocked);
        drop(s);
        let woken = wait(fd, room, &self.leader_wake, timeout);
        let mut s = self.lock();
        s.leading = false;
        s.asleep_until = Instant::ZERO;
        match woken {
            Ok(w) if w.woken => self.leader_wake.clear(),
            Ok(_) => {}
            Err(e) => s.broken = Some(e.kind()),
        }
        s.pump();
        s
    }

    /// Waits until `done` says so; for hosts that are to finish.
    pub(crate) fn wait_until(&self, patience: Duration, done: impl Fn(&Shard) -> bool) -> bool {
        let mut s = self.lock();
        let until = s.now() + patience;
        while !done(&s) {
            let now = s.now();
            if now >= until {
                return false;
            }
            s = self.driver.wait_timeout(s, LOOK.min(until.since(now))).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// The driver thread.
pub(crate) fn run(shared: &Shared) {
    let mut s = shared.lock();
    while !s.stopping {
        if s.broken.is_some() {
            // Nothing comes and nothing goes; timers still run their course, and who waits looks again.
            s.pump();
            for c in s.waiters.values() {
                c.notify_all();
            }
            s = shared.driver.wait_timeout(s, Duration::from_millis(50)).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        if s.leading || s.lease > s.now() {
            s = shared.driver.wait_timeout(s, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let now = s.now();
        let (timeout, next) = s.timeout(now);
        s.driver_leads = true;
        s.asleep_until = next;
        let (fd, room) = (s.device.fd(), s.blocked);
        drop(s);
        let woken = wait(fd, room, &shared.driver_wake, timeout);
        s = shared.lock();
        s.driver_leads = false;
        if !s.leading {
            s.asleep_until = Instant::ZERO;
        }
        match woken {
            Ok(w) if w.woken => shared.driver_wake.clear(),
            Ok(_) => {}
            Err(e) => s.broken = Some(e.kind()),
        }
        s.pump();
        if s.leading {
            // A caller took over meanwhile, and sleeps on a device whose frames were just read here.
            shared.leader_wake.wake();
        }
    }
    finish(&mut s);
    for c in s.waiters.values() {
        c.notify_all();
    }
}

/// What waits for the device is given a moment to go: the last resets and FINs of sockets that were just dropped.
fn finish(s: &mut Shard) {
    for _ in 0..20 {
        s.pump();
        if !s.stack.wants_to_send() {
            return;
        }
        #[allow(clippy::disallowed_methods)] // bounded, and only when the device is full at the very end
        std::thread::sleep(Duration::from_millis(1));
    }
}
