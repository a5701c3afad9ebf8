//! The few requests that only netlink can make (rtnetlink(7)), each one message, so that no library for all of netlink is
//! needed.

use crate::config::{Interface, set_up};
use crate::sys::{read, socket, writev};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

/// Creates the interfaces `a` and `b`, connected to each other, both up.
pub fn add_veth(a: &str, b: &str) -> io::Result<()> {
    let peer = [ifinfomsg(0), attribute(libc::IFLA_IFNAME, &c_string(b))].concat();
    let data = attribute(VETH_INFO_PEER, &peer);
    let info = [attribute(IFLA_INFO_KIND, b"veth"), attribute(IFLA_INFO_DATA, &data)].concat();
    let body =
        [ifinfomsg(0), attribute(libc::IFLA_IFNAME, &c_string(a)), attribute(libc::IFLA_LINKINFO, &info)].concat();
    new_link(&body, libc::NLM_F_CREATE | libc::NLM_F_EXCL)?;
    set_up(a, &Interface::default())?;
    set_up(b, &Interface::default())
}

/// Sets the length of an interface's transmit queue, in packets. (The ioctl for it asks for root outside of any namespace.)
pub(crate) fn set_tx_queue(index: u32, packets: u32) -> io::Result<()> {
    new_link(&[ifinfomsg(index as i32), attribute(libc::IFLA_TXQLEN, &packets.to_ne_bytes())].concat(), 0)
}

/// Moves an interface into the network namespace of the process `pid`.
pub fn move_to_namespace(name: &str, pid: u32) -> io::Result<()> {
    let index = crate::config::interface_index(name)?;
    new_link(&[ifinfomsg(index as i32), attribute(libc::IFLA_NET_NS_PID, &pid.to_ne_bytes())].concat(), 0)
}

/// RTM_NEWLINK, and its acknowledgment.
fn new_link(body: &[u8], flags: libc::c_int) -> io::Result<()> {
    let s = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
    let mut message = Vec::new();
    message.extend_from_slice(&((16 + body.len()) as u32).to_ne_bytes());
    message.extend_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&(flags as u16).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(body);
    writev(s.as_raw_fd(), &[IoSlice::new(&message)])?;
    let mut answer = [0; 4096];
    let n = read(s.as_raw_fd(), &mut answer)?;
    // NLMSG_ERROR carries a negative errno, or zero.
    let error =
        answer.get(16..20).filter(|_| n >= 20).and_then(|e| e.first_chunk::<4>()).map(|e| i32::from_ne_bytes(*e));
    match error {
        Some(0) => Ok(()),
        Some(e) => Err(io::Error::from_raw_os_error(-e)),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

fn c_string(s: &str) -> Vec<u8> {
    [s.as_bytes(), &[0]].concat()
}

/// `struct ifinfomsg` for the interface number `index`.
fn ifinfomsg(index: i32) -> Vec<u8> {
    let mut b = vec![0; 16];
    b[4..8].copy_from_slice(&index.to_ne_bytes());
    b
}

/// Length, kind, value, padded to four octets.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut b = Vec::new();
    b.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    b.extend_from_slice(&kind.to_ne_bytes());
    b.extend_from_slice(value);
    b.resize(b.len().next_multiple_of(4), 0);
    b
}

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
