//! Where threads meet: std's locks, threads and descriptors; or, with `--cfg shuttle`, those of a schedule explorer, which plays
//! one interleaving after another (`tests/schedules`). Time is then a counter, and waiting for it ends at any time: whoever
//! waits looks again, as he must in any case.

#[cfg(not(shuttle))]
mod real {
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread::{Builder, JoinHandle, Thread, current, park, park_timeout};
    pub(crate) use std::thread_local;
    pub(crate) use synfin_device::wait;

    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    #[allow(clippy::disallowed_methods)] // the driver is where the clock is read
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Waits until it is told, for `t` at most.
    pub(crate) fn wait_timeout<T>(c: &Condvar, guard: MutexGuard<'_, T>, t: Duration) {
        drop(c.wait_timeout(guard, t).unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(shuttle)]
mod explored {
    pub(crate) use shuttle::sync::atomic::AtomicBool;
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use shuttle::thread::{Builder, JoinHandle, Thread, current, park, yield_now};
    pub(crate) use shuttle::thread_local;

    use std::os::fd::RawFd;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};
    use synfin_device::{EventFd, Wait};

    /// A look at the clock takes a microsecond.
    #[allow(clippy::disallowed_methods)] // only where time begins
    pub(crate) fn now() -> Instant {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let looks = LOOKS.fetch_add(1, Ordering::Relaxed);
        *BEGAN.get_or_init(Instant::now) + Duration::from_micros(looks)
    }

    pub(crate) fn wait_timeout<T>(_: &Condvar, guard: MutexGuard<'_, T>, _: Duration) {
        drop(guard);
        yield_now();
    }

    pub(crate) fn park_timeout(_: Duration) {
        yield_now();
    }

    /// Looks at the descriptors until one is ready, and lets others run in between; ends early if there is a timeout.
    pub(crate) fn wait(device: RawFd, room: bool, wake: &EventFd, timeout: Option<Duration>) -> std::io::Result<Wait> {
        loop {
            yield_now();
            let w = synfin_device::wait(device, room, wake, Some(Duration::ZERO))?;
            if w != Wait::default() || timeout.is_some() {
                return Ok(w);
            }
        }
    }
}

#[cfg(shuttle)]
pub(crate) use explored::*;
#[cfg(not(shuttle))]
pub(crate) use real::*;
