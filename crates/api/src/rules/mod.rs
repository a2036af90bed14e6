//! What must hold between the fields of a request, and what they name must exist (§15 of the reference).

pub(crate) mod cluster;
pub(crate) mod cluster_template;
pub(crate) mod coe;
pub(crate) mod effects;
pub(crate) mod labels;
pub(crate) mod nodegroup;
pub(crate) mod resources;
pub(crate) mod size;

use magnum_domain::Labels;

use crate::error::{ApiError, Result};

/// Smallest volume for containers with the storage driver `devicemapper`, in GB.
const DEVICEMAPPER_MINIMUM: i32 = 3;

/// The volume for containers must be large enough for its storage driver.
pub(crate) fn docker_volume(driver: Option<&str>, size: Option<i32>) -> Result<()> {
    if driver == Some("devicemapper") && size.is_none_or(|size| size < DEVICEMAPPER_MINIMUM) {
        let size = size.map_or_else(|| "None".to_owned(), |size| size.to_string());
        return Err(ApiError::invalid(format!(
            "docker volume size {size} GB is not valid, expecting minimum value {DEVICEMAPPER_MINIMUM}GB for \
             devicemapper storage driver."
        )));
    }
    Ok(())
}

/// A label that has to be a whole number, if it is there.
pub(crate) fn number_label(labels: &Labels, name: &str) -> Result<Option<i64>> {
    let Some(text) = labels.get(name) else { return Ok(None) };
    crate::field::read::whole_number(text)
        .map(Some)
        .ok_or_else(|| ApiError::invalid(format!("{name} must be an integer. Its value is '{text}'.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devicemapper_needs_room() {
        assert!(docker_volume(Some("devicemapper"), Some(3)).is_ok());
        assert!(docker_volume(Some("overlay2"), None).is_ok());
        assert!(docker_volume(Some("devicemapper"), Some(2)).unwrap_err().to_string().contains("size 2 GB"));
        assert!(docker_volume(Some("devicemapper"), None).unwrap_err().to_string().contains("size None GB"));
    }
}
