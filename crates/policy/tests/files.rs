//! Overrides from files: which count, how they are reported, and that changes are taken over.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use magnum_domain::caller::Caller;
use magnum_policy::{LoadError, Options, Origin, Policy, RemoteCheck, Severity, Target};
use rstest::rstest;
use tempfile::TempDir;

fn member() -> Caller {
    Caller {
        user_id: "u1".into(),
        project_id: Some("p1".into()),
        roles: vec!["member".into(), "reader".into()],
        ..Caller::default()
    }
}

fn allowed(policy: &Policy, rule: &str) -> bool {
    let caller = member();
    policy.enforce(rule, &caller, &Target::caller(&caller)).is_ok()
}

fn options(folder: &Path) -> Options {
    Options { file: Some(folder.join("policy.yaml")), folders: vec![folder.join("policy.d")], ..Options::default() }
}

fn load(text: &str, change: impl FnOnce(&mut Options)) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), text).unwrap();
    let mut options = options(folder.path());
    change(&mut options);
    Policy::load(options).unwrap()
}

#[test]
fn the_words_of_a_denial_are_upstreams() {
    let caller = member();
    let denied = Policy::defaults().enforce("quota:create", &caller, &Target::caller(&caller)).unwrap_err();
    assert_eq!(denied.to_string(), "Policy doesn't allow quota:create to be performed.");
}

#[test]
fn missing_files_are_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let policy = Policy::load(options(folder.path())).unwrap();
    assert!(allowed(&policy, "cluster:create"));
    assert!(policy.problems().is_empty());
}

#[test]
fn the_built_in_rules_have_no_problems() {
    assert_eq!(Policy::load(Options::default()).unwrap().problems(), []);
    assert_eq!(Policy::load(Options { enforce_new_defaults: false, ..Options::default() }).unwrap().problems(), []);
}

#[rstest]
#[case::text("'quota:create': ''", "quota:create", true)]
#[case::lists("'quota:create': [[role:member]]", "quota:create", true)]
#[case::denied("'cluster:create': '!'", "cluster:create", false)]
#[case::base_rule("project_member: role:other", "cluster:create", false)]
#[case::own_rule("mine: '@'\n'quota:create': rule:mine", "quota:create", true)]
#[case::not_understood("'cluster:create': 'role:member and'", "cluster:create", false)]
#[case::null("'cluster:create':", "cluster:create", false)]
#[case::number("'cluster:create': 1", "cluster:create", false)]
#[case::unknown_is_denied("", "pod:create", false)]
#[case::unknown_falls_back("default: '@'", "pod:create", true)]
#[case::reference_falls_back("default: '@'\n'cluster:create': rule:absent", "cluster:create", true)]
#[case::circle("'cluster:create': rule:a\na: rule:b\nb: rule:a", "cluster:create", false)]
#[case::circle_under_not("'cluster:create': not rule:a\na: not rule:a", "cluster:create", false)]
#[case::circle_not_reached("'cluster:create': role:member or rule:a\na: rule:a", "cluster:create", true)]
fn overrides(#[case] text: &str, #[case] rule: &str, #[case] expected: bool) {
    assert_eq!(allowed(&load(text, |_| {}), rule), expected, "{text}");
}

#[rstest]
#[case::dangling("'cluster:create': role:member and", Severity::Error, "before the end")]
#[case::no_colon("'cluster:create': role:admin or member", Severity::Error, "`member` is not a check")]
#[case::parenthesis("'cluster:create': (role:admin", Severity::Error, "expected `)`")]
#[case::template("'cluster:create': 'role:%(x'", Severity::Error, "`%`")]
#[case::null("'cluster:create':", Severity::Error, "nothing")]
#[case::absent("'cluster:create': rule:absent", Severity::Warning, "no rule `absent`")]
#[case::attribute("'cluster:create': tenant:x", Severity::Warning, "no attribute `tenant`")]
#[case::circle("'cluster:create': rule:cluster:create", Severity::Warning, "itself")]
#[case::unknown("'cluster:creat': role:admin", Severity::Warning, "nothing asks")]
fn problems_are_reported(#[case] text: &str, #[case] severity: Severity, #[case] message: &str) {
    let problems = load(text, |_| {}).problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].severity, severity);
    assert!(problems[0].rule.starts_with("cluster:creat"));
    assert!(problems[0].message.contains(message), "{}", problems[0]);
    assert!(problems[0].to_string().contains("policy.yaml"));
}

#[rstest]
#[case::name_is_upstreams("'rule:admin_or_owner': role:special", "certificate:rotate_ca", true, false)]
#[case::by_either("", "certificate:rotate_ca", false, true)]
#[case::override_wins("admin_or_project_member: role:special", "certificate:rotate_ca", false, false)]
#[case::plain_name_is_another_rule("admin_or_owner: role:special", "certificate:rotate_ca", true, true)]
fn older_defaults(#[case] text: &str, #[case] rule: &str, #[case] new_only: bool, #[case] expected: bool) {
    let policy = load(text, |options| options.enforce_new_defaults = new_only);
    // In the project, but without the role that the newer default wants.
    let caller = Caller { roles: if new_only { vec!["member".into()] } else { Vec::new() }, ..member() };
    assert_eq!(policy.enforce(rule, &caller, &Target::caller(&caller)).is_ok(), expected);
}

#[test]
fn folders_come_after_the_file_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = folder.path().join("policy.d");
    fs::create_dir_all(overrides.join("nested")).unwrap();
    fs::write(folder.path().join("policy.yaml"), "a: rule:main\nb: rule:main\nc: rule:main\n").unwrap();
    fs::write(overrides.join("10.yaml"), "b: rule:ten\nc: rule:ten\n").unwrap();
    fs::write(overrides.join("20.json"), "{\"c\": \"rule:twenty\"}").unwrap();
    fs::write(overrides.join(".hidden.yaml"), "c: rule:hidden\n").unwrap();
    fs::write(overrides.join("nested/30.yaml"), "c: rule:nested\n").unwrap();
    let policy = Policy::load(options(folder.path())).unwrap();
    let listed = policy.list();
    let rule = |name: &str| listed.iter().find(|rule| rule.name == name).unwrap().clone();
    assert_eq!(rule("a").check, "rule:main");
    assert_eq!(rule("b").check, "rule:ten");
    assert_eq!(rule("c").check, "rule:twenty");
    assert_eq!(rule("c").origin, Origin::File(overrides.join("20.json")));
    assert_eq!(rule("cluster:get").origin, Origin::Default);
    assert!(rule("cluster:get").default.is_some_and(|default| default.operations.len() == 1));
}

fn start_with(text: &str) -> (TempDir, Policy) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), text).unwrap();
    let policy = Policy::load(options(folder.path())).unwrap();
    (folder, policy)
}

#[test]
fn changes_are_taken_over() {
    let (folder, policy) = start_with("");
    assert!(!policy.refresh().unwrap());
    fs::write(folder.path().join("policy.yaml"), "'cluster:create': '!'").unwrap();
    assert!(policy.refresh().unwrap());
    assert!(!allowed(&policy, "cluster:create"));
    fs::create_dir(folder.path().join("policy.d")).unwrap();
    fs::write(folder.path().join("policy.d/10.yaml"), "'cluster:create': '@'").unwrap();
    assert!(policy.refresh().unwrap());
    assert!(allowed(&policy, "cluster:create"));
    fs::remove_file(folder.path().join("policy.yaml")).unwrap();
    fs::remove_file(folder.path().join("policy.d/10.yaml")).unwrap();
    assert!(policy.refresh().unwrap());
    assert!(allowed(&policy, "cluster:create"));
}

#[test]
fn enforcing_takes_changes_over_by_itself() {
    let (folder, policy) = start_with("");
    assert!(allowed(&policy, "cluster:create"));
    fs::write(folder.path().join("policy.yaml"), "'cluster:create': '!'").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while allowed(&policy, "cluster:create") {
        assert!(std::time::Instant::now() < deadline, "the change was never noticed");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_malformed_file_leaves_the_rules_as_they_were_and_is_reported_once() {
    let (folder, policy) = start_with("'cluster:create': '!'");
    fs::write(folder.path().join("policy.yaml"), "[not: a mapping").unwrap();
    let error = policy.refresh().unwrap_err();
    assert!(matches!(error, LoadError::Malformed { .. }), "{error}");
    assert!(!policy.refresh().unwrap(), "the same file again");
    assert!(!allowed(&policy, "cluster:create"));
    assert!(allowed(&policy, "cluster:get"));
    assert!(Policy::load(options(folder.path())).is_err(), "at the start there are no earlier rules to keep");
}

#[test]
fn scopes_are_enforced_when_asked_for() {
    let admin = Caller {
        user_id: "root".into(),
        roles: vec!["admin".into()],
        system_scope: Some("all".into()),
        ..Caller::default()
    };
    let target = Target::owned("p1", "u1");
    for (enforce_scope, cluster, quota) in [(false, true, true), (true, false, true)] {
        let policy = Policy::load(Options { enforce_scope, ..Options::default() }).unwrap();
        assert_eq!(policy.enforce("cluster:get", &admin, &target).is_ok(), cluster);
        assert_eq!(policy.enforce("quota:create", &admin, &target).is_ok(), quota, "meant for any scope");
    }
}

#[test]
fn callers_without_a_project_own_nothing() {
    let nobody = Caller { roles: vec!["member".into(), "reader".into()], ..Caller::default() };
    let policy = Policy::defaults();
    for project in ["None", ""] {
        assert!(policy.enforce("cluster:get", &nobody, &Target::owned(project, "u1")).is_err(), "{project:?}");
    }
    assert!(policy.enforce("cluster:create", &nobody, &Target::caller(&nobody)).is_err());
}

struct Answers(Result<bool, String>);

impl RemoteCheck for Answers {
    fn check(&self, address: &str, rule: &str, _: &Caller, _: &Target<'_>) -> Result<bool, String> {
        assert_eq!((address, rule), ("https://policy.example/p1:80", "cluster:create"));
        self.0.clone()
    }
}

#[test]
fn remote_checks_deny_unless_somebody_answers() {
    let text = "'cluster:create': 'https://policy.example/%(project_id)s:80'";
    assert!(!allowed(&load(text, |_| {}), "cluster:create"));
    for (answer, expected) in [(Ok(true), true), (Ok(false), false), (Err("timed out".to_owned()), false)] {
        let policy = load(text, |_| {}).with_remote(Arc::new(Answers(answer)));
        assert_eq!(allowed(&policy, "cluster:create"), expected);
    }
}

#[test]
fn explanations_say_what_was_found() {
    let caller = Caller { roles: vec!["reader".into()], ..member() };
    let text = Policy::defaults().explain("cluster:create", &caller, &Target::owned("p1", "u1")).to_string();
    assert!(text.starts_with("cluster:create: denied\n"), "{text}");
    assert!(text.contains("role:member (the caller's roles are `reader`)"), "{text}");
    assert!(!text.contains("yes") && text.lines().count() == 8, "what cannot matter is not looked at: {text}");
}
