//! `/v1/clustertemplates`.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use magnum_domain::ClusterTemplate;
use magnum_domain::effect::Subject;
use magnum_store::{Ident, Visibility};
use serde_json::Value;
use uuid::Uuid;

use super::vocabulary::{TEMPLATES, Vocabulary};
use super::{Api, PageQuery, Segments, nameable};
use crate::ApiState;
use crate::body::Json;
use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field;
use crate::field::read::{as_dictionary, as_integer, preset};
use crate::field::schema::ClusterTemplateBody;
use crate::page::{self, Marker};
use crate::patch::Patch;
use crate::query::Query;
use crate::rules;
use crate::rules::cluster_template::Changed;
use crate::view::answer;
use crate::view::cluster_template::{TemplateList, TemplateView};
use crate::view::labels::Shown;
use crate::warning::Warnings;

/// Lists cluster templates: the project's own and public ones, to administrators all.
#[utoipa::path(get, path = "/v1/clustertemplates", tag = "cluster templates", params(PageQuery),
    responses((status = 200, body = TemplateList)))]
pub(crate) async fn list(State(api): Api, context: Context, query: Query) -> Result<Response> {
    page_of(&api, &context, query, "get_all", &TEMPLATES).await
}

/// The same as the plain list, which has everything already.
#[utoipa::path(get, path = "/v1/clustertemplates/detail", tag = "cluster templates", params(PageQuery),
    responses((status = 200, body = TemplateList)))]
pub(crate) async fn detail(State(api): Api, context: Context, query: Query) -> Result<Response> {
    page_of(&api, &context, query, "detail", &TEMPLATES).await
}

/// A page of templates by either name; `verb` is `get_all` or `detail`.
pub(crate) async fn page_of(
    api: &ApiState,
    context: &Context,
    query: Query,
    verb: &str,
    words: &Vocabulary,
) -> Result<Response> {
    words.may(context, verb)?;
    let visibility = words.templates(context, verb)?;
    let page = page::read(&query.only(&page::PARAMETERS)?, Marker::Uuid, api.options.max_limit)?;
    let templates = api.store.list_templates(&visibility, &page).await?;
    let last = templates.last().map(|template| template.uuid.to_string());
    let path = words.path(if verb == "detail" { "/detail" } else { "" });
    let next = page::next(&context.base, &path, &page, templates.len(), last);
    let views = templates.iter().map(|template| TemplateView::new(template, &context.base));
    if words.is_older() {
        return words.older_list(views, next, &context.base);
    }
    answer(StatusCode::OK, &TemplateList { clustertemplates: views.collect(), next })
}

/// To look at it or change it, not just to show it.
async fn find(api: &ApiState, visibility: &Visibility, ident: &str) -> Result<ClusterTemplate> {
    nameable("ClusterTemplate", ident)?;
    Ok(api.store.get_template(visibility, &Ident::parse(ident)).await?)
}

/// Shows a cluster template.
#[utoipa::path(get, path = "/v1/clustertemplates/{clustertemplate_ident}", tag = "cluster templates",
    params(("clustertemplate_ident" = String, Path, description = "UUID or name")),
    responses((status = 200, body = TemplateView)))]
pub(crate) async fn show(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    show_one(&api, &context, &ident, &TEMPLATES).await
}

/// A template by either name.
pub(crate) async fn show_one(api: &ApiState, context: &Context, ident: &str, words: &Vocabulary) -> Result<Response> {
    let visibility = words.templates(context, "get_one")?;
    nameable("ClusterTemplate", ident)?;
    let template = api.store.get_shown_template(&visibility, &Ident::parse(ident)).await?;
    if !template.public {
        context.may_with(&words.rule("get"), &template.project_id, &template.user_id)?;
    }
    shown(&template, context, StatusCode::OK, words)
}

fn shown<L>(
    template: &ClusterTemplate<L>,
    context: &Context,
    status: StatusCode,
    words: &Vocabulary,
) -> Result<Response>
where
    for<'a> Shown<'a>: From<&'a L>,
{
    let view = TemplateView::new(template, &context.base);
    if words.is_older() {
        return answer(status, &words.shown(&view, &context.base)?);
    }
    answer(status, &view)
}

/// Makes a cluster template.
#[utoipa::path(post, path = "/v1/clustertemplates", tag = "cluster templates", request_body = ClusterTemplateBody,
    responses((status = 201, body = TemplateView)))]
pub(crate) async fn create(State(api): Api, context: Context, query: Query, body: Json) -> Result<Response> {
    query.only(&[])?;
    make(&api, &context, body, &TEMPLATES).await
}

/// Makes a template by either name.
pub(crate) async fn make(api: &ApiState, context: &Context, body: Json, words: &Vocabulary) -> Result<Response> {
    let spec = words.patch.fields;
    let body = field::read(spec, &body.required(spec.argument)?, &api.options.sizes)?;
    if body.text("coe").is_none() {
        let coe = if body.has("coe") { "None" } else { "Unset" };
        return Err(ApiError::invalid(format!("Requested COE type {coe} is not supported.")));
    }
    if body.has("server_type") && body.text("server_type").is_none() {
        return Err(ApiError::invalid("Server type None is not supported, expecting a vm/bm/unspecified server type."));
    }
    let mut template = ClusterTemplate {
        uuid: Uuid::new_v4(),
        project_id: context.project()?.to_owned(),
        user_id: context.caller.user_id.clone(),
        ..blank()
    };
    for field in spec.fields {
        let value = body.value(field.name).cloned().unwrap_or_else(|| preset(field.preset));
        assign(&mut template, field.name, &value);
    }
    if let Some(uuid) = body.text("uuid").and_then(|text| Uuid::try_parse(&text).ok()) {
        template.uuid = uuid;
    }
    template.name.get_or_insert_with(|| crate::name::generate(words.suffix));
    rules::cluster_template::shape(api, &mut template, &Changed::All)?;
    words.may(context, "create")?;
    let found = rules::cluster_template::found(api, &context.caller, &mut template, &Changed::All).await?;
    let mut told = rules::effects::told(api, &template, Subject::ClusterTemplate, |name| body.value(name))?;
    if template.public || (template.hidden && !words.is_older()) {
        may_publish(context, words)?;
    }
    rules::cluster_template::bootable(api, &template, &found)?;
    rules::labels::within(api, &template.labels)?;
    let template = api.store.create_template(&template).await?;
    told.extend(rules::labels::told(api, &template, &template.labels));
    let warnings = Warnings::new(told);
    let mut response = warnings.on(shown(&template, context, StatusCode::CREATED, words)?);
    let location = context.base.join(&words.path(&format!("/{}", template.uuid)));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn may_publish(context: &Context, words: &Vocabulary) -> Result<()> {
    words.may(context, "publish").map_err(|_| {
        ApiError::Forbidden("Not authorized to set public or hidden flag for cluster template.".to_owned())
    })
}

/// Changes a cluster template.
#[utoipa::path(patch, path = "/v1/clustertemplates/{clustertemplate_ident}", tag = "cluster templates",
    params(("clustertemplate_ident" = String, Path, description = "UUID or name")),
    request_body = Vec<crate::openapi::PatchItem>, responses((status = 200, body = TemplateView)))]
pub(crate) async fn update(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
    body: Json,
) -> Result<Response> {
    query.only(&[])?;
    change(&api, &context, &ident, body, &TEMPLATES).await
}

/// Changes a template by either name.
pub(crate) async fn change(
    api: &ApiState,
    context: &Context,
    ident: &str,
    body: Json,
    words: &Vocabulary,
) -> Result<Response> {
    let patch = Patch::read(body.optional(), &words.patch)?;
    let visibility = words.templates(context, "update")?;
    let before = find(api, &visibility, ident).await?;
    let mut after = before.clone();
    let stored = words.shown(&TemplateView::new(&before, &context.base), &context.base)?;
    let differs = patch.apply(&stored, &words.patch, &api.options.sizes)?;
    for (name, value) in &differs {
        assign(&mut after, name, value);
    }
    let changed = Changed::Some(&differs);
    rules::cluster_template::shape(api, &mut after, &changed)?;
    context.may_with(&words.rule("update"), &before.project_id, &before.user_id)?;
    let found = rules::cluster_template::found(api, &context.caller, &mut after, &changed).await?;
    let mut told = rules::effects::told(api, &after, Subject::ClusterTemplate, |name| differs.get(name))?;
    if after.public != before.public || (after.hidden != before.hidden && !words.is_older()) {
        may_publish(context, words)?;
    }
    rules::cluster_template::bootable(api, &after, &found)?;
    if after.labels != before.labels {
        rules::labels::within(api, &after.labels)?;
    }
    let template = api.store.update_template(&before, &after).await?;
    if template.labels != before.labels {
        told.extend(rules::labels::told(api, &template, &template.labels));
    }
    Ok(Warnings::new(told).on(shown(&template, context, StatusCode::OK, words)?))
}

/// Deletes a cluster template that no cluster uses.
#[utoipa::path(delete, path = "/v1/clustertemplates/{clustertemplate_ident}", tag = "cluster templates",
    params(("clustertemplate_ident" = String, Path, description = "UUID or name")),
    responses((status = 204)))]
pub(crate) async fn delete(
    State(api): Api,
    context: Context,
    Segments(ident): Segments<String>,
    query: Query,
) -> Result<Response> {
    query.only(&[])?;
    delete_one(&api, &context, &ident, &TEMPLATES).await
}

/// Deletes a template by either name.
pub(crate) async fn delete_one(api: &ApiState, context: &Context, ident: &str, words: &Vocabulary) -> Result<Response> {
    let visibility = words.templates(context, "delete")?;
    let template = find(api, &visibility, ident).await?;
    context.may_with(&words.rule("delete"), &template.project_id, &template.user_id)?;
    api.store.delete_template(template.uuid).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A template without anything.
fn blank() -> ClusterTemplate {
    ClusterTemplate {
        id: 0,
        uuid: Uuid::nil(),
        name: None,
        project_id: String::new(),
        user_id: String::new(),
        coe: String::new(),
        image_id: None,
        flavor_id: None,
        master_flavor_id: None,
        keypair_id: None,
        external_network_id: None,
        fixed_network: None,
        fixed_subnet: None,
        network_driver: None,
        volume_driver: None,
        dns_nameserver: None,
        apiserver_port: None,
        docker_volume_size: None,
        docker_storage_driver: None,
        cluster_distro: None,
        http_proxy: None,
        https_proxy: None,
        no_proxy: None,
        registry_enabled: false,
        labels: magnum_domain::Labels::new(),
        tls_disabled: false,
        public: false,
        server_type: String::new(),
        insecure_registry: None,
        master_lb_enabled: false,
        floating_ip_enabled: None,
        hidden: false,
        tags: None,
        driver: None,
        created_at: None,
        updated_at: None,
    }
}

/// Puts a value that was read by the table into its place.
fn assign(template: &mut ClusterTemplate, name: &str, value: &Value) {
    let text = || value.as_str().map(str::to_owned);
    let flag = || value.as_bool().unwrap_or(false);
    match name {
        "name" => template.name = text(),
        "coe" => template.coe = text().unwrap_or_default(),
        "image_id" => template.image_id = text(),
        "flavor_id" => template.flavor_id = text(),
        "master_flavor_id" => template.master_flavor_id = text(),
        "dns_nameserver" => template.dns_nameserver = text(),
        "keypair_id" => template.keypair_id = text(),
        "external_network_id" => template.external_network_id = text(),
        "fixed_network" => template.fixed_network = text(),
        "fixed_subnet" => template.fixed_subnet = text(),
        "network_driver" => template.network_driver = text(),
        "volume_driver" => template.volume_driver = text(),
        "apiserver_port" => template.apiserver_port = as_integer(value),
        "docker_volume_size" => template.docker_volume_size = as_integer(value),
        "docker_storage_driver" => template.docker_storage_driver = text(),
        "cluster_distro" => template.cluster_distro = text(),
        "http_proxy" => template.http_proxy = text(),
        "https_proxy" => template.https_proxy = text(),
        "no_proxy" => template.no_proxy = text(),
        "registry_enabled" => template.registry_enabled = flag(),
        "labels" => template.labels = as_dictionary(value).unwrap_or_default(),
        "tls_disabled" => template.tls_disabled = flag(),
        "public" => template.public = flag(),
        "server_type" => template.server_type = text().unwrap_or_default(),
        "insecure_registry" => template.insecure_registry = text(),
        "master_lb_enabled" => template.master_lb_enabled = flag(),
        "floating_ip_enabled" => template.floating_ip_enabled = value.as_bool(),
        "hidden" => template.hidden = flag(),
        "tags" => template.tags = text(),
        "driver" => template.driver = text(),
        // The server's own: never assigned from outside.
        _ => {}
    }
}
