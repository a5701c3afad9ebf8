//! TLS: who is trusted, and in words why a certificate is refused.

use super::address::printable;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, KeyLogFile, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Whom to trust: a file's certificates, or this machine's, which are read when they are needed.
pub(super) struct Trust {
    file: Option<RootCertStore>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    pub fn new(cacert: Option<&Path>) -> io::Result<Trust> {
        Ok(Trust { file: cacert.map(read).transpose()?, config: OnceLock::new() })
    }

    /// The settings of the client.
    pub fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let roots = self.file.clone().map_or_else(of_this_machine, Ok)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.key_log = Arc::new(KeyLogFile::new());
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }
}

fn read(path: &Path) -> io::Result<RootCertStore> {
    let bad = |e: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: no certificates: {e}", path.display()))
    };
    let pem = std::fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(&pem) {
        roots.add(cert.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    }
    if roots.is_empty() { Err(bad(&"there is none in it (PEM)")) } else { Ok(roots) }
}

fn of_this_machine() -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Some are of old kinds, and left out.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "this machine trusts nobody: --cacert FILE says whom to trust",
        ));
    }
    Ok(roots)
}

/// What a certificate says of its owner.
pub(super) struct Said {
    pub subject: String,
    pub issuer: String,
    pub not_after: String,
}

/// Reads a certificate that was found right.
pub(super) fn said(der: &[u8]) -> Option<Said> {
    let (_, cert) = X509Certificate::from_der(der).ok()?;
    Some(Said {
        subject: printable(&cert.subject().to_string()),
        issuer: printable(&cert.issuer().to_string()),
        not_after: cert.validity().not_after.to_string(),
    })
}

/// Why the handshake failed, in words.
pub(super) fn named(e: io::Error) -> io::Error {
    let Some(cause) = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        // The connection has failed, not TLS.
        return io::Error::new(e.kind(), format!("TLS: {e}"));
    };
    use CertificateError as C;
    let words = match cause {
        rustls::Error::InvalidCertificate(c) => match c {
            C::UnknownIssuer => "the certificate is refused: who has signed it is not trusted (unknown CA)".into(),
            C::NotValidForName => "the certificate is refused: it is for another name".into(),
            C::NotValidForNameContext { expected, presented } => format!(
                "the certificate is refused: it is for another name: {}, not {}",
                printable(&presented.iter().map(|n| bare(n)).collect::<Vec<_>>().join(", ")),
                expected.to_str()
            ),
            C::Expired | C::ExpiredContext { .. } => "the certificate is refused: it has expired".into(),
            C::NotValidYet | C::NotValidYetContext { .. } => "the certificate is refused: it is not valid yet".into(),
            C::Revoked => "the certificate is refused: it is revoked".into(),
            C::Other(e) if e.0.to_string() == "CaUsedAsEndEntity" => {
                "the certificate is refused: it is that of a CA, which signs others, and no server's".into()
            }
            C::BadSignature => "the certificate is refused: its signature is wrong".into(),
            other => format!("the certificate is refused: {}", printable(&other.to_string())),
        },
        other => format!("TLS: {}", printable(&other.to_string())),
    };
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// A name as rustls presents it, `DnsName("www.example.test")` or `IpAddress(192.0.2.1)`, without its kind.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(name, |n| n.trim_matches('"'))
}
