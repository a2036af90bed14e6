//! Everything known of a cluster at one moment, for the driver.

use magnum_domain::driver::Snapshot;
use magnum_domain::{ClusterTemplate, Operation, OperationKind};
use magnum_store::{Ident, Scope, Store, StoreError};
use uuid::Uuid;

/// Loads the rows of a cluster: a fixed number of queries.
///
/// # Errors
/// `NotFound` when the cluster or its template is gone.
pub async fn snapshot(store: &Store, cluster: Uuid, deleting: bool) -> Result<Snapshot, StoreError> {
    let cluster = store.get_cluster(&Scope::All, &Ident::Uuid(cluster)).await?;
    Ok(Snapshot {
        template: template(store, &cluster.cluster_template_id).await?,
        nodegroups: store.nodegroups_of(&[cluster.uuid]).await?,
        nodes: store.nodes(cluster.uuid).await?,
        resources: store.resources(cluster.uuid).await?,
        cluster,
        deleting,
        outdated: Vec::new(),
        rotation: None,
    })
}

/// As [`snapshot`], as an operation wants the cluster: an upgrade has it made from another template, except for the
/// nodes that are yet to be replaced. The row names the old template until all of them are.
pub(crate) async fn wanted(store: &Store, operation: &Operation) -> Result<Snapshot, StoreError> {
    let mut snapshot = snapshot(store, operation.cluster_uuid, operation.kind == OperationKind::Delete).await?;
    if operation.kind == OperationKind::Upgrade {
        if let Some(uuid) = operation.arguments.cluster_template {
            snapshot.template = template(store, &uuid.to_string()).await?;
        }
        snapshot.outdated.clone_from(&operation.arguments.nodes_to_replace);
    }
    snapshot.rotation = (operation.kind == OperationKind::RotateCa).then_some(operation.uuid);
    Ok(snapshot)
}

/// A template, whoever may see it.
pub(crate) async fn template(store: &Store, uuid: &str) -> Result<ClusterTemplate, StoreError> {
    let uuid = uuid.to_owned();
    let found = store.templates_by_uuid(std::slice::from_ref(&uuid)).await?.pop();
    found.ok_or(StoreError::NotFound { resource: "ClusterTemplate", ident: uuid })
}
