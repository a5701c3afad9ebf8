//! The engine's context, made from the fields of the stack that it needs, so that the tables beside them stay free to
//! be borrowed.

/// The context for connections with the settings number `$cfg`.
macro_rules! tcp_cx {
    ($stack:expr, $cfg:expr, $now:expr, $probe:expr) => {
        synfin_tcp::Cx {
            now: $now,
            rng: &mut $stack.rng,
            cfg: &$stack.configs[$cfg],
            mib: &mut $stack.tcp_mib,
            pool: &mut $stack.pool,
            probe: $probe,
        }
    };
}
pub(crate) use tcp_cx;
