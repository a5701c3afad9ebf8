//! The program `synfin`. One file per subcommand; here only the door.
#![forbid(unsafe_code)]
#![allow(unreachable_pub)] // a program has no outside

mod demo;
mod drill;
mod settings;
mod sim;
mod states;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// TCP/IP in user space, made to be watched.
#[derive(Debug, Parser)]
#[command(name = "synfin", version, about, after_help = "Exit status: 0 ok, 1 failed, 2 usage.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the experiments of TCP on this machine: the Linux kernel at one end, synfin at the other
    Demo(demo::Args),
    /// Play packetdrill scripts against the engine, in virtual time
    Drill(drill::Args),
    /// Print the transition table of the connection states
    States(states::Args),
    /// Run simulations by seed, in virtual time
    Sim(sim::Args),
    /// List every TCP setting: range, default, Linux's name for it, the RFC's value
    Settings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(a) => demo::run(&a),
        Command::Drill(a) => drill::run(&a),
        Command::States(a) => states::run(&a),
        Command::Sim(a) => sim::run(&a),
        Command::Settings => settings::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has gone: no reason to complain.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("synfin: {e}");
            ExitCode::FAILURE
        }
    }
}
