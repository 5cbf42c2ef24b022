//! What the local cloud's requests per second are compared with: a server that only answers.

use std::net::Ipv4Addr;

use axum::{
    Router, body::Bytes, extract::State, http::header, response::IntoResponse, routing::any, serve::ListenerExt,
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::Failure;

/// Answers any request with this many bytes of JSON, as a process of its own, until standard input closes. The first
/// line it prints is its address.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(size: usize) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::environment("the responder cannot listen").because(error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    println!("{}", listener.local_addr().map_err(failed)?);
    // As the local cloud does: answers are small, and waiting to fill packets costs 40 ms each.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let body = Bytes::from(format!("\"{}\"", "x".repeat(size.saturating_sub(2))));
    let router = Router::new().route("/{*path}", any(answer)).with_state(body);
    let parent = async {
        let mut nothing = [0; 16];
        while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        ended = axum::serve(listener, router) => ended.map_err(failed),
        () = parent => Ok(()),
    }
}

/// Takes the whole request, as anybody has to who looks at it.
async fn answer(State(body): State<Bytes>, _asked: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], body)
}
