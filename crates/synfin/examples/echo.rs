//! A server that echoes and a client, on two hosts in memory, with sockets that block.

use std::io::{self, Read, Write};
use std::thread;
use synfin::Stack;
use synfin::blocking::{TcpListener, TcpStream};
use synfin::device::{Device, memory_pair};

pub(crate) fn main() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let server = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
    let client = Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(b))?;

    let listener = TcpListener::bind(&server, "192.0.2.1:7")?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || io::copy(&mut stream.try_clone()?, &mut stream));
        }
    });

    let mut stream = TcpStream::connect(&client, "192.0.2.1:7")?;
    stream.write_all(b"hello")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut back = String::new();
    stream.read_to_string(&mut back)?;
    println!("{} said {back:?}", stream.peer_addr()?);
    assert_eq!(back, "hello");
    Ok(())
}
