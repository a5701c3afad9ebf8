//! Whatever a peer acknowledges: no panic, no division by zero, no window and no rate of nothing.

use super::*;
use crate::snd::congestion::{Ack, CongestionControl, Loss, LossCause, LostPiece, RateSample, Sending, Start, Window};
use crate::time::Instant;
use proptest::prelude::*;
use synfin_wire::SeqNum;

/// A number of any size, the ends more often than not.
fn wild() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), 0..3_000_u64, any::<u32>().prop_map(u64::from), any::<u64>(), Just(u64::MAX)]
}

#[derive(Debug, Clone)]
struct Event {
    kind: u8,
    wait: u64,
    n: [u64; 8],
    bits: u8,
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![Just(0), 0..1_000_u64, 0..10_000_000_000_u64];
    (0..12_u8, wait, prop::array::uniform8(wild()), any::<u8>()).prop_map(|(kind, wait, n, bits)| Event {
        kind,
        wait,
        n,
        bits,
    })
}

fn small(n: u64) -> u32 {
    n.min(u64::from(u32::MAX)) as u32
}

fn play(sack: bool, srtt: u64, smss: u32, events: &[Event]) {
    let start =
        Start { now: Instant::ZERO, initial_cwnd: 10 * smss, smss, srtt: Duration::from_nanos(srtt), sack, seed: srtt };
    let mut b = Bbr::new(&start);
    let mut w = Window { cwnd: 10 * smss, ssthresh: u32::MAX };
    let mut now = Instant::ZERO;
    for e in events {
        now += Duration::from_nanos(e.wait);
        let [a, c, d, f, g, h, i, j] = e.n;
        let bit = |n: u8| e.bits >> n & 1 == 1;
        let loss =
            Loss { now, flight: small(a), smss, cause: if bit(0) { LossCause::Lost } else { LossCause::Marked } };
        match e.kind {
            0 => b.on_loss(&mut w, &loss),
            1 => b.on_timeout(&mut w, &loss, bit(1)),
            2 => b.on_spurious(&mut w, now),
            3 => b.on_recovered(&mut w, now),
            4 => {
                let lost = LostPiece {
                    seq: SeqNum(small(a)),
                    len: small(c),
                    tx_in_flight: small(d),
                    lost_before: f,
                    total_lost: g,
                    total_delivered: h,
                    is_app_limited: bit(0),
                    again: false,
                };
                b.on_lost(&mut w, &lost, now);
            }
            5 => b.on_send(&mut w, &Sending { now, pipe: small(a), is_app_limited: bit(0), total_delivered: c }),
            _ => {
                let rate = RateSample {
                    delivery_rate: a,
                    delivered: c,
                    lost: d,
                    interval: Duration::from_nanos(f),
                    total_delivered: g,
                    prior_delivered: h,
                    is_app_limited: bit(0),
                    tx_in_flight: small(i),
                };
                let ack = Ack {
                    now,
                    pipe: small(j),
                    rtt: bit(1).then(|| Duration::from_nanos(i)),
                    in_recovery: bit(2),
                    cwnd_limited: bit(3),
                    rate: bit(4).then_some(rate),
                    ..Ack::of(small(f), small(j), smss)
                };
                b.on_ack(&mut w, &ack);
                assert!(w.cwnd >= 4 * smss && w.cwnd <= 1 << 30, "{} {b:?}", w.cwnd);
            }
        }
        let p = b.pacing().unwrap();
        assert!(w.cwnd >= smss && p.rate >= u64::from(smss) && p.quantum >= 2 * smss, "{} {p:?}", w.cwnd);
    }
}

proptest! {
    #[test]
    //= draft-ietf-ccwg-bbr-06 5.6.4.3
    fn no_acknowledgment_makes_it_stop(
        sack in any::<bool>(),
        srtt in prop_oneof![Just(0), any::<u64>()],
        smss in prop_oneof![Just(1460_u32), Just(48), Just(65_495)],
        events in prop::collection::vec(event(), 1..200),
    ) {
        play(sack, srtt, smss, &events);
    }
}
