//! Two hosts on a link that loses every thirtieth packet: what is written arrives whole and in order, and the connection says
//! what that took.

use std::io::{self, Read, Write};
use std::thread;
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};
use synfin::{PacketLog, Sniffed, Stack};

/// Sees every packet of a host, and loses some that go out.
struct Lossy {
    seen: u64,
    every: u64,
}

impl PacketLog for Lossy {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        self.seen += u64::from(p.out);
        !(p.out && self.seen.is_multiple_of(self.every))
    }
}

pub(crate) fn main() -> io::Result<()> {
    let (a, b) = memory_pair(1500, false)?; // without super-segments, as on a wire
    let server = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
    let client = Stack::builder()
        .address("192.0.2.2/24")?
        .packet_log(Box::new(Lossy { seen: 0, every: 30 }))
        .start(Device::Memory(b))?;

    let listener = TcpListener::bind(&server, "192.0.2.1:9000")?;
    let receiver = thread::spawn(move || {
        let mut all = Vec::new();
        listener.accept()?.0.read_to_end(&mut all)?;
        Ok::<_, io::Error>(all)
    });

    let text: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut stream = TcpStream::connect(&client, "192.0.2.1:9000")?;
    stream.write_all(&text)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?; // until the receiver has it all, and closes
    let counters = stream.status().map(|s| s.counters).unwrap_or_default();
    let arrived = receiver.join().map_err(|_| io::Error::other("the receiver panicked"))??;
    println!(
        "{} octets arrived; {} of {} segments were sent again",
        arrived.len(),
        counters.retrans,
        counters.segs_out
    );
    assert!(arrived == text, "whole and in order");
    assert!(counters.retrans > 0, "the link has lost some");
    Ok(())
}
