//! Options of connections, the same in both faces: settings of [`TcpConfig`] under the names that programs know. A file for those
//! of a connection, of a listener, of a socket that is neither yet, and of a whole host.
//!
//! Every change is made under one lock, of the fields that it is about, and is checked as a whole ([`TcpConfig::check`]): one that
//! is refused has changed nothing, and what two holders of a socket set at once is both set.

mod before;
mod host;
mod listener;
mod stream;

pub(crate) use before::{Before, tcp_socket};
pub(crate) use listener::listener_options;
pub(crate) use stream::stream_options;

use std::io;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use synfin_stack::engine::snd::congestion::Algorithm;

/// Keepalive probes (RFC 9293 3.8.4). The defaults are those of the host, which are the RFC's: 2 h, 75 s, 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Silence before the first probe (`TCP_KEEPIDLE`); 10 ms at least.
    pub idle: Option<Duration>,
    /// Time between probes (`TCP_KEEPINTVL`); 10 ms at least.
    pub interval: Option<Duration>,
    /// Unanswered probes before the peer is taken for dead (`TCP_KEEPCNT`), 1 to 127.
    pub count: Option<u8>,
}

impl Keepalive {
    /// Writes it down.
    pub(crate) fn apply(self, c: &mut TcpConfig) {
        c.keepalive = true;
        c.keepalive_idle = self.idle.map_or(c.keepalive_idle, millis);
        c.keepalive_interval = self.interval.map_or(c.keepalive_interval, millis);
        c.keepalive_count = self.count.unwrap_or(c.keepalive_count);
    }

    /// As it is written down.
    pub(crate) fn of(c: &TcpConfig) -> Keepalive {
        let (idle, interval) = (Some(c.keepalive_idle), Some(c.keepalive_interval));
        Keepalive { idle, interval, count: Some(c.keepalive_count) }
    }
}

/// What a user gave that is not what there is.
fn wrong(words: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words.into())
}

/// Whether settings are in their ranges, and agree with each other.
pub(crate) fn check(c: &TcpConfig) -> io::Result<()> {
    c.check().map_err(wrong)
}

/// `c` after a change, if that can be.
pub(crate) fn changed(c: &TcpConfig, change: impl FnOnce(&mut TcpConfig)) -> io::Result<TcpConfig> {
    let mut new = c.clone();
    change(&mut new);
    check(&new)?;
    Ok(new)
}

/// A time in the milliseconds of settings, rounded up: what is above zero stays so, for zero is off.
pub(crate) fn millis(t: Duration) -> Duration {
    let part = t.subsec_nanos() % 1_000_000;
    if part == 0 { t } else { t.saturating_add(Duration::from_nanos(u64::from(1_000_000 - part))) }
}

/// A time after which something is given up, as settings have it. None is off, which zero is not.
pub(crate) fn patience(t: Option<Duration>) -> io::Result<Duration> {
    match t {
        Some(Duration::ZERO) => Err(wrong("a timeout of zero")),
        t => Ok(t.map_or(Duration::ZERO, millis)),
    }
}

/// The congestion control of a name. An unknown one is refused with the list of what there is.
pub(crate) fn algorithm(name: &str) -> io::Result<Algorithm> {
    let mut c = TcpConfig::default();
    c.set("congestion", name).map_err(wrong)?;
    Ok(c.congestion)
}

/// A buffer of a fixed size; it is brought into the range that there is, as the kernel does.
pub(crate) fn buffer(octets: usize) -> u32 {
    octets.clamp(2_048, 1 << 29) as u32
}

/// The first and the greatest size of the send buffer; none is automatic, as `host` has it, or the engine where `host` has a fixed
/// one.
pub(crate) fn send_buffer(c: &mut TcpConfig, octets: Option<usize>, host: &TcpConfig) {
    let d = TcpConfig::default();
    let grows = if host.snd_buf_initial < host.snd_buf_max { host } else { &d };
    (c.snd_buf_initial, c.snd_buf_max) =
        octets.map_or((grows.snd_buf_initial, grows.snd_buf_max), |n| (buffer(n), buffer(n)));
}

/// Likewise of the receive buffer.
pub(crate) fn recv_buffer(c: &mut TcpConfig, octets: Option<usize>, host: &TcpConfig) {
    let d = TcpConfig::default();
    let grows = if host.rcv_buf_initial < host.rcv_buf_max { host } else { &d };
    (c.rcv_buf_initial, c.rcv_buf_max) =
        octets.map_or((grows.rcv_buf_initial, grows.rcv_buf_max), |n| (buffer(n), buffer(n)));
}

/// Fast Open as a client.
pub(crate) fn fast_open_connect(c: &mut TcpConfig, on: bool) {
    c.fastopen_connect = on;
    c.fastopen = if on { c.fastopen | CLIENT } else { c.fastopen & !CLIENT };
}

/// Fast Open as a server, for so many at once.
pub(crate) fn fast_open_queue(c: &mut TcpConfig, most: u16) {
    c.fastopen_queue = most;
    c.fastopen = if most > 0 { c.fastopen | SERVER } else { c.fastopen & !SERVER };
}

/// For how many at once it is a server by a number of its own.
pub(crate) fn fast_open_queue_of(c: &TcpConfig) -> u16 {
    if c.fastopen & SERVER == 0 { 0 } else { c.fastopen_queue }
}

/// A hop limit.
pub(crate) fn hops(ttl: u32) -> io::Result<u8> {
    let wrong = || wrong(format!("a TTL of {ttl}; there are 1..=255"));
    u8::try_from(ttl).ok().filter(|t| *t > 0).ok_or_else(wrong)
}

/// A codepoint of differentiated services (RFC 2474 3).
pub(crate) fn codepoint(dscp: u8) -> io::Result<u8> {
    let wrong = || wrong(format!("a DSCP of {dscp}; there are 0..=63"));
    Some(dscp).filter(|d| *d < 64).ok_or_else(wrong)
}

/// The codepoint in an octet of type of service, or traffic class. The bits of ECN are not the user's.
pub(crate) fn of_octet(tos: u32) -> io::Result<u8> {
    let wrong = |_| wrong(format!("a type of service of {tos}; there are 0..=255"));
    u8::try_from(tos).map(|t| t >> 2).map_err(wrong)
}

/// Longer than any connection takes to give up by its retries: a longer one says nothing else.
pub(crate) const LONGEST_CONNECT: Duration = Duration::from_secs(86_400);

/// Bits of the setting `fastopen`.
const CLIENT: u16 = 1;
const SERVER: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_a_millisecond_is_one_and_not_off() {
        let (ns, ms) = (Duration::from_nanos, Duration::from_millis);
        for (t, is) in [(ns(1), ms(1)), (ms(1), ms(1)), (ns(1_000_001), ms(2)), (ms(2), ms(2)), (ns(0), ns(0))] {
            assert_eq!(millis(t), is, "{t:?}");
        }
        assert_eq!(millis(Duration::MAX), Duration::MAX, "and refused");
        assert_eq!(patience(None).ok(), Some(Duration::ZERO));
        assert_eq!(patience(Some(ns(1))).ok(), Some(ms(1)));
        assert_eq!(patience(Some(ns(0))).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput));
    }
}
