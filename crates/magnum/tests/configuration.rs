//! What a server says of its configuration at the start, and what of it is taken over while it runs: policy files are
//! when they change, and one that is broken changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Client, Server};

/// What is done to the files before a look at the server.
enum Edit {
    Write(&'static str, &'static str),
    /// Written beside it and moved into its place, as tools do.
    Replace(&'static str, &'static str),
    Remove(&'static str),
}

impl Edit {
    fn make(&self, folder: &Path) {
        match self {
            Self::Write(file, text) => std::fs::write(folder.join(file), text).unwrap(),
            Self::Replace(file, text) => {
                let new = folder.join(".new");
                std::fs::write(&new, text).unwrap();
                std::fs::rename(new, folder.join(file)).unwrap();
            }
            Self::Remove(file) => std::fs::remove_file(folder.join(file)).unwrap(),
        }
    }
}

/// Statuses of listing clusters and of listing quotas.
async fn statuses(client: &Client) -> (u16, u16) {
    (client.send("GET", "/v1/clusters", None).await.0, client.send("GET", "/v1/quotas", None).await.0)
}

/// Waits until the server answers as expected: how soon it looks at its files is its own affair.
async fn becomes(client: &Client, expected: (u16, u16), after: &str, server: &Server) {
    let began = Instant::now();
    while statuses(client).await != expected {
        assert!(began.elapsed() < Duration::from_secs(30), "not {expected:?} after {after}:\n{}", server.log_text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn changes_of_policy_files_need_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path();
    std::fs::create_dir(policy.join("policy.d")).unwrap();
    let at = |name: &str| policy.join(name).display().to_string();
    let config = format!("[oslo_policy]\npolicy_file = {}\npolicy_dirs = {}\n", at("policy.yaml"), at("policy.d"));
    std::fs::write(policy.join("magnum.conf"), config).unwrap();
    // A file that is named must be there at the start.
    std::fs::write(policy.join("policy.yaml"), "").unwrap();
    let mut server = Server::new(&policy.join("state"));
    server.extra_arguments = vec!["--config-file".to_owned(), at("magnum.conf")];
    server.start(&[]).await;
    let client = server.login("demo").await;
    assert_eq!(statuses(&client).await, (200, 403), "the defaults");

    let closed = r#""cluster:get_all": "!""#;
    let opened = r#"{"quota:get_all": "role:member", "cluster:get_all": "@"}"#;
    let steps = [
        ("a new main file", Edit::Write("policy.yaml", closed), (403, 403)),
        ("a JSON file over it", Edit::Write("policy.d/20.json", opened), (200, 200)),
        ("a file by an earlier name", Edit::Write("policy.d/10.yaml", closed), (200, 200)),
        ("a file by a later name", Edit::Replace("policy.d/30.yaml", closed), (403, 200)),
        ("the same length, moved there", Edit::Replace("policy.d/30.yaml", r#""cluster:get_all": "@""#), (200, 200)),
        ("the JSON file gone", Edit::Remove("policy.d/20.json"), (200, 403)),
        ("the later one gone", Edit::Remove("policy.d/30.yaml"), (403, 403)),
        ("the earlier one gone", Edit::Remove("policy.d/10.yaml"), (403, 403)),
        ("the main file gone", Edit::Remove("policy.yaml"), (200, 403)),
        ("a deprecated name", Edit::Write("policy.yaml", r#""rule:admin_or_owner": "!""#), (200, 403)),
        ("closed again", Edit::Write("policy.yaml", closed), (403, 403)),
    ];
    for (after, edit, expected) in steps {
        edit.make(policy);
        becomes(&client, expected, after, &server).await;
    }

    // Broken in one file: nothing of it counts, nor of what changed beside it, and the log says where.
    Edit::Write("policy.d/10.yaml", r#""quota:get_all": "@""#).make(policy);
    becomes(&client, (403, 200), "a file that is whole", &server).await;
    Edit::Write("policy.d/20.yaml", "\"cluster:get_all\": [unclosed").make(policy);
    let began = Instant::now();
    while !server.log_text().contains("20.yaml") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", server.log_text());
        assert_eq!(statuses(&client).await, (403, 200), "the rules from before hold");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(server.log_text().contains("keeping the policies that were in force"), "{}", server.log_text());
    assert_eq!(statuses(&client).await, (403, 200));
    Edit::Remove("policy.d/20.yaml").make(policy);
    Edit::Remove("policy.yaml").make(policy);
    becomes(&client, (200, 200), "the broken one gone", &server).await;

    // Requests during a change see the old rules or the new ones, never none.
    let writer = {
        let policy = policy.to_owned();
        tokio::task::spawn_blocking(move || {
            for round in 0..40 {
                let text = if round % 2 == 0 { closed } else { r#""cluster:get_all": "@""# };
                Edit::Replace("policy.yaml", text).make(&policy);
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    };
    while !writer.is_finished() {
        let (clusters, quotas) = statuses(&client).await;
        assert!(matches!(clusters, 200 | 403) && quotas == 200, "{clusters} {quotas}");
    }
    writer.await.unwrap();
    let (status, body) = client.send("POST", "/v1/clusters", Some(json!({"cluster_template_id": "none"}))).await;
    assert_eq!(status, 404, "{body}");
}

#[tokio::test]
async fn options_without_effect_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("magnum.conf");
    let text = "[api]\nmax_limt = 5\nworkers = 4\n[trust]\nroles = a\ntrustee_domain_id = b\n[databse]\nbackend = x\n";
    std::fs::write(&config, text).unwrap();
    let mut server = Server::new(&folder.path().join("state"));
    server.extra_arguments = vec!["--config-file".to_owned(), config.display().to_string()];
    server.start(&[]).await;
    let log = server.log_text();
    for line in [
        "[api] max_limt is not an option that anything reads; did you mean max_limit?",
        "[api] workers has no effect here",
        "[trust] has no effect here",
        "[databse] is not a group that anything reads; did you mean [database]?",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line} in:\n{log}");
    }
}
