//! Two engines and a wire between them, in virtual time: no stack, no addresses.

#![allow(dead_code, unreachable_pub, missing_docs)] // each test binary uses a part of it

use std::collections::VecDeque;
use synfin_tcp::arrives::icmp::IcmpError;
use synfin_tcp::arrives::syn_received::{Outcome, SynReceived};
use synfin_tcp::arrives::time_wait::TimeWait;
use synfin_tcp::arrives::{closed, listen};
use synfin_tcp::call::Open;
use synfin_tcp::negotiate::Offer;
use synfin_tcp::probe::Watch;
use synfin_tcp::time::Duration;
use synfin_tcp::{
    Chunk, Connection, Cx, Event, Instant, Limits, Memory, Observer, Pool, Rng, Segment, SendReason, State, TcpConfig,
    TcpMib, Trigger, Verdict,
};
use synfin_wire::SeqNum;
use synfin_wire::ip::Ecn;
use synfin_wire::tcp::{Flags, Header, Options};

/// What was seen.
#[derive(Default)]
pub struct Log {
    pub moves: Vec<(State, Trigger, State)>,
    pub sent: Vec<(Header, u32, SendReason)>,
    pub verdicts: Vec<Verdict>,
}

impl Observer for Log {
    fn event(&mut self, _: Instant, _: u64, e: &Event) {
        match *e {
            Event::Moved { from, trigger, to } => self.moves.push((from, trigger, to)),
            Event::Sent { hdr, len, why, .. } => self.sent.push((hdr, len, why)),
            Event::Arrived { verdict, .. } => self.verdicts.push(verdict),
        }
    }
}

/// One end.
pub struct Host {
    pub cfg: TcpConfig,
    pub mib: TcpMib,
    pub pool: Pool,
    pub rng: Rng,
    pub log: Log,
    pub listening: bool,
    pub half: Option<SynReceived>,
    pub half_deadline: Instant,
    pub conn: Option<Connection>,
    pub time_wait: Option<(TimeWait, Instant)>,
    pub iss: SeqNum,
    pub mss: u16,
    pub max_text: u32,
}

macro_rules! cx {
    ($h:expr, $now:expr, $cx:ident, $body:expr) => {{
        let mut watch = Watch::new(&mut $h.log);
        #[allow(unused_mut)]
        let mut $cx =
            Cx { now: $now, rng: &mut $h.rng, cfg: &$h.cfg, mib: &mut $h.mib, pool: &mut $h.pool, probe: &mut watch };
        $body
    }};
}

impl Host {
    pub fn new(iss: u32) -> Host {
        Host {
            cfg: TcpConfig::default(),
            mib: TcpMib::default(),
            pool: Pool::default(),
            rng: Rng::from_number(1),
            log: Log::default(),
            listening: false,
            half: None,
            half_deadline: Instant::NEVER,
            conn: None,
            time_wait: None,
            iss: SeqNum(iss),
            mss: 1460,
            max_text: 1460,
        }
    }

    pub fn params(&self) -> Open {
        Open {
            iss: self.iss,
            offer: Offer { mss: self.mss, window_shift: self.cfg.window_shift(), ts_offset: 100 },
            default_mss: 536,
            mss_limit: 1460,
        }
    }

    pub fn connect(&mut self, now: Instant) {
        let p = self.params();
        self.conn = Some(cx!(self, now, cx, Connection::open(&mut cx, p)));
    }

    /// SEND on a listening socket.
    pub fn connect_from_listen(&mut self, now: Instant) {
        self.listening = false;
        let p = self.params();
        self.conn = Some(cx!(self, now, cx, Connection::open_from_listen(&mut cx, p)));
    }

    pub fn state(&self) -> State {
        match (&self.conn, &self.half, &self.time_wait) {
            (_, _, Some(_)) => State::TimeWait,
            (Some(c), _, _) if c.state() != State::Closed => c.state(),
            (_, Some(_), _) => State::SynReceived,
            _ if self.listening => State::Listen,
            _ => State::Closed,
        }
    }

    pub fn send(&mut self, now: Instant, data: &[u8]) -> usize {
        let Some(c) = &mut self.conn else { return 0 };
        cx!(self, now, cx, c.send(&mut cx, data)).unwrap_or(0)
    }

    pub fn send_urgent(&mut self, now: Instant, data: &[u8]) -> usize {
        let Some(c) = &mut self.conn else { return 0 };
        cx!(self, now, cx, c.send_urgent(&mut cx, data)).unwrap_or(0)
    }

    pub fn events(&mut self) -> synfin_tcp::Events {
        self.conn.as_mut().map_or_else(Default::default, Connection::poll_event)
    }

    pub fn read(&mut self, now: Instant) -> Vec<u8> {
        self.read_some(now, 1 << 20)
    }

    pub fn read_some(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let mut out = vec![0; most];
        let Some(c) = &mut self.conn else { return Vec::new() };
        let n = cx!(self, now, cx, c.receive(&mut cx, &mut out)).unwrap_or(0);
        out.truncate(n);
        out
    }

    pub fn shutdown(&mut self, now: Instant) {
        if let Some(c) = &mut self.conn {
            cx!(self, now, cx, c.shutdown_write(&mut cx));
        }
    }

    pub fn close(&mut self, now: Instant) {
        if let Some(c) = &mut self.conn {
            cx!(self, now, cx, c.close(&mut cx));
        }
    }

    pub fn abort(&mut self, now: Instant) {
        if let Some(c) = &mut self.conn {
            cx!(self, now, cx, c.abort(&mut cx, SendReason::Abort));
        }
    }

    /// An ICMP error that quotes a segment of ours with this sequence number.
    pub fn on_icmp(&mut self, now: Instant, error: IcmpError, seq: SeqNum) -> bool {
        let Some(c) = &mut self.conn else { return false };
        cx!(self, now, cx, c.on_icmp(&mut cx, error, seq))
    }

    pub fn deadline(&self) -> Instant {
        let mut d = Instant::NEVER;
        if let Some(c) = &self.conn {
            d = d.min(c.next_deadline());
        }
        if self.half.is_some() {
            d = d.min(self.half_deadline);
        }
        if let Some((_, at)) = self.time_wait {
            d = d.min(at);
        }
        d
    }

    pub fn on_deadline(&mut self, now: Instant) {
        if let Some(c) = &mut self.conn {
            cx!(self, now, cx, c.on_deadline(&mut cx));
        }
        if let Some(h) = &mut self.half
            && now >= self.half_deadline
        {
            match cx!(self, now, cx, h.on_deadline(&mut cx)) {
                Some(next) => self.half_deadline = next,
                None => self.half = None,
            }
        }
        if let Some((_, at)) = self.time_wait
            && now >= at
        {
            self.time_wait = None;
            self.conn = None;
            let mut s = State::TimeWait;
            cx!(self, now, cx, cx.transition(&mut s, Trigger::Timeout2Msl));
        }
        self.after(now);
    }

    fn after(&mut self, now: Instant) {
        if self.time_wait.is_none()
            && let Some(c) = &self.conn
            && c.state() == State::TimeWait
            && let Some(t) = c.tcb()
        {
            self.time_wait = Some((TimeWait::new(t, Memory::Plenty), now + self.cfg.time_wait));
        }
    }

    /// Everything that wants to go out now.
    pub fn drain(&mut self, now: Instant) -> Vec<Segment> {
        let mut out = Vec::new();
        if let Some(h) = &mut self.half {
            cx!(self, now, cx, {
                while let Some((hdr, opts, why)) = h.frame(&cx) {
                    if let Some(d) = h.sent(&cx) {
                        self.half_deadline = d;
                    }
                    out.push(segment(hdr, opts.as_slice(), &[]));
                    let _ = why;
                }
            });
        }
        if let Some(c) = &mut self.conn {
            let limits = Limits { max_text: self.max_text, max_segment: 1460, repeats_flags: false };
            cx!(self, now, cx, {
                while let Some(plan) = c.plan_transmit(&cx, &limits) {
                    let f = c.frame(&cx, plan);
                    let text: Vec<u8> = f.payload().flatten().copied().collect();
                    assert_eq!(text.len() as u32, f.len());
                    out.push(Segment { ecn: f.ecn, gro: f.gso(), ..segment(f.hdr, f.opts.as_slice(), &text) });
                    f.commit(&mut cx);
                }
            });
        }
        self.after(now);
        out
    }

    /// A segment arrives; what it is answered with directly is returned.
    pub fn on_segment(&mut self, now: Instant, mut seg: Segment) -> Vec<Segment> {
        let seg = &mut seg;
        let mut out = Vec::new();
        if let Some((tw, at)) = &mut self.time_wait {
            let o = cx!(self, now, cx, tw.on_segment(&mut cx, seg, self.listening.then_some(self.cfg.timestamps)));
            self.log.verdicts.push(o.verdict);
            if matches!(o.verdict, Verdict::Acked(_)) {
                let (h, opts) = tw.ack(now, 100);
                out.push(segment(h, opts.as_slice(), &[]));
            }
            if o.restart {
                *at = now + self.cfg.time_wait;
            }
            if !o.over {
                return out;
            }
            self.time_wait = None;
            self.conn = None;
            let mut s = State::TimeWait;
            let trigger = if seg.has(Flags::RST) { Trigger::RcvRst } else { Trigger::Timeout2Msl };
            cx!(self, now, cx, cx.transition(&mut s, trigger));
            if seg.has(Flags::RST) {
                return out;
            }
        }
        if let Some(h) = &mut self.half {
            match cx!(self, now, cx, h.on_segment(&mut cx, seg)) {
                Outcome::Stays(v) => self.log.verdicts.push(v),
                Outcome::Answer(v, r) => {
                    self.log.verdicts.push(v);
                    out.push(bare(r.seq.0, r.ack.0, r.flags));
                }
                Outcome::Gone(v) => {
                    self.log.verdicts.push(v);
                    self.half = None;
                }
                Outcome::Refused(v, r) => {
                    self.log.verdicts.push(v);
                    self.half = None;
                    out.push(bare(r.seq.0, r.ack.0, r.flags));
                }
                Outcome::Done(t, v) => {
                    self.log.verdicts.push(v);
                    self.half = None;
                    self.conn = Some(Connection::accepted(*t));
                }
            }
        } else if self.conn.as_ref().is_some_and(|c| c.state() != State::Closed) {
            if let Some(c) = &mut self.conn {
                cx!(self, now, cx, c.on_segment(&mut cx, seg));
            }
        } else if self.listening {
            let v = listen::judge(seg);
            self.log.verdicts.push(v);
            match v {
                Verdict::Accepted(_) => {
                    let p = self.params();
                    self.half = Some(cx!(self, now, cx, SynReceived::passive(&mut cx, seg, &p)));
                }
                Verdict::Reset(_) => out.extend(closed::reset_for(seg).map(|r| bare(r.seq.0, r.ack.0, r.flags))),
                _ => {}
            }
        } else {
            out.extend(closed::reset_for(seg).map(|r| bare(r.seq.0, r.ack.0, r.flags)));
        }
        self.after(now);
        out
    }
}

/// A segment without options or text.
pub fn bare(seq: u32, ack: u32, flags: Flags) -> Segment {
    let hdr = Header {
        src_port: 0,
        dst_port: 0,
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        header_len: 20,
        flags,
        window: 500,
        urgent: 0,
    };
    segment(hdr, &[], &[])
}

pub fn segment(hdr: Header, opts: &[u8], text: &[u8]) -> Segment {
    Segment { hdr, opts: Options::parse(opts), payload: Chunk::copy_of(text), gro: 0, ecn: Ecn::NotEct }
}

/// Whether a segment passes.
pub type Pass = Box<dyn FnMut(bool, &Segment, usize) -> bool>;

/// Two ends and what is on its way between them, 10 ms each way.
pub struct Pair {
    pub now: Instant,
    pub a: Host,
    pub b: Host,
    /// (arrival, towards b, segment)
    wire: VecDeque<(Instant, bool, Segment)>,
    /// Called for each segment that leaves: false loses it. Arguments: towards b, the segment, how many went before.
    pub pass: Pass,
    pub passed: usize,
    /// Of so many ECN-capable packets towards `b` one is marked; 0: none.
    pub mark: usize,
    pub marked: usize,
    capable: usize,
}

pub const DELAY: Duration = Duration::from_millis(10);

impl Pair {
    pub fn new() -> Pair {
        Pair::with_iss(1000, 5000)
    }

    pub fn with_iss(a: u32, b: u32) -> Pair {
        Pair {
            now: Instant::ZERO + Duration::from_secs(1),
            a: Host::new(a),
            b: Host::new(b),
            wire: VecDeque::new(),
            pass: Box::new(|_, _, _| true),
            passed: 0,
            mark: 0,
            marked: 0,
            capable: 0,
        }
    }

    /// Connected, `a` actively.
    pub fn open() -> Pair {
        let mut p = Pair::new();
        p.establish();
        p
    }

    pub fn establish(&mut self) {
        self.b.listening = true;
        let now = self.now;
        self.a.connect(now);
        self.settle();
        assert_eq!((self.a.state(), self.b.state()), (State::Established, State::Established));
    }

    fn launch(&mut self, to_b: bool, segs: Vec<Segment>) {
        for mut s in segs {
            if to_b && s.ecn == Ecn::Ect0 && self.mark > 0 {
                self.capable += 1;
                if self.capable.is_multiple_of(self.mark) {
                    s.ecn = Ecn::Ce;
                    self.marked += 1;
                }
            }
            let ok = (self.pass)(to_b, &s, self.passed);
            self.passed += 1;
            if ok {
                self.wire.push_back((self.now + DELAY, to_b, s));
            }
        }
    }

    pub fn drain(&mut self) {
        let (a, b) = (self.a.drain(self.now), self.b.drain(self.now));
        self.launch(true, a);
        self.launch(false, b);
    }

    /// The next thing that happens, if it happens before `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let wire = self.wire.front().map_or(Instant::NEVER, |w| w.0);
        let next = wire.min(self.a.deadline()).min(self.b.deadline());
        if next > until || next == Instant::NEVER {
            return false;
        }
        self.now = self.now.max(next);
        if wire <= self.now {
            if let Some((_, to_b, s)) = self.wire.pop_front() {
                let now = self.now;
                let out = if to_b { self.b.on_segment(now, s) } else { self.a.on_segment(now, s) };
                self.launch(!to_b, out);
            }
        } else {
            let now = self.now;
            self.a.on_deadline(now);
            self.b.on_deadline(now);
        }
        self.drain();
        true
    }

    /// Runs for `d`.
    pub fn run(&mut self, d: Duration) {
        let until = self.now + d;
        for _ in 0..1_000_000 {
            if !self.step(until) {
                self.now = until;
                return;
            }
        }
        panic!("no end");
    }

    /// Until the wire is empty and nothing is due within 150 ms (delayed acknowledgments included, no timeouts).
    pub fn settle(&mut self) {
        self.run(Duration::from_millis(150));
    }

    /// Injects a segment towards one end, right now.
    pub fn inject(&mut self, to_b: bool, s: Segment) {
        let now = self.now;
        let out = if to_b { self.b.on_segment(now, s) } else { self.a.on_segment(now, s) };
        self.launch(!to_b, out);
        self.drain();
    }
}
