//! Active opens: OPEN calls that name the remote socket (RFC 9293 3.9.1.1).

use super::{ConnId, Entry, Key, ListenerId, Slot};
use crate::cx::tcp_cx;
use crate::stack::Stack;
use core::net::SocketAddr;
use synfin_tcp::{Connection, Events, Instant, Probe, State, TcpConfig, Trigger};

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectError {
    /// No route to the destination.
    NoRoute,
    /// The source address is not ours.
    AddressNotAvailable,
    /// The four-tuple is in use.
    AddressInUse,
    /// All ephemeral ports are in use for this destination.
    NoPort,
    /// The table of connections is full, or that of settings.
    TableFull,
    /// The destination is no host, or its port is zero.
    InvalidDestination,
}

/// How an active open comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Open,
    /// With text in hand.
    WithText,
    FromListen,
}

impl Stack {
    /// Opens a connection. `local` may leave address and port open (RFC 9293 3.9.1.1, MUST-43 to MUST-45).
    pub fn tcp_connect<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        cfg: &TcpConfig,
    ) -> Result<ConnId, ConnectError> {
        self.connect(now, probe, local, remote, cfg, How::Open)
    }

    /// Opens a connection with text in hand, by Fast Open if the setting `fastopen` says so: as much of `data` as the SYN
    /// carries is taken, and how much is told. It is none if there is no cookie yet, for then the SYN asks for one; what was not
    /// taken is written when the connection is open. The server may see the text of a SYN twice (RFC 7413 6.1).
    //= RFC 7413 2 (a)
    pub fn tcp_connect_with<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        cfg: &TcpConfig,
        data: &[u8],
    ) -> Result<(ConnId, usize), ConnectError> {
        let id = self.connect(now, probe, local, remote, cfg, How::WithText)?;
        Ok((id, self.tcp_send(now, probe, id, data).unwrap_or(0)))
    }

    /// SEND on a listening socket that names the remote side (RFC 9293 3.10.2, LISTEN): the passive open becomes an
    /// active one, from the listener's port. The listener is gone, also if this fails.
    pub fn tcp_connect_from_listener<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        id: ListenerId,
        remote: SocketAddr,
    ) -> Result<ConnId, ConnectError> {
        let l = self.tcp.listeners.get((id.0, id.1)).ok_or(ConnectError::AddressNotAvailable)?;
        let (local, cfg) = (l.local, self.configs[l.cfg].clone());
        self.tcp_close_listener(now, probe, id);
        self.connect(now, probe, Some(local), remote, &cfg, How::FromListen)
    }

    fn connect<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        cfg: &TcpConfig,
        how: How,
    ) -> Result<ConnId, ConnectError> {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        //= RFC 9293 3.9.1.1 MUST-46
        if remote.port() == 0 || remote.ip().is_unspecified() || !self.is_one_host(remote.ip()) {
            return Err(ConnectError::InvalidDestination);
        }
        if self.tcp.conns.len() >= self.cfg.max_connections {
            return Err(ConnectError::TableFull);
        }
        let route = self.route(remote.ip()).ok_or(ConnectError::NoRoute)?;
        let addr = match local {
            //= RFC 9293 3.9.1.1 MUST-43
            Some(l) if !l.ip().is_unspecified() => {
                if !self.has_address(l.ip()) || l.is_ipv4() != remote.is_ipv4() {
                    return Err(ConnectError::AddressNotAvailable);
                }
                l.ip()
            }
            //= RFC 9293 3.9.1.1 MUST-44
            _ => self.source_for(remote.ip(), now).ok_or(ConnectError::NoRoute)?,
        };
        let port = match local.map_or(0, |l| l.port()) {
            0 => self.ephemeral_port(addr, remote).ok_or(ConnectError::NoPort)?,
            p => p,
        };
        let local = SocketAddr::new(addr, port);
        let key = Key::new(local, remote);
        if self.tcp.find(&key).is_some() || local == remote {
            return Err(ConnectError::AddressInUse);
        }
        let cfg = self.configs.intern(cfg).ok_or(ConnectError::TableFull)?;
        let open = self.open_params(now, &key, cfg, route.link);
        // The engine is opened once to know its number, so that events carry it.
        let entry = Entry {
            conn: Connection::open(&mut tcp_cx!(self, cfg, now, &mut ()), open),
            key,
            tuple: key.tuple(),
            cfg,
            link: route.link,
            timer: None,
            ready: false,
            owned: true,
            accepting: None,
            indexed: true,
            events: Events::default(),
            notified: false,
        };
        let (i, g) = self.tcp.conns.insert(entry);
        self.tcp.link_in(&key, Slot::Conn(i));
        self.try_fast_open(now, i, &open, how == How::WithText);
        probe.focus(u64::from(Slot::Conn(i).token()));
        let (mut state, trigger) =
            if how == How::FromListen { (State::Listen, Trigger::Send) } else { (State::Closed, Trigger::ActiveOpen) };
        tcp_cx!(self, cfg, now, probe).transition(&mut state, trigger);
        self.after_input(now, i);
        Ok(ConnId(i, g))
    }
}
