//! What the tests of programs share: a place with a namespace, and whether it can be.

#![allow(clippy::unwrap_used)] // a test that fails may well panic
#![allow(dead_code)] // no file of tests uses all of it

pub(crate) mod certificates;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub(crate) const SYNFIN: &str = env!("CARGO_BIN_EXE_synfin");

pub(crate) fn synfin(args: &[&str]) -> Output {
    Command::new(SYNFIN).args(args).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(b: &[u8]) -> String {
    String::from_utf8_lossy(b).into_owned()
}

/// Whether all of this is here; says, even where the test passes, that it has tested nothing.
pub(crate) fn has(test: &str, programs: &[&str]) -> bool {
    let why = if !namespaces() {
        "no namespace".to_string()
    } else {
        let missing =
            |p: &&&str| !Command::new("which").arg(p).env("PATH", path()).output().is_ok_and(|o| o.status.success());
        match programs.iter().find(missing) {
            Some(p) => format!("no {p} here"),
            None => return true,
        }
    };
    let _ = writeln!(std::io::stderr(), "not run: {test}: {why}");
    false
}

/// Where programs are looked for: servers are where users do not look.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn namespaces() -> bool {
    Command::new("unshare").args(["-Urn", "test", "-e", "/dev/net/tun"]).status().is_ok_and(|s| s.success())
}

/// A directory of its own.
pub(crate) struct Place(pub PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Place(dir)
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// A shell script in a namespace of its own. `$SYNFIN` is the program, `$LINK` a link to the kernel at 192.0.2.1, and
    /// `listens PORT` waits until the kernel listens there.
    pub(crate) fn script(&self, script: &str) -> Output {
        let link = "--link tun:t0,host=192.0.2.1/24,host=fd00:2::1/64 --addr 192.0.2.2/24 --addr fd00:2::2/64";
        let listens = r#"listens() { p=$(printf ':%04X ' "$1"); until grep -q "$p.* 0A " /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done; }"#;
        let mut c = Command::new("timeout");
        c.args(["100", "unshare", "-Urn", "sh", "-c", &format!("{listens}\n{script}")]);
        c.current_dir(&self.0).env("PATH", path()).env("SYNFIN", SYNFIN).env("LINK", link);
        c.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `n` octets that differ everywhere.
pub(crate) fn pattern(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ seed).collect()
}
