//! Settings by which a user says when it is worth being woken, and when a segment is worth being sent: low-water marks, cork.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{Said, Say, Server, peer};
use std::time::Duration;
use synfin_stack::engine::{Events, TcpConfig};
use synfin_stack::wire::tcp::{Flags, Options};
use synfin_stack::{ConnId, StackConfig};

/// A connection whose peer says what the test has it say.
struct Talk {
    s: Server,
    c: ConnId,
    /// SND.NXT of the peer, and what it has to acknowledge.
    nxt: (u32, u32),
}

impl Talk {
    fn new(cfg: &TcpConfig) -> Talk {
        let mut s = Server::new(1, StackConfig::default(), cfg);
        let opts = Options { mss: Some(1000), ..Options::default() };
        let syn_ack = s.answer(&Say { opts, ..Say::default() });
        let nxt = (1001, syn_ack.hdr.seq.0.wrapping_add(1));
        s.say(&Say { seq: nxt, flags: Flags::ACK, ..Say::default() });
        let c = s.stack.tcp_accept(s.listener).unwrap();
        let mut t = Talk { s, c, nxt };
        t.events();
        t
    }

    /// The peer sends text, and acknowledges what has come.
    fn hear(&mut self, text: &[u8]) -> Vec<Said> {
        let out = self.s.say(&Say { from: peer(1024), seq: self.nxt, flags: Flags::ACK, text, ..Say::default() });
        self.nxt.0 += text.len() as u32;
        self.took(out)
    }

    /// What the host sends has arrived.
    fn took(&mut self, out: Vec<Said>) -> Vec<Said> {
        self.nxt.1 = self.nxt.1.wrapping_add(out.iter().map(|o| o.text.len() as u32).sum());
        out
    }

    fn write(&mut self, n: usize) -> Vec<usize> {
        self.s.stack.tcp_send(self.s.now, &mut (), self.c, &vec![7; n]).unwrap();
        self.sent()
    }

    /// Octets of text in each segment that the host has to send.
    fn sent(&mut self) -> Vec<usize> {
        let out = self.s.out();
        self.took(out).iter().map(|o| o.text.len()).collect()
    }

    /// Lets time pass: what is sent meanwhile.
    fn wait(&mut self, ms: u64) -> Vec<usize> {
        self.s.now += Duration::from_millis(ms);
        self.s.stack.on_deadline(self.s.now, &mut ());
        self.sent()
    }

    fn configure(&mut self, change: impl FnOnce(&mut TcpConfig)) {
        assert!(self.s.stack.tcp_configure(self.s.now, &mut (), self.c, change));
    }

    fn events(&mut self) -> Events {
        self.s.stack.tcp_events(self.c)
    }

    fn read(&mut self, n: usize) -> usize {
        self.s.stack.tcp_receive(self.s.now, &mut (), self.c, &mut vec![0; n]).unwrap()
    }
}

#[test]
fn a_cork_holds_what_fills_no_segment_until_it_is_drawn() {
    let mut t = Talk::new(&TcpConfig { cork: true, nodelay: true, ..TcpConfig::default() });
    assert_eq!(t.write(300), []);
    assert_eq!(t.write(300), []);
    assert_eq!(t.write(1000), [1000], "whole segments go");
    t.hear(b"");
    assert_eq!((t.sent(), t.wait(100)), (vec![], vec![]), "also when nothing is out");
    t.configure(|c| c.cork = false);
    assert_eq!(t.sent(), [600]);
}

#[test]
fn a_cork_holds_for_200_ms_and_no_longer() {
    let mut t = Talk::new(&TcpConfig { cork: true, ..TcpConfig::default() });
    assert_eq!(t.write(300), []);
    assert_eq!(t.wait(199), []);
    assert_eq!(t.write(50), [], "what is added waits no longer than the first");
    assert_eq!(t.wait(1), [350]);
    t.hear(b"");
    // The next text has a time of its own.
    assert_eq!((t.write(10), t.wait(199), t.wait(1)), (vec![], vec![], vec![10]));
}

#[test]
fn a_fin_goes_whatever_is_corked() {
    let mut t = Talk::new(&TcpConfig { cork: true, ..TcpConfig::default() });
    assert_eq!(t.write(300), []);
    t.s.stack.tcp_shutdown_write(t.s.now, &mut (), t.c);
    let out = t.s.out();
    assert!(out.len() == 1 && out[0].text.len() == 300 && out[0].hdr.flags.has(Flags::FIN));
}

#[test]
fn a_reader_is_not_woken_for_less_than_the_low_water_mark() {
    let mut t = Talk::new(&TcpConfig { rcv_lowat: 500, ..TcpConfig::default() });
    t.hear(&[7; 300]);
    assert!(!t.events().has(Events::READABLE) && !t.s.stack.tcp_is_readable(t.c));
    t.hear(&[7; 199]);
    assert!(!t.events().has(Events::READABLE) && !t.s.stack.tcp_is_readable(t.c));
    t.hear(&[7; 1]);
    assert!(t.events().has(Events::READABLE) && t.s.stack.tcp_is_readable(t.c));
    assert_eq!(t.read(450), 450);
    assert!(!t.s.stack.tcp_is_readable(t.c));
    assert_eq!(t.read(100), 50, "who reads all the same gets what there is");
    t.hear(&[7; 20]);
    t.configure(|c| c.rcv_lowat = 20);
    assert!(t.s.stack.tcp_is_readable(t.c));
    t.configure(|c| c.rcv_lowat = 500);
    t.s.say(&Say { seq: t.nxt, flags: Flags::ACK | Flags::FIN, ..Say::default() });
    assert!(t.events().has(Events::READABLE) && t.s.stack.tcp_is_readable(t.c), "nothing comes after a FIN");
}

#[test]
fn a_mark_that_the_window_does_not_reach_is_no_dead_end() {
    let small = TcpConfig { rcv_lowat: 1 << 20, rcv_buf_initial: 4_096, rcv_buf_max: 4_096, ..TcpConfig::default() };
    let mut t = Talk::new(&small);
    for _ in 0..4 {
        t.hear(&[7; 1000]);
    }
    assert!(t.events().has(Events::READABLE) && t.s.stack.tcp_is_readable(t.c));
}

#[test]
fn a_writer_is_not_woken_for_less_room_than_the_low_water_mark() {
    let small = TcpConfig { snd_lowat: 7_000, snd_buf_initial: 8_192, snd_buf_max: 8_192, ..TcpConfig::default() };
    let mut t = Talk::new(&small);
    assert!(t.s.stack.tcp_is_writable(t.c));
    t.write(8_000);
    assert!(!t.s.stack.tcp_is_writable(t.c));
    t.events();
    // The peer, whose window is a segment, acknowledges one after another.
    let mut told_at = None;
    for octets in (1_000..=8_000).step_by(1_000) {
        t.hear(b"");
        let told = t.events().has(Events::WRITABLE);
        assert!(!told || t.s.stack.tcp_send_room(t.c) >= 7_000, "{octets}");
        told_at = told_at.or(told.then_some(octets));
    }
    // The octets of buffers that are not free yet count half.
    assert!(matches!(told_at, Some(7_000..=8_000)), "{told_at:?}");
    assert!(t.s.stack.tcp_is_writable(t.c));
    // A mark above the buffer is one at the buffer.
    t.configure(|c| c.snd_lowat = 1 << 20);
    assert!(t.s.stack.tcp_is_writable(t.c));
}
