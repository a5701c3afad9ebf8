//! Numbers as Python has them: whole ones, of which those here have 128 bits, and floating ones. What Python would raise an
//! error for fails; what only has no room here is not supported.

use super::Trouble;
use std::cmp::Ordering;
use std::fmt;

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Number {
    Int(i128),
    Float(f64),
}

use Number::{Float, Int};

type Result<T = Number> = std::result::Result<T, Trouble>;

fn raises<T>(what: &str) -> Result<T> {
    Err(Trouble::Failed(what.into()))
}

/// A whole number that has room.
fn int(n: Option<i128>) -> Result {
    n.map(Int).ok_or_else(|| Trouble::Unsupported("a number of more than 128 bits".into()))
}

/// Beyond this not every whole number is a floating one.
const EXACT: u128 = 1 << 53;

impl Number {
    /// Of something that holds or not.
    pub(super) fn from_bool(b: bool) -> Number {
        Int(i128::from(b))
    }

    /// Whether it counts as true.
    pub(super) fn is_true(self) -> bool {
        self != Int(0) && self != Float(0.0)
    }

    fn float(self) -> f64 {
        match self {
            Int(n) => n as f64,
            Float(f) => f,
        }
    }

    /// How two numbers lie to each other, exactly; `None` if one is none.
    pub(super) fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Int(a), Int(b)) => Some(a.cmp(&b)),
            (Float(a), Float(b)) => a.partial_cmp(&b),
            (Int(a), Float(b)) => compare_mixed(a, b),
            (Float(a), Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }

    /// `a OP b`.
    pub(super) fn apply(op: &str, a: Number, b: Number) -> Result {
        match (op, a, b) {
            ("+", Int(a), Int(b)) => int(a.checked_add(b)),
            ("-", Int(a), Int(b)) => int(a.checked_sub(b)),
            ("*", Int(a), Int(b)) => int(a.checked_mul(b)),
            ("+", ..) => Ok(Float(a.float() + b.float())),
            ("-", ..) => Ok(Float(a.float() - b.float())),
            ("*", ..) => Ok(Float(a.float() * b.float())),
            ("/" | "//" | "%", ..) if !b.is_true() => raises("division by zero"),
            ("/", Int(x), Int(y)) if x.unsigned_abs().max(y.unsigned_abs()) > EXACT => {
                Err(Trouble::Unsupported("a quotient of numbers as large as these".into()))
            }
            ("/", ..) => Ok(Float(a.float() / b.float())),
            ("//", Int(a), Int(b)) => int(a.checked_div(b)).map(|q| match q {
                Int(q) if a % b != 0 && (a < 0) != (b < 0) => Int(q - 1),
                q => q,
            }),
            ("%", Int(a), Int(b)) => int(a.checked_rem(b)).map(|r| match r {
                Int(r) if r != 0 && (r < 0) != (b < 0) => Int(r + b),
                r => r,
            }),
            ("%", ..) => Ok(Float(remainder(a.float(), b.float()))),
            ("//", ..) => {
                let (a, b) = (a.float(), b.float());
                let q = (a - remainder(a, b)) / b;
                Ok(Float(if q - q.floor() > 0.5 { q.floor() + 1.0 } else { q.floor() }))
            }
            ("**", ..) => a.power(b),
            (_, Int(a), Int(b)) => bits(op, a, b),
            _ => raises(&format!("{op} of a number that is not whole")),
        }
    }

    fn power(self, by: Number) -> Result {
        match (self, by) {
            (Int(a), Int(b)) if b >= 0 => match (a, u32::try_from(b)) {
                (0 | 1, _) => Ok(Int(if b == 0 { 1 } else { a })),
                (-1, _) => Ok(Int(if b % 2 == 0 { 1 } else { -1 })),
                (_, Ok(b)) => int(a.checked_pow(b)),
                (_, Err(_)) => int(None),
            },
            (a, b) if !a.is_true() && b.float() < 0.0 => raises("division by zero"),
            (a, b) if a.float() < 0.0 && b.float().fract() != 0.0 => {
                Err(Trouble::Unsupported("a complex number".into()))
            }
            (a, b) => match a.float().powf(b.float()) {
                r if r.is_infinite() && a.float().is_finite() && b.float().is_finite() => raises("a result too large"),
                r => Ok(Float(r)),
            },
        }
    }

    /// `-a`.
    pub(super) fn negative(self) -> Result {
        match self {
            Int(n) => int(n.checked_neg()),
            Float(f) => Ok(Float(-f)),
        }
    }

    /// `~a`.
    pub(super) fn inverted(self) -> Result {
        match self {
            Int(n) => Ok(Int(!n)),
            Float(_) => raises("~ of a number that is not whole"),
        }
    }

    /// What the function `name` gives of `args`.
    pub(super) fn call(name: &str, args: &[Number]) -> Result {
        let first = |order: Ordering| {
            args.iter().copied().reduce(|best, n| if n.compare(best) == Some(order) { n } else { best })
        };
        match (name, args) {
            ("abs", [Int(n)]) => int(n.checked_abs()),
            ("abs", [Float(f)]) => Ok(Float(f.abs())),
            ("float", [n]) => Ok(Float(n.float())),
            ("int", [Int(n)]) => Ok(Int(*n)),
            ("int", [Float(f)]) if f.is_finite() && f.abs() < 1e38 => Ok(Int(f.trunc() as i128)),
            ("min" | "max", [_, _, ..]) => {
                let best = first(if name == "min" { Ordering::Less } else { Ordering::Greater });
                best.ok_or_else(|| Trouble::Unsupported(format!("the function {name}")))
            }
            ("abs", _) => raises(&format!("abs() takes one argument, and here are {}", args.len())),
            ("min" | "max", [_]) => raises(&format!("{name}() of one number")),
            _ => Err(Trouble::Unsupported(format!("the function {name}"))),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Int(n) => write!(f, "{n}"),
            Float(n) => write!(f, "{n:?}"),
        }
    }
}

fn compare_mixed(a: i128, b: f64) -> Option<Ordering> {
    /// 2 to the 127th: from here on no number of 128 bits is as large.
    const END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    match b {
        _ if b.is_nan() => None,
        _ if b >= END => Some(Ordering::Less),
        _ if b < -END => Some(Ordering::Greater),
        _ => Some(a.cmp(&(b.trunc() as i128)).then(0.0f64.partial_cmp(&b.fract())?)),
    }
}

/// The remainder, which has the sign of the divisor.
fn remainder(a: f64, b: f64) -> f64 {
    match a % b {
        r if r != 0.0 && (r < 0.0) != (b < 0.0) => r + b,
        0.0 => 0.0f64.copysign(b),
        r => r,
    }
}

fn bits(op: &str, a: i128, b: i128) -> Result {
    match op {
        "&" => Ok(Int(a & b)),
        "|" => Ok(Int(a | b)),
        "^" => Ok(Int(a ^ b)),
        "<<" | ">>" if b < 0 => raises("a negative shift"),
        ">>" => Ok(Int(a >> b.min(127))),
        "<<" if a == 0 => Ok(Int(0)),
        "<<" if b < 127 => int(a.checked_mul(1 << b)),
        "<<" => int(None),
        _ => Err(Trouble::Unsupported(format!("{op} in code"))),
    }
}
