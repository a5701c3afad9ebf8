//! What can be watched. Two probes only: `()`, which compiles to nothing, and `&mut dyn Observer`.

use crate::rule::{SendReason, Verdict};
use crate::state::{State, Trigger};
use crate::time::Instant;
use synfin_wire::tcp::{Header, Options};

/// Something that happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// A segment arrived and was judged; `state` is the state after it.
    Arrived {
        /// Its header.
        hdr: Header,
        /// Its options.
        opts: Options,
        /// Octets of text.
        len: u32,
        /// What became of it.
        verdict: Verdict,
        /// The state after it.
        state: State,
    },
    /// A segment was handed to the link; `state` is the state after it left.
    Sent {
        /// Its header.
        hdr: Header,
        /// Octets of text.
        len: u32,
        /// Why.
        why: SendReason,
        /// The state after it.
        state: State,
    },
    /// The state changed.
    Moved {
        /// From.
        from: State,
        /// By.
        trigger: Trigger,
        /// To.
        to: State,
    },
}

/// Someone who watches. `connection` is the stack's number for it; half-open and TIME-WAIT connections keep theirs.
pub trait Observer {
    /// Called for each event, in order.
    fn event(&mut self, now: Instant, connection: u64, event: &Event);
}

/// How the engine reports: statically nothing, or to an observer.
pub trait Probe {
    /// The connection that the following events are about.
    fn focus(&mut self, connection: u64);
    /// Reports; `event` is built only if somebody watches.
    fn event(&mut self, now: Instant, event: impl FnOnce() -> Event);
}

impl Probe for () {
    #[inline(always)]
    fn focus(&mut self, _: u64) {}
    #[inline(always)]
    fn event(&mut self, _: Instant, _: impl FnOnce() -> Event) {}
}

/// An observer together with the connection in focus.
pub struct Watch<'a> {
    observer: &'a mut dyn Observer,
    connection: u64,
}

impl<'a> Watch<'a> {
    /// Reports to `observer`.
    pub fn new(observer: &'a mut dyn Observer) -> Self {
        Watch { observer, connection: 0 }
    }
}

impl Probe for Watch<'_> {
    fn focus(&mut self, connection: u64) {
        self.connection = connection;
    }
    fn event(&mut self, now: Instant, event: impl FnOnce() -> Event) {
        self.observer.event(now, self.connection, &event());
    }
}
