//! The examples of `scenarios/` do what their comments say.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::fs;
use std::path::{Path, PathBuf};
use synfin_sim::Lost;
use synfin_sim::scenario::{Outcome, Report, Run, Scenario};
use synfin_stack::engine::CloseReason;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn play(name: &str) -> Report {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let scenario = Scenario::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let report = Run::new(&scenario).finish();
    for f in &report.flows {
        println!("{name}: {}: {:?} after {:?}, {:.2} Mbit/s", f.name, f.outcome, f.took, f.goodput / 1e6);
    }
    report
}

#[test]
fn every_example_is_played_by_a_test() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap().replace(".toml", "").replace('-', "_"))
        .collect();
    names.sort();
    assert_eq!(names, ["black_hole", "bulk", "burst_loss", "cut_and_heal", "dumbbell", "idle_middlebox"]);
}

#[test]
fn bulk() {
    let r = play("bulk.toml");
    assert!(r.flows[0].goodput > 80e6, "{}", r.flows[0].goodput);
    assert!(r.links[0].counters.longest_bytes <= 500_000, "the queue holds what the path carries");
}

#[test]
fn dumbbell() {
    let r = play("dumbbell.toml");
    assert!(r.flows.iter().map(|f| f.goodput).sum::<f64>() > 16e6);
    assert!(r.flows.iter().all(|f| f.goodput > 1e6), "neither is starved");
}

#[test]
fn burst_loss() {
    let r = play("burst-loss.toml");
    assert!(r.flows.iter().all(|f| f.outcome == Outcome::Finished && f.status.counters.retrans > 0));
}

#[test]
fn black_hole() {
    let r = play("black-hole.toml");
    assert_eq!(r.flows[0].bytes, 0, "a black hole");
    for f in &r.flows[1..] {
        assert_eq!((f.outcome, f.bytes), (Outcome::Finished, 1_000_000), "{}", f.name);
    }
    assert!(r.flows[1].took.as_secs() < 10, "{:?}", r.flows[1].took);
    assert!(r.links.iter().any(|l| l.counters.lost(Lost::TooBig) > 0));
}

#[test]
fn idle_middlebox() {
    let r = play("idle-middlebox.toml");
    assert_eq!(r.flows[0].outcome, Outcome::SenderFailed(CloseReason::TimedOut), "silence costs the flow");
    assert_eq!(r.flows[0].requests.count(), 1);
    assert_eq!((r.flows[1].outcome, r.flows[1].requests.count()), (Outcome::Finished, 5), "a sign of life keeps it");
}

#[test]
fn cut_and_heal() {
    let r = play("cut-and-heal.toml");
    assert_eq!((r.flows[0].outcome, r.flows[0].bytes), (Outcome::Finished, 20_000_000));
    assert!(r.links[0].counters.lost(Lost::Cut) > 0 && r.flows[0].took.as_secs() < 35);
}
