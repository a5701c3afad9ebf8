//! Real programs against ours, in a namespace: ncat, redis-cli, ssh, nmap beside a Linux host, ping, tracepath behind routers.
//! What is missing here is said to be not run. Telnet, curl, wget and netcat are in `everyday.rs`.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

mod place;

use place::{Place, has, pattern, text};
use std::fmt::Write;

/// `serves COMMAND..` starts a server of ours on `$LINK`, and `up` waits until it listens, `$server`; it tells into `told`.
const SERVES: &str = r#"serves() { : >told; $SYNFIN "$@" $LINK 2>told & server=$!; up; }
up() { until grep -sq listening told; do kill -0 $server || exit 99; sleep 0.02; done; }
ends() { kill -TERM $server; wait $server || echo "the server ends with $?"; }"#;

#[test]
fn ncat_talks_both_ways_over_halves_that_close_one_by_one() {
    if !has("ncat_talks_both_ways_over_halves_that_close_one_by_one", &["ncat", "sha256sum"]) {
        return;
    }
    let p = Place::new("ncat");
    let (ours, theirs) = (pattern(3 << 20, 6), pattern(2 << 20, 7));
    p.put("ours", &ours);
    p.put("theirs", &theirs);
    // The first answer is to the whole text, so it comes over the half that ncat has left open. Then both have something to
    // say, ncat as client and as server.
    let o = p.script(&format!(
        "{SERVES}
         sha256sum <theirs >sum; serves listen 7000 --keep-open --exec sha256sum
         for at in 192.0.2.2 fd00:2::2; do ncat $at 7000 <theirs | cmp - sum || echo bad; done; ends
         rm told; $SYNFIN listen 7001 $LINK <ours >heard 2>told & server=$!; up; ncat 192.0.2.2 7001 <theirs >got; wait $server; echo $?
         ncat -l 7002 <theirs >heard2 & n=$!; listens 7002
         $SYNFIN connect $LINK 192.0.2.1 7002 <ours >got2; echo $?; wait $n; echo $?",
    ));
    assert_eq!((text(&o.stdout).as_str(), text(&o.stderr).as_str()), ("0\n0\n0\n", ""));
    // "got" is what ncat has got: ours; the other way round where ncat is the server.
    assert!(p.read("got") == ours && p.read("heard") == theirs);
    assert!(p.read("got2") == theirs && p.read("heard2") == ours);
}

#[test]
fn redis_is_served_to_redis_cli_over_our_connections() {
    if !has("redis_is_served_to_redis_cli_over_our_connections", &["redis-server", "redis-cli", "nc.openbsd"]) {
        return;
    }
    let p = Place::new("redis-cli");
    let big = pattern(3 << 20, 8);
    p.put("big", &big);
    let mut many = String::new();
    for i in 0..1_000 {
        let _ = write!(many, "SET key{i} {i}\r\n");
    }
    p.put("many", many.as_bytes());
    // The server has no TCP port: what reaches it has come over ours.
    let o = p.script(&format!(
        "{SERVES}
         redis-server --port 0 --unixsocket redis.sock --save '' >log & n=$!; until test -S redis.sock; do sleep 0.02; done
         serves listen 6379 --keep-open --exec 'exec nc.openbsd -N -U redis.sock'
         r() {{ redis-cli -h 192.0.2.2 \"$@\"; }}
         r PING; r -x SET big <big; r --raw GET big | head -c 3145728 >back
         redis-cli -h fd00:2::2 STRLEN big
         r --pipe <many | tail -n 1; r DBSIZE
         r SUBSCRIBE news >heard & c=$!; until test \"$(r PUBSUB NUMSUB news | tail -n 1)\" = 1; do sleep 0.02; done
         r PUBLISH news hello; until grep -q hello heard; do sleep 0.02; done; kill $c; wait $c
         r -e INCR big; echo $?
         ends; kill $n"
    ));
    let said = "PONG\nOK\n3145728\nerrors: 0, replies: 1000\n1001\n1\n1\n";
    let error = "ERR value is not an integer or out of range";
    assert_eq!(text(&o.stdout), said, "{}", text(&o.stderr));
    assert!(text(&o.stderr).contains(error), "{}", text(&o.stderr));
    assert!(p.read("back") == big);
}

#[test]
fn ssh_runs_commands_over_our_connections() {
    if !has("ssh_runs_commands_over_our_connections", &["ssh", "sshd", "ssh-keygen"]) {
        return;
    }
    let p = Place::new("ssh");
    let big = pattern(5 << 20, 9);
    p.put("big", &big);
    p.put("passwd", format!("tester:x:1000:1000::{}:/bin/sh\n", p.0.display()).as_bytes());
    let here = p.0.display();
    p.put(
        "conf",
        format!("HostKey {here}/host\nAuthorizedKeysFile {here}/user.pub\nPidFile none\nStrictModes no\nUsePAM no\n")
            .as_bytes(),
    );
    // As a user that is not root, sshd serves that user and asks for no privilege. The user is made here, with a file of
    // users that only sshd sees.
    p.put(
        "login",
        format!(
            "exec unshare -Urm sh -c 'mount --bind passwd /etc/passwd &&
               exec unshare -U --map-user=1000 --map-group=1000 $(command -v sshd) -i -e -f {here}/conf' 2>>log\n"
        )
        .as_bytes(),
    );
    let o = p.script(&format!(
        "{SERVES}
         for k in host user; do ssh-keygen -q -t ed25519 -N '' -f $k; done
         serves listen 22 --keep-open --exec 'exec sh login'
         s() {{ at=$1; shift; ssh -F none -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR tester@$at \"$@\"; }}
         s 192.0.2.2 'echo out; echo err >&2; exit 7'; echo $?
         s fd00:2::2 'tr a-z A-Z' <passwd
         s 192.0.2.2 'cat >copy' <big; echo $?; s 192.0.2.2 'cat copy' >back; echo $?
         grep -c 'Accepted publickey for tester' log
         ends"
    ));
    let log = || if p.0.join("log").exists() { text(&p.read("log")) } else { String::new() };
    let upper = format!("tester:x:1000:1000::{here}:/bin/sh\n").to_uppercase();
    assert_eq!(text(&o.stdout), format!("out\n7\n{upper}0\n0\n4\n"), "{}{}", text(&o.stderr), log());
    assert_eq!(text(&o.stderr), "err\n", "{}", log());
    assert!(p.read("copy") == big && p.read("back") == big);
}

#[test]
fn ssh_is_served_as_the_readme_says_in_the_programs_own_namespace() {
    if !has("ssh_is_served_as_the_readme_says_in_the_programs_own_namespace", &["ssh", "sshd", "ssh-keygen"]) {
        return;
    }
    let p = Place::new("ssh-own");
    let here = p.0.display();
    p.put("passwd", format!("root:x:0:0::/:/bin/sh\ntester:x:1000:1000::{here}:/bin/sh\n").as_bytes());
    p.put(
        "conf",
        format!("HostKey {here}/host\nAuthorizedKeysFile {here}/user.pub\nPidFile none\nStrictModes no\nUsePAM no\n")
            .as_bytes(),
    );
    // All of it is done by the user that the README's line is for; only the file of users is ours.
    p.put(
        "as-user",
        format!(
            r#"{SERVES}
         served() {{
           : >told; $SYNFIN listen 22 -k --exec "$1" 2>told & server=$!; up; until grep -q 'way in' told; do sleep 0.02; done
           way=$(sed -n 's/.*the way in: \(.*\) COMMAND/\1/p' told)
           $way ssh -F none -i user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR tester@192.0.2.2 'id -u' 2>refused
           echo $?; ends
         }}
         id -u
         served "exec unshare -U --map-user=$(id -u) --map-group=$(id -g) $(command -v sshd) -i -e -f conf 2>>log"
         served "exec $(command -v sshd) -i -e -f $PWD/conf 2>>log2"
"#
        )
        .as_bytes(),
    );
    let o = p.script(
        "for k in host user; do ssh-keygen -q -t ed25519 -N '' -f $k; done
         unshare -m sh -c 'mount --bind passwd /etc/passwd && exec unshare -U --map-user=1000 --map-group=1000 sh as-user'",
    );
    let log = || if p.0.join("log").exists() { text(&p.read("log")) } else { String::new() };
    // The second is what does not work, and why the first is as it is.
    assert_eq!(text(&o.stdout), "1000\n1000\n0\n255\n", "{}{}", text(&o.stderr), log());
}

/// What nmap says of each port, host by host.
fn ports(said: &str) -> Vec<Vec<&str>> {
    let hosts = said.split("Nmap scan report for ").skip(1);
    hosts.map(|h| h.lines().filter(|l| l.contains("/tcp ") || l.contains("/udp ")).collect()).collect()
}

#[test]
fn nmap_finds_the_same_here_and_at_a_linux_host() {
    if !has("nmap_finds_the_same_here_and_at_a_linux_host", &["nmap", "python3", "ip"]) {
        return;
    }
    let p = Place::new("nmap");
    // Port 80 is open, 81 closed, 82 behind a firewall; that of the Linux host is a rule of its routing. The patience of nmap
    // is such that a machine that stands still for seconds changes nothing.
    let o = p.script(&format!(
        "{SERVES}
         unshare -n sleep 99 & far=$!
         until test \"$(readlink /proc/$far/ns/net)\" != \"$(readlink /proc/$$/ns/net)\"; do sleep 0.02; done
         there() {{ nsenter -t $far -n \"$@\"; }}
         ip link add v0 type veth peer name v1; ip link set v1 netns $far
         ip addr add 198.51.100.1/24 dev v0; ip addr add fd00:3::1/64 dev v0 nodad; ip link set v0 up
         there ip addr add 198.51.100.2/24 dev v1; there ip addr add fd00:3::2/64 dev v1 nodad; there ip link set v1 up
         for v in -4 -6; do
           there ip $v rule add pref 10 lookup local && there ip $v rule del pref 0
           for proto in tcp udp; do there ip $v rule add pref 5 iif v1 ipproto $proto dport 82 blackhole || exit 98; done
         done
         nsenter -t $far -n python3 -c \"import socket, time; l = socket.create_server(('', 80), family=socket.AF_INET6, dualstack_ipv6=True); open('up', 'w'); time.sleep(99)\" & s=$!
         until test -e up; do sleep 0.02; done
         serves serve --http 80=. --drop 82 --stats
         n=
         scan() {{ f=$1; shift; nmap -n -Pn -p 80-82 --reason --min-rtt-timeout 2s --initial-rtt-timeout 2s --max-rtt-timeout 8s --max-retries 6 \"$@\" >scan$f 2>&1 & n=\"$n $!\"; }}
         for kind in S T A W M N F X U; do scan -s$kind -s$kind 192.0.2.2 198.51.100.2; done
         scan -f -f -sS 192.0.2.2
         for kind in S T A N U; do scan -6s$kind -6 -s$kind fd00:2::2 fd00:3::2; done
         wait $n; ends; kill $far $s"
    ));
    assert!(o.status.success() && o.stdout.is_empty(), "{}{}", text(&o.stdout), text(&o.stderr));
    let nothing_heard = "filtered   no-response";
    for (scan, open, closed, filtered) in [
        ("-sS", "open     syn-ack", "closed   reset", nothing_heard),
        ("-sT", "open     syn-ack", "closed   conn-refused", nothing_heard),
        ("-sA", "unfiltered reset", "unfiltered reset", nothing_heard),
        ("-sW", "", "", nothing_heard),
        ("-sM", "", "closed reset", "open|filtered no-response"),
        ("-sN", "open|filtered no-response", "closed reset", "open|filtered no-response"),
        ("-sF", "open|filtered no-response", "closed reset", "open|filtered no-response"),
        ("-sX", "open|filtered no-response", "closed reset", "open|filtered no-response"),
        ("-sU", "closed port-unreach", "closed port-unreach", "open|filtered no-response"),
        ("-f", "open syn-ack", "closed reset", nothing_heard),
        ("-6sS", "open syn-ack", "closed reset", nothing_heard),
        ("-6sT", "open syn-ack", "closed conn-refused", nothing_heard),
        ("-6sA", "unfiltered reset", "unfiltered reset", nothing_heard),
        ("-6sN", "open|filtered no-response", "closed reset", "open|filtered no-response"),
        ("-6sU", "closed port-unreach", "closed port-unreach", "open|filtered no-response"),
    ] {
        let said = text(&p.read(&format!("scan{scan}")));
        let hosts = ports(&said);
        // A rule of routing judges fragments one by one, so with fragments ours is not compared.
        assert_eq!(hosts.len(), if scan == "-f" { 1 } else { 2 }, "{scan}: {said}");
        assert!(hosts.iter().all(|h| *h == hosts[0] && h.len() == 3), "{scan}: ours and Linux: {said}");
        for (line, words) in hosts[0].iter().zip([open, closed, filtered]) {
            assert!(
                words.split_whitespace().all(|w| line.split_whitespace().any(|l| l == w)),
                "{scan}: {words}: {said}"
            );
        }
    }
    assert!(text(&p.read("told")).contains("SynfinDroppedByPort "), "{}", text(&p.read("told")));
}

#[test]
fn ping_of_iputils_and_ours_end_alike() {
    if !has("ping_of_iputils_and_ours_end_alike", &["ping"]) {
        return;
    }
    let p = Place::new("ping-ends");
    // Ours asks the kernel what the kernel's asks ours. Who waits for an answer that is to come waits long.
    let cases = [
        ("192.0.2.2", "192.0.2.1", "-c 3 -i 0.2 -W 60", 0),
        ("192.0.2.2", "192.0.2.1", "-c 1 -W 60 -s 0", 0),
        ("192.0.2.2", "192.0.2.1", "-c 1 -W 60 -s 65507", 0),
        ("fd00:2::2", "fd00:2::1", "-c 1 -W 60 -s 1452", 0),
        ("fd00:2::2", "fd00:2::1", "-c 2 -i 0.2 -W 60 -s 20000", 0),
        ("192.0.2.77", "192.0.2.77", "-c 1 -W 0.5", 1),
        ("192.0.2.77", "192.0.2.77", "-w 1", 1),
        ("203.0.113.1", "203.0.113.1", "-c 1", 2),
        ("fd00:9::1", "fd00:9::1", "-c 1", 2),
    ];
    let mut script = format!("{SERVES}\nserves serve --echo\n");
    for (theirs, _, args, _) in cases {
        let _ = writeln!(
            script,
            "ping -n {args} {theirs} >said 2>&1; echo $?; grep -c ' bytes from {theirs}: icmp_seq=' said"
        );
    }
    script += "ends\n";
    for (_, ours, args, _) in cases {
        let _ = writeln!(
            script,
            "$SYNFIN ping $LINK -n {args} {ours} >said 2>&1; echo $?; grep -c ' bytes from {ours}: icmp_seq=' said"
        );
    }
    let o = p.script(&script);
    let mut want = String::new();
    for (_, _, args, code) in cases {
        let answers = if code > 0 { "0" } else { &args[3..4] };
        let _ = writeln!(want, "{code}\n{answers}");
    }
    assert_eq!(text(&o.stdout), want.repeat(2), "{}", text(&o.stderr));
}

#[test]
fn tracepath_reaches_us_behind_routers_and_learns_the_path_mtu() {
    if !has("tracepath_reaches_us_behind_routers_and_learns_the_path_mtu", &["tracepath", "curl", "ip"]) {
        return;
    }
    let p = Place::new("tracepath");
    let big = pattern(3 << 20, 10);
    p.put("big", &big);
    // asker -- router -- (1300) -- router, the script's own namespace -- our host. Its own link carries 1500, so that it too has
    // to learn what the path carries when it sends.
    let o = p.script(&format!(
        "{SERVES}
         ns() {{
           unshare -n sleep 99 & n=$!
           until test \"$(readlink /proc/$n/ns/net)\" != \"$(readlink /proc/$$/ns/net)\"; do sleep 0.02; done
         }}
         ns; asker=$n; ns; router=$n
         A() {{ nsenter -t $asker -n \"$@\"; }}
         R() {{ nsenter -t $router -n \"$@\"; }}
         ip link add a0 type veth peer name a1; ip link set a0 netns $asker; ip link set a1 netns $router
         ip link add r0 type veth peer name r1 mtu 1300; ip link set r0 netns $router
         A ip addr add 198.51.100.1/24 dev a0; A ip addr add fd00:3::1/64 dev a0 nodad; A ip link set a0 up
         R ip addr add 198.51.100.2/24 dev a1; R ip addr add fd00:3::2/64 dev a1 nodad; R ip link set a1 up
         R ip addr add 203.0.113.1/24 dev r0; R ip addr add fd00:4::1/64 dev r0 nodad; R ip link set r0 mtu 1300 up
         ip addr add 203.0.113.2/24 dev r1; ip addr add fd00:4::2/64 dev r1 nodad; ip link set r1 mtu 1300 up
         for forwarding in ipv4/ip_forward ipv6/conf/all/forwarding; do
           R sh -c \"echo 1 >/proc/sys/net/$forwarding\"; echo 1 >/proc/sys/net/$forwarding
         done
         A ip route add default via 198.51.100.2; A ip route add default via fd00:3::2
         R ip route add default via 203.0.113.2; R ip route add default via fd00:4::2
         ip route add default via 203.0.113.1; ip route add default via fd00:4::1
         serves serve --http 80=. --gateway 192.0.2.1 --gateway fd00:2::1 --stats
         for at in 192.0.2.2 fd00:2::2; do A tracepath -n $at; done
         A curl -s http://192.0.2.2/big >got4; A curl -sg 'http://[fd00:2::2]/big' >got6
         ends; kill $asker $router"
    ));
    let said = text(&o.stdout);
    for at in ["192.0.2.2 ", "fd00:2::2 "] {
        let reached = said.lines().find(|l| l.contains(at) && l.ends_with("reached"));
        assert!(reached.is_some_and(|l| l.trim_start().starts_with("3:")), "{at}: {said}{}", text(&o.stderr));
    }
    assert_eq!(said.matches("pmtu 1300\n").count(), 2, "{said}");
    assert_eq!(said.matches("Resume: pmtu 1300 hops 3 back 3 \n").count(), 2, "{said}");
    assert!(p.read("got4") == big && p.read("got6") == big, "what we send fits too");
    // Both versions of IP were told once at least that a packet was too big.
    let told = text(&p.read("told"));
    let errors = told.lines().find_map(|l| l.strip_prefix("IcmpInMsgs")).map(|n| n.trim().parse::<u32>().unwrap());
    assert!(errors.is_some_and(|n| n >= 2), "{told}");
}
