//! A link that is an inherited descriptor: it must be open both ways. The stack says only of what kind the error is that it
//! met, and for a descriptor that is open one way there is no kind.

use std::io;
use synfin::device::LinkSpec;

/// Refuses one that is open for reading or for writing only.
pub(super) fn both_ways(link: &LinkSpec) -> io::Result<()> {
    let Some(n) = link.name().strip_prefix("fd:").and_then(|n| n.parse::<u32>().ok()) else { return Ok(()) };
    // One that is not open is refused where it is opened.
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{n}")).unwrap_or_default();
    match only(&info) {
        Some(way) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{}: it is open for {way} only: a link is read and written", link.name()),
        )),
        None => Ok(()),
    }
}

/// For what alone a descriptor is open, as proc(5) tells of it.
fn only(info: &str) -> Option<&'static str> {
    let flags = info.lines().find_map(|l| l.strip_prefix("flags:"))?;
    match u32::from_str_radix(flags.trim(), 8).ok()? & 3 {
        0 => Some("reading"),
        1 => Some("writing"),
        _ => None,
    }
}

/// Why a link is gone, where that has a name.
pub(super) fn why(kind: io::ErrorKind) -> String {
    match kind.to_string().as_str() {
        "uncategorized error" | "other error" => String::new(),
        words => format!(": {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_says_which_way_it_is_open() {
        let of = |flags: &str| only(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t15\n"));
        assert_eq!([of("0100000"), of("0100001"), of("02100002")], [Some("reading"), Some("writing"), None]);
        assert_eq!(only(""), None);
    }
}
