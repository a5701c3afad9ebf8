//! What a direction of a path is like, as `KEY=VALUE`.

use crate::model::{Aqm, Change, Limit, LinkModel};
use crate::units;
use std::time::Duration;
use synfin_stack::engine::Instant;

/// One direction. The default passes everything at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(LinkModel);

/// Every key with how its value is written and what it does.
pub const KEYS: &[(&str, &str, &str)] = &[
    ("rate", "100M", "Bits per second; 0 is without limit, and then nothing queues"),
    ("delay", "20ms", "How long each packet is on the way"),
    ("jitter", "2ms", "What a packet takes longer than that, at most; none overtakes another"),
    ("loss", "1%", "Probability that a packet is lost on the way"),
    ("burst-loss", "1%:10", "The same, in bursts of so many packets in the mean"),
    ("queue", "500k|500p", "Bytes, or packets, that wait for the rate before the tail is dropped"),
    ("codel", "on|ecn|5ms:100ms", "CoDel on that queue: target and interval; with ecn it marks who can be marked"),
    ("mark", "100k", "Mark what finds more bytes than this waiting, or drop it if it cannot be marked"),
    ("reorder", "1%", "Probability that a packet is held back and overtaken"),
    ("reorder-by", "20ms", "How long it is held back, at most"),
    ("duplicate", "1%", "Probability that a packet comes twice"),
    ("corrupt", "1%", "Probability that one bit of a packet is flipped"),
    ("mtu", "1400", "Bytes of the greatest IP packet; greater ones are lost without a word; 0 is without limit"),
];

/// What may change in the course of a run, with how its value is written.
pub const CHANGES: &[(&str, &str)] = &[("cut", "on|off"), ("rate", "100M"), ("delay", "20ms"), ("loss", "1%")];

impl Default for Settings {
    fn default() -> Self {
        Settings(LinkModel { delay: Duration::ZERO, ..LinkModel::default() })
    }
}

impl Settings {
    /// Sets `key` to `value`; the error is one line that says what is wrong.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let Some((_, example, _)) = KEYS.iter().find(|k| k.0 == key) else {
            let keys: Vec<_> = KEYS.iter().map(|k| k.0).collect();
            return Err(format!("unknown key {key:?}; there are {}", keys.join(", ")));
        };
        self.try_set(key, value).ok_or_else(|| format!("{key}: cannot read {value:?}; it is written like {example}"))
    }

    /// Sets what `KEY=VALUE` says.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
        self.set(key, value)
    }

    /// From `at` on, counted from when the path is open, what `KEY=VALUE` says holds: [`CHANGES`] are the keys.
    pub fn change(&mut self, at: Duration, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
        let Some((_, example)) = CHANGES.iter().find(|k| k.0 == key) else {
            let keys: Vec<_> = CHANGES.iter().map(|k| k.0).collect();
            return Err(format!("{key:?} does not change with time; there are {}", keys.join(", ")));
        };
        let change = Change { at: Instant::ZERO + at, ..Change::default() };
        let change = match key {
            "cut" => ["off", "on"].iter().position(|w| *w == value).map(|n| Change { cut: Some(n == 1), ..change }),
            "rate" => units::rate(value).map(|v| Change { rate: Some(v), ..change }),
            "delay" => units::duration(value).map(|v| Change { delay: Some(v), ..change }),
            _ => units::probability(value).map(|v| Change { loss: Some(v), ..change }),
        };
        let change = change.ok_or_else(|| format!("{key}: cannot read {value:?}; it is written like {example}"))?;
        self.0.changes.push(change);
        Ok(())
    }

    pub(crate) fn model(&self) -> &LinkModel {
        &self.0
    }

    fn try_set(&mut self, key: &str, value: &str) -> Option<()> {
        let m = &mut self.0;
        match key {
            "rate" => m.rate = units::rate(value)?,
            "delay" => m.delay = units::duration(value)?,
            "jitter" => m.jitter = units::duration(value)?,
            "loss" => (m.loss, m.burst) = (units::probability(value)?, 1),
            "burst-loss" => {
                let (p, n) = value.split_once(':')?;
                (m.loss, m.burst) = (units::probability(p)?, n.parse().ok().filter(|n| *n > 0)?);
            }
            "queue" => {
                m.queue = match value.strip_suffix('p') {
                    Some(n) => Limit::Packets(n.parse().ok()?),
                    None => Limit::Bytes(units::scaled(value)?),
                }
            }
            "codel" => {
                m.aqm = match value {
                    "off" => Aqm::Tail,
                    "on" => Aqm::codel(false),
                    "ecn" => Aqm::codel(true),
                    _ => {
                        let (target, interval) = value.split_once(':')?;
                        let (target, interval) = (units::duration(target)?, units::duration(interval)?);
                        Aqm::CoDel { target, interval, ecn: false }
                    }
                }
            }
            "mark" => m.aqm = Aqm::Mark { above: units::scaled(value)? },
            "reorder" => m.reorder = units::probability(value)?,
            "reorder-by" => m.reorder_by = units::duration(value)?,
            "duplicate" => m.duplicate = units::probability(value)?,
            "corrupt" => m.corrupt = units::probability(value)?,
            "mtu" => m.mtu = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_taken() {
        for (key, examples, _) in KEYS {
            for example in examples.split('|') {
                assert_eq!(Settings::default().set(key, example), Ok(()), "{key} {example}");
            }
        }
    }

    #[test]
    fn the_model_is_what_was_said() {
        let mut s = Settings::default();
        for pair in ["rate=100M", "delay=20ms", "burst-loss=1%:10", "queue=500p", "codel=ecn"] {
            s.set_pair(pair).unwrap();
        }
        let m = s.model();
        assert_eq!((m.rate, m.delay, m.loss, m.burst), (100_000_000, Duration::from_millis(20), 10_000, 10));
        assert_eq!((m.queue, m.aqm), (Limit::Packets(500), Aqm::codel(true)));
    }

    #[test]
    fn changes_are_read_and_mistakes_in_them_named() {
        let mut s = Settings::default();
        for pair in ["cut=on", "rate=1M", "delay=5ms", "loss=10%"] {
            s.change(Duration::from_secs(5), pair).unwrap();
        }
        let at = Instant::ZERO + Duration::from_secs(5);
        let c = Change { at, ..Change::default() };
        assert_eq!(s.model().changes[..2], [Change { cut: Some(true), ..c }, Change { rate: Some(1_000_000), ..c }]);
        assert_eq!(s.model().changes[3].loss, Some(100_000));
        let wrong = |s: &mut Settings, pair| s.change(Duration::ZERO, pair).unwrap_err();
        assert_eq!(wrong(&mut s, "queue=5p"), "\"queue\" does not change with time; there are cut, rate, delay, loss");
        assert_eq!(wrong(&mut s, "cut=yes"), "cut: cannot read \"yes\"; it is written like on|off");
        assert_eq!(wrong(&mut s, "cut"), "\"cut\" is not KEY=VALUE");
    }

    #[test]
    fn a_mistake_is_named() {
        let mut s = Settings::default();
        assert!(s.set("colour", "1").unwrap_err().starts_with("unknown key \"colour\"; there are rate, delay,"));
        assert_eq!(s.set("loss", "2").unwrap_err(), "loss: cannot read \"2\"; it is written like 1%");
        assert_eq!(s.set_pair("loss").unwrap_err(), "\"loss\" is not KEY=VALUE");
        for pair in ["queue=1x", "queue=p", "burst-loss=1%", "burst-loss=1%:0", "codel=5ms", "mtu=-1", "delay=now"] {
            assert!(s.set_pair(pair).is_err(), "{pair}");
        }
    }
}
