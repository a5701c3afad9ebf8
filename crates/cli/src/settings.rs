//! `synfin settings`: every setting of TCP.

use crate::output::Output;
use std::io::{self, Write};
use synfin_tcp::TcpConfig;

/// Prints the table.
pub(crate) fn run(out: &mut Output) -> io::Result<()> {
    writeln!(out, "{:<20} {:<10} {:<24} the RFC's value", "KEY", "DEFAULT", "LINUX")?;
    for s in TcpConfig::settings() {
        writeln!(out, "{:<20} {:<10} {:<24} {}", s.key, s.default, s.linux, s.rfc)?;
        writeln!(out, "    {} One of {}.", s.help, s.choices)?;
    }
    Ok(())
}
