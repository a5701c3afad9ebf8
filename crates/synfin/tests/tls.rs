//! tokio-rustls runs unchanged over our sockets, with a certificate that the test makes for itself; a wrong one is refused.

mod pair;

use pair::{b, pair};
use std::io;
use std::sync::Arc;
use synfin::tokio::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn certificate() -> Result<(ServerConfig, RootCertStore), Failed> {
    let made = rcgen::generate_simple_self_signed(["b.example".to_string()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok((server, roots))
}

fn connector(roots: RootCertStore) -> TlsConnector {
    TlsConnector::from(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_each_way_over_tls() -> Result<(), Failed> {
    let (x, y) = pair()?;
    let (config, roots) = certificate()?;
    let l = TcpListener::bind(&y, b(443)).await?;
    let server = tokio::spawn(async move {
        let tls = TlsAcceptor::from(Arc::new(config)).accept(l.accept().await?.0).await?;
        let (mut r, mut w) = tokio::io::split(tls);
        tokio::io::copy(&mut r, &mut w).await?;
        w.shutdown().await
    });
    let tls =
        connector(roots).connect(ServerName::try_from("b.example")?, TcpStream::connect(&x, b(443)).await?).await?;
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut r, mut w) = tokio::io::split(tls);
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        w.write_all(&sent).await?;
        w.shutdown().await
    });
    let mut back = Vec::new();
    r.read_to_end(&mut back).await?;
    assert!(back == data, "{} octets", back.len());
    writer.await??;
    Ok(server.await??)
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_and_one_of_another_name_are_refused() -> Result<(), Failed> {
    let (x, y) = pair()?;
    let (config, right) = certificate()?;
    let (_, wrong) = certificate()?;
    let l = TcpListener::bind(&y, b(443)).await?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for (roots, name) in [(wrong, "b.example"), (right, "other.example")] {
        let client = async {
            let s = TcpStream::connect(&x, b(443)).await?;
            connector(roots).connect(ServerName::try_from(name).map_err(io::Error::other)?, s).await.map(drop)
        };
        let server = async { acceptor.accept(l.accept().await?.0).await.map(drop) };
        let (c, s) = tokio::join!(client, server);
        assert_eq!(c.expect_err(name).kind(), io::ErrorKind::InvalidData);
        assert!(s.is_err(), "the server was told");
    }
    Ok(())
}
