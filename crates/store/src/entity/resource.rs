//! The ledger.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conductor_resource")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cluster_uuid: String,
    pub node_uuid: Option<String>,
    pub kind: String,
    pub name: String,
    pub attributes: String,
    pub state: String,
    pub created_at: DateTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
