//! `synfin get`: fetches what a URL names over our own TCP. HTTP/1.1 is hyper's, TLS rustls's; what is here decides: which
//! address, whom to trust, where to go on, what to keep.

mod address;
mod dial;
mod fetch;
mod save;
mod tls;
mod watched;

use crate::clock::now;
use crate::host::{HostArgs, Stdout, Voice};
use crate::output::{Output, usage};
use fetch::{Job, Tell};
use save::Sink;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use synfin::names::Target;
use tls::Trust;
use url::Url;

/// What to get.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, mut_arg("verbose", |a| a.help(VERBOSE)))]
pub(crate) struct Args {
    /// `http://HOST[:PORT]/PATH` or `https://..`; HOST is an address, or a name that --hosts knows or --dns is asked for
    #[arg(value_name = "URL", value_parser = address::parse)]
    url: Url,
    /// Write it to this file
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with = "remote_name")]
    output: Option<PathBuf>,
    /// Write it to a file with the last name of the URL's path
    #[arg(short = 'O', long)]
    remote_name: bool,
    /// Go on where the file ends, if it is still of the same
    ///
    /// Files get the date that the server gives. It is what the server is asked by whether what it has is still the same (If-Range);
    /// if not, or if it knows no ranges, the file begins anew.
    #[arg(short = 'C', long = "continue")]
    resume: bool,
    /// Ask for the head of the answer only, and print it
    #[arg(short = 'I', long, conflicts_with = "resume")]
    head: bool,
    /// Trust the certificates in this file (PEM), and not those that this machine trusts
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Redirects that are followed, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(..=50))]
    max_redirs: u8,
    /// Seconds until there is a connection, with its name and TLS, at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    connect_timeout: Option<Duration>,
    /// Seconds for all of it, at most
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_time: Option<Duration>,
    #[command(flatten)]
    at: HostArgs,
}

const VERBOSE: &str =
    "Tell on standard error what happens in TCP, TLS and HTTP, and how long each takes; -vv: each segment too";

const EXAMPLES: &str = "\
A name with addresses of both families is connected to as RFC 8305 has it: the first that answers is it. Redirects from https to
http are not followed; user and password of the URL go to its own host only. A status of 400 and more, a body that is cut off,
and a certificate that is not right are errors, and the status is 1, also when a signal ends it early: what is in the file by then
is kept, for -C. SSLKEYLOGFILE names a file for the secrets of TLS, with which a capture can be read.

    synfin get -v --link tun:tun0,host=192.0.2.1/24 --addr 192.0.2.2/24 http://192.0.2.1:8000/
    synfin get -C -O --link tun:tun0 --addr 192.0.2.2/24 --gateway 192.0.2.1 --dns 192.0.2.1 https://www.example.test/big.iso";

/// Runs it.
pub(crate) fn run(args: &Args, _: &mut Output) -> io::Result<()> {
    let closed = Arc::new(AtomicBool::new(false));
    let sink = args.sink(&closed)?;
    let trust = Trust::new(args.cacert.as_deref())?;
    let first = args.target(&args.url)?;
    let host = args.at.open_telling(args.stdout(), &[], args.at.verbosity() > 1)?;
    let until = args.max_time.and_then(|t| now().checked_add(t));
    args.at.settle(&host, &first)?;
    let job = Job {
        url: args.url.clone(),
        first,
        at: args.at.clone(),
        resolver: args.at.resolver(&host)?,
        trust,
        head: args.head,
        max_redirs: args.max_redirs,
        connect_timeout: args.connect_timeout,
        max_time: args.max_time,
        until,
        tell: Tell { voice: host.voice, verbose: args.at.verbosity() > 0 },
    };
    // On a thread, so that signals are heard even while whoever reads standard output does not.
    let asked = Arc::new(tokio::sync::Notify::new());
    let listening = host.stop.tell({
        let asked = asked.clone();
        move || asked.notify_one()
    });
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new().name("get".into()).spawn(move || {
        let _ = tell.send(on_a_runtime(job, sink, &asked));
    })?;
    let done = loop {
        match told.recv_timeout(Duration::from_millis(100)) {
            Ok(done) => break done,
            Err(mpsc::RecvTimeoutError::Disconnected) => break Err(io::Error::other("what fetches has panicked")),
            // Retransmissions would go on for minutes.
            Err(_) if host.stack.link_error().is_some() => break Ok(()),
            Err(_) if host.stop.is_over() => break Err(interrupted()),
            Err(_) => {}
        }
    };
    drop(listening);
    let done = match done {
        // Whoever read our output has gone: no reason to complain.
        Err(e) if closed.load(Ordering::SeqCst) && e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    };
    host.finish_until(done, until)
}

/// Fetches, until it is done or was asked to end.
fn on_a_runtime(job: Job, sink: Sink, asked: &tokio::sync::Notify) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = job.run(sink) => done,
            () = asked.notified() => Err(interrupted()),
        }
    })
}

fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "ended by a signal before all was there")
}

impl Args {
    /// How is told what happens.
    pub fn voice(&self) -> Voice {
        self.at.voice(self.stdout())
    }

    /// What standard output is for.
    fn stdout(&self) -> Stdout {
        if self.output.is_some() || self.remote_name { Stdout::Words } else { Stdout::Data }
    }

    /// Where it goes.
    fn sink(&self, closed: &Arc<AtomicBool>) -> io::Result<Sink> {
        let file = match (&self.output, self.remote_name) {
            (Some(file), _) => Some(file.clone()),
            (None, true) => Some(address::last_name(&self.url)?.into()),
            (None, false) => None,
        };
        match file {
            Some(file) => Sink::file(file, self.resume),
            None if self.resume => Err(usage("-C goes on with a file: it needs -o FILE or -O")),
            None => Ok(Sink::stdout(closed.clone())),
        }
    }

    fn target(&self, url: &Url) -> io::Result<Target> {
        dial::target(url, &self.at)
    }
}

fn seconds(s: &str) -> Result<Duration, String> {
    let least = Duration::from_millis(1);
    let d = s.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    d.filter(|d| *d >= least).ok_or_else(|| format!("{s:?} is no time of at least 0.001 seconds"))
}
