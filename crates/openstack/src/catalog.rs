//! Which address of a service is used.

use std::str::FromStr;

use magnum_domain::credential::Endpoint;
use reqwest::Url;

use crate::{Error, Service};

/// Which of a service's addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    #[default]
    Public,
    /// For the services among themselves.
    Internal,
    /// For administrators; today mostly the same as the internal one.
    Admin,
}

impl Interface {
    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// The text is none of `public`, `internal`, `admin`, `publicURL`, `internalURL`, `adminURL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be public, internal or admin, with or without URL behind it")]
pub struct NoInterface;

impl FromStr for Interface {
    type Err = NoInterface;

    fn from_str(text: &str) -> Result<Self, NoInterface> {
        match text.trim().strip_suffix("URL").unwrap_or(text.trim()) {
            "public" => Ok(Self::Public),
            "internal" => Ok(Self::Internal),
            "admin" => Ok(Self::Admin),
            _ => Err(NoInterface),
        }
    }
}

/// The base address of a service, its version included.
///
/// # Errors
/// [`Error::NoEndpoint`] if the catalog has none that is an address.
pub(crate) fn base(
    endpoints: &[Endpoint],
    service: Service,
    interface: Interface,
    region: Option<&str>,
) -> Result<Url, Error> {
    let fits = |endpoint: &&Endpoint| {
        endpoint.interface == interface.word() && region.is_none_or(|region| endpoint.region == region)
    };
    let of_type = |kind: &&str| endpoints.iter().filter(fits).find(|endpoint| endpoint.service_type == *kind);
    let found = service.types().iter().find_map(of_type);
    found.and_then(|endpoint| versioned(&endpoint.url, service)).ok_or_else(|| Error::NoEndpoint {
        service,
        kind: service.types()[0],
        interface: interface.word(),
        region: region.map(str::to_owned),
    })
}

/// An address with the version whose paths are used. Catalogs give it with or without, or with an older one.
pub(crate) fn versioned(address: &str, service: Service) -> Option<Url> {
    let mut url: Url = address.trim().parse().ok()?;
    let mut segments: Vec<String> = url.path_segments()?.filter(|part| !part.is_empty()).map(str::to_owned).collect();
    url.set_query(None);
    url.set_fragment(None);
    match segments.iter().rposition(|segment| is_version(segment)) {
        // Nova has two that are good and had the project behind them; the others go on as their newest.
        Some(at) if service == Service::Compute => segments.truncate(at + 2),
        Some(at) => {
            segments.truncate(at);
            segments.push(service.version().to_owned());
        }
        None => segments.push(service.version().to_owned()),
    }
    url.path_segments_mut().ok()?.clear().extend(&segments);
    Some(url)
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// An address below a base.
pub(crate) fn below(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_version_that_is_spoken() {
        let table = [
            ("http://c:5000", Service::Identity, Some("http://c:5000/v3")),
            ("http://c:5000/", Service::Identity, Some("http://c:5000/v3")),
            ("http://c:5000/v3/", Service::Identity, Some("http://c:5000/v3")),
            ("http://c:5000/v2.0", Service::Identity, Some("http://c:5000/v3")),
            ("https://c/identity", Service::Identity, Some("https://c/identity/v3")),
            ("https://c/identity/v3", Service::Identity, Some("https://c/identity/v3")),
            ("http://c:9292", Service::Image, Some("http://c:9292/v2")),
            ("http://c:9292/v1", Service::Image, Some("http://c:9292/v2")),
            ("http://c:9292/image/v2/", Service::Image, Some("http://c:9292/image/v2")),
            ("http://c:8774/v2.1", Service::Compute, Some("http://c:8774/v2.1")),
            ("http://c:8774/v2/0123456789abcdef", Service::Compute, Some("http://c:8774/v2/0123456789abcdef")),
            ("http://c/compute", Service::Compute, Some("http://c/compute/v2.1")),
            ("http://c:9696/networking", Service::Network, Some("http://c:9696/networking/v2.0")),
            ("http://c:9696/v2.0", Service::Network, Some("http://c:9696/v2.0")),
            ("nowhere", Service::Network, None),
            ("mailto:x", Service::Network, None),
        ];
        for (address, service, expected) in table {
            let found = versioned(address, service);
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{address}");
        }
    }

    #[test]
    fn an_address_is_chosen_by_type_interface_and_region() {
        let endpoint = |kind: &str, region: &str, interface: &str, url: &str| Endpoint {
            service_type: kind.into(),
            service_name: String::new(),
            region: region.into(),
            interface: interface.into(),
            url: url.into(),
        };
        let endpoints = [
            endpoint("image", "one", "public", "http://a/v2"),
            endpoint("image", "one", "internal", "http://b/v2"),
            endpoint("image", "two", "public", "http://c/v2"),
            endpoint("computev21", "one", "public", "http://d/v2.1"),
            endpoint("network", "one", "public", ""),
        ];
        let table = [
            (Service::Image, "public", None, Ok("http://a/v2")),
            (Service::Image, "internalURL", None, Ok("http://b/v2")),
            (Service::Image, "publicURL", Some("two"), Ok("http://c/v2")),
            (Service::Image, "admin", None, Err("admin endpoint for image service not found")),
            (
                Service::Image,
                "internal",
                Some("two"),
                Err("internal endpoint for image service in two region not found"),
            ),
            (Service::Compute, "public", Some("one"), Ok("http://d/v2.1")),
            (Service::Network, "public", None, Err("public endpoint for network service not found")),
        ];
        for (service, interface, region, expected) in table {
            let found = base(&endpoints, service, interface.parse().unwrap(), region);
            let found = found.as_ref().map(Url::as_str).map_err(ToString::to_string);
            assert_eq!(found, expected.map_err(str::to_owned), "{service} {interface} {region:?}");
        }
        assert!("Public".parse::<Interface>().is_err());
    }

    #[test]
    fn names_cannot_leave_their_segment() {
        let base: Url = "http://c/v2.1".parse().unwrap();
        let url = below(&base, &["os-keypairs", "../a b/c?d"], &[("name", "x&y=z")]);
        assert_eq!(url.as_str(), "http://c/v2.1/os-keypairs/..%2Fa%20b%2Fc%3Fd?name=x%26y%3Dz");
    }
}
