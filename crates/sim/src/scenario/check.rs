//! From what a file says to a scenario: names become numbers, defaults are filled in, and what cannot be is refused with its
//! place.

use super::file::{AqmKind, ChangeTable, File, FlowTable, Kind, LinkTable, Settings, TopologyTable};
use super::{Flow, MAX_FLOWS, Scenario, ScenarioError, Writer};
use crate::link::{Aqm, Change, Limit, LinkModel, Middlebox, Oversize};
use crate::network::{Edge, HostModel, MAX_HOSTS, START, Topology};
use crate::units::Room;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;
use synfin_stack::engine::TcpConfig;
use toml::{Spanned, Value};

type Result<T> = std::result::Result<T, ScenarioError>;
/// Each with the number of its link.
type Middleboxes = Vec<(usize, Middlebox)>;

impl Scenario {
    /// Reads a scenario file.
    pub fn parse(text: &str) -> Result<Scenario> {
        let file: File = toml::from_str(text).map_err(|e| at(text, e.span(), one_line(e.message())))?;
        Checker { text }.scenario(file)
    }
}

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn scenario(&self, file: File) -> Result<Scenario> {
        let topology = self.topology(file.topology.as_ref())?;
        let mut tcp = TcpConfig::default();
        self.settings(&file.tcp, &mut tcp)?;
        let mut hosts = vec![HostModel { tcp, mtu: 1500, offload: false }; topology.hosts.len()];
        for (name, table) in &file.hosts {
            let host = &mut hosts[self.host(&topology, name)?];
            self.settings(&table.tcp, &mut host.tcp)?;
            host.mtu = table.mtu.unwrap_or(host.mtu);
            host.offload = table.offload;
            if !(576..=65_535).contains(&host.mtu) {
                return self.no(name.span(), format!("mtu of {:?}: from 576 to 65535", name.get_ref()));
            }
        }
        let (links, middleboxes) = self.links(&topology, &file)?;
        let mut flows = Vec::new();
        for f in &file.flows {
            self.flow(f, &topology, &hosts, &mut flows)?;
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = flows.iter().find(|f| !names.insert(&f.name)) {
            return self.no(None, format!("two flows are called {:?}", twice.name));
        }
        if file.name.as_ref().is_some_and(|n| n.chars().any(char::is_control)) {
            return self.no(None, format!("name = {:?}: control characters", file.name.unwrap_or_default()));
        }
        if flows.is_empty() {
            return self.no(None, "no flows: [[flows]] is expected, with from and to".into());
        }
        Ok(Scenario {
            name: file.name.unwrap_or_default(),
            seed: file.seed,
            duration: file.duration.0,
            topology,
            hosts,
            links,
            middleboxes,
            flows,
        })
    }

    fn topology(&self, t: Option<&Spanned<TopologyTable>>) -> Result<Topology> {
        let Some(t) = t else { return Ok(Topology::pair()) };
        let TopologyTable { kind, pairs, hops } = *t.get_ref();
        match (kind, pairs, hops) {
            (Kind::Pair, None, None) => Ok(Topology::pair()),
            (Kind::Dumbbell, Some(n @ 1..), None) if n <= MAX_HOSTS / 2 => Ok(Topology::dumbbell(n)),
            (Kind::Chain, None, Some(n @ 1..)) if n < MAX_HOSTS => Ok(Topology::chain(n)),
            _ => self.no(
                t.span(),
                format!("a pair has no other key, a dumbbell has pairs, a chain has hops; at most {MAX_HOSTS} hosts"),
            ),
        }
    }

    fn links(&self, t: &Topology, file: &File) -> Result<(Vec<LinkModel>, Middleboxes)> {
        let names = link_names(t);
        for name in file.links.keys() {
            if !names.contains(name.get_ref().as_str()) {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                return self.no(
                    name.span(),
                    format!("no link is called {:?}; this topology has {}", name.get_ref(), known.join(", ")),
                );
            }
        }
        let mut models = Vec::new();
        let mut middleboxes = Vec::new();
        for (i, e) in t.links.iter().enumerate() {
            let mut model = default_model(e);
            let mut queue = None;
            for name in settings_of(e, i) {
                let Some((key, table)) = file.links.iter().find(|(k, _)| *k.get_ref() == name) else { continue };
                self.link(key, table, &mut model)?;
                queue = table.queue.map(|room| (key.span(), room)).or(queue);
                if let Some(m) = &table.middlebox
                    && i % 2 == 0
                {
                    let flows = m.flows.unwrap_or(DEFAULT_BOX);
                    middleboxes.push((i, Middlebox::new(m.idle.0, m.reset, flows)));
                }
            }
            if let (Some((place, Room::Time(_))), 0) = (&queue, model.rate) {
                return self.no(place.clone(), "a queue that is a time needs a rate".into());
            }
            let queue = queue.map(|(_, room)| room);
            // A link of hosts to their router may be a cable; where no link takes time, an instant never ends.
            if e.kind != "access" && model.rate == 0 && model.delay < LEAST_DELAY {
                return self.no(None, format!("link {:?}: with neither a rate nor a delay no time passes", e.name));
            }
            // At last, when the rate is known that a time is of.
            model.queue = queue.map_or(model.queue, |q| limit(q, model.rate));
            models.push(model);
        }
        Ok((models, middleboxes))
    }

    fn link(&self, key: &Spanned<String>, t: &LinkTable, m: &mut LinkModel) -> Result<()> {
        m.rate = t.rate.map_or(m.rate, |r| r.0);
        m.delay = t.delay.map_or(m.delay, |d| d.0);
        m.jitter = t.jitter.map_or(m.jitter, |d| d.0);
        m.jitter_reorders = t.jitter_reorders.unwrap_or(m.jitter_reorders);
        m.loss = t.loss.map_or(m.loss, |p| p.0);
        m.burst = t.burst.unwrap_or(m.burst);
        m.reorder = t.reorder.map_or(m.reorder, |p| p.0);
        m.reorder_by = t.reorder_by.map_or(m.reorder_by, |d| d.0);
        m.duplicate = t.duplicate.map_or(m.duplicate, |p| p.0);
        m.corrupt = t.corrupt.map_or(m.corrupt, |p| p.0);
        m.mtu = t.mtu.unwrap_or(m.mtu);
        if let Some(hole) = t.black_hole {
            m.oversize = if hole { Oversize::Silent } else { Oversize::Tell };
        }
        m.cut = t.cut.unwrap_or(m.cut);
        if t.burst == Some(0) {
            return self.no(key.span(), "a burst is of 1 packet at least".into());
        }
        m.aqm = match (t.aqm, t.mark_above) {
            (None, None) => m.aqm,
            (Some(AqmKind::Tail), None) => Aqm::Tail,
            (Some(AqmKind::Codel), None) => Aqm::codel(false),
            (Some(AqmKind::Mark), Some(above)) => Aqm::Mark { above: above.0 },
            _ => return self.no(key.span(), "aqm = \"mark\", and only that, has mark-above".into()),
        };
        if let Aqm::CoDel { target, interval, ecn } = &mut m.aqm {
            *target = t.target.map_or(*target, |d| d.0);
            *interval = t.interval.map_or(*interval, |d| d.0);
            *ecn = t.ecn.unwrap_or(*ecn);
        } else if t.target.is_some() || t.interval.is_some() || t.ecn.is_some() {
            return self.no(key.span(), "target, interval and ecn belong to aqm = \"codel\"".into());
        }
        if t.middlebox.is_some() && key.get_ref().ends_with(BACK) {
            return self.no(key.span(), "a middlebox stands on both directions: put it on the link itself".into());
        }
        if let Some(changes) = &t.changes {
            m.changes = changes.iter().map(change).collect();
        }
        Ok(())
    }

    fn flow(&self, f: &Spanned<FlowTable>, t: &Topology, hosts: &[HostModel], flows: &mut Vec<Flow>) -> Result<()> {
        let (place, f) = (f.span(), f.get_ref());
        let writer = self.writer(&place, f)?;
        let printable = |s: &&String| s.chars().any(char::is_control);
        if let Some(name) = f.name.as_ref().filter(printable) {
            return self.no(place, format!("name = {name:?}: control characters"));
        }
        if f.read_rate.is_some_and(|r| r.0 == 0) || f.rate.is_some_and(|r| r.0 == 0) {
            return self.no(place, "a rate of 0 is none: leave it out, and there is no limit".into());
        }
        let pairs = self.pairs(t, &f.from, &f.to)?;
        for (from, to) in &pairs {
            let mut tcp = [hosts[*from].tcp.clone(), hosts[*to].tcp.clone()];
            for end in &mut tcp {
                self.settings(&f.tcp, end)?;
            }
            for _ in 0..f.count {
                if flows.len() >= MAX_FLOWS {
                    return self.no(place, format!("more than {MAX_FLOWS} flows"));
                }
                let n = flows.len() + 1;
                let many = f.count * pairs.len() > 1;
                let name = match &f.name {
                    Some(name) if many => format!("{name} {n}"),
                    Some(name) => name.clone(),
                    None => n.to_string(),
                };
                flows.push(Flow {
                    name,
                    from: *from,
                    to: *to,
                    start: f.start.0,
                    duration: f.duration.map(|d| d.0),
                    writer: writer.clone(),
                    read_rate: f.read_rate.map_or(0, |r| r.0),
                    tcp: tcp.clone(),
                });
            }
        }
        // Each copy of a flow begins `every` after the one before.
        let first = flows.len() - f.count * pairs.len();
        for (i, flow) in flows[first..].iter_mut().enumerate() {
            flow.start =
                f.every.0.checked_mul(i as u32).and_then(|d| d.checked_add(f.start.0)).unwrap_or(Duration::MAX);
        }
        Ok(())
    }

    fn writer(&self, place: &Range<usize>, f: &FlowTable) -> Result<Writer> {
        let streams = f.bytes.is_some() || f.rate.is_some() || f.on.is_some() || f.off.is_some();
        let (Some(request), Some(response)) = (f.request, f.response) else {
            if f.request.is_some() || f.response.is_some() || f.requests.is_some() || !f.think.0.is_zero() {
                return self.no(place.clone(), "a flow of requests needs both request and response".into());
            }
            if f.on.is_some() != f.off.is_some() {
                return self.no(place.clone(), "a flow with pauses needs both on and off".into());
            }
            let on_off = (f.on.unwrap_or_default().0, f.off.unwrap_or_default().0);
            if f.on.is_some() && on_off.0.is_zero() {
                return self.no(place.clone(), "a flow that is never on sends nothing".into());
            }
            if f.on.is_some() && on_off.0.min(on_off.1) < LEAST_DELAY {
                return self.no(place.clone(), format!("on and off: at least {LEAST_DELAY:?} each"));
            }
            return Ok(Writer::Stream { bytes: f.bytes.map(|b| b.0), rate: f.rate.map_or(0, |r| r.0), on_off });
        };
        if streams || request.0 == 0 || response.0 == 0 {
            let what = "a flow of requests has octets in both, and neither bytes nor rate nor on and off";
            return self.no(place.clone(), what.into());
        }
        Ok(Writer::Requests { request: request.0, response: response.0, think: f.think.0, count: f.requests })
    }

    /// The hosts of a flow; with `s*` and `r*` those of each pair of a dumbbell.
    fn pairs(&self, t: &Topology, from: &Spanned<String>, to: &Spanned<String>) -> Result<Vec<(usize, usize)>> {
        let stars = (from.get_ref().strip_suffix('*'), to.get_ref().strip_suffix('*'));
        if stars.0.is_some() != stars.1.is_some() {
            return self.no(from.span(), "with *, both from and to have it".into());
        }
        let (Some(a), Some(b)) = stars else {
            let pair = (self.host(t, from)?, self.host(t, to)?);
            if pair.0 == pair.1 {
                return self.no(to.span(), "a flow goes from one host to another".into());
            }
            return Ok(vec![pair]);
        };
        let all = |prefix: &str| (0..t.hosts.len()).filter(|i| t.hosts[*i].starts_with(prefix)).collect::<Vec<_>>();
        let (a, b) = (all(a), all(b));
        if a.is_empty() || a.len() != b.len() || a == b {
            return self.no(from.span(), "with *, there are as many hosts on one side as on the other".into());
        }
        Ok(a.into_iter().zip(b).collect())
    }

    fn host(&self, t: &Topology, name: &Spanned<String>) -> Result<usize> {
        match t.hosts.iter().position(|h| h == name.get_ref()) {
            Some(i) => Ok(i),
            None => self.no(
                name.span(),
                format!("no host is called {:?}; this topology has {}", name.get_ref(), t.hosts.join(", ")),
            ),
        }
    }

    fn settings(&self, s: &Settings, tcp: &mut TcpConfig) -> Result<()> {
        for (key, value) in s {
            let text = match value {
                Value::String(s) => s.clone(),
                Value::Integer(n) => n.to_string(),
                Value::Float(n) => n.to_string(),
                Value::Boolean(b) => b.to_string(),
                _ => {
                    return self
                        .no(key.span(), format!("{}: text, a number, true or false is expected", key.get_ref()));
                }
            };
            tcp.set(key.get_ref(), &text).map_err(|what| at(self.text, Some(key.span()), what))?;
        }
        // The place is that of the setting that is named, if it is among these.
        tcp.check().map_err(|what| {
            let named = s.iter().find(|(key, _)| what.starts_with(&format!("{}:", key.get_ref()))).or(s.iter().next());
            at(self.text, named.map(|(key, _)| key.span()), what)
        })
    }

    fn no<T>(&self, place: impl Into<Option<Range<usize>>>, what: String) -> Result<T> {
        Err(at(self.text, place.into(), what))
    }
}

/// Every name under which a file may describe a link: its own, those of its kind, and each with `-back`.
fn link_names(t: &Topology) -> BTreeSet<String> {
    let own = t.links.iter().flat_map(|e| [e.name.clone(), e.kind.to_string()]);
    own.flat_map(|n| [format!("{n}{BACK}"), n]).collect()
}

/// The names under which a direction of a link is described, the more particular later.
fn settings_of(e: &Edge, i: usize) -> Vec<String> {
    let mut names = vec![e.kind.to_string()];
    if e.name != e.kind {
        names.push(e.name.clone());
    }
    if i % 2 == 1 {
        names = [&names[..], &names.iter().map(|n| format!("{n}{BACK}")).collect::<Vec<_>>()].concat();
    }
    names
}

/// Links on which nothing is said about the rate have none; those of hosts to their router have no delay either.
fn default_model(e: &Edge) -> LinkModel {
    let delay = if e.kind == "access" { Duration::ZERO } else { LinkModel::default().delay };
    LinkModel { delay, ..LinkModel::default() }
}

/// CoDel, with what the table says otherwise.
fn limit(room: Room, rate: u64) -> Limit {
    match room {
        Room::Packets(n) => Limit::Packets(n),
        Room::Bytes(n) => Limit::Bytes(n),
        Room::Time(t) => Limit::Bytes((rate as f64 / 8.0 * t.as_secs_f64()) as u64),
    }
}

fn change(c: &ChangeTable) -> Change {
    Change {
        at: START + c.at.0,
        cut: c.cut,
        rate: c.rate.map(|r| r.0),
        delay: c.delay.map(|d| d.0),
        loss: c.loss.map(|p| p.0),
    }
}

fn at(text: &str, place: Option<Range<usize>>, what: String) -> ScenarioError {
    let place = place.and_then(|r| text.get(..r.start)).map(|before| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    });
    ScenarioError { place, what }
}

fn one_line(s: &str) -> String {
    s.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// The least time that must pass where none need.
const LEAST_DELAY: Duration = Duration::from_micros(1);
/// What the other direction of a link is called.
const BACK: &str = "-back";
/// Flows that a middlebox remembers unless it is told otherwise: as many as Linux's conntrack on a small machine.
const DEFAULT_BOX: usize = 65_536;
