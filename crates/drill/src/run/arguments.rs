//! The arguments of a call, as a script writes them.

use crate::script::symbols::number;
use crate::script::{Call, Expr, Field};
use crate::sockets::Refusal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) fn bad(what: impl Into<String>) -> Refusal {
    Refusal::Unsupported(what.into())
}

pub(super) fn int(e: Option<&Expr>) -> Result<i64, Refusal> {
    let e = e.ok_or_else(|| Refusal::Wrong("an argument is missing".into()))?;
    number(e).map_err(bad)
}

/// A number that the C interface has as an int.
pub(super) fn int32(e: Option<&Expr>) -> Result<i32, Refusal> {
    let n = int(e)?;
    i32::try_from(n).map_err(|_| Refusal::Wrong(format!("{n} is no int")))
}

/// A length. A negative one is as long as no memory is.
pub(super) fn size(e: Option<&Expr>) -> Result<usize, Refusal> {
    usize::try_from(int(e)?).map_err(|_| libc::EFAULT.into())
}

pub(super) fn fd(call: &Call) -> Result<i32, Refusal> {
    int32(call.args.first())
}

pub(super) fn named<'a>(fields: &'a [Field], name: &str) -> Option<&'a Expr> {
    fields.iter().find(|f| f.name.as_deref() == Some(name)).map(|f| &f.value)
}

/// Octets as one of several numbers, or a text, as scripts write values of options.
pub(super) fn octets(e: &Expr) -> Result<Vec<u8>, Refusal> {
    match e {
        Expr::List(items) => Ok(items.iter().map(octets).collect::<Result<Vec<_>, _>>()?.concat()),
        Expr::Str(s) => Ok(s.clone()),
        Expr::Struct(f) if named(f, "onoff").is_some() => {
            let (on, time) = (int(named(f, "onoff"))?, int(named(f, "linger"))?);
            Ok([(on as i32).to_ne_bytes(), (time as i32).to_ne_bytes()].concat())
        }
        other => Ok((number(other).map_err(bad)? as i32).to_ne_bytes().to_vec()),
    }
}

/// Octets in all of a list of `{..., N}`.
pub(super) fn iov_len(e: Option<&Expr>) -> Result<usize, Refusal> {
    let Some(Expr::List(items)) = e else { return Err(bad("an iovec that is no list")) };
    let mut total = 0;
    for i in items {
        match i {
            Expr::Struct(f) if matches!(f.first().map(|f| &f.value), Some(Expr::Str(_))) => {
                return Err(bad("text in an iovec"));
            }
            Expr::Struct(f) => total = size(f.last().map(|f| &f.value))?.saturating_add(total),
            _ => return Err(bad("an iovec of another form")),
        }
    }
    Ok(total)
}

/// An address: `...` is filled in with `default`; `AF_UNSPEC` is none.
pub(super) fn address(e: Option<&Expr>, default: SocketAddr) -> Result<Option<SocketAddr>, Refusal> {
    let fields = match e {
        None | Some(Expr::Ellipsis) => return Ok(Some(default)),
        Some(Expr::Struct(f)) => f,
        Some(other) => return Err(bad(format!("the address {other:?}"))),
    };
    let family = named(fields, "sa_family").or_else(|| named(fields, "sin6_family"));
    if let Some(Expr::Word(w)) = family
        && w == "AF_UNSPEC"
    {
        return Ok(None);
    }
    let port = named(fields, "sin_port").or_else(|| named(fields, "sin6_port")).map_or(Ok(0), |p| int(Some(p)))?;
    let ip = match named(fields, "sin_addr").or_else(|| named(fields, "sin6_addr")) {
        Some(Expr::Call(_, args)) => match args.first() {
            Some(Expr::Str(s)) => String::from_utf8_lossy(s).parse::<IpAddr>().map_err(|e| bad(e.to_string()))?,
            Some(Expr::Word(w)) if w == "INADDR_ANY" => Ipv4Addr::UNSPECIFIED.into(),
            _ => return Err(bad("an address of another form")),
        },
        Some(Expr::Word(w)) if w == "INADDR_ANY" => Ipv4Addr::UNSPECIFIED.into(),
        _ => default.ip(),
    };
    Ok(Some(SocketAddr::new(ip, port as u16)))
}

pub(super) fn epoll_event(f: &[Field]) -> Result<(u32, u64), Refusal> {
    let data = ["fd", "ptr", "u32", "u64"].iter().find_map(|n| named(f, n));
    Ok((int(named(f, "events"))? as u32, data.map_or(Ok(0), |d| int(Some(d)))? as u64))
}
