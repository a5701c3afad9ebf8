//! Is the peer still there? A heartbeat of the program's own (which no RFC has), for `recv` gives 0 only for an orderly FIN,
//! a `send` to a dead peer succeeds at first, and keepalive (RFC 9293 3.8.4) asks the peer's TCP, not its program.
//!
//! A side that has heard nothing for an interval sends a probe, and starts a timeout; the other side answers. Any octet that
//! comes is a sign of life and stops the timeout. If it runs out, the peer is gone, an interval and a timeout after its last
//! sign of life: [`Settings::USUAL`] 35 s, [`Settings::STRICT`] 8 s. Both sides do so by the same rule; but who was asked last
//! lets the other ask first, and waits an eighth of its interval longer, so that on an idle connection one asks and the other
//! answers. A side that has said nothing for its peer's interval (which is in the first frame) probes as well, or the answers of
//! one that receives much, or reads slowly, would wait behind the text that it is sent.
//!
//! [`Heartbeat`] is the machine, without clock and I/O; [`frame`] is what goes over the stream; [`HeartbeatStream`] is both over
//! a [`blocking::TcpStream`](crate::blocking::TcpStream) or one of `std::net`, and `tokio::HeartbeatStream`
//! (feature `tokio`) over whatever reads and writes as tokio does. Both ends must speak it. [`keep_connected`] cleans up
//! after a peer that is gone and connects anew, `tokio::keep_connected` in a task.
//! `docs/heartbeat.md` has what it finds, when and at what cost, beside keepalive.
//!
//! ```
//! use std::io::{Read, Write};
//! use synfin::blocking::{TcpListener, TcpStream};
//! use synfin::device::{Device, memory_pair};
//! use synfin::heartbeat::{HeartbeatStream, Settings};
//!
//! let (a, b) = memory_pair(1500, true)?;
//! let server = synfin::Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
//! let client = synfin::Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(b))?;
//! let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
//! let echo = std::thread::spawn(move || {
//!     let mut s = HeartbeatStream::accepted(listener.accept()?.0, Settings::USUAL)?;
//!     let mut text = String::new();
//!     s.read_to_string(&mut text)?;
//!     s.write_all(text.as_bytes())
//! });
//! let mut s = HeartbeatStream::new(TcpStream::connect(&client, "192.0.2.1:7")?, Settings::STRICT)?;
//! s.write_all(b"hello")?;
//! s.end()?; // no more from here; hearts beat on
//! let mut answer = String::new();
//! s.read_to_string(&mut answer)?; // TimedOut 8 s after the server's last sign of life, whatever it does
//! assert_eq!(answer, "hello");
//! # echo.join().expect("no panic")?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod backoff;
mod beat;
mod blocking;
pub mod frame;
mod reconnect;
mod settings;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use backoff::Backoff;
pub use beat::{Counters, Heartbeat, SendError, Verdict};
pub use blocking::{HeartbeatStream, Stream};
pub use frame::FrameError;
pub use reconnect::keep_connected;
pub use settings::{InvalidSettings, Settings};
