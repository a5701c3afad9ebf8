//! ECN between two engines: a bottleneck that marks instead of dropping.

mod pair;

use pair::{Host, Pair, bare};
use synfin_tcp::ecn::{Feedback, OptionPolicy, Use};
use synfin_tcp::time::Duration;
use synfin_tcp::{Segment, State};
use synfin_wire::tcp::Flags;

fn block(h: &Host) -> &synfin_tcp::tcb::Tcb {
    h.conn.as_ref().and_then(|c| c.tcb()).expect("a block")
}

fn open(a: Use, b: Use, option: OptionPolicy) -> Pair {
    let mut p = Pair::new();
    (p.a.cfg.ecn, p.b.cfg.ecn) = (a, b);
    (p.a.cfg.accecn_option, p.b.cfg.accecn_option) = (option, option);
    p.establish();
    p
}

/// `a` sends so much to `b`, who reads it all.
fn transfer(p: &mut Pair, octets: usize) {
    let (mut sent, mut read) = (0, 0);
    for _ in 0..10_000 {
        let now = p.now;
        sent += p.a.send(now, &vec![7; (octets - sent).min(20_000)]);
        p.run(Duration::from_millis(10));
        read += p.b.read(p.now).len();
        if read == octets {
            return;
        }
    }
    panic!("{read} of {octets}");
}

#[test]
//= RFC 9768 3.1.2
//= RFC 3168 6.1.1
fn every_pair_of_hosts_agrees() {
    let all = [Use::Off, Use::Accept, Use::Rfc3168, Use::AccEcn, Use::Rfc3168AcceptAccEcn, Use::AcceptAccEcn];
    for a in all {
        for b in all {
            let p = open(a, b, OptionPolicy::Simple);
            let modes = (block(&p.a).rcv.ecn.feedback, block(&p.b).rcv.ecn.feedback);
            assert_eq!(modes.0, modes.1, "{a:?} {b:?}");
            assert_eq!(modes.0, b.grants(a.asks().syn_flags()), "{a:?} {b:?}");
            assert_eq!(modes, (block(&p.a).snd.ecn.feedback(), block(&p.b).snd.ecn.feedback()));
        }
    }
}

#[test]
//= RFC 9768 3.2
//= RFC 9768 3.2.2.2
//= RFC 3168 6.1.2
//= RFC 3168 6.1.3
fn a_bottleneck_that_marks_slows_down_and_loses_nothing() {
    for (wish, option, max_text) in [
        (Use::Rfc3168, OptionPolicy::Simple, 1_460),
        (Use::Rfc3168, OptionPolicy::Simple, 30_000),
        (Use::AccEcn, OptionPolicy::Off, 1_460),
        (Use::AccEcn, OptionPolicy::Changed, 1_460),
        (Use::AccEcn, OptionPolicy::Simple, 1_460),
        (Use::AccEcn, OptionPolicy::Full, 1_460),
        (Use::AccEcn, OptionPolicy::Full, 30_000),
    ] {
        let mut p = open(wish, Use::AcceptAccEcn, option);
        (p.a.max_text, p.mark) = (max_text, 20);
        transfer(&mut p, 2_000_000);
        p.settle();
        let (a, b) = (block(&p.a), block(&p.b));
        let case = (wish, option, max_text);
        assert!(p.marked > 5, "{case:?}");
        assert_eq!(a.counters.retrans, 0, "{case:?}");
        assert!(a.snd.window.ssthresh < 1 << 20, "{case:?}: marks were answered, {:?}", a.snd.window);
        if wish == Use::AccEcn && max_text == 1_460 {
            assert_eq!(b.rcv.ecn.cep as usize, 5 + p.marked, "{case:?}");
            assert_eq!(a.snd.ecn.cep, b.rcv.ecn.cep, "{case:?}");
            if option != OptionPolicy::Off {
                let ours = (a.snd.ecn.ceb, a.snd.ecn.e0b, a.snd.ecn.e1b);
                assert_eq!(ours, (b.rcv.ecn.ceb, b.rcv.ecn.e0b, b.rcv.ecn.e1b), "{case:?}");
                assert_eq!(b.rcv.ecn.ceb + b.rcv.ecn.e0b - 1, 2_000_000, "{case:?}: all text was ECT");
            }
        }
    }
}

#[test]
//= RFC 9768 3.3.4
//= RFC 3168 6.1.2
fn no_super_segment_has_cwr() {
    for wish in [Use::Rfc3168, Use::AccEcn] {
        let mut p = open(wish, Use::AcceptAccEcn, OptionPolicy::Off);
        (p.a.max_text, p.mark) = (30_000, 4);
        let large = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = large.clone();
        p.pass = Box::new(move |to_b, s: &Segment, _| {
            assert!(s.gro == 0 || !s.has(Flags::CWR), "{s:?}");
            seen.set(seen.get() + usize::from(to_b && s.gro > 0));
            true
        });
        transfer(&mut p, 1_000_000);
        // What comes back is marked too, so that the sender's own count moves.
        for _ in 0..40 {
            let mut s = bare(block(&p.a).rcv.nxt.0, block(&p.a).snd.nxt.0, Flags::ACK);
            s.ecn = synfin_wire::ip::Ecn::Ce;
            p.inject(false, s);
            transfer(&mut p, 30_000);
        }
        assert!(large.get() > 10, "{wish:?}: {}", large.get());
    }
}

#[test]
//= RFC 9768 3.1.5
fn close_in_syn_received_keeps_the_mode() {
    let mut p = Pair::new();
    p.a.cfg.ecn = Use::AccEcn;
    p.b.cfg.ecn = Use::AccEcn;
    let now = p.now;
    p.a.connect(now);
    let syn = p.a.drain(now);
    assert!(syn[0].has(Flags::SYN | Flags::AE | Flags::CWR | Flags::ECE));
    p.b.connect(now); // crosses
    p.b.drain(now);
    for s in syn {
        p.b.on_segment(now, s);
    }
    assert_eq!(p.b.state(), State::SynReceived);
    p.b.close(now);
    let t = block(&p.b);
    assert_eq!((t.rcv.ecn.feedback, t.snd.ecn.cep), (Feedback::Accurate, 5));
    let out = p.b.drain(now);
    assert!(out.iter().any(|s| s.has(Flags::SYN | Flags::ACK | Flags::CWR) && !s.has(Flags::AE)), "{out:?}");
    // Its acknowledgment has the handshake encoding, which is no count.
    let ack = bare(1001, 5001, Flags::ACK | Flags::CWR);
    p.b.on_segment(now, ack);
    assert_eq!(block(&p.b).snd.ecn.cep, 5);
}
