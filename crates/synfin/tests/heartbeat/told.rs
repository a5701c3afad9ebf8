//! The second table: what `recv` and `send` tell of a connection that nobody watches over.

use super::page::{line, seconds};
use super::rig::{Rig, Told, Watch};
use std::time::Duration;
use synfin::stack::engine::CloseReason;
use synfin::stack::engine::call::SendError;

const S: fn(u64) -> Duration = Duration::from_secs;
const DAY: Duration = Duration::from_secs(86_400);

/// What a program is told that waits in `recv` when `what` happens.
fn recv(what: impl Fn(&mut Rig)) -> Option<(Duration, Told)> {
    let mut rig = Rig::new(Watch::Nothing);
    rig.run(S(10));
    what(&mut rig);
    rig.until_told(0, DAY)
}

/// What one is told that only sends, 100 octets ten seconds later and then as much as is taken: of the first send, how many
/// octets were taken in all, and how the connection ended, how long after that first send.
fn send(what: impl Fn(&mut Rig)) -> (Result<usize, SendError>, usize, Option<(Duration, CloseReason)>) {
    let mut rig = Rig::new(Watch::Nothing);
    rig.run(S(10));
    rig.ends[0].runs = false; // it does not read
    what(&mut rig);
    rig.run(S(10));
    let began = rig.net.now;
    let first = rig.send(0, 100);
    let mut taken = first.unwrap_or(0);
    let mut full = 0;
    while full < 100 && rig.until_closed(0, Duration::from_millis(100)).is_none() {
        match rig.send(0, 1 << 16) {
            Ok(n) => (taken, full) = (taken + n, 0),
            Err(SendError::WouldBlock) => full += 1,
            Err(_) => break,
        }
    }
    let ended = rig.until_closed(0, DAY);
    (first, taken, ended.map(|(at, why)| (at.since(began), why)))
}

fn told(title: &str, what: impl Fn(&mut Rig)) -> (Option<Told>, bool, Option<CloseReason>) {
    let (r, (first, taken, ended)) = (recv(&what), send(&what));
    let why = |c| match c {
        CloseReason::Reset => "connection reset",
        CloseReason::TimedOut => "timed out",
        _ => "closed",
    };
    let heard = match r {
        None => "nothing in 24 h".to_string(),
        Some((d, Told::End)) => format!("0, after {}", seconds(d)),
        Some((d, Told::Closed(c))) => format!("{}, after {}", why(c), seconds(d)),
        Some((_, Told::Heartbeat(_))) => unreachable!("there is none"),
    };
    let first_words = match first {
        Ok(_) => format!("succeeds; {taken} octets in all"),
        Err(_) => "fails".to_string(),
    };
    let end = match ended {
        None => "nothing in 24 h".to_string(),
        Some(_) if first.is_err() => "-".to_string(),
        Some((d, c)) => format!("{}, after {}", why(c), seconds(d)),
    };
    line(title, &[heard, first_words, end]);
    (r.map(|r| r.1), first.is_ok(), ended.map(|e| e.1))
}

#[test]
fn a_peer_that_closes_in_order() {
    let t = told("the peer closes in order, or its program dies", |rig| rig.close(1));
    assert_eq!(t, (Some(Told::End), true, Some(CloseReason::Reset)), "it may still listen, as far as anybody knows");
}

#[test]
fn a_peer_that_resets() {
    let t = told("the peer resets", |rig| rig.abort(1));
    assert_eq!(t, (Some(Told::Closed(CloseReason::Reset)), false, Some(CloseReason::Reset)));
}

#[test]
fn a_cable_that_is_cut() {
    let t = told("the cable is cut", |rig| rig.cut(true));
    assert_eq!(t, (None, true, Some(CloseReason::TimedOut)));
}

#[test]
fn a_peer_that_has_started_anew() {
    let t = told("the peer lost power, and is up again", |rig| {
        rig.power_off();
        rig.cut(false);
    });
    assert_eq!(t, (None, true, Some(CloseReason::Reset)), "nobody asks, so nobody tells");
}

#[test]
fn a_peer_that_hangs() {
    let t = told("the peer's program hangs", |rig| rig.ends[1].runs = false);
    assert_eq!(t, (None, true, None), "its TCP acknowledges, and says that its window is shut");
}
