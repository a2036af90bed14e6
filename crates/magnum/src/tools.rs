//! The commands that look at something and end: `magnum db`, `magnum config`, `magnum policy`.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use anyhow::Context;
use magnum_config::{Severity, Sources};
use magnum_domain::Caller;
use magnum_policy::{Origin, Target};
use magnum_store::{ConnectOptions, Schema, Store};
use secrecy::ExposeSecret;

use crate::cli::{Config, ConfigFiles, Db, Policy, StateDir};
use crate::{state_dir, wiring};

/// `magnum db`.
pub(crate) fn database(files: &ConfigFiles, command: &Db) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Db::Upgrade(state) => {
                let settings = wiring::settings(files, state)?;
                let folder = state_dir::StateDir::open(&settings.service.state_path)?;
                let (store, _) = wiring::store(&settings, &folder).await?;
                say_schema(&store.schema().await?);
            }
            Db::Version(state) => say_schema(&connect(files, state).await?.schema().await?),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn say_schema(schema: &Schema) {
    match schema.upstream {
        Some(head) => println!("upstream schema: {}", head.as_str()),
        None => println!("upstream schema: none, the database is empty"),
    }
    match schema.pending.as_slice() {
        [] => println!("our tables: current"),
        pending => println!("our tables: run 'magnum db upgrade' for {}", pending.join(", ")),
    }
}

/// Looks once: somebody waits for the answer.
async fn connect(files: &ConfigFiles, state: &StateDir) -> anyhow::Result<Store> {
    let settings = wiring::settings(files, state)?;
    let connected = Store::connect(settings.database.connection.expose_secret(), &ConnectOptions::default()).await;
    connected.with_context(|| {
        let folder = settings.service.state_path.display();
        format!("the database can't be opened: see [database] connection, and whether {folder} is there")
    })
}

/// `magnum config`.
pub(crate) fn config(files: &ConfigFiles, command: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Config::Sample => print!("{}", magnum_config::sample()?),
        Config::Check { files: named } => {
            let sources = if named.is_empty() { wiring::sources(files) } else { Sources::files(named.clone()) };
            let report = magnum_config::check(&sources)?;
            for finding in &report.findings {
                println!("{finding}");
            }
            let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
            println!("{} files, {errors} errors, {warnings} warnings", sources.file_names().len());
            if report.has_errors() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A text of YAML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `magnum policy`.
pub(crate) fn policy(files: &ConfigFiles, command: &Policy) -> anyhow::Result<ExitCode> {
    let settings = wiring::settings(files, &StateDir { state_dir: None })?;
    let policy = wiring::policy(&settings)?;
    match command {
        Policy::List => {
            for problem in policy.problems() {
                println!("# {problem}");
            }
            // As a policy file would have it, so that lines can be taken over as they are.
            for rule in policy.list() {
                let origin = match &rule.origin {
                    Origin::Default => String::new(),
                    other => format!("  # {other}"),
                };
                println!("{}: {}{origin}", quoted(&rule.name), quoted(&rule.check));
            }
        }
        Policy::Check { rule, role, user, project, target_project, target_user } => {
            let mut caller = Caller {
                user_id: user.clone(),
                project_id: Some(project.clone()),
                roles: role.clone(),
                ..Caller::default()
            };
            caller.is_admin = policy.is_admin(&caller);
            let owner = (target_project.as_ref().unwrap_or(project), target_user.as_ref().unwrap_or(user));
            let explanation = policy.explain(rule, &caller, &Target::owned(owner.0, owner.1));
            print!("{explanation}");
            if !explanation.allowed {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
