//! Connections of clients that use no proxy: their network led them here, and they believe to be at the host itself.
//!
//! They speak TLS, and name the host in its first message, or plain HTTP. Only Scaleway's hosts are here: what such a
//! client may reach besides is its network's affair, so nothing is passed on to anyone else.

use std::{io, sync::Arc};

use rustls::server::Acceptor;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{
    Service, hosts,
    proxy::{Shared, Via, converse, converse_by_h2, count},
};

/// The first byte of a TLS connection: a handshake record (RFC 8446, section 5.1). No HTTP method begins with it.
const HANDSHAKE: u8 = 22;

/// Serves one connection to its end.
pub(super) async fn take(shared: Arc<Shared>, stream: TcpStream) {
    let begin = timeout(shared.config.handshake_timeout, begin(&shared, stream));
    let begun = match shared.stopping.run_until_cancelled(begin).await {
        None => return,
        Some(Ok(begun)) => begun,
        Some(Err(_)) => Err("the client took too long".to_owned()),
    };
    match begun {
        Ok(Begun::Plain(stream)) => converse(shared, stream, Via::Direct).await,
        Ok(Begun::Secure(host, stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()) => {
            converse_by_h2(shared, *stream, Via::Tunnel(host.into())).await;
        }
        Ok(Begun::Secure(host, stream)) => converse(shared, *stream, Via::Tunnel(host.into())).await,
        Err(failure) => {
            count(&shared.seen.failed_handshakes);
            tracing::warn!(failure, "a connection to a host of Scaleway's could not be taken");
        }
    }
}

enum Begun {
    Plain(TcpStream),
    Secure(String, Box<TlsStream<TcpStream>>),
}

async fn begin(shared: &Shared, stream: TcpStream) -> Result<Begun, String> {
    let told = |error: io::Error| error.to_string();
    let mut first = [0];
    // Who leaves without a word is none of the TLS either.
    if stream.peek(&mut first).await.map_err(told)? == 0 || first[0] != HANDSHAKE {
        return Ok(Begun::Plain(stream));
    }
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(told)?;
    let host = hello.client_hello().server_name().map(hosts::name);
    let host = host.ok_or("the client names no host")?;
    let service = shared.owner(&host);
    if service == Service::Foreign {
        return Err(format!("{host} is not Scaleway's"));
    }
    let tls = shared.tls(&service, &host)?;
    let stream = hello.into_stream(tls).await.map_err(|error| format!("{host}: {error}"))?;
    Ok(Begun::Secure(host, Box::new(stream)))
}
