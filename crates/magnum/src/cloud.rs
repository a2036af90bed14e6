//! The OpenStack cloud that the configuration names, if it names one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use magnum_config::{GetError, IdentityBackend, Settings};
use magnum_domain::cloud::CloudLookup;
use magnum_identity::{Authenticator, Keystone, KeystoneOptions};
use magnum_openstack::{
    Login, OpenStackCloud, Remembered, ServiceOptions, Session, SessionOptions, TlsOptions, Transport, TransportOptions,
};
use tokio_util::sync::CancellationToken;

/// Where tokens are checked.
const AUTHTOKEN: &str = "keystone_authtoken";
/// What the service itself is in OpenStack.
const AUTH: &str = "keystone_auth";
/// Pause between two attempts to log in at the start.
const LOGIN_PAUSE: Duration = Duration::from_secs(10);

/// A cloud.
pub(crate) struct Cloud {
    keystone: Arc<Session>,
}

impl Cloud {
    /// The cloud of the configuration; nothing if callers are known otherwise than by a Keystone.
    pub(crate) fn configured(settings: &Settings) -> anyhow::Result<Option<Self>> {
        if settings.identity.backend != Some(IdentityBackend::Keystone) {
            return Ok(None);
        }
        let login = Login::for_validation(settings)?;
        let options = SessionOptions {
            interface: settings.get::<String>(AUTHTOKEN, "interface")?.parse()?,
            region: settings.get(AUTHTOKEN, "region_name")?,
        };
        let retries: u32 = settings.get(AUTHTOKEN, "http_request_max_retries")?;
        let defaults = TransportOptions::default();
        let connect_timeout = settings.get::<Option<Duration>>(AUTHTOKEN, "http_connect_timeout")?;
        let transport = Transport::new(TransportOptions {
            connect_timeout: connect_timeout.unwrap_or(defaults.connect_timeout),
            attempts: retries.saturating_add(1),
            tls: tls(settings, &[(AUTHTOKEN, ""), (AUTH, "")])?,
            ..defaults
        })?;
        Ok(Some(Self { keystone: Arc::new(Session::new(transport, login, options)) }))
    }

    /// Whoever has a token of this cloud.
    pub(crate) fn authenticator(&self, settings: &Settings) -> Result<Arc<dyn Authenticator>, GetError> {
        let seconds: i64 = settings.get(AUTHTOKEN, "token_cache_time")?;
        Ok(Arc::new(Keystone::new(
            Arc::clone(&self.keystone),
            KeystoneOptions {
                www_authenticate_uri: settings.get(AUTHTOKEN, "www_authenticate_uri")?,
                token_cache_time: u64::try_from(seconds).ok().map(Duration::from_secs),
                service_token_roles: settings.get(AUTHTOKEN, "service_token_roles")?,
                service_token_roles_required: settings.get(AUTHTOKEN, "service_token_roles_required")?,
                service_type: settings.get(AUTHTOKEN, "service_type")?,
                delay_auth_decision: settings.get(AUTHTOKEN, "delay_auth_decision")?,
            },
        )))
    }

    /// What there is in this cloud.
    pub(crate) fn cloud(&self, settings: &Settings) -> anyhow::Result<Arc<dyn CloudLookup>> {
        let cloud = self.services(settings)?;
        let time: Duration = settings.get("cloud", "lookup_cache_time")?;
        Ok(if time.is_zero() { Arc::new(cloud) } else { Arc::new(Remembered::new(cloud, time)) })
    }

    /// Its services, each asked as its group of the configuration says.
    pub(crate) fn services(&self, settings: &Settings) -> anyhow::Result<OpenStackCloud> {
        // Services that are spoken to in the same way share their connections.
        let mut transports: Vec<(TransportOptions, Transport)> = Vec::new();
        let mut service = |group| -> anyhow::Result<(Transport, ServiceOptions)> {
            let defaults = TransportOptions::default();
            let options = TransportOptions {
                timeout: settings.get::<Option<Duration>>(AUTH, "timeout")?.unwrap_or(defaults.timeout),
                tls: tls(settings, &[(group, "_"), (AUTH, ""), (AUTHTOKEN, "")])?,
                ..defaults
            };
            let transport = match transports.iter().find(|(known, _)| *known == options) {
                Some((_, transport)) => transport.clone(),
                None => {
                    let transport = Transport::new(options.clone())?;
                    transports.push((options, transport.clone()));
                    transport
                }
            };
            let interface = settings.get::<String>(group, "endpoint_type")?.parse()?;
            Ok((transport, ServiceOptions { interface, region: settings.get(group, "region_name")? }))
        };
        let (glance, nova, neutron) = (service("glance_client")?, service("nova_client")?, service("neutron_client")?);
        Ok(OpenStackCloud::new(Arc::clone(&self.keystone), glance, nova, neutron))
    }

    /// Logs in, so that the operator reads of wrong credentials at the start and not with the first request.
    pub(crate) async fn log_in(self, shutdown: CancellationToken) {
        while let Err(error) = self.keystone.log_in().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "there is no token to check others with yet");
            tokio::select! {
                () = tokio::time::sleep(LOGIN_PAUSE) => {}
                () = shutdown.cancelled() => return,
            }
        }
        tracing::debug!(url = %self.keystone.login().url, "logged in");
    }
}

/// How certificates are checked, by the first of some groups that says so, and which is shown, by the first that names
/// one: a group's `insecure` must not undo the `cafile` of another. Groups spell `ca_file` or `cafile`.
fn tls(settings: &Settings, groups: &[(&str, &str)]) -> Result<TlsOptions, GetError> {
    let file = |group: &str, joint: &str, what: &str| -> Result<Option<PathBuf>, GetError> {
        let path: Option<PathBuf> = settings.get(group, &format!("{what}{joint}file"))?;
        Ok(path.filter(|path| !path.as_os_str().is_empty()))
    };
    let mut options = TlsOptions::default();
    for (group, joint) in groups {
        let ca_file = file(group, joint, "ca")?;
        if ca_file.is_some() || settings.given(group, "insecure").is_some() {
            options.insecure = settings.get(group, "insecure")?;
            options.ca_file = ca_file;
            break;
        }
    }
    for (group, joint) in groups {
        options.cert_file = file(group, joint, "cert")?;
        options.key_file = file(group, joint, "key")?;
        if options.cert_file.is_some() {
            break;
        }
    }
    Ok(options)
}
