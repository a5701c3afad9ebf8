//! Options of a socket before it is open.

use std::net::SocketAddr;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;

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

            /// Changes any of its settings. [`io::ErrorKind::InvalidInput`] if one is out of its range or they contradict each other
            /// ([`TcpConfig::check`]): then nothing is changed. The change is made under the socket's lock, so `change` must not call
            /// it.
            pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
                let mut before = self.before();
                before.cfg = options::changed(&before.cfg, change)?;
                Ok(())
            }

            /// Sends small segments at once (RFC 9293 3.7.4).
            pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
                self.configure(|c| c.nodelay = on)
            }

            /// Whether small segments are sent at once.
            pub fn nodelay(&self) -> io::Result<bool> {
                Ok(self.before().cfg.nodelay)
            }

            /// Probes whether a silent peer is still there (`SO_KEEPALIVE`; RFC 9293 3.8.4).
            pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
                self.configure(|c| c.keepalive = on)
            }

            /// Whether a silent peer is probed.
            pub fn keepalive(&self) -> io::Result<bool> {
                Ok(self.before().cfg.keepalive)
            }

            /// Probes a silent peer, and says when and how often; what is `None` stays as it is.
            pub fn set_keepalive_times(&self, keepalive: Keepalive) -> io::Result<()> {
                self.configure(|c| keepalive.apply(c))
            }

            /// When and how often a silent peer is probed, if it is.
            pub fn keepalive_times(&self) -> io::Result<Keepalive> {
                Ok(Keepalive::of(&self.before().cfg))
            }

            /// Gives up when what was sent, or the SYN, stays unacknowledged for this long, rounded up to milliseconds;
            /// `None` leaves it to the retries, and zero is refused.
            pub fn set_user_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                let t = options::patience(t)?;
                self.configure(|c| c.user_timeout = t)
            }

            /// After which time it gives up.
            pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(Some(self.before().cfg.user_timeout).filter(|t| !t.is_zero()))
            }

            /// Gives up connecting after this, whatever the retries, rounded up to milliseconds; `None` leaves it to them, and zero
            /// is refused.
            pub fn set_connect_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                let t = options::patience(t)?;
                self.configure(|c| c.connect_timeout = t)
            }

            /// After which time it gives up connecting, whatever the retries.
            pub fn connect_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(Some(self.before().cfg.connect_timeout).filter(|t| !t.is_zero()))
            }

            /// How often an unanswered SYN is sent again (`TCP_SYNCNT`), up to 127.
            pub fn set_syn_retries(&self, n: u8) -> io::Result<()> {
                self.configure(|c| c.syn_retries = n)
            }

            /// How often an unanswered SYN is sent again.
            pub fn syn_retries(&self) -> io::Result<u8> {
                Ok(self.before().cfg.syn_retries)
            }

            /// How many segments are acknowledged at once when the connection begins (`TCP_QUICKACK` is what it is later).
            pub fn set_quick_acks(&self, n: u8) -> io::Result<()> {
                self.configure(|c| c.quick_acks = n)
            }

            /// How many segments are acknowledged at once when the connection begins.
            pub fn quick_acks(&self) -> io::Result<u8> {
                Ok(self.before().cfg.quick_acks)
            }

            /// A connection of a listener is accepted when text has come, or after this time (`TCP_DEFER_ACCEPT`), up to an hour;
            /// zero: when its handshake is complete.
            pub fn set_defer_accept(&self, t: Duration) -> io::Result<()> {
                self.configure(|c| c.defer_accept = options::millis(t))
            }

            /// For how long a connection without text is not accepted.
            pub fn defer_accept(&self) -> io::Result<Duration> {
                Ok(self.before().cfg.defer_accept)
            }

            /// Octets from which on it counts as readable (`SO_RCVLOWAT`), at least 1.
            pub fn set_rcv_lowat(&self, octets: u32) -> io::Result<()> {
                self.configure(|c| c.rcv_lowat = octets)
            }

            /// Octets of free room from which on it counts as writable (`SO_SNDLOWAT`), at least 1.
            pub fn set_snd_lowat(&self, octets: u32) -> io::Result<()> {
                self.configure(|c| c.snd_lowat = octets)
            }

            /// The hop limit of its packets, 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                let ttl = options::hops(ttl)?;
                self.configure(|c| c.ttl = ttl)
            }

            /// The hop limit of its packets.
            pub fn ttl(&self) -> io::Result<u32> {
                let own = self.before().cfg.ttl;
                Ok(if own == 0 { self.host.shared().lock().stack.config().hop_limit } else { own }.into())
            }

            /// The codepoint of differentiated services of its packets, from the SYN on (RFC 2474 3), 0 to 63.
            pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
                let dscp = options::codepoint(dscp)?;
                self.configure(|c| c.dscp = dscp)
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
                let algorithm = options::algorithm(name)?;
                self.configure(|c| c.congestion = algorithm)
            }

            /// The SYN carries what is written first (RFC 7413), once the server has given a cookie (`TCP_FASTOPEN_CONNECT`):
            /// connecting then returns at once, and what went wrong is told by the calls after it. The server may see that text twice
            /// (RFC 7413 6.1). Off by default.
            pub fn set_fast_open_connect(&self, on: bool) -> io::Result<()> {
                self.configure(|c| options::fast_open_connect(c, on))
            }

            /// Whether the SYN may carry what is written first.
            pub fn fast_open_connect(&self) -> io::Result<bool> {
                Ok(self.before().cfg.fastopen_connect)
            }

            /// See `TcpListener::set_fast_open_queue`.
            pub fn set_fast_open_queue(&self, most: u16) -> io::Result<()> {
                self.configure(|c| options::fast_open_queue(c, most))
            }

            /// From how many at once a listener takes the text of a SYN.
            pub fn fast_open_queue(&self) -> io::Result<u16> {
                Ok(options::fast_open_queue_of(&self.before().cfg))
            }

            /// Fast Open without cookies, on either side (`TCP_FASTOPEN_NO_COOKIE`): where everybody is known, for without them anybody
            /// can put text into a server in the name of others (RFC 7413 4.1.2).
            pub fn set_fast_open_no_cookie(&self, on: bool) -> io::Result<()> {
                self.configure(|c| c.fastopen_no_cookie = on)
            }

            fn buffers(
                &self,
                set: fn(&mut TcpConfig, Option<usize>, &TcpConfig),
                octets: Option<usize>,
            ) -> io::Result<()> {
                let host = self.host.tcp_defaults();
                self.configure(|c| set(c, octets, &host))
            }

            /// The size of the send buffer in octets, from 2,048 on; automatic again by
            /// [`set_send_buffer_auto`](Self::set_send_buffer_auto).
            pub fn set_send_buffer_size(&self, octets: u32) -> io::Result<()> {
                self.buffers(options::send_buffer, Some(octets as usize))
            }

            /// See `TcpStream::set_send_buffer_auto`.
            pub fn set_send_buffer_auto(&self) -> io::Result<()> {
                self.buffers(options::send_buffer, None)
            }

            /// The size up to which the send buffer grows.
            pub fn send_buffer_size(&self) -> io::Result<u32> {
                Ok(self.before().cfg.snd_buf_max)
            }

            /// The size of the receive buffer in octets, from 2,048 on; automatic again by
            /// [`set_recv_buffer_auto`](Self::set_recv_buffer_auto). The scale of the window follows it (RFC 7323 2.3).
            pub fn set_recv_buffer_size(&self, octets: u32) -> io::Result<()> {
                self.buffers(options::recv_buffer, Some(octets as usize))
            }

            /// See `TcpStream::set_recv_buffer_auto`; the scale of the window follows the greatest size.
            pub fn set_recv_buffer_auto(&self) -> io::Result<()> {
                self.buffers(options::recv_buffer, None)
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
