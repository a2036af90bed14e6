//! Operations, in the order they were asked for.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conductor_operation")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub uuid: String,
    pub cluster_uuid: String,
    pub project_id: String,
    pub user_id: String,
    pub request_id: Option<String>,
    pub kind: String,
    pub arguments: String,
    pub state: String,
    pub attempts: i32,
    pub interruptions: i32,
    pub claims: i32,
    pub step: Option<String>,
    pub waiting_for: Option<String>,
    pub error: Option<String>,
    pub cancel_requested: bool,
    pub lease_owner: Option<String>,
    pub lease_expires_at: Option<DateTime>,
    pub not_before: DateTime,
    pub deadline_at: Option<DateTime>,
    pub created_at: DateTime,
    pub updated_at: DateTime,
    pub finished_at: Option<DateTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
