//! What a link does, setting by setting.

use super::*;

fn ms(n: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(n)
}

/// One octet takes a microsecond: 1,000 octets a millisecond.
fn model() -> LinkModel {
    LinkModel { rate: 8_000_000, delay: Duration::ZERO, ..LinkModel::default() }
}

fn rng() -> Rng {
    Rng::from_number(1)
}

fn packet(id: u32, ecn: Ecn) -> Packet {
    Packet { id, len: 1_000, ecn }
}

/// Hands in `n` packets at `at` and returns all that comes out until nothing waits.
fn burst(l: &mut Link, at: Instant, n: u32, rng: &mut Rng) -> Vec<(u32, Fate)> {
    let mut out = Vec::new();
    for id in 0..n {
        if let Err(why) = l.enqueue(at, packet(id, Ecn::NotEct)) {
            out.push((id, Fate::Lost(why)));
        }
        out.extend(l.poll(at, rng));
    }
    drain(l, out, rng)
}

fn drain(l: &mut Link, mut out: Vec<(u32, Fate)>, rng: &mut Rng) -> Vec<(u32, Fate)> {
    while let Some(now) = l.next_deadline().finite() {
        out.extend(l.poll(now, rng));
    }
    out
}

fn arrival(f: Fate) -> Option<Instant> {
    if let Fate::Arrives(a) = f { Some(a.at) } else { None }
}

fn arrivals(all: &[(u32, Fate)]) -> Vec<Instant> {
    all.iter().filter_map(|(_, f)| arrival(*f)).collect()
}

#[test]
fn packets_leave_at_the_rate_and_the_tail_is_dropped() {
    for queue in [Limit::Bytes(3_000), Limit::Packets(3)] {
        let mut l = Link::new(LinkModel { queue, ..model() });
        let out = burst(&mut l, Instant::ZERO, 5, &mut rng());
        assert_eq!(arrivals(&out), [ms(1), ms(2), ms(3), ms(4)]);
        assert!(out.contains(&(4, Fate::Lost(Lost::QueueFull))));
        let c = &l.counters;
        assert_eq!((c.passed, c.bytes, c.lost(Lost::QueueFull), c.longest_packets), (4, 4_000, 1, 3));
        assert_eq!((c.waited.max(), c.waited.mean()), (Duration::from_millis(3), Duration::from_micros(1_500)));
    }
}

#[test]
fn a_packet_greater_than_the_queue_finds_it_empty() {
    let mut l = Link::new(LinkModel { queue: Limit::Bytes(10), ..model() });
    assert_eq!(arrivals(&burst(&mut l, ms(5), 3, &mut rng())), [ms(6), ms(7)]);
}

#[test]
fn without_a_rate_nothing_waits() {
    let mut l = Link::new(LinkModel { rate: 0, queue: Limit::Packets(1), delay: ms(7).since(ms(0)), ..model() });
    assert_eq!(arrivals(&burst(&mut l, ms(1), 4, &mut rng())), [ms(8); 4]);
    assert_eq!(l.counters.longest_packets, 0);
}

#[test]
fn whoever_asks_late_gets_the_times_of_the_rate() {
    let mut l = Link::new(model());
    for id in 0..3 {
        l.enqueue(ms(0), packet(id, Ecn::NotEct)).unwrap();
    }
    let mut rng = rng();
    let out: Vec<_> = std::iter::from_fn(|| l.poll(ms(50), &mut rng)).collect();
    assert_eq!(arrivals(&out), [ms(1), ms(2), ms(3)]);
}

#[test]
fn a_change_of_rate_concerns_what_waits() {
    let changes = vec![Change { at: ms(1), rate: Some(800_000), ..Change::default() }];
    let mut l = Link::new(LinkModel { changes, ..model() });
    assert_eq!(arrivals(&burst(&mut l, ms(0), 3, &mut rng())), [ms(1), ms(11), ms(21)]);
}

#[test]
fn how_long_it_was_sending_is_never_more_than_the_time() {
    // A packet takes 1 ms, and 10 ms after the change.
    let changes = vec![Change { at: ms(2), rate: Some(800_000), ..Change::default() }];
    let mut l = Link::new(LinkModel { changes, ..model() });
    assert_eq!(l.next_change(), ms(2));
    burst(&mut l, ms(0), 3, &mut rng());
    let busy = |l: &Link, at| l.busy(ms(at)).as_micros();
    // All three have left the queue; the last is being sent from 2 ms to 12 ms.
    assert_eq!((busy(&l, 7), busy(&l, 12), busy(&l, 50)), (7_000, 12_000, 12_000));
    assert_eq!(l.next_change(), Instant::NEVER);
}

#[test]
fn a_cut_loses_what_waits_and_what_comes_until_it_is_healed() {
    let cut = |at, cut| Change { at, cut: Some(cut), ..Change::default() };
    // Out of order on purpose: the link sorts them.
    let changes = vec![cut(ms(4), false), cut(ms(2), true)];
    let mut l = Link::new(LinkModel { changes, ..model() });
    let mut rng = rng();
    let out = burst(&mut l, ms(0), 6, &mut rng);
    assert_eq!(arrivals(&out), [ms(1), ms(2), ms(5), ms(6)]);
    assert_eq!(l.counters.lost(Lost::Cut), 2);
    l.model.cut = true;
    assert_eq!(l.enqueue(ms(9), packet(9, Ecn::NotEct)), Err(Lost::Cut));
}

#[test]
fn what_is_too_big_does_not_enter() {
    let mut l = Link::new(LinkModel { mtu: 999, ..model() });
    assert_eq!(l.enqueue(ms(0), packet(1, Ecn::NotEct)), Err(Lost::TooBig));
    l.model.mtu = 1_000;
    assert_eq!(l.enqueue(ms(0), packet(1, Ecn::NotEct)), Ok(()));
}

/// Hands in a packet each millisecond for `n`, at twice what the link carries; counts arrivals, marks and losses by AQM.
fn overload(aqm: Aqm, ecn: Ecn, n: u64) -> (Counters, Vec<(u32, Fate)>) {
    let mut l = Link::new(LinkModel { aqm, rate: 4_000_000, queue: Limit::Bytes(1 << 30), ..model() });
    let (mut out, mut rng) = (Vec::new(), rng());
    for i in 0..n {
        while l.next_deadline() <= ms(i) {
            out.extend(l.poll(l.next_deadline(), &mut rng));
        }
        if let Err(why) = l.enqueue(ms(i), packet(i as u32, ecn)) {
            out.push((i as u32, Fate::Lost(why)));
        }
        out.extend(l.poll(ms(i), &mut rng));
    }
    let out = drain(&mut l, out, &mut rng);
    (l.counters, out)
}

#[test]
fn the_step_marks_what_can_be_marked_and_drops_the_rest() {
    let step = Aqm::Mark { above: 10_000 };
    let (c, out) = overload(step, Ecn::Ect0, 1_000);
    assert_eq!((c.passed, c.lost_in_all()), (1_000, 0));
    let marked = |f: &Fate| matches!(f, Fate::Arrives(a) if a.marked);
    let first = out.iter().position(|(_, f)| marked(f)).unwrap();
    assert_eq!(c.marked as usize, out.iter().filter(|(_, f)| marked(f)).count());
    assert!((20..25).contains(&first), "the queue grows by one packet in two milliseconds: {first}");
    let (c, _) = overload(step, Ecn::NotEct, 1_000);
    assert_eq!((c.marked, c.longest_bytes), (0, 11_000));
    assert!(c.lost(Lost::Aqm) > 400);
}

#[test]
//= RFC 8289 4.2
fn codel_drops_or_marks_what_stands() {
    let (c, _) = overload(Aqm::codel(true), Ecn::NotEct, 2_000);
    assert!(c.lost(Lost::Aqm) > 20 && c.marked == 0, "{c:?}");
    let (c, _) = overload(Aqm::codel(true), Ecn::Ect1, 2_000);
    assert!(c.lost(Lost::Aqm) == 0 && c.marked > 20, "{c:?}");
    let (c, _) = overload(Aqm::codel(false), Ecn::Ect1, 2_000);
    assert!(c.lost(Lost::Aqm) > 20 && c.marked == 0, "{c:?}");
}

/// Which of `n` packets are lost.
fn losses(loss: u32, burst: u32, n: usize) -> Vec<bool> {
    let mut l = Link::new(LinkModel { loss, burst, rate: 0, ..model() });
    let mut rng = rng();
    (0..n)
        .map(|_| {
            l.enqueue(ms(0), packet(0, Ecn::NotEct)).unwrap();
            matches!(l.poll(ms(0), &mut rng), Some((_, Fate::Lost(Lost::Loss))))
        })
        .collect()
}

#[test]
fn losses_are_as_many_and_as_long_as_asked() {
    for (loss, burst) in [(10_000, 1), (10_000, 5), (100_000, 20), (1_000, 10), (500_000, 2), (900_000, 9)] {
        let all = losses(loss, burst, 1_000_000);
        let lost = all.iter().filter(|x| **x).count() as f64;
        let bursts = all.windows(2).filter(|w| !w[0] && w[1]).count() as f64;
        let mean = lost / bursts;
        // Losses on their own follow one another by chance, too.
        let expected = if burst == 1 { 1.0 / (1.0 - f64::from(loss) / 1e6) } else { f64::from(burst) };
        assert!((lost / f64::from(loss) - 1.0).abs() < 0.1, "{loss} {burst}: {lost} lost");
        assert!((mean / expected - 1.0).abs() < 0.1, "{loss} {burst}: {mean} in a row");
    }
    // Nine in ten, in bursts of two, cannot be: they are longer.
    let lost = losses(900_000, 2, 100_000).iter().filter(|x| **x).count();
    assert!((89_000..91_000).contains(&lost), "{lost}");
    assert!(losses(1_000_000, 5, 100).iter().all(|x| *x) && !losses(0, 5, 100).iter().any(|x| *x));
}

#[test]
fn jitter_keeps_the_order_unless_it_may_not() {
    for reorders in [false, true] {
        let jitter = Duration::from_millis(20);
        let mut l = Link::new(LinkModel { jitter, jitter_reorders: reorders, ..model() });
        let times = arrivals(&burst(&mut l, ms(0), 500, &mut rng()));
        assert_eq!(times.is_sorted(), !reorders);
        let late = times.iter().enumerate().map(|(i, t)| t.since(ms(i as u64 + 1)));
        assert!(late.clone().all(|d| d <= jitter) && late.max() > Some(jitter / 2));
    }
}

#[test]
fn held_back_doubled_and_flipped_are_counted() {
    let m = LinkModel { reorder: 500_000, duplicate: 250_000, corrupt: 100_000, ..model() };
    let mut l = Link::new(m);
    let out = burst(&mut l, ms(0), 1_000, &mut rng());
    let seen =
        |f: fn(&Arrival) -> bool| out.iter().filter(|(_, x)| matches!(x, Fate::Arrives(a) if f(a))).count() as u64;
    let c = &l.counters;
    assert!(!arrivals(&out).is_sorted() && (400..600).contains(&c.reordered));
    assert_eq!((c.duplicated, c.corrupted), (seen(|a| a.again.is_some()), seen(|a| a.corrupt)));
    assert!((200..300).contains(&c.duplicated) && (70..130).contains(&c.corrupted));
}
