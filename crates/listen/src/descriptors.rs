//! File descriptors: as many as the process may have, and some of them for itself.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is believed of a system that names no limit.
const PLENTY: u64 = 1 << 20;

/// Raises the limit of file descriptors as far as the process may. Returns the limit that holds then.
///
/// # Errors
/// When the system refuses; the limit is as it was.
pub fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard.min(PLENTY))
}

/// How many of `limit` descriptors connections may take when `reserve` are kept for databases, nodes and files. Of a small
/// limit at most half is kept.
#[must_use]
pub fn for_connections(limit: u64, reserve: u64) -> usize {
    let limit = limit.min(PLENTY);
    usize::try_from(limit - reserve.min(limit / 2)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_kept() {
        for (limit, reserve, expected) in [
            (524_288, 512, 523_776),
            (4096, 512, 3584),
            (1024, 512, 512),
            (256, 512, 128),
            (u64::MAX, 512, (1 << 20) - 512),
            (0, 512, 0),
        ] {
            assert_eq!(for_connections(limit, reserve), expected, "{limit} less {reserve}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let limit = raise().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!(limit, hard.min(PLENTY));
    }
}
