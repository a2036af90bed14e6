//! Quotas and statistics in answers.

use magnum_domain::quota::Quota;
use serde::Serialize;
use utoipa::ToSchema;

use super::when::When;

/// A quota.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuotaView<'a> {
    /// Database key; not there for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// Greatest number.
    hard_limit: i32,
    /// The project it binds.
    project_id: &'a str,
    /// What it limits.
    resource: &'a str,
    /// When it was made; not there for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Option<When>>,
    /// When it was last changed; not there for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Option<When>>,
}

impl<'a> QuotaView<'a> {
    /// The view of a row.
    pub(crate) fn new(quota: &'a Quota) -> Self {
        Self {
            id: Some(quota.id),
            hard_limit: quota.hard_limit,
            project_id: &quota.project_id,
            resource: &quota.resource,
            created_at: Some(When::maybe(quota.created_at)),
            updated_at: Some(When::maybe(quota.updated_at)),
        }
    }

    /// What holds for a project without a row.
    pub(crate) fn preset(project_id: &'a str, hard_limit: i32) -> Self {
        Self {
            id: None,
            hard_limit,
            project_id,
            resource: magnum_domain::quota::CLUSTER,
            created_at: None,
            updated_at: None,
        }
    }
}

/// One page of quotas.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuotaList<'a> {
    /// The page.
    pub(crate) quotas: Vec<QuotaView<'a>>,
    /// URL of the next page, when this one is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Numbers of clusters and nodes.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatsView {
    /// Clusters, whatever their status.
    pub(crate) clusters: i64,
    /// Wanted nodes, masters included.
    pub(crate) nodes: i64,
}
