//! The one place where a path touches the simulator's link.

pub(crate) use synfin_sim::link::{
    Aqm, Change, Fate, Histogram, Limit, Link, LinkModel, Lost, Packet, ecn_of, mark_ce,
};
