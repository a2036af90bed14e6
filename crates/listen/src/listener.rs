//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::address::network;
use crate::pool::Slot;
use crate::progress::{Phase, Progress, Watched};
use crate::{Limits, Pool};

/// Pause after a failed accept: the process is out of file descriptors, and trying at once would only burn time.
const BREATHER: Duration = Duration::from_millis(100);

/// A socket that is listened on, with the limits that hold for it.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    pub(crate) limits: Limits,
    pool: Pool,
    number: u64,
    weight: usize,
}

/// One accepted connection.
pub(crate) struct Connection {
    pub(crate) stream: Watched<TcpStream>,
    pub(crate) peer: SocketAddr,
    pub(crate) progress: Arc<Progress>,
    slot: Slot,
}

impl Listener {
    /// Takes the connections of `socket` into `pool`. `name` is for the log.
    #[must_use]
    pub fn new(name: &'static str, socket: TcpListener, pool: &Pool, limits: Limits) -> Self {
        Self { name, socket, limits, pool: pool.clone(), number: pool.number(), weight: 1 }
    }

    /// For connections that each hold another one open: they count as two.
    #[must_use]
    pub fn with_far_ends(self) -> Self {
        Self { weight: 2, ..self }
    }

    /// The next connection. A failed accept is logged, and followed by a pause where it would fail again.
    pub(crate) async fn accept(&self, first: Phase) -> Connection {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    // Small answers go out at once; that it can't be set costs only time.
                    let _ = stream.set_nodelay(true);
                    let progress = Progress::new(first);
                    let holder = (self.number, network(peer.ip()));
                    let most = self.limits.connections.max(1);
                    let slot = self.pool.place(holder, most, self.weight, &progress).await;
                    return Connection { stream: Watched::new(stream, Arc::clone(&progress)), peer, progress, slot };
                }
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    /// Out of file descriptors is worth a pause; a connection reset before it was accepted is not.
    async fn pause_after(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        tracing::error!(listener = self.name, %error, "no connection can be accepted; trying again");
        tokio::time::sleep(BREATHER).await;
    }
}

impl Connection {
    /// Runs `serve` until it ends, the client has used up its time, or the place is needed for somebody else.
    pub(crate) async fn held<S: Future<Output = ()>>(
        limits: Limits,
        slot: Slot,
        progress: Arc<Progress>,
        peer: SocketAddr,
        serve: S,
    ) {
        tokio::select! {
            () = serve => {}
            () = progress.overdue(&limits) => tracing::debug!(%peer, "the client took too long and is let go"),
            () = slot.evicted.cancelled() => tracing::debug!(%peer, "the longest waiting connection makes room"),
        }
    }

    pub(crate) fn split(self) -> (Watched<TcpStream>, SocketAddr, Arc<Progress>, Slot) {
        (self.stream, self.peer, self.progress, self.slot)
    }
}

/// Accepts for ever, and gives each connection to `serve`. Dropping it drops them all.
pub async fn serve_streams<F, S>(listener: Listener, mut serve: F)
where
    F: FnMut(Watched<TcpStream>) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let mut serving = JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        let (stream, peer, progress, slot) = listener.accept(Phase::StreamStart).await.split();
        serving.spawn(Connection::held(listener.limits, slot, progress, peer, serve(stream)));
    }
}
