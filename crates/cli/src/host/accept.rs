//! Accepting connections on a port of a host, at all its addresses, as many at once as is allowed.

use super::Host;
use crate::output::named;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use synfin::Stack;
use synfin::blocking::{TcpListener, TcpStream};

/// How often a thread that accepts looks whether it is still to do so.
const TURN: Duration = Duration::from_millis(200);

/// What a server waits for.
pub(crate) enum Arrival {
    /// A connection, and its place among those at once.
    Connection(TcpStream, Place),
    /// A signal.
    Asked,
}

/// The threads that accept, one for each version of IP. Dropped, they stop, and the port is closed.
pub(crate) struct Accepting {
    closing: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Accepting {
    /// Listens on `port`, and hands connections to `to`: no more than `at_once` that are not over, but for one of each version
    /// that waits for a place.
    pub fn start(host: &Host, port: u16, at_once: usize, to: &mpsc::Sender<Arrival>) -> io::Result<Accepting> {
        let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let ours = any.into_iter().filter(|a| host.addresses().iter().any(|o| o.is_ipv4() == a.is_ipv4()));
        let places = Arc::new(Places { free: Mutex::new(at_once), freed: Condvar::new() });
        let mut all = Accepting { closing: Arc::default(), threads: Vec::new() };
        for addr in ours {
            let at = SocketAddr::new(addr, port);
            let listener = TcpListener::bind(&host.stack, at).map_err(|e| named("listen", port, &e))?;
            let (closing, places, to) = (all.closing.clone(), places.clone(), to.clone());
            let (stack, stop) = (host.stack.clone(), host.stop.clone());
            let thread = std::thread::Builder::new().name("accept".into());
            all.threads.push(thread.spawn(move || {
                accept(&listener, &closing, &places, &to, &stack);
                // Without its link a server has nothing more to wait for; the host says what has happened.
                if stack.link_error().is_some() {
                    stop.ask();
                }
            })?);
        }
        Ok(all)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    closing: &AtomicBool,
    places: &Arc<Places>,
    to: &mpsc::Sender<Arrival>,
    stack: &Stack,
) {
    while !closing.load(Ordering::SeqCst) && stack.link_error().is_none() {
        match listener.accept_within(Some(TURN)) {
            Ok(None) => {}
            Ok(Some((stream, _))) => {
                let Some(place) = Places::take(places, closing) else { return stream.abort() };
                if let Err(mpsc::SendError(Arrival::Connection(stream, _))) =
                    to.send(Arrival::Connection(stream, place))
                {
                    return stream.abort();
                }
            }
            // It was gone before it was accepted.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => crate::clock::pause(1),
            Err(_) => return,
        }
    }
}

/// How many more connections there may be.
struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Places {
    fn take(places: &Arc<Places>, closing: &AtomicBool) -> Option<Place> {
        let mut free = places.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if closing.load(Ordering::SeqCst) {
                return None;
            }
            free = places.freed.wait_timeout(free, TURN).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Some(Place(places.clone()))
    }
}

/// The place of one connection, free again when this is dropped.
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
