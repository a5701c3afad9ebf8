//! `synfin settings`: every setting of TCP.

use crate::output::Output;
use std::io::{self, Write};
use synfin_tcp::TcpConfig;

/// Prints the table.
pub(crate) fn run(out: &mut Output) -> io::Result<()> {
    writeln!(out, "{:<20} {:<10} {:<24} {:<24} the RFC's value", "KEY", "DEFAULT", "RANGE (durations in ms)", "LINUX")?;
    for s in TcpConfig::settings() {
        let range = format!("{}..={}", s.range.0, s.range.1);
        writeln!(out, "{:<20} {:<10} {:<24} {:<24} {}", s.key, s.default, range, s.linux, s.rfc)?;
        writeln!(out, "    {}", s.help)?;
    }
    Ok(())
}
