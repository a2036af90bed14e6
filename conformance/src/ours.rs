//! Our own API, in this process: no network, no conductor, so nothing of a cluster is made.

use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Request as HttpRequest};
use magnum_api::{ApiOptions, ApiState, DriverPlanner, Metrics};
use magnum_certs::{KeyKind, SealKey, Vault};
use magnum_domain::driver::{
    ClusterType, Driver, DriverError, Drivers, Facts, Health, NodeDemand, Plan, Progress, Snapshot, Step,
};
use magnum_domain::{ClusterTemplate, HealthStatus, Labels, OperationKind};
use magnum_policy::Policy;
use prometheus_client::registry::Registry;
use tower::ServiceExt as _;

use crate::case::Request;
use crate::database::{self, Database};
use crate::seed::Seed;
use crate::subject::{HOST, Raw, Subject};
use crate::surroundings::Surroundings;

/// Days that what is signed is valid, as in upstream's configuration.
const VALIDITY_DAYS: u32 = 1825;

/// A driver that makes nothing: as `lab_driver.py` for upstream.
struct Nothing {
    name: &'static str,
    os: &'static str,
    is_simple: bool,
}

#[async_trait]
impl Driver for Nothing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn provides(&self) -> Vec<ClusterType> {
        vec![ClusterType { server_type: "vm".into(), os: self.os.into(), coe: "kubernetes".into() }]
    }

    fn supports(&self, kind: OperationKind) -> bool {
        use OperationKind::{RotateCa, RotateCredential, Upgrade};
        !(self.is_simple && matches!(kind, RotateCa | RotateCredential | Upgrade))
    }

    fn resizes_masters(&self) -> bool {
        !self.is_simple
    }

    async fn preflight(&self, _: &ClusterTemplate, _: &Labels, _: NodeDemand) -> Result<(), DriverError> {
        Ok(())
    }

    async fn plan(&self, _: &Snapshot) -> Result<Plan, DriverError> {
        Ok(Plan::default())
    }

    async fn apply(&self, _: &Step, _: &Snapshot, _: &dyn Progress) -> Result<(), DriverError> {
        Ok(())
    }

    async fn facts(&self, _: &Snapshot) -> Result<Facts, DriverError> {
        Ok(Facts::default())
    }

    async fn health(&self, _: &Snapshot) -> Health {
        Health { status: HealthStatus::Unknown, reason: Labels::new() }
    }

    async fn resume(&self, _: &Snapshot) -> Result<(), DriverError> {
        Ok(())
    }
}

/// Our API over a database of its own.
pub struct Ours {
    router: Router,
    database: Database,
}

impl Ours {
    /// Our API on a database that is empty or has upstream's tables, with the seed in it.
    ///
    /// # Errors
    /// When the database can't be used.
    pub async fn start(database_url: &str, seed: &Seed, surroundings: &Surroundings) -> Result<Self> {
        let store = database::store(database_url).await?;
        let vault = Vault::new(store.clone(), SealKey::ephemeral()?).making(VALIDITY_DAYS, KeyKind::P256);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let drivers: Vec<Arc<dyn Driver>> = vec![
            Arc::new(Nothing { name: "lab_fedora_coreos", os: "fedora-coreos", is_simple: false }),
            Arc::new(Nothing { name: "lab_simple", os: "flatcar", is_simple: true }),
        ];
        let router = magnum_api::router(ApiState {
            store,
            policy: Arc::new(Policy::defaults()),
            authenticator: Arc::clone(&surroundings.authenticator),
            vault,
            planner: Arc::new(DriverPlanner::new(Drivers::new(drivers))),
            cloud: Arc::clone(&surroundings.cloud),
            metrics,
            registry: Arc::new(registry),
            options: ApiOptions::default(),
        });
        Ok(Self { router, database: Database::open(database_url, seed, &surroundings.translation).await? })
    }
}

#[async_trait]
impl Subject for Ours {
    async fn send(&mut self, request: &Request) -> Result<Raw> {
        let path = request.path.as_str();
        let mut asked = HttpRequest::builder().method(request.method.as_str()).uri(path).header("host", HOST);
        if request.person != "nobody" {
            asked = asked.header("x-auth-token", &request.person);
        }
        for (name, value) in &request.headers {
            let value = HeaderValue::from_bytes(value.as_bytes())?;
            asked = asked.header(HeaderName::try_from(name.as_str())?, value);
        }
        if let Some(body) = &request.body {
            asked = asked.header("content-length", body.len());
        }
        let asked = asked.body(Body::from(request.body.clone().unwrap_or_default()))?;
        let answer = self.router.clone().oneshot(asked).await?;
        let mut raw = Raw { status: answer.status().as_u16(), ..Raw::default() };
        for (name, value) in answer.headers() {
            raw.header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
        let body = to_bytes(answer.into_body(), usize::MAX).await.context("the body broke off")?;
        // The server that is not here would leave the body of such an answer out.
        if request.method != "HEAD" {
            raw.body = String::from_utf8_lossy(&body).into_owned();
        }
        Ok(raw)
    }

    async fn reset(&mut self) -> Result<()> {
        self.database.reset().await
    }
}
