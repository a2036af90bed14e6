//! The upstream table `federation`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "federation")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub created_at: Option<DateTime>,
    pub updated_at: Option<DateTime>,
    pub project_id: Option<String>,
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub hostcluster_id: Option<String>,
    pub member_ids: Option<String>,
    pub status: Option<String>,
    pub status_reason: Option<String>,
    pub properties: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
