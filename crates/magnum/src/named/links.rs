//! `magnum links DIR`: links of upstream's names to this program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::NAMES;
use crate::print;

/// Makes the links that are missing. What is there and is no link of ours is left alone.
pub(crate) fn make(folder: &Path) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let program = program.canonicalize().unwrap_or(program);
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    for name in NAMES {
        let link = folder.join(name);
        match fs::symlink_metadata(&link) {
            Ok(_) if link.canonicalize().is_ok_and(|there| there == program) => {}
            Ok(_) => {
                bail!("{} is there already and is something else: remove it, or choose another folder", link.display())
            }
            Err(_) => symlink(&program, &link).with_context(|| format!("{} can't be made", link.display()))?,
        }
        print::line(link.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
