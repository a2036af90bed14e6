//! Nodes of clusters.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conductor_node")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub uuid: String,
    pub cluster_uuid: String,
    pub nodegroup_uuid: String,
    pub name: String,
    pub position: i32,
    pub is_master: bool,
    pub address: Option<String>,
    pub phase: String,
    pub message: Option<String>,
    pub join_token_hash: Option<String>,
    pub certificate_fingerprint: Option<String>,
    pub desired: Option<String>,
    pub observed: Option<String>,
    pub last_seen_at: Option<DateTime>,
    pub created_at: DateTime,
    pub updated_at: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
