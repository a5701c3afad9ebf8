//! Asks for names over UDP, and over TCP where an answer does not fit a datagram, all of it over sockets of ours: the resolver and the
//! name server are two hosts in one process.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record, RecordType};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use synfin::Stack;
use synfin::blocking::{TcpListener, UdpSocket};
use synfin::device::{Device, memory_pair};
use synfin::names::{Resolver, ResolverSettings};

/// What the server says: `one.example` has an address, `many.example` a hundred, no other name is known.
fn answer(question: &[u8], room: usize) -> io::Result<Vec<u8>> {
    let question = Message::from_vec(question).map_err(io::Error::other)?;
    let mut answer = question.clone().into_response();
    for q in question.queries.iter().filter(|q| q.query_type() == RecordType::A) {
        let n = match q.name().to_ascii().as_str() {
            "one.example." => 1,
            "many.example." => 100,
            _ => 0,
        };
        for i in 1..=n {
            let address = RData::A(Ipv4Addr::new(192, 0, 2, i).into());
            answer.add_answer(Record::from_rdata(q.name().clone(), 60, address));
        }
    }
    let whole = answer.to_vec().map_err(io::Error::other)?;
    if whole.len() <= room {
        return Ok(whole);
    }
    let mut cut = question.into_response();
    cut.metadata.truncation = true;
    cut.to_vec().map_err(io::Error::other)
}

fn over_udp(socket: &UdpSocket) -> io::Result<()> {
    let mut buf = [0; 512];
    loop {
        let (n, from) = socket.recv_from(&mut buf)?;
        socket.send_to(&answer(&buf[..n], 512)?, from)?;
    }
}

fn over_tcp(listener: &TcpListener) -> io::Result<()> {
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut question = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut question)?;
        let answer = answer(&question, 65_535)?;
        stream.write_all(&[&(answer.len() as u16).to_be_bytes(), &answer[..]].concat())?;
    }
    Ok(())
}

pub(crate) fn main() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let server = Stack::builder().address("192.0.2.53/24")?.start(Device::Memory(a))?;
    let client = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(b))?;
    let (udp, tcp) = (UdpSocket::bind(&server, "192.0.2.53:53")?, TcpListener::bind(&server, "192.0.2.53:53")?);
    std::thread::spawn(move || over_udp(&udp));
    std::thread::spawn(move || over_tcp(&tcp));

    let resolver = Resolver::new(&client, &["192.0.2.53".parse().expect("an address")], ResolverSettings::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        for name in ["one.example", "many.example", "none.example"] {
            match resolver.lookup_ip(name).await {
                Ok(all) => println!("{name} has {} addresses, {} first", all.len(), all[0]),
                Err(e) => println!("{name}: {e}"),
            }
        }
        assert_eq!(resolver.lookup_ip("one.example").await?.len(), 1);
        Ok(())
    })
}
