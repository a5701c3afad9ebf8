//! The result of a call beside what the script says.

use super::arguments::{epoll_event, named, octets};
use super::symbols::{constant, errno_name, number};
use crate::script::{Call, Expr};

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    /// A new file.
    File,
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
        Err(errno) => {
            let wanted = call.errno.as_deref().and_then(constant);
            if want == -1 && (wanted.is_none() || wanted == Some(i64::from(errno))) {
                return Ok(());
            }
            return Err(format!("expected {show_want}, came -1 {}", errno_name(errno)));
        }
        Ok(v) => v,
    };
    let differs = |came: String| Err(format!("expected {show_want}, came {came}"));
    match value {
        Value::File if want >= 0 => Ok(()),
        Value::File => differs("a new file".into()),
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

/// The value of an option, or of an `ioctl`.
fn judge_octets(call: &Call, came: &[u8]) -> Result<(), String> {
    let at = if call.name == "ioctl" { 2 } else { 3 };
    let Some(e) = call.args.get(at).filter(|e| !matches!(e, Expr::Ellipsis)) else { return Ok(()) };
    let wanted = octets(e).map_err(|r| format!("cannot read the value: {r:?}"))?;
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
