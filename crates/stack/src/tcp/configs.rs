//! The settings in use, each value once: connections, half-open records and listeners hold its number, and the last of
//! them that goes takes the entry with it. Entry 0 is the host's own and stays.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Index;
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use synfin_tcp::TcpConfig;

#[derive(Debug)]
struct Entry {
    cfg: TcpConfig,
    /// Records that hold it.
    users: u32,
}

/// The table. Numbers are 16 bits, for every record holds one.
#[derive(Debug)]
pub(crate) struct Configs {
    entries: Vec<Entry>,
    free: Vec<u16>,
    /// Numbers of what is in use, by value. Entries of our own user make the keys: no secret is needed.
    index: HashTable<u16>,
    limit: usize,
}

fn hash(cfg: &TcpConfig) -> u64 {
    let mut h = SipHasher13::new();
    cfg.hash(&mut h);
    h.finish()
}

impl Configs {
    /// A table of at most `limit` entries beside the host's own.
    pub(crate) fn new(host: TcpConfig, limit: usize) -> Configs {
        let mut index = HashTable::new();
        index.insert_unique(hash(&host), 0, |_| 0);
        let limit = limit.min(usize::from(u16::MAX));
        Configs { entries: alloc::vec![Entry { cfg: host, users: 1 }], free: Vec::new(), index, limit }
    }

    /// The number of `cfg`, with one user more; none if the table is full.
    pub(crate) fn intern(&mut self, cfg: &TcpConfig) -> Option<u16> {
        let (entries, h) = (&mut self.entries, hash(cfg));
        if let Some(&i) = self.index.find(h, |i| entries[usize::from(*i)].cfg == *cfg) {
            entries[usize::from(i)].users += 1;
            return Some(i);
        }
        let entry = Entry { cfg: cfg.clone(), users: 1 };
        let i = match self.free.pop() {
            Some(i) => {
                entries[usize::from(i)] = entry;
                i
            }
            None if entries.len() <= self.limit => {
                entries.push(entry);
                (entries.len() - 1) as u16
            }
            None => return None,
        };
        self.index.insert_unique(h, i, |i| hash(&entries[usize::from(*i)].cfg));
        Some(i)
    }

    /// One record more holds entry `i`.
    pub(crate) fn hold(&mut self, i: u16) {
        self.entries[usize::from(i)].users += 1;
    }

    /// A record that held entry `i` is gone.
    pub(crate) fn release(&mut self, i: u16) {
        let e = &mut self.entries[usize::from(i)];
        e.users -= 1;
        if e.users > 0 {
            return;
        }
        if let Ok(found) = self.index.find_entry(hash(&e.cfg), |n| *n == i) {
            found.remove();
        }
        self.free.push(i);
    }

    /// Entry `i` is exchanged for `cfg`. If there is no room the old one stays, and none is returned; one that has a
    /// single user always makes room for its successor.
    pub(crate) fn exchange(&mut self, i: u16, cfg: &TcpConfig) -> Option<u16> {
        if self.entries[usize::from(i)].users > 1 {
            let new = self.intern(cfg)?;
            self.release(i);
            return Some(new);
        }
        self.release(i);
        self.intern(cfg)
    }

    /// Entries beside the host's own.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len() - 1
    }

    /// Records that hold an entry, the host itself not counted.
    pub(crate) fn users(&self) -> usize {
        self.entries.iter().map(|e| e.users as usize).sum::<usize>() - 1
    }
}

impl Index<u16> for Configs {
    type Output = TcpConfig;

    fn index(&self, i: u16) -> &TcpConfig {
        &self.entries[usize::from(i)].cfg
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn cfg(ms: u64) -> TcpConfig {
        TcpConfig { connect_timeout: Duration::from_millis(ms), ..TcpConfig::default() }
    }

    #[test]
    fn the_last_user_takes_the_entry_with_it_and_a_full_table_refuses() {
        let mut c = Configs::new(cfg(0), 2);
        assert_eq!((c.intern(&cfg(0)), c.len()), (Some(0), 0), "the host's own");
        assert_eq!([1, 2, 3, 2].map(|ms| c.intern(&cfg(ms))), [Some(1), Some(2), None, Some(2)]);
        c.release(2);
        assert_eq!(c.exchange(2, &cfg(4)), Some(2), "its only user makes room");
        assert_eq!((c.intern(&cfg(4)), c.exchange(2, &cfg(5))), (Some(2), None), "another still needs it");
        assert_eq!((c[2].clone(), c.exchange(2, &cfg(1))), (cfg(4), Some(1)));
        (0..2).for_each(|_| c.release(1));
        c.release(2);
        c.release(0);
        assert_eq!((c.len(), c.users(), c.index.len(), &c[0]), (0, 0, 1, &cfg(0)));
        assert_eq!(c.intern(&cfg(6)).map(|i| c[i].clone()), Some(cfg(6)));
    }
}
