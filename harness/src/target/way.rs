//! The way to a host: straight there, or through the proxy that an environment names.

use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use tokio::net::TcpStream;
use tower::Service as _;

/// Connects to a host, by a tunnel through this proxy where there is one.
pub(super) async fn to(proxy: Option<&str>, host: &str, port: u16) -> Result<TcpStream, String> {
    let Some(proxy) = proxy else {
        return TcpStream::connect((host, port)).await.map_err(|error| error.to_string());
    };
    let proxy = proxy.parse().map_err(|error| format!("HTTPS_PROXY is no address: {error}"))?;
    let to = format!("https://{host}:{port}").parse().map_err(|error| format!("{error}"))?;
    let tunnel = Tunnel::new(proxy, HttpConnector::new()).call(to).await;
    Ok(tunnel.map_err(|error| error.to_string())?.into_inner())
}
