//! The tables around the TCP engine: who is meant by a segment, who waits for what, who may open a port.

mod active;
mod any;
mod calls;
mod configs;
mod demux;
mod fast_open;
mod input;
mod known_paths;
mod listener;
mod passive;
mod ports;
mod ready;
mod reset;
mod syn_cache;
mod syn_cookie;
mod time_wait_table;

pub use active::ConnectError;
pub use any::Decision;
pub use demux::Tuple;
pub use listener::{CookieCounts, ListenError, ListenerStatus};
pub use ready::EndedBy;

pub(crate) use configs::Configs;
pub(crate) use demux::{Index, Key, Slot};
pub(crate) use listener::Listener;
pub(crate) use syn_cache::{HalfOpen, Stage};
pub(crate) use time_wait_table::{TimeWaitTable, Wait};

use crate::link::LinkId;
use crate::slab::{Numbered, Slab};
use crate::timer_wheel::TimerId;
use alloc::collections::{BTreeMap, VecDeque};
use synfin_tcp::{Connection, Events, Instant};

/// The number of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub(crate) u32, pub(crate) u32);

/// The number of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) u32, pub(crate) u32);

macro_rules! numbered {
    ($($id:ident),*) => {$(
        impl $id {
            /// Its place in the table.
            pub fn index(self) -> u32 {
                self.0
            }

            /// How often the place was used before.
            pub fn generation(self) -> u64 {
                u64::from(self.1)
            }
        }
    )*};
}
pub(crate) use numbered;
numbered!(ConnId, ListenerId);

/// How full the tables are: what a test looks at to see that everything was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occupancy {
    /// Connections, those that only their user still holds included.
    pub connections: usize,
    /// Half-open connections.
    pub half_open: usize,
    /// TIME-WAIT records.
    pub time_wait: usize,
    /// Listeners.
    pub listeners: usize,
    /// Timers set.
    pub timers: usize,
    /// Octets of buffers that the text of connections holds.
    pub memory: usize,
    /// Octets of fragments.
    pub fragments: usize,
    /// Entries of the demultiplexer.
    pub index: usize,
    /// Kinds of settings in use, the host's own not counted.
    pub settings: usize,
    /// SYN cookies that were taken lately.
    pub cookies: usize,
    /// Connections whose SYN's text was taken, and whose handshake is not over (RFC 7413).
    pub fast_open: usize,
}

/// A connection and what the stack knows of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub conn: Connection,
    pub key: Key,
    /// What the key says, at hand for every frame.
    pub tuple: Tuple,
    /// Which of the interned settings.
    pub cfg: u16,
    pub link: LinkId,
    pub timer: Option<TimerId>,
    /// In the queue of those that may have something to send.
    pub ready: bool,
    /// Its user holds it.
    pub owned: bool,
    /// Waits in the accept queue of this listener.
    pub accepting: Option<u32>,
    /// In the demultiplexer.
    pub indexed: bool,
    /// What its user has not been told.
    pub events: Events,
    /// In the queue of events.
    pub notified: bool,
}

/// All tables of TCP.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub conns: Numbered<Entry>,
    pub half: Slab<HalfOpen>,
    pub waits: TimeWaitTable,
    pub listeners: Numbered<Listener>,
    /// Listeners by port.
    pub ports: BTreeMap<u16, alloc::vec::Vec<u32>>,
    /// The listener for any destination.
    pub any: Option<u32>,
    pub index: Index,
    /// What is known of the ways to other hosts.
    pub known_paths: known_paths::KnownPaths,
    /// What was found last: segments come in trains.
    last: core::cell::Cell<Option<(Key, Slot)>>,
    /// Connections that may have something to send, in turn.
    pub ready: VecDeque<u32>,
    /// Half-open connections that have something to send.
    pub half_due: VecDeque<u32>,
    /// Connections whose next hop is being asked for.
    pub blocked: alloc::vec::Vec<u32>,
    /// Half-open ones, likewise.
    pub half_blocked: alloc::vec::Vec<u32>,
    /// Connections that their user has closed.
    pub orphans: usize,
    /// SYN cookies that were taken.
    pub taken: syn_cookie::Taken,
    /// Fast Open: keys, cookies, and who is pending.
    pub fast_open: fast_open::Hosts,
    /// What came from outside and ended a connection, or may be the last word before it ends. Few have any, and none longer than
    /// its record lives.
    pub ended_by: BTreeMap<u32, EndedBy>,
}

impl Tables {
    /// The key of the record in `slot`.
    pub(crate) fn key_of(&self, slot: Slot) -> Option<&Key> {
        match slot {
            Slot::Conn(i) => self.conns.at(i).map(|e| &e.key),
            Slot::Half(i) => self.half.at(i).map(|h| &h.key),
            Slot::Wait(i) => self.waits.at(i).map(|w| &w.key),
        }
    }

    /// Whether a finished handshake has no place: not in the accept queue, or not among the connections.
    pub(crate) fn is_full(&self, listener: u32, max_connections: usize) -> bool {
        self.conns.len() >= max_connections || self.listeners.at(listener).is_none_or(Listener::is_full)
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Slot> {
        if let Some((k, slot)) = self.last.get()
            && k == *key
        {
            return Some(slot);
        }
        let found = self.index.find(key, |s| self.key_of(s));
        if let Some(slot) = found {
            self.last.set(Some((*key, slot)));
        }
        found
    }

    pub(crate) fn link_in(&mut self, key: &Key, slot: Slot) {
        self.last.set(None);
        let Tables { index, conns, half, waits, .. } = self;
        index.insert(key, slot, |s| match s {
            Slot::Conn(i) => conns.at(i).map(|e| &e.key),
            Slot::Half(i) => half.at(i).map(|h| &h.key),
            Slot::Wait(i) => waits.at(i).map(|w| &w.key),
        });
    }

    pub(crate) fn link_out(&mut self, key: &Key, slot: Slot) {
        self.last.set(None);
        self.index.remove(key, slot);
    }

    /// Gives back the memory of queues that were longer than they can be now.
    pub(crate) fn tidy(&mut self) {
        for (queue, most) in [(&mut self.ready, self.conns.len()), (&mut self.half_due, self.half.len())] {
            if queue.capacity() > 1_024 + 4 * most {
                queue.shrink_to(most);
            }
        }
    }

    /// The wait of record `i` of TIME-WAIT begins again; it gets another number.
    pub(crate) fn restart_wait(&mut self, key: &Key, i: u32, until: Instant) {
        let Some(new) = self.waits.restart(i, until) else { return };
        self.renumber_wait(key, i, new);
        self.compact_waits();
    }

    pub(crate) fn remove_wait(&mut self, i: u32) -> Option<Key> {
        let w = self.waits.remove(i)?;
        self.link_out(&w.key, Slot::Wait(i));
        self.compact_waits();
        Some(w.key)
    }

    fn renumber_wait(&mut self, key: &Key, old: u32, new: u32) {
        self.last.set(None);
        self.index.renumber(key, Slot::Wait(old), Slot::Wait(new));
    }

    /// Records that were taken over or restarted leave empty places behind: never more of them than records.
    fn compact_waits(&mut self) {
        if self.waits.is_sparse() {
            self.last.set(None);
            let index = &mut self.index;
            self.waits.compact(|key, old, new| index.renumber(key, Slot::Wait(old), Slot::Wait(new)));
        }
    }

    /// Puts a connection into the queue of those that may have something to send.
    pub(crate) fn mark_ready(&mut self, i: u32) {
        if let Some(e) = self.conns.at_mut(i)
            && !e.ready
        {
            e.ready = true;
            self.ready.push_back(i);
        }
    }
}
