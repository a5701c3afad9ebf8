//! Who waits for what. A task waits by its [`Waker`]; a blocked thread too, unless it leads (see [`crate::driver`]).
//!
//! One core is beneath both faces: an operation is a closure that is tried under the lock. [`Shared::attempt`] tries it once,
//! [`Shared::poll`] leaves a waker where it could not be done, [`Shared::block_on`] waits. Between the try and the
//! registration the lock is held, so that no wake-up is lost; a waiter is woken once and registers anew; wakers are called
//! with the lock released, for what they do is not ours.

use crate::driver::{LEASE, Shard, Shared};
use crate::outbox::Written;
use crate::socket::{Cause, Ready};
use crate::sync::{AtomicBool, MutexGuard, Thread, current, park, park_timeout, thread_local};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};
use std::task::{Wake, Waker};
use std::time::Duration;
use synfin_stack::SocketEvent;
use synfin_stack::engine::Instant;

/// A socket: what its events say of it.
pub(crate) type Key = SocketEvent;

/// Which of those that wait on a socket: two places for `poll_*` functions, where the last task counts, and a number for
/// each future or blocked call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[cfg(feature = "tokio")]
impl Ticket {
    /// Of `poll_read` and its like.
    pub(crate) const READ: Ticket = Ticket(0);
    /// Of `poll_write` and its like.
    pub(crate) const WRITE: Ticket = Ticket(1);
}

/// The tickets above.
const RESERVED: u64 = 1;

#[derive(Debug)]
enum Who {
    Task(Waker),
    /// The thread that waits on the device.
    Leader,
}

#[derive(Debug)]
struct Waiter {
    interest: Ready,
    who: Who,
}

/// A blocked thread that would lead.
#[derive(Debug)]
struct Follower {
    waker: Waker,
    /// It was woken and has not taken the lock since; when it does, it leads, or sees to it that somebody does.
    called: bool,
}

/// All who wait.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    table: BTreeMap<(Key, Ticket), Waiter>,
    tickets: u64,
    /// Blocked threads that would lead.
    followers: BTreeMap<Ticket, Follower>,
    /// How many of them are called.
    called: usize,
    /// To be woken when the lock is released.
    woken: Vec<Waker>,
    /// To be dropped then: a waker may own a task, and with it a socket.
    dropped: Vec<Waker>,
    /// What the leader waits for has happened.
    leader_called: bool,
}

impl Waiters {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(RESERVED + self.tickets)
    }

    fn put(&mut self, key: Key, ticket: Ticket, interest: Ready, who: Who) {
        if let Some(Waiter { who: Who::Task(old), .. }) = self.table.insert((key, ticket), Waiter { interest, who }) {
            self.dropped.push(old);
        }
    }

    fn register(&mut self, key: Key, ticket: Ticket, interest: Ready, waker: &Waker) {
        match self.table.get_mut(&(key, ticket)) {
            Some(Waiter { interest: i, who: Who::Task(w) }) if w.will_wake(waker) => *i = interest,
            _ => self.put(key, ticket, interest, Who::Task(waker.clone())),
        }
    }

    fn forget(&mut self, key: Key, ticket: Ticket) {
        if let Some(Waiter { who: Who::Task(w), .. }) = self.table.remove(&(key, ticket)) {
            self.dropped.push(w);
        }
    }

    /// A socket is closed: nobody holds it, and so nobody waits for it.
    pub(crate) fn close(&mut self, key: Key) {
        for (_, w) in self.table.extract_if((key, Ticket(0))..=(key, Ticket(u64::MAX)), |_, _| true) {
            if let Who::Task(waker) = w.who {
                self.dropped.push(waker);
            }
        }
    }

    /// Wakes who waits for any of `ready` on a socket.
    pub(crate) fn wake(&mut self, key: Key, ready: Ready) {
        let all = (key, Ticket(0))..=(key, Ticket(u64::MAX));
        for ((_, ticket), w) in self.table.extract_if(all, |_, w| w.interest.intersects(ready)) {
            match w.who {
                Who::Task(waker) => {
                    self.woken.push(waker);
                    if let Some(f) = self.followers.get_mut(&ticket).filter(|f| !f.called) {
                        f.called = true;
                        self.called += 1;
                    }
                }
                Who::Leader => self.leader_called = true,
            }
        }
    }

    /// Wakes everybody: the host stops, or the link is gone.
    pub(crate) fn wake_all(&mut self) {
        for (_, w) in std::mem::take(&mut self.table) {
            match w.who {
                Who::Task(waker) => self.woken.push(waker),
                Who::Leader => self.leader_called = true,
            }
        }
        self.called = self.followers.len();
        for f in self.followers.values_mut() {
            f.called = true;
            self.woken.push(f.waker.clone());
        }
    }

    /// Somebody else who waits leads from now on, if there is anybody: one who is called anyway, or else the one who has
    /// waited longest.
    fn hand_over(&mut self) -> bool {
        if self.called == 0
            && let Some(f) = self.followers.values_mut().next()
        {
            f.called = true;
            self.called = 1;
            self.woken.push(f.waker.clone());
        }
        self.called > 0
    }

    fn follow(&mut self, ticket: Ticket, waker: Waker) {
        self.followers.insert(ticket, Follower { waker, called: false });
    }

    fn follows_no_more(&mut self, ticket: Ticket) {
        if self.followers.remove(&ticket).is_some_and(|f| f.called) {
            self.called -= 1;
        }
    }

    /// Whether there are wakers to be called or dropped when the lock is released.
    fn any_called(&self) -> bool {
        !self.woken.is_empty() || !self.dropped.is_empty()
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty() && self.followers.is_empty()
    }
}

/// The lock, held. When it is released, what has happened to sockets is told to those who wait for it.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    shared: &'a Shared,
    shard: Option<MutexGuard<'a, Shard>>,
}

impl Deref for Guard<'_> {
    type Target = Shard;
    #[allow(clippy::expect_used)] // it is taken only when the guard is dropped
    fn deref(&self) -> &Shard {
        self.shard.as_deref().expect("held")
    }
}

impl DerefMut for Guard<'_> {
    #[allow(clippy::expect_used)] // as above
    fn deref_mut(&mut self) -> &mut Shard {
        self.shard.as_deref_mut().expect("held")
    }
}

/// Wakers called between two locks.
const WAKES: usize = 16;

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let Some(mut s) = self.shard.take() else { return };
        s.dispatch();
        if std::mem::take(&mut s.waiters.leader_called) && s.leading {
            self.shared.leader_wake.wake();
        }
        while s.waiters.any_called() {
            let mut now: [Option<Waker>; WAKES] = [const { None }; WAKES];
            let mut gone: [Option<Waker>; WAKES] = [const { None }; WAKES];
            now.iter_mut().for_each(|w| *w = s.waiters.woken.pop());
            gone.iter_mut().for_each(|w| *w = s.waiters.dropped.pop());
            let more = s.waiters.any_called();
            drop(s);
            now.into_iter().flatten().for_each(Waker::wake);
            drop(gone);
            if !more {
                // Not to look again: who was woken wants the lock now.
                return self.shared.let_out();
            }
            s = self.shared.raw_lock();
        }
        drop(s);
        self.shared.let_out();
    }
}

impl Shared {
    /// Writes what was put aside while the lock was held.
    fn let_out(&self) {
        let done = self.outbox.as_ref().map_or(Written::All, |o| o.write());
        if done != Written::All {
            let mut s = self.lock();
            s.flush(); // finds out what it is
            self.nudge(&s);
        }
    }

    /// Takes the lock.
    pub(crate) fn lock(&self) -> Guard<'_> {
        Guard { shared: self, shard: Some(self.raw_lock()) }
    }

    pub(crate) fn raw_lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a socket that cannot fail to be done, and lets out what it makes.
    pub(crate) fn act<R>(&self, f: impl FnOnce(&mut Shard) -> R) -> R {
        let mut s = self.lock();
        let r = f(&mut s);
        s.flush();
        self.nudge(&s);
        r
    }

    /// Tries once.
    pub(crate) fn attempt<R>(&self, key: Key, mut f: impl FnMut(&mut Shard) -> Option<io::Result<R>>) -> io::Result<R> {
        let mut s = self.lock();
        let r = s.stopped().or_else(|| f(&mut s)).or_else(|| s.hopeless(key).map(Err));
        self.nudge(&s);
        r.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Tries, and leaves a waker for when it is worth trying again: in the place of `ticket`, which is found if there is none.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll<R>(
        &self,
        cx: &Context<'_>,
        key: Key,
        ticket: &mut Option<Ticket>,
        interest: Ready,
        mut f: impl FnMut(&mut Shard) -> Option<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let mut s = self.lock();
        let r = s.stopped().or_else(|| f(&mut s)).or_else(|| s.hopeless(key).map(Err));
        self.nudge(&s);
        match r {
            Some(r) => Poll::Ready(r),
            None => {
                let ticket = *ticket.get_or_insert_with(|| s.waiters.ticket());
                s.waiters.register(key, ticket, interest, cx.waker());
                Poll::Pending
            }
        }
    }

    /// A future that waited is gone.
    #[cfg(feature = "tokio")]
    pub(crate) fn forget(&self, key: Key, ticket: Ticket) {
        self.lock().waiters.forget(key, ticket);
    }

    /// Runs `f` under the lock until it gives something, waiting for events of the socket in between. `None` when
    /// `patience` is over.
    pub(crate) fn block_on<R>(
        &self,
        key: Key,
        interest: Ready,
        patience: Option<Duration>,
        mut f: impl FnMut(&mut Shard) -> Option<io::Result<R>>,
    ) -> Option<io::Result<R>> {
        let mut s = self.lock();
        if let Some(r) = s.stopped().or_else(|| f(&mut s)) {
            self.nudge(&s);
            return Some(r);
        }
        // The answer may be on the device already: a kernel's TCP behind a TUN gives it within the write of what asks for it.
        self.pump(&mut s);
        self.nudge(&s);
        let until = patience.map(|p| s.now() + p);
        let ticket = s.waiters.ticket();
        let result = loop {
            if let Some(r) = s.stopped().or_else(|| f(&mut s)).or_else(|| s.hopeless(key).map(Err)) {
                break Some(r);
            }
            let now = s.now();
            if until.is_some_and(|u| now >= u) {
                break None;
            }
            if s.leading {
                s = self.follow(s, key, ticket, interest, until.map(|u| u.since(now)));
            } else {
                s.waiters.put(key, ticket, interest, Who::Leader);
                s = self.lead(s, until);
            }
        };
        s.waiters.forget(key, ticket);
        if !s.leading && !s.waiters.hand_over() {
            s.lease = s.now() + LEASE;
            if std::mem::take(&mut s.driver_sleeps) {
                self.rouse_driver();
            }
        }
        self.nudge(&s);
        result
    }

    /// Waits while another thread leads, until it is woken, or is asked to lead.
    fn follow<'a>(
        &'a self,
        mut s: Guard<'a>,
        key: Key,
        ticket: Ticket,
        interest: Ready,
        patience: Option<Duration>,
    ) -> Guard<'a> {
        PARKER.with(|(parker, waker)| {
            parker.woken.store(false, Ordering::Relaxed); // under the lock: who wakes from now on takes it first
            s.waiters.register(key, ticket, interest, waker);
            s.waiters.follow(ticket, waker.clone());
            drop(s);
            parker.park(patience);
            let mut s = self.lock();
            s.waiters.follows_no_more(ticket);
            // A call within a waker of an outer call's may have been what waited here: the outer one looks again.
            parker.woken.store(true, Ordering::Relaxed);
            s
        })
    }

    /// Waits on the device once, and handles what came.
    fn lead<'a>(&'a self, mut s: Guard<'a>, until: Option<Instant>) -> Guard<'a> {
        s.leading = true;
        s.turns += 1;
        if s.driver_leads {
            self.driver_wake.wake();
        }
        let next = s.next_deadline().min(until.unwrap_or(Instant::NEVER));
        self.wait_and_pump(s, next, &self.leader_wake, |s| s.leading = false)
    }
}

/// A thread that waits: woken by a flag, which is never set before the wait begins without being seen.
#[derive(Debug)]
struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Parker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Parker>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Parker {
    /// Waits until it is woken; at most once for `patience`, and the caller looks at the clock.
    fn park(&self, patience: Option<Duration>) {
        while !self.woken.load(Ordering::Acquire) {
            match patience {
                Some(p) => return park_timeout(p),
                None => park(),
            }
        }
    }
}

thread_local! {
    static PARKER: (Arc<Parker>, Waker) = {
        let parker = Arc::new(Parker { thread: current(), woken: AtomicBool::new(false) });
        (parker.clone(), Waker::from(parker))
    };
}

impl Shard {
    /// The end of every call on a host that was shut down.
    pub(crate) fn stopped<R>(&self) -> Option<io::Result<R>> {
        self.down.then(|| Err(Cause::Stopped.into()))
    }

    /// Why waiting for a socket is in vain.
    fn hopeless(&self, key: Key) -> Option<io::Error> {
        let kind = self.broken?;
        // A connection is still ended by its timers, if it has any. When one has run out everybody looks again (`Shard::pump`).
        let timers = matches!(key, SocketEvent::Tcp(id) if self.stack.tcp_has_timer(id));
        (!timers).then(|| Cause::LinkGone(kind).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::Stack;
    use crate::blocking::{TcpListener, UdpSocket};
    use std::io;
    use std::time::Duration;
    use synfin_device::{Device, memory_pair};

    fn host() -> io::Result<Stack> {
        Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(memory_pair(1500, true)?.0))
    }

    #[test]
    fn nobody_is_left_in_the_table_when_calls_and_futures_are_over() -> io::Result<()> {
        let x = host()?;
        let (l, u) = (TcpListener::bind(&x, "192.0.2.1:7")?, UdpSocket::bind(&x, "192.0.2.1:7")?);
        u.set_read_timeout(Some(Duration::from_millis(20)))?;
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| assert!(u.recv(&mut [0; 1]).is_err()));
                s.spawn(|| assert!(matches!(l.accept_within(Some(Duration::from_millis(10))), Ok(None))));
            }
        });
        assert!(x.shared().lock().waiters.is_empty(), "{:?}", x.shared().lock().waiters);
        Ok(())
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_future_that_is_dropped_leaves_nothing_behind() -> io::Result<()> {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};
        let x = host()?;
        let mut cx = Context::from_waker(Waker::noop());
        let bound = pin!(crate::tokio::TcpListener::bind(&x, "192.0.2.1:7")).poll(&mut cx);
        let Poll::Ready(Ok(l)) = bound else { panic!("binding does not wait") };
        {
            let (mut one, mut other) = (pin!(l.accept()), pin!(l.accept()));
            assert!(one.as_mut().poll(&mut cx).is_pending() && other.as_mut().poll(&mut cx).is_pending());
            assert!(one.as_mut().poll(&mut cx).is_pending(), "again");
            assert_eq!(x.shared().lock().waiters.table.len(), 2);
        }
        assert!(x.shared().lock().waiters.is_empty());
        // The place of a `poll_*` function stays, one for each socket and direction, until the socket has something.
        assert!(l.poll_accept(&mut cx).is_pending());
        assert_eq!(x.shared().lock().waiters.table.len(), 1);
        drop(l);
        assert!(x.shared().lock().waiters.is_empty(), "or is closed");
        Ok(())
    }
}
