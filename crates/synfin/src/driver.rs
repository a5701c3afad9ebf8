//! The driver: one lock around stack and device, and who turns the crank.
//!
//! Whoever holds the lock does the work: a caller runs its call, lets out what may go, and writes it to the device itself.
//! A blocked caller becomes the *leader* if there is none: it waits on the device, not on its own wake-up, so that what
//! arrives for it is handled on its own thread, without waking another core. The driver thread leads while no caller does
//! and none has for a while (a lease of [`LEASE`]), so that timers, acknowledgments and tasks never depend on a caller.
//! Where nothing happens everybody sleeps: the leader until the next deadline, the driver thread until it is needed. A task of
//! tokio's can stand in the driver thread's place (`tokio/driver.rs`).

mod flush;

use self::flush::Held;
use crate::outbox::Outbox;
use crate::socket::{Cause, Ready};
use crate::sync::{Condvar, Mutex, now as now_of_the_machine, park_timeout, wait, wait_timeout};
use crate::waiting::{Guard, Key, Waiters};
use std::io;
#[cfg(all(feature = "tokio", not(shuttle)))]
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use synfin_device::{Device, EventFd, Received};
use synfin_stack::engine::{Chunk, Instant, Observer, State};
use synfin_stack::{LinkId, RxChecksum, RxFrame, SocketEvent, Stack};

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
    /// Where small frames wait until the lock is released, if the device can be written to beside it.
    outbox: Option<Arc<Outbox>>,
    start: std::time::Instant,
    pub observer: Option<Box<dyn Observer + Send>>,
    log: Option<Box<dyn PacketLog>>,
    /// The device did not take the last frame.
    blocked: bool,
    /// That frame, if somebody watches: it was shown, and goes before all others.
    held: Option<Held>,
    /// The device may have more than the last batch.
    unread: bool,
    /// UDP sockets whose datagrams found no room: they are woken when there is.
    pub crowded: Vec<Key>,
    /// Frames have left since they were last looked at.
    pub drained: bool,
    /// A caller waits on the device.
    pub leading: bool,
    /// The driver thread does.
    pub driver_leads: bool,
    /// The driver thread sleeps until it is told that nobody leads.
    pub driver_sleeps: bool,
    /// How often a caller has led.
    pub turns: u64,
    /// Until when the driver thread leaves the device to callers.
    pub lease: Instant,
    /// Until when whoever leads will sleep.
    asleep_until: Instant,
    pub waiters: Waiters,
    /// Nothing is opened any more.
    pub closing: bool,
    /// The driver thread is to end.
    stopping: bool,
    /// Nothing goes on any more.
    pub down: bool,
    /// The device is gone.
    pub broken: Option<io::ErrorKind>,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("device", &self.device).finish_non_exhaustive()
    }
}

/// What a leader waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleep {
    fd: RawFd,
    /// The device, and whether room on it is waited for too; `None` if it is gone.
    pub device: Option<bool>,
    /// Until the next deadline, if there is one.
    pub timeout: Option<Duration>,
}

/// Buffers that zero-copy readers were done with while the lock was held.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    chunks: Vec<Chunk>,
    octets: usize,
}

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub shard: Mutex<Shard>,
    /// What the shard's frames leave by when its lock is released.
    pub outbox: Option<Arc<Outbox>>,
    /// What the driver thread sleeps on.
    pub driver: Condvar,
    pub driver_wake: EventFd,
    /// The driver is a task: it sleeps on `driver_wake` alone.
    pub driver_is_task: bool,
    pub leader_wake: EventFd,
    pub returned: Mutex<Returned>,
}

/// How long the driver thread leaves the device alone after a caller has led.
pub(crate) const LEASE: Duration = Duration::from_micros(500);
/// Frames read before others get a turn.
const BATCH: usize = 64;
/// How often the driver thread looks while callers lead, one after another.
pub(crate) const LOOK: Duration = Duration::from_millis(1);
/// How long a host that nobody holds any more goes on, so that what was written is delivered and FINs are acknowledged.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);
/// Octets of buffers given back that wait for whoever has the lock to look at the device again, which may be late.
const RETURNED: usize = 1 << 20;

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
    ) -> io::Result<Shard> {
        let outbox = device.writer()?.map(|w| Arc::new(Outbox::new(w)));
        Ok(Shard {
            stack,
            device,
            link,
            outbox,
            start: now_of_the_machine(),
            observer,
            log,
            blocked: false,
            held: None,
            unread: false,
            crowded: Vec::new(),
            drained: false,
            leading: false,
            driver_leads: false,
            driver_sleeps: false,
            turns: 0,
            lease: Instant::ZERO,
            asleep_until: Instant::ZERO,
            waiters: Waiters::default(),
            closing: false,
            stopping: false,
            down: false,
            broken: None,
        })
    }

    /// The host's clock: nanoseconds since it was started, and one.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(now_of_the_machine().duration_since(self.start).as_nanos() as u64 + 1)
    }

    /// Whoever leads will sleep until then, unless the device has something.
    pub(crate) fn fall_asleep(&mut self, until: Instant) -> Sleep {
        self.asleep_until = until;
        Sleep {
            fd: self.device.fd(),
            // A device that is gone is always ready: nobody looks at it any more.
            device: self.broken.is_none().then_some(self.blocked),
            timeout: until.finite().map(|n| n.since(self.now())),
        }
    }

    /// Whether frames may have been left on the device by the last batch. A reactor that was told of them once does not tell again.
    #[cfg(all(feature = "tokio", not(shuttle)))]
    pub(crate) fn has_unread(&self) -> bool {
        self.unread && self.broken.is_none()
    }

    /// A descriptor of the device for a reactor.
    #[cfg(all(feature = "tokio", not(shuttle)))]
    pub(crate) fn device_watched(&self) -> io::Result<OwnedFd> {
        self.device.watched()
    }

    /// The driver is to end.
    #[cfg(all(feature = "tokio", not(shuttle)))]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The device is gone: who waits learns of it. Timers still run their course.
    pub(crate) fn break_link(&mut self, kind: io::ErrorKind) {
        if self.broken.is_none() {
            self.broken = Some(kind);
            self.waiters.wake_all();
        }
    }

    /// Reads what has arrived, handles what is due, lets out what may go.
    fn pump(&mut self) {
        let mut read = 0;
        while read < BATCH && self.broken.is_none() {
            let mut buf = self.stack.take_buffer(synfin_stack::engine::buf::LARGE);
            let r = match self.device.recv(buf.as_mut_slice()) {
                Ok(Some(r)) => r,
                Ok(None) => {
                    self.stack.pool().give_buf(buf);
                    break;
                }
                Err(e) => {
                    self.stack.pool().give_buf(buf);
                    self.break_link(e.kind());
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
            if self.broken.is_some() {
                self.waiters.wake_all(); // a timer may have been the last that a connection had (`hopeless`)
            }
        }
        self.unread = read == BATCH;
        self.flush();
        self.dispatch();
    }

    /// Wakes those who wait for what has happened.
    pub(crate) fn dispatch(&mut self) {
        while let Some(e) = self.stack.poll_event() {
            let ready = match e {
                SocketEvent::Tcp(id) => Ready::of(self.stack.tcp_events(id)),
                SocketEvent::Listener(_) | SocketEvent::Udp(_) | SocketEvent::Echo(_) => Ready::READ,
            };
            self.waiters.wake(e, ready);
        }
        // Here and not where frames leave: one who finds no room, and makes some, has yet to register.
        if std::mem::take(&mut self.drained) && !self.crowded.is_empty() && self.stack.udp_has_room() {
            for key in std::mem::take(&mut self.crowded) {
                self.waiters.wake(key, Ready::WRITE);
            }
        }
    }

    /// Whether sockets can be opened.
    pub(crate) fn opens(&self) -> io::Result<()> {
        if self.closing || self.down {
            return Err(Cause::Stopped.into());
        }
        self.broken.map_or(Ok(()), |kind| Err(Cause::LinkGone(kind).into()))
    }

    /// When something is due.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.stack.next_deadline(self.now())
    }

    /// Whether nothing that was written, and no FIN, waits for the peer's acknowledgment, or nothing ever will be.
    pub(crate) fn is_settled(&self) -> bool {
        if self.broken.is_some() {
            return true;
        }
        let settled = |s: State| matches!(s, State::FinWait2 | State::TimeWait | State::Closed);
        let waits = self.held.is_some() || self.outbox.as_ref().is_some_and(|o| !o.is_empty());
        !self.stack.wants_to_send() && !waits && self.stack.tcp_connections().all(|(_, s)| settled(s))
    }

    /// Whether all connections are closed in order, TIME-WAIT not counted.
    pub(crate) fn is_closed(&self) -> bool {
        let over = |s: State| matches!(s, State::TimeWait | State::Closed);
        self.stack.occupancy().half_open == 0 && self.stack.tcp_connections().all(|(_, s)| over(s))
    }

    /// Opens nothing any more, and closes what is open: what was written is still delivered.
    pub(crate) fn close_all(&mut self) {
        self.closing = true;
        let now = self.now();
        let listeners: Vec<_> = self.stack.tcp_listeners().collect();
        for id in listeners {
            probed!(self, stack, probe, stack.tcp_close_listener(now, probe, id));
            self.waiters.wake(SocketEvent::Listener(id), Ready::READ);
        }
        let conns: Vec<_> = self.stack.tcp_connections().map(|(id, _)| id).collect();
        for id in conns {
            probed!(self, stack, probe, stack.tcp_shutdown_write(now, probe, id));
            self.waiters.wake(SocketEvent::Tcp(id), Ready::WRITE);
        }
    }

    /// Ends everything at once: peers that still believe in a connection are told by a RST. Of those that have acknowledged
    /// everything only if `all`: they may still be reading, and a RST would take from them what they have not read.
    pub(crate) fn end(&mut self, all: bool) {
        let now = self.now();
        let conns: Vec<_> =
            self.stack.tcp_connections().filter(|(_, s)| all || *s != State::FinWait2).map(|(id, _)| id).collect();
        for id in conns {
            probed!(self, stack, probe, stack.tcp_end(now, probe, id));
        }
        self.flush();
        self.down = true;
        self.waiters.wake_all();
    }
}

impl Shared {
    pub(crate) fn new(shard: Shard, driver_is_task: bool) -> io::Result<Shared> {
        Ok(Shared {
            outbox: shard.outbox.clone(),
            shard: Mutex::new(shard),
            driver: Condvar::new(),
            driver_wake: EventFd::new()?,
            driver_is_task,
            leader_wake: EventFd::new()?,
            returned: Mutex::default(),
        })
    }

    /// The driver is to end.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.driver.notify_all();
        self.driver_wake.wake();
    }

    /// Nobody leads any more: the driver, which sleeps, is to.
    pub(crate) fn rouse_driver(&self) {
        if self.driver_is_task {
            self.driver_wake.wake();
        } else {
            self.driver.notify_all();
        }
    }

    /// After a call: if a deadline has become earlier than whoever leads will sleep, it is woken.
    pub(crate) fn nudge(&self, s: &Shard) {
        if s.next_deadline() < s.asleep_until || s.blocked {
            if s.leading {
                self.leader_wake.wake();
            } else if s.driver_leads {
                self.driver_wake.wake();
            }
        }
    }

    /// Sleeps until the device has something, a deadline has come or somebody wakes; then handles what there is. `back` is
    /// told that the lock is held again.
    pub(crate) fn wait_and_pump<'a>(
        &'a self,
        mut s: Guard<'a>,
        until: Instant,
        wake: &EventFd,
        back: impl FnOnce(&mut Shard),
    ) -> Guard<'a> {
        let sleep = s.fall_asleep(until);
        drop(s);
        let (fd, room) = sleep.device.map_or((-1, false), |room| (sleep.fd, room));
        let woken = wait(fd, room, wake, sleep.timeout);
        let mut s = self.lock();
        back(&mut s);
        match woken {
            Ok(w) if w.woken => wake.clear(),
            Ok(_) => {}
            Err(e) => s.break_link(e.kind()),
        }
        self.pump(&mut s);
        s
    }

    /// Handles what there is, a batch; whoever waits on the device next reads on. Others may sleep on it meanwhile.
    pub(crate) fn pump(&self, s: &mut Shard) {
        if !s.leading && !s.driver_leads {
            s.asleep_until = Instant::ZERO; // nobody sleeps
        }
        let returned = std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        for c in returned.chunks {
            s.stack.pool().give(c);
        }
        s.pump();
    }

    /// A buffer that a zero-copy reader is done with. It goes back at once if nobody is at work; else it waits for the next look at
    /// the device, if not too much does. What is freed instead costs an allocation later, and nothing else.
    pub(crate) fn take_back(&self, c: Chunk) {
        if let Ok(mut s) = self.shard.try_lock() {
            return s.stack.pool().give(c);
        }
        let mut back = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        if back.octets + c.pinned() <= RETURNED {
            back.octets += c.pinned();
            back.chunks.push(c);
        }
    }

    /// Octets of buffers that wait to be given back.
    #[cfg(test)]
    pub(crate) fn waiting_octets(&self) -> usize {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).octets
    }

    /// Waits until `done` says so; for hosts that are to finish. It turns the crank itself: the driver may be a task of the very
    /// thread that waits here, and a caller that leads may wait here for the end of a socket that one of its wakers owned.
    pub(crate) fn wait_until(&self, patience: Duration, done: impl Fn(&Shard) -> bool) -> bool {
        let until = self.lock().now() + patience;
        let mut pause = LOOK;
        loop {
            let mut s = self.lock();
            self.pump(&mut s);
            self.nudge(&s);
            if done(&s) {
                return true;
            }
            let left = until.since(s.now());
            if left.is_zero() {
                return false;
            }
            drop(s);
            park_timeout(pause.min(left));
            pause = (pause * 2).min(LOOK * 16);
        }
    }
}

/// The driver thread.
pub(crate) fn run(shared: &Shared) {
    let mut seen = 0;
    loop {
        let mut s = shared.lock();
        if s.stopping {
            break;
        }
        if s.leading || s.lease > s.now() {
            // Callers that lead one after another are looked at now and then: to be woken by each would cost more. One that
            // has led for as long without anything to do wakes this thread when it stops.
            let idle = s.leading && s.turns == seen;
            seen = s.turns;
            s.driver_sleeps = idle;
            drop(s);
            let s = shared.raw_lock();
            if s.stopping || idle != s.driver_sleeps {
                continue;
            }
            if idle {
                drop(shared.driver.wait_while(s, |s| s.driver_sleeps && !s.stopping));
            } else {
                wait_timeout(&shared.driver, s, LOOK);
            }
            continue;
        }
        s.driver_leads = true;
        let next = s.next_deadline();
        let s = shared.wait_and_pump(s, next, &shared.driver_wake, |s| s.driver_leads = false);
        if s.leading {
            // A caller took over meanwhile, and sleeps on a device whose frames were just read here.
            shared.leader_wake.wake();
        }
    }
    let mut s = shared.lock();
    let until = s.now() + FAREWELL;
    while !s.down && !s.is_settled() && s.now() < until {
        s.driver_leads = true;
        let next = s.next_deadline().min(until);
        // Released once more: what was put aside meanwhile is written then.
        drop(shared.wait_and_pump(s, next, &shared.driver_wake, |s| s.driver_leads = false));
        s = shared.lock();
    }
    if !s.down {
        s.end(false);
    }
}
