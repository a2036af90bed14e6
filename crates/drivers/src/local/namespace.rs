//! Network namespaces: finding them, and making sockets inside one.
//!
//! A socket belongs for ever to the namespace its maker was in. So a short-lived thread of its own enters the
//! namespace, makes the socket and ends; the runtime's threads never leave the machine's namespace.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Where `ip netns` keeps named namespaces.
const FOLDER: &str = "/run/netns";
/// Connections that the kernel holds for a listener.
const BACKLOG: u32 = 256;

/// A named network namespace, which may or may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Whether it is there and usable: a file without a namespace mounted on it is what an interrupted
    /// `ip netns add` leaves, and does not count.
    pub(crate) fn exists(&self) -> bool {
        use nix::sys::statfs::{NSFS_MAGIC, statfs};
        statfs(&self.path()).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC)
    }

    /// Listens inside it.
    pub(crate) async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = self
            .socket(move |socket| {
                socket.set_reuseaddr(true)?;
                socket.bind(address)
            })
            .await?;
        socket.listen(BACKLOG)
    }

    /// Connects from inside it.
    pub(crate) async fn connect(&self, address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        let socket = self.socket(|_| Ok(())).await?;
        let stream = tokio::time::timeout(limit, socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn socket(
        &self,
        prepare: impl FnOnce(&TcpSocket) -> io::Result<()> + Send + 'static,
    ) -> io::Result<TcpSocket> {
        let path = self.path();
        let (answer, made) = oneshot::channel();
        std::thread::Builder::new().name("netns-socket".to_owned()).stack_size(128 * 1024).spawn(move || {
            let make = || {
                setns(File::open(&path)?, CloneFlags::CLONE_NEWNET)?;
                let socket = TcpSocket::new_v4()?;
                prepare(&socket)?;
                Ok(socket)
            };
            // Nobody is there to hear it when the asker was dropped meanwhile; the socket closes then.
            let _ = answer.send(make());
        })?;
        made.await.map_err(io::Error::other)?
    }
}
