//! Taking up a cluster that an earlier process, or an earlier run of this machine, has made.

use async_trait::async_trait;
use magnum_domain::concurrency::side_by_side;
use magnum_domain::driver::{Progress, Snapshot};
use magnum_domain::event::NewEvent;
use magnum_domain::{EventState, Node};

use super::error::LocalError;
use super::{Shared, names, node};

/// For work that nobody watches.
struct Unwatched;

#[async_trait]
impl Progress for Unwatched {
    async fn waiting_for(&self, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Shared {
    /// Opens the cluster's network and listeners again, and starts nodes that were started before and have ended.
    pub(super) async fn resume(&self, snapshot: &Snapshot) -> Result<(), LocalError> {
        let was_made = snapshot.resources.iter().any(|row| row.node_uuid.is_none());
        if snapshot.deleting || !was_made {
            return Ok(());
        }
        self.restore_network(snapshot).await?;
        let ended =
            |node: &&Node| !node.is_leaving() && node::was_started(snapshot, node.uuid) && !self.is_up(snapshot, node);
        let ended = snapshot.nodes.iter().filter(ended);
        let mut starts = Vec::new();
        for node in ended {
            starts.push(async move {
                let _place = self.admit().await;
                self.start_again(snapshot, node).await
            });
        }
        let started = side_by_side(self.options.parallel_steps, starts).await;
        let failed = started.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect::<Vec<_>>();
        if failed.is_empty() { Ok(()) } else { Err(LocalError::Hopeless(failed.join("; "))) }
    }

    async fn start_again(&self, snapshot: &Snapshot, node: &Node) -> Result<(), LocalError> {
        if magnum_files::Folder::open(&names::node_folder(&self.options.state_dir, &snapshot.cluster, node)).is_err() {
            return Err(LocalError::node(
                &node.name,
                "it is gone, and its data with it; update the cluster to replace it",
            ));
        }
        self.start_node(snapshot, node, &Unwatched).await?;
        let event = NewEvent {
            cluster_uuid: node.cluster_uuid,
            operation_uuid: None,
            node: Some(node.name.clone()),
            step: "node.start".to_owned(),
            state: EventState::Warning,
            message: format!("node {} had ended and was started again", node.name),
        };
        self.store.add_event(event).await?;
        Ok(())
    }
}
