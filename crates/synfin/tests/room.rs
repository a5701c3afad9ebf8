//! A device that is full: what waits for it, and what is shown of it.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synfin::blocking::UdpSocket;
use synfin::device::{DatagramDevice, Device};
use synfin::stack::StackConfig;
use synfin::{PacketLog, Sniffed, Stack};

/// Nobody: what is sent there is read at the other end of the device.
const TO: &str = "192.0.2.9:7";

fn host(limits: StackConfig, log: Option<Watcher>) -> io::Result<(Stack, UnixDatagram)> {
    let (x, y) = UnixDatagram::pair()?;
    y.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut host = Stack::builder().address("192.0.2.1/24")?.limits(limits);
    if let Some(log) = log {
        host = host.packet_log(Box::new(log));
    }
    Ok((host.start(Device::Datagram(DatagramDevice::from_socket(x, 1500)?))?, y))
}

fn read(y: &UnixDatagram) -> io::Result<Vec<u8>> {
    let mut b = vec![0; 1500];
    let n = y.recv(&mut b)?;
    b.truncate(n);
    Ok(b)
}

/// Remembers what it was shown, and loses each third.
#[derive(Clone, Default)]
struct Watcher {
    shown: Arc<Mutex<Vec<Vec<u8>>>>,
    loses: bool,
}

impl PacketLog for Watcher {
    fn packet(&mut self, p: Sniffed<'_>) -> bool {
        let mut shown = self.shown.lock().expect("no panic");
        shown.push(p.bytes.to_vec());
        !(self.loses && shown.len().is_multiple_of(3))
    }
}

/// A frame that the device refuses goes later: it is shown once, and once it is asked whether it is to be lost.
#[test]
fn what_waits_for_the_device_is_shown_once_in_its_order() -> io::Result<()> {
    for loses in [false, true] {
        let log = Watcher { loses, ..Watcher::default() };
        let (x, y) = host(StackConfig::default(), Some(log.clone()))?;
        let u = UdpSocket::bind(&x, "192.0.2.1:9")?;
        for i in 0..600u16 {
            u.send_to(&[&i.to_be_bytes()[..], &[7; 1_000]].concat(), TO)?;
        }
        let mut got = Vec::new();
        while got.len() < if loses { 400 } else { 600 } {
            got.push(read(&y)?);
        }
        let shown = log.shown.lock().expect("no panic").clone();
        assert_eq!(shown.len(), 600, "each once");
        let passed = shown.into_iter().enumerate().filter(|(i, _)| !loses || (i + 1) % 3 != 0).map(|(_, p)| p);
        assert!(passed.eq(got), "what was shown is what came");
    }
    Ok(())
}
