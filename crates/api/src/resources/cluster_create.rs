//! `POST /v1/clusters`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use magnum_domain::effect::Subject;
use magnum_domain::nodegroup::{MASTER, WORKER};
use magnum_domain::operation::Arguments;
use magnum_domain::quota::CLUSTER;
use magnum_domain::{Cluster, ClusterStatus, ClusterTemplate, Labels, Nodegroup, OperationKind};
use magnum_store::{Ident, NewCluster, StoreError};
use uuid::Uuid;

use super::vocabulary::{CLUSTERS, Vocabulary};
use super::{Api, DryRunQuery, nameable, operation};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::dry_run::Imagined;
use crate::error::{ApiError, Result};
use crate::field::schema::ClusterBody;
use crate::field::{self, Body};
use crate::microversion::ZERO_NODES;
use crate::query::Query;
use crate::rules;
use crate::rules::size::Size;
use crate::view::plan::PlanView;
use crate::view::{Accepted, answer};
use crate::warning::Warnings;

/// Default minutes for a cluster to come up.
const CREATE_TIMEOUT: i32 = 60;

/// Upstream's words for an empty group before 1.10, wherever it is asked for.
pub(crate) const NO_ZERO_NODES: &str = "Resizing a nodegroup to zero is not supported in the provided microversion.";

/// Makes a cluster. It is there at once, and usable when its status is `CREATE_COMPLETE`.
#[utoipa::path(post, path = "/v1/clusters", tag = "clusters", request_body = ClusterBody, params(DryRunQuery),
    responses((status = 202, body = Accepted), (status = 200, body = PlanView, description = "Dry run")))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    let query = query.only(&["dry_run"])?;
    let is_dry = query.boolean("dry_run")?;
    let Wanted { new, template, warnings } = wanted(&api, &context, body, &CLUSTERS).await?;
    if is_dry {
        let NewCluster { cluster, nodegroups, .. } = new;
        let imagined = Imagined { cluster, template, nodegroups, nodes: vec![], resources: vec![], remove: vec![] };
        let plan = api.planner.plan(&imagined.snapshot()?).await?;
        return Ok(warnings.on(answer(StatusCode::OK, &PlanView::new(&plan))?));
    }
    let made = api.store.create_cluster(new).await?;
    Ok(warnings.on(Accepted::response(made.uuid)?))
}

/// A cluster that may be made.
pub(crate) struct Wanted {
    /// The rows.
    pub(crate) new: NewCluster,
    /// What it is made from.
    template: ClusterTemplate,
    /// What deserves a word.
    pub(crate) warnings: Warnings,
}

/// Reads and checks the body of a request for a cluster, by either name.
pub(crate) async fn wanted(api: &ApiState, context: &Context, body: Json, words: &Vocabulary) -> Result<Wanted> {
    let spec = words.patch.fields;
    let body = words.todays(field::read(spec, &body.required(spec.argument)?, &api.options.sizes)?);
    let template = template(api, context, &body.text("cluster_template_id").unwrap_or_default(), words).await?;
    let (masters, workers) = (body.integer("master_count").unwrap_or(1), body.integer("node_count").unwrap_or(1));
    rules::cluster::shape(api, &template, body.integer("docker_volume_size"), masters)?;
    if workers == 0 && context.version < ZERO_NODES {
        return Err(ApiError::invalid(NO_ZERO_NODES));
    }
    words.may(context, "create")?;
    let quota = quota(api, context.project()?).await?;
    let cluster = cluster(context, &template, &body, words.suffix)?;
    let nodegroups = match check(api, context, &cluster, &template, (masters, workers)).await {
        Ok(nodegroups) => nodegroups,
        Err(error) => return Err(within_quota(api, &cluster.project_id, quota).await.err().unwrap_or(error)),
    };
    let mut told = rules::effects::told(api, &template, Subject::Cluster, |name| body.value(name))?;
    told.extend(rules::labels::told(api, &template, &cluster.labels));
    let warnings = Warnings::new(told);
    let arguments = Arguments { warnings: warnings.texts(), ..Arguments::default() };
    let operation = operation(api, context, &cluster, OperationKind::Create, arguments);
    Ok(Wanted { new: NewCluster { cluster, nodegroups, operation, quota }, template, warnings })
}

/// What upstream checks once it knows that the caller may. The groups of the new cluster come of it.
async fn check(
    api: &ApiState,
    context: &Context,
    cluster: &Cluster,
    template: &ClusterTemplate,
    (masters, workers): (i32, i32),
) -> Result<Vec<Nodegroup>> {
    rules::cluster::usable(&context.caller, template)?;
    rules::cluster::found(api, &context.caller, cluster, template).await?;
    rules::cluster::balanced(masters, cluster)?;
    let nodegroups = nodegroups(cluster, template, masters, workers)?;
    rules::labels::within(api, &cluster.labels)?;
    let size = Size { cluster, groups: &nodegroups, remove: &[], at_once: 0 };
    rules::size::fits(api, template, &size).await?;
    Ok(nodegroups)
}

/// Upstream says first that there is no room. What really holds is decided in the transaction that makes the cluster.
async fn within_quota(api: &ApiState, project_id: &str, limit: i32) -> Result<()> {
    let clusters = api.store.count_clusters(project_id).await?;
    if clusters >= u64::try_from(limit).unwrap_or_default() {
        return Err(StoreError::QuotaExceeded { limit }.into());
    }
    Ok(())
}

/// The template, by UUID, name or database key. Before 1.10 a missing one was a fault of the body.
async fn template(api: &ApiState, context: &Context, ident: &str, words: &Vocabulary) -> Result<ClusterTemplate> {
    let found = match nameable("ClusterTemplate", ident) {
        Ok(()) => {
            let ident = Ident::parse_with_id(ident);
            api.store.get_template(&context.usable_templates(), &ident).await.map_err(ApiError::from)
        }
        Err(error) => Err(error),
    };
    found.map_err(|error| match error {
        error @ (ApiError::NotFound(_) | ApiError::Store(StoreError::NotFound { .. }))
            if context.version < ZERO_NODES || words.is_older() =>
        {
            ApiError::invalid(error.to_string())
        }
        other => other,
    })
}

/// Greatest number of clusters of a project.
async fn quota(api: &ApiState, project_id: &str) -> Result<i32> {
    match api.store.get_quota(project_id, CLUSTER).await {
        Ok(quota) => Ok(quota.hard_limit),
        // Below zero: any number.
        Err(StoreError::NotFound { .. }) => {
            Ok(Some(api.options.max_clusters_per_project).filter(|limit| *limit >= 0).unwrap_or(i32::MAX))
        }
        Err(error) => Err(error.into()),
    }
}

/// The labels of a cluster: its own, its template's, or its own laid over its template's (§15.5).
fn labels(body: &Body, template: &ClusterTemplate) -> Labels {
    match body.dictionary("labels") {
        Some(own) if body.boolean("merge_labels") == Some(true) => {
            let mut labels = template.labels.clone();
            labels.extend(own);
            labels
        }
        Some(own) if !own.is_empty() => own,
        _ => template.labels.clone(),
    }
}

/// The row: what the body says, else what the template says.
fn cluster(context: &Context, template: &ClusterTemplate, body: &Body, suffix: &str) -> Result<Cluster> {
    let or = |name: &str, preset: &Option<String>| body.text(name).or_else(|| preset.clone());
    let floating_ip = if body.has("floating_ip_enabled") {
        body.boolean("floating_ip_enabled")
    } else {
        template.floating_ip_enabled
    };
    let create_timeout = if body.has("create_timeout") { body.integer("create_timeout") } else { Some(CREATE_TIMEOUT) };
    Ok(Cluster {
        id: 0,
        uuid: Uuid::new_v4(),
        name: Some(body.text("name").unwrap_or_else(|| crate::name::generate(suffix))),
        project_id: context.project()?.to_owned(),
        user_id: context.caller.user_id.clone(),
        cluster_template_id: template.uuid.to_string(),
        keypair: or("keypair", &template.keypair_id),
        docker_volume_size: body.integer("docker_volume_size").or(template.docker_volume_size),
        labels: labels(body, template),
        master_flavor_id: or("master_flavor_id", &template.master_flavor_id),
        flavor_id: or("flavor_id", &template.flavor_id),
        stack_id: None,
        api_address: None,
        status: ClusterStatus::CreateInProgress,
        status_reason: None,
        health_status: None,
        health_status_reason: Labels::new(),
        create_timeout,
        discovery_url: body.text("discovery_url"),
        coe_version: None,
        container_version: None,
        ca_cert_ref: None,
        magnum_cert_ref: None,
        etcd_ca_cert_ref: None,
        front_proxy_ca_cert_ref: None,
        fixed_network: or("fixed_network", &template.fixed_network),
        fixed_subnet: or("fixed_subnet", &template.fixed_subnet),
        floating_ip_enabled: floating_ip,
        master_lb_enabled: body.boolean("master_lb_enabled").unwrap_or(template.master_lb_enabled),
        created_at: None,
        updated_at: None,
    })
}

/// The two groups every cluster has (§7.1).
fn nodegroups(cluster: &Cluster, template: &ClusterTemplate, masters: i32, workers: i32) -> Result<Vec<Nodegroup>> {
    let least = rules::number_label(&cluster.labels, "min_node_count")?.unwrap_or(0);
    let least = i32::try_from(least).ok().filter(|least| *least >= 0).ok_or_else(|| {
        ApiError::invalid(format!("The label min_node_count is {least}. It must be a number of nodes."))
    })?;
    let group = |role: &str, flavor: &Option<String>, count: i32, least: i32| Nodegroup {
        id: 0,
        uuid: Uuid::new_v4(),
        name: format!("default-{role}"),
        cluster_id: cluster.uuid,
        project_id: cluster.project_id.clone(),
        docker_volume_size: cluster.docker_volume_size,
        labels: cluster.labels.clone(),
        flavor_id: flavor.clone(),
        image_id: template.image_id.clone(),
        node_addresses: Vec::new(),
        node_count: count,
        max_node_count: None,
        min_node_count: least,
        role: role.to_owned(),
        is_default: true,
        stack_id: None,
        status: Some(ClusterStatus::CreateInProgress),
        status_reason: None,
        version: None,
        node_labels: Labels::new(),
        node_taints: Vec::new(),
        created_at: None,
        updated_at: None,
    };
    Ok(vec![group(MASTER, &cluster.master_flavor_id, masters, 0), group(WORKER, &cluster.flavor_id, workers, least)])
}
