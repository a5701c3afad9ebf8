//! TCP/IP for Rust programs that cannot, or do not want to, use the kernel's.
//!
//! A [`Stack`] is one host on one link; its driver runs on a thread of its own, or as a task of tokio's. Sockets are in [`blocking`], with the names
//! and the meaning of `std::net`; and, with the feature `tokio`, for tasks in `synfin::tokio`, with those of `tokio::net`. Both
//! are faces of the same: a stream can change from one to the other. A gateway listens for any destination
//! ([`blocking::AnyListener`]).
//!
//! | feature | default | brings | costs |
//! |---|---|---|---|
//! | none | | [`blocking`], [`heartbeat`], [`names`]: hosts files, and races between addresses (RFC 8305) | no async dependency |
//! | `tokio` | off | `synfin::tokio`; heartbeats over tokio's streams | tokio's traits, types and clock, not its runtime |
//! | `dns` | off | `names::Resolver`: names asked for over the host's own UDP and TCP, connecting by name; needs `tokio` | hickory-resolver, and the runtime that its tasks are on |
//!
//! ```
//! use std::io::{Read, Write};
//! use synfin::Stack;
//! use synfin::blocking::{TcpListener, TcpStream};
//!
//! // Two hosts, connected in memory.
//! let (a, b) = synfin::device::memory_pair(1500, true)?;
//! let server = Stack::builder().address("192.0.2.1/24")?.start(synfin::device::Device::Memory(a))?;
//! let client = Stack::builder().address("192.0.2.2/24")?.start(synfin::device::Device::Memory(b))?;
//!
//! let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
//! let echo = std::thread::spawn(move || {
//!     let (mut s, _) = listener.accept()?;
//!     let mut buf = [0; 5];
//!     s.read_exact(&mut buf)?;
//!     s.write_all(&buf)
//! });
//! let mut s = TcpStream::connect(&client, "192.0.2.1:7")?;
//! s.write_all(b"hello")?;
//! let mut buf = [0; 5];
//! s.read_exact(&mut buf)?;
//! assert_eq!(&buf, b"hello");
//! # echo.join().expect("no panic")?;
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod blocking;
mod bytes;
mod driver;
mod handle;
pub mod heartbeat;
pub mod names;
mod outbox;
mod socket;
mod sync;
#[cfg(feature = "tokio")]
pub mod tokio;
mod waiting;

pub use bytes::Bytes;
pub use driver::{PacketLog, Sniffed};
pub use handle::{Builder, Stack};
pub use socket::{Cause, Keepalive};
pub use synfin_device as device;
pub use synfin_stack as stack;
pub use synfin_stack::engine::TcpConfig;
