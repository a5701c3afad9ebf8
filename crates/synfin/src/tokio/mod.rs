//! Sockets for tasks, with the names and the meaning of `tokio::net` (feature `tokio`). The host comes first, else they are the
//! same; and addresses are literal ([`ToAddress`]). They are polled by whatever runs the task, and woken by the host's own
//! driver: no reactor of a runtime is needed, nor any runtime of tokio's. In one the driver can be a task itself
//! ([`crate::Builder::start_on_tokio`]).
//!
//! Futures are safe to cancel as there: one that is dropped before it is done has taken nothing. The exceptions write all of
//! something, in several goes: `write_bytes`, of which the rest is lost then, and `write_all_bytes`, which leaves it to the caller;
//! and those of `AsyncReadExt` and `AsyncWriteExt` that tokio names. `poll_*` functions remember the last task for each direction,
//! futures each their own. Reads never wait for a copy that was not asked for: text goes from the receive queue into the buffer.
//!
//! # What `tokio::net` has and this has not
//!
//! | what | why |
//! |---|---|
//! | `as_fd`, `as_raw_fd`, `into_raw_fd`, `from_raw_fd` | there is no descriptor: a socket is a record of the host |
//! | `UdpSocket::set_broadcast`, `broadcast` | the host sends no broadcasts of its users |
//! | `UdpSocket::join_multicast_v4`, `join_multicast_v6`, `leave_multicast_v4`, `leave_multicast_v6`, `multicast_loop_v4`, `set_multicast_loop_v4`, `multicast_loop_v6`, `set_multicast_loop_v6`, `multicast_ttl_v4`, `set_multicast_ttl_v4` | the host is in no groups but those of neighbor discovery |
//! | `from_std`, `into_std`, `TcpSocket::from_std_stream` | std's sockets are the kernel's; `from_blocking` and `into_blocking` change the face of ours |
//! | `TcpSocket::set_reuseport`, `reuseport` | one listener for each port; many tasks can accept from it |
//! | `TcpSocket::bind_device`, `device`, `UdpSocket::bind_device`, `device` | a host has one link here |
//! | `tos`, `set_tos` | deprecated there for `tos_v4` |
//! | `TcpStream::quickack` | `set_quickack` lasts for some segments, as on Linux; what is left of it is not told |
//! | the budget of `tokio::task::coop` | it is part of tokio's runtime: a task whose peer never lets it wait should yield by itself |

mod any;
#[cfg(not(shuttle))]
mod driver;
mod listener;
mod split;
mod stream;
mod udp;

pub use crate::blocking::{Request, ToAddress};
pub use any::AnyListener;
#[cfg(not(shuttle))]
pub(crate) use driver::Driver;
pub use listener::{TcpListener, TcpSocket};
pub use stream::TcpStream;
pub use udp::UdpSocket;

/// The halves of a [`TcpStream`].
pub mod tcp {
    pub use super::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
}

use crate::driver::Shard;
use crate::handle::Stack;
use crate::socket::Ready;
use crate::waiting::{Key, Ticket};
use ::tokio::io::{Interest, Ready as TokioReady};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Tries until it is done. Dropped before, it has done nothing.
struct Attempt<'a, F> {
    host: &'a Stack,
    key: Key,
    interest: Ready,
    ticket: Option<Ticket>,
    f: F,
}

fn attempt<R, F>(host: &Stack, key: Key, interest: Ready, f: F) -> Attempt<'_, F>
where
    F: FnMut(&mut Shard) -> Option<io::Result<R>> + Unpin,
{
    Attempt { host, key, interest, ticket: None, f }
}

impl<R, F> Future for Attempt<'_, F>
where
    F: FnMut(&mut Shard) -> Option<io::Result<R>> + Unpin,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        let Attempt { host, key, interest, ticket, f } = &mut *self;
        host.shared().poll(cx, *key, ticket, *interest, f)
    }
}

impl<F> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        if let Some(t) = self.ticket {
            self.host.shared().forget(self.key, t);
        }
    }
}

/// What a task asks for, as we wait for it.
fn wanted(interest: Interest) -> Ready {
    match (interest.is_readable(), interest.is_writable()) {
        (true, false) => Ready::READ,
        (false, true) => Ready::WRITE,
        _ => Ready::BOTH,
    }
}

/// What a socket is ready for, of what was asked for: (readable, writable, at the end of reading, of writing).
fn found(interest: Interest, (r, w, r_end, w_end): (bool, bool, bool, bool)) -> Option<TokioReady> {
    let mut ready = TokioReady::EMPTY;
    if interest.is_readable() {
        ready |= if r { TokioReady::READABLE } else { TokioReady::EMPTY };
        ready |= if r_end { TokioReady::READ_CLOSED } else { TokioReady::EMPTY };
    }
    if interest.is_writable() {
        ready |= if w { TokioReady::WRITABLE } else { TokioReady::EMPTY };
        ready |= if w_end { TokioReady::WRITE_CLOSED } else { TokioReady::EMPTY };
    }
    (!ready.is_empty()).then_some(ready)
}

/// Runs `f` until it does not say [`io::ErrorKind::WouldBlock`] any more, waiting for `ready` before each time. One that would
/// not do what the socket is ready for lets others run in between.
async fn async_io<R, W: Future<Output = io::Result<TokioReady>>>(
    mut ready: impl FnMut() -> W,
    mut f: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    loop {
        ready().await?;
        match f() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => yield_once().await,
            r => return r,
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
