//! TLS by rustls over a connection of ours, with a certificate made on the spot, on two hosts in memory.

use std::sync::Arc;
use synfin::Stack;
use synfin::device::{Device, memory_pair};
use synfin::tokio::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failed> {
    let (a, b) = memory_pair(1500, true)?;
    let here = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
    let there = Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(b))?;

    let made = rcgen::generate_simple_self_signed(["server.example".to_string()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key)?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind(&here, "192.0.2.1:443").await?;
    let serves = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut tls = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        tls.write_all(b"a secret").await?;
        tls.shutdown().await
    });

    let stream = TcpStream::connect(&there, "192.0.2.1:443").await?;
    let name = ServerName::try_from("server.example")?;
    let mut tls = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    let mut text = String::new();
    tls.read_to_string(&mut text).await?;
    println!("{:?}: {text:?}", tls.get_ref().1.protocol_version());
    assert_eq!(text, "a secret");
    Ok(serves.await??)
}
