//! Neutron: networks and subnets by id or name.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::client::{Asker, ServiceClient, is_id};
use crate::{Error, Service};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkResource {
    /// A network that leads outside.
    ExternalNetwork,
    /// Any network.
    Network,
    /// A subnet.
    Subnet,
}

#[derive(Deserialize)]
struct Page {
    #[serde(alias = "networks", alias = "subnets")]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    name: String,
}

/// How many of a kind have this as their id or name, among those the asker may see.
pub(crate) async fn count(
    neutron: &ServiceClient,
    asker: Asker<'_>,
    kind: NetworkResource,
    name: &str,
) -> Result<usize, Error> {
    debug_assert_eq!(neutron.service(), Service::Network);
    let path = if kind == NetworkResource::Subnet { "subnets" } else { "networks" };
    let by = async |field| {
        let mut query = vec![(field, name), ("fields", "id"), ("fields", "name")];
        if kind == NetworkResource::ExternalNetwork {
            query.push(("router:external", "true"));
        }
        neutron.get::<Page>(asker, &[path], &query).await
    };
    let by_id = async { if is_id(name) { by("id").await.map(Some) } else { Ok(None) } };
    let (by_id, by_name) = tokio::try_join!(by_id, by("name"))?;
    // Databases may take names for the same that differ in case.
    let is_it = |row: &Row| row.id == name || row.name == name;
    let rows = by_id.into_iter().chain([by_name]).flat_map(|page| page.rows);
    Ok(rows.filter(is_it).map(|row| row.id).collect::<BTreeSet<_>>().len())
}
