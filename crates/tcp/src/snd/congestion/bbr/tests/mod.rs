//! The algorithm on a path in virtual time ([`super::super::testing`]), and step by step. What is claimed follows from the
//! draft's gains and thresholds; the derivation stands beside each number. A.n are the cases of the draft's appendix A.

mod changes;
mod liars;
mod losses;
mod steady;
mod steps;

use super::{Bbr, State};
use crate::snd::congestion::testing::{Path, Sim};
use crate::time::Duration;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A flow at the beginning of its life.
fn flow(path: Path, seed: u64) -> Sim<Bbr> {
    Sim::new(path, seed, Bbr::new)
}

/// A flow that has found its way: 100 Mbit/s, 40 ms, unless another path is given.
fn settled(path: Path) -> Sim<Bbr> {
    let mut sim = flow(path, 1);
    sim.run(secs(10));
    assert!(sim.cc.state.is_probe_bw() || sim.cc.state == State::ProbeRtt, "{:?}", sim.cc);
    sim
}

/// max_bw, in thousandths of the bottleneck's rate.
fn max_bw(sim: &Sim<Bbr>) -> u64 {
    sim.cc.max_bw.get() * 1000 / sim.path.rate
}

/// Runs until the state is `state`.
fn reach(sim: &mut Sim<Bbr>, state: State) -> Duration {
    sim.run_until(secs(20), |s| s.cc.state == state).unwrap_or_else(|| panic!("{state:?} is not reached: {:?}", sim.cc))
}
