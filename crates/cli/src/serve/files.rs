//! The files of a directory, and no others: the kernel itself keeps a path beneath it (openat2(2), RESOLVE_BENEATH), so that
//! nothing is between the look and the opening.

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, openat2};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::SystemTime;

/// A directory whose files may be read.
pub(super) struct Files {
    root: OwnedFd,
    follow_links: bool,
}

/// What a path leads to.
pub(super) enum Found {
    /// A file: its octets, and when it was changed.
    File(File, u64, Option<SystemTime>),
    /// A directory.
    Directory(File),
}

/// An entry of a directory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub is_directory: bool,
    pub bytes: Vec<u8>,
}

/// Entries of a directory that are listed at most.
const LISTED: usize = 10_000;

impl Files {
    pub fn open(dir: &Path, follow_links: bool) -> io::Result<Files> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Files { root: rustix::fs::open(dir, flags, Mode::empty())?, follow_links })
    }

    /// What the segments of a path lead to. [`io::ErrorKind::NotFound`] if nothing, [`io::ErrorKind::PermissionDenied`] if it is
    /// not to be read.
    pub fn find(&self, segments: &[Vec<u8>]) -> io::Result<Found> {
        // No segment says anything but a name: with links that may lead out, the kernel would follow `..` as well.
        let is_name = |s: &Vec<u8>| !s.is_empty() && s != b"." && s != b".." && !s.contains(&b'/') && !s.contains(&0);
        if !segments.iter().all(is_name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = if segments.is_empty() { b".".to_vec() } else { segments.join(&b'/') };
        let stay = if self.follow_links { ResolveFlags::empty() } else { ResolveFlags::BENEATH };
        // A pipe that nobody writes to is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = openat2(&self.root, path, flags, Mode::empty(), stay | ResolveFlags::NO_MAGICLINKS).map_err(|e| {
            use rustix::io::Errno;
            match e {
                Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::NXIO => io::ErrorKind::NotFound.into(),
                Errno::XDEV | Errno::LOOP | Errno::ACCESS | Errno::PERM => io::ErrorKind::PermissionDenied.into(),
                e => io::Error::from(e),
            }
        })?;
        let file = File::from(fd);
        let data = file.metadata()?;
        if data.is_dir() {
            Ok(Found::Directory(file))
        } else if data.is_file() {
            Ok(Found::File(file, data.len(), data.modified().ok()))
        } else {
            Err(io::ErrorKind::PermissionDenied.into()) // no device, no pipe
        }
    }

    /// The entries of a directory in order, directories first, without those that hide.
    pub fn list(directory: &File) -> io::Result<Vec<Name>> {
        let mut all = Vec::new();
        for entry in Dir::read_from(directory)?.take(LISTED) {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes().to_vec();
            if !bytes.starts_with(b".") {
                all.push(Name { is_directory: entry.file_type() == FileType::Directory, bytes });
            }
        }
        all.sort_by(|a, b| (!a.is_directory, &a.bytes).cmp(&(!b.is_directory, &b.bytes)));
        Ok(all)
    }
}

/// The segments of the path of a request's target, decoded, and whether it ends with a slash. None if it is none.
pub(super) fn segments(target: &[u8]) -> Option<(Vec<Vec<u8>>, bool)> {
    let path = target.split(|b| *b == b'?').next()?;
    // The absolute form names the host first (RFC 9112 3.2.2).
    let path = match path.iter().position(|b| *b == b':') {
        Some(i) if path[i..].starts_with(b"://") => {
            let rest = &path[i + 3..];
            rest.iter().position(|b| *b == b'/').map_or(&b"/"[..], |i| &rest[i..])
        }
        _ => path,
    };
    let path = path.strip_prefix(b"/")?;
    let all: Option<Vec<Vec<u8>>> = path.split(|b| *b == b'/').filter(|s| !s.is_empty()).map(decode).collect();
    Some((all?, path.is_empty() || path.ends_with(b"/")))
}

/// Percent-encoding (RFC 3986 2.1) undone; None if it is broken.
fn decode(s: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s;
    while let [b, tail @ ..] = rest {
        rest = tail;
        if *b != b'%' {
            out.push(*b);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |d: u8| (d as char).to_digit(16);
        out.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = tail;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_decoded_once() {
        let of = |t: &str| {
            segments(t.as_bytes()).map(|(s, slash)| {
                (s.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect::<Vec<_>>(), slash)
            })
        };
        let names = |n: &[&str], slash| Some((n.iter().map(ToString::to_string).collect(), slash));
        assert_eq!(of("/"), names(&[], true));
        assert_eq!(of("/a/b%20c?x=/../y"), names(&["a", "b c"], false));
        assert_eq!(of("/a//b/"), names(&["a", "b"], true));
        assert_eq!(of("http://192.0.2.2:80/a"), names(&["a"], false));
        assert_eq!(of("http://192.0.2.2"), names(&[], true));
        assert_eq!(of("/%252e%252e/"), names(&["%2e%2e"], true));
        assert_eq!(of("/%2e%2E/x"), names(&["..", "x"], false));
        assert_eq!(of("/a%2fb"), names(&["a/b"], false));
        for bad in ["", "*", "a", "/%", "/%4", "/%zz", "/%+1"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        let dir = std::env::temp_dir().join(format!("synfin-files-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("in/sub")).unwrap();
        std::fs::write(dir.join("secret"), b"secret").unwrap();
        std::fs::write(dir.join("in/file"), b"text").unwrap();
        for (link, to) in
            [("out", "../secret"), ("absolute", "/etc/hostname"), ("within", "file"), ("up", ".."), ("loop", "loop")]
        {
            std::os::unix::fs::symlink(to, dir.join("in").join(link)).unwrap();
        }
        let open = |follow| Files::open(&dir.join("in"), follow).unwrap();
        let find = |files: &Files, path: &str| {
            let (s, _) = segments(path.as_bytes()).unwrap();
            files.find(&s).map(|f| matches!(f, Found::File(..))).map_err(|e| e.kind())
        };
        let (stays, follows) = (open(false), open(true));
        use io::ErrorKind::{NotFound, PermissionDenied};
        for (path, there, following) in [
            ("/file", Ok(true), Ok(true)),
            ("/within", Ok(true), Ok(true)),
            ("/sub", Ok(false), Ok(false)),
            ("/", Ok(false), Ok(false)),
            ("/out", Err(PermissionDenied), Ok(true)),
            ("/up/secret", Err(PermissionDenied), Ok(true)),
            ("/loop", Err(PermissionDenied), Err(PermissionDenied)),
            ("/../secret", Err(NotFound), Err(NotFound)),
            ("/sub/../../secret", Err(NotFound), Err(NotFound)),
            ("/%2e%2e/secret", Err(NotFound), Err(NotFound)),
            ("/sub%2f..%2f..%2fsecret", Err(NotFound), Err(NotFound)),
            ("/file%00", Err(NotFound), Err(NotFound)),
            ("/file/x", Err(NotFound), Err(NotFound)),
            ("/nothing", Err(NotFound), Err(NotFound)),
        ] {
            assert_eq!(find(&stays, path), there, "{path}");
            assert_eq!(find(&follows, path), following, "{path}, links followed");
        }
        assert_eq!(find(&stays, "/absolute"), Err(PermissionDenied));
        let Found::Directory(d) = stays.find(&[]).unwrap() else { panic!("the root is a directory") };
        let names: Vec<_> = Files::list(&d).unwrap().into_iter().map(|n| n.bytes).collect();
        assert_eq!(names, [&b"sub"[..], b"absolute", b"file", b"loop", b"out", b"up", b"within"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
