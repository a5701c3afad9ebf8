//! SYN cookies, the engine's part: what of a SYN comes back with the ACK when nothing was kept of it (RFC 4987 3.6 and
//! appendix A). How it is put into a number, and that nobody else can, is the host's part.
//!
//! The number has room for one of a few values of MSS. If both ends use timestamps, the low bits of the TSval of our SYN,ACK
//! say which other options there are, for TSecr brings them back; else there are none. Of ECN only RFC 3168 is granted: who
//! asks for RFC 9768 takes us for a host that does not know it.

use super::syn_received::{NEVER, OurSyn, SynReceived};
use crate::call::Open;
use crate::config::TcpConfig;
use crate::cx::Cx;
use crate::ecn::Feedback;
use crate::negotiate::Negotiated;
use crate::probe::Probe;
use crate::rcv::Rcv;
use crate::segment::Segment;
use crate::state::{State, Trigger};
use crate::transmit;
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{Flags, Header, Options, OptionsBuf, Timestamps};

/// The values of MSS that a cookie can tell apart, in octets: what the peer announces is rounded down to one. The larger
/// ones are those of Ethernet, plain and with the headers that are usual before IP.
pub const MSS: [u16; 8] = [88, 216, 536, 1220, 1360, 1400, 1440, 1460];

/// What of a SYN comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Which of [`MSS`].
    pub mss: u8,
    /// The options beside timestamps, if both ends have these: in the low bits of TSval.
    pub options: Option<u8>,
}

impl Kept {
    /// What is kept of the SYN `seg`, which agrees on `n` with us. None if its MSS is smaller than any a cookie can say.
    pub fn of(seg: &Segment, n: &Negotiated, default_mss: u16) -> Option<Kept> {
        let announced = seg.opts.mss.filter(|m| *m != 0).unwrap_or(default_mss);
        let mss = MSS.iter().rposition(|m| *m <= announced)? as u8;
        let ecn = n.feedback != Feedback::Off && seg.has(Flags::ECE | Flags::CWR);
        Some(Kept { mss, options: n.timestamps.then(|| bits(n, ecn)) })
    }

    /// What an ACK with `opts` brings back beside its number. `ts_offset` is what was added to the clock to make TSval.
    pub fn options_of(opts: &Options, ts_offset: u32) -> Option<u8> {
        opts.timestamps.map(|ts| (ts.ecr.wrapping_sub(ts_offset) & MASK) as u8)
    }

    /// The option area of a SYN that says the same. TS.Recent is for it to say as well.
    fn as_options(self, ts_recent: u32) -> Options {
        let bits = self.options.map(u32::from);
        Options {
            mss: MSS.get(usize::from(self.mss)).copied(),
            window_scale: bits.map(|b| b & SHIFT).filter(|s| *s != SHIFT).map(|s| s as u8),
            sack_permitted: bits.is_some_and(|b| b & SACK != 0),
            timestamps: bits.map(|_| Timestamps { val: ts_recent, ecr: 0 }),
            ..Options::default()
        }
    }

    /// What holds, as `cfg` has it now. None if that is not what was agreed: the settings have changed since.
    fn negotiated(self, cfg: &TcpConfig, open: &Open, ts_recent: u32) -> Option<Negotiated> {
        let ecn = self.options.is_some_and(|b| u32::from(b) & ECN != 0);
        let feedback = if ecn { cfg.ecn.grants(Feedback::Classic.syn_flags()) } else { Feedback::Off };
        let accepted = open.offer.accept(cfg, &self.as_options(ts_recent), open.default_mss, open.mss_limit);
        let n = Negotiated { feedback, ..accepted };
        (self.options == n.timestamps.then(|| bits(&n, feedback != Feedback::Off))).then_some(n)
    }
}

fn bits(n: &Negotiated, ecn: bool) -> u8 {
    let shift = if n.window_scaling { u32::from(n.snd_shift) } else { SHIFT };
    (shift | if n.sack { SACK } else { 0 } | if ecn { ECN } else { 0 }) as u8
}

/// The latest tick of the clock that is not after `now_ms` and has `bits` for its low bits: what is sent later has a later
/// TSval, as it must (RFC 7323 4.1, 5.3).
//= RFC 7323 4.1
fn ticks(now_ms: u32, bits: u8) -> u32 {
    now_ms.wrapping_sub(now_ms.wrapping_sub(u32::from(bits)) & MASK)
}

impl SynReceived {
    /// From LISTEN, by the SYN `seg`, for as long as it takes to make a SYN,ACK with the number `iss`: see
    /// [`SynReceived::cookie`].
    pub fn for_cookie(cfg: &TcpConfig, seg: &Segment, open: &Open, kept: Kept, iss: SeqNum) -> Option<SynReceived> {
        let ts_recent = seg.opts.timestamps.map_or(0, |t| t.val);
        let n = kept.negotiated(cfg, open, ts_recent)?;
        Some(SynReceived::remembered(cfg, (iss, seg.seq()), n, seg))
    }

    /// The SYN,ACK of a handshake that is forgotten once this is sent. Ports are zero, for the stack to fill in.
    pub fn cookie<P: Probe>(&self, cx: &Cx<'_, P>, kept: Kept) -> (Header, OptionsBuf) {
        let mut o = transmit::syn_ack_options(cx.cfg, &self.negotiated, cx.now.as_millis());
        if let (Some(ts), Some(bits)) = (&mut o.timestamps, kept.options) {
            ts.val = ticks(cx.now.as_millis() as u32, bits).wrapping_add(self.negotiated.ts_offset);
        }
        let flags = Flags::SYN | Flags::ACK | self.negotiated.feedback.syn_ack_flags(self.heard);
        let hdr = transmit::header(self.iss, self.irs + 1, flags, self.window);
        (hdr, OptionsBuf::syn(&o, cx.cfg.layout))
    }

    /// The handshake that the ACK `seg` ends: [`SynReceived::on_segment`] is to be asked about it next. None if the settings
    /// are not those with which it began.
    pub fn from_cookie<P: Probe>(cx: &mut Cx<'_, P>, seg: &Segment, open: &Open, kept: Kept) -> Option<SynReceived> {
        // TS.Recent of the SYN is lost. The ACK is the first segment that anything is known of.
        let ts_recent = seg.opts.timestamps.map_or(0, |t| t.val);
        let n = kept.negotiated(cx.cfg, open, ts_recent)?;
        let mut state = State::Listen;
        cx.transition(&mut state, Trigger::RcvSyn);
        Some(SynReceived::remembered(cx.cfg, (seg.hdr.ack - 1, seg.seq() - 1), n, seg))
    }

    fn remembered(cfg: &TcpConfig, (iss, irs): (SeqNum, SeqNum), negotiated: Negotiated, seg: &Segment) -> SynReceived {
        SynReceived {
            iss,
            irs,
            negotiated,
            wnd: seg.hdr.window,
            window: Rcv::syn_window(cfg),
            retries: 0,
            // Nobody knows how often the SYN came, nor how often it was answered.
            our_syn: OurSyn::Again,
            due: false,
            passive: true,
            challenge: false,
            heard: Ecn::NotEct,
            mixed: false,
            acked: false,
            first_sent: NEVER,
            last_challenge: NEVER,
        }
    }
}

/// The low bits of TSval: 64 ms at most is what it may be behind.
const MASK: u32 = 0x3f;
/// Four of them are the peer's window scale, or say with 15 that there is none.
const SHIFT: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buf::Chunk;
    use crate::ecn::Use;
    use crate::negotiate::Offer;

    const OPEN: Open = Open {
        iss: SeqNum(0),
        offer: Offer { mss: 1460, window_shift: 7, ts_offset: 0xffff_fff0 },
        default_mss: 536,
        mss_limit: 1460,
    };

    fn syn(opts: Options, flags: Flags) -> Segment {
        let hdr = transmit::header(SeqNum(9), SeqNum(0), Flags::SYN | flags, 1000);
        Segment { hdr, opts, payload: Chunk::default(), gro: 0, ecn: Ecn::NotEct }
    }

    #[test]
    fn tsval_is_never_after_the_clock_and_less_than_64_ms_before_it() {
        for now in (0..300).chain(u32::MAX - 300..=u32::MAX) {
            for bits in 0..64 {
                let t = ticks(now, bits);
                assert_eq!(t & MASK, u32::from(bits));
                assert!(now.wrapping_sub(t) < 64, "{now} {bits}");
            }
        }
    }

    #[test]
    fn what_both_ends_can_do_comes_back_and_nothing_else() {
        for mask in 0..16u8 {
            let has = |bit: u8| mask & bit != 0;
            let ts = Timestamps { val: 77, ecr: 0 };
            let opts = Options {
                mss: Some(1452),
                window_scale: has(1).then_some(14),
                sack_permitted: has(2),
                timestamps: has(4).then_some(ts),
                ..Options::default()
            };
            let s = syn(opts, if has(8) { Flags::ECE | Flags::CWR } else { Flags::NONE });
            let cfg = TcpConfig::default();
            let agreed = OPEN.offer.accept(&cfg, &opts, 536, 1460);
            let n = Negotiated { feedback: cfg.ecn.grants(s.hdr.flags), ..agreed };
            let kept = Kept::of(&s, &n, 536).unwrap();
            let back = kept.negotiated(&cfg, &OPEN, 77).unwrap();
            assert_eq!(back.snd_mss, 1440, "rounded down");
            if has(4) {
                assert_eq!(back, Negotiated { snd_mss: 1440, ..n }, "{mask}");
            } else {
                let bare = Negotiated { snd_mss: 1440, rcv_mss: 1460, ts_offset: 0xffff_fff0, ..Negotiated::default() };
                assert_eq!(back, bare, "without timestamps the MSS is all");
            }
            // The setting was on when the SYN,ACK went out, and is off now.
            for off in [
                TcpConfig { sack: false, ..cfg.clone() },
                TcpConfig { window_scaling: false, ..cfg.clone() },
                TcpConfig { timestamps: false, ..cfg.clone() },
                TcpConfig { ecn: Use::Off, ..cfg.clone() },
            ] {
                let same = (off.sack || !n.sack)
                    && (off.window_scaling || !n.window_scaling)
                    && (off.ecn != Use::Off || n.feedback == Feedback::Off)
                    && off.timestamps;
                assert_eq!(kept.negotiated(&off, &OPEN, 77).is_some(), same || !has(4), "{mask}");
            }
        }
    }

    #[test]
    fn an_mss_is_rounded_down_and_one_that_is_too_small_makes_no_cookie() {
        let kept =
            |mss| Kept::of(&syn(Options { mss, ..Options::default() }, Flags::NONE), &Negotiated::default(), 536);
        let mss = |m| kept(m).map(|k| MSS[usize::from(k.mss)]);
        assert_eq!([mss(None), mss(Some(0)), mss(Some(65_535))], [Some(536), Some(536), Some(1460)]);
        assert_eq!(
            [mss(Some(1219)), mss(Some(1220)), mss(Some(88)), mss(Some(87))],
            [Some(536), Some(1220), Some(88), None]
        );
    }
}
