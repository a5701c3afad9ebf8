//! Two ends and what lies between them, in virtual time.

use super::*;

const S: fn(u64) -> Duration = Duration::from_secs;
const MS: fn(u64) -> Duration = Duration::from_millis;
const START: Instant = Instant::from_nanos(1_000_000_000);

/// Two ends with a stream each way: instant, unless it is stopped. A stopped stream holds what is written, up to its room.
struct Pair {
    ends: [Heartbeat; 2],
    now: Instant,
    /// Whether what each end writes arrives.
    open: [bool; 2],
    /// Whether each end runs at all.
    runs: [bool; 2],
    /// What is on its way from each end, and how much may be.
    wire: [VecDeque<u8>; 2],
    room: usize,
    /// Octets that each end has sent.
    sent: [usize; 2],
}

impl Pair {
    fn new(settings: [Settings; 2]) -> Pair {
        let mut p = Pair {
            ends: [Heartbeat::new(START, settings[0]), Heartbeat::accepted(START, settings[1])],
            now: START,
            open: [true; 2],
            runs: [true; 2],
            wire: Default::default(),
            room: 100_000,
            sent: [0; 2],
        };
        p.exchange();
        assert_eq!(std::mem::take(&mut p.sent), [CONTROL_LEN; 2], "greetings");
        p
    }

    fn usual() -> Pair {
        Pair::new([Settings::USUAL; 2])
    }

    /// Moves what can move; text stays in the inboxes.
    fn exchange(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for from in 0..2 {
                let to = 1 - from;
                while self.runs[from] && self.wire[from].len() < self.room {
                    let room = self.room - self.wire[from].len();
                    let out = self.ends[from].poll_transmit();
                    let n = out.len().min(room);
                    self.wire[from].extend(&out[..n]);
                    self.ends[from].on_transmitted(n);
                    self.sent[from] += n;
                    if n == 0 {
                        break;
                    }
                    moved = true;
                }
                if self.open[from] && self.runs[to] {
                    let n = self.wire[from].len().min(self.ends[to].room());
                    let octets: Vec<u8> = self.wire[from].drain(..n).collect();
                    assert_eq!(self.ends[to].on_received(self.now, &octets), Ok(n));
                    moved |= n > 0;
                }
            }
            self.ends.iter().for_each(Heartbeat::check_invariants);
        }
    }

    /// Lets time pass, deadline by deadline.
    fn run(&mut self, d: Duration) {
        let until = self.now + d;
        self.exchange();
        loop {
            let due = |e: usize| if self.runs[e] { self.ends[e].next_deadline() } else { Instant::NEVER };
            let first = usize::from(due(1) < due(0));
            if due(first) > until {
                break;
            }
            self.now = self.now.max(due(first));
            self.ends[first].on_deadline(self.now);
            self.exchange();
        }
        self.now = until;
    }

    fn silence(&self, end: usize) -> Option<Duration> {
        match self.ends[end].verdict() {
            Some(Verdict::Gone { heard, at }) => Some(at.since(heard)),
            _ => None,
        }
    }

    fn read(&mut self, end: usize, n: usize) -> Vec<u8> {
        let mut buf = vec![0; n];
        let n = self.ends[end].receive(self.now, &mut buf);
        buf.truncate(n);
        buf
    }
}

#[test]
fn of_two_idle_ends_one_asks_each_interval_and_the_other_answers() {
    let mut p = Pair::usual();
    p.run(S(3_600));
    let [a, b] = p.ends.each_ref().map(|e| e.counters());
    assert_eq!((a.probes, a.answers, b.peer_probes), (240, 240, 240));
    assert_eq!((b.probes, p.sent), (0, [240 * CONTROL_LEN; 2]));
    let mut p = Pair::new([Settings::STRICT, Settings::USUAL]);
    p.run(S(3_600));
    let [a, b] = p.ends.each_ref().map(|e| e.counters());
    assert_eq!((a.probes, a.answers, b.probes), (1_200, 1_200, 0), "whoever has the shorter interval");
    assert_eq!(p.sent, [1_200 * CONTROL_LEN; 2]);
}

#[test]
fn the_verdict_falls_an_interval_and_a_timeout_after_the_last_sign_of_life() {
    for (settings, asker, asked) in [(Settings::USUAL, 35_000, 36_875), (Settings::STRICT, 8_000, 8_375)] {
        for cut_after in [0, 1_000, 3_999, 4_001, 20_000, 33_333, 100_000] {
            let mut p = Pair::new([settings; 2]);
            p.run(MS(cut_after));
            p.open = [false; 2];
            p.run(S(60));
            assert_eq!([0, 1].map(|e| p.silence(e)), [Some(MS(asker)), Some(MS(asked))], "cut after {cut_after} ms");
            assert_eq!(p.ends[0].next_deadline(), Instant::NEVER);
            assert_eq!(p.ends[0].send(p.now, b"x"), Err(SendError::Over(p.ends[0].verdict().unwrap())));
        }
    }
}

#[test]
fn a_peer_whose_program_does_not_run_is_gone_though_its_tcp_takes_everything() {
    let mut p = Pair::usual();
    p.runs[1] = false;
    p.run(S(60));
    assert_eq!(p.silence(0), Some(S(35)));
}

#[test]
fn any_octet_is_a_sign_of_life() {
    let mut p = Pair::usual();
    p.open[1] = false; // what b says does not arrive whole
    p.ends[1].send(p.now, &[7; 1_000]).unwrap();
    p.exchange();
    for _ in 0..50 {
        p.run(S(34));
        let octet = p.wire[1].pop_front().unwrap();
        assert_eq!(p.ends[0].on_received(p.now, &[octet]), Ok(1));
    }
    assert_eq!(p.ends[0].verdict(), None);
    p.run(S(36));
    assert_eq!(p.silence(0), Some(S(35)));
}

#[test]
fn text_goes_both_ways_whole_and_saves_the_probes() {
    let mut p = Pair::usual();
    let text: Vec<u8> = (0..50_000u32).map(|i| i as u8).collect();
    for _ in 0..100 {
        assert_eq!(p.ends[0].send(p.now, &text), Ok(50_000));
        assert_eq!(p.ends[1].send(p.now, b"yes"), Ok(3));
        p.exchange();
        assert!(p.read(1, 60_000) == text && p.read(0, 10) == b"yes");
        p.run(S(10));
    }
    assert_eq!(p.ends.each_ref().map(|e| e.counters().probes), [0, 0]);
    assert_eq!(p.sent, [100 * (50_000 + 4 * 3), 600]);
}

/// Else its answers would wait behind the text that it is sent, and the sender would take it for gone.
#[test]
fn a_side_that_only_receives_speaks_as_often_as_its_sender_bears_silence() {
    for (settings, lag) in [(Settings::USUAL, 1_200_000), (Settings::STRICT, 300_000)] {
        let mut p = Pair::new([settings, Settings::USUAL]);
        p.room = usize::MAX;
        for _ in 0..200 {
            // At 50 kB a second a probe of the sender's takes longer than the timeout.
            let now = p.now;
            while p.wire[0].len() < lag {
                p.ends[0].send(now, &[7; 10_000]).unwrap();
                let out = p.ends[0].poll_transmit().to_vec();
                p.wire[0].extend(&out);
                p.ends[0].on_transmitted(out.len());
            }
            p.open[0] = false;
            p.run(S(1));
            let octets: Vec<u8> = p.wire[0].drain(..50_000).collect();
            assert_eq!(p.ends[1].on_received(p.now, &octets), Ok(50_000));
            p.read(1, 100_000);
        }
        assert_eq!((p.ends[0].verdict(), p.ends[1].verdict()), (None, None));
        let beats = 200 / settings.interval().as_secs();
        assert!((beats / 2..=2 * beats).contains(&p.ends[1].counters().probes), "{:?}", p.ends[1].counters());
    }
}

#[test]
fn while_its_user_takes_nothing_an_end_does_not_judge_and_goes_on_speaking() {
    let mut p = Pair::new([Settings::STRICT, Settings::USUAL]);
    let now = p.now;
    while p.ends[0].send(now, &[7; 10_000]).unwrap() > 0 {
        p.exchange();
    }
    assert_eq!((p.ends[1].room(), p.wire[0].len()), (0, p.room));
    p.run(S(600));
    assert_eq!((p.silence(0), p.silence(1)), (None, None), "a slow reader is no dead peer");
    assert!(p.ends[1].counters().probes >= 130, "as often as the other bears silence");
    // When it reads again the silence of the peer counts from then on.
    p.open = [false; 2];
    let read = p.now;
    assert_eq!(p.read(1, 10).len(), 10);
    p.run(S(60));
    assert!(matches!(p.ends[1].verdict(), Some(Verdict::Gone { at, .. }) if at == read + S(20)), "{:?}", p.ends[1]);
}

#[test]
fn a_program_that_was_stopped_asks_before_it_judges() {
    for before in [10, 100] {
        let mut p = Pair::usual();
        p.run(S(before));
        p.runs = [false; 2]; // both machines sleep for an hour, the stream stays
        p.run(S(3_600));
        p.runs = [true; 2];
        p.run(S(60));
        assert_eq!((p.ends[0].verdict(), p.ends[1].verdict()), (None, None), "after {before} s");
    }
}

#[test]
fn a_blocked_stream_leaves_one_probe_and_one_answer_owed() {
    let mut h = Heartbeat::new(START, Settings::new(S(1), S(3_600)).unwrap());
    assert_eq!(h.on_received(START, &frame::greeting(1_000)), Ok(CONTROL_LEN));
    while h.send(START, &[7; 10_000]).unwrap() > 0 {}
    for n in 0..1_000 {
        let now = START + S(u64::from(n) * 2);
        h.on_deadline(now);
        assert_eq!(h.on_received(now, &frame::probe(n)), Ok(CONTROL_LEN));
        h.poll_transmit();
        h.check_invariants();
    }
    // When the stream takes something again: the first ones, and the last answer.
    let (mut stream, mut d, mut control) = (Vec::new(), Decoder::default(), Vec::new());
    while !h.poll_transmit().is_empty() {
        let n = h.poll_transmit().len().min(1_000);
        stream.extend_from_slice(&h.poll_transmit()[..n]);
        h.on_transmitted(n);
    }
    let mut rest = stream.as_slice();
    while let Some(piece) = d.next(&mut rest, usize::MAX).unwrap() {
        if !matches!(piece, Piece::Text(_)) {
            control.push(piece);
        }
    }
    let (greeting, answer, probe) = (Piece::Greeting(1_000), Piece::Answer, Piece::Probe);
    assert_eq!(control, [greeting, answer(0), answer(999), probe(1)]);
}

#[test]
fn each_end_ends_by_itself_and_the_heartbeat_goes_on_until_both_have() {
    let mut p = Pair::usual();
    p.ends[0].send(p.now, b"question").unwrap();
    p.ends[0].end(p.now);
    assert_eq!(p.ends[0].send(p.now, b"x"), Err(SendError::Ended));
    p.run(S(600));
    assert!(!p.ends[1].is_at_end(), "there is text");
    assert_eq!(p.read(1, 100), b"question");
    assert!(p.ends[1].is_at_end() && !p.ends[1].is_finished() && p.ends[0].counters().answers >= 29);
    p.ends[1].send(p.now, b"answer").unwrap();
    p.ends[1].end(p.now);
    p.exchange();
    assert_eq!(p.read(0, 100), b"answer");
    assert!(p.ends.iter().all(|e| e.is_finished() && e.is_at_end() && e.next_deadline() == Instant::NEVER));
    assert_eq!(p.ends[0].on_end(), Ok(()));
}

#[test]
fn a_stream_that_ends_before_its_end_was_cut_short() {
    let mut p = Pair::usual();
    p.ends[0].send(p.now, b"hal").unwrap();
    p.exchange();
    assert_eq!(p.ends[1].on_end(), Err(FrameError::CutShort));
    assert_eq!(p.ends[1].verdict(), Some(Verdict::Broken(FrameError::CutShort)));
    assert_eq!((p.read(1, 10), p.ends[1].next_deadline()), (b"hal".to_vec(), Instant::NEVER), "what came can be read");
}

#[test]
fn what_was_not_asked_is_not_answered() {
    let begin = |s| {
        let mut h = Heartbeat::new(START, s);
        assert_eq!(h.poll_transmit(), frame::greeting(interval_ms(s)));
        h.on_transmitted(CONTROL_LEN);
        assert_eq!((h.on_received(START, &frame::greeting(1_000)), h.has_heard()), (Ok(CONTROL_LEN), true));
        h
    };
    let mut h = begin(Settings::USUAL);
    assert_eq!(h.on_received(START, &frame::answer(1)), Err(FrameError::UnaskedAnswer(1)));
    assert_eq!(h.on_received(START, &frame::probe(1)), Err(FrameError::UnaskedAnswer(1)), "that stays");
    assert!(!h.wants_to_transmit());

    let mut h = begin(Settings::new(S(1), S(60)).unwrap());
    for n in 1..=3 {
        h.on_deadline(START + S(n));
        assert_eq!(h.poll_transmit(), frame::probe(n as u32));
        h.on_transmitted(CONTROL_LEN);
    }
    let at = START + MS(3_040);
    assert_eq!(h.on_received(at, &frame::answer(3)), Ok(CONTROL_LEN), "one answer for several probes");
    assert_eq!(h.counters().rtt, Some(MS(40)));
    assert_eq!(h.on_received(at, &frame::answer(3)), Err(FrameError::UnaskedAnswer(3)));
    assert!(h.verdict().is_some_and(|v| v.to_string().contains("probe 3")));
}

#[test]
fn after_a_verdict_nothing_is_taken_and_nothing_goes() {
    let mut p = Pair::usual();
    p.open = [false; 2];
    p.ends[1].send(p.now, b"late").unwrap();
    p.run(S(60));
    let before = p.ends[0].verdict();
    assert!(before.is_some_and(|v| v.to_string() == "heartbeat: no sign of life for 35.0 s"));
    let late: Vec<u8> = p.wire[1].drain(..).collect();
    assert_eq!(p.ends[0].on_received(p.now, &late), Ok(late.len()));
    assert_eq!((p.ends[0].verdict(), p.read(0, 10), p.ends[0].wants_to_transmit()), (before, vec![], false));
}

#[test]
fn a_stranger_that_claims_to_bear_no_silence_gets_no_flood() {
    let mut h = Heartbeat::new(START, Settings::USUAL);
    assert_eq!(h.on_received(START, &frame::greeting(0)), Ok(CONTROL_LEN));
    let mut now = START;
    while h.verdict().is_none() {
        now = h.next_deadline();
        h.on_deadline(now);
        h.poll_transmit();
    }
    assert_eq!((now, h.counters().probes), (START + S(35), 34));
}

/// Frames of all kinds with octets changed, in any pieces and at any time: whatever comes is taken or named.
#[test]
fn any_octets_leave_a_sound_machine() {
    let mut named = std::collections::BTreeSet::new();
    for seed in 0..2_000 {
        let mut rng = synfin_stack::engine::Rng::from_number(seed);
        let mut h = Heartbeat::new(START, Settings::STRICT);
        let mut stream = frame::greeting(rng.next_u32()).to_vec();
        for _ in 0..rng.below(40) {
            let n = rng.below(5);
            match rng.below(4) {
                0 => stream.extend(frame::probe(n)),
                1 => stream.extend(frame::answer(n)),
                2 => {
                    stream.extend(frame::text_header(n as usize + 1));
                    stream.extend(vec![7; n as usize + 1]);
                }
                _ if n == 0 => stream.extend(END_FRAME),
                _ if n == 1 && seed % 8 == 0 => stream.extend(frame::greeting(1)),
                _ => {}
            }
        }
        for _ in 0..rng.below(3) {
            let at = rng.below(stream.len() as u32) as usize;
            stream[at] = rng.next_u32() as u8;
        }
        let (mut now, mut rest) = (START, stream.as_slice());
        while !rest.is_empty() {
            let n = (1 + rng.below(30) as usize).min(rest.len());
            match h.on_received(now, &rest[..n]) {
                Ok(taken) => assert_eq!(taken, n),
                Err(e) => assert_eq!(h.verdict(), Some(Verdict::Broken(e)), "seed {seed}"),
            }
            rest = &rest[n..];
            now += MS(u64::from(rng.below(1_000)));
            h.on_deadline(now);
            h.receive(now, &mut [0; 5]);
            let out = h.poll_transmit().len();
            h.on_transmitted(out / 2);
            h.check_invariants();
        }
        let _ = h.on_end();
        assert_eq!(h.next_deadline(), Instant::NEVER);
        if let Some(v) = h.verdict() {
            let words = format!("{v:?}").replace("Broken(", "");
            named.insert(words.split(['(', ' ', ')']).next().unwrap_or_default().to_string());
        }
    }
    assert_eq!(named.len(), 7, "every breach there is: {named:?}");
}

/// Ends that do all there is to do in any order, over streams that cut anywhere: text arrives whole and nobody is gone.
#[test]
fn text_is_whole_in_any_order_of_things() {
    for seed in 0..60 {
        let mut rng = synfin_stack::engine::Rng::from_number(seed);
        let mut p = Pair::new([Settings::STRICT, Settings::USUAL]);
        p.room = 50 + rng.below(5_000) as usize;
        let (mut written, mut read) = ([0usize; 2], [0usize; 2]);
        for _ in 0..300 {
            let e = rng.below(2) as usize;
            match rng.below(4) {
                0 => {
                    let text: Vec<u8> = (0..rng.below(40_000) as usize).map(|i| (written[e] + i) as u8).collect();
                    written[e] += p.ends[e].send(p.now, &text).unwrap();
                }
                1 => {
                    let n = rng.below(70_000) as usize;
                    let got = p.read(e, n);
                    assert!(got.iter().enumerate().all(|(i, b)| *b == (read[e] + i) as u8), "seed {seed}");
                    read[e] += got.len();
                }
                2 => p.run(MS(u64::from(rng.below(3_000)))),
                _ => p.exchange(),
            }
            p.ends.iter().for_each(Heartbeat::check_invariants);
        }
        for _ in 0..20 {
            p.exchange();
            (0..2).for_each(|e| read[e] += p.read(e, 200_000).len());
        }
        assert_eq!((read[0], read[1]), (written[1], written[0]), "seed {seed}");
        assert_eq!((p.ends[0].verdict(), p.ends[1].verdict()), (None, None), "seed {seed}");
    }
}
