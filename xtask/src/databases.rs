//! Private database servers for the tests: own data folder, own free loopback port, gone afterwards.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::debian;
use crate::exec::{self, Server};
use crate::owner::{Life, Owner};

/// How long a server may take to come up; cold disks are slow.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running server. Its folder is removed after it has ended, also when something fails.
#[derive(Debug)]
pub(crate) struct Database {
    // Dropped in this order: the process ends before its folder goes.
    server: Server,
    folder: TempDir,
    url: String,
}

impl Database {
    /// Where tests reach it, with the right to make and drop databases.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it and removes its folder.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.server.stop()?;
        let path = self.folder.path().to_path_buf();
        self.folder.close().with_context(|| format!("cannot remove {}", path.display()))
    }
}

/// Starts PostgreSQL.
pub(crate) fn postgres() -> Result<Database> {
    let bin = debian::postgres_folder().context("there is no PostgreSQL server under /usr/lib/postgresql")?.join("bin");
    let owner = Owner::named("postgres")?;
    let folder = owner.temporary_folder("magnum-test-postgres-")?;
    let data = folder.path().join("data");
    let password = random_password()?;
    let password_file = folder.path().join("password");
    fs::write(&password_file, &password)?;
    owner.give(&password_file)?;

    exec::output(
        owner
            .command(&bin.join("initdb"), Life::WithUs)
            .arg("--pgdata")
            .arg(&data)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]),
    )
    .context("cannot make a PostgreSQL data folder")?;

    let port = free_port()?;
    let mut server = Server::start(
        "PostgreSQL",
        owner
            .command(&bin.join("postgres"), Life::WithUs)
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=300"])
            // The data is thrown away, so nothing has to survive a power cut.
            .args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]),
        folder.path().join("server.log"),
    )?;
    let ready = bin.join("pg_isready");
    server.wait_until(START_LIMIT, || {
        accepts(port)
            && exec::output(Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])).is_ok()
    })?;
    Ok(Database { server, folder, url: format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres") })
}

/// Starts MariaDB.
pub(crate) fn mariadb() -> Result<Database> {
    let program = exec::find_program("mariadbd").context("there is no mariadbd on this machine")?;
    let install = exec::find_program("mariadb-install-db").context("there is no mariadb-install-db on this machine")?;
    let owner = Owner::named("mysql")?;
    let folder = owner.temporary_folder("magnum-test-mariadb-")?;
    let data = folder.path().join("data");
    let password = random_password()?;
    // Read by the server at its start: SQL, one statement per line.
    let accounts = folder.path().join("accounts.sql");
    fs::write(
        &accounts,
        format!(
            "CREATE USER 'magnum'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO 'magnum'@'127.0.0.1' WITH GRANT OPTION;\n"
        ),
    )?;
    owner.give(&accounts)?;

    exec::output(
        owner
            .command(&install, Life::WithUs)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .args(["--auth-root-authentication-method=socket", "--skip-test-db"]),
    )
    .context("cannot make a MariaDB data folder")?;

    let port = free_port()?;
    let mut server = Server::start(
        "MariaDB",
        owner
            .command(&program, Life::WithUs)
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .arg(format!("--pid-file={}", folder.path().join("pid").display()))
            .arg(format!("--init-file={}", accounts.display()))
            .arg(format!("--port={port}"))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=400", "--skip-log-bin"])
            // As above: nothing has to survive a power cut.
            .args(["--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"]),
        folder.path().join("server.log"),
    )?;
    server.wait_until(START_LIMIT, || accepts(port))?;
    Ok(Database { server, folder, url: format!("mysql://magnum:{password}@127.0.0.1:{port}/mysql") })
}

/// A loopback port that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free loopback port")?;
    Ok(listener.local_addr()?.port())
}

/// Whether somebody listens on this loopback port.
pub(crate) fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// 32 hexadecimal digits that nobody knows.
pub(crate) fn random_password() -> Result<String> {
    let bytes = fs::read("/proc/sys/kernel/random/uuid").context("cannot read random numbers")?;
    Ok(String::from_utf8_lossy(&bytes).trim().replace('-', ""))
}
