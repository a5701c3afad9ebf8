//! Counters of the host, under nstat's names where Linux has one.

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $nstat:literal,)*) => {
        /// The host's counters; those of the engine are in `TcpMib`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct StackMib { $($(#[$doc])* pub $field: u64,)* }

        impl StackMib {
            /// Name and value of every counter.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($nstat, self.$field)),*].into_iter()
            }
        }
    };
}

impl StackMib {
    pub(crate) fn count_ecn(&mut self, ecn: synfin_wire::ip::Ecn) {
        use synfin_wire::ip::Ecn;
        match ecn {
            Ecn::NotEct => self.ip_in_no_ect += 1,
            Ecn::Ect1 => self.ip_in_ect1 += 1,
            Ecn::Ect0 => self.ip_in_ect0 += 1,
            Ecn::Ce => self.ip_in_ce += 1,
        }
    }
}

counters! {
    /// Packets received.
    ip_in = "IpInReceives",
    /// Packets with a header that cannot be read.
    ip_in_hdr_errors = "IpInHdrErrors",
    /// Packets for an address that is not ours.
    ip_in_addr_errors = "IpInAddrErrors",
    /// Packets of a protocol we do not have.
    ip_in_unknown_protos = "IpInUnknownProtos",
    /// Packets that were readable and dropped all the same (source routes, unknown options).
    ip_in_discards = "IpInDiscards",
    /// Packets delivered upwards.
    ip_in_delivers = "IpInDelivers",
    /// Packets that came as not ECN-capable.
    ip_in_no_ect = "IpExtInNoECTPkts",
    /// As ECT(1).
    ip_in_ect1 = "IpExtInECT1Pkts",
    /// As ECT(0).
    ip_in_ect0 = "IpExtInECT0Pkts",
    /// As CE.
    ip_in_ce = "IpExtInCEPkts",
    /// Packets sent.
    ip_out = "IpOutRequests",
    /// Packets without a route.
    ip_out_no_routes = "IpOutNoRoutes",
    /// Packets dropped on the way out for want of room.
    ip_out_discards = "IpOutDiscards",
    /// Fragments received.
    reasm_reqds = "IpReasmReqds",
    /// Datagrams put together.
    reasm_oks = "IpReasmOKs",
    /// Datagrams given up: too old, overlapping, too much.
    reasm_fails = "IpReasmFails",
    /// ICMP messages received.
    icmp_in = "IcmpInMsgs",
    /// ICMP messages that cannot be read.
    icmp_in_errors = "IcmpInErrors",
    /// ICMP errors that quote nothing of ours in flight, or that are ignored.
    icmp_in_ignored = "SynfinIcmpIgnored",
    /// ICMP messages sent.
    icmp_out = "IcmpOutMsgs",
    /// ICMP errors left out by the rate limit.
    icmp_out_limited = "IcmpOutRateLimitHost",
    /// Resets left out by the rate limit.
    rst_limited = "SynfinRstLimited",
    /// SYNs dropped because the SYN queue or the accept queue of the listener was full.
    listen_drops = "TcpExtListenDrops",
    /// Handshakes that could not complete because the accept queue was full.
    listen_overflows = "TcpExtListenOverflows",
    /// SYN cookies sent (RFC 4987 3.6).
    cookies_sent = "TcpExtSyncookiesSent",
    /// Connections made of a SYN cookie.
    cookies_recv = "TcpExtSyncookiesRecv",
    /// ACKs to a listener that has sent SYN cookies lately, with none, an old or a used one.
    cookies_failed = "TcpExtSyncookiesFailed",
    /// SYNs for which the SYN queue had no room, or was not used, and that were answered by a cookie.
    req_q_full_do_cookies = "TcpExtTCPReqQFullDoCookies",
    /// SYNs for which the SYN queue had no room, dropped because cookies are off or cannot be made.
    req_q_full_drop = "TcpExtTCPReqQFullDrop",
    /// Acknowledgments of SYN,ACKs without text, where text is waited for.
    defer_accept_drop = "TcpExtTCPDeferAcceptDrop",
    /// SYNs for any destination that were forgotten because nobody decided.
    undecided = "SynfinUndecidedSyns",
    /// Connections that went to TIME-WAIT.
    time_wait = "TcpExtTW",
    /// TIME-WAIT records dropped because the table was full.
    time_wait_overflow = "TcpExtTCPTimeWaitOverflow",
    /// TIME-WAIT records that a new connection took over.
    time_wait_recycled = "TcpExtTWRecycled",
    /// Connections reset because there were too many orphans, or no room for a connection.
    abort_on_memory = "TcpExtTCPAbortOnMemory",
    /// Segments to an address or from an address that no connection can have.
    tcp_martian = "SynfinTcpMartian",
    /// Datagrams delivered.
    udp_in = "UdpInDatagrams",
    /// Datagrams to a port nobody has.
    udp_no_ports = "UdpNoPorts",
    /// Datagrams with a bad checksum or length.
    udp_in_errors = "UdpInErrors",
    /// Datagrams dropped because the socket's buffer was full.
    udp_rcvbuf_errors = "UdpRcvbufErrors",
    /// Datagrams sent.
    udp_out = "UdpOutDatagrams",
    /// Neighbors that did not answer.
    neighbor_failed = "SynfinNeighborFailed",
    /// Frames of the link that are for somebody else, or of a kind we do not have.
    link_ignored = "SynfinLinkIgnored",
}
