//! Files that are refused, and scenarios played whole.

use super::*;
use crate::link::{Aqm, Limit, Lost, Oversize};
use synfin_stack::engine::CloseReason;

fn parse(text: &str) -> Scenario {
    Scenario::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn play(text: &str) -> Report {
    Run::new(&parse(text)).finish()
}

const FLOW: &str = "[[flows]]\nfrom = 'a'\nto = 'b'\n";

#[test]
fn every_mistake_has_its_place_and_says_what_was_expected() {
    for (text, words) in [
        ("", "missing field `duration`"),
        ("duration = '1s'", "no flows: [[flows]] is expected"),
        ("duration = 'soon'", "line 1, column 12: \"soon\" is not a time, such as"),
        ("duration = '1s'\nduration = '2s'", "line 2, column 1: duplicate key"),
        ("duration = '1s'\nspeed = 3", "line 2, column 1: unknown field `speed`, expected one of `name`, `seed`"),
        (
            "duration = '1s'\n[topology]\nkind = 'ring'",
            "line 3, column 8: unknown variant `ring`, expected one of `pair`",
        ),
        (
            "duration = '1s'\n[topology]\nkind = 'dumbbell'",
            "line 2, column 1: a pair has no other key, a dumbbell has pairs",
        ),
        (
            "duration = '1s'\n[links.wire]\nrate = 1",
            "line 2, column 8: no link is called \"wire\"; this topology has link, link-back",
        ),
        ("duration = '1s'\n[links.link]\nloss = '101%'", "line 3, column 8: \"101%\" is not a part of the whole"),
        ("duration = '1s'\n[links.link]\nqueue = 'long'", "\"100 packets\", \"64KiB\" or \"40ms\""),
        ("duration = '1s'\n[links.link]\naqm = 'mark'", "aqm = \"mark\", and only that, has mark-above"),
        ("duration = '1s'\n[links.link]\necn = true", "target, interval and ecn belong to"),
        ("duration = '1s'\n[links.link]\nburst = 0", "a burst is of 1 packet at least"),
        ("duration = '1s'\n[links.link]\nqueue = '40ms'", "line 2, column 8: a queue that is a time needs a rate"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a*'\nto = 'b'", "with *, both from and to have it"),
        (
            "duration = '1s'\n[[flows]]\nname = 'x'\nfrom = 'a'\nto = 'b'\n[[flows]]\nname = 'x'\nfrom = 'b'\nto = 'a'",
            "two flows are called \"x\"",
        ),
        ("duration = '1s'\n[links.link-back]\nmiddlebox = { idle = '1s' }", "stands on both directions"),
        ("duration = '1s'\n[tcp]\nnonsense = 1", "line 3, column 1: unknown setting \"nonsense\""),
        ("duration = '1s'\n[tcp]\ninitial-window = 0", "line 3, column 1: initial-window: \"0\" is none of 1..=100"),
        ("duration = '1s'\n[tcp]\nsack = [1]", "sack: text, a number, true or false is expected"),
        ("duration = '1s'\n[hosts.c]\nmtu = 9000", "line 2, column 8: no host is called \"c\"; this topology has a, b"),
        ("duration = '1s'\n[hosts.a]\nmtu = 60", "mtu of \"a\": from 576 to 65535"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a'\nto = 'c'", "line 4, column 6: no host is called \"c\""),
        ("duration = '1s'\n[[flows]]\nfrom = 'a'\nto = 'a'", "from one host to another"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a*'\nto = 'c*'", "as many hosts on one side"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a'\nto = 'b'\ncount = 1001", "more than 1000 flows"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a'\nto = 'b'\non = '1s'", "both on and off"),
        ("duration = '1s'\n[[flows]]\nfrom = 'a'\nto = 'b'\nrequest = 1", "both request and response"),
    ] {
        let e = Scenario::parse(text).expect_err(text).to_string();
        assert!(e.contains(words) && e.lines().count() == 1, "{text}\n{e}");
    }
}

#[test]
fn what_is_more_particular_comes_later() {
    let s = parse(
        "duration = '1s'\n[topology]\nkind = 'dumbbell'\npairs = 2\n\
         [links.access]\nrate = '1G'\nqueue = '10ms'\n[links.s2]\nrate = '10M'\n[links.access-back]\nloss = '1%'\n\
         [links.bottleneck]\nrate = '8M'\nqueue = '100ms'\naqm = 'codel'\ntarget = '1ms'\nmtu = 1400\nblack-hole = true\n\
         [tcp]\nsack = false\n[hosts.r1]\ntcp = { sack = true }\n\
         [[flows]]\nfrom = 's*'\nto = 'r*'\nname = 'x'\nevery = '100ms'\ntcp = { initial-window = 3 }",
    );
    let link = |name: &str, back: usize| {
        let i = s.topology.links.iter().position(|e| e.name == name).unwrap_or_default();
        &s.links[i + back]
    };
    assert_eq!((link("s1", 0).rate, link("s1", 0).queue), (1_000_000_000, Limit::Bytes(1_250_000)));
    assert_eq!((link("s2", 0).rate, link("s2", 0).queue), (10_000_000, Limit::Bytes(12_500)));
    assert_eq!((link("s2", 0).loss, link("s2", 1).loss, link("r1", 1).loss), (0, 10_000, 10_000));
    let b = link("bottleneck", 1);
    let ms = Duration::from_millis;
    assert_eq!(b.aqm, Aqm::CoDel { target: ms(1), interval: ms(100), ecn: false });
    assert_eq!((b.queue, b.mtu, b.oversize), (Limit::Bytes(100_000), 1400, Oversize::Silent));
    let ends: Vec<_> = s.flows.iter().map(|f| (f.name.as_str(), f.from, f.to, f.start)).collect();
    assert_eq!(ends, [("x 1", 0, 2, ms(0)), ("x 2", 1, 3, ms(100))]);
    let sack: Vec<_> = s.flows.iter().map(|f| f.tcp.each_ref().map(|t| (t.sack, t.initial_window))).collect();
    assert_eq!(sack, [[(false, 3), (true, 3)], [(false, 3), (false, 3)]]);
}

#[test]
fn bulk_fills_the_link_and_the_same_seed_gives_the_same_run() {
    let text = format!(
        "duration = '60s'\n[links.link]\nrate = '20M'\ndelay = '10ms'\nqueue = '40ms'\nloss = '0.01%'\n{FLOW}bytes = '10MB'"
    );
    let (a, b) = (play(&text), play(&text));
    let f = &a.flows[0];
    assert_eq!((f.outcome, f.bytes), (Outcome::Finished, 10_000_000));
    assert!((16e6..19.4e6).contains(&f.goodput), "{}", f.goodput);
    assert!(f.samples.len() > 100 && f.rtt.percentile(95) < Duration::from_millis(70), "{:?}", f.rtt.percentile(95));
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
    assert_ne!(format!("{a:?}"), format!("{:?}", play(&format!("seed = 2\n{text}"))));
    let forth = &a.links[0].counters;
    assert!(forth.passed > 6_900 && forth.lost(Lost::Loss) > 0 && a.links[0].used > Some(0.8));
}

#[test]
fn a_link_that_is_far_too_slow_was_used_all_the_time_and_no_more() {
    let r = play(&format!("duration = '10s'\n[links.link]\nrate = 1\n{FLOW}bytes = '10kB'"));
    let used = r.links[0].used.expect("it has a rate");
    assert!((0.9..=1.0).contains(&used), "{used}");
}

#[test]
fn settings_that_contradict_each_other_are_refused_by_name_and_place() {
    let text =
        format!("duration = '1s'\n[links.link]\nrate = '1M'\n{FLOW}bytes = 1\n[tcp]\nrto-max = '1s'\nrto-min = '2s'\n");
    let e = Scenario::parse(&text).expect_err("they contradict each other").to_string();
    assert!(e.contains("rto-min: 2s is above rto-max, which is 1s"), "{e}");
}

#[test]
fn programs_that_are_slow_decide_how_fast_it_goes() {
    let base = "duration = '10s'\n[links.link]\nrate = '100M'\ndelay = '5ms'\n";
    for (keys, low, high) in [
        ("rate = '2M'", 1.95e6, 2.01e6),
        ("read-rate = '3M'", 2.9e6, 3.01e6),
        ("rate = '4M'\non = '1s'\noff = '1s'", 1.9e6, 2.1e6),
    ] {
        let r = play(&format!("{base}{FLOW}{keys}"));
        let f = &r.flows[0];
        assert_eq!(f.outcome, Outcome::TimeUp);
        assert!((low..high).contains(&f.goodput), "{keys}: {}", f.goodput);
    }
}

#[test]
fn requests_take_a_round_trip_and_a_pause() {
    let text = format!(
        "duration = '60s'\n[links.link]\ndelay = '20ms'\n{FLOW}request = 100\nresponse = '10KB'\nthink = '60ms'\nrequests = 50"
    );
    let f = &play(&text).flows[0];
    assert_eq!((f.outcome, f.bytes, f.requests.count()), (Outcome::Finished, 500_000, 50));
    assert!((40..42).contains(&f.requests.percentile(95).as_millis()), "{:?}", f.requests.percentile(95));
    assert!((4_900..5_300).contains(&f.took.as_millis()), "{:?}", f.took);
}

#[test]
fn flows_begin_and_end_when_they_are_told_to() {
    let text = format!(
        "duration = '20s'\n[links.link]\nrate = '10M'\n{FLOW}start = '2s'\nduration = '3s'\n{FLOW}start = '30s'\n{FLOW}start = '5s'\nbytes = 0"
    );
    let r = play(&text);
    let all: Vec<_> = r.flows.iter().map(|f| (f.outcome, f.start.as_secs(), f.took.as_secs())).collect();
    assert_eq!(all, [(Outcome::TimeUp, 2, 3), (Outcome::NotBegun, 30, 0), (Outcome::Finished, 5, 0)]);
    assert_eq!(r.took, Duration::from_secs(20));
}

#[test]
fn a_connection_that_is_gone_is_told_by_whoever_noticed() {
    let cut =
        "duration = '10min'\n[tcp]\nretries2 = 4\n[links.link]\nrate = '10M'\nchanges = [{ at = '1s', cut = true }]\n";
    let f = &play(&format!("{cut}{FLOW}")).flows[0];
    assert_eq!(f.outcome, Outcome::SenderFailed(CloseReason::TimedOut));
    assert!(f.took < Duration::from_secs(60) && f.status.counters.bytes_acked > 500_000, "{f:?}");
}

#[test]
fn memory_of_samples_is_bounded() {
    let f = &play(&format!("duration = '3h'\n{FLOW}rate = '20k'")).flows[0];
    assert!((FlowReport::SAMPLES / 2..=FlowReport::SAMPLES).contains(&f.samples.len()), "{}", f.samples.len());
    assert!(f.samples.is_sorted_by_key(|s| s.at) && f.samples.last().is_some_and(|s| s.at.as_secs() > 10_700));
}
