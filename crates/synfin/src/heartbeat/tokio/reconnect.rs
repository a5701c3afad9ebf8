//! A connection that is made again, for tasks.
//!
//! Plain functions that give futures, and a stream that is given away: what async closures would borrow cannot be shown to be
//! `Send` by today's compilers, and then none of it could be spawned.

use super::HeartbeatStream;
use crate::heartbeat::reconnect::is_lost;
use crate::heartbeat::{Backoff, Settings};
use ::tokio::io::{AsyncRead, AsyncWrite};
use std::io;
use synfin_stack::engine::Rng;

/// What [`keep_connected`](crate::heartbeat::keep_connected) is to threads: connects, has `work` done over the connection, and does
/// so again when that was lost, until the work is done: then its result. What counts as lost, when `clean_up` is called, and when it
/// ends by itself is the same; between attempts it sleeps, on tokio's clock. Dropping the future gives up, wherever it is.
///
/// `connect` gives a stream that holds no small pieces back (`TcpStream::set_nodelay`). `work` is given the stream with its
/// heartbeat, and says the end itself (`AsyncWriteExt::shutdown`), if its peer is to know that it was one.
///
/// ```
/// use std::io;
/// use synfin::heartbeat::{Backoff, Settings, tokio::keep_connected};
/// use synfin::stack::engine::Rng;
/// use synfin::tokio::TcpStream;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// async fn ask(host: &synfin::Stack, rng: &mut Rng) -> io::Result<u8> {
///     let connect = || async {
///         let s = TcpStream::connect(host, "192.0.2.1:7").await?;
///         s.set_nodelay(true)?;
///         Ok(s)
///     };
///     let clean_up = |why: &io::Error| {
///         eprintln!("lost: {why}");
///         async { Ok(()) }
///     };
///     keep_connected(Settings::USUAL, Backoff::default(), rng, connect, clean_up, |mut s| async move {
///         s.write_all(b"?").await?;
///         let answer = s.read_u8().await?;
///         s.shutdown().await?;
///         Ok(answer)
///     })
///     .await
/// }
/// ```
pub async fn keep_connected<S, T, C, U, W>(
    settings: Settings,
    mut backoff: Backoff,
    rng: &mut Rng,
    mut connect: impl FnMut() -> C,
    mut clean_up: impl FnMut(&io::Error) -> U,
    mut work: impl FnMut(HeartbeatStream<S>) -> W,
) -> io::Result<T>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    C: Future<Output = io::Result<S>>,
    U: Future<Output = io::Result<()>>,
    W: Future<Output = io::Result<T>>,
{
    loop {
        let lost = match connect().await {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(e),
            Err(e) => e,
            Ok(stream) => {
                let stream = HeartbeatStream::new(stream, settings);
                let fate = stream.fate();
                let done = work(stream).await;
                if fate.has_heard() {
                    backoff.on_sign_of_life();
                }
                match done {
                    Err(e) if fate.is_decided() || is_lost(e.kind()) => {
                        clean_up(&e).await?;
                        e
                    }
                    done => return done,
                }
            }
        };
        match backoff.on_failure(rng.next_u32()) {
            Some(wait) => ::tokio::time::sleep(wait).await,
            None => return Err(lost),
        }
    }
}
