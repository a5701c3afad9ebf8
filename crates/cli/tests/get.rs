//! `synfin get` against python's http.server on the kernel's sockets, with and without TLS, in a namespace: pages, redirects,
//! what is cut off, what is gone on with, certificates that are right and that are not. Without python it is said to be not run.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod place;

use place::{Place, certificates, has, pattern, synfin, text};

/// A server on several ports: 8000 and 8001 without TLS; 8443 with a good certificate, 8444 to 8446 with bad ones. It writes down
/// what it is asked.
const SERVER: &[u8] = br#"import http.server, os, ssl, sys, threading, time
BIG = open('big', 'rb').read() if os.path.exists('big') else b''
DATE = 'Wed, 01 Jan 2020 00:00:00 GMT'
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *a): pass
    def say(self, status, body=b'', **headers):
        self.send_response(status)
        for k, v in headers.items(): self.send_header(k.replace('_', '-'), v)
        self.send_header('Content-Length', str(len(body))); self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        with open('asked', 'a') as f: f.write(f"{self.command} {self.path} {self.headers.get('Range')} {self.headers.get('If-Range')}\n")
        at = self.server.server_port
        if getattr(self, 'stale', False): self.close_connection = True; return
        if self.path == '/page': self.say(200, b'a page\n', Last_Modified=DATE)
        elif self.path == '/who': self.say(200, (self.headers.get('Authorization', 'nobody') + ' asks ' + self.headers['Host'] + '\n').encode())
        elif self.path == '/moved': self.say(301, b'over there', Location='deep/../page')
        elif self.path == '/stale': self.stale = True; self.say(302, Location='/page')
        elif self.path == '/me': self.say(302, Location='/who')
        elif self.path == '/away': self.say(307, Location='http://192.0.2.1:8001/who')
        elif self.path == '/secure': self.say(308, Location='https://www.example.test:8443/page')
        elif self.path == '/down': self.say(302, Location='http://www.example.test:8000/page')
        elif self.path == '/file': self.say(302, Location='file:///etc/passwd')
        elif self.path == '/loop': self.say(302, Location='/loop')
        elif self.path == '/long': self.say(200, b'x', **{f'X-{i}': 'y' * 60000 for i in range(3)})
        elif self.path == '/many': self.say(200, b'x', **{f'X-{i}': 'y' for i in range(90)}, **{f'Y-{i}': 'y' for i in range(90)})
        elif self.path in ('/slow', '/slower'): time.sleep(60)
        elif self.path == '/stall':
            try:
                self.send_response(200); self.send_header('Content-Length', '1000'); self.end_headers(); self.wfile.write(b'x' * 400)
                how = 'closed' if self.connection.recv(1) == b'' else 'asked'
            except ConnectionResetError: how = 'reset'
            with open('ending', 'w') as f: f.write(how + '\n')
            os.rename('ending', 'ended')
        elif self.path == '/noise': self.wfile.write(b'SSH-2.0-OpenSSH\r\n\r\n'); self.close_connection = True
        elif self.path == '/cut':
            self.send_response(200); self.send_header('Content-Length', '1000'); self.send_header('Last-Modified', DATE); self.end_headers()
            self.wfile.write(b'x' * 400); self.close_connection = True
        elif self.path == '/chunks':
            self.send_response(200); self.send_header('Transfer-Encoding', 'chunked'); self.end_headers()
            self.wfile.write(b'5\r\nhello\r\n'); self.close_connection = True
        elif self.path in ('/big', '/half', '/liar'): self.big()
        else: self.say(404, b'nothing here')
    def big(self):
        n, r = len(BIG), self.headers.get('Range')
        if self.path == '/half':
            self.send_response(200); self.send_header('Content-Length', str(n)); self.send_header('Last-Modified', DATE); self.end_headers()
            self.wfile.write(BIG[:n // 2]); self.close_connection = True
        elif r is None or self.headers.get('If-Range', DATE) != DATE: self.say(200, BIG, Last_Modified=DATE, Accept_Ranges='bytes')
        else:
            first = int(r[len('bytes='):-1])
            if self.path == '/liar': first -= 1
            if first >= n: self.say(416, Content_Range=f'bytes */{n}')
            else: self.say(206, BIG[first:], Content_Range=f'bytes {first}-{n - 1}/{n}', Last_Modified=DATE)
def serve(port, cert):
    s = http.server.ThreadingHTTPServer(('', port), Handler); s.daemon_threads = True
    if cert:
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(cert + '.pem', cert + '.key')
        s.socket = c.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
    s.handle_error = lambda *a: None
    threading.Thread(target=s.serve_forever).start()
for a in sys.argv[1:]: serve(int(a.split('=')[0]), a.partition('=')[2])
"#;

/// A place with the server's program, a hosts file, and 3 MiB to be fetched.
fn place(name: &str) -> (Place, Vec<u8>) {
    let p = Place::new(name);
    let big = pattern(3 << 20, 5);
    p.put("server.py", SERVER);
    p.put("big", &big);
    // Nobody listens at the first of them: the other is tried.
    p.put("hosts", b"fd00:2::1 www.example.test\n192.0.2.1 www.example.test other.example.test\nfd00:2::77 silent.example.test\n192.0.2.1 silent.example.test\n");
    (p, big)
}

/// Runs commands beside the server; `get` is ours. What came on standard output and standard error.
fn beside(p: &Place, ports: &str, commands: &str) -> (String, String) {
    let listens: String = ports.split(' ').map(|a| format!("listens {}; ", a.split('=').next().unwrap())).collect();
    let o = p.script(&format!(
        "get() {{ $SYNFIN get $LINK --hosts hosts \"$@\"; }}
         python3 server.py {ports} & n=$!; {listens}
         {commands}
         kill -KILL $n"
    ));
    (text(&o.stdout), text(&o.stderr))
}

#[test]
fn mistakes_get_one_line_and_the_right_code() {
    for (args, code, words) in [
        (&["ftp://192.0.2.1/"][..], 2, "ftp: is neither http: nor https:"),
        (&["http://"], 2, "is no URL"),
        (&["http://192.0.2.1/", "-O"], 2, "-O: http://192.0.2.1/ ends in no name"),
        (&["http://192.0.2.1/", "-C"], 2, "-C goes on with a file"),
        (&["http://192.0.2.1/", "--max-time", "0"], 2, "is no time"),
        (&["http://www.example.test/"], 2, "there is no --dns"),
        (
            &["http://www.example.test/", "--hosts", "/dev/null"],
            2,
            "is no address and not in /dev/null, and there is no",
        ),
        (&["http://192.0.2.1/", "-o", "/"], 1, "synfin: /: is a directory"),
        (&["http://192.0.2.1/", "--cacert", "/nowhere"], 1, "synfin: /nowhere: No such file"),
        (&["http://192.0.2.1/", "--cacert", "/dev/null"], 1, "synfin: /dev/null: no certificates"),
        (&["http://www.example.test/", "--hosts", "/nowhere"], 1, "synfin: /nowhere: No such file"),
    ] {
        let o = synfin(&[&["get"], args].concat());
        let err = text(&o.stderr);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(words) && !err.contains("panicked"), "{args:?}: {err}");
        assert!(code == 2 || err.lines().count() == 1, "{args:?}: {err}");
    }
}

#[test]
fn a_page_its_head_and_what_is_not_there() {
    if !has("a_page_its_head_and_what_is_not_there", &["python3"]) {
        return;
    }
    let (p, big) = place("get-page");
    let (out, err) = beside(
        &p,
        "8000",
        "get http://192.0.2.1:8000/page; echo $?
         get http://www.example.test:8000/page; echo $?
         get -I 192.0.2.1:8000/page | head -n 1
         get -o none http://192.0.2.1:8000/none; echo $?; test -e none || echo nothing is made
         get http://192.0.2.1:81/; echo $?
         get http://www.example.test:81/; echo $?
         get -O http://192.0.2.1:8000/big && echo fetched
         get http://192.0.2.1:8000/big | head -c 0; get http://192.0.2.1:8000/big | head -c 5 | wc -c",
    );
    assert_eq!(out, "a page\n0\na page\n0\nHTTP/1.1 200 OK\r\n1\nnothing is made\n1\n1\nfetched\n5\n", "{err}");
    assert_eq!(
        err,
        "synfin: get http://192.0.2.1:8000/none: 404 Not Found\n\
         synfin: get http://192.0.2.1:81/: connection refused\n\
         synfin: get http://www.example.test:81/: connect 192.0.2.1:81: connection refused\n"
    );
    assert!(p.read("big") == big);
}

#[test]
fn an_address_that_does_not_answer_costs_a_moment_only() {
    if !has("an_address_that_does_not_answer_costs_a_moment_only", &["python3"]) {
        return;
    }
    let (p, _) = place("get-race");
    // Its first address is silent: a SYN there is sent again for more than a minute.
    let (out, err) = beside(
        &p,
        "8000",
        r"get --max-time 30 http://silent.example.test:8000/page
          printf 'GET /page HTTP/1.0\r\n\r\n' | timeout 30 $SYNFIN connect $LINK --hosts hosts silent.example.test 8000 | tail -n 1
          get --max-time 30 --addr 192.0.2.3/24 http://www.example.test:8000/page",
    );
    assert_eq!((out.as_str(), err.as_str()), ("a page\na page\na page\n", ""));
}

#[test]
fn redirects_are_followed_so_far_and_no_further() {
    if !has("redirects_are_followed_so_far_and_no_further", &["python3"]) {
        return;
    }
    let (p, _) = place("get-moved");
    let (out, err) = beside(
        &p,
        "8000 8001",
        "get http://192.0.2.1:8000/moved
         get http://192.0.2.1:8000/stale
         get http://u:p@192.0.2.1:8000/me
         get http://u:p@192.0.2.1:8000/away
         get http://192.0.2.1:8000/loop; echo $?
         get --max-redirs 0 http://192.0.2.1:8000/moved; echo $?
         get http://192.0.2.1:8000/file; echo $?; grep -c loop asked",
    );
    // The password goes to its own origin, and to no other.
    assert_eq!(
        out, "a page\na page\nBasic dTpw asks 192.0.2.1:8000\nnobody asks 192.0.2.1:8001\n1\n1\n1\n11\n",
        "{err}"
    );
    assert_eq!(
        err,
        "synfin: get http://192.0.2.1:8000/loop: more than 10 redirects (--max-redirs)\n\
         synfin: get http://192.0.2.1:8000/moved: more than 0 redirects (--max-redirs)\n\
         synfin: get http://192.0.2.1:8000/file: a redirect to file:///etc/passwd, which is neither http: nor https:\n"
    );
}

#[test]
fn answers_that_are_none_are_errors() {
    if !has("answers_that_are_none_are_errors", &["python3"]) {
        return;
    }
    let (p, _) = place("get-bad");
    let (out, err) = beside(
        &p,
        "8000",
        "for path in cut chunks long many noise; do get -o got http://192.0.2.1:8000/$path; echo $?; done
         get --max-time 0.5 http://192.0.2.1:8000/slow; echo $?
         get --connect-timeout 0.5 http://192.0.2.77/; echo $?
         $SYNFIN get $LINK http://192.0.2.1:8000/slower & g=$!
         until grep -q slower asked; do sleep 0.02; done; kill -TERM $g; wait $g; echo $?",
    );
    assert_eq!(out, "1\n".repeat(8), "{err}");
    let lines: Vec<&str> = err.lines().collect();
    for (line, words) in lines.iter().zip([
        "/cut: cut off after 400 of 1000 octets: ",
        "/chunks: cut off after 5 octets: ",
        "/long: the head of the answer has more than 65536 octets",
        "/many: the head of the answer has more than 65536 octets or 128 fields",
        "/noise: the answer is not HTTP",
        "/slow: not done within 0.5 s (--max-time)",
        "get http://192.0.2.77/: not connected within 0.5 s (--connect-timeout)",
        "ended by a signal before all was there",
    ]) {
        assert!(line.starts_with("synfin: ") && line.contains(words), "{words}: {err}");
    }
    assert_eq!(lines.len(), 8, "{err}");
}

#[test]
fn when_the_time_is_over_nothing_is_waited_for() {
    if !has("when_the_time_is_over_nothing_is_waited_for", &["python3"]) {
        return;
    }
    let (p, _) = place("get-time");
    let (out, err) = beside(
        &p,
        "8000",
        "get --max-time 3 -o got http://192.0.2.1:8000/stall; echo $?
         until test -e ended; do sleep 0.02; done; cat ended",
    );
    // Whoever waits for a close in order sends a FIN first.
    assert_eq!(out, "1\nreset\n", "{err}");
    assert_eq!(err, "synfin: get http://192.0.2.1:8000/stall: not done within 3 s (--max-time)\n");
}

#[test]
fn objects_are_on_standard_output_where_that_carries_no_data() {
    if !has("objects_are_on_standard_output_where_that_carries_no_data", &["python3"]) {
        return;
    }
    let (p, _) = place("get-json");
    let (out, err) = beside(
        &p,
        "8000",
        "get --json -o got http://192.0.2.1:8000/page >events; get --json -O http://192.0.2.1:8000/none >failed; echo $?
         get --json http://192.0.2.1:8000/none 2>told; echo $?",
    );
    assert_eq!((out.as_str(), err.as_str()), ("1\n1\n", ""));
    let events = |file: &str| -> Vec<serde_json::Value> {
        text(&p.read(file)).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let names =
        |file: &str| -> Vec<String> { events(file).iter().map(|o| o["event"].as_str().unwrap().to_string()).collect() };
    assert_eq!(names("events"), ["connected", "response", "done", "tcp"]);
    for file in ["failed", "told"] {
        assert_eq!(names(file), ["connected", "response", "error"]);
        assert_eq!(events(file)[2]["error"], "get http://192.0.2.1:8000/none: 404 Not Found");
    }
}

#[test]
fn what_was_cut_off_is_gone_on_with_if_it_is_the_same() {
    if !has("what_was_cut_off_is_gone_on_with_if_it_is_the_same", &["python3"]) {
        return;
    }
    let (p, big) = place("get-on");
    p.put("other", b"of something else");
    let (out, err) = beside(
        &p,
        "8000",
        "get -o part http://192.0.2.1:8000/half; echo $?; stat -c '%s %Y' part
         cp -p part liar
         get -C -o part http://192.0.2.1:8000/big; echo $?
         get -C -o part http://192.0.2.1:8000/big; echo $?
         get -C -o liar http://192.0.2.1:8000/liar; echo $?
         get -C -o other http://192.0.2.1:8000/big; echo $?
         get -C -o new http://192.0.2.1:8000/big; echo $?
         cp -p part page; get -C -o page http://192.0.2.1:8000/page; echo $?",
    );
    // The date of the file is what the next request asks by.
    assert_eq!(out, "1\n1572864 1577836800\n0\n0\n1\n0\n0\n0\n", "{err}");
    for name in ["part", "other", "new"] {
        assert!(p.read(name) == big, "{name}");
    }
    let asked = text(&p.read("asked"));
    let date = "Wed, 01 Jan 2020 00:00:00 GMT";
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[1], format!("GET /big bytes=1572864- {date}"));
    assert_eq!(lines[2], format!("GET /big bytes=3145728- {date}"));
    assert_eq!(lines[5], "GET /big None None");
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].contains("/half: cut off after 1572864 of 3145728 octets"), "{err}");
    assert!(
        lines[1].ends_with("/liar: asked for what follows 1572864 octets, it sends octets 1572863 to 3145727"),
        "{err}"
    );
    assert_eq!(lines[2], "synfin: it begins anew: what the server has is no continuation of the file");
    assert_eq!(lines[3..], ["synfin: it begins anew: the server offers no ranges"]);
    assert_eq!(p.read("page"), b"a page\n");
    assert!(p.read("liar") == big[..big.len() / 2], "nothing is added to it");
}

#[test]
fn https_is_checked_and_the_line_says_what_is_wrong() {
    if !has("https_is_checked_and_the_line_says_what_is_wrong", &["python3"]) {
        return;
    }
    let (p, big) = place("get-tls");
    certificates::put(&p);
    p.put("empty", b"");
    let (out, err) = beside(
        &p,
        "8000 8443=good 8444=name 8445=old 8446=stranger",
        "get -v --cacert ca.pem https://www.example.test:8443/page 2>told; echo $?
         get --cacert ca.pem https://192.0.2.1:8443/page; echo $?
         get --cacert ca.pem http://www.example.test:8000/secure; echo $?
         get --cacert ca.pem -o got https://192.0.2.1:8443/big; echo $?
         for port in 8444 8445 8446; do get --cacert ca.pem https://www.example.test:$port/page; echo $?; done
         get --cacert ca.pem https://other.example.test:8443/page; echo $?
         env SSL_CERT_FILE=ca.pem $SYNFIN get $LINK --hosts hosts https://www.example.test:8443/page; echo $?
         env SSL_CERT_FILE=empty SSL_CERT_DIR=nowhere $SYNFIN get $LINK --hosts hosts https://www.example.test:8443/page; echo $?
         get --cacert ca.pem https://www.example.test:8443/down; echo $?
         get https://www.example.test:8000/page; echo $?
         get --json --cacert ca.pem https://www.example.test:8443/page 2>objects
         get -vv --cacert ca.pem https://www.example.test:8443/page 2>segments >&2",
    );
    let page = "a page\n0\n";
    let bad = "1\n";
    assert_eq!(out, [page, page, page, "0\n", &bad.repeat(4), page, &bad.repeat(3), "a page\n"].concat(), "{err}");
    assert!(p.read("got") == big);
    let lines: Vec<&str> = err.lines().collect();
    for (line, words) in lines.iter().zip([
        ":8444/page: the certificate is refused: it is for another name: elsewhere.example.test, not www.example.test",
        ":8445/page: the certificate is refused: it has expired",
        ":8446/page: the certificate is refused: who has signed it is not trusted (unknown CA)",
        "other.example.test:8443/page: the certificate is refused: it is for another name: www.example.test, 192.0.2.1, not ",
        ":8443/page: this machine trusts nobody: --cacert FILE says whom to trust",
        "8443/down: a redirect from https to http://www.example.test:8000/page, which is not followed",
        ":8000/page: TLS: ",
    ]) {
        assert!(line.starts_with("synfin: get https://") && line.contains(words), "{words}: {err}");
    }
    assert_eq!(lines.len(), 7, "{err}");
    let told = text(&p.read("told"));
    let begins: Vec<&str> = told.lines().map(|l| l.split([':', ' ']).next().unwrap()).collect();
    assert_eq!(begins, ["TCP", "TLS", "certificate", "HTTP", "7", "TCP"], "{told}");
    assert!(told.contains("TLS: TLS 1.3, TLS13_AES_256_GCM_SHA384, in ") && told.contains(" ms"), "{told}");
    assert!(told.contains("CN=good?[31m, by CN=a CA of the test"), "what a terminal obeys is taken out: {told:?}");
    let events: Vec<serde_json::Value> =
        text(&p.read("objects")).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|o| o["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["connected", "tls", "certificate", "response", "done", "tcp"]);
    assert_eq!((&events[3]["status"], &events[4]["bytes"]), (&200.into(), &7.into()));
    assert!(events[5]["segs_in"].as_u64() > Some(0) && events[5]["cwnd"].as_u64() > Some(0), "{}", events[5]);
    let segments = text(&p.read("segments"));
    assert!(segments.contains("handshake 3/3") && segments.contains("TLS 1.3"), "{segments}");
}
