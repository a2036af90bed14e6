//! Where a request comes from, as far as that is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// The address that a request is counted for: that of the connection, or behind a proxy (`proxy_headers`) the one that
/// the proxy has seen. An IPv6 address stands for its /64.
///
/// `X-Forwarded-For` outweighs `Forwarded`: nearly every proxy appends to the former, and passes on whatever a client
/// has written into the latter. Of several elements the last one is the nearest proxy's; those before it anybody
/// may have written.
#[must_use]
pub fn client(headers: &HeaderMap, connection: Option<IpAddr>, proxy_headers: bool) -> Option<IpAddr> {
    let told = proxy_headers.then(|| forwarded_for(headers)).flatten();
    told.or(connection).map(network)
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = |name: &str| headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim);
    if headers.contains_key("x-forwarded-for") {
        return parse(last("x-forwarded-for")?);
    }
    let pairs = last("forwarded")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, address) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    parse(address.trim_matches('"'))
}

/// With or without brackets and port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_matches(['[', ']']).parse().ok();
    text.parse::<SocketAddr>().map(|address| address.ip()).ok().or_else(bare)
}

/// What one customer has: an address, or a whole /64 of IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn clients_are_told_apart() {
        let near = Some(IpAddr::from([10, 0, 0, 1]));
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let table: [(Pairs<'_>, bool, &str); 13] = [
            (&[], true, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], false, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], true, "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6, 1.1.1.1")], true, "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], true, "1.1.1.1"),
            (&[("x-forwarded-for", "nobody")], true, "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1:4711")], true, "1.1.1.1"),
            (&[("forwarded", "for=2.2.2.2;proto=https")], true, "2.2.2.2"),
            (&[("forwarded", "for=2.2.2.2;proto=https"), ("x-forwarded-for", "1.1.1.1")], true, "1.1.1.1"),
            (&[("forwarded", "for=9.9.9.9, for=\"[2001:db8::7]\"")], true, "2001:db8::"),
            (&[("forwarded", "for=\"[2001:db8::7]:4711\"")], true, "2001:db8::"),
            (&[("x-forwarded-for", "2001:db8:1:2:3:4:5:6")], true, "2001:db8:1:2::"),
            (&[("x-forwarded-for", "::ffff:3.3.3.3")], true, "3.3.3.3"),
        ];
        for (pairs, believed, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(client(&headers, near, believed).unwrap().to_string(), expected, "{pairs:?}");
        }
    }
}
