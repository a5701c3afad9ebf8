//! A heartbeat over whatever reads and writes as tokio does, and connections over it that are made again.

mod reconnect;
mod stream;

pub use reconnect::keep_connected;
pub use stream::HeartbeatStream;
