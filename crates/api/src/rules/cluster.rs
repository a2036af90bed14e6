//! What must hold of a cluster and its template.

use magnum_domain::{Caller, Cluster, ClusterTemplate};

use super::resources::{self, Named};
use super::{docker_volume, labels};
use crate::ApiState;
use crate::error::{ApiError, Result};

/// Checks what the template and the body say, before anybody is asked: upstream does so even before the policy.
///
/// # Errors
/// In upstream's words, for the first rule that does not hold.
pub(crate) fn shape(
    api: &ApiState,
    template: &ClusterTemplate,
    docker_volume_size: Option<i32>,
    masters: i32,
) -> Result<()> {
    api.planner.supported(template).map_err(|error| ApiError::invalid(error.to_string()))?;
    docker_volume(template.docker_storage_driver.as_deref(), docker_volume_size.or(template.docker_volume_size))?;
    odd(masters)
}

/// Masters vote: an even number of them survives no more failures than one less.
pub(crate) fn odd(masters: i32) -> Result<()> {
    if masters < 1 || masters % 2 == 0 {
        return Err(ApiError::invalid(format!(
            "master nodegroup size of {masters} is invalid, size cannot be an even number."
        )));
    }
    Ok(())
}

/// Several masters are reached through a load balancer only.
pub(crate) fn balanced(masters: i32, cluster: &Cluster) -> Result<()> {
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

/// What a new cluster names must be there, and its flavors must have something to boot from.
///
/// # Errors
/// In upstream's words, for the first that is not.
pub(crate) async fn found(
    api: &ApiState,
    caller: &Caller,
    cluster: &Cluster,
    template: &ClusterTemplate,
) -> Result<()> {
    let boot_volume = resources::boot_volume(&cluster.labels, api.options.default_boot_volume_size)?;
    let named = Named {
        image: template.image_id.as_deref(),
        external_network: template.external_network_id.as_deref(),
        fixed_network: cluster.fixed_network.as_deref(),
        fixed_subnet: cluster.fixed_subnet.as_deref(),
        keypair: cluster.keypair.as_deref(),
        ..flavors(cluster)
    };
    let found = resources::look_up(api.cloud.as_ref(), caller, named).await;
    found.bootable(boot_volume)?;
    found.all()?;
    labels::refuse(&template.coe, &cluster.labels)
}

/// A cluster that gets other nodes needs the flavors it was made with.
///
/// # Errors
/// When one is gone, or has nothing to boot from.
pub(crate) async fn update(api: &ApiState, caller: &Caller, cluster: &Cluster) -> Result<()> {
    let boot_volume = resources::boot_volume(&cluster.labels, api.options.default_boot_volume_size)?;
    if boot_volume > 0 {
        return Ok(());
    }
    resources::look_up(api.cloud.as_ref(), caller, flavors(cluster)).await.bootable(boot_volume)
}

fn flavors(cluster: &Cluster) -> Named<'_> {
    Named {
        flavor: cluster.flavor_id.as_deref(),
        master_flavor: cluster.master_flavor_id.as_deref(),
        ..Named::default()
    }
}
