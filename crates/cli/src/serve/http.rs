//! HTTP/1.1 (RFC 9110, RFC 9112) as far as files that are only read need it: GET and HEAD, connections that stay open, ranges,
//! If-Modified-Since. Request heads are bounded in octets and in time, and so is everything else that a client may drag out.

use super::files::{Files, Found, segments};
use super::range::{Part, part};
use crate::clock::now;
use crate::host::{Line, Voice};
use serde_json::json;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

/// A site.
pub(super) struct Http {
    files: Files,
    voice: Voice,
    patience: Patience,
}

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a head, from its first octet: who sends one octet now and then is not waited for.
    head: Duration,
    /// For the next request.
    idle: Duration,
    /// While it takes nothing of an answer.
    takes: Duration,
}

const PATIENCE: Patience =
    Patience { head: Duration::from_secs(10), idle: Duration::from_secs(15), takes: Duration::from_secs(30) };

/// The longest head of a request, and its most fields.
const HEAD: usize = 16 << 10;
const FIELDS: usize = 64;
/// How long it may take to close.
const CLOSING: Duration = Duration::from_secs(2);

/// What is known of a request.
#[derive(Debug, Default)]
struct Request {
    method: String,
    target: Vec<u8>,
    is_1_1: bool,
    /// The client closes after this one, or asks that it stays open.
    close: bool,
    keep_alive: bool,
    has_host: bool,
    /// A body follows, which nobody wants.
    has_body: bool,
    range: Option<Vec<u8>>,
    if_range: Option<SystemTime>,
    has_if_range: bool,
    if_modified_since: Option<SystemTime>,
}

/// The answer to one.
struct Answer {
    status: u16,
    fields: String,
    body: Body,
}

enum Body {
    None,
    Text(String),
    /// A file, from where it stands, and how many octets of it.
    File(File, u64),
}

/// Why no request was read.
enum NoRequest {
    /// The client has closed, or said nothing for long, or the program is to end.
    Over,
    /// It is to be told.
    Bad(u16),
}

impl Http {
    pub fn new(files: Files, voice: Voice) -> Http {
        Http { files, voice, patience: PATIENCE }
    }

    /// Serves a connection to its end.
    pub fn serve(&self, line: Line) -> io::Result<()> {
        let done = self.answer_all(&line);
        // An answer that is not whole must not look as if it were.
        if done.is_ok() {
            line.close(CLOSING)
        } else {
            line.reset()
        }
        done
    }

    fn answer_all(&self, line: &Line) -> io::Result<()> {
        let mut held = Vec::new();
        loop {
            let (request, answer) = match read_request(line, &mut held, self.patience)? {
                Ok(r) => {
                    let a = self.answer(&r);
                    (r, a)
                }
                Err(NoRequest::Over) => return Ok(()),
                Err(NoRequest::Bad(status)) => {
                    (Request { close: true, is_1_1: true, ..Request::default() }, plain(status))
                }
            };
            // After a body that was not read nobody knows where the next request begins.
            let close =
                request.close || request.has_body || !(request.is_1_1 || request.keep_alive) || line.is_to_end();
            let sent = send(line, &request, answer, close, self.patience.takes);
            self.tell(line, &request, &sent);
            sent?;
            if close {
                return Ok(());
            }
        }
    }

    fn tell(&self, line: &Line, r: &Request, sent: &io::Result<(u16, u64)>) {
        if self.voice.is_json() {
            let (status, bytes) = sent.as_ref().map_or((None, None), |(s, n)| (Some(*s), Some(*n)));
            let o = json!({"event": "request", "peer": line.peer().map(|p| p.to_string()).ok(), "method": r.method,
                "target": String::from_utf8_lossy(&r.target), "status": status, "bytes": bytes,
                "error": sent.as_ref().err().map(ToString::to_string)});
            self.voice.object(&o);
        }
    }

    fn answer(&self, r: &Request) -> Answer {
        //= RFC 9112 3.2
        if r.is_1_1 && !r.has_host {
            return plain(400);
        }
        if !matches!(r.method.as_str(), "GET" | "HEAD") {
            let mut a = plain(405);
            a.fields += "Allow: GET, HEAD\r\n";
            return a;
        }
        let Some((path, slash)) = segments(&r.target) else { return plain(400) };
        match self.files.find(&path) {
            Ok(Found::File(..)) if slash && !path.is_empty() => plain(404),
            Ok(Found::File(file, len, modified)) => self.file(r, &path, file, len, modified),
            Ok(Found::Directory(_)) if !slash => {
                let mut a = plain(301);
                let _ = write!(a.fields, "Location: {}/\r\n", encode(&path));
                a
            }
            Ok(Found::Directory(dir)) => {
                let index = [path.as_slice(), &[b"index.html".to_vec()]].concat();
                match self.files.find(&index) {
                    Ok(Found::File(file, len, modified)) => self.file(r, &index, file, len, modified),
                    _ => listing(&path, &dir).unwrap_or_else(|_| plain(500)),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => plain(404),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => plain(403),
            Err(_) => plain(500),
        }
    }

    fn file(&self, r: &Request, path: &[Vec<u8>], mut file: File, len: u64, modified: Option<SystemTime>) -> Answer {
        let mut fields = String::from("Accept-Ranges: bytes\r\n");
        // A file whose time is none that HTTP can say has none.
        let modified =
            modified.filter(|m| m.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|d| d.as_secs() < 253_402_300_800));
        if let Some(m) = modified {
            let _ = write!(fields, "Last-Modified: {}\r\n", httpdate::fmt_http_date(m));
        }
        //= RFC 9110 13.1.3
        if let (Some(m), Some(since)) = (modified, r.if_modified_since)
            && seconds(m) <= seconds(since)
        {
            return Answer { status: 304, fields, body: Body::None };
        }
        //= RFC 9110 13.1.5
        let wanted = !r.has_if_range || (r.if_range.is_some() && r.if_range.map(seconds) == modified.map(seconds));
        let range = r.range.as_ref().filter(|_| wanted && r.method == "GET");
        let kind = path.last().map_or("", |name| media_type(name));
        match range.map_or(Part::Whole, |h| part(h, len)) {
            Part::Whole => {
                let _ = write!(fields, "Content-Type: {kind}\r\n");
                Answer { status: 200, fields, body: Body::File(file, len) }
            }
            Part::Range(first, last) => {
                if file.seek(SeekFrom::Start(first)).is_err() {
                    return plain(500);
                }
                let _ = write!(fields, "Content-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{len}\r\n");
                Answer { status: 206, fields, body: Body::File(file, last - first + 1) }
            }
            Part::Beyond => {
                let mut a = plain(416);
                let _ = write!(a.fields, "Content-Range: bytes */{len}\r\n");
                a
            }
        }
    }
}

/// Reads the next request; `held` is what was read of those behind it.
fn read_request(line: &Line, held: &mut Vec<u8>, patience: Patience) -> io::Result<Result<Request, NoRequest>> {
    let mut until = now() + if held.is_empty() { patience.idle } else { patience.head };
    let mut buf = [0; 4 << 10];
    loop {
        match parse(held) {
            Ok(Some((request, len))) => {
                held.drain(..len);
                return Ok(Ok(request));
            }
            Ok(None) if held.len() >= HEAD => return Ok(Err(NoRequest::Bad(431))),
            Ok(None) => {}
            Err(status) => return Ok(Err(NoRequest::Bad(status))),
        }
        let n = match line.read(&mut buf, until) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                return Ok(Err(if held.is_empty() { NoRequest::Over } else { NoRequest::Bad(408) }));
            }
            Err(e) => return Err(e),
        };
        if n == 0 {
            return Ok(Err(NoRequest::Over));
        }
        if held.is_empty() {
            until = now() + patience.head;
        }
        held.extend_from_slice(&buf[..n]);
    }
}

/// A request at the front of `b`, and the length of its head; None if it has not all come; the status to answer with if it is
/// none.
fn parse(b: &[u8]) -> Result<Option<(Request, usize)>, u16> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(b) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(httparse::Error::Version) => return Err(505),
        Err(_) => return Err(400),
    };
    let mut r = Request {
        method: head.method.unwrap_or_default().into(),
        target: head.path.unwrap_or_default().into(),
        is_1_1: head.version == Some(1),
        ..Request::default()
    };
    let (mut any_match, mut hosts) = (false, 0);
    for f in head.headers {
        let date = || std::str::from_utf8(f.value).ok().and_then(|v| httpdate::parse_http_date(v.trim()).ok());
        match f.name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "connection" => {
                let value = String::from_utf8_lossy(f.value).to_ascii_lowercase();
                for token in value.split(',').map(str::trim) {
                    r.close |= token == "close";
                    r.keep_alive |= token == "keep-alive";
                }
            }
            "content-length" => r.has_body |= f.value.trim_ascii() != b"0",
            "transfer-encoding" => r.has_body = true,
            "range" => r.range = Some(f.value.into()),
            "if-range" => (r.has_if_range, r.if_range) = (true, date()),
            "if-modified-since" => r.if_modified_since = date(),
            "if-none-match" => any_match = true,
            _ => {}
        }
    }
    //= RFC 9112 3.2
    if hosts > 1 {
        return Err(400);
    }
    r.has_host = hosts == 1;
    // There are no entity tags here, so none matches, and the date does not count (RFC 9110 13.2.2).
    if any_match {
        r.if_modified_since = None;
    }
    Ok(Some((r, len)))
}

/// Sends an answer; its status, and the octets of its body.
fn send(line: &Line, r: &Request, a: Answer, close: bool, takes: Duration) -> io::Result<(u16, u64)> {
    let len = match &a.body {
        Body::None => 0,
        Body::Text(t) => t.len() as u64,
        Body::File(_, len) => *len,
    };
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    let mut head =
        format!("HTTP/1.1 {} {}\r\nDate: {date}\r\nServer: synfin\r\n{}", a.status, reason(a.status), a.fields);
    // 304 has no body, and says no length that is not the file's (RFC 9110 15.4.5).
    if a.status != 304 {
        let _ = write!(head, "Content-Length: {len}\r\n");
    }
    if close {
        head += "Connection: close\r\n";
    } else if !r.is_1_1 {
        head += "Connection: keep-alive\r\n";
    }
    head += "\r\n";
    if r.method == "HEAD" {
        line.write_all(head.as_bytes(), takes)?;
        return Ok((a.status, 0));
    }
    match a.body {
        Body::None => line.write_all(head.as_bytes(), takes)?,
        Body::Text(t) => line.write_all((head + &t).as_bytes(), takes)?,
        Body::File(file, len) => {
            let mut buf = vec![0; 64 << 10];
            let mut text = head.into_bytes();
            let mut rest = file.take(len);
            let mut left = len;
            loop {
                let n = if left > 0 { rest.read(&mut buf)? } else { 0 };
                text.extend_from_slice(&buf[..n]);
                line.write_all(&text, takes)?;
                text.clear();
                left -= n as u64;
                if n == 0 {
                    break;
                }
            }
            if left > 0 {
                // It has become shorter meanwhile: the client must not take this for the whole.
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
            }
        }
    }
    Ok((a.status, len))
}

/// An answer that says no more than its status.
fn plain(status: u16) -> Answer {
    let fields = "Content-Type: text/plain; charset=utf-8\r\n".into();
    Answer { status, fields, body: Body::Text(format!("{status} {}\n", reason(status))) }
}

/// The entries of a directory as a page.
fn listing(path: &[Vec<u8>], dir: &File) -> io::Result<Answer> {
    let title = path.iter().fold("/".to_string(), |s, p| s + &escape(&String::from_utf8_lossy(p)) + "/");
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head><body>\n<h1>{title}</h1>\n<ul>\n"
    );
    if !path.is_empty() {
        page += "<li><a href=\"../\">../</a></li>\n";
    }
    for n in Files::list(dir)? {
        let slash = if n.is_directory { "/" } else { "" };
        let (href, name) = (encode_segment(&n.bytes), escape(&String::from_utf8_lossy(&n.bytes)));
        // A name with a colon would be taken for a scheme.
        let _ = writeln!(page, "<li><a href=\"./{href}{slash}\">{name}{slash}</a></li>");
    }
    page += "</ul>\n</body></html>\n";
    Ok(Answer { status: 200, fields: "Content-Type: text/html; charset=utf-8\r\n".into(), body: Body::Text(page) })
}

fn encode(path: &[Vec<u8>]) -> String {
    path.iter().fold(String::new(), |s, p| s + "/" + &encode_segment(p))
}

/// Percent-encodes all but what RFC 3986 2.3 calls unreserved.
fn encode_segment(s: &[u8]) -> String {
    s.iter().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(b) {
            out.push(*b as char);
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

fn escape(s: &str) -> String {
    s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn seconds(t: SystemTime) -> u64 {
    t.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

/// The media type by the name's end.
fn media_type(name: &[u8]) -> &'static str {
    let end = name.rsplit(|b| *b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    match end.as_slice() {
        b"html" | b"htm" => "text/html; charset=utf-8",
        b"txt" | b"md" | b"rs" | b"toml" | b"log" | b"pkt" => "text/plain; charset=utf-8",
        b"css" => "text/css; charset=utf-8",
        b"js" | b"mjs" => "text/javascript; charset=utf-8",
        b"json" => "application/json",
        b"xml" => "application/xml",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"ico" => "image/x-icon",
        b"pdf" => "application/pdf",
        b"wasm" => "application/wasm",
        b"gz" => "application/gzip",
        b"zip" => "application/zip",
        b"mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Stdout, Stop};
    use std::io::Write as _;
    use synfin::Stack;
    use synfin::blocking::{TcpListener, TcpStream};
    use synfin::device::{Device, Signals, memory_pair};

    fn request(head: &str) -> Result<Option<Request>, u16> {
        parse(head.as_bytes()).map(|r| r.map(|(r, _)| r))
    }

    #[test]
    fn heads_are_read_or_refused() {
        let r = request("GET /a HTTP/1.1\r\nHost: x\r\nconnection: Foo, Close\r\nRange: bytes=0-1\r\n\r\n")
            .unwrap()
            .unwrap();
        assert!(r.is_1_1 && r.close && r.has_host && !r.has_body && r.range.is_some());
        let r = request("GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n").unwrap().unwrap();
        assert!(!r.is_1_1 && r.keep_alive && r.has_body && !r.has_host);
        assert!(request("GET / HTTP/1.1\r\nHost").unwrap().is_none(), "not all has come");
        let many = (0..65).fold("GET / HTTP/1.1\r\n".to_string(), |s, i| s + &format!("a{i}: b\r\n")) + "\r\n";
        for (head, status) in [
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET /\r\n\r\n", 400),
            ("\x16\x03\x01", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            (&many, 431),
        ] {
            assert_eq!(request(head).unwrap_err(), status, "{head:?}");
        }
    }

    /// A connection in memory to a server of the source directory with little patience: what is said, and what comes back.
    fn talk(patience: Patience, say: impl FnOnce(&mut TcpStream)) -> String {
        let (a, b) = memory_pair(1_500, true).unwrap();
        let host = |addr: &str, d| Stack::builder().address(addr).unwrap().start(Device::Memory(d)).unwrap();
        let (server, client) = (host("192.0.2.2/24", a), host("192.0.2.1/24", b));
        let listener = TcpListener::bind(&server, "192.0.2.2:80").unwrap();
        let serving = std::thread::spawn(move || {
            let stop = Stop::start(Signals::take().unwrap(), || {}).unwrap();
            let line = Line::new(listener.accept().unwrap().0, stop).unwrap();
            let files = Files::open("src".as_ref(), false).unwrap();
            Http { files, voice: Voice::new(false, Stdout::Words), patience }.serve(line)
        });
        let mut s = TcpStream::connect(&client, "192.0.2.2:80").unwrap();
        say(&mut s);
        let mut all = String::new();
        s.read_to_string(&mut all).unwrap();
        drop(s);
        serving.join().unwrap().unwrap();
        all
    }

    const SHORT: Duration = Duration::from_millis(30);

    #[test]
    fn who_does_not_finish_a_head_is_told_and_sent_away() {
        let patience = Patience { head: SHORT, ..PATIENCE };
        let all = talk(patience, |s| s.write_all(b"GET /main.rs HTTP/1.1\r\nHost: x\r\nX-a: b").unwrap());
        assert!(
            all.starts_with("HTTP/1.1 408 Request Timeout\r\n") && all.contains("\r\nConnection: close\r\n"),
            "{all}"
        );
    }

    #[test]
    fn who_asks_for_nothing_more_is_closed_without_a_word() {
        let ask = b"HEAD /main.rs HTTP/1.1\r\nHost: x\r\n\r\n";
        let all = talk(Patience { idle: SHORT, ..PATIENCE }, |s| s.write_all(&ask.repeat(2)).unwrap());
        assert!(
            all.matches("HTTP/1.1 200 OK\r\n").count() == 2 && all.ends_with("\r\n\r\n"),
            "both were answered: {all}"
        );
        assert!(talk(Patience { idle: SHORT, ..PATIENCE }, |_| {}).is_empty());
    }

    #[test]
    fn a_head_without_end_is_too_long() {
        let all = talk(PATIENCE, |s| {
            s.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
            // It may be sent away before all is written.
            let _ = s.write_all(&[b'x'; HEAD]);
        });
        assert!(all.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{all}");
    }

    #[test]
    fn names_are_written_so_that_they_are_names() {
        assert_eq!(encode(&[b"a b".to_vec(), b"\"<%:".to_vec()]), "/a%20b/%22%3C%25%3A");
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
        assert_eq!(media_type(b"x.HTML"), "text/html; charset=utf-8");
        assert_eq!(media_type(b"x"), "application/octet-stream");
    }
}
