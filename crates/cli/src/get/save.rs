//! Where the body goes: standard output, or a file that can be gone on with later.

use super::fetch::piece;
use crate::clock::now;
use crate::output::Output;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often progress is shown.
const TURN: Duration = Duration::from_millis(200);

/// Where it goes.
pub(super) struct Sink {
    to: To,
    resume: Option<Resume>,
    /// The date that the server gives of what is written; the file has it in the end, however it ends.
    date: Option<SystemTime>,
}

enum To {
    /// Whether its reader has gone is told in the flag.
    Stdout(Output, Arc<AtomicBool>),
    File(PathBuf, Option<File>),
}

/// What is there already.
pub(super) struct Resume {
    /// Octets.
    pub have: u64,
    modified: SystemTime,
}

impl Resume {
    /// The date of the file, which is that of what it was got from: see [`Sink`].
    pub fn date(&self) -> String {
        httpdate::fmt_http_date(self.modified)
    }
}

impl Sink {
    pub fn stdout(closed: Arc<AtomicBool>) -> Sink {
        Sink { to: To::Stdout(Output::new(), closed), resume: None, date: None }
    }

    /// A file, which is made when there is something to be written.
    pub fn file(path: PathBuf, resume: bool) -> io::Result<Sink> {
        let there = match std::fs::metadata(&path) {
            Ok(m) if m.is_dir() => return Err(named(&path, &io::ErrorKind::IsADirectory.into())),
            Ok(m) => Some(m),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(named(&path, &e)),
        };
        let resume = match there.filter(|m| resume && m.is_file() && m.len() > 0) {
            Some(m) => Some(Resume { have: m.len(), modified: m.modified().map_err(|e| named(&path, &e))? }),
            None => None,
        };
        Ok(Sink { to: To::File(path, None), resume, date: None })
    }

    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    /// Whether nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        matches!(&self.to, To::Stdout(_, closed) if closed.load(Ordering::SeqCst))
    }

    /// Whether a line about progress would disturb nobody.
    pub fn may_show(&self) -> bool {
        io::stderr().is_terminal() && (matches!(self.to, To::File(..)) || !io::stdout().is_terminal())
    }

    /// Begins, after `from` octets of what is there.
    pub fn open(&mut self, from: u64, date: Option<SystemTime>) -> io::Result<()> {
        if let To::File(path, file) = &mut self.to {
            let mut options = OpenOptions::new();
            let opened = options.write(true).create(true).truncate(from == 0).open(&*path).and_then(|mut f| {
                f.seek(SeekFrom::Start(from))?;
                Ok(f)
            });
            *file = Some(opened.map_err(|e| named(path, &e))?);
            self.date = date;
        }
        Ok(())
    }

    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(out, closed) => {
                let done = out.write_all(data);
                closed.store(out.is_closed(), Ordering::SeqCst);
                done
            }
            To::File(path, file) => file.as_mut().map_or(Ok(()), |f| f.write_all(data)).map_err(|e| named(path, &e)),
        }
    }

    pub fn finish(&mut self) -> io::Result<()> {
        if let To::Stdout(out, closed) = &mut self.to {
            let done = out.flush();
            closed.store(out.is_closed(), Ordering::SeqCst);
            return done;
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let (To::File(_, Some(file)), Some(date)) = (&self.to, self.date) {
            // Where it cannot be set, the file begins anew another time.
            let _ = file.set_modified(date);
        }
    }
}

/// A body on its way.
pub(super) struct Body {
    incoming: Incoming,
    /// Octets that are there, with those of before.
    pub got: u64,
    /// How many there will be, if that is known.
    whole: Option<u64>,
    /// When it began, with how much, and when progress is shown next, if it is.
    began: Instant,
    before: u64,
    show: Option<Instant>,
}

impl Body {
    pub fn new(incoming: Incoming, from: u64, whole: Option<u64>, show: bool) -> Body {
        let began = now();
        Body { incoming, got: from, whole, began, before: from, show: show.then_some(began + TURN) }
    }

    /// Writes all of it. [`io::ErrorKind::UnexpectedEof`] if it ends too early.
    pub async fn copy(&mut self, sink: &mut Sink) -> io::Result<()> {
        let done = self.pieces(sink).await;
        if self.show.is_some_and(|t| t > self.began + TURN) {
            self.progress();
            let _ = writeln!(io::stderr());
        }
        done?;
        sink.finish()
    }

    async fn pieces(&mut self, sink: &mut Sink) -> io::Result<()> {
        while let Some(data) = piece(&mut self.incoming).await {
            let data = data.map_err(|e| self.cut_off(&e))?;
            sink.write(&data)?;
            self.got += data.len() as u64;
            if self.show.is_some_and(|t| now() >= t) {
                self.progress();
                self.show = Some(now() + TURN);
            }
        }
        match self.whole {
            // A part that is shorter than what it is a part of.
            Some(whole) if self.got < whole => Err(self.cut_off(&io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    fn cut_off(&self, e: &io::Error) -> io::Error {
        let of = self.whole.map_or_else(String::new, |w| format!(" of {w}"));
        io::Error::new(e.kind(), format!("cut off after {}{of} octets: {e}", self.got))
    }

    /// A line that the next one overwrites.
    fn progress(&self) {
        let rate = (self.got - self.before) as f64 / self.began.elapsed().as_secs_f64();
        let mb = |n: u64| n as f64 / 1e6;
        let of = match self.whole.filter(|w| *w > 0) {
            Some(w) => {
                let left = w.saturating_sub(self.got) as f64 / rate.max(1.0);
                format!(" of {:.1} MB, {:3.0} %, {left:.0} s left", mb(w), self.got as f64 * 100.0 / w as f64)
            }
            None => " MB".into(),
        };
        let _ = write!(io::stderr(), "\r{:.1}{of}, {:.1} MB/s\x1b[K", mb(self.got), rate / 1e6);
    }
}

/// The date of what an answer brings, where it says enough for a later If-Range.
//= RFC 9110 8.8.2.2
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let at = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let (modified, sent) = (at(header::LAST_MODIFIED)?, at(header::DATE)?);
    // In the second in which it was changed it may be changed again.
    (modified + Duration::from_secs(1) <= sent).then_some(modified)
}

/// `bytes FIRST-LAST/WHOLE` (RFC 9110 14.4); the whole may be `*`.
pub(super) fn content_range(s: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, whole) = octets(s)?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let whole = if whole == "*" { None } else { Some(number(whole)?) };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && last < u64::MAX).then_some((first, last, whole))
}

/// `bytes */WHOLE`, of a 416.
pub(super) fn unsatisfied(s: &str) -> Option<u64> {
    number(octets(s)?.strip_prefix("*/")?)
}

fn octets(s: &str) -> Option<&str> {
    let (unit, rest) = s.trim().split_once(' ')?;
    unit.eq_ignore_ascii_case("bytes").then_some(rest.trim())
}

fn number(s: &str) -> Option<u64> {
    (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok())?
}

fn named(path: &std::path::Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_is_of() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content_range("Bytes 5-9/*"), Some((5, 9, None)));
        for s in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 9-5/10",
            "bytes -5/10",
            "bytes +5-9/10",
            "lines 5-9/10",
            "bytes */10",
            "bytes 0-18446744073709551615/*",
            "bytes 5-99999999999999999999/*",
        ] {
            assert_eq!(content_range(s), None, "{s}");
        }
        assert_eq!(
            (unsatisfied("bytes */10"), unsatisfied("bytes 0-1/10"), unsatisfied("bytes */*")),
            (Some(10), None, None)
        );
    }

    #[test]
    fn a_date_is_kept_if_it_tells_versions_apart() {
        let of = |modified: &str, sent: &str| {
            let mut h = HeaderMap::new();
            h.insert(header::LAST_MODIFIED, modified.parse().unwrap());
            h.insert(header::DATE, sent.parse().unwrap());
            date(&h)
        };
        let (a, b) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(of(a, b).map(httpdate::fmt_http_date).as_deref(), Some(a));
        assert_eq!((of(a, a), of("yesterday", b), date(&HeaderMap::new())), (None, None, None));
    }
}
