//! Decisions against those recorded from upstream engine on upstream's rules.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use magnum_domain::caller::Caller;
use magnum_policy::{Options, Policy, Target, default_rules};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Who {
    #[serde(default)]
    who: String,
    user_id: String,
    #[serde(default)]
    user_name: String,
    project_id: String,
    #[serde(default)]
    user_domain_id: String,
    roles: Vec<String>,
    #[serde(default)]
    is_admin: bool,
}

impl Who {
    fn caller(&self) -> Caller {
        Caller {
            user_id: self.user_id.clone(),
            user_name: self.user_name.clone(),
            user_domain_id: self.user_domain_id.clone(),
            project_id: Some(self.project_id.clone()),
            roles: self.roles.clone(),
            is_admin: self.is_admin,
            ..Caller::default()
        }
    }
}

#[derive(Deserialize)]
struct Matrix {
    callers: Vec<Who>,
    /// Rule to one letter per caller (Y allowed), with only the newer defaults and with the older ones as well.
    decisions: BTreeMap<String, [String; 2]>,
}

/// Rules that the recorded release does not have, with what they must decide.
const NOT_RECORDED: &[(&str, [&str; 2])] = &[
    ("admin_api", ["YYY.........", "YYY........."]),
    ("admin_or_project_member_cluster_user", ["YYY.........", "YYY........."]),
    ("admin_or_user_or_cluster_user", ["YYYYYYY....Y", "YYYYYYY....Y"]),
    ("cluster:cancel_operation", ["YYYYY..Y....", "YYYYYYYYYY.."]),
    ("cluster:get_events", ["YYYY.Y.YY...", "YYYYYYYYYY.."]),
    ("cluster:get_operations", ["YYYY.Y.YY...", "YYYYYYYYYY.."]),
    ("cluster:retry_operation", ["YYYYY..Y....", "YYYYYYYYYY.."]),
    ("cluster_user", ["............", "............"]),
    ("deny_cluster_user", ["YYYYYYYYYYYY", "YYYYYYYYYYYY"]),
    ("user_or_cluster_user", ["...YYYY....Y", "...YYYY....Y"]),
];

/// Rules by the names of before 1.11, and those of today that they follow.
const OLDER_NAMES: [(&str, &str); 2] = [("bay", "cluster"), ("baymodel", "clustertemplate")];

#[test]
fn every_rule_for_every_role_as_recorded() {
    let mut matrix: Matrix = serde_json::from_str(include_str!("data/matrix.json")).unwrap();
    for (rule, decisions) in NOT_RECORDED {
        let earlier = matrix.decisions.insert((*rule).to_owned(), decisions.map(ToOwned::to_owned));
        assert!(earlier.is_none(), "{rule} is recorded after all");
    }
    for (older, today) in OLDER_NAMES {
        for verb in ["create", "delete", "detail", "get", "get_all", "publish", "update"] {
            let followed = matrix.decisions.get(&format!("{today}:{verb}")).cloned();
            assert!(followed.is_some() || (today, verb) == ("cluster", "publish"), "{today}:{verb}");
            matrix.decisions.extend(followed.map(|decisions| (format!("{older}:{verb}"), decisions)));
        }
    }
    let known: BTreeSet<&str> = default_rules().unwrap().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(known, matrix.decisions.keys().map(String::as_str).collect(), "rules here and there");

    for (column, enforce_new_defaults) in [(0, true), (1, false)] {
        let policy = Policy::load(Options { enforce_new_defaults, ..Options::default() }).unwrap();
        for (rule, recorded) in &matrix.decisions {
            for (who, letter) in matrix.callers.iter().zip(recorded[column].chars()) {
                let mut caller = who.caller();
                caller.is_admin = policy.is_admin(&caller);
                let target = Target::owned("p1", "u1");
                let explained = policy.explain(rule, &caller, &target);
                assert_eq!(explained.allowed, letter == 'Y', "new: {enforce_new_defaults}, {}: {explained}", who.who);
                assert_eq!(policy.enforce(rule, &caller, &target).is_ok(), explained.allowed, "{rule}");
            }
        }
    }
}

#[derive(Deserialize)]
struct Language {
    other_rules: BTreeMap<String, String>,
    callers: Vec<Who>,
    targets: Vec<BTreeMap<String, String>>,
    decisions: Vec<(Value, String)>,
}

#[test]
fn every_expression_as_recorded() {
    let language: Language = serde_json::from_str(include_str!("data/language.json")).unwrap();
    assert!(language.decisions.len() > 300);
    let mut rules = serde_json::Map::new();
    rules.extend(language.other_rules.iter().map(|(name, check)| (name.clone(), json!(check))));
    for (number, (check, _)) in language.decisions.iter().enumerate() {
        rules.insert(format!("case {number}"), check.clone());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    std::fs::write(&file, Value::Object(rules).to_string()).unwrap();
    let policy = Policy::load(Options { file: Some(file), ..Options::default() }).unwrap();

    for (number, (check, recorded)) in language.decisions.iter().enumerate() {
        let mut letters = String::new();
        let mut explained = String::new();
        for who in &language.callers {
            for attributes in &language.targets {
                let target = attributes.iter().fold(Target::default(), |target, (key, value)| target.with(key, value));
                let explanation = policy.explain(&format!("case {number}"), &who.caller(), &target);
                letters.push(if explanation.allowed { 'Y' } else { '.' });
                explained += &explanation.to_string();
            }
        }
        assert_eq!(&letters, recorded, "{check}\n{explained}");
    }
}
