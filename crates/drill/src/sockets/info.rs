//! `TCP_INFO`: what a connection tells of itself, as Linux lays it out (include/uapi/linux/tcp.h is the interface).

use synfin_stack::engine::ecn::Options;
use synfin_stack::engine::snd::recovery::Phase;
use synfin_stack::engine::{Instant, State, Status, TcpConfig};

/// Linux's number of a state.
fn state_number(s: State) -> u8 {
    match s {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

/// Linux's number of where recovery stands: open, disorder, recovery, loss.
fn ca_state(s: &Status) -> u64 {
    match s.recovery {
        Phase::Open if s.sacked == 0 => 0,
        Phase::Open => 1,
        Phase::Recovery => 3,
        Phase::Loss => 4,
    }
}

/// The state that Linux's number stands for.
pub fn state_of_number(n: u64) -> Option<State> {
    use State::*;
    let all =
        [Established, SynSent, SynReceived, FinWait1, FinWait2, TimeWait, Closed, CloseWait, LastAck, Listen, Closing];
    all.into_iter().find(|s| u64::from(state_number(*s)) == n)
}

fn segments(octets: u32, mss: u16) -> u32 {
    octets.div_ceil(u32::from(mss).max(1))
}

/// The fields by the names of the interface, as they are at `now`. What nothing here knows is not among them (as
/// `tcpi_probes`, `tcpi_rcv_mss`), so that nobody asserts of it what is made up; in the structure it is zero.
pub fn info_fields(s: &Status, cfg: &TcpConfig, now: Instant) -> Vec<(&'static str, u64)> {
    let ago = |at: Instant| match at {
        Instant::ZERO => 0,
        at => now.since(at).as_millis() as u64 & u64::from(u32::MAX),
    };
    let e = &s.ecn;
    let (mode, opt_seen) = (e.feedback as u64, if e.options == Options::Zeroed { 3 } else { 2 * e.options as u64 });
    let options = u64::from(s.options.0)
        | u64::from(s.options.1) << 1
        | u64::from(s.wscale != (0, 0)) << 2
        | u64::from(mode != 0) << 3
        | u64::from(e.seen) << 4
        | u64::from(s.fast_open) << 5;
    let cwnd = if s.mss == 0 { u32::from(cfg.initial_window) } else { s.cwnd / u32::from(s.mss).max(1) };
    let ssthresh = if s.ssthresh >= 1 << 30 { 0x7fff_ffff } else { s.ssthresh / u32::from(s.mss).max(1) };
    vec![
        ("tcpi_state", u64::from(state_number(s.state))),
        ("tcpi_ca_state", ca_state(s)),
        ("tcpi_retransmits", u64::from(s.retries)),
        ("tcpi_backoff", u64::from(s.backoff)),
        ("tcpi_options", options),
        ("tcpi_snd_wscale", u64::from(s.wscale.0)),
        ("tcpi_rcv_wscale", u64::from(s.wscale.1)),
        ("tcpi_rto", u64::from(s.rto_us)),
        ("tcpi_ato", cfg.delayed_ack.as_micros() as u64),
        ("tcpi_snd_mss", u64::from(s.mss)),
        ("tcpi_unacked", u64::from(segments(s.unacked, s.mss))),
        ("tcpi_sacked", u64::from(segments(s.sacked, s.mss))),
        ("tcpi_lost", u64::from(segments(s.lost, s.mss))),
        ("tcpi_retrans", u64::from(segments(s.retrans_out, s.mss))),
        ("tcpi_fackets", 0),
        ("tcpi_last_data_sent", ago(s.lastsnd)),
        // Linux does not remember that either.
        ("tcpi_last_ack_sent", 0),
        ("tcpi_last_data_recv", ago(s.lastrcv)),
        ("tcpi_last_ack_recv", ago(s.lastack)),
        ("tcpi_pmtu", u64::from(s.pmtu)),
        ("tcpi_rcv_ssthresh", u64::from(s.rcv_wnd)),
        ("tcpi_rtt", u64::from(s.rtt_us)),
        ("tcpi_rttvar", u64::from(s.rttvar_us)),
        ("tcpi_snd_ssthresh", u64::from(ssthresh)),
        ("tcpi_snd_cwnd", u64::from(cwnd)),
        ("tcpi_advmss", u64::from(s.advmss)),
        ("tcpi_reordering", u64::from(s.reordering.max(3))),
        ("tcpi_rcv_rtt", u64::from(s.rcv_rtt_us)),
        ("tcpi_rcv_space", u64::from(s.rcv_space)),
        ("tcpi_total_retrans", s.counters.retrans),
        ("tcpi_pacing_rate", s.pacing_rate),
        ("tcpi_bytes_acked", s.counters.bytes_acked),
        ("tcpi_bytes_received", s.counters.bytes_received),
        ("tcpi_segs_out", s.counters.segs_out),
        ("tcpi_segs_in", s.counters.segs_in),
        ("tcpi_notsent_bytes", u64::from(s.notsent)),
        ("tcpi_min_rtt", u64::from(s.minrtt_us)),
        ("tcpi_delivered_ce", u64::from(e.delivered_ce)),
        ("tcpi_delivery_rate", s.delivery_rate),
        ("tcpi_delivery_rate_app_limited", u64::from(s.delivery_rate_app_limited)),
        ("tcpi_busy_time", s.busy.busy_us),
        ("tcpi_rwnd_limited", s.busy.rwnd_limited_us),
        ("tcpi_sndbuf_limited", s.busy.sndbuf_limited_us),
        ("tcpi_delivered", u64::from(segments(s.delivered.min(u64::from(u32::MAX)) as u32, s.mss))),
        ("tcpi_reord_seen", u64::from(s.reord_seen)),
        ("tcpi_bytes_sent", s.counters.bytes_sent),
        ("tcpi_bytes_retrans", s.counters.bytes_retrans),
        ("tcpi_snd_wnd", u64::from(s.snd_wnd)),
        ("tcpi_rcv_wnd", u64::from(s.rcv_wnd)),
        ("tcpi_received_ce", u64::from(e.received_ce)),
        ("tcpi_delivered_e1_bytes", u64::from(e.delivered_bytes.2)),
        ("tcpi_delivered_e0_bytes", u64::from(e.delivered_bytes.1)),
        ("tcpi_delivered_ce_bytes", u64::from(e.delivered_bytes.0)),
        ("tcpi_received_e1_bytes", u64::from(e.received_bytes.2)),
        ("tcpi_received_e0_bytes", u64::from(e.received_bytes.1)),
        ("tcpi_received_ce_bytes", u64::from(e.received_bytes.0)),
        ("tcpi_ecn_mode", mode),
        ("tcpi_accecn_opt_seen", opt_seen),
    ]
}

/// Where each field lies: offset, and octets. `tcpi_snd_wscale` and `tcpi_rcv_wscale` share the octet at 6, and
/// `tcpi_delivery_rate_app_limited` is the first bit of the one at 7.
const LAYOUT: &[(&str, usize, usize)] = &[
    ("tcpi_state", 0, 1),
    ("tcpi_ca_state", 1, 1),
    ("tcpi_retransmits", 2, 1),
    ("tcpi_backoff", 4, 1),
    ("tcpi_options", 5, 1),
    ("tcpi_rto", 8, 4),
    ("tcpi_ato", 12, 4),
    ("tcpi_snd_mss", 16, 4),
    ("tcpi_unacked", 24, 4),
    ("tcpi_sacked", 28, 4),
    ("tcpi_lost", 32, 4),
    ("tcpi_retrans", 36, 4),
    ("tcpi_fackets", 40, 4),
    ("tcpi_last_data_sent", 44, 4),
    ("tcpi_last_ack_sent", 48, 4),
    ("tcpi_last_data_recv", 52, 4),
    ("tcpi_last_ack_recv", 56, 4),
    ("tcpi_pmtu", 60, 4),
    ("tcpi_rcv_ssthresh", 64, 4),
    ("tcpi_rtt", 68, 4),
    ("tcpi_rttvar", 72, 4),
    ("tcpi_snd_ssthresh", 76, 4),
    ("tcpi_snd_cwnd", 80, 4),
    ("tcpi_advmss", 84, 4),
    ("tcpi_reordering", 88, 4),
    ("tcpi_rcv_rtt", 92, 4),
    ("tcpi_rcv_space", 96, 4),
    ("tcpi_total_retrans", 100, 4),
    ("tcpi_pacing_rate", 104, 8),
    ("tcpi_bytes_acked", 120, 8),
    ("tcpi_bytes_received", 128, 8),
    ("tcpi_segs_out", 136, 4),
    ("tcpi_segs_in", 140, 4),
    ("tcpi_notsent_bytes", 144, 4),
    ("tcpi_min_rtt", 148, 4),
    ("tcpi_delivered_ce", 196, 4),
    ("tcpi_delivery_rate", 160, 8),
    ("tcpi_busy_time", 168, 8),
    ("tcpi_rwnd_limited", 176, 8),
    ("tcpi_sndbuf_limited", 184, 8),
    ("tcpi_delivered", 192, 4),
    ("tcpi_bytes_sent", 200, 8),
    ("tcpi_bytes_retrans", 208, 8),
    ("tcpi_reord_seen", 220, 4),
    ("tcpi_snd_wnd", 228, 4),
    ("tcpi_rcv_wnd", 232, 4),
    ("tcpi_received_ce", 248, 4),
    ("tcpi_delivered_e1_bytes", 252, 4),
    ("tcpi_delivered_e0_bytes", 256, 4),
    ("tcpi_delivered_ce_bytes", 260, 4),
    ("tcpi_received_e1_bytes", 264, 4),
    ("tcpi_received_e0_bytes", 268, 4),
    ("tcpi_received_ce_bytes", 272, 4),
];

/// The octet that `tcpi_ecn_mode` and `tcpi_accecn_opt_seen` share.
const BITS: usize = 276;

/// `struct tcp_info`, up to its last field that is filled in, as it is at `now`.
pub fn info_bytes(s: &Status, cfg: &TcpConfig, now: Instant) -> Vec<u8> {
    let mut b = vec![0; 280];
    let fields = info_fields(s, cfg, now);
    for (name, at, len) in LAYOUT {
        let value = fields.iter().find(|(n, _)| n == name).map_or(0, |(_, v)| *v);
        b[*at..at + len].copy_from_slice(&value.to_ne_bytes()[..*len]);
    }
    b[6] = s.wscale.0 | s.wscale.1 << 4;
    let field = |name| fields.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v as u8);
    b[BITS] = field("tcpi_ecn_mode") | field("tcpi_accecn_opt_seen") << 2;
    b[7] = u8::from(s.delivery_rate_app_limited);
    b
}

/// The fields of a `struct tcp_info`; what it is too short for is zero.
pub fn info_of(bytes: &[u8]) -> Vec<(&'static str, u64)> {
    let field = |at: usize, len: usize| {
        let mut value = [0; 8];
        let there = bytes.get(at..at + len).unwrap_or(&[]);
        value[..there.len()].copy_from_slice(there);
        u64::from_ne_bytes(value)
    };
    let (scale, bits) = (field(6, 1), field(BITS, 1));
    let mut all: Vec<_> = LAYOUT.iter().map(|(name, at, len)| (*name, field(*at, *len))).collect();
    let app_limited = field(7, 1) & 1;
    all.extend([("tcpi_snd_wscale", scale & 15), ("tcpi_rcv_wscale", scale >> 4)]);
    all.extend([("tcpi_ecn_mode", bits & 3), ("tcpi_accecn_opt_seen", bits >> 2 & 3)]);
    all.push(("tcpi_delivery_rate_app_limited", app_limited));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_kernels() {
        // What libc declares ends with tcpi_total_retrans; its offsets are the compiler's.
        for (name, at) in [
            ("tcpi_rto", std::mem::offset_of!(libc::tcp_info, tcpi_rto)),
            ("tcpi_unacked", std::mem::offset_of!(libc::tcp_info, tcpi_unacked)),
            ("tcpi_last_ack_recv", std::mem::offset_of!(libc::tcp_info, tcpi_last_ack_recv)),
            ("tcpi_pmtu", std::mem::offset_of!(libc::tcp_info, tcpi_pmtu)),
            ("tcpi_snd_cwnd", std::mem::offset_of!(libc::tcp_info, tcpi_snd_cwnd)),
            ("tcpi_total_retrans", std::mem::offset_of!(libc::tcp_info, tcpi_total_retrans)),
        ] {
            assert_eq!(LAYOUT.iter().find(|l| l.0 == name).map(|l| l.1), Some(at), "{name}");
        }
        let status = Status { wscale: (7, 8), rtt_us: 70_000, snd_wnd: 1 << 20, pmtu: 1_400, ..Status::default() };
        let now = Instant::from_nanos(7_000_000_000);
        let fields = info_fields(&status, &TcpConfig::default(), now);
        let mut back = info_of(&info_bytes(&status, &TcpConfig::default(), now));
        back.sort_unstable();
        let mut told = fields.clone();
        told.sort_unstable();
        assert_eq!(back, told);
        assert!(info_of(&[]).iter().all(|f| f.1 == 0));
        for (name, at, len) in LAYOUT {
            assert!(fields.iter().any(|f| f.0 == *name) && at + len <= 280, "{name}");
        }
    }
}
