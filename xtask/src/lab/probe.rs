//! Asks a service whether it answers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::launch::Unit;
use super::services::Answers;
use super::template::Values;
use crate::databases::accepts;
use crate::exec;

/// How old the last sign of life of a healthy service may be: the rarest ones come every minute.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(90);

/// Whether it answers within `patience`, or gave a sign of life within `age`.
pub(super) fn answers(unit: &Unit, log: &Path, age: Duration, patience: Duration) -> bool {
    let values = unit.values.clone().with("age", age.as_secs().to_string());
    let port = || values.fill("{{port}}").ok()?.parse::<u16>().ok();
    match unit.row.answers {
        Answers::Done => true,
        Answers::Connection => port().is_some_and(accepts),
        Answers::Page(path) => {
            port().and_then(|port| status(port, path, patience)).is_some_and(|status| (200..400).contains(&status))
        }
        Answers::Log(words) => fs::read_to_string(log).is_ok_and(|text| text.contains(words)),
        Answers::Row(question) => values
            .fill(question)
            .ok()
            .and_then(|question| ask(&question, &values))
            .is_some_and(|answer| !answer.trim().is_empty()),
    }
}

/// What the lab's database answers.
pub(crate) fn ask(question: &str, values: &Values) -> Option<String> {
    let mut client = Command::new("mariadb");
    client
        .args(["--no-defaults", "--host=127.0.0.1", "--user=lab", "--skip-column-names", "--connect-timeout=2"])
        .arg(format!("--port={}", values.fill("{{port.mariadb}}").ok()?))
        .arg(format!("--execute={question}"))
        .env("MYSQL_PWD", values.fill("{{password}}").ok()?);
    exec::output(&mut client).ok()
}

/// Status of the answer to a GET.
fn status(port: u16, path: &str, patience: Duration) -> Option<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}
