//! How fast, as a ratio to a peer in the same run: absolute figures of a shared machine mean little.
//!
//! `cargo run --release -p synfin-benches -- memory`: engine to engine, MSS 1460 with checksums, beside smoltcp.
//! `cargo run --release -p synfin-benches -- tun`: over a TUN to the kernel, beside kernel to kernel over veth.
//! `cargo run --release -p synfin-benches -- connections [veth] [serves] [connects]`: connections per second, likewise; of what is
//! named only, for a profile.
//! `cargo run --release -p synfin-benches -- goodput [--seconds 10] [--seeds 5] [--floor 0.5] [--cells reno,short/cubic]`: over a path with
//! delay, loss and reordering, beside Linux over the same path.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, unreachable_pub)] // a benchmark reads the clock

mod connections;
mod goodput;
mod memory;
mod tun;
mod veth;

use std::io;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("memory") => memory::run(),
        Some("memory-ours") => memory::ours_only(),
        Some("tun") => tun::run(),
        Some("connections") => connections::run(&args[1..]),
        Some("goodput") => goodput::run(&args[1..]),
        // The path and the far end of that measurement: this program again.
        Some("goodput-path") => goodput::path(&args[1..]),
        Some("goodput-far") => goodput::far(),
        // The other namespace of the measurements over veth: this program again.
        Some("veth-sink") => tun::far(),
        Some("veth-echo") => connections::far(),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "memory, tun, connections or goodput is expected")),
    }
}

/// The median, and the least and the greatest.
pub fn spread(mut v: Vec<f64>) -> (f64, f64, f64) {
    v.sort_by(f64::total_cmp);
    (v[v.len() / 2], v[0], v[v.len() - 1])
}
