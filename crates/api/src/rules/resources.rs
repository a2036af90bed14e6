//! What a request names must be found in the cloud. Asked side by side, answered in upstream's order.

use futures::future::OptionFuture;
use magnum_domain::cloud::{CloudLookup, Flavor, Image, LookupError};
use magnum_domain::{Caller, Labels};

use super::number_label;
use crate::error::{ApiError, Result};

/// Names to look up; what is `None` is not looked up, and neither is an empty name.
///
/// Upstream looks up a missing flavor as well, by the name `None`, which it never finds. Nobody can want that.
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

type Looked<T> = Option<Result<T, LookupError>>;

/// What was found, or why not, for each of [`Named`]. Which failure a client hears of first depends on the request.
pub(crate) struct Found {
    asked_image: String,
    image: Looked<Image>,
    flavor: Looked<Flavor>,
    master_flavor: Looked<Flavor>,
    /// Networks, subnet and key pair, in upstream's order.
    others: [Looked<()>; 4],
}

/// Looks everything up, side by side: the answer takes as long as the slowest lookup.
pub(crate) async fn look_up(cloud: &dyn CloudLookup, caller: &Caller, named: Named<'_>) -> Found {
    let is_given = |name: &&str| !name.is_empty();
    let (flavor, master_flavor) = (named.flavor.filter(is_given), named.master_flavor.filter(is_given));
    // Mostly both are the same.
    let second = master_flavor.filter(|name| Some(*name) != flavor);
    let (image, flavor, second, external, network, subnet, keypair) = futures::join!(
        OptionFuture::from(named.image.filter(is_given).map(|name| cloud.image(caller, name))),
        OptionFuture::from(flavor.map(|name| cloud.flavor(caller, name))),
        OptionFuture::from(second.map(|name| cloud.flavor(caller, name))),
        OptionFuture::from(named.external_network.filter(is_given).map(|name| cloud.external_network(caller, name))),
        OptionFuture::from(named.fixed_network.filter(is_given).map(|name| cloud.fixed_network(caller, name))),
        OptionFuture::from(named.fixed_subnet.filter(is_given).map(|name| cloud.fixed_subnet(caller, name))),
        OptionFuture::from(named.keypair.filter(is_given).map(|name| cloud.keypair(caller, name))),
    );
    let master_flavor = if master_flavor.is_some() && second.is_none() { flavor.clone() } else { second };
    Found {
        asked_image: named.image.unwrap_or_default().to_owned(),
        image,
        flavor,
        master_flavor,
        others: [external, network, subnet, keypair],
    }
}

impl Found {
    /// The image, whose distribution must be told.
    ///
    /// # Errors
    /// When it was not found, or does not say its distribution.
    pub(crate) fn image(&self) -> Result<(&Image, &str)> {
        let asked = &self.asked_image;
        let image = match &self.image {
            Some(found) => found.as_ref().map_err(Clone::clone)?,
            None => return Err(ApiError::invalid(format!("Image {asked} could not be found."))),
        };
        let distribution = image.os_distro.as_deref().filter(|word| !word.is_empty());
        let distribution = distribution.ok_or_else(|| LookupError::NoDistribution(asked.clone()))?;
        Ok((image, distribution))
    }

    /// Everything that was named must be there.
    ///
    /// # Errors
    /// The first that is not, in the order of the fields of [`Named`].
    pub(crate) fn all(&self) -> Result<()> {
        if self.image.is_some() {
            self.image()?;
        }
        for flavor in [&self.flavor, &self.master_flavor] {
            flavor.as_ref().map_or(Ok(()), |found| found.as_ref().map(drop).map_err(Clone::clone))?;
        }
        for found in &self.others {
            found.clone().transpose()?;
        }
        Ok(())
    }

    /// Nodes without a boot volume boot from their flavor's disk, which has to be one. Where there is a boot volume of
    /// `boot_volume` GB, flavors are not looked at here.
    ///
    /// # Errors
    /// When a flavor was not found, or has no disk.
    pub(crate) fn bootable(&self, boot_volume: i64) -> Result<()> {
        const NO_DISK: &str = "Flavor with zero root volume size is not supported when boot_volume_size is zero.";
        if boot_volume > 0 {
            return Ok(());
        }
        for flavor in [&self.flavor, &self.master_flavor].into_iter().flatten() {
            let flavor = flavor.as_ref().map_err(Clone::clone)?;
            if boot_volume == 0 && flavor.disk == 0 {
                return Err(ApiError::invalid(NO_DISK));
            }
        }
        Ok(())
    }
}

/// Size of boot volumes in GB: the label's, or the operator's default.
pub(crate) fn boot_volume(labels: &Labels, preset: i64) -> Result<i64> {
    Ok(number_label(labels, "boot_volume_size")?.unwrap_or(preset))
}
