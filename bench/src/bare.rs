//! The handler that the real one is compared with: it reads the same rows and writes the same fields of the list, and
//! has no authentication, no policy, no microversions, no links.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::entity::{self, cluster, nodegroup};

struct Rows {
    database: DatabaseConnection,
    project: String,
}

/// What a list of clusters shows of each.
#[derive(Serialize)]
struct Item {
    uuid: Option<String>,
    name: Option<String>,
    cluster_template_id: Option<String>,
    keypair: Option<String>,
    docker_volume_size: Option<i32>,
    labels: Option<String>,
    node_count: i32,
    master_count: i32,
    master_flavor_id: Option<String>,
    flavor_id: Option<String>,
    create_timeout: Option<i32>,
    stack_id: Option<String>,
    status: Option<String>,
    health_status: Option<String>,
    floating_ip_enabled: Option<bool>,
    master_lb_enabled: Option<bool>,
}

/// Serves `GET /` until it is ended.
pub(crate) async fn run(database: &Path, project: String, bind: SocketAddr) -> Result<()> {
    let rows = Arc::new(Rows { database: entity::open(database).await?, project });
    let app = Router::new().route("/", get(list)).with_state(rows);
    Ok(axum::serve(TcpListener::bind(bind).await?, app).await?)
}

async fn list(State(rows): State<Arc<Rows>>) -> Result<Json<Vec<Item>>, StatusCode> {
    read(&rows).await.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn read(rows: &Rows) -> Result<Vec<Item>, DbErr> {
    let clusters = cluster::Entity::find()
        .filter(cluster::Column::ProjectId.eq(rows.project.as_str()))
        .order_by_asc(cluster::Column::Id)
        .all(&rows.database)
        .await?;
    let uuids = clusters.iter().filter_map(|cluster| cluster.uuid.as_deref());
    let groups =
        nodegroup::Entity::find().filter(nodegroup::Column::ClusterId.is_in(uuids)).all(&rows.database).await?;

    let mut counts: HashMap<&str, (i32, i32)> = HashMap::with_capacity(clusters.len());
    for group in &groups {
        let (masters, workers) = counts.entry(&group.cluster_id).or_default();
        let count = if group.role.as_deref() == Some("master") { masters } else { workers };
        *count += group.node_count.unwrap_or(0);
    }
    let items = clusters.into_iter().map(|cluster| {
        let uuid = cluster.uuid.as_deref().unwrap_or_default();
        let (master_count, node_count) = counts.get(uuid).copied().unwrap_or_default();
        Item {
            master_count,
            node_count,
            uuid: cluster.uuid,
            name: cluster.name,
            cluster_template_id: cluster.cluster_template_id,
            keypair: cluster.keypair,
            docker_volume_size: cluster.docker_volume_size,
            labels: cluster.labels,
            master_flavor_id: cluster.master_flavor_id,
            flavor_id: cluster.flavor_id,
            create_timeout: cluster.create_timeout,
            stack_id: cluster.stack_id,
            status: cluster.status,
            health_status: cluster.health_status,
            floating_ip_enabled: cluster.floating_ip_enabled,
            master_lb_enabled: cluster.master_lb_enabled,
        }
    });
    Ok(items.collect())
}
