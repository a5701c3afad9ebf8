//! With `defer-accept` a connection waits for text before it is accepted: small, as long as nothing has come.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{Said, Say, Server};
use std::time::Duration;
use synfin_stack::StackConfig;
use synfin_stack::engine::TcpConfig;
use synfin_stack::wire::tcp::Flags;

fn server(s: u64) -> Server {
    let cfg = TcpConfig { defer_accept: Duration::from_secs(s), ..TcpConfig::default() };
    Server::new(4, StackConfig::default(), &cfg)
}

fn ack(said: &Said, text: &'static [u8]) -> Say<'static> {
    Say { seq: (1001, said.hdr.seq.0.wrapping_add(1)), flags: Flags::ACK, text, ..Say::default() }
}

#[test]
fn text_is_what_makes_it_acceptable() {
    for bare_acks in [0, 1, 3] {
        let mut s = server(10);
        let said = s.answer(&Say::default());
        for _ in 0..bare_acks {
            assert!(s.say(&ack(&said, b"")).is_empty());
        }
        assert_eq!(s.run(Duration::from_secs(8)), if bare_acks == 0 { 3 } else { 0 }, "an answer is no silence");
        assert_eq!((s.status().half_open, s.status().accept_queue, s.stack.occupancy().connections), (1, 0, 0));
        assert!(s.stack.tcp_accept(s.listener).is_none());
        assert_eq!(s.counter("TcpExtTCPDeferAcceptDrop"), bare_acks);
        assert_eq!(s.answer(&ack(&said, b"GET")).hdr.ack.0, 1004);
        let c = s.stack.tcp_accept(s.listener).unwrap();
        let mut buf = [0; 8];
        assert_eq!(s.stack.tcp_receive(s.now, &mut (), c, &mut buf), Ok(3));
    }
}

#[test]
fn a_fin_is_news_as_well() {
    let mut s = server(10);
    let said = s.answer(&Say::default());
    s.say(&Say { flags: Flags::ACK | Flags::FIN, ..ack(&said, b"") });
    assert!(s.stack.tcp_accept(s.listener).is_some());
}

#[test]
fn when_its_time_is_up_the_next_acknowledgment_is_enough() {
    let mut s = server(10);
    let said = s.answer(&Say::default());
    s.say(&ack(&said, b""));
    assert_eq!(s.run(Duration::from_millis(9_999)), 0);
    let until = s.now + Duration::from_millis(2);
    let next = s.stack.next_deadline(s.now);
    assert!(next <= until);
    s.now = next;
    s.stack.on_deadline(next, &mut ());
    let again = s.out();
    assert!(again.len() == 1 && again[0].is_syn_ack() && again[0].hdr.seq == said.hdr.seq, "{again:?}");
    s.say(&ack(&said, b""));
    let c = s.stack.tcp_accept(s.listener).unwrap();
    assert_eq!(s.counter("TcpRetransSegs"), 0, "nothing was lost");
    assert!(s.stack.tcp_status(c).unwrap().cwnd > 1460, "so the window is that of a good path");
}

#[test]
fn who_does_not_answer_then_is_given_up() {
    let mut s = server(10);
    let said = s.answer(&Say::default());
    s.say(&ack(&said, b""));
    let sent = s.run(Duration::from_secs(200));
    let o = s.stack.occupancy();
    assert_eq!((sent, o.half_open, o.timers), (6, 0, 0), "once more, and five retries");
}

#[test]
fn a_full_accept_queue_is_no_matter_for_who_waits_for_text() {
    let mut s = server(10);
    let said: Vec<Said> = (1..=4).map(|p| s.answer(&Say { from: server::peer(p), ..Say::default() })).collect();
    for (n, x) in said.iter().enumerate() {
        s.say(&Say { from: server::peer(n as u16 + 1), ..ack(x, if n < 3 { b"x" } else { b"" }) });
    }
    assert_eq!((s.status().accept_queue, s.status().half_open, s.status().overflowed), (3, 1, 0));
}
