//! Names, asked for over the host's own sockets (RFC 1035 4.2): UDP first, TCP where an answer does not fit a datagram.

use super::{Host, Stop};
use crate::clock::now;
use crate::output::usage;
use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use synfin::Stack;
use synfin::blocking::{TcpStream, UdpSocket};
use synfin::names::{Family, Hosts};

/// A host as it was given: an address, or a name.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Address(IpAddr),
    /// What a hosts file says of a name.
    Known(Vec<IpAddr>),
    Name(Name),
}

/// Who is asked, and how.
#[derive(Clone)]
pub(crate) struct Resolver {
    stack: Stack,
    stop: Arc<Stop>,
    servers: Vec<IpAddr>,
    /// What families of addresses are of use here, the preferred first.
    families: Vec<Family>,
}

/// How long a server is waited for, and how often all are asked.
const PATIENCE: Duration = Duration::from_millis(2_500);
const ROUNDS: usize = 2;
/// How often signals are looked for meanwhile.
const TURN: Duration = Duration::from_millis(200);
/// The most addresses of a name that are of use.
const MOST: usize = 32;

impl Target {
    /// Reads one; a name that is not in `hosts` needs a server that is asked for it.
    pub fn parse(s: &str, servers: &[IpAddr], hosts: &Hosts) -> io::Result<Target> {
        if let Ok(a) = s.parse() {
            return Ok(Target::Address(a));
        }
        let known = hosts.addresses(s);
        if !known.is_empty() {
            return Ok(Target::Known(known.iter().copied().take(MOST).collect()));
        }
        let mut name = Name::from_utf8(s).map_err(|e| usage(format!("{s:?} is no address and no name: {e}")))?;
        name.set_fqdn(true);
        if servers.is_empty() {
            return Err(usage(format!("{s:?} is no address, and there is no --dns to ask for it")));
        }
        Ok(Target::Name(name))
    }
}

impl Resolver {
    pub fn new(host: &Host, servers: &[IpAddr]) -> Resolver {
        let ours = |f: &Family| host.addresses().iter().any(|a| Family::of(*a) == *f);
        let families = [Family::V6, Family::V4].into_iter().filter(ours).collect();
        Resolver { stack: host.stack.clone(), stop: host.stop.clone(), servers: servers.to_vec(), families }
    }

    /// The addresses of a host, at least one. [`io::ErrorKind::NotFound`] if it has none, [`io::ErrorKind::TimedOut`] if nobody
    /// answers.
    pub fn addresses(&self, target: &Target) -> io::Result<Vec<IpAddr>> {
        let mut all = Vec::new();
        for family in self.families.iter().copied() {
            match target {
                Target::Address(a) => return Ok(vec![*a]),
                Target::Known(known) => all.extend(known.iter().copied().filter(|a| Family::of(*a) == family)),
                Target::Name(n) => all.extend(self.of_family(n, family)?),
            }
        }
        all.truncate(MOST);
        if all.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address of a kind that this host has"));
        }
        Ok(all)
    }

    /// Whether this host can use addresses of a family.
    pub fn wants(&self, family: Family) -> bool {
        self.families.contains(&family)
    }

    /// The addresses of a name that are of a family, perhaps none.
    pub fn of_family(&self, name: &Name, family: Family) -> io::Result<Vec<IpAddr>> {
        let kind = match family {
            Family::V6 => RecordType::AAAA,
            Family::V4 => RecordType::A,
        };
        let answer = self.ask(name, kind)?;
        let addresses = answer.answers.iter().filter_map(|r| match &r.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        });
        Ok(addresses.filter(|a| Family::of(*a) == family).take(MOST).collect())
    }

    /// Asks one server after another, and all of them again.
    fn ask(&self, name: &Name, kind: RecordType) -> io::Result<Message> {
        let mut failed = io::Error::new(io::ErrorKind::TimedOut, "no name server answers");
        for server in self.servers.iter().cycle().take(self.servers.len() * ROUNDS) {
            match self.ask_one(SocketAddr::new(*server, 53), name, kind) {
                Ok(m) => match m.metadata.response_code {
                    ResponseCode::NoError => return Ok(m),
                    ResponseCode::NXDomain => return Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                    // Another may know better.
                    code => failed = io::Error::other(format!("name server {server}: {code}")),
                },
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => {}
                Err(e) => failed = io::Error::new(e.kind(), format!("name server {server}: {e}")),
            }
        }
        Err(failed)
    }

    fn ask_one(&self, server: SocketAddr, name: &Name, kind: RecordType) -> io::Result<Message> {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(name.clone(), kind));
        let bytes = question.to_vec().map_err(io::Error::other)?;
        let answer = self.over_udp(server, &question, &bytes)?;
        if answer.metadata.truncation { self.over_tcp(server, &question, &bytes) } else { Ok(answer) }
    }

    fn over_udp(&self, server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(&self.stack, (any, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(TURN))?;
        socket.send(bytes)?;
        let until = now() + PATIENCE;
        let mut buf = vec![0; 4_096];
        while now() < until {
            match socket.recv(&mut buf) {
                // What is no answer to this question may be somebody's try at one: the right one may still come.
                Ok(n) => match answer(question, &buf[..n]) {
                    Some(m) => return Ok(m),
                    None => continue,
                },
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
            if self.stop.asked() > 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn over_tcp(&self, server: SocketAddr, question: &Message, bytes: &[u8]) -> io::Result<Message> {
        let mut s = TcpStream::connect_timeout(&self.stack, &server, PATIENCE)?;
        s.set_read_timeout(Some(PATIENCE))?;
        // Length first (RFC 1035 4.2.2), in one write with the rest, for some servers read no more than once.
        s.write_all(&[&(bytes.len() as u16).to_be_bytes(), bytes].concat())?;
        let mut len = [0; 2];
        s.read_exact(&mut len)?;
        let mut buf = vec![0; usize::from(u16::from_be_bytes(len))];
        s.read_exact(&mut buf)?;
        answer(question, &buf).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its answer is none"))
    }
}

/// The answer to a question, if these octets are one.
fn answer(question: &Message, bytes: &[u8]) -> Option<Message> {
    let m = Message::from_vec(bytes).ok()?;
    let is_answer = m.metadata.id == question.metadata.id
        && m.metadata.message_type == MessageType::Response
        && m.queries == question.queries;
    is_answer.then_some(m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_utf8("www.example.test.").unwrap(), RecordType::A));
        let reply = question.clone().into_response();
        assert!(answer(&question, &reply.to_vec().unwrap()).is_some());
        assert!(answer(&question, &question.to_vec().unwrap()).is_none(), "our own question");
        let mut other = reply.clone();
        other.metadata.id ^= 1;
        assert!(answer(&question, &other.to_vec().unwrap()).is_none(), "another number");
        let mut other = reply.clone();
        other.queries[0].name = Name::from_utf8("www.example.org.").unwrap();
        assert!(answer(&question, &other.to_vec().unwrap()).is_none(), "another name");
        assert!(answer(&question, &reply.to_vec().unwrap()[..9]).is_none());
        assert!(answer(&question, &[0xc0; 600]).is_none());
    }

    #[test]
    fn hosts_are_addresses_or_names_for_which_there_is_a_server() {
        let server = [IpAddr::from([192, 0, 2, 1])];
        let hosts = Hosts::parse("192.0.2.9 here.example.test\n");
        assert!(matches!(Target::parse("fd00::1", &[], &hosts), Ok(Target::Address(IpAddr::V6(_)))));
        assert!(matches!(Target::parse("www.example.test", &server, &hosts), Ok(Target::Name(n)) if n.is_fqdn()));
        assert!(matches!(Target::parse("HERE.example.test", &[], &hosts), Ok(Target::Known(a)) if a.len() == 1));
        for (s, servers) in [("www.example.test", &[][..]), ("a..b", &server), (&"a".repeat(300), &server)] {
            assert!(Target::parse(s, servers, &hosts).is_err(), "{s}");
        }
    }
}
