//! Counters of the engine, under the names of RFC 4022 and of Linux's nstat, so that users can compare.

macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident = $nstat:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$doc])* pub $field: u64,)* }

        impl $name {
            /// Name and value of every counter.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($nstat, self.$field)),*].into_iter()
            }
        }
    };
}

counters! {
    /// The engine's counters.
    TcpMib {
        /// Connections opened actively.
        active_opens = "TcpActiveOpens",
        /// Connections opened passively.
        passive_opens = "TcpPassiveOpens",
        /// Handshakes that failed.
        attempt_fails = "TcpAttemptFails",
        /// Connections reset while open.
        estab_resets = "TcpEstabResets",
        /// Segments received, those in error included.
        in_segs = "TcpInSegs",
        /// Segments sent (a super-segment counts as its pieces).
        out_segs = "TcpOutSegs",
        /// Segments sent again.
        retrans_segs = "TcpRetransSegs",
        /// Segments received in error.
        in_errs = "TcpInErrs",
        /// Segments with a bad checksum.
        in_csum_errors = "TcpInCsumErrors",
        /// Resets sent.
        out_rsts = "TcpOutRsts",
        /// Retransmission timeouts.
        timeouts = "TcpExtTCPTimeouts",
        /// Fast retransmits.
        fast_retrans = "TcpExtTCPFastRetrans",
        /// Loss probes sent.
        loss_probes = "TcpExtTCPLossProbes",
        /// Losses of a last segment that a loss probe has repaired.
        loss_probe_recovery = "TcpExtTCPLossProbeRecovery",
        /// D-SACKs received.
        dsack_recv = "TcpExtTCPDSACKRecv",
        /// Recoveries undone because all that was sent again came twice.
        dsack_undo = "TcpExtTCPDSACKUndo",
        /// Recoveries undone, for whatever reason.
        undo = "SynfinUndo",
        /// Timeouts that F-RTO found spurious.
        spurious_rtos = "TcpExtTCPSpuriousRTOs",
        /// Path MTU probes that were lost.
        mtup_fail = "TcpExtTCPMTUPFail",
        /// Path MTU probes that have arrived.
        mtup_success = "TcpExtTCPMTUPSuccess",
        /// Zero-window probes sent.
        win_probe = "TcpExtTCPWinProbe",
        /// Keepalive probes sent.
        keep_alive = "TcpExtTCPKeepAlive",
        /// Delayed acknowledgments sent because their time was up.
        delayed_acks = "TcpExtDelayedACKs",
        /// Challenge ACKs sent.
        challenge_ack = "TcpExtTCPChallengeACK",
        /// Challenge ACKs and answers to bad segments left out by the rate limit.
        ack_skipped = "TcpExtTCPACKSkipped",
        /// Segments dropped by PAWS.
        paws_estab = "TcpExtPAWSEstab",
        /// Segments put aside as out of order.
        ofo_queue = "TcpExtTCPOFOQueue",
        /// Out-of-order segments dropped for want of room.
        ofo_drop = "TcpExtTCPOFODrop",
        /// Segments in order dropped because there was no memory.
        rcv_q_drop = "TcpExtTCPRcvQDrop",
        /// SYNs of ours with text that was taken (RFC 7413).
        fast_open_active = "TcpExtTCPFastOpenActive",
        /// SYNs of ours with text that was not.
        fast_open_active_fail = "TcpExtTCPFastOpenActiveFail",
        /// Connections opened passively with the text of their SYN.
        fast_open_passive = "TcpExtTCPFastOpenPassive",
        /// SYNs with a cookie that is none of ours, or too old.
        fast_open_passive_fail = "TcpExtTCPFastOpenPassiveFail",
        /// SYNs with a cookie under the previous key.
        fast_open_passive_alt_key = "TcpExtTCPFastOpenPassiveAltKey",
        /// SYNs whose text was not taken because too many handshakes were pending.
        fast_open_listen_overflow = "TcpExtTCPFastOpenListenOverflow",
        /// SYNs that asked for a cookie.
        fast_open_cookie_reqd = "TcpExtTCPFastOpenCookieReqd",
        /// Ways to servers that were found to lose Fast Open.
        fast_open_blackhole = "TcpExtTCPFastOpenBlackhole",
        /// Octets that came twice with different values; the first ones count.
        overlap_differs = "SynfinOverlapDiffers",
        /// D-SACKs sent.
        dsack_old_sent = "TcpExtTCPDSACKOldSent",
        /// Connections given up after a timeout.
        abort_on_timeout = "TcpExtTCPAbortOnTimeout",
        /// Connections reset because they were closed with data unread, or data came after close.
        abort_on_data = "TcpExtTCPAbortOnData",
        /// Segments of ours that were marked, as peers tell by AccECN, or that were acknowledged with ECE.
        delivered_ce = "TcpExtTCPDeliveredCE",
        /// Times the peer shrank its window.
        window_shrunk = "SynfinWindowShrunk",
        /// Segments that were neither dropped nor acknowledged but reset the connection.
        in_rsts = "SynfinInRsts",
        /// Options that could not be read.
        bad_options = "SynfinBadOptions",
    }
}
