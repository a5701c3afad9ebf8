//! `synfin path` between two kernels: a TAP on one side, a packet socket on a veth on the other, in namespaces that the test makes.

#![allow(clippy::unwrap_used)] // a test that fails may well panic

use std::path::Path;
use std::process::{Command, Stdio};

/// Two kernels, 192.0.2.1 behind the TAP `t` and 192.0.2.2 behind `v1`; between `t` and `v0` the path. The far one gives back what
/// it is sent. `v0` has no address and answers no ARP: what it hears is for the path alone.
const SCRIPT: &str = r#"
set -eu
synfin=$1
cd "$2"
far=
trap 'kill $far $path $server 2>/dev/null || true' EXIT
path= server=
unshare -n sleep 110 & far=$!
n=0
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do n=$((n+1)); [ $n -lt 1200 ]; sleep 0.05; done
ip link add v0 type veth peer name v1
ip link set v1 netns $far
nsenter -t $far -n ip addr add 192.0.2.2/24 dev v1
nsenter -t $far -n ip link set v1 up
ip link set v0 arp off up
"$synfin" path --link tap:t,host=192.0.2.1/24 --link packet:v0 --delay 20ms --for 100s --json >report & path=$!
n=0
until grep -q '"event":"up"' report; do n=$((n+1)); [ $n -lt 1200 ]; sleep 0.05; done
nsenter -t $far -n perl -MIO::Socket::INET -e '
  my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => "192.0.2.2", LocalPort => 7, ReuseAddr => 1) or die $!;
  open my $f, ">", "ready"; close $f;
  my $c = $l->accept or die $!;
  while (sysread $c, my $b, 65536) { print $c $b; }' & server=$!
n=0
until [ -e ready ]; do n=$((n+1)); [ $n -lt 1200 ]; sleep 0.05; done
perl -MIO::Socket::INET -MTime::HiRes=time -e '
  my $t = time;
  my $c = IO::Socket::INET->new(PeerAddr => "192.0.2.2", PeerPort => 7, Timeout => 60) or die $!;
  printf "handshake %.0f\n", (time - $t) * 1000;
  my $text = join "", map { chr(($_ * 2654435761 >> 24) & 255) } 1 .. 300_000;
  my $pid = fork;
  if (!$pid) { print $c $text; $c->shutdown(1); exit }
  my $back = "";
  while (sysread $c, my $b, 65536) { $back .= $b }
  waitpid $pid, 0;
  print $back eq $text ? "the same\n" : "not the same: " . length($back) . "\n";'
kill -INT $path; wait $path; cat report
"#;

#[test]
fn a_tap_and_a_packet_socket_are_the_ends_of_a_path() {
    let here = |program: &str, args: &[&str]| {
        Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let lacks = [
        ("no namespaces", here("unshare", &["-Urn", "true"])),
        ("no /dev/net/tun", Path::new("/dev/net/tun").exists()),
        ("no perl", here("perl", &["-MIO::Socket::INET", "-e", "1"])),
        ("no ip, of iproute2", here("ip", &["-V"])),
    ];
    if let Some((why, _)) = lacks.iter().find(|l| !l.1) {
        eprintln!("not run: a_tap_and_a_packet_socket_are_the_ends_of_a_path: {why}");
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("path-links-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let o = Command::new("timeout")
        .args(["120", "unshare", "-Urn", "bash", "-c", SCRIPT, "path-links", env!("CARGO_BIN_EXE_synfin")])
        .arg(&dir)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let (out, err) = (String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
    assert!(o.status.success(), "{out}{err}");
    let [handshake, text, reports @ ..] = &out.lines().collect::<Vec<_>>()[..] else { panic!("{out}{err}") };
    let ms: u32 = handshake.strip_prefix("handshake ").unwrap().parse().unwrap();
    assert!(ms >= 80, "ARP and the handshake go both ways, 20 ms each: {ms} ms");
    assert_eq!(*text, "the same");
    let reports: Vec<serde_json::Value> = reports.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    for (n, from, to) in [(1, "tap:t", "packet:v0"), (2, "packet:v0", "tap:t")] {
        let r = &reports[n];
        assert_eq!((&r["from"], &r["to"]), (&from.into(), &to.into()));
        // Super-segments were cut, and checksums completed: the text and its headers went by in frames that a wire carries.
        let (packets, bytes) = (r["packets_in"].as_u64().unwrap(), r["bytes_in"].as_u64().unwrap());
        assert!(bytes > 300_000 && packets > 206 && r["lost"] == serde_json::json!({}), "{r}");
    }
}
