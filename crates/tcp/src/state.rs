//! The connection states and the one table of transitions between them (RFC 9293 3.3.2, figure 5 and its notes).
//!
//! Everything that moves a state asks [`State::next`]; the diagram, the snapshot and the tracer read the same
//! table, so what is drawn is what runs.

use core::fmt;

/// A connection state, in the RFC's spelling when printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum State {
    /// No connection at all.
    #[default]
    Closed,
    /// Waiting for a connection request from any remote peer.
    Listen,
    /// Waiting for a matching request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of our request, having received and sent one.
    SynReceived,
    /// Open: data is delivered.
    Established,
    /// Waiting for the peer's FIN, or for the acknowledgment of ours.
    FinWait1,
    /// Waiting for the peer's FIN.
    FinWait2,
    /// Waiting for the local user to close.
    CloseWait,
    /// Waiting for the acknowledgment of our FIN, the peer's having come.
    Closing,
    /// Waiting for the acknowledgment of our FIN, sent after the peer's.
    LastAck,
    /// Waiting for the last segments to die out.
    TimeWait,
}

/// What moves a connection from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// OPEN call, passive.
    PassiveOpen,
    /// OPEN call, active.
    ActiveOpen,
    /// SEND call on a listening socket that names the remote side.
    Send,
    /// CLOSE call.
    Close,
    /// ABORT call.
    Abort,
    /// A SYN arrives.
    RcvSyn,
    /// A SYN+ACK arrives.
    RcvSynAck,
    /// Our SYN is acknowledged.
    RcvAckOfSyn,
    /// A FIN arrives.
    RcvFin,
    /// Our FIN is acknowledged.
    RcvAckOfFin,
    /// A FIN arrives that acknowledges ours as well (note 2).
    RcvFinAckOfFin,
    /// A RST arrives, passive side of a handshake (note 1).
    RcvRstPassive,
    /// A RST arrives, or a hard ICMP error.
    RcvRst,
    /// Retransmissions, keepalive or user timeout ran out, or a half-closed wait did.
    Timeout,
    /// 2 MSL are over.
    Timeout2Msl,
}

/// One arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From.
    pub from: State,
    /// By.
    pub trigger: Trigger,
    /// To.
    pub to: State,
    /// What is done on the way.
    pub action: &'static str,
    /// Where it is written: an arrow of figure 5, one of its notes, or a section.
    pub source: &'static str,
}

macro_rules! transitions {
    ($($from:ident, $trigger:ident => $to:ident, $action:literal, $source:literal;)*) => {
        /// Every transition there is.
        pub const TRANSITIONS: &[Transition] = &[
            $(Transition { from: State::$from, trigger: Trigger::$trigger, to: State::$to, action: $action, source: $source }),*
        ];

        impl State {
            /// Where `trigger` leads from here, if it leads anywhere.
            pub const fn next(self, trigger: Trigger) -> Option<State> {
                match (self, trigger) {
                    $((State::$from, Trigger::$trigger) => Some(State::$to),)*
                    _ => None,
                }
            }
        }
    };
}

transitions! {
    Closed, PassiveOpen => Listen, "create TCB", "figure 5";
    Closed, ActiveOpen => SynSent, "create TCB, snd SYN", "figure 5";
    Listen, Close => Closed, "delete TCB", "figure 5";
    Listen, Send => SynSent, "snd SYN", "figure 5";
    Listen, RcvSyn => SynReceived, "snd SYN,ACK", "figure 5";
    SynSent, Close => Closed, "delete TCB", "figure 5";
    SynSent, RcvSyn => SynReceived, "snd SYN,ACK", "figure 5";
    SynSent, RcvSynAck => Established, "snd ACK", "figure 5";
    SynReceived, RcvAckOfSyn => Established, "", "figure 5";
    SynReceived, Close => FinWait1, "snd FIN", "figure 5";
    SynReceived, RcvRstPassive => Listen, "delete TCB", "note 1";
    SynReceived, RcvSyn => Listen, "delete TCB", "3.10.7.4";
    Established, Close => FinWait1, "snd FIN", "figure 5";
    Established, RcvFin => CloseWait, "snd ACK", "figure 5";
    FinWait1, RcvAckOfFin => FinWait2, "", "figure 5";
    FinWait1, RcvFin => Closing, "snd ACK", "figure 5";
    FinWait1, RcvFinAckOfFin => TimeWait, "snd ACK", "note 2";
    FinWait2, RcvFin => TimeWait, "snd ACK", "figure 5";
    CloseWait, Close => LastAck, "snd FIN", "figure 5";
    Closing, RcvAckOfFin => TimeWait, "", "figure 5";
    LastAck, RcvAckOfFin => Closed, "delete TCB", "figure 5";
    TimeWait, Timeout2Msl => Closed, "delete TCB", "figure 5";
    SynSent, RcvRst => Closed, "delete TCB", "note 3";
    SynReceived, RcvRst => Closed, "delete TCB", "note 3";
    Established, RcvRst => Closed, "delete TCB", "note 3";
    FinWait1, RcvRst => Closed, "delete TCB", "note 3";
    FinWait2, RcvRst => Closed, "delete TCB", "note 3";
    CloseWait, RcvRst => Closed, "delete TCB", "note 3";
    Closing, RcvRst => Closed, "delete TCB", "note 3";
    LastAck, RcvRst => Closed, "delete TCB", "note 3";
    TimeWait, RcvRst => Closed, "delete TCB", "note 3; off by default, RFC 1337";
    SynSent, Abort => Closed, "delete TCB", "3.10.5";
    SynReceived, Abort => Closed, "snd RST", "3.10.5";
    Established, Abort => Closed, "snd RST", "3.10.5";
    FinWait1, Abort => Closed, "snd RST", "3.10.5";
    FinWait2, Abort => Closed, "snd RST", "3.10.5";
    CloseWait, Abort => Closed, "snd RST", "3.10.5";
    Closing, Abort => Closed, "delete TCB", "3.10.5";
    LastAck, Abort => Closed, "delete TCB", "3.10.5";
    SynSent, Timeout => Closed, "delete TCB", "3.10.8";
    SynReceived, Timeout => Closed, "delete TCB", "3.10.8";
    Established, Timeout => Closed, "delete TCB", "3.10.8";
    FinWait1, Timeout => Closed, "delete TCB", "3.10.8";
    FinWait2, Timeout => Closed, "delete TCB", "3.10.8";
    CloseWait, Timeout => Closed, "delete TCB", "3.10.8";
    Closing, Timeout => Closed, "delete TCB", "3.10.8";
    LastAck, Timeout => Closed, "delete TCB", "3.10.8";
}

impl State {
    /// All states, in the order of the RFC's list.
    pub const ALL: [State; 11] = [
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
        State::Closed,
    ];

    /// The RFC's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// Whether our FIN has been sent or queued in this state.
    pub const fn we_closed(self) -> bool {
        matches!(self, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait)
    }

    /// Whether the peer's FIN has been received in this state.
    pub const fn peer_closed(self) -> bool {
        matches!(self, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
    }

    /// Whether both ends have agreed on sequence numbers.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Trigger {
    /// The words of figure 5.
    pub const fn name(self) -> &'static str {
        match self {
            Trigger::PassiveOpen => "passive OPEN",
            Trigger::ActiveOpen => "active OPEN",
            Trigger::Send => "SEND",
            Trigger::Close => "CLOSE",
            Trigger::Abort => "ABORT",
            Trigger::RcvSyn => "rcv SYN",
            Trigger::RcvSynAck => "rcv SYN,ACK",
            Trigger::RcvAckOfSyn => "rcv ACK of SYN",
            Trigger::RcvFin => "rcv FIN",
            Trigger::RcvAckOfFin => "rcv ACK of FIN",
            Trigger::RcvFinAckOfFin => "rcv FIN, ACK of FIN",
            Trigger::RcvRstPassive => "rcv RST (passive OPEN)",
            Trigger::RcvRst => "rcv RST",
            Trigger::Timeout => "timeout",
            Trigger::Timeout2Msl => "timeout=2MSL",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_two_arrows_for_one_cause_and_reaches_every_state() {
        for (i, t) in TRANSITIONS.iter().enumerate() {
            assert_eq!(t.from.next(t.trigger), Some(t.to));
            assert!(!TRANSITIONS[..i].iter().any(|o| o.from == t.from && o.trigger == t.trigger), "{t:?}");
        }
        for s in State::ALL {
            assert!(TRANSITIONS.iter().any(|t| t.to == s), "{s} is never entered");
            assert!(TRANSITIONS.iter().any(|t| t.from == s), "{s} is never left");
        }
    }

    #[test]
    fn the_fins_and_the_states_agree() {
        for t in TRANSITIONS {
            if t.to.is_synchronized() && t.from.is_synchronized() {
                assert!(t.to.we_closed() >= t.from.we_closed(), "a FIN is not taken back: {t:?}");
                assert!(t.to.peer_closed() >= t.from.peer_closed(), "a FIN is not taken back: {t:?}");
            }
        }
    }
}
