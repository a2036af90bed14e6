//! What must hold of a cluster and its template.

use magnum_domain::{Caller, Cluster, ClusterTemplate};

use super::docker_volume;
use super::resources::{self, Named};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Checks a new cluster.
///
/// # Errors
/// In upstream's words, for the first rule that does not hold.
pub(crate) async fn create(
    api: &ApiState,
    caller: &Caller,
    cluster: &Cluster,
    template: &ClusterTemplate,
    masters: i32,
) -> Result<()> {
    api.planner.supported(template).map_err(|error| ApiError::invalid(error.to_string()))?;
    docker_volume(template.docker_storage_driver.as_deref(), cluster.docker_volume_size)?;
    if masters % 2 == 0 {
        return Err(ApiError::invalid(format!(
            "master nodegroup size of {masters} is invalid, size cannot be an even number."
        )));
    }
    look_up(api, caller, cluster, template).await?;
    if masters > 1 && !cluster.master_lb_enabled {
        return Err(ApiError::invalid("master_count must be 1 when master_lb_enabled is False"));
    }
    Ok(())
}

/// Whether a user who is no administrator may use a template for a cluster.
///
/// # Errors
/// 403 for hidden ones, even one's own.
pub(crate) fn usable(caller: &Caller, template: &ClusterTemplate) -> Result<()> {
    if template.hidden && !caller.is_admin {
        return Err(ApiError::Forbidden("Not authorized.".to_owned()));
    }
    Ok(())
}

async fn look_up(api: &ApiState, caller: &Caller, cluster: &Cluster, template: &ClusterTemplate) -> Result<()> {
    let named = Named {
        image: template.image_id.as_deref(),
        flavor: cluster.flavor_id.as_deref(),
        master_flavor: cluster.master_flavor_id.as_deref(),
        external_network: template.external_network_id.as_deref(),
        fixed_network: cluster.fixed_network.as_deref(),
        fixed_subnet: cluster.fixed_subnet.as_deref(),
        keypair: cluster.keypair.as_deref(),
    };
    let boot_volume = resources::boot_volume(&cluster.labels, api.options.default_boot_volume_size)?;
    resources::find(api.catalogue.as_ref(), caller, named, boot_volume).await.map(drop)
}
