//! SYN cookies (RFC 4987 3.6): when a listener's SYN queue is full, what a half-open record would hold is put into the
//! number of the SYN,ACK, under a key that nobody else has, and comes back with the ACK. So a flood costs no memory, and
//! who really is there gets in.
//!
//! A cookie is F(four-tuple) + IRS + (time slot, 8 bits | G(four-tuple, IRS, time slot, options) + MSS, 24 bits), as
//! D. J. Bernstein has it and Linux does: for one four-tuple numbers grow with the peer's and with time. It is good in the
//! slot in which it was made and the next one, for 60 to 120 s. Which options are in the low bits of TSval is the engine's
//! part ([`synfin_tcp::arrives::syn_cookie`]); they are under the hash, so that nobody changes them on the way.
//!
//! An ACK out of nowhere is looked at only by a listener that has sent cookies lately; else it is answered by a RST as ever.
//! A cookie that was taken is remembered until it is too old, and not taken again: not from somebody who has seen it, and
//! not in a segment that comes late to a connection that is over.
//!
//! What is lost with the record: the SYN,ACK is not sent again (the client's SYN is), nothing is measured, and SEG.WND of the
//! SYN does not count, but that of the ACK. If the ACK is lost and so is the first of several segments of text, the next ones
//! look like nobody's.

use super::input::report;
use super::passive::{Finished, InListen};
use super::{Key, Slot};
use crate::cx::tcp_cx;
use crate::stack::Stack;
use core::hash::Hasher;
use core::time::Duration;
use hashbrown::HashTable;
use siphasher::sip::SipHasher24;
use synfin_tcp::arrives::syn_cookie::{Kept, MSS};
use synfin_tcp::arrives::syn_received::{Outcome, SynReceived};
use synfin_tcp::config::SynCookies;
use synfin_tcp::{Event, Instant, Probe, Rule, SendReason, State, Verdict, isn};
use synfin_wire::SeqNum;
use synfin_wire::tcp::Flags;

/// How long a time slot is.
const SLOT: Duration = Duration::from_secs(60);

/// For how long after its last cookie a listener looks for them: until the last one is too old.
const LATELY: Duration = Duration::from_secs(120);

/// The low bits, which hold the hash and the MSS.
const LOW: u32 = 0x00ff_ffff;

fn slot_of(now: Instant) -> u64 {
    now.as_nanos() / SLOT.as_nanos() as u64
}

fn base(secret: &[u8; 16], key: &Key, irs: SeqNum) -> SeqNum {
    let mut h = SipHasher24::new_with_key(secret);
    h.write_u8(b'c');
    h.write(key.bytes());
    irs + h.finish() as u32
}

fn low(secret: &[u8; 16], key: &Key, irs: SeqNum, slot: u64, options: Option<u8>) -> u32 {
    let mut h = SipHasher24::new_with_key(secret);
    h.write_u8(b'k');
    h.write(key.bytes());
    h.write_u32(irs.0);
    h.write_u64(slot);
    h.write_u16(options.map_or(u16::MAX, u16::from));
    h.finish() as u32
}

/// The number of a SYN,ACK for the SYN with the number `irs`.
fn make(secret: &[u8; 16], key: &Key, irs: SeqNum, slot: u64, kept: Kept) -> SeqNum {
    let hash = low(secret, key, irs, slot, kept.options);
    let n = (slot as u32) << 24 | (hash.wrapping_add(u32::from(kept.mss)) & LOW);
    base(secret, key, irs) + n
}

/// What the number of a SYN,ACK says, if it is a cookie of ours and not too old. `options` is what the ACK brings back.
fn read(secret: &[u8; 16], key: &Key, irs: SeqNum, slot: u64, cookie: SeqNum, options: Option<u8>) -> Option<Kept> {
    let n = cookie.since(base(secret, key, irs));
    let age = (slot as u32).wrapping_sub(n >> 24) & 0xff;
    let made = slot.checked_sub(u64::from(age)).filter(|_| age <= 1)?;
    let mss = (n & LOW).wrapping_sub(low(secret, key, irs, made, options)) & LOW;
    (mss < MSS.len() as u32).then_some(Kept { mss: mss as u8, options })
}

/// The SYNs whose cookies were taken, by a hash: those of this slot, and of the one before. Not the cookies: that of another
/// MSS is as good as the one we sent.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    slot: u64,
    sets: [HashTable<u64>; 2],
}

impl Taken {
    /// Notes that the cookie for a SYN is taken; false if one was before. Of each slot at most `limit` are remembered: a flood of finished
    /// handshakes is bounded by the accept queue, and costs memory no more than this.
    fn take(&mut self, secret: &[u8; 16], key: &Key, irs: SeqNum, slot: u64, limit: usize) -> bool {
        if slot > self.slot {
            let last = core::mem::take(&mut self.sets[0]);
            self.sets[1] = if slot == self.slot + 1 { last } else { HashTable::new() };
            self.slot = slot;
        }
        let mut h = SipHasher24::new_with_key(secret);
        h.write_u8(b'u');
        h.write(key.bytes());
        h.write_u32(irs.0);
        let hash = h.finish();
        if self.sets.iter().any(|s| s.find(hash, |x| *x == hash).is_some()) {
            return false;
        }
        if self.sets[0].len() < limit {
            self.sets[0].insert_unique(hash, hash, |x| *x);
        }
        true
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.sets.iter().map(HashTable::len).sum()
    }
}

impl Stack {
    /// Answers a SYN by a cookie. False if that cannot be done: its MSS is smaller than a cookie can say.
    //= RFC 4987 3.6
    pub(super) fn send_cookie<P: Probe>(&mut self, now: Instant, probe: &mut P, syn: &InListen<'_>) -> bool {
        let InListen { ref seg, tuple, listener, .. } = *syn;
        let Some(cfg) = self.tcp.listeners.at(listener).map(|l| l.cfg) else { return false };
        let (key, open) = self.passive_open(now, syn, cfg);
        let mut nobody = ();
        let mut cx = tcp_cx!(self, cfg, now, &mut nobody);
        let agreed = SynReceived::passive(&mut cx, seg, &open).negotiated;
        let Some(kept) = Kept::of(seg, &agreed, open.default_mss) else { return false };
        let iss = make(&self.secret, &key, seg.seq(), slot_of(now), kept);
        let Some(syn) = SynReceived::for_cookie(cx.cfg, seg, &open, kept, iss) else { return false };
        let (hdr, opts) = syn.cookie(&cx, kept);
        report(now, probe, seg, Verdict::Accepted(Rule::SynToCookie), State::Listen);
        self.mib.cookies_sent += 1;
        if let Some(l) = self.tcp.listeners.at_mut(listener) {
            l.cookies.sent += 1;
            l.cookie_sent_at = Some(now);
        }
        self.send_bare(now, tuple, hdr, &opts, cfg);
        probe.event(now, || Event::Sent { hdr, len: 0, why: SendReason::SynCookie, state: State::Listen });
        true
    }

    /// An ACK to a listener: the end of a handshake, if it brings back a cookie. The connection waits in the accept queue
    /// then. What is to be said of it if it does not, none if nothing is.
    pub(super) fn ack_of_cookie<P: Probe>(
        &mut self,
        now: Instant,
        probe: &mut P,
        ack: InListen<'_>,
    ) -> Option<Verdict> {
        let InListen { seg, tuple, link, listener, .. } = ack;
        let as_ever = Some(Verdict::Reset(Rule::AckToListen));
        let Some(l) = self.tcp.listeners.at(listener) else { return as_ever };
        let cfg = l.cfg;
        let lately = l.cookie_sent_at.is_some_and(|sent| now.since(sent) <= LATELY);
        if !lately || self.configs[cfg].syn_cookies == SynCookies::Off || seg.has(Flags::SYN) {
            return as_ever;
        }
        let key = Key::new(tuple.local, tuple.remote);
        let options = Kept::options_of(&seg.opts, isn::timestamp_offset(&self.secret, key.hosts()));
        let (cookie, irs, slot) = (seg.hdr.ack - 1, seg.seq() - 1, slot_of(now));
        let kept = read(&self.secret, &key, irs, slot, cookie, options);
        if let (Some(_), true) = (kept, self.tcp.is_full(listener, self.cfg.max_connections)) {
            // It stays good: what the client sends next brings it back once more.
            self.overflowed(listener);
            report(now, probe, seg, Verdict::Dropped(Rule::QueueFull), State::Listen);
            return None;
        }
        let open = self.open_params(now, &key, cfg, link);
        let mut cx = tcp_cx!(self, cfg, now, probe);
        let syn = kept
            .filter(|_| self.tcp.taken.take(&self.secret, &key, irs, slot, self.cfg.max_half_open))
            .and_then(|kept| SynReceived::from_cookie(&mut cx, seg, &open, kept));
        let Some(mut syn) = syn else {
            self.mib.cookies_failed += 1;
            if let Some(l) = self.tcp.listeners.at_mut(listener) {
                l.cookies.refused += 1;
            }
            return Some(Verdict::Reset(Rule::CookieRefused));
        };
        let (hdr, opts, len) = (seg.hdr, seg.opts, seg.payload.len() as u32);
        let Outcome::Done(tcb, verdict) = syn.on_segment(&mut cx, seg) else { return as_ever };
        let state = tcb.state;
        self.mib.cookies_recv += 1;
        if let Some(l) = self.tcp.listeners.at_mut(listener) {
            l.cookies.accepted += 1;
        }
        self.configs.hold(cfg);
        let c = self.finished(now, Finished { tcb, key, cfg, link, listener });
        probe.focus(u64::from(Slot::Conn(c).token()));
        probe.event(now, || Event::Arrived { hdr, opts, len, verdict, state });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::vec::Vec;

    const SECRET: [u8; 16] = [7; 16];

    fn key(port: u16) -> Key {
        let on = |last, port| SocketAddr::from(([192, 0, 2, last], port));
        Key::new(on(2, 80), on(1, port))
    }

    #[test]
    fn a_cookie_says_what_it_was_made_of_for_two_slots_and_to_one_four_tuple() {
        for (mss, options, irs, slot) in
            [(0, None, 0, 0), (7, Some(0x3f), u32::MAX, 1), (3, Some(0), 77, 1 << 40 | 255)]
        {
            let kept = Kept { mss, options };
            let irs = SeqNum(irs);
            let c = make(&SECRET, &key(1), irs, slot, kept);
            let at = |slot| read(&SECRET, &key(1), irs, slot, c, options);
            assert_eq!([at(slot), at(slot + 1)], [Some(kept), Some(kept)]);
            assert_eq!([at(slot + 2), at(slot + 256), at(slot + 257)], [None; 3], "too old, also once round");
            assert_eq!(read(&SECRET, &key(2), irs, slot, c, options), None, "somebody else's");
            assert_eq!(read(&[8; 16], &key(1), irs, slot, c, options), None, "under another key");
            assert_eq!(read(&SECRET, &key(1), irs + 1, slot, c, options), None, "for another SYN");
            let other = if options.is_some() { None } else { Some(5) };
            assert_eq!(read(&SECRET, &key(1), irs, slot, c, other), None, "with other options");
        }
        assert_eq!(read(&SECRET, &key(1), SeqNum(9), 0, SeqNum(1), None), None, "nothing is older than the clock");
    }

    /// Sixteen of 2^32 numbers are good at a time, eight for each of two slots.
    #[test]
    fn guessing_is_hopeless_and_numbers_tell_nothing() {
        let mut x = 1u32;
        let guesses = (0..1_000_000).filter(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            read(&SECRET, &key(1), SeqNum(5), 9, SeqNum(x), None).is_some()
        });
        assert!(guesses.count() <= 1);
        let kept = Kept { mss: 7, options: None };
        let all: Vec<u32> = (1..5_000).map(|p| make(&SECRET, &key(p), SeqNum(5), 9, kept).0).collect();
        let bits: u32 = all.windows(2).map(|w| (w[0] ^ w[1]).count_ones()).sum();
        assert!((78_000..82_000).contains(&bits), "half of 32 bits differ between neighbors: {bits}");
    }

    #[test]
    fn a_cookie_is_taken_once_while_it_is_good_and_the_memory_of_that_is_bounded() {
        let mut t = Taken::default();
        let mut take = |port, slot| t.take(&SECRET, &key(port), SeqNum(1), slot, 100);
        assert_eq!([take(1, 5), take(1, 5), take(1, 6), take(2, 6)], [true, false, false, true]);
        assert!(take(1, 7), "two slots later it is too old to be read, and is forgotten");
        (1_000..2_000).for_each(|p| {
            take(p, 8);
        });
        assert_eq!(t.len(), 101);
        t.take(&SECRET, &key(1), SeqNum(1), 20, 100);
        assert_eq!(t.len(), 1);
    }
}
