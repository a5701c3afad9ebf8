//! What theory says of the goodput of a long flow, to be held beside what the simulator finds.
//!
//! Windows are in segments, times in seconds, results in segments per second. `b`, the segments that an acknowledgment
//! answers for, is 1 in all of them: windows grow by octets acknowledged (RFC 3465), however few the acknowledgments are.

/// Mathis, Semke, Mahdavi and Ott, "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm" (1997), equation 3:
/// halving at each loss, no timeouts. An upper bound for Reno.
pub fn mathis(rtt: f64, loss: f64) -> f64 {
    (1.5 / loss).sqrt() / rtt
}

/// Padhye, Firoiu, Towsley and Kurose, "Modeling TCP Throughput" (1998), equation 30: with timeouts, and all of a round lost
/// after its first loss. What recovers more than one loss in a round is better than that.
pub fn pftk(rtt: f64, loss: f64, rto: f64) -> f64 {
    let p = loss;
    let halving = rtt * (2.0 * p / 3.0).sqrt();
    let timeouts = rto * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p * (1.0 + 32.0 * p * p);
    1.0 / (halving + timeouts)
}

/// The mean window of CUBIC (RFC 9438 5, figure 6, with C = 0.4 and beta = 0.7), or that of its Reno-friendly region
/// (RFC 9438 4.3) where that is greater; by the round trip.
pub fn cubic(rtt: f64, loss: f64) -> f64 {
    const C: f64 = 0.4;
    const BETA: f64 = 0.7;
    let window = (C * (3.0 + BETA) / (4.0 * (1.0 - BETA))).powf(0.25) * (rtt / loss).powf(0.75);
    (window / rtt).max(mathis(rtt, loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_windows_of_rfc_9438_table_1() {
        // RFC 9438 5.1: at 0.1 s, loss 1e-4: Reno 120 segments, CUBIC 187; at 1e-6: 1200 and 5926.
        for (loss, reno, c) in [(1e-4, 120.0, 187.0), (1e-6, 1_200.0, 5_926.0)] {
            assert!((mathis(0.1, loss) * 0.1 / reno - 1.0).abs() < 0.03);
            assert!((cubic(0.1, loss) * 0.1 / c - 1.0).abs() < 0.03, "{}", cubic(0.1, loss) * 0.1);
        }
    }

    #[test]
    fn timeouts_only_make_it_worse() {
        for loss in [0.001, 0.01, 0.03, 0.1] {
            for rtt in [0.001, 0.04, 0.2] {
                assert!(pftk(rtt, loss, rtt + 0.2) < mathis(rtt, loss));
            }
        }
        assert!(pftk(0.04, 0.0001, 0.24) > 0.95 * mathis(0.04, 0.0001), "they are rare where losses are");
    }
}
