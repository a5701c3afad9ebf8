//! Options of a listener: of its connections from now on.

/// What both faces of a listener have alike.
macro_rules! listener_options {
    ($listener:ident) => {
        impl $listener {
            /// Its queues.
            pub fn status(&self) -> Option<ListenerStatus> {
                self.0.host.shared().lock().stack.tcp_listener_status(self.0.id)
            }

            /// Changes any of the settings of its connections from now on. Fails as that of a stream does;
            /// [`io::ErrorKind::NotConnected`] if the host was shut down, and the listener with it.
            pub fn configure(&self, change: impl FnOnce(&mut TcpConfig)) -> io::Result<()> {
                self.0.configure(change)
            }

            /// The hop limit of the packets of its connections from now on, 1 to 255.
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                let ttl = $crate::socket::options::hops(ttl)?;
                self.configure(|c| c.ttl = ttl)
            }

            /// The hop limit of the packets of its connections.
            pub fn ttl(&self) -> io::Result<u32> {
                Ok(self.0.ttl())
            }

            /// A connection is accepted when text has come, or after this time (`TCP_DEFER_ACCEPT`), up to an hour, rounded
            /// up to milliseconds; zero: when its handshake is complete. Of connections from now on.
            pub fn set_defer_accept(&self, t: Duration) -> io::Result<()> {
                let t = $crate::socket::options::millis(t);
                self.configure(|c| c.defer_accept = t)
            }

            /// For how long a connection without text is not accepted.
            pub fn defer_accept(&self) -> io::Result<Duration> {
                Ok(self.0.config(|c| c.defer_accept).unwrap_or_default())
            }

            /// The codepoint of differentiated services of the packets of its connections from now on (RFC 2474 3), 0 to 63: from the
            /// SYN,ACK on.
            pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
                let dscp = $crate::socket::options::codepoint(dscp)?;
                self.configure(|c| c.dscp = dscp)
            }

            /// The codepoint of differentiated services of the packets of its connections.
            pub fn dscp(&self) -> io::Result<u8> {
                Ok(self.0.config(|c| c.dscp).unwrap_or_default())
            }

            /// Takes the text of a SYN (RFC 7413) from so many at once whose handshake is not over (`TCP_FASTOPEN`); 0 takes none. The
            /// same text may come twice, in two connections (RFC 7413 6.1): for programs that bear that.
            pub fn set_fast_open_queue(&self, most: u16) -> io::Result<()> {
                self.configure(|c| $crate::socket::options::fast_open_queue(c, most))
            }

            /// From how many at once it takes the text of a SYN.
            pub fn fast_open_queue(&self) -> io::Result<u16> {
                Ok(self.0.config($crate::socket::options::fast_open_queue_of).unwrap_or_default())
            }
        }
    };
}
pub(crate) use listener_options;
