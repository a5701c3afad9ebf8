//! A path between two links: what the simulator's links do in virtual time, done in real time to the packets of others.
//!
//! Two [`Ends`](LinkSpec), each a TUN, TAP, packet socket or descriptor; one [`Settings`] for each direction; a [`Path`] that
//! runs until it is told to stop, and a [`Report`] of what it has done and of how late it was. It is netem in user space: no
//! root, no module of the kernel's, and the same model and seeds as `synfin-sim`.
//!
//! A path does to packets what a wire and its routers do, so it first makes packets of what the kernel hands over:
//! super-segments are cut and checksums completed before the queue sees them. What comes out is plain packets.
//!
//! Everything is done on one thread: read, ask the model, wait, write. Packets that wait are in buffers that are used again,
//! so that in steady state nothing is allocated.
#![forbid(unsafe_code)]

mod model;
mod pool;
mod report;
mod run;
mod settings;
mod units;
mod way;

pub use report::{Direction, Lateness, Report};
pub use run::Path;
pub use settings::{CHANGES, KEYS, Settings};
pub use synfin_device::LinkSpec;
pub use units::duration;
