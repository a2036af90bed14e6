//! `auth_strategy = noauth`: for development, and for a trusted proxy on the same machine.

use std::net::IpAddr;

use async_trait::async_trait;
use axum::http::{HeaderMap, header};
use magnum_domain::Caller;

use crate::{AuthError, Authenticator, IncomingRequest};

/// Believes the headers that keystonemiddleware would have set, if they come from a loopback address.
///
/// | header | meaning |
/// | --- | --- |
/// | `X-User-Id` | required |
/// | `X-User-Name`, `X-User-Domain-Id`, `X-User-Domain-Name` | of the user; the domain is `default` if not given |
/// | `X-Project-Id`, `X-Project-Name`, `X-Project-Domain-Id` | the project the request is for |
/// | `X-Roles` | names, separated by commas; `admin` implies `member`, which implies `reader` |
/// | `OpenStack-System-Scope` | `all` for a request that is for the whole system |
///
/// The `Host` of a request has to be a name of this machine, too, or one of those given: a web page that has its own name
/// lead here (DNS rebinding) sends that name.
#[derive(Debug, Clone, Default)]
pub struct NoAuth {
    /// Host names beside `localhost` and the loopback addresses, without ports.
    pub hosts: Vec<String>,
}

/// Headers that show that a request came from somewhere else and was passed on.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

#[async_trait]
impl Authenticator for NoAuth {
    async fn authenticate(&self, request: IncomingRequest<'_>) -> Result<Caller, AuthError> {
        let IncomingRequest { headers, peer, .. } = request;
        let from_here = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        if !from_here || FORWARDED.iter().any(|name| headers.contains_key(*name)) {
            return Err(AuthError::NotTrusted);
        }
        if !headers.get_all(header::HOST).iter().all(|host| host.to_str().is_ok_and(|host| self.is_here(host))) {
            return Err(AuthError::ForeignHost);
        }
        let user_id = text(headers, "x-user-id")?.ok_or(AuthError::Missing)?;
        let domain = "default".to_owned();
        let roles = text(headers, "x-roles")?.unwrap_or_default();
        let roles = roles.split(',').map(str::trim).filter(|role| !role.is_empty());
        Ok(Caller {
            user_name: text(headers, "x-user-name")?.unwrap_or_else(|| user_id.clone()),
            user_id,
            user_domain_id: text(headers, "x-user-domain-id")?.unwrap_or_else(|| domain.clone()),
            user_domain_name: text(headers, "x-user-domain-name")?.unwrap_or_else(|| domain.clone()),
            project_name: text(headers, "x-project-name")?,
            project_domain_id: text(headers, "x-project-domain-id")?.or(Some(domain)),
            project_id: text(headers, "x-project-id")?,
            roles: crate::role::names_with_implied(roles),
            system_scope: text(headers, "openstack-system-scope")?,
            ..Caller::default()
        })
    }

    fn challenge(&self) -> Option<String> {
        None
    }
}

impl NoAuth {
    /// Whether a `Host` names this machine.
    fn is_here(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _port)) => address,
            None => host.split(':').next().unwrap_or_default(),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(&name))
    }
}

/// The value of a header; absent if empty.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, AuthError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let value = value.to_str().map_err(|_| AuthError::Invalid)?.trim();
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[tokio::test]
    async fn headers_are_believed_from_loopback_only() {
        type Case = (Option<&'static str>, &'static [(&'static str, &'static str)], Result<&'static str, &'static str>);
        const USER: (&str, &str) = ("x-user-id", "u1");
        let cases: [Case; 10] = [
            (Some("127.0.0.1:9"), &[USER], Ok("u1")),
            (Some("127.3.2.1:9"), &[USER], Ok("u1")),
            (Some("[::1]:9"), &[USER], Ok("u1")),
            (Some("[::ffff:127.0.0.1]:9"), &[USER], Ok("u1")),
            (Some("10.0.0.1:9"), &[USER], Err("believed only")),
            (Some("[fe80::1]:9"), &[USER], Err("believed only")),
            (None, &[USER], Err("believed only")),
            (Some("127.0.0.1:9"), &[USER, ("x-forwarded-for", "10.0.0.1")], Err("believed only")),
            (Some("127.0.0.1:9"), &[], Err("no credentials")),
            (Some("127.0.0.1:9"), &[("x-user-id", "  ")], Err("no credentials")),
        ];
        for (peer, given, expected) in cases {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let got = NoAuth::default()
                .authenticate(IncomingRequest { peer, ..IncomingRequest::with_headers(&headers(given)) })
                .await;
            match (got, expected) {
                (Ok(caller), Ok(user_id)) => assert_eq!(caller.user_id, user_id),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (got, expected) => panic!("{given:?} from {peer:?}: {got:?}, not {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn only_names_of_this_machine_are_believed() {
        let no_auth = NoAuth { hosts: vec!["magnum.example".to_owned()] };
        for (host, believed) in [
            ("localhost", true),
            ("LOCALHOST:9511", true),
            ("localhost.", true),
            ("magnum.localhost:9511", true),
            ("127.0.0.1:9511", true),
            ("127.8.8.8", true),
            ("[::1]:9511", true),
            ("magnum.example:9511", true),
            ("evil.example:9511", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:9511", false),
            ("0.0.0.0:9511", false),
            ("[::2]", false),
            ("", false),
        ] {
            let given = headers(&[("x-user-id", "u1"), ("host", host)]);
            let peer = Some("127.0.0.1:9".parse().unwrap());
            let got = no_auth.authenticate(IncomingRequest { peer, ..IncomingRequest::with_headers(&given) }).await;
            assert_eq!(got.is_ok(), believed, "{host}: {got:?}");
        }
    }

    #[tokio::test]
    async fn every_header_has_its_field() {
        let given = headers(&[
            ("x-user-id", "u1"),
            ("x-user-name", "ann"),
            ("x-project-id", "p1"),
            ("x-project-name", "web"),
            ("x-roles", "member, auditor,,"),
            ("openstack-system-scope", "all"),
        ]);
        let peer = Some("127.0.0.1:1".parse().unwrap());
        let request = IncomingRequest { peer, ..IncomingRequest::with_headers(&given) };
        let caller = NoAuth::default().authenticate(request).await.unwrap();
        assert_eq!(
            caller,
            Caller {
                user_id: "u1".into(),
                user_name: "ann".into(),
                user_domain_id: "default".into(),
                user_domain_name: "default".into(),
                project_id: Some("p1".into()),
                project_name: Some("web".into()),
                project_domain_id: Some("default".into()),
                roles: vec!["member".into(), "auditor".into(), "reader".into()],
                system_scope: Some("all".into()),
                ..Caller::default()
            }
        );
    }
}
