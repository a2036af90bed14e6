//! Events.

use magnum_domain::event::NewEvent;
use magnum_domain::{Event, EventState, now};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::entity::event;
use crate::row::{clip, clip_to, corrupt, utc, uuid};
use crate::transaction::{LockScope, retry};
use crate::wakeup::bump;
use crate::{Result, Store};

const TABLE: &str = "conductor_event";
/// Longest name of a step or node, in bytes.
const LONGEST_NAME: usize = 255;

impl Store {
    /// Writes an event. Within a cluster, events become visible in the order of their keys, so that whoever reads on
    /// from the last one seen misses none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_event(&self, new: NewEvent) -> Result<Event> {
        let written = retry(|| async {
            let tx = self.begin().await?;
            self.lock(&tx, LockScope::Cluster(new.cluster_uuid)).await?;
            let event = insert(&tx, &new).await?;
            tx.commit().await?;
            Ok(event)
        })
        .await?;
        bump(&self.inner.wakeups.events);
        Ok(written)
    }

    /// A cluster's events after one, oldest first, at most `limit`. Readable for a while after the cluster is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, cluster: Uuid, after_id: Option<i64>, limit: u64) -> Result<Vec<Event>> {
        let rows = event::Entity::find()
            .filter(event::Column::ClusterUuid.eq(cluster.to_string()))
            .filter(event::Column::Id.gt(after_id.unwrap_or(0)))
            .order_by_asc(event::Column::Id)
            .limit(limit)
            .all(self.read())
            .await?;
        rows.into_iter().map(from_row).collect()
    }
}

/// Writes an event as part of something bigger, which has taken the cluster's turn.
pub(crate) async fn insert(db: &impl ConnectionTrait, new: &NewEvent) -> Result<Event> {
    let mut made = Event {
        id: 0,
        cluster_uuid: new.cluster_uuid,
        operation_uuid: new.operation_uuid,
        node: new.node.as_deref().map(|node| clip_to(node, LONGEST_NAME).into_owned()),
        step: clip_to(&new.step, LONGEST_NAME).into_owned(),
        state: new.state,
        message: clip(&new.message).into_owned(),
        created_at: now(),
    };
    let row = event::ActiveModel {
        id: NotSet,
        cluster_uuid: Set(made.cluster_uuid.to_string()),
        operation_uuid: Set(made.operation_uuid.map(|uuid| uuid.to_string())),
        node: Set(made.node.clone()),
        step: Set(made.step.clone()),
        state: Set(made.state.as_str().to_owned()),
        message: Set(made.message.clone()),
        created_at: Set(made.created_at.naive_utc()),
    };
    made.id = event::Entity::insert(row).exec(db).await?.last_insert_id;
    Ok(made)
}

fn from_row(row: event::Model) -> Result<Event> {
    let id = row.id;
    Ok(Event {
        id,
        cluster_uuid: uuid(TABLE, "cluster_uuid", id, &row.cluster_uuid)?,
        operation_uuid: row.operation_uuid.map(|text| uuid(TABLE, "operation_uuid", id, &text)).transpose()?,
        node: row.node,
        step: row.step,
        state: EventState::from_word(&row.state).ok_or_else(|| corrupt(TABLE, "state", id, &row.state))?,
        message: row.message,
        created_at: utc(row.created_at),
    })
}
