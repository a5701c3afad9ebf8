//! What connections have found out about the ways to other hosts, for the next ones (RFC 9040), where the setting
//! `share-path` asks for it. As many hosts as path MTUs are remembered; the one heard of least recently goes first.

use crate::stack::Stack;
use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;
use synfin_tcp::Instant;
use synfin_tcp::path::PathState;

/// By destination: what is known, and since when.
#[derive(Debug, Default)]
pub(crate) struct KnownPaths(BTreeMap<IpAddr, (PathState, Instant)>);

impl KnownPaths {
    /// What is known of the way to `dst`, if it is not too old.
    fn get(&self, dst: IpAddr, now: Instant) -> Option<PathState> {
        self.0.get(&dst).filter(|(_, at)| now.since(*at) < BELIEVED).map(|(p, _)| *p)
    }

    fn learn(&mut self, dst: IpAddr, found: PathState, now: Instant, limit: usize) {
        if found == PathState::default() || limit == 0 {
            return;
        }
        let mut p = self.get(dst, now).unwrap_or_default();
        p.merge(found);
        if self.0.len() >= limit
            && !self.0.contains_key(&dst)
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(dst, _)| *dst)
        {
            self.0.remove(&oldest);
        }
        self.0.insert(dst, (p, now));
    }
}

impl Stack {
    /// The user closes connection `i`: what it has found out is remembered. Later it may find out more, but may also be gone
    /// before anybody asks.
    pub(crate) fn remember_path(&mut self, now: Instant, i: u32) {
        let Some(e) = self.tcp.conns.at(i) else { return };
        if self.configs[e.cfg].share_path
            && let Some(t) = e.conn.tcb()
        {
            self.tcp.known_paths.learn(e.tuple.remote.ip(), t.path_state(), now, self.cfg.max_paths);
        }
    }

    /// The handshake of connection `i` is complete.
    pub(crate) fn begin_with_path(&mut self, now: Instant, i: u32) {
        let Some(e) = self.tcp.conns.at_mut(i) else { return };
        let cfg = &self.configs[e.cfg];
        if cfg.share_path
            && let Some(known) = self.tcp.known_paths.get(e.tuple.remote.ip(), now)
            && let Some(t) = e.conn.tcb_mut()
        {
            t.begin_with(known, cfg);
        }
    }
}

/// As long as a path MTU (RFC 1191 6.3).
const BELIEVED: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_what_is_old_is_not_believed() {
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        let found = |srtt_us| PathState { srtt_us, ..PathState::default() };
        let mut k = KnownPaths::default();
        k.learn(ip(1), PathState::default(), at(0), 2);
        assert!(k.0.is_empty(), "nothing found, nothing kept");
        for (n, srtt, s) in [(1, 10, 0), (2, 20, 1), (1, 30, 2), (3, 40, 3)] {
            k.learn(ip(n), found(srtt), at(s), 2);
        }
        let known = |k: &KnownPaths, s| [1, 2, 3].map(|n| k.get(ip(n), at(s)).map(|p| p.srtt_us));
        assert_eq!(known(&k, 3), [Some(20), None, Some(40)], "the second was heard of least recently");
        assert_eq!(known(&k, 602), [None, None, Some(40)]);
        k.learn(ip(1), found(90), at(700), 2);
        assert_eq!(known(&k, 700)[0], Some(90), "what is too old is not averaged in");
    }
}
