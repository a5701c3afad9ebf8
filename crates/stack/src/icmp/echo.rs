//! Echo sockets (RFC 792, RFC 4443 4.1 and 4.2): requests go out under an identifier of the socket's own, and replies and
//! errors about them come back to it. What waits for the user is bounded; what does not fit is dropped and counted.

use crate::ip::input::Arrival;
use crate::slab::Numbered;
use crate::stack::{SocketEvent, Stack};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use synfin_tcp::Instant;
use synfin_wire::frame::quoted_echo;
use synfin_wire::icmp::{HEADER_LEN, Message, Unreachable};
use synfin_wire::ipv4;

/// The number of an echo socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EchoId(pub(crate) u32, pub(crate) u32);

crate::tcp::numbered!(EchoId);

/// Why a call on an echo socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoError {
    /// No such socket.
    NotOpen,
    /// No identifier is free.
    NoIdentifier,
    /// Nothing has come.
    WouldBlock,
    /// The request is longer than any packet.
    TooLong,
    /// No route, no address of that version, or no room on the way out.
    Unreachable,
}

/// What has come about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoAnswer {
    /// Who sent it: the destination, or whoever reports an error.
    pub from: IpAddr,
    /// The sequence number of the request.
    pub seq: u16,
    /// When it came.
    pub at: Instant,
    /// The reply, or the error.
    pub what: EchoOutcome,
}

/// A reply, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EchoOutcome {
    /// The reply: its hop limit as it arrived, and its data.
    Reply {
        /// What was left of its hop limit.
        hop_limit: u8,
        /// Its data.
        data: Vec<u8>,
    },
    /// The destination cannot be reached.
    Unreachable(Unreachable),
    /// The request was too big for the path: the MTU of the next hop, 0 if it was not told.
    TooBig(u32),
    /// The hop limit was used up (0), or fragments did not all come in time (1).
    TimeExceeded(u8),
    /// A header field is wrong.
    ParameterProblem,
}

#[derive(Debug)]
struct Socket {
    ident: u16,
    queue: VecDeque<EchoAnswer>,
    held: usize,
    drops: u64,
}

/// The sockets, and who has which identifier.
#[derive(Debug, Default)]
pub(crate) struct EchoSockets {
    sockets: Numbered<Socket>,
    idents: BTreeMap<u16, u32>,
}

/// What an answer is charged beside its data.
const OVERHEAD: usize = 64;

impl Stack {
    /// Opens a socket, under an identifier that nobody guesses.
    pub fn echo_open(&mut self) -> Result<EchoId, EchoError> {
        let start = self.rng.below(1 << 16);
        let free = |i: &u16| !self.echo.idents.contains_key(i);
        let ident = (0..1u32 << 16).map(|n| (start + n) as u16).find(free).ok_or(EchoError::NoIdentifier)?;
        let socket = Socket { ident, queue: VecDeque::new(), held: 0, drops: 0 };
        let (i, g) = self.echo.sockets.insert(socket);
        self.echo.idents.insert(ident, i);
        Ok(EchoId(i, g))
    }

    /// Closes a socket.
    pub fn echo_close(&mut self, id: EchoId) {
        let Some(s) = self.echo.sockets.get((id.0, id.1)) else { return };
        let ident = s.ident;
        self.echo.sockets.remove(id.0);
        self.echo.idents.remove(&ident);
    }

    /// The identifier in a socket's requests.
    pub fn echo_ident(&self, id: EchoId) -> Option<u16> {
        self.echo.sockets.get((id.0, id.1)).map(|s| s.ident)
    }

    /// Answers that did not fit.
    pub fn echo_drops(&self, id: EchoId) -> u64 {
        self.echo.sockets.get((id.0, id.1)).map_or(0, |s| s.drops)
    }

    /// Sends a request to `dst`, in fragments if it must; `hop_limit`: other than the host's.
    pub fn echo_send(
        &mut self,
        now: Instant,
        id: EchoId,
        dst: IpAddr,
        seq: u16,
        hop_limit: Option<u8>,
        data: &[u8],
    ) -> Result<(), EchoError> {
        let ident = self.echo_ident(id).ok_or(EchoError::NotOpen)?;
        // IPv6 does not count its own header.
        let head = if dst.is_ipv4() { ipv4::HEADER_LEN } else { 0 } + HEADER_LEN;
        if head + data.len() > 65_535 {
            return Err(EchoError::TooLong);
        }
        let src = self.source_for(dst, now).filter(|s| s.is_ipv4() == dst.is_ipv4()).ok_or(EchoError::Unreachable)?;
        let hops = hop_limit.unwrap_or(self.cfg.hop_limit);
        let request = Message::EchoRequest(ident, seq, data);
        if self.send_icmp_as_far_as(now, src, dst, hops, &request) { Ok(()) } else { Err(EchoError::Unreachable) }
    }

    /// Takes an answer.
    pub fn echo_receive(&mut self, id: EchoId) -> Result<EchoAnswer, EchoError> {
        let s = self.echo.sockets.get_mut((id.0, id.1)).ok_or(EchoError::NotOpen)?;
        let a = s.queue.pop_front().ok_or(EchoError::WouldBlock)?;
        s.held -= a.charge();
        Ok(a)
    }

    pub(crate) fn echo_reply(&mut self, now: Instant, at: &Arrival, ident: u16, seq: u16, data: &[u8]) {
        let what = EchoOutcome::Reply { hop_limit: at.hop_limit, data: data.to_vec() };
        if !self.echo_deliver(ident, EchoAnswer { from: at.src, seq, at: now, what }) {
            self.mib.icmp_in_ignored += 1;
        }
    }

    /// An error about a request; false if it is about none.
    pub(crate) fn echo_error(&mut self, now: Instant, at: &Arrival, m: &Message<'_>) -> bool {
        let what = match *m {
            Message::Unreachable(why, _) => EchoOutcome::Unreachable(why),
            Message::PacketTooBig(mtu, _) => EchoOutcome::TooBig(mtu),
            Message::TimeExceeded(code, _) => EchoOutcome::TimeExceeded(code),
            Message::ParameterProblem(..) => EchoOutcome::ParameterProblem,
            _ => return false,
        };
        let Some(Ok((src, _, ident, seq))) = m.quoted().map(quoted_echo) else { return false };
        // An error about what we never sent, or whose sender is gone.
        if !self.has_address(src) || !self.echo_deliver(ident, EchoAnswer { from: at.src, seq, at: now, what }) {
            self.mib.icmp_in_ignored += 1;
        }
        true
    }

    /// Hands an answer to the socket with the identifier; false if there is none.
    fn echo_deliver(&mut self, ident: u16, a: EchoAnswer) -> bool {
        let Some(i) = self.echo.idents.get(&ident).copied() else { return false };
        let (limit, generation) = (self.cfg.udp_receive_buffer, self.echo.sockets.generation(i));
        let Some(s) = self.echo.sockets.at_mut(i) else { return false };
        if s.held + a.charge() > limit {
            s.drops += 1;
            return true;
        }
        s.held += a.charge();
        s.queue.push_back(a);
        self.events.push_back(SocketEvent::Echo(EchoId(i, generation)));
        true
    }
}

impl EchoAnswer {
    fn charge(&self) -> usize {
        OVERHEAD
            + match &self.what {
                EchoOutcome::Reply { data, .. } => data.len(),
                _ => 0,
            }
    }
}
