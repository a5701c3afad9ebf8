//! Options of sockets: before they are open, while they are, by several holders at once; of listeners, and of whole hosts.

#![allow(clippy::disallowed_methods)] // real time; no verdict depends on it

mod pair;

use pair::{b, connected, kind, pair, pair_with};
use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::Duration;
use synfin::blocking::{AnyListener, TcpListener, TcpSocket, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::stack::StackConfig;
use synfin::{Cause, Keepalive, Stack, TcpConfig};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn cause(e: &io::Error) -> Option<Cause> {
    e.get_ref().and_then(|e| e.downcast_ref()).copied()
}

#[test]
fn options_before_and_after_a_connection_is_open() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, _s) = connected(&x, &y)?;
    assert_eq!((c.nodelay()?, c.ttl()?, c.keepalive()?, c.user_timeout()?), (false, 64, false, None));
    c.set_nodelay(true)?;
    c.set_ttl(7)?;
    c.set_user_timeout(Some(Duration::from_secs(5)))?;
    c.set_keepalive_times(Keepalive { idle: Some(Duration::from_secs(9)), ..Keepalive::default() })?;
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!((c.nodelay()?, c.ttl()?, c.user_timeout()?), (true, 7, seconds(5)));
    let times = Keepalive { idle: seconds(9), interval: seconds(75), count: Some(9) };
    assert_eq!((c.keepalive()?, c.keepalive_times()?), (true, times));
    c.set_keepalive(false)?;
    assert_eq!((c.keepalive()?, c.keepalive_times()?), (false, times));
    for (wrong, words) in [
        (c.set_ttl(0), "a TTL of 0; there are 1..=255"),
        (c.set_ttl(256), "a TTL of 256; there are 1..=255"),
        (c.set_congestion("vegas"), "congestion: \"vegas\" is none of reno, cubic, dctcp, bbr"),
        (
            c.set_keepalive_times(Keepalive { count: Some(0), ..Keepalive::default() }),
            "keepalive-count: \"0\" is none of 1..=127",
        ),
    ] {
        let e = wrong.expect_err(words);
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::InvalidInput, words));
    }
    assert_eq!((c.keepalive()?, c.keepalive_times()?), (false, times), "what was wrong has changed nothing");
    let s = TcpSocket::new_v4(&x)?;
    s.set_keepalive(true)?;
    assert_eq!((s.keepalive()?, s.keepalive_times()?.count), (true, Some(9)), "alike before it is open");
    s.set_syn_retries(1)?;
    s.set_connect_timeout(Some(Duration::from_millis(40)))?;
    assert_eq!(kind(s.connect("192.0.2.77:9")), ErrorKind::TimedOut);
    Ok(())
}

#[test]
fn what_can_be_set_at_build_time_can_be_set_of_a_socket() -> io::Result<()> {
    let (x, y) = pair()?;
    let s = TcpSocket::new_v4(&y)?;
    s.bind(b(7))?;
    s.set_defer_accept(Duration::from_secs(3))?;
    s.set_quick_acks(3)?;
    s.set_user_timeout(Some(Duration::from_secs(8)))?;
    s.set_rcv_lowat(5)?;
    s.set_snd_lowat(6)?;
    s.set_ttl(9)?;
    let wrong = [s.set_rcv_lowat(0), s.set_defer_accept(Duration::from_secs(3_601)), s.set_syn_retries(200)];
    assert!(wrong.into_iter().all(|r| r.is_err_and(|e| e.kind() == ErrorKind::InvalidInput)));
    assert_eq!((s.defer_accept()?, s.quick_acks()?, s.ttl()?), (Duration::from_secs(3), 3, 9));
    assert_eq!((s.syn_retries()?, s.connect_timeout()?, s.user_timeout()?), (6, None, Some(Duration::from_secs(8))));
    let l = s.listen(8)?;
    assert_eq!(l.defer_accept()?, Duration::from_secs(3));
    // It is accepted when text has come, and not when its handshake is complete.
    let c = TcpStream::connect(&x, b(7))?;
    assert!(l.accept_within(Some(Duration::from_millis(100)))?.is_none());
    (&c).write_all(b"text")?;
    let (s, _) = l.accept()?;
    assert_eq!((s.rcv_lowat()?, s.snd_lowat()?, s.ttl()?, s.user_timeout()?), (5, 6, 9, Some(Duration::from_secs(8))));
    // A listener's settings are of the connections to come.
    l.set_defer_accept(Duration::ZERO)?;
    let d = TcpStream::connect(&x, b(7))?;
    assert_eq!(l.accept()?.1, d.local_addr()?);
    // Small text waits while it is corked, and leaves when it is not.
    assert!(!c.cork()?);
    c.set_cork(true)?;
    (&c).write_all(b"mo")?;
    assert!(c.cork()? && c.status().is_some());
    c.set_cork(false)?;
    let mut got = [0; 6];
    (&s).read_exact(&mut got)?;
    assert_eq!(&got, b"textmo");
    c.set_send_buffer_size(5_000)?;
    c.set_recv_buffer_size(6_000)?;
    assert_eq!((c.send_buffer_size()?, c.recv_buffer_size()?), (5_000, 6_000));
    Ok(())
}

/// Each holder sets its own option, and finds it as it set it, whatever the others do meanwhile.
#[test]
fn what_holders_of_a_socket_set_at_once_is_all_set() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, _s) = connected(&x, &y)?;
    let l = TcpListener::bind(&y, b(7))?;
    let often = |set_and_look: &dyn Fn(u64) -> io::Result<bool>| -> io::Result<()> {
        (1..=2_000).try_for_each(|n| set_and_look(n).map(|same| assert!(same, "undone in round {n}")))
    };
    let on_stream: [&(dyn Fn(u64) -> io::Result<bool> + Sync); 5] = [
        &|n| c.set_user_timeout(Some(MS(n))).and_then(|()| Ok(c.user_timeout()? == Some(MS(n)))),
        &|n| {
            let idle = Some(MS(10 + n));
            c.set_keepalive_times(Keepalive { idle, ..Keepalive::default() })?;
            Ok(c.keepalive_times()?.idle == idle)
        },
        &|n| c.set_rcv_lowat(n as u32).and_then(|()| Ok(c.rcv_lowat()? == n as u32)),
        &|n| c.set_snd_lowat(n as u32).and_then(|()| Ok(c.snd_lowat()? == n as u32)),
        &|n| c.set_nodelay(n % 2 == 0).and_then(|()| Ok(c.nodelay()? == (n % 2 == 0))),
    ];
    let on_listener: [&(dyn Fn(u64) -> io::Result<bool> + Sync); 2] =
        [&|n| l.set_defer_accept(MS(n)).and_then(|()| Ok(l.defer_accept()? == MS(n))), &|n| {
            l.set_dscp(n as u8 % 64).and_then(|()| Ok(l.dscp()? == n as u8 % 64))
        }];
    thread::scope(|s| {
        let all: Vec<_> = on_stream.into_iter().chain(on_listener).map(|f| s.spawn(move || often(f))).collect();
        all.into_iter().try_for_each(|t| t.join().expect("nothing was undone"))
    })
}

#[test]
fn a_time_under_a_millisecond_is_not_off_and_zero_is_refused() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, _s) = connected(&x, &y)?;
    let (s, l) = (TcpSocket::new_v4(&x)?, TcpListener::bind(&y, b(7))?);
    let micro = Duration::from_micros(1);
    let little = Some(micro);
    c.set_user_timeout(little)?;
    s.set_user_timeout(little)?;
    s.set_connect_timeout(little)?;
    s.set_defer_accept(Duration::from_micros(1_001))?;
    l.set_defer_accept(Duration::from_nanos(1))?;
    let one = Some(MS(1));
    assert_eq!([c.user_timeout()?, s.user_timeout()?, s.connect_timeout()?], [one; 3]);
    assert_eq!((s.defer_accept()?, l.defer_accept()?), (MS(2), MS(1)));
    let zero = Some(Duration::ZERO);
    for r in [c.set_user_timeout(zero), s.set_user_timeout(zero), s.set_connect_timeout(zero)] {
        assert_eq!(kind(r), ErrorKind::InvalidInput);
    }
    c.set_user_timeout(None)?;
    assert_eq!(c.user_timeout()?, None);
    // As in std any time will do, for connecting.
    assert!(TcpStream::connect_timeout(&x, &b(7), Duration::MAX).is_ok());
    assert_eq!(
        kind(TcpStream::connect_timeout(&x, &"192.0.2.77:9".parse().expect("an address"), micro)),
        ErrorKind::TimedOut
    );
    Ok(())
}

#[test]
fn settings_that_cannot_be_are_refused_wherever_they_are_given() -> io::Result<()> {
    let (x, y) = pair()?;
    let (c, _s) = connected(&x, &y)?;
    let (s, l) = (TcpSocket::new_v4(&x)?, TcpListener::bind(&y, b(7))?);
    let bad = |c: &mut TcpConfig| (c.rto_min, c.rto_max) = (Duration::from_secs(100), Duration::from_secs(60));
    let mut cfg = TcpConfig::default();
    bad(&mut cfg);
    let (d, _e) = memory_pair(1500, true)?;
    let out_of_range = TcpConfig { dscp: 64, ..TcpConfig::default() };
    let words = "rto-min: 100s is above rto-max, which is 60s";
    for (r, words) in [
        (Stack::builder().tcp(cfg.clone()).start(Device::Memory(d)).map(drop), words),
        (TcpStream::connect_with(&x, None, b(7), &cfg).map(drop), words),
        (TcpListener::bind_with(&y, b(8), 1, &cfg).map(drop), words),
        (AnyListener::bind_with(&y, 1, &cfg).map(drop), words),
        (c.configure(bad), words),
        (s.configure(bad), words),
        (l.configure(bad), words),
        (TcpStream::connect_with(&x, None, b(7), &out_of_range).map(drop), "dscp: \"64\" is none of 0..=63"),
        (c.configure(|c| c.keepalive_count = 0), "keepalive-count: \"0\" is none of 1..=127"),
    ] {
        let e = r.expect_err(words);
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::InvalidInput, words));
    }
    // Nothing was changed by what was refused: what can be still can.
    c.configure(|c| c.rto_max = Duration::from_secs(61))?;
    s.configure(|c| c.rto_max = Duration::from_secs(61))?;
    l.configure(|c| c.rto_max = Duration::from_secs(61))
}

#[test]
fn a_full_table_of_settings_is_told_from_a_listener_that_is_gone() -> io::Result<()> {
    let (d, e) = memory_pair(1500, true)?;
    let few = StackConfig { max_settings: 1, ..StackConfig::default() };
    let x = Stack::builder().address("192.0.2.1/24")?.limits(few).start(Device::Memory(d))?;
    let y = Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(e))?;
    let ((c, _s), (d, _t)) = (connected(&x, &y)?, connected(&x, &y)?);
    c.set_ttl(5)?;
    let e = d.set_ttl(6).expect_err("of a third kind");
    assert_eq!((e.kind(), cause(&e)), (ErrorKind::OutOfMemory, Some(Cause::SettingsFull)));
    assert_eq!((c.ttl()?, d.ttl()?), (5, 64));
    let l = TcpListener::bind(&x, "192.0.2.1:7")?;
    assert_eq!(kind(l.set_ttl(6)), ErrorKind::OutOfMemory);
    x.shutdown(MS(10));
    let e = l.set_ttl(6).expect_err("it is closed");
    assert_eq!((e.kind(), cause(&e)), (ErrorKind::NotConnected, Some(Cause::Stopped)));
    assert_eq!((c.ttl()?, kind((&c).write(b"x"))), (5, ErrorKind::NotConnected), "what options were can be asked");
    Ok(())
}

#[test]
fn a_buffer_of_a_fixed_size_is_automatic_again_when_asked_to() -> io::Result<()> {
    let (x, y) = pair_with(TcpConfig { snd_buf_max: 1 << 20, rcv_buf_max: 1 << 19, ..TcpConfig::default() })?;
    let (mut c, _s) = connected(&x, &y)?;
    c.set_nonblocking(true)?;
    c.set_send_buffer_size(5_000)?;
    c.set_recv_buffer_size(5_000)?;
    assert!(c.write(&[0; 100_000])? <= 5_000);
    c.set_send_buffer_auto()?;
    c.set_recv_buffer_auto()?;
    assert_eq!((c.send_buffer_size()?, c.recv_buffer_size()?), (1 << 20, 1 << 19), "up to what the host says");
    assert!(c.write(&[0; 100_000])? > 5_000);
    let s = TcpSocket::new_v4(&x)?;
    s.set_send_buffer_size(6_000)?;
    s.set_recv_buffer_size(6_000)?;
    s.set_send_buffer_auto()?;
    s.set_recv_buffer_auto()?;
    assert_eq!((s.send_buffer_size()?, s.recv_buffer_size()?), (1 << 20, 1 << 19));
    // A host whose buffers are fixed; its sockets need not be so.
    let b = Stack::builder().send_buffer_size(Some(7_000)).recv_buffer_size(Some(8_000));
    let x = b.start(Device::Memory(memory_pair(1500, true)?.0))?;
    let s = TcpSocket::new_v4(&x)?;
    assert_eq!((s.send_buffer_size()?, s.recv_buffer_size()?), (7_000, 8_000));
    s.set_send_buffer_auto()?;
    let d = TcpConfig::default();
    assert_eq!((s.send_buffer_size()?, s.recv_buffer_size()?), (d.snd_buf_max, 8_000));
    let b = Stack::builder().send_buffer_size(Some(1)).recv_buffer_size(Some(1));
    let x = b.send_buffer_size(None).recv_buffer_size(None).start(Device::Memory(memory_pair(1500, true)?.0))?;
    assert_eq!(x.tcp_defaults(), d);
    Ok(())
}

/// The first connection brings a cookie, the second one's SYN the text.
fn text_in_the_syn(x: &Stack, l: &TcpListener, connect: &dyn Fn() -> io::Result<TcpStream>) -> io::Result<()> {
    for (n, with_syn) in [(1, 0), (2, 1)] {
        let mut c = connect()?;
        c.write_all(b"text")?;
        let (mut s, _) = l.accept()?;
        let mut got = [0; 4];
        s.read_exact(&mut got)?;
        s.write_all(&got)?;
        c.read_exact(&mut got)?;
        assert_eq!((&got, x.counters().1.fast_open_active), (b"text", with_syn), "connection {n}");
    }
    Ok(())
}

#[test]
fn fast_open_has_a_name_for_one_socket_and_for_a_host() -> io::Result<()> {
    let (x, y) = pair()?;
    let s = TcpSocket::new_v4(&y)?;
    s.bind(b(7))?;
    s.set_fast_open_queue(8)?;
    let l = s.listen(8)?;
    assert_eq!(l.fast_open_queue()?, 8);
    text_in_the_syn(&x, &l, &|| {
        let s = TcpSocket::new_v4(&x)?;
        s.set_fast_open_connect(true)?;
        assert!(s.fast_open_connect()?);
        s.connect(b(7))
    })?;
    l.set_fast_open_queue(0)?;
    assert_eq!(l.fast_open_queue()?, 0);

    let (d, e) = memory_pair(1500, true)?;
    let x = Stack::builder().address("192.0.2.1/24")?.fast_open_connect(true).start(Device::Memory(d))?;
    let y = Stack::builder().address("192.0.2.2/24")?.fast_open_queue(8).start(Device::Memory(e))?;
    text_in_the_syn(&x, &TcpListener::bind(&y, b(7))?, &|| TcpStream::connect(&x, b(7)))
}
