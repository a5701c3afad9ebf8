//! Loss recovery: what was lost, and when it goes again.
//!
//! With SACK, [`Rack`] finds losses by time (RFC 8985), or three segments above do (RFC 6675); without, duplicate
//! acknowledgments (RFC 6582). [`Tlp`] asks before the retransmission timer does. In recovery [`Prr`] sets cwnd (RFC 9937).
//! [`Undo`] and [`Frto`] find losses that were none. What moves between the phases is in `snd/feedback.rs`, and in
//! [`crate::timeout`] for the retransmission timer.

mod newreno;
mod prr;
mod rack;
mod spurious;
mod tlp;

pub use newreno::Duplicates;
pub use prr::{Prr, Step};
pub(crate) use rack::DUP_THRESH;
pub use rack::Rack;
pub use spurious::{AfterTimeout, Frto, Undo};
pub use tlp::{Answer, Tlp};

use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use synfin_wire::SeqNum;

/// Where recovery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// Nothing is known to be lost.
    #[default]
    Open,
    /// Fast recovery: until everything is acknowledged that was out when it began.
    Recovery,
    /// The retransmission timer has expired: until everything is acknowledged that was out then.
    Loss,
}

/// What there is only after a loss: a connection that has seen none does not carry it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Episode {
    /// Rate reduction.
    pub prr: Prr,
    /// What is put back if the loss was none.
    pub undo: Option<Undo>,
}

/// The state of recovery.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Where it stands.
    pub phase: Phase,
    /// SND.NXT when recovery began, or at the last timeout (`recover` of RFC 6582).
    pub recover: SeqNum,
    /// One lost segment goes out, whatever cwnd says.
    pub force: bool,
    /// Duplicate acknowledgments.
    pub duplicates: Duplicates,
    /// FlightSize before limited transmit added to it: at the first sign that something is missing.
    pub flight_before: u32,
    /// RACK.
    pub rack: Rack,
    /// When RACK will find the next loss, if nothing arrives until then.
    pub reorder: Instant,
    /// Loss probes.
    pub tlp: Tlp,
    /// What there is only after a loss.
    pub episode: Option<Box<Episode>>,
    /// Whether the last timeout was right.
    pub frto: Frto,
}

impl Recovery {
    /// Before any loss.
    pub fn new(iss: SeqNum) -> Recovery {
        Recovery {
            phase: Phase::Open,
            recover: iss,
            force: false,
            duplicates: Duplicates::default(),
            flight_before: 0,
            rack: Rack::new(iss),
            reorder: Instant::NEVER,
            tlp: Tlp::default(),
            episode: None,
            frto: Frto::Off,
        }
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.phase != Phase::Open
    }

    /// What is out will be sent again as if it never had been, without a sign of congestion: the window was shut over it, or
    /// it was too big for the path. Up to `nxt` duplicates mean nothing.
    pub fn rolled_back(&mut self, nxt: SeqNum) {
        self.tlp.reset();
        *self = Recovery { recover: nxt, rack: self.rack, tlp: self.tlp, ..Recovery::new(nxt) };
    }

    /// What there is only after a loss.
    pub fn episode(&mut self) -> &mut Episode {
        self.episode.get_or_insert_default()
    }

    /// What is put back if the loss was none.
    pub fn undo(&mut self) -> Option<&mut Undo> {
        self.episode.as_mut()?.undo.as_mut()
    }

    /// RACK.reo_wnd now.
    pub fn reo_wnd(&self, sacked_pieces: u32, min_rtt: Duration, srtt: Duration) -> Duration {
        self.rack.reo_wnd(self.is_on(), sacked_pieces, min_rtt, srtt)
    }

    /// What of it decides, for explorers of states.
    pub(crate) fn digest(&self, h: &mut impl core::hash::Hasher) {
        use core::hash::Hash;
        (self.phase, self.recover.0, self.force, self.duplicates.count, self.duplicates.octets).hash(h);
        (self.flight_before, self.tlp.end().map(|s| s.0), self.tlp.due, self.tlp.measured, self.frto as u8).hash(h);
        (self.tlp.since == Instant::NEVER, self.episode.as_ref().is_some_and(|e| e.undo.is_some())).hash(h);
        self.rack.digest(h);
    }
}
