//! Settings of the engine. Defaults follow Linux where users will compare; the RFC's value stands beside each.
//!
//! One table makes the struct, its defaults, the parser behind `synfin drill --tcp KEY=VALUE` and the list that `synfin
//! settings` prints.

use crate::ecn::{OptionPolicy, Use};
use crate::snd::congestion::Algorithm;
use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;
use synfin_wire::tcp::layout::Layout;

/// A value that can be written as text.
trait Value: Copy {
    fn parse(s: &str) -> Option<Self>;
    fn show(self) -> String;
    fn in_range(self, _: u64, _: u64) -> bool {
        true
    }
    /// What there is to choose from: a range, or names.
    fn choices(lo: u64, hi: u64) -> String;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Value for $t {
            fn parse(s: &str) -> Option<Self> { s.parse().ok() }
            fn show(self) -> String { self.to_string() }
            fn in_range(self, lo: u64, hi: u64) -> bool { (lo..=hi).contains(&u64::from(self)) }
            fn choices(lo: u64, hi: u64) -> String { format!("{lo}..={hi}") }
        }
    )*};
}
number!(u8, u16, u32);

impl Value for bool {
    fn parse(s: &str) -> Option<Self> {
        match s {
            "on" | "true" | "1" => Some(true),
            "off" | "false" | "0" => Some(false),
            _ => None,
        }
    }
    fn show(self) -> String {
        if self { "on" } else { "off" }.to_string()
    }
    fn choices(_: u64, _: u64) -> String {
        "on, off".to_string()
    }
}

impl Value for Duration {
    /// `200ms`, `2h`, `75s`, `1m`, or a plain number of seconds (`0.5`).
    fn parse(s: &str) -> Option<Self> {
        let cut = s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len());
        let n: f64 = s[..cut].parse().ok()?;
        let unit = match &s[cut..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(n * unit).ok()
    }
    fn show(self) -> String {
        if self.subsec_millis() != 0 { format!("{}ms", self.as_millis()) } else { format!("{}s", self.as_secs()) }
    }
    fn in_range(self, lo: u64, hi: u64) -> bool {
        (u128::from(lo)..=u128::from(hi)).contains(&self.as_millis())
    }
    fn choices(lo: u64, hi: u64) -> String {
        format!("{}..={}", Duration::from_millis(lo).show(), Duration::from_millis(hi).show())
    }
}

/// How the first receive windows are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReceiveWindow {
    /// As large as the buffer, as Linux has it.
    #[default]
    Linux,
    /// As FreeBSD has it: 65,535 octets in a SYN, and after it whole segments, rounded up.
    FreeBsd,
}

impl ReceiveWindow {
    /// The window that holds once a SYN of ours with a window of `octets` has been sent.
    pub(crate) fn after_syn(self, octets: u32, mss: u16) -> u32 {
        match self {
            ReceiveWindow::Linux => octets,
            ReceiveWindow::FreeBsd => octets.next_multiple_of(u32::from(mss).max(1)),
        }
    }
}

/// What a probe of a shut window carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WindowProbe {
    /// The next octet (RFC 9293 3.8.6.1).
    #[default]
    Octet,
    /// Nothing: its sequence number, SND.UNA - 1, makes the peer answer. So does Linux.
    Empty,
}

/// When text is paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pacing {
    /// If the algorithm asks for it.
    #[default]
    Auto,
    /// Always: at twice cwnd a round trip in slow start, at 1.2 times it later.
    On,
    /// Never.
    Off,
}

/// Which slow starts watch the delay (HyStart++, RFC 9406).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HyStartUse {
    /// That of CUBIC.
    #[default]
    Cubic,
    /// That of Reno, too.
    On,
    /// None.
    Off,
}

/// What becomes of the congestion window in an idle time of more than one RTO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IdleRestart {
    /// It is the initial window at most (RFC 5681 4.1).
    #[default]
    Restart,
    /// It is kept for a while, and not trusted (RFC 7661).
    Validate,
    /// It is kept.
    Keep,
}

/// When a connection probes for what its path carries (RFC 4821).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MtuProbing {
    /// Never: it is left to routers to say.
    Off,
    /// Once timeouts make it suspect a black hole.
    #[default]
    Auto,
    /// From the start, and from the setting `mtu-base` on.
    On,
}

/// When SYNs are answered by cookies, and nothing is kept of them (RFC 4987 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SynCookies {
    /// Never: what a full SYN queue does not take is dropped.
    Off,
    /// When the SYN queue is full.
    #[default]
    Overflow,
    /// Always: the SYN queue stays empty.
    Always,
}

macro_rules! choice {
    ($($t:ty: $($name:literal => $value:ident),+;)*) => {$(
        impl Value for $t {
            fn parse(s: &str) -> Option<Self> {
                match s {
                    $($name => Some(Self::$value),)+
                    _ => None,
                }
            }
            fn show(self) -> String {
                match self {
                    $(Self::$value => $name,)+
                }
                .to_string()
            }
            fn choices(_: u64, _: u64) -> String {
                [$($name),+].join(", ")
            }
        }
    )*};
}
choice! {
    Layout: "linux" => Linux, "freebsd" => FreeBsd;
    ReceiveWindow: "linux" => Linux, "freebsd" => FreeBsd;
    WindowProbe: "octet" => Octet, "empty" => Empty;
    Use: "off" => Off, "accept" => Accept, "rfc3168" => Rfc3168, "accecn" => AccEcn, "rfc3168-accept-accecn" => Rfc3168AcceptAccEcn, "accept-accecn" => AcceptAccEcn;
    OptionPolicy: "off" => Off, "changed" => Changed, "simple" => Simple, "full" => Full, "persist" => Persist;
    Pacing: "auto" => Auto, "on" => On, "off" => Off;
    Algorithm: "reno" => Reno, "cubic" => Cubic, "dctcp" => Dctcp, "bbr" => Bbr;
    IdleRestart: "restart" => Restart, "validate" => Validate, "keep" => Keep;
    MtuProbing: "off" => Off, "auto" => Auto, "on" => On;
    SynCookies: "off" => Off, "overflow" => Overflow, "always" => Always;
    HyStartUse: "cubic" => Cubic, "on" => On, "off" => Off;
}

/// One setting, as `synfin settings` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, as given to `synfin drill --tcp`.
    pub key: &'static str,
    /// What there is to choose from: an inclusive range, or names.
    pub choices: String,
    /// The default, as text.
    pub default: String,
    /// Linux's name for it, or `-`.
    pub linux: &'static str,
    /// The RFC's value and where it stands.
    pub rfc: &'static str,
    /// What it does.
    pub help: &'static str,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $t:ty = $default:expr, $key:literal, $lo:literal..=$hi:literal, $linux:literal, $rfc:literal;)*) => {
        /// The settings of a connection. Interned by the stack: connections hold a reference, not a copy.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct TcpConfig { $($(#[doc = $doc])+ pub $field: $t,)* }

        impl Default for TcpConfig {
            fn default() -> Self { TcpConfig { $($field: $default,)* } }
        }

        impl TcpConfig {
            /// Sets `key` to `value`; the error is one line that says what is wrong, and what there is.
            pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
                match key {
                    $($key => {
                        let v = <$t as Value>::parse(value).filter(|v| v.in_range($lo, $hi));
                        let choices = || <$t as Value>::choices($lo, $hi);
                        self.$field = v.ok_or_else(|| format!("{key}: {value:?} is none of {}", choices()))?;
                        Ok(())
                    })*
                    _ => Err(format!("unknown setting {key:?}; there are {}", [$($key),*].join(", "))),
                }
            }

            /// Whether each of its settings is in its range, and they agree with each other; the error is one line that names the
            /// one, or both. To be asked when all are set. A first buffer that was not asked for gives way to a smaller maximum.
            pub fn check(&self) -> Result<(), String> {
                $(if !self.$field.in_range($lo, $hi) {
                    let (is, choices) = (self.$field.show(), <$t as Value>::choices($lo, $hi));
                    return Err(format!("{}: {is:?} is none of {choices}", $key));
                })*
                let d = TcpConfig::default();
                let above = |least: &str, most: &str| {
                    let show = |key| self.get(key).unwrap_or_default();
                    Err(format!("{least}: {} is above {most}, which is {}", show(least), show(most)))
                };
                if self.rto_min > self.rto_max {
                    return above("rto-min", "rto-max");
                }
                if self.rto_initial > self.rto_max {
                    return above("rto-initial", "rto-max");
                }
                if self.snd_buf_initial > self.snd_buf_max && self.snd_buf_initial != d.snd_buf_initial {
                    return above("snd-buf-initial", "snd-buf-max");
                }
                if self.rcv_buf_initial > self.rcv_buf_max && self.rcv_buf_initial != d.rcv_buf_initial {
                    return above("rcv-buf-initial", "rcv-buf-max");
                }
                if self.mtu_floor > self.mtu_base {
                    return above("mtu-floor", "mtu-base");
                }
                Ok(())
            }

            /// The value of `key`, as [`TcpConfig::set`] takes it; `None` if there is no such setting.
            pub fn get(&self, key: &str) -> Option<String> {
                match key {
                    $($key => Some(self.$field.show()),)*
                    _ => None,
                }
            }

            /// Every setting with its choices, default, Linux's name and the RFC's value.
            pub fn settings() -> alloc::vec::Vec<Setting> {
                let d = TcpConfig::default();
                alloc::vec![$(Setting {
                    key: $key, choices: <$t as Value>::choices($lo, $hi), default: d.$field.show(), linux: $linux, rfc: $rfc,
                    help: concat!($($doc),+).trim_ascii(),
                }),*]
            }
        }
    };
}

settings! {
    /// How often an unanswered SYN is sent again.
    syn_retries: u8 = 6, "syn-retries", 0..=127, "tcp_syn_retries", "at least 3 min in all (RFC 9293 3.8.3, MUST-23); 6 give 127 s";
    /// How many of them come a first wait apart, before waits double.
    syn_linear: u8 = 0, "syn-linear", 0..=127, "tcp_syn_linear_timeouts", "0 (RFC 6298 5.5)";
    /// How often an unanswered SYN+ACK is sent again.
    synack_retries: u8 = 5, "synack-retries", 0..=127, "tcp_synack_retries", "as above";
    /// SYNs are answered by cookies: `off`, `overflow` (when the SYN queue is full) or `always`.
    syn_cookies: SynCookies = SynCookies::Overflow, "syn-cookies", 0..=2, "tcp_syncookies: 0, 1, 2", "may (RFC 4987 3.6)";
    /// Fast Open, as bits that are added: 1 as a client, 2 as a server, 4 text leaves without a cookie, 512 text is taken without one, 1024 every listener is a server, as far as its backlog goes.
    //= RFC 7413 2 (a): off by default
    //= RFC 7413 4.2 (a)
    fastopen: u16 = 0, "fastopen", 0..=1_543, "tcp_fastopen", "off (RFC 7413 4.2)";
    /// How many connections of a listener may be open before their handshakes are over: PendingFastOpenRequests; 0 is no server.
    //= RFC 7413 4.2 (a): by port, for it is a setting of listeners
    fastopen_queue: u16 = 0, "fastopen-queue", 0..=65_535, "TCP_FASTOPEN", "a preset limit (RFC 7413 4.2)";
    /// The SYN waits for the first text, if there is a cookie with which it may carry it.
    //= RFC 7413 2 (a)
    fastopen_connect: bool = false, "fastopen-connect", 0..=1, "TCP_FASTOPEN_CONNECT", "off (RFC 7413 2)";
    /// As the bits 4 and 512 of fastopen, for one connection or listener.
    fastopen_no_cookie: bool = false, "fastopen-no-cookie", 0..=1, "TCP_FASTOPEN_NO_COOKIE", "off (RFC 7413 4.1.2)";
    /// For how long at most a port of a server is not tried again where Fast Open failed: two minutes at first, each time twice as long; 0 tries always.
    //= RFC 7413 4.1.3.1 (b)
    fastopen_blackhole: Duration = Duration::from_secs(3600), "fastopen-blackhole", 0..=2_147_483_647, "tcp_fastopen_blackhole_timeout_sec", "at least temporarily (RFC 7413 4.1.3.1)";
    /// A connection may be accepted when text has come, or after this time; 0: when its handshake is complete.
    defer_accept: Duration = Duration::ZERO, "defer-accept", 0..=3_600_000, "TCP_DEFER_ACCEPT", "-";
    /// Give up connecting after this, whatever the retries; 0 leaves it to them.
    connect_timeout: Duration = Duration::ZERO, "connect-timeout", 0..=86_400_000, "-", "-";
    /// Retransmissions before the network layer is told (R1).
    //= RFC 9293 3.8.3 SHLD-10
    retries1: u8 = 3, "retries1", 1..=255, "tcp_retries1", "R1 at least 3 (RFC 9293 3.8.3, SHLD-10)";
    /// Retransmissions before the connection is given up (R2).
    //= RFC 9293 3.8.3 SHLD-11
    retries2: u8 = 15, "retries2", 1..=255, "tcp_retries2", "R2 at least 100 s (RFC 9293 3.8.3, SHLD-11)";
    /// Retransmissions of a connection that the user has closed, before it is given up.
    orphan_retries: u8 = 8, "orphan-retries", 1..=255, "tcp_orphan_retries", "-";
    /// The retransmission timeout before the first measurement.
    rto_initial: Duration = Duration::from_secs(1), "rto-initial", 1..=120_000, "-", "1 s (RFC 6298 2.1)";
    /// The least retransmission timeout, unless rto-max is less.
    rto_min: Duration = Duration::from_millis(200), "rto-min", 1..=120_000, "tcp_rto_min_us", "1 s (RFC 6298 2.4)";
    /// The greatest retransmission timeout, that of the first segment as well.
    rto_max: Duration = Duration::from_secs(120), "rto-max", 1_000..=240_000, "tcp_rto_max_ms", "at least 60 s (RFC 6298 2.5)";
    /// Losses are found by time (RFC 8985); off: by three segments SACKed above (RFC 6675).
    rack: bool = true, "rack", 0..=1, "tcp_recovery", "RFC 8985, RFC 6675 5";
    /// Probes for the loss of the last segments (RFC 8985 7).
    tlp: bool = true, "tlp", 0..=1, "tcp_early_retrans", "RFC 8985 7";
    /// Timeouts that were none are found by F-RTO (RFC 5682).
    frto: bool = true, "frto", 0..=1, "tcp_frto", "RFC 5682";
    /// How long the peer may delay an acknowledgment, as a loss probe takes it (TLP.max_ack_delay).
    tlp_max_ack_delay: Duration = Duration::from_millis(200), "tlp-max-ack-delay", 0..=2_000, "TCP_RTO_MIN", "implementation specific (RFC 8985 7.2)";
    /// Text leaves at a rate, not in bursts: `auto` for algorithms that ask for it, or `on`, `off`.
    pacing: Pacing = Pacing::Auto, "pacing", 0..=1, "sk_pacing_status", "recommended (RFC 9937 6.4)";
    /// The congestion control.
    congestion: Algorithm = Algorithm::Cubic, "congestion", 0..=1, "tcp_congestion_control", "Reno (RFC 5681), CUBIC (RFC 9438)";
    /// Slow start that watches the delay: with `cubic`, `on` (with Reno too) or `off`.
    hystart: HyStartUse = HyStartUse::Cubic, "hystart", 0..=2, "hystart (tcp_cubic)", "with CUBIC (RFC 9438 4.10)";
    /// What becomes of the congestion window when nothing is sent for longer than an RTO: `restart`, `validate` or `keep`.
    idle_restart: IdleRestart = IdleRestart::Restart, "idle-restart", 0..=2, "tcp_slow_start_after_idle", "restart (RFC 5681 4.1), validate (RFC 7661)";
    /// Connections begin with the round-trip time and ssthresh that earlier ones to the same host found.
    share_path: bool = false, "share-path", 0..=1, "tcp_no_metrics_save: 1, 0", "may (RFC 9040)";
    /// The initial window, in segments.
    initial_window: u8 = 10, "initial-window", 1..=100, "initcwnd", "10 (RFC 6928)";
    /// Segments by which slow start may grow per acknowledgment (L of RFC 3465, as in RFC 9406 4.3).
    slow_start_limit: u8 = 8, "slow-start-limit", 1..=255, "-", "8 (RFC 9406 4.3), 2 (RFC 3465)";
    /// How long an acknowledgment may wait.
    //= RFC 9293 3.8.6.3 MUST-40
    //= RFC 5681 4.2 (a)
    delayed_ack: Duration = Duration::from_millis(40), "delayed-ack", 0..=499, "TCP_DELACK_MIN", "under 500 ms (RFC 9293 3.8.6.3, MUST-40)";
    /// How long the acknowledgment of a FIN that comes after silence may wait for a FIN of ours to carry it.
    fin_ack_delay: Duration = Duration::from_millis(2), "fin-ack-delay", 0..=499, "-", "-";
    /// Segments acknowledged at once when a connection begins, and when text comes after more than an RTO without. If not
    /// 0, pushed text is acknowledged when it is read (in either case not from a peer that is being answered).
    quick_acks: u8 = 16, "quick-acks", 0..=255, "TCP_QUICKACK", "-";
    /// Send small segments at once (Nagle's algorithm off).
    //= RFC 9293 3.7.4 MUST-17
    nodelay: bool = false, "nodelay", 0..=1, "TCP_NODELAY", "off (RFC 9293 3.7.4, MUST-17 asks that it can be on)";
    /// Text that does not fill a segment waits until this is off again, or nothing is out and sws-override has passed.
    cork: bool = false, "cork", 0..=1, "TCP_CORK", "-";
    /// Octets from which on a connection counts as readable; less is enough at its end, or when the window is shut.
    rcv_lowat: u32 = 1, "rcv-lowat", 1..=1_073_741_824, "SO_RCVLOWAT", "-";
    /// Octets of free room from which on a connection counts as writable; all of the buffer is always enough.
    snd_lowat: u32 = 1, "snd-lowat", 1..=1_073_741_824, "SO_SNDLOWAT", "-";
    /// The least and first size of the receive buffer; not more than rcv-buf-max.
    rcv_buf_initial: u32 = 131_072, "rcv-buf-initial", 2_048..=1_073_741_824, "tcp_rmem[1]", "-";
    /// The size up to which the receive buffer grows.
    rcv_buf_max: u32 = 6_291_456, "rcv-buf-max", 2_048..=1_073_725_440, "tcp_rmem[2]", "under 2^30 (RFC 7323 2.3)";
    /// The least and first size of the send buffer; not more than snd-buf-max.
    snd_buf_initial: u32 = 131_072, "snd-buf-initial", 2_048..=1_073_741_824, "tcp_wmem[1]", "-";
    /// The size up to which the send buffer grows with the congestion window.
    snd_buf_max: u32 = 4_194_304, "snd-buf-max", 2_048..=1_073_741_824, "tcp_wmem[2]", "-";
    /// Window scaling.
    window_scaling: bool = true, "window-scaling", 0..=1, "tcp_window_scaling", "on (RFC 7323)";
    /// Timestamps.
    timestamps: bool = true, "timestamps", 0..=1, "tcp_timestamps", "on (RFC 7323)";
    /// Selective acknowledgment.
    sack: bool = true, "sack", 0..=1, "tcp_sack", "on (RFC 2018)";
    /// Duplicate selective acknowledgment.
    dsack: bool = true, "dsack", 0..=1, "tcp_dsack", "on (RFC 2883)";
    /// ECN: `off`, `accept` (RFC 3168 when asked for it), `rfc3168` (ask for it), `accecn` (ask for RFC 9768, grant both), `accept-accecn` (grant both, ask for none), `rfc3168-accept-accecn`.
    ecn: Use = Use::Accept, "ecn", 0..=5, "tcp_ecn: 0, 2, 1, 3, 5, 4", "on (RFC 8311: allowed and useful, never required)";
    /// When acknowledgments carry an AccECN option: `off`, `changed`, `simple`, `full`, `persist`.
    accecn_option: OptionPolicy = OptionPolicy::Simple, "accecn-option", 0..=4, "tcp_ecn_option: 0, 1, -, 2, 3", "simple (RFC 9768 3.2.3.3)";
    /// How often in a round trip `changed` repeats the AccECN option while counters move; 0: not.
    accecn_beacon: u8 = 3, "accecn-beacon", 0..=63, "tcp_ecn_option_beacon", "- (RFC 9768 3.2.3.3: every n acknowledgments)";
    /// With AccECN, mark also what carries no new text as ECN-capable: acknowledgments, what is sent again.
    ecn_control: bool = false, "ecn-control", 0..=1, "-", "off (RFC 3168 6.1.4, 6.1.5); RFC 8311 4.3 allows experiments";
    /// With RFC 3168, ECE tells of each packet instead of standing until CWR: what a DCTCP sender wants of its peer.
    ecn_each: bool = false, "ecn-each", 0..=1, "TCP_CONGESTION=dctcp", "off (RFC 3168 6.1.3), on (RFC 8257 3.2)";
    /// How many pieces may wait out of order on one connection. What they pin is bounded by the receive buffer.
    reassembly_pieces: u16 = 65_535, "reassembly-pieces", 1..=65_535, "-", "-";
    /// The MSS announced, and the most that we send; 0 takes the link's MTU less the headers.
    mss: u16 = 0, "mss", 0..=65_495, "TCP_MAXSEG", "MTU - headers (RFC 9293 3.7.1, MUST-67)";
    /// The least MSS that a peer or a router can talk us down to.
    mss_min: u16 = 88, "mss-min", 48..=1_460, "tcp_min_snd_mss", "536 unless path MTU discovery says less (RFC 9293 3.7.1)";
    /// Whether a connection finds out by itself what its path carries (RFC 4821): `auto`, once it suspects a black hole; `on`, from the start, from mtu-base on.
    mtu_probing: MtuProbing = MtuProbing::Auto, "mtu-probing", 0..=2, "tcp_mtu_probing: 0, 1, 2", "recommended (RFC 4821 7.7)";
    /// The MSS, beside the options that every segment has, to which a black hole brings it down, or from which the search begins.
    mtu_base: u16 = 1_024, "mtu-base", 48..=65_495, "tcp_base_mss", "1024 octets, as MTU (RFC 4821 7.2)";
    /// The MSS below which a black hole does not bring it, nor does mss-min.
    mtu_floor: u16 = 48, "mtu-floor", 48..=65_495, "tcp_mtu_probe_floor", "68 octets, 1280 with IPv6, or less, as MTU (RFC 4821 7.7)";
    /// The search is at its end when fewer octets are left in doubt.
    //= RFC 4821 7.3
    mtu_threshold: u16 = 8, "mtu-threshold", 1..=65_535, "tcp_probe_threshold", "small enough (RFC 4821 7.3)";
    /// How long a search that is at its end rests before it begins again.
    //= RFC 4821 7.3: not less than five minutes
    mtu_raise: Duration = Duration::from_secs(600), "mtu-raise", 300_000..=2_147_483_647, "tcp_probe_interval", "10 min, at least 5 (RFC 4821 7.3)";
    /// The hop limit of its packets; 0 takes the host's.
    //= RFC 9293 3.9.2 MUST-49
    ttl: u8 = 0, "ttl", 0..=255, "IP_TTL", "64 (RFC 9293 3.9.2, MUST-49: configurable)";
    /// The differentiated services codepoint of its packets, from the SYN on; 46 is Expedited Forwarding.
    //= RFC 2474 3
    dscp: u8 = 0, "dscp", 0..=63, "IP_TOS >> 2, IPV6_TCLASS >> 2", "0, the default (RFC 2474 4.1)";
    /// In which order a SYN carries its options: `linux` or `freebsd`.
    layout: Layout = Layout::Linux, "layout", 0..=1, "-", "-";
    /// How the first receive windows are measured: `linux` or `freebsd`.
    rcv_window: ReceiveWindow = ReceiveWindow::Linux, "rcv-window", 0..=1, "-", "-";
    /// What a probe of a shut window carries: `octet` or `empty`.
    window_probe: WindowProbe = WindowProbe::Octet, "window-probe", 0..=1, "-", "one octet (RFC 9293 3.8.6.1)";
    /// Keepalive.
    //= RFC 9293 3.8.4 MUST-25
    keepalive: bool = false, "keepalive", 0..=1, "SO_KEEPALIVE", "off (RFC 9293 3.8.4, MUST-25)";
    /// Idle time before the first keepalive probe.
    //= RFC 9293 3.8.4 MUST-27 MUST-28
    keepalive_idle: Duration = Duration::from_secs(7200), "keepalive-idle", 10..=2_147_483_647, "tcp_keepalive_time", "at least 2 h (RFC 9293 3.8.4, MUST-28)";
    /// Time between keepalive probes.
    keepalive_interval: Duration = Duration::from_secs(75), "keepalive-interval", 10..=2_147_483_647, "tcp_keepalive_intvl", "-";
    /// Unanswered keepalive probes before the peer is taken for dead.
    keepalive_count: u8 = 9, "keepalive-count", 1..=127, "tcp_keepalive_probes", "more than one (RFC 9293 3.8.4, MUST-26)";
    /// Give up when sent data, or a SYN, stays unacknowledged for this long; 0 leaves it to the retries.
    user_timeout: Duration = Duration::ZERO, "user-timeout", 0..=2_147_483_647, "TCP_USER_TIMEOUT", "5 min (RFC 9293 3.9.1.1, as an example)";
    /// How long a closed connection waits for the peer's FIN; 0 waits for ever.
    fin_wait_2: Duration = Duration::from_secs(60), "fin-wait-2", 0..=2_147_483_647, "tcp_fin_timeout", "for ever";
    /// 2 MSL. Of the host: TIME-WAIT is one queue, so all connections wait equally long; on a single one it is ignored.
    //= RFC 9293 3.6.1 MUST-13
    time_wait: Duration = Duration::from_secs(60), "time-wait", 0..=2_147_483_647, "TCP_TIMEWAIT_LEN", "4 min (RFC 9293 3.4.2)";
    /// A RST does not end TIME-WAIT (RFC 1337). Of the host, as time-wait; on a single connection it is ignored.
    rfc1337: bool = true, "rfc1337", 0..=1, "tcp_rfc1337", "on (RFC 1337 fix F1)";
    /// The least time between two challenge ACKs, or two answers to unacceptable empty segments, of one connection.
    challenge_interval: Duration = Duration::from_millis(500), "challenge-interval", 0..=60_000, "tcp_invalid_ratelimit", "10 in 5 s (RFC 5961 7)";
    /// The override timeout of sender-side silly-window avoidance.
    sws_override: Duration = Duration::from_millis(200), "sws-override", 100..=1_000, "-", "0.1 to 1.0 s (RFC 9293 3.8.6.2.1)";
}

impl Algorithm {
    /// The algorithm of a name, as `TCP_CONGESTION` takes it.
    pub fn named(name: &str) -> Option<Algorithm> {
        Value::parse(name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Reno => "reno",
            Algorithm::Cubic => "cubic",
            Algorithm::Dctcp => "dctcp",
            Algorithm::Bbr => "bbr",
        }
    }
}

impl TcpConfig {
    /// The smallest window scale shift that covers the greatest receive buffer (RFC 7323 2.3: at most 14).
    //= RFC 7323 2.3 (e)
    pub fn window_shift(&self) -> u8 {
        (0..14).find(|s| self.rcv_buf_max <= 65_535 << s).unwrap_or(14)
    }

    /// The first size of the receive buffer. A window of it must be one that the shift can say.
    pub(crate) fn first_rcv_buf(&self) -> u32 {
        self.rcv_buf_initial.min(self.rcv_buf_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 7323 2.3 (e)
    fn the_shift_is_the_smallest_that_covers_the_buffer() {
        let shift = |max| TcpConfig { rcv_buf_max: max, ..TcpConfig::default() }.window_shift();
        assert_eq!(TcpConfig::default().window_shift(), 7);
        assert_eq!((shift(65_535), shift(65_536), shift(1 << 30)), (0, 1, 14));
        let small = TcpConfig { rcv_buf_max: 20_000, ..TcpConfig::default() };
        assert!(small.rcv_buf_initial > small.rcv_buf_max, "contradictory");
        assert_eq!((small.window_shift(), small.first_rcv_buf()), (0, 20_000), "the maximum holds");
    }

    #[test]
    fn what_is_out_of_its_range_is_named_however_it_was_set() {
        let d = TcpConfig::default;
        for (wrong, said) in [
            (TcpConfig { keepalive_count: 0, ..d() }, "keepalive-count: \"0\" is none of 1..=127"),
            (TcpConfig { dscp: 64, ..d() }, "dscp: \"64\" is none of 0..=63"),
            (TcpConfig { rto_min: Duration::ZERO, ..d() }, "rto-min: \"0s\" is none of 1ms..=120s"),
            (TcpConfig { rcv_buf_max: 1 << 31, ..d() }, "rcv-buf-max: \"2147483648\" is none of 2048..=1073725440"),
        ] {
            assert_eq!(wrong.check(), Err(said.to_string()));
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        for (pairs, said) in [
            (&[("rto-min", "100s"), ("rto-max", "60s")][..], Some("rto-min: 100s is above rto-max, which is 60s")),
            (&[("rto-max", "1s"), ("rto-initial", "2s")], Some("rto-initial: 2s is above rto-max, which is 1s")),
            (
                &[("snd-buf-initial", "9000"), ("snd-buf-max", "8000")],
                Some("snd-buf-initial: 9000 is above snd-buf-max, which is 8000"),
            ),
            (
                &[("rcv-buf-initial", "7000000")],
                Some("rcv-buf-initial: 7000000 is above rcv-buf-max, which is 6291456"),
            ),
            (&[("mtu-floor", "1025")], Some("mtu-floor: 1025 is above mtu-base, which is 1024")),
            (&[("snd-buf-max", "4000"), ("rcv-buf-max", "4000")], None),
            (&[("rto-min", "1s"), ("rto-max", "1s")], None),
            (&[], None),
        ] {
            let mut c = TcpConfig::default();
            pairs.iter().for_each(|(key, value)| c.set(key, value).expect("each is in its range"));
            assert_eq!(c.check().err().as_deref(), said, "{pairs:?}");
        }
    }

    #[test]
    //= RFC 5681 4.2 (a)
    //= RFC 9293 3.8.6.3 MUST-40: the range of delayed-ack ends below half a second
    fn settings_are_read_checked_and_listed() {
        let mut c = TcpConfig::default();
        assert_eq!(c.set("syn-retries", "4"), Ok(()));
        assert_eq!(c.set("time-wait", "1500ms"), Ok(()));
        assert_eq!(c.set("nodelay", "on"), Ok(()));
        assert_eq!((c.syn_retries, c.time_wait, c.nodelay), (4, Duration::from_millis(1500), true));
        assert_eq!(c.set("delayed-ack", "1s").unwrap_err(), "delayed-ack: \"1s\" is none of 0s..=499ms");
        for (value, why) in [("x", "\"x\""), ("-1", "\"-1\""), ("300", "\"300\""), ("99999999999", "\"99999999999\"")] {
            assert_eq!(c.set("syn-retries", value).unwrap_err(), format!("syn-retries: {why} is none of 0..=127"));
        }
        assert_eq!(c.set("sack", "2").unwrap_err(), "sack: \"2\" is none of on, off");
        assert_eq!(
            c.set("congestion", "vegas").unwrap_err(),
            "congestion: \"vegas\" is none of reno, cubic, dctcp, bbr"
        );
        let unknown = c.set("nonsense", "1").unwrap_err();
        assert!(unknown.starts_with("unknown setting \"nonsense\"; there are syn-retries, "), "{unknown}");
        assert!(TcpConfig::settings().iter().all(|s| unknown.contains(s.key)), "{unknown}");
        for s in TcpConfig::settings() {
            assert_eq!(TcpConfig::default().set(s.key, &s.default), Ok(()), "{} takes its own default", s.key);
            assert_eq!(TcpConfig::default().get(s.key), Some(s.default));
        }
    }
}
