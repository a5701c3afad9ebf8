//! Options of a connection.

/// The options of a stream, for a type whose `stream()` is a [`super::Stream`].
macro_rules! stream_options {
    ($t:ty) => {
        impl $t {
            /// Changes any of its settings. [`io::ErrorKind::InvalidInput`] if one is out of its range or they contradict each other
            /// ([`TcpConfig::check`]), [`io::ErrorKind::OutOfMemory`] if the host's table of settings is full,
            /// [`io::ErrorKind::NotConnected`] if the host has forgotten the connection: then nothing is changed. The change is
            /// made under the host's lock, so `change` must not call it.
            pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
                self.stream().configure(change)
            }

            /// Sends small segments at once (`TCP_NODELAY`; RFC 9293 3.7.4).
            pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
                self.configure(|c| c.nodelay = on)
            }

            /// Whether small segments are sent at once.
            pub fn nodelay(&self) -> io::Result<bool> {
                Ok(self.stream().config(|c| c.nodelay))
            }

            /// The hop limit of its packets (`IP_TTL`; RFC 9293 3.9.2), 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                let ttl = $crate::socket::options::hops(ttl)?;
                self.configure(|c| c.ttl = ttl)
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
                self.configure(|c| c.dscp = dscp)
            }

            /// The codepoint of differentiated services of its packets.
            pub fn dscp(&self) -> io::Result<u8> {
                Ok(self.stream().config(|c| c.dscp))
            }

            /// Probes whether a silent peer is still there (`SO_KEEPALIVE`; RFC 9293 3.8.4), as `TcpSocket` has it before.
            pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
                self.configure(|c| c.keepalive = on)
            }

            /// Whether a silent peer is probed.
            pub fn keepalive(&self) -> io::Result<bool> {
                Ok(self.stream().config(|c| c.keepalive))
            }

            /// Probes a silent peer, and says when and how often; what is `None` stays as it is.
            pub fn set_keepalive_times(&self, keepalive: Keepalive) -> io::Result<()> {
                self.configure(|c| keepalive.apply(c))
            }

            /// When and how often a silent peer is probed, if it is.
            pub fn keepalive_times(&self) -> io::Result<Keepalive> {
                Ok(self.stream().config(Keepalive::of))
            }

            /// Gives up when what was sent stays unacknowledged for this long (`TCP_USER_TIMEOUT`, in milliseconds; RFC 9293
            /// 3.9.1.1), rounded up to milliseconds; `None` leaves it to the retries, and zero is refused.
            pub fn set_user_timeout(&self, t: Option<Duration>) -> io::Result<()> {
                let t = $crate::socket::options::patience(t)?;
                self.configure(|c| c.user_timeout = t)
            }

            /// After which time it gives up.
            pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.stream().config(|c| Some(c.user_timeout).filter(|t| !t.is_zero())))
            }

            /// The congestion control, by name (`TCP_CONGESTION`). [`io::ErrorKind::InvalidInput`] tells what there is.
            pub fn set_congestion(&self, name: &str) -> io::Result<()> {
                let algorithm = $crate::socket::options::algorithm(name)?;
                self.configure(|c| c.congestion = algorithm)?;
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

            /// Acknowledges what comes from now on at once, though not for ever: 255 segments, then as the setting `quick-acks`
            /// has it; or (`false`) as late as RFC 9293 3.8.6.3 allows (`TCP_QUICKACK`).
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
                self.configure(|c| c.cork = on)
            }

            /// Whether text that does not fill a segment waits.
            pub fn cork(&self) -> io::Result<bool> {
                Ok(self.stream().config(|c| c.cork))
            }

            /// Octets from which on it counts as readable (`SO_RCVLOWAT`), at least 1; at its end, or when its window is shut, fewer
            /// are enough.
            pub fn set_rcv_lowat(&self, octets: u32) -> io::Result<()> {
                self.configure(|c| c.rcv_lowat = octets)
            }

            /// Octets from which on it counts as readable.
            pub fn rcv_lowat(&self) -> io::Result<u32> {
                Ok(self.stream().config(|c| c.rcv_lowat))
            }

            /// Octets of free room in its send buffer from which on it counts as writable (`SO_SNDLOWAT`), at least 1; all of the
            /// buffer is always enough.
            pub fn set_snd_lowat(&self, octets: u32) -> io::Result<()> {
                self.configure(|c| c.snd_lowat = octets)
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

            /// The size of its send buffer in octets (`SO_SNDBUF`), from 2,048 on. See
            /// [`set_send_buffer_auto`](Self::set_send_buffer_auto).
            pub fn set_send_buffer_size(&self, octets: usize) -> io::Result<()> {
                self.stream().buffers($crate::socket::options::send_buffer, Some(octets))
            }

            /// The size of its send buffer follows the congestion window again, between the first and the greatest size that the host's
            /// settings say (the defaults, if the host's are fixed), as it does unless a size is set.
            pub fn set_send_buffer_auto(&self) -> io::Result<()> {
                self.stream().buffers($crate::socket::options::send_buffer, None)
            }

            /// The size of its receive buffer in octets (`SO_RCVBUF`), from 2,048 on. See
            /// [`set_recv_buffer_auto`](Self::set_recv_buffer_auto). Windows above 65,535 octets need the scale that was agreed on
            /// when it was opened: set it before (`TcpSocket`).
            pub fn set_recv_buffer_size(&self, octets: usize) -> io::Result<()> {
                self.stream().buffers($crate::socket::options::recv_buffer, Some(octets))
            }

            /// The size of its receive buffer follows what its user takes again, as
            /// [`set_send_buffer_auto`](Self::set_send_buffer_auto); the scale of its window stays what was agreed on when it was
            /// opened.
            pub fn set_recv_buffer_auto(&self) -> io::Result<()> {
                self.stream().buffers($crate::socket::options::recv_buffer, None)
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
