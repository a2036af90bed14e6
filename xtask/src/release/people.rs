//! Who asks: users of several projects of the built-in identity, and their tokens.

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::{Answer, Api, NoAnswer, Request};

/// Somebody with a password and a project.
#[derive(Debug, Clone)]
pub(super) struct Person {
    api: Api,
    pub(super) name: String,
    pub(super) password: String,
    /// Name of the project.
    pub(super) project: String,
    pub(super) project_id: String,
    token: Arc<RwLock<String>>,
}

/// What every request of a person carries.
const HEADERS: &[(&str, &str)] = &[("Accept", "application/json"), ("OpenStack-API-Version", "container-infra latest")];
/// Beside it with a body.
const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Person {
    /// The administrator that the first start has made.
    pub(super) fn admin(api: &Api, state_dir: &Path) -> Result<Self> {
        let clouds = fs::read_to_string(state_dir.join("clouds.yaml")).context("the server wrote no clouds.yaml")?;
        let admin = clouds.lines().skip_while(|line| *line != "  admin:");
        let password = admin.clone().find_map(|line| line.trim().strip_prefix("password: "));
        let password = password.context("no password of admin in clouds.yaml")?.trim_matches('"').to_owned();
        let person = Self::new(api, "admin", &password, "admin", "");
        let answer = person.log_in().map_err(anyhow::Error::from)?;
        let project = text(&json_of(&answer)?, "/token/project/id")?;
        Ok(Self { project_id: project, ..person })
    }

    fn new(api: &Api, name: &str, password: &str, project: &str, project_id: &str) -> Self {
        Self {
            api: api.clone(),
            name: name.to_owned(),
            password: password.to_owned(),
            project: project.to_owned(),
            project_id: project_id.to_owned(),
            token: Arc::default(),
        }
    }

    /// Makes another user with the role `member`, in a project of this name, which is made when it is not there.
    pub(super) fn make_member(&self, name: &str, project: &str) -> Result<Self> {
        let project_id = self.project_named(project)?;
        let password = format!("{name}-{}", crate::databases::random_password()?);
        let user = self.made("/identity/v3/users", &json!({"user": {"name": name, "password": password}}))?;
        let roles = json_of(&self.expect("GET", "/identity/v3/roles?name=member", None, 200)?)?;
        let (user, role) = (text(&user, "/user/id")?, text(&roles, "/roles/0/id")?);
        let grant = format!("/identity/v3/projects/{project_id}/users/{user}/roles/{role}");
        self.expect("PUT", &grant, None, 204)?;
        let person = Self::new(&self.api, name, &password, project, &project_id);
        let answer = person.log_in().map_err(anyhow::Error::from)?;
        if answer.status != 201 {
            bail!("{name} can't log in: {} {}", answer.status, answer.body);
        }
        Ok(person)
    }

    /// The identifier of a project, which is made when it is not there.
    pub(super) fn project_named(&self, name: &str) -> Result<String> {
        let known = json_of(&self.expect("GET", &format!("/identity/v3/projects?name={name}"), None, 200)?)?;
        if let Ok(id) = text(&known, "/projects/0/id") {
            return Ok(id);
        }
        text(&self.made("/identity/v3/projects", &json!({"project": {"name": name}}))?, "/project/id")
    }

    fn made(&self, path: &str, body: &Value) -> Result<Value> {
        json_of(&self.expect("POST", path, Some(&body.to_string()), 201)?)
    }

    /// Logs in anew and goes on with that token, if it works.
    pub(super) fn log_in(&self) -> Result<Answer, NoAnswer> {
        let body = login(&self.name, &self.password, Some(&self.project));
        let headers = [("Accept", "application/json"), JSON];
        let request = Request { method: "POST", path: TOKENS, headers: &headers, body: Some(&body.to_string()) };
        let answer = self.api.send(&request)?;
        if let Some(token) = answer.header("x-subject-token") {
            token.clone_into(&mut self.token.write().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(answer)
    }

    /// The token that requests carry.
    pub(super) fn token(&self) -> String {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks with this token, or that of `headers`.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Answer, NoAnswer> {
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut all: Vec<(&str, &str)> = HEADERS.iter().copied().filter(|(name, _)| !given(name)).collect();
        if body.is_some() && !given(JSON.0) {
            all.push(JSON);
        }
        // An empty value leaves a header out.
        all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
        let api = if given("X-Auth-Token") { self.api.clone() } else { self.api.clone().with_token(self.token()) };
        api.send(&Request { method, path, headers: &all, body })
    }

    /// Asks, and fails when the answer has another status.
    pub(super) fn expect(&self, method: &str, path: &str, body: Option<&str>, status: u16) -> Result<Answer> {
        let answer = self.ask(method, path, &[], body).map_err(anyhow::Error::from)?;
        if answer.status != status {
            bail!("{method} {path}: {} instead of {status}: {}", answer.status, answer.body);
        }
        Ok(answer)
    }

    /// Gets a document.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        json_of(&self.expect("GET", path, None, 200)?)
    }

    /// A `clouds.yaml` in which the cloud `demo` is this person.
    pub(super) fn write_clouds(&self, url: &str, ca: Option<&Path>, file: &Path) -> Result<()> {
        let ca = ca.map(|ca| format!("    cacert: {}\n", ca.display())).unwrap_or_default();
        let text = format!(
            "clouds:\n  demo:\n    auth:\n      auth_url: {url}/identity/v3\n      username: {}\n      password: {}\n      \
             project_name: {}\n      user_domain_id: default\n      project_domain_id: default\n    \
             identity_api_version: 3\n{ca}",
            self.name, self.password, self.project
        );
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Where tokens are given out.
pub(super) const TOKENS: &str = "/identity/v3/auth/tokens";

/// The body of a login.
pub(super) fn login(name: &str, password: &str, project: Option<&str>) -> Value {
    let user = json!({"name": name, "domain": {"id": "default"}, "password": password});
    let mut body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    if let (Some(project), Some(auth)) = (project, body.get_mut("auth").and_then(Value::as_object_mut)) {
        auth.insert("scope".to_owned(), json!({"project": {"name": project, "domain": {"id": "default"}}}));
    }
    body
}

/// The document of an answer.
pub(super) fn json_of(answer: &Answer) -> Result<Value> {
    serde_json::from_str(&answer.body).with_context(|| format!("no JSON: {}", answer.body))
}

/// A text of a document, by JSON pointer.
pub(super) fn text(document: &Value, pointer: &str) -> Result<String> {
    let found = document.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {pointer} in {document}"))?.to_owned())
}
