//! Names over our own UDP and TCP: hickory-resolver runs unchanged over our sockets, against name servers of the test's own on
//! our sockets, too.

mod pair;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A as RdataA, AAAA as RdataAaaa};
use hickory_proto::rr::{RData, Record, RecordType};
use pair::b;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synfin::Stack;
use synfin::device::{Device, memory_pair};
use synfin::names::{Hosts, Resolver, ResolverSettings, Target};
use synfin::tokio::{TcpListener, UdpSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than any test may take: what is not heard at once would not be heard.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// The client at 192.0.2.1 and fd00:2::1; the servers' host at 192.0.2.2 to .4 and fd00:2::2.
fn hosts() -> io::Result<(Stack, Stack)> {
    let (a, b) = memory_pair(1500, true)?;
    let client = Stack::builder().address("192.0.2.1/24")?.address("fd00:2::1/64")?;
    let mut server = Stack::builder().address("fd00:2::2/64")?;
    for last in 2..=4 {
        server = server.address(&format!("192.0.2.{last}/24"))?;
    }
    Ok((client.start(Device::Memory(a))?, server.start(Device::Memory(b))?))
}

fn ip(s: &str) -> IpAddr {
    s.parse().expect("an address")
}

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Answers,
    Silent,
    /// It says that it has failed.
    Fails,
    /// Before the answer come others, of which none is to this question.
    Forged,
}

/// What a name server that runs was asked: on a slow machine the same question may come again.
#[derive(Default)]
struct Asked {
    udp: Mutex<BTreeSet<(u16, String)>>,
    tcp: Mutex<BTreeSet<(u16, String)>>,
}

impl Asked {
    /// How many questions over UDP, and over TCP.
    fn count(&self) -> (usize, usize) {
        (self.udp.lock().expect("sound").len(), self.tcp.lock().expect("sound").len())
    }
}

/// Takes a question down.
fn note(asked: &Mutex<BTreeSet<(u16, String)>>, question: &[u8]) {
    let m = Message::from_vec(question).expect("a question");
    asked.lock().expect("sound").insert((m.metadata.id, format!("{}", m.queries[0])));
}

/// The addresses of names of example.test; `None` if there is no such name.
fn zone(name: &str, kind: RecordType) -> Option<Vec<RData>> {
    let v4 = |a: [u8; 4]| RData::A(RdataA(a.into()));
    let v6 = |a: &str| RData::AAAA(RdataAaaa(a.parse().expect("an address")));
    let (fours, sixes) = match name.strip_suffix(".example.test.")? {
        "www" => (vec![v4([192, 0, 2, 2])], vec![v6("fd00:2::2")]),
        "four" => (vec![v4([192, 0, 2, 2])], vec![]),
        "half" => (vec![v4([192, 0, 2, 2])], vec![v6("fd00:2::77")]), // nobody is at 77
        "bare" => (vec![], vec![]),
        "big" => ((1..=40).map(|n| v4([192, 0, 2, n])).collect(), vec![]),
        _ => return None,
    };
    Some(if kind == RecordType::A { fours } else { sixes })
}

/// What is said to a question; `room`: octets that there are for it.
fn reply(question: &[u8], mood: Mood, room: usize) -> Vec<u8> {
    let question = Message::from_vec(question).expect("a question");
    let mut m = question.clone().into_response();
    let q = question.queries.first().expect("one question").clone();
    if mood == Mood::Fails {
        m.metadata.response_code = ResponseCode::ServFail;
        return m.to_vec().expect("written");
    }
    match zone(&q.name().to_lowercase().to_ascii(), q.query_type()) {
        None => m.metadata.response_code = ResponseCode::NXDomain,
        Some(all) => {
            for data in all {
                m.add_answer(Record::from_rdata(q.name().clone(), 3_600, data));
            }
        }
    }
    let whole = m.to_vec().expect("written");
    if whole.len() <= room {
        return whole;
    }
    let mut cut = question.into_response();
    cut.metadata.truncation = true;
    cut.to_vec().expect("written")
}

/// Answers that are none to `question`.
fn forged(question: &[u8]) -> Vec<Vec<u8>> {
    let sound = Message::from_vec(&reply(question, Mood::Answers, 512)).expect("sound");
    let mut other_number = sound.clone();
    other_number.metadata.id ^= 0x5555;
    let mut other_name = sound.clone();
    other_name.queries[0].name = "www.example.org.".parse().expect("a name");
    let written = |m: Message| m.to_vec().expect("written");
    vec![vec![0; 40], vec![0xc0; 600], question[..1].to_vec(), written(other_number), written(other_name)]
}

async fn serve(host: &Stack, at: IpAddr, mood: Mood) -> io::Result<Arc<Asked>> {
    let asked = Arc::new(Asked::default());
    let udp = UdpSocket::bind(host, (at, 53)).await?;
    let tcp = TcpListener::bind(host, (at, 53)).await?;
    let counts = asked.clone();
    tokio::spawn(async move {
        let mut buf = vec![0; 1_500];
        loop {
            let (n, from) = udp.recv_from(&mut buf).await?;
            note(&counts.udp, &buf[..n]);
            if mood == Mood::Silent {
                continue;
            }
            if mood == Mood::Forged {
                for lie in forged(&buf[..n]) {
                    udp.send_to(&lie, from).await?;
                }
            }
            udp.send_to(&reply(&buf[..n], mood, 512), from).await?;
        }
        #[allow(unreachable_code)] // the kind of the errors above
        io::Result::Ok(())
    });
    let counts = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut s, _) = tcp.accept().await?;
            let len = usize::from(s.read_u16().await?);
            let mut question = vec![0; len];
            s.read_exact(&mut question).await?;
            note(&counts.tcp, &question);
            let r = reply(&question, mood, 65_535);
            s.write_u16(r.len() as u16).await?;
            s.write_all(&r).await?;
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    });
    Ok(asked)
}

fn patient() -> ResolverSettings {
    ResolverSettings::default().patience(FOR_EVER)
}

#[tokio::test]
async fn a_name_has_the_addresses_of_both_families_and_is_remembered() -> io::Result<()> {
    let (x, y) = hosts()?;
    let asked = serve(&y, ip("192.0.2.2"), Mood::Answers).await?;
    let r = Resolver::new(&x, &[ip("192.0.2.2")], patient())?;
    // As RFC 6724 has it: the precedence of unique local addresses is lower.
    let both = [ip("192.0.2.2"), ip("fd00:2::2")];
    assert_eq!(r.lookup_ip("www.example.test").await?, both);
    let n = asked.count();
    assert_eq!(n, (2, 0), "one question for each family");
    assert_eq!(r.clone().lookup_ip("WWW.example.test.").await?, both);
    assert_eq!(asked.count(), n, "known by now");
    assert_eq!(r.lookup_ip("four.example.test").await?, [ip("192.0.2.2")]);
    Ok(())
}

#[tokio::test]
async fn a_server_is_asked_over_ipv6_as_well() -> io::Result<()> {
    let (x, y) = hosts()?;
    let asked = serve(&y, ip("fd00:2::2"), Mood::Answers).await?;
    let r = Resolver::new(&x, &[ip("fd00:2::2")], patient())?;
    assert_eq!(r.lookup_ip("four.example.test").await?, [ip("192.0.2.2")]);
    assert_eq!(asked.count(), (2, 0));
    Ok(())
}

#[tokio::test]
async fn a_host_of_one_family_asks_for_no_other() -> io::Result<()> {
    let (a, b) = memory_pair(1500, true)?;
    let x = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
    let y = Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(b))?;
    let asked = serve(&y, ip("192.0.2.2"), Mood::Answers).await?;
    let r = Resolver::new(&x, &[ip("192.0.2.2")], patient())?;
    assert_eq!(r.lookup_ip("www.example.test").await?, [ip("192.0.2.2")]);
    assert_eq!(asked.count(), (1, 0));
    Ok(())
}

#[tokio::test]
async fn an_answer_that_fits_no_datagram_comes_over_tcp() -> io::Result<()> {
    let (x, y) = hosts()?;
    let asked = serve(&y, ip("192.0.2.2"), Mood::Answers).await?;
    let r = Resolver::new(&x, &[ip("192.0.2.2")], patient())?;
    let all = r.lookup_ip("big.example.test").await?;
    let expected: Vec<IpAddr> = (1..=32).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    assert_eq!(Resolver::ADDRESSES, expected.len());
    assert_eq!(all.len(), expected.len(), "what is beyond is left out");
    assert!(expected.iter().all(|a| all.contains(a)), "{all:?}");
    assert_eq!(asked.count(), (2, 1), "both families over UDP, the one that was cut over TCP");
    Ok(())
}

#[tokio::test]
async fn no_such_name_is_believed_and_so_is_a_name_without_addresses() -> io::Result<()> {
    let (x, y) = hosts()?;
    let one = serve(&y, ip("192.0.2.2"), Mood::Answers).await?;
    let other = serve(&y, ip("192.0.2.3"), Mood::Answers).await?;
    let r = Resolver::new(&x, &[ip("192.0.2.2"), ip("192.0.2.3")], patient())?;
    for (name, words) in
        [("none.example.test", "no such name"), ("bare.example.test", "it has no address of a kind that this host has")]
    {
        let e = r.lookup_ip(name).await.expect_err(name);
        assert_eq!((e.kind(), e.to_string().as_str()), (io::ErrorKind::NotFound, words));
        let e = r.connect(name, 7).await.expect_err(name);
        assert_eq!((e.kind(), e.to_string().as_str()), (io::ErrorKind::NotFound, words));
    }
    assert!(one.count().0 >= 4 && other.count() == (0, 0), "{:?} {:?}", one.count(), other.count());
    Ok(())
}

#[tokio::test]
async fn a_silent_server_is_passed_over() -> io::Result<()> {
    let (x, y) = hosts()?;
    let silent = serve(&y, ip("192.0.2.2"), Mood::Silent).await?;
    let good = serve(&y, ip("192.0.2.3"), Mood::Answers).await?;
    // So many rounds that a slow machine only makes it slow.
    let settings = ResolverSettings::default().patience(Duration::from_millis(300)).rounds(200);
    let r = Resolver::new(&x, &[ip("192.0.2.2"), ip("192.0.2.3")], settings)?;
    assert_eq!(r.lookup_ip("four.example.test").await?, [ip("192.0.2.2")]);
    assert!(silent.count().0 > 0 && good.count().0 > 0);
    let r = Resolver::new(&x, &[ip("192.0.2.2")], ResolverSettings::default().patience(Duration::from_millis(50)))?;
    let e = r.lookup_ip("four.example.test").await.expect_err("nobody says anything");
    assert_eq!((e.kind(), e.to_string().as_str()), (io::ErrorKind::TimedOut, "no name server answers"));
    Ok(())
}

#[tokio::test]
async fn who_refuses_and_who_fails_is_passed_over_at_once_and_who_answered_is_asked_first() -> io::Result<()> {
    let (x, y) = hosts()?;
    // Nobody listens at 192.0.2.2: an ICMP error says so.
    let fails = serve(&y, ip("192.0.2.3"), Mood::Fails).await?;
    let good = serve(&y, ip("192.0.2.4"), Mood::Answers).await?;
    let servers = ["192.0.2.2", "192.0.2.3", "192.0.2.4"].map(ip);
    let r = Resolver::new(&x, &servers, patient())?;
    assert_eq!(r.lookup_ip("four.example.test").await?, [ip("192.0.2.2")]);
    assert_eq!((fails.count(), good.count()), ((2, 0), (2, 0)));
    assert_eq!(r.lookup_ip("www.example.test").await?, [ip("192.0.2.2"), ip("fd00:2::2")]);
    assert_eq!((fails.count(), good.count()), ((2, 0), (4, 0)), "only the one that answered");
    for (server, words) in [
        ("192.0.2.2", "name server 192.0.2.2: it is not reached"),
        ("192.0.2.3", "name server 192.0.2.3: Server Failure"),
    ] {
        let e = Resolver::new(&x, &[ip(server)], patient())?.lookup_ip("www.example.test").await.expect_err(words);
        assert_eq!(e.to_string(), words);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_is_passed_over() -> io::Result<()> {
    let (x, y) = hosts()?;
    let asked = serve(&y, ip("192.0.2.2"), Mood::Forged).await?;
    let r = Resolver::new(&x, &[ip("192.0.2.2")], patient())?;
    assert_eq!(r.lookup_ip("four.example.test").await?, [ip("192.0.2.2")]);
    assert!(asked.count().0 >= 2);
    Ok(())
}

#[tokio::test]
async fn connecting_by_name_takes_the_address_that_answers() -> io::Result<()> {
    let (x, y) = hosts()?;
    serve(&y, ip("192.0.2.2"), Mood::Answers).await?;
    let l = TcpListener::bind(&y, b(7)).await?;
    let hosts = Hosts::parse("fd00:2::77 split.example.test\n192.0.2.2 split.example.test\n");
    let r = Resolver::new(&x, &[ip("192.0.2.2")], patient().hosts(hosts))?;
    // Of one that servers know, of one that the file knows, and of an address.
    for (host, asked) in [("half.example.test", true), ("split.example.test", false), ("192.0.2.2", false)] {
        let target = r.target(host)?;
        assert_eq!(matches!(target, Target::Name(_)), asked);
        let (c, s) = tokio::join!(r.connect_to(&target, 7), l.accept());
        let (mut c, mut s) = (c.map_err(io::Error::from)?, s?.0);
        assert_eq!((c.peer, c.named.is_some()), (b(7), asked), "{host}");
        c.stream.write_all(host.as_bytes()).await?;
        let mut got = vec![0; host.len()];
        s.read_exact(&mut got).await?;
        assert_eq!(got, host.as_bytes());
    }
    let e = r.connect("www.example.test", 81).await.expect_err("nobody listens");
    assert_eq!(e.kind(), io::ErrorKind::ConnectionRefused);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_silent_costs_the_delay_of_one_attempt() -> io::Result<()> {
    // No time passes but that of the race: nobody is asked for the name, and a handshake has none to wait for.
    let (x, y) = hosts()?;
    let l = TcpListener::bind(&y, b(7)).await?;
    let race = synfin::names::Settings::default();
    let hosts = Hosts::parse("192.0.2.77 split.example.test\n192.0.2.2 split.example.test\n");
    let r = Resolver::new(&x, &[], ResolverSettings::default().hosts(hosts).race(race))?;
    let began = tokio::time::Instant::now();
    let (c, s) = tokio::join!(r.connect("split.example.test", 7), l.accept());
    assert_eq!((c?.peer_addr()?, s?.0.local_addr()?), (b(7), b(7)));
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn without_servers_only_the_file_and_addresses_are_known() -> io::Result<()> {
    let (x, _y) = hosts()?;
    let r = Resolver::new(&x, &[], ResolverSettings::default().hosts(Hosts::parse("192.0.2.9 nas\n::1 six\n")))?;
    assert_eq!(r.lookup_ip("nas").await?, [ip("192.0.2.9")]);
    assert_eq!(r.lookup_ip("fd00::7").await?, [ip("fd00::7")]);
    for (name, kind) in [("www.example.test", io::ErrorKind::NotFound), ("a..b", io::ErrorKind::InvalidInput)] {
        assert_eq!(r.lookup_ip(name).await.expect_err(name).kind(), kind);
    }
    Ok(())
}
