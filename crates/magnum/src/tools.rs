//! The commands that look at something and end: `magnum db`, `magnum config`, `magnum policy`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use magnum_config::{Report, Settings, Severity, Sources};
use magnum_domain::Caller;
use magnum_policy::{Origin, Target};
use magnum_store::{ConnectOptions, Schema, Store};
use secrecy::ExposeSecret;

use crate::cli::{Config, ConfigFiles, Db, Policy, StateDir};
use crate::{check, print, state_dir, wiring};

/// Exit code of `config check --connect` when the files are right and something does not answer.
const NO_ANSWER: u8 = 3;

/// `magnum db`.
pub(crate) fn database(files: &ConfigFiles, command: &Db) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Db::Upgrade(state) => {
                let settings = wiring::settings(files, state)?;
                let folder = state_dir::StateDir::open(&settings.service.state_path)?;
                let (store, _) = wiring::store(&settings, &folder).await?;
                say_schema(&store.schema().await?)?;
            }
            Db::Version(state) => say_schema(&connect(files, state).await?.schema().await?)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn say_schema(schema: &Schema) -> anyhow::Result<()> {
    match schema.upstream {
        Some(head) => print::line(format_args!("upstream schema: {}", head.as_str()))?,
        None => print::line("upstream schema: none, the database is empty")?,
    }
    match schema.pending.as_slice() {
        [] => print::line("our tables: current"),
        pending => print::line(format_args!("our tables: run 'magnum db upgrade' for {}", pending.join(", "))),
    }
}

/// Looks once: somebody waits for the answer.
async fn connect(files: &ConfigFiles, state: &StateDir) -> anyhow::Result<Store> {
    let settings = wiring::settings(files, state)?;
    let connected = Store::connect(settings.database.url().expose_secret(), &ConnectOptions::default()).await;
    connected.with_context(|| {
        let folder = settings.service.state_path.display();
        format!("the database can't be opened: see [database] connection, and whether {folder} is there")
    })
}

/// `magnum config`.
pub(crate) fn config(files: &ConfigFiles, command: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Config::Sample => print::text(magnum_config::sample()?)?,
        Config::Check { files: named, connect, timeout, strict } => {
            let sources = if named.is_empty() {
                wiring::sources(files)?
            } else {
                wiring::with_usual_state(Sources::files(named.clone()))?
            };
            let settings = Settings::examine(&sources)?;
            let mut findings = settings.report().findings.clone();
            findings.extend(check::meaning(&settings).findings);
            let report = Report::sorted(findings);
            for finding in &report.findings {
                print::line(finding)?;
            }
            let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
            print::line(format_args!("{} files, {errors} errors, {warnings} warnings", sources.file_names()?.len()))?;
            let answer = if *connect {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(check::connect::all(&settings, Duration::from_secs(*timeout)))?
            } else {
                true
            };
            return Ok(match (errors + if *strict { warnings } else { 0 }, answer) {
                (1.., _) => ExitCode::FAILURE,
                (0, false) => ExitCode::from(NO_ANSWER),
                (0, true) => ExitCode::SUCCESS,
            });
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
                print::line(format_args!("# {problem}"))?;
            }
            // As a policy file would have it, so that lines can be taken over as they are.
            for rule in policy.list() {
                let origin = match &rule.origin {
                    Origin::Default => String::new(),
                    other => format!("  # {other}"),
                };
                print::line(format_args!("{}: {}{origin}", quoted(&rule.name), quoted(&rule.check)))?;
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
            print::text(&explanation)?;
            if !explanation.allowed {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
