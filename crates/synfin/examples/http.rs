//! hyper on both ends of a connection of ours: an HTTP server and a client, on two hosts in memory.

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use synfin::Stack;
use synfin::device::{Device, memory_pair};
use synfin::tokio::{TcpListener, TcpStream};

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    Ok(Response::new(Full::new(Bytes::from(format!("you asked for {}\n", request.uri().path())))))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failed> {
    let (a, b) = memory_pair(1500, true)?;
    let here = Stack::builder().address("192.0.2.1/24")?.start(Device::Memory(a))?;
    let there = Stack::builder().address("192.0.2.2/24")?.start(Device::Memory(b))?;

    let listener = TcpListener::bind(&here, "192.0.2.1:80").await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let done =
                    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello));
                if let Err(e) = done.await {
                    eprintln!("a connection ended: {e}");
                }
            });
        }
    });

    let stream = TcpStream::connect(&there, "192.0.2.1:80").await?;
    let (mut requests, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/page").header("host", "192.0.2.1").body(Empty::<Bytes>::new())?;
    let response = requests.send_request(request).await?;
    println!("{:?} {}", response.version(), response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    assert_eq!(&body[..], b"you asked for /page\n");
    Ok(())
}
