//! The way out of a cluster's network: a proxy for `CONNECT` that nodes pull images through, and nothing else.
//!
//! A node could be anybody's, so it must not reach what only this machine can: addresses that are not public are
//! refused, whatever name they hide behind.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use magnum_listen::{Listener, serve_streams};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

/// Port of the proxy on the machine's side of the cluster's network.
pub(crate) const PORT: u16 = 3128;
/// Longest request head that is read.
const HEAD: usize = 8 * 1024;
/// Bytes of a refused request that are read and thrown away.
const REST: u64 = 64 * 1024;
/// Time for the request, for the name and for the connection.
const LIMIT: Duration = Duration::from_secs(15);
/// Connections held at a time for one cluster.
pub(super) const CONNECTIONS: usize = 128;

/// Serves for ever; ends by being dropped.
pub(crate) async fn run(listener: Listener) {
    serve_streams(listener, |client| async move {
        if let Err(error) = serve(client).await {
            tracing::debug!(%error, "a connection out of a cluster failed");
        }
    })
    .await;
}

async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let target = match tokio::time::timeout(LIMIT, open(&mut client)).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(refusal)) => Err(refusal),
        Err(_elapsed) => Err(Refusal { status: "504 Gateway Timeout", why: "not connected in time".to_owned() }),
    };
    match target {
        Ok(mut target) => {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut target).await?;
            Ok(())
        }
        Err(Refusal { status, why }) => {
            let length = why.len() + 1;
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}\n"
            );
            client.write_all(answer.as_bytes()).await?;
            client.shutdown().await?;
            // Closing with bytes unread would take the answer back.
            let (mut rest, mut nowhere) = (client.take(REST), tokio::io::sink());
            tokio::time::timeout(Duration::from_secs(1), tokio::io::copy(&mut rest, &mut nowhere)).await??;
            Ok(())
        }
    }
}

struct Refusal {
    status: &'static str,
    why: String,
}

async fn open(client: &mut (impl AsyncRead + Unpin)) -> Result<TcpStream, Refusal> {
    let bad = |why: &str| Refusal { status: "400 Bad Request", why: why.to_owned() };
    let head = head(client).await.map_err(|error| bad(&error.to_string()))?;
    let authority = authority(&head)?;
    let gateway = |error: io::Error| Refusal { status: "502 Bad Gateway", why: format!("{authority}: {error}") };
    let found = tokio::net::lookup_host(&authority).await.map_err(gateway)?.collect::<Vec<_>>();
    // The addresses that were looked at are the ones that are used: a name can't answer differently later.
    let public = found.into_iter().filter(|address| is_public(address.ip())).collect::<Vec<SocketAddr>>();
    if public.is_empty() {
        let why = format!("{authority}: clusters of this machine only reach public addresses");
        return Err(Refusal { status: "403 Forbidden", why });
    }
    TcpStream::connect(public.as_slice()).await.map_err(gateway)
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

/// The `host:port` of a `CONNECT` request.
fn authority(head: &str) -> Result<String, Refusal> {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "CONNECT" {
        let why = "only CONNECT is understood here: pull from registries that speak https".to_owned();
        return Err(Refusal { status: "405 Method Not Allowed", why });
    }
    match target.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {
            Ok(target.to_owned())
        }
        _ => Err(Refusal { status: "400 Bad Request", why: "a target is host:port".to_owned() }),
    }
}

/// Whether an address belongs to the Internet at large, and not to this machine or a network near it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 240
        || shared
        || protocol
        || benchmark
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    // 2000::/3 is what is given out; of that, 6to4 and NAT64-like prefixes could carry a private IPv4 address inside.
    segments[0] & 0xe000 == 0x2000 && segments[0] != 0x2002 && !(segments[0] == 0x2001 && segments[1] < 0x0200)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn only_addresses_of_the_internet_at_large_are_public() {
        for (address, expected) in [
            ("93.184.216.34", true),
            ("2606:2800:220:1::1", true),
            ("127.0.0.1", false),
            ("10.77.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("192.0.0.8", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:93.184.216.34", true),
            ("fe80::1", false),
            ("fc00::1", false),
            ("ff02::1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    async fn ask(request: &str) -> String {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let limits = magnum_listen::Limits::default();
        let proxy = tokio::spawn(run(Listener::new("test", socket, &magnum_listen::Pool::new(8), limits)));
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
        for (request, status) in [
            ("CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", "403"),
            ("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n", "403"),
            ("CONNECT [::1]:22 HTTP/1.1\r\n\r\n", "403"),
            ("CONNECT nothing HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT host:99999 HTTP/1.1\r\n\r\n", "400"),
            ("GET http://127.0.0.1/ HTTP/1.1\r\n\r\n", "405"),
            (&format!("CONNECT {} HTTP/1.1\r\n\r\n", "x".repeat(HEAD)), "400"),
        ] {
            let answer = ask(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {answer}");
        }
    }
}
