//! Names, asked for over the host's own sockets: UDP first, TCP where an answer does not fit a datagram (RFC 1035 4.2, RFC 7766
//! 5). hickory-resolver speaks and remembers; which server is asked when, and for what, is decided here.

use super::sockets::OurSockets;
use super::target::{Name, Target};
use super::{Family, Hosts, Settings};
use crate::handle::Stack;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Asks servers for names, and connects to them. Clones share what is remembered.
///
/// Its futures are polled on a runtime of tokio's with time enabled, always on the same one, for there its tasks are; a program
/// that blocks has one of a thread (`tokio::runtime::Builder::new_current_thread`). They are safe to cancel.
///
/// ```
/// use std::net::IpAddr;
/// use synfin::Stack;
/// use synfin::names::{Hosts, Resolver, ResolverSettings};
///
/// # let (device, _) = synfin::device::memory_pair(1500, true)?;
/// # let host = Stack::builder().address("192.0.2.2/24")?.start(synfin::device::Device::Memory(device))?;
/// let hosts = Hosts::parse("192.0.2.9 nas.home.example\n");
/// let resolver = Resolver::new(&host, &["192.0.2.1".parse().unwrap()], ResolverSettings::default().hosts(hosts))?;
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// // This one is in the file; a name that is not goes to 192.0.2.1, port 53.
/// let all = runtime.block_on(resolver.lookup_ip("nas.home.example"))?;
/// assert_eq!(all, ["192.0.2.9".parse::<IpAddr>().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    host: Stack,
    settings: ResolverSettings,
    /// A resolver for each, so that it is us who says which is next.
    servers: Vec<(SocketAddr, Asks)>,
    /// The one that answered last.
    first: AtomicUsize,
}

type Asks = hickory_resolver::Resolver<OurSockets>;

/// How a [`Resolver`] asks, and what it knows by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverSettings {
    hosts: Arc<Hosts>,
    patience: Duration,
    rounds: usize,
    port: u16,
    pub(super) race: Settings,
}

impl ResolverSettings {
    /// What is known without asking, and is never asked for; default nothing.
    pub fn hosts(self, hosts: Hosts) -> ResolverSettings {
        ResolverSettings { hosts: Arc::new(hosts), ..self }
    }

    /// How long one server is waited for before the next is asked; default 2.5 s. Within it, questions go again.
    pub fn patience(self, t: Duration) -> ResolverSettings {
        ResolverSettings { patience: t, ..self }
    }

    /// How often each server is asked before it is given up; default 2, at least 1.
    pub fn rounds(self, n: usize) -> ResolverSettings {
        ResolverSettings { rounds: n.max(1), ..self }
    }

    /// The port that servers are asked at; default 53.
    pub fn port(self, n: u16) -> ResolverSettings {
        ResolverSettings { port: n, ..self }
    }

    /// How patient connecting by name is (RFC 8305).
    pub fn race(self, race: Settings) -> ResolverSettings {
        ResolverSettings { race, ..self }
    }
}

impl Default for ResolverSettings {
    fn default() -> Self {
        ResolverSettings {
            hosts: Arc::default(),
            patience: Duration::from_millis(2_500),
            rounds: 2,
            port: 53,
            race: Settings::default(),
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Resolver {
    /// The most addresses of a name that are kept, by family; more that come are left out.
    pub const ADDRESSES: usize = 32;
    /// The most answers that are remembered, by server. They are forgotten when their time is up (RFC 1035 3.2.1).
    pub const REMEMBERED: u64 = 256;

    /// Asks `servers`, in this order, but first the one that answered last.
    pub fn new(host: &Stack, servers: &[IpAddr], settings: ResolverSettings) -> io::Result<Resolver> {
        let asks = |a: &IpAddr| Ok((SocketAddr::new(*a, settings.port), asks(host, *a, &settings)?));
        let servers = servers.iter().map(asks).collect::<io::Result<_>>()?;
        Ok(Resolver(Arc::new(Inner { host: host.clone(), settings, servers, first: AtomicUsize::new(0) })))
    }

    /// The addresses of a host, at least one, the best first (RFC 6724 6): of the families that this host has addresses of.
    /// [`io::ErrorKind::NotFound`] if there is no such name or it has none, [`io::ErrorKind::TimedOut`] if no server answers,
    /// [`io::ErrorKind::InvalidInput`] if it can be no name.
    pub async fn lookup_ip(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.addresses(&self.target(host)?).await
    }

    /// What is meant by a host: reads it, and looks into the hosts file.
    pub fn target(&self, host: &str) -> io::Result<Target> {
        Target::parse(host, &self.0.settings.hosts)
    }

    /// Likewise, of one that was read already.
    pub async fn addresses(&self, target: &Target) -> io::Result<Vec<IpAddr>> {
        let ours = self.families();
        let of = |known: &[IpAddr]| known.iter().copied().filter(|a| ours.contains(&Family::of(*a))).collect();
        let mut all: Vec<IpAddr> = match target {
            Target::Address(a) => return Ok(vec![*a]),
            Target::Known(known) => of(known),
            Target::Name(name) => {
                let [v6, v4] = [Family::V6, Family::V4].map(|f| self.asked_if(ours.contains(&f), name, f));
                let (v6, v4) = ::tokio::join!(v6, v4);
                either(v6, v4)?
            }
        };
        if all.is_empty() {
            return Err(without());
        }
        self.0.host.order_destinations(&mut all);
        Ok(all)
    }

    /// The addresses of a name that are of a family, in the order in which they came; perhaps none.
    pub async fn of_family(&self, name: &Name, family: Family) -> io::Result<Vec<IpAddr>> {
        let Inner { settings, servers, first, .. } = &*self.0;
        let kind = match family {
            Family::V6 => RecordType::AAAA,
            Family::V4 => RecordType::A,
        };
        if servers.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no name server to ask"));
        }
        let mut failed = io::Error::new(io::ErrorKind::TimedOut, "no name server answers");
        let from = first.load(Ordering::Relaxed);
        for turn in 0..servers.len() * settings.rounds {
            let n = (from + turn) % servers.len();
            let (at, server) = &servers[n];
            let said = match server.lookup(name.asked(), kind).await {
                Ok(answer) => {
                    let addresses = answer.answers().iter().filter_map(|r| match &r.data {
                        RData::A(a) => Some(IpAddr::V4(a.0)),
                        RData::AAAA(a) => Some(IpAddr::V6(a.0)),
                        _ => None,
                    });
                    Ok(addresses.filter(|a| Family::of(*a) == family).take(Self::ADDRESSES).collect())
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) if none.response_code == ResponseCode::NXDomain => {
                    Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
                // Another one may answer, or know better.
                Err(NetError::Timeout) => continue,
                Err(NetError::Io(e)) => {
                    if e.kind() != io::ErrorKind::TimedOut {
                        failed = io::Error::new(e.kind(), format!("name server {}: {e}", at.ip()));
                    }
                    continue;
                }
                // So hickory says that it got an ICMP error, or had no way there.
                Err(NetError::NoConnections) => {
                    let words = format!("name server {}: it is not reached", at.ip());
                    failed = io::Error::new(io::ErrorKind::HostUnreachable, words);
                    continue;
                }
                Err(NetError::Dns(DnsError::ResponseCode(code))) => {
                    failed = io::Error::other(format!("name server {}: {code}", at.ip()));
                    continue;
                }
                Err(e) => {
                    failed = io::Error::other(format!("name server {}: {e}", at.ip()));
                    continue;
                }
            };
            first.store(n, Ordering::Relaxed);
            return said;
        }
        Err(failed)
    }

    /// The families that this host has addresses of; that of a link alone leads nowhere.
    pub(super) fn families(&self) -> Vec<Family> {
        let s = self.0.host.shared().lock();
        let has = |f: &Family| s.stack.addresses().any(|a| Family::of(a) == *f && !is_of_link(a));
        [Family::V6, Family::V4].into_iter().filter(has).collect()
    }

    pub(super) fn host(&self) -> &Stack {
        &self.0.host
    }

    pub(super) fn race(&self) -> Settings {
        self.0.settings.race
    }

    async fn asked_if(&self, asked: bool, name: &Name, family: Family) -> io::Result<Vec<IpAddr>> {
        if asked { self.of_family(name, family).await } else { Ok(Vec::new()) }
    }
}

/// What asks one server.
fn asks(host: &Stack, server: IpAddr, settings: &ResolverSettings) -> io::Result<Asks> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut c| {
        c.port = settings.port;
        c
    });
    let server = NameServerConfig::new(server, true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Asks::builder_with_config(config, OurSockets::of(host));
    let o = builder.options_mut();
    (o.timeout, o.attempts) = (settings.patience, 0); // what comes next is ours to say
    o.use_hosts_file = ResolveHosts::Never; // it would be this machine's
    o.cache_size = Resolver::REMEMBERED;
    // As the resolvers of C libraries: no server is known that stumbles over a question without it (RFC 6891 6.2.3).
    o.edns0 = false;
    builder.build().map_err(io::Error::other)
}

/// What two answers come to. That one kind is not there says less than that somebody does not answer.
fn either(one: io::Result<Vec<IpAddr>>, other: io::Result<Vec<IpAddr>>) -> io::Result<Vec<IpAddr>> {
    match (one, other) {
        (Ok(mut all), Ok(more)) => {
            all.extend(more);
            Ok(all)
        }
        (Ok(all), Err(_)) | (Err(_), Ok(all)) if !all.is_empty() => Ok(all),
        (Err(e), Err(f)) if e.kind() == io::ErrorKind::NotFound => Err(f),
        (Err(e), _) | (_, Err(e)) => Err(e),
    }
}

pub(super) fn without() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it has no address of a kind that this host has")
}

fn is_of_link(a: IpAddr) -> bool {
    matches!(a, IpAddr::V6(a) if a.is_unicast_link_local())
}
