//! Echo (RFC 862), discard (RFC 863) and character generator (RFC 864), over TCP and UDP.

use crate::clock::now;
use crate::host::{Host, Line};
use crate::output::named;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;
use synfin::blocking::UdpSocket;

/// A service.
#[derive(Clone, Copy)]
pub(super) struct Service {
    pub name: &'static str,
    /// What it does with a connection.
    pub over_tcp: fn(Line) -> io::Result<()>,
    /// What it answers to the datagram number n, if anything: written into the second buffer.
    answer: fn(u32, &[u8], &mut Vec<u8>) -> bool,
}

pub(super) const ECHO: Service = Service {
    name: "echo",
    over_tcp: echo,
    // RFC 862
    answer: |_, data, out| {
        out.extend_from_slice(data);
        true
    },
};
pub(super) const DISCARD: Service = Service { name: "discard", over_tcp: discard, answer: |_, _, _| false };
pub(super) const CHARGEN: Service = Service {
    name: "chargen",
    over_tcp: chargen,
    // RFC 864
    answer: |n, _, out| {
        // A number of characters between 0 and 512, another each time: Knuth's multiplier scatters them.
        let len = (n.wrapping_mul(2_654_435_761) >> 16) as usize % 513;
        characters(n as usize, out);
        out.truncate(len);
        true
    },
};

/// How long a connection may say nothing, or take nothing.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the other end may take to close.
const CLOSING: Duration = Duration::from_secs(5);
/// Ports from which no datagram is answered: two services that answer each other never stop.
const THEIR_OWN: [u16; 6] = [7, 9, 13, 17, 19, 37];

// RFC 862
fn echo(line: Line) -> io::Result<()> {
    let mut buf = vec![0; 64 << 10];
    loop {
        match line.read(&mut buf, now() + PATIENCE)? {
            0 => break,
            n => line.write_all(&buf[..n], PATIENCE)?,
        }
    }
    line.close(CLOSING);
    Ok(())
}

// RFC 863
fn discard(line: Line) -> io::Result<()> {
    let mut buf = vec![0; 64 << 10];
    while line.read(&mut buf, now() + PATIENCE)? > 0 {}
    line.close(CLOSING);
    Ok(())
}

// RFC 864
fn chargen(line: Line) -> io::Result<()> {
    // What the peer says is thrown away, by a thread of its own: it need not say anything.
    let listener = line.share();
    let thrown = std::thread::Builder::new().spawn(move || {
        let mut buf = vec![0; 4 << 10];
        while matches!(listener.read(&mut buf, now() + PATIENCE), Ok(n) if n > 0) {}
    })?;
    let mut text = Vec::new();
    characters(0, &mut text);
    let done = loop {
        if line.is_to_end() {
            break Ok(());
        }
        if let Err(e) = line.write_all(&text, PATIENCE) {
            break Err(e);
        }
    };
    if done.is_err() {
        line.reset();
    } else {
        line.close(CLOSING);
    }
    let _ = thrown.join();
    done
}

/// The popular pattern: lines of 72 of the 95 printable characters, each beginning one further, until all have begun one.
fn characters(first: usize, out: &mut Vec<u8>) {
    for line in first..first + 95 {
        out.extend((0..72).map(|i| b' ' + ((line + i) % 95) as u8));
        out.extend_from_slice(b"\r\n");
    }
}

impl Service {
    /// Answers datagrams to `at`, on a thread of its own.
    pub fn over_udp(self, host: &Host, at: SocketAddr) -> io::Result<JoinHandle<()>> {
        // A socket for each address: an answer comes from where it was asked for.
        let socket = UdpSocket::bind(&host.stack, at).map_err(|e| named("listen", at, &e))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let stop = host.stop.clone();
        std::thread::Builder::new().name("udp".into()).spawn(move || {
            let (mut buf, mut out) = (vec![0; 65_535], Vec::new());
            let mut n = 0u32;
            while stop.asked() == 0 {
                match socket.recv_from(&mut buf) {
                    Ok((len, from)) if !THEIR_OWN.contains(&from.port()) => {
                        out.clear();
                        if (self.answer)(n, &buf[..len], &mut out) {
                            // A datagram may be lost.
                            let _ = socket.send_to(&out, from);
                        }
                        n = n.wrapping_add(1);
                    }
                    Err(e) if matches!(e.kind(), io::ErrorKind::NotConnected | io::ErrorKind::UnexpectedEof) => return,
                    _ => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_the_popular_pattern() {
        let mut all = Vec::new();
        characters(0, &mut all);
        let lines: Vec<&[u8]> = all.chunks(74).collect();
        assert_eq!(lines.len(), 95);
        assert!(lines[0].starts_with(b" !\"#") && lines[0].ends_with(b"fg\r\n"));
        assert!(lines[1].starts_with(b"!\"#$") && lines[94].starts_with(b"~ !"));
        let mut next = Vec::new();
        characters(95, &mut next);
        assert_eq!(all, next, "and so on without a seam");
    }

    #[test]
    fn a_datagram_of_characters_has_between_0_and_512() {
        let lens: Vec<usize> = (0..2_000)
            .map(|n| {
                let mut out = Vec::new();
                assert!((CHARGEN.answer)(n, b"", &mut out));
                out.len()
            })
            .collect();
        assert!(lens.iter().all(|l| *l <= 512) && lens.iter().any(|l| *l > 480) && lens.iter().any(|l| *l < 32));
    }
}
