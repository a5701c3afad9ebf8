//! Fetches a page over a TUN. The interface is created if it is not there (needs CAP_NET_ADMIN, or a namespace of one's own:
//! `unshare -Urn`).

use std::io::{self, Read, Write};
use std::process::ExitCode;
use synfin::device::{Device, Layer, Tun, TunOptions};
use synfin::{Stack, blocking::TcpStream};

fn main() -> ExitCode {
    match get() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("get: {e}");
            ExitCode::FAILURE
        }
    }
}

fn get() -> io::Result<()> {
    let options = TunOptions { name: "tun0".into(), layer: Layer::Ip, offload: true, mtu: 1500 };
    let host = Stack::builder()
        .address("192.0.2.2/24")?
        .gateway("192.0.2.1".parse().expect("an address"))
        .start(Device::Tun(Tun::open(&options)?))?;
    let mut s = TcpStream::connect(&host, "192.0.2.1:80")?;
    s.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    s.read_to_string(&mut page)?;
    io::stdout().write_all(page.as_bytes())
}
