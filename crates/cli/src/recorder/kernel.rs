//! What the kernel says of its end (`/proc/net/tcp`, `TCP_INFO`), held against what is shown.

use super::{Recorder, Recording};
use crate::clock::pause;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use synfin_tcp::State;
use synfin_trace::{Entry, Step};

impl Recorder {
    /// The kernel's end of every conversation: where it is, what is shown, what the kernel says.
    fn compare(&self) -> Vec<(SocketAddr, State, State)> {
        let table = kernel_table();
        let mut r = self.lock();
        let Recording { conversations, ours, .. } = &mut *r;
        let mut said: Vec<_> = conversations
            .iter_mut()
            .map(|(key, c)| {
                let client = !ours.contains(&c.client.ip());
                let theirs = if client { c.client } else { other(key, c.client) };
                let kernel = table.get(&(theirs, other(key, theirs))).copied().unwrap_or(State::Closed);
                (theirs, c.ends.confirm(client, kernel), kernel)
            })
            .collect();
        said.sort_by_key(|s| s.0);
        said
    }

    /// Holds what the kernel says of a socket (`TCP_INFO`) against what is shown, and remarks it.
    pub fn check_socket(&self, says: impl Fn() -> Option<(SocketAddr, SocketAddr, u8)>) {
        for attempt in 0..=40 {
            let Some((end, peer, number)) = says() else { return };
            let Some(kernel) = state_of_number(number) else { return };
            let mut r = self.lock();
            let mut key = [end, peer];
            key.sort();
            let Some(c) = r.conversations.get_mut(&key) else { return };
            let on_line = c.ends.shown(end == c.client);
            let shown = c.ends.confirm(end == c.client, kernel);
            if agrees(shown, kernel) || attempt == 40 {
                let at = r.elapsed();
                let verdict = match (agrees(on_line, kernel), agrees(shown, kernel)) {
                    (true, _) => "as shown".to_string(),
                    (false, true) => "what was under way has arrived".to_string(),
                    (false, false) => format!("but {shown} is shown"),
                };
                r.disagreements += usize::from(!agrees(on_line, kernel) && !agrees(shown, kernel));
                let step = Step::Remark(format!("TCP_INFO of {end}: {kernel}, {verdict}"));
                r.entries.push_back(Entry { at, step });
                return;
            }
            drop(r);
            pause(25);
        }
    }

    /// Holds what the kernel says of its end (`/proc/net/tcp`) against what is shown, for every conversation, and remarks it.
    /// Segments may still be on their way: only what does not come to agree within a second is a disagreement.
    pub fn check_kernel(&self) {
        let mut said = self.compare();
        for _ in 0..40 {
            if said.iter().all(|(_, shown, kernel)| agrees(*shown, *kernel)) {
                break;
            }
            pause(25);
            said = self.compare();
        }
        let mut r = self.lock();
        for (end, shown, kernel) in said {
            let at = r.elapsed();
            let words = if agrees(shown, kernel) {
                format!("the kernel says of its end {end}: {kernel}, as shown")
            } else {
                r.disagreements += 1;
                format!("the kernel says of its end {end}: {kernel}, but {shown} is shown")
            };
            r.entries.push_back(Entry { at, step: Step::Remark(words) });
        }
    }
}

/// Whether the kernel's state is the one that is shown. A listener is no connection: the kernel has no row for it under the
/// four-tuple.
fn agrees(shown: State, kernel: State) -> bool {
    shown == kernel || (shown == State::Listen && kernel == State::Closed)
}

fn other(key: &[SocketAddr; 2], a: SocketAddr) -> SocketAddr {
    if key[0] == a { key[1] } else { key[0] }
}

/// The kernel's table of connections in this namespace: (local, remote) to state.
fn kernel_table() -> HashMap<(SocketAddr, SocketAddr), State> {
    let mut all = HashMap::new();
    for (file, v6) in [("/proc/net/tcp", false), ("/proc/net/tcp6", true)] {
        for l in std::fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let f: Vec<&str> = l.split_whitespace().collect();
            if let (Some(a), Some(b), Some(s)) = (
                f.get(1).and_then(|a| proc_address(a, v6)),
                f.get(2).and_then(|a| proc_address(a, v6)),
                f.get(3).and_then(|s| proc_state(s)),
            ) {
                all.insert((a, b), s);
            }
        }
    }
    all
}

fn proc_address(s: &str, v6: bool) -> Option<SocketAddr> {
    let (addr, port) = s.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip: IpAddr = if v6 {
        let mut b = [0; 16];
        for (i, w) in b.chunks_mut(4).enumerate() {
            w.copy_from_slice(&u32::from_str_radix(addr.get(i * 8..i * 8 + 8)?, 16).ok()?.to_ne_bytes());
        }
        std::net::Ipv6Addr::from(b).to_canonical()
    } else {
        IpAddr::from(u32::from_str_radix(addr, 16).ok()?.to_ne_bytes())
    };
    Some(SocketAddr::new(ip, port))
}

fn proc_state(s: &str) -> Option<State> {
    state_of_number(u8::from_str_radix(s, 16).ok()?)
}

/// The kernel's numbers of the states (`include/net/tcp_states.h`).
fn state_of_number(n: u8) -> Option<State> {
    Some(match n {
        1 => State::Established,
        2 => State::SynSent,
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        7 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    })
}
