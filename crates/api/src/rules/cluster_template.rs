//! What must hold within a cluster template.

use magnum_domain::{Caller, ClusterTemplate};

use super::resources::{self, Found, Named};
use super::{coe, docker_volume, labels};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Checks what a new template says, before anybody is asked, and fills in its network driver.
///
/// # Errors
/// In upstream's words, for the first rule that does not hold.
pub(crate) fn shape(api: &ApiState, template: &mut ClusterTemplate) -> Result<()> {
    engine(api, template)?;
    docker_volume(template.docker_storage_driver.as_deref(), template.docker_volume_size)
}

/// Checks the drivers of a new or changed template by its engine, and fills in the network driver.
///
/// # Errors
/// As [`shape`].
pub(crate) fn engine(api: &ApiState, template: &mut ClusterTemplate) -> Result<()> {
    let coe = coe::find(&template.coe)?;
    let drivers = api.options.network_drivers.get(coe.name);
    let named = template.network_driver.as_deref().filter(|driver| !driver.is_empty());
    template.network_driver = Some(coe.network(named, drivers)?);
    coe.volume(template.volume_driver.as_deref().filter(|driver| !driver.is_empty()))
}

/// What a template names must be there. A new template gets what follows from its image: its distribution and, unless
/// it names one, its driver.
///
/// # Errors
/// In upstream's words, for the first that is not.
pub(crate) async fn create(api: &ApiState, caller: &Caller, template: &mut ClusterTemplate) -> Result<Found> {
    let found = look_up(api, caller, template).await;
    let (image, distribution) = found.image()?;
    template.cluster_distro = Some(distribution.to_owned());
    let named = template.driver.take().or_else(|| image.magnum_driver.clone());
    template.driver = named.or_else(|| api.options.default_driver.clone());
    api.planner.supported(template).map_err(|error| ApiError::invalid(error.to_string()))?;
    found.all()?;
    labels::refuse(&template.coe, &template.labels)?;
    Ok(found)
}

/// What a changed template names must be there. The image's distribution and the driver are the caller's to keep in
/// step, as upstream has it.
///
/// # Errors
/// As [`create`].
pub(crate) async fn update(api: &ApiState, caller: &Caller, template: &ClusterTemplate) -> Result<Found> {
    let found = look_up(api, caller, template).await;
    found.all()?;
    labels::refuse(&template.coe, &template.labels)?;
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
