//! URLs: which are fetched, where redirects lead, who may know a password.

use crate::output::usage;
use std::io;
use url::Url;

/// Reads one of the command line. Without a scheme it is http.
pub(super) fn parse(s: &str) -> Result<Url, String> {
    let bad = |e: &dyn std::fmt::Display| format!("{s:?} is no URL: {e}");
    let with_scheme = if s.contains("://") { s.to_string() } else { format!("http://{s}") };
    let url = Url::parse(&with_scheme).map_err(|e| bad(&e))?;
    match url.scheme() {
        "http" | "https" if url.port() == Some(0) => Err(bad(&"port 0")),
        "http" | "https" => Ok(url),
        other => Err(bad(&format!("{other}: is neither http: nor https:"))),
    }
}

/// Where a redirect leads, as the Location of an answer to `from` says (RFC 9110 10.2.2).
pub(super) fn redirect(from: &Url, location: &[u8]) -> io::Result<Url> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let location = std::str::from_utf8(location).map_err(|_| bad("a redirect to what is no URL".into()))?;
    let shown = printable(location);
    //= RFC 9110 10.2.2
    let mut to = from.join(location).map_err(|e| bad(format!("a redirect to {shown:?}, which is no URL: {e}")))?;
    if !matches!(to.scheme(), "http" | "https") || to.port() == Some(0) {
        return Err(bad(format!("a redirect to {shown}, which is neither http: nor https:")));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(bad(format!("a redirect from https to {shown}, which is not followed")));
    }
    // Only who calls the program has passwords for it.
    let _ = (to.set_username(""), to.set_password(None));
    Ok(to)
}

/// As it may be shown: without user and password.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}

/// The target of the request (RFC 9112 3.2.1).
pub(super) fn request_target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_string(), |q| format!("{}?{q}", url.path()))
}

/// The host, with its port where that is not the scheme's.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_string(), |p| format!("{host}:{p}"))
}

/// What proves who the user is, if the URL has user or password (RFC 7617 2).
pub(super) fn credentials(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    Some(format!("Basic {}", base64(&pair)))
}

/// The last name of the path, for a file in the directory where we are.
pub(super) fn last_name(url: &Url) -> io::Result<String> {
    let name = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
    match name {
        "" | "." | ".." => Err(usage(format!("-O: {} ends in no name", shown(url)))),
        n => Ok(n.into()),
    }
}

/// What a stranger sent, without what a terminal would obey.
pub(super) fn printable(s: &str) -> String {
    s.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// `%XX` as an octet (RFC 3986 2.1).
fn decoded(s: &str) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let (b, mut i, mut out) = (s.as_bytes(), 0, Vec::new());
    while i < b.len() {
        match (b[i], hex(b.get(i + 1)), hex(b.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (octet, ..) => {
                out.push(octet);
                i += 1;
            }
        }
    }
    out
}

/// RFC 4648 4.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in data.chunks(3) {
        let n = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let digit = char::from(DIGITS[(n >> (18 - 6 * i) & 63) as usize]);
            out.push(if i <= three.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_command_line() {
        for (s, is) in [
            ("http://192.0.2.1", "http://192.0.2.1/"),
            ("192.0.2.1:8000/a?b", "http://192.0.2.1:8000/a?b"),
            ("https://[fd00:2::1]:443/a#b", "https://[fd00:2::1]/a#b"),
            ("HTTP://WWW.example.TEST/a/../b", "http://www.example.test/b"),
        ] {
            assert_eq!(parse(s).unwrap().as_str(), is, "{s}");
        }
        for s in ["", "ftp://192.0.2.1/", "http://", "http://192.0.2.1:0/", "http://192.0.2.1:99999/", "http://a b/"] {
            assert!(parse(s).is_err(), "{s}");
        }
        let url = parse("http://www.example.test:81/a/b?c#d").unwrap();
        assert_eq!((request_target(&url).as_str(), authority(&url).as_str()), ("/a/b?c", "www.example.test:81"));
        assert_eq!(last_name(&url).unwrap(), "b");
        assert!(last_name(&parse("http://a/b/").unwrap()).is_err());
        assert_eq!(
            last_name(&parse("http://a/x%2f..%2fy").unwrap()).unwrap(),
            "x%2f..%2fy",
            "no way to another directory"
        );
    }

    #[test]
    fn redirects_lead_on_but_not_down() {
        let from = |s| parse(s).unwrap();
        for (at, location, to) in [
            ("http://a.test/x/y", "z", Some("http://a.test/x/z")),
            ("http://a.test/x/y", "/z?q", Some("http://a.test/z?q")),
            ("http://a.test/x/y", "//b.test/z", Some("http://b.test/z")),
            ("http://a.test/x", "https://a.test/x", Some("https://a.test/x")),
            ("http://a.test/x", "http://u:p@b.test/", Some("http://b.test/")),
            ("https://a.test/x", "http://a.test/x", None),
            ("http://a.test/x", "file:///etc/passwd", None),
            ("http://a.test/x", "http://[", None),
        ] {
            assert_eq!(
                redirect(&from(at), location.as_bytes()).ok().map(String::from),
                to.map(str::to_string),
                "{location}"
            );
        }
        assert!(redirect(&from("http://a.test/"), b"\xff").is_err());
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let url = parse("http://Aladdin:open%20sesame@a.test/").unwrap();
        assert_eq!(credentials(&url).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); // RFC 7617 2
        assert_eq!(shown(&url), "http://a.test/");
        assert_eq!(credentials(&parse("http://a.test/").unwrap()), None);
        for (data, is) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(data.as_bytes()), is); // RFC 4648 10
        }
    }
}
