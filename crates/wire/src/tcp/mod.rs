//! The TCP header (RFC 9293 3.1) and its options.

mod fast_open;
mod header;
mod options;

pub use fast_open::Cookie;
pub use header::{Flags, HEADER_LEN, Header, MAX_HEADER_LEN};
pub use options::{AccEcn, MAX_OPTIONS_LEN, Options, OptionsBuf, SackBlocks, Timestamps, Unusual, kind, layout};
