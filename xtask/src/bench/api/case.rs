//! What is asked for, of all three servers alike.

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Upstream, as its documentation deploys it.
    Upstream,
    /// `magnum api`.
    Ours,
    /// Handlers that read and write the same rows and do nothing else.
    Bare,
}

/// What stands in a path for something that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Nothing,
    /// The UUIDs of some clusters, in turn.
    Clusters,
    /// The UUIDs of some templates, in turn.
    Templates,
    /// The UUIDs of some templates that no cluster was made from, which may be changed in every way.
    UnusedTemplates,
}

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    /// `{}` stands for a UUID.
    pub(super) path: &'static str,
    pub(super) of: Of,
    /// Bodies, sent in turn. `{image}` stands for an image that there is, `{kind}` for what it is to be a template of.
    pub(super) bodies: &'static [&'static str],
    pub(super) status: u16,
    /// Requests at the same time.
    pub(super) connections: u16,
    /// How many times as fast as upstream it is to be.
    pub(super) goal: f64,
    /// Whether its slowest answers are looked at, at equal load.
    pub(super) tail: bool,
}

/// A plain read, eight at a time.
const READ: Case = Case {
    name: "",
    method: "GET",
    path: "",
    of: Of::Nothing,
    bodies: &[],
    status: 200,
    connections: 8,
    goal: 40.0,
    tail: false,
};
/// A list, four at a time.
const LIST: Case = Case { connections: 4, goal: 100.0, ..READ };

/// A patch has to change something: this and that in turn.
const PATCHES: [&str; 2] = [
    r#"[{"op": "replace", "path": "/dns_nameserver", "value": "8.8.4.4"}]"#,
    r#"[{"op": "replace", "path": "/dns_nameserver", "value": "8.8.8.8"}]"#,
];
/// The name by which what was made is found and removed again.
pub(super) const NEW_TEMPLATE: &str =
    r#"{"name": "bench-made", {kind}, "image_id": "{image}", "dns_nameserver": "8.8.8.8"}"#;

/// The list of a thousand, also read from the database of twenty thousand.
pub(super) const THOUSAND: &str = "/v1/clusters?limit=1000";

/// Everything that is measured.
pub(super) const CASES: [Case; 8] = [
    Case { name: "show a cluster", path: "/v1/clusters/{}", of: Of::Clusters, tail: true, ..READ },
    Case { name: "show a template", path: "/v1/clustertemplates/{}", of: Of::Templates, tail: true, ..READ },
    Case { name: "node groups of a cluster", path: "/v1/clusters/{}/nodegroups", of: Of::Clusters, ..READ },
    Case { name: "list 100 templates", path: "/v1/clustertemplates?limit=100", tail: true, ..LIST },
    Case { name: "list 20 clusters", path: "/v1/clusters?limit=20", tail: true, ..LIST },
    Case { name: "list 1,000 clusters", path: THOUSAND, connections: 1, ..LIST },
    Case {
        name: "create a template",
        method: "POST",
        path: "/v1/clustertemplates",
        bodies: &[NEW_TEMPLATE],
        status: 201,
        ..READ
    },
    Case {
        name: "patch a template",
        method: "PATCH",
        path: "/v1/clustertemplates/{}",
        of: Of::UnusedTemplates,
        bodies: &PATCHES,
        ..READ
    },
];
