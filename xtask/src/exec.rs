//! Runs other programs: always ended when we are asked to end, never silently failed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, iter};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::{say, stop};

/// How long a program has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);
/// How often a waiting loop looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs it with our own input and output; fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    let child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let status = wait(child, None)?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs it with its output in `log`; when it fails the error holds the end of that log.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let line = shown(command);
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let status = wait(child, None)?;
    if !status.success() {
        bail!("`{line}` ended with {status}; the end of {}:\n{}", log.display(), tail(log, 30));
    }
    Ok(())
}

/// Runs it and answers what it wrote to its standard output; fails, with what it wrote to the other, when it does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let (status, stdout, stderr) = capture(command)?;
    if !status.success() {
        bail!("`{line}` ended with {status}: {}", stderr.trim_end());
    }
    Ok(stdout)
}

/// Runs it and answers its status and both its outputs.
pub(crate) fn capture(command: &mut Command) -> Result<(ExitStatus, String, String)> {
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().map(read_in_thread);
    let stderr = child.stderr.take().map(read_in_thread);
    let status = wait(child, None)?;
    let text =
        |reader: Option<thread::JoinHandle<String>>| reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    Ok((status, text(stdout), text(stderr)))
}

/// Runs it, gives every line of its standard output to `each`, and answers its status.
///
/// Ends it when `limit` has passed or somebody asked for an end.
pub(crate) fn lines(command: &mut Command, limit: Duration, mut each: impl FnMut(&str) + Send) -> Result<ExitStatus> {
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own, so that it can be ended with all it has started.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("`{line}` has no output"))?;
    let group = process_id(&child)?;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                each(String::from_utf8_lossy(&bytes).trim_end());
                bytes.clear();
            }
        });
        let outcome = wait(child, Some(limit));
        if outcome.is_err() {
            // Whatever is left of the group would keep the pipe open. Nobody left is fine.
            let _ = killpg(group, Signal::SIGKILL);
        }
        outcome
    })
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Processor time of it and of all programs that it has started and waited for.
    pub(crate) processor: Duration,
}

/// Runs it with both its outputs in `log`. Ends it, and all it has started, when `limit` has passed or somebody asked
/// for an end.
pub(crate) fn run_measured(command: &mut Command, log: &Path, limit: Duration) -> Result<Ended> {
    let line = shown(command);
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        // A group of its own, so that it can be ended with all it has started.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let group = process_id(&child)?;
    let mut processor = Duration::ZERO;
    let outcome = wait_and(child, Some(limit), || processor = processor_time(group));
    if outcome.is_err() {
        // Nobody left is fine.
        let _ = killpg(group, Signal::SIGKILL);
    }
    Ok(Ended { status: outcome?, processor })
}

/// What `/proc` says of a process that has ended and was not yet waited for.
fn processor_time(process: Pid) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything. Then: user and system time, its own and of those it has waited for.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux tells other programs of a hundred ticks a second, whatever it counts itself.
    Duration::from_millis(ticks * 10)
}

/// Waits for a program to end; ends it when somebody asked for that, or when `limit` has passed.
fn wait(child: Child, limit: Option<Duration>) -> Result<ExitStatus> {
    wait_and(child, limit, || ())
}

/// The same, and does something between its end and its burial.
fn wait_and(mut child: Child, limit: Option<Duration>, at_end: impl FnOnce()) -> Result<ExitStatus> {
    let began = Instant::now();
    let process = process_id(&child)?;
    loop {
        let look = waitid(Id::Pid(process), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT)?;
        if look != WaitStatus::StillAlive {
            at_end();
            let status = child.wait()?;
            stop::check()?;
            return Ok(status);
        }
        let late = limit.is_some_and(|limit| began.elapsed() > limit);
        if stop::asked() || late {
            end(&mut child)?;
            stop::check()?;
            bail!("it was ended after {} minutes, its time limit", began.elapsed().as_secs() / 60);
        }
        thread::sleep(PAUSE);
    }
}

/// SIGTERM, then SIGKILL when it takes longer than [`GRACE`]. The child is no zombie afterwards.
pub(crate) fn end(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    kill(process_id(child)?, Signal::SIGTERM).context("cannot send SIGTERM")?;
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    child.kill().context("cannot send SIGKILL")?;
    child.wait()?;
    Ok(())
}

fn process_id(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id()).context("a process id out of range")?))
}

/// A server of ours: in a process group of its own, so that Ctrl-C reaches us and not it; ended when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Option<Child>,
    log: PathBuf,
}

impl Server {
    /// Starts it with both outputs in `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let line = shown(command);
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))?;
        Ok(Self { name: name.to_owned(), child: Some(child), log })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Waits until `ready` says so; fails with the end of the log when the server ends first or `limit` passes.
    pub(crate) fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let name = self.name.clone();
        let log = self.log.clone();
        let child = self.child.as_mut().ok_or_else(|| anyhow!("{name} does not run"))?;
        let up = stop::poll(limit, PAUSE, || {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended with {status}; the end of {}:\n{}", log.display(), tail(&log, 30));
            }
            Ok(ready().then_some(()))
        })?;
        up.ok_or_else(|| {
            anyhow!(
                "{name} was not ready after {} s; the end of {}:\n{}",
                limit.as_secs(),
                log.display(),
                tail(&log, 30)
            )
        })
    }

    /// Ends it and says so when that fails.
    pub(crate) fn stop(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => end(&mut child).with_context(|| format!("cannot stop {}", self.name)),
            None => Ok(()),
        }
    }

    /// Ends it by SIGKILL: at once, wherever it is.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        child.wait()?;
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), |child| Ok(child.try_wait()?))
    }

    /// Lets it run on after us.
    pub(crate) fn leave_running(&mut self) {
        self.child = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            say::aside(format_args!("{error:#}"));
        }
    }
}

/// A command line as a reader would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word as the shell would need it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, count: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

/// Finds a program in `PATH` or in the administrator's folders, which an ordinary user's `PATH` lacks.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let admin = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(admin).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn read_in_thread(mut source: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe only shortens what is shown; the exit status is what counts.
        drop(source.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("docker");
        command.args(["service", "ls", "--format", "{{.Name}} {{.Replicas}}", ""]);
        assert_eq!(shown(&command), "docker service ls --format '{{.Name}} {{.Replicas}}' ''");
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("exit status: 3: why"), "{error}");
    }

    #[test]
    fn a_program_over_its_time_is_ended() {
        let error = lines(Command::new("sleep").arg("60"), Duration::from_millis(50), |_| ()).unwrap_err();
        assert!(error.to_string().contains("time limit"), "{error}");
    }

    #[test]
    fn a_program_over_its_time_is_ended_with_its_children() {
        let began = Instant::now();
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & wait"]);
        assert!(lines(&mut shell, Duration::from_millis(50), |_| ()).is_err());
        assert!(began.elapsed() < Duration::from_secs(30), "the child kept the pipe open");
    }

    #[test]
    fn output_and_processor_time_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo err >&2; sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exit 3"]);
        let ended = run_measured(&mut shell, &log, Duration::from_secs(600)).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(fs::read_to_string(&log).unwrap(), "out\nerr\n");
        assert!(ended.processor > Duration::ZERO, "what its children used counts");
    }

    #[test]
    fn every_line_is_seen() {
        let mut seen = Vec::new();
        let status =
            lines(Command::new("printf").arg("one\ntwo"), Duration::from_secs(60), |line| seen.push(line.to_owned()));
        assert!(status.unwrap().success());
        assert_eq!(seen, ["one", "two"]);
    }
}
