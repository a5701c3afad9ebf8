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

/// Bits that the C interface has as an int, written as a number of either sign.
pub(super) fn flags(e: Option<&Expr>) -> Result<i32, Refusal> {
    let n = int(e)?;
    let bits = i32::try_from(n).or_else(|_| u32::try_from(n).map(|n| n as i32));
    bits.map_err(|_| Refusal::Wrong(format!("{n} has more than 32 bits")))
}

/// Events of poll, which are a short.
pub(super) fn short(e: Option<&Expr>) -> Result<i16, Refusal> {
    let n = int(e)?;
    let bits = i16::try_from(n).or_else(|_| u16::try_from(n).map(|n| n as i16));
    bits.map_err(|_| Refusal::Wrong(format!("{n} has more than 16 bits")))
}

/// A count beside the list that it counts; `...` is right.
pub(super) fn count(e: Option<&Expr>, there: usize) -> Result<(), Refusal> {
    match e {
        None | Some(Expr::Ellipsis) => Ok(()),
        Some(_) => match int(e)? {
            n if usize::try_from(n) == Ok(there) => Ok(()),
            n => Err(Refusal::Wrong(format!("{n} is said to be the number of what is listed, and {there} are"))),
        },
    }
}

/// A length. A negative one is as long as no memory is.
pub(super) fn size(e: Option<&Expr>) -> Result<usize, Refusal> {
    usize::try_from(int(e)?).map_err(|_| libc::EFAULT.into())
}

pub(super) fn fd(call: &Call) -> Result<i32, Refusal> {
    int32(call.args.first())
}

pub(super) fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields.iter().find(|f| f.name.as_deref() == Some(name))
}

pub(super) fn named<'a>(fields: &'a [Field], name: &str) -> Option<&'a Expr> {
    field(fields, name).map(|f| &f.value)
}

/// Octets as one of several numbers, or a text, as scripts write values of options.
pub(super) fn octets(e: &Expr) -> Result<Vec<u8>, Refusal> {
    match e {
        Expr::List(items) => Ok(items.iter().map(octets).collect::<Result<Vec<_>, _>>()?.concat()),
        Expr::Str(s) => Ok(s.clone()),
        Expr::Struct(f) if named(f, "onoff").is_some() => {
            let (on, time) = (int32(named(f, "onoff"))?, int32(named(f, "linger"))?);
            Ok([on.to_ne_bytes(), time.to_ne_bytes()].concat())
        }
        other => Ok(flags(Some(other))?.to_ne_bytes().to_vec()),
    }
}

/// Octets in all of a list of `{..., N}`, of which there are as many as is said.
pub(super) fn iov_len(e: Option<&Expr>, said: Option<&Expr>) -> Result<usize, Refusal> {
    let Some(Expr::List(items)) = e else { return Err(bad("an iovec that is no list")) };
    count(said, items.len())?;
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
    let family = family(e)?;
    if family == Some(libc::AF_UNSPEC) {
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
    // A constant is of either family, and so is what is filled in.
    let literal = fields.iter().any(|f| matches!(&f.value, Expr::Call(name, _) if name.starts_with("inet")));
    match (family, ip) {
        (Some(libc::AF_INET6), IpAddr::V4(_)) if literal => {
            return Err(Refusal::Wrong(format!("AF_INET6 with the IPv4 address {ip}")));
        }
        (Some(libc::AF_INET), IpAddr::V6(_)) if literal => {
            return Err(Refusal::Wrong(format!("AF_INET with the IPv6 address {ip}")));
        }
        _ => {}
    }
    let port = u16::try_from(port).map_err(|_| Refusal::Wrong(format!("{port} is no port")))?;
    Ok(Some(SocketAddr::new(ip, port)))
}

/// The family of an address, if it is written.
fn family(e: Option<&Expr>) -> Result<Option<i32>, Refusal> {
    let Some(Expr::Struct(f)) = e else { return Ok(None) };
    let written = ["sa_family", "sin_family", "sin6_family"].iter().find_map(|n| named(f, n));
    written.map(|w| int32(Some(w))).transpose()
}

/// Octets of an address as sockets of a family have it.
pub(super) fn address_len(v6: bool) -> usize {
    if v6 { size_of::<libc::sockaddr_in6>() } else { size_of::<libc::sockaddr_in>() }
}

/// An address as Linux takes it for a socket of IPv6 (`v6`) or of IPv4: of its family, and as long as one is. Datagrams of a
/// socket of IPv6 may go to addresses of IPv4 as they are (`mixed`).
pub(super) fn address_for(
    (e, len): (Option<&Expr>, Option<&Expr>),
    default: SocketAddr,
    v6: bool,
    mixed: bool,
) -> Result<Option<SocketAddr>, Refusal> {
    /// RFC 2133's address had no scope.
    const LEAST_V6: i64 = 24;
    const MOST: i64 = size_of::<libc::sockaddr_storage>() as i64;
    let family = family(e)?.unwrap_or(if v6 { libc::AF_INET6 } else { libc::AF_INET });
    let least = match family {
        libc::AF_UNSPEC => size_of::<libc::sa_family_t>() as i64,
        libc::AF_INET6 => LEAST_V6,
        _ => address_len(false) as i64,
    };
    let too_short = match len {
        None | Some(Expr::Ellipsis) => false,
        Some(_) => !(least..=MOST).contains(&int(len)?),
    };
    let a = address(e, default)?;
    match family {
        _ if too_short => Err(libc::EINVAL.into()),
        libc::AF_INET if v6 && !mixed => Err(libc::EINVAL.into()),
        libc::AF_INET6 if !v6 => Err(libc::EAFNOSUPPORT.into()),
        libc::AF_UNSPEC | libc::AF_INET | libc::AF_INET6 => Ok(a),
        _ => Err(libc::EAFNOSUPPORT.into()),
    }
}

pub(super) fn epoll_event(f: &[Field]) -> Result<(u32, u64), Refusal> {
    let data = ["fd", "ptr", "u32", "u64"].iter().find_map(|n| named(f, n));
    Ok((flags(named(f, "events"))? as u32, data.map_or(Ok(0), |d| int(Some(d)))? as u64))
}
