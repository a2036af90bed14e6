//! What is asked in a soak: one row for each kind of request, with how often, in which state, and what may be answered.
//!
//! `{words}` of paths and bodies are filled in by the worker that asks (`worker.rs`).

/// In which state of the asker's things a request makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// A template that no cluster is made from.
    Template,
    /// No cluster, and room for one on the machine.
    Room,
    /// A cluster, whatever it does; it may vanish meanwhile if it is being deleted.
    Cluster,
    /// A cluster that nothing is done to.
    Settled,
    /// The same with a node group of the asker's own.
    Group,
    /// The same without one.
    NoGroup,
    /// A cluster that something other than its deletion is done to.
    Busy,
    /// A cluster whose last operation has failed or was cancelled.
    Failed,
    /// A quota of the asker's other project.
    Quota,
    NoQuota,
    /// A user that the asker has made.
    User,
}

/// What is different afterwards, if the request is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    TemplateMade,
    TemplateRenamed,
    TemplateGone,
    ClusterMade,
    ClusterGone,
    /// The default workers are `{count}`.
    Resized,
    GroupMade,
    GroupResized,
    GroupGone,
    /// An operation on the cluster that leaves its counts.
    Operation,
    /// The newest operation is stopped.
    Cancelled,
    /// The newest operation is begun again.
    Retried,
    QuotaMade,
    QuotaChanged,
    QuotaGone,
    UserMade,
    UserGone,
    /// The asker has another token.
    LoggedIn,
    /// The asker's token is worth nothing any more.
    LoggedOut,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Without a token.
    Nobody,
    /// With a token that nobody was given.
    Forger,
    Member,
    Admin,
}

/// A kind of request.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// How often, beside the others that make sense at that moment.
    pub(super) weight: usize,
    pub(super) who: Who,
    pub(super) needs: Needs,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Empty for none.
    pub(super) body: &'static str,
    /// A header in place of the usual one, or beside it.
    pub(super) header: Option<(&'static str, &'static str)>,
    /// What may be answered. The first is what an accepted request is answered with.
    pub(super) expect: &'static [u16],
    pub(super) effect: Effect,
}

impl Kind {
    /// Whether asking leaves everything as it is.
    pub(super) fn is_safe(&self) -> bool {
        self.effect == Effect::Nothing
    }
}

/// A request that changes nothing.
const fn read(
    name: &'static str,
    weight: usize,
    who: Who,
    needs: Needs,
    path: &'static str,
    expect: &'static [u16],
) -> Kind {
    let (method, body, header, effect) = ("GET", "", None, Effect::Nothing);
    Kind { name, weight, who, needs, method, path, body, header, expect, effect }
}

/// A request of a member that is refused, and changes nothing.
const fn refused(
    name: &'static str,
    needs: Needs,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    expect: &'static [u16],
) -> Kind {
    let (weight, who, header, effect) = (6, Who::Member, None, Effect::Nothing);
    Kind { name, weight, who, needs, method, path, body, header, expect, effect }
}

/// A request that changes something.
#[expect(clippy::too_many_arguments, reason = "they are the columns of the table below")]
const fn change(
    name: &'static str,
    weight: usize,
    who: Who,
    needs: Needs,
    effect: Effect,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    expect: &'static [u16],
) -> Kind {
    Kind { name, weight, who, needs, method, path, body, header: None, expect, effect }
}

/// The same as `kind`, with this header.
const fn with(kind: Kind, header: &'static str, value: &'static str) -> Kind {
    Kind { header: Some((header, value)), ..kind }
}

const VERSION: &str = "OpenStack-API-Version";

use Needs::{Busy, Cluster, Failed, Group, NoGroup, NoQuota, Nothing, Quota, Room, Settled, Template, User};
use Who::{Admin, Forger, Member, Nobody};

/// All of them.
#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    // What anybody may see, and what nobody may.
    read("versions", 4, Nobody, Nothing, "/", &[200]),
    read("health check", 6, Nobody, Nothing, "/healthcheck", &[200]),
    read("document of the API", 1, Nobody, Nothing, "/openapi.json", &[200]),
    read("metrics", 2, Nobody, Nothing, "/metrics", &[200]),
    read("no token", 6, Nobody, Nothing, "/v1/clusters", &[401]),
    read("forged token", 6, Forger, Nothing, "/v1/clusters", &[401]),
    read("no such page", 4, Member, Nothing, "/v1/nonsense", &[404]),
    with(read("version that is not spoken", 4, Member, Nothing, "/v1/clusters", &[406]), VERSION, "container-infra 9.9"),

    // Lists and shows.
    read("list templates", 40, Member, Nothing, "/v1/clustertemplates", &[200]),
    read("list templates, a page", 15, Member, Nothing, "/v1/clustertemplates?limit=2&sort_key=name&sort_dir=desc", &[200]),
    read("list templates in detail", 15, Member, Nothing, "/v1/clustertemplates/detail", &[200]),
    read("show template", 30, Member, Nothing, "/v1/clustertemplates/{base}", &[200]),
    read("show template by name", 15, Member, Template, "/v1/clustertemplates/{template_name}", &[200]),
    read("show missing template", 8, Member, Nothing, "/v1/clustertemplates/{missing}", &[404]),
    read("show another project's template", 8, Member, Nothing, "/v1/clustertemplates/{foreign}", &[404]),
    read("list clusters", 50, Member, Nothing, "/v1/clusters", &[200]),
    read("list clusters in detail", 20, Member, Nothing, "/v1/clusters/detail", &[200]),
    read("list everybody's clusters", 10, Admin, Nothing, "/v1/clusters", &[200]),
    with(read("list clusters, oldest version", 6, Member, Nothing, "/v1/clusters", &[200]), VERSION, "container-infra 1.1"),
    read("list with a bad limit", 5, Member, Nothing, "/v1/clusters?limit=-1", &[400]),
    read("list with a bad sort key", 5, Member, Nothing, "/v1/clusters?sort_key=nonsense", &[400]),
    with(read("list bays", 4, Member, Nothing, "/v1/bays", &[200]), VERSION, "container-infra 1.1"),
    with(read("list bay models", 4, Member, Nothing, "/v1/baymodels", &[200]), VERSION, "container-infra 1.1"),
    read("list federations", 3, Member, Nothing, "/v1/federations", &[200]),
    read("show cluster", 40, Member, Cluster, "/v1/clusters/{cluster}", &[200]),
    read("show cluster by name", 20, Member, Cluster, "/v1/clusters/{cluster_name}", &[200]),
    read("show missing cluster", 8, Member, Nothing, "/v1/clusters/{missing}", &[404]),
    read("list node groups", 20, Member, Cluster, "/v1/clusters/{cluster}/nodegroups", &[200]),
    read("show node group", 15, Member, Cluster, "/v1/clusters/{cluster}/nodegroups/default-worker", &[200]),
    read("list nodes", 20, Member, Cluster, "/v1/clusters/{cluster}/nodes", &[200]),
    read("list events", 20, Member, Cluster, "/v1/clusters/{cluster}/events", &[200]),
    read("list operations", 20, Member, Cluster, "/v1/clusters/{cluster}/operations", &[200]),
    read("show missing operation", 4, Member, Cluster, "/v1/clusters/{cluster}/operations/{missing}", &[404]),
    read("show certificate", 15, Member, Settled, "/v1/certificates/{cluster}", &[200]),
    read("count", 10, Member, Nothing, "/v1/stats?project_id={project}", &[200]),
    read("list services", 6, Admin, Nothing, "/v1/mservices", &[200]),
    read("list services as a member", 4, Member, Nothing, "/v1/mservices", &[403]),

    // Templates.
    change("create template", 35, Member, Nothing, Effect::TemplateMade, "POST", "/v1/clustertemplates",
        r#"{"name": "{name}", "coe": "swarm-mode", "image_id": "local", "external_network_id": "public", "network_driver": "docker", "labels": {"availability_zone": "one"}}"#, &[201]),
    change("rename template", 15, Member, Template, Effect::TemplateRenamed, "PATCH", "/v1/clustertemplates/{template}",
        r#"[{"op": "replace", "path": "/name", "value": "{name}"}]"#, &[200]),
    change("delete template", 25, Member, Template, Effect::TemplateGone, "DELETE", "/v1/clustertemplates/{template}", "", &[204]),
    refused("create template without engine", Nothing, "POST", "/v1/clustertemplates", r#"{"name": "{name}", "image_id": "local", "external_network_id": "public"}"#, &[400]),
    refused("create template of an odd engine", Nothing, "POST", "/v1/clustertemplates", r#"{"name": "{name}", "coe": "nonsense", "image_id": "local", "external_network_id": "public"}"#, &[400]),
    refused("create template with an odd field", Nothing, "POST", "/v1/clustertemplates", r#"{"name": "{name}", "coe": "swarm-mode", "image_id": "local", "external_network_id": "public", "nonsense": 1}"#, &[400]),
    refused("create template, broken body", Nothing, "POST", "/v1/clustertemplates", r#"{"name": "#, &[400]),
    refused("change an odd field of a template", Nothing, "PATCH", "/v1/clustertemplates/{base}", r#"[{"op": "replace", "path": "/nonsense", "value": 1}]"#, &[400]),
    refused("delete template in use", Cluster, "DELETE", "/v1/clustertemplates/{base}", "", &[400, 409]),
    refused("delete another project's template", Nothing, "DELETE", "/v1/clustertemplates/{foreign}", "", &[403, 404]),

    // Clusters.
    change("create cluster", 70, Member, Room, Effect::ClusterMade, "POST", "/v1/clusters",
        r#"{"name": "{name}", "cluster_template_id": "{base}", "master_count": 1, "node_count": {count}, "create_timeout": 15}"#, &[202]),
    change("delete cluster", 4, Member, Settled, Effect::ClusterGone, "DELETE", "/v1/clusters/{cluster}", "", &[204]),
    change("delete busy cluster", 1, Member, Busy, Effect::ClusterGone, "DELETE", "/v1/clusters/{cluster}", "", &[204]),
    change("delete failed cluster", 400, Member, Failed, Effect::ClusterGone, "DELETE", "/v1/clusters/{cluster}", "", &[204]),
    Kind { method: "POST", body: r#"{"name": "{name}", "cluster_template_id": "{base}", "node_count": 3}"#,
        ..read("create cluster, dry", 15, Member, Nothing, "/v1/clusters?dry_run=true", &[200]) },
    refused("create cluster without template", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}"}"#, &[400]),
    refused("create cluster of a missing template", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}", "cluster_template_id": "{missing}"}"#, &[400, 404]),
    refused("create cluster of another project's template", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}", "cluster_template_id": "{foreign}"}"#, &[400, 404]),
    refused("create cluster with two masters", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}", "cluster_template_id": "{base}", "master_count": 2}"#, &[400]),
    refused("create cluster with fewer than no workers", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}", "cluster_template_id": "{base}", "node_count": -1}"#, &[400]),
    refused("create cluster beyond any bound", Nothing, "POST", "/v1/clusters", r#"{"name": "{name}", "cluster_template_id": "{base}", "node_count": 2147483647}"#, &[400, 403, 409]),
    refused("delete missing cluster", Nothing, "DELETE", "/v1/clusters/{missing}", "", &[404]),

    // Sizes.
    change("resize", 8, Member, Settled, Effect::Resized, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{"node_count": {count}}"#, &[202]),
    change("patch node count", 4, Member, Settled, Effect::Resized, "PATCH", "/v1/clusters/{cluster}", r#"[{"op": "replace", "path": "/node_count", "value": {count}}]"#, &[202]),
    Kind { method: "POST", body: r#"{"node_count": 4}"#,
        ..read("resize, dry", 10, Member, Settled, "/v1/clusters/{cluster}/actions/resize?dry_run=true", &[200]) },
    refused("resize below none", Settled, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{"node_count": -3}"#, &[400]),
    refused("resize beyond any bound", Settled, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{"node_count": 2147483647}"#, &[400, 403, 409]),
    refused("resize without a size", Settled, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{}"#, &[400]),
    refused("patch an odd field", Settled, "PATCH", "/v1/clusters/{cluster}", r#"[{"op": "replace", "path": "/nonsense", "value": 1}]"#, &[400]),
    refused("upgrade to a missing template", Settled, "POST", "/v1/clusters/{cluster}/actions/upgrade", r#"{"cluster_template": "{missing}"}"#, &[400, 404]),
    change("resize while busy", 3, Member, Busy, Effect::Resized, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{"node_count": {count}}"#, &[202, 409]),

    // Node groups.
    change("create node group", 5, Member, NoGroup, Effect::GroupMade, "POST", "/v1/clusters/{cluster}/nodegroups", r#"{"name": "extra", "node_count": 1, "min_node_count": 0, "max_node_count": 3}"#, &[202]),
    change("resize node group", 4, Member, Group, Effect::GroupResized, "POST", "/v1/clusters/{cluster}/actions/resize", r#"{"node_count": {count}, "nodegroup": "extra"}"#, &[202]),
    change("patch node group", 3, Member, Group, Effect::Operation, "PATCH", "/v1/clusters/{cluster}/nodegroups/extra", r#"[{"op": "replace", "path": "/max_node_count", "value": 4}]"#, &[202]),
    change("delete node group", 5, Member, Group, Effect::GroupGone, "DELETE", "/v1/clusters/{cluster}/nodegroups/extra", "", &[204]),
    refused("delete default workers", Settled, "DELETE", "/v1/clusters/{cluster}/nodegroups/default-worker", "", &[400]),
    refused("create node group without a name", Settled, "POST", "/v1/clusters/{cluster}/nodegroups", r#"{"node_count": 1}"#, &[400]),

    // Certificates; a rotation replaces every node.
    Kind { method: "POST", body: r#"{"cluster_uuid": "{cluster}", "csr": "{csr}"}"#,
        ..read("sign certificate", 10, Member, Settled, "/v1/certificates", &[201]) },
    refused("sign nonsense", Settled, "POST", "/v1/certificates", r#"{"cluster_uuid": "{cluster}", "csr": "nonsense"}"#, &[400]),
    change("rotate certificate authority", 1, Member, Settled, Effect::Operation, "PATCH", "/v1/certificates/{cluster}", "", &[202]),

    // Operations.
    change("cancel operation", 1, Member, Busy, Effect::Cancelled, "POST", "/v1/clusters/{cluster}/operations/{operation}/cancel", "", &[202, 409]),
    change("retry operation", 200, Member, Failed, Effect::Retried, "POST", "/v1/clusters/{cluster}/operations/{operation}/retry", "", &[202, 409]),

    // Quotas of a project without clusters.
    read("list quotas", 6, Admin, Nothing, "/v1/quotas?all_tenants=true", &[200]),
    read("show quota", 8, Member, Nothing, "/v1/quotas/{project}/Cluster", &[200]),
    change("create quota", 6, Admin, NoQuota, Effect::QuotaMade, "POST", "/v1/quotas", r#"{"project_id": "{other_project}", "resource": "Cluster", "hard_limit": {limit}}"#, &[201]),
    change("change quota", 5, Admin, Quota, Effect::QuotaChanged, "PATCH", "/v1/quotas/{other_project}/Cluster", r#"{"project_id": "{other_project}", "resource": "Cluster", "hard_limit": {limit}}"#, &[202]),
    change("delete quota", 4, Admin, Quota, Effect::QuotaGone, "DELETE", "/v1/quotas/{other_project}/Cluster", "", &[204]),
    refused("create quota as a member", Nothing, "POST", "/v1/quotas", r#"{"project_id": "{other_project}", "resource": "Cluster", "hard_limit": 99}"#, &[403]),

    // The built-in identity.
    change("log in", 8, Member, Nothing, Effect::LoggedIn, "POST", "/identity/v3/auth/tokens", "", &[201]),
    change("log out", 2, Member, Nothing, Effect::LoggedOut, "DELETE", "/identity/v3/auth/tokens", "", &[204]),
    Kind { method: "POST", body: r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "{name}", "domain": {"id": "default"}, "password": "wrong"}}}}}"#,
        ..read("log in as nobody", 3, Nobody, Nothing, "/identity/v3/auth/tokens", &[401, 429]) },
    Kind { method: "POST", body: r#"{"auth": {}}"#, ..read("log in without a name", 3, Nobody, Nothing, "/identity/v3/auth/tokens", &[400]) },
    with(read("check token", 10, Member, Nothing, "/identity/v3/auth/tokens", &[200]), "X-Subject-Token", "{token}"),
    read("list own projects", 5, Member, Nothing, "/identity/v3/auth/projects", &[200]),
    read("list users", 5, Admin, Nothing, "/identity/v3/users", &[200]),
    read("list users as a member", 4, Member, Nothing, "/identity/v3/users", &[403]),
    change("create user", 3, Admin, Nothing, Effect::UserMade, "POST", "/identity/v3/users", r#"{"user": {"name": "{name}", "password": "a-long-password-{name}"}}"#, &[201]),
    change("delete user", 3, Admin, User, Effect::UserGone, "DELETE", "/identity/v3/users/{user}", "", &[204]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_says_what_is_right() {
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.weight > 0 && !kind.expect.is_empty(), "{}", kind.name);
            assert!(kind.expect.iter().all(|status| (200..500).contains(status)), "{}", kind.name);
            let accepted = kind.expect.first().is_some_and(|status| *status < 300);
            assert!(kind.is_safe() || accepted, "{} changes something and is never accepted", kind.name);
        }
    }

    #[test]
    fn what_a_path_speaks_of_is_there() {
        for kind in KINDS {
            let text = format!("{}{}", kind.path, kind.body);
            let wants = |word: &str| text.contains(word);
            let has_cluster = matches!(kind.needs, Cluster | Settled | Group | NoGroup | Busy | Failed);
            assert!(!wants("{cluster}") || has_cluster, "{}", kind.name);
            assert!(!wants("{operation}") || has_cluster, "{}", kind.name);
            assert!(!wants("{template}") || kind.needs == Template, "{}", kind.name);
            assert!(!wants("{user}") || kind.needs == User, "{}", kind.name);
        }
    }
}
