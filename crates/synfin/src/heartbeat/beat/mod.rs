//! The machine at one end of a stream: text in and out, and a watch on whether the other end lives. It reads no clock and does
//! no I/O: it is told what has come and what time it is, and asked what is to go.

use super::Settings;
use super::frame::{self, CONTROL_LEN, Decoder, END_FRAME, FrameError, HEADER_LEN, Piece, TEXT_MAX};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use synfin_stack::engine::Instant;

/// One end of a stream with a heartbeat.
///
/// After each input ([`on_received`](Heartbeat::on_received), [`on_deadline`](Heartbeat::on_deadline), [`send`](Heartbeat::send),
/// ..) there may be something to [transmit](Heartbeat::poll_transmit), to [receive](Heartbeat::receive), or a
/// [verdict](Heartbeat::verdict). What has come is to be handed over before a deadline is judged.
///
/// Invariants: both queues are bounded; of probes and answers at most one of each is owed; after a verdict nothing goes.
#[derive(Debug)]
pub struct Heartbeat {
    settings: Settings,
    decoder: Decoder,
    /// Text that its user has not taken.
    inbox: VecDeque<u8>,
    /// Frames that the stream has not taken.
    outbox: VecDeque<u8>,
    /// When the last octet came.
    heard: Instant,
    /// When text, a probe or an answer was last sent.
    spoken: Instant,
    /// How long the peer bears silence, if that is less than it is here.
    speak_within: Duration,
    /// The peer asked last: it may ask first the next time.
    yields: bool,
    /// When the last probe was.
    probed: Instant,
    /// Since when a sign of life is waited for, if one is.
    asked: Option<Instant>,
    probe_due: bool,
    answer_due: Option<u32>,
    /// The number of the last probe, and of the last that was answered.
    number: u32,
    answered: u32,
    /// This end has said its end; the other has; the stream has ended.
    ended: bool,
    peer_ended: bool,
    finished: bool,
    verdict: Option<Verdict>,
    counters: Counters,
}

/// What has been decided of the peer. It stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gave no sign of life for an interval and a timeout.
    Gone {
        /// When it gave its last.
        heard: Instant,
        /// When it was taken for gone.
        at: Instant,
    },
    /// It does not keep to the framing.
    Broken(FrameError),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Gone { heard, at } => {
                write!(f, "heartbeat: no sign of life for {:.1} s", at.since(*heard).as_secs_f64())
            }
            Verdict::Broken(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Verdict {}

/// Why text was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// After the end.
    Ended,
    /// After a verdict.
    Over(Verdict),
}

/// What one end has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Probes sent.
    pub probes: u64,
    /// Probes of ours that were answered.
    pub answers: u64,
    /// Probes of the peer's that came; if several came before one could be answered, the last was.
    pub peer_probes: u64,
    /// From the last probe to its answer, the programs' own time with it.
    pub rtt: Option<Duration>,
}

impl Heartbeat {
    /// Octets of text that wait for its user, at most. Then nothing more is taken from the stream, and TCP's window shuts.
    pub const INBOX: usize = 65_536;
    /// Octets that wait for the stream, at most: text with its headers, and then a probe, an answer and the end.
    pub const OUTBOX: usize = 65_536;

    /// On a connection that was accepted just now: as [`new`](Heartbeat::new), but the other end asks first. If both ends are
    /// made by the same of the two they work as well, and may both ask for a while.
    pub fn accepted(now: Instant, settings: Settings) -> Heartbeat {
        Heartbeat { yields: true, ..Heartbeat::new(now, settings) }
    }

    /// On a connection that has just been made: that is its first sign of life. What is below must not hold small pieces back
    /// while others are unacknowledged (`TCP_NODELAY`): a probe in the face of much text would wait as long as that.
    pub fn new(now: Instant, settings: Settings) -> Heartbeat {
        Heartbeat {
            settings,
            decoder: Decoder::default(),
            inbox: VecDeque::new(),
            outbox: frame::greeting(interval_ms(settings)).into(),
            heard: now,
            spoken: now,
            speak_within: settings.interval(),
            yields: false,
            probed: now,
            asked: None,
            probe_due: false,
            answer_due: None,
            number: 0,
            answered: 0,
            ended: false,
            peer_ended: false,
            finished: false,
            verdict: None,
            counters: Counters::default(),
        }
    }

    /// Takes `data` as far as there is room, as frames; how many octets that were. 0: after a
    /// [transmit](Heartbeat::on_transmitted) there is room again.
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<usize, SendError> {
        if let Some(v) = self.verdict {
            return Err(SendError::Over(v));
        }
        if self.ended {
            return Err(SendError::Ended);
        }
        let mut left = data;
        loop {
            let room = Heartbeat::OUTBOX.saturating_sub(self.outbox.len() + HEADER_LEN);
            let (text, rest) = left.split_at(left.len().min(room).min(TEXT_MAX));
            if text.is_empty() {
                break;
            }
            self.outbox.extend(frame::text_header(text.len()));
            self.outbox.extend(text);
            left = rest;
        }
        let n = data.len() - left.len();
        if n > 0 {
            self.spoken = now;
        }
        Ok(n)
    }

    /// No more text comes from this end. Probes and answers do, until the other end has ended too.
    pub fn end(&mut self, now: Instant) {
        if !self.ended && self.verdict.is_none() {
            self.ended = true;
            self.outbox.extend(END_FRAME);
            self.spoken = now;
        }
    }

    /// Text that has come; 0 if there is none.
    pub fn receive(&mut self, now: Instant, buf: &mut [u8]) -> usize {
        let held = self.is_held();
        let mut n = 0;
        while n < buf.len() {
            let part = self.inbox.as_slices().0;
            let k = part.len().min(buf.len() - n);
            if k == 0 {
                break;
            }
            buf[n..n + k].copy_from_slice(&part[..k]);
            self.inbox.drain(..k);
            n += k;
        }
        if held && n > 0 {
            // It did not listen until now, so the peer's silence begins now.
            self.asked = self.asked.map(|_| now);
        }
        n
    }

    /// Octets have come from the stream; takes them as far as there is [room](Heartbeat::room), and says how many. A sign of
    /// life whatever they are. An error is the verdict as well.
    pub fn on_received(&mut self, now: Instant, octets: &[u8]) -> Result<usize, FrameError> {
        if let Some(Verdict::Broken(e)) = self.verdict {
            return Err(e);
        }
        if self.verdict.is_some() || octets.is_empty() {
            return Ok(octets.len()); // of one that was taken for gone nothing is taken any more
        }
        self.heard = now;
        self.asked = None;
        let mut left = octets;
        loop {
            match self.decoder.next(&mut left, Heartbeat::INBOX - self.inbox.len()) {
                Ok(Some(Piece::Text(t))) => self.inbox.extend(t),
                Ok(Some(Piece::Greeting(ms))) => {
                    let theirs = Duration::from_millis(ms.into()).max(SPEAK_LEAST);
                    self.speak_within = self.settings.interval().min(theirs);
                }
                Ok(Some(Piece::Probe(n))) => {
                    self.yields = true;
                    self.counters.peer_probes += 1;
                    self.answer_due = Some(n);
                    self.spoken = now;
                }
                Ok(Some(Piece::Answer(n))) => self.answer(now, n)?,
                Ok(Some(Piece::End)) => self.peer_ended = true,
                Ok(None) => return Ok(octets.len() - left.len()),
                Err(e) => return Err(self.broken(e)),
            }
        }
    }

    /// The stream has ended: the peer's FIN. Fine after its end; else the peer's program has died before it.
    pub fn on_end(&mut self) -> Result<(), FrameError> {
        self.finished = true;
        match self.decoder.finish() {
            Err(e) if self.verdict.is_none() => Err(self.broken(e)),
            _ => Ok(()),
        }
    }

    /// The stream took so many octets of what was to be transmitted.
    pub fn on_transmitted(&mut self, n: usize) {
        // A verdict of another thread may have cleared it meanwhile.
        self.outbox.drain(..n.min(self.outbox.len()));
    }

    /// Time has passed: a probe, or the verdict.
    pub fn on_deadline(&mut self, now: Instant) {
        if now >= self.verdict_at() {
            self.verdict = Some(Verdict::Gone { heard: self.heard, at: now });
            self.clear();
        } else if now >= self.probe_at() {
            if !self.probe_due {
                self.number = self.number.wrapping_add(1);
                self.counters.probes += 1;
                self.probe_due = true;
            }
            (self.probed, self.spoken) = (now, now);
            self.asked.get_or_insert(now);
        }
    }

    /// When [`on_deadline`](Heartbeat::on_deadline) wants to be called; [`Instant::NEVER`] after a verdict and after both ends.
    pub fn next_deadline(&self) -> Instant {
        self.verdict_at().min(self.probe_at())
    }

    /// What is to go over the stream next; empty if there is nothing. [`on_transmitted`](Heartbeat::on_transmitted) says how much
    /// of it went.
    pub fn poll_transmit(&mut self) -> &[u8] {
        if self.outbox.len() <= Heartbeat::OUTBOX {
            if let Some(n) = self.answer_due.take() {
                self.outbox.extend(frame::answer(n));
            }
            if std::mem::take(&mut self.probe_due) {
                self.outbox.extend(frame::probe(self.number));
            }
        }
        self.outbox.as_slices().0
    }

    /// Whether there is something to transmit.
    pub fn wants_to_transmit(&self) -> bool {
        !self.outbox.is_empty() || self.answer_due.is_some() || self.probe_due
    }

    /// Octets that may be read from the stream now. 0: its user takes nothing, so nobody listens, and no verdict falls; or the
    /// stream has ended.
    pub fn room(&self) -> usize {
        if self.finished { 0 } else { Heartbeat::INBOX - self.inbox.len() }
    }

    /// What has been decided of the peer, if anything.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Whether anything has come from the peer's program. That it was connected to is not.
    pub fn has_heard(&self) -> bool {
        self.decoder.has_greeted()
    }

    /// Whether the peer has ended, and all its text has been taken.
    pub fn is_at_end(&self) -> bool {
        self.peer_ended && self.inbox.is_empty()
    }

    /// Whether both ends have ended and all is transmitted: the stream may be closed.
    pub fn is_finished(&self) -> bool {
        (self.peer_ended || self.finished) && self.ended && !self.wants_to_transmit()
    }

    /// When the peer gave its last sign of life.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What is believed of itself.
    ///
    /// # Panics
    /// If it is not so.
    pub fn check_invariants(&self) {
        assert!(self.inbox.len() <= Heartbeat::INBOX);
        assert!(self.outbox.len() <= Heartbeat::OUTBOX + 2 * CONTROL_LEN + HEADER_LEN);
        assert!(self.spoken >= self.probed, "a probe is speech");
        assert!(self.verdict.is_none() || !self.wants_to_transmit() && self.next_deadline() == Instant::NEVER);
        assert!(self.number.wrapping_sub(self.answered) < 1 << 31, "answers follow probes");
    }

    fn answer(&mut self, now: Instant, n: u32) -> Result<(), FrameError> {
        let asked = self.number.wrapping_sub(self.answered);
        if !(1..=asked).contains(&n.wrapping_sub(self.answered)) {
            return Err(self.broken(FrameError::UnaskedAnswer(n)));
        }
        self.answered = n;
        self.yields = false;
        self.counters.answers += 1;
        if n == self.number {
            self.counters.rtt = Some(now.since(self.probed));
        }
        Ok(())
    }

    fn broken(&mut self, e: FrameError) -> FrameError {
        self.verdict = Some(Verdict::Broken(e));
        self.clear();
        e
    }

    fn clear(&mut self) {
        self.outbox.clear();
        (self.probe_due, self.answer_due) = (false, None);
    }

    /// Whether there is nothing to watch: it is over, or nobody can speak any more.
    fn is_at_rest(&self) -> bool {
        self.verdict.is_some() || self.finished || self.ended && self.peer_ended
    }

    /// Its user does not take what comes, so it does not listen.
    fn is_held(&self) -> bool {
        self.inbox.len() >= Heartbeat::INBOX
    }

    fn probe_at(&self) -> Instant {
        if self.is_at_rest() {
            return Instant::NEVER;
        }
        let patience = |d: Duration| if self.yields { d + d / 8 } else { d };
        let unheard = self.heard.max(self.probed) + patience(self.settings.interval());
        unheard.min(self.spoken + patience(self.speak_within))
    }

    fn verdict_at(&self) -> Instant {
        match self.asked {
            // A probe that went because this end had been silent asks nothing of a peer that had spoken.
            Some(at) if !self.is_at_rest() && !self.is_held() => {
                at.max(self.heard + self.settings.interval()) + self.settings.timeout()
            }
            _ => Instant::NEVER,
        }
    }
}

fn interval_ms(s: Settings) -> u32 {
    u32::try_from(s.interval().as_millis()).unwrap_or(u32::MAX)
}

/// However little silence a peer says it bears, it is not spoken to more often: for others, a stranger could have probes sent.
const SPEAK_LEAST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
