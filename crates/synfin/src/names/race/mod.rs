//! Connecting to a name that has several addresses, perhaps of both families, of which some may not answer (RFC 8305).
//!
//! Attempts begin one after another, not waiting for each other's end, in an order that takes turns between the families; the
//! first to succeed wins, the others are given up. The machine is told what the resolver says and what becomes of attempts, and
//! says what to do. It does not know of interfaces and has no history (the SHOULDs of RFC 8305 4 on round-trip times and used
//! addresses): who has one says so by the order and by [`Settings::attempt_delay`].

mod settings;

pub use settings::Settings;

use std::collections::VecDeque;
use std::net::IpAddr;
use synfin_stack::engine::Instant;

/// A race to one name.
#[derive(Debug)]
pub struct Race {
    settings: Settings,
    /// Received and not tried, in the order in which they will be.
    waiting: Vec<IpAddr>,
    running: Vec<IpAddr>,
    /// All that were tried.
    tried: Vec<IpAddr>,
    /// Whether the resolver has answered, by family.
    answered: [bool; 2],
    /// Until when an answer with IPv6 addresses is waited for.
    resolution: Option<Instant>,
    /// When the last attempt began, and when the next one may.
    last: Option<Instant>,
    next: Instant,
    /// It began to connect.
    began: bool,
    over: bool,
    events: VecDeque<Event>,
    dropped: u64,
}

/// A family of addresses, and the question to a resolver that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// AAAA.
    V6,
    /// A.
    V4,
}

impl Family {
    /// That of an address.
    pub fn of(a: IpAddr) -> Family {
        if a.is_ipv6() { Family::V6 } else { Family::V4 }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Begin to connect to it.
    Connect(IpAddr),
    /// Give the attempt up.
    Cancel(IpAddr),
    /// It is the one. Nothing but cancellations follow.
    Won(IpAddr),
    /// No address is left, or there was none.
    Lost,
}

impl Race {
    /// Addresses that are kept, at most; more that come are counted and left out.
    pub const ADDRESSES: usize = 64;

    /// Both questions to the resolver go now, that for IPv6 first (RFC 8305 3).
    pub fn new(settings: Settings) -> Race {
        Race {
            settings,
            waiting: Vec::new(),
            running: Vec::new(),
            tried: Vec::new(),
            answered: [false; 2],
            resolution: None,
            last: None,
            next: Instant::ZERO,
            began: false,
            over: false,
            events: VecDeque::new(),
            dropped: 0,
        }
    }

    /// The resolver has answered, with no address if there is none or it failed. `order` sorts destinations as RFC 6724 6 has
    /// it: a host of ours by
    /// [`Stack::order_destinations`](crate::Stack::order_destinations). An answer may come more often than once.
    pub fn on_addresses(
        &mut self,
        now: Instant,
        family: Family,
        addresses: &[IpAddr],
        order: impl FnOnce(&mut [IpAddr]),
    ) {
        if self.over {
            return;
        }
        self.answered[family as usize] = true;
        for a in addresses.iter().filter(|a| Family::of(**a) == family) {
            if self.waiting.contains(a) || self.tried.contains(a) {
                continue;
            }
            if self.waiting.len() + self.tried.len() >= Race::ADDRESSES {
                self.dropped += 1;
                continue;
            }
            self.waiting.push(*a);
        }
        //= RFC 8305 4
        order(&mut self.waiting);
        self.interleave();
        //= RFC 8305 3
        let v6 = self.waiting.iter().any(IpAddr::is_ipv6);
        if !self.began && !self.waiting.is_empty() {
            if v6 || self.answered[Family::V6 as usize] {
                self.began = true;
            } else if self.resolution.is_none() {
                self.resolution = Some(now + self.settings.resolution_delay);
            }
        }
        self.advance(now);
    }

    /// An attempt has succeeded.
    pub fn on_connected(&mut self, a: IpAddr) {
        if self.over {
            self.events.push_back(Event::Cancel(a));
            return;
        }
        //= RFC 8305 5
        self.over = true;
        self.waiting.clear();
        self.events.push_back(Event::Won(a));
        let others = self.running.drain(..).filter(|r| *r != a);
        self.events.extend(others.map(Event::Cancel));
    }

    /// An attempt has failed. The next one need not wait until this one would have had its time, but for the least delay.
    pub fn on_failed(&mut self, now: Instant, a: IpAddr) {
        self.running.retain(|r| *r != a);
        if let Some(last) = self.last {
            self.next = self.next.min(now.max(last + Settings::LEAST_DELAY));
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.resolution.is_some_and(|r| now >= r) {
            self.began = true;
        }
        self.advance(now);
    }

    /// When [`on_deadline`](Race::on_deadline) wants to be called.
    pub fn next_deadline(&self) -> Instant {
        match self.resolution {
            _ if self.over || self.waiting.is_empty() => Instant::NEVER,
            Some(r) if !self.began => r,
            _ => self.next,
        }
    }

    /// What is to be done next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether it is won or lost.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Addresses that were left out because there were too many.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Begins what may begin, and knows when nothing can any more.
    fn advance(&mut self, now: Instant) {
        if self.over {
            return;
        }
        if self.began && now >= self.next && !self.waiting.is_empty() {
            let a = self.waiting.remove(0);
            self.running.push(a);
            self.tried.push(a);
            (self.last, self.next) = (Some(now), now + self.settings.attempt_delay);
            self.events.push_back(Event::Connect(a));
        }
        if self.waiting.is_empty() && self.running.is_empty() && self.answered == [true; 2] {
            self.over = true;
            self.events.push_back(Event::Lost);
        }
    }

    /// Takes turns between the families, from the one whose turn it is: so many of the first at a time, one of the other.
    //= RFC 8305 4
    fn interleave(&mut self) {
        let Some(first) = self.tried.first().or(self.waiting.first()).map(|a| Family::of(*a)) else { return };
        let (mut ours, mut others): (VecDeque<IpAddr>, VecDeque<IpAddr>) =
            self.waiting.drain(..).partition(|a| Family::of(*a) == first);
        // How many of the first family have been tried since one of the other.
        let mut run = self.tried.iter().rev().take_while(|a| Family::of(**a) == first).count();
        loop {
            let turn = run < self.settings.first_family_count || others.is_empty();
            let Some(a) = (if turn { ours.pop_front().or_else(|| others.pop_front()) } else { others.pop_front() })
            else {
                return;
            };
            run = if Family::of(a) == first { run + 1 } else { 0 };
            self.waiting.push(a);
        }
    }
}

#[cfg(test)]
mod tests;
