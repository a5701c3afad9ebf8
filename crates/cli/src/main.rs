//! The program `synfin`. One file per subcommand; here only the door.
#![forbid(unsafe_code)]
#![allow(unreachable_pub)] // a program has no outside
// They panic where the output cannot be written: `Output` and `complain` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod clock;
mod connect;
mod demo;
mod doctor;
mod drill;
mod files;
mod get;
mod host;
mod listen;
mod namespace;
mod output;
mod path;
mod ping;
mod recorder;
mod serve;
mod settings;
mod sim;
mod states;
mod table;
mod talk;

use clap::{Parser, Subcommand};
use host::{Stdout, Voice};
use output::{Output, complain, exit_code, is_failed, is_usage};
use std::io::Write;
use std::process::ExitCode;

/// TCP/IP in user space, made to be watched.
#[derive(Debug, Parser)]
#[command(
    name = "synfin",
    version,
    about,
    after_help = "Exit status: 0 ok, 1 failed, 2 usage, 130 ended by a second signal."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the experiments of TCP on this machine: the Linux kernel at one end, synfin at the other
    Demo(demo::Args),
    /// Connect, and talk over standard input and output; netcat on our stack
    Connect(Box<connect::Args>),
    /// Wait for a connection, and talk over standard input and output; netcat on our stack
    Listen(Box<listen::Args>),
    /// Fetch what a URL names, over http or https; curl on our stack
    Get(Box<get::Args>),
    /// Play packetdrill scripts against the engine, in virtual time
    Drill(Box<drill::Args>),
    /// Print the transition table of the connection states
    States(states::Args),
    /// Put a simulated path between two links: rate, delay, loss and more in real time; netem in user space
    Path(Box<path::Args>),
    /// Play networks in virtual time: a scenario file, or simulations by seed
    Sim(Box<sim::Args>),
    /// Serve echo, discard, character generator and files, all on one host
    Serve(Box<serve::Args>),
    /// Send echo requests, and tell what comes back
    Ping(Box<ping::Args>),
    /// Tell what this machine allows, and the remedy for what it does not
    Doctor(doctor::Args),
    /// List every TCP setting: range, default, Linux's name for it, the RFC's value
    Settings,
}

impl Command {
    /// How is told what happens, and what fails.
    fn voice(&self) -> Voice {
        let on_stdout = |json| Voice::new(json, Stdout::Words);
        match self {
            Command::Demo(a) => on_stdout(a.is_json()),
            Command::Connect(a) => a.voice(),
            Command::Listen(a) => a.voice(),
            Command::Get(a) => a.voice(),
            Command::Drill(a) => on_stdout(a.json),
            Command::States(a) => on_stdout(a.is_json()),
            Command::Path(a) => on_stdout(a.is_json()),
            Command::Sim(a) => on_stdout(a.is_json()),
            Command::Serve(a) => on_stdout(a.is_json()),
            Command::Ping(a) => on_stdout(a.is_json()),
            Command::Doctor(a) => on_stdout(a.is_json()),
            Command::Settings => on_stdout(false),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Output::new();
    let voice = cli.command.voice();
    let done = match cli.command {
        Command::Demo(a) => demo::run(&a, &mut out),
        Command::Connect(a) => connect::run(&a, &mut out),
        Command::Listen(a) => listen::run(&a, &mut out),
        Command::Get(a) => get::run(&a, &mut out),
        Command::Drill(a) => drill::run(&a, &mut out),
        Command::States(a) => states::run(&a, &mut out),
        Command::Path(a) => path::run(&a, &mut out),
        Command::Sim(a) => sim::run(&a, &mut out),
        Command::Serve(a) => serve::run(&a, &mut out),
        Command::Ping(a) => ping::run(&a, &mut out),
        Command::Doctor(a) => doctor::run(&a, &mut out),
        Command::Settings => settings::run(&mut out),
    };
    match done.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has gone: no reason to complain.
        Err(e) if out.is_closed() && e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        // Nor to tell nobody what failed, but that something did.
        Err(e) if out.is_closed() && is_failed(&e) => ExitCode::FAILURE,
        Err(e) if let Some(code) = exit_code(&e) => ExitCode::from(code),
        Err(e) => {
            let usage = is_usage(&e);
            // What was judged, the objects have told one by one.
            if is_failed(&e) {
                complain(e)
            } else {
                voice.failure(e)
            }
            if usage { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
