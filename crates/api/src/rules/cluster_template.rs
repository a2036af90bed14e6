//! What must hold within a cluster template.

use magnum_domain::{Caller, ClusterTemplate};
use serde_json::{Map, Value};

use super::resources::{self, Found, Named};
use super::{coe, docker_volume, labels};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Which fields of a template a request sets: all of a new one, or those that a patch changes. A rule is asked only when
/// something it is about was set, so that a template that has become wrong otherwise can be renamed, hidden or mended.
pub(crate) enum Changed<'a> {
    /// It is a new template.
    All,
    /// A patch; the new values by field.
    Some(&'a Map<String, Value>),
}

impl Changed<'_> {
    fn any(&self, names: &[&str]) -> bool {
        match self {
            Self::All => true,
            Self::Some(changed) => names.iter().any(|name| changed.contains_key(*name)),
        }
    }
}

/// Checks what a template says, before anybody is asked. A new one gets its network driver.
///
/// # Errors
/// In upstream's words, for the first rule that does not hold.
pub(crate) fn shape(api: &ApiState, template: &mut ClusterTemplate, changed: &Changed<'_>) -> Result<()> {
    if changed.any(&["coe", "network_driver", "volume_driver"]) {
        let coe = coe::find(&template.coe)?;
        if changed.any(&["coe", "network_driver"]) {
            let drivers = api.options.network_drivers.get(coe.name);
            let named = template.network_driver.as_deref().filter(|driver| !driver.is_empty());
            let network_driver = coe.network(named, drivers)?;
            if matches!(changed, Changed::All) {
                template.network_driver = Some(network_driver);
            }
        }
        coe.volume(template.volume_driver.as_deref().filter(|driver| !driver.is_empty()))?;
    }
    if changed.any(&["docker_storage_driver", "docker_volume_size"]) {
        docker_volume(template.docker_storage_driver.as_deref(), template.docker_volume_size)?;
    }
    Ok(())
}

/// What a template names must be there, and a driver must be able to make clusters of it. A new template gets what follows
/// from its image: its distribution and, unless it names one, its driver.
///
/// # Errors
/// In upstream's words, for the first that is not.
pub(crate) async fn found(
    api: &ApiState,
    caller: &Caller,
    template: &mut ClusterTemplate,
    changed: &Changed<'_>,
) -> Result<Found> {
    let found = look_up(api, caller, template).await;
    if matches!(changed, Changed::All) {
        let (image, distribution) = found.image()?;
        template.cluster_distro = Some(distribution.to_owned());
        let named = template.driver.take().or_else(|| image.magnum_driver.clone());
        template.driver = named.or_else(|| api.options.default_driver.clone());
    } else if changed.any(&["image_id", "cluster_distro"]) {
        let (_, distribution) = found.image()?;
        let said = template.cluster_distro.as_deref().unwrap_or_default();
        if said != distribution {
            return Err(ApiError::invalid(format!(
                "The cluster_distro {said} does not fit the image {}, whose os_distro is {distribution}. Change both in one \
                 request.",
                template.image_id.as_deref().unwrap_or_default()
            )));
        }
    }
    if changed.any(&["driver", "server_type", "coe", "cluster_distro", "image_id"]) {
        api.planner.supported(template).map_err(|error| ApiError::invalid(error.to_string()))?;
    }
    found.all()?;
    labels::refuse(&template.coe, &template.labels)?;
    let about_driver = ["driver", "coe", "labels", "docker_storage_driver", "network_driver", "volume_driver"];
    if changed.any(&about_driver) && api.planner.supported(template).is_ok() {
        api.planner.accepts(template, &template.labels).map_err(|error| ApiError::invalid(format!("{error}.")))?;
    }
    Ok(found)
}

/// The flavors must have something to boot from. Checked last, as upstream does.
///
/// # Errors
/// When a flavor has no disk and there is no boot volume.
pub(crate) fn bootable(api: &ApiState, template: &ClusterTemplate, found: &Found) -> Result<()> {
    found.bootable(resources::boot_volume(&template.labels, api.options.default_boot_volume_size)?)
}

async fn look_up(api: &ApiState, caller: &Caller, template: &ClusterTemplate) -> Found {
    let named = Named {
        image: template.image_id.as_deref(),
        flavor: template.flavor_id.as_deref(),
        master_flavor: template.master_flavor_id.as_deref(),
        external_network: template.external_network_id.as_deref(),
        fixed_network: template.fixed_network.as_deref(),
        fixed_subnet: template.fixed_subnet.as_deref(),
        // Whether the key pair exists is a matter of who makes a cluster.
        keypair: None,
    };
    resources::look_up(api.cloud.as_ref(), caller, named).await
}
