//! The handlers that the real ones are compared with: they read and write the same rows and answer with the same
//! fields, and have no authentication, no policy, no microversions, no rules, no links.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::ChronoUtc;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, DbErr, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::entity::{self, cluster, cluster_template, nodegroup};

/// Where it reads, whose rows, where it listens.
#[derive(Debug, clap::Args)]
pub(crate) struct Bare {
    /// URL of the database.
    #[arg(long)]
    database: String,
    /// Project of the rows.
    #[arg(long)]
    project: String,
    /// Address to listen on; loopback.
    #[arg(long)]
    bind: SocketAddr,
}

struct Rows {
    database: DatabaseConnection,
    project: String,
}

impl Rows {
    /// A query about something with a UUID in the project.
    fn statement(&self, sql: &str, uuid: String) -> Statement {
        let values = [uuid.into(), self.project.as_str().into()];
        Statement::from_sql_and_values(self.database.get_database_backend(), sql, values)
    }
}

type Shared = State<Arc<Rows>>;
type Answer<T> = Result<Json<T>, StatusCode>;

/// Serves until it is ended.
pub(crate) async fn run(bare: Bare) -> Result<()> {
    let rows = Arc::new(Rows { database: entity::open(&bare.database).await?, project: bare.project });
    let app = Router::new()
        .route("/", get(|| async { "ready" }))
        .route("/v1/clusters", get(clusters))
        .route("/v1/clusters/{uuid}", get(cluster))
        .route("/v1/clusters/{uuid}/nodegroups", get(nodegroups))
        .route("/v1/clustertemplates", get(templates).post(create))
        .route("/v1/clustertemplates/{uuid}", get(template).patch(update))
        .with_state(rows);
    Ok(axum::serve(TcpListener::bind(bare.bind).await?, app).await?)
}

fn failed(_: DbErr) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// How much of a list.
#[derive(Deserialize)]
struct Page {
    limit: Option<u64>,
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
}

async fn clusters(State(rows): Shared, Query(page): Query<Page>) -> Answer<Vec<Item>> {
    let clusters = cluster::Entity::find()
        .filter(cluster::Column::ProjectId.eq(rows.project.as_str()))
        .order_by_asc(cluster::Column::Id)
        .limit(page.limit)
        .all(&rows.database)
        .await
        .map_err(failed)?;
    let uuids = clusters.iter().filter_map(|cluster| cluster.uuid.as_deref());
    let groups = nodegroup::Entity::find()
        .filter(nodegroup::Column::ClusterId.is_in(uuids))
        .all(&rows.database)
        .await
        .map_err(failed)?;
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
        }
    });
    Ok(Json(items.collect()))
}

/// A cluster, its node groups for counts and addresses, the labels of its template.
#[derive(Serialize)]
struct Whole {
    cluster: cluster::Model,
    addresses: Vec<Option<String>>,
    nodes: i32,
    template_labels: Option<String>,
}

/// A cluster beside one of its node groups.
#[derive(FromQueryResult)]
struct Joined {
    #[sea_orm(nested)]
    cluster: cluster::Model,
    template_labels: Option<String>,
    node_count: Option<i32>,
    node_addresses: Option<String>,
}

async fn cluster(State(rows): Shared, Path(uuid): Path<String>) -> Answer<Whole> {
    let sql =
        "SELECT c.*, t.labels AS template_labels, n.role, n.node_count, n.node_addresses, n.status AS group_status
        FROM cluster c LEFT JOIN cluster_template t ON t.uuid = c.cluster_template_id
        LEFT JOIN nodegroup n ON n.cluster_id = c.uuid WHERE c.uuid = ? AND c.project_id = ? ORDER BY n.id";
    let found = Joined::find_by_statement(rows.statement(sql, uuid)).all(&rows.database).await.map_err(failed)?;
    let nodes = found.iter().filter_map(|row| row.node_count).sum();
    let mut addresses = Vec::with_capacity(found.len());
    let mut first = None;
    for row in found {
        addresses.push(row.node_addresses);
        first.get_or_insert((row.cluster, row.template_labels));
    }
    let (cluster, template_labels) = first.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(Whole { cluster, addresses, nodes, template_labels }))
}

async fn nodegroups(State(rows): Shared, Path(uuid): Path<String>) -> Answer<Vec<nodegroup::Model>> {
    // Whether the caller may see the cluster is in the cluster's row.
    let sql = "SELECT n.* FROM cluster c JOIN nodegroup n ON n.cluster_id = c.uuid
        WHERE c.uuid = ? AND c.project_id = ? ORDER BY n.id";
    let groups = nodegroup::Entity::find().from_raw_sql(rows.statement(sql, uuid));
    groups.all(&rows.database).await.map(Json).map_err(failed)
}

async fn templates(State(rows): Shared, Query(page): Query<Page>) -> Answer<Vec<cluster_template::Model>> {
    let templates = cluster_template::Entity::find()
        .filter(cluster_template::Column::ProjectId.eq(rows.project.as_str()))
        .order_by_asc(cluster_template::Column::Id)
        .limit(page.limit)
        .all(&rows.database)
        .await
        .map_err(failed)?;
    Ok(Json(templates))
}

async fn template_row(rows: &Rows, uuid: &str) -> Result<cluster_template::Model, StatusCode> {
    let found = cluster_template::Entity::find()
        .filter(cluster_template::Column::Uuid.eq(uuid))
        .one(&rows.database)
        .await
        .map_err(failed)?;
    found.ok_or(StatusCode::NOT_FOUND)
}

async fn template(State(rows): Shared, Path(uuid): Path<String>) -> Answer<cluster_template::Model> {
    template_row(&rows, &uuid).await.map(Json)
}

/// What the load sends to make a template.
#[derive(Deserialize)]
struct NewTemplate {
    name: Option<String>,
    coe: Option<String>,
    image_id: Option<String>,
    external_network_id: Option<String>,
    dns_nameserver: Option<String>,
}

async fn create(
    State(rows): Shared,
    Json(new): Json<NewTemplate>,
) -> Result<(StatusCode, Json<cluster_template::Model>), StatusCode> {
    let row = cluster_template::ActiveModel {
        created_at: Set(Some(ChronoUtc::now().naive_utc())),
        uuid: Set(Some(Uuid::new_v4().to_string())),
        project_id: Set(Some(rows.project.clone())),
        user_id: Set(Some("bench".to_owned())),
        name: Set(new.name),
        coe: Set(new.coe),
        image_id: Set(new.image_id),
        external_network_id: Set(new.external_network_id),
        dns_nameserver: Set(new.dns_nameserver),
        public: Set(Some(false)),
        hidden: Set(Some(false)),
        tls_disabled: Set(Some(false)),
        registry_enabled: Set(Some(false)),
        labels: Set(Some("{}".to_owned())),
        ..Default::default()
    };
    let made = row.insert(&rows.database).await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// What the load sends to change a template: `[{"op": "replace", "path": "/dns_nameserver", "value": ".."}]`.
#[derive(Deserialize)]
struct Replace {
    value: String,
}

async fn update(
    State(rows): Shared,
    Path(uuid): Path<String>,
    Json(patch): Json<Vec<Replace>>,
) -> Answer<cluster_template::Model> {
    let mut row = template_row(&rows, &uuid).await?.into_active_model();
    row.updated_at = Set(Some(ChronoUtc::now().naive_utc()));
    row.dns_nameserver = Set(patch.into_iter().next().map(|replace| replace.value));
    row.update(&rows.database).await.map(Json).map_err(failed)
}
