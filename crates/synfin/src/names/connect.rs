//! Connecting to a host that may have several addresses, of both families (RFC 8305): [`Race`] decides, this asks and connects.

use super::resolver::without;
use super::{Event, Family, Race, Resolver, Target};
use crate::handle::Stack;
use crate::tokio::TcpStream;
use ::tokio::task::{AbortHandle, JoinSet};
use ::tokio::time::Instant;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use synfin_stack::engine::Instant as Time;

/// A connection, and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected {
    /// The connection.
    pub stream: TcpStream,
    /// Whichever address it is.
    pub peer: SocketAddr,
    /// How long it took until there was an address, if servers were asked for it.
    pub named: Option<Duration>,
    /// How long the handshake took.
    pub took: Duration,
}

/// Why there is none.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unconnected {
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

impl From<Unconnected> for io::Error {
    fn from(u: Unconnected) -> io::Error {
        match u {
            Unconnected::Name(e) | Unconnected::Peer(_, e) => e,
        }
    }
}

/// What an attempt comes to.
type Tried = (IpAddr, Duration, io::Result<TcpStream>);

/// What asking comes to.
type Asked = (Family, io::Result<Vec<IpAddr>>);

impl Resolver {
    /// Connects to a host by its name, or by its address, to whichever of its addresses is the first to answer. Errors are those of
    /// [`lookup_ip`](Resolver::lookup_ip), and those of connecting to the last address that was tried.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let connected = self.connect_to(&self.target(host)?, port).await?;
        Ok(connected.stream)
    }

    /// Likewise, and tells how it came about. Dropping the future gives up.
    pub async fn connect_to(&self, target: &Target, port: u16) -> Result<Connected, Unconnected> {
        let began = Instant::now();
        let time = || Time::from_nanos(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let order = |all: &mut [IpAddr]| self.host().order_destinations(all);
        let mut race = Race::new(self.race());
        let mut questions = self.ask(target);
        let mut attempts: JoinSet<Tried> = JoinSet::new();
        let mut running: BTreeMap<IpAddr, AbortHandle> = BTreeMap::new();
        let (mut named, mut won, mut failed) = (None, None, None);
        loop {
            while let Some(event) = race.poll_event() {
                match event {
                    Event::Connect(a) => {
                        let begun = attempt(self.host().clone(), SocketAddr::new(a, port));
                        running.insert(a, attempts.spawn(begun));
                    }
                    Event::Cancel(a) => drop(running.remove(&a).map(|r| r.abort())),
                    Event::Won(_) => {}
                    Event::Lost => return Err(failed.unwrap_or_else(|| without().into())),
                }
            }
            if let Some((stream, peer, took)) = won {
                let named = named.filter(|_| matches!(target, Target::Name(_)));
                return Ok(Connected { stream, peer, named, took });
            }
            let deadline = race.next_deadline().finite().map(|t| began + t.since(Time::ZERO));
            ::tokio::select! {
                Some(asked) = questions.join_next() => {
                    let (family, answer) = asked.map_err(io::Error::from)?;
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
                    if !all.is_empty() && named.is_none() {
                        named = Some(began.elapsed());
                    }
                    race.on_addresses(time(), family, &all, order);
                }
                Some(tried) = attempts.join_next() => match tried {
                    Ok((a, took, Ok(stream))) => {
                        running.remove(&a);
                        race.on_connected(a);
                        won = Some((stream, SocketAddr::new(a, port), took));
                    }
                    Ok((a, _, Err(e))) => {
                        running.remove(&a);
                        failed = Some(Unconnected::Peer(SocketAddr::new(a, port), e));
                        race.on_failed(time(), a);
                    }
                    Err(e) if e.is_cancelled() => {}
                    Err(e) => return Err(io::Error::from(e).into()),
                },
                () = until(deadline) => race.on_deadline(time()),
            }
        }
    }

    /// Asks for the addresses, both families at once, where they must be asked for.
    fn ask(&self, target: &Target) -> JoinSet<Asked> {
        let mut questions = JoinSet::new();
        let ours = self.families();
        for family in [Family::V6, Family::V4] {
            let known = match target {
                Target::Address(a) => vec![*a],
                Target::Known(all) => all.clone(),
                Target::Name(name) if ours.contains(&family) => {
                    let (resolver, name) = (self.clone(), name.clone());
                    questions.spawn(async move { (family, resolver.of_family(&name, family).await) });
                    continue;
                }
                Target::Name(_) => Vec::new(),
            };
            questions.spawn(async move { (family, Ok(known)) });
        }
        questions
    }
}

async fn attempt(host: Stack, to: SocketAddr) -> Tried {
    let begun = Instant::now();
    let stream = TcpStream::connect(&host, to).await;
    (to.ip(), begun.elapsed(), stream)
}

/// Waits; for ever if there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(t) => ::tokio::time::sleep_until(t).await,
        None => std::future::pending().await,
    }
}
