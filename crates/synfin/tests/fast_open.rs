//! Fast Open between two hosts of ours, through their sockets (RFC 7413): the first connection brings a cookie, the next ones
//! their text in the SYN.

mod pair;

use pair::b;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::stack::engine::TcpConfig;
use synfin::stack::wire::tcp::{Flags, Header};
use synfin::{PacketLog, Sniffed, Stack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Octets of text in each SYN without ACK.
#[derive(Clone, Default)]
struct Syns(Arc<Mutex<Vec<usize>>>);

impl PacketLog for Syns {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let segment = &p.bytes[20..];
        if let Ok(h) = Header::parse(segment)
            && p.out
            && h.flags.has(Flags::SYN)
            && !h.flags.has(Flags::ACK)
        {
            self.0.lock().expect("no panic").push(segment.len() - usize::from(h.header_len));
        }
        true
    }
}

fn serve(l: &TcpListener, times: usize) -> io::Result<()> {
    for _ in 0..times {
        let mut s = l.accept()?.0;
        let mut text = [0; 64];
        let n = s.read(&mut text)?;
        s.write_all(&text[..n])?;
    }
    Ok(())
}

/// Sends a text and gets it back.
fn ask(x: &Stack, text: &[u8]) -> io::Result<()> {
    let mut c = TcpStream::connect(x, b(7))?;
    c.write_all(text)?;
    let mut back = Vec::new();
    c.read_to_end(&mut back)?;
    assert_eq!(back, text);
    Ok(())
}

#[test]
//= RFC 7413 4.2.1
//= RFC 7413 4.2.2
fn after_the_first_connection_text_goes_with_the_syn() -> io::Result<()> {
    let (a, d) = memory_pair(1500, true)?;
    let client = TcpConfig { fastopen: 1, fastopen_connect: true, ..TcpConfig::default() };
    let server = TcpConfig { fastopen: 2, fastopen_queue: 16, ..TcpConfig::default() };
    let syns = Syns::default();
    let x = Stack::builder().address("192.0.2.1/24")?.tcp(client).packet_log(Box::new(syns.clone()));
    let (x, y) = (x.start(Device::Memory(a))?, Stack::builder().address("192.0.2.2/24")?.tcp(server));
    let y = y.start(Device::Memory(d))?;
    let l = TcpListener::bind(&y, b(7))?;
    thread::scope(|scope| {
        let served = scope.spawn(|| serve(&l, 3));
        for text in [&b"who are you?"[..], b"GET / HTTP/1.0\r\n\r\n"] {
            ask(&x, text)?;
        }
        // The same through the other face.
        let rt = tokio::runtime::Builder::new_current_thread().build()?;
        rt.block_on(async {
            let mut c = synfin::tokio::TcpStream::connect(&x, b(7)).await?;
            c.write_all(b"a task").await?;
            let mut back = String::new();
            c.read_to_string(&mut back).await?;
            assert_eq!(back, "a task");
            Ok::<_, io::Error>(())
        })?;
        served.join().expect("no panic")
    })?;
    assert_eq!(*syns.0.lock().expect("no panic"), [0, 18, 6]);
    assert_eq!((x.counters().1.fast_open_active, y.counters().1.fast_open_passive), (2, 2));
    assert_eq!((x.counters().1.fast_open_active_fail, y.counters().1.fast_open_passive_fail), (0, 0));
    Ok(())
}
