//! Heartbeats over tokio's streams, on tokio's clock, which is virtual here: it goes on when all tasks wait.

use std::future::{Ready, ready};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use synfin::Stack;
use synfin::device::{Device, memory_pair};
use synfin::heartbeat::tokio::{HeartbeatStream, keep_connected};
use synfin::heartbeat::{Backoff, FrameError, Settings, Verdict};
use synfin::stack::engine::{Rng, State};
use synfin::tokio::{TcpListener, TcpStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split};
use tokio::time::{Instant, sleep, timeout};

type Beating = HeartbeatStream<DuplexStream>;

fn pair(settings: Settings, room: usize) -> (Beating, Beating) {
    let (a, b) = duplex(room);
    (HeartbeatStream::new(a, settings), HeartbeatStream::accepted(b, settings))
}

#[tokio::test(start_paused = true)]
async fn idle_ends_live_as_long_as_they_are_polled() {
    let (mut a, mut b) = pair(Settings::USUAL, 100);
    let hour = Duration::from_secs(3_600);
    let (x, y) = tokio::join!(timeout(hour, a.read_u8()), timeout(hour, b.tend()));
    assert!(x.is_err() && y.is_err(), "only the time is over");
    assert_eq!((a.counters().probes, b.counters().peer_probes, b.counters().probes), (240, 240, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_is_gone_after_8_s() {
    let (mut a, b) = pair(Settings::STRICT, 100);
    let began = Instant::now();
    let e = a.read_u8().await.unwrap_err();
    assert!(
        e.kind() == ErrorKind::TimedOut && began.elapsed().as_secs_f64().round() == 8.0,
        "{e}, {:?}",
        began.elapsed()
    );
    assert_eq!(a.write(b"x").await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!((a.tend().await.kind(), b.verdict()), (ErrorKind::TimedOut, None));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_only_writes_learns_that_its_peer_hangs() {
    let (mut a, _b) = pair(Settings::STRICT, 1_000);
    let e = a.write_all(&[7; 1_000_000]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
}

/// Through a stream with less room than a frame has, with a task for each direction of each end.
#[tokio::test(start_paused = true)]
async fn text_goes_both_ways_at_once_and_ends() {
    let text = |seed: usize| -> Vec<u8> { (0..300_000).map(|i| (i * 7 + i / 251 + seed) as u8).collect() };
    let (a, b) = pair(Settings::USUAL, 999);
    let (a, b) = (split(a), split(b));
    let send = |mut to: tokio::io::WriteHalf<Beating>, seed| async move {
        to.write_all(&text(seed)).await.unwrap();
        to.shutdown().await.unwrap();
        assert_eq!(to.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        to
    };
    let receive = |mut from: tokio::io::ReadHalf<Beating>| async move {
        let mut all = Vec::new();
        from.read_to_end(&mut all).await.unwrap();
        (all, from)
    };
    let set = [tokio::spawn(send(a.1, 1)), tokio::spawn(send(b.1, 2))];
    let got = [tokio::spawn(receive(a.0)), tokio::spawn(receive(b.0))];
    let mut kept = Vec::new();
    for s in set {
        kept.push(s.await.unwrap());
    }
    for (g, seed) in got.into_iter().zip([2, 1]) {
        assert!(g.await.unwrap().0 == text(seed));
    }
}

/// The receiver takes text once a minute only: its inbox is full, and its heart goes on.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_dead_peer() {
    let (mut a, mut b) = pair(Settings::STRICT, 1_000);
    let writer = tokio::spawn(async move {
        a.write_all(&[7; 1_000_000]).await.unwrap();
        a.shutdown().await.unwrap();
        a.read_u8().await.unwrap_err().kind()
    });
    let mut got = 0;
    let mut buf = vec![0; 50_000];
    loop {
        tokio::select! {
            e = b.tend() => panic!("{e}"),
            () = sleep(Duration::from_secs(60)) => {}
        }
        let n = b.read(&mut buf).await.unwrap();
        got += n;
        if n == 0 {
            break;
        }
    }
    assert_eq!(got, 1_000_000);
    b.shutdown().await.unwrap();
    assert_eq!(writer.await.unwrap(), ErrorKind::UnexpectedEof, "read_u8 at the end, and not cut short");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_without_its_end_was_cut_short() {
    let (mut a, mut b) = pair(Settings::USUAL, 1_000);
    a.write_all(b"hal").await.unwrap();
    a.flush().await.unwrap();
    drop(a);
    let mut got = Vec::new();
    let e = b.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(
        (got.as_slice(), e.kind(), b.verdict()),
        (b"hal".as_slice(), ErrorKind::UnexpectedEof, Some(Verdict::Broken(FrameError::CutShort)))
    );
}

async fn answers(mut s: Beating) {
    let asked = s.read_u8().await.unwrap();
    s.write_u8(asked + 1).await.unwrap();
    s.flush().await.unwrap();
    let _ = s.tend().await;
}

/// Two servers whose programs hang, one that cuts it short, then one that answers; all on virtual time, in a task.
#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_cleaned_up_after_and_made_again() {
    let began = Instant::now();
    let made = tokio::spawn(async {
        let (connected, lost, hung) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let answer = keep_connected(
            Settings::STRICT,
            Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            &mut Rng::from_number(1),
            || async {
                let (a, b) = duplex(100);
                match connected.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => hung.lock().unwrap().push(b),
                    2 => return Err(ErrorKind::ConnectionRefused.into()),
                    3 => drop(b),
                    _ => _ = tokio::spawn(answers(HeartbeatStream::accepted(b, Settings::STRICT))),
                }
                Ok(a)
            },
            |why| {
                lost.lock().unwrap().push(why.kind());
                async {
                    sleep(Duration::from_secs(1)).await; // it may take its time
                    Ok(())
                }
            },
            |mut s| async move {
                s.write_u8(7).await?;
                let answer = s.read_u8().await?;
                s.shutdown().await?;
                Ok(answer)
            },
        )
        .await;
        (answer.unwrap(), connected.into_inner(), lost.into_inner().unwrap())
    });
    let (answer, connected, lost) = made.await.unwrap();
    assert_eq!((answer, connected), (8, 5));
    assert_eq!(lost, [ErrorKind::TimedOut, ErrorKind::TimedOut, ErrorKind::UnexpectedEof], "a refusal is no loss");
    // Two verdicts after 8 s each, three clean-ups, and pauses of 1, 2, 4 and 8 s of which half is drawn.
    let took = began.elapsed().as_secs_f64();
    assert!((16.0 + 3.0 + 7.5..=16.0 + 3.0 + 15.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn attempts_end_when_the_back_off_says_so_and_errors_of_the_work_are_its_own() {
    let (mut attempts, mut rng) = (0, Rng::from_number(1));
    let backoff = Backoff::default().give_up_after(3);
    let refused = || {
        attempts += 1;
        ready(io::Result::<DuplexStream>::Err(ErrorKind::ConnectionRefused.into()))
    };
    let never = |_: &io::Error| -> Ready<io::Result<()>> { unreachable!("nothing was connected") };
    let idle = |_| -> Ready<io::Result<()>> { unreachable!("likewise") };
    let r = keep_connected(Settings::USUAL, backoff, &mut rng, refused, never, idle).await;
    assert_eq!((r.unwrap_err().kind(), attempts), (ErrorKind::ConnectionRefused, 3));
    let connect = || ready(Ok(duplex(100).0));
    let never = |_: &io::Error| -> Ready<io::Result<()>> { unreachable!("nothing was lost") };
    let mine = |_| ready(io::Result::<()>::Err(io::Error::other("mine")));
    let r = keep_connected(Settings::USUAL, Backoff::default(), &mut rng, connect, never, mine).await;
    assert_eq!(r.unwrap_err().to_string(), "mine");
}

/// After a verdict the stream below is given up, held or dropped. Here time is real: a peer that says nothing for ever.
#[tokio::test]
async fn the_stream_of_a_peer_that_is_gone_is_reset() {
    let (x, y) = memory_pair(1500, true).unwrap();
    let host = |addr, device| Stack::builder().address(addr).unwrap().start(Device::Memory(device)).unwrap();
    let (x, y) = (host("192.0.2.1/24", x), host("192.0.2.2/24", y));
    let l = TcpListener::bind(&y, "192.0.2.2:7").await.unwrap();
    let below = TcpStream::connect(&x, "192.0.2.2:7").await.unwrap();
    let (mut hangs, _) = l.accept().await.unwrap();
    let impatient = Settings::new(Duration::from_millis(50), Duration::from_millis(50)).unwrap();
    let mut s = HeartbeatStream::new(below, impatient);
    assert_eq!(s.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(s.get_ref().state(), State::Closed);
    for _ in 0..2 {
        assert_eq!(s.write(b"x").await.unwrap_err().kind(), ErrorKind::TimedOut, "and not what it was reset with");
    }
    let e = hangs.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_known_is_given_up_as_it_was_told_to_be() {
    struct Over(DuplexStream, AtomicUsize);
    impl AsyncRead for Over {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }
    impl AsyncWrite for Over {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, data)
        }
        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
    let (a, _b) = duplex(100);
    let s = HeartbeatStream::new(Over(a, AtomicUsize::new(0)), Settings::STRICT);
    let mut s = s.give_up_by(|s| _ = s.1.fetch_add(1, Ordering::Relaxed));
    assert_eq!(s.get_ref().1.load(Ordering::Relaxed), 0);
    for _ in 0..3 {
        assert_eq!(s.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
    assert_eq!(s.get_ref().1.load(Ordering::Relaxed), 1, "once");
}
