//! Bytes to meaning and back: every header the stack reads or writes.
//!
//! Each protocol has a parser that checks the bytes once, at the edge, and returns a plain value (`Copy`, no
//! borrowed parts unless a payload is involved), and an emitter that is its inverse. A parser never panics and
//! never reads beyond what it was given; what is malformed is an [`Error`] that names the defect.
//!
//! Nothing here keeps state, allocates, or knows of a connection.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arp;
pub mod checksum;
pub mod ethernet;
mod field;
pub mod frame;
pub mod gso;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod mld;
pub mod ndp;
pub mod seq;
pub mod tcp;
pub mod udp;

pub use ip::Protocol;
pub use seq::SeqNum;

/// What is wrong with a header. The names say the defect, not the place: the caller knows which parser it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the header does.
    Truncated,
    /// A version field holds another version.
    BadVersion,
    /// A header length field is under the minimum or beyond the packet.
    BadHeaderLength,
    /// A total length field is shorter than the header or longer than the packet.
    BadLength,
    /// The checksum does not match.
    BadChecksum,
    /// An option's length is under 2, or reaches beyond the option area.
    BadOptionLength,
    /// An option of a known kind has a length its standard does not allow.
    BadOptionSize,
    /// A fragment that no datagram can contain: beyond 65,535 octets, or not a multiple of 8 with more to come.
    BadFragment,
    /// Too many extension headers (a limit of ours) or one in a place where it may not stand.
    BadExtension,
    /// A field holds a value that its standard forbids.
    BadValue,
    /// What a link says of a checksum or of pieces contradicts the frame.
    BadOffload,
    /// The value cannot be emitted into the room given.
    NoRoom,
}

impl Error {
    /// The name under which the error is counted and printed.
    pub const fn name(self) -> &'static str {
        match self {
            Error::Truncated => "truncated",
            Error::BadVersion => "bad version",
            Error::BadHeaderLength => "bad header length",
            Error::BadLength => "bad length",
            Error::BadChecksum => "bad checksum",
            Error::BadOptionLength => "bad option length",
            Error::BadOptionSize => "bad option size",
            Error::BadFragment => "bad fragment",
            Error::BadExtension => "bad extension header",
            Error::BadValue => "bad value",
            Error::BadOffload => "bad offload",
            Error::NoRoom => "no room",
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Error {}

/// The result of a parser.
pub type Result<T> = core::result::Result<T, Error>;
