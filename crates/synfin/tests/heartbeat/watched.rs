//! The first table: what happens to an idle connection that is watched over.

use super::page::{line, range, seconds};
use super::rig::{ANSWERED, DELAY, Rig, Told, Watch};
use std::time::Duration;
use synfin::heartbeat::{Settings, Verdict};
use synfin::stack::engine::CloseReason;
use synfin_sim::Middlebox;

const S: fn(u64) -> Duration = Duration::from_secs;
/// Bits per second.
const RATE: u64 = 64_000;
const DAY: Duration = Duration::from_secs(86_400);

/// When something happens: at twenty points from an answer until just before the next question.
fn phases(watch: Watch) -> impl Iterator<Item = Rig> {
    let last = watch.period() - ANSWERED - Duration::from_millis(10);
    (0..20).map(move |n| {
        let mut rig = Rig::new(watch);
        rig.run(2 * watch.period());
        rig.until_answered(2 * watch.period());
        rig.run(last * n / 19);
        rig
    })
}

/// A cell for each column.
fn each(f: impl Fn(Watch) -> String) -> Vec<String> {
    Watch::ALL.into_iter().map(f).collect()
}

/// For each phase, how long after `what` has happened the first program was told that its peer is gone, how long after the
/// last packet came, and what it was told.
fn verdicts(watch: Watch, what: impl Fn(&mut Rig)) -> Vec<(Duration, Duration, Told)> {
    phases(watch)
        .map(|mut rig| {
            assert_eq!(rig.ends[0].told, None);
            let began = rig.net.now;
            what(&mut rig);
            let (_, told) = rig.until_told(0, DAY).unwrap();
            let at = rig.ends[0].told.unwrap().0;
            (at.since(began), at.since(rig.heard), told)
        })
        .collect()
}

fn timed_out(told: Told, watch: Watch) -> bool {
    match watch {
        Watch::Heartbeat(_) => matches!(told, Told::Heartbeat(_)),
        _ => told == Told::Closed(CloseReason::TimedOut),
    }
}

#[test]
fn a_cut_cable() {
    let (mut since_cut, mut since_life) = (Vec::new(), Vec::new());
    for w in Watch::ALL {
        let all = verdicts(w, |rig| rig.cut(true));
        assert!(all.iter().all(|v| timed_out(v.2, w)));
        since_cut.push(range(&all.iter().map(|v| v.0).collect::<Vec<_>>()));
        since_life.push(range(&all.iter().map(|v| v.1).collect::<Vec<_>>()));
        // What the presets promise.
        let within = match w {
            Watch::Heartbeat(Settings::USUAL) => S(30)..=S(40),
            Watch::Heartbeat(_) => S(6)..=S(9),
            _ => w.patience()..=w.patience(),
        };
        assert!(all.iter().all(|v| within.contains(&v.1)), "{w:?}: {all:?}");
    }
    line("a cut cable: from the last sign of life to the verdict", &since_life);
    line("a cut cable: from the cut to the verdict", &since_cut);
}

#[test]
fn a_cut_cable_seen_from_the_end_that_answers() {
    let cells = each(|w| {
        let mut rig = Rig::new(w);
        rig.run(10 * w.period());
        rig.cut(true);
        let cut = rig.net.now;
        match rig.until_told(1, DAY) {
            None => "not in 24 h".to_string(),
            // What it heard last came when the first end asked last, 20 ms earlier.
            Some((_, Told::Heartbeat(Verdict::Gone { heard, at }))) => {
                assert!(heard <= cut + DELAY);
                seconds(at.since(heard))
            }
            Some(other) => panic!("{other:?}"),
        }
    });
    line("the same at the other end", &cells);
}

#[test]
fn a_peer_that_lost_power() {
    let off = each(|w| {
        let all = verdicts(w, Rig::power_off);
        assert!(all.iter().all(|v| timed_out(v.2, w)));
        range(&all.iter().map(|v| v.0).collect::<Vec<_>>())
    });
    line("a peer that lost power for good", &off);
    let again = each(|w| {
        let all = verdicts(w, |rig| {
            rig.power_off();
            rig.run(S(60));
            rig.cut(false);
        });
        let resets = all.iter().filter(|v| v.2 == Told::Closed(CloseReason::Reset)).count();
        let how = match resets {
            20 => "reset".to_string(),
            0 => "timed out".to_string(),
            n => format!("{} of 20 timed out, else reset", 20 - n),
        };
        format!("{} ({how})", range(&all.iter().map(|v| v.0).collect::<Vec<_>>()))
    });
    line("a peer that lost power, and is up again 60 s later", &again);
}

#[test]
fn a_program_that_hangs() {
    let cells = each(|w| {
        if let Watch::Heartbeat(_) = w {
            let all = verdicts(w, |rig| rig.ends[1].runs = false);
            assert!(all.iter().all(|v| timed_out(v.2, w)));
            return range(&all.iter().map(|v| v.0).collect::<Vec<_>>());
        }
        let mut rig = Rig::new(w);
        rig.ends[1].runs = false;
        assert_eq!(rig.until_told(0, DAY), None, "its TCP answers");
        "not in 24 h".to_string()
    });
    line("a program that hangs", &cells);
}

/// Whether an outage is survived that begins at a phase.
fn survives(w: Watch, mut rig: Rig, outage: Duration) -> bool {
    rig.cut(true);
    rig.run(outage);
    rig.cut(false);
    rig.run(2 * w.patience() + S(120));
    rig.ends.iter().all(|e| e.told.is_none())
}

#[test]
fn a_short_outage_of_a_healthy_path() {
    let cells = each(|w| {
        // The shortest that kills, at the worst moment: for each by halving, to a twentieth of a second.
        let (step, longest) = (Duration::from_millis(50), 2 * w.patience());
        let mut shortest = longest;
        for n in 0..20 {
            let at = || phases(w).nth(n).unwrap();
            if survives(w, at(), shortest.saturating_sub(step)) {
                continue;
            }
            let mut lives = Duration::ZERO;
            while shortest - lives > step {
                let middle = (lives + shortest) / 2;
                if survives(w, at(), middle) { lives = middle } else { shortest = middle }
            }
        }
        assert!(shortest < w.patience());
        seconds(shortest)
    });
    line("the shortest outage of a healthy path that kills", &cells);
}

/// What docs/heartbeat.md says of a heartbeat's probe: when TCP sends it again, and again.
#[test]
fn a_probe_that_is_lost_goes_again() {
    let mut rig = Rig::new(Watch::Heartbeat(Settings::USUAL));
    rig.run(S(300));
    rig.until_answered(S(30));
    rig.cut(true);
    rig.net.records = Some(Vec::new());
    rig.until_told(0, S(60)).unwrap();
    let sent: Vec<_> = rig.net.records.iter().flatten().filter(|r| r.link == 0).map(|r| r.at).collect();
    let after: Vec<String> = sent[1..].iter().map(|at| format!("{:.1}", at.since(sent[0]).as_secs_f64())).collect();
    let page = include_str!("../../../../docs/heartbeat.md").replace('\n', " ");
    let words =
        format!("sends again (after {} and {} s here)", after[..after.len() - 1].join(", "), after[after.len() - 1]);
    assert!(page.contains(&words), "docs/heartbeat.md does not say: {words}");
}

#[test]
fn a_firewall_that_forgets_idle_flows() {
    let cells = each(|w| {
        let mut rig = Rig::through(w, 0, Some(Middlebox::new(S(300), false, 100)));
        rig.run(S(1_800));
        assert_eq!(rig.ends[0].told, None);
        let before = rig.ends[1].read;
        assert_eq!(rig.write(0, 100), 100, "taken, whatever becomes of it");
        rig.run(S(1));
        if rig.ends[1].read == before + 100 {
            assert_eq!(rig.net.middleboxes[0].forgotten, 0);
            return "lives".to_string();
        }
        let (told, what) = rig.until_told(0, DAY).unwrap();
        assert_eq!(what, Told::Closed(CloseReason::TimedOut));
        assert_eq!(rig.until_told(1, DAY), None);
        format!("dead: the write fails after {}, the other end learns nothing", seconds(told + S(1)))
    });
    line("a firewall that forgets flows idle for 5 min, after 30 min", &cells);
}

/// Keepalive is quiet while text is under way. A probe of a heartbeat waits behind the text, longer here than any timeout: it is
/// the receiver that has to speak.
#[test]
fn much_text_on_a_slow_path() {
    let cells = each(|w| {
        let mut rig = Rig::through(w, RATE, None);
        let (mut wrote, mut behind) = (0, 0);
        for _ in 0..6_000 {
            wrote += rig.write(0, 1 << 20);
            rig.run(Duration::from_millis(100));
            behind = behind.max(wrote - rig.ends[1].read);
            assert_eq!(rig.ends.each_ref().map(|e| e.told), [None, None], "{w:?}, {} read", rig.ends[1].read);
        }
        let ahead = S(behind as u64 * 8 / RATE);
        if let Watch::Heartbeat(s) = w {
            assert!(ahead > s.timeout(), "only {ahead:?} ahead of a probe");
        }
        assert!(rig.ends[1].read as u64 > 500 * RATE / 8, "{} read", rig.ends[1].read);
        format!("lives, with {} ahead of a probe", seconds(ahead))
    });
    line("10 min of text one way, 64 kbit/s, as much ahead as fits", &cells);
}

#[test]
fn what_an_hour_of_idleness_costs() {
    let cells = each(|w| {
        let mut rig = Rig::new(w);
        rig.run(w.period() / 2);
        let before = rig.traffic();
        rig.run(S(3_600));
        let after = rig.traffic();
        format!("{} ({} packets)", after.0 - before.0, after.1 - before.1)
    });
    line("octets on the wire for an hour of idleness, both ways", &cells);
}
