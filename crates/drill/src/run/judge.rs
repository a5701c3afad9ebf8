//! The result of a call beside what the script says.

use super::arguments::{address, address_len, epoll_event, field, named, octets};
use crate::script::symbols::{errno, errno_name, number};
use crate::script::{Call, Expr};
use std::net::SocketAddr;

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    /// A new file.
    File,
    /// A new file of accept: its peer, and whether the script has had packets of that peer.
    Accepted {
        peer: SocketAddr,
        known: bool,
    },
    /// The octets, the flags of the message, and who sent it.
    Received {
        data: Vec<u8>,
        flags: i32,
        from: Option<SocketAddr>,
    },
    /// A value of an option, as it lies in memory, beside the result 0.
    Octets(Vec<u8>),
    /// Events of poll, beside their number.
    Poll(Vec<i16>),
    /// Events and data of `epoll_wait`.
    Epoll(Vec<(u32, u64)>),
}

/// Compares the result of a call with what the script says; the error says how they differ. Addresses of its file are
/// IPv6's (`v6`) or IPv4's.
pub(super) fn judge(call: &Call, got: Result<Value, i32>, v6: bool) -> Result<(), String> {
    let Some(want) = &call.result else { return Ok(()) };
    let want = number(want).map_err(|e| format!("cannot read the result: {e}"))?;
    let show_want = match &call.errno {
        Some(e) => format!("{want} {e}"),
        None => want.to_string(),
    };
    let value = match got {
        Err(came) => {
            let wanted = call.errno.as_deref().and_then(errno);
            if want == -1 && wanted.is_none_or(|w| w == i64::from(came)) {
                return Ok(());
            }
            return Err(format!("expected {show_want}, came -1 {}", errno_name(came)));
        }
        Ok(v) => v,
    };
    let differs = |came: String| Err(format!("expected {show_want}, came {came}"));
    match value {
        Value::File if want >= 0 => Ok(()),
        Value::File => differs("a new file".into()),
        Value::Accepted { .. } if want < 0 => differs("a new file".into()),
        Value::Accepted { peer, known: false } => Err(format!("{peer} is nobody that the script has had packets of")),
        Value::Accepted { peer, .. } => judge_address(call.args.get(1), call.args.get(2), Some(peer), v6),
        Value::Received { data, .. } if data.len() as i64 != want => differs(data.len().to_string()),
        Value::Received { data, flags, from } => {
            judge_text(call, &data)?;
            judge_message(call, flags, from, v6)
        }
        Value::Number(n) if n == want => Ok(()),
        Value::Number(n) => differs(n.to_string()),
        Value::Octets(_) if want != 0 => differs("0".into()),
        Value::Octets(came) => judge_octets(call, &came),
        Value::Poll(came) => match came.iter().filter(|r| **r != 0).count() as i64 {
            n if n == want => judge_poll(call, &came),
            n => differs(n.to_string()),
        },
        Value::Epoll(came) if came.len() as i64 != want => differs(came.len().to_string()),
        Value::Epoll(came) => judge_epoll(call, &came),
    }
}

/// What a call returns that gives a number and nothing else the script would have to name.
pub(super) fn number_of(v: &Value) -> Option<i64> {
    match v {
        Value::Number(n) => Some(*n),
        Value::File | Value::Accepted { .. } => None,
        Value::Received { data, .. } => Some(data.len() as i64),
        Value::Octets(_) => Some(0),
        Value::Poll(came) => Some(came.iter().filter(|r| **r != 0).count() as i64),
        Value::Epoll(came) => Some(came.len() as i64),
    }
}

/// A text where a buffer stands is what must have been read; `...` and NULL take anything.
fn judge_text(call: &Call, came: &[u8]) -> Result<(), String> {
    let Some(Expr::Str(want)) = call.args.get(1) else { return Ok(()) };
    if want == came {
        return Ok(());
    }
    let show =
        |b: &[u8]| b.iter().take(40).flat_map(|o| std::ascii::escape_default(*o)).map(char::from).collect::<String>();
    Err(format!("expected the octets \"{}\", came \"{}\" (text of packets is zeros)", show(want), show(came)))
}

/// An address that the script names must be the one that came, and so must its length; `...` and NULL take any.
fn judge_address(wanted: Option<&Expr>, len: Option<&Expr>, came: Option<SocketAddr>, v6: bool) -> Result<(), String> {
    let plain = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
    if let Some(Expr::Struct(_)) = wanted {
        // What is not written of it is as it came.
        let came = came.map(plain);
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let a = address(wanted, came.unwrap_or(any)).map_err(|r| format!("cannot read the address: {r:?}"))?;
        let text = |a: Option<SocketAddr>, none: &str| a.map_or(none.to_string(), |a| a.to_string());
        if a.map(plain) != came || came.is_none() {
            return Err(format!("expected the address {}, came {}", text(a, "AF_UNSPEC"), text(came, "none")));
        }
    }
    let len = match len {
        Some(Expr::List(l)) => l.first(),
        other => other,
    };
    let there = came.map_or(0, |_| address_len(v6));
    match len {
        Some(Expr::Int(n)) if usize::try_from(*n) != Ok(there) => {
            Err(format!("expected an address of {n} octets, came one of {there}"))
        }
        _ => Ok(()),
    }
}

/// Sender and flags of a message.
fn judge_message(call: &Call, flags: i32, from: Option<SocketAddr>, v6: bool) -> Result<(), String> {
    match (call.name.as_str(), call.args.get(1)) {
        ("recvfrom", _) => judge_address(call.args.get(4), call.args.get(5), from, v6),
        ("recvmsg", Some(Expr::Struct(m))) => {
            // There are no control messages here.
            if let Some(n) = named(m, "msg_controllen").filter(|n| !matches!(n, Expr::Ellipsis))
                && number(n)? != 0
            {
                return Err(format!("expected msg_controllen {}, came 0", number(n)?));
            }
            if let Some(want) = named(m, "msg_flags")
                && number(want)? != i64::from(flags)
            {
                return Err(format!("expected msg_flags {:#x}, came {flags:#x}", number(want)?));
            }
            let name = field(m, "msg_name");
            let len = name.and_then(|f| f.length.as_ref()).or_else(|| named(m, "msg_namelen"));
            judge_address(name.map(|f| &f.value), len, from, v6)
        }
        _ => Ok(()),
    }
}

/// The value of an option, or of an `ioctl`.
fn judge_octets(call: &Call, came: &[u8]) -> Result<(), String> {
    let at = if call.name == "ioctl" { 2 } else { 3 };
    if let Some(Expr::List(len)) = call.args.get(4)
        && let Some(len) = len.first().map(number).transpose()?
        && len != came.len() as i64
    {
        return Err(format!("expected a value of {len} octets, came {}", came.len()));
    }
    let Some(e) = call.args.get(at).filter(|e| !matches!(e, Expr::Ellipsis)) else { return Ok(()) };
    let wanted = octets(e).map_err(|r| format!("cannot read the value: {r:?}"))?;
    // A name stands in a field that zeros fill.
    let is_name = matches!(e, Expr::Str(_));
    let end = |b: &[u8]| if is_name { b.iter().rposition(|o| *o != 0).map_or(0, |i| i + 1) } else { b.len() };
    if came[..end(came)] == wanted[..end(&wanted)] {
        return Ok(());
    }
    let is_error = call.args.get(2) == Some(&Expr::Word("SO_ERROR".into()));
    let text = |b: &[u8]| match <[u8; 4]>::try_from(b).map(i32::from_ne_bytes) {
        _ if is_name => format!("{:?}", String::from_utf8_lossy(&b[..end(b)])),
        Ok(n) if is_error && n != 0 => errno_name(n),
        Ok(n) => n.to_string(),
        Err(_) => format!("{b:02x?}"),
    };
    Err(format!("expected the value {}, came {}", text(&wanted), text(came)))
}

fn judge_poll(call: &Call, came: &[i16]) -> Result<(), String> {
    let Some(Expr::List(items)) = call.args.first() else { return Ok(()) };
    for (i, r) in items.iter().zip(came) {
        let Expr::Struct(f) = i else { continue };
        let wanted = named(f, "revents").map_or(Ok(0), number)?;
        if wanted != i64::from(*r) {
            return Err(format!("expected revents {wanted:#x}, came {r:#x}"));
        }
    }
    Ok(())
}

fn judge_epoll(call: &Call, came: &[(u32, u64)]) -> Result<(), String> {
    let events: Vec<&Expr> = match call.args.get(1) {
        Some(Expr::List(l)) => l.iter().collect(),
        Some(e @ Expr::Struct(_)) => vec![e],
        _ => Vec::new(),
    };
    for (e, (mask, data)) in events.iter().zip(came) {
        let Expr::Struct(f) = e else { continue };
        let (m, d) = epoll_event(f).map_err(|r| format!("cannot read the events: {r:?}"))?;
        if (m, d) != (*mask, *data) {
            return Err(format!("expected events {m:#x} of {d}, came {mask:#x} of {data}"));
        }
    }
    Ok(())
}
