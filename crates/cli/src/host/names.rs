//! Names on the command line: the library's resolver asks for them (`synfin::names::Resolver`), on the host's own sockets.

use super::{Host, HostArgs};
use crate::namespace::OURS;
use crate::output::{named, usage};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use synfin::names::{Hosts, Resolver, ResolverSettings, Target, Unconnected};
use tokio::sync::Notify;

impl HostArgs {
    /// A host that was named on the command line. One that is not in `--hosts` needs a server that is asked for it.
    pub fn target(&self, name: &str) -> io::Result<Target> {
        let read = |p: &std::path::PathBuf| {
            let text = std::fs::read(p).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", p.display())))?;
            Ok::<_, io::Error>(Hosts::parse(&String::from_utf8_lossy(&text)))
        };
        let hosts = self.hosts.as_ref().map(read).transpose()?.unwrap_or_default();
        let target = Target::parse(name, &hosts).map_err(|e| usage(e.to_string()))?;
        let ours = if self.addr.is_empty() && self.link.is_none() { &OURS[..] } else { &self.addr };
        if let Target::Address(a) = target
            && ours.iter().any(|o| o.0 == a)
        {
            return Err(usage(format!("{a} is this host's own address: it has a link to others, and none to itself")));
        }
        if let Target::Address(a) = target {
            self.carries(a)?;
        }
        if matches!(target, Target::Name(_)) && self.dns.is_empty() {
            let not_there = self.hosts.as_ref().map(|p| format!(" and not in {}", p.display())).unwrap_or_default();
            return Err(usage(format!("{name:?} is no address{not_there}, and there is no --dns to ask for it")));
        }
        Ok(target)
    }

    /// Who is asked for names.
    pub fn resolver(&self, host: &Host) -> io::Result<Resolver> {
        Resolver::new(&host.stack, &self.dns, ResolverSettings::default())
    }

    /// The best of a host's addresses. [`io::ErrorKind::Interrupted`] if a signal comes before it is known.
    pub fn address_of(&self, host: &Host, target: &Target) -> io::Result<IpAddr> {
        let resolver = self.resolver(host)?;
        let asked = Arc::new(Notify::new());
        let listening = host.stop.tell({
            let asked = asked.clone();
            move || asked.notify_one()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let found = runtime.block_on(async {
            tokio::select! {
                all = resolver.addresses(target) => all.map(|all| all[0]),
                () = asked.notified() => Err(io::Error::new(
                    io::ErrorKind::Interrupted,
                    "ended by a signal before its address was known",
                )),
            }
        });
        drop(listening);
        found
    }
}

/// Why there is no connection; and to which address, where what was asked for does not say so itself.
pub(crate) fn unconnected(why: Unconnected, target: &Target) -> io::Error {
    match why {
        Unconnected::Peer(peer, e) if !matches!(target, Target::Address(_)) => named("connect", peer, &e),
        why => why.into(),
    }
}
