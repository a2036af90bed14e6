//! Glance: images by id or name.

use magnum_domain::cloud::Image;
use serde::Deserialize;

use crate::client::{Asker, ServiceClient, is_id};
use crate::{Error, Service};

/// Images in one answer. Databases may take names for the same that differ in case, so more than one may not be it.
const PAGE: &str = "100";

#[derive(Deserialize)]
struct Page {
    images: Vec<Document>,
}

/// Properties are fields like any other.
#[derive(Deserialize)]
struct Document {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    os_distro: Option<String>,
    #[serde(default)]
    magnum_driver: Option<String>,
}

impl From<Document> for Image {
    fn from(document: Document) -> Self {
        let Document { id, name, os_distro, magnum_driver } = document;
        Self { id, name: name.unwrap_or_default(), os_distro, magnum_driver }
    }
}

/// Images of an id or, if there is none, of a name; hidden ones if there are no others.
pub(crate) async fn images(glance: &ServiceClient, asker: Asker<'_>, name: &str) -> Result<Vec<Image>, Error> {
    debug_assert_eq!(glance.service(), Service::Image);
    if is_id(name)
        && let Some(found) = glance.find::<Document>(asker, &["images", name]).await?
    {
        return Ok(vec![found.into()]);
    }
    let wanted = literal(name);
    for hidden in ["false", "true"] {
        let query = [("name", wanted.as_str()), ("os_hidden", hidden), ("limit", PAGE)];
        let page: Page = glance.get(asker, &["images"], &query).await?;
        let found: Vec<Image> = page.images.into_iter().map(Image::from).filter(|image| image.name == name).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A name as a filter. `in:` before it would make a list of it, in which quotation marks keep a name together.
fn literal(name: &str) -> String {
    if name.starts_with("in:") { format!("in:\"{}\"", name.replace('"', "\\\"")) } else { name.to_owned() }
}
