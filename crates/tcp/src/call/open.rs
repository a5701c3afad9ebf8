//! OPEN (RFC 9293 3.10.1), the active one. The passive one is the stack's listener.

use crate::arrives::syn_sent::SynSent;
use crate::connection::{Connection, Phase};
use crate::cx::Cx;
use crate::negotiate::Offer;
use crate::probe::Probe;
use crate::state::{State, Trigger};
use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// What an active OPEN needs to know of the path.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// ISS.
    pub iss: SeqNum,
    /// What our SYN offers.
    pub offer: Offer,
    /// The MSS taken if the peer announces none: 536 for IPv4, 1220 for IPv6 (RFC 9293 3.7.1, MUST-15).
    pub default_mss: u16,
    /// The most text a packet of the path holds beside headers without options.
    pub mss_limit: u16,
}

impl Connection {
    /// Opens actively: SYN-SENT, with a SYN to be sent.
    pub fn open<P: Probe>(cx: &mut Cx<'_, P>, open: Open) -> Connection {
        cx.mib.active_opens += 1;
        let mut state = State::Closed;
        cx.transition(&mut state, Trigger::ActiveOpen);
        Connection::syn_sent(cx, open)
    }

    fn syn_sent<P: Probe>(cx: &Cx<'_, P>, open: Open) -> Connection {
        let mut c = Connection::in_phase(Phase::SynSent(Box::new(SynSent::new(cx, open))));
        c.opened = cx.now;
        c.arm_patience(cx.cfg);
        c
    }

    /// SEND on a listening socket that names the remote side: the passive open becomes an active one.
    pub fn open_from_listen<P: Probe>(cx: &mut Cx<'_, P>, open: Open) -> Connection {
        cx.mib.active_opens += 1;
        let mut state = State::Listen;
        cx.transition(&mut state, Trigger::Send);
        Connection::syn_sent(cx, open)
    }
}
