//! hyper runs unchanged over our sockets: HTTP/1.1 with keep-alive and a body each way, HTTP/2 with many requests at once.

mod pair;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pair::{b, pair};
use synfin::Stack;
use synfin::tokio::{TcpListener, TcpStream};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Says the path, or gives the body back.
async fn answer(q: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failed> {
    Ok(match *q.method() {
        Method::GET => Response::new(Full::new(Bytes::from(q.uri().path().to_owned()))),
        Method::POST => Response::new(Full::new(q.into_body().collect().await?.to_bytes())),
        _ => {
            let mut r = Response::new(Full::default());
            *r.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            r
        }
    })
}

async fn serve(host: Stack, http2: bool, connections: usize) -> Result<(), Failed> {
    let l = TcpListener::bind(&host, b(80)).await?;
    for _ in 0..connections {
        let (s, _) = l.accept().await?;
        tokio::spawn(async move {
            let io = TokioIo::new(s);
            if http2 {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service_fn(answer))
                    .await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(answer)).await;
            }
        });
    }
    Ok(())
}

fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Result<Request<Full<Bytes>>, Failed> {
    Ok(Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", b(80)))
        .header("host", "b")
        .body(Full::new(body.into()))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_one_request_after_another_on_one_connection() -> Result<(), Failed> {
    let (x, y) = pair()?;
    let server = tokio::spawn(serve(y, false, 1));
    let stream = connect(&x).await?;
    let (mut send, conn) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let conn = tokio::spawn(conn);
    for i in 0..20 {
        send.ready().await?;
        let r = send.send_request(request(Method::GET, &format!("/page/{i}"), "")?).await?;
        assert_eq!(r.status(), StatusCode::OK);
        assert_eq!(r.into_body().collect().await?.to_bytes(), format!("/page/{i}"));
    }
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    send.ready().await?;
    let r = send.send_request(request(Method::POST, "/", body.clone())?).await?;
    assert!(r.into_body().collect().await?.to_bytes() == body);
    send.ready().await?;
    let r = send.send_request(request(Method::DELETE, "/", "")?).await?;
    assert_eq!(r.status(), StatusCode::METHOD_NOT_ALLOWED);
    drop(send);
    conn.await??;
    server.await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_a_hundred_requests_at_once_on_one_connection() -> Result<(), Failed> {
    let (x, y) = pair()?;
    let server = tokio::spawn(serve(y, true, 1));
    let stream = connect(&x).await?;
    let (send, conn) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let conn = tokio::spawn(conn);
    let all = (0..100u8).map(|i| {
        let mut send = send.clone();
        tokio::spawn(async move {
            let body = vec![i; 20_000];
            let r = send.send_request(request(Method::POST, "/", body.clone())?).await?;
            assert!(r.into_body().collect().await?.to_bytes() == body, "request {i}");
            Ok::<_, Failed>(())
        })
    });
    for one in all.collect::<Vec<_>>() {
        one.await??;
    }
    drop(send);
    conn.await??;
    server.await?
}

/// The server may not listen yet.
async fn connect(host: &Stack) -> Result<TcpStream, Failed> {
    loop {
        match TcpStream::connect(host, b(80)).await {
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => tokio::task::yield_now().await,
            r => return Ok(r?),
        }
    }
}
