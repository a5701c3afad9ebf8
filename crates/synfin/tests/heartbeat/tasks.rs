//! Heartbeats over tokio's streams, on tokio's clock, which is virtual here: it goes on when all tasks wait.

use std::io::ErrorKind;
use std::time::Duration;
use synfin::heartbeat::tokio::HeartbeatStream;
use synfin::heartbeat::{FrameError, Settings, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
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
