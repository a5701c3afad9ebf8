//! Congestion control: how much may be out, and how fast it may leave. What was lost is for [`super::recovery`] to say.
//!
//! An algorithm is told what happened, in this order for an acknowledgment: [`CongestionControl::on_lost`] for each piece it
//! shows to be lost, [`CongestionControl::on_loss`] if recovery begins with it, [`CongestionControl::on_ack`] last. It moves
//! the [`Window`]; nothing else does, but for recovery: while it lasts, proportional rate reduction (RFC 9937) sets cwnd,
//! unless the algorithm [`CongestionControl::governs_recovery`].

mod bbr;
mod cubic;
mod dctcp;
mod hystart;
mod reno;
#[cfg(test)]
pub(crate) mod testing;
mod validation;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use dctcp::Dctcp;
pub use hystart::HyStart;
pub use reno::Reno;
pub use validation::Validated;

use crate::config::{HyStartUse, IdleRestart, TcpConfig};
use crate::time::{Duration, Instant};
use alloc::boxed::Box;
use core::fmt;
use synfin_wire::SeqNum;

/// The congestion window and the slow-start threshold, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// cwnd.
    pub cwnd: u32,
    /// ssthresh.
    pub ssthresh: u32,
}

/// What an algorithm may know when a connection has become ESTABLISHED.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    /// When.
    pub now: Instant,
    /// The initial window, in octets.
    pub initial_cwnd: u32,
    /// SMSS.
    pub smss: u32,
    /// The round-trip time of the handshake; zero if it cannot be told.
    pub srtt: Duration,
    /// Whether the peer acknowledges selectively: else it shows one loss per round trip.
    pub sack: bool,
    /// What an algorithm that needs chance draws it from: another number for each connection, the same in each run.
    pub seed: u64,
}

/// What an algorithm may know when an acknowledgment delivers something: moves SND.UNA, or reports text by SACK.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// When it came.
    pub now: Instant,
    /// Octets by which SND.UNA moved.
    pub acked: u32,
    /// Octets newly delivered, by SND.UNA or by SACK, each once (RFC 9937 3: DeliveredData).
    pub delivered: u32,
    /// Octets newly found lost.
    pub lost: u32,
    /// Octets of the newly delivered that the peer reports as marked "congestion experienced".
    pub marked: u32,
    /// SMSS.
    pub smss: u32,
    /// FlightSize before the acknowledgment (RFC 5681 2).
    pub flight: u32,
    /// What is in the network after it (RFC 6675 2: pipe).
    pub pipe: u32,
    /// The limit L of appropriate byte counting, in segments.
    pub limit: u32,
    /// Whether cwnd was what limited the sender in this round: a window that is not used says nothing of the path
    /// (RFC 7661).
    pub cwnd_limited: bool,
    /// Whether recovery, or the repair after a timeout, is on.
    pub in_recovery: bool,
    /// SND.UNA after it.
    pub una: SeqNum,
    /// SND.NXT: what is sent from now on begins here (a round of RFC 9406 4.2 ends when it is acknowledged).
    pub nxt: SeqNum,
    /// The round-trip time that it measured.
    pub rtt: Option<Duration>,
    /// SRTT; zero before the first measurement.
    pub srtt: Duration,
    /// The least round-trip time of the connection so far; zero before the first measurement.
    pub min_rtt: Duration,
    /// The delivery-rate sample that it completes.
    pub rate: Option<RateSample>,
}

/// A delivery-rate sample (draft-ietf-ccwg-bbr 4.1.2.3): taken over the flight time of the segment that was sent last among
/// those newly delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSample {
    /// Octets per second; 0 if the interval was too short to be measured.
    pub delivery_rate: u64,
    /// Octets delivered within the interval (RS.delivered).
    pub delivered: u64,
    /// Octets lost within the interval (RS.lost).
    pub lost: u64,
    /// How long the interval was.
    pub interval: Duration,
    /// C.delivered: octets delivered on this connection in all, this acknowledgment's included.
    pub total_delivered: u64,
    /// C.delivered when that segment was sent (RS.prior_delivered).
    pub prior_delivered: u64,
    /// Whether the application, not the path, limited the sender when that segment was sent.
    pub is_app_limited: bool,
    /// Octets in the network when that segment had been sent, itself included (RS.tx_in_flight).
    pub tx_in_flight: u32,
}

/// A congestion event.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// When.
    pub now: Instant,
    /// FlightSize, without what limited transmit has sent (RFC 5681 3.2).
    pub flight: u32,
    /// SMSS.
    pub smss: u32,
    /// What told.
    pub cause: LossCause,
}

/// What tells of congestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossCause {
    /// A segment was lost, by RACK or by duplicate acknowledgments.
    Lost,
    /// The peer reports segments marked "congestion experienced" (RFC 3168 6.1.2).
    Marked,
}

/// A piece that was found lost, as it was when it was sent.
#[derive(Debug, Clone, Copy)]
pub struct LostPiece {
    /// Where it begins: what lies side by side is one loss, not several.
    pub seq: SeqNum,
    /// Octets.
    pub len: u32,
    /// Octets in the network when it had been sent, itself included.
    pub tx_in_flight: u32,
    /// Octets of the connection lost in all when it was sent.
    pub lost_before: u64,
    /// Octets of the connection lost in all now, this piece included.
    pub total_lost: u64,
    /// C.delivered: octets delivered on this connection in all, those of the acknowledgment that shows the loss included.
    pub total_delivered: u64,
    /// Whether the application limited the sender when it was sent.
    pub is_app_limited: bool,
    /// Whether it was sent again for a loss before: the same octets were told of already.
    pub again: bool,
}

/// Text is about to leave.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// When.
    pub now: Instant,
    /// What is in the network before it.
    pub pipe: u32,
    /// Whether the application limits the sender.
    pub is_app_limited: bool,
    /// C.delivered.
    pub total_delivered: u64,
}

/// How fast text may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Octets per second, headers not counted.
    pub rate: u64,
    /// Octets that may leave at once, a super-segment's worth.
    pub quantum: u32,
}

/// An algorithm. It is told of acknowledgments and losses and moves the window.
///
/// Only four things must be said. This one holds the window at a fixed size; `crates/stack/examples/custom_congestion.rs` runs it
/// over a path in memory:
///
/// ```
/// use synfin_tcp::snd::congestion::{Ack, Congestion, CongestionControl, Loss, LossCause, Window};
///
/// #[derive(Debug)]
/// struct Fixed {
///     segments: u32,
/// }
///
/// impl CongestionControl for Fixed {
///     fn name(&self) -> &'static str {
///         "fixed"
///     }
///     fn on_ack(&mut self, window: &mut Window, ack: &Ack) {
///         window.cwnd = self.segments * ack.smss;
///     }
///     fn on_loss(&mut self, window: &mut Window, loss: &Loss) {
///         window.ssthresh = self.segments * loss.smss;
///     }
///     fn on_timeout(&mut self, window: &mut Window, loss: &Loss, _first: bool) {
///         window.cwnd = loss.smss;
///     }
/// }
///
/// // A connection takes it by `Connection::set_congestion`.
/// let mut mine = Congestion::Custom(Box::new(Fixed { segments: 8 }));
/// let mut window = Window { cwnd: 14_480, ssthresh: u32::MAX };
/// let loss = Loss { now: synfin_tcp::Instant::ZERO, flight: 14_480, smss: 1_448, cause: LossCause::Lost };
/// mine.get().on_loss(&mut window, &loss);
/// assert_eq!((mine.view().name(), window.ssthresh), ("fixed", 8 * 1_448));
/// ```
pub trait CongestionControl: Send + fmt::Debug {
    /// Its name, as `ss` would print it.
    fn name(&self) -> &'static str;

    /// Something was delivered. Not called in recovery, unless the algorithm governs that.
    fn on_ack(&mut self, window: &mut Window, ack: &Ack);

    /// Recovery begins, or a window of data was marked: sets ssthresh. Where a loss told, cwnd is left to recovery.
    fn on_loss(&mut self, window: &mut Window, loss: &Loss);

    /// The retransmission timer expired. Sets ssthresh (only at the first expiry for the same data) and cwnd.
    fn on_timeout(&mut self, window: &mut Window, loss: &Loss, first: bool);

    /// The last loss or timeout was none (RFC 4015): cwnd and ssthresh have been put back, what else it changed is the
    /// algorithm's to put back.
    fn on_spurious(&mut self, _window: &mut Window, _now: Instant) {}

    /// Recovery has ended, with everything acknowledged that was out when it began.
    fn on_recovered(&mut self, _window: &mut Window, _now: Instant) {}

    /// A piece was found lost.
    fn on_lost(&mut self, _window: &mut Window, _lost: &LostPiece, _now: Instant) {}

    /// Text is about to leave; also the first after idle times.
    fn on_send(&mut self, _window: &mut Window, _sending: &Sending) {}

    /// Whether cwnd is its own in recovery, too.
    fn governs_recovery(&self) -> bool {
        false
    }

    /// Whether a mark is to it what a loss is: then a loss in a window of data that was marked is no new event (RFC 3168 6.1.2).
    fn answers_marks_as_losses(&self) -> bool {
        true
    }

    /// Whether the algorithm itself holds the sender back, so that what is delivered says nothing of what the path can carry:
    /// the engine then takes the connection for limited by its application (draft-ietf-ccwg-bbr 5.3.4.3:
    /// MarkConnectionAppLimited). Asked after [`CongestionControl::on_ack`].
    fn holds_back(&self) -> bool {
        false
    }

    /// How fast text may leave; `None` leaves it to the engine, which then paces only if it is asked to.
    fn pacing(&self) -> Option<Pacing> {
        None
    }
}

/// The names of the algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// RFC 5681.
    Reno,
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 8257.
    Dctcp,
    /// BBRv3, draft-ietf-ccwg-bbr.
    Bbr,
}

/// The algorithms there are, and room for one of the user's.
//= RFC 9293 3.8.2 MAY-18
#[derive(Debug)]
pub enum Congestion {
    /// RFC 5681.
    Reno(Reno),
    /// RFC 9438.
    Cubic(Cubic),
    /// RFC 8257.
    Dctcp(Dctcp),
    /// One of them, its window validated (RFC 7661).
    Validated(Box<Validated>),
    /// BBRv3, draft-ietf-ccwg-bbr.
    Bbr(Box<Bbr>),
    /// The user's own.
    Custom(Box<dyn CongestionControl>),
}

impl Congestion {
    /// The algorithm that the settings name, at its beginning.
    pub fn new(cfg: &TcpConfig, start: &Start) -> Congestion {
        Congestion::of(cfg.congestion, cfg, start)
    }

    /// An algorithm at its beginning, with the settings that it heeds.
    pub fn of(algorithm: Algorithm, cfg: &TcpConfig, start: &Start) -> Congestion {
        let bare = match algorithm {
            Algorithm::Reno => Congestion::Reno(Reno::new(cfg.hystart == HyStartUse::On)),
            Algorithm::Cubic => Congestion::Cubic(Cubic::new(cfg.hystart != HyStartUse::Off)),
            Algorithm::Dctcp => Congestion::Dctcp(Dctcp::default()),
            Algorithm::Bbr => Congestion::Bbr(Box::new(Bbr::new(start))),
        };
        // One that governs recovery has a model of the path, and does not need the window to know it.
        if cfg.idle_restart == IdleRestart::Validate && !bare.view().governs_recovery() {
            return Congestion::Validated(Box::new(Validated::new(bare, cfg.initial_window)));
        }
        bare
    }

    /// The algorithm of a name, at its beginning; `None` if there is none of that name.
    pub fn named(name: &str, cfg: &TcpConfig, start: &Start) -> Option<Congestion> {
        Some(Congestion::of(Algorithm::named(name)?, cfg, start))
    }

    /// The algorithm behind the enum.
    pub fn get(&mut self) -> &mut dyn CongestionControl {
        match self {
            Congestion::Reno(r) => r,
            Congestion::Cubic(c) => c,
            Congestion::Dctcp(d) => d,
            Congestion::Validated(v) => &mut **v,
            Congestion::Bbr(b) => &mut **b,
            Congestion::Custom(c) => &mut **c,
        }
    }

    /// The same, to be looked at.
    pub fn view(&self) -> &dyn CongestionControl {
        match self {
            Congestion::Reno(r) => r,
            Congestion::Cubic(c) => c,
            Congestion::Dctcp(d) => d,
            Congestion::Validated(v) => &**v,
            Congestion::Bbr(b) => &**b,
            Congestion::Custom(c) => &**c,
        }
    }
}

/// The initial window in octets: so many segments of a usual size, or two.
//= RFC 6928 2: min (10*MSS, max (2*MSS, 14600))
pub fn initial_window(segments: u8, smss: u32) -> u32 {
    let n = u32::from(segments);
    (n * smss).min((n * USUAL_MSS).max(n.min(2) * smss))
}

/// The MSS on Ethernet.
const USUAL_MSS: u32 = 1_460;

#[cfg(test)]
impl Ack {
    /// An acknowledgment of `acked` octets of `flight`, for the tables of the algorithms' tests.
    pub(crate) fn of(acked: u32, flight: u32, smss: u32) -> Ack {
        Ack {
            now: Instant::ZERO,
            acked,
            delivered: acked,
            lost: 0,
            marked: 0,
            smss,
            flight,
            pipe: flight.saturating_sub(acked),
            limit: 8,
            cwnd_limited: true,
            in_recovery: false,
            una: SeqNum(0),
            nxt: SeqNum(0) + flight,
            rtt: None,
            srtt: Duration::ZERO,
            min_rtt: Duration::ZERO,
            rate: None,
        }
    }
}
