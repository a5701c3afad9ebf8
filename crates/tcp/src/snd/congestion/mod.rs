//! Congestion control: how much may be out. What was lost is for [`super::recovery`] to say.

mod reno;

pub use reno::Reno;

use alloc::boxed::Box;
use core::fmt;

/// The congestion window and the slow-start threshold, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// cwnd.
    pub cwnd: u32,
    /// ssthresh.
    pub ssthresh: u32,
}

/// What an algorithm may know when new data is acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// Octets acknowledged.
    pub acked: u32,
    /// SMSS.
    pub smss: u32,
    /// FlightSize before the acknowledgment.
    pub flight: u32,
    /// The limit L of appropriate byte counting, in segments.
    pub limit: u32,
}

/// An algorithm. It is told of acknowledgments and losses and moves the window.
pub trait CongestionControl: Send + fmt::Debug {
    /// Its name, as `ss` would print it.
    fn name(&self) -> &'static str;
    /// New data was acknowledged outside of recovery.
    fn on_ack(&mut self, window: &mut Window, ack: &Ack);
    /// Data was lost; recovery begins. Sets ssthresh, from FlightSize `flight`.
    fn on_loss(&mut self, window: &mut Window, flight: u32, smss: u32);
    /// The retransmission timer expired. Sets ssthresh (only at the first expiry for the same data) and cwnd.
    fn on_timeout(&mut self, window: &mut Window, flight: u32, smss: u32, first: bool);
}

/// The algorithms there are, and room for one of the user's.
#[derive(Debug)]
pub enum Congestion {
    /// RFC 5681.
    Reno(Reno),
    /// The user's own.
    Custom(Box<dyn CongestionControl>),
}

impl Congestion {
    /// The algorithm behind the enum.
    pub fn get(&mut self) -> &mut dyn CongestionControl {
        match self {
            Congestion::Reno(r) => r,
            Congestion::Custom(c) => &mut **c,
        }
    }
}

/// The initial window in octets (RFC 6928, RFC 5681 3.1).
pub fn initial_window(segments: u8, smss: u32) -> u32 {
    u32::from(segments) * smss
}
