//! The tables of the built-in identity service.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use chrono::SubsecRound;
use common::Database;
use futures::future::join_all;
use magnum_store::identity::{
    ApplicationCredential, Extra, FirstStart, Grant, GrantFilter, GrantScope, IdentityTables, ListPage, PasswordHash,
    Project, ProjectChange, ProjectFilter, Role, RoleChange, Token, User, UserChange, UserFilter,
};
use magnum_store::{Store, StoreError};
use serde_json::json;

fn user(name: &str) -> User {
    User {
        id: format!("user-{name}"),
        name: name.to_owned(),
        enabled: true,
        password_hash: Some(PasswordHash::new(format!("$argon2id${name}"))),
        default_project_id: None,
        epoch: 0,
        extra: Extra::from_iter([("email".to_owned(), json!("ä\u{0}𝄞"))]),
        created_at: magnum_domain::now(),
    }
}

fn project(name: &str) -> Project {
    Project {
        id: format!("project-{name}"),
        name: name.to_owned(),
        description: "Für 𝄞".to_owned(),
        enabled: true,
        tags: vec!["a".to_owned(), "b".to_owned()],
        extra: Extra::new(),
        created_at: magnum_domain::now(),
    }
}

fn role(name: &str) -> Role {
    Role { id: format!("role-{name}"), name: name.to_owned(), description: None }
}

fn grant(user: &str, scope: GrantScope, role: &str) -> Grant {
    Grant { user_id: format!("user-{user}"), scope, role_id: format!("role-{role}") }
}

fn in_project(name: &str) -> GrantScope {
    GrantScope::Project(format!("project-{name}"))
}

fn token(hash: &str, user: &str, scope: Option<GrantScope>) -> Token {
    let now = magnum_domain::now().trunc_subsecs(0);
    Token {
        hash: hash.to_owned(),
        user_id: format!("user-{user}"),
        user_epoch: 0,
        scope,
        methods: vec!["token".to_owned(), "password".to_owned()],
        audit_ids: vec!["a1".to_owned(), "a2".to_owned()],
        application_credential_id: None,
        issued_at: now,
        expires_at: now + Duration::from_secs(3600),
    }
}

fn credential(name: &str, user: &str, project: &str) -> ApplicationCredential {
    ApplicationCredential {
        id: format!("credential-{name}"),
        user_id: format!("user-{user}"),
        project_id: format!("project-{project}"),
        name: name.to_owned(),
        description: Some("für".to_owned()),
        secret_hash: PasswordHash::new("$argon2id$".to_owned()),
        role_ids: vec!["role-member".to_owned()],
        unrestricted: true,
        expires_at: Some(magnum_domain::now() + Duration::from_secs(60)),
        created_at: magnum_domain::now(),
    }
}

/// Users ann and bob with the role member in the projects web and shop.
async fn filled(store: &Store) -> IdentityTables {
    let tables = store.identity();
    let first = FirstStart {
        roles: ["admin", "member"].map(role).into(),
        projects: ["web", "shop"].map(project).into(),
        users: ["ann", "bob"].map(user).into(),
        grants: vec![
            grant("ann", in_project("web"), "member"),
            grant("ann", in_project("shop"), "member"),
            grant("bob", in_project("web"), "member"),
            grant("ann", GrantScope::System, "admin"),
        ],
    };
    assert!(tables.first_start(&first).await.unwrap());
    tables
}

fn is_not_found<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { .. }))
}

fn is_duplicate<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Duplicate { .. }))
}

on_every_database! {
    async fn rows_come_back_as_they_went_in(database: Database) {
        let tables = filled(&database.store().await).await;
        let carl = User { default_project_id: Some("p".into()), password_hash: None, ..user("carl") };
        tables.create_user(&carl).await.unwrap();
        assert_eq!(tables.find_user("user-carl").await.unwrap(), Some(carl.clone()));
        assert_eq!(tables.find_user_by_name("carl").await.unwrap(), Some(carl));
        assert_eq!(tables.find_user_by_name("CARL").await.unwrap(), None, "names are compared exactly");
        let lab = Project { extra: Extra::from_iter([("a".to_owned(), json!([1, null]))]), ..project("lab") };
        tables.create_project(&lab).await.unwrap();
        assert_eq!(tables.find_project("project-lab").await.unwrap(), Some(lab.clone()));
        assert_eq!(tables.find_project_by_name("lab").await.unwrap(), Some(lab));
        let auditor = Role { description: Some("ä".into()), ..role("auditor") };
        tables.create_role(&auditor).await.unwrap();
        assert_eq!(tables.find_role("role-auditor").await.unwrap(), Some(auditor));
        for scope in [None, Some(in_project("web")), Some(GrantScope::Domain), Some(GrantScope::System)] {
            let kept = token(&format!("{scope:?}"), "ann", scope);
            tables.add_token(&kept).await.unwrap();
            assert_eq!(tables.find_token(&kept.hash).await.unwrap(), Some(kept));
        }
        let ci = credential("ci", "ann", "web");
        tables.create_application_credential(&ci).await.unwrap();
        assert_eq!(tables.find_application_credential("credential-ci").await.unwrap(), Some(ci.clone()));
        assert_eq!(tables.application_credentials("user-ann", Some("ci")).await.unwrap(), [ci]);
        assert_eq!(tables.application_credentials("user-ann", Some("no")).await.unwrap(), []);
        assert_eq!(tables.application_credentials("user-bob", None).await.unwrap(), []);
    }

    async fn names_are_taken_once(database: Database) {
        let tables = filled(&database.store().await).await;
        let other = |user: User| User { id: "other".into(), ..user };
        assert!(is_duplicate(tables.create_user(&other(user("ann"))).await));
        tables.create_user(&other(user("Ann"))).await.unwrap();
        assert!(is_duplicate(tables.create_project(&Project { id: "other".into(), ..project("web") }).await));
        assert!(is_duplicate(tables.create_role(&Role { id: "other".into(), ..role("admin") }).await));
        let rename = |name: &str| UserChange { name: Some(name.into()), ..UserChange::default() };
        assert!(is_duplicate(tables.change_user("user-ann", &rename("bob")).await));
        let rename = ProjectChange { name: Some("shop".into()), ..ProjectChange::default() };
        assert!(is_duplicate(tables.change_project("project-web", &rename).await));
        let rename = RoleChange { name: Some("member".into()), description: None };
        assert!(is_duplicate(tables.change_role("role-admin", &rename).await));
        tables.create_application_credential(&credential("ci", "ann", "web")).await.unwrap();
        let same = ApplicationCredential { id: "other".into(), ..credential("ci", "ann", "shop") };
        assert!(is_duplicate(tables.create_application_credential(&same).await));
        let anothers = ApplicationCredential { id: "other".into(), ..credential("ci", "bob", "web") };
        tables.create_application_credential(&anothers).await.unwrap();
        let again = tables.first_start(&FirstStart { roles: vec![role("admin")], ..FirstStart::default() }).await;
        assert!(!again.unwrap());
    }

    async fn changes_merge(database: Database) {
        let tables = filled(&database.store().await).await;
        let change = UserChange {
            extra: Extra::from_iter([("email".into(), json!(null)), ("phone".into(), json!("1"))]),
            ..UserChange::default()
        };
        let changed = tables.change_user("user-ann", &change).await.unwrap();
        assert_eq!(changed.extra, Extra::from_iter([("phone".into(), json!("1"))]));
        assert_eq!(changed.epoch, 0, "tokens stay good");
        assert_eq!(tables.find_user("user-ann").await.unwrap(), Some(changed));
        for (epoch, change) in [
            (1, UserChange { enabled: Some(false), ..UserChange::default() }),
            (1, UserChange { enabled: Some(true), ..UserChange::default() }),
            (2, UserChange { password_hash: Some(Some(PasswordHash::new("new".into()))), ..UserChange::default() }),
            (3, UserChange { password_hash: Some(None), default_project_id: Some(Some("p".into())), ..UserChange::default() }),
        ] {
            let changed = tables.change_user("user-ann", &change).await.unwrap();
            assert_eq!(changed.epoch, epoch, "{change:?}");
            assert_eq!(tables.find_user("user-ann").await.unwrap(), Some(changed));
        }
        let change = RoleChange { name: None, description: Some(Some("x".into())) };
        let changed = tables.change_role("role-admin", &change).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.description.as_deref()), ("admin", Some("x")));
        assert!(is_not_found(tables.change_user("nobody", &UserChange::default()).await));
        assert!(is_not_found(tables.change_project("nothing", &ProjectChange::default()).await));
        assert!(is_not_found(tables.change_role("nothing", &RoleChange::default()).await));
    }

    async fn concurrent_changes_are_all_kept(database: Database) {
        let tables = filled(&database.store().await).await;
        let changes = (0..8).map(|i| {
            let tables = tables.clone();
            async move {
                let extra = Extra::from_iter([(format!("key {i}"), json!(i))]);
                let password_hash = Some(Some(PasswordHash::new(format!("hash {i}"))));
                tables.change_user("user-ann", &UserChange { extra, password_hash, ..UserChange::default() }).await
            }
        });
        for changed in join_all(changes).await {
            changed.unwrap();
        }
        let ann = tables.find_user("user-ann").await.unwrap().unwrap();
        assert_eq!((ann.epoch, ann.extra.len()), (8, 9));
    }

    async fn lists_are_filtered_and_paged(database: Database) {
        let tables = filled(&database.store().await).await;
        for name in ["dora", "Emil", "carl", "ärger"] {
            tables.create_user(&user(name)).await.unwrap();
        }
        let change = UserChange { enabled: Some(false), ..UserChange::default() };
        tables.change_user("user-dora", &change).await.unwrap();
        let names = async |filter: UserFilter| -> Vec<String> {
            let users = tables.users(&filter, &ListPage::default()).await.unwrap();
            users.into_iter().map(|user| user.name).collect()
        };
        assert_eq!(names(UserFilter { enabled: Some(false), ..UserFilter::default() }).await, ["dora"]);
        assert_eq!(names(UserFilter { name: Some("bob".into()), ..UserFilter::default() }).await, ["bob"]);
        let all = names(UserFilter::default()).await;
        assert_eq!(all.len(), 6);

        let mut page = ListPage { limit: Some(2), marker: None };
        let mut seen = Vec::new();
        loop {
            let users = tables.users(&UserFilter::default(), &page).await.unwrap();
            let Some(last) = users.last() else { break };
            page.marker = Some(last.id.clone());
            seen.extend(users.into_iter().map(|user| user.name));
            assert!(seen.len() <= all.len());
        }
        assert_eq!(seen, all, "each once, in the same order");
        page.marker = Some("gone".into());
        assert!(matches!(tables.users(&UserFilter::default(), &page).await, Err(StoreError::InvalidMarker)));
        assert!(matches!(tables.projects(&ProjectFilter::default(), &page).await, Err(StoreError::InvalidMarker)));

        let of_bob = ProjectFilter { of_user: Some("user-bob".into()), ..ProjectFilter::default() };
        let projects = tables.projects(&of_bob, &ListPage::default()).await.unwrap();
        assert_eq!(projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["web"]);
        let first = ListPage { limit: Some(1), marker: None };
        assert_eq!(tables.projects(&ProjectFilter::default(), &first).await.unwrap().len(), 1);
        assert_eq!(tables.users_by_id(&["user-ann".into(), "gone".into()]).await.unwrap().len(), 1);
        assert_eq!(tables.projects_by_id(&[]).await.unwrap(), []);
        // More than a database takes in one statement.
        let mut many: Vec<String> = (0..70_000).map(|number| format!("nobody-{number}")).collect();
        many.push("user-ann".to_owned());
        assert_eq!(tables.users_by_id(&many).await.unwrap().len(), 1);
        assert_eq!(tables.projects_by_id(&many).await.unwrap(), []);
    }

    async fn grants_are_given_once_and_found_by_everything(database: Database) {
        let tables = filled(&database.store().await).await;
        let one = grant("bob", GrantScope::Domain, "member");
        assert!(!tables.has_grant(&one).await.unwrap());
        for added in join_all((0..6).map(|_| tables.add_grant(&one))).await {
            added.unwrap();
        }
        assert!(tables.has_grant(&one).await.unwrap());
        let count = async |filter: GrantFilter| tables.grants(&filter).await.unwrap().len();
        assert_eq!(count(GrantFilter::default()).await, 5);
        let of_ann = GrantFilter { user_id: Some("user-ann".into()), ..GrantFilter::default() };
        assert_eq!(count(of_ann.clone()).await, 3);
        assert_eq!(count(GrantFilter { scope: Some(in_project("web")), ..of_ann.clone() }).await, 1);
        assert_eq!(count(GrantFilter { role_id: Some("role-admin".into()), ..of_ann }).await, 1);
        assert_eq!(count(GrantFilter { scope: Some(GrantScope::Domain), ..GrantFilter::default() }).await, 1);
        tables.remove_grant(&one).await.unwrap();
        assert!(is_not_found(tables.remove_grant(&one).await));
        assert!(is_not_found(tables.add_grant(&grant("nobody", GrantScope::Domain, "member")).await));
        assert!(is_not_found(tables.add_grant(&grant("bob", GrantScope::Domain, "nothing")).await));
    }

    async fn what_belongs_to_a_row_goes_with_it(database: Database) {
        let tables = filled(&database.store().await).await;
        for (hash, owner, scope) in [
            ("t1", "ann", Some(in_project("web"))),
            ("t2", "ann", Some(in_project("shop"))),
            ("t3", "ann", None),
            ("t4", "bob", Some(in_project("web"))),
        ] {
            tables.add_token(&token(hash, owner, scope)).await.unwrap();
        }
        tables.create_application_credential(&credential("c1", "ann", "web")).await.unwrap();
        tables.create_application_credential(&credential("c2", "ann", "shop")).await.unwrap();
        tables.create_application_credential(&credential("c3", "bob", "web")).await.unwrap();
        let left = async || {
            let mut left = Vec::new();
            for hash in ["t1", "t2", "t3", "t4"] {
                left.extend(tables.find_token(hash).await.unwrap().map(|token| token.hash));
            }
            for id in ["credential-c1", "credential-c2", "credential-c3"] {
                left.extend(tables.find_application_credential(id).await.unwrap().map(|found| found.name));
            }
            (left.join(" "), tables.grants(&GrantFilter::default()).await.unwrap().len())
        };
        assert_eq!(left().await, ("t1 t2 t3 t4 c1 c2 c3".to_owned(), 4));
        let disable = ProjectChange { enabled: Some(false), ..ProjectChange::default() };
        tables.change_project("project-shop", &disable).await.unwrap();
        assert_eq!(left().await, ("t1 t3 t4 c1 c2 c3".to_owned(), 4), "a disabled project ends its tokens");
        tables.delete_project("project-web").await.unwrap();
        assert_eq!(left().await, ("t3 c2".to_owned(), 2));
        tables.delete_role("role-member").await.unwrap();
        assert_eq!(left().await, ("t3 c2".to_owned(), 1));
        tables.delete_user("user-ann").await.unwrap();
        assert_eq!(left().await, (String::new(), 0));
        assert!(is_not_found(tables.delete_user("user-ann").await));
        assert!(is_not_found(tables.delete_project("project-web").await));
        assert!(is_not_found(tables.delete_role("role-member").await));
        assert!(is_not_found(tables.add_token(&token("t9", "ann", None)).await));
        assert!(is_not_found(tables.create_application_credential(&credential("c9", "bob", "web")).await));
    }

    async fn tokens_end_one_by_one_and_by_time(database: Database) {
        let tables = filled(&database.store().await).await;
        let now = magnum_domain::now().trunc_subsecs(0);
        for (hash, seconds) in [("old", 1), ("older", 60)] {
            let expires_at = now - Duration::from_secs(seconds);
            tables.add_token(&Token { expires_at, ..token(hash, "ann", None) }).await.unwrap();
        }
        tables.add_token(&token("good", "ann", None)).await.unwrap();
        assert_eq!(tables.prune_tokens(now).await.unwrap(), 2);
        assert!(tables.delete_token("good").await.unwrap());
        assert!(!tables.delete_token("good").await.unwrap());
        tables.create_application_credential(&credential("c1", "ann", "web")).await.unwrap();
        assert!(is_not_found(tables.delete_application_credential("user-bob", "credential-c1").await), "not his");
        tables.delete_application_credential("user-ann", "credential-c1").await.unwrap();
        assert!(is_not_found(tables.delete_application_credential("user-ann", "credential-c1").await));
    }

    async fn of_several_first_starts_one_writes(database: Database) {
        let store = database.store().await;
        let starts = (0..6).map(|i| {
            let tables = store.identity();
            let first = FirstStart {
                roles: vec![Role { id: format!("r{i}"), ..role("admin") }],
                users: vec![User { id: format!("u{i}"), ..user("admin") }],
                ..FirstStart::default()
            };
            async move { tables.first_start(&first).await }
        });
        let written = join_all(starts).await.into_iter().map(Result::unwrap).filter(|written| *written).count();
        assert_eq!(written, 1);
        let tables = store.identity();
        assert!(tables.has_role_named("admin").await.unwrap() && !tables.has_role_named("Admin").await.unwrap());
        assert_eq!(tables.users(&UserFilter::default(), &ListPage::default()).await.unwrap().len(), 1);
    }
}
