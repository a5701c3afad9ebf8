//! ECN: what the handshake agrees on (RFC 3168 6.1.1, RFC 9768 3.1), and what both halves share.
//!
//! The sending half answers feedback and marks packets in [`crate::snd::ecn`], the receiving half counts marks and feeds
//! them back in [`crate::rcv::ecn`]. Not done: ECT on SYN and SYN+ACK (RFC 3168 6.1.1 forbids it), a memory of paths that
//! drop handshakes with these flags (RFC 9768 3.1.4.1; the next connection asks again), the ECN nonce (RFC 8311 3).

use crate::segment::Segment;
use alloc::boxed::Box;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::Flags;

/// How marks are fed back, in both directions alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Feedback {
    /// Not at all: not an ECN-capable connection.
    #[default]
    Off,
    /// By ECE until CWR answers it (RFC 3168).
    Classic,
    /// By counters (RFC 9768).
    Accurate,
}

/// What is asked of peers, and granted to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Use {
    /// Neither.
    Off,
    /// RFC 3168 is granted, nothing asked for.
    #[default]
    Accept,
    /// RFC 3168 is asked for and granted.
    Rfc3168,
    /// RFC 9768 is asked for; it and RFC 3168 are granted.
    AccEcn,
    /// RFC 3168 is asked for; it and RFC 9768 are granted.
    Rfc3168AcceptAccEcn,
    /// RFC 9768 and RFC 3168 are granted, nothing asked for.
    AcceptAccEcn,
}

/// When acknowledgments carry an AccECN option (RFC 9768 3.2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OptionPolicy {
    /// Never.
    Off,
    /// When an arriving packet changes another counter than the one before it, twice; while CE comes; and at the beacon.
    Changed,
    /// Whenever a counter has moved since the last acknowledgment: the RFC's recommended simple scheme.
    #[default]
    Simple,
    /// On every segment, once the peer has sent an option.
    Full,
    /// The same, and no loss of segments with options makes us stop.
    Persist,
}

impl Use {
    /// What our first SYN asks for.
    pub const fn asks(self) -> Feedback {
        match self {
            Use::Off | Use::Accept | Use::AcceptAccEcn => Feedback::Off,
            Use::Rfc3168 | Use::Rfc3168AcceptAccEcn => Feedback::Classic,
            Use::AccEcn => Feedback::Accurate,
        }
    }

    /// The mode that a SYN with `flags` leads to (RFC 9768 3.1.2, table 2; a host with RFC 3168 alone looks at two flags).
    //= RFC 9768 3.1.1
    //= RFC 9768 3.1.2
    //= RFC 9768 3.1.3: whatever has no meaning yet is taken as a wish for AccECN
    //= RFC 3168 6.1.1
    pub const fn grants(self, flags: Flags) -> Feedback {
        let classic = flags.has(Flags::ECE) && flags.has(Flags::CWR);
        match self {
            Use::Off => Feedback::Off,
            Use::Accept | Use::Rfc3168 => {
                if classic {
                    Feedback::Classic
                } else {
                    Feedback::Off
                }
            }
            Use::AccEcn | Use::Rfc3168AcceptAccEcn | Use::AcceptAccEcn => {
                if !flags.any(ALL) {
                    Feedback::Off
                } else if classic && !flags.has(Flags::AE) {
                    Feedback::Classic
                } else {
                    Feedback::Accurate
                }
            }
        }
    }
}

impl Feedback {
    /// What the SYN asks for that is sent after `retries` others: AccECN twice, RFC 3168 once, for somebody on the path may
    /// drop such SYNs.
    //= RFC 9768 3.1.4.1
    //= RFC 3168 6.1.1.1
    pub const fn after(self, retries: u8) -> Feedback {
        match (self, retries) {
            (Feedback::Accurate, 0..=1) | (Feedback::Classic, 0) => self,
            _ => Feedback::Off,
        }
    }

    /// The flags of a SYN that asks for it.
    //= RFC 9768 3.1.1
    //= RFC 3168 6.1.1
    pub const fn syn_flags(self) -> Flags {
        match self {
            Feedback::Off => Flags::NONE,
            Feedback::Classic => Flags(Flags::ECE.0 | Flags::CWR.0),
            Feedback::Accurate => ALL,
        }
    }

    /// The flags of a SYN+ACK in this mode, `syn` being the IP-ECN field of the SYN that came last.
    //= RFC 9768 3.1.1: in the handshake the field of the SYN is fed back
    //= RFC 9768 3.1.5: that of the latest SYN
    pub const fn syn_ack_flags(self, syn: Ecn) -> Flags {
        match self {
            Feedback::Off => Flags::NONE,
            Feedback::Classic => Flags::ECE,
            Feedback::Accurate => flags_of(handshake_ace(syn)),
        }
    }

    /// The mode that a SYN+ACK with `flags` leads to, `self` being what our SYNs have asked for.
    //= RFC 9768 3.1.2
    //= RFC 9768 3.1.3: the reserved combination confirms AccECN
    //= RFC 3168 6.1.1
    pub const fn confirmed(self, flags: Flags) -> Feedback {
        match self {
            Feedback::Off => Feedback::Off,
            Feedback::Classic if flags.has(Flags::ECE) && !flags.has(Flags::CWR) => Feedback::Classic,
            Feedback::Classic => Feedback::Off,
            Feedback::Accurate => match ace(flags) {
                0 | 7 => Feedback::Off, // not capable; or broken, reflecting our own flags
                1 => Feedback::Classic,
                _ => Feedback::Accurate,
            },
        }
    }
}

/// What one half of a connection keeps of ECN: there where it was agreed on, else a pointer. It reads as what is off.
#[derive(Debug, Clone)]
pub struct Part<T>(Option<Box<T>>);

/// What there is where ECN was not agreed on.
pub trait Half: Sized + 'static {
    /// It.
    const OFF: &'static Self;
    /// The mode.
    fn mode(&self) -> Feedback;
}

impl<T: Half> Part<T> {
    /// At the beginning of a connection.
    pub fn new(half: T) -> Part<T> {
        Part((half.mode() != Feedback::Off).then(|| Box::new(half)))
    }

    /// What there is to be changed.
    pub fn on(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Half> core::ops::Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::OFF)
    }
}

/// What a handshake has found out for the connection that it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// The mode.
    pub feedback: Feedback,
    /// The IP-ECN field of the peer's latest SYN or SYN+ACK.
    pub heard: Ecn,
    /// We were the TCP client: the first acknowledgment tells of `heard`.
    pub client: bool,
    /// ECT must not be set: handshake packets without ECN were sent or received as well.
    pub mixed: bool,
    /// What the peer's packet that completed the handshake said of ours, in ACE's handshake encoding; `None` if that has no
    /// meaning.
    pub told: Option<u8>,
    /// What its AccECN option says of the path.
    pub options: Options,
    /// Our SYN+ACK went out more than once: its acknowledgment may come again, too.
    pub repeated: bool,
}

/// What is known of AccECN options that come from the peer (RFC 9768 3.2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Options {
    /// None has come: ACE is read with care.
    #[default]
    Absent,
    /// They come.
    Seen,
    /// The first was zeroed: they are ignored.
    Zeroed,
}

impl Options {
    /// What the first segment shows that should carry one. Initial values are not zero, so that zeroing can be told; which
    /// ones they are must not be asked.
    //= RFC 9768 3.2.2.4
    //= RFC 9768 3.2.3.2.3
    //= RFC 9768 3.2.3.2.4
    pub fn first(seg: &Segment) -> Options {
        match seg.opts.acc_ecn {
            None => Options::Absent,
            Some(o) if o.e0b() == Some(0) || o.e1b() == Some(0) => Options::Zeroed,
            Some(_) => Options::Seen,
        }
    }
}

/// AE, CWR and ECE: in a handshake three flags, afterwards the ACE field.
pub const ALL: Flags = Flags(Flags::AE.0 | Flags::CWR.0 | Flags::ECE.0);

/// What counters of CE packets begin with.
//= RFC 9768 3.2.1
pub const FIRST_CEP: u32 = 5;

/// The ACE field of `flags`: AE, CWR and ECE stand side by side, ECE last.
pub const fn ace(flags: Flags) -> u8 {
    ((flags.0 & ALL.0) >> 6) as u8
}

/// The flags that are `ace`.
pub const fn flags_of(ace: u8) -> Flags {
    Flags((ace as u16) << 6 & ALL.0)
}

/// The handshake encoding of an IP-ECN field (RFC 9768 3.1.1, table 2, and 3.2.2.1, table 3).
pub const fn handshake_ace(ip: Ecn) -> u8 {
    match ip {
        Ecn::NotEct => 0b010,
        Ecn::Ect1 => 0b011,
        Ecn::Ect0 => 0b100,
        Ecn::Ce => 0b110,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 9768 3.1.1
    //= RFC 9768 3.1.2
    //= RFC 9768 3.1.3
    //= RFC 3168 6.1.1
    fn the_table_of_negotiation() {
        use Feedback::{Accurate, Classic, Off};
        for ace_of_syn in 0..8u8 {
            let flags = flags_of(ace_of_syn) | Flags::SYN;
            assert_eq!(ace(flags), ace_of_syn);
            let new = match ace_of_syn {
                0 => Off,
                3 => Classic,
                _ => Accurate,
            };
            let old = if ace_of_syn & 3 == 3 { Classic } else { Off };
            for (u, want) in [
                (Use::Off, Off),
                (Use::Accept, old),
                (Use::Rfc3168, old),
                (Use::AccEcn, new),
                (Use::Rfc3168AcceptAccEcn, new),
                (Use::AcceptAccEcn, new),
            ] {
                assert_eq!(u.grants(flags), want, "{u:?} {ace_of_syn:03b}");
            }
            let answers = [Off, Classic, Accurate, Accurate, Accurate, Accurate, Accurate, Off];
            assert_eq!(Accurate.confirmed(flags), answers[usize::from(ace_of_syn)]);
            assert_eq!(Classic.confirmed(flags), if ace_of_syn & 3 == 1 { Classic } else { Off });
            assert_eq!(Off.confirmed(flags), Off);
        }
        let asks = [Use::Off, Use::Accept, Use::Rfc3168, Use::AccEcn, Use::Rfc3168AcceptAccEcn, Use::AcceptAccEcn];
        assert_eq!(asks.map(Use::asks), [Off, Off, Classic, Accurate, Classic, Off]);
    }

    #[test]
    //= RFC 9768 3.1.1
    //= RFC 9768 3.1.4.1
    //= RFC 3168 6.1.1.1
    fn what_handshake_packets_say() {
        let fields = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce];
        assert_eq!(fields.map(|f| ace(Feedback::Accurate.syn_ack_flags(f))), [0b010, 0b011, 0b100, 0b110]);
        assert_eq!(fields.map(|f| ace(Feedback::Classic.syn_ack_flags(f))), [1; 4]);
        let syns = |f: Feedback| [0, 1, 2, 3].map(|n| ace(f.after(n).syn_flags()));
        assert_eq!(syns(Feedback::Accurate), [7, 7, 0, 0]);
        assert_eq!(syns(Feedback::Classic), [3, 0, 0, 0]);
        assert_eq!(syns(Feedback::Off), [0; 4]);
    }
}
