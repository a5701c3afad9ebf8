//! Certificates that are right, and some that are not.

use super::Place;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Puts certificates for a server there, `good`, `name`, `old` and `stranger`, and `ca.pem`, which vouches for all but the last, for which
/// `other.pem` does. `ca.key` is that of the first.
pub(crate) fn put(p: &Place) {
    let ca = |name: &str| {
        let (mut params, key) = (CertificateParams::new(Vec::new()).unwrap(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem(), Issuer::new(params, key))
    };
    let (ours, theirs) = (ca("a CA of the test"), ca("another CA"));
    p.put("ca.pem", ours.0.as_bytes());
    p.put("ca.key", ours.1.as_bytes());
    p.put("other.pem", theirs.0.as_bytes());
    for (file, names, ends, by) in [
        ("good", &["www.example.test", "192.0.2.1"][..], 0, &ours.2),
        ("name", &["elsewhere.example.test"], 0, &ours.2),
        ("old", &["www.example.test"], 1, &ours.2),
        ("stranger", &["www.example.test"], 0, &theirs.2),
    ] {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let (mut params, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, format!("{file}\x1b[31m"));
        if ends > 0 {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        p.put(&format!("{file}.pem"), params.signed_by(&key, by).unwrap().pem().as_bytes());
        p.put(&format!("{file}.key"), key.serialize_pem().as_bytes());
    }
}
