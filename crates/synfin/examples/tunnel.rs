//! A tunnel: a host whose packets a program carries by itself, here over a byte stream to another program with such a host.
//! What a VPN does with packets, encryption left out.

use std::io;
use synfin::Stack;
use synfin::device::{Device, Packets, channel};
use synfin::tokio::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

/// Packets of a host go over `wire` and come from it, each behind its length in two octets.
async fn carry(packets: Packets, wire: DuplexStream) -> io::Result<()> {
    let (mut from, mut to) = split(wire);
    let out = async {
        while let Some(packet) = packets.next().await {
            to.write_u16(packet.len() as u16).await?;
            to.write_all(&packet).await?;
        }
        Ok(()) // the host is gone
    };
    let inward = async {
        let mut packet = vec![0; 65_535];
        loop {
            let len = usize::from(from.read_u16().await?);
            from.read_exact(&mut packet[..len]).await?;
            packets.send(&packet[..len]); // what does not fit is lost, and TCP sends it again
        }
    };
    tokio::select! {
        r = out => r,
        r = inward => r,
    }
}

#[tokio::main]
pub(crate) async fn main() -> io::Result<()> {
    // The path between the two ends; each packet is a little larger on it.
    let (left, right) = duplex(100_000);
    let (a, a_packets) = channel(1_400)?;
    let (b, b_packets) = channel(1_400)?;
    tokio::spawn(carry(a_packets, left));
    tokio::spawn(carry(b_packets, right));
    let here = Stack::builder().address("10.9.0.1/24")?.start(Device::Channel(a))?;
    let there = Stack::builder().address("10.9.0.2/24")?.start(Device::Channel(b))?;

    let listener = TcpListener::bind(&here, "10.9.0.1:7").await?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut r, mut w) = stream.split();
        tokio::io::copy(&mut r, &mut w).await
    });

    let (mut r, mut w) = TcpStream::connect(&there, "10.9.0.1:7").await?.into_split();
    let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let text = sent.clone();
    let writer = tokio::spawn(async move { w.write_all(&text).await });
    let mut back = vec![0; sent.len()];
    r.read_exact(&mut back).await?;
    assert!(back == sent);
    println!("{} octets through the tunnel and back", back.len());
    writer.await?
}
