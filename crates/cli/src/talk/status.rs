//! A connection in a line, under the names that `ss` uses.

use std::fmt::Write;
use synfin::blocking::TcpStream;
use synfin_tcp::Status;

/// The line; none if the connection is gone.
pub(super) fn line(stream: &TcpStream) -> Option<String> {
    let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    let s = stream.status()?;
    Some(format!("{} {local} {peer}{}", stream.state(), figures(&s)))
}

fn figures(s: &Status) -> String {
    let mut out = format!(" {}", s.congestion);
    let ms = |us: u32| f64::from(us) / 1e3;
    let _ = write!(
        out,
        " wscale:{},{} rto:{} rtt:{}/{}",
        s.wscale.0,
        s.wscale.1,
        ms(s.rto_us),
        ms(s.rtt_us),
        ms(s.rttvar_us)
    );
    let _ = write!(
        out,
        " mss:{} cwnd:{} snd_wnd:{} rcv_wnd:{}",
        s.mss,
        s.cwnd / u32::from(s.mss).max(1),
        s.snd_wnd,
        s.rcv_wnd
    );
    for (name, n) in [("unacked", s.unacked), ("notsent", s.notsent), ("rcv_queued", s.rcv_queued), ("lost", s.lost)] {
        if n > 0 {
            let _ = write!(out, " {name}:{n}");
        }
    }
    out
}
