//! What a connection is waiting for, and since when.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Limits;

/// What happens on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The TLS handshake.
    Handshake,
    /// The head of a request is awaited, and the connection is new or has begun to send it.
    Head,
    /// The first byte of a stream is awaited.
    StreamStart,
    /// The body of a request is awaited.
    Body,
    /// The service works, or sends an answer.
    Answering,
    /// The next request of a connection is awaited.
    Idle,
    /// Bytes are passed on in both directions.
    Stream,
}

struct State {
    phase: Phase,
    /// Since when it has been in this phase.
    since: Instant,
    /// When bytes last came or went.
    moved: Instant,
    /// Since when the client has not taken what is sent.
    stalled: Option<Instant>,
}

/// The progress of one connection, shared by its parts.
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Notify,
}

impl Progress {
    pub(crate) fn new(phase: Phase) -> Arc<Self> {
        let now = Instant::now();
        let state = Mutex::new(State { phase, since: now, moved: now, stalled: None });
        Arc::new(Self { state, changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
        state.moved = state.since;
        drop(state);
        self.changed.notify_one();
    }

    /// As [`Self::enter`], if it is still in the phase `from`.
    pub(crate) fn leave(&self, from: Phase, to: Phase) {
        if self.state().phase == from {
            self.enter(to);
        }
    }

    /// Bytes have come.
    fn received(&self) {
        let mut state = self.state();
        state.moved = Instant::now();
        let next = match state.phase {
            Phase::Idle => Phase::Head,
            Phase::StreamStart => Phase::Stream,
            _ => return,
        };
        drop(state);
        self.enter(next);
    }

    /// Bytes have gone, or can't go.
    fn sent(&self, is_stalled: bool) {
        let mut state = self.state();
        match (is_stalled, state.stalled) {
            (true, None) => {
                state.stalled = Some(Instant::now());
                drop(state);
                self.changed.notify_one();
            }
            (true, Some(_)) => {}
            (false, _) => {
                state.stalled = None;
                state.moved = Instant::now();
            }
        }
    }

    /// Since when the service has been waiting for the client; nothing while the client waits for the service.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let state = self.state();
        match state.phase {
            Phase::Answering => state.stalled,
            Phase::Stream => Some(state.moved),
            _ => Some(state.since),
        }
    }

    /// When the client has used up its time, as things are. The body's time is kept where it is read.
    fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = self.state();
        let end = match state.phase {
            Phase::Handshake => Some(state.since + limits.handshake),
            Phase::Head | Phase::StreamStart => Some(state.since + limits.head),
            Phase::Idle => Some(state.since + limits.idle),
            Phase::Stream => Some(state.moved + limits.stream_idle),
            Phase::Body | Phase::Answering => None,
        };
        let unread = state.stalled.map(|since| since + limits.write);
        match (end, unread) {
            (Some(end), Some(unread)) => Some(end.min(unread)),
            (end, unread) => end.or(unread),
        }
    }

    /// Ends when the client has used up its time.
    pub(crate) async fn overdue(&self, limits: &Limits) {
        loop {
            match self.deadline(limits) {
                None => self.changed.notified().await,
                Some(end) if end <= Instant::now() => return,
                Some(end) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(end) => {}
                        () = self.changed.notified() => {}
                    }
                }
            }
        }
    }
}

/// A connection whose progress is watched.
pub struct Watched<S> {
    inner: S,
    progress: Arc<Progress>,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn noting<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.progress.sent(polled.is_pending());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.noting(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.noting(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
