//! What a connection tells of itself, under the names that `ss` uses.

use crate::connection::{Connection, Phase};
use crate::ecn::{FIRST_CEP, Feedback, Options};
use crate::rcv::ecn::Receiver;
use crate::snd::ecn::Sender;
use crate::state::State;
use crate::tcb::Counters;
use synfin_wire::SeqNum;

/// A snapshot. Times in microseconds, sizes in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// The state.
    pub state: State,
    /// SRTT.
    pub rtt_us: u32,
    /// RTTVAR.
    pub rttvar_us: u32,
    /// RTO, back-off not included.
    pub rto_us: u32,
    /// The least round-trip time measured.
    pub minrtt_us: u32,
    /// How often the timeout is doubled now.
    pub backoff: u8,
    /// cwnd in octets.
    pub cwnd: u32,
    /// ssthresh in octets.
    pub ssthresh: u32,
    /// SendMSS without the timestamps' room.
    pub mss: u16,
    /// What we announced.
    pub rcvmss: u16,
    /// Snd.Wind.Shift and Rcv.Wind.Shift.
    pub wscale: (u8, u8),
    /// Octets sent and not acknowledged.
    pub unacked: u32,
    /// Octets written and not sent.
    pub notsent: u32,
    /// Octets received that the user has not taken.
    pub rcv_queued: u32,
    /// Octets of urgent data that the user has not read, those still to come included: from what is read next to RCV.UP.
    pub urgent: u32,
    /// SND.WND.
    pub snd_wnd: u32,
    /// RCV.WND.
    pub rcv_wnd: u32,
    /// SND.UNA, SND.NXT, RCV.NXT.
    pub seq: (SeqNum, SeqNum, SeqNum),
    /// Unacknowledged retransmissions in a row.
    pub retries: u8,
    /// Whether timestamps and SACK are in use.
    pub options: (bool, bool),
    /// ECN, what has come of it, and what was told.
    pub ecn: EcnStatus,
    /// Totals.
    pub counters: Counters,
}

/// ECN, as `ss` and `tcp_info` tell it: `ecn` or `accecn`, `ecnseen`, and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcnStatus {
    /// The kind of feedback.
    pub feedback: Feedback,
    /// Whether packets with an ECN codepoint have come.
    pub seen: bool,
    /// Whether our new text is marked as ECN-capable.
    pub ect: bool,
    /// AccECN options of the peer.
    pub options: Options,
    /// Packets of ours that were marked, as the peer tells by AccECN, or that were acknowledged with ECE.
    pub delivered_ce: u32,
    /// Octets of our text that were marked, that arrived as ECT(0), as ECT(1).
    pub delivered_bytes: (u32, u32, u32),
    /// Packets of the peer that came marked; counted with AccECN.
    pub received_ce: u32,
    /// Octets of its text that came marked, as ECT(0), as ECT(1).
    pub received_bytes: (u32, u32, u32),
}

impl EcnStatus {
    fn of(s: &Sender, r: &Receiver) -> EcnStatus {
        EcnStatus {
            feedback: r.feedback,
            seen: r.seen,
            ect: s.ect,
            options: s.options,
            delivered_ce: s.cep.wrapping_sub(FIRST_CEP),
            delivered_bytes: (s.ceb, s.e0b.wrapping_sub(1), s.e1b.wrapping_sub(1)),
            received_ce: r.cep.wrapping_sub(FIRST_CEP),
            received_bytes: (r.ceb, r.e0b.wrapping_sub(1), r.e1b.wrapping_sub(1)),
        }
    }
}

impl Connection {
    /// A snapshot of the connection (STATUS call, RFC 9293 3.10.6).
    pub fn status(&self) -> Status {
        let state = self.state();
        let Phase::Synchronized(t) = &self.phase else { return Status { state, ..Status::default() } };
        let (s, r, n) = (&t.snd, &t.rcv, &t.negotiated);
        Status {
            state,
            rtt_us: s.rtt.srtt_us,
            rttvar_us: s.rtt.rttvar_us,
            rto_us: s.rtt.rto_us,
            minrtt_us: s.rtt.min_us,
            backoff: s.rtt.backoff,
            cwnd: s.window.cwnd,
            ssthresh: s.window.ssthresh,
            mss: s.mss,
            rcvmss: r.mss,
            wscale: (n.snd_shift, n.rcv_shift),
            unacked: s.flight(),
            notsent: s.queue.end().diff(s.nxt).max(0) as u32,
            rcv_queued: r.queue.len(),
            urgent: t.urgent_left(),
            snd_wnd: s.wnd,
            rcv_wnd: r.wnd(),
            seq: (s.una, s.nxt, r.nxt),
            retries: s.retries,
            options: (n.timestamps, n.sack),
            ecn: EcnStatus::of(&s.ecn, &r.ecn),
            counters: *t.counters,
        }
    }
}
