//! Ours against real servers on the kernel's sockets, in a namespace: `get` and `connect` against nginx, redis and python's
//! http.server. What is missing here is said to be not run. What servers do wrong is in `get.rs`, with one made for that.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod place;

use place::{Place, certificates, has, pattern, text};

/// `nginx_up` starts it and waits until it listens, `$n`. 8000 is plain, 8443 and 8444 have the good certificate, the second TLS
/// 1.2 only; 8445 to 8448 have one that is for another name, too old, by a stranger, for a CA.
const NGINX: &str = r#"nginx_up() { nginx -p "$PWD/" -c nginx.conf -e error.log & n=$!; listens 8000; }
get() { $SYNFIN get $LINK --hosts hosts "$@"; }"#;

const NGINX_CONF: &str = r"daemon off; master_process off; pid nginx.pid; user root root;
events {}
http {
  log_format asked '$server_port $connection_requests $request_method $uri $status $http_range';
  access_log asked asked;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  root www;
  server {
    listen 8000; listen [::]:8000;
    location = /moved { return 302 /page; }
    location = /last { keepalive_timeout 0; return 302 /moved; }
    location = /secure { return 301 https://www.example.test:8443/page; }
    location = /slow { alias www/big; limit_rate_after 1m; limit_rate 1k; }
    location /list/ { autoindex on; }
  }
  TLS
}
";

/// A place with nginx's settings, certificates, and files to be fetched.
fn nginx(name: &str) -> (Place, Vec<u8>) {
    let p = Place::new(name);
    certificates::put(&p);
    let tls = [("8443", "good", "TLSv1.2 TLSv1.3"), ("8444", "good", "TLSv1.2")].into_iter();
    let tls = tls.chain([
        ("8445", "name", "TLSv1.3"),
        ("8446", "old", "TLSv1.3"),
        ("8447", "stranger", "TLSv1.3"),
        ("8448", "ca", "TLSv1.3"),
    ]);
    let tls = tls.map(|(port, cert, versions)| {
        format!("server {{ listen {port} ssl; ssl_protocols {versions}; ssl_certificate {cert}.pem; ssl_certificate_key {cert}.key; }}\n")
    });
    p.put("nginx.conf", NGINX_CONF.replace("TLS\n", &tls.collect::<String>()).as_bytes());
    p.put("hosts", b"192.0.2.1 www.example.test\n");
    let big = pattern(5 << 20, 11);
    p.put("www/big", &big);
    p.put("www/page", b"a page\n");
    for i in 0..300 {
        p.put(&format!("www/list/file{i}"), b"x");
    }
    (p, big)
}

#[test]
fn nginx_gives_files_whole_and_in_parts() {
    if !has("nginx_gives_files_whole_and_in_parts", &["nginx"]) {
        return;
    }
    let (p, big) = nginx("nginx-files");
    // What is fetched of /slow stops after a mebibyte, then the server is killed; another gives the rest.
    let o = p.script(&format!(
        "{NGINX}
         nginx_up
         get http://192.0.2.1:8000/page; get 'http://[fd00:2::1]:8000/page'; get http://192.0.2.1:8000/moved
         get http://192.0.2.1:8000/list/ | grep -c '<a href=\"file'
         get -I http://192.0.2.1:8000/big | grep -ci '^http/1.1 200\\|^content-length: 5242880\\|^accept-ranges: bytes'
         get -o none http://192.0.2.1:8000/none; echo $?; test -e none || echo nothing is made
         get -o whole http://192.0.2.1:8000/big; echo $?
         cp -p whole part; truncate -s 1000000 part; touch -r whole part; get -C -o part http://192.0.2.1:8000/big; echo $?
         get -o cut http://192.0.2.1:8000/slow & g=$!
         until test \"$(stat -c %s cut 2>/dev/null || echo 0)\" -ge 1048576; do sleep 0.02; done
         kill -KILL $n; wait $g; echo $?
         nginx_up; get -C -o cut http://192.0.2.1:8000/big; echo $?; kill $n"
    ));
    let err = text(&o.stderr);
    assert_eq!(text(&o.stdout), "a page\na page\na page\n300\n3\n1\nnothing is made\n0\n0\n1\n0\n", "{err}");
    let lines: Vec<&str> = err.lines().filter(|l| l.starts_with("synfin: ")).collect();
    assert_eq!(lines[0], "synfin: get http://192.0.2.1:8000/none: 404 Not Found");
    assert!(lines[1].contains("/slow: cut off after ") && lines[1].contains(" of 5242880 octets: "), "{err}");
    assert_eq!(lines.len(), 2, "{err}");
    for name in ["whole", "part", "cut"] {
        assert!(p.read(name) == big, "{name}");
    }
    let asked = text(&p.read("asked"));
    let parts: Vec<&str> = asked.lines().filter(|l| l.contains(" 206 ")).collect();
    assert!(parts.len() == 2 && parts[0] == "8000 1 GET /big 206 bytes=1000000-", "{asked}");
}

#[test]
fn nginx_answers_request_after_request_over_one_connection() {
    let name = "nginx_answers_request_after_request_over_one_connection";
    if !has(name, &["nginx"]) {
        return;
    }
    let (p, big) = nginx("nginx-keep");
    let ask = |what: &str, last: &str| format!("{what} HTTP/1.1\r\nHost: www.example.test\r\n{last}\r\n");
    // The first three are sent at once; the last when all of their answers is there.
    p.put("first", [ask("GET /page", ""), ask("HEAD /none", ""), ask("GET /big", "")].concat().as_bytes());
    p.put("last", ask("GET /page", "Connection: close\r\n").as_bytes());
    let o = p.script(&format!(
        "{NGINX}
         nginx_up; : >got
         get http://192.0.2.1:8000/last
         {{ cat first; until test $(stat -c %s got) -gt 5242880; do sleep 0.02; done; sleep 0.1; cat last; }} |
           $SYNFIN connect $LINK 192.0.2.1 8000 >got
         echo $?; kill $n"
    ));
    assert_eq!((text(&o.stdout).as_str(), text(&o.stderr).as_str()), ("a page\n0\n", ""));
    let got = p.read("got");
    assert!(got.windows(big.len()).any(|w| w == big), "the file is in it");
    let heads = |code: &str| got.windows(12).filter(|w| *w == format!("HTTP/1.1 {code}").as_bytes()).count();
    assert_eq!((heads("200"), heads("404")), (3, 1));
    assert!(got.ends_with(b"\r\n\r\na page\n"));
    let asked = text(&p.read("asked"));
    // A redirect is followed on the connection that it came by, unless the server ends that.
    let followed = ["1 GET /last 302 -", "1 GET /moved 302 -", "2 GET /page 200 -"];
    let lines = ["1 GET /page 200 -", "2 HEAD /none 404 -", "3 GET /big 200 -", "4 GET /page 200 -"];
    let lines: Vec<String> = followed.into_iter().chain(lines).map(|l| format!("8000 {l}")).collect();
    assert_eq!(asked.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn nginx_is_believed_with_the_right_certificate_only() {
    if !has("nginx_is_believed_with_the_right_certificate_only", &["nginx"]) {
        return;
    }
    let (p, big) = nginx("nginx-tls");
    let o = p.script(&format!(
        "{NGINX}
         nginx_up; listens 8448
         for port in 8443 8444; do get -v --cacert ca.pem https://www.example.test:$port/page 2>told$port; echo $?; done
         get --cacert ca.pem https://192.0.2.1:8443/page; echo $?
         get --cacert ca.pem http://192.0.2.1:8000/secure; echo $?
         get --cacert ca.pem -o whole https://www.example.test:8443/big; echo $?
         for port in 8445 8446 8447 8448; do get --cacert ca.pem https://www.example.test:$port/page; echo $?; done
         get --cacert other.pem https://www.example.test:8443/page; echo $?
         get --cacert ca.pem http://www.example.test:8443/page; echo $?
         kill $n"
    ));
    let err = text(&o.stderr);
    assert_eq!(text(&o.stdout), "a page\n0\n".repeat(4) + "0\n" + &"1\n".repeat(6), "{err}");
    assert!(p.read("whole") == big);
    for (file, version) in [("told8443", "TLS: TLS 1.3, "), ("told8444", "TLS: TLS 1.2, ")] {
        assert!(text(&p.read(file)).contains(version), "{}", text(&p.read(file)));
    }
    let lines: Vec<&str> = err.lines().filter(|l| l.starts_with("synfin: ")).collect();
    for (line, words) in lines.iter().zip([
        ":8445/page: the certificate is refused: it is for another name: elsewhere.example.test, not www.example.test",
        ":8446/page: the certificate is refused: it has expired",
        ":8447/page: the certificate is refused: who has signed it is not trusted (unknown CA)",
        ":8448/page: the certificate is refused: it is that of a CA, which signs others, and no server's",
        ":8443/page: the certificate is refused: who has signed it is not trusted (unknown CA)",
        // It is HTTP spoken to a port of https, which nginx says so.
        ":8443/page: 400 Bad Request",
    ]) {
        assert!(line.contains(words), "{words}: {err}");
    }
    assert_eq!(lines.len(), 6, "{err}");
    let asked = text(&p.read("asked"));
    assert!(
        !["8445", "8446", "8447", "8448"].iter().any(|port| asked.contains(port)),
        "nothing was asked of them: {asked}"
    );
}

#[test]
fn redis_takes_and_gives_megabytes() {
    if !has("redis_takes_and_gives_megabytes", &["redis-server"]) {
        return;
    }
    let p = Place::new("redis-big");
    let big = pattern(3 << 20, 12);
    let bulk = |b: &[u8]| [format!("${}\r\n", b.len()).as_bytes(), b, b"\r\n"].concat();
    let set = [b"*3\r\n".as_slice(), &bulk(b"SET"), &bulk(b"big"), &bulk(&big)].concat();
    p.put("asked", &[&set, &b"GET big\r\nINCR n\r\nINCR n\r\nNOSUCH\r\nQUIT\r\n"[..]].concat());
    // Redis throws away what it has not sent when it reads our FIN: it comes after the answers.
    let o = p.script(
        "redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' >log & n=$!; listens 6379; : >got
         { cat asked; until grep -qa 'unknown command' got; do sleep 0.02; done; } | $SYNFIN connect $LINK 192.0.2.1 6379 >got
         echo $?; kill $n",
    );
    assert_eq!((text(&o.stdout).as_str(), text(&o.stderr).as_str()), ("0\n", ""));
    let got = p.read("got");
    let want = [b"+OK\r\n".as_slice(), &bulk(&big), b":1\r\n:2\r\n-ERR unknown command"].concat();
    assert!(got.starts_with(&want) && got.ends_with(b"\r\n+OK\r\n"), "{} octets", got.len());
}

#[test]
fn the_web_server_of_python_lists_and_gives_files() {
    if !has("the_web_server_of_python_lists_and_gives_files", &["python3"]) {
        return;
    }
    let p = Place::new("python-files");
    let big = pattern(3 << 20, 13);
    p.put("www/big", &big);
    p.put("www/sub/a b.txt", b"a page\n");
    let o = p.script(
        "python3 -m http.server --directory www 8000 >log 2>&1 & n=$!; listens 8000
         get() { $SYNFIN get $LINK \"$@\"; }
         get http://192.0.2.1:8000/ | grep -c '<a href=\"big\">\\|<a href=\"sub/\">'
         get http://192.0.2.1:8000/sub | grep -c 'a%20b.txt'; get http://192.0.2.1:8000/sub/a%20b.txt
         get -o got http://192.0.2.1:8000/big; echo $?; get http://192.0.2.1:8000/none; echo $?; kill $n",
    );
    assert_eq!(text(&o.stdout), "2\n1\na page\n0\n1\n", "{}", text(&o.stderr));
    assert_eq!(text(&o.stderr), "synfin: get http://192.0.2.1:8000/none: 404 Not Found\n");
    assert!(p.read("got") == big);
}
