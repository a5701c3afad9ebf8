//! The TCP engine: RFC 9293 complete, as a state machine that is handed everything it needs.
//!
//! It knows no addresses, no clock and no I/O. The layout is the table of contents of RFC 9293 3.10: three ways in
//! ([`mod@call`]: user calls, [`mod@arrives`]: segments, [`mod@timeout`]: timers) and one way out ([`mod@transmit`]). Beneath
//! them stands the [`tcb`], with two halves that do not know each other, [`snd`] and [`rcv`].
//!
//! The verbs are those of every layer here: user calls, [`Connection::on_segment`], [`Connection::on_deadline`] /
//! [`Connection::next_deadline`], [`Connection::plan_transmit`] + [`Connection::frame`], and
//! [`Connection::poll_event`]. After an input, drain the output.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arrives;
pub mod buf;
pub mod call;
pub mod config;
pub mod connection;
pub mod cx;
mod digest;
pub mod ecn;
pub mod event;
pub mod fast_open;
pub mod isn;
pub mod mib;
pub mod negotiate;
pub mod path;
pub mod probe;
pub mod rcv;
pub mod rng;
pub mod rule;
pub mod segment;
pub mod snd;
pub mod state;
pub mod status;
pub mod tcb;
pub mod time;
pub mod timeout;
pub mod transmit;

pub use buf::{BufMut, Chunk, Memory, Pool, Slices};
pub use config::TcpConfig;
pub use connection::Connection;
pub use cx::Cx;
pub use event::{CloseReason, Events};
pub use mib::TcpMib;
pub use probe::{Event, Observer, Probe};
pub use rng::Rng;
pub use rule::{Rule, SendReason, Verdict};
pub use segment::Segment;
pub use state::{State, Trigger};
pub use status::Status;
pub use time::Instant;
pub use transmit::{Frame, Limits, Plan};
