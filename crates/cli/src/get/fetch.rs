//! The requests, one after another as redirects lead, and what is made of the answers.

use super::dial::{self, Wire};
use super::save::{Body, Resume, Sink};
use super::tls::Trust;
use super::watched::Last;
use super::{address, save};
use crate::clock::now;
use crate::host::{HostArgs, Voice};
use crate::output::{failed, named};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::time::{Duration, Instant};
use synfin::names::{Resolver, Target};
use tokio::task::JoinHandle;
use url::Url;

/// Octets of the head of an answer, and fields in it, at most.
const MOST_HEAD: usize = 64 << 10;
const MOST_FIELDS: usize = 128;
/// How long the server is waited for after the answer, so that the connection is closed in order, or can be used again.
const PARTING: Duration = Duration::from_millis(500);
/// Octets of a redirect's text that are read, at most, so that its connection can be used again.
const MOST_OF_REDIRECT: usize = 64 << 10;

/// What is to be fetched, with what it takes.
pub(super) struct Job {
    pub url: Url,
    pub first: Target,
    pub at: HostArgs,
    pub resolver: Resolver,
    pub trust: Trust,
    pub head: bool,
    pub max_redirs: u8,
    pub connect_timeout: Option<Duration>,
    pub max_time: Option<Duration>,
    /// When that time is over.
    pub until: Option<Instant>,
    pub tell: Tell,
}

/// Who tells what happens.
pub(super) struct Tell {
    pub voice: Voice,
    pub verbose: bool,
}

impl Tell {
    /// Tells of a stage: a line if they are asked for, an object if objects are.
    pub fn stage(&self, words: impl Display, object: impl FnOnce() -> Value) {
        if self.verbose || self.voice.is_json() {
            self.voice.say(words, object);
        }
    }

    /// Whether there is room for a line that moves.
    pub fn is_quiet(&self) -> bool {
        !self.verbose && !self.voice.is_json()
    }
}

/// Milliseconds, to the microsecond.
pub(super) struct Ms(pub f64);

pub(super) fn ms(d: Duration) -> Ms {
    Ms((d.as_secs_f64() * 1e6).round() / 1e3)
}

impl Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ms", self.0)
    }
}

/// A connection on which can be asked.
struct Open {
    send: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
    last: Last,
}

impl Open {
    /// Waits until all is over that was asked. The request is over then, and hyper closes; who does not answer that is waited
    /// for no longer than `patience`.
    async fn close(mut self, patience: Duration) -> Last {
        drop(self.send);
        if tokio::time::timeout(patience, &mut self.connection).await.is_err() {
            self.connection.abort();
            let _ = self.connection.await;
        }
        self.last
    }

    /// Ends it at once.
    async fn cut(self) -> Last {
        self.connection.abort();
        let _ = self.connection.await;
        self.last
    }

    /// Reads what is left of an answer, so that the next can be asked for; it is closed if that takes too much, or the server does.
    async fn after(mut self, rest: Incoming) -> Result<Open, Last> {
        let read = async {
            let (mut rest, mut got) = (rest, 0);
            while let Some(piece) = piece(&mut rest).await {
                got += piece.ok()?.len();
                if got > MOST_OF_REDIRECT {
                    return None;
                }
            }
            self.send.ready().await.ok()
        };
        match tokio::time::timeout(PARTING, read).await {
            Ok(Some(())) => Ok(self),
            _ => Err(self.cut().await),
        }
    }
}

impl Job {
    /// Fetches, following redirects. Errors begin with the URL that failed.
    pub async fn run(self, mut sink: Sink) -> io::Result<()> {
        let began = now();
        let mut url = self.url.clone();
        let follow = self.follow(&mut url, &mut sink, began);
        let done = match self.max_time.zip(self.until) {
            None => follow.await,
            Some((t, until)) => tokio::time::timeout_at(until.into(), follow)
                .await
                .unwrap_or_else(|_| Err(timed_out(format!("not done within {} s (--max-time)", t.as_secs_f64())))),
        };
        // An error of standard output is about no URL.
        let open = done.map_err(|e| if sink.is_closed() { e } else { named("get", address::shown(&url), &e) })?;
        // All is there: that the server does not close is no failure, but it is not waited for longer.
        let left = self.until.map_or(PARTING, |u| u.saturating_duration_since(now()).min(PARTING));
        self.tell_of_tcp(&open.close(left).await);
        Ok(())
    }

    /// Fetches; the connection on which the last answer came.
    async fn follow(&self, url: &mut Url, sink: &mut Sink, began: Instant) -> io::Result<Open> {
        let (mut redirects, mut kept) = (0, None);
        loop {
            let target = if redirects == 0 { self.first.clone() } else { self.redirected(url)? };
            let (response, open) = self.ask(url, &target, sink.resume(), kept.take()).await?;
            if let Some(to) = moved(url, &response)? {
                redirects += 1;
                if redirects > self.max_redirs {
                    return Err(failed(format!("more than {} redirects (--max-redirs)", self.max_redirs)));
                }
                let words = address::printable(to.as_str());
                self.tell.stage(format_args!("redirect: to {words}"), || json!({"event": "redirect", "to": words}));
                // A connection serves one request after another (RFC 9112 9.3).
                let done = if to.origin() == url.origin() {
                    open.after(response.into_body()).await
                } else {
                    Err(open.cut().await)
                };
                kept = done.map_err(|last| self.tell_of_tcp(&last)).ok();
                *url = to;
                continue;
            }
            self.take(response, sink, began).await?;
            return Ok(open);
        }
    }

    /// What TCP made of a connection that is over.
    fn tell_of_tcp(&self, last: &Last) {
        let Some(s) = last.get() else { return };
        let (c, rtt, least) = (&s.counters, f64::from(s.rtt_us) / 1e3, f64::from(s.minrtt_us) / 1e3);
        let cwnd = s.cwnd / u32::from(s.mss).max(1);
        self.tell.stage(
            format_args!(
                "TCP: {} segments in, {} out, {} sent again; round trip {rtt:.3} ms, at least {least:.3} ms; {}, cwnd {cwnd}, mss {}",
                c.segs_in, c.segs_out, c.retrans, s.congestion, s.mss
            ),
            || {
                json!({
                    "event": "tcp", "segs_in": c.segs_in, "segs_out": c.segs_out, "retrans": c.retrans, "rtt_ms": rtt,
                    "minrtt_ms": least, "congestion": s.congestion, "cwnd": cwnd, "mss": s.mss,
                })
            },
        );
    }

    /// Whom a redirect means. What is wrong with it is no fault of the command line.
    fn redirected(&self, url: &Url) -> io::Result<Target> {
        dial::target(url, &self.at).map_err(|e| io::Error::new(e.kind(), e.to_string()))
    }

    /// Asks, on the connection that there is or on a new one, until the head of the answer is there.
    async fn ask(
        &self,
        url: &Url,
        target: &Target,
        resume: Option<&Resume>,
        kept: Option<Open>,
    ) -> io::Result<(Response<Incoming>, Open)> {
        // A server may close what it has kept open when it likes; what changes nothing may be asked again (RFC 9110 9.2.2).
        if let Some(open) = kept
            && let Ok(answer) = self.ask_on(open, url, resume).await
        {
            return Ok(answer);
        }
        self.ask_on(self.open(url, target).await?, url, resume).await
    }

    /// Connects.
    async fn open(&self, url: &Url, target: &Target) -> io::Result<Open> {
        let last = Last::default();
        let dial = dial::dial(self, url, target, &last);
        let wire: Box<dyn Wire> = match self.connect_timeout {
            None => dial.await?,
            Some(t) => tokio::time::timeout(t, dial).await.unwrap_or_else(|_| {
                Err(timed_out(format!("not connected within {} s (--connect-timeout)", t.as_secs_f64())))
            })?,
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MOST_HEAD).max_headers(MOST_FIELDS);
        let (send, connection) = builder.handshake(TokioIo::new(wire)).await.map_err(in_words)?;
        // What fails of it, fails at the answer or at its body.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Open { send, connection, last })
    }

    async fn ask_on(
        &self,
        mut open: Open,
        url: &Url,
        resume: Option<&Resume>,
    ) -> io::Result<(Response<Incoming>, Open)> {
        let request = self.request(url, resume)?;
        let asked = now();
        let line = format!("{} {}", request.method(), address::request_target(url));
        let response = open.send.send_request(request).await.map_err(in_words)?;
        let (status, took) = (response.status(), asked.elapsed());
        let words = format!("HTTP: {line}: {}, first octet after {}", spelled(status), ms(took));
        self.tell.stage(
            words,
            || json!({"event": "response", "request": line, "status": status.as_u16(), "first_octet_ms": ms(took).0}),
        );
        Ok((response, open))
    }

    fn request(&self, url: &Url, resume: Option<&Resume>) -> io::Result<Request<Empty<Bytes>>> {
        let mut q = Request::builder()
            .method(if self.head { Method::HEAD } else { Method::GET })
            .uri(address::request_target(url))
            .header(header::HOST, address::authority(url))
            .header(header::USER_AGENT, concat!("synfin/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*");
        if let Some(r) = resume {
            //= RFC 9110 14.2
            //= RFC 9110 13.1.5
            q = q.header(header::RANGE, format!("bytes={}-", r.have)).header(header::IF_RANGE, r.date());
        }
        // Another origin than the user's is told nothing of the user (RFC 9110 15.4).
        if let Some(c) = address::credentials(&self.url).filter(|_| url.origin() == self.url.origin()) {
            q = q.header(header::AUTHORIZATION, c);
        }
        q.body(Empty::new()).map_err(io::Error::other)
    }

    /// Does with an answer what was asked for.
    async fn take(&self, response: Response<Incoming>, sink: &mut Sink, began: Instant) -> io::Result<()> {
        let status = response.status();
        let refused = || failed(spelled(status));
        if self.head {
            sink.open(0, None)?;
            sink.write(&head(&response))?;
            sink.finish()?;
            return if status.as_u16() >= 400 { Err(refused()) } else { Ok(()) };
        }
        let headers = response.headers();
        let (from, whole) = match (sink.resume().map(|r| r.have), status) {
            (Some(have), StatusCode::PARTIAL_CONTENT) => {
                let range = text(headers, header::CONTENT_RANGE).and_then(save::content_range);
                let (first, last, whole) =
                    range.ok_or_else(|| wrong("206 without a Content-Range that can be read"))?;
                //= RFC 9110 14.4
                if first != have || whole.is_some_and(|w| last >= w) {
                    return Err(wrong(&format!(
                        "asked for what follows {have} octets, it sends octets {first} to {last}"
                    )));
                }
                (have, whole.or(Some(last + 1)))
            }
            (Some(have), StatusCode::RANGE_NOT_SATISFIABLE) => {
                let whole = text(headers, header::CONTENT_RANGE).and_then(save::unsatisfied);
                return if whole == Some(have) {
                    self.tell.stage("all of it was there already", || json!({"event": "done", "bytes": 0}));
                    Ok(())
                } else {
                    Err(refused())
                };
            }
            (resume, s) if s.is_success() && s != StatusCode::PARTIAL_CONTENT => {
                if resume.is_some() {
                    self.tell.voice.line(format_args!("synfin: it begins anew: {}", why_all(headers)));
                }
                (0, text(headers, header::CONTENT_LENGTH).and_then(|l| l.parse().ok()))
            }
            (_, s) if s.as_u16() >= 400 => return Err(refused()),
            (_, s) => return Err(wrong(&format!("{}, which is no answer to this request", spelled(s)))),
        };
        sink.open(from, save::date(headers))?;
        let mut body = Body::new(response.into_body(), from, whole, self.tell.is_quiet() && sink.may_show());
        let done = body.copy(sink).await;
        let (bytes, took) = (body.got - from, began.elapsed());
        let rate = bytes as f64 / took.as_secs_f64() / 1e6;
        self.tell.stage(
            format_args!("{bytes} octets, {rate:.1} MB/s; in all {}", ms(took)),
            || json!({"event": "done", "bytes": bytes, "ms": ms(took).0}),
        );
        done
    }
}

/// Where an answer leads on to, if it does.
fn moved(url: &Url, response: &Response<Incoming>) -> io::Result<Option<Url>> {
    match (response.status().as_u16(), response.headers().get(header::LOCATION)) {
        (301 | 302 | 303 | 307 | 308, Some(to)) => address::redirect(url, to.as_bytes()).map(Some),
        _ => Ok(None),
    }
}

/// Why all of it comes, where a part was asked for. Who has no ranges need not say so; who has them mostly does.
//= RFC 9110 14.3
fn why_all(headers: &HeaderMap) -> &'static str {
    let units = text(headers, header::ACCEPT_RANGES).unwrap_or("none");
    if units.split(',').any(|u| u.trim().eq_ignore_ascii_case("bytes")) {
        "what the server has is no continuation of the file"
    } else {
        "the server offers no ranges"
    }
}

/// The head of an answer, as it came but for the case of names.
fn head(r: &Response<Incoming>) -> Vec<u8> {
    let mut out = format!("{:?} {}\r\n", r.version(), spelled(r.status())).into_bytes();
    for (name, value) in r.headers() {
        out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    out
}

fn spelled(s: StatusCode) -> String {
    s.canonical_reason().map_or_else(|| format!("status {}", s.as_str()), |r| format!("{} {r}", s.as_str()))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn wrong(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn timed_out(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, words)
}

/// What has failed, as those who do not know hyper would say it.
pub(super) fn in_words(e: hyper::Error) -> io::Error {
    if let Some(e) = e.source().and_then(|s| s.downcast_ref::<io::Error>()) {
        return io::Error::new(e.kind(), address::printable(&e.to_string()));
    }
    if e.is_incomplete_message() {
        return io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the answer did");
    }
    if e.is_parse_too_large() {
        return wrong(&format!("the head of the answer has more than {MOST_HEAD} octets or {MOST_FIELDS} fields"));
    }
    if e.is_parse() {
        return wrong(&format!("the answer is not HTTP: {e}"));
    }
    io::Error::other(e.to_string())
}

/// The next piece of a body.
pub(super) async fn piece(body: &mut Incoming) -> Option<io::Result<Bytes>> {
    loop {
        match body.frame().await? {
            Ok(frame) => match frame.into_data() {
                Ok(data) => return Some(Ok(data)),
                Err(_) => continue, // trailers
            },
            Err(e) => return Some(Err(in_words(e))),
        }
    }
}
