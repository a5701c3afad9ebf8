//! The programs of every day against those of this machine, in a namespace: netcat, curl, ping, python's http.server. What is
//! missing here is said to be not run.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test that fails may well panic; it waits for real programs

mod place;

use place::{Place, SYNFIN, has, pattern, synfin, text};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A server of ours in a namespace of its own.
struct Server {
    child: Child,
    /// What it has written to standard error so far.
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Starts one, and waits until it is ready.
    fn start(args: &[&str]) -> Server {
        let mut c = Command::new(SYNFIN);
        let mut child =
            c.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn({
            let said = said.clone();
            move || {
                BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| *said.lock().unwrap() += &(l + "\n"))
            }
        });
        let s = Server { child, said };
        s.wait_for("the way in: ");
        s
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said something; a minute is for ever.
    fn wait_for(&self, words: &str) {
        let t = Instant::now();
        while !self.said().contains(words) {
            assert!(t.elapsed() < Duration::from_secs(60), "not within a minute: {words}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A shell script on the kernel's side, led there by the line that it has printed.
    fn inside(&self, script: &str) -> Output {
        self.inside_command(script).output().unwrap()
    }

    fn inside_command(&self, script: &str) -> Command {
        let said = self.said();
        let way = said.split("the way in: ").nth(1).and_then(|w| w.split(" COMMAND").next()).unwrap();
        let mut c = Command::new("timeout");
        c.arg("60").args(way.split(' ')).args(["sh", "-c", script]).stdin(Stdio::null());
        c
    }

    fn kill(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    fn end(&mut self) -> ExitStatus {
        let t = Instant::now();
        loop {
            if let Some(s) = self.child.try_wait().unwrap() {
                return s;
            }
            assert!(t.elapsed() < Duration::from_secs(60), "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn mistakes_get_one_clear_line_and_the_right_code() {
    let link = ["--link", "tun:x"];
    for (args, code, words) in [
        (
            &["connect", "www.example.test", "80"][..],
            2,
            "synfin: \"www.example.test\" is no address, and there is no --dns",
        ),
        (&["connect", "192.0.2.1", "0"], 2, "'0'"),
        (&["connect", "192.0.2.1", "80", "--link", "wifi:x"], 2, "\"wifi:x\" is no link"),
        (&["connect", "192.0.2.1", "80", link[0], link[1]], 2, "--link tun:x needs --addr A/P"),
        (&["connect", "192.0.2.1", "80", "--addr", "192.0.2.2"], 2, "no address with a prefix"),
        (&["connect", "192.0.2.1", "80", "--tcp", "hope=1"], 2, "unknown setting \"hope\""),
        (&["connect", "192.0.2.1", "80", "--tcp", "mtu-base=1"], 2, "is none of"),
        (&["connect", "192.0.2.1", "80", "--mtu", "5"], 2, "5 is not in 68..=65535"),
        (&["connect", "192.0.2.1", "80", "--pcap", "/nowhere/x"], 1, "synfin: /nowhere/x: No such file"),
        (
            &["listen", "7", "--link", "fd:999", "--addr", "192.0.2.2/24"],
            1,
            "synfin: fd:999: descriptor 999 is not open",
        ),
        (
            &["listen", "7", "--link", "unix:/nowhere", "--addr", "192.0.2.2/24"],
            1,
            "synfin: unix:/nowhere: /nowhere: No such",
        ),
        (&["connect", "192.0.2.2", "80"], 2, "synfin: 192.0.2.2 is this host's own address"),
        (&["ping", "[fd00:2::2]"], 2, "synfin: fd00:2::2 is this host's own address"),
        (&["serve"], 2, "synfin: nothing to serve"),
        (&["serve", "--echo", "--discard", "7"], 2, "synfin: port 7 is asked for twice"),
        (&["serve", "--http", "80"], 2, "is not PORT=DIR"),
        (&["serve", "--echo", "--drop", "7"], 2, "port 7 cannot be served and be silent (--drop)"),
        (&["serve", "--http", "80=/nowhere"], 1, "synfin: serve /nowhere: No such file"),
        (&["ping", "192.0.2.1", "-i", "0"], 2, "is not at least 0.002"),
        (&["ping", "192.0.2.1", "-s", "65508"], 2, "65508"),
        // Not that nobody has answered: that would be 1.
        (&["ping", "192.0.2.1", "--pcap", "/nowhere/x"], 2, "synfin: /nowhere/x: No such file"),
        (&["ping", "www.example.test", "--hosts", "/nowhere/x"], 2, "synfin: /nowhere/x: No such file"),
        (
            &["ping", "192.0.2.1", "--link", "fd:999", "--addr", "192.0.2.2/24"],
            2,
            "synfin: fd:999: descriptor 999 is not open",
        ),
        (
            &["ping", "www.example.test", "--hosts", "/dev/null"],
            2,
            "synfin: \"www.example.test\" is no address and not in /dev/null, and there is no --dns",
        ),
        (
            &["connect", "fd00:2::1", "80", "--mtu", "1279"],
            2,
            "synfin: fd00:2::1 is IPv6, which no link with less than 1280 bytes carries (--mtu 1279)",
        ),
        (&["listen", "80", "--mtu", "68", "--addr", "fd00:2::2/64"], 2, "synfin: fd00:2::2 is IPv6, which no link"),
    ] {
        let o = synfin(args);
        let err = text(&o.stderr);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
        assert!(code == 2 || err.lines().count() == 1, "{args:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    let o = synfin(&["connect", "--tcp", "help"]);
    assert!(o.status.success() && text(&o.stdout).contains("syn-retries"), "{}", text(&o.stderr));
}

#[test]
fn machines_are_told_a_failure_once_on_the_stream_of_the_objects() {
    let name = "\"x.test\" is no address, and there is no --dns to ask for it";
    let (file, capture, pem) =
        ("http://x.test/file", "/nowhere/x: No such file or directory (os error 2)", "/nowhere: No such file");
    for (args, code, on_stdout, words) in [
        (&["connect", "x.test", "80"][..], 2, false, name),
        (&["connect", "x.test", "80", "--echo"], 2, true, name),
        (&["listen", "7", "--pcap", "/nowhere/x"], 1, false, capture),
        (&["listen", "7", "--echo", "--pcap", "/nowhere/x"], 1, true, capture),
        (&["get", file], 2, false, name),
        (&["get", file, "-o", "nothing"], 2, true, name),
        (&["get", file, "-O"], 2, true, name),
        (&["get", file, "--cacert", "/nowhere"], 1, false, pem),
        (&["serve", "--echo", "--pcap", "/nowhere/x"], 1, true, capture),
        (&["ping", "x.test"], 2, true, name),
        (&["sim", "/nowhere/x"], 1, true, capture),
        (&["drill", "/nowhere/x"], 1, true, capture),
        (&["demo", "--backend", "memory", "--pcap", "/nowhere/x"], 1, true, capture),
    ] {
        let o = synfin(&[args, &["--json"]].concat());
        let (told, silent) = if on_stdout { (&o.stdout, &o.stderr) } else { (&o.stderr, &o.stdout) };
        assert!(silent.is_empty(), "{args:?}: {}{}", text(&o.stdout), text(&o.stderr));
        let objects: Vec<serde_json::Value> = text(told).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(
            (o.status.code(), objects.len(), &objects[0]["event"]),
            (Some(code), 1, &"error".into()),
            "{args:?}"
        );
        assert!(objects[0]["error"].as_str().unwrap().contains(words), "{args:?}: {}", objects[0]);
    }
}

#[test]
fn below_1280_bytes_the_namespace_has_ipv4_only() {
    if !has("below_1280_bytes_the_namespace_has_ipv4_only", &[]) {
        return;
    }
    let o = synfin(&["ping", "-c", "1", "--mtu", "1279", "-s", "2000", "192.0.2.1"]);
    assert!(o.status.success() && o.stderr.is_empty(), "{}{}", text(&o.stdout), text(&o.stderr));
    let o = synfin(&["ping", "-c", "1", "--mtu", "1280", "-s", "2000", "fd00:2::1"]);
    assert!(o.status.success() && o.stderr.is_empty(), "{}{}", text(&o.stdout), text(&o.stderr));
    let mut s = Server::start(&["listen", "7", "--mtu", "600", "--echo"]);
    assert!(s.said().starts_with("listening on 192.0.2.2:7 echo\nin a network namespace"), "{}", s.said());
    s.kill("-TERM");
    assert!(s.end().success());
}

#[test]
fn nobody_listens_and_the_line_says_so() {
    if !has("nobody_listens_and_the_line_says_so", &[]) {
        return;
    }
    for (host, at) in [("192.0.2.1", "192.0.2.1:81"), ("fd00:2::1", "[fd00:2::1]:81")] {
        let o = synfin(&["connect", host, "81"]);
        assert_eq!(
            (o.status.code(), text(&o.stderr)),
            (Some(1), format!("synfin: connect {at}: connection refused\n"))
        );
    }
    let o = synfin(&["connect", "203.0.113.1", "81"]);
    assert_eq!((o.status.code(), text(&o.stderr)), (Some(1), "synfin: connect 203.0.113.1:81: no route\n".into()));
}

#[test]
fn connect_carries_both_ways_to_the_end() {
    if !has("connect_carries_both_ways_to_the_end", &["python3"]) {
        return;
    }
    for (host, version) in [("192.0.2.1", 4), ("fd00:2::1", 6)] {
        let p = Place::new(&format!("both-{version}"));
        let (ours, theirs) = (pattern(1 << 20, 1), pattern(3 << 20, 2));
        p.put("ours", &ours);
        p.put("theirs", &theirs);
        // The other says nothing before we have said all: the half that is open carries the rest. (nc would not do: where it
        // listens it ends at our FIN.)
        p.put(
            "late.py",
            b"import socket
l = socket.create_server(('', 7000), family=socket.AF_INET6, dualstack_ipv6=True); s, _ = l.accept()
open('heard', 'wb').write(b''.join(iter(lambda: s.recv(65536), b'')))
s.sendall(open('theirs', 'rb').read()); s.close()\n",
        );
        let o = p.script(&format!(
            "python3 late.py & n=$!; listens 7000
             $SYNFIN connect $LINK --json {host} 7000 <ours >said; code=$?; wait $n; exit $code"
        ));
        assert!(o.status.success(), "{}", text(&o.stderr));
        assert!(p.read("said") == theirs && p.read("heard") == ours, "{}", text(&o.stderr));
        let last = text(&o.stderr).lines().last().map(str::to_string).unwrap();
        let closed: serde_json::Value = serde_json::from_str(&last).unwrap();
        assert_eq!((&closed["event"], &closed["error"]), (&"closed".into(), &serde_json::Value::Null));
        assert_eq!((closed["bytes_sent"].as_u64(), closed["bytes_received"].as_u64()), (Some(1 << 20), Some(3 << 20)));
    }
}

#[test]
fn connect_talks_to_python() {
    if !has("connect_talks_to_python", &["python3"]) {
        return;
    }
    let p = Place::new("python");
    p.put("page.txt", b"a page\n");
    let o = p.script(
        r"python3 -m http.server 8000 >log 2>&1 & n=$!; listens 8000
          printf 'GET /page.txt HTTP/1.0\r\n\r\n' | $SYNFIN connect $LINK 192.0.2.1 8000; code=$?; kill $n; exit $code",
    );
    let page = text(&o.stdout);
    assert!(o.status.success() && o.stderr.is_empty(), "{}", text(&o.stderr));
    assert!(page.starts_with("HTTP/1.0 200 OK\r\n") && page.ends_with("\r\n\r\na page\n"), "{page}");
}

#[test]
fn a_heartbeat_tells_a_peer_that_is_silent_from_one_that_is_gone() {
    if !has("a_heartbeat_tells_a_peer_that_is_silent_from_one_that_is_gone", &["python3"]) {
        return;
    }
    let p = Place::new("heartbeat");
    // Silent for ever; one that speaks something else; one that is stopped, as if it hung.
    p.put(
        "others.py",
        b"import socket, time
l = socket.create_server(('', 7001)); m = socket.create_server(('', 7002))
s = l.accept(); t, _ = m.accept(); t.sendall(b'SSH-2.0-OpenSSH\\r\\n'); time.sleep(90)\n",
    );
    // The first peer has nothing to say until its heart has been heard to beat a dozen times. No verdict is by the clock: who is
    // not gone may be silent for a minute, or for as long as a machine stands still, and who is gone is so for ever.
    let o = p.script(
        "echo 1 >/proc/sys/net/ipv4/ip_forward
         python3 others.py & n=$!; listens 7002
         there() {
           : >ready
           $SYNFIN listen 7000 --heartbeat usual --link tun:t1,host=198.51.100.1/24 --addr 198.51.100.2/24 \\
             --gateway 198.51.100.1 --exec \"$1\" >/dev/null 2>>ready & l=$!
           until grep -q listening ready; do sleep 0.02; done
         }
         beats='198.51.100.2.7000 > .* length 7 '
         mkfifo in; there \"cat; until test \\$(grep -c '$beats' told) -ge 12; do sleep 0.02; done\"; sleep 90 >in & s=$!
         printf hello | $SYNFIN connect -v $LINK --gateway 192.0.2.1 --heartbeat 0.1/60 198.51.100.2 7000 2>told; echo \" $?\"
         wait $l; echo $?
         $SYNFIN connect $LINK --heartbeat 0.2/0.3 192.0.2.1 7001 <in; echo $?
         $SYNFIN connect $LINK --heartbeat usual 192.0.2.1 7002 <in; echo $?
         there cat; { echo hello; exec sleep 90; } >in & h=$!
         $SYNFIN connect $LINK --gateway 192.0.2.1 --heartbeat 1/14 198.51.100.2 7000 <in >heard & c=$!
         until test -s heard; do sleep 0.02; done; kill -STOP $l; wait $c; echo $?
         kill -KILL $l $n $s $h",
    );
    let err = text(&o.stderr);
    assert_eq!(text(&o.stdout), "hello 0\n0\n1\n1\n1\n", "{err}");
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].starts_with("synfin: connection to 192.0.2.1:7001: heartbeat: no sign of life for "), "{err}");
    assert!(lines[1].starts_with("synfin: connection to 192.0.2.1:7002: heartbeat: "), "{err}");
    assert!(lines[2].starts_with("synfin: connection to 198.51.100.2:7000: heartbeat: no sign of life for "), "{err}");
    assert_eq!(lines.len(), 3, "{err}");
}

#[test]
fn connect_talks_to_redis() {
    if !has("connect_talks_to_redis", &["redis-server"]) {
        return;
    }
    let p = Place::new("redis");
    let o = p.script(
        r"redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' >log & n=$!; listens 6379
          printf 'PING\r\nECHO hello\r\n' | $SYNFIN connect $LINK 192.0.2.1 6379; code=$?; kill $n; exit $code",
    );
    assert_eq!(
        (o.status.code(), text(&o.stdout).as_str()),
        (Some(0), "+PONG\r\n$5\r\nhello\r\n"),
        "{}",
        text(&o.stderr)
    );
}

/// A name server: an address for one name, an answer that fits no datagram for another, nothing for the rest.
const NAME_SERVER: &[u8] = b"import socket, struct, threading
def reply(q, tcp):
    name = q[12:q.index(0, 12)]; kind = q[-4:-2]
    known = {b'\\x03www\\x07example\\x04test': 1, b'\\x03big\\x07example\\x04test': 100}
    n = known.get(name, 0) if kind == b'\\0\\1' else 0
    flags = 0x8180 | (0 if name in known else 3) | (0x200 if n > 1 and not tcp else 0)
    if n > 1 and not tcp: n = 0
    record = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4' + bytes([192, 0, 2, 1])
    return q[:2] + struct.pack('!HHHHH', flags, 1, n, 0, 0) + q[12:] + record * n
def tcp():
    l = socket.create_server(('', 53))
    while True:
        s, _ = l.accept(); n, = struct.unpack('!H', s.recv(2)); r = reply(s.recv(n), True)
        s.sendall(struct.pack('!H', len(r)) + r); s.close()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 53))
threading.Thread(target=tcp, daemon=True).start()
while True:
    q, who = u.recvfrom(512)
    u.sendto(b'\\0' * 40, who)  # somebody's try
    u.sendto(reply(q, False), who)
";

#[test]
fn names_are_asked_for_over_our_own_sockets() {
    if !has("names_are_asked_for_over_our_own_sockets", &["python3"]) {
        return;
    }
    let p = Place::new("names");
    p.put("dns.py", NAME_SERVER);
    p.put("page.txt", b"a page\n");
    let o = p.script(
        r"python3 dns.py & n=$!; listens 53; python3 -m http.server 8000 >log 2>&1 & h=$!; listens 8000
          for name in www big none; do
            printf 'GET /page.txt HTTP/1.0\r\n\r\n' | $SYNFIN connect $LINK --dns 192.0.2.1 $name.example.test 8000 | tail -n 1
          done
          $SYNFIN ping $LINK --dns 192.0.2.1 -c 1 www.example.test | head -n 1
          $SYNFIN connect $LINK --dns 192.0.2.1 --dns 192.0.2.77 www.example.test 81
          kill $n $h",
    );
    let page = "a page\na page\nPING www.example.test (192.0.2.1) 56(84) bytes of data.\n";
    let errors = "synfin: connect none.example.test: no such name\nsynfin: connect 192.0.2.1:81: connection refused\n";
    assert_eq!((text(&o.stdout).as_str(), text(&o.stderr).as_str()), (page, errors));
}

#[test]
fn telnet_is_answered() {
    if !has("telnet_is_answered", &["telnet"]) {
        return;
    }
    let mut s = Server::start(&["listen", "23", "--echo", "-v"]);
    // It ends where its standard input ends, and so must not before the answer has come.
    let o = s.inside(
        "f=$(mktemp); { echo hello; until grep -q hello $f; do sleep 0.02; done; } | telnet 192.0.2.2 23 >$f; cat $f; rm $f",
    );
    assert!(
        text(&o.stdout).contains("Connected to 192.0.2.2.") && text(&o.stdout).contains("hello\n"),
        "{}",
        text(&o.stdout)
    );
    assert!(s.end().success());
    // The server is prompt: the close takes three segments.
    s.wait_for("close 3/3");
}

#[test]
fn wget_goes_on_where_it_was_cut_off() {
    if !has("wget_goes_on_where_it_was_cut_off", &["wget"]) {
        return;
    }
    let p = Place::new("wget");
    let big = pattern(3 << 20, 4);
    p.put("www/big", &big);
    p.put("got/big", &big[..1_000_000]);
    let mut s = Server::start(&["serve", "--http", &format!("8080={}", p.0.join("www").display())]);
    let o = s.inside(&format!("cd {} && LC_ALL=C wget -c http://192.0.2.2:8080/big", p.0.join("got").display()));
    let said = text(&o.stderr);
    assert!(o.status.success() && said.contains("206 Partial Content"), "{said}");
    assert!(p.read("got/big") == big);
    s.kill("-TERM");
    assert!(s.end().success());
}

#[test]
fn a_reset_fails_and_a_reader_that_has_gone_does_not() {
    if !has("a_reset_fails_and_a_reader_that_has_gone_does_not", &["python3", "nc.openbsd"]) {
        return;
    }
    let p = Place::new("reset");
    p.put(
        "reset.py",
        b"import socket, struct
l = socket.create_server(('', 7000)); s, _ = l.accept(); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()\n",
    );
    let o = p.script(
        "python3 reset.py & listens 7000; mkfifo in; { echo x; exec sleep 90; } >in & s=$!
         $SYNFIN connect $LINK 192.0.2.1 7000 <in; code=$?; kill $s; exit $code",
    );
    let words = "synfin: connection to 192.0.2.1:7000: connection reset by peer\n";
    assert_eq!((o.status.code(), text(&o.stderr).as_str()), (Some(1), words));
    // The other sends without end.
    let o = p.script(
        "nc.openbsd -l 7001 </dev/zero >/dev/null & listens 7001; sleep 90 >in & s=$!
         { $SYNFIN connect $LINK 192.0.2.1 7001 <in; echo $? >code; } | head -c 10 >/dev/null; kill $s; cat code",
    );
    assert_eq!((text(&o.stdout).trim(), text(&o.stderr).as_str()), ("0", ""));
}

#[test]
fn the_first_signal_closes_and_the_second_resets() {
    if !has("the_first_signal_closes_and_the_second_resets", &["python3"]) {
        return;
    }
    // Both at once: between them there is no time that could be too long.
    let both = "kill -STOP $c; kill -TERM $c; kill -INT $c; kill -CONT $c";
    for (signals, code) in [("kill -TERM $c", 0), ("kill -INT $c", 0), (both, 130)] {
        let p = Place::new("signals");
        // The other side keeps silent and open.
        p.put(
            "silent.py",
            b"import socket, time; l = socket.create_server(('', 7000)); s = l.accept(); time.sleep(90)\n",
        );
        let o = p.script(&format!(
            "mkfifo in; sleep 90 >in & s=$!; python3 silent.py & n=$!; listens 7000
             $SYNFIN connect -v $LINK 192.0.2.1 7000 <in >/dev/null 2>told & c=$!
             until grep -q 'handshake 3/3' told; do sleep 0.02; done
             {signals}; wait $c; code=$?; kill $s $n; exit $code"
        ));
        let told = text(&p.read("told"));
        assert_eq!(o.status.code(), Some(code), "{signals}: {told}");
        assert!(code == 130 || told.contains("close 1/4"), "{signals}: {told}");
        assert!(told.contains("Flags [R"), "what does not end in order is reset: {told}");
    }
    // Nor is a handshake that nobody answers waited for; but there never was a connection.
    let p = Place::new("signals-early");
    let o = p.script(
        "$SYNFIN connect -v $LINK 192.0.2.77 7000 2>told & c=$!
         until grep -q 'handshake 1/3' told; do sleep 0.02; done
         kill -TERM $c; wait $c; exit $?",
    );
    let told = text(&p.read("told"));
    assert_eq!(o.status.code(), Some(1), "{told}");
    let ours: Vec<&str> = told.lines().filter(|l| l.starts_with("synfin: ")).collect();
    assert_eq!(ours, ["synfin: connect 192.0.2.77: ended by a signal before there was a connection"], "{told}");
}

#[test]
fn on_a_terminal_the_escape_leads_to_commands() {
    if !has("on_a_terminal_the_escape_leads_to_commands", &["nc.openbsd", "script"]) {
        return;
    }
    let p = Place::new("terminal");
    p.put("keys", b"hello\n\x1dstatus\n\x1dnonsense\n\x1d\nmore\n\x1dquit\n");
    let o = p.script(
        "nc.openbsd -l -N 7000 </dev/null >heard & n=$!; listens 7000
         script -qec \"$SYNFIN connect $LINK 192.0.2.1 7000\" /dev/null <keys; code=$?; wait $n; exit $code",
    );
    let screen = text(&o.stdout);
    assert!(o.status.success(), "{screen}");
    assert_eq!(text(&p.read("heard")), "hello\nmore\n");
    assert!(screen.contains("synfin> ") && screen.contains(" 192.0.2.1:7000 cubic wscale:"), "{screen}");
    assert!(screen.contains("\"nonsense\": there are quit, close and status"), "{screen}");
}

#[test]
fn listen_takes_one_connection_and_refuses_the_next() {
    if !has("listen_takes_one_connection_and_refuses_the_next", &["nc.openbsd"]) {
        return;
    }
    let mut s = Server::start(&["listen", "7000", "-v"]);
    assert!(s.said().starts_with("listening on 192.0.2.2:7000\nlistening on [fd00:2::2]:7000\n"), "{}", s.said());
    // Its standard input is at its end: its FIN comes at once, and it goes on receiving.
    let o = s.inside("printf 'some text' | nc.openbsd -N 192.0.2.2 7000");
    assert!(o.status.success() && o.stdout.is_empty(), "{}", text(&o.stderr));
    assert!(s.end().success(), "{}", s.said());
    let mut out = String::new();
    std::io::Read::read_to_string(&mut s.child.stdout.take().unwrap(), &mut out).unwrap();
    assert_eq!(out, "some text");
    s.wait_for("handshake 1/3: the client can send, the server can receive");
    assert!(s.said().contains("| SYN-SENT | SYN-RECEIVED |"), "{}", s.said());
}

#[test]
fn many_talk_at_once_with_a_command_each() {
    if !has("many_talk_at_once_with_a_command_each", &["nc.openbsd"]) {
        return;
    }
    let mut s = Server::start(&["listen", "7000", "--keep-open", "--exec", "tr a-z A-Z", "--stats"]);
    // The first stays while the others come and go.
    let o = s.inside(
        "d=$(mktemp -d); cd $d
         { printf first; until [ -e over ]; do sleep 0.02; done; } | nc.openbsd -N 192.0.2.2 7000 >first & n=$!
         for i in 1 2 3 4 5; do printf 'number %s' $i | nc.openbsd -N fd00:2::2 7000; echo; done
         touch over; wait $n; cat first; rm -r $d",
    );
    assert_eq!(text(&o.stdout), "NUMBER 1\nNUMBER 2\nNUMBER 3\nNUMBER 4\nNUMBER 5\nFIRST", "{}", text(&o.stderr));
    s.kill("-USR1");
    s.wait_for("TcpPassiveOpens                 6\n");
    s.kill("-TERM");
    assert!(s.end().success());
    // And once more at the end.
    let t = Instant::now();
    while s.said().matches("TcpPassiveOpens ").count() < 2 {
        assert!(t.elapsed() < Duration::from_secs(60), "{}", s.said());
    }
}

#[test]
fn a_command_that_has_ended_is_not_waited_for_by_a_client_that_stays() {
    let name = "a_command_that_has_ended_is_not_waited_for_by_a_client_that_stays";
    if !has(name, &["python3"]) {
        return;
    }
    let mut s = Server::start(&["listen", "13", "--exec", "echo today"]);
    // It reads to the end, and does not close before it hears that it is alone.
    let o = s.inside(
        "python3 -c \"
import socket, select
s = socket.create_connection(('192.0.2.2', 13)); all = b''.join(iter(lambda: s.recv(99), b''))
p = select.poll(); p.register(s, 0); print(all, p.poll(50000) != [])\"",
    );
    assert_eq!(text(&o.stdout), "b'today\\n' True\n", "{}", text(&o.stderr));
    assert!(s.end().success(), "{}", s.said());
}

#[test]
fn a_command_that_fails_is_a_failure_and_says_how() {
    if !has("a_command_that_fails_is_a_failure_and_says_how", &["python3"]) {
        return;
    }
    let p = Place::new("exec-fails");
    p.put(
        "sink.py",
        b"import socket\nl = socket.create_server(('', 7000)); s, _ = l.accept()\nwhile s.recv(99): pass\n",
    );
    let o = p.script("python3 sink.py & listens 7000; $SYNFIN connect $LINK --exec 'exit 3' 192.0.2.1 7000");
    assert_eq!(
        (o.status.code(), text(&o.stderr).as_str()),
        (Some(1), "synfin: --exec: the command failed: exit status: 3\n")
    );
}

#[test]
fn a_command_ends_with_the_program_and_with_all_that_it_has_started() {
    let name = "a_command_ends_with_the_program_and_with_all_that_it_has_started";
    if !has(name, &["nc.openbsd"]) {
        return;
    }
    let p = Place::new("exec-ends");
    let pids = p.0.join("pids");
    let command = format!("sleep 500 & echo $$ $! >{}; wait", pids.display());
    let mut s = Server::start(&["listen", "7000", "--exec", &command]);
    s.inside(&format!(
        "nc.openbsd 192.0.2.2 7000 </dev/null >/dev/null 2>&1 & until [ -s {} ]; do sleep 0.02; done",
        pids.display()
    ));
    s.kill("-TERM");
    assert!(s.end().success(), "{}", s.said());
    for pid in text(&std::fs::read(&pids).unwrap()).split_whitespace() {
        // What is killed may still wait for whoever inherits it to ask for its status.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "still there: {stat}");
    }
}

#[test]
fn what_crosses_the_link_is_recorded_for_tcpdump() {
    if !has("what_crosses_the_link_is_recorded_for_tcpdump", &["nc.openbsd", "tcpdump"]) {
        return;
    }
    let p = Place::new("pcap");
    let file = p.0.join("echo.pcapng");
    let mut s = Server::start(&["listen", "7", "--echo", "--pcap", file.to_str().unwrap()]);
    let o = s.inside("printf hello | nc.openbsd -N 192.0.2.2 7");
    assert_eq!(text(&o.stdout), "hello");
    assert!(s.end().success());
    let o = Command::new("tcpdump").args(["-nr", file.to_str().unwrap(), "tcp"]).output().unwrap();
    let lines = text(&o.stdout);
    assert!(lines.contains("Flags [S], seq ") && lines.matches("length 5").count() == 2, "{lines}");
    assert!(p.read("echo.pcapng").windows(27).any(|w| w == b"client ESTABLISHED, server "), "the states are comments");
}

#[test]
fn the_little_servers_serve_over_tcp_and_udp() {
    if !has("the_little_servers_serve_over_tcp_and_udp", &["nc.openbsd", "python3"]) {
        return;
    }
    let mut s = Server::start(&["serve", "--echo", "--discard", "9", "--chargen"]);
    for at in ["192.0.2.2", "fd00:2::2"] {
        let o =
            s.inside(&format!("printf 'over and over' | nc.openbsd -N {at} 7; printf nothing | nc.openbsd -N {at} 9"));
        assert_eq!(text(&o.stdout), "over and over", "{}", text(&o.stderr));
        let o = s.inside(&format!("nc.openbsd {at} 19 </dev/null | head -n 96 | tail -n 1"));
        assert!(text(&o.stdout).starts_with(" !\"#$%"), "the 96th line is the first: {}", text(&o.stdout));
        // A datagram each; the one from the port of another service stays without an answer, as do those to discard.
        let family = if at.contains(':') { "AF_INET6" } else { "AF_INET" };
        let o = s.inside(&format!(
            "python3 -c \"
import socket
def ask(port, text, own=0, patience=20):
    s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.settimeout(patience); s.bind(('', own))
    s.sendto(text, ('{at}', port))
    try: return s.recvfrom(2000)
    except TimeoutError: return None
assert ask(7, b'datagram')[0] == b'datagram'
assert ask(7, b'loop', own=19, patience=0.3) is None
assert ask(9, b'nothing', patience=0.3) is None
text, who = ask(19, b'')
assert who[0] == '{at}' and len(text) <= 512 and b' !'.startswith(text[:2]), (who, text)\""
        ));
        assert!(o.status.success(), "{}", text(&o.stderr));
    }
    s.kill("-TERM");
    assert!(s.end().success());
}

#[test]
fn files_are_served_to_curl() {
    if !has("files_are_served_to_curl", &["curl"]) {
        return;
    }
    let p = Place::new("www");
    let big = pattern(5 << 20, 3);
    p.put("secret", b"secret");
    p.put("www/big", &big);
    p.put("www/sub/a b.txt", b"0123456789");
    p.put("www/site/index.html", b"<p>index</p>");
    std::os::unix::fs::symlink("../secret", p.0.join("www/out")).unwrap();
    let mut s = Server::start(&["serve", "--http", &format!("80={}", p.0.join("www").display())]);
    let curl = |args: &str| {
        let o = s.inside(&format!("curl -sg --max-time 50 {args}"));
        assert!(o.status.success(), "{args}: {}", text(&o.stderr));
        o.stdout
    };
    let at = "http://192.0.2.2";
    assert!(curl(&format!("{at}/big")) == big && curl("http://[fd00:2::2]/big") == big);
    assert_eq!(curl(&format!("{at}/sub/a%20b.txt?x")), b"0123456789");
    assert_eq!(curl(&format!("-r 2-4 {at}/sub/a%20b.txt")), b"234");
    assert_eq!(curl(&format!("-r -3 -w ' %{{http_code}}' {at}/sub/a%20b.txt")), b"789 206");
    assert_eq!(curl(&format!("-r 10- -o /dev/null -w '%{{http_code}}' {at}/sub/a%20b.txt")), b"416");
    let head = text(&curl(&format!("-I {at}/big")));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 5242880\r\n"), "{head}");
    let modified = head.lines().find_map(|l| l.strip_prefix("Last-Modified: ")).unwrap();
    let code = |args: &str| text(&curl(&format!("-o /dev/null -w '%{{http_code}}' {args}")));
    assert_eq!(code(&format!("-H 'If-Modified-Since: {modified}' {at}/big")), "304");
    assert_eq!(code(&format!("-H 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT' {at}/big")), "200");
    assert_eq!(code(&format!("-r 0-0 -H 'If-Range: {modified}' {at}/big")), "206");
    assert_eq!(code(&format!("-r 0-0 -H 'If-Range: Thu, 01 Jan 1970 00:00:00 GMT' {at}/big")), "200");
    let list = text(&curl(&format!("{at}/")));
    assert!(list.contains("<a href=\"./sub/\">sub/</a>") && list.contains("<a href=\"./big\">big</a>"), "{list}");
    assert!(text(&curl(&format!("-L {at}/sub"))).contains("<a href=\"./a%20b.txt\">a b.txt</a>"));
    assert_eq!(curl(&format!("{at}/site/")), b"<p>index</p>");
    // One connection for both.
    assert_eq!(curl(&format!("-o /dev/null {at}/sub/ -o /dev/null -w '%{{num_connects}} ' {at}/site/")), b"1 0 ");
    for (args, status) in [
        ("--path-as-is http://192.0.2.2/../secret", "404"),
        ("--path-as-is http://192.0.2.2/sub/%2e%2e/%2e%2e/secret", "404"),
        ("http://192.0.2.2/out", "403"),
        ("http://192.0.2.2/nothing", "404"),
        ("http://192.0.2.2/big/", "404"),
        ("-d x http://192.0.2.2/big", "405"),
        ("-H Host: http://192.0.2.2/big", "400"),
        ("--http1.0 http://192.0.2.2/sub/", "200"),
    ] {
        assert_eq!(code(args), status, "{args}");
    }
    let long = "a".repeat(20_000);
    assert_eq!(code(&format!("-H 'Long: {long}' {at}/big")), "431");
    s.kill("-TERM");
    assert!(s.end().success());
}

#[test]
fn a_download_under_way_does_not_keep_the_server_from_ending() {
    if !has("a_download_under_way_does_not_keep_the_server_from_ending", &["curl"]) {
        return;
    }
    let p = Place::new("long");
    p.put("big", &vec![7; 64 << 20]);
    let mut s = Server::start(&["serve", "--http", &format!("80={}", p.0.display())]);
    let mut curl = s.inside_command("curl -sN --limit-rate 100k --max-time 50 http://192.0.2.2/big");
    let mut curl = curl.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(&mut curl.stdout.take().unwrap(), &mut [0]).unwrap();
    s.kill("-TERM");
    assert!(s.end().success());
    let _ = curl.kill();
    assert!(!curl.wait().unwrap().success(), "it has not got the whole");
}

#[test]
fn a_link_that_is_gone_ends_whoever_is_on_it() {
    // What comes from the null device is at its end at once; what goes there must not fail before that is seen.
    for args in
        [&["listen", "7"][..], &["serve", "--echo"], &["connect", "192.0.2.1", "7"], &["get", "http://192.0.2.1/"]]
    {
        let null = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
        let args = [args, &["--link", "fd:0", "--addr", "192.0.2.2/24"]].concat();
        let o = Command::new(SYNFIN).args(&args).stdin(null).output().unwrap();
        let err = text(&o.stderr);
        assert_eq!(o.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.ends_with("synfin: fd:0: the link is gone: unexpected end of file\n"), "{args:?}: {err}");
    }
    // Open for reading only, it cannot be one.
    let args = ["connect", "192.0.2.1", "7", "--link", "fd:0", "--addr", "192.0.2.2/24"];
    let o = Command::new(SYNFIN).args(args).stdin(fs::File::open("/dev/null").unwrap()).output().unwrap();
    let words = "synfin: fd:0: it is open for reading only: a link is read and written\n";
    assert_eq!((o.status.code(), text(&o.stderr).as_str()), (Some(1), words));
}

/// Lines with their figures taken out, and that a reply was not there before the next request if that was so.
fn shape(out: &[u8]) -> Vec<String> {
    let figure = |c: char| c.is_ascii_digit() || c == '.';
    text(out)
        .lines()
        .map(|l| {
            let mut shape = String::new();
            for c in l
                .replace("192.0.2.1", "ADDRESS")
                .replace("192.0.2.2", "ADDRESS")
                .replace("fd00:2::1", "ADDRESS")
                .replace("fd00:2::2", "ADDRESS")
                .chars()
            {
                if !figure(c) {
                    shape.push(c);
                } else if !shape.ends_with('0') {
                    shape.push('0');
                }
            }
            shape.replace(", pipe 0", "")
        })
        .collect()
}

#[test]
fn ping_answers_and_asks_as_iputils_does() {
    if !has("ping_answers_and_asks_as_iputils_does", &["ping"]) {
        return;
    }
    let s = Server::start(&["listen", "7"]);
    for (theirs, ours, rest) in [
        ("192.0.2.2", "192.0.2.1", "-c 3 -i 0.2"),
        ("fd00:2::2", "fd00:2::1", "-c 3 -i 0.2 -s 3000"),
        ("192.0.2.2", "192.0.2.1", "-q -c 2 -i 0.2"),
    ] {
        let o = s.inside(&format!("ping -n {rest} {theirs}"));
        assert!(o.status.success(), "iputils gets no answer: {}", text(&o.stdout));
        let args: Vec<&str> = ["ping", "-n"].into_iter().chain(rest.split(' ')).chain([ours]).collect();
        let us = synfin(&args);
        assert!(us.status.success(), "{}", text(&us.stderr));
        assert_eq!(shape(&us.stdout), shape(&o.stdout), "{rest}");
    }
}

#[test]
fn ping_ends_with_the_status_of_iputils() {
    if !has("ping_ends_with_the_status_of_iputils", &[]) {
        return;
    }
    // With a deadline that a machine may sleep through, and be in time: all of them at once.
    let cases = [
        (
            &["192.0.2.77", "-c", "2", "-i", "0.1", "-W", "0.3"][..],
            1,
            "2 packets transmitted, 0 received, 100% packet loss",
        ),
        (&["192.0.2.77", "-w", "0.5"], 1, "0 received, 100% packet loss"),
        (&["192.0.2.1", "-c", "3", "-i", "90", "-w", "15"], 1, "1 packets transmitted, 1 received, 0% packet loss"),
        (&["192.0.2.1", "-c", "3", "-i", "0.01", "-w", "50"], 0, " 3 received"),
        (&["203.0.113.1", "-c", "1"], 2, ""),
    ];
    std::thread::scope(|s| {
        for (args, code, words) in cases {
            s.spawn(move || {
                let o = synfin(&[&["ping"][..], args].concat());
                let out = text(&o.stdout);
                assert_eq!(o.status.code(), Some(code), "{args:?}: {out}{}", text(&o.stderr));
                assert!(out.contains(words), "{args:?}: {out}");
            });
        }
    });
    let o = synfin(&["ping", "203.0.113.1"]);
    assert_eq!(
        (text(&o.stdout).as_str(), text(&o.stderr).as_str()),
        ("", "synfin: ping 203.0.113.1: network unreachable\n")
    );
    let o = synfin(&["ping", "192.0.2.1", "-c", "2", "-i", "0.01", "--json"]);
    let objects: Vec<serde_json::Value> = text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let events: Vec<_> = objects.iter().map(|o| o["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["reply", "reply", "statistics"]);
    assert!(objects[0]["rtt_us"].as_f64().unwrap() > 0.0 && objects[2]["received"] == 2);
}

#[test]
fn ping_says_of_a_silent_neighbor_what_iputils_says() {
    if !has("ping_says_of_a_silent_neighbor_what_iputils_says", &[]) {
        return;
    }
    let p = Place::new("neighbor");
    // A TAP has neighbors: nobody answers for 77. On a TUN a request is lost without a word.
    let o = p.script(
        "tap=tap:t,host=192.0.2.1/24
         $SYNFIN ping --link $tap --addr 192.0.2.2/24 -c 4 -i 0.2 -W 60 192.0.2.77; echo $?
         $SYNFIN ping --link $tap --addr 192.0.2.2/24 -c 1 -W 60 --json 192.0.2.77; echo $?
         $SYNFIN ping --link $tap --addr 192.0.2.2/24 -c 2 -i 0.2 192.0.2.1 | grep -c errors",
    );
    let out = text(&o.stdout);
    let line = |n: u32| format!("From 192.0.2.2 icmp_seq={n} Destination Host Unreachable\n");
    assert!(out.contains(&(1..=4).map(line).collect::<String>()), "{out}{}", text(&o.stderr));
    assert!(out.contains("4 packets transmitted, 0 received, +4 errors, 100% packet loss"), "{out}");
    assert!(out.contains("pipe 4\n1\n"), "{out}");
    let objects: Vec<serde_json::Value> =
        out.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        (&objects[0]["event"], &objects[0]["seq"], &objects[0]["from"]),
        (&"error".into(), &1.into(), &"192.0.2.2".into())
    );
    assert_eq!((&objects[1]["errors"], objects.len()), (&1.into(), 2));
    assert!(out.ends_with("}\n1\n0\n") && o.stderr.is_empty(), "{out}{}", text(&o.stderr));
}

#[test]
fn who_needs_an_ipv6_address_waits_until_it_is_not_tentative() {
    if !has("who_needs_an_ipv6_address_waits_until_it_is_not_tentative", &[]) {
        return;
    }
    let p = Place::new("tentative");
    let o = p.script(
        "L='--link tap:t,host=fd00:2::1/64 --addr fd00:2::2/64'
         $SYNFIN ping $L -c 1 -W 60 fd00:2::1 | grep -c ' bytes from fd00:2::1'
         $SYNFIN connect $L fd00:2::1 81; $SYNFIN get $L 'http://[fd00:2::1]:81/'",
    );
    let refused = "connection refused\n";
    assert_eq!(
        (text(&o.stdout).as_str(), text(&o.stderr)),
        ("1\n", format!("synfin: connect [fd00:2::1]:81: {refused}synfin: get http://[fd00:2::1]:81/: {refused}"))
    );
}

#[test]
fn the_doctor_tells_what_is_allowed_and_what_helps() {
    let o = synfin(&["doctor", "--json"]);
    let checks: Vec<serde_json::Value> = text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |name: &str| checks.iter().find(|c| c["check"] == name).unwrap();
    assert_eq!(
        of("user namespace")["ok"].as_bool().unwrap() && of("network namespace")["ok"].as_bool().unwrap(),
        Command::new("unshare").args(["-Urn", "true"]).status().is_ok_and(|s| s.success())
    );
    assert_eq!(of("verdict")["ok"].as_bool().unwrap(), o.status.success());
    for c in &checks {
        assert!(
            c["ok"].as_bool().unwrap() || c["check"] == "verdict" || !c["remedy"].as_str().unwrap().is_empty(),
            "{c}"
        );
    }
    if !has("the_doctor_tells_what_is_allowed_and_what_helps", &[]) {
        return;
    }
    let forbid = format!("echo 0 >/proc/sys/user/max_user_namespaces; exec {SYNFIN} doctor");
    let o = Command::new("unshare").args(["-Ur", "sh", "-c", &forbid]).output().unwrap();
    let out = text(&o.stdout);
    assert_eq!(o.status.code(), Some(1), "{out}");
    assert!(out.contains("no  user namespace") && out.contains("remedy: too many user namespaces"), "{out}");
    assert!(text(&o.stderr).contains("the demo has no kernel at its other end here"));
}

#[test]
fn a_link_is_named_and_settings_are_obeyed() {
    if !has("a_link_is_named_and_settings_are_obeyed", &["nc.openbsd"]) {
        return;
    }
    let p = Place::new("link");
    // A veth of another namespace, a TAP, a TUN without offload: the same conversation.
    for link in ["tun:t1,host=192.0.2.1/24,offload=off", "tap:t2,host=192.0.2.1/24"] {
        let o = p.script(&format!(
            "nc.openbsd -l -N 7000 </dev/null >heard & n=$!; listens 7000
             printf hello | $SYNFIN connect -v --link {link} --addr 192.0.2.2/24 --mtu 1400 --tcp window-scaling=off 192.0.2.1 7000
             code=$?; wait $n; exit $code"
        ));
        let told = text(&o.stderr);
        assert!(o.status.success() && p.read("heard") == b"hello", "{link}: {told}");
        assert!(told.contains("mss 1360,") && !told.lines().next().unwrap().contains("wscale"), "{link}: {told}");
    }
    let o =
        p.script("ip tuntap add dev t3 mode tap && $SYNFIN connect --link tun:t3 --addr 192.0.2.2/24 192.0.2.1 7000");
    assert_eq!(
        (o.status.code(), text(&o.stderr)),
        (Some(1), "synfin: tun:t3: t3: it exists and is not a TUN\n".into())
    );
    assert_eq!(o.status.signal(), None);
}
