//! What a request names must be found in the cloud. Asked side by side, answered in upstream's order.

use futures::future::OptionFuture;
use magnum_domain::{Caller, Labels};

use super::number_label;
use crate::catalogue::{Catalogue, CatalogueError, Flavor, Image};
use crate::error::{ApiError, Result};

/// Names to look up; what is `None` is not looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    /// Image.
    pub(crate) image: Option<&'a str>,
    /// Flavor of workers.
    pub(crate) flavor: Option<&'a str>,
    /// Flavor of masters.
    pub(crate) master_flavor: Option<&'a str>,
    /// Network that leads outside.
    pub(crate) external_network: Option<&'a str>,
    /// Network of the nodes.
    pub(crate) fixed_network: Option<&'a str>,
    /// Subnet of the nodes.
    pub(crate) fixed_subnet: Option<&'a str>,
    /// Key pair.
    pub(crate) keypair: Option<&'a str>,
}

/// Looks everything up; `boot_volume` is the size of boot volumes in GB, 0 for none.
///
/// # Errors
/// The first that is missing, in the order of the fields of [`Named`].
pub(crate) async fn find(
    catalogue: &dyn Catalogue,
    caller: &Caller,
    named: Named<'_>,
    boot_volume: i64,
) -> Result<Option<Image>> {
    let (image, flavor, master_flavor, external, network, subnet, keypair) = futures::join!(
        OptionFuture::from(named.image.map(|name| catalogue.image(caller, name))),
        OptionFuture::from(named.flavor.map(|name| catalogue.flavor(caller, name))),
        OptionFuture::from(named.master_flavor.map(|name| catalogue.flavor(caller, name))),
        OptionFuture::from(named.external_network.map(|name| catalogue.external_network(caller, name))),
        OptionFuture::from(named.fixed_network.map(|name| catalogue.fixed_network(caller, name))),
        OptionFuture::from(named.fixed_subnet.map(|name| catalogue.fixed_subnet(caller, name))),
        OptionFuture::from(named.keypair.map(|name| catalogue.keypair(caller, name))),
    );
    let image = image.transpose()?;
    for flavor in [flavor, master_flavor] {
        bootable(flavor.transpose()?, boot_volume)?;
    }
    for found in [external, network, subnet, keypair] {
        found.transpose()?;
    }
    Ok(image)
}

fn bootable(flavor: Option<Flavor>, boot_volume: i64) -> Result<()> {
    match flavor {
        Some(flavor) if boot_volume == 0 && flavor.disk == 0 => {
            Err(ApiError::invalid("Flavor with zero root volume size is not supported when boot_volume_size is zero."))
        }
        _ => Ok(()),
    }
}

/// The distribution of an image, which has to be told.
pub(crate) fn distribution(image: &Image, asked: &str) -> Result<String> {
    let distribution = image.os_distro.clone().filter(|word| !word.is_empty());
    distribution.ok_or_else(|| CatalogueError::NoDistribution(asked.to_owned()).into())
}

/// Size of boot volumes in GB: the label's, or the operator's default.
pub(crate) fn boot_volume(labels: &Labels, preset: i64) -> Result<i64> {
    Ok(number_label(labels, "boot_volume_size")?.unwrap_or(preset))
}
