//! What an unfinished operation waits for, where every client looks: the reasons of the statuses of the cluster and of
//! the node groups. Written and replaced with the operation's row, and gone with its end.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::{cluster, nodegroup, operation};
use crate::operation::from_row;
use crate::row::clip;
use crate::{Result, Store};

/// What the statuses end in that work is going on behind.
const IN_PROGRESS: &str = "%IN_PROGRESS";

impl Store {
    /// Shows what an operation's row says. A status that is not in progress has a reason of its own, which stays.
    pub(crate) async fn show_progress(&self, tx: &DatabaseTransaction, uuid: Uuid) -> Result<()> {
        let row = operation::Entity::find().filter(operation::Column::Uuid.eq(uuid.to_string())).one(tx).await?;
        let Some(row) = row else { return Ok(()) };
        let operation = from_row(row)?;
        let reason = in_words(operation.step.as_deref(), operation.waiting_for.as_deref(), operation.error.as_deref());
        let reason = reason.map(|text| clip(&text).into_owned());
        let row = cluster::ActiveModel { status_reason: Set(reason.clone()), ..Default::default() };
        cluster::Entity::update_many()
            .set(self.fitting(row)?)
            .filter(self.is(cluster::Column::Uuid, operation.cluster_uuid))
            .filter(cluster::Column::Status.like(IN_PROGRESS))
            .exec(tx)
            .await?;
        let row = nodegroup::ActiveModel { status_reason: Set(reason), ..Default::default() };
        let mut groups = nodegroup::Entity::update_many()
            .set(self.fitting(row)?)
            .filter(self.is(nodegroup::Column::ClusterId, operation.cluster_uuid))
            .filter(nodegroup::Column::Status.like(IN_PROGRESS));
        if let Some(group) = operation.arguments.nodegroup {
            groups = groups.filter(self.is(nodegroup::Column::Uuid, group));
        }
        groups.exec(tx).await?;
        Ok(())
    }
}

/// `STEP: waiting for WHAT; last error: WHY`, as far as there is something to say.
fn in_words(step: Option<&str>, waiting_for: Option<&str>, error: Option<&str>) -> Option<String> {
    let mut parts = Vec::new();
    match (step, waiting_for) {
        (Some(step), Some(waiting)) => parts.push(format!("{step}: waiting for {waiting}")),
        (Some(one), None) => parts.push(one.to_owned()),
        (None, Some(waiting)) => parts.push(format!("waiting for {waiting}")),
        (None, None) => {}
    }
    parts.extend(error.map(|error| format!("last error: {error}")));
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_is_done_what_is_waited_for_and_what_went_wrong() {
        for (step, waiting_for, error, expected) in [
            (None, None, None, None),
            (Some("start node a"), None, None, Some("start node a")),
            (Some("start node a"), Some("its engine"), None, Some("start node a: waiting for its engine")),
            (None, None, Some("no route"), Some("last error: no route")),
            (Some("s"), Some("w"), Some("e"), Some("s: waiting for w; last error: e")),
        ] {
            assert_eq!(in_words(step, waiting_for, error).as_deref(), expected);
        }
    }
}
