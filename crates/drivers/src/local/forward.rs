//! From a port of the machine to the engines of a cluster's managers, which only its own network can reach.
//!
//! Clients of an engine speak first. Until one has said as much as an engine could answer, neither the database nor an
//! engine hears of it: thousands that say nothing cost a place each and no more.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use magnum_domain::Node;
use magnum_listen::{Listener, serve_streams};
use magnum_store::Store;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use uuid::Uuid;

use super::authority;
use super::error::LocalError;
use super::namespace::Namespace;

/// A manager that does not accept within this time is passed over.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections held at a time for one cluster.
pub(super) const CONNECTIONS: usize = 512;
/// What a record of a TLS handshake begins with: its type, its version in two bytes, its length in two.
const RECORD_HEAD: usize = 5;
/// Type of such a record.
const HANDSHAKE: u8 = 22;
/// Longest record that RFC 8446 allows.
const RECORD: usize = (1 << 14) + 256;

/// A forwarder of one cluster.
#[derive(Clone)]
pub(crate) struct Forwarder {
    pub(crate) store: Store,
    pub(crate) cluster: Uuid,
    pub(crate) namespace: Namespace,
    /// Port of the engines.
    pub(crate) port: u16,
    /// How long a client may take for the beginning of its handshake.
    pub(crate) patience: Duration,
}

impl Forwarder {
    /// Forwards for ever; ends by being dropped.
    pub(crate) async fn run(self, listener: Listener) {
        let turn = Arc::new(AtomicUsize::new(0));
        serve_streams(listener, |client| {
            let (forwarder, turn) = (self.clone(), turn.clone());
            async move { forwarder.serve(client, turn.fetch_add(1, Ordering::Relaxed)).await }
        })
        .await;
    }

    async fn nodes(&self) -> Result<Vec<Node>, LocalError> {
        let mut nodes = self.store.nodes(self.cluster).await?;
        authority::keep_current(&self.store, self.cluster, &mut nodes).await?;
        Ok(nodes)
    }

    /// Connects to the manager whose turn it is, or the next one that accepts. With none, the client sees its
    /// connection closed.
    async fn serve(&self, mut client: impl AsyncRead + AsyncWrite + Unpin, turn: usize) {
        let first = match tokio::time::timeout(self.patience, first_words(&mut client)).await {
            Ok(Ok(first)) => first,
            Ok(Err(_)) | Err(_) => return tracing::debug!(cluster = %self.cluster, "a client did not begin"),
        };
        let managers = match self.nodes().await {
            Ok(nodes) => managers(&nodes),
            Err(error) => return tracing::warn!(cluster = %self.cluster, %error, "managers could not be looked up"),
        };
        for index in 0..managers.len() {
            let address = SocketAddr::from((managers[(turn + index) % managers.len()], self.port));
            match self.namespace.connect(address, CONNECT).await {
                Ok(mut engine) => {
                    // Either side closing is the normal end.
                    if engine.write_all(&first).await.is_ok() {
                        let _ = copy_bidirectional(&mut client, &mut engine).await;
                    }
                    return;
                }
                Err(error) => tracing::debug!(cluster = %self.cluster, %address, %error, "a manager does not accept"),
            }
        }
    }
}

/// What a client says first: a whole record, if it begins a TLS handshake; anything else as it comes.
///
/// # Errors
/// When the client ends before that, or announces a record that nobody may send.
async fn first_words(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut words = Vec::new();
    loop {
        if client.read_buf(&mut words).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = match words[..] {
            [HANDSHAKE, _, _, high, low, ..] => RECORD_HEAD + usize::from(u16::from_be_bytes([high, low])),
            [HANDSHAKE, ..] => RECORD_HEAD,
            _ => return Ok(words),
        };
        if length > RECORD_HEAD + RECORD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if length > RECORD_HEAD && words.len() >= length {
            return Ok(words);
        }
    }
}

/// Addresses of the managers in the swarm; before there is a swarm, of the masters. Those that leave answer only when
/// nobody else in the swarm is left to: the last one takes in the one that follows it.
fn managers(nodes: &[Node]) -> Vec<Ipv4Addr> {
    let masters = nodes.iter().filter(|node| node.is_master).collect::<Vec<_>>();
    let is_member = |node: &Node| node.observed.as_ref().is_some_and(|observed| observed.swarm_node_id.is_some());
    let of = |wanted: &dyn Fn(&Node) -> bool| masters.iter().copied().filter(|node| wanted(node)).collect::<Vec<_>>();
    let choices = [of(&|node| is_member(node) && !node.is_leaving()), of(&is_member), of(&|node| !node.is_leaving())];
    let chosen = choices.into_iter().find(|group| !group.is_empty()).unwrap_or(masters);
    chosen.into_iter().filter_map(|node| node.address.as_deref()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use magnum_domain::NodePhase;
    use magnum_domain::agent::ObservedNode;

    use super::*;
    use crate::local::testing::{cluster, node};

    #[tokio::test]
    async fn a_client_has_to_begin_before_an_engine_hears_of_it() {
        let record = |announced: u16, sent: usize| {
            let [high, low] = announced.to_be_bytes();
            [vec![HANDSHAKE, 3, 1, high, low], vec![7; sent]].concat()
        };
        let request = b"GET /_ping HTTP/1.1\r\n".to_vec();
        let [whole, more] = [record(300, 300), record(300, 310)];
        for (pieces, expected) in [
            (vec![request.clone()], Some(request)),
            (vec![whole.clone()], Some(whole.clone())),
            (whole.chunks(3).map(<[u8]>::to_vec).collect(), Some(whole)),
            (vec![more.clone()], Some(more)),
            (vec![record(300, 299)], None),
            (vec![record(300, 0)[..4].to_vec()], None),
            (vec![record(u16::MAX, 100)], None),
            (vec![], None),
        ] {
            let (mut client, mut server) = tokio::io::duplex(1 << 16);
            let sending = async move {
                for piece in &pieces {
                    // Nobody may be there to hear the rest.
                    let _ = client.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            };
            let ((), words) = tokio::join!(sending, first_words(&mut server));
            assert_eq!(words.ok(), expected);
        }
    }

    #[test]
    fn clients_are_led_to_members_then_masters_then_whoever_is_left() {
        let cluster = cluster("web");
        let master = |index: u8, phase, member: bool| {
            let mut node = node(&cluster, &format!("web-master-{index}"));
            node.is_master = true;
            node.phase = phase;
            node.address = Some(format!("10.77.0.{index}"));
            let swarm_node_id = member.then(|| "id".to_owned());
            node.observed = Some(ObservedNode { swarm_node_id, ..ObservedNode::default() });
            node
        };
        let mut worker = node(&cluster, "web-worker-0");
        worker.address = Some("10.77.0.99".to_owned());
        let (ready, leaving) = (NodePhase::Ready, NodePhase::Leaving);
        for (nodes, expected) in [
            (vec![master(1, ready, true), master(2, ready, false), worker.clone()], vec![1]),
            (vec![master(1, ready, false), master(2, ready, false)], vec![1, 2]),
            (vec![master(1, leaving, true), master(2, ready, true)], vec![2]),
            (vec![master(1, leaving, true), worker.clone()], vec![1]),
            (vec![master(1, leaving, true), master(2, ready, false)], vec![1]),
            (vec![master(1, leaving, false), master(2, ready, false)], vec![2]),
            (vec![worker], vec![]),
        ] {
            let found = managers(&nodes).iter().map(|address| address.octets()[3]).collect::<Vec<_>>();
            assert_eq!(found, expected);
        }
    }
}
