//! Neighbors, duplicate addresses and routers on Ethernet links: ARP (RFC 826), NDP (RFC 4861, RFC 4862), MLD (RFC 3810).

use crate::ip::input::Arrival;
use crate::ip::output::pseudo;
use crate::ip::{Cidr, Route, is_link_local};
use crate::link::LinkId;
use crate::stack::Stack;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use synfin_tcp::Instant;
use synfin_wire::arp;
use synfin_wire::checksum::Sum;
use synfin_wire::ethernet::{self, Mac, ethertype};
use synfin_wire::ndp::{self, Message, solicited_node};
use synfin_wire::{Error, Protocol, mld};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Default routers that are remembered (RFC 4861 6.3.4 asks for two at least).
const MAX_ROUTERS: usize = 4;
/// RETRANS_TIMER, for which one probe of duplicate address detection waits (RFC 4862 5.1).
const DAD_WAIT: Duration = Duration::from_secs(1);
/// RTR_SOLICITATION_INTERVAL (RFC 4861 10).
const SOLICIT_INTERVAL: Duration = Duration::from_secs(4);

impl Stack {
    /// An ARP packet.
    pub(crate) fn arp_in(&mut self, now: Instant, link: LinkId, b: &[u8]) {
        let Ok(p) = arp::Packet::parse(b) else {
            self.mib.link_ignored += 1;
            return;
        };
        // Nobody else may claim an address of ours, a group, or all hosts.
        if p.sha.is_multicast() || self.owns(link, IpAddr::V4(p.spa)) {
            return;
        }
        // A probe (RFC 5227 2.1.1) has no sender address to be learned; it is answered all the same.
        if !p.spa.is_unspecified() {
            self.neighbor_heard(now, link, IpAddr::V4(p.spa), p.sha);
        }
        if p.operation == arp::Operation::Request && self.owns(link, IpAddr::V4(p.tpa)) {
            let Some(mac) = self.links.get(usize::from(link.0)).and_then(|l| l.mac()) else { return };
            let reply = arp::Packet { operation: arp::Operation::Reply, sha: mac, spa: p.tpa, tha: p.sha, tpa: p.spa };
            self.send_arp(link, p.sha, &reply);
        }
    }

    fn owns(&self, link: LinkId, a: IpAddr) -> bool {
        self.links.get(usize::from(link.0)).is_some_and(|l| l.addrs.iter().any(|x| x.cidr.addr == a))
    }

    fn send_arp(&mut self, link: LinkId, to: Mac, p: &arp::Packet) {
        let Some(l) = self.links.get_mut(usize::from(link.0)) else { return };
        if l.control.len() >= self.cfg.max_control {
            self.mib.ip_out_discards += 1;
            return;
        }
        let mut b = vec![0; ethernet::HEADER_LEN + arp::LEN];
        let _ = ethernet::Header { dst: to, src: p.sha, ethertype: ethertype::ARP }.emit(&mut b);
        let _ = p.emit(&mut b[ethernet::HEADER_LEN..]);
        l.control.push_back(b);
    }

    /// A neighbor said where it is: what waited for it goes.
    fn neighbor_heard(&mut self, now: Instant, link: LinkId, a: IpAddr, mac: Mac) {
        let Some(l) = self.links.get_mut(usize::from(link.0)) else { return };
        let Some(waiting) = l.neighbors.heard(a, mac, now) else { return };
        for mut frame in waiting {
            frame[..6].copy_from_slice(&mac.0);
            l.control.push_back(frame);
        }
        self.wake_blocked();
    }

    /// Requests that are due on any link.
    pub(crate) fn solicit_neighbors(&mut self, now: Instant) {
        for i in 0..self.links.len() {
            let due = self.links[i].neighbors.poll(now);
            self.mib.neighbor_failed += due.failed as u64;
            if due.failed > 0 {
                self.wake_blocked();
            }
            for a in due.requests {
                self.request_neighbor(now, LinkId(i as u8), a);
            }
        }
    }

    fn request_neighbor(&mut self, now: Instant, link: LinkId, a: IpAddr) {
        let Some(mac) = self.links[usize::from(link.0)].mac() else { return };
        match a {
            IpAddr::V4(a) => {
                let src = self.source_on(link, IpAddr::V4(a), now);
                let Some(IpAddr::V4(spa)) = src else { return };
                let p = arp::Packet { operation: arp::Operation::Request, sha: mac, spa, tha: Mac::default(), tpa: a };
                self.send_arp(link, Mac::BROADCAST, &p);
            }
            IpAddr::V6(a) => {
                let Some(IpAddr::V6(src)) = self.source_on(link, IpAddr::V6(a), now) else { return };
                self.send_ndp(now, link, src, solicited_node(a), &Message::NeighborSolicit(a, Some(mac)));
            }
        }
    }

    fn send_ndp(&mut self, now: Instant, link: LinkId, src: Ipv6Addr, dst: Ipv6Addr, m: &Message) {
        let mut b = [0u8; 128];
        let sum = |n| pseudo(src.into(), dst.into(), Protocol::ICMPV6, n);
        if let Ok(n) = ndp::emit(m, sum, &mut b) {
            self.send_icmpv6_on(now, link, src, dst, 255, &b[..n]);
        }
    }

    fn send_icmpv6_on(&mut self, now: Instant, link: LinkId, src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8, b: &[u8]) {
        let mut packet = vec![0; 40 + b.len()];
        crate::ip::output::put_ip_header(&mut packet, src.into(), dst.into(), Protocol::ICMPV6, b.len(), hop_limit);
        packet[40..].copy_from_slice(b);
        self.mib.icmp_out += 1;
        let route = Route { network: Cidr { addr: dst.into(), prefix: 128 }, link, gateway: None };
        let _ = self.send_packet(now, route, dst.into(), &packet); // what is lost is counted there
    }

    /// A new IPv6 address on an Ethernet link: its group is joined, and it is asked for, before it is used.
    //= RFC 4862 5.4.2
    pub(crate) fn begin_dad(&mut self, now: Instant, link: LinkId, a: Ipv6Addr) -> Instant {
        let group = solicited_node(a);
        if !self.groups(link).contains(&group) {
            self.join(now, link, group);
        }
        self.send_ndp(now, link, Ipv6Addr::UNSPECIFIED, group, &Message::NeighborSolicit(a, None));
        if let Some(l) = self.links.get_mut(usize::from(link.0))
            && is_link_local(a)
        {
            l.report_at = now + DAD_WAIT;
        }
        now + DAD_WAIT
    }

    /// The groups of the addresses of a link, each once.
    fn groups(&self, link: LinkId) -> Vec<Ipv6Addr> {
        let mut groups = Vec::new();
        for x in self.links.get(usize::from(link.0)).into_iter().flat_map(|l| &l.addrs) {
            if let IpAddr::V6(a) = x.cidr.addr
                && !groups.contains(&solicited_node(a))
            {
                groups.push(solicited_node(a));
            }
        }
        groups
    }

    /// Groups joined before there was a link-local address were reported from none, which snooping switches ignore:
    /// reported again now that there is one.
    //= RFC 3590 4
    pub(crate) fn report_groups(&mut self, now: Instant) {
        for i in 0..self.links.len() {
            if now < self.links[i].report_at {
                continue;
            }
            self.links[i].report_at = Instant::NEVER;
            let link = LinkId(i as u8);
            if self.links[i].link_local(now).is_some() {
                self.groups(link).into_iter().for_each(|g| self.join(now, link, g));
            }
        }
    }

    /// Says that a group is listened to: from a link-local address, or while there is none from none at all.
    //= RFC 3810 5.2.13
    //= RFC 3810 6.1
    fn join(&mut self, now: Instant, link: LinkId, group: Ipv6Addr) {
        let local = self.links.get(usize::from(link.0)).and_then(|l| l.link_local(now));
        let from = local.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let mut b = [0u8; 64];
        let sum = |n| -> Sum { pseudo(from.into(), mld::ALL_ROUTERS.into(), Protocol::ICMPV6, n) };
        if let Ok(n) = mld::emit_join(group, sum, &mut b) {
            self.send_icmpv6_on(now, link, from, mld::ALL_ROUTERS, 1, &b[..n]);
        }
    }

    /// A router asks who listens: answered at once for the groups of our addresses (a host has few; the delay that the RFC
    /// spreads answers over is for crowds), as far as the rate of ICMP allows.
    //= RFC 3810 6.2
    pub(crate) fn mld_query(&mut self, now: Instant, at: &Arrival, b: &[u8]) -> Result<(), Error> {
        let q = mld::parse_query(b)?;
        let from_link = matches!(at.src, IpAddr::V6(a) if is_link_local(a));
        if self.links.get(usize::from(at.link.0)).is_none_or(|l| l.mac().is_none()) {
            return Ok(());
        }
        // RFC 3810 5.1.14: from a link-local address, with a hop limit of one.
        if !from_link || at.hop_limit != 1 {
            return Err(Error::BadValue);
        }
        for group in self.groups(at.link) {
            if (q.group.is_unspecified() || q.group == group) && self.icmp_bucket.take(now) {
                self.join(now, at.link, group);
            }
        }
        Ok(())
    }

    /// Router solicitations that are due.
    //= RFC 4861 6.3.7
    pub(crate) fn solicit_routers(&mut self, now: Instant) {
        for i in 0..self.links.len() {
            let (left, at) = self.links[i].solicit;
            if left == 0 || at > now {
                continue;
            }
            self.links[i].solicit = (left - 1, if left > 1 { now + SOLICIT_INTERVAL } else { Instant::NEVER });
            let link = LinkId(i as u8);
            let mac = self.links[i].mac();
            match self.source_on(link, IpAddr::V6(ALL_ROUTERS), now) {
                Some(IpAddr::V6(src)) => self.send_ndp(now, link, src, ALL_ROUTERS, &Message::RouterSolicit(mac)),
                _ => self.send_ndp(now, link, Ipv6Addr::UNSPECIFIED, ALL_ROUTERS, &Message::RouterSolicit(None)),
            }
        }
    }

    /// A neighbor discovery message; false if it is none.
    pub(crate) fn neighbor_discovery(&mut self, now: Instant, at: &Arrival, b: &[u8]) -> Result<bool, Error> {
        let Some(mac) = self.links.get(usize::from(at.link.0)).and_then(|l| l.mac()) else {
            // On a link without addresses there are no neighbors to discover.
            return Ok(b.first().is_some_and(|t| (133..=136).contains(t)));
        };
        let Some(m) = ndp::parse(b, at.hop_limit)? else { return Ok(false) };
        let IpAddr::V6(src) = at.src else { return Ok(true) };
        match m {
            Message::NeighborSolicit(target, source) => self.solicited(now, at.link, mac, src, target, source),
            Message::NeighborAdvert { target, mac: Some(theirs), .. } => {
                if self.owns(at.link, IpAddr::V6(target)) {
                    self.duplicate_address(now, at.link, target);
                } else if !theirs.is_multicast() {
                    self.neighbor_heard(now, at.link, IpAddr::V6(target), theirs);
                }
            }
            Message::RouterAdvert { lifetime_s, mtu, mac: theirs, .. }
                // A router speaks from its link-local address (RFC 4861 6.1.2).
                if is_link_local(src) => {
                    self.router_heard(now, at.link, src, lifetime_s, mtu);
                    if let Some(t) = theirs {
                        self.neighbor_heard(now, at.link, at.src, t);
                    }
                }
            _ => {}
        }
        Ok(true)
    }

    fn solicited(
        &mut self,
        now: Instant,
        link: LinkId,
        mac: Mac,
        src: Ipv6Addr,
        target: Ipv6Addr,
        source: Option<Mac>,
    ) {
        if !self.owns(link, IpAddr::V6(target)) {
            return;
        }
        if src.is_unspecified() && self.tentative(link, target, now) {
            // Somebody else is trying the same address (RFC 4862 5.4.3).
            self.duplicate_address(now, link, target);
            return;
        }
        if self.tentative(link, target, now) {
            return;
        }
        if let Some(m) = source {
            self.neighbor_heard(now, link, IpAddr::V6(src), m);
        }
        let solicited = !src.is_unspecified();
        let to = if solicited { src } else { ALL_NODES };
        let advert = Message::NeighborAdvert { target, solicited, overrides: true, mac: Some(mac) };
        if let (true, Some(m)) = (solicited, source) {
            // Answered to where the question came from, without asking back.
            self.answer_solicit(link, target, to, m, &advert);
        } else {
            self.send_ndp(now, link, target, to, &advert);
        }
    }

    fn answer_solicit(&mut self, link: LinkId, src: Ipv6Addr, dst: Ipv6Addr, to: Mac, m: &Message) {
        let mut b = [0u8; 128];
        let Ok(n) = ndp::emit(m, |n| pseudo(src.into(), dst.into(), Protocol::ICMPV6, n), &mut b) else { return };
        let mut frame = vec![0; ethernet::HEADER_LEN + 40 + n];
        let Some(l) = self.links.get_mut(usize::from(link.0)) else { return };
        let Some(mac) = l.mac() else { return };
        crate::ip::output::put_ethernet_header(&mut frame, to, mac, false);
        crate::ip::output::put_ip_header(
            &mut frame[ethernet::HEADER_LEN..],
            src.into(),
            dst.into(),
            Protocol::ICMPV6,
            n,
            255,
        );
        frame[ethernet::HEADER_LEN + 40..].copy_from_slice(&b[..n]);
        if l.control.len() < self.cfg.max_control {
            self.mib.icmp_out += 1;
            l.control.push_back(frame);
        }
    }

    fn tentative(&self, link: LinkId, a: Ipv6Addr, now: Instant) -> bool {
        self.links
            .get(usize::from(link.0))
            .is_some_and(|l| l.addrs.iter().any(|x| x.cidr.addr == IpAddr::V6(a) && x.tentative_until > now))
    }

    /// The address is somebody else's: a tentative one is given up; one in use is defended by going on (RFC 4862 5.4.5).
    fn duplicate_address(&mut self, now: Instant, link: LinkId, a: Ipv6Addr) {
        if let Some(l) = self.links.get_mut(usize::from(link.0)) {
            l.addrs.retain(|x| x.cidr.addr != IpAddr::V6(a) || x.tentative_until <= now);
        }
    }

    /// A router says for how long it is one; a route that was configured stands whatever it says.
    //= RFC 4861 6.3.4 6.3.5
    fn router_heard(&mut self, now: Instant, link: LinkId, router: Ipv6Addr, lifetime_s: u16, mtu: Option<u32>) {
        let any = Cidr { addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 };
        let route = Route { network: any, link, gateway: Some(IpAddr::V6(router)) };
        let until = now + Duration::from_secs(lifetime_s.into());
        match (self.routes.iter().position(|(r, _)| *r == route), lifetime_s) {
            (Some(i), _) if self.routes[i].1 == Instant::NEVER => {}
            (Some(i), 0) => {
                self.routes.remove(i);
            }
            (Some(i), _) => self.routes[i].1 = until,
            (None, 0) => {}
            (None, _) => {
                let learned = |(r, until): &&(Route, Instant)| r.link == link && *until != Instant::NEVER;
                if self.routes.iter().filter(learned).count() < MAX_ROUTERS {
                    self.routes.push((route, until));
                }
            }
        }
        if let (Some(m), Some(l)) = (mtu, self.links.get_mut(usize::from(link.0))) {
            // RFC 4861 6.3.4: between the least and the link's own.
            if (1280..=l.cfg.mtu).contains(&m) {
                l.cfg.mtu = m;
            }
        }
        self.links[usize::from(link.0)].solicit = (0, Instant::NEVER);
    }
}
