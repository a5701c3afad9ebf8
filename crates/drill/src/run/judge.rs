//! The result of a call beside what the script says.

use super::arguments::{address, epoll_event, named, octets};
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

/// Compares the result of a call with what the script says; the error says how they differ.
pub(super) fn judge(call: &Call, got: Result<Value, i32>) -> Result<(), String> {
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
        Value::Accepted { peer, .. } => judge_address(call.args.get(1), Some(peer)),
        Value::Received { data, .. } if data.len() as i64 != want => differs(data.len().to_string()),
        Value::Received { data, flags, from } => {
            judge_text(call, &data)?;
            judge_message(call, flags, from)
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

/// An address that the script names must be the one that came; `...` and NULL take any.
fn judge_address(wanted: Option<&Expr>, came: Option<SocketAddr>) -> Result<(), String> {
    let (Some(Expr::Struct(_)), Some(came)) = (wanted, came) else { return Ok(()) };
    let came = SocketAddr::new(came.ip().to_canonical(), came.port());
    match address(wanted, came) {
        Ok(Some(a)) if a == came => Ok(()),
        Ok(a) => Err(format!("expected the address {}, came {came}", a.map_or("AF_UNSPEC".into(), |a| a.to_string()))),
        Err(r) => Err(format!("cannot read the address: {r:?}")),
    }
}

/// Sender and flags of a message.
fn judge_message(call: &Call, flags: i32, from: Option<SocketAddr>) -> Result<(), String> {
    match (call.name.as_str(), call.args.get(1)) {
        ("recvfrom", _) => judge_address(call.args.get(4), from),
        ("recvmsg", Some(Expr::Struct(m))) => {
            if let Some(want) = named(m, "msg_flags")
                && number(want)? != i64::from(flags)
            {
                return Err(format!("expected msg_flags {:#x}, came {flags:#x}", number(want)?));
            }
            judge_address(named(m, "msg_name"), from)
        }
        _ => Ok(()),
    }
}

/// The value of an option, or of an `ioctl`.
fn judge_octets(call: &Call, came: &[u8]) -> Result<(), String> {
    let at = if call.name == "ioctl" { 2 } else { 3 };
    let Some(e) = call.args.get(at).filter(|e| !matches!(e, Expr::Ellipsis)) else { return Ok(()) };
    let wanted = octets(e).map_err(|r| format!("cannot read the value: {r:?}"))?;
    if let Some(Expr::List(len)) = call.args.get(4)
        && let Some(len) = len.first().map(number).transpose()?
        && len != came.len() as i64
    {
        return Err(format!("expected a value of {len} octets, came {}", came.len()));
    }
    if came == wanted {
        return Ok(());
    }
    let is_error = call.args.get(2) == Some(&Expr::Word("SO_ERROR".into()));
    let text = |b: &[u8]| match <[u8; 4]>::try_from(b).map(i32::from_ne_bytes) {
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
