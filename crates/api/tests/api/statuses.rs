//! Which operation may be asked for in which status of a cluster: the whole table.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixtures::{ready_cluster, settle, template};
use crate::support::{Ask, Service};

/// Statuses at rest, and after a change that failed: everything may be asked for.
const CHANGEABLE: [&str; 11] = [
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "RESUME_COMPLETE",
    "RESUME_FAILED",
    "RESTORE_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "SNAPSHOT_COMPLETE",
    "CHECK_COMPLETE",
    "ADOPT_COMPLETE",
];
/// Statuses that only a delete leads out of, and what is said of each.
const FIXED: [(&str, &str); 7] = [
    ("CREATE_IN_PROGRESS", "Wait for the end of what is being done."),
    ("ROLLBACK_IN_PROGRESS", "Wait for the end of what is being done."),
    ("CREATE_FAILED", "Retry the operation that failed, or delete the cluster and make it anew."),
    ("DELETE_IN_PROGRESS", "It is being deleted"),
    ("DELETE_FAILED", "Delete it again."),
    ("DELETE_COMPLETE", "It is being deleted"),
    ("SOMETHING_ELSE", "Bring it to a COMPLETE status first."),
];

/// An operation and how it is asked for.
struct Operation {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: Value,
    accepted: u16,
    /// Whether it may wait behind a change of another node group.
    queues: bool,
    /// What upstream says of it with a 400, where it is not the usual 409; what this driver can't do is said after that.
    upstream: Option<&'static str>,
}

fn operations(template: &str) -> Vec<Operation> {
    let patch = |path: &str, value: i32| json!([{"op": "replace", "path": path, "value": value}]);
    let operation = |name, method, path, body, accepted, queues| Operation {
        name,
        method,
        path,
        body,
        accepted,
        queues,
        upstream: None,
    };
    vec![
        operation("update", "PATCH", "/v1/clusters/CLUSTER", patch("/node_count", 3), 202, false),
        operation("resize", "POST", "/v1/clusters/CLUSTER/actions/resize", json!({"node_count": 3}), 202, true),
        operation(
            "replace a node",
            "POST",
            "/v1/clusters/CLUSTER/actions/resize",
            json!({"node_count": 2, "nodes_to_remove": ["c-worker-0"]}),
            202,
            true,
        ),
        operation("nodegroup create", "POST", "/v1/clusters/CLUSTER/nodegroups", json!({"name": "new"}), 202, true),
        operation(
            "nodegroup update",
            "PATCH",
            "/v1/clusters/CLUSTER/nodegroups/extra",
            patch("/max_node_count", 9),
            202,
            true,
        ),
        operation("nodegroup delete", "DELETE", "/v1/clusters/CLUSTER/nodegroups/extra", json!(null), 204, true),
        Operation {
            upstream: Some("Upgrading a cluster when status is"),
            ..operation(
                "upgrade",
                "POST",
                "/v1/clusters/CLUSTER/actions/upgrade",
                json!({"cluster_template": template}),
                202,
                false,
            )
        },
        Operation {
            upstream: Some("Updating a cluster when status is"),
            ..operation("rotate the authority", "PATCH", "/v1/certificates/CLUSTER", json!(null), 400, false)
        },
        Operation {
            upstream: Some("Rotating the credential of a cluster when status is"),
            ..operation("rotate the credential", "PATCH", "/v1/credentials/CLUSTER", json!(null), 400, true)
        },
        operation("delete", "DELETE", "/v1/clusters/CLUSTER", json!(null), 204, true),
    ]
}

#[tokio::test]
async fn each_operation_may_be_asked_for_in_these_statuses() {
    let service = Service::start().await;
    let own = template(&service, "alice", "t").await;
    let cluster = ready_cluster(&service, "alice", "c", &own).await;
    let path = format!("/v1/clusters/{cluster}/nodegroups");
    service.post("alice", &path, json!({"name": "extra", "node_count": 1})).await.expect(202);
    settle(&service, &cluster, magnum_domain::ClusterStatus::UpdateComplete).await;
    service.store.reconcile_nodes(Uuid::parse_str(&cluster).unwrap(), &[]).await.unwrap();
    let changeable = CHANGEABLE.iter().map(|status| (*status, ""));
    let statuses = changeable.chain([("UPDATE_IN_PROGRESS", "Wait for the end of what is being done.")]).chain(FIXED);
    for (status, way_out) in statuses {
        for operation in operations(&own) {
            let reset = format!(
                "DELETE FROM conductor_operation; DELETE FROM nodegroup WHERE name = 'new'; \
                 UPDATE nodegroup SET status = 'CREATE_COMPLETE', max_node_count = NULL; \
                 UPDATE nodegroup SET node_count = 2 WHERE name = 'default-worker'; \
                 UPDATE cluster SET status = '{status}'"
            );
            service.execute(&reset).await;
            let before = service.dump().await;
            let mut ask = Ask::new(operation.method, &operation.path.replace("CLUSTER", &cluster)).user("alice");
            if !operation.body.is_null() {
                ask = ask.json(&operation.body);
            }
            let answer = service.send(ask.build()).await;
            let what = format!("{} in {status}: {} {}", operation.name, answer.status, answer.text);
            let is_allowed = operation.name == "delete"
                || CHANGEABLE.contains(&status)
                || (operation.queues && status == "UPDATE_IN_PROGRESS");
            if is_allowed {
                assert_eq!(answer.status.as_u16(), operation.accepted, "{what}");
                assert!(!answer.detail().contains("when status is"), "{what}");
                continue;
            }
            match operation.upstream {
                Some(words) => {
                    assert_eq!(answer.status.as_u16(), 400, "{what}");
                    assert!(answer.detail().contains(words) && answer.detail().contains(status), "{what}");
                }
                None => {
                    assert_eq!(answer.status.as_u16(), 409, "{what}");
                    let words = format!("The cluster is {status}, which does not allow this. {way_out}");
                    assert!(answer.detail().starts_with(&words), "{what}");
                }
            }
            assert!(service.dump().await == before, "{what}: something was changed");
        }
    }
}
