//! Options of all sockets of a host, under the names that those of one have. What has none is set by [`Builder::tcp`].

use super::{fast_open_connect, fast_open_queue, recv_buffer, send_buffer};
use crate::handle::Builder;
use synfin_stack::engine::TcpConfig;

/// Settings of TCP by name; after [`Builder::tcp`], which sets all.
impl Builder {
    /// The size of send buffers in octets, from 2,048 on; `None`, the default, lets them follow the congestion window.
    pub fn send_buffer_size(mut self, octets: Option<usize>) -> Builder {
        send_buffer(&mut self.tcp, octets, &TcpConfig::default());
        self
    }

    /// The size of receive buffers in octets, from 2,048 on; `None`, the default, lets them follow what users take. The scale of
    /// windows follows the greatest size (RFC 7323 2.3).
    pub fn recv_buffer_size(mut self, octets: Option<usize>) -> Builder {
        recv_buffer(&mut self.tcp, octets, &TcpConfig::default());
        self
    }

    /// Fast Open as a client (RFC 7413): see [`TcpSocket::set_fast_open_connect`](crate::blocking::TcpSocket::set_fast_open_connect).
    pub fn fast_open_connect(mut self, on: bool) -> Builder {
        fast_open_connect(&mut self.tcp, on);
        self
    }

    /// Fast Open as a server: see [`TcpListener::set_fast_open_queue`](crate::blocking::TcpListener::set_fast_open_queue).
    pub fn fast_open_queue(mut self, most: u16) -> Builder {
        fast_open_queue(&mut self.tcp, most);
        self
    }
}
