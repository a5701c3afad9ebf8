//! Kernel to kernel over veth, to compare with: this program again, in a network namespace of its own, at the far end.

use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use synfin::device::{Interface, add_address, add_veth, move_to_namespace, netns, set_up};

const HERE: [u8; 4] = [198, 51, 100, 1];
const THERE: [u8; 4] = [198, 51, 100, 2];

/// The process at the far end. It ends with this.
pub struct Peer(Child, BufReader<ChildStdout>);

impl Peer {
    /// Starts it, as `role`: the word by which `main` knows what the far end does.
    pub fn start(role: &str) -> io::Result<Peer> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut peer = Peer(child, BufReader::new(out));
        peer.expect("ready")?;
        add_veth("veth0", "veth1")?;
        add_address("veth0", IpAddr::from(HERE), 24)?;
        move_to_namespace("veth1", peer.0.id())?;
        peer.say("go")?;
        peer.expect("listening")?;
        Ok(peer)
    }

    /// Where it listens.
    pub fn address(&self) -> IpAddr {
        IpAddr::from(THERE)
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        let stdin = self.0.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        writeln!(stdin, "{word}")
    }

    /// Waits for a line that it writes.
    pub fn expect(&mut self, word: &str) -> io::Result<()> {
        let mut line = String::new();
        self.1.read_line(&mut line)?;
        if line.trim() == word { Ok(()) } else { Err(io::Error::other(format!("the peer says {line:?}"))) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The far end: waits for its interface, then does what it is for. `serve` says `listening` when it does.
pub fn there(serve: impl FnOnce(IpAddr) -> io::Result<()>) -> io::Result<()> {
    netns::enter_network()?;
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    set_up("veth1", &Interface::default())?;
    add_address("veth1", IpAddr::from(THERE), 24)?;
    serve(IpAddr::from(THERE))
}
