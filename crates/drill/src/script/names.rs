//! The names that the language has. One that is here, but of which the runner knows nothing, makes a script be skipped when
//! it is reached; one that is not here is a mistake of the script, and the nearest that are here are said.

use super::symbols;

/// Calls beside those whose arguments are counted ([`super::checks`]).
const CALLS: &[&str] = &["cap_set", "open", "pipe", "pipe2", "dup", "select"];
/// How families of calls begin that other dialects have: of SCTP (RFC 6458), of PSP.
const CALL_FAMILIES: &[&str] = &["sctp_", "psp_"];

const FUNCTIONS: &[&str] = &["htons", "htonl", "ntohs", "ntohl", "inet_addr", "inet_pton", "inet6_addr"];

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "sa_family", "sin_family", "sin_port", "sin_addr", "sin6_family", "sin6_port", "sin6_addr", "sin6_flowinfo", "sin6_scope_id",
    "sin_len", "sin6_len", "onoff", "linger", "l_onoff", "l_linger", "fd", "events", "revents", "ptr", "u32", "u64", "data",
    "msg_name", "msg_namelen", "msg_iov", "msg_iovlen", "msg_control", "msg_controllen", "msg_flags", "iov_base", "iov_len",
    "cmsg_len", "cmsg_level", "cmsg_type", "cmsg_data", "scm_sec", "scm_nsec", "tv_sec", "tv_usec", "tv_nsec",
    "ee_errno", "ee_origin", "ee_type", "ee_code", "ee_pad", "ee_info", "ee_data",
    "tcpm_addr", "tcpm_flags", "tcpm_prefixlen", "tcpm_keylen", "tcpm_ifindex", "tcpm_key", "af_name", "af_arg",
    "function_set_name", "pcbcnt", "lower", "upper",
];
/// How the fields of SCTP's structures begin (RFC 6458), and those of PSP's.
#[rustfmt::skip]
const FIELD_FAMILIES: &[&str] = &[
    "sinfo_", "snd_", "rcv_", "nxt_", "recvv_", "sendv_", "pr_", "auth_", "assoc_", "spp_", "srto_", "sasoc_", "sstat_", "spinfo_", "sas_",
    "se_", "ssb_", "sack_", "scact_", "sca_", "sctp_", "sinit_", "sue_", "sn_", "sne_", "sac_", "spc_", "sre_", "sse_", "ssf_", "ssfe_",
    "pdapi_", "gauth_", "strreset_", "strchange_", "sassoc_", "psp_",
];

/// Constants that the language has and the runner gives no value.
#[rustfmt::skip]
const CONSTANTS: &[&str] = &[
    "INADDR_ANY", "INADDR_LOOPBACK", "INADDR_BROADCAST", "IN6ADDR_ANY_INIT",
    // What the suites define on packetdrill's command line.
    "CMSG_LEVEL_IP", "CMSG_TYPE_RECVERR", "CODE", "TFO_COOKIE", "TFO_COOKIE_ZERO",
    "AF_UNIX", "AF_LOCAL", "AF_PACKET", "AF_NETLINK", "PF_UNSPEC", "PF_UNIX", "PF_LOCAL", "PF_PACKET", "PF_NETLINK",
    "SOCK_SEQPACKET", "SOCK_RDM", "SOCK_DCCP", "SOCK_PACKET",
    "IPPROTO_RAW", "IPPROTO_SCTP", "IPPROTO_UDPLITE", "IPPROTO_DCCP", "IPPROTO_MPTCP", "IPPROTO_GRE", "IPPROTO_IPIP", "IPPROTO_IGMP",
    "IPPROTO_ESP", "IPPROTO_AH", "SOL_RAW", "SOL_ICMPV6", "SOL_SCTP", "SOL_DCCP", "SOL_TLS", "SOL_NETLINK", "SOL_PACKET", "SOL_PSP", "SOMAXCONN",
    "SO_ATTACH_BPF", "SO_ATTACH_FILTER", "SO_ATTACH_REUSEPORT_CBPF", "SO_ATTACH_REUSEPORT_EBPF", "SO_BINDTODEVICE", "SO_BINDTOIFINDEX",
    "SO_BPF_EXTENSIONS", "SO_BSDCOMPAT", "SO_BUF_LOCK", "SO_BUSY_POLL_BUDGET", "SO_CNX_ADVICE", "SO_COOKIE", "SO_DEBUG", "SO_DETACH_BPF",
    "SO_DETACH_FILTER", "SO_DOMAIN", "SO_GET_FILTER", "SO_INCOMING_NAPI_ID", "SO_LOCK_FILTER", "SO_MEMINFO", "SO_NETNS_COOKIE", "SO_NOFCS",
    "SO_NO_CHECK", "SO_PASSCRED", "SO_PASSRIGHTS", "SO_PASSSEC", "SO_PEEK_OFF", "SO_PEERCRED", "SO_PEERGROUPS", "SO_PEERNAME", "SO_PEERSEC",
    "SO_PREFER_BUSY_POLL", "SO_PROTOCOL", "SO_RCVBUFFORCE", "SO_RCVMARK", "SO_RCVPRIORITY", "SO_RCVTIMEO_NEW", "SO_RCVTIMEO_OLD",
    "SO_RESERVE_MEM", "SO_RXQ_OVFL", "SO_SELECT_ERR_QUEUE", "SO_SNDBUFFORCE", "SO_SNDTIMEO_NEW", "SO_SNDTIMEO_OLD", "SO_TIMESTAMPING_NEW",
    "SO_TIMESTAMPING_OLD", "SO_TIMESTAMPNS", "SO_TIMESTAMPNS_NEW", "SO_TIMESTAMPNS_OLD", "SO_TIMESTAMP_NEW", "SO_TIMESTAMP_OLD",
    "SO_TXREHASH", "SO_TXTIME", "SO_WIFI_STATUS",
    "SCM_RIGHTS", "SCM_CREDENTIALS", "SCM_TIMESTAMP", "SCM_TIMESTAMPING", "SCM_TIMESTAMPING_OPT_STATS", "SCM_TIMESTAMPING_PKTINFO",
    "SCM_TIMESTAMPNS", "SCM_TSTAMP_ACK", "SCM_TSTAMP_SCHED", "SCM_TSTAMP_SND", "SCM_TSTAMP_COMPLETION", "SCM_TXTIME", "SCM_TS_OPT_ID",
    "SOF_TIMESTAMPING_BIND_PHC", "SOF_TIMESTAMPING_OPT_CMSG", "SOF_TIMESTAMPING_OPT_ID", "SOF_TIMESTAMPING_OPT_ID_TCP",
    "SOF_TIMESTAMPING_OPT_PKTINFO", "SOF_TIMESTAMPING_OPT_RX_FILTER", "SOF_TIMESTAMPING_OPT_STATS", "SOF_TIMESTAMPING_OPT_TSONLY",
    "SOF_TIMESTAMPING_OPT_TX_SWHW", "SOF_TIMESTAMPING_RAW_HARDWARE", "SOF_TIMESTAMPING_RX_HARDWARE", "SOF_TIMESTAMPING_RX_SOFTWARE",
    "SOF_TIMESTAMPING_SOFTWARE", "SOF_TIMESTAMPING_SYS_HARDWARE", "SOF_TIMESTAMPING_TX_ACK", "SOF_TIMESTAMPING_TX_COMPLETION",
    "SOF_TIMESTAMPING_TX_HARDWARE", "SOF_TIMESTAMPING_TX_SCHED", "SOF_TIMESTAMPING_TX_SOFTWARE",
    "SO_EE_ORIGIN_NONE", "SO_EE_ORIGIN_LOCAL", "SO_EE_ORIGIN_ICMP", "SO_EE_ORIGIN_ICMP6", "SO_EE_ORIGIN_TXSTATUS",
    "SO_EE_ORIGIN_TIMESTAMPING", "SO_EE_ORIGIN_ZEROCOPY", "SO_EE_ORIGIN_TXTIME", "SO_EE_CODE_ZEROCOPY_COPIED",
    "SO_EE_CODE_TXTIME_INVALID_PARAM", "SO_EE_CODE_TXTIME_MISSED",
    "TCP_CM_INQ", "TCP_COOKIE_TRANSACTIONS", "TCP_IS_MPTCP", "TCP_MD5SIG_EXT", "TCP_MD5SIG_MAXKEYLEN", "TCP_QUEUE_SEQ", "TCP_REPAIR_OPTIONS",
    "TCP_REPAIR_QUEUE", "TCP_REPAIR_WINDOW", "TCP_REPAIR_ON", "TCP_REPAIR_OFF", "TCP_REPAIR_OFF_NO_WP", "TCP_NO_QUEUE", "TCP_RECV_QUEUE",
    "TCP_SEND_QUEUE", "TCP_THIN_DUPACK", "TCP_THIN_LINEAR_TIMEOUTS", "TCP_TX_DELAY", "TCP_AO_ADD_KEY", "TCP_AO_DEL_KEY", "TCP_AO_INFO",
    "TCP_AO_GET_KEYS", "TCP_AO_REPAIR", "TCP_RTO_MAX_MS", "TCP_RTO_MIN_US", "TCP_DELACK_MAX_US", "TCP_BPF_IW", "TCP_BPF_SNDCWND_CLAMP",
    "TCP_NLA_BUSY", "TCP_NLA_BYTES_NOTSENT", "TCP_NLA_BYTES_RETRANS", "TCP_NLA_BYTES_SENT", "TCP_NLA_CA_STATE", "TCP_NLA_DATA_SEGS_OUT",
    "TCP_NLA_DELIVERED", "TCP_NLA_DELIVERED_CE", "TCP_NLA_DELIVERY_RATE", "TCP_NLA_DELIVERY_RATE_APP_LMT", "TCP_NLA_DSACK_DUPS",
    "TCP_NLA_EDT", "TCP_NLA_MIN_RTT", "TCP_NLA_PACING_RATE", "TCP_NLA_PAD", "TCP_NLA_RECUR_RETRANS", "TCP_NLA_REHASH", "TCP_NLA_REORDERING",
    "TCP_NLA_REORD_SEEN", "TCP_NLA_RWND_LIMITED", "TCP_NLA_SNDBUF_LIMITED", "TCP_NLA_SNDQ_SIZE", "TCP_NLA_SND_CWND",
    "TCP_NLA_SND_SSTHRESH", "TCP_NLA_SRTT", "TCP_NLA_TIMEOUT_REHASH", "TCP_NLA_TOTAL_RETRANS", "TCP_NLA_TTL",
    // FreeBSD's.
    "TCP_CCALGOOPT", "TCP_DELACK", "TCP_FUNCTION_BLK", "TCP_KEEPINIT", "TCP_LOG", "TCP_MAXUNACKTIME", "TCP_NOOPT", "TCP_NOPUSH",
    "TCP_PCAP_IN", "TCP_PCAP_OUT", "TCP_PERF_INFO", "TCP_REMOTE_UDP_ENCAPS_PORT", "TCP_REUSPORT_LB_NUMA", "SO_ACCEPTFILTER", "SO_NOSIGPIPE",
    "SO_REUSEPORT_LB", "SO_SETFIB", "SO_USELOOPBACK", "SO_NO_DDP", "SO_NO_OFFLOAD", "IP_DONTFRAG", "IP_RECVDSTADDR", "IP_SENDSRCADDR",
    "MSG_EOF", "MSG_NBIO", "MSG_NOTIFICATION",
    "IP_ADD_MEMBERSHIP", "IP_CHECKSUM", "IP_DROP_MEMBERSHIP", "IP_HDRINCL", "IP_LOCAL_PORT_RANGE", "IP_MINTTL", "IP_MULTICAST_ALL",
    "IP_MULTICAST_IF", "IP_MULTICAST_LOOP", "IP_MULTICAST_TTL", "IP_NODEFRAG", "IP_OPTIONS", "IP_ORIGDSTADDR", "IP_PASSSEC", "IP_PKTINFO",
    "IP_PKTOPTIONS", "IP_PMTUDISC_DO", "IP_PMTUDISC_DONT", "IP_PMTUDISC_INTERFACE", "IP_PMTUDISC_OMIT", "IP_PMTUDISC_PROBE",
    "IP_PMTUDISC_WANT", "IP_PROTOCOL", "IP_RECVERR_RFC4884", "IP_RECVFRAGSIZE", "IP_RECVOPTS", "IP_RECVORIGDSTADDR", "IP_RECVRETOPTS",
    "IP_RECVTOS", "IP_RECVTTL", "IP_RETOPTS", "IP_ROUTER_ALERT", "IP_TRANSPARENT", "IP_UNICAST_IF",
    "IPV6_ADDRFORM", "IPV6_ADDR_PREFERENCES", "IPV6_AUTOFLOWLABEL", "IPV6_CHECKSUM", "IPV6_DONTFRAG", "IPV6_DSTOPTS", "IPV6_FLOWINFO",
    "IPV6_FLOWINFO_SEND", "IPV6_FLOWLABEL_MGR", "IPV6_FREEBIND", "IPV6_HDRINCL", "IPV6_HOPLIMIT", "IPV6_HOPOPTS", "IPV6_MINHOPCOUNT",
    "IPV6_MULTICAST_HOPS", "IPV6_MULTICAST_IF", "IPV6_MULTICAST_LOOP", "IPV6_NEXTHOP", "IPV6_ORIGDSTADDR", "IPV6_PATHMTU", "IPV6_PKTINFO",
    "IPV6_PMTUDISC_DO", "IPV6_PMTUDISC_DONT", "IPV6_PMTUDISC_INTERFACE", "IPV6_PMTUDISC_OMIT", "IPV6_PMTUDISC_PROBE", "IPV6_PMTUDISC_WANT",
    "IPV6_RECVDSTOPTS", "IPV6_RECVFRAGSIZE", "IPV6_RECVHOPLIMIT", "IPV6_RECVHOPOPTS", "IPV6_RECVORIGDSTADDR", "IPV6_RECVPATHMTU",
    "IPV6_RECVPKTINFO", "IPV6_RECVRTHDR", "IPV6_RECVTCLASS", "IPV6_ROUTER_ALERT", "IPV6_RTHDR", "IPV6_RTHDRDSTOPTS", "IPV6_TRANSPARENT",
    "IPV6_UNICAST_IF", "IPV6_USE_MIN_MTU",
    "MSG_BATCH", "MSG_CMSG_CLOEXEC", "MSG_FIN", "MSG_PROXY", "MSG_RST", "MSG_SENDPAGE_NOTLAST", "MSG_SOCK_DEVMEM", "MSG_SPLICE_PAGES", "MSG_SYN",
    "MSG_TRYHARD", "MSG_WAITFORONE", "SPLICE_F_MOVE", "SPLICE_F_NONBLOCK", "SPLICE_F_MORE", "SPLICE_F_GIFT",
    "F_DUPFD", "F_DUPFD_CLOEXEC", "F_GETLK", "F_GETOWN", "F_GETPIPE_SZ", "F_GETSIG", "F_SETLK", "F_SETLKW", "F_SETOWN", "F_SETPIPE_SZ",
    "F_SETSIG", "O_APPEND", "O_ASYNC", "O_CLOEXEC", "O_CREAT", "O_DIRECT", "O_EXCL", "O_SYNC", "O_TRUNC", "O_NOCTTY",
    "EPOLLEXCLUSIVE", "EPOLLMSG", "EPOLLWAKEUP", "EPOLL_CLOEXEC", "POLLMSG", "POLLREMOVE", "FIOASYNC", "FIOSETOWN", "FIOGETOWN",
    "SIOCATMARK", "SIOCSPGRP", "SIOCGPGRP", "SIOCGSTAMP", "SIOCGSTAMPNS",
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_KILL",
    "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
];
/// How the constants of other dialects begin.
const CONSTANT_FAMILIES: &[&str] = &["SCTP_", "SPP_", "MPTCP_", "PSP_"];

/// What code may name, beside what it assigns: the fields of `tcp_info` and of what algorithms tell, and their constants.
#[rustfmt::skip]
const IN_CODE: &[&str] = &[
    "tcpi_state", "tcpi_ca_state", "tcpi_retransmits", "tcpi_probes", "tcpi_backoff", "tcpi_options", "tcpi_snd_wscale", "tcpi_rcv_wscale",
    "tcpi_delivery_rate_app_limited", "tcpi_fastopen_client_fail", "tcpi_rto", "tcpi_ato", "tcpi_snd_mss", "tcpi_rcv_mss", "tcpi_unacked",
    "tcpi_sacked", "tcpi_lost", "tcpi_retrans", "tcpi_fackets", "tcpi_last_data_sent", "tcpi_last_ack_sent", "tcpi_last_data_recv",
    "tcpi_last_ack_recv", "tcpi_pmtu", "tcpi_rcv_ssthresh", "tcpi_rtt", "tcpi_rttvar", "tcpi_snd_ssthresh", "tcpi_snd_cwnd", "tcpi_advmss",
    "tcpi_reordering", "tcpi_rcv_rtt", "tcpi_rcv_space", "tcpi_total_retrans", "tcpi_pacing_rate", "tcpi_max_pacing_rate",
    "tcpi_bytes_acked", "tcpi_bytes_received", "tcpi_segs_out", "tcpi_segs_in", "tcpi_notsent_bytes", "tcpi_min_rtt", "tcpi_data_segs_in",
    "tcpi_data_segs_out", "tcpi_delivery_rate", "tcpi_busy_time", "tcpi_rwnd_limited", "tcpi_sndbuf_limited", "tcpi_delivered",
    "tcpi_delivered_ce", "tcpi_bytes_sent", "tcpi_bytes_retrans", "tcpi_dsack_dups", "tcpi_reord_seen", "tcpi_rcv_ooopack", "tcpi_snd_wnd",
    "tcpi_rcv_wnd", "tcpi_rehash", "tcpi_total_rto", "tcpi_total_rto_recoveries", "tcpi_total_rto_time", "tcpi_received_ce",
    "tcpi_delivered_e1_bytes", "tcpi_delivered_e0_bytes", "tcpi_delivered_ce_bytes", "tcpi_received_e1_bytes", "tcpi_received_e0_bytes",
    "tcpi_received_ce_bytes", "tcpi_ecn_mode", "tcpi_accecn_opt_seen", "tcpi_accecn_fail_mode", "tcpi_options2",
    "TCP_ESTABLISHED", "TCP_SYN_SENT", "TCP_SYN_RECV", "TCP_FIN_WAIT1", "TCP_FIN_WAIT2", "TCP_TIME_WAIT", "TCP_CLOSE", "TCP_CLOSE_WAIT",
    "TCP_LAST_ACK", "TCP_LISTEN", "TCP_CLOSING", "TCP_NEW_SYN_RECV",
    "TCP_CA_Open", "TCP_CA_Disorder", "TCP_CA_CWR", "TCP_CA_Recovery", "TCP_CA_Loss",
    "TCPI_OPT_TIMESTAMPS", "TCPI_OPT_SACK", "TCPI_OPT_WSCALE", "TCPI_OPT_ECN", "TCPI_OPT_ECN_SEEN", "TCPI_OPT_SYN_DATA", "TCPI_OPT_USEC_TS",
    "TCPI_OPT_TFO_CHILD",
    // FreeBSD's.
    "tcpi_rcv_nxt", "tcpi_snd_nxt", "tcpi_toe_tid", "tcpi_snd_rexmitpack", "tcpi_snd_zerowin", "tcpi_snd_bwnd", "tcpi_cc_algo",
    // Python's.
    "True", "False", "None", "abs", "all", "any", "bin", "bool", "dict", "divmod", "float", "format", "hex", "int", "isinstance", "len",
    "list", "max", "min", "oct", "pow", "print", "range", "repr", "round", "set", "sorted", "str", "sum", "tuple", "type", "zip",
];
/// How the names of what only some algorithms or sockets tell begin.
const CODE_FAMILIES: &[&str] = &["bbr_", "tcpv_", "dctcp_", "SK_MEMINFO_", "RD_BBR_", "BBR_", "BW_", "tcpcct_"];

/// The sysctls below `net.ipv4.` and `net.core.`, of Linux as it is and of versions that scripts were written for.
#[rustfmt::skip]
const IPV4: &[&str] = &[
    "cipso_cache_bucket_size", "cipso_cache_enable", "cipso_rbm_optfmt", "cipso_rbm_strictvalid", "fib_multipath_hash_fields",
    "fib_multipath_hash_policy", "fib_multipath_hash_seed", "fib_multipath_use_neigh", "fib_notify_on_flag_change", "fib_sync_mem",
    "fwmark_reflect", "icmp_echo_enable_probe", "icmp_echo_ignore_all", "icmp_echo_ignore_broadcasts", "icmp_errors_extension_mask",
    "icmp_errors_use_inbound_ifaddr", "icmp_ignore_bogus_error_responses", "icmp_msgs_burst", "icmp_msgs_per_sec", "icmp_ratelimit",
    "icmp_ratemask", "igmp_link_local_mcast_reports", "igmp_max_memberships", "igmp_max_msf", "igmp_qrv", "inet_peer_maxttl",
    "inet_peer_minttl", "inet_peer_threshold", "ip_autobind_reuse", "ip_default_ttl", "ip_dynaddr", "ip_early_demux", "ip_forward",
    "ip_forward_update_priority", "ip_forward_use_pmtu", "ip_local_port_range", "ip_local_port_step_width", "ip_local_reserved_ports",
    "ip_no_pmtu_disc", "ip_nonlocal_bind", "ip_unprivileged_port_start", "ipfrag_high_thresh", "ipfrag_low_thresh", "ipfrag_max_dist",
    "ipfrag_secret_interval", "ipfrag_time", "nexthop_compat_mode", "ping_group_range", "raw_l3mdev_accept",
    "tcp_abort_on_overflow", "tcp_adv_win_scale", "tcp_allowed_congestion_control", "tcp_app_win", "tcp_autocorking",
    "tcp_available_congestion_control", "tcp_available_ulp", "tcp_backlog_ack_defer", "tcp_base_mss", "tcp_challenge_ack_limit",
    "tcp_child_ehash_entries", "tcp_comp_sack_delay_ns", "tcp_comp_sack_nr", "tcp_comp_sack_rtt_percent", "tcp_comp_sack_slack_ns",
    "tcp_congestion_control", "tcp_cookie_size", "tcp_default_init_rwnd", "tcp_dma_copybreak", "tcp_dsack", "tcp_early_demux",
    "tcp_early_retrans", "tcp_ecn", "tcp_ecn_fallback", "tcp_ecn_option", "tcp_ecn_option_beacon", "tcp_ehash_entries", "tcp_fack",
    "tcp_fastopen", "tcp_fastopen_blackhole_timeout_sec", "tcp_fastopen_key", "tcp_fin_timeout", "tcp_frto", "tcp_frto_response",
    "tcp_fwmark_accept", "tcp_invalid_ratelimit", "tcp_keepalive_intvl", "tcp_keepalive_probes", "tcp_keepalive_time", "tcp_l3mdev_accept",
    "tcp_limit_output_bytes", "tcp_low_latency", "tcp_max_orphans", "tcp_max_reordering", "tcp_max_ssthresh", "tcp_max_syn_backlog",
    "tcp_max_tw_buckets", "tcp_mem", "tcp_migrate_req", "tcp_min_rtt_wlen", "tcp_min_snd_mss", "tcp_min_tso_segs", "tcp_moderate_rcvbuf",
    "tcp_mtu_probe_floor", "tcp_mtu_probing", "tcp_no_metrics_save", "tcp_no_ssthresh_metrics_save", "tcp_notsent_lowat",
    "tcp_orphan_retries", "tcp_pacing_ca_ratio", "tcp_pacing_ss_ratio", "tcp_pingpong_thresh", "tcp_plb_cong_thresh", "tcp_plb_enabled",
    "tcp_plb_idle_rehash_rounds", "tcp_plb_rehash_rounds", "tcp_plb_suspend_rto_sec", "tcp_probe_interval", "tcp_probe_threshold",
    "tcp_rcvbuf_low_rtt", "tcp_recovery", "tcp_reflect_tos", "tcp_reordering", "tcp_retrans_collapse", "tcp_retries1", "tcp_retries2",
    "tcp_rfc1337", "tcp_rmem", "tcp_rto_max_ms", "tcp_rto_min_us", "tcp_sack", "tcp_shrink_window", "tcp_slow_start_after_idle",
    "tcp_stdurg", "tcp_syn_linear_timeouts", "tcp_syn_retries", "tcp_synack_retries", "tcp_syncookies", "tcp_thin_dupack",
    "tcp_thin_linear_timeouts", "tcp_timestamps", "tcp_tso_rtt_log", "tcp_tso_win_divisor", "tcp_tw_recycle", "tcp_tw_reuse",
    "tcp_tw_reuse_delay", "tcp_window_scaling", "tcp_wmem", "tcp_workaround_signed_windows", "udp_child_hash_entries", "udp_early_demux",
    "udp_hash_entries", "udp_l3mdev_accept", "udp_mem", "udp_rmem_min", "udp_wmem_min", "xfrm4_gc_thresh",
];
#[rustfmt::skip]
const CORE: &[&str] = &[
    "bpf_jit_enable", "bpf_jit_harden", "bpf_jit_kallsyms", "bpf_jit_limit", "busy_poll", "busy_read", "bypass_prot_mem", "default_qdisc",
    "dev_weight", "dev_weight_rx_bias", "dev_weight_tx_bias", "devconf_inherit_init_net", "fb_tunnels_only_for_init_net",
    "flow_limit_cpu_bitmap", "flow_limit_table_len", "gro_normal_batch", "high_order_alloc_disable", "max_skb_frags", "mem_pcpu_rsv",
    "message_burst", "message_cost", "netdev_budget", "netdev_budget_usecs", "netdev_max_backlog", "netdev_rss_key",
    "netdev_tstamp_prequeue", "netdev_unregister_timeout_secs", "optmem_max", "rmem_default", "rmem_max", "rps_default_mask",
    "rps_sock_flow_entries", "skb_defer_max", "somaxconn", "tstamp_allow_data", "txrehash", "txq_reselection_ms", "warnings", "wmem_default",
    "wmem_max", "xfrm_acq_expires", "xfrm_aevent_etime", "xfrm_aevent_rseqth", "xfrm_larval_drop",
];
/// Where sysctls begin; what is below is not judged, but for the two lists above.
const ROOTS: &[&str] = &["abi", "debug", "dev", "fs", "kernel", "net", "user", "vm"];
/// What is below `net.`, of Linux and of FreeBSD.
const NETS: &[&str] = &[
    "bridge",
    "core",
    "ipv4",
    "ipv6",
    "mptcp",
    "mpls",
    "netfilter",
    "sctp",
    "unix",
    "nf_conntrack_max",
    "inet",
    "inet6",
];

fn of_family(name: &str, families: &[&str]) -> bool {
    families.iter().any(|f| name.starts_with(f))
}

/// A name is known, or the error says what was expected in its place.
type Known = Result<(), String>;

/// Of a system call; `counted` are those whose arguments are.
pub(super) fn call(name: &str, counted: impl Iterator<Item = &'static str> + Clone) -> Known {
    let all = counted.chain(CALLS.iter().copied());
    let list = all.clone().collect::<Vec<_>>().join(", ");
    known("system call", name, all, of_family(name, CALL_FAMILIES), &format!("one of {list}"))
}

/// Of a constant.
pub(super) fn constant(name: &str) -> Known {
    let all = symbols::names().chain(CONSTANTS.iter().copied());
    let as_these = "a name of the socket interface, as SO_ERROR, TCP_NODELAY or MSG_PEEK";
    known("constant", name, all, of_family(name, CONSTANT_FAMILIES), as_these)
}

/// Of an error.
pub(super) fn errno(name: &str) -> Known {
    known("error", name, symbols::errnos(), false, "the name of an error, as EAGAIN")
}

/// Of a function within an argument.
pub(super) fn function(name: &str) -> Known {
    known("function", name, FUNCTIONS.iter().copied(), false, &format!("one of {}", FUNCTIONS.join(", ")))
}

/// Of a field of a structure.
pub(super) fn field(name: &str) -> Known {
    if name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return constant(name);
    }
    let as_these = "a field of a structure, as sa_family, events or msg_iov";
    known("field", name, FIELDS.iter().copied(), of_family(name, FIELD_FAMILIES), as_these)
}

/// Of what code speaks of.
pub(crate) fn in_code(name: &str) -> Known {
    let as_these = "a field of tcp_info, as tcpi_rtt, or a name that the code has assigned";
    known("name", name, IN_CODE.iter().copied(), of_family(name, CODE_FAMILIES), as_these)
}

/// Of a sysctl, with dots.
pub(super) fn sysctl(key: &str) -> Known {
    let mut parts = key.splitn(3, '.');
    let (root, net, rest) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    // Names of the same family are offered, with what stands before them.
    let judge = |name: &str, all: &'static [&'static str], before: &str, otherwise: &str| {
        near(name, all.iter().copied()).map_err(|near| {
            let near: Vec<String> = near.iter().map(|n| format!("{before}{n}")).collect();
            unknown("sysctl", key, &near, otherwise)
        })
    };
    judge(root, ROOTS, "", "one below net., as net.ipv4.tcp_sack")?;
    match (root, net, rest) {
        ("net", None, _) => Err(unknown("sysctl", key, &[], "one below net., as net.ipv4.tcp_sack")),
        ("net", Some("ipv4"), Some(name)) if !name.contains('.') => {
            judge(name, IPV4, "net.ipv4.", "a sysctl of Linux's")
        }
        ("net", Some("core"), Some(name)) if !name.contains('.') => {
            judge(name, CORE, "net.core.", "a sysctl of Linux's")
        }
        ("net", Some(net), _) => judge(net, NETS, "net.", "one below net.ipv4, net.ipv6 or net.core"),
        _ => Ok(()),
    }
}

/// Of the first word of a statement in code that is none of Python's.
pub(super) fn statement(name: &str) -> String {
    unknown("statement", name, &["assert".into()], "")
}

fn known(what: &str, name: &str, all: impl Iterator<Item = &'static str>, of_family: bool, otherwise: &str) -> Known {
    if of_family {
        return Ok(());
    }
    near(name, all).map_err(|near| {
        let near: Vec<String> = near.into_iter().map(str::to_string).collect();
        unknown(what, name, &near, otherwise)
    })
}

fn unknown(what: &str, name: &str, near: &[String], otherwise: &str) -> String {
    let expected = if near.is_empty() { otherwise.to_string() } else { near.join(" or ") };
    format!("unknown {what} {}: expected {expected}", short(name))
}

/// A name as a message has it: of a very long one only the beginning.
pub(super) fn short(name: &str) -> String {
    const MOST: usize = 40;
    let shown: String = name.chars().take(MOST).collect();
    if shown.len() < name.len() { shown + ".." } else { shown }
}

/// How many names are offered at most.
const OFFERED: usize = 3;

/// `name` is one of them, or the error has those of them that are nearest to it, if they are near.
fn near(name: &str, all: impl Iterator<Item = &'static str>) -> Result<(), Vec<&'static str>> {
    let most = 1 + name.len().min(12) / 4;
    let (mut least, mut nearest) = (most, Vec::new());
    for other in all {
        if other == name {
            return Ok(());
        }
        if other.len().abs_diff(name.len()) > least {
            continue;
        }
        let d = distance(name, other);
        if d < least {
            nearest.clear();
        }
        if d <= least {
            least = d;
            nearest.push(other);
        }
    }
    nearest.truncate(OFFERED);
    Err(nearest)
}

/// How many letters must be put in, left out, changed, or exchanged with their neighbor to come from one to the other; small
/// and large letters count as the same.
fn distance(a: &str, b: &str) -> usize {
    let lower = |s: &str| s.bytes().map(|c| c.to_ascii_lowercase()).collect::<Vec<u8>>();
    let (a, b) = (lower(a), lower(b));
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut d = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(before[j - 2] + 1);
            }
            next.push(d);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("", "ab", 2),
            ("setsokopt", "setsockopt", 1),
            ("TCP_NODELAI", "TCP_NODELAY", 1),
            ("recieve", "receive", 1),
            ("tcp_nodelay", "TCP_NODELAY", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_are_offered_and_others_are_not() {
        assert_eq!(constant("SO_REUSEADDR"), Ok(()));
        assert_eq!(constant("SO_REUSADR"), Err("unknown constant SO_REUSADR: expected SO_REUSEADDR".into()));
        assert_eq!(
            constant("BANANA"),
            Err("unknown constant BANANA: expected a name of the socket interface, as SO_ERROR, TCP_NODELAY or MSG_PEEK".into())
        );
        assert_eq!(errno("EAGIAN"), Err("unknown error EAGIAN: expected EAGAIN".into()));
        assert!(constant(&"X".repeat(100_000)).unwrap_err().len() < 200);
        // Of many that are as near, only a few.
        assert!(constant("TCP_NLA_X").unwrap_err().matches(" or ").count() < OFFERED);
    }

    #[test]
    fn sysctls_of_lists_and_of_trees() {
        for known in [
            "net.ipv4.tcp_sack",
            "net.core.somaxconn",
            "net.ipv4.conf.all.rp_filter",
            "net.ipv6.conf.all.disable_ipv6",
            "net.inet.tcp.rfc1323",
            "kernel.hostname",
            "net.mptcp.enabled",
        ] {
            assert_eq!(sysctl(known), Ok(()), "{known}");
        }
        for (unknown, expected) in [
            ("net.ipv4.tcp_sakc", "net.ipv4.tcp_sack"),
            ("net.core.somaxcon", "net.core.somaxconn"),
            ("net.ipv5.tcp_sack", "net.ipv4 or net.ipv6"),
            ("nett.ipv4.tcp_sack", "net"),
            ("net", "one below net., as net.ipv4.tcp_sack"),
            ("net.ipv4.frobnicate", "a sysctl of Linux's"),
        ] {
            assert_eq!(sysctl(unknown), Err(format!("unknown sysctl {unknown}: expected {expected}")));
        }
    }
}
