//! A connection begins with what the one before has found out about the path (RFC 9040, the setting `share-path`).

mod path;

use path::Path;
use synfin_stack::engine::TcpConfig;

#[test]
fn the_second_connection_knows_where_slow_start_ends_if_it_is_asked_for() {
    for share_path in [false, true] {
        let cfg = TcpConfig { share_path, ..TcpConfig::default() };
        let mut path = Path::new(&cfg);
        let c = path.connect(&cfg, 80);
        assert_eq!(path.status(c).ssthresh, u32::MAX);
        path.transfer(c, 5_000_000);
        let found = path.status(c);
        assert!(found.ssthresh < 1_000_000, "the path was found to end: {}", found.ssthresh);
        path.close(c);
        let c = path.connect(&cfg, 81);
        let second = path.status(c);
        if share_path {
            assert_eq!(second.ssthresh, found.ssthresh.max(found.cwnd / 2));
            assert!(second.rttvar_us >= found.rttvar_us && second.rtt_us > 0);
        } else {
            assert_eq!(second.ssthresh, u32::MAX);
        }
    }
}
