//! From a URL to a stream that carries HTTP: name, TCP, TLS, and how long each took.

use super::fetch::{Job, ms};
use super::tls;
use super::watched::{Last, Watched};
use crate::host::{HostArgs, unconnected};
use serde_json::json;
use std::io;
use synfin::names::{Connected, Target};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

/// What HTTP is spoken over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Whom a URL means.
pub(super) fn target(url: &Url, at: &HostArgs) -> io::Result<Target> {
    match url.host() {
        Some(Host::Ipv4(a)) => Ok(Target::Address(a.into())),
        Some(Host::Ipv6(a)) => Ok(Target::Address(a.into())),
        Some(Host::Domain(name)) => at.target(name),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no host")),
    }
}

/// Connects. When the stream is over, `last` has what TCP made of it.
pub(super) async fn dial(job: &Job, url: &Url, target: &Target, last: &Last) -> io::Result<Box<dyn Wire>> {
    let port = url.port_or_known_default().unwrap_or(80);
    let connected = job.resolver.connect_to(target, port).await;
    let Connected { stream, peer, named, took, .. } = connected.map_err(|e| unconnected(e, target))?;
    let host = url.host_str().unwrap_or_default();
    if let Some(t) = named {
        job.tell.stage(
            format_args!("name: {host} is {}, after {}", peer.ip(), ms(t)),
            || json!({"event": "name", "name": host, "address": peer.ip().to_string(), "ms": ms(t).0}),
        );
    }
    let local = stream.local_addr()?;
    job.tell.stage(
        format_args!("TCP: connected to {peer} from {local} in {}", ms(took)),
        || json!({"event": "connected", "local": local.to_string(), "peer": peer.to_string(), "ms": ms(took).0}),
    );
    let stream = Watched::new(stream, last, job.until);
    if url.scheme() == "http" {
        return Ok(Box::new(stream));
    }
    let name = match url.host() {
        Some(Host::Ipv4(a)) => ServerName::from(std::net::IpAddr::from(a)),
        Some(Host::Ipv6(a)) => ServerName::from(std::net::IpAddr::from(a)),
        _ => ServerName::try_from(host.to_string())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate has such a name: {e}")))?,
    };
    let config = job.trust.config()?;
    let began = crate::clock::now();
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(tls::named)?;
    let took = began.elapsed();
    let of = stream.get_ref().1;
    let version = of.protocol_version().and_then(|v| v.as_str()).unwrap_or("TLS").replace("TLSv1_", "TLS 1.");
    let cipher = of.negotiated_cipher_suite().and_then(|c| c.suite().as_str()).unwrap_or("?");
    job.tell.stage(
        format_args!("TLS: {version}, {cipher}, in {}", ms(took)),
        || json!({"event": "tls", "version": version, "cipher": cipher, "ms": ms(took).0}),
    );
    if let Some(c) = of.peer_certificates().and_then(|c| tls::said(c.first()?)) {
        let words = format!("certificate: of {}, by {}, until {}", c.subject, c.issuer, c.not_after);
        job.tell.stage(
            words,
            || json!({"event": "certificate", "subject": c.subject, "issuer": c.issuer, "not_after": c.not_after}),
        );
    }
    Ok(Box::new(stream))
}
