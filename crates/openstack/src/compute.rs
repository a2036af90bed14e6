//! Nova: flavors by id or name, key pairs by name.

use magnum_domain::cloud::Flavor;
use serde::Deserialize;

use crate::client::{Asker, ServiceClient};
use crate::{Error, Service};

/// Flavors in one answer; Nova gives fewer if it is set up so.
const PAGE: &str = "1000";
/// Pages that are read at most.
const PAGES: usize = 20;

#[derive(Deserialize)]
struct Page {
    flavors: Vec<Document>,
    #[serde(default, rename = "flavors_links")]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    name: String,
    disk: i64,
}

#[derive(Deserialize)]
struct Link {
    rel: String,
}

/// The flavor of an id or name, among those the asker may use.
///
/// Nova has no filter for names, so all are read, which also keeps from administrators what they could only find by id.
pub(crate) async fn flavor(nova: &ServiceClient, asker: Asker<'_>, name: &str) -> Result<Option<Flavor>, Error> {
    debug_assert_eq!(nova.service(), Service::Compute);
    let mut marker: Option<String> = None;
    let mut named = None;
    for _ in 0..PAGES {
        let mut query = vec![("limit", PAGE)];
        query.extend(marker.as_deref().map(|marker| ("marker", marker)));
        let page: Page = nova.get(asker, &["flavors", "detail"], &query).await?;
        marker = page
            .links
            .iter()
            .any(|link| link.rel == "next")
            .then(|| page.flavors.last())
            .flatten()
            .map(|last| last.id.clone());
        for Document { id, name: called, disk } in page.flavors {
            if id == name {
                return Ok(Some(Flavor { id, name: called, disk }));
            }
            if called == name {
                named.get_or_insert(Flavor { id, name: called, disk });
            }
        }
        if marker.is_none() {
            break;
        }
    }
    Ok(named)
}

/// Whether the asker has a key pair of this name.
pub(crate) async fn has_keypair(nova: &ServiceClient, asker: Asker<'_>, name: &str) -> Result<bool, Error> {
    let found = nova.find::<serde::de::IgnoredAny>(asker, &["os-keypairs", name]).await?;
    Ok(found.is_some())
}
