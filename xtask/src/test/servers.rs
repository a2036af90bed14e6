//! What the tests are run against: packages, clients, databases and a cloud, brought up while the code is compiled.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow};

use super::times::Times;
use super::{Options, install_answered};
use crate::databases::{self, Database};
use crate::lab::services::{LOOKUPS, PRESEED};
use crate::lab::{self, Lab};
use crate::workspace::Workspace;
use crate::{debian, migrate, python, say, upstream};

/// What test programs have to know.
#[derive(Debug)]
pub(super) struct Servers {
    /// In their environment.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// The lab's folder, if there is one.
    pub(super) lab: Option<PathBuf>,
}

/// Who has them. They end with it, whatever happens.
#[derive(Debug)]
pub(super) struct Keeper<'scope> {
    ready: Receiver<Result<Servers>>,
    end: Sender<()>,
    thread: ScopedJoinHandle<'scope, Result<()>>,
}

impl<'scope> Keeper<'scope> {
    /// Begins to bring them up. The kernel ends them with the thread that has started them, so that one stays until they
    /// are no longer needed.
    pub(super) fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        workspace: &'env Workspace,
        options: &'env Options,
        times: &'env Times,
    ) -> Self {
        let (tell, ready) = channel();
        let (end, ended) = channel::<()>();
        let thread = scope.spawn(move || match Up::begin(workspace, options, times) {
            Ok(up) => {
                // Nobody listens when the run has been broken off.
                drop(tell.send(Ok(up.describe())));
                // Said, or the other end is gone: either way it is over.
                let _ = ended.recv();
                times.measure("ending databases and lab", || up.end())
            }
            Err(error) => {
                drop(tell.send(Err(error)));
                Ok(())
            }
        });
        Self { ready, end, thread }
    }

    /// Waits until they are up.
    pub(super) fn wait(&self) -> Result<Servers> {
        self.ready.recv().context("what brings up the servers has ended")?
    }

    /// Ends them.
    pub(super) fn end(self) -> Result<()> {
        drop(self.end);
        self.thread.join().map_err(|_panic| anyhow!("ending the servers failed"))?
    }
}

/// What is up.
struct Up {
    postgres: Database,
    mariadb: Database,
    lab: Option<Lab>,
    openstack: PathBuf,
    schemathesis: PathBuf,
}

impl Up {
    fn begin(workspace: &Workspace, options: &Options, times: &Times) -> Result<Self> {
        let install = !options.no_install;
        let mut packages = vec![debian::NODES, debian::DATABASES, debian::PYTHON];
        let of_lab = lab::packages(LOOKUPS);
        if options.lab_wanted() {
            packages.push(&of_lab);
        }
        times.measure("Debian packages", || install_answered(workspace, options, &packages, PRESEED))?;
        let openstack =
            times.measure("OpenStack clients from PyPI", || python::openstack_client(workspace, install))?;
        say::step("Starting PostgreSQL and MariaDB for the tests");
        let postgres = times.measure("PostgreSQL", databases::postgres)?;
        let mariadb = times.measure("MariaDB", databases::mariadb)?;
        say::note("both listen on free loopback ports, as unprivileged users, with data in temporary folders");
        let lab =
            if options.lab_wanted() { Some(times.measure("the lab", || Lab::any(workspace, LOOKUPS))?) } else { None };
        let schemathesis = times.measure("schemathesis from PyPI", || python::schemathesis(workspace, install))?;
        if lab.is_some() && options.is_everything() {
            for &release in migrate::RELEASES {
                let what = format!("upstream {release} from PyPI");
                times.measure(&what, || upstream::install(workspace, release))?;
            }
        }
        Ok(Self { postgres, mariadb, lab, openstack, schemathesis })
    }

    fn describe(&self) -> Servers {
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("MAGNUM_TEST_POSTGRES_URL", self.postgres.url().into()),
            ("MAGNUM_TEST_MARIADB_URL", self.mariadb.url().into()),
            ("MAGNUM_TEST_REQUIRE_DATABASES", "1".into()),
            ("MAGNUM_TEST_REQUIRE_CLIENT", "1".into()),
            ("MAGNUM_TEST_OPENSTACK", self.openstack.clone().into()),
            ("MAGNUM_TEST_SCHEMATHESIS", self.schemathesis.clone().into()),
        ];
        if let Some(lab) = &self.lab {
            environment.push(("MAGNUM_TEST_LAB", lab.description().into()));
            environment.push(("MAGNUM_TEST_REQUIRE_LAB", "1".into()));
        }
        Servers { environment, lab: self.lab.as_ref().map(|lab| lab.folder().to_path_buf()) }
    }

    fn end(self) -> Result<()> {
        let down = self.lab.map_or(Ok(()), Lab::down);
        let stopped = [self.postgres, self.mariadb].map(Database::stop);
        down?;
        stopped.into_iter().collect()
    }
}
