//! Segments without text: SYN, probes, acknowledgments.

use super::{Kind, Plan};
use crate::arrives::syn_sent::SynSent;
use crate::config::{TcpConfig, WindowProbe};
use crate::cx::Cx;
use crate::fast_open::Early;
use crate::probe::Probe;
use crate::rcv::Owed;
use crate::rule::SendReason;
use crate::state::State;
use crate::tcb::Tcb;
use crate::time::{Duration, Instant};
use synfin_wire::tcp::Flags;

/// The wait after the `retries`-th retransmission of a SYN: 1, 2, 4, 8 .. seconds.
//= RFC 6298 2.1
//= RFC 6298 5.5
pub(crate) fn syn_backoff(cfg: &TcpConfig, retries: u8) -> Duration {
    (cfg.rto_initial * (1 << retries.min(20))).min(cfg.rto_max)
}

pub(super) fn syn(s: &SynSent, early: Option<&Early>) -> Option<Plan> {
    let flags = Flags::SYN | s.asks().syn_flags();
    let why = if s.retries == 0 { SendReason::Syn } else { SendReason::SynRetransmission };
    let len = early.map_or(0, |e| e.text(s.retries));
    s.due.then_some(Plan { kind: Kind::Syn, seq: s.open.iss, len, flags, why, gso: 0 })
}

pub(super) fn syn_sent<P: Probe>(s: &mut SynSent, cx: &Cx<'_, P>) {
    s.due = false;
    if s.first_sent == Instant::NEVER {
        s.first_sent = cx.now;
        s.retransmission = cx.now + syn_backoff(cx.cfg, 0);
    }
}

/// Our SYN has left a block: after CLOSE in SYN-RECEIVED, or with Fast Open.
pub(super) fn syn_ack_sent<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, plan: &Plan) {
    let end = plan.seq + 1;
    t.snd.cursor = t.snd.cursor.max(end);
    t.probe_due = t.probe_due.filter(|why| *why != SendReason::SynAckRetransmission);
    if t.state != State::SynReceived {
        return;
    }
    //= RFC 6298 3 (a): a SYN that was sent again is not measured
    if plan.why == SendReason::SynAck {
        t.snd.rtt.sent(end, cx.now);
    } else {
        t.snd.rtt.retransmitted();
        cx.mib.retrans_segs += 1;
    }
    t.rcv.last_ack_sent = t.rcv.nxt;
    t.rcv.ack.sent(t.rcv.nxt, false);
}

/// A probe of a shut window carries the next octet (RFC 9293 3.8.6.1), unless it is to be empty; of a silent peer, none:
/// its sequence number, SND.NXT-1, makes the peer answer (RFC 9293 3.8.4).
//= RFC 9293 3.8.4 SHLD-12
pub(super) fn probe(t: &Tcb, cfg: &TcpConfig) -> Option<Plan> {
    let why = t.probe_due?;
    let s = &t.snd;
    if why == SendReason::SynAckRetransmission {
        return Some(Plan { kind: Kind::SynAck, seq: s.iss, len: 0, flags: Flags::SYN | Flags::ACK, why, gso: 0 });
    }
    let nothing = why == SendReason::Keepalive || !s.has_pending();
    if nothing || cfg.window_probe == WindowProbe::Empty {
        let seq = if nothing { s.nxt } else { s.una } - 1;
        return Some(Plan { kind: Kind::Empty, seq, len: 0, flags: Flags::ACK, why, gso: 0 });
    }
    let text = s.cursor.lt(s.queue.end());
    let flags = if text { Flags::ACK } else { Flags::ACK | Flags::FIN };
    Some(Plan { kind: Kind::WindowProbe, seq: s.cursor, len: u32::from(text), flags, why, gso: 0 })
}

/// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`
pub(super) fn ack(t: &Tcb) -> Option<Plan> {
    let Owed::Now(why) = t.rcv.ack.owed else { return None };
    // Not beyond the peer's window, or it could not use what is acknowledged (after a probe, or when it has shrunk).
    let seq = t.snd.nxt.min(t.snd.una + t.snd.wnd);
    Some(Plan { kind: Kind::Ack, seq, len: 0, flags: Flags::ACK, why, gso: 0 })
}
