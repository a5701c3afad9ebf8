//! SEGMENT ARRIVES (RFC 9293 3.10.7), a file for each step.

pub mod closed;
mod ecn;
mod fast_open;
pub mod icmp;
pub mod listen;
mod paws;
mod step1_sequence;
mod step2_reset;
mod step4_syn;
mod step5_ack;
mod step6_urgent;
mod step7_text;
mod step8_fin;
pub mod syn_cookie;
pub mod syn_received;
pub mod syn_sent;
pub mod time_wait;

use crate::connection::{Connection, Farewell, Phase};
use crate::cx::Cx;
use crate::event::CloseReason;
use crate::probe::Probe;
use crate::rule::{Rule, SendReason, Verdict};
use crate::segment::Segment;
use crate::state::{State, Trigger};
use crate::tcb::Tcb;
use core::ops::ControlFlow;
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// Hands the segment to its phase and carries out what that asks for.
pub(crate) fn on_segment<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
    cx.mib.in_segs += 1;
    match &mut c.phase {
        Phase::SynSent(_) => syn_sent::on_segment(c, cx, seg),
        Phase::SynReceived(_) => syn_received::on_segment(c, cx, seg),
        Phase::Synchronized(t) if t.state == State::SynReceived => fast_open::on_segment(c, cx, seg),
        Phase::Synchronized(t) => {
            let verdict = synchronized(t, cx, seg);
            if matches!(verdict, Verdict::Accepted(_)) {
                c.soft = None; // the path works, whatever a router said before
            }
            conclude(c, cx, seg, verdict);
            verdict
        }
        Phase::Closed => Connection::GONE,
    }
}

/// RFC 9293 3.10.7.4 for all synchronized states at once.
pub(crate) fn synchronized<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &mut Segment) -> Verdict {
    t.counters.segs_in += 1;
    let verdict = match steps(t, cx, seg) {
        ControlFlow::Break(v) => v,
        ControlFlow::Continue(rule) => Verdict::Accepted(rule),
    };
    if !matches!(verdict, Verdict::Reset(_)) {
        step5_ack::fin_acknowledged(t, cx);
    }
    if let Verdict::Acked(rule) = verdict {
        ecn::refused(t, seg, rule);
        owe(t, cx, seg, rule);
    }
    verdict
}

fn steps<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &mut Segment) -> ControlFlow<Verdict, Rule> {
    let urgent = seg.seq() + u32::from(seg.hdr.urgent); // before anything is trimmed
    let (text, newer) = (seg.payload.len() as u32, ecn::is_newer(t, seg)); // likewise
    paws::check(t, cx, seg)?; // RFC 7323 5.3
    step1_sequence::check(t, cx, seg)?; // first, check sequence number
    step2_reset::check(t, cx, seg)?; // second, check the RST bit (RFC 5961 3)
    // third, check security: not implemented (RFC 9293 appendix A.1), as everywhere
    step4_syn::check(t, cx, seg)?; // fourth, check the SYN bit (RFC 5961 4)
    t.heard(cx.now);
    ecn::feedback(t, cx, seg, newer);
    let acked = step5_ack::process(t, cx, seg)?; // fifth, check the ACK field
    let wants = ecn::arrived(t, cx, seg, text); // marks of acceptable packets count (RFC 9768 3.2)
    step6_urgent::process(t, seg, urgent); // sixth, check the URG bit
    let fin_at = seg.has(Flags::FIN).then(|| seg.end() - 1);
    let text = step7_text::process(t, cx, seg)?; // seventh, process the segment text
    ecn::acknowledge(t, wants);
    let fin = step8_fin::process(t, cx, fin_at); // eighth, check the FIN bit
    ControlFlow::Continue(fin.or(text).unwrap_or(acked))
}

/// An acknowledgment is owed for a segment that was dropped. Answers to empty segments are limited in rate, for two
/// peers could else keep answering each other; text is always answered, for its sender will send it again.
fn owe<P: Probe>(t: &mut Tcb, cx: &mut Cx<'_, P>, seg: &Segment, rule: Rule) {
    let challenge = matches!(rule, Rule::ResetInWindow | Rule::SynInSynchronized | Rule::AckOfUnsent | Rule::AckTooOld);
    let limited = challenge || rule == Rule::KeepaliveProbe || (seg.payload.is_empty() && !seg.has(Flags::FIN));
    if limited && !t.rcv.ack.may_challenge(cx.now, cx.cfg.challenge_interval) {
        cx.mib.ack_skipped += 1;
        return;
    }
    if challenge {
        cx.mib.challenge_ack += 1;
    }
    t.rcv.ack.now(if challenge { SendReason::ChallengeAck } else { SendReason::UnacceptableAck });
}

/// Ends the connection if the verdict or the state says so.
pub(crate) fn conclude<P: Probe>(c: &mut Connection, cx: &mut Cx<'_, P>, seg: &Segment, verdict: Verdict) {
    let Phase::Synchronized(t) = &mut c.phase else { return };
    match verdict {
        Verdict::Reset(Rule::TextAfterClose) => {
            //= RFC 9293 3.6.1 MAY-1 SHLD-3 (a reset, so that the peer learns that its data is lost)
            cx.mib.abort_on_data += 1;
            t.transition(cx, Trigger::Abort);
            let farewell = Farewell {
                seq: if seg.has(Flags::ACK) { seg.hdr.ack } else { t.snd.nxt },
                ack: SeqNum(0),
                flags: Flags::RST,
                ts: t.timestamps(cx.now),
                why: SendReason::ResetUnread,
            };
            c.finish(cx, CloseReason::DataAfterClose, Some(farewell));
        }
        Verdict::Reset(_) => {
            cx.mib.in_rsts += 1;
            if matches!(t.state, State::Established | State::CloseWait) {
                cx.mib.estab_resets += 1;
            }
            // In CLOSING and LAST-ACK the user has nothing left to lose (3.10.7.4, second).
            let reason = if matches!(t.state, State::Closing | State::LastAck) {
                CloseReason::Finished
            } else {
                CloseReason::Reset
            };
            let early = t.state == State::SynReceived;
            cx.mib.attempt_fails += u64::from(early);
            t.transition(cx, if early { Trigger::RcvRstPassive } else { Trigger::RcvRst });
            c.finish(cx, reason, None);
        }
        _ if t.state == State::Closed => c.finish(cx, CloseReason::Finished, None),
        _ => {}
    }
}
