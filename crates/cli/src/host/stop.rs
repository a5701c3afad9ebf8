//! The signals that ask a program to end, heard on a thread of their own.

use super::GRACE;
use crate::clock::now;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use synfin::device::{EventFd, Interest, Signal, Signals, wait_any};

/// How often the program was asked to end, and who is told.
pub(crate) struct Stop {
    asked: AtomicU8,
    /// When the first signal came.
    since: OnceLock<Instant>,
    told: Mutex<Told>,
    over: EventFd,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Told {
    next: u64,
    all: BTreeMap<u64, Box<dyn Fn() + Send>>,
}

impl Stop {
    /// Listens. `tell` is called on SIGUSR1.
    pub fn start(signals: Signals, tell: impl Fn() + Send + 'static) -> io::Result<Arc<Stop>> {
        let stop = Arc::new(Stop {
            asked: AtomicU8::new(0),
            since: OnceLock::new(),
            told: Mutex::default(),
            over: EventFd::new()?,
            thread: Mutex::default(),
        });
        let thread = std::thread::Builder::new().name("signals".into()).spawn({
            let stop = stop.clone();
            move || stop.run(&signals, tell)
        })?;
        *stop.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(stop)
    }

    /// How often the program was asked to end.
    pub fn asked(&self) -> u8 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Until when an orderly end may take, once the program was asked to end.
    pub fn until(&self) -> Option<Instant> {
        self.since.get().map(|t| *t + GRACE)
    }

    /// Whether the time for an orderly end is over.
    pub fn is_over(&self) -> bool {
        self.asked() > 1 || self.until().is_some_and(|u| now() >= u)
    }

    /// Calls `f` at each signal from now on, and at once if there was one, until what this returns is dropped.
    pub fn tell(self: &Arc<Self>, f: impl Fn() + Send + 'static) -> Listening {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no signal comes between the look and the entry.
        if self.asked() > 0 {
            f();
        }
        let id = told.next;
        told.next += 1;
        told.all.insert(id, Box::new(f));
        Listening { stop: self.clone(), id }
    }

    /// Does as if the first signal had come, if none has.
    pub fn ask(&self) {
        self.hear(false);
    }

    fn hear(&self, again: bool) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.asked() > 0 && !again {
            return;
        }
        self.since.get_or_init(now);
        self.asked.store(self.asked().saturating_add(1), Ordering::SeqCst);
        for f in told.all.values() {
            f();
        }
    }

    /// Hears no more.
    pub fn end(&self) {
        self.over.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(t) = thread {
            let _ = t.join();
        }
    }

    fn run(&self, signals: &Signals, tell: impl Fn()) {
        loop {
            let look = |fd| Interest { fd, readable: true, writable: false, ready: false };
            let mut all = [look(signals.fd()), look(self.over.fd())];
            if wait_any(&mut all, None).is_err() || all[1].ready {
                return;
            }
            while let Some(signal) = signals.next() {
                match signal {
                    Signal::Tell => tell(),
                    Signal::End => self.hear(true),
                }
            }
        }
    }
}

/// See [`Stop::tell`].
pub(crate) struct Listening {
    stop: Arc<Stop>,
    id: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.told.lock().unwrap_or_else(PoisonError::into_inner).all.remove(&self.id);
    }
}
