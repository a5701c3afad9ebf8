//! Initial sequence numbers and timestamp offsets (RFC 9293 3.4.1, RFC 6528, RFC 7323 5.4).

use crate::time::Instant;
use core::hash::Hasher;
use siphasher::sip::SipHasher24;
use synfin_wire::SeqNum;

fn keyed(secret: &[u8; 16], label: u8, tuple: &[u8]) -> u64 {
    let mut h = SipHasher24::new_with_key(secret);
    h.write_u8(label);
    h.write(tuple);
    h.finish()
}

/// ISN = M + F(four-tuple, secret): `M` ticks every four microseconds, `F` is SipHash-2-4 under a 128-bit secret.
/// `tuple` is the byte string of local and remote address and port.
//= RFC 9293 3.4.1 MUST-8 MUST-9 SHLD-1
//= RFC 6528 3
pub fn initial_sequence_number(secret: &[u8; 16], tuple: &[u8], now: Instant) -> SeqNum {
    SeqNum((now.as_nanos() / 4_000) as u32) + keyed(secret, b'i', tuple) as u32
}

/// The offset added to the millisecond clock to make TSval; keyed per pair of hosts, so that it tells nothing of
/// the uptime and yet stays monotonic from one connection to the next (RFC 7323 5.4, RFC 6191).
pub fn timestamp_offset(secret: &[u8; 16], hosts: &[u8]) -> u32 {
    keyed(secret, b't', hosts) as u32
}

/// Which of many groups a host is in, for limits that are shared: by a keyed hash of its address, so that nobody can
/// choose whose group he is in.
pub fn host_group(secret: &[u8; 16], host: &[u8]) -> u32 {
    keyed(secret, b'h', host) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use std::collections::HashSet;

    #[test]
    //= RFC 9293 3.4.1 MUST-8 MUST-9 SHLD-1
    //= RFC 6528 3
    fn monotonic_for_one_tuple_unrelated_across_tuples() {
        let secret = [7; 16];
        let at = |ms: u64| Instant::ZERO + Duration::from_millis(ms);
        let a = initial_sequence_number(&secret, b"one", at(0));
        let b = initial_sequence_number(&secret, b"one", at(1));
        assert_eq!(b.since(a), 250, "one millisecond is 250 ticks of four microseconds");
        let all: HashSet<u32> =
            (0..10_000u32).map(|i| initial_sequence_number(&secret, &i.to_be_bytes(), at(0)).0).collect();
        assert!(all.len() > 9_990, "no visible collisions among 10,000 tuples");
        // Neighbouring tuples differ in about half of the 32 bits.
        let bits: u32 = (0..10_000u32)
            .map(|i| {
                let f = |i: u32| initial_sequence_number(&secret, &i.to_be_bytes(), at(0)).0;
                (f(i) ^ f(i + 1)).count_ones()
            })
            .sum();
        assert!((155_000..165_000).contains(&bits), "{bits}");
        assert_ne!(initial_sequence_number(&[8; 16], b"one", at(0)), a, "another secret, another number");
    }

    #[test]
    fn timestamp_offsets_are_per_pair_of_hosts() {
        assert_eq!(timestamp_offset(&[1; 16], b"ab"), timestamp_offset(&[1; 16], b"ab"));
        assert_ne!(timestamp_offset(&[1; 16], b"ab"), timestamp_offset(&[1; 16], b"ac"));
    }
}
