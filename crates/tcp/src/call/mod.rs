//! User calls (RFC 9293 3.10.1 to 3.10.5). STATUS is [`crate::Connection::status`].

mod abort;
mod close;
mod open;
mod receive;
mod send;

pub use open::Open;
pub use receive::ReceiveError;
pub use send::SendError;
