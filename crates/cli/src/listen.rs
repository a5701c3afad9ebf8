//! `synfin listen`: waits for a connection, and talks with standard input and output.

use crate::host::{Accepting, Arrival, HostArgs, Stdout, Voice};
use crate::output::{Output, complain};
use crate::talk::{Around, With, converse};
use std::io;
use std::sync::mpsc;

/// Where to wait.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The port
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Wait for the next connection when one is over; with --exec or --echo many talk at once
    #[arg(short, long)]
    keep_open: bool,
    #[command(flatten)]
    with: With,
    #[command(flatten)]
    at: HostArgs,
}

impl Args {
    /// How is told what happens.
    pub fn voice(&self) -> Voice {
        self.at.voice(self.stdout())
    }

    /// What standard output is for.
    fn stdout(&self) -> Stdout {
        if self.with.uses_stdout() { Stdout::Data } else { Stdout::Words }
    }
}

const EXAMPLES: &str = "\
Try it with no root and nothing prepared: it prints the line that leads into its network namespace.

    synfin listen 7000 -v
    nsenter --preserve-credentials -U -n -t PID telnet 192.0.2.2 7000

A service, for each connection a command:

    synfin listen 79 --keep-open --exec 'read who; finger \"$who\"' --link tun:tun0 --addr 192.0.2.2/24";

/// Conversations at once.
const MOST: usize = 256;

/// Runs it.
pub(crate) fn run(args: &Args, _: &mut Output) -> io::Result<()> {
    let host = args.at.open(args.stdout(), &[args.port])?;
    let at_once = if args.keep_open && !args.with.uses_stdout() { MOST } else { 1 };
    let (tell, arrivals) = mpsc::channel();
    let accepting = match Accepting::start(&host, args.port, at_once, &tell) {
        Ok(a) => a,
        Err(e) => return host.finish(Err(e)),
    };
    if let Err(e) = host.tell_ready(args.port, args.with.name()) {
        return host.finish(Err(e));
    }
    host.tell_way_in();
    let _listening = host.stop.tell(move || drop(tell.send(Arrival::Asked)));
    let around = Around { accepted: true, stop: host.stop.clone(), voice: host.voice };
    let mut accepting = Some(accepting);
    let mut talks = Vec::new();
    let mut done = Ok(());
    while let Ok(Arrival::Connection(stream, place)) = arrivals.recv() {
        if !args.keep_open {
            // Whoever comes now is refused, and who came with the first is sent away.
            drop(accepting.take());
            while let Ok(Arrival::Connection(other, _)) = arrivals.try_recv() {
                other.abort();
            }
            done = converse(stream, &args.with, &around);
            break;
        }
        if at_once == 1 {
            // That one conversation has failed does not concern the next. Objects have told it: `closed` says why.
            if let Err(e) = converse(stream, &args.with, &around) {
                host.voice.line(format_args!("synfin: {e}"));
            }
        } else {
            let (with, around) = (args.with.clone(), around.clone());
            let talk = std::thread::Builder::new().spawn(move || {
                if let Err(e) = converse(stream, &with, &around) {
                    around.voice.line(format_args!("synfin: {e}"));
                }
                drop(place);
            });
            talks.retain(|t: &std::thread::JoinHandle<()>| !t.is_finished());
            match talk {
                Ok(t) => talks.push(t),
                Err(e) => complain(format_args!("no thread for a connection: {e}")),
            }
        }
    }
    drop(accepting);
    drop(arrivals);
    for t in talks {
        let _ = t.join();
    }
    host.finish(done)
}
