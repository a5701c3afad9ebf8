//! A connection that is made again.

use super::blocking::{HeartbeatStream, Stream, pause};
use super::{Backoff, Settings};
use std::io;
use synfin_stack::engine::Rng;

/// Connects, has `work` done over the connection, and does so again when that was lost, until the work is done: then its
/// result.
///
/// Lost is a connection whose peer is gone or cut it short, and one that was reset or timed out below. Then `clean_up` is
/// called with the error, once for each connection that was lost and before the next attempt; an error of its own ends it all, as
/// does any other error of `work`. Between attempts it waits as `backoff` says, with jitter from `rng`; when `backoff` gives
/// up, the last error is the result. (An attempt with [`io::ErrorKind::InvalidInput`] is not made again.)
pub fn keep_connected<S: Stream, T>(
    settings: Settings,
    mut backoff: Backoff,
    rng: &mut Rng,
    mut connect: impl FnMut() -> io::Result<S>,
    mut clean_up: impl FnMut(&io::Error) -> io::Result<()>,
    mut work: impl FnMut(&HeartbeatStream<S>) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let lost = match connect().and_then(|s| HeartbeatStream::new(s, settings)) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(e),
            Err(e) => e,
            Ok(stream) => {
                let done = work(&stream);
                if stream.has_heard() {
                    backoff.on_sign_of_life();
                }
                match done {
                    Err(e) if stream.verdict().is_some() || is_lost(e.kind()) => {
                        drop(stream);
                        clean_up(&e)?;
                        e
                    }
                    done => return done,
                }
            }
        };
        match backoff.on_failure(rng.next_u32()) {
            Some(wait) => pause(wait),
            None => return Err(lost),
        }
    }
}

/// Whether such an error is the connection's, and not the work's.
pub(super) fn is_lost(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as K;
    matches!(
        kind,
        K::ConnectionReset
            | K::ConnectionAborted
            | K::BrokenPipe
            | K::NotConnected
            | K::TimedOut
            | K::UnexpectedEof
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
    )
}
