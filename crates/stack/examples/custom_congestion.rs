//! A congestion control of one's own, by the trait, over a path in memory: a window of a fixed number of segments.
//!
//!     cargo run --release -p synfin-stack --example custom_congestion

#[path = "../tests/path/mod.rs"]
mod path;

use path::Path;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use synfin_stack::engine::snd::congestion::{Ack, Algorithm, Congestion, CongestionControl, Loss, Start, Window};

/// Always so many segments. For a path that is known and nobody else's, as a link between two machines.
#[derive(Debug)]
struct Fixed {
    segments: u32,
}

impl CongestionControl for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn on_ack(&mut self, window: &mut Window, ack: &Ack) {
        window.cwnd = self.segments * ack.smss;
    }

    /// Recovery brings cwnd to ssthresh while it lasts: no less than ever.
    fn on_loss(&mut self, window: &mut Window, loss: &Loss) {
        window.ssthresh = self.segments * loss.smss;
    }

    /// A timeout leaves one segment, whoever governs (RFC 5681 3.1).
    fn on_timeout(&mut self, window: &mut Window, loss: &Loss, _first: bool) {
        window.cwnd = loss.smss;
    }
}

/// How long `octets` take over 10 Mbit/s and 20 ms each way.
fn transfer(octets: usize, congestion: Congestion) -> Duration {
    let cfg = TcpConfig::default();
    let mut path = Path::new(&cfg);
    let c = path.connect(&cfg, 80);
    // From here on the connection has another algorithm. It takes over cwnd and ssthresh as they are.
    let (stack, name) = (&mut path.hosts[0].0, congestion.view().name());
    assert!(stack.tcp_set_congestion(path.now, &mut (), c.client, congestion));
    assert_eq!(stack.tcp_congestion(c.client), Some(name));
    path.transfer(c, octets)
}

fn main() {
    let cfg = TcpConfig::default();
    let start = Start { smss: 1_448, sack: true, ..Start::default() };
    for congestion in [
        Congestion::of(Algorithm::Cubic, &cfg, &start),
        Congestion::of(Algorithm::Reno, &cfg, &start),
        Congestion::Custom(Box::new(Fixed { segments: 4 })),
        Congestion::Custom(Box::new(Fixed { segments: 40 })),
    ] {
        let name = congestion.view().name();
        println!("{name:8} {:?} for 5 MB", transfer(5_000_000, congestion));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= RFC 9293 3.8.2 MAY-18
    fn a_fixed_window_takes_as_long_as_it_must() {
        // Ten segments of the initial window, then four of 1448 octets per round trip of 40 ms and a little: 33 round trips
        // for 200,000 octets.
        let took = transfer(200_000, Congestion::Custom(Box::new(Fixed { segments: 4 })));
        assert!((Duration::from_millis(1_250)..Duration::from_millis(1_700)).contains(&took), "{took:?}");
        // Forty fill the path: 5 MB at 10 Mbit/s, headers added.
        let took = transfer(5_000_000, Congestion::Custom(Box::new(Fixed { segments: 40 })));
        assert!((Duration::from_millis(4_000)..Duration::from_millis(4_500)).contains(&took), "{took:?}");
    }
}
