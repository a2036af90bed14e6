//! What must hold within a cluster template.

use magnum_domain::{Caller, ClusterTemplate};

use super::resources::{self, Named};
use super::{coe, docker_volume};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Checks a new template, and fills in what follows from its image and its engine.
///
/// # Errors
/// In upstream's words, for the first rule that does not hold.
pub(crate) async fn create(api: &ApiState, caller: &Caller, template: &mut ClusterTemplate) -> Result<()> {
    engine(api, template)?;
    docker_volume(template.docker_storage_driver.as_deref(), template.docker_volume_size)?;
    let image = look_up(api, caller, template).await?;
    let asked = template.image_id.clone().unwrap_or_default();
    let image = image.ok_or_else(|| ApiError::invalid(format!("Image {asked} could not be found.")))?;
    template.cluster_distro = Some(resources::distribution(&image, &asked)?);
    let named = template.driver.take().or(image.magnum_driver).or_else(|| api.options.default_driver.clone());
    template.driver = named;
    api.planner.supported(template).map_err(|error| ApiError::invalid(error.to_string()))
}

/// Checks a changed template. The image's distribution and the driver are the caller's to keep in step, as upstream has it.
///
/// # Errors
/// As [`create`].
pub(crate) async fn update(api: &ApiState, caller: &Caller, template: &mut ClusterTemplate) -> Result<()> {
    engine(api, template)?;
    look_up(api, caller, template).await.map(drop)
}

fn engine(api: &ApiState, template: &mut ClusterTemplate) -> Result<()> {
    let coe = coe::find(&template.coe)?;
    let drivers = api.options.network_drivers.get(coe.name);
    template.network_driver = Some(coe.network(template.network_driver.as_deref(), drivers)?);
    coe.volume(template.volume_driver.as_deref())
}

async fn look_up(
    api: &ApiState,
    caller: &Caller,
    template: &ClusterTemplate,
) -> Result<Option<crate::catalogue::Image>> {
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
    let boot_volume = resources::boot_volume(&template.labels, api.options.default_boot_volume_size)?;
    resources::find(api.catalogue.as_ref(), caller, named, boot_volume).await
}
