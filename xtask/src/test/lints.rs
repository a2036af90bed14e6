//! One compilation for programs, lints and documentation.
//!
//! Cargo lets a program stand in for `rustc` on the workspace's own crates. Ours has clippy's driver compile, which looks
//! and then makes code as `rustc` does, and has `rustdoc` read the same crate with the same dependencies. `cargo clippy`
//! and `cargo doc` would each compile all dependencies once more, in a form that no program can be linked of. What lints
//! and documentation have to say comes to cargo as the compiler's own messages: it is kept with the crate and said again.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{exec, say};

/// The name by which this program knows that it stands in for `rustc`.
const NAME: &str = "checked-rustc";
/// In the environment of the stand-in: clippy's driver, `rustdoc`, and where the documentation goes.
const DRIVER: &str = "MAGNUM_XTASK_CLIPPY_DRIVER";
const RUSTDOC: &str = "MAGNUM_XTASK_RUSTDOC";
const DOCUMENTATION: &str = "MAGNUM_XTASK_DOCUMENTATION";

/// Has `cargo` compile the workspace's own crates with lints and documentation.
pub(super) fn wrap(workspace: &Workspace, cargo: &mut Command) -> Result<()> {
    let sysroot = exec::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace.root()))?;
    let bin = Path::new(sysroot.trim()).join("bin");
    let tool = |name: &str| Some(bin.join(name)).filter(|path| path.is_file()).or_else(|| exec::find_program(name));
    let driver = tool("clippy-driver").context("this Rust toolchain has no clippy: rustup component add clippy")?;
    let rustdoc = tool("rustdoc").context("this Rust toolchain has no rustdoc")?;
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", copy_of_us(workspace, NAME)?)
        .env(DRIVER, driver)
        .env(RUSTDOC, rustdoc)
        .env(DOCUMENTATION, workspace.in_target("doc"));
    Ok(())
}

/// Ourselves under another name, where the build, which makes this program anew, does not replace it.
pub(super) fn copy_of_us(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.in_target("xtask");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let copy = folder.join(name);
    let ours = fs::read("/proc/self/exe").context("cannot read this program")?;
    if fs::read(&copy).is_ok_and(|copied| copied == ours) {
        return Ok(copy);
    }
    let new = folder.join(format!("{name}.new"));
    fs::copy("/proc/self/exe", &new).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

/// Whether we were started to stand in for `rustc`.
pub(crate) fn stands_in() -> bool {
    env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(NAME.as_ref()))
}

/// Compiles, and looks at the documentation. The first argument is `rustc`.
pub(crate) fn stand_in() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let compiled = run(DRIVER, &arguments);
    if compiled != Some(0) {
        return code(compiled);
    }
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(mut words) = for_rustdoc(&words) else { return ExitCode::SUCCESS };
    if let Ok(folder) = env::var(DOCUMENTATION) {
        words.extend(["--document-private-items".to_owned(), "-o".to_owned(), folder]);
    }
    code(run(RUSTDOC, &words.into_iter().map(OsString::from).collect::<Vec<_>>()))
}

fn run(program: &str, arguments: &[OsString]) -> Option<i32> {
    let Some(path) = env::var_os(program) else {
        say::aside(format_args!("error: {program} is not set; it is `cargo xtask test` that calls this program"));
        return None;
    };
    match Command::new(&path).args(arguments).status() {
        Ok(status) => status.code(),
        Err(error) => {
            say::aside(format_args!("error: cannot start {}: {error}", path.display()));
            None
        }
    }
}

fn code(status: Option<i32>) -> ExitCode {
    ExitCode::from(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(101))
}

/// What `rustdoc` is asked of a crate that `rustc` was asked to compile so; `None` for what has no documentation: tests,
/// build scripts, and questions to the compiler.
fn for_rustdoc(rustc: &[String]) -> Option<Vec<String>> {
    let mut rustdoc = Vec::new();
    let mut words = rustc.iter();
    let mut documented = false;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--test" => return None,
            // Code generation, libraries to link with, and where the code goes.
            "-C" | "-l" | "--out-dir" => drop(words.next()),
            "--crate-name" => {
                let name = words.next()?;
                documented = name != "___" && !name.starts_with("build_script_");
                rustdoc.extend([word.clone(), name.clone()]);
            }
            // Lints of the compiler and of clippy, which have had their say.
            other if ["--warn=", "--deny=", "--forbid=", "--allow="].iter().any(|lint| other.starts_with(lint)) => {
                if other.contains("=rustdoc::") {
                    rustdoc.push(word.clone());
                }
            }
            other if ["--emit=", "-C", "--print="].iter().any(|start| other.starts_with(start)) => {}
            _ => rustdoc.push(word.clone()),
        }
    }
    documented.then_some(rustdoc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustdoc_is_asked_of_what_has_documentation() {
        let library = "--crate-name magnum_store --edition=2024 crates/store/src/lib.rs --error-format=json --crate-type lib \
                       --emit=dep-info,metadata,link -C embed-bitcode=no -C debuginfo=0 --warn=missing_docs --forbid=unsafe_code \
                       --warn=rustdoc::all --cfg feature=\"x\" --check-cfg cfg(docsrs,test) -C metadata=1 --out-dir target/debug/deps \
                       -L dependency=target/debug/deps --extern uuid=target/debug/deps/libuuid.rmeta";
        let asked = "--crate-name magnum_store --edition=2024 crates/store/src/lib.rs --error-format=json --crate-type lib \
                     --warn=rustdoc::all --cfg feature=\"x\" --check-cfg cfg(docsrs,test) \
                     -L dependency=target/debug/deps --extern uuid=target/debug/deps/libuuid.rmeta";
        for (rustc, rustdoc) in [
            (library.to_owned(), Some(asked)),
            (format!("{library} --test"), None),
            (library.replace("magnum_store --", "build_script_build --"), None),
            ("- --crate-name ___ --print=file-names --crate-type bin".to_owned(), None),
            ("-vV".to_owned(), None),
        ] {
            let words: Vec<String> = rustc.split_whitespace().map(str::to_owned).collect();
            assert_eq!(for_rustdoc(&words).map(|words| words.join(" ")).as_deref(), rustdoc, "{rustc}");
        }
    }
}
