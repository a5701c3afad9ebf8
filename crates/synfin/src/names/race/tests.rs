//! Races in virtual time: when the resolver answers, which addresses answer when, and what came of it.

use super::*;
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;
const START: Instant = Instant::from_nanos(1_000_000_000);

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// An order of destinations that prefers IPv6 and leaves the rest as it is.
fn v6_first(a: &mut [IpAddr]) {
    a.sort_by_key(|a| !a.is_ipv6());
}

/// What happens in the world: (ms, family, its addresses) of the resolver, (address, ms it takes, whether it works); others never
/// answer. All that the race says, with the ms when it does.
fn play(settings: Settings, resolver: &[(u64, Family, &[&str])], hosts: &[(&str, u64, bool)]) -> Vec<(u64, Event)> {
    let mut race = Race::new(settings);
    let mut coming: Vec<(Instant, IpAddr, bool)> = Vec::new();
    let mut said = Vec::new();
    let mut now = START;
    let mut questions = resolver.to_vec();
    for _ in 0..1_000 {
        let q = questions.iter().map(|q| START + MS(q.0)).min().unwrap_or(Instant::NEVER);
        let c = coming.iter().map(|c| c.0).min().unwrap_or(Instant::NEVER);
        let next = q.min(c).min(race.next_deadline());
        if next == Instant::NEVER {
            return said;
        }
        now = now.max(next);
        if q <= now {
            let i = questions.iter().position(|x| START + MS(x.0) == q).unwrap();
            let (_, family, addresses) = questions.remove(i);
            let addresses: Vec<IpAddr> = addresses.iter().map(|a| ip(a)).collect();
            race.on_addresses(now, family, &addresses, v6_first);
        } else if c <= now {
            let i = coming.iter().position(|x| x.0 == c).unwrap();
            let (_, a, works) = coming.remove(i);
            if works { race.on_connected(a) } else { race.on_failed(now, a) }
        } else {
            race.on_deadline(now);
        }
        while let Some(e) = race.poll_event() {
            said.push((now.since(START).as_millis() as u64, e));
            match e {
                Event::Connect(a) => {
                    let h = hosts.iter().find(|h| ip(h.0) == a);
                    coming.extend(h.map(|h| (now + MS(h.1), a, h.2)));
                }
                Event::Cancel(a) => coming.retain(|c| c.1 != a),
                Event::Won(_) | Event::Lost => {}
            }
        }
    }
    panic!("no end: {said:?}");
}

fn connect(a: &str) -> Event {
    Event::Connect(ip(a))
}

fn won(a: &str) -> Event {
    Event::Won(ip(a))
}

const V6: &str = "2001:db8::1";
const V6B: &str = "2001:db8::2";
const V6C: &str = "2001:db8::3";
const V4: &str = "192.0.2.1";
const V4B: &str = "192.0.2.2";

#[test]
//= RFC 8305 3
fn ipv6_is_tried_as_soon_as_it_is_known() {
    let said = play(Settings::default(), &[(10, Family::V6, &[V6])], &[(V6, 20, true)]);
    assert_eq!(said, [(10, connect(V6)), (30, won(V6))]);
    let said = play(Settings::default(), &[(5, Family::V4, &[V4]), (40, Family::V6, &[V6])], &[(V6, 20, true)]);
    assert_eq!(said, [(40, connect(V6)), (60, won(V6))], "within the resolution delay");
}

#[test]
//= RFC 8305 3
fn ipv4_waits_for_the_answer_about_ipv6_and_50_ms_at_most() {
    let said = play(Settings::default(), &[(5, Family::V4, &[V4])], &[(V4, 20, true)]);
    assert_eq!(said, [(55, connect(V4)), (75, won(V4))]);
    let said = play(Settings::default(), &[(5, Family::V4, &[V4]), (15, Family::V6, &[])], &[(V4, 20, true)]);
    assert_eq!(said, [(15, connect(V4)), (35, won(V4))], "there is none");
    let said = play(Settings::default(), &[(5, Family::V6, &[]), (80, Family::V4, &[V4])], &[(V4, 20, true)]);
    assert_eq!(said, [(80, connect(V4)), (100, won(V4))]);
}

#[test]
//= RFC 8305 5
fn where_ipv6_is_broken_ipv4_wins_250_ms_later_and_the_other_is_given_up() {
    let said =
        play(Settings::default(), &[(0, Family::V6, &[V6, V6B]), (0, Family::V4, &[V4, V4B])], &[(V4, 30, true)]);
    assert_eq!(
        said,
        [(0, connect(V6)), (250, connect(V4)), (280, won(V4)), (280, Event::Cancel(ip(V6)))],
        "the families take turns"
    );
}

#[test]
//= RFC 8305 5
fn an_earlier_attempt_may_still_win() {
    let said = play(
        Settings::default(),
        &[(0, Family::V6, &[V6]), (0, Family::V4, &[V4])],
        &[(V6, 300, true), (V4, 100, true)],
    );
    assert_eq!(said, [(0, connect(V6)), (250, connect(V4)), (300, won(V6)), (300, Event::Cancel(ip(V4)))]);
}

#[test]
//= RFC 8305 5
fn after_a_failure_the_next_begins_but_not_within_100_ms() {
    let said = play(
        Settings::default(),
        &[(0, Family::V6, &[V6, V6B]), (0, Family::V4, &[V4, V4B])],
        &[(V6, 10, false), (V4, 150, false), (V6B, 20, false), (V4B, 20, true)],
    );
    assert_eq!(said, [(0, connect(V6)), (100, connect(V4)), (250, connect(V6B)), (350, connect(V4B)), (370, won(V4B))]);
}

#[test]
//= RFC 8305 3 6
fn addresses_that_come_later_are_taken_in() {
    let said =
        play(Settings::default(), &[(0, Family::V4, &[V4, V4B]), (70, Family::V6, &[V6, V6B])], &[(V6B, 20, true)]);
    assert_eq!(
        said[..4],
        [(50, connect(V4)), (300, connect(V6)), (550, connect(V4B)), (800, connect(V6B))],
        "IPv4 was first, so now it is the turn of IPv6"
    );
    assert_eq!(said[4], (820, won(V6B)));
    assert_eq!(said.len(), 8);
}

#[test]
//= RFC 8305 4
fn more_of_the_first_family_can_be_tried_before_the_other() {
    let s = Settings::default().first_family_count(2).attempt_delay(MS(1));
    let said = play(s, &[(0, Family::V6, &[V6, V6B, V6C]), (0, Family::V4, &[V4, V4B])], &[(V4B, 1, true)]);
    let tried: Vec<_> = said.iter().filter(|e| matches!(e.1, Event::Connect(_))).copied().collect();
    let expected = [V6, V6B, V4, V6C, V4B];
    assert_eq!(tried, expected.iter().zip(0..).map(|(a, n)| (n * 100, connect(a))).collect::<Vec<_>>());
    assert_eq!(Settings::default().attempt_delay(MS(60_000)).attempt_delay, MS(2_000));
}

#[test]
fn it_is_lost_when_no_address_is_left_and_not_before_both_answers() {
    let none: &[&str] = &[];
    assert_eq!(play(Settings::default(), &[(5, Family::V4, none), (9, Family::V6, none)], &[]), [(9, Event::Lost)]);
    let said = play(Settings::default(), &[(0, Family::V6, &[V6]), (500, Family::V4, none)], &[(V6, 10, false)]);
    assert_eq!(said, [(0, connect(V6)), (500, Event::Lost)]);
    let said = play(Settings::default(), &[(0, Family::V6, &[V6]), (500, Family::V4, &[V4])], &[(V6, 10, false)]);
    assert_eq!(said, [(0, connect(V6)), (500, connect(V4))], "not answered, and TCP's to end");
}

#[test]
fn what_is_said_twice_is_tried_once_and_too_many_are_left_out() {
    let mut race = Race::new(Settings::default());
    let many: Vec<IpAddr> = (0..100).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    race.on_addresses(START, Family::V6, &[ip(V6), ip(V4), ip(V6)], v6_first);
    race.on_addresses(START, Family::V6, &[ip(V6)], v6_first);
    race.on_addresses(START, Family::V4, &many, v6_first);
    assert_eq!((race.waiting.len() + race.tried.len(), race.dropped()), (Race::ADDRESSES, 37));
    assert_eq!(race.poll_event(), Some(connect(V6)));
    race.on_connected(ip(V6));
    race.on_connected(ip(V4));
    assert_eq!((race.poll_event(), race.poll_event()), (Some(won(V6)), Some(Event::Cancel(ip(V4)))));
    assert!(race.is_over() && race.next_deadline() == Instant::NEVER);
}
