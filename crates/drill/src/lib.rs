//! Packetdrill scripts against synfin in virtual time, and synfin as a library that packetdrill itself can drive.
//!
//! [`script`] reads the language, [`host`] is a host of ours with a clock that only moves when it is told to,
//! [`sockets`] gives it the system calls of sockets, and [`run`] plays a script on them and compares.
//! `adapter` is the C interface: `cargo build --release -p synfin-drill` makes `libsynfin_packetdrill.so`. [`library`] is
//! the other side of it: it loads such a stack, ours or another, so that scripts can be played on that.
#![deny(unsafe_code)]

#[allow(unreachable_pub)] // exported by its name
mod adapter;
pub mod host;
mod interface;
pub mod library;
pub mod run;
pub mod script;
mod sockaddr;
pub mod sockets;
