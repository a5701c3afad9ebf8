//! What the two SYNs agree on (RFC 9293 3.7.1, RFC 7323 1.3, RFC 2018 2).

use crate::config::TcpConfig;
use crate::ecn::Feedback;
use synfin_wire::tcp::{Options, Timestamps};

/// What our SYN offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The MSS that we announce: what we can receive.
    pub mss: u16,
    /// The window scale shift for windows that we announce.
    pub window_shift: u8,
    /// Added to the millisecond clock to make TSval.
    pub ts_offset: u32,
}

/// What holds for the connection once both SYNs are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Negotiated {
    /// SendMSS: the most text we may put into a segment without options (RFC 9293 3.7.1).
    pub snd_mss: u16,
    /// The most text the peer may send: what we announced.
    pub rcv_mss: u16,
    /// Snd.Wind.Shift.
    pub snd_shift: u8,
    /// Rcv.Wind.Shift.
    pub rcv_shift: u8,
    /// Snd.TS.OK.
    pub timestamps: bool,
    /// Whether SACK is permitted.
    pub sack: bool,
    /// Whether both SYNs carried the window scale option.
    pub window_scaling: bool,
    /// How marks are fed back: by a SYN as it is granted, by a SYN+ACK as it is confirmed.
    pub feedback: Feedback,
    /// Our SYN+ACK gives a Fast Open cookie.
    pub fast_open: bool,
    /// TS.Recent from the peer's SYN.
    pub ts_recent: u32,
    /// Added to the millisecond clock to make TSval.
    pub ts_offset: u32,
}

impl Offer {
    /// The options of our SYN, or of our SYN+ACK if the peer's are given (then only what the peer offered too).
    //= RFC 9293 3.7.1 MUST-14 SHLD-5 MAY-3
    //= RFC 7323 2.2 (a), 2.3 (a)
    pub fn options(&self, cfg: &TcpConfig, now_ms: u64, peer: Option<&Negotiated>) -> Options {
        let ts = Timestamps { val: (now_ms as u32).wrapping_add(self.ts_offset), ecr: peer.map_or(0, |p| p.ts_recent) };
        Options {
            mss: Some(self.mss),
            window_scale: peer.map_or(cfg.window_scaling, |p| p.window_scaling).then_some(self.window_shift),
            sack_permitted: peer.map_or(cfg.sack, |p| p.sack),
            timestamps: peer.map_or(cfg.timestamps, |p| p.timestamps).then_some(ts),
            ..Options::default()
        }
    }

    /// What holds, given the options of the peer's SYN. `default_mss` is 536 or 1220 (RFC 9293 3.7.1, MUST-15);
    /// `limit` is what our link carries.
    //= RFC 9293 3.7.1 MUST-14 MUST-15 MUST-16
    pub fn accept(&self, cfg: &TcpConfig, peer: &Options, default_mss: u16, limit: u16) -> Negotiated {
        //= RFC 7323 2.2 (a) (b): asked of a SYN's options only
        let window_scaling = cfg.window_scaling && peer.window_scale.is_some();
        let timestamps = cfg.timestamps && peer.timestamps.is_some();
        // An MSS of 0 is no announcement; a tiny one would make us send a storm of headers (CVE-2019-11479).
        let announced = peer.mss.filter(|m| *m != 0).unwrap_or(default_mss);
        Negotiated {
            snd_mss: announced.max(cfg.mss_min).min(limit).min(if cfg.mss == 0 { u16::MAX } else { cfg.mss }),
            rcv_mss: self.mss,
            //= RFC 7323 2.3 (b) (f): a shift above 14 is taken as 14
            snd_shift: if window_scaling { peer.window_scale.unwrap_or(0).min(14) } else { 0 },
            rcv_shift: if window_scaling { self.window_shift } else { 0 },
            timestamps,
            sack: cfg.sack && peer.sack_permitted,
            window_scaling,
            fast_open: false,        // of addresses, which the host knows
            feedback: Feedback::Off, // flags, not options: for the phases to say
            ts_recent: peer.timestamps.map_or(0, |t| t.val),
            ts_offset: self.ts_offset,
        }
    }
}

impl Negotiated {
    /// The most text per segment, beside the options that every segment has (RFC 6691 2).
    pub(crate) fn text(&self) -> u16 {
        self.snd_mss.saturating_sub(if self.timestamps { 12 } else { 0 }).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { mss: 1460, window_shift: 7, ts_offset: 5 };

    #[test]
    //= RFC 9293 3.7.1 MUST-14 MUST-16
    //= RFC 7323 2.2 (a), 2.3 (a) (b), 3.2 (e)
    //= RFC 2018 4 (a): no SACK unless permitted
    fn nothing_is_used_that_either_side_leaves_out() {
        let full = OFFER.options(&TcpConfig::default(), 10, None);
        for mask in 0..8u8 {
            let peer = Options {
                mss: Some(1250),
                window_scale: (mask & 1 != 0).then_some(9),
                sack_permitted: mask & 2 != 0,
                timestamps: full.timestamps.filter(|_| mask & 4 != 0),
                ..Options::default()
            };
            let n = OFFER.accept(&TcpConfig::default(), &peer, 536, 1460);
            assert_eq!((n.snd_mss, n.rcv_mss), (1250, 1460), "each side keeps to the other's MSS");
            assert_eq!((n.snd_shift, n.rcv_shift), if mask & 1 != 0 { (9, 7) } else { (0, 0) });
            assert_eq!((n.sack, n.timestamps), (mask & 2 != 0, mask & 4 != 0));
            let reply = OFFER.options(&TcpConfig::default(), 10, Some(&n));
            assert_eq!(reply.window_scale.is_some(), mask & 1 != 0);
            assert_eq!(reply.timestamps.is_some(), mask & 4 != 0);
        }
    }

    #[test]
    //= RFC 9293 3.7.1 MUST-15 MUST-16
    //= RFC 7323 2.3 (f)
    fn odd_values_are_tamed() {
        let c = TcpConfig::default();
        let mss = |m| OFFER.accept(&c, &Options { mss: m, ..Options::default() }, 536, 1460).snd_mss;
        assert_eq!([mss(None), mss(Some(0)), mss(Some(1)), mss(Some(47)), mss(Some(65_535))], [536, 536, 88, 88, 1460]);
        let o = Options { window_scale: Some(255), ..Options::default() };
        assert_eq!(OFFER.accept(&c, &o, 536, 1460).snd_shift, 14);
    }
}
