//! Options of connections, the same in both faces: settings of [`TcpConfig`] under the names that programs know.

use std::io;
use std::net::SocketAddr;
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
    /// Checks it, and writes it down.
    pub(crate) fn apply(self, c: &mut TcpConfig) -> io::Result<()> {
        let mut new = c.clone();
        new.keepalive = true;
        for (key, given) in [("keepalive-idle", self.idle), ("keepalive-interval", self.interval)] {
            if let Some(t) = given {
                set(&mut new, key, &millis(t))?;
            }
        }
        if let Some(n) = self.count {
            set(&mut new, "keepalive-count", &n.to_string())?;
        }
        *c = new;
        Ok(())
    }
}

/// Sets one setting by its name.
pub(crate) fn set(c: &mut TcpConfig, key: &str, value: &str) -> io::Result<()> {
    c.set(key, value).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))
}

/// A time, as settings are written.
pub(crate) fn millis(t: Duration) -> String {
    format!("{}ms", t.as_millis())
}

/// The congestion control of a name. An unknown one is refused with the list of what there is.
pub(crate) fn algorithm(name: &str) -> io::Result<Algorithm> {
    let mut c = TcpConfig::default();
    set(&mut c, "congestion", name)?;
    Ok(c.congestion)
}

/// A buffer of a fixed size; it is brought into the range that there is, as the kernel does.
pub(crate) fn buffer(octets: usize) -> u32 {
    octets.clamp(2_048, 1 << 29) as u32
}

/// The table of settings is full.
pub(crate) fn full() -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, "too many kinds of settings")
}

/// The options of a stream, for a type whose `stream()` is a [`super::Stream`].
macro_rules! stream_options {
    ($t:ty) => {
        impl $t {
            /// Changes any of its settings; false if the host's table of settings is full.
            pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> bool {
                self.stream().configure(change)
            }

            fn change(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
                self.configure(change).then_some(()).ok_or_else($crate::socket::options::full)
            }

            /// Sends small segments at once (`TCP_NODELAY`; RFC 9293 3.7.4).
            pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
                self.change(|c| c.nodelay = on)
            }

            /// Whether small segments are sent at once.
            pub fn nodelay(&self) -> io::Result<bool> {
                Ok(self.stream().config(|c| c.nodelay))
            }

            /// The hop limit of its packets (`IP_TTL`; RFC 9293 3.9.2), 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                let ttl = $crate::socket::options::hops(ttl)?;
                self.change(|c| c.ttl = ttl)
            }

            /// The hop limit of its packets.
            pub fn ttl(&self) -> io::Result<u32> {
                let own = self.stream().config(|c| c.ttl);
                let host = self.stream().host.shared().lock().stack.config().hop_limit;
                Ok(if own == 0 { host } else { own }.into())
            }

            /// The codepoint of differentiated services of its packets (`IP_TOS >> 2`; RFC 2474 3), 0 to 63; 46 is Expedited
            /// Forwarding. The other two bits of that octet are ECN's.
            pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
                let dscp = $crate::socket::options::codepoint(dscp)?;
                self.change(|c| c.dscp = dscp)
            }

            /// The codepoint of differentiated services of its packets.
            pub fn dscp(&self) -> io::Result<u8> {
                Ok(self.stream().config(|c| c.dscp))
            }

            /// Probes whether a silent peer is still there; `None` does not (RFC 9293 3.8.4).
            pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
                let mut new = self.stream().config(Clone::clone);
                match keepalive {
                    Some(k) => k.apply(&mut new)?,
                    None => new.keepalive = false,
                }
                self.change(|c| *c = new)
            }

            /// How a silent peer is probed, if it is.
            pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
                Ok(self.stream().config(|c| {
                    let (idle, interval) = (Some(c.keepalive_idle), Some(c.keepalive_interval));
                    c.keepalive.then_some(Keepalive { idle, interval, count: Some(c.keepalive_count) })
                }))
            }

            /// Gives up when what was sent stays unacknowledged for this long (`TCP_USER_TIMEOUT`, in milliseconds; RFC 9293
            /// 3.9.1.1); `None` leaves it to the retries.
            pub fn set_user_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                let mut new = self.stream().config(Clone::clone);
                let t = $crate::socket::options::millis(t.unwrap_or_default());
                $crate::socket::options::set(&mut new, "user-timeout", &t)?;
                self.change(|c| *c = new)
            }

            /// After which time it gives up.
            pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.stream().config(|c| Some(c.user_timeout).filter(|t| !t.is_zero())))
            }

            /// The congestion control, by name (`TCP_CONGESTION`). [`io::ErrorKind::InvalidInput`] tells what there is.
            pub fn set_congestion(&self, name: &str) -> io::Result<()> {
                let algorithm = $crate::socket::options::algorithm(name)?;
                self.change(|c| c.congestion = algorithm)?;
                let s = self.stream();
                s.host.shared().act(|shard| {
                    let now = shard.now();
                    probed!(shard, stack, probe, stack.tcp_set_algorithm(now, probe, s.id, algorithm));
                });
                Ok(())
            }

            /// The name of its congestion control.
            pub fn congestion(&self) -> io::Result<&'static str> {
                let s = self.stream();
                let name = s.host.shared().lock().stack.tcp_congestion(s.id);
                name.ok_or_else(|| io::ErrorKind::NotConnected.into())
            }

            /// Acknowledges what comes from now on at once, or as the policy of RFC 9293 3.8.6.3 allows (`TCP_QUICKACK`). Not
            /// for ever: 255 segments.
            pub fn set_quickack(&self, on: bool) -> io::Result<()> {
                let s = self.stream();
                s.host.shared().act(|shard| {
                    let (now, count) = (shard.now(), if on { u8::MAX } else { 0 });
                    probed!(shard, stack, probe, stack.tcp_quick_ack(now, probe, s.id, count));
                });
                Ok(())
            }

            /// While it is on, text that does not fill a segment waits (`TCP_CORK`), but not for ever: see `sws-override` of
            /// [`TcpConfig`]. Off, what waits leaves.
            pub fn set_cork(&self, on: bool) -> io::Result<()> {
                self.change(|c| c.cork = on)
            }

            /// Whether text that does not fill a segment waits.
            pub fn cork(&self) -> io::Result<bool> {
                Ok(self.stream().config(|c| c.cork))
            }

            /// Octets from which on it counts as readable (`SO_RCVLOWAT`), at least 1; at its end, or when its window is shut, fewer
            /// are enough.
            pub fn set_rcv_lowat(&self, octets: u32) -> io::Result<()> {
                let mut new = self.stream().config(Clone::clone);
                $crate::socket::options::set(&mut new, "rcv-lowat", &octets.to_string())?;
                self.change(|c| *c = new)
            }

            /// Octets from which on it counts as readable.
            pub fn rcv_lowat(&self) -> io::Result<u32> {
                Ok(self.stream().config(|c| c.rcv_lowat))
            }

            /// Octets of free room in its send buffer from which on it counts as writable (`SO_SNDLOWAT`), at least 1; all of the
            /// buffer is always enough.
            pub fn set_snd_lowat(&self, octets: u32) -> io::Result<()> {
                let mut new = self.stream().config(Clone::clone);
                $crate::socket::options::set(&mut new, "snd-lowat", &octets.to_string())?;
                self.change(|c| *c = new)
            }

            /// Octets of free room from which on it counts as writable.
            pub fn snd_lowat(&self) -> io::Result<u32> {
                Ok(self.stream().config(|c| c.snd_lowat))
            }

            /// The size up to which its send buffer grows, in octets.
            pub fn send_buffer_size(&self) -> io::Result<usize> {
                Ok(self.stream().config(|c| c.snd_buf_max) as usize)
            }

            /// The size up to which its receive buffer grows, in octets.
            pub fn recv_buffer_size(&self) -> io::Result<usize> {
                Ok(self.stream().config(|c| c.rcv_buf_max) as usize)
            }

            /// The size of its send buffer in octets (`SO_SNDBUF`), from 2,048 on; without, it follows the congestion window.
            pub fn set_send_buffer_size(&self, octets: usize) -> io::Result<()> {
                let n = $crate::socket::options::buffer(octets);
                self.change(|c| (c.snd_buf_initial, c.snd_buf_max) = (n, n))
            }

            /// The size of its receive buffer in octets (`SO_RCVBUF`), from 2,048 on; without, it follows what its user takes.
            /// Windows above 65,535 octets need the scale that was agreed on when it was opened: set it before
            /// (`TcpSocket`).
            pub fn set_recv_buffer_size(&self, octets: usize) -> io::Result<()> {
                let n = $crate::socket::options::buffer(octets);
                self.change(|c| (c.rcv_buf_initial, c.rcv_buf_max) = (n, n))
            }

            /// With `Some(0)`, dropping the stream resets the connection; with a longer time, dropping it waits, for as long
            /// at most, until what was written and the FIN are acknowledged (`SO_LINGER`).
            pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
                self.stream().set_linger(linger);
                Ok(())
            }

            /// Dropping the stream resets the connection.
            pub fn set_zero_linger(&self) -> io::Result<()> {
                self.set_linger(Some(Duration::ZERO))
            }

            /// What was set with `set_linger`.
            pub fn linger(&self) -> io::Result<Option<Duration>> {
                Ok(self.stream().linger())
            }

            /// The error that the connection ended with, once (`SO_ERROR`).
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                Ok(self.stream().take_error())
            }

            /// The other end.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.stream().peer)
            }

            /// This end.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.stream().local)
            }

            /// Its state.
            pub fn state(&self) -> State {
                let s = self.stream();
                s.host.shared().lock().stack.tcp_state(s.id)
            }

            /// A snapshot of it (STATUS, RFC 9293 3.10.6); none once it is forgotten.
            pub fn status(&self) -> Option<Status> {
                let s = self.stream();
                s.host.shared().lock().stack.tcp_status(s.id)
            }
        }
    };
}
pub(crate) use stream_options;

/// What both faces of a listener have alike.
macro_rules! listener_options {
    ($listener:ident) => {
        impl $listener {
            /// Its queues.
            pub fn status(&self) -> Option<ListenerStatus> {
                self.0.host.shared().lock().stack.tcp_listener_status(self.0.id)
            }

            /// The hop limit of the packets of its connections from now on, 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                self.0.set_ttl(ttl)
            }

            /// The hop limit of the packets of its connections.
            pub fn ttl(&self) -> io::Result<u32> {
                Ok(self.0.ttl())
            }

            /// A connection is accepted when text has come, or after this time (`TCP_DEFER_ACCEPT`), up to an hour; zero: when its
            /// handshake is complete. Of connections from now on.
            pub fn set_defer_accept(&self, t: Duration) -> io::Result<()> {
                self.0.set_defer_accept(t)
            }

            /// For how long a connection without text is not accepted.
            pub fn defer_accept(&self) -> io::Result<Duration> {
                Ok(self.0.config(|c| c.defer_accept).unwrap_or_default())
            }

            /// The codepoint of differentiated services of the packets of its connections from now on (RFC 2474 3), 0 to 63: from the
            /// SYN,ACK on.
            pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
                self.0.set_dscp(dscp)
            }

            /// The codepoint of differentiated services of the packets of its connections.
            pub fn dscp(&self) -> io::Result<u8> {
                Ok(self.0.config(|c| c.dscp).unwrap_or_default())
            }
        }
    };
}
pub(crate) use listener_options;

/// A hop limit.
pub(crate) fn hops(ttl: u32) -> io::Result<u8> {
    u8::try_from(ttl)
        .ok()
        .filter(|t| *t > 0)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("a TTL of {ttl}; there are 1..=255")))
}

/// A codepoint of differentiated services (RFC 2474 3).
pub(crate) fn codepoint(dscp: u8) -> io::Result<u8> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("a DSCP of {dscp}; there are 0..=63"));
    Some(dscp).filter(|d| *d < 64).ok_or_else(wrong)
}

/// The codepoint in an octet of type of service, or traffic class. The bits of ECN are not the user's.
pub(crate) fn of_octet(tos: u32) -> io::Result<u8> {
    let wrong =
        |_| io::Error::new(io::ErrorKind::InvalidInput, format!("a type of service of {tos}; there are 0..=255"));
    u8::try_from(tos).map(|t| t >> 2).map_err(wrong)
}

/// What is known of a socket before it is open.
#[derive(Debug)]
pub(crate) struct Before {
    pub local: Option<SocketAddr>,
    pub cfg: TcpConfig,
    pub linger: Option<Duration>,
    pub reuseaddr: bool,
}

/// A socket that is not open yet, for a face whose type of its own name this makes.
macro_rules! tcp_socket {
    ($t:ident) => {
        /// A socket before it is opened: options, and the address and port to open it from.
        #[derive(Debug)]
        pub struct $t {
            host: Stack,
            v6: bool,
            before: Mutex<Before>,
        }

        impl $t {
            /// A socket of IPv4.
            pub fn new_v4(host: &Stack) -> io::Result<$t> {
                $t::new(host, false)
            }

            /// A socket of IPv6.
            pub fn new_v6(host: &Stack) -> io::Result<$t> {
                $t::new(host, true)
            }

            fn new(host: &Stack, v6: bool) -> io::Result<$t> {
                host.shared().lock().opens()?;
                let before = Before { cfg: host.tcp_defaults(), local: None, linger: None, reuseaddr: false };
                Ok($t { host: host.clone(), v6, before: Mutex::new(before) })
            }

            fn before(&self) -> std::sync::MutexGuard<'_, Before> {
                self.before.lock().unwrap_or_else(PoisonError::into_inner)
            }

            fn set(&self, key: &str, value: &str) -> io::Result<()> {
                options::set(&mut self.before().cfg, key, value)
            }

            /// The address and port to open it from; port 0 leaves it open. The port is taken when it is connected or
            /// listens; [`io::ErrorKind::AddrNotAvailable`] if the address is not ours.
            pub fn bind(&self, local: impl ToAddress) -> io::Result<()> {
                let local = local.to_address()?;
                self.is_ours(local)?;
                if !local.ip().is_unspecified() && !self.host.shared().lock().stack.has_address(local.ip()) {
                    return Err(Cause::Connect(synfin_stack::ConnectError::AddressNotAvailable).into());
                }
                self.before().local = Some(local);
                Ok(())
            }

            fn is_ours(&self, a: SocketAddr) -> io::Result<()> {
                if a.is_ipv6() == self.v6 {
                    return Ok(());
                }
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{a} is of the other version of IP")))
            }

            /// The address and port that it was bound to, or zeros.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                Ok(self.before().local.unwrap_or(match self.v6 {
                    false => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
                    true => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
                }))
            }

            /// Changes any of its settings.
            pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) {
                change(&mut self.before().cfg);
            }

            /// Sends small segments at once (RFC 9293 3.7.4).
            pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
                self.before().cfg.nodelay = on;
                Ok(())
            }

            /// Whether small segments are sent at once.
            pub fn nodelay(&self) -> io::Result<bool> {
                Ok(self.before().cfg.nodelay)
            }

            /// Probes whether a silent peer is still there (RFC 9293 3.8.4).
            pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
                self.before().cfg.keepalive = on;
                Ok(())
            }

            /// Whether a silent peer is probed.
            pub fn keepalive(&self) -> io::Result<bool> {
                Ok(self.before().cfg.keepalive)
            }

            /// When and how often a silent peer is probed.
            pub fn set_keepalive_times(&self, keepalive: Keepalive) -> io::Result<()> {
                keepalive.apply(&mut self.before().cfg)
            }

            /// Gives up when what was sent, or the SYN, stays unacknowledged for this long.
            pub fn set_user_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                self.set("user-timeout", &options::millis(t.unwrap_or_default()))
            }

            /// After which time it gives up.
            pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(Some(self.before().cfg.user_timeout).filter(|t| !t.is_zero()))
            }

            /// Gives up connecting after this, whatever the retries; `None` leaves it to them.
            pub fn set_connect_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                self.set("connect-timeout", &options::millis(t.unwrap_or_default()))
            }

            /// After which time it gives up connecting, whatever the retries.
            pub fn connect_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(Some(self.before().cfg.connect_timeout).filter(|t| !t.is_zero()))
            }

            /// How often an unanswered SYN is sent again (`TCP_SYNCNT`), up to 127.
            pub fn set_syn_retries(&self, n: u8) -> io::Result<()> {
                self.set("syn-retries", &n.to_string())
            }

            /// How often an unanswered SYN is sent again.
            pub fn syn_retries(&self) -> io::Result<u8> {
                Ok(self.before().cfg.syn_retries)
            }

            /// How many segments are acknowledged at once when the connection begins (`TCP_QUICKACK` is what it is later).
            pub fn set_quick_acks(&self, n: u8) -> io::Result<()> {
                self.before().cfg.quick_acks = n;
                Ok(())
            }

            /// How many segments are acknowledged at once when the connection begins.
            pub fn quick_acks(&self) -> io::Result<u8> {
                Ok(self.before().cfg.quick_acks)
            }

            /// A connection of a listener is accepted when text has come, or after this time (`TCP_DEFER_ACCEPT`), up to an hour;
            /// zero: when its handshake is complete.
            pub fn set_defer_accept(&self, t: Duration) -> io::Result<()> {
                self.set("defer-accept", &options::millis(t))
            }

            /// For how long a connection without text is not accepted.
            pub fn defer_accept(&self) -> io::Result<Duration> {
                Ok(self.before().cfg.defer_accept)
            }

            /// Octets from which on it counts as readable (`SO_RCVLOWAT`), at least 1.
            pub fn set_rcv_lowat(&self, octets: u32) -> io::Result<()> {
                self.set("rcv-lowat", &octets.to_string())
            }

            /// Octets of free room from which on it counts as writable (`SO_SNDLOWAT`), at least 1.
            pub fn set_snd_lowat(&self, octets: u32) -> io::Result<()> {
                self.set("snd-lowat", &octets.to_string())
            }

            /// The hop limit of its packets, 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                self.before().cfg.ttl = options::hops(ttl)?;
                Ok(())
            }

            /// The hop limit of its packets.
            pub fn ttl(&self) -> io::Result<u32> {
                let own = self.before().cfg.ttl;
                Ok(if own == 0 { self.host.shared().lock().stack.config().hop_limit } else { own }.into())
            }

            /// The codepoint of differentiated services of its packets, from the SYN on (RFC 2474 3), 0 to 63.
            pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
                self.before().cfg.dscp = options::codepoint(dscp)?;
                Ok(())
            }

            /// The codepoint of differentiated services of its packets.
            pub fn dscp(&self) -> io::Result<u8> {
                Ok(self.before().cfg.dscp)
            }

            /// The same in an octet whose last two bits are ECN's, and not taken (`IP_TOS`).
            pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
                self.set_dscp(options::of_octet(tos)?)
            }

            /// The codepoint in an octet.
            pub fn tos_v4(&self) -> io::Result<u32> {
                Ok(u32::from(self.dscp()?) << 2)
            }

            /// The same under its name for IPv6 (`IPV6_TCLASS`).
            pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
                self.set_tos_v4(tclass)
            }

            /// The codepoint in an octet.
            pub fn tclass_v6(&self) -> io::Result<u32> {
                self.tos_v4()
            }

            /// The congestion control, by name. [`io::ErrorKind::InvalidInput`] tells what there is.
            pub fn set_congestion(&self, name: &str) -> io::Result<()> {
                self.set("congestion", name)
            }

            /// The size of the send buffer in octets, from 2,048 on.
            pub fn set_send_buffer_size(&self, octets: u32) -> io::Result<()> {
                let n = options::buffer(octets as usize);
                let c = &mut self.before().cfg;
                (c.snd_buf_initial, c.snd_buf_max) = (n, n);
                Ok(())
            }

            /// The size up to which the send buffer grows.
            pub fn send_buffer_size(&self) -> io::Result<u32> {
                Ok(self.before().cfg.snd_buf_max)
            }

            /// The size of the receive buffer in octets, from 2,048 on. The scale of the window follows it (RFC 7323 2.3).
            pub fn set_recv_buffer_size(&self, octets: u32) -> io::Result<()> {
                let n = options::buffer(octets as usize);
                let c = &mut self.before().cfg;
                (c.rcv_buf_initial, c.rcv_buf_max) = (n, n);
                Ok(())
            }

            /// The size up to which the receive buffer grows.
            pub fn recv_buffer_size(&self) -> io::Result<u32> {
                Ok(self.before().cfg.rcv_buf_max)
            }

            /// See `TcpStream::set_linger`.
            pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
                self.before().linger = linger;
                Ok(())
            }

            /// Dropping the stream resets the connection.
            pub fn set_zero_linger(&self) -> io::Result<()> {
                self.set_linger(Some(Duration::ZERO))
            }

            /// What was set with `set_linger`.
            pub fn linger(&self) -> io::Result<Option<Duration>> {
                Ok(self.before().linger)
            }

            /// Says nothing here: connections that are over never keep a port from being listened on.
            pub fn set_reuseaddr(&self, on: bool) -> io::Result<()> {
                self.before().reuseaddr = on;
                Ok(())
            }

            /// What was set with `set_reuseaddr`.
            pub fn reuseaddr(&self) -> io::Result<bool> {
                Ok(self.before().reuseaddr)
            }

            /// Nothing has gone wrong with a socket that is not open.
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                Ok(None)
            }

            /// Begins to connect.
            fn begin(&self, to: SocketAddr) -> io::Result<Stream> {
                self.is_ours(to)?;
                let before = self.before();
                let stream = Stream::begin(&self.host, before.local, to, &before.cfg)?;
                stream.set_linger(before.linger);
                Ok(stream)
            }

            /// Opens a port.
            fn open(&self, backlog: u32) -> io::Result<Listener> {
                let on = self.local_addr()?;
                Listener::open(&self.host, on, backlog as usize, &self.before().cfg)
            }
        }
    };
}
pub(crate) use tcp_socket;
