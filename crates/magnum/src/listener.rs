//! Accepts connections, with TLS where it is wanted, and serves them until told to drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections at the same time; more wait in the kernel's queue.
const CONNECTIONS: usize = 4096;
/// Longest TLS handshake, and longest wait for the head of a request: a client that stalls holds nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for a client to take some of an answer: one that asks for much and reads nothing holds nothing either. A
/// stream of events that has nothing to say is not waiting.
const UNREAD: Duration = Duration::from_secs(60);
/// Largest head of a request, in bytes; a Keystone token of the old kind fits.
const HEAD: usize = 64 * 1024;
/// How long requests in flight may take to end once draining has begun.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves `router` on `listener` until `shutdown`, then lets requests in flight end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => { pause_after(&error).await; continue }
            },
        };
        let (tls, router, watcher, shutdown) = (tls.clone(), router.clone(), graceful.watcher(), shutdown.clone());
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
            }
            match tls {
                None => connection(stream, peer, router, watcher).await,
                Some(tls) => match handshake(tls, stream, &shutdown).await {
                    Some(stream) => connection(stream, peer, router, watcher).await,
                    None => tracing::debug!(%peer, "no TLS handshake"),
                },
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {DRAIN:?} and are cut off");
    }
}

/// Out of file descriptors is worth a pause; a connection reset before it was accepted is not.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!(%error, "no connection can be accepted; trying again in a second");
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    shutdown: &CancellationToken,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    tokio::select! {
        () = shutdown.cancelled() => None,
        stream = tokio::time::timeout(PATIENCE, tls.accept(stream)) => stream.ok()?.ok(),
    }
}

async fn connection<S>(stream: S, peer: SocketAddr, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(UNREAD));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A client at the other end of a pipe that holds a kilobyte, and a server with an answer of a megabyte.
    async fn ask_for_much(reads: bool) -> usize {
        let (mut client, server) = tokio::io::duplex(1024);
        let router = Router::new().route("/", get(|| async { "much".repeat(256 * 1024) }));
        let graceful = GracefulShutdown::new();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let serving = tokio::spawn(connection(server, peer, router, graceful.watcher()));
        client.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
        if !reads {
            serving.await.unwrap();
        }
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_let_go() {
        assert!(ask_for_much(true).await > 1024 * 1024);
        assert!(ask_for_much(false).await <= 1024);
    }
}
