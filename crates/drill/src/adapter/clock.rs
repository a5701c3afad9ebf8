//! Virtual time behind the interface, and the one call that may sleep on a second thread while it passes.
//!
//! packetdrill moves the clock: it sleeps, waits for a packet, or looks at the clock until that has moved. Whenever a step
//! makes the sleeping call ready, its thread goes first: nobody moves the clock until it has read it, as packetdrill does
//! right after the call, or has gone back to sleep. Without that the time that the script sees would depend on the
//! machine.

use super::World;
use crate::host::Sent;
use crate::sockets::{Received, Refusal, Result};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synfin_stack::engine::Instant;

/// How long something is waited for that may never come.
const PATIENCE: Duration = Duration::from_secs(600);

/// The world, and the bell for who waits on it.
pub(super) struct Shared {
    world: Mutex<World>,
    bell: Condvar,
}

thread_local! {
    /// This thread has just come back from a call that slept: packetdrill reads the clock next, and time stands still
    /// until it has.
    static JUST_WOKEN: Cell<bool> = const { Cell::new(false) };
}

impl Shared {
    pub(super) fn new(world: World) -> Shared {
        Shared { world: Mutex::new(world), bell: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        self.bell.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the call that sleeps look again.
    pub(super) fn wake(&self, w: &mut World) {
        if w.asleep.is_some() && !w.woken {
            w.woken = true;
            self.bell.notify_all();
        }
    }

    /// Nobody is between waking up and looking at the clock.
    pub(super) fn settled<'a>(&self, mut w: MutexGuard<'a, World>) -> MutexGuard<'a, World> {
        while w.woken {
            w = self.wait(w);
        }
        w
    }

    /// The clock moves to `to`; after each thing that happens, whoever waits for it goes first.
    pub(super) fn advance<'a>(&self, w: MutexGuard<'a, World>, to: Instant) -> MutexGuard<'a, World> {
        let mut w = self.settled(w);
        loop {
            let next = w.asleep.unwrap_or(Instant::NEVER).max(w.host.now()).min(to);
            let there = w.host.step(next);
            self.wake(&mut w);
            w = self.settled(w);
            if there && next >= to {
                return w;
            }
        }
    }

    /// Makes a call; if it would wait and may (`blocks`), the thread sleeps until it need not, or until `limit`.
    pub(super) fn call<T>(
        &self,
        blocks: impl FnOnce(&World) -> Option<Instant>,
        mut attempt: impl FnMut(&mut World) -> Result<T>,
    ) -> Result<T> {
        let mut w = self.lock();
        let mut slept = false;
        let limit = blocks(&w);
        loop {
            let r = attempt(&mut w);
            let over = limit.is_none_or(|l| w.host.now() >= l);
            match r {
                Err(Refusal::Errno(libc::EAGAIN)) if !over => {}
                r => {
                    if slept {
                        JUST_WOKEN.with(|j| j.set(true));
                        w.asleep = None;
                    }
                    return r;
                }
            }
            slept = true;
            w.asleep = limit;
            w.woken = false;
            self.bell.notify_all();
            while !w.woken {
                w = self.wait(w);
            }
        }
    }

    /// The time, for who asks: it creeps by a microsecond, or stands still for a call that has just come back.
    pub(super) fn look_at_clock(&self) -> Instant {
        let mut w = self.lock();
        if JUST_WOKEN.with(|j| j.replace(false)) {
            w.woken = false;
            self.bell.notify_all();
        } else {
            w = self.settled(w);
            let to = w.host.now() + Duration::from_micros(1);
            w = self.advance(w, to);
        }
        w.host.now()
    }

    /// The next packet that leaves, however long that takes; `None` if none can come.
    pub(super) fn next_sent(&self) -> (Instant, Option<Sent>) {
        let mut w = self.settled(self.lock());
        let limit = w.host.now() + PATIENCE;
        loop {
            if let Some(sent) = w.host.take_sent() {
                return (w.host.now(), Some(sent));
            }
            let next = w.host.next_deadline().min(w.asleep.unwrap_or(Instant::NEVER));
            if next > limit {
                return (w.host.now(), None);
            }
            w = self.advance(w, next);
        }
    }
}

impl Shared {
    pub(super) fn receive(&self, fd: i32, n: usize, flags: i32) -> Result<Received> {
        let wait = move |w: &World| {
            (flags & libc::MSG_DONTWAIT == 0 && w.sockets.is_blocking(fd)).then(|| w.host.now() + PATIENCE)
        };
        self.call(wait, |w| w.sockets.receive(&mut w.host, fd, n, flags))
    }

    pub(super) fn send(&self, fd: i32, data: &[u8], flags: i32, to: Option<SocketAddr>) -> Result<i64> {
        let waits = move |w: &World| flags & libc::MSG_DONTWAIT == 0 && w.sockets.is_blocking(fd);
        let mut taken = 0;
        self.call(
            move |w| waits(w).then(|| w.host.now() + PATIENCE),
            |w| {
                loop {
                    match w.sockets.send(&mut w.host, fd, &data[taken..], flags, to) {
                        Ok(n) => taken += n,
                        Err(Refusal::Errno(libc::EAGAIN)) if waits(w) || taken == 0 => return Err(libc::EAGAIN.into()),
                        Err(e) if taken == 0 => return Err(e),
                        Err(_) => return Ok(taken as i64),
                    }
                    if taken >= data.len() || !waits(w) {
                        return Ok(taken as i64);
                    }
                }
            },
        )
    }
}

/// Until when a call on `fd` waits, if it does.
pub(super) fn blocking(fd: i32) -> impl FnOnce(&World) -> Option<Instant> {
    move |w| w.sockets.is_blocking(fd).then(|| w.host.now() + PATIENCE)
}

/// Until when a call with a timeout in milliseconds waits: not at all with 0, for ever (nearly) if negative.
pub(super) fn limit(ms: i32) -> impl FnOnce(&World) -> Option<Instant> {
    move |w| match u64::try_from(ms) {
        Ok(0) => None,
        Ok(ms) => Some(w.host.now() + Duration::from_millis(ms)),
        Err(_) => Some(w.host.now() + PATIENCE),
    }
}
