//! What a scenario file may say: the shape of the TOML, key by key, as `docs/sim.md` tells it.

use crate::units::{Portion, Rate, Room, Size, Time};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Spanned, Value};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub name: Option<String>,
    #[serde(default = "first")]
    pub seed: u64,
    pub duration: Time,
    pub topology: Option<Spanned<TopologyTable>>,
    #[serde(default)]
    pub tcp: Settings,
    #[serde(default)]
    pub hosts: BTreeMap<Spanned<String>, HostTable>,
    #[serde(default)]
    pub links: BTreeMap<Spanned<String>, LinkTable>,
    #[serde(default)]
    pub flows: Vec<Spanned<FlowTable>>,
}

/// Settings of TCP by their keys.
pub(super) type Settings = BTreeMap<Spanned<String>, Value>;

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TopologyTable {
    #[serde(default)]
    pub kind: Kind,
    /// Of a dumbbell.
    pub pairs: Option<usize>,
    /// Of a chain.
    pub hops: Option<usize>,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    #[default]
    Pair,
    Dumbbell,
    Chain,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct HostTable {
    #[serde(default)]
    pub tcp: Settings,
    pub mtu: Option<u32>,
    #[serde(default)]
    pub offload: bool,
}

/// A link, or what is different about it.
#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LinkTable {
    pub rate: Option<Rate>,
    pub delay: Option<Time>,
    pub jitter: Option<Time>,
    pub jitter_reorders: Option<bool>,
    pub queue: Option<Room>,
    pub aqm: Option<AqmKind>,
    pub target: Option<Time>,
    pub interval: Option<Time>,
    pub ecn: Option<bool>,
    pub mark_above: Option<Size>,
    pub loss: Option<Portion>,
    pub burst: Option<u32>,
    pub reorder: Option<Portion>,
    pub reorder_by: Option<Time>,
    pub duplicate: Option<Portion>,
    pub corrupt: Option<Portion>,
    pub mtu: Option<u32>,
    pub black_hole: Option<bool>,
    pub cut: Option<bool>,
    pub changes: Option<Vec<ChangeTable>>,
    pub middlebox: Option<MiddleboxTable>,
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AqmKind {
    Tail,
    Codel,
    Mark,
}

#[derive(Debug, Deserialize, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ChangeTable {
    pub at: Time,
    pub cut: Option<bool>,
    pub rate: Option<Rate>,
    pub delay: Option<Time>,
    pub loss: Option<Portion>,
}

#[derive(Debug, Deserialize, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MiddleboxTable {
    pub idle: Time,
    #[serde(default)]
    pub reset: bool,
    pub flows: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FlowTable {
    pub name: Option<String>,
    pub from: Spanned<String>,
    pub to: Spanned<String>,
    #[serde(default = "once")]
    pub count: usize,
    #[serde(default)]
    pub start: Time,
    #[serde(default)]
    pub every: Time,
    pub bytes: Option<Size>,
    pub duration: Option<Time>,
    pub rate: Option<Rate>,
    pub on: Option<Time>,
    pub off: Option<Time>,
    pub request: Option<Size>,
    pub response: Option<Size>,
    #[serde(default)]
    pub think: Time,
    pub requests: Option<u64>,
    pub read_rate: Option<Rate>,
    #[serde(default)]
    pub tcp: Settings,
}

fn first() -> u64 {
    1
}

fn once() -> usize {
    1
}
