//! What the runner makes of scripts that stand in a test.

#![allow(dead_code)] // not each test uses all of it

use synfin_packetdrill::run::{Settings, Verdict, play};
use synfin_packetdrill::script::Script;

/// A socket.
pub(crate) const STREAM: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
/// A connection that only has to be accepted.
pub(crate) const ACCEPTED: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
    +0 < S 0:0(0) win 65535 <mss 1000>\n+0 > S. 0:0(0) ack 1 <mss 1460>\n+.01 < . 1:1(0) ack 1 win 65535\n";

/// `PASS`, or `FAIL` or `SKIP` with what is said; a script that cannot be read fails.
pub(crate) fn judged(text: &str) -> String {
    match Script::parse("x.pkt", text, &[]) {
        Err(e) => format!("FAIL {e}"),
        Ok(script) => match play(&script, &Settings::default()).verdict {
            Verdict::Pass => "PASS".into(),
            Verdict::Fail(f) => format!("FAIL {}", f.headline),
            Verdict::Skip(why) => format!("SKIP {why}"),
        },
    }
}

/// Each script, and how what is said of it begins and what is in it.
pub(crate) fn judge(cases: &[(String, &str)]) {
    for (text, want) in cases {
        let came = judged(text);
        let shown = &text[..text.len().min(200)];
        assert!(came.starts_with(&want[..4]) && came.contains(&want[4..]), "{shown}\nexpected {want}\ncame     {came}");
    }
}
