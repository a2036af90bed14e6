//! The way out of a cluster's network: a proxy for `CONNECT` that nodes pull images through, and nothing else.
//!
//! A node could be anybody's, so it must not reach what only this machine can: addresses that are not public or that
//! this machine has itself are refused, whatever name they hide behind, and so are ports that are not listed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use magnum_listen::{Listener, serve_streams};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use super::address;

/// Port of the proxy on the machine's side of the cluster's network.
pub(crate) const PORT: u16 = 3128;
/// Longest request head that is read.
const HEAD: usize = 8 * 1024;
/// Bytes of a refused request that are read and thrown away.
const REST: u64 = 64 * 1024;
/// Time for the request, for the name and for the connection.
const LIMIT: Duration = Duration::from_secs(15);

/// Where nodes may go, and how much of it.
#[derive(Debug, Clone)]
pub struct EgressRules {
    /// Ports that they may connect to. Default 443, where registries are.
    pub ports: Vec<u16>,
    /// Public networks that they may not connect to all the same: those that know this machine by its address, and
    /// addresses that are translated to it. Default none.
    pub refused: Vec<IpNet>,
    /// Connections held at a time for one cluster; more wait. Default 128.
    pub connections: usize,
    /// Time after which a connection over which nothing comes is closed. Default 5 minutes.
    pub idle: Duration,
}

impl Default for EgressRules {
    fn default() -> Self {
        Self { ports: vec![443], refused: Vec::new(), connections: 128, idle: Duration::from_secs(300) }
    }
}

impl EgressRules {
    /// Why an address may not be connected to, by one who has these addresses himself.
    fn objection(&self, address: IpAddr, own: &[IpAddr]) -> Option<&'static str> {
        let address = address.to_canonical();
        if !address::is_public(address) {
            return Some("clusters of this machine only reach public addresses");
        }
        if own.iter().any(|own| own.to_canonical() == address) {
            return Some("this is an address of the machine that the cluster is on");
        }
        let is_refused = self.refused.iter().any(|network| network.contains(&address));
        is_refused.then_some("the operator has excluded this address")
    }
}

/// Serves for ever; ends by being dropped.
pub(crate) async fn run(listener: Listener, rules: EgressRules) {
    let rules = Arc::new(rules);
    serve_streams(listener, |client| {
        let rules = Arc::clone(&rules);
        async move {
            if let Err(error) = serve(client, &rules).await {
                tracing::debug!(%error, "a connection out of a cluster failed");
            }
        }
    })
    .await;
}

async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin, rules: &EgressRules) -> io::Result<()> {
    let target = match tokio::time::timeout(LIMIT, open(&mut client, rules)).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(refusal)) => Err(refusal),
        Err(_elapsed) => Err(Refusal { status: "504 Gateway Timeout", why: "not connected in time".to_owned() }),
    };
    match target {
        Ok(mut target) => {
            let answer = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            tokio::time::timeout(LIMIT, answer).await??;
            copy_bidirectional(&mut client, &mut target).await?;
            Ok(())
        }
        Err(Refusal { status, why }) => {
            let length = why.len() + 1;
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
            );
            tokio::time::timeout(LIMIT, client.write_all(answer.as_bytes())).await??;
            client.shutdown().await?;
            // Closing with bytes unread would take the answer back.
            let (mut rest, mut nowhere) = (client.take(REST), tokio::io::sink());
            tokio::time::timeout(Duration::from_secs(1), tokio::io::copy(&mut rest, &mut nowhere)).await??;
            Ok(())
        }
    }
}

#[derive(Debug)]
struct Refusal {
    status: &'static str,
    why: String,
}

async fn open(client: &mut (impl AsyncRead + Unpin), rules: &EgressRules) -> Result<TcpStream, Refusal> {
    let bad = |why: &str| Refusal { status: "400 Bad Request", why: why.to_owned() };
    let head = head(client).await.map_err(|error| bad(&error.to_string()))?;
    let (authority, port) = authority(&head)?;
    let forbidden = |why: &str| Refusal { status: "403 Forbidden", why: format!("{authority}: {why}") };
    if !rules.ports.contains(&port) {
        let ports = rules.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Err(forbidden(&format!("clusters of this machine only reach these ports: {ports}")));
    }
    let gateway = |error: io::Error| Refusal { status: "502 Bad Gateway", why: format!("{authority}: {error}") };
    let found = tokio::net::lookup_host(&authority).await.map_err(gateway)?;
    // The addresses that were looked at are the ones that are used: a name can't answer differently later.
    let own = address::of_this_machine().map_err(gateway)?;
    let (mut allowed, mut objection) = (Vec::<SocketAddr>::new(), "it has no address");
    for address in found {
        match rules.objection(address.ip(), &own) {
            None => allowed.push(address),
            Some(why) => objection = why,
        }
    }
    if allowed.is_empty() {
        return Err(forbidden(objection));
    }
    TcpStream::connect(allowed.as_slice()).await.map_err(gateway)
}

/// Reads up to the empty line, and not a byte of what follows it.
async fn head(client: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request's head is too long"));
        }
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the request is not text"))
}

/// The `host:port` of a `CONNECT` request, and the port.
fn authority(head: &str) -> Result<(String, u16), Refusal> {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "CONNECT" {
        let why = "only CONNECT is understood here: pull from registries that speak https".to_owned();
        return Err(Refusal { status: "405 Method Not Allowed", why });
    }
    let bad = || Refusal { status: "400 Bad Request", why: "a target is host:port".to_owned() };
    let (host, port) = target.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(bad)?;
    // Names and addresses have no other characters, and what is refused is repeated.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err(bad());
    }
    Ok((target.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_of_this_machine_or_of_the_operators_choice_is_refused_though_it_is_public() {
        let rules = EgressRules { refused: vec!["93.184.0.0/16".parse().unwrap()], ..EgressRules::default() };
        let own = ["8.8.4.4", "::ffff:9.9.9.9", "2606:2800:220:1::1"].map(|address| address.parse().unwrap());
        for (address, why) in [
            ("1.1.1.1", None),
            ("8.8.4.4", Some("address of the machine")),
            ("::ffff:8.8.4.4", Some("address of the machine")),
            ("9.9.9.9", Some("address of the machine")),
            ("2606:2800:220:1::1", Some("address of the machine")),
            ("2606:2800:220:1::2", None),
            ("93.184.216.34", Some("operator")),
            ("::ffff:93.184.216.34", Some("operator")),
            ("168.63.129.16", Some("only reach public")),
        ] {
            let found = rules.objection(address.parse().unwrap(), &own);
            assert_eq!(found.is_some(), why.is_some(), "{address}: {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()), "{address}: {found:?}");
        }
        for own in address::of_this_machine().unwrap() {
            assert!(EgressRules::default().objection(own, &[own]).is_some(), "{own}");
        }
    }

    async fn ask(request: &str, rules: EgressRules) -> String {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener::new("test", socket, &magnum_listen::Pool::new(8), magnum_listen::Limits::default());
        let proxy = tokio::spawn(run(listener, rules));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.shutdown().await.unwrap();
        client.read_to_string(&mut answer).await.unwrap();
        proxy.abort();
        answer
    }

    #[tokio::test]
    async fn everything_else_is_refused_with_a_reason() {
        let connect = |target: &str| format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        for (request, status, why) in [
            (connect("127.0.0.1:443"), "403", "public addresses"),
            (connect("localhost:443"), "403", "public addresses"),
            (connect("[::1]:443"), "403", "public addresses"),
            (connect("[::ffff:127.0.0.1]:443"), "403", "public addresses"),
            (connect("2130706433:443"), "403", "public addresses"),
            (connect("0x7f.1:443"), "403", "public addresses"),
            (connect("168.63.129.16:443"), "403", "public addresses"),
            (connect("169.254.169.254:443"), "403", "public addresses"),
            (connect("1.1.1.1:80"), "403", "these ports: 443, 5000"),
            (connect("1.1.1.1:22"), "403", "these ports: 443, 5000"),
            (connect("127.0.0.1:32768"), "403", "these ports: 443, 5000"),
            (connect("nothing"), "400", "host:port"),
            (connect(":443"), "400", "host:port"),
            (connect("host:0"), "400", "host:port"),
            (connect("host:99999"), "400", "host:port"),
            (connect("\u{1b}[2J:443"), "400", "host:port"),
            ("GET http://127.0.0.1/ HTTP/1.1\r\n\r\n".to_owned(), "405", "CONNECT"),
            (connect(&"x".repeat(HEAD)), "400", "too long"),
        ] {
            let answer = ask(&request, EgressRules { ports: vec![443, 5000], ..EgressRules::default() }).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {answer}");
            assert!(answer.contains(why), "{request:.40}: {answer}");
        }
    }
}
