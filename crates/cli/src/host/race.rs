//! Connecting to a host that may have several addresses, of both families (RFC 8305): `synfin::names::Race` decides, this asks
//! and connects.

use super::names::{Resolver, Target};
use crate::clock::now;
use crate::output::named;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use synfin::Stack;
use synfin::names::{Event, Family, Race, Settings};
use synfin::stack::engine::Instant as Time;
use synfin::tokio::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// A connection, and how it came about.
pub(crate) struct Connected {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    /// How long it took until there was an address, if there was a name.
    pub named: Option<Duration>,
    /// How long the handshake took.
    pub took: Duration,
}

/// Why there is none.
pub(crate) enum Unconnected {
    /// There is no address.
    Name(io::Error),
    /// The last one that was tried, and what it said.
    Peer(SocketAddr, io::Error),
}

impl From<io::Error> for Unconnected {
    fn from(e: io::Error) -> Unconnected {
        Unconnected::Name(e)
    }
}

impl Unconnected {
    /// As an error that says which address it was, where what was asked for does not say so itself.
    pub fn of(self, target: &Target) -> io::Error {
        match self {
            Unconnected::Peer(peer, e) if !matches!(target, Target::Address(_)) => named("connect", peer, &e),
            Unconnected::Name(e) | Unconnected::Peer(_, e) => e,
        }
    }
}

/// What an attempt comes to.
type Tried = (IpAddr, Duration, io::Result<TcpStream>);

/// Connects to whichever address is the first to answer. To be called on a runtime of tokio's; dropping it gives up.
pub(crate) async fn connect(
    stack: &Stack,
    resolver: &Resolver,
    target: &Target,
    port: u16,
) -> Result<Connected, Unconnected> {
    let began = now();
    let time = || Time::from_nanos(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let order = |all: &mut [IpAddr]| stack.order_destinations(all);
    let mut race = Race::new(Settings::default());
    let (tell, mut told) = mpsc::unbounded_channel();
    ask(resolver, target, &tell)?;
    let mut attempts: JoinSet<Tried> = JoinSet::new();
    let mut running: BTreeMap<IpAddr, AbortHandle> = BTreeMap::new();
    let (mut named_after, mut won, mut failed) = (None, None, None);
    loop {
        while let Some(event) = race.poll_event() {
            match event {
                Event::Connect(a) => {
                    let begun = attempt(stack.clone(), SocketAddr::new(a, port));
                    running.insert(a, attempts.spawn(begun));
                }
                Event::Cancel(a) => drop(running.remove(&a).map(|r| r.abort())),
                Event::Won(_) => {}
                Event::Lost => {
                    let none =
                        || io::Error::new(io::ErrorKind::NotFound, "it has no address of a kind that this host has");
                    return Err(failed.unwrap_or_else(|| none().into()));
                }
            }
        }
        if let Some((stream, peer, took)) = won {
            let named = named_after.filter(|_| matches!(target, Target::Name(_)));
            return Ok(Connected { stream, peer, named, took });
        }
        let deadline = race.next_deadline().finite().map(|t| began + t.since(Time::ZERO));
        tokio::select! {
            // It never ends, for we have a sender ourselves.
            Some((family, answer)) = told.recv() => {
                let all = answer.unwrap_or_else(|e| {
                    // That one kind is not there says less than that somebody does not answer.
                    let says_more = match &failed {
                        Some(Unconnected::Name(f)) => f.kind() == io::ErrorKind::NotFound,
                        Some(Unconnected::Peer(..)) => false,
                        None => true,
                    };
                    if says_more {
                        failed = Some(e.into());
                    }
                    Vec::new()
                });
                if !all.is_empty() && named_after.is_none() {
                    named_after = Some(began.elapsed());
                }
                race.on_addresses(time(), family, &all, order);
            }
            Some(Ok((a, took, tried))) = attempts.join_next() => {
                running.remove(&a);
                let peer = SocketAddr::new(a, port);
                match tried {
                    Ok(stream) => {
                        race.on_connected(a);
                        won = Some((stream, peer, took));
                    }
                    Err(e) => {
                        failed = Some(Unconnected::Peer(peer, e));
                        race.on_failed(time(), a);
                    }
                }
            }
            () = until(deadline) => race.on_deadline(time()),
        }
    }
}

/// Asks for the addresses, where they must be asked for: on threads, for that is how the resolver waits.
fn ask(
    resolver: &Resolver,
    target: &Target,
    tell: &mpsc::UnboundedSender<(Family, io::Result<Vec<IpAddr>>)>,
) -> io::Result<()> {
    for family in [Family::V6, Family::V4] {
        let known = match target {
            Target::Address(a) => vec![*a],
            Target::Known(all) => all.clone(),
            Target::Name(name) if resolver.wants(family) => {
                let (resolver, name, tell) = (resolver.clone(), name.clone(), tell.clone());
                let asks = std::thread::Builder::new().name("names".into());
                asks.spawn(move || drop(tell.send((family, resolver.of_family(&name, family)))))?;
                continue;
            }
            Target::Name(_) => Vec::new(),
        };
        let _ = tell.send((family, Ok(known)));
    }
    Ok(())
}

async fn attempt(stack: Stack, to: SocketAddr) -> Tried {
    let begun = now();
    let stream = TcpStream::connect(&stack, to).await;
    (to.ip(), begun.elapsed(), stream)
}

/// Waits; for ever if there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(t) => tokio::time::sleep_until(t.into()).await,
        None => std::future::pending().await,
    }
}
