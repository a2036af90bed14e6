//! A real Keystone, Glance, Nova and Neutron.
//!
//! Needs `MAGNUM_TEST_LAB`, the description that `cargo xtask lab up` writes; `cargo xtask test` sets it. Without it
//! nothing is run, and said so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::sync::Arc;

use magnum_config::Settings;
use magnum_domain::Caller;
use magnum_domain::cloud::{CloudLookup, LookupError, Thing};
use magnum_domain::credential::Credential;
use magnum_openstack::{
    Interface, Login, OpenStackCloud, ServiceOptions, Session, SessionOptions, Transport, TransportOptions,
};
use serde_json::{Value, json};

struct Lab(Value);

impl Lab {
    /// The lab, if there is one with a certain service.
    fn with(service: &str) -> Option<Self> {
        let path = std::env::var_os("MAGNUM_TEST_LAB");
        let lab = path.map(|path| Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()));
        let found = lab.filter(|lab| lab.0["services"].as_array().unwrap().iter().any(|name| name == service));
        if found.is_none() {
            assert!(std::env::var_os("MAGNUM_TEST_REQUIRE_LAB").is_none(), "there is no lab with {service}");
            eprintln!("skipped: there is no lab with {service} (see MAGNUM_TEST_LAB)");
        }
        found
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("the lab has no {pointer}"))
    }

    /// Something of a list, by its name.
    fn named(&self, list: &str, name: &str) -> &Value {
        self.0[list].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap()
    }

    fn id(&self, list: &str, name: &str) -> &str {
        self.named(list, name)["id"].as_str().unwrap()
    }

    /// A configuration with one group of credentials, `{url}` and `{password}` filled in.
    fn session(&self, credentials: &str) -> Session {
        let filled = credentials.replace("{url}", self.text("/keystone")).replace("{password}", self.text("/password"));
        let login = Login::for_validation(&Settings::parse(&filled).unwrap()).unwrap();
        Session::new(Transport::new(TransportOptions::default()).unwrap(), login, SessionOptions::default())
    }

    /// The session of the service, as its documentation has operators set it up.
    fn service(&self) -> Arc<Session> {
        Arc::new(self.session(
            "[keystone_authtoken]\nauth_url = {url}\nauth_type = password\nusername = magnum\npassword = {password}\n\
             project_name = service\nuser_domain_name = Default\nproject_domain_name = Default\n",
        ))
    }

    fn cloud(&self, options: &ServiceOptions) -> OpenStackCloud {
        let service = || (Transport::new(TransportOptions::default()).unwrap(), options.clone());
        OpenStackCloud::new(self.service(), service(), service(), service())
    }

    async fn token(&self, auth: Value) -> String {
        let url = format!("{}/auth/tokens", self.text("/keystone"));
        let answer = reqwest::Client::new().post(url).json(&json!({"auth": auth})).send().await.unwrap();
        let token = answer.headers().get("x-subject-token").map(|token| token.to_str().unwrap().to_owned());
        token.unwrap_or_else(|| panic!("{} {auth}", answer.status()))
    }

    fn password_of(&self, user: &str) -> Value {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": self.text("/password")});
        json!({"methods": ["password"], "password": {"user": user}})
    }

    /// Somebody with a token for a project.
    async fn caller(&self, user: &str, project: &str) -> Caller {
        let scope = json!({"project": {"name": project, "domain": {"id": "default"}}});
        let token = self.token(json!({"identity": self.password_of(user), "scope": scope})).await.into();
        let valid = self.service().validate(&token, false, None).await.unwrap().unwrap();
        Caller { credential: Some(Credential::new(token, valid.endpoints)), ..Caller::default() }
    }
}

#[tokio::test]
async fn every_kind_of_credentials_gets_a_token() {
    let Some(lab) = Lab::with("keystone") else { return };
    let service = "username = magnum\npassword = {password}\nproject_name = service";
    let automation = lab.named("application_credentials", "automation");
    let by_id = format!(
        "auth_type = v3applicationcredential\napplication_credential_id = {}\napplication_credential_secret = {{password}}",
        automation["id"].as_str().unwrap()
    );
    let token = lab.token(json!({"identity": lab.password_of("magnum")})).await;
    let wrong = "does not accept the credentials of [keystone_authtoken]";
    let table = [
        (service.to_owned(), None),
        (format!("{service}\nuser_domain_name = Default\nproject_domain_id = default"), None),
        (service.replace("username = magnum", &format!("user_id = {}", lab.text("/users/magnum/id"))), None),
        (service.replace("project_name = service", &format!("project_id = {}", lab.text("/projects/service"))), None),
        ("username = magnum\npassword = {password}".to_owned(), None),
        ("username = admin\npassword = {password}\nsystem_scope = all".to_owned(), None),
        (
            "username = trustee_domain_admin\nuser_domain_name = magnum\npassword = {password}\ndomain_name = magnum"
                .to_owned(),
            None,
        ),
        (format!("auth_type = v3token\ntoken = {token}\nproject_name = service"), None),
        (by_id.clone(), None),
        (
            "auth_type = v3applicationcredential\napplication_credential_name = automation\nusername = robot\n\
             application_credential_secret = {password}"
                .to_owned(),
            None,
        ),
        (service.replace("{password}", "wrong"), Some(wrong)),
        (by_id.replace("{password}", "wrong"), Some(wrong)),
        (service.replace("magnum", "disabled"), Some(wrong)),
        (service.replace("magnum", "nobody"), Some(wrong)),
        (service.replace("project_name = service", "project_name = nothing"), Some(wrong)),
        ("auth_type = token\ntoken = no-such-token".to_owned(), Some(wrong)),
    ];
    for (credentials, expected) in table {
        for url in ["{url}", &lab.text("/keystone").replace("/v3", "/")] {
            let session = lab.session(&format!("[keystone_authtoken]\nauth_url = {url}\n{credentials}\n"));
            let outcome = session.log_in().await.map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(outcome, Ok(()), "{credentials}"),
                Some(part) => {
                    assert!(outcome.clone().is_err_and(|text| text.contains(part)), "{credentials}: {outcome:?}")
                }
            }
        }
    }
}

#[tokio::test]
async fn old_notation_still_logs_in() {
    let Some(lab) = Lab::with("keystone") else { return };
    let old = "[keystone_authtoken]\nidentity_uri = {url}\nadmin_user = magnum\nadmin_password = {password}\nadmin_tenant_name = service\n";
    lab.session(old).log_in().await.unwrap();
}

#[tokio::test]
async fn keystone_says_what_a_token_is_good_for() {
    let Some(lab) = Lab::with("keystone") else { return };
    let service = lab.service();
    let identity = lab.password_of("admin");
    let table = [
        (json!({"project": {"name": "admin", "domain": {"id": "default"}}}), Some("admin"), false, true),
        (json!({"system": {"all": true}}), None, true, true),
        (json!("unscoped"), None, false, false),
    ];
    for (scope, project, system, has_roles) in table {
        let token = lab.token(json!({"identity": identity, "scope": scope})).await;
        let valid = service.validate(&token.into(), false, None).await.unwrap().unwrap();
        assert_eq!((valid.user_name.as_str(), valid.user_domain_name.as_str()), ("admin", "Default"));
        assert_eq!((valid.project_name.as_deref(), valid.system), (project, system), "{scope}");
        assert_eq!(valid.roles.iter().any(|role| role == "admin"), has_roles, "{scope}");
        assert_eq!(valid.roles.iter().any(|role| role == "reader"), has_roles, "implied: {scope}");
        assert_eq!(valid.access_rules, None);
    }
    let named = |name| {
        let id = lab.id("application_credentials", name);
        let secret = lab.text("/password");
        json!({"identity": {"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}}})
    };
    let robot = service.validate(&lab.token(named("automation")).await.into(), false, None).await.unwrap().unwrap();
    assert_eq!((robot.user_name.as_str(), robot.access_rules), ("robot", None));
    assert!(robot.roles.iter().any(|role| role == "member"), "{:?}", robot.roles);
    let bound = service.validate(&lab.token(named("templates-only")).await.into(), false, None).await.unwrap().unwrap();
    let rules = bound.access_rules.unwrap();
    assert_eq!((rules.len(), rules[0].method.as_str(), rules[0].path.as_str()), (1, "GET", "/v1/clustertemplates"));
    for bad in ["", "no-such-token", "gAAAAAB", "a b", "ü"] {
        let found = service.validate(&bad.into(), false, None).await;
        assert!(!matches!(found, Ok(Some(_))), "{bad:?}: {found:?}");
    }
}

#[tokio::test]
async fn tokens_of_those_who_may_not_check_others_do_not_do() {
    let Some(lab) = Lab::with("keystone") else { return };
    let weak = lab.session(
        "[keystone_authtoken]\nauth_url = {url}\nusername = demo\npassword = {password}\nproject_name = demo\n",
    );
    let token = lab.token(json!({"identity": lab.password_of("other")})).await;
    let error = weak.validate(&token.into(), false, None).await.unwrap_err();
    assert_eq!(error.status(), Some(403), "{error}");
}

/// What is looked up, by whom, and what comes of it.
#[tokio::test]
async fn images_are_found_by_id_and_name_as_far_as_one_may_see_them() {
    let Some(lab) = Lab::with("glance") else { return };
    let (demo, admin) = (lab.caller("demo", "demo").await, lab.caller("admin", "admin").await);
    let cloud = lab.cloud(&ServiceOptions::default());
    let named = |name| lab.id("images", name);
    let missing = |name: &str| Err(LookupError::NotFound { thing: Thing::Image, name: name.to_owned() });
    let table = [
        (&demo, "fedora-coreos", Ok(named("fedora-coreos"))),
        (&demo, named("fedora-coreos"), Ok(named("fedora-coreos"))),
        (&demo, "private-of-demo", Ok(named("private-of-demo"))),
        (&demo, "private-of-other", missing("private-of-other")),
        (&demo, named("private-of-other"), missing(named("private-of-other"))),
        (&admin, named("private-of-other"), Ok(named("private-of-other"))),
        (&demo, "twice", Err(LookupError::Ambiguous { thing: Thing::Image, name: "twice".into() })),
        (&demo, named("twice"), Ok(named("twice"))),
        (&demo, "Fedora-CoreOS", missing("Fedora-CoreOS")),
        (&demo, "in:fedora-coreos,ubuntu", missing("in:fedora-coreos,ubuntu")),
        (&demo, "no such image & more=x", missing("no such image & more=x")),
        (&demo, "../v2/images", missing("../v2/images")),
        (&demo, "00000000-0000-4000-8000-000000000000", missing("00000000-0000-4000-8000-000000000000")),
    ];
    for (caller, asked, expected) in table {
        let found = cloud.image(caller, asked).await;
        assert_eq!(found.map(|image| image.id), expected.map(str::to_owned), "{asked}");
    }
    let described = cloud.image(&demo, "with-driver").await.unwrap();
    assert_eq!(described.os_distro.as_deref(), Some("fedora-coreos"));
    assert_eq!(described.magnum_driver.as_deref(), Some("lab_fedora_coreos"));
    assert_eq!(cloud.image(&demo, "no-distro").await.unwrap().os_distro, None);
}

#[tokio::test]
async fn flavors_and_key_pairs_are_those_one_may_use() {
    let Some(lab) = Lab::with("nova") else { return };
    let (demo, admin) = (lab.caller("demo", "demo").await, lab.caller("admin", "admin").await);
    let cloud = lab.cloud(&ServiceOptions::default());
    for (asked, expected) in
        [("m1.small", Some(20)), ("2", Some(20)), ("diskless", Some(0)), ("m1.SMALL", None), ("nope", None)]
    {
        let found = cloud.flavor(&demo, asked).await;
        let missing = LookupError::NotFound { thing: Thing::Flavor, name: asked.into() };
        assert_eq!(found.map(|flavor| flavor.disk), expected.ok_or(missing), "{asked}");
    }
    for (caller, asked, found) in [
        (&demo, "key", true),
        (&demo, "admin-key", false),
        (&admin, "admin-key", true),
        (&demo, "a/b", false),
        (&demo, "ü x", false),
    ] {
        let missing = LookupError::NotFound { thing: Thing::Keypair, name: asked.into() };
        assert_eq!(cloud.keypair(caller, asked).await, if found { Ok(()) } else { Err(missing) }, "{asked}");
    }
}

#[tokio::test]
async fn networks_and_subnets_are_found_by_id_and_name() {
    let Some(lab) = Lab::with("neutron") else { return };
    let (demo, other) = (lab.caller("demo", "demo").await, lab.caller("other", "other").await);
    let cloud = lab.cloud(&ServiceOptions::default());
    let (network, subnet) = (|name| lab.id("networks", name), |name| lab.id("subnets", name));
    let table = [
        (&demo, "external", "public", "found"),
        (&demo, "external", network("public"), "found"),
        (&demo, "external", "private", "missing"),
        (&demo, "external", network("private"), "missing"),
        (&demo, "external", "nope", "missing"),
        (&demo, "network", "private", "found"),
        (&demo, "network", network("private"), "found"),
        (&demo, "network", "shared", "found"),
        (&demo, "network", "public", "found"),
        (&demo, "network", "twice", "ambiguous"),
        (&demo, "network", network("twice"), "found"),
        (&demo, "network", "private-of-other", "missing"),
        (&demo, "network", network("private-of-other"), "missing"),
        (&other, "network", "private-of-other", "found"),
        (&demo, "network", "x&router:external=true", "missing"),
        (&demo, "subnet", "private-subnet", "found"),
        (&demo, "subnet", subnet("private-subnet"), "found"),
        (&demo, "subnet", "subnet-of-other", "missing"),
        (&demo, "subnet", "private", "missing"),
    ];
    for (caller, kind, asked, expected) in table {
        let found = match kind {
            "external" => cloud.external_network(caller, asked).await,
            "network" => cloud.fixed_network(caller, asked).await,
            _ => cloud.fixed_subnet(caller, asked).await,
        };
        let word = match &found {
            Ok(()) => "found",
            Err(LookupError::NotFound { .. }) => "missing",
            Err(LookupError::Ambiguous { .. }) => "ambiguous",
            Err(other) => panic!("{kind} {asked}: {other}"),
        };
        assert_eq!(word, expected, "{kind} {asked}");
    }
}

#[tokio::test]
async fn projects_are_found_by_those_who_may_look() {
    let Some(lab) = Lab::with("keystone") else { return };
    let (demo, admin) = (lab.caller("demo", "demo").await, lab.caller("admin", "admin").await);
    let cloud = lab.cloud(&ServiceOptions::default());
    assert_eq!(cloud.project(&admin, lab.text("/projects/demo")).await, Ok(()));
    let missing = LookupError::NotFound { thing: Thing::Project, name: "nope".into() };
    assert_eq!(cloud.project(&admin, "nope").await, Err(missing));
    let refused = cloud.project(&demo, lab.text("/projects/other")).await;
    assert!(matches!(refused, Err(LookupError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn region_and_interface_choose_the_address() {
    let Some(lab) = Lab::with("glance") else { return };
    let demo = lab.caller("demo", "demo").await;
    let options = |interface, region: &str| ServiceOptions { interface, region: Some(region.to_owned()) };
    let here = lab.text("/region");
    for interface in [Interface::Public, Interface::Internal, Interface::Admin] {
        lab.cloud(&options(interface, here)).image(&demo, "ubuntu").await.unwrap();
    }
    let error = lab.cloud(&options(Interface::Internal, "elsewhere")).image(&demo, "ubuntu").await.unwrap_err();
    let text = "The image service (Glance) has no internal endpoint in region elsewhere, so nothing can be looked up there. Tell \
                the operator: the endpoint has to be registered in Keystone, or region_name or endpoint_type of \
                [glance_client] corrected.";
    assert_eq!(error, LookupError::Misconfigured(text.into()));
}

#[tokio::test]
async fn a_token_that_ended_meanwhile_is_said_to_have() {
    let Some(lab) = Lab::with("glance") else { return };
    let valid = lab.caller("demo", "demo").await;
    let endpoints = valid.credential.unwrap().endpoints().to_vec();
    let stale = Caller { credential: Some(Credential::new("no-such-token".into(), endpoints)), ..Caller::default() };
    let cloud = lab.cloud(&ServiceOptions::default());
    let results = tokio::join!(cloud.image(&stale, "x"), cloud.flavor(&stale, "x"), cloud.fixed_network(&stale, "x"));
    for error in [results.0.unwrap_err(), results.1.unwrap_err(), results.2.unwrap_err()] {
        assert!(error.to_string().contains("does not accept the token of the request"), "{error}");
    }
    let away =
        lab.session("[keystone_authtoken]\nauth_url = http://127.0.0.1:1\nusername = m\npassword = p\n").log_in().await;
    assert!(away.as_ref().is_err_and(|error| error.to_string().contains("can't be reached")), "{away:?}");
}
