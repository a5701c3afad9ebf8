//! A call that may wait, made on a thread of its own as packetdrill makes it.

use crate::library::Session;
use crate::sockets::Result;
use std::any::Any;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A call on a thread of its own.
pub(super) struct Pending {
    /// Where the kernel says what the thread does.
    stat: String,
    /// The call has returned; its result follows.
    returned: Arc<AtomicBool>,
    result: Receiver<(Box<dyn Any + Send>, i64)>,
}

/// What a thread that makes a call is doing.
pub(super) enum Look {
    Waits,
    Returned(Box<dyn Any + Send>, i64),
    Gone,
}

impl Pending {
    pub(super) fn start<T: Send + 'static>(
        session: Arc<Session>,
        call: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Pending {
        let (tell_id, id) = mpsc::channel();
        let (tell, result) = mpsc::channel();
        let returned = Arc::new(AtomicBool::new(false));
        let done = returned.clone();
        std::thread::spawn(move || {
            let id = fs::read_link("/proc/thread-self").unwrap_or_default();
            let _ = tell_id.send(id);
            let value = call(&session);
            done.store(true, Ordering::Release);
            let us = session.gettimeofday();
            let boxed: Box<dyn Any + Send> = Box::new(value);
            let _ = tell.send((boxed, us));
        });
        let id = id.recv().unwrap_or_default();
        Pending { stat: format!("/proc/{}/stat", id.display()), returned, result }
    }

    /// Whether the call has returned.
    pub(super) fn has_returned(&self) -> bool {
        self.returned.load(Ordering::Acquire)
    }

    /// Waits until the call has returned or its thread sleeps, and goes on sleeping.
    pub(super) fn look(&self) -> Look {
        const LONG: Duration = Duration::from_micros(200);
        let mut asleep = 0;
        loop {
            if self.returned.load(Ordering::Acquire) {
                return match self.result.recv() {
                    Ok((value, us)) => Look::Returned(value, us),
                    Err(_) => Look::Gone,
                };
            }
            let Ok(stat) = fs::read_to_string(&self.stat) else {
                // It ended; if it returned before, the next look sees that.
                match self.returned.load(Ordering::Acquire) {
                    true => continue,
                    false => return Look::Gone,
                }
            };
            // The state follows the name, which may have any characters in it.
            let sleeps = stat.rsplit(") ").next().is_some_and(|s| s.starts_with('S'));
            asleep = if sleeps { asleep + 1 } else { 0 };
            match asleep {
                0 => std::thread::yield_now(),
                // It may wait for a lock only.
                1 => std::thread::park_timeout(LONG),
                _ => return Look::Waits,
            }
        }
    }
}
