//! What clusters and templates are called: by their names of today, or by those from before 1.11, when they were bays
//! and bay models. The handlers are the same for both.

use axum::http::StatusCode;
use axum::response::Response;
use magnum_store::{Scope, Visibility};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::{ApiError, Result};
use crate::field::{Body, older, table};
use crate::link::BaseUrl;
use crate::microversion::BAYS_GONE;
use crate::patch::Rules;
use crate::view::answer;

/// What one kind of thing is called, and what comes with the name.
pub(crate) struct Vocabulary {
    /// In paths below `/v1`, and the key of lists.
    pub(crate) collection: &'static str,
    /// First part of policy rules.
    resource: &'static str,
    /// Last part of names that are made up.
    pub(crate) suffix: &'static str,
    /// What bodies hold and patches may touch.
    pub(crate) patch: Rules,
    /// What patches may really change.
    pub(crate) changeable: &'static [&'static str],
    /// Fields that have another name: today's, and this one's.
    renamed: &'static [(&'static str, &'static str)],
    /// Whether these are names from before 1.11. Administrators see no more by them than others.
    is_older: bool,
}

/// Clusters. Fields that patches must leave alone: §5.3 of the reference.
pub(crate) static CLUSTERS: Vocabulary = Vocabulary {
    collection: "clusters",
    resource: "cluster",
    suffix: "cluster",
    patch: Rules { fields: &table::CLUSTER, internal: &INTERNAL, mandatory: &["cluster_template_id", "health_status"] },
    changeable: &["node_count", "health_status", "health_status_reason"],
    renamed: &[],
    is_older: false,
};

/// Clusters by their older name.
pub(crate) static BAYS: Vocabulary = Vocabulary {
    collection: "bays",
    resource: "bay",
    suffix: "bay",
    patch: Rules { fields: &older::BAY, internal: &INTERNAL, mandatory: &["baymodel_id"] },
    changeable: &["node_count"],
    renamed: &[
        ("cluster_template_id", "baymodel_id"),
        ("create_timeout", "bay_create_timeout"),
        ("faults", "bay_faults"),
    ],
    is_older: true,
};

const INTERNAL: [&str; 13] = [
    "api_address",
    "node_addresses",
    "master_addresses",
    "stack_id",
    "cluster_id",
    "ca_cert_ref",
    "magnum_cert_ref",
    "etcd_ca_cert_ref",
    "front_proxy_ca_cert_ref",
    "trust_id",
    "trustee_user_name",
    "trustee_password",
    "trustee_user_id",
];

/// Cluster templates. What patches must not remove: §4.3 of the reference.
pub(crate) static TEMPLATES: Vocabulary = Vocabulary {
    collection: "clustertemplates",
    resource: "clustertemplate",
    suffix: "template",
    patch: Rules {
        fields: &table::CLUSTER_TEMPLATE,
        internal: &[],
        mandatory: &[
            "coe",
            "image_id",
            "network_driver",
            "external_network_id",
            "tls_disabled",
            "public",
            "server_type",
            "registry_enabled",
            "cluster_distro",
            "hidden",
        ],
    },
    changeable: &[],
    renamed: &[],
    is_older: false,
};

/// Templates by their older name.
pub(crate) static BAY_MODELS: Vocabulary = Vocabulary {
    collection: "baymodels",
    resource: "baymodel",
    suffix: "model",
    patch: Rules {
        fields: &older::BAY_MODEL,
        internal: &[],
        mandatory: &[
            "coe",
            "image_id",
            "keypair_id",
            "network_driver",
            "external_network_id",
            "tls_disabled",
            "public",
            "server_type",
            "registry_enabled",
            "cluster_distro",
            "hidden",
        ],
    },
    changeable: &[],
    renamed: &[],
    is_older: true,
};

impl Vocabulary {
    /// Refuses names from before 1.11 from then on, as if there were no such path.
    pub(crate) fn known_at(&self, context: &Context) -> Result<()> {
        if self.is_older && context.version >= BAYS_GONE {
            return Err(ApiError::NoPath { is_get: context.is_get });
        }
        Ok(())
    }

    /// Whether these are names from before 1.11.
    pub(crate) fn is_older(&self) -> bool {
        self.is_older
    }

    /// The policy rule for something that is done.
    pub(crate) fn rule(&self, verb: &str) -> String {
        format!("{}:{verb}", self.resource)
    }

    /// Asks the policy about something that is no object yet.
    pub(crate) fn may(&self, context: &Context, verb: &str) -> Result<()> {
        context.may(&self.rule(verb))
    }

    /// Whose clusters a request is about.
    pub(crate) fn scope(&self, context: &Context, verb: &str) -> Result<Scope> {
        match self.is_older {
            true => context.own(),
            false => context.scope(&format!("{}:{verb}_all_projects", self.resource)),
        }
    }

    /// Which templates a request is about.
    pub(crate) fn templates(&self, context: &Context, verb: &str) -> Result<Visibility> {
        match self.is_older {
            true => Ok(context.usable_templates()),
            false => context.templates(&format!("{}:{verb}_all_projects", self.resource)),
        }
    }

    /// Path of the collection, or of something in it.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/{}{rest}", self.collection)
    }

    /// A body under today's names.
    pub(crate) fn todays(&self, mut body: Body) -> Body {
        for (today, older) in self.renamed {
            body.rename(older, today);
        }
        body
    }

    /// Today's name of a field.
    pub(crate) fn today<'a>(&self, name: &'a str) -> &'a str {
        self.renamed.iter().find(|(_, older)| *older == name).map_or(name, |(today, _)| today)
    }

    /// What a field of today is called, if it is shown at all.
    pub(crate) fn name<'a>(&'a self, today: &'a str) -> Option<&'a str> {
        let name = self.renamed.iter().find(|(known, _)| *known == today).map_or(today, |(_, name)| name);
        self.patch.fields.field(name).map(|_| name)
    }

    /// What is shown of something: its view of today, or what the older table has of it.
    pub(crate) fn shown(&self, view: &impl Serialize, base: &BaseUrl) -> Result<Map<String, Value>> {
        let Ok(Value::Object(members)) = serde_json::to_value(view) else {
            return Err(ApiError::Internal(format!("a {} is no JSON object", self.resource)));
        };
        if !self.is_older {
            return Ok(members);
        }
        let uuid = members.get("uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut members: Map<String, Value> =
            members.into_iter().filter_map(|(today, value)| Some((self.name(&today)?.to_owned(), value))).collect();
        let place = format!("{}/{uuid}", self.collection);
        let links = serde_json::json!([
            {"href": base.join(&format!("/v1/{place}")), "rel": "self"},
            {"href": base.join(&format!("/{place}")), "rel": "bookmark"},
        ]);
        members.insert("links".to_owned(), links);
        Ok(members)
    }

    /// A list under its older name.
    pub(crate) fn older_list<V: Serialize>(
        &self,
        views: impl Iterator<Item = V>,
        next: Option<String>,
        base: &BaseUrl,
    ) -> Result<Response> {
        let items = views.map(|view| self.shown(&view, base).map(Value::Object)).collect::<Result<Vec<_>>>()?;
        let mut list = Map::from_iter([(self.collection.to_owned(), Value::Array(items))]);
        list.extend(next.map(|next| ("next".to_owned(), Value::String(next))));
        answer(StatusCode::OK, &list)
    }
}
