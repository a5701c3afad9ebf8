//! Types and codes of ICMP by the names that scripts give them.

use super::Icmp;

const TYPES_V4: &[(&str, u8)] = &[
    ("echo_reply", 0),
    ("unreachable", 3),
    ("source_quench", 4),
    ("redirect", 5),
    ("echo_request", 8),
    ("time_exceeded", 11),
    ("parameter_problem", 12),
    ("timestamp_request", 13),
    ("timestamp_reply", 14),
];
const TYPES_V6: &[(&str, u8)] = &[
    ("unreachable", 1),
    ("packet_too_big", 2),
    ("time_exceeded", 3),
    ("parameter_problem", 4),
    ("echo_request", 128),
    ("echo_reply", 129),
];
/// Type, name, code.
const CODES_V4: &[(u8, &str, u8)] = &[
    (3, "net_unreachable", 0),
    (3, "host_unreachable", 1),
    (3, "protocol_unreachable", 2),
    (3, "port_unreachable", 3),
    (3, "frag_needed", 4),
    (3, "source_route_failed", 5),
    (3, "net_unknown", 6),
    (3, "host_unknown", 7),
    (3, "source_host_isolated", 8),
    (3, "net_prohibited", 9),
    (3, "host_prohibited", 10),
    (3, "net_unreachable_for_tos", 11),
    (3, "host_unreachable_for_tos", 12),
    (3, "packet_filtered", 13),
    (3, "precedence_violation", 14),
    (3, "precedence_cutoff", 15),
    (5, "net_redirect", 0),
    (5, "host_redirect", 1),
    (11, "exceeded_ttl", 0),
    (11, "ttl_exceeded_in_transit", 0),
    (11, "exceeded_frag_time", 1),
];
const CODES_V6: &[(u8, &str, u8)] = &[
    (1, "net_unreachable", 0),
    (1, "no_route", 0),
    (1, "admin_prohibited", 1),
    (1, "not_neighbour", 2),
    (1, "address_unreachable", 3),
    (1, "port_unreachable", 4),
    (3, "exceeded_hop_limit", 0),
    (3, "exceeded_frag_time", 1),
    (4, "erroneous_header_field", 0),
    (4, "unrecognized_next_header", 1),
    (4, "unrecognized_option", 2),
];

/// Type and code of a message by their names.
pub(crate) fn icmp_numbers(i: &Icmp, v6: bool) -> Result<(u8, u8), String> {
    let (types, codes) = if v6 { (TYPES_V6, CODES_V6) } else { (TYPES_V4, CODES_V4) };
    let kind = types.iter().find(|t| t.0 == i.kind).map(|t| t.1);
    let names = |all: Vec<&str>| all.join(", ");
    let kind = kind.ok_or_else(|| {
        format!("{:?} is no ICMP type: expected one of {}", i.kind, names(types.iter().map(|t| t.0).collect()))
    })?;
    let code = match &i.code {
        None => 0,
        Some(name) => {
            let c = codes.iter().find(|c| c.0 == kind && c.1 == *name).map(|c| c.2);
            let of_kind = codes.iter().filter(|c| c.0 == kind).map(|c| c.1);
            c.ok_or_else(|| format!("{name:?} is no code of it: expected one of {}", names(of_kind.collect())))?
        }
    };
    Ok((kind, code))
}

/// Whether there are such a type and such a code, of IPv4 or of IPv6: which it will be is not known before the script is
/// played.
pub(super) fn known(i: &Icmp) -> Result<(), String> {
    let Err(e) = icmp_numbers(i, false) else { return Ok(()) };
    match icmp_numbers(i, true) {
        Ok(_) => Ok(()),
        // The version that has the type says more of the code.
        Err(of_v6) if TYPES_V6.iter().any(|t| t.0 == i.kind) && !TYPES_V4.iter().any(|t| t.0 == i.kind) => Err(of_v6),
        Err(_) => Err(e),
    }
}
