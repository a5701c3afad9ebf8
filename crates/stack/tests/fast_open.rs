//! Fast Open as a server's host sees it (RFC 7413): who is let in before the handshake is over, how many, and with which
//! cookies. What a single connection does is told by scripts (`tests/scripts/fast-open`).

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod server;

use server::{Said, Say, Server, peer};
use std::time::Duration;
use synfin_stack::StackConfig;
use synfin_stack::engine::config::SynCookies;
use synfin_stack::engine::{State, TcpConfig};
use synfin_stack::wire::SeqNum;
use synfin_stack::wire::tcp::{Cookie, Flags, Options};

const TEXT: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

fn settings(queue: u16) -> TcpConfig {
    TcpConfig { fastopen: 2, fastopen_queue: queue, ..TcpConfig::default() }
}

/// The SYN of the client at `port` with a cookie; an empty one asks.
fn syn(port: u16, cookie: Cookie, text: &'static [u8]) -> Say<'static> {
    let opts = Options { mss: Some(1460), fast_open: Some(cookie), ..Options::default() };
    Say { from: peer(port), opts, text, ..Say::default() }
}

/// What an answer acknowledges beside the SYN.
fn taken(said: &Said) -> u32 {
    assert!(said.is_syn_ack(), "{said:?}");
    said.hdr.ack.since(SeqNum(1001))
}

/// A cookie, as it is given to who asks.
fn cookie(s: &mut Server) -> Cookie {
    let before = s.status().half_open;
    let said = s.answer(&syn(9, Cookie::REQUEST, b""));
    let given = said.opts.fast_open.expect("a cookie");
    s.say(&Say { from: peer(9), seq: (1001, 0), flags: Flags::RST, ..Say::default() });
    assert_eq!(s.status().half_open, before);
    given
}

fn reset(s: &mut Server, port: u16) {
    let seq = (1001 + TEXT.len() as u32, 0);
    assert!(s.say(&Say { from: peer(port), seq, flags: Flags::RST, ..Say::default() }).is_empty());
}

#[test]
//= RFC 7413 4.2 (b)
//= RFC 7413 4.2.2 (g)
//= RFC 7413 5.1 (a) (b)
fn no_more_than_the_limit_are_pending_and_who_was_reset_counts_on() {
    let mut s = Server::new(50, StackConfig::default(), &settings(2));
    let c = cookie(&mut s);
    let first = s.answer(&syn(1, c, TEXT));
    assert_eq!((taken(&first), taken(&s.answer(&syn(2, c, TEXT)))), (TEXT.len() as u32, TEXT.len() as u32));
    assert_eq!((s.status().fast_open, s.status().accept_queue), (2, 2));
    // A third is a client like any other: no text, no cookie.
    let third = s.answer(&syn(3, c, TEXT));
    assert_eq!((taken(&third), third.opts.fast_open), (0, None));
    assert_eq!(s.counter("TcpExtTCPFastOpenListenOverflow"), 1);
    assert_eq!(s.status().half_open, 1);
    // One handshake ends: there is a place.
    let ack = (1001 + TEXT.len() as u32, first.hdr.seq.0.wrapping_add(1));
    s.say(&Say { from: peer(1), seq: ack, flags: Flags::ACK, ..Say::default() });
    assert_eq!(s.status().fast_open, 1);
    assert_eq!(taken(&s.answer(&syn(4, c, TEXT))), TEXT.len() as u32);
    // A reset makes none, for a while: else a flood of forged SYNs would be fed by the resets of those whose names it uses.
    reset(&mut s, 4);
    assert_eq!((s.status().fast_open, taken(&s.answer(&syn(5, c, TEXT)))), (2, 0));
    s.run(Duration::from_secs(61));
    assert_eq!(taken(&s.answer(&syn(6, c, TEXT))), TEXT.len() as u32, "the reset is forgotten");
    assert_eq!(taken(&s.answer(&syn(7, c, TEXT))), 0, "the second has still not answered");
    s.run(Duration::from_secs(200));
    assert_eq!(s.stack.occupancy().fast_open, 0, "nobody answered, and all are gone");
    assert_eq!(s.counter("TcpExtTCPFastOpenPassive"), 4);
}

#[test]
//= RFC 7413 2 (a)
//= RFC 7413 4.2 (a)
fn it_takes_both_the_host_and_the_listener_to_turn_it_on() {
    let on = |fastopen, fastopen_queue| {
        let cfg = TcpConfig { fastopen, fastopen_queue, ..TcpConfig::default() };
        let mut s = Server::new(5, StackConfig::default(), &cfg);
        s.answer(&syn(1, Cookie::REQUEST, b"")).opts.fast_open.is_some()
    };
    assert_eq!([on(0, 5), on(2, 0), on(1, 5), on(2, 5), on(0x402, 0)], [false, false, false, true, true]);
    let default = TcpConfig::default();
    assert_eq!((default.fastopen, default.fastopen_queue, default.fastopen_connect), (0, 0, false));
}

#[test]
//= RFC 7413 4.1.2 (a)
fn a_cookie_is_of_one_client_and_grows_old() {
    let life = Duration::from_secs(3600);
    let host = StackConfig { fast_open_key_life: life, ..StackConfig::default() };
    let mut s = Server::new(5, host, &settings(5));
    let c = cookie(&mut s);
    let other = std::net::SocketAddrV4::new([192, 0, 2, 7].into(), 1);
    let said = s.answer(&Say { from: other, ..syn(1, c, TEXT) });
    assert_eq!(taken(&said), 0, "somebody else's");
    assert!(said.opts.fast_open.is_some_and(|new| new != c), "who has his own now");
    assert_eq!(s.counter("TcpExtTCPFastOpenPassiveFail"), 1);
    s.run(life);
    let said = s.answer(&syn(2, c, TEXT));
    assert_eq!(taken(&said), TEXT.len() as u32, "of the last key");
    let new = said.opts.fast_open.unwrap();
    assert!(new != c && s.counter("TcpExtTCPFastOpenPassiveAltKey") == 1);
    s.run(life);
    let said = s.answer(&syn(3, c, TEXT));
    assert_eq!((taken(&said), said.opts.fast_open.is_some()), (0, true), "too old");
    assert_eq!(taken(&s.answer(&syn(4, new, TEXT))), TEXT.len() as u32);
    // Keys that are set: the one until now is taken for a while.
    s.stack.rotate_fast_open_key(s.now, [7; 16]);
    let c = cookie(&mut s);
    s.stack.rotate_fast_open_key(s.now, [8; 16]);
    assert_eq!(taken(&s.answer(&syn(5, c, TEXT))), TEXT.len() as u32);
    s.stack.rotate_fast_open_key(s.now, [9; 16]);
    assert_eq!(taken(&s.answer(&syn(6, c, TEXT))), 0);
}

#[test]
//= RFC 7413 4.2.2 (d)
fn text_that_does_not_fit_into_the_window_is_left_to_the_client() {
    static LONG: [u8; 1400] = [b'x'; 1400];
    let cfg = TcpConfig { rcv_buf_initial: 2_048, rcv_buf_max: 2_048, mss: 536, ..settings(5) };
    let mut s = Server::new(5, StackConfig::default(), &cfg);
    let c = cookie(&mut s);
    let said = s.answer(&syn(1, c, &LONG));
    assert_eq!((taken(&said), said.hdr.window), (1_400, 648));
    let id = s.stack.tcp_accept(s.listener).unwrap();
    let mut buf = [0; 2_000];
    assert_eq!(s.stack.tcp_receive(s.now, &mut (), id, &mut buf), Ok(1_400));
    assert_eq!(s.stack.tcp_state(id), State::SynReceived);
    s.stack.check_invariants();
}

#[test]
//= RFC 7413 4.2.2 (d)
fn where_there_is_no_room_a_good_cookie_makes_an_ordinary_handshake() {
    let host = StackConfig { max_connections: 1, ..StackConfig::default() };
    let mut s = Server::new(5, host, &settings(5));
    let c = cookie(&mut s);
    assert_eq!(taken(&s.answer(&syn(1, c, TEXT))), TEXT.len() as u32);
    assert_eq!((taken(&s.answer(&syn(2, c, TEXT))), s.status().half_open), (0, 1));
    // While SYNs are answered by SYN cookies nobody is let in early either.
    let mut s = Server::new(5, StackConfig::default(), &settings(5));
    let c = cookie(&mut s);
    assert!(s.stack.tcp_configure_listener(s.listener, |cfg| cfg.syn_cookies = SynCookies::Always));
    assert_eq!((taken(&s.answer(&syn(1, c, TEXT))), s.status().half_open), (0, 0));
}

/// What RFC 7413 2.1 and 6.1 warn of, as it is: SECURITY.md says so to users.
#[test]
fn a_duplicate_syn_adds_nothing_before_the_connection_is_forgotten_and_repeats_it_after() {
    let end = 1001 + TEXT.len() as u32;
    for server_first in [false, true] {
        let mut s = Server::new(5, StackConfig::default(), &settings(5));
        let c = cookie(&mut s);
        let said = s.answer(&syn(1, c, TEXT));
        let iss = said.hdr.seq.0;
        let id = s.stack.tcp_accept(s.listener).unwrap();
        let mut buf = [0; 100];
        assert_eq!(s.stack.tcp_receive(s.now, &mut (), id, &mut buf), Ok(TEXT.len()));
        let peer_says = |s: &mut Server, seq: u32, ack: u32, flags| {
            let seq = (seq, iss.wrapping_add(ack));
            s.say(&Say { from: peer(1), seq, flags: Flags::ACK | flags, ..Say::default() })
        };
        peer_says(&mut s, end, 1, Flags::NONE);
        // In ESTABLISHED it is challenged, as any SYN.
        let again = s.answer(&syn(1, c, TEXT));
        assert_eq!((again.hdr.flags, again.hdr.ack.0), (Flags::ACK, end));
        if server_first {
            s.stack.tcp_close(s.now, &mut (), id);
            s.out();
            peer_says(&mut s, end, 2, Flags::FIN);
        } else {
            peer_says(&mut s, end, 1, Flags::FIN);
            s.stack.tcp_close(s.now, &mut (), id);
            s.out();
            peer_says(&mut s, end + 1, 2, Flags::NONE);
        }
        assert_eq!(s.stack.occupancy().time_wait, usize::from(server_first));
        let late = s.say(&syn(1, c, TEXT));
        if server_first {
            assert!(late.iter().all(|x| !x.is_syn_ack()) && s.stack.tcp_accept(s.listener).is_none(), "{late:?}");
            continue;
        }
        // Nothing is left that could know it.
        assert_eq!(taken(&late[0]), TEXT.len() as u32);
        let id = s.stack.tcp_accept(s.listener).unwrap();
        assert_eq!(s.stack.tcp_receive(s.now, &mut (), id, &mut buf), Ok(TEXT.len()));
    }
}

#[test]
fn a_listener_that_goes_takes_who_is_pending_with_it() {
    let mut s = Server::new(5, StackConfig::default(), &settings(5));
    let c = cookie(&mut s);
    s.answer(&syn(1, c, TEXT));
    let accepted = s.stack.tcp_accept(s.listener).unwrap();
    s.answer(&syn(2, c, TEXT));
    assert_eq!(s.stack.occupancy().fast_open, 2);
    s.stack.tcp_close_listener(s.now, &mut (), s.listener);
    let said = s.out();
    assert!(said.len() == 1 && said[0].is_reset(), "who was not accepted: {said:?}");
    s.stack.check_invariants();
    assert_eq!(s.stack.occupancy().fast_open, 0);
    // Who was accepted goes on; it counts for nobody.
    assert_eq!(s.stack.tcp_state(accepted), State::SynReceived);
    s.stack.tcp_abort(s.now, &mut (), accepted);
    assert!(s.out()[0].is_reset());
    s.stack.check_invariants();
    assert_eq!(s.stack.occupancy().connections, 0);
}

#[test]
fn the_user_of_a_pending_connection_may_do_anything() {
    for what in 0..4 {
        let mut s = Server::new(5, StackConfig::default(), &settings(5));
        let c = cookie(&mut s);
        let said = s.answer(&syn(1, c, TEXT));
        let id = s.stack.tcp_accept(s.listener).unwrap();
        let mut buf = [0; 100];
        assert_eq!(s.stack.tcp_receive(s.now, &mut (), id, &mut buf), Ok(TEXT.len()));
        match what {
            0 => s.stack.tcp_close(s.now, &mut (), id),
            1 => s.stack.tcp_abort(s.now, &mut (), id),
            2 => s.stack.tcp_shutdown_write(s.now, &mut (), id),
            _ => assert_eq!(s.stack.tcp_send(s.now, &mut (), id, b"200").unwrap(), 3),
        }
        s.stack.check_invariants();
        s.out();
        let ack = (1001 + TEXT.len() as u32, said.hdr.seq.0.wrapping_add(1));
        s.say(&Say { from: peer(1), seq: ack, flags: Flags::ACK, ..Say::default() });
        if what >= 2 {
            let expected = if what == 2 { State::FinWait1 } else { State::Established };
            assert_eq!(s.stack.tcp_state(id), expected);
            s.stack.tcp_abort(s.now, &mut (), id);
        }
        s.run(Duration::from_secs(3600));
        assert_eq!((s.stack.occupancy().connections, s.stack.occupancy().fast_open), (0, 0), "{what}");
    }
}
