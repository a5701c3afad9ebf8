//! The examples that need no interface run, each as the program does.

#[path = "../examples/echo.rs"]
mod echo;
#[path = "../examples/http.rs"]
mod http;
#[path = "../examples/lossy.rs"]
mod lossy;
#[path = "../examples/resolve.rs"]
mod resolve;
#[path = "../examples/tls.rs"]
mod tls;
#[path = "../examples/tunnel.rs"]
mod tunnel;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn echo_runs() -> Result<(), Failed> {
    Ok(echo::main()?)
}

#[test]
fn http_runs() -> Result<(), Failed> {
    http::main()
}

#[test]
fn lossy_runs() -> Result<(), Failed> {
    Ok(lossy::main()?)
}

#[test]
fn tls_runs() -> Result<(), Failed> {
    tls::main()
}

#[test]
fn tunnel_runs() -> Result<(), Failed> {
    Ok(tunnel::main()?)
}

#[test]
fn resolve_runs() -> Result<(), Failed> {
    Ok(resolve::main()?)
}
