//! `magnum serve`, `magnum api`, `magnum conductor`.

use std::future::pending;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::Response;
use futures::StreamExt;
use magnum_config::{ConfigError, Settings, Severity};
use magnum_listen::{Listener, Tls, serve_http};
use magnum_policy::Policy;
use magnum_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::{ConfigFiles, Serve};
use crate::cloud::Cloud;
use crate::connections::Connections;
use crate::state_dir::{StateDir, base_url};
use crate::{check, logging, print, wiring};

/// The last message of an event stream when the process ends.
const ENDING: Bytes =
    Bytes::from_static(b"event: end\ndata: {\"reason\":\"The service is being stopped. Come back.\"}\n\n");
/// How long requests in flight may take to end once draining has begun.
const DRAIN: Duration = Duration::from_secs(30);

/// Which parts of the service this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    api: bool,
    conductor: bool,
}

impl Parts {
    pub(crate) const BOTH: Self = Self { api: true, conductor: true };
    pub(crate) const API: Self = Self { api: true, conductor: false };
    pub(crate) const CONDUCTOR: Self = Self { api: false, conductor: true };
}

/// Runs until SIGTERM or SIGINT, then drains.
pub(crate) fn run(files: &ConfigFiles, options: &Serve, parts: Parts) -> anyhow::Result<ExitCode> {
    let settings = wiring::settings(files, &options.state)?;
    let meaning = check::meaning(&settings);
    let has_certificate = settings.api.ssl_cert_file.is_some() && settings.api.ssl_key_file.is_some();
    anyhow::ensure!(
        parts != Parts::API || options.no_tls || !settings.api.enabled_ssl || has_certificate,
        "[api] enabled_ssl needs ssl_cert_file and ssl_key_file"
    );
    if meaning.has_errors() {
        return Err(ConfigError::Invalid(meaning.at_least(Severity::Error)).into());
    }
    logging::init(logging::Logging { debug: settings.log.debug, json: settings.log.use_json });
    for finding in settings.report().findings.iter().chain(&meaning.findings) {
        match finding.severity {
            Severity::Note => tracing::info!("configuration: {finding}"),
            _ => tracing::warn!("configuration: {finding}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(start(files, &settings, options, parts))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(files: &ConfigFiles, settings: &Settings, options: &Serve, parts: Parts) -> anyhow::Result<()> {
    let state = StateDir::open(&settings.service.state_path)?;
    magnum_coe::label::install(&wiring::label_files(settings)?)?;
    // Taken first: a port that is in use should be heard of before anything is made.
    let listener = if parts.api { Some(listen(settings, options).await?) } else { None };
    let (store, seal) = wiring::store(settings, &state).await?;
    say_what_the_schema_lacks(&store).await?;
    let vault = wiring::vault(settings, &store, seal)?;
    let connections = Connections::of_this_process(settings, parts.api, parts.conductor);
    let drivers = wiring::drivers(settings, &store, &vault, &connections)?;
    let policy = Arc::new(wiring::policy(settings)?);
    let shared = wiring::Shared { store, vault, drivers, policy };

    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    if let Some(listener) = listener {
        let bind = listener.local_addr()?;
        let tls = acceptor(settings, options, &state, bind, parts)?;
        let url = settings.identity.public_url.clone().unwrap_or_else(|| base_url(bind, tls.is_some()));
        let cloud = Cloud::configured(settings)?;
        let identity = wiring::identity(settings, &shared.store, &state, cloud.as_ref(), bind, &url).await?;
        let mut router = wiring::api(settings, &shared, identity.authenticator, cloud.as_ref(), tls.is_some(), bind)?;
        if let Some(cloud) = cloud {
            tasks.spawn(cloud.log_in(shutdown.clone()));
        }
        if let Some(routes) = identity.routes {
            router = routes.fallback_service(router);
        }
        let ending = shutdown.clone();
        let router = router.layer(map_response(move |answer| end_stream(answer, ending.clone())));
        let listener = Listener::new("API", listener, &connections.api, connections.limits);
        tasks.spawn(serve_http(listener, tls, router, shutdown.clone(), DRAIN));
        tracing::info!(%url, "ready");
        if parts == Parts::BOTH && identity.built_in {
            say_what_to_type(&state, &url);
        }
    }
    if parts.conductor {
        let conductor = wiring::conductor(settings, &shared);
        tasks.spawn(conductor.run(shutdown.clone()));
    }
    tasks.close();
    notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        () = told_to_end() => {}
        () = reload_on_hangup(files, settings, options, &shared.policy) => {}
        () = tasks.wait() => {}
    }
    tracing::info!("draining");
    notify(&[sd_notify::NotifyState::Stopping]);
    shutdown.cancel();
    tokio::select! {
        () = tasks.wait() => {}
        () = told_to_end() => tracing::warn!("told to end again; not waiting any longer"),
    }
    shared.store.close().await;
    Ok(())
}

/// A database of an older release is used as it is. What it has no column for is refused to tenants, which an operator
/// should hear of first.
async fn say_what_the_schema_lacks(store: &Store) -> anyhow::Result<()> {
    let schema = store.schema().await?;
    if let Some(head) = schema.upstream.filter(|head| !head.has_node_labels()) {
        tracing::warn!(
            "the database has upstream's schema {}, without columns for labels and taints of node groups: requests that set \
             them are refused. To have them, stop every API and conductor, keep a copy of the database, and run this \
             program's own `magnum-db-manage upgrade head`: upstream's would drop the trusts of its Heat clusters",
            head.as_str()
        );
    }
    Ok(())
}

/// An event stream has no end of its own: it would hold draining up. Its reader comes back where it left off.
async fn end_stream(answer: Response, shutdown: CancellationToken) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        return answer;
    }
    answer.map(|body| {
        let told = shutdown.clone();
        let last = futures::stream::once(async move { told.is_cancelled().then_some(Ok(ENDING)) });
        let until = body.into_data_stream().take_until(shutdown.cancelled_owned());
        Body::from_stream(until.chain(last.filter_map(std::future::ready)))
    })
}

async fn listen(settings: &Settings, options: &Serve) -> anyhow::Result<TcpListener> {
    let address = options.bind.unwrap_or_else(|| SocketAddr::new(settings.api.host, settings.api.port));
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} can't be listened on: choose another address with --bind, or end what uses it")
    })
}

/// TLS as configured; where nothing is configured, `magnum serve` makes its own certificate and the API alone,
/// which stands behind a proxy as upstream's does, has none.
fn acceptor(
    settings: &Settings,
    options: &Serve,
    state: &StateDir,
    bind: SocketAddr,
    parts: Parts,
) -> anyhow::Result<Option<Arc<dyn Tls>>> {
    let api = &settings.api;
    if options.no_tls {
        anyhow::ensure!(bind.ip().is_loopback(), "--no-tls is for loopback addresses: {bind} would show passwords");
        return Ok(None);
    }
    let alone = parts == Parts::API;
    let config = match (&api.ssl_cert_file, &api.ssl_key_file) {
        _ if alone && !api.enabled_ssl => return Ok(None),
        (Some(certificate), Some(key)) => magnum_certs::tls::server_config_from_files(certificate, key)?,
        (None, None) if !alone => {
            let mut names = vec![bind.ip().to_string(), "localhost".to_owned()];
            names.dedup();
            magnum_certs::tls::server_config(&magnum_certs::tls::load_or_create(&state.join("tls"), &names)?)?
        }
        _ => anyhow::bail!("[api] ssl_cert_file and ssl_key_file are nothing without each other"),
    };
    Ok(Some(config))
}

async fn told_to_end() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// On SIGHUP: policy files are read anew, and what changed in the configuration is named. Never ends.
async fn reload_on_hangup(files: &ConfigFiles, settings: &Settings, options: &Serve, policy: &Policy) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return pending().await };
    while hangup.recv().await.is_some() {
        match policy.refresh() {
            Ok(changed) => tracing::info!(changed, "policy files looked at"),
            Err(error) => tracing::error!(%error, "the policy files can't be used; the rules stay as they were"),
        }
        match wiring::settings(files, &options.state) {
            Err(error) => tracing::error!(%error, "the configuration can't be used; everything stays as it was"),
            Ok(newer) => {
                logging::set_debug(newer.log.debug);
                for change in settings.changes(&newer).iter().filter(|change| !change.mutable) {
                    tracing::warn!("[{}] {} has changed: restart to have it take effect", change.group, change.name);
                }
            }
        }
    }
    pending().await
}

/// Tells systemd, where it has asked to be told.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

/// What a newcomer does next.
fn say_what_to_type(state: &StateDir, url: &str) {
    print::attempt(format_args!(
        "\nmagnum {} is ready on {url}; everything it keeps is in {}\n\n\
         To use it (python3 -m pip install python-openstackclient python-magnumclient):\n\n    \
         export OS_CLIENT_CONFIG_FILE={} OS_CLOUD=demo\n    \
         openstack coe cluster template create swarm --coe swarm-mode --image local --external-network public\n    \
         openstack coe cluster create first --cluster-template swarm --node-count 2\n    \
         openstack coe cluster list\n",
        env!("CARGO_PKG_VERSION"),
        state.path().display(),
        state.join("clouds.yaml").display(),
    ));
}
