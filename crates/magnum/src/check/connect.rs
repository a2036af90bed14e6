//! `magnum config check --connect`: whether what a configuration names answers. Each is asked once, has a limit of time,
//! and is told of in a line of its own. Nothing is changed anywhere.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use magnum_certs::{SEALED, SealKey};
use magnum_config::{IdentityBackend, Settings};
use magnum_openstack::Service;
use magnum_store::url::Target;
use magnum_store::{ConnectOptions, DatabaseUrl, Store};
use secrecy::ExposeSecret;

use crate::cloud::Cloud;
use crate::{in_words, print};

/// Asks everything; whether all of it answers.
///
/// # Errors
/// When nothing can be printed.
pub(crate) async fn all(settings: &Settings, limit: Duration) -> anyhow::Result<bool> {
    let database = tell("database", within(limit, database(settings, limit)).await)?;
    let cloud = match settings.identity.backend {
        Some(IdentityBackend::Keystone) => cloud(settings, limit).await?,
        _ => true,
    };
    Ok(database && cloud)
}

async fn within<T>(limit: Duration, asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(limit, asked).await {
        Ok(answer) => answer,
        Err(_) => anyhow::bail!("no answer within {} s", limit.as_secs()),
    }
}

/// Prints what became of it.
fn tell(what: &str, answer: anyhow::Result<String>) -> anyhow::Result<bool> {
    match answer {
        Ok(words) => print::line(format_args!("{what}: answers{words}"))?,
        Err(error) => {
            print::line(format_args!("{what}: {}", in_words(&error)))?;
            return Ok(false);
        }
    }
    Ok(true)
}

async fn database(settings: &Settings, limit: Duration) -> anyhow::Result<String> {
    let url = settings.database.url();
    match DatabaseUrl::parse(url.expose_secret())?.target()? {
        // Connecting would make it.
        Target::Sqlite(Some(file)) if !file.exists() => {
            return Ok(format!(": {} is not there yet and will be made", file.display()));
        }
        _ => {}
    }
    let options = ConnectOptions { max_connections: 2, acquire_timeout: limit, ..ConnectOptions::default() };
    let store = Store::connect(url.expose_secret(), &options).await?;
    let schema = store.schema().await?;
    let revision = match (&schema.upstream, schema.pending.is_empty()) {
        (None, _) => "it is empty".to_owned(),
        (Some(head), true) => format!("upstream schema {}, our tables current", head.as_str()),
        (Some(head), false) => format!("upstream schema {}, our tables to be made or changed", head.as_str()),
    };
    let key = match schema.upstream {
        Some(_) if schema.pending.is_empty() => seal_key(settings, &store).await?,
        _ => "",
    };
    let backend = store.backend().as_str();
    store.close().await;
    Ok(format!(": {backend}, {revision}{key}"))
}

/// Whether the key of the state folder is that of the database's secrets.
async fn seal_key(settings: &Settings, store: &Store) -> anyhow::Result<&'static str> {
    let sealed = store.sealed_texts(SEALED, 1).await?;
    if sealed.is_empty() {
        return Ok("");
    }
    let path = settings.service.state_path.join("secret.key");
    let key = SealKey::load_existing(Path::new(&path))?;
    let key = key.with_context(|| format!("it holds sealed secrets, and {} is missing", path.display()))?;
    anyhow::ensure!(
        sealed.iter().any(|text| key.open(text).is_ok()),
        "it holds secrets that were sealed with another key than {}",
        path.display()
    );
    Ok(", secrets can be opened")
}

/// Keystone, and the services as its catalog has them.
async fn cloud(settings: &Settings, limit: Duration) -> anyhow::Result<bool> {
    let services = match Cloud::configured(settings).and_then(|cloud| {
        let cloud = cloud.context("there is no Keystone")?;
        cloud.services(settings)
    }) {
        Ok(services) => services,
        Err(error) => return tell("keystone", Err(error)),
    };
    let probes = match within(limit, async { Ok(services.probe().await) }).await {
        Ok(probes) => probes,
        Err(error) => return tell("keystone and the services", Err(error)),
    };
    let mut all = true;
    for probe in probes {
        let what = match probe.service {
            Service::Identity => "keystone",
            Service::Image => "glance",
            Service::Compute => "nova",
            Service::Network => "neutron",
        };
        let answer = match probe.problem {
            None if probe.service == Service::Identity => Ok(", and takes our credentials".to_owned()),
            None => Ok(", at the address in the catalog".to_owned()),
            Some(problem) => Err(problem.into()),
        };
        all &= tell(what, answer)?;
    }
    Ok(all)
}
