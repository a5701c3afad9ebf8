//! A stack: how it is set up, and the handle to it.

use crate::driver::{PacketLog, Shard, Shared, run};
use crate::sync::{self, JoinHandle};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use synfin_device::{Device, Medium};
use synfin_stack::engine::{Instant, Observer, Rng, TcpConfig, TcpMib};
use synfin_stack::wire::ethernet::Mac;
use synfin_stack::{Cidr, LinkConfig, LinkId, Occupancy, Route, StackConfig, StackMib};

/// What a host is to be: one host on one link, with one lock.
#[derive(Default)]
pub struct Builder {
    addresses: Vec<Cidr>,
    routes: Vec<(Cidr, IpAddr)>,
    stack: StackConfig,
    pub(crate) tcp: TcpConfig,
    mtu: Option<u32>,
    seed: Option<u64>,
    observer: Option<Box<dyn Observer + Send>>,
    log: Option<Box<dyn PacketLog>>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Builder {
    /// Gives the host an address, as `ADDRESS/PREFIX`; may be repeated.
    pub fn address(mut self, cidr: &str) -> io::Result<Builder> {
        let c = Cidr::parse(cidr).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{cidr:?} is no address with a prefix, like 192.0.2.2/24"),
            )
        })?;
        self.addresses.push(c);
        Ok(self)
    }

    /// Sends what is for no network of ours to this neighbor; one for each family.
    pub fn gateway(mut self, a: IpAddr) -> Builder {
        let all = Cidr::parse(if a.is_ipv4() { "0.0.0.0/0" } else { "::/0" });
        self.routes.extend(all.map(|all| (all, a)));
        self
    }

    /// Sends what is for `network`, as `ADDRESS/PREFIX`, to this neighbor; may be repeated. The longest prefix decides
    /// (RFC 1812 5.2.4.3). [`io::ErrorKind::InvalidInput`] if it is no network, or of another family.
    pub fn route(mut self, network: &str, gateway: IpAddr) -> io::Result<Builder> {
        let of_one_family = |c: &Cidr| c.addr.is_ipv4() == gateway.is_ipv4();
        let c = Cidr::parse(network).filter(of_one_family).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{network:?} is no network that {gateway} leads to, like 198.51.100.0/24"),
            )
        })?;
        self.routes.push((c, gateway));
        Ok(self)
    }

    /// The settings of TCP; starting refuses what is out of its range, or contradictory ([`TcpConfig::check`]), with
    /// [`io::ErrorKind::InvalidInput`].
    pub fn tcp(mut self, cfg: TcpConfig) -> Builder {
        self.tcp = cfg;
        self
    }

    /// The limits of the host.
    pub fn limits(mut self, cfg: StackConfig) -> Builder {
        self.stack = cfg;
        self
    }

    /// A smaller MTU than the device's.
    pub fn mtu(mut self, mtu: u32) -> Builder {
        self.mtu = Some(mtu);
        self
    }

    /// Draws all randomness from a number: for tests only, for its secrets can be guessed.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = Some(seed);
        self
    }

    /// Tells `observer` of everything that happens to connections.
    pub fn observer(mut self, observer: Box<dyn Observer + Send>) -> Builder {
        self.observer = Some(observer);
        self
    }

    /// Shows every packet to `log`, which may also lose it.
    pub fn packet_log(mut self, log: Box<dyn PacketLog>) -> Builder {
        self.log = Some(log);
        self
    }

    /// Starts the host on `device`, with a thread of its own that drives it.
    pub fn start(self, device: Device) -> io::Result<Stack> {
        let (shared, link) = self.shared(device, false)?;
        let driver = sync::Builder::new().name("synfin".into()).spawn({
            let shared = shared.clone();
            move || run(&shared)
        })?;
        Ok(Stack(Arc::new(Inner { shared, driver: Some(driver), link })))
    }

    /// Starts the host on `device`, driven by a task of the runtime of tokio's in which this is called: there is no thread
    /// beside the runtime's own. The runtime must have its I/O and its time enabled (else this panics, as tokio's own types do);
    /// outside of one this fails. When the runtime ends, so does the host: calls fail with [`io::ErrorKind::NotConnected`].
    ///
    /// Sockets of [`crate::blocking`] work as well, from threads that may block.
    #[cfg(all(feature = "tokio", not(shuttle)))]
    pub fn start_on_tokio(self, device: Device) -> io::Result<Stack> {
        let runtime = ::tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let (shared, link) = self.shared(device, true)?;
        let driver = crate::tokio::Driver::new(shared.clone())?;
        runtime.spawn(driver.run());
        Ok(Stack(Arc::new(Inner { shared, driver: None, link })))
    }

    fn shared(self, device: Device, driver_is_task: bool) -> io::Result<(Arc<Shared>, LinkId)> {
        crate::socket::options::check(&self.tcp)?;
        let rng = match self.seed {
            Some(n) => Rng::from_number(n),
            //= RFC 6528 4
            None => Rng::from_seed(entropy()?),
        };
        let caps = device.capabilities();
        let mut stack = synfin_stack::Stack::new(self.stack, self.tcp, rng);
        let link_cfg = LinkConfig {
            medium: match caps.medium {
                Medium::Ip => synfin_stack::Medium::Ip,
                Medium::Ethernet(mac) => synfin_stack::Medium::Ethernet(Mac(mac)),
            },
            mtu: self.mtu.map_or(caps.mtu, |m| m.min(caps.mtu)),
            tx_checksum: caps.offload.is_some(),
            max_gso: caps.offload.unwrap_or(0),
        };
        let now = Instant::from_nanos(1);
        let link = stack.add_link(now, link_cfg);
        for c in &self.addresses {
            stack.add_address(now, link, *c);
        }
        for (network, gateway) in self.routes {
            stack.add_route(Route { network, link, gateway: Some(gateway) });
        }
        let shard = Shard::new(stack, device, link, self.observer, self.log)?;
        Ok((Arc::new(Shared::new(shard, driver_is_task)?), link))
    }
}

#[allow(clippy::disallowed_methods)] // here the stack's randomness is seeded
fn entropy() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

/// A stack that runs. Clones share it; it stops when the last one, sockets included, is gone.
#[derive(Debug, Clone)]
pub struct Stack(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    driver: Option<JoinHandle<()>>,
    link: LinkId,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(t) = self.driver.take() {
            // A waker that the driver thread calls may hold the last handle: nobody waits for himself.
            if t.thread().id() != sync::current().id() {
                let _ = t.join();
            }
        }
    }
}

impl Stack {
    /// How a host is made.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    #[cfg(all(test, feature = "tokio"))]
    pub(crate) fn arc(&self) -> Arc<Shared> {
        self.0.shared.clone()
    }

    pub(crate) fn weak(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0.shared)
    }

    /// Its link.
    pub fn link(&self) -> LinkId {
        self.0.link
    }

    /// Counters of the host and of the engine.
    pub fn counters(&self) -> (StackMib, TcpMib) {
        self.shared().lock().stack.counters()
    }

    /// How full its tables are.
    pub fn occupancy(&self) -> Occupancy {
        self.shared().lock().stack.occupancy()
    }

    /// Takes packets to any address for its own, or no longer: then connections to addresses that are not its own are cut off.
    /// Listening for any destination ([`AnyListener`](crate::blocking::AnyListener)) turns it on.
    pub fn set_any_address(&self, on: bool) {
        self.shared().lock().stack.set_any_address(on);
    }

    /// The settings of its connections, unless they have their own.
    pub fn tcp_defaults(&self) -> TcpConfig {
        self.shared().lock().stack.tcp_defaults().clone()
    }

    /// What the link failed with, if it is gone: then nothing comes and nothing goes any more.
    pub fn link_error(&self) -> Option<io::ErrorKind> {
        self.shared().lock().broken
    }

    /// Waits until all connections are closed, TIME-WAIT not counted; false if some are not within `patience`.
    pub fn wait_closed(&self, patience: Duration) -> bool {
        self.shared().wait_until(patience, |shard| {
            let o = shard.stack.occupancy();
            o.connections == 0 && o.half_open == 0
        })
    }

    /// Closes everything: listeners at once, connections in order, so that what was written is delivered while their users
    /// may go on reading. What is not closed within `patience` is reset. It returns by then, and says whether all was closed
    /// in order. From then on every call that reads, writes, waits or opens something fails with
    /// [`io::ErrorKind::NotConnected`]; what options were can still be asked.
    ///
    /// A host whose last handle is dropped, sockets included, does the same by itself, for a second at most; only what the
    /// peer has not acknowledged is reset. Both may block the thread for that long: in a task, call this from one that may block.
    /// A host that a task drives ([`Builder::start_on_tokio`]) goes on in the background instead when its last handle is dropped.
    pub fn shutdown(&self, patience: Duration) -> bool {
        let shared = self.shared();
        shared.act(Shard::close_all);
        let in_order = shared.wait_until(patience, |s| s.down || s.is_closed());
        if !shared.lock().down {
            shared.act(|s| s.end(true));
        }
        shared.stop();
        in_order
    }
}
