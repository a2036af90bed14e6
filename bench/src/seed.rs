//! Clusters to be listed. They are rows only: no conductor may run on this database.

use std::path::Path;

use anyhow::{Context, Result};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::ChronoUtc;
use sea_orm::{EntityTrait, TransactionTrait};
use uuid::Uuid;

use crate::entity::{self, cluster, nodegroup};

/// Rows per statement; SQLite takes so many values at once and no more.
const BATCH: u32 = 100;

/// Writes `count` clusters, each with the two default node groups.
pub(crate) async fn run(database: &Path, project: &str, template: &str, count: u32) -> Result<()> {
    let database = entity::open(database).await?;
    let transaction = database.begin().await?;
    let now = Some(ChronoUtc::now().naive_utc());
    for first in (0..count).step_by(BATCH as usize) {
        let ids: Vec<(u32, Uuid)> = (first..count.min(first + BATCH)).map(|index| (index, Uuid::new_v4())).collect();
        let clusters = ids.iter().map(|(index, uuid)| cluster::ActiveModel {
            created_at: Set(now),
            project_id: Set(Some(project.to_owned())),
            user_id: Set(Some("bench".to_owned())),
            uuid: Set(Some(uuid.to_string())),
            name: Set(Some(format!("bench-{index}"))),
            cluster_template_id: Set(Some(template.to_owned())),
            labels: Set(Some(r#"{"availability_zone": "nova", "owner": "bench"}"#.to_owned())),
            master_flavor_id: Set(Some("m1.small".to_owned())),
            flavor_id: Set(Some("m1.small".to_owned())),
            stack_id: Set(Some(Uuid::new_v4().to_string())),
            api_address: Set(Some("tcp://127.0.0.1:2376".to_owned())),
            status: Set(Some("CREATE_COMPLETE".to_owned())),
            health_status: Set(Some("HEALTHY".to_owned())),
            create_timeout: Set(Some(60)),
            master_lb_enabled: Set(Some(false)),
            floating_ip_enabled: Set(Some(false)),
            ..Default::default()
        });
        cluster::Entity::insert_many(clusters).exec(&transaction).await.context("cannot write clusters")?;
        let groups = ids.iter().flat_map(|(_, uuid)| {
            [("default-master", "master", 1), ("default-worker", "worker", 2)].map(|(name, role, nodes)| {
                nodegroup::ActiveModel {
                    created_at: Set(now),
                    uuid: Set(Uuid::new_v4().to_string()),
                    name: Set(name.to_owned()),
                    cluster_id: Set(uuid.to_string()),
                    project_id: Set(project.to_owned()),
                    node_addresses: Set(Some(r#"["10.0.0.5"]"#.to_owned())),
                    node_count: Set(Some(nodes)),
                    min_node_count: Set(Some(1)),
                    role: Set(Some(role.to_owned())),
                    is_default: Set(Some(true)),
                    status: Set(Some("CREATE_COMPLETE".to_owned())),
                    ..Default::default()
                }
            })
        });
        nodegroup::Entity::insert_many(groups).exec(&transaction).await.context("cannot write node groups")?;
    }
    transaction.commit().await?;
    Ok(())
}
