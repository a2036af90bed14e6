//! The rows of nodes follow the sizes of node groups.

use magnum_domain::nodes::{Difference, difference};
use magnum_domain::{Node, NodePhase, now};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::node;
use crate::node::planned;
use crate::operation::{from_row, unfinished};
use crate::page::chunks;
use crate::transaction::{LockScope, retry};
use crate::wakeup::bump;
use crate::{Result, Store};

impl Store {
    /// Makes a cluster's node rows what [`difference`] says: `remove` names nodes that leave, and so do unfinished
    /// operations, whose groups are as large already as they are to be. Called again, it changes nothing. Returns all
    /// nodes of the cluster.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when the cluster is gone; [`crate::StoreError::TooManyNodes`].
    pub async fn reconcile_nodes(&self, cluster: Uuid, remove: &[String]) -> Result<Vec<Node>> {
        let nodes = retry(|| async {
            let tx = self.begin().await?;
            self.lock(&tx, LockScope::Cluster(cluster)).await?;
            let row = self.find_cluster(&tx, cluster).await?;
            let groups = self.nodegroups_in(&tx, cluster).await?;
            let nodes = self.nodes_in(&tx, cluster).await?;
            let mut named = remove.to_vec();
            for waiting in unfinished(cluster).all(&tx).await? {
                named.extend(from_row(waiting)?.arguments.nodes_to_remove);
            }
            let difference = difference(&row, &groups, &nodes, &named)?;
            if difference.is_empty() {
                return Ok(nodes);
            }
            write(&tx, cluster, difference).await?;
            let nodes = self.nodes_in(&tx, cluster).await?;
            tx.commit().await?;
            Ok(nodes)
        })
        .await?;
        bump(&self.inner.wakeups.nodes);
        Ok(nodes)
    }

    /// Nodes that unfinished operations on a cluster name to be removed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodes_named_to_leave(&self, cluster: Uuid) -> Result<Vec<String>> {
        let mut named = Vec::new();
        for waiting in unfinished(cluster).all(self.read()).await? {
            named.extend(from_row(waiting)?.arguments.nodes_to_remove);
        }
        Ok(named)
    }
}

async fn write(tx: &DatabaseTransaction, cluster: Uuid, difference: Difference) -> Result<()> {
    for new in chunks(&difference.add) {
        let rows = new.iter().cloned().map(|new| planned(cluster, new));
        node::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    for leaving in chunks(&difference.leave) {
        let row = node::ActiveModel {
            phase: Set(NodePhase::Leaving.as_str().to_owned()),
            updated_at: Set(now().naive_utc()),
            ..Default::default()
        };
        node::Entity::update_many()
            .set(row)
            .filter(node::Column::Uuid.is_in(leaving.iter().map(Uuid::to_string)))
            .exec(tx)
            .await?;
    }
    Ok(())
}
