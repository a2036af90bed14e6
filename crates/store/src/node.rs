//! Nodes. Which ones a cluster should have is in `reconcile.rs`.

use std::collections::HashMap;

use magnum_domain::agent::{DesiredNode, ObservedNode};
use magnum_domain::nodes::NewNode;
use magnum_domain::{ClusterStatus, Node, NodePhase, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{CaseStatement, Expr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::entity::node;
use crate::row::{clip, corrupt, naive, utc, utc_opt, uuid};
use crate::transaction::retry;
use crate::wakeup::bump;
use crate::{Result, SealError, Store, StoreError, json};

/// Its name in errors.
const RESOURCE: &str = "Node";
pub(crate) const TABLE: &str = "conductor_node";

/// Phases that nothing but the node's removal follows.
const LEAVING: [&str; 2] = ["leaving", "gone"];

impl Store {
    /// The nodes of a cluster, in order of creation.
    ///
    /// # Errors
    /// [`StoreError::Seal`] when what a node shall be can't be opened.
    pub async fn nodes(&self, cluster: Uuid) -> Result<Vec<Node>> {
        self.nodes_in(self.read(), cluster).await
    }

    pub(crate) async fn nodes_in(&self, db: &impl ConnectionTrait, cluster: Uuid) -> Result<Vec<Node>> {
        let rows = node::Entity::find()
            .filter(node::Column::ClusterUuid.eq(cluster.to_string()))
            .order_by_asc(node::Column::Id)
            .all(db)
            .await?;
        rows.into_iter().map(|row| self.node_from_row(row)).collect()
    }

    /// How many nodes there are of all clusters, with those that unfinished operations are yet to add to their rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_all_nodes(&self) -> Result<u64> {
        let rows: Vec<(String, String)> = node::Entity::find()
            .select_only()
            .columns([node::Column::ClusterUuid, node::Column::Phase])
            .into_tuple()
            .all(self.read())
            .await?;
        let mut staying: HashMap<&str, u64> = HashMap::new();
        for (cluster, _) in rows.iter().filter(|(_, phase)| !LEAVING.contains(&phase.as_str())) {
            *staying.entry(cluster).or_default() += 1;
        }
        let busy: Vec<Uuid> = self.busy_clusters().await?.into_iter().collect();
        let mut wanted: HashMap<Uuid, u64> = HashMap::new();
        for group in self.nodegroups_of(&busy).await? {
            if group.status != Some(ClusterStatus::DeleteInProgress) {
                *wanted.entry(group.cluster_id).or_default() += u64::try_from(group.node_count).unwrap_or(0);
            }
        }
        let missing = wanted.iter().map(|(cluster, wanted)| {
            let staying = staying.get(cluster.to_string().as_str()).copied().unwrap_or(0);
            wanted.saturating_sub(staying)
        });
        Ok(rows.len() as u64 + missing.sum::<u64>())
    }

    /// One node.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get_node(&self, uuid: Uuid) -> Result<Node> {
        let row = node::Entity::find().filter(is(uuid)).one(self.read()).await?;
        row.map(|row| self.node_from_row(row)).transpose()?.ok_or_else(|| StoreError::not_found(RESOURCE, uuid))
    }

    /// The node whose agent shows this certificate (SHA-256, hex).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn node_by_fingerprint(&self, fingerprint: &str) -> Result<Option<Node>> {
        let row =
            node::Entity::find().filter(node::Column::CertificateFingerprint.eq(fingerprint)).one(self.read()).await?;
        row.map(|row| self.node_from_row(row)).transpose()
    }

    /// Marks a node to be removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_leaving(&self, uuid: Uuid) -> Result<()> {
        let row = node::ActiveModel { phase: Set(NodePhase::Leaving.as_str().to_owned()), ..Default::default() };
        self.update_node(uuid, row).await
    }

    /// Writes down that a node was made at this address and that its agent may join once, with a token of this hash
    /// (SHA-256, hex).
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_node_started(&self, uuid: Uuid, address: &str, join_token_hash: &str) -> Result<()> {
        let row = node::ActiveModel {
            address: Set(Some(address.to_owned())),
            join_token_hash: Set(Some(join_token_hash.to_owned())),
            ..Default::default()
        };
        self.update_node_in_phase(uuid, row, Some(NodePhase::Started)).await
    }

    /// Uses up a join token: true for one caller only, whose certificate is the node's from then on. A node that is
    /// leaving can't join.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn join_node(&self, uuid: Uuid, join_token_hash: &str, fingerprint: &str) -> Result<bool> {
        let now = now().naive_utc();
        let row = node::ActiveModel {
            join_token_hash: Set(None),
            certificate_fingerprint: Set(Some(fingerprint.to_owned())),
            phase: Set(NodePhase::Joined.as_str().to_owned()),
            last_seen_at: Set(Some(now)),
            updated_at: Set(now),
            ..Default::default()
        };
        let joined = retry(|| async {
            let joined = node::Entity::update_many()
                .set(row.clone())
                .filter(is(uuid))
                .filter(node::Column::JoinTokenHash.eq(join_token_hash))
                .filter(node::Column::Phase.is_not_in(LEAVING))
                .exec(self.write())
                .await?;
            Ok(joined.rows_affected == 1)
        })
        .await?;
        if joined {
            bump(&self.inner.wakeups.nodes);
        }
        Ok(joined)
    }

    /// Writes what a node shall be, sealed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Seal`].
    pub async fn set_node_desired(&self, uuid: Uuid, desired: &DesiredNode) -> Result<()> {
        let sealed = self.seal()?.seal(json::write(desired).as_bytes())?;
        let row = node::ActiveModel { desired: Set(Some(sealed)), ..Default::default() };
        self.update_node(uuid, row).await
    }

    /// Writes what a node's agent said. A phase does not bring back a node that is leaving.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn node_report(
        &self,
        uuid: Uuid,
        observed: &ObservedNode,
        phase: Option<NodePhase>,
        message: Option<&str>,
    ) -> Result<()> {
        let row = node::ActiveModel {
            observed: Set(Some(json::write(observed))),
            message: Set(message.map(|message| clip(message).into_owned())),
            last_seen_at: Set(naive(Some(now()))),
            ..Default::default()
        };
        self.update_node_in_phase(uuid, row, phase).await
    }

    /// Removes a node's row.
    ///
    /// # Errors
    /// When the database fails; a node that is gone already is no error.
    pub async fn delete_node(&self, uuid: Uuid) -> Result<()> {
        retry(|| async {
            let tx = self.begin().await?;
            node::Entity::delete_many().filter(is(uuid)).exec(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await?;
        bump(&self.inner.wakeups.nodes);
        Ok(())
    }

    async fn update_node(&self, uuid: Uuid, row: node::ActiveModel) -> Result<()> {
        self.update_node_in_phase(uuid, row, None).await
    }

    async fn update_node_in_phase(
        &self,
        uuid: Uuid,
        mut row: node::ActiveModel,
        phase: Option<NodePhase>,
    ) -> Result<()> {
        row.updated_at = Set(now().naive_utc());
        let mut update = node::Entity::update_many().set(row).filter(is(uuid));
        if let Some(phase) = phase {
            let stays = CaseStatement::new()
                .case(node::Column::Phase.is_in(LEAVING), Expr::col(node::Column::Phase))
                .finally(phase.as_str());
            update = update.col_expr(node::Column::Phase, stays.into());
        }
        let updated = retry(|| async {
            let tx = self.begin().await?;
            let updated = update.clone().exec(&tx).await?;
            tx.commit().await?;
            Ok(updated)
        })
        .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::not_found(RESOURCE, uuid));
        }
        bump(&self.inner.wakeups.nodes);
        Ok(())
    }

    fn node_from_row(&self, row: node::Model) -> Result<Node> {
        let id = row.id;
        let desired = match row.desired {
            None => None,
            Some(sealed) => {
                let plain = self.seal()?.open(&sealed)?;
                // The error would quote what it stumbled over.
                let wrong = |_| SealError::Failed("what was sealed is not what a node shall be".to_owned());
                Some(serde_json::from_slice::<DesiredNode>(&plain).map_err(wrong)?)
            }
        };
        let observed = match row.observed {
            None => None,
            Some(text) => {
                Some(serde_json::from_str::<ObservedNode>(&text).map_err(|_| corrupt(TABLE, "observed", id, &text))?)
            }
        };
        Ok(Node {
            uuid: uuid(TABLE, "uuid", id, &row.uuid)?,
            cluster_uuid: uuid(TABLE, "cluster_uuid", id, &row.cluster_uuid)?,
            nodegroup_uuid: uuid(TABLE, "nodegroup_uuid", id, &row.nodegroup_uuid)?,
            name: row.name,
            position: row.position,
            is_master: row.is_master,
            address: row.address,
            phase: NodePhase::from_word(&row.phase).ok_or_else(|| corrupt(TABLE, "phase", id, &row.phase))?,
            message: row.message,
            join_token_hash: row.join_token_hash,
            certificate_fingerprint: row.certificate_fingerprint,
            desired,
            observed,
            last_seen_at: utc_opt(row.last_seen_at),
            created_at: utc(row.created_at),
            updated_at: utc(row.updated_at),
        })
    }
}

fn is(uuid: Uuid) -> Condition {
    Condition::all().add(node::Column::Uuid.eq(uuid.to_string()))
}

/// A node that is wanted and of which nothing is made yet.
pub(crate) fn planned(cluster: Uuid, new: NewNode) -> node::ActiveModel {
    let now = now().naive_utc();
    node::ActiveModel {
        id: NotSet,
        uuid: Set(Uuid::new_v4().to_string()),
        cluster_uuid: Set(cluster.to_string()),
        nodegroup_uuid: Set(new.nodegroup.to_string()),
        name: Set(new.name),
        position: Set(new.position),
        is_master: Set(new.is_master),
        address: Set(None),
        phase: Set(NodePhase::Planned.as_str().to_owned()),
        message: Set(None),
        join_token_hash: Set(None),
        certificate_fingerprint: Set(None),
        desired: Set(None),
        observed: Set(None),
        last_seen_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    }
}
