//! Everything known of a cluster at one moment, for the driver.

use magnum_domain::driver::Snapshot;
use magnum_store::{Ident, Scope, Store, StoreError};
use uuid::Uuid;

/// Loads the rows of a cluster: a fixed number of queries.
///
/// # Errors
/// `NotFound` when the cluster or its template is gone.
pub async fn snapshot(store: &Store, cluster: Uuid, deleting: bool) -> Result<Snapshot, StoreError> {
    let cluster = store.get_cluster(&Scope::All, &Ident::Uuid(cluster)).await?;
    let template =
        store.templates_by_uuid(std::slice::from_ref(&cluster.cluster_template_id)).await?.pop().ok_or_else(|| {
            StoreError::NotFound { resource: "ClusterTemplate", ident: cluster.cluster_template_id.clone() }
        })?;
    Ok(Snapshot {
        nodegroups: store.nodegroups_of(&[cluster.uuid]).await?,
        nodes: store.nodes(cluster.uuid).await?,
        resources: store.resources(cluster.uuid).await?,
        cluster,
        template,
        deleting,
    })
}
