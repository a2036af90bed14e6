//! HTTP on a listener, with TLS where it is wanted, until told to drain.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::{BoxError, Router};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::Limits;
use crate::listener::{Connection, Listener};
use crate::progress::{Phase, Progress, Watched};

/// Largest head of a request, in bytes; a Keystone token of the old kind fits.
const HEAD: usize = 64 * 1024;

/// How a listener's connections are encrypted.
#[async_trait]
pub trait Tls: Send + Sync {
    /// What a connection of this moment is accepted with.
    ///
    /// # Errors
    /// When there is nothing to accept it with now; the connection is closed.
    async fn config(&self) -> io::Result<Arc<ServerConfig>>;
}

#[async_trait]
impl Tls for ServerConfig {
    async fn config(&self) -> io::Result<Arc<ServerConfig>> {
        Ok(Arc::new(self.clone()))
    }
}

/// Beside every request of a TLS connection: the certificate that the client has shown, if any.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// A body did not come in time. [`is_too_slow`] finds it in what a reader of the body says.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request did not come in time: {limit:?}")]
pub struct BodyTooSlow {
    /// The time that was used up.
    pub limit: Duration,
}

/// Whether a body could not be read because it did not come in time (408), and the time that it had.
#[must_use]
pub fn is_too_slow(error: &(dyn Error + 'static)) -> Option<Duration> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(slow) = error.downcast_ref::<BodyTooSlow>() {
            return Some(slow.limit);
        }
        next = error.source();
    }
    None
}

/// Serves `router` until `shutdown`, then lets requests in flight end, for as long as `drain` allows. Requests bear
/// `ConnectInfo<SocketAddr>`, and with TLS a [`PeerCertificate`]. Dropping it cuts everything off.
pub async fn serve_http(
    listener: Listener,
    tls: Option<Arc<dyn Tls>>,
    router: Router,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let graceful = GracefulShutdown::new();
    let mut serving = JoinSet::new();
    let first = if tls.is_some() { Phase::Handshake } else { Phase::Head };
    let limits = listener.limits;
    loop {
        while serving.try_join_next().is_some() {}
        let connection = tokio::select! {
            () = shutdown.cancelled() => break,
            connection = listener.accept(first) => connection,
        };
        let (stream, peer, progress, slot) = connection.split();
        let (tls, router, watcher, shutdown) = (tls.clone(), router.clone(), graceful.watcher(), shutdown.clone());
        let serve = {
            let progress = Arc::clone(&progress);
            async move {
                let Some(tls) = tls else {
                    return exchange(stream, peer, None, router, progress, limits, watcher).await;
                };
                let accepted = tokio::select! {
                    () = shutdown.cancelled() => return,
                    accepted = handshake(&*tls, stream) => accepted,
                };
                match accepted {
                    Err(error) => tracing::debug!(%peer, %error, "no TLS handshake"),
                    Ok(stream) => {
                        progress.enter(Phase::Head);
                        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                        let certificate = PeerCertificate(shown.map(|shown| shown.clone().into_owned()));
                        exchange(stream, peer, Some(certificate), router, progress, limits, watcher).await;
                    }
                }
            }
        };
        serving.spawn(Connection::held(limits, slot, progress, peer, serve));
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {drain:?} and are cut off");
    }
}

async fn handshake(
    tls: &dyn Tls,
    stream: Watched<TcpStream>,
) -> io::Result<tokio_rustls::server::TlsStream<Watched<TcpStream>>> {
    TlsAcceptor::from(tls.config().await?).accept(stream).await
}

async fn exchange<S>(
    stream: S,
    peer: SocketAddr,
    certificate: Option<PeerCertificate>,
    router: Router,
    progress: Arc<Progress>,
    limits: Limits,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, certificate, progress) = (router.clone(), certificate.clone(), Arc::clone(&progress));
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&progress), limits));
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate);
        }
        async move {
            let answer: Response = router.oneshot(request).await?;
            Ok::<_, Infallible>(answer.map(|body| AnswerBody { body, progress }))
        }
    });
    let connection = http1::Builder::new()
        // The times are kept by the connection's progress, which knows an idle connection from a slow one.
        .header_read_timeout(None)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// A body that has to come in time.
struct RequestBody {
    body: Incoming,
    progress: Arc<Progress>,
    limits: Limits,
    /// When it was first asked for, and when some of it last came.
    times: Option<(Instant, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    fn new(body: Incoming, progress: Arc<Progress>, limits: Limits) -> Self {
        progress.enter(if body.is_end_stream() { Phase::Answering } else { Phase::Body });
        Self { body, progress, limits, times: None, timer: None }
    }

    /// Waits until the time is used up. Says which.
    fn poll_late(&mut self, cx: &mut Context<'_>, begun: Instant, moved: Instant) -> Poll<BodyTooSlow> {
        let limits = &self.limits;
        let (end, limit) = std::cmp::min_by_key(
            (begun + limits.body, limits.body),
            (moved + limits.body_pause, limits.body_pause),
            |(end, _)| *end,
        );
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if timer.deadline() != end {
            timer.as_mut().reset(end);
        }
        timer.as_mut().poll(cx).map(|()| BodyTooSlow { limit })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let now = Instant::now();
        let (begun, moved) = *self.times.get_or_insert((now, now));
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.times = Some((begun, now));
                if self.body.is_end_stream() {
                    self.progress.leave(Phase::Body, Phase::Answering);
                }
                // Also for a client that never pauses.
                if now > begun + self.limits.body {
                    return Poll::Ready(Some(Err(BodyTooSlow { limit: self.limits.body }.into())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.progress.leave(Phase::Body, Phase::Answering);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => self.poll_late(cx, begun, moved).map(|late| Some(Err(late.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // Whoever answers without reading all of it does not wait for it any more.
        self.progress.leave(Phase::Body, Phase::Answering);
    }
}

/// An answer; when it is gone, the next request is awaited.
struct AnswerBody {
    body: axum::body::Body,
    progress: Arc<Progress>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.progress.enter(Phase::Idle);
    }
}
