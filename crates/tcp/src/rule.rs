//! A name for every decision: why a segment was accepted or not ([`Rule`]), and why one was sent ([`SendReason`]).
//! Counters, tests and the tracer share these names; each cites the clause behind it.

use core::fmt;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// In words.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The clause behind it.
            pub const fn clause(self) -> &'static str {
                match self { $($name::$variant => concat!($($doc),+),)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

named! {
    /// Why an arriving segment was judged as it was.
    Rule {
        /// RFC 9293 3.10.7.4, fifth and seventh: in order, expected.
        InOrder = "in order",
        /// RFC 9293 3.10.7.4, fifth: acknowledges new data, carries none.
        PureAck = "acknowledgment",
        /// RFC 5681 2: a duplicate acknowledgment.
        DuplicateAck = "duplicate acknowledgment",
        /// RFC 9293 3.10.7.4, fifth: the send window was updated.
        WindowUpdate = "window update",
        /// RFC 9293 3.10.7.4, seventh: beyond a hole, kept for later.
        OutOfOrder = "out of order",
        /// RFC 9293 3.10.7.4, seventh: fills a hole.
        HoleFilled = "fills a hole",
        /// RFC 9293 3.10.7.4, eighth: the FIN is in order.
        FinInOrder = "FIN in order",
        /// RFC 9293 3.10.7.4, first: all of it was received before.
        OldDuplicate = "old duplicate",
        /// RFC 9293 3.10.7.4, first, but see the exceptions: all of it was received before, its acknowledgment is new and used.
        OldWithNews = "old duplicate that acknowledges",
        /// RFC 9293 3.10.7.4, first: outside the receive window.
        OutsideWindow = "outside the window",
        /// RFC 9293 3.10.7.4, first: the window is zero, only the acknowledgment is used.
        ZeroWindow = "the window is zero",
        /// RFC 9293 3.8.4: a keepalive probe is answered.
        KeepaliveProbe = "keepalive probe",
        /// RFC 7323 5.3 R1: the timestamp is older than the last one.
        Paws = "timestamp too old (PAWS)",
        /// RFC 7323 3.2: timestamps were negotiated and this segment has none.
        MissingTimestamp = "timestamp missing",
        /// RFC 5961 3.2: the RST is exactly at RCV.NXT.
        ResetExact = "RST at RCV.NXT",
        /// RFC 5961 3.2: the RST is elsewhere in the window: a challenge ACK is owed.
        ResetInWindow = "RST elsewhere in the window",
        /// RFC 5961 3.2: the RST is outside the window.
        ResetOutside = "RST outside the window",
        /// RFC 5961 4.2: a SYN in a synchronized state: a challenge ACK is owed.
        SynInSynchronized = "SYN in a synchronized state",
        /// RFC 9293 3.10.7.4, fifth: the ACK bit is off.
        NoAck = "no ACK bit",
        /// RFC 5961 5.2: acknowledges something not yet sent.
        AckOfUnsent = "acknowledges unsent data",
        /// RFC 5961 5.2: acknowledges less than SND.UNA - MAX.SND.WND.
        AckTooOld = "acknowledgment too old",
        /// RFC 9293 3.10.7.4, seventh: data after the peer's FIN.
        TextAfterFin = "text after FIN",
        /// RFC 9293 3.6.1, RFC 2525 2.17: data for a user who has closed.
        TextAfterClose = "text after close",
        /// RFC 9293 3.10.7.4, seventh: no room to keep what is out of order.
        NoRoom = "no room",
        /// Text in order, and no memory in the whole host; more than that waits for the user already.
        NoMemory = "no memory",
        /// RFC 9293 3.10.7.2: a SYN to a listening socket.
        SynToListen = "SYN to LISTEN",
        /// RFC 9293 3.10.7.2: an ACK to a listening socket.
        AckToListen = "ACK to LISTEN",
        /// RFC 9293 3.10.7.2: a RST to a listening socket.
        ResetToListen = "RST to LISTEN",
        /// RFC 9293 3.10.7.2: neither SYN, RST nor ACK to a listening socket.
        NothingToListen = "nothing a LISTEN can use",
        /// RFC 9293 3.10.7.3: a SYN+ACK for our SYN.
        SynAck = "SYN+ACK for our SYN",
        /// RFC 9293 3.10.7.3: a SYN crosses ours (simultaneous open).
        SimultaneousOpen = "SYN crosses ours",
        /// RFC 9293 3.10.7.3: an ACK that does not acknowledge our SYN.
        SynSentBadAck = "does not acknowledge our SYN",
        /// RFC 9293 3.10.7.3: RST in answer to our SYN.
        Refused = "our SYN is refused",
        /// RFC 9293 3.10.7.3: RST without an acceptable ACK in SYN-SENT.
        SynSentBadReset = "RST that answers nothing of ours",
        /// RFC 9293 3.10.7.3: neither SYN nor RST in SYN-SENT.
        SynSentOther = "neither SYN nor RST",
        /// RFC 9293 3.10.7.4, fifth: our SYN is acknowledged.
        HandshakeDone = "acknowledges our SYN",
        /// RFC 9293 3.10.7.4, fifth: an ACK that does not acknowledge our SYN+ACK.
        HandshakeBadAck = "does not acknowledge our SYN+ACK",
        /// RFC 9293 3.10.7.4, first: the peer's SYN again; our SYN+ACK is sent again.
        SynAgain = "the same SYN again",
        /// RFC 9293 3.10.7.4, fourth: another SYN in the window of a passive handshake; it is over.
        SynInHandshake = "another SYN in the handshake",
        /// RFC 9768 3.1.5: SYNs of one handshake ask for RFC 3168 and for AccECN; it is reset.
        SynMixed = "another SYN asks for other ECN feedback",
        /// RFC 9293 3.1: the checksum is wrong.
        BadChecksum = "bad checksum",
        /// RFC 9293 3.9.2.3: nobody can be at such an address or port.
        ImpossibleAddress = "impossible address or port",
        /// RFC 9293 3.10.7.1: no connection and no listener here.
        NoConnection = "no such connection",
        /// RFC 9293 3.10.7.4: a segment in TIME-WAIT, acknowledged, the wait goes on.
        TimeWaitOld = "old segment in TIME-WAIT",
        /// RFC 9293 3.10.7.4, eighth: the FIN again: acknowledged, the wait starts afresh.
        TimeWaitFin = "FIN again in TIME-WAIT",
        /// RFC 1337: RST in TIME-WAIT is ignored.
        TimeWaitReset = "RST in TIME-WAIT",
        /// RFC 6191 2: a SYN that opens a new incarnation.
        TimeWaitReuse = "SYN reuses a TIME-WAIT",
        /// MISSION O4: the SYN queue or the accept queue is full.
        QueueFull = "queue full",
        /// RFC 7413 4.2.2: a SYN whose text is taken before the handshake is over.
        FastOpen = "SYN with text that is taken",
        /// RFC 4987 3.6: a SYN is answered by a cookie, and forgotten.
        SynToCookie = "SYN answered by a cookie",
        /// RFC 9293 3.10.7.2: a SYN for any destination; whoever listens there is asked first.
        SynAsked = "SYN awaits a decision",
        /// The same SYN, or anything else of its four-tuple, before the decision, or after it was to be silent.
        Undecided = "no decision yet, or silence",
        /// An ACK of our SYN,ACK that brings no text: with `defer-accept` it is waited for.
        Deferred = "handshake complete but for text",
        /// RFC 4987 3.6: an ACK to a listening socket brings back no cookie of ours, or an old or a used one.
        CookieRefused = "no SYN cookie of ours",
    }
}

named! {
    /// Why a segment was sent.
    SendReason {
        /// RFC 7413 4.2.2: the text of a SYN that was not acknowledged with it.
        FastOpenAgain = "text of the SYN again",
        /// RFC 9293 3.10.1: the first SYN.
        Syn = "SYN",
        /// RFC 9293 3.8.1: the SYN again.
        SynRetransmission = "SYN again",
        /// RFC 9293 3.10.7.2: the SYN+ACK.
        SynAck = "SYN+ACK",
        /// RFC 9293 3.8.1: the SYN+ACK again.
        SynAckRetransmission = "SYN+ACK again",
        /// RFC 4987 3.6: a SYN+ACK whose number is a cookie: nothing is kept of the SYN.
        SynCookie = "SYN+ACK with a cookie",
        /// RFC 9293 3.10.7.3: the acknowledgment that ends the handshake.
        HandshakeAck = "handshake complete",
        /// RFC 9293 3.7: new data.
        Data = "data",
        /// RFC 9293 3.10.4: the FIN, with or without data.
        Fin = "FIN",
        /// RFC 6298 5.4: the retransmission timer expired.
        Timeout = "retransmission after timeout",
        /// RFC 5681 3.2: three duplicate acknowledgments.
        FastRetransmit = "fast retransmit",
        /// RFC 6582 3.2: a partial acknowledgment in recovery.
        PartialAck = "retransmission after partial acknowledgment",
        /// RFC 8985 7.3: a tail loss probe.
        LossProbe = "loss probe",
        /// RFC 4821 7.5: a segment larger than others, to see whether the path carries it.
        MtuProbe = "path MTU probe",
        /// RFC 4821 7.6.2: the text of a path MTU probe that was lost alone.
        ProbeGap = "text of a lost path MTU probe again",
        /// RFC 9293 3.8.6.1: zero-window probe.
        WindowProbe = "window probe",
        /// RFC 9293 3.8.6.2.1: the override timeout of silly-window avoidance.
        SwsOverride = "small segment after the override timeout",
        /// RFC 9293 3.8.4: keepalive probe.
        Keepalive = "keepalive probe",
        /// RFC 5681 4.2: the second full-sized segment, or a reason not to wait.
        Ack = "acknowledgment",
        /// RFC 9768 3.2.2.5.1: CE marks have come; so have, with RFC 3168, a change of ECE or CWR.
        CongestionAck = "acknowledgment of congestion marks",
        /// RFC 9768 3.2.2.5.1: the third CE mark of acknowledgments: an acknowledgment of acknowledgments.
        AckOfAcks = "acknowledgment of marked acknowledgments",
        /// RFC 9293 3.8.6.3: the delayed acknowledgment's time is up.
        DelayedAck = "delayed acknowledgment",
        /// RFC 5681 4.2: out of order, or a hole filled: at once.
        OutOfOrderAck = "acknowledgment of what is out of order",
        /// RFC 9293 3.10.7.4, first: answer to an unacceptable segment.
        UnacceptableAck = "answer to an unacceptable segment",
        /// RFC 5961 7: challenge ACK.
        ChallengeAck = "challenge ACK",
        /// RFC 9293 3.8.6.2.2: the receive window has opened.
        WindowUpdate = "window update",
        /// RFC 9293 3.10.7.4: acknowledgment from TIME-WAIT.
        TimeWaitAck = "acknowledgment from TIME-WAIT",
        /// RFC 9293 3.5.2: reset, for the reasons of group 1 to 3.
        Reset = "reset",
        /// RFC 9293 3.10.5: the user aborts.
        Abort = "abort",
        /// RFC 2525 2.17: closed with data unread, or data after close.
        ResetUnread = "reset: data that nobody will read",
        /// RFC 9293 3.8.4: keepalive found no one; a last word in case the peer is only slow.
        KeepaliveReset = "reset after keepalive",
    }
}

/// What became of an arriving segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was used.
    Accepted(Rule),
    /// It was dropped without a word.
    Dropped(Rule),
    /// It was dropped, and an acknowledgment is owed.
    Acked(Rule),
    /// It is answered by a reset, or it reset the connection.
    Reset(Rule),
}

impl Verdict {
    /// The rule, whatever was made of it.
    pub const fn rule(self) -> Rule {
        match self {
            Verdict::Accepted(r) | Verdict::Dropped(r) | Verdict::Acked(r) | Verdict::Reset(r) => r,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, rule) = match self {
            Verdict::Accepted(r) => ("accepted", r),
            Verdict::Dropped(r) => ("dropped", r),
            Verdict::Acked(r) => ("dropped and acknowledged", r),
            Verdict::Reset(r) => ("reset", r),
        };
        write!(f, "{word}: {rule}")
    }
}
