//! What happened to clusters.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conductor_event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cluster_uuid: String,
    pub operation_uuid: Option<String>,
    pub node: Option<String>,
    pub step: String,
    pub state: String,
    pub message: String,
    pub created_at: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
