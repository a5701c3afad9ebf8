//! `synfin serve`: the little servers of inetd and a file server, all on one host of ours.

mod files;
mod http;
mod little;
mod range;

use crate::host::{Accepting, Arrival, Host, HostArgs, Line, Stdout};
use crate::output::{Output, complain, named, usage};
use files::Files;
use http::Http;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// What to serve, and where.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Send back what comes, over TCP and UDP (RFC 862)
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "7", value_parser = port())]
    echo: Option<u16>,
    /// Throw away what comes, over TCP and UDP (RFC 863)
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "9", value_parser = port())]
    discard: Option<u16>,
    /// Send characters without end over TCP, a datagram of them for each that comes over UDP (RFC 864)
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "19", value_parser = port())]
    chargen: Option<u16>,
    /// The files of a directory over HTTP/1.1; may be repeated
    #[arg(long, value_name = "PORT=DIR", value_parser = http_place)]
    http: Vec<(u16, PathBuf)>,
    /// Let symbolic links lead out of the directories
    #[arg(long, requires = "http")]
    follow_links: bool,
    /// Lose what comes for this port, over TCP and UDP, as a firewall does; may be repeated
    ///
    /// Elsewhere, who asks where nobody listens is refused at once. Here he is not answered: to a scanner the port is filtered.
    #[arg(long, value_name = "PORT", value_parser = port())]
    drop: Vec<u16>,
    #[command(flatten)]
    at: HostArgs,
}

const EXAMPLES: &str = "\
Try it with no root and nothing prepared: it prints the line that leads into its network namespace.

    synfin serve --echo --chargen --http 80=.
    nsenter --preserve-credentials -U -n -t PID curl http://192.0.2.2/

Files are read only: GET and HEAD, ranges, If-Modified-Since, an index.html or a listing for a directory. No path leads out of
DIR, whether by .. or by a link.";

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.at.is_json()
    }
}

/// Connections at once, for each service and version of IP.
const MOST: usize = 256;

/// What is done with a connection.
type Serve = dyn Fn(Line) -> io::Result<()> + Send + Sync;

/// Runs it.
pub(crate) fn run(args: &Args, _: &mut Output) -> io::Result<()> {
    let little = [(args.echo, little::ECHO), (args.discard, little::DISCARD), (args.chargen, little::CHARGEN)];
    let little: Vec<_> = little.into_iter().filter_map(|(port, service)| Some((port?, service))).collect();
    if little.is_empty() && args.http.is_empty() {
        return Err(usage("nothing to serve: there are --echo, --discard, --chargen and --http PORT=DIR"));
    }
    let mut sites = Vec::new();
    for (port, dir) in &args.http {
        sites.push((*port, Files::open(dir, args.follow_links).map_err(|e| named("serve", dir.display(), &e))?));
    }
    let ports: Vec<u16> = little.iter().map(|l| l.0).chain(sites.iter().map(|s| s.0)).collect();
    let mut sorted = ports.clone();
    sorted.sort_unstable();
    if let Some(two) = sorted.array_windows().find(|[a, b]| a == b) {
        return Err(usage(format!("port {} is asked for twice: each service has one of its own", two[0])));
    }
    if let Some(port) = ports.iter().find(|p| args.drop.contains(p)) {
        return Err(usage(format!("port {port} cannot be served and be silent (--drop)")));
    }
    let host = args.at.silent_at(&args.drop).open(Stdout::Words, &ports)?;
    let (tell, told) = mpsc::channel();
    let _listening = host.stop.tell(move || {
        let _ = tell.send(());
    });
    let mut all = Services::default();
    let started = all.start(&host, &little, sites);
    if started.is_ok() {
        host.tell_way_in();
        let _ = told.recv();
    } else {
        host.stop.ask();
    }
    all.end();
    host.finish(started)
}

/// What runs.
#[derive(Default)]
struct Services {
    accepting: Vec<Accepting>,
    threads: Vec<JoinHandle<()>>,
}

impl Services {
    fn start(&mut self, host: &Host, little: &[(u16, little::Service)], sites: Vec<(u16, Files)>) -> io::Result<()> {
        for (port, service) in little {
            self.over_tcp(host, *port, Arc::new(service.over_tcp))?;
            for addr in host.addresses() {
                self.threads.push(service.over_udp(host, (*addr, *port).into())?);
            }
            host.tell_ready(*port, service.name)?;
        }
        for (port, files) in sites {
            let http = Http::new(files, host.voice);
            self.over_tcp(host, port, Arc::new(move |line| http.serve(line)))?;
            host.tell_ready(port, "http")?;
        }
        Ok(())
    }

    /// Serves connections on `port`, each on a thread of its own.
    fn over_tcp(&mut self, host: &Host, port: u16, serve: Arc<Serve>) -> io::Result<()> {
        let (tell, arrivals) = mpsc::channel();
        self.accepting.push(Accepting::start(host, port, MOST, &tell)?);
        // The threads that accept hold the other senders: when they stop, so does this one.
        drop(tell);
        let stop = host.stop.clone();
        let dispatch = move || {
            let mut threads: Vec<JoinHandle<()>> = Vec::new();
            while let Ok(Arrival::Connection(stream, place)) = arrivals.recv() {
                let (serve, stop) = (serve.clone(), stop.clone());
                let one = std::thread::Builder::new().spawn(move || {
                    // What fails is the connection, and its peer's business.
                    let _ = Line::new(stream, stop).and_then(|line| serve(line));
                    drop(place);
                });
                threads.retain(|t| !t.is_finished());
                match one {
                    Ok(t) => threads.push(t),
                    Err(e) => complain(format_args!("no thread for a connection: {e}")),
                }
            }
            for t in threads {
                let _ = t.join();
            }
        };
        self.threads.push(std::thread::Builder::new().name("serve".into()).spawn(dispatch)?);
        Ok(())
    }

    /// Ends, once the program is to end: ports are closed, connections brought to their end.
    fn end(self) {
        drop(self.accepting);
        for t in self.threads {
            let _ = t.join();
        }
    }
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

fn http_place(s: &str) -> Result<(u16, PathBuf), String> {
    let bad = || format!("{s:?} is not PORT=DIR, like 80=/srv/www");
    let (port, dir) = s.split_once('=').filter(|(_, dir)| !dir.is_empty()).ok_or_else(bad)?;
    Ok((port.parse().ok().filter(|p| *p > 0).ok_or_else(bad)?, dir.into()))
}
