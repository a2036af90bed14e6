//! As much of an HTTP/1.1 client as following a demo takes: one request per connection, server-sent events.
//!
//! TLS is left to `openssl s_client`, so that these tasks need no TLS library and compile within seconds.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// How long a server may stay silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest line of a header or an event that is taken.
const LONGEST_LINE: u64 = 1 << 20;

/// A server, and who we are to it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// `127.0.0.1:9511`.
    address: String,
    /// Authority of the server; plain HTTP without.
    ca: Option<PathBuf>,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Such as 200.
    pub(crate) status: u16,
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
    /// The whole body.
    pub(crate) body: String,
}

impl Answer {
    /// The value of the header of this name, which is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is asked for. The token is the [`Api`]'s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// Such as `GET`.
    pub(crate) method: &'a str,
    /// With its query.
    pub(crate) path: &'a str,
    /// Beside `Host`, `X-Auth-Token`, `Connection` and `Content-Length`.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// Sent with its length; without one there is no `Content-Length` either.
    pub(crate) body: Option<&'a str>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Nobody took the connection: nothing was sent.
    NotSent(anyhow::Error),
    /// The connection ended before the answer was whole: nobody knows whether the request was carried out.
    Broken(anyhow::Error),
    /// The connection stays open and nothing comes.
    Silent,
}

impl From<NoAnswer> for anyhow::Error {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::NotSent(error) | NoAnswer::Broken(error) => error,
            NoAnswer::Silent => anyhow!("no answer within {} s", SILENCE.as_secs()),
        }
    }
}

impl Api {
    /// A server that is spoken to with TLS.
    pub(crate) fn tls(address: String, ca: PathBuf) -> Self {
        Self { address, ca: Some(ca), token: None }
    }

    /// A server that is spoken to without TLS.
    pub(crate) fn plain(address: String) -> Self {
        Self { address, ca: None, token: None }
    }

    /// The same as somebody.
    pub(crate) fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// Gets a page.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let headers: &[(&str, &str)] = &[("Accept", "application/json")];
        Ok(self.send(&Request { method: "GET", path, headers, body: None })?)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        let connection = Connection::open(&self.address, self.ca.as_deref()).map_err(NoAnswer::NotSent)?;
        let mut bytes = Vec::new();
        let answered = self.exchange(connection, request).and_then(|(status, headers, body)| {
            let announced = body.length;
            body.open()?.read_to_end(&mut bytes)?;
            if matches!(announced, Length::Bytes(count) if count > bytes.len() as u64) {
                bail!("the answer breaks off");
            }
            Ok((status, headers))
        });
        match answered {
            Ok((status, headers)) => Ok(Answer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() }),
            Err(error) if is_silence(&error) => Err(NoAnswer::Silent),
            Err(error) => {
                Err(NoAnswer::Broken(error.context(format!("{} {} at {}", request.method, request.path, self.address))))
            }
        }
    }

    /// Follows a stream of events and gives the data of each to `each`, until the server or `each` (by `false`) ends it.
    pub(crate) fn follow(&self, path: &str, mut each: impl FnMut(&str) -> bool) -> Result<()> {
        let connection = Connection::open(&self.address, self.ca.as_deref())?;
        let headers: &[(&str, &str)] = &[("Accept", "text/event-stream")];
        let (status, _, body) = self.exchange(connection, &Request { method: "GET", path, headers, body: None })?;
        if status != 200 {
            bail!("GET {path}: status {status}");
        }
        let mut lines = BufReader::new(body.open()?);
        let mut line = String::new();
        while lines.by_ref().take(LONGEST_LINE).read_line(&mut line)? > 0 {
            if let Some(data) = line.trim_end().strip_prefix("data:")
                && !each(data.trim_start())
            {
                break;
            }
            line.clear();
        }
        Ok(())
    }

    /// Sends the request and reads the head of the answer.
    fn exchange(&self, mut connection: Connection, request: &Request<'_>) -> Result<Head> {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.path, self.address);
        let token = self.token.as_deref().map(|token| ("X-Auth-Token", token));
        for (name, value) in request.headers.iter().copied().chain(token) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = request.body {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("Connection: close\r\n\r\n");
        text.push_str(request.body.unwrap_or_default());
        let sent = connection.writer.write_all(text.as_bytes()).and_then(|()| connection.writer.flush());
        // A server may answer, and close, before it has taken the whole request.
        read_head(connection).map_err(|error| sent.err().map_or(error, anyhow::Error::from))
    }
}

/// Whether a read gave up because nothing came.
fn is_silence(error: &anyhow::Error) -> bool {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
}

/// Gets a page of a server in another network namespace, without TLS.
pub(crate) fn get_in_namespace(namespace: &Path, address: &str, path: &str) -> Result<Answer> {
    let handle = std::fs::File::open(namespace).with_context(|| format!("cannot open {}", namespace.display()))?;
    let api = Api::plain(address.to_owned());
    // Entering a namespace changes one thread only; this one ends right after.
    thread::scope(|scope| {
        let page = scope.spawn(|| {
            setns(&handle, CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")?;
            api.get(path)
        });
        page.join().map_err(|_| anyhow!("the thread that reads the page ended early"))?
    })
}

/// Both directions of a connection; the program that does TLS for it ends with it.
struct Connection {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
    tls: Option<Tls>,
}

/// `openssl s_client`, ended when dropped.
struct Tls(Child);

impl Drop for Tls {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Connection {
    fn open(address: &str, ca: Option<&Path>) -> Result<Self> {
        let Some(ca) = ca else {
            let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
            stream.set_read_timeout(Some(SILENCE))?;
            let writer = stream.try_clone()?;
            return Ok(Self { reader: BufReader::new(Box::new(stream)), writer: Box::new(writer), tls: None });
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let mut child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-verify_quiet",
                "-verify_return_error",
                "-connect",
                address,
                "-verify_ip",
                host,
            ])
            .arg("-CAfile")
            .arg(ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start openssl")?;
        let (Some(writer), Some(reader)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("openssl has no pipes");
        };
        Ok(Self { reader: BufReader::new(Box::new(reader)), writer: Box::new(writer), tls: Some(Tls(child)) })
    }
}

/// What follows the head of an answer.
struct Body {
    connection: Connection,
    length: Length,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
    UntilClosed,
}

/// Status, headers, and what follows.
type Head = (u16, Vec<(String, String)>, Body);

fn read_head(mut connection: Connection) -> Result<Head> {
    let mut line = String::new();
    connection.reader.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| anyhow!("no HTTP answer (is the connection trusted?): {:?}", line.trim_end()))?;
    // These have no body, whatever their headers say.
    let mut length = if matches!(status, 204 | 304) { Length::Bytes(0) } else { Length::UntilClosed };
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.reader.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => length = Length::Bytes(value.parse().context("odd content-length")?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => length = Length::Chunked,
            _ => {}
        }
        headers.push((name, value.to_owned()));
    }
    Ok((status, headers, Body { connection, length }))
}

impl Body {
    /// The bytes of the body, without what frames them.
    fn open(self) -> Result<Box<dyn Read>> {
        let Connection { reader, writer, tls } = self.connection;
        let kept = (writer, tls);
        Ok(match self.length {
            Length::Bytes(count) => Box::new(Framed { inner: reader.take(count), _kept: kept }),
            Length::UntilClosed => Box::new(Framed { inner: reader, _kept: kept }),
            Length::Chunked => Box::new(Framed { inner: Chunks { reader, left: 0, ended: false }, _kept: kept }),
        })
    }
}

/// A reader, with what must live as long.
struct Framed<R> {
    inner: R,
    _kept: (Box<dyn Write + Send>, Option<Tls>),
}

impl<R: Read> Read for Framed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

/// Takes off the framing of `Transfer-Encoding: chunked`.
struct Chunks<R> {
    reader: R,
    left: u64,
    ended: bool,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        if self.left == 0 {
            let mut line = String::new();
            // The line before a size is empty, but for the first chunk.
            while line.trim().is_empty() {
                line.clear();
                if self.reader.by_ref().take(LONGEST_LINE).read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let digits = line.trim().split(';').next().unwrap_or_default();
            self.left = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
            if self.left == 0 {
                self.ended = true;
                return Ok(0);
            }
        }
        let count = self.reader.by_ref().take(self.left).read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;

    /// A server that gives this answer to the first who asks.
    fn server(answer: &'static str) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Api::plain(address)
    }

    #[test]
    fn each_way_to_end_a_body_is_understood() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let page = server(answer).get("/").unwrap();
            assert_eq!((page.status, page.body.as_str()), (200, "hello"), "{answer}");
        }
    }

    #[test]
    fn headers_are_found_by_their_name() {
        let answer = server("HTTP/1.1 201 Created\r\nX-Subject-Token: secret\r\nContent-Length: 0\r\n\r\n");
        let request = Request { method: "POST", path: "/", headers: &[("Accept", "*/*")], body: Some("{}") };
        assert_eq!(answer.send(&request).unwrap().header("x-subject-token"), Some("secret"));
    }

    #[test]
    fn a_request_that_was_not_sent_is_told_from_one_without_an_answer() {
        let request = Request { method: "GET", path: "/", headers: &[], body: None };
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(matches!(Api::plain(gone).send(&request), Err(NoAnswer::NotSent(_))));
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"] {
            assert!(matches!(server(answer).send(&request), Err(NoAnswer::Broken(_))), "{answer:?}");
        }
    }

    #[test]
    fn a_broken_chunk_is_an_error() {
        assert!(server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe").get("/").is_err());
    }

    #[test]
    fn events_come_one_by_one() {
        let api = server("HTTP/1.1 200 OK\r\n\r\nid: 1\ndata: one\n\n: ping\n\nid: 2\ndata: two\n\n");
        let mut seen = Vec::new();
        api.follow("/", |data| {
            seen.push(data.to_owned());
            true
        })
        .unwrap();
        assert_eq!(seen, ["one", "two"]);
    }
}
