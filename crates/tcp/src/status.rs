//! What a connection tells of itself, under the names that `ss` uses.

use crate::arrives::syn_received::SynReceived;
use crate::arrives::syn_sent::SynSent;
use crate::connection::{Connection, Phase};
use crate::ecn::{FIRST_CEP, Feedback, Options};
use crate::rcv::ecn::Receiver;
use crate::snd::busy::Busy;
use crate::snd::ecn::Sender;
use crate::snd::recovery;
use crate::state::State;
use crate::tcb::Counters;
use crate::time::Instant;
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
    /// Where recovery stands (`ca_state`).
    pub recovery: recovery::Phase,
    /// The congestion control's name.
    pub congestion: &'static str,
    /// cwnd in octets.
    pub cwnd: u32,
    /// ssthresh in octets.
    pub ssthresh: u32,
    /// SendMSS without the timestamps' room.
    pub mss: u16,
    /// The MSS that we announced.
    pub advmss: u16,
    /// The most that a packet may have on the path in use, headers included: what routers have said, or a search has found
    /// (RFC 4821), or the link's MTU. Only the host knows: 0 in what the engine tells, and while there is no block.
    pub pmtu: u32,
    /// How long acknowledgments may be delayed at present: the setting `delayed-ack`. Only the host knows, as of `pmtu`.
    pub ato_us: u32,
    /// When text was last sent; before any, when the connection was made. `ss` tells how long ago that is, as of the next two.
    pub lastsnd: Instant,
    /// When text last came; [`Instant::ZERO`] before any.
    pub lastrcv: Instant,
    /// When anything acceptable last came.
    pub lastack: Instant,
    /// Snd.Wind.Shift and Rcv.Wind.Shift.
    pub wscale: (u8, u8),
    /// Octets sent and not acknowledged.
    pub unacked: u32,
    /// Octets in the network, as far as is known (RFC 6675 2).
    pub pipe: u32,
    /// Octets that the peer has reported by SACK.
    pub sacked: u32,
    /// Octets found lost, and not delivered since.
    pub lost: u32,
    /// Octets sent again that are out.
    pub retrans_out: u32,
    /// The greatest distance of reordering that was seen, in segments; 3 before any.
    pub reordering: u16,
    /// Whether reordering was seen.
    pub reord_seen: bool,
    /// Octets delivered to the peer, by its acknowledgments and SACK blocks.
    pub delivered: u64,
    /// The last delivery-rate sample, octets per second.
    pub delivery_rate: u64,
    /// Whether the application limited that sample.
    pub delivery_rate_app_limited: bool,
    /// Octets per second at which text leaves; 0 if it is not paced.
    pub pacing_rate: u64,
    /// The most that its user took within a round trip: what the receive buffer follows.
    pub rcv_space: u32,
    /// The round trip as the receiver sees it, in milliseconds' steps (`rcv_rtt`); 0 before it has seen one.
    pub rcv_rtt_us: u32,
    /// What its receive buffer may hold at present (`rb` of `skmem`).
    pub rcv_buf: u32,
    /// How long something was to be sent or was out, and what held it up, in microseconds.
    pub busy: Busy,
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
    /// The text of the SYN was taken (`fastopen`, TCPI_OPT_SYN_DATA; RFC 7413).
    pub fast_open: bool,
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

impl Status {
    fn of_syn_sent(s: &SynSent) -> Status {
        let sent = u32::from(s.first_sent != Instant::NEVER);
        Status {
            state: State::SynSent,
            seq: (s.open.iss, s.open.iss + sent, SeqNum(0)),
            rcv_wnd: u32::from(s.window),
            backoff: s.retries,
            retries: s.retries,
            counters: Counters { retrans: s.retries.into(), ..Counters::default() },
            ..Status::default()
        }
    }

    /// What is known of a half-open connection: little more than its numbers.
    pub fn of_syn_received(s: &SynReceived) -> Status {
        let n = &s.negotiated;
        Status {
            state: State::SynReceived,
            seq: (s.iss, s.iss + 1, s.irs + 1),
            snd_wnd: u32::from(s.wnd),
            rcv_wnd: u32::from(s.window),
            mss: n.snd_mss,
            advmss: n.rcv_mss,
            wscale: (n.snd_shift, n.rcv_shift),
            backoff: s.retries,
            retries: s.retries,
            options: (n.timestamps, n.sack),
            counters: Counters { retrans: s.retries.into(), ..Counters::default() },
            ..Status::default()
        }
    }
}

impl Connection {
    /// A snapshot of the connection (STATUS call, RFC 9293 3.10.6).
    pub fn status(&self) -> Status {
        let state = self.state();
        let t = match &self.phase {
            Phase::SynSent(s) => return Status::of_syn_sent(s),
            Phase::SynReceived(s) => return Status::of_syn_received(s),
            Phase::Closed => return Status { state, ..Status::default() },
            Phase::Synchronized(t) => t,
        };
        let (s, r, n) = (&t.snd, &t.rcv, &t.negotiated);
        Status {
            state,
            rtt_us: s.rtt.srtt_us,
            rttvar_us: s.rtt.rttvar_us,
            rto_us: s.rtt.rto_us,
            minrtt_us: s.rtt.min().as_micros() as u32,
            backoff: s.rtt.backoff,
            recovery: s.recovery.phase,
            congestion: s.congestion.view().name(),
            cwnd: s.window.cwnd,
            ssthresh: s.window.ssthresh,
            mss: s.mss,
            advmss: r.mss,
            pmtu: 0,
            ato_us: 0,
            lastsnd: s.last_sent,
            lastrcv: r.ack.last_text,
            lastack: t.last_heard,
            wscale: (n.snd_shift, n.rcv_shift),
            unacked: s.flight(),
            pipe: s.pipe(),
            sacked: s.board.sacked().max(s.recovery.duplicates.octets),
            lost: s.board.lost(),
            retrans_out: s.board.again(),
            reordering: s.recovery.rack.reordering(),
            reord_seen: s.recovery.rack.reordering_seen(),
            delivered: s.rate.delivered,
            delivery_rate: s.rate.last,
            delivery_rate_app_limited: s.rate.last_app_limited,
            pacing_rate: s.pacer.rate,
            rcv_space: r.sizing.space(),
            rcv_rtt_us: r.sizing.rtt_us(),
            rcv_buf: r.buf,
            busy: t.counters.busy.until_now(t.limited, t.last_heard.max(s.last_sent)),
            notsent: s.queue.end().diff(s.nxt).max(0) as u32,
            rcv_queued: r.queue.len(),
            urgent: t.urgent_left(),
            snd_wnd: s.wnd,
            rcv_wnd: r.wnd(),
            seq: (s.una, s.nxt, r.nxt),
            retries: s.retries,
            options: (n.timestamps, n.sack),
            fast_open: s.fast_open,
            ecn: EcnStatus::of(&s.ecn, &r.ecn),
            counters: *t.counters,
        }
    }
}
