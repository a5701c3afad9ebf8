//! The driver as a task, in the place of the thread in [`crate::driver`]: it sleeps on the runtime's reactor. That tells of
//! what changes, not of what is there: frames that a full batch left behind, this task's or a caller's, are read without being told.

use crate::driver::{FAREWELL, LOOK, Shared};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use synfin_stack::engine::Instant;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

/// The task.
pub(crate) struct Driver {
    device: AsyncFd<OwnedFd>,
    wake: AsyncFd<OwnedFd>,
    timer: Pin<Box<Sleep>>,
    /// How often a caller had led when this was looked at last.
    seen: u64,
    host: Host,
}

/// The host ends with its driver, also when a runtime drops its tasks.
struct Host(Arc<Shared>);

impl Drop for Host {
    fn drop(&mut self) {
        let mut s = self.0.lock();
        if !s.down {
            s.closing = true;
            s.end(false);
        }
    }
}

/// What the task does next.
enum Next {
    /// It waits for the device, unless that is gone, and for room on it if so said; then it handles what there is.
    Lead(Option<bool>),
    /// It handles what is left on the device.
    Read,
    /// It leaves that to callers.
    Follow,
    End,
}

impl Driver {
    /// In a runtime with I/O and time.
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<Driver> {
        let device = watch(shared.lock().device_watched()?)?;
        let wake = watch(shared.driver_wake.watched()?)?;
        Ok(Driver { device, wake, timer: Box::pin(tokio::time::sleep(Duration::ZERO)), seen: 0, host: Host(shared) })
    }

    /// Until the host is to stop; then for as long as it says its farewells.
    pub(crate) async fn run(mut self) {
        let mut end = None;
        loop {
            let (next, timeout) = self.next(&mut end);
            let slept = match next {
                Next::Lead(device) => self.sleep(device, timeout).await,
                Next::Follow => self.sleep(None, timeout).await,
                Next::Read => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
                Next::End => return,
            };
            if let Err(e) = slept {
                return self.host.0.lock().break_link(e.kind()); // the reactor is gone
            }
            if !matches!(next, Next::Follow) {
                self.turn();
            }
        }
    }

    fn next(&mut self, end: &mut Option<Instant>) -> (Next, Option<Duration>) {
        let mut s = self.host.0.lock();
        let now = s.now();
        if s.is_stopping() {
            let until = *end.get_or_insert(now + FAREWELL);
            if s.down || s.is_settled() || now >= until {
                return (Next::End, None);
            }
        } else if s.leading || s.lease > now {
            // As the thread does: callers that lead one after another are looked at now and then.
            let idle = s.leading && s.turns == self.seen;
            self.seen = s.turns;
            s.driver_sleeps = idle;
            return (Next::Follow, (!idle).then_some(LOOK));
        }
        if s.has_unread() {
            return (Next::Read, None);
        }
        s.driver_leads = true;
        let until = s.next_deadline().min(end.unwrap_or(Instant::NEVER));
        let sleep = s.fall_asleep(until);
        (Next::Lead(sleep.device), sleep.timeout)
    }

    /// Until the device is ready, if it is asked for, somebody wakes, or the time is up.
    async fn sleep(&mut self, device: Option<bool>, timeout: Option<Duration>) -> io::Result<()> {
        if let Some(t) = timeout {
            self.timer.as_mut().reset(tokio::time::Instant::now() + t);
        }
        poll_fn(|cx| self.poll(cx, device, timeout.is_some())).await
    }

    /// The reactor tells of changes: what it knows is forgotten before the device is read, to its end or to where `has_unread`
    /// remembers, and so nothing is missed.
    fn poll(&mut self, cx: &mut Context<'_>, device: Option<bool>, timed: bool) -> Poll<io::Result<()>> {
        let mut done = timed && self.timer.as_mut().poll(cx).is_ready();
        if let Poll::Ready(guard) = self.wake.poll_read_ready(cx) {
            guard?.clear_ready();
            self.host.0.driver_wake.clear();
            done = true;
        }
        if let Some(room) = device {
            if let Poll::Ready(guard) = self.device.poll_read_ready(cx) {
                guard?.clear_ready();
                done = true;
            }
            if room && let Poll::Ready(guard) = self.device.poll_write_ready(cx) {
                guard?.clear_ready();
                done = true;
            }
        }
        if done { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Handles what there is, a batch at most.
    fn turn(&mut self) {
        let mut s = self.host.0.lock();
        s.driver_leads = false;
        self.host.0.pump(&mut s);
        if s.leading {
            // A caller took over meanwhile, and sleeps on a device whose frames were just read here.
            self.host.0.leader_wake.wake();
        }
    }
}

/// The newer name of this call is unsafe, for types whose descriptor may change; this one's does not.
#[allow(deprecated)]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;
    use synfin_device::{Device, channel};

    /// A caller takes the lead while the task reads, and leaves with frames still on the device, of which the reactor does not tell
    /// again.
    #[::tokio::test]
    async fn frames_that_a_full_batch_left_are_read_without_another_one() -> io::Result<()> {
        for a_caller_reads in [false, true] {
            let (device, packets) = channel(1_500)?;
            let host = Stack::builder().address("192.0.2.1/24")?.start_on_tokio(Device::Channel(device))?;
            // This one stands in for the task, which never gets to run before it ends.
            let shared = host.arc();
            let mut driver = Driver::new(shared.clone())?;
            (0..300).for_each(|_| assert!(packets.send(b"no packet")));
            let read = || shared.lock().stack.counters().0.ip_in;
            driver.sleep(Some(false), None).await?;
            shared.lock().leading = true;
            driver.turn();
            let mut s = shared.lock();
            if a_caller_reads {
                shared.pump(&mut s);
            }
            s.leading = false;
            drop(s);
            assert!((64..300).contains(&read()), "{} of them, and the rest is left", read());
            let rest = async {
                while read() < 300 {
                    ::tokio::task::yield_now().await;
                }
            };
            ::tokio::select! {
                () = driver.run() => panic!("it goes on until the host stops"),
                r = ::tokio::time::timeout(Duration::from_secs(60), rest) => r.expect("nothing is missed"),
            }
        }
        Ok(())
    }
}
