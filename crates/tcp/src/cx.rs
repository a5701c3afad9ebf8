//! The context: all that the engine would otherwise take from its surroundings.

use crate::buf::Pool;
use crate::config::TcpConfig;
use crate::mib::TcpMib;
use crate::probe::{Event, Probe};
use crate::rng::Rng;
use crate::state::{State, Trigger};
use crate::time::Instant;

/// Time, randomness, settings, counters, buffers and the probe, passed into every verb.
#[derive(Debug)]
pub struct Cx<'a, P: Probe> {
    /// Now.
    pub now: Instant,
    /// Randomness.
    pub rng: &'a mut Rng,
    /// Settings of this connection.
    pub cfg: &'a TcpConfig,
    /// Counters of the stack.
    pub mib: &'a mut TcpMib,
    /// Buffers.
    pub pool: &'a mut Pool,
    /// Who watches.
    pub probe: &'a mut P,
}

impl<P: Probe> Cx<'_, P> {
    /// Moves `state` by `trigger` as the table says, and reports it. A trigger that the table does not know in
    /// this state is a fault of ours, never of a peer.
    pub fn transition(&mut self, state: &mut State, trigger: Trigger) {
        let from = *state;
        let Some(to) = from.next(trigger) else {
            debug_assert!(false, "no transition from {from} by {trigger}");
            return;
        };
        *state = to;
        self.probe.event(self.now, || Event::Moved { from, trigger, to });
    }
}
