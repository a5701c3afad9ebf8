//! `synfin connect`: a connection to somewhere, with standard input and output.

use crate::clock::now;
use crate::host::{HostArgs, Stdout, Voice};
use crate::output::{Output, named};
use crate::talk::{Around, With, converse};
use std::io;
use std::sync::mpsc;
use std::time::Duration;
use synfin::blocking::TcpStream;
use synfin::names::{Resolver, Target, Unconnected};

/// Where to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The address to connect to, or a name that --hosts knows or --dns is asked for
    #[arg(value_name = "HOST")]
    host: String,
    /// The port
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
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
The end of standard input sends a FIN; what the peer still sends is received until its own. On a terminal, ^] and `quit`
closes, ^] and `close` sends the FIN, ^] and `status` shows the connection. It exits when both FINs are acknowledged, and
does not sit out TIME-WAIT. The first SIGINT or SIGTERM closes, the second resets.

An interface that exists, with the kernel's address given to it:

    synfin connect --link tun:tun0,host=192.0.2.1/24 --addr 192.0.2.2/24 192.0.2.1 22

Each segment, with the states of both ends:

    printf 'GET / HTTP/1.0\\r\\n\\r\\n' | synfin connect -v --link tun:tun0 --addr 192.0.2.2/24 192.0.2.1 80";

/// Runs it.
pub(crate) fn run(args: &Args, _: &mut Output) -> io::Result<()> {
    let target = args.at.target(&args.host)?;
    let host = args.at.open(args.stdout(), &[])?;
    args.at.settle(&host, &target)?;
    // The handshake may take minutes: it is waited for on a thread, so that signals are heard meanwhile.
    let (tell, told) = mpsc::channel();
    let listening = host.stop.tell({
        let tell = tell.clone();
        move || drop(tell.send(None))
    });
    std::thread::Builder::new().name("connect".into()).spawn({
        let resolver = args.at.resolver(&host)?;
        let (name, port) = (args.host.clone(), args.port);
        move || {
            let connected = open(&resolver, &target, &name, port);
            let _ = tell.send(Some(connected));
        }
    })?;
    let connected = loop {
        match told.recv_timeout(Duration::from_millis(200)) {
            Ok(c) => break c,
            // Retransmissions would go on for minutes.
            Err(_) if host.stack.link_error().is_some() => return host.finish(Ok(())),
            Err(_) => {}
        }
    };
    drop(listening);
    let around = Around { accepted: false, stop: host.stop.clone(), voice: host.voice };
    let done = match connected {
        Some(Ok(stream)) => converse(stream, &args.with, &around),
        Some(Err(e)) => Err(e),
        // Not connected yet, and not any more: nothing is left to be closed in order.
        None => {
            let e = io::Error::new(io::ErrorKind::Interrupted, "ended by a signal before there was a connection");
            return host.finish_until(Err(named("connect", &args.host, &e)), Some(now()));
        }
    };
    host.finish(done)
}

/// Connects to whichever address answers first.
fn open(resolver: &Resolver, target: &Target, name: &str, port: u16) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    match runtime.block_on(resolver.connect_to(target, port)) {
        Ok(c) => c.stream.into_blocking(),
        Err(Unconnected::Peer(peer, e)) => Err(named("connect", peer, &e)),
        Err(e) => Err(named("connect", name, &e.into())),
    }
}
