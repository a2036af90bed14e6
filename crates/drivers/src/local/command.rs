//! Running the machine's own programs.

use std::process::{Output, Stdio};
use std::time::Duration;

use magnum_domain::text;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::LocalError;

/// No program that is run here takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// With the last lines it said on its error output.
pub(crate) async fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, LocalError> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let failed = |why: String| LocalError::Command { command: shown(), why };
    let output = tokio::time::timeout(LIMIT, output(program, arguments, input))
        .await
        .map_err(|_elapsed| failed(format!("not done after {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = text::last_lines(&output.stderr, 3, text::MESSAGE);
        return Err(failed(if said.is_empty() { output.status.to_string() } else { said }));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn output(program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", search_path())
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        match pipe.write_all(input.as_bytes()).await {
            // It ended without reading everything; its exit status says why.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output().await
}

/// `PATH`, with the folders that hold administrators' programs: they are not in everybody's.
pub(crate) fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    let missing = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .into_iter()
        .filter(|folder| !own.split(':').any(|present| present == *folder));
    std::iter::once(own.as_str()).filter(|own| !own.is_empty()).chain(missing).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[tokio::test]
    async fn errors_carry_what_the_program_said() {
        let error = run("sh", &["-c", "echo one >&2; echo two >&2; exit 3"], "").await.unwrap_err();
        assert!(error.to_string().contains("one; two"), "{error}");
        let error = run("/no/such/program", &[], "").await.unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
        assert_eq!(run("cat", &[], "in").await.unwrap(), "in");
        // More input than a pipe holds, to a program that does not read it.
        run("true", &[], &"x".repeat(1 << 20)).await.unwrap();
    }
}
