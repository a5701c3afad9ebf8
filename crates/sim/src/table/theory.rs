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

/// BBRv3 (draft-ietf-ccwg-bbr-06 5.3.3, 5.5.10) in a window of `bdp` segments, as a part of the link's rate: between probes,
/// which are 2 to 3 s or 63 round trips apart, each round trip in which anything is lost brings what may be in flight down to
/// what was delivered in it.
pub(super) fn bbr(bdp: f64, rtt: f64, loss: f64) -> f64 {
    let rounds = (2.5 / rtt).min(63.0);
    let factor = 1.0 - loss * (1.0 - (1.0 - loss).powf(bdp));
    (1.0 - factor.powf(rounds)) / (rounds * (1.0 - factor))
}

/// Jain's index of flows of these algorithms in turn. Those that add and multiply alike end at equal parts (Chiu and Jain,
/// "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989), and CUBIC in its Reno-friendly region
/// is as Reno there (RFC 9438 4.3). Nobody has a formula for BBRv3 beside them; what its draft wants (1) is that neither takes
/// the other's part: with no less than a quarter of what the other has, the index is 0.73.
pub(super) fn fairness(algorithms: &[&str]) -> (f64, f64) {
    let mixed = algorithms.contains(&"bbr") && algorithms.iter().any(|a| *a != "bbr");
    if mixed { (0.73, 1.0) } else { (1.0, 1.0) }
}

/// The mean wait in a queue of `bdps` bandwidth-delay products that one flow fills, in round trips; `None`: CoDel's. A window
/// that grows to 1 + B and is multiplied by beta leaves the queue between B and beta (1 + B) - 1, and grows nearly evenly. BBR
/// fills a quarter of a BDP while it probes (draft-ietf-ccwg-bbr-06 5.3.3), one round trip in many, and no more than
/// BBRDefaultCwndGain lets it; CoDel keeps a queue at no more than its target of 5 ms for long (RFC 8289 4.2).
pub(super) fn queueing(algorithm: &str, bdps: Option<f64>) -> (f64, f64) {
    const CODEL: f64 = 5.0 / 40.0;
    let beta = if algorithm == "cubic" { 0.7 } else { 0.5 };
    match bdps {
        _ if algorithm == "bbr" => (0.0, 0.25),
        None => (0.0, CODEL),
        Some(b) => {
            let mean = (b + (beta * (1.0 + b) - 1.0).max(0.0)) / 2.0;
            (mean, mean)
        }
    }
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
    fn bbr_loses_more_where_more_round_trips_lie_between_probes() {
        assert!(bbr(70.0, 0.04, 0.001) > 0.99 && bbr(333.0, 0.2, 0.01) > 0.93);
        let many = bbr(345.0, 0.04, 0.01);
        assert!((0.70..0.80).contains(&many), "{many}");
    }

    #[test]
    fn half_a_queue_of_a_bdp_on_average_for_reno_and_seven_tenths_for_cubic() {
        assert_eq!((queueing("reno", Some(1.0)).0, queueing("cubic", Some(1.0)).0), (0.5, 0.7));
        assert_eq!((queueing("reno", Some(8.0)).0, queueing("cubic", Some(8.0)).0), (5.75, 6.65));
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
