//! Who is connected with whom.

use std::collections::VecDeque;

/// Nodes and links. The first nodes are the hosts, the others are routers. Links come in pairs: the link with an even number
/// and the next one are the two directions of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The names of the hosts.
    pub hosts: Vec<String>,
    /// Nodes in all.
    pub nodes: usize,
    /// The links, one direction each.
    pub links: Vec<Edge>,
}

/// One direction of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Its name, the same in both directions.
    pub name: String,
    /// The name of the settings that it shares with others like it.
    pub kind: &'static str,
    /// From this node.
    pub from: usize,
    /// To this one.
    pub to: usize,
}

impl Topology {
    /// Two hosts, `a` and `b`, and a `link`.
    pub fn pair() -> Topology {
        let mut t = Topology::of(vec!["a".into(), "b".into()], 0);
        t.connect("link", "link", 0, 1);
        t
    }

    /// `n` hosts on each side, `s1`.. and `r1`.., and one `bottleneck` between the two routers that they hang on by links of
    /// their own, called as they are, of the kind `access`.
    pub fn dumbbell(n: usize) -> Topology {
        let names = |side: char| (1..=n).map(move |i| format!("{side}{i}"));
        let mut t = Topology::of(names('s').chain(names('r')).collect(), 2);
        let (left, right) = (2 * n, 2 * n + 1);
        t.connect("bottleneck", "bottleneck", left, right);
        for i in 0..n {
            t.connect(&format!("s{}", i + 1), "access", i, left);
            t.connect(&format!("r{}", i + 1), "access", right, n + i);
        }
        t
    }

    /// `n` links in a row, `hop1`.. of the kind `hop`; at each of their ends is a router with a host, `h0`.. , on a link of
    /// its own, called as it is, of the kind `access`. From `h0` to the last all links are crossed, from each host to the next
    /// one: a parking lot.
    pub fn chain(n: usize) -> Topology {
        let hosts: Vec<String> = (0..=n).map(|i| format!("h{i}")).collect();
        let mut t = Topology::of(hosts, n + 1);
        let router = |i: usize| n + 1 + i;
        for i in 0..n {
            t.connect(&format!("hop{}", i + 1), "hop", router(i), router(i + 1));
        }
        for i in 0..=n {
            t.connect(&format!("h{i}"), "access", i, router(i));
        }
        t
    }

    fn of(hosts: Vec<String>, routers: usize) -> Topology {
        Topology { nodes: hosts.len() + routers, hosts, links: Vec::new() }
    }

    fn connect(&mut self, name: &str, kind: &'static str, from: usize, to: usize) {
        let edge = |from, to| Edge { name: name.to_string(), kind, from, to };
        self.links.extend([edge(from, to), edge(to, from)]);
    }

    /// For each node and each host, the link that leads there by the fewest links; none at the host itself.
    pub(super) fn routes(&self) -> Vec<Vec<Option<usize>>> {
        let to_each: Vec<_> = (0..self.hosts.len()).map(|host| self.routes_to(host)).collect();
        (0..self.nodes).map(|node| to_each.iter().map(|r| r[node]).collect()).collect()
    }

    /// For each node the link that leads to a host.
    fn routes_to(&self, host: usize) -> Vec<Option<usize>> {
        let mut routes = vec![None; self.nodes];
        let mut frontier = VecDeque::from([host]);
        while let Some(node) = frontier.pop_front() {
            for (i, e) in self.links.iter().enumerate() {
                if e.to == node && e.from != host && routes[e.from].is_none() {
                    routes[e.from] = Some(i);
                    frontier.push_back(e.from);
                }
            }
        }
        routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the links from one host to another.
    fn path(t: &Topology, from: &str, to: &str) -> Vec<String> {
        let host = |name| t.hosts.iter().position(|h| h == name).unwrap();
        let (routes, mut node, mut names) = (t.routes(), host(from), Vec::new());
        while let Some(link) = routes[node][host(to)] {
            names.push(t.links[link].name.clone());
            node = t.links[link].to;
        }
        names
    }

    #[test]
    fn each_topology_leads_everywhere() {
        assert_eq!(path(&Topology::pair(), "b", "a"), ["link"]);
        let t = Topology::dumbbell(3);
        assert_eq!(path(&t, "s2", "r3"), ["s2", "bottleneck", "r3"]);
        assert_eq!(path(&t, "r1", "s1"), ["r1", "bottleneck", "s1"]);
        assert_eq!(path(&t, "s1", "s2"), ["s1", "s2"]);
        let t = Topology::chain(2);
        assert_eq!(path(&t, "h0", "h2"), ["h0", "hop1", "hop2", "h2"]);
        assert_eq!(path(&t, "h2", "h1"), ["h2", "hop2", "h1"]);
    }
}
