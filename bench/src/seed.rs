//! Templates and clusters to be shown and listed. They are rows only: no conductor may run on this database.

use anyhow::{Context, Result, ensure};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::{ChronoUtc, DateTime};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TransactionTrait};
use uuid::Uuid;

use crate::entity::{self, cluster, cluster_template, nodegroup};

/// Rows per statement; SQLite takes so many values at once and no more.
const BATCH: u32 = 100;
/// What clusters and templates are labelled with: as much as is usual for Kubernetes.
const LABELS: &str = r#"{"availability_zone": "nova", "kube_tag": "v1.27.8-rancher2", "auto_healing_enabled": "true", "auto_scaling_enabled": "true", "min_node_count": "1", "max_node_count": "10", "monitoring_enabled": "true", "owner": "bench"}"#;

/// What is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Seed {
    /// URL of the database.
    #[arg(long)]
    database: String,
    /// Project of all of them.
    #[arg(long)]
    project: String,
    /// Image of the templates.
    #[arg(long, default_value = "bench")]
    image: String,
    /// How many templates there are to be.
    #[arg(long, default_value_t = 0)]
    templates: u32,
    /// How many clusters there are to be, each with three node groups.
    #[arg(long, default_value_t = 1000)]
    clusters: u32,
}

/// Brings the project to so many templates and clusters. Clusters are spread over the older half of its templates: those
/// of the other half may be changed.
pub(crate) async fn run(seed: &Seed) -> Result<()> {
    let database = entity::open(&seed.database).await?;
    let transaction = database.begin().await?;
    let now = Some(ChronoUtc::now().naive_utc());
    let there = templates(&transaction, &seed.project).await?;
    if let Some(missing) = seed.templates.checked_sub(u32::try_from(there.len())?).filter(|missing| *missing > 0) {
        let rows = (0..missing).map(|index| template(seed, index, now));
        cluster_template::Entity::insert_many(rows).exec(&transaction).await.context("cannot write templates")?;
    }
    let templates = templates(&transaction, &seed.project).await?;
    ensure!(!templates.is_empty(), "there is no template for the clusters");
    let (templates, _) = templates.split_at(templates.len().div_ceil(2));
    let there: Vec<Option<String>> = cluster::Entity::find()
        .select_only()
        .column(cluster::Column::Uuid)
        .filter(cluster::Column::ProjectId.eq(&seed.project))
        .into_tuple()
        .all(&transaction)
        .await?;
    for first in (u32::try_from(there.len())?..seed.clusters).step_by(BATCH as usize) {
        let numbers = first..seed.clusters.min(first + BATCH);
        let names: Vec<_> =
            numbers.zip(templates.iter().cycle()).map(|(number, of)| (number, Uuid::new_v4(), of)).collect();
        let rows = names.iter().map(|(number, uuid, template)| cluster(seed, *number, *uuid, template, now));
        cluster::Entity::insert_many(rows).exec(&transaction).await.context("cannot write clusters")?;
        let rows = names.iter().flat_map(|(_, uuid, _)| nodegroups(seed, *uuid, now));
        nodegroup::Entity::insert_many(rows).exec(&transaction).await.context("cannot write node groups")?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Removes the templates that the load has made, whose name says so.
pub(crate) async fn tidy(database: &str) -> Result<()> {
    let database = entity::open(database).await?;
    let made = cluster_template::Column::Name.eq("bench-made");
    cluster_template::Entity::delete_many().filter(made).exec(&database).await?;
    Ok(())
}

async fn templates(database: &impl ConnectionTrait, project: &str) -> Result<Vec<String>> {
    let rows = cluster_template::Entity::find().filter(cluster_template::Column::ProjectId.eq(project));
    let rows = rows.order_by_asc(cluster_template::Column::Id).all(database).await?;
    Ok(rows.into_iter().filter_map(|row| row.uuid).collect())
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn template(seed: &Seed, index: u32, now: Option<DateTime>) -> cluster_template::ActiveModel {
    cluster_template::ActiveModel {
        created_at: Set(now),
        uuid: Set(Some(Uuid::new_v4().to_string())),
        project_id: Set(text(&seed.project)),
        user_id: Set(text("bench")),
        name: Set(Some(format!("bench-{index}"))),
        image_id: Set(text(&seed.image)),
        flavor_id: Set(text("m1.small")),
        master_flavor_id: Set(text("m1.small")),
        network_driver: Set(text("flannel")),
        dns_nameserver: Set(text("8.8.8.8")),
        docker_storage_driver: Set(text("overlay2")),
        cluster_distro: Set(text("fedora-coreos")),
        coe: Set(text("kubernetes")),
        registry_enabled: Set(Some(false)),
        labels: Set(text(LABELS)),
        tls_disabled: Set(Some(false)),
        public: Set(Some(false)),
        server_type: Set(text("vm")),
        master_lb_enabled: Set(Some(false)),
        floating_ip_enabled: Set(Some(true)),
        hidden: Set(Some(false)),
        ..Default::default()
    }
}

fn cluster(seed: &Seed, number: u32, uuid: Uuid, template: &str, now: Option<DateTime>) -> cluster::ActiveModel {
    cluster::ActiveModel {
        created_at: Set(now),
        project_id: Set(text(&seed.project)),
        user_id: Set(text("bench")),
        uuid: Set(Some(uuid.to_string())),
        name: Set(Some(format!("bench-{number}"))),
        cluster_template_id: Set(text(template)),
        labels: Set(text(LABELS)),
        master_flavor_id: Set(text("m1.small")),
        flavor_id: Set(text("m1.small")),
        stack_id: Set(Some(Uuid::new_v4().to_string())),
        api_address: Set(text("https://127.0.0.1:6443")),
        status: Set(text("CREATE_COMPLETE")),
        status_reason: Set(text("Stack CREATE completed successfully")),
        health_status: Set(text("HEALTHY")),
        health_status_reason: Set(text(r#"{"api": "ok"}"#)),
        create_timeout: Set(Some(60)),
        coe_version: Set(text("v1.27.8")),
        master_lb_enabled: Set(Some(false)),
        floating_ip_enabled: Set(Some(false)),
        ..Default::default()
    }
}

fn nodegroups(seed: &Seed, cluster: Uuid, now: Option<DateTime>) -> [nodegroup::ActiveModel; 3] {
    let groups = [("default-master", "master", 1), ("default-worker", "worker", 2), ("batch", "worker", 3)];
    groups.map(|(name, role, nodes)| nodegroup::ActiveModel {
        created_at: Set(now),
        uuid: Set(Uuid::new_v4().to_string()),
        name: Set(name.to_owned()),
        cluster_id: Set(cluster.to_string()),
        project_id: Set(seed.project.clone()),
        labels: Set(text(LABELS)),
        flavor_id: Set(text("m1.small")),
        image_id: Set(text(&seed.image)),
        node_addresses: Set(text(r#"["10.0.0.5"]"#)),
        node_count: Set(Some(nodes)),
        min_node_count: Set(Some(1)),
        role: Set(text(role)),
        is_default: Set(Some(name != "batch")),
        stack_id: Set(Some(Uuid::new_v4().to_string())),
        status: Set(text("CREATE_COMPLETE")),
        ..Default::default()
    })
}
