//! `magnum-agent launch SPEC`: makes the first process of a node out of this machine's namespaces.
//!
//! The command runs twice. The first run, a child of the conductor, joins the node's network namespace and control
//! groups, unshares the rest and prepares what the node sees of the file system. It starts the second run, which is
//! process 1 of the node, writes down which process that is (beside the specification, out of the node's reach), and
//! ends. The second run waits for that, mounts `/proc` and becomes `magnum-agent run`. So a node whose note is missing
//! never ran, and everything that a node mounts lives in its own mount namespace and goes with its first process.
//!
//! The first run has the machine's rights, and the node's folder may hold anything by then: it is only worked with
//! through `magnum-files`.
//!
//! Must be called before any thread is started: namespaces are joined by thread.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use magnum_domain::launch::{AGENT_PROGRAM, Cgroups, LOG_FILE, LaunchSpec, NODE_FOLDER, PROCESS_FILE, ProcessMark};
use magnum_files::Folder;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Folders of the machine that a node sees with its own changes laid over them; engines write there unasked.
const LAYERED: [&str; 2] = ["/etc", "/var"];
/// What of the machine's engine must not reach the node's.
const MACHINE_ENGINE_FILES: [&str; 2] = ["/etc/docker/daemon.json", "/etc/docker/key.json"];
/// What the second run is given in the place of a file: its specification comes over its input, when it may go on.
const INPUT: &str = "-";
/// Longest specification that is read.
const LONGEST: u64 = 1024 * 1024;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The specification could not be read.
    #[error("the launch specification {path}: {source}")]
    Spec {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something could not be done.
    #[error("{what}: {source}")]
    Failed {
        /// What, in words.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The first run ended before it had written down which process the node is.
    #[error("the launcher ended before the node was written down")]
    NoGo,
}

/// Says what was being done when something failed.
trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, LaunchError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Result<T, LaunchError> {
        self.map_err(|source| LaunchError::Failed { what: what.into(), source: source.into() })
    }
}

/// Starts the node that the file describes, or, as process 1 of that node, becomes its agent.
///
/// # Errors
/// With the thing that failed. What was mounted until then goes with this process.
pub(crate) fn launch(spec: &Path) -> Result<(), LaunchError> {
    if spec == Path::new(INPUT) {
        return become_agent();
    }
    let unreadable = |source| LaunchError::Spec { path: spec.to_owned(), source };
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let text = magnum_files::read(spec, LONGEST).and_then(|text| text.ok_or_else(missing)).map_err(unreadable)?;
    let read = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
    start(spec, &read)
}

/// First run.
fn start(spec_file: &Path, spec: &LaunchSpec) -> Result<(), LaunchError> {
    let program = std::env::current_exe().doing("find the agent's own program")?;
    let network = File::open(&spec.network_namespace)
        .doing(format!("open the network namespace {}", spec.network_namespace.display()))?;
    // Opened before the machine's folders are hidden.
    let control = spec_file.parent().unwrap_or(Path::new("/"));
    let control = Folder::open(control).doing(format!("open the folder {}", control.display()))?;

    // Detached from the terminal and process group of whoever started the conductor. Fails when this process leads
    // its group already, which is as good.
    let _ = nix::unistd::setsid();
    nix::unistd::chdir("/").doing("change to the root folder")?;
    setns(&network, CloneFlags::CLONE_NEWNET).doing("join the node's network namespace")?;
    join_cgroups(&spec.cgroups)?;
    let mut apart = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    if matches!(spec.cgroups, Cgroups::V2 { .. }) {
        apart |= CloneFlags::CLONE_NEWCGROUP;
    }
    unshare(apart | CloneFlags::CLONE_NEWPID).doing("get namespaces of its own")?;
    nix::unistd::sethostname(&spec.hostname).doing("set the host name")?;
    set_mounts_apart()?;
    let folder = lay_out_run(&spec.folder, &program)?;
    LAYERED.iter().try_for_each(|place| layer(place))?;
    tmpfs("/tmp", "mode=1777,size=256m")?;
    hide(&spec.hidden)?;
    write_etc(spec)?;
    if matches!(spec.cgroups, Cgroups::V2 { .. }) {
        own_cgroup_root()?;
    }
    run_first_process(spec, &folder, &control)
}

fn join_cgroups(cgroups: &Cgroups) -> Result<(), LaunchError> {
    let folders = match cgroups {
        Cgroups::V1 { folders } => folders.as_slice(),
        Cgroups::V2 { folder } => std::slice::from_ref(folder),
    };
    let pid = std::process::id().to_string();
    folders.iter().try_for_each(|folder| {
        fs::write(folder.join("cgroup.procs"), &pid).doing(format!("join the control group {}", folder.display()))
    })
}

/// From here on the machine sees no mount of this process; what the machine unmounts goes here too. Copies of other
/// namespaces' files are let go at once: they would keep the networks of nodes that are deleted later.
fn set_mounts_apart() -> Result<(), LaunchError> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
        .doing("set the mounts apart")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").doing("read the mounts")?;
    for place in namespace_files(&mounts) {
        // That it is gone already, with the folder it was in, is as good.
        let _ = umount2(Path::new(place), MntFlags::MNT_DETACH);
    }
    Ok(())
}

/// Where files of namespaces are mounted, and the folder that `ip netns` shares with every mount namespace.
fn namespace_files(mountinfo: &str) -> Vec<&str> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let place = mount.split(' ').nth(4)?;
            (filesystem.starts_with("nsfs ") || place == "/run/netns").then_some(place)
        })
        .collect()
}

fn tmpfs(place: &str, options: &str) -> Result<(), LaunchError> {
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
        .doing(format!("mount a private {place}"))
}

/// A `/run` of its own, with the node's folder and the agent's program in it. Both are opened first, since they may
/// lie in what is being hidden, and not before the mounts are this process's own, since only those can be bound.
fn lay_out_run(folder: &Path, program: &Path) -> Result<Folder, LaunchError> {
    let folder = Folder::open(folder).doing(format!("open the node's folder {}", folder.display()))?;
    let program = File::open(program).doing(format!("open the agent's program {}", program.display()))?;
    tmpfs("/run", "mode=755,size=256m")?;
    fs::create_dir("/run/lock").doing("make /run/lock")?;
    fs::create_dir(NODE_FOLDER).doing(format!("make {NODE_FOLDER}"))?;
    File::create(AGENT_PROGRAM).doing(format!("make {AGENT_PROGRAM}"))?;
    for (file, place) in [(folder.as_fd(), NODE_FOLDER), (program.as_fd(), AGENT_PROGRAM)] {
        let source = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        mount(Some(&source), place, None::<&str>, MsFlags::MS_BIND, None::<&str>).doing(format!("mount {place}"))?;
    }
    Ok(folder)
}

/// Lays a folder of the node's own over one of the machine's: reads go through, writes stay in the node.
fn layer(place: &str) -> Result<(), LaunchError> {
    let layers = PathBuf::from(format!("/run/layers{place}"));
    let (upper, work) = (layers.join("upper"), layers.join("work"));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).doing(format!("make {}", folder.display()))?;
    }
    let options = format!("lowerdir={place},upperdir={},workdir={}", upper.display(), work.display());
    mount(Some("overlay"), place, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .doing(format!("lay the node's own {place} over the machine's"))
}

/// Puts nothing over folders that hold the machine's secrets. Those that are out of sight already are left out.
fn hide(folders: &[PathBuf]) -> Result<(), LaunchError> {
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("tmpfs"), folder, Some("tmpfs"), flags, Some("mode=000,size=4k"))
            .doing(format!("hide {}", folder.display()))?;
    }
    Ok(())
}

fn write_etc(spec: &LaunchSpec) -> Result<(), LaunchError> {
    // Often a link into the machine's /run: replaced by what it led to before, or by the node's own.
    if !spec.nameservers.is_empty() {
        let lines = spec.nameservers.iter().map(|server| format!("nameserver {server}\n")).collect::<String>();
        replace("/etc/resolv.conf", &lines)?;
    } else if fs::metadata("/etc/resolv.conf").is_err() {
        replace("/etc/resolv.conf", "")?;
    }
    replace("/etc/hostname", &format!("{}\n", spec.hostname))?;
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n{} {}\n", spec.address, spec.hostname);
    replace("/etc/hosts", &hosts)?;
    for file in MACHINE_ENGINE_FILES {
        remove(Path::new(file))?;
    }
    Ok(())
}

fn replace(path: &str, content: &str) -> Result<(), LaunchError> {
    remove(Path::new(path))?;
    fs::write(path, content).doing(format!("write the node's {path}"))
}

fn remove(path: &Path) -> Result<(), LaunchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).doing(format!("remove {} from the node's view", path.display()))
        }
        _ => Ok(()),
    }
}

/// cgroup v2: the node's group becomes the root of what it sees. Processes may only live in leaves once controllers
/// are handed down, so the node's own go into a leaf and leave the root to the engine's containers.
fn own_cgroup_root() -> Result<(), LaunchError> {
    let root = Path::new("/sys/fs/cgroup");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // The machine's view goes first: the kernel mounts no file system twice in one place, whatever its root.
    let _ = umount2(root, MntFlags::MNT_DETACH);
    mount(Some("cgroup2"), root, Some("cgroup2"), flags, None::<&str>).doing("mount the node's own control groups")?;
    let leaf = root.join("init");
    fs::create_dir_all(&leaf).doing("make the control group of the node's own processes")?;
    fs::write(leaf.join("cgroup.procs"), std::process::id().to_string())
        .doing("join the control group of the node's own processes")?;
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).doing("read the controllers")?;
    for controller in controllers.split_whitespace() {
        // One by one: a controller that can't be handed down costs its limits, not the node.
        if let Err(error) = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}")) {
            tracing::warn!(controller, %error, "containers of this node go without a controller");
        }
    }
    Ok(())
}

/// Starts process 1, writes down which process of the machine that is, and lets it go on.
fn run_first_process(spec: &LaunchSpec, folder: &Folder, control: &Folder) -> Result<(), LaunchError> {
    let log = folder.append(LOG_FILE).doing("open the agent's log")?;
    let errors = log.try_clone().doing("open the agent's log")?;
    let text = serde_json::to_vec(spec).map_err(io::Error::from).doing("pass the specification on")?;
    let mut child = Command::new(AGENT_PROGRAM)
        .arg("launch")
        .arg(INPUT)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .doing("start the node's first process")?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other).doing("read the node's process id")?;
    let noted = mark(pid).and_then(|mark| note(control, &mark));
    let Some(mut input) = child.stdin.take() else { return Err(LaunchError::NoGo) };
    noted?;
    input.write_all(&text).doing("let the node's first process go on")
}

fn mark(pid: i32) -> Result<ProcessMark, LaunchError> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).doing("look at the node's first process")?;
    // The second field is the program's name in brackets, and may hold anything.
    let started = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(19))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("its start time is missing"))
        .doing("look at the node's first process")?;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").doing("read the machine's boot id")?;
    let namespace = fs::metadata(format!("/proc/{pid}/ns/pid")).doing("look at the node's first process")?;
    Ok(ProcessMark { pid, started, boot_id: boot_id.trim().to_owned(), pid_namespace: Some(namespace.ino()) })
}

/// Whoever reads it sees all of it or nothing.
fn note(control: &Folder, mark: &ProcessMark) -> Result<(), LaunchError> {
    let text = serde_json::to_vec(mark).map_err(io::Error::from).doing("write down the node's process")?;
    control.write(PROCESS_FILE, &text).doing("write down the node's process")
}

/// Second run, as process 1: waits for the word, sees its own processes only, becomes the agent.
fn become_agent() -> Result<(), LaunchError> {
    let mut text = Vec::new();
    io::stdin().take(LONGEST).read_to_end(&mut text).doing("wait for the launcher")?;
    // Without the launcher's word, or with half of it: it has ended.
    let Ok(spec) = serde_json::from_slice::<LaunchSpec>(&text) else { return Err(LaunchError::NoGo) };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).doing("mount the node's own /proc")?;
    let error =
        Command::new(AGENT_PROGRAM).arg("run").arg("--config").arg(&spec.agent_config).stdin(Stdio::null()).exec();
    Err(error).doing("become the node's agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_namespaces_are_found_among_the_mounts() {
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      30 22 254:0 /run/netns /run/netns rw shared:5 - ext4 /dev/vda rw\n\
                      31 30 0:4 net:[4026532240] /run/netns/magnum-1 rw shared:7 - nsfs nsfs rw\n\
                      40 22 0:4 net:[4026532999] /run/docker/netns/a rw - nsfs nsfs rw\n\
                      odd line\n";
        assert_eq!(namespace_files(mounts), ["/run/netns", "/run/netns/magnum-1", "/run/docker/netns/a"]);
        assert_eq!(namespace_files(""), Vec::<&str>::new());
    }

    #[test]
    fn a_mark_says_which_process_is_meant() -> Result<(), LaunchError> {
        let own = i32::try_from(std::process::id()).map_err(io::Error::other).doing("test")?;
        let (one, two) = (mark(own)?, mark(own)?);
        assert_eq!(one, two);
        assert!(one.started > 0 && one.boot_id.len() == 36, "{one:?}");
        assert!(mark(i32::MAX).is_err());
        Ok(())
    }

    #[test]
    fn a_specification_that_cannot_be_read_is_named() {
        let error =
            launch(Path::new("/nowhere/launch.json")).map_or_else(|error| error.to_string(), |()| String::new());
        assert!(error.contains("/nowhere/launch.json"), "{error}");
    }
}
