//! A neighbor that does not answer ARP or NDP: iputils hears of it from the kernel, as an error of one's own host.
//!
//! The echo socket does not say which requests waited for the neighbor in vain. But this host talks to nobody else, so the
//! stack's counter of neighbors that failed does: what was sent since the last reply has not been answered, and is not going to be.

use super::Ping;
use crate::host::Host;
use crate::output::Output;
use std::io;
use synfin::stack::wire::icmp::Unreachable;
use synfin::stack::{EchoAnswer, EchoOutcome};

/// How often a neighbor has failed to answer.
pub(super) fn failures(host: &Host) -> u64 {
    let (stack, _) = host.stack.counters();
    stack.iter().find(|(name, _)| *name == "SynfinNeighborFailed").map_or(0, |(_, n)| n)
}

impl Ping<'_> {
    /// Tells of the requests that were lost if the neighbor has failed since this was asked last.
    pub(super) fn look_for_neighbor(&mut self, out: &mut Output) -> io::Result<()> {
        let failures = failures(self.host);
        if failures == self.failures {
            return Ok(());
        }
        (self.failures, self.silent) = (failures, true);
        let since = self.heard;
        let waits = |at, answered: bool| !answered && since.is_none_or(|heard| at > heard);
        let mut lost: Vec<_> = self.sent.iter().filter(|(_, s)| waits(s.0, s.1)).map(|(seq, s)| (s.0, *seq)).collect();
        lost.sort_unstable();
        lost.into_iter().try_for_each(|(_, seq)| self.no_neighbor(seq, out))
    }

    /// This request has not left: its neighbor does not answer.
    pub(super) fn no_neighbor(&mut self, seq: u16, out: &mut Output) -> io::Result<()> {
        let at = self.sent.remove(&seq).map_or(synfin_tcp::Instant::default(), |s| s.0);
        let own = self.host.addresses().iter().find(|a| a.is_ipv4() == self.to.is_ipv4());
        let what = EchoOutcome::Unreachable(Unreachable::Host);
        self.statistics.on_error(seq);
        let answer = EchoAnswer { from: own.copied().unwrap_or(self.to), seq, at, what };
        self.error(&answer, &answer.what, out)
    }
}
