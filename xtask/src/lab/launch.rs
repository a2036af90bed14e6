//! Brings units up, several at a time, each as soon as what it needs answers.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Lab;
use super::probe;
use super::process::Process;
use super::services::{Answers, Row};
use super::template::Values;
use crate::databases::random_password;
use crate::owner::{Life, Owner};
use crate::{exec, say, stop};

/// How long a unit may take from its start to its first answer; slow machines under load are slow.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long one preparation may take.
const PREPARE_LIMIT: Duration = Duration::from_secs(300);
/// How long one probe may hold up the others.
const PROBE: Duration = Duration::from_millis(200);
/// How often a unit that starts is asked.
const PROBE_PAUSE: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(20);

/// A row with what is particular to this lab.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) row: &'static Row,
    pub(crate) values: Values,
    /// Names of units that have to answer first, unless they are no part of what is brought up.
    pub(crate) needs: Vec<String>,
    pub(crate) life: Life,
}

/// How far a unit is.
enum Phase {
    Waiting,
    Preparing { child: Child, log: PathBuf, line: String, began: Instant },
    Starting { process: Process, began: Instant, asked: Option<Instant>, was_there: bool },
    Up,
}

/// A unit on its way.
struct Job<'a> {
    unit: &'a Unit,
    phase: Phase,
    /// When its first preparation or its start began.
    began: Option<Instant>,
    /// What its preparations took.
    prepared: Duration,
}

impl Drop for Job<'_> {
    /// A preparation that is under way when another fails is ended, too.
    fn drop(&mut self) {
        if let Phase::Preparing { child, .. } = &mut self.phase {
            drop(exec::end(child));
        }
    }
}

/// Brings all of them up. Those that answer already are left as they are.
pub(super) fn bring_up(lab: &mut Lab, units: &[Unit]) -> Result<()> {
    let mut jobs: Vec<Job> =
        units.iter().map(|unit| Job { unit, phase: Phase::Waiting, began: None, prepared: Duration::ZERO }).collect();
    let names: BTreeSet<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    // One more than there are processors: some preparations wait for the database.
    let at_once = thread::available_parallelism().map_or(2, usize::from) + 1;
    loop {
        stop::check()?;
        let up: BTreeSet<String> =
            jobs.iter().filter(|job| matches!(job.phase, Phase::Up)).map(|job| job.unit.name.clone()).collect();
        if up.len() == jobs.len() {
            return Ok(());
        }
        let mut busy = jobs.iter().filter(|job| matches!(job.phase, Phase::Preparing { .. })).count();
        for job in &mut jobs {
            let ready = job.unit.needs.iter().all(|need| up.contains(need) || !names.contains(need.as_str()));
            let was_waiting = matches!(job.phase, Phase::Waiting);
            if was_waiting && (!ready || busy >= at_once) {
                continue;
            }
            job.step(lab).with_context(|| format!("cannot bring up {}", job.unit.name))?;
            if was_waiting && matches!(job.phase, Phase::Preparing { .. }) {
                busy += 1;
            }
        }
        thread::sleep(PAUSE);
    }
}

impl Job<'_> {
    /// Goes on as far as it can without waiting.
    fn step(&mut self, lab: &mut Lab) -> Result<()> {
        match &mut self.phase {
            Phase::Up => Ok(()),
            Phase::Waiting => self.begin(lab),
            Phase::Preparing { child, log, line, began } => {
                let status = child.try_wait()?;
                let Some(status) = status else {
                    if began.elapsed() > PREPARE_LIMIT {
                        bail!("`{line}` takes longer than {} s", PREPARE_LIMIT.as_secs());
                    }
                    return Ok(());
                };
                let fine = status.success() || (line.starts_with('?') && status.code() == Some(2));
                if !fine {
                    bail!("`{line}` ended with {status}; the end of {}:\n{}", log.display(), exec::tail(log, 30));
                }
                self.prepared += began.elapsed();
                *lab.state.prepared.entry(self.unit.name.clone()).or_default() += 1;
                lab.state.write(&lab.folder)?;
                self.phase = Phase::Waiting;
                self.advance(lab)
            }
            Phase::Starting { process, began, asked, was_there } => {
                if !process.is_running() {
                    let log = log(lab, self.unit);
                    bail!("it ended; the end of {}:\n{}", log.display(), exec::tail(&log, 30));
                }
                if asked.is_some_and(|asked| asked.elapsed() < PROBE_PAUSE) {
                    return Ok(());
                }
                *asked = Some(Instant::now());
                // A sign of life from before its start is none.
                let age = if *was_there { probe::HEARTBEAT } else { began.elapsed() };
                if probe::answers(self.unit, &log(lab, self.unit), age, PROBE) {
                    let started = began.elapsed();
                    self.finish(started);
                } else if began.elapsed() > START_LIMIT {
                    let log = log(lab, self.unit);
                    bail!(
                        "it does not answer after {} s; the end of {}:\n{}",
                        START_LIMIT.as_secs(),
                        log.display(),
                        exec::tail(&log, 30)
                    );
                }
                Ok(())
            }
        }
    }

    /// The first step: is it up already? Otherwise its folder and files are made.
    fn begin(&mut self, lab: &mut Lab) -> Result<()> {
        let unit = self.unit;
        if let Some(&process) = lab.state.processes.get(&unit.name) {
            if process.is_running() {
                self.phase = Phase::Starting { process, began: Instant::now(), asked: None, was_there: true };
                return Ok(());
            }
            lab.state.processes.remove(&unit.name);
        }
        if self.began.is_none() {
            write_files(lab, unit)?;
            self.began = Some(Instant::now());
        }
        self.advance(lab)
    }

    /// The next preparation, or the start.
    fn advance(&mut self, lab: &mut Lab) -> Result<()> {
        let unit = self.unit;
        let done = lab.state.prepared.get(&unit.name).copied().unwrap_or_default();
        if let Some(&line) = unit.row.prepare.get(done) {
            let log = lab.folder.join("logs").join(format!("{}-prepare-{done}.log", unit.name));
            let mut command = command(lab, unit, line.trim_start_matches('?'), Life::WithUs)?;
            let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
            let child = command
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                .spawn()
                .with_context(|| format!("cannot start `{}`", exec::shown(&command)))?;
            self.phase = Phase::Preparing { child, log, line: line.to_owned(), began: Instant::now() };
        } else if unit.row.command.is_empty() {
            self.finish(Duration::ZERO);
        } else {
            let mut command = command(lab, unit, unit.row.command, unit.life)?;
            let log = log(lab, unit);
            let file = File::options()
                .create(true)
                .append(true)
                .open(&log)
                .with_context(|| format!("cannot write {}", log.display()))?;
            let child = command
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                // A group of its own, so that Ctrl-C reaches us and not it.
                .process_group(0)
                .spawn()
                .with_context(|| format!("cannot start `{}`", exec::shown(&command)))?;
            let process = Process::of(child.id())?;
            lab.state.processes.insert(unit.name.clone(), process);
            lab.state.write(&lab.folder)?;
            self.phase = Phase::Starting { process, began: Instant::now(), asked: None, was_there: false };
        }
        Ok(())
    }

    fn finish(&mut self, started: Duration) {
        self.phase = Phase::Up;
        if self.began.is_none() {
            return;
        }
        let mut words = Vec::new();
        if !self.prepared.is_zero() {
            words.push(format!("prepared in {}", say::seconds(self.prepared)));
        }
        if !matches!(self.unit.row.answers, Answers::Done) {
            words.push(format!("answers {} after its start", say::seconds(started)));
        }
        if !words.is_empty() {
            say::note(&format!("{:<18} {}", self.unit.name, words.join(", ")));
        }
    }
}

pub(super) fn log(lab: &Lab, unit: &Unit) -> PathBuf {
    lab.folder.join("logs").join(format!("{}.log", unit.name))
}

fn owner(unit: &Unit) -> Result<Owner> {
    unit.row.user.map_or_else(|| Ok(Owner::ourselves()), Owner::named)
}

/// The unit's folder, files and keys. Files are written anew every time; keys are kept.
fn write_files(lab: &Lab, unit: &Unit) -> Result<()> {
    let owner = owner(unit)?;
    let folder = lab.unit_folder(&unit.name);
    owner.folder(&folder)?;
    for (name, template) in unit.row.files {
        owner.write(&folder.join(name), &unit.values.fill(template)?)?;
    }
    for name in unit.row.folders {
        owner.folder(&folder.join(name))?;
    }
    for name in unit.row.keys {
        let keys = folder.join(name);
        if keys.is_dir() {
            continue;
        }
        owner.folder(&keys)?;
        for number in ["0", "1"] {
            owner.write(&keys.join(number), &fernet_key()?)?;
        }
    }
    Ok(())
}

/// A Fernet key is 32 bytes in base 64. Hexadecimal digits are digits of base 64, too; the last one must be a multiple of 4.
fn fernet_key() -> Result<String> {
    let digits = random_password()? + &random_password()?;
    let first = digits.get(..42).context("too few random digits")?;
    Ok(format!("{first}A="))
}

/// The command of a unit, as its user, in its environment.
fn command(lab: &Lab, unit: &Unit, line: &str, life: Life) -> Result<Command> {
    let words = unit.values.words(line)?;
    let (program, arguments) = words.split_first().context("an empty command")?;
    let program = if program.contains('/') {
        PathBuf::from(program)
    } else {
        exec::find_program(program).with_context(|| format!("there is no {program} on this machine"))?
    };
    let folder = lab.unit_folder(&unit.name);
    let mut command = owner(unit)?.command(&program, life);
    command.args(arguments).env("HOME", &folder).env(super::MARK, &lab.folder);
    for (name, value) in unit.row.environment {
        command.env(name, unit.values.fill(value)?);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::super::state::State;
    use super::*;

    static FIRST: Row = Row {
        files: &[("run.sh", "echo {{greeting}}\nexec sleep 600\n"), ("once.sh", "echo once >> {{dir}}/times\n")],
        prepare: &["sh {{dir}}/once.sh"],
        command: "sh {{dir}}/run.sh",
        answers: Answers::Log("ready"),
        ..Row::other("first")
    };
    static SECOND: Row = Row {
        files: &[("see.sh", "cat {{lab}}/logs/first.log > {{dir}}/seen\n")],
        prepare: &["sh {{dir}}/see.sh"],
        ..Row::other("second")
    };
    static FAILING: Row =
        Row { files: &[("fail.sh", "echo why\nexit 3\n")], prepare: &["sh {{dir}}/fail.sh"], ..Row::other("failing") };
    static DYING: Row = Row { command: "false", answers: Answers::Log("never"), ..Row::other("dying") };

    fn lab() -> Lab {
        let temporary = tempfile::tempdir().unwrap();
        fs::create_dir(temporary.path().join("logs")).unwrap();
        Lab {
            folder: temporary.path().to_path_buf(),
            state: State::new(27_000).unwrap(),
            life: Life::ItsOwn,
            python: PathBuf::new(),
            temporary: Some(temporary),
            lock: None,
        }
    }

    fn unit(lab: &mut Lab, row: &'static Row, needs: &[&str]) -> Unit {
        let values = lab.values().with("greeting", "ready");
        let unit = lab.unit(row, row.name.to_owned(), values).unwrap();
        Unit { needs: needs.iter().map(|&name| name.to_owned()).collect(), ..unit }
    }

    #[test]
    fn each_waits_for_what_it_needs_and_is_prepared_once() {
        let mut lab = lab();
        // In the wrong order, so that it is the need that counts.
        let units = [unit(&mut lab, &SECOND, &["first"]), unit(&mut lab, &FIRST, &[])];
        bring_up(&mut lab, &units).unwrap();
        let read = |name: &str| fs::read_to_string(lab.folder.join(name)).unwrap();
        assert_eq!((read("second/seen").as_str(), read("first/times").as_str()), ("ready\n", "once\n"));

        let before = *lab.state.processes.get("first").unwrap();
        bring_up(&mut lab, &units).unwrap();
        assert_eq!(lab.state.processes.get("first"), Some(&before), "it was started a second time");

        super::super::process::end(&[before]).unwrap();
        bring_up(&mut lab, &units).unwrap();
        assert!(lab.state.processes.get("first").unwrap().is_running());
        assert_eq!(fs::read_to_string(lab.folder.join("first/times")).unwrap(), "once\n");

        let (folder, process) = (lab.folder.clone(), *lab.state.processes.get("first").unwrap());
        lab.down().unwrap();
        assert!(!process.is_running() && !folder.exists());
    }

    #[test]
    fn a_failure_carries_the_end_of_the_log() {
        for (row, wanted) in [(&FAILING, "why"), (&DYING, "it ended")] {
            let mut lab = lab();
            let units = [unit(&mut lab, row, &[])];
            let error = format!("{:#}", bring_up(&mut lab, &units).unwrap_err());
            assert!(error.contains(wanted) && error.contains(row.name), "{error}");
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_base_64() {
        let key = fernet_key().unwrap();
        assert!(key.len() == 44 && key.ends_with("A="), "{key}");
    }
}
