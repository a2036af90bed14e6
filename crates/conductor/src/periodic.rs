//! What a conductor does besides operations: heartbeat, health, adoption after a restart, tidying.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::time::Duration;

use magnum_domain::concurrency::side_by_side;
use magnum_domain::driver::Snapshot;
use magnum_domain::{Cluster, ClusterStatus, HealthStatus, now};
use magnum_store::{Page, Scope, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Conductor, snapshot};

/// Name under which conductors report themselves (`GET /v1/mservices`).
pub(crate) const BINARY: &str = "magnum-conductor";
/// Time between heartbeats; `service_down_time` is three of them.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Clusters looked at side by side.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);
/// Rows of one page of clusters.
const PAGE: u64 = 500;

/// Waits; false when it is time to end.
async fn pause(length: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = tokio::time::sleep(length) => true,
    }
}

pub(crate) async fn heartbeat(conductor: Conductor, shutdown: CancellationToken) {
    loop {
        if let Err(error) = conductor.store.heartbeat(&conductor.options.host, BINARY).await {
            tracing::warn!(%error, "the heartbeat could not be written");
        }
        if !pause(HEARTBEAT, &shutdown).await {
            return;
        }
    }
}

/// Takes up every cluster that something was made for, as soon as the process starts.
pub(crate) async fn resume_all(conductor: Conductor, shutdown: CancellationToken) {
    let clusters = loop {
        match conductor.store.all_clusters_with_resources().await {
            Ok(clusters) => break clusters,
            Err(error) => tracing::warn!(%error, "could not look for clusters to take up"),
        }
        if !pause(Duration::from_secs(1), &shutdown).await {
            return;
        }
    };
    side_by_side(SIDE_BY_SIDE, clusters.into_iter().map(|cluster| resume(&conductor, cluster))).await;
}

async fn resume(conductor: &Conductor, cluster: Uuid) {
    let snapshot = match snapshot(&conductor.store, cluster, false).await {
        Ok(snapshot) => snapshot,
        Err(error) => return tracing::warn!(%cluster, %error, "a cluster could not be taken up"),
    };
    if snapshot.cluster.status == ClusterStatus::DeleteInProgress {
        return;
    }
    let adopted = match conductor.drivers.select(&snapshot.template) {
        Ok(driver) => driver.resume(&snapshot).await,
        Err(error) => Err(error),
    };
    match adopted {
        Ok(()) => tracing::info!(%cluster, "cluster taken up"),
        Err(error) => tracing::warn!(%cluster, %error, "a cluster could not be taken up"),
    }
}

pub(crate) async fn watch_health(conductor: Conductor, shutdown: CancellationToken) {
    let interval = conductor.options.health_interval;
    if interval.is_zero() {
        return;
    }
    while pause(interval, &shutdown).await {
        if let Err(error) = look_at_all(&conductor).await {
            tracing::warn!(%error, "the clusters' health could not be looked at");
        }
    }
}

async fn look_at_all(conductor: &Conductor) -> Result<(), StoreError> {
    let conductors = live_conductors(conductor).await?;
    let mut page = Page::first(PAGE);
    loop {
        let clusters = conductor.store.list_clusters(&Scope::All, &page).await?;
        let next = clusters.last().filter(|_| clusters.len() as u64 == PAGE).map(|cluster| cluster.uuid.to_string());
        let mine =
            clusters.into_iter().filter(|cluster| is_watched(cluster) && is_mine(conductor, &conductors, cluster));
        side_by_side(SIDE_BY_SIDE, mine.map(|cluster| look_at(conductor, cluster))).await;
        match next {
            Some(marker) => page.marker = Some(marker),
            None => return Ok(()),
        }
    }
}

/// Clusters that run: not those being made or deleted.
fn is_watched(cluster: &Cluster) -> bool {
    cluster.status.is_settled()
        || matches!(cluster.status, ClusterStatus::UpdateInProgress | ClusterStatus::UpdateFailed)
}

/// Spreads clusters over the live conductors without talking to them: the highest hash of (host, cluster) wins.
fn is_mine(conductor: &Conductor, conductors: &[String], cluster: &Cluster) -> bool {
    let weight = |host: &str| {
        let mut hasher = DefaultHasher::new();
        (host, cluster.uuid).hash(&mut hasher);
        hasher.finish()
    };
    conductors.iter().max_by_key(|host| weight(host)).is_none_or(|host| *host == conductor.options.host)
}

async fn live_conductors(conductor: &Conductor) -> Result<Vec<String>, StoreError> {
    let down_after = HEARTBEAT * 3;
    let services = conductor.store.list_services().await?;
    Ok(services
        .into_iter()
        .filter(|service| service.binary == BINARY && service.is_up(now(), down_after))
        .filter_map(|service| service.host)
        .collect())
}

async fn look_at(conductor: &Conductor, cluster: Cluster) {
    let snapshot = match snapshot(&conductor.store, cluster.uuid, false).await {
        Ok(snapshot) => snapshot,
        Err(StoreError::NotFound { .. }) => return,
        Err(error) => return tracing::warn!(cluster = %cluster.uuid, %error, "health could not be looked at"),
    };
    let Ok(driver) = conductor.drivers.select(&snapshot.template) else { return };
    let health = driver.health(&snapshot).await;
    if health.status != HealthStatus::Healthy {
        repair(conductor, &snapshot).await;
    }
    let unchanged =
        cluster.health_status.as_ref() == Some(&health.status) && cluster.health_status_reason == health.reason;
    if unchanged {
        return;
    }
    if let Err(error) = conductor.store.update_health(cluster.uuid, &health.status, &health.reason).await {
        tracing::warn!(cluster = %cluster.uuid, %error, "health could not be written");
    }
}

/// An unhealthy cluster at rest is taken up anew: dead nodes are started again, lost listeners re-opened.
async fn repair(conductor: &Conductor, snapshot: &Snapshot) {
    if !snapshot.cluster.status.is_settled() {
        return;
    }
    if let Ok(driver) = conductor.drivers.select(&snapshot.template)
        && let Err(error) = driver.resume(snapshot).await
    {
        tracing::warn!(cluster = %snapshot.cluster.uuid, %error, "an unhealthy cluster could not be repaired");
    }
}

/// Removes what is too old to be of use.
pub(crate) async fn tidy(conductor: Conductor, shutdown: CancellationToken) {
    while pause(Duration::from_secs(3600), &shutdown).await {
        let before = now() - conductor.options.keep_history;
        if let Err(error) = conductor.store.prune_history(before).await {
            tracing::warn!(%error, "old events and operations could not be removed");
        }
    }
}
